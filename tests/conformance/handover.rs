//! A cluster as Flagger left it, in every phase that it could have been in, and what happens when this takes over there.
//! The objects are those that a real one wrote (`tests/data/flagger`), at shorter intervals.

use crate::receiver::{Answer, Receiver};
use crate::rehearsal::{APP, Rehearsal, hurried, weight};
use crate::scenarios::{Cluster, route_of, share};
use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::Outcome;
use canary_tui::sandbox::Store;
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(400);
/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);
const NAMESPACE: Option<&str> = Some("jx-production");
const PRIMARY: &str = "jx-production-myapp-primary";
/// What Flagger called the promoted revision on its own cluster: here it is a foreign name.
const FOREIGN: &str = "b57d6944";

const CANARIES: &str = include_str!("../data/flagger/canaries.yaml");
const CONFIG_MAPS: &str = include_str!("../data/flagger/configmaps.yaml");
const DEPLOYMENTS: &str = include_str!("../data/flagger/deployments.yaml");
const RULES: &str = include_str!("../data/flagger/destinationrules.yaml");
const ROUTES: &str = include_str!("../data/flagger/virtualservices.yaml");
const SERVICES: &str = include_str!("../data/flagger/services.yaml");

/// How Flagger left its Canary.
struct Left {
    phase: &'static str,
    /// The target's version; the promoted one is 0.0.2.
    tag: &'static str,
    /// Of the target.
    replicas: u64,
    /// The canary's share by the routes.
    weight: u64,
    /// What the status says beside.
    status: Value,
    /// Changes of the Canary's analysis.
    analysis: Value,
    /// Whether the names of the revisions in the status are those of the cluster's ReplicaSets.
    own_names: bool,
    interval: Duration,
}

impl Default for Left {
    fn default() -> Self {
        let (status, analysis) = (json!({}), json!({}));
        let (phase, tag) = ("Succeeded", "0.0.2");
        Self { phase, tag, replicas: 0, weight: 0, status, analysis, own_names: true, interval: STEP }
    }
}

/// The cluster, and what is watched of it.
struct Taken {
    rehearsal: Rehearsal,
    cluster: Cluster,
    /// The names of the promoted revision and of the target's.
    promoted: String,
    present: String,
    /// Requests that found no ready pod before anybody drove.
    lost: u64,
}

fn recorded(yaml: &str) -> Vec<Value> {
    let list: Value = serde_saphyr::from_str(yaml).expect("YAML");
    list["items"].as_array().expect("items").clone()
}

/// An object for another cluster: what that one's API server made is left out.
fn moved(mut object: Value, owner: &str) -> Value {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        metadata.remove(key);
    }
    for reference in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        reference["uid"] = json!(owner);
    }
    for key in ["clusterIP", "clusterIPs"] {
        object["spec"].as_object_mut().map(|spec| spec.remove(key));
    }
    object.as_object_mut().expect("an object").remove("status");
    object
}

fn set_tag(object: &mut Value, tag: &str) {
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("gcr.io/jx/myapp:{tag}"));
}

/// The `pod-template-hash` of a Deployment's present template.
async fn hash_of(rehearsal: &Rehearsal, name: &str) -> String {
    let known = |w: &canary_tui::cluster::World| {
        w.workloads.get(name).and_then(|workload| w.revision(workload).map(str::to_owned))
    };
    rehearsal.until("no ReplicaSet", |w| known(w).is_some()).await;
    known(&rehearsal.mirror.read()).expect("a ReplicaSet")
}

