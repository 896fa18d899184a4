//! What the console says of its connections, on the real program.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use terminal::Terminal;

#[test]
fn a_lost_connection_is_told_and_mends_by_itself() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let console = cluster.console();
    let _guard = cluster.runtime.enter();
    cluster.sandbox.stop_serving();
    console.until_shows("No connection to the cluster since");
    assert!(console.screen().contains(APP), "the last values stay");
    assert!(console.screen().contains("PRIMARY 1.0.0"));
    cluster.runtime.block_on(cluster.sandbox.resume_serving()).expect("it serves again");
    console.until("it mends", PATIENCE, |screen| !screen.contains("No connection"));
    console.until_shows("driver: this console");
}

#[test]
fn prometheus_may_go_and_come_back() {
    let cluster = Cluster::start(Duration::from_secs(10));
    // Quick measuring needs a rollout; an observer of one at rest measures every 15 s.
    let console = cluster.console();
    console.until("success rates are shown", PATIENCE, |screen| screen.contains("100.00 %"));
    cluster.sandbox.set_prometheus_down(true);
    console.until_shows("Prometheus unreachable since");
    assert!(console.screen().contains("100.00 %"), "the last values stay");
    cluster.sandbox.set_prometheus_down(false);
    console.until("it is back", PATIENCE, |screen| !screen.contains("Prometheus unreachable"));
}

#[test]
fn what_is_not_permitted_is_named() {
    let cluster = Cluster::start(Duration::from_secs(10));
    cluster.sandbox.deny(Some(Arc::new(|asked| asked.resource == "canaries" && asked.verb == "patch")));
    let mut console = cluster.open((120, 40), &[], &[]);
    console.until_shows(APP);
    console.until_shows("This console does not drive: you may not patch canaries.flagger.app");
    console.type_keys("s");
    console.until_shows("you may not patch canaries.flagger.app in jx-production");
    drop(console);
    cluster.sandbox.deny(Some(Arc::new(|asked| asked.resource == "canaries")));
    let console = cluster.open((120, 40), &[], &[]);
    console.until_shows("The canaries of jx-production may not be read");
}

#[test]
fn a_cluster_that_is_not_there_is_said_so_on_the_screen() {
    let home = tempfile::tempdir().expect("a folder");
    let kubeconfig = home.path().join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters:\n- name: x\n  cluster: {server: \
                \"https://127.0.0.1:1\"}\ncontexts:\n- name: x\n  context: {cluster: x, user: x}\nusers:\n- name: x\n  \
                user: {token: x}\n";
    std::fs::write(&kubeconfig, text).expect("a file");
    let arguments = ["--kubeconfig", kubeconfig.to_str().expect("a plain path")];
    let mut console = Terminal::start(&arguments, home.path(), (100, 30), &[]);
    console.until_shows("No connection to the cluster since");
    console.type_keys("s");
    console.until_shows("no canary is selected");
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
}

#[test]
fn nothing_is_asked_beside_the_names_of_the_canaries_until_they_are_there() {
    const HELD: Duration = Duration::from_secs(1);
    let cluster = Cluster::start(Duration::from_secs(10));
    let asked: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
    let kept = asked.clone();
    cluster.sandbox.delay(Some(Arc::new(move |request| {
        // Which kinds there are is asked before.
        if !request.resource.is_empty() {
            let named = request.name.as_deref().unwrap_or("all");
            let place = request.namespace.as_deref().unwrap_or("everywhere");
            let what = format!("{} {} {named} {place}", request.verb, request.resource);
            kept.lock().expect("no panic under the lock").push((Instant::now(), what));
        }
        if request.resource == "canaries" && request.verb == "list" { HELD } else { Duration::ZERO }
    })));
    let console = cluster.open((120, 40), &["--no-controller"], &[]);
    console.until_shows(APP);
    console.until("what comes after them is told", PATIENCE, |screen| screen.contains("driver: nobody"));
    let asked = asked.lock().expect("no panic under the lock");
    let (began, _) = asked.iter().find(|(_, what)| what.starts_with("list canaries")).expect("the canaries are listed");
    // What a row is made of waits for its turn, which is no longer than what is held back here.
    let of_a_row = ["canaries", "deployments", "virtualservices", "events", "replicasets", "leases"];
    let of_a_row = of_a_row.map(|resource| format!("list {resource} all jx-production"));
    let early = asked.iter().filter(|(at, what)| *at < *began + HELD && !of_a_row.contains(what));
    assert_eq!(early.map(|(_, what)| what).collect::<Vec<_>>(), Vec::<&String>::new());
}
