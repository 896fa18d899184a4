//! The real program in a real terminal, where it must do no harm: No is where the focus is, text from the cluster is
//! data, and a panic gives the terminal back.

mod rehearsal;
mod terminal;

use canary_tui::api::Phase;
use rehearsal::{APP, Rehearsal, hurried, weight};
use serde_json::json;
use std::time::Duration;
use terminal::{Size, Terminal, is_child};

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

/// What the next test runs in a terminal of its own: the console's terminal is taken, and then something panics.
#[test]
fn a_child_that_panics() {
    if is_child() {
        let _session = canary_tui::tui::terminal::Session::enter().expect("a terminal");
        panic!("drill");
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_readable() {
    let home = tempfile::tempdir().expect("a folder");
    let mut terminal = Terminal::run_test("a_child_that_panics", home.path(), SIZE);
    left_as_it_was(&mut terminal);
    let (raw, _) = terminal.written();
    let raw = String::from_utf8_lossy(&raw);
    assert!(raw.contains("\u{1b}[?1049h"), "it was taken");
    let left = raw.rfind("\u{1b}[?1049l").expect("it is given back");
    assert!(raw[left..].contains("drill"), "the message comes after that, where it can be read");
}
