//! A namespace on a real control plane, an app with a Canary in it, and the real program beside it.
//!
//! The control plane is the one that `CANARY_TUI_CLUSTER` names: a folder made by `tests/cluster/up FOLDER`. Every test
//! has a namespace of its own, so that they can run side by side.

#![allow(dead_code)] // Each test file uses its own part of this.

pub mod interceptor;
pub mod plane;
pub mod program;
pub mod watched;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use program::Program;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use watched::Watched;

/// The app, its Deployment and its Canary.
pub const APP: &str = "jx-production-myapp";
/// What waits longer than this has failed.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Long enough that whatever happens within a test does not happen because an interval has passed.
pub const NEVER: &str = "1h";
/// Between two checks where a test wants them to follow each other.
pub const SOON: &str = "700ms";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A namespace of the test's own.
pub struct Ground {
    pub client: Client,
    pub namespace: String,
    pub kubeconfig: PathBuf,
    /// Homes of the programs that run, and files for them.
    pub home: tempfile::TempDir,
    pub watched: Watched,
}

/// The control plane's folder.
pub fn cluster() -> PathBuf {
    let why = "no control plane: start one with `tests/cluster/up FOLDER` and set CANARY_TUI_CLUSTER=FOLDER";
    std::env::var_os("CANARY_TUI_CLUSTER").expect(why).into()
}

impl Ground {
    /// A namespace on the shared control plane, with the CRDs installed and nothing else in it.
    pub async fn new(name: &str) -> Self {
        Self::on(&cluster().join("kubeconfig"), name).await
    }

    /// A namespace on another control plane.
    pub async fn on(kubeconfig: &Path, name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(kubeconfig).await;
        install_definitions(&client).await;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{name}-{}-{number}", std::process::id());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let object: Namespace = serde_json::from_value(object).expect("a namespace");
        Api::all(client.clone()).create(&PostParams::default(), &object).await.expect("the namespace is made");
        let home = tempfile::tempdir().expect("a folder");
        let watched = Watched::start(&client, &namespace).await;
        Self { client, namespace, kubeconfig: kubeconfig.to_path_buf(), home, watched }
    }

    /// A namespace with the app in it, initialized and driven.
    pub async fn driven(name: &str, interval: &str) -> (Self, Program) {
        let ground = Self::new(name).await;
        ground.plant(interval).await;
        let controller = ground.controller();
        ground.until_phase("Initialized").await;
        (ground, controller)
    }

    /// Makes the app's Deployment, version 1.0.0, and its Canary.
    pub async fn plant(&self, interval: &str) {
        self.create(target()).await;
        self.create(canary(interval)).await;
    }

    /// Makes an object of any kind in the namespace.
    pub async fn create(&self, object: Value) {
        let said = object.to_string();
        self.try_create(object).await.unwrap_or_else(|e| panic!("{said}: {e}"));
    }

    /// As [`Self::create`], where the API server may refuse.
    pub async fn try_create(&self, mut object: Value) -> kube::Result<DynamicObject> {
        object["metadata"]["namespace"] = json!(self.namespace);
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let version = object["apiVersion"].as_str().expect("a version").to_owned();
        let object = serde_json::from_value(object).expect("an object");
        self.api_of(&version, &kind).create(&PostParams::default(), &object).await
    }

    /// Merges a change into an object.
    pub async fn merge(&self, kind: &str, name: &str, change: Value) {
        let (version, _) = watched::KINDS.iter().find(|(_, k)| *k == kind).expect("a watched kind");
        let patch = Patch::Merge(change);
        self.api_of(version, kind).patch(name, &PatchParams::default(), &patch).await.expect("the change is taken");
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) {
        let (version, _) = watched::KINDS.iter().find(|(_, k)| *k == kind).expect("a watched kind");
        self.api_of(version, kind).delete(name, &DeleteParams::default()).await.expect("it is deleted");
    }

