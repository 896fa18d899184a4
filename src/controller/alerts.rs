//! Alerts: who is told, read from the AlertProvider and its Secret when there is something to tell, and the telling
//! itself. What goes wrong is an error in words; an address, which often is a secret, is never part of it.

mod payload;

use super::webhooks::{self, Caller};
use crate::api::{GROUP, Severity, Spec, Strategy};
use crate::cluster::connect::{code, explain};
use crate::metrics::query::causes;
use crate::metrics::reach::is_loopback;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use payload::Receiver;
use reqwest::{Proxy, Url};
use serde_json::Value;
use std::time::Duration;

/// Time limit of each call, as in Flagger.
const LIMIT: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Clone, Debug)]
pub struct Message {
    /// The Canary's name.
    pub name: String,
    pub namespace: String,
    pub severity: Severity,
    pub text: String,
    /// Title and value of what is told besides.
    pub fields: Vec<(&'static str, String)>,
}

/// What the Canary asks for, with Flagger's titles.
pub fn fields(spec: &Spec, namespace: &str) -> Vec<(&'static str, String)> {
    let analysis = &spec.analysis;
    let routing = match analysis.strategy() {
        Strategy::AbTesting => "A/B Testing".to_string(),
        Strategy::BlueGreen => "Blue/Green".to_string(),
        Strategy::Canary if analysis.step_weights.is_empty() => {
            format!("Weight step: {} max: {}", analysis.step_weight, analysis.max_weight)
        }
        Strategy::Canary => {
            let weights: Vec<String> = analysis.step_weights.iter().map(u8::to_string).collect();
            format!("Weight steps: {} max: {}", weights.join(","), analysis.max_weight)
        }
    };
    vec![
        ("Target", format!("Deployment/{}.{namespace}", spec.target)),
        ("Failed checks threshold", analysis.threshold.to_string()),
        ("Progress deadline", format!("{}s", spec.progress_deadline.as_secs())),
        ("Traffic routing", routing),
    ]
}

/// Where an AlertProvider leads.
#[derive(Clone, Debug)]
struct Provider {
    receiver: Receiver,
    address: Url,
    channel: String,
    username: String,
    token: Option<String>,
    proxy: Option<Url>,
}

/// Tells `message` to an AlertProvider.
///
/// # Errors
/// What is missing, or what the receiver answered.
pub async fn send(
    client: &Client,
    caller: &Caller,
    namespace: &str,
    name: &str,
    message: &Message,
) -> Result<(), String> {
    let late = |what: &str| format!("{what} within {} s", LIMIT.as_secs());
    let read = tokio::time::timeout(LIMIT, read(client, namespace, name));
    let provider = read.await.map_err(|_| late("the API server did not answer"))??;
    let post = tokio::time::timeout(LIMIT, post(caller, &provider, message));
    post.await.map_err(|_| late("no answer"))?
}

async fn read(client: &Client, namespace: &str, name: &str) -> Result<Provider, String> {
    named("providerRef.namespace", namespace)?;
    named("providerRef.name", name)?;
    let kind = GroupVersionKind::gvk(GROUP, "v1beta1", "AlertProvider");
    let kind = ApiResource::from_gvk_with_plural(&kind, "alertproviders");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let object = api.get(name).await.map_err(|e| missing(&e, "alertprovider", name, namespace))?;
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    let secret = match spec.pointer("/secretRef/name").and_then(Value::as_str) {
        None => None,
        Some(secret) => {
            named("spec.secretRef.name", secret)?;
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            Some(api.get(secret).await.map_err(|e| missing(&e, "secret", secret, namespace))?)
        }
    };
    Provider::of(&spec, secret.as_ref())
}

/// Names become part of a path: none may lead elsewhere.
fn named(field: &str, name: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
    let whole = !name.is_empty() && name.len() <= 253 && name.bytes().all(fits) && !name.starts_with('.');
    if whole { Ok(()) } else { Err(format!("{field} is {name:?}, which is no name")) }
}

fn missing(error: &kube::Error, kind: &str, name: &str, namespace: &str) -> String {
    match code(error) {
        Some(404) => format!("{kind} {name}.{namespace} does not exist"),
        _ => format!("cannot read {kind} {name}.{namespace}: {}", explain(error)),
    }
}

impl Provider {
    fn of(spec: &Value, secret: Option<&Secret>) -> Result<Self, String> {
        let text = |key: &str| spec.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let of_secret = |key: &str| {
            let value = secret?.data.as_ref()?.get(key)?;
            let value = String::from_utf8_lossy(&value.0).trim().to_string();
            Some(value).filter(|value| !value.is_empty())
        };
        let named = text("type").unwrap_or_default();
        let receiver = Receiver::named(named).ok_or_else(|| {
            format!("spec.type is {named:?}; it is {}", Receiver::NAMED.map(|(name, _)| name).join(", "))
        })?;
        let address = match secret {
            Some(_) => of_secret("address").ok_or("its secret has no address")?,
            None => text("address").ok_or("it has neither spec.address nor spec.secretRef")?.to_string(),
        };
        let url = |what: &str, given: &str| {
            let url = Url::parse(given).map_err(|e| format!("{what} cannot be used: {e}"))?;
            let usable = url.has_host() && matches!(url.scheme(), "http" | "https");
            if usable { Ok(url) } else { Err(format!("{what} is no HTTP address")) }
        };
        Ok(Self {
            receiver,
            address: receiver.address(url("its address", &address)?),
            channel: text("channel").unwrap_or("general").to_string(),
            username: text("username").unwrap_or("flagger").to_string(),
            token: of_secret("token").filter(|_| receiver == Receiver::Slack),
            proxy: text("proxy").map(|proxy| url("spec.proxy", proxy)).transpose()?,
        })
    }
}

async fn post(caller: &Caller, provider: &Provider, message: &Message) -> Result<(), String> {
    let client = match &provider.proxy {
        None => caller.client(false, is_loopback(&provider.address))?,
        Some(proxy) => {
            let proxy = Proxy::all(proxy.clone()).map_err(|e| format!("spec.proxy cannot be used: {}", causes(&e)))?;
            let made = webhooks::builder().proxy(proxy).build();
            made.map_err(|e| format!("cannot prepare a connection: {}", causes(&e)))?
        }
    };
    let body = provider.receiver.body(message, &provider.channel, &provider.username);
    let mut request = client.post(provider.address.clone()).json(&body);
    if let Some(token) = &provider.token {
        request = request.bearer_auth(token);
    }
    let mut response = request.send().await.map_err(webhooks::failure)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    Err(webhooks::answer(status, &webhooks::body(&mut response).await))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use serde_json::json;

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let data = entries.iter().map(|(key, value)| (key.to_string(), ByteString(value.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Default::default() }
    }

    #[test]
    fn a_provider_is_its_spec_or_its_secret() {
        let plain = Provider::of(&json!({"type": "rocket", "address": "https://chat/x"}), None).unwrap();
        assert_eq!((plain.channel.as_str(), plain.username.as_str()), ("general", "flagger"));
        let spec = json!({"type": "slack", "channel": "ops", "address": "https://unused", "secretRef": {"name": "s"}});
        let kept = secret(&[("address", "https://hooks/secret\n"), ("token", "t")]);
        let kept = Provider::of(&spec, Some(&kept)).unwrap();
        assert_eq!((kept.address.as_str(), kept.token.as_deref()), ("https://hooks/secret", Some("t")));
        assert_eq!(kept.channel, "ops");
    }

    #[test]
    fn what_is_missing_is_named_and_no_address_is() {
        for (spec, kept, why) in [
            (json!({"type": "pager", "address": "https://x"}), None, "spec.type is \"pager\""),
            (json!({"type": "slack"}), None, "neither spec.address nor spec.secretRef"),
            (json!({"type": "slack"}), Some(secret(&[("token", "t")])), "its secret has no address"),
            (json!({"type": "slack"}), Some(secret(&[("address", "hunter2")])), "its address cannot be used"),
            (json!({"type": "slack", "address": "unix:/hunter2"}), None, "its address is no HTTP address"),
            (json!({"type": "slack", "address": "https://x", "proxy": "hunter2"}), None, "spec.proxy cannot be used"),
            (json!(7), None, "spec.type is \"\""),
        ] {
            let said = Provider::of(&spec, kept.as_ref()).err().unwrap_or_default();
            assert!(said.contains(why) && !said.contains("hunter2"), "{spec}: {said}");
        }
        for name in ["", "../secrets/x", "a/b", "A", ".."] {
            assert!(named("name", name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_fields_say_what_the_canary_asks_for() {
        let read = |analysis: Value| {
            let spec = json!({"targetRef": {"kind": "Deployment", "name": "web"}, "service": {"port": 80},
                "progressDeadlineSeconds": 60, "analysis": analysis});
            fields(&Spec::read(&spec).unwrap(), "prod")
        };
        let stepped = read(json!({"stepWeight": 10, "maxWeight": 50, "threshold": 5}));
        let expected = [
            ("Target", "Deployment/web.prod"),
            ("Failed checks threshold", "5"),
            ("Progress deadline", "60s"),
            ("Traffic routing", "Weight step: 10 max: 50"),
        ];
        assert_eq!(stepped, expected.map(|(title, value)| (title, value.to_string())));
        let routing = |analysis: Value| read(analysis).pop().unwrap().1;
        assert_eq!(routing(json!({"stepWeights": [1, 2, 10]})), "Weight steps: 1,2,10 max: 10");
        assert_eq!(routing(json!({"iterations": 3})), "Blue/Green");
        let matched = json!([{"headers": {"x": {"exact": "y"}}}]);
        assert_eq!(routing(json!({"iterations": 3, "match": matched})), "A/B Testing");
    }
}
