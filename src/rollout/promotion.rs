//! Promoting and Finalising: the primary takes the new template, then all traffic, then the canary goes.

use super::decide::Plan;
use super::steps::weight_back;
use super::{Effect, Part, Readiness};
use crate::api::{Phase, Request, Severity, Verb};

impl Plan<'_> {
    /// Promoting or Finalising.
    pub fn promotion(&mut self) {
        let facts = self.facts;
        if facts.primary.is_none() {
            return self.primary_is_gone(facts.applied().as_ref());
        }
        if let Some(abort) = self.pending(Verb::Abort) {
            return self.abort_promotion(&abort);
        }
        if self.is_restored() {
            // The version before was put back: an abort has begun, and ends even if its request was lost.
            return self.complete_restoration(None);
        }
        if self.answer_in_promotion() {
            return;
        }
        if self.stood_in() {
            return;
        }
        self.repair();
        if facts.scaler.as_ref().is_some_and(|s| s.found && s.primary == Part::Differs) {
            self.push(Effect::WriteScaler);
        }
        if facts.status.phase == Phase::Finalising { self.finalise() } else { self.move_to_primary() }
    }

    /// Whether the primary bears the version promoted before again.
    fn is_restored(&self) -> bool {
        let facts = self.facts;
        let applied = facts.applied().map(|revision| revision.to_string());
        let bears = facts.primary.as_ref().and_then(|p| p.revision.clone());
        bears.is_some_and(|bears| facts.status.names_promoted(&bears) && Some(bears) != applied)
    }

    /// Traffic moved between the copies because one of them cannot serve; the promotion goes on from there.
    fn stood_in(&mut self) -> bool {
        let to_canary = !self.facts.primary_serves();
        if !self.keep_serving() {
            return false;
        }
        self.status(|status| {
            status.phase = Phase::Promoting;
            status.canary_weight = if to_canary { 100 } else { 0 };
        });
        true
    }

    fn move_to_primary(&mut self) {
        let facts = self.facts;
        let (target, namespace) = (&facts.spec.target, &facts.namespace);
        let changed = facts.revision.is_some() && facts.revision != facts.applied();
        if changed && facts.live_weight() > 0 && facts.primary_serves() {
            // The canary's pods are becoming something that no check has seen.
            self.event(
                true,
                "TargetChanged",
                format!("{target}.{namespace} changed while it was promoted: routing all traffic to the primary"),
            );
            self.route_weight(0, None);
            return self.status(|status| status.canary_weight = 0);
        }
        self.wake_at_deadlines();
        let Some(primary) = &facts.primary else { return };
        match facts.judged(primary, facts.spec.analysis.primary_ready_threshold) {
            Readiness::Ready if facts.live_weight() > 0 && facts.spec.analysis.step_weight_promotion > 0 => {
                self.step_back();
            }
            Readiness::Ready => {
                self.synced("Routing all traffic to primary".into());
                self.route_weight(0, None);
                self.status(|status| {
                    status.phase = Phase::Finalising;
                    status.canary_weight = 0;
                });
            }
            Readiness::Waiting(why) => {
                self.waiting("Synced", format!("{target}-primary.{namespace} not ready: {why}"));
            }
            Readiness::Expired(why) => {
                self.tell(Severity::Error, format!("Promotion failed, primary not ready: {why}"), false);
                self.event(
                    true,
                    "PromotionStalled",
                    format!(
                        "Promotion of {target}.{namespace} waits for {target}-primary.{namespace}: {why}. Traffic stays \
                         where pods are ready; abort puts the version before back"
                    ),
                );
                self.waiting("Synced", format!("{target}-primary.{namespace} not ready: {why}"));
            }
        }
    }

    /// A part of the traffic goes to the promoted primary, one part an interval, until it has all.
    fn step_back(&mut self) {
        let facts = self.facts;
        let due = self.check_due();
        if facts.now < due {
            return self.wake(Some(due));
        }
        let canary = weight_back(&facts.spec.analysis, facts.live_weight());
        self.route_weight(canary, None);
        self.synced(format!("Advance {}.{} primary weight {}", facts.name, facts.namespace, 100 - canary));
        self.status(|status| {
            status.canary_weight = canary;
            if canary == 0 {
                status.phase = Phase::Finalising;
            }
        });
    }

    /// All traffic is on the primary. The canary's pods stay one interval longer, until every proxy knows.
    fn finalise(&mut self) {
        let facts = self.facts;
        let live = facts.live_weight();
        if live > 0 {
            // The canary stands in for the primary: back to waiting for that.
            return self.status(|status| {
                status.phase = Phase::Promoting;
                status.canary_weight = live;
            });
        }
        let due = self.check_due();
        if facts.now < due {
            return self.wake(Some(due));
        }
        let (target, namespace) = (&facts.spec.target, &facts.namespace);
        let skipped = facts.spec.skip_analysis;
        self.synced(match skipped {
            true => format!("Promotion completed! Canary analysis was skipped for {target}.{namespace}"),
            false => format!("Promotion completed! Scaling down {target}.{namespace}"),
        });
        self.scale_down(None);
        self.clear_marks();
        self.status(|status| {
            status.phase = Phase::Succeeded;
            status.canary_weight = 0;
            status.iterations = 0;
            status.last_promoted.clone_from(&status.last_applied);
        });
        let alert = match skipped {
            true => "Canary analysis was skipped, promotion finished.",
            false => "Canary analysis completed successfully, promotion finished.",
        };
        self.tell(Severity::Info, alert.into(), false);
        self.call_post_rollout(Phase::Succeeded);
    }

    /// The primary may already be the new version: the one before goes back onto it; traffic stays on whatever copy
    /// can serve until the primary is ready.
    pub fn abort_promotion(&mut self, abort: &Request) {
        let facts = self.facts;
        let Some(primary) = &facts.primary else { return };
        if facts.status.last_promoted.is_none() {
            return self.refuse(abort, "the status names no revision that was promoted before");
        }
        if !self.is_restored() {
            let applied = facts.applied().map(|revision| revision.to_string());
            let kept = primary.last_promoted.clone();
            let Some(kept) = kept.filter(|k| facts.status.names_promoted(k) && Some(k) != applied.as_ref()) else {
                return self.refuse(abort, "the primary keeps no copy of the version that was promoted before");
            };
            self.event(
                true,
                "Restoring",
                format!("Restoring {}.{} to the version promoted before", facts.spec.primary(), facts.namespace),
            );
            return self.push(Effect::RestorePrimary { revision: kept, request: Some(abort.id.clone()) });
        }
        self.complete_restoration(Some(abort));
    }

    /// The version before is on the primary again: when that is ready, the rollout ends as Failed.
    fn complete_restoration(&mut self, abort: Option<&Request>) {
        let facts = self.facts;
        let Some(primary) = &facts.primary else { return };
        if self.stood_in() {
            return;
        }
        self.wake_at_deadlines();
        match (facts.judged(primary, facts.spec.analysis.primary_ready_threshold), abort) {
            (Readiness::Ready, Some(abort)) => self.abort(abort),
            (Readiness::Ready, None) => {
                if self.fail(None, Vec::new()) {
                    self.clear_marks();
                    self.status(|status| {
                        status.phase = Phase::Failed;
                        status.canary_weight = 0;
                        status.iterations = 0;
                    });
                    self.failed("The promotion was aborted".into());
                }
            }
            (Readiness::Waiting(why) | Readiness::Expired(why), _) => {
                self.waiting("Synced", format!("{}.{} not ready: {why}", facts.spec.primary(), facts.namespace));
            }
        }
    }
}
