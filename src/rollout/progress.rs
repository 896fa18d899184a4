//! The analysis: from a detected revision through the weights to its promotion or its rollback.

use super::decide::Plan;
use super::{Effect, Need, Readiness, Reading, Workload, failure, next_weight};
use crate::api::{Phase, Verb};

impl Plan<'_> {
    /// Progressing. The order of the questions is the order of what matters more.
    pub fn progress(&mut self) {
        let facts = self.facts;
        let (applied, promoted) = (&facts.status.last_applied, &facts.status.last_promoted);
        let bears = facts.primary.as_ref().and_then(|p| p.revision.as_ref());
        if bears.is_some() && bears == applied.as_ref() && bears != promoted.as_ref() {
            // The primary was given the template, and then the status was not written.
            return self.status(|status| status.phase = Phase::Promoting);
        }
        if let Some(abort) = self.pending(Verb::Abort) {
            if facts.primary.is_none() && facts.canary_serves() {
                return self.refuse(&abort, "the primary does not exist, and nothing but the canary can serve");
            }
            return self.abort(&abort);
        }
        if facts.status.failed_checks >= facts.spec.analysis.threshold {
            let count = facts.spec.analysis.threshold;
            return self.roll_back(vec![format!(
                "Rolling back {}.{} failed checks threshold reached {count}",
                facts.name, facts.namespace
            )]);
        }
        if let Some(revision) = &facts.revision
            && applied.as_ref() != Some(revision)
        {
            return if promoted.as_ref() == Some(revision) { self.end_reverted() } else { self.restart() };
        }
        let canary = facts.target.clone().unwrap_or_default();
        let canary_readiness = facts.judged(&canary, facts.spec.analysis.canary_ready_threshold);
        if let Readiness::Expired(why) = &canary_readiness {
            return self.roll_back(vec![
                format!("canary deployment {}.{} not ready: {why}", canary.name, facts.namespace),
                format!("Rolling back {}.{} progress deadline exceeded {why}", facts.name, facts.namespace),
            ]);
        }
        if self.lost_its_pods() {
            return;
        }
        self.repair();
        if canary.desired == 0 {
            let replicas = self.canary_replicas();
            return self.push(Effect::ScaleTarget { replicas, request: None });
        }
        if self.answer_in_progress(&canary_readiness) {
            return;
        }
        self.note_paused_target();
        self.wake_at_deadlines();
        let primary_readiness = facts.primary.as_ref().map_or_else(
            || Readiness::Waiting("it does not exist".into()),
            |primary| facts.judged(primary, facts.spec.analysis.primary_ready_threshold),
        );
        if let Readiness::Waiting(why) | Readiness::Expired(why) = primary_readiness {
            if let Some(advance) = self.pending(Verb::Advance) {
                return self.refuse(&advance, &format!("the primary is not ready: {why}"));
            }
            return self.waiting("Synced", format!("{}.{} not ready: {why}", facts.spec.primary(), facts.namespace));
        }
        if let Readiness::Waiting(why) = canary_readiness {
            return self
                .waiting("Synced", format!("canary deployment {}.{} not ready: {why}", canary.name, facts.namespace));
        }
        self.step(&canary);
    }

    /// Both workloads are ready: the next step, when it is due.
    fn step(&mut self, canary: &Workload) {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        let live = facts.live_weight();
        let advance = self.pending(Verb::Advance);
        let request = advance.as_ref().map(|a| a.id.as_str());
        let before = facts.status.canary_weight;
        if live == 100 && before < 100 && next_weight(analysis, before) < 100 {
            // The canary stood in for a primary without pods, which now has some again.
            self.push(Effect::WriteRoutes { canary: before, request: None });
            let primary = facts.spec.primary();
            self.event(
                false,
                "PrimaryRecovered",
                format!("{primary}.{} is ready again: back to canary weight {before}", facts.namespace),
            );
            // The next check is an interval away.
            return self.status(|_| {});
        }
        if live != facts.status.canary_weight {
            // Either a step whose status was not written, or a hand on the routes: what is live counts.
            if live == next_weight(analysis, facts.status.canary_weight) {
                self.advanced(live);
            } else {
                self.event(
                    true,
                    "WeightChanged",
                    format!(
                        "The routes of {}.{} were changed to canary weight {live}: going on from there",
                        facts.spec.service.apex, facts.namespace
                    ),
                );
            }
            return self.status(|status| status.canary_weight = live);
        }
        if live == 0 {
            if facts.paused.is_some() && advance.is_none() {
                return;
            }
            self.synced(format!("Starting canary analysis for {}.{}", canary.name, facts.namespace));
            return self.take_step(0, request);
        }
        let due = self.check_due();
        if facts.now < due && advance.is_none() {
            return self.wake(Some(due));
        }
        if let Some((message, no_values)) = match &facts.readings {
            None if analysis.checks.is_empty() => None,
            None => return self.need(Need::Readings),
            Some(readings) => analysis.checks.iter().zip(readings).find_map(|(check, reading)| {
                let message = failure(check, reading, &facts.name, &facts.spec.target, &facts.namespace)?;
                Some((message, *reading == Reading::NoValues))
            }),
        } {
            if let Some(advance) = advance.as_ref().filter(|_| no_values && facts.now < due) {
                // Asked before anything could be measured: that says nothing about the canary.
                return self.refuse(advance, &format!("nothing is measured yet, and nothing is counted: {message}"));
            }
            self.warning(message.clone());
            if let Some(advance) = &advance {
                // Taken away before the check is counted: a crash in between must not count it twice.
                self.refuse(advance, &message);
            }
            return self.status(|status| status.failed_checks = status.failed_checks.saturating_add(1));
        }
        if facts.paused.is_some() && advance.is_none() {
            // Passed, and held: the next check is an interval away.
            return self.status(|_| {});
        }
        if live >= analysis.max_weight {
            self.promote(request);
        } else {
            self.take_step(live, request);
        }
    }

    /// Moves the weight one step on from `weight`.
    fn take_step(&mut self, weight: u8, request: Option<&str>) {
        let next = next_weight(&self.facts.spec.analysis, weight);
        self.push(Effect::WriteRoutes { canary: next, request: request.map(str::to_string) });
        self.advanced(next);
        if let Some(advance) = self.pending(Verb::Advance) {
            self.carried_out(&advance, &format!("canary weight {next}"));
        }
        self.status(|status| status.canary_weight = next);
        if request.is_some() {
            self.push(Effect::ClearRequest { paused: None });
        }
    }

    fn advanced(&mut self, weight: u8) {
        self.synced(format!("Advance {}.{} canary weight {weight}", self.facts.name, self.facts.namespace));
    }

    /// Puts the canary's template onto the primary.
    pub fn promote(&mut self, request: Option<&str>) {
        let facts = self.facts;
        let Some(revision) = facts.revision.clone() else { return };
        let (target, namespace) = (&facts.spec.target, &facts.namespace);
        self.synced(format!("Copying {target}.{namespace} template spec to {target}-primary.{namespace}"));
        self.push(Effect::PromotePrimary { revision, request: request.map(str::to_string) });
        let asked = [Verb::Advance, Verb::Promote].into_iter().find_map(|verb| self.pending(verb));
        if let Some(asked) = asked.filter(|_| request.is_some()) {
            self.carried_out(&asked, "the primary gets the canary's template");
        }
        self.status(|status| status.phase = Phase::Promoting);
        if request.is_some() {
            self.push(Effect::ClearRequest { paused: None });
        }
    }

    /// The failed rollout's end.
    fn roll_back(&mut self, why: Vec<String>) {
        let ended = self.fail(None, why);
        if let Some(Ok(request)) = self.facts.request.clone()
            && request.verb != Verb::Start
        {
            self.refused(&request, "the rollout has failed and is rolled back");
            self.push(Effect::ClearRequest { paused: None });
        }
        if ended {
            self.clear_pause();
            self.status(|status| {
                status.phase = Phase::Failed;
                status.canary_weight = 0;
            });
        }
    }

    /// Another revision mid-rollout: all traffic home, and the analysis starts again.
    fn restart(&mut self) {
        let facts = self.facts;
        let home = self.route_home(None);
        self.synced(format!(
            "New revision detected! Restarting analysis for {}.{}",
            facts.spec.target, facts.namespace
        ));
        if home {
            // A pause holds the rollout of one revision.
            self.clear_pause();
            self.restart_status();
        }
    }

    /// Back on the promoted revision mid-rollout: there is nothing to roll out, and nobody to blame.
    fn end_reverted(&mut self) {
        let facts = self.facts;
        let (target, namespace) = (&facts.spec.target, &facts.namespace);
        let home = self.route_home(None);
        self.event(
            false,
            "Reverted",
            format!("{target}.{namespace} is back on the promoted revision: the rollout ends"),
        );
        if home {
            self.scale_down(None);
            self.clear_pause();
            let revision = facts.revision.clone();
            self.status(|status| {
                status.phase = Phase::Succeeded;
                status.canary_weight = 0;
                status.failed_checks = 0;
                status.last_applied = revision;
            });
        }
    }

    /// A workload under traffic without a pod that can serve. A canary that loses all its pods has failed a check.
    fn lost_its_pods(&mut self) -> bool {
        let canary_lost = self.facts.live_weight() > 0 && !self.facts.canary_serves();
        if !self.keep_serving() {
            return false;
        }
        if canary_lost {
            self.status(|status| {
                status.canary_weight = 0;
                status.failed_checks = status.failed_checks.saturating_add(1);
            });
        }
        // Where the canary stands in for the primary, the status keeps the step to go back to.
        true
    }
}
