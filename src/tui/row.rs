//! One canary as the console shows it: everything that the views need, derived from the records once, on arrival.

use super::own_checks::OwnCheck;
use super::text::bounded;
use crate::api::routes::Live;
use crate::api::{CheckKind, Phase, Provider, Spec, Strategy, Verb};
use crate::cluster::records::tag;
use crate::cluster::sharing::Pool;
use crate::cluster::{CanaryRecord, WorkloadRecord};
use crate::rollout::{self, Standing};
use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which object is meant: its namespace and its name, which is unique in there alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    /// The object of that name in a namespace.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Many rows. Each stays where it was made, whoever it is handed to: a thousand of them in one piece would be moved as a
/// piece, and leave as large a hole.
#[allow(clippy::vec_box, reason = "they are handed over one by one")]
pub type Rows = Vec<Box<Row>>;

/// The records of one canary.
pub struct Records<'a> {
    pub canary: &'a CanaryRecord,
    pub target: Option<&'a WorkloadRecord>,
    /// Whether a target that is not there does not exist: the workloads have been listed.
    pub workloads_listed: bool,
    pub primary: Option<&'a WorkloadRecord>,
    /// Which way the requests go; None where there are no routes.
    pub live: Option<Live>,
    /// The target's present revision.
    pub revision: Option<String>,
    /// The shortest time between two checks that the driver keeps to.
    pub min_interval: Duration,
}

/// One canary. Texts are as they came; the canvas cleans them.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub namespace: String,
    pub name: String,
    pub created: Option<DateTime<Utc>>,
    /// Deletion was asked for.
    pub deleting: bool,
    pub phase: Phase,
    /// Who carries out its routing.
    pub provider: Provider,
    /// Percent of traffic to the canary as the routes have it; None where there are none.
    pub live_weight: Option<u8>,
    /// Percent of traffic to the canary as the status says.
    pub status_weight: u8,
    pub failed_checks: u32,
    pub primary: Side,
    pub canary: Side,
    pub course: Course,
    /// When the next check is due, while there is one.
    pub next_check: Option<DateTime<Utc>>,
    pub paused: Option<Box<Held>>,
    /// The gate that holds the rollout.
    pub gate: Option<Box<Shut>>,
    /// The request that waits for the driver.
    pub pending: Option<Box<Pending>>,
    /// What keeps this canary from being driven.
    pub problems: Vec<String>,
    pub rules: Arc<Rules>,
    /// The target's present revision, once its Deployment controller has computed it.
    pub revision: Option<Arc<str>>,
    /// Versions that the target offers for a start: tag and note.
    pub offered: Vec<(String, String)>,
    /// Name and image of the target's containers.
    pub containers: Vec<(String, String)>,
    /// The revision of the rollout that the status speaks of.
    pub applied: Option<Arc<str>>,
    /// What decides which verbs do anything now.
    pub standing: Standing,
}

/// What a Canary's spec asks of its rollouts. Many Canaries may share one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Failed checks that end the rollout; None where the spec cannot be read.
    pub threshold: Option<u32>,
    /// The weights of the rollout, in order; none where it goes by checks alone.
    pub steps: Vec<u8>,
    /// Time between two checks; None where the spec cannot be read.
    pub interval: Option<Duration>,
    pub limits: Limits,
    /// The checks by queries of its own.
    pub own_checks: Vec<OwnCheck>,
}

impl Rules {
    fn of(spec: &Spec, interval: Duration) -> Arc<Self> {
        static RULES: Pool<Rules> = Pool::new();
        let analysis = &spec.analysis;
        let of = |kind| analysis.checks.iter().filter(move |check| check.kind == kind);
        let mut rules = Arc::new(Self {
            threshold: Some(analysis.threshold),
            steps: if analysis.iterations == 0 { rollout::steps(analysis) } else { Vec::new() },
            interval: Some(interval),
            limits: Limits {
                success_min: of(CheckKind::SuccessRate).filter_map(|c| c.min).reduce(f64::max),
                p99_max: of(CheckKind::Duration).filter_map(|c| c.max).reduce(f64::min),
            },
            own_checks: OwnCheck::of(spec),
        });
        RULES.share(&mut rules);
        rules
    }
}

/// By what a rollout goes from its first check to its promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    pub strategy: Strategy,
    /// Checks before the promotion, where it does not go by weights.
    pub checks: u32,
    /// Which of them it is at; one more than there are: all users are on the canary for the last.
    pub done: u32,
    /// Whether requests are copied to the canary before it answers any, and whether they are now.
    pub mirrors: bool,
    pub mirrored: bool,
}

/// The primary or the canary workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The Deployment.
    pub workload: Key,
    /// None while there is no such Deployment.
    pub pods: Option<Pods>,
    /// The whole image; empty where it is not known.
    pub image: Arc<str>,
}

