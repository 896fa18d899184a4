//! The wire between a client and the API, and all that goes wrong on it: refusals, answers that never come or come too
//! late, writes that are carried out and not answered or arrive when nobody waits for them any more, watches that lag,
//! break off or are told that they are too far behind, and a Prometheus that talks nonsense.
//!
//! What fails is drawn from the run's seed alone.

use super::cluster::Cluster;
use super::time::Time;
use super::trace::Trace;
use axum::Router;
use axum::body::Body;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tower::{BoxError, Service, ServiceExt};

/// How long a client waits for an answer that it set no limit of its own for.
const READ_TIMEOUT: Duration = Duration::from_secs(295);
/// Most by which one batch of a watch is late; the next may be so once more.
pub const MOST_LAG: Duration = Duration::from_secs(2);
/// The longest time for which a line is cut; what was sent may arrive after it.
pub const LONGEST_CUT: Duration = Duration::from_secs(40);
/// When at the latest a write arrives that nobody waits for any more.
pub const LATEST: Duration = Duration::from_secs(12);

/// What a request is to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Write,
    Watch,
    Query,
    Review,
}

/// How likely a request of each kind meets a fault, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub read: f64,
    pub write: f64,
    pub watch: f64,
    pub query: f64,
}

impl Weather {
    /// Draws one: fair for some kinds of requests and foul for others.
    pub fn drawn(random: &mut Pcg64Mcg) -> Self {
        let mut draw = || [0.0, 0.0, 0.01, 0.05, 0.15, 0.4][random.random_range(0..6)];
        Self { read: draw(), write: draw(), watch: draw(), query: draw() }
    }

    fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Read | Kind::Review => self.read,
            Kind::Write => self.write,
            Kind::Watch => self.watch,
            Kind::Query => self.query,
        }
    }
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fair,
    Refused(u16),
    /// The connection breaks before the request arrives.
    Reset,
    /// It never arrives, and no answer comes.
    Lost,
    Slow(Duration),
    /// Carried out, and answered with an error of the server.
    DoneAnd500,
    /// Carried out, and the connection breaks.
    DoneAndReset,
    /// Carried out, and no answer comes.
    DoneAndLost,
    /// Arrives so much later, and no answer comes.
    Late(Duration),
    /// A body of Prometheus' that is no measurement.
    Nonsense(usize),
    /// A watch that lags by so much and ends after so long in a certain way.
    Watch(Duration, Duration, End),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Closed,
    Broken,
    Gone,
}

/// Bodies that Prometheus, or what stands before it, may answer with.
const NONSENSE: [(u16, &str); 7] = [
    (200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
    (200, r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1800000000,"NaN"]}]}}"#),
    (
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1800000000,"+Inf"]}]}}"#,
    ),
    (200, r#"{"status":"success","data":{"resultTy"#),
    (200, "<html><body>Please log in</body></html>"),
    (200, "null"),
    (503, "upstream connect error"),
];

/// The network that all processes of a run share.
pub struct Net {
    time: Time,
    trace: Trace,
    random: Mutex<Pcg64Mcg>,
    weather: Mutex<Weather>,
    /// Set when nothing fails any more.
    calm: AtomicBool,
    calming: Notify,
    /// The highest term under which each object was written.
    terms: Mutex<BTreeMap<String, (i64, String)>>,
    violations: Mutex<Vec<String>>,
    pub requests: AtomicU64,
    pub faults: AtomicU64,
}

impl Net {
    pub fn new(time: Time, trace: Trace, seed: u64, weather: Weather) -> Arc<Self> {
        Arc::new(Self {
            time,
            trace,
            random: Mutex::new(Pcg64Mcg::seed_from_u64(seed ^ 0x77_69_72_65)),
            weather: Mutex::new(weather),
            calm: AtomicBool::default(),
            calming: Notify::new(),
            terms: Mutex::default(),
            violations: Mutex::default(),
            requests: AtomicU64::default(),
            faults: AtomicU64::default(),
        })
    }

    /// From now on nothing fails, and what hangs is cut off.
    pub fn calm_down(&self) {
        *lock(&self.weather) = Weather::default();
        self.calm.store(true, Ordering::Relaxed);
        self.calming.notify_waiters();
    }

