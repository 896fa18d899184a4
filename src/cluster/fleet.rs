//! The watches of all namespaces, one for each kind, and a [`Mirror`] for each namespace that holds Canaries.
//!
//! Of the other namespaces nothing is kept: what arrives of them is dropped before it is looked at. When one of them gets
//! its first Canary, what it holds is listed once, a small list for each kind. The alternative, to keep all namespaces in
//! case one needs it, costs memory for ever; and to list the whole cluster anew costs the API server most.

use super::connect::explain;
use super::mirror::{self, Listed, Mirror, Shared, Sink, Watches};
use super::object::{Form, MetadataText, Object};
use super::world::{For, Health, Source, World, name_of};
use super::{Clock, Kinds};
use kube::api::ListParams;
use kube::core::ApiResource;
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How many changes a reader of one namespace may be behind before it looks at everything. The room for them is taken
/// at once, for each namespace.
const BEHIND: usize = 256;

/// Lists that are younger are not asked for again: after a suspend every namespace asks, within one renewal of its lease.
const ANEW: Duration = Duration::from_secs(10);

/// Time limit of a list of one namespace.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// The watches, and what they have brought of the namespaces with Canaries.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
    watches: Watches,
}

/// A namespace that holds Canaries.
pub struct Member {
    /// Another one each time that the namespace gets its first Canary.
    pub number: u64,
    pub mirror: Mirror,
}

impl Fleet {
    /// Begins to watch.
    pub fn start(client: &Client, kinds: &Kinds, clock: Clock, reader: For) -> Self {
        let (inner, wanted) = Inner::new(mirror::sources(kinds, reader), clock, reader);
        let mut tasks = JoinSet::new();
        let handles = vec![tasks.spawn(list_wanted(inner.clone(), client.clone(), wanted))];
        // The others wait until it is known which namespaces are kept: else each of these would have to be listed.
        let first = |source| after_canaries(inner.clone(), source);
        let watches = Watches::start(&inner, client, None, &inner.sources, (tasks, handles), first);
        Self { inner, watches }
    }

    /// The namespaces that hold Canaries now.
    pub fn members(&self) -> BTreeMap<String, Member> {
        let state = self.inner.lock();
        let member = |(namespace, kept): (&String, &Kept)| {
            let mirror = Mirror::fed(kept.shared.clone(), self.watches.clone());
            (namespace.clone(), Member { number: kept.number, mirror })
        };
        state.members.iter().map(member).collect()
    }

    /// One of them.
    pub fn member(&self, namespace: &str) -> Option<Member> {
        let state = self.inner.lock();
        let kept = state.members.get(namespace)?;
        Some(Member { number: kept.number, mirror: Mirror::fed(kept.shared.clone(), self.watches.clone()) })
    }

    /// Wakes when a namespace has come or gone, and when a watch stands otherwise than before.
    pub fn count(&self) -> watch::Receiver<u64> {
        self.inner.whole.subscribe()
    }

    /// How the watches stand: a mirror without objects.
    pub fn whole(&self) -> Mirror {
        Mirror::fed(self.inner.whole.clone(), self.watches.clone())
    }
}

async fn after_canaries(inner: Arc<Inner>, source: Source) {
    let mut count = inner.whole.subscribe();
    while source != Source::Canaries && !inner.whole.read().listed.contains(&Source::Canaries) {
        if count.changed().await.is_err() {
            return;
        }
    }
}

struct Inner {
    /// How the watches stand; it holds no objects.
    whole: Arc<Shared>,
    state: Mutex<State>,
    wanted: mpsc::UnboundedSender<Wanted>,
    sources: Vec<(Source, Option<ApiResource>)>,
    myself: Weak<Inner>,
}

#[derive(Default)]
struct State {
    members: BTreeMap<String, Kept>,
    /// How many namespaces have come so far.
    joins: u64,
    /// How many had come when the present list of a source, or the list before its present watch, began.
    began: BTreeMap<Source, u64>,
    /// When everything was last listed anew, by the clock since boot.
    anew: Option<Duration>,
}

