//! Instant and range selectors, their offsets and the `@` modifier, as Prometheus 2 has them: a range and the time that
//! an instant selector looks back include both their ends. Prometheus 3 leaves out what stands exactly at the earlier
//! end, so that `[1m]` over samples a minute apart finds one there and two here; and there `.` in a pattern matches a
//! line's end too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::{AtModifier, Offset, VectorSelector};

use super::QueryError;
use super::evaluate::Evaluator;
use super::value::{Sample, Series, Window};
use super::{patterns, strip_parens};
use crate::traffic::history::Selected;
use promql_parser::parser::{Expr, MatrixSelector, SubqueryExpr};

/// The step of a subquery that names none: Prometheus' default evaluation interval, in milliseconds.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// All matchers of a selector, that of its name among them.
pub(super) fn matchers_of(selector: &VectorSelector) -> Result<Vec<Matcher>, QueryError> {
    if !selector.matchers.or_matchers.is_empty() {
        return Err(QueryError::BadData(
            "parse error: \"or\" between matchers is not PromQL; use a regular expression".to_owned(),
        ));
    }
    let mut matchers = selector.matchers.matchers.clone();
    for Matcher { op, value, .. } in &mut matchers {
        if let MatchOp::Re(regex) | MatchOp::NotRe(regex) = op {
            *regex = patterns::compile(value).map_err(|why| QueryError::BadData(format!("parse error: {why}")))?;
        }
    }
    if let Some(name) = &selector.name {
        matchers.push(Matcher::new(MatchOp::Equal, METRIC_NAME, name));
    }
    Ok(matchers)
}

/// Milliseconds of a duration; absurdly long ones are cut at some three thousand years, so that sums cannot overflow.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(100_000_000_000_000)
}

impl<'a> Evaluator<'a> {
    /// The moment that a selector looks at.
    pub(super) fn moment(&self, at: i64, modifier: Option<&AtModifier>, offset: Option<&Offset>) -> i64 {
        let at = match modifier {
            None => at,
            Some(AtModifier::Start) => self.start,
            Some(AtModifier::End) => self.end,
            Some(AtModifier::At(time)) => since_1970(*time),
        };
        match offset {
            None => at,
            Some(Offset::Pos(duration)) => at - milliseconds(*duration),
            Some(Offset::Neg(duration)) => at + milliseconds(*duration),
        }
    }

    /// The series that a selector may find at any moment.
    fn selected(&mut self, selector: &VectorSelector) -> Result<std::rc::Rc<Vec<Selected<'a>>>, QueryError> {
        let key = std::ptr::from_ref(selector) as usize;
        if let Some(found) = self.selections.get(&key) {
            return Ok(std::rc::Rc::clone(found));
        }
        let found = std::rc::Rc::new(self.history.select(&matchers_of(selector)?));
        self.selections.insert(key, std::rc::Rc::clone(&found));
        Ok(found)
    }

    /// What an instant selector finds at the moment that it looks at, and not before another, each with the moment of
    /// its sample.
    pub(super) fn instant(
        &mut self,
        selector: &VectorSelector,
        at: i64,
        oldest: i64,
    ) -> Result<Vec<(Sample, i64)>, QueryError> {
        let found = self.selected(selector)?;
        let mut samples = Vec::new();
        for series in found.iter() {
            if let Some(point) = series.value_at(at, oldest) {
                let sample = Sample { labels: series.labels.clone(), value: point.value };
                samples.push((sample, point.at));
            }
        }
        self.spend(found.len())?;
        Ok(samples)
    }

    /// What a range selector or a subquery finds.
    pub(super) fn matrix(&mut self, expr: &Expr, at: i64) -> Result<Window, QueryError> {
        match strip_parens(expr) {
            Expr::MatrixSelector(selector) => self.range_selector(selector, at),
            Expr::Subquery(subquery) => self.subquery(subquery, at),
            other => Err(QueryError::BadData(format!("expected a range vector, got {}", other.value_type()))),
        }
    }

    /// The samples of a range, both ends included; see the module for what Prometheus 3 does.
    fn range_selector(&mut self, selector: &MatrixSelector, at: i64) -> Result<Window, QueryError> {
        let found = self.selected(&selector.vs)?;
        let to = self.moment(at, selector.vs.at.as_ref(), selector.vs.offset.as_ref());
        let from = to - milliseconds(selector.range);
        let scrapes = self.history.scrapes_between(from, to);
        self.spend(found.len())?;
        let mut series = Vec::new();
        for selected in found.iter().filter(|selected| selected.has_samples(&scrapes)) {
            let mut points = Vec::with_capacity((scrapes.end - scrapes.start) as usize);
            selected.collect(&scrapes, &mut points);
            self.spend(points.len())?;
            series.push(Series { labels: selected.labels.clone(), points });
        }
        Ok(Window { series, from, to })
    }

    /// Evaluates the inner expression at every multiple of the step within the range.
    fn subquery(&mut self, subquery: &SubqueryExpr, at: i64) -> Result<Window, QueryError> {
        let to = self.moment(at, subquery.at.as_ref(), subquery.offset.as_ref());
        let from = to - milliseconds(subquery.range);
        let step = subquery.step.map_or(SUBQUERY_STEP_MS, milliseconds).max(1);
        let mut moment = from.div_euclid(step) * step;
        if moment < from {
            moment += step;
        }
        let mut series: Vec<Series> = Vec::new();
        let mut places = std::collections::HashMap::new();
        while moment <= to {
            self.spend(1)?;
            for sample in self.value(&subquery.expr, moment)?.into_samples() {
                self.spend(1)?;
                let place = *places.entry(sample.labels).or_insert_with_key(|labels| {
                    series.push(Series { labels: labels.clone(), points: Vec::new() });
                    series.len() - 1
                });
                let value = sample.value;
                series[place].points.push(crate::traffic::history::Point { at: moment, value });
            }
            moment += step;
        }
        Ok(Window { series, from, to })
    }
}

fn since_1970(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => milliseconds(after),
        Err(before) => -milliseconds(before.duration()),
    }
}
