//! What the controllers say: each message that a decision emitted, as they log it. The Events are held against it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Where the hands say which Event they write.
const HANDS: &str = "canary_tui::controller::effects";

/// A message that was emitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    pub canary: String,
    pub reason: String,
    pub message: String,
}

/// Collects them; every run has its own, on its own thread.
#[derive(Clone, Default)]
pub struct Emitted {
    said: Arc<Mutex<Vec<Said>>>,
}

impl Emitted {
    /// All that was said so far.
    pub fn all(&self) -> Vec<Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let place = match field.name() {
            "canary" => &mut self.canary,
            "reason" => &mut self.reason,
            "message" => &mut self.message,
            _ => return,
        };
        *place = format!("{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for Emitted {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == HANDS && metadata.fields().field("reason").is_some()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(said);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
