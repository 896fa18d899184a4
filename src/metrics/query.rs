//! One query of Prometheus' HTTP API and its answer.

use super::Prometheus;
use super::promql::collapsed;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Longest message of another's that is handed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Labels of a series. They are few: a list takes a third of what a map of them does, and an answer has thousands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(Vec<(Box<str>, Box<str>)>);

impl Labels {
    /// The value of a label; None where the series has none of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Labels(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// One series' value at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    /// May be NaN or infinite, as Prometheus has it.
    pub value: f64,
    pub at: DateTime<Utc>,
}

/// One series over a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// In order of time; values may be NaN or infinite.
    pub points: Vec<(DateTime<Utc>, f64)>,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    #[error("Prometheus at {to} cannot be reached: {why}")]
    Unreachable { to: String, why: String },
    #[error(
        "the API server does not let you through to {service}: it takes the right to get services/proxy there, or give \
         Prometheus' address with --prometheus URL ({message})"
    )]
    Forbidden { service: String, message: String },
    #[error("{by} answered {status}: {message}")]
    Refused { by: String, status: u16, message: String },
    #[error("the answer of {from} cannot be read: {why}")]
    Unreadable { from: String, why: String },
}

impl QueryError {
    /// Whether Prometheus is there and it is the query that it cannot answer.
    pub(super) fn is_of_the_query(&self) -> bool {
        matches!(self, QueryError::Refused { status: 400 | 422, .. })
    }
}

impl Prometheus {
    /// Runs a query for the present time.
    ///
    /// # Errors
    /// Where Prometheus cannot be reached within 5 s, refuses, or answers with anything but a vector or a scalar.
    pub async fn instant(&self, query: &str) -> Result<Vec<Sample>, QueryError> {
        self.instant_as(query, |sample| sample).await
    }

    /// As [`instant`](Self::instant), with each sample reduced as it is read: thousands of them at once take megabytes.
    ///
    /// # Errors
    /// As for [`instant`](Self::instant).
    pub async fn instant_as<T>(&self, query: &str, reduce: impl Fn(Sample) -> T) -> Result<Vec<T>, QueryError> {
        let body = self.call("/api/v1/query", &[("query", collapsed(query))]).await?;
        let unreadable = |why: String| QueryError::Unreadable { from: self.describe(), why };
        match kind_of(&body).map_err(unreadable)?.as_str() {
            "vector" => {
                let list: &RawValue = result_of(&body).map_err(unreadable)?;
                let mut reader = serde_json::Deserializer::from_str(list.get());
                let found = reader.deserialize_seq(Each(reduce)).map_err(|error| unreadable(error.to_string()))?;
                found.map_err(unreadable)
            }
            "scalar" => {
                let (at, value) = result_of::<Point>(&body).and_then(Point::read).map_err(unreadable)?;
                Ok(vec![reduce(Sample { labels: Labels::default(), value, at })])
            }
            kind => Err(unreadable(format!("it is a {kind}, not one value for each series"))),
        }
    }

    /// Runs a query for every `step` from `from` to `to`.
    ///
    /// # Errors
    /// As for [`instant`](Self::instant).
    pub async fn range(
        &self,
        query: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        step: Duration,
    ) -> Result<Vec<Series>, QueryError> {
        let time = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Millis, true);
        let parameters = [
            ("query", collapsed(query)),
            ("start", time(from)),
            ("end", time(to)),
            ("step", step.as_secs_f64().to_string()),
        ];
        let body = self.call("/api/v1/query_range", &parameters).await?;
        let unreadable = |why: String| QueryError::Unreadable { from: self.describe(), why };
        let kind = kind_of(&body).map_err(unreadable)?;
        if kind != "matrix" {
            return Err(unreadable(format!("it is a {kind}, not values over a time")));
        }
        let list: Vec<WireSeries> = result_of(&body).map_err(unreadable)?;
        list.into_iter()
            .map(|series| {
                let points: Result<_, String> = series.values.into_iter().map(Point::read).collect();
                Ok(Series { labels: series.metric, points: points.map_err(unreadable)? })
            })
            .collect()
    }

    /// Whether Prometheus answers at all.
    ///
    /// # Errors
    /// As for [`instant`](Self::instant).
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.instant("vector(1)").await.map(|_| ())
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    status: String,
    data: Option<Kind>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "resultType")]
    kind: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    result: T,
}

