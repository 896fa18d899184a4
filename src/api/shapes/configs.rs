//! The ConfigMaps and Secrets that a pod template mounts, and the copies of them that the primary mounts instead.

use super::Owner;
use crate::api::GROUP;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// What holds configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigKind {
    ConfigMap,
    Secret,
}

impl ConfigKind {
    /// As in `status.trackedConfigs`.
    pub fn name(self) -> &'static str {
        match self {
            ConfigKind::ConfigMap => "configmap",
            ConfigKind::Secret => "secret",
        }
    }

    /// As in an object's `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            ConfigKind::ConfigMap => "ConfigMap",
            ConfigKind::Secret => "Secret",
        }
    }
}

impl fmt::Display for ConfigKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One place of a template that names a ConfigMap or a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRef {
    pub kind: ConfigKind,
    pub name: String,
    /// Whether pods start without it.
    pub optional: bool,
}

impl ConfigRef {
    /// `configmap/NAME` or `secret/NAME`, as in `status.trackedConfigs`.
    pub fn key(&self) -> String {
        key(self.kind, &self.name)
    }
}

/// `configmap/NAME` or `secret/NAME`.
pub fn key(kind: ConfigKind, name: &str) -> String {
    format!("{kind}/{name}")
}

/// Kind and name of a key of `status.trackedConfigs`.
pub fn of_key(key: &str) -> Option<(ConfigKind, &str)> {
    let (kind, name) = key.split_once('/')?;
    [ConfigKind::ConfigMap, ConfigKind::Secret].into_iter().find(|k| k.name() == kind).map(|kind| (kind, name))
}

/// Name of the primary's copy.
pub fn copy_name(name: &str) -> String {
    format!("{name}-primary")
}

/// Of what a copy with this name would be one.
pub fn original_name(copy: &str) -> Option<&str> {
    copy.strip_suffix("-primary").filter(|name| !name.is_empty())
}

/// Name under which the copy's content of before the present promotion is kept.
pub fn kept_name(name: &str) -> String {
    format!("{name}-primary-last")
}

/// A reference, and where in the template its name stands.
struct Place {
    reference: ConfigRef,
    pointer: String,
}

/// All places, in the template's order.
fn places(template: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    let mut look = |kind: ConfigKind, source: String, field: &str| {
        let Some(reference) = template.pointer(&source) else { return };
        let Some(name) = reference.get(field).and_then(Value::as_str).filter(|name| !name.is_empty()) else { return };
        let optional = reference.get("optional").and_then(Value::as_bool).unwrap_or(false);
        found.push(Place {
            reference: ConfigRef { kind, name: name.to_string(), optional },
            pointer: format!("{source}/{field}"),
        });
    };
    let count = |pointer: &str| template.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
    for volume in (0..count("/spec/volumes")).map(|i| format!("/spec/volumes/{i}")) {
        look(ConfigKind::ConfigMap, format!("{volume}/configMap"), "name");
        look(ConfigKind::Secret, format!("{volume}/secret"), "secretName");
        let sources = format!("{volume}/projected/sources");
        for source in (0..count(&sources)).map(|i| format!("{sources}/{i}")) {
            look(ConfigKind::ConfigMap, format!("{source}/configMap"), "name");
            look(ConfigKind::Secret, format!("{source}/secret"), "name");
        }
    }
    for list in ["/spec/containers", "/spec/initContainers"] {
        for container in (0..count(list)).map(|i| format!("{list}/{i}")) {
            for env in (0..count(&format!("{container}/env"))).map(|i| format!("{container}/env/{i}/valueFrom")) {
                look(ConfigKind::ConfigMap, format!("{env}/configMapKeyRef"), "name");
                look(ConfigKind::Secret, format!("{env}/secretKeyRef"), "name");
            }
            for from in (0..count(&format!("{container}/envFrom"))).map(|i| format!("{container}/envFrom/{i}")) {
                look(ConfigKind::ConfigMap, format!("{from}/configMapRef"), "name");
                look(ConfigKind::Secret, format!("{from}/secretRef"), "name");
            }
        }
    }
    found
}

