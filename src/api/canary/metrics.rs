//! `analysis.metrics`: what is measured at every check, and between which limits it passes.

use super::reader::{Reader, asks};
use crate::api::Query;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
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
    /// What the query of a MetricTemplate answers.
    Template,
}

impl CheckKind {
    /// Whether it measures what only its author knows.
    pub fn is_own(self) -> bool {
        matches!(self, CheckKind::Custom | CheckKind::Template)
    }
}

/// Which of Istio's metric names a check is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `istio_requests_total`, `istio_request_duration_seconds_bucket`: Flagger before 0.14, Istio before 1.5.
    Early,
    /// `request-success-rate`, `request-duration`.
    Current,
}

/// A MetricTemplate that a check is asked by, and what the check puts into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRef {
    pub name: String,
    /// None: the Canary's own.
    pub namespace: Option<String>,
    /// The metric's interval as it is written; empty where there is none.
    pub interval: String,
    pub variables: BTreeMap<String, String>,
}

/// What a check is asked by that is not built in.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    By(Query),
    Through(TemplateRef),
}

impl Reader<'_> {
    /// The checks of one metric. A built-in name that comes with a query asks for both, as in Flagger; one that comes with a
    /// template asks for the template's alone.
    pub fn checks(&mut self, path: &str, value: &Value) -> Vec<(Check, Option<Asked>)> {
        let Some(metric) = value.as_object() else {
            self.problem(path, "is no object");
            return Vec::new();
        };
        let name = metric.get("name").and_then(Value::as_str).unwrap_or("");
        let asked = metric.get("query").filter(|query| asks(query));
        let template = metric.get("templateRef").filter(|template| asks(template));
        let own = asked.is_some() || template.is_some();
        let mut known = vec!["name", "interval", "threshold", "thresholdRange", "templateRef"];
        if own {
            known.extend(["query", "templateVariables"]);
        }
        self.only(path, metric, &known);
        let built_in = match name {
            _ if template.is_some() => None,
            "request-success-rate" => Some((CheckKind::SuccessRate, Era::Current)),
            "request-duration" => Some((CheckKind::Duration, Era::Current)),
            // A query of their own has long been all that the names of the early days stand for.
            "istio_requests_total" if asked.is_none() => Some((CheckKind::SuccessRate, Era::Early)),
            "istio_request_duration_seconds_bucket" if asked.is_none() => Some((CheckKind::Duration, Era::Early)),
            _ => None,
        };
        if built_in.is_none() && (!own || name.is_empty()) {
            self.problem(
                format!("{path}.name"),
                match name {
                    "" => "is missing".to_string(),
                    name => format!(
                        "is {name:?}; only request-success-rate and request-duration are built in, and it has no query and no \
                         templateRef"
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
        let template = template.and_then(|template| self.template(path, metric, template));
        let kinds = built_in.into_iter().map(|kind| (kind, None));
        let kinds = kinds.chain(query.map(|query| ((CheckKind::Custom, Era::Current), Some(Asked::By(query)))));
        let kinds =
            kinds.chain(template.map(|template| ((CheckKind::Template, Era::Current), Some(Asked::Through(template)))));
        let checks = kinds.map(|((kind, era), asked)| {
            let (min, max) = self.limits(path, metric, kind);
            (Check { name: name.to_string(), kind, era, min, max, interval }, asked)
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
        Query::read(text, interval_text(metric), &variables).map_err(|why| self.problem(field, why)).ok()
    }

    /// The template that a metric names, with its variables.
    fn template(&mut self, path: &str, metric: &Map<String, Value>, template: &Value) -> Option<TemplateRef> {
        let field = format!("{path}.templateRef");
        let template = self.object(&field, Some(template))?;
        self.only(&field, template, &["apiVersion", "kind", "name", "namespace"]);
        let mut named = |key: &str| {
            let field = format!("{field}.{key}");
            let name = self.text(&field, template.get(key))?;
            // It becomes part of a path of the API.
            if !is_name(&name) {
                self.problem(field, format!("is {name:?}, which is no name of an object"));
            }
            Some(name)
        };
        let (name, namespace) = (named("name"), named("namespace"));
        if name.is_none() {
            self.problem(format!("{field}.name"), "is missing");
        }
        let variables = self.texts(&format!("{path}.templateVariables"), metric.get("templateVariables"));
        Some(TemplateRef { name: name?, namespace, interval: interval_text(metric).to_string(), variables })
    }

    /// The lowest and the highest value that pass.
    fn limits(&mut self, path: &str, metric: &Map<String, Value>, kind: CheckKind) -> (Option<f64>, Option<f64>) {
        match metric.get("thresholdRange") {
            None | Some(Value::Null) => {
                let limit = self.limit(&format!("{path}.threshold"), metric.get("threshold")).unwrap_or(0.0);
                if limit < 0.0 && !kind.is_own() {
                    self.problem(format!("{path}.threshold"), format!("is {limit}; it must not be negative"));
                }
                match kind {
                    CheckKind::SuccessRate => (Some(limit), None),
                    CheckKind::Duration | CheckKind::Custom | CheckKind::Template => (None, Some(limit)),
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

fn interval_text(metric: &Map<String, Value>) -> &str {
    metric.get("interval").and_then(Value::as_str).unwrap_or("")
}

/// Whether a text can be the name of an object of Kubernetes.
pub fn is_name(text: &str) -> bool {
    let of_names = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !text.is_empty()
        && text.len() <= 253
        && text.chars().all(of_names)
        && !text.starts_with('.')
        && !text.ends_with('.')
}
