//! `rate`, `increase`, `delta` and their kin: how fast a series moves over a range.

use super::value::Window;
use crate::traffic::history::Point;

/// What is asked of a range's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slope {
    /// A counter, a second.
    Rate,
    /// A counter, over the range.
    Increase,
    /// A gauge, over the range.
    Delta,
}

/// The slope between the first and the last sample, stretched to the whole range where the samples reach near its
/// ends, and by half a sample's distance where they do not. A counter that was zero within the range is stretched to
/// there and no further, whatever the distance is (from 2.52 on the half distance comes first).
pub(super) fn extrapolated(points: &[Point], window: &Window, slope: Slope) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let is_counter = slope != Slope::Delta;
    let mut risen = last.value - first.value;
    if is_counter {
        for pair in points.windows(2) {
            if pair[1].value < pair[0].value {
                risen += pair[0].value;
            }
        }
    }
    let sampled = (last.at - first.at) as f64 / 1000.0;
    let between_samples = sampled / (points.len() - 1) as f64;
    let near = between_samples * 1.1;

    let mut before = (first.at - window.from) as f64 / 1000.0;
    if is_counter && risen > 0.0 && first.value >= 0.0 {
        before = before.min(sampled * (first.value / risen));
    }
    if before >= near {
        before = between_samples / 2.0;
    }
    let mut after = (window.to - last.at) as f64 / 1000.0;
    if after >= near {
        after = between_samples / 2.0;
    }
    let mut factor = (sampled + before + after) / sampled;
    if slope == Slope::Rate {
        factor /= window.seconds();
    }
    Some(risen * factor)
}

/// The slope between the last two samples; a second for `irate`, plain for `idelta`.
pub(super) fn instantaneous(points: &[Point], is_rate: bool) -> Option<f64> {
    let [.., before, last] = points else {
        return None;
    };
    let risen = if is_rate && last.value < before.value { last.value } else { last.value - before.value };
    let milliseconds = last.at - before.at;
    if milliseconds == 0 {
        return None;
    }
    Some(if is_rate { risen / (milliseconds as f64 / 1000.0) } else { risen })
}

/// How often a counter was reset.
pub(super) fn resets(points: &[Point]) -> f64 {
    points.windows(2).filter(|pair| pair[1].value < pair[0].value).count() as f64
}

/// How often a value changed. NaN after NaN is no change.
pub(super) fn changes(points: &[Point]) -> f64 {
    points
        .windows(2)
        .filter(|pair| pair[0].value != pair[1].value && !(pair[0].value.is_nan() && pair[1].value.is_nan()))
        .count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(samples: &[(i64, f64)]) -> Vec<Point> {
        samples.iter().map(|(second, value)| Point { at: second * 1000, value: *value }).collect()
    }

    fn window(from: i64, to: i64) -> Window {
        Window { series: Vec::new(), from: from * 1000, to: to * 1000 }
    }

    #[test]
    fn stretches_to_the_whole_range_when_samples_reach_near_its_ends() {
        // 6 a second over 40 s of a 50 s range; both ends are 5 s away, less than 11 s.
        let samples = points(&[(5, 1000.0), (15, 1060.0), (25, 1120.0), (35, 1180.0), (45, 1240.0)]);
        assert_eq!(extrapolated(&samples, &window(0, 50), Slope::Increase), Some(300.0));
        assert_eq!(extrapolated(&samples, &window(0, 50), Slope::Rate), Some(6.0));
    }

    #[test]
    fn stretches_by_half_a_step_when_the_series_begins_within_the_range() {
        // First sample 30 s into the range: 5 s before it; last one at the end: nothing after.
        let samples = points(&[(30, 1000.0), (40, 1060.0), (50, 1120.0)]);
        assert_eq!(extrapolated(&samples, &window(0, 50), Slope::Increase), Some(120.0 * 25.0 / 20.0));
    }

    #[test]
    fn a_counter_is_not_stretched_below_zero() {
        // It was zero 2 s before the first sample: 2 s are added, not 5.
        let samples = points(&[(5, 10.0), (15, 60.0)]);
        assert_eq!(extrapolated(&samples, &window(0, 15), Slope::Increase), Some(50.0 * 12.0 / 10.0));
        // Zero lies 8 s before the first sample: more than half a step, and still where it is stretched to.
        let samples = points(&[(30, 40.0), (40, 90.0)]);
        assert_eq!(extrapolated(&samples, &window(0, 40), Slope::Increase), Some(50.0 * 18.0 / 10.0));
        let samples = points(&[(5, 10.0), (15, 60.0)]);
        // A gauge has no such floor.
        assert_eq!(extrapolated(&samples, &window(0, 15), Slope::Delta), Some(50.0 * 15.0 / 10.0));
    }

    #[test]
    fn a_reset_adds_what_was_lost() {
        let samples = points(&[(0, 100.0), (10, 120.0), (20, 5.0), (30, 15.0)]);
        assert_eq!(extrapolated(&samples, &window(0, 30), Slope::Increase), Some(35.0));
        assert_eq!(instantaneous(&samples[..3], true), Some(0.5));
        assert_eq!(instantaneous(&samples[..3], false), Some(-115.0));
        assert_eq!(resets(&samples), 1.0);
        assert_eq!(changes(&samples), 3.0);
    }

    #[test]
    fn one_sample_is_not_enough() {
        assert_eq!(extrapolated(&points(&[(5, 1.0)]), &window(0, 10), Slope::Rate), None);
        assert_eq!(instantaneous(&points(&[(5, 1.0)]), true), None);
    }
}
