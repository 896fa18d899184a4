//! The operator's requests: which may be carried out when, and how each ends.

use super::decide::Plan;
use super::{Effect, Mark, Note, Occasion, Readiness};
use crate::api::{Paused, Phase, Request, Verb};

/// Requests that one may have taken the place of.
const MOST_REPLACED: usize = 20;

/// How a Canary stands towards its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub phase: Phase,
    pub paused: bool,
    /// Whether the target's revision is known.
    pub revision_known: bool,
}

/// Whether a verb does anything now; the error says why not, as a clause. The driver refuses with the same words as
/// the console shows beside a key that does nothing.
pub fn allowed(verb: Verb, standing: Standing) -> Result<(), &'static str> {
    let Standing { phase, paused, revision_known } = standing;
    if !revision_known && verb != Verb::Abort {
        return Err("the target's revision is not known yet");
    }
    if matches!(phase, Phase::New | Phase::Initializing) {
        return Err("it is not initialized yet");
    }
    if matches!(phase, Phase::Terminating | Phase::Terminated | Phase::Unknown) {
        return Err("it is not driven");
    }
    let promoting = matches!(phase, Phase::Promoting | Phase::Finalising);
    match verb {
        Verb::Start if promoting => Err("a promotion is under way: wait for its end, or abort it"),
        Verb::Start => Ok(()),
        Verb::Release if phase.under_way() => Err("a rollout is under way: wait for its end, or abort it"),
        Verb::Release => Ok(()),
        Verb::Abort if phase.under_way() => Ok(()),
        _ if !phase.under_way() => Err("no rollout is under way"),
        Verb::Pause | Verb::Advance | Verb::Promote | Verb::Open if promoting => {
            Err("the promotion has begun: only abort stops it")
        }
        Verb::Resume if promoting => Err("the promotion has begun"),
        Verb::Pause if paused => Err("it is paused already"),
        Verb::Resume if !paused => Err("it is not paused"),
        _ => Ok(()),
    }
}

