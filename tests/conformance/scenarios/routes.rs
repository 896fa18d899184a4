//! Routes that others refer to, and users who stay with the version that answered them first.

use super::{APP, Cluster, canary, plant, route_of, share};
use crate::receiver::Receiver;
use serde_json::{Value, json};

/// A gateway's routes delegate to the Canary's, which have neither hosts nor gateways of their own.
pub async fn delegation(cluster: &Cluster, receiver: &Receiver) {
    plant(cluster).await;
    let to = json!({"name": APP, "namespace": cluster.namespace});
    let root = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "root"},
        "spec": {"gateways": ["istio-system/ingressgateway"], "hosts": ["*"],
            "http": [{"match": [{"uri": {"prefix": "/podinfo"}}], "rewrite": {"uri": "/"}, "delegate": to}]}});
    cluster.create(root.clone()).await;
    let load = json!({"name": "load-test", "type": "rollout", "url": receiver.url("/load-test"), "timeout": "5s"});
    let service = json!({"port": 80, "targetPort": 9898, "portDiscovery": true, "delegation": true});
    let analysis = json!({"threshold": 15, "maxWeight": 30, "stepWeight": 10, "webhooks": [load]});
    cluster.create(canary(service, analysis)).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("6.0.1").await;
    cluster.until_primary("6.0.1").await;
    cluster.until_phase("Succeeded").await;
    assert_eq!(cluster.weights(), [0, 10, 20, 30, 0]);
    for routes in cluster.versions("VirtualService", APP) {
        let is_empty = |field: &Value| field.as_array().is_none_or(Vec::is_empty);
        assert!(is_empty(&routes["spec"]["hosts"]) && is_empty(&routes["spec"]["gateways"]), "{routes:#}");
        for to in route_of(&routes, &[])["route"].as_array().expect("destinations") {
            assert_eq!(to["destination"]["port"]["number"], 80, "who comes through a gateway names the port");
        }
    }
    assert_eq!(cluster.read("VirtualService", "root").await["spec"], root["spec"]);
}

/// A cookie keeps each user with the version that answered first, through every step, and is taken back at the end.
pub async fn session_affinity(cluster: &Cluster, _: &Receiver) {
    plant(cluster).await;
    let service = json!({"port": 80, "targetPort": 9898, "hosts": ["*"], "gateways": ["istio-system/ingressgateway"]});
    let analysis = json!({"threshold": 15, "maxWeight": 30, "stepWeight": 10, "sessionAffinity":
        {"cookieName": "canary-flagger-cookie", "primaryCookieName": "primary-flagger-cookie"}});
    cluster.create(canary(service, analysis)).await;
    cluster.until_phase("Initialized").await;
    cluster.set_version("6.0.1").await;
    cluster.until_primary("6.0.1").await;
    cluster.until_phase("Succeeded").await;

    let versions = cluster.versions("VirtualService", APP);
    let steps: Vec<&Value> = versions.iter().map(|routes| &**routes).filter(|routes| share(routes, &[]) > 0).collect();
    let mut shares: Vec<u64> = steps.iter().map(|routes| share(routes, &[])).collect();
    shares.dedup();
    assert_eq!(shares, [10, 20, 30], "of those who are new");
    let first = &cookies(steps[0]);
    assert!(
        first.iter().any(|c| c.starts_with("canary-flagger-cookie=") && c.contains("; Max-Age=86400")),
        "{first:?}"
    );
    assert!(first.iter().any(|c| c.starts_with("primary-flagger-cookie=") && c.contains("; Max-Age=")), "{first:?}");
    for routes in &steps {
        assert_eq!(&cookies(routes), first, "nobody is given another one");
        for cookie in first {
            let value = cookie.split(';').next().unwrap_or_default();
            let expected = if value.starts_with("canary") { 100 } else { 0 };
            let borne = format!("lang=en; {value}; theme=dark");
            assert_eq!(share(routes, &[("Cookie", &borne)]), expected, "{value}");
        }
    }
    let statuses = cluster.versions("Canary", APP);
    let at = |phase: &str| statuses.iter().rfind(|canary| canary["status"]["phase"] == phase).map(|c| &c["status"]);
    let progressing = at("Progressing").expect("it progressed");
    let given = progressing["sessionAffinityCookie"].as_str().expect("a cookie");
    assert!(first.iter().any(|cookie| cookie.starts_with(given)), "{given}");

    let (canary, routes) = (cluster.read("Canary", APP).await, cluster.read("VirtualService", APP).await);
    let previous = canary["status"]["previousSessionAffinityCookie"].as_str().expect("the cookie is on record");
    assert_eq!(previous, given);
    assert!(canary["status"]["sessionAffinityCookie"].as_str().is_none_or(str::is_empty));
    let who_bears_it = route_of(&routes, &[("Cookie", previous)]);
    let taken_back = &who_bears_it["headers"]["response"]["add"]["Set-Cookie"];
    assert_eq!(taken_back, &json!(format!("{previous}; Max-Age=-1")));
    assert_eq!(share(&routes, &[("Cookie", previous)]), 0);
    assert!(route_of(&routes, &[])["headers"].is_null(), "nobody else is told anything");
    assert_eq!(cluster.lost(), 0);
}

/// The cookies that those who are new are given.
fn cookies(routes: &Value) -> Vec<String> {
    let to = route_of(routes, &[])["route"].as_array().map_or(&[][..], Vec::as_slice);
    let given = |to: &Value| to["headers"]["response"]["add"]["Set-Cookie"].as_str().map(str::to_owned);
    let mut cookies: Vec<String> = to.iter().filter_map(given).collect();
    cookies.sort();
    cookies
}
