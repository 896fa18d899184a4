//! The primary Deployment: the target's template under another label, with copies of what that mounts.

use super::{ConfigRef, Owner, SELECTOR_LABELS, Selector, configs, copy_name, original_name};
use crate::api::{Revision, Spec, annotation};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Fields of the Deployment's spec that the primary takes over beside the template.
pub const CARRIED: [&str; 4] = ["progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy"];

/// What another tool keeps in labels and annotations for the target itself.
const FLUX: &str = "toolkit.fluxcd.io";

/// Annotation of the primary's template that makes every promotion a rolling update.
const FLAGGER_ID: &str = "flagger-id";

/// The primary Deployment, as it is first created from the target.
///
/// # Errors
/// The target has no label by which its pods can be told apart.
pub fn primary(
    owner: &Owner,
    spec: &Spec,
    target: &Value,
    replicas: u32,
    revision: &Revision,
) -> Result<Value, String> {
    let selector = Selector::of(target)?;
    let mut metadata = owner.metadata(&spec.primary());
    metadata.insert("labels".into(), json!({ selector.label.as_str(): selector.primary() }));
    let mut annotations = Map::new();
    for (key, value) in target.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten() {
        // Left out: what another tool or the Deployment controller keeps for the target itself.
        let others = [FLUX, "kubectl.kubernetes.io/", "deployment.kubernetes.io/", "canary-tui/"];
        if !others.iter().any(|part| key.contains(part)) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    annotations.insert(annotation::REVISION.into(), json!(revision.to_string()));
    if !revision.configs.is_empty() {
        annotations.insert(annotation::CONFIGS.into(), json!(json!(revision.configs).to_string()));
    }
    metadata.insert("annotations".into(), Value::Object(annotations));
    let mut primary = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { selector.label.as_str(): selector.primary() } },
            "template": primary_template(target, &selector, &spec.target, revision),
        },
    });
    for key in CARRIED {
        if let Some(value) = target.pointer(&format!("/spec/{key}")) {
            primary["spec"][key] = value.clone();
        }
    }
    Ok(primary)
}

/// The target's pod template as the primary bears it, mounting the copies of what the revision tracks. `flagger-id` is
/// the revision: Flagger draws a new one at each promotion to force a rolling update; a promotion that is repeated after
/// a crash must not force another.
pub fn primary_template(target: &Value, selector: &Selector, target_name: &str, revision: &Revision) -> Value {
    let mut template = relabelled(target, selector, target_name);
    object_in(object_at(&mut template, "metadata"), "annotations")
        .insert(FLAGGER_ID.into(), json!(revision.to_string()));
    configs::rename(&mut template, |reference| {
        revision.configs.contains_key(&reference.key()).then(|| copy_name(&reference.name))
    });
    template
}

/// The target's template with the primary's label, without what is another tool's.
fn relabelled(target: &Value, selector: &Selector, target_name: &str) -> Value {
    let mut template = target.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let metadata = object_at(&mut template, "metadata");
    metadata.remove("creationTimestamp");
    for key in ["labels", "annotations"] {
        if let Some(map) = metadata.get_mut(key).and_then(Value::as_object_mut) {
            map.retain(|k, _| !k.contains(FLUX));
        }
    }
    object_in(metadata, "labels").insert(selector.label.clone(), json!(selector.primary()));
    rewrite_affinity(&mut template, target_name, &format!("{target_name}-primary"));
    template
}

/// The primary's template as the target bears it: the way back, where the target's own is gone. `copies` are the keys
/// of what the primary mounts copies of.
pub fn returned_template(primary: &Value, selector: &Selector, target_name: &str, copies: &BTreeSet<String>) -> Value {
    let mut template = primary.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let metadata = object_at(&mut template, "metadata");
    metadata.remove("creationTimestamp");
    object_in(metadata, "labels").insert(selector.label.clone(), json!(selector.value));
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(FLAGGER_ID);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    rewrite_affinity(&mut template, &format!("{target_name}-primary"), target_name);
    configs::rename(&mut template, |reference| {
        let original = original_name(&reference.name)?;
        copies.contains(&configs::key(reference.kind, original)).then(|| original.to_string())
    });
    template
}

/// The target's template as its author wrote it: what it is held against is what [`returned_template`] makes of the
/// primary's, which never got what another tool keeps on the target.
pub fn as_authored(target: &Value) -> Value {
    let mut template = target.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let metadata = object_at(&mut template, "metadata");
    metadata.remove("creationTimestamp");
    for key in ["labels", "annotations"] {
        if let Some(map) = metadata.get_mut(key).and_then(Value::as_object_mut) {
            map.retain(|key, _| !key.contains(FLUX));
        }
    }
    template
}

