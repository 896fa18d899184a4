//! The controllers over a store, at times that the tests choose.

use std::sync::{Arc, Mutex};

use chrono::TimeZone;
use serde_json::json;

use super::*;
use crate::sandbox::store::{DeleteOptions, Propagation};

/// A store and its controllers, at a time that stands still until it is moved.
struct World {
    store: Store,
    controllers: Controllers,
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl World {
    fn new() -> Self {
        let start = Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).single().unwrap();
        let now = Arc::new(Mutex::new(start));
        let clock = now.clone();
        let store = Store::new(Arc::new(move || *clock.lock().unwrap()));
        store.create("Namespace", None, json!({ "metadata": { "name": "test" } })).unwrap();
        let pace = Pace { ready_after: Duration::from_secs(3), gone_after: Duration::from_secs(1) };
        let controllers = Controllers::new(&store, pace);
        Self { store, controllers, now }
    }

    /// Lets time go by, step by step as the controllers ask for it, and looks at the world after each step.
    fn pass(&mut self, seconds: i64, mut look: impl FnMut(&Store)) {
        let mut now = *self.now.lock().unwrap();
        let end = now + TimeDelta::seconds(seconds);
        loop {
            let next = self.controllers.step(now);
            look(&self.store);
            now = next.unwrap_or(end).min(end);
            *self.now.lock().unwrap() = now;
            if now == end {
                self.controllers.step(now);
                look(&self.store);
                return;
            }
        }
    }

    fn settle(&mut self) {
        self.pass(30, |_| ());
    }

    fn deploy(&self, image: &str, replicas: i64) {
        let deployment = json!({
            "metadata": { "name": "app", "annotations": { "team": "a" } },
            "spec": {
                "replicas": replicas,
                "progressDeadlineSeconds": 60,
                "selector": { "matchLabels": { "app": "app" } },
                "template": {
                    "metadata": { "labels": { "app": "app" } },
                    "spec": { "containers": [{ "name": "app", "image": image }] },
                },
            },
        });
        self.store.create("Deployment", Some("test"), deployment).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        self.store.modify("Deployment", Some("test"), "app", change).unwrap();
    }

    fn set_image(&self, image: &str) {
        self.change(|deployment| deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image));
    }

    fn deployment(&self) -> Value {
        (*self.store.get("Deployment", Some("test"), "app").unwrap()).clone()
    }

    fn reason(&self, kind: &str) -> String {
        let deployment = self.deployment();
        let condition = objects::condition(&deployment, kind);
        condition.and_then(|condition| condition["reason"].as_str()).unwrap_or("none").to_owned()
    }

    fn list(&self, kind: &str) -> Vec<Arc<Value>> {
        self.store.list(kind, Some("test")).0
    }

    /// Image and number of pods wanted of each ReplicaSet, by revision.
    fn sets(&self) -> Vec<(String, i64)> {
        let mut sets = self.list("ReplicaSet");
        sets.sort_by_key(|set| {
            let text = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
            text.and_then(|text| text.parse::<i64>().ok())
        });
        sets.iter()
            .map(|set| {
                let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
                (image.to_owned(), number(set, "/spec/replicas"))
            })
            .collect()
    }
}

fn ready_pods(store: &Store) -> usize {
    let (pods, _) = store.list("Pod", Some("test"));
    pods.iter().filter(|pod| objects::is_ready(pod) && !objects::is_leaving(pod)).count()
}

