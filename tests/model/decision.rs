//! The decision that is checked, asked with what a driver sees. It is a pure function of little, so that each answer is
//! kept: the same few hundred thousand questions are asked many million times.

use super::cluster::{Act, Age, Objects, PARTS, Pods, Revision, Status, part};
use canary_tui::api::routes::{Weights, weights};
use canary_tui::api::shapes::{Role, virtual_service_spec};
use canary_tui::api::{self, Paused, Phase, Spec};
use canary_tui::rollout::{Decision, Effect, Facts, Need, Occasion, Part, Reading, Routes, Workload, decide};
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
    /// The driver looks again by itself.
    pub wakes: bool,
    /// Weights that do not add up to 100, or go to a name that is not ours.
    pub broken_weights: bool,
    /// On the very facts that it was made on it moves traffic to, or takes pods from under traffic at, a workload while
    /// the other one could serve; or it leaves that so and goes to sleep.
    pub darkens: bool,
}

/// What the spec says of the analysis.
#[derive(Clone, Copy, Debug)]
pub struct Analysis {
    pub step: u8,
    pub max: u8,
    pub threshold: u8,
}

/// What is seen, and what the checks say where they were asked.
type Question = (Objects, Option<Verdict>);

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
        let Analysis { step, max, threshold } = analysis;
        let spec = Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "service": {"port": 80},
            "progressDeadlineSeconds": DEADLINE,
            "analysis": {"interval": "10s", "threshold": threshold, "maxWeight": max, "stepWeight": step,
                "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]},
        }))
        .expect("a spec that can be driven");
        Self { spec: Arc::new(spec), known: RwLock::default() }
    }

    pub fn threshold(&self) -> u8 {
        self.spec.analysis.threshold as u8
    }

    /// How many different questions were asked.
    pub fn questions(&self) -> usize {
        self.known.read().expect("no checker panicked").len()
    }

    /// What is decided on `seen`.
    pub fn plan(&self, seen: &Objects, verdict: Option<Verdict>) -> Arc<Plan> {
        let key = (without_versions(*seen), verdict);
        if let Some(plan) = self.known.read().expect("no checker panicked").get(&key) {
            return plan.clone();
        }
        let plan = Arc::new(self.work_out(seen, verdict));
        self.known.write().expect("no checker panicked").insert(key, plan.clone());
        plan
    }

    fn work_out(&self, seen: &Objects, verdict: Option<Verdict>) -> Plan {
        let readings = verdict.map(|verdict| match verdict {
            Verdict::Pass => Reading::Value(100.0),
            Verdict::Fail => Reading::Value(50.0),
            Verdict::Missing => Reading::NoValues,
        });
        let mut facts = self.facts(seen);
        facts.readings = readings.map(|r| vec![r]);
        let mut decision = decide(&facts);
        if decision.need == Some(Need::MetricsServer) {
            facts.metrics_server = Some(Ok(()));
            decision = decide(&facts);
        }
        let Decision { effects, need, wake } = decision;
        if need == Some(Need::Readings) {
            return Plan { asks: true, ..Plan::default() };
        }
        let mut plan = Plan { wakes: wake.is_some(), ..Plan::default() };
        plan.acts = effects.into_iter().filter_map(|effect| self.act(effect, seen)).collect();
        let hosts = [Role::Primary, Role::Canary].map(|role| role.name(&self.spec.service.apex));
        for act in &plan.acts {
            let Act::Routes { weight, .. } = act else { continue };
            let shape = virtual_service_spec(&self.spec.service, *weight);
            let routes = shape["http"][0]["route"].as_array().cloned().unwrap_or_default();
            let sum: u64 = routes.iter().filter_map(|r| r["weight"].as_u64()).sum();
            let ours = routes.iter().zip(&hosts).all(|(route, host)| route["destination"]["host"] == host.as_str());
            let reads_back = weights(&shape, &self.spec.service.apex) == Some(Weights::canary(*weight));
            plan.broken_weights |= *weight > 100 || sum != 100 || !ours || routes.len() != 2 || !reads_back;
        }
        plan.darkens = darkens(seen, &plan.acts);
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
        let Status { phase, failed, weight, applied, promoted } = canary.status;
        Facts {
            now,
            name: "app".into(),
            namespace: "test".into(),
            spec: self.spec.clone(),
            interval: std::time::Duration::from_secs(INTERVAL as u64),
            status: api::Status {
                phase,
                failed_checks: u32::from(failed),
                canary_weight: weight,
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
            revision: target.seen.then(|| named(target.revision)),
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
                request_id: r.mark.map(request_id),
            }),
            request: canary.request.map(|r| Ok(asked(r.id, &r, now))),
            paused: canary.paused.then(|| Paused { by: "alice".into(), at: now, reason: String::new() }),
            readings: None,
            undriveable: None,
            metrics_server: None,
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
            Effect::WriteRoutes { canary, request } => Act::Routes { weight: canary, request: id(request) },
            Effect::CreatePrimary { revision, .. } => Act::Create(number(&revision)),
            Effect::PromotePrimary { revision, request } => {
                Act::Promote { revision: number(&revision), request: id(request) }
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
                applied: status.last_applied.map(|r| number(&r)),
                promoted: status.last_promoted.map(|r| number(&r)),
            }),
            Effect::ClearRequest { paused } => {
                Act::Clear { id: seen.canary.request?.id, paused: paused.map(|p| p.is_some()) }
            }
            Effect::ClearPaused => Act::ClearPaused,
        })
    }
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
    }
}

/// Whether a decision breaks what serves, held against the facts that it was made on.
fn darkens(seen: &Objects, acts: &[Act]) -> bool {
    if acts.is_empty() {
        return seen.dark();
    }
    let mut imagined = *seen;
    let mut broken = false;
    for act in acts {
        let before = imagined.dark();
        match *act {
            Act::Routes { weight, .. } => {
                let fresh = super::cluster::Routes { version: 0, term: 0, weight, mark: None };
                imagined.routes = Some(super::cluster::Routes { weight, ..imagined.routes.unwrap_or(fresh) });
            }
            Act::Scale { up, .. } if up != imagined.target.up => imagined.target.pods = Pods::None,
            _ => {}
        }
        broken |= imagined.dark() && !before;
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
