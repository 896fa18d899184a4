//! The embedded cluster: a Kubernetes API and a Prometheus API in this process, with simulated workloads and traffic.
//!
//! - [`store`] keeps the objects by Kubernetes' rules, with [`kinds`] as the registry of what is served,
//!   [`admission`] (versions, schemas, defaults, validity), [`ownership`] (managedFields) and [`status`] (errors);
//! - [`definitions`] holds the CustomResourceDefinitions that it brings.
//!
//! Nothing else of the program knows this room but by its address: the console reaches it over HTTPS, as it reaches
//! any cluster. It listens on loopback alone, and it drives no rollout.

pub mod admission;
pub mod defaults;
pub mod definitions;
pub mod kinds;
pub mod merge_keys;
pub mod ownership;
pub mod schema;
pub mod selectors;
pub mod status;
pub mod store;
pub mod strategic;
pub mod validity;
pub mod workloads;