/// What is kept of a namespace.
struct Kept {
    number: u64,
    shared: Arc<Shared>,
    /// Sources whose watch had begun without this namespace and that are being listed for it; with the objects that the
    /// watch has brought since, and their versions.
    joining: BTreeMap<Source, BTreeMap<String, u64>>,
}

/// A list of one namespace that is to be read.
struct Wanted {
    number: u64,
    namespace: String,
    source: Source,
}

impl Inner {
    fn new(
        sources: Vec<(Source, Option<ApiResource>)>,
        clock: Clock,
        reader: For,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Wanted>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let whole = Shared::new(World::awaited(&sources, reader), clock, 1, None);
        let inner = Arc::new_cyclic(|myself: &Weak<Self>| Self {
            whole: Arc::new(whole),
            state: Mutex::default(),
            wanted: sender,
            sources,
            myself: myself.clone(),
        });
        (inner, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left whole records behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The namespace's record, made if it is new.
    fn join<'a>(&self, state: &'a mut State, namespace: &str) -> &'a mut Kept {
        let State { members, joins, began, .. } = state;
        members.entry(namespace.to_string()).or_insert_with(|| {
            *joins += 1;
            let number = *joins;
            let myself = self.myself.clone();
            let lister = Box::new(move || {
                if let Some(inner) = myself.upgrade() {
                    inner.list_anew();
                }
            });
            let mut world = World::awaited(&self.sources, self.whole.read().kept_for);
            for (source, health) in &self.whole.read().health {
                // What is live of the others was not read for this one yet.
                if *source == Source::Canaries || !matches!(health, Health::Live | Health::Connecting) {
                    world.health.insert(*source, health.clone());
                }
            }
            world.listed.insert(Source::Canaries);
            let shared = Arc::new(Shared::new(world, self.whole.clock().clone(), BEHIND, Some(lister)));
            let watched = began.keys().filter(|source| **source != Source::Canaries);
            let joining: BTreeMap<_, _> = watched.map(|source| (*source, BTreeMap::new())).collect();
            for source in joining.keys() {
                let wanted = Wanted { number, namespace: namespace.to_string(), source: *source };
                // The receiver lives as long as the watches do.
                let _ = self.wanted.send(wanted);
            }
            tracing::debug!(%namespace, "its first Canary");
            Kept { number, shared, joining }
        })
    }

    /// After a time in which this process did not run, no watch is trusted; see [`Mirror::relist`].
    fn list_anew(&self) {
        let now = self.whole.clock().since_boot();
        let mut state = self.lock();
        if state.anew.is_some_and(|anew| now.saturating_sub(anew) < ANEW) {
            return;
        }
        state.anew = Some(now);
        state.members.values().for_each(|kept| kept.shared.doubt());
        self.whole.doubt();
        self.whole.list_anew();
    }

    /// Whether a list of one namespace is still wanted: no list of the whole cluster has brought it since.
    fn wants(&self, wanted: &Wanted) -> bool {
        let state = self.lock();
        let kept = state.members.get(&wanted.namespace).filter(|kept| kept.number == wanted.number);
        kept.is_some_and(|kept| kept.joining.contains_key(&wanted.source))
    }

    /// Takes in a list of one namespace. What the watch has brought meanwhile is newer.
    fn listed(&self, wanted: &Wanted, mut objects: Vec<Value>) {
        let mut state = self.lock();
        let State { members, began, .. } = &mut *state;
        let Some(kept) = members.get_mut(&wanted.namespace).filter(|kept| kept.number == wanted.number) else { return };
        let Some(met) = kept.joining.remove(&wanted.source) else { return };
        objects.retain(|object| met.get(name_of(object)).is_none_or(|seen| *seen < version_of(object)));
        let health = match began.contains_key(&wanted.source) {
            true => Health::Live,
            false => self.whole.read().health.get(&wanted.source).cloned().unwrap_or(Health::Connecting),
        };
        kept.shared.add(wanted.source, &objects, health);
    }

    /// The record of an object's namespace, where it is kept; notes that the watch has brought the object.
    fn met<'a>(&self, state: &'a mut State, source: Source, object: &Value) -> Option<&'a Kept> {
        let kept = state.members.get_mut(namespace_of(object))?;
        if let Some(met) = kept.joining.get_mut(&source) {
            met.insert(name_of(object).to_string(), version_of(object));
        }
        Some(kept)
    }
}

