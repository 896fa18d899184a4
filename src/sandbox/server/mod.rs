//! The Kubernetes API over HTTP: one axum router over the store. It turns requests into calls of the store and objects
//! into what the client accepts, and answers every error with a Status. It keeps no state of the cluster itself.

mod accept;
mod compress;
mod discovery;
mod duplicates;
mod hooks;
mod openapi;
mod path;
mod protobuf;
mod proxy;
mod read;
mod render;
mod review;
mod table;
mod typed;
mod types;
mod watch;
mod write;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures::StreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::status::{ApiError, FieldError};
use super::store::Store;
use hooks::Hooks;
pub use hooks::{Attributes, Delay, Denial};
use path::{Place, Query};

/// The largest body that is read, in bytes: what an API server takes.
pub const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// The version of Kubernetes whose API this is like.
pub const KUBERNETES: &str = "v1.37.0+sandbox";

/// What is read of bodies.
const READ: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Everything that answering a request needs.
pub struct Api {
    store: Store,
    /// User names by bearer token.
    users: RwLock<BTreeMap<String, String>>,
    proxies: RwLock<BTreeMap<proxy::Backend, Router>>,
    hooks: Hooks,
    requests: Mutex<BTreeMap<(String, String), u64>>,
    bookmark_every: Duration,
}

/// One request, read and authenticated.
struct Call {
    attributes: Attributes,
    method: Method,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

impl Api {
    /// An API over `store`. Watches that ask for bookmarks get one after each `bookmark_every` of silence.
    pub fn new(store: Store, bookmark_every: Duration) -> Arc<Self> {
        Arc::new(Self {
            store,
            users: RwLock::default(),
            proxies: RwLock::default(),
            hooks: Hooks::default(),
            requests: Mutex::default(),
            bookmark_every,
        })
    }

    /// The router to serve. It answers every path.
    pub fn router(self: &Arc<Self>) -> Router {
        let compress = axum::middleware::from_fn(compress::long_answers);
        Router::new().fallback(answer).with_state(self.clone()).layer(compress)
    }

    /// Lets in `user` under a bearer token.
    pub fn admit(&self, token: impl Into<String>, user: impl Into<String>) {
        let users = self.users.write();
        users.unwrap_or_else(PoisonError::into_inner).insert(token.into(), user.into());
    }

