//! The samples that a Prometheus would have scraped, for a bounded time, in little memory.
//!
//! All series are sampled at the same moments, so the moments are kept once. A series is there for one or more
//! lives; where a life ends stands what Prometheus calls a stale marker. It must never interpret a query: see
//! `promql` for that.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use promql_parser::label::{MatchOp, Matcher};

use super::istio::{self, COLUMNS, Era, Part, Row};
use super::labels::{Labels, METRIC_NAME};

/// One sample: the moment in milliseconds since 1970, and the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The value.
    pub value: f64,
}

/// How the values of a series are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Whole multiples of this amount, below 2³²: half the memory of a float.
    Whole(f64),
    /// Any float.
    Float,
}

/// A series that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackId(usize);

/// A histogram that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramId(usize);

/// Dead series are looked for only every so many scrapes; until then they cost memory and nothing else.
const SWEEP_EVERY: u64 = 32;

/// All samples of the retention time.
#[derive(Debug)]
pub struct History {
    stamps: VecDeque<i64>,
    /// The number of the scrape that `stamps` begins with.
    first: u64,
    capacity: usize,
    tracks: Vec<Option<Track>>,
    histograms: Vec<Option<Histogram>>,
    track_index: BTreeMap<Arc<str>, BTreeMap<Labels, usize>>,
    histogram_index: BTreeMap<Labels, usize>,
    histogram_names: Vec<(Arc<str>, Era, Part)>,
}

#[derive(Debug)]
struct Track {
    labels: Labels,
    presence: Presence,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Whole { unit: f64, values: VecDeque<u32> },
    Float(VecDeque<f64>),
}

#[derive(Debug)]
struct Histogram {
    base: Labels,
    presence: Presence,
    rows: VecDeque<Row>,
}

/// In which scrapes a series has a sample.
#[derive(Debug)]
struct Presence {
    /// The scrape number of the first value kept.
    first: u64,
    /// In order and apart; the last may still be open.
    lives: Vec<Life>,
    /// Somebody holds its id and may write to it.
    held: bool,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    from: u64,
    /// The scrape at which the stale marker stands.
    to: Option<u64>,
}

impl History {
    /// An empty history that keeps at most so many scrapes (at least two).
    pub fn new(capacity: usize) -> Self {
        Self {
            stamps: VecDeque::new(),
            first: 0,
            capacity: capacity.max(2),
            tracks: Vec::new(),
            histograms: Vec::new(),
            track_index: BTreeMap::new(),
            histogram_index: BTreeMap::new(),
            histogram_names: istio::histogram_names(),
        }
    }

    /// Begins a scrape at a moment in milliseconds since 1970, which must be later than the one before (else it is
    /// taken as one millisecond after it). Every open series is to be pushed once before the next.
    pub fn begin_scrape(&mut self, at: i64) {
        let at = self.stamps.back().map_or(at, |last| at.max(last + 1));
        self.stamps.push_back(at);
        if self.stamps.len() > self.capacity {
            self.stamps.pop_front();
            self.first += 1;
            if self.first.is_multiple_of(SWEEP_EVERY) {
                self.sweep();
            }
        }
    }

    /// Opens a series, or one that has ended again. Its first sample is the next one pushed.
    pub(super) fn open(&mut self, labels: &Labels, unit: Unit) -> TrackId {
        let name: Arc<str> = Arc::from(labels.metric_name());
        let index = self.track_index.entry(name).or_default();
        if let Some(at) = index.get(labels) {
            if let Some(track) = &mut self.tracks[*at] {
                track.presence.held = true;
            }
            return TrackId(*at);
        }
        let track = Track {
            labels: labels.clone(),
            presence: Presence::default(),
            values: match unit {
                Unit::Whole(unit) => Values::Whole { unit, values: VecDeque::new() },
                Unit::Float => Values::Float(VecDeque::new()),
            },
        };
        let at = place(&mut self.tracks, track);
        index.insert(labels.clone(), at);
        TrackId(at)
    }

    /// Opens a histogram of request durations under these labels (without name and `le`).
    pub(super) fn open_histogram(&mut self, base: &Labels) -> HistogramId {
        if let Some(at) = self.histogram_index.get(base) {
            if let Some(histogram) = &mut self.histograms[*at] {
                histogram.presence.held = true;
            }
            return HistogramId(*at);
        }
        let histogram = Histogram { base: base.clone(), presence: Presence::default(), rows: VecDeque::new() };
        let at = place(&mut self.histograms, histogram);
        self.histogram_index.insert(base.clone(), at);
        HistogramId(at)
    }

