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
/// How long after a slot's beginning a check is still made in it: what Prometheus said at the beginning is younger than a
/// second then. It is most of the shortest slot: many canaries of a slot must not all be due at its first instant.
const OPEN: i64 = 800_000_000;

/// When the next check is due: one interval after the last status write, which every step and every check ends with, or
/// when the next slot begins. None before the first status. A restarted driver goes on at the same time.
pub fn next_check(status: &Status, interval: Duration) -> Option<DateTime<Utc>> {
    let after = chrono::Duration::from_std(interval).ok()?;
    Some(slotted(status.last_transition?.checked_add_signed(after)?, interval))
}

/// How long after the last status write the next check is due at the latest.
pub fn longest_wait(interval: Duration) -> Duration {
    if interval < LEAST_SLOTTED { interval } else { interval.saturating_add(interval / SLOTS as u32) }
}

/// When a check is made that is due at `due`: then, where a slot is open, and else at the beginning of the next. Slots are
/// counted from 1970 on, so that all canaries with the same interval have the same.
fn slotted(due: DateTime<Utc>, interval: Duration) -> DateTime<Utc> {
    let slot = i64::try_from(interval.as_nanos()).map_or(0, |interval| interval / SLOTS);
    // Times that no clock shows are left as they are.
    let Some(nanos) = due.timestamp_nanos_opt().filter(|_| interval >= LEAST_SLOTTED && slot > 0) else { return due };
    let behind = nanos.rem_euclid(slot);
    let wait = if behind <= OPEN { 0 } else { slot - behind };
    due.checked_add_signed(chrono::Duration::nanoseconds(wait)).unwrap_or(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due(last_ms: i64, interval: Duration) -> i64 {
        let last_transition = DateTime::from_timestamp_millis(last_ms);
        next_check(&Status { last_transition, ..Default::default() }, interval).unwrap().timestamp_millis()
    }

    #[test]
    fn a_check_is_due_in_a_slot() {
        const HOUR: i64 = 1_800_000_000_000;
        for (interval, late, wanted) in [
            (10, 0, 10_000),
            (10, 499, 10_499),
            (10, 800, 10_800),
            (10, 801, 11_000),
            (10, 999, 11_000),
            (60, 0, 60_000),
            (60, 400, 60_400),
            (60, 900, 66_000),
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
        fn no_check_is_early_nor_late_by_more_than_a_slot(
            last in 1_600_000_000_000_i64..2_000_000_000_000, seconds in 1_u64..4000,
        ) {
            let interval = Duration::from_secs(seconds);
            let waited = due(last, interval) - last;
            prop_assert!(waited >= interval.as_millis() as i64);
            prop_assert!(waited <= longest_wait(interval).as_millis() as i64);
        }

        #[test]
        fn an_interval_has_ten_slots_at_most(
            lasts in prop::collection::vec(1_600_000_000_000_i64..2_000_000_000_000, 200), seconds in 1_u64..400,
        ) {
            // The slots of an interval that no ten go into evenly are cut elsewhere each time.
            let interval = Duration::from_secs(seconds * 10);
            let slot = interval.as_millis() as i64 / 10;
            for last in lasts {
                prop_assert!(due(last, interval).rem_euclid(slot) <= OPEN / 1_000_000);
            }
        }

        #[test]
        fn a_chain_of_checks_slips_by_no_more_than_it_is_late_and_a_slot_now_and_then(
            first in 1_600_000_000_000_i64..2_000_000_000_000, seconds in 10_u64..4000,
            late in prop::collection::vec(0_i64..=40, 100),
        ) {
            let interval = Duration::from_secs(seconds);
            let begin = due(first, interval);
            let end = late.iter().fold(begin, |at, late| due(at + late, interval));
            let slipped = end - begin - 100 * interval.as_millis() as i64;
            let slot = interval.as_millis() as i64 / 10;
            let late: i64 = late.iter().sum();
            // Each slot that is left behind is one that was open this long.
            prop_assert!(slipped >= late && slipped <= (late / (OPEN / 1_000_000) + 2) * slot, "{slipped} {late}");
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