impl Sink for Inner {
    fn begins(&self, source: Source) {
        let mut state = self.lock();
        let joins = state.joins;
        state.began.insert(source, joins);
    }

    fn keeps(&self, source: Source, namespace: &str) -> bool {
        source == Source::Canaries || self.lock().members.contains_key(namespace)
    }

    fn replace(&self, source: Source, mut listed: Listed) {
        let mut state = self.lock();
        if source == Source::Canaries {
            state.members.retain(|namespace, _| listed.contains_key(namespace));
            for namespace in listed.keys() {
                self.join(&mut state, namespace);
            }
        }
        let State { members, began, .. } = &mut *state;
        let covered = began.get(&source).copied().unwrap_or(0);
        for (namespace, kept) in members {
            // One that came while the list was being read was not looked at in its first pages.
            if source == Source::Canaries || kept.number <= covered {
                kept.joining.remove(&source);
                let of_this = listed.remove_entry(namespace).into_iter().collect();
                kept.shared.replace(source, of_this);
            }
        }
        drop(state);
        self.whole.replace(source, Listed::new());
    }

    fn apply(&self, source: Source, object: &Value) {
        let mut state = self.lock();
        let before = state.joins;
        if source == Source::Canaries {
            self.join(&mut state, namespace_of(object));
        }
        if let Some(kept) = self.met(&mut state, source, object) {
            kept.shared.apply(source, object);
        }
        if state.joins != before {
            self.whole.announce(source, "");
        }
    }

    fn remove(&self, source: Source, object: &Value) {
        let mut state = self.lock();
        let Some(kept) = self.met(&mut state, source, object) else { return };
        kept.shared.remove(source, object);
        if source == Source::Canaries && kept.shared.read().gists().next().is_none() {
            state.members.remove(namespace_of(object));
            self.whole.announce(source, "");
        }
    }

    fn failed(&self, source: Source, error: &watcher::Error) {
        self.whole.failed(source, error);
        let mut state = self.lock();
        state.began.remove(&source);
        let health = self.whole.read().health.get(&source).cloned();
        if let Some(health) = health.filter(|health| *health != Health::Live) {
            for kept in state.members.values() {
                kept.shared.stands(source, health.clone());
            }
        }
    }

    fn turns(&self) -> &Shared {
        &self.whole
    }
}

fn namespace_of(object: &Value) -> &str {
    object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("")
}

/// Resource versions are numbers on every API server; one that is not counts as the newest.
fn version_of(object: &Value) -> u64 {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    version.and_then(|version| version.parse().ok()).unwrap_or(u64::MAX)
}

/// Reads the lists of single namespaces, one after the other.
async fn list_wanted(inner: Arc<Inner>, client: Client, mut queue: mpsc::UnboundedReceiver<Wanted>) {
    while let Some(wanted) = queue.recv().await {
        let Wanted { namespace, source, .. } = &wanted;
        let kind = inner.sources.iter().find(|(of, _)| of == source).and_then(|(_, kind)| kind.as_ref());
        let Some(kind) = kind.filter(|_| inner.wants(&wanted)) else { continue };
        let answer = tokio::time::timeout(LIST_LIMIT, list(&client, namespace, *source, kind)).await;
        let why = match answer {
            Ok(Ok(objects)) => {
                inner.listed(&wanted, objects);
                continue;
            }
            Ok(Err(error)) => explain(&error),
            Err(_) => "the API server does not answer in time".into(),
        };
        tracing::warn!(%namespace, %source, error = %why, "a namespace could not be listed");
        tokio::time::sleep(mirror::RECONNECT.0).await;
        let _ = inner.wanted.send(wanted);
    }
}

async fn list(client: &Client, namespace: &str, source: Source, kind: &ApiResource) -> kube::Result<Vec<Value>> {
    let mut parameters = ListParams::default().limit(mirror::PAGE);
    if let Some(fields) = mirror::selected(source) {
        parameters = parameters.fields(&fields);
    }
    match source {
        Source::ReplicaSets => pages::<MetadataText>(client, namespace, source, kind, parameters).await,
        _ => pages::<Value>(client, namespace, source, kind, parameters).await,
    }
}

