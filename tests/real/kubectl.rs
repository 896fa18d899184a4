//! kubectl on the embedded cluster and on a real API server: the same commands, compared output by output. Where the
//! two differ the embedded cluster is wrong, or the difference stands in one list with its reason.
//!
//! Needs kubectl, and a control plane that `tests/cluster/up DIR` started, named by `CANARY_TUI_CLUSTER=DIR`.

#[path = "kubectl/differences.rs"]
mod differences;
#[path = "kubectl/normal.rs"]
mod normal;
#[path = "kubectl/sides.rs"]
mod sides;

use sides::{Running, Side, Sides};
use std::process::Command;

const CANARY: &str = "jx-production-myapp";
const APP: &str = "deploy/app";

const CHART: &str = include_str!("../data/canary.yaml");

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  labels: {app: app}
spec:
  replicas: 2
  selector:
    matchLabels: {app: app}
  template:
    metadata:
      labels: {app: app}
    spec:
      containers:
      - name: app
        image: example/app:1.0.0
        ports:
        - {name: http, containerPort: 8080}
        env:
        - {name: A, value: "1"}
        - {name: B, value: "2"}
        resources:
          limits: {cpu: 500m, memory: 128Mi}
          requests: {cpu: 100m, memory: 64Mi}
"#;

const SCALER: &str = r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: app
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 1
  maxReplicas: 3
"#;

/// The chart, for the scenario's namespace.
fn chart(sides: &Sides) -> String {
    let text = CHART.replace("namespace: jx-production\n", "namespace: NS\n");
    assert_ne!(text, CHART, "the chart names its namespace");
    sides.file("canary.yaml", &text)
}

/// A Deployment of two pods, rolled out.
fn deployed(sides: &Sides) -> String {
    let file = sides.file("deployment.yaml", DEPLOYMENT);
    sides.must(&["apply", "-f", &file]);
    settled(sides);
    file
}

/// Waits until the Deployment has what it wants, and nothing else.
fn settled(sides: &Sides) {
    sides.must(&["rollout", "status", APP, "--timeout=60s"]);
    let count = [
        "get",
        APP,
        "-o",
        "jsonpath={.spec.replicas}/{.status.replicas}/{.status.updatedReplicas}/{.status.readyReplicas}",
    ];
    sides.until(&count, |text| {
        let counts: Vec<&str> = text.split('/').collect();
        counts.iter().all(|one| *one == counts[0] || (counts[0] == "0" && one.is_empty()))
    });
    let pods = ["get", "pods", "-l", "app=app", "-o", "jsonpath={.items[*].metadata.deletionTimestamp}"];
    sides.until(&pods, str::is_empty);
}

