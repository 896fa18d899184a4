//! Rollouts that are judged by a query of the Canary's own, on the embedded cluster.

mod rehearsal;

use canary_tui::api::Phase;
use canary_tui::cluster::Clock;
use canary_tui::rollout::Reading;
use canary_tui::sandbox::Options;
use canary_tui::tui::message::{Msg, Teller};
use canary_tui::tui::row::Key;
use canary_tui::tui::source::{self, Feed, Order};
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

const STEP: Duration = Duration::from_millis(400);
const NEIGHBOUR: &str = "jx-production-cart";

/// The percentage of a workload's requests whose code matches, with every word that a query may have.
const SHARE: &str = r#"
    sum(rate(istio_requests_total{
        reporter="destination",
        destination_workload_namespace="{{ namespace }}",
        destination_workload=~"{{target}}",
        response_code=~"{{ variables.code }}"
    }[{{ interval }}]))
    /
    sum(rate(istio_requests_total{
        reporter="destination",
        destination_workload_namespace="{{- namespace -}}",
        destination_workload=~"{{ name }}|{{ service }}|{{ ingress }}|{{ route }}"
    }[{{ interval }}]))
    * 100
"#;

async fn judged_by(options: Options, canary: &str, metric: Value) -> Rehearsal {
    let rehearsal = Rehearsal::driving(options).await;
    set_metric(&rehearsal, canary, &metric);
    rehearsal
        .until("the metric is not seen", |w| match &w.canaries[canary].spec {
            Ok(spec) => spec.analysis.checks.iter().any(|check| metric["name"] == check.name.as_str()),
            Err(_) => true,
        })
        .await;
    rehearsal
}

