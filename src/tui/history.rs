//! The measurements of the last while, kept per workload and bounded.

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
}

impl Metric {
    /// All of them, in the order of the screen.
    pub const ALL: [Metric; 4] = [Metric::Cpu, Metric::Memory, Metric::Success, Metric::P99];

    /// The word on the screen.
    pub fn label(self) -> &'static str {
        match self {
            Metric::Cpu => "CPU",
            Metric::Memory => "Memory",
            Metric::Success => "Success",
            Metric::P99 => "P99",
        }
    }
}

/// One workload at one time: CPU in cores, memory in bytes, success in percent, P99 in milliseconds; in the order of
/// [`Metric::ALL`]. No value is None, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures(pub [Option<f64>; 4]);

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
    values: [f32; 4],
}

impl Sample {
    fn of(at: DateTime<Utc>, span: i64, measures: &Measures) -> Self {
        let values = measures.0.map(|value| value.map_or(f32::NAN, |value| value as f32));
        Self { at: at.timestamp(), span: u16::try_from(span).unwrap_or(1).max(1), values }
    }
}

/// The samples of all workloads, by Deployment name. `f32` halves what a console over many canaries needs, and is
/// finer than any chart; the figures on screen come from the latest measures, which are kept whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    samples: BTreeMap<String, VecDeque<Sample>>,
    /// The latest measures, and when they were taken.
    latest: BTreeMap<String, Measures>,
    /// When the newest measures were taken.
    pub at: Option<DateTime<Utc>>,
}

impl History {
    /// Takes in what was measured of all workloads at one time; a workload that is missing has a gap there.
    /// `span` is the time in seconds for which the measures stand.
    pub fn record(&mut self, at: DateTime<Utc>, span: i64, measured: BTreeMap<String, Measures>) {
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
    pub fn fill(&mut self, workload: &str, span: i64, earlier: &[(DateTime<Utc>, Measures)]) {
        let samples = self.samples.entry(workload.to_string()).or_default();
        let first = samples.front().map_or(i64::MAX, |sample| sample.at);
        for (at, measures) in earlier.iter().rev().filter(|(at, _)| at.timestamp() < first) {
            if samples.len() >= KEPT {
                break;
            }
            samples.push_front(Sample::of(*at, span, measures));
        }
    }

    /// The latest value of a workload.
    pub fn latest(&self, workload: &str, metric: Metric) -> Option<f64> {
        self.latest.get(workload)?.get(metric)
    }

    /// A metric of a workload on a grid: `columns` values that end at the newest sample, one per `step` seconds; None
    /// where nothing was measured.
    pub fn columns(&self, workload: &str, metric: Metric, columns: usize, step: i64) -> Vec<Option<f64>> {
        let mut values = vec![None; columns];
        let (Some(samples), Some(end)) = (self.samples.get(workload), self.at) else { return values };
        let step = step.max(1);
        for sample in samples.iter().rev() {
            // Rounded to the nearest column, so that a sample that came a little late leaves no gap.
            let newest = (end.timestamp() - sample.at + step / 2) / step;
            let Ok(newest) = usize::try_from(newest) else { continue };
            if newest >= columns {
                break;
            }
            let value = f64::from(sample.values[metric as usize]);
            let stands_for = usize::try_from(i64::from(sample.span) / step).unwrap_or(1).max(1);
            for back in newest..(newest + stands_for).min(columns) {
                let column = columns - 1 - back;
                if value.is_finite() && values[column].is_none() {
                    values[column] = Some(value);
                }
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

    fn record(history: &mut History, second: i64, value: Option<f64>) {
        history.record(at(second), 5, BTreeMap::from([("app".to_string(), Measures([value; 4]))]));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let mut history = History::default();
        for (second, value) in [(0, Some(1.0)), (5, None), (10, Some(3.0)), (21, Some(5.0))] {
            record(&mut history, second, value);
        }
        assert_eq!(history.columns("app", Metric::Cpu, 6, 5), [None, Some(1.0), None, Some(3.0), None, Some(5.0)]);
        assert_eq!(history.latest("app", Metric::P99), Some(5.0));
        assert_eq!(history.latest("other", Metric::P99), None);
    }

    #[test]
    fn a_sample_stands_for_the_time_since_the_one_before() {
        let mut history = History::default();
        for second in [0, 15, 30] {
            let measured = BTreeMap::from([("app".to_string(), Measures([Some(second as f64); 4]))]);
            history.record(at(second), 15, measured);
        }
        let wanted = [0.0, 15.0, 15.0, 15.0, 30.0, 30.0, 30.0].map(Some);
        assert_eq!(history.columns("app", Metric::Cpu, 7, 5), wanted);
    }

    #[test]
    fn infinity_and_nan_are_no_values() {
        let mut history = History::default();
        record(&mut history, 0, Some(f64::NAN));
        record(&mut history, 5, Some(f64::INFINITY));
        assert_eq!(history.latest("app", Metric::Cpu), None);
        assert_eq!(history.columns("app", Metric::Cpu, 2, 5), [None, None]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut history = History::default();
        for second in 0..2000 {
            record(&mut history, second, Some(1.0));
        }
        assert_eq!(history.samples["app"].len(), KEPT);
    }

    #[test]
    fn earlier_samples_go_before_the_first() {
        let mut history = History::default();
        record(&mut history, 10, Some(3.0));
        let earlier =
            [(at(0), Measures([Some(1.0); 4])), (at(5), Measures([Some(2.0); 4])), (at(10), Measures::default())];
        history.fill("app", 5, &earlier);
        assert_eq!(history.columns("app", Metric::Success, 3, 5), [Some(1.0), Some(2.0), Some(3.0)]);
    }
}
