//! What an operator does in the console, on the real program: keys are typed, the screen is read.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE, start};
use std::time::Duration;

/// Long enough that no check comes by itself while a test goes on.
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn a_good_version_is_rolled_out_step_by_step_and_promoted() {
    let cluster = Cluster::start(Duration::from_secs(1));
    let mut console = cluster.console();
    console.type_keys("s");
    console.until("the good version is offered first", PATIENCE, |screen| screen.contains("▸ 1.1.0"));
    console.type_keys("\r");
    console.until_shows(&format!("Start 1.1.0 of {APP}?"));
    console.type_keys("y");
    console.until("it is promoted", PATIENCE, |screen| {
        screen.contains(&format!("Promotion completed! Scaling down {APP}.jx-production"))
            && screen.contains("Succeeded")
            && screen.contains("PRIMARY 1.1.0")
    });
    // The whole sequence, each message once and in its order.
    console.type_keys("e");
    console.until("the events are read in full", PATIENCE, |screen| {
        screen.contains("esc close") && screen.contains("Starting canary analysis")
    });
    let screen = console.screen();
    let mut rest = screen.as_str();
    let advance = |weight: u32| format!("Advance {APP}.jx-production canary weight {weight}");
    let wanted = [
        format!("New revision detected! Scaling up {APP}.jx-production"),
        format!("Starting canary analysis for {APP}.jx-production"),
        advance(10),
        advance(20),
        advance(30),
        advance(40),
        advance(50),
        format!("Copying {APP}.jx-production template spec to {APP}-primary.jx-production"),
        "Routing all traffic to primary".to_string(),
        format!("Promotion completed! Scaling down {APP}.jx-production"),
    ];
    for message in &wanted {
        // The newest stands below the list once more, in full.
        let times = if Some(message) == wanted.last() { 2 } else { 1 };
        assert_eq!(screen.matches(message.as_str()).count(), times, "{message}:\n{screen}");
        let at = rest.find(message.as_str()).unwrap_or_else(|| panic!("{message} is out of order:\n{screen}"));
        rest = &rest[at..];
    }
    console.type_keys("\x1b");
    console.until("the events are closed", PATIENCE, |screen| screen.contains("q quit"));
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
}

#[test]
fn a_bad_version_is_counted_to_the_threshold_and_rolled_back() {
    let cluster = Cluster::start(Duration::from_secs(1));
    let mut console = cluster.console();
    start(&mut console, "5xx");
    console.until("its failed checks are counted", PATIENCE, |screen| {
        screen.contains("advancement success rate") && (1..5).any(|n| screen.contains(&format!("checks {n} of 5")))
    });
    console.until("it is rolled back", PATIENCE, |screen| {
        screen.contains("✗ Failed") && screen.contains("rolled back ✗") && screen.contains("5 of 5")
    });
    assert!(console.screen().contains("PRIMARY 1.0.0"));
}

#[test]
fn pause_holds_next_steps_promote_goes_all_the_way() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.console();
    start(&mut console, "1.1.0");
    console.type_keys("p");
    console.until_shows(&format!("Pause {APP}?"));
    console.type_keys("y");
    console.until_shows("Paused at 10 % by sandbox-operator");
    console.type_keys("p");
    console.until_shows(&format!("Resume {APP}?"));
    console.type_keys("y");
    console.until("it is resumed", PATIENCE, |screen| {
        !screen.contains("Paused at") && screen.contains(&format!("resume {APP}: carried out"))
    });
    console.type_keys("n");
    console.until_shows("The checks run now. If they pass, 20 % of the traffic");
    console.type_keys("y");
    // Whether the checks have anything to look at yet is Prometheus' affair: either outcome is told.
    console.until("the checks have run", PATIENCE, |screen| {
        screen.contains(&format!("advance {APP}: carried out")) || screen.contains(&format!("advance {APP}: refused"))
    });
    console.type_keys("P");
    console.until_shows(&format!("Promote 1.1.0 of {APP} now?"));
    console.type_keys("y");
    console.until("all traffic goes to the new version", PATIENCE, |screen| {
        screen.contains(&format!("promote {APP}: carried out"))
            && screen.contains("PRIMARY 1.1.0")
            && screen.contains("Routing all traffic to primary")
    });
}

#[test]
fn abort_is_asked_once_and_carried_out_at_once() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.console();
    // A key that does nothing now says why.
    console.type_keys("a");
    console.until_shows("no rollout is under way");
    start(&mut console, "1.1.0");
    console.type_keys("a");
    console.until_shows("10 % of the traffic leaves 1.1.0 now.");
    console.type_keys("\r");
    console.until("Enter on No leaves", PATIENCE, |screen| !screen.contains("leaves 1.1.0 now"));
    assert!(console.screen().contains("Progressing"));
    console.type_keys("ay");
    console.until("it is aborted", PATIENCE, |screen| {
        screen.contains("✗ Failed") && screen.contains(&format!("abort {APP}: carried out"))
    });
}

#[test]
fn leaving_in_the_middle_of_a_rollout_asks() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.console();
    start(&mut console, "1.1.0");
    console.type_keys("q");
    console.until_shows("This console drives a rollout that is under way:");
    console.type_keys("\x1b");
    console.until("it stays", PATIENCE, |screen| !screen.contains("This console drives a rollout"));
    console.type_keys("qy");
    assert!(console.ended(PATIENCE).success());
    assert_eq!(console.taken(), (false, false));
    // The lease was given back: the next console drives at once and finds the rollout where it was.
    let next = cluster.open((120, 40), &[], &[]);
    next.until_shows("driver: this console");
    next.until_shows("10 % to 1.1.0");
}

#[test]
fn a_version_that_the_target_had_is_chosen_from_its_replica_sets() {
    let cluster = Cluster::start(Duration::from_secs(1));
    let mut console = cluster.console();
    start(&mut console, "1.1.0");
    console
        .until("it is promoted", PATIENCE, |screen| screen.contains("Succeeded") && screen.contains("PRIMARY 1.1.0"));
    // Who may not read them chooses among the rest, and is told.
    cluster.sandbox.deny(Some(std::sync::Arc::new(|asked| asked.verb == "list" && asked.resource == "replicasets")));
    console.type_keys("s");
    console.until("it is said", PATIENCE, |screen| {
        screen.contains("which versions it had before is not known") && screen.contains("not permitted")
    });
    console.type_keys("2.0.0\r");
    console.until_shows(&format!("Start 2.0.0 of {APP}?"));
    console.type_keys("n");
    console.until("nothing is asked", PATIENCE, |screen| !screen.contains("Start 2.0.0"));
    cluster.sandbox.deny(None);

    console.type_keys("s");
    console.until("both are there", PATIENCE, |screen| {
        screen.contains("serves now, revision 2, the target's now") && screen.contains("revision 1, first seen")
    });
    // Down to the line that is typed, and up to the oldest.
    console.type_keys("x\x7f\x1b[A");
    console.until_shows("one image brings it back as it was");
    console.type_keys("\r");
    console.until_shows(&format!("Start 1.0.0 of {APP}?"));
    console.until_shows("That brings its revision 1 back as it was.");
    let question = console.screen();
    assert!(
        question.contains(":1.0.0") && question.contains("instead of") && question.contains(":1.1.0"),
        "{question}"
    );
    console.type_keys("y");
    console.until_shows(" % to 1.0.0");
}
