//! What the checks of many canaries cost: as much as those of a few.

mod rehearsal;

use canary_tui::sandbox::Options;
use rehearsal::{Rehearsal, hurried};
use serde_json::{Value, json};
use std::time::Duration;

/// The shortest interval that has slots.
const INTERVAL: Duration = Duration::from_secs(10);
const CANARIES: usize = 30;
const NAMESPACE: &str = "jx-production";

/// Requests that Prometheus has had through the API server.
fn asked(rehearsal: &Rehearsal) -> u64 {
    let requests = rehearsal.sandbox.requests();
    requests.iter().filter(|((_, resource), _)| resource.contains("proxy")).map(|(_, count)| count).sum()
}

async fn until_all_at(rehearsal: &Rehearsal, weight: u8) {
    let all = |world: &canary_tui::cluster::World| {
        world.canaries.len() == CANARIES && world.canaries.values().all(|c| c.status.canary_weight >= weight)
    };
    rehearsal.until(&format!("not all at {weight}"), all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_that_are_due_together_ask_prometheus_once_for_each_metric() {
    let options = Options { canaries: CANARIES, replicas: 1, ..hurried(INTERVAL) };
    let rehearsal = Rehearsal::driving(options).await;
    let names: Vec<String> = rehearsal.mirror.read().canaries.keys().cloned().collect();
    for name in &names {
        let set = |target: &mut Value| {
            let image = &mut target["spec"]["template"]["spec"]["containers"][0]["image"];
            let repository = image.as_str().and_then(|image| image.rsplit_once(':')).expect("a tag").0;
            *image = json!(format!("{repository}:1.1.0"));
        };
        rehearsal.sandbox.store().modify("Deployment", Some(NAMESPACE), name, set).expect("an image");
    }
    until_all_at(&rehearsal, 10).await;
    let before = asked(&rehearsal);
    // Two checks of each, of two metrics.
    until_all_at(&rehearsal, 30).await;
    let asked = asked(&rehearsal) - before;
    assert!(asked >= 4, "{asked}: they were checked");
    // Ten slots in each of two intervals would be forty; one after the other they would ask four times each.
    assert!(asked <= 40, "{asked}");
    let slot = i64::try_from(INTERVAL.as_millis()).expect("a few") / 10;
    let world = rehearsal.mirror.read();
    for name in &names {
        let at = world.canaries[name].status.last_transition.expect("a status").timestamp_millis();
        let spec = world.canaries[name].spec.as_ref().expect("a spec");
        let due = canary_tui::rollout::next_check(&world.canaries[name].status, spec.analysis.interval);
        let due = due.expect("it is due").timestamp_millis();
        assert!(due % slot <= 800, "{name}: written at {at}, due at {due}");
    }
}
