//! MetricTemplates: queries that Canaries share, and the Prometheus that answers them.
//!
//! A template and its Secret are read at the checks, each by its name alone, so that no right to list either is needed; what
//! was read holds for ten seconds. Only Prometheus is asked: a template of another provider fails its check by name.

use super::once::Once;
use super::reach::{Login, Manner};
use super::{Prometheus, ReachError, query};
use crate::api::{GROUP, Query, TemplateRef, is_name};
use http::{HeaderMap, HeaderName, HeaderValue};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// How long what was read of the cluster is used.
const FRESH: Duration = Duration::from_secs(10);
/// How long it is said that it could not be read.
const FAILED: Duration = Duration::from_secs(1);
/// How long the API server may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The only version that Flagger ever served.
const VERSION: &str = "v1beta1";

/// A template that can be asked.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// `name.namespace`
    pub name: String,
    pub prometheus: Prometheus,
    text: String,
}

/// Why a template cannot be asked, in Flagger's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum TemplateError {
    #[error("metric template {template} error: {why}")]
    Object { template: String, why: String },
    #[error("metric template {template} secret {secret} error: {why}")]
    Secret { template: String, secret: String, why: String },
    #[error("metric template {template} provider {provider} error: {why}")]
    Provider { template: String, provider: String, why: String },
    #[error("metric template {template} query render error: {why}")]
    Render { template: String, why: String },
}

impl TemplateError {
    /// As the message of an Event.
    pub(super) fn event(&self) -> String {
        let text = self.to_string();
        text.strip_prefix('m').map_or(text.clone(), |rest| format!("M{rest}"))
    }
}

impl Template {
    /// The query of one check.
    pub(super) fn query(&self, check: &TemplateRef) -> Result<Query, TemplateError> {
        Query::read(&self.text, &check.interval, &check.variables)
            .map_err(|why| TemplateError::Render { template: self.name.clone(), why: format!("the query {why}") })
    }
}

/// Namespace and name of an object.
type Key = (String, String);

/// The templates of a cluster. Clones share what was read.
#[derive(Clone)]
pub(super) struct Templates {
    client: kube::Client,
    specs: Once<Key, Arc<Value>, String>,
    secrets: Once<Key, Arc<BTreeMap<String, String>>, String>,
    /// Those that were asked last, with their connections, and what they were made of.
    reached: Arc<Mutex<HashMap<Key, (String, Prometheus)>>>,
}

impl Templates {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { client, specs: Once::new(FRESH, FAILED), secrets: Once::new(FRESH, FAILED), reached: Arc::default() }
    }

    /// The template that a check of a Canary in `namespace` names.
    pub(super) async fn get(&self, check: &TemplateRef, namespace: &str) -> Result<Template, TemplateError> {
        let namespace = check.namespace.as_deref().unwrap_or(namespace);
        let key = (namespace.to_string(), check.name.clone());
        let template = format!("{}.{namespace}", check.name);
        let wrong = |why: String| TemplateError::Object { template: template.clone(), why };
        let spec = self.spec(&key).await.map_err(wrong)?;
        let text = spec.get("query").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| wrong("it has no query".into()))?.to_string();
        let nothing = Value::Null;
        let provider = spec.get("provider").unwrap_or(&nothing);
        let kind = provider.get("type").and_then(Value::as_str).unwrap_or("");
        let unusable =
            |why: String| TemplateError::Provider { template: template.clone(), provider: kind.to_string(), why };
        if kind != "prometheus" {
            return Err(unusable("only templates of the provider prometheus are asked".into()));
        }
        let address = provider.get("address").and_then(Value::as_str).unwrap_or("");
        let login = match provider.pointer("/secretRef/name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            None => None,
            Some(secret) => {
                let wrong =
                    |why: String| TemplateError::Secret { template: template.clone(), secret: secret.to_string(), why };
                let data = self.secret((namespace.to_string(), secret.to_string())).await.map_err(wrong)?;
                Some(login(&data).map_err(|why| unusable(why.into()))?)
            }
        };
        let mut headers = headers(provider.get("headers")).map_err(unusable)?;
        if login.is_some() {
            headers.remove(http::header::AUTHORIZATION);
        }
        let manner = Manner {
            headers,
            login,
            insecure: provider.get("insecureSkipVerify").and_then(Value::as_bool).unwrap_or(false),
        };
        let prometheus = self.reach(key, address, manner).map_err(|why| unusable(why.to_string()))?;
        Ok(Template { name: template, prometheus, text })
    }

    /// The same Prometheus as last time, where nothing has changed: its connections are open.
    fn reach(&self, key: Key, address: &str, manner: Manner) -> Result<Prometheus, ReachError> {
        let made_of = format!("{address} {}", manner.identity());
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = reached.get(&key).filter(|(before, _)| *before == made_of) {
            return Ok(known.clone());
        }
        let prometheus = Prometheus::in_manner(self.client.clone(), address, manner)?;
        reached.insert(key, (made_of, prometheus.clone()));
        Ok(prometheus)
    }

    async fn spec(&self, key: &Key) -> Result<Arc<Value>, String> {
        let (namespace, name) = key.clone();
        let kind = GroupVersionKind::gvk(GROUP, VERSION, "MetricTemplate");
        let resource = ApiResource::from_gvk_with_plural(&kind, "metrictemplates");
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let read = move || async move {
            let object = in_time(api.get(&name)).await.map_err(|why| match why.contains(&name) {
                true => why,
                // An unknown path of the API has no words for what is missing.
                false => format!("cannot get metrictemplates.{GROUP}: {why}"),
            })?;
            Ok(Arc::new(object.data.get("spec").cloned().unwrap_or_default()))
        };
        self.specs.get(key.clone(), read).await
    }

    async fn secret(&self, key: Key) -> Result<Arc<BTreeMap<String, String>>, String> {
        let (namespace, name) = key.clone();
        // It becomes part of a path of the API.
        if !is_name(&name) {
            return Err(format!("{name:?} is no name of an object"));
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let read = move || async move {
            let data = in_time(api.get(&name)).await?.data.unwrap_or_default();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
            Ok(Arc::new(data.into_iter().filter_map(|(key, value)| Some((key, text(value.0)?))).collect()))
        };
        self.secrets.get(key, read).await
    }
}