    fn api_of(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &watched::resource(version, kind))
    }

    /// Sets the app's image tag, as `kubectl set image` does.
    pub async fn set_version(&self, tag: &str) {
        let containers = json!([{"name": "app", "image": format!("registry.example.com/myapp:{tag}")}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        self.api_of("apps/v1", "Deployment")
            .patch(APP, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .expect("an image");
    }

    /// The driver of this namespace, without a screen.
    pub fn controller(&self) -> Program {
        self.controller_by(&self.kubeconfig)
    }

    /// As [`Self::controller`], with another way to the API server.
    pub fn controller_by(&self, kubeconfig: &Path) -> Program {
        let metrics = self.watched.metrics_url();
        let arguments = ["controller", "--min-interval", "200ms", "--prometheus", &metrics, "-n", &self.namespace];
        Program::start(&arguments, kubeconfig, self.home.path())
    }

    /// Runs an operator's command on the app: its exit code and all that it says.
    pub async fn ask(&self, verb: &str, further: &[&str]) -> (i32, String) {
        self.ask_by(&self.kubeconfig, verb, further).await
    }

    /// As [`Self::ask`], with another user's kubeconfig.
    pub async fn ask_by(&self, kubeconfig: &Path, verb: &str, further: &[&str]) -> (i32, String) {
        let mut arguments = vec![verb, APP, "-n", &self.namespace];
        if !matches!(verb, "get" | "status" | "events") {
            arguments.push("--yes");
        }
        arguments.extend_from_slice(further);
        program::run(&arguments, kubeconfig, self.home.path()).await
    }

    /// As [`Self::ask`], of what must be carried out.
    pub async fn order(&self, verb: &str, further: &[&str]) -> String {
        let (code, said) = self.ask(verb, further).await;
        assert_eq!(code, 0, "{verb} {further:?}: {said}");
        said
    }

    /// Waits until the objects look so.
    pub async fn until(&self, what: &str, looks: impl Fn(&Watched) -> bool) {
        let mut count = self.watched.count();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !looks(&self.watched) {
                count.changed().await.expect("it is watched");
            }
        });
        if waited.await.is_err() {
            let logs = program::logs(self.home.path());
            panic!(
                "{what}: {:#}\nweights {:?}\n{:#?}\n{logs}",
                self.watched.get("Canary", APP)["status"],
                self.watched.weights(),
                self.watched.messages(APP)
            );
        }
    }

    /// Waits until the app's Canary is in this phase. What was written before that is known then.
    pub async fn until_phase(&self, phase: &str) {
        self.until(&format!("not {phase}"), |w| w.get("Canary", APP)["status"]["phase"] == phase).await;
        let primary = format!("{APP}-primary");
        for (version, kind, name) in [
            ("networking.istio.io/v1", "VirtualService", APP),
            ("apps/v1", "Deployment", APP),
            ("apps/v1", "Deployment", &primary),
        ] {
            if let Some(object) = self.api_of(version, kind).get_opt(name).await.expect("it is read") {
                self.watched.take_in(kind, &object);
            }
        }
    }

    /// Waits until the canary gets its first share of the traffic and the status says so.
    pub async fn until_first_step(&self) {
        self.until("no first step", |w| w.weight() == 10 && w.get("Canary", APP)["status"]["canaryWeight"] == 10).await;
    }
}

/// The kubeconfig of a user of the shared control plane, who may do what RBAC grants to the name and the groups.
pub async fn user(name: &str, groups: &[&str]) -> PathBuf {
    user_of(&cluster(), name, groups).await
}

async fn user_of(cluster: &Path, name: &str, groups: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/user");
    let mut command = tokio::process::Command::new(script);
    let output = command.arg(cluster).arg(name).args(groups).output().await.expect("it starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim_end().into()
}

/// A client of the control plane's administrator, or of another user, whom no rate limit of the client's own holds up.
pub async fn client(kubeconfig: &Path) -> Client {
    let config = Kubeconfig::read_from(kubeconfig).expect("the control plane's kubeconfig");
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("a kubeconfig");
    Client::try_from(config).expect("a client")
}

/// The app's Deployment, version 1.0.0, two pods.
pub fn target() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP, "labels": {"app": APP}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": APP}},
            "template": {
                "metadata": {"labels": {"app": APP}},
                "spec": {"containers": [{
                    "name": "app", "image": "registry.example.com/myapp:1.0.0", "ports": [{"containerPort": 8080}],
                }]},
            },
        },
    })
}

/// The app's Canary: 10, 20, … 50 percent, five failed checks.
pub fn canary(interval: &str) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": APP},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
            "progressDeadlineSeconds": 60,
            "service": {"port": 8080},
            "analysis": {
                "interval": interval, "threshold": 5, "maxWeight": 50, "stepWeight": 10,
                "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "2s"},
                    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "2s"},
                ],
            },
        },
    })
}

/// Installs what `canary-tui manifests --crds-only` prints, where it is not there yet, and waits until it is served.
async fn install_definitions(client: &Client) {
    let printed =
        Command::new(env!("CARGO_BIN_EXE_canary-tui")).args(["manifests", "--crds-only"]).output().expect("it runs");
    let printed = String::from_utf8(printed.stdout).expect("text");
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for document in printed.split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).expect("the manifests are YAML");
        let definition = CustomResourceDefinition::deserialize(&object).expect("a definition");
        let name = definition.metadata.name.clone().expect("a name");
        match api.create(&PostParams::default(), &definition).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {} // Another test was first.
            made => drop(made.expect("the definition is made")),
        }
        let served = kube::runtime::conditions::is_crd_established();
        let waiting = kube::runtime::wait::await_condition(api.clone(), &name, served);
        tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("the definition is served");
    }
}
