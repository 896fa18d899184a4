//! The decision: what stands in the way of driving at all, what holds in every phase, then the phase's own turn.

use super::readiness::expires;
use super::{Decision, Effect, Facts, Mark, Need, Note, Occasion, Part, Traffic, longest_wait, next_check};
use crate::api::shapes::Role;
use crate::api::status::Cookies;
use crate::api::{Phase, Severity, Status, Verb};
use chrono::{DateTime, SecondsFormat, Utc};

/// What to do next for one Canary.
pub fn decide(facts: &Facts) -> Decision {
    let mut plan = Plan::new(facts);
    if facts.deleting {
        plan.terminate();
        return plan.done();
    }
    if facts.spec.suspend && facts.undriveable.is_none() {
        plan.suspended();
        return plan.done();
    }
    if let Some(obstacle) = obstacle(facts) {
        plan.bring_home(&obstacle);
        return plan.done();
    }
    plan.keep_finalizer();
    plan.forget_gate();
    match facts.status.phase {
        Phase::New | Phase::Initializing => plan.initialise(),
        Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Waiting => plan.at_rest(),
        Phase::Progressing | Phase::WaitingPromotion => plan.progress(),
        Phase::Promoting | Phase::Finalising => plan.promotion(),
        // Deleted with a finalizer, or a phase of a future version: named as an obstacle above.
        Phase::Terminating | Phase::Terminated | Phase::Unknown => {}
    }
    plan.done()
}

/// What keeps this Canary from being driven, whatever its phase.
fn obstacle(facts: &Facts) -> Option<String> {
    if let Some(why) = &facts.undriveable {
        return Some(why.clone());
    }
    let (namespace, service) = (&facts.namespace, &facts.spec.service);
    match facts.status.phase {
        Phase::Unknown => return Some("status.phase is none that this version of canary-tui knows".into()),
        Phase::Terminating | Phase::Terminated => return Some("it is being deleted".into()),
        _ => {}
    }
    let target_name = &facts.spec.target;
    let Some(target) = &facts.target else {
        return Some(format!("deployment {target_name}.{namespace} does not exist"));
    };
    if let Some(problem) = &target.selector_problem {
        return Some(problem.clone());
    }
    if facts.primary.as_ref().is_some_and(|p| p.foreign) {
        return Some(format!("deployment {}.{namespace} belongs to someone else", facts.spec.primary()));
    }
    if let (Some(named), Some(Part::Foreign)) = (&facts.spec.autoscaler, facts.scaler.as_ref().map(|s| s.primary)) {
        return Some(format!("horizontalpodautoscaler {}.{namespace} belongs to someone else", named.primary()));
    }
    let provider = facts.spec.provider;
    let (routes, rule) =
        (provider.routes_kind().singular(), provider.rules_kind().map_or_else(String::new, |k| k.singular()));
    let parts: [(&str, Role, Part); 6] = [
        ("service", Role::Apex, facts.apex_service),
        ("service", Role::Primary, facts.primary_service),
        ("service", Role::Canary, facts.canary_service),
        (&rule, Role::Primary, facts.primary_rule),
        (&rule, Role::Canary, facts.canary_rule),
        (&routes, Role::Apex, facts.routes.part),
    ];
    let (kind, role, _) = parts.into_iter().find(|(_, _, part)| *part == Part::Foreign)?;
    let name = role.name(&service.apex);
    Some(format!(
        "{kind} {name}.{namespace} belongs to someone else: another controller owns it, and would undo what is written"
    ))
}

/// A decision in the making.
pub(super) struct Plan<'a> {
    pub facts: &'a Facts,
    decision: Decision,
    /// Cookies of the routes that this decision writes.
    cookies: Option<Cookies>,
}

impl<'a> Plan<'a> {
    fn new(facts: &'a Facts) -> Self {
        Self { facts, decision: Decision::default(), cookies: None }
    }

    fn done(self) -> Decision {
        self.decision
    }

    /// How many effects are decided so far.
    pub fn effects(&self) -> usize {
        self.decision.effects.len()
    }

