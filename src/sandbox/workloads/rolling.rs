//! The arithmetic of a rolling update: how many pods may come, and how many may go.

use serde_json::Value;

/// How far a rolling update may stray from the wanted number of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many more pods may there be.
    pub surge: i64,
    /// So many fewer may be available.
    pub unavailable: i64,
}

impl Limits {
    /// The limits of a Deployment: none for `Recreate`, else numbers or percentages of the replicas.
    pub fn of(deployment: &Value, replicas: i64) -> Self {
        let strategy = &deployment["spec"]["strategy"];
        if strategy["type"] == "Recreate" {
            return Self { surge: 0, unavailable: replicas };
        }
        let rolling = &strategy["rollingUpdate"];
        let surge = resolve(&rolling["maxSurge"], replicas, true);
        let mut unavailable = resolve(&rolling["maxUnavailable"], replicas, false);
        if surge == 0 && unavailable == 0 {
            // Else nothing could ever move.
            unavailable = 1;
        }
        Self { surge, unavailable: unavailable.min(replicas) }
    }
}

/// A number, or a percentage of the replicas rounded up or down; 25 % where it is neither.
fn resolve(value: &Value, replicas: i64, up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number.max(0);
    }
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<i64>().ok());
    let percent = percent.unwrap_or(25).clamp(0, 1000);
    (percent * replicas + if up { 99 } else { 0 }) / 100
}

/// What is known of one ReplicaSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Pods that it is told to have.
    pub wanted: i64,
    /// Pods of it that serve.
    pub available: i64,
}

/// How many pods the new ReplicaSet is to have. `total` is what all ReplicaSets are told to have, it included.
pub fn grow(replicas: i64, limits: Limits, new: Counts, total: i64) -> i64 {
    if new.wanted >= replicas {
        return replicas;
    }
    let room = (replicas + limits.surge - total).max(0);
    (new.wanted + room).min(replicas)
}

/// How many pods each old ReplicaSet is to have, the oldest first.
pub fn shrink(replicas: i64, limits: Limits, new: Counts, old: &[Counts]) -> Vec<i64> {
    let mut wanted: Vec<i64> = old.iter().map(|counts| counts.wanted).collect();
    let least = replicas - limits.unavailable;
    let all: i64 = new.wanted + wanted.iter().sum::<i64>();
    let mut may_go = all - least - (new.wanted - new.available).max(0);
    if may_go <= 0 {
        return wanted;
    }
    // Pods that do not serve anyway go first.
    for (wanted, counts) in wanted.iter_mut().zip(old) {
        let go = (counts.wanted - counts.available).clamp(0, may_go);
        *wanted -= go;
        may_go -= go;
    }
    let available: i64 = new.available + old.iter().map(|counts| counts.available).sum::<i64>();
    let mut may_go = may_go.min(available - least).max(0);
    for wanted in &mut wanted {
        let go = (*wanted).min(may_go);
        *wanted -= go;
        may_go -= go;
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits(surge: Value, unavailable: Value, replicas: i64) -> Limits {
        let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
        Limits::of(&json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}), replicas)
    }

    fn counts(wanted: i64, available: i64) -> Counts {
        Counts { wanted, available }
    }

    #[test]
    fn percentages_round_away_from_harm() {
        assert_eq!(limits(json!("25%"), json!("25%"), 3), Limits { surge: 1, unavailable: 0 });
        assert_eq!(limits(json!("25%"), json!("25%"), 10), Limits { surge: 3, unavailable: 2 });
        assert_eq!(limits(json!(0), json!(0), 3), Limits { surge: 0, unavailable: 1 });
        assert_eq!(limits(json!("nonsense"), json!(-4), 4), Limits { surge: 1, unavailable: 0 });
    }

    #[test]
    fn three_pods_are_replaced_one_by_one_and_three_always_serve() {
        let limits = limits(json!("25%"), json!("25%"), 3);
        assert_eq!(grow(3, limits, counts(0, 0), 3), 1);
        assert_eq!(shrink(3, limits, counts(1, 0), &[counts(3, 3)]), [3]);
        assert_eq!(shrink(3, limits, counts(1, 1), &[counts(3, 3)]), [2]);
        assert_eq!(grow(3, limits, counts(1, 1), 3), 2);
        assert_eq!(shrink(3, limits, counts(3, 3), &[counts(1, 1)]), [0]);
    }

    #[test]
    fn what_does_not_serve_goes_first() {
        let limits = limits(json!(1), json!(1), 3);
        // Two thirds of the old set are broken; the new one has a pod that is not ready yet.
        assert_eq!(shrink(3, limits, counts(1, 0), &[counts(3, 1)]), [2]);
        assert_eq!(shrink(3, limits, counts(3, 3), &[counts(1, 0), counts(1, 1)]), [0, 0]);
    }

    #[test]
    fn scaling_down_is_at_once() {
        assert_eq!(grow(0, Limits { surge: 1, unavailable: 0 }, counts(3, 3), 3), 0);
    }
}
