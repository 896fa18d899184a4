//! Where requests come in from outside: the gateways that routes name, and the addresses of what runs them.

use super::connect::{code, explain};
use super::object::Object;
use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time limit of one call.
const LIMIT: Duration = Duration::from_secs(5);
/// Where the gateways' Services stand where not all namespaces may be looked into.
const USUAL: [&str; 2] = ["istio-system", "istio-ingress"];
/// Most Services that are shown of one gateway.
const MOST: usize = 16;

/// A gateway that routes name.
#[derive(Clone, Debug, PartialEq)]
pub struct Entrance {
    /// Namespace and name.
    pub namespace: String,
    pub name: String,
    /// What it is, or why that is not known.
    pub gateway: Result<Gateway, String>,
}

/// What a gateway takes in, and who runs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gateway {
    /// `80 HTTP for *`, a text for each of its ports.
    pub servers: Vec<String>,
    /// Labels of the pods that run it.
    pub selector: BTreeMap<String, String>,
    /// The Services before those pods.
    pub services: Vec<Address>,
    /// What could not be looked at, in words.
    pub unseen: Vec<String>,
}

/// A Service before a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// `namespace/name`
    pub service: String,
    /// `LoadBalancer`, `NodePort` or `ClusterIP`.
    pub kind: String,
    /// Addresses or names by which it is reached from outside; empty where there is none.
    pub from_outside: Vec<String>,
    /// `80`, or `80 (node port 30080)`.
    pub ports: Vec<String>,
}

/// Looks at one gateway. `like` is a kind of the same group, in the version that the cluster serves.
pub async fn look_at(client: &Client, like: &ApiResource, namespace: &str, name: &str) -> Entrance {
    let kind = GroupVersionKind::gvk(&like.group, &like.version, "Gateway");
    let kind = ApiResource::from_gvk_with_plural(&kind, "gateways");
    let api: Api<Object> = Api::namespaced_with(client.clone(), namespace, &kind);
    let gateway = match within(api.get_opt(name)).await {
        Ok(Some(object)) => {
            let mut gateway = Gateway::of(&object.value);
            services(client, namespace, &mut gateway).await;
            Ok(gateway)
        }
        Ok(None) => Err("there is no such gateway".to_string()),
        Err(Refusal { text, .. }) => Err(text),
    };
    Entrance { namespace: namespace.into(), name: name.into(), gateway }
}

/// Why a call had no answer.
struct Refusal {
    forbidden: bool,
    text: String,
}

async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Refusal> {
    match tokio::time::timeout(LIMIT, call).await {
        Err(_) => {
            let text = format!("the API server did not answer within {} s", LIMIT.as_secs());
            Err(Refusal { forbidden: false, text })
        }
        Ok(Err(error)) if code(&error) == Some(403) => {
            Err(Refusal { forbidden: true, text: format!("not permitted: {}", explain(&error)) })
        }
        Ok(Err(error)) => Err(Refusal { forbidden: false, text: explain(&error) }),
        Ok(Ok(answer)) => Ok(answer),
    }
}

impl Gateway {
    /// Reduces a gateway; its Services are not known yet.
    pub fn of(object: &Value) -> Self {
        let servers = object.pointer("/spec/servers").and_then(Value::as_array).into_iter().flatten();
        let selector = object.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
        Self {
            servers: servers.map(server).collect(),
            selector: selector.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect(),
            ..Self::default()
        }
    }
}

fn server(server: &Value) -> String {
    let port = server.pointer("/port/number").and_then(Value::as_u64).map_or("?".to_string(), |port| port.to_string());
    let protocol = server.pointer("/port/protocol").and_then(Value::as_str).unwrap_or("?");
    let hosts = server.get("hosts").and_then(Value::as_array).into_iter().flatten();
    let hosts: Vec<&str> = hosts.filter_map(Value::as_str).collect();
    let tls = server.pointer("/tls/mode").and_then(Value::as_str).map(|mode| format!(", TLS {mode}"));
    format!("{port} {protocol} for {}{}", hosts.join(", "), tls.unwrap_or_default())
}

