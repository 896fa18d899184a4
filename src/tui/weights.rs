//! When the weight of a canary changed: as the console saw it, and as the Events tell.

use super::row::Key;
use crate::cluster::EventRecord;
use std::collections::{BTreeMap, VecDeque};

/// Changes that are kept of one canary.
const KEPT: usize = 64;

/// Changes that the console saw itself, by canary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(BTreeMap<Key, VecDeque<Seen>>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    at: i64,
    from: u8,
    to: u8,
}

/// A change: when, in seconds since 1970, and percent of the traffic from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub at: i64,
    pub weight: u8,
}

/// What is known of one canary's weight over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// In order of time; each differs from the one before.
    pub changes: Vec<Change>,
    /// The weight before the first of them, where it is known.
    before: Option<u8>,
}

impl Weights {
    /// Notes that a weight was seen to change.
    pub fn note(&mut self, canary: &Key, at: i64, from: u8, to: u8) {
        let seen = self.0.entry(canary.clone()).or_default();
        seen.push_back(Seen { at, from, to });
        if seen.len() > KEPT {
            seen.pop_front();
        }
    }

    /// Forgets the canaries that are gone.
    pub fn keep(&mut self, there: impl Fn(&Key) -> bool) {
        self.0.retain(|canary, _| there(canary));
    }

    /// The course of a canary's weight; `now` is what it is now.
    pub fn course<'a>(&self, canary: &Key, events: impl Iterator<Item = &'a EventRecord>, now: u8) -> Course {
        let told =
            events.filter_map(|event| Some(Change { at: event.last?.timestamp(), weight: told(&event.message)? }));
        let seen = self.0.get(canary);
        let own = seen.into_iter().flatten().map(|seen| Change { at: seen.at, weight: seen.to });
        let mut changes: Vec<Change> = told.chain(own).collect();
        changes.sort_by_key(|change| change.at);
        changes.dedup_by_key(|change| change.weight);
        let first_seen = seen.and_then(|seen| seen.front());
        let before = match (changes.first(), first_seen) {
            (None, _) => Some(now),
            (Some(first), Some(seen)) if first.at >= seen.at => Some(seen.from),
            _ => None,
        };
        Course { changes, before }
    }
}

impl Course {
    /// The weight at a time; None where nobody knows.
    pub fn at(&self, time: i64) -> Option<u8> {
        let last = self.changes.iter().rev().find(|change| change.at <= time);
        last.map(|change| change.weight).or(self.before)
    }
}

/// The weight that an Event's text tells of, by the words of Flagger.
fn told(message: &str) -> Option<u8> {
    let number = |text: &str| text.split_whitespace().next()?.parse::<u8>().ok().filter(|weight| *weight <= 100);
    if let Some((head, weight)) = message.split_once(" canary weight ") {
        return head.starts_with("Advance ").then(|| number(weight))?;
    }
    if let Some((head, weight)) = message.split_once(" primary weight ") {
        return head.starts_with("Advance ").then(|| number(weight))?.map(|primary| 100 - primary);
    }
    let back = ["Routing all traffic to primary", "Canary failed!", "Promotion completed!"];
    back.iter().any(|words| message.starts_with(words)).then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::scene::{event, time};

    fn key() -> Key {
        Key::new("prod", "app")
    }

    fn at(text: &str) -> i64 {
        time(text).timestamp()
    }

    #[test]
    fn events_and_what_was_seen_are_one_course() {
        let events = [
            event("app", "12:00:10", false, "Advance app.prod canary weight 10"),
            event("app", "12:01:10", false, "Advance app.prod canary weight 20"),
            event("app", "12:01:40", true, "Halt app.prod advancement success rate 80.00% < 99%"),
            event("app", "12:02:10", true, "Canary failed! Scaling down app.prod"),
        ];
        let mut weights = Weights::default();
        weights.note(&key(), at("12:01:11"), 10, 20);
        weights.note(&key(), at("12:02:09"), 20, 0);
        let course = weights.course(&key(), events.iter(), 0);
        let seen: Vec<u8> = course.changes.iter().map(|change| change.weight).collect();
        assert_eq!(seen, [10, 20, 0]);
        assert_eq!(course.at(at("12:00:00")), None, "nobody knows");
        assert_eq!((course.at(at("12:00:10")), course.at(at("12:02:00"))), (Some(10), Some(20)));
        assert_eq!(course.at(at("12:02:09")), Some(0));
    }

    #[test]
    fn before_the_first_change_that_was_seen_the_weight_is_known() {
        let mut weights = Weights::default();
        assert_eq!(weights.course(&key(), [].iter(), 30).at(0), Some(30), "it never changed");
        weights.note(&key(), 100, 5, 15);
        assert_eq!(weights.course(&key(), [].iter(), 15).at(0), Some(5));
        for at in 0..1000 {
            weights.note(&key(), at, (at % 100) as u8, ((at + 1) % 100) as u8);
        }
        assert_eq!(weights.course(&key(), [].iter(), 0).changes.len(), KEPT);
        weights.keep(|_| false);
        assert!(weights.0.is_empty());
    }

    #[test]
    fn texts_that_tell_no_weight_are_none() {
        assert_eq!(told("Advance app.prod primary weight 70"), Some(30));
        for text in
            ["Advance app.prod canary weight 101", "Advance app.prod canary weight x", "", "Halt canary weight 5"]
        {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
