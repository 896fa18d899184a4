//! What the server says of itself and of the caller: errors, tables, discovery, reviews, definitions.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::reading::TABLE;
use crate::script::{MERGE, Script};
use crate::writing::{canary, deployment};

/// Paths, methods and names that lead nowhere.
pub fn errors<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.get("no such path", "/nowhere").await;
        s.get("no such group", "/apis/nowhere.example.com/v1").await;
        s.get("no such version", "/apis/apps/v9").await;
        s.get("no such kind", &s.at("apis/apps/v1", "gizmos")).await;
        s.get("no such custom kind", &s.at("apis/flagger.app/v1beta1", "gizmos")).await;
        s.get("no such object", &s.config("/none")).await;
        s.get("no such deployment", &s.deployment("/none")).await;
        s.get("no such canary", &s.canary("/none")).await;
        s.get("no such namespace", "/api/v1/namespaces/no-such-namespace").await;
        s.get("a list in no namespace", "/api/v1/namespaces/no-such-namespace/configmaps").await;
        s.get("no such part", &s.config("/none/part")).await;
        s.get("a namespaced kind without", "/api/v1/configmaps/a").await;
        s.get("a cluster's kind within", &s.at("api/v1", "nodes")).await;
        s.put("replacing all", &s.config(""), json!({})).await;
        s.patch("patching all", &s.config(""), MERGE, json!({})).await;
        s.post("creating a canary's part", &s.canary("/a/status"), json!({})).await;
        s.post("creating without a namespace", "/api/v1/configmaps", json!({ "metadata": { "name": "a" } })).await;
        s.ask("an unknown method", "PROPFIND", &s.config(""), &[], "").await;
        s.ask("options", "OPTIONS", &s.config(""), &[], "").await;
        s.delete("deleting a part", &s.canary("/a/status"), None).await;
    }
    .boxed()
}

/// What `kubectl get` prints.
pub fn tables<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("a deployment", &s.deployment(""), deployment("a")).await;
        s.get_as("deployments", &s.deployment("?includeObject=None"), TABLE).await;
        s.post("a config", &s.config(""), json!({ "metadata": { "name": "a", "labels": { "suite": "api" } }, "data": { "x": "y" } })).await;
        s.get_as("configs", &s.config("?labelSelector=suite"), TABLE).await;
        s.get_as("one config", &s.config("/a"), TABLE).await;
        s.get_as("no objects", &s.config("?labelSelector=suite&includeObject=None"), TABLE).await;
        s.get_as("whole objects", &s.config("?labelSelector=suite&includeObject=Object"), TABLE).await;
        s.get_as("a wrong inclusion", &s.config("?labelSelector=suite&includeObject=Some"), TABLE).await;
        s.get_as("a table of nothing", &s.config("/none"), TABLE).await;
        s.get_as("a table of old", &s.config("?labelSelector=suite"), "application/json;as=Table;g=meta.k8s.io;v=v1beta1,application/json").await;
        let service = json!({ "metadata": { "name": "a" }, "spec": { "clusterIP": "None", "selector": { "app": "a" }, "ports": [{ "port": 80 }, { "name": "b", "port": 90, "protocol": "UDP" }] } });
        let mut service = service;
        service["spec"]["ports"][0]["name"] = json!("a");
        s.post("a service", &s.at("api/v1", "services"), service).await;
        s.get_as("services", &s.at("api/v1", "services"), TABLE).await;
        let lease = json!({ "metadata": { "name": "a" }, "spec": { "holderIdentity": "x" } });
        s.post("a lease", &s.at("apis/coordination.k8s.io/v1", "leases"), lease).await;
        s.get_as("leases", &s.at("apis/coordination.k8s.io/v1", "leases"), TABLE).await;
        s.get_as("no pods", &s.at("api/v1", "pods"), TABLE).await;
        s.get_as("no replica sets", &s.at("apis/apps/v1", "replicasets"), TABLE).await;
        s.get_as("the namespace", &format!("/api/v1/namespaces/{}", s.namespace), TABLE).await;
        s.post("a canary", &s.canary(""), canary("a")).await;
        s.get_as("canaries", &s.canary(""), TABLE).await;
        let status = json!({ "status": { "phase": "Progressing", "canaryWeight": 30, "failedChecks": 1, "iterations": 0,
            "lastTransitionTime": "2026-01-01T00:00:00Z" } });
        s.patch("a status", &s.canary("/a/status"), MERGE, status).await;
        s.get_as("a canary on its way", &s.canary("/a"), TABLE).await;
        s.get_as("a canary of old", &s.at("apis/flagger.app/v1alpha3", "canaries/a"), TABLE).await;
        let event = json!({
            "metadata": { "name": "a.1" },
            "involvedObject": { "kind": "Canary", "name": "a", "namespace": s.namespace },
            "reason": "Synced", "message": "Hello\n", "type": "Normal", "count": 3,
            "source": { "component": "suite" },
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
        });
        s.post("an event", &s.at("api/v1", "events"), event).await;
        s.get_as("events", &s.at("api/v1", "events?fieldSelector=involvedObject.kind%3DCanary"), TABLE).await;
        let route = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "name": "a" },
            "spec": { "hosts": ["a", "b"], "gateways": ["g"], "http": [{ "route": [{ "destination": { "host": "a" } }] }] },
        });
        s.post("a route", &s.at("apis/networking.istio.io/v1", "virtualservices"), route).await;
        s.get_as("routes", &s.at("apis/networking.istio.io/v1", "virtualservices"), TABLE).await;
        let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/canaries.flagger.app";
        s.get_as("a definition", &format!("{definition}?includeObject=None"), TABLE).await;
    }
    .boxed()
}

