//! A namespace as the watches show it, for the commands that wait for something.

use super::session::{Session, no_canary};
use crate::cluster::{CanaryRecord, Clock, For, Health, Mirror, Source, WorkloadRecord, World};
use anyhow::{Result, bail};
use std::time::Duration;

/// What the commands decide on.
const NEEDED: [Source; 3] = [Source::Canaries, Source::Deployments, Source::ReplicaSets];
/// How long the first lists may take.
const FIRST: Duration = Duration::from_secs(10);

/// Begins to watch, and waits for the first lists.
///
/// # Errors
/// Where the API server refuses or cannot be reached.
pub async fn begin(session: &Session, clock: Clock) -> Result<Mirror> {
    let Session { connection, kinds } = session;
    let mirror = Mirror::start(&connection.client, kinds, &connection.namespace, clock, For::Observer);
    if tokio::time::timeout(FIRST, mirror.ready()).await.is_err() {
        bail!("the API server did not answer within {} s", FIRST.as_secs());
    }
    if let Some((source, Health::Forbidden { error } | Health::Lost { error, .. })) = mirror.read().not_live(&NEEDED) {
        bail!("cannot list {source} in {}: {error}", connection.namespace);
    }
    Ok(mirror)
}

/// A Canary and its target.
///
/// # Errors
/// Where either is missing, or the Canary cannot be driven.
pub fn pair<'a>(world: &'a World, name: &str, namespace: &str) -> Result<(&'a CanaryRecord, &'a WorkloadRecord)> {
    let Some(canary) = world.canaries.get(name) else { return Err(no_canary(name, namespace)) };
    let spec = match (&canary.spec, &canary.partial) {
        (Ok(spec), _) => spec,
        // A rollout under way can still be aborted.
        (Err(_), Some(spec)) if canary.status.phase.under_way() => spec,
        (Err(problems), _) => {
            let said = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            bail!("canary {name} is not driven: {said}")
        }
    };
    match world.workloads.get(&spec.target) {
        Some(target) => Ok((canary, target)),
        None => bail!("there is no Deployment {} in namespace {namespace}, which canary {name} names", spec.target),
    }
}

/// What is printed of a revision that is not known.
pub const UNKNOWN: &str = "not known yet";
