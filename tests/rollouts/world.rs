//! A small model of the cluster around one Canary, driven by the pure decision: writes that conflict, are lost or are
//! reported as lost, crashes after any of them, pods that come and go, webhooks that say no, and an operator. After every
//! write the promises are checked.

use canary_tui::api::routes::Weights;
use canary_tui::api::status::Cookies;
use canary_tui::api::{
    Gate, HookKind, Opened, Paused, Phase, Request, Revision, Spec, Status, Strategy, Verb, Webhook,
};
use canary_tui::rollout::{
    Answers, Called, Decision, Effect, Facts, Mark, Need, Occasion, Part, Reading, Routes, Traffic, Workload, decide,
};
use chrono::{DateTime, Duration, Utc};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a revision behaves.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    pub gets_ready: bool,
    pub good: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Deployment {
    pub revision: usize,
    /// Which content of its ConfigMap it was given.
    pub config: u32,
    pub desired: u32,
    pub available: u32,
    /// When the pods that are asked for will be available.
    pub ready_at: Option<DateTime<Utc>>,
    pub unavailable_since: Option<DateTime<Utc>>,
    pub request_id: Option<String>,
}

pub struct World {
    pub rng: Pcg64Mcg,
    pub now: DateTime<Utc>,
    pub spec: Arc<Spec>,
    pub versions: Vec<Version>,
    pub status: Status,
    pub target: Deployment,
    pub primary: Option<Deployment>,
    /// Revision and configuration that the primary bore before.
    pub kept: Option<(usize, u32)>,
    pub routes: Option<(Traffic, Option<String>)>,
    pub request: Option<Request>,
    pub paused: Option<Paused>,
    pub gate: Option<Gate>,
    pub opened: Option<Opened>,
    pub manual_start: bool,
    /// Whether the target mounts a ConfigMap.
    pub mounts: bool,
    pub deleting: bool,
    pub finalizer: bool,
    pub gone: bool,
    pub handed_back: bool,
    /// How often in ten calls a webhook says yes.
    pub willing: u32,
    /// What the webhooks answered since the status was written, as a worker keeps it.
    pub answers: BTreeMap<HookKind, Called>,
    /// Which kinds of webhooks said yes to which revision.
    pub said_yes: BTreeSet<(HookKind, String)>,
    pub calls: BTreeMap<HookKind, u32>,
    /// Names of the request outcomes written: (id, carried out).
    pub outcomes: Vec<(String, bool)>,
    /// Revisions that reached their threshold, in this attempt.
    pub failed: Vec<String>,
    pub next_request: u32,
    pub faults: bool,
    pub trail: Vec<(i64, Phase, Effect)>,
    /// When the weight last rose, and when an iteration was last counted.
    pub stepped: DateTime<Utc>,
    pub iterated: DateTime<Utc>,
    /// Flagger's Events, with the second in which they were written.
    pub synced: Vec<(i64, String)>,
    said: BTreeSet<String>,
    pub told: Vec<String>,
    pub post_rollouts: Vec<Phase>,
    /// Whether the status' last applied revision counts as ours.
    pub ours: bool,
}

pub const INTERVAL: i64 = 10;

pub fn revision_name(index: usize) -> String {
    format!("rev{index}")
}