/// Finds the Services before the gateway's pods: by its labels in all namespaces, or else where they usually stand.
async fn services(client: &Client, namespace: &str, gateway: &mut Gateway) {
    if gateway.selector.is_empty() {
        gateway.unseen.push("it has no selector: it may be any gateway's pods that run it".into());
        return;
    }
    let kind = ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&());
    let labels: Vec<String> = gateway.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let by_label = ListParams::default().labels(&labels.join(","));
    let all: Api<Object> = Api::all_with(client.clone(), &kind);
    let mut unseen = Vec::new();
    let mut found = match within(all.list(&by_label)).await {
        Ok(list) => list.items,
        Err(refusal) => {
            let said = "Services of all namespaces";
            unseen.push(format!("{said}: {}", if refusal.forbidden { "not permitted" } else { &refusal.text }));
            Vec::new()
        }
    };
    if found.is_empty() {
        // Not every Service bears the labels of the pods that it selects.
        let mut places: Vec<&str> = USUAL.to_vec();
        if !places.contains(&namespace) {
            places.push(namespace);
        }
        for place in places {
            let api: Api<Object> = Api::namespaced_with(client.clone(), place, &kind);
            match within(api.list(&ListParams::default())).await {
                Ok(list) => found.extend(list.items),
                Err(refusal) => unseen.push(format!("Services in {place}: {}", refusal.text)),
            }
        }
        found.retain(|service| selects(&service.value, &gateway.selector));
    }
    gateway.services = found.iter().take(MOST).map(|service| address(&service.value)).collect();
    // What may not be seen matters where nothing was found.
    if found.is_empty() {
        gateway.unseen = unseen;
    }
}

/// Whether a Service leads to pods with these labels.
fn selects(service: &Value, labels: &BTreeMap<String, String>) -> bool {
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    selector.is_some_and(|selector| {
        labels.iter().all(|(key, value)| selector.get(key).and_then(Value::as_str) == Some(value))
    })
}

fn address(service: &Value) -> Address {
    let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let list = |pointer: &str| service.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let balanced = list("/status/loadBalancer/ingress").iter();
    let balanced = balanced.filter_map(|ingress| ingress.get("hostname").or(ingress.get("ip"))?.as_str());
    let given = list("/spec/externalIPs").iter().filter_map(Value::as_str);
    let port = |port: &Value| {
        let number = port.get("port").and_then(Value::as_u64)?;
        Some(match port.get("nodePort").and_then(Value::as_u64) {
            Some(node) => format!("{number} (node port {node})"),
            None => number.to_string(),
        })
    };
    Address {
        service: format!("{}/{}", text("/metadata/namespace"), text("/metadata/name")),
        kind: Some(text("/spec/type")).filter(|kind| !kind.is_empty()).unwrap_or("ClusterIP").to_string(),
        from_outside: balanced.chain(given).map(str::to_string).collect(),
        ports: list("/spec/ports").iter().filter_map(port).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_services_addresses_are_the_balancers_and_those_given() {
        let service = json!({"metadata": {"namespace": "istio-system", "name": "gw"}, "spec": {"type": "LoadBalancer",
            "externalIPs": ["198.51.100.7"], "ports": [{"port": 80, "nodePort": 30080}, {"port": 443}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}, {"hostname": "lb.example.com"}]}}});
        let found = address(&service);
        assert_eq!(found.from_outside, ["203.0.113.10", "lb.example.com", "198.51.100.7"]);
        assert_eq!((found.service.as_str(), found.kind.as_str()), ("istio-system/gw", "LoadBalancer"));
        assert_eq!(found.ports, ["80 (node port 30080)", "443"]);
        assert_eq!(address(&json!({})).kind, "ClusterIP");
    }

    #[test]
    fn a_service_counts_that_leads_to_all_of_the_gateways_labels() {
        let labels = BTreeMap::from([("istio".to_string(), "ingressgateway".to_string())]);
        let service = |selector: Value| json!({"spec": {"selector": selector}});
        assert!(selects(&service(json!({"istio": "ingressgateway", "app": "x"})), &labels));
        assert!(!selects(&service(json!({"istio": "egressgateway"})), &labels));
        assert!(!selects(&json!({}), &labels));
    }

    #[test]
    fn a_gateway_says_what_it_takes_in() {
        let object = json!({"spec": {"selector": {"istio": "ingressgateway"}, "servers": [
            {"port": {"number": 443, "protocol": "HTTPS"}, "hosts": ["*.example.com"], "tls": {"mode": "SIMPLE"}}, 7]}});
        assert_eq!(Gateway::of(&object).servers, ["443 HTTPS for *.example.com, TLS SIMPLE", "? ? for "]);
        assert_eq!(Gateway::of(&json!(null)), Gateway::default());
    }
}
