//! The decision that is checked, asked with what a driver sees. It is a pure function of little, so that each answer is
//! kept: the same few hundred thousand questions are asked many million times.

use super::cluster::{Act, Age, Gate, Marks, Objects, PARTS, Pods, Revision, Status, part};
use canary_tui::api::routes::Weights;
use canary_tui::api::shapes::Role;
use canary_tui::api::{self, HookKind, Opened, Paused, Phase, Spec};
use canary_tui::rollout::{
    Answers, Called, Decision, Effect, Facts, Mark, Need, Occasion, Part, Reading, Routes, Workload, decide,
};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Pass,
    Fail,
    /// The queries find nothing.
    Missing,
}

impl Verdict {
    pub const ALL: [Verdict; 3] = [Verdict::Pass, Verdict::Fail, Verdict::Missing];
}

/// A decision, as far as it concerns the objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub acts: Vec<Act>,
    /// It cannot be made without the readings of the checks.
    pub asks: bool,
    /// It cannot be made without the answer of a gate.
    pub asks_gate: bool,
    /// The gates that it went by.
    pub went_by: Vec<Gate>,
    /// The driver looks again by itself.
    pub wakes: bool,
    /// Weights that do not add up to 100, or go to a name that is not ours.
    pub broken_weights: bool,
    /// On the very facts that it was made on it moves traffic to, or takes pods from under traffic at, a workload while
    /// the other one could serve; or it leaves that so and goes to sleep.
    pub darkens: bool,
}

/// What the spec says of the analysis.
#[derive(Clone, Copy, Debug, Default)]
pub struct Analysis {
    pub step: u8,
    pub max: u8,
    pub threshold: u8,
    /// Blue/green, or with `matched` an A/B test.
    pub iterations: u8,
    pub matched: bool,
    pub mirror: bool,
    /// A gate before the rollout and one before the promotion.
    pub gates: bool,
    pub skip: bool,
}

/// What those say who are asked: the checks, and the gates, of which all are open or all are shut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Said {
    pub verdict: Option<Verdict>,
    pub open: Option<bool>,
}

/// What is seen, and what was said where anybody was asked.
type Question = (Objects, Said);

/// Answers, each worked out once.
pub struct Decider {
    spec: Arc<Spec>,
    known: RwLock<HashMap<Question, Arc<Plan>>>,
}

const INTERVAL: i64 = 10;
const DEADLINE: i64 = 60;

fn named(revision: Revision) -> String {
    format!("rev{revision}")
}

fn number(name: &str) -> u8 {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().expect("a name that the model gave")
}

fn request_id(id: u8) -> String {
    format!("req{id}")
}

