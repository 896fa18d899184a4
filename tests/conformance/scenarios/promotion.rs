//! A new version from detected to promoted: step by step, blue/green, for a group of users, and as the first API had it.

use super::{APP, Cluster, built_in, canary, plant, route_of, share, tag_of};
use crate::receiver::Receiver;
use serde_json::{Value, json};

const LATENCY: &str = r#"histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{
    reporter="{{ variables.reporter }}", destination_workload_namespace="{{ namespace }}",
    destination_workload=~"{{ target }}"}[{{ interval }}])) by (le))"#;

fn hook(receiver: &Receiver, kind: &str, path: &str) -> Value {
    json!({"name": path.trim_start_matches('/'), "type": kind, "url": receiver.url(path), "timeout": "30s",
        "metadata": {"type": "cmd", "cmd": "hey -z 1m http://podinfo"}})
}

/// A canary that goes 10, 20, 30 and is promoted, by a built-in check and one of a template.
pub async fn create_weighted(cluster: &Cluster, receiver: &Receiver) {
    cluster
        .create(json!({
            "apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "latency"},
            "spec": {"provider": {"type": "prometheus", "address": cluster.prometheus}, "query": LATENCY},
        }))
        .await;
    cluster.create(weighted(receiver)).await;
}

fn weighted(receiver: &Receiver) -> Value {
    let service = json!({
        "port": 9898, "portDiscovery": true,
        "apex": {"annotations": {"test": "annotations-test"}, "labels": {"test": "labels-test"}},
        "headers": {"request": {"add": {"x-envoy-upstream-rq-timeout-ms": "15000"}}},
    });
    let metrics = json!([
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "2s"},
        {"name": "latency", "thresholdRange": {"max": 500}, "interval": "2s",
            "templateRef": {"name": "latency"}, "templateVariables": {"reporter": "destination"}},
    ]);
    let analysis = json!({"threshold": 15, "maxWeight": 30, "stepWeight": 10, "metrics": metrics,
        "webhooks": [hook(receiver, "rollout", "/load-test")]});
    canary(service, analysis)
}

/// All at once after five checks, on other ports.
fn blue_green(receiver: &Receiver) -> Value {
    let service = json!({"port": 80, "targetPort": 9898, "portName": "http-podinfo", "portDiscovery": true});
    let hooks = [("pre-rollout", "/http-check"), ("pre-rollout", "/grpc-check"), ("rollout", "/load-test")];
    let analysis = json!({"threshold": 5, "iterations": 5, "metrics": built_in(),
        "webhooks": hooks.map(|(kind, path)| hook(receiver, kind, path))});
    canary(service, analysis)
}

/// Five checks with those who bear a cookie, behind a gate.
pub fn ab_testing(receiver: &Receiver) -> Value {
    let service = json!({"port": 80, "targetPort": "http", "portDiscovery": true});
    let hooks = [("pre-rollout", "/hey"), ("confirm-promotion", "/gate/approve"), ("post-rollout", "/curl")];
    let analysis = json!({"threshold": 5, "iterations": 5, "metrics": built_in(),
        "match": [{"headers": {"cookie": {"regex": "^(.*?;)?(type=insider)(;.*)?$"}}}],
        "webhooks": hooks.map(|(kind, path)| hook(receiver, kind, path))});
    canary(service, analysis)
}