/// Which of a group's resources are compared: those that the sandbox is for.
const SERVED: &[(&str, &[&str])] = &[
    ("api/v1", &["configmaps", "events", "namespaces", "nodes", "pods", "secrets", "serviceaccounts", "services"]),
    ("apis/apps/v1", &["deployments", "replicasets"]),
    ("apis/autoscaling/v2", &["horizontalpodautoscalers"]),
    ("apis/coordination.k8s.io/v1", &["leases"]),
    ("apis/apiextensions.k8s.io/v1", &["customresourcedefinitions"]),
    ("apis/authentication.k8s.io/v1", &["selfsubjectreviews"]),
    ("apis/authorization.k8s.io/v1", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
    ("apis/flagger.app/v1beta1", &["canaries", "metrictemplates", "alertproviders"]),
    ("apis/networking.istio.io/v1", &["virtualservices", "destinationrules", "gateways"]),
];

/// Parts of resources that the sandbox has no use for.
const PARTS_ELSEWHERE: &[&str] = &[
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "log",
    "portforward",
    "resize",
    "token",
    "finalize",
];

fn is_served(version: &str, resource: &str) -> bool {
    let (plural, part) = resource.split_once('/').unwrap_or((resource, ""));
    let served = SERVED.iter().find(|(served, _)| *served == version);
    let proxied = part != "proxy" || plural == "services";
    served.is_some_and(|(_, plurals)| plurals.contains(&plural)) && !PARTS_ELSEWHERE.contains(&part) && proxied
}

/// What is served, told in the old way and in one document.
pub fn discovery<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.get_only("the core", "/api", |body| body["versions"].clone()).await;
        for (version, _) in SERVED {
            s.get_only(&format!("resources of {version}"), &format!("/{version}"), |body| {
                let mut all: Vec<Value> = body["resources"].as_array().cloned().unwrap_or_default();
                all.retain(|one| is_served(version, one["name"].as_str().unwrap_or_default()));
                all.sort_by_key(|one| one["name"].to_string());
                body["resources"] = Value::Array(all);
                body.clone()
            })
            .await;
        }
        s.get_only("groups", "/apis", |body| {
            let mut all: Vec<Value> = body["groups"].as_array().cloned().unwrap_or_default();
            let served = |name: &str| {
                SERVED.iter().any(|(version, _)| version.split('/').nth(1) == Some(name) && version.starts_with("apis"))
            };
            all.retain(|one| served(one["name"].as_str().unwrap_or_default()));
            all.sort_by_key(|one| one["name"].to_string());
            Value::Array(all)
        })
        .await;
        s.get("one group", "/apis/flagger.app").await;
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        for (root, path) in [("api", "/api"), ("apis", "/apis")] {
            s.get_only_as(&format!("one document of {root}"), path, aggregated, |body| {
                let mut kept = Vec::new();
                for group in body["items"].as_array().into_iter().flatten() {
                    let name = group["metadata"]["name"].as_str().unwrap_or_default();
                    for version in group["versions"].as_array().into_iter().flatten() {
                        let number = version["version"].as_str().unwrap_or_default();
                        let prefix = if name.is_empty() {
                            format!("{root}/{number}")
                        } else {
                            format!("{root}/{name}/{number}")
                        };
                        for resource in version["resources"].as_array().into_iter().flatten() {
                            if is_served(&prefix, resource["resource"].as_str().unwrap_or_default()) {
                                let mut resource = resource.clone();
                                if let Some(parts) = resource["subresources"].as_array_mut() {
                                    parts.retain(|part| {
                                        let part = part["subresource"].as_str().unwrap_or_default();
                                        !PARTS_ELSEWHERE.contains(&part)
                                            && (part != "proxy" || resource_is_service(&prefix))
                                    });
                                    parts.sort_by_key(|part| part["subresource"].to_string());
                                    if parts.is_empty() {
                                        resource["subresources"] = Value::Null;
                                    }
                                }
                                kept.push(json!({ "group": name, "version": number, "resource": resource }));
                            }
                        }
                    }
                }
                kept.sort_by_key(|one| format!("{}{}", one["group"], one["resource"]["resource"]));
                Value::Array(kept)
            })
            .await;
        }
        s.get_only("the version", "/version", |body| {
            body.as_object().into_iter().flatten().map(|(name, value)| json!([name, value.is_string()])).collect()
        })
        .await;
        s.get("health", "/readyz").await;
    }
    .boxed()
}