/// What a template names, in its order, once for each place.
pub fn references(template: &Value) -> Vec<ConfigRef> {
    places(template).into_iter().map(|place| place.reference).collect()
}

/// Gives every reference the name that `name` answers; None leaves it as it is.
pub fn rename(template: &mut Value, name: impl Fn(&ConfigRef) -> Option<String>) {
    for place in places(template) {
        if let Some((name, present)) = name(&place.reference).zip(template.pointer_mut(&place.pointer)) {
            *present = json!(name);
        }
    }
}

/// Keys of what a template names.
pub fn keys(template: &Value) -> BTreeSet<String> {
    references(template).iter().map(ConfigRef::key).collect()
}

/// An object of this name with the content of `source`: its data of both sorts, and a Secret's type.
pub fn copy(kind: ConfigKind, name: &str, namespace: &str, source: &Value, owners: Vec<Value>) -> Value {
    let mut copy = json!({
        "apiVersion": "v1",
        "kind": kind.kind(),
        "metadata": { "name": name, "namespace": namespace, "ownerReferences": owners },
    });
    for field in ["data", "binaryData", "type"] {
        if let Some(value) = source.get(field) {
            copy[field] = value.clone();
        }
    }
    copy
}

/// Owners of a copy that this Canary writes: the Canary controls it, and the Canaries that share it stay owners. None
/// where the Canary is among them already.
///
/// # Errors
/// The object is controlled by something else than a Canary; a clause that says by what.
pub fn shared_owners(owner: &Owner, present: &Value) -> Result<Option<Vec<Value>>, String> {
    let present = present.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let present = present.map(Vec::as_slice).unwrap_or_default();
    let text = |reference: &Value, key: &str| reference.get(key).and_then(Value::as_str).unwrap_or("?").to_string();
    let controls = |reference: &&Value| reference.get("controller").and_then(Value::as_bool) == Some(true);
    if let Some(other) = present.iter().filter(controls).find(|reference| !is_canary(reference)) {
        return Err(format!("belongs to {} {}", text(other, "kind"), text(other, "name")));
    }
    let ours = |reference: &&Value| reference.get("uid").and_then(Value::as_str) == Some(&owner.uid);
    if present.iter().any(|reference| ours(&reference)) {
        return Ok(None);
    }
    let mut owners = vec![owner.reference()];
    owners.extend(present.iter().cloned().map(|mut reference| {
        if controls(&&reference) {
            reference["controller"] = json!(false);
        }
        reference
    }));
    Ok(Some(owners))
}

/// Whether any Canary is among an object's owners: then it is a copy.
pub fn is_copy(object: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(is_canary)
}

fn is_canary(reference: &Value) -> bool {
    let text = |key: &str| reference.get(key).and_then(Value::as_str).unwrap_or("");
    text("kind") == "Canary" && text("apiVersion").split('/').next() == Some(GROUP)
}

/// The first Secret types that are copied; others hold what belongs to the cluster itself.
const SECRET_TYPES: [&str; 4] = ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"];

