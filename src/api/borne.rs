//! Labels and annotations that an object bears, held against those that it should bear, and what it was before it was
//! taken over.
//!
//! What is ours alone on any object (`canary-tui/…`), what kubectl keeps for itself, and the kept original are never a
//! difference and never taken away.

use super::canary::{Metadata, Unmanaged};
use super::{Owner, annotation};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Annotations that keep Flux from reverting what a rollout changes.
pub const HANDS_OFF: [(&str, &str); 2] =
    [("kustomize.toolkit.fluxcd.io/reconcile", "disabled"), ("helm.toolkit.fluxcd.io/driftDetection", "disabled")];

fn is_kept(key: &str) -> bool {
    key.starts_with("canary-tui/") || [annotation::APPLIED, annotation::FLAGGER_ORIGINAL].contains(&key)
}

/// The labels and annotations of an object that are held against those that it should bear.
pub fn borne(object: &Value) -> Metadata {
    let texts = |path: &str| -> BTreeMap<String, String> {
        let map = object.pointer(path).and_then(Value::as_object).into_iter().flatten();
        map.filter(|(key, _)| !is_kept(key))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string())))
            .collect()
    };
    Metadata { labels: texts("/metadata/labels"), annotations: texts("/metadata/annotations") }
}

/// The `metadata` of an object of this name with what it should bear, and its owner.
pub fn owned(owner: &Owner, name: &str, bears: &Metadata) -> Value {
    let mut metadata = owner.metadata(name);
    for (key, map) in [("labels", &bears.labels), ("annotations", &bears.annotations)] {
        if !map.is_empty() {
            metadata.insert(key.into(), json!(map));
        }
    }
    Value::Object(metadata)
}

/// These labels and annotations, and those that keep Flux away.
pub fn hands_off(metadata: &Metadata) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.annotations.extend(HANDS_OFF.map(|(key, value)| (key.to_string(), value.to_string())));
    metadata
}

/// A merge patch of `metadata` that makes what is borne into what should be; None where it is. What somebody else is to
/// write (`unmanaged`) stays as it is where it is there.
pub fn difference(present: &Metadata, desired: &Metadata, unmanaged: &Unmanaged) -> Option<Value> {
    let of = |present: &BTreeMap<String, String>, desired: &BTreeMap<String, String>, unmanaged: &[String]| {
        let mut patch = Map::new();
        for key in present.keys().filter(|key| !desired.contains_key(*key) && !unmanaged.contains(key)) {
            patch.insert(key.clone(), Value::Null);
        }
        for (key, value) in desired {
            let theirs = unmanaged.contains(key) && present.contains_key(key);
            if !theirs && present.get(key) != Some(value) {
                patch.insert(key.clone(), json!(value));
            }
        }
        patch
    };
    let labels = of(&present.labels, &desired.labels, &unmanaged.labels);
    let annotations = of(&present.annotations, &desired.annotations, &unmanaged.annotations);
    let mut patch = Map::new();
    for (key, map) in [("labels", labels), ("annotations", annotations)] {
        if !map.is_empty() {
            patch.insert(key.into(), Value::Object(map));
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// As [`difference`], where whatever others write beside what should be borne stays: nobody fights over it.
pub fn lacking(present: &Metadata, desired: &Metadata) -> Option<Value> {
    let others = |present: &BTreeMap<String, String>, desired: &BTreeMap<String, String>| {
        present.keys().filter(|key| !desired.contains_key(*key)).cloned().collect()
    };
    let unmanaged = Unmanaged {
        labels: others(&present.labels, &desired.labels),
        annotations: others(&present.annotations, &desired.annotations),
    };
    difference(present, desired, &unmanaged)
}

/// The spec that an object had before it was taken over: what kubectl last applied, else what was kept under `key`.
/// What `is_original` refuses was never the original: it was written for a Canary before.
pub fn original(object: &Value, key: &str, is_original: impl Fn(&Value) -> bool) -> Option<Value> {
    let annotations = object.pointer("/metadata/annotations")?;
    let text = |key: &str| serde_json::from_str::<Value>(annotations.get(key)?.as_str()?).ok();
    let applied = text(annotation::APPLIED).and_then(|mut object| Some(object.get_mut("spec")?.take()));
    [applied, text(key)].into_iter().flatten().find(|spec| spec.is_object() && is_original(spec))
}

/// The owners that are left without this Canary; None where it is none of them, or somebody else controls the object.
pub fn disowned(object: &Value, uid: &str) -> Option<Vec<Value>> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let left: Vec<Value> =
        owners.iter().filter(|owner| owner.get("uid").and_then(Value::as_str) != Some(uid)).cloned().collect();
    (left.len() < owners.len()).then_some(left)
}

/// Whether somebody else than this Canary controls an object.
pub fn is_foreign(object: &Value, uid: &str) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let mut controllers = owners.filter(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    controllers.any(|owner| owner.get("uid").and_then(Value::as_str) != Some(uid))
}

/// A merge patch that makes `present` into `desired`: what is desired no more is set to null.
pub fn replacing(present: &Value, desired: &Value) -> Value {
    let mut patch = desired.clone();
    if let (Some(patch), Some(present)) = (patch.as_object_mut(), present.as_object()) {
        for key in present.keys() {
            patch.entry(key.clone()).or_insert(Value::Null);
        }
    }
    patch
}

/// Whether two values are the same to an API server: numbers by what they count, nothing as an empty list.
pub fn alike(left: &Value, right: &Value) -> bool {
    let nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let of = |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(Value::Null);
            left.keys().chain(right.keys()).all(|key| alike(&of(left, key), &of(right, key)))
        }
        (left, right) => left == right || nothing(left) && nothing(right),
    }
}

