//! Whom a rollout asks before it goes on: its webhooks, and an operator who may open a gate in their stead.

use super::decide::Plan;
use super::{Alert, Called, Effect, Mark, Need};
use crate::api::{Gate, HookKind, Opened, Phase, Request, Severity};

/// Name and kind of the gate at which a revision waits to be started by hand.
pub const MANUAL: (&str, &str) = ("start", "manual");

/// What is known of the webhooks of one kind.
pub(super) enum Asked {
    Answered(Called),
    /// The decision cannot be made without their answer, and asks for it.
    Need,
    /// They are not to be asked again yet; the decision looks again when they are.
    NotYet,
}

impl Plan<'_> {
    /// What the webhooks of a kind answer, asked now.
    pub fn ask(&mut self, kind: HookKind) -> Asked {
        let facts = self.facts;
        let to_ask = facts.spec.analysis.hooks(kind).filter(|hook| !facts.is_passed_by(hook)).count();
        let present = facts.answers.hooks.get(&kind);
        // One that said no and was opened meanwhile is not asked any more, and those behind it have not been asked.
        let opened = |called: &Called| called.failed.as_ref().is_some_and(|(name, _)| facts.is_open(name));
        let stale = |called: &Called| kind.is_gate() && opened(called);
        match present {
            _ if to_ask == 0 => Asked::Answered(Called { at: facts.now, passed: Vec::new(), failed: None }),
            Some(called) if !stale(called) => Asked::Answered(called.clone()),
            _ => {
                self.need(Need::Hooks(kind));
                Asked::Need
            }
        }
    }

    /// What the webhooks of a kind answer, asked once an interval.
    pub fn ask_each_interval(&mut self, kind: HookKind) -> Asked {
        let facts = self.facts;
        let interval = chrono::Duration::from_std(facts.interval).unwrap_or(chrono::Duration::MAX);
        let again = |called: &Called| called.at.checked_add_signed(interval);
        match facts.answers.hooks.get(&kind).map(again) {
            Some(Some(again)) if again <= facts.now => {
                self.need(Need::Hooks(kind));
                Asked::Need
            }
            Some(again) => {
                self.wake(again);
                self.ask(kind)
            }
            None => {
                let due = self.check_due();
                let any = facts.spec.analysis.hooks(kind).any(|hook| !facts.is_passed_by(hook));
                if any && facts.now < due {
                    self.wake(Some(due));
                    return Asked::NotYet;
                }
                self.ask(kind)
            }
        }
    }

    /// Whether a rollback webhook says that this rollout ends; None: it must be asked first.
    pub fn told_to_roll_back(&mut self) -> Option<Option<String>> {
        match self.ask_each_interval(HookKind::Rollback) {
            Asked::Answered(called) => Some(called.passed.first().cloned()),
            Asked::NotYet => Some(None),
            Asked::Need => None,
        }
    }

    /// A new revision: it begins, or waits at the gate before its rollout.
    pub fn admit(&mut self) {
        let facts = self.facts;
        let waiting = facts.status.phase == Phase::Waiting;
        if facts.manual_start {
            let (name, kind) = MANUAL;
            if !waiting {
                self.event(
                    false,
                    "WaitingForStart",
                    format!(
                        "New revision of {}.{} waits to be started: canary-tui start {}",
                        facts.spec.target, facts.namespace, facts.name
                    ),
                );
            }
            self.shut(name, kind, "");
            return self.wait_for_admission();
        }
        let asked =
            if waiting { self.ask_each_interval(HookKind::ConfirmRollout) } else { self.ask(HookKind::ConfirmRollout) };
        match asked {
            Asked::Need | Asked::NotYet => {}
            Asked::Answered(Called { passed, failed: None, .. }) => {
                self.passed("Confirm-rollout", &passed);
                self.begin(None);
            }
            Asked::Answered(Called { failed: Some((gate, answer)), .. }) => {
                if !waiting {
                    self.warning(format!(
                        "Halt {}.{} advancement waiting for approval {gate}",
                        facts.name, facts.namespace
                    ));
                    self.tell_of_gate(&gate, "Canary is waiting for approval.");
                }
                self.shut(&gate, HookKind::ConfirmRollout.name(), &answer);
                self.wait_for_admission();
            }
        }
    }

    /// Waiting, for the revision that is there now.
    fn wait_for_admission(&mut self) {
        let facts = self.facts;
        let Some(revision) = &facts.revision else { return };
        if facts.status.phase != Phase::Waiting || facts.applied().as_ref() != Some(revision) {
            self.status(|status| {
                status.phase = Phase::Waiting;
                status.canary_weight = 0;
                status.iterations = 0;
                status.failed_checks = 0;
                status.apply(revision);
            });
        }
    }

    /// Whether the weight may rise. Where it may not, says so, and holds the rollout until the next check.
    pub fn may_increase(&mut self, advance: Option<&Request>) -> bool {
        let facts = self.facts;
        match self.ask(HookKind::ConfirmTrafficIncrease) {
            Asked::Need | Asked::NotYet => false,
            Asked::Answered(Called { passed, failed: None, .. }) => {
                self.passed("Confirm-traffic-increase", &passed);
                true
            }
            Asked::Answered(Called { failed: Some((gate, answer)), .. }) => {
                let kind = HookKind::ConfirmTrafficIncrease;
                let known = facts.gate.as_ref().is_some_and(|g| g.name == gate && g.kind == kind.name());
                self.warning(format!(
                    "Halt {}.{} advancement waiting for traffic increase approval {gate}",
                    facts.name, facts.namespace
                ));
                if !known {
                    self.tell_of_gate(&gate, "Canary traffic increase is waiting for approval.");
                }
                self.shut(&gate, kind.name(), &answer);
                self.refuse_at_gate(advance, &gate);
                // The next check is an interval away.
                self.status(|_| {});
                false
            }
        }
    }

    /// Whether the promotion may begin. Where it may not, the rollout waits in WaitingPromotion, and the checks go on.
    pub fn may_promote(&mut self, advance: Option<&Request>) -> bool {
        let facts = self.facts;
        match self.ask(HookKind::ConfirmPromotion) {
            Asked::Need | Asked::NotYet => false,
            Asked::Answered(Called { passed, failed: None, .. }) => {
                self.passed("Confirm-promotion", &passed);
                true
            }
            Asked::Answered(Called { failed: Some((gate, answer)), .. }) => {
                if facts.status.phase != Phase::WaitingPromotion {
                    self.warning(format!(
                        "Halt {}.{} advancement waiting for promotion approval {gate}",
                        facts.name, facts.namespace
                    ));
                    self.tell_of_gate(&gate, "Canary promotion is waiting for approval.");
                }
                self.shut(&gate, HookKind::ConfirmPromotion.name(), &answer);
                self.refuse_at_gate(advance, &gate);
                self.status(|status| status.phase = Phase::WaitingPromotion);
                false
            }
        }
    }

    fn refuse_at_gate(&mut self, advance: Option<&Request>, gate: &str) {
        if let Some(advance) = advance {
            self.refuse(advance, &format!("the gate {gate} is shut: open it, or promote"));
        }
    }

    /// Writes down the gate that is shut, once.
    fn shut(&mut self, name: &str, kind: &str, answer: &str) {
        let facts = self.facts;
        if facts.gate.as_ref().is_some_and(|gate| gate.name == name && gate.kind == kind) {
            return;
        }
        let gate = Gate { name: name.into(), kind: kind.into(), since: facts.now, answer: answer.into() };
        self.push(Effect::Marks(vec![Mark::Gate(Some(gate))]));
    }

    /// Takes away the mark of a gate that holds nothing any more.
    pub fn forget_gate(&mut self) {
        let phase = self.facts.status.phase;
        let Some(gate) = &self.facts.gate else { return };
        let holds = match gate.kind.as_str() {
            "manual" | "confirm-rollout" => phase == Phase::Waiting,
            "confirm-promotion" => phase == Phase::WaitingPromotion,
            _ => phase == Phase::Progressing,
        };
        if !holds {
            self.push(Effect::Marks(vec![Mark::Gate(None)]));
        }
    }

    /// Whether the gate that held the rollout was opened, and nothing has come of it yet.
    pub fn holds_no_more(&self) -> bool {
        self.facts.gate.as_ref().is_some_and(|gate| self.facts.is_open(&gate.name))
    }

    /// The check that an opened gate was waited for has come to something else: what follows keeps to the interval.
    pub fn forget_opened_gate(&mut self) {
        if self.holds_no_more() {
            self.push(Effect::Marks(vec![Mark::Gate(None)]));
        }
    }

    /// A step was taken: no gate holds it.
    pub fn through_gate(&mut self) {
        if self.facts.gate.is_some() {
            self.push(Effect::Marks(vec![Mark::Gate(None)]));
        }
    }

    /// Flagger's Event for each webhook that said yes.
    pub fn passed(&mut self, kind: &str, names: &[String]) {
        for name in names {
            self.synced(format!("{kind} check {name} passed"));
        }
    }

    fn tell_of_gate(&mut self, gate: &str, text: &str) {
        let mut gates = self.facts.spec.analysis.webhooks.iter().filter(|hook| hook.kind.is_gate());
        if gates.any(|hook| hook.name == gate && hook.mute_alert) {
            return;
        }
        self.tell(Severity::Warn, text.into(), false);
    }

    /// Tells those whom the alerts name.
    pub fn tell(&mut self, severity: Severity, text: String, with_fields: bool) {
        if self.facts.spec.analysis.alerts.iter().any(|alert| severity >= alert.severity) {
            self.push(Effect::Tell(Alert { severity, text, with_fields }));
        }
    }

    /// Opens a gate for the present revision.
    pub fn open(&mut self, request: &Request) {
        let facts = self.facts;
        let Some(revision) = &facts.revision else { return };
        let gates =
            || facts.spec.analysis.webhooks.iter().filter(|hook| hook.kind.is_gate()).map(|hook| hook.name.as_str());
        let Some(name) = request.gate.clone().filter(|gate| gates().any(|name| name == gate)) else {
            let list = gates().collect::<Vec<_>>().join(", ");
            let why = match (&request.gate, list.as_str()) {
                (_, "") => "there is no gate".to_string(),
                (Some(gate), list) => format!("there is no gate {gate:?}; there are {list}"),
                (None, list) => format!("name the gate: there are {list}"),
            };
            return self.refuse(request, &why);
        };
        if facts.is_open(&name) {
            return self.refuse(request, &format!("the gate {name} is open already"));
        }
        let before = facts.opened.clone().filter(|opened| opened.revision == revision.to_string());
        let mut gates = before.map_or_else(Vec::new, |opened| opened.gates);
        gates.push(name.clone());
        self.carried_out(request, &format!("the gate {name} is open for this revision"));
        let opened = Opened { revision: revision.to_string(), gates };
        self.push(Effect::ClearRequest { marks: vec![Mark::Opened(Some(opened))] });
    }
}
