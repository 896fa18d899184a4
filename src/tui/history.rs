//! The measurements of the last while, kept per workload and bounded.

use super::row::Key;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, VecDeque};

/// Samples that are kept of a workload.
const KEPT: usize = 360;

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

/// The samples of all workloads, by their Deployments. `f32` halves what a console over many canaries needs, and is
/// finer than any chart; the figures on screen come from the latest measures, which are kept whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    samples: BTreeMap<Key, VecDeque<Sample>>,
    /// The latest measures, and when they were taken.
    latest: BTreeMap<Key, Measures>,
    /// When the newest measures were taken.
    pub at: Option<DateTime<Utc>>,
}

impl History {
    /// Takes in what was measured of all workloads at one time; a workload that is missing has a gap there.
    /// `span` is the time in seconds for which the measures stand.
    pub fn record(&mut self, at: DateTime<Utc>, span: i64, measured: BTreeMap<Key, Measures>) {
        for (workload, measures) in &measured {
            self.samples.entry(workload.clone()).or_default().push_back(Sample::of(at, span, measures));
        }
        for samples in self.samples.values_mut() {
            while samples.len() > KEPT {
                samples.pop_front();
            }
        }
        let oldest = at.timestamp() - 24 * 3600;
        self.samples.retain(|_, samples| samples.back().is_some_and(|sample| sample.at > oldest));
        self.latest = measured;
        self.at = Some(at);
    }

    /// Puts samples of a time before the first one that is kept, as Prometheus remembers them.
    /// `span` is the time in seconds between two of them.
    pub fn fill(&mut self, workload: &Key, span: i64, earlier: &[(DateTime<Utc>, Measures)]) {
        let samples = self.samples.entry(workload.clone()).or_default();
        let first = samples.front().map_or(i64::MAX, |sample| sample.at);
        let newest = earlier.iter().rev().map(|(at, _)| at.timestamp()).find(|at| *at < first);
        // What is remembered ends where the first sample of our own begins.
        if let (Some(own), Some(newest)) = (samples.front_mut(), newest)
            && own.at - newest <= 2 * span
        {
            own.span = own.span.max(u16::try_from(own.at - newest).unwrap_or(1));
        }
        for (at, measures) in earlier.iter().rev().filter(|(at, _)| at.timestamp() < first) {
            if samples.len() >= KEPT {
                break;
            }
            samples.push_front(Sample::of(*at, span, measures));
        }
    }

    /// The latest value of a workload.
    pub fn latest(&self, workload: &Key, metric: Metric) -> Option<f64> {
        self.latest.get(workload)?.get(metric)
    }

    /// A metric of a workload on a grid: `columns` values that end at the newest sample, one per `step` seconds; None
    /// where nothing was measured.
    pub fn columns(&self, workload: &Key, metric: Metric, columns: usize, step: i64) -> Vec<Option<f64>> {
        let mut values = vec![None; columns];
        let (Some(samples), Some(end)) = (self.samples.get(workload), self.at) else { return values };
        let step = step.max(1);
        let mut newest_first = samples.iter().rev().peekable();
        for back in 0..columns {
            // A column shows what held in its middle; doubled, to stay whole.
            let middle = 2 * (end.timestamp() - back as i64 * step) - step;
            // A second of patience: times are whole seconds, and a sample may come a little late.
            let begins = |sample: &Sample| 2 * (sample.at - i64::from(sample.span) - 1);
            while newest_first.next_if(|sample| begins(sample) >= middle).is_some() {}
            let Some(sample) = newest_first.peek() else { break };
            let value = f64::from(sample.values[metric as usize]);
            if 2 * sample.at >= middle && value.is_finite() {
                values[columns - 1 - back] = Some(value);
            }
        }
        values
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

    fn record(history: &mut History, second: i64, value: Option<f64>) {
        history.record(at(second), 5, BTreeMap::from([(app(), Measures([value; METRICS]))]));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let mut history = History::default();
        for (second, value) in [(0, Some(1.0)), (5, None), (10, Some(3.0)), (21, Some(5.0))] {
            record(&mut history, second, value);
        }
        assert_eq!(history.columns(&app(), Metric::Cpu, 6, 5), [None, Some(1.0), None, Some(3.0), None, Some(5.0)]);
        assert_eq!(history.latest(&app(), Metric::P99), Some(5.0));
        assert_eq!(history.latest(&Key::new("other", "app"), Metric::P99), None);
    }

    #[test]
    fn a_sample_stands_for_the_time_since_the_one_before() {
        let mut history = History::default();
        for second in [0, 15, 30] {
            let measured = BTreeMap::from([(app(), Measures([Some(second as f64); METRICS]))]);
            history.record(at(second), 15, measured);
        }
        let wanted = [0.0, 15.0, 15.0, 15.0, 30.0, 30.0, 30.0].map(Some);
        assert_eq!(history.columns(&app(), Metric::Cpu, 7, 5), wanted);
    }

    #[test]
    fn infinity_and_nan_are_no_values() {
        let mut history = History::default();
        record(&mut history, 0, Some(f64::NAN));
        record(&mut history, 5, Some(f64::INFINITY));
        assert_eq!(history.latest(&app(), Metric::Cpu), None);
        assert_eq!(history.columns(&app(), Metric::Cpu, 2, 5), [None, None]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut history = History::default();
        for second in 0..2000 {
            record(&mut history, second, Some(1.0));
        }
        assert_eq!(history.samples[&app()].len(), KEPT);
    }

    #[test]
    fn earlier_samples_go_before_the_first() {
        let mut history = History::default();
        record(&mut history, 10, Some(3.0));
        let earlier = [
            (at(0), Measures([Some(1.0); METRICS])),
            (at(5), Measures([Some(2.0); METRICS])),
            (at(10), Measures::default()),
        ];
        history.fill(&app(), 5, &earlier);
        assert_eq!(history.columns(&app(), Metric::Success, 3, 5), [Some(1.0), Some(2.0), Some(3.0)]);
    }
}
