//! What is kept on a Canary of its last rollouts, read when somebody wants to know it: the mirror does not hold it.

use super::Kinds;
use super::connect::explain;
use super::object::Object;
use crate::api::{History, annotation};
use kube::{Api, Client};
use serde_json::Value;
use std::time::Duration;

/// Time limit of the call.
const LIMIT: Duration = Duration::from_secs(5);

/// The last rollouts of a Canary; none where nothing is kept.
///
/// # Errors
/// In words: the API server refuses, or does not answer in time.
pub async fn read(client: &Client, kinds: &Kinds, namespace: &str, name: &str) -> Result<History, String> {
    let api: Api<Object> = Api::namespaced_with(client.clone(), namespace, &kinds.canary);
    let read = tokio::time::timeout(LIMIT, api.get_opt(name)).await;
    let read = read.map_err(|_| format!("the API server did not answer within {} s", LIMIT.as_secs()))?;
    let canary = read.map_err(|error| explain(&error))?;
    let annotations = canary.as_ref().and_then(|canary| canary.value.pointer("/metadata/annotations"));
    let text = annotations.and_then(|all| all.get(annotation::HISTORY)).and_then(Value::as_str);
    Ok(History::read(text.unwrap_or_default()))
}
