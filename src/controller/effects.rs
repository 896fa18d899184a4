//! Carries out one effect. Each write carries the version that was decided on, and its answer goes into the mirror, so
//! that the next decision sees it at once.

use super::configs;
use super::diary::Diary;
use super::errands::Errands;
use super::facts::Decided;
use super::outbox::Outbox;
use crate::api::{FINALIZER, Phase, annotation};
use crate::cluster::events::{self, Draft};
use crate::cluster::records::{CanaryRecord, WorkloadRecord};
use crate::cluster::writes::{WriteError, Writer};
use crate::cluster::{Clock, Kinds, Mirror, Source};
use crate::rollout::{Decision, Effect, Facts, Mark, Note, Occasion, Part};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::time::Duration;

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
pub(super) const CLAIMS: u32 = 5;

/// Carries out effects for one Canary.
pub struct Hands {
    pub writer: Writer,
    pub kinds: Kinds,
    pub mirror: Mirror,
    pub clock: Clock,
    /// What is said and asked beside the rollout.
    pub errands: Errands,
    /// The versions that the present decision was made on.
    pub(super) decided: Decided,
    /// Names and occurrences of the Events written last: what a decision repeats costs no call.
    written: VecDeque<(String, String)>,
    /// Events that could not be written yet. Nothing else waits for them: users come first.
    unsent: Outbox,
    /// An Event was not taken in this turn: the others of it are not even tried.
    events_fail: bool,
    /// The request whose outcome could not be written, and since when by the clock since boot.
    unsaid: Option<(String, Duration)>,
    /// What is kept of the rollout beyond its Events.
    pub(super) diary: Diary,
    /// Objects whose last write had no answer: it may have been carried out.
    unanswered: Vec<(Source, String)>,
    /// The phase that the present decision leads to.
    leads_to: Option<Phase>,
    /// Which of the objects that the Canary's rollout is made of bear this driver's term; None: all that must.
    claimed: Option<Vec<(Source, String)>>,
}

