//! Reads a VirtualService back, whatever it holds.

use crate::api::canary::Spec;
use crate::api::routes::{Live, Weights};
use crate::api::shapes::Role;
use crate::api::status::Cookies;
use serde_json::Value;

/// The traffic by a live spec.
pub(super) fn live(routes: &Value, spec: &Spec) -> Live {
    let [primary, canary] = [Role::Primary, Role::Canary].map(|role| role.name(&spec.service.apex));
    let of = |protocol: &str| routes.get(protocol).and_then(Value::as_array).filter(|list| !list.is_empty());
    let Some(list) = of("http").or_else(|| of("tcp")) else { return Live::default() };
    // Behind a route without conditions nothing is reached.
    let end = list.iter().position(|route| !has_conditions(route)).map_or(list.len(), |last| last + 1);
    let named: Vec<(&Value, f64, f64)> = list[..end]
        .iter()
        .filter_map(|route| {
            let (to_primary, to_canary) = (weight(route, &primary), weight(route, &canary));
            let named = to_primary.is_some() || to_canary.is_some();
            named.then(|| (route, to_primary.unwrap_or(0.0), to_canary.unwrap_or(0.0)))
        })
        .collect();
    let group_only = !spec.analysis.matches.is_empty();
    // Where the canary serves a group, the others' route comes after the group's and need not know the canary.
    let knows_canary = named.iter().rfind(|(route, ..)| weight(route, &canary).is_some());
    let weighted = if group_only { knows_canary.or(named.last()) } else { named.last() };
    let Some((route, to_primary, to_canary)) = weighted else { return Live::default() };
    Live {
        weights: Weights::of(*to_primary, *to_canary),
        mirrored: is_mirrored(route, &canary),
        everyone: group_only && named.last().is_some_and(|(_, _, to_canary)| *to_canary > 0.0),
        cookies: Cookies {
            canary: given_with(list, &canary),
            primary: given_with(list, &primary),
            previous: list.iter().find_map(|route| given(route).filter(|_| is_taken_back(route))),
        },
    }
}

/// Where a route or a destination says which cookie it gives.
const COOKIE: &str = "/headers/response/add/Set-Cookie";

/// The cookie that a route or a destination gives, without its attributes.
fn given(by: &Value) -> Option<String> {
    let text = by.pointer(COOKIE)?.as_str()?;
    text.split(';').next().filter(|cookie| cookie.contains('=')).map(str::to_string)
}

/// The cookie of those whom this host answers.
fn given_with(routes: &[Value], name: &str) -> Option<String> {
    routes.iter().flat_map(destinations).filter(|to| host(to) == Some(name)).find_map(given)
}

fn is_taken_back(route: &Value) -> bool {
    route.pointer(COOKIE).and_then(Value::as_str).is_some_and(|text| text.contains("; Max-Age=-1"))
}

fn has_conditions(route: &Value) -> bool {
    let entries = route.get("match").and_then(Value::as_array);
    // An entry without conditions is met by all.
    entries.is_some_and(|list| {
        !list.is_empty() && list.iter().all(|entry| entry.as_object().is_some_and(|e| !e.is_empty()))
    })
}

fn destinations(route: &Value) -> &[Value] {
    route.get("route").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn host(destination: &Value) -> Option<&str> {
    destination.pointer("/destination/host").and_then(Value::as_str)
}

/// What a host weighs in a route; None where it is no destination of it. A destination alone gets everything.
fn weight(route: &Value, name: &str) -> Option<f64> {
    let all = destinations(route);
    if let [only] = all {
        return (host(only) == Some(name)).then_some(100.0);
    }
    let weights = all.iter().filter(|destination| host(destination) == Some(name));
    let weights: Vec<f64> =
        weights.map(|destination| destination.get("weight").and_then(Value::as_f64).unwrap_or(0.0)).collect();
    (!weights.is_empty()).then(|| weights.iter().map(|weight| weight.max(0.0)).sum())
}

fn is_mirrored(route: &Value, canary: &str) -> bool {
    let one = route.pointer("/mirror/host").and_then(Value::as_str) == Some(canary);
    let several = route.get("mirrors").and_then(Value::as_array).into_iter().flatten();
    one || several.into_iter().any(|mirror| host(mirror) == Some(canary))
}

/// The spec without what says nothing: the weight of a destination that is alone.
pub(super) fn plain(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for route in spec.get_mut("http").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some([Value::Object(only)]) = route.get_mut("route").and_then(Value::as_array_mut).map(Vec::as_mut_slice)
        {
            only.remove("weight");
        }
    }
    spec
}

/// Whether any destination is one of these Services.
pub(super) fn leads_to(routes: &Value, names: &[String]) -> bool {
    match routes {
        Value::Array(list) => list.iter().any(|value| leads_to(value, names)),
        Value::Object(map) => map.iter().any(|(key, value)| match value {
            Value::String(host) if key == "host" => names.iter().any(|name| {
                host.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }),
            value => leads_to(value, names),
        }),
        _ => false,
    }
}
