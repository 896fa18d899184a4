//! The commands, as the real binary, against a sandbox in this process: what they print, how they end.

use canary_tui::cluster::events::outcome_name;
use canary_tui::cluster::vouching::{self, Names};
use canary_tui::cluster::{Connection, ConnectionOptions};
use canary_tui::sandbox::{Options, Sandbox, Store, base};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const NAMESPACE: &str = "prod";

/// A cluster with one Canary `web`, and a kubeconfig that leads to it.
struct Cluster {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
struct End {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Cluster {
    async fn with(phase: &str, applied: &str) -> Self {
        let options = Options { namespace: NAMESPACE.into(), ..Default::default() };
        // A store alone: no workload runs, and what is put there stays as it is.
        let store = Store::new(options.clock.clone());
        base::furnish(&store, NAMESPACE).unwrap();
        let sandbox = Sandbox::start_over(&options, store, axum::Router::new()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cluster = Self { sandbox, folder };
        cluster.sandbox.write_kubeconfig(&cluster.kubeconfig()).unwrap();
        cluster.deployment("web", "1.1.0", "present");
        cluster.deployment("web-primary", "1.0.0", "promoted");
        cluster.create(
            "Canary",
            json!({
                "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web", "namespace": NAMESPACE},
                "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    "service": {"port": 80}, "progressDeadlineSeconds": 60,
                    "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 30}},
            }),
        );
        cluster.status(phase, applied);
        cluster
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn create(&self, kind: &str, object: Value) -> Value {
        (*self.sandbox.store().create(kind, Some(NAMESPACE), object).unwrap()).clone()
    }

    fn deployment(&self, name: &str, tag: &str, revision: &str) {
        let labels = json!({"app": name});
        let template = json!({"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": format!("registry:5000/web:{tag}")}]}});
        let made = self.create(
            "Deployment",
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "namespace": NAMESPACE,
                    "annotations": {"deployment.kubernetes.io/revision": "1"}},
                "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
            }),
        );
        self.create(
            "ReplicaSet",
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": format!("{name}-{revision}"), "namespace": NAMESPACE,
                    "annotations": {"deployment.kubernetes.io/revision": "1"},
                    "labels": {"app": name, "pod-template-hash": revision},
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name,
                        "uid": made["metadata"]["uid"], "controller": true}]},
                "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
            }),
        );
        let seen = |object: &mut Value| object["status"] = json!({"observedGeneration": 1, "replicas": 2});
        self.sandbox.store().modify_status("Deployment", Some(NAMESPACE), name, seen).unwrap();
    }

    fn status(&self, phase: &str, applied: &str) {
        let status = json!({"phase": phase, "canaryWeight": 10, "failedChecks": 2, "iterations": 0,
            "lastAppliedSpec": applied, "lastPromotedSpec": "promoted"});
        let write = |object: &mut Value| object["status"] = status;
        self.sandbox.store().modify_status("Canary", Some(NAMESPACE), "web", write).unwrap();
    }

    /// A driver that holds the lease and ends every request in the same way.
    fn driver(&self, reason: &'static str) {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        self.create(
            "Lease",
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "canary-tui", "namespace": NAMESPACE},
                "spec": {"holderIdentity": "me@here (1)", "leaseDurationSeconds": 3600, "renewTime": now}}),
        );
        let store = self.sandbox.store().clone();
        let mut changes = store.subscribe();
        self.sandbox.keep(tokio::spawn(async move {
            while let Ok(change) = changes.recv().await {
                let Some(canary) = store.get("Canary", Some(NAMESPACE), "web") else { continue };
                let Some(text) = canary["metadata"]["annotations"]["canary-tui/request"].as_str() else { continue };
                let request: Value = serde_json::from_str(text).unwrap();
                let uid = canary["metadata"]["uid"].as_str().unwrap();
                let name = outcome_name("web", uid, request["id"].as_str().unwrap());
                if store.get("Event", Some(NAMESPACE), &name).is_some() {
                    continue;
                }
                let image = request["image"].as_str().unwrap_or("-");
                let message =
                    format!("{} of {} by {} image {image}", request["verb"], request["revision"], request["by"]);
                let event = json!({"apiVersion": "v1", "kind": "Event", "reason": reason, "message": message,
                    "type": "Normal", "metadata": {"name": name, "namespace": NAMESPACE},
                    "involvedObject": {"kind": "Canary", "name": "web", "namespace": NAMESPACE, "uid": uid}});
                store.create("Event", Some(NAMESPACE), event).unwrap();
                drop(change);
            }
        }));
    }

    fn event(&self, name: &str, message: &str) {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        self.create(
            "Event",
            json!({"apiVersion": "v1", "kind": "Event", "reason": "Synced", "message": message, "type": "Warning",
                "metadata": {"name": name, "namespace": NAMESPACE}, "count": 2, "firstTimestamp": now,
                "lastTimestamp": now, "involvedObject": {"kind": "Canary", "name": "web", "namespace": NAMESPACE}}),
        );
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
        command
            .args(line.split(' '))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .env("XDG_STATE_HOME", self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, line: &str) -> End {
        end_of(self.command(line)).await
    }
}

