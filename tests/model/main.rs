//! All that can happen to a rollout, within bounds: a model checker walks every state of a small cluster, its drivers and
//! its operator, and holds the promises in each. What is checked is the decision of `rollout/` itself; what carries it out
//! is a model of `controller/` and of an API server.
//!
//! The promises, and where each one ends:
//! - Weights add up to 100 and go to the two Services of the Canary, which exist by then.
//! - No decision leaves, or puts, traffic on a workload without a ready pod while the other one has some. What cannot be
//!   avoided: pods that are lost after the driver looked stay under traffic until it has looked again. At rest and while
//!   initialising nothing but the primary is there to serve.
//! - No write of an older driver succeeds once a newer one has written to that object, and nothing is overwritten that its
//!   driver had not seen. The taking off of a request is held by the request's own text.
//! - No gate is passed that did not say yes to the revision, unless an operator opened it or asked for what lies behind it.
//! - A revision that has failed is not promoted without a request to start or promote it, asked after that or still pending.
//! - The version promoted last is on the primary or kept beside it.
//! - An abort that was carried out stays so until somebody asks for something else or the target changes; and one that is
//!   pending ends what is under way, whatever came before it.
//! - From every state there is, with the faults stopped, the rollout comes to an end within a bounded number of steps,
//!   whether the checks pass, fail or find nothing, and whether the pods get ready or never do. It may stay under way only
//!   while an operator holds it, or while a primary waits for pods that never come.
//!
//! Taken at their word, because others hold them to it: the fence (who has lost the lease sends nothing), and that a write
//! without an answer arrives, if it ever does, before the read that follows it.

mod cluster;
mod decision;
mod settling;
mod system;

use canary_tui::api::Verb;
use decision::Analysis;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::time::Instant;
use system::{Action, Budget, System};

