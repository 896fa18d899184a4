//! Configuration that a rollout mounts: the revision that it makes, the primary's copies of it, and what they held before.
//!
//! A copy has the name that Flagger gives it, so a promotion overwrites it, and before anything overwrites what the
//! primary mounts, that is kept beside it: an abort puts template and configuration back.

use super::effects::{EffectError, Hands};
use super::facts::owner;
use crate::api::revision::{Configs, checksum};
use crate::api::shapes::{self, ConfigKind};
use crate::api::{Revision, Status, annotation, borne};
use crate::cluster::records::{CanaryRecord, WorkloadRecord};
use crate::cluster::{Health, Source, World};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a workload mounts of what is tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mounted {
    Known(Configs),
    /// A watch that it takes is not live.
    NotYet,
    /// A sentence about what is missing.
    Problem(String),
}

/// Checksums of the tracked ConfigMaps and Secrets that a target mounts. One that is named several times must be there
/// if any of these places needs it: the pods would not start otherwise.
pub fn mounted(world: &World, workload: &WorkloadRecord) -> Mounted {
    let (name, namespace) = (&workload.name, &workload.namespace);
    let health = |kind| world.health.get(&Source::of_configs(kind));
    for reference in &workload.for_driver.configs {
        if let Some(Health::Forbidden { error }) = health(reference.kind) {
            return Mounted::Problem(format!(
                "deployment {name}.{namespace} mounts {} {}, and the driver may not watch {}: {error}",
                reference.kind,
                reference.name,
                Source::of_configs(reference.kind)
            ));
        }
    }
    if workload.for_driver.configs.iter().any(|reference| health(reference.kind) != Some(&Health::Live)) {
        return Mounted::NotYet;
    }
    let mut configs = Configs::new();
    let mut missing = BTreeSet::new();
    for reference in &workload.for_driver.configs {
        match world.config(reference.kind, &reference.name) {
            Some(record) if record.tracked => {
                configs.insert(reference.key(), record.checksum.clone());
            }
            Some(_) => {}
            None if reference.optional => {}
            None => {
                missing.insert(format!("{} {}", reference.kind, reference.name));
            }
        }
    }
    if missing.is_empty() {
        return Mounted::Known(configs);
    }
    let missing: Vec<String> = missing.into_iter().collect();
    let verb = if missing.len() == 1 { "does" } else { "do" };
    Mounted::Problem(format!(
        "deployment {name}.{namespace} mounts {}, which {verb} not exist: without it no revision of {name} can run",
        missing.join(" and ")
    ))
}

/// Checksums of the copies that a primary mounts, by what they are copies of; None where a watch is not live.
pub fn copies(world: &World, primary: &WorkloadRecord) -> Option<Configs> {
    let mut found = Configs::new();
    for reference in &primary.for_driver.configs {
        let Some(original) = shapes::original_name(&reference.name) else { continue };
        if world.health.get(&Source::of_configs(reference.kind)) != Some(&Health::Live) {
            return None;
        }
        if let Some(record) = world.config(reference.kind, &reference.name).filter(|record| record.copy) {
            found.insert(shapes::key(reference.kind, original), record.checksum.clone());
        }
    }
    Some(found)
}

/// The copies that a primary mounts, as far as they are known.
pub fn copies_of(world: &World, primary: &WorkloadRecord) -> Vec<(Source, String)> {
    let copies = primary.for_driver.configs.iter().filter(|reference| {
        shapes::original_name(&reference.name).is_some()
            && world.config(reference.kind, &reference.name).is_some_and(|record| record.copy)
    });
    let copies: BTreeSet<_> = copies.map(|r| (Source::of_configs(r.kind), r.name.clone())).collect();
    copies.into_iter().collect()
}

/// The revision that the primary serves. What it mounts is what we recorded with its template: the copies may be half
/// written. Of a template that another tool has put there, it is what the copies hold.
pub fn promoted(world: &World, status: &Status, primary: Option<&WorkloadRecord>) -> Option<Revision> {
    let recorded = primary.and_then(|p| p.revision.as_deref()).map(Revision::hash_in);
    let hash = status.last_promoted.clone().or_else(|| recorded.map(str::to_string))?;
    let configs = match primary {
        Some(primary) => primary.promoted_configs.clone().or_else(|| copies(world, primary))?,
        None => status.applied().filter(|applied| applied.hash == hash).unwrap_or_default().configs,
    };
    Some(Revision { hash, configs })
}

/// Whether copies that the primary mounts hold something else than they held when it got its template: a promotion was
/// begun and went no further.
pub fn strayed(world: &World, primary: &WorkloadRecord) -> bool {
    let Some((recorded, present)) = primary.promoted_configs.as_ref().zip(copies(world, primary)) else { return false };
    recorded.iter().any(|(key, sum)| present.get(key).is_some_and(|present| present != sum))
}

