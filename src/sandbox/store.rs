//! The object store: every object of the sandbox, one resourceVersion over all of them, and the changes as they come.
//! It keeps Kubernetes' rules for writes (conflicts, generation, finalizers, ownership) and knows nothing of HTTP,
//! of time but through the clock it is given, or of what a Deployment does.

mod garbage;
mod history;
mod rules;

use chrono::{DateTime, SecondsFormat, Utc};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::broadcast;

use super::admission;
use super::defaults;
use super::kinds::{Kind, Kinds};
use super::ownership;
use super::status::ApiError;

pub use garbage::{DeleteOptions, Deleted, Propagation};
use history::History;
pub use history::{Change, ChangeEvent};
use rules::{asks_for_more, check_identity, check_name, keep_what_is_not_theirs};

/// Where the store takes the time from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The field manager that writes without another name are recorded under.
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";

/// How many changes are kept for watches to catch up on, unless told otherwise.
pub const HISTORY_LIMIT: usize = 4096;

/// Which part of an object a write speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// All but the status, where the kind separates it.
    #[default]
    Main,
    /// The status alone (and metadata that belongs to it).
    Status,
    /// The replicas alone, through `/scale`.
    Scale,
}

/// Who writes, what, and how strictly it is taken.
#[derive(Debug, Clone)]
pub struct Write {
    /// Field manager, recorded in managedFields.
    pub manager: String,
    /// The part that the write speaks for.
    pub part: Part,
    /// The apiVersion that the writer speaks; none is the one that objects are kept in.
    pub api_version: Option<String>,
    /// Checked and answered, but not kept.
    pub dry_run: bool,
    /// Written by the sandbox itself: a status given at creation is kept, and a write of the main part may change it.
    pub trusted: bool,
}

impl Write {
    /// A write from outside by `manager`.
    pub fn by(manager: impl Into<String>, part: Part) -> Self {
        Self { manager: manager.into(), part, api_version: None, dry_run: false, trusted: false }
    }

    fn internal(part: Part) -> Self {
        Self { manager: CONTROLLER_MANAGER.into(), part, api_version: None, dry_run: false, trusted: true }
    }
}

/// What is said of an object that names another namespace than its path.
const OTHER_NAMESPACE: &str = "the namespace of the provided object does not match the namespace sent on the request";

/// Whether who owns which field is settled already, or is to be recorded from what the write changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    Settled,
    Unrecorded,
}

/// Namespace (empty for cluster-scoped kinds) and name.
type Key = (String, String);
type Table = BTreeMap<Key, Arc<Value>>;

/// A handle to the one store; clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    kinds: RwLock<Arc<Kinds>>,
    changes: broadcast::Sender<Arc<Change>>,
    /// Of one place: whoever looks away for a while hears of it all the same. It wakes in the order of asking, unlike
    /// tokio's watch, so that a simulation can be repeated.
    news: broadcast::Sender<()>,
    clock: Clock,
}

struct State {
    revision: u64,
    /// By `Kind::resource`.
    tables: HashMap<String, Table>,
    /// Where each uid lives.
    by_uid: HashMap<String, (Arc<Kind>, Key)>,
    /// Which uids name an owner.
    owned: HashMap<String, BTreeSet<String>>,
    history: History,
    random: Pcg64Mcg,
    service_ips: u32,
}

impl Store {
    /// An empty store that serves Kubernetes' own kinds, Istio's routes and Flagger's Canary.
    pub fn new(clock: Clock) -> Self {
        Self::seeded(clock, 0, HISTORY_LIMIT)
    }

    /// As [`Store::new`], with the seed and the history of [`Store::bare`].
    pub fn seeded(clock: Clock, seed: u64, history: usize) -> Self {
        let store = Self::bare(clock, seed, history);
        for definition in super::definitions::all() {
            // Our own definitions: a test proves that each is accepted.
            if let Err(error) = store.create("CustomResourceDefinition", None, definition) {
                tracing::error!(%error, "a built-in CustomResourceDefinition is refused");
            }
        }
        store
    }

