//! A loopback listener that serves one router, over TLS or in plain, and can be closed with all its connections and
//! opened again on the same port.

use anyhow::{Context, bail};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A served address. Dropping it closes the listener and every connection.
pub struct Listener {
    address: SocketAddr,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    accepting: Mutex<Accepting>,
}

/// The loop that takes connections.
#[derive(Default)]
struct Accepting {
    /// Cancelled to close; none while closed.
    open: Option<CancellationToken>,
    /// Ends when the port is free again.
    task: Option<JoinHandle<()>>,
}

impl Listener {
    /// Serves `router` on a loopback address; port 0 takes a free one. Errors: an address that is not loopback, or one
    /// that is taken.
    pub async fn open(address: SocketAddr, router: Router, acceptor: Option<TlsAcceptor>) -> anyhow::Result<Arc<Self>> {
        if !address.ip().is_loopback() {
            bail!("the sandbox listens on loopback alone; {address} is not: use 127.0.0.1:{}", address.port());
        }
        let socket = bind(address)?;
        let listener = Arc::new(Self {
            address: socket.local_addr().context("reading the sandbox's own address")?,
            router,
            acceptor,
            accepting: Mutex::default(),
        });
        listener.accept_from(socket);
        Ok(listener)
    }

    /// The address that it is served on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and breaks every connection off.
    pub fn close(&self) {
        if let Some(open) = self.accepting().open.take() {
            open.cancel();
        }
    }

    /// Serves again on the same address. Nothing happens where it is open. Error: the port was taken meanwhile.
    pub async fn reopen(self: &Arc<Self>) -> anyhow::Result<()> {
        let closing = {
            let mut accepting = self.accepting();
            if accepting.open.is_some() {
                return Ok(());
            }
            accepting.task.take()
        };
        if let Some(closing) = closing {
            // It was cancelled, and ends either way.
            let _ = closing.await;
        }
        let socket = bind(self.address)?;
        self.accept_from(socket);
        Ok(())
    }

    fn accept_from(&self, socket: TcpListener) {
        let open = CancellationToken::new();
        let (router, acceptor) = (self.router.clone(), self.acceptor.clone());
        let cancelled = open.clone();
        let task = tokio::spawn(async move {
            let open = cancelled;
            loop {
                let accepted = tokio::select! {
                    () = open.cancelled() => return,
                    accepted = socket.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let (router, acceptor, open) = (router.clone(), acceptor.clone(), open.clone());
                        tokio::spawn(async move {
                            tokio::select! {
                                () = open.cancelled() => {}
                                () = connection(stream, router, acceptor) => {}
                            }
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: others may be freed in a moment.
                        tracing::warn!(%error, "the sandbox could not take a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        });
        *self.accepting() = Accepting { open: Some(open), task: Some(task) };
    }

    fn accepting(&self) -> MutexGuard<'_, Accepting> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bind = || -> std::io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A port that was just closed can be opened again at once.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    bind().with_context(|| format!("listening on {address}: choose another port, or 0 for a free one"))
}

async fn connection(stream: TcpStream, router: Router, acceptor: Option<TlsAcceptor>) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => serve(stream, router).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the sandbox failed"),
            Err(_) => tracing::debug!("a TLS handshake with the sandbox took too long"),
        },
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the sandbox broke off");
    }
}