fn resource_is_service(version: &str) -> bool {
    version == "api/v1"
}

/// Who one is, and what one may do.
pub fn reviews<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        s.post("who am I", who, json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" })).await;
        s.post("who, with less words", who, json!({})).await;
        s.get("who, asked wrongly", who).await;
        let may = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let about = json!({ "spec": { "resourceAttributes": { "verb": "patch", "group": "flagger.app", "resource": "canaries", "namespace": s.namespace } } });
        s.post("may I", may, about).await;
        s.post("may I read a path", may, json!({ "spec": { "nonResourceAttributes": { "verb": "get", "path": "/version" } } })).await;
        s.post("may I nothing", may, json!({ "spec": {} })).await;
        s.post("may I both", may, json!({ "spec": { "resourceAttributes": { "verb": "get" }, "nonResourceAttributes": { "verb": "get", "path": "/" } } })).await;
        let rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        s.post("which rules", rules, json!({ "spec": { "namespace": s.namespace } })).await;
        s.post("which rules nowhere", rules, json!({ "spec": {} })).await;
    }
    .boxed()
}

/// A kind of one's own: defaults, keys of lists, rules, columns.
pub fn definitions<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let group = format!("{}.example.com", s.namespace);
        let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let one = format!("{all}/widgets.{group}");
        let schema = json!({
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["size"],
                    "properties": {
                        "size": { "type": "integer", "minimum": 1, "maximum": 9 },
                        "color": { "type": "string", "enum": ["blue", "red"], "default": "blue" },
                        "name": { "type": "string", "pattern": "^[a-z]+$", "maxLength": 5 },
                        "ports": { "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                            "items": { "type": "object", "required": ["port"], "properties": {
                                "port": { "type": "integer" }, "protocol": { "type": "string", "default": "TCP" }, "name": { "type": "string" },
                            } } },
                        "tags": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
                        "list": { "type": "array", "items": { "type": "string" } },
                        "whole": { "type": "object", "x-kubernetes-map-type": "atomic", "properties": { "a": { "type": "string" }, "b": { "type": "string" } } },
                        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                        "any": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                        "port": { "x-kubernetes-int-or-string": true },
                    },
                },
                "status": { "type": "object", "properties": { "replicas": { "type": "integer" } } },
            },
        });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("widgets.{group}") },
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": { "plural": "widgets", "kind": "Widget", "shortNames": ["wd"] },
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": schema },
                    "subresources": { "status": {} },
                    "additionalPrinterColumns": [
                        { "name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How large" },
                        { "name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1 },
                        { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
                    ],
                }],
            },
        });
        let mut nameless = definition.clone();
        nameless["metadata"]["name"] = json!("gadgets.example.com");
        s.post("another name than it says", all, nameless).await;
        s.post("define", all, definition).await;
        s.until("is established", &one, |definition| {
            let conditions = definition["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|one| one["type"] == "Established" && one["status"] == "True")
        })
        .await;
        let version = format!("apis/{group}/v1");
        s.until("is served", &s.at(&version, "widgets"), |list| list["kind"] == "WidgetList").await;
        let widget = |name: &str, spec: Value| {
            json!({ "apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": { "name": name }, "spec": spec })
        };
        let widgets = s.at(&version, "widgets");
        s.post("create", &widgets, widget("a", json!({ "size": 3, "ports": [{ "port": 80 }], "tags": ["x"], "whole": { "a": "1" } }))).await;
        for (step, spec) in [
            ("nothing", json!({})),
            ("too much", json!({ "size": 10 })),
            ("a wrong type", json!({ "size": "3" })),
            ("a wrong word", json!({ "size": 1, "color": "pink" })),
            ("a wrong name", json!({ "size": 1, "name": "UPPERCASE" })),
            ("ports of one key", json!({ "size": 1, "ports": [{ "port": 80 }, { "port": 80 }] })),
            ("the same tag twice", json!({ "size": 1, "tags": ["x", "x"] })),
            ("a null", json!({ "size": 1, "name": null, "color": null })),
            ("unknown fields", json!({ "size": 1, "odd": 1, "any": { "odd": 1 }, "ports": [{ "port": 1, "odd": 1 }] })),
        ] {
            s.post(&format!("create with {step}"), &format!("{widgets}?dryRun=All"), widget("b", spec)).await;
        }
        let path = format!("{widgets}/a");
        s.apply("bob adds a port and a tag", &path, "bob", widget("a", json!({ "ports": [{ "port": 90, "name": "x" }], "tags": ["y"], "labels": { "k": "v" } }))).await;
        s.apply("bob wants a port's name", &path, "bob", widget("a", json!({ "ports": [{ "port": 80, "name": "x" }] }))).await;
        s.apply("bob wants the whole", &path, "bob", widget("a", json!({ "whole": { "b": "2" } }))).await;
        s.apply("bob wants anything", &path, "bob", widget("a", json!({ "any": { "deep": { "er": [1] } }, "list": ["a"] }))).await;
        s.apply("carol wants any other", &path, "carol", widget("a", json!({ "any": { "deep": { "er": [2], "on": 1 } }, "list": ["b"] }))).await;
        s.get_as("as a table", &widgets, TABLE).await;
        // The hash is of the group too, which is another on each side.
        s.get_only("in discovery", &format!("/apis/{group}/v1"), |body| {
            for resource in body["resources"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                resource.remove("storageVersionHash");
            }
            body.take()
        })
        .await;
        s.delete("undefine", &one, None).await;
        s.until("is served no more", &widgets, |answer| answer["code"] == 404 || answer.is_string()).await;
    }
    .boxed()
}
