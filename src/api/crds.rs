//! The CustomResourceDefinitions for a cluster without Flagger: Canary in all its versions, MetricTemplate and
//! AlertProvider.
//!
//! The schemas let every field of Flagger's survive, and refuse what can only be a slip of the pen. Whether a field is
//! carried out is not decided here but by [`Spec::read`](super::Spec::read). No conversion between the versions: each
//! holds both `analysis` and `canaryAnalysis`, so that a read through another version prunes neither.

use super::{GROUP, VERSIONS};
use serde_json::{Value, json};

/// Durations made of `ms`, `s`, `m` and `h`: Go's, without a sign and from end to end.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// The definitions, in the order in which to create them.
pub fn all() -> Vec<Value> {
    vec![canary(), metric_template(), alert_provider()]
}

fn canary() -> Value {
    let versions: Vec<Value> = VERSIONS
        .iter()
        .map(|version| {
            let path = if *version == "v1beta1" { ".spec.analysis" } else { ".spec.canaryAnalysis" };
            json!({
                "name": version,
                "served": true,
                "storage": *version == VERSIONS[0],
                "subresources": {"status": {}},
                "additionalPrinterColumns": canary_columns(path),
                "schema": {"openAPIV3Schema": {
                    "description": "Canary releases a Deployment step by step, and takes it back when its metrics fail.",
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": canary_spec(),
                        "status": canary_status(),
                    },
                }},
            })
        })
        .collect();
    definition("canaries", "canary", "Canary", versions)
}

/// Flagger's columns; `analysis` is the path of the analysis in that version.
fn canary_columns(analysis: &str) -> Value {
    let of_analysis = |name: &str, kind: &str, field: &str| column(name, kind, &format!("{analysis}.{field}"), 1);
    json!([
        column("Status", "string", ".status.phase", 0),
        column("Weight", "string", ".status.canaryWeight", 0),
        column("Suspended", "boolean", ".spec.suspend", 1),
        column("FailedChecks", "string", ".status.failedChecks", 1),
        of_analysis("Interval", "string", "interval"),
        of_analysis("Mirror", "boolean", "mirror"),
        of_analysis("StepWeight", "string", "stepWeight"),
        of_analysis("StepWeights", "string", "stepWeights"),
        of_analysis("MaxWeight", "string", "maxWeight"),
        column("LastTransitionTime", "string", ".status.lastTransitionTime", 0),
    ])
}

fn canary_spec() -> Value {
    let analysis = || canary_analysis();
    let named = json!({
        "type": "object",
        "required": ["apiVersion", "kind", "name"],
        "properties": {"apiVersion": name(), "kind": name(), "name": name()},
    });
    json!({
        "type": "object",
        "required": ["targetRef"],
        "anyOf": [{"required": ["analysis"]}, {"required": ["canaryAnalysis"]}],
        "properties": {
            "provider": {"type": "string", "description": "Who moves the traffic; istio unless given."},
            "metricsServer": {"type": "string", "description": "Address of the Prometheus to ask."},
            "targetRef": {
                "description": "The workload to release, in the Canary's namespace.",
                "type": "object",
                "required": ["apiVersion", "kind", "name"],
                "properties": {
                    "apiVersion": name(),
                    "kind": {"type": "string", "enum": ["DaemonSet", "Deployment", "Service"]},
                    "name": name(),
                },
            },
            // Early Canaries have a plain string here.
            "autoscalerRef": anything(),
            "ingressRef": named.clone(),
            "routeRef": named.clone(),
            "upstreamRef": named,
            "service": canary_service(),
            "analysis": analysis(),
            "canaryAnalysis": analysis(),
            "progressDeadlineSeconds": {
                "description": "How long a workload may stay without its ready pods; 600 unless given.",
                "type": "integer", "format": "int32", "minimum": 0,
            },
            "skipAnalysis": {"type": "boolean"},
            "revertOnDeletion": {"type": "boolean"},
            "suspend": {"type": "boolean"},
        },
    })
}

