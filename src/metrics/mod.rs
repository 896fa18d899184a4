//! Prometheus: how it is reached, where it is found, the queries of the checks and of the screen.
//!
//! Callers decide when to ask: there is no timer in here and no retry, and what is kept is at most a second old (a template,
//! ten). What Prometheus answers is data, and is handed on as it came; whoever shows it escapes it.

pub mod checks;
pub mod discovery;
pub mod locator;
mod once;
pub mod promql;
pub mod query;
pub mod reach;
pub mod reader;
pub mod screen;
#[cfg(test)]
mod stub;
mod templates;

pub use discovery::FindError;
pub use locator::Locator;
pub use query::{QueryError, Sample, Series};
pub use reach::{Prometheus, ReachError};
pub use screen::{History, Metric, Snapshot, WorkloadMetrics};
