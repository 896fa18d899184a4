//! Writes the two Deployments: the primary's template and what it mounts, the target's pods, image and template.

use super::configs;
use super::effects::{CLAIMS, EffectError, Hands, mark};
use super::facts::owner;
use crate::api::revision::Configs;
use crate::api::shapes::{self, Selector};
use crate::api::{Revision, Spec, annotation};
use crate::cluster::Source;
use crate::cluster::records::{CanaryRecord, WorkloadRecord};
use crate::rollout::Facts;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Longest template that is kept beside the present one, in bytes: an object's annotations may hold 256 KiB together.
const LONGEST_TEMPLATE: usize = 200 << 10;

/// Mark inside a template: Flagger's, and ours.
const MARK: &str = "/spec/template/metadata/annotations/flagger-id";

impl Hands {
    pub(super) async fn create_primary(
        &mut self,
        replicas: u32,
        revision: &Revision,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let primary = shapes::primary(&owner(canary), spec, &target, replicas, revision);
        let primary = primary.map_err(EffectError::Impossible)?;
        self.write_copies(revision, None, canary).await?;
        let write = self.writer.create(&self.kinds.deployment, primary).await;
        self.done(Source::Deployments, &spec.primary(), write, "creating deployment").await
    }

    /// The target as it is now, if its template still is the one that was decided on.
    async fn fresh_target(&self, spec: &Spec) -> Result<Value, EffectError> {
        let target = self.fresh(&spec.target).await?;
        let of = |key: &str| target.pointer(&format!("/metadata/{key}"));
        let uid = of("uid").and_then(Value::as_str).map(str::to_string);
        if uid.zip(of("generation").and_then(Value::as_i64)) != self.decided.target {
            return Err(EffectError::Conflict(format!("deployment {}", spec.target)));
        }
        Ok(target)
    }

    /// A Deployment as the watch has brought it, which saves reading it. It is for reading: what is written by it goes part
    /// by part, and is of its version or meets a conflict.
    async fn kept(&self, name: &str) -> Result<Value, EffectError> {
        let kept = self.mirror.read().workloads.get(name).and_then(|kept| kept.for_driver.whole.clone());
        match kept {
            Some(kept) => Ok(kept.value()),
            None => self.fresh(name).await,
        }
    }

    async fn fresh(&self, name: &str) -> Result<Value, EffectError> {
        let doing = || format!("reading deployment {name}");
        match self.writer.get(&self.kinds.deployment, name).await {
            Ok(object) => Ok(object),
            Err(error) if error.code() == Some(404) => {
                self.mirror.note_gone(Source::Deployments, name);
                Err(EffectError::Conflict(doing()))
            }
            Err(source) => Err(EffectError::Write { doing: doing(), source }),
        }
    }

    /// The copies first: no template mounts what is not there yet.
    pub(super) async fn promote(
        &mut self,
        revision: &Revision,
        request: Option<&str>,
        canary: &CanaryRecord,
        facts: &Facts,
    ) -> Result<(), EffectError> {
        let spec = &facts.spec;
        // A last look at the target: what was taken back while the watch was behind is not promoted.
        let target = self.fresh_target(spec).await?;
        // What stands on the primary is of the version that the watch has brought, or the write meets a conflict; copies are
        // written before that, so where there are any nothing older will do.
        let mut primary = match revision.configs.is_empty() {
            true => self.kept(&spec.primary()).await?,
            false => self.fresh(&spec.primary()).await?,
        };
        let selector = Selector::of(&target).map_err(EffectError::Impossible)?;
        let template = shapes::primary_template(&target, &selector, &spec.target, revision);
        let mark = text(&primary, MARK).to_string();
        let record = WorkloadRecord::of(&primary);
        let done_before = record.revision.as_ref() == Some(&revision.to_string());
        self.write_copies(revision, (!done_before).then_some(&*mark), canary).await?;
        let held = match record.promoted_configs {
            Some(held) => held,
            None => self.held_before(primary.pointer("/spec/template").unwrap_or(&Value::Null), &mark).await?,
        };
        let before = record.revision.or_else(|| {
            let hash = facts.status.last_promoted.clone()?;
            Some(Revision { hash, configs: held.clone() }.to_string())
        });
        for attempt in 1.. {
            let mut annotations = Marks::new();
            if !done_before {
                let template = primary.pointer("/spec/template");
                let kept = json!({ "revision": before, "configs": held, "template": template }).to_string();
                annotations.insert(annotation::LAST_PROMOTED, (kept.len() <= LONGEST_TEMPLATE).then_some(kept));
            }
            let mut changes = vec![("template", template.clone())];
            if spec.autoscaler.is_none() {
                // As many as were analysed, and no fewer than serve now: they are to take all of the traffic.
                let count = |object: &Value| object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
                changes.push(("replicas", json!(count(&target).max(count(&primary)).max(1))));
            }
            for key in shapes::CARRIED {
                if let Some(value) = target.pointer(&format!("/spec/{key}")) {
                    changes.push((key, value.clone()));
                }
            }
            let name = revision.to_string();
            let answer =
                self.rewrite_primary(&primary, annotations, (&name, &revision.configs), request, changes, spec).await;
            match answer {
                // An autoscaler writes to it too, and the copies are the new ones already.
                Err(conflict @ EffectError::Conflict(_)) if attempt < CLAIMS => {
                    primary = self.fresh(&spec.primary()).await?;
                    if text(&primary, MARK) != mark {
                        return Err(conflict);
                    }
                }
                answer => return answer,
            }
        }
        Ok(())
    }

