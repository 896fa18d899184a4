//! From the mirror's records to the facts of one Canary.

use super::configs::{self, Mounted};
use super::scaler::scaler;
use crate::api::shapes::{Owner, Role};
use crate::api::status::Cookies;
use crate::api::{Autoscaler, FINALIZER, Problem, Provider, Revision, Spec, borne, services};
use crate::cluster::records::{CanaryRecord, WorkloadRecord};
use crate::cluster::{Health, Source, World};
use crate::rollout::{Answers, Facts, Part, Routes, Workload};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is observed of a Canary.
pub enum Observed {
    /// There is no such Canary, or it is being deleted: nothing is to be done.
    Gone,
    /// Not all of it is known at present.
    Unknown,
    /// It asks for what is not carried out, or for nonsense.
    Undriveable(Box<CanaryRecord>, Vec<Problem>),
    Known(Box<CanaryRecord>, Box<Facts>, Decided),
}

/// The versions of the objects that a decision is made on. A write carries them, so that what has changed since is met
/// by a conflict and never overwritten unseen.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    versions: BTreeMap<(Source, String), String>,
    /// Uid and generation of the target: which template was decided on.
    pub target: Option<(String, i64)>,
}

impl Decided {
    /// The version of an object; None where it did not exist.
    pub fn version(&self, source: Source, name: &str) -> Option<&str> {
        self.versions.get(&(source, name.to_string())).map(String::as_str)
    }

    /// A write of our own has moved an object on.
    pub fn moved(&mut self, source: Source, name: &str, version: &str) {
        self.versions.insert((source, name.to_string()), version.to_string());
    }

    fn of(world: &World, canary: &CanaryRecord, spec: &Spec) -> Self {
        let mut decided = Self::default();
        decided.moved(Source::Canaries, &canary.name, &canary.resource_version);
        for name in [spec.target.clone(), spec.primary()] {
            if let Some(workload) = world.workloads.get(&name) {
                decided.moved(Source::Deployments, &name, &workload.resource_version);
            }
        }
        decided.target = world.workloads.get(&spec.target).map(|t| (t.uid.clone(), t.generation));
        for name in [Role::Apex, Role::Primary, Role::Canary].map(|role| role.name(&spec.service.apex)) {
            if let Some(service) = world.services.get(&name) {
                decided.moved(Source::Services, &name, &service.resource_version);
            }
            if let Some(rule) = world.rules.get(&spec.provider).and_then(|rules| rules.get(&name)) {
                decided.moved(Source::Rules(spec.provider), &name, &rule.resource_version);
            }
        }
        if let Some(primary) = world.workloads.get(&spec.primary()) {
            for (source, name) in configs::copies_of(world, primary) {
                let record = match source {
                    Source::ConfigMaps => world.config_maps.get(&name),
                    _ => world.secrets.get(&name),
                };
                if let Some(record) = record {
                    decided.moved(source, &name, &record.resource_version);
                }
            }
        }
        if let Some(name) = spec.autoscaler.as_ref().map(Autoscaler::primary)
            && let Some(scaler) = world.scalers.get(&name)
        {
            decided.moved(Source::Scalers, &name, &scaler.resource_version);
        }
        if let Some(routes) = world.routes_of(spec) {
            decided.moved(Source::Routes(spec.provider), &routes.name, &routes.resource_version);
        }
        decided
    }
}

/// Sources that every decision stands on.
const NEEDED: [Source; 4] = [Source::Canaries, Source::Deployments, Source::ReplicaSets, Source::Services];

/// Sources that the decisions on Canaries of a provider stand on beside that.
fn provided(provider: Provider) -> Vec<Source> {
    let rules = provider.rules_kind().map(|_| Source::Rules(provider));
    [Some(Source::Routes(provider)), rules].into_iter().flatten().collect()
}

/// The spec by which a Canary is driven: its own, or where that cannot be carried out and a rollout is under way, what
/// can be read of it, or else the one `known` from before. None: it is not driven.
pub fn driven_spec<'a>(canary: &'a CanaryRecord, known: Option<&'a Spec>) -> Option<&'a Spec> {
    match &canary.spec {
        Ok(spec) => Some(spec),
        Err(_) => canary.partial.as_deref().or(known).filter(|_| canary.status.phase.under_way()),
    }
}

