//! The Canary's status: Flagger's fields, its phases, and the one condition that `kubectl wait` relies on.

use super::revision::{Configs, Revision};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::fmt;

/// `status.phase`, with Flagger's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// No status yet.
    #[default]
    New,
    Initializing,
    Initialized,
    Waiting,
    Progressing,
    WaitingPromotion,
    Promoting,
    Finalising,
    Succeeded,
    Failed,
    Terminating,
    Terminated,
    /// A name that we do not know: such a Canary is not driven.
    Unknown,
}

impl Phase {
    const NAMED: [(Phase, &'static str); 11] = [
        (Phase::Initializing, "Initializing"),
        (Phase::Initialized, "Initialized"),
        (Phase::Waiting, "Waiting"),
        (Phase::Progressing, "Progressing"),
        (Phase::WaitingPromotion, "WaitingPromotion"),
        (Phase::Promoting, "Promoting"),
        (Phase::Finalising, "Finalising"),
        (Phase::Succeeded, "Succeeded"),
        (Phase::Failed, "Failed"),
        (Phase::Terminating, "Terminating"),
        (Phase::Terminated, "Terminated"),
    ];

    /// The phase of that name.
    pub fn from_name(name: &str) -> Self {
        if name.is_empty() {
            return Phase::New;
        }
        Self::NAMED.iter().find(|(_, n)| *n == name).map_or(Phase::Unknown, |(phase, _)| *phase)
    }

    /// The name as it stands in `status.phase`; empty for [`Phase::New`].
    pub fn name(self) -> &'static str {
        match self {
            Phase::New => "",
            Phase::Unknown => "Unknown",
            _ => Self::NAMED.iter().find(|(phase, _)| *phase == self).map_or("", |(_, name)| name),
        }
    }

    /// Whether a rollout is under way: detected, and neither Succeeded nor Failed.
    pub fn under_way(self) -> bool {
        matches!(
            self,
            Phase::Waiting | Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising
        )
    }

    /// Whether no rollout is under way and a new revision would start one.
    pub fn at_rest(self) -> bool {
        matches!(self, Phase::Initialized | Phase::Succeeded | Phase::Failed)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What `status` says, reduced to what we decide on. Fields that we do not know stay on the object: status is
/// patched, never rewritten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub phase: Phase,
    /// Failed checks of the rollout. Kept after a rollback, unlike Flagger's, so that the count can be read.
    pub failed_checks: u32,
    /// Percent of traffic last written; the routes have the truth.
    pub canary_weight: u8,
    /// Checks passed of a rollout that goes by iterations. Flagger writes -1 at times: that is none.
    pub iterations: u32,
    /// Checksums of the ConfigMaps and Secrets of the revision last taken into account; None where none were tracked.
    pub tracked_configs: Option<Configs>,
    /// Session affinity's cookies, as `name=value`.
    pub cookies: Cookies,
    /// Revision last taken into account.
    pub last_applied: Option<String>,
    /// Revision that the primary serves.
    pub last_promoted: Option<String>,
    /// When the status was last written; the next check is due one interval later.
    pub last_transition: Option<DateTime<Utc>>,
    /// When the `Promoted` condition last changed its value.
    pub condition_since: Option<DateTime<Utc>>,
    /// `status` of the `Promoted` condition as it stands.
    pub condition: Option<String>,
}

/// The cookies that keep users with the version that answered first, as `name=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// Of the rollout under way, to the canary.
    pub canary: Option<String>,
    /// Of the rollout under way, to the primary.
    pub primary: Option<String>,
    /// Of the rollout before: browsers are told to forget it.
    pub previous: Option<String>,
}

impl Status {
    /// The revision last taken into account.
    pub fn applied(&self) -> Option<Revision> {
        let configs = self.tracked_configs.clone().unwrap_or_default();
        self.last_applied.clone().map(|hash| Revision { hash, configs })
    }

