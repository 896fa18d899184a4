//! What a Canary makes, takes over, and leaves behind.

use super::promotion::ab_testing;
use super::{APP, Cluster, built_in, canary, plant, share};
use crate::receiver::Receiver;
use serde_json::json;

/// With `revertOnDeletion` the Canary bears Flagger's finalizer, and what it leaves behind serves its users.
pub async fn finalizer_and_delete(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    let mut object = ab_testing(receiver);
    object["spec"]["revertOnDeletion"] = json!(true);
    cluster.create(object).await;
    cluster.until_phase("Initialized").await;
    cluster
        .until("no finalizer", |c| c.get("Canary", APP)["metadata"]["finalizers"] == json!(["finalizer.flagger.app"]))
        .await;
    cluster.delete("Canary", APP).await;
    cluster.until("it does not go", |c| c.get("Canary", APP).is_null()).await;
    cluster.until("the primary stays", |c| c.get("Deployment", "podinfo-primary").is_null()).await;
    let target = cluster.read("Deployment", APP).await;
    assert_eq!((&target["spec"]["replicas"], &target["status"]["readyReplicas"]), (&json!(1), &json!(1)));
    assert_eq!(cluster.read("Service", APP).await["spec"]["selector"], json!({"app": APP}));
    cluster.assert_said(&["Terminating canary podinfo.NS", "Terminated canary podinfo.NS"]).await;
    assert_eq!(cluster.lost(), 0);
}

/// A Service and routes that served before the Canary came serve as they did once it is gone.
pub async fn take_over_and_revert(cluster: &Cluster, _: &Receiver) {
    plant(cluster).await;
    let ports = json!([{"name": "http", "port": 9898, "protocol": "TCP", "targetPort": "http"}]);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": APP},
        "spec": {"type": "ClusterIP", "selector": {"app": APP}, "ports": ports}});
    let spec = json!({
        "gateways": ["istio-system/ingressgateway"], "hosts": ["app.example.com", APP],
        "http": [{"retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error,connect-failure"},
            "route": [{"destination": {"host": APP}}]}],
    });
    let routes = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": APP},
        "spec": spec});
    cluster.create(service).await;
    cluster.until("it serves", |c| c.get("Deployment", APP)["status"]["readyReplicas"] == 1).await;
    cluster.create(routes).await;
    let service = json!({"port": 9898, "targetPort": "http", "portDiscovery": true,
        "gateways": ["istio-system/ingressgateway"], "hosts": ["app.example.com", APP],
        "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error,connect-failure"}});
    let mut object =
        canary(service, json!({"threshold": 15, "maxWeight": 30, "stepWeight": 10, "metrics": built_in()}));
    object["spec"]["revertOnDeletion"] = json!(true);
    cluster.create(object).await;
    cluster.until_phase("Initialized").await;
    let (taken, routes) = (cluster.read("Service", APP).await, cluster.read("VirtualService", APP).await);
    assert_eq!(taken["spec"]["selector"], json!({"app": "podinfo-primary"}));
    assert_eq!(routes["spec"]["http"][0]["route"][0]["destination"]["host"], "podinfo-primary");
    assert_eq!(share(&routes, &[]), 0);
    for object in [&taken, &routes] {
        assert!(object["metadata"]["ownerReferences"].is_null(), "it outlives the Canary: {object}");
    }
    let kept = routes["metadata"]["annotations"]["flagger.kubernetes.io/original-configuration"].as_str();
    let kept: serde_json::Value = serde_json::from_str(kept.expect("what it was is kept")).expect("JSON");
    assert_eq!(kept, spec, "in Flagger's form: it could give it back too");
    cluster.until("no finalizer", |c| c.get("Canary", APP)["metadata"]["finalizers"].is_array()).await;

    cluster.delete("Canary", APP).await;
    cluster.until("it does not go", |c| c.get("Canary", APP).is_null()).await;
    let (service, routes) = (cluster.read("Service", APP).await, cluster.read("VirtualService", APP).await);
    assert_eq!((&service["spec"]["selector"], &service["spec"]["ports"]), (&json!({"app": APP}), &ports));
    assert_eq!(routes["spec"], spec);
    assert_eq!(cluster.lost(), 0);
}
