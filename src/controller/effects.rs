//! Carries out one effect. Each write carries the version that was decided on, and its answer goes into the mirror, so
//! that the next decision sees it at once.

use super::facts::owner;
use crate::api::shapes::{self, Role};
use crate::api::{Spec, annotation};
use crate::cluster::events::{self, Draft};
use crate::cluster::records::{CanaryRecord, WorkloadRecord};
use crate::cluster::writes::{WriteError, Writer};
use crate::cluster::{Clock, Kinds, Mirror, Source};
use crate::rollout::{Effect, Facts, Note, Occasion};
use kube::core::ApiResource;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Longest template that is kept beside the present one, in bytes: an object's annotations may hold 256 KiB together.
const LONGEST_TEMPLATE: usize = 200 << 10;
/// Events that a worker remembers having written.
const REMEMBERED: usize = 64;

/// Why an effect was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// The object has changed since the decision: look again.
    #[error("{0} has changed meanwhile")]
    Conflict(String),
    #[error("{doing}: {source}")]
    Write { doing: String, source: WriteError },
    #[error("{0}")]
    Impossible(String),
}

/// Carries out effects for one Canary.
pub struct Hands {
    pub writer: Writer,
    pub kinds: Kinds,
    pub mirror: Mirror,
    pub clock: Clock,
    /// Names and occurrences of the Events written last: what a decision repeats costs no call.
    written: VecDeque<(String, String)>,
}

impl Hands {
    /// Hands that write through `writer`.
    pub fn new(writer: Writer, kinds: Kinds, mirror: Mirror, clock: Clock) -> Self {
        Self { writer, kinds, mirror, clock, written: VecDeque::new() }
    }

    /// Carries out one effect of a decision made on `facts`.
    pub async fn carry_out(
        &mut self,
        effect: &Effect,
        canary: &CanaryRecord,
        facts: &Facts,
    ) -> Result<(), EffectError> {
        let spec = &facts.spec;
        match effect {
            Effect::Event(note) => self.event(note, canary, revision_of(facts)).await,
            Effect::WriteService(role) => self.service(*role, canary, spec).await,
            Effect::WriteRule(role) => self.rule(*role, canary, spec).await,
            Effect::WriteRoutes { canary: weight, request } => {
                self.routes(*weight, request.as_deref(), canary, spec).await
            }
            Effect::CreatePrimary { replicas, revision } => {
                self.create_primary(*replicas, revision, canary, spec).await
            }
            Effect::PromotePrimary { revision, request } => {
                self.promote(revision, request.as_deref(), spec, facts).await
            }
            Effect::RestorePrimary { revision, request } => self.restore(revision, request.as_deref(), spec).await,
            Effect::ScaleTarget { replicas, request } => self.scale(*replicas, request.as_deref(), spec).await,
            Effect::SetImage { container, image, request } => self.set_image(container, image, request, spec).await,
            Effect::WriteStatus(status) => {
                let canary = self.present(canary)?;
                let status = status.patch(self.clock.now());
                let kind = self.kinds.canary.clone();
                let write = self.writer.merge_status(&kind, &canary.name, &canary.resource_version, status).await;
                self.done(Source::Canaries, write, || format!("writing the status of {}", canary.name))
            }
            Effect::ClearRequest { paused } => self.clear_request(paused.as_ref(), canary).await,
            Effect::ClearPaused => {
                let canary = self.present(canary)?;
                let patch = json!({ "metadata": { "annotations": { annotation::PAUSED: null } } });
                let kind = self.kinds.canary.clone();
                let write = self.writer.merge(&kind, &canary.name, &canary.resource_version, patch).await;
                self.done(Source::Canaries, write, || format!("ending the pause of {}", canary.name))
            }
        }
    }

    /// Writes an Event that belongs to no decision: about a Canary that is not driven.
    pub async fn event(&mut self, note: &Note, canary: &CanaryRecord, revision: &str) -> Result<(), EffectError> {
        let (name, occurrence) = match &note.occasion {
            Occasion::Request(id) => (events::outcome_name(&canary.name, &canary.uid, id), id.clone()),
            Occasion::Step(step) => {
                let parts = [revision, note.reason, note.message.as_str()];
                (events::name(&canary.name, &canary.uid, &parts), step.clone())
            }
        };
        let key = (name.clone(), occurrence.clone());
        if self.written.contains(&key) {
            return Ok(());
        }
        let draft = Draft {
            name,
            occurrence,
            warning: note.warning,
            reason: note.reason.to_string(),
            message: note.message.clone(),
        };
        tracing::info!(canary = %canary.name, namespace = %canary.namespace, reason = note.reason, "{}", note.message);
        let kind = self.kinds.event.clone();
        let write = events::write(&self.writer, &kind, canary, &draft, self.clock.now()).await;
        write.map_err(|source| EffectError::Write { doing: format!("writing an event on {}", canary.name), source })?;
        if self.written.len() >= REMEMBERED {
            self.written.pop_front();
        }
        self.written.push_back(key);
        Ok(())
    }