impl Decider {
    pub fn new(analysis: Analysis) -> Self {
        let Analysis { step, max, threshold, iterations, matched, mirror, gates, skip } = analysis;
        let hook = |kind: &str| json!({"name": kind, "type": kind, "url": "http://gate/"});
        let hooks = if gates { json!([hook("confirm-rollout"), hook("confirm-promotion")]) } else { json!([]) };
        let matches = if matched { json!([{"headers": {"x": {"exact": "1"}}}]) } else { json!([]) };
        let spec = Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "service": {"port": 80},
            "progressDeadlineSeconds": DEADLINE,
            "skipAnalysis": skip,
            "analysis": {"interval": "10s", "threshold": threshold, "maxWeight": max, "stepWeight": step,
                "iterations": iterations, "match": matches, "mirror": mirror, "webhooks": hooks,
                "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]},
        }))
        .expect("a spec that can be driven");
        Self { spec: Arc::new(spec), known: RwLock::default() }
    }

    /// Whether users whom the Canary does not name are the primary's.
    pub fn leaves_out(&self) -> bool {
        !self.spec.analysis.matches.is_empty()
    }

    /// Whether there are gates.
    pub fn is_gated(&self) -> bool {
        !self.spec.analysis.webhooks.is_empty()
    }

    /// Whether nothing is checked.
    pub fn skips(&self) -> bool {
        self.spec.skip_analysis
    }

    pub fn threshold(&self) -> u8 {
        self.spec.analysis.threshold as u8
    }

    /// How many different questions were asked.
    pub fn questions(&self) -> usize {
        self.known.read().expect("no checker panicked").len()
    }

    /// What is decided on `seen`.
    pub fn plan(&self, seen: &Objects, said: Said) -> Arc<Plan> {
        let key = (without_versions(*seen), said);
        if let Some(plan) = self.known.read().expect("no checker panicked").get(&key) {
            return plan.clone();
        }
        let plan = Arc::new(self.work_out(seen, said));
        self.known.write().expect("no checker panicked").insert(key, plan.clone());
        plan
    }

    fn work_out(&self, seen: &Objects, said: Said) -> Plan {
        let readings = said.verdict.map(|verdict| match verdict {
            Verdict::Pass => Reading::Value(100.0),
            Verdict::Fail => Reading::Value(50.0),
            Verdict::Missing => Reading::NoValues,
        });
        let mut facts = self.facts(seen);
        let mut plan = Plan::default();
        let decision = loop {
            let decision = decide(&facts);
            match decision.need {
                None => break decision,
                Some(Need::MetricsServer) => facts.answers.metrics_server = Some(Ok(())),
                Some(Need::Readings) => match &readings {
                    Some(reading) => facts.answers.readings = Some(vec![reading.clone()]),
                    None => return Plan { asks: true, ..Plan::default() },
                },
                Some(Need::Hooks(kind)) => {
                    let Some(open) = said.open else { return Plan { asks_gate: true, ..Plan::default() } };
                    let name = kind.name().to_string();
                    let mut called = Called { at: facts.now, passed: Vec::new(), failed: None };
                    if open {
                        called.passed.push(name);
                        plan.went_by.extend(gate(kind.name()));
                    } else {
                        called.failed = Some((name, "shut".into()));
                    }
                    facts.answers.hooks.insert(kind, called);
                }
            }
        };
        let Decision { effects, wake, .. } = decision;
        plan.wakes = wake.is_some();
        plan.acts = effects.into_iter().filter_map(|effect| self.act(effect, seen)).collect();
        for act in &plan.acts {
            let Act::Routes { weight, .. } = act else { continue };
            plan.broken_weights |= *weight > 100;
        }
        plan.darkens = darkens(seen, &plan.acts, self.leaves_out());
        plan
    }

    fn facts(&self, seen: &Objects) -> Facts {
        let now = DateTime::UNIX_EPOCH + Duration::days(20_000);
        let long_ago = now - Duration::seconds(DEADLINE + 1);
        let workload = |up: bool, pods: Pods, overdue: bool, mark: Option<u8>| {
            let desired = if up { 2 } else { 0 };
            let available = match pods {
                Pods::None => 0,
                Pods::Some => 1,
                Pods::All => 2,
            };
            Workload {
                name: "app".into(),
                generation: 1,
                observed_generation: 1,
                desired,
                replicas: desired,
                updated: desired,
                available,
                unavailable_since: (available < desired).then_some(if overdue { long_ago } else { now }),
                containers: vec![("app".into(), "app:old".into())],
                request_id: mark.map(request_id),
                ..Workload::default()
            }
        };
        let Objects { canary, target, primary, routes, parts } = seen;
        let held = |role, rule| if parts & part(role, rule) != 0 { Part::AsDesired } else { Part::Missing };
        let Status { phase, failed, weight, iterations, applied, promoted } = canary.status;
        Facts {
            now,
            name: "app".into(),
            namespace: "test".into(),
            uid: "u".into(),
            spec: self.spec.clone(),
            interval: std::time::Duration::from_secs(INTERVAL as u64),
            status: api::Status {
                phase,
                failed_checks: u32::from(failed),
                canary_weight: weight,
                iterations: u32::from(iterations),
                last_applied: applied.map(named),
                last_promoted: promoted.map(named),
                last_transition: (phase != Phase::New).then_some(match canary.age {
                    Age::Now => now,
                    Age::Interval => now - Duration::seconds(INTERVAL),
                    Age::Deadline => long_ago,
                }),
                ..api::Status::default()
            },
            target: Some(workload(target.up, target.pods, target.overdue, target.mark)),
            revision: target.seen.then(|| api::Revision::plain(named(target.revision))),
            config_problem: None,
            promoted: promoted.map(|p| api::Revision::plain(named(p))),
            applied_is_ours: true,
            primary_like_target: None,
            scaler: None,
            primary: primary.map(|p| Workload {
                revision: Some(named(p.revision)),
                last_promoted: p.kept.map(named),
                ..workload(true, p.pods, p.overdue, p.mark)
            }),
            apex_service: held(Role::Apex, false),
            primary_service: held(Role::Primary, false),
            canary_service: held(Role::Canary, false),
            primary_rule: held(Role::Primary, true),
            canary_rule: held(Role::Canary, true),
            routes: routes.map_or_else(Routes::default, |r| Routes {
                part: Part::AsDesired,
                weights: Some(Weights::canary(r.weight)),
                mirrored: r.mirrored,
                everyone: r.everyone,
                request_id: r.mark.map(request_id),
            }),
            request: canary.request.map(|r| Ok(asked(r.id, &r, now))),
            paused: canary.paused.then(|| Paused { by: "alice".into(), at: now, reason: String::new() }),
            gate: canary.gate.map(|gate| api::Gate {
                name: kind(gate).name().into(),
                kind: kind(gate).name().into(),
                since: now,
                answer: "shut".into(),
            }),
            opened: canary
                .opened
                .map(|(gate, revision)| Opened { revision: named(revision), gates: vec![kind(gate).name().into()] }),
            manual_start: false,
            deleting: false,
            finalizer: false,
            answers: Answers::default(),
            undriveable: None,
        }
    }

    fn act(&self, effect: Effect, seen: &Objects) -> Option<Act> {
        let id = |request: Option<String>| request.map(|id| number(&id));
        Some(match effect {
            Effect::Event(note) => match note.occasion {
                Occasion::Step(_) => return None,
                Occasion::Request(id) => {
                    Act::Outcome { id: number(&id), carried_out: note.reason == "RequestCarriedOut" }
                }
            },
            Effect::WriteService(role) => Act::Part(part(role, false)),
            Effect::WriteRule(role) => Act::Part(part(role, true)),
            Effect::WriteRoutes { traffic, request } => Act::Routes {
                weight: traffic.canary,
                mirrored: traffic.mirrored,
                everyone: traffic.everyone,
                request: id(request),
            },
            Effect::CreatePrimary { revision, .. } => Act::Create(number(&revision.hash)),
            Effect::PromotePrimary { revision, request } => {
                Act::Promote { revision: number(&revision.hash), request: id(request) }
            }
            Effect::RestorePrimary { revision, request } => {
                Act::Restore { revision: number(&revision), request: id(request) }
            }
            Effect::ScaleTarget { replicas, request } => Act::Scale { up: replicas > 0, request: id(request) },
            Effect::SetImage { request, .. } => Act::SetImage { request: number(&request) },
            Effect::WriteStatus(status) => Act::Status(Status {
                phase: status.phase,
                // Beyond the threshold all counts are one.
                failed: (status.failed_checks as u8).min(self.threshold()),
                weight: status.canary_weight,
                iterations: status.iterations as u8,
                applied: status.last_applied.map(|r| number(&r)),
                promoted: status.last_promoted.map(|r| number(&r)),
            }),
            Effect::ClearRequest { marks } => Act::Clear { id: seen.canary.request?.id, marks: noted(marks) },
            Effect::Marks(marks) => Act::Mark(noted(marks)),
            // Nobody is told, nothing is scaled by itself, and nothing is deleted here.
            Effect::Tell(_)
            | Effect::CallPostRollout(_)
            | Effect::WriteScaler
            | Effect::SetFinalizer(_)
            | Effect::DeleteCanary { .. }
            | Effect::ReturnTarget { .. }
            | Effect::HandBack => return None,
        })
    }
}

