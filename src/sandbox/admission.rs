//! What an object must be before it is kept: in a served version, pruned, completed by its defaults, and valid.
//! It decides from the object, its kind and what it replaces; it never looks at other objects.

use serde_json::{Value, json};

use super::defaults;
use super::kinds::Kind;
use super::schema;
use super::status::{ApiError, FieldError};
use super::store::{Part, Write};
use super::validity;

/// Checks and completes `object`, which replaces `old`. The result is in the version that objects are kept in.
/// Errors: 400 where it is not of this kind or version at all, 422 where fields are wrong.
pub fn admit(kind: &Kind, old: Option<&Value>, mut object: Value, write: &Write) -> Result<Value, ApiError> {
    let version = version_of(kind, &object, write)?;
    validity::metadata_shape(&object)?;
    if !kind.custom {
        defaults::texts(&mut object);
    }
    defaults::clear(kind, &mut object);
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut errors: Vec<FieldError> = validity::metadata(kind, old, &object);
    if kind.custom {
        let schema = kind.version(&version).and_then(|version| version.schema.as_deref());
        if let Some(schema) = schema {
            schema::prune(schema, &mut object);
            schema::default(schema, &mut object);
            errors.extend(match write.part {
                Part::Status => schema::validate_status(schema, &object["status"]),
                _ => schema::validate(schema, &object),
            });
        }
    } else {
        defaults::complete(kind, &mut object);
        errors.extend(validity::of_kind(kind, old, &object));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(kind, &name, errors));
    }
    object["apiVersion"] = json!(kind.storage_api_version());
    object["kind"] = json!(kind.kind);
    Ok(object)
}

/// The version that the object is written in; one that says nothing is in the writer's, or the kept one.
fn version_of(kind: &Kind, object: &Value, write: &Write) -> Result<String, ApiError> {
    let said = object["kind"].as_str().unwrap_or(&kind.kind);
    let storage = kind.storage_api_version();
    let given = object["apiVersion"].as_str().or(write.api_version.as_deref()).unwrap_or(&storage);
    let (group, version) = given.rsplit_once('/').unwrap_or(("", given));
    if said != kind.kind || group != kind.group || kind.version(version).is_none() {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized: {given} {said} is not {} in a version that is served",
            kind.resource()
        )));
    }
    // What is kept bears the version that it is kept in, so the writer says which one it speaks.
    let spoken = write.api_version.as_deref().and_then(|given| given.rsplit('/').next());
    Ok(spoken.unwrap_or(version).to_owned())
}
