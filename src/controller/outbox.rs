//! Events that are still to be written, by Canary. They outlive the worker that could not write them: a lease that is lost
//! and taken again costs none, and neither does a worker that is dropped in the middle of a write.
//!
//! Nothing waits for them; beyond a bound the oldest go, and the log has them.

use crate::cluster::events::Draft;
use crate::cluster::records::CanaryRecord;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events that are kept of one Canary.
const MOST: usize = 256;

/// The Events of one Canary that are still to be written, in the order in which they were said. Clones share them.
#[derive(Clone, Default)]
pub struct Outbox {
    drafts: Arc<Mutex<VecDeque<Draft>>>,
}

impl Outbox {
    /// Keeps an Event until it is written; one that is kept already keeps its place.
    pub fn put(&self, draft: &Draft) {
        let mut drafts = self.lock();
        if drafts.iter().any(|kept| is_same(kept, draft)) {
            return;
        }
        if drafts.len() >= MOST {
            drafts.pop_front();
        }
        drafts.push_back(draft.clone());
    }

    /// It is written.
    pub fn remove(&self, draft: &Draft) {
        self.lock().retain(|kept| !is_same(kept, draft));
    }

    /// The one that waits longest.
    pub fn first(&self) -> Option<Draft> {
        self.lock().front().cloned()
    }

    /// This occurrence of an Event, where it waits.
    pub fn find(&self, name: &str, occurrence: &str) -> Option<Draft> {
        self.lock().iter().find(|kept| kept.name == name && kept.occurrence == occurrence).cloned()
    }

    /// Whether this occurrence of an Event waits.
    pub fn holds(&self, name: &str, occurrence: &str) -> bool {
        self.find(name, occurrence).is_some()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Draft>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(one: &Draft, other: &Draft) -> bool {
    one.name == other.name && one.occurrence == other.occurrence
}

/// The outboxes of a namespace. Clones share them.
#[derive(Clone, Default)]
pub struct Outboxes {
    boxes: Arc<Mutex<BTreeMap<String, Outbox>>>,
}

impl Outboxes {
    /// The one of a Canary.
    pub fn of(&self, canary: &str) -> Outbox {
        self.lock().entry(canary.to_string()).or_default().clone()
    }

    /// What is still to be said of Canaries that are no more is said to nobody.
    pub fn forget_all_but(&self, canaries: &BTreeMap<String, CanaryRecord>) {
        self.lock().retain(|canary, _| canaries.contains_key(canary));
    }

    /// All in which something waits.
    pub fn waiting(&self) -> Vec<(String, Outbox)> {
        let boxes = self.lock();
        let waiting = boxes.iter().filter(|(_, outbox)| !outbox.is_empty());
        waiting.map(|(canary, outbox)| (canary.clone(), outbox.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Outbox>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(name: &str, occurrence: &str) -> Draft {
        let (reason, message) = ("Synced".to_string(), String::new());
        Draft { name: name.into(), occurrence: occurrence.into(), warning: false, reason, message }
    }

    #[test]
    fn an_event_waits_once_and_in_its_place_until_it_is_written() {
        let outboxes = Outboxes::default();
        let outbox = outboxes.of("app");
        for (name, occurrence) in [("a", "1"), ("b", "1"), ("a", "1"), ("a", "2")] {
            outbox.put(&draft(name, occurrence));
        }
        let again = outboxes.of("app");
        assert!(again.holds("a", "2") && !again.holds("b", "2"));
        again.remove(&draft("a", "1"));
        assert_eq!(again.first().map(|d| d.name), Some("b".to_string()));
        again.remove(&draft("b", "1"));
        again.remove(&draft("a", "2"));
        assert!(outbox.is_empty() && outboxes.waiting().is_empty());
    }

    #[test]
    fn the_oldest_go_beyond_the_bound() {
        let outbox = Outbox::default();
        (0..=MOST).for_each(|n| outbox.put(&draft(&n.to_string(), "")));
        assert_eq!(outbox.first().map(|d| d.name), Some("1".to_string()));
    }
}
