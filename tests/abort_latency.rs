//! How soon an abort acts. Alone in its file: nothing else of the tests runs while it is timed.

mod rehearsal;

use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::Outcome;
use rehearsal::{APP, Rehearsal, hurried, weight};
use std::time::{Duration, Instant};

/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);
/// From the request being written to its outcome, at the 99th percentile.
const LIMIT: Duration = Duration::from_millis(250);

/// In how many attempts it must be reached: on a machine that others keep busy, one proves nothing.
const ATTEMPTS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_acts_at_once_whatever_the_interval() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let mut late = Vec::new();
    while late.len() < ATTEMPTS && late.iter().all(|late| *late >= LIMIT) {
        late.push(attempt(&rehearsal).await);
    }
    assert!(late.iter().any(|late| *late < LIMIT), "{late:?}");
}

/// Aborts a hundred rollouts, and answers the 99th percentile of what each took.
async fn attempt(rehearsal: &Rehearsal) -> Duration {
    let mut took = Vec::new();
    for round in 0..100 {
        rehearsal.set_version(if round % 2 == 0 { "1.1.0" } else { "1.1.1" }).await;
        rehearsal.until("no first step", |w| weight(w) == 10 && w.canaries[APP].status.canary_weight == 10).await;
        let mut changes = rehearsal.sandbox.store().subscribe();
        let began = Instant::now();
        let outcome = rehearsal.ask(Verb::Abort).await;
        assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
        let mut written = None;
        while let Ok(change) = changes.try_recv() {
            let routes = change.kind.ends_with("VirtualService").then_some(&change.object);
            if routes.is_some_and(|r| r["spec"]["http"][0]["route"][1]["weight"] == 0) {
                written = Some(());
            }
        }
        assert!(written.is_some(), "the routes were written before the outcome");
        took.push(began.elapsed());
        rehearsal.until_phase(Phase::Failed).await;
    }
    took.sort();
    let (median, late) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("abort to its outcome, of {}: median {median:?}, 99th percentile {late:?}", took.len());
    late
}
