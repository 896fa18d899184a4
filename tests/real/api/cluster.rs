//! A cluster to ask, real or ours: raw requests by its kubeconfig, and the answers as they came.

use canary_tui::sandbox::{Options, Sandbox};
use futures::StreamExt;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Nothing that is asked here takes as long.
const LIMIT: Duration = Duration::from_secs(60);

/// What stands behind the answers.
pub struct Cluster {
    client: Client,
    /// Ours lives as long as this; none where it is real.
    sandbox: Option<Sandbox>,
}

/// One request.
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// One answer.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub warnings: Vec<String>,
    /// JSON where it is JSON, a list of events where it was a watch, text elsewhere.
    pub body: Value,
}

impl Cluster {
    /// A sandbox of its own, with a short memory so that old versions are forgotten.
    pub async fn sandbox() -> Self {
        let options = Options { canaries: 1, history: 16, ..Options::default() };
        let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
        let client = client(&sandbox.kubeconfig()).await;
        Self { client, sandbox: Some(sandbox) }
    }

    /// The real one that `CANARY_TUI_CLUSTER` names, with the definitions that it needs.
    pub async fn real() -> Self {
        let folder = std::env::var_os("CANARY_TUI_CLUSTER")
            .map(PathBuf::from)
            .expect("start one with tests/cluster/up DIR and set CANARY_TUI_CLUSTER=DIR");
        let path = folder.join("kubeconfig");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} (is the cluster up?): {error}", path.display()));
        let cluster = Self { client: client(&text).await, sandbox: None };
        cluster.define().await;
        cluster
    }

    /// Whether it is not ours.
    pub fn is_real(&self) -> bool {
        self.sandbox.is_none()
    }

    /// Installs the definitions that the program brings. Others may be doing the same.
    async fn define(&self) {
        let printed = Command::new(env!("CARGO_BIN_EXE_canary-tui"))
            .args(["manifests", "--crds-only"])
            .output()
            .expect("manifests");
        let text = String::from_utf8(printed.stdout).expect("manifests are text");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("manifests are YAML");
        for document in &documents {
            let name = document["metadata"]["name"].as_str().expect("a definition has a name");
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            let applied = self
                .ask(Ask {
                    method: "PATCH",
                    path: format!("{path}?fieldManager=canary-tui-tests&force=true"),
                    headers: vec![("content-type", "application/apply-patch+yaml".into())],
                    body: document.to_string().into(),
                })
                .await;
            assert!(applied.status < 300, "{name}: {}", applied.body);
            self.until(&path, |definition| {
                let conditions = definition["status"]["conditions"].as_array();
                let mut conditions = conditions.into_iter().flatten();
                conditions.any(|one| one["type"] == "Established" && one["status"] == "True")
            })
            .await;
        }
    }

    /// Asks once.
    pub async fn ask(&self, ask: Ask) -> Answer {
        let what = format!("{} {}", ask.method, ask.path);
        tokio::time::timeout(LIMIT, self.ask_for_long(ask)).await.unwrap_or_else(|_| panic!("{what} takes too long"))
    }

    async fn ask_for_long(&self, ask: Ask) -> Answer {
        let mut request = http::Request::builder().method(ask.method).uri(&ask.path);
        if !ask.headers.iter().any(|(name, _)| *name == "user-agent") {
            request = request.header("user-agent", "suite/1");
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(ask.body)).expect("a request");
        let response = self.client.send(request).await.unwrap_or_else(|error| panic!("{}: {error}", ask.path));
        let (head, body) = response.into_parts();
        let header = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut bytes = Vec::new();
        let mut frames = body.into_data_stream();
        while let Some(Ok(frame)) = frames.next().await {
            bytes.extend_from_slice(&frame);
        }
        Answer {
            status: head.status.as_u16(),
            content_type: head.headers.get("content-type").map(header).unwrap_or_default(),
            warnings: head.headers.get_all("warning").iter().map(header).collect(),
            body: value(&bytes),
        }
    }

    /// Asks until the answer is as wanted, and returns it. What never comes ends the test.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let ask = Ask { method: "GET", path: path.to_owned(), headers: Vec::new(), body: Vec::new() };
            let body = self.ask(ask).await.body;
            if wanted(&body) {
                return body;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} never came to what was expected: {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn client(kubeconfig: &str) -> Client {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

/// One document of JSON, or several in a row, or text.
fn value(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(bytes).into_iter().collect();
    documents.map_or_else(|_| json!(String::from_utf8_lossy(bytes)), Value::Array)
}
