//! What is known of one namespace: the records of its objects by name, or, for a screen, packed texts. Whatever is asked of
//! it is answered from what is there; it never reads from the cluster.

use super::configs::ConfigRecord;
use super::lease::{Driver, LeaseRecord};
use super::packed::{Gist, Packed};
use super::records::{CanaryRecord, EventRecord, PartRecord, RouteRecord, WorkloadRecord};
use super::replica_sets::{ReplicaSetRecord, ReplicaSets, Uid};
use super::scalers::ScalerRecord;
use crate::api::routes::Live;
use crate::api::shapes::ConfigKind;
use crate::api::{Provider, Revision, Spec};
use chrono::{DateTime, Utc};
use kube::core::ApiResource;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// One kind of objects that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Canaries,
    Deployments,
    ReplicaSets,
    /// The objects of a provider that carry the weights.
    Routes(Provider),
    /// The objects of a provider beside them.
    Rules(Provider),
    Services,
    ConfigMaps,
    Secrets,
    /// HorizontalPodAutoscalers.
    Scalers,
    Events,
    Lease,
}

impl Source {
    /// The resource's name, as in an RBAC rule.
    pub fn resource(self) -> &'static str {
        match self {
            Source::Canaries => "canaries.flagger.app",
            Source::Deployments => "deployments.apps",
            Source::ReplicaSets => "replicasets.apps",
            Source::Routes(provider) => provider.routes_kind().resource,
            Source::Rules(provider) => provider.rules_kind().map_or("rules", |kind| kind.resource),
            Source::Services => "services",
            Source::ConfigMaps => "configmaps",
            Source::Secrets => "secrets",
            Source::Scalers => "horizontalpodautoscalers.autoscaling",
            Source::Events => "events",
            Source::Lease => "leases.coordination.k8s.io",
        }
    }

    /// Where configuration of this kind comes from.
    pub fn of_configs(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::ConfigMap => Source::ConfigMaps,
            ConfigKind::Secret => Source::Secrets,
        }
    }

    /// Whether only the Canaries that name such objects need it: a driver without the right to it drives the others.
    pub fn is_for_some(self) -> bool {
        matches!(self, Source::ConfigMaps | Source::Secrets | Source::Scalers)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.resource())
    }
}

/// How a watch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The first list has not arrived.
    Connecting,
    /// The records are what the cluster has.
    Live,
    /// The records are of before `since`.
    Lost { since: DateTime<Utc>, error: String },
    /// The API server refuses; the text is its own.
    Forbidden { error: String },
}

/// Who reads what the watches bring, and so what is watched, and how much is kept of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum For {
    /// Every kind, each object with all that is decided on.
    Driver,
    /// What an observer looks at.
    #[default]
    Observer,
    /// As [`For::Observer`], for a screen over many canaries: what it shows one row of is kept packed, so it is looked at
    /// by the methods of [`World`] alone.
    Screen,
}

/// All that is known of one namespace.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub canaries: BTreeMap<String, CanaryRecord>,
    pub workloads: BTreeMap<String, WorkloadRecord>,
    pub replica_sets: ReplicaSets,
    /// By provider and name: an app that goes from one to another has routes of both.
    pub routes: BTreeMap<Provider, BTreeMap<String, RouteRecord>>,
    pub rules: BTreeMap<Provider, BTreeMap<String, PartRecord>>,
    pub services: BTreeMap<String, PartRecord>,
    pub config_maps: BTreeMap<String, ConfigRecord>,
    pub secrets: BTreeMap<String, ConfigRecord>,
    pub scalers: BTreeMap<String, ScalerRecord>,
    /// Shared with whoever shows them.
    pub events: BTreeMap<Arc<str>, Arc<EventRecord>>,
    pub lease: Option<LeaseRecord>,
    pub health: BTreeMap<Source, Health>,
    /// Sources whose list has arrived at least once, however they stand now.
    pub listed: BTreeSet<Source>,
    /// Who reads it.
    pub kept_for: For,
    /// What is not in the maps above, because it is kept for a screen.
    pub packed: Packed,
}

