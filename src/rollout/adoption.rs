//! Taking over from a Flagger whose hashes are not the cluster's: no rollout is lost for it, and none begins for nothing.

use super::decide::Plan;
use crate::api::Phase;

impl Plan<'_> {
    /// Whether the revision last taken into account is another tool's name for something.
    fn is_foreign(&self) -> bool {
        let facts = self.facts;
        facts.status.last_applied.is_some() && !facts.applied_is_ours && facts.revision.is_some()
    }

    /// Between rollouts: what the primary bears is held against the target. Answers whether that was all for now.
    pub fn adopt_at_rest(&mut self) -> bool {
        let facts = self.facts;
        if !self.is_foreign() {
            return false;
        }
        let Some(revision) = facts.revision.clone() else { return false };
        match (facts.primary_like_target, facts.status.phase) {
            (Some(true), _) => {
                self.say_foreign("it is what the primary serves");
                self.status(|status| {
                    status.last_promoted = Some(revision.hash.clone());
                    status.apply(&revision);
                });
                true
            }
            // What differs from the primary after a failure is what failed: to try it again takes a request.
            (Some(false), Phase::Failed) => {
                self.say_foreign("it is taken for the revision that failed; canary-tui start tries it again");
                self.status(|status| status.apply(&revision));
                true
            }
            (Some(false), _) => false,
            (None, _) => true,
        }
    }

    /// In the middle of a rollout: where routes and configuration are what the status says, the rollout goes on.
    pub fn adopt_mid_rollout(&mut self) -> bool {
        let facts = self.facts;
        if !self.is_foreign() {
            return false;
        }
        let Some(revision) = facts.revision.clone() else { return false };
        let tracked = facts.status.tracked_configs.clone().unwrap_or_default();
        let (live, weight) = (facts.live_weight(), facts.status.canary_weight);
        // Flagger shows no weight while it waits for the promotion, and where it counts iterations.
        let agrees = live == weight
            || weight == 0 && (facts.status.phase == Phase::WaitingPromotion || facts.status.iterations > 0);
        if !agrees || tracked != revision.configs {
            return false;
        }
        self.say_foreign("the rollout goes on where it is");
        self.status(|status| status.apply(&revision));
        true
    }

    fn say_foreign(&mut self, what: &str) {
        let facts = self.facts;
        let applied = facts.status.last_applied.clone().unwrap_or_default();
        self.event(
            false,
            "RevisionAdopted",
            format!(
                "{applied} is another tool's name for the revision of {}.{}: {what}. Handing back to that tool will start \
                 a rollout",
                facts.spec.target, facts.namespace
            ),
        );
    }
}