/// Everything that serves users and analysis is made, and no more.
pub async fn initialization(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    create_weighted(cluster, receiver).await;
    cluster.until_phase("Initialized").await;
    let apex = cluster.read("Service", APP).await;
    assert_eq!(apex["metadata"]["annotations"]["test"], "annotations-test");
    assert_eq!(apex["metadata"]["labels"]["test"], "labels-test");
    assert_eq!(apex["spec"]["selector"], json!({"app": "podinfo-primary"}));
    for (name, selected) in [("podinfo-primary", "podinfo-primary"), ("podinfo-canary", "podinfo")] {
        let service = cluster.read("Service", name).await;
        assert_eq!(service["spec"]["selector"], json!({"app": selected}), "{name}");
        assert_eq!(ports(&service), [9797, 9898, 9999], "{name}");
        assert_eq!(cluster.read("DestinationRule", name).await["spec"], json!({"host": name}));
    }
    assert_eq!(ports(&apex), [9797, 9898, 9999]);
    let routes = cluster.read("VirtualService", APP).await;
    assert_eq!((&routes["spec"]["hosts"], &routes["spec"]["gateways"]), (&json!([APP]), &json!(["mesh"])));
    let route = route_of(&routes, &[]);
    assert_eq!(route["headers"]["request"]["add"]["x-envoy-upstream-rq-timeout-ms"], "15000");
    assert_eq!(share(&routes, &[]), 0);
    let primary = cluster.read("Deployment", "podinfo-primary").await;
    let template = &primary["spec"]["template"];
    assert_eq!(primary["spec"]["selector"]["matchLabels"], json!({"app": "podinfo-primary"}));
    assert!(template["metadata"]["annotations"]["flagger-id"].is_string(), "{template}");
    let mounted = &template["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"];
    assert_eq!(mounted, "podinfo-secret-primary");
    assert_eq!(cluster.read("Secret", "podinfo-secret-primary").await["data"], json!({"token": "dGVzdA=="}));
    assert_eq!(cluster.read("Deployment", APP).await["spec"]["replicas"], 0);
    let canary = cluster.read("Canary", APP).await;
    let status = &canary["status"];
    assert_eq!((&status["canaryWeight"], &status["failedChecks"]), (&json!(0), &json!(0)));
    assert_eq!(status["lastAppliedSpec"], status["lastPromotedSpec"]);
    assert_eq!(status["trackedConfigs"]["secret/podinfo-secret"].as_str().map(str::len), Some(16));
    let condition = &status["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Promoted"), &json!("True")));
    let hash = status["lastAppliedSpec"].as_str().expect("a revision");
    assert!(!cluster.read("ReplicaSet", &format!("{APP}-{hash}")).await.is_null(), "{hash} is no pod-template-hash");
    for (kind, name) in [("Service", APP), ("VirtualService", APP), ("Deployment", "podinfo-primary")] {
        let owner = cluster.read(kind, name).await["metadata"]["ownerReferences"][0].clone();
        assert_eq!((&owner["kind"], &owner["uid"]), (&json!("Canary"), &canary["metadata"]["uid"]), "{kind} {name}");
    }
    cluster.assert_said(&["Initialization done! podinfo.NS"]).await;
}

fn ports(service: &Value) -> Vec<u64> {
    let all = service["spec"]["ports"].as_array().into_iter().flatten();
    let mut numbers: Vec<u64> = all.filter_map(|port| port["port"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

/// 10, 20, 30, promoted.
pub async fn weighted_promotion(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    create_weighted(cluster, receiver).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("6.0.1").await;
    cluster.until_primary("6.0.1").await;
    cluster.until_phase("Succeeded").await;
    let expected = [
        "New revision detected! Scaling up podinfo.NS",
        "Starting canary analysis for podinfo.NS",
        "Advance podinfo.NS canary weight 10",
        "Advance podinfo.NS canary weight 20",
        "Advance podinfo.NS canary weight 30",
        "Copying podinfo.NS template spec to podinfo-primary.NS",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down podinfo.NS",
    ];
    cluster.assert_said(&expected).await;
    ended(cluster).await;
    assert_eq!(cluster.weights(), [0, 10, 20, 30, 0]);
    let calls = receiver.calls("/load-test");
    assert!(calls.len() >= 3, "at each check of a canary that has users: {}", calls.len());
    assert!(calls.iter().all(|call| call.body["name"] == APP && call.body["phase"] == "Progressing"));
    assert_eq!(calls[0].body["metadata"]["cmd"], "hey -z 1m http://podinfo");
    assert_eq!(cluster.lost(), 0);
}

/// The Canary becomes a blue/green one between two rollouts, on another port: five checks without users, then all at once.
pub async fn blue_green_promotion(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    create_weighted(cluster, receiver).await;
    cluster.until_phase("Initialized").await;
    // What the load test calls: the canary's own Service.
    let load = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "load-test"},
        "spec": {"hosts": ["podinfo-canary"], "http": [{"route": [{"destination": {"host": "podinfo-canary"}}]}]}});
    cluster.create(load).await;
    cluster.apply(&blue_green(receiver)).await;
    cluster.until("the port", |c| ports(&c.get("Service", APP)) == [80, 9797, 9999]).await;
    cluster.set_version("6.0.2").await;
    cluster.until_primary("6.0.2").await;
    cluster.until_phase("Succeeded").await;
    let expected = [
        "New revision detected! Scaling up podinfo.NS",
        "Starting canary analysis for podinfo.NS",
        "Pre-rollout check http-check passed",
        "Pre-rollout check grpc-check passed",
        "Advance podinfo.NS canary iteration 1/5",
        "Advance podinfo.NS canary iteration 2/5",
        "Advance podinfo.NS canary iteration 3/5",
        "Advance podinfo.NS canary iteration 4/5",
        "Advance podinfo.NS canary iteration 5/5",
        "Routing all traffic to canary",
        "Copying podinfo.NS template spec to podinfo-primary.NS",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down podinfo.NS",
    ];
    cluster.assert_said(&expected).await;
    ended(cluster).await;
    assert_eq!(cluster.weights(), [0, 100, 0]);
    let port = cluster.read("Service", APP).await["spec"]["ports"][0].clone();
    assert_eq!((&port["name"], &port["port"], &port["targetPort"]), (&json!("http-podinfo"), &json!(80), &json!(9898)));
    for path in ["/http-check", "/grpc-check"] {
        assert_eq!(receiver.calls(path).len(), 1, "{path}");
    }
}