/// Puts everything where Flagger left it; nobody drives yet.
async fn left(how: Left) -> Taken {
    let mut options = hurried(how.interval);
    (options.canaries, options.scrape) = (0, Duration::from_millis(50));
    let rehearsal = Rehearsal::observing(options).await;
    let store = rehearsal.sandbox.store().clone();
    let create = |object: Value| {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        store.create(&kind, NAMESPACE, object).unwrap_or_else(|error| panic!("{kind}: {error}"))
    };
    let theirs = recorded(CANARIES).remove(0);
    let mut canary = moved(theirs.clone(), "");
    let analysis = &mut canary["spec"]["analysis"];
    analysis["interval"] = json!(format!("{}ms", how.interval.as_millis()));
    for metric in analysis["metrics"].as_array_mut().expect("metrics") {
        metric["interval"] = json!("1s");
    }
    json_patch::merge(analysis, &how.analysis);
    let made = create(canary);
    let uid = made["metadata"]["uid"].as_str().expect("a uid").to_owned();
    for object in [CONFIG_MAPS, DEPLOYMENTS, SERVICES, RULES].into_iter().flat_map(recorded) {
        create(moved(object, &uid));
    }
    let promoted = hash_of(&rehearsal, APP).await;
    store
        .modify("Deployment", NAMESPACE, APP, |target| {
            set_tag(target, how.tag);
            target["spec"]["replicas"] = json!(how.replicas);
        })
        .expect("the target");
    let ready = |w: &canary_tui::cluster::World| {
        let is = |name: &str, count| {
            w.workloads
                .get(name)
                .is_some_and(|t| u64::from(t.available) == count && t.observed_generation >= t.generation)
        };
        is(PRIMARY, 2) && is(APP, how.replicas) && w.workloads[APP].version() == how.tag
    };
    rehearsal.until("the pods are not ready", ready).await;
    let present = hash_of(&rehearsal, APP).await;
    let mut routes = moved(recorded(ROUTES).remove(0), &uid);
    let to = &mut routes["spec"]["http"][0]["route"];
    (to[0]["weight"], to[1]["weight"]) = (json!(100 - how.weight), json!(how.weight));
    if let Some(group) = how.analysis.get("match") {
        // For all others Flagger writes one destination, of the primary's weight: it gets everything.
        let others = json!({"route": [{"destination": {"host": PRIMARY}, "weight": 100 - how.weight}]});
        routes["spec"]["http"][0]["match"] = group.clone();
        routes["spec"]["http"].as_array_mut().expect("routes").push(others);
    }
    create(routes);

    let condition = match how.phase {
        "Initialized" => ("True", "Deployment initialization completed."),
        "Succeeded" => ("True", "Canary analysis completed successfully, promotion finished."),
        "Failed" => ("False", "Canary analysis failed, Deployment scaled to zero."),
        "WaitingPromotion" => ("Unknown", "Waiting for approval."),
        "Promoting" => ("Unknown", "Canary analysis completed, starting primary rolling update."),
        "Finalising" => ("Unknown", "Canary analysis completed, routing all traffic to primary."),
        _ => ("Unknown", "New revision detected, progressing canary analysis."),
    };
    let names = if how.own_names { [present.clone(), promoted.clone()] } else { [FOREIGN.into(), FOREIGN.into()] };
    store
        .modify_status("Canary", NAMESPACE, APP, |canary| {
            let mut status = theirs["status"].clone();
            status["phase"] = json!(how.phase);
            (status["lastAppliedSpec"], status["lastPromotedSpec"]) = (json!(names[0]), json!(names[1]));
            status["lastTransitionTime"] = json!(Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true));
            let shown = &mut status["conditions"][0];
            (shown["status"], shown["message"], shown["reason"]) =
                (json!(condition.0), json!(condition.1), json!(how.phase));
            json_patch::merge(&mut status, &how.status);
            canary["status"] = status;
            // Its mark, of some while ago: it does not run any more.
            let mut fields = theirs["metadata"]["managedFields"].clone();
            let before = Utc::now() - chrono::Duration::hours(1);
            for field in fields.as_array_mut().expect("managed fields") {
                field["time"] = json!(before.to_rfc3339_opts(SecondsFormat::Secs, true));
            }
            canary["metadata"]["managedFields"] = fields;
        })
        .expect("the status");
    rehearsal.until_phase(Phase::from_name(how.phase)).await;
    let client = &rehearsal.connection.client;
    let cluster = Cluster::new(client, &rehearsal.connection.namespace, crate::PROMETHEUS, || 0).of(APP);
    cluster.until("the routes", |c| !c.get("VirtualService", APP).is_null()).await;
    let lost = rehearsal.sandbox.lost_requests();
    Taken { rehearsal, cluster, promoted, present, lost }
}

impl Taken {
    fn store(&self) -> &Store {
        self.rehearsal.sandbox.store()
    }

