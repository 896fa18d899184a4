//! Istio: a VirtualService carries the weights, two DestinationRules the traffic policy. Names and fields are Flagger's,
//! so that either tool can take over from the other.

mod affinity;
mod reading;
mod telling;
#[cfg(test)]
mod tests;

use super::{Kind, Routing};
use crate::api::borne;
use crate::api::canary::{Metadata, Service, Spec};
use crate::api::routes::{Live, Traffic, Way};
use crate::api::shapes::{Owner, Role};
use serde_json::{Map, Value, json};

/// The one that Flagger writes first.
const VERSIONS: &[&str] = &["v1beta1", "v1", "v1alpha3"];

/// The provider.
pub struct Istio;

impl Routing for Istio {
    fn name(&self) -> &'static str {
        "istio"
    }

    fn product(&self) -> &'static str {
        "Istio"
    }

    fn routes_kind(&self) -> Kind {
        Kind { kind: "VirtualService", resource: "virtualservices.networking.istio.io", versions: VERSIONS }
    }

    fn rules_kind(&self) -> Option<Kind> {
        Some(Kind { kind: "DestinationRule", resource: "destinationrules.networking.istio.io", versions: VERSIONS })
    }

    fn routes(&self, owner: &Owner, spec: &Spec, traffic: &Traffic) -> Value {
        let bears = borne::hands_off(&spec.service.apex_metadata);
        json!({
            "apiVersion": self.routes_kind().api_version(),
            "kind": self.routes_kind().kind,
            "metadata": borne::owned(owner, &self.routes_name(spec), &bears),
            "spec": with_hosts(&spec.service, list(spec, traffic)),
        })
    }

    fn rule(&self, owner: &Owner, spec: &Spec, role: Role) -> Option<Value> {
        let kind = self.rules_kind()?;
        let name = role.name(&spec.service.apex);
        let mut rule = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.kind,
            "metadata": borne::owned(owner, &name, &Metadata::default()),
            "spec": { "host": name },
        });
        if let Some(policy) = &spec.service.traffic_policy {
            rule["spec"]["trafficPolicy"] = policy.clone();
        }
        Some(rule)
    }

    fn live(&self, routes: &Value, spec: &Spec) -> Live {
        reading::live(routes, spec)
    }

    fn way(&self, routes: &Value) -> Way {
        telling::way(routes)
    }

    fn gateway_kind(&self) -> Option<Kind> {
        Some(Kind { kind: "Gateway", resource: "gateways.networking.istio.io", versions: VERSIONS })
    }

    fn gateway(&self, name: &str, namespace: &str) -> Option<(String, String)> {
        telling::gateway(name, namespace)
    }

    fn same(&self, live: &Value, desired: &Value) -> bool {
        borne::alike(&reading::plain(live), &reading::plain(desired))
    }

    fn leads_to_copies(&self, routes: &Value, spec: &Spec) -> bool {
        reading::leads_to(routes, &[Role::Primary, Role::Canary].map(|role| role.name(&spec.service.apex)))
    }

    fn to_apex(&self, spec: &Spec) -> Value {
        let to = vec![destination(&spec.service, Role::Apex, None)];
        let routes = match spec.service.is_tcp() {
            true => tcp_route(&spec.service, to),
            false => http_route(&spec.service, &spec.service.routing.matches, to),
        };
        with_hosts(&spec.service, vec![routes])
    }
}

/// The VirtualService's spec around its routes. The apex is a host of its own accord, unless all are.
fn with_hosts(service: &Service, routes: Vec<Value>) -> Value {
    let (mut hosts, mut gateways) = (service.hosts.clone(), service.gateways.clone());
    if service.delegation {
        (hosts, gateways) = (Vec::new(), Vec::new());
    } else {
        if !hosts.iter().any(|host| *host == service.apex || host == "*") {
            hosts.push(service.apex.clone());
        }
        if gateways.is_empty() {
            gateways.push("mesh".into());
        }
    }
    let protocol = if service.is_tcp() { "tcp" } else { "http" };
    json!({ "hosts": hosts, "gateways": gateways, protocol: routes })
}

