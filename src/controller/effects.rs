//! Carries out one effect. Each write carries the version that was decided on, and its answer goes into the mirror, so
//! that the next decision sees it at once.

use super::facts::{Decided, owner};
use super::outbox::Outbox;
use crate::api::shapes::{self, Role};
use crate::api::{FINALIZER, Revision, Spec, annotation};
use crate::cluster::events::{self, Draft};
use crate::cluster::records::{CanaryRecord, WorkloadRecord};
use crate::cluster::writes::{WriteError, Writer};
use crate::cluster::{Clock, Kinds, Mirror, Source};
use crate::rollout::{Effect, Facts, Mark, Note, Occasion, Part, Traffic};
use kube::core::ApiResource;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::time::Duration;

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
    /// A request is not taken off before its outcome is written, or a crash in between would leave its operator without.
    #[error("the outcome of request {0} is not written yet")]
    Unsaid(String),
}

impl EffectError {
    /// What the API server answered where it will not have this write, now or later: not permitted, or not valid.
    pub fn refusal(&self) -> Option<String> {
        match self {
            EffectError::Write { source, .. } if matches!(source.code(), Some(400 | 403 | 422)) => {
                Some(self.to_string())
            }
            EffectError::Impossible(why) => Some(why.clone()),
            _ => None,
        }
    }
}

/// How long a request waits for its outcome to be written; then the rollout goes on without.
const OUTCOME_HOLDS: Duration = Duration::from_secs(10);
/// How often an object is claimed before the rest waits.
const CLAIMS: u32 = 5;

/// Carries out effects for one Canary.
pub struct Hands {
    pub writer: Writer,
    pub kinds: Kinds,
    pub mirror: Mirror,
    pub clock: Clock,
    /// The versions that the present decision was made on.
    decided: Decided,
    /// Names and occurrences of the Events written last: what a decision repeats costs no call.
    written: VecDeque<(String, String)>,
    /// Events that could not be written yet. Nothing else waits for them: users come first.
    unsent: Outbox,
    /// An Event was not taken in this turn: the others of it are not even tried.
    events_fail: bool,
    /// The request whose outcome could not be written, and since when by the clock since boot.
    unsaid: Option<(String, Duration)>,
    /// Objects whose last write had no answer: it may have been carried out.
    unanswered: Vec<(Source, String)>,
    /// Which of the objects that the Canary's rollout is made of bear this driver's term; None: all that must.
    claimed: Option<Vec<(Source, String)>>,
}

impl Hands {
    /// Hands that write through `writer`.
    pub fn new(writer: Writer, kinds: Kinds, mirror: Mirror, clock: Clock, unsent: Outbox) -> Self {
        Self {
            writer,
            kinds,
            mirror,
            clock,
            decided: Decided::default(),
            written: VecDeque::new(),
            unsent,
            events_fail: false,
            unsaid: None,
            unanswered: Vec::new(),
            claimed: Some(Vec::new()),
        }
    }

    /// Reads what was written without an answer: a watch may be behind, and the next decision must not be made on what
    /// was there before. A revision could be promoted of which the check that failed it is already counted.
    ///
    /// # Errors
    /// An object cannot be read now; nothing may be decided.
    pub async fn read_back(&mut self) -> Result<(), EffectError> {
        while let Some((source, name)) = self.unanswered.last().cloned() {
            if let Some(kind) = self.kinds.of(source).cloned() {
                match self.writer.get(&kind, &name).await {
                    Ok(object) => self.mirror.note_written(source, &object),
                    Err(error) if error.code() == Some(404) => self.mirror.note_gone(source, &name),
                    Err(error) => {
                        return Err(EffectError::Write { doing: format!("reading back {name}"), source: error });
                    }
                }
            }
            self.unanswered.pop();
        }
        Ok(())
    }

