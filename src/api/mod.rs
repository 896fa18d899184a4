//! The Kubernetes types that are ours to define: the Canary in all its versions, the requests on it, Istio's routes,
//! and the shapes of the objects that a Canary owns.
//!
//! Everything here is data and pure functions over it. This room never talks to a cluster, never reads a clock, and
//! knows no other room.

pub mod canary;
pub mod crds;
pub mod duration;
pub mod problem;
pub mod query;
pub mod request;
pub mod revision;
pub mod routes;
pub mod shapes;
pub mod status;

pub use canary::{
    AlertRef, Analysis, Autoscaler, Check, CheckKind, Era, HookKind, Metadata, Routing, Service, SessionAffinity,
    Severity, Spec, Strategy, TemplateRef, Unmanaged, Webhook, is_name,
};
pub use problem::Problem;
pub use query::Query;
pub use request::{Gate, Opened, Paused, Request, Verb};
pub use revision::Revision;
pub use status::{Phase, Status};

/// API group of the Canary, as Flagger serves it.
pub const GROUP: &str = "flagger.app";
/// Versions of the Canary that we read and write, the newest first.
pub const VERSIONS: [&str; 3] = ["v1beta1", "v1alpha3", "v1alpha2"];
/// API group of Istio's routing objects.
pub const ISTIO_GROUP: &str = "networking.istio.io";
/// Versions of Istio's routing objects that we use, the one that Flagger writes first.
pub const ISTIO_VERSIONS: [&str; 3] = ["v1beta1", "v1", "v1alpha3"];

/// The finalizer that gives the traffic back to the target before a Canary goes; Flagger's.
pub const FINALIZER: &str = "finalizer.flagger.app";

/// The annotations that are ours.
pub mod annotation {
    /// The operator's pending [`Request`](super::Request), on the Canary.
    pub const REQUEST: &str = "canary-tui/request";
    /// Who holds the rollout at its weight, on the Canary.
    pub const PAUSED: &str = "canary-tui/paused";
    /// The gate that holds the rollout, on the Canary: a [`Gate`](super::Gate).
    pub const GATE: &str = "canary-tui/gate";
    /// The gates that an operator opened, on the Canary: an [`Opened`](super::Opened).
    pub const OPENED: &str = "canary-tui/opened";
    /// `manual`: a new revision waits for a request to start it. Written by the Canary's author.
    pub const START: &str = "canary-tui/start";
    /// Id of the last request that was carried out on an object; written with the effect itself, so that a crash
    /// right after it does not carry the request out twice.
    pub const REQUEST_ID: &str = "canary-tui/request-id";
    /// The driver's term (the Lease's `leaseTransitions`) of the last write, on every object that a driver writes.
    pub const TERM: &str = "canary-tui/term";
    /// Revision of the target whose template the primary bears, on the primary Deployment.
    pub const REVISION: &str = "canary-tui/revision";
    /// The template that was promoted before the present one, on the primary Deployment: what an abort while
    /// Promoting puts back.
    pub const LAST_PROMOTED: &str = "canary-tui/last-promoted";
    /// Versions that may be offered for a start, on the target: a JSON list of `{"tag","note"}`.
    pub const VERSIONS: &str = "canary-tui/versions";
    /// What an Event's last count stands for, on the Event.
    pub const OCCURRENCE: &str = "canary-tui/occurrence";
}
