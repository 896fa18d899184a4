//! From a new Canary to Initialized, and what happens at rest: the primary stands, the target is at zero, and a new
//! revision begins a rollout.

use super::decide::Plan;
use super::{Effect, Need, Part, Readiness};
use crate::api::shapes::Role;
use crate::api::{HookKind, Phase, Revision, Severity, Status};

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
        match &facts.answers.metrics_server {
            None => return self.need(Need::MetricsServer),
            Some(Ok(())) => self.synced("all the metrics providers are available!".into()),
            Some(Err(why)) => {
                self.warning(format!("Error checking metric providers: {why}"));
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
        if !self.scaler_is_there() {
            return;
        }
        self.repair();
        if facts.live_weight() > 0 {
            self.route_weight(0, None);
        }
        self.scale_down(None);
        self.synced(format!("Initialization done! {}.{}", facts.name, facts.namespace));
        // The target may have moved on since the primary was made of it: then that is a new revision.
        let made_of_it = primary.revision.as_ref().is_none_or(|bears| *bears == revision.to_string());
        let serving = match (made_of_it, &facts.promoted) {
            (true, _) => revision,
            (false, Some(promoted)) => promoted.clone(),
            (false, None) => Revision::plain(primary.revision.clone().unwrap_or_default()),
        };
        self.status(|status| {
            *status = Status {
                phase: Phase::Initialized,
                last_promoted: Some(serving.hash.clone()),
                condition: status.condition.take(),
                condition_since: status.condition_since,
                cookies: status.cookies.clone(),
                ..Default::default()
            };
            status.apply(&serving);
        });
        self.tell(Severity::Info, "New Deployment detected, initialization completed.".into(), true);
    }

    /// Whether the autoscaler that the Canary names exists; says so where it does not.
    fn scaler_is_there(&mut self) -> bool {
        let facts = self.facts;
        let (Some(named), Some(scaler)) = (&facts.spec.autoscaler, &facts.scaler) else { return true };
        if !scaler.found {
            let why = format!("HorizontalPodAutoscaler {}.{} get query error: not found", named.name, facts.namespace);
            self.waiting("Synced", why);
        }
        scaler.found
    }

    /// No rollout is under way.
    pub fn at_rest(&mut self) {
        let facts = self.facts;
        if self.keep_serving() {
            return;
        }
        if facts.primary.is_none() {
            let promoted = facts.status.last_promoted.clone().map(|hash| match facts.applied() {
                // What it mounts is recorded of the revision last taken into account.
                Some(applied) if applied.hash == hash => applied,
                _ => Revision::plain(hash),
            });
            return self.primary_is_gone(promoted.as_ref());
        }
        self.repair();
        if self.adopt_at_rest() || self.answer_at_rest() {
            return;
        }
        if facts.status.phase == Phase::Waiting {
            return self.wait();
        }
        if facts.new_revision() {
            self.admit();
        } else {
            self.note_unknown_revision();
        }
    }

    /// A revision waits for approval.
    fn wait(&mut self) {
        let facts = self.facts;
        if facts.is_promoted() {
            // Reverted while it waited: there is nothing left to approve.
            self.clear_marks();
            let revision = facts.revision.clone();
            return self.status(|status| {
                status.phase = Phase::Succeeded;
                if let Some(revision) = &revision {
                    status.apply(revision);
                }
            });
        }
        match self.told_to_roll_back() {
            None => return,
            Some(None) => {}
            Some(Some(hook)) => return self.roll_back_as_told(&hook),
        }
        match facts.revision {
            Some(_) => self.admit(),
            None => self.note_unknown_revision(),
        }
    }

    /// Whether a new revision waits at a gate before it begins.
    pub fn is_gated(&self) -> bool {
        let facts = self.facts;
        facts.manual_start || facts.spec.analysis.hooks(HookKind::ConfirmRollout).next().is_some()
    }

    /// Made anew only of a version that passed: a target that failed must not become the primary by a deletion.
    pub fn primary_is_gone(&mut self, passed: Option<&Revision>) {
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
        self.tell(Severity::Info, "New revision detected, progressing canary analysis.".into(), true);
    }

    /// Status at the start of an analysis.
    pub fn restart_status(&mut self) {
        let revision = self.facts.revision.clone();
        self.status(|status| {
            status.phase = Phase::Progressing;
            status.canary_weight = 0;
            status.failed_checks = 0;
            status.iterations = 0;
            if let Some(revision) = &revision {
                status.apply(revision);
            }
        });
    }

    /// The target's revision; where there is none yet, says so if that will not change by itself.
    pub fn known_revision(&mut self) -> Option<Revision> {
        let revision = self.facts.revision.clone();
        if revision.is_none() {
            self.note_unknown_revision();
        }
        revision
    }

    /// Says why the target's revision is not known, where that will not change by itself.
    pub fn note_unknown_revision(&mut self) {
        let facts = self.facts;
        if let Some(problem) = &facts.config_problem {
            self.event(true, "ConfigMissing", problem.clone());
        }
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
