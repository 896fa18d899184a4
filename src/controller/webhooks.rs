//! Calls webhooks: what is sent, what counts as yes, when it is tried again. It decides nothing, and a call that is
//! dropped is over.

use crate::api::{HookKind, Phase, Status, Webhook, duration};
use crate::cluster::Clock;
use crate::metrics::query::{self, causes};
use crate::metrics::reach::{ServiceAddress, is_loopback, service_of};
use crate::rollout::{Called, Facts};
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, StatusCode, Url, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 8 << 10;
/// Longest answer that is told, in characters.
const LONGEST_TEXT: usize = 300;
/// Longest wait between two attempts, whoever asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Time limit of an attempt whose webhook names 0.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The letters of a checksum, with which Kubernetes names revisions.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The Canary that a call is about, as its receiver sees it.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub namespace: String,
    pub phase: Phase,
    /// Stable for one revision and its configuration.
    checksum: String,
}

impl Subject {
    /// A Canary with this status, shown in `phase`.
    pub fn new(name: &str, namespace: &str, status: &Status, phase: Phase) -> Self {
        Self { name: name.into(), namespace: namespace.into(), phase, checksum: checksum(status) }
    }

    /// What is sent, with Flagger's fields.
    pub fn payload(&self, metadata: &BTreeMap<String, String>) -> Value {
        json!({
            "name": self.name,
            "namespace": self.namespace,
            "phase": self.phase.name(),
            "checksum": self.checksum,
            "metadata": metadata,
        })
    }
}

/// FNV-1a over what is rolled out, in the letters of a revision's name.
fn checksum(status: &Status) -> String {
    let mut hash = 0x811c_9dc5_u32;
    let mut feed = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    };
    feed(status.last_applied.as_deref().unwrap_or_default());
    for (config, sum) in status.tracked_configs.iter().flatten() {
        feed(config);
        feed(sum);
    }
    hash.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}

/// Calls webhooks. Clones share their connections.
#[derive(Clone)]
pub struct Caller {
    /// The way to a Service of the cluster whose name means nothing here.
    cluster: kube::Client,
    /// With and without a check of the receiver's certificate, through the environment's proxy and past it.
    clients: Arc<[OnceLock<Result<Client, String>>; 4]>,
}

/// How one attempt ended.
enum Attempt {
    Yes,
    No(String),
    /// No, which another attempt may turn; the receiver may have said when.
    NotYet(String, Option<Duration>),
}

impl Caller {
    /// A caller beside this cluster.
    pub fn new(cluster: kube::Client) -> Self {
        Self { cluster, clients: Arc::default() }
    }

    /// What the webhooks of a kind answer, those left out whose gate was opened: in their order, up to the first that
    /// says no, or of rollback hooks yes.
    pub async fn ask(&self, kind: HookKind, facts: &Facts, clock: &Clock) -> Called {
        let subject = Subject::new(&facts.name, &facts.namespace, &facts.status, facts.status.phase);
        let mut passed = Vec::new();
        let mut failed = None;
        for hook in facts.spec.analysis.hooks(kind) {
            if facts.is_passed_by(hook) {
                continue;
            }
            let answer = self.call(hook, &subject.payload(&hook.metadata)).await;
            match (kind, answer) {
                (HookKind::Rollback, Err(_)) => {}
                (HookKind::Rollback, Ok(())) => {
                    passed.push(hook.name.clone());
                    break;
                }
                (_, Ok(())) => passed.push(hook.name.clone()),
                (_, Err(why)) => {
                    failed = Some((hook.name.clone(), why));
                    break;
                }
            }
        }
        // At its end: a call may take longer than the interval after which it is due again.
        Called { at: clock.now(), passed, failed }
    }

    /// Calls one webhook, as often as it is to be tried.
    ///
    /// # Errors
    /// What it answered where that is not yes, or why it did not answer.
    pub async fn call(&self, hook: &Webhook, payload: &Value) -> Result<(), String> {
        let url = Url::parse(&hook.url).map_err(|e| format!("its address cannot be used: {e}"))?;
        let client = self.client(hook.skip_tls_verify, is_loopback(&url))?;
        let limit = if hook.timeout.is_zero() { TIMEOUT } else { hook.timeout };
        let mut attempts = 0;
        loop {
            let attempt = tokio::time::timeout(limit, self.attempt(&client, &url, payload)).await;
            let late = |_| Attempt::NotYet(format!("no answer within {}", duration::go(limit)), None);
            match attempt.unwrap_or_else(late) {
                Attempt::Yes => return Ok(()),
                Attempt::NotYet(_, asked) if attempts < hook.retries => {
                    tokio::time::sleep(wait_before_next(attempts, asked)).await;
                }
                Attempt::No(why) | Attempt::NotYet(why, _) => return Err(why),
            }
            attempts += 1;
        }
    }

