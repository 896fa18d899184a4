//! What a decision asks for.

use crate::api::shapes::Role;
use crate::api::{Paused, Status};
use chrono::{DateTime, Utc};

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

/// Facts that cost a query and are gathered only when a decision asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A reading for every check.
    Readings,
    /// Whether the metrics server answers.
    MetricsServer,
}

/// One change to the cluster. Each may be repeated without harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Event(Note),
    /// Create a Service, or make it what it should be.
    WriteService(Role),
    /// Create a DestinationRule, or make it what it should be.
    WriteRule(Role),
    /// Create the VirtualService or rewrite it, with this percentage of the traffic on the canary.
    WriteRoutes {
        canary: u8,
        request: Option<String>,
    },
    /// Create the primary from the target's template.
    CreatePrimary {
        replicas: u32,
        revision: String,
    },
    /// Put the target's template, which bears `revision`, onto the primary, and keep the present one.
    PromotePrimary {
        revision: String,
        request: Option<String>,
    },
    /// Put the template promoted before, of `revision`, back onto the primary.
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
    /// Take the pending request off the Canary; with `paused`, in the same write, begin (Some) or end (None) a pause.
    ClearRequest {
        paused: Option<Option<Paused>>,
    },
    /// End a pause with the rollout that it held.
    ClearPaused,
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
