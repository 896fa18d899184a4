//! What to do next, decided from facts alone.
//!
//! Everything in here is a pure function: no I/O, no clock, no async, no lock. The time is an argument. What is decided
//! here is carried out by `controller/`, and drawn by `tui/`.
//!
//! [`decide`] looks at [`Facts`] and answers with a [`Decision`]: effects in the order in which they must happen, and
//! when to look again. Each effect may be repeated, and after any of them the process may die: the next decision, from
//! what the objects then say, goes on where the last one stopped. That is why Events stand before the status write that
//! closes a step (a crash repeats them, and their names make the repetition harmless), and the status write comes last.

mod adoption;
mod affinity;
mod decide;
mod effect;
mod facts;
mod gates;
mod initialisation;
mod past;
mod progress;
mod promotion;
mod readiness;
mod reading;
mod request;
mod steps;
mod strategies;
mod termination;

pub use decide::decide;
pub use effect::{Alert, Answers, Called, Decision, Effect, Mark, Need, Note, Occasion, Traffic};
pub use facts::{Facts, Part, Routes, Scaler, Workload};
pub use past::{Fate, Past, Remains, Way, is_image, past};
pub use readiness::{Readiness, readiness};
pub use reading::{Reading, failure};
pub use request::{Standing, allowed, choose_container};
pub use steps::{longest_wait, next_check, next_weight, steps};
