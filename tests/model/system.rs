//! Everything that may happen, one thing at a time: the driver looks, decides and writes; its writes fail in every way
//! that writes fail; it dies, and another one takes over; the operator asks, the target changes, pods come and go, and
//! time passes.
//!
//! What the driver does is what `controller/` does: the version that each write carries, what it reads afresh before it,
//! what it reads after a conflict, and which of its own answers it keeps. The fence is taken at its word here (its own
//! test holds it to it): who has lost the lease sends nothing more, but what was sent before may still arrive.

use super::cluster::{Act, Age, Canary, Gate, Object, Objects, PARTS, Pods, Primary, Request, Revision, Routes};
use super::cluster::{Sent, Status, Target};
use super::decision::{Analysis, Decider, Plan, Said, Verdict};
use super::settling::Settled;
use canary_tui::api::{Phase, Verb};
use stateright::{Model, Property};
use std::sync::Arc;

/// The process that holds the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Driver {
    pub term: u8,
    pub view: Objects,
    /// What is left of its decision.
    pub queue: Vec<Act>,
    /// An object whose last write had no answer: it is read again before anything is decided.
    pub unsure: Option<Object>,
    /// It has left its term on everything that the rollout is made of.
    pub claimed: bool,
}

/// How often each thing may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Writes that are lost, or whose answers are, and deaths.
    pub faults: u8,
    /// Takeovers by the process that stands by.
    pub takeovers: u8,
    /// Times that a workload loses its pods.
    pub losses: u8,
    pub requests: u8,
    /// New revisions of the target, the operator's included.
    pub revisions: u8,
    /// Returns of the target to the first revision.
    pub reverts: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: Objects,
    pub term: u8,
    pub driver: Option<Driver>,
    /// What the process that stands by sees, where that is not the present.
    pub standby: Option<Objects>,
    /// A write of a driver that is gone, which may yet arrive.
    pub late: Option<Sent>,
    pub left: Budget,
    pub next_revision: Revision,
    pub next_request: u8,
    pub history: History,
}

/// What is remembered of the past, for the promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Revisions that have failed since the last request that names them, one bit each.
    pub failed: u8,
    /// The end of the pending request, where it was said.
    pub said: Option<(u8, bool)>,
    /// An abort was carried out, and nothing was asked and nothing changed since.
    pub aborted: bool,
    pub stale_write: bool,
    pub blind_write: bool,
    pub no_host: bool,
    pub promoted_failed: bool,
    /// Revisions that a gate let through, one bit each: before the rollout, and before the promotion.
    pub let_through: [u8; 2],
    pub skipped_gate: bool,
    pub broken_weights: bool,
    pub darkened: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The driver sees the present state of one kind of object.
    Look(Object),
    Decide(Said),
    /// The next effect: written and answered, or refused with a conflict.
    Write,
    /// Written, and the answer is lost.
    WriteUnanswered,
    /// Not written, and no answer.
    WriteLost,
    /// The driver dies between two effects.
    Die,
    /// The driver dies, or loses the lease, with a write on its way.
    DieSending,
    /// The write on its way arrives.
    Arrive,
    /// It never does.
    Vanish,
    /// From here on the one that stands by sees nothing, until the next decision at the latest.
    StandbyLooks,
    /// The one that stands by takes the lease.
    TakeOver,
    /// A process begins, and takes the free lease with fresh lists.
    Begin,
    SeeTemplate,
    TargetReady,
    PrimaryReady,
    TargetLosesPods,
    PrimaryLosesPods,
    PassInterval,
    PassDeadline,
    Change(Revision),
    Ask(Verb, Revision, bool),
}

/// One configuration.
pub struct System {
    pub decider: Decider,
    pub budget: Budget,
    /// From a Canary without a status; else from one whose first version serves and whose second was just set.
    pub initialising: bool,
    /// A second process stands by.
    pub standby: bool,
    /// Each kind of object is seen with a delay of its own; else all together, and at once where nothing fails.
    pub lagging: bool,
    pub verbs: &'static [Verb],
    pub settled: Settled,
}

