//! The sandbox's apps as a driver finds them: pods come and go, traffic follows the routes, Prometheus tells how it went.

use canary_tui::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use std::time::Duration;

const NAMESPACE: &str = "jx-production";
const APP: &str = "jx-production-myapp";

/// Nothing here takes this long; it only keeps a failure from hanging.
const LIMIT: Duration = Duration::from_secs(30);

async fn start() -> Sandbox {
    let options = Options {
        canaries: 2,
        ready_after: Duration::from_millis(50),
        scrape: Duration::from_millis(50),
        ..Options::default()
    };
    Sandbox::start(options).await.unwrap()
}

/// Waits until the store says so.
async fn until(sandbox: &Sandbox, what: &str, holds: impl Fn() -> bool) {
    let mut changes = sandbox.store().subscribe();
    let waiting = async {
        while !holds() {
            // A lagging receiver has seen changes too.
            let _ = changes.recv().await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
}

async fn ask(sandbox: &Sandbox, query: &str) -> Option<f64> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}/api/v1/query", sandbox.prometheus_url());
    let answer = reqwest::Client::new().get(url).query(&[("query", query)]).send().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
}

/// Asks until the answer is as wished: samples come in by and by.
async fn ask_until(sandbox: &Sandbox, query: &str, wished: impl Fn(f64) -> bool) -> f64 {
    let asking = async {
        loop {
            if let Some(value) = ask(sandbox, query).await.filter(|value| wished(*value)) {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("{query}: not within {LIMIT:?}"))
}

fn success(workload: &str) -> String {
    let all = format!(r#"istio_requests_total{{reporter="destination",destination_workload=~"{workload}""#);
    format!(r#"sum(rate({all},response_code!~"5.*"}}[10s])) / sum(rate({all}}}[10s])) * 100"#)
}

fn deploy(sandbox: &Sandbox, tag: &str, replicas: i64) {
    sandbox
        .store()
        .modify("Deployment", Some(NAMESPACE), APP, |target| {
            target["spec"]["replicas"] = json!(replicas);
            target["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("gcr.io/jx/{APP}:{tag}"));
        })
        .unwrap();
}

fn weigh(sandbox: &Sandbox, canary: u64) {
    sandbox
        .store()
        .modify("VirtualService", Some(NAMESPACE), APP, |routes| {
            let route = &mut routes["spec"]["http"][0]["route"];
            route[0]["weight"] = json!(100 - canary);
            route[1]["weight"] = json!(canary);
        })
        .unwrap();
}

fn ready(sandbox: &Sandbox) -> i64 {
    let target = sandbox.store().get("Deployment", Some(NAMESPACE), APP).unwrap();
    target["status"]["readyReplicas"].as_i64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_exist_at_the_first_question() {
    let sandbox = start().await;
    for app in [APP, "jx-production-cart"] {
        assert_eq!(ask(&sandbox, &success(&format!("{app}-primary"))).await, Some(100.0), "{app}");
        assert_eq!(ask(&sandbox, &success(app)).await, None, "{app}");
    }
    let cpu = r#"count(rate(container_cpu_usage_seconds_total{container="app"}[30s]) > 0)"#;
    assert_eq!(ask(&sandbox, cpu).await, Some(6.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_shows_in_its_own_workload_alone_and_no_request_is_lost() {
    let sandbox = start().await;
    deploy(&sandbox, "1.2.0", 2);
    until(&sandbox, "two pods ready", || ready(&sandbox) == 2).await;
    weigh(&sandbox, 50);
    let seen = ask_until(&sandbox, &success(APP), |value| value < 99.0).await;
    assert!(seen > 80.0, "{seen}");
    assert_eq!(ask(&sandbox, &success(&format!("{APP}-primary"))).await, Some(100.0));
    weigh(&sandbox, 0);
    let flow = format!(r#"sum(rate(istio_requests_total{{reporter="destination",destination_workload="{APP}"}}[1s]))"#);
    ask_until(&sandbox, &flow, |rate| rate == 0.0).await;
    deploy(&sandbox, "1.2.0", 0);
    until(&sandbox, "no pod left", || {
        let pods = sandbox.store().list("Pod", Some(NAMESPACE)).0;
        pods.iter().all(|pod| pod["metadata"]["labels"]["app"] != APP)
    })
    .await;
    assert_eq!(sandbox.lost_requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_to_pods_that_are_not_ready_is_lost_and_counted() {
    let sandbox = start().await;
    deploy(&sandbox, "1.4.0", 1);
    until(&sandbox, "a pod runs", || {
        let pods = sandbox.store().list("Pod", Some(NAMESPACE)).0;
        pods.iter().any(|pod| pod["metadata"]["labels"]["app"] == APP && pod["status"]["phase"] == "Running")
    })
    .await;
    assert_eq!(ready(&sandbox), 0);
    weigh(&sandbox, 100);
    let lost = r#"sum(istio_requests_total{reporter="source",response_code="503"})"#;
    ask_until(&sandbox, lost, |value| value > 0.0).await;
    assert!(sandbox.lost_requests() > 0);
}
