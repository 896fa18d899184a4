//! The Kubernetes types that are ours to define: the Canary in all its versions, the requests on it, the shapes of the
//! objects that a Canary owns, and who carries out its routing.
//!
//! Everything here is data and pure functions over it. This room never talks to a cluster, never reads a clock, and
//! knows no other room.

pub mod borne;
pub mod canary;
pub mod crds;
pub mod duration;
pub mod history;
pub mod manifests;
pub mod problem;
pub mod providers;
pub mod query;
pub mod request;
pub mod revision;
pub mod routes;
pub mod services;
pub mod shapes;
pub mod status;

pub use canary::{
    AlertRef, Analysis, Autoscaler, Check, CheckKind, Era, HookKind, Metadata, Routing, Service, SessionAffinity,
    Severity, Spec, Strategy, TemplateRef, Unmanaged, Webhook, is_name,
};
pub use history::History;
pub use problem::Problem;
pub use providers::Provider;
pub use query::Query;
pub use request::{Gate, Opened, Paused, Request, Verb};
pub use revision::Revision;
pub use shapes::Owner;
pub use status::{Phase, Status};

/// API group of the Canary, as Flagger serves it.
pub const GROUP: &str = "flagger.app";
/// Versions of the Canary that we read and write, the newest first.
pub const VERSIONS: [&str; 3] = ["v1beta1", "v1alpha3", "v1alpha2"];

/// The finalizer that gives the traffic back to the target before a Canary goes; Flagger's.
pub const FINALIZER: &str = "finalizer.flagger.app";

/// The annotations that are ours, and those that we know of others'.
pub mod annotation {
    /// The operator's pending [`Request`](super::Request), on the Canary.
    pub const REQUEST: &str = "canary-tui/request";
    /// Who holds the rollout at its weight, on the Canary.
    pub const PAUSED: &str = "canary-tui/paused";
    /// The gate that holds the rollout, on the Canary: a [`Gate`](super::Gate).
    pub const GATE: &str = "canary-tui/gate";
    /// The gates that an operator opened, on the Canary: an [`Opened`](super::Opened).
    pub const OPENED: &str = "canary-tui/opened";
    /// The last rollouts, and what was said and asked of each, on the Canary: a [`History`](super::History).
    pub const HISTORY: &str = "canary-tui/history";
    /// `manual`: a new revision waits for a request to start it. Written by the Canary's author.
    pub const START: &str = "canary-tui/start";
    /// Id of the last request that was carried out on an object; written with the effect itself, so that a crash
    /// right after it does not carry the request out twice.
    pub const REQUEST_ID: &str = "canary-tui/request-id";
    /// `true` on the routes while the canary stands in for a primary without pods.
    pub const STANDS_IN: &str = "canary-tui/stands-in";
    /// The driver's term (the Lease's `leaseTransitions`) of the last write, on every object that a driver writes.
    pub const TERM: &str = "canary-tui/term";
    /// Revision of the target whose template the primary bears, on the primary Deployment. On the kept content of a
    /// copy: the `flagger-id` of the template that mounted it.
    pub const REVISION: &str = "canary-tui/revision";
    /// What the primary's copies of configuration held when it got the template that it bears, on the primary
    /// Deployment: the checksums of the revision's ConfigMaps and Secrets.
    pub const CONFIGS: &str = "canary-tui/configs";
    /// The template that was promoted before the present one, on the primary Deployment: what an abort while
    /// Promoting puts back.
    pub const LAST_PROMOTED: &str = "canary-tui/last-promoted";
    /// Versions that may be offered for a start, on the target: a JSON list of `{"tag","note"}`.
    pub const VERSIONS: &str = "canary-tui/versions";
    /// What a Service that was taken over selected and served before.
    pub const ORIGINAL: &str = "canary-tui/original-configuration";
    /// The spec of routes that were taken over, as it was before; Flagger's.
    pub const FLAGGER_ORIGINAL: &str = "flagger.kubernetes.io/original-configuration";
    /// What kubectl last applied; kubectl's.
    pub const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    /// Pods that the primary had when the target was scaled to zero, on the target: what a Canary that is made anew gives
    /// its primary.
    pub const REPLICAS: &str = "canary-tui/replicas";
    /// What an Event's last count stands for, on the Event.
    pub const OCCURRENCE: &str = "canary-tui/occurrence";
}
