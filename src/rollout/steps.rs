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

/// Checks of one interval are made at this many moments, whatever the number of canaries: those that are due at the same
/// moment share their queries.
const SLOTS: i64 = 10;
/// Intervals from this on have slots.
const LEAST_SLOTTED: Duration = Duration::from_secs(10);
/// What lies so little behind a slot's beginning belongs to it: the time from the check that was due then to the status
/// that records it. Longer, and a rollout would slip a slot at each step; it is half of the shortest slot.
const TOLERANCE: i64 = 500_000_000;

/// When the next check is due: one interval after the last status write, which every step and every check ends with, at
/// the beginning of a slot. None before the first status. A restarted driver goes on at the same time.
pub fn next_check(status: &Status, interval: Duration) -> Option<DateTime<Utc>> {
    let after = chrono::Duration::from_std(interval).ok()?;
    Some(slotted(status.last_transition?.checked_add_signed(after)?, interval))
}

/// How long after the last status write the next check is due at the latest.
pub fn longest_wait(interval: Duration) -> Duration {
    if interval < LEAST_SLOTTED { interval } else { interval.saturating_add(interval / SLOTS as u32) }
}

/// The beginning of the slot in which a check that is due at `due` is made: the next one, or one that has just begun.
/// Slots are counted from 1970 on, so that all canaries with the same interval have the same.
fn slotted(due: DateTime<Utc>, interval: Duration) -> DateTime<Utc> {
    let slot = i64::try_from(interval.as_nanos()).map_or(0, |interval| interval / SLOTS);
    // Times that no clock shows are left as they are.
    let Some(nanos) = due.timestamp_nanos_opt().filter(|_| interval >= LEAST_SLOTTED && slot > 0) else { return due };
    let behind = nanos.rem_euclid(slot);
    let moved = if behind <= TOLERANCE { -behind } else { slot - behind };
    due.checked_add_signed(chrono::Duration::nanoseconds(moved)).unwrap_or(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn due(last_ms: i64, interval: Duration) -> i64 {
        let last_transition = DateTime::from_timestamp_millis(last_ms);
        next_check(&Status { last_transition, ..Default::default() }, interval).unwrap().timestamp_millis()
    }

    #[test]
    fn a_check_is_due_at_the_beginning_of_a_slot() {
        const HOUR: i64 = 1_800_000_000_000;
        for (interval, late, wanted) in [
            (10, 0, 10_000),
            (10, 499, 10_000),
            (10, 500, 10_000),
            (10, 501, 11_000),
            (10, 999, 11_000),
            (60, 0, 60_000),
            (60, 400, 60_000),
            (60, 600, 66_000),
            (60, 5_999, 66_000),
            // No slots: tests lower the interval.
            (9, 777, 9_777),
        ] {
            let interval = Duration::from_secs(interval);
            assert_eq!(due(HOUR + late, interval) - HOUR, wanted, "{interval:?} {late}");
        }
        assert_eq!(next_check(&Status::default(), Duration::from_secs(10)), None);
    }

    #[test]
    fn times_that_no_clock_shows_are_no_panic() {
        for last in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let status = Status { last_transition: Some(last), ..Default::default() };
            for interval in [Duration::ZERO, Duration::from_secs(10), Duration::from_secs(1 << 40), Duration::MAX] {
                next_check(&status, interval);
                longest_wait(interval);
            }
        }
    }

    proptest! {
        #[test]
        fn no_check_is_early_by_more_than_the_tolerance_nor_late_by_more_than_a_slot(
            last in 1_600_000_000_000_i64..2_000_000_000_000, seconds in 1_u64..4000,
        ) {
            let interval = Duration::from_secs(seconds);
            let waited = due(last, interval) - last;
            prop_assert!(waited >= interval.as_millis() as i64 - TOLERANCE / 1_000_000);
            prop_assert!(waited <= longest_wait(interval).as_millis() as i64);
        }

        #[test]
        fn an_interval_has_ten_moments_at_most(
            lasts in prop::collection::vec(1_600_000_000_000_i64..2_000_000_000_000, 200), seconds in 10_u64..4000,
        ) {
            let interval = Duration::from_secs(seconds);
            let phases: BTreeSet<i64> =
                lasts.iter().map(|last| due(*last, interval).rem_euclid(interval.as_millis() as i64)).collect();
            prop_assert!(phases.len() <= 10, "{phases:?}");
        }

        #[test]
        fn a_chain_of_checks_keeps_its_slot(
            first in 1_600_000_000_000_i64..2_000_000_000_000, seconds in 10_u64..4000,
            late in prop::collection::vec(0_i64..=400, 100),
        ) {
            let interval = Duration::from_secs(seconds);
            let begin = due(first, interval);
            let end = late.iter().fold(begin, |at, late| due(at + late, interval));
            prop_assert_eq!(end - begin, 100 * interval.as_millis() as i64);
        }
    }

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
            templates: Default::default(),
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
