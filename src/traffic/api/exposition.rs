//! The last sample of every series in Prometheus' text format, for a person with curl or another Prometheus.

use std::fmt::Write as _;

use super::json::number;
use crate::traffic::history::History;

/// All series that have a sample in the last scrape.
pub(super) fn latest(history: &History) -> String {
    let Some(at) = history.last_scrape() else {
        return String::new();
    };
    let mut out = String::new();
    for series in history.select(&[]) {
        let Some(point) = series.value_at(at, at) else {
            continue;
        };
        out.push_str(series.labels.metric_name());
        let mut opening = '{';
        for (name, value) in series.labels.iter().filter(|(name, _)| *name != "__name__") {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(out, "{opening}{name}=\"{value}\"");
            opening = ',';
        }
        if opening == ',' {
            out.push('}');
        }
        let _ = writeln!(out, " {}", number(point.value));
    }
    out
}
