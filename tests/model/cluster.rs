//! The objects that matter, and an API server for them: a write is refused where the object is no longer of the version
//! that it carries. What a driver sees is a copy of the same objects, taken at some time.

use canary_tui::api::shapes::Role;
use canary_tui::api::{Phase, Verb};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A pod template of the target, in the order of their appearance; 0 is the one that served first.
pub type Revision = u8;

/// Pods of a workload that can serve, of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pods {
    None,
    Some,
    All,
}

/// How long ago the status was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Age {
    Now,
    /// An interval or more: the next check is due.
    Interval,
    /// The progress deadline or more.
    Deadline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    pub phase: Phase,
    pub failed: u8,
    pub weight: u8,
    pub iterations: u8,
    pub applied: Option<Revision>,
    pub promoted: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub id: u8,
    pub verb: Verb,
    pub revision: Revision,
    pub image: bool,
    /// For open.
    pub gate: Option<Gate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Canary {
    pub version: u8,
    /// Term of the last driver that wrote to it, as on all objects.
    pub term: u8,
    pub status: Status,
    pub age: Age,
    pub request: Option<Request>,
    pub paused: bool,
    /// The gate that is marked as shut.
    pub gate: Option<Gate>,
    /// The gate that an operator opened, and for which revision.
    pub opened: Option<(Gate, Revision)>,
}

/// A gate of the Canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    Rollout,
    Promotion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub version: u8,
    pub term: u8,
    /// Moves with the template and the replicas, not with what the pods do.
    pub generation: u8,
    pub revision: Revision,
    /// Whether the Deployment controller has seen the newest template.
    pub seen: bool,
    /// Whether any replicas are asked for.
    pub up: bool,
    pub pods: Pods,
    /// Pods have been missing for as long as the progress deadline.
    pub overdue: bool,
    /// The request that was last carried out on it, as on all objects.
    pub mark: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Primary {
    pub version: u8,
    pub term: u8,
    pub revision: Revision,
    /// Revision of the template that is kept from before.
    pub kept: Option<Revision>,
    pub pods: Pods,
    pub overdue: bool,
    pub mark: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Routes {
    pub version: u8,
    pub term: u8,
    /// Percent of the traffic that goes to the canary.
    pub weight: u8,
    pub mirrored: bool,
    /// The canary stands in for the primary.
    pub everyone: bool,
    pub mark: Option<u8>,
}

/// All objects around one Canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    pub canary: Canary,
    pub target: Target,
    pub primary: Option<Primary>,
    pub routes: Option<Routes>,
    /// Services and DestinationRules that exist, one bit each.
    pub parts: u8,
}

/// Packed: a hash is taken for each of millions of states, and field by field it would take most of the time.
impl Hash for Objects {
    fn hash<H: Hasher>(&self, state: &mut H) {
        struct Packed(u128);
        impl Packed {
            fn add(&mut self, bits: u32, value: u8) {
                debug_assert!(u32::from(value) < 1 << bits, "{value} in {bits} bits");
                self.0 = self.0 << bits | u128::from(value);
            }
            fn add_optional(&mut self, bits: u32, value: Option<u8>) {
                self.add(1, u8::from(value.is_some()));
                self.add(bits, value.unwrap_or(0));
            }
        }
        let Objects { canary, target, primary, routes, parts } = self;
        let mut packed = Packed(0);
        packed.add(4, canary.version);
        packed.add(3, canary.term);
        packed.add(4, canary.status.phase as u8);
        packed.add(3, canary.status.failed);
        packed.add(7, canary.status.weight);
        packed.add(2, canary.status.iterations);
        packed.add_optional(1, canary.gate.map(|gate| gate as u8));
        packed.add_optional(3, canary.opened.map(|(gate, revision)| revision << 1 | gate as u8));
        packed.add_optional(2, canary.status.applied);
        packed.add_optional(2, canary.status.promoted);
        packed.add(2, canary.age as u8);
        packed.add_optional(3, canary.request.map(|r| r.id));
        packed.add_optional(3, canary.request.map(|r| r.verb as u8));
        packed.add_optional(3, canary.request.map(|r| r.revision << 1 | u8::from(r.image)));
        packed.add_optional(1, canary.request.and_then(|r| r.gate).map(|gate| gate as u8));
        packed.add(1, u8::from(canary.paused));
        packed.add(4, target.version);
        packed.add(3, target.term);
        packed.add(4, target.generation);
        packed.add(2, target.revision);
        packed.add(
            5,
            (target.pods as u8) << 3 | u8::from(target.seen) << 2 | u8::from(target.up) << 1 | u8::from(target.overdue),
        );
        packed.add_optional(3, target.mark);
        state.write_u64(packed.0 as u64);
        state.write_u64((packed.0 >> 64) as u64);
        let mut packed = Packed(u128::from(*parts));
        packed.add(1, u8::from(primary.is_some()));
        if let Some(primary) = primary {
            packed.add(4, primary.version);
            packed.add(3, primary.term);
            packed.add(2, primary.revision);
            packed.add_optional(2, primary.kept);
            packed.add(3, (primary.pods as u8) << 1 | u8::from(primary.overdue));
            packed.add_optional(3, primary.mark);
        }
        packed.add(1, u8::from(routes.is_some()));
        if let Some(routes) = routes {
            packed.add(4, routes.version);
            packed.add(3, routes.term);
            packed.add(7, routes.weight);
            packed.add(2, u8::from(routes.mirrored) << 1 | u8::from(routes.everyone));
            packed.add_optional(3, routes.mark);
        }
        state.write_u64(packed.0 as u64);
    }
}

