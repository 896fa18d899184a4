//! One Canary's worker: observe, decide, carry out, until nothing is to be done now; then sleep until something changes
//! or is due.

use super::drive::Options;
use super::effects::{EffectError, Hands};
use super::facts::{Decided, Observed, listed, observe};
use super::readings;
use super::telemetry::Telemetry;
use crate::api::{HookKind, Phase, Problem, Request, Revision, Spec, Status};
use crate::cluster::records::CanaryRecord;
use crate::metrics::Locator;
use crate::rollout::{Answers, Decision, Effect, Facts, Need, Note, Occasion, decide};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Decisions in a row before a worker pauses for breath: more than any way through a rollout takes.
const ROUNDS: usize = 30;
/// First wait after a conflict; the object was read afresh by then.
const AFTER_CONFLICT: Duration = Duration::from_millis(5);
/// First wait after a write that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(250);
/// Longest wait after either.
const LONGEST: Duration = Duration::from_secs(5);
/// When Events that were not taken are tried again.
const EVENTS_AGAIN: chrono::Duration = chrono::Duration::seconds(5);
/// Pause of a worker whose writes are undone as fast as it makes them.
const UNSETTLED: chrono::Duration = chrono::Duration::seconds(60);

/// How long a Canary keeps its place among those that have their turn while it waits for an answer from elsewhere.
const SOON: Duration = Duration::from_millis(100);

/// The place of a Canary that has its turn; none for one that goes without.
type Place = Option<OwnedSemaphorePermit>;

/// A worker of one Canary.
pub struct Worker {
    pub name: String,
    pub hands: Hands,
    pub locator: Locator,
    pub options: Options,
    /// Woken when anything that concerns this Canary has changed.
    pub changed: Arc<Notify>,
    /// When this worker began; whatever Flagger writes after that is written beside it.
    pub hired: DateTime<Utc>,
    /// The last spec that could be read.
    pub known: Option<Arc<Spec>>,
    pub telemetry: Telemetry,
    /// The phase last seen.
    pub seen: Option<Phase>,
    /// What the webhooks answered since the status was last written.
    pub answers: Kept,
}

/// How long a webhook's answer stands for a decision that is made again. What was asked for one check is no answer to
/// the next.
const FRESH: chrono::Duration = chrono::Duration::seconds(10);

/// Answers that outlive a decision: whom they were asked for, and what they were.
#[derive(Default)]
pub struct Kept {
    asked_for: Option<(Arc<Spec>, Option<Revision>, Status)>,
    answers: Answers,
}

impl Kept {
    /// What still holds for these facts.
    fn take(&mut self, facts: &Facts) -> Answers {
        let asked_for = (facts.spec.clone(), facts.revision.clone(), facts.status.clone());
        if self.asked_for.as_ref() != Some(&asked_for) {
            (self.asked_for, self.answers) = (Some(asked_for), Answers::default());
        }
        let mut answers = std::mem::take(&mut self.answers);
        // The core itself asks these two again after an interval.
        answers.hooks.retain(|kind, called| {
            let each_interval = matches!(kind, HookKind::ConfirmRollout | HookKind::Rollback);
            each_interval || facts.now.signed_duration_since(called.at) < FRESH
        });
        answers
    }

    /// Webhooks' answers are kept until the status is written anew; readings are taken for one decision.
    fn keep(&mut self, facts: &Facts, answers: Answers) {
        self.asked_for = Some((facts.spec.clone(), facts.revision.clone(), facts.status.clone()));
        self.answers = Answers { readings: None, metrics_server: None, ..answers };
    }
}

