//! The sandbox as kubectl sees it: the real kubectl, over HTTPS, with the kubeconfig that the sandbox writes.
//! Where kubectl is not installed, these tests are counted as ignored.

use canary_tui::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const NAMESPACE: &str = "jx-production";
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/canary.yaml");

struct Cluster {
    sandbox: Sandbox,
    home: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// A running sandbox.
fn cluster() -> Cluster {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = runtime.block_on(Sandbox::start(Options { canaries: 0, ..Options::default() })).unwrap();
    let home = tempfile::tempdir().unwrap();
    sandbox.write_kubeconfig(&home.path().join("config")).unwrap();
    Cluster { sandbox, home, _runtime: runtime }
}

impl Cluster {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).env("HOME", self.home.path()).env("KUBECONFIG", self.home.path().join("config"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--request-timeout=20s").output().unwrap()
    }

    /// What kubectl prints; it must succeed.
    fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?} failed\n{out}\n{err}");
        out.into_owned()
    }

    /// What kubectl says when it fails; it must fail.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "kubectl {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn file(&self, name: &str, objects: &[Value]) -> String {
        let path: PathBuf = self.home.path().join(name);
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        std::fs::write(&path, list.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn object(&self, kind: &str, name: &str) -> Value {
        let found = self.sandbox.store().get(kind, Some(NAMESPACE), name);
        (*found.unwrap_or_else(|| panic!("{kind} {name} is not there"))).clone()
    }
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "jx-production-myapp" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "jx-production-myapp" } },
            "template": {
                "metadata": { "labels": { "app": "jx-production-myapp" } },
                "spec": { "containers": [{
                    "name": "myapp", "image": image,
                    "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                }] },
            },
        },
    })
}

