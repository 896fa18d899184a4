//! What the cluster says, kept up to date by watches, reduced to records.
//!
//! One mirror serves both the driver and the console. It never writes to the cluster. A record is never replaced by an
//! older one: what the driver has just written is seen at once, not when the watch brings it back.

use super::connect::{code, explain};
use super::lease::{Driver, LeaseRecord};
use super::object::Object;
use super::records::{CanaryRecord, EventRecord, PartRecord, ReplicaSetRecord, RouteRecord, WorkloadRecord};
use super::{Clock, Kinds};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::api::PartialObjectMeta;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::{AbortHandle, JoinSet};

/// One kind of objects that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Canaries,
    Deployments,
    ReplicaSets,
    VirtualServices,
    DestinationRules,
    Services,
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
            Source::VirtualServices => "virtualservices.networking.istio.io",
            Source::DestinationRules => "destinationrules.networking.istio.io",
            Source::Services => "services",
            Source::Events => "events",
            Source::Lease => "leases.coordination.k8s.io",
        }
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

/// All that is known of one namespace.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub canaries: BTreeMap<String, CanaryRecord>,
    pub workloads: BTreeMap<String, WorkloadRecord>,
    pub replica_sets: BTreeMap<String, ReplicaSetRecord>,
    pub routes: BTreeMap<String, RouteRecord>,
    pub rules: BTreeMap<String, PartRecord>,
    pub services: BTreeMap<String, PartRecord>,
    pub events: BTreeMap<String, EventRecord>,
    pub lease: Option<LeaseRecord>,
    pub health: BTreeMap<Source, Health>,
    /// Sources whose list has arrived at least once, however they stand now.
    pub listed: BTreeSet<Source>,
}

impl World {
    /// The present revision of a Deployment: `pod-template-hash` of the ReplicaSet that bears its newest template.
    /// None until the Deployment controller has seen that template.
    pub fn revision(&self, workload: &WorkloadRecord) -> Option<&str> {
        // A paused Deployment gets no ReplicaSet for a new template, and none of the old ones stands for that.
        if workload.paused || workload.observed_generation < workload.generation {
            return None;
        }
        let number = workload.revision_number.as_deref()?;
        self.replica_sets
            .values()
            .find(|r| r.owner == workload.uid && r.revision_number == number && !r.hash.is_empty())
            .map(|r| r.hash.as_str())
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
}

/// An object that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub source: Source,
    /// Name of the object; empty when the whole list was read anew or the watch's health changed.
    pub name: String,
}

/// The watches of one namespace and what they have brought.
#[derive(Clone)]
pub struct Mirror {
    shared: Arc<Shared>,
    /// Ends the watches with the last clone.
    _tasks: Arc<JoinSet<()>>,
    watches: Arc<[AbortHandle]>,
}

struct Shared {
    world: RwLock<World>,
    changed: broadcast::Sender<Changed>,
    count: watch::Sender<u64>,
    /// A broadcast, because its listeners wake in order.
    relist: broadcast::Sender<()>,
    listing: Semaphore,
    clock: Clock,
}

