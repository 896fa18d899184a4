//! `histogram_quantile` over classic histograms.

use std::collections::HashMap;

use super::value::Sample;
use crate::traffic::labels::Labels;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The quantile of each histogram in a vector of buckets. Series without a readable `le` are left out. Histograms of
/// two names stay apart, though what is answered has no name: whoever asks finds the labels there twice.
pub(super) fn quantiles(q: f64, samples: Vec<Sample>) -> Vec<Sample> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut histograms: Vec<(Labels, Vec<Bucket>)> = Vec::new();
    for sample in samples {
        let Some(bound) = parse_bound(sample.labels.get("le")) else {
            continue;
        };
        let place = *places.entry(sample.labels.with("le", "")).or_insert_with_key(|labels| {
            histograms.push((labels.clone(), Vec::new()));
            histograms.len() - 1
        });
        histograms[place].1.push(Bucket { bound, count: sample.value });
    }
    histograms
        .into_iter()
        .map(|(labels, buckets)| Sample { labels: labels.without_name(), value: quantile(q, buckets) })
        .collect()
}

/// A bound as Go reads numbers: digits may be parted by underscores, and what is too large is none. Its hexadecimal
/// floats, which nobody exports, are not read.
fn parse_bound(text: &str) -> Option<f64> {
    let mut digits = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let is_digit = |char: Option<char>| char.is_some_and(|char| char.is_ascii_digit());
        if char != '_' {
            digits.push(char);
        } else if !is_digit(before) || !is_digit(chars.peek().copied()) {
            return None;
        }
        before = Some(char);
    }
    let bound: f64 = digits.parse().ok()?;
    let says_infinite = digits.contains(['i', 'I']);
    (bound.is_finite() || bound.is_nan() || says_infinite).then_some(bound)
}

/// The quantile, taking the values within a bucket as evenly spread.
fn quantile(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    let mut buckets = coalesce(buckets);
    force_monotonic(&mut buckets);
    let top = buckets.len() - 1;
    let observations = buckets[top].count;
    if top == 0 || observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    // The first below the top that reaches the rank. A NaN reaches none.
    let at = buckets[..top].partition_point(|bucket| bucket.count < rank || bucket.count.is_nan() || rank.is_nan());
    if at == top {
        return buckets[top - 1].bound;
    }
    if at == 0 && buckets[0].bound <= 0.0 {
        return buckets[0].bound;
    }
    let (mut start, mut count) = (0.0, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].bound;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    start + (buckets[at].bound - start) * (rank / count)
}

/// Buckets of one bound, from series that differ only in how they write it, count together.
fn coalesce(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match merged.last_mut() {
            Some(last) if last.bound == bucket.bound => last.count += bucket.count,
            _ => merged.push(bucket),
        }
    }
    merged
}

/// Rates of buckets scraped a little apart may shrink towards the top, which no histogram does. (From 2.48 on Prometheus
/// also takes what differs by rounding alone for the same.)
fn force_monotonic(buckets: &mut [Bucket]) {
    let mut most = f64::NEG_INFINITY;
    for bucket in buckets {
        if bucket.count < most {
            bucket.count = most;
        } else if bucket.count > most {
            most = bucket.count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn interpolates_within_the_bucket() {
        let some = buckets(&[(100.0, 50.0), (250.0, 90.0), (500.0, 100.0), (INF, 100.0)]);
        assert_eq!(quantile(0.5, some.clone()), 100.0);
        assert_eq!(quantile(0.7, some.clone()), 100.0 + 150.0 * 20.0 / 40.0);
        assert_eq!(quantile(0.25, some.clone()), 50.0);
        assert_eq!(quantile(1.0, some.clone()), 500.0);
        assert_eq!(quantile(2.0, some.clone()), INF);
        assert_eq!(quantile(-1.0, some.clone()), -INF);
        assert!(quantile(f64::NAN, some).is_nan());
    }

    #[test]
    fn the_open_bucket_answers_with_the_highest_bound() {
        assert_eq!(quantile(0.99, buckets(&[(100.0, 1.0), (INF, 10.0)])), 100.0);
    }

    #[test]
    fn without_observations_or_top_there_is_no_quantile() {
        assert!(quantile(0.5, buckets(&[(100.0, 0.0), (INF, 0.0)])).is_nan());
        assert!(quantile(0.5, buckets(&[(100.0, 1.0), (200.0, 2.0)])).is_nan());
        assert!(quantile(0.5, buckets(&[(INF, 2.0)])).is_nan());
        assert!(quantile(0.5, Vec::new()).is_nan());
    }

    #[test]
    fn bounds_are_read_as_go_reads_them() {
        for (text, bound) in [
            ("0.5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("+Inf", Some(INF)),
            ("inf", Some(INF)),
            ("1_0", Some(10.0)),
            ("_1", None),
            ("1_", None),
            ("1e999", None),
            ("", None),
            ("one", None),
        ] {
            assert_eq!(parse_bound(text), bound, "{text}");
        }
    }

    #[test]
    fn shrinking_counts_are_mended() {
        let broken = buckets(&[(1.0, 10.0), (2.0, 9.0), (3.0, 20.0), (INF, 20.0)]);
        assert_eq!(quantile(0.75, broken), 2.0 + (15.0 - 10.0) / 10.0);
    }
}
