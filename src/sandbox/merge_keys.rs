//! By which keys the lists of Kubernetes' own kinds are merged: the part of its schemas that strategic patches and
//! server-side apply both need. Custom kinds' lists are declared in their schema and have no place here.

use serde_json::Value;

/// How two lists under one field are brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMerge {
    /// Elements are objects, told apart by these fields. Strategic patches go by the first alone.
    By(&'static [&'static str]),
    /// Elements are plain values: a set.
    Set,
    /// The list is one value.
    Whole,
}

/// How the list `field` is merged. `sample` is any of the lists involved: ports of a container and of a service have
/// the same field name and different keys.
pub fn list_merge(field: &str, sample: &Value) -> ListMerge {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims"
        | "schedulingGates" => ListMerge::By(&["name"]),
        "volumeMounts" => ListMerge::By(&["mountPath"]),
        "volumeDevices" => ListMerge::By(&["devicePath"]),
        "conditions" | "addresses" => ListMerge::By(&["type"]),
        "ownerReferences" => ListMerge::By(&["uid"]),
        "hostAliases" | "podIPs" => ListMerge::By(&["ip"]),
        "topologySpreadConstraints" => ListMerge::By(&["topologyKey", "whenUnsatisfiable"]),
        "ports" => {
            let of_container =
                sample.as_array().is_some_and(|all| all.iter().any(|port| port.get("containerPort").is_some()));
            if of_container {
                ListMerge::By(&["containerPort", "protocol"])
            } else {
                ListMerge::By(&["port", "protocol"])
            }
        }
        "finalizers" => ListMerge::Set,
        _ => ListMerge::Whole,
    }
}
