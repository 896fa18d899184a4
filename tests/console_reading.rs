//! What the console reads about one canary, on the real program over the embedded cluster: each view opens, says what is
//! true, follows what happens, and says what may not be read.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE, start};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use terminal::Terminal;

/// Long enough that no check comes by itself while a test goes on.
const NEVER: Duration = Duration::from_secs(3600);

/// Opens a view, and closes it again when it looks so.
fn read(console: &mut Terminal, key: &str, title: &str, looks: impl Fn(&str) -> bool) {
    console.type_keys(key);
    console.until(&format!("{key} reads {title}"), PATIENCE, |screen| {
        screen.contains(&format!("╭ {title}")) && looks(screen)
    });
    console.type_keys("\x1b");
    console.until(&format!("{title} is closed"), PATIENCE, |screen| !screen.contains("esc close"));
}

#[test]
fn every_view_says_what_is_true_of_a_rollout_under_way() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.console();
    start(&mut console, "1.1.0");
    read(&mut console, "w", "Why", |screen| {
        screen.contains("destination_workload=~\"jx-production-myapp\"")
            && screen.contains("asked of")
            && screen.contains("≥ 99 %")
            && screen.contains("Pods of jx-production-myapp-primary")
    });
    read(&mut console, "r", "Routes", |screen| {
        screen.contains("203.0.113.10")
            && screen.contains("myapp.example.com")
            && screen.contains("90 %")
            && screen.contains("istio-system/istio-ingressgateway")
    });
    read(&mut console, "D", "Diff", |screen| {
        screen.contains("~ image") && screen.contains("+ gcr.io/jx/jx-production-myapp:1.1.0")
    });
    read(&mut console, "e", "Events", |screen| screen.contains("follows the newest") && screen.contains("Normal at"));
    console.type_keys("d");
    console.until_shows("apiVersion: flagger.app/v1beta1");
    assert!(!console.screen().contains("managedFields"));
    // What is looked for is found, and the eye is on it.
    console.type_keys("/canaryWeight\r");
    console.until_shows("canaryWeight: 10");
    // What changes while it is read is read anew.
    console.type_keys("g");
    let name = |canary: &mut serde_json::Value| canary["metadata"]["annotations"]["team"] = json!("payments");
    cluster.sandbox.store().modify("Canary", Some("jx-production"), APP, name).expect("an annotation");
    console.until_shows("team: payments");
}

#[test]
fn why_pods_are_not_ready_and_why_it_failed_is_said() {
    let cluster = Cluster::start(Duration::from_secs(1));
    let mut console = cluster.console();
    console.type_keys("s");
    console.until_shows("Start which version");
    console.type_keys("1.4.0\r");
    console.until_shows(&format!("Start 1.4.0 of {APP}?"));
    console.type_keys("y");
    console.until_shows("asked, waiting for");
    console.type_keys("w");
    console.until("the pods are told with the deadline", PATIENCE, |screen| {
        screen.contains("readiness probe does not pass") && screen.contains("The deadline of 60 s passes at")
    });
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_is_read() {
    let cluster = Cluster::start(NEVER);
    cluster.sandbox.deny(Some(Arc::new(|asked| {
        matches!(asked.resource.as_str(), "pods" | "gateways") || (asked.resource == "canaries" && asked.verb == "get")
    })));
    let mut console = cluster.open((120, 40), &["--no-controller"], &[]);
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    read(&mut console, "w", "Why", |screen| screen.contains("They cannot be told: not permitted"));
    read(&mut console, "r", "Routes", |screen| {
        screen.contains("gateway istio-system/jx-gateway: not permitted") && screen.contains("100 %")
    });
    read(&mut console, "d", "Canary", |screen| screen.contains("not permitted"));
    read(&mut console, "D", "Diff", |screen| screen.contains("both have the same template"));
}

#[test]
fn the_pods_are_told_when_the_workloads_come_later_than_the_question() {
    let cluster = Cluster::start(NEVER);
    let forbid = |these: &'static [&'static str]| {
        cluster.sandbox.deny(Some(Arc::new(move |asked| these.contains(&asked.resource.as_str()))));
    };
    forbid(&["deployments", "pods"]);
    let mut console = cluster.open((120, 40), &["--no-controller"], &[]);
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    console.type_keys("w");
    console.until_shows("Pods of jx-production-myapp-primary");
    assert!(!console.screen().contains("They cannot be told"), "nobody knows yet which pods to ask for");
    forbid(&["pods"]);
    console.until_shows("They cannot be told: not permitted");
}
