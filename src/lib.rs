//! The rooms of canary-tui. A room knows only rooms that stand below it in this list, and `tests/house.rs` holds it to that.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod metrics;
pub mod report;
pub mod rollout;
pub mod sandbox;
pub mod traffic;
pub mod tui;
