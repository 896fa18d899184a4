//! A great many random rollouts through the pure decision, and its rules one by one, on a small model of the cluster.

mod phases;
mod rules;
mod world;

use canary_tui::api::{Phase, Verb};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use world::{INTERVAL, Version, World, revision_name, spec};

fn one_rollout(seed: u64) {
    let mut world = World::new(seed);
    world.faults = false;
    world.run_until(|w| w.status.phase == Phase::Initialized, "never initialized");
    world.faults = true;
    world.change_target();
    for _ in 0..world.rng.random_range(1..60) {
        world.drive();
        let seconds = world.rng.random_range(0..12);
        world.pass_time(seconds);
        world.disturb();
    }
    if world.deleting {
        return ended(&mut world);
    }
    let promoted = world.status.last_promoted.clone();
    let bears = world.serving();
    world.calm();
    if world.rng.random_bool(0.3) && world.status.phase.under_way() {
        // Abort wins, from wherever this stands.
        let id = world.ask(Verb::Abort);
        let pending_change = world.status.applied() != Some(world.present());
        world.run_until(|w| w.request.is_none(), "the abort never ended");
        let (_, carried_out) = world.outcomes.iter().find(|(known, _)| *known == id).expect("an outcome").clone();
        if carried_out {
            assert_eq!((world.status.phase, world.weight()), (Phase::Failed, 0), "{:#?}", world.trail);
            let serving = world.primary.as_ref().map(|p| revision_name(p.revision));
            assert_eq!(serving, promoted, "the last promoted version serves: {bears:?} {:?}", world.trail);
        } else {
            assert!(pending_change || world.status.phase != Phase::Failed, "refused: {:?}", world.trail);
        }
    }
    // Nothing is stuck: it comes to an end and stays there. A primary whose new version never gets ready is an
    // operator's call: the promotion waits, and abort ends it.
    world.request = None;
    let end = |w: &World| {
        let promoting = matches!(w.status.phase, Phase::Promoting | Phase::Finalising);
        let stalled = promoting && w.primary.as_ref().is_some_and(|p| !w.versions[p.revision].gets_ready);
        let present = Some(w.present());
        stalled || w.status.phase.at_rest() && (w.status.applied() == present || w.serving() == present)
    };
    world.run_until(end, "stuck");
    if world.status.phase.at_rest() {
        let serves = world.primary.as_ref().map(|p| revision_name(p.revision));
        assert_eq!(serves, world.status.last_promoted, "the status says what serves: {:?}", world.trail);
    }
}

/// A Canary that is deleted under its finalizer: users are served, by what was promoted, to the end.
fn ended(world: &mut World) {
    world.calm();
    world.run_until(|w| w.gone, "the finalizer stays");
    assert!(world.handed_back, "{:?}", world.trail);
}

/// A world with the seed's analysis, initialized, without faults.
fn seeded() -> World {
    analysed(json!({"maxWeight": 50, "stepWeight": 10}))
}

