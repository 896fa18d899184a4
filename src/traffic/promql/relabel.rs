//! `label_replace`, `label_join`, and the labels that `absent` answers with.

use std::collections::BTreeMap;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::Expr;

use super::selectors::matchers_of;
use super::value::{Sample, refuse_duplicates};
use super::{QueryError, patterns};
use crate::traffic::labels::{Labels, METRIC_NAME};

/// Sets a label from the groups that a regular expression finds in another.
pub(super) fn replace(
    samples: Vec<Sample>,
    [to, replacement, from, pattern]: [&str; 4],
) -> Result<Vec<Sample>, QueryError> {
    let regex = patterns::compile(pattern)
        .map_err(|_| QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    if !is_label_name(to) {
        return Err(QueryError::Execution(format!("invalid destination label name in label_replace(): {to}")));
    }
    let result: Vec<Sample> = samples
        .into_iter()
        .map(|sample| match regex.captures(sample.labels.get(from)) {
            None => sample,
            Some(groups) => {
                let mut value = String::new();
                groups.expand(replacement, &mut value);
                Sample { labels: sample.labels.with(to, &value), value: sample.value }
            }
        })
        .collect();
    refuse_duplicates(result.iter().map(|sample| &sample.labels))?;
    Ok(result)
}

/// Sets a label to others, joined.
pub(super) fn join(samples: Vec<Sample>, to: &str, separator: &str, from: &[&str]) -> Result<Vec<Sample>, QueryError> {
    for (role, name) in std::iter::once(("destination", to)).chain(from.iter().map(|name| ("source", *name))) {
        if !is_label_name(name) {
            return Err(QueryError::Execution(format!("invalid {role} label name in label_join(): {name}")));
        }
    }
    let result: Vec<Sample> = samples
        .into_iter()
        .map(|sample| {
            let values: Vec<&str> = from.iter().map(|name| sample.labels.get(name)).collect();
            Sample { labels: sample.labels.with(to, &values.join(separator)), value: sample.value }
        })
        .collect();
    refuse_duplicates(result.iter().map(|sample| &sample.labels))?;
    Ok(result)
}

/// The labels that a selector demands, so that an alert on absence says what is absent.
pub(super) fn demanded_labels(expr: &Expr) -> Result<Labels, QueryError> {
    let selector = match expr {
        Expr::VectorSelector(selector) => selector,
        Expr::MatrixSelector(selector) => &selector.vs,
        _ => return Ok(Labels::default()),
    };
    let matchers = matchers_of(selector)?;
    let mut demanded: BTreeMap<&str, &str> = BTreeMap::new();
    for Matcher { op, name, value } in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        match demanded.get_mut(name.as_str()) {
            // With a further matcher of the same label nothing can be told of it.
            Some(told) => *told = "",
            None if matches!(op, MatchOp::Equal) => {
                demanded.insert(name, value);
            }
            None => {}
        }
    }
    Ok(Labels::new(demanded))
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}
