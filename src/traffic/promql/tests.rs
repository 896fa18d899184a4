//! Queries over the simulated traffic and over small series whose answers can be told by hand.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::*;
use crate::traffic::facts::{Destination, Facts, PodFact, Route, Workload};
use crate::traffic::labels::Labels;
use crate::traffic::recorder::Recorder;
use crate::traffic::simulator::Simulator;

/// A metric's name, its labels, and its values.
type Written<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [Option<f64>]);

/// One sample every ten seconds from 0 on; `None` where the series is not there.
fn recorded(series: &[Written<'_>]) -> Recorder {
    let mut recorder = Recorder::new(1000);
    let scrapes = series.iter().map(|(.., values)| values.len()).max().unwrap_or(0);
    for scrape in 0..scrapes {
        let there = series.iter().filter_map(|(name, labels, values)| {
            let value = values.get(scrape).copied().flatten()?;
            Some((Labels::new(labels.iter().copied().chain([("__name__", *name)])), value))
        });
        recorder.scrape(scrape as i64 * 10_000, there);
    }
    recorder
}

fn some(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(Some).collect()
}

fn at(recorder: &Recorder, query: &str, second: i64) -> Vec<(String, f64)> {
    match instant(recorder.history(), query, second * 1000, None) {
        Ok(value) => value.into_samples().into_iter().map(|s| (s.labels.to_string(), s.value)).collect(),
        Err(error) => panic!("{query}: {error}"),
    }
}

fn small() -> Recorder {
    recorded(&[
        ("requests", &[("pod", "a"), ("code", "200")], &some(&[0.0, 60.0, 120.0, 180.0, 240.0])),
        ("requests", &[("pod", "b"), ("code", "200")], &some(&[100.0, 110.0, 5.0, 15.0, 25.0])),
        ("requests", &[("pod", "b"), ("code", "503")], &[None, Some(1.0), Some(3.0), None, None]),
        ("memory", &[("pod", "a"), ("zone", "x")], &some(&[1.0, 2.0, 3.0, 4.0, 5.0])),
    ])
}

#[test]
fn selectors_look_back_and_stop_at_stale_markers() {
    let recorder = small();
    assert_eq!(at(&recorder, "requests{code='503'}", 25).len(), 1);
    assert_eq!(at(&recorder, "requests{code='503'}", 30).len(), 0);
    assert_eq!(at(&recorder, "memory", 340), [(r#"memory{pod="a", zone="x"}"#.to_owned(), 5.0)]);
    assert_eq!(at(&recorder, "memory", 341).len(), 0);
    assert_eq!(at(&recorder, "memory offset 20s", 40)[0].1, 3.0);
    assert_eq!(at(&recorder, "memory @ 10", 40)[0].1, 2.0);
}

#[test]
fn regular_expressions_match_the_whole_value() {
    let recorder = small();
    assert_eq!(at(&recorder, r#"count(requests{code=~"20"}) or vector(0)"#, 20)[0].1, 0.0);
    assert_eq!(at(&recorder, r#"count(requests{code=~"20."})"#, 20)[0].1, 2.0);
    assert_eq!(at(&recorder, r#"count(requests{code!~"5.*"})"#, 20)[0].1, 2.0);
    assert_eq!(at(&recorder, r#"count(requests{nothing=""})"#, 20)[0].1, 3.0);
}

#[test]
fn rates_add_up_over_pods() {
    let recorder = small();
    assert_eq!(at(&recorder, r#"rate(requests{pod="a"}[40s])"#, 40), [(r#"{code="200", pod="a"}"#.to_owned(), 6.0)]);
    // b: 110-100, reset, 5, 10, 10: 35 over 40 s.
    assert_eq!(at(&recorder, r#"increase(requests{pod="b",code="200"}[40s])"#, 40)[0].1, 35.0);
    assert_eq!(at(&recorder, "sum by (pod) (irate(requests[1m]))", 40).len(), 2);
    // Samples at 10 and 20; both ends of the range are 20 s away, more than 11 s: 5 s are added at the end, and at
    // the start only what leads to zero, 1/2 of 10 s.
    assert_eq!(at(&recorder, r#"increase(requests{code="503"}[40s])"#, 40)[0].1, 2.0 * (10.0 + 5.0 + 5.0) / 10.0);
}

#[test]
fn operators_match_vectors() {
    let recorder = small();
    let query = "sum by (pod)(requests) * on(pod) group_left(zone) memory";
    assert_eq!(at(&recorder, query, 10), [(r#"{pod="a", zone="x"}"#.to_owned(), 120.0)]);
    assert_eq!(at(&recorder, "requests > 50", 20), [(r#"requests{code="200", pod="a"}"#.to_owned(), 120.0)]);
    assert_eq!(at(&recorder, "requests{pod='a'} > bool 500", 20), [(r#"{code="200", pod="a"}"#.to_owned(), 0.0)]);
    assert_eq!(at(&recorder, "50 < requests", 20)[0].1, 120.0);
    assert_eq!(at(&recorder, "requests and on(pod) memory", 20).len(), 1);
    assert_eq!(at(&recorder, "requests unless on(pod) memory", 20).len(), 2);
    assert_eq!(at(&recorder, "memory or requests", 20).len(), 4);
    assert_eq!(at(&recorder, "-memory ^ 2 % 4 - 1", 20)[0].1, -(9.0 % 4.0) - 1.0);
    assert!(at(&recorder, "0/0", 0)[0].1.is_nan());
    assert_eq!(at(&recorder, "memory + on(pod) requests{pod='a'}", 20), [(r#"{pod="a"}"#.to_owned(), 123.0)]);
    let ambiguous = instant(recorder.history(), "memory + ignoring(pod,zone,code) requests", 20_000, None);
    assert!(matches!(ambiguous, Err(QueryError::Execution(_))));
}

#[test]
fn aggregations_and_functions() {
    let recorder = small();
    assert_eq!(at(&recorder, "sum(requests) without (code, pod)", 20), [("{}".to_owned(), 128.0)]);
    assert_eq!(at(&recorder, "topk(1, requests)", 20)[0].1, 120.0);
    assert_eq!(at(&recorder, "quantile(0.5, requests)", 20)[0].1, 5.0);
    assert_eq!(at(&recorder, "round(memory / 7, 0.1)", 40)[0].1, 0.7);
    assert_eq!(at(&recorder, "clamp_max(memory, 2)", 40)[0].1, 2.0);
    assert_eq!(at(&recorder, "avg_over_time(memory[40s])", 40)[0].1, 3.0);
    assert_eq!(at(&recorder, "max_over_time(rate(memory[20s])[40s:10s])", 40)[0].1, 0.1);
    assert_eq!(at(&recorder, "scalar(memory) + time()", 40)[0].1, 45.0);
    assert_eq!(at(&recorder, "timestamp(memory)", 47)[0].1, 40.0);
    assert_eq!(at(&recorder, "timestamp(memory offset 10s)", 47)[0].1, 30.0);
    assert_eq!(at(&recorder, "timestamp(memory @ 25 offset 10s)", 47)[0].1, 10.0);
    assert_eq!(at(&recorder, "timestamp(memory @ 25 offset -10s)", 47)[0].1, 20.0);
    assert_eq!(at(&recorder, "memory @ 350 offset 30s", 47).len(), 1);
    assert!(at(&recorder, "timestamp(memory @ 350 offset 30s)", 47).is_empty(), "too old before the offset");
    assert_eq!(at(&recorder, "memory @ 25 offset 10s", 47)[0].1, 2.0);
    assert_eq!(at(&recorder, "absent(nothing{a='b',c=~'d'})", 0), [(r#"{a="b"}"#.to_owned(), 1.0)]);
    let replaced = at(&recorder, r#"label_replace(memory, "app", "${1}-$2", "pod", "(.)(.*)")"#, 20);
    assert_eq!(replaced[0].0, r#"memory{app="a-", pod="a", zone="x"}"#);
}

#[test]
fn a_range_query_is_an_instant_query_at_every_step() {
    let recorder = small();
    let query = "sum by (pod) (rate(requests[20s]))";
    let series = range(recorder.history(), query, (0, 60_000, 5_000), None).unwrap();
    assert_eq!(series.len(), 2);
    for one in &series {
        for point in &one.points {
            let there = instant(recorder.history(), query, point.at, None).unwrap().into_samples();
            let same = there.iter().find(|sample| sample.labels == one.labels).unwrap();
            assert_eq!(same.value, point.value);
        }
    }
    assert_eq!(range(recorder.history(), "1", (0, 10, 5), None).unwrap()[0].points.len(), 3);
}

#[test]
fn what_is_not_supported_is_an_error() {
    let recorder = small();
    for query in ["predict_linear(memory[1m], 60)", "count_values('a', memory)", "deriv(memory[1m])"] {
        assert!(matches!(instant(recorder.history(), query, 40_000, None), Err(QueryError::Execution(_))), "{query}");
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
        "memory[5]",
        "memory[5m:10]",
        "memory offset -5",
    ] {
        assert!(matches!(instant(recorder.history(), query, 40_000, None), Err(QueryError::BadData(_))), "{query}");
    }
    let expired = Some(Instant::now());
    let heavy = "sum_over_time(memory[1000000s:1s])";
    assert_eq!(instant(recorder.history(), heavy, 40_000, expired), Err(QueryError::Timeout));
}

#[test]
fn two_series_never_become_one_by_losing_their_names() {
    let early = [Some(1.0), Some(2.0), Some(3.0), None, None, None];
    let late = [None, None, None, Some(4.0), Some(5.0), Some(6.0)];
    let recorder = recorded(&[
        ("early", &[("pod", "a")], &early),
        ("late", &[("pod", "a")], &late),
        ("a_bucket", &[("le", "+Inf")], &some(&[1.0; 6])),
        ("b_bucket", &[("le", "+Inf")], &some(&[1.0; 6])),
    ]);
    let both = r#"{__name__=~"early|late"}"#;
    for query in [format!("-{both}"), format!("sum(-{both})"), format!("count_over_time({both}[10s])")] {
        assert_eq!(at(&recorder, &query, 10).len(), 1, "{query}: one is there at a time");
        let over_both = range(recorder.history(), &query, (0, 50_000, 10_000), None);
        assert_eq!(over_both, Err(value::same_labels()), "{query}");
    }
    for query in ["max_over_time(-BOTH[50s:10s])", "count_over_time((rate(BOTH[20s]))[50s:10s])"] {
        let query = query.replace("-BOTH", &format!("(-{both})")).replace("BOTH", both);
        assert_eq!(instant(recorder.history(), &query, 50_000, None), Err(value::same_labels()), "{query}");
    }
    let quantiles = r#"sum(histogram_quantile(0.5, {__name__=~"._bucket"}))"#;
    assert_eq!(instant(recorder.history(), quantiles, 20_000, None), Err(value::same_labels()));
    // What is joined step by step may change its name.
    assert_eq!(
        range(recorder.history(), &format!("abs({both})"), (0, 50_000, 10_000), None).map(|all| all.len()),
        Ok(1)
    );
}

#[test]
fn atan2_keeps_the_name_and_absence_the_first_equality() {
    let recorder = small();
    assert_eq!(at(&recorder, "memory atan2 0", 20)[0].0, r#"memory{pod="a", zone="x"}"#);
    assert_eq!(at(&recorder, "memory atan2 on(pod, zone) memory", 20)[0].0, r#"{pod="a", zone="x"}"#);
    for (query, labels) in [
        (r#"absent(nothing{a=~"b",a="c"})"#, r#"{a="c"}"#),
        (r#"absent(nothing{a="c",a=~"b",d="e"})"#, r#"{d="e"}"#),
        (r#"absent(nothing{a="c",a="c",a="d"})"#, "{}"),
    ] {
        assert_eq!(at(&recorder, query, 20)[0].0, labels, "{query}");
    }
}

#[test]
fn patterns_and_raw_strings_are_gos() {
    let recorder = recorded(&[("text", &[("t", "٣")], &[Some(1.0)]), ("text", &[("t", "3.5")], &[Some(2.0)])]);
    assert_eq!(at(&recorder, r#"text{t=~"\\d.*"}"#, 0)[0].1, 2.0);
    assert_eq!(at(&recorder, r"text{t=~`\d\.5`}", 0)[0].1, 2.0);
    assert_eq!(at(&recorder, r"text{t!~`\d.*`}", 0)[0].1, 1.0);
    assert_eq!(at(&recorder, r#"label_replace(text, "u", "$1", "t", `(\d).*`)"#, 0)[0].0, r#"text{t="3.5", u="3"}"#);
    assert!(matches!(instant(recorder.history(), r"text{t=~`\B`}", 0, None), Err(QueryError::BadData(_))));
}

const DEEPEST: usize = guard::MAX_OPERATORS;

#[test]
fn the_deepest_query_that_is_let_through_fits_the_stack() {
    let recorder = small();
    let nested = format!("{}1{}", "(".repeat(DEEPEST), ")".repeat(DEEPEST));
    assert_eq!(instant(recorder.history(), &nested, 0, None), Ok(Value::Scalar(1.0)));
    let chained = format!("{}1", "memory + ".repeat(DEEPEST));
    assert_eq!(at(&recorder, &chained, 40)[0].1, 5.0 * DEEPEST as f64 + 1.0);
    let abs = format!("{}memory{}", "abs(".repeat(DEEPEST), ")".repeat(DEEPEST));
    assert_eq!(at(&recorder, &abs, 40)[0].1, 5.0);
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
                copies: vec![],
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
