//! What the controller asks of the API server and of Prometheus for fifty canaries that roll out at once: the counts
//! of `cargo bench --bench fleet`, without its times.

mod fleet;

use chrono::Utc;
use fleet::{Fleet, What, count};
use std::collections::BTreeSet;
use std::time::Duration;

/// As many as a machine drives that builds something else meanwhile.
const CANARIES: usize = 50;
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_rollouts_cost_writes_and_what_they_read_is_shared() {
    // Two steps and the promotion.
    let mut fleet = Fleet::start(CANARIES, 20).await;
    fleet.drive().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = fleet.sandbox.requests();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = fleet.requests_since(&idle);
    assert!(idle.is_empty(), "idle canaries cost requests: {idle:?}");

    let (before, from, names) = (fleet.sandbox.requests(), Utc::now(), fleet.names());
    names.iter().for_each(|name| fleet.set_version(name, "1.1.0"));
    let all: BTreeSet<String> = names.iter().cloned().collect();
    let ended = fleet.until_ended(&all, from, Duration::from_secs(150)).await.expect("all rollouts end");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let requests = fleet.requests_since(&before);
    let is_event = |resource: &str| resource.starts_with("events");
    let is_of_rollouts = |resource: &str| {
        ["canaries", "deployments", "virtualservices", "destinationrules", "services."]
            .iter()
            .any(|kind| resource.starts_with(kind))
            || resource == "services"
    };

    // A status that is written ends a step.
    let steps =
        fleet.log(|log| log.iter().filter(|s| s.at >= from && matches!(s.what, What::Status(_))).count()) as u64;
    let writes = count(&requests, &WRITES, is_of_rollouts);
    assert!(writes <= 3 * steps, "{writes} writes in {steps} steps: {requests:?}");

    // The target is looked at once more before it is promoted, and what was kept of the rollouts before comes with the
    // answers to the writes; beside that a conflict may ask what it has met.
    let reads = count(&requests, &["get"], is_of_rollouts);
    assert!(reads <= CANARIES as u64 * 3 / 2, "{reads} reads: {requests:?}");
    let of_canaries = count(&requests, &["get"], |resource| resource.starts_with("canaries"));
    assert!(of_canaries <= CANARIES as u64 / 10, "{of_canaries} reads of canaries: {requests:?}");
    let looks = count(&requests, &["get"], |resource| resource.starts_with("deployments"));
    assert!(looks >= CANARIES as u64, "{looks} looks at a target: {requests:?}");
    assert_eq!(count(&requests, &["get", "list"], is_event), 0, "{requests:?}");

    // Four at each slot of a second that any check was in.
    let asked: u64 = requests.iter().filter(|((_, what), _)| what.starts_with("services/proxy")).map(|(_, n)| n).sum();
    let seconds = (ended - from).num_seconds() as u64 + 2;
    assert!(asked > 0 && asked <= 4 * seconds, "{asked} questions to Prometheus in {seconds} s");

    // None says less than another.
    let told = |name: &String| fleet.messages(name, from).into_iter().collect::<BTreeSet<String>>();
    let first = told(&names[0]);
    assert!(first.iter().any(|text| text.starts_with("Promotion completed")), "{first:?}");
    for name in &names {
        let missing: Vec<String> = first.difference(&told(name)).cloned().collect();
        assert!(missing.is_empty(), "{name} does not say {missing:?}");
    }
}
