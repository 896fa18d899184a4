//! One query for all workloads gives each the number that Flagger's query for it alone gives, by a real Prometheus too.

use super::scraping::{SCRAPE, until};
use super::server::Server;
use canary_tui::api::{Check, CheckKind, Era};
use canary_tui::metrics::Prometheus;
use canary_tui::metrics::checks::{self, Of};
use canary_tui::traffic::{Destination, Facts, PodFact, Route, Simulator, Traffic, Workload, api};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const NAMESPACE: &str = "prod";
const WINDOW: Duration = Duration::from_secs(30);
const APPS: usize = 12;
/// Good ones, slow ones, and those that answer with errors.
const TAGS: [&str; 4] = ["1.1.0", "1.2.0", "1.3.0", "5xx"];

/// Apps with a canary each, one of them without traffic; and one of the same name elsewhere.
fn facts(since: chrono::DateTime<Utc>) -> Facts {
    let mut facts = Facts { routes: Vec::new(), workloads: Vec::new() };
    let apps = (0..APPS).map(|number| (NAMESPACE, number)).chain([("other", 1)]);
    for (namespace, number) in apps {
        let host = format!("app-{number}");
        let weight = (number * 5) as u32;
        for (name, tag) in [(host.clone(), TAGS[number % TAGS.len()]), (format!("{host}-primary"), "1.0.0")] {
            let pods = (0..1 + number % 3)
                .map(|n| PodFact { name: format!("{name}-5d6f7c-abcd{n}"), tag: tag.into(), ready: true, since })
                .collect();
            facts.workloads.push(Workload { namespace: namespace.into(), name, pods });
        }
        let to = |service: String, workload: String, weight| Destination { service, workload, weight };
        facts.routes.push(Route {
            namespace: namespace.into(),
            host: host.clone(),
            destinations: vec![
                to(format!("{host}-primary"), format!("{host}-primary"), 100 - weight),
                to(format!("{host}-canary"), host, weight),
            ],
            copies: Vec::new(),
        });
    }
    facts
}

/// The only number of an answer.
fn number(answer: &Value) -> Option<f64> {
    let list = answer["result"].as_array().expect("a vector");
    assert!(list.len() <= 1, "{answer}");
    list.first().map(|sample| sample["value"][1].as_str().expect("a value").parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn each_workload_has_the_number_of_a_query_of_its_own() {
    let begin = Utc::now() - TimeDelta::minutes(1);
    let mut simulator = Simulator::new(7, begin, Duration::from_millis(500), Duration::from_secs(600));
    simulator.observe(begin, facts(begin));
    let traffic = Traffic::new(simulator, Arc::new(Utc::now));
    let flowing = traffic.clone();
    let flow = tokio::spawn(async move {
        loop {
            flowing.advance(Utc::now());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, api::router(traffic)).await });
    let server = Server::start(&format!(
        "global:\n  scrape_interval: {SCRAPE}\n  scrape_timeout: {SCRAPE}\nscrape_configs:\n- job_name: apps\n  \
         honor_labels: true\n  static_configs:\n  - targets: ['{target}']\n"
    ))
    .await;
    let real = Prometheus::from_flag(server.url()).expect("an address");
    // Some scrapes.
    until(&real, "count(istio_requests_total offset 5s)", |count| count > 0.0).await;

    // Longer ago than a scrape may take: what is asked about does not change any more.
    let at = (Utc::now() - TimeDelta::seconds(3)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let ask = async |query: &str| {
        let answer = server.ask("/api/v1/query", &[("query", query), ("time", &at)]).await;
        answer.unwrap_or_else(|why| panic!("{query}: {why:?}"))
    };
    let mut compared = 0;
    for kind in [CheckKind::SuccessRate, CheckKind::Duration] {
        for era in [Era::Current, Era::Early] {
            let check = Check { name: "x".into(), kind, era, min: None, max: None, interval: WINDOW };
            for (place, together) in checks::queries(&check, NAMESPACE, Of::Each).iter().enumerate() {
                let answer = ask(together).await;
                let list = answer["result"].as_array().expect("a vector").iter();
                let mut of_all: BTreeMap<&str, f64> = BTreeMap::new();
                for sample in list {
                    let workload = sample["metric"]["destination_workload"].as_str().expect("a workload");
                    let value = sample["value"][1].as_str().expect("a value").parse().expect("a number");
                    assert_eq!(of_all.insert(workload, value), None, "{workload} twice: {answer}");
                }
                for target in (0..APPS).flat_map(|n| [format!("app-{n}"), format!("app-{n}-primary")]) {
                    let alone = number(&ask(&checks::queries(&check, NAMESPACE, Of::One(&target))[place]).await);
                    let among_all = of_all.remove(target.as_str());
                    let same = match (alone, among_all) {
                        (Some(alone), Some(all)) => {
                            compared += 1;
                            (alone - all).abs() <= 1e-9 * alone.abs() || alone == all || alone.is_nan() && all.is_nan()
                        }
                        (alone, all) => alone.is_none() && all.is_none(),
                    };
                    assert!(same, "{target} {kind:?} {era:?}: {alone:?} alone and {among_all:?} among all");
                }
                assert!(of_all.is_empty(), "nobody's: {of_all:?}");
            }
        }
    }
    // All but the canary without traffic, by five queries; a version that only fails has no rate of success.
    assert!(compared >= 4 * (2 * APPS - 2), "{compared}");
    flow.abort();
}
