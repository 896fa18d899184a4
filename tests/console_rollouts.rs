//! The real program in a real terminal: keys typed, the screen read, rollouts seen to their end, and the terminal given
//! back as it was.

mod rehearsal;
mod terminal;

use canary_tui::api::Phase;
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::{Value, json};
use std::time::Duration;
use terminal::{Size, Terminal};

const STEP: Duration = Duration::from_millis(400);
const NEVER: Duration = Duration::from_secs(3600);
const SIZE: Size = (120, 40);
const PATIENCE: Duration = Duration::from_secs(30);

/// The console on a rehearsal's cluster, driving it.
fn console(rehearsal: &Rehearsal, size: Size, environment: &[(&str, &str)]) -> Terminal {
    let kubeconfig = rehearsal.folder.path().join("kubeconfig");
    let kubeconfig = kubeconfig.to_str().expect("a plain path").to_string();
    let arguments = ["--kubeconfig", &kubeconfig, "--min-interval", "100ms"];
    Terminal::start(&arguments, rehearsal.folder.path(), size, environment)
}

/// The console, once it drives.
async fn driving(rehearsal: &Rehearsal) -> Terminal {
    let terminal = console(rehearsal, SIZE, &[]);
    terminal.until_shows("driver: this console");
    terminal.until_shows("Initialized");
    terminal
}

/// The answer to the question that a key asks.
fn answer(terminal: &mut Terminal, key: &str, question: &str, answer: &str) {
    terminal.type_keys(key);
    terminal.until_shows(question);
    terminal.type_keys(answer);
    terminal.until("the question goes", PATIENCE, |screen| !screen.contains(question));
}