/// Whether the primary bears, and its copies hold, what the target would make of them now.
pub fn primary_like_target(world: &World, target: &WorkloadRecord, primary: &WorkloadRecord) -> Option<bool> {
    let Mounted::Known(configs) = mounted(world, target) else { return None };
    let named = target.for_driver.configs.iter().map(|reference| {
        let tracked = configs.contains_key(&reference.key());
        (reference.kind, if tracked { shapes::copy_name(&reference.name) } else { reference.name.clone() })
    });
    let names = primary.for_driver.configs.iter().map(|reference| (reference.kind, reference.name.clone()));
    let alike = target.for_driver.likeness_as_primary? == primary.for_driver.likeness && named.eq(names);
    Some(alike && copies(world, primary)? == configs)
}

/// Whether a ConfigMap or a Secret is mounted by a workload.
pub fn mounts(workload: Option<&WorkloadRecord>, kind: ConfigKind, name: &str) -> bool {
    workload
        .is_some_and(|w| w.for_driver.configs.iter().any(|reference| reference.kind == kind && reference.name == name))
}

impl Hands {
    /// Makes the primary's copies of what a revision mounts. `kept_for` is the mark of the template that mounts the
    /// present ones, where one does: what they hold is kept for it first.
    pub(super) async fn write_copies(
        &mut self,
        revision: &Revision,
        kept_for: Option<&str>,
        canary: &CanaryRecord,
    ) -> Result<(), EffectError> {
        for (key, sum) in &revision.configs {
            let Some((kind, name)) = shapes::of_key(key) else { continue };
            // What was decided on is this content; anything else is another revision.
            let original = self.fresh_config(kind, name).await?.filter(|object| checksum(object) == *sum);
            let original = original.ok_or_else(|| EffectError::Conflict(key.clone()))?;
            let copy = shapes::copy_name(name);
            let present = self.fresh_config(kind, &copy).await?;
            let overwritten = present.as_ref().filter(|present| checksum(present) != *sum);
            if let Some((mark, overwritten)) = kept_for.zip(overwritten) {
                let last = shapes::kept_name(name);
                let kept = self.fresh_config(kind, &last).await?;
                // Kept already by a promotion that was begun before: what the copy holds by now may be that one's.
                if kept.as_ref().and_then(mark_of) != Some(mark) {
                    self.write_config(kind, &last, overwritten, kept.as_ref(), Some(mark), canary).await?;
                }
            }
            self.write_config(kind, &copy, &original, present.as_ref(), None, canary).await?;
        }
        Ok(())
    }

    /// What the copies held that a template mounts whose mark this is, although a promotion may have begun to overwrite
    /// them: for a template that another tool has put there.
    pub(super) async fn held_before(&mut self, template: &Value, mark: &str) -> Result<Configs, EffectError> {
        let mut held = Configs::new();
        for reference in shapes::references(template) {
            let Some(original) = shapes::original_name(&reference.name) else { continue };
            let kept = self.fresh_config(reference.kind, &shapes::kept_name(original)).await?;
            let object = match kept.filter(|kept| mark_of(kept) == Some(mark)) {
                Some(kept) => Some(kept),
                None => self.fresh_config(reference.kind, &reference.name).await?,
            };
            if let Some(object) = object.filter(shapes::is_copy) {
                held.insert(shapes::key(reference.kind, original), checksum(&object));
            }
        }
        Ok(held)
    }

    /// Makes the copies hold again what they held: all of them, or, where one of that is kept nowhere, none. `kept_for`
    /// is the mark of the template that it must have been kept for, where it matters who overwrote it.
    pub(super) async fn restore_copies(
        &mut self,
        held: &Configs,
        kept_for: Option<&str>,
        canary: &CanaryRecord,
    ) -> Result<(), EffectError> {
        let mut writes = Vec::new();
        for (key, sum) in held {
            let Some((kind, name)) = shapes::of_key(key) else { continue };
            let copy = shapes::copy_name(name);
            let present = self.fresh_config(kind, &copy).await?;
            if present.as_ref().is_some_and(|present| checksum(present) == *sum) {
                continue;
            }
            let kept = self.fresh_config(kind, &shapes::kept_name(name)).await?;
            let meant = |kept: &Value| kept_for.is_none_or(|mark| mark_of(kept) == Some(mark));
            let kept = kept.filter(|kept| checksum(kept) == *sum && meant(kept)).ok_or_else(|| {
                EffectError::Impossible(format!(
                    "{kind} {copy}.{} does not hold any more what was promoted, and that is kept nowhere",
                    canary.namespace
                ))
            })?;
            writes.push((kind, copy, kept, present));
        }
        for (kind, copy, kept, present) in writes {
            self.write_config(kind, &copy, &kept, present.as_ref(), None, canary).await?;
        }
        Ok(())
    }

