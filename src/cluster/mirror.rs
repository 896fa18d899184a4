//! What the cluster says, kept up to date by watches, reduced to records.
//!
//! One mirror serves both the driver and the console. It never writes to the cluster. A record is never replaced by an
//! older one: what the driver has just written is seen at once, not when the watch brings it back.

use super::configs::{self, ConfigRecord};
use super::connect::{code, explain};
use super::json_text::JsonText;
use super::lease::{Driver, LeaseRecord};
use super::object::{Form, MetadataText, Object};
use super::packed::{Gist, Packed};
use super::records::{CanaryRecord, EventRecord, PartRecord, RouteRecord, WorkloadRecord};
use super::replica_sets::{ReplicaSetRecord, ReplicaSets, Uid};
use super::scalers::ScalerRecord;
use super::{Clock, Kinds};
use crate::api::routes::Live;
use crate::api::shapes::ConfigKind;
use crate::api::{Provider, Revision, Spec};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde_json::Value;
use std::borrow::Cow;
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
}

/// An object that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub source: Source,
    /// Name of the object; empty when the whole list was read anew or the watch's health changed.
    pub name: String,
}

/// What the watches have brought of one namespace.
#[derive(Clone)]
pub struct Mirror {
    shared: Arc<Shared>,
    watches: Watches,
}

/// Watches that run. They end with the last clone.
#[derive(Clone)]
pub(super) struct Watches {
    _tasks: Arc<JoinSet<()>>,
    handles: Arc<[AbortHandle]>,
}

/// How many changes a reader may be behind before it looks at everything. The room for them is taken at once.
const fn behind(reader: For) -> usize {
    match reader {
        For::Driver => 4096,
        For::Observer | For::Screen => 512,
    }
}

/// A world that is being written, and who is told.
pub(super) struct Shared {
    world: RwLock<World>,
    changed: broadcast::Sender<Changed>,
    count: watch::Sender<u64>,
    /// A broadcast, because its listeners wake in order.
    relist: broadcast::Sender<()>,
    listing: Semaphore,
    clock: Clock,
    /// Lists everything anew where the watches are not this world's own.
    lister: Option<Lister>,
}

/// Has everything listed anew by whoever watches.
pub(super) type Lister = Box<dyn Fn() + Send + Sync>;

/// What a list has brought so far, by namespace. Each object is reduced as it comes: a thousand trees at once would stay
/// with the process as its peak.
pub(super) type Listed = BTreeMap<String, World>;

/// Where watches bring what they see.
pub(super) trait Sink: Send + Sync + 'static {
    /// A list begins.
    fn begins(&self, _source: Source) {}
    /// Whether anything of a namespace is kept.
    fn keeps(&self, _source: Source, _namespace: &str) -> bool {
        true
    }
    /// A list has ended.
    fn replace(&self, source: Source, listed: Listed);
    /// An object is new or has changed.
    fn apply(&self, source: Source, object: &Value);
    /// An object is gone.
    fn remove(&self, source: Source, object: &Value);
    /// A watch has broken off and is tried again.
    fn failed(&self, source: Source, error: &watcher::Error);
    /// What the watches wait for: their turn to list, and a wish to list anew.
    fn turns(&self) -> &Shared;
}

impl Mirror {
    /// Begins to watch.
    pub fn start(client: &Client, kinds: &Kinds, namespace: &str, clock: Clock, reader: For) -> Self {
        let sources = sources(kinds, reader);
        // Complete before the first watch begins: a watch that is quick already writes to it.
        let shared = Arc::new(Shared::new(World::awaited(&sources, reader), clock, behind(reader), None));
        let tasks = (JoinSet::new(), Vec::new());
        let watches = Watches::start(&shared, client, Some(namespace), &sources, tasks, |_| std::future::ready(()));
        Self { shared, watches }
    }

    /// A mirror of what others watch.
    pub(super) fn fed(shared: Arc<Shared>, watches: Watches) -> Self {
        Self { shared, watches }
    }

    /// A mirror that watches nothing and holds what a test puts there.
    pub fn of(world: World, clock: Clock) -> Self {
        Self { shared: Arc::new(Shared::new(world, clock, 16, None)), watches: Watches::none() }
    }

