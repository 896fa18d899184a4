//! The pods of a workload, asked for when somebody looks at it: how often their containers were started anew, and why
//! some are not ready.
//!
//! Pods are not watched. A namespace has many times more of them than it has canaries, and no rollout is decided on one;
//! so whoever looks at a canary asks for its pods alone, and the driver never does.

use super::connect::{code, explain};
use crate::api::shapes::Selector;
use chrono::{DateTime, Utc};
use kube::api::ListParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use std::time::Duration;

/// Pods of one page of a list.
const PAGE: u32 = 100;
/// Pages that are read of one workload: beyond that the figures say that they are not of all.
const PAGES: usize = 20;
/// Pods that are not ready and are kept with their reason.
const TOLD: usize = 8;
const LIMIT: Duration = Duration::from_secs(10);

/// What is kept of a workload's pods. Texts are as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodsRecord {
    /// Pods that are not being deleted.
    pub pods: u32,
    /// How often their containers were started anew.
    pub restarts: u32,
    /// Why a container last ended, and when, where the API server still knows.
    pub last_end: Option<(String, DateTime<Utc>)>,
    /// Pods that are not ready.
    pub not_ready: u32,
    /// Some of these, with the reason of each.
    pub reasons: Vec<NotReady>,
    /// There are more pods than were looked at.
    pub more: bool,
}

/// A pod that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    pub pod: String,
    /// A word of the kubelet's or the scheduler's, and what it says beside that.
    pub reason: String,
}

/// Asks for the pods of a Deployment in a namespace.
///
/// # Errors
/// Where they may not be listed, or the API server does not answer within 10 s; in words.
pub async fn of(client: &Client, namespace: &str, workload: &str, selector: &Selector) -> Result<PodsRecord, String> {
    let asked = tokio::time::timeout(LIMIT, list(client, namespace, workload, selector));
    asked.await.map_err(|_| format!("the API server did not answer within {} s", LIMIT.as_secs()))?
}

async fn list(client: &Client, namespace: &str, workload: &str, selector: &Selector) -> Result<PodsRecord, String> {
    let mut record = PodsRecord::default();
    let path = k8s_openapi::api::core::v1::Pod::url_path(&(), Some(namespace));
    let wanted = format!("{}={}", selector.label, selector.value);
    let mut page = ListParams::default().labels(&wanted).limit(PAGE);
    for _ in 0..PAGES {
        let request = Request::new(&path).list(&page).map_err(|error| error.to_string())?;
        // Read into what is kept alone: a list of whole pods would leave its peak behind in the process.
        let list: List = client.request(request).await.map_err(|error| match code(&error) {
            Some(403) => format!("you may not list pods in {namespace}"),
            _ => explain(&error),
        })?;
        list.items.iter().filter(|pod| pod.is_of(workload)).for_each(|pod| record.count(pod));
        if list.metadata.next.is_empty() {
            return Ok(record);
        }
        page.continue_token = Some(list.metadata.next);
    }
    record.more = true;
    Ok(record)
}

impl PodsRecord {
    fn count(&mut self, pod: &Pod) {
        if pod.metadata.deleted.is_some() || matches!(pod.status.phase.as_str(), "Succeeded") {
            return;
        }
        self.pods += 1;
        for container in &pod.status.containers {
            self.restarts = self.restarts.saturating_add(container.restarts);
            if let Some(ended) = &container.last.terminated
                && let Some(at) = ended.at
                && self.last_end.as_ref().is_none_or(|(_, before)| *before < at)
            {
                self.last_end = Some((ended.reason.clone(), at));
            }
        }
        if let Some(reason) = pod.not_ready() {
            self.not_ready += 1;
            if self.reasons.len() < TOLD {
                self.reasons.push(NotReady { pod: pod.metadata.name.clone(), reason });
            }
        }
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default)]
    items: Vec<Pod>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue", deserialize_with = "or_default")]
    next: String,
}

#[derive(Deserialize)]
struct Pod {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    #[serde(rename = "deletionTimestamp")]
    deleted: Option<String>,
    #[serde(rename = "ownerReferences", deserialize_with = "or_default")]
    owners: Vec<Owner>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    name: String,
    controller: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    phase: String,
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(rename = "initContainerStatuses", deserialize_with = "or_default")]
    first: Vec<Container>,
    #[serde(rename = "containerStatuses", deserialize_with = "or_default")]
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    ready: bool,
    #[serde(rename = "restartCount")]
    restarts: u32,
    #[serde(deserialize_with = "or_default")]
    state: State,
    #[serde(rename = "lastState", deserialize_with = "or_default")]
    last: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Reason>,
    terminated: Option<Ended>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reason {
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ended {
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(rename = "exitCode")]
    code: i32,
    #[serde(rename = "finishedAt")]
    at: Option<DateTime<Utc>>,
}