    /// Whether a revision's name may be that of the one promoted last, of which only the template's hash is recorded.
    pub fn names_promoted(&self, name: &str) -> bool {
        let rest = self.last_promoted.as_ref().and_then(|hash| name.strip_prefix(hash.as_str()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// Takes a revision into account.
    pub fn apply(&mut self, revision: &Revision) {
        self.last_applied = Some(revision.hash.clone());
        self.tracked_configs = Some(&revision.configs).filter(|configs| !configs.is_empty()).cloned();
    }

    /// Reads a status; what is missing or of a wrong type counts as not there.
    pub fn read(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_string);
        let count = |key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 1e9);
        let promoted = value
            .get("conditions")
            .and_then(Value::as_array)
            .and_then(|list| list.iter().find(|c| c.get("type").and_then(Value::as_str) == Some("Promoted")));
        let of_condition = |key: &str| promoted.and_then(|c| c.get(key)).and_then(Value::as_str);
        Self {
            phase: Phase::from_name(value.get("phase").and_then(Value::as_str).unwrap_or("")),
            failed_checks: count("failedChecks") as u32,
            canary_weight: count("canaryWeight").min(100.0) as u8,
            iterations: count("iterations") as u32,
            tracked_configs: value.get("trackedConfigs").and_then(Value::as_object).map(|map| {
                map.iter().filter_map(|(name, sum)| Some((name.clone(), sum.as_str()?.to_string()))).collect()
            }),
            cookies: Cookies {
                canary: text("sessionAffinityCookie"),
                primary: text("primarySessionAffinityCookie"),
                previous: text("previousSessionAffinityCookie"),
            },
            last_applied: text("lastAppliedSpec"),
            last_promoted: text("lastPromotedSpec"),
            last_transition: text("lastTransitionTime").and_then(|t| time(&t)),
            condition_since: of_condition("lastTransitionTime").and_then(time),
            condition: of_condition("status").map(str::to_string),
        }
    }

    /// The merge patch that makes an object's status `before` this one. `lastTransitionTime` carries milliseconds: it is the
    /// anchor of the next check, and Go's RFC 3339 reader takes the fraction too.
    pub fn patch(&self, now: DateTime<Utc>, before: &Status) -> Value {
        let stamp = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut status = Map::new();
        status.insert("phase".into(), json!(self.phase.name()));
        status.insert("failedChecks".into(), json!(self.failed_checks));
        status.insert("canaryWeight".into(), json!(self.canary_weight));
        status.insert("iterations".into(), json!(self.iterations));
        status.insert("lastTransitionTime".into(), json!(stamp));
        for (key, value) in [("lastAppliedSpec", &self.last_applied), ("lastPromotedSpec", &self.last_promoted)] {
            if let Some(revision) = value {
                status.insert(key.into(), json!(revision));
            }
        }
        // What is there no more is taken away; what never was is not mentioned.
        match (&self.tracked_configs, &before.tracked_configs) {
            (None, None) => {}
            (None, Some(_)) => {
                status.insert("trackedConfigs".into(), Value::Null);
            }
            (Some(configs), before) => {
                let gone = before.iter().flatten().filter(|(name, _)| !configs.contains_key(*name));
                let mut map: Map<String, Value> = gone.map(|(name, _)| (name.clone(), Value::Null)).collect();
                map.extend(configs.iter().map(|(name, sum)| (name.clone(), json!(sum))));
                status.insert("trackedConfigs".into(), Value::Object(map));
            }
        }
        for (key, cookie, before) in [
            ("sessionAffinityCookie", &self.cookies.canary, &before.cookies.canary),
            ("primarySessionAffinityCookie", &self.cookies.primary, &before.cookies.primary),
            ("previousSessionAffinityCookie", &self.cookies.previous, &before.cookies.previous),
        ] {
            if cookie.is_some() || before.is_some() {
                status.insert(key.into(), json!(cookie));
            }
        }
        if let Some((value, message)) = self.promoted() {
            let since = match self.condition_since {
                Some(since) if self.condition.as_deref() == Some(value) => since,
                _ => now,
            };
            // Condition times are metav1.Time: whole seconds.
            let seconds = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Secs, true);
            status.insert(
                "conditions".into(),
                json!([{
                    "type": "Promoted",
                    "status": value,
                    "reason": self.phase.name(),
                    "message": message,
                    "lastUpdateTime": seconds(now),
                    "lastTransitionTime": seconds(since),
                }]),
            );
        }
        Value::Object(status)
    }

