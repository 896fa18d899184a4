//! The weights that a rollout passes, and when the next check is due.

use crate::api::{Analysis, Status};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The weight after `weight`: one step more, at most 100.
pub fn next_weight(analysis: &Analysis, weight: u8) -> u8 {
    weight.saturating_add(analysis.step_weight.max(1)).min(100)
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
            max_weight: max,
            step_weight: step,
            checks: Vec::new(),
            queries: Default::default(),
        }
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
