//! The console in a terminal, on a real API server: what the operator sees and does there, from a start to its end.

mod ground;
#[path = "../terminal/mod.rs"]
mod terminal;

use ground::{APP, Ground, NEVER, PATIENCE, SOON};
use terminal::Terminal;

/// A console in the test's namespace.
fn open(ground: &Ground, further: &[&str]) -> Terminal {
    let kubeconfig = ground.kubeconfig.to_str().expect("a plain path").to_owned();
    let metrics = ground.watched.metrics_url();
    let mut arguments = vec!["--kubeconfig", &kubeconfig, "--prometheus", &metrics, "--namespace", &ground.namespace];
    arguments.extend_from_slice(&["--min-interval", "200ms"]);
    arguments.extend_from_slice(further);
    Terminal::start(&arguments, ground.home.path(), (120, 40), &[])
}

/// Types a version and says yes.
fn start(console: &mut Terminal, tag: &str) {
    // For a moment after each change of the target its revision has no name, and a start none to go by.
    loop {
        console.type_keys("s");
        let answered = |screen: &str| screen.contains("Start which version") || screen.contains("not known yet");
        console.until("no answer to the key", PATIENCE, answered);
        if console.screen().contains("Start which version") {
            break;
        }
        console.type_keys("\x1b");
        console.until("the answer leaves", PATIENCE, |screen| !screen.contains("not known yet"));
    }
    console.type_keys(tag);
    console.type_keys("\r");
    console.until_shows(&format!("Start {tag} of {APP}?"));
    console.type_keys("y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn a_rollout_is_driven_from_the_screen_to_its_end() {
    let ground = Ground::new("console").await;
    ground.plant(SOON).await;
    let mut console = open(&ground, &[]);
    console.until_shows("driver: this console");
    console.until_shows("Initialized");
    start(&mut console, "1.1.0");
    console.until_shows("% to 1.1.0");
    console
        .until("it is promoted", PATIENCE, |screen| screen.contains("Succeeded") && screen.contains("PRIMARY 1.1.0"));
    ground.until_phase("Succeeded").await;
    assert_eq!(ground.watched.weights(), [0, 10, 20, 30, 40, 50, 0]);
    console.until_shows(&format!("Promotion completed! Scaling down {APP}"));
    // A bad one is counted and taken back.
    start(&mut console, "5xx");
    console.until_shows("advancement success rate");
    console.until("it is rolled back", PATIENCE, |screen| screen.contains("✗ Failed") && screen.contains("5 of 5"));
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
    ground.until("the lease is given back", |w| w.get("Lease", "canary-tui")["spec"]["holderIdentity"] == "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn the_operator_holds_steps_and_aborts_while_another_process_drives() {
    let (ground, _controller) = Ground::driven("wheel", NEVER).await;
    let mut console = open(&ground, &["--no-controller"]);
    console.until_shows("Initialized");
    start(&mut console, "1.1.0");
    console.until_shows("10 % to 1.1.0");
    for (key, question, seen) in [("p", "Pause", "Paused at 10 %"), ("p", "Resume", "resume")] {
        console.type_keys(key);
        console.until_shows(&format!("{question} {APP}?"));
        console.type_keys("y");
        console.until_shows(seen);
    }
    console.until_shows(&format!("resume {APP}: carried out"));
    console.type_keys("a");
    console.until_shows("10 % of the traffic leaves 1.1.0 now.");
    console.type_keys("y");
    console.until_shows(&format!("abort {APP}: carried out"));
    ground.until_phase("Failed").await;
    assert_eq!(ground.watched.weight(), 0);
    console.until_shows("✗ Failed");
}
