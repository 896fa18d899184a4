//! Tells a reader what a VirtualService does, whatever it holds: all its routes, and their conditions in words.

use crate::api::routes::{Destination, Rule, Way};
use serde_json::Value;

/// The routes of a live spec.
pub(super) fn way(routes: &Value) -> Way {
    let of = |protocol: &str| routes.get(protocol).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let listed = ["http", "tls", "tcp"].map(of).concat();
    Way { hosts: texts(routes, "hosts"), gateways: texts(routes, "gateways"), rules: listed.iter().map(rule).collect() }
}

/// Namespace and name that a VirtualService's gateway means: `name`, `namespace/name`, or the name with its namespace
/// behind it, as a host is written.
pub(super) fn gateway(name: &str, namespace: &str) -> Option<(String, String)> {
    let (namespace, name) = match (name.split_once('/'), name.split_once('.')) {
        (Some((".", name)), _) => (namespace, name),
        (Some((namespace, name)), _) => (namespace, name),
        (None, Some((name, rest))) => (rest.split('.').next().unwrap_or(rest), name),
        (None, None) if name == "mesh" => return None,
        (None, None) => (namespace, name),
    };
    // They become parts of a path of the API.
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    (is_name(namespace) && is_name(name)).then(|| (namespace.to_string(), name.to_string()))
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_string).collect()
}

fn rule(route: &Value) -> Rule {
    let list = |key: &str| route.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let to = list("route");
    let alone = to.len() == 1;
    let host = |of: &Value| of.pointer("/destination/host").and_then(Value::as_str).unwrap_or("?").to_string();
    let destination = |of: &Value| Destination {
        host: host(of),
        // A destination that is alone gets everything.
        weight: if alone { 100.0 } else { of.get("weight").and_then(Value::as_f64).unwrap_or(0.0) },
    };
    let percent = |of: &Value, key: &str| of.get(key).and_then(|p| p.get("value")).and_then(Value::as_f64);
    let one = route.pointer("/mirror/host").and_then(Value::as_str);
    let mut mirrors: Vec<(String, f64)> =
        one.map(|host| (host.to_string(), percent(route, "mirrorPercentage").unwrap_or(100.0))).into_iter().collect();
    mirrors.extend(list("mirrors").iter().map(|of| (host(of), percent(of, "percentage").unwrap_or(100.0))));
    const COOKIE: &str = "/headers/response/add/Set-Cookie";
    let given = std::iter::once(route).chain(to).filter_map(|by| by.pointer(COOKIE)?.as_str());
    Rule {
        conditions: list("match").iter().filter_map(condition).collect(),
        to: to.iter().map(destination).collect(),
        mirrors,
        cookies: given.map(str::to_string).collect(),
    }
}

/// The conditions of one entry as a clause; None where it has none.
fn condition(entry: &Value) -> Option<String> {
    let mut clauses = Vec::new();
    for (key, value) in entry.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("name" | "statPrefix", _) => {}
            ("headers", Value::Object(map)) => {
                clauses.extend(map.iter().map(|(name, wanted)| format!("header {name} {}", compared(wanted))));
            }
            ("withoutHeaders", Value::Object(map)) => {
                clauses.extend(map.iter().map(|(name, wanted)| format!("not header {name} {}", compared(wanted))));
            }
            ("queryParams", Value::Object(map)) => {
                clauses.extend(map.iter().map(|(name, wanted)| format!("parameter {name} {}", compared(wanted))));
            }
            ("sourceLabels", Value::Object(map)) => {
                clauses.extend(map.iter().map(|(name, wanted)| format!("from pods with {name}={}", plain(wanted))));
            }
            (key, wanted) => clauses.push(format!("{key} {}", compared(wanted))),
        }
    }
    (!clauses.is_empty()).then(|| clauses.join(" and "))
}

/// How a text is held against what is wanted, in words.
fn compared(wanted: &Value) -> String {
    let one = wanted.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    match (one, wanted) {
        (_, Value::Object(map)) if map.is_empty() => "is there".into(),
        (Some((how, value)), _) => match how.as_str() {
            "exact" => format!("is {}", plain(value)),
            "prefix" => format!("begins with {}", plain(value)),
            "regex" => format!("matches {}", plain(value)),
            _ => format!("{how} {}", plain(value)),
        },
        (None, value) => plain(value),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_are_told_in_words() {
        let spec = json!({"hosts": ["a.example.com"], "gateways": ["ns/gw", "mesh"], "http": [
            {"match": [{"headers": {"x-canary": {"exact": "insider"}, "cookie": {"regex": ".*b.*"}}},
                {"uri": {"prefix": "/api"}, "queryParams": {"v": {"exact": "2"}}}],
             "route": [{"destination": {"host": "app-primary"}, "weight": 0},
                {"destination": {"host": "app-canary"}, "weight": 100}]},
            {"route": [{"destination": {"host": "app-primary"}}],
             "mirror": {"host": "app-canary"}, "mirrorPercentage": {"value": 10},
             "headers": {"response": {"add": {"Set-Cookie": "a=b; Max-Age=-1"}}}}]});
        let way = way(&spec);
        assert_eq!((way.hosts, way.gateways), (vec!["a.example.com".into()], vec!["ns/gw".into(), "mesh".into()]));
        let conditions = &way.rules[0].conditions;
        assert_eq!(conditions[0], "header cookie matches .*b.* and header x-canary is insider");
        assert_eq!(conditions[1], "parameter v is 2 and uri begins with /api");
        assert_eq!(way.rules[0].to[1], Destination { host: "app-canary".into(), weight: 100.0 });
        assert_eq!((way.rules[1].to[0].weight, &way.rules[1].mirrors), (100.0, &vec![("app-canary".into(), 10.0)]));
        assert_eq!(way.rules[1].cookies, ["a=b; Max-Age=-1"]);
    }

    #[test]
    fn gateways_are_named_in_three_ways() {
        let pair = |namespace: &str, name: &str| Some((namespace.to_string(), name.to_string()));
        for (given, wanted) in [
            ("gw", pair("prod", "gw")),
            ("./gw", pair("prod", "gw")),
            ("istio-system/gw", pair("istio-system", "gw")),
            ("gw.istio-system.svc.cluster.local", pair("istio-system", "gw")),
            ("gw.istio-system", pair("istio-system", "gw")),
            ("mesh", None),
            ("", None),
            ("../secrets/x", None),
            ("a/b/c", None),
        ] {
            assert_eq!(gateway(given, "prod"), wanted, "{given}");
        }
    }

    #[test]
    fn anything_may_come_and_nothing_panics() {
        for spec in
            [json!(null), json!({"http": 3, "hosts": {}}), json!({"http": [null, 7, {"match": [[]], "route": [1]}]})]
        {
            way(&spec);
        }
        assert!(
            way(&json!({"http": [{"match": [{"headers": {"a": 7, "b": {}, "c": {"x": 1, "y": 2}}, "port": 80}]}]}))
                .rules[0]
                .conditions[0]
                .contains("header b is there")
        );
    }
}
