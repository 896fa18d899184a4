//! Writes what a scrape of any target gives into a [`History`], with the ends of series that a scraper would notice.
//!
//! It must never interpret a sample. The simulator, which knows each of its series, writes to the history itself.

use std::collections::BTreeMap;

use super::history::{History, TrackId, Unit};
use super::labels::Labels;

/// A history that is written scrape by scrape.
#[derive(Debug)]
pub struct Recorder {
    history: History,
    open: BTreeMap<Labels, TrackId>,
}

impl Recorder {
    /// An empty history that keeps at most so many scrapes (at least two).
    pub fn new(capacity: usize) -> Self {
        Self { history: History::new(capacity), open: BTreeMap::new() }
    }

    /// Records all that one scrape gave, at a moment in milliseconds since 1970 that is later than the one before. A
    /// series that the scrape before had and this one has not ends here. Of two samples of one series the first counts.
    pub fn scrape(&mut self, at: i64, samples: impl IntoIterator<Item = (Labels, f64)>) {
        let samples: Vec<(Labels, f64)> = samples.into_iter().collect();
        let mut before = std::mem::take(&mut self.open);
        let kept: Vec<Option<TrackId>> = samples.iter().map(|(labels, _)| before.remove(labels)).collect();
        for ended in before.into_values() {
            self.history.close(ended);
        }
        self.history.begin_scrape(at);
        for ((labels, value), id) in samples.into_iter().zip(kept) {
            let id = id.unwrap_or_else(|| self.history.open(&labels, Unit::Float));
            self.history.push(id, value);
            self.open.insert(labels, id);
        }
    }

    /// What has been recorded.
    pub fn history(&self) -> &History {
        &self.history
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::promql;

    #[test]
    fn what_a_scrape_does_not_have_ends_there_and_may_come_back() {
        let mut recorder = Recorder::new(10);
        let pod = |name| Labels::new([("__name__", "up"), ("pod", name)]);
        recorder.scrape(1000, [(pod("a"), 1.0), (pod("b"), 1.0)]);
        recorder.scrape(2000, [(pod("b"), 2.0)]);
        recorder.scrape(3000, [(pod("b"), 3.0), (pod("a"), 4.0)]);
        let there = |at| match promql::instant(recorder.history(), "up", at, None) {
            Ok(promql::Value::Vector(samples)) => samples.iter().map(|sample| sample.value).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(there(1999), [1.0, 1.0]);
        assert_eq!(there(2000), [2.0]);
        assert_eq!(there(3000), [4.0, 3.0]);
    }
}
