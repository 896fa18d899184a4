//! Events on Canaries: what they look like, and how one is written so that none is lost and none is written twice.
//!
//! An Event's name is computed from what it says. Sent again after a crash it meets itself (409), and then its
//! occurrence tells whether this is the same thing said again or another count of it.

use super::records::CanaryRecord;
use super::writes::{MANAGER, WriteError, Writer};
use crate::api::{GROUP, VERSIONS, annotation};
use chrono::{DateTime, SecondsFormat, Utc};
use kube::core::ApiResource;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An Event to be written.
#[derive(Clone, Debug)]
pub struct Draft {
    pub name: String,
    /// The same again: a repetition after a crash. Another: one more count.
    pub occurrence: String,
    pub warning: bool,
    pub reason: String,
    pub message: String,
}

/// Longest message that every API server takes (the field's documented limit is 1 kB).
const LONGEST: usize = 1000;

/// The name of an Event on a Canary, computed from what makes it this one.
pub fn name(canary: &str, uid: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(&uid).chain(parts) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    // A name has at most 253 characters, and a Canary's may have all of them.
    let mut end = canary.len().min(200);
    while !canary.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}.{digest}", canary[..end].trim_end_matches(['.', '-']))
}

/// The name of the Event that says how a request ended.
pub fn outcome_name(canary: &str, uid: &str, request: &str) -> String {
    name(canary, uid, &["request", request])
}

/// Writes an Event, or counts it once more. Answers whether it is new: not a repetition after a crash.
pub async fn write(
    writer: &Writer,
    kind: &ApiResource,
    canary: &CanaryRecord,
    draft: &Draft,
    now: DateTime<Utc>,
) -> Result<bool, WriteError> {
    match writer.create_event(kind, &object(canary, draft, now)).await {
        Err(error) if error.code() == Some(409) => {}
        other => return other.map(|_| true),
    }
    let present = writer.get(kind, &draft.name).await?;
    let text = |pointer: &str| present.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_string();
    let occurrence = present.pointer("/metadata/annotations").and_then(|a| a.get(annotation::OCCURRENCE));
    if occurrence.and_then(Value::as_str) == Some(&draft.occurrence) {
        return Ok(false);
    }
    let count = present.get("count").and_then(Value::as_i64).unwrap_or(1).saturating_add(1);
    let patch = json!({
        "metadata": { "annotations": { annotation::OCCURRENCE: draft.occurrence } },
        "count": count,
        "lastTimestamp": now.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    writer.merge(kind, &draft.name, &text("/metadata/resourceVersion"), patch).await.map(|_| true)
}

fn object(canary: &CanaryRecord, draft: &Draft, now: DateTime<Utc>) -> Value {
    let stamp = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut end = draft.message.len().min(LONGEST);
    while !draft.message.is_char_boundary(end) {
        end -= 1;
    }
    let cut = if end < draft.message.len() { "…" } else { "" };
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": draft.name,
            "namespace": canary.namespace,
            "annotations": { annotation::OCCURRENCE: draft.occurrence },
        },
        "involvedObject": {
            "apiVersion": format!("{GROUP}/{}", VERSIONS[0]),
            "kind": "Canary",
            "namespace": canary.namespace,
            "name": canary.name,
            "uid": canary.uid,
            "resourceVersion": canary.resource_version,
        },
        "type": if draft.warning { "Warning" } else { "Normal" },
        "reason": draft.reason,
        "message": format!("{}{cut}", &draft.message[..end]),
        "count": 1,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "source": { "component": MANAGER },
        "reportingComponent": MANAGER,
        "reportingInstance": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_every_part_and_on_nothing_else() {
        let one = name("app", "uid", &["rev", "text"]);
        assert_eq!(one, name("app", "uid", &["rev", "text"]));
        assert_ne!(one, name("app", "uid", &["revt", "ext"]));
        assert_ne!(one, name("app", "other", &["rev", "text"]));
        assert!(name(&"ä".repeat(253), "uid", &[]).len() < 253);
    }
}