    /// An empty store with Kubernetes' own kinds alone. `seed` decides uids and generated names; `history` is how
    /// many changes a watch can be behind before it gets 410 Gone.
    pub fn bare(clock: Clock, seed: u64, history: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    revision: 1,
                    tables: HashMap::new(),
                    by_uid: HashMap::new(),
                    owned: HashMap::new(),
                    history: History::new(history),
                    random: Pcg64Mcg::seed_from_u64(seed),
                    service_ips: 0,
                }),
                kinds: RwLock::new(Arc::new(Kinds::built_in())),
                changes: broadcast::channel(history.max(16)).0,
                news: broadcast::channel(1).0,
                clock,
            }),
        }
    }

    /// The present time by the store's clock.
    pub fn now(&self) -> DateTime<Utc> {
        (self.shared.clock)()
    }

    /// What is served at present.
    pub fn kinds(&self) -> Arc<Kinds> {
        let kinds = self.shared.kinds.read();
        kinds.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change_kinds(&self, change: impl FnOnce(&mut Kinds)) {
        let kinds = self.shared.kinds.write();
        change(Arc::make_mut(&mut kinds.unwrap_or_else(PoisonError::into_inner)));
    }

    /// Every change from now on, in order. A receiver that falls too far behind is told so (`Lagged`) and lists again.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Change>> {
        self.shared.changes.subscribe()
    }

    /// Hears that there was a change, or several, since it last listened.
    pub fn news(&self) -> broadcast::Receiver<()> {
        self.shared.news.subscribe()
    }

    /// The resourceVersion of the last change.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Creates an object. The name comes from `metadata.name`, or from `generateName` and five letters.
    /// A status that is given is kept. Errors: 404 for an unknown kind or namespace, 409, 422.
    pub fn create(&self, kind: &str, namespace: Option<&str>, object: Value) -> Result<Arc<Value>, ApiError> {
        let kind = self.kind(kind)?;
        self.create_as(&kind, namespace, object, &Write::internal(Part::Main))
    }

    /// The object, in the version that it is kept in.
    pub fn get(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        let kind = self.kind(kind).ok()?;
        self.get_of(&kind, namespace, name)
    }

    /// All objects of a kind, of one namespace or of all (`None`), by namespace and name, and the resourceVersion that
    /// this was true at.
    pub fn list(&self, kind: &str, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        match self.kind(kind) {
            Ok(kind) => self.list_of(&kind, namespace),
            Err(_) => (Vec::new(), self.revision()),
        }
    }

    /// All objects of these kinds, in every namespace, at one moment.
    pub fn list_together<'a>(&self, kinds: &[&'a str]) -> HashMap<&'a str, Vec<Arc<Value>>> {
        let served = self.kinds();
        let state = self.lock();
        let of = |kind: &str| {
            let table = served.by_kind(kind).and_then(|kind| state.tables.get(&kind.resource()));
            table.into_iter().flat_map(|table| table.values().cloned()).collect()
        };
        kinds.iter().map(|kind| (*kind, of(kind))).collect()
    }

    /// The objects of a kind that name an owner of this uid, by namespace and name.
    pub fn owned_by(&self, kind: &str, owner: &str) -> Vec<Arc<Value>> {
        let Ok(kind) = self.kind(kind) else {
            return Vec::new();
        };
        let state = self.lock();
        let mut found: Vec<(&Key, Arc<Value>)> = state
            .owned
            .get(owner)
            .into_iter()
            .flatten()
            .filter_map(|uid| state.by_uid.get(uid))
            .filter(|(of, _)| of.plural == kind.plural && of.group == kind.group)
            .filter_map(|(of, key)| Some((key, state.get(of, key)?.clone())))
            .collect();
        found.sort_by_key(|(key, _)| *key);
        found.into_iter().map(|(_, object)| object).collect()
    }

    /// Reads, changes and writes an object under the lock. Nothing happens when nothing changed; `generation` moves
    /// only when something besides metadata and status did. The status may be changed along with the rest.
    pub fn modify(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        self.modify_part(kind, namespace, name, Part::Main, change)
    }

    /// As [`Store::modify`], for the status alone: whatever else the closure changes is not taken over.
    pub fn modify_status(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        self.modify_part(kind, namespace, name, Part::Status, change)
    }

    fn modify_part(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        part: Part,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        let kind = self.kind(kind)?;
        self.update_as(&kind, namespace, name, &Write::internal(part), |current| {
            let mut object = current.clone();
            change(&mut object);
            Ok(object)
        })
    }

    /// Deletes an object as Kubernetes does: finalizers and (for pods that run) the grace period hold it back, what it
    /// owns goes with it. Errors: 404, and 409 where a precondition does not hold.
    pub fn delete(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let kind = self.kind(kind)?;
        self.delete_of(&kind, namespace, name, options)
    }

    // What the API server uses: the kind is resolved already, and who writes is known.

    pub(super) fn get_of(&self, kind: &Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.lock().get(kind, &key(namespace, name)).cloned()
    }

    pub(super) fn list_of(&self, kind: &Kind, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let state = self.lock();
        let Some(table) = state.tables.get(&kind.resource()) else {
            return (Vec::new(), state.revision);
        };
        let objects = match namespace {
            None => table.values().cloned().collect(),
            Some(namespace) => table
                .range((namespace.to_owned(), String::new())..)
                .take_while(|((ns, _), _)| ns == namespace)
                .map(|(_, object)| object.clone())
                .collect(),
        };
        (objects, state.revision)
    }

    /// The objects as they were at `revision`. Error: 410 where that is no longer known.
    pub(super) fn list_at(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Arc<Value>>, ApiError> {
        let state = self.lock();
        let undone = state.history.since(revision, state.revision)?;
        let mut table = state.tables.get(&kind.resource()).cloned().unwrap_or_default();
        for change in undone.iter().rev().filter(|change| change.concerns(kind)) {
            let key = key(change.namespace.as_deref(), &change.name);
            match &change.previous {
                Some(previous) => table.insert(key, previous.clone()),
                None => table.remove(&key),
            };
        }
        Ok(table
            .into_iter()
            .filter(|((ns, _), _)| namespace.is_none_or(|wanted| wanted == ns))
            .map(|(_, object)| object)
            .collect())
    }

    /// The changes of a kind after `revision`, and the resourceVersion that they reach to. Error: 410 where they are no
    /// longer all known.
    pub(super) fn changes_of(&self, kind: &Kind, revision: u64) -> Result<(Vec<Arc<Change>>, u64), ApiError> {
        let state = self.lock();
        let mut changes = state.history.since(revision, state.revision)?;
        changes.retain(|change| change.concerns(kind));
        Ok((changes, state.revision))
    }

    pub(super) fn create_as(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        object: Value,
        write: &Write,
    ) -> Result<Arc<Value>, ApiError> {
        let now = self.now();
        self.create_in(&mut self.lock(), kind, namespace, object, write, now, Ownership::Unrecorded)
    }

    #[allow(clippy::too_many_arguments, reason = "a write under a lock that is held already")]
    fn create_in(
        &self,
        state: &mut State,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        mut object: Value,
        write: &Write,
        now: DateTime<Utc>,
        ownership: Ownership,
    ) -> Result<Arc<Value>, ApiError> {
        let Some(fields) = object.as_object_mut() else {
            return Err(ApiError::bad_request("the object is no JSON object"));
        };
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        let Some(metadata) = metadata.as_object_mut() else {
            return Err(ApiError::bad_request("metadata is no JSON object"));
        };
        let mut name = text(metadata, "name").to_owned();
        if name.is_empty() && !text(metadata, "generateName").is_empty() {
            name = format!("{}{}", text(metadata, "generateName"), state.random_letters(5));
            metadata.insert("name".into(), json!(name));
        }
        if !text(metadata, "resourceVersion").is_empty() {
            return Err(ApiError::plain("resourceVersion should not be set on objects to be created"));
        }
        if kind.namespaced {
            let Some(namespace) = namespace else {
                return Err(ApiError::method_not_allowed());
            };
            let given = text(metadata, "namespace");
            if !given.is_empty() && given != namespace {
                return Err(ApiError::bad_request(OTHER_NAMESPACE));
            }
            metadata.insert("namespace".into(), json!(namespace));
            self.namespace_takes(state, kind, namespace, &name)?;
        } else {
            metadata.remove("namespace");
        }
        for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            metadata.remove(field);
        }
        metadata.insert("uid".into(), json!(state.random_uid()));
        metadata.insert("creationTimestamp".into(), json!(timestamp(now)));
        if kind.has_generation || kind.custom {
            metadata.insert("generation".into(), json!(1));
        }
        if kind.has_status && !write.trusted {
            fields.remove("status");
        }
        let mut object = admission::admit(kind, None, object, write)?;
        let key = key(kind.namespaced.then_some(namespace).flatten(), &name);
        if state.get(kind, &key).is_some() {
            return Err(ApiError::already_exists(kind, &name));
        }
        if ownership == Ownership::Unrecorded {
            ownership::record(kind, None, &mut object, write, now);
        }
        if kind.kind == "Service" && kind.group.is_empty() {
            state.assign_service_ip(&mut object);
        }
        defaults::assign(kind, &mut object);
        if write.dry_run {
            return Ok(Arc::new(object));
        }
        let object = self.put(state, kind, key.clone(), object);
        self.collect_if_abandoned(state, kind, &key);
        Ok(object)
    }

    /// Replaces an object by what `change` makes of it, under the lock. Errors: 404, whatever `change` says, 409 where
    /// it carries another resourceVersion or uid than the present ones, 422.
    pub(super) fn update_as(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        name: &str,
        write: &Write,
        change: impl FnOnce(&Value) -> Result<Value, ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        let now = self.now();
        let mut state = self.lock();
        let key = key(namespace, name);
        let Some(current) = state.get(kind, &key).cloned() else {
            return Err(ApiError::not_found(kind, name));
        };
        let object = change(&current)?;
        self.replace_in(&mut state, kind, key, current, object, write, now, Ownership::Unrecorded)
    }

    /// Applies a configuration as its manager's, to an object that is there or comes to be by it (then true).
    /// Errors: 404 for the status of what is not there, 409 where others own what it changes and `force` is not set,
    /// and whatever keeps an object from being created or replaced.
    pub(super) fn apply_as(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        name: &str,
        config: &Value,
        write: &Write,
        force: bool,
    ) -> Result<(Arc<Value>, bool), ApiError> {
        let now = self.now();
        let mut state = self.lock();
        let key = key(namespace, name);
        let current = state.get(kind, &key).cloned();
        if current.is_none() && write.part != Part::Main {
            return Err(ApiError::not_found(kind, name));
        }
        let spoken = current.as_deref().map(|current| {
            let mut live = current.clone();
            if let Some(version) = &write.api_version {
                live["apiVersion"] = json!(version);
            }
            live
        });
        let applied = ownership::apply(kind, spoken.as_ref(), config, write, force, now);
        let mut object = applied.map_err(|refused| match refused {
            ownership::Refused::Conflicts(conflicts) => ApiError::apply_conflict(&conflicts),
            ownership::Refused::Nonsense(why) => {
                let version = write.api_version.clone().unwrap_or_else(|| kind.storage_api_version());
                ApiError::untyped(kind, version.rsplit('/').next().unwrap_or_default(), config, why)
            }
        })?;
        match current {
            None => {
                check_name(name, &object)?;
                let made = self.create_in(&mut state, kind, namespace, object, write, now, Ownership::Settled)?;
                Ok((made, true))
            }
            Some(current) => {
                // Back to what it is kept in, so that applying what is there changes nothing.
                object["apiVersion"] = json!(kind.storage_api_version());
                let made = self.replace_in(&mut state, kind, key, current, object, write, now, Ownership::Settled)?;
                Ok((made, false))
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a write under a lock that is held already")]
    fn replace_in(
        &self,
        state: &mut State,
        kind: &Arc<Kind>,
        key: Key,
        current: Arc<Value>,
        mut object: Value,
        write: &Write,
        now: DateTime<Utc>,
        ownership: Ownership,
    ) -> Result<Arc<Value>, ApiError> {
        // Controllers look again at every change, and mostly find nothing to do.
        if write.trusted && object == *current {
            return Ok(current);
        }
        check_identity(kind, &key.1, &current, &object)?;
        keep_what_is_not_theirs(kind, &current, &mut object, write);
        let mut object = admission::admit(kind, Some(&current), object, write)?;
        // A pod that is given a node is asked for nothing more.
        let placed = write.trusted && kind.kind == "Pod";
        if (kind.has_generation || kind.custom) && !placed && asks_for_more(kind, write.part, &current, &object) {
            let generation = current["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        defaults::assign(kind, &mut object);
        if object == *current {
            return Ok(current);
        }
        if ownership == Ownership::Unrecorded {
            ownership::record(kind, Some(&current), &mut object, write, now);
        }
        if write.dry_run {
            return Ok(Arc::new(object));
        }
        let metadata = &object["metadata"];
        let leaving = metadata.get("deletionTimestamp").is_some()
            && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0;
        if leaving && has_finalizers(&current) && !has_finalizers(&object) {
            // Nothing holds it any more: it goes as it was, and the writer sees what would have been.
            self.remove(state, kind, &key);
            return Ok(Arc::new(object));
        }
        let object = self.put(state, kind, key.clone(), object);
        self.collect_if_abandoned(state, kind, &key);
        Ok(object)
    }

    pub(super) fn kind(&self, kind: &str) -> Result<Arc<Kind>, ApiError> {
        let found = self.kinds().by_kind(kind).cloned();
        found.ok_or_else(ApiError::no_such_path)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A closure that panicked has not touched the state: what it changes is put in place afterwards.
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn namespace_takes(&self, state: &State, kind: &Kind, namespace: &str, name: &str) -> Result<(), ApiError> {
        let namespaces = self.kind("Namespace")?;
        let found = state.get(&namespaces, &(String::new(), namespace.to_owned()));
        match found {
            None => Err(ApiError::not_found(&namespaces, namespace)),
            Some(found) if found["metadata"].get("deletionTimestamp").is_some() => {
                let mut error = ApiError::refused(
                    kind,
                    name,
                    format!("unable to create new content in namespace {namespace} because it is being terminated"),
                );
                error.details["causes"] = json!([{
                    "reason": "NamespaceTerminating",
                    "message": format!("namespace {namespace} is being terminated"),
                    "field": "metadata.namespace",
                }]);
                Err(error)
            }
            Some(_) => Ok(()),
        }
    }

    /// Puts an object in place under the next resourceVersion and tells everyone.
    fn put(&self, state: &mut State, kind: &Arc<Kind>, key: Key, mut object: Value) -> Arc<Value> {
        let revision = state.revision + 1;
        state.revision = revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let object = Arc::new(object);
        let uid = uid(&object).to_owned();
        let table = state.tables.entry(kind.resource()).or_default();
        let previous = table.insert(key.clone(), object.clone());
        for owner in previous.iter().flat_map(|previous| owner_uids(previous)) {
            if let Some(owned) = state.owned.get_mut(owner) {
                owned.remove(&uid);
            }
        }
        for owner in owner_uids(&object) {
            let owned = state.owned.entry(owner.to_owned()).or_default();
            owned.insert(uid.clone());
        }
        let event = if previous.is_some() { ChangeEvent::Modified } else { ChangeEvent::Added };
        state.by_uid.insert(uid, (kind.clone(), key.clone()));
        self.tell(state, kind, key, event, object.clone(), previous);
        if kind.kind == "CustomResourceDefinition" {
            self.definition_changed(&object);
        }
        object
    }

    fn tell(
        &self,
        state: &mut State,
        kind: &Arc<Kind>,
        (namespace, name): Key,
        event: ChangeEvent,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let change = Arc::new(Change {
            kind: kind.kind.as_str().into(),
            namespace: (!namespace.is_empty()).then_some(namespace),
            name,
            event,
            object,
            resource_version: state.revision,
            previous,
            of: kind.clone(),
            rendered: Mutex::default(),
        });
        state.history.push(change.clone());
        // Nobody may be listening: that is no error.
        let _ = self.shared.changes.send(change);
        let _ = self.shared.news.send(());
    }

    fn definition_changed(&self, definition: &Value) {
        match super::definitions::kind_of(definition) {
            Ok(kind) => self.change_kinds(|kinds| kinds.register(kind)),
            Err(error) => tracing::warn!(%error, "a CustomResourceDefinition is not served"),
        }
    }
}

impl State {
    fn get(&self, kind: &Kind, key: &Key) -> Option<&Arc<Value>> {
        self.tables.get(&kind.resource())?.get(key)
    }

    fn random_letters(&mut self, count: usize) -> String {
        // Kubernetes' alphabet for names: no vowels, so no words.
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..count).map(|_| char::from(LETTERS[self.random.random_range(0..LETTERS.len())])).collect()
    }

    fn random_uid(&mut self) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    fn assign_service_ip(&mut self, service: &mut Value) {
        let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else {
            return;
        };
        if text(spec, "type") == "ExternalName" {
            return;
        }
        if text(spec, "clusterIP").is_empty() {
            self.service_ips += 1;
            let [_, _, high, low] = self.service_ips.to_be_bytes();
            spec.insert("clusterIP".into(), json!(format!("10.96.{high}.{low}")));
        }
        let ip = spec["clusterIP"].clone();
        spec.insert("clusterIPs".into(), json!([ip]));
    }
}

/// RFC 3339 in whole seconds: how Kubernetes writes a time.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn key(namespace: Option<&str>, name: &str) -> Key {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn owner_references(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"].as_array().map_or(&[], Vec::as_slice)
}

fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    owner_references(object).iter().filter_map(|owner| owner["uid"].as_str())
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

#[cfg(test)]
mod tests;
