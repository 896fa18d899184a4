//! What an evaluator answers, in a form in which two of them can be compared.

use canary_tui::traffic::promql::{self, QueryError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// How far two values may be apart, as a part of the larger. What is below the smallest normal float has fewer digits.
const TOLERANCE: f64 = 1e-9;

/// The labels of a series.
type Labels = BTreeMap<String, String>;

/// An answer without the order of its series, which is nobody's promise.
#[derive(Clone)]
pub enum Answer {
    /// A scalar has no labels and one point; a vector has one point a series.
    Series { kind: String, series: BTreeMap<Labels, Vec<(i64, f64)>> },
    /// A text.
    Text(String),
    /// No answer: what kind of error, and what was said.
    Refused { kind: String, words: String },
}

impl Answer {
    /// Of a real Prometheus.
    pub fn of_prometheus(answer: Result<Value, (String, String)>) -> Self {
        let data = match answer {
            Ok(data) => data,
            Err((kind, words)) => return Self::Refused { kind, words },
        };
        let kind = data["resultType"].as_str().expect("a type").to_string();
        let mut series = BTreeMap::new();
        match kind.as_str() {
            "string" => return Self::Text(data["result"][1].as_str().expect("a text").to_string()),
            "scalar" => {
                series.insert(Labels::new(), vec![point(&data["result"])]);
            }
            _ => {
                for one in data["result"].as_array().expect("series") {
                    let labels = serde_json::from_value(one["metric"].clone()).expect("labels");
                    let points = match one["values"].as_array() {
                        Some(values) => values.iter().map(point).collect(),
                        None => vec![point(&one["value"])],
                    };
                    assert!(series.insert(labels, points).is_none(), "a series twice: {one}");
                }
            }
        }
        Self::Series { kind, series }
    }

    /// Of our evaluator at one moment.
    pub fn of_instant(answer: Result<promql::Value, QueryError>, at: i64) -> Self {
        let one = |labels: &canary_tui::traffic::Labels, value| (owned(labels), vec![(at, value)]);
        let (kind, series) = match answer {
            Err(error) => return Self::refused(&error),
            Ok(promql::Value::String(text)) => return Self::Text(text),
            Ok(promql::Value::Scalar(value)) => ("scalar", vec![(Labels::new(), vec![(at, value)])]),
            Ok(promql::Value::Vector(samples)) => {
                ("vector", samples.iter().map(|sample| one(&sample.labels, sample.value)).collect())
            }
            Ok(promql::Value::Matrix(series)) => ("matrix", series.iter().map(points).collect()),
        };
        Self::collected(kind, series)
    }

    /// Of our evaluator over a time.
    pub fn of_range(answer: Result<Vec<promql::Series>, QueryError>) -> Self {
        match answer {
            Err(error) => Self::refused(&error),
            Ok(series) => Self::collected("matrix", series.iter().map(points).collect()),
        }
    }

    fn collected(kind: &str, all: Vec<(Labels, Vec<(i64, f64)>)>) -> Self {
        let count = all.len();
        let series: BTreeMap<_, _> = all.into_iter().collect();
        assert_eq!(series.len(), count, "a series twice");
        Self::Series { kind: kind.to_string(), series }
    }

    fn refused(error: &QueryError) -> Self {
        let kind = match error {
            QueryError::BadData(_) => "bad_data",
            QueryError::Execution(_) => "execution",
            QueryError::Timeout => "timeout",
        };
        Self::Refused { kind: kind.to_string(), words: error.to_string() }
    }

    /// Whether both say the same, but for rounding. Of two errors the kind must be the same, not the words.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Refused { kind: one, .. }, Self::Refused { kind: other, .. }) => one == other,
            (Self::Series { kind: one_kind, series: one }, Self::Series { kind: other_kind, series: other }) => {
                one_kind == other_kind
                    && one.len() == other.len()
                    && one.iter().zip(other).all(|((one_labels, one), (other_labels, other))| {
                        one_labels == other_labels
                            && one.len() == other.len()
                            && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && is_close(one.1, other.1))
                    })
            }
            _ => false,
        }
    }

    /// How many values it holds.
    pub fn values(&self) -> usize {
        match self {
            Self::Series { series, .. } => series.values().map(Vec::len).sum(),
            Self::Text(_) => 1,
            Self::Refused { .. } => 0,
        }
    }
}

/// The first few differences, for a person who looks for their cause.
pub fn difference(real: &Answer, ours: &Answer) -> String {
    const MOST: usize = 4;
    let (Answer::Series { kind: real_kind, series: real }, Answer::Series { kind: our_kind, series: ours }) =
        (real, ours)
    else {
        return format!("real: {real}; ours: {ours}");
    };
    let mut told = Vec::new();
    if real_kind != our_kind {
        told.push(format!("real is a {real_kind}, ours a {our_kind}"));
    }
    for labels in real.keys().chain(ours.keys().filter(|labels| !real.contains_key(*labels))) {
        match (real.get(labels), ours.get(labels)) {
            (Some(_), None) => told.push(format!("only real has {labels:?}")),
            (None, _) => told.push(format!("only ours has {labels:?}")),
            (Some(real), Some(ours)) => {
                let apart = real.iter().zip(ours).find(|(real, ours)| real.0 != ours.0 || !is_close(real.1, ours.1));
                match apart {
                    Some((real, ours)) => told.push(format!("{labels:?}: real {real:?}, ours {ours:?}")),
                    None if real.len() != ours.len() => {
                        told.push(format!("{labels:?}: real has {} points, ours {}", real.len(), ours.len()));
                    }
                    None => {}
                }
            }
        }
    }
    told.truncate(MOST);
    told.join("\n    ")
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "the text {text:?}"),
            Self::Refused { kind, words } => write!(out, "{kind}, {words}"),
            Self::Series { kind, series } => write!(out, "a {kind} of {}", series.len()),
        }
    }
}

fn is_close(one: f64, other: f64) -> bool {
    let apart = (one - other).abs();
    one == other
        || one.is_nan() && other.is_nan()
        || apart <= TOLERANCE * one.abs().max(other.abs())
        || apart < f64::MIN_POSITIVE
}

fn points(series: &promql::Series) -> (Labels, Vec<(i64, f64)>) {
    (owned(&series.labels), series.points.iter().map(|point| (point.at, point.value)).collect())
}

fn owned(labels: &canary_tui::traffic::Labels) -> Labels {
    labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// A moment in milliseconds and a value.
fn point(point: &Value) -> (i64, f64) {
    let seconds = point[0].as_f64().expect("a moment");
    let value = point[1].as_str().expect("a value as text").parse().expect("a number");
    ((seconds * 1000.0).round() as i64, value)
}
