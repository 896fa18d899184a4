//! Finding the cluster's Prometheus among its Services, where nobody named it.

use super::Prometheus;
use super::reach::ServiceAddress;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::api::{Api, ListParams};
use std::time::Duration;
use thiserror::Error;

/// Where Prometheus usually lives, before the Canary's own namespace.
const NAMESPACES: [&str; 4] = ["istio-system", "monitoring", "prometheus", "observability"];
/// Names of the Services of the usual installations, the likeliest first.
const NAMES: [&str; 5] =
    ["prometheus", "prometheus-server", "kube-prometheus-stack-prometheus", "prometheus-k8s", "prometheus-operated"];
/// Time limit of each of the two steps, so that both end within 5 s.
const STEP: Duration = Duration::from_millis(2400);

/// Services in one answer: what is read at once stays with the process as its peak.
const PAGE: u32 = 200;

/// Why no Prometheus was found. Every text ends with what can be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FindError {
    #[error(
        "cannot look for Prometheus: it takes the right to list services in one of {namespaces}; grant it, or give \
         Prometheus' address with --prometheus URL"
    )]
    Forbidden { namespaces: String },
    #[error("no Prometheus among the Services of {namespaces}: give its address with --prometheus URL")]
    None { namespaces: String },
    #[error("cannot look for Prometheus: {why}; give its address with --prometheus URL")]
    Unreachable { why: String },
    #[error("found {found}, of which none answers ({why}): give Prometheus' address with --prometheus URL")]
    Silent { found: String, why: String },
    #[error("found {found}, and cannot tell which one Istio reports to: give its address with --prometheus URL")]
    Ambiguous { found: String },
}

impl Prometheus {
    /// Whether a namespace that is none of the usual ones may have a Prometheus of its own. Where its Services cannot be
    /// listed, none is found in it either.
    pub(super) async fn is_in(client: &kube::Client, namespace: &str) -> bool {
        if namespace.is_empty() || NAMESPACES.contains(&namespace) {
            return false;
        }
        candidates(client.clone(), namespace).await.is_ok_and(|found| !found.is_empty())
    }

    /// Looks for the cluster's Prometheus: one pass over the Services of the usual namespaces and of `namespace`, then,
    /// where there are several, one query of each for Istio's metrics. Takes 5 s at most.
    ///
    /// # Errors
    /// Where none is found, where several are and none stands out, and where Services may not be listed.
    pub async fn find(client: kube::Client, namespace: &str) -> Result<Self, FindError> {
        let mut namespaces = NAMESPACES.to_vec();
        if !namespace.is_empty() && !namespaces.contains(&namespace) {
            namespaces.push(namespace);
        }
        let lists = join_all(namespaces.iter().map(|namespace| candidates(client.clone(), namespace))).await;
        let mut found = Vec::new();
        let mut forbidden = false;
        let mut failure = None;
        for list in lists {
            match list {
                Ok(mut here) => {
                    here.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
                    found.extend(here.into_iter().map(|(_, address)| address));
                }
                Err(Unlisted::Forbidden) => forbidden = true,
                Err(Unlisted::Failed(why)) => failure = Some(why),
            }
        }
        let all: Vec<Self> = found.iter().map(|address| Self::through(client.clone(), address.clone())).collect();
        match (all.as_slice(), failure) {
            ([], Some(why)) => Err(FindError::Unreachable { why }),
            ([], None) if forbidden => Err(FindError::Forbidden { namespaces: namespaces.join(", ") }),
            ([], None) => Err(FindError::None { namespaces: namespaces.join(", ") }),
            ([only], _) => Ok(only.clone()),
            _ => choose(&all, &found).await,
        }
    }
}

enum Unlisted {
    Forbidden,
    Failed(String),
}

/// The Services of a namespace that may be a Prometheus, each with how likely it is one, page after page.
async fn candidates(client: kube::Client, namespace: &str) -> Result<Vec<(usize, ServiceAddress)>, Unlisted> {
    let api: Api<Service> = Api::namespaced(client, namespace);
    let mut page = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    let all = async {
        loop {
            let list = api.list(&page).await?;
            found.extend(list.items.iter().filter_map(candidate));
            match list.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => page = page.continue_token(&next),
                None => return Ok(()),
            }
        }
    };
    match tokio::time::timeout(STEP, all).await {
        Ok(Ok(())) => Ok(found),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(Unlisted::Forbidden),
        Ok(Err(kube::Error::Api(status))) => Err(Unlisted::Failed(status.message.clone())),
        Ok(Err(error)) => Err(Unlisted::Failed(super::query::causes(&error))),
        Err(_) => Err(Unlisted::Failed(format!("the Services of {namespace} were not listed in time"))),
    }
}

