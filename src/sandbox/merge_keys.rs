//! By which key the lists of Kubernetes' own kinds are merged: the part of its schemas that patches and field
//! ownership both need. Custom kinds' lists are whole values and have no place here.

use serde_json::Value;

/// How two lists under one field are brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMerge {
    /// Elements are objects, told apart by this field.
    By(&'static str),
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
        | "resourceClaims" => ListMerge::By("name"),
        "volumeMounts" => ListMerge::By("mountPath"),
        "volumeDevices" => ListMerge::By("devicePath"),
        "conditions" | "addresses" => ListMerge::By("type"),
        "ownerReferences" => ListMerge::By("uid"),
        "hostAliases" | "podIPs" => ListMerge::By("ip"),
        "topologySpreadConstraints" => ListMerge::By("topologyKey"),
        "ports" => {
            let of_container =
                sample.as_array().is_some_and(|all| all.iter().any(|port| port.get("containerPort").is_some()));
            ListMerge::By(if of_container { "containerPort" } else { "port" })
        }
        "finalizers" => ListMerge::Set,
        _ => ListMerge::Whole,
    }
}