async fn end_of(mut command: Command) -> End {
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    End { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The binary without a cluster.
async fn alone(line: &str) -> End {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    command.args(line.split(' ')).env("XDG_STATE_HOME", folder.path()).env("HOME", folder.path());
    command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST").stdin(Stdio::null());
    end_of(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn get_prints_a_table_or_the_objects_as_the_api_has_them() {
    let cluster = Cluster::with("Progressing", "present").await;
    let table = cluster.run("get").await;
    assert_eq!(table.code, Some(0), "{table:?}");
    let cells: Vec<&str> = table.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[..6], ["web", "Progressing", "10%", "2/5", "1.0.0", "1.1.0"]);

    let json = cluster.run("get web -o json").await;
    let object: Value = serde_json::from_str(&json.out).unwrap();
    let stored = cluster.sandbox.store().get("Canary", Some(NAMESPACE), "web").unwrap();
    assert_eq!(object, *stored);
    let yaml = cluster.run("get -o yaml").await;
    let list: Value = serde_saphyr::from_str(&yaml.out).unwrap();
    assert_eq!((list["kind"].as_str(), &list["items"][0]), (Some("List"), &*stored));

    let missing = cluster.run("get nobody").await;
    assert_eq!((missing.code, missing.out.as_str()), (Some(2), ""));
    assert!(missing.err.starts_with("canary-tui: there is no canary nobody in namespace prod"), "{missing:?}");
    let empty = cluster.run("get -n elsewhere").await;
    assert_eq!(empty.code, Some(0));
    assert!(empty.err.contains("there are no canaries in namespace elsewhere"), "{empty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_speaks_of_the_present_revision_in_its_exit_code() {
    let cluster = Cluster::with("Progressing", "present").await;
    for (phase, applied, code) in [
        ("Initialized", "present", 0),
        ("Succeeded", "present", 0),
        ("Failed", "present", 1),
        ("Progressing", "present", 4),
        ("Succeeded", "yesterday", 4),
    ] {
        cluster.status(phase, applied);
        let end = cluster.run("status web").await;
        assert_eq!(end.code, Some(code), "{phase} {applied}: {end:?}");
        assert!(end.out.starts_with("web: ") && end.out.contains("revision present"), "{end:?}");
    }
    let other = cluster.run("status web --revision other").await;
    assert_eq!(other.code, Some(2), "{other:?}");
    cluster.status("Progressing", "present");
    let late = cluster.run("status web --wait --timeout 300ms").await;
    assert_eq!(late.code, Some(3), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_waits_ends_with_the_rollout() {
    let cluster = Cluster::with("Progressing", "present").await;
    let mut child = cluster
        .command("status web --wait --timeout 60s")
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It warns that nobody drives: from then on it watches.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let warning = lines.next_line().await.unwrap().unwrap();
    assert!(warning.contains("nobody drives prod"), "{warning}");
    cluster.status("Failed", "present");
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_carried_out_or_refused_by_the_driver() {
    let cluster = Cluster::with("Progressing", "present").await;
    cluster.driver("RequestCarriedOut");
    let done = cluster.run("pause web --yes --reason because").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.out, "\"pause\" of \"present\" by \"sandbox-operator\" image -\n");

    let refusing = Cluster::with("Succeeded", "present").await;
    refusing.driver("RequestRefused");
    let refused = refusing.run("start web --version 1.2.0 --yes").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.out.contains("image registry:5000/web:1.2.0"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_ends_once_the_canary_is_gone() {
    let cluster = Cluster::with("Succeeded", "present").await;
    cluster.driver("RequestCarriedOut");
    let mut child = cluster.command("release web --yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "\"release\" of \"present\" by \"sandbox-operator\" image -");
    assert_eq!(child.try_wait().unwrap(), None, "the canary is still there");
    cluster.sandbox.store().delete("Canary", Some(NAMESPACE), "web", &Default::default()).unwrap();
    let end = "canary web is deleted, and its traffic is back on Deployment web";
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(end));
    assert_eq!(child.wait().await.unwrap().code(), Some(0));

    let under_way = Cluster::with("Progressing", "present").await;
    let refused = under_way.run("release web --yes").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.out.contains("a rollout is under way: wait for its end, or abort it"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_without_leave_or_without_a_driver() {
    let cluster = Cluster::with("Progressing", "present").await;
    let unasked = cluster.run("abort web").await;
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    let nobody = cluster.run("abort web --yes").await;
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(nobody.err.contains("canary-tui controller -n prod"), "{nobody:?}");
    let pointless = cluster.run("resume web --yes").await;
    assert_eq!(
        (pointless.code, pointless.out.as_str()),
        (Some(1), "refused: resume of web: it is not paused\n"),
        "{pointless:?}"
    );
    let canary = cluster.sandbox.store().get("Canary", Some(NAMESPACE), "web").unwrap();
    assert_eq!(canary["metadata"]["annotations"]["canary-tui/request"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_harmless_lines_and_come_as_they_happen() {
    let cluster = Cluster::with("Progressing", "present").await;
    let none = cluster.run("events web").await;
    assert!(none.err.contains("there are no events on canary web"), "{none:?}");
    cluster.event("first", "evil \u{1b}[2J\nline");
    let list = cluster.run("events web").await;
    assert!(list.out.lines().nth(1).unwrap().ends_with("web      evil \\u{1b}[2J\\nline (x2)"), "{list:?}");

    let mut child: Child = cluster.command("events --watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("LAST SEEN"));
    assert!(lines.next_line().await.unwrap().unwrap().contains("evil"));
    cluster.event("second", "Advance web.prod canary weight 20");
    assert!(lines.next_line().await.unwrap().unwrap().contains("canary weight 20"));
    // The reader leaves; the next event finds the pipe broken, which is no error.
    drop(lines);
    cluster.event("third", "x");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_one_line_that_says_what_to_do() {
    let cluster = Cluster::with("Progressing", "present").await;
    let context = cluster.run("get --context elsewhere").await;
    assert_eq!(context.code, Some(2));
    assert!(
        context.err.contains("there is no context \"elsewhere\"") && context.err.contains("sandbox"),
        "{context:?}"
    );
    cluster.sandbox.stop_serving();
    let down = cluster.run("get").await;
    assert_eq!((down.code, down.err.lines().count()), (Some(2), 1), "{down:?}");
    assert!(down.err.contains("onnection refused"), "{down:?}");

    let nothing = alone("get").await;
    assert_eq!((nothing.code, nothing.err.lines().count()), (Some(2), 1), "{nothing:?}");
    assert!(nothing.err.contains("--kubeconfig"), "{nothing:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let refused = alone(&format!("controller --listen {address}")).await;
    assert_eq!((refused.code, refused.err.lines().count()), (Some(2), 1), "{refused:?}");
    assert!(refused.err.contains(&format!("cannot listen on {address}: give --listen another")), "{refused:?}");
    let nonsense = alone("controller --listen nowhere").await;
    assert_eq!(nonsense.code, Some(2));
    assert!(nonsense.err.contains("write it like 127.0.0.1:8080"), "{nonsense:?}");

    let unknown = alone("get --frobnicate").await;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("--frobnicate"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_forbids_is_said_in_its_own_words() {
    let cluster = Cluster::with("Progressing", "present").await;
    cluster.sandbox.deny(Some(std::sync::Arc::new(|attributes| attributes.resource == "canaries")));
    for line in ["get", "status web", "pause web --yes"] {
        let end = cluster.run(line).await;
        assert_eq!((end.code, end.err.lines().count()), (Some(2), 1), "{line}: {end:?}");
        assert!(end.err.contains("forbidden"), "{line}: {end:?}");
    }
    let everywhere = cluster.run("controller -A").await;
    assert_eq!((everywhere.code, everywhere.err.lines().count()), (Some(2), 1), "{everywhere:?}");
    let why = "you may not list canaries.flagger.app in all namespaces, which controller -A must";
    assert!(everywhere.err.contains(why) && everywhere.err.contains("-n NAMESPACE"), "{everywhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_all_namespaces_says_which_it_drives() {
    let cluster = Cluster::with("Initialized", "present").await;
    let mut driver =
        cluster.command("controller --all-namespaces").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(driver.stdout.take().unwrap()).lines();
    let mut next = async || said.next_line().await.unwrap().expect("it goes on");
    assert_eq!(next().await, "driving the rollouts of all namespaces");
    while next().await != "driving the rollouts of prod" {}
    cluster.sandbox.store().delete("Canary", Some(NAMESPACE), "web", &Default::default()).unwrap();
    while next().await != "no canary is left in prod" {}
    let pid = rustix::process::Pid::from_raw(i32::try_from(driver.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(driver.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_says_when_it_is_ready_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let mut child = Command::new(env!("CARGO_BIN_EXE_canary-tui"))
        .arg("sandbox")
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .env("XDG_STATE_HOME", folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("sandbox ready: "));
    let mut get = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    get.arg("get").arg("--kubeconfig").arg(&kubeconfig).env("XDG_STATE_HOME", folder.path());
    assert_eq!(end_of(get).await.code, Some(0));
    let options = ConnectionOptions { kubeconfig: Some(kubeconfig.clone()), ..Default::default() };
    let connection = Connection::open(&options).await.unwrap();
    let names = vouching::names(&connection.client, &connection.namespace).await;
    assert_eq!(names, Names::Checked, "it is furnished as `canary-tui manifests` would have it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

/// Everything for real: the sandbox's apps, the driver as a process of its own, and the commands of a pipeline.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_starts_a_version_and_waits_for_its_end() {
    let options = Options {
        canaries: 1,
        interval: Duration::from_millis(400),
        ready_after: Duration::from_millis(50),
        scrape: Duration::from_millis(100),
        ..Default::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let cluster = Cluster { sandbox, folder: tempfile::tempdir().unwrap() };
    cluster.sandbox.write_kubeconfig(&cluster.kubeconfig()).unwrap();
    let mut driver = cluster
        .command("controller --min-interval 100ms --listen 127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(driver.stdout.take().unwrap()).lines();
    let serving = said.next_line().await.unwrap().expect("where it serves");
    let address = serving.strip_prefix("serving /metrics, /healthz and /readyz on ").expect(&serving).to_string();
    while said.next_line().await.unwrap().expect("it drives") != "driving the rollouts of jx-production" {}

    let app = "jx-production-myapp";
    let at_rest = cluster.run(&format!("status {app} --wait --timeout 30s")).await;
    assert_eq!(at_rest.code, Some(0), "{at_rest:?}");
    let started = cluster.run(&format!("start {app} --version 1.1.0 --yes --reason release")).await;
    assert_eq!(started.code, Some(0), "{started:?}");
    assert!(started.out.contains("by sandbox-operator (release) carried out"), "{started:?}");
    let ended = cluster.run(&format!("status {app} --wait --timeout 60s")).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("Succeeded") && ended.out.contains("version 1.1.0"), "{ended:?}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let series = client.get(format!("{address}/metrics")).send().await.unwrap();
    assert_eq!(series.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let series = series.text().await.unwrap();
    let weight = format!("flagger_canary_weight{{workload=\"{app}-primary\",namespace=\"jx-production\"}} 100\n");
    assert!(series.contains(&weight), "{series}");
    let events = cluster.run(&format!("events {app}")).await;
    assert!(events.out.contains(&format!("Advance {app}.jx-production canary weight 50")), "{events:?}");

    // A driver that is told to end gives its lease back: the next request finds nobody, at once.
    let pid = rustix::process::Pid::from_raw(i32::try_from(driver.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(driver.wait().await.unwrap().code(), Some(0));
    let nobody = cluster.run(&format!("start {app} --version 1.2.0 --yes")).await;
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_needs_a_terminal() {
    let cluster = Cluster::with("Progressing", "present").await;
    let end = cluster.run("--no-controller").await;
    assert_eq!((end.code, end.out.as_str(), end.err.lines().count()), (Some(2), "", 1), "{end:?}");
    assert!(end.err.contains("terminal"), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_are_the_definitions_and_what_drives_them() {
    let read = |end: End| -> Vec<Value> { serde_saphyr::from_multiple(&end.out).unwrap() };
    assert_eq!(read(alone("manifests --crds-only").await), canary_tui::api::crds::all());
    let all = read(alone("manifests --image reg.example.com/canary-tui:1").await);
    assert_eq!(all[..3], canary_tui::api::crds::all());
    assert_eq!(
        all.last().unwrap()["spec"]["template"]["spec"]["containers"][0]["image"],
        "reg.example.com/canary-tui:1"
    );
    let refused = alone("manifests --prometheus ftp://x").await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
}
