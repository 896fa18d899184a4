//! The operator's requests: JSON in an annotation on the Canary, carried out by the driver.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an operator may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// A Failed revision is tried again; else the image is set on the target.
    Start,
    /// Hold the weight where it is; the checks go on.
    Pause,
    Resume,
    /// Run the checks now and take the step if they pass.
    Advance,
    /// All the way now, without the remaining checks.
    Promote,
    /// All traffic back to the last promoted version.
    Abort,
    /// Opens a gate for this revision.
    Open,
    /// Gives the traffic back to the target, then deletes the Canary.
    Release,
}

impl Verb {
    /// All verbs, in the order in which help lists them.
    pub const ALL: [Verb; 8] =
        [Verb::Start, Verb::Pause, Verb::Resume, Verb::Advance, Verb::Promote, Verb::Abort, Verb::Open, Verb::Release];

    /// The word, as in the annotation and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Advance => "advance",
            Verb::Promote => "promote",
            Verb::Abort => "abort",
            Verb::Open => "open",
            Verb::Release => "release",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The annotation `canary-tui/request`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Unique; the outcome is found by it.
    pub id: String,
    pub verb: Verb,
    /// The target's revision that the operator saw; the request is refused when the target bears another one.
    pub revision: String,
    /// Who asks, in the API server's words (SelfSubjectReview).
    pub by: String,
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For abort: id of the pending request that it was written over, which ends with it; after a space those that that one
    /// was written over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// For start: the image to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// For start: the container to set it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// For open: the name of the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
}

/// The annotation `canary-tui/gate`: what a rollout waits for. Written by the driver when the gate is found shut, taken
/// away when the rollout goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The webhook's name; `start` for a revision that waits to be started by hand.
    pub name: String,
    /// The webhook's type, as in `confirm-promotion`; `manual` for a revision that waits to be started by hand.
    pub kind: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What the webhook answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

impl Gate {
    /// Whether a revision waits to be started by hand: no webhook holds it, and there is nothing to open.
    pub fn is_manual(&self) -> bool {
        self.kind == "manual"
    }
}

/// The annotation `canary-tui/opened`: the gates that were opened for one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub revision: String,
    pub gates: Vec<String>,
}

/// The annotation `canary-tui/paused`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub by: String,
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
