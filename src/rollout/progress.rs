//! The analysis: from a detected revision through the weights to its promotion or its rollback.

use super::decide::Plan;
use super::gates::Asked;
use super::strategies::Standing;
use super::{Effect, Need, Readiness, Reading, Workload, failure};
use crate::api::{HookKind, Phase, Request, Severity, Verb};

impl Plan<'_> {
    /// Progressing. The order of the questions is the order of what matters more.
    pub fn progress(&mut self) {
        let facts = self.facts;
        let applied = facts.applied();
        let bears = facts.primary.as_ref().and_then(|p| p.revision.clone());
        if bears.is_some() && bears == applied.as_ref().map(ToString::to_string) {
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
            let why =
                format!("Rolling back {}.{} failed checks threshold reached {count}", facts.name, facts.namespace);
            return self.roll_back(vec![why], format!("Failed checks threshold reached {count}"));
        }
        match if self.answers_at_once() { Some(None) } else { self.told_to_roll_back() } {
            None => return,
            Some(None) => {}
            Some(Some(hook)) => return self.roll_back_as_told(&hook),
        }
        if self.adopt_mid_rollout() {
            return;
        }
        if let Some(revision) = &facts.revision
            && applied.as_ref() != Some(revision)
        {
            return if facts.is_promoted() { self.end_reverted() } else { self.restart() };
        }
        let canary = facts.target.clone().unwrap_or_default();
        let canary_readiness = facts.judged(&canary, facts.spec.analysis.canary_ready_threshold);
        if let Readiness::Expired(why) = &canary_readiness {
            let messages = vec![
                format!("canary deployment {}.{} not ready: {why}", canary.name, facts.namespace),
                format!("Rolling back {}.{} progress deadline exceeded {why}", facts.name, facts.namespace),
            ];
            return self.roll_back(messages, format!("Progress deadline exceeded {why}"));
        }
        if self.lost_its_pods() {
            return;
        }
        self.repair();
        if canary.desired == 0 {
            if canary.replicas > 0 || canary.observed_generation < canary.generation {
                // Those that go must be gone, or nothing would tell them from the ones that are to come.
                return;
            }
            let replicas = self.canary_replicas();
            return self.push(Effect::ScaleTarget { replicas, request: None });
        }
        if self.answer_in_progress(&canary_readiness) {
            return;
        }
        self.note_unknown_revision();
        self.wake_at_deadlines();
        if facts.spec.skip_analysis && canary_readiness == Readiness::Ready && facts.primary.is_some() {
            return self.promote(None);
        }
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

    /// Whether the pending request is answered by this very decision: it does not wait for what a webhook says, which
    /// is asked in the next one.
    fn answers_at_once(&self) -> bool {
        let facts = self.facts;
        match &facts.request {
            None => false,
            Some(Err(_)) => true,
            Some(Ok(request)) => match request.verb {
                // By the checks, of which the webhooks are a part.
                Verb::Abort | Verb::Advance => false,
                // It may wait for ready pods.
                Verb::Promote => facts.target.as_ref().is_some_and(|canary| {
                    facts.judged(canary, facts.spec.analysis.canary_ready_threshold) == Readiness::Ready
                }),
                _ => facts.revision.is_some(),
            },
        }
    }

    /// Both workloads are ready: the next step, when it is due.
    fn step(&mut self, canary: &Workload) {
        let facts = self.facts;
        let live = facts.live_weight();
        let before = facts.status.canary_weight;
        match self.routed() {
            Standing::AsRecorded => {}
            Standing::StoodIn => {
                // The canary stood in for a primary without pods, which now has some again.
                self.route_weight(before, None);
                let primary = facts.spec.primary();
                self.event(
                    false,
                    "PrimaryRecovered",
                    format!("{primary}.{} is ready again: back to canary weight {before}", facts.namespace),
                );
                // The next check is an interval away.
                return self.status(|_| {});
            }
            Standing::Unrecorded => return self.record_step(),
            // Flagger shows no weight while it waits here.
            Standing::Moved if facts.status.phase == Phase::WaitingPromotion && before == 0 => {
                return self.status(|status| status.canary_weight = live);
            }
            Standing::Moved => {
                // A hand on the routes: what is live counts.
                self.event(
                    true,
                    "WeightChanged",
                    format!(
                        "The routes of {}.{} were changed to canary weight {live}: going on from there",
                        facts.spec.service.apex, facts.namespace
                    ),
                );
                return self.status(|status| status.canary_weight = live);
            }
        }
        let advance = self.pending(Verb::Advance);
        let advance = advance.as_ref();
        // A gate that was just opened does not wait for the interval.
        let due = if self.holds_no_more() { facts.now } else { self.check_due() };
        let begun = self.begun();
        // The first step is taken as soon as both are ready; after a failure, an interval later.
        if (begun || facts.status.failed_checks > 0) && facts.now < due && advance.is_none() {
            return self.wake(Some(due));
        }
        if !begun {
            return self.begin_analysis(canary, advance);
        }
        let Some(failed) = self.checked() else { return };
        self.analysed();
        if let Some((message, unmeasured)) = failed {
            if let Some(advance) = advance.filter(|_| unmeasured && facts.now < due) {
                // Asked before anything could be measured: that says nothing about the canary.
                return self.refuse(advance, &format!("nothing is measured yet, and nothing is counted: {message}"));
            }
            return self.check_failed(message, advance);
        }
        if facts.paused.is_some() && advance.is_none() {
            // Passed, and held: the next check is an interval away.
            return self.status(|_| {});
        }
        let weight_may_rise = !self.raises_weight() || facts.status.phase == Phase::WaitingPromotion;
        if !weight_may_rise && !self.may_increase(advance) {
            return;
        }
        if !self.is_last_check() {
            return self.next_step(advance);
        }
        if !self.may_promote(advance) {
            return;
        }
        if self.is_to_be_switched() { self.switch(advance) } else { self.promote(advance.map(|a| a.id.as_str())) }
    }

    /// The canary gets its first traffic.
    fn begin_analysis(&mut self, canary: &Workload, advance: Option<&Request>) {
        let facts = self.facts;
        if facts.paused.is_some() && advance.is_none() {
            return;
        }
        self.analysed();
        if facts.status.failed_checks == 0 {
            self.synced(format!("Starting canary analysis for {}.{}", canary.name, facts.namespace));
        }
        match self.ask(HookKind::PreRollout) {
            Asked::Need | Asked::NotYet => return,
            Asked::Answered(called) => {
                self.passed("Pre-rollout", &called.passed);
                if let Some((hook, why)) = called.failed {
                    let message = format!(
                        "Halt {}.{} advancement pre-rollout check {hook} failed {why}",
                        facts.name, facts.namespace
                    );
                    return self.check_failed(message, advance);
                }
            }
        }
        if self.raises_weight() && !facts.spec.analysis.mirror && !self.may_increase(advance) {
            return;
        }
        self.first_step(advance);
    }

    /// What failed in this check, and whether that is for want of a measurement; None: it must be asked first.
    fn checked(&mut self) -> Option<Option<(String, bool)>> {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        match self.ask(HookKind::Rollout) {
            Asked::Need | Asked::NotYet => return None,
            Asked::Answered(called) => {
                if let Some((hook, why)) = called.failed {
                    let message = format!(
                        "Halt {}.{} advancement external check {hook} failed {why}",
                        facts.name, facts.namespace
                    );
                    return Some(Some((message, false)));
                }
            }
        }
        let Some(readings) = &facts.answers.readings else {
            if analysis.checks.is_empty() {
                return Some(None);
            }
            self.need(Need::Readings);
            return None;
        };
        Some(analysis.checks.iter().zip(readings).find_map(|(check, reading)| {
            let message = failure(check, reading, &facts.name, &facts.spec.target, &facts.namespace)?;
            Some((message, *reading == Reading::NoValues))
        }))
    }

    fn check_failed(&mut self, message: String, advance: Option<&Request>) {
        self.warning(message.clone());
        if let Some(advance) = advance {
            // Taken away before the check is counted: a crash in between must not count it twice.
            self.refuse(advance, &message);
        }
        self.status(|status| status.failed_checks = status.failed_checks.saturating_add(1));
    }

    /// Puts the canary's template onto the primary.
    pub fn promote(&mut self, request: Option<&str>) {
        let facts = self.facts;
        let Some(revision) = facts.revision.clone() else { return };
        let (target, namespace) = (&facts.spec.target, &facts.namespace);
        self.synced(format!("Copying {target}.{namespace} template spec to {target}-primary.{namespace}"));
        if let Some(scaler) = &facts.scaler
            && scaler.found
            && scaler.primary != super::Part::AsDesired
        {
            self.push(Effect::WriteScaler);
        }
        self.push(Effect::PromotePrimary { revision, request: request.map(str::to_string) });
        let asked = [Verb::Advance, Verb::Promote].into_iter().find_map(|verb| self.pending(verb));
        if let Some(asked) = asked.filter(|_| request.is_some()) {
            self.carried_out(&asked, "the primary gets the canary's template");
        }
        self.status(|status| status.phase = Phase::Promoting);
        if request.is_some() {
            self.push(Effect::ClearRequest { marks: Vec::new() });
        }
    }

    /// The failed rollout's end; `alert` is what those who are told of it read.
    pub fn roll_back(&mut self, why: Vec<String>, alert: String) {
        let ended = self.fail(None, why);
        if let Some(Ok(request)) = self.facts.request.clone()
            && request.verb != Verb::Start
        {
            self.refused(&request, "the rollout has failed and is rolled back");
            self.push(Effect::ClearRequest { marks: Vec::new() });
        }
        if ended {
            self.clear_marks();
            self.status(|status| {
                status.phase = Phase::Failed;
                status.canary_weight = 0;
                status.iterations = 0;
            });
            self.failed(alert);
        }
    }

    /// A rollback webhook said so.
    pub fn roll_back_as_told(&mut self, hook: &str) {
        let facts = self.facts;
        let why = vec![
            format!("Rollback check {hook} passed"),
            format!("Rolling back {}.{} manual webhook invoked", facts.name, facts.namespace),
        ];
        self.roll_back(why, "Rolling back manual webhook invoked".into());
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
            self.clear_marks();
            if self.is_gated() {
                // What was approved was another revision.
                self.scale_down(None);
                let Some(revision) = facts.revision.clone() else { return };
                return self.status(|status| {
                    status.phase = Phase::Waiting;
                    status.canary_weight = 0;
                    status.iterations = 0;
                    status.failed_checks = 0;
                    status.apply(&revision);
                });
            }
            let same_template = facts.applied().zip(facts.revision.as_ref()).is_some_and(|(a, r)| a.hash == r.hash);
            if same_template {
                // Pods that run have read what they mount: only new ones are the new revision.
                self.scale_down(None);
            }
            self.restart_status();
            self.tell(Severity::Info, "New revision detected, progressing canary analysis.".into(), true);
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
            self.put_copies_right();
            self.scale_down(None);
            self.clear_marks();
            let revision = facts.revision.clone();
            self.status(|status| {
                status.phase = Phase::Succeeded;
                status.canary_weight = 0;
                status.iterations = 0;
                status.failed_checks = 0;
                if let Some(revision) = &revision {
                    status.apply(revision);
                }
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
                status.iterations = 0;
                status.failed_checks = status.failed_checks.saturating_add(1);
            });
        }
        // Where the canary stands in for the primary, the status keeps the step to go back to.
        true
    }
}
