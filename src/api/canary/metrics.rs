//! `analysis.metrics`: what is measured at every check, and between which limits it passes.

use super::reader::{Reader, asks};
use crate::api::Query;
use serde_json::{Map, Value};
use std::time::Duration;

/// One check of `analysis.metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The name as the Canary writes it.
    pub name: String,
    pub kind: CheckKind,
    pub era: Era,
    /// Lowest value that passes.
    pub min: Option<f64>,
    /// Highest value that passes.
    pub max: Option<f64>,
    /// Window of the rate.
    pub interval: Duration,
}

/// What a check measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Requests that were not answered with 5xx, in percent.
    SuccessRate,
    /// The 99th percentile of the request duration, in milliseconds.
    Duration,
    /// What a query of the Canary's own answers, in whatever unit it has.
    Custom,
}

/// Which of Istio's metric names a check is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `istio_requests_total`, `istio_request_duration_seconds_bucket`: Flagger before 0.14, Istio before 1.5.
    Early,
    /// `request-success-rate`, `request-duration`.
    Current,
}

impl Reader<'_> {
    /// The checks of one metric. A built-in name that comes with a query asks for both, as in Flagger.
    pub fn checks(&mut self, path: &str, value: &Value) -> Vec<(Check, Option<Query>)> {
        let Some(metric) = value.as_object() else {
            self.problem(path, "is no object");
            return Vec::new();
        };
        let name = metric.get("name").and_then(Value::as_str).unwrap_or("");
        let asked = metric.get("query").filter(|query| asks(query));
        let mut known = vec!["name", "interval", "threshold", "thresholdRange"];
        if asked.is_some() {
            known.extend(["query", "templateVariables"]);
        }
        self.only(path, metric, &known);
        let built_in = match name {
            "request-success-rate" => Some((CheckKind::SuccessRate, Era::Current)),
            "request-duration" => Some((CheckKind::Duration, Era::Current)),
            // A query of their own has long been all that the names of the early days stand for.
            "istio_requests_total" if asked.is_none() => Some((CheckKind::SuccessRate, Era::Early)),
            "istio_request_duration_seconds_bucket" if asked.is_none() => Some((CheckKind::Duration, Era::Early)),
            _ => None,
        };
        if built_in.is_none() && (asked.is_none() || name.is_empty()) {
            self.problem(
                format!("{path}.name"),
                match name {
                    "" => "is missing".to_string(),
                    name => format!(
                        "is {name:?}; only request-success-rate and request-duration are built in, and it has no query"
                    ),
                },
            );
            return Vec::new();
        }
        let Some(interval) = self.duration(&format!("{path}.interval"), metric.get("interval")) else {
            return Vec::new();
        };
        if interval.is_zero() {
            self.problem(format!("{path}.interval"), "is 0: no rate has an empty window");
        }
        let query = asked.and_then(|query| self.query(path, metric, query));
        let kinds = built_in.into_iter().map(|kind| (kind, None));
        let kinds = kinds.chain(query.map(|query| ((CheckKind::Custom, Era::Current), Some(query))));
        let checks = kinds.map(|((kind, era), query)| {
            let (min, max) = self.limits(path, metric, kind);
            (Check { name: name.to_string(), kind, era, min, max, interval }, query)
        });
        let checks = checks.collect();
        // Two checks of one metric share their limits, and what is wrong with them.
        self.problems.dedup();
        checks
    }

    /// A metric's own query with its variables.
    fn query(&mut self, path: &str, metric: &Map<String, Value>, query: &Value) -> Option<Query> {
        let field = format!("{path}.query");
        let Some(text) = query.as_str() else {
            self.problem(field, "is no text");
            return None;
        };
        if text.trim().is_empty() {
            self.problem(field, "is blank");
            return None;
        }
        let variables = self.texts(&format!("{path}.templateVariables"), metric.get("templateVariables"));
        let interval = metric.get("interval").and_then(Value::as_str).unwrap_or("");
        Query::read(text, interval, &variables).map_err(|why| self.problem(field, why)).ok()
    }

    /// The lowest and the highest value that pass.
    fn limits(&mut self, path: &str, metric: &Map<String, Value>, kind: CheckKind) -> (Option<f64>, Option<f64>) {
        match metric.get("thresholdRange") {
            None | Some(Value::Null) => {
                let limit = self.limit(&format!("{path}.threshold"), metric.get("threshold")).unwrap_or(0.0);
                if limit < 0.0 && kind != CheckKind::Custom {
                    self.problem(format!("{path}.threshold"), format!("is {limit}; it must not be negative"));
                }
                match kind {
                    CheckKind::SuccessRate => (Some(limit), None),
                    CheckKind::Duration | CheckKind::Custom => (None, Some(limit)),
                }
            }
            Some(range) => {
                let path = format!("{path}.thresholdRange");
                let min = self.limit(&format!("{path}.min"), range.get("min"));
                let max = self.limit(&format!("{path}.max"), range.get("max"));
                if min.is_none() && max.is_none() {
                    // Or it would pass whatever comes: a gate that is silently skipped.
                    self.problem(path, "has neither min nor max");
                }
                (min, max)
            }
        }
    }
}
