//! An object as the API server sent it: JSON, with just enough of a face to be watched.
//!
//! Nothing is decoded into a type on arrival, so one malformed object never takes the others of its list with it.

use super::json_text::JsonText;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Any object.
#[derive(Clone, Debug)]
pub struct Object<F = Value> {
    /// The object, without what nobody here looks at: see `Whole`. It is for reading, and is never written back.
    pub value: F,
    /// Name, namespace and resourceVersion alone.
    metadata: ObjectMeta,
}

/// In which form an object waits until it is looked at.
pub trait Form: Clone + fmt::Debug + Send + 'static {
    /// Whether its metadata alone is asked for.
    const METADATA_ALONE: bool = false;

    /// The object in this form.
    fn of(value: Value) -> Self;
    /// The object as a tree.
    fn into_value(self) -> Value;
}

impl Form for Value {
    fn of(value: Value) -> Self {
        value
    }

    fn into_value(self) -> Value {
        self
    }
}

/// A page of many takes a fraction of what their trees do.
impl Form for JsonText {
    fn of(value: Value) -> Self {
        Self::of(&value)
    }

    fn into_value(self) -> Value {
        self.value()
    }
}

/// As [`JsonText`], of the metadata.
#[derive(Clone, Debug)]
pub struct MetadataText(JsonText);

impl Form for MetadataText {
    const METADATA_ALONE: bool = true;

    fn of(value: Value) -> Self {
        Self(JsonText::of(&value))
    }

    fn into_value(self) -> Value {
        self.0.value()
    }
}

impl<'de, F: Form> Deserialize<'de> for Object<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::Object(deserializer.deserialize_map(Whole)?);
        let text = |key: &str| value.pointer(&format!("/metadata/{key}")).and_then(Value::as_str).map(str::to_string);
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..Default::default()
        };
        Ok(Self { value: F::of(value), metadata })
    }
}

/// Reads an object without the two parts that nobody here looks at and that are often the larger half of it: who manages
/// which field, and the copy that kubectl keeps. They are skipped while reading, not thrown away afterwards, because a
/// list of hundreds of objects would leave its peak behind in the process.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = match key.as_str() {
                "metadata" => Value::Object(access.next_value::<Metadata>()?.0),
                _ => access.next_value()?,
            };
            object.insert(key, value);
        }
        Ok(object)
    }
}

struct Metadata(Map<String, Value>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object's metadata")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut metadata = Map::new();
                while let Some(key) = access.next_key::<String>()? {
                    let value = match key.as_str() {
                        "managedFields" => {
                            // Who wrote the status, and the revision in it, is all that is asked of them.
                            let managers: Option<Vec<Manager>> = access.next_value()?;
                            let of_status = managers.into_iter().flatten().filter(|m| m.subresource == "status");
                            serde_json::to_value(of_status.collect::<Vec<_>>()).unwrap_or_default()
                        }
                        _ => access.next_value()?,
                    };
                    metadata.insert(key, value);
                }
                if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
                }
                Ok(metadata)
            }
        }
        deserializer.deserialize_map(Fields).map(Metadata)
    }
}

#[derive(Serialize, Deserialize)]
struct Manager {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default, rename = "fieldsV1")]
    fields: Fields,
}

/// Of the fields that a manager owns: whether the revision last taken into account is one.
#[derive(Default, Serialize, Deserialize)]
struct Fields {
    #[serde(default, rename = "f:status", skip_serializing_if = "Option::is_none")]
    status: Option<StatusFields>,
}

#[derive(Serialize, Deserialize)]
struct StatusFields {
    #[serde(default, rename = "f:lastAppliedSpec", skip_serializing_if = "Option::is_none")]
    applied: Option<Value>,
}

impl<F: Form> Resource for Object<F> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        F::METADATA_ALONE
    }

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }

    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }

    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }

    fn api_version(kind: &ApiResource) -> Cow<'_, str> {
        kind.api_version.as_str().into()
    }

    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_of_the_status_are_kept_and_the_fields_are_not() {
        let object: Object = serde_json::from_str(
            r#"{"kind": "X", "metadata": {"name": "a", "resourceVersion": "7",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"},
                "managedFields": [
                    {"manager": "kubectl", "fieldsV1": {"f:spec": {}}},
                    {"manager": "flagger", "subresource": "status", "time": "2026-11-22T10:00:00Z",
                        "fieldsV1": {"f:status": {".": {}, "f:phase": {}, "f:lastAppliedSpec": {}}}}]},
                "spec": {"a": 1}}"#,
        )
        .unwrap();
        assert_eq!(object.value["metadata"]["annotations"], serde_json::json!({"mine": "1"}));
        let managers = &object.value["metadata"]["managedFields"];
        assert_eq!(managers[0]["fieldsV1"], serde_json::json!({"f:status": {"f:lastAppliedSpec": {}}}));
        assert_eq!((managers.as_array().map(Vec::len), &managers[0]["manager"]), (Some(1), &"flagger".into()));
        assert_eq!((object.meta().name.as_deref(), &object.value["spec"]["a"]), (Some("a"), &1.into()));
    }
}
