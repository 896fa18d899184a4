//! A real Prometheus scrapes the sandbox and answers all that the product asks of one.

use super::server::Server;
use canary_tui::api::{Check, CheckKind, Era};
use canary_tui::metrics::{Metric, Prometheus, QueryError, checks};
use canary_tui::rollout::Reading;
use canary_tui::sandbox::{Options, Sandbox};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const NAMESPACE: &str = "jx-production";
/// Every app has a primary with traffic, and none on its canary.
const PRIMARIES: [&str; 2] = ["jx-production-myapp-primary", "jx-production-cart-primary"];
/// The window of the rates that are asked for: a few scrapes, with room for one that is missing.
const WINDOW: Duration = Duration::from_secs(6);
/// For how long both are scraped before their rates are compared, in PromQL: longer than the window.
const SCRAPED_FOR: &str = "8s";
/// Nothing here takes this long; it only keeps a failure from hanging.
const PATIENCE: Duration = Duration::from_secs(120);
/// The interval and the limit of a scrape, in Prometheus' words. A scrape takes some 20 ms on a machine at rest and ten
/// times as long on one that is busy; one over the limit ends all its series.
pub const SCRAPE: &str = "1s";
/// The series that a scraper takes from the sandbox, without those that it adds itself.
const SCRAPED: &str = r#"{__name__=~"istio_.*|container_.*"}"#;

/// What to write in Prometheus' configuration to scrape the sandbox.
pub fn configuration(sandbox: &Sandbox) -> String {
    let url = sandbox.prometheus_url();
    let target = url.trim_start_matches("http://");
    format!(
        "global:\n  scrape_interval: {SCRAPE}\n  scrape_timeout: {SCRAPE}\nscrape_configs:\n- job_name: sandbox\n  \
         honor_labels: true\n  static_configs:\n  - targets: ['{target}']\n"
    )
}

async fn sandbox() -> Sandbox {
    let options = Options { canaries: 2, scrape: Duration::from_millis(100), ..Options::default() };
    Sandbox::start(options).await.expect("a sandbox")
}

async fn ask_sandbox(sandbox: &Sandbox, path: &str) -> Value {
    let answer = reqwest::get(format!("{}{path}", sandbox.prometheus_url())).await.expect("an answer of the sandbox");
    let body: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(body["status"], "success", "{body}");
    body["data"].clone()
}

fn check(kind: CheckKind, era: Era) -> Check {
    Check { name: "x".into(), kind, era, min: None, max: None, interval: WINDOW }
}