/// Gathers the facts of one Canary. Where any source is not live there are none: no decision on stale facts. `known` is
/// the last spec that could be read: a rollout under way is brought home by it when the present one cannot be.
pub fn observe(
    world: &World,
    name: &str,
    known: Option<&Spec>,
    min_interval: Duration,
    now: DateTime<Utc>,
) -> Observed {
    if world.not_live(&NEEDED).is_some() {
        return Observed::Unknown;
    }
    let finalizer = |canary: &CanaryRecord| canary.finalizers.iter().any(|name| name == FINALIZER);
    let Some(canary) = world.canaries.get(name).filter(|c| !c.deleting || finalizer(c)) else {
        return Observed::Gone;
    };
    let problems = canary.spec.as_ref().err();
    let Some(spec) = driven_spec(canary, known) else {
        return Observed::Undriveable(Box::new(canary.clone()), problems.cloned().unwrap_or_default());
    };
    if world.not_live(&provided(spec.provider)).is_some() {
        return Observed::Unknown;
    }
    let mut undriveable = problems.map(|problems| listed(problems));
    if let Some(named) = &spec.autoscaler {
        match world.health.get(&Source::Scalers) {
            Some(Health::Live) => {}
            Some(Health::Forbidden { error }) => {
                let why = format!(
                    "spec.autoscalerRef names {}, and the driver may not watch {}: {error}",
                    named.name,
                    Source::Scalers
                );
                undriveable.get_or_insert(why);
            }
            _ => return Observed::Unknown,
        }
    }
    let target = world.workloads.get(&spec.target);
    let primary = world.workloads.get(&spec.primary());
    let hash = target.and_then(|t| world.revision(t)).map(str::to_string);
    let (revision, config_problem) = match target.map(|t| configs::mounted(world, t)) {
        Some(Mounted::Known(configs)) => (hash.map(|hash| Revision { hash, configs }), None),
        Some(Mounted::Problem(why)) => (None, Some(why)),
        Some(Mounted::NotYet) | None => (None, None),
    };
    let owner = owner(canary);
    let part = |role| service_part(world, canary, spec, &owner, target, role);
    let rule = |role| rule_part(world, canary, spec, &owner, role);
    let facts = Facts {
        now,
        name: canary.name.clone(),
        namespace: canary.namespace.clone(),
        uid: canary.uid.clone(),
        spec: Arc::new(spec.clone()),
        interval: spec.analysis.interval.max(min_interval),
        status: canary.status.clone(),
        target: target.map(|t| workload(t, canary)),
        revision,
        config_problem,
        promoted: configs::promoted(world, &canary.status, primary),
        applied_is_ours: canary.applied_by_us || target.is_some_and(|t| applied_by(world, t, canary)),
        primary_like_target: target.zip(primary).and_then(|(t, p)| configs::primary_like_target(world, t, p)),
        scaler: scaler(world, canary, spec),
        primary: primary.map(|p| Workload { strayed: configs::strayed(world, p), ..workload(p, canary) }),
        apex_service: part(Role::Apex),
        primary_service: part(Role::Primary),
        canary_service: part(Role::Canary),
        primary_rule: rule(Role::Primary),
        canary_rule: rule(Role::Canary),
        routes: routes(world, canary, spec, &owner),
        request: canary.request.clone().map(|r| r.map(|request| *request).map_err(|problem| problem.why)),
        paused: canary.paused.as_deref().cloned(),
        gate: canary.gate.as_deref().cloned(),
        opened: canary.opened.as_deref().cloned(),
        manual_start: canary.manual_start,
        deleting: canary.deleting,
        finalizer: finalizer(canary),
        answers: Answers::default(),
        undriveable,
    };
    Observed::Known(Box::new(canary.clone()), Box::new(facts), Decided::of(world, canary, spec))
}

/// Problems in one line.
pub fn listed(problems: &[Problem]) -> String {
    let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
    list.join("; ")
}

/// The Canary as an owner.
pub fn owner(canary: &CanaryRecord) -> Owner {
    Owner { namespace: canary.namespace.clone(), name: canary.name.clone(), uid: canary.uid.clone() }
}

