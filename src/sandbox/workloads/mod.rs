//! The controllers of a cluster that rollouts lean on: Deployments, ReplicaSets, and the node that runs the pods.
//!
//! Everything happens in [`Controllers::step`], which is told the time and says when it wants to be called again; a
//! small task calls it on changes and at those times. Nothing here polls, sleeps or reads a clock, and nothing knows of
//! Canaries or of traffic.

mod deployments;
mod objects;
mod pods;
mod progress;
mod replica_sets;
mod rolling;
mod template_hash;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::store::{Change, ChangeEvent, Store};
pub use objects::{controller_uid, is_leaving, is_ready, started_at};
pub use pods::{NODE, NODE_ADDRESS, image_tag};
pub use template_hash::template_hash;

/// How fast the node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From a pod's creation until it is ready. Zero: at once.
    pub ready_after: Duration,
    /// From a pod's deletion until it is gone.
    pub gone_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ready_after: Duration::from_secs(3), gone_after: Duration::from_secs(1) }
    }
}

/// Passes over the same objects in one step, above which something keeps changing its own mind.
const MOST_PASSES: usize = 100_000;

/// What has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Work {
    // Pods first: what they report decides the rest.
    kind: WorkKind,
    namespace: String,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum WorkKind {
    Pod,
    ReplicaSet,
    Deployment,
}

/// What is to be looked at later, and when.
#[derive(Default)]
struct Timers {
    at: HashMap<Work, DateTime<Utc>>,
    in_order: BTreeSet<(DateTime<Utc>, Work)>,
}

impl Timers {
    fn set(&mut self, work: Work, at: Option<DateTime<Utc>>) {
        let before = match at {
            Some(at) => self.at.insert(work.clone(), at),
            None => self.at.remove(&work),
        };
        if before == at {
            return;
        }
        if let Some(at) = at {
            self.in_order.insert((at, work.clone()));
        }
        if let Some(before) = before {
            self.in_order.remove(&(before, work));
        }
    }

    fn next(&self) -> Option<DateTime<Utc>> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Takes out what is due by `now`, the earliest first.
    fn take(&mut self, now: DateTime<Utc>) -> Option<Work> {
        if self.next()? > now {
            return None;
        }
        let (_, work) = self.in_order.pop_first()?;
        self.at.remove(&work);
        Some(work)
    }
}

/// The controllers over one store.
pub struct Controllers {
    store: Store,
    pace: Pace,
    changes: Receiver<std::sync::Arc<Change>>,
    due: BTreeSet<Work>,
    timers: Timers,
    /// When the node first saw each pod, and when it was told to stop it, by uid: Kubernetes' own times are in whole
    /// seconds.
    node: HashMap<String, pods::Seen>,
}

impl Controllers {
    /// Controllers that look at everything there is in their first step.
    pub fn new(store: &Store, pace: Pace) -> Self {
        let mut controllers = Self {
            store: store.clone(),
            pace,
            changes: store.subscribe(),
            due: BTreeSet::new(),
            timers: Timers::default(),
            node: HashMap::new(),
        };
        controllers.look_at_everything();
        controllers
    }

    /// Changes how fast the node is, for pods that are not ready yet.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.look_at_everything();
    }

    /// Does all that is to be done now, and says when there is more to do if nothing changes until then.
    pub fn step(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.take_timers(now);
        for _ in 0..MOST_PASSES {
            self.take_changes();
            let Some(work) = self.due.pop_first() else {
                return self.timers.next();
            };
            let wake = self.look_at(&work, now);
            self.timers.set(work, wake.map(|wake| wake.max(now + TimeDelta::milliseconds(1))));
        }
        tracing::error!(left = self.due.len(), "the controllers do not come to rest");
        Some(now + TimeDelta::milliseconds(100))
    }

    /// Steps whenever something changes or is due, until the store is gone. `now` tells the time.
    pub async fn run(mut self, now: impl Fn() -> DateTime<Utc> + Send) {
        loop {
            let time = now();
            let next = self.step(time);
            let change = match next {
                None => self.changes.recv().await,
                Some(next) => {
                    let left = (next - time).to_std().unwrap_or_default().max(Duration::from_millis(1));
                    match tokio::time::timeout(left, self.changes.recv()).await {
                        Ok(change) => change,
                        Err(_) => continue,
                    }
                }
            };
            match change {
                Ok(change) => self.note(&change),
                Err(RecvError::Lagged(_)) => self.look_at_everything(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn look_at(&mut self, work: &Work, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (namespace, name) = (work.namespace.as_str(), work.name.as_str());
        let done = match work.kind {
            WorkKind::Pod => pods::look_at(&self.store, self.pace, &mut self.node, namespace, name, now),
            WorkKind::ReplicaSet => replica_sets::look_at(&self.store, namespace, name, now),
            WorkKind::Deployment => deployments::look_at(&self.store, namespace, name, now),
        };
        done.unwrap_or_else(|error| {
            // Somebody else wrote in between, or took it away: the change that told them apart is on its way.
            tracing::debug!(%error, kind = ?work.kind, namespace, name, "to be looked at again");
            None
        })
    }

    fn take_timers(&mut self, now: DateTime<Utc>) {
        while let Some(work) = self.timers.take(now) {
            self.due.insert(work);
        }
    }

    fn take_changes(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.note(&change),
                Err(TryRecvError::Lagged(_)) => self.look_at_everything(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// What a change asks to be looked at: the object itself, and the one that controls it.
    fn note(&mut self, change: &Change) {
        let Some(kind) = work_kind(&change.kind) else {
            return;
        };
        let namespace = change.namespace.as_deref().unwrap_or_default();
        self.want_controller(namespace, &change.object);
        if change.event == ChangeEvent::Deleted {
            self.timers.set(Work { kind, namespace: namespace.to_owned(), name: change.name.clone() }, None);
            if let Some(uid) = change.object["metadata"]["uid"].as_str() {
                self.node.remove(uid);
            }
            if kind == WorkKind::Pod {
                // A Deployment that recreates waits for the very last pod, which no ReplicaSet counts any more.
                let owner = objects::controller_of(&change.object).and_then(|owner| owner["name"].as_str());
                let set = owner.and_then(|name| self.store.get("ReplicaSet", Some(namespace), name));
                if let Some(set) = set {
                    self.want_controller(namespace, &set);
                }
            }
        } else {
            self.want(kind, namespace, &change.name);
        }
    }

    fn want_controller(&mut self, namespace: &str, object: &Value) {
        if let Some(owner) = objects::controller_of(object)
            && let Some(kind) = owner["kind"].as_str().and_then(work_kind)
        {
            self.want(kind, namespace, owner["name"].as_str().unwrap_or_default());
        }
    }

    fn look_at_everything(&mut self) {
        for kind in ["Pod", "ReplicaSet", "Deployment"] {
            let Some(work) = work_kind(kind) else {
                continue;
            };
            for object in self.store.list(kind, None).0 {
                let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
                self.due.insert(Work { kind: work, namespace: text("namespace"), name: text("name") });
            }
        }
    }

    fn want(&mut self, kind: WorkKind, namespace: &str, name: &str) {
        self.due.insert(Work { kind, namespace: namespace.to_owned(), name: name.to_owned() });
    }
}

fn work_kind(kind: &str) -> Option<WorkKind> {
    match kind {
        "Pod" => Some(WorkKind::Pod),
        "ReplicaSet" => Some(WorkKind::ReplicaSet),
        "Deployment" => Some(WorkKind::Deployment),
        _ => None,
    }
}

/// A whole number in an object; 0 where there is none.
fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}