    /// Makes a copy hold what `content` holds.
    async fn write_config(
        &mut self,
        kind: ConfigKind,
        name: &str,
        content: &Value,
        present: Option<&Value>,
        mark: Option<&str>,
        canary: &CanaryRecord,
    ) -> Result<(), EffectError> {
        let owners = shapes::shared_owners(&owner(canary), present.unwrap_or(&Value::Null)).map_err(|why| {
            let namespace = &canary.namespace;
            EffectError::Impossible(format!("{kind} {name}.{namespace} {why}: it is no place for the primary's copy"))
        })?;
        let resource = self.kinds.of(Source::of_configs(kind)).cloned();
        // Kubernetes' own kinds are always there.
        let Some(resource) = resource else { return Err(EffectError::Impossible(format!("there are no {kind}s"))) };
        let write = match present {
            None => {
                let owners = owners.unwrap_or_default();
                let mut copy = shapes::copy(kind, name, &canary.namespace, content, owners);
                if let Some(mark) = mark {
                    copy["metadata"]["annotations"] = json!({ annotation::REVISION: mark });
                }
                self.writer.create(&resource, copy).await
            }
            Some(present) => {
                let as_it_should_be = checksum(present) == checksum(content)
                    && present.get("type") == content.get("type")
                    && mark.is_none_or(|mark| mark_of(present) == Some(mark));
                if as_it_should_be && owners.is_none() {
                    return Ok(());
                }
                let mut patch = Map::new();
                for field in ["data", "binaryData"] {
                    let of = |object: &Value| object.get(field).cloned().unwrap_or(Value::Null);
                    patch.insert(field.into(), borne::replacing(&of(present), &of(content)));
                }
                if let Some(kind) = content.get("type") {
                    patch.insert("type".into(), kind.clone());
                }
                let mut patch = Value::Object(patch);
                if let Some(owners) = owners {
                    patch["metadata"]["ownerReferences"] = json!(owners);
                }
                if let Some(mark) = mark {
                    patch["metadata"]["annotations"][annotation::REVISION] = json!(mark);
                }
                let version = present.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("");
                self.writer.merge(&resource, name, version, patch).await
            }
        };
        self.done(Source::of_configs(kind), name, write, &format!("writing {kind}")).await
    }

    /// A ConfigMap or a Secret as it is now; None where there is none.
    async fn fresh_config(&mut self, kind: ConfigKind, name: &str) -> Result<Option<Value>, EffectError> {
        let source = Source::of_configs(kind);
        let Some(resource) = self.kinds.of(source).cloned() else { return Ok(None) };
        match self.writer.get(&resource, name).await {
            Ok(object) => {
                self.mirror.note_written(source, &object);
                if let Some(version) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
                    self.decided.moved(source, name, version);
                }
                Ok(Some(object))
            }
            Err(error) if error.code() == Some(404) => {
                self.mirror.note_gone(source, name);
                Ok(None)
            }
            Err(error) => Err(EffectError::Write { doing: format!("reading {kind} {name}"), source: error }),
        }
    }
}