/// Walks all states of one configuration, in the order of their distance: a counterexample is a shortest one.
fn hold(name: &str, system: System) {
    let began = Instant::now();
    let checker = system.checker().threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let model = checker.model();
    println!(
        "{name}: {} states, {} of them different, {} decisions, at most {} steps to an end, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        model.decider.questions(),
        model.settled.longest(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    let found = checker.discoveries();
    let promises = model.properties();
    let (wanted, forbidden): (Vec<_>, Vec<_>) = promises.iter().partition(|p| p.expectation == Expectation::Sometimes);
    let broken: Vec<_> = forbidden.iter().filter_map(|p| Some((p.name, found.get(p.name)?))).collect();
    for (promise, path) in &broken {
        println!("BROKEN: {promise}");
        for (state, action) in (*path).clone().into_vec() {
            let next = state.driver.as_ref().and_then(|driver| driver.queue.first());
            println!("  {}", state.world);
            match (action, next) {
                (Some(Action::Write | Action::WriteUnanswered | Action::WriteLost | Action::DieSending), Some(act)) => {
                    println!("    -> {action:?} {act:?}");
                }
                (action, _) => println!("    -> {action:?}"),
            }
        }
    }
    assert!(broken.is_empty(), "{name}: {:?}", broken.iter().map(|(promise, _)| promise).collect::<Vec<_>>());
    // Else the promises would be held by a rollout that never goes anywhere.
    assert!(wanted.iter().all(|p| found.contains_key(p.name)), "{name}: {:?}", found.keys());
}

const NONE: Budget = Budget { faults: 0, takeovers: 0, losses: 0, requests: 0, revisions: 1, reverts: 0 };
const PLAIN: Analysis = Analysis {
    step: 0,
    max: 100,
    threshold: 1,
    iterations: 0,
    matched: false,
    mirror: false,
    gates: false,
    skip: false,
};
/// One step to the promotion, and one failed check ends it.
const SHORT: Analysis = Analysis { step: 50, max: 50, threshold: 1, ..PLAIN };
/// Two of each.
const LONG: Analysis = Analysis { step: 30, max: 60, threshold: 2, ..PLAIN };
const ENDING: &[Verb] = &[Verb::Abort, Verb::Promote];
/// Whatever concerns a rollout.
const ANY: &[Verb] = &[Verb::Start, Verb::Pause, Verb::Resume, Verb::Advance, Verb::Promote, Verb::Abort];
/// What concerns a rollout that waits at a gate.
const AT_GATES: &[Verb] = &[Verb::Open, Verb::Start, Verb::Promote, Verb::Abort];

#[test]
fn an_operator_asks_anything_at_any_time() {
    let budget = Budget { requests: 2, ..NONE };
    hold("an operator asks anything", System::new(SHORT, budget, ANY));
}

#[test]
fn the_target_changes_at_any_time() {
    let budget = Budget { requests: 1, revisions: 2, reverts: 1, ..NONE };
    hold("the target changes", System::new(SHORT, budget, &[Verb::Start, Verb::Abort, Verb::Promote]));
}

#[test]
fn pods_come_and_go() {
    let budget = Budget { losses: 2, requests: 1, ..NONE };
    hold("pods come and go", System::new(LONG, budget, ENDING));
}

#[test]
fn writes_are_lost_and_the_driver_dies() {
    let budget = Budget { requests: 1, faults: 2, ..NONE };
    hold("writes are lost", System::new(SHORT, budget, ANY));
}

#[test]
fn its_watches_lag() {
    let budget = Budget { requests: 1, faults: 2, ..NONE };
    let system = System { lagging: true, ..System::new(SHORT, budget, ENDING) };
    hold("its watches lag", system);
}

#[test]
fn another_driver_takes_over() {
    let budget = Budget { requests: 1, faults: 1, takeovers: 1, ..NONE };
    let system = System { standby: true, ..System::new(SHORT, budget, ENDING) };
    hold("another driver takes over", system);
}

#[test]
fn another_driver_takes_over_while_the_target_changes() {
    let budget = Budget { faults: 1, takeovers: 1, revisions: 2, ..NONE };
    let system = System { standby: true, ..System::new(SHORT, budget, &[]) };
    hold("another driver takes over a changed target", system);
}

#[test]
fn the_first_deployment() {
    let budget = Budget { faults: 1, requests: 1, ..NONE };
    let system = System { initialising: true, ..System::new(SHORT, budget, ENDING) };
    hold("the first deployment", system);
}

#[test]
fn an_ab_test() {
    let analysis = Analysis { iterations: 1, matched: true, ..PLAIN };
    let budget = Budget { faults: 1, losses: 1, requests: 1, ..NONE };
    hold("an A/B test", System::new(analysis, budget, &[Verb::Abort, Verb::Advance]));
}

#[test]
fn a_blue_green_rollout_with_mirroring() {
    let analysis = Analysis { iterations: 1, mirror: true, ..PLAIN };
    let budget = Budget { faults: 1, losses: 1, requests: 1, ..NONE };
    hold("a blue/green rollout", System::new(analysis, budget, &[Verb::Abort, Verb::Advance]));
}

#[test]
fn a_rollout_that_mirrors_before_its_first_step() {
    let analysis = Analysis { mirror: true, ..SHORT };
    let budget = Budget { faults: 1, losses: 1, requests: 1, ..NONE };
    hold("mirroring", System::new(analysis, budget, ENDING));
}

#[test]
fn gates_open_and_shut_while_writes_are_lost() {
    let analysis = Analysis { gates: true, ..SHORT };
    let budget = Budget { faults: 1, requests: 1, ..NONE };
    hold("gates", System::new(analysis, budget, AT_GATES));
}

#[test]
fn gates_stand_while_the_target_changes() {
    let analysis = Analysis { gates: true, ..SHORT };
    let budget = Budget { requests: 1, revisions: 2, reverts: 1, ..NONE };
    hold("gates and a target that changes", System::new(analysis, budget, &[Verb::Open, Verb::Abort]));
}

#[test]
fn a_promotion_without_analysis() {
    let analysis = Analysis { skip: true, ..SHORT };
    let budget = Budget { faults: 1, losses: 1, requests: 1, ..NONE };
    hold("no analysis", System::new(analysis, budget, ENDING));
}