    fn get(&self, kind: &str, name: &str) -> Arc<Value> {
        self.store().get(kind, NAMESPACE, name).unwrap_or_else(|| panic!("{kind} {name} is gone"))
    }

    /// The versions of all objects that users are served by, and what the Canary says.
    fn standing(&self) -> BTreeMap<String, Value> {
        let kinds = ["Deployment", "ReplicaSet", "Service", "VirtualService", "DestinationRule", "ConfigMap"];
        let mut standing = BTreeMap::new();
        for kind in kinds {
            for object in self.store().list(kind, NAMESPACE).0 {
                let name = format!("{kind} {}", object["metadata"]["name"]);
                standing.insert(name, object["metadata"]["resourceVersion"].clone());
            }
        }
        let canary = self.get("Canary", APP);
        standing.insert("status".into(), canary["status"].clone());
        standing.insert("spec".into(), canary["spec"].clone());
        standing
    }

    /// Starts the driver, and waits until it has carried out what it decided: its answer to a request comes last.
    async fn drive(&mut self) {
        self.rehearsal.drive();
        let outcome = self.rehearsal.ask(Verb::Resume).await;
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }

    fn said(&self, start: &str) -> usize {
        self.rehearsal.messages().iter().filter(|message| message.starts_with(start)).count()
    }

    /// The next version goes the whole way, and no request finds no pod.
    async fn rolls_out(&self, tag: &str) {
        self.rehearsal.set_version(tag).await;
        self.rehearsal.until("no rollout", |w| w.canaries[APP].status.phase == Phase::Progressing).await;
        self.ends(tag).await;
        assert_eq!(self.cluster.weights(), [0, 10, 20, 30, 40, 50, 0]);
    }

    /// The rollout under way ends with this version promoted.
    async fn ends(&self, tag: &str) {
        self.rehearsal
            .until("it does not end", |w| {
                w.canaries[APP].status.phase == Phase::Succeeded && w.workloads[APP].desired == 0 && weight(w) == 0
            })
            .await;
        self.cluster.until("the routes", |c| c.weights().last() == Some(&0)).await;
        let world = self.rehearsal.mirror.read();
        assert_eq!(world.workloads[PRIMARY].version(), tag);
        let status = &world.canaries[APP].status;
        assert_eq!(status.last_applied, status.last_promoted);
        drop(world);
        assert_eq!(self.rehearsal.sandbox.lost_requests(), self.lost);
    }
}

