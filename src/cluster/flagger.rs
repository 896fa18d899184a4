//! Whether Flagger is at work: then nothing of ours drives.

use super::mirror::World;
use super::object::Object;
use chrono::{DateTime, Utc};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::Value;
use std::time::Duration;

/// Namespaces in which Flagger is usually installed.
const NAMESPACES: [&str; 4] = ["flagger-system", "istio-system", "kube-system", "flagger"];
/// Flagger's leader election (its Lease has this name in each installation).
const LEASE: &str = "flagger-leader-election";
/// A status that Flagger's field manager wrote this recently means that it runs; it writes one at least each interval
/// of a rollout, and intervals are seldom longer.
const RECENT: chrono::Duration = chrono::Duration::minutes(5);
const LIMIT: Duration = Duration::from_secs(5);

/// What shows that Flagger runs here, in words; None where nothing does. What may not be read does not count.
pub async fn at_work(client: &Client, namespace: &str, now: DateTime<Utc>) -> Option<String> {
    let mut namespaces = NAMESPACES.to_vec();
    if !namespaces.contains(&namespace) {
        namespaces.push(namespace);
    }
    let signs = namespaces.iter().map(|namespace| sign_in(client, namespace, now));
    let found = futures::future::join_all(signs);
    tokio::time::timeout(LIMIT, found).await.ok()?.into_iter().flatten().next()
}

async fn sign_in(client: &Client, namespace: &str, now: DateTime<Utc>) -> Option<String> {
    let of = |kind: &ApiResource| -> Api<Object> { Api::namespaced_with(client.clone(), namespace, kind) };
    let (deployments, leases) = (of(&ApiResource::erase::<Deployment>(&())), of(&ApiResource::erase::<Lease>(&())));
    let (named, labels) = (["flagger"], ListParams::default().labels("app.kubernetes.io/name=flagger"));
    let (lease, by_name, by_label) =
        futures::join!(leases.get_opt(LEASE), deployments.get_opt(named[0]), deployments.list(&labels));
    if let Ok(Some(lease)) = lease
        && lease_runs(&lease.value, now)
    {
        return Some(format!("its lease {LEASE} in {namespace} is held"));
    }
    let listed = by_label.map(|list| list.items).unwrap_or_default();
    let running = by_name
        .ok()
        .flatten()
        .into_iter()
        .chain(listed)
        .find(|d| d.value.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1) > 0)?;
    let name = running.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("flagger");
    Some(format!("its deployment {name} in {namespace} runs"))
}

fn lease_runs(lease: &Value, now: DateTime<Utc>) -> bool {
    let spec = &lease["spec"];
    let held = spec["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty());
    let duration = chrono::Duration::seconds(spec["leaseDurationSeconds"].as_i64().unwrap_or(60).clamp(1, 3600));
    let renewed = spec["renewTime"].as_str().and_then(|t| DateTime::parse_from_rfc3339(t).ok());
    held && renewed.is_some_and(|t| t.with_timezone(&Utc) + duration >= now)
}

/// A Canary whose status Flagger wrote a moment ago.
pub fn wrote_recently(world: &World, now: DateTime<Utc>) -> Option<String> {
    let canary = world.canaries.values().find(|c| c.flagger_wrote.is_some_and(|wrote| now - wrote < RECENT))?;
    Some(format!("it wrote the status of {} a moment ago", canary.name))
}