impl Plan<'_> {
    fn standing(&self) -> Standing {
        Standing {
            phase: self.facts.status.phase,
            paused: self.facts.paused.is_some(),
            revision_known: self.facts.revision.is_some(),
        }
    }

    /// The pending request, if it is of this verb and names the revision that is there.
    pub fn pending(&self, verb: Verb) -> Option<Request> {
        let request = self.facts.request.as_ref()?.as_ref().ok()?;
        (request.verb == verb && self.names_present(request)).then(|| request.clone())
    }

    /// Whether a request names the present revision. Until the target's newest template has one, an abort may name the
    /// revision that is being rolled out.
    fn names_present(&self, request: &Request) -> bool {
        let facts = self.facts;
        let begun = facts.primary.as_ref().is_some_and(|p| p.request_id.as_ref() == Some(&request.id));
        match &facts.revision {
            // An abort that has begun to restore the primary ends, whatever happens to the target meanwhile.
            _ if request.verb == Verb::Abort && begun => true,
            Some(revision) => revision.to_string() == request.revision,
            None => {
                let applied = facts.applied().map(|revision| revision.to_string());
                request.verb == Verb::Abort && applied.as_ref() == Some(&request.revision)
            }
        }
    }

    /// Whether the request was carried out by a process that died before it could say so.
    fn recorded(&self, request: &Request) -> bool {
        let facts = self.facts;
        let target = facts.target.as_ref().and_then(|t| t.request_id.as_ref());
        let primary = facts.primary.as_ref().and_then(|p| p.request_id.as_ref());
        let places: &[Option<&String>] = match request.verb {
            // Tried again: the id is left with the first of its effects, and it has begun with the last.
            Verb::Start if !facts.status.phase.under_way() && self.names_present(request) => &[],
            Verb::Start => &[target],
            Verb::Promote => &[primary],
            Verb::Advance => &[facts.routes.request_id.as_ref(), primary],
            // An abort has several effects; it is over when the rollout is.
            Verb::Abort if facts.status.phase.under_way() => &[],
            Verb::Abort => &[facts.routes.request_id.as_ref(), target],
            // Written in the very write that takes the request away.
            Verb::Pause | Verb::Resume | Verb::Open => &[],
            // It ends with the Canary.
            Verb::Release => &[],
        };
        places.contains(&Some(&request.id))
    }

    /// Ends a request that cannot be read, was carried out before, is not allowed now or names another revision.
    /// Answers the request that remains to be carried out.
    fn vetted(&mut self) -> Option<Request> {
        let facts = self.facts;
        let request = match facts.request.as_ref()? {
            Ok(request) => request.clone(),
            Err(why) => {
                self.event(true, "RequestRefused", format!("A request was refused: it {why}"));
                self.push(Effect::ClearRequest { marks: Vec::new() });
                return None;
            }
        };
        if self.recorded(&request) {
            self.settle(&request, "done before the driver was restarted");
            return None;
        }
        if facts.revision.is_none() && !self.names_present(&request) {
            if facts.target.as_ref().is_some_and(|t| t.paused) {
                self.refuse(&request, "the target is paused, so its revision is not known");
            }
            if let Some(problem) = facts.config_problem.clone() {
                self.refuse(&request, &problem);
            }
            // The Deployment controller will say in a moment which revision this is.
            return None;
        }
        if !self.names_present(&request) {
            let now = facts.revision.clone().unwrap_or_default().to_string();
            let why = format!("it names revision {}, and the target now bears {now}", request.revision);
            self.refuse(&request, &why);
            return None;
        }
        if let Err(why) = allowed(request.verb, self.standing()) {
            self.refuse(&request, why);
            return None;
        }
        Some(request)
    }

    /// At rest. Answers whether the request was all that is to be done now.
    pub fn answer_at_rest(&mut self) -> bool {
        let Some(request) = self.vetted() else { return self.facts.request.is_some() };
        match request.verb {
            Verb::Start => self.start(&request),
            Verb::Abort => self.abort(&request),
            // `allowed` lets through only what concerns a rollout that waits.
            Verb::Pause | Verb::Resume => self.pause_or_resume(&request),
            Verb::Open => self.open(&request),
            Verb::Release => self.release(&request),
            Verb::Advance | Verb::Promote => self.refuse(&request, "the rollout has not begun: start it"),
        }
        true
    }

    /// Progressing. Answers whether the request was all that is to be done now.
    pub fn answer_in_progress(&mut self, canary: &Readiness) -> bool {
        if self.facts.request.is_none() {
            return false;
        }
        let before = self.effects();
        // One that waits for its revision to be known must not hold up the checks.
        let Some(request) = self.vetted() else { return self.effects() > before };
        match (request.verb, canary) {
            (Verb::Start, _) => self.start(&request),
            (Verb::Pause | Verb::Resume, _) => self.pause_or_resume(&request),
            (Verb::Promote, Readiness::Ready) => self.promote(Some(&request.id)),
            // Promotion still waits for ready pods, and says so as any wait does.
            (Verb::Promote, _) => return false,
            (Verb::Advance, Readiness::Ready) => return false,
            (Verb::Advance, Readiness::Waiting(why) | Readiness::Expired(why)) => {
                self.refuse(&request, &format!("the canary is not ready: {why}"));
            }
            (Verb::Abort, _) => self.abort(&request),
            (Verb::Open, _) => self.open(&request),
            (Verb::Release, _) => self.refuse(&request, "a rollout is under way"),
        }
        true
    }

    /// Promoting or Finalising, abort aside. Answers whether the request was all that is to be done now.
    pub fn answer_in_promotion(&mut self) -> bool {
        if self.facts.request.is_none() {
            return false;
        }
        let before = self.vetted();
        // Whatever is not refused by `allowed` here is an abort that names no present revision yet.
        before.is_none() && self.facts.revision.is_some()
    }

    /// All traffic to the primary now, then the canary down.
    pub fn abort(&mut self, abort: &Request) {
        let weight = self.facts.live_weight();
        if !self.fail(Some(&abort.id), Vec::new()) {
            return;
        }
        self.carried_out(abort, &format!("{weight} % of traffic went back to the primary"));
        self.clear_marks();
        let revision = self.facts.revision.clone();
        self.status(|status| {
            status.phase = Phase::Failed;
            status.canary_weight = 0;
            status.iterations = 0;
            // The revision that the request names, or it would be found new at once and begin.
            if let Some(revision) = &revision {
                status.apply(revision);
            }
        });
        self.push(Effect::ClearRequest { marks: Vec::new() });
        self.failed(format!("Aborted by {}", abort.by));
    }

    fn pause_or_resume(&mut self, request: &Request) {
        let paused = (request.verb == Verb::Pause).then(|| Paused {
            by: request.by.clone(),
            at: self.facts.now,
            reason: request.reason.clone(),
        });
        let what = match &paused {
            Some(_) => format!("held at canary weight {}; the checks go on", self.facts.live_weight()),
            None => "the rollout goes on".to_string(),
        };
        self.carried_out(request, &what);
        self.push(Effect::ClearRequest { marks: vec![Mark::Paused(paused)] });
    }

    /// Sets the image, or tries a failed revision again.
    fn start(&mut self, request: &Request) {
        let facts = self.facts;
        let containers = facts.target.as_ref().map_or(&[][..], |t| &t.containers);
        let retry = match facts.status.phase {
            Phase::Failed | Phase::Waiting => !facts.is_promoted(),
            _ => facts.new_revision() && facts.status.phase.at_rest(),
        };
        let chosen = request.image.as_ref().map(|image| {
            choose_container(containers, request.container.as_deref(), &facts.spec.target)
                .map(|(container, present)| (container.to_string(), present.to_string(), image.clone()))
        });
        match chosen {
            Some(Err(why)) => self.refuse(request, &why),
            Some(Ok((container, present, image))) if present != image => {
                self.push(Effect::SetImage {
                    container: container.clone(),
                    image: image.clone(),
                    request: request.id.clone(),
                });
                self.settle(request, &format!("container {container} gets image {image}"));
            }
            _ if retry => {
                self.begin(Some(&request.id));
                self.settle(request, "the rollout of this revision begins");
            }
            Some(Ok((container, present, _))) => {
                self.refuse(request, &format!("container {container} has image {present} already"));
            }
            None => self.refuse(request, "there is no new revision to start: name an image"),
        }
    }

    /// Refuses whatever is pending: this Canary is not in a state to take requests.
    pub fn refuse_any(&mut self, why: &str) {
        match self.facts.request.clone() {
            Some(Ok(request)) => self.refuse(&request, why),
            Some(Err(_)) => self.push(Effect::ClearRequest { marks: Vec::new() }),
            None => {}
        }
    }

    /// Ends a request as refused.
    pub fn refuse(&mut self, request: &Request, why: &str) {
        self.refused(request, why);
        self.push(Effect::ClearRequest { marks: Vec::new() });
    }

    /// Ends a request as carried out.
    pub fn settle(&mut self, request: &Request, what: &str) {
        self.carried_out(request, what);
        self.push(Effect::ClearRequest { marks: Vec::new() });
    }

    /// The Event that says that a request was carried out.
    pub fn carried_out(&mut self, request: &Request, what: &str) {
        self.outcome(request, false, "RequestCarriedOut", &format!("carried out: {what}"));
    }

    /// The Event that says that a request was refused.
    pub fn refused(&mut self, request: &Request, why: &str) {
        self.outcome(request, true, "RequestRefused", &format!("refused: {why}"));
    }

    fn outcome(&mut self, request: &Request, warning: bool, reason: &'static str, end: &str) {
        let Request { verb, by, .. } = request;
        let given = if request.reason.is_empty() { String::new() } else { format!(" ({})", request.reason) };
        let message = format!("Request {verb} of revision {} by {by}{given} {end}", request.revision);
        for replaced in request.replaces.iter().flat_map(|ids| ids.split_whitespace()).take(MOST_REPLACED) {
            let message = format!("Request {replaced} refused: {verb} by {by} took its place");
            let occasion = Occasion::Request(replaced.to_string());
            self.push(Effect::Event(Note { warning: true, reason: "RequestRefused", message, occasion }));
        }
        self.push(Effect::Event(Note { warning, reason, message, occasion: Occasion::Request(request.id.clone()) }));
    }
}

