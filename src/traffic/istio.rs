//! The names, labels and bucket bounds of the series that Istio's proxies and the kubelet export.

use std::sync::Arc;

use super::labels::Labels;

/// The label that holds a bucket's upper bound.
pub const BOUND_LABEL: &str = "le";

/// The upper bounds of the proxy's duration histogram, in milliseconds; `+Inf` follows.
const BOUNDS_MS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// No request takes longer, in milliseconds: the proxy gives up. So all buckets from this bound on are one column.
pub const LONGEST_MS: f64 = 10_000.0;

/// How many columns of a histogram are kept. The last is the count of all requests.
pub const COLUMNS: usize = 13;

/// One sample of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// Requests up to each bound, cumulative over bounds and time.
    pub counts: [u32; COLUMNS],
    /// The sum of all durations, in milliseconds.
    pub sum: f64,
}

impl Row {
    /// Counts one request of so many milliseconds.
    pub fn record(&mut self, milliseconds: f64) {
        let milliseconds = milliseconds.min(LONGEST_MS);
        let lowest = BOUNDS_MS.partition_point(|bound| *bound < milliseconds);
        for count in &mut self.counts[lowest.min(COLUMNS - 1)..] {
            *count = count.wrapping_add(1);
        }
        self.sum += milliseconds;
    }
}

/// The column that holds a bucket.
pub fn column(bucket: usize) -> usize {
    bucket.min(COLUMNS - 1)
}

/// The two units in which Istio has exported durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `istio_request_duration_milliseconds`, since Istio 1.5.
    Milliseconds,
    /// `istio_request_duration_seconds`, before.
    Seconds,
}

impl Era {
    /// Milliseconds in one unit.
    pub fn milliseconds(self) -> f64 {
        match self {
            Self::Milliseconds => 1.0,
            Self::Seconds => 1000.0,
        }
    }
}

/// The three series of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One series a bound.
    Bucket,
    /// The sum of durations.
    Sum,
    /// The number of requests.
    Count,
}

/// The names of the histogram in the two units.
const DURATIONS: [(&str, Era); 2] =
    [("istio_request_duration_milliseconds", Era::Milliseconds), ("istio_request_duration_seconds", Era::Seconds)];

/// How the values of a family's series go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up, but for restarts.
    Counter,
    /// Up and down.
    Gauge,
    /// Counters by upper bound, with their sum and count.
    Histogram,
}

/// The series that are exported under one name, and what is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The metric's name; that of a histogram without the endings of its parts.
    pub name: &'static str,
    /// How its values go.
    pub kind: Kind,
    /// One line for a person.
    pub help: &'static str,
}

/// All families that are ever exported, in the order of their names.
pub const FAMILIES: [Family; 6] = [
    Family {
        name: "container_cpu_usage_seconds_total",
        kind: Kind::Counter,
        help: "CPU time that a container has used, in seconds.",
    },
    Family {
        name: "container_memory_working_set_bytes",
        kind: Kind::Gauge,
        help: "Memory of a container that cannot be freed under pressure, in bytes.",
    },
    Family {
        name: DURATIONS[0].0,
        kind: Kind::Histogram,
        help: "How long requests took, in milliseconds, as Istio exports it since 1.5.",
    },
    Family {
        name: DURATIONS[1].0,
        kind: Kind::Histogram,
        help: "How long requests took, in seconds, as Istio exported it before 1.5.",
    },
    Family {
        name: "istio_requests_total",
        kind: Kind::Counter,
        help: "Requests that a proxy has answered (destination) or sent (source).",
    },
    Family { name: "up", kind: Kind::Gauge, help: "Whether a pod could be scraped." },
];

impl Family {
    /// Whether a series of this name belongs to it.
    pub fn holds(&self, metric: &str) -> bool {
        match (self.kind, metric.strip_prefix(self.name)) {
            (_, None) => false,
            (Kind::Histogram, Some(ending)) => matches!(ending, "_bucket" | "_sum" | "_count"),
            (_, Some(ending)) => ending.is_empty(),
        }
    }
}

