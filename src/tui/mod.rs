//! The console: what an operator sees, and the keys that an operator presses.
//!
//! One [`model::Model`] holds everything that is shown. Messages come from the keyboard, the watches, the metrics and
//! the clock; [`update::update`] changes the model and answers commands; [`view::draw`] is a function of the model
//! alone. None of these three does I/O, reads a clock or takes a lock; that is left to `run`, `source` and `terminal`.
//! The console never touches traffic: what it wants is a request on a Canary.

pub mod age;
pub mod answers;
pub mod bytes;
pub mod charts;
pub mod chooser;
pub mod clipboard;
pub mod config;
pub mod counting;
pub mod event_list;
pub mod glyphs;
pub mod guard;
pub mod history;
pub mod input;
pub mod keymap;
pub mod keys;
pub mod line;
pub mod look;
pub mod message;
pub mod model;
pub mod mouse;
pub mod order;
pub mod own_checks;
pub mod palette;
pub mod plot;
pub mod question;
pub mod readers;
pub mod reading;
pub mod recalling;
pub mod reporting;
pub mod row;
pub mod run;
pub mod scene;
pub mod screen;
pub mod source;
pub mod spark;
pub mod switch;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod update;
pub mod versions;
pub mod view;
pub mod visits;
pub mod watching;
pub mod weights;
pub mod worlds;

pub use run::{Options, run};
pub use visits::Start;

#[cfg(test)]
mod terminal_tests;
#[cfg(test)]
mod update_tests;