/// The routes with this traffic, in the order in which a proxy tries them.
fn list(spec: &Spec, traffic: &Traffic) -> Vec<Value> {
    let (service, group) = (&spec.service, &spec.analysis.matches);
    let canary = traffic.canary.min(100);
    if service.is_tcp() {
        return vec![tcp_route(service, both(service, canary))];
    }
    let mut weighted = http_route(service, &merged(group, &service.routing.matches), both(service, canary));
    if traffic.mirrored {
        weighted["mirror"] = destination(service, Role::Canary, None)["destination"].clone();
        if spec.analysis.mirror_weight > 0 {
            weighted["mirrorPercentage"] = json!({ "value": spec.analysis.mirror_weight });
        }
    }
    let mut routes = affinity::before(spec, traffic, &mut weighted);
    routes.push(weighted);
    if !group.is_empty() {
        let rest = match traffic.everyone {
            true => both(service, canary),
            false => vec![destination(service, Role::Primary, Some(100))],
        };
        routes.push(http_route(service, &service.routing.matches, rest));
    }
    routes
}

/// Both destinations, the primary first.
fn both(service: &Service, canary: u8) -> Vec<Value> {
    vec![destination(service, Role::Primary, Some(100 - canary)), destination(service, Role::Canary, Some(canary))]
}

/// A destination. A gateway does not know which port was called, so where the Services have several it is named.
fn destination(service: &Service, role: Role, weight: Option<u8>) -> Value {
    let mut destination = json!({ "destination": { "host": role.name(&service.apex) } });
    let from_elsewhere = service.delegation || service.gateways.first().is_some_and(|gateway| gateway != "mesh");
    if service.port_discovery && from_elsewhere {
        destination["destination"]["port"] = json!({ "number": service.port });
    }
    if let Some(weight) = weight {
        destination["weight"] = json!(weight);
    }
    destination
}

/// An HTTP route with all that the service's routes bear.
fn http_route(service: &Service, matches: &[Value], to: Vec<Value>) -> Value {
    let routing = &service.routing;
    let mut route = json!({ "route": to });
    let mut bear = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            route[key] = value;
        }
    };
    bear("match", (!matches.is_empty()).then(|| json!(matches)));
    let rewrite = routing.rewrite.as_ref().map(|rewrite| {
        let known = ["uri", "authority"].into_iter();
        known.filter_map(|key| Some((key.to_string(), rewrite.get(key)?.clone()))).collect::<Map<_, _>>()
    });
    bear("rewrite", rewrite.filter(|rewrite| !rewrite.is_empty()).map(Value::Object));
    bear("headers", routing.headers.clone());
    let retries = routing.retries.clone().map(|mut retries| {
        // Istio wants a number, and none means none.
        if let Some(retries) = retries.as_object_mut() {
            retries.entry("attempts").or_insert(json!(0));
        }
        retries
    });
    bear("retries", retries);
    bear("timeout", routing.timeout.clone().map(Value::String));
    bear("corsPolicy", routing.cors_policy.clone());
    route
}

/// A TCP route: of a match, only the port can be told.
fn tcp_route(service: &Service, to: Vec<Value>) -> Value {
    let mut route = json!({ "route": to });
    let ports = service.routing.matches.iter().map(|entry| match entry.get("port") {
        Some(port) => json!({ "port": port }),
        None => json!({}),
    });
    let ports: Vec<Value> = ports.collect();
    if !ports.is_empty() {
        route["match"] = Value::Array(ports);
    }
    route
}

/// Those of the service whom the analysis names: every entry of the one with every entry of the other. What an entry of
/// the analysis says takes the place of what the service's says of the same.
fn merged(analysis: &[Value], service: &[Value]) -> Vec<Value> {
    if analysis.is_empty() || service.is_empty() {
        return if service.is_empty() { analysis.to_vec() } else { service.to_vec() };
    }
    let mut entries = Vec::new();
    for ours in analysis {
        for theirs in service {
            let mut entry = theirs.as_object().cloned().unwrap_or_default();
            entry.extend(ours.as_object().cloned().unwrap_or_default());
            entries.push(Value::Object(entry));
        }
    }
    entries
}
