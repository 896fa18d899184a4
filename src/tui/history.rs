//! The measurements of the last while: the latest of every workload, and those of a time for the few that were selected
//! last. Both are bounded.

use super::row::Key;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, VecDeque};

/// Samples that are kept of a workload for one range.
const KEPT: usize = 400;
/// Workloads of which samples are kept: those of the canaries selected last.
const FOLLOWED: usize = 16;

/// What is measured of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    Cpu,
    Memory,
    Success,
    P99,
    /// Requests a second.
    Rate,
}

/// How many metrics there are.
pub const METRICS: usize = Metric::ALL.len();

/// Why a metric has no values at all, in the order of [`Metric::ALL`].
pub type Problems = [Option<String>; METRICS];

impl Metric {
    /// All of them, in the order of the screen.
    pub const ALL: [Metric; 5] = [Metric::Cpu, Metric::Memory, Metric::Success, Metric::P99, Metric::Rate];

    /// The word on the screen.
    pub fn label(self) -> &'static str {
        match self {
            Metric::Cpu => "CPU",
            Metric::Memory => "Memory",
            Metric::Success => "Success",
            Metric::P99 => "P99",
            Metric::Rate => "Requests",
        }
    }
}

/// One workload at one time: CPU in cores, memory in bytes, success in percent, P99 in milliseconds, requests a second; in
/// the order of [`Metric::ALL`]. No value is None, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures(pub [Option<f64>; METRICS]);

impl Measures {
    /// One of the values.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0[metric as usize].filter(|value| value.is_finite())
    }
}

/// One workload at one time, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: i64,
    /// Seconds before `at` for which it stands: the time since the measurement before it was due.
    span: u16,
    values: [f32; METRICS],
}

impl Sample {
    fn of(at: DateTime<Utc>, span: i64, measures: &Measures) -> Self {
        let values = measures.0.map(|value| value.map_or(f32::NAN, |value| value as f32));
        Self { at: at.timestamp(), span: u16::try_from(span).unwrap_or(1).max(1), values }
    }
}

/// How far back the charts look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    FiveMinutes,
    #[default]
    Quarter,
    Hour,
    SixHours,
    Day,
}

impl Range {
    /// All of them, the shortest first.
    pub const ALL: [Range; 5] = [Range::FiveMinutes, Range::Quarter, Range::Hour, Range::SixHours, Range::Day];

    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Range::FiveMinutes => 300,
            Range::Quarter => 900,
            Range::Hour => 3600,
            Range::SixHours => 6 * 3600,
            Range::Day => 24 * 3600,
        }
    }

    /// Seconds between two samples of it.
    pub fn step(self) -> i64 {
        match self {
            Range::FiveMinutes | Range::Quarter => 5,
            Range::Hour => 15,
            Range::SixHours => 60,
            Range::Day => 300,
        }
    }

    /// The words on the screen.
    pub fn label(self) -> &'static str {
        match self {
            Range::FiveMinutes => "5 min",
            Range::Quarter => "15 min",
            Range::Hour => "1 h",
            Range::SixHours => "6 h",
            Range::Day => "24 h",
        }
    }

    /// The next longer one; the longest stays.
    pub fn longer(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::ALL.len() - 1)]
    }

    /// The next shorter one; the shortest stays.
    pub fn shorter(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }

    /// What is asked of Prometheus: the two shortest are asked for together.
    pub fn asked(self) -> Self {
        if self == Range::FiveMinutes { Range::Quarter } else { self }
    }

    /// Its place among the rings of a workload.
    fn ring(self) -> usize {
        self.asked() as usize - 1
    }
}

/// How far Prometheus has told what it remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Past {
    #[default]
    Unasked,
    Asked,
    There,
    Failed(String),
}

/// The samples of one workload for one range.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ring {
    samples: VecDeque<Sample>,
    past: Past,
}

/// One workload of which samples are kept.
#[derive(Clone, Debug, PartialEq)]
struct Track {
    workload: Key,
    rings: [Ring; Range::ALL.len() - 1],
}

/// One value of a workload: when, for how many seconds before that it stands, and what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: i64,
    pub span: i64,
    pub value: f64,
}

impl Point {
    /// The first second for which it stands. A second of patience: times are whole seconds, and a sample may come a
    /// little late.
    pub fn begins(&self) -> i64 {
        self.at - self.span - 1
    }
}

/// The measurements. `f32` halves what the samples need, and is finer than any chart; the figures on screen come from the
/// latest measures, which are kept whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The ones followed last first.
    tracks: VecDeque<Track>,
    /// The latest measures of all workloads.
    latest: BTreeMap<Key, Measures>,
    /// When the newest measures were taken.
    pub at: Option<DateTime<Utc>>,
}

impl History {
    /// Keeps the samples of these workloads from now on, and lets go of those that were followed longest ago.
    pub fn follow(&mut self, workloads: [&Key; 2]) {
        for workload in workloads.into_iter().rev() {
            if self.tracks.front().is_some_and(|track| track.workload == *workload) {
                continue;
            }
            let known = self.tracks.iter().position(|track| track.workload == *workload);
            let track = known.and_then(|at| self.tracks.remove(at));
            let track = track.unwrap_or_else(|| Track { workload: workload.clone(), rings: Default::default() });
            self.tracks.push_front(track);
        }
        self.tracks.truncate(FOLLOWED);
    }