/// Whether an object is copied and tracked at all: its author may say no, and so does the type of some Secrets.
pub fn is_tracked(kind: ConfigKind, object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let says = annotations.and_then(|a: &Map<String, Value>| a.get("flagger.app/config-tracking")?.as_str());
    let typed = object.get("type").and_then(Value::as_str).filter(|t| !t.is_empty()).unwrap_or("Opaque");
    !says.is_some_and(|says| says.starts_with("disable"))
        && (kind == ConfigKind::ConfigMap || SECRET_TYPES.contains(&typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everywhere() -> Value {
        json!({"spec": {
            "volumes": [
                {"name": "a", "configMap": {"name": "cm-volume", "optional": true}},
                {"name": "b", "secret": {"secretName": "secret-volume"}},
                {"name": "c", "projected": {"sources": [
                    {"configMap": {"name": "cm-projected"}}, {"secret": {"name": "secret-projected"}}]}},
                {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "not-scanned"}}}],
            "imagePullSecrets": [{"name": "not-scanned-either"}],
            "containers": [{"name": "c",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm-env", "key": "k"}}},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "secret-env", "key": "k"}}}],
                "envFrom": [{"configMapRef": {"name": "cm-from"}}, {"secretRef": {"name": "secret-from"}}]}],
            "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "cm-init"}}]}],
        }})
    }

    #[test]
    fn references_are_found_wherever_flagger_scans_and_nowhere_else() {
        let found: Vec<String> = references(&everywhere()).iter().map(ConfigRef::key).collect();
        let expected = [
            "configmap/cm-volume",
            "secret/secret-volume",
            "configmap/cm-projected",
            "secret/secret-projected",
            "configmap/cm-env",
            "secret/secret-env",
            "configmap/cm-from",
            "secret/secret-from",
            "configmap/cm-init",
        ];
        assert_eq!(found, expected);
        assert!(references(&everywhere())[0].optional);
        assert!(references(&json!({"spec": {"volumes": 3, "containers": [null, {"env": [7]}]}})).is_empty());
    }

    #[test]
    fn only_what_is_named_is_renamed() {
        let mut template = everywhere();
        rename(&mut template, |reference| (reference.name == "cm-env").then(|| copy_name(&reference.name)));
        let names = references(&template);
        assert!(names.iter().any(|r| r.name == "cm-env-primary"));
        assert_eq!(names.iter().filter(|r| r.name.ends_with("-primary")).count(), 1);
    }

    #[test]
    fn secrets_of_other_types_and_what_its_author_excepts_are_not_tracked() {
        let secret = |kind: &str| is_tracked(ConfigKind::Secret, &json!({"type": kind}));
        assert!(secret("Opaque") && secret("kubernetes.io/tls") && secret("kubernetes.io/basic-auth"));
        assert!(!secret("kubernetes.io/service-account-token") && !secret("helm.sh/release.v1"));
        let says = |text: &str| {
            let object = json!({"metadata": {"annotations": {"flagger.app/config-tracking": text}}});
            is_tracked(ConfigKind::ConfigMap, &object)
        };
        assert!(says("enabled") && !says("disabled") && !says("disable"));
    }

    #[test]
    fn a_copy_holds_both_sorts_of_data_and_the_type() {
        let source = json!({"data": {"a": "1"}, "binaryData": {"b": "AA=="}, "immutable": true, "type": "Opaque",
            "metadata": {"labels": {"x": "y"}, "annotations": {"z": "0"}}});
        let copy = copy(ConfigKind::Secret, "a-primary", "test", &source, Vec::new());
        assert_eq!((&copy["data"], &copy["binaryData"]), (&json!({"a": "1"}), &json!({"b": "AA=="})));
        assert_eq!((&copy["type"], copy.get("immutable")), (&json!("Opaque"), None));
        assert_eq!(copy["metadata"].get("labels").or(copy["metadata"].get("annotations")), None);
    }

    #[test]
    fn a_copy_is_shared_between_canaries_and_taken_from_nobody_else() {
        let owner = |uid: &str| Owner { namespace: "test".into(), name: format!("app-{uid}"), uid: uid.into() };
        let first = shared_owners(&owner("1"), &json!({})).unwrap().unwrap();
        let object = json!({"metadata": {"ownerReferences": first}});
        assert!(is_copy(&object));
        assert_eq!(shared_owners(&owner("1"), &object), Ok(None), "it is among them already");
        let both = shared_owners(&owner("2"), &object).unwrap().unwrap();
        let controls: Vec<_> = both.iter().map(|o| (o["uid"].as_str(), o["controller"].as_bool())).collect();
        assert_eq!(controls, [(Some("2"), Some(true)), (Some("1"), Some(false))]);
        let foreign = json!({"metadata": {"ownerReferences": [
            {"apiVersion": "example.com/v1", "kind": "App", "name": "x", "uid": "9", "controller": true}]}});
        assert_eq!(shared_owners(&owner("1"), &foreign), Err("belongs to App x".into()));
    }
}
