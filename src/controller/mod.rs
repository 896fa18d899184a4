//! Carries out what `rollout/` decides: who drives, one worker a Canary, and the effects.
//!
//! Nothing is decided in here. Facts are gathered, the decision is asked for, its effects are written in their order
//! behind the fence of the lease, and after any failure everything is looked at and decided again.

mod drive;
mod effects;
mod facts;
mod readings;
mod worker;

pub use drive::{Controller, Options, Role};
