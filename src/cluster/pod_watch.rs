//! The pods of one workload as they change, each with why it is not ready, for whoever reads why a rollout waits. It is
//! watched only while somebody reads.

use super::connect::{code, explain};
use super::object::Object;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::BTreeMap;

/// A pod as far as it tells why it is not ready.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodRecord {
    pub name: String,
    /// Name of the ReplicaSet that controls it.
    pub owner: Option<String>,
    pub created: Option<DateTime<Utc>>,
    pub ready: bool,
    /// Restarts of all its containers.
    pub restarts: u32,
    /// Why it is not ready, or what ended its containers last; as they came.
    pub reasons: Vec<String>,
}

impl PodRecord {
    /// Reduces a pod.
    pub fn of(pod: &Value) -> Self {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let list = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let conditions = list("/status/conditions");
        let condition = |kind: &str| conditions.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind));
        let holds = |c: &Value| c.get("status").and_then(Value::as_str) == Some("True");
        let ready = condition("Ready").is_some_and(holds);
        let containers = || list("/status/initContainerStatuses").iter().chain(list("/status/containerStatuses"));
        let restarts = containers().filter_map(|c| c.get("restartCount")?.as_u64()).sum::<u64>();
        let mut reasons = Vec::new();
        if text("/metadata/deletionTimestamp").is_some() {
            reasons.push("is going".to_string());
        }
        if let Some(reason) = text("/status/reason") {
            reasons.push(with_message(reason, text("/status/message")));
        }
        let placed = condition("PodScheduled").filter(|c| !holds(c));
        if let Some(reason) = placed.and_then(|c| c.get("reason")?.as_str()) {
            let message = placed.and_then(|c| c.get("message")?.as_str());
            reasons.push(with_message(reason, message));
        }
        reasons.extend(containers().filter_map(|container| reason_of(container, ready)));
        if !ready && reasons.is_empty() {
            let gates = condition("Ready").and_then(|c| c.get("message")?.as_str()).filter(|m| !m.is_empty());
            reasons.push(gates.or(text("/status/phase")).unwrap_or("has not been looked at by a node").to_string());
        }
        Self {
            name: text("/metadata/name").unwrap_or_default().to_string(),
            owner: list("/metadata/ownerReferences")
                .iter()
                .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
                .and_then(|owner| owner.get("name")?.as_str().map(str::to_string)),
            created: text("/metadata/creationTimestamp").and_then(|at| at.parse().ok()),
            ready,
            restarts: restarts.min(u32::MAX.into()) as u32,
            reasons,
        }
    }
}

fn with_message(reason: &str, message: Option<&str>) -> String {
    match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_string(),
    }
}

/// Why one container is not ready, or what ended it last.
fn reason_of(container: &Value, pod_ready: bool) -> Option<String> {
    let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("/name").unwrap_or("?");
    let ended = |at: &str| {
        let code = container.pointer(&format!("{at}/exitCode")).and_then(Value::as_i64)?;
        let reason = text(&format!("{at}/reason")).unwrap_or("ended");
        Some((code, with_message(&format!("{reason} (exit code {code})"), text(&format!("{at}/message")))))
    };
    let before = ended("/lastState/terminated").map(|(_, how)| how);
    if let Some(reason) = text("/state/waiting/reason") {
        let said = with_message(reason, text("/state/waiting/message"));
        return Some(match before {
            Some(before) => format!("{name} waits: {said}; before that it ended: {before}"),
            None => format!("{name} waits: {said}"),
        });
    }
    match ended("/state/terminated") {
        // What a container was to do before the others, and has done.
        Some((0, _)) => return None,
        Some((_, how)) => return Some(format!("{name} ended: {how}")),
        None => {}
    }
    let ready = container.get("ready").and_then(Value::as_bool) == Some(true);
    if !ready && !pod_ready && container.pointer("/state/running").is_some() {
        let probed = format!("{name} runs, and its readiness probe does not pass");
        return Some(before.map_or(probed.clone(), |before| format!("{probed}; before that it ended: {before}")));
    }
    before.map(|before| format!("{name} was started again: {before}"))
}

