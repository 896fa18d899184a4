//! Session affinity: the routes of those who bear a cookie, before the weighted one, and the cookies that the weighted
//! one gives.

use super::{both, http_route, merged};
use crate::api::canary::{SessionAffinity, Spec};
use crate::api::routes::Traffic;
use serde_json::{Map, Value, json};

/// The routes that come before the weighted one, which gets its cookies.
pub(super) fn before(spec: &Spec, traffic: &Traffic, weighted: &mut Value) -> Vec<Value> {
    let Some(affinity) = &spec.analysis.affinity else { return Vec::new() };
    let (service, canary, cookies) = (&spec.service, traffic.canary.min(100), &traffic.cookies);
    let bearing = |cookie: &str| merged(&with_cookie(&spec.analysis.matches, cookie), &service.routing.matches);
    if canary == 0 {
        // Browsers forget the cookie of the rollout before.
        let Some(previous) = &cookies.previous else { return Vec::new() };
        let mut route = http_route(service, &bearing(previous), both(service, 0));
        set_cookie(&mut route["headers"], rendered(previous, "-1", affinity));
        return vec![route];
    }
    let mut routes = Vec::new();
    if let Some(cookie) = &cookies.canary {
        set_cookie(&mut weighted["route"][1]["headers"], rendered(cookie, affinity.max_age, affinity));
        routes.push(http_route(service, &bearing(cookie), both(service, 100)));
    }
    if let Some(cookie) = &cookies.primary {
        let interval = spec.analysis.interval.as_secs().max(1);
        set_cookie(&mut weighted["route"][0]["headers"], rendered(cookie, interval, affinity));
        // Where the canary has everything, the primary may have no pod: nobody is kept on it.
        if canary < 100 {
            routes.push(http_route(service, &bearing(cookie), both(service, 0)));
        }
    }
    routes
}

/// The group's entries for those of it who bear this cookie.
fn with_cookie(group: &[Value], cookie: &str) -> Vec<Value> {
    let (name, value) = cookie.split_once('=').unwrap_or((cookie, ""));
    let bears = json!({ "regex": format!(".*{}.*{}.*", literal(name), literal(value)) });
    let nobody_named = [json!({})];
    let group = if group.is_empty() { &nobody_named[..] } else { group };
    let entry = |entry: &Value| {
        let mut entry = entry.as_object().cloned().unwrap_or_default();
        let mut headers = entry.get("headers").and_then(Value::as_object).cloned().unwrap_or_default();
        headers.insert("Cookie".into(), bears.clone());
        entry.insert("headers".into(), Value::Object(headers));
        Value::Object(entry)
    };
    group.iter().map(entry).collect()
}

/// A text as a regular expression that matches it alone.
fn literal(text: &str) -> String {
    let mut expression = String::new();
    for character in text.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            expression.push('\\');
        }
        expression.push(character);
    }
    expression
}

/// Adds the cookie to the headers of an answer.
fn set_cookie(headers: &mut Value, cookie: String) {
    let mut at = headers;
    for key in ["response", "add"] {
        at = object(at).entry(key).or_insert(Value::Null);
    }
    object(at).insert("Set-Cookie".into(), Value::String(cookie));
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made an object above")
}

/// The cookie as it is sent, its attributes in Flagger's order. A cookie is forgotten only under the domain and path
/// that it was given for.
fn rendered(cookie: &str, max_age: impl std::fmt::Display, affinity: &SessionAffinity) -> String {
    let mut text = format!("{cookie}; Max-Age={max_age}");
    let mut add = |attribute: String| {
        text.push_str("; ");
        text.push_str(&attribute);
    };
    if let Some(domain) = &affinity.domain {
        add(format!("Domain={domain}"));
    }
    if affinity.http_only {
        add("HttpOnly".into());
    }
    if affinity.partitioned {
        add("Partitioned".into());
    }
    if let Some(path) = &affinity.path {
        add(format!("Path={path}"));
    }
    if let Some(same_site) = &affinity.same_site {
        add(format!("SameSite={same_site}"));
    }
    if affinity.secure {
        add("Secure".into());
    }
    text
}