fn canary_service() -> Value {
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    json!({
        "description": "The name and port under which the workload is served.",
        "type": "object",
        "required": ["port"],
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "name": {"type": "string"},
            "port": port(),
            "portName": {"type": "string"},
            "targetPort": {"x-kubernetes-int-or-string": true},
            "appProtocol": {"type": "string"},
            "portDiscovery": {"type": "boolean"},
            "headless": {"type": "boolean"},
            "delegation": {"type": "boolean"},
            "hosts": texts(),
            "gateways": texts(),
        },
    })
}

fn canary_analysis() -> Value {
    let objects = || json!({"type": "array", "items": preserved()});
    json!({
        "description": "The steps of a rollout and the checks at each of them.",
        "type": "object",
        "properties": {
            "interval": duration("Time between two checks."),
            "threshold": {"type": "integer", "minimum": 0, "description": "Failed checks that end the rollout."},
            "maxWeight": weight("Weight from which the canary is promoted."),
            "stepWeight": weight("Percent of traffic that a step adds."),
            "stepWeights": {"type": "array", "items": weight("A weight to stop at.")},
            "stepWeightPromotion": weight("Percent of traffic that a step of the promotion moves back."),
            "iterations": {"type": "integer", "minimum": 0},
            "mirror": {"type": "boolean"},
            "mirrorWeight": weight("Percent of the requests that are mirrored."),
            "primaryReadyThreshold": weight("Percent of the primary's pods that must be ready."),
            "canaryReadyThreshold": weight("Percent of the canary's pods that must be ready."),
            "match": objects(),
            "metrics": {"type": "array", "items": canary_metric()},
            "webhooks": {"type": "array", "items": {
                "type": "object",
                "required": ["name", "url"],
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "name": name(),
                    "url": name(),
                    "timeout": duration("Time limit of one call."),
                },
            }},
            "alerts": objects(),
            "sessionAffinity": preserved(),
        },
    })
}

fn canary_metric() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": name(),
            "interval": duration("Window of the rate."),
            "threshold": {
                "description": "Lowest success rate in percent, highest duration in milliseconds, or highest value of \
                                a query.",
                "type": "number", "minimum": 0,
            },
            "thresholdRange": {
                "type": "object",
                "properties": {"min": {"type": "number"}, "max": {"type": "number"}},
            },
            "query": {
                "type": "string",
                "description": "A PromQL query of the metric's own, with {{ target }} and the like in it.",
            },
            "templateRef": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "name": name(),
                    "namespace": {"type": "string"},
                },
            },
            "templateVariables": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    })
}

/// What drivers write, whichever they are: known fields have their types, all others are kept. A phase that we do not
/// know is kept too, because another driver's newer version may have more of them.
fn canary_status() -> Value {
    json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "phase": {"type": "string"},
            "canaryWeight": {"type": "number"},
            "failedChecks": {"type": "number"},
            "iterations": {"type": "number"},
            "lastAppliedSpec": {"type": "string"},
            "lastPromotedSpec": {"type": "string"},
            // Go writes a time that was never set as null.
            "lastTransitionTime": {"type": "string", "format": "date-time", "nullable": true},
        },
    })
}

fn metric_template() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["provider", "query"],
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "provider": {
                "type": "object",
                "required": ["type"],
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"type": name(), "address": {"type": "string"}},
            },
            "query": {"type": "string"},
        },
    });
    sibling(
        "metrictemplates",
        "metrictemplate",
        "MetricTemplate",
        spec,
        column("Provider", "string", ".spec.provider.type", 0),
    )
}

fn alert_provider() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["type"],
        "anyOf": [{"required": ["address"]}, {"required": ["secretRef"]}],
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "type": name(),
            "address": {"type": "string"},
            "secretRef": {"type": "object", "required": ["name"], "properties": {"name": name()}},
        },
    });
    sibling("alertproviders", "alertprovider", "AlertProvider", spec, column("Type", "string", ".spec.type", 0))
}