impl World {
    /// A Canary.
    pub fn canary(&self, name: &str) -> Option<Cow<'_, CanaryRecord>> {
        either(self.canaries.get(name), || self.packed.canary(name))
    }

    /// A Deployment.
    pub fn workload(&self, name: &str) -> Option<Cow<'_, WorkloadRecord>> {
        either(self.workloads.get(name), || self.packed.workload(name))
    }

    /// The Deployment of this uid. It looks at one after the other.
    pub fn workload_of(&self, uid: Uid) -> Option<Cow<'_, WorkloadRecord>> {
        let kept = self.workloads.values().find(|workload| Uid::of(&workload.uid) == uid);
        either(kept, || self.packed.workloads().find(|workload| Uid::of(&workload.uid) == uid))
    }

    /// All Canaries by their names, in order, and of each what is asked of all at once.
    pub fn gists(&self) -> impl Iterator<Item = (&str, Gist)> {
        let kept = self.canaries.iter().map(|(name, canary)| (name.as_str(), Gist::of(canary)));
        kept.chain(self.packed.gists())
    }

    /// The present revision of a Deployment: `pod-template-hash` of the ReplicaSet that bears its newest template.
    /// None until the Deployment controller has seen that template.
    pub fn revision(&self, workload: &WorkloadRecord) -> Option<&str> {
        // A paused Deployment gets no ReplicaSet for a new template, and none of the old ones stands for that.
        if workload.paused || workload.observed_generation < workload.generation {
            return None;
        }
        let number = workload.revision_number.as_deref()?.parse().ok();
        let mut sets = self.replica_sets.of(&workload.uid);
        sets.find(|r| number.is_some() && r.revision_number == number && !r.hash().is_empty())
            .map(ReplicaSetRecord::hash)
    }

    /// Whether the Canaries are still waited for: neither are they listed, nor is it known why not.
    pub fn awaits_canaries(&self) -> bool {
        self.health.get(&Source::Canaries) == Some(&Health::Connecting)
    }

    /// The routes of a Canary, as a driver has them.
    pub fn routes_of(&self, spec: &Spec) -> Option<&RouteRecord> {
        self.routes.get(&spec.provider)?.get(&spec.provider.routes_name(spec))
    }

    /// Which way a Canary's requests go; None where there are no routes.
    pub fn live(&self, spec: &Spec) -> Option<Live> {
        let packed = || self.packed.route(spec.provider, &spec.provider.routes_name(spec));
        either(self.routes_of(spec), packed).map(|routes| routes.live(spec))
    }

    /// The providers that the Canaries name; where there are no Canaries, the one of those that name none.
    pub fn providers(&self) -> BTreeSet<Provider> {
        let mut named: BTreeSet<Provider> = self.gists().filter_map(|(_, gist)| gist.provider).collect();
        if named.is_empty() {
            named.insert(Provider::default());
        }
        named
    }

    /// Whether anything depends on a source: routes and rules only where a Canary names their provider.
    pub fn depends_on(&self, source: Source) -> bool {
        match source {
            Source::Routes(provider) | Source::Rules(provider) => self.providers().contains(&provider),
            _ => true,
        }
    }

    /// The name of the target's present revision, as a request must give it: what the driver calls it. What it mounts is
    /// not looked at here: the driver writes that into the status when it has taken it into account.
    pub fn revision_name(&self, canary: &CanaryRecord, target: &WorkloadRecord) -> Option<String> {
        let hash = self.revision(target)?.to_string();
        let configs = canary.status.tracked_configs.clone().unwrap_or_default();
        Some(Revision { hash, configs }.to_string())
    }

    /// What is kept of one ConfigMap or Secret.
    pub fn config(&self, kind: ConfigKind, name: &str) -> Option<&ConfigRecord> {
        match kind {
            ConfigKind::ConfigMap => self.config_maps.get(name),
            ConfigKind::Secret => self.secrets.get(name),
        }
    }

    /// Who drives this namespace, at `now`.
    pub fn driver(&self, now: DateTime<Utc>) -> Driver {
        self.lease.as_ref().map_or(Driver::Nobody, |lease| lease.driver(now))
    }

    /// The first source among these that does not show what the cluster has.
    pub fn not_live(&self, sources: &[Source]) -> Option<(Source, &Health)> {
        sources.iter().find_map(|source| {
            let health = self.health.get(source).unwrap_or(&Health::Connecting);
            (*health != Health::Live).then_some((*source, health))
        })
    }

    /// A world of which nothing has arrived.
    pub(super) fn awaited(sources: &[(Source, Option<ApiResource>)], kept_for: For) -> Self {
        let health = sources.iter().map(|(source, kind)| match kind {
            Some(_) => (*source, Health::Connecting),
            None => (*source, Health::Forbidden { error: not_served(*source) }),
        });
        Self { health: health.collect(), kept_for, ..Self::default() }
    }

    /// Takes all that `listed` has of a source in place of what there is.
    pub(super) fn exchange(&mut self, source: Source, mut listed: World) {
        /// A map that was filled one by one is half empty; one that is made of a sorted whole is full.
        fn packed<T>(map: BTreeMap<String, T>) -> BTreeMap<String, T> {
            map.into_iter().collect()
        }
        self.packed.exchange(source, listed.packed);
        match source {
            Source::Canaries => self.canaries = packed(listed.canaries),
            Source::Deployments => self.workloads = packed(listed.workloads),
            Source::ReplicaSets => self.replica_sets = listed.replica_sets.packed(),
            Source::Routes(provider) => {
                self.routes.insert(provider, packed(listed.routes.remove(&provider).unwrap_or_default()));
            }
            Source::Rules(provider) => {
                self.rules.insert(provider, packed(listed.rules.remove(&provider).unwrap_or_default()));
            }
            Source::Services => self.services = packed(listed.services),
            Source::ConfigMaps => self.config_maps = packed(listed.config_maps),
            Source::Secrets => self.secrets = packed(listed.secrets),
            Source::Scalers => self.scalers = packed(listed.scalers),
            Source::Events => self.events = listed.events.into_iter().collect(),
            Source::Lease => self.lease = listed.lease,
        }
    }

    pub(super) fn take(&mut self, source: Source, name: &str) {
        self.packed.take(source, name);
        match source {
            Source::Canaries => drop(self.canaries.remove(name)),
            Source::Deployments => drop(self.workloads.remove(name)),
            Source::ReplicaSets => drop(self.replica_sets.remove(name)),
            Source::Routes(provider) => drop(self.routes.entry(provider).or_default().remove(name)),
            Source::Rules(provider) => drop(self.rules.entry(provider).or_default().remove(name)),
            Source::Services => drop(self.services.remove(name)),
            Source::ConfigMaps => drop(self.config_maps.remove(name)),
            Source::Secrets => drop(self.secrets.remove(name)),
            Source::Scalers => drop(self.scalers.remove(name)),
            Source::Events => drop(self.events.remove(name)),
            Source::Lease => self.lease = None,
        }
    }

    /// Puts an object's record; answers whether it differs from the one before.
    pub(super) fn put(&mut self, source: Source, object: &Value, now: DateTime<Utc>) -> bool {
        fn differs<T: PartialEq>(map: &mut BTreeMap<String, T>, name: &str, record: T) -> bool {
            if map.get(name) == Some(&record) {
                return false;
            }
            map.insert(name.to_string(), record);
            true
        }
        let name = name_of(object);
        let screen = self.kept_for == For::Screen;
        match source {
            Source::Canaries if screen => self.packed.put_canary(name, object),
            Source::Deployments if screen => self.packed.put_workload(name, object),
            Source::Routes(provider) if screen => self.packed.put_route(provider, name, object),
            Source::Canaries => differs(&mut self.canaries, name, CanaryRecord::of(object)),
            Source::Deployments => {
                let record = match self.kept_for {
                    For::Driver => WorkloadRecord::whole(object),
                    _ => WorkloadRecord::for_observer(object),
                };
                differs(&mut self.workloads, name, record)
            }
            Source::ReplicaSets => {
                let record = ReplicaSetRecord::of(object);
                let same = self.replica_sets.get(name) == Some(&record);
                if !same {
                    self.replica_sets.insert(record);
                }
                !same
            }
            Source::Routes(provider) => {
                let record = match self.kept_for {
                    For::Driver => RouteRecord::of(object),
                    _ => RouteRecord::for_observer(object),
                };
                differs(self.routes.entry(provider).or_default(), name, record)
            }
            Source::Rules(provider) => differs(self.rules.entry(provider).or_default(), name, PartRecord::of(object)),
            Source::Services => differs(&mut self.services, name, PartRecord::of_service(object)),
            Source::ConfigMaps => differs(&mut self.config_maps, name, ConfigRecord::of(ConfigKind::ConfigMap, object)),
            Source::Secrets => differs(&mut self.secrets, name, ConfigRecord::of(ConfigKind::Secret, object)),
            Source::Scalers => {
                let record = ScalerRecord::of(object);
                let same = self.scalers.get(name).is_some_and(|before| before.asks_the_same(&record));
                self.scalers.insert(name.to_string(), record);
                !same
            }
            Source::Events => {
                let mut record = EventRecord::of(object);
                if screen {
                    // No view shows it.
                    record.uid = String::new();
                }
                if self.events.get(name).is_some_and(|before| **before == record) {
                    return false;
                }
                self.events.insert(record.name.clone(), Arc::new(record));
                true
            }
            Source::Lease => {
                let lease = LeaseRecord::of(object, self.lease.as_ref(), now);
                // A renewal alone is no news to anyone.
                // But one that comes after its end is: somebody drives again.
                let same = self
                    .lease
                    .as_ref()
                    .is_some_and(|l| l.holder == lease.holder && l.term == lease.term && l.ends() >= now);
                self.lease = Some(lease);
                !same
            }
        }
    }

    /// The version of an object as a driver has it; None where there is none, or none is kept of its kind.
    pub fn version(&self, source: Source, name: &str) -> Option<&str> {
        self.kept(source, name).map(|(version, _)| version.as_str())
    }

    /// Version and, where it is kept, uid of an object.
    fn kept(&self, source: Source, name: &str) -> Option<(&String, Option<&str>)> {
        match source {
            Source::Canaries => self.canaries.get(name).map(|r| (&r.resource_version, Some(r.uid.as_str()))),
            Source::Deployments => self.workloads.get(name).map(|r| (&r.resource_version, Some(r.uid.as_str()))),
            Source::Routes(provider) => {
                self.routes.get(&provider).and_then(|of| of.get(name)).map(|r| (&r.resource_version, None))
            }
            Source::Rules(provider) => {
                self.rules.get(&provider).and_then(|of| of.get(name)).map(|r| (&r.resource_version, None))
            }
            Source::Services => self.services.get(name).map(|r| (&r.resource_version, None)),
            Source::ConfigMaps => self.config_maps.get(name).map(|r| (&r.resource_version, None)),
            Source::Secrets => self.secrets.get(name).map(|r| (&r.resource_version, None)),
            Source::Scalers => self.scalers.get(name).map(|r| (&r.resource_version, None)),
            Source::ReplicaSets | Source::Events | Source::Lease => None,
        }
    }

    /// Whether what is kept of this object is newer than what has come. Resource versions are compared as numbers,
    /// which every API server's are; where one is not, the newcomer counts.
    pub(super) fn is_older(&self, source: Source, object: &Value) -> bool {
        let name = name_of(object);
        let packed = self.packed.version(source, name);
        let packed = packed.as_ref().map(|(version, uid)| (version, uid.as_deref()));
        let Some((kept, uid)) = packed.or_else(|| self.kept(source, name)) else { return false };
        if uid.is_some() && object.pointer("/metadata/uid").and_then(Value::as_str) != uid {
            return false;
        }
        let come = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("");
        match (kept.parse::<u64>(), come.parse::<u64>()) {
            (Ok(kept), Ok(come)) => come < kept,
            _ => false,
        }
    }
}

