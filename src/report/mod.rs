//! A picture of a rollout to keep: what happened, who asked for what, what the checks read, and the measurements over
//! the time of it, as Markdown with an SVG beside it.
//!
//! [`gather()`] collects the [`story`] from the mirror and from Prometheus; [`markdown`] and [`chart`] are functions of it
//! alone; [`mod@file`] writes both and never over anything. What could not be had is said in the report, nothing is made
//! up.

pub mod chart;
pub mod file;
pub mod gather;
pub mod markdown;
pub mod story;
#[cfg(test)]
mod tests;
mod words;

pub use file::{Place, write};
pub use gather::{Asked, gather};
pub use story::Story;
