//! The weights that a rollout passes, and when the next check is due.

use crate::api::{Analysis, Status};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The weight after `weight`: one step more, at most 100. Of weights that are named, the next larger one, from whatever
/// weight the routes were set to by hand.
pub fn next_weight(analysis: &Analysis, weight: u8) -> u8 {
    if analysis.step_weights.is_empty() {
        return weight.saturating_add(analysis.step_weight.max(1)).min(100);
    }
    analysis.step_weights.iter().copied().find(|step| *step > weight).unwrap_or(100)
}

/// The canary's weight after one step back towards the promoted primary: 0 where all goes back at once.
pub fn weight_back(analysis: &Analysis, weight: u8) -> u8 {
    match analysis.step_weight_promotion {
        0 => 0,
        step => weight.saturating_sub(step),
    }
}

/// All weights from the first step to the one from which the canary is promoted: the first that reaches `maxWeight`.
pub fn steps(analysis: &Analysis) -> Vec<u8> {
    let mut steps = vec![next_weight(analysis, 0)];
    while let Some(&last) = steps.last() {
        if last >= analysis.max_weight {
            break;
        }
        steps.push(next_weight(analysis, last));
    }
    steps
}

/// When the next check is due: one interval after the last status write, which every step and every check ends with.
/// None before the first status. A restarted driver goes on at the same time.
pub fn next_check(status: &Status, interval: Duration) -> Option<DateTime<Utc>> {
    let interval = chrono::Duration::from_std(interval).ok()?;
    status.last_transition?.checked_add_signed(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysis(step: u8, max: u8) -> Analysis {
        Analysis {
            interval: Duration::from_secs(10),
            threshold: 5,
            iterations: 0,
            matches: Vec::new(),
            mirror: false,
            mirror_weight: 0,
            affinity: None,
            max_weight: max,
            step_weight: step,
            step_weights: Vec::new(),
            step_weight_promotion: 0,
            primary_ready_threshold: 100,
            canary_ready_threshold: 100,
            checks: Vec::new(),
            queries: Default::default(),
            webhooks: Vec::new(),
            alerts: Vec::new(),
        }
    }

    #[test]
    fn named_weights_are_taken_in_their_order_from_wherever_the_weight_is() {
        let named = Analysis { step_weights: vec![1, 2, 10, 80], ..analysis(0, 80) };
        assert_eq!(steps(&named), [1, 2, 10, 80]);
        assert_eq!([0, 5, 10, 80].map(|weight| next_weight(&named, weight)), [1, 10, 80, 100]);
    }

    #[test]
    fn the_way_back_is_taken_at_once_or_by_steps() {
        assert_eq!(weight_back(&analysis(10, 50), 50), 0);
        let gentle = Analysis { step_weight_promotion: 20, ..analysis(10, 50) };
        assert_eq!([50, 30, 10].map(|weight| weight_back(&gentle, weight)), [30, 10, 0]);
    }

    #[test]
    fn the_steps_are_flaggers() {
        assert_eq!(steps(&analysis(10, 50)), [10, 20, 30, 40, 50]);
        assert_eq!(steps(&analysis(20, 50)), [20, 40, 60]);
        assert_eq!(steps(&analysis(100, 100)), [100]);
        assert_eq!(steps(&analysis(60, 100)), [60, 100]);
        assert_eq!(steps(&analysis(50, 10)), [50]);
    }
}
