//! A real Prometheus scrapes the controller: it can read all of it, and the alert that Flagger's users have on a rollback
//! fires for one of ours.

use super::rehearsal::{APP, Rehearsal, hurried, weight};
use super::scraping::{SCRAPE, promtool_reads, until};
use super::server::Server;
use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::Outcome;
use canary_tui::controller::Endpoint;
use canary_tui::metrics::Prometheus;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// No step is taken because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);

/// A rule in the words of those that come with Flagger, without the minute that those wait.
const RULES: &str = "groups:\n- name: flagger\n  rules:\n  - alert: canary_rollback\n    expr: flagger_canary_status > 1\n    \
                     labels:\n      severity: warning\n    annotations:\n      \
                     description: \"Workload {{ $labels.name }} namespace {{ $labels.namespace }}\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn a_rollback_raises_flaggers_alert() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let endpoint = Endpoint::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a free port");
    let address = endpoint.address();
    let serving = tokio::spawn(endpoint.serve(rehearsal.controller.as_ref().expect("a controller").report()));
    let rules = rehearsal.folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).expect("the rules");
    let server = Server::start(&format!(
        "global:\n  scrape_interval: {SCRAPE}\n  scrape_timeout: {SCRAPE}\n  evaluation_interval: {SCRAPE}\n\
         rule_files: ['{}']\nscrape_configs:\n- job_name: controller\n  static_configs:\n  - targets: ['{address}']\n",
        rules.display()
    ))
    .await;
    let real = Prometheus::from_flag(server.url()).expect("an address");
    let app = format!("name=\"{APP}\",namespace=\"jx-production\"");
    let standing = format!("flagger_canary_status{{{app}}}");
    until(&real, &standing, |status| status == 1.0).await;
    let firing = format!("count(ALERTS{{alertname=\"canary_rollback\",alertstate=\"firing\",{app}}}) or vector(0)");
    until(&real, &firing, |alerts| alerts == 0.0).await;

    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
    until(&real, &standing, |status| status == 0.0).await;
    until(&real, &format!("flagger_canary_weight{{workload=\"{APP}\"}}"), |weight| weight == 10.0).await;
    let quantile = format!("histogram_quantile(0.99, sum(flagger_canary_duration_seconds_bucket{{{app}}}) by (le))");
    until(&real, &quantile, |seconds| seconds > 0.0).await;

    let aborted = rehearsal.ask(Verb::Abort).await;
    assert!(matches!(aborted, Outcome::CarriedOut(_)), "{aborted:?}");
    rehearsal.until_phase(Phase::Failed).await;
    until(&real, &firing, |alerts| alerts == 1.0).await;
    // The first failure of a process counts: the counter was there before it.
    until(&real, &format!("increase(flagger_canary_failures_total{{{app}}}[1m])"), |failures| failures > 0.0).await;

    let text = rehearsal.controller.as_ref().expect("a controller").report().series();
    // The gauge has its name from Flagger.
    promtool_reads(&text, |complaint| complaint.starts_with("flagger_canary_total "));
    serving.abort();
}