/// Those who bear the cookie are the canary's for five checks, all others stay with the primary; a gate approves.
pub async fn ab_testing_promotion(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    cluster.create(ab_testing(receiver)).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("6.0.3").await;
    cluster.until_primary("6.0.3").await;
    cluster.until_phase("Succeeded").await;
    let expected = [
        "New revision detected! Scaling up podinfo.NS",
        "Pre-rollout check hey passed",
        "Advance podinfo.NS canary iteration 1/5",
        "Advance podinfo.NS canary iteration 5/5",
        "Confirm-promotion check gate/approve passed",
        "Copying podinfo.NS template spec to podinfo-primary.NS",
        "Promotion completed! Scaling down podinfo.NS",
        "Post-rollout check curl passed",
    ];
    cluster.assert_said(&expected).await;
    ended(cluster).await;
    let (insider, other) = (("cookie", "lang=en;type=insider"), ("cookie", "type=outsider"));
    let versions = cluster.versions("VirtualService", APP);
    let of = |headers: &[(&str, &str)]| {
        let mut shares: Vec<u64> = versions.iter().map(|routes| share(routes, headers)).collect();
        shares.dedup();
        shares
    };
    assert_eq!(of(&[insider]), [0, 100, 0]);
    assert_eq!((of(&[other]), of(&[])), (vec![0], vec![0]), "nobody else ever leaves the primary");
    assert_eq!(cluster.read("Service", APP).await["spec"]["ports"][0]["targetPort"], "http");
    assert_eq!(receiver.calls("/gate/approve").len(), 1);
    let after: Vec<Value> = receiver.calls("/curl").iter().map(|call| call.body["phase"].clone()).collect();
    assert_eq!(after, ["Succeeded"]);
    assert_eq!(cluster.lost(), 0);
}

/// The object and the metrics' names of early 2019, as they are.
pub async fn seed(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    let mut object = canary(json!({"port": 9898}), json!({}));
    object["apiVersion"] = json!("flagger.app/v1alpha3");
    let spec = object["spec"].as_object_mut().expect("a spec");
    spec.remove("analysis");
    spec.insert(
        "canaryAnalysis".into(),
        json!({
            "interval": super::SOON, "threshold": 15, "maxWeight": 50, "stepWeight": 10,
            "metrics": [
                {"name": "istio_requests_total", "threshold": 99, "interval": "2s"},
                {"name": "istio_request_duration_seconds_bucket", "threshold": 500, "interval": "2s"},
            ],
            "webhooks": [{"name": "load-test", "url": receiver.url("/load-test"), "timeout": "5s",
                "metadata": {"cmd": "hey -z 1m -q 10 -c 2 http://podinfo:9898/"}}],
        }),
    );
    cluster.create(object).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("1.4.1").await;
    cluster.until_primary("1.4.1").await;
    cluster.until_phase("Succeeded").await;
    ended(cluster).await;
    assert_eq!(cluster.weights(), [0, 10, 20, 30, 40, 50, 0]);
    let spec = cluster.read("Canary", APP).await["spec"].clone();
    assert!(spec["canaryAnalysis"].is_object() && spec["analysis"].is_null(), "it is left as it was written");
    assert!(!receiver.calls("/load-test").is_empty());
    assert_eq!(cluster.lost(), 0);
}

/// How every good rollout ends.
async fn ended(cluster: &Cluster) {
    cluster.until("the canary stays", |c| c.get("Deployment", APP)["spec"]["replicas"] == 0).await;
    let (canary, routes) = (cluster.read("Canary", APP).await, cluster.read("VirtualService", APP).await);
    let (target, primary) =
        (cluster.read("Deployment", APP).await, cluster.read("Deployment", "podinfo-primary").await);
    assert_eq!(tag_of(&target), tag_of(&primary));
    assert_eq!(share(&routes, &[]), 0);
    let status = &canary["status"];
    assert_eq!(status["lastPromotedSpec"], status["lastAppliedSpec"]);
    assert_eq!((&status["canaryWeight"], &status["iterations"]), (&json!(0), &json!(0)));
    let condition = &status["conditions"][0];
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("Succeeded")));
}
