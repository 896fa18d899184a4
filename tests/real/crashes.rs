//! The controller is killed after every kind of write that a rollout makes, on a real API server: the write is applied
//! and its answer lost. The next controller takes over, and the rollout ends as if nothing had been.

mod ground;

use ground::interceptor::{Interceptor, Judge, Write};
use ground::{APP, Ground, SOON};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

/// Over how many namespaces the deaths are spread: after each one the Lease of the dead must run out.
const LANES: usize = 8;

/// A write, and the phase in which it was made: a scaling at the start is another one than a scaling at the end.
type Moment = (String, Write);

/// Runs a whole life of the app, initialized and rolled out, and kills the controller at each moment that `deadly`
/// picks, once. Returns the moments that it passed and those at which it died.
async fn live(name: &str, deadly: impl Fn(&Moment) -> bool + Send + Sync + 'static) -> (BTreeSet<Moment>, Vec<Moment>) {
    let ground = Arc::new(Ground::new(name).await);
    let passed: Arc<Mutex<BTreeSet<Moment>>> = Arc::default();
    let died: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let deadly = Arc::new(deadly);
    ground.plant(SOON).await;
    let keeper = {
        let (ground, passed, died) = (ground.clone(), passed.clone(), died.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let (ground_, passed, died, deadly) = (ground.clone(), passed.clone(), died.clone(), deadly.clone());
                let judge: Judge = Arc::new(move |write| {
                    // A write that sets the phase is seen before or after it is judged.
                    let canary =
                        if write.phase.is_empty() { ground_.watched.get("Canary", APP) } else { Arc::default() };
                    // A lease is renewed at moments of its own, whatever the phase.
                    let of_rollout = !write.object.starts_with("leases");
                    let phase =
                        canary["status"]["phase"].as_str().filter(|_| of_rollout).unwrap_or_default().to_owned();
                    let moment = (phase, write.clone());
                    let first = passed.lock().expect("no panic").insert(moment.clone());
                    let dies = first && deadly(&moment);
                    if dies {
                        died.lock().expect("no panic").push(moment);
                    }
                    dies
                });
                let mut way = Interceptor::open(&ground.client, ground.home.path(), number, judge).await;
                let controller = ground.controller_by(&way.kubeconfig);
                if way.cuts.recv().await.is_none() {
                    return;
                }
                controller.kill();
            }
        })
    };
    ground.until_phase("Initialized").await;
    ground.set_version("1.1.0").await;
    ground.until_phase("Succeeded").await;
    ground.until("all is at home", |w| w.weight() == 0 && w.replicas(APP) == 0).await;
    ground.until("its last message", |w| w.said("Promotion completed!")).await;
    keeper.abort();
    let w = &ground.watched;
    assert!(w.image(&format!("{APP}-primary")).ends_with(":1.1.0"));
    assert_eq!(w.weights(), [0, 10, 20, 30, 40, 50, 0], "no step is left out, and none goes back");
    assert_eq!(w.lost_requests(), 0, "no request found no ready pod");
    let said = w.messages(APP);
    for weight in [10, 20, 30, 40, 50] {
        let step = format!("Advance {APP}.{} canary weight {weight}", ground.namespace);
        assert_eq!(said.iter().filter(|m| **m == step).count(), 1, "{step}: {said:#?}");
    }
    let status = &w.get("Canary", APP)["status"];
    assert_eq!(status["lastAppliedSpec"], status["lastPromotedSpec"]);
    let (passed, died) = (passed.lock().expect("no panic").clone(), died.lock().expect("no panic").clone());
    (passed, died)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn the_controller_may_die_after_every_kind_of_write() {
    // Without a death, to learn what there is to die of.
    let (moments, died) = live("crash-none", |_| false).await;
    assert!(died.is_empty());
    let kinds =
        |moments: &BTreeSet<Moment>| moments.iter().map(|(_, write)| write.clone()).collect::<BTreeSet<Write>>();
    let mut all = BTreeSet::new();
    // What no life of a round came by, for it met it a moment later in another phase, the next round tries again.
    for round in 0..3 {
        let left: Vec<&Moment> = moments.difference(&all).collect();
        let mut running = JoinSet::new();
        for lane in 0..LANES.min(left.len()) {
            let deadly: BTreeSet<Moment> = left.iter().skip(lane).step_by(LANES).copied().cloned().collect();
            let name = format!("crash-{round}-{lane}");
            running.spawn(async move { live(&name, move |moment| deadly.contains(moment)).await.1 });
        }
        while let Some(lane) = running.join_next().await {
            all.extend(lane.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic())));
        }
        if kinds(&moments).is_subset(&kinds(&all)) {
            break;
        }
    }
    let missed: Vec<Write> = kinds(&moments).difference(&kinds(&all)).cloned().collect();
    println!("killed at {} moments, after {} kinds of writes", all.len(), kinds(&all).len());
    assert!(missed.is_empty(), "never after {missed:#?}");
    for resource in ["canaries", "deployments", "services", "virtualservices", "destinationrules", "events", "leases"] {
        assert!(all.iter().any(|(_, write)| write.object.starts_with(resource)), "never after a write to {resource}");
    }
}
