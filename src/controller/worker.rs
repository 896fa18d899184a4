//! One Canary's worker: observe, decide, carry out, until nothing is to be done now; then sleep until something changes
//! or is due.

use super::drive::Options;
use super::effects::{EffectError, Hands};
use super::facts::{Observed, observe};
use super::readings;
use crate::api::Problem;
use crate::cluster::records::CanaryRecord;
use crate::metrics::Locator;
use crate::rollout::{Decision, Effect, Facts, Need, Note, Occasion, decide};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Decisions in a row before a worker pauses for breath: more than any way through a rollout takes.
const ROUNDS: usize = 30;
/// Wait after a conflict, in which the watch brings what has changed.
const AFTER_CONFLICT: Duration = Duration::from_millis(50);
/// First and longest wait after a write that failed.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A worker of one Canary.
pub struct Worker {
    pub name: String,
    pub hands: Hands,
    pub locator: Locator,
    pub options: Options,
    /// Woken when anything that concerns this Canary has changed.
    pub changed: Arc<Notify>,
}

impl Worker {
    /// Works until dropped.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let wake = match self.turn().await {
                Ok(wake) => {
                    failures = 0;
                    wake
                }
                Err(EffectError::Conflict(what)) => {
                    tracing::debug!(canary = %self.name, "conflict: {what}");
                    tokio::time::sleep(AFTER_CONFLICT).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(canary = %self.name, "{error}");
                    let wait = AFTER_FAILURE.0 * 2_u32.saturating_pow(failures);
                    failures = (failures + 1).min(8);
                    tokio::time::sleep(wait.min(AFTER_FAILURE.1)).await;
                    continue;
                }
            };
            match wake {
                None => self.changed.notified().await,
                Some(wake) => {
                    let wait = (wake - self.hands.clock.now()).to_std().unwrap_or_default();
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Decides and carries out until nothing is to be done now. Answers when to look again.
    async fn turn(&mut self) -> Result<Option<DateTime<Utc>>, EffectError> {
        for _ in 0..ROUNDS {
            let (canary, facts) = match self.observe() {
                Observed::Gone | Observed::Unknown => return Ok(None),
                Observed::Undriveable(canary, problems) => {
                    self.say_not_driven(&canary, &problems).await?;
                    return Ok(None);
                }
                Observed::Known(canary, facts) => (canary, facts),
            };
            let Some((canary, facts, decision)) = self.decide(canary, facts).await else { continue };
            let mut wrote = false;
            for effect in &decision.effects {
                self.hands.carry_out(effect, &canary, &facts).await?;
                wrote |= !matches!(effect, Effect::Event(_));
            }
            if !wrote {
                return Ok(decision.wake);
            }
        }
        Ok(Some(self.hands.clock.now() + chrono::Duration::seconds(1)))
    }

    fn observe(&self) -> Observed {
        observe(&self.hands.mirror.read(), &self.name, self.options.min_interval, self.hands.clock.now())
    }

    /// Decides, with the facts that the decision asks for. A query may take seconds, and a request must not wait for it:
    /// when something changes meanwhile, everything is looked at again. None: look again.
    async fn decide(
        &self,
        canary: Box<CanaryRecord>,
        facts: Box<Facts>,
    ) -> Option<(Box<CanaryRecord>, Box<Facts>, Decision)> {
        let decision = decide(&facts);
        let Some(need) = decision.need else { return Some((canary, facts, decision)) };
        let spec = facts.spec.clone();
        let gather = async {
            match need {
                Need::Readings => (Some(readings::read(&self.locator, &spec, &facts.namespace).await), None),
                Need::MetricsServer => (None, Some(readings::probe(&self.locator, &spec).await)),
            }
        };
        futures::pin_mut!(gather);
        loop {
            tokio::select! {
                biased;
                (readings, metrics_server) = &mut gather => {
                    // Time has passed: decide on what is there now, with what was read for this spec.
                    let Observed::Known(canary, mut fresh) = self.observe() else { return None };
                    if fresh.spec != spec || fresh.revision != facts.revision {
                        return None;
                    }
                    fresh.readings = readings;
                    fresh.metrics_server = metrics_server;
                    let decision = decide(&fresh);
                    return Some((canary, fresh, decision));
                }
                () = self.changed.notified() => {
                    let Observed::Known(_, fresh) = self.observe() else { return None };
                    if decide(&fresh).need != Some(need) || fresh.spec != spec {
                        return None;
                    }
                }
            }
        }
    }

    async fn say_not_driven(&mut self, canary: &CanaryRecord, problems: &[Problem]) -> Result<(), EffectError> {
        let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let why = list.join("; ");
        if let Some(Ok(request)) = &canary.request {
            let note = Note {
                warning: true,
                reason: "RequestRefused",
                message: format!(
                    "Request {} by {} refused: {} is not driven: {why}",
                    request.verb, request.by, canary.name
                ),
                occasion: Occasion::Request(request.id.clone()),
            };
            self.hands.event(&note, canary, "").await?;
            self.hands.clear_request(None, canary).await?;
        }
        let note = Note {
            warning: true,
            reason: "NotDriven",
            message: format!("Not driven: {why}"),
            occasion: Occasion::Step(String::new()),
        };
        self.hands.event(&note, canary, "").await
    }
}