impl System {
    pub fn new(analysis: Analysis, budget: Budget, verbs: &'static [Verb]) -> Self {
        Self {
            decider: Decider::new(analysis),
            budget,
            initialising: false,
            standby: false,
            lagging: false,
            verbs,
            settled: Settled::default(),
        }
    }

    fn first(&self) -> State {
        let pods = Pods::All;
        let fresh = self.initialising;
        let status = Status {
            phase: if fresh { Phase::New } else { Phase::Initialized },
            failed: 0,
            weight: 0,
            iterations: 0,
            applied: (!fresh).then_some(0),
            promoted: (!fresh).then_some(0),
        };
        let mut world = Objects {
            canary: Canary {
                version: 0,
                term: 0,
                status,
                age: Age::Interval,
                request: None,
                paused: false,
                gate: None,
                opened: None,
            },
            target: Target {
                version: 0,
                term: 0,
                generation: 0,
                revision: 0,
                seen: true,
                up: fresh,
                pods: if fresh { Pods::All } else { Pods::None },
                overdue: false,
                mark: None,
            },
            primary: (!fresh).then_some(Primary {
                version: 0,
                term: 0,
                revision: 0,
                kept: None,
                pods,
                overdue: false,
                mark: None,
            }),
            routes: (!fresh).then_some(Routes {
                version: 0,
                term: 0,
                weight: 0,
                mirrored: false,
                everyone: false,
                mark: None,
            }),
            parts: if fresh { 0 } else { PARTS },
        };
        let mut left = self.budget;
        let mut next_revision = 1;
        if !fresh {
            world.change(1);
            left.revisions -= 1;
            next_revision = 2;
        }
        let driver = Some(Driver { term: 1, view: world, queue: Vec::new(), unsure: None, claimed: false });
        State {
            world,
            term: 1,
            driver,
            standby: None,
            late: None,
            left,
            next_revision,
            next_request: 1,
            history: History::default(),
        }
    }

    /// What the driver would do now; its queue is empty.
    pub fn plan(&self, driver: &Driver, said: Said) -> Arc<Plan> {
        if driver.claimed || !driver.view.canary.status.phase.under_way() {
            return self.decider.plan(&driver.view, said);
        }
        let there = |object: &Object| driver.view.version(*object).is_some();
        let acts = Object::ALL.into_iter().filter(there).map(Act::Claim).collect();
        Arc::new(Plan { acts, ..Plan::default() })
    }

    /// The driver decides.
    pub fn decide(&self, state: &mut State, said: Said) {
        let Some(driver) = state.driver.as_mut() else { return };
        if let Some(object) = driver.unsure.take() {
            driver.view.read(object, &state.world);
        }
        let plan = self.plan(driver, said);
        driver.queue = plan.acts.clone();
        for gate in &plan.went_by {
            state.history.let_through[*gate as usize] |= 1 << driver.view.target.revision;
        }
        state.history.broken_weights |= plan.broken_weights;
        state.history.darkened |= plan.darkens;
        state.say_outcomes();
    }

    /// Sends the next effect of the driver. None: a conflict was found before anything was sent.
    fn send(&self, state: &mut State) -> Option<Sent> {
        let State { world, driver, history, .. } = state;
        let driver = driver.as_mut()?;
        let act = driver.queue.remove(0);
        let mut version = act.object().and_then(|object| driver.view.version(object));
        match act {
            // Read afresh: the target must still bear what was decided on.
            Act::Promote { .. } | Act::SetImage { .. } | Act::Create(_)
                if world.target.generation != driver.view.target.generation =>
            {
                return None;
            }
            Act::Promote { revision, .. } => {
                version = world.version(Object::Primary);
                history.promoted_failed |= history.failed & (1 << revision) != 0;
            }
            Act::SetImage { .. } => version = world.version(Object::Target),
            Act::Restore { revision, .. } => {
                let kept = world.primary.and_then(|p| p.kept);
                if kept != Some(revision) {
                    return None;
                }
                version = world.version(Object::Primary);
            }
            _ => {}
        }
        let over_status = driver.view.canary.status;
        let over_primary = driver.view.primary.map(|p| p.revision);
        Some(Sent { act, term: driver.term, version, over_status, over_primary })
    }

