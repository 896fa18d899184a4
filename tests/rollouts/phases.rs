//! The phases that a rollout goes through, as Flagger's own unit tests know them, and what holds one up on the way.

use super::rules::{said, set, world};
use super::world::{Version, World};
use canary_tui::api::{Autoscaler, Phase, Status};
use canary_tui::rollout::{Answers, Effect, Part, Scaler, decide};
use serde_json::{Value, json};
use std::sync::Arc;

const GOOD: Version = Version { gets_ready: true, good: true };

/// Phase and weight of every status that was written, each change once.
fn phases(world: &World) -> Vec<(Phase, u8)> {
    let statuses = world.trail.iter().filter_map(|(_, _, effect)| match effect {
        Effect::WriteStatus(status) => Some((status.phase, status.canary_weight)),
        _ => None,
    });
    let mut phases: Vec<(Phase, u8)> = statuses.collect();
    phases.dedup();
    phases
}

/// The phases of a good version's rollout to its end.
fn phases_of(analysis: Value) -> Vec<(Phase, u8)> {
    let mut world = world(analysis, json!({}));
    world.trail.clear();
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "no end");
    phases(&world)
}

#[test]
fn a_stepwise_promotion_goes_through_flaggers_phases() {
    assert_eq!(
        phases_of(json!({"stepWeight": 100, "stepWeightPromotion": 50})),
        [
            (Phase::Progressing, 0),
            (Phase::Progressing, 100),
            (Phase::Promoting, 100),
            (Phase::Promoting, 50),
            (Phase::Finalising, 0),
            (Phase::Succeeded, 0),
        ]
    );
}

#[test]
fn a_blue_green_rollout_goes_through_flaggers_phases() {
    let phases = phases_of(json!({"iterations": 1}));
    let mut names: Vec<Phase> = phases.iter().map(|(phase, _)| *phase).collect();
    names.dedup();
    assert_eq!(names, [Phase::Progressing, Phase::Promoting, Phase::Finalising, Phase::Succeeded]);
}

#[test]
fn a_revision_that_comes_while_promoting_is_rolled_out_after_it() {
    let mut world = world(json!({"stepWeight": 50, "maxWeight": 50}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Promoting, "no promotion");
    set(&mut world, GOOD);
    world.run_until(|w| w.status.last_promoted.as_deref() == Some("rev1"), "the first is not ended");
    world.run_until(|w| w.status.last_promoted.as_deref() == Some("rev2"), "the second is not rolled out");
    let of = |start: &str| world.synced.iter().filter(|(_, message)| message.starts_with(start)).count();
    assert_eq!((of("New revision detected! Scaling up"), of("New revision detected! Restarting")), (2, 0));
    assert_eq!(of("Starting canary analysis"), 2, "what comes late is analysed like any other");
}

/// Flagger gives the rollout up there, and the canary serves for ever.
#[test]
fn a_promotion_whose_primary_is_not_ready_in_time_is_told_and_goes_on_once_it_is() {
    let alerts = json!([{"severity": "error", "providerRef": {"name": "chat"}}]);
    let mut world = world(json!({"stepWeight": 50, "maxWeight": 50, "alerts": alerts}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 50, "no weight");
    world.versions[1].gets_ready = false;
    world.run_until(|w| w.status.phase == Phase::Promoting, "no promotion");
    for _ in 0..30 {
        world.pass_time(5);
        world.drive();
    }
    assert_eq!(world.status.phase, Phase::Promoting);
    assert!(
        world.told.iter().any(|alert| alert.starts_with("Promotion failed, primary not ready: ")),
        "{:?}",
        world.told
    );
    assert!(world.primary_serves() || world.weight() == 100, "users are served");
    world.versions[1].gets_ready = true;
    let now = world.now;
    world.primary.as_mut().unwrap().ready_at = Some(now);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "it does not go on");
    assert_eq!(said(&world).last(), Some(&"Promotion completed! Scaling down app.test"));
}

/// What is decided on a Canary that begins, with this changed.
fn decided(change: impl FnOnce(&mut canary_tui::rollout::Facts)) -> Vec<Effect> {
    let mut world = world(json!({"stepWeight": 50}), json!({}));
    let status = Status { phase: Phase::Initializing, last_transition: Some(world.now), ..Default::default() };
    world.status = status;
    world.pass_time(30);
    let mut facts = world.facts(Answers { metrics_server: Some(Ok(())), ..Answers::default() });
    change(&mut facts);
    decide(&facts).effects
}

fn messages(effects: &[Effect]) -> Vec<&str> {
    let notes = effects.iter().filter_map(|effect| match effect {
        Effect::Event(note) => Some(note.message.as_str()),
        _ => None,
    });
    notes.collect()
}

#[test]
fn a_canary_is_initialized_though_no_metrics_server_answers_and_says_so() {
    let effects = decided(|facts| {
        facts.primary = None;
        facts.answers.metrics_server = Some(Err("prometheus not avaiable: refused".into()));
    });
    assert_eq!(messages(&effects), ["Error checking metric providers: prometheus not avaiable: refused"]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::CreatePrimary { .. })), "{effects:?}");
}

#[test]
fn an_autoscaler_that_is_missing_holds_the_initialization_and_is_named() {
    let effects = decided(|facts| {
        let mut spec = (*facts.spec).clone();
        spec.autoscaler = Some(Autoscaler { name: "web".into(), min_replicas: None, max_replicas: None });
        facts.spec = Arc::new(spec);
        facts.scaler = Some(Scaler { found: false, min_replicas: 1, primary: Part::Missing });
    });
    assert!(messages(&effects).contains(&"HorizontalPodAutoscaler web.test get query error: not found"), "{effects:?}");
    assert!(!effects.iter().any(|e| matches!(e, Effect::ScaleTarget { .. } | Effect::WriteStatus(_))), "{effects:?}");
}

#[test]
fn a_primary_that_is_not_ready_holds_the_initialization_and_the_target_serves_on() {
    let effects = decided(|facts| {
        if let Some(primary) = &mut facts.primary {
            primary.available = 0;
        }
    });
    let waiting = "app-primary.test not ready: waiting for rollout to finish: 0 of 2 (readyThreshold 100%) updated \
                   replicas are available";
    assert!(messages(&effects).contains(&waiting), "{effects:?}");
    assert!(!effects.iter().any(|e| matches!(e, Effect::ScaleTarget { .. } | Effect::WriteStatus(_))), "{effects:?}");
}
