//! A Prometheus for tests, and an API server with Services before it. Answers are given by a function of the query.

use super::Prometheus;
use super::reach::ServiceAddress;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    pub parameters: BTreeMap<String, String>,
    pub authorization: Option<String>,
    pub headers: axum::http::HeaderMap,
}

type Answer = dyn Fn(&Call) -> (u16, String) + Send + Sync;

#[derive(Clone)]
pub struct Stub {
    answer: Arc<Answer>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Stub {
    /// Answers every call by its query alone.
    pub fn answering(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::serving(move |call| answer(&call.query))
    }

    /// Answers every call by all that is known of it.
    pub fn serving(answer: impl Fn(&Call) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default() }
    }

    pub fn seen(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Reached straight, on a port that the system chose.
    pub async fn prometheus(&self) -> Prometheus {
        self.prometheus_as("").await
    }

    /// With `user:password@`.
    pub async fn prometheus_as(&self, credentials: &str) -> Prometheus {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Prometheus::from_flag(&format!("http://{credentials}{address}")).unwrap()
    }

    /// As an API server.
    pub fn api_server(&self) -> kube::Client {
        kube::Client::new(self.router().into_service::<kube::client::Body>(), "default")
    }

    /// Reached through the API server.
    pub fn proxied(&self) -> Prometheus {
        let service = ServiceAddress {
            namespace: "mon".into(),
            name: "prom".into(),
            port: 9090,
            https: false,
            prefix: String::new(),
        };
        Prometheus::through(self.api_server(), service)
    }

    fn router(&self) -> Router {
        Router::new().fallback(handle).with_state(self.clone())
    }
}

async fn handle(State(stub): State<Stub>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let mut text = parts.uri.query().unwrap_or("").to_string();
    text.push_str(std::str::from_utf8(&body).unwrap());
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
    let parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_string(),
        query: parameters.get("query").cloned().unwrap_or_default(),
        parameters,
        authorization: parts.headers.get("authorization").map(|v| v.to_str().unwrap().to_string()),
        headers: parts.headers,
    };
    let (status, body) = (stub.answer)(&call);
    stub.calls.lock().unwrap().push(call);
    (StatusCode::from_u16(status).unwrap(), body)
}

/// An instant vector of series with their labels.
pub fn vector(series: &[(&[(&str, &str)], &str)]) -> (u16, String) {
    let result: Vec<_> = series
        .iter()
        .map(|(labels, value)| {
            let metric: BTreeMap<&str, &str> = labels.iter().copied().collect();
            json!({"metric": metric, "value": [1_700_000_000.5, value]})
        })
        .collect();
    (200, json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
}
