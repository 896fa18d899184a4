//! The ReplicaSet controller: as many pods as wanted, and how many of them serve.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::status::ApiError;
use super::super::store::{DeleteOptions, Store};
use super::number;
use super::objects::{condition, controlled, is_leaving, is_ready, owner_reference, set, time};

/// Creates or deletes pods, counts them, and says when one of them counts as available.
pub fn look_at(
    store: &Store,
    namespace: &str,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(set) = store.get("ReplicaSet", Some(namespace), name) else {
        return Ok(None);
    };
    let mut pods = active_pods(store, &set);
    if !is_leaving(&set) {
        let wanted = number(&set, "/spec/replicas").clamp(0, 10_000) as usize;
        if pods.len() < wanted {
            for _ in pods.len()..wanted {
                store.create("Pod", Some(namespace), new_pod(&set))?;
            }
        } else if pods.len() > wanted {
            pods.sort_by_key(|pod| keeps(pod));
            for pod in &pods[wanted..] {
                let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
                store.delete("Pod", Some(namespace), pod_name, &DeleteOptions::default())?;
            }
        }
        pods = active_pods(store, &set);
    }
    count(store, &set, &pods, now)
}

fn active_pods(store: &Store, set: &Value) -> Vec<Arc<Value>> {
    let mut pods = controlled(store, "Pod", set);
    pods.retain(|pod| !is_leaving(pod) && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")));
    pods
}

/// Sorts the pods that are worth most to the front: the ready before the others, the old before the young.
fn keeps(pod: &Value) -> (bool, bool, u64) {
    let version = pod["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    let running = pod["status"]["phase"] == "Running";
    (!is_ready(pod), !running, version.unwrap_or(u64::MAX))
}

fn new_pod(set: &Value) -> Value {
    let name = set["metadata"]["name"].as_str().unwrap_or_default();
    let template = &set["spec"]["template"];
    let mut metadata = json!({
        "generateName": format!("{name}-"),
        "ownerReferences": [owner_reference(set)],
    });
    for field in ["labels", "annotations"] {
        if !template["metadata"][field].is_null() {
            self::set(&mut metadata, field, template["metadata"][field].clone());
        }
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

fn count(
    store: &Store,
    set: &Value,
    pods: &[Arc<Value>],
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let steady = TimeDelta::seconds(number(set, "/spec/minReadySeconds").clamp(0, 86_400));
    let mut available = 0;
    let mut next: Option<DateTime<Utc>> = None;
    for pod in pods.iter().filter(|pod| is_ready(pod)) {
        let since = condition(pod, "Ready").and_then(|ready| time(&ready["lastTransitionTime"]));
        let at = since.unwrap_or(now) + steady;
        if steady.is_zero() || at <= now {
            available += 1;
        } else {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    }
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    let labelled = |pod: &&Arc<Value>| {
        labels.as_object().into_iter().flatten().all(|(name, value)| pod["metadata"]["labels"][name] == *value)
    };
    let leaving = controlled(store, "Pod", set).iter().filter(|pod| is_leaving(pod)).count();
    let mut status = json!({
        "replicas": pods.len(),
        "terminatingReplicas": leaving,
        "observedGeneration": number(set, "/metadata/generation"),
    });
    let counts = [
        ("fullyLabeledReplicas", pods.iter().filter(labelled).count()),
        ("readyReplicas", pods.iter().filter(|pod| is_ready(pod)).count()),
        ("availableReplicas", available),
    ];
    for (field, count) in counts {
        // Kubernetes leaves out what is zero.
        if count > 0 {
            status[field] = json!(count);
        }
    }
    let (namespace, name) = (set["metadata"]["namespace"].as_str(), set["metadata"]["name"].as_str());
    if set["status"] != status {
        store.modify_status("ReplicaSet", namespace, name.unwrap_or_default(), |set| {
            self::set(set, "status", status);
        })?;
    }
    Ok(next)
}
