//! What is told of a rollout.

use crate::api::Phase;
use chrono::{DateTime, Utc};

/// One rollout, as far as it is known. Texts are as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub canary: String,
    pub namespace: String,
    pub context: String,
    pub revision: Option<String>,
    /// The version that the primary served before, and the one that was rolled out; empty where it is not known.
    pub from: String,
    pub to: String,
    pub phase: Phase,
    /// Why it stands or ended so, where something says it.
    pub why: Option<String>,
    pub began: Option<DateTime<Utc>>,
    /// None while it is under way.
    pub ended: Option<DateTime<Utc>>,
    /// When this was told.
    pub told: DateTime<Utc>,
    /// Percent of the traffic on the canary, the moment it became so, in order.
    pub weights: Vec<(DateTime<Utc>, u8)>,
    /// What was said, the oldest first.
    pub moments: Vec<Moment>,
    pub checks: Vec<Check>,
    /// What the checks read, the oldest first.
    pub readings: Vec<Reading>,
    pub panels: Vec<Panel>,
    /// What is not known, and why.
    pub missing: Vec<String>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    /// How often.
    pub count: u32,
    pub warning: bool,
    /// The Event's reason; empty where only the text was kept.
    pub reason: String,
    pub text: String,
}

impl Moment {
    /// Whether it says what became of an operator's request.
    pub fn is_request(&self) -> bool {
        self.reason.starts_with("Request") || self.text.starts_with("Request ")
    }

    /// The canary's weight from here on, where it says one.
    pub fn weight(&self) -> Option<u8> {
        let text = self.text.as_str();
        if let Some((_, rest)) = text.split_once("canary weight ")
            && text.starts_with("Advance ")
        {
            return rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|weight| *weight <= 100);
        }
        let all_back = text.starts_with("Rolling back ") || text == "Routing all traffic to primary";
        all_back.then_some(0)
    }
}

/// A check of the analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub name: String,
    /// The query, or which template it comes from.
    pub query: Query,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// Where a check's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    Text(String),
    Template(String),
}

/// What one check read at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub at: DateTime<Utc>,
    pub weight: u8,
    pub check: String,
    pub value: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub passed: bool,
}

/// The measurements of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub name: &'static str,
    pub unit: Unit,
    pub primary: Vec<(DateTime<Utc>, f64)>,
    pub canary: Vec<(DateTime<Utc>, f64)>,
    pub limit: Option<Limit>,
    /// Why there is nothing to draw.
    pub why_empty: Option<String>,
}

/// What a check holds a metric against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// What the values of a panel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Percent,
    Milliseconds,
    Cores,
    Bytes,
}

impl Unit {
    /// A value with its unit.
    pub fn text(self, value: f64) -> String {
        match self {
            Unit::Percent => format!("{} %", short(value)),
            Unit::Milliseconds => format!("{} ms", short(value)),
            Unit::Cores => format!("{} cores", short(value)),
            Unit::Bytes if value >= 1e9 => format!("{} GiB", short(value / f64::from(1 << 30))),
            Unit::Bytes => format!("{} MiB", short(value / f64::from(1 << 20))),
        }
    }
}

/// A number in three digits or a few more, without zeros at its end.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// A time as a report has it: to the second, in UTC.
pub fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(text: &str) -> Option<u8> {
        let at = DateTime::UNIX_EPOCH;
        let moment =
            Moment { first: at, last: at, count: 1, warning: false, reason: "Synced".into(), text: text.into() };
        moment.weight()
    }

    #[test]
    fn the_weights_are_read_from_what_was_said() {
        assert_eq!(weight("Advance web.prod canary weight 30"), Some(30));
        assert_eq!(weight("Rolling back web.prod failed checks threshold reached 5"), Some(0));
        assert_eq!(weight("Routing all traffic to primary"), Some(0));
        for text in ["Advance web.prod canary weight 300", "Advance web.prod canary iteration 1/5", "canary weight 5"] {
            assert_eq!(weight(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0"), (0.12345, "0.123"), (99.975, "99.97"), (1234.5, "1234"), (100.0, "100")] {
            assert_eq!(short(value), text);
        }
        assert_eq!(Unit::Bytes.text(222_298_112.0), "212 MiB");
    }
}