    /// Knows a bearer token no more: 401.
    pub fn expel(&self, token: &str) {
        self.users.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Answers the proxy path of a Service's port with `backend`. `None` takes it down: 503.
    pub fn set_backend(&self, namespace: &str, service: &str, port: u16, backend: Option<Router>) {
        let mut proxies = self.proxies.write().unwrap_or_else(PoisonError::into_inner);
        let key = proxy::Backend::new(namespace, service, port);
        match backend {
            Some(backend) => proxies.insert(key, backend),
            None => proxies.remove(&key),
        };
    }

    /// Refuses with 403 whatever `denies` says yes to; `None` allows all again.
    pub fn deny(&self, denies: Option<Denial>) {
        self.hooks.set_denial(denies);
    }

    /// Holds each request back for as long as `delay` says; `None` holds none.
    pub fn delay(&self, delay: Option<Delay>) {
        self.hooks.set_delay(delay);
    }

    /// How many requests came, by verb and resource (`deployments.apps`, `services/proxy`, or a path).
    pub fn requests(&self) -> BTreeMap<(String, String), u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn user(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let token = token.strip_prefix("Bearer ")?;
        self.users.read().unwrap_or_else(PoisonError::into_inner).get(token.trim()).cloned()
    }

    /// Who the caller acts as: somebody else where it says so (impersonation) and is not denied that.
    fn acted_as(&self, user: String, headers: &HeaderMap) -> Result<String, ApiError> {
        let named = |header: &'static str| headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
        let wanted = |resource: &str, name: &str| Attributes {
            user: user.clone(),
            verb: "impersonate".into(),
            resource: resource.into(),
            name: Some(name.into()),
            ..Attributes::default()
        };
        let other = named("impersonate-user").next();
        let users = other.iter().map(|name| wanted("users", name));
        let groups = named("impersonate-group").map(|name| wanted("groups", name));
        match users.chain(groups).find(|wanted| self.hooks.denies(wanted)) {
            Some(denied) => Err(denied.forbidden()),
            None => Ok(other.map_or(user, str::to_string)),
        }
    }

    fn count(&self, attributes: &Attributes) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((attributes.verb.clone(), attributes.counted_as())).or_default() += 1;
    }
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    match try_answer(&api, request).await {
        Ok(response) => response,
        Err(error) => refusal(&error),
    }
}

async fn try_answer(api: &Arc<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let place = path::parse(head.uri.path());
    if let Place::Health = place {
        return Ok(plain("ok"));
    }
    let user = api.user(&head.headers);
    if let (Place::Version, None) = (&place, &user) {
        return Ok(json_response(StatusCode::OK, &discovery::version()));
    }
    let user = api.acted_as(user.ok_or_else(ApiError::unauthorized)?, &head.headers)?;
    let query = Query::of(&head.uri)?;
    let attributes = Attributes::of(&user, &head.method, &place, &query, head.uri.path());
    api.count(&attributes);
    let delay = api.hooks.delay(&attributes);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if api.hooks.denies(&attributes) && !matches!(place, Place::Version) {
        return Err(attributes.forbidden());
    }
    if let Place::Proxy(target) = &place {
        return proxy::forward(api, target, head, body).await;
    }
    let body = read_body(body).await?;
    let call = Call { attributes, method: head.method, query, headers: head.headers, body };
    call.check_options()?;
    match place {
        Place::Version => Ok(json_response(StatusCode::OK, &discovery::version())),
        Place::Discovery(about) => discovery::answer(api, &call, &about),
        Place::OpenApi(about) => openapi::answer(api, &call, &about),
        Place::Resource(target) => match review::answer(api, &call, &target) {
            Some(answer) => answer,
            None => on_resource(api, call, target),
        },
        Place::Health | Place::Proxy(_) | Place::Unknown => Err(ApiError::no_such_page()),
    }
}

fn on_resource(api: &Arc<Api>, call: Call, target: path::Target) -> Result<Response, ApiError> {
    let kinds = api.store.kinds();
    let Some(kind) = kinds.by_resource(&target.group, &target.version, &target.plural).cloned() else {
        // Kubernetes' own groups answer for what is not in them; no other group does.
        let own = kinds.iter().any(|kind| !kind.custom && kind.group == target.group);
        return Err(if own { ApiError::no_such_path() } else { ApiError::no_such_page() });
    };
    if target.namespace.is_some() != kind.namespaced && (target.name.is_some() || target.namespace.is_some()) {
        return Err(ApiError::no_such_path());
    }
    match target.subresource.as_deref() {
        None => {}
        Some("status") if kind.has_status => {}
        Some("scale") if kind.has_scale => {}
        Some(part @ ("log" | "exec" | "attach" | "portforward")) if kind.kind == "Pod" && !kind.custom => {
            let name = target.name.as_deref().unwrap_or_default();
            let pod = api.store.get_of(&kind, target.namespace.as_deref(), name);
            pod.ok_or_else(|| ApiError::not_found(&kind, name))?;
            return Err(ApiError::internal(format!(
                "the sandbox answers no {part}: its pods are simulated, and no container runs in them"
            )));
        }
        Some(_) if kind.custom => {
            return Err(ApiError::not_found(&kind, target.name.as_deref().unwrap_or_default()));
        }
        Some(_) => return Err(ApiError::no_such_path()),
    }
    let watching = call.query.flag("watch");
    match (&call.method, &target.name) {
        (&Method::GET, None) if watching => watch::answer(api, &call, &target, &kind),
        (&Method::GET, None) => read::list(api, &call, &target, &kind),
        (&Method::GET, Some(name)) => read::get(api, &call, &target, &kind, name),
        (&Method::POST, None) => write::create(api, &call, &target, &kind),
        (&Method::PUT, Some(name)) => write::update(api, &call, &target, &kind, name),
        (&Method::PATCH, Some(name)) => write::patch(api, &call, &target, &kind, name),
        (&Method::DELETE, Some(name)) if target.subresource.is_none() => {
            write::delete(api, &call, &target, &kind, name)
        }
        (&Method::DELETE, None) => write::delete_collection(api, &call, &target, &kind),
        (&Method::POST | &Method::DELETE, Some(_)) if kind.custom => {
            let verb = if call.method == Method::POST { "create" } else { "delete" };
            Err(ApiError::verb_not_supported(&kind, verb))
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Reads a body to its end. One that is too long is read on for a while and thrown away, so that the client, which is
/// still sending, gets to hear why it is refused.
async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| ApiError::bad_request(format!("the body could not be read: {error}")))?;
        length += chunk.len();
        if length <= BODY_LIMIT {
            bytes.extend_from_slice(&chunk);
        } else if length > 16 * BODY_LIMIT {
            break;
        }
    }
    if length > BODY_LIMIT {
        return Err(ApiError::too_large(BODY_LIMIT));
    }
    Ok(bytes.into())
}

impl Call {
    /// Refuses options that make no sense, as Kubernetes names them for the verb.
    fn check_options(&self) -> Result<(), ApiError> {
        let options = match self.method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            Method::PATCH => "PatchOptions",
            _ => return Ok(()),
        };
        let wrong = |field: FieldError| Err(ApiError::wrong_options(options, &field));
        if self.query.get("fieldManager").is_some_and(|manager| manager.len() > 128) {
            return wrong(FieldError::too_long("fieldManager", 128));
        }
        if let Some(word) = self.query.get("dryRun").filter(|word| !word.is_empty() && *word != "All") {
            return wrong(FieldError::unsupported("dryRun", &json!([word]), &["All".into()]));
        }
        let words = ["", "Ignore", "Strict", "Warn"];
        if let Some(word) = self.query.get("fieldValidation").filter(|word| !words.contains(word)) {
            return wrong(FieldError::unsupported("fieldValidation", &json!(word), &words.map(str::to_owned)));
        }
        if self.method == Method::PATCH {
            let applies = self.content_type() == write::APPLY;
            let named = self.query.get("fieldManager").is_some_and(|manager| !manager.is_empty());
            if applies && !named {
                return wrong(FieldError::required("fieldManager", "is required for apply patch"));
            }
            if !applies && self.query.get("force").is_some() {
                return wrong(FieldError::forbidden("force", "may not be specified for non-apply patch"));
            }
        }
        Ok(())
    }

