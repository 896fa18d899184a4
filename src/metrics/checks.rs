//! The queries of the built-in checks, and how the answer to any check's query is read. They are Flagger's, so that the
//! verdict is Flagger's; and each is there for all workloads of a namespace at once, with the same number for each.

use super::Prometheus;
use super::promql::{literal, quoted};
use crate::api::{Check, CheckKind, Era, duration};
use crate::rollout::Reading;
use std::future::Future;
use std::time::Duration;

/// The label by which the workloads of one query are told apart.
pub(super) const WORKLOAD: &str = "destination_workload";

/// Istio's series that a built-in check is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Series {
    Requests,
    /// Durations since Istio 1.5.
    Milliseconds,
    /// Durations before.
    Seconds,
}

/// Whose requests a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of<'a> {
    /// One workload's: the query that Flagger asks, whose answer is one number.
    One(&'a str),
    /// Every workload's in the namespace: a number for each.
    Each,
}

/// Runs a built-in check's query for one workload, as Flagger does. A success rate is in percent; a duration in whole
/// milliseconds, cut as Flagger cuts them.
pub async fn read(prometheus: &Prometheus, check: &Check, namespace: &str, target: &str) -> Reading {
    built_in(check, |series| async move {
        value(prometheus, &series.query(namespace, Of::One(target), check.interval)).await
    })
    .await
}

/// Reads a built-in check; `ask` answers with what the query for one series says.
pub(super) async fn built_in<F>(check: &Check, ask: impl Fn(Series) -> F) -> Reading
where
    F: Future<Output = Reading>,
{
    match (check.kind, check.era) {
        (CheckKind::SuccessRate, _) => ask(Series::Requests).await,
        (CheckKind::Duration, Era::Current) => milliseconds(ask(Series::Milliseconds).await, 1.0),
        (CheckKind::Duration, Era::Early) => match milliseconds(ask(Series::Seconds).await, 1000.0) {
            // A Canary of the early days on an Istio of today: the series it names is no longer written.
            Reading::NoValues => milliseconds(ask(Series::Milliseconds).await, 1.0),
            reading => reading,
        },
        (CheckKind::Custom | CheckKind::Template, _) => {
            Reading::Unavailable("it is not built in, and its query is not at hand".into())
        }
    }
}

/// Runs a query that answers with one number.
pub async fn value(prometheus: &Prometheus, query: &str) -> Reading {
    match prometheus.instant(query).await {
        Err(why) => Reading::Unavailable(why.to_string()),
        Ok(samples) => one(&samples.iter().map(|sample| sample.value).collect::<Vec<_>>()),
    }
}

/// What the values of a query's series say together.
pub(super) fn one(values: &[f64]) -> Reading {
    match values {
        [] => Reading::NoValues,
        [value] if value.is_nan() => Reading::NoValues,
        [value] => Reading::Value(*value),
        // Flagger takes the last, whichever that is.
        several => Reading::Unavailable(format!("the query returned {} series, not one", several.len())),
    }
}

fn milliseconds(reading: Reading, unit: f64) -> Reading {
    match reading {
        Reading::Value(value) => Reading::Value((value * unit).trunc()),
        other => other,
    }
}

/// The queries of a built-in check, the one to ask first at the front; none of another check.
pub fn queries(check: &Check, namespace: &str, of: Of<'_>) -> Vec<String> {
    let series: &[Series] = match (check.kind, check.era) {
        (CheckKind::SuccessRate, _) => &[Series::Requests],
        (CheckKind::Duration, Era::Current) => &[Series::Milliseconds],
        (CheckKind::Duration, Era::Early) => &[Series::Seconds, Series::Milliseconds],
        (CheckKind::Custom | CheckKind::Template, _) => &[],
    };
    series.iter().map(|series| super::promql::collapsed(&series.query(namespace, of, check.interval))).collect()
}

impl Series {
    /// The query; `interval` is the window of its rates.
    pub(super) fn query(self, namespace: &str, of: Of<'_>, interval: Duration) -> String {
        match self {
            Series::Requests => success(namespace, of, interval),
            Series::Milliseconds => quantile("istio_request_duration_milliseconds_bucket", namespace, of, interval),
            Series::Seconds => quantile("istio_request_duration_seconds_bucket", namespace, of, interval),
        }
    }
}

/// The percentage of requests to a workload that were not answered with 5xx.
///
/// Flagger of early 2019 has a window of one minute above the line whatever the metric's interval; with that the rate
/// of a metric with another interval is no percentage, so both have the metric's.
fn success(namespace: &str, of: Of<'_>, interval: Duration) -> String {
    let (arriving, window) = (arriving(namespace, of), duration::prometheus(interval));
    let sum = match of {
        Of::One(_) => "sum".to_string(),
        Of::Each => format!("sum by ({WORKLOAD}) "),
    };
    format!(
        r#"{sum}(
            rate(
                istio_requests_total{{
                    {arriving},
                    response_code!~"5.*"
                }}[{window}]
            )
        )
        /
        {sum}(
            rate(
                istio_requests_total{{
                    {arriving}
                }}[{window}]
            )
        )
        * 100"#
    )
}

/// The 99th percentile of the duration of requests to a workload, in the histogram's unit.
fn quantile(histogram: &str, namespace: &str, of: Of<'_>, interval: Duration) -> String {
    let (arriving, window) = (arriving(namespace, of), duration::prometheus(interval));
    let by = match of {
        Of::One(_) => "le".to_string(),
        Of::Each => format!("le, {WORKLOAD}"),
    };
    format!(
        r#"histogram_quantile(
            0.99,
            sum(
                rate(
                    {histogram}{{
                        {arriving}
                    }}[{window}]
                )
            ) by ({by})
        )"#
    )
}

/// Matchers of the requests that arrive.
fn arriving(namespace: &str, of: Of<'_>) -> String {
    let namespace = quoted(namespace);
    let all = format!(r#"reporter="destination", destination_workload_namespace="{namespace}""#);
    match of {
        Of::One(target) => format!(r#"{all}, {WORKLOAD}=~"{}""#, literal(target)),
        Of::Each => all,
    }
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

    #[test]
    fn one_query_for_all_workloads_differs_in_nothing_but_the_workload() {
        let window = Duration::from_secs(90);
        let each = |series: Series| super::super::promql::collapsed(&series.query("prod", Of::Each, window));
        assert_eq!(
            each(Series::Requests),
            r#"sum by (destination_workload) ( rate( istio_requests_total{ reporter="destination", destination_workload_namespace="prod", response_code!~"5.*" }[90s] ) ) / sum by (destination_workload) ( rate( istio_requests_total{ reporter="destination", destination_workload_namespace="prod" }[90s] ) ) * 100"#
        );
        for (series, name) in [(Series::Milliseconds, "milliseconds"), (Series::Seconds, "seconds")] {
            assert_eq!(
                each(series),
                format!(
                    r#"histogram_quantile( 0.99, sum( rate( istio_request_duration_{name}_bucket{{ reporter="destination", destination_workload_namespace="prod" }}[90s] ) ) by (le, destination_workload) )"#
                )
            );
        }
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
