//! A client that has its credentials anew when they end or are not accepted any more, so that no operator has to leave
//! the console for it, and no driver its rollouts.

use super::connect::explain;
use super::credentials::Login;
use chrono::Utc;
use futures::future::BoxFuture;
use kube::client::Body;
use kube::{Client, Config};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tower::{BoxError, Service};

/// Least time between two attempts that brought nothing new.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most that it grows to, for a file and for a plugin.
const MOST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// A client over these credentials and those that follow them.
///
/// # Errors
/// In words, where none can be made of them.
pub(super) fn client(login: Login) -> Result<Client, String> {
    let clients = Clients::of(&login)?;
    if login.origin.is_none() {
        return Ok(clients.asking());
    }
    let namespace = login.config.default_namespace.clone();
    let present = Present { clients, login, number: 0 };
    let shared = Shared { present: RwLock::new(present), attempts: tokio::sync::Mutex::default() };
    Ok(Client::new(Renewing(Arc::new(shared)), namespace))
}

/// Watches have connections of their own. One that has read a list keeps the room for it as long as it lives, which for a
/// watch is for ever: with eight of them that is a tenth of an observer's memory. For the same reason the connections that
/// lists came over are given up once there are no more of them.
#[derive(Clone)]
struct Clients {
    asking: Arc<RwLock<Client>>,
    /// Made with the first watch.
    watching: Arc<OnceLock<Client>>,
    /// When the last page of a list was asked for; None: its connection is not there any more.
    listed: Arc<Mutex<Option<Instant>>>,
}

/// So long after the last page its connection is given up.
const LISTED: Duration = Duration::from_secs(5);

impl Clients {
    fn of(login: &Login) -> Result<Self, String> {
        let asking = Client::try_from(login.config.clone()).map_err(|e| explain(&e))?;
        Ok(Self { asking: Arc::new(RwLock::new(asking)), watching: Arc::default(), listed: Arc::default() })
    }

    fn asking(&self) -> Client {
        self.asking.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn for_request(&self, request: &http::Request<Body>, login: &Login) -> Client {
        let query = request.uri().query().unwrap_or_default();
        let has = |wanted: &str| query.split('&').any(|part| part.starts_with(wanted));
        // One object is watched for a moment by whoever waits for it, and another connection would keep that waiting.
        if has("watch=true") && !query.contains("metadata.name") {
            let another = || Client::try_from(login.config.clone()).unwrap_or_else(|_| self.asking());
            return self.watching.get_or_init(another).clone();
        }
        // Those of a selection are short. What a provider has renewed is in its client alone.
        if has("limit=") && !has("labelSelector=") && login.config.auth_info.auth_provider.is_none() {
            self.note_list(login);
        }
        self.asking()
    }

    /// A page of a list is asked for.
    fn note_list(&self, login: &Login) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.replace(Instant::now()).is_none() {
            tokio::spawn(give_up(Arc::downgrade(&self.asking), Arc::downgrade(&self.listed), login.config.clone()));
        }
    }
}

/// Takes another client for all that is asked, once no page of a list was asked for in a while. What is under way over the
/// old one ends there.
async fn give_up(asking: Weak<RwLock<Client>>, listed: Weak<Mutex<Option<Instant>>>, config: Config) {
    loop {
        // None: nobody asks any more.
        let Some(last) = listed.upgrade().and_then(|l| *l.lock().unwrap_or_else(PoisonError::into_inner)) else {
            return;
        };
        let due = last + LISTED;
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
            continue;
        }
        let another = Client::try_from(config.clone());
        let (Some(asking), Some(listed)) = (asking.upgrade(), listed.upgrade()) else { return };
        let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        if *listed == Some(last) {
            *listed = None;
            if let Ok(another) = another {
                *asking.write().unwrap_or_else(PoisonError::into_inner) = another;
            }
            return;
        }
    }
}

/// What is used now.
#[derive(Clone)]
struct Present {
    clients: Clients,
    login: Login,
    /// Counts up with each renewal.
    number: u64,
}

struct Shared {
    present: RwLock<Present>,
    /// Held while an attempt is under way.
    attempts: tokio::sync::Mutex<Attempts>,
}

/// The attempts that brought nothing.
#[derive(Default)]
struct Attempts {
    last: Option<Instant>,
    wait: Duration,
    /// Why the last one failed; None: the credentials were the same as before.
    why: Option<String>,
}