    /// The body as an object to write; nothing at all is one without fields.
    fn object(&self) -> Result<Value, ApiError> {
        match self.value()? {
            Value::Null => Ok(json!({})),
            object => Ok(object),
        }
    }

    /// Fields that the body gives more than once; only JSON is looked at.
    fn duplicates(&self) -> Vec<String> {
        match self.content_type() {
            "" | "application/json" | "*/*" => duplicates::of(&self.body),
            _ => Vec::new(),
        }
    }

    /// The body as a value: JSON, or YAML or protobuf where the content type says so.
    fn value(&self) -> Result<Value, ApiError> {
        match self.content_type() {
            "" | "application/json" | "*/*" => serde_json::from_slice(&self.body)
                .map_err(|error| ApiError::bad_request(format!("the body is no JSON: {error}"))),
            "application/yaml" | "application/x-yaml" => std::str::from_utf8(&self.body)
                .map_err(ApiError::bad_request)
                .and_then(|text| serde_saphyr::from_str(text).map_err(ApiError::bad_request)),
            "application/vnd.kubernetes.protobuf" => protobuf::decode(&self.body).map_err(|why| {
                ApiError::unsupported_media_type(format!(
                    "the body of the request is protobuf that the sandbox does not read: {why}; use application/json"
                ))
            }),
            _ => Err(ApiError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: {READ}"
            ))),
        }
    }

    fn content_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim()
    }

    /// Under which name the caller's fields are recorded.
    fn manager(&self) -> Result<String, ApiError> {
        let given = match self.query.get("fieldManager") {
            Some(manager) if !manager.is_empty() => manager,
            _ => {
                let agent = self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
                agent.unwrap_or_default().split('/').next().unwrap_or_default()
            }
        };
        Ok(if given.is_empty() { "unknown".into() } else { given.to_owned() })
    }
}

fn refusal(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.page {
        return bytes_response(status, "text/plain; charset=utf-8", error.message.clone().into());
    }
    let mut response = json_response(status, &error.status());
    if error.code == 503 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes_response(status, "application/json", bytes.into()),
        // Values out of the store always serialise; a failure here is a fault of ours.
        Err(_) => bytes_response(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new()),
    }
}

fn bytes_response(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

fn plain(text: &'static str) -> Response {
    bytes_response(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}
