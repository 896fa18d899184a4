//! What the values of a kind are made of, as far as merging and ownership go: which objects and lists are one value,
//! which maps have keys of the writer's choosing, and by what a list's elements are told apart.

use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::merge_keys::{ListMerge, list_merge};

/// A place in the values of a kind.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In Kubernetes' own types: the field that leads there, from which field.
    Own {
        /// The field above; empty at the root.
        above: &'a str,
        /// The field itself; empty at the root.
        field: &'a str,
    },
    /// An element of a list of Kubernetes' own types, under this field.
    Element(&'a str),
    /// In a custom kind, by its schema.
    Custom(&'a Value),
    /// The root of a custom kind, whose metadata is Kubernetes' own.
    CustomRoot(&'a Value),
    /// Where no schema says anything: objects are merged, lists are one value.
    Unknown,
}

/// How a list is merged and owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List<'a> {
    /// It is one value.
    Whole,
    /// Its elements are plain values.
    Set,
    /// Its elements are objects, told apart by these fields.
    By(Vec<&'a str>),
}

impl<'a> Place<'a> {
    /// The root of a kind's objects, as its version has them.
    pub fn root(kind: &'a Kind, version: &str) -> Self {
        if !kind.custom {
            return Self::Own { above: "", field: "" };
        }
        match kind.version(version).and_then(|version| version.schema.as_deref()) {
            Some(schema) => Self::CustomRoot(schema),
            None => Self::Unknown,
        }
    }

    /// The place under a field or key of the object here.
    pub fn child(self, name: &'a str) -> Self {
        match self {
            Self::Own { field, .. } | Self::Element(field) => Self::Own { above: field, field: name },
            Self::CustomRoot(_) if name == "metadata" => Self::Own { above: "", field: name },
            Self::CustomRoot(schema) | Self::Custom(schema) => {
                let known = schema["properties"].get(name);
                match known.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object())) {
                    Some(schema) => Self::Custom(schema),
                    None => Self::Unknown,
                }
            }
            Self::Unknown => Self::Unknown,
        }
    }

    /// The place of the elements of the list here.
    pub fn element(self) -> Self {
        match self {
            Self::Own { field, .. } | Self::Element(field) => Self::Element(field),
            Self::CustomRoot(schema) | Self::Custom(schema) => schema.get("items").map_or(Self::Unknown, Self::Custom),
            Self::Unknown => Self::Unknown,
        }
    }

    /// Whether a name under the object here is a field of its type, rather than a key of the writer's choosing.
    pub fn has_field(self, name: &str) -> bool {
        match self {
            Self::Own { field, .. } => !is_map(field),
            Self::Element(_) => true,
            Self::CustomRoot(schema) => {
                matches!(name, "apiVersion" | "kind" | "metadata") || schema["properties"].get(name).is_some()
            }
            Self::Custom(schema) => schema["properties"].get(name).is_some(),
            Self::Unknown => false,
        }
    }

    /// Whether the object here is one value.
    pub fn is_whole(self) -> bool {
        match self {
            Self::Own { above, field } => is_whole(above, field),
            Self::Element(field) => matches!(field, "ownerReferences" | "imagePullSecrets" | "secrets"),
            Self::CustomRoot(schema) | Self::Custom(schema) => schema["x-kubernetes-map-type"] == "atomic",
            Self::Unknown => false,
        }
    }

    /// How the list here is merged. `sample` is any list that stands here.
    pub fn list(self, sample: &Value) -> List<'a> {
        match self {
            // A namespace's finalizers are one value, and so are a service account's references.
            Self::Own { above: "spec", field: "finalizers" } | Self::Own { above: "", field: "imagePullSecrets" } => {
                List::Whole
            }
            Self::Own { field, .. } => match list_merge(field, sample) {
                ListMerge::By(keys) => List::By(keys.to_vec()),
                ListMerge::Set => List::Set,
                ListMerge::Whole => List::Whole,
            },
            Self::CustomRoot(schema) | Self::Custom(schema) => match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => List::Set,
                Some("map") => {
                    let keys = schema["x-kubernetes-list-map-keys"].as_array();
                    List::By(keys.into_iter().flatten().filter_map(Value::as_str).collect())
                }
                _ => List::Whole,
            },
            Self::Element(_) | Self::Unknown => List::Whole,
        }
    }

    /// The step to an element of the list here; none for one that lacks all keys by which it could be told.
    pub fn step(self, list: &List, element: &Value) -> Option<String> {
        match list {
            List::Whole => None,
            List::Set => Some(format!("v:{element}")),
            List::By(keys) => {
                let mut named = Map::new();
                for key in keys {
                    let value = element.get(*key).filter(|value| !value.is_null()).cloned();
                    if let Some(value) = value.or_else(|| self.default_of(key)) {
                        named.insert((*key).to_owned(), value);
                    }
                }
                if named.is_empty() {
                    return None;
                }
                Some(format!("k:{}", Value::Object(named)))
            }
        }
    }

    /// What a key is taken for where an element does not say it.
    fn default_of(self, key: &str) -> Option<Value> {
        match self {
            Self::Own { .. } => Some(match key {
                "protocol" => json!("TCP"),
                "port" | "containerPort" => json!(0),
                _ => json!(""),
            }),
            Self::Custom(schema) => schema["items"]["properties"][key].get("default").cloned(),
            _ => None,
        }
    }
}

/// Objects of Kubernetes' own types whose keys are not fields.
fn is_map(field: &str) -> bool {
    matches!(
        field,
        "labels"
            | "annotations"
            | "data"
            | "binaryData"
            | "stringData"
            | "limits"
            | "requests"
            | "capacity"
            | "allocatable"
            | "allocatedResources"
            | "overhead"
            | "options"
            | "volumeAttributes"
    )
}

/// Objects of Kubernetes' own types that are one value.
fn is_whole(above: &str, field: &str) -> bool {
    match field {
        "selector" | "labelSelector" | "namespaceSelector" | "nodeSelector" => true,
        "configMapKeyRef" | "secretKeyRef" | "fileKeyRef" | "fieldRef" | "resourceFieldRef" => true,
        "involvedObject" | "related" | "secretRef" | "dataSource" => true,
        // The rules that a pod's nodes must satisfy, unlike those that it prefers.
        "requiredDuringSchedulingIgnoredDuringExecution" => above == "nodeAffinity",
        _ => false,
    }
}