#[test]
fn a_deployment_gets_a_replica_set_and_pods_that_become_ready() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 2);
    world.controllers.step(world.store.now());
    assert_eq!(world.reason("Progressing"), "ReplicaSetUpdated");
    assert_eq!(world.reason("Available"), "MinimumReplicasUnavailable");
    world.pass(2, |_| ());
    let pods = world.list("Pod");
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["status"]["phase"] == "Running" && !objects::is_ready(pod)));
    world.pass(2, |_| ());
    assert_eq!(ready_pods(&world.store), 2);

    let deployment = world.deployment();
    let status = &deployment["status"];
    assert_eq!(status["replicas"], 2);
    assert_eq!(status["updatedReplicas"], 2);
    assert_eq!(status["readyReplicas"], 2);
    assert_eq!(status["availableReplicas"], 2);
    assert_eq!(status["unavailableReplicas"], Value::Null);
    assert_eq!(status["observedGeneration"], deployment["metadata"]["generation"]);
    assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    assert_eq!(world.reason("Available"), "MinimumReplicasAvailable");

    let set = &world.list("ReplicaSet")[0];
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(set["metadata"]["name"], format!("app-{hash}"));
    assert_eq!(set["metadata"]["annotations"]["team"], "a");
    let pod = &world.list("Pod")[0];
    let name = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(name.strip_prefix(&format!("app-{hash}-")).unwrap().len(), 5);
    assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], hash);
    assert_eq!(objects::controller_of(pod).unwrap()["name"], set["metadata"]["name"]);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 3);
    world.settle();
    let before = world.store.revision();
    world.settle();
    world.controllers.look_at_everything();
    world.settle();
    assert_eq!(world.store.revision(), before);
    assert_eq!(world.controllers.step(world.store.now()), None);
}

#[test]
fn a_rolling_update_never_has_too_few_or_too_many_pods() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 3);
    world.settle();
    world.set_image("app:1.1.0");
    world.pass(60, |store| {
        assert!(ready_pods(store) >= 3, "{}", ready_pods(store));
        let active = store.list("Pod", Some("test")).0.iter().filter(|pod| !objects::is_leaving(pod)).count();
        assert!(active <= 4, "{active}");
    });
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 0), ("app:1.1.0".to_owned(), 3)]);
    assert_eq!(world.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    assert_eq!(world.list("Pod").len(), 3);
}

#[test]
fn a_version_that_never_becomes_ready_stops_the_update_and_runs_into_the_deadline() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 3);
    world.settle();
    world.set_image("app:1.4.0");
    world.pass(50, |_| ());
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 3), ("app:1.4.0".to_owned(), 1)]);
    assert_eq!(world.reason("Progressing"), "ReplicaSetUpdated");
    world.pass(20, |store| assert_eq!(ready_pods(store), 3));
    assert_eq!(world.reason("Progressing"), "ProgressDeadlineExceeded");
    assert_eq!(world.reason("Available"), "MinimumReplicasAvailable");
    // The way back takes up the old ReplicaSet again.
    world.set_image("app:1.0.0");
    world.settle();
    assert_eq!(world.sets(), [("app:1.4.0".to_owned(), 0), ("app:1.0.0".to_owned(), 3)]);
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
}

#[test]
fn scaling_to_zero_and_back_keeps_the_replica_set() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 2);
    world.settle();
    world.change(|deployment| deployment["spec"]["replicas"] = json!(0));
    world.settle();
    assert!(world.list("Pod").is_empty());
    assert_eq!(world.deployment()["status"]["replicas"], Value::Null);
    // A new template at zero gets its ReplicaSet, without pods.
    world.set_image("app:1.1.0");
    world.settle();
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 0), ("app:1.1.0".to_owned(), 0)]);
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    world.change(|deployment| deployment["spec"]["replicas"] = json!(3));
    world.settle();
    assert_eq!(world.sets()[1], ("app:1.1.0".to_owned(), 3));
    assert_eq!(ready_pods(&world.store), 3);
}

#[test]
fn a_paused_deployment_makes_no_new_replica_set() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 2);
    world.settle();
    world.change(|deployment| deployment["spec"]["paused"] = json!(true));
    world.set_image("app:1.1.0");
    world.settle();
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 2)]);
    assert_eq!(world.reason("Progressing"), "DeploymentPaused");
    let deployment = world.deployment();
    assert_eq!(deployment["status"]["observedGeneration"], deployment["metadata"]["generation"]);
    world.change(|deployment| deployment["spec"]["replicas"] = json!(3));
    world.settle();
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 3)]);
    world.change(|deployment| {
        deployment["spec"].as_object_mut().unwrap().remove("paused");
    });
    world.settle();
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 0), ("app:1.1.0".to_owned(), 3)]);
}

