//! What a screen over many canaries keeps of the objects that it shows one row of: each as a text that is packed, and read
//! again when it is looked at. As records a thousand canaries take ten times the room, and nearly all of them are at rest.
//!
//! Objects of one kind are written alike, so each is packed against the first that was met of its kind: what is left is
//! what is its own.

use super::records::{CanaryRecord, RouteRecord, WorkloadRecord};
use super::world::Source;
use crate::api::{Provider, annotation};
use chrono::{DateTime, Utc};
use lz4_flex::block;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Canaries, Deployments and routes of one namespace, by name.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    canaries: BTreeMap<Box<str>, (Gist, Text)>,
    workloads: BTreeMap<Box<str>, Text>,
    routes: BTreeMap<Provider, BTreeMap<Box<str>, Text>>,
}

/// What is asked of all Canaries at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gist {
    /// Who carries out its routing; None where its spec cannot be read at all.
    pub provider: Option<Provider>,
    /// Whether a rollout is under way or about to be.
    pub under_way: bool,
    /// The shortest window that its built-in checks look back over.
    pub window: Option<Duration>,
    /// When Flagger's field manager last wrote the status.
    pub flagger_wrote: Option<DateTime<Utc>>,
}

impl Gist {
    /// That of a Canary.
    pub fn of(canary: &CanaryRecord) -> Self {
        let checks = canary.spec.as_ref().map(|spec| spec.analysis.checks.as_slice()).unwrap_or_default();
        Self {
            provider: canary.spec.as_ref().ok().or(canary.partial.as_ref()).map(|spec| spec.provider),
            under_way: canary.status.phase.under_way(),
            window: checks.iter().filter(|check| !check.kind.is_own()).map(|check| check.interval).min(),
            flagger_wrote: canary.flagger_wrote,
        }
    }
}

impl Packed {
    /// A Canary.
    pub fn canary(&self, name: &str) -> Option<CanaryRecord> {
        let (_, text) = self.canaries.get(name)?;
        Some(CanaryRecord::of(&text.read::<Value>(Source::Canaries)?))
    }

    /// A Deployment.
    pub fn workload(&self, name: &str) -> Option<WorkloadRecord> {
        self.workloads.get(name)?.read(Source::Deployments)
    }

    /// An object that carries the weights.
    pub fn route(&self, provider: Provider, name: &str) -> Option<RouteRecord> {
        self.routes.get(&provider)?.get(name)?.read(Source::Routes(provider))
    }

    /// Version and, where it is kept, uid of an object.
    pub fn version(&self, source: Source, name: &str) -> Option<(String, Option<String>)> {
        match source {
            Source::Canaries => self.canary(name).map(|record| (record.resource_version, Some(record.uid))),
            Source::Deployments => self.workload(name).map(|record| (record.resource_version, Some(record.uid))),
            Source::Routes(provider) => self.route(provider, name).map(|record| (record.resource_version, None)),
            _ => None,
        }
    }

    /// All Canaries, in order.
    pub fn gists(&self) -> impl Iterator<Item = (&str, Gist)> {
        self.canaries.iter().map(|(name, (gist, _))| (&**name, *gist))
    }

    /// All Deployments, in order.
    pub fn workloads(&self) -> impl Iterator<Item = WorkloadRecord> {
        self.workloads.values().filter_map(|text| text.read(Source::Deployments))
    }

    /// Puts a Canary; answers whether it differs from the one before.
    pub fn put_canary(&mut self, name: &str, object: &Value) -> bool {
        let gist = Gist::of(&CanaryRecord::of(object));
        let text = Text::of(Source::Canaries, &WithoutHistory(object));
        replace(&mut self.canaries, name, (gist, text))
    }

    /// As [`put_canary`](Self::put_canary), a Deployment.
    pub fn put_workload(&mut self, name: &str, object: &Value) -> bool {
        let text = Text::of(Source::Deployments, &WorkloadRecord::for_observer(object));
        replace(&mut self.workloads, name, text)
    }

    /// As [`put_canary`](Self::put_canary), an object that carries the weights.
    pub fn put_route(&mut self, provider: Provider, name: &str, object: &Value) -> bool {
        let text = Text::of(Source::Routes(provider), &RouteRecord::for_observer(object));
        replace(self.routes.entry(provider).or_default(), name, text)
    }

    /// Takes one away, where it is of one of these kinds.
    pub fn take(&mut self, source: Source, name: &str) {
        match source {
            Source::Canaries => drop(self.canaries.remove(name)),
            Source::Deployments => drop(self.workloads.remove(name)),
            Source::Routes(provider) => drop(self.routes.entry(provider).or_default().remove(name)),
            _ => {}
        }
    }

