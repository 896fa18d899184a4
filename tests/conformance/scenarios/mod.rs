//! The scenarios that Flagger's own end-to-end tests walk through on Istio, told once for every cluster that has a driver:
//! the embedded one and a real API server.

#![allow(dead_code)] // Each ring uses its own part of this.

pub mod leaving;
pub mod ownership;
pub mod promotion;
pub mod routes;
pub mod rules;
pub mod skipping;

use futures::StreamExt;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The app of the scenarios.
pub const APP: &str = "podinfo";
/// What waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two checks.
pub const SOON: &str = "700ms";

/// The kinds that the scenarios touch, by version.
const KINDS: [(&str, &str); 11] = [
    ("flagger.app/v1beta1", "Canary"),
    ("networking.istio.io/v1", "VirtualService"),
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("v1", "Event"),
    // Those above are watched.
    ("apps/v1", "ReplicaSet"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("flagger.app/v1alpha3", "Canary"),
    ("flagger.app/v1beta1", "MetricTemplate"),
];
const WATCHED: usize = 5;

/// A namespace of a cluster that somebody drives, with no Canary in it yet.
pub struct Cluster {
    client: Client,
    pub namespace: String,
    /// Name of the Canary that is looked at, and of its target.
    pub app: &'static str,
    seen: Arc<Seen>,
    count: watch::Receiver<u64>,
    lost: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Where its Prometheus is, as a MetricTemplate says it.
    prometheus: String,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    objects: Mutex<BTreeMap<(&'static str, String), Arc<Value>>>,
    /// Every version of every object, in the order in which they came.
    changes: Mutex<Vec<(&'static str, Arc<Value>)>>,
}

impl Cluster {
    /// Watches the namespace, whose metrics are at `prometheus`. `lost` counts the requests of users that found no ready
    /// pod.
    pub fn new(
        client: &Client,
        namespace: &str,
        prometheus: &str,
        lost: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let (sender, count) = watch::channel(0);
        let (seen, sender) = (Arc::new(Seen::default()), Arc::new(sender));
        let mut tasks = JoinSet::new();
        for (version, kind) in &KINDS[..WATCHED] {
            let api = Api::namespaced_with(client.clone(), namespace, &resource(version, kind));
            tasks.spawn(seen.clone().follow(kind, api, sender.clone()));
        }
        let lost = Box::new(lost);
        let (client, namespace, prometheus) = (client.clone(), namespace.into(), prometheus.into());
        Self { client, namespace, app: APP, seen, count, lost, prometheus, _tasks: tasks }
    }

    /// The same, looked at for another app.
    pub fn of(self, app: &'static str) -> Self {
        Self { app, ..self }
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (version, _) = KINDS.iter().find(|(_, known)| *known == kind).expect("a known kind");
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(version, kind))
    }

    /// Requests of users that found no ready pod.
    pub fn lost(&self) -> u64 {
        (self.lost)()
    }

    /// An object as it is now; null if it is not there.
    pub async fn read(&self, kind: &str, name: &str) -> Value {
        let object = self.api(kind).get_opt(name).await.expect("it is read");
        object.map_or(Value::Null, |object| serde_json::to_value(object).expect("it came as JSON"))
    }

    /// An object as it was last seen; null if it is not there.
    pub fn get(&self, kind: &str, name: &str) -> Arc<Value> {
        let objects = self.seen.objects.lock().expect("objects");
        let found = objects.iter().find(|((k, n), _)| *k == kind && n == name);
        found.map_or_else(|| Arc::new(Value::Null), |(_, object)| object.clone())
    }

    /// The versions of one object that were seen, oldest first.
    pub fn versions(&self, kind: &str, name: &str) -> Vec<Arc<Value>> {
        let changes = self.seen.changes.lock().expect("changes");
        changes.iter().filter(|(k, o)| *k == kind && o["metadata"]["name"] == name).map(|(_, o)| o.clone()).collect()
    }

    /// Makes an object.
    pub async fn create(&self, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.namespace);
        let said = object.to_string();
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let version = object["apiVersion"].as_str().expect("a version").to_owned();
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &resource(&version, &kind));
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        if let Err(error) = api.create(&PostParams::default(), &object).await {
            panic!("{error}: {said}");
        }
    }

    /// Changes an object as an editor does: reads it, writes it, and does so again where somebody else was faster.
    pub async fn edit(&self, kind: &str, name: &str, change: impl Fn(&mut Value)) {
        loop {
            let mut object = self.read(kind, name).await;
            change(&mut object);
            let object: DynamicObject = serde_json::from_value(object).expect("an object");
            match self.api(kind).replace(name, &PostParams::default(), &object).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                written => return drop(written.unwrap_or_else(|error| panic!("{kind} {name}: {error}"))),
            }
        }
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.expect("it is deleted");
    }

    /// Waits until the objects look so.
    pub async fn until(&self, what: &str, looks: impl Fn(&Self) -> bool) {
        let mut count = self.count.clone();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !looks(self) {
                count.changed().await.expect("it is watched");
            }
        });
        if waited.await.is_err() {
            let (status, weights) = (self.get("Canary", self.app)["status"].clone(), self.weights());
            panic!("{what}: {status:#}\nweights {weights:?}\n{:#?}", self.said().await);
        }
    }

    /// Waits until the app's Canary is in this phase.
    pub async fn until_phase(&self, phase: &str) {
        self.until(&format!("not {phase}"), |c| c.get("Canary", c.app)["status"]["phase"] == phase).await;
    }

    /// Waits until the app's primary has this version.
    pub async fn until_primary(&self, tag: &str) {
        let primary = format!("{}-primary", self.app);
        self.until(&format!("the primary has not {tag}"), |c| tag_of(&c.get("Deployment", &primary)) == tag).await;
    }

    /// A message with the namespace's name, where it follows another name, as `NS`.
    fn neutral(&self, message: &str) -> String {
        message.replace(&format!(".{}", self.namespace), ".NS")
    }

    /// Waits until an Event says so, of which the namespace's name is `NS`.
    pub async fn until_said(&self, message: &str) {
        self.until(message, |c| {
            let changes = c.seen.changes.lock().expect("changes");
            let of_app = changes.iter().filter(|(k, e)| *k == "Event" && e["involvedObject"]["name"] == c.app);
            let mut said = of_app.filter_map(|(_, e)| e["message"].as_str());
            said.any(|said| c.neutral(said) == message)
        })
        .await;
    }

    /// The app's Events, in the order in which they were written.
    pub async fn events(&self) -> Vec<Value> {
        let list = self.api("Event").list(&Default::default()).await.expect("the events");
        let read = |event: DynamicObject| serde_json::to_value(event).expect("it came as JSON");
        let mut events: Vec<Value> = list.items.into_iter().map(read).collect();
        events
            .retain(|event| event["involvedObject"]["kind"] == "Canary" && event["involvedObject"]["name"] == self.app);
        let number = |e: &Value| e["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok());
        let created = |e: &Value| e["metadata"]["creationTimestamp"].as_str().map(str::to_owned);
        events.sort_by_key(|event| (created(event), number(event)));
        events
    }

    /// What they say, with the namespace's name as `NS`.
    pub async fn said(&self) -> Vec<String> {
        let events = self.events().await;
        events.iter().filter_map(|e| Some(self.neutral(e["message"].as_str()?))).collect()
    }

    /// Holds that these were said in this order, whatever was said between them.
    pub async fn assert_said(&self, expected: &[&str]) {
        if let Some(last) = expected.last() {
            self.until_said(last).await;
        }
        let said = self.said().await;
        let relevant: Vec<&str> = said.iter().map(String::as_str).filter(|m| expected.contains(m)).collect();
        assert_eq!(relevant, expected, "{said:#?}");
    }

    /// Sets the app's version, as `kubectl set image` does.
    pub async fn set_version(&self, tag: &str) {
        self.edit("Deployment", self.app, |target| {
            let image = &mut target["spec"]["template"]["spec"]["containers"][0]["image"];
            let (repository, _) = image.as_str().and_then(|image| image.rsplit_once(':')).expect("an image with a tag");
            *image = json!(format!("{repository}:{tag}"));
        })
        .await;
    }

    /// Replaces the app's Canary's spec, as `kubectl apply` does.
    pub async fn apply(&self, canary: &Value) {
        self.edit("Canary", self.app, |object| object["spec"] = canary["spec"].clone()).await;
    }

    /// The canary's shares of the app's traffic so far, each change once.
    pub fn weights(&self) -> Vec<u64> {
        let routes = self.versions("VirtualService", self.app);
        let mut weights: Vec<u64> = routes.iter().map(|routes| share(routes, &[])).collect();
        weights.dedup();
        weights
    }
}