/// A null is as good as nothing.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl Pod {
    /// Whether a ReplicaSet of the Deployment made it: others may bear the same label.
    fn is_of(&self, workload: &str) -> bool {
        let controller = self.metadata.owners.iter().find(|owner| owner.controller == Some(true));
        controller.and_then(|owner| owner.name.rsplit_once('-')).is_some_and(|(name, _)| name == workload)
    }

    /// Why it is not ready; None where it is.
    fn not_ready(&self) -> Option<String> {
        let condition = |kind: &str| self.status.conditions.iter().find(|condition| condition.kind == kind);
        if condition("Ready").is_some_and(|ready| ready.status == "True") {
            return None;
        }
        let said = |reason: &str, message: &str| match (reason, message) {
            (reason, "") => reason.to_string(),
            ("", message) => message.to_string(),
            (reason, message) => format!("{reason}: {message}"),
        };
        if let Some(scheduled) = condition("PodScheduled").filter(|scheduled| scheduled.status == "False") {
            return Some(said(&scheduled.reason, &scheduled.message));
        }
        let containers = || self.status.first.iter().chain(&self.status.containers).filter(|one| !one.ready);
        let waits = containers().find_map(|one| Some((one, one.state.waiting.as_ref()?)));
        if let Some((container, waiting)) = waits {
            return Some(format!("{} ({})", said(&waiting.reason, &waiting.message), container.name));
        }
        let ended = containers().find_map(|one| {
            let ended = one.state.terminated.as_ref()?;
            (ended.code != 0).then_some((one, ended))
        });
        if let Some((container, ended)) = ended {
            return Some(format!("{} with exit code {} ({})", ended.reason, ended.code, container.name));
        }
        if !self.status.reason.is_empty() || !self.status.message.is_empty() {
            return Some(said(&self.status.reason, &self.status.message));
        }
        let running = self.status.containers.iter().find(|one| !one.ready);
        Some(match (self.status.phase.as_str(), running) {
            ("Running", Some(container)) => format!("running, and not ready ({})", container.name),
            ("", _) => "no status yet".into(),
            (phase, _) => phase.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    fn pod(name: &str, owner: &str, status: Value) -> Value {
        json!({"metadata": {"name": name, "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": true}]},
            "spec": {"containers": [{"name": "web"}]}, "status": status})
    }

    fn ready(restarts: u32) -> Value {
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "web", "ready": true, "restartCount": restarts, "state": {"running": {}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-22T12:00:00Z"}}}]})
    }

    fn reason(status: Value) -> Option<String> {
        serde_json::from_value::<Pod>(json!({"metadata": {}, "status": status})).unwrap().not_ready()
    }

    fn selector() -> Selector {
        Selector { label: "app".into(), value: "web".into() }
    }

    #[tokio::test]
    async fn restarts_and_reasons_are_counted_over_all_pages_and_foreign_pods_left_out() {
        let answer = |axum::extract::RawQuery(query): axum::extract::RawQuery| async move {
            let query = query.unwrap_or_default();
            assert!(query.contains("labelSelector=app%3Dweb&limit=100"), "{query}");
            let first = json!({"metadata": {"continue": "more"}, "items": [
                pod("web-1-a", "web-1", ready(2)),
                pod("web-api-1-a", "web-api-1", ready(7)),
            ]});
            let mut deleted = pod("web-1-c", "web-1", ready(9));
            deleted["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
            let status = json!({"phase": "Pending", "containerStatuses": null, "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
            let second = json!({"metadata": {}, "items": [deleted, pod("web-1-b", "web-1", status)]});
            axum::Json(if query.contains("continue=more") { second } else { first })
        };
        let router = Router::new().route("/api/v1/namespaces/prod/pods", axum::routing::get(answer));
        let client = Client::new(router.into_service::<kube::client::Body>(), "prod");
        let record = of(&client, "prod", "web", &selector()).await.unwrap();
        assert_eq!((record.pods, record.restarts, record.not_ready, record.more), (2, 2, 1, false));
        assert_eq!(record.last_end.unwrap().0, "OOMKilled");
        assert_eq!(record.reasons, [NotReady { pod: "web-1-b".into(), reason: "Unschedulable: 0/3 nodes".into() }]);
    }

    #[tokio::test]
    async fn who_may_not_list_pods_is_told_so() {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "pods is forbidden: User \"eve\" cannot list resource \"pods\""});
        let router = Router::new().fallback(move || async move { (StatusCode::FORBIDDEN, axum::Json(status)) });
        let client = Client::new(router.into_service::<kube::client::Body>(), "prod");
        let why = of(&client, "prod", "web", &selector()).await.unwrap_err();
        assert_eq!(why, "you may not list pods in prod");
    }

    #[test]
    fn the_reason_is_the_one_that_explains_most() {
        assert_eq!(reason(ready(0)), None);
        let waiting = |why: &str, message: &str| {
            json!({"phase": "Running", "containerStatuses": [
                {"name": "istio-proxy", "ready": true, "restartCount": 0, "state": {"running": {}}},
                {"name": "web", "ready": false, "restartCount": 4, "state": {"waiting": {"reason": why, "message": message}}}]})
        };
        assert_eq!(
            reason(waiting("CrashLoopBackOff", "back-off 5m0s")).unwrap(),
            "CrashLoopBackOff: back-off 5m0s (web)"
        );
        assert_eq!(reason(waiting("ContainerCreating", "")).unwrap(), "ContainerCreating (web)");
        let running = json!({"phase": "Running", "containerStatuses": [
            {"name": "web", "ready": false, "restartCount": 0, "state": {"running": {}}}]});
        assert_eq!(reason(running).unwrap(), "running, and not ready (web)");
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "the node was low on memory"});
        assert_eq!(reason(evicted).unwrap(), "Evicted: the node was low on memory");
        assert_eq!(reason(json!({})).unwrap(), "no status yet");
    }
}