/// Whether the revision last taken into account is a ReplicaSet's of the target.
fn applied_by(world: &World, target: &WorkloadRecord, canary: &CanaryRecord) -> bool {
    let applied = canary.status.last_applied.as_deref();
    world.replica_sets.of(&target.uid).any(|set| Some(set.hash()) == applied)
}

fn workload(record: &WorkloadRecord, canary: &CanaryRecord) -> Workload {
    Workload {
        name: record.name.clone(),
        generation: record.generation,
        observed_generation: record.observed_generation,
        desired: record.desired,
        replicas: record.replicas,
        updated: record.updated,
        available: record.available,
        deadline_exceeded: record.progressing.as_deref() == Some("ProgressDeadlineExceeded"),
        unavailable_since: record.unavailable_since,
        paused: record.paused,
        containers: record.containers.clone(),
        selector_problem: record.selector.as_ref().err().cloned(),
        revision: record.revision.clone(),
        last_promoted: record.for_driver.last_promoted.clone(),
        request_id: record.for_driver.request_id.clone(),
        strayed: false,
        served_with: record.for_driver.served_with,
        foreign: record.for_driver.owner.as_deref() != Some(&canary.uid),
    }
}

/// A part of its owner, held against what it should be. One that nobody controls is taken over.
fn held<T>(
    part: Option<&T>,
    owner: impl Fn(&T) -> Option<&str>,
    uid: &str,
    as_desired: impl FnOnce(&T) -> bool,
) -> Part {
    match part {
        None => Part::Missing,
        Some(part) if owner(part).is_some_and(|owner| owner != uid) => Part::Foreign,
        Some(part) if as_desired(part) => Part::AsDesired,
        Some(_) => Part::Differs,
    }
}

fn service_part(
    world: &World,
    canary: &CanaryRecord,
    spec: &Spec,
    owner: &Owner,
    target: Option<&WorkloadRecord>,
    role: Role,
) -> Part {
    let service = &spec.service;
    held(
        world.services.get(&role.name(&service.apex)),
        |part| part.owner.as_deref(),
        &canary.uid,
        |part| {
            // Without a selector there is nothing to hold it against; that is an obstacle of its own.
            let Some((target, selector)) = target.and_then(|t| Some((t, t.selector.as_ref().ok()?))) else {
                return true;
            };
            let desired = services::service(owner, service, selector, &target.for_driver.ports, role);
            let bears = services::metadata(service, selector, role);
            // Of a Service that somebody else made, what it bears is theirs.
            let labelled = part.owner.is_none() || borne::difference(&part.bears, &bears, &service.unmanaged).is_none();
            labelled && services::same(&part.spec.value(), &desired["spec"])
        },
    )
}

fn rule_part(world: &World, canary: &CanaryRecord, spec: &Spec, owner: &Owner, role: Role) -> Part {
    // A provider without rules lacks none.
    let Some(desired) = spec.provider.rule(owner, spec, role) else { return Part::AsDesired };
    let rules = world.rules.get(&spec.provider);
    let rule = rules.and_then(|rules| rules.get(&role.name(&spec.service.apex)));
    held(rule, |part| part.owner.as_deref(), &canary.uid, |part| borne::alike(&part.spec.value(), &desired["spec"]))
}

/// The routes are as they should be when they are what would be written for the traffic that they have, with the cookies
/// that are recorded or, where a step is not recorded yet, those that they give: so neither weights nor copies nor
/// cookies are a difference.
fn routes(world: &World, canary: &CanaryRecord, spec: &Spec, owner: &Owner) -> Routes {
    let Some(record) = world.routes_of(spec) else { return Routes::default() };
    let shape = record.spec.value();
    let live = record.live_by(&shape, spec);
    let with = |cookies: &Cookies| {
        let desired = spec.provider.routes(owner, spec, &live.traffic(cookies.clone()));
        let bears = borne::lacking(&record.bears, &borne::borne(&desired));
        bears.is_none() && spec.provider.same(&shape, &desired["spec"])
    };
    let as_desired = || with(&canary.status.cookies) || with(&live.cookies);
    let part = held(Some(record), |record| record.owner.as_deref(), &canary.uid, |_| as_desired());
    Routes {
        part,
        weights: live.weights,
        mirrored: live.mirrored,
        everyone: live.everyone,
        request_id: record.request_id.clone(),
    }
}

#[cfg(test)]
mod tests;
