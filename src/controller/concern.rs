//! Which Canaries a change concerns. Among a thousand of them a change of one Deployment must not be held against each.

use super::configs;
use crate::api::Spec;
use crate::api::shapes::ConfigKind;
use crate::cluster::{Source, Uid, World};
use std::collections::{BTreeSet, HashMap};

/// The Canaries by the names that their objects have in common, but for those names that are the Canary's own: by them it
/// is found without this.
#[derive(Default)]
pub struct Concerns {
    /// Of each Canary: its target and its apex Service, where they are named otherwise.
    names: HashMap<String, Vec<String>>,
    canaries: HashMap<String, BTreeSet<String>>,
}

impl Concerns {
    /// Takes in what a Canary names now; nothing where it is gone.
    pub fn note(&mut self, world: &World, canary: &str) {
        for name in &self.names.remove(canary).unwrap_or_default() {
            if let Some(of_name) = self.canaries.get_mut(name) {
                of_name.remove(canary);
                if of_name.is_empty() {
                    self.canaries.remove(name);
                }
            }
        }
        let others: Vec<String> = names(world, canary).into_iter().flatten().filter(|name| name != canary).collect();
        for name in &others {
            self.canaries.entry(name.clone()).or_default().insert(canary.to_string());
        }
        if !others.is_empty() {
            self.names.insert(canary.to_string(), others);
        }
    }

    /// Takes in all Canaries anew.
    pub fn renew(&mut self, world: &World) {
        *self = Self::default();
        world.gists().for_each(|(canary, _)| self.note(world, canary));
    }

    /// The Canaries that an object concerns; all of them where the change has no name.
    pub fn concerned(&self, world: &World, source: Source, name: &str) -> Vec<String> {
        if name.is_empty() {
            return world.gists().map(|(canary, _)| canary.to_string()).collect();
        }
        let workload = match source {
            Source::Canaries => return vec![name.to_string()],
            Source::Events | Source::Lease => return Vec::new(),
            Source::ConfigMaps => return search(world, |spec| mounts(world, spec, ConfigKind::ConfigMap, name)),
            Source::Secrets => return search(world, |spec| mounts(world, spec, ConfigKind::Secret, name)),
            Source::Scalers => {
                return search(world, |spec| {
                    spec.autoscaler.as_ref().is_some_and(|named| named.name == name || named.primary() == name)
                });
            }
            Source::ReplicaSets => deployment_of(world, name),
            _ => Some(name.to_string()),
        };
        let Some(workload) = workload.as_deref() else { return Vec::new() };
        let base = workload.strip_suffix("-primary").or_else(|| workload.strip_suffix("-canary")).unwrap_or(workload);
        let called = |name: &&str| names(world, name).into_iter().flatten().any(|named| named == *name);
        let found = [workload, base].into_iter().flat_map(|name| {
            let others = self.canaries.get(name).into_iter().flatten().map(String::as_str);
            others.chain(Some(name).filter(called))
        });
        found.collect::<BTreeSet<_>>().into_iter().map(str::to_string).collect()
    }
}

/// The target and the apex Service of a Canary; None where there is no such Canary.
fn names(world: &World, canary: &str) -> Option<[String; 2]> {
    let record = world.canary(canary)?;
    let spec = record.spec.as_deref().ok().or(record.partial.as_deref())?;
    Some([spec.target.clone(), spec.service.apex.clone()])
}

/// The Deployment of a ReplicaSet.
fn deployment_of(world: &World, replica_set: &str) -> Option<String> {
    let set = world.replica_sets.get(replica_set)?;
    // Its controller names it after itself; searching all would cost more than the rest of what a change asks for.
    let named = replica_set.strip_suffix(set.hash()).and_then(|name| name.strip_suffix('-'));
    let named = named.and_then(|name| world.workload(name)).filter(|workload| Uid::of(&workload.uid) == set.owner);
    let found = named.or_else(|| world.workload_of(set.owner));
    found.map(|workload| workload.name.clone())
}