    /// The Canary as the mirror has it now: an effect before this one may have written to it. Another spec than the one
    /// decided on is a conflict.
    fn present(&self, decided: &CanaryRecord) -> Result<CanaryRecord, EffectError> {
        let present = self.mirror.read().canaries.get(&decided.name).cloned();
        present
            .filter(|p| p.uid == decided.uid && p.spec == decided.spec && p.status == decided.status)
            .ok_or_else(|| EffectError::Conflict(format!("canary {}", decided.name)))
    }

    fn workload(&self, name: &str) -> Result<WorkloadRecord, EffectError> {
        let record = self.mirror.read().workloads.get(name).cloned();
        record.ok_or_else(|| EffectError::Conflict(format!("deployment {name}")))
    }

    fn done(
        &self,
        source: Source,
        write: Result<Value, WriteError>,
        doing: impl FnOnce() -> String,
    ) -> Result<(), EffectError> {
        match write {
            Ok(object) => {
                self.mirror.note_written(source, &object);
                Ok(())
            }
            // 409: another version, or it exists by now. 404: it is gone. 422: a JSON patch whose test failed.
            Err(error) if matches!(error.code(), Some(404 | 409 | 422)) => {
                Err(EffectError::Conflict(format!("{} ({error})", doing())))
            }
            Err(source) => Err(EffectError::Write { doing: doing(), source }),
        }
    }

    async fn service(&self, role: Role, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let target = self.workload(&spec.target)?;
        let selector = target.selector.as_ref().map_err(|why| EffectError::Impossible(why.clone()))?;
        let desired = shapes::service(&owner(canary), &spec.service, selector, role);
        let name = role.name(&spec.service.apex);
        let present = self.mirror.read().services.get(&name).cloned();
        let write = match present {
            None => self.writer.create(&self.kinds.service, desired).await,
            Some(present) => {
                let patch = json!({
                    "metadata": {
                        "labels": desired["metadata"]["labels"],
                        "annotations": desired["metadata"]["annotations"],
                    },
                    "spec": { "ports": desired["spec"]["ports"], "selector": only(&desired, &present.spec, "selector") },
                });
                self.writer.merge(&self.kinds.service, &name, &present.resource_version, patch).await
            }
        };
        self.done(Source::Services, write, || format!("writing service {name}"))
    }

    async fn rule(&self, role: Role, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let kind = istio(self.kinds.destination_rule.as_ref())?;
        let desired = shapes::destination_rule(&owner(canary), &spec.service, role);
        let name = role.name(&spec.service.apex);
        let present = self.mirror.read().rules.get(&name).cloned();
        let write = match present {
            None => self.writer.create(&kind, versioned(desired, &kind)).await,
            Some(present) => {
                let patch = json!({ "spec": replacing(&present.spec, &desired["spec"]) });
                self.writer.merge(&kind, &name, &present.resource_version, patch).await
            }
        };
        self.done(Source::DestinationRules, write, || format!("writing destinationrule {name}"))
    }

    async fn routes(
        &self,
        weight: u8,
        request: Option<&str>,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let kind = istio(self.kinds.virtual_service.as_ref())?;
        let name = &spec.service.apex;
        let desired = shapes::virtual_service(&owner(canary), &spec.service, weight);
        let present = self.mirror.read().routes.get(name).cloned();
        let write = match present {
            None => self.writer.create(&kind, versioned(desired, &kind)).await,
            Some(present) => {
                let mut patch = json!({ "spec": replacing(&present.spec, &desired["spec"]) });
                mark(&mut patch, request);
                self.writer.merge(&kind, name, &present.resource_version, patch).await
            }
        };
        self.done(Source::VirtualServices, write, || format!("routing {weight} % of {name} to the canary"))
    }

    async fn create_primary(
        &self,
        replicas: u32,
        revision: &str,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let primary =
            shapes::primary(&owner(canary), spec, &target, replicas, revision).map_err(EffectError::Impossible)?;
        let write = self.writer.create(&self.kinds.deployment, primary).await;
        self.done(Source::Deployments, write, || format!("creating deployment {}", spec.primary()))
    }