/// As [`seeded`], with other steps.
fn analysed(steps: Value) -> World {
    let mut analysis = json!({"interval": "10s", "threshold": 5,
        "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]});
    analysis.as_object_mut().unwrap().extend(steps.as_object().cloned().unwrap());
    let mut world = World::of(spec(analysis, json!({})), Pcg64Mcg::seed_from_u64(1));
    world.faults = false;
    world.run_until(|w| w.status.phase == Phase::Initialized, "never initialized");
    let last = world.synced.last().map(|(_, message)| message.as_str());
    assert_eq!(last, Some("Initialization done! app.test"));
    world.synced.clear();
    world
}

/// Rolls out a version that behaves so, to its end; answers the distinct messages in their order.
fn rolled_out(world: &mut World, version: Version) -> Vec<String> {
    world.versions.push(version);
    world.set_target(world.versions.len() - 1);
    world.run_until(|w| w.status.phase.at_rest() && !w.synced.is_empty(), "no end");
    let mut said: Vec<String> = Vec::new();
    for (_, message) in &world.synced {
        if !message.contains("not ready") && !said.contains(message) {
            said.push(message.clone());
        }
    }
    said
}

#[test]
fn a_good_version_says_what_flagger_says_in_its_order() {
    let mut world = seeded();
    let said = rolled_out(&mut world, Version { gets_ready: true, good: true });
    assert_eq!(
        said,
        [
            "New revision detected! Scaling up app.test",
            "Starting canary analysis for app.test",
            "Advance app.test canary weight 10",
            "Advance app.test canary weight 20",
            "Advance app.test canary weight 30",
            "Advance app.test canary weight 40",
            "Advance app.test canary weight 50",
            "Copying app.test template spec to app-primary.test",
            "Routing all traffic to primary",
            "Promotion completed! Scaling down app.test",
        ]
    );
    assert_eq!((world.status.phase, world.target.desired), (Phase::Succeeded, 0));
    assert_eq!(world.status.last_promoted.as_deref(), Some("rev1"));
}

#[test]
fn named_weights_are_taken_one_by_one() {
    let mut world = analysed(json!({"stepWeights": [1, 2, 10, 80]}));
    let said = rolled_out(&mut world, Version { gets_ready: true, good: true });
    let steps: Vec<&str> = said.iter().filter_map(|m| m.strip_prefix("Advance app.test canary weight ")).collect();
    assert_eq!(steps, ["1", "2", "10", "80"]);
    assert_eq!(world.status.phase, Phase::Succeeded);
}

#[test]
fn the_promoted_primary_gets_its_traffic_back_step_by_step_one_an_interval() {
    let mut world = analysed(json!({"stepWeight": 100, "stepWeightPromotion": 50}));
    let said = rolled_out(&mut world, Version { gets_ready: true, good: true });
    assert_eq!(
        said[2..],
        [
            "Advance app.test canary weight 100",
            "Copying app.test template spec to app-primary.test",
            "Advance app.test primary weight 50",
            "Advance app.test primary weight 100",
            "Promotion completed! Scaling down app.test",
        ]
    );
    let at = |message: &str| world.synced.iter().find(|(_, m)| m.starts_with(message)).unwrap().0;
    assert_eq!(at("Advance app.test primary weight 100") - at("Advance app.test primary weight 50"), INTERVAL);
    assert_eq!((world.status.phase, world.weight()), (Phase::Succeeded, 0));
}

#[test]
fn a_bad_version_is_rolled_back_in_the_step_that_reaches_the_threshold() {
    let mut world = seeded();
    let said = rolled_out(&mut world, Version { gets_ready: true, good: false });
    assert_eq!(
        said[2..],
        [
            "Advance app.test canary weight 10",
            "Halt app.test advancement success rate 50.00% < 99%",
            "Rolling back app.test failed checks threshold reached 5",
            "Canary failed! Scaling down app.test",
        ]
    );
    let halts: Vec<i64> = world.synced.iter().filter(|(_, m)| m.starts_with("Halt")).map(|(at, _)| *at).collect();
    let rolled_back = world.synced.iter().find(|(_, m)| m.starts_with("Rolling back")).map(|(at, _)| *at);
    assert_eq!((halts.len(), halts.last().copied()), (5, rolled_back), "no further interval of bad traffic");
    assert!(halts.windows(2).all(|w| w[1] - w[0] == INTERVAL), "one check an interval: {halts:?}");
    assert_eq!((world.status.phase, world.status.failed_checks), (Phase::Failed, 5));
    assert_eq!((world.weight(), world.target.desired), (0, 0));
}

#[test]
fn a_version_that_never_gets_ready_fails_at_its_deadline() {
    let mut world = seeded();
    let said = rolled_out(&mut world, Version { gets_ready: false, good: true });
    assert!(said.iter().any(|m| m.starts_with("Rolling back app.test progress deadline exceeded")), "{said:?}");
    let took = world.synced.last().unwrap().0 - world.synced.first().unwrap().0;
    assert!((60..=66).contains(&took), "{took} s");
}

#[test]
fn back_on_the_promoted_revision_nothing_is_rolled_again() {
    let mut world = seeded();
    world.versions.push(Version { gets_ready: true, good: true });
    world.set_target(1);
    world.run_until(|w| w.status.canary_weight == 20, "no weight");
    world.set_target(0);
    world.run_until(|w| w.status.phase.at_rest(), "no end");
    assert_eq!((world.status.phase, world.target.desired), (Phase::Succeeded, 0));
    let before = world.synced.len();
    world.pass_time(100);
    world.drive();
    assert_eq!(world.synced.len(), before);
}

#[test]
fn a_failed_revision_that_is_started_again_gets_all_its_checks_again() {
    let mut world = seeded();
    rolled_out(&mut world, Version { gets_ready: true, good: false });
    world.versions[1].good = true;
    world.ask_plainly(Verb::Start);
    world.run_until(|w| w.request.is_none() && w.status.phase.at_rest(), "no end");
    assert_eq!((world.status.phase, world.status.last_promoted.as_deref()), (Phase::Succeeded, Some("rev1")));
}

#[test]
fn a_pause_holds_the_weight_and_keeps_the_safety_net() {
    let mut world = seeded();
    world.versions.push(Version { gets_ready: true, good: true });
    world.set_target(1);
    world.run_until(|w| w.status.canary_weight == 20, "no weight");
    world.rng = Pcg64Mcg::seed_from_u64(7);
    world.ask_plainly(Verb::Pause);
    for _ in 0..20 {
        world.drive();
        world.pass_time(5);
    }
    assert_eq!((world.status.canary_weight, world.paused.is_some()), (20, true));
    world.versions[1].good = false;
    world.run_until(|w| w.status.phase == Phase::Failed, "a paused rollout that fails is rolled back");
    assert!(world.paused.is_none(), "a pause ends with its rollout");
}

#[test]
fn a_great_many_random_rollouts_keep_every_promise() {
    let count: u64 = 100_000;
    let began = std::time::Instant::now();
    for seed in 0..count {
        one_rollout(seed);
    }
    println!("{count} rollouts in {:.1} s", began.elapsed().as_secs_f64());
}