    /// Writes the sample of the present scrape.
    pub(super) fn push(&mut self, id: TrackId, value: f64) {
        let (first, now) = (self.first, self.scrape_now());
        let Some(track) = self.tracks.get_mut(id.0).and_then(Option::as_mut) else {
            return;
        };
        match &mut track.values {
            Values::Whole { unit, values } => {
                let whole = (value / *unit).round() as u32;
                track.presence.push(values, whole, first, now);
            }
            Values::Float(values) => track.presence.push(values, value, first, now),
        }
    }

    /// Writes a histogram's sample of the present scrape.
    pub(super) fn push_histogram(&mut self, id: HistogramId, row: Row) {
        let (first, now) = (self.first, self.scrape_now());
        if let Some(histogram) = self.histograms.get_mut(id.0).and_then(Option::as_mut) {
            histogram.presence.push(&mut histogram.rows, row, first, now);
        }
    }

    /// Ends a series: from the next scrape on it is stale.
    pub(super) fn close(&mut self, id: TrackId) {
        let end = self.scrape_now() + 1;
        if let Some(track) = self.tracks.get_mut(id.0).and_then(Option::as_mut) {
            track.presence.close(end);
        }
    }

    /// Ends a histogram.
    pub(super) fn close_histogram(&mut self, id: HistogramId) {
        let end = self.scrape_now() + 1;
        if let Some(histogram) = self.histograms.get_mut(id.0).and_then(Option::as_mut) {
            histogram.presence.close(end);
        }
    }

    /// The number of the last scrape.
    fn scrape_now(&self) -> u64 {
        (self.first + self.stamps.len() as u64).saturating_sub(1)
    }

    /// The moment of the last scrape, in milliseconds since 1970.
    pub fn last_scrape(&self) -> Option<i64> {
        self.stamps.back().copied()
    }

    /// The moment of a scrape that is kept.
    fn stamp(&self, scrape: u64) -> i64 {
        let at = scrape.saturating_sub(self.first) as usize;
        self.stamps.get(at).copied().unwrap_or(i64::MAX)
    }

    /// The scrapes between two moments, both included.
    pub fn scrapes_between(&self, from: i64, to: i64) -> Range<u64> {
        let begin = self.first + self.stamps.partition_point(|at| *at < from) as u64;
        let end = self.first + self.stamps.partition_point(|at| *at <= to) as u64;
        begin..end.max(begin)
    }