impl Hands {
    /// Hands that write through `writer`.
    pub fn new(writer: Writer, kinds: Kinds, mirror: Mirror, clock: Clock, errands: Errands, unsent: Outbox) -> Self {
        Self {
            writer,
            kinds,
            mirror,
            clock,
            errands,
            decided: Decided::default(),
            written: VecDeque::new(),
            unsent,
            events_fail: false,
            unsaid: None,
            diary: Diary::default(),
            unanswered: Vec::new(),
            leads_to: None,
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
        let copies = {
            let world = self.mirror.read();
            world.workloads.get(&facts.spec.primary()).map(|p| configs::copies_of(&world, p)).unwrap_or_default()
        };
        let parts = [
            (Source::Canaries, canary.name.clone(), true),
            (Source::Deployments, facts.spec.target.clone(), true),
            (Source::Deployments, facts.spec.primary(), primary_is_ours),
            (Source::Routes(facts.spec.provider), facts.spec.provider.routes_name(&facts.spec), routes_are_ours),
        ];
        let copies = copies.into_iter().map(|(source, name)| (source, name, primary_is_ours));
        for (source, name, ours) in parts.into_iter().chain(copies) {
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
                    // Of the version that the write met, a watch may have brought nothing.
                    let known = self.newer(source, name).filter(|known| *known != version);
                    let present = match known {
                        Some(known) => Some(known),
                        None => self.refresh(source, name).await,
                    };
                    let Some(present) = present else { return Err(conflict) };
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

    /// The decision whose effects come next.
    pub fn begin(&mut self, decision: &Decision) {
        self.diary.begin();
        self.leads_to = decision.effects.iter().find_map(|effect| match effect {
            Effect::WriteStatus(status) => Some(status.phase),
            _ => None,
        });
    }

    /// Writes what errands have brought back as Events.
    pub async fn read_letters(&mut self, canary: &CanaryRecord) {
        for (note, revision) in self.errands.letters.take() {
            self.event(&note, canary, &revision).await;
        }
    }

    /// Writes the Events that are left from before, unless an operator waits. Answers whether any still are.
    pub async fn catch_up(&mut self, canary: &CanaryRecord) -> bool {
        self.events_fail = false;
        if let Some(Ok(request)) = &canary.request {
            // But what the operator waits for is said.
            let outcome = events::outcome_name(&canary.name, &canary.uid, &request.id);
            if let Some(draft) = self.unsent.find(&outcome, &request.id) {
                self.write_event(canary, draft).await;
            }
            return !self.unsent.is_empty();
        }
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
                if self.event(note, canary, &revision_of(facts)).await {
                    let answers = matches!(note.occasion, Occasion::Request(_));
                    self.diary.said(facts, self.clock.now(), note.warning, &note.message, answers);
                }
                // Without the lease nothing of this decision is recorded, or nobody would ever say what waits unsaid.
                self.term().map(drop)
            }
            Effect::WriteService(role) => self.service(*role, canary, spec).await,
            Effect::WriteRule(role) => self.rule(*role, canary, spec).await,
            Effect::WriteRoutes { traffic, request } => self.routes(traffic, request.as_deref(), canary, spec).await,
            Effect::CreatePrimary { replicas, revision } => {
                self.create_primary(*replicas, revision, canary, spec).await
            }
            Effect::PromotePrimary { revision, request } => {
                self.promote(revision, request.as_deref(), canary, facts).await
            }
            Effect::RestorePrimary { revision, request } => {
                self.restore(revision, request.as_deref(), canary, spec).await
            }
            Effect::WriteScaler => self.write_scaler(canary, spec).await,
            Effect::ReturnTarget { hash, replicas } => self.return_target(hash, *replicas, spec).await,
            Effect::ScaleTarget { replicas, request } => self.scale(*replicas, request.as_deref(), spec).await,
            Effect::SetImage { container, image, request } => self.set_image(container, image, request, spec).await,
            Effect::WriteStatus(status) => {
                let version = self.version(Source::Canaries, &canary.name)?;
                let now = self.clock.now();
                let patch = status.patch(now, &facts.status);
                let write = self.writer.merge_status(&self.kinds.canary, &canary.name, &version, patch).await;
                self.done(Source::Canaries, &canary.name, write, "writing the status of").await?;
                self.diary.moved(facts, now, status);
                Ok(())
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
            Effect::DeleteCanary { request } => self.delete_canary(request, canary).await,
            Effect::HandBack => self.hand_back(canary, spec).await,
            Effect::Tell(alert) => {
                self.errands.tell(alert, facts, revision_of(facts));
                Ok(())
            }
            Effect::CallPostRollout(phase) => {
                self.errands.call_post_rollout(*phase, facts, revision_of(facts));
                Ok(())
            }
        }
    }

    /// Writes an Event, or keeps it to be written later. Answers whether it had not been said before.
    pub async fn event(&mut self, note: &Note, canary: &CanaryRecord, revision: &str) -> bool {
        let (name, occurrence) = match &note.occasion {
            Occasion::Request(id) => (events::outcome_name(&canary.name, &canary.uid, id), id.clone()),
            Occasion::Step(step) => {
                let parts = [revision, note.reason, note.message.as_str()];
                (events::name(&canary.name, &canary.uid, &parts), step.clone())
            }
        };
        if self.written.iter().any(|(n, o)| *n == name && *o == occurrence) || self.unsent.holds(&name, &occurrence) {
            return false;
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
        true
    }

    async fn write_event(&mut self, canary: &CanaryRecord, draft: Draft) -> bool {
        // Before the write: this worker may be dropped in the middle of it.
        self.unsent.put(&draft);
        if !self.events_fail {
            let written = tokio::select! {
                biased;
                written = events::write(&self.writer, &self.kinds.event, canary, &draft, self.clock.now()) => Some(written),
                // It may be written all the same; sent again it meets itself.
                () = self.writer.becomes_urgent(canary.request_text.is_some()) => None,
            };
            match written {
                Some(Ok(new)) => {
                    if new {
                        self.errands.post_event(canary, self.phase_told(canary, &draft), &draft);
                    }
                    self.unsent.remove(&draft);
                    if self.written.len() >= REMEMBERED {
                        self.written.pop_front();
                    }
                    self.written.push_back((draft.name, draft.occurrence));
                    return true;
                }
                Some(Err(error)) => tracing::warn!(canary = %canary.name, "an event waits to be written: {error}"),
                None => tracing::debug!(canary = %canary.name, "an event waits for what an operator asks"),
            }
        }
        self.events_fail = true;
        false
    }

    /// The phase that an Event is told with: the one that it leads to where it says so itself, as in Flagger.
    fn phase_told(&self, canary: &CanaryRecord, draft: &Draft) -> Phase {
        let arrives = ["New revision detected!", "Canary failed!", "Promotion completed!"];
        let arrived = arrives.iter().any(|start| draft.message.starts_with(start));
        self.leads_to.filter(|_| arrived).unwrap_or(canary.status.phase)
    }

    /// The version of an object that was decided on.
    pub(super) fn version(&self, source: Source, name: &str) -> Result<String, EffectError> {
        let version = self.decided.version(source, name).map(str::to_string);
        version.ok_or_else(|| EffectError::Conflict(format!("{source} {name}")))
    }

    /// Takes in the answer to a write. On a conflict the object is read afresh where the watch is behind.
    pub(super) async fn done(
        &mut self,
        source: Source,
        name: &str,
        write: Result<Value, WriteError>,
        doing: &str,
    ) -> Result<(), EffectError> {
        let error = match write {
            Ok(object) => {
                self.mirror.note_written(source, &object);
                if source == Source::Canaries {
                    self.diary.answered(&object);
                }
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
            let present = match self.newer(source, name).filter(|_| error.code() == Some(409)) {
                Some(newer) => Some(newer),
                None => self.refresh(source, name).await,
            };
            if is_conflict(error.code(), present.as_deref(), decided.as_deref()) {
                return Err(EffectError::Conflict(format!("{doing} {name} ({error})")));
            }
        }
        Err(EffectError::Write { doing: format!("{doing} {name}"), source: error })
    }

    /// The version that a watch has brought since the decision.
    fn newer(&self, source: Source, name: &str) -> Option<String> {
        let present = self.mirror.read().version(source, name).map(str::to_string);
        present.filter(|present| self.decided.version(source, name).is_some_and(|decided| decided != present))
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

    pub(super) fn workload(&self, name: &str) -> Result<WorkloadRecord, EffectError> {
        let record = self.mirror.read().workloads.get(name).cloned();
        record.ok_or_else(|| EffectError::Conflict(format!("deployment {name}")))
    }

    /// The driver's term, as it is written.
    pub(super) fn term(&self) -> Result<String, EffectError> {
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

    /// Deletes the Canary, which cannot go before its traffic has gone back: the deletion holds only for the version
    /// that bears the finalizer.
    async fn delete_canary(&mut self, request: &str, canary: &CanaryRecord) -> Result<(), EffectError> {
        if canary.deleting {
            return Ok(());
        }
        if !canary.finalizers.iter().any(|name| name == FINALIZER) {
            self.write_finalizer(true, Some(request), canary).await?;
        }
        let version = self.version(Source::Canaries, &canary.name)?;
        let write = self.writer.delete(&self.kinds.canary, &canary.name, &canary.uid, &version).await;
        match write {
            Ok(None) => {
                self.mirror.note_gone(Source::Canaries, &canary.name);
                Ok(())
            }
            Ok(Some(left)) => self.done(Source::Canaries, &canary.name, Ok(left), "deleting").await,
            Err(error) => self.done(Source::Canaries, &canary.name, Err(error), "deleting").await,
        }
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
        self.write_finalizer(wanted, None, canary).await
    }

    async fn write_finalizer(
        &mut self,
        wanted: bool,
        request: Option<&str>,
        canary: &CanaryRecord,
    ) -> Result<(), EffectError> {
        let version = self.version(Source::Canaries, &canary.name)?;
        let mut finalizers = canary.finalizers.clone();
        finalizers.retain(|name| name != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_string());
        }
        let mut patch = json!({ "metadata": { "finalizers": finalizers } });
        mark(&mut patch, request);
        let write = self.writer.merge(&self.kinds.canary, &canary.name, &version, patch).await;
        self.done(Source::Canaries, &canary.name, write, "writing the finalizer of").await
    }
}

/// Whether this answer to a write says that the object is not as it was decided on. `present` is its version by now, where
/// it can be read. 422 is a JSON patch whose test failed, or an object that is not valid, which it stays as long as nobody
/// changes it.
fn is_conflict(code: Option<u16>, present: Option<&str>, decided: Option<&str>) -> bool {
    match code {
        Some(404 | 409) => true,
        Some(422) => present.is_none() || present != decided,
        _ => false,
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

/// Leaves a request's id beside its effect.
pub(super) fn mark(patch: &mut Value, request: Option<&str>) {
    if let Some(id) = request {
        patch["metadata"]["annotations"][annotation::REQUEST_ID] = json!(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_or_cannot_be_read_is_looked_at_again_and_what_is_not_valid_is_not() {
        for (code, present, conflict) in [
            (409, Some("7"), true),
            (404, None, true),
            (422, Some("8"), true),
            (422, None, true),
            (422, Some("7"), false),
            (403, None, false),
            (500, Some("8"), false),
        ] {
            assert_eq!(is_conflict(Some(code), present, Some("7")), conflict, "{code} {present:?}");
        }
        assert!(!is_conflict(None, None, Some("7")), "no answer");
    }
}