fn search(world: &World, concerns: impl Fn(&Spec) -> bool) -> Vec<String> {
    let specs = world.canaries.values().filter_map(|c| Some((c, c.spec.as_deref().ok().or(c.partial.as_deref())?)));
    specs.filter(|(_, spec)| concerns(spec)).map(|(canary, _)| canary.name.clone()).collect()
}

fn mounts(world: &World, spec: &Spec, kind: ConfigKind, name: &str) -> bool {
    [&spec.target, &spec.primary()].into_iter().any(|w| configs::mounts(world.workloads.get(w), kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{CanaryRecord, ReplicaSetRecord, WorkloadRecord};
    use serde_json::json;

    fn canary(name: &str, target: &str, apex: &str) -> CanaryRecord {
        CanaryRecord::of(&json!({"metadata": {"name": name}, "spec": {
            "targetRef": {"kind": "Deployment", "name": target}, "service": {"name": apex, "port": 80},
            "analysis": {"stepWeight": 10}}}))
    }

    #[test]
    fn a_change_concerns_those_that_name_the_object_now() {
        let mut world = World::default();
        for (name, target, apex) in [("one", "web", "web"), ("two", "api", "front"), ("three", "jobs", "web")] {
            world.canaries.insert(name.into(), canary(name, target, apex));
        }
        let mut concerns = Concerns::default();
        concerns.renew(&world);
        let of = |concerns: &Concerns, world: &World, source, name: &str| concerns.concerned(world, source, name);
        assert_eq!(of(&concerns, &world, Source::Deployments, "web-primary"), ["one", "three"]);
        assert_eq!(of(&concerns, &world, Source::Services, "front-canary"), ["two"]);
        assert_eq!(of(&concerns, &world, Source::Canaries, "new"), ["new"]);
        assert_eq!(of(&concerns, &world, Source::Deployments, "").len(), 3);
        assert!(of(&concerns, &world, Source::Events, "web").is_empty());
        // One is given another target, and one is gone.
        world.canaries.insert("one".into(), canary("one", "shop", "web"));
        world.canaries.remove("three");
        concerns.note(&world, "one");
        concerns.note(&world, "three");
        assert_eq!(of(&concerns, &world, Source::Deployments, "shop"), ["one"]);
        assert_eq!(of(&concerns, &world, Source::Services, "web"), ["one"]);
        assert!(of(&concerns, &world, Source::Deployments, "jobs").is_empty());
        assert_eq!((concerns.names.len(), concerns.canaries.len()), (2, 4), "shop, web; api, front");
    }

    #[test]
    fn a_replica_set_concerns_those_of_its_deployment_however_it_is_named() {
        let mut world = World::default();
        for (name, uid) in [("web", "u1"), ("api", "u2")] {
            world.canaries.insert(name.into(), canary(name, name, name));
            let deployment = WorkloadRecord::of(&json!({"metadata": {"name": name, "uid": uid}}));
            world.workloads.insert(name.into(), deployment);
        }
        let mut concerns = Concerns::default();
        concerns.renew(&world);
        for (name, hash, owner, concerned) in [
            ("web-5f", "5f", "u1", &["web"][..]),
            ("api-7c", "7c", "u1", &["web"]),
            ("by-hand", "9d", "u2", &["api"]),
            ("web-aa", "aa", "gone", &[]),
        ] {
            let set = json!({"metadata": {"name": name, "labels": {"pod-template-hash": hash},
                "ownerReferences": [{"uid": owner, "controller": true}]}});
            world.replica_sets.insert(ReplicaSetRecord::of(&set));
            assert_eq!(concerns.concerned(&world, Source::ReplicaSets, name), concerned, "{name}");
        }
        assert!(concerns.concerned(&world, Source::ReplicaSets, "unknown").is_empty());
    }

    #[test]
    fn a_target_that_is_named_like_a_primary_is_a_target_all_the_same() {
        let mut world = World::default();
        world.canaries.insert("one".into(), canary("one", "web-primary", "web-primary"));
        let mut concerns = Concerns::default();
        concerns.renew(&world);
        assert_eq!(concerns.concerned(&world, Source::Deployments, "web-primary"), ["one"]);
        assert_eq!(concerns.concerned(&world, Source::Deployments, "web-primary-primary"), ["one"]);
    }
}
