//! The events as a list to read: repeats in a row are one entry with a count, and only those that hold what is looked for
//! are in it.

use super::model::Model;
use super::row::Key;
use crate::cluster::EventRecord;
use chrono::{DateTime, Utc};
use std::cmp::Ordering;
use std::iter::Peekable;

/// One entry: an event, or several in a row that say the same.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The latest of them.
    pub latest: &'a EventRecord,
    /// The first of them.
    pub first: &'a EventRecord,
    /// How often it has happened.
    pub count: u32,
}

impl Entry<'_> {
    /// Namespace and name of the latest.
    pub fn key(&self) -> Key {
        Key::new(&self.latest.namespace, &self.latest.name)
    }

    /// Since when.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.first.first.or(self.first.last)
    }

    /// Whether an event is one of them.
    fn holds(&self, event: &EventRecord) -> bool {
        same(self.latest, event) && in_order(self.first, event).is_le() && in_order(event, self.latest).is_le()
    }
}

/// By time, and within a second by the order in which they were written.
pub fn in_order(a: &EventRecord, b: &EventRecord) -> Ordering {
    a.last.cmp(&b.last).then_with(|| a.version.cmp(&b.version)).then_with(|| a.name.cmp(&b.name))
}

/// Whether two events say the same of the same.
fn same(a: &EventRecord, b: &EventRecord) -> bool {
    a.canary == b.canary
        && a.namespace == b.namespace
        && a.warning == b.warning
        && a.reason == b.reason
        && a.message == b.message
}

/// The entries, the newest first. Only what is taken is looked at: there may be thousands.
pub struct Entries<'a, I: Iterator<Item = &'a EventRecord>>(Peekable<I>);

impl<'a, I: Iterator<Item = &'a EventRecord>> Iterator for Entries<'a, I> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let latest = self.0.next()?;
        let mut entry = Entry { latest, first: latest, count: latest.count };
        while let Some(before) = self.0.next_if(|before| same(before, latest)) {
            entry.first = before;
            entry.count = entry.count.saturating_add(before.count);
        }
        Some(entry)
    }
}

/// The entries of the events that are shown and that hold `wanted`, in whatever case; the newest first.
pub fn entries<'a>(model: &'a Model, wanted: &str) -> Entries<'a, impl Iterator<Item = &'a EventRecord>> {
    let wanted = wanted.to_lowercase();
    let kept = move |event: &&EventRecord| {
        let texts = [&*event.canary, &*event.reason, &*event.message];
        wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    Entries(model.shown_events().rev().filter(kept).peekable())
}

/// How many entries are newer than the one that holds this event; 0 where it is the newest, or is gone.
pub fn newer_than(model: &Model, wanted: &str, at: Option<&Key>) -> usize {
    let event = at
        .and_then(|at| model.events.iter().rfind(|event| *event.name == *at.name && *event.namespace == *at.namespace));
    let place = event.and_then(|event| entries(model, wanted).position(|entry| entry.holds(event)));
    place.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::message::Msg;
    use crate::tui::scene::{self, event};
    use crate::tui::update::update;

    fn listed(model: &Model, wanted: &str) -> Vec<(String, u32)> {
        entries(model, wanted).map(|entry| (entry.latest.message.clone(), entry.count)).collect()
    }

    fn of(events: &[(&str, &str, u32)]) -> Model {
        let mut model = scene::unheard(80, 24);
        let record = |(at, (time, message, count)): (usize, &(&str, &str, u32))| {
            let name = format!("e{at}");
            EventRecord { count: *count, name: name.into(), version: at as u64, ..event("app", time, false, message) }
        };
        update(&mut model, Msg::Events(events.iter().enumerate().map(|one| record(one).into()).collect()));
        model
    }

    #[test]
    fn repeats_in_a_row_are_one_entry_with_their_count() {
        let model = of(&[("12:00:00", "a", 1), ("12:00:01", "b", 2), ("12:00:02", "b", 3), ("12:00:03", "a", 1)]);
        let wanted = [("a".to_string(), 1), ("b".to_string(), 5), ("a".to_string(), 1)];
        assert_eq!(listed(&model, ""), wanted);
        let both = entries(&model, "").nth(1).unwrap();
        assert_eq!((both.since(), both.latest.last), (Some(scene::time("12:00:01")), Some(scene::time("12:00:02"))));
    }

    #[test]
    fn what_is_looked_for_is_found_in_any_case_and_any_field() {
        let model = of(&[("12:00:00", "Halt advancement", 1), ("12:00:01", "Advance", 1)]);
        assert_eq!(listed(&model, "HALT").len(), 1);
        assert_eq!(listed(&model, "app").len(), 2, "the canary's name");
        assert_eq!(listed(&model, "synced").len(), 2, "the reason");
        assert_eq!(listed(&model, "nothing").len(), 0);
    }

    #[test]
    fn the_place_of_an_event_is_its_entrys_also_when_more_of_it_come() {
        let model = of(&[("12:00:00", "a", 1), ("12:00:01", "b", 1), ("12:00:02", "b", 1), ("12:00:03", "c", 1)]);
        for (name, newer) in [("e3", 0), ("e2", 1), ("e1", 1), ("e0", 2), ("gone", 0)] {
            assert_eq!(newer_than(&model, "", Some(&Key::new("jx-production", name))), newer, "{name}");
        }
    }
}
