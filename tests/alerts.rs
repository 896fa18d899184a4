//! Alerts on the embedded cluster: who is told what, and what happens where nobody can be told.

mod receiver;
mod rehearsal;

use canary_tui::api::Phase;
use receiver::{Answer, Receiver};
use rehearsal::{APP, Rehearsal, hurried};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(300);
const NAMESPACE: &str = "jx-production";
const NO: Answer = Answer::Status(403, "Forbidden");

fn provider(rehearsal: &Rehearsal, namespace: &str, name: &str, spec: Value) {
    let object = json!({"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec});
    rehearsal.sandbox.store().create("AlertProvider", Some(namespace), object).expect("a provider");
}

fn alert(name: &str, severity: Option<&str>, namespace: Option<&str>) -> Value {
    let mut alert = json!({"name": name, "providerRef": {"name": name}});
    if let Some(severity) = severity {
        alert["severity"] = json!(severity);
    }
    if let Some(namespace) = namespace {
        alert["providerRef"]["namespace"] = json!(namespace);
    }
    alert
}

async fn with(rehearsal: &Rehearsal, hooks: &[Value], alerts: &[Value]) {
    let change = |canary: &mut Value| {
        let analysis = &mut canary["spec"]["analysis"];
        analysis["webhooks"] = json!(hooks);
        analysis["alerts"] = json!(alerts);
        analysis["metrics"] = json!([]);
        analysis["threshold"] = json!(2);
        (analysis["stepWeight"], analysis["maxWeight"]) = (json!(50), json!(50));
    };
    rehearsal.sandbox.store().modify("Canary", Some(NAMESPACE), APP, change).expect("the canary takes it");
    let seen = |w: &canary_tui::cluster::World| {
        w.canaries[APP].spec.as_ref().is_ok_and(|spec| spec.analysis.alerts.len() == alerts.len())
    };
    rehearsal.until("the alerts are seen", seen).await;
}

fn hook(receiver: &Receiver, kind: &str, path: &str) -> Value {
    json!({"name": path.trim_start_matches('/'), "type": kind, "url": receiver.url(path)})
}

fn texts(receiver: &Receiver, path: &str) -> Vec<String> {
    let text = |body: &Value| {
        let text = body.pointer("/attachments/0/text").or_else(|| body.pointer("/sections/0/activityTitle"));
        text.and_then(Value::as_str).map(str::to_string)
    };
    receiver.calls(path).iter().filter_map(|call| text(&call.body)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_provider_is_told_what_is_grave_enough_for_it() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/smoke", Answer::Status(500, "broken"));
    let store = rehearsal.sandbox.store();
    // "Zm9v" would do for the token; the address is the receiver's.
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "chat", "namespace": "istio-system"},
        "data": {"address": base64(&receiver.url("/slack")), "token": "Zm9v"}});
    store.create("Secret", Some("istio-system"), secret).expect("a secret");
    provider(
        &rehearsal,
        "istio-system",
        "slack",
        json!({"type": "slack", "channel": "ops", "secretRef": {"name": "chat"}}),
    );
    provider(&rehearsal, NAMESPACE, "teams", json!({"type": "msteams", "address": receiver.url("/teams")}));
    let alerts = [alert("slack", None, Some("istio-system")), alert("teams", Some("error"), None)];
    with(&rehearsal, &[hook(&receiver, "rollout", "/smoke")], &alerts).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Failed).await;
    receiver.until_called("/slack", 2).await;
    receiver.until_called("/teams", 1).await;
    let failed = "Failed checks threshold reached 2".to_string();
    // An alert without a severity gets everything: Flagger sends it nothing.
    let told = ["New revision detected, progressing canary analysis.".to_string(), failed.clone()];
    assert_eq!(texts(&receiver, "/slack"), told);
    assert_eq!(texts(&receiver, "/teams"), [failed]);
    let slack = &receiver.calls("/slack")[0];
    assert_eq!(slack.headers["authorization"], "Bearer foo");
    assert_eq!((&slack.body["channel"], &slack.body["username"]), (&json!("ops"), &json!("flagger")));
    let fields = slack.body.pointer("/attachments/0/fields").expect("fields");
    assert_eq!(fields[0], json!({"title": "Target", "value": format!("Deployment/{APP}.{NAMESPACE}"), "short": false}));
    assert_eq!(fields.as_array().map(Vec::len), Some(4));
    assert_eq!(receiver.calls("/slack")[1].body.pointer("/attachments/0/color"), Some(&json!("danger")));
    assert_eq!(receiver.calls("/slack")[1].body.pointer("/attachments/0/fields"), Some(&json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_shut_is_told_once_and_a_muted_one_never() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    for path in ["/more", "/muted"] {
        receiver.answer(path, NO);
    }
    provider(&rehearsal, NAMESPACE, "rocket", json!({"type": "rocket", "address": receiver.url("/rocket")}));
    let mut muted = hook(&receiver, "confirm-promotion", "/muted");
    muted["muteAlert"] = json!(true);
    let hooks = [hook(&receiver, "confirm-traffic-increase", "/more"), muted];
    with(&rehearsal, &hooks, &[alert("rocket", Some("warn"), None)]).await;
    rehearsal.set_version("1.1.0").await;
    receiver.until_called("/more", 4).await;
    assert_eq!(texts(&receiver, "/rocket"), ["Canary traffic increase is waiting for approval."]);
    receiver.answer("/more", Answer::Status(200, "OK"));
    rehearsal.until_phase(Phase::WaitingPromotion).await;
    receiver.until_called("/muted", 3).await;
    assert_eq!(texts(&receiver, "/rocket").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_is_said_once_and_the_others_are_told() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/smoke", NO);
    receiver.answer("/broken", Answer::Status(410, "the channel is archived"));
    let slack = |path: &str| json!({"type": "slack", "address": receiver.url(path)});
    provider(&rehearsal, NAMESPACE, "broken", slack("/broken"));
    provider(&rehearsal, NAMESPACE, "secret", json!({"type": "slack", "secretRef": {"name": "chat"}}));
    provider(&rehearsal, NAMESPACE, "works", slack("/works"));
    rehearsal.sandbox.deny(Some(Arc::new(|a| a.resource == "secrets" && a.verb == "get")));
    let alerts = ["missing", "broken", "secret", "works"].map(|name| alert(name, Some("info"), None));
    with(&rehearsal, &[hook(&receiver, "rollout", "/smoke")], &alerts).await;
    // Two alerts each; of the fourth all have met what was wrong with the third.
    for (version, told) in [("1.1.0", 2), ("1.2.0", 4)] {
        rehearsal.set_version(version).await;
        receiver.until_called("/works", told).await;
        rehearsal.until_phase(Phase::Failed).await;
    }
    rehearsal.until("all are said", |w| w.events.values().filter(|e| &*e.reason == "AlertNotSent").count() >= 3).await;
    let events = rehearsal.sandbox.store().list("Event", Some(NAMESPACE)).0;
    let mut said: Vec<(String, u64)> = events
        .iter()
        .filter(|e| e["reason"] == "AlertNotSent")
        .map(|e| (e["message"].as_str().unwrap_or("").to_string(), e["count"].as_u64().unwrap_or(0)))
        .collect();
    said.sort();
    let start = |name: &str| format!("Alerts to {name}.{NAMESPACE} are not sent: ");
    assert!(said.len() == 3 && said.iter().all(|(_, count)| *count == 1), "{said:#?}");
    assert_eq!(said[0].0, start("broken") + "the channel is archived");
    assert_eq!(said[1].0, format!("{}alertprovider missing.{NAMESPACE} does not exist", start("missing")));
    let secret = &said[2].0;
    assert!(secret.starts_with(&start("secret")) && secret.contains("cannot get resource \"secrets\""), "{secret}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_holds_no_rollout_up() {
    let rehearsal = Rehearsal::driving(hurried(STEP)).await;
    let receiver = Receiver::start().await;
    receiver.answer("/hangs", Answer::Hang);
    provider(&rehearsal, NAMESPACE, "hangs", json!({"type": "discord", "address": receiver.url("/hangs")}));
    receiver.answer("/hangs/slack", Answer::Hang);
    with(&rehearsal, &[], &[alert("hangs", None, None)]).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Succeeded).await;
    let said = format!("Alerts to hangs.{NAMESPACE} are not sent: no answer within 5 s");
    rehearsal.until("it is said", |w| w.events.values().any(|e| e.message == said)).await;
}

fn base64(text: &str) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).expect("base64");
    value.as_str().unwrap_or_default().to_string()
}
