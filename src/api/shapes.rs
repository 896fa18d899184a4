//! The shape of the primary Deployment, and who owns, and which label tells apart, what a Canary owns. Names, labels and
//! fields are Flagger's, so that either tool can take over from the other.

use super::{GROUP, Spec, VERSIONS, annotation};
use serde_json::{Map, Value, json};

/// Labels by which a Deployment's pods may be told apart, in the order in which they are looked for.
pub const SELECTOR_LABELS: [&str; 3] = ["app", "name", "app.kubernetes.io/name"];

/// Which of the three Services, and which of the two DestinationRules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The name that clients use; it selects the primary's pods.
    Apex,
    Primary,
    Canary,
}

impl Role {
    /// Name of this role's Service (and, but for the apex, DestinationRule).
    pub fn name(self, apex: &str) -> String {
        match self {
            Role::Apex => apex.to_string(),
            Role::Primary => format!("{apex}-primary"),
            Role::Canary => format!("{apex}-canary"),
        }
    }
}

/// The Canary that owns an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl Owner {
    /// The controller reference. It names the newest version, whichever the cluster serves it in: the garbage
    /// collector goes by group and uid.
    fn reference(&self) -> Value {
        json!({
            "apiVersion": format!("{GROUP}/{}", VERSIONS[0]),
            "kind": "Canary",
            "name": self.name,
            "uid": self.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }

    /// The metadata of an object of this name that it owns.
    pub fn metadata(&self, name: &str) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("name".into(), json!(name));
        metadata.insert("namespace".into(), json!(self.namespace));
        metadata.insert("ownerReferences".into(), json!([self.reference()]));
        metadata
    }
}

/// The label that tells the target's pods from the primary's, and its value on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub label: String,
    pub value: String,
}

impl Selector {
    /// The first of [`SELECTOR_LABELS`] that the Deployment's selector has. The error reads as a whole sentence.
    pub fn of(deployment: &Value) -> Result<Self, String> {
        let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        SELECTOR_LABELS
            .iter()
            .find_map(|label| {
                let value = labels?.get(*label)?.as_str()?.to_string();
                Some(Self { label: label.to_string(), value })
            })
            .ok_or_else(|| {
                let text = |key: &str| deployment.pointer(&format!("/metadata/{key}")).and_then(Value::as_str);
                let (name, namespace) = (text("name").unwrap_or("?"), text("namespace").unwrap_or("?"));
                format!(
                    "deployment {name}.{namespace} spec.selector.matchLabels must contain one of [{}]",
                    SELECTOR_LABELS.join(" ")
                )
            })
    }

    /// The label's value on the primary's pods.
    pub fn primary(&self) -> String {
        format!("{}-primary", self.value)
    }
}