/// What is versioned by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    Canary,
    Target,
    Primary,
    Routes,
}

impl Object {
    pub const ALL: [Object; 4] = [Object::Canary, Object::Target, Object::Primary, Object::Routes];
}

/// The bit of a Service or of a DestinationRule in [`Objects::parts`].
pub fn part(role: Role, rule: bool) -> u8 {
    match (role, rule) {
        (Role::Apex, _) => 1,
        (Role::Primary, false) => 2,
        (Role::Canary, false) => 4,
        (Role::Primary, true) => 8,
        (Role::Canary, true) => 16,
    }
}

/// Every Service and DestinationRule.
pub const PARTS: u8 = 31;

/// A write as the driver's hands carry it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Leaves the driver's term on an object.
    Claim(Object),
    Part(u8),
    Routes {
        weight: u8,
        mirrored: bool,
        everyone: bool,
        request: Option<u8>,
    },
    Create(Revision),
    Promote {
        revision: Revision,
        request: Option<u8>,
    },
    Restore {
        revision: Revision,
        request: Option<u8>,
    },
    Scale {
        up: bool,
        request: Option<u8>,
    },
    SetImage {
        request: u8,
    },
    Status(Status),
    /// Takes this request off, with marks of the same write.
    Clear {
        id: u8,
        marks: Marks,
    },
    Mark(Marks),
    /// An Event that says how a request ended.
    Outcome {
        id: u8,
        carried_out: bool,
    },
}

/// What is written down on the Canary; None: left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    pub paused: Option<bool>,
    pub gate: Option<Option<Gate>>,
    pub opened: Option<Option<(Gate, Revision)>>,
}

/// A write on its way: what it does, the version that it carries and what it was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    pub act: Act,
    pub term: u8,
    /// None where the object is to be created.
    pub version: Option<u8>,
    /// The status that the driver had in mind.
    pub over_status: Status,
    /// The primary's revision that the driver had in mind.
    pub over_primary: Option<Revision>,
}

/// What a write that succeeded did wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrong {
    /// An older driver's, after a newer one's first write to the object.
    pub stale: bool,
    /// Over something that its driver had not seen.
    pub blind: bool,
    /// Routes to hosts that do not exist.
    pub no_host: bool,
}

impl Canary {
    fn mark(&mut self, marks: Marks) {
        self.paused = marks.paused.unwrap_or(self.paused);
        self.gate = marks.gate.unwrap_or(self.gate);
        self.opened = marks.opened.unwrap_or(self.opened);
    }
}

impl Act {
    /// The object that it is written to.
    pub fn object(&self) -> Option<Object> {
        match self {
            Act::Part(_) | Act::Outcome { .. } => None,
            Act::Claim(object) => Some(*object),
            Act::Routes { .. } => Some(Object::Routes),
            Act::Create(_) | Act::Promote { .. } | Act::Restore { .. } => Some(Object::Primary),
            Act::Scale { .. } | Act::SetImage { .. } => Some(Object::Target),
            Act::Status(_) | Act::Clear { .. } | Act::Mark(_) => Some(Object::Canary),
        }
    }
}

