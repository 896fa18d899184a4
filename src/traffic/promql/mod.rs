//! PromQL over the samples of a [`History`], with the arithmetic of Prometheus 2.42, beside which it is tested.
//!
//! The grammar is promql-parser's; the evaluation is here, step by step and without any cache between queries. What
//! it cannot evaluate is an error: it must never answer a wrong value.

mod aggregate;
mod binary;
mod evaluate;
mod functions;
mod guard;
mod histogram;
mod numbers;
mod over_time;
mod patterns;
mod rates;
mod raw_strings;
mod relabel;
mod selectors;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::time::Instant;

use promql_parser::label::Matcher;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr};

use super::history::{History, Point};
use evaluate::Evaluator;
pub use value::{Sample, Series, Value};

/// How far an instant selector looks back for a sample, in milliseconds.
pub const LOOKBACK_MS: i64 = 300_000;

/// The most points that a range query may give for one series.
pub const MAX_STEPS: i64 = 11_000;

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The query or a parameter makes no sense.
    #[error("{0}")]
    BadData(String),
    /// The query is well formed and cannot be evaluated over this data, or not by this evaluator.
    #[error("{0}")]
    Execution(String),
    /// It took too long.
    #[error("query timed out in expression evaluation")]
    Timeout,
}

/// Evaluates a query at one moment, in milliseconds since 1970.
///
/// # Errors
/// As [`QueryError`] tells. `deadline` bounds the time that it may take.
pub fn instant(history: &History, query: &str, at: i64, deadline: Option<Instant>) -> Result<Value, QueryError> {
    let expr = parse(query)?;
    let mut evaluator = Evaluator::new(history, at, at, deadline);
    let value = match strip_parens(&expr) {
        Expr::MatrixSelector(_) | Expr::Subquery(_) => Value::Matrix(evaluator.matrix(&expr, at)?.series),
        Expr::StringLiteral(text) => Value::String(text.val.clone()),
        _ => evaluator.value(&expr, at)?,
    };
    if let Value::Vector(samples) = &value {
        value::refuse_duplicates(samples.iter().map(|sample| &sample.labels))?;
    }
    Ok(value)
}

/// Evaluates a query at `start`, every `step` after it, and up to and including `end`; all in milliseconds.
///
/// # Errors
/// As [`QueryError`] tells.
pub fn range(
    history: &History,
    query: &str,
    (start, end, step): (i64, i64, i64),
    deadline: Option<Instant>,
) -> Result<Vec<Series>, QueryError> {
    let expr = parse(query)?;
    if step <= 0 {
        return Err(QueryError::BadData(
            "zero or negative query resolution step widths are not accepted. Try a positive integer".to_owned(),
        ));
    }
    if end < start {
        return Err(QueryError::BadData("end timestamp must not be before start time".to_owned()));
    }
    if end.saturating_sub(start) / step > MAX_STEPS {
        return Err(QueryError::BadData(format!(
            "exceeded maximum resolution of {MAX_STEPS} points per timeseries. Try decreasing the query resolution (?step=XX)"
        )));
    }
    let kind = expr.value_type();
    if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let found = if kind == ValueType::Matrix { "range vector" } else { "string" };
        return Err(QueryError::BadData(format!(
            "invalid expression type \"{found}\" for range query, must be Scalar or instant Vector"
        )));
    }
    let mut evaluator = Evaluator::new(history, start, end, deadline);
    let mut series: BTreeMap<_, Vec<Point>> = BTreeMap::new();
    let mut at = start;
    while at <= end {
        for sample in evaluator.value(&expr, at)?.into_samples() {
            let points = series.entry(sample.labels).or_default();
            if points.last().is_some_and(|last| last.at == at) {
                return Err(value::same_labels());
            }
            points.push(Point { at, value: sample.value });
        }
        at += step;
    }
    Ok(series.into_iter().map(|(labels, points)| Series { labels, points }).collect())
}

/// The matchers of a plain selector, as `match[]` takes them.
///
/// # Errors
/// [`QueryError::BadData`] when it is anything else than a selector.
pub fn matchers(selector: &str) -> Result<Vec<Matcher>, QueryError> {
    match parse(selector)? {
        Expr::VectorSelector(selector) => selectors::matchers_of(&selector),
        _ => Err(QueryError::BadData(format!("not a series selector: {selector}"))),
    }
}

fn parse(query: &str) -> Result<Expr, QueryError> {
    guard::check(query)?;
    parser::parse(&raw_strings::requoted(query)).map_err(|error| QueryError::BadData(format!("parse error: {error}")))
}

fn strip_parens(expr: &Expr) -> &Expr {
    let mut inner = expr;
    while let Expr::Paren(paren) = inner {
        inner = &paren.expr;
    }
    inner
}
