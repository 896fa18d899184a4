//! What a rollout does to the routes on the embedded cluster, strategy by strategy, and that users never notice; and how
//! what somebody else made is taken over and given back.

mod rehearsal;

use canary_tui::api::{Phase, Provider};
use canary_tui::cluster::World;
use canary_tui::sandbox::store::DeleteOptions;
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::{Value, json};
use std::time::Duration;

const NAMESPACE: Option<&str> = Some("jx-production");
const STEP: Duration = Duration::from_millis(400);

/// A driven rehearsal whose checks look back over a second, with this change to the app's Canary.
async fn driving(change: impl FnOnce(&mut Value)) -> Rehearsal {
    let mut options = hurried(STEP);
    options.scrape = Duration::from_millis(50);
    let rehearsal = Rehearsal::driving(options).await;
    let changed = rehearsal.sandbox.store().modify("Canary", NAMESPACE, APP, |canary: &mut Value| {
        for metric in canary["spec"]["analysis"]["metrics"].as_array_mut().into_iter().flatten() {
            metric["interval"] = json!("1s");
        }
        change(canary);
    });
    changed.expect("the canary is changed");
    rehearsal
}

/// The HTTP routes as they stand.
fn http(world: &World) -> Vec<Value> {
    let routes = world.routes.get(&Provider::default()).and_then(|routes| routes.get(APP));
    let list = routes.and_then(|routes| routes.spec.value()["http"].as_array().cloned());
    list.unwrap_or_default()
}

fn weights(route: &Value) -> Vec<Option<u64>> {
    route["route"].as_array().into_iter().flatten().map(|to| to["weight"].as_u64()).collect()
}

fn cookie(route: &Value) -> Option<&str> {
    route["match"][0]["headers"]["Cookie"]["regex"].as_str()
}

