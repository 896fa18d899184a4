//! The node: starts pods, makes them ready where their version becomes ready, and lets them go.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::status::ApiError;
use super::super::store::{DeleteOptions, Store, timestamp};
use super::Pace;
use super::objects::{is_leaving, is_ready, new_condition, set, set_within};
use crate::traffic::of_tag;

/// The one node.
pub const NODE: &str = "sandbox";
/// Its address.
pub const NODE_ADDRESS: &str = "10.0.0.1";

/// When the node met a pod.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    came: DateTime<Utc>,
    told_to_stop: Option<DateTime<Utc>>,
    number: u32,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Placed,
    Running,
    Ready,
}

/// Brings one pod as far as it is by now, and says when it gets further.
pub fn look_at(
    store: &Store,
    pace: Pace,
    node: &mut HashMap<String, Seen>,
    namespace: &str,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(pod) = store.get("Pod", Some(namespace), name) else {
        return Ok(None);
    };
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let number = node.len() as u32;
    let seen = node.entry(uid).or_insert(Seen { came: now, told_to_stop: None, number });
    if is_leaving(&pod) {
        let told = *seen.told_to_stop.get_or_insert(now);
        let gone_at = told + pace.gone_after;
        if now < gone_at {
            return Ok(Some(gone_at));
        }
        let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        store.delete("Pod", Some(namespace), name, &options)?;
        return Ok(None);
    }
    if is_ready(&pod) {
        return Ok(None);
    }
    let running_at = seen.came + part(pace.ready_after, 3);
    let ready_at = seen.came + pace.ready_after;
    let (stage, wake) = if now < running_at {
        (Stage::Placed, Some(running_at))
    } else if !becomes_ready(&pod) {
        (Stage::Running, None)
    } else if now < ready_at {
        (Stage::Running, Some(ready_at))
    } else {
        (Stage::Ready, None)
    };
    let seen = *seen;
    store.modify("Pod", Some(namespace), name, |pod| advance(pod, stage, seen, now))?;
    Ok(wake)
}

fn part(whole: Duration, parts: u32) -> Duration {
    whole / parts
}

/// Whether all of its images belong to versions that become ready.
fn becomes_ready(pod: &Value) -> bool {
    pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .all(|container| of_tag(image_tag(container["image"].as_str().unwrap_or_default())).becomes_ready)
}

/// The tag of an image; `latest` where it has none.
pub fn image_tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to the registry's port.
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => "latest",
    }
}

/// Writes a stage on a pod. A pod that is there already stays as it is.
fn advance(pod: &mut Value, stage: Stage, seen: Seen, now: DateTime<Utc>) {
    set_within(pod, &["spec"], "nodeName", json!(NODE));
    let present = match pod["status"]["phase"].as_str() {
        Some("Running") if is_ready(pod) => Some(Stage::Ready),
        Some("Running") => Some(Stage::Running),
        _ if pod["status"]["conditions"].is_array() => Some(Stage::Placed),
        _ => None,
    };
    if present >= Some(stage) {
        return;
    }
    let started = match pod["status"]["containerStatuses"].pointer("/0/state/running/startedAt") {
        Some(started) => started.clone(),
        None => json!(timestamp(now)),
    };
    let containers: Vec<Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| container_status(container, stage, &started))
        .collect();
    let start_time = match &pod["status"]["startTime"] {
        Value::Null => json!(timestamp(now)),
        known => known.clone(),
    };
    let old = pod["status"]["conditions"].clone();
    let mut status = json!({
        "phase": if stage >= Stage::Running { "Running" } else { "Pending" },
        "qosClass": pod["status"]["qosClass"],
        "startTime": start_time,
        "hostIP": NODE_ADDRESS,
        "hostIPs": [{ "ip": NODE_ADDRESS }],
        "containerStatuses": containers,
        "conditions": conditions(stage, &old, now),
    });
    if stage >= Stage::Running {
        let [_, _, high, low] = (seen.number + 2).to_be_bytes();
        let address = format!("10.244.{high}.{low}");
        status["podIPs"] = json!([{ "ip": address }]);
        status["podIP"] = json!(address);
    }
    set(pod, "status", status);
}

fn container_status(container: &Value, stage: Stage, started: &Value) -> Value {
    let image = container["image"].as_str().unwrap_or_default();
    let running = stage >= Stage::Running;
    let state = if running {
        json!({ "running": { "startedAt": started } })
    } else {
        json!({ "waiting": { "reason": "ContainerCreating" } })
    };
    json!({
        "name": container["name"],
        "image": image,
        "imageID": if running { image } else { "" },
        "ready": stage == Stage::Ready,
        "started": running,
        "restartCount": 0,
        "lastState": {},
        "state": state,
    })
}

/// The conditions of a stage. One that has not changed keeps its time.
fn conditions(stage: Stage, old: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let wanted = [
        ("PodReadyToStartContainers", stage >= Stage::Running),
        ("Initialized", true),
        ("Ready", stage == Stage::Ready),
        ("ContainersReady", stage == Stage::Ready),
        ("PodScheduled", true),
    ];
    wanted
        .into_iter()
        .map(|(kind, holds)| {
            let fresh = new_condition(kind, holds, now);
            let known = old.as_array().into_iter().flatten().find(|one| one["type"] == kind);
            match known {
                Some(known) if known["status"] == fresh["status"] => known.clone(),
                _ if kind == "Ready" && !holds => {
                    let mut fresh = fresh;
                    set(&mut fresh, "reason", json!("ContainersNotReady"));
                    fresh
                }
                _ => fresh,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_images() {
        assert_eq!(image_tag("gcr.io/jx/myapp:1.2.0"), "1.2.0");
        assert_eq!(image_tag("localhost:5000/app"), "latest");
        assert_eq!(image_tag("localhost:5000/app:1@sha256:ab"), "1");
        assert_eq!(image_tag(""), "latest");
    }
}
