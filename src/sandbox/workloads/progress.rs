//! A Deployment's status: the counts, and the conditions `Available` and `Progressing` with Kubernetes' reasons.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::store::timestamp;
use super::number;
use super::objects::{condition, set, time};
use super::rolling::Limits;

/// Why a Deployment progresses, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Kubernetes' word for it.
    pub word: &'static str,
    /// Kubernetes' sentence for it.
    pub sentence: String,
}

/// What one look at a Deployment came to.
pub struct Looked<'a> {
    /// The Deployment as it was.
    pub deployment: &'a Value,
    /// All its ReplicaSets.
    pub sets: &'a [Arc<Value>],
    /// The one that has its template.
    pub new: Option<&'a Value>,
    /// What this look itself did to let it progress, if anything.
    pub did: Option<Reason>,
}

/// The status after it, and when a deadline runs out.
pub fn status(looked: &Looked<'_>, now: DateTime<Utc>) -> (Value, Option<DateTime<Utc>>) {
    let Looked { deployment, sets, new, .. } = looked;
    let sum = |field: &str| sets.iter().map(|set| number(set, &format!("/status/{field}"))).sum::<i64>();
    let (replicas, ready, available) = (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let updated = new.map_or(0, |new| number(new, "/status/replicas"));
    let wanted = number(deployment, "/spec/replicas");
    let mut status = json!({
        "observedGeneration": number(deployment, "/metadata/generation"),
        "terminatingReplicas": sum("terminatingReplicas"),
    });
    let counts = [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", (replicas.max(wanted) - available).max(0)),
    ];
    for (field, count) in counts {
        // Kubernetes leaves out what is zero.
        if count > 0 {
            status[field] = json!(count);
        }
    }
    if let Some(collisions) = deployment["status"].get("collisionCount") {
        status["collisionCount"] = collisions.clone();
    }

    let least = wanted - Limits::of(deployment, wanted).unavailable;
    let availability = if available >= least {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let available = renewed(
        condition(deployment, "Available"),
        "Available",
        availability.0,
        &Reason { word: availability.1, sentence: availability.2.to_owned() },
        false,
        now,
    );
    let (progressing, deadline) = match held(deployment) {
        Some((before, None)) => (Some(before.clone()), None),
        Some((before, Some(reason))) => {
            (Some(renewed(Some(before), "Progressing", "Unknown", &reason, true, now)), None)
        }
        None => progressing(looked, &status, now),
    };
    let mut conditions = deployment["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for condition in [Some(available), progressing].into_iter().flatten() {
        // One that says something new comes last.
        if !conditions.contains(&condition) {
            conditions.retain(|one| one["type"] != condition["type"]);
            conditions.push(condition);
        }
    }
    status["conditions"] = json!(conditions);
    (status, deadline)
}

/// The condition `Progressing` of a Deployment that is paused or was until now, and what it is to say anew.
fn held(deployment: &Value) -> Option<(&Value, Option<Reason>)> {
    let before = condition(deployment, "Progressing").unwrap_or(&Value::Null);
    let told = before["reason"].as_str().unwrap_or_default();
    let say = |word, sentence: &str| Some(Reason { word, sentence: sentence.to_owned() });
    match (deployment["spec"]["paused"] == true, told) {
        (true, "DeploymentPaused" | "ProgressDeadlineExceeded") => Some((before, None)),
        (true, _) => Some((before, say("DeploymentPaused", "Deployment is paused"))),
        (false, "DeploymentPaused") => Some((before, say("DeploymentResumed", "Deployment is resumed"))),
        (false, _) => None,
    }
}

/// The condition `Progressing`, and when it turns if nothing happens.
fn progressing(looked: &Looked<'_>, status: &Value, now: DateTime<Utc>) -> (Option<Value>, Option<DateTime<Utc>>) {
    let Looked { deployment, new, did, .. } = looked;
    let before = condition(deployment, "Progressing");
    let renew = |status, reason: &Reason, moved| Some(renewed(before, "Progressing", status, reason, moved, now));
    if let Some(reason) = did {
        let condition = renew("True", reason, true);
        let deadline = deadline_after(deployment, condition.as_ref());
        return (condition, deadline);
    }
    let Some(name) = new.and_then(|new| new["metadata"]["name"].as_str()) else {
        return (before.cloned(), None);
    };
    let count = |status: &Value, field: &str| number(status, &format!("/{field}"));
    let wanted = number(deployment, "/spec/replicas");
    let (replicas, updated) = (count(status, "replicas"), count(status, "updatedReplicas"));
    let available = count(status, "availableReplicas");
    let was_done = before.is_some_and(|before| before["reason"] == "NewReplicaSetAvailable");
    if was_done && replicas == updated {
        // Scaling afterwards is not a rollout.
        return (before.cloned(), None);
    }
    if updated == wanted && replicas == wanted && available == wanted {
        let sentence = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return (renew("True", &Reason { word: "NewReplicaSetAvailable", sentence }, false), None);
    }
    let old = &deployment["status"];
    let moved = updated > count(old, "updatedReplicas")
        || replicas - updated < count(old, "replicas") - count(old, "updatedReplicas")
        || count(status, "readyReplicas") > count(old, "readyReplicas")
        || available > count(old, "availableReplicas");
    if moved {
        let sentence = format!("ReplicaSet \"{name}\" is progressing.");
        let condition = renew("True", &Reason { word: "ReplicaSetUpdated", sentence }, true);
        let deadline = deadline_after(deployment, condition.as_ref());
        return (condition, deadline);
    }
    match deadline_after(deployment, before) {
        Some(deadline) if deadline <= now => {
            let sentence = format!("ReplicaSet \"{name}\" has timed out progressing.");
            (renew("False", &Reason { word: "ProgressDeadlineExceeded", sentence }, false), None)
        }
        deadline => (before.cloned(), deadline),
    }
}

/// When a rollout that moved last at the condition's time has taken too long.
fn deadline_after(deployment: &Value, condition: Option<&Value>) -> Option<DateTime<Utc>> {
    let condition = condition?;
    if condition["reason"] == "ProgressDeadlineExceeded" || deployment["spec"]["paused"] == true {
        return None;
    }
    let seconds = deployment["spec"]["progressDeadlineSeconds"].as_i64()?;
    let moved = time(&condition["lastUpdateTime"])?;
    moved.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}

/// A condition that keeps its times as far as nothing has changed. `moved`: it says the same, but of something newer.
fn renewed(
    before: Option<&Value>,
    kind: &str,
    status: &str,
    reason: &Reason,
    moved: bool,
    now: DateTime<Utc>,
) -> Value {
    let mut condition = json!({
        "type": kind,
        "status": status,
        "reason": reason.word,
        "message": reason.sentence,
        "lastUpdateTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
    });
    if let Some(before) = before {
        if before["status"] == status && before["reason"] == reason.word && !moved {
            return before.clone();
        }
        if before["status"] == status {
            set(&mut condition, "lastTransitionTime", before["lastTransitionTime"].clone());
        }
    }
    condition
}