impl Side {
    /// The version: the tag of its image.
    pub fn version(&self) -> &str {
        tag(&self.image)
    }

    /// Whether any pod is wanted.
    pub fn runs(&self) -> bool {
        self.pods.is_some_and(|pods| pods.desired > 0 || pods.ready > 0)
    }
}

/// Pods of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    pub ready: u32,
    pub desired: u32,
}

/// A hold on the rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub by: String,
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// A gate at which a rollout waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Shut {
    pub name: String,
    /// Flagger's type of its webhook.
    pub kind: String,
    /// What waits to be started by hand: there is no webhook, and nothing to open.
    pub manual: bool,
    pub since: DateTime<Utc>,
    pub answer: String,
    /// An operator has opened it, and the rollout has not gone on yet.
    pub opened: bool,
}

/// A request that the driver has not answered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub verb: Verb,
    pub by: String,
    pub at: DateTime<Utc>,
}

/// What the checks hold measurements against.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Lowest success rate that passes, in percent.
    pub success_min: Option<f64>,
    /// Highest P99 that passes, in milliseconds.
    pub p99_max: Option<f64>,
}

impl Row {
    /// Derives a row. Texts are bounded here: a megabyte in a field must not slow every frame down.
    pub fn of(records: &Records) -> Self {
        let Records { canary, target, workloads_listed, primary, live, revision, min_interval } = records;
        let status = &canary.status;
        let spec = canary.spec.as_ref().ok();
        let mut problems: Vec<String> = match &canary.spec {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|problem| bounded(&problem.to_string())).collect(),
        };
        let image = |workload: Option<&WorkloadRecord>| workload.map(|w| Arc::from(bounded(w.image())));
        let serves: Option<Arc<str>> = image(*primary);
        let side = |name: String, workload: Option<&WorkloadRecord>| Side {
            workload: Key { namespace: canary.namespace.clone(), name },
            pods: workload.map(|w| Pods { ready: w.ready, desired: w.desired }),
            image: image(workload).map_or_else(Arc::default, |image| shared_with(&serves, image)),
        };
        let target_name = spec.map_or_else(|| canary.name.clone(), |spec| spec.target.clone());
        if spec.is_some() && target.is_none() && *workloads_listed {
            problems.push(format!("its target, the Deployment {target_name}, does not exist"));
        }
        if let Some(target) = target {
            if let Err(why) = &target.selector {
                problems.push(bounded(&format!("the Deployment {target_name}: {why}")));
            }
            if target.paused {
                problems.push(format!(
                    "the Deployment {target_name} is paused, so its newest template gets no pods: \
                     kubectl rollout resume deployment {target_name}"
                ));
            }
        }
        if status.phase == Phase::Unknown {
            problems.push("status.phase is one that this version does not know".into());
        }
        if let Some(Err(problem)) = &canary.request {
            problems.push(bounded(&problem.to_string()));
        }
        let analysis = spec.map(|spec| &spec.analysis);
        let interval = analysis.map(|analysis| analysis.interval.max(*min_interval));
        let revision: Option<Arc<str>> = revision.as_deref().map(Arc::from);
        let applied = status.applied().map(|revision| revision.to_string());
        let checked = matches!(status.phase, Phase::Progressing | Phase::WaitingPromotion);
        Self {
            namespace: canary.namespace.clone(),
            name: canary.name.clone(),
            created: canary.created,
            deleting: canary.deleting,
            phase: status.phase,
            provider: spec.or(canary.partial.as_ref()).map_or_else(Provider::default, |spec| spec.provider),
            live_weight: live.as_ref().and_then(|live| live.weights).map(|weights| weights.canary),
            status_weight: status.canary_weight,
            failed_checks: status.failed_checks,
            primary: side(format!("{target_name}-primary"), *primary),
            canary: side(target_name, *target),
            course: Course {
                strategy: analysis.map_or(Strategy::Canary, |analysis| analysis.strategy()),
                checks: analysis.map_or(0, |analysis| analysis.iterations),
                done: status.iterations,
                mirrors: analysis.is_some_and(|analysis| analysis.mirror),
                mirrored: live.as_ref().is_some_and(|live| live.mirrored),
            },
            next_check: interval.filter(|_| checked).and_then(|interval| rollout::next_check(status, interval)),
            paused: canary.paused.as_ref().map(|paused| {
                Box::new(Held { by: bounded(&paused.by), at: paused.at, reason: bounded(&paused.reason) })
            }),
            gate: canary.gate.as_ref().filter(|_| status.phase.under_way()).map(|gate| {
                Box::new(Shut {
                    name: bounded(&gate.name),
                    kind: bounded(&gate.kind),
                    manual: gate.is_manual(),
                    since: gate.since,
                    answer: bounded(&gate.answer),
                    opened: canary.opened.as_ref().is_some_and(|opened| {
                        Some(&*opened.revision) == revision.as_deref() && opened.gates.contains(&gate.name)
                    }),
                })
            }),
            pending: canary
                .pending()
                .map(|request| Box::new(Pending { verb: request.verb, by: bounded(&request.by), at: request.at })),
            problems,
            rules: spec.zip(interval).map_or_else(Arc::default, |(spec, interval)| Rules::of(spec, interval)),
            applied: applied.map(|applied| shared_with(&revision, applied.into())),
            offered: target
                .map(|t| t.offered.iter().map(|(tag, note)| (bounded(tag), bounded(note))).collect())
                .unwrap_or_default(),
            containers: target.map(|t| t.containers.clone()).unwrap_or_default(),
            standing: Standing {
                phase: status.phase,
                paused: canary.paused.is_some(),
                revision_known: revision.is_some(),
            },
            revision,
        }
    }

    /// Which Canary it is.
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// Whether it is that Canary's.
    pub fn is(&self, key: &Key) -> bool {
        self.name == key.name && self.namespace == key.namespace
    }

    /// The revision that a request names: the target's present one; an abort may name the one being rolled out while
    /// the target's newest template has none yet.
    pub fn request_revision(&self, verb: Verb) -> Option<&str> {
        let applied = if verb == Verb::Abort { self.applied.as_deref() } else { None };
        self.revision.as_deref().or(applied)
    }

    /// Percent of traffic that the canary gets, as far as is known: the route has the truth.
    pub fn weight(&self) -> u8 {
        self.live_weight.unwrap_or(self.status_weight)
    }

    /// The route and the status disagree.
    pub fn weights_differ(&self) -> bool {
        self.live_weight.is_some_and(|live| live != self.status_weight)
    }

    /// The workload whose numbers are judged: the canary's while it has traffic, else the primary's.
    pub fn judged(&self) -> &Side {
        let canary = self.under_way() && self.canary.runs() && self.weight() > 0;
        if canary { &self.canary } else { &self.primary }
    }

    /// Whether it takes two versions to say what runs: what serves, and what is being rolled out or was rolled back.
    pub fn two_versions(&self) -> bool {
        (self.under_way() || self.phase == Phase::Failed) && self.primary.version() != self.canary.version()
    }

    /// The phase's name; a word of ours where the object has none.
    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            _ if self.deleting => "Deleting",
            Phase::New => "New",
            phase => phase.name(),
        }
    }

    /// Whether a rollout is under way or about to be.
    pub fn under_way(&self) -> bool {
        self.phase.under_way()
    }

    /// The container that a new image goes to: the only one, else the one named like the target.
    pub fn container(&self) -> Result<&(String, String), String> {
        match &self.containers[..] {
            [] => Err(format!("the Deployment {} has no container", self.canary.workload.name)),
            [only] => Ok(only),
            many => many.iter().find(|(name, _)| *name == self.canary.workload.name).ok_or_else(|| {
                let names: Vec<&str> = many.iter().map(|(name, _)| name.as_str()).collect();
                format!(
                    "the Deployment {} has several containers ({}) and none is named like it: set the image with \
                     canary-tui start {} --container NAME --image IMAGE",
                    self.canary.workload.name,
                    names.join(", "),
                    self.name
                )
            }),
        }
    }
}