    /// Leaves this driver's term on everything that a rollout under way is made of, once, before anything is decided
    /// about it: a write that the driver before sent in its last moment then meets a conflict, wherever it arrives.
    /// Answers whether anything was written: then look again.
    ///
    /// # Errors
    /// An object has changed meanwhile, or cannot be written now.
    pub async fn claim(&mut self, canary: &CanaryRecord, facts: &Facts) -> Result<bool, EffectError> {
        let Some(claimed) = self.claimed.clone().filter(|_| facts.status.phase.under_way()) else { return Ok(false) };
        let primary_is_ours = facts.primary.as_ref().is_some_and(|p| !p.foreign);
        let routes_are_ours = !matches!(facts.routes.part, Part::Missing | Part::Foreign);
        for (source, name, ours) in [
            (Source::Canaries, canary.name.clone(), true),
            (Source::Deployments, facts.spec.target.clone(), true),
            (Source::Deployments, facts.spec.primary(), primary_is_ours),
            (Source::VirtualServices, facts.spec.service.apex.clone(), routes_are_ours),
        ] {
            let object = (source, name);
            if ours && !claimed.contains(&object) {
                self.claim_one(object.0, &object.1).await?;
                self.claimed.get_or_insert_default().push(object);
            }
        }
        self.claimed = None;
        Ok(true)
    }

    /// Leaves the term on one object, whatever has become of it: where others write to it all the time, on what it is
    /// by then.
    async fn claim_one(&mut self, source: Source, name: &str) -> Result<(), EffectError> {
        let version = self.decided.version(source, name).map(str::to_string);
        let Some((mut version, kind)) = version.zip(self.kinds.of(source).cloned()) else { return Ok(()) };
        for attempt in 1.. {
            // The writer adds the term.
            let write = self.writer.merge(&kind, name, &version, json!({})).await;
            match self.done(source, name, write, "taking over").await {
                Err(conflict @ EffectError::Conflict(_)) if attempt < CLAIMS => {
                    let Some(present) = self.refresh(source, name).await else { return Err(conflict) };
                    version = present;
                }
                // Where nothing of this driver's is taken, it waits for nothing of the other's either.
                Err(error) if error.refusal().is_some() => {
                    tracing::warn!("{error}");
                    break;
                }
                answer => return answer,
            }
        }
        Ok(())
    }

    /// What the next effects were decided on.
    pub fn decided_on(&mut self, decided: Decided) {
        self.decided = decided;
    }

