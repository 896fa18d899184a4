//! The way to a Prometheus: straight to a URL, or through the API server's service proxy, which is the way in from a
//! bastion that has nothing but a kubeconfig.

use super::query::{self, QueryError};
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Time limit of one query, as in Flagger.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 32 << 20;
/// Longest parameters that go by GET, in bytes.
const LONGEST_GET: usize = 8 << 10;
/// Where a bare Service name is looked for: Flagger resolves it in its own namespace, which is Istio's.
const BARE_NAMES: &str = "istio-system";

/// A Prometheus and the way to it. Clones share their connections.
#[derive(Clone)]
pub struct Prometheus {
    way: Way,
    /// Address and credentials: what is the same here answers the same. It holds secrets and is never shown.
    identity: Arc<str>,
}

#[derive(Clone)]
enum Way {
    Direct { client: reqwest::Client, base: Url, headers: HeaderMap, login: Option<Login> },
    Proxy { client: kube::Client, service: ServiceAddress, headers: HeaderMap },
}

/// Who asks, where Prometheus wants to know.
#[derive(Clone)]
pub(super) enum Login {
    Bearer(String),
    Basic { username: String, password: String },
}

/// How a Prometheus is asked, beyond its address.
#[derive(Clone, Default)]
pub(super) struct Manner {
    pub headers: HeaderMap,
    pub login: Option<Login>,
    /// Whether its certificate may be anybody's.
    pub insecure: bool,
}

/// A Service that is reached through the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceAddress {
    pub namespace: String,
    pub name: String,
    pub port: u16,
    /// Whether the Service itself speaks HTTPS.
    pub https: bool,
    /// Path before `/api/v1`, empty or with a leading slash and none at its end.
    pub prefix: String,
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReachError {
    #[error("{given:?} is no address of a Prometheus ({why}): write it like http://127.0.0.1:9090")]
    Address { given: String, why: String },
    #[error(
        "the metrics server {service} needs a user and password, which the API server's proxy does not pass on: give \
         its address as seen from here with --prometheus URL"
    )]
    Credentials { service: String },
    #[error(
        "{service} is reached through the API server's proxy, which does not pass {what} on: give an address that can be \
         reached from where the driver runs"
    )]
    NotPassedOn { service: String, what: String },
    #[error("cannot prepare a connection to {to}: {why}")]
    Client { to: String, why: String },
}

impl Manner {
    /// All of it, to tell it from others. It holds secrets and is never shown.
    pub(super) fn identity(&self) -> String {
        let login = match &self.login {
            None => String::new(),
            Some(Login::Bearer(token)) => format!("bearer {token:?}"),
            Some(Login::Basic { username, password }) => format!("basic {username:?} {password:?}"),
        };
        format!("{login} {:?} {}", self.headers, self.insecure)
    }
}

impl Prometheus {
    /// The Prometheus at a URL that can be reached from here: what `--prometheus` gives. A user and password in it are
    /// sent; they are never shown.
    ///
    /// # Errors
    /// Where `url` is no HTTP address.
    pub fn from_flag(url: &str) -> Result<Self, ReachError> {
        Self::direct(parsed(url)?, Manner::default())
    }

    /// The Prometheus that `spec.metricsServer` names. An address inside the cluster (`http://prometheus:9090`,
    /// `prometheus.istio-system`, `prometheus.istio-system.svc.cluster.local:9090/prefix`) means nothing on a bastion
    /// and goes through the API server; any other is taken as it is.
    ///
    /// # Errors
    /// Where it is no HTTP address, or one that the API server's proxy cannot serve.
    pub fn at(client: kube::Client, metrics_server: &str) -> Result<Self, ReachError> {
        let url = parsed(metrics_server)?;
        match service_of(&url) {
            None => Self::direct(url, Manner::default()),
            Some(service) if has_credentials(&url) => Err(ReachError::Credentials { service: service.to_string() }),
            Some(service) => Ok(Self::through(client, service)),
        }
    }

