//! Prometheus behind the API server's service proxy, found there by the product itself.
//!
//! The API server connects to no loopback address of an endpoint, and nothing of a test may listen on any other. So the
//! test runs its control plane, and itself, in a network namespace of its own, where an address for documentation
//! (RFC 5737) stands on the loopback device. Where no such namespace can be had, this test is counted as ignored.

mod ground;

use ground::plane::ControlPlane;
use ground::{APP, Ground, SOON};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use std::process::{Command, Stdio};

/// Set inside the namespace.
const INSIDE: &str = "CANARY_TUI_TEST_NAMESPACE";
const ADDRESS: &str = "192.0.2.1";

#[test]
#[cfg_attr(not(all(go, network_namespace)), ignore = "Go or network namespaces are not to be had")]
fn prometheus_is_found_and_asked_through_the_api_server() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.expect("a runtime").block_on(inside());
    }
    let itself = std::env::current_exe().expect("its own path");
    let prepare = format!("ip link set lo up && ip address add {ADDRESS}/32 dev lo && exec \"$0\" \"$@\"");
    let ended = Command::new("unshare")
        .args(["--net", "sh", "-c", &prepare])
        .arg(itself)
        .args(["--exact", "prometheus_is_found_and_asked_through_the_api_server", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output();
    let ended = ended.expect("unshare runs");
    // Not printed where it passes: its result is not another one.
    let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(ended.status.success(), "it fails inside:\n{}", said.replace("test result:", "inside:"));
}

async fn inside() {
    let plane = ControlPlane::start().await;
    let ground = Ground::on(&plane.kubeconfig(), "proxy").await;
    let listener = tokio::net::TcpListener::bind((ADDRESS, 0)).await.expect("an address of this namespace");
    let port = listener.local_addr().expect("its port").port();
    let router = ground.watched.prometheus();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let loopback = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "loopback"}, "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"port": port}],
    });
    let refused = ground.try_create(loopback).await.expect_err("a loopback address is taken").to_string();
    assert!(refused.contains("may not be in the loopback range"), "{refused}");
    let container = json!({"name": "prometheus", "image": "registry.example.com/prometheus:2.42.0"});
    ground
        .create(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prometheus", "labels": {"app": "prometheus"}},
            "spec": {"containers": [container]},
        }))
        .await;
    ground
        .create(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "prometheus"},
            "spec": {"selector": {"app": "prometheus"}, "ports": [{"name": "http", "port": 9090, "targetPort": port}]},
        }))
        .await;
    ground.until("its pod runs", |w| w.get("Pod", "prometheus")["status"]["phase"] == "Running").await;
    // The API server connects to pods alone, so a pod has the address.
    let pods = Api::<Pod>::namespaced(ground.client.clone(), &ground.namespace);
    let address = json!({"status": {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}});
    pods.patch_status("prometheus", &PatchParams::default(), &Patch::Merge(address)).await.expect("an address");
    ground.plant(SOON).await;
    // No --prometheus: it looks for it.
    let arguments = ["controller", "--min-interval", "200ms", "-n", &ground.namespace];
    let _controller = ground::program::Program::start(&arguments, &ground.kubeconfig, ground.home.path());
    ground.until_phase("Initialized").await;
    ground.set_version("1.1.0").await;
    ground.until_phase("Succeeded").await;
    assert_eq!(ground.watched.weights(), [0, 10, 20, 30, 40, 50, 0]);
    ground.set_version("5xx").await;
    ground.until_phase("Failed").await;
    ground.until("why", |w| w.messages(APP).iter().any(|m| m.contains("advancement success rate"))).await;
}
