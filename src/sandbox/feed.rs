//! Tells the simulated traffic what a cluster's objects say: where requests are routed, and which pods could serve them.
//!
//! It reads routes as Istio's proxies do, and it never writes anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::store::Store;
use super::workloads::{image_tag, is_leaving, is_ready, started_at};
use crate::traffic::{Destination, Facts, PodFact, Route, Traffic, Workload};

/// The kinds whose changes matter to traffic.
const KINDS: [&str; 6] = ["VirtualService", "Service", "Deployment", "ReplicaSet", "Pod", "Namespace"];

/// A burst of changes is looked at once it has lasted this long.
const GATHER: Duration = Duration::from_millis(5);

/// What is rested for each workload that was looked at: in a cluster of thousands of objects, looking must not be all that
/// the machine does. By their number and not by the time that it took, so that a simulation can be repeated.
const REST: Duration = Duration::from_micros(400);

/// Where objects are found: the sandbox's store, or what somebody watches of another cluster.
pub trait Objects {
    /// All objects of a kind, in every namespace.
    fn of_kind(&self, kind: &str) -> Vec<Arc<Value>>;
}

/// The objects of a store at one moment, by kind.
struct Moment(HashMap<&'static str, Vec<Arc<Value>>>);

impl Objects for Moment {
    fn of_kind(&self, kind: &str) -> Vec<Arc<Value>> {
        self.0.get(kind).cloned().unwrap_or_default()
    }
}

/// Reads the facts out of objects, and remembers which hosts users have called: they go on calling one whose route is
/// gone, and that is what an outage is.
#[derive(Debug, Default)]
pub struct Feed {
    hosts: BTreeSet<(String, String)>,
}

impl Feed {
    /// The facts as the store has them now: all of one moment, or else a route could seem to lead to pods that left
    /// only after it was changed.
    pub fn facts(&mut self, store: &Store) -> Facts {
        self.read(&Moment(store.list_together(&KINDS)))
    }

    /// The facts by these objects.
    pub fn read(&mut self, cluster: &impl Objects) -> Facts {
        let deployments = cluster.of_kind("Deployment");
        let services: HashMap<(String, String), Arc<Value>> =
            cluster.of_kind("Service").into_iter().map(|service| (place(&service), service)).collect();
        let by_label = by_label(&deployments);
        let mut routes = BTreeMap::new();
        // Whoever opens connections there sends no requests that could be counted.
        let mut connected = BTreeSet::new();
        for virtual_service in cluster.of_kind("VirtualService") {
            let (namespace, host) = place(&virtual_service);
            match divided(&virtual_service, &services, &by_label) {
                Some(divided) => drop(routes.insert((namespace, host), divided)),
                None => drop(connected.insert((namespace, host))),
            }
        }
        self.hosts.retain(|host| !connected.contains(host));
        self.hosts.extend(routes.keys().cloned());
        let namespaces: BTreeSet<String> = cluster.of_kind("Namespace").iter().map(|object| place(object).1).collect();
        self.hosts.retain(|(namespace, _)| namespaces.contains(namespace));
        for host in &self.hosts {
            if !routes.contains_key(host) {
                // Without a route the mesh goes by the Service of that name, if there still is one.
                let destination = services.get(host).map(|_| Destination {
                    service: host.1.clone(),
                    workload: workload_behind(&host.0, &host.1, &services, &by_label),
                    weight: 100,
                });
                let destinations = destination.into_iter().collect();
                routes.insert(host.clone(), Divided { destinations, copies: Vec::new() });
            }
        }
        Facts {
            routes: routes
                .into_iter()
                .map(|((namespace, host), Divided { destinations, copies })| Route {
                    namespace,
                    host,
                    destinations,
                    copies,
                })
                .collect(),
            workloads: workloads(cluster, &deployments),
        }
    }

    /// Feeds the traffic on every change and at every scrape, until the store is gone. `now` tells the time.
    pub async fn run(mut self, store: Store, traffic: Traffic, now: impl Fn() -> DateTime<Utc> + Send) {
        let mut changes = store.subscribe();
        traffic.observe(now(), self.facts(&store));
        let mut gather = GATHER;
        loop {
            let time = now();
            let next = traffic.advance(time);
            let left = (next - time).to_std().unwrap_or_default().max(Duration::from_millis(1));
            let change = match tokio::time::timeout(left, changes.recv()).await {
                Err(_) => continue,
                Ok(change) => change,
            };
            let mut matters = match change {
                Ok(change) => KINDS.contains(&&*change.kind),
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            };
            if matters {
                tokio::time::sleep(gather).await;
            }
            loop {
                match changes.try_recv() {
                    Ok(change) => matters |= KINDS.contains(&&*change.kind),
                    Err(TryRecvError::Lagged(_)) => matters = true,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            if matters {
                let facts = self.facts(&store);
                gather = GATHER.max(REST * u32::try_from(facts.workloads.len()).unwrap_or(u32::MAX));
                traffic.observe(now(), facts);
            }
        }
    }
}

/// The elements of a list; none where it is none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Namespace and name.
fn place(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

/// How many of a thousand requests meet the conditions of a route, of those that no route before it took: a simulated
/// user has no paths and no headers.
const MATCHED: u32 = 200;

/// How a VirtualService divides the requests of its host; None where it routes no requests but connections.
fn divided(
    virtual_service: &Value,
    services: &HashMap<(String, String), Arc<Value>>,
    deployments: &ByLabel<'_>,
) -> Option<Divided> {
    let (namespace, _) = place(virtual_service);
    let spec = &virtual_service["spec"];
    let all = list(&spec["http"]);
    if all.is_empty() && !list(&spec["tcp"]).is_empty() {
        return None;
    }
    let has_conditions = |route: &Value| route["match"].as_array().is_some_and(|entries| !entries.is_empty());
    // Nobody here bears a cookie.
    let mut routes: Vec<&Value> = all.iter().filter(|route| !is_for_cookie(route)).collect();
    if let Some(last) = routes.iter().position(|route| !has_conditions(route)) {
        routes.truncate(last + 1);
    }
    let to = |value: &Value, weight| {
        let host = value["host"].as_str().unwrap_or_default();
        let service = host.split('.').next().unwrap_or_default();
        let workload = workload_behind(&namespace, service, services, deployments);
        Destination { service: service.to_owned(), workload, weight }
    };
    let mut divided = Divided::default();
    let mut left = 1000;
    for (at, route) in routes.iter().enumerate() {
        // The last one is for all who are left: those whom no route is for do not call.
        let share = if at + 1 == routes.len() { left } else { left * MATCHED / 1000 };
        left -= share;
        let targets = list(&route["route"]);
        let weights: Vec<u64> = match targets.len() {
            // A single destination gets everything, whatever its weight.
            1 => vec![100],
            _ => targets.iter().map(|target| target["weight"].as_u64().unwrap_or(0).min(u32::MAX.into())).collect(),
        };
        let sum: u64 = weights.iter().sum();
        for (target, weight) in targets.iter().zip(weights) {
            // As they stand where there is one route, else in thousandths of a thousandth.
            let weight = match (routes.len(), sum) {
                (1, _) => weight,
                (_, 0) => 0,
                _ => u64::from(share) * 1000 * weight / sum,
            };
            let destination = to(&target["destination"], u32::try_from(weight).unwrap_or(u32::MAX));
            let known = divided.destinations.iter_mut().find(|known| known.service == destination.service);
            match known {
                Some(known) => known.weight = known.weight.saturating_add(destination.weight),
                None => divided.destinations.push(destination),
            }
        }
        if route["mirror"].is_object() {
            let percent = route["mirrorPercentage"]["value"].as_f64().unwrap_or(100.0).clamp(0.0, 100.0);
            divided.copies.push(to(&route["mirror"], (f64::from(share) * percent / 100.0) as u32));
        }
    }
    Some(divided)
}

/// Where the requests of a host go, and their copies.
#[derive(Default)]
struct Divided {
    destinations: Vec<Destination>,
    copies: Vec<Destination>,
}

/// Whether a route is for those who bear a cookie of session affinity.
fn is_for_cookie(route: &Value) -> bool {
    let entries = route["match"].as_array().map_or(&[][..], Vec::as_slice);
    let by_cookie = |entry: &Value| entry["headers"]["Cookie"]["regex"].as_str().is_some_and(|r| r.starts_with(".*"));
    !entries.is_empty() && entries.iter().all(by_cookie)
}

/// The Deployment whose pods a Service selects; empty when there is none.
fn workload_behind(
    namespace: &str,
    service: &str,
    services: &HashMap<(String, String), Arc<Value>>,
    deployments: &ByLabel<'_>,
) -> String {
    let Some(service) = services.get(&(namespace.to_owned(), service.to_owned())) else {
        return String::new();
    };
    let Some(selector) = service["spec"]["selector"].as_object().filter(|selector| !selector.is_empty()) else {
        return String::new();
    };
    let Some((name, value)) = selector.iter().next() else {
        return String::new();
    };
    let candidates = deployments.get(&(namespace, name.as_str(), value.as_str().unwrap_or_default()));
    let is_selected = |deployment: &&&Value| {
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        selector.iter().all(|(name, value)| labels[name.as_str()] == *value)
    };
    let found = candidates.into_iter().flatten().find(is_selected);
    found.map(|deployment| place(deployment).1).unwrap_or_default()
}

/// Deployments by namespace and each label of their pods.
type ByLabel<'a> = HashMap<(&'a str, &'a str, &'a str), Vec<&'a Value>>;

fn by_label(deployments: &[Arc<Value>]) -> ByLabel<'_> {
    let mut found = ByLabel::new();
    for deployment in deployments {
        let namespace = deployment["metadata"]["namespace"].as_str().unwrap_or_default();
        let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object();
        for (name, value) in labels.into_iter().flatten() {
            let key = (namespace, name.as_str(), value.as_str().unwrap_or_default());
            found.entry(key).or_default().push(deployment);
        }
    }
    found
}

fn workloads(cluster: &impl Objects, deployments: &[Arc<Value>]) -> Vec<Workload> {
    let sets = cluster.of_kind("ReplicaSet");
    let owner = |object: &Value| super::workloads::controller_uid(object).map(str::to_owned);
    let owner_of_set: HashMap<&str, String> =
        sets.iter().filter_map(|set| Some((set["metadata"]["uid"].as_str()?, owner(set)?))).collect();
    let mut pods: HashMap<&str, Vec<PodFact>> = HashMap::new();
    let all_pods = cluster.of_kind("Pod");
    for pod in &all_pods {
        let set = super::workloads::controller_uid(pod);
        let Some(deployment) = set.and_then(|set| owner_of_set.get(set)) else {
            continue;
        };
        let Some(since) = started_at(pod) else {
            continue;
        };
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        pods.entry(deployment).or_default().push(PodFact {
            name: place(pod).1,
            tag: image_tag(image).to_owned(),
            ready: is_ready(pod) && !is_leaving(pod),
            since,
        });
    }
    deployments
        .iter()
        .map(|deployment| {
            let (namespace, name) = place(deployment);
            let uid = deployment["metadata"]["uid"].as_str().unwrap_or_default();
            Workload { namespace, name, pods: pods.remove(uid).unwrap_or_default() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::base::furnish;
    use crate::sandbox::seed::{Apps, Past, plant};
    use crate::sandbox::store::DeleteOptions;
    use serde_json::json;

    const NAMESPACE: &str = "jx-production";
    const APP: &str = "jx-production-myapp";

    fn planted() -> Store {
        let noon = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap();
        let past = Past::before(Arc::new(move || noon));
        let store = Store::new(past.clock());
        furnish(&store, NAMESPACE).unwrap();
        plant(&store, &past, &Apps { count: 1, ..Apps::default() }).unwrap();
        store
    }

    fn weigh(store: &Store, weights: [u32; 2]) {
        store
            .modify("VirtualService", Some(NAMESPACE), APP, |object| {
                for (at, weight) in weights.into_iter().enumerate() {
                    object["spec"]["http"][0]["route"][at]["weight"] = json!(weight);
                }
            })
            .unwrap();
    }

    fn weights(facts: &Facts) -> Vec<(String, u32)> {
        let destinations = facts.routes[0].destinations.iter();
        destinations.map(|destination| (destination.workload.clone(), destination.weight)).collect()
    }

    #[test]
    fn weights_lead_through_services_to_workloads() {
        let store = planted();
        let mut feed = Feed::default();
        let facts = feed.facts(&store);
        assert_eq!((facts.routes.len(), facts.routes[0].host.as_str()), (1, APP));
        assert_eq!(weights(&facts), [(format!("{APP}-primary"), 100), (APP.to_owned(), 0)]);
        let primary = facts.workloads.iter().find(|workload| workload.name.ends_with("-primary")).unwrap();
        assert_eq!(primary.pods.len(), 3);
        assert!(primary.pods.iter().all(|pod| pod.ready && pod.tag == "1.0.0"));
        weigh(&store, [70, 30]);
        assert_eq!(weights(&feed.facts(&store)), [(format!("{APP}-primary"), 70), (APP.to_owned(), 30)]);
    }

    #[test]
    fn a_pod_that_leaves_takes_no_more_requests() {
        let store = planted();
        let name = place(&store.list("Pod", Some(NAMESPACE)).0[0]).1;
        store.delete("Pod", Some(NAMESPACE), &name, &DeleteOptions::default()).unwrap();
        let facts = Feed::default().facts(&store);
        let pods: Vec<bool> = facts.workloads.iter().flat_map(|workload| &workload.pods).map(|pod| pod.ready).collect();
        assert_eq!(pods.iter().filter(|ready| **ready).count(), 2);
        assert_eq!(pods.len(), 3);
    }

    #[test]
    fn users_go_on_calling_a_host_without_a_route() {
        let store = planted();
        let mut feed = Feed::default();
        feed.facts(&store);
        store.delete("VirtualService", Some(NAMESPACE), APP, &DeleteOptions::default()).unwrap();
        assert_eq!(weights(&feed.facts(&store)), [(format!("{APP}-primary"), 100)]);
        store.delete("Service", Some(NAMESPACE), APP, &DeleteOptions::default()).unwrap();
        let facts = feed.facts(&store);
        assert_eq!(facts.routes[0].host, APP);
        assert!(facts.routes[0].destinations.is_empty());
    }

    #[test]
    fn odd_routes_are_read_without_harm() {
        let store = planted();
        for spec in [
            json!({ "http": "x" }),
            json!({ "http": [{ "match": [{ "uri": {} }], "route": [] }] }),
            json!({ "http": [{ "route": [{ "destination": 5, "weight": -1 }, { "weight": 1e99 }] }] }),
        ] {
            store.modify("VirtualService", Some(NAMESPACE), APP, |object| object["spec"] = spec).unwrap();
            assert_eq!(Feed::default().facts(&store).routes.len(), 1);
        }
    }

    fn routed(http: Value) -> Facts {
        let store = planted();
        store.modify("VirtualService", Some(NAMESPACE), APP, |object| object["spec"] = http).unwrap();
        Feed::default().facts(&store)
    }

    fn to(role: &str, weight: u32) -> Value {
        json!({ "destination": { "host": format!("{APP}-{role}") }, "weight": weight })
    }

    fn shares(facts: &Facts) -> Vec<(&str, u32)> {
        let destinations = facts.routes[0].destinations.iter();
        destinations.map(|destination| (destination.workload.as_str(), destination.weight / 1000)).collect()
    }

    #[test]
    fn a_fifth_of_the_requests_meets_the_conditions_of_a_route() {
        let insider = json!([{ "headers": { "cookie": { "regex": "^(.*?;)?(canary=always)(;.*)?$" } } }]);
        let facts = routed(json!({ "http": [
            { "match": insider, "route": [to("primary", 0), to("canary", 100)] },
            { "route": [to("primary", 0)] },
        ] }));
        assert_eq!(shares(&facts), [(format!("{APP}-primary").as_str(), 800), (APP, 200)]);
        let facts = routed(json!({ "http": [
            { "match": insider, "route": [to("primary", 50), to("canary", 50)] },
            { "match": [{ "uri": { "prefix": "/" } }], "route": [to("primary", 100)] },
        ] }));
        assert_eq!(shares(&facts), [(format!("{APP}-primary").as_str(), 900), (APP, 100)]);
    }

    #[test]
    fn routes_for_a_cookie_are_left_to_the_weighted_one() {
        let sticky = json!([{ "headers": { "Cookie": { "regex": ".*app.*abc.*" } } }]);
        let facts = routed(json!({ "http": [
            { "match": sticky, "route": [to("primary", 0), to("canary", 100)] },
            { "route": [to("primary", 90), to("canary", 10)] },
        ] }));
        assert_eq!(weights(&facts), [(format!("{APP}-primary"), 90), (APP.to_owned(), 10)]);
    }

    #[test]
    fn copies_go_to_the_mirrors_host_and_are_no_destination() {
        let mirror = |extra: Value| {
            let mut route = json!({ "mirror": { "host": format!("{APP}-canary") }, "route": [to("primary", 100), to("canary", 0)] });
            route["mirrorPercentage"] = extra;
            routed(json!({ "http": [route] }))
        };
        for (extra, thousandths) in [(json!(null), 1000), (json!({ "value": 25.0 }), 250)] {
            let facts = mirror(extra);
            let copies = &facts.routes[0].copies;
            assert_eq!((copies.len(), copies[0].workload.as_str(), copies[0].weight), (1, APP, thousandths));
            assert_eq!(weights(&facts), [(format!("{APP}-primary"), 100), (APP.to_owned(), 0)]);
        }
    }

    #[test]
    fn connections_are_no_requests() {
        assert!(routed(json!({ "tcp": [{ "route": [to("primary", 100), to("canary", 0)] }] })).routes.is_empty());
    }
}
