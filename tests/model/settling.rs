//! The fair schedule: from any state on nothing fails any more, one driver does its work, what it waits for happens, and
//! time passes only for a driver that has asked to be woken. It must come to rest, and what it comes to must be an end.

use super::cluster::{Age, Objects, Pods};
use super::decision::{Said, Verdict};
use super::system::{Budget, History, State, System};
use canary_tui::api::{Phase, Verb};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps within which every state must have come to rest.
const STEPS: usize = 60;

const NOTHING_LEFT: Budget = Budget { faults: 0, takeovers: 0, losses: 0, requests: 0, revisions: 0, reverts: 0 };

/// How the pods and the checks behave from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    verdict: Verdict,
    target_gets_ready: bool,
    primary_gets_ready: bool,
    gates_open: bool,
}

const ALL: [Weather; 6] = [
    Weather { verdict: Verdict::Pass, target_gets_ready: true, primary_gets_ready: true, gates_open: true },
    Weather { verdict: Verdict::Fail, target_gets_ready: true, primary_gets_ready: true, gates_open: true },
    Weather { verdict: Verdict::Missing, target_gets_ready: true, primary_gets_ready: true, gates_open: true },
    Weather { verdict: Verdict::Pass, target_gets_ready: false, primary_gets_ready: true, gates_open: true },
    Weather { verdict: Verdict::Pass, target_gets_ready: true, primary_gets_ready: false, gates_open: true },
    Weather { verdict: Verdict::Pass, target_gets_ready: true, primary_gets_ready: true, gates_open: false },
];

/// Where a state comes to rest, and in how many steps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct End {
    steps: usize,
    world: Objects,
}

/// What was found out already.
#[derive(Default)]
pub struct Settled {
    ends: RwLock<HashMap<u64, Option<End>>>,
    longest: AtomicUsize,
}

impl Settled {
    /// The largest number of steps from any state to its end.
    pub fn longest(&self) -> usize {
        self.longest.load(Ordering::Relaxed)
    }

    fn key(state: &State, weather: Weather) -> u64 {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let place = ALL.iter().position(|w| *w == weather).unwrap_or_default() as u64;
        // One hash for all weathers.
        hasher.finish().wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl System {
    /// Whether `state` comes to an end in any weather.
    pub fn settles(&self, state: &State) -> bool {
        let calm = calmed(state);
        ALL.into_iter().all(|weather| {
            let end = self.end(&calm, weather);
            let leaves_out = self.decider.leaves_out();
            end.is_some_and(|end| is_an_end(&end.world, weather, leaves_out) && abort_wins(state, &end))
        })
    }

    fn end(&self, calm: &State, weather: Weather) -> Option<End> {
        let mut trail = Vec::new();
        let mut present = calm.clone();
        let mut found = None;
        for _ in 0..=STEPS {
            let key = Settled::key(&present, weather);
            let known = self.settled.ends.read().expect("no checker panicked").get(&key).copied();
            if let Some(known) = known {
                found = known;
                break;
            }
            if trail.contains(&key) {
                // Nothing changes any more but the time of the last check.
                found = Some(End { steps: 0, world: present.world });
                break;
            }
            trail.push(key);
            match self.fair_step(&present, weather) {
                Some(next) => present = next,
                None => {
                    found = Some(End { steps: 0, world: present.world });
                    trail.pop();
                    self.settled.ends.write().expect("no checker panicked").insert(key, found);
                    break;
                }
            }
        }
        let mut ends = self.settled.ends.write().expect("no checker panicked");
        for key in trail.into_iter().rev() {
            found = found.map(|end| End { steps: end.steps + 1, ..end }).filter(|end| end.steps <= STEPS);
            ends.insert(key, found);
        }
        if let Some(end) = found {
            self.settled.longest.fetch_max(end.steps, Ordering::Relaxed);
        }
        found
    }

    /// What happens next; None at rest.
    fn fair_step(&self, state: &State, weather: Weather) -> Option<State> {
        let mut next = state.clone();
        let Some(driver) = &mut next.driver else {
            Self::begin(&mut next, state.world);
            next.term = state.term;
            return Some(next.normalised());
        };
        if !driver.queue.is_empty() {
            self.write(&mut next);
            return Some(next.normalised());
        }
        driver.view = state.world;
        driver.unsure = None;
        let said = Said { verdict: Some(weather.verdict), open: Some(weather.gates_open) };
        let plan = self.plan(driver, said);
        if !plan.acts.is_empty() {
            self.decide(&mut next, said);
            return Some(next.normalised());
        }
        let world = &mut next.world;
        if !world.target.seen {
            world.target.seen = true;
        } else if world.target_lacks_pods() && weather.target_gets_ready {
            world.target.pods = Pods::All;
            world.target.overdue = false;
        } else if world.primary_lacks_pods() && weather.primary_gets_ready {
            if let Some(primary) = world.primary.as_mut() {
                primary.pods = Pods::All;
                primary.overdue = false;
            }
        } else if plan.wakes && (world.canary.age < Age::Deadline || world.deadline_runs()) {
            world.pass_time(world.canary.age != Age::Now);
        } else {
            return None;
        }
        next.driver.as_mut()?.view = next.world;
        Some(next.normalised())
    }
}

/// The state without what the fair schedule does not look at.
fn calmed(state: &State) -> State {
    let mut calm = state.clone();
    calm.history = History::default();
    calm.standby = None;
    calm.late = None;
    calm.left = NOTHING_LEFT;
    calm.next_request = 0;
    if let Some(driver) = calm.driver.as_mut().filter(|d| d.queue.is_empty()) {
        // It is about to look.
        driver.view = calm.world;
        driver.unsure = None;
    }
    calm.normalised()
}

/// Nothing is left half way. What may stay under way: a rollout that an operator paused, and one whose primary has no
/// pods, which is an operator's call.
fn is_an_end(world: &Objects, weather: Weather, leaves_out: bool) -> bool {
    let Objects { canary, target, primary, .. } = world;
    let status = canary.status;
    if world.dark(leaves_out) || canary.request.is_some() && weather.primary_gets_ready {
        return false;
    }
    if status.phase.at_rest() {
        let serves = primary.map(|p| p.revision);
        let taken_in = status.applied == Some(target.revision) || status.promoted == Some(target.revision);
        return world.weight() == 0 && serves == status.promoted && taken_in;
    }
    let held = canary.paused && status.phase == Phase::Progressing;
    let waits = !weather.primary_gets_ready && world.primary_lacks_pods();
    let shut = !weather.gates_open && canary.gate.is_some();
    held || waits || shut
}

/// A pending abort of what is under way ends it, whatever came before.
fn abort_wins(state: &State, end: &End) -> bool {
    let world = &state.world;
    let Some(request) = world.canary.request.filter(|r| r.verb == Verb::Abort) else { return true };
    let deciding = state.driver.as_ref().is_none_or(|d| d.queue.is_empty());
    let named = world.target.seen && world.target.revision == request.revision;
    let at_rest = end.world.canary.status.phase.at_rest();
    if !(deciding && named && at_rest && world.canary.status.phase.under_way()) {
        return true;
    }
    end.world.canary.status.phase == Phase::Failed
        && end.world.canary.status.promoted == world.canary.status.promoted
        && end.world.primary.map(|p| p.revision) == world.canary.status.promoted
}
