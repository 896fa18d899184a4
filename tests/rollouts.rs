//! A great many random rollouts through the pure decision, on a small model of the cluster: verdicts, readiness,
//! requests, conflicts, writes that are lost or reported as lost, crashes after any effect, a target that changes.
//! After every single write the promises are checked.

use canary_tui::api::routes::Weights;
use canary_tui::api::{Paused, Phase, Request, Spec, Status, Verb};
use canary_tui::rollout::{Decision, Effect, Facts, Need, Part, Reading, Routes, Workload, decide};
use chrono::{DateTime, Duration, Utc};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::sync::Arc;

/// How a revision behaves.
#[derive(Clone, Copy, Debug)]
struct Version {
    gets_ready: bool,
    good: bool,
}

#[derive(Clone, Debug, Default)]
struct Deployment {
    revision: usize,
    desired: u32,
    available: u32,
    /// When the pods that are asked for will be available.
    ready_at: Option<DateTime<Utc>>,
    unavailable_since: Option<DateTime<Utc>>,
    request_id: Option<String>,
}

struct World {
    rng: Pcg64Mcg,
    now: DateTime<Utc>,
    spec: Arc<Spec>,
    versions: Vec<Version>,
    status: Status,
    target: Deployment,
    primary: Option<Deployment>,
    last_promoted_kept: Option<usize>,
    routes: Option<(u8, Option<String>)>,
    request: Option<Request>,
    paused: Option<Paused>,
    /// Names of the request outcomes written: (id, carried out).
    outcomes: Vec<(String, bool)>,
    /// Revisions that reached their threshold, in this attempt.
    failed: Vec<usize>,
    next_request: u32,
    faults: bool,
    trail: Vec<(i64, Phase, Effect)>,
    /// When the weight last rose.
    stepped: DateTime<Utc>,
    /// Flagger's Events, with the second in which they were written.
    synced: Vec<(i64, String)>,
}

const INTERVAL: i64 = 10;