fn either<'a, T: Clone>(record: Option<&'a T>, packed: impl FnOnce() -> Option<T>) -> Option<Cow<'a, T>> {
    record.map(Cow::Borrowed).or_else(|| packed().map(Cow::Owned))
}

/// Name of an object; empty where it has none.
pub(super) fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("")
}

fn not_served(source: Source) -> String {
    match source {
        Source::Routes(provider) | Source::Rules(provider) => {
            format!("the cluster serves no {source}: is {} installed?", provider.product())
        }
        _ => format!("the cluster serves no {source}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_revision_is_known_once_the_newest_template_was_seen() {
        let mut world = World::default();
        let deployment = |observed: i64| {
            json!({"metadata": {"name": "app", "uid": "d", "generation": 2,
                    "annotations": {"deployment.kubernetes.io/revision": "3"}},
                "status": {"observedGeneration": observed}})
        };
        let set = |number: &str, hash: &str| {
            json!({"metadata": {"name": hash, "labels": {"pod-template-hash": hash},
                "annotations": {"deployment.kubernetes.io/revision": number},
                "ownerReferences": [{"uid": "d", "controller": true}]}})
        };
        let now = DateTime::UNIX_EPOCH;
        world.put(Source::ReplicaSets, &set("2", "old"), now);
        world.put(Source::ReplicaSets, &set("3", "new"), now);
        assert_eq!(world.revision(&WorkloadRecord::of(&deployment(1))), None);
        assert_eq!(world.revision(&WorkloadRecord::of(&deployment(2))), Some("new"));
    }
}
