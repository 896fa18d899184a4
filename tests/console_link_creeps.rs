//! The real program over a link that creeps: every action and every view, with what the cluster then has and what the
//! screen then shows.

mod operator;
mod receiver;
mod terminal;

use operator::{APP, Cluster, PATIENCE, start};
use receiver::{Answer, Receiver};
use serde_json::{Value, json};
use std::time::Duration;
use terminal::{Link, Size, Terminal};

/// Long enough that no check comes by itself while a test goes on.
const NEVER: Duration = Duration::from_secs(3600);
const SIZE: Size = (100, 30);
/// Four kilobytes a second: a whole screen takes longer than one.
const CREEPS: Link = Link::Creeps(200, Duration::from_millis(50));

/// Opens a view, and closes it again when it looks so.
fn look(console: &mut Terminal, key: &str, looks: impl Fn(&str) -> bool) {
    console.type_keys(key);
    // The last line comes last: it is whole.
    console.until(&format!("what {key:?} opens"), PATIENCE, |screen| !screen.contains("q quit") && looks(screen));
    console.type_keys("\x1b");
    console.until(&format!("{key:?} is closed"), PATIENCE, |screen| screen.contains("q quit"));
}

/// Asks for an action and says yes.
fn act(console: &mut Terminal, key: &str, question: &str) {
    console.type_keys(key);
    console.until_shows(question);
    console.type_keys("y");
}

fn paused(canary: &Value) -> bool {
    canary["metadata"]["annotations"]["canary-tui/paused"].is_string()
}

#[test]
fn every_action_is_asked_for_and_carried_out_over_a_link_that_creeps() {
    let cluster = Cluster::start(NEVER);
    let receiver = cluster.runtime.block_on(Receiver::start());
    receiver.answer("/gate", Answer::Status(403, "Forbidden"));
    let hook = json!([{"name": "gate", "type": "confirm-rollout", "url": receiver.url("/gate"), "timeout": "30s"}]);
    let gated = |canary: &mut Value| canary["spec"]["analysis"]["webhooks"] = hook.clone();
    cluster.sandbox.store().modify("Canary", Some("jx-production"), APP, gated).expect("a gate");
    let mut console = cluster.open(SIZE, &[], &[]);
    console.link(CREEPS);
    console.until_shows("driver: this console");
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);

    console.type_keys("s");
    console.until_shows("Start which version");
    console.type_keys("5xx\r");
    act(&mut console, "", &format!("Start 5xx of {APP}?"));
    cluster.until("it waits at the gate", |canary| canary["status"]["phase"] == "Waiting");
    console.until_shows("Waiting");
    act(&mut console, "O", &format!("Open gate gate of {APP}?"));
    cluster.until("it begins", |canary| canary["status"]["canaryWeight"] == 10);
    console.until_shows("10 % to 5xx");
    act(&mut console, "p", &format!("Pause {APP}?"));
    cluster.until("it is paused", paused);
    console.until_shows("Paused at 10 %");
    act(&mut console, "p", &format!("Resume {APP}?"));
    cluster.until("it is resumed", |canary| !paused(canary));
    console.until("it says so", PATIENCE, |screen| !screen.contains("Paused at") && screen.contains("carried out"));
    act(&mut console, "n", &format!("Next step {APP}?"));
    // Whether the checks have anything to look at yet is Prometheus' affair: either outcome is told.
    console.until("the checks have run", PATIENCE, |screen| {
        screen.contains(&format!("advance {APP}: carried out")) || screen.contains(&format!("advance {APP}: refused"))
    });
    act(&mut console, "a", &format!("Abort {APP}?"));
    cluster.until("it is aborted", |canary| canary["status"]["phase"] == "Failed");
    console.until_shows("✗ Failed");

    receiver.answer("/gate", Answer::Status(200, "Approved"));
    start(&mut console, "1.1.0");
    act(&mut console, "P", &format!("Promote 1.1.0 of {APP} now?"));
    // Its last step comes with the next check.
    cluster.until("it is promoted", |canary| canary["status"]["phase"] == "Finalising");
    console.until_shows("PRIMARY 1.1.0");
    act(&mut console, "q", "This console drives a rollout that is under way:");
    assert!(console.ended(PATIENCE).success());
    assert_eq!(console.taken(), (false, false));
}

#[test]
fn every_view_is_whole_over_a_link_that_creeps() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.open(SIZE, &[], &[]);
    console.link(CREEPS);
    console.until_shows("driver: this console");
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    start(&mut console, "1.1.0");
    look(&mut console, "?", |screen| screen.contains("Give all traffic back"));
    look(&mut console, ":", |screen| screen.contains("╭ Commands") && screen.contains("promote"));
    look(&mut console, "w", |screen| screen.contains("╭ Why") && screen.contains("destination_workload"));
    look(&mut console, "r", |screen| screen.contains("╭ Routes") && screen.contains("myapp.example.com"));
    look(&mut console, "d", |screen| screen.contains("apiVersion: flagger.app/v1beta1"));
    look(&mut console, "D", |screen| screen.contains("╭ Diff") && screen.contains("1.1.0"));
    look(&mut console, "e", |screen| screen.contains("╭ Events") && screen.contains("follows the newest"));
    look(&mut console, "t", |screen| screen.contains("╭ Theme") && screen.contains("gruvbox"));
    look(&mut console, "\r", |screen| screen.contains("last ") && screen.contains("CANARY 1.1.0"));
    // A theme that is taken colours every cell.
    console.type_keys(":");
    console.until_shows("╭ Commands");
    console.type_keys("theme light\r");
    console.until_written(b"48;5;231", PATIENCE);
    console.until("the list is closed", PATIENCE, |screen| screen.contains("q quit"));
    console.type_keys("m");
    console.until_shows("mouse on");
    console.until_written(b"\x1b[?1000h", PATIENCE);
    console.type_keys("y");
    console.until_written(b"\x1b]52;c;angtcHJvZHVjdGlvbi1teWFwcA==", PATIENCE);
    // Keys that are typed ahead of the screen act one after the other, and the last of them is what is seen.
    console.type_keys("?");
    console.type_keys("\x1b");
    std::thread::sleep(Duration::from_millis(100));
    console.type_keys("w");
    console.until("the reasons alone are shown", PATIENCE, |screen| {
        screen.contains("╭ Why") && screen.contains("destination_workload") && !screen.contains("Give all traffic")
    });
}