    /// What was written that must not have been.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    fn latency(&self) -> Duration {
        Duration::from_millis(lock(&self.random).random_range(1..5))
    }

    fn fate(&self, kind: Kind) -> Fate {
        let chance = lock(&self.weather).of(kind);
        let mut random = lock(&self.random);
        if chance == 0.0 {
            return Fate::Fair;
        }
        let mut within = |from: u64, to: u64| Duration::from_millis(random.random_range(from..to));
        if kind == Kind::Watch {
            let (lag, ends) = (within(0, MOST_LAG.as_millis() as u64), within(500, 60_000));
            let lag = if random.random_bool(chance) { lag } else { Duration::ZERO };
            let end = [End::Closed, End::Broken, End::Gone][random.random_range(0..3)];
            let ends = if random.random_bool(chance) { ends } else { READ_TIMEOUT };
            return match random.random_bool(chance / 2.0) {
                true => Fate::Refused([410, 429, 500, 503][random.random_range(0..4)]),
                false => Fate::Watch(lag, ends, end),
            };
        }
        let (slow, late) = (within(50, 7000), within(4000, LATEST.as_millis() as u64));
        if !random.random_bool(chance) {
            return Fate::Fair;
        }
        let which = random.random_range(0..100);
        match kind {
            Kind::Query => match which {
                0..20 => Fate::Refused(503),
                20..35 => Fate::Slow(slow),
                35..45 => Fate::Lost,
                45..50 => Fate::Reset,
                _ => Fate::Nonsense(random.random_range(0..NONSENSE.len())),
            },
            Kind::Write => match which {
                0..10 => Fate::Refused(409),
                10..20 => Fate::Refused(429),
                20..30 => Fate::Refused(500),
                30..36 => Fate::Refused(503),
                36..46 => Fate::Reset,
                46..54 => Fate::Lost,
                54..64 => Fate::Slow(slow),
                64..74 => Fate::DoneAnd500,
                74..84 => Fate::DoneAndReset,
                84..94 => Fate::DoneAndLost,
                _ => Fate::Late(late),
            },
            _ => match which {
                0..20 => Fate::Refused(429),
                20..40 => Fate::Refused(500),
                40..50 => Fate::Refused(503),
                50..70 => Fate::Reset,
                70..75 => Fate::Lost,
                _ => Fate::Slow(slow),
            },
        }
    }

    /// A write was carried out under a term.
    fn written(&self, object: String, term: i64, by: &str) {
        if term == 0 {
            return;
        }
        let mut terms = lock(&self.terms);
        let before = terms.entry(object.clone()).or_insert((term, by.to_string()));
        if before.0 > term {
            let text = format!("{by} wrote {object} under term {term}, after {} had under term {}", before.1, before.0);
            self.trace.tell("VIOLATION", &text);
            lock(&self.violations).push(text);
        } else {
            *before = (term, by.to_string());
        }
    }

    async fn hang(&self) -> BoxError {
        if !self.calm.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(READ_TIMEOUT, self.calming.notified()).await;
        }
        self.tick().await;
        "operation timed out".into()
    }

    /// Until when a line is cut, if it is.
    fn cut(&self, line: &Line) -> Option<Duration> {
        self.lies_ahead(&line.cut_until)
    }

    /// A moment of trouble, if it is still to come.
    fn lies_ahead(&self, moment: &AtomicU64) -> Option<Duration> {
        let until = Duration::from_millis(moment.load(Ordering::Relaxed));
        (until > self.time.elapsed() && !self.calm.load(Ordering::Relaxed)).then_some(until)
    }

    /// Nothing comes while a line is cut, and then it is found broken.
    async fn until_whole(&self, cut: Duration) {
        tokio::select! {
            biased;
            () = self.time.until(cut) => {}
            () = self.calming.notified() => {}
        }
        self.tick().await;
    }

    /// Nobody hears of the calm in the very moment.
    async fn tick(&self) {
        tokio::time::sleep(self.latency()).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One process's end of the wire.
pub struct Line {
    pub name: String,
    dead: AtomicBool,
    /// The term that the process holds, as far as it has been told.
    term: AtomicI64,
    /// Until when nothing of it gets through, in milliseconds of the run.
    cut_until: AtomicU64,
    /// Until when its Lease alone cannot be read or written.
    no_lease_until: AtomicU64,
}

impl Line {
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_string(),
            dead: AtomicBool::default(),
            term: AtomicI64::default(),
            cut_until: AtomicU64::default(),
            no_lease_until: AtomicU64::default(),
        })
    }

    /// The process is gone: what it has sent may still arrive, and nothing ever reaches it.
    pub fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Nothing gets through for so long.
    pub fn cut(&self, time: Time, lasts: Duration) {
        self.cut_until.store((time.elapsed() + lasts).as_millis() as u64, Ordering::Relaxed);
    }

    /// Its Lease cannot be read or written for so long; all else can.
    pub fn lose_lease(&self, time: Time, lasts: Duration) {
        self.no_lease_until.store((time.elapsed() + lasts).as_millis() as u64, Ordering::Relaxed);
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

/// The service that a client talks to.
#[derive(Clone)]
pub struct Wire {
    net: Arc<Net>,
    line: Arc<Line>,
    router: Router,
}

impl Wire {
    /// A client at the end of this line.
    pub fn client(net: &Arc<Net>, line: &Arc<Line>, cluster: &Cluster) -> kube::Client {
        let wire = Self { net: net.clone(), line: line.clone(), router: cluster.router.clone() };
        kube::Client::new(wire, super::cluster::NAMESPACE)
    }

    async fn exchange(self, request: Request<kube::client::Body>) -> Result<Response<Body>, BoxError> {
        if self.line.is_dead() {
            return std::future::pending().await;
        }
        let (kind, said) = (kind(&request), describe(&request));
        let sent = Sent {
            writes: kind == Kind::Write,
            // What is created meets what is there already by its name.
            object: (kind == Kind::Write && request.method() != Method::POST).then(|| object(&request)),
            term: self.line.term.load(Ordering::Relaxed),
            lease: kind == Kind::Write && request.uri().path().contains("/leases"),
        };
        let net = self.net.clone();
        net.requests.fetch_add(1, Ordering::Relaxed);
        let mut fate = net.fate(kind);
        if request.uri().path().contains("/leases/") && net.lies_ahead(&self.line.no_lease_until).is_some() {
            fate = Fate::Refused(503);
        }
        let faulty = !matches!(fate, Fate::Fair | Fate::Watch(Duration::ZERO, READ_TIMEOUT, _));
        if faulty {
            net.faults.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(cut) = net.cut(&self.line) {
            net.trace.tell(&self.line.name, &format!("{said}: cut off"));
            if kind == Kind::Write && lock(&net.random).random_bool(0.5) {
                // What was sent lies on the way, and arrives when the line is whole again.
                let late = cut.saturating_sub(net.time.elapsed()) + net.latency();
                let (wire, sent) = (self.clone(), sent);
                tokio::spawn(async move { wire.carried_out(request, sent, late).await.is_ok() });
            }
            net.until_whole(cut).await;
            return self.answered(Err("connection reset by peer".into())).await;
        }
        tokio::time::sleep(net.latency()).await;
        let answer = match fate {
            Fate::Fair => self.carried_out(request, sent, Duration::ZERO).await.map(|answer| self.told(answer)),
            Fate::Slow(slow) => self.carried_out(request, sent, slow).await.map(|answer| self.told(answer)),
            Fate::Watch(lag, ends, end) => {
                let answer = self.carried_out(request, sent, Duration::ZERO).await;
                answer.map(|(response, _)| self.watched(response, lag, ends, end))
            }
            Fate::Refused(code) => Ok(refusal(code)),
            Fate::Reset => Err("connection reset by peer".into()),
            Fate::Lost => Err(net.hang().await),
            Fate::DoneAnd500 => self.carried_out(request, sent, Duration::ZERO).await.map(|_| refusal(500)),
            Fate::DoneAndReset => {
                let _ = self.carried_out(request, sent, Duration::ZERO).await;
                Err("connection closed before message completed".into())
            }
            Fate::DoneAndLost => {
                let _ = self.carried_out(request, sent, Duration::ZERO).await;
                Err(net.hang().await)
            }
            Fate::Late(late) => {
                let _ = self.carried_out(request, sent, late).await;
                Err(net.hang().await)
            }
            Fate::Nonsense(which) => Ok(plain(NONSENSE[which].0, NONSENSE[which].1)),
        };
        let status = match &answer {
            Ok(response) => response.status().as_u16().to_string(),
            Err(error) => error.to_string(),
        };
        let fault = if faulty { format!(" ({fate:?})") } else { String::new() };
        net.trace.tell(&self.line.name, &format!("{said}: {status}{fault}"));
        self.answered(answer).await
    }

    /// An answer that arrives tells a process which term it holds.
    fn told(&self, (response, term): (Response<Body>, Option<i64>)) -> Response<Body> {
        if let Some(term) = term {
            self.line.term.store(term, Ordering::Relaxed);
        }
        response
    }

    /// The answer reaches the process, if there still is one.
    async fn answered<T>(&self, answer: T) -> T {
        if self.line.is_dead() {
            return std::future::pending().await;
        }
        answer
    }

    /// What was sent arrives, whether or not somebody still waits for the answer.
    async fn carried_out(
        &self,
        request: Request<kube::client::Body>,
        sent: Sent,
        after: Duration,
    ) -> Result<(Response<Body>, Option<i64>), BoxError> {
        let writes = sent.writes;
        let (net, line, router) = (self.net.clone(), self.line.clone(), self.router.clone());
        let arrives = async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let mut request = request.map(Body::new);
            request.headers_mut().insert(header::AUTHORIZATION, Cluster::authorization());
            let Ok(mut response) = router.oneshot(request).await;
            let mut term = None;
            match sent.object {
                _ if !response.status().is_success() => {}
                _ if sent.lease => (response, term) = term_of(response).await,
                Some(object) => net.written(object, sent.term, &line.name),
                None => {}
            }
            (response, term)
        };
        // A write that was sent arrives, even if its sender has given up.
        let (response, term) = if writes { tokio::spawn(arrives).await? } else { arrives.await };
        Ok((response, term))
    }

    /// A watch whose batches come late, and which ends.
    fn watched(&self, response: Response<Body>, lag: Duration, lasts: Duration, end: End) -> Response<Body> {
        if !response.status().is_success() {
            return response;
        }
        let (head, body) = response.into_parts();
        let ends = tokio::time::Instant::now() + lasts;
        let state = (self.clone(), body.into_data_stream(), Some(end));
        let batches = futures::stream::unfold(state, move |(wire, mut batches, end)| async move {
            let end = end?;
            let net = wire.net.clone();
            if net.calm.load(Ordering::Relaxed) && !wire.line.is_dead() {
                // The network is whole again: this watch goes on as any.
                let batch = batches.next().await?;
                return Some((batch.map_err(BoxError::from), (wire, batches, Some(end))));
            }
            let batch = tokio::select! {
                biased;
                batch = batches.next() => {
                    tokio::time::sleep(lag).await;
                    batch?.map_err(BoxError::from)
                }
                () = tokio::time::sleep_until(ends) => match end {
                    End::Closed => return None,
                    End::Broken => Err("connection reset by peer".into()),
                    End::Gone => Ok(gone()),
                },
                () = net.calming.notified() => Ok(axum::body::Bytes::new()),
            };
            if let Some(cut) = net.cut(&wire.line) {
                net.until_whole(cut).await;
                return Some((Err("connection reset by peer".into()), (wire, batches, None)));
            }
            let batch = wire.answered(batch).await;
            let over = batch.is_err() || tokio::time::Instant::now() >= ends && end == End::Gone;
            Some((batch, (wire, batches, (!over).then_some(end))))
        });
        Response::from_parts(head, Body::from_stream(batches))
    }
}

impl Service<Request<kube::client::Body>> for Wire {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        Box::pin(self.clone().exchange(request))
    }
}

