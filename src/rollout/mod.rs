//! What to do next, decided from facts alone.
//!
//! Everything in here is a pure function: no I/O, no clock, no async, no lock. The time is an argument. What is decided
//! here is carried out by `controller/`, and drawn by `tui/`.

pub mod reading;

pub use reading::Reading;