/// The container to set an image on, and its present image: the one named, else the only one, else the one named like
/// the target.
///
/// # Errors
/// A clause that lists the containers.
pub fn choose_container<'a>(
    containers: &'a [(String, String)],
    named: Option<&str>,
    target: &str,
) -> Result<(&'a str, &'a str), String> {
    let by_name = |name: &str| containers.iter().find(|(container, _)| container == name);
    let chosen = match (named, containers) {
        (Some(name), _) => by_name(name),
        (None, [only]) => Some(only),
        (None, _) => by_name(target),
    };
    let list = || containers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    chosen.map(|(name, image)| (name.as_str(), image.as_str())).ok_or_else(|| match named {
        Some(name) => format!("there is no container {name:?}; there are {}", list()),
        None => format!("name the container: there are {}", list()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_is_the_named_the_only_or_the_targets_namesake() {
        let pair = |name: &str| (name.to_string(), "image".to_string());
        let (one, two) = (vec![pair("web")], vec![pair("proxy"), pair("app")]);
        assert_eq!(choose_container(&one, None, "app").unwrap().0, "web");
        assert_eq!(choose_container(&two, None, "app").unwrap().0, "app");
        assert_eq!(choose_container(&two, Some("proxy"), "app").unwrap().0, "proxy");
        assert!(choose_container(&two, None, "other").unwrap_err().contains("proxy, app"));
        assert!(choose_container(&two, Some("no"), "app").unwrap_err().contains("no container \"no\""));
    }

    #[test]
    fn pausing_is_refused_once_promoting_and_abort_is_not() {
        let standing = |phase| Standing { phase, paused: false, revision_known: true };
        assert!(allowed(Verb::Pause, standing(Phase::Progressing)).is_ok());
        assert!(allowed(Verb::Pause, standing(Phase::Promoting)).is_err());
        for phase in [Phase::Waiting, Phase::Progressing, Phase::Promoting, Phase::Finalising] {
            assert!(allowed(Verb::Abort, standing(phase)).is_ok(), "{phase}");
        }
        for phase in [Phase::Initialized, Phase::Succeeded, Phase::Failed] {
            assert!(allowed(Verb::Abort, standing(phase)).is_err(), "{phase}");
            assert!(allowed(Verb::Start, standing(phase)).is_ok(), "{phase}");
        }
    }
}
