//! A rehearsal: the embedded cluster, a connection to it over HTTPS, and the controller on it.

#![allow(dead_code)] // Each test file uses its own part of this.

use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::{self, Outcome, Wish};
use canary_tui::cluster::{Clock, Connection, ConnectionOptions, For, Kinds, Mirror, World};
use canary_tui::controller::{self, Controller};
use canary_tui::metrics::{Locator, checks};
use canary_tui::rollout::Reading;
use canary_tui::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use std::time::Duration;

/// The app that comes first.
pub const APP: &str = "jx-production-myapp";
/// Nothing here takes this long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running rehearsal.
pub struct Rehearsal {
    pub sandbox: Sandbox,
    pub connection: Connection,
    pub kinds: Kinds,
    pub mirror: Mirror,
    pub controller: Option<Controller>,
    pub folder: tempfile::TempDir,
}

/// An embedded cluster in a hurry: pods are ready at once, Prometheus samples ten times a second, a step takes as long
/// as `interval`.
pub fn hurried(interval: Duration) -> Options {
    Options {
        interval,
        ready_after: Duration::from_millis(50),
        scrape: Duration::from_millis(100),
        ..Options::default()
    }
}

impl Rehearsal {
    /// Starts the cluster and looks at it; nobody drives.
    pub async fn observing(options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = Sandbox::start(options).await.expect("a sandbox");
        let kubeconfig = folder.path().join("kubeconfig");
        sandbox.write_kubeconfig(&kubeconfig).expect("a kubeconfig");
        let options = ConnectionOptions { kubeconfig: Some(kubeconfig), ..Default::default() };
        let connection = Connection::open(&options).await.expect("a connection");
        let kinds = Kinds::discover(&connection.client).await.expect("the kinds");
        let mirror = Mirror::start(&connection.client, &kinds, &connection.namespace, Clock::system(), For::Driver);
        mirror.ready().await;
        Self { sandbox, connection, kinds, mirror, controller: None, folder }
    }

    /// Starts the cluster and drives it.
    pub async fn driving(options: Options) -> Self {
        let mut rehearsal = Self::observing(options).await;
        rehearsal.drive();
        let role = rehearsal.controller.as_ref().map(Controller::role);
        let mut role = role.expect("a controller");
        let driving = role.wait_for(|role| *role == controller::Role::Driving);
        tokio::time::timeout(PATIENCE, driving).await.expect("the lease").expect("a role");
        rehearsal
    }

    /// Starts a controller.
    pub fn drive(&mut self) {
        self.drive_by(None);
    }

    /// Starts a controller that asks the Prometheus at this address, or else the one that it finds in the cluster.
    pub fn drive_by(&mut self, prometheus: Option<&str>) {
        self.drive_with(prometheus, controller::Options::default());
    }

    /// Starts a controller with these options, but for the shortest interval.
    pub fn drive_with(&mut self, prometheus: Option<&str>, options: controller::Options) {
        let locator = Locator::new(self.connection.client.clone(), &self.connection.namespace, prometheus);
        self.controller = Some(Controller::start(
            self.connection.clone(),
            self.kinds.clone(),
            self.mirror.clone(),
            locator,
            Clock::system(),
            controller::Options { min_interval: Duration::from_millis(100), ..options },
        ));
    }

