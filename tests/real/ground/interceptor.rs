//! A way to the API server that can be cut at one certain write: it is applied, and the writer never hears of it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use canary_tui::sandbox::listener::Listener;
use kube::Client;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// What is asked about every write that the API server has taken; true cuts the way.
pub type Judge = Arc<dyn Fn(&Write) -> bool + Send + Sync>;

/// A write, as its request line says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    pub method: String,
    /// What follows the namespace: `deployments/web/scale`. Names that differ from run to run are left out.
    pub object: String,
    /// The phase that it writes, if it writes one.
    pub phase: String,
}

/// Listens on loopback in plain and passes everything on with the administrator's rights.
pub struct Interceptor {
    pub kubeconfig: PathBuf,
    /// The writes at which the way was cut.
    pub cuts: mpsc::UnboundedReceiver<Write>,
    _listener: Arc<Listener>,
}

struct Way {
    client: Client,
    judge: Judge,
    cut: mpsc::UnboundedSender<Write>,
    /// Once cut, nothing passes: what is dead asks for nothing.
    broken: Mutex<bool>,
}

impl Interceptor {
    /// Opens the way. It is cut at the first write of which `judge` says so; nothing passes after that.
    pub async fn open(client: &Client, home: &Path, number: usize, judge: Judge) -> Self {
        let (cut, cuts) = mpsc::unbounded_channel();
        let way = Way { client: client.clone(), judge, cut, broken: Mutex::default() };
        let router = axum::Router::new().fallback(pass).with_state(Arc::new(way));
        let listener = Listener::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router, None).await;
        let listener = listener.expect("a port on loopback");
        let kubeconfig = home.join(format!("way-{number}"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: way\n\
             clusters: [{{name: way, cluster: {{server: 'http://{}'}}}}]\n\
             users: [{{name: way, user: {{}}}}]\n\
             contexts: [{{name: way, context: {{cluster: way, user: way}}}}]\n",
            listener.address()
        );
        std::fs::write(&kubeconfig, text).expect("a kubeconfig");
        Self { kubeconfig, cuts, _listener: listener }
    }
}

impl Way {
    /// Whether this write is the last that passes. Of two at once, one is.
    fn ends_with(&self, write: &Write) -> bool {
        let mut broken = self.broken.lock().expect("nothing panics under this lock");
        let ends = !*broken && (self.judge)(write);
        *broken |= ends;
        ends
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    if *way.broken.lock().expect("nothing panics under this lock") {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let (mut head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.expect("a body");
    let write = (head.method != Method::GET).then(|| Write::of(&head, &body));
    // Where it goes is the client's affair.
    head.uri = head.uri.path_and_query().map(|p| p.as_str()).unwrap_or("/").parse().expect("it was one");
    head.headers.remove(axum::http::header::HOST);
    let request = axum::http::Request::from_parts(head, kube::client::Body::from(body));
    let Ok(answer) = way.client.send(request).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if let Some(write) = write.filter(|_| answer.status().is_success())
        && way.ends_with(&write)
    {
        way.cut.send(write).expect("the test waits for it");
        // The writer hears nothing more until it is gone.
        return std::future::pending().await;
    }
    answer.map(Body::new)
}

impl Write {
    fn of(head: &Parts, body: &[u8]) -> Self {
        let path = head.uri.path();
        let mut parts: Vec<&str> = path.split('/').skip_while(|part| *part != "namespaces").skip(2).collect();
        // An Event's name is a hash over uids.
        if parts.first() == Some(&"events") {
            parts.truncate(1);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let phase = body["status"]["phase"].as_str().unwrap_or_default().to_owned();
        Self { method: head.method.to_string(), object: parts.join("/"), phase }
    }
}
