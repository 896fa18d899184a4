//! From a new Canary to Initialized, and what happens at rest: the primary stands, the target is at zero, and a new
//! revision begins a rollout.

use super::decide::Plan;
use super::{Effect, Need, Part, Readiness};
use crate::api::shapes::Role;
use crate::api::{Phase, Status};

impl Plan<'_> {
    /// The first deployment: no canary. The target goes to zero last, when the primary serves and is routed.
    pub fn initialise(&mut self) {
        let facts = self.facts;
        self.refuse_any(&format!("{} is not initialized yet", facts.name));
        if facts.status.phase == Phase::New {
            self.status(|status| status.phase = Phase::Initializing);
            return;
        }
        for (role, part) in [(Role::Canary, facts.canary_service), (Role::Primary, facts.primary_service)] {
            if part != Part::AsDesired {
                self.push(Effect::WriteService(role));
            }
        }
        match &facts.metrics_server {
            None => return self.need(Need::MetricsServer),
            Some(Ok(())) => self.synced("all the metrics providers are available!".into()),
            Some(Err(why)) => {
                self.warning(format!("Error checking metric providers: prometheus is not available: {why}"));
            }
        }
        let Some(revision) = self.known_revision() else { return };
        let Some(primary) = &facts.primary else {
            let replicas = self.canary_replicas();
            self.push(Effect::CreatePrimary { replicas, revision });
            return;
        };
        match facts.judged(primary, facts.spec.analysis.primary_ready_threshold) {
            Readiness::Ready => {}
            Readiness::Waiting(why) | Readiness::Expired(why) => {
                self.waiting("Synced", format!("{}.{} not ready: {why}", facts.spec.primary(), facts.namespace));
                return;
            }
        }
        self.repair();
        if facts.live_weight() > 0 {
            self.push(Effect::WriteRoutes { canary: 0, request: None });
        }
        self.scale_down(None);
        self.synced(format!("Initialization done! {}.{}", facts.name, facts.namespace));
        // The target may have moved on since the primary was made of it: then that is a new revision.
        let serving = primary.revision.clone().unwrap_or(revision);
        self.status(|status| {
            *status = Status {
                phase: Phase::Initialized,
                last_applied: Some(serving.clone()),
                last_promoted: Some(serving),
                condition: status.condition.take(),
                condition_since: status.condition_since,
                ..Default::default()
            }
        });
    }

    /// No rollout is under way.
    pub fn at_rest(&mut self) {
        let facts = self.facts;
        if self.keep_serving() {
            return;
        }
        if facts.primary.is_none() {
            return self.primary_is_gone(facts.status.last_promoted.as_ref());
        }
        self.repair();
        if self.answer_at_rest() {
            return;
        }
        if facts.new_revision() {
            self.begin(None);
        } else if facts.status.phase == Phase::Waiting && facts.revision.is_some() {
            // Reverted while it waited for approval: there is nothing left to approve.
            self.clear_pause();
            self.status(|status| {
                status.phase = Phase::Succeeded;
                status.last_applied.clone_from(&facts.revision);
            });
        } else {
            self.note_paused_target();
        }
    }

    /// Made anew only of a version that passed: a target that failed must not become the primary by a deletion.
    pub fn primary_is_gone(&mut self, passed: Option<&String>) {
        let facts = self.facts;
        self.refuse_any("the primary is gone");
        if let Some(revision) = facts.revision.clone().filter(|r| passed == Some(r)) {
            let replicas = self.canary_replicas();
            return self.push(Effect::CreatePrimary { replicas, revision });
        }
        self.event(
            true,
            "PrimaryMissing",
            format!(
                "deployment {}.{} is gone, and the target bears another version than the one that passed: set the target \
                 to that",
                facts.spec.primary(),
                facts.namespace
            ),
        );
    }

    /// Begins the rollout of the target's present revision.
    pub fn begin(&mut self, request: Option<&str>) {
        let facts = self.facts;
        let replicas = self.canary_replicas();
        self.synced(format!("New revision detected! Scaling up {}.{}", facts.spec.target, facts.namespace));
        self.push(Effect::ScaleTarget { replicas, request: request.map(str::to_string) });
        self.restart_status();
    }

    /// Status at the start of an analysis.
    pub fn restart_status(&mut self) {
        let revision = self.facts.revision.clone();
        self.status(|status| {
            status.phase = Phase::Progressing;
            status.canary_weight = 0;
            status.failed_checks = 0;
            status.last_applied = revision;
        });
    }

    /// The target's revision; where there is none yet, says so if that will not change by itself.
    pub fn known_revision(&mut self) -> Option<String> {
        let revision = self.facts.revision.clone();
        if revision.is_none() {
            self.note_paused_target();
        }
        revision
    }

    pub fn note_paused_target(&mut self) {
        let facts = self.facts;
        if facts.revision.is_none() && facts.target.as_ref().is_some_and(|t| t.paused) {
            self.event(
                true,
                "TargetPaused",
                format!(
                    "deployment {0}.{1} is paused, so a new template gets no revision: kubectl -n {1} rollout resume \
                     deployment/{0}",
                    facts.spec.target, facts.namespace
                ),
            );
        }
    }
}
