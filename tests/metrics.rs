//! The metrics over a simulated Prometheus: the screen's numbers are the checks' numbers, and nothing else.

use canary_tui::api::{Check, CheckKind, Era, Spec};
use canary_tui::metrics::{Locator, Metric, Prometheus, checks, reader};
use canary_tui::rollout::Reading;
use canary_tui::traffic::{Destination, Facts, PodFact, Route, Simulator, Traffic, Workload, api};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const NAMESPACE: &str = "prod";
const WINDOW: Duration = Duration::from_secs(60);

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn workload(namespace: &str, name: &str, tag: &str, pods: usize) -> Workload {
    let pod = |n| PodFact { name: format!("{name}-5d6f7c-abcd{n}"), tag: tag.into(), ready: true, since: start() };
    Workload { namespace: namespace.into(), name: name.into(), pods: (0..pods).map(pod).collect() }
}

fn route(namespace: &str, host: &str, canary: u32) -> Route {
    let to = |service: String, workload: String, weight| Destination { service, workload, weight };
    Route {
        namespace: namespace.into(),
        host: host.into(),
        destinations: vec![
            to(format!("{host}-primary"), format!("{host}-primary"), 100 - canary),
            to(format!("{host}-canary"), host.into(), canary),
        ],
        copies: vec![],
    }
}

/// Two minutes of traffic: one app whose canary answers with errors, one whose name begins like it, one slow, one
/// without traffic; and the same names in another namespace.
fn facts() -> Facts {
    Facts {
        routes: vec![
            route(NAMESPACE, "web", 30),
            route(NAMESPACE, "web-api", 20),
            route(NAMESPACE, "idle", 0),
            route("other", "web", 50),
        ],
        workloads: vec![
            workload(NAMESPACE, "web", "1.2.0", 2),
            workload(NAMESPACE, "web-primary", "1.0.0", 3),
            workload(NAMESPACE, "web-api", "1.3.0", 1),
            workload(NAMESPACE, "web-api-primary", "1.0.0", 1),
            workload(NAMESPACE, "idle", "1.1.0", 1),
            workload("other", "web", "1.3.0", 1),
            workload("other", "web-primary", "1.3.0", 1),
        ],
    }
}

/// The simulated Prometheus, two minutes after its start.
async fn prometheus() -> Prometheus {
    let now = start() + TimeDelta::minutes(2);
    let mut simulator = Simulator::new(7, start(), Duration::from_secs(1), Duration::from_secs(600));
    simulator.observe(start(), facts());
    simulator.advance(now);
    let traffic = Traffic::new(simulator, Arc::new(move || now));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, api::router(traffic)).await });
    Prometheus::from_flag(&format!("http://{address}")).unwrap()
}

fn check(kind: CheckKind, era: Era) -> Check {
    Check { name: "x".into(), kind, era, min: None, max: None, interval: WINDOW }
}

#[tokio::test]
async fn the_screen_shows_the_numbers_that_the_checks_judge() {
    let prometheus = prometheus().await;
    let snapshot = prometheus.snapshot(NAMESPACE, WINDOW).await;
    assert!(snapshot.problems.is_empty(), "{:?}", snapshot.problems);
    for name in ["web", "web-primary", "web-api", "web-api-primary"] {
        let shown = &snapshot.workloads[name];
        let rate = checks::read(&prometheus, &check(CheckKind::SuccessRate, Era::Current), NAMESPACE, name).await;
        assert_eq!(rate, Reading::Value(shown.success.unwrap()), "{name}");
        for era in [Era::Current, Era::Early] {
            // Each era has a histogram of its own, with buckets of its own.
            let p99 = checks::read(&prometheus, &check(CheckKind::Duration, era), NAMESPACE, name).await;
            let Reading::Value(p99) = p99 else { panic!("{name} {era:?}: {p99:?}") };
            if era == Era::Current {
                assert_eq!(p99, shown.p99_ms.unwrap().trunc(), "{name}");
            }
            assert!(p99 > 0.0 && p99.fract() == 0.0, "{name} {era:?}: {p99}");
        }
    }
}

#[tokio::test]
async fn many_canaries_by_one_query_read_what_flaggers_query_reads_for_each() {
    let prometheus = prometheus().await;
    let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    let locator = Locator::new(client, NAMESPACE, Some(&prometheus.describe()));
    let names = ["request-success-rate", "request-duration", "istio_request_duration_seconds_bucket"];
    let metrics: Vec<_> = names.iter().map(|name| json!({"name": name, "interval": "60s", "threshold": 1})).collect();
    let mut values = 0;
    for target in ["web", "web-primary", "web-api", "web-api-primary", "idle", "idle-primary", "w.b", "nobody"] {
        let spec = json!({"targetRef": {"kind": "Deployment", "name": target}, "service": {"port": 80},
            "analysis": {"stepWeight": 10, "metrics": metrics}});
        let spec = Spec::read(&spec).unwrap();
        for (place, check) in spec.analysis.checks.iter().enumerate() {
            let alone = checks::read(&prometheus, check, NAMESPACE, target).await;
            let among_all = reader::read(&locator, &spec, target, NAMESPACE, place).await;
            // To the last bit.
            assert_eq!(among_all, alone, "{target} {}", check.name);
            values += usize::from(matches!(alone, Reading::Value(_)));
        }
    }
    assert_eq!(values, 12, "four of them have traffic");
}

