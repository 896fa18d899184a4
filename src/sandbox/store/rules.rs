//! What a write may change of an object: not another object, not what the server keeps, and only the part that it
//! speaks for.

use serde_json::Value;

use super::{ApiError, Kind, Part, Write, text, uid};

/// A write names the object that it changes, and may name the uid and resourceVersion that it was decided on.
pub(super) fn check_identity(kind: &Kind, name: &str, current: &Value, object: &Value) -> Result<(), ApiError> {
    let Some(metadata) = object.get("metadata").and_then(Value::as_object) else {
        return Err(ApiError::bad_request("metadata is no JSON object"));
    };
    let given = text(metadata, "name");
    if given != name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let here = current["metadata"]["namespace"].as_str().unwrap_or_default();
    let given = text(metadata, "namespace");
    if !given.is_empty() && given != here {
        return Err(ApiError::bad_request(format!(
            "the namespace of the object ({given}) does not match the namespace on the URL ({here})"
        )));
    }
    let (theirs, ours) = (text(metadata, "uid"), uid(current));
    if !theirs.is_empty() && theirs != ours {
        return Err(ApiError::conflict(
            kind,
            name,
            format!("Precondition failed: UID in precondition: {theirs}, UID in object meta: {ours}"),
        ));
    }
    let theirs = text(metadata, "resourceVersion");
    let ours = current["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !theirs.is_empty() && theirs != ours {
        return Err(ApiError::modified(kind, name));
    }
    Ok(())
}

/// Puts back what a writer may not change: what the server keeps, and the parts that the write does not speak for.
pub(super) fn keep_what_is_not_theirs(kind: &Kind, current: &Value, object: &mut Value, write: &Write) {
    if write.part != Part::Main {
        let mut kept = current.clone();
        match write.part {
            Part::Status => copy_field(object, &mut kept, "status"),
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
        "managedFields",
    ] {
        copy_field(&current["metadata"], &mut object["metadata"], field);
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

fn annotations(deployment: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let all = deployment["metadata"]["annotations"].as_object();
    all.into_iter().flatten().filter(|(name, _)| *name != "deployment.kubernetes.io/revision")
}

/// Whether anything but metadata and (where it is separate) status differs; of a Deployment also the annotations that
/// are not its controller's.
pub(super) fn asks_for_more(kind: &Kind, current: &Value, object: &Value) -> bool {
    if kind.kind == "Deployment" && !kind.custom && annotations(current).ne(annotations(object)) {
        return true;
    }
    let (Some(current), Some(object)) = (current.as_object(), object.as_object()) else {
        return false;
    };
    let counts = |field: &str| match field {
        "metadata" | "apiVersion" | "kind" => false,
        "status" => !kind.has_status,
        _ => true,
    };
    current.iter().any(|(field, value)| counts(field) && object.get(field) != Some(value))
        || object.keys().any(|field| counts(field) && !current.contains_key(field))
}