/// All names under which one histogram is read.
pub fn histogram_names() -> Vec<(Arc<str>, Era, Part)> {
    let mut names = Vec::new();
    for (stem, era) in DURATIONS {
        for (ending, part) in [("bucket", Part::Bucket), ("count", Part::Count), ("sum", Part::Sum)] {
            names.push((Arc::from(format!("{stem}_{ending}")), era, part));
        }
    }
    names
}

/// The bounds of all buckets as the label has them, in order.
pub fn bounds(era: Era) -> impl Iterator<Item = String> {
    BOUNDS_MS.into_iter().map(move |bound| format!("{}", bound / era.milliseconds())).chain(["+Inf".to_owned()])
}

/// Whom a proxy reports requests to.
pub struct Requests<'a> {
    /// The namespace of workload and service.
    pub namespace: &'a str,
    /// The workload that serves them; `unknown` when none did.
    pub workload: &'a str,
    /// The image tag that serves them; `unknown` when none did.
    pub version: &'a str,
    /// The service that they were sent to.
    pub service: &'a str,
    /// The HTTP status.
    pub code: u16,
}

impl Requests<'_> {
    /// The labels as the proxy of the serving pod (`destination`) or of the caller (`source`) reports them, without a
    /// metric name.
    pub fn labels(&self, reporter: &str) -> Labels {
        let at_destination = reporter == "destination";
        let served = self.workload != "unknown";
        let namespace = if served { self.namespace } else { "unknown" };
        let code = self.code.to_string();
        let host = format!("{}.{}.svc.cluster.local", self.service, self.namespace);
        Labels::new([
            ("reporter", reporter),
            ("source_workload", "istio-ingressgateway"),
            ("source_workload_namespace", "istio-system"),
            ("source_app", "istio-ingressgateway"),
            ("source_version", "unknown"),
            ("destination_workload", self.workload),
            ("destination_workload_namespace", namespace),
            ("destination_app", self.workload),
            ("destination_version", self.version),
            ("destination_service", &host),
            ("destination_service_name", self.service),
            ("destination_service_namespace", self.namespace),
            ("request_protocol", "http"),
            ("response_code", &code),
            ("response_flags", if served { "-" } else { "UH" }),
            ("connection_security_policy", if at_destination { "mutual_tls" } else { "unknown" }),
            ("job", "kubernetes-pods"),
        ])
    }
}

/// The labels of a container's series, with the names of both eras (`pod` and `pod_name`).
pub fn container(metric: &str, namespace: &str, pod: &str, container: &str) -> Labels {
    let cpu = if metric == "container_cpu_usage_seconds_total" { "total" } else { "" };
    Labels::new([
        ("__name__", metric),
        ("namespace", namespace),
        ("pod", pod),
        ("pod_name", pod),
        ("container", container),
        ("container_name", container),
        ("cpu", cpu),
        ("job", "kubernetes-cadvisor"),
        ("instance", "node-1"),
    ])
}

/// The labels of a pod's `up`.
pub fn up(namespace: &str, pod: &str) -> Labels {
    Labels::new([
        ("__name__", "up"),
        ("job", "kubernetes-pods"),
        ("namespace", namespace),
        ("pod", pod),
        ("instance", pod),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_printed_as_istio_prints_them() {
        let milliseconds: Vec<String> = bounds(Era::Milliseconds).collect();
        assert_eq!(milliseconds.len(), 20);
        assert_eq!(milliseconds[..3], ["0.5", "1", "5"]);
        assert_eq!(milliseconds[18..], ["3600000", "+Inf"]);
        let seconds: Vec<String> = bounds(Era::Seconds).collect();
        assert_eq!(seconds[..2], ["0.0005", "0.001"]);
        assert_eq!(seconds[8], "0.5");
    }

    #[test]
    fn a_request_counts_in_its_bucket_and_all_above() {
        let mut row = Row::default();
        row.record(500.0);
        row.record(501.0);
        row.record(1e9);
        assert_eq!(row.counts[7], 0);
        assert_eq!(row.counts[8], 1);
        assert_eq!(row.counts[9], 2);
        assert_eq!(row.counts[COLUMNS - 1], 3);
        assert_eq!(row.sum, 500.0 + 501.0 + LONGEST_MS);
    }
}
