//! What every cluster has: its namespaces, the node that the pods run on, and the Service behind which Prometheus
//! stands.

use serde_json::{Value, json};

use super::serve::PROMETHEUS;
use super::status::ApiError;
use super::store::{Store, timestamp};
use super::workloads::{NODE, NODE_ADDRESS};

/// Puts it into an empty store, with `namespace` for the apps.
pub fn furnish(store: &Store, namespace: &str) -> Result<(), ApiError> {
    for name in ["default", "kube-system", namespace] {
        name_space(store, name)?;
    }
    install_prometheus(store, PROMETHEUS.0)?;
    store.create("Node", None, node(&timestamp(store.now())))?;
    Ok(())
}

/// Puts the Service behind which Prometheus stands into a namespace, which is made where it is not there.
pub fn install_prometheus(store: &Store, namespace: &str) -> Result<(), ApiError> {
    let (_, prometheus, port) = PROMETHEUS;
    name_space(store, namespace)?;
    store.create("Service", Some(namespace), service(prometheus, port)).map(|_| ())
}

fn name_space(store: &Store, name: &str) -> Result<(), ApiError> {
    if store.get("Namespace", None, name).is_none() {
        store.create("Namespace", None, json!({ "metadata": { "name": name } }))?;
    }
    Ok(())
}

fn node(since: &str) -> Value {
    let amounts = json!({ "cpu": "8", "memory": "16Gi", "pods": "1000" });
    json!({
        "metadata": { "name": NODE, "labels": { "kubernetes.io/hostname": NODE } },
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "addresses": [
                { "type": "InternalIP", "address": NODE_ADDRESS },
                { "type": "Hostname", "address": NODE },
            ],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the node runs pods",
                "lastHeartbeatTime": since, "lastTransitionTime": since,
            }],
            "nodeInfo": {
                "architecture": std::env::consts::ARCH, "operatingSystem": std::env::consts::OS,
                "kubeletVersion": super::server::KUBERNETES, "kubeProxyVersion": super::server::KUBERNETES,
                "containerRuntimeVersion": "sandbox://1", "osImage": "sandbox", "kernelVersion": "0",
                "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}

fn service(name: &str, port: u16) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "selector": { "app": name },
            "ports": [{ "name": "http", "port": port, "targetPort": port }],
        },
    })
}
