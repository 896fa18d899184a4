//! Who drives: nothing of ours where Flagger is at work, where a right is missing or where another process holds the
//! lease; else this process, with one worker for each Canary.

use super::concern::Concerns;
use super::effects::Hands;
use super::errands::{Errands, Messenger};
use super::outbox::Outboxes;
use super::report::Report;
use super::telemetry::Telemetry;
use super::webhooks::Caller;
use super::worker::Worker;
use crate::cluster::lease::{Tenure, identity};
use crate::cluster::writes::Writer;
use crate::cluster::{Clock, Connection, Kinds, Mirror, Source, Survey, World, access, events, flagger};
use crate::metrics::Locator;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Pause before workers that panicked are replaced.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// How long Events that are still to be written may hold up the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often rights and Flagger's absence are looked at again.
const REVIEW: Duration = Duration::from_secs(60);

/// How often whatever forbids driving is looked at again.
const OBSTACLE: Duration = Duration::from_secs(10);
/// How often it is looked at again where it cannot be told: an API server that fails now and then must not keep a namespace
/// without its driver.
const UNTOLD: Duration = Duration::from_secs(2);

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lower bound of every analysis interval; 10 s as in Flagger.
    pub min_interval: Duration,
    /// Where the Events of Canaries go that name no webhook for them.
    pub event_webhook: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { min_interval: Duration::from_secs(10), event_webhook: None }
    }
}

/// What this process is to the namespace's rollouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not known yet, or waiting for the lease that another process holds.
    Waiting,
    /// This process executes the rollouts.
    Driving,
    /// It does not, and why.
    Observing(String),
}

/// The controller of one namespace.
pub struct Controller {
    role: watch::Receiver<Role>,
    report: Report,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Controller {
    /// Starts it. `mirror` must watch what a driver looks at.
    pub fn start(
        connection: Connection,
        kinds: Kinds,
        mirror: Mirror,
        locator: Locator,
        clock: Clock,
        options: Options,
    ) -> Self {
        Self::begin(connection, kinds, mirror, locator, clock, options, None)
    }

    /// Starts one of several; what they all ask is asked once by `survey`.
    pub(super) fn begin(
        connection: Connection,
        kinds: Kinds,
        mirror: Mirror,
        locator: Locator,
        clock: Clock,
        options: Options,
        survey: Option<Survey>,
    ) -> Self {
        let (role_in, role) = watch::channel(Role::Waiting);
        let (stop, stopped) = watch::channel(false);
        let telemetry = Telemetry::default();
        let report = Report {
            namespace: connection.namespace.clone(),
            mirror: mirror.clone(),
            role: role.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
            began: clock.now(),
        };
        let outboxes = Outboxes::default();
        let seat =
            Seat { connection, kinds, mirror, locator, clock, options, survey, telemetry, outboxes, role: role_in };
        let task = tokio::spawn(seat.run(stopped));
        Self { role, report, stop, task }
    }

    /// What this process is to the rollouts; changes as it does.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// What it says of itself, at each question anew.
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// Stops driving and gives the lease back. Nothing is undone: the next driver goes on from what the objects say.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(Duration::from_secs(6), self.task).await;
    }
}

struct Seat {
    connection: Connection,
    kinds: Kinds,
    mirror: Mirror,
    locator: Locator,
    clock: Clock,
    options: Options,
    survey: Option<Survey>,
    telemetry: Telemetry,
    outboxes: Outboxes,
    role: watch::Sender<Role>,
}

