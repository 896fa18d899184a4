//! The queries of the built-in checks, and how the answer to any check's query is read. They are Flagger's, so that the
//! verdict is Flagger's.

use super::Prometheus;
use super::promql::{literal, quoted};
use crate::api::{Check, CheckKind, Era, duration};
use crate::rollout::Reading;
use std::time::Duration;

/// Which of Istio's histograms a duration is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Histogram {
    /// Since Istio 1.5.
    Milliseconds,
    /// Before.
    Seconds,
}

/// Runs a built-in check's query for one workload. A success rate is in percent; a duration in whole milliseconds, cut as
/// Flagger cuts them.
pub async fn read(prometheus: &Prometheus, check: &Check, namespace: &str, target: &str) -> Reading {
    let histogram = |which| duration_query(which, namespace, target, check.interval);
    match (check.kind, check.era) {
        (CheckKind::SuccessRate, _) => value(prometheus, &success_query(namespace, target, check.interval)).await,
        (CheckKind::Duration, Era::Current) => {
            milliseconds(value(prometheus, &histogram(Histogram::Milliseconds)).await, 1.0)
        }
        (CheckKind::Duration, Era::Early) => {
            // A Canary of the early days on an Istio of today: the series it names is no longer written.
            match milliseconds(value(prometheus, &histogram(Histogram::Seconds)).await, 1000.0) {
                Reading::NoValues => milliseconds(value(prometheus, &histogram(Histogram::Milliseconds)).await, 1.0),
                reading => reading,
            }
        }
        (CheckKind::Custom, _) => Reading::Unavailable("it is not built in, and its query is not at hand".into()),
    }
}

/// Runs a query that answers with one number.
pub async fn value(prometheus: &Prometheus, query: &str) -> Reading {
    match prometheus.instant(query).await {
        Err(why) => Reading::Unavailable(why.to_string()),
        Ok(samples) => match samples.as_slice() {
            [] => Reading::NoValues,
            [sample] if sample.value.is_nan() => Reading::NoValues,
            [sample] => Reading::Value(sample.value),
            // Flagger takes the last, whichever that is.
            several => Reading::Unavailable(format!("the query returned {} series, not one", several.len())),
        },
    }
}

fn milliseconds(reading: Reading, unit: f64) -> Reading {
    match reading {
        Reading::Value(value) => Reading::Value((value * unit).trunc()),
        other => other,
    }
}

/// The percentage of requests to a workload that were not answered with 5xx.
///
/// Flagger of early 2019 has a window of one minute above the line whatever the metric's interval; with that the rate
/// of a metric with another interval is no percentage, so both have the metric's.
fn success_query(namespace: &str, target: &str, interval: Duration) -> String {
    let (namespace, target, window) = (quoted(namespace), literal(target), duration::prometheus(interval));
    format!(
        r#"sum(
            rate(
                istio_requests_total{{
                    reporter="destination",
                    destination_workload_namespace="{namespace}",
                    destination_workload=~"{target}",
                    response_code!~"5.*"
                }}[{window}]
            )
        )
        /
        sum(
            rate(
                istio_requests_total{{
                    reporter="destination",
                    destination_workload_namespace="{namespace}",
                    destination_workload=~"{target}"
                }}[{window}]
            )
        )
        * 100"#
    )
}

/// The 99th percentile of the duration of requests to a workload, in the histogram's unit.
fn duration_query(histogram: Histogram, namespace: &str, target: &str, interval: Duration) -> String {
    let (namespace, target, window) = (quoted(namespace), literal(target), duration::prometheus(interval));
    let metric = match histogram {
        Histogram::Milliseconds => "istio_request_duration_milliseconds_bucket",
        Histogram::Seconds => "istio_request_duration_seconds_bucket",
    };
    format!(
        r#"histogram_quantile(
            0.99,
            sum(
                rate(
                    {metric}{{
                        reporter="destination",
                        destination_workload_namespace="{namespace}",
                        destination_workload=~"{target}"
                    }}[{window}]
                )
            ) by (le)
        )"#
    )
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Stub, vector};
    use super::*;

    fn check(kind: CheckKind, era: Era) -> Check {
        Check { name: "x".into(), kind, era, min: None, max: None, interval: Duration::from_secs(90) }
    }

    async fn read_from(stub: &Stub, kind: CheckKind, era: Era) -> Reading {
        read(&stub.prometheus().await, &check(kind, era), "prod", "web.v2").await
    }

    #[tokio::test]
    async fn the_queries_are_flaggers() {
        let stub = Stub::answering(|_| vector(&[(&[], "99.5")]));
        assert_eq!(read_from(&stub, CheckKind::SuccessRate, Era::Current).await, Reading::Value(99.5));
        assert_eq!(read_from(&stub, CheckKind::Duration, Era::Current).await, Reading::Value(99.0));
        let asked: Vec<_> = stub.seen().into_iter().map(|call| call.query).collect();
        assert_eq!(
            asked[0],
            r#"sum( rate( istio_requests_total{ reporter="destination", destination_workload_namespace="prod", destination_workload=~"web\\.v2", response_code!~"5.*" }[90s] ) ) / sum( rate( istio_requests_total{ reporter="destination", destination_workload_namespace="prod", destination_workload=~"web\\.v2" }[90s] ) ) * 100"#
        );
        assert_eq!(
            asked[1],
            r#"histogram_quantile( 0.99, sum( rate( istio_request_duration_milliseconds_bucket{ reporter="destination", destination_workload_namespace="prod", destination_workload=~"web\\.v2" }[90s] ) ) by (le) )"#
        );
    }

    #[tokio::test]
    async fn nothing_and_nan_are_no_values_and_infinity_is_one() {
        for (answer, reading) in [
            (vector(&[]), Reading::NoValues),
            (vector(&[(&[], "NaN")]), Reading::NoValues),
            (vector(&[(&[], "+Inf")]), Reading::Value(f64::INFINITY)),
        ] {
            let stub = Stub::answering(move |_| answer.clone());
            assert_eq!(read_from(&stub, CheckKind::Duration, Era::Current).await, reading);
        }
    }

    #[tokio::test]
    async fn several_series_are_no_value() {
        let stub = Stub::answering(|_| vector(&[(&[("a", "1")], "1"), (&[("a", "2")], "2")]));
        let reading = read_from(&stub, CheckKind::SuccessRate, Era::Current).await;
        assert_eq!(reading, Reading::Unavailable("the query returned 2 series, not one".into()));
    }

    #[tokio::test]
    async fn an_early_duration_is_read_in_seconds_and_falls_back() {
        let early = Stub::answering(|_| vector(&[(&[], "0.2506")]));
        assert_eq!(read_from(&early, CheckKind::Duration, Era::Early).await, Reading::Value(250.0));
        assert_eq!(early.seen().len(), 1);
        let modern = Stub::answering(|query| match query.contains("seconds_bucket") && !query.contains("milli") {
            true => vector(&[(&[], "NaN")]),
            false => vector(&[(&[], "250.6")]),
        });
        assert_eq!(read_from(&modern, CheckKind::Duration, Era::Early).await, Reading::Value(250.0));
    }

    #[tokio::test]
    async fn what_prometheus_refuses_is_unavailable_and_does_not_fall_back() {
        let stub = Stub::answering(|_| (503, "starting".into()));
        let Reading::Unavailable(why) = read_from(&stub, CheckKind::Duration, Era::Early).await else { panic!() };
        assert!(why.contains("503") && why.contains("starting"), "{why}");
        assert_eq!(stub.seen().len(), 1);
    }
}
