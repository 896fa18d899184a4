//! Whether a Deployment has what it was asked for, as `kubectl rollout status` and Flagger judge it.

use super::Workload;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// How a workload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Not ready yet; the text says what is missing.
    Waiting(String),
    /// Not ready, and past its deadline.
    Expired(String),
}

/// Judges a workload, of whose updated pods `threshold` percent must be available, and one at least. `deadline` is the
/// Canary's `progressDeadlineSeconds`; it counts from when pods were missing, and not from before `since`, when what is
/// judged began: the deadline of one revision is not the next one's. Unlike Flagger's, a workload that is scaled to zero is
/// not ready: it serves nobody.
pub fn readiness(
    workload: &Workload,
    threshold: u8,
    deadline: Duration,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Readiness {
    const WAITING: &str = "waiting for rollout to finish:";
    let Workload { desired, replicas, updated, available, .. } = *workload;
    if workload.observed_generation < workload.generation {
        return Readiness::Waiting(format!("{WAITING} observed deployment generation less than desired generation"));
    }
    if workload.deadline_exceeded {
        return Readiness::Expired(format!("deployment {:?} exceeded its progress deadline", workload.name));
    }
    let required = ((u64::from(updated) * u64::from(threshold) / 100) as u32).max(1);
    let missing = if desired == 0 {
        format!("{WAITING} it is scaled to zero")
    } else if updated < desired {
        format!("{WAITING} {updated} out of {desired} new replicas have been updated")
    } else if replicas > updated {
        format!("{WAITING} {} old replicas are pending termination", replicas - updated)
    } else if available < required {
        format!("{WAITING} {available} of {required} (readyThreshold {threshold}%) updated replicas are available")
    } else {
        return Readiness::Ready;
    };
    match expires(workload, deadline, since) {
        Some(end) if end < now => Readiness::Expired(missing),
        _ => Readiness::Waiting(missing),
    }
}

/// When a workload that lacks pods is past its deadline.
pub fn expires(workload: &Workload, deadline: Duration, since: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let missing = workload.unavailable_since?;
    let counted = since.map_or(missing, |since| since.max(missing));
    counted.checked_add_signed(chrono::Duration::from_std(deadline).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Workload {
        Workload { name: "app".into(), desired: 2, replicas: 2, updated: 2, available: 2, ..Default::default() }
    }

    fn judged(workload: &Workload) -> Readiness {
        readiness(workload, 100, Duration::from_secs(60), None, DateTime::UNIX_EPOCH + chrono::Duration::seconds(1000))
    }

    #[test]
    fn every_gap_is_named() {
        assert_eq!(judged(&workload()), Readiness::Ready);
        let cases = [
            (Workload { generation: 2, observed_generation: 1, ..workload() }, "generation"),
            (Workload { updated: 1, ..workload() }, "1 out of 2"),
            (Workload { replicas: 3, ..workload() }, "1 old replicas"),
            (Workload { available: 1, ..workload() }, "1 of 2 (readyThreshold 100%)"),
            (Workload { desired: 0, replicas: 0, updated: 0, available: 0, ..workload() }, "scaled to zero"),
        ];
        for (workload, part) in cases {
            let Readiness::Waiting(text) = judged(&workload) else { panic!("{part}: not waiting") };
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_deadline_counts_from_when_pods_were_missing() {
        let at = |seconds| Some(DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds));
        let waiting = Workload { available: 0, unavailable_since: at(940), ..workload() };
        assert!(matches!(judged(&waiting), Readiness::Waiting(_)));
        let expired = Workload { unavailable_since: at(939), ..waiting };
        assert!(matches!(judged(&expired), Readiness::Expired(_)));
        let now = DateTime::UNIX_EPOCH + chrono::Duration::seconds(1000);
        let later = readiness(&expired, 100, Duration::from_secs(60), at(990), now);
        assert!(matches!(later, Readiness::Waiting(_)), "another revision has its own deadline");
        assert!(matches!(judged(&Workload { deadline_exceeded: true, ..workload() }), Readiness::Expired(_)));
    }

    #[test]
    fn a_part_of_the_pods_is_enough_where_the_canary_says_so_but_never_none() {
        let some = |available| Workload { desired: 5, replicas: 5, updated: 5, available, ..workload() };
        let judged = |available, threshold| {
            readiness(&some(available), threshold, Duration::from_secs(60), None, DateTime::UNIX_EPOCH)
        };
        assert_eq!((judged(3, 60), judged(1, 0)), (Readiness::Ready, Readiness::Ready));
        assert!(matches!(judged(2, 60), Readiness::Waiting(why) if why.contains("2 of 3 (readyThreshold 60%)")));
        assert!(matches!(judged(0, 0), Readiness::Waiting(why) if why.contains("0 of 1 (readyThreshold 0%)")));
    }
}