    /// A write arrives. Answers whether it was taken.
    fn arrive(&self, state: &mut State, sent: &Sent) -> bool {
        let request = state.world.canary.request;
        let next = state.next_revision;
        let phase = state.world.canary.status.phase;
        let opened = state.world.canary.opened;
        let Some(wrong) = state.world.write(sent, next) else { return false };
        let history = &mut state.history;
        history.stale_write |= wrong.stale;
        history.blind_write |= wrong.blind;
        history.no_host |= wrong.no_host;
        match sent.act {
            Act::Promote { revision, request: by } if !self.decider.skips() => {
                // What it was decided on counts, even if that is taken away before it arrives.
                let asked = by.is_some() || request.is_some_and(|r| r.verb == Verb::Promote);
                history.skipped_gate |= self.skips_gate(history, opened, Gate::Promotion, revision) && !asked;
            }
            Act::Status(status) => {
                let begins = status.phase == Phase::Progressing
                    && !matches!(phase, Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting);
                if let Some(revision) = status.applied.filter(|_| begins) {
                    let asked = request.is_some_and(|r| r.verb == Verb::Start);
                    history.skipped_gate |= self.skips_gate(history, opened, Gate::Rollout, revision) && !asked;
                }
                let reached = status.phase == Phase::Progressing && status.failed >= self.decider.threshold();
                let failed = status.applied.filter(|_| reached || status.phase == Phase::Failed);
                // One that waits to be carried out comes after the failure.
                let tried_again = request.filter(|r| r.verb == Verb::Start).map(|r| r.revision);
                if let Some(failed) = failed.filter(|failed| tried_again != Some(*failed)) {
                    history.failed |= 1 << failed;
                }
            }
            Act::Clear { id, .. } => {
                // A target that bears another revision by now begins anew with that.
                let present = state.world.target.revision;
                let abort = request.is_some_and(|r| r.verb == Verb::Abort && r.revision == present);
                history.aborted |= abort && history.said == Some((id, true));
                history.said = None;
            }
            Act::SetImage { .. } => {
                state.next_revision += 1;
                state.left.revisions = state.left.revisions.saturating_sub(1);
                history.aborted = false;
            }
            _ => {}
        }
        true
    }

    /// Whether a revision goes by a gate that neither said yes to it nor was opened for it.
    fn skips_gate(&self, history: &History, opened: Option<(Gate, Revision)>, gate: Gate, revision: Revision) -> bool {
        let said_yes = history.let_through[gate as usize] & (1 << revision) != 0;
        self.decider.is_gated() && !said_yes && opened != Some((gate, revision))
    }

    /// The next effect is written and answered.
    pub fn write(&self, state: &mut State) {
        let Some(sent) = self.send(state) else { return state.drop_queue() };
        let taken = self.arrive(state, &sent);
        let State { world, driver: Some(driver), .. } = state else { return };
        if let Some(object) = sent.act.object() {
            // The answer to the write; or, after a conflict, to the read that follows it.
            driver.view.read(object, world);
        } else {
            driver.view.parts = world.parts;
        }
        if !taken {
            return state.drop_queue();
        }
        // All that was to be claimed is, once the last of it is.
        driver.claimed |= matches!(sent.act, Act::Claim(_)) && driver.queue.is_empty();
        state.say_outcomes();
    }

    /// The next effect has no answer.
    fn write_unanswered(&self, state: &mut State, arrives: bool) {
        state.left.faults -= 1;
        let Some(sent) = self.send(state) else { return state.drop_queue() };
        if arrives {
            self.arrive(state, &sent);
        }
        if let Some(driver) = state.driver.as_mut() {
            driver.unsure = sent.act.object();
        }
        state.drop_queue();
    }