impl Shared {
    fn present(&self) -> Present {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came after the credentials of that number; None: they are still the newest that can be had.
    async fn after(&self, number: u64) -> Result<Option<Present>, String> {
        let mut attempts = self.attempts.lock().await;
        let present = self.present();
        if present.number != number {
            return Ok(Some(present));
        }
        if attempts.last.is_some_and(|last| last.elapsed() < attempts.wait) {
            return attempts.why.clone().map_or(Ok(None), Err);
        }
        let renewed = match present.login.again().await {
            Ok(login) if login.digest() == present.login.digest() => Ok(None),
            Ok(login) => Clients::of(&login).map(|clients| Some(Present { clients, login, number: number + 1 })),
            Err(why) => Err(why),
        };
        match &renewed {
            Ok(Some(renewed)) => {
                *attempts = Attempts::default();
                *self.present.write().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
                tracing::info!("the credentials were renewed");
            }
            Ok(None) | Err(_) => {
                attempts.last = Some(Instant::now());
                let most = if present.login.from_plugin { MOST.1 } else { MOST.0 };
                attempts.wait = (attempts.wait * 2).clamp(PATIENCE, most);
                attempts.why = renewed.as_ref().err().cloned();
                tracing::warn!(why = attempts.why, "the credentials could not be renewed");
            }
        }
        renewed
    }
}

/// As [`Shared::after`]. Whoever asked may go: a plugin that has begun is heard to its end.
async fn renew(shared: &Arc<Shared>, number: u64) -> Result<Option<Present>, String> {
    let shared = shared.clone();
    tokio::spawn(async move { shared.after(number).await }).await.map_err(|e| e.to_string())?
}

/// Why a request was not sent or its answer not given.
#[derive(Debug, thiserror::Error)]
#[error("the credentials are not accepted any more, and there are no new ones: {0}")]
struct Expired(String);

struct Renewing(Arc<Shared>);

impl Service<http::Request<Body>> for Renewing {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let mut present = shared.present();
            if present.login.ends(Utc::now())
                && let Ok(Some(renewed)) = renew(&shared, present.number).await
            {
                present = renewed;
            }
            let again = copy(&request);
            let answer = present.clients.for_request(&request, &present.login).send(request).await?;
            let Some(again) = again.filter(|_| answer.status() == http::StatusCode::UNAUTHORIZED) else {
                return Ok(answer);
            };
            // It was refused at the door: nothing was done, and it can be sent again.
            match renew(&shared, present.number).await {
                Ok(Some(renewed)) => Ok(renewed.clients.for_request(&again, &renewed.login).send(again).await?),
                Ok(None) => Ok(answer),
                Err(why) => Err(Expired(why).into()),
            }
        })
    }
}

/// The same request once more, where its body is at hand.
fn copy(request: &http::Request<Body>) -> Option<http::Request<Body>> {
    let mut copy = http::Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::serve::ListenerExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The login to a server that answers everything, and how many connections were made to it.
    async fn server() -> (Login, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(|| async { "{}" })).await });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        (Login { config, origin: None, expires: None, from_plugin: false }, connections)
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_of_a_list_is_given_up_once_there_are_no_more_of_them() {
        let (login, connections) = server().await;
        let clients = Clients::of(&login).unwrap();
        let ask = async |path: &str| {
            let request = http::Request::get(path).body(Body::empty()).unwrap();
            let client = clients.for_request(&request, &login);
            client.request_text(request.map(|_| Vec::new())).await.unwrap();
            connections.load(Ordering::Relaxed)
        };
        assert_eq!((ask("/one").await, ask("/two?resourceVersion=0").await), (1, 1), "one serves all");
        tokio::time::sleep(LISTED * 2).await;
        assert_eq!(ask("/three").await, 1, "no list came over it");
        assert_eq!(ask("/pods?limit=50").await, 1);
        tokio::time::sleep(LISTED / 2).await;
        assert_eq!(ask("/pods?limit=50&continue=x").await, 1, "the next page");
        tokio::time::sleep(LISTED * 2 / 3).await;
        assert_eq!(ask("/four").await, 1, "another may follow");
        tokio::time::sleep(LISTED).await;
        assert_eq!((ask("/five").await, ask("/six").await), (2, 2));
        assert_eq!(ask("/pods?limit=50&labelSelector=app%3Dweb").await, 2);
        tokio::time::sleep(LISTED * 2).await;
        assert_eq!(ask("/seven").await, 2, "a selection is short");
        assert!(clients.listed.lock().unwrap().is_none(), "and it begins anew with the next");
    }
}
