//! What the cluster says, kept up to date by watches, reduced to what a [`World`] keeps.
//!
//! One mirror serves both the driver and the console. It never writes to the cluster. A record is never replaced by an
//! older one: what the driver has just written is seen at once, not when the watch brings it back.

use super::configs;
use super::connect::{code, explain};
use super::json_text::JsonText;
use super::object::{Form, MetadataText, Object};
use super::world::{For, Health, Source, World, name_of};
use super::{Clock, Kinds};
use crate::api::Provider;
use futures::StreamExt;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::{AbortHandle, JoinSet};

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

/// What a list of these objects brings.
#[cfg(test)]
pub(super) fn listed(source: Source, objects: &[Value]) -> Listed {
    let mut listed = Listed::new();
    for object in objects {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("").to_string();
        listed.entry(namespace).or_default().put(source, object, chrono::DateTime::UNIX_EPOCH);
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
}