/// A text: the other itself, where that is equal.
fn shared_with(other: &Option<Arc<str>>, text: Arc<str>) -> Arc<str> {
    other.as_ref().filter(|other| **other == text).cloned().unwrap_or(text)
}

/// The image that a typed version stands for: a whole reference is taken as it is, a tag replaces the present one's.
pub fn image_of(present: &str, typed: &str) -> String {
    if typed.contains('/') || typed.contains(':') || typed.contains('@') {
        return typed.to_string();
    }
    let bare = present.split_once('@').map_or(present, |(name, _)| name);
    let path = bare.rfind('/').map_or(0, |slash| slash + 1);
    let name = match bare[path..].find(':') {
        Some(colon) => &bare[..path + colon],
        None => bare,
    };
    format!("{name}:{typed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_replaces_the_present_one_and_a_reference_stands_for_itself() {
        assert_eq!(image_of("gcr.io/jx/app:1.0.0", "1.1.0"), "gcr.io/jx/app:1.1.0");
        assert_eq!(image_of("registry:5000/app", "2"), "registry:5000/app:2");
        assert_eq!(image_of("app@sha256:00", "2"), "app:2");
        assert_eq!(image_of("gcr.io/jx/app:1.0.0", "other:2"), "other:2");
        assert_eq!(image_of("gcr.io/jx/app:1.0.0", "quay.io/app"), "quay.io/app");
    }
}
