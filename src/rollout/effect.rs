//! What a decision asks for.

use super::Reading;
pub use crate::api::routes::Traffic;
use crate::api::shapes::Role;
use crate::api::{Gate, HookKind, Opened, Paused, Phase, Revision, Severity, Status};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// What to do now, in this order, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    pub effects: Vec<Effect>,
    /// Facts that the decision lacks; get them and decide again.
    pub need: Option<Need>,
    /// Whether this is a turn of the analysis: the canary is measured and judged, or gets its first traffic.
    pub analysed: bool,
    /// When to decide again although nothing has changed; None: only when something changes.
    pub wake: Option<DateTime<Utc>>,
}

/// Facts that cost a call and are gathered only when a decision asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// A reading for every check.
    Readings,
    /// Whether the metrics server answers.
    MetricsServer,
    /// What the webhooks of this kind answer, those left out whose gate was opened: in their order, up to the first
    /// that says no (of rollback hooks: yes).
    Hooks(HookKind),
}

/// What was gathered. Webhooks' answers are kept until the status is written anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// One reading for each check of the spec, taken for this decision.
    pub readings: Option<Vec<Reading>>,
    pub metrics_server: Option<Result<(), String>>,
    pub hooks: BTreeMap<HookKind, Called>,
}

/// What the webhooks of one kind answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    pub at: DateTime<Utc>,
    /// Names of those that said yes.
    pub passed: Vec<String>,
    /// Name of the one that did not, and what it said.
    pub failed: Option<(String, String)>,
}

/// One change to the cluster. Each may be repeated without harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Event(Note),
    /// Create a Service, or make it what it should be.
    WriteService(Role),
    /// Create a rule beside the routes, or make it what it should be.
    WriteRule(Role),
    /// Create the routes or rewrite them, with this traffic.
    WriteRoutes {
        traffic: Traffic,
        request: Option<String>,
    },
    /// Create the primary's copy of the autoscaler, or make it what it should be.
    WriteScaler,
    /// Create the primary from the target's template, with copies of what that mounts.
    CreatePrimary {
        replicas: u32,
        revision: Revision,
    },
    /// Put the target's template, which bears `revision`, onto the primary, with copies of what it mounts, and keep the
    /// present one.
    PromotePrimary {
        revision: Revision,
        request: Option<String>,
    },
    /// Put the template promoted before, of the revision of this name, back onto the primary, with what it mounted. Where
    /// the primary bears that revision, only what it mounts is put back.
    RestorePrimary {
        revision: String,
        request: Option<String>,
    },
    ScaleTarget {
        replicas: u32,
        request: Option<String>,
    },
    SetImage {
        container: String,
        image: String,
        request: String,
    },
    WriteStatus(Status),
    /// Take the pending request off the Canary, and write these marks with the same write.
    ClearRequest {
        marks: Vec<Mark>,
    },
    /// Write these marks of the driver's on the Canary.
    Marks(Vec<Mark>),
    /// Tell those whom the Canary's alerts name. Never waits for them.
    Tell(Alert),
    /// Call the post-rollout webhooks with the phase in which the rollout ended. Never waits for them.
    CallPostRollout(Phase),
    /// Put the finalizer on the Canary, or take it off.
    SetFinalizer(bool),
    /// Delete the Canary, which bears the finalizer: its traffic goes back to the target first.
    DeleteCanary {
        request: String,
    },
    /// Put the promoted template of this hash onto the target, with so many pods.
    ReturnTarget {
        hash: String,
        replicas: u32,
    },
    /// Let the apex Service and the routes lead to the target, as they were before the Canary where that is known, and
    /// outlive the Canary.
    HandBack,
}

/// What the driver writes down on the Canary, or takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Paused(Option<Paused>),
    Gate(Option<Gate>),
    Opened(Option<Opened>),
}

/// A message to those whom the Canary's alerts name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub severity: Severity,
    pub text: String,
    /// Whether what the Canary asks for is told too.
    pub with_fields: bool,
}

/// An Event on the Canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
    pub occasion: Occasion,
}

/// What makes two Events of the same text one or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The same text for one revision is one Event; another value here is another count of it, the same value is a
    /// repetition of the very same thing after a crash.
    Step(String),
    /// The outcome of a request: one Event, whose name is computed from the request's id.
    Request(String),
}
