//! Carries out what `rollout/` decides: who drives, one worker a Canary, and the effects; and says of itself what Flagger
//! says to Prometheus.
//!
//! Nothing is decided in here. Facts are gathered, the decision is asked for, its effects are written in their order
//! behind the fence of the lease, and after any failure everything is looked at and decided again.

mod alerts;
pub mod concern;
mod configs;
mod diary;
mod drive;
mod effects;
mod endpoint;
mod errands;
mod everywhere;
mod exposition;
mod facts;
mod outbox;
mod readings;
mod report;
mod routing;
mod scaler;
mod telemetry;
mod webhooks;
mod worker;
mod workloads;

pub use drive::{Controller, Options, Role};
pub use endpoint::Endpoint;
pub use everywhere::{Everywhere, Reports};
pub use report::{Report, Says};
