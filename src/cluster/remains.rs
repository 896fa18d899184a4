//! What a target has left of its past: read when somebody wants to choose a version. The mirror holds the names of the
//! ReplicaSets, not their templates, and this never adds to it.

use super::connect::{code, explain};
use super::object::Object;
use super::records::controller_of;
use super::{Kinds, Mirror, histories};
use crate::rollout::{self, Past, Remains};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::core::Selector;
use kube::{Api, Client};
use serde_json::Value;
use std::time::Duration;

/// Time limit of all of it: who waits for it looks at a list that is not whole.
const LIMIT: Duration = Duration::from_secs(5);
/// ReplicaSets of one answer.
const PAGE: u32 = 100;

/// The versions that a canary's target had, the newest first.
///
/// # Errors
/// In words: what is needed is not there, the API server refuses, or it does not answer in time.
pub async fn past(
    client: &Client,
    kinds: &Kinds,
    mirror: &Mirror,
    namespace: &str,
    canary: &str,
) -> Result<Vec<Past>, String> {
    let (status, target, primary) = {
        let world = mirror.read();
        let record = world.canary(canary).ok_or_else(|| format!("there is no canary {canary} any more"))?;
        let spec = record.spec.as_ref().ok().or(record.partial.as_ref()).ok_or("its spec cannot be read")?;
        let primary = world.workload(&spec.primary()).map(|primary| primary.containers.clone());
        (record.status.clone(), spec.target.clone(), primary.unwrap_or_default())
    };
    let (found, history) =
        futures::join!(read(client, kinds, namespace, &target), histories::read(client, kinds, namespace, canary),);
    let (target, sets) = found?;
    // What failed before is a help; the versions are there without it.
    let history = history.unwrap_or_default();
    let remains = Remains { target: &target, sets: &sets, status: &status, history: &history, primary: &primary };
    Ok(rollout::past(&remains))
}

/// A Deployment as it is now, and the ReplicaSets that it controls.
///
/// # Errors
/// In words: there is no such Deployment, the API server refuses, or it does not answer in time.
async fn read(client: &Client, kinds: &Kinds, namespace: &str, name: &str) -> Result<(Value, Vec<Value>), String> {
    let read = tokio::time::timeout(LIMIT, asked(client, kinds, namespace, name)).await;
    read.map_err(|_| format!("the API server did not answer within {} s", LIMIT.as_secs()))?
}

async fn asked(client: &Client, kinds: &Kinds, namespace: &str, name: &str) -> Result<(Value, Vec<Value>), String> {
    let refused = |error: kube::Error| match code(&error) {
        Some(403) => format!("not permitted: {}", explain(&error)),
        _ => explain(&error),
    };
    let deployments: Api<Object> = Api::namespaced_with(client.clone(), namespace, &kinds.deployment);
    let deployment = deployments.get_opt(name).await.map_err(refused)?;
    let deployment = deployment.ok_or_else(|| format!("there is no Deployment {name}"))?.value;
    let uid = deployment.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let selector = deployment.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
    let selector: LabelSelector =
        serde_json::from_value(selector).map_err(|_| format!("the selector of Deployment {name} cannot be read"))?;
    let selector = Selector::try_from(selector).map_err(|why| format!("the selector of Deployment {name}: {why}"))?;
    let sets: Api<Object> = Api::namespaced_with(client.clone(), namespace, &kinds.replica_set);
    let mut page = ListParams::default().labels_from(&selector).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let list = sets.list(&page).await.map_err(refused)?;
        let ours = list.items.into_iter().map(|set| set.value);
        // Another Deployment's may bear the same labels.
        found.extend(ours.filter(|set| controller_of(set).is_some_and(|owner| owner == uid)));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    Ok((deployment, found))
}
