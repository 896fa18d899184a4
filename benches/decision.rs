//! What one rollout decision costs, with all that it is made of in memory: `cargo bench --bench decision`.

use canary_tui::api::routes::Weights;
use canary_tui::api::{Phase, Revision, Spec, Status};
use canary_tui::rollout::{Answers, Facts, Part, Reading, Routes, Workload, decide};
use chrono::{DateTime, Duration};
use serde_json::json;
use std::sync::Arc;

fn main() {
    divan::main();
}

fn facts() -> Facts {
    let spec = Spec::read(&json!({
        "targetRef": {"kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": [
            {"name": "request-success-rate", "thresholdRange": {"min": 99}},
            {"name": "request-duration", "thresholdRange": {"max": 500}}]},
    }))
    .expect("a spec");
    let now = DateTime::UNIX_EPOCH + Duration::days(20_000);
    let workload = |name: &str| Workload {
        name: name.into(),
        desired: 3,
        replicas: 3,
        updated: 3,
        available: 3,
        containers: vec![("app".into(), "app:1".into())],
        ..Default::default()
    };
    Facts {
        now,
        name: "app".into(),
        namespace: "test".into(),
        uid: "u".into(),
        interval: spec.analysis.interval,
        spec: Arc::new(spec),
        status: Status {
            phase: Phase::Progressing,
            canary_weight: 20,
            last_applied: Some("b".into()),
            last_promoted: Some("a".into()),
            last_transition: Some(now - Duration::seconds(10)),
            ..Default::default()
        },
        target: Some(workload("app")),
        revision: Some(Revision::plain("b")),
        config_problem: None,
        promoted: Some(Revision::plain("a")),
        applied_is_ours: true,
        primary_like_target: Some(false),
        scaler: None,
        primary: Some(Workload { revision: Some("a".into()), ..workload("app-primary") }),
        apex_service: Part::AsDesired,
        primary_service: Part::AsDesired,
        canary_service: Part::AsDesired,
        primary_rule: Part::AsDesired,
        canary_rule: Part::AsDesired,
        routes: Routes { part: Part::AsDesired, weights: Some(Weights::canary(20)), ..Default::default() },
        request: None,
        paused: None,
        gate: None,
        opened: None,
        manual_start: false,
        deleting: false,
        finalizer: false,
        answers: Answers { readings: Some(vec![Reading::Value(99.9), Reading::Value(120.0)]), ..Default::default() },
        undriveable: None,
    }
}

/// The checks have passed and the step is taken: the decision with the most effects on the good way.
#[divan::bench]
fn takes_a_step(bencher: divan::Bencher) {
    let facts = facts();
    assert_eq!(decide(&facts).effects.len(), 3);
    bencher.bench(|| decide(divan::black_box(&facts)));
}

/// Nothing is due: what most decisions are.
#[divan::bench]
fn waits(bencher: divan::Bencher) {
    let mut facts = facts();
    facts.status.last_transition = Some(facts.now);
    assert!(decide(&facts).effects.is_empty());
    bencher.bench(|| decide(divan::black_box(&facts)));
}

/// The threshold is reached: the rollback.
#[divan::bench]
fn rolls_back(bencher: divan::Bencher) {
    let mut facts = facts();
    facts.status.failed_checks = 5;
    bencher.bench(|| decide(divan::black_box(&facts)));
}