impl Objects {
    pub fn version(&self, object: Object) -> Option<u8> {
        match object {
            Object::Canary => Some(self.canary.version),
            Object::Target => Some(self.target.version),
            Object::Primary => self.primary.map(|p| p.version),
            Object::Routes => self.routes.map(|r| r.version),
        }
    }

    /// Reads one object afresh.
    pub fn read(&mut self, object: Object, from: &Self) {
        match object {
            Object::Canary => self.canary = from.canary,
            Object::Target => self.target = from.target,
            Object::Primary => self.primary = from.primary,
            Object::Routes => self.routes = from.routes,
        }
    }

    pub fn weight(&self) -> u8 {
        self.routes.map_or(0, |r| r.weight)
    }

    pub fn primary_serves(&self) -> bool {
        self.primary.is_some_and(|p| p.pods != Pods::None)
    }

    /// Whom an A/B test leaves out is the primary's, whatever the weights.
    pub fn primary_has_users(&self, leaves_out: bool) -> bool {
        self.routes.is_some_and(|r| r.weight < 100 || leaves_out && !r.everyone)
    }

    /// Traffic goes to a workload without pods that can serve, and the other one has some. At rest, and until the first
    /// initialisation is done, nothing but the primary is there to serve.
    pub fn dark(&self, leaves_out: bool) -> bool {
        let canary_serves = self.target.pods != Pods::None;
        let Some(routes) = self.routes else { return false };
        let canary_dark = routes.weight > 0 && !canary_serves && self.primary_serves();
        let primary_dark = self.primary_has_users(leaves_out) && !self.primary_serves() && canary_serves;
        let phase = self.canary.status.phase;
        canary_dark || primary_dark && phase.under_way() && phase != Phase::Waiting
    }

    pub fn target_lacks_pods(&self) -> bool {
        self.target.up && self.target.pods != Pods::All
    }

    pub fn primary_lacks_pods(&self) -> bool {
        self.primary.is_some_and(|p| p.pods != Pods::All)
    }

    /// Pods are missing, and not yet for as long as the progress deadline.
    pub fn deadline_runs(&self) -> bool {
        let primary_overdue = self.primary.is_some_and(|p| p.overdue);
        self.target_lacks_pods() && !self.target.overdue || self.primary_lacks_pods() && !primary_overdue
    }

    /// What stands in an object's way to succeed is none of the model's: it is written where the version still fits.
    /// `next` is the revision that a new image makes. Answers None for a conflict.
    pub fn write(&mut self, sent: &Sent, next: Revision) -> Option<Wrong> {
        let mut wrong = Wrong::default();
        let fits = match (sent.act, sent.act.object()) {
            (Act::Clear { id, .. }, _) => self.canary.request.is_some_and(|r| r.id == id),
            (_, Some(object)) => self.version(object) == sent.version,
            (_, None) => true,
        };
        if !fits {
            return None;
        }
        let term = sent.term;
        let mut signed = |present: &mut u8, version: &mut u8| {
            wrong.stale |= term < *present;
            *present = term.max(*present);
            *version += 1;
        };
        match sent.act {
            Act::Claim(Object::Canary) => signed(&mut self.canary.term, &mut self.canary.version),
            Act::Claim(Object::Target) => signed(&mut self.target.term, &mut self.target.version),
            Act::Claim(Object::Primary) => {
                let primary = self.primary.as_mut()?;
                signed(&mut primary.term, &mut primary.version);
            }
            Act::Claim(Object::Routes) => {
                let routes = self.routes.as_mut()?;
                signed(&mut routes.term, &mut routes.version);
            }
            Act::Part(bit) => self.parts |= bit,
            Act::Outcome { .. } => {}
            Act::Routes { weight, mirrored, everyone, request } => {
                wrong.no_host = self.parts & (part(Role::Primary, false) | part(Role::Canary, false)) != 6;
                let fresh = Routes { version: 0, term, weight, mirrored, everyone, mark: None };
                let routes = self.routes.get_or_insert(fresh);
                signed(&mut routes.term, &mut routes.version);
                (routes.weight, routes.mirrored, routes.everyone) = (weight, mirrored, everyone);
                routes.mark = request.or(routes.mark);
            }
            Act::Create(revision) => {
                let pods = Pods::None;
                let primary = Primary { version: 1, term, revision, kept: None, pods, overdue: false, mark: None };
                self.primary = Some(primary);
            }
            Act::Promote { revision, request } | Act::Restore { revision, request } => {
                let promoting = matches!(sent.act, Act::Promote { .. });
                let primary = self.primary.as_mut()?;
                signed(&mut primary.term, &mut primary.version);
                wrong.blind |= sent.over_primary != Some(primary.revision);
                if primary.revision != revision {
                    if promoting {
                        primary.kept = Some(primary.revision);
                    }
                    primary.revision = revision;
                    // A rolling update: some of the old pods serve until the new ones do.
                    primary.pods = if primary.pods == Pods::None { Pods::None } else { Pods::Some };
                    primary.overdue = false;
                }
                primary.mark = request.or(primary.mark);
            }
            Act::Scale { up, request } => {
                let target = &mut self.target;
                signed(&mut target.term, &mut target.version);
                if target.up != up {
                    target.up = up;
                    target.generation += 1;
                    target.pods = Pods::None;
                    target.overdue = false;
                }
                target.mark = request.or(target.mark);
            }
            Act::SetImage { request } => {
                signed(&mut self.target.term, &mut self.target.version);
                self.target.mark = Some(request);
                self.change(next);
            }
            Act::Status(status) => {
                let canary = &mut self.canary;
                signed(&mut canary.term, &mut canary.version);
                wrong.blind |= sent.over_status != canary.status;
                canary.status = status;
                canary.age = Age::Now;
            }
            Act::Clear { marks, .. } => {
                // The request's own text is its version: a driver that ends it late ends that and no other.
                self.canary.version += 1;
                self.canary.request = None;
                self.canary.mark(marks);
            }
            Act::Mark(marks) => {
                signed(&mut self.canary.term, &mut self.canary.version);
                self.canary.mark(marks);
            }
        }
        Some(wrong)
    }