fn left_as_it_was(terminal: &mut Terminal) {
    let status = terminal.ended(PATIENCE);
    assert_eq!(terminal.taken(), (false, false), "the screen is given back, with its cursor ({status:?})");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_is_started_and_seen_to_its_end() {
    let rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let mut terminal = driving(&rehearsal).await;
    terminal.type_keys("s");
    terminal.until_shows("1.1.0");
    terminal.until_shows("good");
    terminal.type_keys("\r");
    terminal.until_shows("Start 1.1.0 of jx-production-myapp?");
    terminal.type_keys("y");
    for weight in [10, 20, 30, 40, 50] {
        terminal.until_shows(&format!("Advance {APP}.jx-production canary weight {weight}"));
    }
    terminal.until_shows("Promotion completed! Scaling down");
    terminal.until_shows("Succeeded");
    rehearsal.until_phase(Phase::Succeeded).await;
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
    terminal.type_keys("q");
    left_as_it_was(&mut terminal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_is_seen_to_fail_its_checks_and_to_be_rolled_back() {
    let rehearsal = Rehearsal::observing(hurried(STEP * 3)).await;
    rehearsal.sandbox.store().modify("Canary", Some("jx-production"), APP, shorter_windows).expect("other windows");
    let mut terminal = driving(&rehearsal).await;
    terminal.type_keys("s");
    terminal.until_shows("5xx");
    terminal.type_keys("\x1b[B\r");
    terminal.until_shows("Start 1.2.0 of jx-production-myapp?");
    terminal.type_keys("y");
    terminal.until_shows("advancement success rate");
    terminal.until_shows("failed checks threshold reached 5");
    terminal.until_shows("5 of 5");
    terminal.until_shows("Failed");
    terminal.type_keys("q");
    left_as_it_was(&mut terminal);
}

fn shorter_windows(canary: &mut Value) {
    for metric in canary["spec"]["analysis"]["metrics"].as_array_mut().into_iter().flatten() {
        metric["interval"] = json!("1s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_has_the_wheel() {
    let rehearsal = Rehearsal::observing(hurried(NEVER)).await;
    let mut terminal = driving(&rehearsal).await;
    terminal.type_keys("s\r");
    terminal.until_shows("Start 1.1.0");
    terminal.type_keys("y");
    terminal.until_shows("canary weight 10");
    rehearsal.until("the first step", |w| w.canaries[APP].status.canary_weight == 10).await;
    // No is where the focus is: neither Enter nor Escape nor n does anything to the cluster.
    for leave in ["\r", "\x1b", "n"] {
        answer(&mut terminal, "p", "Pause jx-production-myapp?", leave);
    }
    assert!(rehearsal.mirror.read().canaries[APP].paused.is_none());
    answer(&mut terminal, "p", "Pause jx-production-myapp?", "y");
    rehearsal.until("the pause", |w| w.canaries[APP].paused.is_some()).await;
    terminal.until_shows("pause");
    rehearsal.until_measured().await;
    answer(&mut terminal, "n", "Next step jx-production-myapp?", "y");
    rehearsal.until("the next step", |w| weight(w) == 20).await;
    answer(&mut terminal, "p", "Resume jx-production-myapp?", "y");
    rehearsal.until("the pause ends", |w| w.canaries[APP].paused.is_none()).await;
    answer(&mut terminal, "a", "Abort jx-production-myapp?", "y");
    rehearsal.until_phase(Phase::Failed).await;
    terminal.until_shows("Failed");
    terminal.until_shows("carried out");
    terminal.type_keys("q");
    left_as_it_was(&mut terminal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_now_skips_the_steps() {
    let rehearsal = Rehearsal::observing(hurried(NEVER)).await;
    let mut terminal = driving(&rehearsal).await;
    terminal.type_keys("s\r");
    terminal.until_shows("Start 1.1.0");
    terminal.type_keys("y");
    rehearsal.until("the first step", |w| w.canaries[APP].status.canary_weight == 10).await;
    terminal.until_shows("10 % to 1.1.0");
    answer(&mut terminal, "P", "Promote 1.1.0 of jx-production-myapp now?", "y");
    terminal.until_shows("Copying jx-production-myapp.jx-production template spec");
    rehearsal.until_phase(Phase::Finalising).await;
    assert_eq!(rehearsal.mirror.read().workloads[&format!("{APP}-primary")].version(), "1.1.0");
    // Leaving a rollout without its driver is asked about.
    terminal.type_keys("q");
    terminal.until_shows("Quit?");
    terminal.type_keys("y");
    left_as_it_was(&mut terminal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_said_and_mends_itself() {
    let rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let mut terminal = driving(&rehearsal).await;
    rehearsal.sandbox.stop_serving();
    terminal.until_shows("since");
    assert!(terminal.screen().contains(APP), "the last values stay");
    rehearsal.sandbox.resume_serving().await.expect("the same port");
    terminal.until("it recovers", PATIENCE, |screen| !screen.contains("since"));
    terminal.type_keys("q");
    left_as_it_was(&mut terminal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_from_the_cluster_reaches_the_terminal_as_a_command() {
    let rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let event = json!({
        "metadata": {"name": "hostile", "namespace": "jx-production"},
        "involvedObject": {"kind": "Canary", "namespace": "jx-production", "name": APP},
        "type": "Warning", "reason": "Synced", "count": 1, "lastTimestamp": "2026-11-22T12:00:00Z",
        "message": "title \u{1b}]0;owned\u{7} clear \u{1b}[2J bell \u{7} c1 \u{9b}31m bidi \u{202e}gnorw end",
    });
    rehearsal.sandbox.store().create("Event", Some("jx-production"), event).expect("an event");
    let mut terminal = driving(&rehearsal).await;
    terminal.until_shows("title");
    terminal.type_keys("e");
    terminal.until_shows("esc close");
    let (raw, _) = terminal.written();
    let text = String::from_utf8_lossy(&raw);
    for command in ["\u{1b}]0;owned", "\u{1b}[2J bell", "\u{7}", "\u{9b}", "\u{202e}"] {
        assert!(!text.contains(command), "{command:?} reached the terminal");
    }
    println!("{}", terminal.screen());
    // One after the other: together they would be Alt and a key.
    terminal.type_keys("\x1b");
    terminal.until_shows("q quit");
    terminal.type_keys("q");
    left_as_it_was(&mut terminal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_size_is_drawn_and_too_small_is_said() {
    let rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let mut terminal = console(&rehearsal, (80, 24), &[("NO_COLOR", "1")]);
    terminal.until_shows(APP);
    terminal.resize((20, 5));
    terminal.until("it says so", PATIENCE, |screen| screen.contains("needs 60"));
    terminal.resize((200, 60));
    terminal.until_shows(APP);
    let (raw, _) = terminal.written();
    let raw = String::from_utf8_lossy(&raw);
    let colour = ["\u{1b}[38;5;", "\u{1b}[38;2;", "\u{1b}[48;5;", "\u{1b}[48;2;"]
        .iter()
        .find_map(|c| raw.find(c))
        .map(|at| &raw[at..raw.len().min(at + 40)]);
    assert_eq!(colour, None, "no colour was asked for");
    terminal.type_keys("\x03");
    left_as_it_was(&mut terminal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_gives_the_terminal_and_the_lease_back() {
    let rehearsal = Rehearsal::observing(hurried(STEP)).await;
    let mut terminal = driving(&rehearsal).await;
    rehearsal.until("the lease is held", |w| w.lease.as_ref().is_some_and(|l| !l.holder.is_empty())).await;
    terminal.signal("TERM");
    left_as_it_was(&mut terminal);
    rehearsal.until("the lease is given back", |w| w.lease.as_ref().is_some_and(|l| l.holder.is_empty())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_terminal_ends_the_console() {
    let rehearsal = Rehearsal::observing(hurried(STEP)).await;
    // A terminal inside the terminal, which dies with the program that holds it.
    if std::process::Command::new("script").arg("--version").output().is_err() {
        println!("skipped: script (bsdutils) is not installed");
        return;
    }
    let kubeconfig = rehearsal.folder.path().join("kubeconfig");
    let command = format!("{} --kubeconfig {}", env!("CARGO_BIN_EXE_canary-tui"), kubeconfig.display());
    let outer = Terminal::run(
        "script",
        &["-qefc", &command, "/dev/null"],
        rehearsal.folder.path(),
        SIZE,
        &[("SHELL", "/bin/sh")],
    );
    outer.until_shows("driver: this console");
    rehearsal.until("the lease is held", |w| w.lease.as_ref().is_some_and(|l| !l.holder.is_empty())).await;
    let holder = rehearsal.mirror.read().lease.clone().expect("a lease").holder;
    let pid = holder.rsplit(['(', ')']).nth(1).expect("a process id").to_string();
    outer.signal("KILL");
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(std::time::Instant::now() < end, "process {pid} outlives its terminal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rehearsal.until("the lease is given back", |w| w.lease.as_ref().is_some_and(|l| l.holder.is_empty())).await;
}

#[test]
fn the_sandbox_console_is_one_command() {
    let home = tempfile::tempdir().expect("a folder");
    let mut terminal = Terminal::start(&["--sandbox"], home.path(), SIZE, &[]);
    let first = terminal.until_shows(APP);
    let screen = terminal.screen();
    assert!(screen.contains("Initialized"), "initialized when the first names are drawn:\n{screen}");
    println!("first names after {:?}", first - terminal.started);
    let place = |name: &str| screen.find(name);
    assert!(place(APP) < place("jx-production-cart") && place("jx-production-cart") < place("jx-production-search"));
    terminal.until_shows("100.00 %");
    terminal.type_keys("q");
    left_as_it_was(&mut terminal);
}
