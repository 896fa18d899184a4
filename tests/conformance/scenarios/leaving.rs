//! What Flagger finds when it takes over: held, field by field, against what a real one left behind after the same rollouts
//! of the same objects (`tests/data/flagger`).

use super::{Cluster, SOON};
use crate::receiver::Receiver;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The app that was recorded.
pub const APP: &str = "jx-production-myapp";
const INPUT: &str = include_str!("../../data/flagger/input.yaml");
const SUCCESS: &str = include_str!("../../data/flagger/success.txt");
const ROLLBACK: &str = include_str!("../../data/flagger/rollback.txt");
const CANARIES: &str = include_str!("../../data/flagger/canaries.yaml");
const CONFIG_MAPS: &str = include_str!("../../data/flagger/configmaps.yaml");
const DEPLOYMENTS: &str = include_str!("../../data/flagger/deployments.yaml");
const RULES: &str = include_str!("../../data/flagger/destinationrules.yaml");
const ROUTES: &str = include_str!("../../data/flagger/virtualservices.yaml");
const SERVICES: &str = include_str!("../../data/flagger/services.yaml");

/// What may differ from the recorded objects, each with its reason. Everything else must be the same. `*` stands for one
/// name of a path.
const ALLOWED: &[(&str, &str)] = &[
    // Of another cluster, another day, another client.
    ("*/metadata/uid", "made by the API server"),
    ("*/metadata/resourceVersion", "made by the API server"),
    ("*/metadata/creationTimestamp", "made by the API server"),
    ("*/metadata/generation", "how often it was written"),
    ("*/metadata/managedFields", "who wrote it"),
    ("*/metadata/namespace", "the test's own"),
    ("*/metadata/ownerReferences/0/uid", "the Canary's"),
    ("*/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", "nobody applied it here"),
    ("Service */spec/clusterIP", "made by the API server"),
    ("Service */spec/clusterIPs", "made by the API server"),
    ("Service */status", "made by the API server"),
    ("Service */spec/internalTrafficPolicy", "made by the API server"),
    ("Service */spec/ipFamilies", "made by the API server"),
    ("Service */spec/ipFamilyPolicy", "made by the API server"),
    ("Deployment */status", "made by the Deployment controller"),
    ("Deployment */spec/template/metadata/annotations/flagger-id", "another at every promotion, there too"),
    ("Canary */spec/analysis", "shorter intervals"),
    ("Canary */status/lastTransitionTime", "another day"),
    ("Canary */status/conditions/0/lastTransitionTime", "another day"),
    ("Canary */status/conditions/0/lastUpdateTime", "another day"),
    // The primary keeps what it bore when it was made; Flagger takes it away at the first promotion.
    ("Deployment */metadata/annotations/jenkins.io~1version", "kept"),
    ("Deployment */metadata/annotations/meta.helm.sh~1release-name", "kept"),
    // Ours. Flagger reads none of them and leaves all of them alone.
    ("Canary */metadata/annotations", "canary-tui/: a request, a pause, an opened gate"),
    ("Deployment */metadata/annotations/canary-tui~1revision", "which revision the primary bears"),
    ("Deployment */metadata/annotations/canary-tui~1configs", "what it mounts, by checksum"),
    ("Deployment */metadata/annotations/canary-tui~1last-promoted", "what it bore before: the way back of an abort"),
    ("Deployment */metadata/annotations/canary-tui~1replicas", "with how many pods the primary served"),
    ("*/metadata/annotations/canary-tui~1term", "whose write was the last"),
    ("*/metadata/annotations/canary-tui~1request-id", "for which request it was"),
    ("ConfigMap */metadata/annotations/canary-tui~1revision", "whose configuration a copy holds"),
];

fn recorded(yaml: &str) -> Vec<Value> {
    let list: Value = serde_saphyr::from_str(yaml).expect("YAML");
    list["items"].as_array().expect("items").clone()
}

/// Every leaf of an object by its path; an empty list or map is one too.
fn leaves(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(&format!("{prefix}/{}", key.replace('/', "~1")), value, into);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (at, value) in list.iter().enumerate() {
                leaves(&format!("{prefix}/{at}"), value, into);
            }
        }
        Value::Null => {}
        _ => drop(into.insert(prefix.into(), value.clone())),
    }
}

