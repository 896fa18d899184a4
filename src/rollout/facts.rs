//! What is observed of one Canary and the objects around it, at one moment.

use super::{Answers, Readiness, readiness};
use crate::api::routes::Weights;
use crate::api::{Gate, Opened, Paused, Request, Revision, Spec, Status, Webhook};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// All that a decision is made of.
#[derive(Clone, Debug)]
pub struct Facts {
    pub now: DateTime<Utc>,
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub spec: Arc<Spec>,
    /// Time between two checks: the spec's, bounded from below by the driver.
    pub interval: Duration,
    pub status: Status,
    /// The Deployment that `targetRef` names; None where there is none.
    pub target: Option<Workload>,
    /// The target's present revision; None until the Deployment controller has seen its newest template, and while what
    /// it mounts is not known.
    pub revision: Option<Revision>,
    /// What the target mounts and cannot be read: a ConfigMap or Secret that is missing.
    pub config_problem: Option<String>,
    /// The revision that the primary serves, as far as status and cluster say.
    pub promoted: Option<Revision>,
    /// Whether the status' `lastAppliedSpec` is the hash of a ReplicaSet of the target. One that is not is another tool's.
    pub applied_is_ours: bool,
    pub primary: Option<Workload>,
    /// Whether the primary bears what the target's template would make of it; None where either is not known.
    pub primary_like_target: Option<bool>,
    /// The target's autoscaler, where the Canary names one.
    pub scaler: Option<Scaler>,
    pub apex_service: Part,
    pub primary_service: Part,
    pub canary_service: Part,
    pub primary_rule: Part,
    pub canary_rule: Part,
    pub routes: Routes,
    /// The pending request; the error says why it cannot be read.
    pub request: Option<Result<Request, String>>,
    pub paused: Option<Paused>,
    /// What the Canary says that it waits for.
    pub gate: Option<Gate>,
    pub opened: Option<Opened>,
    /// Whether a new revision waits for a request to start it.
    pub manual_start: bool,
    /// Deletion was asked for, and a finalizer waits for the traffic to go back to the target.
    pub deleting: bool,
    /// Whether the Canary bears that finalizer.
    pub finalizer: bool,
    /// What was asked for this decision.
    pub answers: Answers,
    /// What in the spec keeps this Canary from being driven; then `spec` is what could be read of it.
    pub undriveable: Option<String>,
}

/// The HorizontalPodAutoscaler that `autoscalerRef` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scaler {
    /// Whether it exists.
    pub found: bool,
    /// Pods that it asks for at least.
    pub min_replicas: u32,
    /// The primary's copy of it.
    pub primary: Part,
}

/// A Deployment as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    pub name: String,
    pub generation: i64,
    pub observed_generation: i64,
    /// Replicas asked for.
    pub desired: u32,
    /// Pods of all revisions.
    pub replicas: u32,
    /// Pods of the newest revision.
    pub updated: u32,
    /// Pods that can serve.
    pub available: u32,
    /// The Deployment's own progress deadline has passed.
    pub deadline_exceeded: bool,
    /// Since when fewer pods are available than the Deployment needs.
    pub unavailable_since: Option<DateTime<Utc>>,
    /// Paused by hand: a new template gets no ReplicaSet, so no revision.
    pub paused: bool,
    /// Name and image of each container.
    pub containers: Vec<(String, String)>,
    /// What is wrong with its selector, if anything.
    pub selector_problem: Option<String>,
    /// On the primary: the revision whose template it bears, where we wrote it.
    pub revision: Option<String>,
    /// On the primary: the revision of the template that is kept from before.
    pub last_promoted: Option<String>,
    /// The last request that was carried out on it.
    pub request_id: Option<String>,
    /// On the target: pods that the primary had when the target was scaled to zero.
    pub served_with: Option<u32>,
    /// On the primary: whether copies that it mounts hold something else than they held when it got its template.
    pub strayed: bool,
    /// On the primary: whether it belongs to someone else.
    pub foreign: bool,
}

impl Workload {
    /// Whether any pod of it can serve.
    pub fn can_serve(&self) -> bool {
        self.available > 0
    }
}

/// An object that the Canary owns, held against what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    Missing,
    /// It exists and another controller owns it.
    Foreign,
    Differs,
    AsDesired,
}

/// The object that carries the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    /// Held against the desired one, the weights aside.
    pub part: Part,
    /// The live weights; None where it leads to neither the primary nor the canary.
    pub weights: Option<Weights>,
    /// Whether requests are copied to the canary.
    pub mirrored: bool,
    /// Whether the canary stands in for a primary without pods, as it is written on the routes.
    pub everyone: bool,
    pub request_id: Option<String>,
}

impl Facts {
    /// Percent of traffic that really goes to the canary; 0 where nothing routes yet.
    pub fn live_weight(&self) -> u8 {
        self.routes.weights.map_or(0, |w| w.canary)
    }

    /// Whether a workload is ready now, by the Canary's deadline and with this percentage of its pods.
    pub fn judged(&self, workload: &Workload, threshold: u8) -> Readiness {
        readiness(workload, threshold, self.spec.progress_deadline, self.status.last_transition, self.now)
    }

    /// Whether the primary has a pod that can serve.
    pub fn primary_serves(&self) -> bool {
        self.primary.as_ref().is_some_and(Workload::can_serve)
    }

    /// Whether the canary has a pod that can serve.
    pub fn canary_serves(&self) -> bool {
        self.target.as_ref().is_some_and(Workload::can_serve)
    }

    /// The revision that a rollout has last taken into account.
    pub fn applied(&self) -> Option<Revision> {
        self.status.applied()
    }

    /// Whether the target bears the revision that serves.
    pub fn is_promoted(&self) -> bool {
        self.revision.is_some() && self.revision == self.promoted
    }

    /// Whether the target bears a revision that no rollout has taken into account (flagger-compatible: the promoted
    /// revision is never new).
    pub fn new_revision(&self) -> bool {
        let Some(revision) = &self.revision else { return false };
        match self.applied() {
            None => true,
            Some(_) if self.is_promoted() => false,
            Some(applied) => applied != *revision,
        }
    }

    /// Whether a webhook is a gate that was opened for the present revision: it is not asked. Others may bear a gate's
    /// name, and are.
    pub fn is_passed_by(&self, hook: &Webhook) -> bool {
        hook.kind.is_gate() && self.is_open(&hook.name)
    }

    /// Whether a gate was opened for the present revision.
    pub fn is_open(&self, gate: &str) -> bool {
        let Some((opened, revision)) = self.opened.as_ref().zip(self.revision.as_ref()) else { return false };
        opened.revision == revision.to_string() && opened.gates.iter().any(|name| name == gate)
    }
}
