//! What a watch on the test's namespace has shown, and the traffic that follows it: the pods and routes of a real API
//! server decide how the simulated requests fare, and a Prometheus API on loopback tells the product of them.

use super::APP;
use canary_tui::sandbox::feed::{Feed, Objects};
use canary_tui::sandbox::listener::Listener;
use canary_tui::traffic::{Simulator, Traffic};
use chrono::Utc;
use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is watched.
pub const KINDS: [(&str, &str); 9] = [
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "Event"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("coordination.k8s.io/v1", "Lease"),
    ("networking.istio.io/v1", "VirtualService"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("flagger.app/v1beta1", "Canary"),
];

const SCRAPE: Duration = Duration::from_millis(100);
const RETENTION: Duration = Duration::from_secs(600);
const TICK: Duration = Duration::from_millis(20);
/// Longer than one watch is behind another.
const SETTLING: Duration = Duration::from_millis(150);

/// The objects of one namespace.
pub struct Watched {
    seen: Arc<Seen>,
    count: watch::Receiver<u64>,
    traffic: Traffic,
    listener: Arc<Listener>,
    _tasks: JoinSet<()>,
}

struct Seen {
    objects: Mutex<BTreeMap<(&'static str, String), Arc<Value>>>,
    /// What the traffic goes by.
    settled: Mutex<Settled>,
    /// Every version of every object, in the order in which they came.
    changes: Mutex<Vec<(&'static str, Arc<Value>)>>,
    namespace: Arc<Value>,
    count: watch::Sender<u64>,
}

impl Watched {
    /// Watches a namespace and lets users call what is routed there.
    pub async fn start(client: &Client, namespace: &str) -> Self {
        let (sender, count) = watch::channel(0);
        let seen = Arc::new(Seen {
            objects: Mutex::default(),
            settled: Mutex::default(),
            changes: Mutex::default(),
            namespace: Arc::new(json!({"metadata": {"name": namespace}})),
            count: sender,
        });
        let simulator = Simulator::new(0, Utc::now(), SCRAPE, RETENTION);
        let traffic = Traffic::new(simulator, Arc::new(Utc::now));
        let router = canary_tui::traffic::api::router(traffic.clone());
        let listener = Listener::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router, None).await;
        let mut tasks = JoinSet::new();
        for (version, kind) in KINDS {
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(version, kind));
            tasks.spawn(seen.clone().follow(kind, api));
        }
        tasks.spawn(feed(seen.clone(), traffic.clone()));
        Self { seen, count, traffic, listener: listener.expect("a port on loopback"), _tasks: tasks }
    }

    /// Where the product asks for metrics.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// The Prometheus API, to serve elsewhere.
    pub fn prometheus(&self) -> axum::Router {
        canary_tui::traffic::api::router(self.traffic.clone())
    }

    /// How many requests have found no ready pod.
    pub fn lost_requests(&self) -> u64 {
        self.traffic.lost_requests()
    }

    /// Changes with every object that is seen.
    pub fn count(&self) -> watch::Receiver<u64> {
        self.count.clone()
    }

    /// An object as it was last seen; null if it is not there.
    pub fn get(&self, kind: &str, name: &str) -> Arc<Value> {
        let objects = lock(&self.seen.objects);
        let found = objects.iter().find(|((k, n), _)| *k == kind && n == name);
        found.map_or_else(|| Arc::new(Value::Null), |(_, object)| object.clone())
    }

    /// Takes in what was read just now: the watch of its kind may be behind that of another.
    pub fn take_in(&self, kind: &'static str, object: &DynamicObject) {
        self.seen.keep((kind, object.name_any()), read(object));
    }

    /// Whether it is there.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        !self.get(kind, name).is_null()
    }

    /// The versions of one object that were seen, oldest first.
    pub fn versions(&self, kind: &str, name: &str) -> Vec<Arc<Value>> {
        let changes = lock(&self.seen.changes);
        changes.iter().filter(|(k, o)| *k == kind && o["metadata"]["name"] == name).map(|(_, o)| o.clone()).collect()
    }

    /// The image of a Deployment's first container.
    pub fn image(&self, deployment: &str) -> String {
        let object = self.get("Deployment", deployment);
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
    }

    /// How many pods of a Deployment are wanted.
    pub fn replicas(&self, deployment: &str) -> u64 {
        self.get("Deployment", deployment)["spec"]["replicas"].as_u64().unwrap_or_default()
    }

    /// How many pods of a Deployment are ready.
    pub fn ready(&self, deployment: &str) -> u64 {
        self.get("Deployment", deployment)["status"]["readyReplicas"].as_u64().unwrap_or_default()
    }

    /// The canary's share of the app's traffic now.
    pub fn weight(&self) -> u64 {
        weight_of(&self.get("VirtualService", APP))
    }

    /// The canary's shares of the app's traffic so far, each change once.
    pub fn weights(&self) -> Vec<u64> {
        let mut weights: Vec<u64> = self.versions("VirtualService", APP).iter().map(|o| weight_of(o)).collect();
        weights.dedup();
        weights
    }

    /// The messages of the app's Events, in the order in which they were first written, each with its count.
    pub fn events(&self, app: &str) -> Vec<(String, u64)> {
        let mut events: Vec<(String, String, u64)> = Vec::new();
        for (_, event) in lock(&self.seen.changes).iter().filter(|(kind, _)| *kind == "Event") {
            if event["involvedObject"]["kind"] != "Canary" || event["involvedObject"]["name"] != app {
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (name, message) = (text(&event["metadata"]["name"]), text(&event["message"]));
            let count = event["count"].as_u64().unwrap_or_default();
            match events.iter_mut().find(|(known, ..)| *known == name) {
                Some(known) => known.2 = count,
                None => events.push((name, message, count)),
            }
        }
        events.into_iter().map(|(_, message, count)| (message, count)).collect()
    }

    /// As [`Self::events`], without the counts.
    pub fn messages(&self, app: &str) -> Vec<String> {
        self.events(app).into_iter().map(|(message, _)| message).collect()
    }

    /// Whether an Event of the app begins so.
    pub fn said(&self, start: &str) -> bool {
        self.messages(APP).iter().any(|message| message.starts_with(start))
    }
}

/// The canary's share by a VirtualService: that of the destination whose Service is the canary's.
fn weight_of(routes: &Value) -> u64 {
    let destinations = routes["spec"]["http"][0]["route"].as_array().map_or(&[][..], Vec::as_slice);
    let canary = format!("{APP}-canary");
    let found = destinations.iter().find(|d| d["destination"]["host"].as_str().is_some_and(|h| h.starts_with(&canary)));
    found.and_then(|d| d["weight"].as_u64()).unwrap_or_default()
}

impl Objects for Seen {
    fn of_kind(&self, kind: &str) -> Vec<Arc<Value>> {
        if kind == "Namespace" {
            return vec![self.namespace.clone()];
        }
        let settled = lock(&self.settled);
        settled.objects.iter().filter(|((k, _), _)| *k == kind).map(|(_, object)| object.clone()).collect()
    }
}

/// The objects in the order in which the API server wrote them. Each kind has a watch of its own, and none waits for the
/// others: as they come, a route could seem to lead to a pod that is not ready yet.
#[derive(Default)]
struct Settled {
    objects: BTreeMap<(&'static str, String), Arc<Value>>,
    /// By resourceVersion.
    waiting: BTreeMap<(u64, &'static str, String), Change>,
}

struct Change {
    came: Instant,
    /// None where it is gone.
    object: Option<Arc<Value>>,
}

impl Settled {
    fn add(&mut self, kind: &'static str, object: &Arc<Value>, there: bool) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let version = text("resourceVersion").parse().unwrap_or_default();
        let change = Change { came: Instant::now(), object: there.then(|| object.clone()) };
        self.waiting.insert((version, kind, text("name")), change);
    }

    /// Takes over what has waited long enough for what was written before it; answers whether that is anything.
    fn settle(&mut self) -> bool {
        let mut any = false;
        while let Some(first) = self.waiting.first_entry() {
            if first.get().came.elapsed() < SETTLING {
                break;
            }
            let ((_, kind, name), change) = first.remove_entry();
            match change.object {
                Some(object) => drop(self.objects.insert((kind, name), object)),
                None => drop(self.objects.remove(&(kind, name))),
            }
            any = true;
        }
        any
    }
}

impl Seen {
    /// Keeps an object, unless a newer version of it was read meanwhile.
    fn keep(&self, key: (&'static str, String), object: Arc<Value>) {
        let version = |object: &Value| -> u64 {
            let text = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            text.parse().unwrap_or_default()
        };
        let mut objects = lock(&self.objects);
        if objects.get(&key).is_none_or(|known| version(known) <= version(&object)) {
            objects.insert(key, object);
        }
    }

    async fn follow(self: Arc<Self>, kind: &'static str, api: Api<DynamicObject>) {
        let mut changes = watcher::watcher(api, watcher::Config::default()).boxed();
        let mut listed: Option<BTreeMap<(&'static str, String), Arc<Value>>> = None;
        while let Some(change) = changes.next().await {
            match change {
                Ok(Event::Apply(object)) => {
                    let (key, object) = ((kind, object.name_any()), read(&object));
                    lock(&self.changes).push((kind, object.clone()));
                    lock(&self.settled).add(kind, &object, true);
                    self.keep(key, object);
                }
                Ok(Event::Delete(object)) => {
                    lock(&self.settled).add(kind, &read(&object), false);
                    lock(&self.objects).remove(&(kind, object.name_any()));
                }
                Ok(Event::Init) => listed = Some(BTreeMap::new()),
                Ok(Event::InitApply(object)) => {
                    listed.get_or_insert_default().insert((kind, object.name_any()), read(&object));
                }
                Ok(Event::InitDone) => {
                    let listed = listed.take().unwrap_or_default();
                    let mut objects = lock(&self.objects);
                    let gone = objects.iter().filter(|(key, _)| key.0 == kind && !listed.contains_key(*key));
                    gone.for_each(|(_, object)| lock(&self.settled).add(kind, object, false));
                    listed.values().for_each(|object| lock(&self.settled).add(kind, object, true));
                    let news = listed.iter().filter(|(key, object)| objects.get(key) != Some(object));
                    lock(&self.changes).extend(news.map(|(_, object)| (kind, object.clone())));
                    objects.retain(|(k, _), _| *k != kind);
                    objects.extend(listed);
                }
                // The API server may be away for a while: that is what some tests are about.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            self.count.send_modify(|count| *count += 1);
        }
    }
}

/// Tells the traffic of every change, and makes its scrapes when they are due.
async fn feed(seen: Arc<Seen>, traffic: Traffic) {
    let mut feed = Feed::default();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let settled = lock(&seen.settled).settle();
        if settled {
            traffic.observe(Utc::now(), feed.read(&*seen));
        }
        traffic.advance(Utc::now());
    }
}

fn read(object: &DynamicObject) -> Arc<Value> {
    Arc::new(serde_json::to_value(object).expect("it came as JSON"))
}

/// A kind of which only its names are known.
pub fn resource(version: &str, kind: &str) -> ApiResource {
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let plural = match kind {
        "Canary" => "canaries".into(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("nothing panics under this lock")
}