    /// Puts back what was promoted before. Where the primary bears that already, only its copies are put right.
    pub(super) async fn restore(
        &mut self,
        revision: &str,
        request: Option<&str>,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let primary = self.fresh(&spec.primary()).await?;
        let record = WorkloadRecord::of(&primary);
        if record.revision.as_deref() == Some(revision) {
            let held = record.promoted_configs.unwrap_or_default();
            // A copy may be another Canary's too, and that one's promotion is none of ours.
            return match self.restore_copies(&held, Some(text(&primary, MARK)), canary).await {
                // Nothing can be done about it, and the rollout must end all the same.
                Err(EffectError::Impossible(why)) => {
                    tracing::warn!(canary = %canary.name, "{why}");
                    Ok(())
                }
                answer => answer,
            };
        }
        let annotations = primary.pointer("/metadata/annotations");
        let kept = annotations.and_then(|all| all.get(annotation::LAST_PROMOTED)).and_then(Value::as_str);
        let kept: Value = kept.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        if kept.get("revision").and_then(Value::as_str) != Some(revision) || !kept["template"].is_object() {
            return Err(EffectError::Impossible(format!(
                "deployment {} keeps no template of revision {revision}, so it cannot be put back",
                spec.primary()
            )));
        }
        let held: Configs = serde_json::from_value(kept["configs"].clone()).unwrap_or_default();
        self.restore_copies(&held, None, canary).await?;
        let mut template = kept["template"].clone();
        if !template["metadata"]["annotations"].is_object() {
            template["metadata"]["annotations"] = json!({});
        }
        // A template of another tool's bears that tool's mark, by which nobody would know it again.
        template["metadata"]["annotations"]["flagger-id"] = json!(revision);
        let changes = vec![("template", template)];
        self.rewrite_primary(&primary, Marks::new(), (revision, &held), request, changes, spec).await
    }

    /// Replaces parts of the primary's spec whole: a merge would leave what the new template has no more.
    async fn rewrite_primary(
        &mut self,
        primary: &Value,
        mut annotations: Marks,
        (revision, configs): (&str, &Configs),
        request: Option<&str>,
        changes: Vec<(&str, Value)>,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        annotations.insert(annotation::REVISION, Some(revision.to_string()));
        annotations.insert(annotation::CONFIGS, Some(json!(configs).to_string()));
        annotations.insert(annotation::TERM, Some(self.term()?));
        if let Some(id) = request {
            annotations.insert(annotation::REQUEST_ID, Some(id.to_string()));
        }
        let patch = rewriting(primary, annotations, changes);
        let write = self.writer.json_patch(&self.kinds.deployment, &spec.primary(), patch).await;
        self.done(Source::Deployments, &spec.primary(), write, &format!("writing revision {revision} to")).await
    }

    pub(super) async fn scale(&mut self, replicas: u32, request: Option<&str>, spec: &Spec) -> Result<(), EffectError> {
        let version = self.version(Source::Deployments, &spec.target)?;
        let mut patch = json!({ "spec": { "replicas": replicas } });
        let serving = self.mirror.read().workloads.get(&spec.primary()).map(|primary| primary.desired);
        if let Some(serving) = serving.filter(|serving| replicas == 0 && *serving > 0) {
            patch["metadata"]["annotations"][annotation::REPLICAS] = json!(serving.to_string());
        }
        mark(&mut patch, request);
        let write = self.writer.merge(&self.kinds.deployment, &spec.target, &version, patch).await;
        self.done(Source::Deployments, &spec.target, write, &format!("scaling to {replicas} pods")).await
    }

    pub(super) async fn set_image(
        &mut self,
        container: &str,
        image: &str,
        request: &str,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let containers = target.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let index = containers
            .and_then(|list| list.iter().position(|c| c.get("name").and_then(Value::as_str) == Some(container)))
            .ok_or_else(|| EffectError::Conflict(format!("deployment {}", spec.target)))?;
        let (request, term) = (request.to_string(), self.term()?);
        let annotations = Marks::from([(annotation::REQUEST_ID, Some(request)), (annotation::TERM, Some(term))]);
        let path = format!("template/spec/containers/{index}/image");
        let patch = rewriting(&target, annotations, vec![(path.as_str(), json!(image))]);
        let write = self.writer.json_patch(&self.kinds.deployment, &spec.target, patch).await;
        self.done(Source::Deployments, &spec.target, write, &format!("setting {container} to {image} in")).await
    }