fn kind(gate: Gate) -> HookKind {
    match gate {
        Gate::Rollout => HookKind::ConfirmRollout,
        Gate::Promotion => HookKind::ConfirmPromotion,
    }
}

fn gate(name: &str) -> Option<Gate> {
    [Gate::Rollout, Gate::Promotion].into_iter().find(|gate| kind(*gate).name() == name)
}

fn noted(marks: Vec<Mark>) -> Marks {
    let mut noted = Marks::default();
    for mark in marks {
        match mark {
            Mark::Paused(paused) => noted.paused = Some(paused.is_some()),
            Mark::Gate(shut) => noted.gate = Some(shut.and_then(|shut| gate(&shut.name))),
            Mark::Opened(opened) => {
                noted.opened = Some(opened.and_then(|opened| {
                    // Of several the last one is kept here; what was opened before has done its work.
                    Some((gate(opened.gates.last()?)?, number(&opened.revision)))
                }));
            }
        }
    }
    noted
}

fn asked(id: u8, request: &super::cluster::Request, at: DateTime<Utc>) -> api::Request {
    api::Request {
        id: request_id(id),
        verb: request.verb,
        revision: named(request.revision),
        by: "alice".into(),
        at,
        reason: String::new(),
        replaces: None,
        image: request.image.then(|| "app:new".into()),
        container: None,
        gate: request.gate.map(|gate| kind(gate).name().into()),
    }
}

/// Whether a decision breaks what serves, held against the facts that it was made on.
fn darkens(seen: &Objects, acts: &[Act], leaves_out: bool) -> bool {
    if acts.is_empty() {
        return seen.dark(leaves_out);
    }
    let mut imagined = *seen;
    let mut broken = false;
    for act in acts {
        let before = imagined.dark(leaves_out);
        match *act {
            Act::Routes { weight, mirrored, everyone, .. } => {
                let fresh = super::cluster::Routes { version: 0, term: 0, weight, mirrored, everyone, mark: None };
                imagined.routes =
                    Some(super::cluster::Routes { weight, mirrored, everyone, ..imagined.routes.unwrap_or(fresh) });
            }
            Act::Scale { up, .. } if up != imagined.target.up => imagined.target.pods = Pods::None,
            _ => {}
        }
        broken |= imagined.dark(leaves_out) && !before;
    }
    broken
}

/// What a decision can tell apart.
fn without_versions(mut seen: Objects) -> Objects {
    let Objects { canary, target, primary, routes, parts } = &mut seen;
    (canary.version, canary.term) = (0, 0);
    (target.version, target.term, target.generation) = (0, 0, 0);
    if let Some(primary) = primary {
        (primary.version, primary.term) = (0, 0);
    }
    if let Some(routes) = routes {
        (routes.version, routes.term) = (0, 0);
    }
    debug_assert!(*parts <= PARTS);
    seen
}
