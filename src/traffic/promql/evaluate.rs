//! Walks the expression: what each node evaluates to at one moment.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use promql_parser::parser::Expr;

use super::value::{Sample, Value, same_labels};
use super::{LOOKBACK_MS, QueryError, aggregate, binary, functions};
use crate::traffic::history::{History, Selected};
use crate::traffic::labels::Labels;

/// The most samples that one query may look at, as in Prometheus.
const MAX_SAMPLES: usize = 50_000_000;

/// How often the deadline is looked at, in samples.
const LOOK_EVERY: usize = 4096;

/// Evaluates one query.
pub(super) struct Evaluator<'a> {
    pub history: &'a History,
    /// The first and last moment of the whole query, for `@ start()` and `@ end()`.
    pub start: i64,
    pub end: i64,
    /// What each selector finds, by the selector's address: the expression outlives the evaluator's use of it.
    pub selections: HashMap<usize, Rc<Vec<Selected<'a>>>>,
    /// Whose series have lost their name: for each such node, by its address, the name that stood before the labels.
    unnamed: HashMap<usize, HashMap<Labels, String>>,
    deadline: Option<Instant>,
    spent: usize,
    looked: usize,
}

impl<'a> Evaluator<'a> {
    pub fn new(history: &'a History, start: i64, end: i64, deadline: Option<Instant>) -> Self {
        Self { history, start, end, selections: HashMap::new(), unnamed: HashMap::new(), deadline, spent: 0, looked: 0 }
    }

    /// Accounts for work done, and ends a query that takes too much.
    pub fn spend(&mut self, samples: usize) -> Result<(), QueryError> {
        self.spent += samples;
        if self.spent > MAX_SAMPLES {
            return Err(QueryError::Execution(
                "query processing would load too many samples into memory in query execution".to_owned(),
            ));
        }
        if self.spent - self.looked >= LOOK_EVERY {
            self.looked = self.spent;
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(QueryError::Timeout);
            }
        }
        Ok(())
    }

    /// What an expression of type scalar or instant vector evaluates to.
    pub fn value(&mut self, expr: &Expr, at: i64) -> Result<Value, QueryError> {
        self.spend(1)?;
        match expr {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(number.val)),
            Expr::StringLiteral(text) => Ok(Value::String(text.val.clone())),
            Expr::Paren(paren) => self.value(&paren.expr, at),
            Expr::Unary(unary) => match self.value(&unary.expr, at)? {
                Value::Vector(samples) => {
                    let negated = samples.into_iter().map(|Sample { labels, value }| {
                        let labels = self.without_name(std::ptr::from_ref(unary) as usize, &labels)?;
                        Ok(Sample { labels, value: -value })
                    });
                    Ok(Value::Vector(negated.collect::<Result<_, QueryError>>()?))
                }
                Value::Scalar(number) => Ok(Value::Scalar(-number)),
                other => Ok(other),
            },
            Expr::Binary(binary) => binary::evaluate(self, binary, at),
            Expr::Aggregate(aggregate) => aggregate::evaluate(self, aggregate, at),
            Expr::VectorSelector(selector) => {
                let moment = self.moment(at, selector.at.as_ref(), selector.offset.as_ref());
                let found = self.instant(selector, moment, moment - LOOKBACK_MS)?;
                Ok(Value::Vector(found.into_iter().map(|(sample, _)| sample).collect()))
            }
            Expr::Call(call) => functions::evaluate(self, call, at),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(QueryError::BadData("a range vector cannot stand here".to_owned()))
            }
            Expr::Extension(_) => Err(QueryError::Execution("extensions are not supported".to_owned())),
        }
    }

    /// Drops the name of a series that a node (by its address) answers. Two series may not be the same without it, and
    /// not even at different moments of one query: the node's answer would hold both under one label set.
    pub fn without_name(&mut self, node: usize, labels: &Labels) -> Result<Labels, QueryError> {
        let known = self.unnamed.entry(node).or_default();
        let unnamed = labels.without_name();
        match known.get(&unnamed) {
            Some(name) if name != labels.metric_name() => return Err(same_labels()),
            Some(_) => {}
            None => {
                known.insert(unnamed.clone(), labels.metric_name().to_owned());
            }
        }
        Ok(unnamed)
    }

    /// What an expression of type instant vector evaluates to.
    pub fn vector(&mut self, expr: &Expr, at: i64) -> Result<Vec<Sample>, QueryError> {
        match self.value(expr, at)? {
            Value::Vector(samples) => Ok(samples),
            _ => Err(QueryError::BadData("expected an instant vector".to_owned())),
        }
    }

    /// What an expression of type scalar evaluates to.
    pub fn scalar(&mut self, expr: &Expr, at: i64) -> Result<f64, QueryError> {
        match self.value(expr, at)? {
            Value::Scalar(value) => Ok(value),
            _ => Err(QueryError::BadData("expected a scalar".to_owned())),
        }
    }
}