    /// A process takes the lease, seeing `view`.
    pub fn begin(state: &mut State, view: Objects) {
        state.term += 1;
        state.driver = Some(Driver { term: state.term, view, queue: Vec::new(), unsure: None, claimed: false });
    }

    fn driver_actions(&self, state: &State, driver: &Driver, actions: &mut Vec<Action>) {
        if !driver.queue.is_empty() {
            actions.push(Action::Write);
            if state.left.faults > 0 {
                actions.extend([Action::WriteUnanswered, Action::WriteLost, Action::Die]);
                if state.late.is_none() && driver.queue[0].object().is_some() {
                    actions.push(Action::DieSending);
                }
            }
            return;
        }
        for object in [Object::Canary, Object::Target, Object::Routes].into_iter().filter(|_| self.lagging) {
            let mut fresh = driver.view;
            Self::look(&mut fresh, object, &state.world);
            if fresh != driver.view {
                actions.push(Action::Look(object));
            }
        }
        let mut ready = driver.clone();
        if let Some(object) = ready.unsure.take() {
            ready.view.read(object, &state.world);
        }
        self.decisions(&ready, Said::default(), actions);
    }

    /// Every decision that the driver may come to, whatever those say who are asked.
    fn decisions(&self, driver: &Driver, said: Said, actions: &mut Vec<Action>) {
        let plan = self.plan(driver, said);
        if plan.asks {
            for verdict in Verdict::ALL {
                self.decisions(driver, Said { verdict: Some(verdict), ..said }, actions);
            }
        } else if plan.asks_gate {
            for open in [true, false] {
                self.decisions(driver, Said { open: Some(open), ..said }, actions);
            }
        } else if !plan.acts.is_empty() || plan.darkens {
            actions.push(Action::Decide(said));
        }
    }

    /// One watch delivers: both Deployments come by the same one.
    fn look(view: &mut Objects, object: Object, world: &Objects) {
        view.read(object, world);
        if object == Object::Target {
            view.read(Object::Primary, world);
        }
        view.parts = world.parts;
    }

    fn environment_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let State { world, left, .. } = state;
        if !world.target.seen {
            actions.push(Action::SeeTemplate);
        }
        if world.target_lacks_pods() && world.target.seen {
            actions.push(Action::TargetReady);
        }
        if world.primary_lacks_pods() {
            actions.push(Action::PrimaryReady);
        }
        if left.losses > 0 && world.target.pods != Pods::None {
            actions.push(Action::TargetLosesPods);
        }
        if left.losses > 0 && world.primary_serves() {
            actions.push(Action::PrimaryLosesPods);
        }
        // While effects are being carried out nobody looks at the time: what passes then, passes after them.
        let deciding = state.driver.as_ref().is_none_or(|d| d.queue.is_empty());
        if world.canary.age == Age::Now && deciding {
            actions.push(Action::PassInterval);
        }
        let missing = world.target_lacks_pods() || world.primary_lacks_pods();
        if deciding && (world.deadline_runs() || world.canary.age != Age::Deadline && missing) {
            actions.push(Action::PassDeadline);
        }
        if left.revisions > 0 {
            actions.push(Action::Change(state.next_revision));
        }
        if left.reverts > 0 && world.target.revision != 0 {
            actions.push(Action::Change(0));
        }
    }

    fn operator_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let State { world, left, .. } = state;
        if left.requests == 0 {
            return;
        }
        let seen = world.target.revision;
        let before = world.canary.status.applied.filter(|applied| *applied != seen);
        for verb in self.verbs.iter().copied() {
            // Only abort is written over a pending request.
            if world.canary.request.is_some() && verb != Verb::Abort {
                continue;
            }
            // There is one gate at which it may stand.
            if verb == Verb::Open && !self.decider.is_gated() {
                continue;
            }
            for revision in [Some(seen), before].into_iter().flatten() {
                actions.push(Action::Ask(verb, revision, false));
            }
            if verb == Verb::Start && left.revisions > 0 {
                actions.push(Action::Ask(verb, seen, true));
            }
        }
    }
}