#[derive(Deserialize)]
struct WireSample {
    #[serde(default)]
    metric: Labels,
    value: Option<Point>,
}

#[derive(Deserialize)]
struct WireSeries {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
}

/// Seconds since 1970, and the value as text.
#[derive(Deserialize)]
struct Point(f64, String);

impl Point {
    fn read(self) -> Result<(DateTime<Utc>, f64), String> {
        let Self(seconds, text) = self;
        // A cast of what is out of range stops at the range's end, which chrono refuses.
        let at = DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)
            .ok_or_else(|| format!("{seconds} is no time"))?;
        let value = text.parse().map_err(|_| format!("{} is no number", cut(&format!("{text:?}"))))?;
        Ok((at, value))
    }
}

impl WireSample {
    fn read(self) -> Result<Sample, String> {
        let point = self.value.ok_or("a series has no plain value (is it a native histogram?)")?;
        let (at, value) = point.read()?;
        Ok(Sample { labels: self.metric, value, at })
    }
}

/// Reads a list of samples, and makes of each what is kept of it; or says what is wrong with the first that cannot be read.
struct Each<F>(F);

impl<'de, T, F: Fn(Sample) -> T> Visitor<'de> for Each<F> {
    type Value = Result<Vec<T>, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Ok(Vec::new());
        while let Some(sample) = list.next_element::<WireSample>()? {
            match (&mut found, sample.read()) {
                (Ok(found), Ok(sample)) => found.push((self.0)(sample)),
                (Ok(_), Err(why)) => found = Err(why),
                (Err(_), _) => {}
            }
        }
        Ok(found)
    }
}

/// What kind of result an answer holds. The result itself is read after that, by its kind and into its own shape: a tree
/// of the answer for a thousand workloads would be ten times as large.
fn kind_of(body: &[u8]) -> Result<String, String> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|e| format!("{e}: {}", cut(String::from_utf8_lossy(body).trim())))?;
    match envelope.data {
        Some(data) if envelope.status == "success" => Ok(data.kind),
        _ if !envelope.error.is_empty() => Err(cut(&envelope.error)),
        _ => Err("it is no success and holds no error".into()),
    }
}

fn result_of<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    let answer: Answer<T> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    Ok(answer.data.result)
}

/// What an answer of 400 and above says: Prometheus' `error`, the API server's `message`, else the body itself.
pub(crate) fn error_message(body: &[u8]) -> String {
    let object: Option<Value> = serde_json::from_slice(body).ok();
    let said = ["error", "message"].iter().find_map(|key| object.as_ref()?.get(key)?.as_str());
    match said {
        Some(text) => cut(text.trim()),
        None => cut(String::from_utf8_lossy(body).trim()),
    }
}

/// Whether an answer is the API server's own, not that of what stands behind it.
pub(crate) fn is_api_status(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|object| object.get("kind") == Some(&Value::from("Status")))
}