    /// Takes all that `listed` has of a kind in place of what there is, in maps that are full.
    pub fn exchange(&mut self, source: Source, listed: Packed) {
        match source {
            Source::Canaries => self.canaries = listed.canaries.into_iter().collect(),
            Source::Deployments => self.workloads = listed.workloads.into_iter().collect(),
            Source::Routes(provider) => {
                let of_this = listed.routes.into_iter().find(|(of, _)| *of == provider);
                self.routes.insert(provider, of_this.into_iter().flat_map(|(_, texts)| texts).collect());
            }
            _ => {}
        }
    }
}

fn replace<T: PartialEq>(map: &mut BTreeMap<Box<str>, T>, name: &str, new: T) -> bool {
    match map.get_mut(name) {
        Some(present) if *present == new => false,
        Some(present) => {
            *present = new;
            true
        }
        None => {
            map.insert(name.into(), new);
            true
        }
    }
}

/// A packed text of a kind.
#[derive(Clone, Debug, PartialEq)]
struct Text(Box<[u8]>);

impl Text {
    fn of(source: Source, value: &impl Serialize) -> Self {
        // What is made of trees of values, and of records that were, always serialises.
        let text = serde_json::to_vec(value).unwrap_or_default();
        Self(block::compress_prepend_size_with_dict(&text, &pattern(source, &text)).into())
    }

    /// None never comes: each text was packed here, against the same pattern.
    fn read<T: DeserializeOwned>(&self, source: Source) -> Option<T> {
        let text = block::decompress_size_prepended_with_dict(&self.0, &pattern(source, b"")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// As much of a text as others are packed against.
const PATTERN: usize = 16 * 1024;

/// The first text of this kind that this process has met; what was packed against it can be read as long as it runs.
fn pattern(source: Source, first: &[u8]) -> Arc<[u8]> {
    static PATTERNS: Mutex<BTreeMap<Source, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
    // A pattern is put whole or not at all.
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    patterns.entry(source).or_insert_with(|| first[..first.len().min(PATTERN)].into()).clone()
}

/// A Canary without what is kept on it of its rollouts, which is read from the cluster where it is shown.
struct WithoutHistory<'a>(&'a Value);

impl Serialize for WithoutHistory<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bears = self.0.pointer("/metadata/annotations").is_some_and(|all| all.get(annotation::HISTORY).is_some());
        if !bears {
            return self.0.serialize(serializer);
        }
        let mut object = self.0.clone();
        if let Some(all) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            all.remove(annotation::HISTORY);
        }
        object.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::replica_sets::Uid;
    use super::super::world::{For, World};
    use super::*;
    use serde_json::json;