impl Mirror {
    /// Begins to watch. With `driving`, the objects that only a driver looks at are watched too.
    pub fn start(client: &Client, kinds: &Kinds, namespace: &str, clock: Clock, driving: bool) -> Self {
        let mut sources = vec![
            (Source::Canaries, Some(&kinds.canary)),
            (Source::Deployments, Some(&kinds.deployment)),
            (Source::VirtualServices, kinds.virtual_service.as_ref()),
            (Source::Events, Some(&kinds.event)),
        ];
        if driving {
            sources.push((Source::Services, Some(&kinds.service)));
            sources.push((Source::DestinationRules, kinds.destination_rule.as_ref()));
        }
        // Complete before the first watch begins: a watch that is quick already writes to it.
        let mut world = World::default();
        for (source, kind) in &sources {
            let health = match kind {
                Some(_) => Health::Connecting,
                None => Health::Forbidden { error: format!("the cluster serves no {source}: is Istio installed?") },
            };
            world.health.insert(*source, health);
        }
        world.health.insert(Source::ReplicaSets, Health::Connecting);
        world.health.insert(Source::Lease, Health::Connecting);
        let shared = Arc::new(Shared {
            world: RwLock::new(world),
            changed: broadcast::channel(4096).0,
            count: watch::channel(0).0,
            relist: broadcast::channel(1).0,
            listing: Semaphore::new(1),
            clock,
        });

        let mut tasks = JoinSet::new();
        let mut watches = Vec::new();
        for (source, kind) in sources {
            let Some(kind) = kind else { continue };
            let mut config = watcher::Config::default().page_size(PAGE);
            if source == Source::Events {
                config = config.fields("involvedObject.kind=Canary");
            }
            let api: Api<Object> = Api::namespaced_with(client.clone(), namespace, kind);
            watches.push(tasks.spawn(follow(shared.clone(), source, api, config, |object| object.value)));
        }
        let api: Api<PartialObjectMeta<k8s_openapi::api::apps::v1::ReplicaSet>> =
            Api::namespaced(client.clone(), namespace);
        watches.push(tasks.spawn(follow(
            shared.clone(),
            Source::ReplicaSets,
            api,
            watcher::Config::default().page_size(PAGE),
            |mut object| {
                object.metadata.managed_fields = None;
                serde_json::json!({ "metadata": object.metadata })
            },
        )));
        let lease = ApiResource::erase::<k8s_openapi::api::coordination::v1::Lease>(&());
        let api: Api<Object> = Api::namespaced_with(client.clone(), namespace, &lease);
        let config = watcher::Config::default().fields(&format!("metadata.name={}", super::lease::NAME));
        watches.push(tasks.spawn(follow(shared.clone(), Source::Lease, api, config, |object| object.value)));
        Self { shared, _tasks: Arc::new(tasks), watches: watches.into() }
    }

    /// A mirror that watches nothing and holds what a test puts there.
    pub fn of(world: World, clock: Clock) -> Self {
        let shared = Shared {
            world: RwLock::new(world),
            changed: broadcast::channel(16).0,
            count: watch::channel(0).0,
            relist: broadcast::channel(1).0,
            listing: Semaphore::new(1),
            clock,
        };
        Self { shared: Arc::new(shared), _tasks: Arc::new(JoinSet::new()), watches: [].into() }
    }