    /// The whole target, if its template still is the one that was decided on.
    async fn fresh_target(&self, spec: &Spec) -> Result<Value, EffectError> {
        let record = self.workload(&spec.target)?;
        let target = self.fresh(&spec.target).await?;
        let same = |key: &str| target.pointer(&format!("/metadata/{key}"));
        if same("uid").and_then(Value::as_str) != Some(&record.uid)
            || same("generation").and_then(Value::as_i64) != Some(record.generation)
        {
            return Err(EffectError::Conflict(format!("deployment {}", spec.target)));
        }
        Ok(target)
    }

    async fn fresh(&self, name: &str) -> Result<Value, EffectError> {
        let doing = || format!("reading deployment {name}");
        match self.writer.get(&self.kinds.deployment, name).await {
            Ok(object) => Ok(object),
            Err(error) if error.code() == Some(404) => Err(EffectError::Conflict(doing())),
            Err(source) => Err(EffectError::Write { doing: doing(), source }),
        }
    }

    async fn promote(
        &self,
        revision: &str,
        request: Option<&str>,
        spec: &Spec,
        facts: &Facts,
    ) -> Result<(), EffectError> {
        let (target, primary) = (self.fresh_target(spec).await?, self.fresh(&spec.primary()).await?);
        let selector = shapes::Selector::of(&target).map_err(EffectError::Impossible)?;
        let template = shapes::primary_template(&target, &selector, &spec.target, revision);
        let present = primary.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
        let bears = present.get(annotation::REVISION).and_then(Value::as_str);
        let mut annotations = present.as_object().cloned().unwrap_or_default();
        if bears != Some(revision) {
            let before = bears.map(str::to_string).or_else(|| facts.status.last_promoted.clone());
            let kept = json!({ "revision": before, "template": primary.pointer("/spec/template") }).to_string();
            if kept.len() <= LONGEST_TEMPLATE {
                annotations.insert(annotation::LAST_PROMOTED.into(), json!(kept));
            } else {
                annotations.remove(annotation::LAST_PROMOTED);
            }
        }
        let replicas = target.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1).max(1);
        let mut changes = vec![("/spec/template", template), ("/spec/replicas", json!(replicas))];
        for (key, path) in [
            ("progressDeadlineSeconds", "/spec/progressDeadlineSeconds"),
            ("minReadySeconds", "/spec/minReadySeconds"),
            ("revisionHistoryLimit", "/spec/revisionHistoryLimit"),
            ("strategy", "/spec/strategy"),
        ] {
            debug_assert!(shapes::CARRIED.contains(&key), "promotion carries what creation carried");
            if let Some(value) = target.pointer(path) {
                changes.push((path, value.clone()));
            }
        }
        self.rewrite_primary(&primary, annotations, revision, request, changes, spec).await
    }

    async fn restore(&self, revision: &str, request: Option<&str>, spec: &Spec) -> Result<(), EffectError> {
        let primary = self.fresh(&spec.primary()).await?;
        let annotations = primary.pointer("/metadata/annotations").and_then(Value::as_object).cloned();
        let annotations = annotations.unwrap_or_default();
        let kept: Value = annotations
            .get(annotation::LAST_PROMOTED)
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null);
        if kept.get("revision").and_then(Value::as_str) != Some(revision) || !kept["template"].is_object() {
            return Err(EffectError::Impossible(format!(
                "deployment {} keeps no template of revision {revision}, so it cannot be put back",
                spec.primary()
            )));
        }
        let changes = vec![("/spec/template", kept["template"].clone())];
        self.rewrite_primary(&primary, annotations, revision, request, changes, spec).await
    }

    /// Replaces parts of the primary whole: a merge would leave what the new template has no more.
    async fn rewrite_primary(
        &self,
        primary: &Value,
        mut annotations: Map<String, Value>,
        revision: &str,
        request: Option<&str>,
        changes: Vec<(&str, Value)>,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        annotations.insert(annotation::REVISION.into(), json!(revision));
        if let Some(id) = request {
            annotations.insert(annotation::REQUEST_ID.into(), json!(id));
        }
        let mut patch = vec![
            json!({ "op": "test", "path": "/metadata/resourceVersion",
                "value": primary.pointer("/metadata/resourceVersion") }),
            json!({ "op": "add", "path": "/metadata/annotations", "value": annotations }),
        ];
        patch.extend(changes.into_iter().map(|(path, value)| json!({ "op": "add", "path": path, "value": value })));
        let write = self.writer.json_patch(&self.kinds.deployment, &spec.primary(), Value::Array(patch)).await;
        self.done(Source::Deployments, write, || format!("writing revision {revision} to {}", spec.primary()))
    }

    async fn scale(&self, replicas: u32, request: Option<&str>, spec: &Spec) -> Result<(), EffectError> {
        let target = self.workload(&spec.target)?;
        let mut patch = json!({ "spec": { "replicas": replicas } });
        mark(&mut patch, request);
        let write = self.writer.merge(&self.kinds.deployment, &target.name, &target.resource_version, patch).await;
        self.done(Source::Deployments, write, || format!("scaling {} to {replicas}", target.name))
    }

    async fn set_image(&self, container: &str, image: &str, request: &str, spec: &Spec) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let containers = target.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let index = containers
            .and_then(|list| list.iter().position(|c| c.get("name").and_then(Value::as_str) == Some(container)))
            .ok_or_else(|| EffectError::Conflict(format!("deployment {}", spec.target)))?;
        let mut annotations =
            target.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        annotations.insert(annotation::REQUEST_ID.into(), json!(request));
        let patch = json!([
            { "op": "test", "path": "/metadata/resourceVersion", "value": target["metadata"]["resourceVersion"] },
            { "op": "add", "path": "/metadata/annotations", "value": annotations },
            { "op": "add", "path": format!("/spec/template/spec/containers/{index}/image"), "value": image },
        ]);
        let write = self.writer.json_patch(&self.kinds.deployment, &spec.target, patch).await;
        self.done(Source::Deployments, write, || format!("setting {container} of {} to {image}", spec.target))
    }

    pub async fn clear_request(
        &self,
        paused: Option<&Option<crate::api::Paused>>,
        canary: &CanaryRecord,
    ) -> Result<(), EffectError> {
        // The test is on the whole text, so that a newer request is never lost.
        let Some(text) = &canary.request_text else { return Ok(()) };
        let path = |key: &str| format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
        let request = path(annotation::REQUEST);
        let mut patch =
            vec![json!({ "op": "test", "path": request, "value": text }), json!({ "op": "remove", "path": request })];
        match paused {
            Some(Some(paused)) => {
                let value = serde_json::to_string(paused).unwrap_or_default();
                patch.push(json!({ "op": "add", "path": path(annotation::PAUSED), "value": value }));
            }
            Some(None) if canary.paused.is_some() => {
                patch.push(json!({ "op": "remove", "path": path(annotation::PAUSED) }));
            }
            _ => {}
        }
        let write = self.writer.json_patch(&self.kinds.canary, &canary.name, Value::Array(patch)).await;
        self.done(Source::Canaries, write, || format!("taking the request off {}", canary.name))
    }
}