    /// Takes in what was measured of all workloads at one time; a workload that is missing has a gap there.
    /// `span` is the time in seconds for which the measures stand.
    pub fn record(&mut self, at: DateTime<Utc>, span: i64, measured: BTreeMap<Key, Measures>) {
        for track in &mut self.tracks {
            let Some(measures) = measured.get(&track.workload) else { continue };
            for range in Range::ALL.into_iter().skip(1) {
                track.rings[range.ring()].append(at, span, measures, range);
            }
        }
        self.latest = measured;
        self.at = Some(at);
    }

    /// Notes that the past of these workloads is being asked for; false where it is there or on its way.
    pub fn ask(&mut self, workloads: [&Key; 2], range: Range) -> bool {
        let mut wanted = false;
        for track in self.tracks.iter_mut().filter(|track| workloads.contains(&&track.workload)) {
            let past = &mut track.rings[range.ring()].past;
            if matches!(past, Past::Unasked | Past::Failed(_)) {
                *past = Past::Asked;
                wanted = true;
            }
        }
        wanted
    }

    /// All pasts are as good as unasked: Prometheus was away, and may remember what was not heard.
    pub fn doubt(&mut self) {
        for ring in self.tracks.iter_mut().flat_map(|track| &mut track.rings) {
            ring.past = Past::Unasked;
        }
    }

    /// Takes in what Prometheus remembers of a workload, oldest first, in the place of what is kept of that time; the
    /// error says why it does not tell.
    pub fn fill(&mut self, workload: &Key, range: Range, told: Result<&[(DateTime<Utc>, Measures)], String>) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.workload == *workload) else { return };
        let ring = &mut track.rings[range.ring()];
        match told {
            Err(why) => ring.past = Past::Failed(why),
            Ok(told) => {
                ring.past = Past::There;
                ring.replace(told, range.step());
            }
        }
    }

    /// How far the past of a workload is known.
    pub fn past(&self, workload: &Key, range: Range) -> &Past {
        let track = self.tracks.iter().find(|track| track.workload == *workload);
        track.map_or(&Past::Unasked, |track| &track.rings[range.ring()].past)
    }

    /// The latest value of a workload.
    pub fn latest(&self, workload: &Key, metric: Metric) -> Option<f64> {
        self.latest.get(workload)?.get(metric)
    }

    /// The values of a metric in a range, oldest first.
    pub fn points(&self, workload: &Key, metric: Metric, range: Range) -> Vec<Point> {
        let Some(track) = self.tracks.iter().find(|track| track.workload == *workload) else { return Vec::new() };
        let samples = track.rings[range.ring()].samples.iter();
        let point = |sample: &Sample| Point {
            at: sample.at,
            span: sample.span.into(),
            value: f64::from(sample.values[metric as usize]),
        };
        samples.map(point).filter(|point| point.value.is_finite()).collect()
    }

    /// A metric of a workload on a grid: `columns` values that end at the newest sample, one per `step` seconds; None
    /// where nothing was measured.
    pub fn columns(&self, workload: &Key, metric: Metric, columns: usize, step: i64) -> Vec<Option<f64>> {
        let mut values = vec![None; columns];
        let Some(end) = self.at else { return values };
        let points = self.points(workload, metric, Range::Quarter);
        let step = step.max(1);
        let mut newest_first = points.iter().rev().peekable();
        for back in 0..columns {
            // A column shows what held in its middle; doubled, to stay whole.
            let middle = 2 * (end.timestamp() - back as i64 * step) - step;
            while newest_first.next_if(|point| 2 * point.begins() >= middle).is_some() {}
            let Some(point) = newest_first.peek() else { break };
            if 2 * point.at >= middle {
                values[columns - 1 - back] = Some(point.value);
            }
        }
        values
    }
}

impl Ring {
    /// Takes in a new sample, where one is due in this range.
    fn append(&mut self, at: DateTime<Utc>, span: i64, measures: &Measures, range: Range) {
        let step = range.step();
        let since = self.samples.back().map(|sample| at.timestamp() - sample.at);
        let fine = range.asked() == Range::Quarter;
        let span = match since {
            // Times are whole seconds, and a sample may come a little early.
            Some(since) if !fine && since < step - 1 => return,
            Some(since) if !fine && since <= 2 * step => since,
            _ => span,
        };
        self.samples.push_back(Sample::of(at, span, measures));
        while self.samples.len() > KEPT {
            self.samples.pop_front();
        }
    }

