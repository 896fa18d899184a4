//! The Canary's spec, read from any of its versions into what the controller carries out.
//!
//! Reading is by allow-list: a field that we do not carry out, and that asks for something, is a [`Problem`], so that
//! a gate is never silently skipped. Nothing is dropped from the object by reading it: it is patched, never rewritten.

use super::{Problem, Query, duration};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// A Canary's spec as far as we carry it out: Deployment targets, Istio routes, the two built-in metrics and
/// queries of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Name of the Deployment that `targetRef` names, in the Canary's namespace.
    pub target: String,
    pub service: Service,
    pub analysis: Analysis,
    /// How long a workload may stay without its ready pods before the rollout fails. Flagger's default is 600 s.
    pub progress_deadline: Duration,
    /// Address of the Prometheus to ask, where the Canary names one.
    pub metrics_server: Option<String>,
}

impl Spec {
    /// Name of the primary workload.
    pub fn primary(&self) -> String {
        format!("{}-primary", self.target)
    }
}

/// `spec.service`: the name and port under which the workloads are served.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The apex name: the VirtualService's and the Service's; `<apex>-primary` and `<apex>-canary` are derived of it.
    pub apex: String,
    pub port: u16,
    /// `http` unless given.
    pub port_name: String,
    /// A port's number or name; the port itself unless given.
    pub target_port: Value,
    pub hosts: Vec<String>,
    pub gateways: Vec<String>,
}

/// `spec.analysis`, or `spec.canaryAnalysis` of the alpha versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Time between two checks; the controller bounds it from below.
    pub interval: Duration,
    /// Failed checks that end the rollout; at least 1.
    pub threshold: u32,
    /// Weight from which the canary is promoted, 1 to 100: the last of `step_weights` where there are any.
    pub max_weight: u8,
    /// Percent of traffic added by a step, 1 to 100; 0 where `step_weights` names the weights.
    pub step_weight: u8,
    /// The weights of the steps, rising, 1 to 100 each; empty where `step_weight` says them.
    pub step_weights: Vec<u8>,
    /// Percent of traffic that goes back to the promoted primary at a time; 0: all at once.
    pub step_weight_promotion: u8,
    /// Percent of its updated pods that the primary needs to be ready, 0 to 100.
    pub primary_ready_threshold: u8,
    /// The same of the canary.
    pub canary_ready_threshold: u8,
    pub checks: Vec<Check>,
    /// The queries of the [`Custom`](CheckKind::Custom) checks, by their place in `checks`.
    pub queries: BTreeMap<usize, Query>,
}

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

impl Spec {
    /// Reads `spec`. All that is wrong is reported, not only the first.
    pub fn read(spec: &Value) -> Result<Self, Vec<Problem>> {
        match Self::read_partly(spec) {
            (Some(parsed), problems) if problems.is_empty() => Ok(parsed),
            (_, problems) => Err(problems),
        }
    }

    /// Reads what can be read, and what is wrong with the rest: a rollout under way must be brought home even when its
    /// Canary has come to ask for what is not carried out.
    pub fn read_partly(spec: &Value) -> (Option<Self>, Vec<Problem>) {
        let mut problems = Vec::new();
        let parsed = Reader { problems: &mut problems }.spec(spec);
        (parsed, problems)
    }
}

/// Whether a `stepWeights` names none.
fn no_weights(value: &Value) -> bool {
    value.as_array().map_or(value.is_null(), Vec::is_empty)
}