/// A merge patch by which an object that was taken over outlives the Canary of this uid: its spec is what `change` says,
/// the Canary owns it no more, and what was `kept` of it in that annotation goes. None where nothing is left to do, or
/// where the object is somebody else's.
pub fn handed_back(
    object: &Value,
    uid: &str,
    kept: &str,
    change: impl FnOnce(&Value) -> Option<Value>,
) -> Option<Value> {
    if is_foreign(object, uid) {
        return None;
    }
    let mut patch = Map::new();
    let mut metadata = Map::new();
    if let Some(owners) = disowned(object, uid) {
        metadata.insert("ownerReferences".into(), json!(owners));
    }
    if let Some(spec) = change(object.get("spec").unwrap_or(&Value::Null)) {
        patch.insert("spec".into(), spec);
    }
    if object.pointer("/metadata/annotations").is_some_and(|bears| bears.get(kept).is_some()) {
        metadata.insert("annotations".into(), json!({ kept: null }));
    }
    if !metadata.is_empty() {
        patch.insert("metadata".into(), Value::Object(metadata));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Metadata {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Metadata { labels: map(labels), annotations: map(annotations) }
    }

    #[test]
    fn what_others_write_beside_it_is_lacking_nothing() {
        let metadata = |pairs: &[(&str, &str)]| Metadata {
            annotations: pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            ..Metadata::default()
        };
        let desired = metadata(&[("a", "1")]);
        assert_eq!(lacking(&metadata(&[("a", "1"), ("theirs", "x")]), &desired), None);
        let patch = lacking(&metadata(&[("a", "2"), ("theirs", "x")]), &desired);
        assert_eq!(patch, Some(json!({"annotations": {"a": "1"}})));
    }

    #[test]
    fn a_difference_sets_takes_away_and_leaves_what_is_unmanaged() {
        let present = metadata(&[("a", "1"), ("gone", "x"), ("theirs", "y")], &[("neg", "z")]);
        let desired = metadata(&[("a", "2"), ("theirs", "ours")], &[]);
        let unmanaged = Unmanaged { labels: vec!["theirs".into()], annotations: vec!["neg".into()] };
        assert_eq!(difference(&present, &desired, &unmanaged), Some(json!({"labels": {"a": "2", "gone": null}})));
        assert_eq!(difference(&present, &present, &Unmanaged::default()), None);
    }

    #[test]
    fn what_is_ours_and_kubectls_is_no_difference() {
        let object = json!({"metadata": {"labels": {"a": "1", "odd": 3}, "annotations": {
            "canary-tui/term": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "flagger.kubernetes.io/original-configuration": "{}", "b": "2"}}});
        assert_eq!(borne(&object), metadata(&[("a", "1")], &[("b", "2")]));
        assert_eq!(borne(&json!({"metadata": 3})), Metadata::default());
    }

    #[test]
    fn the_original_is_kubectls_else_the_kept_one_and_never_one_of_ours() {
        let any = |_: &Value| true;
        let kept = json!({"metadata": {"annotations": {"k": "{\"a\":1}"}}});
        assert_eq!(original(&kept, "k", any), Some(json!({"a": 1})));
        let both = json!({"metadata": {"annotations": {
            "k": "{\"a\":1}", "kubectl.kubernetes.io/last-applied-configuration": "{\"spec\":{\"a\":2}}"}}});
        assert_eq!(original(&both, "k", any), Some(json!({"a": 2})));
        assert_eq!(original(&both, "k", |spec| spec["a"] == 1), Some(json!({"a": 1})));
        for odd in [json!(null), json!({"metadata": {"annotations": {"k": "{"}}}), json!({"metadata": {}})] {
            assert_eq!(original(&odd, "k", any), None);
        }
    }

    #[test]
    fn a_replacement_takes_away_what_is_desired_no_more() {
        let (present, desired) = (json!({"http": [1], "tls": []}), json!({"http": [2]}));
        assert_eq!(replacing(&present, &desired), json!({"http": [2], "tls": null}));
    }

    #[test]
    fn numbers_are_alike_by_what_they_count_and_nothing_is_an_empty_list() {
        assert!(alike(&json!({"value": 50.0, "hosts": []}), &json!({"value": 50})));
        assert!(!alike(&json!({"match": [{}]}), &json!({})));
        assert!(!alike(&json!({"headers": {"x": {}}}), &json!({"headers": {}})));
        assert!(!alike(&json!([1, 2]), &json!([2, 1])));
    }
}
