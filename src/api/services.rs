//! The three Services of a Canary: their shape, whether a live one is as it should be, and the way back of the apex
//! Service to the target.

use super::annotation;
use super::borne;
use super::canary::{Metadata, Service};
use super::shapes::{Owner, Role, Selector};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A port that a container of the target names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    pub container: String,
    /// Its place among the container's ports.
    pub index: usize,
    pub name: Option<String>,
    pub port: u16,
}

/// Containers whose ports are the mesh's.
const SIDECARS: [&str; 2] = ["istio-proxy", "envoy"];
/// Longest name of a Service's port.
const LONGEST_NAME: usize = 63;

impl ContainerPort {
    /// Those of a pod template.
    pub fn of(template: &Value) -> Vec<Self> {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut found = Vec::new();
        for container in list(template.pointer("/spec/containers")) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if SIDECARS.contains(&name) {
                continue;
            }
            for (index, port) in list(container.get("ports")).iter().enumerate() {
                let number = port.get("containerPort").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
                let Some(number) = number.filter(|number| *number > 0) else { continue };
                found.push(Self {
                    container: name.to_string(),
                    index,
                    name: port.get("name").and_then(Value::as_str).filter(|n| !n.is_empty()).map(str::to_string),
                    port: number,
                });
            }
        }
        // It is kept for each workload, and the room of an empty list grows by fours.
        found.shrink_to_fit();
        found
    }
}

/// Labels and annotations that a role's Service is to bear.
pub fn metadata(service: &Service, selector: &Selector, role: Role) -> Metadata {
    let own = match role {
        Role::Apex => &service.apex_metadata,
        Role::Primary => &service.primary_metadata,
        Role::Canary => &service.canary_metadata,
    };
    let mut metadata = borne::hands_off(own);
    metadata.labels.insert(selector.label.clone(), role.name(&service.apex));
    metadata
}

/// One of the three Services, of a target whose containers have these ports.
pub fn service(
    owner: &Owner,
    service: &Service,
    selector: &Selector,
    containers: &[ContainerPort],
    role: Role,
) -> Value {
    let selected = match role {
        Role::Canary => selector.value.clone(),
        Role::Apex | Role::Primary => selector.primary(),
    };
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": borne::owned(owner, &role.name(&service.apex), &metadata(service, selector, role)),
        "spec": {
            "type": "ClusterIP",
            "selector": { selector.label.as_str(): selected },
            "ports": ports(service, containers),
        },
    });
    if service.headless {
        object["spec"]["clusterIP"] = json!("None");
    }
    if let Some(distribution) = &service.traffic_distribution {
        object["spec"]["trafficDistribution"] = json!(distribution);
    }
    object
}

/// The ports: the Canary's own and, where it asks for that, the containers' others. No number and no name comes twice,
/// which no API server would take.
fn ports(service: &Service, containers: &[ContainerPort]) -> Vec<Value> {
    let mut own = json!({
        "name": service.port_name,
        "protocol": "TCP",
        "port": service.port,
        "targetPort": service.target_port,
    });
    if let Some(protocol) = &service.app_protocol {
        own["appProtocol"] = json!(protocol);
    }
    let mut ports = vec![own];
    if !service.port_discovery {
        return ports;
    }
    let (mut numbers, mut names) = (BTreeSet::from([service.port]), BTreeSet::from([service.port_name.clone()]));
    for found in containers {
        let is_served = match &service.target_port {
            Value::String(name) => found.name.as_ref() == Some(name),
            number => number.as_u64() == Some(found.port.into()),
        };
        if is_served || !numbers.insert(found.port) {
            continue;
        }
        let number = found.index.to_string();
        let room = LONGEST_NAME - "tcp--".len() - number.len();
        let container: String = found.container.chars().take(room).collect();
        let name = found.name.clone().filter(|name| !names.contains(name));
        let name = name.unwrap_or_else(|| format!("tcp-{container}-{number}"));
        if names.insert(name.clone()) {
            ports.push(json!({ "name": name, "protocol": "TCP", "port": found.port, "targetPort": found.port }));
        }
    }
    ports
}

/// Whether the specs of two Services, live and desired, select and serve the same. Type, addresses and node ports are
/// the cluster's.
pub fn same(live: &Value, desired: &Value) -> bool {
    let selector = |spec: &Value| spec.get("selector").cloned().unwrap_or(Value::Null);
    borne::alike(&selector(live), &selector(desired)) && borne::alike(&plain_ports(live), &plain_ports(desired))
}

/// The ports in the order of their numbers, with what an API server takes for granted, without node ports.
fn plain_ports(spec: &Value) -> Value {
    let ports = spec.get("ports").and_then(Value::as_array).into_iter().flatten();
    let mut ports: Vec<Value> = ports
        .map(|port| {
            let of = |key: &str| port.get(key).cloned().unwrap_or(Value::Null);
            json!({
                "name": of("name"),
                "port": of("port"),
                "targetPort": port.get("targetPort").cloned().unwrap_or_else(|| of("port")),
                "protocol": port.get("protocol").cloned().unwrap_or_else(|| json!("TCP")),
                "appProtocol": of("appProtocol"),
            })
        })
        .collect();
    ports.sort_by_key(|port| port["port"].as_u64());
    Value::Array(ports)
}

/// These ports with the node ports that live ones of the same name have.
pub fn with_node_ports(ports: &Value, live: &Value) -> Value {
    let mut ports = ports.clone();
    for port in ports.as_array_mut().into_iter().flatten() {
        let present = live.as_array().into_iter().flatten().find(|present| present.get("name") == port.get("name"));
        if let (Some(number), Some(port)) = (present.and_then(|p| p.get("nodePort")), port.as_object_mut()) {
            port.insert("nodePort".into(), number.clone());
        }
    }
    ports
}

/// What a Service selects and serves: that is what it was before it was taken over.
pub fn kept(spec: &Value) -> Value {
    let of = |key: &str| spec.get(key).cloned().unwrap_or(Value::Null);
    json!({ "selector": of("selector"), "ports": of("ports") })
}

/// Whether a spec selects the primary's pods.
pub fn selects_primary(spec: &Value, selector: &Selector) -> bool {
    let value = spec.get("selector").and_then(|labels| labels.get(&selector.label)).and_then(Value::as_str);
    value == Some(selector.primary().as_str())
}

/// A merge patch by which a live apex Service selects the target's pods again, as it did before the Canary where that is
/// known, and outlives the Canary of this uid. None where nothing is left to do.
pub fn handed_back(object: &Value, uid: &str, selector: &Selector) -> Option<Value> {
    borne::handed_back(object, uid, annotation::ORIGINAL, |spec| {
        if !selects_primary(spec, selector) {
            return None;
        }
        let is_original = |spec: &Value| {
            let labels = spec.get("selector").and_then(Value::as_object);
            labels.is_some_and(|labels| !labels.is_empty()) && !selects_primary(spec, selector)
        };
        let original = borne::original(object, annotation::ORIGINAL, is_original);
        let target = json!({ selector.label.as_str(): selector.value });
        let wanted = original.as_ref().and_then(|spec| spec.get("selector")).unwrap_or(&target);
        let mut change = json!({ "selector": borne::replacing(&spec["selector"], wanted) });
        let ports = original.as_ref().and_then(|spec| spec.get("ports"));
        if let Some(ports) = ports.filter(|ports| ports.as_array().is_some_and(|list| !list.is_empty())) {
            change["ports"] = with_node_ports(ports, &spec["ports"]);
        }
        Some(change)
    })
}

#[cfg(test)]
mod tests;
