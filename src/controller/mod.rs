//! Carries out what `rollout/` decides: who drives, one worker a Canary, and the effects; and says of itself what Flagger
//! says to Prometheus.
//!
//! Nothing is decided in here. Facts are gathered, the decision is asked for, its effects are written in their order
//! behind the fence of the lease, and after any failure everything is looked at and decided again.

mod drive;
mod effects;
mod endpoint;
mod exposition;
mod facts;
mod outbox;
mod readings;
mod report;
mod telemetry;
mod worker;

pub use drive::{Controller, Options, Role};
pub use endpoint::Endpoint;
pub use report::Report;