    /// One attempt: straight, and where nobody here knows the name of a Service, through the API server.
    async fn attempt(&self, client: &Client, url: &Url, payload: &Value) -> Attempt {
        match client.post(url.clone()).json(payload).send().await {
            Ok(response) => judged(response).await,
            Err(e) if e.is_builder() || e.is_redirect() => Attempt::No(failure(e)),
            Err(e) if e.is_dns() => match service_of(url) {
                Some(service) => match through(&self.cluster, &service, url, payload).await {
                    Through::Answered(attempt) => attempt,
                    Through::Refused(why) => Attempt::NotYet(cut(&format!("{}; {why}", failure(e))), None),
                },
                None => Attempt::NotYet(failure(e), None),
            },
            Err(e) => Attempt::NotYet(failure(e), None),
        }
    }

    /// A client that checks certificates or not, and that goes past the environment's proxy or not.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn client(&self, skip_tls_verify: bool, no_proxy: bool) -> Result<Client, String> {
        let place = usize::from(skip_tls_verify) + 2 * usize::from(no_proxy);
        let made = self.clients[place].get_or_init(|| {
            let builder = builder().tls_danger_accept_invalid_certs(skip_tls_verify);
            let builder = if no_proxy { builder.no_proxy() } else { builder };
            builder.build().map_err(|e| format!("cannot prepare a connection: {}", causes(&e)))
        });
        made.clone()
    }
}

/// What all clients have in common. Redirects are followed as Go's client does: ten of them, and all but 307 and 308
/// turn the call into a GET.
pub fn builder() -> reqwest::ClientBuilder {
    // Without a provider reqwest panics; a second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().user_agent(concat!("canary-tui/", env!("CARGO_PKG_VERSION")))
}

async fn judged(mut response: reqwest::Response) -> Attempt {
    let status = response.status();
    let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = if status.is_success() { Vec::new() } else { body(&mut response).await };
    judge(status, &body, asked)
}

fn judge(status: StatusCode, body: &[u8], asked: Option<u64>) -> Attempt {
    if status.is_success() {
        return Attempt::Yes;
    }
    let why = answer(status, body);
    let server = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    match server || status == StatusCode::TOO_MANY_REQUESTS {
        true => Attempt::NotYet(why, asked.map(Duration::from_secs)),
        false => Attempt::No(why),
    }
}

/// How a call through the API server ended.
enum Through {
    /// The Service answered.
    Answered(Attempt),
    /// The API server did not let it through, and says why.
    Refused(String),
}

/// Calls a Service through the API server's proxy.
async fn through(cluster: &kube::Client, service: &ServiceAddress, url: &Url, payload: &Value) -> Through {
    let root = if service.prefix.is_empty() { "/" } else { "" };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", service.path(root));
    let request = http::Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let refused = |why: String| Through::Refused(format!("through the API server: {why}"));
    let request = match request.body(kube::client::Body::from(payload.to_string().into_bytes())) {
        Ok(request) => request,
        Err(e) => return refused(e.to_string()),
    };
    let response = match cluster.send(request).await {
        Ok(response) => response,
        Err(e) => return refused(causes(&e)),
    };
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    // What is longer or breaks off says no more than its status.
    let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    match !status.is_success() && query::is_api_status(&body) {
        true => refused(query::error_message(&body)),
        false => Through::Answered(judge(status, &body, None)),
    }
}

/// Why a call failed. Its address may hold a secret and is left out.
pub fn failure(error: reqwest::Error) -> String {
    cut(&causes(&error.without_url()))
}

/// The beginning of an answer, as far as it comes.
pub async fn body(response: &mut reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LONGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == LONGEST_ANSWER {
            break;
        }
    }
    body
}

