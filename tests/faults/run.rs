//! One run: an app, a controller, trouble for some time, then calm, and the end.

use super::cluster::{Cluster, FRESH, NAMESPACE, PLANTED};
use super::emitted::{Emitted, Said};
use super::happenings::{self, Happening};
use super::process::{Process, connection, kinds};
use super::promises::Promises;
use super::strategy::Setup;
use super::time::Time;
use super::trace::Trace;
use super::wire::{Line, Net, Weather};
use canary_tui::api::{Phase, Verb, annotation};
use canary_tui::cluster::Connection;
use canary_tui::cluster::events::outcome_name;
use canary_tui::cluster::requests::{self, Sent, Wish};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Once nothing fails, a rollout ends within this, or waits for an operator.
const ENDS_WITHIN: Duration = Duration::from_secs(900);
/// Nothing changes any more when nothing has for so long.
const QUIET: Duration = Duration::from_secs(25);

/// What a run came to.
pub struct Outcome {
    pub seed: u64,
    pub violations: Vec<String>,
    pub digest: u64,
    pub lines: Vec<String>,
    pub lasted: Duration,
    pub requests: u64,
    pub faults: u64,
    pub phase: String,
    pub longest_astray: Duration,
    /// Messages that went with a process that was killed.
    pub excused: usize,
}

/// Runs one seed, in a runtime of its own.
pub fn run(seed: u64) -> Outcome {
    let emitted = Emitted::default();
    let _listening = tracing::subscriber::set_default(emitted.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(seed, emitted))
}

struct World {
    time: Time,
    trace: Trace,
    net: Arc<Net>,
    cluster: Arc<Cluster>,
    app: &'static str,
    operator: Connection,
    promises: Arc<Mutex<Promises>>,
    emitted: Emitted,
    processes: Vec<Process>,
    started: usize,
    sent: Arc<Mutex<Vec<Sent>>>,
    /// Messages that a process took with it.
    excused: Arc<Mutex<BTreeSet<Said>>>,
    random: Pcg64Mcg,
    /// No write fails: then a process that ends in good order has said everything.
    fair: bool,
    /// The environment took pods away: then users may have met none.
    lost_pods: bool,
}

async fn live(seed: u64, emitted: Emitted) -> Outcome {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let time = Time::begin();
    let trace = Trace::new(time);
    let setup = Setup::drawn(&mut random);
    let weather = Weather::drawn(&mut random);
    let lasts = Duration::from_secs(random.random_range(20..110));
    let happenings = happenings::drawn(&mut random, lasts);
    trace.tell("setup", &format!("seed {seed}: {setup:?} {weather:?} for {lasts:?}"));
    let cluster = Arc::new(Cluster::start(time, seed));
    let app = if setup.fresh { FRESH } else { PLANTED };
    if setup.fresh {
        cluster.plant_fresh();
    }
    cluster.store.modify("Canary", Some(NAMESPACE), app, |canary| setup.write(canary)).expect("the setup is accepted");
    let net = Net::new(time, trace.clone(), seed, weather);
    let promises = Arc::new(Mutex::new(Promises::new(app, &setup, time, trace.clone(), &cluster.store)));
    let excused = Arc::default();
    tokio::spawn(watch(cluster.clone(), promises.clone(), emitted.clone(), Arc::clone(&excused)));
    let operator = connection(&net, &Line::new("operator"), &cluster);
    let mut world = World {
        time,
        trace,
        net,
        cluster,
        app,
        operator,
        promises,
        emitted,
        processes: Vec::new(),
        started: 0,
        sent: Arc::default(),
        excused,
        random,
        fair: weather.write == 0.0,
        lost_pods: false,
    };
    world.start();
    world.trouble(happenings, lasts).await;
    world.calm().await;
    world.conclude(seed)
}

