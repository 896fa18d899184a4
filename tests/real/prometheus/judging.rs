//! Rollouts on the sandbox whose checks a real Prometheus answers.

use super::rehearsal::{APP, Rehearsal, hurried, weight};
use super::scraping::{configuration, until};
use super::server::Server;
use canary_tui::api::Phase;
use canary_tui::controller::{Controller, Role};
use canary_tui::metrics::Prometheus;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// Time for a few scrapes between two checks: a rate takes two of them, and what has none is a failed check.
const STEP: Duration = Duration::from_secs(3);
/// Nothing here takes this long; it only keeps a failure from hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// One rollout at a time: their steps are timed, and each takes a cluster, a controller and a Prometheus.
static TURN: Mutex<()> = Mutex::const_new(());

/// A cluster whose controller asks a real Prometheus, which has begun to scrape; for as long as the turn is held.
async fn judged() -> (Rehearsal, Server, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let mut rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let server = Server::start(&configuration(&rehearsal.sandbox)).await;
    let real = Prometheus::from_flag(server.url()).expect("an address");
    let served = format!(r#"sum(rate(istio_requests_total{{destination_workload="{APP}-primary"}}[30s]))"#);
    until(&real, &served, |rate| rate > 0.0).await;
    rehearsal.drive_by(Some(server.url()));
    let mut role = rehearsal.controller.as_ref().map(Controller::role).expect("a controller");
    let driving = role.wait_for(|role| *role == Role::Driving);
    tokio::time::timeout(PATIENCE, driving).await.expect("the lease").expect("a role");
    (rehearsal, server, turn)
}

/// Every verdict came from the real one: the sandbox's own was never asked through its API.
async fn assert_judged_by(server: &Server, rehearsal: &Rehearsal) {
    let asked = rehearsal.sandbox.requests();
    assert!(!asked.keys().any(|(_, resource)| resource.contains("proxy")), "{asked:?}");
    let answered = server.queries_answered().await;
    assert!(answered >= 10, "a rollout takes five checks of two queries each, and it answered {answered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn a_good_version_is_promoted() {
    let (rehearsal, server, _turn) = judged().await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    let said = rehearsal.messages();
    for weight in [10, 20, 30, 40, 50] {
        let step = format!("Advance {APP}.jx-production canary weight {weight}");
        assert!(said.contains(&step), "{step}: {said:#?}");
    }
    let primary = format!("{APP}-primary");
    // The watches of different kinds do not wait for each other.
    rehearsal.until("the primary is old", |world| world.workloads[&primary].version() == "1.1.0").await;
    assert_eq!(rehearsal.sandbox.lost_requests(), 0);
    assert_judged_by(&server, &rehearsal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn a_version_that_answers_with_errors_is_rolled_back_and_its_series_end() {
    let (rehearsal, server, _turn) = judged().await;
    rehearsal.set_version("1.2.0").await;
    rehearsal.until("no traffic on the canary", |world| weight(world) > 0).await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    assert!(said.iter().any(|m| m.contains("advancement success rate") && m.ends_with("% < 99%")), "{said:#?}");
    rehearsal.until("the canary is still there", |w| (w.workloads[APP].desired, weight(w)) == (0, 0)).await;
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.0.0");
    assert_judged_by(&server, &rehearsal).await;
    // The pods are gone: what they served stays visible to a range, and long before the lookback of five minutes there is
    // no present value.
    let real = Prometheus::from_flag(server.url()).expect("an address");
    let present = format!(r#"count(istio_requests_total{{destination_workload="{APP}"}}) or vector(0)"#);
    until(&real, &present, |count| count == 0.0).await;
    let ever = format!(r#"count(last_over_time(istio_requests_total{{destination_workload="{APP}"}}[5m]))"#);
    assert!(real.instant(&ever).await.expect("an answer")[0].value > 0.0);
}
