//! All else that talks to the Kubernetes API: the client, the watches, Events, the Lease, and the operator's requests.
//!
//! What this room writes goes through two doors only: [`requests`] for operators, and the driver's fenced writes.

pub mod records;

pub use records::{CanaryRecord, EventRecord, PartRecord, ReplicaSetRecord, RouteRecord, WorkloadRecord};
