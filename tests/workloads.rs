//! What a target mounts and what scales it, on the embedded cluster: copies for the primary, rollouts of configuration
//! alone, the way back.

mod rehearsal;

use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::{Outcome, Wish};
use canary_tui::cluster::{CanaryRecord, Clock, For, Mirror, World};
use canary_tui::controller::Says;
use canary_tui::sandbox::store::DeleteOptions;
use rehearsal::{APP, Rehearsal, hurried};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);
const NAMESPACE: Option<&str> = Some("jx-production");

/// A cluster with an app of its own, `shop`, that mounts ConfigMap `settings` and Secret `keys`, and may mount ConfigMap
/// `extras`, which is not there.
struct Shop(Rehearsal);

impl Shop {
    /// Initialized, with this in the Canary's spec.
    async fn open(ready_after: Duration, more: Value) -> Self {
        let shop = Self::opening(ready_after, more).await;
        shop.until_phase(Phase::Initialized).await;
        shop
    }

    async fn opening(ready_after: Duration, more: Value) -> Self {
        let mut options = hurried(NEVER);
        options.ready_after = ready_after;
        let shop = Self(Rehearsal::driving(options).await);
        shop.stock(more);
        shop
    }

    fn stock(&self, more: Value) {
        let shop = self;
        shop.create(
            "ConfigMap",
            json!({"metadata": {"name": "settings", "labels": {"team": "a"}},
            "data": {"color": "red"}, "binaryData": {"logo": "AAEC"}}),
        );
        shop.create("Secret", json!({"metadata": {"name": "keys"}, "data": {"apiKey": "dGVzdA=="}}));
        let mut target = shop.get("Deployment", APP).as_ref().clone();
        target["metadata"] = json!({"name": "shop"});
        target["spec"]["selector"] = json!({"matchLabels": {"app": "shop"}});
        target["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
        target["spec"]["template"]["spec"]["containers"][0]["env"] = json!([
            {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}}]);
        target["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([
            {"secretRef": {"name": "keys"}}, {"configMapRef": {"name": "extras", "optional": true}}]);
        target["spec"]["replicas"] = json!(2);
        target.as_object_mut().expect("an object").remove("status");
        shop.create("Deployment", target);
        let mut canary = json!({
            "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
                "service": {"port": 8080},
                "analysis": {"interval": "3600s", "threshold": 5, "maxWeight": 50, "stepWeight": 10},
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            canary["spec"][key] = value.clone();
        }
        shop.create("Canary", canary);
    }

    fn create(&self, kind: &str, object: Value) -> Arc<Value> {
        self.0.sandbox.store().create(kind, NAMESPACE, object).unwrap_or_else(|error| panic!("{kind}: {error}"))
    }