    /// All names of metrics that have samples.
    pub fn metric_names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.track_index.keys().cloned().collect();
        if !self.histogram_index.is_empty() {
            names.extend(self.histogram_names.iter().map(|(name, ..)| Arc::clone(name)));
        }
        names
    }

    /// All series that every matcher accepts, in the order of their labels.
    pub fn select(&self, matchers: &[Matcher]) -> Vec<Selected<'_>> {
        let mut ordered: Vec<&Matcher> = matchers.iter().collect();
        ordered.sort_by_key(|matcher| !matches!(matcher.op, MatchOp::Equal | MatchOp::NotEqual));
        let (on_name, on_labels): (Vec<&Matcher>, Vec<&Matcher>) =
            ordered.into_iter().partition(|matcher| matcher.name == METRIC_NAME);
        let wants = |name: &str| on_name.iter().all(|matcher| matcher.is_match(name));

        let mut found = Vec::new();
        for (_, index) in self.track_index.iter().filter(|(name, _)| wants(name)) {
            for (labels, at) in index {
                if let Some(track) = self.tracks[*at].as_ref()
                    && on_labels.iter().all(|matcher| matcher.is_match(labels.get(&matcher.name)))
                {
                    found.push(Selected { labels: labels.clone(), history: self, source: Source::Track(track) });
                }
            }
        }
        for (name, era, part) in self.histogram_names.iter().filter(|(name, ..)| wants(name)) {
            self.select_histograms(name, *era, *part, &on_labels, &mut found);
        }
        found
    }

    fn select_histograms<'a>(
        &'a self,
        name: &Arc<str>,
        era: Era,
        part: Part,
        matchers: &[&Matcher],
        found: &mut Vec<Selected<'a>>,
    ) {
        let (on_bound, on_base): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().copied().partition(|matcher| matcher.name == istio::BOUND_LABEL);
        let accepts = |bound: &str| on_bound.iter().all(|matcher| matcher.is_match(bound));
        for (base, at) in &self.histogram_index {
            let Some(histogram) = self.histograms[*at].as_ref() else {
                continue;
            };
            if !on_base.iter().all(|matcher| matcher.is_match(base.get(&matcher.name))) {
                continue;
            }
            let mut add = |labels: Labels, source| {
                found.push(Selected { labels, history: self, source });
            };
            match part {
                Part::Sum if accepts("") => {
                    let unit = era.milliseconds();
                    add(base.named(name), Source::Sum(histogram, unit));
                }
                Part::Count if accepts("") => {
                    add(base.named(name), Source::Column(histogram, COLUMNS - 1));
                }
                Part::Sum | Part::Count => {}
                Part::Bucket => {
                    for (bucket, bound) in istio::bounds(era).enumerate() {
                        if accepts(&bound) {
                            let labels = base.with(istio::BOUND_LABEL, &bound).named(name);
                            add(labels, Source::Column(histogram, istio::column(bucket)));
                        }
                    }
                }
            }
        }
    }

    fn sweep(&mut self) {
        let first = self.first;
        for slot in &mut self.tracks {
            if let Some(track) = slot
                && track.presence.is_over(first)
            {
                if let Some(index) = self.track_index.get_mut(track.labels.metric_name()) {
                    index.remove(&track.labels);
                }
                *slot = None;
            }
        }
        for slot in &mut self.histograms {
            if let Some(histogram) = slot
                && histogram.presence.is_over(first)
            {
                self.histogram_index.remove(&histogram.base);
                *slot = None;
            }
        }
        self.track_index.retain(|_, index| !index.is_empty());
    }
}

fn place<T>(slots: &mut Vec<Option<T>>, item: T) -> usize {
    if let Some(free) = slots.iter().position(Option::is_none) {
        slots[free] = Some(item);
        free
    } else {
        slots.push(Some(item));
        slots.len() - 1
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self { first: 0, lives: Vec::new(), held: true }
    }
}

impl Presence {
    fn push<T: Copy>(&mut self, values: &mut VecDeque<T>, value: T, oldest: u64, now: u64) {
        if self.lives.last().is_none_or(|life| life.to.is_some()) {
            // A life that was opened again at its very stale marker goes on without a gap.
            match self.lives.last_mut() {
                Some(life) if life.to == Some(now) => life.to = None,
                _ => self.lives.push(Life { from: now, to: None }),
            }
        }
        if values.is_empty() {
            self.first = now;
        }
        while self.first + (values.len() as u64) < now {
            values.push_back(value);
        }
        if self.first + values.len() as u64 == now {
            values.push_back(value);
        }
        while self.first < oldest && values.len() > 1 {
            values.pop_front();
            self.first += 1;
        }
        self.lives.retain(|life| life.to.is_none_or(|to| to >= oldest));
    }

    fn close(&mut self, end: u64) {
        self.held = false;
        if let Some(life) = self.lives.last_mut() {
            life.to.get_or_insert(end);
        }
    }

    fn is_over(&self, oldest: u64) -> bool {
        !self.held && self.lives.iter().all(|life| life.to.is_some_and(|to| to < oldest))
    }

    /// The place of a scrape's value among the values kept.
    fn place_of(&self, scrape: u64) -> usize {
        scrape.saturating_sub(self.first) as usize
    }

    fn covers(&self, scrape: u64) -> bool {
        self.lives.iter().any(|life| life.from <= scrape && life.to.is_none_or(|to| scrape < to))
    }

    /// The parts of a range that lie within a life.
    fn within(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let (begin, end, first) = (range.start, range.end, self.first);
        self.lives.iter().filter_map(move |life| {
            let from = life.from.max(begin).max(first);
            let to = life.to.unwrap_or(u64::MAX).min(end);
            (from < to).then_some(from..to)
        })
    }
}