/// The columns of each line that kubectl printed.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn the_chart_is_applied_as_it_is() {
    let cluster = cluster();
    assert_eq!(cluster.kubectl(&["apply", "-f", CHART]), "canary.flagger.app/jx-production-myapp created\n");
    assert_eq!(cluster.kubectl(&["apply", "-f", CHART]), "canary.flagger.app/jx-production-myapp unchanged\n");
    let canary = cluster.object("Canary", "jx-production-myapp");
    assert_eq!(canary["spec"]["canaryAnalysis"]["stepWeight"], 10);
    assert_eq!(canary["metadata"]["managedFields"][0]["manager"], "kubectl-client-side-apply");
    assert_eq!(canary["metadata"]["managedFields"][0]["apiVersion"], "flagger.app/v1alpha2");
    let read = cluster.kubectl(&["get", "canaries.v1alpha3.flagger.app", "jx-production-myapp", "-o", "json"]);
    let read: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read["apiVersion"], "flagger.app/v1alpha3");
    assert_eq!(read["spec"], canary["spec"]);
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn canaries_are_shown_as_a_table() {
    let cluster = cluster();
    cluster.kubectl(&["apply", "-f", CHART]);
    let store = cluster.sandbox.store();
    store
        .modify_status("Canary", Some(NAMESPACE), "jx-production-myapp", |canary| {
            canary["status"] = json!({
                "phase": "Progressing", "canaryWeight": 30, "failedChecks": 0, "iterations": 0,
                "lastTransitionTime": "2026-11-22T12:00:00Z",
            });
        })
        .unwrap();
    let text = cluster.kubectl(&["get", "canaries"]);
    let shown = rows(&text);
    assert_eq!(shown[0], ["NAME", "STATUS", "WEIGHT", "LASTTRANSITIONTIME"]);
    assert_eq!(shown[1], ["jx-production-myapp", "Progressing", "30", "2026-11-22T12:00:00Z"]);
    let wide = cluster.kubectl(&["get", "canaries", "-o", "wide"]);
    assert!(wide.starts_with("NAME"), "{wide}");
    let all = cluster.kubectl(&["get", "all"]);
    assert!(all.contains("canary.flagger.app/jx-production-myapp"), "{all}");
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn a_canary_is_described_with_its_events() {
    let cluster = cluster();
    cluster.kubectl(&["apply", "-f", CHART]);
    let canary = cluster.object("Canary", "jx-production-myapp");
    cluster.sandbox.store().create("Event", Some(NAMESPACE), event(&canary, "one", "Initialization done!")).unwrap();
    let text = cluster.kubectl(&["describe", "canary", "jx-production-myapp"]);
    for part in ["Step Weight:", "Events:", "Synced", "Initialization done!"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

fn event(canary: &Value, name: &str, message: &str) -> Value {
    json!({
        "metadata": { "name": format!("jx-production-myapp.{name}") },
        "involvedObject": {
            "kind": "Canary", "apiVersion": "flagger.app/v1beta1", "namespace": NAMESPACE,
            "name": "jx-production-myapp", "uid": canary["metadata"]["uid"],
        },
        "reason": "Synced", "type": "Normal", "message": message, "count": 1,
        "source": { "component": "flagger" },
        "firstTimestamp": canary["metadata"]["creationTimestamp"],
        "lastTimestamp": canary["metadata"]["creationTimestamp"],
    })
}

/// A kubectl that goes on by itself, and its lines as they come.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(20)).expect("kubectl printed no further line in 20 s")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn events_of_canaries_are_watched() {
    let cluster = cluster();
    cluster.kubectl(&["apply", "-f", CHART]);
    let canary = cluster.object("Canary", "jx-production-myapp");
    let store = cluster.sandbox.store();
    store.create("Event", Some(NAMESPACE), event(&canary, "one", "New revision detected!")).unwrap();
    let watching = Running::start(cluster.command(&[
        "get",
        "events",
        "--watch",
        "--field-selector",
        "involvedObject.kind=Canary",
    ]));
    assert_eq!(watching.line().split_whitespace().next(), Some("LAST"));
    assert!(watching.line().ends_with("New revision detected!"));
    // An event of something else is not shown.
    let mut other = event(&canary, "other", "Scaled up");
    other["involvedObject"]["kind"] = json!("Deployment");
    store.create("Event", Some(NAMESPACE), other).unwrap();
    let text = "Advance jx-production-myapp.jx-production canary weight 10";
    store.create("Event", Some(NAMESPACE), event(&canary, "two", text)).unwrap();
    let line = watching.line();
    assert!(line.ends_with(text), "{line}");
    assert!(line.contains("Normal") && line.contains("canary/jx-production-myapp"), "{line}");
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn a_deployment_is_applied_changed_and_scaled() {
    let cluster = cluster();
    let file = cluster.file("a.json", &[deployment("gcr.io/jx/myapp:1.0.0")]);
    assert_eq!(cluster.kubectl(&["apply", "-f", &file]), "deployment.apps/jx-production-myapp created\n");
    assert_eq!(cluster.kubectl(&["apply", "-f", &file]), "deployment.apps/jx-production-myapp unchanged\n");
    // What is no longer applied goes, what is new comes, what another set stays.
    cluster.kubectl(&["set", "env", "deploy/jx-production-myapp", "C=3"]);
    let mut changed = deployment("gcr.io/jx/myapp:1.0.0");
    changed["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "9" }]);
    let file = cluster.file("b.json", &[changed]);
    cluster.kubectl(&["apply", "-f", &file]);
    let spec = |cluster: &Cluster| cluster.object("Deployment", "jx-production-myapp")["spec"].clone();
    assert_eq!(
        spec(&cluster)["template"]["spec"]["containers"][0]["env"],
        json!([{ "name": "A", "value": "9" }, { "name": "C", "value": "3" }])
    );
    let text = cluster.kubectl(&["set", "image", "deploy/jx-production-myapp", "myapp=gcr.io/jx/myapp:1.1.0"]);
    assert_eq!(text, "deployment.apps/jx-production-myapp image updated\n");
    cluster.kubectl(&["scale", "deploy/jx-production-myapp", "--replicas=4"]);
    let after = spec(&cluster);
    assert_eq!(after["template"]["spec"]["containers"][0]["image"], "gcr.io/jx/myapp:1.1.0");
    assert_eq!(after["replicas"], 4);
    let text = cluster.kubectl(&["get", "deploy", "-o", "wide"]);
    let shown = rows(&text);
    assert_eq!(shown[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]);
    assert_eq!(shown[1][6], "gcr.io/jx/myapp:1.1.0");
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn routes_are_read_and_patched() {
    let cluster = cluster();
    let route = json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
        "metadata": { "name": "jx-production-myapp" },
        "spec": {
            "hosts": ["myapp.example.com"], "gateways": ["mesh"],
            "http": [{ "route": [
                { "destination": { "host": "jx-production-myapp-primary" }, "weight": 70 },
                { "destination": { "host": "jx-production-myapp-canary" }, "weight": 30 },
            ] }],
        },
    });
    let file = cluster.file("route.json", &[route]);
    cluster.kubectl(&["apply", "-f", &file]);
    let text = cluster.kubectl(&["get", "virtualservice", "jx-production-myapp", "-o", "yaml"]);
    assert!(text.contains("weight: 30") && text.contains("kind: VirtualService"), "{text}");
    let patch = r#"[{"op":"replace","path":"/spec/http/0/route/1/weight","value":0}]"#;
    cluster.kubectl(&["patch", "vs", "jx-production-myapp", "--type", "json", "-p", patch]);
    let route = cluster.object("VirtualService", "jx-production-myapp");
    assert_eq!(route["spec"]["http"][0]["route"][1]["weight"], 0);
    assert_eq!(route["metadata"]["generation"], 2);
    let text = cluster.kubectl(&["get", "vs"]);
    assert_eq!(rows(&text)[0], ["NAME", "GATEWAYS", "HOSTS", "AGE"]);
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn deleting_a_canary_takes_what_it_owns() {
    let cluster = cluster();
    cluster.kubectl(&["apply", "-f", CHART]);
    let canary = cluster.object("Canary", "jx-production-myapp");
    let mut owned = deployment("gcr.io/jx/myapp:1.0.0");
    owned["metadata"]["name"] = json!("jx-production-myapp-primary");
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "jx-production-myapp",
        "uid": canary["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }]);
    let store = cluster.sandbox.store();
    store.create("Deployment", Some(NAMESPACE), owned).unwrap();
    store.create("Deployment", Some(NAMESPACE), deployment("gcr.io/jx/myapp:1.0.0")).unwrap();
    for cascade in ["background", "foreground"] {
        if cascade == "foreground" {
            cluster.kubectl(&["apply", "-f", CHART]);
        }
        let cascade = format!("--cascade={cascade}");
        let text = cluster.kubectl(&["delete", "canary", "jx-production-myapp", &cascade]);
        assert!(text.contains("\"jx-production-myapp\" deleted"), "{text}");
        let left = cluster.kubectl(&["get", "deploy", "-o", "name"]);
        assert_eq!(left, "deployment.apps/jx-production-myapp\n");
    }
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn kinds_come_and_go_with_their_definition() {
    let cluster = cluster();
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "kind": "Thing", "plural": "things" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object",
                "properties": { "spec": { "type": "object", "properties": {
                    "size": { "type": "integer", "maximum": 3, "description": "how large it is" },
                } } },
            } } }],
        },
    });
    let file = cluster.file("definition.json", &[definition]);
    cluster.kubectl(&["apply", "-f", &file]);
    let thing = |size: i64| {
        json!({
            "apiVersion": "example.com/v1", "kind": "Thing", "metadata": { "name": "a" }, "spec": { "size": size },
        })
    };
    let error = cluster.refused(&["create", "-f", &cluster.file("large.json", &[thing(4)])]);
    assert!(error.contains("spec.size in body should be less than or equal to 3"), "{error}");
    let mut unknown = thing(1);
    unknown["spec"]["colour"] = json!("blue");
    let error = cluster.refused(&["apply", "-f", &cluster.file("unknown.json", &[unknown])]);
    assert!(error.contains("unknown field \"spec.colour\""), "{error}");
    cluster.kubectl(&["apply", "-f", &cluster.file("thing.json", &[thing(2)])]);
    let text = cluster.kubectl(&["explain", "thing.spec.size"]);
    assert!(text.contains("how large it is"), "{text}");
    cluster.kubectl(&["delete", "crd", "things.example.com"]);
    let error = cluster.refused(&["get", "things"]);
    assert!(error.contains("could not find the requested resource"), "{error}");
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn server_side_apply_asks_before_it_takes() {
    let cluster = cluster();
    let apply = ["apply", "--server-side", "-f", CHART];
    assert!(cluster.kubectl(&apply).contains("canary.flagger.app/jx-production-myapp serverside-applied"));
    assert!(cluster.kubectl(&apply).contains("serverside-applied"), "applying the same again is no conflict");
    let canary = "jx-production-myapp";
    let patch = r#"{"spec":{"progressDeadlineSeconds":77}}"#;
    cluster.kubectl(&["patch", "canary", canary, "--type", "merge", "-p", patch]);
    let error = cluster.refused(&apply);
    assert!(error.contains("Apply failed with 1 conflict: conflict with \"kubectl-patch\""), "{error}");
    assert!(error.contains(".spec.progressDeadlineSeconds"), "{error}");
    cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", CHART]);
    let deadline = cluster.kubectl(&["get", "canary", canary, "-o", "jsonpath={.spec.progressDeadlineSeconds}"]);
    assert_ne!(deadline, "77");
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn what_was_applied_by_the_client_can_be_applied_by_the_server() {
    let cluster = cluster();
    cluster.kubectl(&["apply", "-f", CHART]);
    cluster.kubectl(&["apply", "--server-side", "-f", CHART]);
    let managers = cluster.kubectl(&[
        "get",
        "canary",
        "jx-production-myapp",
        "--show-managed-fields",
        "-o",
        "jsonpath={.metadata.managedFields[?(@.operation==\"Apply\")].manager}",
    ]);
    assert!(managers.split_whitespace().any(|manager| manager == "kubectl"), "{managers}");
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn refusals_read_as_on_any_cluster() {
    let cluster = cluster();
    cluster.kubectl(&["apply", "-f", CHART]);
    let refused = |arguments: &[&str]| cluster.refused(arguments);
    assert_eq!(
        refused(&["get", "canary", "nothing"]),
        "Error from server (NotFound): canaries.flagger.app \"nothing\" not found\n"
    );
    assert!(refused(&["create", "-f", CHART]).contains("(AlreadyExists)"));
    assert!(refused(&["-n", "nowhere", "create", "configmap", "a"]).contains("namespaces \"nowhere\" not found"));
    let patch = r#"[{"op":"test","path":"/spec/progressDeadlineSeconds","value":1}]"#;
    let error = refused(&["patch", "canary", "jx-production-myapp", "--type", "json", "-p", patch]);
    assert!(error.contains("invalid"), "{error}");
    let error = refused(&["patch", "canary", "jx-production-myapp", "-p", "{}"]);
    assert!(error.contains("strategic-merge-patch+json is not supported"), "{error}");
    let stale = r#"{"metadata":{"resourceVersion":"1"},"spec":{"suspend":true}}"#;
    let error = refused(&["patch", "canary", "jx-production-myapp", "--type", "merge", "-p", stale]);
    assert!(error.contains("the object has been modified"), "{error}");
    cluster.sandbox.deny(Some(std::sync::Arc::new(|asked| asked.verb == "patch" && asked.resource == "canaries")));
    let error = refused(&["annotate", "canary", "jx-production-myapp", "a=b"]);
    assert!(
        error.contains(
            "User \"sandbox-operator\" cannot patch resource \"canaries\" in API group \"flagger.app\" in the namespace \"jx-production\""
        ),
        "{error}"
    );
    assert_eq!(refused(&["auth", "can-i", "patch", "canaries", "-q"]), "");
    cluster.kubectl(&["auth", "can-i", "get", "canaries", "-q"]);
    assert!(cluster.kubectl(&["auth", "whoami"]).contains("sandbox-operator"));
}

#[test]
#[cfg_attr(not(kubectl), ignore = "kubectl is not installed")]
fn namespaces_and_plain_objects_are_made_and_removed() {
    let cluster = cluster();
    cluster.kubectl(&["create", "namespace", "other"]);
    cluster.kubectl(&["-n", "other", "create", "configmap", "a", "--from-literal=color=blue"]);
    cluster.kubectl(&["-n", "other", "create", "secret", "generic", "s", "--from-literal=key=value"]);
    cluster.kubectl(&["-n", "other", "create", "deployment", "d", "--image=app:1"]);
    let secret = cluster.kubectl(&["-n", "other", "get", "secret", "s", "-o", "jsonpath={.data.key}"]);
    assert_eq!(secret, "dmFsdWU=");
    cluster.kubectl(&["delete", "namespace", "other"]);
    assert!(cluster.sandbox.store().get("ConfigMap", Some("other"), "a").is_none());
    assert!(cluster.refused(&["get", "namespace", "other"]).contains("NotFound"));
}
