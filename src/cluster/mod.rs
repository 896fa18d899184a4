//! All else that talks to the Kubernetes API: the client, the watches, Events, the Lease, and the operator's requests.
//!
//! What this room writes goes through three doors only: [`requests`] for operators, [`lease`] for who drives, and the
//! driver's fenced [`writes`].

pub mod access;
pub mod clock;
pub mod configs;
pub mod connect;
mod credentials;
pub mod entrances;
pub mod events;
pub mod flagger;
pub mod fleet;
pub mod histories;
pub mod json_text;
mod keeping;
pub mod kinds;
mod lanes;
pub mod lease;
pub mod mirror;
pub mod object;
mod packed;
pub mod pod_watch;
pub mod pods;
pub mod records;
pub mod remains;
mod renewing;
pub mod replica_sets;
pub mod requests;
pub mod scalers;
pub(crate) mod sharing;
pub mod survey;
pub mod vouching;
pub mod world;
pub mod writes;

pub use clock::Clock;
pub use configs::ConfigRecord;
pub use connect::{ConnectError, Connection, ConnectionOptions};
pub use fleet::Fleet;
pub use json_text::JsonText;
pub use kinds::Kinds;
pub use lease::{Driver, Fence};
pub use mirror::{Changed, Mirror};
pub use packed::Gist;
pub use pods::PodsRecord;
pub use records::{CanaryRecord, EventRecord, PartRecord, RouteRecord, WorkloadRecord};
pub use replica_sets::{ReplicaSetRecord, ReplicaSets, Uid};
pub use scalers::ScalerRecord;
pub use survey::Survey;
pub use world::{For, Health, Source, World};
