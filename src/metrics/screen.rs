//! The numbers on the screen: four queries for all workloads of a namespace, however many there are. They are the numbers
//! that the checks' queries give for each workload alone.

use super::promql::{literal, quoted};
use super::query::{Labels, Sample, Series};
use super::{Prometheus, QueryError};
use crate::api::duration;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

/// What is shown of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Requests not answered with 5xx, in percent.
    Success,
    /// The 99th percentile of the request duration, in milliseconds.
    P99,
    /// Requests a second.
    Rps,
    /// Cores in use by the containers of all its pods, without Istio's sidecar.
    Cpu,
    /// Bytes of the working set of the same containers.
    Memory,
}

impl Metric {
    /// All of them, in the order in which they are asked for.
    pub const ALL: [Metric; 5] = [Metric::Success, Metric::P99, Metric::Rps, Metric::Cpu, Metric::Memory];

    fn of_traffic(self) -> bool {
        matches!(self, Metric::Success | Metric::P99 | Metric::Rps)
    }
}

/// What is asked of Prometheus with one HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The success rate and the requests a second; [`FIGURE`] tells them apart.
    Requests,
    Durations,
    Cpu,
    Memory,
}

/// The label that says which of two figures a series of [`Asked::Requests`] is.
const FIGURE: &str = "canary_tui_figure";

impl Asked {
    const ALL: [Asked; 4] = [Asked::Requests, Asked::Durations, Asked::Cpu, Asked::Memory];

    /// The metrics that the answer holds.
    fn metrics(self) -> &'static [Metric] {
        match self {
            Asked::Requests => &[Metric::Success, Metric::Rps],
            Asked::Durations => &[Metric::P99],
            Asked::Cpu => &[Metric::Cpu],
            Asked::Memory => &[Metric::Memory],
        }
    }

    /// The metric that a series of the answer is of.
    fn metric_of(self, labels: &Labels) -> Option<Metric> {
        match self {
            Asked::Requests => match labels.get(FIGURE)? {
                "success" => Some(Metric::Success),
                "rate" => Some(Metric::Rps),
                _ => None,
            },
            Asked::Durations => Some(Metric::P99),
            Asked::Cpu => Some(Metric::Cpu),
            Asked::Memory => Some(Metric::Memory),
        }
    }
}

/// A workload's numbers; None where there is none, which is not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadMetrics {
    /// Percent.
    pub success: Option<f64>,
    /// Milliseconds; infinite where the percentile lies above the last bucket.
    pub p99_ms: Option<f64>,
    /// Requests a second.
    pub rps: Option<f64>,
    pub cpu_cores: Option<f64>,
    pub memory_bytes: Option<f64>,
}

impl WorkloadMetrics {
    /// The value of one metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Success => self.success,
            Metric::P99 => self.p99_ms,
            Metric::Rps => self.rps,
            Metric::Cpu => self.cpu_cores,
            Metric::Memory => self.memory_bytes,
        }
    }

    fn slot(&mut self, metric: Metric) -> &mut Option<f64> {
        match metric {
            Metric::Success => &mut self.success,
            Metric::P99 => &mut self.p99_ms,
            Metric::Rps => &mut self.rps,
            Metric::Cpu => &mut self.cpu_cores,
            Metric::Memory => &mut self.memory_bytes,
        }
    }
}

/// All workloads of some namespaces at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// When the last answer was in, by the clock here.
    pub at: DateTime<Utc>,
    /// By namespace and name.
    pub workloads: BTreeMap<(String, String), WorkloadMetrics>,
    /// Why a metric has no value for any workload.
    pub problems: BTreeMap<Metric, String>,
}

impl Overview {
    /// Whether Prometheus answered none of the queries.
    pub fn unanswered(&self) -> bool {
        self.workloads.is_empty() && self.problems.len() == Metric::ALL.len()
    }
}

/// All workloads of a namespace at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When the last answer was in, by the clock here.
    pub at: DateTime<Utc>,
    /// By the workload's name.
    pub workloads: BTreeMap<String, WorkloadMetrics>,
    /// Why a metric has no value for any workload.
    pub problems: BTreeMap<Metric, String>,
}

impl Snapshot {
    /// Why a workload has no value of a metric; None where it has one.
    pub fn why_missing(&self, workload: &str, metric: Metric) -> Option<&str> {
        if self.workloads.get(workload).and_then(|found| found.get(metric)).is_some() {
            return None;
        }
        let usual = if metric.of_traffic() { "no traffic" } else { "no pods measured" };
        Some(self.problems.get(&metric).map_or(usual, String::as_str))
    }