    /// Gives the target the template of its own ReplicaSet with this hash, or, where that is gone, the primary's.
    pub(super) async fn return_target(&mut self, hash: &str, replicas: u32, spec: &Spec) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let uid = text(&target, "/metadata/uid");
        let set = {
            let world = self.mirror.read();
            let mut sets = world.replica_sets.of(uid);
            sets.find(|set| set.hash() == hash && !hash.is_empty()).map(|set| set.name.to_string())
        };
        let set = match set {
            None => None,
            Some(name) => match self.writer.get(&self.kinds.replica_set, &name).await {
                Ok(set) => Some(set),
                Err(error) if error.code() == Some(404) => None,
                Err(source) => {
                    return Err(EffectError::Write { doing: format!("reading replicaset {name}"), source });
                }
            },
        };
        let template = match set {
            Some(set) => of_replica_set(&set),
            None => self.template_of_primary(&target, spec).await?,
        };
        let annotations = Marks::from([(annotation::TERM, Some(self.term()?))]);
        let patch = rewriting(&target, annotations, vec![("template", template), ("replicas", json!(replicas))]);
        let write = self.writer.json_patch(&self.kinds.deployment, &spec.target, patch).await;
        self.done(Source::Deployments, &spec.target, write, "giving the promoted template back to").await
    }

    async fn template_of_primary(&mut self, target: &Value, spec: &Spec) -> Result<Value, EffectError> {
        let primary = self.fresh(&spec.primary()).await?;
        let selector = Selector::of(target).map_err(EffectError::Impossible)?;
        let record = WorkloadRecord::of(&primary);
        let known = configs::copies(&self.mirror.read(), &record).unwrap_or_default();
        let recorded = record.promoted_configs.unwrap_or_default();
        let copies: BTreeSet<String> = known.into_keys().chain(recorded.into_keys()).collect();
        Ok(shapes::returned_template(&primary, &selector, &spec.target, &copies))
    }
}

/// The template of a ReplicaSet as its Deployment had it.
fn of_replica_set(set: &Value) -> Value {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or(Value::Null);
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

/// Annotations that are written, and those that are taken away.
type Marks = BTreeMap<&'static str, Option<String>>;

/// A JSON patch on exactly this version of an object: some of its annotations, and parts of its spec by their paths.
fn rewriting(object: &Value, annotations: Marks, changes: Vec<(&str, Value)>) -> Value {
    let version = object.pointer("/metadata/resourceVersion");
    let mut patch = vec![json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version })];
    let present = object.pointer("/metadata/annotations").filter(|present| present.is_object());
    if present.is_none() {
        patch.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
    }
    patch.extend(annotations.into_iter().filter_map(|(name, value)| {
        let path = format!("/metadata/annotations/{}", name.replace('~', "~0").replace('/', "~1"));
        match value {
            Some(value) => Some(json!({ "op": "add", "path": path, "value": value })),
            None => present?.get(name).map(|_| json!({ "op": "remove", "path": path })),
        }
    }));
    patch.extend(
        changes
            .into_iter()
            .map(|(path, value)| json!({ "op": "add", "path": format!("/spec/{path}"), "value": value })),
    );
    Value::Array(patch)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_written_one_by_one_and_those_of_others_left_alone() {
        let object =
            json!({"metadata": {"resourceVersion": "7", "annotations": {"team/of": "payments", "old/er": "x"}}});
        let marks = Marks::from([("canary-tui/a~b", Some("1".into())), ("old/er", None), ("not/there", None)]);
        let patch = rewriting(&object, marks.clone(), vec![("replicas", json!(2))]);
        let operations: Vec<String> =
            patch.as_array().unwrap().iter().map(|one| format!("{} {}", one["op"], one["path"])).collect();
        assert_eq!(
            operations,
            [
                r#""test" "/metadata/resourceVersion""#,
                r#""add" "/metadata/annotations/canary-tui~1a~0b""#,
                r#""remove" "/metadata/annotations/old~1er""#,
                r#""add" "/spec/replicas""#
            ]
        );
        let bare = rewriting(&json!({"metadata": {"resourceVersion": "7"}}), marks, Vec::new());
        assert_eq!(bare[1], json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
    }

    #[test]
    fn a_template_comes_back_from_its_replica_set_as_the_deployment_had_it() {
        let set = json!({"spec": {"template": {
            "metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}}, "spec": {"containers": []}}}});
        let expected = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}});
        assert_eq!(of_replica_set(&set), expected);
    }
}