/// Nothing is written and nothing begins; then a new version is rolled out.
async fn stands_still_and_rolls_out(how: Left) {
    let phase = how.phase;
    let mut taken = left(how).await;
    let before = taken.standing();
    taken.drive().await;
    assert_eq!(taken.standing(), before, "{phase}");
    assert_eq!(taken.said("New revision detected!"), 0, "{phase}");
    taken.rolls_out("0.0.4").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_initialized_nothing_is_written_and_the_next_version_is_rolled_out() {
    stands_still_and_rolls_out(Left { phase: "Initialized", ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_succeeded_nothing_is_written_and_the_next_version_is_rolled_out() {
    stands_still_and_rolls_out(Left::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_failed_nothing_is_written_and_the_next_version_is_rolled_out() {
    stands_still_and_rolls_out(Left { phase: "Failed", tag: "0.0.3", ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_at_a_weight_the_rollout_goes_on_from_it() {
    for own_names in [true, false] {
        let status = json!({"canaryWeight": 20});
        let how =
            Left { phase: "Progressing", tag: "0.0.3", replicas: 2, weight: 20, status, own_names, ..Left::default() };
        let mut taken = left(how).await;
        taken.rehearsal.drive();
        taken.ends("0.0.3").await;
        assert_eq!(taken.cluster.weights(), [20, 30, 40, 50, 0], "own names: {own_names}");
        assert_eq!(taken.said("New revision detected!"), 0);
        assert_eq!(taken.said(FOREIGN), usize::from(!own_names), "{:#?}", taken.rehearsal.messages());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_at_a_weight_with_failed_checks_they_count() {
    let status = json!({"canaryWeight": 20, "failedChecks": 4});
    let how = Left { phase: "Progressing", tag: "5xx", replicas: 2, weight: 20, status, ..Left::default() };
    let mut taken = left(how).await;
    taken.rehearsal.until_measured().await;
    taken.rehearsal.drive();
    taken.rehearsal.until_phase(Phase::Failed).await;
    taken.rehearsal.until("the canary stays", |w| w.workloads[APP].desired == 0 && weight(w) == 0).await;
    assert_eq!(taken.said("Halt jx-production-myapp.jx-production advancement success rate"), 1, "the fifth");
    assert_eq!(
        taken.get("Deployment", PRIMARY)["spec"]["template"]["spec"]["containers"][0]["image"],
        "gcr.io/jx/myapp:0.0.2"
    );
    assert_eq!(taken.get("Canary", APP)["status"]["lastPromotedSpec"], json!(taken.promoted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_while_a_promotion_waits_it_waits_and_is_promoted_once_approved() {
    let receiver = Receiver::start().await;
    receiver.answer("/gate", Answer::Status(403, "Forbidden"));
    let hook = json!({"name": "gate", "type": "confirm-promotion", "url": receiver.url("/gate"), "timeout": "5s"});
    // As Flagger shows it.
    let status = json!({"canaryWeight": 0, "iterations": -1});
    let analysis = json!({"webhooks": [hook]});
    let phase = "WaitingPromotion";
    let how = Left { phase, tag: "0.0.3", replicas: 2, weight: 50, status, analysis, ..Left::default() };
    let mut taken = left(how).await;
    taken.rehearsal.drive();
    receiver.until_called("/gate", 2).await;
    assert_eq!(
        (taken.cluster.weights(), taken.get("Canary", APP)["status"]["phase"].clone()),
        (vec![50], json!(phase))
    );
    receiver.answer("/gate", Answer::Status(200, "OK"));
    taken.ends("0.0.3").await;
    assert_eq!(taken.cluster.weights(), [50, 0]);
    assert_eq!((taken.said("New revision detected!"), taken.said("Copying")), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_while_promoting_it_is_ended_and_not_promoted_again() {
    for phase in ["Promoting", "Finalising"] {
        let weight = if phase == "Promoting" { 50 } else { 0 };
        let status = json!({"canaryWeight": weight});
        let how = Left { phase, tag: "0.0.3", replicas: 2, weight, status, ..Left::default() };
        let mut taken = left(how).await;
        // Flagger had written the template already.
        let id = "5f2f6b0e-93a7-4b8e-a0b6-2f60e3f6f9f1";
        let copied = taken.store().modify("Deployment", NAMESPACE, PRIMARY, |primary| {
            set_tag(primary, "0.0.3");
            primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"] = json!(id);
        });
        copied.expect("the primary");
        taken.rehearsal.until("the primary rolls", |w| w.workloads[PRIMARY].version() == "0.0.3").await;
        taken.rehearsal.drive();
        taken.ends("0.0.3").await;
        let expected: &[u64] = if phase == "Promoting" { &[50, 0] } else { &[0] };
        assert_eq!(taken.cluster.weights(), expected, "{phase}");
        let template = &taken.get("Deployment", PRIMARY)["spec"]["template"];
        assert_eq!(template["metadata"]["annotations"]["flagger-id"], id, "{phase}: its pods are not replaced again");
        assert_eq!(taken.get("Canary", APP)["status"]["lastPromotedSpec"], json!(taken.present));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_in_an_ab_test_the_iterations_go_on_and_the_group_stays() {
    let analysis = json!({"iterations": 5, "stepWeight": null, "maxWeight": null,
        "match": [{"headers": {"x-canary": {"exact": "insider"}}}]});
    let status = json!({"canaryWeight": 0, "iterations": 3});
    let phase = "Progressing";
    let how = Left { phase, tag: "0.0.3", replicas: 2, weight: 100, status, analysis, ..Left::default() };
    let mut taken = left(how).await;
    taken.rehearsal.drive();
    taken.ends("0.0.3").await;
    let routes = taken.cluster.versions("VirtualService", APP);
    let mut shares: Vec<u64> = routes.iter().map(|routes| share(routes, &[("x-canary", "insider")])).collect();
    shares.dedup();
    assert_eq!(shares, [100, 0]);
    assert!(routes.iter().all(|routes| share(routes, &[]) == 0 && route_of(routes, &[])["route"].is_array()));
    let advanced = taken.rehearsal.messages().into_iter().filter(|m| m.starts_with("Advance")).collect::<Vec<_>>();
    let said = [4, 5].map(|n| format!("Advance {APP}.jx-production canary iteration {n}/5"));
    assert_eq!(advanced, said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_another_cluster_is_adopted_at_rest_and_said_once() {
    for phase in ["Initialized", "Succeeded"] {
        let mut taken = left(Left { phase, own_names: false, ..Left::default() }).await;
        let mut before = taken.standing();
        taken.rehearsal.drive();
        let (present, name) = (json!(taken.present), taken.present.clone());
        taken
            .rehearsal
            .until("it is not adopted", |w| w.canaries[APP].status.last_applied.as_deref() == Some(&*name))
            .await;
        let outcome = taken.rehearsal.ask(Verb::Resume).await;
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        let mut after = taken.standing();
        // Nothing but the names, and when they were written.
        let status = after.get_mut("status").expect("a status");
        assert_eq!((&status["lastAppliedSpec"], &status["lastPromotedSpec"]), (&present, &present));
        let was = before.get_mut("status").expect("a status");
        for field in ["lastAppliedSpec", "lastPromotedSpec", "lastTransitionTime", "conditions"] {
            (status[field], was[field]) = (Value::Null, Value::Null);
        }
        assert_eq!(after, before, "{phase}");
        assert_eq!((taken.said("New revision detected!"), taken.said(FOREIGN)), (0, 1), "{phase}");
        taken.rolls_out("0.0.4").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_under_a_name_of_another_cluster_is_not_tried_again_unasked() {
    let how = Left { phase: "Failed", tag: "0.0.3", own_names: false, interval: NEVER, ..Left::default() };
    let mut taken = left(how).await;
    taken.drive().await;
    let status = taken.get("Canary", APP)["status"].clone();
    assert_eq!((&status["phase"], &status["lastAppliedSpec"]), (&json!("Failed"), &json!(taken.present)));
    assert_eq!((taken.said("New revision detected!"), taken.said(FOREIGN)), (0, 1));
    assert!(matches!(taken.rehearsal.ask(Verb::Start).await, Outcome::CarriedOut(_)));
    taken.rehearsal.until("no first step", |w| weight(w) == 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_another_cluster_mid_rollout_is_a_new_revision_where_the_status_disagrees() {
    // The routes say 20, the status 40: nobody knows what was analysed.
    let status = json!({"canaryWeight": 40});
    let phase = "Progressing";
    let how = Left { phase, tag: "0.0.3", replicas: 2, weight: 20, status, own_names: false, ..Left::default() };
    let mut taken = left(how).await;
    taken.rehearsal.drive();
    taken.ends("0.0.3").await;
    assert_eq!(taken.cluster.weights(), [20, 0, 10, 20, 30, 40, 50, 0]);
    assert_eq!(taken.said("New revision detected! Restarting analysis"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_after_a_failed_promotion_the_canary_serves_on_and_a_fix_can_be_promoted() {
    // As Flagger leaves it where the primary never got ready: the canary has all the traffic.
    let status = json!({"canaryWeight": 100});
    let how = Left { phase: "Failed", tag: "0.0.3", replicas: 2, weight: 100, status, ..Left::default() };
    let mut taken = left(how).await;
    let broken = taken.store().modify("Deployment", NAMESPACE, PRIMARY, |primary| {
        primary["spec"]["strategy"] = json!({"type": "Recreate"});
        set_tag(primary, "1.4.0");
    });
    broken.expect("the primary");
    taken.rehearsal.until("the primary serves on", |w| w.workloads[PRIMARY].available == 0).await;
    taken.lost = taken.rehearsal.sandbox.lost_requests();
    taken.drive().await;
    assert_eq!(
        (taken.cluster.weights(), taken.get("Deployment", APP)["spec"]["replicas"].clone()),
        (vec![100], json!(2))
    );
    assert_eq!(taken.rehearsal.sandbox.lost_requests(), taken.lost);
    taken.rehearsal.set_version("0.0.4").await;
    // No step is taken beside a primary that cannot serve, and the canary keeps what it has: an operator promotes the fix.
    let waits = format!("{PRIMARY}.jx-production not ready: waiting for rollout to finish");
    taken.rehearsal.until("it does not wait", |w| w.events.values().any(|e| e.message.starts_with(&waits))).await;
    assert_eq!(taken.cluster.weights(), [100]);
    let outcome = taken.rehearsal.ask(Verb::Promote).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    taken.ends("0.0.4").await;
    assert_eq!(taken.cluster.weights(), [100, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_with_session_affinity_users_keep_the_cookies_that_they_were_given() {
    let (ours, theirs) = ("canary=abcdefghij", "primary=klmnopqrst");
    let analysis = json!({"sessionAffinity": {"cookieName": "canary", "primaryCookieName": "primary"}});
    let status = json!({"canaryWeight": 20, "sessionAffinityCookie": ours, "primarySessionAffinityCookie": theirs});
    let how = Left { phase: "Progressing", tag: "0.0.3", replicas: 2, weight: 20, status, analysis, ..Left::default() };
    let mut taken = left(how).await;
    let canary = format!("{APP}-canary");
    // As Flagger writes them: who bears a cookie, then everybody else, who is given one.
    let to = |host: &str, weight: u64| json!({"destination": {"host": host}, "weight": weight});
    let given = |host: &str, weight: u64, cookie: String| {
        let mut to = to(host, weight);
        to["headers"] = json!({"response": {"add": {"Set-Cookie": cookie}}});
        to
    };
    let bears = |regex: &str| json!([{"headers": {"Cookie": {"regex": regex}}}]);
    let http = json!([
        {"match": bears(".*canary.*abcdefghij.*"), "route": [to(PRIMARY, 0), to(&canary, 100)]},
        {"match": bears(".*primary.*klmnopqrst.*"), "route": [to(PRIMARY, 100), to(&canary, 0)]},
        {"route": [given(PRIMARY, 80, format!("{theirs}; Max-Age=10")), given(&canary, 20, format!("{ours}; Max-Age=86400"))]},
    ]);
    let written = taken.store().modify("VirtualService", NAMESPACE, APP, |routes| routes["spec"]["http"] = http);
    written.expect("the routes");
    taken.cluster.until("the cookies", |c| c.get("VirtualService", APP)["spec"]["http"][1].is_object()).await;
    taken.rehearsal.drive();
    taken.ends("0.0.3").await;
    let routes = taken.cluster.versions("VirtualService", APP);
    let with_cookies = routes.iter().filter(|routes| share(routes, &[]) > 0 && routes["spec"]["http"][1].is_object());
    let mut shares = Vec::new();
    for routes in with_cookies {
        assert_eq!((share(routes, &[("Cookie", ours)]), share(routes, &[("Cookie", theirs)])), (100, 0));
        shares.push(share(routes, &[]));
    }
    shares.dedup();
    assert_eq!(shares, [20, 30, 40, 50]);
    assert_eq!(taken.get("Canary", APP)["status"]["previousSessionAffinityCookie"], ours);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_over_in_waiting_the_revision_waits_until_it_is_approved() {
    let receiver = Receiver::start().await;
    receiver.answer("/gate", Answer::Status(403, "Forbidden"));
    let hook = json!({"name": "gate", "type": "confirm-rollout", "url": receiver.url("/gate"), "timeout": "5s"});
    let analysis = json!({"webhooks": [hook]});
    let mut taken = left(Left { phase: "Waiting", tag: "0.0.3", analysis, ..Left::default() }).await;
    // Flagger has not taken it into account yet.
    let promoted = taken.promoted.clone();
    let set = taken.store().modify_status("Canary", NAMESPACE, APP, |canary| {
        canary["status"]["lastAppliedSpec"] = json!(promoted);
    });
    set.expect("the status");
    taken.rehearsal.drive();
    receiver.until_called("/gate", 2).await;
    assert_eq!(taken.get("Canary", APP)["status"]["phase"], "Waiting");
    assert_eq!(taken.said("Halt"), 0, "Flagger has said it");
    assert_eq!(taken.get("Deployment", APP)["spec"]["replicas"], 0);
    receiver.answer("/gate", Answer::Status(200, "OK"));
    taken.ends("0.0.3").await;
    assert_eq!(taken.cluster.weights(), [0, 10, 20, 30, 40, 50, 0]);
}