impl Worker {
    /// Works until dropped.
    pub async fn run(mut self) {
        let mut troubles = 0_u32;
        loop {
            let asked = self.request_text();
            let wake = match self.turn().await {
                Ok(wake) => {
                    troubles = 0;
                    wake
                }
                Err(error) => {
                    let first = match &error {
                        EffectError::Conflict(what) => {
                            tracing::debug!(canary = %self.name, "conflict: {what}");
                            AFTER_CONFLICT
                        }
                        error => {
                            tracing::warn!(canary = %self.name, "{error}");
                            AFTER_FAILURE
                        }
                    };
                    let wait = first.saturating_mul(2_u32.saturating_pow(troubles)).min(LONGEST);
                    troubles = (troubles + 1).min(16);
                    self.rest(wait, asked.as_deref()).await;
                    continue;
                }
            };
            match wake {
                None => self.changed.notified().await,
                Some(wake) => {
                    let wait = (wake - self.hands.clock.now()).to_std().unwrap_or_default();
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Waits after a failure; an operator's new request ends the wait.
    async fn rest(&self, wait: Duration, asked: Option<&str>) {
        let end = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(end) => return,
                () = self.changed.notified() => if self.request_text().as_deref() != asked { return },
            }
        }
    }

    fn request_text(&self) -> Option<String> {
        self.hands.mirror.read().canaries.get(&self.name)?.request_text.clone()
    }

    /// Decides and carries out until nothing is to be done now. Answers when to look again.
    async fn turn(&mut self) -> Result<Option<DateTime<Utc>>, EffectError> {
        let mut late = None;
        let mut place = self.hands.writer.turn().await;
        for round in 0..ROUNDS {
            self.hands.read_back().await?;
            let began = self.hands.clock.since_boot();
            let (canary, facts, decided) = match self.observe() {
                Observed::Gone | Observed::Unknown => return Ok(None),
                Observed::Undriveable(canary, problems) => {
                    if round == 0 && self.hands.catch_up(&canary).await {
                        late = Some(self.hands.clock.now() + EVENTS_AGAIN);
                    }
                    self.hands.read_letters(&canary).await;
                    self.say_not_driven(&canary, &problems).await?;
                    return Ok(late);
                }
                Observed::Known(canary, facts, decided) => (canary, facts, decided),
            };
            if canary.spec.is_ok() {
                self.known = Some(facts.spec.clone());
            }
            // Counted when seen, not when written: a write whose answer was lost has happened all the same.
            if let Some(before) = self.seen.replace(facts.status.phase) {
                self.telemetry.moved(&self.name, &facts.spec, before, facts.status.phase);
            }
            if round == 0 && self.hands.catch_up(&canary).await {
                late = Some(self.hands.clock.now() + EVENTS_AGAIN);
            }
            self.hands.read_letters(&canary).await;
            self.hands.decided_on(decided.clone());
            if self.hands.claim(&canary, &facts).await? {
                continue;
            }
            let Some((canary, facts, decided, decision)) = self.decide(canary, facts, decided, &mut place).await else {
                continue;
            };
            self.hands.decided_on(decided);
            self.hands.begin(&decision);
            let mut wrote = false;
            for effect in &decision.effects {
                wrote |= !matches!(effect, Effect::Event(_) | Effect::Tell(_) | Effect::CallPostRollout(_));
                if let Err(error) = self.hands.carry_out(effect, &canary, &facts).await {
                    self.troubled(effect, error, &canary, &facts).await?;
                }
            }
            if let Some(readings) = facts.answers.readings.as_ref().filter(|_| decision.analysed) {
                self.hands.diary.checked(&facts, facts.now, &facts.spec.analysis.checks, readings);
            }
            self.hands.keep_history(&canary).await;
            if decision.analysed {
                self.telemetry.analysed(&self.name, self.hands.clock.since_boot().saturating_sub(began));
            }
            if !wrote && self.hands.errands.letters.is_empty() {
                return Ok([decision.wake, late].into_iter().flatten().min());
            }
        }
        // What is written does not stay as it was written: somebody else writes it too.
        let Observed::Known(canary, facts, _) = self.observe() else { return Ok(None) };
        let message =
            "What is written for this canary does not stay as it was written: is another tool writing it too?";
        self.say(&canary, &facts, "Unsettled", message.into()).await;
        Ok(Some(self.hands.clock.now() + UNSETTLED))
    }

    /// An effect was not carried out. What the rollout can go on without does not stop it; what the API server refuses is
    /// said on the Canary.
    async fn troubled(
        &mut self,
        effect: &Effect,
        error: EffectError,
        canary: &CanaryRecord,
        facts: &Facts,
    ) -> Result<(), EffectError> {
        let Some(refusal) = error.refusal() else { return Err(error) };
        match (effect, &canary.request) {
            (
                Effect::SetImage { .. } | Effect::RestorePrimary { .. } | Effect::DeleteCanary { .. },
                Some(Ok(request)),
            ) => {
                let note = Note {
                    warning: true,
                    reason: "RequestRefused",
                    message: format!("Request {} by {} refused: {refusal}", request.verb, request.by),
                    occasion: Occasion::Request(request.id.clone()),
                };
                self.hands.event(&note, canary, "").await;
                self.hands.clear_request(&[], canary).await?;
                // The rest of this decision was about the request.
                Err(EffectError::Conflict(format!("the request on {}", canary.name)))
            }
            (Effect::WriteService(_) | Effect::WriteRule(_), _) => {
                self.say(canary, facts, "WriteRefused", refusal).await;
                Ok(())
            }
            _ => {
                self.say(canary, facts, "WriteRefused", refusal).await;
                Err(error)
            }
        }
    }

    /// A warning that no decision asked for.
    async fn say(&mut self, canary: &CanaryRecord, facts: &Facts, reason: &'static str, message: String) {
        let stamp = facts.status.last_transition.map_or_else(String::new, |t| t.to_rfc3339());
        let note = Note { warning: true, reason, message, occasion: Occasion::Step(stamp) };
        let revision = facts.revision.as_ref().map_or_else(String::new, ToString::to_string);
        self.hands.event(&note, canary, &revision).await;
    }

    fn observe(&self) -> Observed {
        let world = self.hands.mirror.read();
        let flagger = world.canaries.get(&self.name).and_then(|c| c.flagger_wrote);
        if flagger.is_some_and(|wrote| wrote > self.hired) {
            // Flagger has begun to drive beside us: the next review says so, and until then nothing is decided.
            return Observed::Unknown;
        }
        observe(&world, &self.name, self.known.as_deref(), self.options.min_interval, self.hands.clock.now())
    }

    /// Decides, with the answers that the decision asks for, one after the other. A call may take seconds, and a request
    /// must not wait for it: when something changes meanwhile, everything is looked at again. None: look again.
    async fn decide(
        &mut self,
        canary: Box<CanaryRecord>,
        mut facts: Box<Facts>,
        decided: Decided,
        place: &mut Place,
    ) -> Option<(Box<CanaryRecord>, Box<Facts>, Decided, Decision)> {
        let mut answers = self.answers.take(&facts);
        let (mut canary, mut decided) = (canary, decided);
        loop {
            facts.answers.clone_from(&answers);
            let decision = decide(&facts);
            let Some(need) = decision.need else {
                self.answers.keep(&facts, answers);
                return Some((canary, facts, decided, decision));
            };
            if !self.gather(need, &facts, &mut answers, place).await {
                self.answers.keep(&facts, answers);
                return None;
            }
            // Time has passed: decide on what is there now, with what was gathered for this spec.
            let Observed::Known(now_canary, fresh, now_decided) = self.observe() else { return None };
            if fresh.spec != facts.spec || fresh.revision != facts.revision {
                return None;
            }
            (canary, facts, decided) = (now_canary, fresh, now_decided);
        }
    }

    /// Gathers what a decision needs. Answers whether it was, or something has changed that comes before it. Whoever is
    /// asked and does not answer soon holds up no other Canary.
    async fn gather(&self, need: Need, facts: &Facts, answers: &mut Answers, place: &mut Place) -> bool {
        let spec = facts.spec.clone();
        let gathered = async {
            match need {
                Need::Readings => {
                    let readings = readings::read(&self.locator, &spec, &facts.name, &facts.namespace).await;
                    self.telemetry.read(&self.name, &spec.analysis.checks, &readings);
                    answers.readings = Some(readings);
                }
                Need::MetricsServer => {
                    answers.metrics_server = Some(readings::probe(&self.locator, &spec, &facts.namespace).await);
                }
                Need::Hooks(kind) => {
                    let called = self.hands.errands.messenger.caller.ask(kind, facts, &self.hands.clock).await;
                    answers.hooks.insert(kind, called);
                }
            }
        };
        let soon = tokio::time::sleep(SOON);
        futures::pin_mut!(gathered, soon);
        loop {
            tokio::select! {
                biased;
                () = &mut gathered => return true,
                () = &mut soon, if place.is_some() => *place = None,
                () = self.changed.notified() => {
                    let Observed::Known(_, mut fresh, _) = self.observe() else { return false };
                    fresh.answers.clone_from(&facts.answers);
                    if decide(&fresh).need != Some(need) || fresh.spec != spec {
                        return false;
                    }
                }
            }
        }
    }

    async fn say_not_driven(&mut self, canary: &CanaryRecord, problems: &[Problem]) -> Result<(), EffectError> {
        let why = listed(problems);
        if let Some(Ok(request)) = &canary.request {
            let Request { verb, by, .. } = &**request;
            let note = Note {
                warning: true,
                reason: "RequestRefused",
                message: format!("Request {verb} by {by} refused: {} is not driven: {why}", canary.name),
                occasion: Occasion::Request(request.id.clone()),
            };
            self.hands.event(&note, canary, "").await;
            self.hands.clear_request(&[], canary).await?;
        }
        let note = Note {
            warning: true,
            reason: "NotDriven",
            message: format!("Not driven: {why}"),
            occasion: Occasion::Step(String::new()),
        };
        self.hands.event(&note, canary, "").await;
        Ok(())
    }
}
