//! What is to be kept of a rollout beyond its Events, gathered as it happens and written to the annotation
//! `canary-tui/history` when it matters: a check failed, a request was answered, a rollout ended.
//!
//! No rollout waits for it, and none depends on it: what cannot be written now goes along with what comes next.

use super::effects::{EffectError, Hands};
use crate::api::history::{Checked, Entry, History, What};
use crate::api::{Check, Status, annotation};
use crate::cluster::Source;
use crate::cluster::records::CanaryRecord;
use crate::rollout::{Facts, Reading, failure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// Entries that wait at most; of more, the oldest go.
const MOST: usize = 200;

/// What one Canary's history lacks.
#[derive(Default)]
pub struct Diary {
    entries: Vec<Entry>,
    due: bool,
    /// What was kept before, as the answer to the last write of the Canary had it.
    kept: Option<Kept>,
}

/// The history on a Canary of one version.
struct Kept {
    version: String,
    text: String,
}

impl Kept {
    fn of(canary: &Value) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_string();
        let history = canary.pointer("/metadata/annotations").and_then(|all| all.get(annotation::HISTORY));
        Self { version: text(canary.pointer("/metadata/resourceVersion")), text: text(history) }
    }
}

impl Diary {
    /// Whether it is to be written now.
    pub fn is_due(&self) -> bool {
        self.due
    }

    /// Lets go of what an earlier decision had as an answer.
    pub fn begin(&mut self) {
        self.kept = None;
    }

    /// The API server answered a write with this Canary, so its history need not be read. It is kept until
    /// the next decision at most: of a thousand canaries it would be megabytes.
    pub fn answered(&mut self, canary: &Value) {
        self.kept = (!self.entries.is_empty()).then(|| Kept::of(canary));
    }

    /// An Event was said; `answers` a request.
    pub fn said(&mut self, facts: &Facts, at: DateTime<Utc>, warning: bool, text: &str, answers: bool) {
        self.due |= answers;
        self.keep(facts, at, What::Said { warning, text: text.to_string() });
    }

    /// The checks were read.
    pub fn checked(&mut self, facts: &Facts, at: DateTime<Utc>, checks: &[Check], readings: &[Reading]) {
        let weight = facts.routes.weights.map_or(facts.status.canary_weight, |weights| weights.canary);
        for (check, reading) in checks.iter().zip(readings) {
            let value = match reading {
                Reading::Value(value) => Some(*value).filter(|value| value.is_finite()),
                _ => None,
            };
            let passed = failure(check, reading, &facts.name, &facts.spec.target, &facts.namespace).is_none();
            let (name, min, max) = (check.name.clone(), check.min, check.max);
            self.keep(facts, at, What::Checked(Checked { at, weight, name, value, min, max, passed }));
        }
    }

    /// The status was written.
    pub fn moved(&mut self, facts: &Facts, at: DateTime<Utc>, after: &Status) {
        let before = &facts.status;
        if !before.phase.under_way() && after.phase.under_way() {
            self.keep(facts, at, What::Began);
        }
        if before.phase != after.phase && after.phase.at_rest() {
            self.due = true;
            self.keep(facts, at, What::Ended(after.phase));
        }
        self.due |= after.failed_checks > before.failed_checks;
    }

    fn keep(&mut self, facts: &Facts, at: DateTime<Utc>, what: What) {
        let revision = facts.revision.clone().or_else(|| facts.applied());
        let revision = revision.map_or_else(String::new, |revision| revision.to_string());
        let images = facts.target.iter().flat_map(|target| target.containers.iter().cloned()).collect();
        if self.entries.len() >= MOST {
            self.entries.remove(0);
        }
        self.entries.push(Entry { revision, images, at, what });
    }
}

impl Hands {
    /// Writes the Canary's history where something in it is due.
    pub async fn keep_history(&mut self, canary: &CanaryRecord) {
        let kept = self.diary.kept.take();
        if !self.diary.is_due() || canary.deleting {
            return;
        }
        match self.write_history(&canary.name, kept).await {
            Ok(()) => self.diary = Diary::default(),
            // Somebody else has written the Canary, which wakes this worker, or the next entry tries again.
            Err(error) => tracing::debug!(canary = %canary.name, "the history waits: {error}"),
        }
    }

    async fn write_history(&mut self, name: &str, kept: Option<Kept>) -> Result<(), EffectError> {
        let kind = self.kinds.canary.clone();
        let doing = "keeping the history of";
        let Kept { version, text } = match kept {
            Some(kept) => kept,
            None => {
                let read = self.writer.get(&kind, name).await;
                Kept::of(&read.map_err(|source| EffectError::Write { doing: format!("{doing} {name}"), source })?)
            }
        };
        let mut history = History::read(&text);
        self.diary.entries.iter().for_each(|entry| history.note(entry));
        let patch = json!({ "metadata": { "annotations": { annotation::HISTORY: history.text() } } });
        let write = self.writer.merge(&kind, name, &version, patch).await;
        self.done(Source::Canaries, name, write, doing).await
    }
}
