//! `spec.service`: the name and port under which the workloads are served, and what their routes bear.

use super::reader::{Reader, asks};
use crate::api::Provider;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name and port under which the workloads are served. Many Canaries may share its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The apex name: the VirtualService's and the Service's; `<apex>-primary` and `<apex>-canary` are derived of it.
    pub apex: String,
    pub port: u16,
    /// `http` unless given.
    pub port_name: String,
    /// A port's number or name; the port itself unless given.
    pub target_port: Value,
    /// Set on the Services' port; `tcp`, in any case, makes the routes TCP's.
    pub app_protocol: Option<String>,
    /// Whether the containers' other ports are served too.
    pub port_discovery: bool,
    /// Whether the Services are made without an address of their own.
    pub headless: bool,
    pub traffic_distribution: Option<String>,
    pub hosts: Vec<String>,
    pub gateways: Vec<String>,
    /// Whether the VirtualService is one that another delegates to: without hosts and gateways.
    pub delegation: bool,
    pub routing: Arc<Routing>,
    /// Istio's TrafficPolicy of both DestinationRules.
    pub traffic_policy: Option<Value>,
    pub apex_metadata: Arc<Metadata>,
    pub primary_metadata: Arc<Metadata>,
    pub canary_metadata: Arc<Metadata>,
    pub unmanaged: Arc<Unmanaged>,
    /// Further fields that the provider carries out, as they came.
    pub others: Map<String, Value>,
}

impl Service {
    /// Whether the routes are TCP's: no requests can be told apart in them.
    pub fn is_tcp(&self) -> bool {
        self.app_protocol.as_ref().is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp"))
    }
}

/// What every HTTP route bears beside its destinations, in Istio's own shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Istio's HTTPMatchRequest; empty: every request.
    pub matches: Vec<Value>,
    pub rewrite: Option<Value>,
    pub headers: Option<Value>,
    pub retries: Option<Value>,
    pub timeout: Option<String>,
    pub cors_policy: Option<Value>,
}

/// Labels and annotations that an object is to bear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// Keys of labels and annotations on the Services that somebody else writes: their values stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmanaged {
    pub labels: Vec<String>,
    pub annotations: Vec<String>,
}

impl Reader<'_> {
    pub fn service(&mut self, value: &Value, target: Option<&str>, provider: Provider) -> Option<Service> {
        let Some(service) = value.as_object() else {
            self.problem("spec.service", "is missing");
            return None;
        };
        let mut known = vec![
            "name",
            "port",
            "portName",
            "targetPort",
            "appProtocol",
            "portDiscovery",
            "headless",
            "trafficDistribution",
            "hosts",
            "gateways",
            "delegation",
            "match",
            "rewrite",
            "headers",
            "retries",
            "timeout",
            "corsPolicy",
            "trafficPolicy",
            "apex",
            "primary",
            "canary",
            "unmanagedMetadata",
        ];
        known.extend(provider.service_fields());
        self.only("spec.service", service, &known);
        let others = provider.service_fields().iter();
        let others = others.filter_map(|key| Some((key.to_string(), service.get(*key)?.clone()))).collect();
        let port = match service.get("port") {
            None | Some(Value::Null) => {
                self.problem("spec.service.port", "is missing");
                None
            }
            given => self.whole("spec.service.port", given, 0, 1, 65_535),
        };
        let target_port = match service.get("targetPort") {
            Some(Value::String(name)) if !name.is_empty() && name != "0" => Some(Value::String(name.clone())),
            Some(Value::Number(n)) if n.as_f64() != Some(0.0) => Some(Value::Number(n.clone())),
            _ => None,
        };
        let (hosts, gateways) = (
            self.strings("spec.service.hosts", service.get("hosts")),
            self.strings("spec.service.gateways", service.get("gateways")),
        );
        let delegation = self.switch("spec.service.delegation", service.get("delegation"));
        if delegation && !(hosts.is_empty() && gateways.is_empty()) {
            self.problem("spec.service.delegation", "allows neither hosts nor gateways: the delegating one has them");
        }
        let mut text = |key: &str| self.text(&format!("spec.service.{key}"), service.get(key));
        let (name, port_name, app_protocol) = (text("name"), text("portName"), text("appProtocol"));
        let (traffic_distribution, timeout) = (text("trafficDistribution"), text("timeout"));
        let mut asked = |key: &str| {
            let value = service.get(key).filter(|value| asks(value));
            self.object(&format!("spec.service.{key}"), value).map(|map| Value::Object(map.clone()))
        };
        let (rewrite, headers, retries) = (asked("rewrite"), asked("headers"), asked("retries"));
        let (cors_policy, traffic_policy) = (asked("corsPolicy"), asked("trafficPolicy"));
        let matches = self.objects("spec.service.match", service.get("match"));
        let mut metadata = |key: &str| self.metadata(&format!("spec.service.{key}"), service.get(key));
        let (apex_metadata, primary_metadata, canary_metadata) =
            (metadata("apex"), metadata("primary"), metadata("canary"));
        let unmanaged = self.unmanaged(service.get("unmanagedMetadata"));
        Some(Service {
            apex: name.or_else(|| target.map(str::to_string))?,
            port: port? as u16,
            port_name: port_name.unwrap_or_else(|| "http".into()),
            target_port: target_port.unwrap_or_else(|| Value::from(port.unwrap_or_default())),
            app_protocol,
            port_discovery: self.switch("spec.service.portDiscovery", service.get("portDiscovery")),
            headless: self.switch("spec.service.headless", service.get("headless")),
            traffic_distribution,
            hosts,
            gateways,
            delegation,
            routing: Arc::new(Routing {
                matches: matches.into_iter().map(|m| Value::Object(m.clone())).collect(),
                rewrite,
                headers,
                retries,
                timeout,
                cors_policy,
            }),
            traffic_policy,
            apex_metadata: Arc::new(apex_metadata),
            primary_metadata: Arc::new(primary_metadata),
            canary_metadata: Arc::new(canary_metadata),
            unmanaged: Arc::new(unmanaged),
            others,
        })
    }

    fn metadata(&mut self, path: &str, value: Option<&Value>) -> Metadata {
        let empty = Map::new();
        let map = self.object(path, value).unwrap_or(&empty);
        self.only(path, map, &["labels", "annotations"]);
        Metadata {
            labels: self.texts(&format!("{path}.labels"), map.get("labels")),
            annotations: self.texts(&format!("{path}.annotations"), map.get("annotations")),
        }
    }

    fn unmanaged(&mut self, value: Option<&Value>) -> Unmanaged {
        let path = "spec.service.unmanagedMetadata";
        let Some(map) = self.object(path, value) else { return Unmanaged::default() };
        self.only(path, map, &["labels", "annotations"]);
        Unmanaged {
            labels: self.strings(&format!("{path}.labels"), map.get("labels")),
            annotations: self.strings(&format!("{path}.annotations"), map.get("annotations")),
        }
    }
}
