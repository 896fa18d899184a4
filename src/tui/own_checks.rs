//! The checks by a Canary's own queries, or by a template's: their limits, and what the queries answer.
//!
//! Such a query is one Canary's alone, so only the selected canary's are asked, and only while its rollout is under
//! way: what the screen costs must not grow with the number of canaries.

use super::message::{Msg, Teller};
use super::row::Key;
use super::source::Pace;
use super::text::bounded;
use super::worlds::Worlds;
use crate::api::Spec;
use crate::metrics::{Locator, reader};
use crate::rollout::Reading;
use futures::future::join_all;
use tokio::sync::watch;

/// A check by a query of the Canary's own. Its name is as it came, but bounded.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnCheck {
    pub name: String,
    /// Lowest value that passes.
    pub min: Option<f64>,
    /// Highest value that passes.
    pub max: Option<f64>,
}

impl OwnCheck {
    /// The checks of a spec, in its order.
    pub fn of(spec: &Spec) -> Vec<Self> {
        let own = spec.analysis.checks.iter().filter(|check| check.kind.is_own());
        own.map(|check| Self { name: bounded(&check.name), min: check.min, max: check.max }).collect()
    }

    /// Whether a value passes.
    pub fn passes(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

/// What the own checks of one canary read, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    pub canary: Key,
    pub checks: Vec<(OwnCheck, Reading)>,
}

impl Judged {
    /// The reading of a canary's check at its place; None while it is not known.
    pub fn reading(&self, canary: &Key, place: usize, check: &OwnCheck) -> Option<&Reading> {
        let (of, reading) = self.checks.get(place)?;
        (self.canary == *canary && of == check).then_some(reading)
    }
}

/// Asks again and again.
pub struct Judging {
    pub told: Teller,
    pub locator: Locator,
    pub worlds: Worlds,
    pub pace: watch::Receiver<Pace>,
    /// The selected canary's target.
    pub selected: watch::Receiver<Option<Key>>,
}

impl Judging {
    /// Runs until nobody listens.
    pub async fn run(mut self) {
        loop {
            let step = self.pace.borrow_and_update().step;
            let target = self.selected.borrow_and_update().clone();
            if let Some(judged) = self.judge(target.as_ref()).await
                && self.told.send(Msg::Judged(judged)).is_err()
            {
                return;
            }
            let changed = tokio::select! {
                () = tokio::time::sleep(step) => Ok(()),
                changed = self.pace.changed() => changed,
                changed = self.selected.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// What the selected canary's own checks read; None where it has none, or none that count now.
    async fn judge(&self, target: Option<&Key>) -> Option<Judged> {
        let (canary, namespace, spec) = {
            let mirror = self.worlds.of(&target?.namespace)?;
            let world = mirror.read();
            let under_way = world.gists().filter(|(_, gist)| gist.under_way);
            let mut canaries = under_way.filter_map(|(name, _)| world.canary(name));
            canaries.find_map(|canary| {
                let spec = canary.spec.as_ref().ok()?;
                let meant =
                    target.is_some_and(|target| target.name == spec.target && target.namespace == canary.namespace);
                meant.then(|| (canary.name.clone(), canary.namespace.clone(), spec.clone()))
            })?
        };
        let locator = match self.worlds.are_all() {
            true => self.locator.of(&namespace),
            false => self.locator.clone(),
        };
        let own = spec.analysis.checks.iter().enumerate().filter(|(_, check)| check.kind.is_own());
        let readings = own.map(|(place, _)| reader::read(&locator, &spec, &canary, &namespace, place));
        let readings = join_all(readings).await;
        if readings.is_empty() {
            return None;
        }
        Some(Judged {
            canary: Key { namespace, name: canary },
            checks: OwnCheck::of(&spec).into_iter().zip(readings).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_counts_for_the_check_that_it_was_asked_for() {
        let check = OwnCheck { name: "errors".into(), min: Some(1.0), max: Some(2.0) };
        let judged = Judged { canary: Key::new("prod", "app"), checks: vec![(check.clone(), Reading::Value(1.5))] };
        assert_eq!(judged.reading(&Key::new("prod", "app"), 0, &check), Some(&Reading::Value(1.5)));
        assert_eq!(judged.reading(&Key::new("other", "app"), 0, &check), None);
        assert_eq!(judged.reading(&Key::new("prod", "app"), 1, &check), None);
        let changed = OwnCheck { max: Some(1.0), ..check.clone() };
        assert_eq!(judged.reading(&Key::new("prod", "app"), 0, &changed), None);
        for (value, passes) in [(0.9, false), (1.0, true), (2.0, true), (2.1, false), (f64::INFINITY, false)] {
            assert_eq!(check.passes(value), passes, "{value}");
        }
    }
}