/// The primary Deployment, as it is first created from the target.
pub fn primary(owner: &Owner, spec: &Spec, target: &Value, replicas: u32, revision: &str) -> Result<Value, String> {
    let selector = Selector::of(target)?;
    let mut metadata = owner.metadata(&spec.primary());
    metadata.insert("labels".into(), json!({ selector.label.as_str(): selector.primary() }));
    let mut annotations = Map::new();
    for (key, value) in target.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten() {
        // Left out: what another tool or the Deployment controller keeps for the target itself.
        let others = ["toolkit.fluxcd.io", "kubectl.kubernetes.io/", "deployment.kubernetes.io/", "canary-tui/"];
        if !others.iter().any(|part| key.contains(part)) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    annotations.insert(annotation::REVISION.into(), json!(revision));
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

/// Fields of the Deployment's spec that the primary takes over beside the template.
pub const CARRIED: [&str; 4] = ["progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy"];

/// The target's pod template as the primary bears it. `flagger-id` is the revision: Flagger draws a new one at each
/// promotion to force a rolling update; a promotion that is repeated after a crash must not force another.
pub fn primary_template(target: &Value, selector: &Selector, target_name: &str, revision: &str) -> Value {
    let mut template = target.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let metadata = object_at(&mut template, "metadata");
    metadata.remove("creationTimestamp");
    for key in ["labels", "annotations"] {
        if let Some(map) = metadata.get_mut(key).and_then(Value::as_object_mut) {
            map.retain(|k, _| !k.contains("toolkit.fluxcd.io"));
        }
    }
    let template_metadata = metadata;
    object_in(template_metadata, "labels").insert(selector.label.clone(), json!(selector.primary()));
    object_in(template_metadata, "annotations").insert("flagger-id".into(), json!(revision));
    rewrite_affinity(&mut template, target_name);
    template
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

/// Anti-affinity and spread constraints that name the target mean the primary on the primary.
fn rewrite_affinity(template: &mut Value, target_name: &str) {
    let Some(spec) = template.get_mut("spec") else { return };
    for constraint in spec.get_mut("topologySpreadConstraints").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(labels) = constraint.get_mut("labelSelector") {
            rewrite_labels(labels, target_name);
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
                rewrite_labels(labels, target_name);
            }
        }
    }
}

fn rewrite_labels(selector: &mut Value, target_name: &str) {
    let primary = json!(format!("{target_name}-primary"));
    for (key, value) in selector.get_mut("matchLabels").and_then(Value::as_object_mut).into_iter().flatten() {
        if SELECTOR_LABELS.contains(&key.as_str()) && value.as_str() == Some(target_name) {
            *value = primary.clone();
        }
    }
    for expression in selector.get_mut("matchExpressions").and_then(Value::as_array_mut).into_iter().flatten() {
        if expression.get("key").and_then(Value::as_str).is_some_and(|key| SELECTOR_LABELS.contains(&key)) {
            let values = expression.get_mut("values").and_then(Value::as_array_mut);
            if let Some(value) = values.into_iter().flatten().find(|v| v.as_str() == Some(target_name)) {
                *value = primary.clone();
            }
        }
    }
}

/// The ConfigMaps and Secrets that a pod template mounts, as `configmap/name` or `secret/name`, sorted.
pub fn configs(template: &Value) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    let Some(spec) = template.get("spec") else { return Vec::new() };
    let mut add = |kind: &str, name: Option<&Value>| {
        if let Some(name) = name.and_then(Value::as_str) {
            found.insert(format!("{kind}/{name}"));
        }
    };
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    for volume in list(spec.get("volumes")) {
        add("configmap", volume.pointer("/configMap/name"));
        add("secret", volume.pointer("/secret/secretName"));
        for source in list(volume.pointer("/projected/sources")) {
            add("configmap", source.pointer("/configMap/name"));
            add("secret", source.pointer("/secret/name"));
        }
    }
    for container in list(spec.get("containers")).into_iter().chain(list(spec.get("initContainers"))) {
        for env in list(container.get("env")) {
            add("configmap", env.pointer("/valueFrom/configMapKeyRef/name"));
            add("secret", env.pointer("/valueFrom/secretKeyRef/name"));
        }
        for from in list(container.get("envFrom")) {
            add("configmap", from.pointer("/configMapRef/name"));
            add("secret", from.pointer("/secretRef/name"));
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Value {
        json!({
            "metadata": {"name": "app", "namespace": "test", "annotations": {
                "team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "deployment.kubernetes.io/revision": "3"}},
            "spec": {
                "replicas": 2, "strategy": {"type": "RollingUpdate"},
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web", "tier": "x"}},
                    "spec": {
                        "containers": [{"name": "web", "image": "web:1",
                            "env": [{"name": "C", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "c"}}}]}],
                        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                            {"labelSelector": {"matchExpressions": [
                                {"key": "app", "operator": "In", "values": ["app"]}]}}]}},
                    },
                },
            },
        })
    }

    fn owner() -> Owner {
        Owner { namespace: "test".into(), name: "app".into(), uid: "u-1".into() }
    }

    fn spec() -> Spec {
        Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "service": {"port": 80, "targetPort": 8080, "hosts": ["app.example.com"], "gateways": ["gw"]},
            "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
        }))
        .unwrap()
    }

    #[test]
    fn the_primary_is_the_target_under_another_label() {
        let primary = primary(&owner(), &spec(), &target(), 2, "abc").unwrap();
        assert_eq!(primary["metadata"]["name"], "app-primary");
        assert_eq!(primary["spec"]["selector"]["matchLabels"], json!({"app": "web-primary"}));
        assert_eq!(primary["spec"]["template"]["metadata"]["labels"], json!({"app": "web-primary", "tier": "x"}));
        assert_eq!(primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"], "abc");
        assert_eq!(primary["metadata"]["annotations"], json!({"team": "a", "canary-tui/revision": "abc"}));
        assert_eq!(primary["spec"]["strategy"]["type"], "RollingUpdate");
        let term = "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0";
        assert_eq!(primary.pointer(term).unwrap()["labelSelector"]["matchExpressions"][0]["values"][0], "app-primary");
        assert_eq!(primary["metadata"]["ownerReferences"][0]["uid"], "u-1");
    }

    #[test]
    fn a_target_without_a_usable_label_is_named() {
        let mut target = target();
        target["spec"]["selector"]["matchLabels"] = json!({"tier": "x"});
        assert!(Selector::of(&target).unwrap_err().contains("app.test"));
    }

    #[test]
    fn finds_the_configs_that_a_template_mounts() {
        assert_eq!(configs(&target()["spec"]["template"]), ["configmap/cfg"]);
    }
}
