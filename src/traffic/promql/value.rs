//! What a query and its parts evaluate to.

use std::collections::HashSet;

use super::QueryError;
use crate::traffic::history::Point;
use crate::traffic::labels::Labels;

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// One element of a range vector, or one line of a range query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, in order of time.
    pub points: Vec<Point>,
}

/// What an expression evaluates to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// At most one value for each label set.
    Vector(Vec<Sample>),
    /// Samples over a time.
    Matrix(Vec<Series>),
    /// A text.
    String(String),
}

impl Value {
    /// The elements of a vector; a scalar is one without labels.
    pub(super) fn into_samples(self) -> Vec<Sample> {
        match self {
            Self::Scalar(value) => vec![Sample { labels: Labels::default(), value }],
            Self::Vector(samples) => samples,
            Self::Matrix(_) | Self::String(_) => Vec::new(),
        }
    }
}

/// A range vector at one moment, and the range that it covers.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub series: Vec<Series>,
    /// The first moment of the range, in milliseconds.
    pub from: i64,
    /// The last.
    pub to: i64,
}

impl Window {
    /// The length of the range in seconds.
    pub fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1000.0
    }
}

pub(super) fn same_labels() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

/// A vector holds each label set once.
pub(super) fn refuse_duplicates<'a>(labels: impl Iterator<Item = &'a Labels>) -> Result<(), QueryError> {
    let mut seen = HashSet::new();
    for labels in labels {
        if !seen.insert(labels) {
            return Err(same_labels());
        }
    }
    Ok(())
}