    /// The Prometheus that a MetricTemplate names; its address is read as that of `spec.metricsServer`.
    ///
    /// # Errors
    /// Where it is no HTTP address, or the API server's proxy does not pass on what is to be sent.
    pub(super) fn in_manner(client: kube::Client, address: &str, manner: Manner) -> Result<Self, ReachError> {
        let url = parsed(address)?;
        let Some(service) = service_of(&url) else { return Self::direct(url, manner) };
        let not_passed_on = |what: &str| ReachError::NotPassedOn { service: service.to_string(), what: what.into() };
        if manner.login.is_some() || has_credentials(&url) {
            return Err(not_passed_on("credentials"));
        }
        // These say to the API server itself who we are.
        let ours =
            |name: &str| name == "authorization" || name.starts_with("impersonate-") || name.starts_with("x-remote-");
        if let Some(name) = manner.headers.keys().find(|name| ours(name.as_str())) {
            return Err(not_passed_on(&format!("the header {name}")));
        }
        // How a certificate is checked there is the API server's to say: it checks none.
        let identity = format!("{service} {}", manner.identity()).into();
        Ok(Self { way: Way::Proxy { client, service, headers: manner.headers }, identity })
    }

    pub(crate) fn through(client: kube::Client, service: ServiceAddress) -> Self {
        let identity = format!("{service}").into();
        Self { way: Way::Proxy { client, service, headers: HeaderMap::new() }, identity }
    }

    /// What tells this Prometheus, and who asks it, from others. Not for the screen.
    pub(super) fn identity(&self) -> Arc<str> {
        self.identity.clone()
    }

    fn direct(base: Url, manner: Manner) -> Result<Self, ReachError> {
        // Without a provider reqwest panics; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let identity = format!("{base} {}", manner.identity()).into();
        let Manner { headers, login, insecure } = manner;
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT);
        if insecure {
            builder = builder.danger_accept_invalid_certs(true);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|e| ReachError::Client { to: shown(&base), why: query::causes(&e.without_url()) })?;
        Ok(Self { way: Way::Direct { client, base, headers, login }, identity })
    }

    /// Where this Prometheus is, for the screen; without credentials.
    pub fn describe(&self) -> String {
        match &self.way {
            Way::Direct { base, .. } => shown(base),
            Way::Proxy { service, .. } => service.to_string(),
        }
    }

    /// One call of the HTTP API; `path` as in `/api/v1/query`. Long parameters go by POST. The answer is the body of a
    /// response below 400.
    pub(super) async fn call(&self, path: &str, parameters: &[(&str, String)]) -> Result<Vec<u8>, QueryError> {
        let late = |_| QueryError::Unreachable {
            to: self.describe(),
            why: format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        let (status, body) = tokio::time::timeout(TIMEOUT, self.exchange(path, parameters)).await.map_err(late)??;
        if status < 400 {
            return Ok(body);
        }
        let message = query::error_message(&body);
        match &self.way {
            // Prometheus may stand behind a proxy of its own, whose 403 is none of the API server's.
            Way::Proxy { service, .. } if status == 403 && query::is_api_status(&body) => {
                Err(QueryError::Forbidden { service: service.to_string(), message })
            }
            _ => Err(QueryError::Refused { by: self.describe(), status, message }),
        }
    }

    async fn exchange(&self, path: &str, parameters: &[(&str, String)]) -> Result<(u16, Vec<u8>), QueryError> {
        let unreachable = |why: String| QueryError::Unreachable { to: self.describe(), why };
        let too_long = || QueryError::Unreadable {
            from: self.describe(),
            why: format!("the answer is longer than {} MiB", LONGEST_ANSWER >> 20),
        };
        let encoded = encoded(parameters);
        let long = encoded.len() > LONGEST_GET;
        match &self.way {
            Way::Direct { client, base, headers, login } => {
                let mut url = base.clone();
                url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
                let request = if long {
                    client.post(url).header(header::CONTENT_TYPE, FORM).body(encoded)
                } else {
                    url.set_query(Some(&encoded));
                    client.get(url)
                };
                let request = request.headers(headers.clone());
                let request = match login {
                    None => request,
                    Some(Login::Bearer(token)) => request.bearer_auth(token),
                    Some(Login::Basic { username, password }) => request.basic_auth(username, Some(password)),
                };
                let failed = |e: reqwest::Error| unreachable(query::causes(&e.without_url()));
                let mut response = request.send().await.map_err(failed)?;
                let mut body = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(failed)? {
                    if body.len() + chunk.len() > LONGEST_ANSWER {
                        return Err(too_long());
                    }
                    body.extend_from_slice(&chunk);
                }
                Ok((response.status().as_u16(), body))
            }
            Way::Proxy { client, service, headers } => {
                let path = service.path(path);
                let request = if long {
                    Request::builder()
                        .method(Method::POST)
                        .uri(path)
                        .header(header::CONTENT_TYPE, FORM)
                        .body(encoded.into_bytes())
                } else {
                    Request::builder().uri(format!("{path}?{encoded}")).body(Vec::new())
                };
                let mut request = request.map_err(|e| unreachable(e.to_string()))?;
                for (name, value) in headers {
                    request.headers_mut().append(name, value.clone());
                }
                let response = client
                    .send(request.map(kube::client::Body::from))
                    .await
                    .map_err(|e| unreachable(query::causes(&e)))?;
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await.map_err(|e| {
                    if e.is::<http_body_util::LengthLimitError>() {
                        too_long()
                    } else {
                        unreachable(query::causes(e.as_ref()))
                    }
                })?;
                Ok((status, body.to_bytes().to_vec()))
            }
        }
    }
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prometheus({})", self.describe())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

impl ServiceAddress {
    /// Path of a call through the API server.
    pub(crate) fn path(&self, path: &str) -> String {
        let scheme = if self.https { "https:" } else { "" };
        let Self { namespace, name, port, prefix, .. } = self;
        format!("/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy{prefix}{path}")
    }
}

impl std::fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}:{}{}", self.name, self.namespace, self.port, self.prefix)
    }
}