/// For which template this content is kept.
fn mark_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/annotations")?.get(annotation::REVISION)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ConfigRecord;

    /// A workload that mounts ConfigMap `must`, ConfigMap `may` (optional) and Secret `key`.
    fn workload() -> WorkloadRecord {
        WorkloadRecord::of(&deployment("app", "must", "may", "key"))
    }

    fn deployment(name: &str, must: &str, may: &str, key: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "test"}, "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "envFrom": [
                {"configMapRef": {"name": must}}, {"configMapRef": {"name": may, "optional": true}},
                {"secretRef": {"name": key}}]}]}}}})
    }

    fn record(name: &str, sum: &str) -> ConfigRecord {
        let (name, checksum) = (name.to_string(), sum.to_string());
        let copy = name.ends_with("-primary");
        ConfigRecord { name, resource_version: "1".into(), checksum, tracked: true, copy }
    }

    fn world(maps: &[(&str, &str)], secrets: &[(&str, &str)]) -> World {
        let mut world = World::default();
        for source in [Source::ConfigMaps, Source::Secrets] {
            world.health.insert(source, Health::Live);
        }
        let of = |list: &[(&str, &str)]| list.iter().map(|(n, s)| (n.to_string(), record(n, s))).collect();
        (world.config_maps, world.secrets) = (of(maps), of(secrets));
        world
    }

    fn configs(list: &[(&str, &str)]) -> Configs {
        list.iter().map(|(key, sum)| (key.to_string(), sum.to_string())).collect()
    }

    #[test]
    fn what_is_mounted_is_known_by_its_checksums_and_what_is_optional_may_be_missing() {
        let all = world(&[("must", "1"), ("may", "2"), ("other", "9")], &[("key", "3")]);
        let expected = configs(&[("configmap/must", "1"), ("configmap/may", "2"), ("secret/key", "3")]);
        assert_eq!(mounted(&all, &workload()), Mounted::Known(expected));
        let some = world(&[("must", "1")], &[("key", "3")]);
        let expected = configs(&[("configmap/must", "1"), ("secret/key", "3")]);
        assert_eq!(mounted(&some, &workload()), Mounted::Known(expected));
    }

    #[test]
    fn what_is_mandatory_and_missing_is_named() {
        let Mounted::Problem(why) = mounted(&world(&[], &[]), &workload()) else { panic!("not a problem") };
        assert!(why.contains("configmap must and secret key, which do not exist"), "{why}");
    }

    #[test]
    fn what_is_not_to_be_tracked_is_no_part_of_the_revision() {
        let mut world = world(&[("must", "1")], &[("key", "3")]);
        world.secrets.get_mut("key").unwrap().tracked = false;
        assert_eq!(mounted(&world, &workload()), Mounted::Known(configs(&[("configmap/must", "1")])));
    }

    #[test]
    fn without_the_right_to_a_watch_only_who_needs_it_stands_still() {
        let mut world = world(&[("must", "1")], &[("key", "3")]);
        world.health.insert(Source::Secrets, Health::Forbidden { error: "alice may not list secrets".into() });
        let Mounted::Problem(why) = mounted(&world, &workload()) else { panic!("not a problem") };
        assert!(why.contains("secret key") && why.contains("alice may not list secrets"), "{why}");
        let plain = WorkloadRecord::of(&json!({"metadata": {"name": "plain"}}));
        assert_eq!(mounted(&world, &plain), Mounted::Known(Configs::new()));
        world.health.insert(Source::Secrets, Health::Connecting);
        assert_eq!(mounted(&world, &workload()), Mounted::NotYet);
    }

    #[test]
    fn a_primary_of_another_tool_is_like_its_target_while_the_copies_hold_what_is_tracked() {
        let target = workload();
        let mut object = deployment("app", "must-primary", "may", "key-primary");
        object["metadata"]["name"] = json!("app-primary");
        object["spec"]["template"]["metadata"]["labels"]["app"] = json!("app-primary");
        object["spec"]["template"]["metadata"]["annotations"] = json!({"flagger-id": "some-uuid"});
        let primary = WorkloadRecord::of(&object);
        let like = |maps: &[(&str, &str)], secrets: &[(&str, &str)]| {
            primary_like_target(&world(maps, secrets), &target, &primary)
        };
        let secrets = [("key", "3"), ("key-primary", "3")];
        assert_eq!(like(&[("must", "1"), ("must-primary", "1")], &secrets), Some(true));
        assert_eq!(like(&[("must", "2"), ("must-primary", "1")], &secrets), Some(false), "another content");
        let more = [("must", "1"), ("must-primary", "1"), ("may", "1")];
        assert_eq!(like(&more, &secrets), Some(false), "the primary does not mount what is tracked by now");
        let status = Status { last_promoted: Some("hash".into()), ..Default::default() };
        let world = world(&[("must", "2"), ("must-primary", "1")], &secrets);
        let promoted = promoted(&world, &status, Some(&primary)).unwrap();
        assert_eq!(promoted.configs, configs(&[("configmap/must", "1"), ("secret/key", "3")]));
        assert!(!strayed(&world, &primary), "of another tool's template nothing is recorded");
    }

    #[test]
    fn half_written_copies_are_not_what_the_primary_serves() {
        let mut object = deployment("app-primary", "must-primary", "may", "key-primary");
        let name = Revision { hash: "hash".into(), configs: configs(&[("configmap/must", "1")]) }.to_string();
        object["metadata"]["annotations"] =
            json!({"canary-tui/revision": name, "canary-tui/configs": r#"{"configmap/must":"1"}"#});
        object["spec"]["template"]["metadata"]["annotations"] = json!({"flagger-id": name});
        let primary = WorkloadRecord::of(&object);
        let world = |sum: &str| world(&[("must-primary", sum)], &[]);
        for sum in ["1", "2"] {
            let promoted = promoted(&world(sum), &Status::default(), Some(&primary)).unwrap();
            assert_eq!((promoted.hash.as_str(), promoted.to_string()), ("hash", name.clone()));
        }
        assert!(!strayed(&world("1"), &primary) && strayed(&world("2"), &primary));
    }
}