    /// What is known now. Hold it only while reading.
    pub fn read(&self) -> RwLockReadGuard<'_, World> {
        // A thread that panicked while writing left whole records behind: each is replaced at one stroke.
        self.shared.world.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says which object has changed, each time one has.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.shared.changed.subscribe()
    }

    /// Wakes when anything has changed; many changes may be one wake.
    pub fn count(&self) -> watch::Receiver<u64> {
        self.shared.count.subscribe()
    }

    /// Takes in the API server's answer to a write of our own.
    pub fn note_written(&self, source: Source, object: &Value) {
        self.shared.apply(source, object);
    }

    /// Takes in that an object is not there any more.
    pub fn note_gone(&self, source: Source, name: &str) {
        self.shared.gone(source, name);
    }

    /// Lists everything anew: after a time in which this process did not run, a watch may be dead and not know it. Until
    /// the lists are there nothing counts as live.
    pub fn relist(&self) {
        self.shared.with(|world| {
            world.health.values_mut().for_each(|health| {
                if *health == Health::Live {
                    *health = Health::Connecting;
                }
            })
        });
        let _ = self.shared.relist.send(());
        self.shared.announce(Source::Canaries, "");
    }

    /// Whether every watch still runs, however the API server is. One ends before the mirror only by a panic.
    pub fn is_watching(&self) -> bool {
        !self.watches.iter().any(AbortHandle::is_finished)
    }

    /// Waits until every watch has its first list or says why not.
    pub async fn ready(&self) {
        let mut count = self.count();
        while self.read().health.values().any(|h| *h == Health::Connecting) {
            if count.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Objects in one answer to a list. What is read at once stays with the process as its peak, and a page more costs a round
/// trip.
const PAGE: u32 = 50;

/// How long one list may keep the others waiting.
const TURN: Duration = Duration::from_secs(1);

/// Between two attempts: from a fifth of a second to five, because an operator waits for this.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Follows one kind for ever. After a failure everything is listed anew: a watch that merely resumes says nothing until
/// an object changes, and until then nobody could tell that the connection stands again.
async fn follow<K>(shared: Arc<Shared>, source: Source, api: Api<K>, config: watcher::Config, value: fn(K) -> Value)
where
    K: kube::Resource + Clone + DeserializeOwned + fmt::Debug + Send + 'static,
{
    let mut wait = RECONNECT.0;
    let mut relist = shared.relist.subscribe();
    loop {
        // One list at a time, for its peak; the canaries, which an operator waits for, were asked for first.
        let mut listing = shared.listing.acquire().await.ok();
        let turn_ends = tokio::time::Instant::now() + TURN;
        let stream = watcher::watcher(api.clone(), config.clone());
        futures::pin_mut!(stream);
        let mut listed: Vec<Value> = Vec::new();
        loop {
            let event = tokio::select! {
                biased;
                event = stream.next() => event,
                _ = relist.recv() => {
                    wait = Duration::ZERO;
                    break;
                }
                () = tokio::time::sleep_until(turn_ends), if listing.is_some() => {
                    listing = None;
                    continue;
                }
            };
            let Some(event) = event else { break };
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => listed.push(value(object)),
                Ok(Event::InitDone) => {
                    shared.replace(source, std::mem::take(&mut listed));
                    listing = None;
                    wait = RECONNECT.0;
                }
                Ok(Event::Apply(object)) => shared.apply(source, &value(object)),
                Ok(Event::Delete(object)) => shared.remove(source, &value(object)),
                Err(error) => {
                    shared.failed(source, &error);
                    break;
                }
            }
        }
        drop(listing);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).clamp(RECONNECT.0, RECONNECT.1);
    }
}

impl Shared {
    fn with<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        change(&mut self.world.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn announce(&self, source: Source, name: &str) {
        let _ = self.changed.send(Changed { source, name: name.to_string() });
        self.count.send_modify(|count| *count += 1);
    }

    fn replace(&self, source: Source, objects: Vec<Value>) {
        let now = self.clock.now();
        self.with(|world| {
            world.clear(source);
            for object in &objects {
                world.put(source, object, now);
            }
            world.health.insert(source, Health::Live);
            world.listed.insert(source);
        });
        self.announce(source, "");
    }

    fn apply(&self, source: Source, object: &Value) {
        let now = self.clock.now();
        let name = name_of(object);
        if self.with(|world| !world.is_older(source, object) && world.put(source, object, now)) {
            self.announce(source, name);
        }
    }

    fn remove(&self, source: Source, object: &Value) {
        self.gone(source, name_of(object));
    }

    fn gone(&self, source: Source, name: &str) {
        self.with(|world| world.take(source, name));
        self.announce(source, name);
    }

    fn failed(&self, source: Source, error: &watcher::Error) {
        let api = match error {
            watcher::Error::InitialListFailed(e)
            | watcher::Error::WatchStartFailed(e)
            | watcher::Error::WatchFailed(e) => Some(e),
            _ => None,
        };
        if let watcher::Error::WatchError(status) = error
            && status.code == 410
        {
            // Too far behind: the next list brings everything.
            return;
        }
        let text = api.map_or_else(|| error.to_string(), explain);
        let now = self.clock.now();
        let changed = self.with(|world| {
            let health = world.health.entry(source).or_insert(Health::Connecting);
            let next = match (&*health, api.and_then(code)) {
                (_, Some(403)) => Health::Forbidden { error: text },
                (Health::Lost { since, .. }, _) => Health::Lost { since: *since, error: text },
                _ => Health::Lost { since: now, error: text },
            };
            let changed = *health != next;
            *health = next;
            changed
        });
        tracing::warn!(%source, %error, "watch failed");
        if changed {
            self.announce(source, "");
        }
    }
}

fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("")
}