/// Gives the Canary a status, as a driver would.
fn report(sides: &Sides, phase: &str, promoted: &str, reason: &str, weight: u32) {
    let status = format!(
        r#"{{"status":{{"phase":"{phase}","canaryWeight":{weight},"failedChecks":0,"iterations":0,
        "lastTransitionTime":"2026-11-22T12:00:00Z","conditions":[{{"type":"Promoted","status":"{promoted}",
        "reason":"{reason}","message":"by the test","lastUpdateTime":"2026-11-22T12:00:00Z",
        "lastTransitionTime":"2026-11-22T12:00:00Z"}}]}}}}"#
    );
    sides.must(&["patch", "canary", CANARY, "--subresource=status", "--type=merge", "-p", &status]);
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn a_canary_is_applied_shown_and_deleted() {
    let mut sides = Sides::open("canary");
    let file = chart(&sides);
    sides.same(&["get", "canaries"]);
    sides.same(&["diff", "-f", &file]);
    sides.same(&["apply", "--dry-run=server", "-f", &file]);
    sides.same(&["apply", "-f", &file]);
    sides.same(&["apply", "-f", &file]);
    sides.same(&["diff", "-f", &file]);
    sides.same(&["create", "-f", &file]);
    sides.same(&["describe", "canary", CANARY]);
    report(&sides, "Progressing", "Unknown", "Progressing", 30);
    for form in ["wide", "json", "yaml", "name"] {
        sides.same(&["get", "canaries", "-o", form]);
        sides.same(&["get", "canary", CANARY, "-o", form]);
    }
    sides.same(&["get", "canaries"]);
    sides.same(&["get", "canaries", "--no-headers", "--show-kind", "--show-labels"]);
    sides.same(&["get", "canaries", "--sort-by=.metadata.name", "-L", "app"]);
    sides.same(&["get", "canaries", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.phase}{'\\n'}{end}"]);
    sides.same(&[
        "get",
        "canaries",
        "-o",
        "custom-columns=NAME:.metadata.name,WEIGHT:.status.canaryWeight,NONE:.spec.x",
    ]);
    sides.same(&["get", "canaries", "-o", "go-template={{range .items}}{{.kind}} {{.apiVersion}}{{end}}"]);
    for version in ["v1alpha2", "v1alpha3", "v1beta1"] {
        sides.same(&["get", &format!("canaries.{version}.flagger.app"), CANARY, "-o", "yaml"]);
    }
    sides.same(&["describe", "canary", CANARY]);
    sides.same(&["delete", "canary", CANARY, "--dry-run=server"]);
    sides.same(&["delete", "canary", CANARY]);
    sides.same(&["delete", "canary", CANARY]);
    sides.same(&["delete", "canary", CANARY, "--ignore-not-found"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn a_canary_is_changed_in_every_way() {
    let mut sides = Sides::open("changes");
    let file = chart(&sides);
    sides.must(&["apply", "-f", &file]);
    let changed = sides.file(
        "changed.yaml",
        &CHART
            .replace("namespace: jx-production\n", "namespace: NS\n")
            .replace("stepWeight: 10", "stepWeight: 20")
            .replace("  progressDeadlineSeconds: 60\n", ""),
    );
    sides.same(&["diff", "-f", &changed]);
    sides.same(&["apply", "-f", &changed]);
    sides.same(&["get", "canary", CANARY, "-o", "yaml"]);
    sides.same(&["edit", "canary", CANARY]);
    sides.same(&["edit", "canary", CANARY]);
    sides.same(&["label", "canary", CANARY, "team=a"]);
    sides.same(&["label", "canary", CANARY, "team=b"]);
    sides.same(&["label", "canary", CANARY, "team=b", "--overwrite"]);
    sides.same(&["label", "canary", CANARY, "team=-b-"]);
    sides.same(&["label", "canary", CANARY, "team-"]);
    sides.same(&["label", "canary", CANARY, "team-"]);
    sides.same(&["annotate", "canary", CANARY, "note=one two"]);
    sides.same(&["annotate", "canary", CANARY, "note-"]);
    sides.same(&["annotate", "canary", "--all", "a=b", "--dry-run=server"]);
    let patch = |kind: &str, patch: &str| {
        ["patch", "canary", CANARY, &format!("--type={kind}"), "-p", patch].map(str::to_owned)
    };
    for (kind, text) in [
        ("merge", r#"{"spec":{"suspend":true}}"#),
        ("merge", r#"{"spec":{"suspend":true}}"#),
        ("merge", r#"{"spec":{"suspend":null}}"#),
        ("merge", r#"{"spec":{"suspend":"yes"}}"#),
        ("merge", r#"{"spec":{"nonsense":1}}"#),
        ("merge", r#"{"spec":{"canaryAnalysis":{"maxWeight":150}}}"#),
        ("merge", r#"{"spec":{"canaryAnalysis":{"interval":"soon"}}}"#),
        ("merge", r#"{"metadata":{"resourceVersion":"1"}}"#),
        ("merge", r#"{"metadata":{"name":"other"}}"#),
        ("merge", r#"{"spec""#),
        ("json", r#"[{"op":"replace","path":"/spec/canaryAnalysis/threshold","value":7}]"#),
        ("json", r#"[{"op":"test","path":"/spec/canaryAnalysis/threshold","value":1}]"#),
        ("json", r#"[{"op":"remove","path":"/spec/nothing"}]"#),
        ("json", r#"{"op":"remove"}"#),
        ("strategic", r#"{"spec":{"suspend":true}}"#),
    ] {
        let arguments = patch(kind, text);
        sides.same(&arguments.each_ref().map(String::as_str));
    }
    sides.same(&["get", "canary", CANARY, "-o", "yaml"]);
    sides.same(&["scale", "canary", CANARY, "--replicas=2"]);
    let unknown = sides.file(
        "unknown.yaml",
        &CHART
            .replace("namespace: jx-production\n", "namespace: NS\n")
            .replace("  canaryAnalysis:", "  colour: blue\n  canaryAnalysis:"),
    );
    sides.same(&["apply", "-f", &unknown]);
    sides.same(&["apply", "--validate=false", "-f", &unknown]);
    sides.same(&["apply", "--validate=warn", "-f", &unknown]);
    sides.same(&["replace", "-f", &file]);
    sides.same(&["apply", "--prune", "-l", "app=none", "-f", &file]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn a_deployment_is_rolled_out_held_and_taken_back() {
    let mut sides = Sides::open("rollout");
    let file = sides.file("deployment.yaml", DEPLOYMENT);
    sides.same(&["apply", "-f", &file]);
    settled(&sides);
    sides.same(&["rollout", "status", APP]);
    sides.same(&["apply", "-f", &file]);
    sides.same(&["get", APP]);
    sides.same(&["get", APP, "-o", "wide"]);
    sides.same(&["get", APP, "-o", "yaml"]);
    sides.same(&["get", "rs", "-o", "wide"]);
    sides.same(&["get", "rs", "-o", "yaml"]);
    sides.same(&["get", "pods"]);
    sides.same(&["describe", APP]);
    sides.same(&["set", "image", APP, "app=example/app:1.1.0"]);
    sides.same(&["set", "image", APP, "app=example/app:1.1.0"]);
    sides.same(&["set", "image", APP, "other=example/app:1.1.0"]);
    settled(&sides);
    sides.same(&["set", "env", APP, "C=3"]);
    settled(&sides);
    sides.same(&["set", "resources", APP, "--limits=cpu=1"]);
    settled(&sides);
    sides.same(&["annotate", APP, "kubernetes.io/change-cause=more"]);
    sides.until(&["get", "rs", "-o", "yaml"], |text| text.contains("change-cause"));
    sides.same(&["rollout", "history", APP]);
    sides.same(&["rollout", "history", APP, "--revision=2"]);
    sides.same(&["rollout", "history", APP, "--revision=9"]);
    sides.same(&["rollout", "undo", APP]);
    settled(&sides);
    sides.same(&["rollout", "history", APP]);
    sides.same(&["rollout", "undo", APP, "--to-revision=1"]);
    settled(&sides);
    sides.same(&["rollout", "undo", APP, "--to-revision=77"]);
    sides.same(&["get", APP, "-o", "jsonpath={.spec.template.spec.containers[0].image}"]);
    sides.same(&["rollout", "restart", APP]);
    settled(&sides);
    sides.same(&["rollout", "pause", APP]);
    sides.same(&["rollout", "pause", APP]);
    sides.until(&["get", APP, "-o", "yaml"], |text| text.contains("DeploymentPaused"));
    sides.same(&["get", APP, "-o", "yaml"]);
    sides.same(&["set", "image", APP, "app=example/app:1.2.0"]);
    sides.until(&["get", APP, "-o", "jsonpath={.metadata.generation}/{.status.observedGeneration}"], |text| {
        text.split_once('/').is_some_and(|(wanted, seen)| wanted == seen)
    });
    sides.same(&["rollout", "status", APP, "--timeout=1s"]);
    sides.same(&["rollout", "undo", APP]);
    sides.same(&["rollout", "restart", APP]);
    sides.same(&["rollout", "resume", APP]);
    sides.same(&["rollout", "resume", APP]);
    settled(&sides);
    sides.same(&["scale", APP, "--replicas=3"]);
    settled(&sides);
    sides.same(&["scale", APP, "--replicas=0", "--current-replicas=2"]);
    sides.same(&["scale", APP, "--replicas=-1"]);
    sides.same(&["get", APP, "--subresource=scale", "-o", "yaml"]);
    sides.same(&["scale", APP, "--replicas=0"]);
    settled(&sides);
    sides.same(&["get", APP, "-o", "yaml"]);
    sides.same(&["get", "rs"]);
    sides.same(&["get", "pods"]);
    sides.same(&["set", "image", APP, "app=example/app:1.4.0"]);
    sides.same(&["autoscale", APP, "--min=1", "--max=3", "--name=app"]);
    sides.must(&["delete", "hpa", "app", "--ignore-not-found"]);
    let scaler = sides.file("scaler.yaml", SCALER);
    sides.same(&["apply", "-f", &scaler]);
    sides.same(&[
        "get",
        "hpa",
        "app",
        "-o",
        "jsonpath={.spec.minReplicas} {.spec.maxReplicas} {.spec.scaleTargetRef.name}",
    ]);
    sides.same(&["delete", "hpa", "app"]);
    sides.same(&["delete", APP, "--wait=false"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn a_deployment_is_patched_and_refused() {
    let mut sides = Sides::open("patches");
    let file = deployed(&sides);
    for (kind, text) in [
        (
            "strategic",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"9"}]}]}}}}"#,
        ),
        (
            "strategic",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"B","$patch":"delete"}]}]}}}}"#,
        ),
        ("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}"#),
        ("strategic", r#"{"spec":{"replicas":"three"}}"#),
        ("strategic", r#"{"spec":{"replicas":-1}}"#),
        ("strategic", r#"{"spec":{"selector":{"matchLabels":{"app":"other"}}}}"#),
        ("strategic", r#"{"spec":{"strategy":{"type":"Sideways"}}}"#),
        ("merge", r#"{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}"#),
        ("merge", r#"{"spec":{"template":{"spec":{"containers":[]}}}}"#),
        ("merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"A b","image":""}]}}}}"#),
        ("json", r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"example/app:1.3.0"}]"#),
        ("json", r#"[{"op":"add","path":"/spec/template/spec/containers/7","value":{}}]"#),
        ("json", r#"[{"op":"jump","path":"/spec"}]"#),
    ] {
        sides.same(&["patch", APP, &format!("--type={kind}"), "-p", text]);
    }
    settled(&sides);
    sides.same(&["get", APP, "-o", "yaml"]);
    sides.same(&["diff", "-f", &file]);
    sides.same(&["apply", "-f", &file]);
    sides.same(&["diff", "-f", &file]);
    for (name, from, to) in [
        ("wrong-type.yaml", "replicas: 2", "replicas: two"),
        ("unknown.yaml", "replicas: 2", "replicaz: 2"),
        ("selector.yaml", "matchLabels: {app: app}", "matchLabels: {app: other}"),
        ("image.yaml", "image: example/app:1.0.0", "imagge: example/app:1.0.0"),
        ("name.yaml", "  name: app\n  labels", "  name: App_\n  labels"),
        ("kind.yaml", "kind: Deployment", "kind: Deploymend"),
        ("version.yaml", "apiVersion: apps/v1", "apiVersion: apps/v9"),
        ("place.yaml", "  labels: {app: app}\nspec", "  namespace: nowhere\nspec"),
    ] {
        let file = sides.file(name, &DEPLOYMENT.replacen(from, to, 1));
        sides.same(&["apply", "-f", &file]);
        sides.same(&["create", "--dry-run=server", "-f", &file]);
    }
    sides.same(&["create", "deployment", "other", "--image=example/app:1.0.0", "--dry-run=server", "-o", "yaml"]);
    sides.same(&["create", "deployment", "other", "--image=example/app:1.0.0", "--replicas=0"]);
    sides.same(&["get", "deploy", "-o", "name"]);
    sides.same(&["get", "deploy", "-l", "app in (other)", "-o", "name"]);
    sides.same(&["get", "deploy", "-l", "app=", "-o", "name"]);
    sides.same(&["get", "deploy", "-l", "a b"]);
    sides.same(&["get", "deploy", "--field-selector=metadata.name=other", "-o", "name"]);
    sides.same(&["get", "deploy", "--field-selector=spec.replicas=0"]);
    sides.same(&["get", "deploy", "--chunk-size=1", "-o", "name"]);
    sides.same(&["expose", APP, "--port=80", "--target-port=http"]);
    sides.same(&["get", "svc"]);
    sides.same(&["get", "svc", "app", "-o", "yaml"]);
    sides.same(&["create", "configmap", "c", "--from-literal=a=b"]);
    sides.same(&["get", "configmap", "c", "-o", "yaml"]);
    sides.same(&["describe", "configmap", "c"]);
    sides.same(&["create", "secret", "generic", "s", "--from-literal=a=b"]);
    sides.same(&["get", "secrets"]);
    sides.same(&["describe", "secret", "s"]);
    sides.same(&["create", "serviceaccount", "robot"]);
    sides.same(&["get", "all", "-l", "app=app", "-o", "name"]);
    sides.same(&["delete", "deploy", "--all", "--wait=false"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn conditions_are_waited_for() {
    let mut sides = Sides::open("waits");
    let file = chart(&sides);
    sides.must(&["apply", "-f", &file]);
    let named = format!("canary/{CANARY}");
    let promoted = ["wait", "--for=condition=Promoted", named.as_str()];
    let within = |timeout: &'static str| [promoted.as_slice(), &[timeout]].concat();
    sides.same(&within("--timeout=0s"));
    sides.same(&within("--timeout=1s"));
    report(&sides, "Progressing", "Unknown", "Progressing", 30);
    sides.same(&within("--timeout=1s"));
    sides.same(&["wait", "--for=condition=Promoted=Unknown", &named, "--timeout=20s"]);
    sides.same(&["wait", "--for=jsonpath={.status.phase}=Progressing", &named, "--timeout=20s"]);
    report(&sides, "Succeeded", "True", "Succeeded", 0);
    sides.same(&within("--timeout=20s"));
    sides.same(&["wait", "--for=condition=Promoted", "canary", "--all", "--timeout=20s"]);
    sides.same(&["wait", "--for=condition=Promoted", "canary/nothing", "--timeout=1s"]);
    sides.same(&[
        "patch",
        "canary",
        CANARY,
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"spec":{"suspend":true},"status":{"iterations":3}}"#,
    ]);
    sides.same(&["get", "canary", CANARY, "-o", "jsonpath={.spec.suspend}/{.status.iterations}"]);
    sides.same(&["patch", "canary", CANARY, "--type=merge", "-p", r#"{"status":{"iterations":9}}"#]);
    sides.same(&["get", "canary", CANARY, "-o", "jsonpath={.status.iterations}/{.metadata.generation}"]);
    sides.same(&["wait", "--for=delete", &named, "--timeout=1s"]);
    sides.must(&["delete", "canary", CANARY]);
    sides.same(&["wait", "--for=delete", &named, "--timeout=20s"]);
    deployed(&sides);
    sides.same(&["wait", "--for=condition=Available", APP, "--timeout=20s"]);
    sides.same(&["wait", "--for=condition=Ready", "pod", "-l", "app=app", "--timeout=20s"]);
    sides.must(&["set", "image", APP, "app=example/app:1.4.0"]);
    sides.same(&["rollout", "status", APP, "--timeout=3s"]);
    sides.finish();
}

/// An Event on something of the scenario's namespace.
fn event(name: &str, kind: &str, reason: &str, message: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Event","metadata":{{"name":"{name}","namespace":"NS"}},"type":"Normal",
        "involvedObject":{{"kind":"{kind}","apiVersion":"flagger.app/v1beta1","namespace":"NS","name":"{CANARY}"}},
        "reason":"{reason}","message":"{message}","source":{{"component":"flagger"}},"count":1,
        "firstTimestamp":"2026-11-22T12:00:00Z","lastTimestamp":"2026-11-22T12:00:00Z"}}"#
    )
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn changes_are_watched() {
    let mut sides = Sides::open("watches");
    let file = chart(&sides);
    sides.must(&["apply", "-f", &file]);
    let one = sides.file("one.json", &event("one", "Canary", "Synced", "New revision detected!"));
    let two = sides.file("two.json", &event("two", "Canary", "Synced", "Advance canary weight 10"));
    let other = sides.file("other.json", &event("other", "Deployment", "Scaled", "Scaled up"));
    sides.same(&["create", "-f", &one]);
    sides.same(&["get", "events"]);
    sides.same(&["get", "events", "-o", "wide"]);
    sides.same(&["get", "events", "one", "-o", "yaml"]);
    let of_canaries = ["get", "events", "--watch", "--field-selector", "involvedObject.kind=Canary"];
    sides.watched(&of_canaries, "weight 10", |side: &Side| {
        side.must(&["create", "-f", &other]);
        side.must(&["create", "-f", &two]);
    });
    sides.same(&["events", "--for", &format!("canary/{CANARY}")]);
    sides.same(&["describe", "canary", CANARY]);
    let canary = ["get", "canary", CANARY, "-w", "-o", "jsonpath={.status.canaryWeight}{.spec.suspend}{'\\n'}"];
    sides.must(&[
        "patch",
        "canary",
        CANARY,
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"canaryWeight":1}}"#,
    ]);
    sides.watched(&canary, "30true", |side| {
        for weight in [10, 20, 30] {
            let status = format!(r#"{{"status":{{"canaryWeight":{weight}}}}}"#);
            side.must(&["patch", "canary", CANARY, "--subresource=status", "--type=merge", "-p", &status]);
        }
        side.must(&["patch", "canary", CANARY, "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    });
    let maps = ["get", "configmaps", "-w", "--output-watch-events", "-l", "team=a", "--no-headers"];
    sides.must(&["create", "configmap", "first"]);
    sides.must(&["label", "configmap", "first", "team=a"]);
    sides.watched(&maps, "last  0  AGE", |side| {
        side.must(&["create", "configmap", "second"]);
        side.must(&["label", "configmap", "second", "team=a"]);
        side.must(&["label", "configmap", "second", "more=b"]);
        side.must(&["label", "configmap", "second", "team-"]);
        side.must(&["delete", "configmap", "first"]);
        side.must(&["create", "configmap", "last"]);
        side.must(&["label", "configmap", "last", "team=a"]);
    });
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn fields_are_explained() {
    let mut sides = Sides::open("explain");
    for what in [
        "canary",
        "canary.spec",
        "canary.spec.analysis",
        "canary.spec.analysis.metrics",
        "canary.spec.analysis.metrics.thresholdRange",
        "canary.status.conditions",
        "canary.metadata.ownerReferences",
        "canary.spec.nothing",
        "canaries.flagger.app",
        "deployment",
        "deployment.spec",
        "deployment.spec.strategy",
        "deployment.spec.strategy.rollingUpdate.maxSurge",
        "deploy.spec.template.spec.containers",
        "deploy.spec.template.spec.containers.readinessProbe",
        "deploy.spec.template.spec.containers.resources",
        "deploy.spec.template.spec.containers.resources.limits",
        "deployment.spec.template.metadata.labels",
        "deployment.status",
        "rs.spec",
        "pod.status.conditions",
        "service.spec.ports",
        "configmap",
        "secret.data",
        "event",
        "event.involvedObject",
        "namespace",
        "node.status",
        "serviceaccount",
        "lease.spec",
        "hpa.spec.metrics",
        "crd.spec.versions",
        "virtualservice",
        "nothing",
    ] {
        sides.same(&["explain", what]);
    }
    for what in ["canary", "deployment.spec", "service"] {
        sides.same(&["explain", what, "--recursive"]);
    }
    sides.same(&["explain", "canary.spec", "--api-version=flagger.app/v1alpha2"]);
    sides.same(&["explain", "canary", "--api-version=flagger.app/v9"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn what_is_served_and_allowed_is_told() {
    let mut sides = Sides::open("served");
    sides.covered(&["api-resources", "--no-headers"]);
    sides.covered(&["api-resources", "-o", "wide", "--no-headers"]);
    sides.covered(&["api-resources", "--api-group=flagger.app"]);
    sides.same(&["api-resources", "--api-group=flagger.app", "-o", "wide"]);
    sides.covered(&["api-versions"]);
    sides.same(&["version"]);
    for (verb, what) in [
        ("get", "canaries"),
        ("patch", "canaries.flagger.app/status"),
        ("create", "deployments"),
        ("get", "services/proxy"),
        ("*", "*"),
        ("fly", "canaries"),
        ("get", "unicorns"),
    ] {
        sides.same(&["auth", "can-i", verb, what]);
        sides.same(&["auth", "can-i", verb, what, "-q"]);
    }
    sides.same(&["auth", "can-i", "get", "/metrics"]);
    sides.covered(&["auth", "can-i", "--list"]);
    sides.same(&["auth", "whoami"]);
    sides.same(&["cluster-info"]);
    for path in ["/healthz", "/readyz", "/livez", "/apis/flagger.app", "/apis/nothing", "/nothing"] {
        sides.same(&["get", "--raw", path]);
    }
    sides.covered(&["get", "--raw", "/apis"]);
    sides.same(&["get", "--raw", "/api/v1/namespaces/nowhere/pods/x"]);
    sides.same(&["get", "--raw", "/apis/flagger.app/v9/canaries"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn refusals_read_alike() {
    let mut sides = Sides::open("refusals");
    deployed(&sides);
    for arguments in [
        &["get", "canary", "nothing"][..],
        &["get", "unicorns"],
        &["get", "canaries", "-n", "nowhere"],
        &["get", "canaries", "a", "b"],
        &["get", "deploy/nothing", "canary/nothing"],
        &["describe", "canary", "nothing"],
        &["delete", "deploy", "nothing"],
        &["scale", "deploy/nothing", "--replicas=1"],
        &["rollout", "status", "deploy/nothing"],
        &["rollout", "history", "deploy/nothing"],
        &["set", "image", "deploy/nothing", "a=b"],
        &["patch", "deploy/nothing", "-p", "{}"],
        &["label", "deploy/nothing", "a=b"],
        &["edit", "deploy/nothing"],
        &["create", "configmap", "a", "-n", "nowhere"],
        &["create", "configmap", "A_b"],
        &["create", "namespace", "not.allowed"],
        &["create", "service", "clusterip", "s", "--tcp=99999"],
        &["logs", "nothing"],
        &["exec", "nothing", "--", "true"],
        &["top", "pods"],
        &["logs", "deploy/nothing"],
        &["annotate", "deploy/app", "Not Allowed=b"],
        &["get", "pods", "--field-selector=spec.colour=blue"],
        &["get", "pods", "--field-selector=status.phase=Pending"],
        &["get", "pods", "-l", "!!"],
        &["delete", "namespace", "nowhere"],
        &["wait", "--for=condition=Ready", "pod/nothing", "--timeout=1s"],
        &["get", "deploy", "app", "--subresource=nothing"],
        &["port-forward", "deploy/nothing", "80"],
    ] {
        sides.same(arguments);
    }
    // Where nothing runs in a pod, what would reach into it fails.
    sides.same(&["logs", APP]);
    sides.same(&["exec", APP, "--", "true"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn what_is_owned_goes_or_stays() {
    let mut sides = Sides::open("deletion");
    let kept = ["get", "deploy,rs,pods", "-o", "name"];
    for cascade in ["foreground", "background", "orphan"] {
        deployed(&sides);
        sides.same(&["delete", APP, &format!("--cascade={cascade}")]);
        if cascade == "orphan" {
            sides.same(&kept);
            sides.same(&["get", "rs", "-o", "jsonpath={.items[*].metadata.ownerReferences}"]);
            sides.same(&["delete", "rs", "--all", "--cascade=foreground"]);
        }
        sides.until(&kept, str::is_empty);
    }
    let file = chart(&sides);
    sides.must(&["apply", "-f", &file]);
    sides.must(&[
        "patch",
        "canary",
        CANARY,
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":["finalizer.flagger.app"]}}"#,
    ]);
    sides.same(&["delete", "canary", CANARY, "--timeout=2s"]);
    sides.same(&["get", "canary", CANARY, "-o", "yaml"]);
    sides.same(&["patch", "canary", CANARY, "--type=merge", "-p", r#"{"metadata":{"finalizers":["other.io/x"]}}"#]);
    sides.same(&["patch", "canary", CANARY, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    sides.same(&["get", "canary", CANARY]);
    deployed(&sides);
    sides.same(&["delete", "pods", "--all", "--wait=false", "--dry-run=server"]);
    sides.same(&["delete", "pods", "-l", "app=app"]);
    settled(&sides);
    sides.same(&["delete", "deploy", "app", "--grace-period=0", "--force"]);
    sides.finish();
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn fields_are_owned_by_who_applies_them() {
    let mut sides = Sides::open("apply");
    let file = sides.file("deployment.yaml", DEPLOYMENT);
    let apply = |manager: &str, file: &str| {
        ["apply", "--server-side", &format!("--field-manager={manager}"), "-f", file].map(str::to_owned)
    };
    let ours = apply("ours", &file);
    sides.same(&ours.each_ref().map(String::as_str));
    sides.same(&ours.each_ref().map(String::as_str));
    settled(&sides);
    sides.same(&[
        "get",
        APP,
        "-o",
        "jsonpath={range .metadata.managedFields[*]}{.manager} {.operation} {.subresource}{'\\n'}{end}",
    ]);
    let other = sides.file("other.yaml", &DEPLOYMENT.replace("1.0.0", "1.1.0").replace("replicas: 2", "replicas: 3"));
    let theirs = apply("theirs", &other);
    sides.same(&theirs.each_ref().map(String::as_str));
    let mut forced = theirs.each_ref().map(String::as_str).to_vec();
    forced.push("--force-conflicts");
    sides.same(&forced);
    sides.same(&ours.each_ref().map(String::as_str));
    let less = sides.file("less.yaml", &DEPLOYMENT.replace("        - {name: B, value: \"2\"}\n", ""));
    let less = apply("ours", &less);
    sides.same(&less.each_ref().map(String::as_str));
    settled(&sides);
    sides.same(&["get", APP, "-o", "yaml"]);
    let canary = chart(&sides);
    let canary = apply("ours", &canary);
    sides.same(&canary.each_ref().map(String::as_str));
    sides.must(&["patch", "canary", CANARY, "--type=merge", "-p", r#"{"spec":{"canaryAnalysis":{"stepWeight":20}}}"#]);
    sides.same(&canary.each_ref().map(String::as_str));
    sides.same(&["diff", "--server-side", "-f", &file]);
    sides.finish();
}

/// Our driver on one of the two; both ask the one Prometheus there is.
fn driver(side: &Side, sides: &Sides) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    command.args(["controller", "-n", &sides.namespace, "--min-interval", "200ms", "--kubeconfig"]);
    command.arg(side.kubeconfig()).args(["--prometheus", &sides.prometheus()]);
    command.env("XDG_STATE_HOME", side.home.path());
    let driving = Running::start(command);
    while !driving.line().starts_with("driving") {}
    driving
}

#[test]
#[cfg_attr(not(all(kubectl, go)), ignore = "kubectl or Go is not installed")]
fn a_driven_canary_looks_alike() {
    let mut sides = Sides::open("driven");
    let named = |text: &str| {
        text.replace("name: app\n", &format!("name: {CANARY}\n")).replace("{app: app}", &format!("{{app: {CANARY}}}"))
    };
    let deployment = sides.file("deployment.yaml", &named(DEPLOYMENT));
    sides.must(&["apply", "-f", &deployment]);
    sides.must(&["rollout", "status", &format!("deploy/{CANARY}")]);
    let _drivers = [&sides.cluster, &sides.sandbox].map(|side| driver(side, &sides));
    let file = chart(&sides);
    sides.must(&["apply", "-f", &file]);
    sides.same(&["wait", "--for=condition=Promoted", &format!("canary/{CANARY}"), "--timeout=90s"]);
    sides.same(&["get", "canaries"]);
    sides.same(&["get", "canary", CANARY, "-o", "yaml"]);
    sides.same(&["get", "deploy"]);
    sides.same(&["get", "svc", "-o", "wide"]);
    sides.same(&["get", "vs"]);
    sides.same(&["get", "virtualservice", CANARY, "-o", "yaml"]);
    sides.same(&["get", "destinationrules"]);
    sides.same(&["get", "destinationrule", "-o", "yaml"]);
    sides.same_lines(&["get", "events", "--field-selector", "involvedObject.kind=Canary"]);
    sides.same_lines(&["describe", "canary", CANARY]);
    sides.same(&["describe", "virtualservice", CANARY]);
    sides.same(&["delete", "canary", CANARY]);
    for kind in ["vs", "destinationrules", "svc"] {
        sides.until(&["get", kind, "-o", "name"], str::is_empty);
    }
    sides.until(&["get", "deploy", "-o", "name"], |text| text.lines().count() == 1);
    sides.same(&["get", "deploy"]);
    sides.finish();
}
