//! The controllers of all namespaces: one for each that holds Canaries, over the watches that they share. Each takes its
//! own lease and drives by itself; what becomes of one is nothing to the others.

use super::drive::{Controller, Options, Role};
use super::report::{Report, Says};
use super::telemetry::{Series, Telemetry};
use crate::cluster::{Clock, Connection, Fleet, Kinds, Mirror, Survey};
use crate::metrics::Locator;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Between the starts of two controllers: each asks for its lease at once, and a cluster may have hundreds.
const BETWEEN: Duration = Duration::from_millis(10);
/// Leases that are given back at a time.
const PARTINGS: usize = 16;
/// How long all of them may take; a pod gets thirty seconds.
const PARTING: Duration = Duration::from_secs(20);

/// The controllers of all namespaces.
pub struct Everywhere {
    roles: watch::Receiver<BTreeMap<String, Role>>,
    reports: Reports,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Everywhere {
    /// Starts them. The connection's own namespace does not matter.
    pub fn start(
        connection: Connection,
        kinds: Kinds,
        fleet: Fleet,
        locator: Locator,
        clock: Clock,
        options: Options,
    ) -> Self {
        let (roles_in, roles) = watch::channel(BTreeMap::new());
        let (stop, stopped) = watch::channel(false);
        // Never anything else: its end is the end of the loop.
        let (alive, role) = watch::channel(Role::Driving);
        let whole = Report {
            namespace: "all namespaces".into(),
            mirror: fleet.whole(),
            role,
            telemetry: Telemetry::default(),
            clock: clock.clone(),
            began: clock.now(),
        };
        let reports = Reports { whole, each: Arc::default() };
        let survey = Survey::new(connection.client.clone(), clock.clone());
        let reporting = reports.clone();
        let board =
            Board { connection, kinds, fleet, locator, clock, options, survey, roles: roles_in, reports: reporting };
        let task = tokio::spawn(async move {
            board.run(stopped).await;
            drop(alive);
        });
        Self { roles, reports, stop, task }
    }

    /// What this process is to the rollouts of each namespace that holds Canaries; changes as it does.
    pub fn roles(&self) -> watch::Receiver<BTreeMap<String, Role>> {
        self.roles.clone()
    }

    /// What it says of itself, at each question anew.
    pub fn report(&self) -> Reports {
        self.reports.clone()
    }

    /// Stops driving and gives the leases back.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(PARTING, self.task).await;
    }
}

/// Engages a controller for each namespace, and parts with it.
struct Board {
    connection: Connection,
    kinds: Kinds,
    fleet: Fleet,
    locator: Locator,
    clock: Clock,
    options: Options,
    survey: Survey,
    roles: watch::Sender<BTreeMap<String, Role>>,
    reports: Reports,
}

struct Engaged {
    number: u64,
    controller: Controller,
    follower: AbortHandle,
}

impl Board {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut count = self.fleet.count();
        let mut engaged: BTreeMap<String, Engaged> = BTreeMap::new();
        let mut followers = JoinSet::new();
        let mut partings = JoinSet::new();
        while !*stopped.borrow() {
            count.borrow_and_update();
            let members = self.fleet.members();
            let stays = |name: &String, one: &mut Engaged| members.get(name).is_some_and(|m| m.number == one.number);
            for (namespace, one) in engaged.extract_if(.., |name, one| !stays(name, one)) {
                partings.spawn(self.part(&namespace, one));
            }
            for (namespace, member) in members {
                if engaged.contains_key(&namespace) || *stopped.borrow() {
                    continue;
                }
                let one = self.engage(&namespace, member.number, member.mirror, &mut followers);
                engaged.insert(namespace, one);
                tokio::time::sleep(BETWEEN).await;
            }
            tokio::select! {
                biased;
                _ = stopped.changed() => break,
                changed = count.changed() => if changed.is_err() { break },
                _ = partings.join_next(), if !partings.is_empty() => {}
                _ = followers.join_next(), if !followers.is_empty() => {}
            }
        }
        let all = engaged.into_iter().map(|(namespace, one)| self.part(&namespace, one));
        futures::stream::iter(all).for_each_concurrent(PARTINGS, |parting| parting).await;
        while partings.join_next().await.is_some() {}
    }

    fn engage(&self, namespace: &str, number: u64, mirror: Mirror, followers: &mut JoinSet<()>) -> Engaged {
        let connection = self.connection.of(namespace);
        let (locator, survey) = (self.locator.of(namespace), Some(self.survey.clone()));
        let (kinds, clock, options) = (self.kinds.clone(), self.clock.clone(), self.options.clone());
        let controller = Controller::begin(connection, kinds, mirror, locator, clock, options, survey);
        self.reports.lock().insert(namespace.to_string(), controller.report());
        let (roles, mut role, namespace) = (self.roles.clone(), controller.role(), namespace.to_string());
        let follower = followers.spawn(async move {
            loop {
                let present = role.borrow_and_update().clone();
                roles.send_modify(|roles| drop(roles.insert(namespace.clone(), present)));
                if role.changed().await.is_err() {
                    return;
                }
            }
        });
        Engaged { number, controller, follower }
    }

    /// Ends a namespace's controller, which gives the lease back.
    fn part(&self, namespace: &str, one: Engaged) -> impl Future<Output = ()> + use<> {
        one.follower.abort();
        self.reports.lock().remove(namespace);
        self.roles.send_modify(|roles| drop(roles.remove(namespace)));
        tracing::info!(%namespace, "no longer driving: nothing is left to drive, or this process ends");
        let locator = self.locator.of(namespace);
        async move {
            one.controller.stop().await;
            locator.leave().await;
        }
    }
}

/// The state of all controllers, as it is at each question.
#[derive(Clone)]
pub struct Reports {
    /// Of the watches, and of the loop that engages the controllers.
    whole: Report,
    each: Arc<Mutex<BTreeMap<String, Report>>>,
}

impl Reports {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Report>> {
        // Whoever panicked left whole reports behind.
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Says for Reports {
    fn series(&self) -> String {
        let mut series = Series::default();
        self.lock().values().for_each(|report| report.add_to(&mut series));
        series.text()
    }

    fn alive(&self) -> Result<(), String> {
        self.whole.alive()?;
        self.lock().values().try_for_each(Report::alive)
    }

    fn ready(&self) -> Result<(), String> {
        self.whole.ready()?;
        self.lock().values().try_for_each(Report::ready)
    }
}