impl Seen {
    async fn follow(self: Arc<Self>, kind: &'static str, api: Api<DynamicObject>, count: Arc<watch::Sender<u64>>) {
        let mut changes = watcher::watcher(api, watcher::Config::default()).boxed();
        while let Some(change) = changes.next().await {
            match change {
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    let value = Arc::new(serde_json::to_value(&object).expect("it came as JSON"));
                    self.changes.lock().expect("changes").push((kind, value.clone()));
                    self.objects.lock().expect("objects").insert((kind, object.name_any()), value);
                }
                Ok(Event::Delete(object)) => {
                    self.objects.lock().expect("objects").remove(&(kind, object.name_any()));
                }
                Ok(Event::Init | Event::InitDone) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            count.send_modify(|count| *count += 1);
        }
    }
}

fn resource(version: &str, kind: &str) -> ApiResource {
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let plural = match kind {
        "Canary" => "canaries".into(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural)
}

/// The version that a Deployment's first container runs.
pub fn tag_of(deployment: &Value) -> &str {
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    image.rsplit(':').next().unwrap_or_default()
}

fn image(tag: &str) -> String {
    format!("registry.example.com/podinfo:{tag}")
}

/// The route that serves a request with these headers, as Istio's proxies choose it: the first one of which a match is met.
pub fn route_of<'a>(routes: &'a Value, headers: &[(&str, &str)]) -> &'a Value {
    let met = |condition: &Value| {
        condition["headers"].as_object().into_iter().flatten().all(|(name, wanted)| {
            let Some((_, value)) = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)) else {
                return false;
            };
            if let Some(pattern) = wanted["regex"].as_str() {
                // The whole value has to match.
                return regex::Regex::new(&format!("^(?:{pattern})$")).expect("an expression").is_match(value);
            }
            wanted["exact"] == *value || wanted["prefix"].as_str().is_some_and(|prefix| value.starts_with(prefix))
        })
    };
    let all = routes["spec"]["http"].as_array().map_or(&[][..], Vec::as_slice);
    let found = all.iter().find(|route| match route["match"].as_array() {
        Some(conditions) if !conditions.is_empty() => conditions.iter().any(met),
        _ => true,
    });
    found.unwrap_or(&Value::Null)
}