/// A series that a selector has found.
#[derive(Clone, Debug)]
pub struct Selected<'a> {
    /// Its labels.
    pub labels: Labels,
    history: &'a History,
    source: Source<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Track(&'a Track),
    Column(&'a Histogram, usize),
    Sum(&'a Histogram, f64),
}

impl Selected<'_> {
    /// The value that an instant selector gives at a moment: that of the last scrape between `oldest` and `at`, both
    /// included, unless the series has ended by then.
    pub fn value_at(&self, at: i64, oldest: i64) -> Option<Point> {
        let scrapes = self.history.scrapes_between(oldest, at);
        // A series has a sample in every scrape of its life, so that the last scrape decides alone.
        let last = scrapes.end.checked_sub(1).filter(|last| *last >= scrapes.start)?;
        if !self.presence().covers(last) {
            return None;
        }
        Some(Point { at: self.history.stamp(last), value: self.read(last)? })
    }

    /// All samples of a range of scrapes, appended in order of time.
    pub fn collect(&self, scrapes: &Range<u64>, into: &mut Vec<Point>) {
        for life in self.presence().within(scrapes) {
            for scrape in life {
                if let Some(value) = self.read(scrape) {
                    into.push(Point { at: self.history.stamp(scrape), value });
                }
            }
        }
    }

    /// Whether it has any sample in a range of scrapes.
    pub fn has_samples(&self, scrapes: &Range<u64>) -> bool {
        self.presence().within(scrapes).next().is_some()
    }

    fn presence(&self) -> &Presence {
        match self.source {
            Source::Track(track) => &track.presence,
            Source::Column(histogram, _) | Source::Sum(histogram, _) => &histogram.presence,
        }
    }

    fn read(&self, scrape: u64) -> Option<f64> {
        let at = self.presence().place_of(scrape);
        match self.source {
            Source::Track(track) => match &track.values {
                Values::Whole { unit, values } => values.get(at).map(|value| f64::from(*value) * unit),
                Values::Float(values) => values.get(at).copied(),
            },
            Source::Column(histogram, column) => histogram.rows.get(at).map(|row| f64::from(row.counts[column])),
            Source::Sum(histogram, unit) => histogram.rows.get(at).map(|row| row.sum / unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(history: &History, name: &str) -> Vec<Vec<f64>> {
        let matcher = Matcher::new(MatchOp::Equal, METRIC_NAME, name);
        let scrapes = history.scrapes_between(i64::MIN, i64::MAX);
        let mut series = Vec::new();
        for selected in history.select(&[matcher]) {
            let mut points = Vec::new();
            selected.collect(&scrapes, &mut points);
            series.push(points.into_iter().map(|point| point.value).collect());
        }
        series
    }

    #[test]
    fn a_series_ends_at_once_and_may_begin_again() {
        let mut history = History::new(100);
        let labels = Labels::new([("__name__", "up"), ("pod", "a")]);
        let matcher = Matcher::new(MatchOp::Equal, METRIC_NAME, "up");
        for second in 0..10 {
            history.begin_scrape(second * 1000);
            let id = history.open(&labels, Unit::Whole(1.0));
            if !(3..=6).contains(&second) {
                history.push(id, second as f64);
            }
            if second == 2 {
                history.close(id);
            }
        }
        let at = |second: i64| {
            let found = history.select(std::slice::from_ref(&matcher));
            found[0].value_at(second * 1000, i64::MIN).map(|point| point.value)
        };
        assert_eq!(at(2), Some(2.0));
        assert_eq!(at(3), None);
        assert_eq!(at(6), None);
        assert_eq!(at(7), Some(7.0));
        assert_eq!(all(&history, "up"), [[0.0, 1.0, 2.0, 7.0, 8.0, 9.0]]);
    }

    #[test]
    fn what_has_left_the_retention_is_gone() {
        let mut history = History::new(10);
        let labels = Labels::new([("__name__", "up")]);
        for second in 0..200 {
            history.begin_scrape(second * 1000);
            if second < 50 {
                let id = history.open(&labels, Unit::Float);
                history.push(id, second as f64);
                if second == 49 {
                    assert_eq!(all(&history, "up")[0].len(), 10);
                    history.close(id);
                }
            }
        }
        assert!(history.metric_names().is_empty());
        assert!(history.tracks.iter().all(Option::is_none));
    }

    #[test]
    fn both_ends_of_a_range_are_included() {
        let mut history = History::new(10);
        for at in [1000, 2000, 3000] {
            history.begin_scrape(at);
        }
        assert_eq!(history.scrapes_between(1000, 3000), 0..3);
        assert_eq!(history.scrapes_between(1001, 2999), 1..2);
        assert_eq!(history.scrapes_between(5000, 9000), 3..3);
    }
}
