//! The main job on a real Kubernetes API server and its own controllers: rollouts from start to finish, driven and
//! asked for by the real program, judged by traffic that follows the routes and pods of that cluster.

mod ground;

use ground::{APP, Ground, NEVER, SOON, canary, target};
use serde_json::{Value, json};

const CHART: &str = include_str!("../data/canary.yaml");

fn advance(weight: u32) -> String {
    format!("Advance {APP}.NS canary weight {weight}")
}

/// The app's messages, with the namespace's name taken out.
fn messages(ground: &Ground) -> Vec<String> {
    let said = ground.watched.messages(APP);
    said.into_iter().map(|message| message.replace(&ground.namespace, "NS")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn the_charts_canary_is_initialized_and_a_good_version_promoted_with_flaggers_words() {
    let ground = Ground::new("chart").await;
    ground.create(target()).await;
    let mut chart: Value = serde_saphyr::from_str(CHART).expect("YAML");
    assert_eq!(chart["apiVersion"], "flagger.app/v1alpha2");
    // As it is, but for its minutes.
    chart["spec"]["canaryAnalysis"]["interval"] = json!(SOON);
    for metric in chart["spec"]["canaryAnalysis"]["metrics"].as_array_mut().expect("metrics") {
        metric["interval"] = json!("2s");
    }
    ground.create(chart).await;
    let _controller = ground.controller();
    ground.until_phase("Initialized").await;
    let w = &ground.watched;
    assert_eq!((w.replicas(APP), w.ready(&format!("{APP}-primary"))), (0, 2));
    for service in [APP.to_string(), format!("{APP}-primary"), format!("{APP}-canary")] {
        assert!(w.has("Service", &service), "{service}");
    }
    assert_eq!(w.get("VirtualService", APP)["spec"]["hosts"], json!(["myapp.example.com", APP]));
    ground.until("the canary's pods are gone", |w| w.get("Deployment", APP)["status"]["replicas"].is_null()).await;

    ground.set_version("1.1.0").await;
    ground.until_phase("Succeeded").await;
    assert_eq!(w.weights(), [0, 10, 20, 30, 40, 50, 0]);
    assert!(w.image(&format!("{APP}-primary")).ends_with(":1.1.0"));
    ground.until("the canary is scaled down", |w| w.replicas(APP) == 0).await;
    let mut expected = vec![
        format!("Initialization done! {APP}.NS"),
        format!("New revision detected! Scaling up {APP}.NS"),
        format!("Starting canary analysis for {APP}.NS"),
    ];
    expected.extend([10, 20, 30, 40, 50].map(advance));
    expected.push(format!("Copying {APP}.NS template spec to {APP}-primary.NS"));
    expected.push("Routing all traffic to primary".into());
    expected.push(format!("Promotion completed! Scaling down {APP}.NS"));
    ground.until("its last message", |w| w.said("Promotion completed!")).await;
    let said: Vec<String> = messages(&ground).into_iter().filter(|m| expected.contains(m)).collect();
    assert_eq!(said, expected);
    assert!(w.events(APP).iter().all(|(message, count)| !message.starts_with("Advance") || *count == 1));
    assert_eq!(w.lost_requests(), 0, "no request found no ready pod");
    // What Flagger would read there: the revision is the hash that the Deployment controller gave it.
    let status = w.get("Canary", APP)["status"].clone();
    let hash = status["lastAppliedSpec"].as_str().expect("a revision").to_owned();
    assert_eq!(status["lastPromotedSpec"], status["lastAppliedSpec"]);
    assert!(w.has("ReplicaSet", &format!("{APP}-{hash}")), "{hash}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn a_version_that_answers_with_errors_is_rolled_back_at_its_threshold() {
    let (ground, _controller) = Ground::driven("errors", SOON).await;
    ground.set_version("5xx").await;
    ground.until_phase("Failed").await;
    let w = &ground.watched;
    assert_eq!((w.weight(), w.replicas(APP)), (0, 0));
    assert_eq!(w.get("Canary", APP)["status"]["failedChecks"], 5);
    assert!(w.image(&format!("{APP}-primary")).ends_with(":1.0.0"));
    ground.until("the last word", |w| w.said("Canary failed!")).await;
    let said = messages(&ground);
    let halts: Vec<&String> = said.iter().filter(|m| m.contains("advancement success rate")).collect();
    assert!(!halts.is_empty() && halts.iter().all(|m| m.ends_with("% < 99%")), "{said:#?}");
    let place = |start: &str| said.iter().position(|m| m.starts_with(start));
    let (rolling, failed) = (place("Rolling back"), place("Canary failed!"));
    assert!(rolling.is_some() && rolling < failed, "{said:#?}");
    let (code, _) = ground.ask("status", &[]).await;
    assert_eq!(code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn a_version_that_never_gets_ready_fails_at_its_deadline_and_gets_no_traffic() {
    let ground = Ground::new("unready").await;
    ground.create(target()).await;
    let mut hasty = canary(SOON);
    hasty["spec"]["progressDeadlineSeconds"] = json!(3);
    ground.create(hasty).await;
    let _controller = ground.controller();
    ground.until_phase("Initialized").await;
    ground.set_version("broken").await;
    ground.until_phase("Failed").await;
    ground
        .until("why", |w| w.said(&format!("Rolling back {APP}.{} progress deadline exceeded", ground.namespace)))
        .await;
    assert_eq!(ground.watched.weights(), [0]);
    assert_eq!(ground.watched.replicas(APP), 0);
    // The next one is not held against it.
    ground.set_version("1.1.0").await;
    ground.until_phase("Succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn an_operator_pauses_steps_resumes_and_promotes() {
    let (ground, _controller) = Ground::driven("operator", NEVER).await;
    ground.set_version("1.1.0").await;
    ground.until_first_step().await;
    ground.order("pause", &["--reason", "lunch"]).await;
    let paused =
        |w: &ground::watched::Watched| w.get("Canary", APP)["metadata"]["annotations"]["canary-tui/paused"].to_string();
    ground.until("it is on record", |w| paused(w).contains("lunch") && paused(w).contains("by")).await;
    let (code, said) = ground.ask("pause", &[]).await;
    assert_eq!((code, said.contains("paused already")), (1, true), "{said}");
    // The checks that a step needs have something to look at once the canary has served a few requests.
    loop {
        let (code, said) = ground.ask("advance", &[]).await;
        if code == 0 {
            break;
        }
        assert!(said.contains("no values found"), "{said}");
    }
    ground.until("the step", |w| w.weight() == 20).await;
    ground.order("resume", &[]).await;
    ground.order("promote", &["--reason", "it is good"]).await;
    ground.until("it is promoted", |w| w.image(&format!("{APP}-primary")).ends_with(":1.1.0")).await;
    // An Event may come after what it tells.
    let told = |m: &String| m.contains("promote") && m.contains("it is good");
    ground.until("it is told", |_| messages(&ground).iter().any(told)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn an_abort_takes_the_traffic_off_at_once() {
    let (ground, _controller) = Ground::driven("abort", NEVER).await;
    ground.set_version("1.1.0").await;
    ground.until_first_step().await;
    ground.order("abort", &["--reason", "pager"]).await;
    ground.until_phase("Failed").await;
    ground.until("all is at home", |w| w.weight() == 0 && w.replicas(APP) == 0).await;
    assert!(ground.watched.image(&format!("{APP}-primary")).ends_with(":1.0.0"));
    // It is tried again when somebody asks for it.
    ground.order("start", &[]).await;
    ground.until_first_step().await;
    // Another version is started by name, with the image taken from the target's own.
    ground.order("start", &["--version", "1.1.1"]).await;
    ground.until("its image", |w| w.image(APP).ends_with("/myapp:1.1.1")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn an_abort_while_promoting_puts_the_version_before_back() {
    let (ground, _controller) = Ground::driven("promoting", NEVER).await;
    ground.set_version("1.1.0").await;
    ground.until_first_step().await;
    // The primary's roll takes long enough to step into.
    let slow = json!({"spec": {"minReadySeconds": 3}});
    ground.merge("Deployment", &format!("{APP}-primary"), slow).await;
    ground.order("promote", &[]).await;
    ground.until_phase("Promoting").await;
    ground.order("abort", &[]).await;
    ground.until_phase("Failed").await;
    let w = &ground.watched;
    assert!(w.image(&format!("{APP}-primary")).ends_with(":1.0.0"));
    assert_eq!((w.weight(), w.replicas(APP)), (0, 0));
    assert_eq!(w.lost_requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn another_revision_restarts_the_rollout_and_the_promoted_one_ends_it() {
    let (ground, _controller) = Ground::driven("restart", NEVER).await;
    ground.set_version("1.1.0").await;
    ground.until_first_step().await;
    let first = ground.watched.get("Canary", APP)["status"]["lastAppliedSpec"].clone();
    ground.set_version("1.1.1").await;
    ground
        .until("it starts again", |w| {
            let status = &w.get("Canary", APP)["status"];
            status["lastAppliedSpec"] != first && status["canaryWeight"] == 10 && w.weight() == 10
        })
        .await;
    assert!(messages(&ground).iter().any(|m| m.starts_with("New revision detected! Restarting analysis")));
    ground.set_version("1.0.0").await;
    ground.until_phase("Succeeded").await;
    ground.until("all is at home", |w| w.weight() == 0 && w.replicas(APP) == 0).await;
    let begun = messages(&ground).iter().filter(|m| m.starts_with("New revision detected! Scaling up")).count();
    assert_eq!(begun, 1, "the promoted revision is not rolled out again");
    assert!(!ground.watched.said("Copying"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn deleting_the_canary_collects_what_it_owns_and_leaves_the_target() {
    let (ground, _controller) = Ground::driven("deletion", NEVER).await;
    let uid = ground.watched.get("Canary", APP)["metadata"]["uid"].clone();
    for (kind, name) in [("VirtualService", APP.to_string()), ("Deployment", format!("{APP}-primary"))] {
        let owner = ground.watched.get(kind, &name)["metadata"]["ownerReferences"][0].clone();
        assert_eq!((&owner["uid"], &owner["controller"]), (&uid, &json!(true)), "{kind}");
    }
    ground.delete("Canary", APP).await;
    ground
        .until("the garbage is collected", |w| {
            let gone = ["", "-primary", "-canary"].iter().all(|end| !w.has("Service", &format!("{APP}{end}")));
            gone && !w.has("VirtualService", APP) && !w.has("Deployment", &format!("{APP}-primary"))
        })
        .await;
    ground.until("its pods too", |w| !w.has("DestinationRule", &format!("{APP}-primary"))).await;
    assert!(ground.watched.has("Deployment", APP));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn a_paused_target_is_not_rolled_out_and_says_so() {
    let (ground, _controller) = Ground::driven("paused", NEVER).await;
    ground.merge("Deployment", APP, json!({"spec": {"paused": true}})).await;
    ground.set_version("1.1.0").await;
    ground.until("it is said", |w| w.messages(APP).iter().any(|m| m.contains("is paused"))).await;
    assert_eq!(ground.watched.get("Canary", APP)["status"]["phase"], "Initialized");
    assert_eq!(ground.watched.replicas(APP), 0);
    ground.merge("Deployment", APP, json!({"spec": {"paused": false}})).await;
    ground.until_first_step().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn the_survivor_of_two_drivers_ends_the_rollout() {
    let (ground, first) = Ground::driven("two", SOON).await;
    let second = ground.controller();
    let driver = |w: &ground::watched::Watched| w.get("Lease", "canary-tui")["spec"]["holderIdentity"].to_string();
    assert!(driver(&ground.watched).contains(&format!("({})", first.id())), "{}", driver(&ground.watched));
    ground.set_version("1.1.0").await;
    ground.until("it is under way", |w| w.weight() == 20).await;
    first.kill();
    ground.until_phase("Succeeded").await;
    let w = &ground.watched;
    assert!(driver(w).contains(&format!("({})", second.id())), "{}", driver(w));
    assert_eq!(w.weights(), [0, 10, 20, 30, 40, 50, 0], "no step is taken twice or left out");
    assert_eq!(w.lost_requests(), 0);
    ground.until("its last message", |w| w.said("Promotion completed!")).await;
    for step in [10, 20, 30, 40, 50].map(advance) {
        assert_eq!(messages(&ground).iter().filter(|m| **m == step).count(), 1, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn nonsense_is_refused_by_the_api_server() {
    let ground = Ground::new("nonsense").await;
    let cases = [
        ("spec.analysis.interval", json!({"analysis": {"interval": "soon"}})),
        ("spec.analysis.maxWeight", json!({"analysis": {"maxWeight": 101}})),
        ("spec.analysis.stepWeight", json!({"analysis": {"stepWeight": -1}})),
        ("spec.analysis.threshold", json!({"analysis": {"threshold": -5}})),
        ("spec.analysis.threshold", json!({"analysis": {"threshold": "many"}})),
        ("spec.progressDeadlineSeconds", json!({"progressDeadlineSeconds": "long"})),
        ("spec.targetRef", json!({"targetRef": null})),
        ("spec.service.port", json!({"service": {"port": 123_456}})),
    ];
    for (field, change) in cases {
        let mut object = canary(SOON);
        json_patch::merge(&mut object["spec"], &change);
        let refused = ground.try_create(object).await;
        match refused {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 422, "{field}: {status:?}");
                assert!(status.message.contains(field), "{field}: {}", status.message);
            }
            other => panic!("{field} is taken: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn others_who_write_to_the_same_objects_cost_no_step() {
    let (ground, _controller) = Ground::driven("conflicts", SOON).await;
    let meddle = async {
        let names = [("Canary", APP.to_string()), ("VirtualService", APP.into()), ("Deployment", APP.into())];
        let primary = ("Deployment", format!("{APP}-primary"));
        for round in 0_u64.. {
            for (kind, name) in names.iter().chain([&primary]) {
                let mark = json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}});
                ground.merge(kind, name, mark).await;
            }
        }
    };
    let rollout = async {
        ground.set_version("1.1.0").await;
        ground.until_phase("Succeeded").await;
    };
    tokio::select! { () = meddle => unreachable!("it goes on until it is dropped"), () = rollout => {} }
    let w = &ground.watched;
    assert_eq!(w.weights(), [0, 10, 20, 30, 40, 50, 0]);
    assert_eq!(w.lost_requests(), 0);
    // What they wrote stays.
    assert!(w.get("VirtualService", APP)["metadata"]["annotations"]["example.com/round"].is_string());
    ground.until("its last message", |w| w.said("Promotion completed!")).await;
    for step in [10, 20, 30, 40, 50].map(advance) {
        assert_eq!(messages(&ground).iter().filter(|m| **m == step).count(), 1, "{step}");
    }
}