impl Seat {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let identity = identity();
        while !*stopped.borrow() {
            let obstacle = tokio::select! {
                biased;
                obstacle = self.obstacle() => obstacle,
                // It may wait for lists that never come.
                _ = stopped.changed() => break,
            };
            if let Some(why) = obstacle {
                let wait = if why.starts_with("cannot tell") { UNTOLD } else { OBSTACLE };
                self.set(Role::Observing(why));
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(wait) => continue,
                    _ = stopped.changed() => break,
                }
            }
            let tenure = Tenure::begin(&self.connection, &identity, self.clock.clone());
            self.serve(&tenure, &mut stopped).await;
            let _ = tokio::time::timeout(LAST_WORDS, self.say_the_rest(&tenure)).await;
            tenure.release().await;
        }
    }

    fn set(&self, role: Role) {
        self.role.send_if_modified(|present| std::mem::replace(present, role.clone()) != role);
    }

    /// What forbids driving here, in words.
    async fn obstacle(&self) -> Option<String> {
        let Connection { client, namespace, .. } = &self.connection;
        let flagger = async {
            match &self.survey {
                Some(survey) => survey.flagger_at_work(namespace).await,
                None => flagger::at_work(client, namespace, self.clock.now()).await,
            }
        };
        let (flagger, right) = futures::join!(flagger, self.lacks(&access::TO_DRIVE));
        match flagger {
            Ok(Some(sign)) => return Some(format!("Flagger is at work: {sign}")),
            Ok(None) => {}
            Err(why) => return Some(format!("cannot tell whether Flagger is at work: {why}")),
        }
        if let Some(right) = right {
            return Some(format!("you may not {right} in {namespace}"));
        }
        self.mirror.ready().await;
        let rights = self.mirror.read().providers().into_iter().flat_map(access::to_route).collect::<Vec<_>>();
        if let Some(right) = self.lacks(&rights).await {
            return Some(format!("you may not {right} in {namespace}"));
        }
        let wrote = flagger::wrote_recently(&self.mirror.read(), self.clock.now());
        wrote.map(|sign| format!("Flagger is at work: {sign}"))
    }

    async fn lacks(&self, rights: &[access::Right]) -> Option<String> {
        let Connection { client, namespace, .. } = &self.connection;
        match &self.survey {
            Some(survey) => survey.lacks(namespace, rights).await,
            None => access::lacks(client, namespace, rights).await,
        }
    }

    /// Drives whenever the lease is held, until something forbids it or the process stops.
    async fn serve(&self, tenure: &Tenure, stopped: &mut watch::Receiver<bool>) {
        let mut holding = tenure.holding();
        let mut review = tokio::time::interval_at(tokio::time::Instant::now() + REVIEW, REVIEW);
        let mut workers: Option<JoinSet<()>> = None;
        let mut served = false;
        loop {
            let holds = *holding.borrow_and_update();
            if holds && workers.is_none() {
                tracing::info!(namespace = %self.connection.namespace, "driving");
                if std::mem::replace(&mut served, true) {
                    // The lease was lost in between: this process may not have run, and its watches may be dead.
                    self.mirror.relist();
                }
                let mut set = JoinSet::new();
                set.spawn(self.foreman(tenure).run());
                workers = Some(set);
            } else if !holds {
                workers = None;
            }
            self.set(if holds { Role::Driving } else { Role::Waiting });
            tokio::select! {
                biased;
                changed = holding.changed() => if changed.is_err() {
                    // Nobody tries for it any more.
                    tokio::time::sleep(AFTER_PANIC).await;
                    return;
                },
                _ = stopped.changed() => return,
                ended = ended(&mut workers) => {
                    tracing::error!(namespace = %self.connection.namespace, ?ended, "the workers have ended: beginning anew");
                    workers = None;
                    tokio::time::sleep(AFTER_PANIC).await;
                }
                _ = review.tick() => {
                    let obstacle = tokio::select! {
                        biased;
                        obstacle = self.obstacle() => obstacle,
                        _ = stopped.changed() => return,
                    };
                    // What cannot be told now was told before: the lease is not given up for it.
                    if let Some(why) = obstacle.filter(|why| !why.starts_with("cannot tell")) {
                        tracing::warn!(namespace = %self.connection.namespace, "no longer driving: {why}");
                        return;
                    }
                }
            }
        }
    }

    /// Events that could not be written so far are tried once more while the lease is held.
    async fn say_the_rest(&self, tenure: &Tenure) {
        let writer = self.writer(tenure);
        for (canary, outbox) in self.outboxes.waiting() {
            let Some(canary) = self.mirror.read().canaries.get(&canary).cloned() else { continue };
            while let Some(draft) = outbox.first() {
                if let Err(error) = events::write(&writer, &self.kinds.event, &canary, &draft, self.clock.now()).await {
                    tracing::warn!(canary = %canary.name, "an event is not written: {error}");
                    return;
                }
                outbox.remove(&draft);
            }
        }
    }

    fn writer(&self, tenure: &Tenure) -> Writer {
        Writer::new(self.connection.client.clone(), self.connection.namespace.clone(), tenure.fence().clone())
    }

    fn foreman(&self, tenure: &Tenure) -> Foreman {
        Foreman {
            writer: self.writer(tenure),
            kinds: self.kinds.clone(),
            mirror: self.mirror.clone(),
            locator: self.locator.clone(),
            clock: self.clock.clone(),
            options: self.options.clone(),
            telemetry: self.telemetry.clone(),
            messenger: Messenger {
                caller: Caller::new(self.connection.client.clone()),
                client: self.connection.client.clone(),
                event_webhook: self.options.event_webhook.clone(),
            },
            outboxes: self.outboxes.clone(),
        }
    }
}

