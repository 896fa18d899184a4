//! The cookies that keep users with the version that answered first.
//!
//! Flagger draws them by lot; here they are computed of what they are for, so that a step that is repeated after a crash
//! writes the very same ones.

use super::decide::Plan;
use crate::api::status::Cookies;
use sha2::{Digest, Sha256};

/// Letters of a cookie's value, as many as Flagger's.
const LETTERS: usize = 10;

impl Plan<'_> {
    /// The cookies that go with this weight of the canary.
    pub fn cookies(&self, weight: u8) -> Cookies {
        let facts = self.facts;
        let present = &facts.status.cookies;
        let Some(affinity) = &facts.spec.analysis.affinity else { return present.clone() };
        if weight == 0 {
            let previous = present.canary.clone().or_else(|| present.previous.clone());
            return Cookies { canary: None, primary: None, previous };
        }
        let of = |name: &str, present: &Option<String>| {
            let kept = present.clone().filter(|cookie| cookie.starts_with(&format!("{name}=")));
            (!name.is_empty()).then(|| kept.unwrap_or_else(|| format!("{name}={}", self.letters(name))))
        };
        Cookies {
            canary: of(&affinity.cookie, &present.canary),
            primary: of(&affinity.primary_cookie, &present.primary),
            previous: present.previous.clone(),
        }
    }

    fn letters(&self, name: &str) -> String {
        let facts = self.facts;
        let revision = facts.applied().map(|revision| revision.to_string()).unwrap_or_default();
        // The attempt is a part of it: a revision that is tried again has new cookies.
        let before = facts.status.cookies.previous.as_deref().unwrap_or("");
        let digest = Sha256::digest(format!("{}\0{revision}\0{name}\0{before}", facts.uid));
        digest.iter().take(LETTERS).map(|byte| char::from(b'a' + byte % 26)).collect()
    }
}
