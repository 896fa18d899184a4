//! What every cluster has: its namespaces, and the Service behind which Prometheus stands.

use serde_json::{Value, json};

use super::serve::PROMETHEUS;
use super::status::ApiError;
use super::store::Store;

/// Puts it into an empty store, with `namespace` for the apps.
pub fn furnish(store: &Store, namespace: &str) -> Result<(), ApiError> {
    let (prometheus_namespace, prometheus, port) = PROMETHEUS;
    for name in ["default", "kube-system", prometheus_namespace, namespace] {
        if store.get("Namespace", None, name).is_none() {
            store.create("Namespace", None, json!({ "metadata": { "name": name } }))?;
        }
    }
    store.create("Service", Some(prometheus_namespace), service(prometheus, port))?;
    Ok(())
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
