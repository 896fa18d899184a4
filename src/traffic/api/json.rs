//! Prometheus' JSON, to the byte: numbers as text in Go's shortest form, moments in seconds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::traffic::history::Point;
use crate::traffic::labels::Labels;
use crate::traffic::promql::{Sample, Series, Value};

/// An error's body.
pub(super) fn error(kind: &str, message: &str) -> String {
    format!(r#"{{"status":"error","errorType":"{kind}","error":{}}}"#, text(message))
}

/// The `data` of an instant query evaluated at a moment in milliseconds.
pub(super) fn value(value: &Value, at: i64) -> String {
    let at = moment(at);
    match value {
        Value::Scalar(number) => {
            format!(r#"{{"resultType":"scalar","result":[{at},"{}"]}}"#, self::number(*number))
        }
        Value::String(string) => format!(r#"{{"resultType":"string","result":[{at},{}]}}"#, text(string)),
        Value::Vector(samples) => {
            let result = list(samples, |Sample { labels, value }, out| {
                let _ = write!(out, r#"{{"metric":{},"value":[{at},"{}"]}}"#, metric(labels), number(*value));
            });
            format!(r#"{{"resultType":"vector","result":{result}}}"#)
        }
        Value::Matrix(series) => matrix(series),
    }
}

/// The `data` of a range query.
pub(super) fn matrix(series: &[Series]) -> String {
    let result = list(series, |series, out| {
        let points = list(&series.points, |Point { at, value }, out| {
            let _ = write!(out, r#"[{},"{}"]"#, moment(*at), number(*value));
        });
        let _ = write!(out, r#"{{"metric":{},"values":{points}}}"#, metric(&series.labels));
    });
    format!(r#"{{"resultType":"matrix","result":{result}}}"#)
}

/// A list of label sets.
pub(super) fn label_sets(sets: &[Labels]) -> String {
    list(sets, |labels, out| out.push_str(&metric(labels)))
}

/// A list of texts, sorted, each once.
pub(super) fn sorted_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.collect::<BTreeSet<&str>>().into_iter().collect();
    list(&texts, |one, out| out.push_str(&text(one)))
}

fn list<T>(items: &[T], mut write: impl FnMut(&T, &mut String)) -> String {
    let mut out = String::from("[");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(item, &mut out);
    }
    out.push(']');
    out
}

fn metric(labels: &Labels) -> String {
    let pairs: Vec<(&str, &str)> = labels.iter().collect();
    let inner = list(&pairs, |(name, value), out| {
        let _ = write!(out, "{}:{}", text(name), text(value));
    });
    format!("{{{}}}", inner.trim_start_matches('[').strip_suffix(']').unwrap_or_default())
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A moment in seconds; milliseconds with three digits where there are any.
fn moment(at: i64) -> String {
    let sign = if at < 0 { "-" } else { "" };
    let (seconds, milliseconds) = (at.unsigned_abs() / 1000, at.unsigned_abs() % 1000);
    if milliseconds == 0 { format!("{sign}{seconds}") } else { format!("{sign}{seconds}.{milliseconds:03}") }
}

/// A number in the shortest form that reads back the same, with an exponent only where Go's encoder has one.
pub(super) fn number(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return if size < 1.0 { text } else { text.replace('e', "e+") };
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, written) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (99.98, "99.98"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-2.5e-7, "-2.5e-7"),
            (1e-6, "0.000001"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), written);
        }
    }

    #[test]
    fn moments_are_seconds() {
        assert_eq!(moment(1_700_000_000_000), "1700000000");
        assert_eq!(moment(1_700_000_000_007), "1700000000.007");
        assert_eq!(moment(-1_500), "-1.500");
    }

    #[test]
    fn hostile_labels_stay_json() {
        let labels = Labels::new([("a", "\"]\u{1b}[31m\n")]);
        let parsed: serde_json::Value = serde_json::from_str(&label_sets(&[labels])).unwrap();
        assert_eq!(parsed[0]["a"], "\"]\u{1b}[31m\n");
        assert_eq!(metric(&Labels::default()), "{}");
        assert_eq!(metric(&Labels::new([("a", "[x]]")])), r#"{"a":"[x]]"}"#);
    }
}
