//! Queries over the simulated traffic and over small series whose answers can be told by hand.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::*;
use crate::traffic::facts::{Destination, Facts, PodFact, Route, Workload};
use crate::traffic::history::Unit;
use crate::traffic::labels::Labels;
use crate::traffic::simulator::Simulator;

/// A metric's name, its labels, and its values.
type Written<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [Option<f64>]);

/// One sample every ten seconds from 0 on; `None` where the series is not there.
fn history(series: &[Written<'_>]) -> History {
    let mut history = History::new(1000);
    let scrapes = series.iter().map(|(.., values)| values.len()).max().unwrap_or(0);
    for scrape in 0..scrapes {
        history.begin_scrape(scrape as i64 * 10_000);
        for (name, labels, values) in series {
            let labels = Labels::new(labels.iter().copied().chain([("__name__", *name)]));
            let id = history.open(&labels, Unit::Float);
            if let Some(value) = values.get(scrape).copied().flatten() {
                history.push(id, value);
                if values.get(scrape + 1).is_none_or(Option::is_none) {
                    history.close(id);
                }
            }
        }
    }
    history
}

fn some(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(Some).collect()
}

fn at(history: &History, query: &str, second: i64) -> Vec<(String, f64)> {
    match instant(history, query, second * 1000, None) {
        Ok(value) => value.into_samples().into_iter().map(|s| (s.labels.to_string(), s.value)).collect(),
        Err(error) => panic!("{query}: {error}"),
    }
}

fn small() -> History {
    history(&[
        ("requests", &[("pod", "a"), ("code", "200")], &some(&[0.0, 60.0, 120.0, 180.0, 240.0])),
        ("requests", &[("pod", "b"), ("code", "200")], &some(&[100.0, 110.0, 5.0, 15.0, 25.0])),
        ("requests", &[("pod", "b"), ("code", "503")], &[None, Some(1.0), Some(3.0), None, None]),
        ("memory", &[("pod", "a"), ("zone", "x")], &some(&[1.0, 2.0, 3.0, 4.0, 5.0])),
    ])
}

#[test]
fn selectors_look_back_and_stop_at_stale_markers() {
    let history = small();
    assert_eq!(at(&history, "requests{code='503'}", 25).len(), 1);
    assert_eq!(at(&history, "requests{code='503'}", 30).len(), 0);
    assert_eq!(at(&history, "memory", 340), [(r#"memory{pod="a", zone="x"}"#.to_owned(), 5.0)]);
    assert_eq!(at(&history, "memory", 341).len(), 0);
    assert_eq!(at(&history, "memory offset 20s", 40)[0].1, 3.0);
    assert_eq!(at(&history, "memory @ 10", 40)[0].1, 2.0);
}

#[test]
fn regular_expressions_match_the_whole_value() {
    let history = small();
    assert_eq!(at(&history, r#"count(requests{code=~"20"}) or vector(0)"#, 20)[0].1, 0.0);
    assert_eq!(at(&history, r#"count(requests{code=~"20."})"#, 20)[0].1, 2.0);
    assert_eq!(at(&history, r#"count(requests{code!~"5.*"})"#, 20)[0].1, 2.0);
    assert_eq!(at(&history, r#"count(requests{nothing=""})"#, 20)[0].1, 3.0);
}

#[test]
fn rates_add_up_over_pods() {
    let history = small();
    assert_eq!(at(&history, r#"rate(requests{pod="a"}[40s])"#, 40), [(r#"{code="200", pod="a"}"#.to_owned(), 6.0)]);
    // b: 110-100, reset, 5, 10, 10: 35 over 40 s.
    assert_eq!(at(&history, r#"increase(requests{pod="b",code="200"}[40s])"#, 40)[0].1, 35.0);
    assert_eq!(at(&history, "sum by (pod) (irate(requests[1m]))", 40).len(), 2);
    // Samples at 10 and 20; both ends of the range are 20 s away, more than 11 s: 5 s are added at the end, and at
    // the start only what leads to zero, 1/2 of 10 s.
    assert_eq!(at(&history, r#"increase(requests{code="503"}[40s])"#, 40)[0].1, 2.0 * (10.0 + 5.0 + 5.0) / 10.0);
}

#[test]
fn operators_match_vectors() {
    let history = small();
    let query = "sum by (pod)(requests) * on(pod) group_left(zone) memory";
    assert_eq!(at(&history, query, 10), [(r#"{pod="a", zone="x"}"#.to_owned(), 120.0)]);
    assert_eq!(at(&history, "requests > 50", 20), [(r#"requests{code="200", pod="a"}"#.to_owned(), 120.0)]);
    assert_eq!(at(&history, "requests{pod='a'} > bool 500", 20), [(r#"{code="200", pod="a"}"#.to_owned(), 0.0)]);
    assert_eq!(at(&history, "50 < requests", 20)[0].1, 120.0);
    assert_eq!(at(&history, "requests and on(pod) memory", 20).len(), 1);
    assert_eq!(at(&history, "requests unless on(pod) memory", 20).len(), 2);
    assert_eq!(at(&history, "memory or requests", 20).len(), 4);
    assert_eq!(at(&history, "-memory ^ 2 % 4 - 1", 20)[0].1, -(9.0 % 4.0) - 1.0);
    assert!(at(&history, "0/0", 0)[0].1.is_nan());
    assert_eq!(at(&history, "memory + on(pod) requests{pod='a'}", 20), [(r#"{pod="a"}"#.to_owned(), 123.0)]);
    let ambiguous = instant(&history, "memory + ignoring(pod,zone,code) requests", 20_000, None);
    assert!(matches!(ambiguous, Err(QueryError::Execution(_))));
}

#[test]
fn aggregations_and_functions() {
    let history = small();
    assert_eq!(at(&history, "sum(requests) without (code, pod)", 20), [("{}".to_owned(), 128.0)]);
    assert_eq!(at(&history, "topk(1, requests)", 20)[0].1, 120.0);
    assert_eq!(at(&history, "quantile(0.5, requests)", 20)[0].1, 5.0);
    assert_eq!(at(&history, "round(memory / 7, 0.1)", 40)[0].1, 0.7);
    assert_eq!(at(&history, "clamp_max(memory, 2)", 40)[0].1, 2.0);
    assert_eq!(at(&history, "avg_over_time(memory[40s])", 40)[0].1, 3.0);
    assert_eq!(at(&history, "max_over_time(rate(memory[20s])[40s:10s])", 40)[0].1, 0.1);
    assert_eq!(at(&history, "scalar(memory) + time()", 40)[0].1, 45.0);
    assert_eq!(at(&history, "timestamp(memory)", 47)[0].1, 40.0);
    assert_eq!(at(&history, "absent(nothing{a='b',c=~'d'})", 0), [(r#"{a="b"}"#.to_owned(), 1.0)]);
    let replaced = at(&history, r#"label_replace(memory, "app", "${1}-$2", "pod", "(.)(.*)")"#, 20);
    assert_eq!(replaced[0].0, r#"memory{app="a-", pod="a", zone="x"}"#);
}

#[test]
fn a_range_query_is_an_instant_query_at_every_step() {
    let history = small();
    let query = "sum by (pod) (rate(requests[20s]))";
    let series = range(&history, query, (0, 60_000, 5_000), None).unwrap();
    assert_eq!(series.len(), 2);
    for one in &series {
        for point in &one.points {
            let there = instant(&history, query, point.at, None).unwrap().into_samples();
            let same = there.iter().find(|sample| sample.labels == one.labels).unwrap();
            assert_eq!(same.value, point.value);
        }
    }
    assert_eq!(range(&history, "1", (0, 10, 5), None).unwrap()[0].points.len(), 3);
}

#[test]
fn what_is_not_supported_is_an_error() {
    let history = small();
    for query in ["predict_linear(memory[1m], 60)", "count_values('a', memory)", "deriv(memory[1m])"] {
        assert!(matches!(instant(&history, query, 40_000, None), Err(QueryError::Execution(_))), "{query}");
    }
    for query in [
        "",
        "sum(",
        "memory[5m",
        "rate(memory)",
        "{}",
        r#"memory{a="b" or c="d"}"#,
        "1 == 2",
        "\"a\" + 1",
        "sum(memory[1m])",
    ] {
        assert!(matches!(instant(&history, query, 40_000, None), Err(QueryError::BadData(_))), "{query}");
    }
    let expired = Some(Instant::now());
    let heavy = "sum_over_time(memory[1000000s:1s])";
    assert_eq!(instant(&history, heavy, 40_000, expired), Err(QueryError::Timeout));
}

const DEEPEST: usize = guard::MAX_OPERATORS;

#[test]
fn the_deepest_query_that_is_let_through_fits_the_stack() {
    let history = small();
    let nested = format!("{}1{}", "(".repeat(DEEPEST), ")".repeat(DEEPEST));
    assert_eq!(instant(&history, &nested, 0, None), Ok(Value::Scalar(1.0)));
    let chained = format!("{}1", "memory + ".repeat(DEEPEST));
    assert_eq!(at(&history, &chained, 40)[0].1, 5.0 * DEEPEST as f64 + 1.0);
    let abs = format!("{}memory{}", "abs(".repeat(DEEPEST), ")".repeat(DEEPEST));
    assert_eq!(at(&history, &abs, 40)[0].1, 5.0);
}

const SUCCESS: &str = r#"sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="prod",destination_workload=~"TARGET",response_code!~"5.*"}[30s])) / sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="prod",destination_workload=~"TARGET"}[30s])) * 100"#;
const SUCCESS_EARLY: &str = r#"sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace=~"prod",destination_workload=~"TARGET",response_code!~"5.*"}[1m])) / sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace=~"prod",destination_workload=~"TARGET"}[1m])) * 100 "#;
const P99: &str = r#"histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_workload_namespace="prod",destination_workload=~"TARGET"}[30s])) by (le))"#;
const P99_EARLY: &str = r#"histogram_quantile(0.99, sum(rate(istio_request_duration_seconds_bucket{reporter="destination",destination_workload=~"TARGET", destination_workload_namespace=~"prod"}[30s])) by (le))"#;

/// Ninety percent to `app-primary` on 1.0.0, ten to `app` on the tag; a minute of it.
fn rollout(tag: &str) -> (Simulator, i64) {
    let start = DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap();
    let mut simulator = Simulator::new(7, start, Duration::from_secs(1), Duration::from_secs(1800));
    let workload = |name: &str, tag: &str| Workload {
        namespace: "prod".to_owned(),
        name: name.to_owned(),
        pods: (0..3)
            .map(|n| PodFact { name: format!("{name}-{n}"), tag: tag.to_owned(), ready: true, since: start })
            .collect(),
    };
    let to = |service: &str, workload: &str, weight| Destination {
        service: service.to_owned(),
        workload: workload.to_owned(),
        weight,
    };
    simulator.observe(
        start,
        Facts {
            routes: vec![Route {
                namespace: "prod".to_owned(),
                host: "app".to_owned(),
                destinations: vec![to("app-primary", "app-primary", 90), to("app-canary", "app", 10)],
            }],
            workloads: vec![workload("app-primary", "1.0.0"), workload("app", tag)],
        },
    );
    let now = start + Duration::from_secs(60);
    simulator.advance(now);
    (simulator, now.timestamp_millis())
}

fn measure(simulator: &Simulator, query: &str, target: &str, now: i64) -> f64 {
    let query = query.replace("TARGET", target);
    let samples = instant(simulator.history(), &query, now, None).unwrap().into_samples();
    assert_eq!(samples.len(), 1, "{query}");
    samples[0].value
}

#[test]
fn the_builtin_queries_tell_good_from_bad() {
    let (good, now) = rollout("1.1.0");
    for target in ["app", "app-primary"] {
        assert_eq!(measure(&good, SUCCESS, target, now), 100.0);
        assert_eq!(measure(&good, SUCCESS_EARLY, target, now), 100.0);
        let p99 = measure(&good, P99, target, now);
        assert!((80.0..=250.0).contains(&p99), "{p99}");
        assert!((measure(&good, P99_EARLY, target, now) * 1000.0 - p99).abs() < 1e-6);
    }
    let (failing, now) = rollout("1.2.0");
    for query in [SUCCESS, SUCCESS_EARLY] {
        let success = measure(&failing, query, "app", now);
        assert!((90.5..=93.5).contains(&success), "{success}");
        assert_eq!(measure(&failing, query, "app-primary", now), 100.0);
    }
    let (slow, now) = rollout("1.3.0");
    let p99 = measure(&slow, P99, "app", now);
    assert!((1000.0..=5000.0).contains(&p99), "{p99}");
    assert_eq!(measure(&slow, SUCCESS, "app", now), 100.0);
}

#[test]
fn traffic_follows_the_weights() {
    let (simulator, now) = rollout("1.1.0");
    let share = r#"sum(increase(istio_requests_total{reporter="destination",destination_workload="app"}[1m])) / sum(increase(istio_requests_total{reporter="destination"}[1m]))"#;
    let share = measure(&simulator, share, "", now);
    assert!((share - 0.1).abs() < 0.002, "{share}");
}
