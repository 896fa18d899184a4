//! The shapes of the objects that a Canary owns: the primary Deployment, three Services, the VirtualService and two
//! DestinationRules. Names, labels and fields are Flagger's, so that either tool can take over from the other.

mod configs;
mod primary;
mod scaler;

pub use configs::{
    ConfigKind, ConfigRef, copy, copy_name, is_copy, is_tracked, kept_name, key, keys, of_key, original_name,
    references, shared_owners,
};
pub use primary::{CARRIED, likeness, likeness_as_primary, primary, primary_template, returned_template};
pub use scaler::scaler;

use super::{GROUP, ISTIO_GROUP, ISTIO_VERSIONS, Service, VERSIONS};
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

    fn metadata(&self, name: &str) -> Map<String, Value> {
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

/// Annotations that keep Flux from reverting what a rollout changes.
fn hands_off() -> Value {
    json!({
        "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
        "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    })
}

/// One of the three Services.
pub fn service(owner: &Owner, service: &Service, selector: &Selector, role: Role) -> Value {
    let name = role.name(&service.apex);
    let selected = match role {
        Role::Canary => selector.value.clone(),
        Role::Apex | Role::Primary => selector.primary(),
    };
    let mut metadata = owner.metadata(&name);
    metadata.insert("labels".into(), json!({ selector.label.as_str(): name }));
    metadata.insert("annotations".into(), hands_off());
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "ClusterIP",
            "selector": { selector.label.as_str(): selected },
            "ports": [{
                "name": service.port_name,
                "protocol": "TCP",
                "port": service.port,
                "targetPort": service.target_port,
            }],
        },
    })
}

/// A DestinationRule of the primary or the canary host.
pub fn destination_rule(owner: &Owner, service: &Service, role: Role) -> Value {
    let name = role.name(&service.apex);
    json!({
        "apiVersion": format!("{ISTIO_GROUP}/{}", ISTIO_VERSIONS[0]),
        "kind": "DestinationRule",
        "metadata": owner.metadata(&name),
        "spec": { "host": name },
    })
}

/// The VirtualService with `canary` percent of the traffic on the canary.
pub fn virtual_service(owner: &Owner, service: &Service, canary: u8) -> Value {
    let mut metadata = owner.metadata(&service.apex);
    metadata.insert("annotations".into(), hands_off());
    json!({
        "apiVersion": format!("{ISTIO_GROUP}/{}", ISTIO_VERSIONS[0]),
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": virtual_service_spec(service, canary),
    })
}

/// The VirtualService's spec alone.
pub fn virtual_service_spec(service: &Service, canary: u8) -> Value {
    let mut hosts = service.hosts.clone();
    if !hosts.iter().any(|h| *h == service.apex || h == "*") {
        hosts.push(service.apex.clone());
    }
    let gateways = if service.gateways.is_empty() { vec!["mesh".to_string()] } else { service.gateways.clone() };
    let canary = canary.min(100);
    json!({
        "hosts": hosts,
        "gateways": gateways,
        "http": [{ "route": [
            { "destination": { "host": Role::Primary.name(&service.apex) }, "weight": 100 - canary },
            { "destination": { "host": Role::Canary.name(&service.apex) }, "weight": canary },
        ]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Spec;

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
    fn the_routes_name_the_hosts_once_and_weigh_a_hundred() {
        let spec = virtual_service_spec(&spec().service, 30);
        assert_eq!(spec["hosts"], json!(["app.example.com", "app"]));
        assert_eq!(spec["gateways"], json!(["gw"]));
        assert_eq!(spec["http"][0]["route"][0]["weight"], 70);
        assert_eq!(spec["http"][0]["route"][1], json!({"destination": {"host": "app-canary"}, "weight": 30}));
    }

    #[test]
    fn the_services_select_whom_they_are_named_for() {
        let selector = Selector::of(&target()).unwrap();
        let selected = |role| service(&owner(), &spec().service, &selector, role)["spec"]["selector"]["app"].clone();
        assert_eq!(selected(Role::Apex), "web-primary");
        assert_eq!(selected(Role::Primary), "web-primary");
        assert_eq!(selected(Role::Canary), "web");
    }

    #[test]
    fn a_target_without_a_usable_label_is_named() {
        let mut target = target();
        target["spec"]["selector"]["matchLabels"] = json!({"tier": "x"});
        assert!(Selector::of(&target).unwrap_err().contains("app.test"));
    }
}
