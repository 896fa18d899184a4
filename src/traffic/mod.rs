//! How versions behave under traffic, the series that leaves, and a Prometheus API over them.
//!
//! Fed with facts (routes, ready pods, image tags) by whoever has them: the sandbox from its store, a test from a
//! watch on a real cluster. It must never learn of Kubernetes, of Canaries or of anything else of this project, and
//! never read a clock of its own: time comes in with every call.

pub mod api;
pub mod behaviour;
pub mod facts;
mod history;
mod istio;
mod labels;
pub mod promql;
mod recorder;
mod shared;
mod simulator;

pub use behaviour::{BEHAVIOURS, Behaviour, OFFERED, of_tag};
pub use facts::{Destination, Facts, PodFact, Route, Workload, requests_per_second};
pub use history::{History, Unit};
pub use labels::Labels;
pub use recorder::Recorder;
pub use shared::{Clock, Traffic};
pub use simulator::Simulator;
