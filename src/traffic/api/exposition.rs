//! The last sample of every series in Prometheus' text format (0.0.4), for a person with curl or another Prometheus.
//!
//! A scraper must keep the labels `job` and `instance` as they are here (`honor_labels: true`): they name the proxies
//! and nodes that a Prometheus in the cluster would scrape. A series without one of them says so by an empty value, or
//! the scraper would put in its own.

use std::fmt::Write as _;

use super::json::number;
use crate::traffic::history::{History, Selected};
use crate::traffic::istio::{FAMILIES, Family, Kind};

/// What this format is called in HTTP.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The labels that a scraper puts on what has none.
const SCRAPERS: [&str; 2] = ["instance", "job"];

/// All series that have a sample in the last scrape, by family.
pub(super) fn latest(history: &History) -> String {
    let Some(at) = history.last_scrape() else {
        return String::new();
    };
    let all = history.select(&[]);
    let mut out = String::new();
    for family in &FAMILIES {
        let mut is_first = true;
        for series in all.iter().filter(|series| family.holds(series.labels.metric_name())) {
            let Some(point) = series.value_at(at, at) else {
                continue;
            };
            if std::mem::take(&mut is_first) {
                describe(family, &mut out);
            }
            sample(series, point.value, &mut out);
        }
    }
    out
}

fn describe(family: &Family, out: &mut String) {
    let Family { name, kind, help } = family;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let help = help.replace('\\', r"\\").replace('\n', r"\n");
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(series: &Selected<'_>, value: f64, out: &mut String) {
    out.push_str(series.labels.metric_name());
    let mut opening = '{';
    let missing = SCRAPERS.into_iter().filter(|name| series.labels.get(name).is_empty()).map(|name| (name, ""));
    for (name, value) in series.labels.iter().filter(|(name, _)| *name != "__name__").chain(missing) {
        let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let _ = write!(out, "{opening}{name}=\"{value}\"");
        opening = ',';
    }
    let _ = writeln!(out, "}} {}", number(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::labels::Labels;
    use crate::traffic::recorder::Recorder;

    #[test]
    fn each_family_says_once_what_it_is_and_values_cannot_leave_their_quotes() {
        let mut recorder = Recorder::new(10);
        let of = |name: &str, pod: &str| Labels::new([("__name__", name), ("pod", pod), ("job", "pods")]);
        recorder.scrape(1000, [(of("up", "gone"), 1.0)]);
        recorder.scrape(
            2000,
            [
                (of("up", "a\"b\\c\nd"), 1.0),
                (of("up", "b"), 0.0),
                (of("istio_requests_total", "b"), 12.5),
                (of("container_memory_working_set_bytes", "b"), f64::INFINITY),
            ],
        );
        assert_eq!(
            latest(recorder.history()),
            concat!(
                "# HELP container_memory_working_set_bytes Memory of a container that cannot be freed under pressure, ",
                "in bytes.\n",
                "# TYPE container_memory_working_set_bytes gauge\n",
                "container_memory_working_set_bytes{job=\"pods\",pod=\"b\",instance=\"\"} +Inf\n",
                "# HELP istio_requests_total Requests that a proxy has answered (destination) or sent (source).\n",
                "# TYPE istio_requests_total counter\n",
                "istio_requests_total{job=\"pods\",pod=\"b\",instance=\"\"} 12.5\n",
                "# HELP up Whether a pod could be scraped.\n",
                "# TYPE up gauge\n",
                "up{job=\"pods\",pod=\"a\\\"b\\\\c\\nd\",instance=\"\"} 1\n",
                "up{job=\"pods\",pod=\"b\",instance=\"\"} 0\n",
            )
        );
    }
}
