//! Floating-point helpers, each as Prometheus (or Go) defines it.

/// A sum with the error carried along (Kahan's method in Neumaier's form).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    total: f64,
    carried: f64,
}

impl Sum {
    pub fn add(&mut self, value: f64) {
        self.add_without_guard(value);
        if self.total.is_infinite() {
            self.carried = 0.0;
        }
    }

    /// Adds where an infinite total is to become NaN by the error carried along.
    fn add_without_guard(&mut self, value: f64) {
        let total = self.total + value;
        self.carried +=
            if self.total.abs() >= value.abs() { (self.total - total) + value } else { (value - total) + self.total };
        self.total = total;
    }

    pub fn value(self) -> f64 {
        self.total + self.carried
    }

    pub fn of(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut sum = Self::default();
        for value in values {
            sum.add(value);
        }
        sum.value()
    }
}

/// The arithmetic mean across series, step by step, so that no sum overflows.
pub(super) fn mean(values: &[f64]) -> f64 {
    let mut mean = 0.0;
    for (seen, value) in values.iter().enumerate() {
        if !stays_infinite(mean, *value) {
            let count = (seen + 1) as f64;
            mean += value / count - mean / count;
        }
    }
    mean
}

/// The same over a range, where the error is carried along.
pub(super) fn mean_over_time(values: &[f64]) -> f64 {
    let mut mean = Sum::default();
    for (seen, value) in values.iter().enumerate() {
        if !stays_infinite(mean.total, *value) {
            let count = (seen + 1) as f64;
            mean.add_without_guard(value / count - mean.total / count);
        }
    }
    if mean.total.is_infinite() { mean.total } else { mean.value() }
}

/// Whether an infinite mean stays what it is: it does unless the other infinity or NaN comes.
fn stays_infinite(mean: f64, value: f64) -> bool {
    mean.is_infinite() && !value.is_nan() && (value.is_finite() || value == mean)
}

/// The population variance (Welford's method).
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (seen, value) in values.iter().enumerate() {
        let delta = value - mean;
        mean += delta / (seen + 1) as f64;
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
}

/// The same over a range, where the error is carried along. Once a sum has left the floats it is no number any more.
pub(super) fn variance_over_time(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for (seen, value) in values.iter().enumerate() {
        let delta = value - mean.value();
        mean.add_without_guard(delta / (seen + 1) as f64);
        squares.add_without_guard(delta * (value - mean.value()));
    }
    squares.value() / values.len() as f64
}

/// The population variance as an aggregation has it: where the first value is not a number, it alone varies by nothing.
pub(super) fn variance_across(values: &[f64]) -> f64 {
    match values {
        [_] => 0.0,
        _ => variance(values),
    }
}

/// A quantile of a list, interpolated between neighbours.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(nan_first);
    let rank = q * (values.len() - 1) as f64;
    let lower = (rank.floor() as usize).min(values.len() - 1);
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Orders floats with NaN before all others.
pub(super) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The larger of two: `+Inf` if either is, else NaN if either is.
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The smaller of two: `-Inf` if either is, else NaN if either is.
pub(super) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_lose_small_parts() {
        assert_eq!(Sum::of([1e100, 1.0, -1e100]), 1.0);
        assert_eq!(Sum::of([f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(Sum::of([f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        for mean in [mean, mean_over_time] {
            assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
            assert_eq!(mean(&[1.0, f64::INFINITY, 2.0]), f64::INFINITY);
            assert!(mean(&[f64::NEG_INFINITY, f64::INFINITY]).is_nan());
            assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        }
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, vec![3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, vec![3.0, 1.0]), 3.0);
        assert!(quantile(0.5, vec![]).is_nan());
        assert_eq!(variance(&[1.0, 3.0]), 1.0);
        assert_eq!(variance_over_time(&[1.0, 3.0]), 1.0);
        assert!(variance_over_time(&[1.5e308, -1.2e308]).is_nan());
    }
}
