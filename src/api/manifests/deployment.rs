//! The controller in a pod, and its account.

use super::{Document, NAME, Options, labels};
use serde_json::{Value, json};

const PORT: u16 = 8080;
/// A user that no image of ours needs to know.
const USER: u32 = 65_532;

/// Whom the controller is to the API server.
pub(super) fn account(options: &Options) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": options.system(), "labels": labels()},
    })
}

/// The command line of the controller in its pod, without the program's name.
pub(super) fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec!["controller".to_string()];
    match &options.namespaced {
        Some(namespace) => arguments.extend(["-n".into(), namespace.clone()]),
        None => arguments.push("-A".into()),
    }
    arguments.extend(["--listen".into(), format!("0.0.0.0:{PORT}")]);
    if let Some(url) = &options.prometheus {
        arguments.extend(["--prometheus".into(), url.clone()]);
    }
    arguments
}

/// One pod. A second one would wait for the leases of the first.
pub(super) fn deployment(options: &Options) -> Document {
    let image = options.image.clone().unwrap_or_else(|| format!("{NAME}:{}", env!("CARGO_PKG_VERSION")));
    let probe =
        |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 5});
    let container = json!({
        "name": NAME,
        "image": image,
        "args": arguments(options),
        // The first part of its name as a driver; the second is the pod's.
        "env": [{"name": "USER", "value": NAME}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        // No limit of the processor: a lease must be renewed in time.
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": options.system(), "labels": labels()},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels()},
            "template": {
                "metadata": {
                    "labels": labels(),
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": PORT.to_string()},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                },
            },
        },
    });
    let mut comment =
        vec!["No public image is promised: build one whose entry point is canary-tui, and name it with --image."];
    if options.namespaced.is_some() && options.prometheus.is_none() {
        comment.push("Prometheus is looked for where this account may list Services; else name it with --prometheus.");
    }
    Document { comment, object }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_drives_what_it_may() {
        assert_eq!(arguments(&Options::default()), ["controller", "-A", "--listen", "0.0.0.0:8080"]);
        let url = "http://prometheus.istio-system:9090";
        let options = Options {
            namespaced: Some("prod".into()),
            prometheus: Some(url.into()),
            image: Some("reg.example.com/canary-tui:1".into()),
            ..Options::default()
        };
        let expected = ["controller", "-n", "prod", "--listen", "0.0.0.0:8080", "--prometheus", url];
        assert_eq!(arguments(&options), expected);
        let container = deployment(&options).object["spec"]["template"]["spec"]["containers"][0].clone();
        assert_eq!(container["image"], "reg.example.com/canary-tui:1");
        assert_eq!(container["args"], json!(expected));
    }
}