    /// Waits until the cluster looks so.
    pub async fn until(&self, what: &str, looks: impl Fn(&World) -> bool) {
        let mut count = self.mirror.count();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !looks(&self.mirror.read()) {
                count.changed().await.expect("the mirror lives");
            }
        });
        if waited.await.is_err() {
            let world = self.mirror.read();
            panic!("{what}: {:#?}\n{:#?}", world.canaries.get(APP).map(|c| &c.status), self.messages());
        }
    }

    /// Waits until the app is in this phase.
    pub async fn until_phase(&self, phase: Phase) {
        self.until(&format!("not {phase}"), |w| w.canaries.get(APP).is_some_and(|c| c.status.phase == phase)).await;
    }

    /// The live weight of the app's canary.
    pub fn weight(&self) -> u8 {
        weight(&self.mirror.read())
    }

    /// The present revision of the app's target.
    pub fn revision(&self) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let known = {
                let world = self.mirror.read();
                world.workloads.get(APP).and_then(|t| world.revision_name(&world.canaries[APP], t))
            };
            // For a moment after each change of the target its newest template has no name.
            match known {
                Some(revision) => return revision,
                None => assert!(std::time::Instant::now() < end, "the target's revision is not known"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sets the app's image, as `kubectl set image` does, and waits until the new revision is known.
    pub async fn set_version(&self, tag: &str) {
        let before = self.revision();
        let store = self.sandbox.store();
        let (name, image) = self.mirror.read().workloads[APP].containers[0].clone();
        let repository = image.rsplit_once(':').map_or(image.as_str(), |(repository, _)| repository).to_string();
        store
            .modify("Deployment", Some(&self.connection.namespace), APP, |object: &mut Value| {
                object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("{repository}:{tag}"));
            })
            .expect("an image");
        self.until(&format!("{name} gets {tag}"), |w| {
            w.workloads.get(APP).and_then(|t| w.revision_name(&w.canaries[APP], t)).is_some_and(|r| r != before)
        })
        .await;
    }

    /// Waits until every check of the app's canary has a value.
    pub async fn until_measured(&self) {
        let locator = Locator::new(self.connection.client.clone(), &self.connection.namespace, None);
        let spec = self.mirror.read().canaries[APP].spec.clone().expect("a spec");
        let measured = async {
            loop {
                let prometheus = locator.any().await.expect("a prometheus");
                let mut all = true;
                for check in &spec.analysis.checks {
                    let reading = checks::read(&prometheus, check, &self.connection.namespace, APP).await;
                    all &= matches!(reading, Reading::Value(_));
                }
                if all {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, measured).await.expect("the canary is measured");
    }

    /// Waits until the simulated traffic has found a workload's pods: it learns of them a moment after the cluster.
    pub async fn until_served(&self, workload: &str) {
        let locator = Locator::new(self.connection.client.clone(), &self.connection.namespace, None);
        let query = format!("istio_requests_total{{destination_workload=\"{workload}\", response_code=\"200\"}} > 0");
        let served = async {
            let prometheus = locator.any().await.expect("a prometheus");
            while prometheus.instant(&query).await.expect("an answer").is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.expect("the workload serves");
    }

    /// Writes a request for the present revision and waits for its outcome.
    pub async fn ask(&self, verb: Verb) -> Outcome {
        self.ask_for(Wish {
            canary: APP.into(),
            verb,
            revision: self.revision(),
            reason: String::new(),
            image: None,
            container: None,
            gate: None,
        })
        .await
    }

    /// Writes a request and waits for its outcome.
    pub async fn ask_for(&self, wish: Wish) -> Outcome {
        let sent = requests::send(&self.connection, &self.kinds, "alice", &wish, chrono::Utc::now()).await;
        let sent = sent.expect("the request is written");
        requests::outcome(&self.connection, &sent, PATIENCE).await.expect("an outcome")
    }

    /// Messages of the app's Events, in the order in which they were written.
    pub fn messages(&self) -> Vec<String> {
        let mut events: Vec<_> = self.sandbox.store().list("Event", Some(&self.connection.namespace)).0;
        events.retain(|e| e["involvedObject"]["name"] == APP);
        let created = |e: &Value| e["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok());
        events.sort_by_key(|e| (e["metadata"]["creationTimestamp"].as_str().map(str::to_string), created(e)));
        events.iter().filter_map(|e| e["message"].as_str().map(str::to_string)).collect()
    }
}

/// The live weight of the app's canary.
pub fn weight(world: &World) -> u8 {
    let canary = world.canaries.get(APP);
    let spec = canary.and_then(|c| c.spec.as_ref().ok().or(c.partial.as_ref()));
    spec.and_then(|spec| world.live(spec)).map_or(0, |live| live.canary())
}