/// The canary's share of the requests with these headers. A single destination gets all, whatever its weight.
pub fn share(routes: &Value, headers: &[(&str, &str)]) -> u64 {
    let to = route_of(routes, headers)["route"].as_array().map_or(&[][..], Vec::as_slice);
    let is_canary = |to: &&Value| to["destination"]["host"].as_str().is_some_and(|host| host.ends_with("-canary"));
    match to {
        [only] => u64::from(is_canary(&only)) * 100,
        _ => to.iter().find(is_canary).and_then(|to| to["weight"].as_u64()).unwrap_or_default(),
    }
}

/// The app's Deployment, version 6.0.0, without a number of replicas, and the Secret that it mounts.
pub async fn plant(cluster: &Cluster) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "podinfo-secret"},
        "type": "Opaque", "data": {"token": "dGVzdA=="}});
    cluster.create(secret).await;
    let target = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP, "labels": {"app": APP}},
        "spec": {
            "progressDeadlineSeconds": 60,
            "selector": {"matchLabels": {"app": APP}},
            "template": {
                "metadata": {"labels": {"app": APP}, "annotations": {"prometheus.io/scrape": "true"}},
                "spec": {"containers": [{
                    "name": "podinfod", "image": image("6.0.0"),
                    "ports": [
                        {"name": "http", "containerPort": 9898, "protocol": "TCP"},
                        {"name": "http-metrics", "containerPort": 9797, "protocol": "TCP"},
                        {"name": "grpc", "containerPort": 9999, "protocol": "TCP"},
                    ],
                    "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "podinfo-secret", "key": "token"}}}],
                }]},
            },
        },
    });
    cluster.create(target).await;
}

/// A Canary for the app with this service and this analysis, which is due every [`SOON`].
pub fn canary(service: Value, mut analysis: Value) -> Value {
    analysis["interval"] = json!(SOON);
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": APP},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
            "progressDeadlineSeconds": 60,
            "service": service,
            "analysis": analysis,
        },
    })
}

/// The two checks that every mesh has numbers for.
pub fn built_in() -> Value {
    json!([
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "2s"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "2s"},
    ])
}