/// Ends when the workers do, which only a panic makes them.
async fn ended(workers: &mut Option<JoinSet<()>>) -> Option<Result<(), tokio::task::JoinError>> {
    match workers {
        Some(workers) => workers.join_next().await,
        None => std::future::pending().await,
    }
}

/// Keeps one worker for each Canary and wakes those that a change concerns.
struct Foreman {
    writer: Writer,
    kinds: Kinds,
    mirror: Mirror,
    locator: Locator,
    clock: Clock,
    options: Options,
    telemetry: Telemetry,
    messenger: Messenger,
    outboxes: Outboxes,
}

impl Foreman {
    async fn run(self) {
        let mut changes = self.mirror.changes();
        let mut crew = Crew::default();
        self.staff_all(&mut crew);
        loop {
            let change = tokio::select! {
                biased;
                change = changes.recv() => change,
                ended = crew.tasks.join_next(), if !crew.tasks.is_empty() => {
                    // One that was told to end, whose Canary is gone, or one that panicked.
                    if ended.is_some_and(|ended| ended.is_err_and(|e| e.is_panic())) {
                        tokio::time::sleep(AFTER_PANIC).await;
                        self.staff_all(&mut crew);
                    }
                    continue;
                }
            };
            match change {
                Ok(change) => {
                    match (change.source, change.name.as_str()) {
                        (Source::Canaries, "") => self.staff_all(&mut crew),
                        (Source::Canaries, name) => self.staff(&mut crew, &self.mirror.read(), name),
                        _ => {}
                    }
                    let concerned = crew.concerns.concerned(&self.mirror.read(), change.source, &change.name);
                    for desk in concerned.iter().filter_map(|name| crew.desks.get(name)) {
                        desk.changed.notify_one();
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "too many changes at once: looking at all canaries");
                    self.staff_all(&mut crew);
                    crew.desks.values().for_each(|desk| desk.changed.notify_one());
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// A worker for each Canary that is there, and none for one that is not.
    fn staff_all(&self, crew: &mut Crew) {
        let world = self.mirror.read();
        self.telemetry.forget_all_but(&world.canaries);
        self.outboxes.forget_all_but(&world.canaries);
        crew.concerns.renew(&world);
        let known: BTreeSet<String> = crew.desks.keys().chain(world.canaries.keys()).cloned().collect();
        known.iter().for_each(|name| self.staff(crew, &world, name));
    }

    /// A worker for this Canary if it is there, and none if it is not.
    fn staff(&self, crew: &mut Crew, world: &World, name: &str) {
        crew.concerns.note(world, name);
        let Some(canary) = world.canaries.get(name) else {
            self.telemetry.forget(name);
            if let Some(desk) = crew.desks.remove(name) {
                desk.task.abort();
            }
            return;
        };
        if crew.desks.get(name).is_none_or(|desk| desk.task.is_finished()) {
            let changed = Arc::new(Notify::new());
            let (urgent, is_urgent) = watch::channel(false);
            let (kinds, mirror, clock) = (self.kinds.clone(), self.mirror.clone(), self.clock.clone());
            let errands = Errands::new(self.messenger.clone(), clock.clone(), changed.clone());
            let unsent = self.outboxes.of(name);
            let hands = Hands::new(self.writer.of(is_urgent), kinds, mirror, clock, errands, unsent);
            let worker = Worker {
                name: name.to_string(),
                hands,
                locator: self.locator.clone(),
                options: self.options.clone(),
                changed: changed.clone(),
                hired: self.clock.now(),
                known: None,
                telemetry: self.telemetry.clone(),
                seen: None,
                answers: Default::default(),
            };
            let task = crew.tasks.spawn(worker.run());
            crew.desks.insert(name.to_string(), Desk { changed, urgent, task });
        }
        if let Some(desk) = crew.desks.get(name) {
            desk.urgent.send_replace(canary.request_text.is_some());
        }
    }
}

/// The workers, and whom a change concerns. They end with it.
#[derive(Default)]
struct Crew {
    tasks: JoinSet<()>,
    desks: BTreeMap<String, Desk>,
    concerns: Concerns,
}

/// Where one Canary's worker is reached.
struct Desk {
    /// Wakes it.
    changed: Arc<Notify>,
    /// Whether an operator waits for it.
    urgent: watch::Sender<bool>,
    task: AbortHandle,
}