/// The revision that an Event is about.
fn revision_of(facts: &Facts) -> &str {
    facts.revision.as_deref().or(facts.status.last_applied.as_deref()).unwrap_or("")
}

fn istio(kind: Option<&ApiResource>) -> Result<ApiResource, EffectError> {
    kind.cloned().ok_or_else(|| EffectError::Impossible("the cluster serves no Istio routes".into()))
}

/// The shape in the version that the cluster serves.
fn versioned(mut shape: Value, kind: &ApiResource) -> Value {
    shape["apiVersion"] = json!(kind.api_version);
    shape
}

/// Leaves a request's id beside its effect.
fn mark(patch: &mut Value, request: Option<&str>) {
    if let Some(id) = request {
        patch["metadata"]["annotations"][annotation::REQUEST_ID] = json!(id);
    }
}

/// A merge patch that makes `present` into `desired`: what is desired no more is set to null.
fn replacing(present: &Value, desired: &Value) -> Value {
    let mut patch = desired.clone();
    if let (Some(patch), Some(present)) = (patch.as_object_mut(), present.as_object()) {
        for key in present.keys() {
            patch.entry(key.clone()).or_insert(Value::Null);
        }
    }
    patch
}

/// As [`replacing`], of one map inside two specs.
fn only(desired: &Value, present: &Value, key: &str) -> Value {
    replacing(present.get(key).unwrap_or(&Value::Null), &desired["spec"][key])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_takes_away_what_is_desired_no_more() {
        let (present, desired) = (json!({"http": [1], "tls": []}), json!({"http": [2]}));
        assert_eq!(replacing(&present, &desired), json!({"http": [2], "tls": null}));
    }
}