/// A number that two templates share where they are the same but for the names of what they mount and the marks of
/// promotions. It holds within one process.
pub fn likeness(template: &Value) -> u64 {
    let mut template = template.clone();
    let metadata = object_at(&mut template, "metadata");
    metadata.retain(|key, _| key == "labels" || key == "annotations");
    for map in metadata.values_mut().filter_map(Value::as_object_mut) {
        map.retain(|key, _| !key.contains(FLUX) && key != FLAGGER_ID && !key.starts_with("canary-tui/"));
    }
    configs::rename(&mut template, |_: &ConfigRef| Some(String::new()));
    let mut hasher = DefaultHasher::new();
    hash(&template, &mut hasher);
    hasher.finish()
}

/// The [`likeness`] of what the primary would bear if this Deployment were promoted now; None where it has no usable
/// selector.
pub fn likeness_as_primary(deployment: &Value) -> Option<u64> {
    let selector = Selector::of(deployment).ok()?;
    let name = deployment.pointer("/metadata/name").and_then(Value::as_str)?;
    Some(likeness(&relabelled(deployment, &selector, name)))
}

/// Walks a value; what is empty counts as not there.
fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(_, value)| !is_empty(value)) {
                key.hash(hasher);
                hash(value, hasher);
            }
            '}'.hash(hasher);
        }
        Value::Array(list) => {
            list.iter().for_each(|value| hash(value, hasher));
            ']'.hash(hasher);
        }
        other => other.hash(hasher),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn object_at<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    object_in(value.as_object_mut().expect("made an object above"), key)
}

fn object_in<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let entry = map.entry(key).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry.as_object_mut().expect("made an object above")
}

/// Anti-affinity and spread constraints that name one workload name the other.
fn rewrite_affinity(template: &mut Value, from: &str, to: &str) {
    let Some(spec) = template.get_mut("spec") else { return };
    for constraint in spec.get_mut("topologySpreadConstraints").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(labels) = constraint.get_mut("labelSelector") {
            rewrite_labels(labels, from, to);
        }
    }
    let Some(anti) = spec.pointer_mut("/affinity/podAntiAffinity") else { return };
    let terms = [
        ("preferredDuringSchedulingIgnoredDuringExecution", "/podAffinityTerm/labelSelector"),
        ("requiredDuringSchedulingIgnoredDuringExecution", "/labelSelector"),
    ];
    for (list, selector) in terms {
        for term in anti.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(labels) = term.pointer_mut(selector) {
                rewrite_labels(labels, from, to);
            }
        }
    }
}

