//! What a write may change of an object: not another object, not what the server keeps, and only the part that it
//! speaks for.

use serde_json::{Map, Value};

use super::{ApiError, Kind, OTHER_NAMESPACE, Part, Write, text, uid};

/// A write names the object that it changes, and may name the uid and resourceVersion that it was decided on.
pub(super) fn check_identity(kind: &Kind, name: &str, current: &Value, object: &Value) -> Result<(), ApiError> {
    let metadata = check_name(name, object)?;
    let here = current["metadata"]["namespace"].as_str().unwrap_or_default();
    let given = text(metadata, "namespace");
    if !given.is_empty() && given != here {
        return Err(ApiError::bad_request(OTHER_NAMESPACE));
    }
    let (theirs, ours) = (text(metadata, "uid"), uid(current));
    if !theirs.is_empty() && theirs != ours {
        let group = if kind.custom { format!("{}/", kind.group) } else { String::new() };
        let place = if here.is_empty() { String::new() } else { format!("{here}/") };
        let stored = format!("/registry/{group}{}/{place}{name}", kind.plural);
        return Err(ApiError::conflict(
            kind,
            name,
            format!(
                "StorageError: invalid object, Code: 4, Key: {stored}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {theirs}, UID in object meta: {ours}"
            ),
        ));
    }
    let theirs = text(metadata, "resourceVersion");
    let ours = current["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !theirs.is_empty() && theirs != ours {
        return Err(ApiError::modified(kind, name));
    }
    Ok(())
}

/// The object's metadata, where it has the name that the request has.
pub(super) fn check_name<'a>(name: &str, object: &'a Value) -> Result<&'a Map<String, Value>, ApiError> {
    let unnamed = || {
        ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))
    };
    let metadata = object.get("metadata").and_then(Value::as_object).ok_or_else(unnamed)?;
    let given = text(metadata, "name");
    if given.is_empty() {
        return Err(unnamed());
    }
    if given != name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    Ok(metadata)
}

/// Puts back what a writer may not change: what the server keeps, and the parts that the write does not speak for.
pub(super) fn keep_what_is_not_theirs(kind: &Kind, current: &Value, object: &mut Value, write: &Write) {
    if write.part != Part::Main {
        let mut kept = current.clone();
        match write.part {
            Part::Status => {
                copy_field(object, &mut kept, "status");
                copy_field(&object["metadata"], &mut kept["metadata"], "managedFields");
                if !kind.custom {
                    keep_status_metadata(kind, object, &mut kept);
                }
            }
            Part::Scale => {
                if let Some(replicas) = object.pointer("/spec/replicas")
                    && let Some(spec) = kept.get_mut("spec").and_then(Value::as_object_mut)
                {
                    spec.insert("replicas".into(), replicas.clone());
                }
            }
            Part::Main => {}
        }
        *object = kept;
        return;
    }
    if kind.has_status && !write.trusted {
        copy_field(current, object, "status");
    }
    for field in ["apiVersion", "kind"] {
        // A write through another version is checked under that version, then relabelled.
        if object.get(field).is_none() {
            copy_field(current, object, field);
        }
    }
    for field in [
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "resourceVersion",
        "selfLink",
    ] {
        copy_field(&current["metadata"], &mut object["metadata"], field);
    }
    // A writer may say anew who owns what.
    if !object["metadata"].get("managedFields").is_some_and(Value::is_array) {
        copy_field(&current["metadata"], &mut object["metadata"], "managedFields");
    }
}

/// With the status of Kubernetes' own kinds goes metadata of the writer's choosing, but for what owns or selects.
fn keep_status_metadata(kind: &Kind, object: &Value, kept: &mut Value) {
    let fields: &[&str] = match kind.kind.as_str() {
        "Deployment" => &["annotations", "finalizers", "ownerReferences"],
        "Pod" => &["annotations", "labels", "finalizers"],
        _ => &["annotations", "labels", "finalizers", "ownerReferences"],
    };
    for field in fields {
        copy_field(&object["metadata"], &mut kept["metadata"], field);
    }
}

fn copy_field(from: &Value, to: &mut Value, field: &str) {
    let Some(to) = to.as_object_mut() else {
        return;
    };
    match from.get(field) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

/// Whether anything but metadata and (where it is separate) status differs; of a Deployment the annotations count too.
pub(super) fn asks_for_more(kind: &Kind, part: Part, current: &Value, object: &Value) -> bool {
    let (Some(current), Some(object)) = (current.as_object(), object.as_object()) else {
        return false;
    };
    let annotations = |object: &Map<String, Value>| object["metadata"].get("annotations").cloned();
    if part == Part::Main && kind.kind == "Deployment" && annotations(current) != annotations(object) {
        return true;
    }
    let counts = |field: &str| match field {
        "metadata" | "apiVersion" | "kind" => false,
        "status" => !kind.has_status,
        _ => true,
    };
    current.iter().any(|(field, value)| counts(field) && object.get(field) != Some(value))
        || object.keys().any(|field| counts(field) && !current.contains_key(field))
}