/// A spec with this analysis.
pub fn spec(analysis: Value, more: Value) -> Spec {
    let mut spec = json!({
        "targetRef": {"kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "progressDeadlineSeconds": 60,
        "analysis": analysis,
    });
    spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    Spec::read(&spec).unwrap()
}

/// An analysis that asks for anything.
fn any_analysis(rng: &mut Pcg64Mcg) -> Value {
    let threshold = rng.random_range(0..4u8);
    let mut analysis = json!({
        "interval": "10s", "threshold": threshold, "maxWeight": rng.random_range(1..=100u8),
        "stepWeight": rng.random_range(1..=100u8),
        "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
    });
    let mut set = |key: &str, value: Value| analysis[key] = value;
    match rng.random_range(0..10) {
        0 | 1 => set("iterations", json!(rng.random_range(1..4))),
        2 | 3 => {
            set("iterations", json!(rng.random_range(1..4)));
            set("match", json!([{"headers": {"x-canary": {"exact": "yes"}}}]));
        }
        4 => set("match", json!([{"headers": {"x-canary": {"exact": "yes"}}}])),
        5 | 6 => {
            let mut weights: Vec<u8> = (0..rng.random_range(1..5)).map(|_| rng.random_range(1..=100)).collect();
            weights.sort();
            weights.dedup();
            set("stepWeights", json!(weights));
            set("stepWeight", json!(0));
        }
        _ => {}
    }
    if rng.random_bool(0.2) {
        set("mirror", json!(true));
    }
    if rng.random_bool(0.2) {
        set("sessionAffinity", json!({"cookieName": "c", "primaryCookieName": "p"}));
    }
    if rng.random_bool(0.2) {
        set("stepWeightPromotion", json!(rng.random_range(10..=100)));
    }
    if rng.random_bool(0.2) {
        set("primaryReadyThreshold", json!(rng.random_range(0..=100)));
        set("canaryReadyThreshold", json!(rng.random_range(0..=100)));
    }
    let kinds = [
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-traffic-increase",
        "confirm-promotion",
        "post-rollout",
        "rollback",
    ];
    let hooks: Vec<Value> = kinds
        .into_iter()
        .filter(|_| rng.random_bool(0.15))
        .map(|kind| json!({"name": kind, "type": kind, "url": "http://gate/"}))
        .collect();
    set("webhooks", json!(hooks));
    analysis
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let analysis = any_analysis(&mut rng);
        let skips = rng.random_bool(0.05);
        let spec = spec(analysis, json!({"skipAnalysis": skips}));
        let mounts = rng.random_bool(0.3);
        let willing = rng.random_range(3..=10);
        let manual_start = rng.random_bool(0.05);
        Self { manual_start, mounts, willing, ..Self::of(spec, rng) }
    }

    /// A world with this spec, in which every webhook says yes.
    pub fn of(spec: Spec, rng: Pcg64Mcg) -> Self {
        Self {
            rng,
            now: DateTime::UNIX_EPOCH + Duration::days(20_000),
            spec: Arc::new(spec),
            versions: vec![Version { gets_ready: true, good: true }],
            status: Status::default(),
            target: Deployment { desired: 2, available: 2, ..Default::default() },
            primary: None,
            kept: None,
            routes: None,
            request: None,
            paused: None,
            gate: None,
            opened: None,
            manual_start: false,
            mounts: false,
            deleting: false,
            finalizer: false,
            gone: false,
            handed_back: false,
            willing: 10,
            answers: BTreeMap::new(),
            said_yes: BTreeSet::new(),
            calls: BTreeMap::new(),
            outcomes: Vec::new(),
            failed: Vec::new(),
            next_request: 0,
            faults: true,
            trail: Vec::new(),
            stepped: DateTime::UNIX_EPOCH,
            iterated: DateTime::UNIX_EPOCH,
            synced: Vec::new(),
            said: BTreeSet::new(),
            told: Vec::new(),
            post_rollouts: Vec::new(),
            ours: true,
        }
    }

    /// What a revision with this content of its ConfigMap is.
    pub fn revision_of(&self, revision: usize, config: u32) -> Revision {
        let configs = self.mounts.then(|| ("configmap/c".to_string(), config.to_string()));
        Revision { hash: revision_name(revision), configs: configs.into_iter().collect() }
    }

    /// What the target bears.
    pub fn present(&self) -> Revision {
        self.revision_of(self.target.revision, self.target.config)
    }

    /// What the primary bears.
    pub fn serving(&self) -> Option<Revision> {
        self.primary.as_ref().map(|p| self.revision_of(p.revision, p.config))
    }

    pub fn weight(&self) -> u8 {
        self.routes.as_ref().map_or(0, |(traffic, _)| traffic.canary)
    }

    pub fn facts(&self, answers: Answers) -> Facts {
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
        let copies = self.primary.as_ref().map_or(0, |p| p.config);
        let promoted = self
            .status
            .last_promoted
            .clone()
            .map(|hash| Revision { configs: self.revision_of(0, copies).configs, hash });
        Facts {
            now: self.now,
            name: "app".into(),
            namespace: "test".into(),
            uid: "u".into(),
            spec: self.spec.clone(),
            interval: std::time::Duration::from_secs(INTERVAL as u64),
            status: self.status.clone(),
            target: Some(workload("app", &self.target)),
            revision: Some(self.present()),
            config_problem: None,
            promoted,
            applied_is_ours: self.ours,
            primary: self.primary.as_ref().map(|d| Workload {
                revision: self.serving().map(|r| r.to_string()),
                last_promoted: self.kept.map(|(revision, config)| self.revision_of(revision, config).to_string()),
                ..workload("app-primary", d)
            }),
            primary_like_target: self.primary.as_ref().map(|p| p.revision == self.target.revision),
            scaler: None,
            apex_service: Part::AsDesired,
            primary_service: Part::AsDesired,
            canary_service: Part::AsDesired,
            primary_rule: Part::AsDesired,
            canary_rule: Part::AsDesired,
            routes: Routes {
                part: part(self.routes.is_some()),
                weights: self.routes.as_ref().map(|(traffic, _)| Weights::canary(traffic.canary)),
                mirrored: self.routes.as_ref().is_some_and(|(traffic, _)| traffic.mirrored),
                everyone: self.routes.as_ref().is_some_and(|(traffic, _)| traffic.everyone),
                request_id: self.routes.as_ref().and_then(|(_, id)| id.clone()),
            },
            request: self.request.clone().map(Ok),
            paused: self.paused.clone(),
            gate: self.gate.clone(),
            opened: self.opened.clone(),
            manual_start: self.manual_start,
            deleting: self.deleting,
            finalizer: self.finalizer,
            answers,
            undriveable: None,
        }
    }

    /// What the webhooks of a kind answer, called as a worker calls them.
    fn call(&mut self, kind: HookKind) -> Called {
        *self.calls.entry(kind).or_default() += 1;
        let facts = self.facts(Answers::default());
        let spec = self.spec.clone();
        let hooks: Vec<&Webhook> = spec.analysis.hooks(kind).filter(|hook| !facts.is_open(&hook.name)).collect();
        let mut called = Called { at: self.now, passed: Vec::new(), failed: None };
        for hook in hooks {
            let rolls_back = kind == HookKind::Rollback;
            let yes = match self.rng.random_range(0..10) < self.willing {
                willing if rolls_back => !willing && self.faults,
                willing => willing,
            };
            if !yes {
                called.failed = Some((hook.name.clone(), "403 Forbidden".into()));
                break;
            }
            called.passed.push(hook.name.clone());
        }
        if called.failed.is_none() {
            self.said_yes.insert((kind, self.present().to_string()));
        }
        called
    }

    /// Decides with whatever the decision asks for.
    fn decide(&mut self) -> Decision {
        let good = self.versions[self.target.revision].good;
        let mut answers = Answers { hooks: self.answers.clone(), ..Default::default() };
        for _ in 0..20 {
            let decision = decide(&self.facts(answers.clone()));
            match decision.need {
                None => {
                    self.answers = answers.hooks;
                    return decision;
                }
                Some(Need::Readings) => {
                    answers.readings = Some(vec![Reading::Value(if good { 100.0 } else { 50.0 })]);
                }
                Some(Need::MetricsServer) => answers.metrics_server = Some(Ok(())),
                Some(Need::Hooks(kind)) => {
                    let called = self.call(kind);
                    answers.hooks.insert(kind, called);
                }
            }
        }
        panic!("a decision asks without end: {:?}", self.trail);
    }

    /// One look of the driver, as the controller does it: decide, carry out, until nothing is to be done now.
    pub fn drive(&mut self) -> Option<DateTime<Utc>> {
        for _ in 0..40 {
            if self.gone {
                return None;
            }
            let Decision { effects, wake, .. } = self.decide();
            let changes = effects.iter().any(|e| !matches!(e, Effect::Event(_) | Effect::Tell(_)));
            for effect in effects {
                let fault = if self.faults { self.rng.random_range(0..60) } else { 59 };
                match fault {
                    0 => {
                        // A conflict, or a crash before the write.
                        self.answers.clear();
                        return Some(self.now);
                    }
                    1 => {
                        // Applied, and reported as lost; or a crash right after it.
                        self.apply(effect);
                        self.check();
                        self.answers.clear();
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
        panic!("the driver does not come to rest: {:?} {:?}", self.status, self.trail);
    }

    fn apply(&mut self, effect: Effect) {
        if self.trail.len() > 60 {
            self.trail.remove(0);
        }
        self.trail.push((self.now.timestamp() % 100_000, self.status.phase, effect.clone()));
        let soon = self.now + Duration::seconds(self.rng.random_range(0..8));
        match effect {
            Effect::Event(note) => {
                // The same text on the same occasion is a repetition, which no Event counts.
                if note.reason == "Synced" && self.said.insert(format!("{:?}{}", note.occasion, note.message)) {
                    self.synced.push((self.now.timestamp(), note.message.clone()));
                }
                if let Occasion::Request(id) = note.occasion
                    && !self.outcomes.iter().any(|(known, _)| *known == id)
                {
                    self.outcomes.push((id, note.reason == "RequestCarriedOut"));
                }
            }
            Effect::WriteService(_) | Effect::WriteRule(_) | Effect::WriteScaler => {}
            Effect::Tell(alert) => self.told.push(alert.text),
            Effect::CallPostRollout(phase) => self.post_rollouts.push(phase),
            Effect::WriteRoutes { traffic, request } => self.write_routes(traffic, request),
            Effect::CreatePrimary { replicas, revision } => {
                assert_eq!(revision, self.present());
                self.primary = Some(Deployment {
                    revision: self.target.revision,
                    config: self.target.config,
                    desired: replicas,
                    ready_at: Some(soon),
                    unavailable_since: Some(self.now),
                    ..Default::default()
                });
            }
            Effect::PromotePrimary { revision, request } => {
                assert_eq!(revision, self.present());
                let name = revision.to_string();
                let asked = self.request.as_ref().is_some_and(|r| r.verb == Verb::Promote);
                assert!(!self.failed.contains(&name) || asked, "promoted what failed: {:?}", self.trail);
                self.assert_asked(HookKind::ConfirmPromotion, &name, asked || self.spec.skip_analysis);
                let (new, config) = (self.target.revision, self.target.config);
                let primary = self.primary.as_mut().expect("a primary to promote");
                if (primary.revision, primary.config) != (new, config) {
                    self.kept = Some((primary.revision, primary.config));
                    (primary.revision, primary.config) = (new, config);
                    self.roll_primary(soon);
                }
                let primary = self.primary.as_mut().expect("as above");
                primary.request_id = request.or(primary.request_id.take());
            }
            Effect::RestorePrimary { revision, request } => {
                let kept = self.kept.expect("a kept template");
                let name = self.revision_of(kept.0, kept.1).to_string();
                assert_eq!(revision, name, "restores another version: {:?}", self.trail);
                let primary = self.primary.as_mut().expect("a primary to restore");
                if (primary.revision, primary.config) != kept {
                    (primary.revision, primary.config) = kept;
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
            Effect::WriteStatus(status) => self.write_status(status),
            Effect::ClearRequest { marks } => {
                self.request = None;
                marks.into_iter().for_each(|mark| self.mark(mark));
            }
            Effect::Marks(marks) => marks.into_iter().for_each(|mark| self.mark(mark)),
            Effect::SetFinalizer(wanted) => {
                self.finalizer = wanted;
                self.gone |= self.deleting && !wanted;
            }
            Effect::DeleteCanary { .. } => {
                self.finalizer = true;
                self.deleting = true;
            }
            Effect::ReturnTarget { hash, replicas } => {
                let revision: usize = hash.trim_start_matches("rev").parse().expect("a revision of this world");
                self.set_target(revision);
                self.target.desired = replicas;
                self.target.ready_at = self.versions[revision].gets_ready.then_some(soon);
                self.target.unavailable_since = (self.target.available < replicas).then_some(self.now);
            }
            Effect::HandBack => {
                self.handed_back = true;
                let promoted = self.status.last_promoted.clone();
                let bears = revision_name(self.target.revision);
                assert!(promoted.is_none_or(|p| p == bears), "users get what was not promoted: {:?}", self.trail);
                let serves = self.target.available > 0;
                let other = self.primary.as_ref().is_some_and(|p| p.available > 0);
                assert!(serves || !other, "users get what does not serve: {:?}", self.trail);
            }
        }
    }

    /// A gate is never passed unasked: a webhook of this kind said yes to the revision, or an operator did.
    fn assert_asked(&self, kind: HookKind, revision: &str, asked: bool) {
        let facts = self.facts(Answers::default());
        let shut = self.spec.analysis.hooks(kind).any(|hook| !facts.is_open(&hook.name));
        let yes = self.said_yes.contains(&(kind, revision.to_string()));
        assert!(!shut || yes || asked, "{kind} was never asked: {:?}", self.trail);
    }

    fn write_routes(&mut self, traffic: Traffic, request: Option<String>) {
        let (weight, canary) = (self.weight(), traffic.canary);
        let strategy = self.spec.analysis.strategy();
        if self.status.phase == Phase::Progressing && canary > weight && self.primary_serves() {
            let asked = self.request.as_ref().is_some_and(|r| r.verb == Verb::Advance);
            let rested = self.now - self.stepped >= Duration::seconds(INTERVAL);
            assert!(weight == 0 || asked || rested, "a step too early: {:?}", self.trail);
            self.stepped = self.now;
            if strategy == Strategy::Canary {
                let mirrored = self.routes.as_ref().is_some_and(|(traffic, _)| traffic.mirrored);
                let name = self.present().to_string();
                self.assert_asked(HookKind::ConfirmTrafficIncrease, &name, mirrored);
            }
        }
        if self.spec.analysis.affinity.is_some() {
            assert_eq!(traffic.cookies.canary.is_some(), canary > 0, "{:?}", self.trail);
        } else {
            assert_eq!(traffic.cookies, Cookies::default());
        }
        let before = self.routes.as_ref().and_then(|(_, id)| id.clone());
        self.routes = Some((traffic, request.or(before)));
    }

    fn write_status(&mut self, status: Status) {
        let begins = !matches!(self.status.phase, Phase::Progressing | Phase::WaitingPromotion);
        let started = self.request.as_ref().is_some_and(|r| r.verb == Verb::Start);
        if status.phase == Phase::Progressing && begins {
            let name = self.present().to_string();
            self.assert_asked(HookKind::ConfirmRollout, &name, started);
            assert!(!self.manual_start || started, "begun by itself: {:?}", self.trail);
        }
        let fresh = status.failed_checks == 0 && status.canary_weight == 0 && status.iterations == 0;
        if status.phase == Phase::Progressing && fresh {
            // A new attempt: what failed before may be tried again.
            let tried = self.present().to_string();
            self.failed.retain(|r| *r != tried);
        }
        if status.phase == Phase::Progressing && status.failed_checks >= self.spec.analysis.threshold {
            self.failed.push(self.present().to_string());
        }
        if status.iterations > self.status.iterations {
            let asked = self.outcomes.last().is_some_and(|(_, carried_out)| *carried_out);
            let rested = self.now - self.iterated >= Duration::seconds(INTERVAL);
            assert!(self.status.iterations == 0 || rested || asked, "an iteration too early: {:?}", self.trail);
            assert!(status.iterations == self.status.iterations + 1, "an iteration skipped: {:?}", self.trail);
            self.iterated = self.now;
        }
        self.answers.clear();
        self.ours = true;
        self.status = Status { last_transition: Some(self.now), ..status };
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Paused(paused) => self.paused = paused,
            Mark::Gate(gate) => self.gate = gate,
            Mark::Opened(opened) => self.opened = opened,
        }
    }

    pub fn primary_serves(&self) -> bool {
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

    pub fn change_target(&mut self) {
        let version = Version { gets_ready: self.rng.random_range(0..5) > 0, good: self.rng.random_range(0..3) > 0 };
        self.versions.push(version);
        self.set_target(self.versions.len() - 1);
    }

    pub fn set_target(&mut self, revision: usize) {
        self.target.revision = revision;
        if self.target.desired > 0 {
            self.target.available = self.rng.random_range(0..=1);
            self.target.unavailable_since = Some(self.now);
            let soon = self.now + Duration::seconds(self.rng.random_range(0..8));
            self.target.ready_at = self.versions[revision].gets_ready.then_some(soon);
        }
    }

    /// Whether the canary is under traffic without a pod that can serve, or the primary is.
    fn dark(&self) -> (bool, bool) {
        let Some((traffic, _)) = &self.routes else { return (false, false) };
        let primary = self.primary.as_ref().map_or(0, |p| p.available);
        // Whom an A/B test leaves out is the primary's, whatever the weights.
        let left_out = !self.spec.analysis.matches.is_empty() && !traffic.everyone;
        let canary_dark = traffic.canary > 0 && self.target.available == 0 && primary > 0;
        let primary_dark = (traffic.canary < 100 || left_out) && primary == 0 && self.target.available > 0;
        (canary_dark, primary_dark)
    }

    /// The promises, after every write.
    fn check(&self) {
        let Some((traffic, _)) = &self.routes else { return };
        assert!(traffic.canary <= 100, "weights add up to 100");
        if matches!(self.trail.last(), Some((_, _, Effect::WriteRoutes { .. }))) {
            let (canary_dark, primary_dark) = self.dark();
            let under_way = self.status.phase.under_way();
            assert!(!(canary_dark || primary_dark && under_way), "traffic to the unready: {:?}", self.trail);
        }
    }

    /// Between two looks of the driver no workload without pods may keep traffic that the other could serve.
    pub fn check_at_rest(&self) {
        if self.status.phase.under_way() && self.status.phase != Phase::Waiting {
            let (canary_dark, primary_dark) = self.dark();
            assert!(!canary_dark && !primary_dark, "left traffic on the unready: {:?} {:?}", self.status, self.trail);
        }
    }

    pub fn ask(&mut self, verb: Verb) -> String {
        self.next_request += 1;
        let id = format!("req{}", self.next_request);
        let stale = verb != Verb::Abort && self.rng.random_range(0..10) == 0;
        let image =
            (verb == Verb::Start && self.rng.random_range(0..2) == 0).then(|| format!("app:{}", self.versions.len()));
        let gates: Vec<&Webhook> = self.spec.analysis.webhooks.iter().filter(|hook| hook.kind.is_gate()).collect();
        let gate = (verb == Verb::Open && !gates.is_empty())
            .then(|| gates[self.rng.random_range(0..gates.len())].name.clone());
        self.request = Some(Request {
            id: id.clone(),
            verb,
            revision: if stale { "gone".into() } else { self.present().to_string() },
            by: "alice".into(),
            at: self.now,
            reason: String::new(),
            replaces: None,
            image,
            container: None,
            gate,
        });
        id
    }

    /// Asks until the request names the present revision and sets no image.
    pub fn ask_plainly(&mut self, verb: Verb) -> String {
        loop {
            let id = self.ask(verb);
            if self.request.as_ref().is_some_and(|r| r.revision != "gone" && r.image.is_none()) {
                return id;
            }
        }
    }

    pub fn pass_time(&mut self, seconds: i64) {
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

    pub fn disturb(&mut self) {
        match self.rng.random_range(0..100) {
            0..6 if self.primary.is_some() => self.change_target(),
            6..8 if self.status.last_promoted.is_some() => {
                let promoted = self.versions.len().min(self.primary.as_ref().map_or(0, |p| p.revision) + 1) - 1;
                self.set_target(promoted);
            }
            8..20 => {
                let verb = Verb::ALL[self.rng.random_range(0..Verb::ALL.len())];
                // A release ends everything: now and then is enough.
                let rare = verb == Verb::Release && self.rng.random_range(0..20) > 0;
                if (self.request.is_none() || verb == Verb::Abort) && !rare {
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
            27..30 if self.mounts => self.target.config = self.rng.random_range(0..3),
            23..25 => {
                // A hand on the routes.
                let weight = self.rng.random_range(0..=100);
                if let (Some((traffic, _)), Phase::Progressing) = (self.routes.as_mut(), self.status.phase)
                    && self.target.available > 0
                    && traffic.canary != weight
                    && (weight == 100 || self.primary.as_ref().is_some_and(|p| p.available > 0))
                {
                    traffic.canary = weight;
                    // Whatever the driver makes of it, it is no step too early, and no gate was asked for it.
                    self.stepped = DateTime::UNIX_EPOCH;
                    self.iterated = DateTime::UNIX_EPOCH;
                }
            }
            _ => {}
        }
    }

    /// From here on nobody pauses or refuses, nothing breaks, and what waits gets ready if it ever does.
    pub fn calm(&mut self) {
        self.faults = false;
        self.paused = None;
        self.willing = 10;
        self.manual_start = false;
        self.answers.clear();
        if let Some(primary) = self.primary.as_mut().filter(|p| p.available < p.desired && p.ready_at.is_none()) {
            // An operator or the scheduler brings a primary back that served once.
            if self.versions[primary.revision].gets_ready {
                primary.ready_at = Some(self.now);
            }
        }
    }

    pub fn run_until(&mut self, done: impl Fn(&Self) -> bool, what: &str) {
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
