//! The controller's own HTTP endpoint: `/metrics` for Prometheus, `/healthz` and `/readyz` for the kubelet.
//!
//! Whoever can reach the address may read it, so nothing in it is secret, nothing can be changed by it, and strangers who
//! hold connections open never take the descriptors that the rollouts need.

use super::exposition::MEDIA_TYPE;
use super::report::Says;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at a time; others wait to be accepted.
const CONNECTIONS: usize = 32;
/// Time for one question and its answer; Prometheus itself gives up after ten seconds.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a connection could not be taken: file descriptors, most likely, and others may be freed in a moment.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

type Speaker = Arc<dyn Says>;

/// An address that is listened on.
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Listens; port 0 takes a free one. Nothing is answered before [`Endpoint::serve`].
    ///
    /// # Errors
    /// An address that is taken, or none of this machine's.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what the report says, one question a connection, until dropped.
    pub async fn serve(self, report: impl Says) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(Arc::new(report) as Speaker);
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(permit) = free.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let answered = tokio::time::timeout(CONNECTION_LIMIT, answer(stream, router.clone()));
                    connections.spawn(async move {
                        let _permit = permit;
                        if answered.await.is_err() {
                            tracing::debug!("a client of the controller's endpoint took too long");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the controller's endpoint could not take a connection");
                    tokio::time::sleep(AFTER_REFUSAL).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the controller's endpoint broke off");
    }
}

async fn metrics(State(report): State<Speaker>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], report.series())
}

async fn healthz(State(report): State<Speaker>) -> (StatusCode, String) {
    verdict(report.alive())
}

async fn readyz(State(report): State<Speaker>) -> (StatusCode, String) {
    verdict(report.ready())
}

fn verdict(outcome: Result<(), String>) -> (StatusCode, String) {
    match outcome {
        Ok(()) => (StatusCode::OK, "OK".into()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
