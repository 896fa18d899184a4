//! The end of a Canary whose traffic goes back to its target first: `revertOnDeletion`, and a release.
//!
//! What serves users goes on serving them: the target gets the promoted template back before it gets any traffic, and
//! until its pods are ready the primary keeps all of it.

use super::decide::Plan;
use super::{Effect, Readiness};
use crate::api::{Phase, Request, Verb};

/// What a release that has begun does.
const RELEASED: &str = "the traffic goes back to the target, then the canary is deleted";

impl Plan<'_> {
    /// Begins a release: the Canary is deleted under its finalizer. Said once that is so: it may be refused.
    pub fn release(&mut self, request: &Request) {
        self.push(Effect::DeleteCanary { request: request.id.clone() });
        self.carried_out(request, RELEASED);
    }

    /// Deletion was asked for, and the finalizer waits for this.
    pub fn terminate(&mut self) {
        let facts = self.facts;
        if facts.status.phase != Phase::Terminating {
            self.synced(format!("Terminating canary {}.{}", facts.name, facts.namespace));
            match &facts.request {
                // By whoever died before it could say so.
                Some(Ok(request)) if request.verb == Verb::Release => self.settle(request, RELEASED),
                _ => self.refuse_any(&format!("{} is being deleted", facts.name)),
            }
            if facts.target.is_some() && facts.primary_serves() && facts.live_weight() > 0 {
                self.route_weight(0, None);
            }
            return self.status(|status| {
                status.phase = Phase::Terminating;
                status.canary_weight = 0;
            });
        }
        let (Some(target), Some(primary)) = (&facts.target, &facts.primary) else {
            // There is nothing to give back, or nobody to give it to.
            return self.let_go();
        };
        let serving = facts.status.last_promoted.clone();
        let bears_it = serving.is_none() || facts.revision.as_ref().map(|r| &r.hash) == serving.as_ref();
        let replicas = primary.desired.max(1);
        if !bears_it {
            if self.known_revision().is_none() {
                // What it bears is not known, so it gets no traffic.
                return;
            }
            self.event(
                false,
                "Returning",
                format!(
                    "{}.{} gets the promoted version back: it bears one that was not promoted",
                    facts.spec.target, facts.namespace
                ),
            );
            return self.push(Effect::ReturnTarget { hash: serving.unwrap_or_default(), replicas });
        }
        if target.desired == 0 {
            return self.push(Effect::ScaleTarget { replicas, request: None });
        }
        match facts.judged(target, 100) {
            Readiness::Ready => {}
            Readiness::Waiting(why) | Readiness::Expired(why) => {
                return self.waiting("Synced", format!("{}.{} not ready: {why}", facts.spec.target, facts.namespace));
            }
        }
        self.let_go();
    }

    fn let_go(&mut self) {
        let facts = self.facts;
        if facts.target.is_some() {
            self.push(Effect::HandBack);
        }
        self.synced(format!("Terminated canary {}.{}", facts.name, facts.namespace));
        self.push(Effect::SetFinalizer(false));
    }
}
