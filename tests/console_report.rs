//! The picture of a rollout to keep and the console as lines, by the real program on a cluster whose rollout really ran.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

impl Cluster {
    /// The program without a screen.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
        command.args(arguments).arg("--kubeconfig").arg(self.home.path().join("kubeconfig"));
        command.env("XDG_STATE_HOME", self.home.path().join("state")).stdin(Stdio::null());
        command
    }
}

#[test]
fn a_rollout_is_told_line_by_line_and_written_down_at_its_end() {
    let cluster = Cluster::start(Duration::from_secs(1));
    let mut console = cluster.console();
    let mut watch = cluster.command(&["watch", APP, "-o", "json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(watch.stdout.take().expect("a pipe"));
    let mut lines = lines.lines().map(|line| {
        let line = line.expect("text");
        serde_json::from_str::<serde_json::Value>(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    });
    assert_eq!(lines.next().expect("how it stands")["kind"], "state");
    operator::start(&mut console, "1.1.0");
    let wanted = ["revision", "phase", "weight", "event", "outcome"];
    let mut kinds = Vec::new();
    for line in lines.by_ref() {
        assert_eq!((line["canary"].as_str(), line["namespace"].as_str()), (Some(APP), Some("jx-production")));
        kinds.push(line["kind"].as_str().expect("a kind").to_string());
        if line["phase"] == "Succeeded" {
            break;
        }
    }
    for kind in wanted {
        assert!(kinds.iter().any(|one| one == kind), "no {kind}: {kinds:?}");
    }
    // Nobody reads any more: it ends, although nothing happens now.
    drop(lines);
    let begun = Instant::now();
    while watch.try_wait().expect("it can be asked").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it lives on without a reader");
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = cluster.command(&["watch", APP, "--until-end"]).output().expect("it runs");
    let text = String::from_utf8(ended.stdout).expect("text");
    assert!(ended.status.success() && text.contains("Succeeded weight 0%"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));

    let folder = cluster.home.path().join("kept");
    let folder_text = format!("{}/", folder.display());
    let report = cluster.command(&["report", APP, "-o", &folder_text]).output().expect("it runs");
    assert!(report.status.success(), "{report:?}");
    let path = String::from_utf8(report.stdout).expect("a path");
    let text = fs::read_to_string(path.trim()).expect("a report");
    for part in [
        "1.1.0, Succeeded",
        "| 50 % |",
        "request-success-rate",
        "istio_requests_total",
        "Request start",
        "Promotion completed!",
    ] {
        assert!(text.contains(part), "no {part:?}:\n{text}");
    }
    let charts = fs::read_to_string(path.trim().replace(".md", ".svg")).expect("its charts");
    assert!(charts.starts_with("<svg") && charts.trim_end().ends_with("</svg>"));
    assert!(charts.matches("<polyline").count() >= 6, "both versions are drawn:\n{charts}");

    // By a key, into the state folder; the console goes on.
    console.type_keys("R");
    console.until("it says where", PATIENCE, |screen| screen.contains("written to"));
    let kept = cluster.home.path().join("state/canary-tui/reports");
    let mut written: Vec<_> =
        fs::read_dir(kept).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    written.sort();
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(fs::read_to_string(&written[0]).expect("a report").contains("1.1.0, Succeeded"));
}

#[test]
fn what_is_missing_is_said() {
    let cluster = Cluster::start(Duration::from_secs(10));
    cluster.sandbox.set_prometheus_down(true);
    let folder = cluster.home.path().display().to_string();
    let report = cluster.command(&["report", APP, "-o", &folder]).output().expect("it runs");
    assert!(report.status.success(), "{report:?}");
    let text = fs::read_to_string(String::from_utf8_lossy(&report.stdout).trim()).expect("a report");
    assert!(text.contains("What is not known") && text.contains("When the rollout began"), "{text}");
    assert!(text.contains("503") || text.contains("could not be reached"), "{text}");
    let none = cluster.command(&["report", "nobody"]).output().expect("it runs");
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no canary nobody"));
}

#[test]
fn a_watch_that_waits_for_an_end_ends_in_time() {
    let cluster = Cluster::start(Duration::from_secs(10));
    // Another version than the primary's, and nobody drives: the rollout never ends.
    let another = |object: &mut serde_json::Value| {
        let image = &mut object["spec"]["template"]["spec"]["containers"][0]["image"];
        *image = image.as_str().expect("an image").replace("1.0.0", "1.1.0").into();
    };
    let store = cluster.sandbox.store();
    store.modify("Deployment", Some("jx-production"), APP, another).expect("the Deployment");
    let mut watch = cluster.command(&["watch", APP, "--until-end", "--timeout", "2s"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut text = String::new();
    watch.stdout.take().expect("a pipe").read_to_string(&mut text).expect("text");
    assert_eq!(watch.wait().expect("it ends").code(), Some(3), "{text}");
}