    /// The target gets another template.
    pub fn change(&mut self, revision: Revision) {
        let target = &mut self.target;
        target.version += 1;
        target.generation += 1;
        target.revision = revision;
        target.seen = false;
        target.overdue = false;
        if target.pods == Pods::All {
            target.pods = Pods::Some;
        }
    }

    /// Time passes, for a copy as for the objects themselves.
    pub fn pass_time(&mut self, deadline: bool) {
        self.canary.age = self.canary.age.max(if deadline { Age::Deadline } else { Age::Interval });
        if deadline {
            self.target.overdue |= self.target_lacks_pods();
            let lacks = self.primary_lacks_pods();
            if let Some(primary) = self.primary.as_mut() {
                primary.overdue |= lacks;
            }
        }
    }
}

/// One line of a counterexample.
impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Objects { canary, target, primary, routes, .. } = self;
        let Status { phase, failed, weight, iterations, applied, promoted } = canary.status;
        let number = |of: Option<u8>| of.map_or("-".to_string(), |of| of.to_string());
        let (applied, promoted) = (number(applied), number(promoted));
        write!(
            f,
            "{phase} failed {failed} weight {weight} iterations {iterations} applied {applied} promoted {promoted} {:?}",
            canary.age
        )?;
        if let Some(Request { id, verb, revision, .. }) = canary.request {
            write!(f, " #{id} {verb} of {revision}")?;
        }
        write!(f, "{}", if canary.paused { " paused" } else { "" })?;
        if let Some(gate) = canary.gate {
            write!(f, " at gate {gate:?}")?;
        }
        if let Some((gate, revision)) = canary.opened {
            write!(f, " opened {gate:?} for {revision}")?;
        }
        let Target { revision, seen, up, pods, overdue, version, .. } = target;
        let seen = if *seen { "" } else { " unseen" };
        let overdue = if *overdue { " overdue" } else { "" };
        write!(f, " | target v{version} rev {revision}{seen} up {up} pods {pods:?}{overdue}")?;
        if let Some(Primary { version, revision, kept, pods, .. }) = primary {
            write!(f, " | primary v{version} rev {revision} kept {} pods {pods:?}", number(*kept))?;
        }
        if let Some(Routes { version, weight, mirrored, everyone, .. }) = routes {
            let (mirrored, everyone) =
                (if *mirrored { " mirrored" } else { "" }, if *everyone { " everyone" } else { "" });
            write!(f, " | routes v{version} {weight} %{mirrored}{everyone}")?;
        }
        Ok(())
    }
}