fn set_metric(rehearsal: &Rehearsal, canary: &str, metric: &Value) {
    rehearsal
        .sandbox
        .store()
        .modify("Canary", Some("jx-production"), canary, |canary: &mut Value| {
            canary["spec"]["analysis"]["metrics"] = json!([metric]);
        })
        .expect("the canary takes the metric");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_whose_query_stays_within_its_range_is_promoted() {
    let metric = json!({
        "name": "answered", "interval": "30s", "thresholdRange": {"min": 99, "max": 100},
        "query": SHARE, "templateVariables": {"code": "2.."},
    });
    let rehearsal = judged_by(hurried(STEP), APP, metric).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
    let said = rehearsal.messages();
    assert!(said.iter().any(|m| m.ends_with("canary weight 50")), "{said:#?}");
    assert!(!said.iter().any(|m| m.contains("query failed")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_whose_query_exceeds_its_threshold_is_rolled_back_with_flaggers_words() {
    let metric = json!({
        "name": "server errors", "interval": "1s", "threshold": 1.5,
        "query": SHARE, "templateVariables": {"code": "5.."},
    });
    let options = Options { scrape: Duration::from_millis(50), ..hurried(STEP) };
    let rehearsal = judged_by(options, APP, metric).await;
    rehearsal.set_version("5xx").await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    let start = format!("Halt {APP}.jx-production advancement server errors ");
    let halts: Vec<&str> = said.iter().filter_map(|m| m.strip_prefix(&start)).collect();
    assert!(!halts.is_empty(), "{said:#?}");
    for halt in halts {
        let value = halt.strip_suffix(" > 1.5").unwrap_or_else(|| panic!("{halt}"));
        assert_eq!(value.split_once('.').map(|(_, decimals)| decimals.len()), Some(2), "{halt}");
        assert!(value.parse::<f64>().is_ok_and(|value| value > 1.5 && value <= 100.0), "{halt}");
    }
    let world = rehearsal.mirror.read();
    assert_eq!((world.workloads[APP].desired, weight(&world)), (0, 0));
    assert_eq!(world.canaries[APP].status.failed_checks, 5);
    assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.0.0");
}

/// Puts a template into a namespace, which asks the cluster's own Prometheus.
fn set_template(rehearsal: &Rehearsal, namespace: &str, name: &str, provider: Value) {
    let template = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"provider": provider, "query": SHARE},
    });
    rehearsal.sandbox.store().create("MetricTemplate", Some(namespace), template).expect("a template");
}

fn own_prometheus() -> Value {
    json!({"type": "prometheus", "address": "http://prometheus.istio-system:9090"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_of_another_namespace_judges_in_place_of_what_is_built_in() {
    let metric = json!({
        "name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99, "max": 100},
        "templateRef": {"name": "share", "namespace": "istio-system"}, "templateVariables": {"code": "2.."},
    });
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    set_template(&rehearsal, "istio-system", "share", own_prometheus());
    set_metric(&rehearsal, APP, &metric);
    rehearsal
        .until("the template is not seen", |w| {
            w.canaries[APP].spec.as_ref().is_ok_and(|spec| spec.analysis.checks.iter().all(|check| check.kind.is_own()))
        })
        .await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    let said = rehearsal.messages();
    assert!(said.iter().any(|m| m.ends_with("canary weight 50")), "{said:#?}");
    rehearsal.set_version("5xx").await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    let start = format!("Halt {APP}.jx-production advancement request-success-rate ");
    assert!(said.iter().any(|m| m.starts_with(&start) && m.ends_with(" < 99")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_cannot_be_asked_never_lets_a_version_pass_and_says_why() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    set_template(
        &rehearsal,
        "jx-production",
        "cloud",
        json!({"type": "datadog", "address": "https://api.datadoghq.com"}),
    );
    let locked =
        json!({"type": "prometheus", "address": "http://prometheus.istio-system:9090", "secretRef": {"name": "key"}});
    set_template(&rehearsal, "jx-production", "locked", locked);
    set_template(&rehearsal, "jx-production", "share", own_prometheus());
    for (name, tag, said) in [
        ("missing", "1.1.0", "Metric template missing.jx-production error: "),
        ("cloud", "1.1.1", "Metric template cloud.jx-production provider datadog error: "),
        ("locked", "1.1.2", "Metric template locked.jx-production secret key error: "),
        ("share", "1.1.3", "Metric template share.jx-production query render error: "),
    ] {
        set_metric(&rehearsal, APP, &json!({"name": "odd", "threshold": 1e9, "templateRef": {"name": name}}));
        rehearsal.set_version(tag).await;
        rehearsal.until_phase(Phase::Progressing).await;
        rehearsal.until_phase(Phase::Failed).await;
        let messages = rehearsal.messages();
        assert!(messages.iter().any(|m| m.starts_with(said)), "{name}: {messages:#?}");
        let world = rehearsal.mirror.read();
        assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.0.0", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_without_an_answer_or_with_several_or_refused_never_lets_a_version_pass() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    for (query, tag, said) in [
        ("no_such_series", "1.1.0", "Halt advancement no values found for metric: odd"),
        ("vector(0) / 0", "1.1.1", "Halt advancement no values found for metric: odd"),
        ("sum by (destination_workload) (istio_requests_total)", "1.1.2", "Prometheus query failed for odd: "),
        ("sum(", "1.1.3", "Prometheus query failed for odd: "),
    ] {
        set_metric(&rehearsal, APP, &json!({"name": "odd", "threshold": 1e9, "query": query}));
        let seen = |m: &String| m.starts_with(said);
        let before = rehearsal.messages().into_iter().filter(seen).count();
        rehearsal.set_version(tag).await;
        rehearsal.until_phase(Phase::Progressing).await;
        rehearsal.until_phase(Phase::Failed).await;
        let messages = rehearsal.messages();
        assert!(messages.iter().filter(|m| seen(m)).count() > before, "{query}: {messages:#?}");
        let world = rehearsal.mirror.read();
        assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.0.0", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_with_an_unknown_word_is_not_driven_and_the_others_go_on() {
    let metric = json!({"name": "pods", "threshold": 1, "query": "up{pod=~\"{{ pod }}\"}"});
    let rehearsal = judged_by(hurried(STEP), NEIGHBOUR, metric).await;
    rehearsal
        .until("no word about the query", |w| {
            w.events.values().any(|e| {
                e.canary == NEIGHBOUR
                    && &*e.reason == "NotDriven"
                    && e.message.contains("spec.analysis.metrics[0].query uses {{ pod }}")
            })
        })
        .await;
    rehearsal
        .sandbox
        .store()
        .modify("Deployment", Some("jx-production"), NEIGHBOUR, |target: &mut Value| {
            target["spec"]["template"]["spec"]["containers"][0]["image"] = json!("gcr.io/jx/cart:1.1.0");
        })
        .expect("an image");
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    let world = rehearsal.mirror.read();
    assert_eq!(world.canaries[NEIGHBOUR].status.phase, Phase::Initialized);
    assert_eq!(world.workloads[&format!("{NEIGHBOUR}-primary")].version(), "1.0.0");
    assert_eq!(world.workloads[NEIGHBOUR].desired, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_is_told_what_the_selected_canarys_query_answers() {
    let metric = json!({
        "name": "answered", "interval": "30s", "thresholdRange": {"min": 99},
        "query": SHARE, "templateVariables": {"code": "2.."},
    });
    let rehearsal = judged_by(hurried(Duration::from_secs(3600)), APP, metric).await;
    let (told, mut messages) = mpsc::unbounded_channel();
    let (orders, commands) = mpsc::unbounded_channel();
    let options = source::Options { everywhere: false, controller: None, prometheus: None, namespaces: Vec::new() };
    let feed = tokio::spawn(
        Feed::new(rehearsal.connection.clone(), Clock::system(), options, Teller::new(0, told), commands).run(),
    );
    let key = |name: &str| Key::new("jx-production", name);
    let selected = Order::Remember { primary: key(&format!("{APP}-primary")), canary: key(APP) };
    orders.send(selected).expect("the feed listens");
    rehearsal.set_version("1.1.0").await;
    let told = async {
        loop {
            let message = messages.recv().await.expect("the feed tells").msg;
            let Msg::Judged(judged) = message else { continue };
            assert_eq!(judged.canary.name, APP);
            let [(check, reading)] = &judged.checks[..] else { panic!("{judged:?}") };
            assert_eq!((check.name.as_str(), check.min, check.max), ("answered", Some(99.0), None));
            match reading {
                Reading::Value(value) => return assert_eq!(*value, 100.0),
                // Before the first requests are sampled.
                Reading::NoValues => {}
                Reading::Unavailable(why) | Reading::Unasked(why) => panic!("{why}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("a value is told");
    orders.send(Order::Stop).expect("the feed listens");
    feed.await.expect("the feed ends");
}