/// The pods that bear a label with this value, each time that they have changed; or why they cannot be told.
pub fn watch(client: &Client, namespace: &str, label: &str, value: &str) -> impl Stream<Item = Pods> + use<> {
    let kind = ApiResource::erase::<Pod>(&());
    let api: Api<Object> = Api::namespaced_with(client.clone(), namespace, &kind);
    let config = watcher::Config::default().labels(&format!("{label}={value}"));
    let stream = watcher(api, config).default_backoff();
    stream
        .scan((BTreeMap::new(), false), |(pods, listed): &mut (BTreeMap<String, PodRecord>, bool), event| {
            let told = match event {
                Ok(watcher::Event::Init) => {
                    pods.clear();
                    *listed = false;
                    None
                }
                Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                    let pod = PodRecord::of(&object.value);
                    pods.insert(pod.name.clone(), pod);
                    listed.then(|| Ok(pods.values().cloned().collect()))
                }
                Ok(watcher::Event::Delete(object)) => {
                    pods.remove(&PodRecord::of(&object.value).name);
                    Some(Ok(pods.values().cloned().collect()))
                }
                Ok(watcher::Event::InitDone) => {
                    *listed = true;
                    Some(Ok(pods.values().cloned().collect()))
                }
                // What was listed stands, where it may be listed and not watched.
                Err(watcher::Error::WatchStartFailed(error)) if *listed && code(&error) == Some(403) => None,
                Err(error) => Some(Err(refused(&error))),
            };
            std::future::ready(Some(told))
        })
        .filter_map(std::future::ready)
}

/// All pods of a workload by name, or why they cannot be told.
pub type Pods = Result<Vec<PodRecord>, String>;

fn refused(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match code(error) {
            Some(403) => format!("not permitted: {}", explain(error)),
            _ => explain(error),
        },
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: Value) -> PodRecord {
        PodRecord::of(&json!({"metadata": {"name": "app-1"}, "status": status}))
    }

    #[test]
    fn what_keeps_a_pod_from_being_ready_is_said() {
        let waiting = json!({"phase": "Pending", "containerStatuses": [{"name": "app", "ready": false, "state":
            {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"app:9\""}}}]});
        assert_eq!(pod(waiting).reasons, ["app waits: ImagePullBackOff: Back-off pulling image \"app:9\""]);
        let unplaced = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/3 nodes are available"}]});
        assert_eq!(pod(unplaced).reasons, ["Unschedulable: 0/3 nodes are available"]);
        let crashing = json!({"containerStatuses": [{"name": "app", "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]});
        let crashing = pod(crashing);
        assert_eq!(crashing.reasons, ["app waits: CrashLoopBackOff; before that it ended: OOMKilled (exit code 137)"]);
        assert_eq!((crashing.restarts, crashing.ready), (4, false));
        let unready = json!({"phase": "Running", "containerStatuses":
            [{"name": "app", "ready": false, "state": {"running": {}}}]});
        assert_eq!(pod(unready).reasons, ["app runs, and its readiness probe does not pass"]);
        let prepared = json!({"phase": "Pending", "initContainerStatuses":
            [{"name": "init", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]});
        assert_eq!(pod(prepared).reasons, ["Pending"]);
        assert_eq!(
            pod(json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"})).reasons,
            ["Evicted: low on memory"]
        );
    }

    #[test]
    fn a_ready_pod_that_was_started_again_says_why() {
        let status = json!({"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
            {"name": "app", "ready": true, "restartCount": 1, "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]});
        let pod = pod(status);
        assert!(pod.ready && pod.reasons == ["app was started again: Error (exit code 1)"], "{pod:?}");
    }

    #[test]
    fn anything_may_come_and_nothing_panics() {
        for object in
            [json!(null), json!([]), json!({"metadata": 3, "status": {"conditions": [7], "containerStatuses": {}}})]
        {
            assert!(!PodRecord::of(&object).ready);
        }
    }
}
