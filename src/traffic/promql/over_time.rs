//! The `…_over_time` functions: one value out of each series' samples.

use super::numbers::{self, Sum};
use crate::traffic::history::Point;

/// What is asked of a range's samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OverTime {
    Avg,
    Sum,
    Min,
    Max,
    Count,
    Last,
    Present,
    StdDev,
    StdVar,
    Quantile(f64),
}

/// Evaluates it over samples, of which there is at least one.
pub(super) fn evaluate(points: &[Point], ask: OverTime) -> Option<f64> {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let (first, last) = (*values.first()?, *values.last()?);
    Some(match ask {
        OverTime::Avg => numbers::mean_over_time(&values),
        OverTime::Sum => Sum::of(values),
        // NaN counts only where there is nothing else.
        OverTime::Min => {
            values.iter().fold(first, |least, value| if *value < least || least.is_nan() { *value } else { least })
        }
        OverTime::Max => {
            values.iter().fold(first, |most, value| if *value > most || most.is_nan() { *value } else { most })
        }
        OverTime::Count => values.len() as f64,
        OverTime::Last => last,
        OverTime::Present => 1.0,
        OverTime::StdDev => numbers::variance_over_time(&values).sqrt(),
        OverTime::StdVar => numbers::variance_over_time(&values),
        OverTime::Quantile(q) => numbers::quantile(q, values),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_on_a_short_range() {
        let points: Vec<Point> =
            [3.0, 1.0, 5.0].into_iter().enumerate().map(|(at, value)| Point { at: at as i64, value }).collect();
        let of = |ask| evaluate(&points, ask);
        assert_eq!(of(OverTime::Avg), Some(3.0));
        assert_eq!(of(OverTime::Sum), Some(9.0));
        assert_eq!(of(OverTime::Min), Some(1.0));
        assert_eq!(of(OverTime::Max), Some(5.0));
        assert_eq!(of(OverTime::Count), Some(3.0));
        assert_eq!(of(OverTime::Last), Some(5.0));
        assert_eq!(of(OverTime::Quantile(0.5)), Some(3.0));
        assert_eq!(evaluate(&[], OverTime::Count), None);
        let with_nan = [Point { at: 0, value: f64::NAN }, Point { at: 1, value: 2.0 }];
        assert_eq!(evaluate(&with_nan, OverTime::Max), Some(2.0));
    }
}