    /// What is known now. Hold it only while reading.
    pub fn read(&self) -> RwLockReadGuard<'_, World> {
        self.shared.read()
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
        match &self.shared.lister {
            Some(lister) => lister(),
            None => {
                self.shared.doubt();
                self.shared.list_anew();
            }
        }
    }

    /// Whether every watch still runs, however the API server is. One ends before the mirror only by a panic.
    pub fn is_watching(&self) -> bool {
        !self.watches.handles.iter().any(AbortHandle::is_finished)
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

/// What is watched, in the order in which it is asked for, and the kind where the cluster serves it.
pub(super) fn sources(kinds: &Kinds, reader: For) -> Vec<(Source, Option<ApiResource>)> {
    let lease = ApiResource::erase::<k8s_openapi::api::coordination::v1::Lease>(&());
    let mut sources = vec![Source::Canaries, Source::Deployments];
    sources.extend(Provider::all().map(Source::Routes));
    sources.push(Source::Events);
    if reader == For::Driver {
        sources.push(Source::Services);
        sources.extend(Provider::all().filter(|provider| provider.rules_kind().is_some()).map(Source::Rules));
        sources.extend([Source::ConfigMaps, Source::Secrets, Source::Scalers]);
    }
    sources.push(Source::ReplicaSets);
    let kind = |source| kinds.of(source).cloned();
    let mut sources: Vec<_> = sources.into_iter().map(|source| (source, kind(source))).collect();
    sources.push((Source::Lease, Some(lease)));
    sources
}

/// Which objects of a kind are looked at.
pub(super) fn selected(source: Source) -> Option<String> {
    match source {
        Source::Events => Some("involvedObject.kind=Canary".into()),
        Source::Secrets => Some(configs::SECRETS_LOOKED_AT.into()),
        Source::Lease => Some(format!("metadata.name={}", super::lease::NAME)),
        _ => None,
    }
}

/// What is left of an object that has just arrived.
pub(super) fn left_of(source: Source, object: Value) -> Value {
    match source {
        Source::ConfigMaps | Source::Secrets => configs::reduced(object),
        _ => object,
    }
}

impl Watches {
    /// Follows each source that is served, in one namespace or in all of them, once what `first` waits for is there.
    /// `tasks` run already and end with the watches.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        sink: &Arc<impl Sink>,
        client: &Client,
        namespace: Option<&str>,
        sources: &[(Source, Option<ApiResource>)],
        (mut tasks, mut handles): (JoinSet<()>, Vec<AbortHandle>),
        first: impl Fn(Source) -> F,
    ) -> Self {
        for (source, kind) in sources {
            let (source, Some(kind)) = (*source, kind) else { continue };
            let mut config = watcher::Config::default().page_size(PAGE);
            if let Some(fields) = selected(source) {
                config = config.fields(&fields);
            }
            let scope = (client.clone(), namespace.map(str::to_string), kind.clone());
            let (sink, first) = (sink.clone(), first(source));
            handles.push(match source {
                Source::ReplicaSets => tasks.spawn(follow::<MetadataText>(sink, source, scope, config, first)),
                _ => tasks.spawn(follow::<JsonText>(sink, source, scope, config, first)),
            });
        }
        Self { _tasks: Arc::new(tasks), handles: handles.into() }
    }

    /// None at all.
    pub(super) fn none() -> Self {
        Self { _tasks: Arc::new(JoinSet::new()), handles: [].into() }
    }
}

fn not_served(source: Source) -> String {
    match source {
        Source::Routes(provider) | Source::Rules(provider) => {
            format!("the cluster serves no {source}: is {} installed?", provider.product())
        }
        _ => format!("the cluster serves no {source}"),
    }
}

/// Objects in one answer to a list. What is read at once stays with the process as its peak, and a page more costs a round
/// trip.
pub(super) const PAGE: u32 = 50;

/// How long one list may keep the others waiting.
const TURN: Duration = Duration::from_secs(1);

/// Between two attempts: from a fifth of a second to five, because an operator waits for this.
pub(super) const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Follows one kind for ever. After a failure everything is listed anew: a watch that merely resumes says nothing until
/// an object changes, and until then nobody could tell that the connection stands again.
async fn follow<F: Form>(
    sink: Arc<impl Sink>,
    source: Source,
    (client, namespace, kind): (Client, Option<String>, ApiResource),
    config: watcher::Config,
    first: impl Future<Output = ()>,
) {
    first.await;
    let api: Api<Object<F>> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let value = |object: Object<F>| left_of(source, object.value.into_value());
    let kept = |object: &Object<F>| sink.keeps(source, object.meta().namespace.as_deref().unwrap_or(""));
    let mut wait = RECONNECT.0;
    let mut relist = sink.turns().relist.subscribe();
    loop {
        // One list at a time, for its peak; the canaries, which an operator waits for, were asked for first.
        let mut listing = sink.turns().listing.acquire().await.ok();
        let turn_ends = tokio::time::Instant::now() + TURN;
        let stream = watcher::watcher(api.clone(), config.clone());
        futures::pin_mut!(stream);
        let mut listed = Listed::new();
        // A list alone is no success: the watch after it may be refused at once, every time.
        let mut complete: Option<tokio::time::Instant> = None;
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
                Ok(Event::Init) => {
                    sink.begins(source);
                    listed.clear();
                }
                Ok(Event::InitApply(object)) if kept(&object) => {
                    let namespace = object.meta().namespace.clone().unwrap_or_default();
                    let world = || World { kept_for: sink.turns().read().kept_for, ..World::default() };
                    listed.entry(namespace).or_insert_with(world).put(source, &value(object), sink.turns().clock.now());
                }
                Ok(Event::InitDone) => {
                    sink.replace(source, std::mem::take(&mut listed));
                    listing = None;
                    complete = Some(tokio::time::Instant::now());
                }
                Ok(Event::Apply(object)) if kept(&object) => sink.apply(source, &value(object)),
                Ok(Event::Delete(object)) if kept(&object) => sink.remove(source, &value(object)),
                Ok(_of_a_namespace_that_is_not_kept) => {}
                Err(error) => {
                    sink.failed(source, &error);
                    break;
                }
            }
        }
        drop(listing);
        if complete.is_some_and(|complete| complete.elapsed() >= RECONNECT.1) {
            wait = RECONNECT.0;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).clamp(RECONNECT.0, RECONNECT.1);
    }
}

