//! Webhooks and gates on the embedded cluster: one rehearsal for each rule of Flagger's that is carried out, and for
//! where we differ on purpose.

mod receiver;
mod rehearsal;

use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::World;
use canary_tui::cluster::requests::{Outcome, Wish};
use canary_tui::controller;
use receiver::{Answer, Receiver};
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(300);
/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);
const FULL: &str = "jx-production-myapp.jx-production";
const NO: Answer = Answer::Status(403, "Forbidden");
const YES: Answer = Answer::Status(200, "Approved");

/// A webhook of this type, whose name is its path's.
fn hook(receiver: &Receiver, kind: &str, path: &str) -> Value {
    json!({"name": path.trim_start_matches('/'), "type": kind, "url": receiver.url(path), "timeout": "30s"})
}

/// The app's Canary with these webhooks, steps of 50 % and no metrics: nothing but webhooks says no.
async fn with_hooks(rehearsal: &Rehearsal, hooks: &[Value]) {
    change(rehearsal, |canary| {
        let analysis = &mut canary["spec"]["analysis"];
        analysis["webhooks"] = json!(hooks);
        analysis["metrics"] = json!([]);
        analysis["threshold"] = json!(2);
        (analysis["stepWeight"], analysis["maxWeight"]) = (json!(50), json!(50));
    })
    .await;
}

/// Changes the app's Canary, and waits until that is seen.
async fn change(rehearsal: &Rehearsal, change: impl Fn(&mut Value)) {
    let store = rehearsal.sandbox.store();
    let changed = store.modify("Canary", Some("jx-production"), APP, &change).expect("the canary takes it");
    let version = changed["metadata"]["resourceVersion"].as_str().expect("a version").to_string();
    let seen = |w: &World| {
        let number = |version: &str| version.parse::<u64>().ok();
        number(&w.canaries[APP].resource_version) >= number(&version)
    };
    rehearsal.until("the change is seen", seen).await;
}

fn count(rehearsal: &Rehearsal, message: &str) -> usize {
    let events = rehearsal.sandbox.store().list("Event", Some("jx-production")).0;
    let ours = events.iter().filter(|e| e["message"] == message && e["involvedObject"]["name"] == APP);
    ours.map(|e| e["count"].as_u64().unwrap_or(0) as usize).sum()
}

async fn until_said(rehearsal: &Rehearsal, message: &str) {
    rehearsal.until(message, |w| w.events.values().any(|e| e.canary == APP && e.message == message)).await;
}