    fn replace(&mut self, told: &[(DateTime<Utc>, Measures)], step: i64) {
        let Some(newest) = told.last().map(|(at, _)| at.timestamp()) else { return };
        self.samples.retain(|sample| sample.at > newest);
        // What is remembered ends where the first sample of our own begins.
        if let Some(own) = self.samples.front_mut()
            && own.at - newest <= 2 * step
        {
            own.span = own.span.max(u16::try_from(own.at - newest).unwrap_or(1));
        }
        for (at, measures) in told.iter().rev().take(KEPT.saturating_sub(self.samples.len())) {
            self.samples.push_front(Sample::of(*at, step, measures));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + second, 0).unwrap()
    }

    fn app() -> Key {
        Key::new("prod", "app")
    }

    fn followed() -> History {
        let mut history = History::default();
        history.follow([&app(), &Key::new("prod", "app-primary")]);
        history
    }

    fn record(history: &mut History, second: i64, value: Option<f64>) {
        history.record(at(second), 5, BTreeMap::from([(app(), Measures([value; METRICS]))]));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let mut history = followed();
        for (second, value) in [(0, Some(1.0)), (5, None), (10, Some(3.0)), (21, Some(5.0))] {
            record(&mut history, second, value);
        }
        assert_eq!(history.columns(&app(), Metric::Cpu, 6, 5), [None, Some(1.0), None, Some(3.0), None, Some(5.0)]);
        assert_eq!(history.latest(&app(), Metric::P99), Some(5.0));
        assert_eq!(history.latest(&Key::new("other", "app"), Metric::P99), None);
    }

    #[test]
    fn a_sample_stands_for_the_time_since_the_one_before() {
        let mut history = followed();
        for second in [0, 15, 30] {
            let measured = BTreeMap::from([(app(), Measures([Some(second as f64); METRICS]))]);
            history.record(at(second), 15, measured);
        }
        let wanted = [0.0, 15.0, 15.0, 15.0, 30.0, 30.0, 30.0].map(Some);
        assert_eq!(history.columns(&app(), Metric::Cpu, 7, 5), wanted);
    }

    #[test]
    fn infinity_and_nan_are_no_values() {
        let mut history = followed();
        record(&mut history, 0, Some(f64::NAN));
        record(&mut history, 5, Some(f64::INFINITY));
        assert_eq!(history.latest(&app(), Metric::Cpu), None);
        assert_eq!(history.columns(&app(), Metric::Cpu, 2, 5), [None, None]);
    }

    #[test]
    fn what_is_kept_is_bounded_however_many_workloads_there_are() {
        let mut history = followed();
        for second in 0..2000 {
            let many = (0..50).map(|n| (Key::new("prod", &format!("x{n}")), Measures([Some(1.0); METRICS])));
            history.record(at(second), 1, many.chain([(app(), Measures([Some(1.0); METRICS]))]).collect());
        }
        assert_eq!(history.points(&app(), Metric::Cpu, Range::Quarter).len(), KEPT);
        assert!(history.points(&Key::new("prod", "x1"), Metric::Cpu, Range::Quarter).is_empty());
        assert_eq!(history.latest(&Key::new("prod", "x1"), Metric::Cpu), Some(1.0));
        for n in 0..100 {
            history.follow([&Key::new("prod", &format!("x{n}")), &Key::new("prod", &format!("y{n}"))]);
        }
        assert_eq!(history.tracks.len(), FOLLOWED);
        assert!(history.points(&app(), Metric::Cpu, Range::Quarter).is_empty(), "let go of");
    }

    #[test]
    fn a_long_range_takes_a_sample_when_one_is_due_and_spans_the_time_between() {
        let mut history = followed();
        for second in (0..=600).step_by(5) {
            record(&mut history, second, Some(second as f64));
        }
        let points = history.points(&app(), Metric::Cpu, Range::SixHours);
        let seen: Vec<(f64, i64)> = points.iter().map(|point| (point.value, point.span)).collect();
        assert_eq!(seen[..3], [(0.0, 5), (60.0, 60), (120.0, 60)]);
        assert_eq!((history.points(&app(), Metric::Cpu, Range::Day).len(), points.len()), (3, 11));
    }

    #[test]
    fn what_prometheus_remembers_takes_the_place_of_what_was_heard_and_leaves_what_is_newer() {
        let mut history = followed();
        record(&mut history, 5, Some(9.0));
        record(&mut history, 10, Some(3.0));
        let told = [(at(0), Measures([Some(1.0); METRICS])), (at(5), Measures([Some(2.0); METRICS]))];
        assert!(history.ask([&app(), &app()], Range::FiveMinutes));
        assert!(!history.ask([&app(), &app()], Range::Quarter), "it is on its way");
        assert_eq!(history.past(&app(), Range::Quarter), &Past::Asked);
        history.fill(&app(), Range::Quarter, Ok(&told));
        assert_eq!(history.columns(&app(), Metric::Success, 3, 5), [Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(history.past(&app(), Range::FiveMinutes), &Past::There);
        assert!(history.ask([&app(), &app()], Range::Hour), "each range is asked for by itself");
        history.fill(&app(), Range::Hour, Err("gone".into()));
        assert!(history.ask([&app(), &app()], Range::Hour), "what failed is asked for again");
        history.doubt();
        assert!(history.ask([&app(), &app()], Range::Quarter));
    }
}
