//! Prometheus' HTTP API over the simulated samples, as far as consoles and controllers use it.
//!
//! It answers in Prometheus' own JSON and with its own errors. It must never change a sample.

mod exposition;
mod json;
mod parameters;

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::promql::{self, QueryError};
use super::shared::Traffic;
use parameters::Parameters;

/// How long a query may take when it does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// The version of Prometheus whose API and arithmetic this follows.
const VERSION: &str = "2.42.0";

/// The API as a router without a prefix: `/api/v1/query` and so on, `/-/healthy`, `/-/ready`, `/metrics`.
pub fn router(traffic: Traffic) -> Router {
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/status/buildinfo", get(build_info))
        .route("/api/v1/status/flags", get(flags))
        .route("/-/healthy", get(|| async { "Prometheus Server is Healthy.\n" }))
        .route("/-/ready", get(|| async { "Prometheus Server is Ready.\n" }))
        .route("/metrics", get(metrics))
        .with_state(traffic)
}

/// Why a request has no answer, as Prometheus tells it.
#[derive(Debug)]
struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl ApiError {
    fn bad_data(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    fn invalid(parameter: &str, message: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{parameter}\": {message}"))
    }

    fn of_query(parameter: &str, error: &QueryError) -> Self {
        match error {
            QueryError::BadData(message) => Self::invalid(parameter, message),
            QueryError::Execution(message) => {
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", message: message.clone() }
            }
            QueryError::Timeout => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", message: error.to_string() }
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json::error(self.kind, &self.message);
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// Answers with what a closure makes, off the threads that serve requests: a heavy query must not hold up the others.
async fn answer(make: impl FnOnce() -> Result<String, ApiError> + Send + 'static) -> Response {
    // One thread alone is a simulation's, whose time stands still while anything runs beside it.
    let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let made = if alone { Ok(make()) } else { tokio::task::spawn_blocking(make).await };
    match made {
        Ok(Ok(data)) => {
            let body = format!("{{\"status\":\"success\",\"data\":{data}}}");
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Ok(Err(error)) => error.into_response(),
        Err(_) => ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "internal",
            message: "the evaluation of this query failed; this is a defect of the simulated Prometheus".to_owned(),
        }
        .into_response(),
    }
}

async fn query(State(traffic): State<Traffic>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    answer(move || {
        let parameters = Parameters::new(query.as_deref(), &body);
        let at = parameters.time("time")?.unwrap_or_else(|| traffic.now().timestamp_millis());
        let text = parameters.get("query").unwrap_or_default();
        let deadline = deadline(&parameters)?;
        let value = traffic
            .with_history(|history| promql::instant(history, text, at, Some(deadline)))
            .map_err(|error| ApiError::of_query("query", &error))?;
        Ok(json::value(&value, at))
    })
    .await
}

async fn query_range(State(traffic): State<Traffic>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    answer(move || {
        let parameters = Parameters::new(query.as_deref(), &body);
        let start = parameters.required_time("start")?;
        let end = parameters.required_time("end")?;
        if end < start {
            return Err(ApiError::invalid("end", "end timestamp must not be before start time"));
        }
        let step = parameters
            .duration("step")?
            .ok_or_else(|| ApiError::invalid("step", "cannot parse \"\" to a valid duration"))?;
        if step <= 0 {
            return Err(ApiError::invalid(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if end.saturating_sub(start) / step > promql::MAX_STEPS {
            return Err(ApiError::bad_data(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                promql::MAX_STEPS
            )));
        }
        let text = parameters.get("query").unwrap_or_default();
        let deadline = deadline(&parameters)?;
        let series = traffic
            .with_history(|history| promql::range(history, text, (start, end, step), Some(deadline)))
            .map_err(|error| ApiError::of_query("query", &error))?;
        Ok(json::matrix(&series))
    })
    .await
}

async fn series(State(traffic): State<Traffic>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    answer(move || {
        let parameters = Parameters::new(query.as_deref(), &body);
        if parameters.all("match[]").next().is_none() {
            return Err(ApiError::bad_data("no match[] parameter provided"));
        }
        let found = parameters.matching_series(&traffic)?;
        Ok(json::label_sets(&found))
    })
    .await
}

async fn labels(State(traffic): State<Traffic>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    answer(move || {
        let parameters = Parameters::new(query.as_deref(), &body);
        let found = parameters.matching_series(&traffic)?;
        let names = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name));
        Ok(json::sorted_texts(names))
    })
    .await
}

async fn label_values(State(traffic): State<Traffic>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    answer(move || {
        let valid = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !valid {
            return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
        }
        let parameters = Parameters::new(query.as_deref(), &[]);
        let found = parameters.matching_series(&traffic)?;
        let values = found.iter().map(|labels| labels.get(&name)).filter(|value| !value.is_empty());
        Ok(json::sorted_texts(values))
    })
    .await
}

async fn build_info() -> Response {
    answer(|| {
        Ok(format!(
            r#"{{"version":"{VERSION}","revision":"simulated","branch":"HEAD","buildUser":"","buildDate":"","goVersion":""}}"#
        ))
    })
    .await
}

async fn flags() -> Response {
    answer(|| {
        Ok(format!(
            r#"{{"query.lookback-delta":"5m","query.max-samples":"50000000","query.timeout":"{}m"}}"#,
            DEFAULT_TIMEOUT.as_secs() / 60
        ))
    })
    .await
}

async fn metrics(State(traffic): State<Traffic>) -> Response {
    let text = traffic.with_history(exposition::latest);
    ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response()
}

fn deadline(parameters: &Parameters) -> Result<Instant, ApiError> {
    let asked = parameters.duration("timeout")?.map(|milliseconds| Duration::from_millis(milliseconds.max(0) as u64));
    Ok(Instant::now() + asked.unwrap_or(DEFAULT_TIMEOUT).min(DEFAULT_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::traffic::facts::{Destination, Facts, PodFact, Route, Workload};
    use crate::traffic::simulator::Simulator;

    fn traffic() -> Traffic {
        let start = DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap();
        let mut simulator = Simulator::new(1, start, Duration::from_secs(1), Duration::from_secs(600));
        let pod = |name: &str| PodFact { name: name.to_owned(), tag: "1.0.0".to_owned(), ready: true, since: start };
        simulator.observe(
            start,
            Facts {
                routes: vec![Route {
                    namespace: "prod".to_owned(),
                    host: "app".to_owned(),
                    destinations: vec![Destination {
                        service: "app-primary".to_owned(),
                        workload: "app-primary".to_owned(),
                        weight: 100,
                    }],
                    copies: vec![],
                }],
                workloads: vec![Workload {
                    namespace: "prod".to_owned(),
                    name: "app-primary".to_owned(),
                    pods: vec![pod("app-primary-1"), pod("app-primary-2")],
                }],
            },
        );
        simulator.advance(start);
        Traffic::new(simulator, Arc::new(move || start))
    }

    async fn ask(method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = router(traffic()).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get_json(path: &str) -> (u16, Value) {
        let (status, text) = ask("GET", path, "").await;
        (status.as_u16(), serde_json::from_str(&text).unwrap())
    }

    #[tokio::test]
    async fn instant_answers_have_prometheus_shape() {
        let (status, text) = ask("GET", "/api/v1/query?query=sum(up)%2B0.5&time=1700000000.1", "").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            text,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000.100,"2.5"]}]}}"#
        );
        let (_, answer) = get_json("/api/v1/query?query=1/0").await;
        assert_eq!(answer["data"], json!({"resultType": "scalar", "result": [1700000000, "+Inf"]}));
        let (_, answer) = get_json("/api/v1/query?query=up").await;
        assert_eq!(answer["data"]["result"][0]["metric"]["__name__"], "up");
    }

    #[tokio::test]
    async fn a_form_asks_as_well_as_an_address() {
        let form = "query=count%28up%7Bpod%3D~%22app-primary-.%2B%22%7D%29&time=2023-11-14T22%3A13%3A20Z";
        let (status, text) = ask("POST", "/api/v1/query", form).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains(r#"[1700000000,"2"]"#), "{text}");
    }

    #[tokio::test]
    async fn ranges_answer_a_matrix() {
        let (status, answer) =
            get_json("/api/v1/query_range?query=sum(up)&start=1699999990&end=1700000000&step=5s").await;
        assert_eq!(status, 200);
        assert_eq!(
            answer["data"],
            json!({"resultType": "matrix", "result": [{"metric": {}, "values":
                [[1_699_999_990, "2"], [1_699_999_995, "2"], [1_700_000_000, "2"]]}]})
        );
    }

    #[tokio::test]
    async fn errors_have_prometheus_shape() {
        for (path, status, kind) in [
            ("/api/v1/query?query=sum(", 400, "bad_data"),
            ("/api/v1/query", 400, "bad_data"),
            ("/api/v1/query?query=up&time=yesterday", 400, "bad_data"),
            ("/api/v1/query?query=up%2Bon(job)up", 422, "execution"),
            ("/api/v1/query?query=predict_linear(up%5B1m%5D,60)", 422, "execution"),
            ("/api/v1/query_range?query=up&start=1&end=0&step=1", 400, "bad_data"),
            ("/api/v1/query_range?query=up&start=0&end=1&step=0", 400, "bad_data"),
            ("/api/v1/query_range?query=up&start=0&end=11001&step=1", 400, "bad_data"),
            ("/api/v1/query_range?query=up%5B1m%5D&start=0&end=1&step=1", 400, "bad_data"),
            ("/api/v1/query_range?query=up&start=-1e300&end=1e300&step=1e-9", 400, "bad_data"),
            ("/api/v1/series", 400, "bad_data"),
            ("/api/v1/label/a-b/values", 400, "bad_data"),
        ] {
            let (got, answer) = get_json(path).await;
            assert_eq!((got, &answer["errorType"]), (status, &json!(kind)), "{path}: {answer}");
            assert_eq!(answer["status"], "error");
            assert!(answer["error"].as_str().is_some_and(|text| !text.is_empty()));
        }
    }

    #[tokio::test]
    async fn what_there_is_can_be_listed() {
        let (_, answer) = get_json("/api/v1/label/__name__/values").await;
        let names: Vec<&str> = answer["data"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(names.contains(&"istio_requests_total") && names.contains(&"up"), "{names:?}");
        assert!(names.is_sorted());
        let (_, answer) = get_json("/api/v1/series?match[]=up&match%5B%5D=istio_requests_total").await;
        assert_eq!(answer["data"].as_array().unwrap().len(), 4);
        let (_, answer) = get_json("/api/v1/labels?match[]=up").await;
        assert_eq!(answer["data"], json!(["__name__", "instance", "job", "namespace", "pod"]));
        let (_, answer) = get_json("/api/v1/status/buildinfo").await;
        assert_eq!(answer["data"]["version"], VERSION);
        let (status, text) = ask("GET", "/metrics", "").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains(r#"istio_request_duration_milliseconds_bucket{"#), "{text}");
        let written = text.lines().filter(|line| !line.starts_with('#')).count();
        let (_, all) = get_json("/api/v1/series?match[]={__name__!=%22%22}&start=1700000000").await;
        assert_eq!(written, all["data"].as_array().unwrap().len(), "every live series is of a known family");
    }
}