    /// Whether Prometheus answered none of the queries.
    pub fn unanswered(&self) -> bool {
        self.workloads.is_empty() && self.problems.len() == Metric::ALL.len()
    }
}

/// Points of one metric, in order of time.
pub type Points = Vec<(DateTime<Utc>, f64)>;

/// Some workloads over a time, for the charts' beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By workload and metric; only finite points.
    pub points: BTreeMap<(String, Metric), Points>,
    /// Why a metric has no points at all.
    pub problems: BTreeMap<Metric, String>,
}

impl Prometheus {
    /// All numbers of a namespace; `window` is that of the rates. What fails is told for each metric by itself.
    pub async fn snapshot(&self, namespace: &str, window: Duration) -> Snapshot {
        let Overview { at, workloads, problems } = self.overview(&[namespace], window).await;
        let workloads = workloads.into_iter().map(|((_, workload), found)| (workload, found)).collect();
        Snapshot { at, workloads, problems }
    }

    /// All numbers of some namespaces, by as many queries as those of one.
    pub async fn overview(&self, namespaces: &[&str], window: Duration) -> Overview {
        let scope = Scope { namespaces, workloads: &[], window };
        let ask = |asked: Asked| {
            let scope = &scope;
            // What is no number of a workload counts as an answer all the same.
            let reduce = move |sample: Sample| {
                let metric = asked.metric_of(&sample.labels).filter(|_| !sample.value.is_nan())?;
                let namespace = scope.namespace_of(metric, &sample.labels)?;
                Some(((namespace, workload_of(metric, &sample.labels)?), metric, sample.value))
            };
            let instant = move |query: String| async move { self.instant_as(&query, reduce).await };
            async move { (asked, self.answer(scope, asked, instant).await) }
        };
        let mut workloads: BTreeMap<(String, String), WorkloadMetrics> = BTreeMap::new();
        let mut problems = BTreeMap::new();
        // Taken in as they come: of thousands of pods all answers at once would be megabytes.
        let mut answers: FuturesUnordered<_> = Asked::ALL.into_iter().map(ask).collect();
        while let Some((asked, answer)) = answers.next().await {
            match answer {
                Err(why) => problems.extend(asked.metrics().iter().map(|metric| (*metric, why.clone()))),
                Ok(Answer { unit, found }) => {
                    for (key, metric, value) in found.into_iter().flatten() {
                        let slot = workloads.entry(key).or_default().slot(metric);
                        *slot = Some(slot.unwrap_or(0.0) + value * unit);
                    }
                }
            }
        }
        for found in workloads.values_mut() {
            settle_success(found);
        }
        Overview { at: Utc::now(), workloads, problems }
    }

    /// The numbers of these workloads for every `step` from `from` to `to`; `window` is that of the rates.
    pub async fn history(
        &self,
        namespace: &str,
        workloads: [&str; 2],
        window: Duration,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        step: Duration,
    ) -> History {
        let scope = Scope { namespaces: &[namespace], workloads: &workloads, window };
        let answers = join_all(Asked::ALL.map(|asked| {
            let scope = &scope;
            let range = move |query: String| async move { self.range(&query, from, to, step).await };
            async move { (asked, self.answer(scope, asked, range).await) }
        }))
        .await;
        let mut history = History::default();
        for (asked, answer) in answers {
            match answer {
                Err(why) => history.problems.extend(asked.metrics().iter().map(|metric| (*metric, why.clone()))),
                Ok(Answer { unit, found }) => {
                    // Several pods of one workload add up, point by point.
                    let mut sums: BTreeMap<(String, Metric), BTreeMap<DateTime<Utc>, f64>> = BTreeMap::new();
                    for Series { labels, points } in found {
                        let Some(metric) = asked.metric_of(&labels) else { continue };
                        let Some(workload) = workload_of(metric, &labels) else { continue };
                        let sum = sums.entry((workload, metric)).or_default();
                        for (at, value) in points.into_iter().filter(|(_, value)| value.is_finite()) {
                            *sum.entry(at).or_default() += value * unit;
                        }
                    }
                    let known = sums.into_iter().filter(|((workload, _), _)| workloads.contains(&workload.as_str()));
                    history.points.extend(known.map(|(key, sum)| (key, sum.into_iter().collect())));
                }
            }
        }
        history.settle_success();
        history
    }