/// Whether a path is allowed, or below one that is.
fn allowed(path: &str) -> bool {
    ALLOWED.iter().any(|(pattern, _)| {
        let (kind, rest) = path.split_once('/').unwrap_or((path, ""));
        let (wanted, pattern) = pattern.split_once('/').unwrap_or((pattern, ""));
        let of_kind = wanted == "*" || wanted.strip_suffix('*').is_some_and(|start| kind.starts_with(start));
        of_kind && (rest == pattern || rest.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/')))
    })
}

/// The paths at which an object differs from the recorded one, with both values.
fn differences(recorded: &Value, ours: &Value) -> Vec<String> {
    let name = format!("{} {}", text(&recorded["kind"]), text(&recorded["metadata"]["name"]));
    let (mut theirs, mut here) = (BTreeMap::new(), BTreeMap::new());
    leaves(&name, recorded, &mut theirs);
    leaves(&name, ours, &mut here);
    let paths: std::collections::BTreeSet<&String> = theirs.keys().chain(here.keys()).collect();
    let differing = paths.into_iter().filter(|path| theirs.get(*path) != here.get(*path) && !allowed(path));
    differing.map(|path| format!("{path}: Flagger {:?}, here {:?}", theirs.get(path), here.get(path))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The objects that the recording began with, at shorter intervals, driven to Initialized.
async fn initialized(cluster: &Cluster) {
    for document in INPUT.split("\n---\n") {
        let mut object: Value = serde_saphyr::from_str(document).expect("YAML");
        if object["kind"] == "Canary" {
            object["spec"]["analysis"]["interval"] = json!(SOON);
            for metric in object["spec"]["analysis"]["metrics"].as_array_mut().expect("metrics") {
                metric["interval"] = json!("2s");
            }
        }
        cluster.create(object).await;
    }
    cluster.until_phase("Initialized").await;
}

/// A Canary's status as the recording digests it.
fn digest(status: &Value) -> String {
    let condition = &status["conditions"][0];
    let condition: Vec<&str> = ["type", "status", "reason"].iter().map(|field| text(&condition[field])).collect();
    format!(
        "phase={} weight={} failed={} iter={} cond={}",
        text(&status["phase"]),
        status["canaryWeight"],
        status["failedChecks"],
        status["iterations"],
        condition.join("/")
    )
}

/// The recording's digests of the Canary up to its deletion, each change once.
fn digests(recording: &str) -> Vec<String> {
    let lines = recording.lines().filter(|line| line.contains(" MODIFIED Canary "));
    let mut digests: Vec<String> = lines
        .filter_map(|line| Some(format!("phase={}", line.split_once("phase=")?.1.split(" gen=").next()?)))
        .collect();
    digests.dedup();
    digests
}

fn our_digests(cluster: &Cluster) -> Vec<String> {
    let statuses = cluster.versions("Canary", APP);
    let with_status = statuses.iter().filter(|canary| canary["status"]["phase"].is_string());
    let mut digests: Vec<String> = with_status.map(|canary| digest(&canary["status"])).collect();
    digests.dedup();
    digests
}

/// What the recording's Events say, folded ones unfolded, each once.
fn messages(recording: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in recording.lines().filter(|line| line.contains("[Canary/")) {
        let message = line.split_once(" Synced x").and_then(|(_, rest)| rest.split_once(": ")).map_or("", |(_, m)| m);
        let message = message.trim_start_matches("(combined from similar events): ").replace(".jx-production", ".NS");
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages
}

/// Status by status, word by word and, at the end, field by field.
pub async fn promoted(cluster: &Cluster, _: &Receiver) {
    initialized(cluster).await;
    cluster.set_version("0.0.2").await;
    cluster.until_phase("Succeeded").await;
    cluster.until("the canary stays", |c| c.get("Deployment", APP)["spec"]["replicas"] == 0).await;
    assert_eq!(our_digests(cluster), digests(SUCCESS));
    // While the primary starts, the two may look at different moments.
    let lasting = |message: &String| !message.contains(" not ready: ");
    let expected: Vec<String> = messages(SUCCESS).into_iter().filter(lasting).collect();
    assert!(expected.len() >= 12, "{expected:#?}");
    cluster.until_said(expected.last().expect("a last word")).await;
    let said: Vec<String> = cluster.said().await.into_iter().filter(lasting).collect();
    let relevant: Vec<&String> = said.iter().filter(|message| expected.contains(message)).collect();
    assert_eq!(relevant, expected.iter().collect::<Vec<_>>(), "{said:#?}");

    let hash = cluster.read("Canary", APP).await["status"]["lastAppliedSpec"].clone();
    let set = cluster.read("ReplicaSet", &format!("{APP}-{}", text(&hash))).await;
    assert_eq!(set["metadata"]["labels"]["pod-template-hash"], hash, "as Flagger's is wherever its API types match");
    // In the middle of it too: the fields are there, and the routes differ in nothing but the weights.
    let fields = |status: &Value| status.as_object().expect("a status").keys().cloned().collect::<Vec<_>>();
    let (status, routes) = (&recorded(CANARIES)[0]["status"], &recorded(ROUTES)[0]);
    for canary in cluster.versions("Canary", APP).iter().filter(|c| c["status"]["lastAppliedSpec"].is_string()) {
        assert_eq!(fields(&canary["status"]), fields(status));
    }
    for version in cluster.versions("VirtualService", APP) {
        let mut ours = (*version).clone();
        let to = ours["spec"]["http"][0]["route"].as_array_mut().expect("destinations");
        assert_eq!(to.iter().filter_map(|to| to["weight"].as_u64()).sum::<u64>(), 100);
        (to[0]["weight"], to[1]["weight"]) = (json!(100), json!(0));
        assert_eq!(differences(routes, &ours), Vec::<String>::new());
    }
    let mut differing = Vec::new();
    for mut theirs in [CANARIES, CONFIG_MAPS, DEPLOYMENTS, RULES, ROUTES, SERVICES].into_iter().flat_map(recorded) {
        if theirs["kind"] == "Canary" {
            // The hash of this template on this cluster.
            let status = &mut theirs["status"];
            assert_eq!(
                (&status["lastAppliedSpec"], &status["lastPromotedSpec"]),
                (&json!("b57d6944"), &json!("b57d6944"))
            );
            (status["lastAppliedSpec"], status["lastPromotedSpec"]) = (hash.clone(), hash.clone());
        }
        let ours = cluster.read(text(&theirs["kind"]), text(&theirs["metadata"]["name"])).await;
        differing.extend(differences(&theirs, &ours));
    }
    assert!(differing.is_empty(), "{differing:#?}");
    let canary = cluster.read("Canary", APP).await;
    for event in cluster.events().await {
        let (metadata, about) = (&event["metadata"], &event["involvedObject"]);
        assert!(text(&metadata["name"]).starts_with(&format!("{APP}.")), "{event}");
        assert_eq!((&about["kind"], &about["uid"]), (&json!("Canary"), &canary["metadata"]["uid"]));
        assert_eq!((text(&about["apiVersion"]), text(&about["name"])), ("flagger.app/v1beta1", APP));
        assert_eq!(event["reason"], "Synced", "{event}");
        // All but who speaks.
        assert_eq!(event["source"]["component"], "canary-tui");
        assert_eq!(event["reportingComponent"], "canary-tui");
    }
    let primary = cluster.read("Deployment", &format!("{APP}-primary")).await;
    let id = &primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"];
    assert!(text(id).starts_with(text(&hash)), "{id} names the revision, so that a repeated promotion rolls nothing");
}

/// Status by status, with the one difference that is meant: the count stays. Then what stands.
pub async fn rolled_back(cluster: &Cluster, _: &Receiver) {
    initialized(cluster).await;
    cluster.set_version("5xx").await;
    cluster.until_phase("Failed").await;
    cluster.until("the canary stays", |c| c.get("Deployment", APP)["spec"]["replicas"] == 0).await;
    // How far it gets before enough requests have failed is chance.
    let stepped = |digests: Vec<String>| {
        let steps = ["weight=10 ", "weight=20 ", "weight=30 ", "weight=40 ", "weight=50 "];
        let at_some =
            |digest: &String| steps.iter().fold(digest.clone(), |digest, step| digest.replace(step, "stepped "));
        let mut digests: Vec<String> = digests.iter().map(at_some).collect();
        digests.dedup();
        digests
    };
    let mut expected = stepped(digests(ROLLBACK));
    let last = expected.last_mut().expect("a last status");
    assert_eq!(last, "phase=Failed weight=0 failed=0 iter=0 cond=Promoted/False/Failed");
    *last = "phase=Failed weight=0 failed=5 iter=0 cond=Promoted/False/Failed".into();
    assert_eq!(stepped(our_digests(cluster)), expected);
    cluster
        .assert_said(&[
            "New revision detected! Scaling up jx-production-myapp.NS",
            "Advance jx-production-myapp.NS canary weight 10",
            "Rolling back jx-production-myapp.NS failed checks threshold reached 5",
            "Canary failed! Scaling down jx-production-myapp.NS",
        ])
        .await;

    let status = cluster.read("Canary", APP).await["status"].clone();
    let theirs = &recorded(CANARIES)[0]["status"];
    let fields = |status: &Value| status.as_object().expect("a status").keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&status), fields(theirs), "every field of Flagger's, and none of ours");
    assert_ne!(status["lastAppliedSpec"], status["lastPromotedSpec"], "Flagger would not try it again either");
    assert_eq!(status["trackedConfigs"], theirs["trackedConfigs"]);
    let message = "Canary analysis failed, Deployment scaled to zero.";
    assert_eq!(status["conditions"][0]["message"], message);
    for theirs in [ROUTES, RULES, SERVICES, CONFIG_MAPS].into_iter().flat_map(recorded) {
        let ours = cluster.read(text(&theirs["kind"]), text(&theirs["metadata"]["name"])).await;
        assert_eq!(differences(&theirs, &ours), Vec::<String>::new());
    }
}
