//! The embedded cluster: a Kubernetes API and a Prometheus API in this process, with simulated workloads and traffic.
//!
//! - [`store`] keeps the objects by Kubernetes' rules. [`kinds`] is the registry of what is served, [`definitions`] the
//!   CustomResourceDefinitions that it brings; [`admission`] holds a write to versions, [`schema`], [`defaults`] and
//!   [`validity`]; [`status`] is how an error looks. [`ownership`] says who owns which of an object's [`fields`]:
//!   it goes by [`merging`], and that by the [`structure`] of the kind.
//! - [`server`] speaks Kubernetes' API over HTTP on top of the store: [`selectors`], [`strategic`] patches (by
//!   [`merge_keys`]), tables, watches, discovery, the service proxy.
//! - [`workloads`] are the controllers that make pods of Deployments, [`seed`] the apps that a sandbox begins with, and
//!   [`feed`] tells the simulated traffic what the store says.
//! - [`serve`] starts it all: [`tls`] with an authority of its own, a [`listener`] on loopback, a [`kubeconfig`].
//!
//! Nothing else of the program knows this room but by its address: the console reaches it over HTTPS, as it reaches
//! any cluster. It listens on loopback alone, and it drives no rollout.

pub mod admission;
pub mod base;
mod base64;
pub mod defaults;
pub mod definitions;
pub mod feed;
pub mod fields;
pub mod kinds;
pub mod kubeconfig;
pub mod listener;
pub mod merge_keys;
pub mod merging;
pub mod ownership;
mod policy;
pub mod schema;
pub mod seed;
pub mod selectors;
pub mod serve;
pub mod server;
pub mod shape;
pub mod status;
pub mod store;
pub mod strategic;
pub mod structure;
pub mod tls;
pub mod validity;
pub mod workloads;

pub use serve::{Options, Sandbox};
pub use server::Attributes;
pub use store::Store;
