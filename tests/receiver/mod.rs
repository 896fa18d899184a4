//! Someone who is called: an HTTP server on a port of its own, which answers as it is told and remembers what it got.

#![allow(dead_code)] // Each test file uses its own part of this.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a path answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16, &'static str),
    /// With one more header.
    With(u16, &'static str, (&'static str, &'static str)),
    /// Never.
    Hang,
}

/// One call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
    pub at: Instant,
}

#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    calls: watch::Sender<Vec<Call>>,
}

impl Receiver {
    /// Answers 200 to everything until it is told otherwise.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { answers: Mutex::default(), calls: watch::channel(Vec::new()).0 });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a path answers from now on.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.answers(path, [answer]);
    }

    /// What a path answers, one after the other; the last one stays.
    pub fn answers(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().expect("answers").insert(path.into(), answers.into_iter().collect());
    }

    /// The calls of a path so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        self.shared.calls.borrow().iter().filter(|call| call.path == path).cloned().collect()
    }

    /// Waits until a path was called so many times.
    pub async fn until_called(&self, path: &str, times: usize) {
        let mut calls = self.shared.calls.subscribe();
        let enough = |calls: &Vec<Call>| calls.iter().filter(|call| call.path == path).count() >= times;
        let waited = tokio::time::timeout(PATIENCE, calls.wait_for(enough)).await.map(drop);
        assert!(waited.is_ok(), "{path} was called {} times", self.calls(path).len());
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_string();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let answer = {
        let mut answers = shared.answers.lock().expect("answers");
        match answers.get_mut(&path) {
            Some(line) if line.len() > 1 => line.pop_front(),
            Some(line) => line.front().cloned(),
            None => None,
        }
    };
    shared.calls.send_modify(|calls| calls.push(Call { method, path, headers, body, at: Instant::now() }));
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match answer.unwrap_or(Answer::Status(200, "OK")) {
        Answer::Status(code, text) => (status(code), text).into_response(),
        Answer::With(code, text, header) => (status(code), [header], text).into_response(),
        Answer::Hang => std::future::pending().await,
    }
}