    pub fn push(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    pub fn need(&mut self, need: Need) {
        self.decision.need = Some(need);
    }

    /// This is a turn of the analysis.
    pub fn analysed(&mut self) {
        self.decision.analysed = true;
    }

    /// Look again at `time` at the latest.
    pub fn wake(&mut self, time: Option<DateTime<Utc>>) {
        self.decision.wake = match (self.decision.wake, time) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Stamp of the status that this is decided on: another status write makes it another occasion.
    fn stamp(&self) -> String {
        let status = &self.facts.status;
        status.last_transition.map_or_else(String::new, |t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// An Event of ours or, with reason `Synced`, of Flagger's.
    pub fn event(&mut self, warning: bool, reason: &'static str, message: String) {
        let occasion = Occasion::Step(self.stamp());
        self.push(Effect::Event(Note { warning, reason, message, occasion }));
    }

    /// One of Flagger's Events.
    pub fn synced(&mut self, message: String) {
        self.event(false, "Synced", message);
    }

    /// One of Flagger's warnings.
    pub fn warning(&mut self, message: String) {
        self.event(true, "Synced", message);
    }

    /// An Event about a wait: once an interval, counted, beginning with the first interval that passed.
    pub fn waiting(&mut self, reason: &'static str, message: String) {
        let facts = self.facts;
        let Some(since) = facts.status.last_transition else { return };
        let interval = (facts.interval.as_millis() as i64).max(1);
        let passed = (facts.now - since).num_milliseconds().max(0) / interval;
        if passed > 0 {
            let occasion = Occasion::Step(format!("{}/{passed}", self.stamp()));
            self.push(Effect::Event(Note { warning: true, reason, message, occasion }));
        }
        let next = (passed + 1).saturating_mul(interval);
        self.wake(since.checked_add_signed(chrono::Duration::milliseconds(next)));
    }

    /// Wake when the target's or the primary's deadline passes.
    pub fn wake_at_deadlines(&mut self) {
        let facts = self.facts;
        for workload in [&facts.target, &facts.primary].into_iter().flatten() {
            let end = expires(workload, facts.spec.progress_deadline, facts.status.last_transition);
            // The deadline itself is still in time.
            self.wake(end.filter(|end| *end >= facts.now).map(|end| end + chrono::Duration::milliseconds(1)));
        }
    }

    /// When the next check is due. A time far ahead of this clock is another clock's: then it is due now.
    pub fn check_due(&self) -> DateTime<Utc> {
        let facts = self.facts;
        let horizon = chrono::Duration::from_std(longest_wait(facts.interval)).map(|wait| facts.now + wait);
        match (next_check(&facts.status, facts.interval), horizon) {
            (Some(due), Ok(horizon)) if due <= horizon => due,
            _ => facts.now,
        }
    }

    /// Writes the status that `change` makes of the present one.
    pub fn status(&mut self, change: impl FnOnce(&mut Status)) {
        // A gate that was opened spares the wait for one check; what follows keeps to the interval.
        if self.holds_no_more() && !self.decision.effects.iter().any(|e| matches!(e, Effect::Marks(_))) {
            self.through_gate();
        }
        let mut status = self.facts.status.clone();
        if let Some(cookies) = &self.cookies {
            status.cookies = cookies.clone();
        }
        change(&mut status);
        self.push(Effect::WriteStatus(status));
    }

    /// Writes the routes.
    pub fn route(&mut self, traffic: Traffic, request: Option<&str>) {
        self.cookies = Some(traffic.cookies.clone());
        self.push(Effect::WriteRoutes { traffic, request: request.map(str::to_string) });
    }

    /// Moves this percentage to the canary, of those whom it serves.
    pub fn route_weight(&mut self, canary: u8, request: Option<&str>) {
        self.route(self.traffic(canary), request);
    }

    /// The traffic as it is routed now.
    fn live_traffic(&self) -> Traffic {
        let facts = self.facts;
        Traffic {
            canary: facts.live_weight(),
            mirrored: facts.routes.mirrored,
            everyone: facts.routes.everyone,
            cookies: facts.status.cookies.clone(),
        }
    }

    /// Repairs what the Canary owns. Live weights are kept: an edit of the spec mid-rollout moves no traffic.
    pub fn repair(&mut self) {
        let facts = self.facts;
        for (role, part) in [(Role::Canary, facts.canary_service), (Role::Primary, facts.primary_service)] {
            if part != Part::AsDesired {
                self.push(Effect::WriteService(role));
            }
        }
        if facts.primary_serves() && facts.apex_service != Part::AsDesired {
            self.push(Effect::WriteService(Role::Apex));
        }
        for (role, part) in [(Role::Canary, facts.canary_rule), (Role::Primary, facts.primary_rule)] {
            if part != Part::AsDesired {
                self.push(Effect::WriteRule(role));
            }
        }
        if facts.scaler.as_ref().is_some_and(|s| s.found && s.primary == Part::Missing) && facts.primary.is_some() {
            self.push(Effect::WriteScaler);
        }
        if facts.primary_serves() && (facts.routes.part != Part::AsDesired || facts.routes.weights.is_none()) {
            self.route(self.live_traffic(), None);
        }
    }

    /// Moves traffic off a workload without pods that can serve, where the other one has some. Answers whether it did.
    pub fn keep_serving(&mut self) -> bool {
        let facts = self.facts;
        let Some(weights) = facts.routes.weights else { return false };
        let (name, namespace) = (&facts.spec.target, &facts.namespace);
        // Here, and in every way home, the traffic moves before anything is said about it.
        if weights.canary > 0 && !facts.canary_serves() && facts.primary_serves() {
            self.route_weight(0, None);
            self.event(
                true,
                "NoReadyPods",
                format!("{name}.{namespace} has no ready pod: routing all traffic to {name}-primary.{namespace}"),
            );
            return true;
        }
        // Whom an A/B test leaves out is the primary's, whatever the weights.
        let left_out = !facts.spec.analysis.matches.is_empty() && !facts.routes.everyone;
        if (weights.primary > 0 || left_out)
            && !facts.primary_serves()
            && facts.canary_serves()
            && facts.status.phase.under_way()
            && facts.status.phase != Phase::Waiting
        {
            self.route(Traffic { everyone: true, ..self.traffic(100) }, None);
            self.event(
                true,
                "NoReadyPods",
                format!("{name}-primary.{namespace} has no ready pod: routing all traffic to {name}.{namespace}"),
            );
            return true;
        }
        false
    }

    /// All traffic to the primary, unless only the canary could serve it. Answers whether it is, or will be, there.
    pub fn route_home(&mut self, request: Option<&str>) -> bool {
        let facts = self.facts;
        if facts.canary_serves() && !facts.primary_serves() {
            let (target, namespace) = (&facts.spec.target, &facts.namespace);
            self.waiting(
                "NoReadyPods",
                format!(
                    "{target}-primary.{namespace} has no ready pod: traffic stays on {target}.{namespace} until it has one"
                ),
            );
            self.keep_serving();
            return false;
        }
        let copied = facts.routes.mirrored || facts.routes.everyone;
        if facts.live_weight() > 0 || copied || facts.routes.weights.is_none() || request.is_some() {
            self.route_weight(0, request);
        }
        true
    }

    /// `spec.suspend`: nothing is done but what an operator cannot do without.
    fn suspended(&mut self) {
        let facts = self.facts;
        self.synced("skipping canary run as object is suspended".into());
        let under_way = facts.status.phase.under_way();
        match self.pending(Verb::Abort).filter(|_| under_way && facts.target.is_some()) {
            Some(abort) if matches!(facts.status.phase, Phase::Promoting | Phase::Finalising) => {
                self.abort_promotion(&abort);
            }
            Some(abort) => self.abort(&abort),
            None => self.refuse_any(&format!("{} is suspended (spec.suspend)", facts.name)),
        }
    }

    /// The finalizer goes with `revertOnDeletion`, and with a release that has begun.
    fn keep_finalizer(&mut self) {
        let facts = self.facts;
        if facts.finalizer != facts.spec.revert_on_deletion && self.pending(Verb::Release).is_none() {
            self.push(Effect::SetFinalizer(facts.spec.revert_on_deletion));
        }
    }

    /// What cannot be driven is left alone, except that a rollout under way goes home: its canary is something that no
    /// check looks at any more. An abort is carried out all the same.
    fn bring_home(&mut self, obstacle: &str) {
        let facts = self.facts;
        let under_way = facts.status.phase.under_way() && facts.status.phase != Phase::Waiting;
        let ours = facts.routes.part != Part::Foreign && !facts.primary.as_ref().is_some_and(|p| p.foreign);
        let abort = self.pending(Verb::Abort).filter(|_| under_way && ours && facts.target.is_some());
        if let Some(abort) = abort {
            return match facts.status.phase {
                Phase::Progressing | Phase::WaitingPromotion => self.abort(&abort),
                _ => self.abort_promotion(&abort),
            };
        }
        if under_way && ours && !self.keep_serving() && facts.live_weight() > 0 && facts.primary_serves() {
            self.route_weight(0, None);
        }
        self.event(true, "NotDriven", format!("Not driven: {obstacle}"));
        self.refuse_any(&format!("{} is not driven: {obstacle}", facts.name));
        if under_way && ours && facts.status.canary_weight > 0 && facts.live_weight() == 0 {
            self.status(|status| status.canary_weight = 0);
        }
    }

    /// Ends the rollout as Failed: traffic home, canary down, saying `why` in between. Answers whether it could; then the
    /// status is to be written, and [`failed`](Self::failed) comes after it.
    pub fn fail(&mut self, request: Option<&str>, why: Vec<String>) -> bool {
        if !self.route_home(request) {
            return false;
        }
        let facts = self.facts;
        for message in why {
            self.warning(message);
        }
        self.warning(format!("Canary failed! Scaling down {}.{}", facts.name, facts.namespace));
        self.put_copies_right();
        self.scale_down(request);
        true
    }

    /// A promotion that went no further than the copies leaves the primary with configuration of the other revision.
    pub fn put_copies_right(&mut self) {
        let strayed = self.facts.primary.as_ref().filter(|primary| primary.strayed);
        if let Some(revision) = strayed.and_then(|primary| primary.revision.clone()) {
            self.push(Effect::RestorePrimary { revision, request: None });
        }
    }

    /// Tells whom it concerns that the rollout has failed.
    pub fn failed(&mut self, alert: String) {
        self.tell(Severity::Error, alert, false);
        self.call_post_rollout(Phase::Failed);
    }

    /// Calls the post-rollout webhooks, where there are any.
    pub fn call_post_rollout(&mut self, phase: Phase) {
        if self.facts.spec.analysis.hooks(crate::api::HookKind::PostRollout).next().is_some() {
            self.push(Effect::CallPostRollout(phase));
        }
    }

    /// Scales the target to zero.
    pub fn scale_down(&mut self, request: Option<&str>) {
        if self.facts.target.as_ref().is_some_and(|t| t.desired > 0) || request.is_some() {
            self.push(Effect::ScaleTarget { replicas: 0, request: request.map(str::to_string) });
        }
    }

    /// What held the rollout, and what was opened for it, end with it.
    pub fn clear_marks(&mut self) {
        let facts = self.facts;
        let marks = [
            facts.paused.is_some().then_some(Mark::Paused(None)),
            facts.gate.is_some().then_some(Mark::Gate(None)),
            facts.opened.is_some().then_some(Mark::Opened(None)),
        ];
        let marks: Vec<Mark> = marks.into_iter().flatten().collect();
        if !marks.is_empty() {
            self.push(Effect::Marks(marks));
        }
    }

    /// Pods that the canary gets: what it was asked for, else what its autoscaler asks for at least, else as many as the
    /// primary.
    pub fn canary_replicas(&self) -> u32 {
        let facts = self.facts;
        match facts.target.as_ref().map_or(0, |t| t.desired) {
            0 => match &facts.scaler {
                Some(scaler) if scaler.found => scaler.min_replicas.max(1),
                _ => facts.primary.as_ref().map_or(1, |p| p.desired).max(1),
            },
            desired => desired,
        }
    }
}
