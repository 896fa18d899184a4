//! Many canaries at once: the embedded cluster in this process, the controller as a process of its own over HTTPS, and
//! a log of what it does to the cluster, with the time at which the cluster had it.

#![allow(dead_code)] // Each user takes its own part of this.

use canary_tui::api::{Phase, Status};
use canary_tui::cluster::{Connection, ConnectionOptions, Kinds};
use canary_tui::sandbox::{Options, Sandbox};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Where all of them live.
const NAMESPACE: &str = "jx-production";

/// One thing that was written.
pub struct Seen {
    pub at: DateTime<Utc>,
    /// The Canary that it is about.
    pub canary: String,
    pub what: What,
}

/// What was written.
pub enum What {
    /// The routes: the canary's weight.
    Weight(u64),
    /// A status: before and after.
    Status(Box<(Status, Status)>),
    /// An Event's text.
    Event(String),
}

/// Requests by verb and resource.
pub type Requests = BTreeMap<(String, String), u64>;

/// A cluster with many canaries.
pub struct Fleet {
    pub sandbox: Sandbox,
    pub connection: Connection,
    pub kinds: Kinds,
    log: Arc<Mutex<Vec<Seen>>>,
    controller: Option<Program>,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts the cluster; nobody drives. `max_weight` says how long a rollout is: steps of 10 up to there.
    pub async fn start(canaries: usize, max_weight: u8) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            canaries,
            replicas: 1,
            interval: Duration::from_secs(10),
            // A rate needs two scrapes between a canary's first request and its first check.
            scrape: Duration::from_secs(3),
            history: 1 << 18,
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await.expect("a sandbox");
        let file = folder.path().join("kubeconfig");
        sandbox.write_kubeconfig(&file).expect("a kubeconfig");
        for name in names(&sandbox) {
            let shorter = |canary: &mut Value| canary["spec"]["analysis"]["maxWeight"] = json!(max_weight);
            sandbox.store().modify("Canary", Some(NAMESPACE), &name, shorter).expect("a length");
        }
        let options = ConnectionOptions { kubeconfig: Some(file), ..Default::default() };
        let connection = Connection::open(&options).await.expect("a connection");
        let kinds = Kinds::discover(&connection.client).await.expect("the kinds");
        let log = Arc::default();
        keep(&sandbox, &log);
        Self { sandbox, connection, kinds, log, controller: None, folder }
    }

    /// Starts a controller and waits until it drives.
    pub async fn drive(&mut self) {
        let kubeconfig = self.folder.path().join("kubeconfig");
        let mut child = Command::new(env!("CARGO_BIN_EXE_canary-tui"))
            .args(["controller", "--kubeconfig"])
            .arg(kubeconfig)
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the controller starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        self.controller = Some(Program(child));
        let drives = tokio::task::spawn_blocking(move || {
            output.lines().map_while(Result::ok).any(|line| line.starts_with("driving"))
        });
        assert!(drives.await.expect("a reader"), "the controller ended before it drove");
    }

    /// Kills the controller, which has no time to say anything.
    pub fn kill(&mut self) {
        self.controller = None;
    }

    /// The controller's process.
    pub fn pid(&self) -> u32 {
        self.controller.as_ref().expect("a controller").0.id()
    }

    /// All canaries.
    pub fn names(&self) -> Vec<String> {
        names(&self.sandbox)
    }

    /// Gives a target another image, as `kubectl set image` does.
    pub fn set_version(&self, name: &str, tag: &str) {
        let store = self.sandbox.store();
        let set = |target: &mut Value| {
            target["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("gcr.io/jx/{name}:{tag}"));
        };
        store.modify("Deployment", Some(NAMESPACE), name, set).expect("an image");
    }

    /// The phase of a canary.
    pub fn phase(&self, name: &str) -> Phase {
        let canary = self.sandbox.store().get("Canary", Some(NAMESPACE), name).expect("the canary");
        Status::read(&canary["status"]).phase
    }

    /// The revision of a canary's rollout.
    pub fn revision(&self, name: &str) -> String {
        let canary = self.sandbox.store().get("Canary", Some(NAMESPACE), name).expect("the canary");
        canary["status"]["lastAppliedSpec"].as_str().unwrap_or_default().to_owned()
    }

    /// Looks into the log.
    pub fn log<R>(&self, look: impl FnOnce(&[Seen]) -> R) -> R {
        look(&self.log.lock().expect("the log"))
    }

    /// Waits until the log shows that each of these has come to an end since `from`; answers when the last one did.
    /// None: `patience` is over.
    pub async fn until_ended(
        &self,
        names: &BTreeSet<String>,
        from: DateTime<Utc>,
        patience: Duration,
    ) -> Option<DateTime<Utc>> {
        let end = tokio::time::Instant::now() + patience;
        while tokio::time::Instant::now() < end {
            let ended = self.log(|log| {
                let ends = log.iter().filter(|seen| seen.at >= from).filter_map(|seen| match &seen.what {
                    What::Status(both) if matches!(both.1.phase, Phase::Succeeded | Phase::Failed) => {
                        Some((seen.canary.as_str(), seen.at))
                    }
                    _ => None,
                });
                let ended: BTreeMap<&str, DateTime<Utc>> = ends.collect();
                let all = names.iter().all(|name| ended.contains_key(name.as_str()));
                ended.into_values().max().filter(|_| all)
            });
            if ended.is_some() {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        None
    }

    /// Requests but those about the lease and the standing questions of one who drives, since `before`.
    pub fn requests_since(&self, before: &Requests) -> Requests {
        let mut since = self.sandbox.requests();
        for (of, count) in before {
            if let Some(now) = since.get_mut(of) {
                *now -= count;
            }
        }
        since.retain(|(_, resource), count| *count > 0 && !resource.starts_with("leases"));
        since
    }

    /// Texts of the Events of a canary in this order of time, with its name taken out; but those about waits for pods,
    /// which one has and another has not.
    pub fn messages(&self, name: &str, from: DateTime<Utc>) -> Vec<String> {
        self.log(|log| {
            let of_it = log.iter().filter(|seen| seen.canary == name && seen.at >= from);
            let texts = of_it.filter_map(|seen| match &seen.what {
                What::Event(text) if !text.contains(" not ready: ") => Some(text.replace(name, "IT")),
                _ => None,
            });
            texts.collect()
        })
    }
}

/// How many requests of these verbs there are, of resources that are `wanted`.
pub fn count(requests: &Requests, verbs: &[&str], wanted: impl Fn(&str) -> bool) -> u64 {
    let counted = requests.iter().filter(|((verb, resource), _)| verbs.contains(&verb.as_str()) && wanted(resource));
    counted.map(|(_, count)| count).sum()
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let canaries = sandbox.store().list("Canary", Some(NAMESPACE)).0;
    canaries.iter().filter_map(|canary| canary["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

/// Keeps the log, in a thread of its own: the times must not wait for a runtime that is busy.
fn keep(sandbox: &Sandbox, log: &Arc<Mutex<Vec<Seen>>>) {
    let (mut changes, log) = (sandbox.store().subscribe(), log.clone());
    std::thread::spawn(move || {
        loop {
            let change = match changes.blocking_recv() {
                Ok(change) => change,
                Err(RecvError::Lagged(_)) => panic!("the log has missed changes"),
                Err(RecvError::Closed) => return,
            };
            let status = |object: &Value| Status::read(&object["status"]);
            let (canary, what) = match &*change.kind {
                "VirtualService" => (change.name.clone(), What::Weight(weight(&change.object, &change.name))),
                "Canary" => {
                    let Some(previous) = &change.previous else { continue };
                    let both = (status(previous), status(&change.object));
                    if both.0 == both.1 {
                        continue;
                    }
                    (change.name.clone(), What::Status(Box::new(both)))
                }
                "Event" => {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    (text(&change.object["involvedObject"]["name"]), What::Event(text(&change.object["message"])))
                }
                _ => continue,
            };
            log.lock().expect("the log").push(Seen { at: Utc::now(), canary, what });
        }
    });
}

fn weight(routes: &Value, name: &str) -> u64 {
    let canary = format!("{name}-canary");
    let all = routes["spec"]["http"].as_array().into_iter().flatten().flat_map(|http| http["route"].as_array());
    let mut of_canary = all.flatten().filter(|to| {
        to["destination"]["host"].as_str().is_some_and(|host| host.split('.').next() == Some(canary.as_str()))
    });
    of_canary.next().and_then(|to| to["weight"].as_u64()).unwrap_or(0)
}