impl World {
    fn clear(&mut self, source: Source) {
        match source {
            Source::Canaries => self.canaries.clear(),
            Source::Deployments => self.workloads.clear(),
            Source::ReplicaSets => self.replica_sets.clear(),
            Source::VirtualServices => self.routes.clear(),
            Source::DestinationRules => self.rules.clear(),
            Source::Services => self.services.clear(),
            Source::Events => self.events.clear(),
            Source::Lease => self.lease = None,
        }
    }

    fn take(&mut self, source: Source, name: &str) {
        match source {
            Source::Canaries => drop(self.canaries.remove(name)),
            Source::Deployments => drop(self.workloads.remove(name)),
            Source::ReplicaSets => drop(self.replica_sets.remove(name)),
            Source::VirtualServices => drop(self.routes.remove(name)),
            Source::DestinationRules => drop(self.rules.remove(name)),
            Source::Services => drop(self.services.remove(name)),
            Source::Events => drop(self.events.remove(name)),
            Source::Lease => self.lease = None,
        }
    }

    /// Puts an object's record; answers whether it differs from the one before.
    fn put(&mut self, source: Source, object: &Value, now: DateTime<Utc>) -> bool {
        fn differs<T: PartialEq>(map: &mut BTreeMap<String, T>, name: &str, record: T) -> bool {
            if map.get(name) == Some(&record) {
                return false;
            }
            map.insert(name.to_string(), record);
            true
        }
        let name = name_of(object);
        match source {
            Source::Canaries => differs(&mut self.canaries, name, CanaryRecord::of(object)),
            Source::Deployments => differs(&mut self.workloads, name, WorkloadRecord::of(object)),
            Source::ReplicaSets => differs(&mut self.replica_sets, name, ReplicaSetRecord::of(object)),
            Source::VirtualServices => differs(&mut self.routes, name, RouteRecord::of(object)),
            Source::DestinationRules => differs(&mut self.rules, name, PartRecord::of(object)),
            Source::Services => differs(&mut self.services, name, PartRecord::of_service(object)),
            Source::Events => differs(&mut self.events, name, EventRecord::of(object)),
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

    /// Whether what is kept of this object is newer than what has come. Resource versions are compared as numbers,
    /// which every API server's are; where one is not, the newcomer counts.
    fn is_older(&self, source: Source, object: &Value) -> bool {
        let name = name_of(object);
        let kept = match source {
            Source::Canaries => self.canaries.get(name).map(|r| (&r.resource_version, Some(r.uid.as_str()))),
            Source::Deployments => self.workloads.get(name).map(|r| (&r.resource_version, Some(r.uid.as_str()))),
            Source::VirtualServices => self.routes.get(name).map(|r| (&r.resource_version, None)),
            Source::DestinationRules => self.rules.get(name).map(|r| (&r.resource_version, None)),
            Source::Services => self.services.get(name).map(|r| (&r.resource_version, None)),
            Source::ReplicaSets | Source::Events | Source::Lease => None,
        };
        let Some((kept, uid)) = kept else { return false };
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn canary(version: &str, weight: u8) -> Value {
        json!({"metadata": {"name": "app", "uid": "u", "resourceVersion": version}, "status": {"canaryWeight": weight}})
    }

    #[test]
    fn an_older_object_never_replaces_a_newer_one() {
        let mirror = Mirror::of(World::default(), Clock::system());
        mirror.note_written(Source::Canaries, &canary("10", 30));
        mirror.shared.apply(Source::Canaries, &canary("9", 20));
        assert_eq!(mirror.read().canaries["app"].status.canary_weight, 30);
        mirror.shared.apply(Source::Canaries, &canary("11", 40));
        assert_eq!(mirror.read().canaries["app"].status.canary_weight, 40);
    }

    #[test]
    fn a_list_read_anew_counts_whatever_its_version() {
        let mirror = Mirror::of(World::default(), Clock::system());
        mirror.note_written(Source::Canaries, &canary("10", 30));
        mirror.shared.replace(Source::Canaries, vec![canary("2", 20)]);
        assert_eq!(mirror.read().canaries["app"].status.canary_weight, 20);
    }

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