    /// Writes the Events that are left from before. Answers whether any still are.
    pub async fn catch_up(&mut self, canary: &CanaryRecord) -> bool {
        self.events_fail = false;
        while let Some(draft) = self.unsent.first() {
            if !self.write_event(canary, draft).await {
                break;
            }
        }
        !self.unsent.is_empty()
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
            Effect::Event(note) => {
                self.event(note, canary, &revision_of(facts)).await;
                Ok(())
            }
            Effect::WriteService(role) => self.service(*role, canary, spec).await,
            Effect::WriteRule(role) => self.rule(*role, canary, spec).await,
            Effect::WriteRoutes { traffic, request } => self.routes(traffic, request.as_deref(), canary, spec).await,
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
                let version = self.version(Source::Canaries, &canary.name)?;
                let status = status.patch(self.clock.now(), &facts.status);
                let write = self.writer.merge_status(&self.kinds.canary, &canary.name, &version, status).await;
                self.done(Source::Canaries, &canary.name, write, "writing the status of").await
            }
            Effect::ClearRequest { marks } => self.clear_request(marks, canary).await,
            Effect::Marks(marks) => {
                let version = self.version(Source::Canaries, &canary.name)?;
                let annotations: Map<String, Value> = marks
                    .iter()
                    .map(written)
                    .map(|(key, value)| (key.to_string(), value.map_or(Value::Null, Value::String)))
                    .collect();
                let patch = json!({ "metadata": { "annotations": annotations } });
                let write = self.writer.merge(&self.kinds.canary, &canary.name, &version, patch).await;
                self.done(Source::Canaries, &canary.name, write, "marking").await
            }
            Effect::SetFinalizer(wanted) => self.set_finalizer(*wanted, canary).await,
            Effect::WriteScaler
            | Effect::DeleteCanary { .. }
            | Effect::ReturnTarget { .. }
            | Effect::HandBack
            | Effect::Tell(_)
            | Effect::CallPostRollout(_) => Err(EffectError::Impossible(format!("{effect:?} is not carried out"))),
        }
    }

    /// Writes an Event, or keeps it to be written later.
    pub async fn event(&mut self, note: &Note, canary: &CanaryRecord, revision: &str) {
        let (name, occurrence) = match &note.occasion {
            Occasion::Request(id) => (events::outcome_name(&canary.name, &canary.uid, id), id.clone()),
            Occasion::Step(step) => {
                let parts = [revision, note.reason, note.message.as_str()];
                (events::name(&canary.name, &canary.uid, &parts), step.clone())
            }
        };
        if self.written.iter().any(|(n, o)| *n == name && *o == occurrence) || self.unsent.holds(&name, &occurrence) {
            return;
        }
        tracing::info!(canary = %canary.name, namespace = %canary.namespace, reason = note.reason, "{}", note.message);
        let draft = Draft {
            name,
            occurrence,
            warning: note.warning,
            reason: note.reason.to_string(),
            message: note.message.clone(),
        };
        self.write_event(canary, draft).await;
    }

    async fn write_event(&mut self, canary: &CanaryRecord, draft: Draft) -> bool {
        // Before the write: this worker may be dropped in the middle of it.
        self.unsent.put(&draft);
        if !self.events_fail {
            match events::write(&self.writer, &self.kinds.event, canary, &draft, self.clock.now()).await {
                Ok(()) => {
                    self.unsent.remove(&draft);
                    if self.written.len() >= REMEMBERED {
                        self.written.pop_front();
                    }
                    self.written.push_back((draft.name, draft.occurrence));
                    return true;
                }
                Err(error) => tracing::warn!(canary = %canary.name, "an event waits to be written: {error}"),
            }
        }
        self.events_fail = true;
        false
    }

    /// The version of an object that was decided on.
    fn version(&self, source: Source, name: &str) -> Result<String, EffectError> {
        let version = self.decided.version(source, name).map(str::to_string);
        version.ok_or_else(|| EffectError::Conflict(format!("{source} {name}")))
    }

    /// Takes in the answer to a write. On a conflict the object is read afresh: the watch may be behind.
    async fn done(
        &mut self,
        source: Source,
        name: &str,
        write: Result<Value, WriteError>,
        doing: &str,
    ) -> Result<(), EffectError> {
        let error = match write {
            Ok(object) => {
                self.mirror.note_written(source, &object);
                if let Some(version) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
                    self.decided.moved(source, name, version);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if error.may_be_written() && !self.unanswered.iter().any(|(s, n)| *s == source && n == name) {
            self.unanswered.push((source, name.to_string()));
        }
        if matches!(error.code(), Some(404 | 409 | 422)) {
            let decided = self.decided.version(source, name).map(str::to_string);
            let present = self.refresh(source, name).await;
            // 422 is a JSON patch whose test failed, or an object that is not valid: that is no conflict.
            let unchanged = error.code() == Some(422) && present.is_none_or(|p| Some(&p) == decided.as_ref());
            if !unchanged {
                return Err(EffectError::Conflict(format!("{doing} {name} ({error})")));
            }
        }
        Err(EffectError::Write { doing: format!("{doing} {name}"), source: error })
    }

    /// Reads an object afresh into the mirror; answers its version, None where it is gone or cannot be read.
    async fn refresh(&self, source: Source, name: &str) -> Option<String> {
        let kind = self.kinds.of(source)?;
        match self.writer.get(kind, name).await {
            Ok(object) => {
                self.mirror.note_written(source, &object);
                object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_string)
            }
            Err(error) => {
                if error.code() == Some(404) {
                    self.mirror.note_gone(source, name);
                }
                None
            }
        }
    }

    fn workload(&self, name: &str) -> Result<WorkloadRecord, EffectError> {
        let record = self.mirror.read().workloads.get(name).cloned();
        record.ok_or_else(|| EffectError::Conflict(format!("deployment {name}")))
    }

    async fn service(&mut self, role: Role, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let target = self.workload(&spec.target)?;
        let selector = target.selector.as_ref().map_err(|why| EffectError::Impossible(why.clone()))?;
        let desired = shapes::service(&owner(canary), &spec.service, selector, role);
        let name = role.name(&spec.service.apex);
        let version = self.decided.version(Source::Services, &name).map(str::to_string);
        let present = self.mirror.read().services.get(&name).cloned();
        let write = match version.zip(present) {
            None => self.writer.create(&self.kinds.service, desired).await,
            Some((version, present)) => {
                let patch = json!({
                    "metadata": {
                        "labels": desired["metadata"]["labels"],
                        "annotations": desired["metadata"]["annotations"],
                    },
                    "spec": { "ports": desired["spec"]["ports"], "selector": only(&desired, &present.spec, "selector") },
                });
                self.writer.merge(&self.kinds.service, &name, &version, patch).await
            }
        };
        self.done(Source::Services, &name, write, "writing service").await
    }

    async fn rule(&mut self, role: Role, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let kind = istio(self.kinds.destination_rule.as_ref())?;
        let desired = shapes::destination_rule(&owner(canary), &spec.service, role);
        let name = role.name(&spec.service.apex);
        let version = self.decided.version(Source::DestinationRules, &name).map(str::to_string);
        let present = self.mirror.read().rules.get(&name).cloned();
        let write = match version.zip(present) {
            None => self.writer.create(&kind, versioned(desired, &kind)).await,
            Some((version, present)) => {
                let patch = json!({ "spec": replacing(&present.spec, &desired["spec"]) });
                self.writer.merge(&kind, &name, &version, patch).await
            }
        };
        self.done(Source::DestinationRules, &name, write, "writing destinationrule").await
    }

    async fn routes(
        &mut self,
        traffic: &Traffic,
        request: Option<&str>,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let weight = traffic.canary;
        let kind = istio(self.kinds.virtual_service.as_ref())?;
        let name = &spec.service.apex;
        let desired = shapes::virtual_service(&owner(canary), &spec.service, weight);
        let version = self.decided.version(Source::VirtualServices, name).map(str::to_string);
        let present = self.mirror.read().routes.get(name).cloned();
        let write = match version.zip(present) {
            None => self.writer.create(&kind, versioned(desired, &kind)).await,
            Some((version, present)) => {
                let mut patch = json!({ "spec": replacing(&present.spec, &desired["spec"]) });
                mark(&mut patch, request);
                self.writer.merge(&kind, name, &version, patch).await
            }
        };
        self.done(Source::VirtualServices, name, write, &format!("routing {weight} % to the canary of")).await
    }

    async fn create_primary(
        &mut self,
        replicas: u32,
        revision: &Revision,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let primary = shapes::primary(&owner(canary), spec, &target, replicas, &revision.to_string())
            .map_err(EffectError::Impossible)?;
        let write = self.writer.create(&self.kinds.deployment, primary).await;
        self.done(Source::Deployments, &spec.primary(), write, "creating deployment").await
    }

    /// The whole target, if its template still is the one that was decided on.
    async fn fresh_target(&self, spec: &Spec) -> Result<Value, EffectError> {
        let target = self.fresh(&spec.target).await?;
        let of = |key: &str| target.pointer(&format!("/metadata/{key}"));
        let uid = of("uid").and_then(Value::as_str).map(str::to_string);
        if uid.zip(of("generation").and_then(Value::as_i64)) != self.decided.target {
            return Err(EffectError::Conflict(format!("deployment {}", spec.target)));
        }
        Ok(target)
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

    async fn promote(
        &mut self,
        revision: &Revision,
        request: Option<&str>,
        spec: &Spec,
        facts: &Facts,
    ) -> Result<(), EffectError> {
        let revision = revision.to_string();
        let revision = revision.as_str();
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
        // As many as were analysed, and no fewer than serve now: they are to take all of the traffic.
        let count = |object: &Value| object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let replicas = count(&target).max(count(&primary)).max(1);
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

    async fn restore(&mut self, revision: &str, request: Option<&str>, spec: &Spec) -> Result<(), EffectError> {
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
        &mut self,
        primary: &Value,
        mut annotations: Map<String, Value>,
        revision: &str,
        request: Option<&str>,
        changes: Vec<(&str, Value)>,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        annotations.insert(annotation::REVISION.into(), json!(revision));
        annotations.insert(annotation::TERM.into(), json!(self.term()?));
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
        self.done(Source::Deployments, &spec.primary(), write, &format!("writing revision {revision} to")).await
    }

    async fn scale(&mut self, replicas: u32, request: Option<&str>, spec: &Spec) -> Result<(), EffectError> {
        let version = self.version(Source::Deployments, &spec.target)?;
        let mut patch = json!({ "spec": { "replicas": replicas } });
        mark(&mut patch, request);
        let write = self.writer.merge(&self.kinds.deployment, &spec.target, &version, patch).await;
        self.done(Source::Deployments, &spec.target, write, &format!("scaling to {replicas} pods")).await
    }

    async fn set_image(&mut self, container: &str, image: &str, request: &str, spec: &Spec) -> Result<(), EffectError> {
        let target = self.fresh_target(spec).await?;
        let containers = target.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let index = containers
            .and_then(|list| list.iter().position(|c| c.get("name").and_then(Value::as_str) == Some(container)))
            .ok_or_else(|| EffectError::Conflict(format!("deployment {}", spec.target)))?;
        let mut annotations =
            target.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        annotations.insert(annotation::REQUEST_ID.into(), json!(request));
        annotations.insert(annotation::TERM.into(), json!(self.term()?));
        let patch = json!([
            { "op": "test", "path": "/metadata/resourceVersion", "value": target["metadata"]["resourceVersion"] },
            { "op": "add", "path": "/metadata/annotations", "value": annotations },
            { "op": "add", "path": format!("/spec/template/spec/containers/{index}/image"), "value": image },
        ]);
        let write = self.writer.json_patch(&self.kinds.deployment, &spec.target, patch).await;
        self.done(Source::Deployments, &spec.target, write, &format!("setting {container} to {image} in")).await
    }

    /// The driver's term, as it is written.
    fn term(&self) -> Result<String, EffectError> {
        let term = self.writer.term();
        term.map(|t| t.to_string()).map_err(|source| EffectError::Write { doing: "writing".into(), source })
    }

    /// Takes the pending request off, and writes marks with the same write.
    pub async fn clear_request(&mut self, marks: &[Mark], canary: &CanaryRecord) -> Result<(), EffectError> {
        // The test is on the whole text, so that a newer request is never lost.
        let Some(text) = &canary.request_text else { return Ok(()) };
        self.hold_unsaid(canary)?;
        let path = |key: &str| format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
        let request = path(annotation::REQUEST);
        let mut patch =
            vec![json!({ "op": "test", "path": request, "value": text }), json!({ "op": "remove", "path": request })];
        for mark in marks {
            let there = match mark {
                Mark::Paused(_) => canary.paused.is_some(),
                Mark::Gate(_) => canary.gate.is_some(),
                Mark::Opened(_) => canary.opened.is_some(),
            };
            match written(mark) {
                (key, Some(value)) => patch.push(json!({ "op": "add", "path": path(key), "value": value })),
                (key, None) if there => patch.push(json!({ "op": "remove", "path": path(key) })),
                _ => {}
            }
        }
        let write = self.writer.json_patch(&self.kinds.canary, &canary.name, Value::Array(patch)).await;
        self.done(Source::Canaries, &canary.name, write, "taking the request off").await
    }

    /// Holds a request whose outcome is still to be written, for a while: nothing of a rollout depends on Events.
    fn hold_unsaid(&mut self, canary: &CanaryRecord) -> Result<(), EffectError> {
        let Some(Ok(request)) = &canary.request else { return Ok(()) };
        let outcome = events::outcome_name(&canary.name, &canary.uid, &request.id);
        if !self.unsent.holds(&outcome, &request.id) {
            return Ok(());
        }
        let now = self.clock.since_boot();
        match &self.unsaid {
            Some((id, since)) if *id == request.id && now.saturating_sub(*since) > OUTCOME_HOLDS => return Ok(()),
            Some((id, _)) if *id == request.id => {}
            _ => self.unsaid = Some((request.id.clone(), now)),
        }
        Err(EffectError::Unsaid(request.id.clone()))
    }

    async fn set_finalizer(&mut self, wanted: bool, canary: &CanaryRecord) -> Result<(), EffectError> {
        let version = self.version(Source::Canaries, &canary.name)?;
        let mut finalizers = canary.finalizers.clone();
        finalizers.retain(|name| name != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_string());
        }
        let patch = json!({ "metadata": { "finalizers": finalizers } });
        let write = self.writer.merge(&self.kinds.canary, &canary.name, &version, patch).await;
        self.done(Source::Canaries, &canary.name, write, "writing the finalizer of").await
    }
}

/// A mark's annotation, and its text where it is not taken away.
fn written(mark: &Mark) -> (&'static str, Option<String>) {
    // Data of our own making has neither maps with other keys nor anything else that is no JSON.
    fn text<T: serde::Serialize>(value: &Option<T>) -> Option<String> {
        value.as_ref().map(|value| serde_json::to_string(value).unwrap_or_default())
    }
    match mark {
        Mark::Paused(paused) => (annotation::PAUSED, text(paused)),
        Mark::Gate(gate) => (annotation::GATE, text(gate)),
        Mark::Opened(opened) => (annotation::OPENED, text(opened)),
    }
}

/// The revision that an Event is about.
fn revision_of(facts: &Facts) -> String {
    facts.revision.clone().or_else(|| facts.applied()).map_or_else(String::new, |revision| revision.to_string())
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