/// What is known of a request when it is sent.
struct Sent {
    writes: bool,
    /// The object that it changes.
    object: Option<String>,
    term: i64,
    lease: bool,
}

/// The answer to a write of the Lease, and the term under which it is held by it.
async fn term_of(response: Response<Body>) -> (Response<Body>, Option<i64>) {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let lease: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let holds = lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty());
    let term = lease["spec"]["leaseTransitions"].as_i64().filter(|_| holds);
    (Response::from_parts(head, Body::from(bytes)), term)
}

fn kind(request: &Request<kube::client::Body>) -> Kind {
    let path = request.uri().path();
    let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    match *request.method() {
        _ if path.contains("/proxy/") => Kind::Query,
        _ if path.contains("/selfsubject") => Kind::Review,
        Method::GET if watch => Kind::Watch,
        Method::GET => Kind::Read,
        _ => Kind::Write,
    }
}

/// `PATCH canaries/app/status`, without what depends on random names.
fn describe(request: &Request<kube::client::Body>) -> String {
    let path = request.uri().path();
    let short = path.rsplit_once("/namespaces/").map_or(path, |(_, rest)| rest);
    let short = short.split_once('/').map_or(short, |(_, rest)| rest);
    let method = if kind(request) == Kind::Watch { "WATCH" } else { request.method().as_str() };
    format!("{method} {short}")
}

/// The object that a write is about.
fn object(request: &Request<kube::client::Body>) -> String {
    let path = request.uri().path();
    let path = path.strip_suffix("/status").unwrap_or(path);
    path.rsplit_once("/namespaces/").map_or(path, |(_, rest)| rest).to_string()
}

fn plain(code: u16, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn status(code: u16) -> Value {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("injected {code}"), "reason": reason, "code": code,
    })
}

fn refusal(code: u16) -> Response<Body> {
    let mut response = Response::new(Body::from(status(code).to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if matches!(code, 429 | 503) {
        headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}

/// What a watch says that is too far behind.
fn gone() -> axum::body::Bytes {
    format!("{}\n", json!({ "type": "ERROR", "object": status(410) })).into()
}
