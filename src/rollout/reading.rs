//! What one metric query answered, and whether that passes a check.

use crate::api::{Check, CheckKind, duration};
use std::time::Duration;

/// The answer to one metric query.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Percent for a success rate, milliseconds for a duration, and for a query of the Canary's own what it answers.
    Value(f64),
    /// The query ran and found nothing, or NaN: no traffic, or no such series.
    NoValues,
    /// The query could not be run; the text says why.
    Unavailable(String),
    /// There is no query to run: the whole message of the Event.
    Unasked(String),
}

/// A check held against a reading: None when it passes, else the Event's message. The texts are Flagger's, because
/// pipelines match on them; `canary` and `target` are names, `namespace` theirs.
pub fn failure(check: &Check, reading: &Reading, canary: &str, target: &str, namespace: &str) -> Option<String> {
    let name = &check.name;
    let value = match reading {
        Reading::Value(value) => *value,
        Reading::Unasked(message) => return Some(message.clone()),
        Reading::NoValues => {
            let no_traffic = |metric: &str, tail: &str| {
                format!(
                    "Halt advancement no values found for istio metric {metric} probably {target}.{namespace} is not \
                     receiving traffic{tail}"
                )
            };
            return Some(match check.kind {
                CheckKind::SuccessRate => no_traffic("request-success-rate", ": running query failed: no values found"),
                CheckKind::Duration => no_traffic("request-duration", ""),
                CheckKind::Custom => format!("Halt advancement no values found for metric: {name}"),
                CheckKind::Template => {
                    format!("Halt advancement no values found for custom metric: {name}: no values found")
                }
            });
        }
        Reading::Unavailable(why) => {
            return Some(match check.kind {
                CheckKind::SuccessRate | CheckKind::Duration => {
                    format!("Prometheus query failed: running query failed: {why}")
                }
                CheckKind::Custom => format!("Prometheus query failed for {name}: {why}"),
                CheckKind::Template => format!("Metric query failed for {name}: {why}"),
            });
        }
    };
    let (subject, shown, limit): (_, String, fn(f64) -> String) = match check.kind {
        CheckKind::SuccessRate => ("success rate", format!("{value:.2}%"), |limit| format!("{limit}%")),
        CheckKind::Duration => ("request duration", milliseconds(value), milliseconds),
        CheckKind::Custom | CheckKind::Template => (name.as_str(), two_decimals(value), shortest),
    };
    let comparison = match (check.min, check.max) {
        (Some(min), _) if value < min => format!("< {}", limit(min)),
        (_, Some(max)) if value > max => format!("> {}", limit(max)),
        _ => return None,
    };
    Some(format!("Halt {canary}.{namespace} advancement {subject} {shown} {comparison}"))
}

/// Whole milliseconds in Go's notation.
fn milliseconds(value: f64) -> String {
    // Infinity, of a quantile in the topmost bucket, ends at a year.
    duration::go(Duration::from_millis(value.clamp(0.0, duration::MAX.as_millis() as f64) as u64))
}

/// A number with two decimals in Go's notation.
fn two_decimals(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    format!("{value:.2}")
}

/// A number in its shortest form in Go's notation: `99.5`, `1e-05`.
fn shortest(value: f64) -> String {
    let exponential = format!("{value:e}");
    let (digits, exponent) = exponential.split_once('e').unwrap_or((&exponential, "0"));
    match exponent.parse::<i32>() {
        Ok(power) if value != 0.0 && !(-4..21).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Era;

    fn check(kind: CheckKind, min: Option<f64>, max: Option<f64>) -> Check {
        Check { name: "x".into(), kind, era: Era::Current, min, max, interval: Duration::from_secs(30) }
    }

    fn said(check: &Check, reading: Reading) -> Option<String> {
        failure(check, &reading, "app", "app", "prod")
    }

    #[test]
    fn says_the_value_and_the_limit_as_flagger_does() {
        let rate = check(CheckKind::SuccessRate, Some(99.0), None);
        assert_eq!(
            said(&rate, Reading::Value(80.0)).as_deref(),
            Some("Halt app.prod advancement success rate 80.00% < 99%")
        );
        let duration = check(CheckKind::Duration, None, Some(500.0));
        assert_eq!(
            said(&duration, Reading::Value(1515.9)).as_deref(),
            Some("Halt app.prod advancement request duration 1.515s > 500ms")
        );
    }

    #[test]
    fn a_query_of_the_canarys_own_is_said_by_its_name() {
        let custom = |min, max| Check { name: "404s percentage".into(), ..check(CheckKind::Custom, min, max) };
        for (check, reading, wanted) in [
            (
                custom(None, Some(5.0)),
                Reading::Value(20.756),
                Some("Halt app.prod advancement 404s percentage 20.76 > 5"),
            ),
            (
                custom(Some(0.5), None),
                Reading::Value(0.25),
                Some("Halt app.prod advancement 404s percentage 0.25 < 0.5"),
            ),
            (
                custom(None, Some(0.00001)),
                Reading::Value(f64::INFINITY),
                Some("Halt app.prod advancement 404s percentage +Inf > 1e-05"),
            ),
            (custom(Some(-1.0), Some(5.0)), Reading::Value(-1.0), None),
            (custom(Some(-1.0), Some(5.0)), Reading::Value(5.0), None),
            (
                custom(None, Some(5.0)),
                Reading::NoValues,
                Some("Halt advancement no values found for metric: 404s percentage"),
            ),
            (
                custom(None, Some(5.0)),
                Reading::Unavailable("parse error".into()),
                Some("Prometheus query failed for 404s percentage: parse error"),
            ),
        ] {
            assert_eq!(said(&check, reading).as_deref(), wanted);
        }
    }

    #[test]
    fn a_template_is_said_in_words_of_its_own() {
        let check = Check { name: "404s".into(), ..check(CheckKind::Template, Some(1.0), Some(5.0)) };
        for (reading, wanted) in [
            (Reading::Value(20.756), Some("Halt app.prod advancement 404s 20.76 > 5")),
            (Reading::Value(0.5), Some("Halt app.prod advancement 404s 0.50 < 1")),
            (Reading::Value(5.0), None),
            (Reading::NoValues, Some("Halt advancement no values found for custom metric: 404s: no values found")),
            (Reading::Unavailable("parse error".into()), Some("Metric query failed for 404s: parse error")),
            (Reading::Unasked("Metric template t.ns error: x".into()), Some("Metric template t.ns error: x")),
        ] {
            assert_eq!(said(&check, reading).as_deref(), wanted);
        }
    }

    #[test]
    fn limits_are_written_as_go_writes_them() {
        for (value, wanted) in [
            (0.0, "0"),
            (99.0, "99"),
            (99.5, "99.5"),
            (-0.25, "-0.25"),
            (0.0001, "0.0001"),
            (0.000012, "1.2e-05"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(shortest(value), wanted);
        }
    }

    #[test]
    fn the_limit_itself_passes() {
        assert_eq!(said(&check(CheckKind::SuccessRate, Some(99.0), None), Reading::Value(99.0)), None);
        assert_eq!(said(&check(CheckKind::Duration, None, Some(500.0)), Reading::Value(500.0)), None);
    }

    #[test]
    fn no_value_fails_and_infinity_is_no_panic() {
        assert!(said(&check(CheckKind::Duration, None, Some(500.0)), Reading::NoValues).is_some());
        assert!(said(&check(CheckKind::Duration, None, Some(500.0)), Reading::Value(f64::INFINITY)).is_some());
        assert!(said(&check(CheckKind::SuccessRate, Some(99.0), None), Reading::Unavailable("x".into())).is_some());
    }
}
