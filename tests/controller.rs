//! The controller on the embedded cluster, over HTTPS: rollouts from start to finish, requests, faults.

mod rehearsal;

use canary_tui::api::history::{History, Rollout};
use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::{Outcome, Wish};
use canary_tui::cluster::{Driver, Source};
use canary_tui::controller::Role;
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::{Value, json};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(400);
/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_is_promoted_with_flaggers_words_in_flaggers_order() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    let said = rehearsal.messages();
    let full = format!("{APP}.jx-production");
    let mut expected =
        vec![format!("New revision detected! Scaling up {full}"), format!("Starting canary analysis for {full}")];
    expected.extend([10, 20, 30, 40, 50].map(|weight| format!("Advance {full} canary weight {weight}")));
    expected.push(format!("Copying {full} template spec to {APP}-primary.jx-production"));
    expected.push("Routing all traffic to primary".into());
    expected.push(format!("Promotion completed! Scaling down {full}"));
    let relevant: Vec<String> = said.into_iter().filter(|m| expected.contains(m)).collect();
    assert_eq!(relevant, expected);
    let events = rehearsal.sandbox.store().list("Event", Some("jx-production")).0;
    let ours = events.iter().filter(|e| e["message"].as_str().is_some_and(|m| expected.iter().any(|x| x == m)));
    for event in ours {
        assert_eq!((&event["reason"], &event["count"]), (&json!("Synced"), &json!(1)), "{event}");
    }
    let world = rehearsal.mirror.read();
    assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.1.0");
    assert_eq!((world.workloads[APP].desired, weight(&world)), (0, 0));
    let status = &world.canaries[APP].status;
    assert_eq!(status.last_promoted, status.last_applied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_answers_with_errors_is_rolled_back_at_its_threshold() {
    let mut options = hurried(STEP);
    options.scrape = Duration::from_millis(50);
    let rehearsal = Rehearsal::driving(options).await;
    shorten_windows(&rehearsal);
    rehearsal.set_version("5xx").await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    let halts: Vec<&String> = said.iter().filter(|m| m.contains("advancement success rate")).collect();
    assert!(!halts.is_empty() && halts.iter().all(|m| m.ends_with("% < 99%")), "{said:#?}");
    let place = |start: &str| said.iter().position(|m| m.starts_with(start));
    let (rolling, failed) = (place("Rolling back"), place("Canary failed!"));
    assert!(rolling.is_some() && rolling < failed, "{said:#?}");
    {
        let world = rehearsal.mirror.read();
        assert_eq!((world.workloads[APP].desired, weight(&world)), (0, 0));
        assert_eq!(world.canaries[APP].status.failed_checks, 5, "the count can still be read");
        assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.0.0");
    }
    rehearsal.until("no end in the history", |_| last_rollout(&rehearsal).is_some_and(|r| r.end.is_some())).await;
    let kept = last_rollout(&rehearsal).expect("a rollout");
    assert_eq!(kept.end.map(|end| end.phase).as_deref(), Some("Failed"));
    assert!(kept.images.values().any(|image| image.ends_with(":5xx")), "{:?}", kept.images);
    let failing = kept.checks.iter().filter(|check| !check.passed && check.value.is_some_and(|value| value < 99.0));
    assert!(failing.count() > 0, "{:#?}", kept.checks);
    let texts: Vec<&String> = kept.said.iter().map(|said| &said.text).collect();
    assert!(halts.iter().all(|halt| texts.contains(halt)), "{texts:#?}");
    assert!(texts.iter().any(|text| text.starts_with("Canary failed!")), "{texts:#?}");
}

/// The newest entry of the app's history, as it stands on the Canary.
fn last_rollout(rehearsal: &Rehearsal) -> Option<Rollout> {
    let canary = rehearsal.sandbox.store().get("Canary", Some("jx-production"), APP)?;
    let text = canary["metadata"]["annotations"]["canary-tui/history"].as_str()?;
    History::read(text).rollouts.pop()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_says_who_asked_for_what_and_outlives_the_driver() {
    let mut rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
    assert!(matches!(rehearsal.ask(Verb::Pause).await, Outcome::CarriedOut(_)));
    let held =
        |rollout: Rollout| rollout.said.iter().any(|said| said.text.contains("pause") && said.text.contains("alice"));
    rehearsal.until("the pause is not kept", |_| last_rollout(&rehearsal).is_some_and(held)).await;
    rehearsal.controller.take().expect("a controller").stop().await;
    rehearsal.drive();
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until("no end in the history", |_| last_rollout(&rehearsal).is_some_and(|r| r.end.is_some())).await;
    let kept = last_rollout(&rehearsal).expect("a rollout");
    assert!(held(kept.clone()), "what the driver before kept is there: {:#?}", kept.said);
    assert!(kept.said.iter().any(|said| said.text.contains("abort")), "{:#?}", kept.said);
    assert_eq!(kept.revision, rehearsal.revision());
}

/// Rates over a second: a test does not wait half a minute for a window to fill.
fn shorten_windows(rehearsal: &Rehearsal) {
    let store = rehearsal.sandbox.store();
    store
        .modify("Canary", Some("jx-production"), APP, |canary: &mut Value| {
            for metric in canary["spec"]["analysis"]["metrics"].as_array_mut().into_iter().flatten() {
                metric["interval"] = json!("1s");
            }
        })
        .expect("the canary takes other windows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_holds_steps_and_promotes() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no first step", |w| weight(w) == 10).await;
    rehearsal.until("status", |w| w.canaries[APP].status.canary_weight == 10).await;
    assert!(matches!(rehearsal.ask(Verb::Pause).await, Outcome::CarriedOut(m) if m.contains("alice")));
    assert!(matches!(rehearsal.ask(Verb::Pause).await, Outcome::Refused(m) if m.contains("paused already")));
    rehearsal.until_measured().await;
    let outcome = rehearsal.ask(Verb::Advance).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    rehearsal.until("the step", |w| weight(w) == 20 && w.canaries[APP].paused.is_some()).await;
    assert!(matches!(rehearsal.ask(Verb::Resume).await, Outcome::CarriedOut(_)));
    assert!(matches!(rehearsal.ask(Verb::Promote).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Finalising).await;
    assert!(matches!(rehearsal.ask(Verb::Pause).await, Outcome::Refused(m) if m.contains("promotion has begun")));
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_while_promoting_puts_the_version_before_back() {
    let mut options = hurried(NEVER);
    options.ready_after = Duration::from_millis(600);
    let rehearsal = Rehearsal::driving(options).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
    assert!(matches!(rehearsal.ask(Verb::Promote).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Promoting).await;
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Failed).await;
    let world = rehearsal.mirror.read();
    let primary = &world.workloads[&format!("{APP}-primary")];
    assert_eq!((primary.version(), weight(&world)), ("1.0.0", 0));
    assert_eq!(world.workloads[APP].desired, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_a_revision_that_is_gone_is_refused_with_an_event() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let seen = rehearsal.revision();
    rehearsal.set_version("1.1.0").await;
    let wish = |verb| Wish {
        canary: APP.into(),
        verb,
        revision: seen.clone(),
        reason: "drill".into(),
        image: None,
        container: None,
        gate: None,
    };
    let outcome = rehearsal.ask_for(wish(Verb::Promote)).await;
    assert!(matches!(&outcome, Outcome::Refused(m) if m.contains(&seen) && m.contains("drill")), "{outcome:?}");
    assert!(rehearsal.messages().iter().any(|m| m.contains("refused")));
    rehearsal.until("it is taken off", |w| w.canaries[APP].request.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_sets_the_image_and_a_failed_revision_is_tried_again() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let wish = |image: Option<&str>, revision: String| Wish {
        canary: APP.into(),
        verb: Verb::Start,
        revision,
        reason: String::new(),
        image: image.map(str::to_string),
        container: None,
        gate: None,
    };
    let outcome = rehearsal.ask_for(wish(Some("gcr.io/jx/myapp:1.1.0"), rehearsal.revision())).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Failed).await;
    let outcome = rehearsal.ask_for(wish(None, rehearsal.revision())).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    rehearsal.until("no second try", |w| weight(w) == 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_revision_mid_rollout_starts_again_and_the_promoted_one_ends_it() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
    let first = rehearsal.revision();
    rehearsal.set_version("1.1.1").await;
    rehearsal
        .until("it starts again", |w| {
            let status = &w.canaries[APP].status;
            status.last_applied.as_ref() != Some(&first) && status.canary_weight == 10
        })
        .await;
    assert!(rehearsal.messages().iter().any(|m| m.starts_with("New revision detected! Restarting analysis")));
    rehearsal.set_version("1.0.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    rehearsal.until("the canary is scaled down", |w| w.workloads[APP].desired == 0 && weight(w) == 0).await;
    let rollouts = rehearsal.messages().iter().filter(|m| m.contains("Scaling up")).count();
    assert_eq!(rollouts, 1, "nothing is rolled out again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_supported_is_named_and_the_others_go_on() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let store = rehearsal.sandbox.store();
    store
        .modify("Canary", Some("jx-production"), "jx-production-cart", |canary: &mut Value| {
            canary["spec"]["provider"] = json!("linkerd");
        })
        .expect("another mesh");
    rehearsal
        .until("no word about the mesh", |w| {
            w.events.values().any(|e| &*e.reason == "NotDriven" && e.message.contains("spec.provider"))
        })
        .await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_does_not_exist_is_named_and_driven_once_it_does() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let store = rehearsal.sandbox.store();
    let mut canary = (*store.get("Canary", Some("jx-production"), APP).expect("a canary")).clone();
    canary["metadata"] = json!({"name": "late", "namespace": "jx-production"});
    canary["spec"]["targetRef"]["name"] = json!("late");
    canary.as_object_mut().expect("an object").remove("status");
    store.create("Canary", Some("jx-production"), canary).expect("a canary without a target");
    rehearsal
        .until("no word about the target", |w| {
            w.events
                .values()
                .any(|e| e.canary == "late" && e.message.contains("deployment late.jx-production does not exist"))
        })
        .await;
    let mut target = (*store.get("Deployment", Some("jx-production"), APP).expect("a target")).clone();
    target["metadata"] = json!({"name": "late", "namespace": "jx-production"});
    target["spec"]["selector"] = json!({"matchLabels": {"app": "late"}});
    target["spec"]["template"]["metadata"]["labels"] = json!({"app": "late"});
    target["spec"]["replicas"] = json!(1);
    target.as_object_mut().expect("an object").remove("status");
    store.create("Deployment", Some("jx-production"), target).expect("a target");
    rehearsal
        .until("never initialized", |w| w.canaries.get("late").is_some_and(|c| c.status.phase == Phase::Initialized))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_of_the_alpha_version_is_initialized_as_it_is() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let store = rehearsal.sandbox.store();
    let target = store.get("Deployment", Some("jx-production"), APP).expect("the target");
    let mut fresh = (*target).clone();
    fresh["metadata"] = json!({"name": "shop", "namespace": "jx-production"});
    fresh["spec"]["selector"] = json!({"matchLabels": {"app": "shop"}});
    fresh["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
    fresh["spec"]["replicas"] = json!(2);
    fresh.as_object_mut().expect("an object").remove("status");
    store.create("Deployment", Some("jx-production"), fresh).expect("a target");
    let canary = json!({
        "apiVersion": "flagger.app/v1alpha2", "kind": "Canary",
        "metadata": {"name": "shop", "namespace": "jx-production"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
            "service": {"port": 8080, "hosts": ["shop.example.com"]},
            "canaryAnalysis": {"interval": "60s", "threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": [
                {"name": "istio_requests_total", "threshold": 99, "interval": "60s"},
                {"name": "istio_request_duration_seconds_bucket", "threshold": 500, "interval": "60s"}]},
        },
    });
    store.create("Canary", Some("jx-production"), canary).expect("a canary");
    rehearsal
        .until("never initialized", |w| w.canaries.get("shop").is_some_and(|c| c.status.phase == Phase::Initialized))
        .await;
    {
        let world = rehearsal.mirror.read();
        assert_eq!((world.workloads["shop-primary"].desired, world.workloads["shop"].desired), (2, 0));
        for service in ["shop", "shop-primary", "shop-canary"] {
            assert!(world.services.contains_key(service), "{service}");
        }
    }
    rehearsal
        .until("its events", |w| w.events.values().any(|e| e.message == "Initialization done! shop.jx-production"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_of_two_controllers_drives_and_the_other_takes_over() {
    let mut first = Rehearsal::driving(hurried(NEVER)).await;
    let other = canary_tui::cluster::lease::Tenure::begin(
        &first.connection,
        "bob@elsewhere (1)",
        canary_tui::cluster::Clock::system(),
    );
    let mut holding = other.holding();
    assert!(!*holding.borrow());
    assert!(other.fence().check().is_err());
    first.until("the lease is seen", |w| matches!(w.driver(chrono::Utc::now()), Driver::Somebody(_))).await;
    first.controller.take().expect("a controller").stop().await;
    // Released, not run out: the other has it at its next look.
    tokio::time::timeout(Duration::from_secs(8), holding.wait_for(|h| *h)).await.expect("in time").expect("alive");
    assert!(other.fence().check().is_ok());
    other.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_flagger_runs_nothing_of_ours_drives() {
    let mut rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let template = json!({"metadata": {"labels": {"app": "flagger"}},
        "spec": {"containers": [{"name": "flagger", "image": "flagger:1"}]}});
    let flagger = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "flagger", "namespace": "istio-system"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "flagger"}}, "template": template},
    });
    rehearsal.sandbox.store().create("Deployment", Some("istio-system"), flagger).expect("flagger");
    rehearsal.drive();
    let mut role = rehearsal.controller.as_ref().expect("a controller").role();
    let observing = role.wait_for(|role| matches!(role, Role::Observing(why) if why.contains("Flagger")));
    tokio::time::timeout(Duration::from_secs(10), observing).await.expect("in time").expect("a role");
    assert!(rehearsal.sandbox.store().get("Lease", Some("jx-production"), "canary-tui").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_prometheus_fails_the_checks_and_advances_nothing() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    rehearsal.sandbox.set_prometheus_down(true);
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    assert!(said.iter().any(|m| m.starts_with("Prometheus query failed")), "{said:#?}");
    assert!(!said.iter().any(|m| m.ends_with("canary weight 20")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_api_server_decides_nothing_and_the_rollout_goes_on_after_it() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no step", |w| weight(w) >= 10).await;
    rehearsal.sandbox.stop_serving();
    rehearsal.until("the loss is seen", |w| w.not_live(&[Source::Canaries]).is_some()).await;
    rehearsal.sandbox.resume_serving().await.expect("the same port");
    rehearsal.until_phase(Phase::Succeeded).await;
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
}