/// The one of several that knows Istio's requests. Services of one namespace count as one Prometheus: installations
/// have more than one Service before the same pods.
async fn choose(all: &[Prometheus], addresses: &[ServiceAddress]) -> Result<Prometheus, FindError> {
    let answers = join_all(all.iter().map(|prometheus| async {
        match tokio::time::timeout(STEP, prometheus.instant("sum(istio_requests_total)")).await {
            Ok(Ok(samples)) => Ok(!samples.is_empty()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", STEP.as_millis())),
        }
    }))
    .await;
    let found = all.iter().map(Prometheus::describe).collect::<Vec<_>>().join(", ");
    let those = |wanted: &dyn Fn(&Result<bool, String>) -> bool| -> Vec<usize> {
        answers.iter().enumerate().filter(|(_, answer)| wanted(answer)).map(|(index, _)| index).collect()
    };
    let knowing = those(&|answer| matches!(answer, Ok(true)));
    let left = if knowing.is_empty() { those(&|answer| answer.is_ok()) } else { knowing };
    match left.first() {
        None => {
            let why = answers.into_iter().find_map(Result::err).unwrap_or_default();
            Err(FindError::Silent { found, why })
        }
        Some(&first) if left.iter().all(|&i| addresses[i].namespace == addresses[first].namespace) => {
            Ok(all[first].clone())
        }
        Some(_) => Err(FindError::Ambiguous { found }),
    }
}

/// Whether a Service is a Prometheus by its name or labels, and how likely, the likeliest being 0.
fn candidate(service: &Service) -> Option<(usize, ServiceAddress)> {
    let name = service.metadata.name.as_deref()?;
    let namespace = service.metadata.namespace.as_deref()?;
    let labels = service.metadata.labels.as_ref();
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
    // One chart brings its alert manager and exporters under the same label.
    let other = ["component", "app.kubernetes.io/component"]
        .iter()
        .filter_map(|key| label(key))
        .any(|component| !matches!(component, "server" | "prometheus" | "monitoring"));
    if other {
        return None;
    }
    let labelled = ["app", "app.kubernetes.io/name"]
        .iter()
        .filter_map(|key| label(key))
        .any(|value| matches!(value, "prometheus" | "kube-prometheus-stack-prometheus"));
    let rank = match NAMES.iter().position(|known| *known == name) {
        Some(rank) => rank,
        None if labelled => NAMES.len(),
        None => return None,
    };
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let port =
        spec.ports.iter().flatten().filter_map(|port| Some((port_rank(port)?, port))).min_by_key(|(rank, _)| *rank)?.1;
    Some((
        rank,
        ServiceAddress {
            namespace: namespace.to_string(),
            name: name.to_string(),
            port: u16::try_from(port.port).ok()?,
            https: port.name.as_deref().is_some_and(|name| name.starts_with("https")),
            prefix: String::new(),
        },
    ))
}

/// How likely a port is the one of the HTTP API, the likeliest being 0.
fn port_rank(port: &ServicePort) -> Option<u8> {
    let name = port.name.as_deref().unwrap_or("");
    match port.port {
        9090 => Some(0),
        _ if name.starts_with("http") || name.starts_with("web") => Some(1),
        80 => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Call, Stub, vector};
    use super::*;
    use serde_json::{Value, json};

    fn service(namespace: &str, name: &str, labels: Value, ports: Value) -> Value {
        json!({"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"ports": ports}})
    }

    fn listed(items: Vec<Value>) -> (u16, String) {
        (200, json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": items}).to_string())
    }

    fn status(code: u16) -> (u16, String) {
        let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
            "reason": "x", "message": "no", "metadata": {}});
        (code, status.to_string())
    }

    /// An API server with these Services; `knows` says whether the Prometheus behind a path has Istio's series.
    fn cluster(services: Vec<Value>, knows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Stub {
        Stub::serving(move |call: &Call| {
            if call.path.contains("/proxy/") {
                return if knows(&call.path) { vector(&[(&[], "12")]) } else { vector(&[]) };
            }
            let here = services.iter().filter(|s| {
                call.path == format!("/api/v1/namespaces/{}/services", s["metadata"]["namespace"].as_str().unwrap())
            });
            listed(here.cloned().collect())
        })
    }

    async fn found(stub: &Stub) -> Result<String, FindError> {
        Prometheus::find(stub.api_server(), "prod").await.map(|prometheus| prometheus.describe())
    }

    #[tokio::test]
    async fn the_only_candidate_is_taken_without_asking_it() {
        let stub = cluster(
            vec![
                service("istio-system", "istiod", json!({"app": "istiod"}), json!([{"port": 15010, "name": "grpc"}])),
                service("prod", "prometheus", json!({}), json!([{"port": 9091}, {"name": "http-web", "port": 8080}])),
            ],
            |_| true,
        );
        assert_eq!(found(&stub).await.unwrap(), "prometheus.prod:8080");
        assert_eq!(stub.seen().len(), 5);
    }

    #[tokio::test]
    async fn a_service_of_a_later_page_is_found() {
        let stub = Stub::serving(|call: &Call| {
            let (name, next) = match call.parameters.get("continue").map(String::as_str) {
                None => ("web", "more"),
                Some(_) => ("prometheus", ""),
            };
            let items = [service("prod", name, json!({}), json!([{"port": 9090}]))];
            let items = if call.path.ends_with("/prod/services") { &items[..] } else { &[] };
            (
                200,
                json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {"continue": next}, "items": items})
                    .to_string(),
            )
        });
        assert_eq!(found(&stub).await.unwrap(), "prometheus.prod:9090");
    }

    #[tokio::test]
    async fn of_several_the_one_with_istios_series_is_taken() {
        let stub = cluster(
            vec![
                service("istio-system", "prometheus", json!({}), json!([{"port": 9090}])),
                service("monitoring", "main", json!({"app.kubernetes.io/name": "prometheus"}), json!([{"port": 80}])),
            ],
            |path| path.contains("/monitoring/"),
        );
        assert_eq!(found(&stub).await.unwrap(), "main.monitoring:80");
    }

    #[tokio::test]
    async fn two_services_of_one_installation_are_no_question() {
        let stub = cluster(
            vec![
                service("monitoring", "prometheus-operated", json!({}), json!([{"port": 9090, "name": "web"}])),
                service("monitoring", "prometheus-k8s", json!({}), json!([{"port": 9090, "name": "web"}])),
            ],
            |_| true,
        );
        assert_eq!(found(&stub).await.unwrap(), "prometheus-k8s.monitoring:9090");
    }

    #[tokio::test]
    async fn what_does_not_stand_out_is_asked_for() {
        for knows in [true, false] {
            let stub = cluster(
                vec![
                    service("istio-system", "prometheus", json!({}), json!([{"port": 9090}])),
                    service("monitoring", "prometheus", json!({}), json!([{"port": 9090}])),
                ],
                move |_| knows,
            );
            let error = found(&stub).await.unwrap_err();
            assert!(matches!(error, FindError::Ambiguous { .. }), "{error}");
            assert!(error.to_string().contains("--prometheus URL"));
        }
    }

    #[tokio::test]
    async fn the_company_of_a_prometheus_is_not_taken_for_it() {
        let ports = || json!([{"port": 80, "name": "http"}]);
        let stub = cluster(
            vec![
                service(
                    "monitoring",
                    "p-alertmanager",
                    json!({"app": "prometheus", "component": "alertmanager"}),
                    ports(),
                ),
                service("monitoring", "p-server", json!({"app": "prometheus", "component": "server"}), ports()),
                service("monitoring", "prometheus", json!({}), json!([{"port": 7000, "name": "grpc"}])),
            ],
            |_| true,
        );
        assert_eq!(found(&stub).await.unwrap(), "p-server.monitoring:80");
    }

    #[tokio::test]
    async fn a_port_that_speaks_https_is_reached_so() {
        let stub = cluster(
            vec![service("monitoring", "prometheus", json!({}), json!([{"port": 443, "name": "https-web"}]))],
            |_| true,
        );
        let prometheus = Prometheus::find(stub.api_server(), "prod").await.unwrap();
        prometheus.ping().await.unwrap();
        let path = stub.seen().last().unwrap().path.clone();
        assert_eq!(path, "/api/v1/namespaces/monitoring/services/https:prometheus:443/proxy/api/v1/query");
    }

    #[tokio::test]
    async fn a_missing_right_is_named() {
        let stub = Stub::serving(|_| status(403));
        let error = found(&stub).await.unwrap_err().to_string();
        assert!(error.contains("right to list services") && error.contains("prod"), "{error}");
        assert!(error.contains("--prometheus URL"), "{error}");
        // One namespace that may be read is enough.
        let stub = Stub::serving(|call| match call.path.as_str() {
            "/api/v1/namespaces/prod/services" => {
                listed(vec![service("prod", "prometheus", json!({}), json!([{"port": 9090}]))])
            }
            _ => status(403),
        });
        assert_eq!(found(&stub).await.unwrap(), "prometheus.prod:9090");
    }

    #[tokio::test]
    async fn none_at_all_and_a_broken_server_are_told_apart() {
        assert!(matches!(found(&cluster(vec![], |_| true)).await, Err(FindError::None { .. })));
        assert!(matches!(found(&Stub::serving(|_| status(500))).await, Err(FindError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn the_right_to_use_the_proxy_is_named_too() {
        let stub = Stub::serving(|_| status(403));
        let error = stub.proxied().ping().await.unwrap_err().to_string();
        assert!(error.contains("services/proxy") && error.contains("--prometheus URL"), "{error}");
        let behind = Stub::serving(|_| (403, "denied by oauth".into()));
        let error = behind.proxied().ping().await.unwrap_err().to_string();
        assert!(!error.contains("services/proxy") && error.contains("denied by oauth"), "{error}");
    }
}