    /// One answer: of the present series, or where these have nothing, of those of the era before.
    async fn answer<T, F>(
        &self,
        scope: &Scope<'_>,
        asked: Asked,
        ask: impl Fn(String) -> F,
    ) -> Result<Answer<T>, String>
    where
        F: Future<Output = Result<Vec<T>, QueryError>>,
    {
        for Query { text, unit } in scope.queries(asked) {
            let found = ask(text).await.map_err(|error| error.to_string())?;
            if !found.is_empty() {
                return Ok(Answer { unit, found });
            }
        }
        let window = duration::go(scope.window);
        Err(match asked.metrics().iter().all(|metric| metric.of_traffic()) {
            true => format!("no traffic in {} in the last {window}", scope.name()),
            false => format!("Prometheus has no container metrics of {}", scope.name()),
        })
    }
}

struct Answer<T> {
    unit: f64,
    found: Vec<T>,
}

/// A query and what its values are multiplied by.
struct Query {
    text: String,
    unit: f64,
}

/// Longest list of namespaces in a query, in bytes; it stands there up to three times.
const LONGEST: usize = 1200;

/// What a set of queries is about.
struct Scope<'a> {
    namespaces: &'a [&'a str],
    /// Empty for all.
    workloads: &'a [&'a str],
    window: Duration,
}

impl<'a> Scope<'a> {
    /// The namespaces in words.
    fn name(&self) -> String {
        match self.namespaces {
            [only] => only.to_string(),
            many => format!("these {} namespaces", many.len()),
        }
    }