impl Shared {
    pub(super) fn new(world: World, clock: Clock, behind: usize, lister: Option<Lister>) -> Self {
        Self {
            world: RwLock::new(world),
            changed: broadcast::channel(behind).0,
            count: watch::channel(0).0,
            relist: broadcast::channel(8).0,
            listing: Semaphore::new(1),
            clock,
            lister,
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, World> {
        // A thread that panicked while writing left whole records behind: each is replaced at one stroke.
        self.world.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn with<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        change(&mut self.world.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(super) fn announce(&self, source: Source, name: &str) {
        let _ = self.changed.send(Changed { source, name: name.to_string() });
        self.count.send_modify(|count| *count += 1);
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Wakes when anything has changed.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Nothing counts as live until it was listed anew.
    pub(super) fn doubt(&self) {
        self.with(|world| {
            world.health.values_mut().for_each(|health| {
                if *health == Health::Live {
                    *health = Health::Connecting;
                }
            })
        });
        self.announce(Source::Canaries, "");
    }

    /// Makes the watches list everything anew.
    pub(super) fn list_anew(&self) {
        let _ = self.relist.send(());
    }

    /// Hears each time that everything is asked for anew.
    #[cfg(test)]
    pub(super) fn relists(&self) -> broadcast::Receiver<()> {
        self.relist.subscribe()
    }

    /// Takes in part of what there is, in addition to what is kept.
    pub(super) fn add(&self, source: Source, objects: &[Value], health: Health) {
        let now = self.clock.now();
        self.with(|world| {
            for object in objects {
                if !world.is_older(source, object) {
                    world.put(source, object, now);
                }
            }
            world.health.insert(source, health);
            world.listed.insert(source);
        });
        self.announce(source, "");
    }

    pub(super) fn gone(&self, source: Source, name: &str) {
        self.with(|world| world.take(source, name));
        self.announce(source, name);
    }

    /// A source stands so; whoever reads it is told, if that is new.
    pub(super) fn stands(&self, source: Source, health: Health) -> bool {
        let changed = self.with(|world| world.health.insert(source, health.clone()) != Some(health));
        if changed {
            self.announce(source, "");
        }
        changed
    }
}

impl Sink for Shared {
    fn replace(&self, source: Source, listed: Listed) {
        let of_this = listed.into_values().next().unwrap_or_default();
        self.with(|world| {
            world.exchange(source, of_this);
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
        let before = self.read().health.get(&source).cloned();
        let health = match (before, api.and_then(code)) {
            (_, Some(403)) => Health::Forbidden { error: text },
            (Some(Health::Lost { since, .. }), _) => Health::Lost { since, error: text },
            _ => Health::Lost { since: now, error: text },
        };
        if self.stands(source, health) {
            tracing::warn!(%source, %error, "watch failed");
        }
    }

    fn turns(&self) -> &Shared {
        self
    }
}

pub(super) fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("")
}

impl World {
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
                    // Nothing on it asks for it.
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
        let packed = match source {
            Source::Canaries => self.packed.canary(name).map(|record| (record.resource_version, Some(record.uid))),
            Source::Deployments => self.packed.workload(name).map(|record| (record.resource_version, Some(record.uid))),
            Source::Routes(of) => self.packed.route(of, name).map(|record| (record.resource_version, None)),
            _ => None,
        };
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

/// What a list of these objects brings.
#[cfg(test)]
pub(super) fn listed(source: Source, objects: &[Value]) -> Listed {
    let mut listed = Listed::new();
    for object in objects {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("").to_string();
        listed.entry(namespace).or_default().put(source, object, DateTime::UNIX_EPOCH);
    }
    listed
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
        mirror.shared.replace(Source::Canaries, listed(Source::Canaries, &[canary("2", 20)]));
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
