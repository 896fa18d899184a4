//! Rules that hold whatever the strategy: what is kept in its shape, what begins a rollout, and what is nobody's business.

use super::promotion::create_weighted;
use super::{Cluster, plant, share, tag_of};
use crate::receiver::Receiver;
use serde_json::json;

const APP: &str = super::APP;
const PRIMARY: &str = "podinfo-primary";

async fn initialized(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    create_weighted(cluster, receiver).await;
    cluster.until_phase("Initialized").await;
}

/// Services, rules and routes that are deleted or edited are put right between rollouts too.
pub async fn repair(cluster: &Cluster, receiver: &Receiver) {
    initialized(cluster, receiver).await;
    let routes = cluster.read("VirtualService", APP).await["spec"].clone();
    cluster.edit("VirtualService", APP, |routes| routes["spec"]["hosts"] = json!(["elsewhere.example.com"])).await;
    cluster.until("the hosts", |c| c.get("VirtualService", APP)["spec"] == routes).await;
    cluster.delete("VirtualService", APP).await;
    cluster.until("the routes", |c| c.get("VirtualService", APP)["spec"] == routes).await;
    let selector = json!({"app": PRIMARY});
    cluster.edit("Service", APP, |service| service["spec"]["selector"] = json!({"app": APP})).await;
    cluster.until("the selector", |c| c.get("Service", APP)["spec"]["selector"] == selector).await;
    let uid = cluster.read("Service", "podinfo-canary").await["metadata"]["uid"].clone();
    cluster.delete("Service", "podinfo-canary").await;
    cluster
        .until("the service", |c| {
            let service = c.get("Service", "podinfo-canary");
            !service.is_null() && service["metadata"]["uid"] != uid
        })
        .await;
    cluster.edit("DestinationRule", PRIMARY, |rule| rule["spec"]["host"] = json!("elsewhere")).await;
    // The next version goes by what was put right.
    cluster.set_version("6.0.1").await;
    cluster.until_phase("Succeeded").await;
    assert_eq!(cluster.read("DestinationRule", PRIMARY).await["spec"], json!({"host": PRIMARY}));
}

/// Replicas, labels and annotations of the Deployment itself begin nothing; what `kubectl rollout restart` writes does.
pub async fn triggers(cluster: &Cluster, receiver: &Receiver) {
    initialized(cluster, receiver).await;
    let before = cluster.read("Canary", APP).await["status"]["lastAppliedSpec"].clone();
    cluster
        .edit("Deployment", APP, |target| {
            target["metadata"]["labels"]["team"] = json!("a");
            target["metadata"]["annotations"]["example.com/note"] = json!("hello");
            target["spec"]["revisionHistoryLimit"] = json!(3);
        })
        .await;
    cluster
        .edit("Deployment", APP, |target| {
            let template = &mut target["spec"]["template"]["metadata"];
            template["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("2026-11-22T10:00:00Z");
        })
        .await;
    cluster.until_phase("Succeeded").await;
    assert_ne!(cluster.read("Canary", APP).await["status"]["lastAppliedSpec"], before);
    let said = cluster.said().await;
    let begun = said.iter().filter(|message| message.starts_with("New revision detected!")).count();
    assert_eq!(begun, 1, "{said:#?}");
    let primary = cluster.read("Deployment", PRIMARY).await;
    assert_eq!(tag_of(&primary), "6.0.0");
    let annotations = &primary["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], "2026-11-22T10:00:00Z");
    assert_eq!(primary["spec"]["revisionHistoryLimit"], 3, "taken along with the promotion");
}

/// What somebody changes on the primary stays until the next promotion.
pub async fn drift(cluster: &Cluster, receiver: &Receiver) {
    initialized(cluster, receiver).await;
    cluster
        .edit("Deployment", PRIMARY, |primary| {
            primary["spec"]["replicas"] = json!(2);
            let env = primary["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut();
            env.expect("variables").push(json!({"name": "DEBUG", "value": "1"}));
        })
        .await;
    cluster.until("its pods", |c| c.get("Deployment", PRIMARY)["status"]["readyReplicas"] == 2).await;
    cluster.set_version("6.0.1").await;
    cluster.until("a weight", |c| share(&c.get("VirtualService", APP), &[]) == 10).await;
    let env = |primary: &serde_json::Value| primary["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    assert_eq!(env(&cluster.read("Deployment", PRIMARY).await)[1]["name"], "DEBUG");
    cluster.until_phase("Succeeded").await;
    let primary = cluster.read("Deployment", PRIMARY).await;
    assert_eq!((tag_of(&primary), env(&primary).as_array().map(Vec::len)), ("6.0.1", Some(1)));
    assert_eq!(primary["spec"]["replicas"], 2, "what served is served on");
}