impl State {
    /// Events cost nothing and stop nothing: those that say how a request ended are written at once.
    fn say_outcomes(&mut self) {
        let Some(driver) = self.driver.as_mut() else { return };
        while let Some(Act::Outcome { id, carried_out }) = driver.queue.first().copied() {
            driver.queue.remove(0);
            // The name of such an Event is the request's: the first one stays.
            if self.history.said.is_none_or(|(said, _)| said != id) {
                self.history.said = Some((id, carried_out));
            }
        }
    }

    fn drop_queue(&mut self) {
        if let Some(driver) = self.driver.as_mut() {
            driver.queue.clear();
        }
    }

    /// Numbers the versions anew, so that two states in which the same copies are of the same age are one.
    pub fn normalised(mut self) -> Self {
        fn ranked(values: &mut [&mut u8]) {
            let mut seen = 0_u32;
            for value in values.iter() {
                seen |= 1 << **value;
            }
            for value in values.iter_mut() {
                **value = (seen & ((1 << **value) - 1)).count_ones() as u8;
            }
        }
        let late_object = self.late.and_then(|sent| sent.act.object());
        let mut late_version = self.late.as_mut().and_then(|sent| sent.version.as_mut());
        let mut copies = vec![&mut self.world];
        copies.extend(self.driver.as_mut().map(|d| &mut d.view));
        copies.extend(self.standby.as_mut());
        let mut versions: [Vec<&mut u8>; 5] = Default::default();
        for copy in copies {
            let Objects { canary, target, primary, routes, .. } = copy;
            versions[0].push(&mut canary.version);
            versions[1].push(&mut target.version);
            versions[2].push(&mut target.generation);
            versions[3].extend(primary.as_mut().map(|p| &mut p.version));
            versions[4].extend(routes.as_mut().map(|r| &mut r.version));
        }
        let place = late_object.map(|object| match object {
            Object::Canary => 0,
            Object::Target => 1,
            Object::Primary => 3,
            Object::Routes => 4,
        });
        if let (Some(place), Some(version)) = (place, late_version.take()) {
            versions[place].push(version);
        }
        versions.iter_mut().for_each(|values| ranked(values));
        self
    }
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        match &state.driver {
            Some(driver) => self.driver_actions(state, driver, actions),
            None => actions.push(Action::Begin),
        }
        if self.standby && state.left.takeovers > 0 {
            let working = state.driver.as_ref().is_some_and(|d| !d.queue.is_empty());
            if working && state.standby.is_none() {
                actions.push(Action::StandbyLooks);
            }
            actions.push(Action::TakeOver);
        }
        if state.late.is_some() {
            actions.extend([Action::Arrive, Action::Vanish]);
        }
        self.environment_actions(state, actions);
        self.operator_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let world = state.world;
        match action {
            Action::Look(object) => Self::look(&mut state.driver.as_mut()?.view, object, &world),
            Action::Decide(said) => {
                state.standby = None;
                self.decide(&mut state, said);
            }
            Action::Write => self.write(&mut state),
            Action::WriteUnanswered => self.write_unanswered(&mut state, true),
            Action::WriteLost => self.write_unanswered(&mut state, false),
            Action::Die => {
                state.left.faults -= 1;
                state.driver = None;
            }
            Action::DieSending => {
                state.left.faults -= 1;
                state.late = Some(self.send(&mut state)?);
                state.driver = None;
            }
            Action::Arrive => {
                let sent = state.late.take()?;
                self.arrive(&mut state, &sent);
            }
            Action::Vanish => state.late = None,
            Action::StandbyLooks => state.standby = Some(world),
            Action::TakeOver => {
                state.left.takeovers -= 1;
                Self::begin(&mut state, last.standby.unwrap_or(world));
                state.standby = None;
            }
            Action::Begin => Self::begin(&mut state, world),
            Action::SeeTemplate => {
                state.world.target.version += 1;
                state.world.target.seen = true;
            }
            Action::TargetReady | Action::TargetLosesPods => {
                let target = &mut state.world.target;
                target.version += 1;
                target.overdue = false;
                let ready = action == Action::TargetReady;
                target.pods = if ready { Pods::All } else { Pods::None };
                state.left.losses -= u8::from(!ready);
            }
            Action::PrimaryReady | Action::PrimaryLosesPods => {
                let primary = state.world.primary.as_mut()?;
                primary.version += 1;
                primary.overdue = false;
                let ready = action == Action::PrimaryReady;
                primary.pods = if ready { Pods::All } else { Pods::None };
                state.left.losses -= u8::from(!ready);
            }
            Action::PassInterval | Action::PassDeadline => {
                let copies =
                    [Some(&mut state.world), state.driver.as_mut().map(|d| &mut d.view), state.standby.as_mut()];
                for copy in copies.into_iter().flatten() {
                    copy.pass_time(action == Action::PassDeadline);
                }
            }
            Action::Change(revision) => {
                if revision == 0 {
                    state.left.reverts -= 1;
                } else {
                    state.left.revisions -= 1;
                    state.next_revision += 1;
                }
                state.world.change(revision);
                state.history.aborted = false;
            }
            Action::Ask(verb, revision, image) => {
                state.left.requests -= 1;
                let id = state.next_request;
                state.next_request += 1;
                state.world.canary.version += 1;
                let waits = matches!(state.world.canary.status.phase, Phase::Progressing | Phase::WaitingPromotion);
                let gate = if waits { Gate::Promotion } else { Gate::Rollout };
                let gate = (verb == Verb::Open).then_some(gate);
                state.world.canary.request = Some(Request { id, verb, revision, image, gate });
                state.history.said = None;
                state.history.aborted = false;
                if matches!(verb, Verb::Start | Verb::Promote) {
                    state.history.failed &= !(1 << revision);
                }
            }
        }
        if let Some(driver) = state.driver.as_mut().filter(|d| !self.lagging && d.queue.is_empty()) {
            // Nothing is decided on an older view than this.
            driver.view = state.world;
            driver.unsure = None;
        }
        Some(state.normalised())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("weights add up to 100, of two hosts that exist", |_, state: &State| {
                !state.history.broken_weights && !state.history.no_host
            }),
            Property::always("no decision darkens what serves", |_, state: &State| !state.history.darkened),
            Property::always("no stale write after a new driver's first", |_, state: &State| {
                !state.history.stale_write
            }),
            Property::always("nothing is overwritten unseen", |_, state: &State| !state.history.blind_write),
            Property::always("what has failed is not promoted unasked", |_, state: &State| {
                !state.history.promoted_failed
            }),
            Property::always("no gate is passed that did not say yes", |_, state: &State| !state.history.skipped_gate),
            Property::always("the last good template can be restored", |_, state: &State| {
                match (state.world.primary, state.world.canary.status.promoted) {
                    (Some(primary), Some(good)) => primary.revision == good || primary.kept == Some(good),
                    _ => true,
                }
            }),
            Property::always("an abort that was carried out stays so", |_, state: &State| {
                let Objects { canary, primary, .. } = state.world;
                let serves_good = primary.map(|p| p.revision) == canary.status.promoted;
                // It ends as reverted where the target came back by itself meanwhile.
                let ended = canary.status.phase == Phase::Failed
                    || canary.status.phase == Phase::Succeeded && canary.status.applied == canary.status.promoted;
                !state.history.aborted || ended && state.world.weight() == 0 && serves_good
            }),
            Property::sometimes("a new revision is promoted", |_, state: &State| {
                let status = state.world.canary.status;
                status.phase == Phase::Succeeded && status.promoted.is_some_and(|promoted| promoted > 0)
            }),
            Property::sometimes("a rollout fails", |_, state: &State| state.world.canary.status.phase == Phase::Failed),
            Property::always("once the faults stop it comes to an end", |system: &System, state: &State| {
                system.settles(state)
            }),
        ]
    }
}
