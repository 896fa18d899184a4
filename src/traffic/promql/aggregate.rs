//! Aggregations over the elements of a vector: `sum by (…)`, `topk` and so on.

use std::collections::HashMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, LabelModifier};

use super::QueryError;
use super::evaluate::Evaluator;
use super::numbers::{self, Sum};
use super::value::{Sample, Value};
use crate::traffic::labels::Labels;

pub(super) fn evaluate(evaluator: &mut Evaluator<'_>, expr: &AggregateExpr, at: i64) -> Result<Value, QueryError> {
    let samples = evaluator.vector(&expr.expr, at)?;
    let operation = expr.op.id();
    let parameter = match &expr.param {
        Some(parameter) if matches!(operation, T_TOPK | T_BOTTOMK | T_QUANTILE) => {
            Some(evaluator.scalar(parameter, at)?)
        }
        _ => None,
    };
    let groups = group(samples, expr.modifier.as_ref());
    if let (T_TOPK | T_BOTTOMK, Some(count)) = (operation, parameter) {
        return Ok(Value::Vector(ranked(groups, count, operation == T_TOPK)?));
    }
    let mut result = Vec::with_capacity(groups.len());
    for (labels, members) in groups {
        let values: Vec<f64> = members.into_iter().map(|sample| sample.value).collect();
        let value = match (operation, parameter) {
            (T_SUM, _) => Sum::of(values),
            (T_AVG, _) => numbers::mean(&values),
            (T_COUNT, _) => values.len() as f64,
            (T_GROUP, _) => 1.0,
            (T_MIN, _) => extreme(&values, |value, least| value < least),
            (T_MAX, _) => extreme(&values, |value, most| value > most),
            (T_STDDEV, _) => numbers::variance_across(&values).sqrt(),
            (T_STDVAR, _) => numbers::variance_across(&values),
            (T_QUANTILE, Some(q)) => numbers::quantile(q, values),
            _ => {
                return Err(QueryError::Execution(format!("aggregation {} is not supported", expr.op)));
            }
        };
        result.push(Sample { labels, value });
    }
    Ok(Value::Vector(result))
}

/// The elements by the labels that the modifier leaves, in the order of their first element.
fn group(samples: Vec<Sample>, modifier: Option<&LabelModifier>) -> Vec<(Labels, Vec<Sample>)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<Sample>)> = Vec::new();
    for sample in samples {
        let labels = match modifier {
            None => Labels::default(),
            Some(LabelModifier::Include(names)) => sample.labels.keep(&names.labels),
            Some(LabelModifier::Exclude(names)) => sample.labels.drop(&names.labels),
        };
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(sample);
    }
    groups
}

/// The largest or smallest; NaN only where there is nothing else.
fn extreme(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().fold(f64::NAN, |best, value| if best.is_nan() || beats(value, best) { value } else { best })
}

/// The first so many elements of each group with all their labels. NaN comes last.
fn ranked(groups: Vec<(Labels, Vec<Sample>)>, count: f64, largest: bool) -> Result<Vec<Sample>, QueryError> {
    if !(count > i64::MIN as f64 && count < i64::MAX as f64) {
        return Err(QueryError::Execution(format!("Scalar value {count} overflows int64")));
    }
    let count = count.max(0.0) as usize;
    let mut result = Vec::new();
    for (_, mut members) in groups {
        members.sort_by(|a, b| match (a.value.is_nan(), b.value.is_nan()) {
            (false, false) if largest => b.value.total_cmp(&a.value),
            (false, false) => a.value.total_cmp(&b.value),
            (a, b) => a.cmp(&b),
        });
        result.extend(members.into_iter().take(count));
    }
    Ok(result)
}
