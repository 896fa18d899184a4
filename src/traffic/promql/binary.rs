//! Arithmetic, comparison and set operators between scalars and vectors.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ, T_POW,
    T_SUB, TokenId,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::QueryError;
use super::evaluate::Evaluator;
use super::value::{Sample, Value, refuse_duplicates};
use crate::traffic::labels::{Labels, METRIC_NAME};

pub(super) fn evaluate(evaluator: &mut Evaluator<'_>, expr: &BinaryExpr, at: i64) -> Result<Value, QueryError> {
    let left = evaluator.value(&expr.lhs, at)?;
    let right = evaluator.value(&expr.rhs, at)?;
    let operator =
        Operator { id: expr.op.id(), is_comparison: expr.op.is_comparison_operator(), as_bool: expr.return_bool() };
    let fallback = BinModifier::default();
    let modifier = expr.modifier.as_ref().unwrap_or(&fallback);
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(QueryError::Execution("the fill modifiers are not supported".to_owned()));
    }
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            let outcome = operator.apply(left, right)?;
            Ok(Value::Scalar(if operator.is_comparison { f64::from(outcome.kept) } else { outcome.value }))
        }
        (Value::Vector(left), Value::Scalar(right)) => with_scalar(operator, left, right, false),
        (Value::Scalar(left), Value::Vector(right)) => with_scalar(operator, right, left, true),
        (Value::Vector(left), Value::Vector(right)) => {
            evaluator.spend(left.len() + right.len())?;
            let matching = Matching::of(modifier);
            let samples = match operator.id {
                T_LAND => set(left, right, &matching, true),
                T_LUNLESS => set(left, right, &matching, false),
                T_LOR => either(left, right, &matching),
                _ => matching.join(operator, left, right)?,
            };
            Ok(Value::Vector(samples))
        }
        _ => Err(QueryError::BadData(format!(
            "binary expression must contain only scalar and instant vector types: {}",
            expr.op
        ))),
    }
}

#[derive(Clone, Copy, Debug)]
struct Operator {
    id: TokenId,
    is_comparison: bool,
    as_bool: bool,
}

/// What an operator makes of two numbers.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    value: f64,
    /// False when a comparison filters the element out.
    kept: bool,
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> Result<Outcome, QueryError> {
        let computed = |value| Outcome { value, kept: true };
        let compared = |kept| Outcome { value: left, kept };
        Ok(match self.id {
            T_ADD => computed(left + right),
            T_SUB => computed(left - right),
            T_MUL => computed(left * right),
            T_DIV => computed(left / right),
            T_MOD => computed(left % right),
            T_POW => computed(left.powf(right)),
            T_ATAN2 => computed(left.atan2(right)),
            T_EQLC => compared(left == right),
            T_NEQ => compared(left != right),
            T_GTR => compared(left > right),
            T_LSS => compared(left < right),
            T_GTE => compared(left >= right),
            T_LTE => compared(left <= right),
            _ => return Err(QueryError::Execution("this operator is not supported between numbers".to_owned())),
        })
    }

    /// Arithmetic makes something new of a metric, and so does a comparison that answers 0 or 1. Prometheus has
    /// forgotten `atan2`.
    fn drops_name(self) -> bool {
        !self.is_comparison && self.id != T_ATAN2 || self.as_bool
    }
}

fn with_scalar(
    operator: Operator,
    samples: Vec<Sample>,
    scalar: f64,
    scalar_is_left: bool,
) -> Result<Value, QueryError> {
    let mut result = Vec::with_capacity(samples.len());
    for sample in samples {
        let (left, right) = if scalar_is_left { (scalar, sample.value) } else { (sample.value, scalar) };
        let outcome = operator.apply(left, right)?;
        let value = match (operator.is_comparison, operator.as_bool) {
            (true, true) => f64::from(outcome.kept),
            (true, false) if outcome.kept => sample.value,
            (true, false) => continue,
            (false, _) => outcome.value,
        };
        let labels = if operator.drops_name() { sample.labels.without_name() } else { sample.labels };
        result.push(Sample { labels, value });
    }
    if operator.drops_name() {
        refuse_duplicates(result.iter().map(|sample| &sample.labels))?;
    }
    Ok(Value::Vector(result))
}