#[tokio::test]
async fn each_workload_has_its_own_numbers() {
    let snapshot = prometheus().await.snapshot(NAMESPACE, WINDOW).await;
    let of = |name: &str, metric| snapshot.workloads[name].get(metric);
    assert!(of("web", Metric::Success).unwrap() < 97.0);
    assert_eq!(of("web-primary", Metric::Success), Some(100.0));
    assert!(of("web-api", Metric::P99).unwrap() > 1000.0);
    assert!(of("web-primary", Metric::P99).unwrap() < 300.0);
    let (canary, primary) = (of("web", Metric::Rps).unwrap(), of("web-primary", Metric::Rps).unwrap());
    assert!((0.2..0.4).contains(&(canary / (canary + primary))), "{canary} of {}", canary + primary);
    // 8 ms of CPU a request, and three pods of some 180 MiB; the sidecar's is not the app's.
    let cpu = of("web-primary", Metric::Cpu).unwrap();
    assert!((0.5..2.0).contains(&(cpu / (primary * 0.008))), "{cpu} cores at {primary} requests a second");
    let memory = of("web-primary", Metric::Memory).unwrap() / 3.0 / 1_048_576.0;
    assert!((120.0..260.0).contains(&memory), "{memory} MiB a pod");
}

#[tokio::test]
async fn a_workload_without_traffic_has_no_rate_of_success() {
    let prometheus = prometheus().await;
    let snapshot = prometheus.snapshot(NAMESPACE, WINDOW).await;
    assert_eq!(snapshot.why_missing("idle", Metric::Success), Some("no traffic"));
    assert!(snapshot.why_missing("idle", Metric::Memory).is_none(), "its pods are measured all the same");
    for kind in [CheckKind::SuccessRate, CheckKind::Duration] {
        assert_eq!(checks::read(&prometheus, &check(kind, Era::Current), NAMESPACE, "idle").await, Reading::NoValues);
    }
}

#[tokio::test]
async fn a_history_ends_with_the_numbers_of_now() {
    let prometheus = prometheus().await;
    let snapshot = prometheus.snapshot(NAMESPACE, WINDOW).await;
    let to = start() + TimeDelta::minutes(2);
    let from = to - TimeDelta::minutes(1);
    let history =
        prometheus.history(NAMESPACE, ["web", "web-primary"], WINDOW, (from, to), Duration::from_secs(10)).await;
    assert!(history.problems.is_empty(), "{:?}", history.problems);
    for name in ["web", "web-primary"] {
        for metric in Metric::ALL {
            let points = &history.points[&(name.to_string(), metric)];
            let (at, value) = *points.last().unwrap();
            assert_eq!((points.len(), at), (7, to), "{name} {metric:?}");
            let now = snapshot.workloads[name].get(metric).unwrap();
            assert!((value - now).abs() <= 1e-9 * now.abs(), "{name} {metric:?}: {value} and {now}");
        }
    }
    assert_eq!(history.points.len(), 10);
}

#[tokio::test]
async fn what_is_recalled_is_what_was_measured_live_at_the_same_instants() {
    let second = Arc::new(AtomicI64::new(0));
    let mut simulator = Simulator::new(7, start(), Duration::from_secs(1), Duration::from_secs(600));
    simulator.observe(start(), facts());
    let clock = second.clone();
    let now = move || start() + TimeDelta::seconds(clock.load(Ordering::SeqCst));
    let traffic = Traffic::new(simulator, Arc::new(now));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = api::router(traffic.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let prometheus = Prometheus::from_flag(&format!("http://{address}")).unwrap();
    let mut live = Vec::new();
    for at in (10..=150).step_by(5) {
        second.store(at, Ordering::SeqCst);
        let now = start() + TimeDelta::seconds(at);
        traffic.advance(now);
        live.push((now, prometheus.snapshot(NAMESPACE, WINDOW).await));
    }
    let names = ["web-primary", "web"];
    let (from, to) = (live[0].0, live[live.len() - 1].0);
    let recalled = prometheus.history(NAMESPACE, names, WINDOW, (from, to), Duration::from_secs(5)).await;
    assert!(recalled.problems.is_empty(), "{:?}", recalled.problems);
    let mut values = 0;
    for name in names {
        for metric in Metric::ALL {
            let points: BTreeMap<_, _> = recalled.points[&(name.to_string(), metric)].iter().copied().collect();
            for (at, snapshot) in &live {
                let measured = snapshot.workloads.get(name).and_then(|found| found.get(metric));
                // To the last bit; the charts show no infinity.
                assert_eq!(
                    points.get(at).copied(),
                    measured.filter(|value| value.is_finite()),
                    "{name} {metric:?} {at}"
                );
                values += points.len().min(1);
            }
        }
    }
    assert_eq!(values, 2 * 5 * live.len());
}
