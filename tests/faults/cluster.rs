//! The embedded cluster inside the run's own runtime: its API as a router, its workloads, its traffic and its Prometheus
//! behind the service proxy. No socket, no thread, no clock but the run's.

use super::time::Time;
use axum::Router;
use canary_tui::sandbox::base;
use canary_tui::sandbox::feed::Feed;
use canary_tui::sandbox::seed::{Apps, Past, plant};
use canary_tui::sandbox::serve::PROMETHEUS;
use canary_tui::sandbox::server::Api;
use canary_tui::sandbox::store::{DeleteOptions, HISTORY_LIMIT, Store};
use canary_tui::sandbox::workloads::{Controllers, Pace};
use canary_tui::traffic::{Simulator, Traffic, of_tag};
use serde_json::{Value, json};
use std::time::Duration;

pub const NAMESPACE: &str = "jx-production";
/// The app that is planted: Initialized, on 1.0.0.
pub const PLANTED: &str = "jx-production-myapp";
/// The one that is new where a run begins with a Canary that has no status.
pub const FRESH: &str = "jx-production-fresh";
/// Whom the API lets in; see [`Cluster::authorization`].
const TOKEN: &str = "operator";
/// How long Prometheus remembers; no query looks further back.
const RETENTION: Duration = Duration::from_secs(180);

/// A running cluster. It ends with the runtime.
pub struct Cluster {
    pub store: Store,
    pub router: Router,
    traffic: Traffic,
}

impl Cluster {
    /// Starts it with one app.
    pub fn start(time: Time, seed: u64) -> Self {
        let clock = time.of_cluster();
        let past = Past::before(clock.clone());
        let store = Store::seeded(past.clock(), seed, HISTORY_LIMIT);
        base::furnish(&store, NAMESPACE).expect("the base is accepted");
        let apps = Apps { count: 1, replicas: 2, interval: Duration::from_secs(10), namespace: NAMESPACE.into() };
        plant(&store, &past, &apps).expect("the app is accepted");
        let simulator = Simulator::new(seed, clock(), Duration::from_secs(1), RETENTION);
        let traffic = Traffic::new(simulator, clock.clone());
        let api = Api::new(store.clone(), Duration::from_secs(60));
        api.admit(TOKEN, "sandbox-operator");
        let (namespace, service, port) = PROMETHEUS;
        api.set_backend(namespace, service, port, Some(canary_tui::traffic::api::router(traffic.clone())));
        let mut feed = Feed::default();
        traffic.observe(clock(), feed.facts(&store));
        traffic.advance(clock());
        let pace = Pace { ready_after: Duration::from_secs(2), ..Pace::default() };
        let (for_pods, for_traffic) = (clock.clone(), clock);
        tokio::spawn(Controllers::new(&store, pace).run(move || for_pods()));
        tokio::spawn(feed.run(store.clone(), traffic.clone(), move || for_traffic()));
        Self { store, router: api.router(), traffic }
    }

    /// How many requests of users found no ready pod.
    pub fn lost_requests(&self) -> u64 {
        self.traffic.lost_requests()
    }

    /// The header that the API asks for.
    pub fn authorization() -> http::HeaderValue {
        http::HeaderValue::from_static("Bearer operator")
    }

    /// Adds an app whose Canary has no status yet.
    pub fn plant_fresh(&self) {
        let fresh = |kind: &str| -> Value {
            let planted = self.store.get(kind, Some(NAMESPACE), PLANTED).expect("the planted app");
            let text = planted.to_string().replace(PLANTED, FRESH).replace("myapp.", "fresh.");
            let whole: Value = serde_json::from_str(&text).expect("it was JSON");
            let metadata = &whole["metadata"];
            json!({
                "apiVersion": whole["apiVersion"], "kind": kind,
                "metadata": { "name": FRESH, "labels": metadata["labels"] },
                "spec": whole["spec"],
            })
        };
        let mut target = fresh("Deployment");
        target["spec"]["replicas"] = json!(2);
        self.store.create("Deployment", Some(NAMESPACE), target).expect("a target");
        self.store.create("Canary", Some(NAMESPACE), fresh("Canary")).expect("a canary");
    }

    /// Sets the image of a target, as `kubectl set image` does.
    pub fn set_version(&self, app: &str, tag: &str) {
        let set = |object: &mut Value| {
            let image = &mut object["spec"]["template"]["spec"]["containers"][0]["image"];
            let text = image.as_str().unwrap_or_default().to_string();
            let repository = text.rsplit_once(':').map_or(text.as_str(), |(repository, _)| repository);
            *image = json!(format!("{repository}:{tag}"));
        };
        self.store.modify("Deployment", Some(NAMESPACE), app, set).expect("an image");
    }

    /// Takes pods of a workload away at once, as a node that dies does. Answers how many went.
    pub fn lose_pods(&self, workload: &str, most: usize) -> usize {
        let (pods, _) = self.store.list("Pod", Some(NAMESPACE));
        let theirs = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == *workload);
        let names: Vec<String> =
            theirs.take(most).filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_string)).collect();
        for name in &names {
            let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
            let _ = self.store.delete("Pod", Some(NAMESPACE), name, &options);
        }
        names.len()
    }

    /// Whether a workload's version is one that never becomes ready.
    pub fn never_ready(&self, workload: &str) -> bool {
        let deployment = self.store.get("Deployment", Some(NAMESPACE), workload);
        let image = deployment.map(|d| d["spec"]["template"]["spec"]["containers"][0]["image"].clone());
        let image = image.as_ref().and_then(Value::as_str).unwrap_or_default();
        !of_tag(image.rsplit(':').next().unwrap_or_default()).becomes_ready
    }

    /// The present revision of a target, once its newest template has one.
    pub fn revision(&self, app: &str) -> Option<String> {
        let target = self.store.get("Deployment", Some(NAMESPACE), app)?;
        if target["status"]["observedGeneration"] != target["metadata"]["generation"] {
            return None;
        }
        let key = "deployment.kubernetes.io/revision";
        let present = &target["metadata"]["annotations"][key];
        let sets = self.store.owned_by("ReplicaSet", target["metadata"]["uid"].as_str()?);
        let set = sets.iter().find(|set| set["metadata"]["annotations"][key] == *present)?;
        set["metadata"]["labels"]["pod-template-hash"].as_str().map(str::to_string)
    }
}
