//! Reading and writing what all controllers share: owners, conditions, readiness.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::store::{Store, timestamp};

/// The owner reference of the object's controller.
pub fn controller_of(object: &Value) -> Option<&Value> {
    object["metadata"]["ownerReferences"].as_array()?.iter().find(|owner| owner["controller"] == true)
}

/// The uid of the object's controller.
pub fn controller_uid(object: &Value) -> Option<&str> {
    controller_of(object)?["uid"].as_str()
}

/// When a pod's first container started; none while it has not.
pub fn started_at(pod: &Value) -> Option<DateTime<Utc>> {
    time(pod.pointer("/status/containerStatuses/0/state/running/startedAt")?)
}

/// The objects of a kind that an owner controls.
pub fn controlled(store: &Store, kind: &str, owner: &Value) -> Vec<Arc<Value>> {
    let uid = owner["metadata"]["uid"].as_str().unwrap_or_default();
    let mut objects = store.owned_by(kind, uid);
    objects.retain(|object| controller_uid(object) == Some(uid));
    objects
}

/// A reference by which the owner controls what bears it.
pub fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A condition of an object's status.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether a pod takes requests.
pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Whether it is on its way out.
pub fn is_leaving(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// A time that Kubernetes wrote.
pub fn time(value: &Value) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.with_timezone(&Utc))
}

/// A condition that holds, or not, since now.
pub fn new_condition(kind: &str, holds: bool, now: DateTime<Utc>) -> Value {
    json!({
        "type": kind,
        "status": if holds { "True" } else { "False" },
        "lastProbeTime": null,
        "lastTransitionTime": timestamp(now),
    })
}

/// Sets a field of an object, which is made one if it is null; nothing happens to anything else.
pub fn set(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// As [`set`], for an object within objects.
pub fn set_within(object: &mut Value, path: &[&str], field: &str, value: Value) {
    let mut object = object;
    for step in path {
        if object.is_null() {
            *object = json!({});
        }
        let Some(fields) = object.as_object_mut() else {
            return;
        };
        object = fields.entry(*step).or_insert(Value::Null);
    }
    set(object, field, value);
}
