//! The strategies, the gates, the take-over and the end, each rule by itself.

use super::world::{INTERVAL, Version, World, spec};
use canary_tui::api::{HookKind, Phase, Revision, Verb};
use canary_tui::rollout::{Effect, Traffic};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

const GOOD: Version = Version { gets_ready: true, good: true };
const BAD: Version = Version { gets_ready: true, good: false };

/// An initialized world, without faults, with this beside the interval, the threshold and the metric.
pub(super) fn world(analysis: Value, more: Value) -> World {
    let mut all = json!({"interval": "10s", "threshold": 2,
        "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]});
    all.as_object_mut().unwrap().extend(analysis.as_object().cloned().unwrap());
    let mut world = World::of(spec(all, more), Pcg64Mcg::seed_from_u64(1));
    world.faults = false;
    world.run_until(|w| w.status.phase == Phase::Initialized, "never initialized");
    world.synced.clear();
    world.told.clear();
    world
}

fn hook(kind: &str) -> Value {
    json!({"name": kind, "type": kind, "url": "http://gate/"})
}

pub(super) fn set(world: &mut World, version: Version) {
    world.versions.push(version);
    world.set_target(world.versions.len() - 1);
}

/// Distinct messages of Flagger's, in their order, those about readiness left out.
pub(super) fn said(world: &World) -> Vec<&str> {
    let mut said: Vec<&str> = Vec::new();
    for (_, message) in &world.synced {
        if !message.contains("not ready") && !said.contains(&message.as_str()) {
            said.push(message);
        }
    }
    said
}

/// The traffic that was written, one after the other.
fn routed(world: &World) -> Vec<Traffic> {
    let routes = world.trail.iter().filter_map(|(_, _, effect)| match effect {
        Effect::WriteRoutes { traffic, .. } => Some(traffic.clone()),
        _ => None,
    });
    routes.collect()
}

fn at(world: &World, message: &str) -> i64 {
    let found = world.synced.iter().find(|(_, m)| m.starts_with(message));
    found.unwrap_or_else(|| panic!("{message}: {:?}", world.synced)).0
}

#[test]
fn an_ab_test_gives_those_who_match_to_the_canary_for_some_checks() {
    let mut world = world(json!({"iterations": 2, "match": [{"headers": {"x": {"exact": "1"}}}]}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "no end");
    assert_eq!(
        said(&world),
        [
            "New revision detected! Scaling up app.test",
            "Starting canary analysis for app.test",
            "Advance app.test canary iteration 1/2",
            "Advance app.test canary iteration 2/2",
            "Copying app.test template spec to app-primary.test",
            "Routing all traffic to primary",
            "Promotion completed! Scaling down app.test",
        ]
    );
    let weights: Vec<u8> = routed(&world).iter().map(|t| t.canary).collect();
    assert_eq!(weights, [0, 100, 0]);
    assert_eq!(at(&world, "Copying") - at(&world, "Advance app.test canary iteration 1/2"), 2 * INTERVAL);
    assert_eq!(world.status.iterations, 0);
}

#[test]
fn a_blue_green_rollout_checks_without_users_and_then_moves_them_all() {
    let mut world = world(json!({"iterations": 2}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "no end");
    assert_eq!(
        said(&world)[1..6],
        [
            "Starting canary analysis for app.test",
            "Advance app.test canary iteration 1/2",
            "Advance app.test canary iteration 2/2",
            "Routing all traffic to canary",
            "Copying app.test template spec to app-primary.test",
        ]
    );
    assert_eq!(at(&world, "Copying") - at(&world, "Routing all traffic to canary"), INTERVAL);
}

#[test]
fn mirrored_requests_come_before_the_first_step_and_stop_with_it() {
    let mut world = world(json!({"stepWeight": 50, "maxWeight": 50, "mirror": true}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 50, "no weight");
    let steps: Vec<(u8, bool)> = routed(&world).iter().map(|t| (t.canary, t.mirrored)).collect();
    assert_eq!(steps, [(0, false), (0, true), (50, false)]);
    let mirrored =
        world.trail.iter().find(|(_, _, e)| matches!(e, Effect::WriteRoutes { traffic, .. } if traffic.mirrored));
    let first_step = at(&world, "Advance app.test canary weight 50") % 100_000;
    assert_eq!(first_step - mirrored.unwrap().0, INTERVAL);
}

#[test]
fn mirroring_in_blue_green_ends_when_users_are_moved() {
    let mut world = world(json!({"iterations": 1, "mirror": true}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 100, "no weight");
    let steps: Vec<(u8, bool)> = routed(&world).iter().map(|t| (t.canary, t.mirrored)).collect();
    assert_eq!(steps, [(0, false), (0, true), (100, false)]);
    assert!(said(&world).contains(&"Stop traffic mirroring and route all traffic to canary"));
}

#[test]
fn cookies_are_the_same_through_a_rollout_and_forgotten_after_it() {
    let affinity = json!({"cookieName": "c", "primaryCookieName": "p"});
    let mut world = world(json!({"stepWeight": 30, "maxWeight": 60, "sessionAffinity": affinity}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "no end");
    let cookies: Vec<_> = routed(&world).into_iter().filter(|t| t.canary > 0).map(|t| t.cookies).collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[0], cookies[1]);
    let cookie = cookies[0].canary.clone().unwrap();
    assert!(cookie.starts_with("c=") && cookie.len() == 12, "{cookie}");
    let after = routed(&world).last().unwrap().cookies.clone();
    assert_eq!((after.canary, after.previous), (None, Some(cookie)));
    assert_eq!(world.status.cookies.canary, None);
}

#[test]
fn without_analysis_what_is_ready_is_promoted_and_the_primary_is_waited_for() {
    let mut world = world(json!({"stepWeight": 10}), json!({"skipAnalysis": true}));
    set(&mut world, BAD);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "no end");
    assert_eq!(
        said(&world),
        [
            "New revision detected! Scaling up app.test",
            "Copying app.test template spec to app-primary.test",
            "Routing all traffic to primary",
            "Promotion completed! Canary analysis was skipped for app.test",
        ]
    );
    let readied = world.primary.as_ref().unwrap().available;
    assert_eq!(readied, 2, "the canary's pods stay until the primary's are ready");
}

#[test]
fn a_revision_waits_for_confirm_rollout_and_is_asked_again_each_interval() {
    let mut world = world(json!({"stepWeight": 10, "webhooks": [hook("confirm-rollout")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    for _ in 0..12 {
        world.drive();
        world.pass_time(5);
    }
    assert_eq!((world.status.phase, world.target.desired), (Phase::Waiting, 0));
    assert_eq!(
        said(&world),
        ["Halt app.test advancement waiting for approval confirm-rollout"],
        "and silent after that"
    );
    assert_eq!(world.gate.as_ref().map(|g| g.kind.as_str()), Some("confirm-rollout"));
    let calls = world.calls[&HookKind::ConfirmRollout];
    assert!((5..=7).contains(&calls), "{calls} calls in a minute of 10 s intervals");
    world.willing = 10;
    world.run_until(|w| w.status.canary_weight == 10, "no weight");
    assert!(said(&world).contains(&"Confirm-rollout check confirm-rollout passed"));
    assert_eq!(world.gate, None);
}

#[test]
fn what_is_reverted_while_it_waits_is_not_rolled_out() {
    let mut world = world(json!({"stepWeight": 10, "webhooks": [hook("confirm-rollout")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Waiting, "no wait");
    world.set_target(0);
    world.run_until(|w| w.status.phase == Phase::Succeeded, "still waiting");
    world.willing = 10;
    world.pass_time(60);
    world.drive();
    assert_eq!(world.status.phase, Phase::Succeeded);
}

#[test]
fn a_gate_that_is_opened_lets_this_revision_through_and_no_other() {
    let mut world = world(json!({"stepWeight": 10, "webhooks": [hook("confirm-rollout")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Waiting, "no wait");
    let began = world.now;
    world.ask_plainly(Verb::Open);
    world.run_until(|w| w.status.phase == Phase::Progressing, "still waiting");
    assert_eq!(world.now, began, "it goes on at once");
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Waiting, "the next revision must be approved by itself");
}

#[test]
fn a_revision_that_is_to_be_started_by_hand_waits_for_it() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    world.manual_start = true;
    set(&mut world, GOOD);
    for _ in 0..10 {
        world.drive();
        world.pass_time(10);
    }
    assert_eq!((world.status.phase, world.gate.as_ref().map(|g| g.kind.as_str())), (Phase::Waiting, Some("manual")));
    world.ask_plainly(Verb::Start);
    world.run_until(|w| w.status.canary_weight == 10, "not started");
}

#[test]
fn a_failed_pre_rollout_hook_counts_as_a_failed_check_an_interval_apart() {
    let mut world = world(json!({"stepWeight": 10, "webhooks": [hook("pre-rollout")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::Failed, "no end");
    let halts: Vec<i64> =
        world.synced.iter().filter(|(_, m)| m.contains("pre-rollout check")).map(|(t, _)| *t).collect();
    assert_eq!(halts.len(), 2);
    assert_eq!(halts[1] - halts[0], INTERVAL);
    assert!(routed(&world).iter().all(|t| t.canary == 0), "no traffic before the hook says yes");
    assert_eq!(said(&world).iter().filter(|m| m.starts_with("Starting")).count(), 1);
}

#[test]
fn a_failed_rollout_hook_counts_and_comes_before_the_metrics() {
    let mut world = world(json!({"stepWeight": 10, "webhooks": [hook("rollout")]}), json!({}));
    set(&mut world, BAD);
    world.run_until(|w| w.status.canary_weight == 10, "no weight");
    world.willing = 0;
    world.run_until(|w| w.status.phase == Phase::Failed, "no end");
    let halts: Vec<&str> = said(&world).into_iter().filter(|m| m.starts_with("Halt")).collect();
    assert_eq!(halts, ["Halt app.test advancement external check rollout failed 403 Forbidden"]);
}

#[test]
fn the_weight_waits_for_confirm_traffic_increase_and_nothing_is_counted() {
    let mut world = world(json!({"stepWeight": 50, "webhooks": [hook("confirm-traffic-increase")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    for _ in 0..20 {
        world.drive();
        world.pass_time(5);
    }
    assert_eq!((world.status.phase, world.weight(), world.status.failed_checks), (Phase::Progressing, 0, 0));
    let starts = world.synced.iter().filter(|(_, m)| m.starts_with("Starting")).count();
    assert_eq!(starts, 1, "nothing begins anew while it waits");
    world.willing = 10;
    world.run_until(|w| w.weight() == 50, "no weight");
    world.willing = 0;
    for _ in 0..10 {
        world.drive();
        world.pass_time(5);
    }
    assert_eq!((world.weight(), world.status.failed_checks), (50, 0));
    assert_eq!(world.gate.as_ref().map(|g| g.kind.as_str()), Some("confirm-traffic-increase"));
}

#[test]
fn the_checks_go_on_while_the_promotion_waits_and_may_still_fail_it() {
    let mut world =
        world(json!({"stepWeight": 50, "maxWeight": 50, "webhooks": [hook("confirm-promotion")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::WaitingPromotion, "no wait");
    assert_eq!((world.weight(), world.status.canary_weight), (50, 50), "the status says what the routes have");
    world.pass_time(60);
    world.drive();
    assert_eq!(world.status.phase, Phase::WaitingPromotion);
    world.versions[1].good = false;
    world.run_until(|w| w.status.phase == Phase::Failed, "no rollback");
    assert_eq!(world.weight(), 0);
}

#[test]
fn a_promotion_that_was_approved_goes_straight_on() {
    let mut world =
        world(json!({"stepWeight": 50, "maxWeight": 50, "webhooks": [hook("confirm-promotion")]}), json!({}));
    world.willing = 0;
    set(&mut world, GOOD);
    world.run_until(|w| w.status.phase == Phase::WaitingPromotion, "no wait");
    world.willing = 10;
    world.run_until(|w| w.status.phase == Phase::Succeeded, "no end");
    assert_eq!((world.status.last_promoted.as_deref(), &world.gate), (Some("rev1"), &None));
}

#[test]
fn a_rollback_hook_ends_a_rollout_even_before_its_pods_are_ready_and_while_it_waits() {
    let hooks = json!({"stepWeight": 10, "webhooks": [hook("rollback"), hook("confirm-rollout")]});
    for waits in [false, true] {
        let mut world = world(hooks.clone(), json!({}));
        set(&mut world, Version { gets_ready: false, good: true });
        let wanted = if waits { Phase::Waiting } else { Phase::Progressing };
        world.willing = if waits { 0 } else { 10 };
        // In this world a rollback hook says yes where the others say no, once there are faults.
        world.run_until(|w| w.status.phase == wanted, "not there");
        world.willing = 0;
        world.faults = true;
        for _ in 0..200 {
            world.drive();
            world.pass_time(3);
            if world.status.phase == Phase::Failed {
                break;
            }
        }
        assert_eq!(world.status.phase, Phase::Failed, "waits: {waits}");
        assert!(said(&world).contains(&"Rolling back app.test manual webhook invoked"));
    }
}

#[test]
fn post_rollout_hooks_and_alerts_come_after_either_end() {
    let analysis = json!({"stepWeight": 50, "maxWeight": 50, "webhooks": [hook("post-rollout")],
        "alerts": [{"name": "all", "severity": "info", "providerRef": {"name": "chat"}}]});
    for (version, phase, told) in [
        (GOOD, Phase::Succeeded, "Canary analysis completed successfully, promotion finished."),
        (BAD, Phase::Failed, "Failed checks threshold reached 2"),
    ] {
        let mut world = world(analysis.clone(), json!({}));
        set(&mut world, version);
        world.run_until(|w| w.status.phase == phase, "no end");
        assert_eq!(world.post_rollouts, [phase]);
        assert_eq!(world.told, ["New revision detected, progressing canary analysis.", told]);
    }
}

#[test]
fn alerts_below_the_wanted_severity_are_not_told() {
    let alerts = json!([{"severity": "error", "providerRef": {"name": "chat"}}]);
    let mut world = world(json!({"stepWeight": 50, "maxWeight": 50, "alerts": alerts}), json!({}));
    set(&mut world, BAD);
    world.run_until(|w| w.status.phase == Phase::Failed, "no end");
    assert_eq!(world.told, ["Failed checks threshold reached 2"]);
}

#[test]
fn a_change_of_the_configuration_alone_is_a_new_revision() {
    let mut world = world(json!({"stepWeight": 50, "maxWeight": 50}), json!({}));
    world.mounts = true;
    world.target.config = 1;
    world.run_until(|w| w.status.canary_weight == 50, "no rollout");
    world.target.config = 2;
    world.run_until(|w| w.status.applied() == Some(w.present()), "no restart");
    assert!(said(&world).contains(&"New revision detected! Restarting analysis for app.test"));
    world.target.config = 0;
    world.run_until(|w| w.status.phase.at_rest(), "no end");
    assert_eq!((world.status.phase, world.primary.as_ref().unwrap().config), (Phase::Succeeded, 0));
}

#[test]
fn an_abort_while_promoting_puts_the_configuration_back_too() {
    let mut world = world(json!({"stepWeight": 50, "maxWeight": 50}), json!({}));
    world.mounts = true;
    world.target.config = 1;
    world.run_until(|w| w.status.phase == Phase::Promoting, "no promotion");
    world.ask_plainly(Verb::Abort);
    world.run_until(|w| w.status.phase == Phase::Failed, "no end");
    assert_eq!(world.primary.as_ref().unwrap().config, 0);
}

/// The hashes of another tool in the status.
fn foreign(world: &mut World) {
    world.status.last_applied = Some("7d6b446664".into());
    world.status.last_promoted = Some("7d6b446664".into());
    world.ours = false;
}

#[test]
fn a_foreign_hash_at_rest_starts_nothing_where_the_primary_bears_the_same() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    foreign(&mut world);
    world.drive();
    assert_eq!((world.status.phase, world.status.last_applied.as_deref()), (Phase::Initialized, Some("rev0")));
    assert_eq!(said(&world), [""; 0]);
}

#[test]
fn a_foreign_hash_hides_no_new_revision() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    foreign(&mut world);
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 10, "no rollout");
}

#[test]
fn a_foreign_hash_does_not_try_again_what_failed() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    set(&mut world, BAD);
    world.run_until(|w| w.status.phase == Phase::Failed, "no end");
    foreign(&mut world);
    world.drive();
    assert_eq!((world.status.phase, world.status.last_applied.as_deref()), (Phase::Failed, Some("rev1")));
}

#[test]
fn a_foreign_hash_mid_rollout_goes_on_where_it_is() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 20, "no weight");
    foreign(&mut world);
    world.drive();
    assert_eq!((world.status.canary_weight, world.weight()), (20, 20));
    world.run_until(|w| w.status.canary_weight == 30, "no step");
}

#[test]
fn deleted_mid_rollout_the_target_gets_what_was_promoted_before_it_gets_users() {
    let mut world = world(json!({"stepWeight": 10}), json!({"revertOnDeletion": true}));
    world.drive();
    assert!(world.finalizer);
    set(&mut world, BAD);
    world.run_until(|w| w.status.canary_weight == 10, "no weight");
    world.deleting = true;
    world.run_until(|w| w.gone, "the finalizer stays");
    assert!(world.handed_back);
    assert_eq!((world.target.revision, world.target.available, world.weight()), (0, 2, 0));
    assert_eq!(said(&world).last_chunk::<2>().unwrap(), &["Terminating canary app.test", "Terminated canary app.test"]);
}

#[test]
fn a_release_serves_from_the_target_and_deletes_the_canary() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    let id = world.ask_plainly(Verb::Release);
    world.run_until(|w| w.gone, "not released");
    assert!(world.handed_back && world.target.available == 2);
    assert!(world.outcomes.contains(&(id, true)));
}

#[test]
fn a_release_is_refused_while_a_rollout_is_under_way() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 20, "no weight");
    let id = world.ask_plainly(Verb::Release);
    world.run_until(|w| w.request.is_none(), "no answer");
    assert!(world.outcomes.contains(&(id, false)) && !world.deleting);
}

#[test]
fn a_suspended_canary_is_left_alone_but_for_an_abort() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    set(&mut world, GOOD);
    world.run_until(|w| w.status.canary_weight == 20, "no weight");
    let mut suspended = (*world.spec).clone();
    suspended.suspend = true;
    world.spec = suspended.into();
    world.drive();
    world.pass_time(60);
    world.drive();
    assert_eq!((world.status.canary_weight, world.weight()), (20, 20));
    assert!(said(&world).contains(&"skipping canary run as object is suspended"));
    world.ask_plainly(Verb::Abort);
    world.run_until(|w| w.request.is_none(), "no answer");
    assert_eq!((world.status.phase, world.weight()), (Phase::Failed, 0));
}

#[test]
fn a_revision_is_named_with_what_it_mounts() {
    let mut world = world(json!({"stepWeight": 10}), json!({}));
    assert_eq!(world.present(), Revision::plain("rev0"));
    world.mounts = true;
    assert_ne!(world.present().to_string(), "rev0");
}