/// An answer that is not yes in words: its own, or its status where it has none.
pub fn answer(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim() {
        "" => format!("answered {status}"),
        text => cut(text),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        None => text.to_string(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Time between an attempt, counted from 0, and the next one: twice as long each time, or what the receiver asks for.
fn wait_before_next(attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(2_u64.saturating_pow(attempt));
    asked.unwrap_or(doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_flaggers_fields() {
        let status = Status { last_applied: Some("b57d6944".into()), ..Default::default() };
        let subject = Subject::new("web", "prod", &status, Phase::WaitingPromotion);
        let payload = subject.payload(&BTreeMap::from([("k".to_string(), "v".to_string())]));
        let expected = json!({"name": "web", "namespace": "prod", "phase": "WaitingPromotion",
            "checksum": checksum(&status), "metadata": {"k": "v"}});
        assert_eq!(payload, expected);
        assert_eq!(subject.payload(&BTreeMap::new())["metadata"], json!({}), "and never null");
    }

    #[test]
    fn a_checksum_stands_for_the_revision_and_its_configuration_alone() {
        let of = |hash: &str, configs: &[(&str, &str)]| {
            let configs = configs.iter().map(|(name, sum)| (name.to_string(), sum.to_string())).collect();
            checksum(&Status { last_applied: Some(hash.into()), tracked_configs: Some(configs), ..Default::default() })
        };
        let one = of("b57d6944", &[("configmap/a", "1")]);
        assert_eq!(one, of("b57d6944", &[("configmap/a", "1")]));
        assert_ne!(one, of("b57d6945", &[("configmap/a", "1")]));
        assert_ne!(one, of("b57d6944", &[("configmap/a", "2")]));
        assert_ne!(one, of("b57d6944", &[("configmap/a1", "")]));
        assert!(!one.is_empty() && one.bytes().all(|letter| LETTERS.contains(&letter)), "{one}");
        // What receivers may have kept stays what it is.
        assert_eq!(checksum(&Status::default()), "d8bfb795");
    }

    #[test]
    fn waits_double_and_are_bounded_whoever_asks() {
        let seconds = [0, 1, 2, 4, 5, 99].map(|attempt| wait_before_next(attempt, None).as_secs());
        assert_eq!(seconds, [1, 2, 4, 16, 30, 30]);
        assert_eq!(wait_before_next(5, Some(Duration::from_secs(3))).as_secs(), 3);
        assert_eq!(wait_before_next(0, Some(Duration::from_secs(86_400))).as_secs(), 30);
    }

    #[tokio::test]
    async fn a_service_is_reached_through_the_api_server() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let said = seen.clone();
        let handle = move |request: axum::extract::Request| {
            let uri = request.uri().to_string();
            said.lock().unwrap().push(format!("{} {uri}", request.method()));
            async move {
                match uri.contains("/gate/") {
                    true => (StatusCode::FORBIDDEN, "Forbidden".to_string()),
                    false => (
                        StatusCode::NOT_FOUND,
                        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "message": "services \"web\" not found", "code": 404})
                        .to_string(),
                    ),
                }
            }
        };
        let router = axum::Router::new().fallback(handle);
        let cluster = kube::Client::new(router.into_service::<kube::client::Body>(), "default");
        let call = async |url: &str| {
            let url = Url::parse(url).unwrap();
            through(&cluster, &service_of(&url).unwrap(), &url, &json!({})).await
        };
        let gate = call("http://flagger-loadtester.test/gate/check?a=b").await;
        assert!(matches!(gate, Through::Answered(Attempt::No(why)) if why == "Forbidden"));
        let gone = call("https://web.prod.svc.cluster.local").await;
        assert!(matches!(gone, Through::Refused(why) if why.contains("services \"web\" not found")));
        let paths = [
            "POST /api/v1/namespaces/test/services/flagger-loadtester:80/proxy/gate/check?a=b",
            "POST /api/v1/namespaces/prod/services/https:web:443/proxy/",
        ];
        assert_eq!(*seen.lock().unwrap(), paths);
    }

    #[test]
    fn an_answer_is_told_in_its_own_words_and_not_at_any_length() {
        assert_eq!(answer(StatusCode::FORBIDDEN, b" Forbidden\n"), "Forbidden");
        assert_eq!(answer(StatusCode::FORBIDDEN, b""), "answered 403 Forbidden");
        let long = answer(StatusCode::BAD_GATEWAY, "\u{e4}".repeat(5000).as_bytes());
        assert_eq!(long.chars().count(), LONGEST_TEXT + 1);
        assert!(answer(StatusCode::BAD_GATEWAY, &[0xff, 0xfe]).contains('\u{fffd}'));
    }
}