struct Reader<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem::new(field, why));
    }

    fn spec(&mut self, value: &Value) -> Option<Spec> {
        let Some(spec) = value.as_object() else {
            self.problem("spec", "is missing");
            return None;
        };
        let known = ["targetRef", "service", "analysis", "canaryAnalysis", "progressDeadlineSeconds", "metricsServer"];
        self.only("spec", spec, &[&known[..], &["provider"]].concat());
        if let Some(provider) = spec.get("provider").and_then(Value::as_str).filter(|p| !p.is_empty() && *p != "istio")
        {
            self.problem("spec.provider", format!("is {provider:?}; only istio is supported"));
        }
        let target = self.target(spec.get("targetRef").unwrap_or(&Value::Null));
        let service = self.service(spec.get("service").unwrap_or(&Value::Null), target.as_deref());
        let (path, analysis) = match (spec.get("analysis"), spec.get("canaryAnalysis")) {
            (Some(Value::Object(analysis)), _) => ("spec.analysis", Some(analysis)),
            (_, Some(Value::Object(analysis))) => ("spec.canaryAnalysis", Some(analysis)),
            _ => ("spec.analysis", None),
        };
        let analysis = match analysis {
            Some(analysis) => self.analysis(path, analysis),
            None => {
                self.problem(path, "is missing");
                None
            }
        };
        let deadline =
            self.whole("spec.progressDeadlineSeconds", spec.get("progressDeadlineSeconds"), 600, 1, 31_536_000);
        Some(Spec {
            target: target?,
            service: service?,
            analysis: analysis?,
            progress_deadline: Duration::from_secs(deadline?),
            metrics_server: spec
                .get("metricsServer")
                .and_then(Value::as_str)
                .filter(|s| !s.is_empty())
                .map(str::to_string),
        })
    }

    fn target(&mut self, target: &Value) -> Option<String> {
        let text = |key: &str| target.get(key).and_then(Value::as_str).unwrap_or("");
        match text("kind") {
            "Deployment" => {}
            "" => self.problem("spec.targetRef.kind", "is missing"),
            kind => self.problem("spec.targetRef.kind", format!("is {kind:?}; only Deployment is supported")),
        }
        match text("name") {
            "" => {
                self.problem("spec.targetRef.name", "is missing");
                None
            }
            name => Some(name.to_string()),
        }
    }

    fn service(&mut self, value: &Value, target: Option<&str>) -> Option<Service> {
        let Some(service) = value.as_object() else {
            self.problem("spec.service", "is missing");
            return None;
        };
        self.only("spec.service", service, &["name", "port", "portName", "targetPort", "hosts", "gateways"]);
        let port = match service.get("port") {
            None | Some(Value::Null) => {
                self.problem("spec.service.port", "is missing");
                None
            }
            given => self.whole("spec.service.port", given, 0, 1, 65_535),
        };
        let text = |key: &str| service.get(key).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_string);
        let target_port = match service.get("targetPort") {
            Some(Value::String(name)) if !name.is_empty() && name != "0" => Some(Value::String(name.clone())),
            Some(Value::Number(n)) if n.as_f64() != Some(0.0) => Some(Value::Number(n.clone())),
            _ => None,
        };
        Some(Service {
            apex: text("name").or_else(|| target.map(str::to_string))?,
            port: port? as u16,
            port_name: text("portName").unwrap_or_else(|| "http".into()),
            target_port: target_port.unwrap_or_else(|| Value::from(port.unwrap_or_default())),
            hosts: self.strings("spec.service.hosts", service.get("hosts")),
            gateways: self.strings("spec.service.gateways", service.get("gateways")),
        })
    }

    fn analysis(&mut self, path: &str, analysis: &Map<String, Value>) -> Option<Analysis> {
        let known = [
            "interval",
            "threshold",
            "maxWeight",
            "stepWeight",
            "stepWeights",
            "stepWeightPromotion",
            "primaryReadyThreshold",
            "canaryReadyThreshold",
            "metrics",
        ];
        self.only(path, analysis, &known);
        let interval = self.duration(&format!("{path}.interval"), analysis.get("interval"));
        let threshold = self.whole(&format!("{path}.threshold"), analysis.get("threshold"), 1, 0, 1_000_000);
        let max = self.whole(&format!("{path}.maxWeight"), analysis.get("maxWeight"), 100, 0, 100);
        let mut percent =
            |key: &str, default: u64| self.whole(&format!("{path}.{key}"), analysis.get(key), default, 0, 100);
        let step = percent("stepWeight", 0);
        let back = percent("stepWeightPromotion", 0);
        let (primary_ready, canary_ready) =
            (percent("primaryReadyThreshold", 100), percent("canaryReadyThreshold", 100));
        // As in Flagger, where both are given the step size decides.
        let weights = match step {
            Some(0) => self.weights(&format!("{path}.stepWeights"), analysis.get("stepWeights")),
            _ => Vec::new(),
        };
        if step == Some(0) && weights.is_empty() && analysis.get("stepWeights").is_none_or(no_weights) {
            self.problem(format!("{path}.stepWeight"), "is 0 or missing: no step would ever be taken; give 1 to 100");
        }
        let (mut checks, mut queries) = (Vec::new(), BTreeMap::new());
        match analysis.get("metrics") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (index, metric) in list.iter().enumerate() {
                    for (check, query) in self.checks(&format!("{path}.metrics[{index}]"), metric) {
                        queries.extend(query.map(|query| (checks.len(), query)));
                        checks.push(check);
                    }
                }
            }
            Some(_) => self.problem(format!("{path}.metrics"), "is no list"),
        }
        Some(Analysis {
            interval: interval?,
            threshold: threshold?.max(1) as u32,
            // 0 means that none is set, as in Flagger.
            max_weight: match (weights.last(), max?) {
                (Some(&last), _) => last,
                (None, 0) => 100,
                (None, max) => max as u8,
            },
            step_weight: step? as u8,
            step_weights: weights,
            step_weight_promotion: back? as u8,
            primary_ready_threshold: primary_ready? as u8,
            canary_ready_threshold: canary_ready? as u8,
            checks,
            queries,
        })
    }

    /// The weights of `stepWeights`. Flagger jumps to 100 from a weight that does not rise; here that is a problem.
    fn weights(&mut self, path: &str, value: Option<&Value>) -> Vec<u8> {
        let list = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.problem(path, "is no list");
                return Vec::new();
            }
        };
        let mut weights: Vec<u8> = Vec::new();
        for (index, weight) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(weight) = self.whole(&path, Some(weight), 0, 1, 100) else { continue };
            match weights.last() {
                Some(&last) if weight <= u64::from(last) => {
                    self.problem(path, format!("is {weight} after {last}: the weights must rise"));
                }
                _ => weights.push(weight as u8),
            }
        }
        weights
    }

    /// The checks of one metric. A built-in name that comes with a query asks for both, as in Flagger.
    fn checks(&mut self, path: &str, value: &Value) -> Vec<(Check, Option<Query>)> {
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
        let mut variables = BTreeMap::new();
        match metric.get("templateVariables") {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) if map.values().all(Value::is_string) => {
                variables
                    .extend(map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))));
            }
            Some(_) => self.problem(format!("{path}.templateVariables"), "is no map of strings"),
        }
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

    /// A duration, 60 s where none is given (Flagger's default, and v1alpha2 has no analysis interval at all).
    fn duration(&mut self, path: &str, value: Option<&Value>) -> Option<Duration> {
        match value {
            None | Some(Value::Null) => Some(Duration::from_secs(60)),
            Some(Value::String(text)) if text.is_empty() => Some(Duration::from_secs(60)),
            Some(Value::String(text)) => duration::parse(text).map_err(|why| self.problem(path, why)).ok(),
            Some(other) => {
                self.problem(path, format!("is {other}, which is no duration: write it like 30s"));
                None
            }
        }
    }

    /// A limit, where one is given; what is given and no number is a problem.
    fn limit(&mut self, path: &str, value: Option<&Value>) -> Option<f64> {
        let value = value.filter(|v| !v.is_null())?;
        let number = value.as_f64();
        if number.is_none() {
            self.problem(path, format!("is {value}, which is no number"));
        }
        number
    }

    /// A whole number within bounds; CRDs of every era declare `number`, so `10.0` is one too.
    fn whole(&mut self, path: &str, value: Option<&Value>, default: u64, min: u64, max: u64) -> Option<u64> {
        let number = match value {
            None | Some(Value::Null) => return Some(default),
            Some(value) => value.as_f64(),
        };
        match number {
            Some(n) if n.fract() == 0.0 && n >= min as f64 && n <= max as f64 => Some(n as u64),
            _ => {
                let given = value.unwrap_or(&Value::Null);
                self.problem(path, format!("is {given}; it must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    fn strings(&mut self, path: &str, value: Option<&Value>) -> Vec<String> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).map(str::to_string).collect()
            }
            Some(_) => {
                self.problem(path, "is no list of strings");
                Vec::new()
            }
        }
    }

    /// Reports every key that is not known and asks for something.
    fn only(&mut self, path: &str, map: &Map<String, Value>, known: &[&str]) {
        for (key, value) in map {
            if !known.contains(&key.as_str()) && asks(value) {
                self.problems.push(Problem::unsupported(format!("{path}.{key}")));
            }
        }
    }
}

/// Whether a value asks for anything: Flagger's fields are off when absent, empty, zero or false.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "provider": "istio",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "service": {"port": 80, "targetPort": 8080, "hosts": ["app.example.com"]},
            "analysis": {
                "interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
                "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"}]
            }
        })
    }

    fn fields(spec: &Value) -> Vec<String> {
        Spec::read(spec).expect_err("refused").into_iter().map(|p| p.field).collect()
    }

    #[test]
    fn reads_the_present_version() {
        let spec = Spec::read(&good()).unwrap();
        assert_eq!((spec.target.as_str(), spec.service.apex.as_str()), ("app", "app"));
        assert_eq!(spec.analysis.checks[0].min, Some(99.0));
        assert_eq!(spec.progress_deadline, Duration::from_secs(600));
    }

    #[test]
    fn reads_the_alpha_version_with_its_names() {
        let mut spec = good();
        let mut analysis = spec["analysis"].take();
        spec.as_object_mut().unwrap().remove("analysis");
        analysis["metrics"] = json!([
            {"name": "istio_requests_total", "threshold": 99, "interval": "60s"},
            {"name": "istio_request_duration_seconds_bucket", "threshold": 500}
        ]);
        analysis.as_object_mut().unwrap().remove("interval");
        spec["canaryAnalysis"] = analysis;
        let read = Spec::read(&spec).unwrap().analysis;
        assert_eq!(read.interval, Duration::from_secs(60));
        assert_eq!((read.checks[0].era, read.checks[0].min), (Era::Early, Some(99.0)));
        assert_eq!((read.checks[1].kind, read.checks[1].max), (CheckKind::Duration, Some(500.0)));
    }

    #[test]
    fn named_weights_are_read_where_no_step_size_decides() {
        let mut spec = good();
        spec["analysis"]["stepWeights"] = json!([1, 2, 10, 80]);
        let read = Spec::read(&spec).unwrap().analysis;
        assert_eq!((read.step_weight, read.step_weights.len(), read.max_weight), (10, 0, 50), "the step size decides");
        spec["analysis"].as_object_mut().unwrap().remove("stepWeight");
        spec["analysis"]["stepWeightPromotion"] = json!(25);
        spec["analysis"]["canaryReadyThreshold"] = json!(50);
        let read = Spec::read(&spec).unwrap().analysis;
        assert_eq!((read.step_weights.as_slice(), read.max_weight), (&[1, 2, 10, 80][..], 80));
        assert_eq!(
            (read.step_weight_promotion, read.primary_ready_threshold, read.canary_ready_threshold),
            (25, 100, 50)
        );
        for (weights, field) in [
            (json!([10, 10]), "spec.analysis.stepWeights[1]"),
            (json!([10, 101]), "spec.analysis.stepWeights[1]"),
            (json!([0, 10]), "spec.analysis.stepWeights[0]"),
            (json!("10,20"), "spec.analysis.stepWeights"),
            (json!([]), "spec.analysis.stepWeight"),
        ] {
            spec["analysis"]["stepWeights"] = weights;
            assert_eq!(fields(&spec), [field]);
        }
    }

    #[test]
    fn names_every_field_that_is_not_carried_out() {
        let mut spec = good();
        spec["autoscalerRef"] = json!({"kind": "HorizontalPodAutoscaler", "name": "app"});
        spec["skipAnalysis"] = json!(true);
        spec["service"]["retries"] = json!({"attempts": 3});
        spec["analysis"]["webhooks"] = json!([{"name": "gate", "url": "http://x"}]);
        spec["analysis"]["match"] = json!([{}]);
        spec["analysis"]["metrics"][0]["templateRef"] = json!({"name": "x"});
        let mut fields = fields(&spec);
        fields.sort();
        assert_eq!(
            fields,
            [
                "spec.analysis.match",
                "spec.analysis.metrics[0].templateRef",
                "spec.analysis.webhooks",
                "spec.autoscalerRef",
                "spec.service.retries",
                "spec.skipAnalysis",
            ]
        );
    }

    #[test]
    fn a_query_is_a_check_of_its_own_beside_the_built_in_ones() {
        let mut spec = good();
        spec["analysis"]["metrics"] = json!([
            {"name": "request-success-rate", "thresholdRange": {"min": 99}},
            {"name": "404s percentage", "threshold": 5, "interval": "30s", "query": "errors{ns=\"{{namespace}}\"}[{{ interval }}]"},
            {"name": "request-duration", "threshold": 500, "query": "{{ variables.q }}", "templateVariables": {"q": "up"}},
            {"name": "istio_requests_total", "query": "up", "thresholdRange": {"min": 1, "max": 2}},
        ]);
        let read = Spec::read(&spec).unwrap();
        let checks: Vec<_> = read.analysis.checks.iter().map(|c| (c.name.as_str(), c.kind, c.min, c.max)).collect();
        assert_eq!(
            checks,
            [
                ("request-success-rate", CheckKind::SuccessRate, Some(99.0), None),
                ("404s percentage", CheckKind::Custom, None, Some(5.0)),
                ("request-duration", CheckKind::Duration, None, Some(500.0)),
                ("request-duration", CheckKind::Custom, None, Some(500.0)),
                ("istio_requests_total", CheckKind::Custom, Some(1.0), Some(2.0)),
            ]
        );
        let texts: Vec<_> =
            read.analysis.queries.iter().map(|(place, query)| (*place, query.text(&read, "app", "prod"))).collect();
        let wanted = [(1, r#"errors{ns="prod"}[30s]"#), (3, "up"), (4, "up")];
        assert_eq!(texts, wanted.map(|(place, text)| (place, text.to_string())));
    }

    #[test]
    fn a_query_that_cannot_be_carried_out_is_named() {
        for (change, field, why) in [
            (json!({"query": "up{pod=\"{{ pod }}\"}"}), "query", "uses {{ pod }}"),
            (json!({"query": "{{ variables.x }}", "templateVariables": {"y": "1"}}), "query", "has no x"),
            (json!({"query": "up", "templateVariables": {"x": 1}}), "templateVariables", "no map of strings"),
            (json!({"query": ["up"]}), "query", "is no text"),
            (json!({"query": " \n"}), "query", "is blank"),
            (json!({"query": "", "threshold": 1}), "name", "it has no query"),
            (json!({"query": "up", "templateRef": {"name": "x"}}), "templateRef", "not supported"),
            (json!({"query": "up", "thresholdRange": {}}), "thresholdRange", "neither min nor max"),
            (json!({"query": "up", "threshold": "5"}), "threshold", "no number"),
            (json!({"query": "up", "threshold": "5", "name": "request-duration"}), "threshold", "no number"),
            (json!({"query": "up", "interval": "soon"}), "interval", "no duration"),
            (json!({"query": "up", "name": ""}), "name", "is missing"),
        ] {
            let mut metric = json!({"name": "errors"});
            metric.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let mut spec = good();
            spec["analysis"]["metrics"] = json!([metric]);
            let problems = Spec::read(&spec).expect_err("refused");
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].field, format!("spec.analysis.metrics[0].{field}"));
            assert!(problems[0].why.contains(why), "{problems:?}");
        }
    }

    #[test]
    fn a_field_that_asks_for_nothing_is_no_problem() {
        let mut spec = good();
        spec["skipAnalysis"] = json!(false);
        spec["suspend"] = json!(false);
        spec["analysis"]["webhooks"] = json!([]);
        spec["analysis"]["iterations"] = json!(0);
        assert!(Spec::read(&spec).is_ok());
    }

    #[test]
    fn nonsense_is_named_field_by_field() {
        for (pointer, value, field) in [
            ("/analysis/interval", json!("soon"), "spec.analysis.interval"),
            ("/analysis/interval", json!(60), "spec.analysis.interval"),
            ("/analysis/threshold", json!(-1), "spec.analysis.threshold"),
            ("/analysis/maxWeight", json!(101), "spec.analysis.maxWeight"),
            ("/analysis/stepWeight", json!(0), "spec.analysis.stepWeight"),
            ("/analysis/stepWeight", json!(1e308), "spec.analysis.stepWeight"),
            ("/analysis/metrics", json!("x"), "spec.analysis.metrics"),
            ("/analysis/metrics/0/name", json!("no-such"), "spec.analysis.metrics[0].name"),
            ("/targetRef/kind", json!("DaemonSet"), "spec.targetRef.kind"),
            ("/service/port", json!(70000), "spec.service.port"),
            ("/provider", json!("linkerd"), "spec.provider"),
            ("/analysis/metrics/0/thresholdRange", json!({}), "spec.analysis.metrics[0].thresholdRange"),
        ] {
            let mut spec = good();
            *spec.pointer_mut(pointer).unwrap() = value;
            assert_eq!(fields(&spec), [field], "{pointer}");
        }
        let mut spec = good();
        spec["analysis"]["metrics"][0] = json!({"name": "request-success-rate", "threshold": "99"});
        assert_eq!(fields(&spec), ["spec.analysis.metrics[0].threshold"], "a limit in quotes is none");
        for spec in [json!(null), json!([]), json!({}), json!({"analysis": 3, "service": "x", "targetRef": []})] {
            assert!(Spec::read(&spec).is_err());
        }
    }
}