fn rewrite_labels(selector: &mut Value, from: &str, to: &str) {
    for (key, value) in selector.get_mut("matchLabels").and_then(Value::as_object_mut).into_iter().flatten() {
        if SELECTOR_LABELS.contains(&key.as_str()) && value.as_str() == Some(from) {
            *value = json!(to);
        }
    }
    for expression in selector.get_mut("matchExpressions").and_then(Value::as_array_mut).into_iter().flatten() {
        if expression.get("key").and_then(Value::as_str).is_some_and(|key| SELECTOR_LABELS.contains(&key)) {
            let values = expression.get_mut("values").and_then(Value::as_array_mut);
            if let Some(value) = values.into_iter().flatten().find(|v| v.as_str() == Some(from)) {
                *value = json!(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Value {
        json!({
            "metadata": {"name": "app", "namespace": "test", "labels": {"app.kubernetes.io/name": "app", "team": "a"},
                "annotations": {"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}",
                    "kustomize.toolkit.fluxcd.io/x": "1", "deployment.kubernetes.io/revision": "3"}},
            "spec": {
                "replicas": 2, "strategy": {"type": "RollingUpdate"}, "minReadySeconds": 5,
                "progressDeadlineSeconds": 60, "revisionHistoryLimit": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web", "tier": "x", "a.toolkit.fluxcd.io/b": "c"},
                        "annotations": {"prometheus.io/scrape": "true"}},
                    "spec": {
                        "containers": [{"name": "web", "image": "web:1", "env": [
                            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "c"}}},
                            {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "left", "key": "c"}}}]}],
                        "topologySpreadConstraints": [{"labelSelector": {"matchLabels": {"app": "app", "tier": "app"}}}],
                        "affinity": {
                            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                                {"labelSelector": {"matchLabels": {"app": "app"}}}]},
                            "podAntiAffinity": {
                                "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm":
                                    {"labelSelector": {"matchLabels": {"name": "app"}}}}],
                                "requiredDuringSchedulingIgnoredDuringExecution": [
                                    {"labelSelector": {"matchExpressions": [
                                        {"key": "app", "operator": "In", "values": ["app", "other"]},
                                        {"key": "zone", "operator": "In", "values": ["app"]}]}}]}},
                    },
                },
            },
        })
    }

    fn revision() -> Revision {
        Revision { hash: "abc".into(), configs: [("configmap/cfg".into(), "1".into())].into() }
    }

    fn made() -> Value {
        let owner = Owner { namespace: "test".into(), name: "app".into(), uid: "u-1".into() };
        let spec = Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
        }));
        primary(&owner, &spec.unwrap(), &target(), 2, &revision()).unwrap()
    }

    #[test]
    fn the_way_there_and_back_is_what_the_author_wrote() {
        let selector = Selector::of(&target()).unwrap();
        let copies = revision().configs.keys().cloned().collect();
        let back = returned_template(&made(), &selector, "app", &copies);
        assert_eq!(super::super::differences(&back, &as_authored(&target())), []);
    }

    #[test]
    fn the_primary_bears_no_label_of_the_targets_but_the_selector() {
        let primary = made();
        assert_eq!(primary["metadata"]["name"], "app-primary");
        assert_eq!(primary["metadata"]["labels"], json!({"app": "web-primary"}));
        assert_eq!(primary["spec"]["selector"]["matchLabels"], json!({"app": "web-primary"}));
        assert_eq!(primary["metadata"]["ownerReferences"][0]["uid"], "u-1");
    }

    #[test]
    fn the_primary_bears_the_targets_annotations_but_those_that_tools_keep_for_the_target() {
        let name = revision().to_string();
        let expected = json!({"team": "a", "canary-tui/revision": name,
            "canary-tui/configs": r#"{"configmap/cfg":"1"}"#});
        assert_eq!(made()["metadata"]["annotations"], expected);
    }

    #[test]
    fn the_primary_carries_over_how_the_target_is_rolled_out() {
        let (primary, target) = (made(), target());
        for key in CARRIED {
            assert_eq!(primary["spec"][key], target["spec"][key], "{key}");
        }
        assert_eq!(primary["spec"]["replicas"], 2);
    }

    #[test]
    fn the_primarys_template_is_the_targets_under_another_label_with_a_mark() {
        let template = &made()["spec"]["template"];
        assert_eq!(template["metadata"]["labels"], json!({"app": "web-primary", "tier": "x"}));
        let expected = json!({"prometheus.io/scrape": "true", "flagger-id": revision().to_string()});
        assert_eq!(template["metadata"]["annotations"], expected);
        assert_eq!(template["spec"]["containers"][0]["image"], "web:1");
    }

    #[test]
    fn the_primary_mounts_copies_of_what_is_tracked_alone() {
        let env = &made()["spec"]["template"]["spec"]["containers"][0]["env"];
        let name = |i: usize| env[i]["valueFrom"]["configMapKeyRef"]["name"].clone();
        assert_eq!((name(0), name(1)), (json!("cfg-primary"), json!("left")));
    }

    #[test]
    fn anti_affinity_and_spread_that_name_the_target_name_the_primary_and_affinity_does_not() {
        let spec = &made()["spec"]["template"]["spec"];
        let spread = &spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
        assert_eq!(spread, &json!({"app": "app-primary", "tier": "app"}));
        let anti = &spec["affinity"]["podAntiAffinity"];
        let required = &anti["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"]["matchExpressions"];
        assert_eq!(required[0]["values"], json!(["app-primary", "other"]));
        assert_eq!(required[1]["values"], json!(["app"]));
        let preferred = &anti["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
        assert_eq!(preferred["labelSelector"]["matchLabels"]["name"], "app-primary");
        let affinity = &spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(affinity["labelSelector"]["matchLabels"]["app"], "app");
    }

    #[test]
    fn a_primary_is_like_its_target_whoever_made_it_and_unlike_another() {
        let (target, primary) = (target(), made());
        let mut flaggers = primary["spec"]["template"].clone();
        flaggers["metadata"]["annotations"]["flagger-id"] = json!("a3c8ce95-33c0-4b2c-9bd2-1a5d5d3a0f0e");
        flaggers["metadata"]["creationTimestamp"] = Value::Null;
        assert_eq!(likeness_as_primary(&target), Some(likeness(&flaggers)));
        for (pointer, value) in [
            ("/spec/template/spec/containers/0/image", "web:2"),
            ("/spec/template/metadata/labels/tier", "y"),
            ("/spec/template/metadata/annotations/prometheus.io~1scrape", "false"),
        ] {
            let mut other = target.clone();
            *other.pointer_mut(pointer).unwrap() = json!(value);
            assert_ne!(likeness_as_primary(&other), Some(likeness(&flaggers)), "{pointer}");
        }
    }

    #[test]
    fn the_way_back_from_the_primarys_template_ends_at_the_targets() {
        let (target, selector) = (target(), Selector::of(&target()).unwrap());
        let back = returned_template(&made(), &selector, "app", &revision().configs.keys().cloned().collect());
        let mut expected = target["spec"]["template"].clone();
        expected["metadata"]["labels"].as_object_mut().unwrap().remove("a.toolkit.fluxcd.io/b");
        assert_eq!(back, expected);
    }
}