/// An error and what it came from, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Wrappers often repeat what they wrap.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    cut(&text)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        None => text.to_string(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Stub, vector};
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_vector_keeps_labels_nan_and_infinity() {
        let stub = Stub::answering(|_| {
            vector(&[(&[("a", "x\u{1b}[2J")], "NaN"), (&[], "+Inf"), (&[], "-Inf"), (&[], "1.5e3")])
        });
        let samples = stub.prometheus().await.instant("x").await.unwrap();
        assert!(samples[0].value.is_nan());
        assert_eq!(samples[0].labels.get("a"), Some("x\u{1b}[2J"));
        assert_eq!(
            samples[1..].iter().map(|s| s.value).collect::<Vec<_>>(),
            [f64::INFINITY, f64::NEG_INFINITY, 1500.0]
        );
    }

    #[tokio::test]
    async fn a_scalar_is_one_sample_and_a_matrix_is_an_error() {
        let stub = Stub::answering(|query| match query {
            "1" => {
                (200, json!({"status": "success", "data": {"resultType": "scalar", "result": [1.5, "1"]}}).to_string())
            }
            _ => (200, json!({"status": "success", "data": {"resultType": "matrix", "result": []}}).to_string()),
        });
        let prometheus = stub.prometheus().await;
        let samples = prometheus.instant("1").await.unwrap();
        assert_eq!((samples[0].value, samples[0].at.timestamp_millis()), (1.0, 1500));
        let error = prometheus.instant("x[1m]").await.unwrap_err();
        assert!(error.to_string().contains("matrix"), "{error}");
    }

    #[tokio::test]
    async fn prometheus_own_words_are_handed_on_cut() {
        let long = "é".repeat(10_000);
        let stub = Stub::answering(move |query| match query {
            "bad" => (400, json!({"status": "error", "errorType": "bad_data", "error": "parse error"}).to_string()),
            "long" => (503, long.clone()),
            _ => (422, "<html>\u{1b}[2J".into()),
        });
        let prometheus = stub.prometheus().await;
        let error = prometheus.instant("bad").await.unwrap_err();
        assert!(
            matches!(&error, QueryError::Refused { status: 400, message, .. } if message == "parse error"),
            "{error}"
        );
        let QueryError::Refused { message, .. } = prometheus.instant("long").await.unwrap_err() else { panic!() };
        assert_eq!(message.chars().count(), LONGEST_MESSAGE + 1);
        let QueryError::Refused { message, .. } = prometheus.instant("html").await.unwrap_err() else { panic!() };
        assert_eq!(message, "<html>\u{1b}[2J");
    }

    #[tokio::test]
    async fn no_answer_of_any_shape_panics() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "nonsense",
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":7}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1e300,"1"]}]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"one"]}]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
            r#"{"status":"error","error":"loading"}"#,
        ] {
            let stub = Stub::answering(move |_| (200, body.to_string()));
            let error = stub.prometheus().await.instant("x").await.unwrap_err();
            let QueryError::Unreadable { why, .. } = &error else { panic!("{body}: {error}") };
            // The same each time, wherever in the answer it stands.
            assert!(!body.contains("metric") || !why.contains("column"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_long_query_goes_by_post_and_a_short_one_by_get() {
        let stub = Stub::answering(|query| vector(&[(&[], &query.len().to_string())]));
        let prometheus = stub.prometheus().await;
        prometheus.instant("up   +\n up").await.unwrap();
        let long = format!("x{{a=\"{}\"}}", "y".repeat(9000));
        assert_eq!(prometheus.instant(&long).await.unwrap()[0].value, long.len() as f64);
        let seen: Vec<_> = stub.seen().into_iter().map(|call| (call.method, call.query)).collect();
        assert_eq!(seen, [("GET".to_string(), "up + up".to_string()), ("POST".to_string(), long)]);
    }

    #[tokio::test]
    async fn a_range_asks_for_its_bounds_and_keeps_its_points() {
        let body = json!({"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"a": "b"}, "values": [[10, "1"], [20.5, "NaN"]]}]}});
        let stub = Stub::answering(move |_| (200, body.to_string()));
        let time = |s| DateTime::from_timestamp(s, 0).unwrap();
        let series = stub.prometheus().await.range("x", time(10), time(20), Duration::from_millis(2500)).await.unwrap();
        assert_eq!(series[0].points[0], (time(10), 1.0));
        assert!(series[0].points[1].1.is_nan());
        let call = &stub.seen()[0];
        assert_eq!(call.path, "/api/v1/query_range");
        assert_eq!(call.parameters["start"], "1970-01-01T00:00:10.000Z");
        assert_eq!(call.parameters["step"], "2.5");
    }

    #[tokio::test]
    async fn what_does_not_listen_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let prometheus = Prometheus::from_flag(&format!("http://{address}")).unwrap();
        let error = prometheus.ping().await.unwrap_err();
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn credentials_in_the_address_are_sent() {
        let stub = Stub::answering(|_| vector(&[]));
        stub.prometheus_as("me:secret@").await.instant("x").await.unwrap();
        assert_eq!(stub.seen()[0].authorization.as_deref(), Some("Basic bWU6c2VjcmV0"));
    }
}
