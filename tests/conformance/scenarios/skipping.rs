//! A Canary whose versions are promoted without analysis.

use super::{APP, Cluster, canary, plant, tag_of};
use crate::receiver::Receiver;
use serde_json::{Value, json};

fn unanalysed(receiver: &Receiver) -> Value {
    let load = json!({"name": "load-test", "type": "rollout", "url": receiver.url("/load-test"), "timeout": "5s"});
    let analysis = json!({"threshold": 15, "maxWeight": 30, "stepWeight": 10, "webhooks": [load]});
    let mut canary = canary(json!({"port": 9898, "portDiscovery": true}), analysis);
    canary["spec"]["skipAnalysis"] = json!(true);
    canary
}

/// What gets ready is promoted, and no user is asked.
pub async fn good_image(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    cluster.create(unanalysed(receiver)).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("6.0.1").await;
    cluster.until_primary("6.0.1").await;
    cluster.until_phase("Succeeded").await;
    cluster.assert_said(&["Promotion completed! Canary analysis was skipped for podinfo.NS"]).await;
    cluster.until("the canary stays", |c| c.get("Deployment", APP)["spec"]["replicas"] == 0).await;
    assert_eq!(cluster.weights(), [0]);
    assert!(receiver.calls("/load-test").is_empty(), "no check, no webhook of one");
    assert_eq!(cluster.lost(), 0);
}

/// What never gets ready is not.
pub async fn bad_image(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    let mut hasty = unanalysed(receiver);
    hasty["spec"]["progressDeadlineSeconds"] = json!(3);
    cluster.create(hasty).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("1.4.0").await;
    cluster.until_phase("Failed").await;
    cluster.assert_said(&["Canary failed! Scaling down podinfo.NS"]).await;
    let primary = cluster.read("Deployment", "podinfo-primary").await;
    assert_eq!((tag_of(&primary), &primary["status"]["readyReplicas"]), ("6.0.0", &json!(1)), "the primary is fine");
    cluster.until("the canary stays", |c| c.get("Deployment", APP)["spec"]["replicas"] == 0).await;
    assert_eq!((cluster.weights(), cluster.lost()), (vec![0], 0));
}