    fn get(&self, kind: &str, name: &str) -> Arc<Value> {
        self.find(kind, name).unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    fn find(&self, kind: &str, name: &str) -> Option<Arc<Value>> {
        self.0.sandbox.store().get(kind, NAMESPACE, name)
    }

    fn edit(&self, kind: &str, name: &str, change: impl FnMut(&mut Value)) {
        self.0.sandbox.store().modify(kind, NAMESPACE, name, change).unwrap_or_else(|e| panic!("{kind} {name}: {e}"));
    }

    fn paint(&self, color: &str) {
        self.edit("ConfigMap", "settings", |map| map["data"]["color"] = json!(color));
    }

    fn set_tag(&self, tag: &str) {
        self.edit("Deployment", "shop", |target| {
            target["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("gcr.io/jx/{APP}:{tag}"));
        });
    }

    async fn until(&self, what: &str, looks: impl Fn(&World, &CanaryRecord) -> bool) {
        self.0.until(what, |w| w.canaries.get("shop").is_some_and(|canary| looks(w, canary))).await;
    }

    async fn until_phase(&self, phase: Phase) {
        self.until(&format!("not {phase}"), |_, canary| canary.status.phase == phase).await;
    }

    /// As a driver leaves it that dies between the copies and the template.
    async fn die_after_the_copies(&mut self, promoted: &str, color: &str) {
        self.0.controller.take().expect("a controller").stop().await;
        let mut kept = self.get("ConfigMap", "settings-primary").as_ref().clone();
        let owners = kept["metadata"]["ownerReferences"].clone();
        kept["metadata"] = json!({"name": "settings-primary-last", "ownerReferences": owners,
            "annotations": {"canary-tui/revision": promoted}});
        self.create("ConfigMap", kept);
        self.edit("ConfigMap", "settings-primary", |map| map["data"]["color"] = json!(color));
    }

    /// The primary has the template; where its pods are quick, all traffic too.
    async fn until_promoting(&self) {
        self.until("no promotion", |_, canary| matches!(canary.status.phase, Phase::Promoting | Phase::Finalising))
            .await;
    }

    /// The first step of a rollout of what is new since `before`.
    async fn until_first_step(&self, before: &str) {
        self.until("no first step", |w, canary| {
            let spec = w.canaries.get("shop").and_then(|canary| canary.spec.as_ref().ok());
            let live = spec.and_then(|spec| w.live(spec)).map_or(0, |live| live.canary());
            live == 10 && canary.status.canary_weight == 10 && applied(canary) != before
        })
        .await;
    }

    fn applied(&self) -> String {
        applied(&self.0.mirror.read().canaries["shop"])
    }

    async fn ask(&self, verb: Verb) -> Outcome {
        let wish = {
            let world = self.0.mirror.read();
            let revision = world.revision_name(&world.canaries["shop"], &world.workloads["shop"]);
            Wish {
                canary: "shop".into(),
                verb,
                revision: revision.expect("a revision"),
                reason: String::new(),
                image: None,
                container: None,
                gate: None,
            }
        };
        self.0.ask_for(wish).await
    }

    fn said(&self, start: &str) -> usize {
        let events = self.0.sandbox.store().list("Event", NAMESPACE).0;
        let of_shop = events.iter().filter(|e| e["involvedObject"]["name"] == "shop");
        of_shop.filter(|e| e["message"].as_str().is_some_and(|m| m.starts_with(start))).count()
    }

    async fn until_said(&self, part: &str) {
        self.0
            .until(&format!("no word: {part}"), |w| {
                w.events.values().any(|e| e.canary == "shop" && e.message.contains(part))
            })
            .await;
    }
}

fn applied(canary: &CanaryRecord) -> String {
    canary.status.applied().map(|revision| revision.to_string()).unwrap_or_default()
}

const AT_ONCE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_mounts_copies_of_what_is_tracked() {
    let shop = Shop::open(AT_ONCE, json!({})).await;
    let template = shop.get("Deployment", "shop-primary")["spec"]["template"].clone();
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["env"][0]["valueFrom"]["configMapKeyRef"]["name"], "settings-primary");
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], "keys-primary");
    assert_eq!(container["envFrom"][1]["configMapRef"]["name"], "extras", "there is nothing to copy");
    let copy = shop.get("ConfigMap", "settings-primary");
    assert_eq!((&copy["data"], &copy["binaryData"]), (&json!({"color": "red"}), &json!({"logo": "AAEC"})));
    assert_eq!(copy["metadata"]["ownerReferences"][0]["kind"], "Canary");
    assert_eq!(copy["metadata"].get("labels"), None);
    assert_eq!(shop.get("Secret", "keys-primary")["data"], json!({"apiKey": "dGVzdA=="}));
    assert!(shop.0.mirror.read().canaries["shop"].applied_by_us, "whatever becomes of its ReplicaSet");
    let tracked = shop.get("Canary", "shop")["status"]["trackedConfigs"].clone();
    assert_eq!(tracked["secret/keys"], "3930f0692c2295eb");
    assert!(tracked["configmap/settings"].is_string() && tracked["configmap/extras"].is_null(), "{tracked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_alone_is_a_revision_restarts_a_rollout_and_ends_it_when_it_is_put_back() {
    let shop = Shop::open(AT_ONCE, json!({})).await;
    let promoted = shop.applied();
    shop.paint("blue");
    shop.until_first_step(&promoted).await;
    assert_eq!(shop.get("ConfigMap", "settings-primary")["data"]["color"], "red");
    let blue = shop.applied();
    let pods = |shop: &Shop| -> Vec<String> {
        let pods = shop.0.sandbox.store().list("Pod", NAMESPACE).0;
        let of_shop = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == "shop");
        let alive = of_shop.filter(|pod| pod["metadata"].get("deletionTimestamp").is_none());
        alive.filter_map(|pod| pod["metadata"]["uid"].as_str().map(str::to_string)).collect()
    };
    let before = pods(&shop);
    shop.paint("green");
    shop.until_first_step(&blue).await;
    assert_eq!(shop.said("New revision detected! Restarting analysis"), 1);
    assert!(pods(&shop).iter().all(|pod| !before.contains(pod)), "pods that run have read what was there before");
    shop.paint("red");
    shop.until_phase(Phase::Succeeded).await;
    shop.until("the canary stays", |w, _| w.workloads["shop"].desired == 0).await;
    assert_eq!((shop.said("New revision detected! Scaling up"), shop.applied()), (1, promoted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binary_data_alone_is_a_revision_too() {
    let shop = Shop::open(AT_ONCE, json!({})).await;
    let promoted = shop.applied();
    shop.edit("ConfigMap", "settings", |map| map["binaryData"]["logo"] = json!("AwQF"));
    shop.until_first_step(&promoted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_copies_the_configuration_and_an_abort_puts_it_back() {
    let shop = Shop::open(Duration::from_millis(600), json!({})).await;
    let promoted = shop.applied();
    shop.paint("blue");
    shop.until_first_step(&promoted).await;
    let outcome = shop.ask(Verb::Promote).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    shop.until_promoting().await;
    assert_eq!(shop.get("ConfigMap", "settings-primary")["data"]["color"], "blue");
    assert_eq!(shop.get("ConfigMap", "settings-primary-last")["data"], json!({"color": "red"}));
    assert!(shop.find("Secret", "keys-primary-last").is_none(), "what stays as it is needs no keeping");
    let outcome = shop.ask(Verb::Abort).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    shop.until_phase(Phase::Failed).await;
    let copy = shop.get("ConfigMap", "settings-primary");
    assert_eq!((&copy["data"]["color"], &copy["binaryData"]), (&json!("red"), &json!({"logo": "AAEC"})));
    let world = shop.0.mirror.read();
    assert_eq!(world.workloads["shop-primary"].revision, Some(promoted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_a_promotion_that_went_no_further_are_put_right_when_the_rollout_fails() {
    let mut shop = Shop::open(AT_ONCE, json!({})).await;
    let promoted = shop.applied();
    shop.paint("blue");
    shop.until_first_step(&promoted).await;
    shop.die_after_the_copies(&promoted, "blue").await;
    shop.0.drive();
    let outcome = shop.ask(Verb::Abort).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    shop.until_phase(Phase::Failed).await;
    assert_eq!(shop.get("ConfigMap", "settings-primary")["data"]["color"], "red");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_that_is_begun_again_keeps_what_was_promoted_and_not_what_it_wrote_itself() {
    for color in ["blue", "green"] {
        let mut shop = Shop::open(AT_ONCE, json!({})).await;
        let promoted = shop.applied();
        shop.paint("blue");
        shop.until_first_step(&promoted).await;
        let blue = shop.applied();
        shop.die_after_the_copies(&promoted, "blue").await;
        shop.paint(color);
        shop.0.drive();
        shop.until_first_step(if color == "blue" { &promoted } else { &blue }).await;
        assert!(matches!(shop.ask(Verb::Promote).await, Outcome::CarriedOut(_)));
        shop.until_promoting().await;
        assert_eq!(shop.get("ConfigMap", "settings-primary")["data"]["color"], color);
        assert_eq!(shop.get("ConfigMap", "settings-primary-last")["data"]["color"], "red");
        assert!(matches!(shop.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
        shop.until_phase(Phase::Failed).await;
        assert_eq!(shop.get("ConfigMap", "settings-primary")["data"]["color"], "red");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_said_and_costs_the_others_nothing() {
    let shop = Shop::open(AT_ONCE, json!({})).await;
    shop.edit("Deployment", "shop", |target| {
        let from = &mut target["spec"]["template"]["spec"]["containers"][0]["envFrom"];
        *from = json!([{"configMapRef": {"name": "nowhere"}}]);
    });
    shop.until_said("mounts configmap nowhere, which does not exist").await;
    shop.0.set_version("1.1.0").await;
    shop.0.until("the other stands still", |w| w.canaries[APP].status.canary_weight == 10).await;
    let promoted = shop.applied();
    let outcome = shop.ask(Verb::Start).await;
    assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("nowhere")), "{outcome:?}");
    shop.create("ConfigMap", json!({"metadata": {"name": "nowhere"}}));
    shop.until_first_step(&promoted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_missing_is_said_on_those_that_need_it_and_the_others_are_driven() {
    for (denied, more, word) in [
        ("secrets", json!({}), "mounts secret keys, and the driver may not watch secrets"),
        (
            "horizontalpodautoscalers",
            json!({"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2", "name": "web"}}),
            "spec.autoscalerRef names web, and the driver may not watch horizontalpodautoscalers.autoscaling",
        ),
    ] {
        let mut shop = Shop(Rehearsal::observing(hurried(NEVER)).await);
        shop.0.sandbox.deny(Some(Arc::new(move |asked| asked.resource == denied)));
        let Rehearsal { connection, kinds, .. } = &shop.0;
        shop.0.mirror = Mirror::start(&connection.client, kinds, &connection.namespace, Clock::system(), For::Driver);
        shop.0.mirror.ready().await;
        shop.0.drive();
        shop.stock(more);
        shop.until_said(word).await;
        shop.0.set_version("1.1.0").await;
        shop.0.until("the other stands still", |w| w.canaries[APP].status.canary_weight == 10).await;
        let report = shop.0.controller.as_ref().expect("a controller").report();
        assert_eq!(report.ready(), Ok(()), "{denied}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_not_made_of_somebody_elses_object() {
    let shop = Shop::open(AT_ONCE, json!({})).await;
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": APP, "controller": true,
        "uid": shop.get("Deployment", APP)["metadata"]["uid"]});
    shop.create(
        "ConfigMap",
        json!({"metadata": {"name": "extras-primary", "ownerReferences": [owner]},
        "data": {"a": "theirs"}}),
    );
    shop.create("ConfigMap", json!({"metadata": {"name": "extras"}, "data": {"a": "ours"}}));
    let promoted = shop.applied();
    shop.until("no rollout", |_, canary| canary.status.canary_weight == 10 && applied(canary) != promoted).await;
    let _ = tokio::time::timeout(Duration::from_secs(2), shop.ask(Verb::Promote)).await;
    shop.until_said("configmap extras-primary.jx-production belongs to Deployment").await;
    assert_eq!(shop.get("ConfigMap", "extras-primary")["data"]["a"], "theirs");
    assert_ne!(shop.0.mirror.read().canaries["shop"].status.phase, Phase::Promoting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_autoscaler_gets_a_copy_for_the_primary_and_the_primary_keeps_its_pods() {
    let autoscaler = json!({"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "name": "web", "primaryScalerReplicas": {"minReplicas": 4}}});
    let shop = Shop::opening(Duration::from_millis(600), autoscaler).await;
    shop.create(
        "HorizontalPodAutoscaler",
        json!({"metadata": {"name": "web", "labels": {"team": "a"}}, "spec": {
        "minReplicas": 3, "maxReplicas": 8,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}}]}}),
    );
    shop.until_phase(Phase::Initialized).await;
    shop.until("no copy", |w, _| w.scalers.contains_key("web-primary")).await;
    let copy = shop.get("HorizontalPodAutoscaler", "web-primary");
    assert_eq!(copy["spec"]["scaleTargetRef"]["name"], "shop-primary");
    assert_eq!((&copy["spec"]["minReplicas"], &copy["spec"]["maxReplicas"]), (&json!(4), &json!(8)));
    assert_eq!(copy["metadata"]["labels"], json!({"team": "a"}));
    // As an autoscaler does.
    shop.edit("Deployment", "shop-primary", |primary| primary["spec"]["replicas"] = json!(1));
    shop.edit("HorizontalPodAutoscaler", "web", |scaler| scaler["spec"]["maxReplicas"] = json!(9));
    let promoted = shop.applied();
    shop.set_tag("1.1.0");
    shop.until_first_step(&promoted).await;
    assert_eq!(shop.get("Deployment", "shop")["spec"]["replicas"], 3, "as many as its autoscaler asks for at least");
    assert_eq!(shop.get("HorizontalPodAutoscaler", "web-primary")["spec"]["maxReplicas"], 8, "a rollout may fail");
    let outcome = shop.ask(Verb::Promote).await;
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    shop.until_promoting().await;
    assert_eq!(shop.get("HorizontalPodAutoscaler", "web-primary")["spec"]["maxReplicas"], 9);
    assert_eq!(shop.get("Deployment", "shop-primary")["spec"]["replicas"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_made_anew_gives_its_primary_as_many_pods_as_served() {
    let shop = Shop::open(Duration::from_millis(50), json!({})).await;
    let store = shop.0.sandbox.store();
    let before = shop.get("Canary", "shop");
    store.delete("Canary", NAMESPACE, "shop", &DeleteOptions::default()).expect("a deletion");
    shop.0.until("its primary stays", |w| !w.workloads.contains_key("shop-primary")).await;
    let mut again = before.as_ref().clone();
    again["metadata"] = json!({"name": "shop"});
    again.as_object_mut().expect("an object").remove("status");
    shop.create("Canary", again);
    shop.0.until("no primary again", |w| w.workloads.get("shop-primary").is_some_and(|p| p.desired == 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_goes_back_to_service_gets_what_was_promoted() {
    for own_is_gone in [false, true] {
        let shop = Shop::open(AT_ONCE, json!({"revertOnDeletion": true})).await;
        let promoted = shop.applied();
        let template = shop.get("Deployment", "shop")["spec"]["template"].clone();
        shop.set_tag("1.1.0");
        shop.until_first_step(&promoted).await;
        assert!(matches!(shop.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
        shop.until_phase(Phase::Failed).await;
        let store = shop.0.sandbox.store();
        if own_is_gone {
            let hash = promoted.split('-').next().unwrap_or_default();
            store.delete("ReplicaSet", NAMESPACE, &format!("shop-{hash}"), &DeleteOptions::default()).expect("a set");
            shop.until("it stays", |w, _| {
                !w.replica_sets
                    .values()
                    .any(|set| set.hash() == hash && set.name.starts_with("shop-") && !set.name.contains("primary"))
            })
            .await;
        }
        store.delete("Canary", NAMESPACE, "shop", &DeleteOptions::default()).expect("the canary");
        shop.until("no way back", |w, _| w.workloads["shop"].version() == "1.0.0" && w.workloads["shop"].desired == 2)
            .await;
        assert_eq!(shop.get("Deployment", "shop")["spec"]["template"], template, "own template gone: {own_is_gone}");
    }
}

/// Makes of the shop what another tool would have left: its names for the revision, its mark on the primary.
async fn hand_to_another_tool(shop: &mut Shop) {
    shop.0.controller.take().expect("a controller").stop().await;
    shop.edit("Deployment", "shop-primary", |primary| {
        let annotations = primary["metadata"]["annotations"].as_object_mut().expect("annotations");
        annotations.retain(|key, _| !key.starts_with("canary-tui/"));
        primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"] = json!("6a1ef1ae-4e1b-4d7c-9d3e");
    });
    let stored = shop.0.sandbox.store().modify_status("Canary", NAMESPACE, "shop", |canary: &mut Value| {
        canary["status"]["lastAppliedSpec"] = json!("5f6d7c8b");
        canary["status"]["lastPromotedSpec"] = json!("5f6d7c8b");
        canary["metadata"]["managedFields"] = json!([]);
    });
    stored.unwrap_or_else(|error| panic!("the status: {error}"));
    shop.until("another tool's status", |_, canary| applied(canary).starts_with("5f6d7c8b") && !canary.applied_by_us)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_tool_promoted_is_adopted_without_a_rollout() {
    let mut shop = Shop::open(AT_ONCE, json!({})).await;
    let promoted = shop.applied();
    hand_to_another_tool(&mut shop).await;
    shop.0.drive();
    shop.until("it is not adopted", |_, canary| applied(canary) == promoted).await;
    shop.until_said("5f6d7c8b is another tool's name").await;
    assert_eq!(shop.said("New revision detected"), 0);
    // And from there an abort of a promotion finds its way back to what the other tool had promoted.
    shop.paint("blue");
    shop.until_first_step(&promoted).await;
    assert!(matches!(shop.ask(Verb::Promote).await, Outcome::CarriedOut(_)));
    shop.until_promoting().await;
    assert!(matches!(shop.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    shop.until_phase(Phase::Failed).await;
    assert_eq!(shop.get("ConfigMap", "settings-primary")["data"]["color"], "red");
    assert_eq!(shop.0.mirror.read().workloads["shop-primary"].revision, Some(promoted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_another_tool_drove_is_rolled_out() {
    let mut shop = Shop::open(AT_ONCE, json!({})).await;
    let promoted = shop.applied();
    hand_to_another_tool(&mut shop).await;
    shop.paint("blue");
    shop.0.drive();
    shop.until_first_step(&promoted).await;
    assert_eq!(shop.said("New revision detected! Scaling up"), 1);
}
