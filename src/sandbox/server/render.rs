//! Objects as bytes: under the version that was asked for, whole or as metadata, without copying them first.

use chrono::{DateTime, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::super::kinds::Kind;
use super::super::shape::{Form, Shape};
use super::table;

/// An object under another apiVersion, or without its type where its list says it.
pub struct Labelled<'a> {
    pub object: &'a Value,
    pub api_version: Option<&'a str>,
}

impl Serialize for Labelled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(fields) = self.object.as_object() else {
            return self.object.serialize(serializer);
        };
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in fields {
            match (field.as_str(), self.api_version) {
                ("apiVersion", Some(version)) => map.serialize_entry(field, version)?,
                ("apiVersion" | "kind", None) => {}
                _ => map.serialize_entry(field, value)?,
            }
        }
        map.end()
    }
}

/// The object's metadata, as an object of its own.
pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

/// One object on its own, or in a watch (where a table says its columns once).
pub fn object(kind: &Kind, shape: &Shape, object: &Value, headed: bool, now: DateTime<Utc>) -> Vec<u8> {
    let bytes = match shape.form {
        Form::Whole => {
            let api_version = kind.api_version(&shape.version);
            serde_json::to_vec(&Labelled { object, api_version: Some(&api_version) })
        }
        Form::Metadata => serde_json::to_vec(&partial(object)),
        Form::Table(include) => {
            let revision = object["metadata"]["resourceVersion"].clone();
            let metadata = json!({ "resourceVersion": revision });
            let rows = std::iter::once(object);
            serde_json::to_vec(&table::table(kind, shape, include, rows, metadata, headed, now))
        }
    };
    // Values out of the store always serialise.
    bytes.unwrap_or_default()
}

/// A list of objects.
pub fn list<'a>(
    kind: &Kind,
    shape: &Shape,
    objects: impl Iterator<Item = &'a Value>,
    metadata: Value,
    now: DateTime<Utc>,
) -> Vec<u8> {
    let api_version = kind.api_version(&shape.version);
    let (list_kind, list_version) = match shape.form {
        Form::Table(include) => {
            let table = table::table(kind, shape, include, objects, metadata, true, now);
            return serde_json::to_vec(&table).unwrap_or_default();
        }
        Form::Whole => (kind.list_kind.as_str(), api_version.as_str()),
        Form::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1"),
    };
    let head = json!({ "kind": list_kind, "apiVersion": list_version, "metadata": metadata });
    let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
    bytes.pop();
    bytes.extend_from_slice(b",\"items\":[");
    for (index, object) in objects.enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        let written = match shape.form {
            Form::Metadata => serde_json::to_writer(&mut bytes, &partial(object)),
            // Lists of built-in kinds say the type once; lists of custom kinds repeat it.
            _ => {
                let api_version = kind.custom.then_some(api_version.as_str());
                serde_json::to_writer(&mut bytes, &Labelled { object, api_version })
            }
        };
        // Writing values out of the store into memory does not fail.
        let _ = written;
    }
    bytes.extend_from_slice(b"]}");
    bytes
}
