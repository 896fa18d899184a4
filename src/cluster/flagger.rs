//! Whether Flagger is at work: then nothing of ours drives.

use super::connect::{code, explain};
use super::object::Object;
use super::packed::Gist;
use super::world::World;
use chrono::{DateTime, Utc};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::{ApiResource, ObjectList};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::BTreeMap;
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
///
/// # Errors
/// Where the API server did not answer: then nobody can tell.
pub async fn at_work(client: &Client, namespace: &str, now: DateTime<Utc>) -> Result<Option<String>, String> {
    let mut namespaces = NAMESPACES.to_vec();
    if !namespaces.contains(&namespace) {
        namespaces.push(namespace);
    }
    let signs = namespaces.iter().map(|namespace| sign_in(client, namespace, now));
    let found = tokio::time::timeout(LIMIT, futures::future::join_all(signs)).await;
    let found = found.map_err(|_| "the API server does not answer in time".to_string())?;
    let mut unknown = None;
    for sign in found {
        match sign {
            Ok(Some(sign)) => return Ok(Some(sign)),
            Ok(None) => {}
            Err(error) => unknown = Some(error),
        }
    }
    unknown.map_or(Ok(None), Err)
}

/// The namespaces that show Flagger at work, each with the sign, by three questions about the whole cluster.
///
/// # Errors
/// As for [`at_work`].
pub async fn everywhere(client: &Client, now: DateTime<Utc>) -> Result<BTreeMap<String, String>, String> {
    let of = |kind: &ApiResource| -> Api<Object> { Api::all_with(client.clone(), kind) };
    let (deployments, leases) = (of(&ApiResource::erase::<Deployment>(&())), of(&ApiResource::erase::<Lease>(&())));
    let named = |name: &str| ListParams::default().fields(&format!("metadata.name={name}"));
    let (of_leases, of_flagger, labels) =
        (named(LEASE), named("flagger"), ListParams::default().labels("app.kubernetes.io/name=flagger"));
    let asked =
        async { futures::join!(leases.list(&of_leases), deployments.list(&of_flagger), deployments.list(&labels)) };
    let asked = tokio::time::timeout(LIMIT, asked).await;
    let (leases, named, labelled) = asked.map_err(|_| "the API server does not answer in time".to_string())?;
    let items = |list: Option<ObjectList<Object>>| list.map(|list| list.items).unwrap_or_default().into_iter();
    let mut signs = BTreeMap::new();
    let namespace_of =
        |o: &Object| o.value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("").to_string();
    for lease in items(readable(leases)?).filter(|lease| lease_runs(&lease.value, now)) {
        let namespace = namespace_of(&lease);
        signs.insert(namespace.clone(), held(&namespace));
    }
    for deployment in items(readable(named)?).chain(items(readable(labelled)?)).filter(runs) {
        let namespace = namespace_of(&deployment);
        signs.entry(namespace.clone()).or_insert_with(|| running(&deployment, &namespace));
    }
    Ok(signs)
}

/// The sign that counts for a namespace, of those [`everywhere`].
pub fn concerning<'a>(signs: &'a BTreeMap<String, String>, namespace: &str) -> Option<&'a String> {
    NAMESPACES.into_iter().chain([namespace]).find_map(|namespace| signs.get(namespace))
}

fn runs(deployment: &Object) -> bool {
    deployment.value.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1) > 0
}

fn held(namespace: &str) -> String {
    format!("its lease {LEASE} in {namespace} is held")
}

fn running(deployment: &Object, namespace: &str) -> String {
    let name = deployment.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("flagger");
    format!("its deployment {name} in {namespace} runs")
}

async fn sign_in(client: &Client, namespace: &str, now: DateTime<Utc>) -> Result<Option<String>, String> {
    let of = |kind: &ApiResource| -> Api<Object> { Api::namespaced_with(client.clone(), namespace, kind) };
    let (deployments, leases) = (of(&ApiResource::erase::<Deployment>(&())), of(&ApiResource::erase::<Lease>(&())));
    let labels = ListParams::default().labels("app.kubernetes.io/name=flagger");
    let (lease, named, labelled) =
        futures::join!(leases.get_opt(LEASE), deployments.get_opt("flagger"), deployments.list(&labels));
    if let Some(lease) = readable(lease)?.flatten()
        && lease_runs(&lease.value, now)
    {
        return Ok(Some(held(namespace)));
    }
    let labelled = readable(labelled)?.map(|list| list.items).unwrap_or_default();
    let mut deployments = readable(named)?.flatten().into_iter().chain(labelled);
    Ok(deployments.find(runs).map(|deployment| running(&deployment, namespace)))
}

/// An answer; None where the caller may not read it, or there is no such namespace.
fn readable<T>(answer: kube::Result<T>) -> Result<Option<T>, String> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(code(&error), Some(403 | 404)) => Ok(None),
        Err(error) => Err(explain(&error)),
    }
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
    let recent = |(_, gist): &(&str, Gist)| gist.flagger_wrote.is_some_and(|wrote| now - wrote < RECENT);
    let (canary, _) = world.gists().find(recent)?;
    Some(format!("it wrote the status of {canary} a moment ago"))
}