/// Which elements of two vectors belong together.
struct Matching<'a> {
    on: bool,
    labels: &'a [String],
    cardinality: &'a VectorMatchCardinality,
}

impl<'a> Matching<'a> {
    fn of(modifier: &'a BinModifier) -> Self {
        let (on, labels) = match &modifier.matching {
            Some(LabelModifier::Include(names)) => (true, names.labels.as_slice()),
            Some(LabelModifier::Exclude(names)) => (false, names.labels.as_slice()),
            None => (false, [].as_slice()),
        };
        Self { on, labels, cardinality: &modifier.card }
    }

    /// What an element and its partner have in common.
    fn signature(&self, labels: &Labels) -> Labels {
        if self.on { labels.keep(self.labels) } else { labels.drop(self.labels) }
    }

    /// An arithmetic or comparison operator between partners.
    fn join(&self, operator: Operator, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
        let swapped = matches!(self.cardinality, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        if many.is_empty() || one.is_empty() {
            return Ok(Vec::new());
        }
        let mut partners: HashMap<Labels, &Sample> = HashMap::with_capacity(one.len());
        for sample in &one {
            let signature = self.signature(&sample.labels);
            if let Some(other) = partners.get(&signature) {
                let side = if swapped { "left" } else { "right" };
                return Err(QueryError::Execution(format!(
                    "found duplicate series for the match group {signature} on the {side} hand-side of the operation: \
                     [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    sample.labels, other.labels
                )));
            }
            partners.insert(signature, sample);
        }
        let mut taken: HashSet<Labels> = HashSet::new();
        let mut result = Vec::with_capacity(many.len());
        for sample in &many {
            let signature = self.signature(&sample.labels);
            let Some(partner) = partners.get(&signature) else {
                continue;
            };
            let (left, right) = if swapped { (partner.value, sample.value) } else { (sample.value, partner.value) };
            let outcome = operator.apply(left, right)?;
            let value = match (operator.is_comparison, operator.as_bool) {
                (true, true) => f64::from(outcome.kept),
                (true, false) if !outcome.kept => continue,
                _ => outcome.value,
            };
            let labels = self.result_labels(operator, &sample.labels, &partner.labels);
            match self.cardinality {
                VectorMatchCardinality::OneToOne if !taken.insert(signature) => {
                    return Err(QueryError::Execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                            .to_owned(),
                    ));
                }
                VectorMatchCardinality::OneToOne => {}
                _ => {
                    if !taken.insert(labels.clone()) {
                        return Err(QueryError::Execution(
                            "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
                        ));
                    }
                }
            }
            result.push(Sample { labels, value });
        }
        Ok(result)
    }

    fn result_labels(&self, operator: Operator, many: &Labels, one: &Labels) -> Labels {
        let mut labels = if operator.drops_name() { many.without_name() } else { many.clone() };
        match self.cardinality {
            VectorMatchCardinality::ManyToOne(included) | VectorMatchCardinality::OneToMany(included) => {
                for name in &included.labels {
                    labels = labels.with(name, one.get(name));
                }
            }
            _ if self.on => labels = labels.keep(self.labels),
            _ if self.labels.is_empty() => {}
            _ => {
                let name = labels.metric_name().to_owned();
                labels = labels.drop(self.labels);
                if !self.labels.iter().any(|label| label == METRIC_NAME) {
                    labels = labels.with(METRIC_NAME, &name);
                }
            }
        }
        labels
    }
}

/// `and` and `unless`: the left elements with, or without, a partner.
fn set(left: Vec<Sample>, right: Vec<Sample>, matching: &Matching<'_>, with_partner: bool) -> Vec<Sample> {
    let partners: HashSet<Labels> = right.iter().map(|sample| matching.signature(&sample.labels)).collect();
    left.into_iter().filter(|sample| partners.contains(&matching.signature(&sample.labels)) == with_partner).collect()
}

/// `or`: all left elements, and the right ones that have no partner among them.
fn either(mut left: Vec<Sample>, right: Vec<Sample>, matching: &Matching<'_>) -> Vec<Sample> {
    let partners: HashSet<Labels> = left.iter().map(|sample| matching.signature(&sample.labels)).collect();
    left.extend(right.into_iter().filter(|sample| !partners.contains(&matching.signature(&sample.labels))));
    left
}