async fn promoted_without_loss(rehearsal: &Rehearsal) {
    rehearsal.until_phase(Phase::Succeeded).await;
    let world = rehearsal.mirror.read();
    assert_eq!(world.workloads[&format!("{APP}-primary")].version(), "1.1.0");
    assert_eq!((world.workloads[APP].desired, weight(&world)), (0, 0));
    assert_eq!(rehearsal.sandbox.lost_requests(), 0);
    drop(world);
    let said = rehearsal.messages();
    assert!(!said.iter().any(|said| said.starts_with("What is written for this canary does not stay")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_match_are_the_canarys_and_all_others_the_primarys() {
    let rehearsal = driving(|canary| {
        let analysis = &mut canary["spec"]["analysis"];
        analysis["match"] = json!([{ "headers": { "x-canary": { "exact": "insider" } } }]);
        analysis["iterations"] = json!(2);
        analysis["stepWeight"] = json!(null);
        analysis["maxWeight"] = json!(null);
    })
    .await;
    rehearsal.set_version("1.1.0").await;
    let split = |world: &World| {
        let routes = http(world);
        routes.len() == 2 && weights(&routes[0]) == [Some(0), Some(100)] && weights(&routes[1]) == [Some(100)]
    };
    rehearsal.until("the group is not served by the canary", split).await;
    let routes = http(&rehearsal.mirror.read());
    assert_eq!(routes[0]["match"], json!([{ "headers": { "x-canary": { "exact": "insider" } } }]));
    assert_eq!(routes[1].get("match"), None);
    promoted_without_loss(&rehearsal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_copied_before_the_first_weight_and_no_more_after_it() {
    let rehearsal = driving(|canary| canary["spec"]["analysis"]["mirror"] = json!(true)).await;
    rehearsal.set_version("1.1.0").await;
    let copied = |world: &World| http(world).first().is_some_and(|route| route["mirror"].is_object());
    rehearsal.until("nothing is copied", copied).await;
    assert_eq!(rehearsal.weight(), 0);
    rehearsal.until("no weight", |world| weight(world) == 10).await;
    assert!(!copied(&rehearsal.mirror.read()));
    promoted_without_loss(&rehearsal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_stay_with_their_version_while_the_weight_rises_and_forget_it_after() {
    let rehearsal = driving(|canary| {
        canary["spec"]["analysis"]["sessionAffinity"] = json!({ "cookieName": "app", "primaryCookieName": "app-old" });
    })
    .await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no weight", |world| weight(world) == 20 && world.canaries[APP].status.canary_weight == 20).await;
    let (routes, status) = {
        let world = rehearsal.mirror.read();
        (http(&world), world.canaries[APP].status.clone())
    };
    assert_eq!(routes.len(), 3, "{routes:#?}");
    let given = status.cookies.canary.clone().expect("a cookie");
    let value = given.strip_prefix("app=").expect("its name");
    assert_eq!(cookie(&routes[0]), Some(format!(".*app.*{value}.*").as_str()));
    assert_eq!((weights(&routes[0]), weights(&routes[1])), (vec![Some(0), Some(100)], vec![Some(100), Some(0)]));
    let set = routes[2]["route"][1]["headers"]["response"]["add"]["Set-Cookie"].clone();
    assert_eq!(set, format!("{given}; Max-Age=86400"));
    promoted_without_loss(&rehearsal).await;
    let routes = http(&rehearsal.mirror.read());
    assert_eq!(routes.len(), 2, "{routes:#?}");
    let set = routes[0]["headers"]["response"]["add"]["Set-Cookie"].clone();
    assert_eq!(set, format!("{given}; Max-Age=-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_mid_rollout_is_written_and_moves_no_traffic() {
    let mut options = hurried(Duration::from_secs(3600));
    options.scrape = Duration::from_millis(50);
    let rehearsal = Rehearsal::driving(options).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until("no first step", |world| weight(world) == 10).await;
    let store = rehearsal.sandbox.store();
    let edit = |canary: &mut Value| canary["spec"]["service"]["timeout"] = json!("7s");
    store.modify("Canary", NAMESPACE, APP, edit).expect("an edit");
    rehearsal
        .until("the edit is written", |world| {
            http(world).iter().all(|route| route["timeout"] == "7s" && weights(route) == [Some(90), Some(10)])
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_made_is_taken_over_and_given_back() {
    let mut rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let store = rehearsal.sandbox.store().clone();
    let service = json!({ "selector": { "app": "shop" }, "ports": [{ "name": "web", "port": 8080, "protocol": "TCP", "targetPort": 8080 }] });
    let routes = json!({ "hosts": ["shop.example.com"], "http": [{ "retries": { "attempts": 3 }, "route": [{ "destination": { "host": "shop" } }] }] });
    let mut target = (*store.get("Deployment", NAMESPACE, APP).expect("a target")).clone();
    target["metadata"] = json!({ "name": "shop", "namespace": "jx-production" });
    target["spec"]["selector"] = json!({ "matchLabels": { "app": "shop" } });
    target["spec"]["template"]["metadata"]["labels"] = json!({ "app": "shop" });
    target["spec"]["replicas"] = json!(2);
    target.as_object_mut().expect("an object").remove("status");
    let mut canary = (*store.get("Canary", NAMESPACE, APP).expect("a canary")).clone();
    canary["metadata"] = json!({ "name": "shop", "namespace": "jx-production" });
    canary["spec"]["targetRef"]["name"] = json!("shop");
    canary["spec"]["service"] = json!({ "port": 80, "targetPort": 8080 });
    canary["spec"]["revertOnDeletion"] = json!(true);
    canary.as_object_mut().expect("an object").remove("status");
    let named = |kind: &str, version: &str, spec: &Value| json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "shop" }, "spec": spec });
    for (kind, object) in [
        ("Service", named("Service", "v1", &service)),
        ("VirtualService", named("VirtualService", "networking.istio.io/v1", &routes)),
        ("Deployment", target),
    ] {
        store.create(kind, NAMESPACE, object).expect(kind);
    }
    rehearsal.until("it serves", |world| world.workloads.get("shop").is_some_and(|target| target.available == 2)).await;
    rehearsal.until_served("shop").await;
    // What called before there was a pod is nobody's fault here.
    let before = rehearsal.sandbox.lost_requests();
    rehearsal.drive();
    store.create("Canary", NAMESPACE, canary).expect("a canary");
    rehearsal
        .until("never initialized", |world| {
            world.canaries.get("shop").is_some_and(|canary| canary.status.phase == Phase::Initialized)
        })
        .await;
    let of = |kind: &str| store.get(kind, NAMESPACE, "shop").expect(kind);
    let taken = of("Service");
    assert_eq!(taken["spec"]["selector"], json!({ "app": "shop-primary" }));
    assert_eq!((&taken["spec"]["ports"][0]["port"], taken["metadata"].get("ownerReferences")), (&json!(80), None));
    let taken = of("VirtualService");
    assert_eq!(taken["spec"]["http"][0]["route"][0]["destination"]["host"], "shop-primary");
    assert_eq!(taken["metadata"].get("ownerReferences"), None);

    rehearsal.until("no finalizer", |world| !world.canaries["shop"].finalizers.is_empty()).await;
    store.delete("Canary", NAMESPACE, "shop", &DeleteOptions::default()).expect("a deletion");
    rehearsal.until("it does not go", |world| !world.canaries.contains_key("shop")).await;
    let back = of("Service");
    assert_eq!(back["spec"]["selector"], json!({ "app": "shop" }));
    assert_eq!(back["spec"]["ports"][0]["port"], 8080);
    assert_eq!(of("VirtualService")["spec"], routes);
    let kept = |object: &Value| object["metadata"]["annotations"].to_string().contains("original-configuration");
    assert!(!kept(&of("Service")) && !kept(&of("VirtualService")));
    rehearsal.until("the primary stays", |world| !world.workloads.contains_key("shop-primary")).await;
    assert_eq!(of("Deployment")["spec"]["replicas"], 2);
    assert_eq!(rehearsal.sandbox.lost_requests(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_canary_made_outlives_it_and_leads_to_the_target() {
    let rehearsal = driving(|canary| canary["spec"]["revertOnDeletion"] = json!(true)).await;
    rehearsal.until("no finalizer", |world| !world.canaries[APP].finalizers.is_empty()).await;
    let store = rehearsal.sandbox.store();
    store.delete("Canary", NAMESPACE, APP, &DeleteOptions::default()).expect("a deletion");
    rehearsal.until("the primary stays", |world| !world.workloads.contains_key(&format!("{APP}-primary"))).await;
    let service = store.get("Service", NAMESPACE, APP).expect("the service outlives it");
    assert_eq!(service["spec"]["selector"], json!({ "app": APP }));
    let routes = store.get("VirtualService", NAMESPACE, APP).expect("the routes outlive it");
    assert_eq!(routes["spec"]["http"][0]["route"], json!([{ "destination": { "host": APP } }]));
    assert!(store.get("Service", NAMESPACE, &format!("{APP}-primary")).is_none());
    assert_eq!(rehearsal.sandbox.lost_requests(), 0);
}