async fn pages<F: Form>(
    client: &Client,
    namespace: &str,
    source: Source,
    kind: &ApiResource,
    mut parameters: ListParams,
) -> kube::Result<Vec<Value>> {
    let api: Api<Object<F>> = Api::namespaced_with(client.clone(), namespace, kind);
    let mut values = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        values.extend(page.items.into_iter().map(|object| mirror::left_of(source, object.value.into_value())));
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => parameters = parameters.continue_token(&next),
            None => return Ok(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use serde_json::json;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn fleet() -> (Arc<Inner>, mpsc::UnboundedReceiver<Wanted>, Arc<AtomicU64>) {
        let seconds = Arc::new(AtomicU64::new(100));
        let read = seconds.clone();
        let clock =
            Clock::new(|| chrono::DateTime::UNIX_EPOCH, move || Duration::from_secs(read.load(Ordering::Relaxed)));
        let kind = ApiResource::erase::<ReplicaSet>(&());
        let sources = [Source::Canaries, Source::Services, Source::Events].map(|source| (source, Some(kind.clone())));
        let (inner, wanted) = Inner::new(sources.to_vec(), clock, For::Driver);
        (inner, wanted, seconds)
    }

    fn object(namespace: &str, name: &str, version: u64) -> Value {
        json!({"metadata": {"namespace": namespace, "name": name, "uid": name, "resourceVersion": version.to_string()}})
    }

    fn names(inner: &Inner, namespace: &str) -> Vec<String> {
        inner.lock().members[namespace].shared.read().services.keys().cloned().collect()
    }

    fn health(inner: &Inner, namespace: &str) -> Health {
        inner.lock().members[namespace].shared.read().health[&Source::Services].clone()
    }

    /// A fleet whose lists have come, with a Canary in `a`.
    fn under_way() -> (Arc<Inner>, mpsc::UnboundedReceiver<Wanted>, Arc<AtomicU64>) {
        let (inner, mut wanted, seconds) = fleet();
        inner.begins(Source::Canaries);
        inner.replace(Source::Canaries, mirror::listed(Source::Canaries, &[object("a", "web", 1)]));
        for source in [Source::Services, Source::Events] {
            inner.begins(source);
            inner.replace(source, Listed::new());
        }
        assert!(wanted.try_recv().is_err(), "what is there at the beginning comes with the lists of the cluster");
        (inner, wanted, seconds)
    }

    #[test]
    fn only_namespaces_with_canaries_are_kept() {
        let (inner, mut wanted, _) = fleet();
        inner.begins(Source::Canaries);
        inner.replace(
            Source::Canaries,
            mirror::listed(Source::Canaries, &[object("a", "web", 1), object("b", "web", 1)]),
        );
        assert!(inner.keeps(Source::Services, "a") && !inner.keeps(Source::Services, "c"));
        inner.begins(Source::Services);
        inner.replace(
            Source::Services,
            mirror::listed(Source::Services, &[object("a", "x", 2), object("b", "y", 2), object("c", "z", 2)]),
        );
        assert_eq!((names(&inner, "a"), names(&inner, "b")), (vec!["x".into()], vec!["y".into()]));
        inner.apply(Source::Services, &object("c", "z", 3));
        assert_eq!(inner.lock().members.len(), 2);
        inner.remove(Source::Canaries, &object("b", "web", 4));
        assert_eq!(inner.lock().members.keys().collect::<Vec<_>>(), ["a"]);
        inner.begins(Source::Canaries);
        inner.replace(Source::Canaries, Listed::new());
        assert!(inner.lock().members.is_empty() && wanted.try_recv().is_err());
    }

    #[test]
    fn a_namespace_that_gets_its_first_canary_is_listed() {
        let (inner, mut wanted, _) = under_way();
        inner.apply(Source::Canaries, &object("b", "web", 10));
        let services = wanted.try_recv().unwrap();
        assert_eq!((services.namespace.as_str(), services.source), ("b", Source::Services));
        assert_eq!(wanted.try_recv().unwrap().source, Source::Events);
        assert_eq!(health(&inner, "b"), Health::Connecting);
        // The watch brings a change, a deletion and a newcomer before the list does, and something that it has too.
        inner.apply(Source::Services, &object("b", "changed", 13));
        inner.remove(Source::Services, &object("b", "gone", 14));
        inner.apply(Source::Services, &object("b", "new", 15));
        inner.remove(Source::Services, &object("b", "made anew", 9));
        let list = [("changed", 5), ("gone", 6), ("made anew", 11), ("old", 7)];
        inner.listed(&services, list.map(|(name, version)| object("b", name, version)).to_vec());
        assert_eq!(names(&inner, "b"), ["changed", "made anew", "new", "old"]);
        assert_eq!(inner.lock().members["b"].shared.read().services["changed"].resource_version, "13");
        assert_eq!(health(&inner, "b"), Health::Live);
        assert!(!inner.wants(&services));
    }

    #[test]
    fn a_list_that_began_before_a_namespace_came_does_not_speak_for_it() {
        let (inner, mut wanted, _) = under_way();
        inner.begins(Source::Services);
        inner.apply(Source::Canaries, &object("b", "web", 10));
        let services = wanted.try_recv().unwrap();
        inner.replace(Source::Services, mirror::listed(Source::Services, &[object("b", "of a later page", 3)]));
        assert!(names(&inner, "b").is_empty() && inner.wants(&services));
        assert_eq!(health(&inner, "b"), Health::Connecting);
        // The next one does, and what was asked for before does not count any more.
        inner.begins(Source::Services);
        inner.replace(Source::Services, mirror::listed(Source::Services, &[object("b", "all", 12)]));
        assert!(!inner.wants(&services));
        inner.listed(&services, vec![object("b", "late", 11)]);
        assert_eq!(names(&inner, "b"), ["all"]);
    }

    #[test]
    fn a_list_of_a_namespace_that_went_and_came_again_is_not_its_own() {
        let (inner, mut wanted, _) = under_way();
        inner.apply(Source::Canaries, &object("b", "web", 10));
        let first = wanted.try_recv().unwrap();
        inner.remove(Source::Canaries, &object("b", "web", 11));
        inner.apply(Source::Canaries, &object("b", "web", 12));
        assert!(!inner.wants(&first));
        inner.listed(&first, vec![object("b", "x", 10)]);
        assert!(names(&inner, "b").is_empty());
    }

    #[test]
    fn a_watch_that_is_lost_is_lost_in_every_namespace() {
        let (inner, mut wanted, _) = under_way();
        inner.failed(Source::Services, &watcher::Error::NoResourceVersion);
        assert!(matches!(health(&inner, "a"), Health::Lost { .. }));
        inner.apply(Source::Canaries, &object("b", "web", 10));
        assert!(matches!(health(&inner, "b"), Health::Lost { .. }), "one that comes meanwhile too");
        let lists: Vec<Source> = std::iter::from_fn(|| wanted.try_recv().ok()).map(|wanted| wanted.source).collect();
        assert_eq!(lists, [Source::Events], "the next list of the cluster brings the services");
        inner.begins(Source::Services);
        inner.replace(Source::Services, Listed::new());
        assert_eq!((health(&inner, "a"), health(&inner, "b")), (Health::Live, Health::Live));
    }

    #[test]
    fn many_namespaces_that_doubt_their_watches_are_one_list() {
        let (inner, _wanted, seconds) = under_way();
        inner.apply(Source::Canaries, &object("b", "web", 10));
        let asked = inner.whole.relists();
        let doubt = |namespace: &str| {
            let shared = inner.lock().members[namespace].shared.clone();
            Mirror::fed(shared, Watches::none()).relist();
        };
        doubt("a");
        assert_eq!(health(&inner, "a"), Health::Connecting);
        inner.begins(Source::Services);
        inner.replace(Source::Services, Listed::new());
        seconds.store(109, Ordering::Relaxed);
        doubt("b");
        assert_eq!((asked.len(), health(&inner, "b")), (1, Health::Live));
        seconds.store(110, Ordering::Relaxed);
        doubt("b");
        assert_eq!((asked.len(), health(&inner, "b")), (2, Health::Connecting));
    }
}