fn revision_name(index: usize) -> String {
    format!("rev{index}")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let step = rng.random_range(1..=100u8);
        let max = rng.random_range(1..=100u8);
        let threshold = rng.random_range(0..4u8);
        let mut analysis = json!({
            "interval": "10s", "threshold": threshold, "maxWeight": max, "stepWeight": step,
            "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
        });
        if rng.random_bool(0.2) {
            let mut weights: Vec<u8> = (0..rng.random_range(1..5)).map(|_| rng.random_range(1..=100)).collect();
            weights.sort();
            weights.dedup();
            analysis["stepWeights"] = json!(weights);
            analysis["stepWeight"] = json!(0);
        }
        if rng.random_bool(0.2) {
            analysis["stepWeightPromotion"] = json!(rng.random_range(10..=100));
        }
        if rng.random_bool(0.2) {
            analysis["primaryReadyThreshold"] = json!(rng.random_range(0..=100));
            analysis["canaryReadyThreshold"] = json!(rng.random_range(0..=100));
        }
        let spec = Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "service": {"port": 80},
            "progressDeadlineSeconds": 60,
            "analysis": analysis,
        }))
        .unwrap();
        Self {
            rng,
            now: DateTime::UNIX_EPOCH + Duration::days(20_000),
            spec: Arc::new(spec),
            versions: vec![Version { gets_ready: true, good: true }],
            status: Status::default(),
            target: Deployment { desired: 2, available: 2, ..Default::default() },
            primary: None,
            last_promoted_kept: None,
            routes: None,
            request: None,
            paused: None,
            outcomes: Vec::new(),
            failed: Vec::new(),
            next_request: 0,
            faults: true,
            trail: Vec::new(),
            stepped: DateTime::UNIX_EPOCH,
            synced: Vec::new(),
        }
    }

    fn facts(&self, readings: bool, metrics_server: bool) -> Facts {
        let workload = |name: &str, d: &Deployment| Workload {
            name: name.into(),
            generation: 1,
            observed_generation: 1,
            desired: d.desired,
            replicas: d.desired,
            // Some pods of a version that never gets ready are in truth those of the one before it.
            updated: match self.versions[d.revision].gets_ready {
                false if d.available < d.desired => d.desired - d.available,
                _ => d.desired,
            },
            available: d.available,
            unavailable_since: d.unavailable_since,
            containers: vec![("app".into(), format!("app:{}", d.revision))],
            request_id: d.request_id.clone(),
            ..Default::default()
        };
        let part = |there: bool| if there { Part::AsDesired } else { Part::Missing };
        let good = self.versions[self.target.revision].good;
        Facts {
            now: self.now,
            name: "app".into(),
            namespace: "test".into(),
            spec: self.spec.clone(),
            interval: std::time::Duration::from_secs(INTERVAL as u64),
            status: self.status.clone(),
            target: Some(workload("app", &self.target)),
            revision: Some(revision_name(self.target.revision)),
            primary: self.primary.as_ref().map(|d| Workload {
                revision: Some(revision_name(d.revision)),
                last_promoted: self.last_promoted_kept.map(revision_name),
                ..workload("app-primary", d)
            }),
            apex_service: Part::AsDesired,
            primary_service: Part::AsDesired,
            canary_service: Part::AsDesired,
            primary_rule: Part::AsDesired,
            canary_rule: Part::AsDesired,
            routes: Routes {
                part: part(self.routes.is_some()),
                weights: self.routes.as_ref().map(|(canary, _)| Weights::canary(*canary)),
                request_id: self.routes.as_ref().and_then(|(_, id)| id.clone()),
            },
            request: self.request.clone().map(Ok),
            paused: self.paused.clone(),
            readings: readings.then(|| vec![Reading::Value(if good { 100.0 } else { 50.0 })]),
            undriveable: None,
            metrics_server: metrics_server.then_some(Ok(())),
        }
    }

    /// One look of the driver, as the controller does it: decide, carry out, until nothing is to be done now.
    fn drive(&mut self) -> Option<DateTime<Utc>> {
        for _ in 0..40 {
            let mut decision = decide(&self.facts(false, false));
            if let Some(need) = decision.need {
                decision = decide(&self.facts(need == Need::Readings, need == Need::MetricsServer));
            }
            let Decision { effects, wake, .. } = decision;
            let changes = effects.iter().any(|e| !matches!(e, Effect::Event(_)));
            for effect in effects {
                let fault = if self.faults { self.rng.random_range(0..60) } else { 59 };
                match fault {
                    0 => return Some(self.now), // A conflict, or a crash before the write.
                    1 => {
                        self.apply(effect); // Applied, and reported as lost; or a crash right after it.
                        self.check();
                        return Some(self.now);
                    }
                    _ => self.apply(effect),
                }
                self.check();
            }
            if !changes {
                return wake;
            }
        }
        panic!("the driver does not come to rest: {:?}", self.trail);
    }

    fn apply(&mut self, effect: Effect) {
        if self.trail.len() > 60 {
            self.trail.remove(0);
        }
        self.trail.push((self.now.timestamp() % 100_000, self.status.phase, effect.clone()));
        let soon = self.now + Duration::seconds(self.rng.random_range(0..8));
        match effect {
            Effect::Event(note) => {
                if note.reason == "Synced" {
                    self.synced.push((self.now.timestamp(), note.message.clone()));
                }
                if let canary_tui::rollout::Occasion::Request(id) = note.occasion
                    && !self.outcomes.iter().any(|(known, _)| *known == id)
                {
                    self.outcomes.push((id, note.reason == "RequestCarriedOut"));
                }
            }
            Effect::WriteService(_) | Effect::WriteRule(_) => {}
            Effect::WriteRoutes { canary, request } => {
                let weight = self.routes.as_ref().map_or(0, |(weight, _)| *weight);
                if self.status.phase == Phase::Progressing && canary > weight && self.primary_serves() {
                    let asked = self.request.as_ref().is_some_and(|r| r.verb == Verb::Advance);
                    let rested = self.now - self.stepped >= Duration::seconds(INTERVAL);
                    assert!(weight == 0 || asked || rested, "a step too early: {:?}", self.trail);
                    self.stepped = self.now;
                }
                let before = self.routes.as_ref().and_then(|(_, id)| id.clone());
                self.routes = Some((canary, request.or(before)));
            }
            Effect::CreatePrimary { replicas, revision } => {
                assert_eq!(revision, revision_name(self.target.revision));
                self.primary = Some(Deployment {
                    revision: self.target.revision,
                    desired: replicas,
                    ready_at: Some(soon),
                    unavailable_since: Some(self.now),
                    ..Default::default()
                });
            }
            Effect::PromotePrimary { revision, request } => {
                assert_eq!(revision, revision_name(self.target.revision));
                assert!(!self.failed.contains(&self.target.revision), "promoted what failed: {:?}", self.trail);
                let new = self.target.revision;
                let primary = self.primary.as_mut().expect("a primary to promote");
                if primary.revision != new {
                    self.last_promoted_kept = Some(primary.revision);
                    primary.revision = new;
                    self.roll_primary(soon);
                }
                let primary = self.primary.as_mut().expect("as above");
                primary.request_id = request.or(primary.request_id.take());
            }
            Effect::RestorePrimary { revision, request } => {
                let kept = self.last_promoted_kept.expect("a kept template");
                assert_eq!(revision, revision_name(kept), "restores another version: {:?}", self.trail);
                let primary = self.primary.as_mut().expect("a primary to restore");
                if primary.revision != kept {
                    primary.revision = kept;
                    self.roll_primary(soon);
                }
                let primary = self.primary.as_mut().expect("as above");
                primary.request_id = request.or(primary.request_id.take());
            }
            Effect::ScaleTarget { replicas, request } => {
                if self.target.desired != replicas {
                    self.target.desired = replicas;
                    self.target.available = self.target.available.min(replicas);
                    let missing = self.target.available < replicas;
                    self.target.ready_at = (missing && self.versions[self.target.revision].gets_ready).then_some(soon);
                    self.target.unavailable_since = missing.then_some(self.now);
                }
                self.target.request_id = request.or(self.target.request_id.take());
            }
            Effect::SetImage { request, .. } => {
                self.change_target();
                self.target.request_id = Some(request);
            }
            Effect::WriteStatus(status) => {
                if status.phase == Phase::Progressing && status.failed_checks == 0 && status.canary_weight == 0 {
                    // A new attempt: what failed before may be tried again.
                    let tried = self.target.revision;
                    self.failed.retain(|r| *r != tried);
                }
                if status.phase == Phase::Progressing && status.failed_checks >= self.spec.analysis.threshold {
                    self.failed.push(self.target.revision);
                }
                let last_transition = Some(self.now);
                self.status = Status { last_transition, ..status };
            }
            Effect::ClearRequest { paused } => {
                self.request = None;
                if let Some(paused) = paused {
                    self.paused = paused;
                }
            }
            Effect::ClearPaused => self.paused = None,
        }
    }

    fn primary_serves(&self) -> bool {
        self.primary.as_ref().is_some_and(|p| p.available > 0)
    }

    /// A rolling update: what cannot get ready keeps the old pods, as maxUnavailable does; now and then none are left.
    fn roll_primary(&mut self, soon: DateTime<Utc>) {
        let ready = self.versions[self.primary.as_ref().map_or(0, |p| p.revision)].gets_ready;
        let dropped = self.rng.random_range(0..4) == 0;
        let now = self.now;
        if let Some(primary) = self.primary.as_mut() {
            primary.ready_at = ready.then_some(soon);
            primary.available =
                if dropped { 0 } else { primary.available.min(primary.desired.saturating_sub(1)).max(1) };
            primary.unavailable_since = (primary.available < primary.desired).then_some(now);
        }
    }

    fn change_target(&mut self) {
        let version = Version { gets_ready: self.rng.random_range(0..5) > 0, good: self.rng.random_range(0..3) > 0 };
        self.versions.push(version);
        self.set_target(self.versions.len() - 1);
    }

    fn set_target(&mut self, revision: usize) {
        self.target.revision = revision;
        if self.target.desired > 0 {
            self.target.available = self.rng.random_range(0..=1);
            self.target.unavailable_since = Some(self.now);
            let soon = self.now + Duration::seconds(self.rng.random_range(0..8));
            self.target.ready_at = self.versions[revision].gets_ready.then_some(soon);
        }
    }

    /// The promises, after every write.
    fn check(&self) {
        let Some((weight, _)) = self.routes else { return };
        assert!(weight <= 100, "weights add up to 100");
        let primary = self.primary.as_ref().map_or(0, |p| p.available);
        let moved_now = matches!(self.trail.last(), Some((_, _, Effect::WriteRoutes { .. })));
        if moved_now {
            let dead_canary = weight > 0 && self.target.available == 0 && primary > 0;
            let dead_primary = weight < 100 && primary == 0 && self.target.available > 0;
            let under_way = self.status.phase.under_way();
            assert!(!(dead_canary || dead_primary && under_way), "traffic to the unready: {:?}", self.trail);
        }
    }

    /// Between two looks of the driver no workload without pods may keep traffic that the other could serve.
    fn check_at_rest(&self) {
        let Some((weight, _)) = self.routes else { return };
        let primary = self.primary.as_ref().map_or(0, |p| p.available);
        if self.status.phase.under_way() {
            let dead_canary = weight > 0 && self.target.available == 0 && primary > 0;
            let dead_primary = weight < 100 && primary == 0 && self.target.available > 0;
            assert!(!dead_canary && !dead_primary, "left traffic on the unready: {:?}", self.trail);
        }
    }

    fn ask(&mut self, verb: Verb) -> String {
        self.next_request += 1;
        let id = format!("req{}", self.next_request);
        let stale = verb != Verb::Abort && self.rng.random_range(0..10) == 0;
        let image =
            (verb == Verb::Start && self.rng.random_range(0..2) == 0).then(|| format!("app:{}", self.versions.len()));
        self.request = Some(Request {
            id: id.clone(),
            verb,
            revision: if stale { "gone".into() } else { revision_name(self.target.revision) },
            by: "alice".into(),
            at: self.now,
            reason: String::new(),
            replaces: None,
            image,
            container: None,
        });
        id
    }

    fn pass_time(&mut self, seconds: i64) {
        self.now += Duration::seconds(seconds);
        let now = self.now;
        for deployment in [Some(&mut self.target), self.primary.as_mut()].into_iter().flatten() {
            if deployment.ready_at.is_some_and(|at| at <= now) {
                deployment.ready_at = None;
                deployment.available = deployment.desired;
                deployment.unavailable_since = None;
            }
        }
    }

    fn disturb(&mut self) {
        match self.rng.random_range(0..100) {
            0..6 if self.primary.is_some() => self.change_target(),
            6..8 if self.status.last_promoted.is_some() => {
                let promoted = self.versions.len().min(self.primary.as_ref().map_or(0, |p| p.revision) + 1) - 1;
                self.set_target(promoted);
            }
            8..20 => {
                let verb = Verb::ALL[self.rng.random_range(0..Verb::ALL.len())];
                if self.request.is_none() || verb == Verb::Abort {
                    self.ask(verb);
                }
            }
            20..23 => {
                let back = self.now + Duration::seconds(self.rng.random_range(1..30));
                let now = self.now;
                let hit = if self.rng.random_bool(0.5) { Some(&mut self.target) } else { self.primary.as_mut() };
                if let Some(hit) = hit.filter(|d| d.desired > 0 && d.available > 0) {
                    hit.available = 0;
                    hit.unavailable_since = Some(now);
                    hit.ready_at = Some(back);
                }
            }
            // A hand on the annotations.
            25..27 => self.request = None,
            23..25 => {
                // A hand on the routes.
                let weight = self.rng.random_range(0..=100);
                if let (Some(routes), Phase::Progressing) = (self.routes.as_mut(), self.status.phase)
                    && self.target.available > 0
                    && routes.0 != weight
                {
                    routes.0 = weight;
                    // Whatever the driver makes of it, it is no step too early.
                    self.stepped = DateTime::UNIX_EPOCH;
                }
            }
            _ => {}
        }
    }

    /// From here on nobody pauses, nothing breaks, and what waits gets ready if it ever does.
    fn calm(&mut self) {
        self.faults = false;
        self.paused = None;
        if let Some(primary) = self.primary.as_mut().filter(|p| p.available < p.desired && p.ready_at.is_none()) {
            // An operator or the scheduler brings a primary back that served once.
            if self.versions[primary.revision].gets_ready {
                primary.ready_at = Some(self.now);
            }
        }
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool, what: &str) {
        for _ in 0..4_000 {
            let wake = self.drive();
            self.check_at_rest();
            if done(self) {
                return;
            }
            let step = wake.map_or(1, |wake| (wake - self.now).num_seconds().clamp(1, 60));
            self.pass_time(step.min(5));
        }
        panic!("{what}: {:?} {:?}", self.status, self.trail);
    }
}

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
    let promoted = world.status.last_promoted.clone();
    let bears = world.primary.as_ref().map(|p| p.revision);
    world.calm();
    if world.rng.random_bool(0.3) && world.status.phase.under_way() {
        // Abort wins, from wherever this stands.
        let id = world.ask(Verb::Abort);
        let pending_change = world.status.last_applied.as_deref() != Some(&revision_name(world.target.revision));
        world.run_until(|w| w.request.is_none(), "the abort never ended");
        let (_, carried_out) = world.outcomes.iter().find(|(known, _)| *known == id).expect("an outcome").clone();
        if carried_out {
            assert_eq!(
                (world.status.phase, world.routes.as_ref().unwrap().0),
                (Phase::Failed, 0),
                "{:#?}",
                world.trail
            );
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
        let present = Some(revision_name(w.target.revision));
        stalled || w.status.phase.at_rest() && (w.status.last_applied == present || w.status.last_promoted == present)
    };
    world.run_until(end, "stuck");
    if world.status.phase.at_rest() {
        let serves = world.primary.as_ref().map(|p| revision_name(p.revision));
        assert_eq!(serves, world.status.last_promoted, "the status says what serves: {:?}", world.trail);
    }
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
    let mut world = World::new(1);
    world.faults = false;
    world.spec = Arc::new(
        Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "service": {"port": 80},
            "progressDeadlineSeconds": 60,
            "analysis": analysis,
        }))
        .unwrap(),
    );
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
    assert_eq!((world.status.phase, world.routes.as_ref().unwrap().0), (Phase::Succeeded, 0));
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
    assert_eq!((world.routes.as_ref().unwrap().0, world.target.desired), (0, 0));
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
    while world.request.as_ref().is_none_or(|r| r.revision == "gone" || r.image.is_some()) {
        world.ask(Verb::Start);
    }
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
    while world.request.as_ref().is_none_or(|r| r.revision == "gone") {
        world.ask(Verb::Pause);
    }
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