fn encoded(parameters: &[(&str, String)]) -> String {
    // Never fails: the text is a constant.
    let Ok(mut url) = Url::parse("http://x/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(parameters.iter().map(|(key, value)| (*key, value.as_str())));
    url.query().unwrap_or("").to_string()
}

fn parsed(given: &str) -> Result<Url, ReachError> {
    let address = given.trim();
    // The address may hold a password: what is no address is shown only where it cannot.
    let shown = if address.contains('@') { "the address given" } else { address };
    let wrong = |why: &str| ReachError::Address { given: shown.to_string(), why: why.to_string() };
    let full = if address.contains("://") { address.to_string() } else { format!("http://{address}") };
    let url = Url::parse(&full).map_err(|e| wrong(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https are known"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    Ok(url)
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both only fail for URLs that can hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.as_str().trim_end_matches('/').to_string()
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether an address is this machine's own: no proxy stands before it.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(|c| c == '[' || c == ']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// The Service that an address inside a cluster names.
pub(crate) fn service_of(url: &Url) -> Option<ServiceAddress> {
    let host = url.host_str()?.trim_end_matches('.');
    if is_loopback(url) || host.contains(':') || host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let (name, namespace) = match labels.as_slice() {
        [name] => (*name, BARE_NAMES),
        [name, namespace] | [name, namespace, "svc", ..] => (*name, *namespace),
        _ => return None,
    };
    if name.is_empty() || namespace.is_empty() {
        return None;
    }
    Some(ServiceAddress {
        namespace: namespace.to_string(),
        name: name.to_string(),
        port: url.port_or_known_default()?,
        https: url.scheme() == "https",
        prefix: url.path().trim_end_matches('/').to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(address: &str) -> Option<String> {
        service_of(&parsed(address).unwrap()).map(|service| service.path("/api/v1/query"))
    }

    #[test]
    fn an_address_inside_the_cluster_goes_through_the_api_server() {
        for (address, path) in [
            ("http://prometheus:9090", "/api/v1/namespaces/istio-system/services/prometheus:9090/proxy/api/v1/query"),
            ("http://prometheus.mon:9090/", "/api/v1/namespaces/mon/services/prometheus:9090/proxy/api/v1/query"),
            ("prometheus.mon", "/api/v1/namespaces/mon/services/prometheus:80/proxy/api/v1/query"),
            (
                "https://prom.mon.svc.cluster.local/prefix/",
                "/api/v1/namespaces/mon/services/https:prom:443/proxy/prefix/api/v1/query",
            ),
            ("prom.mon.svc:9090", "/api/v1/namespaces/mon/services/prom:9090/proxy/api/v1/query"),
        ] {
            assert_eq!(service(address).as_deref(), Some(path), "{address}");
        }
    }

    #[test]
    fn any_other_address_is_taken_as_it_is() {
        for address in [
            "http://127.0.0.1:9090",
            "localhost:9090",
            "http://[::1]:9090",
            "https://prom.example.com/x",
            "10.0.0.7:80",
        ] {
            assert_eq!(service(address), None, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for address in ["", "http://", "ftp://prom:9090", "http://prom:99999", "unix:///run/x"] {
            assert!(Prometheus::from_flag(address).is_err(), "{address}");
        }
        let error = Prometheus::from_flag("http://me:secret@prom:99999").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn credentials_are_never_shown() {
        let prometheus = Prometheus::from_flag("https://me:secret@prom.example.com:9090/x/").unwrap();
        assert_eq!(prometheus.describe(), "https://prom.example.com:9090/x");
        assert!(!format!("{prometheus:?}").contains("secret"));
    }
}
