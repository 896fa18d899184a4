//! Rollouts on the sandbox whose checks a real Prometheus answers.

use super::rehearsal::{APP, Rehearsal, hurried, weight};
use super::scraping::configuration;
use super::server::Server;
use canary_tui::api::Phase;
use canary_tui::controller::{Controller, Role};
use canary_tui::metrics::Prometheus;
use std::time::Duration;

/// Time for a few scrapes between two checks.
const STEP: Duration = Duration::from_secs(1);
/// Nothing here takes this long; it only keeps a failure from hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster whose controller asks a real Prometheus.
async fn judged() -> (Rehearsal, Server) {
    let mut rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let server = Server::start(&configuration(&rehearsal.sandbox)).await;
    rehearsal.drive_by(Some(server.url()));
    let mut role = rehearsal.controller.as_ref().map(Controller::role).expect("a controller");
    let driving = role.wait_for(|role| *role == Role::Driving);
    tokio::time::timeout(PATIENCE, driving).await.expect("the lease").expect("a role");
    (rehearsal, server)
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
    let (rehearsal, server) = judged().await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    let said = rehearsal.messages();
    for weight in [10, 20, 30, 40, 50] {
        let step = format!("Advance {APP}.jx-production canary weight {weight}");
        assert!(said.contains(&step), "{step}: {said:#?}");
    }
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
    assert_eq!(rehearsal.sandbox.lost_requests(), 0);
    assert_judged_by(&server, &rehearsal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn a_version_that_answers_with_errors_is_rolled_back_and_its_series_end() {
    let (rehearsal, server) = judged().await;
    rehearsal.set_version("1.2.0").await;
    rehearsal.until("no traffic on the canary", |world| weight(world) > 0).await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    assert!(said.iter().any(|m| m.contains("advancement success rate") && m.ends_with("% < 99%")), "{said:#?}");
    {
        let world = rehearsal.mirror.read();
        assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.0.0");
        assert_eq!((world.workloads[APP].desired, weight(&world)), (0, 0));
    }
    assert_judged_by(&server, &rehearsal).await;
    // The pods are gone: what they served stays visible to a range, and at once there is no present value.
    let real = Prometheus::from_flag(server.url()).expect("an address");
    let present = format!(r#"count(istio_requests_total{{destination_workload="{APP}"}}) or vector(0)"#);
    let ended = async {
        while real.instant(&present).await.expect("an answer")[0].value > 0.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the series of the canary end long before the lookback");
    let ever = format!(r#"count(last_over_time(istio_requests_total{{destination_workload="{APP}"}}[5m]))"#);
    assert!(real.instant(&ever).await.expect("an answer")[0].value > 0.0);
}
