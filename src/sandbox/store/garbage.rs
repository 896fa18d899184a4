//! How objects leave: preconditions, finalizers, a pod's grace period, and what goes along with its owner.

use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    ApiError, ChangeEvent, Key, Kind, Part, State, Store, Write, has_finalizers, key, owner_references, owner_uids,
    ownership, timestamp, uid,
};

/// What becomes of the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it; it stays, marked, until those that block it are gone.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// `DeleteOptions`, as far as it matters here.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resourceVersion that the object must have.
    pub resource_version: Option<String>,
    /// What becomes of what it owns.
    pub propagation: Propagation,
    /// For pods that run on a node: seconds until the node is done with them. None is what the pod says (30);
    /// 0 takes it away at once, which is how a node reports that it is done.
    pub grace_period_seconds: Option<i64>,
    /// Checked, but not done.
    pub dry_run: bool,
}

/// What a deletion came to.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// The object as it is now, or was last.
    pub object: Arc<Value>,
    /// False while a finalizer or a grace period holds it.
    pub gone: bool,
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl Store {
    pub(in crate::sandbox) fn delete_of(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let mut state = self.lock();
        let key = key(namespace, name);
        let Some(current) = state.get(kind, &key).cloned() else {
            return Err(ApiError::not_found(kind, name));
        };
        let ours = [
            ("UID", &options.uid, "uid", "The object might have been deleted and then recreated"),
            ("ResourceVersion", &options.resource_version, "resourceVersion", "The object might have been modified"),
        ];
        for (what, wanted, field, guess) in ours {
            let found = current["metadata"][field].as_str().unwrap_or_default();
            if let Some(wanted) = wanted
                && wanted != found
            {
                return Err(ApiError::precondition(
                    kind,
                    name,
                    format!(
                        "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). {guess}"
                    ),
                ));
            }
        }
        if options.dry_run {
            return Ok(Deleted { object: current, gone: true });
        }
        Ok(self.begin_delete(&mut state, kind, &key, options))
    }

    fn begin_delete(&self, state: &mut State, kind: &Arc<Kind>, key: &Key, options: &DeleteOptions) -> Deleted {
        let Some(current) = state.get(kind, key).cloned() else {
            return Deleted { object: Arc::new(Value::Null), gone: true };
        };
        let grace = grace_period(kind, &current, options);
        let mut object = (*current).clone();
        let mark = match options.propagation {
            // What is in a namespace goes with it, whatever was asked for.
            _ if kind.kind == "Namespace" => None,
            Propagation::Background => None,
            Propagation::Foreground => Some(FOREGROUND),
            Propagation::Orphan => Some(ORPHAN),
        };
        if let Some(mark) = mark
            && !has_finalizer(&object, mark)
        {
            add_finalizer(&mut object, mark);
        }
        if kind.kind == "Namespace" && object["status"]["phase"] != "Terminating" {
            object["status"]["phase"] = json!("Terminating");
        }
        let already = object["metadata"].get("deletionTimestamp").is_some();
        let waits = has_finalizers(&object) || grace > 0 || kind.kind == "Namespace";
        if !waits {
            let gone = self.remove(state, kind, key).unwrap_or(current);
            return Deleted { object: gone, gone: true };
        }
        let left = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
        if !already || left.is_some_and(|left| grace < left) {
            let when = self.now() + chrono::TimeDelta::seconds(grace);
            object["metadata"]["deletionTimestamp"] = json!(timestamp(when));
            if kind.kind != "Namespace" {
                object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            }
            if kind.has_generation || kind.custom {
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                object["metadata"]["generation"] = json!(generation);
            }
        }
        let foreground = has_finalizer(&object, FOREGROUND);
        let orphans = has_finalizer(&object, ORPHAN);
        let mut object = if object == *current { current } else { self.put(state, kind, key.clone(), object) };
        if kind.kind == "Namespace" {
            self.empty_namespace(state, &key.1);
            self.settle_namespace(state, &key.1);
        } else if foreground || orphans {
            // What was asked for sees it marked, however soon it is gone.
            let owner = uid(&object).to_owned();
            if orphans {
                self.orphan_dependents(state, &owner);
                self.let_go(state, kind, key, ORPHAN);
            }
            if foreground {
                self.delete_dependents(state, &owner, Propagation::Foreground);
                self.settle_foreground(state, &owner);
            }
            return Deleted { object, gone: false };
        }
        let present = state.get(kind, key).cloned();
        let gone = present.is_none();
        if let Some(present) = present {
            object = present;
        }
        Deleted { object, gone }
    }

    /// Takes an object away now, then whatever leaves with it.
    pub(super) fn remove(&self, state: &mut State, kind: &Arc<Kind>, key: &Key) -> Option<Arc<Value>> {
        let table = state.tables.get_mut(&kind.resource())?;
        let previous = table.remove(key)?;
        state.revision += 1;
        let mut last = (*previous).clone();
        last["metadata"]["resourceVersion"] = json!(state.revision.to_string());
        let last = Arc::new(last);
        let uid = uid(&last).to_owned();
        state.by_uid.remove(&uid);
        let owners: Vec<String> = owner_uids(&last).map(str::to_owned).collect();
        for owner in &owners {
            if let Some(owned) = state.owned.get_mut(owner) {
                owned.remove(&uid);
                if owned.is_empty() {
                    state.owned.remove(owner);
                }
            }
        }
        self.tell(state, kind, key.clone(), ChangeEvent::Deleted, last.clone(), Some(previous));
        if kind.kind == "CustomResourceDefinition" {
            self.definition_gone(state, &last);
        }
        self.delete_dependents(state, &uid, Propagation::Background);
        for owner in owners {
            self.settle_foreground(state, &owner);
        }
        if !key.0.is_empty() {
            self.settle_namespace(state, &key.0);
        }
        Some(last)
    }

    /// An object whose owners are all gone does not stay.
    pub(super) fn collect_if_abandoned(&self, state: &mut State, kind: &Arc<Kind>, key: &Key) {
        let Some(object) = state.get(kind, key) else {
            return;
        };
        let owners = owner_references(object);
        if owners.is_empty()
            || object["metadata"].get("deletionTimestamp").is_some()
            || owner_uids(object).any(|owner| state.by_uid.contains_key(owner))
        {
            return;
        }
        self.begin_delete(state, kind, key, &DeleteOptions::default());
    }

    fn delete_dependents(&self, state: &mut State, owner: &str, propagation: Propagation) {
        let dependents: Vec<String> = match state.owned.get(owner) {
            Some(owned) => owned.iter().cloned().collect(),
            None => return,
        };
        for dependent in dependents {
            let Some((kind, key)) = state.by_uid.get(&dependent).cloned() else {
                continue;
            };
            let Some(object) = state.get(&kind, &key).cloned() else {
                continue;
            };
            let others = owner_uids(&object).any(|uid| uid != owner && state.by_uid.contains_key(uid));
            if others {
                // Another owner keeps it; only the reference to the one that leaves goes.
                let mut kept = (*object).clone();
                if let Some(owners) = kept["metadata"]["ownerReferences"].as_array_mut() {
                    owners.retain(|reference| reference["uid"] != owner);
                }
                self.put_released(state, &kind, key, &object, kept);
            } else if object["metadata"].get("deletionTimestamp").is_none() {
                let options = DeleteOptions { propagation, ..DeleteOptions::default() };
                self.begin_delete(state, &kind, &key, &options);
            }
        }
    }

    fn orphan_dependents(&self, state: &mut State, owner: &str) {
        let dependents: Vec<String> = match state.owned.get(owner) {
            Some(owned) => owned.iter().cloned().collect(),
            None => return,
        };
        for dependent in dependents {
            let Some((kind, key)) = state.by_uid.get(&dependent).cloned() else {
                continue;
            };
            let Some(current) = state.get(&kind, &key).cloned() else {
                continue;
            };
            let mut object = (*current).clone();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                if let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) {
                    owners.retain(|reference| reference["uid"] != owner);
                }
                if metadata.get("ownerReferences") == Some(&json!([])) {
                    metadata.remove("ownerReferences");
                }
            }
            self.put_released(state, &kind, key, &current, object);
        }
    }

    /// Puts an object in place that has one owner less, as the garbage collector's write.
    fn put_released(&self, state: &mut State, kind: &Arc<Kind>, key: Key, current: &Value, mut object: Value) {
        ownership::record(kind, Some(current), &mut object, &Write::internal(Part::Main), self.now());
        self.put(state, kind, key, object);
    }

    /// An owner that waits for its dependents goes once none of them blocks it.
    fn settle_foreground(&self, state: &mut State, owner: &str) {
        let Some((kind, key)) = state.by_uid.get(owner).cloned() else {
            return;
        };
        let Some(object) = state.get(&kind, &key).cloned() else {
            return;
        };
        if !has_finalizer(&object, FOREGROUND) || object["metadata"].get("deletionTimestamp").is_none() {
            return;
        }
        let blocked = state.owned.get(owner).is_some_and(|owned| {
            owned.iter().any(|dependent| {
                let Some((kind, key)) = state.by_uid.get(dependent) else {
                    return false;
                };
                state.get(kind, key).is_some_and(|object| {
                    owner_references(object)
                        .iter()
                        .any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
                })
            })
        });
        if blocked {
            return;
        }
        self.let_go(state, &kind, &key, FOREGROUND);
    }

    /// Takes a finalizer off an object that is leaving, and with the last one the object, unless a node still has it.
    fn let_go(&self, state: &mut State, kind: &Arc<Kind>, key: &Key, finalizer: &str) {
        let Some(mut object) = state.get(kind, key).map(|object| (**object).clone()) else {
            return;
        };
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|one| one != finalizer);
        }
        let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        if has_finalizers(&object) || grace > 0 {
            self.put(state, kind, key.clone(), object);
        } else {
            self.remove(state, kind, key);
        }
    }

    fn empty_namespace(&self, state: &mut State, namespace: &str) {
        for kind in self.kinds().iter().filter(|kind| kind.namespaced) {
            let names: Vec<Key> = match state.tables.get(&kind.resource()) {
                Some(table) => table.keys().filter(|(ns, _)| ns == namespace).cloned().collect(),
                None => continue,
            };
            for key in names {
                self.begin_delete(state, kind, &key, &DeleteOptions::default());
            }
        }
    }

    /// A namespace that is leaving goes with the last object in it.
    fn settle_namespace(&self, state: &mut State, namespace: &str) {
        let Ok(kind) = self.kind("Namespace") else {
            return;
        };
        let key = key(None, namespace);
        let leaving = state
            .get(&kind, &key)
            .is_some_and(|object| object["metadata"].get("deletionTimestamp").is_some() && !has_finalizers(object));
        let empty = || {
            !state.tables.values().any(|table| {
                table.range((namespace.to_owned(), String::new())..).next().is_some_and(|((ns, _), _)| ns == namespace)
            })
        };
        if leaving && empty() {
            self.remove(state, &kind, &key);
        }
    }

    fn definition_gone(&self, state: &mut State, definition: &Value) {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let kinds = self.kinds();
        let Some(kind) = kinds.iter().find(|kind| kind.custom && kind.group == group && kind.plural == plural) else {
            return;
        };
        let keys: Vec<Key> = match state.tables.get(&kind.resource()) {
            Some(table) => table.keys().cloned().collect(),
            None => Vec::new(),
        };
        for key in keys {
            self.remove(state, kind, &key);
        }
        self.change_kinds(|kinds| kinds.unregister(group, plural));
    }
}

/// Only a pod that a node has taken on leaves slowly.
fn grace_period(kind: &Kind, object: &Value, options: &DeleteOptions) -> i64 {
    if kind.kind != "Pod" || !kind.group.is_empty() {
        return 0;
    }
    let placed = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !placed || over {
        return 0;
    }
    options
        .grace_period_seconds
        .or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30)
        .clamp(0, 3600)
}

fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == finalizer))
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    match object["metadata"]["finalizers"].as_array_mut() {
        Some(all) => all.push(json!(finalizer)),
        None => object["metadata"]["finalizers"] = json!([finalizer]),
    }
}