/// Holds every change to the promises.
async fn watch(
    cluster: Arc<Cluster>,
    promises: Arc<Mutex<Promises>>,
    emitted: Emitted,
    excused: Arc<Mutex<BTreeSet<Said>>>,
) {
    let mut changes = cluster.store.subscribe();
    let mut term = 0;
    loop {
        match changes.recv().await {
            Ok(change) => {
                lock(&promises).take(&change);
                let now = change.object["spec"]["leaseTransitions"].as_i64().unwrap_or(0);
                if &*change.kind == "Lease" && now > term {
                    term = now;
                    // Another drives: what the one before could not write in time is its memory's, and may be gone with it.
                    excuse(&cluster, &emitted, &excused);
                }
            }
            Err(RecvError::Lagged(_)) => panic!("the checker was left behind"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is not written at this moment is not asked for at the end.
fn excuse(cluster: &Cluster, emitted: &Emitted, excused: &Mutex<BTreeSet<Said>>) {
    let there = written(cluster);
    lock(excused).extend(emitted.all().into_iter().filter(|said| !there.contains(said)));
}

/// What the Events say.
fn written(cluster: &Cluster) -> BTreeSet<Said> {
    let (events, _) = cluster.store.list("Event", Some(NAMESPACE));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let said = events.iter().map(|event| Said {
        canary: text(&event["involvedObject"]["name"]),
        reason: text(&event["reason"]),
        message: text(&event["message"]),
    });
    said.collect()
}

impl World {
    fn start(&mut self) {
        self.started += 1;
        let name = format!("driver-{}", self.started);
        self.trace.tell(&name, "starts");
        self.processes.push(Process::start(&name, self.time, &self.net, &self.cluster));
    }

    /// Sees to it that there are two processes.
    fn stand_by(&mut self) {
        if self.processes.len() < 2 {
            self.start();
        }
    }

    /// One of the processes that run, no more.
    fn take_process(&mut self) -> Option<Process> {
        let at = self.random.random_range(0..self.processes.len().max(1));
        (at < self.processes.len()).then(|| self.processes.remove(at))
    }

    /// Lets everything happen that is to, and starts what is to be started again.
    async fn trouble(&mut self, happenings: Vec<(Duration, Happening)>, lasts: Duration) {
        let mut due: BTreeMap<(Duration, usize), Option<Happening>> =
            happenings.into_iter().enumerate().map(|(n, (at, happening))| ((at, n), Some(happening))).collect();
        while let Some(((at, n), happening)) = due.pop_first() {
            if at >= lasts {
                break;
            }
            self.time.until(at).await;
            let Some(happening) = happening else {
                self.start();
                continue;
            };
            self.trace.tell("world", &format!("{happening:?}"));
            let again = |after: Duration| (at + after, n + 1000);
            match happening {
                Happening::Version(tag) => {
                    self.promises().asked();
                    self.cluster.set_version(self.app, tag);
                }
                Happening::Ask { verb, image, stale } => self.ask(verb, image, stale),
                Happening::Crash { restarts_after } => {
                    if let Some(process) = self.take_process() {
                        process.kill();
                        due.insert(again(restarts_after), None);
                    }
                }
                Happening::Stop { restarts_after } => {
                    if let Some(process) = self.take_process() {
                        let (cluster, emitted, promises) =
                            (self.cluster.clone(), self.emitted.clone(), self.promises.clone());
                        let (fair, excused) = (self.fair, self.excused.clone());
                        tokio::spawn(async move {
                            process.stop().await;
                            let (there, excused) = (written(&cluster), lock(&excused).clone());
                            let left = emitted.all().into_iter().find(|s| !there.contains(s) && !excused.contains(s));
                            if let Some(left) = left.filter(|_| fair) {
                                lock(&promises).violations.push(format!("stopped with {left:?} unsaid"));
                            }
                        });
                        due.insert(again(restarts_after), None);
                    }
                }
                Happening::Another => self.start(),
                Happening::Cut(lasts) => {
                    self.fair = false;
                    if let Some(process) = self.processes.first() {
                        process.line.cut(self.time, lasts);
                    }
                    self.stand_by();
                }
                Happening::LoseLease(lasts) => {
                    self.fair = false;
                    if let Some(process) = self.processes.first() {
                        process.line.lose_lease(self.time, lasts);
                    }
                    self.stand_by();
                }
                Happening::LosePods { primary, most } => {
                    self.lost_pods = true;
                    let workload = if primary { format!("{}-primary", self.app) } else { self.app.to_string() };
                    self.cluster.lose_pods(&workload, most);
                }
                Happening::PauseTarget(lasts) => self.pause_target(lasts),
            }
        }
        self.time.until(lasts).await;
    }

    fn promises(&self) -> std::sync::MutexGuard<'_, Promises> {
        lock(&self.promises)
    }

    fn pause_target(&self, lasts: Duration) {
        let (cluster, app) = (self.cluster.clone(), self.app);
        let pause = move |paused: bool| {
            let change = |target: &mut serde_json::Value| target["spec"]["paused"] = json!(paused);
            cluster.store.modify("Deployment", Some(NAMESPACE), app, change).expect("a target");
        };
        pause(true);
        tokio::spawn(async move {
            tokio::time::sleep(lasts).await;
            pause(false);
        });
    }

    fn ask(&mut self, verb: Verb, image: Option<&str>, stale: bool) {
        let revision = match stale {
            true => "0000000000".to_string(),
            false => self.cluster.revision(self.app).unwrap_or_default(),
        };
        if matches!(verb, Verb::Start | Verb::Promote) {
            self.promises().asked();
        }
        let wish = Wish {
            canary: self.app.into(),
            verb,
            revision,
            reason: "a drill".into(),
            image: image.map(|tag| format!("gcr.io/jx/{}:{tag}", self.app)),
            container: None,
            gate: (verb == Verb::Open).then(|| "start".into()),
        };
        let (connection, sent, trace) = (self.operator.clone(), self.sent.clone(), self.trace.clone());
        let now = self.time.now();
        tokio::spawn(async move {
            let answer = requests::send(&connection, &kinds(), "alice", &wish, now).await;
            match answer {
                Ok(request) => {
                    trace.tell("operator", &format!("asks to {verb}"));
                    lock(&sent).push(request);
                }
                Err(why) => trace.tell("operator", &format!("cannot ask to {verb}: {why}")),
            }
        });
    }

    /// Nothing fails any more; waits until nothing changes.
    async fn calm(&mut self) {
        self.trace.tell("world", "calm");
        self.net.calm_down();
        self.promises().calm_down();
        if self.processes.is_empty() {
            self.start();
        }
        let began = self.time.elapsed();
        let ends = began + ENDS_WITHIN;
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            // Until then a driver may not even have the lease.
            let since = self.promises().last_change.max(began);
            let quiet = self.time.elapsed().saturating_sub(since) > QUIET && !self.is_asked();
            let phase = self.promises().status.phase;
            let waits = self.promises().waits_for_operator(&self.cluster.store);
            if quiet && phase == Phase::Initializing && self.cluster.never_ready(&format!("{}-primary", self.app)) {
                // The first version never becomes ready, and that is said each interval.
                return;
            }
            if quiet && (phase.at_rest() || waits) {
                if waits && self.random.random_bool(0.5) {
                    let verb = match phase {
                        Phase::Waiting => Verb::Start,
                        _ => Verb::Resume,
                    };
                    self.ask(verb, None, false);
                    tokio::time::sleep(QUIET).await;
                    continue;
                }
                return;
            }
            if self.time.elapsed() > ends {
                let text = format!("after {ENDS_WITHIN:?} of calm it is {phase}");
                self.trace.tell("VIOLATION", &text);
                self.promises().violations.push(text);
                return;
            }
        }
    }

    /// Whether a request is pending.
    fn is_asked(&self) -> bool {
        let canary = self.cluster.store.get("Canary", Some(NAMESPACE), self.app).expect("the canary");
        canary["metadata"]["annotations"][annotation::REQUEST].is_string()
    }

    fn conclude(self, seed: u64) -> Outcome {
        self.promises().conclude(&self.cluster.store);
        let mut violations = self.net.violations();
        violations.append(&mut self.promises().violations);
        let lost = self.cluster.lost_requests();
        if lost > 0 && !self.lost_pods {
            violations.push(format!("{lost} requests found no ready pod, and nobody had taken any away"));
        }
        let there = written(&self.cluster);
        let mut missing: Vec<Said> = self.emitted.all();
        missing.sort();
        missing.dedup();
        // A request has one outcome, the first that was said; that there is one is asked below.
        missing.retain(|said| !there.contains(said) && !said.reason.starts_with("Request"));
        let mut excused = missing.iter().filter(|said| lock(&self.excused).contains(said)).count();
        let lost = missing.iter().filter(|said| !lock(&self.excused).contains(said));
        violations.extend(lost.map(|said| format!("lost: {}: {}", said.reason, said.message)));
        for sent in lock(&self.sent).iter() {
            let name = outcome_name(&sent.canary, &sent.uid, &sent.request.id);
            let asked = format!("Request {} of revision {} ", sent.request.verb, sent.request.revision);
            if lock(&self.excused).iter().any(|said| said.message.starts_with(&asked)) {
                // Said, and gone with the process that could not write it.
                excused += 1;
            } else if self.cluster.store.get("Event", Some(NAMESPACE), &name).is_none() {
                violations.push(format!("the request to {} has no outcome", sent.request.verb));
            }
        }
        if self.is_asked() {
            violations.push("a request is pending still".into());
        }
        let promises = self.promises();
        Outcome {
            seed,
            violations,
            digest: self.trace.digest(),
            lines: self.trace.lines(),
            lasted: self.time.elapsed(),
            requests: self.net.requests.load(Ordering::Relaxed),
            faults: self.net.faults.load(Ordering::Relaxed),
            phase: promises.status.phase.to_string(),
            longest_astray: promises.longest_astray,
            excused,
        }
    }
}