    /// Value and message of the `Promoted` condition in this phase (flagger's wording: pipelines match on it).
    fn promoted(&self) -> Option<(&'static str, &'static str)> {
        Some(match self.phase {
            Phase::Initializing => ("Unknown", "New Deployment detected, starting initialization."),
            Phase::Initialized => ("True", "Deployment initialization completed."),
            Phase::Waiting | Phase::WaitingPromotion => ("Unknown", "Waiting for approval."),
            Phase::Progressing => ("Unknown", "New revision detected, progressing canary analysis."),
            Phase::Promoting => ("Unknown", "Canary analysis completed, starting primary rolling update."),
            Phase::Finalising => ("Unknown", "Canary analysis completed, routing all traffic to primary."),
            Phase::Succeeded => ("True", "Canary analysis completed successfully, promotion finished."),
            Phase::Failed => ("False", "Canary analysis failed, Deployment scaled to zero."),
            Phase::Terminating => ("Unknown", "Terminating: the traffic goes back to the target."),
            Phase::New | Phase::Terminated | Phase::Unknown => return None,
        })
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_back_as_it_was_written() {
        let now = time("2026-11-22T10:00:00.250Z").unwrap();
        let written = Status {
            phase: Phase::Progressing,
            failed_checks: 2,
            canary_weight: 30,
            last_applied: Some("b57d6944".into()),
            last_promoted: Some("77576d4785".into()),
            ..Default::default()
        };
        let read = Status::read(&written.patch(now, &Status::default()));
        assert_eq!(read.last_transition, Some(now));
        assert_eq!((read.phase, read.failed_checks, read.canary_weight), (Phase::Progressing, 2, 30));
        assert_eq!((read.last_applied, read.last_promoted), (written.last_applied, written.last_promoted));
        assert_eq!(read.condition.as_deref(), Some("Unknown"));
    }

    #[test]
    fn what_is_tracked_no_more_is_taken_away() {
        let now = time("2026-11-22T10:00:00Z").unwrap();
        let configs = |names: &[&str]| Some(names.iter().map(|n| (n.to_string(), "1".to_string())).collect());
        let before = Status {
            tracked_configs: configs(&["configmap/a", "secret/b"]),
            cookies: Cookies { canary: Some("c=1".into()), ..Default::default() },
            ..Default::default()
        };
        let now_one = Status { tracked_configs: configs(&["configmap/a"]), ..Default::default() }.patch(now, &before);
        assert_eq!(now_one["trackedConfigs"], json!({"configmap/a": "1", "secret/b": null}));
        assert_eq!(now_one.get("sessionAffinityCookie"), Some(&Value::Null));
        let none = Status::default().patch(now, &Status::default());
        assert_eq!((none.get("trackedConfigs"), none.get("sessionAffinityCookie")), (None, None));
    }

    #[test]
    fn the_condition_keeps_its_time_while_its_value_stays() {
        let (then, now) = (time("2026-11-22T10:00:00Z").unwrap(), time("2026-11-22T10:01:00Z").unwrap());
        let status = Status {
            phase: Phase::Promoting,
            condition: Some("Unknown".into()),
            condition_since: Some(then),
            ..Default::default()
        };
        assert_eq!(
            status.patch(now, &Status::default())["conditions"][0]["lastTransitionTime"],
            "2026-11-22T10:00:00Z"
        );
        let ended = Status { phase: Phase::Succeeded, ..status };
        assert_eq!(ended.patch(now, &Status::default())["conditions"][0]["lastTransitionTime"], "2026-11-22T10:01:00Z");
    }

    #[test]
    fn the_condition_says_flaggers_words_in_every_phase() {
        for (phase, value, message) in [
            (Phase::Initializing, "Unknown", "New Deployment detected, starting initialization."),
            (Phase::Initialized, "True", "Deployment initialization completed."),
            (Phase::Waiting, "Unknown", "Waiting for approval."),
            (Phase::WaitingPromotion, "Unknown", "Waiting for approval."),
            (Phase::Progressing, "Unknown", "New revision detected, progressing canary analysis."),
            (Phase::Promoting, "Unknown", "Canary analysis completed, starting primary rolling update."),
            (Phase::Finalising, "Unknown", "Canary analysis completed, routing all traffic to primary."),
            (Phase::Succeeded, "True", "Canary analysis completed successfully, promotion finished."),
            (Phase::Failed, "False", "Canary analysis failed, Deployment scaled to zero."),
        ] {
            let written = Status { phase, ..Default::default() }.patch(DateTime::UNIX_EPOCH, &Status::default());
            assert_eq!(written["phase"], phase.name());
            let condition = &written["conditions"][0];
            assert_eq!((&condition["type"], &condition["reason"]), (&json!("Promoted"), &json!(phase.name())));
            assert_eq!((&condition["status"], &condition["message"]), (&json!(value), &json!(message)), "{phase}");
            for counter in ["failedChecks", "canaryWeight", "iterations"] {
                assert_eq!(written[counter], 0, "zeros are written too");
            }
        }
    }

    #[test]
    fn flaggers_minus_one_iteration_is_none() {
        assert_eq!(Status::read(&json!({"phase": "WaitingPromotion", "iterations": -1})).iterations, 0);
    }

    #[test]
    fn nonsense_in_a_status_is_no_panic() {
        let read = Status::read(&json!({"phase": 7, "failedChecks": -1e300, "canaryWeight": 1e300, "conditions": "x"}));
        assert_eq!((read.phase, read.failed_checks, read.canary_weight), (Phase::New, 0, 100));
        assert_eq!(Status::read(&json!({"phase": "Dancing"})).phase, Phase::Unknown);
    }
}