/// An answer of the API server, or what it says instead.
async fn in_time<T>(asking: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(LIMIT, asking).await {
        Ok(Ok(object)) => Ok(object),
        Ok(Err(kube::Error::Api(status))) if !status.message.is_empty() => Err(status.message.clone()),
        Ok(Err(error)) => Err(query::causes(&error)),
        Err(_) => Err(format!("no answer of the API server within {} s", LIMIT.as_secs())),
    }
}

/// The login that a Secret holds.
fn login(data: &BTreeMap<String, String>) -> Result<Login, &'static str> {
    // Files end with a line break, and Secrets are made of files.
    let value = |key: &str| data.get(key).map(|value| value.trim_end_matches(['\r', '\n']).to_string());
    if let Some(token) = value("token") {
        return Ok(Login::Bearer(token));
    }
    let username = value("username").ok_or("its secret has neither a token nor a username")?;
    let password = value("password").ok_or("its secret has a username and no password")?;
    Ok(Login::Basic { username, password })
}

/// The headers that are sent with each query: a list of values by name.
fn headers(value: Option<&Value>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let given = match value {
        None | Some(Value::Null) => return Ok(headers),
        Some(Value::Object(given)) => given,
        Some(_) => return Err("its headers are no map".into()),
    };
    for (name, values) in given {
        let header = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no name of a header"))?;
        let values = values.as_array().ok_or_else(|| format!("the header {name} has no list of values"))?;
        for value in values {
            let value = value.as_str().and_then(|text| HeaderValue::try_from(text).ok());
            // It may be a secret, and is not shown.
            headers.append(&header, value.ok_or_else(|| format!("a value of the header {name} cannot be sent"))?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::super::Locator;
    use super::super::reader;
    use super::super::stub::{Call, Stub, vector};
    use super::*;
    use crate::api::Spec;
    use crate::rollout::{Reading, failure};
    use serde_json::json;

    const TEMPLATE: &str = "/apis/flagger.app/v1beta1/namespaces/prod/metrictemplates/share";
    const SECRET: &str = "/api/v1/namespaces/prod/secrets/login";

    fn spec(metric: Value) -> Spec {
        let spec = json!({
            "targetRef": {"kind": "Deployment", "name": "web"},
            "service": {"port": 80},
            "analysis": {"stepWeight": 10, "metrics": [metric]},
        });
        Spec::read(&spec).expect("a spec")
    }

    fn metric() -> Value {
        json!({"name": "errors", "templateRef": {"name": "share"}, "thresholdRange": {"max": 5}})
    }

    fn template(provider: Value) -> Value {
        json!({"provider": provider, "query": "errors{ns=\"{{ namespace }}\",w=\"{{ ingress }}\"}[{{ interval }}]"})
    }

    /// An API server with a template and a Secret, given as its status and body.
    fn cluster(template: Value, secret: Value) -> Stub {
        let object = |kind: &str, body: Value| {
            let mut object = json!({"kind": kind, "metadata": {"name": "x"}});
            object.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            (200, object.to_string())
        };
        let status = |code: u16, message: &str| {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
                "reason": "Forbidden", "message": message});
            (code, status.to_string())
        };
        Stub::serving(move |call: &Call| match call.path.as_str() {
            TEMPLATE => object("MetricTemplate", json!({"apiVersion": "flagger.app/v1beta1", "spec": template})),
            SECRET if secret.is_object() => object("Secret", json!({"apiVersion": "v1", "data": secret})),
            SECRET => status(403, "secrets \"login\" is forbidden: User \"alice\" cannot get resource \"secrets\""),
            path if path.contains("/proxy/") => vector(&[(&[], "3")]),
            path if path.contains("none") => (404, "404 page not found".into()),
            _ => status(404, "metrictemplates.flagger.app \"other\" not found"),
        })
    }

    async fn said(cluster: &Stub, metric: Value) -> Option<String> {
        let spec = spec(metric);
        let locator = Locator::new(cluster.api_server(), "prod", None);
        let reading = reader::read(&locator, &spec, "app", "prod", 0).await;
        failure(&spec.analysis.checks[0], &reading, "app", "web", "prod")
    }

    #[tokio::test]
    async fn a_template_is_asked_through_the_api_server_with_its_headers() {
        let provider =
            json!({"type": "prometheus", "address": "http://prom.mon:9090", "headers": {"X-Scope-OrgID": ["a"]}});
        let cluster = cluster(template(provider), Value::Null);
        assert_eq!(said(&cluster, metric()).await, None);
        let seen = cluster.seen();
        let call = seen.iter().find(|call| call.path.contains("/proxy/")).expect("a query");
        assert_eq!(call.path, "/api/v1/namespaces/mon/services/prom:9090/proxy/api/v1/query");
        assert_eq!(call.query, "errors{ns=\"prod\",w=\"web\"}[1m]");
        assert_eq!(call.headers["x-scope-orgid"], "a");
        let exceeded =
            said(&cluster, json!({"name": "errors", "templateRef": {"name": "share"}, "threshold": 2})).await;
        assert_eq!(exceeded.as_deref(), Some("Halt app.prod advancement errors 3.00 > 2"));
    }

    #[tokio::test]
    async fn a_secret_becomes_a_login_and_the_header_list_is_sent() {
        for (secret, wanted) in [
            (json!({"token": "dDBrZW4K", "username": "bWU="}), "Bearer t0ken"),
            (json!({"username": "bWU=", "password": "c2VjcmV0"}), "Basic bWU6c2VjcmV0"),
        ] {
            let prometheus = Stub::answering(|_| vector(&[(&[], "3")]));
            let address = prometheus.prometheus().await.describe();
            let provider = json!({"type": "prometheus", "address": address, "insecureSkipVerify": true,
                "headers": {"X-A": ["1", "2"]}, "secretRef": {"name": "login"}});
            assert_eq!(said(&cluster(template(provider), secret), metric()).await, None);
            let call = &prometheus.seen()[0];
            assert_eq!(call.authorization.as_deref(), Some(wanted));
            assert_eq!(call.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_says_why_in_flaggers_words() {
        let there = json!({"type": "prometheus", "address": "http://prom.mon:9090"});
        let with = |key: &str, value: Value| {
            let mut provider = there.clone();
            provider[key] = value;
            template(provider)
        };
        let good = template(there.clone());
        let secret_ref = || with("secretRef", json!({"name": "login"}));
        let named = |name: &str| json!({"name": "errors", "templateRef": {"name": name}});
        for (template, secret, metric, wanted) in [
            (
                good.clone(),
                Value::Null,
                named("other"),
                "Metric template other.prod error: metrictemplates.flagger.app \"other\" not found",
            ),
            (
                good.clone(),
                Value::Null,
                named("none"),
                "Metric template none.prod error: cannot get metrictemplates.flagger.app: ",
            ),
            (
                good.clone(),
                Value::Null,
                json!({"name": "errors", "templateRef": {"name": "share", "namespace": "mon"}}),
                "Metric template share.mon error: ",
            ),
            (json!({"provider": there}), Value::Null, metric(), "Metric template share.prod error: it has no query"),
            (
                with("type", json!("datadog")),
                Value::Null,
                metric(),
                "Metric template share.prod provider datadog error: only templates of the provider prometheus",
            ),
            (
                with("address", json!("ftp://prom")),
                Value::Null,
                metric(),
                "Metric template share.prod provider prometheus error: \"ftp://prom\" is no address",
            ),
            (with("headers", json!({"a b": ["c"]})), Value::Null, metric(), "\"a b\" is no name of a header"),
            (with("headers", json!({"a": "c"})), Value::Null, metric(), "the header a has no list of values"),
            (
                with("headers", json!({"a": ["s3cret\n"]})),
                Value::Null,
                metric(),
                "a value of the header a cannot be sent",
            ),
            (
                with("headers", json!({"Impersonate-User": ["admin"]})),
                Value::Null,
                metric(),
                "proxy, which does not pass the header impersonate-user on",
            ),
            (
                secret_ref(),
                Value::Null,
                metric(),
                "Metric template share.prod secret login error: secrets \"login\" is forbidden: User \"alice\" cannot get",
            ),
            (secret_ref(), json!({}), metric(), "its secret has neither a token nor a username"),
            (secret_ref(), json!({"username": "bWU="}), metric(), "its secret has a username and no password"),
            (
                secret_ref(),
                json!({"token": "eA=="}),
                metric(),
                "prom.mon:9090 is reached through the API server's proxy, which does not pass credentials on",
            ),
            (
                with("secretRef", json!({"name": "../x"})),
                Value::Null,
                metric(),
                "secret ../x error: \"../x\" is no name of an object",
            ),
            (
                json!({"provider": there, "query": "{{ variables.code }}"}),
                Value::Null,
                metric(),
                "Metric template share.prod query render error: the query uses {{ variables.code }}, but templateVariables \
                 has no code",
            ),
        ] {
            let said = said(&cluster(template, secret), metric).await.expect("a failed check");
            assert!(said.contains(wanted), "{said}\nis not\n{wanted}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[tokio::test]
    async fn no_shape_of_a_template_is_a_panic() {
        for template in [
            json!(null),
            json!([]),
            json!({"query": 7}),
            json!({"query": "up"}),
            json!({"query": "up", "provider": 7}),
            json!({"query": "up", "provider": {"type": "prometheus", "address": 7, "headers": [], "secretRef": "x"}}),
            json!({"query": "up", "provider": {"type": "prometheus"}}),
        ] {
            assert!(said(&cluster(template.clone(), Value::Null), metric()).await.is_some(), "{template}");
        }
    }

    #[tokio::test]
    async fn a_hundred_checks_read_a_template_once() {
        let provider = json!({"type": "prometheus", "address": "http://prom.mon:9090"});
        let cluster = cluster(template(provider), Value::Null);
        let locator = Locator::new(cluster.api_server(), "prod", None);
        let spec = spec(metric());
        let names: Vec<String> = (0..100).map(|number| format!("app-{number}")).collect();
        let readings = names.iter().map(|name| reader::read(&locator, &spec, name, "prod", 0));
        let readings = futures::future::join_all(readings).await;
        assert!(readings.iter().all(|reading| *reading == Reading::Value(3.0)), "{readings:?}");
        let count = |part: &str| cluster.seen().iter().filter(|call| call.path.contains(part)).count();
        // The text is the same for all: it says nothing of the Canary's name.
        assert_eq!((count("metrictemplates"), count("/proxy/")), (1, 1));
    }

    #[tokio::test]
    async fn a_probe_asks_those_whom_the_checks_ask() {
        let provider = json!({"type": "prometheus", "address": "http://prom.mon:9090"});
        let good = cluster(template(provider), Value::Null);
        let probe = async |cluster: &Stub, metric| {
            let locator = Locator::new(cluster.api_server(), "prod", Some("http://127.0.0.1:9"));
            reader::probe(&locator, &spec(metric), "prod").await
        };
        assert_eq!(probe(&good, metric()).await, Ok(()));
        assert!(!good.seen().iter().any(|call| call.path.contains("secrets")));
        let built_in = json!({"name": "request-success-rate", "thresholdRange": {"min": 99}});
        let why = probe(&good, built_in).await.unwrap_err();
        assert!(
            why.starts_with("prometheus not avaiable: Prometheus at http://127.0.0.1:9 cannot be reached"),
            "{why}"
        );
        let other = cluster(template(json!({"type": "graphite"})), Value::Null);
        let why = probe(&other, metric()).await.unwrap_err();
        assert!(why.starts_with("metric template share.prod provider graphite error: "), "{why}");
        let down = cluster(template(json!({"type": "prometheus", "address": "http://127.0.0.1:9"})), Value::Null);
        let why = probe(&down, metric()).await.unwrap_err();
        assert!(why.starts_with("prometheus in metric template share.prod not avaiable: "), "{why}");
    }
}
