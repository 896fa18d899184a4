//! The published types of Kubernetes' own kinds: what a body of each may hold, and how clients are told of it.
//! One table for both, so that what is explained is what is accepted.

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::kinds::Kind;

/// The type of one built-in kind.
pub struct Published {
    group: &'static str,
    kind: &'static str,
    /// The object as its type writes it: without what the type does not know.
    pub through: fn(&Value) -> Result<Value, serde_json::Error>,
    /// A reference to its schema, which is left with the generator.
    pub describe: fn(&mut SchemaGenerator) -> Schema,
}

/// The type of a kind; none for custom kinds.
pub fn of(kind: &Kind) -> Option<&'static Published> {
    TYPES.iter().find(|one| !kind.custom && one.group == kind.group && one.kind == kind.kind)
}

const TYPES: &[Published] = &[
    published::<Namespace>("", "Namespace"),
    published::<Node>("", "Node"),
    published::<Pod>("", "Pod"),
    published::<Service>("", "Service"),
    published::<ConfigMap>("", "ConfigMap"),
    published::<Secret>("", "Secret"),
    published::<ServiceAccount>("", "ServiceAccount"),
    published::<Event>("", "Event"),
    published::<Deployment>("apps", "Deployment"),
    published::<ReplicaSet>("apps", "ReplicaSet"),
    published::<HorizontalPodAutoscaler>("autoscaling", "HorizontalPodAutoscaler"),
    published::<Lease>("coordination.k8s.io", "Lease"),
    published::<ValidatingAdmissionPolicy>("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    published::<ValidatingAdmissionPolicyBinding>("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    published::<CustomResourceDefinition>("apiextensions.k8s.io", "CustomResourceDefinition"),
];

const fn published<T: DeserializeOwned + Serialize + JsonSchema>(group: &'static str, kind: &'static str) -> Published {
    Published {
        group,
        kind,
        through: |object| serde_json::to_value(T::deserialize(object)?),
        describe: SchemaGenerator::subschema_for::<T>,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::kinds::Kinds;
    use super::*;

    #[test]
    fn every_built_in_kind_has_a_type() {
        for kind in Kinds::built_in().iter() {
            assert!(of(kind).is_some(), "{} has none", kind.resource());
        }
    }
}