async fn open(rehearsal: &Rehearsal, gate: &str) -> Outcome {
    let wish = Wish {
        canary: APP.into(),
        verb: Verb::Open,
        revision: rehearsal.revision(),
        reason: String::new(),
        image: None,
        container: None,
        gate: Some(gate.into()),
    };
    rehearsal.ask_for(wish).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_confirm_rollout_waits_in_silence_and_an_accepted_one_begins() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/gate", NO);
    with_hooks(&rehearsal, &[hook(&receiver, "confirm-rollout", "/gate")]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Waiting).await;
    receiver.until_called("/gate", 4).await;
    let halt = format!("Halt {FULL} advancement waiting for approval gate");
    assert_eq!(count(&rehearsal, &halt), 1, "it is said once");
    {
        let world = rehearsal.mirror.read();
        let canary = &world.canaries[APP];
        assert_eq!((world.workloads[APP].desired, weight(&world), canary.status.failed_checks), (0, 0, 0));
        let gate = canary.gate.as_ref().expect("the gate that is shut");
        assert_eq!(
            (gate.name.as_str(), gate.kind.as_str(), gate.answer.as_str()),
            ("gate", "confirm-rollout", "Forbidden")
        );
    }
    let calls = receiver.calls("/gate");
    let phases: Vec<&Value> = calls.iter().map(|call| &call.body["phase"]).collect();
    assert_eq!(phases[..3], [&json!("Initialized"), &json!("Waiting"), &json!("Waiting")]);
    for pair in calls.windows(2) {
        assert!(pair[1].at - pair[0].at > STEP / 2, "it is asked once an interval");
    }
    receiver.answer("/gate", YES);
    rehearsal.until_phase(Phase::Succeeded).await;
    assert_eq!(count(&rehearsal, "Confirm-rollout check gate passed"), 1);
    assert!(rehearsal.mirror.read().canaries[APP].gate.is_none());
    assert_eq!(count(&rehearsal, &halt), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_is_reverted_while_it_waits_is_rolled_out_never() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/gate", NO);
    with_hooks(&rehearsal, &[hook(&receiver, "confirm-rollout", "/gate")]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Waiting).await;
    rehearsal.set_version("1.0.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    receiver.answer("/gate", YES);
    rehearsal.until("the mark goes", |w| w.canaries[APP].gate.is_none()).await;
    assert!(!rehearsal.messages().iter().any(|m| m.contains("Scaling up")), "{:#?}", rehearsal.messages());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_pre_rollout_counts_and_gets_no_traffic() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/db", Answer::Status(500, "no database"));
    with_hooks(&rehearsal, &[hook(&receiver, "pre-rollout", "/first"), hook(&receiver, "pre-rollout", "/db")]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    // The body of a 500 is told: Flagger loses it.
    assert_eq!(count(&rehearsal, &format!("Halt {FULL} advancement pre-rollout check db failed no database")), 2);
    assert_eq!(count(&rehearsal, &format!("Rolling back {FULL} failed checks threshold reached 2")), 1);
    assert_eq!(count(&rehearsal, "Pre-rollout check first passed"), 2);
    assert!(!rehearsal.messages().iter().any(|m| m.contains("canary weight")));
    assert_eq!(receiver.calls("/db")[0].body["phase"], "Progressing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_rollout_webhook_counts_before_any_metric_is_read() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/smoke", Answer::Status(400, "smoke test failed"));
    // Without a type, and with a payload of its own.
    let mut smoke = hook(&receiver, "", "/smoke");
    smoke["metadata"] = json!({"cmd": "hey"});
    with_hooks(&rehearsal, &[hook(&receiver, "rollout", "/first"), smoke, hook(&receiver, "rollout", "/never")]).await;
    change(&rehearsal, |canary| {
        let impossible = json!({"name": "request-success-rate", "interval": "1s", "thresholdRange": {"min": 100.5}});
        canary["spec"]["analysis"]["metrics"] = json!([impossible]);
    })
    .await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    assert_eq!(count(&rehearsal, &format!("Halt {FULL} advancement external check smoke failed smoke test failed")), 2);
    let said = rehearsal.messages();
    assert!(!said.iter().any(|m| m.contains("success rate") || m.contains("no values")), "{said:#?}");
    assert!(receiver.calls("/never").is_empty(), "the first no ends it");
    let calls = receiver.calls("/smoke");
    assert_eq!(calls.len(), 2, "one call a check");
    let world = rehearsal.mirror.read();
    let body = &calls[0].body;
    assert_eq!((&body["name"], &body["namespace"]), (&json!(APP), &json!("jx-production")));
    assert_eq!((&body["phase"], &body["metadata"]), (&json!("Progressing"), &json!({"cmd": "hey"})));
    assert_eq!(body["checksum"], calls[1].body["checksum"]);
    assert_eq!(world.canaries[APP].status.failed_checks, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_traffic_increase_holds_the_weight_and_counts_nothing() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answers("/more", [YES, NO]);
    with_hooks(&rehearsal, &[hook(&receiver, "confirm-traffic-increase", "/more")]).await;
    change(&rehearsal, |canary| canary["spec"]["analysis"]["stepWeight"] = json!(30)).await;
    rehearsal.set_version("1.1.0").await;
    receiver.until_called("/more", 4).await;
    let halt = format!("Halt {FULL} advancement waiting for traffic increase approval more");
    {
        let world = rehearsal.mirror.read();
        let status = &world.canaries[APP].status;
        assert_eq!((weight(&world), status.failed_checks, status.phase), (30, 0, Phase::Progressing));
    }
    assert!(count(&rehearsal, &halt) >= 2, "it is said at every check");
    receiver.answer("/more", YES);
    rehearsal.until_phase(Phase::Succeeded).await;
    assert!(count(&rehearsal, "Confirm-traffic-increase check more passed") >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traffic_increase_that_is_refused_at_the_first_step_is_asked_once_an_interval() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/more", NO);
    let hooks = [hook(&receiver, "pre-rollout", "/pre"), hook(&receiver, "confirm-traffic-increase", "/more")];
    with_hooks(&rehearsal, &hooks).await;
    rehearsal.set_version("1.1.0").await;
    receiver.until_called("/more", 4).await;
    let calls = receiver.calls("/more");
    for pair in calls.windows(2) {
        assert!(pair[1].at - pair[0].at > STEP / 2, "{:?}", pair[1].at - pair[0].at);
    }
    let world = rehearsal.mirror.read();
    assert_eq!((weight(&world), world.canaries[APP].status.failed_checks), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_promotion_waits_for_approval_the_checks_go_on_and_can_fail_it() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/gate", NO);
    let hooks = [hook(&receiver, "rollout", "/smoke"), hook(&receiver, "confirm-promotion", "/gate")];
    with_hooks(&rehearsal, &hooks).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::WaitingPromotion).await;
    let before = receiver.calls("/smoke").len();
    receiver.until_called("/smoke", before + 3).await;
    assert_eq!(count(&rehearsal, &format!("Halt {FULL} advancement waiting for promotion approval gate")), 1);
    {
        let world = rehearsal.mirror.read();
        let canary = &world.canaries[APP];
        assert_eq!((canary.status.phase, weight(&world)), (Phase::WaitingPromotion, 50));
        assert_eq!(canary.gate.as_ref().map(|gate| gate.kind.as_str()), Some("confirm-promotion"));
    }
    receiver.answer("/smoke", Answer::Status(500, "late"));
    rehearsal.until_phase(Phase::Failed).await;
    let world = rehearsal.mirror.read();
    assert_eq!((weight(&world), world.workloads[&format!("{APP}-primary")].version()), (0, "1.0.0"));
    assert!(world.canaries[APP].gate.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_promotion_is_promoted() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answers("/gate", [NO, NO, YES]);
    with_hooks(&rehearsal, &[hook(&receiver, "confirm-promotion", "/gate")]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    assert_eq!(count(&rehearsal, "Confirm-promotion check gate passed"), 1);
    let phases: Vec<Value> = receiver.calls("/gate").into_iter().map(|call| call.body["phase"].clone()).collect();
    assert_eq!(phases, ["Progressing", "WaitingPromotion", "WaitingPromotion"]);
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_webhook_that_says_yes_rolls_back() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answers("/back", [NO, YES]);
    receiver.answer("/gate", NO);
    let hooks = [
        hook(&receiver, "rollback", "/back"),
        hook(&receiver, "rollback", "/other"),
        hook(&receiver, "confirm-promotion", "/gate"),
    ];
    with_hooks(&rehearsal, &hooks).await;
    receiver.answer("/other", NO);
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    let place = |text: &str| said.iter().position(|m| m == text).unwrap_or_else(|| panic!("{text}: {said:#?}"));
    let expected = [
        "Rollback check back passed".to_string(),
        format!("Rolling back {FULL} manual webhook invoked"),
        format!("Canary failed! Scaling down {FULL}"),
    ];
    let places = expected.map(|text| place(&text));
    assert!(places.is_sorted(), "{said:#?}");
    assert_eq!((receiver.calls("/back").len(), receiver.calls("/other").len()), (2, 1), "the first yes ends it");
    assert_eq!(weight(&rehearsal.mirror.read()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_webhook_is_heard_while_waiting_too() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/gate", NO);
    receiver.answer("/back", NO);
    let hooks = [hook(&receiver, "confirm-rollout", "/gate"), hook(&receiver, "rollback", "/back")];
    with_hooks(&rehearsal, &hooks).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Waiting).await;
    receiver.until_called("/back", 2).await;
    receiver.answer("/back", YES);
    rehearsal.until_phase(Phase::Failed).await;
    assert!(!rehearsal.messages().iter().any(|m| m.contains("Scaling up")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn post_rollout_webhooks_are_told_of_either_end_up_to_the_first_that_fails() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    let hooks = ["/first", "/second", "/third"].map(|path| hook(&receiver, "post-rollout", path));
    with_hooks(&rehearsal, &hooks).await;
    receiver.answer("/second", Answer::Status(500, "no load tester"));
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    until_said(&rehearsal, "Post-rollout hook second failed no load tester").await;
    until_said(&rehearsal, "Post-rollout check first passed").await;
    assert!(receiver.calls("/third").is_empty());
    assert_eq!(receiver.calls("/first")[0].body["phase"], "Succeeded");
    receiver.answer("/second", YES);
    let smoke = hook(&receiver, "rollout", "/smoke");
    receiver.answer("/smoke", NO);
    with_hooks(&rehearsal, &[&hooks[..], &[smoke]].concat()).await;
    rehearsal.set_version("1.2.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    until_said(&rehearsal, "Post-rollout check third passed").await;
    let phases: Vec<Value> = receiver.calls("/first").into_iter().map(|call| call.body["phase"].clone()).collect();
    assert_eq!(phases, ["Succeeded", "Failed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_webhook_gets_every_event_in_order() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    let mut events = hook(&receiver, "event", "/events");
    events["metadata"] = json!({"team": "shop", "eventType": "overruled"});
    with_hooks(&rehearsal, &[events]).await;
    let before = rehearsal.messages();
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    until_said(&rehearsal, &format!("Promotion completed! Scaling down {FULL}")).await;
    let said: Vec<String> = rehearsal.messages().into_iter().filter(|m| !before.contains(m)).collect();
    receiver.until_called("/events", said.len()).await;
    let calls = receiver.calls("/events");
    let text = |call: &receiver::Call| call.body["metadata"]["eventMessage"].as_str().expect("a text").to_string();
    assert_eq!(calls.iter().map(text).collect::<Vec<_>>(), said);
    let phase = |start: &str| {
        let call = calls.iter().find(|call| text(call).starts_with(start));
        call.unwrap_or_else(|| panic!("{start}: {said:#?}")).body["phase"].clone()
    };
    assert_eq!(phase("New revision detected!"), "Progressing");
    assert_eq!(phase("Routing all traffic to primary"), "Promoting");
    assert_eq!(phase("Promotion completed!"), "Succeeded");
    let metadata = &calls[0].body["metadata"];
    assert_eq!((&metadata["team"], &metadata["eventType"]), (&json!("shop"), &json!("Normal")));
    let stamp: i64 = metadata["timestamp"].as_str().and_then(|t| t.parse().ok()).expect("milliseconds");
    assert!((chrono::Utc::now().timestamp_millis() - stamp).abs() < 120_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_canaries_without_an_event_webhook_go_where_the_flag_says_and_hold_nothing_up() {
    let mut rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/all", Answer::Hang);
    rehearsal.drive_with(None, controller::Options { event_webhook: Some(receiver.url("/all")), ..Default::default() });
    rehearsal.until_phase(Phase::Initialized).await;
    with_hooks(&rehearsal, &[]).await;
    rehearsal.set_version("1.1.0").await;
    // The receiver never answers, and the rollout ends all the same.
    rehearsal.until_phase(Phase::Succeeded).await;
    receiver.until_called("/all", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_2xx_is_a_yes_and_redirects_are_followed() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/none", Answer::Status(204, ""));
    receiver.answer("/partial", Answer::Status(206, ""));
    receiver.answer("/moved", Answer::With(307, "", ("location", "/there")));
    let hooks = ["/none", "/partial", "/moved"].map(|path| hook(&receiver, "pre-rollout", path));
    with_hooks(&rehearsal, &hooks).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    for name in ["none", "partial", "moved"] {
        assert_eq!(count(&rehearsal, &format!("Pre-rollout check {name} passed")), 1);
    }
    let there = receiver.calls("/there");
    assert_eq!((there[0].method.as_str(), &there[0].body["name"]), ("POST", &json!(APP)), "with its payload");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_tried_again_as_often_as_it_says_and_only_where_that_may_help() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    let busy = Answer::With(503, "busy", ("retry-after", "0"));
    receiver.answers("/busy", [busy.clone(), busy.clone(), YES]);
    receiver.answer("/no", Answer::With(501, "no such thing", ("retry-after", "0")));
    let again = |kind: &str, path: &str| {
        let mut hook = hook(&receiver, kind, path);
        hook["retries"] = json!(2);
        hook
    };
    with_hooks(&rehearsal, &[again("pre-rollout", "/busy"), again("rollout", "/no")]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    assert_eq!(receiver.calls("/busy").len(), 3);
    assert_eq!(receiver.calls("/no").len(), 2, "one for each of the checks that failed");
    assert_eq!(count(&rehearsal, "Pre-rollout check busy passed"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_checked_unless_the_webhook_says_otherwise() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    // The cluster's own API server: its authority is nobody's but the kubeconfig's.
    let url = format!("{}/healthz", rehearsal.sandbox.url());
    let hook = |name: &str, skip: bool| json!({"name": name, "type": "rollout", "url": url, "disableTLS": skip});
    with_hooks(&rehearsal, &[hook("checked", false)]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    let halts = |name: &str| {
        let start = format!("Halt {FULL} advancement external check {name} failed ");
        let said = rehearsal.messages().into_iter().filter_map(|m| m.strip_prefix(&start).map(str::to_string));
        said.collect::<Vec<_>>()
    };
    let checked = halts("checked");
    assert!(checked.iter().all(|m| m.contains("certificate")) && !checked.is_empty(), "{checked:?}");
    with_hooks(&rehearsal, &[hook("unchecked", true)]).await;
    rehearsal.set_version("1.1.1").await;
    rehearsal
        .until("its end", |w| {
            w.canaries[APP].status.phase.at_rest()
                && w.canaries[APP].status.last_applied.as_deref() == w.revision(&w.workloads[APP])
        })
        .await;
    assert!(!halts("unchecked").iter().any(|m| m.contains("certificate")), "{:?}", halts("unchecked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_hangs_delays_no_request() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answers("/back", [NO, Answer::Hang]);
    receiver.answer("/smoke", NO);
    with_hooks(&rehearsal, &[hook(&receiver, "rollback", "/back"), hook(&receiver, "confirm-promotion", "/smoke")])
        .await;
    rehearsal.set_version("1.1.0").await;
    receiver.until_called("/back", 2).await;
    for verb in [Verb::Pause, Verb::Resume, Verb::Abort] {
        let began = Instant::now();
        let outcome = rehearsal.ask(verb).await;
        assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{verb}: {:?}", began.elapsed());
    }
    rehearsal.until_phase(Phase::Failed).await;
    assert_eq!(weight(&rehearsal.mirror.read()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_answers_too_late_is_a_no() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/slow", Answer::Hang);
    let slow = json!({"name": "slow", "type": "rollout", "url": receiver.url("/slow"), "timeout": "1s"});
    let gone = json!({"name": "gone", "type": "rollout", "url": "http://127.0.0.1:1/secret"});
    with_hooks(&rehearsal, &[slow]).await;
    rehearsal.set_version("1.1.0").await;
    until_said(&rehearsal, &format!("Halt {FULL} advancement external check slow failed no answer within 1s")).await;
    with_hooks(&rehearsal, &[gone]).await;
    rehearsal.until_phase(Phase::Failed).await;
    let said = rehearsal.messages();
    let refused = said.iter().find(|m| m.contains("external check gone failed")).expect("a refusal");
    assert!(refused.contains("refused") && !refused.contains("secret"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_is_opened_for_this_revision_only() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/gate", NO);
    // A webhook that happens to bear the gate's name is no gate.
    let mut namesake = hook(&receiver, "rollout", "/smoke");
    namesake["name"] = json!("gate");
    with_hooks(&rehearsal, &[hook(&receiver, "confirm-rollout", "/gate"), namesake]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Waiting).await;
    let outcome = open(&rehearsal, "nonsense").await;
    assert!(matches!(&outcome, Outcome::Refused(m) if m.contains("there are gate")), "{outcome:?}");
    let outcome = open(&rehearsal, "gate").await;
    assert!(matches!(&outcome, Outcome::CarriedOut(m) if m.contains("alice")), "{outcome:?}");
    rehearsal.until_phase(Phase::Succeeded).await;
    assert!(!receiver.calls("/smoke").is_empty());
    let asked = receiver.calls("/gate").len();
    rehearsal.set_version("1.2.0").await;
    rehearsal.until_phase(Phase::Waiting).await;
    assert!(receiver.calls("/gate").len() > asked, "the next revision is asked about again");
    assert!(rehearsal.mirror.read().canaries[APP].opened.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opened_gate_lets_the_rollout_go_on_at_once() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let receiver = Receiver::start().await;
    for gate in ["/more", "/gate"] {
        receiver.answer(gate, NO);
    }
    let hooks = [hook(&receiver, "confirm-traffic-increase", "/more"), hook(&receiver, "confirm-promotion", "/gate")];
    with_hooks(&rehearsal, &hooks).await;
    rehearsal.set_version("1.1.0").await;
    let shut = |name: &'static str| move |w: &World| w.canaries[APP].gate.as_ref().is_some_and(|g| g.name == name);
    rehearsal.until("the first gate", shut("more")).await;
    assert!(matches!(open(&rehearsal, "more").await, Outcome::CarriedOut(_)));
    rehearsal.until("the first step", |w| weight(w) == 50 && w.canaries[APP].status.canary_weight == 50).await;
    let outcome = rehearsal.ask(Verb::Advance).await;
    assert!(matches!(&outcome, Outcome::Refused(m) if m.contains("the gate gate is shut")), "{outcome:?}");
    rehearsal.until_phase(Phase::WaitingPromotion).await;
    rehearsal.until("the second gate", shut("gate")).await;
    assert!(matches!(open(&rehearsal, "gate").await, Outcome::CarriedOut(_)));
    // Promoting ends only an interval later.
    rehearsal.until("it is promoted", |w| w.workloads[&format!("{APP}-primary")].version() == "1.1.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manual_start_waits_for_somebody() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    with_hooks(&rehearsal, &[hook(&receiver, "confirm-rollout", "/gate")]).await;
    change(&rehearsal, |canary| canary["metadata"]["annotations"]["canary-tui/start"] = json!("manual")).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Waiting).await;
    {
        let world = rehearsal.mirror.read();
        let gate = world.canaries[APP].gate.as_ref().expect("what it waits for");
        assert!(gate.is_manual() && gate.name == "start", "{gate:?}");
    }
    let said = format!("New revision of {FULL} waits to be started: canary-tui start {APP}");
    assert_eq!(count(&rehearsal, &said), 1);
    assert!(receiver.calls("/gate").is_empty());
    let outcome = open(&rehearsal, "start").await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert!(matches!(rehearsal.ask(Verb::Start).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Succeeded).await;
}