    /// A matcher of the namespaces. A list that would not fit into an address is not written: what is of none of them is
    /// left out of the answer.
    fn within(&self, label: &str) -> String {
        match self.namespaces {
            [only] => format!(r#"{label}="{}""#, quoted(only)),
            many => {
                let names: Vec<String> = many.iter().map(|name| literal(name)).collect();
                let names = names.join("|");
                if names.len() > LONGEST { format!(r#"{label}!="""#) } else { format!(r#"{label}=~"{names}""#) }
            }
        }
    }

    /// What series are told apart by: with several namespaces, by these too.
    fn by(&self, namespace: &str, label: &str) -> String {
        match self.namespaces {
            [_] => label.to_string(),
            _ => format!("{namespace}, {label}"),
        }
    }

    /// The namespace that a series is of, where it is one of these.
    fn namespace_of(&self, metric: Metric, labels: &Labels) -> Option<String> {
        let label = if metric.of_traffic() { "destination_workload_namespace" } else { "namespace" };
        let name = match self.namespaces {
            [only] => *only,
            _ => labels.get(label)?,
        };
        self.namespaces.contains(&name).then(|| name.to_string())
    }

    /// The queries of what is asked: that of today first, then, for what has changed its name, that of the era before.
    fn queries(&self, asked: Asked) -> Vec<Query> {
        let requests = self.requests();
        let window = duration::prometheus(self.window);
        let by = self.by("destination_workload_namespace", "destination_workload");
        match asked {
            Asked::Requests => {
                let total = format!("sum by ({by}) (rate(istio_requests_total{{{requests}}}[{window}]))");
                let success = format!(
                    r#"sum by ({by}) (rate(istio_requests_total{{{requests},response_code!~"5.*"}}[{window}])) / {total} * 100"#
                );
                let named =
                    |query: &str, name: &str| format!(r#"label_replace({query}, "{FIGURE}", "{name}", "", "")"#);
                let text = format!("{} or {}", named(&success, "success"), named(&total, "rate"));
                vec![Query { text, unit: 1.0 }]
            }
            Asked::Durations => [("milliseconds", 1.0), ("seconds", 1000.0)]
                .map(|(name, unit)| Query {
                    text: format!(
                        "histogram_quantile(0.99, sum by (le, {by}) \
                         (rate(istio_request_duration_{name}_bucket{{{requests}}}[{window}])))"
                    ),
                    unit,
                })
                .into(),
            Asked::Cpu => {
                self.of_pods(|containers| format!("rate(container_cpu_usage_seconds_total{{{containers}}}[{window}])"))
            }
            Asked::Memory => self.of_pods(|containers| format!("container_memory_working_set_bytes{{{containers}}}")),
        }
    }

    /// Matchers of the requests that arrive.
    fn requests(&self) -> String {
        let within = self.within("destination_workload_namespace");
        let mut matchers = format!(r#"reporter="destination",{within}"#);
        if !self.workloads.is_empty() {
            matchers.push_str(&format!(r#",destination_workload=~"{}""#, self.names()));
        }
        matchers
    }

    /// cAdvisor's labels of today and those before Kubernetes 1.16. Empty names are the totals of a pod, `POD` is its
    /// sandbox.
    fn of_pods(&self, series: impl Fn(&str) -> String) -> Vec<Query> {
        [("pod", "container"), ("pod_name", "container_name")]
            .map(|(pod, container)| {
                let within = self.within("namespace");
                let mut matchers = format!(r#"{within},{container}!~"|POD|istio-proxy""#);
                match self.workloads {
                    [] => matchers.push_str(&format!(r#",{pod}!="""#)),
                    _ => matchers.push_str(&format!(r#",{pod}=~"({})-[^-]+-[^-]+""#, self.names())),
                }
                Query { text: format!("sum by ({}) ({})", self.by("namespace", pod), series(&matchers)), unit: 1.0 }
            })
            .into()
    }

    fn names(&self) -> String {
        self.workloads.iter().map(|name| literal(name)).collect::<Vec<_>>().join("|")
    }
}

/// The workload that a series is of.
fn workload_of(metric: Metric, labels: &Labels) -> Option<String> {
    if metric.of_traffic() {
        return labels.get("destination_workload").map(str::to_string);
    }
    let pod = labels.get("pod").or_else(|| labels.get("pod_name"))?;
    // <workload>-<pod-template-hash>-<random>; neither of the two holds a dash.
    let mut parts = pod.rsplitn(3, '-');
    let workload = (parts.next(), parts.next(), parts.next()).2?;
    (!workload.is_empty()).then(|| workload.to_string())
}

/// Where every request is answered with 5xx, nothing stands above the line of the success rate and PromQL has no value
/// for it. The requests say that there is one: none succeeded.
fn settle_success(found: &mut WorkloadMetrics) {
    if found.success.is_none() && found.rps.is_some_and(|rps| rps > 0.0) {
        found.success = Some(0.0);
    }
}

impl History {
    /// As [`settle_success`], at each time.
    fn settle_success(&mut self) {
        let rates = self.points.iter().filter(|((_, metric), _)| *metric == Metric::Rps);
        let rates: Vec<_> = rates.map(|((workload, _), points)| (workload.clone(), points.clone())).collect();
        for (workload, points) in rates {
            let success = self.points.entry((workload, Metric::Success)).or_default();
            let known: BTreeMap<DateTime<Utc>, f64> = success.iter().copied().collect();
            let settled = points.iter().filter_map(|(at, rps)| {
                let none = (*rps > 0.0).then_some(0.0);
                Some((*at, known.get(at).copied().or(none)?))
            });
            *success = settled.collect();
        }
        self.points.retain(|_, points| !points.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Stub, vector};
    use super::*;
    use serde_json::json;

    const WINDOW: Duration = Duration::from_secs(60);

    /// Answers each metric as a Prometheus of today would; what is not named is empty.
    fn modern(query: &str) -> (u16, String) {
        let requests = |pairs: &[(&str, &str)]| {
            let series: Vec<_> =
                pairs.iter().map(|(name, value)| ([("destination_workload", *name)], *value)).collect();
            vector(&series.iter().map(|(labels, value)| (&labels[..], *value)).collect::<Vec<_>>())
        };
        if query.contains("istio_requests_total") {
            let of = |figure: &'static str, pairs: &[(&'static str, &'static str)]| -> Vec<_> {
                pairs
                    .iter()
                    .map(|(name, value)| ([("destination_workload", *name), (FIGURE, figure)], *value))
                    .collect()
            };
            let mut series = of("success", &[("web", "99.5"), ("web-primary", "100"), ("idle", "NaN")]);
            series.extend(of("rate", &[("web", "10"), ("web-primary", "90"), ("idle", "0"), ("broken", "3")]));
            return vector(&series.iter().map(|(labels, value)| (&labels[..], *value)).collect::<Vec<_>>());
        }
        if query.contains("milliseconds_bucket") {
            return requests(&[("web", "118"), ("web-primary", "+Inf"), ("idle", "NaN")]);
        }
        if query.contains("sum by (pod) (rate(container_cpu") {
            return vector(&[
                (&[("pod", "web-5d6f-aaaaa")], "0.25"),
                (&[("pod", "web-5d6f-bbbbb")], "0.5"),
                (&[("pod", "web-primary-77-ccccc")], "1"),
                (&[("pod", "db-0")], "7"),
            ]);
        }
        vector(&[])
    }

    #[tokio::test]
    async fn a_snapshot_holds_every_workload_of_the_namespace() {
        let stub = Stub::answering(modern);
        let snapshot = stub.prometheus().await.snapshot("prod", WINDOW).await;
        let web = &snapshot.workloads["web"];
        assert_eq!(
            (web.success, web.p99_ms, web.rps, web.cpu_cores),
            (Some(99.5), Some(118.0), Some(10.0), Some(0.75))
        );
        assert_eq!(snapshot.workloads["web-primary"].cpu_cores, Some(1.0));
        assert_eq!(snapshot.workloads["web-primary"].p99_ms, Some(f64::INFINITY));
        assert!(!snapshot.workloads.contains_key("db"), "a pod of no Deployment is no workload");
    }

    #[tokio::test]
    async fn no_value_is_no_zero_and_says_why() {
        let stub = Stub::answering(modern);
        let snapshot = stub.prometheus().await.snapshot("prod", WINDOW).await;
        let idle = &snapshot.workloads["idle"];
        assert_eq!((idle.success, idle.p99_ms, idle.rps), (None, None, Some(0.0)));
        assert_eq!(snapshot.why_missing("idle", Metric::Success), Some("no traffic"));
        assert_eq!(snapshot.why_missing("web", Metric::Success), None);
        assert_eq!(snapshot.why_missing("web", Metric::Memory), Some("Prometheus has no container metrics of prod"));
        assert_eq!(snapshot.why_missing("nobody", Metric::Cpu), Some("no pods measured"));
        assert_eq!(snapshot.problems.len(), 1);
    }

    #[tokio::test]
    async fn nothing_but_failures_is_zero_percent() {
        let stub = Stub::answering(modern);
        let snapshot = stub.prometheus().await.snapshot("prod", WINDOW).await;
        assert_eq!(snapshot.workloads["broken"].success, Some(0.0));
    }

    #[tokio::test]
    async fn the_series_of_the_era_before_are_asked_for_where_there_are_none_of_today() {
        let stub = Stub::answering(|query| match query {
            q if q.contains("istio_request_duration_seconds_bucket") => {
                vector(&[(&[("destination_workload", "web")], "0.25")])
            }
            q if q.contains("sum by (pod_name) (container_memory") && q.contains("container_name!~") => {
                vector(&[(&[("pod_name", "web-5d6f-aaaaa")], "1024")])
            }
            _ => vector(&[]),
        });
        let snapshot = stub.prometheus().await.snapshot("prod", WINDOW).await;
        assert_eq!(snapshot.workloads["web"].p99_ms, Some(250.0));
        assert_eq!(snapshot.workloads["web"].memory_bytes, Some(1024.0));
    }

    #[tokio::test]
    async fn several_namespaces_are_asked_about_at_once_and_kept_apart() {
        let of = |namespace: &'static str| {
            [("destination_workload_namespace", namespace), ("destination_workload", "web"), (FIGURE, "rate")]
        };
        let stub = Stub::answering(move |query| match query.contains("istio_requests_total") {
            true => vector(&[(&of("a"), "1"), (&of("b"), "2"), (&of("c"), "3")]),
            false => vector(&[]),
        });
        let prometheus = stub.prometheus().await;
        let overview = prometheus.overview(&["a", "b"], WINDOW).await;
        let rate = |namespace: &str| overview.workloads.get(&(namespace.into(), "web".into())).and_then(|w| w.rps);
        assert_eq!([rate("a"), rate("b"), rate("c")], [Some(1.0), Some(2.0), None]);
        let first = stub.seen().into_iter().map(|call| call.query).find(|query| query.contains("istio_requests_total"));
        let first = first.unwrap();
        assert!(first.contains(r#"sum by (destination_workload_namespace, destination_workload) ("#), "{first}");
        assert!(first.contains(r#"destination_workload_namespace=~"a|b""#), "{first}");
        let before = stub.seen().len();
        let many: Vec<String> = (0..500).map(|at| format!("team-{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        prometheus.overview(&many, WINDOW).await;
        let seen = stub.seen();
        assert!(seen.len() - before <= 7, "four, and those of an era before where the first have nothing");
        assert!(seen.iter().all(|call| call.query.len() < 4000), "no list that outgrows an address");
    }

    #[tokio::test]
    async fn four_queries_are_asked_however_many_workloads_there_are() {
        let stub = Stub::answering(|_| vector(&[(&[("destination_workload", "a"), ("pod", "a-b-c")], "1")]));
        stub.prometheus().await.snapshot("prod", WINDOW).await;
        assert_eq!(stub.seen().len(), 4);
    }

    #[tokio::test]
    async fn what_fails_is_told_for_each_metric() {
        let stub = Stub::answering(|query| match query.contains("container_") {
            true => (422, json!({"status": "error", "error": "too many samples"}).to_string()),
            false => modern(query),
        });
        let snapshot = stub.prometheus().await.snapshot("prod", WINDOW).await;
        assert!(snapshot.problems[&Metric::Cpu].contains("too many samples"));
        assert_eq!(snapshot.workloads["web"].rps, Some(10.0));
        assert!(!snapshot.unanswered());
        let silent = Stub::answering(|_| (503, "starting".into()));
        assert!(silent.prometheus().await.snapshot("prod", WINDOW).await.unanswered());
    }

    #[tokio::test]
    async fn the_queries_name_the_namespace_and_leave_out_what_is_not_the_app() {
        let stub = Stub::answering(|_| vector(&[(&[], "1")]));
        stub.prometheus().await.snapshot("a\"b", WINDOW).await;
        let asked: Vec<String> = stub.seen().into_iter().map(|call| call.query).collect();
        let has = |text: &str| assert!(asked.iter().any(|query| query == text), "{text}\nnot in {asked:#?}");
        has(concat!(
            r#"label_replace(sum by (destination_workload) (rate(istio_requests_total{reporter="destination","#,
            r#"destination_workload_namespace="a\"b",response_code!~"5.*"}[60s])) / "#,
            r#"sum by (destination_workload) (rate(istio_requests_total{reporter="destination","#,
            r#"destination_workload_namespace="a\"b"}[60s])) * 100, "canary_tui_figure", "success", "", "") or "#,
            r#"label_replace(sum by (destination_workload) (rate(istio_requests_total{reporter="destination","#,
            r#"destination_workload_namespace="a\"b"}[60s])), "canary_tui_figure", "rate", "", "")"#,
        ));
        has(
            r#"sum by (pod) (container_memory_working_set_bytes{namespace="a\"b",container!~"|POD|istio-proxy",pod!=""})"#,
        );
    }

    #[tokio::test]
    async fn a_history_adds_up_pods_and_holds_the_two_workloads_alone() {
        let stub = Stub::serving(|call| {
            assert_eq!(call.path, "/api/v1/query_range");
            let series =
                |labels: serde_json::Value, values: serde_json::Value| json!({"metric": labels, "values": values});
            let result = match &call.query {
                q if q.contains("container_cpu") => vec![
                    series(json!({"pod": "web-1-a"}), json!([[10, "1"], [20, "2"]])),
                    series(json!({"pod": "web-1-b"}), json!([[20, "3"]])),
                    series(json!({"pod": "web-x-1-b"}), json!([[20, "3"]])),
                ],
                q if q.contains("istio_requests_total") => {
                    let of = |figure: &str| json!({"destination_workload": "web-primary", FIGURE: figure});
                    vec![
                        series(of("success"), json!([[10, "NaN"], [20, "99"]])),
                        series(of("rate"), json!([[10, "0"], [20, "4"], [30, "2"]])),
                    ]
                }
                _ => vec![],
            };
            (200, json!({"status": "success", "data": {"resultType": "matrix", "result": result}}).to_string())
        });
        let time = |s| DateTime::from_timestamp(s, 0).unwrap();
        let prometheus = stub.prometheus().await;
        let history = prometheus
            .history("prod", ["web", "web-primary"], WINDOW, (time(10), time(20)), Duration::from_secs(10))
            .await;
        assert_eq!(history.points[&("web".into(), Metric::Cpu)], [(time(10), 1.0), (time(20), 5.0)]);
        // At the last of the times there were requests, and none of them succeeded.
        assert_eq!(history.points[&("web-primary".into(), Metric::Success)], [(time(20), 99.0), (time(30), 0.0)]);
        assert_eq!(history.points[&("web-primary".into(), Metric::Rps)].len(), 3);
        assert_eq!(history.points.len(), 3);
        assert_eq!(stub.seen().len(), 6, "two of the four are asked for in the words of the era before too");
        assert!(history.problems.contains_key(&Metric::P99));
        let asked = stub.seen().into_iter().map(|call| call.query).collect::<Vec<_>>();
        assert!(asked.iter().any(|q| q.contains(r#"destination_workload=~"web|web-primary""#)), "{asked:?}");
        assert!(asked.iter().any(|q| q.contains(r#"pod=~"(web|web-primary)-[^-]+-[^-]+""#)), "{asked:?}");
    }
}
