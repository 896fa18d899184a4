//! The controller when something around it goes wrong between a decision and its end.

mod rehearsal;

use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::{self, Outcome, Wish};
use canary_tui::cluster::{Clock, For, Mirror, Source};
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(400);
const NEVER: Duration = Duration::from_secs(3600);

async fn at_first_step(rehearsal: &Rehearsal, tag: &str) {
    rehearsal.set_version(tag).await;
    rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
}

fn short_windows(canary: &mut Value) {
    for metric in canary["spec"]["analysis"]["metrics"].as_array_mut().into_iter().flatten() {
        metric["interval"] = json!("1s");
    }
}

fn wish(verb: Verb, revision: String) -> Wish {
    Wish { canary: APP.into(), verb, revision, reason: String::new(), image: None, container: None, gate: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_analysed_is_never_promoted_under_the_analysed_ones_name() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    at_first_step(&rehearsal, "1.1.0").await;
    // Events are slow: between the decision to promote and the copy the target gets another image.
    let slow = |a: &canary_tui::sandbox::server::Attributes| {
        if a.resource == "events" && a.verb == "create" { Duration::from_millis(700) } else { Duration::ZERO }
    };
    rehearsal.sandbox.delay(Some(Arc::new(slow)));
    let asked = wish(Verb::Promote, rehearsal.revision());
    requests::send(&rehearsal.connection, &rehearsal.kinds, "alice", &asked, chrono::Utc::now()).await.expect("sent");
    rehearsal.until("it is seen", |w| w.canaries[APP].request.is_some()).await;
    rehearsal.set_version("1.2.0").await;
    rehearsal.sandbox.delay(None);
    rehearsal.until("the analysis starts again", |w| w.canaries[APP].request.is_none()).await;
    let world = rehearsal.mirror.read();
    let primary = &world.workloads[&format!("{APP}-primary")];
    let named = primary.revision.clone();
    assert!(primary.version() == "1.0.0" || primary.version() == "1.1.0", "{} is {named:?}", primary.version());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_events_checks_are_counted_and_the_rollback_comes() {
    let mut options = hurried(STEP);
    options.scrape = Duration::from_millis(50);
    let rehearsal = Rehearsal::driving(options).await;
    rehearsal.sandbox.store().modify("Canary", Some("jx-production"), APP, short_windows).expect("windows");
    let denied = Arc::new(AtomicBool::new(false));
    let deny = denied.clone();
    rehearsal
        .sandbox
        .deny(Some(Arc::new(move |a| deny.load(Ordering::Relaxed) && a.resource == "events" && a.verb == "create")));
    at_first_step(&rehearsal, "5xx").await;
    denied.store(true, Ordering::Relaxed);
    rehearsal.until_phase(Phase::Failed).await;
    assert_eq!(weight(&rehearsal.mirror.read()), 0);
    // None is lost: they are written when that is possible again.
    denied.store(false, Ordering::Relaxed);
    rehearsal.until("the events", |w| w.events.values().any(|e| e.message.starts_with("Canary failed!"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_can_be_driven_no_more_goes_home() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    at_first_step(&rehearsal, "1.1.0").await;
    let store = rehearsal.sandbox.store();
    store
        .modify("Canary", Some("jx-production"), APP, |canary: &mut Value| {
            canary["spec"]["autoscalerRef"] =
                json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": APP});
        })
        .expect("another autoscaler");
    rehearsal.until("the traffic goes home", |w| weight(w) == 0).await;
    rehearsal
        .until("it is said", |w| {
            w.events.values().any(|e| &*e.reason == "NotDriven" && e.message.contains("spec.autoscalerRef.kind"))
        })
        .await;
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Failed).await;
    rehearsal.until("the canary stops", |w| w.workloads[APP].desired == 0).await;
}

/// A canary that has come to ask for what is not carried out, in the middle of its rollout.
async fn not_driven_any_more() -> Rehearsal {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    at_first_step(&rehearsal, "1.1.0").await;
    let other = |canary: &mut Value| canary["spec"]["provider"] = json!("linkerd");
    rehearsal.sandbox.store().modify("Canary", Some("jx-production"), APP, other).expect("another mesh");
    rehearsal.until("the traffic goes home", |w| weight(w) == 0).await;
    rehearsal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_comes_to_ask_for_too_much_can_still_be_aborted() {
    let rehearsal = not_driven_any_more().await;
    let standing = |w: &canary_tui::cluster::World| w.canaries[APP].spec.is_err() && w.canaries[APP].partial.is_some();
    assert!(standing(&rehearsal.mirror.read()));
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_of_a_canary_that_is_not_driven_any_more_is_answered_once_events_are_taken() {
    let rehearsal = not_driven_any_more().await;
    rehearsal.sandbox.deny(Some(Arc::new(|asked| asked.verb == "create" && asked.resource == "events")));
    let asked = wish(Verb::Abort, rehearsal.revision());
    let sent = requests::send(&rehearsal.connection, &rehearsal.kinds, "alice", &asked, chrono::Utc::now()).await;
    // From here on it is not driven.
    rehearsal.until_phase(Phase::Failed).await;
    rehearsal.sandbox.deny(None);
    let outcome = requests::outcome(&rehearsal.connection, &sent.expect("sent"), Duration::from_secs(60)).await;
    assert!(matches!(outcome, Ok(Outcome::CarriedOut(_))), "{outcome:?}");
    rehearsal.until("it is taken off", |w| w.canaries[APP].request.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_whose_status_met_a_conflict_begins_all_the_same() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    at_first_step(&rehearsal, "1.1.0").await;
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until("the abort ends", |w| w.canaries[APP].request.is_none()).await;
    let slow = |a: &canary_tui::sandbox::server::Attributes| {
        if a.subresource == "status" && a.resource == "canaries" { Duration::from_millis(500) } else { Duration::ZERO }
    };
    rehearsal.sandbox.delay(Some(Arc::new(slow)));
    let asked = wish(Verb::Start, rehearsal.revision());
    let sent = requests::send(&rehearsal.connection, &rehearsal.kinds, "alice", &asked, chrono::Utc::now()).await;
    rehearsal.until("it is scaled up", |w| w.workloads[APP].desired > 0).await;
    let touch = |canary: &mut Value| canary["metadata"]["labels"] = json!({"touched": "yes"});
    rehearsal.sandbox.store().modify("Canary", Some("jx-production"), APP, touch).expect("a label");
    let sent = sent.expect("the request is written");
    let outcome = requests::outcome(&rehearsal.connection, &sent, Duration::from_secs(20)).await;
    rehearsal.sandbox.delay(None);
    assert!(matches!(outcome, Ok(Outcome::CarriedOut(_))), "{outcome:?}");
    rehearsal.until("it begins", |w| w.canaries[APP].status.phase == Phase::Progressing && weight(w) == 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_the_api_server_refuses_ends_its_request_and_stops_no_check() {
    let mut options = hurried(STEP);
    options.scrape = Duration::from_millis(50);
    let rehearsal = Rehearsal::driving(options).await;
    rehearsal.sandbox.store().modify("Canary", Some("jx-production"), APP, short_windows).expect("windows");
    at_first_step(&rehearsal, "5xx").await;
    let denied = Arc::new(AtomicBool::new(true));
    let deny = denied.clone();
    rehearsal.sandbox.deny(Some(Arc::new(move |a| {
        let target = a.resource == "deployments" && a.verb == "patch" && a.name.as_deref() == Some(APP);
        deny.load(Ordering::Relaxed) && target
    })));
    let asked = Wish { image: Some("evil.example.com/x:1".into()), ..wish(Verb::Start, rehearsal.revision()) };
    let outcome = rehearsal.ask_for(asked).await;
    assert!(matches!(&outcome, Outcome::Refused(m) if m.contains("forbidden")), "{outcome:?}");
    // The checks went on, and their rollback takes the traffic although the target cannot be scaled.
    rehearsal.until("it goes home", |w| weight(w) == 0).await;
    denied.store(false, Ordering::Relaxed);
    rehearsal.until_phase(Phase::Failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_keeps_on_the_target_survives_a_start() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let kept = "kubectl.kubernetes.io/last-applied-configuration";
    let applied = |target: &mut Value| target["metadata"]["annotations"][kept] = json!("{}");
    rehearsal.sandbox.store().modify("Deployment", Some("jx-production"), APP, applied).expect("an annotation");
    let image = Some("gcr.io/jx/jx-production-myapp:1.1.0".to_string());
    let asked = Wish { image, ..wish(Verb::Start, rehearsal.revision()) };
    assert!(matches!(rehearsal.ask_for(asked).await, Outcome::CarriedOut(_)));
    let target = rehearsal.sandbox.store().get("Deployment", Some("jx-production"), APP).expect("the target");
    assert_eq!(target["metadata"]["annotations"][kept], "{}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_keeps_on_the_primary_survives_a_promotion() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let (primary, kept) = (format!("{APP}-primary"), "kubectl.kubernetes.io/last-applied-configuration");
    let applied = |primary: &mut Value| primary["metadata"]["annotations"][kept] = json!("{}");
    rehearsal.sandbox.store().modify("Deployment", Some("jx-production"), &primary, applied).expect("an annotation");
    at_first_step(&rehearsal, "1.1.0").await;
    assert!(matches!(rehearsal.ask(Verb::Promote).await, Outcome::CarriedOut(_)));
    let primary = rehearsal.sandbox.store().get("Deployment", Some("jx-production"), &primary).expect("the primary");
    assert_eq!(primary["metadata"]["annotations"][kept], "{}");
    assert!(primary["spec"]["template"].to_string().contains(":1.1.0"), "it was promoted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_an_abort_takes_the_place_of_ends_too() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.set_version("1.4.0").await;
    rehearsal
        .until("it begins", |w| {
            let target = &w.workloads[APP];
            w.canaries[APP].status.phase == Phase::Progressing && target.replicas > 0 && w.revision(target).is_some()
        })
        .await;
    // Never ready: the promotion waits.
    let promote = wish(Verb::Promote, rehearsal.revision());
    let promote = requests::send(&rehearsal.connection, &rehearsal.kinds, "alice", &promote, chrono::Utc::now()).await;
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    let promote = promote.expect("the request is written");
    let end = requests::outcome(&rehearsal.connection, &promote, Duration::from_secs(10)).await;
    assert!(matches!(&end, Ok(Outcome::Refused(m)) if m.contains("abort by alice took its place")), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_driver_sent_in_its_last_moment_meets_a_conflict_after_a_takeover() {
    let mut rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    at_first_step(&rehearsal, "1.1.0").await;
    rehearsal.controller.take().expect("a controller").stop().await;
    let primary = format!("{APP}-primary");
    let parts = [
        ("Canary", Source::Canaries, APP),
        ("Deployment", Source::Deployments, APP),
        ("Deployment", Source::Deployments, primary.as_str()),
        ("VirtualService", Source::Routes(canary_tui::api::Provider::default()), APP),
    ];
    let namespace = Some("jx-production");
    let of = |object: &Value, path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_string);
    let (version, term) = ("/metadata/resourceVersion", "/metadata/annotations/canary-tui~1term");
    let now = |rehearsal: &Rehearsal, path: &str| {
        let store = rehearsal.sandbox.store();
        parts.map(|(kind, _, name)| of(&store.get(kind, namespace, name).expect("an object"), path))
    };
    let sent_on = now(&rehearsal, version);
    rehearsal.drive();
    rehearsal
        .until("all bears the new term", |_| now(&rehearsal, term).iter().all(|t| t.as_deref() == Some("2")))
        .await;
    for ((kind, source, name), version) in parts.into_iter().zip(sent_on) {
        let resource = rehearsal.kinds.of(source).expect("a kind");
        let api: kube::Api<kube::api::DynamicObject> =
            kube::Api::namespaced_with(rehearsal.connection.client.clone(), "jx-production", resource);
        let late = json!({ "metadata": { "resourceVersion": version, "labels": { "late": "yes" } } });
        let answer = api.patch(name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(late)).await;
        assert!(matches!(&answer, Err(kube::Error::Api(status)) if status.code == 409), "{kind} {name}: {answer:?}");
    }
    assert_eq!(rehearsal.weight(), 10, "the rollout goes on where it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_read_back_before_anything_is_decided() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    at_first_step(&rehearsal, "1.1.0").await;
    let held = |a: &canary_tui::sandbox::server::Attributes| {
        let status = a.subresource == "status" && a.resource == "canaries" && a.verb == "patch";
        if status { 2 * canary_tui::cluster::lease::WRITE_LIMIT } else { Duration::ZERO }
    };
    rehearsal.sandbox.delay(Some(Arc::new(held)));
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    let read = || {
        let requests = rehearsal.sandbox.requests();
        let read = |(verb, what): &(String, String)| verb == "get" && what.starts_with("canaries");
        requests.iter().filter(|(key, _)| read(key)).map(|(_, count)| count).sum::<u64>()
    };
    let before = read();
    let read_back = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while read() == before {
            tick.tick().await;
        }
    };
    tokio::time::timeout(3 * canary_tui::cluster::lease::WRITE_LIMIT, read_back).await.expect("it is read back");
    rehearsal.sandbox.delay(None);
    rehearsal.until_phase(Phase::Failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_does_not_wait_for_an_event_that_hangs() {
    let rehearsal = Rehearsal::driving(hurried(Duration::from_millis(300))).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("the first step", |w| weight(w) == 10).await;
    let hangs = Duration::from_secs(3);
    let slow = move |a: &canary_tui::sandbox::server::Attributes| {
        if a.resource == "events" && a.verb == "create" { hangs } else { Duration::ZERO }
    };
    rehearsal.sandbox.delay(Some(Arc::new(slow)));
    // Its Event is sent next.
    rehearsal.until("the next step", |w| weight(w) > 10).await;
    let began = std::time::Instant::now();
    let asked = wish(Verb::Abort, rehearsal.revision());
    requests::send(&rehearsal.connection, &rehearsal.kinds, "alice", &asked, chrono::Utc::now()).await.expect("sent");
    rehearsal.until("all traffic is the primary's", |w| weight(w) == 0).await;
    let took = began.elapsed();
    rehearsal.sandbox.delay(None);
    assert!(took < hangs / 2, "{took:?}");
    rehearsal.until_phase(Phase::Failed).await;
    // What was said of the step is not lost.
    rehearsal
        .until("its event", |w| {
            let told = |text: &str| w.events.values().any(|e| e.canary == APP && e.message.ends_with(text));
            told("canary weight 20") && w.canaries[APP].request.is_none()
        })
        .await;
}

/// How often the canaries were listed.
fn listed(rehearsal: &Rehearsal) -> u64 {
    let requests = rehearsal.sandbox.requests();
    let lists = requests.iter().filter(|((verb, of), _)| verb == "list" && of.starts_with("canaries"));
    lists.map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_refused_after_each_list_is_tried_more_and_more_seldom() {
    let rehearsal = Rehearsal::observing(hurried(NEVER)).await;
    rehearsal.sandbox.deny(Some(Arc::new(|asked| asked.verb == "watch" && asked.resource == "canaries")));
    let began = tokio::time::Instant::now();
    let (client, kinds) = (&rehearsal.connection.client, &rehearsal.kinds);
    let before = listed(&rehearsal);
    let mirror = Mirror::start(client, kinds, "jx-production", Clock::system(), For::Observer);
    let mut count = mirror.count();
    while listed(&rehearsal) < before + 5 {
        tokio::time::timeout(Duration::from_secs(60), count.changed())
            .await
            .expect("it goes on trying")
            .expect("a mirror");
    }
    // 0.2, 0.4, 0.8 and 1.6 seconds lie between them.
    assert!(began.elapsed() >= Duration::from_millis(2900), "{:?}", began.elapsed());
    assert!(mirror.read().canaries.contains_key(APP), "and what is listed is there");
}