/// A kind that belongs to Flagger's API and that we only keep: one version, one column.
fn sibling(plural: &str, singular: &str, kind: &str, spec: Value, column: Value) -> Value {
    let version = json!({
        "name": "v1beta1",
        "served": true,
        "storage": true,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column],
        "schema": {"openAPIV3Schema": {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": spec,
                "status": preserved(),
            },
        }},
    });
    definition(plural, singular, kind, vec![version])
}

fn definition(plural: &str, singular: &str, kind: &str, versions: Vec<Value>) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GROUP}"),
            // A package manager that once installed Flagger must not take the objects with it.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "singular": singular,
                "kind": kind,
                "listKind": format!("{kind}List"),
                "categories": ["all"],
            },
            "conversion": {"strategy": "None"},
            "versions": versions,
        },
    })
}

fn column(name: &str, kind: &str, path: &str, priority: u8) -> Value {
    json!({"name": name, "type": kind, "jsonPath": path, "priority": priority})
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn port() -> Value {
    json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535})
}

fn weight(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 100, "description": description})
}

fn duration(description: &str) -> Value {
    json!({"type": "string", "pattern": DURATION, "description": description})
}

/// An object of which we know nothing and keep everything.
fn preserved() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A value of any type, kept as it is.
fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::duration as durations;
    use regex::Regex;

    /// The part of OpenAPI validation that the schemas use; what it finds wrong, by path.
    fn wrong(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let mut report = |what: &str| found.push(format!("{path} {what}"));
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let typed = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.as_f64().is_some_and(|n| n.fract() == 0.0),
            Some("number") => value.is_number(),
            _ => true,
        };
        if !typed {
            return report("type");
        }
        if let Some(n) = value.as_f64() {
            if schema["minimum"].as_f64().is_some_and(|min| n < min) {
                report("minimum");
            }
            if schema["maximum"].as_f64().is_some_and(|max| n > max) {
                report("maximum");
            }
        }
        if let Some(text) = value.as_str() {
            if schema["pattern"].as_str().is_some_and(|p| !Regex::new(p).unwrap().is_match(text)) {
                report("pattern");
            }
            if schema["minLength"].as_u64().is_some_and(|min| (text.len() as u64) < min) {
                report("minLength");
            }
            if schema["enum"].as_array().is_some_and(|list| !list.contains(value)) {
                report("enum");
            }
        }
        let has = |key: &Value| value.get(key.as_str().unwrap()).is_some();
        for key in schema["required"].as_array().into_iter().flatten().filter(|key| !has(key)) {
            found.push(format!("{path} required {key}"));
        }
        if let Some(branches) = schema["anyOf"].as_array()
            && !branches.iter().any(|b| b["required"].as_array().unwrap().iter().all(has))
        {
            found.push(format!("{path} anyOf"));
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            let inner_path = format!("{path}.{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(schema), _) => wrong(schema, inner, &inner_path, found),
                (None, Value::Object(_)) => wrong(&schema["additionalProperties"], inner, &inner_path, found),
                (None, _) if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                (None, _) if path.ends_with(".metadata") => {}
                (None, _) => found.push(format!("{inner_path} pruned")),
            }
        }
        for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
            wrong(&schema["items"], inner, &format!("{path}[{index}]"), found);
        }
    }

    fn schema(definition: &Value, version: &str) -> Value {
        let versions = definition["spec"]["versions"].as_array().unwrap();
        versions.iter().find(|v| v["name"] == version).unwrap()["schema"]["openAPIV3Schema"].clone()
    }

    fn verdict(version: &str, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        wrong(&schema(&all()[0], version), object, "", &mut found);
        found
    }

    /// One that uses every part of the API.
    fn full() -> Value {
        serde_saphyr::from_str(include_str!("../../tests/data/every-field.yaml")).unwrap()
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut object = full();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
        object
    }

    #[test]
    fn every_field_of_flagger_survives_in_every_version() {
        for version in VERSIONS {
            assert_eq!(verdict(version, &full()), [""; 0], "{version}");
            let mut early = full();
            let spec = early["spec"].as_object_mut().unwrap();
            let analysis = spec.remove("analysis").unwrap();
            spec.insert("canaryAnalysis".into(), analysis);
            spec.insert("autoscalerRef".into(), json!("web"));
            assert_eq!(verdict(version, &early), [""; 0], "{version}");
        }
    }

    /// Every object in a value, itself included.
    fn objects(value: &Value) -> Vec<&serde_json::Map<String, Value>> {
        let inner: Vec<&Value> = match value {
            Value::Object(map) => map.values().collect(),
            Value::Array(list) => list.iter().collect(),
            _ => Vec::new(),
        };
        value.as_object().into_iter().chain(inner.into_iter().flat_map(objects)).collect()
    }

    #[test]
    fn every_field_that_is_read_is_in_the_sample_that_must_survive() {
        let sources = [
            include_str!("canary.rs"),
            include_str!("canary/analysis.rs"),
            include_str!("canary/metrics.rs"),
            include_str!("canary/service.rs"),
            include_str!("canary/webhooks.rs"),
        ];
        // A list of names and nothing else is what the reader knows of one object.
        let (list, name) = (Regex::new(r#"\[\s*("\w+",?\s*)+\]"#).unwrap(), Regex::new(r"\w+").unwrap());
        let (sample, mut lists) = (full(), 0);
        for found in sources.iter().flat_map(|source| list.find_iter(source)) {
            // Of the two names of the analysis an object has one.
            let names: Vec<&str> =
                name.find_iter(found.as_str()).map(|n| n.as_str()).filter(|n| *n != "canaryAnalysis").collect();
            let used = objects(&sample).iter().any(|object| names.iter().all(|name| object.contains_key(*name)));
            assert!(used, "nothing in tests/data/every-field.yaml has all of {names:?}");
            lists += 1;
        }
        assert!(lists >= 12, "the reader's lists were found: {lists}");
    }

    #[test]
    fn every_field_of_the_siblings_survives() {
        let headers = json!({"X-Scope-OrgID": ["a", "b"]});
        let template = json!({"metadata": {"name": "t"}, "spec": {"query": "sum(up)", "provider": {
            "type": "prometheus", "address": "http://p:9090", "headers": headers, "secretRef": {"name": "s"},
            "region": "eu", "insecureSkipVerify": true}}});
        let provider = json!({"metadata": {"name": "p"}, "spec": {
            "type": "slack", "channel": "general", "username": "flagger", "address": "https://hooks.example.com/",
            "proxy": "http://proxy:3128", "secretRef": {"name": "s"}}});
        for (definition, object) in [(metric_template(), template), (alert_provider(), provider)] {
            let mut found = Vec::new();
            wrong(&schema(&definition, "v1beta1"), &object, "", &mut found);
            assert_eq!(found, [""; 0]);
        }
    }

    #[test]
    fn the_early_object_of_a_chart_is_taken_as_it_is() {
        let early = json!({
            "apiVersion": "flagger.app/v1alpha2", "kind": "Canary", "metadata": {"name": "web"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "progressDeadlineSeconds": 60,
                "service": {"port": 8080, "gateways": ["gw"], "hosts": ["web.example.com"]},
                "canaryAnalysis": {"interval": "60s", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
                    "metrics": [{"name": "istio_requests_total", "threshold": 99, "interval": "60s"}]},
            },
            "status": {"state": "running", "canaryRevision": "x"},
        });
        assert_eq!(verdict("v1alpha2", &early), [""; 0]);
    }

    #[test]
    fn nonsense_is_refused() {
        for (pointer, value, what) in [
            ("/spec/analysis/stepWeight", json!(101), "maximum"),
            ("/spec/analysis/stepWeight", json!(-1), "minimum"),
            ("/spec/analysis/stepWeight", json!(2.5), "type"),
            ("/spec/analysis/stepWeight", json!("10"), "type"),
            ("/spec/analysis/stepWeights", json!([10, 120]), "maximum"),
            ("/spec/analysis/maxWeight", json!(1e300), "maximum"),
            ("/spec/analysis/threshold", json!(-1), "minimum"),
            ("/spec/analysis/interval", json!("soon"), "pattern"),
            ("/spec/analysis/interval", json!(60), "type"),
            ("/spec/analysis/metrics", json!([{"name": "x", "threshold": -1}]), "minimum"),
            ("/spec/analysis/metrics", json!([{"name": "x", "interval": "1"}]), "pattern"),
            ("/spec/analysis/metrics", json!([{}]), "required"),
            ("/spec/targetRef", json!({"kind": "Deployment", "name": "web"}), "required"),
            ("/spec/targetRef", json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": ""}), "minLength"),
            ("/spec/targetRef/kind", json!("CronJob"), "enum"),
            ("/spec/service/port", json!(0), "minimum"),
            ("/spec/service/port", json!(65536), "maximum"),
            ("/spec/analysis/stepWigth", json!(10), "pruned"),
        ] {
            let object = with(pointer, value.clone());
            for version in VERSIONS {
                let found = verdict(version, &object);
                assert!(found.iter().any(|f| f.contains(what)), "{version} {pointer} {value}: {found:?}");
            }
        }
        let mut neither = full();
        neither["spec"].as_object_mut().unwrap().remove("analysis");
        assert_eq!(verdict("v1beta1", &neither), [".spec anyOf"]);
    }

    #[test]
    fn a_phase_that_we_do_not_know_is_kept() {
        assert_eq!(verdict("v1beta1", &with("/status/phase", json!("Dancing"))), [""; 0]);
    }

    #[test]
    fn what_the_pattern_takes_can_be_read() {
        let pattern = Regex::new(DURATION).unwrap();
        for text in ["60s", "1m30s", "250ms", "1.5h", "1h0m0s"] {
            assert!(pattern.is_match(text), "{text}");
            assert!(durations::parse(text).is_ok(), "{text}");
        }
        for text in ["", "60", "1mfoo", " 1m", "1m\n", "-1m", "1d", "1.m", ".5s"] {
            assert!(!pattern.is_match(text), "{text:?}");
        }
    }

    /// What apiextensions/v1 asks of a structural schema.
    fn structural(schema: &Value, path: &str) {
        let node = schema.as_object().unwrap();
        let free = node.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
        let either = node.get("x-kubernetes-int-or-string") == Some(&json!(true));
        assert!(node.contains_key("type") || free || either, "{path} has no type");
        assert!(!(node.contains_key("properties") && node.contains_key("additionalProperties")), "{path}");
        for branch in schema["anyOf"].as_array().into_iter().flatten() {
            assert!(branch.as_object().unwrap().keys().all(|key| key == "required"), "{path}");
        }
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            structural(inner, &format!("{path}.{key}"));
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = node.get(key) {
                structural(inner, &format!("{path}.{key}"));
            }
        }
    }

    #[test]
    fn the_schemas_are_structural_and_one_version_is_stored() {
        for definition in all() {
            let versions = definition["spec"]["versions"].as_array().unwrap();
            assert_eq!(versions.iter().filter(|v| v["storage"] == true).count(), 1);
            for version in versions {
                structural(&version["schema"]["openAPIV3Schema"], "");
            }
            let names = &definition["spec"]["names"];
            let name = format!("{}.flagger.app", names["plural"].as_str().unwrap());
            assert_eq!(definition["metadata"]["name"], name.as_str());
        }
    }

    #[test]
    fn the_columns_read_the_analysis_of_their_version() {
        let definition = &all()[0];
        let path = |version: usize| {
            definition["spec"]["versions"][version]["additionalPrinterColumns"][4]["jsonPath"]
                .as_str()
                .unwrap()
                .to_string()
        };
        assert_eq!([path(0), path(1)], [".spec.analysis.interval", ".spec.canaryAnalysis.interval"]);
    }
}