/// Asks until the number is as wished: samples come in by and by.
pub async fn until(prometheus: &Prometheus, query: &str, wished: impl Fn(f64) -> bool) {
    let asking = async {
        loop {
            match prometheus.instant(query).await {
                Ok(samples) if samples.first().is_some_and(|sample| wished(sample.value)) => return,
                // One that is late is asked again.
                Ok(_) | Err(QueryError::Unreachable { .. }) => {}
                Err(error) => panic!("{query}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{query}: not within {PATIENCE:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn what_the_sandbox_exposes_is_well_formed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = sandbox().await;
    let answer = reqwest::get(format!("{}/metrics", sandbox.prometheus_url())).await.expect("an answer");
    let format = answer.headers()["content-type"].to_str().expect("a content type").to_string();
    assert!(format.starts_with("text/plain; version=0.0.4"), "{format}");
    let text = answer.text().await.expect("a text");
    // Istio chose the unit.
    promtool_reads(&text, |complaint| complaint.contains("istio_request_duration_milliseconds use base unit"));
}

/// Has promtool read series, which must be well formed; of what it would have otherwise, only what is `expected`.
pub fn promtool_reads(text: &str, expected: impl Fn(&str) -> bool) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool comes with prometheus");
    tool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    let output = tool.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    for line in said.lines() {
        assert!(expected(line), "{said}");
    }
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn all_that_the_product_asks_is_answered() {
    let sandbox = sandbox().await;
    let server = Server::start(&configuration(&sandbox)).await;
    let real = Prometheus::from_flag(server.url()).expect("an address");
    real.ping().await.expect("an answer");
    // By this query several of a cluster are told apart.
    until(&real, "sum(istio_requests_total)", |sum| sum > 0.0).await;
    // Rates over the whole window.
    let long_ago = format!("count(container_memory_working_set_bytes offset {SCRAPED_FOR})");
    until(&real, &long_ago, |count| count > 0.0).await;

    let ours = Prometheus::from_flag(&sandbox.prometheus_url()).expect("an address");
    let (by_real, by_ours) = (real.snapshot(NAMESPACE, WINDOW).await, ours.snapshot(NAMESPACE, WINDOW).await);
    assert!(by_real.problems.is_empty(), "{:?}", by_real.problems);
    for workload in PRIMARIES {
        for metric in Metric::ALL {
            let of = |snapshot: &canary_tui::metrics::Snapshot| snapshot.workloads[workload].get(metric);
            let (real, ours) = (of(&by_real).expect("a value"), of(&by_ours).expect("a value"));
            // The two look at different moments, and few requests come in a few seconds.
            assert!((real / ours - 1.0).abs() < 0.5, "{workload} {metric:?}: {real} and {ours}");
        }
        for kind in [CheckKind::SuccessRate, CheckKind::Duration] {
            for era in [Era::Current, Era::Early] {
                let reading = checks::read(&real, &check(kind, era), NAMESPACE, workload).await;
                let Reading::Value(value) = reading else { panic!("{workload} {kind:?} {era:?}: {reading:?}") };
                assert!(value > 0.0, "{workload} {kind:?} {era:?}: {value}");
            }
        }
    }
    let idle =
        checks::read(&real, &check(CheckKind::SuccessRate, Era::Current), NAMESPACE, "jx-production-myapp").await;
    assert_eq!(idle, Reading::NoValues);

    let to = chrono::Utc::now();
    let range = (to - chrono::TimeDelta::seconds(3), to);
    let [workload, other] = PRIMARIES;
    let history = real.history(NAMESPACE, [workload, other], WINDOW, range, Duration::from_secs(1)).await;
    assert!(history.problems.is_empty(), "{:?}", history.problems);
    for metric in Metric::ALL {
        assert!(!history.points[&(workload.to_string(), metric)].is_empty(), "{metric:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn both_know_the_same_series_labels_and_version() {
    let sandbox = sandbox().await;
    let server = Server::start(&configuration(&sandbox)).await;
    let real = Prometheus::from_flag(server.url()).expect("an address");
    // A status is counted from its first answer on, which has long been.
    until(&real, r#"count({__name__=~"istio_.*|container_.*"})"#, |count| count > 100.0).await;
    let sorted =
        |data: Value| -> BTreeSet<String> { data.as_array().expect("a list").iter().map(Value::to_string).collect() };
    let matching: String = reqwest::Url::parse_with_params("http://x/", [("match[]", SCRAPED)])
        .expect("an address")
        .query()
        .expect("a query")
        .to_string();
    for path in [
        format!("/api/v1/series?{matching}"),
        format!("/api/v1/labels?{matching}"),
        format!("/api/v1/label/__name__/values?{matching}"),
        format!("/api/v1/label/le/values?{matching}"),
        format!("/api/v1/label/pod/values?{matching}"),
        "/api/v1/label/container/values".to_string(),
        "/api/v1/label/nothing/values".to_string(),
    ] {
        let (by_real, by_ours) = (server.get(&path).await.expect("an answer"), ask_sandbox(&sandbox, &path).await);
        let (by_real, by_ours) = (sorted(by_real), sorted(by_ours));
        let of_one: Vec<&String> = by_real.symmetric_difference(&by_ours).take(4).collect();
        assert!(of_one.is_empty(), "{path}: real has {}, ours {}: {of_one:#?}", by_real.len(), by_ours.len());
    }
    let path = "/api/v1/status/buildinfo";
    let (by_real, by_ours) = (server.get(path).await.expect("an answer"), ask_sandbox(&sandbox, path).await);
    let names = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&by_real), names(&by_ours));
}