#[test]
fn recreate_stops_the_old_before_it_starts_the_new() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 2);
    world.change(|deployment| deployment["spec"]["strategy"] = json!({ "type": "Recreate" }));
    world.settle();
    world.set_image("app:1.1.0");
    world.pass(30, |store| {
        let (pods, _) = store.list("Pod", Some("test"));
        let images: BTreeSet<&str> =
            pods.iter().filter_map(|pod| pod["spec"]["containers"][0]["image"].as_str()).collect();
        assert!(images.len() <= 1, "{images:?}");
    });
    assert_eq!(world.sets(), [("app:1.0.0".to_owned(), 0), ("app:1.1.0".to_owned(), 2)]);
    assert_eq!(ready_pods(&world.store), 2);
}

#[test]
fn only_so_many_old_replica_sets_are_kept() {
    let mut world = World::new();
    world.deploy("app:1", 1);
    world.change(|deployment| deployment["spec"]["revisionHistoryLimit"] = json!(2));
    for tag in 2..7 {
        world.settle();
        world.set_image(&format!("app:{tag}"));
    }
    world.settle();
    let images: Vec<String> = world.sets().into_iter().map(|(image, _)| image).collect();
    assert_eq!(images, ["app:4", "app:5", "app:6"]);
}

#[test]
fn what_a_deleted_deployment_owned_goes_with_it() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 2);
    world.settle();
    world.store.delete("Deployment", Some("test"), "app", &DeleteOptions::default()).unwrap();
    world.controllers.step(world.store.now());
    assert!(world.list("Pod").iter().all(|pod| objects::is_leaving(pod)));
    world.settle();
    assert!(world.list("Pod").is_empty() && world.list("ReplicaSet").is_empty());
    assert!(world.controllers.node.is_empty() && world.controllers.timers.next().is_none());

    world.deploy("app:1.0.0", 2);
    world.settle();
    let options = DeleteOptions { propagation: Propagation::Foreground, ..DeleteOptions::default() };
    world.store.delete("Deployment", Some("test"), "app", &options).unwrap();
    world.settle();
    assert!(world.list("Deployment").is_empty() && world.list("Pod").is_empty());
}

#[test]
fn a_deleted_pod_is_replaced() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 2);
    world.settle();
    let name = world.list("Pod")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    world.store.delete("Pod", Some("test"), &name, &DeleteOptions::default()).unwrap();
    world.controllers.step(world.store.now());
    assert_eq!(world.list("Pod").len(), 3);
    assert_eq!(world.deployment()["status"]["readyReplicas"], 1);
    world.settle();
    assert_eq!(world.list("Pod").len(), 2);
    assert_eq!(ready_pods(&world.store), 2);
}

#[test]
fn min_ready_seconds_hold_availability_back() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 1);
    world.change(|deployment| deployment["spec"]["minReadySeconds"] = json!(10));
    world.pass(5, |_| ());
    assert_eq!(world.deployment()["status"]["readyReplicas"], 1);
    assert_eq!(world.deployment()["status"]["availableReplicas"], Value::Null);
    world.pass(10, |_| ());
    assert_eq!(world.deployment()["status"]["availableReplicas"], 1);
}

#[test]
fn odd_deployments_do_no_harm() {
    let mut world = World::new();
    world.deploy("app:1.0.0", 1);
    for odd in [
        json!({ "spec": { "template": { "metadata": { "labels": null } } } }),
        json!({ "metadata": { "name": "odd" }, "spec": { "selector": "x", "template": "y" } }),
        json!({ "metadata": { "name": "odder" }, "spec": { "selector": {}, "strategy": 5, "template": { "metadata": 1 } } }),
    ] {
        // Refused or taken: either is well, as long as the others go on.
        let _ = world.store.create("Deployment", Some("test"), odd);
    }
    world.settle();
    assert_eq!(ready_pods(&world.store), 1);
}
