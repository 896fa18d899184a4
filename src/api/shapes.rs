//! The shape of the primary Deployment, and who owns, and which label tells apart, what a Canary owns. Names, labels and
//! fields are Flagger's, so that either tool can take over from the other.

mod configs;
mod difference;
mod primary;
mod scaler;

pub use configs::{
    ConfigKind, ConfigRef, copy, copy_name, is_copy, is_tracked, kept_name, key, keys, of_key, original_name,
    references, shared_owners,
};
pub use difference::{Change, Difference, differences};
pub use primary::{CARRIED, as_authored, likeness, likeness_as_primary, primary, primary_template, returned_template};
pub use scaler::scaler;

use super::{GROUP, VERSIONS};
use serde::{Deserialize, Serialize};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    #[test]
    fn a_target_without_a_usable_label_is_named() {
        let mut target = target();
        target["spec"]["selector"]["matchLabels"] = json!({"tier": "x"});
        assert!(Selector::of(&target).unwrap_err().contains("app.test"));
    }
}