    /// The objects of a canary as the API server has them.
    fn objects(name: &str) -> [(Source, Value); 4] {
        let canary = json!({
            "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
            "metadata": {"name": name, "namespace": "prod", "uid": format!("u-{name}"), "resourceVersion": "12",
                "creationTimestamp": "2026-11-22T12:00:00Z", "finalizers": ["finalizer.flagger.app"],
                "annotations": {"canary-tui/start": "manual", (annotation::HISTORY): "[]",
                    "canary-tui/paused": r#"{"by": "alice", "at": "2026-11-22T12:01:00Z", "reason": "lunch"}"#},
                "managedFields": [{"manager": "flagger", "subresource": "status", "time": "2026-11-22T12:02:00Z"}]},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"port": 80, "gateways": ["mesh"], "hosts": [format!("{name}.example.com")]},
                "analysis": {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"}]},
            },
            "status": {"phase": "Progressing", "canaryWeight": 20, "lastAppliedSpec": "5f", "trackedConfigs": {"a": "b"}},
        });
        let deployment = |name: &str| {
            json!({
                "metadata": {"name": name, "namespace": "prod", "uid": format!("d-{name}"), "resourceVersion": "13",
                    "generation": 3, "annotations": {"deployment.kubernetes.io/revision": "4"}},
                "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {"spec": {"containers": [
                    {"name": name, "image": "reg:5000/web@sha256:00", "env": [{"name": "A", "value": "b"}]}]}}},
                "status": {"observedGeneration": 3, "readyReplicas": 1, "conditions": [
                    {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                        "lastUpdateTime": "2026-11-22T12:03:00Z"}]},
            })
        };
        let route = json!({
            "metadata": {"name": name, "namespace": "prod", "resourceVersion": "14"},
            "spec": {"http": [{"route": [
                {"destination": {"host": format!("{name}-primary")}, "weight": 80},
                {"destination": {"host": format!("{name}-canary")}, "weight": 20}]}]},
        });
        [
            (Source::Canaries, canary),
            (Source::Deployments, deployment(name)),
            (Source::Deployments, deployment(&format!("{name}-primary"))),
            (Source::Routes(Provider::default()), route),
        ]
    }

    fn world(kept_for: For) -> World {
        let mut world = World { kept_for, ..World::default() };
        for (source, object) in ["web", "api"].into_iter().flat_map(objects) {
            assert!(world.put(source, &object, DateTime::UNIX_EPOCH), "it is new");
        }
        world
    }

    #[test]
    fn what_is_packed_is_read_as_it_was() {
        let (screen, observer) = (world(For::Screen), world(For::Observer));
        assert!(screen.canaries.is_empty() && screen.workloads.is_empty() && screen.routes.is_empty());
        assert_eq!(screen.gists().collect::<Vec<_>>(), observer.gists().collect::<Vec<_>>());
        assert_eq!(screen.gists().map(|(name, _)| name).collect::<Vec<_>>(), ["api", "web"]);
        for name in ["web", "api"] {
            let canary = observer.canary(name).unwrap();
            assert_eq!(screen.canary(name), Some(canary.clone()));
            assert!(canary.manual_start && canary.paused.is_some() && canary.flagger_wrote.is_some());
            let spec = canary.spec.as_deref().unwrap();
            assert_eq!(screen.live(spec), observer.live(spec));
            assert_eq!(screen.live(spec).unwrap().weights.unwrap().canary, 20);
            for workload in [name.to_string(), spec.primary()] {
                assert_eq!(screen.workload(&workload), observer.workload(&workload));
                assert_eq!(screen.workload(&workload).unwrap().ready, 1);
            }
            assert_eq!(screen.workload_of(Uid::of(&format!("d-{name}"))).unwrap().name, name);
        }
        assert_eq!((screen.providers(), screen.canary("other")), (observer.providers(), None));
    }

    #[test]
    fn changes_are_told_from_what_is_as_it_was_and_what_is_older() {
        let mut world = world(For::Screen);
        for (source, mut object) in objects("web") {
            let put = |world: &mut World, object: &Value| world.put(source, object, DateTime::UNIX_EPOCH);
            assert!(!put(&mut world, &object), "{source} is as it was");
            object["metadata"]["resourceVersion"] = json!("9");
            assert!(world.is_older(source, &object), "{source}");
            object["metadata"]["resourceVersion"] = json!("20");
            assert!(!world.is_older(source, &object) && put(&mut world, &object), "{source} is another");
        }
        // One that was made anew is another object, whatever its version.
        let [(_, mut anew), ..] = objects("web");
        (anew["metadata"]["resourceVersion"], anew["metadata"]["uid"]) = (json!("1"), json!("other"));
        assert!(!world.is_older(Source::Canaries, &anew));
        for (source, object) in objects("web") {
            world.take(source, object.pointer("/metadata/name").and_then(Value::as_str).unwrap());
        }
        assert_eq!(world.gists().map(|(name, _)| name).collect::<Vec<_>>(), ["api"]);
        assert!(world.workload("web").is_none() && world.workload("web-primary").is_none());
        let mut listed = World { kept_for: For::Screen, ..World::default() };
        let [(source, canary), ..] = objects("new");
        listed.put(source, &canary, DateTime::UNIX_EPOCH);
        world.exchange(source, listed);
        assert_eq!(world.gists().map(|(name, _)| name).collect::<Vec<_>>(), ["new"]);
        assert!(world.workload("api").is_some(), "a list of one kind says nothing of the others");
    }

    #[test]
    fn anything_can_be_packed_and_what_is_alike_takes_little() {
        let source = Source::Rules(Provider::default());
        for value in [json!(null), json!([]), json!({"metadata": 3}), json!("x".repeat(5 * PATTERN))] {
            assert_eq!(Text::of(source, &value).read::<Value>(source), Some(value));
        }
        let [(source, first), ..] = objects("web");
        let length = first.to_string().len();
        Text::of(source, &WithoutHistory(&first));
        for nth in 0..100 {
            let [(source, canary), ..] = objects(&format!("app-{nth}"));
            let text = Text::of(source, &WithoutHistory(&canary));
            assert!(text.0.len() < length / 4, "{} of {length} bytes", text.0.len());
            assert_eq!(text.read::<Value>(source).unwrap().pointer("/metadata/annotations/canary-tui~1history"), None);
        }
    }
}
