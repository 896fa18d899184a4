//! Where the console's messages come from: the mirror of the cluster, the controller, and Prometheus; and where its
//! commands go. Everything in here waits on the network, so that the console itself never does.

use super::history::Measures;
use super::message::{Deaf, Msg, Outcome, Teller};
use super::model::{Driver, Link, Wish};
use super::own_checks::Judging;
use super::row::{Key, Records, Row};
use crate::cluster::connect::explain;
use crate::cluster::kinds::KindsError;
use crate::cluster::lease;
use crate::cluster::{Changed, Clock, Connection, Health, Kinds, Mirror, Source, World, access, flagger, requests};
use crate::controller::{self, Controller, Role};
use crate::metrics::{Locator, Metric, Prometheus};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

/// Least time between two looks at the mirror: what comes in a burst is taken in together.
const GAP: Duration = Duration::from_millis(15);
/// Between two measurements while a rollout is under way, and while all is at rest.
const MEASURE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// How far back the charts begin when a canary is selected.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// How long the outcome of a request is waited for: an advance waits for its checks.
const OUTCOME: Duration = Duration::from_secs(20);
/// Most Events that are told one by one; more at once are told as a whole.
const SINGLY: usize = 32;

/// What the source needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to drive; None never drives.
    pub controller: Option<controller::Options>,
    /// Address of Prometheus from the command line.
    pub prometheus: Option<String>,
}

/// Tells the console everything and carries its commands out.
pub struct Feed {
    told: Teller,
    commands: mpsc::UnboundedReceiver<Order>,
    connection: Connection,
    clock: Clock,
    options: Options,
}

/// What the console asks of its source.
#[derive(Clone, Debug)]
pub enum Order {
    Send(Wish),
    /// A canary was selected: tell what its workloads did, and from now on what its own checks read.
    Remember {
        primary: Key,
        canary: Key,
    },
    /// Stop driving, and end.
    Stop,
}

impl Feed {
    /// A feed that tells `told` and listens to `commands`.
    pub fn new(
        connection: Connection,
        clock: Clock,
        options: Options,
        told: Teller,
        commands: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        Self { told, commands, connection, clock, options }
    }

    /// Runs until told to stop or until nobody listens. A lease that is held is given back.
    pub async fn run(mut self) {
        let Some(kinds) = self.kinds().await else { return };
        let mirror = Mirror::start(
            &self.connection.client,
            &kinds,
            &self.connection.namespace,
            self.clock.clone(),
            self.options.controller.is_some(),
        );
        let locator = Locator::new(
            self.connection.client.clone(),
            &self.connection.namespace,
            self.options.prometheus.as_deref(),
        );
        let controller = self.options.controller.clone().map(|options| {
            Controller::start(
                self.connection.clone(),
                kinds.clone(),
                mirror.clone(),
                locator.clone(),
                self.clock.clone(),
                options,
            )
        });
        let by = Arc::new(tokio::sync::OnceCell::new());
        let (pace_in, pace) = watch::channel(Pace { step: MEASURE.1, window: Duration::from_secs(60) });
        // Dropping the set ends whatever is still under way.
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(rights(self.connection.clone(), self.told.clone()));
        let measuring = Measuring {
            told: self.told.clone(),
            locator: locator.clone(),
            namespace: self.connection.namespace.clone(),
            clock: self.clock.clone(),
            pace: pace.clone(),
        };
        tasks.spawn(measuring.run());
        let (selected_in, selected) = watch::channel(None);
        let judging = Judging {
            told: self.told.clone(),
            locator: locator.clone(),
            mirror: mirror.clone(),
            pace: pace.clone(),
            selected,
        };
        tasks.spawn(judging.run());
        let min_interval = self.options.controller.as_ref().map_or(Duration::ZERO, |options| options.min_interval);
        let watching = Watching {
            told: self.told.clone(),
            mirror: mirror.clone(),
            clock: self.clock.clone(),
            connection: self.connection.clone(),
            role: controller.as_ref().map(Controller::role),
            min_interval,
            pace: pace_in,
        };
        tasks.spawn(watching.run());
        while let Some(order) = self.commands.recv().await {
            match order {
                Order::Stop => break,
                Order::Send(wish) => {
                    let (connection, kinds, clock) = (self.connection.clone(), kinds.clone(), self.clock.clone());
                    let (told, mirror, by) = (self.told.clone(), mirror.clone(), by.clone());
                    tasks.spawn(async move {
                        let by = by.get_or_init(|| caller(&connection)).await;
                        let outcome = send(&connection, &kinds, by, &mirror, &wish, &clock).await;
                        let _ = told.send(Msg::Outcome { wish, outcome });
                    });
                }
                Order::Remember { primary, canary } => {
                    selected_in.send_replace(Some(canary.clone()));
                    let (told, locator) = (self.told.clone(), locator.clone());
                    let (now, window) = (self.clock.now(), pace.borrow().window);
                    tasks.spawn(async move {
                        // Without Prometheus the measuring task says so.
                        if let Ok(prometheus) = locator.any().await {
                            remember(&prometheus, &told, [&primary, &canary], window, now).await;
                        }
                    });
                }
            }
        }
        tasks.shutdown().await;
        if let Some(controller) = controller {
            controller.stop().await;
        }
    }

    /// Which versions the cluster serves; asks again until it answers. None: the console has ended.
    async fn kinds(&mut self) -> Option<Kinds> {
        let mut since: Option<DateTime<Utc>> = None;
        let mut wait = Duration::from_millis(200);
        loop {
            let link = match Kinds::discover(&self.connection.client).await {
                Ok(kinds) => return Some(kinds),
                Err(KindsError::NoCanary) => {
                    Link::Absent { why: "its API server serves no Canary (flagger.app)".into() }
                }
                Err(KindsError::Api(error)) => {
                    let since = *since.get_or_insert_with(|| self.clock.now());
                    Link::Lost { since, why: explain(&error) }
                }
            };
            let told = self.told.send(Msg::Cluster { cluster: link, routes: Link::Connecting, missing: Vec::new() });
            if told.is_err() {
                return None;
            }
            let again = Instant::now() + wait;
            wait = (wait * 2).min(Duration::from_secs(5));
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(again) => break,
                    order = self.commands.recv() => match order {
                        None | Some(Order::Stop) => return None,
                        Some(Order::Send(wish)) => {
                            let outcome = Outcome::Failed("the cluster is not reached yet".into());
                            let _ = self.told.send(Msg::Outcome { wish, outcome });
                        }
                        Some(Order::Remember { .. }) => {}
                    }
                }
            }
        }
    }
}

/// The caller's name as the API server knows it; where it knows none, who runs this process.
async fn caller(connection: &Connection) -> String {
    access::whoami(&connection.client).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "who am I");
        lease::identity()
    })
}

/// Tells whether the operator may ask for anything.
async fn rights(connection: Connection, told: Teller) {
    let lacking = access::lacks(&connection.client, &connection.namespace, &access::TO_REQUEST).await;
    let lacking = lacking.map(|right| format!("{right} in {}", connection.namespace));
    let _ = told.send(Msg::Rights(lacking));
}

/// Writes a request and waits for its end.
async fn send(
    connection: &Connection,
    kinds: &Kinds,
    by: &str,
    mirror: &Mirror,
    wish: &Wish,
    clock: &Clock,
) -> Outcome {
    let asked = requests::Wish {
        canary: wish.canary.name.clone(),
        verb: wish.verb,
        revision: wish.revision.clone(),
        reason: wish.reason.clone(),
        image: wish.image.clone(),
        container: wish.container.clone(),
        gate: wish.gate.clone(),
    };
    let sent = match requests::send(connection, kinds, by, &asked, clock.now()).await {
        Ok(sent) => sent,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    match requests::outcome(connection, &sent, OUTCOME).await {
        Ok(requests::Outcome::CarriedOut(said)) => Outcome::CarriedOut(said),
        Ok(requests::Outcome::Refused(why)) => Outcome::Refused(why),
        Err(error) => match mirror.read().driver(clock.now()) {
            lease::Driver::Somebody(_) => Outcome::Failed(error.to_string()),
            lease::Driver::Nobody => {
                Outcome::NoDriver("no driver is there; the request waits on the canary for one".into())
            }
            lease::Driver::Expired(holder) => Outcome::NoDriver(format!(
                "the driver, {holder}, has stopped; the request waits on the canary for the next one"
            )),
        },
    }
}

/// How often, and over which window, is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    pub step: Duration,
    pub window: Duration,
}

/// Turns what the mirror holds into messages.
struct Watching {
    told: Teller,
    mirror: Mirror,
    clock: Clock,
    connection: Connection,
    role: Option<watch::Receiver<Role>>,
    min_interval: Duration,
    pace: watch::Sender<Pace>,
}

/// What has changed since the last look.
#[derive(Default)]
struct Dirty {
    rows: bool,
    events: BTreeSet<String>,
    all_events: bool,
    links: bool,
}

impl Dirty {
    fn note(&mut self, changed: Result<Changed, broadcast::error::RecvError>) -> Result<(), ()> {
        let changed = match changed {
            Ok(changed) => changed,
            Err(broadcast::error::RecvError::Closed) => return Err(()),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                *self = Self { rows: true, all_events: true, links: true, events: BTreeSet::new() };
                return Ok(());
            }
        };
        self.links |= changed.name.is_empty() || changed.source == Source::Lease;
        match changed.source {
            Source::Events if changed.name.is_empty() => self.all_events = true,
            Source::Events => drop(self.events.insert(changed.name)),
            Source::Rules(_)
            | Source::Services
            | Source::ConfigMaps
            | Source::Secrets
            | Source::Scalers
            | Source::Lease => {}
            _ => self.rows = true,
        }
        Ok(())
    }
}

impl Watching {
    async fn run(mut self) {
        let mut changes = self.mirror.changes();
        let mut dirty = Dirty { rows: true, all_events: true, links: true, ..Default::default() };
        let mut flagger = None;
        // Not before the first rows are told: they are what the operator waits for.
        let mut review = Instant::now() + GAP;
        loop {
            if self.role.is_none() && Instant::now() >= review {
                // Whoever only watches still says that Flagger drives.
                let sign = flagger::at_work(&self.connection.client, &self.connection.namespace, self.clock.now());
                // Where nobody can tell, what was last known stands.
                flagger = sign.await.unwrap_or(flagger);
                review = Instant::now() + Duration::from_secs(60);
                dirty.links = true;
            }
            if self.tell(&mut dirty, flagger.is_some()).is_err() {
                return;
            }
            tokio::time::sleep(GAP).await;
            let until_lease_ends = self.until_lease_ends();
            tokio::select! {
                changed = changes.recv() => if dirty.note(changed).is_err() { return },
                () = role_changed(&mut self.role) => dirty.links = true,
                () = tokio::time::sleep(until_lease_ends) => dirty.links = true,
                () = tokio::time::sleep_until(review), if self.role.is_none() => {}
            }
            while let Ok(more) = changes.try_recv() {
                let _ = dirty.note(Ok(more));
            }
        }
    }

    /// Time until the lease that is known ends, unless it is renewed; far off where there is none.
    fn until_lease_ends(&self) -> Duration {
        let now = self.clock.now();
        let ends = self.mirror.read().lease.as_ref().map(lease::LeaseRecord::ends).filter(|ends| *ends >= now);
        let left = ends.and_then(|ends| (ends - now).to_std().ok()).map(|left| left + Duration::from_millis(50));
        left.unwrap_or(Duration::from_secs(3600))
    }

    fn tell(&self, dirty: &mut Dirty, flagger: bool) -> Result<(), Deaf> {
        let now = self.clock.now();
        let dirty = std::mem::take(dirty);
        // Built under the lock, sent after it.
        let mut messages = Vec::new();
        {
            let world = self.mirror.read();
            if dirty.links {
                messages.push(links(&world));
                let role = self.role.as_ref().map(|role| role.borrow().clone());
                messages.push(Msg::Driver(driver(&world, role.as_ref(), flagger, now)));
            }
            if dirty.rows {
                let rows = rows(&world, self.min_interval);
                self.set_pace(&rows);
                messages.push(Msg::Rows(rows));
            }
            let gone = || dirty.events.iter().any(|name| !world.events.contains_key(name));
            if dirty.all_events || dirty.events.len() > SINGLY || gone() {
                messages.push(Msg::Events(world.events.values().cloned().collect()));
            } else {
                let new = dirty.events.iter().filter_map(|name| world.events.get(name));
                messages.extend(new.map(|event| Msg::Event(Box::new(event.clone()))));
            }
        }
        messages.into_iter().try_for_each(|message| self.told.send(message))
    }

    fn set_pace(&self, rows: &[Row]) {
        let step = if rows.iter().any(Row::under_way) { MEASURE.0 } else { MEASURE.1 };
        // The window of the checks, so that the screen shows the numbers that the verdict is made of.
        let window = rows.iter().filter_map(|row| row.window).min().unwrap_or(Duration::from_secs(60));
        let pace = Pace { step, window: window.max(Duration::from_secs(1)) };
        self.pace.send_if_modified(|present| std::mem::replace(present, pace) != pace);
    }
}

async fn role_changed(role: &mut Option<watch::Receiver<Role>>) {
    match role {
        Some(receiver) => {
            if receiver.changed().await.is_err() {
                *role = None;
            }
        }
        None => std::future::pending().await,
    }
}

/// One row for each canary.
pub fn rows(world: &World, min_interval: Duration) -> Vec<Row> {
    let row = |canary: &crate::cluster::CanaryRecord| {
        let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref());
        let target = world.workloads.get(spec.map_or(canary.name.as_str(), |spec| spec.target.as_str()));
        let primary = match spec {
            Some(spec) => world.workloads.get(&spec.primary()),
            None => world.workloads.get(&format!("{}-primary", canary.name)),
        };
        Row::of(&Records {
            canary,
            target,
            workloads_listed: world.listed.contains(&Source::Deployments),
            primary,
            live: spec.and_then(|spec| world.live(spec)),
            revision: target.and_then(|target| world.revision_name(canary, target)),
            min_interval,
        })
    };
    world.canaries.values().map(row).collect()
}

/// How the sources are doing.
fn links(world: &World) -> Msg {
    let link = |source: Source| match world.health.get(&source) {
        None | Some(Health::Connecting) => Link::Connecting,
        Some(Health::Live) => Link::Live,
        Some(Health::Lost { since, error }) => Link::Lost { since: *since, why: error.clone() },
        Some(Health::Forbidden { error }) => Link::Forbidden { what: error.clone() },
    };
    let mut cluster = link(Source::Canaries);
    let mut missing = Vec::new();
    for source in [Source::Deployments, Source::ReplicaSets, Source::Events, Source::Lease] {
        match link(source) {
            // Any of them lost means that something on the screen is old; the longest since is what counts.
            Link::Lost { since, why } => match &cluster {
                Link::Lost { since: longer, .. } if *longer <= since => {}
                Link::Live | Link::Lost { .. } => cluster = Link::Lost { since, why },
                _ => {}
            },
            Link::Forbidden { what } => missing.push(format!("{source} may not be read: {what}")),
            _ => {}
        }
    }
    let routes = world.providers().into_iter().map(|provider| match link(Source::Routes(provider)) {
        // The mirror says this way that the cluster has no such kind.
        Link::Forbidden { what } if what.contains("serves no") => Link::Absent { why: what },
        link => link,
    });
    // One lamp stands for all providers: the first that is not live tells.
    let routes = routes.reduce(|one, other| if one == Link::Live { other } else { one }).unwrap_or(Link::Connecting);
    Msg::Cluster { cluster, routes, missing }
}

/// Who drives, as far as this process can tell.
fn driver(world: &World, role: Option<&Role>, flagger: bool, now: DateTime<Utc>) -> Driver {
    if role == Some(&Role::Driving) {
        return Driver::Here;
    }
    let at_work = matches!(role, Some(Role::Observing(why)) if why.starts_with("Flagger"));
    if at_work || flagger || (role.is_none() && flagger::wrote_recently(world, now).is_some()) {
        return Driver::Flagger;
    }
    let live = matches!(world.health.get(&Source::Lease), Some(Health::Live));
    match (world.driver(now), role) {
        (lease::Driver::Somebody(holder), _) => Driver::Other { holder },
        _ if !live => Driver::Looking,
        // It is about to be this console.
        (_, Some(Role::Waiting)) => Driver::Looking,
        (_, Some(Role::Observing(why))) => Driver::Nobody { why: Some(why.clone()) },
        (_, _) => Driver::Nobody { why: None },
    }
}

/// Asks Prometheus again and again.
struct Measuring {
    told: Teller,
    locator: Locator,
    namespace: String,
    clock: Clock,
    pace: watch::Receiver<Pace>,
}

impl Measuring {
    async fn run(mut self) {
        let mut lost: Option<DateTime<Utc>> = None;
        let mut reached = false;
        let mut last: Option<DateTime<Utc>> = None;
        loop {
            let pace = *self.pace.borrow_and_update();
            let asked = Instant::now();
            let message = match self.measure(pace.window).await {
                Ok(measured) => {
                    (lost, reached) = (None, true);
                    let now = self.clock.now();
                    // A pause in measuring is a gap in the charts, not a value that lasted.
                    let longest = pace.step.as_secs().max(MEASURE.1.as_secs()) as i64 + 2;
                    let since = last.map_or(1, |last| (now - last).num_seconds());
                    let span = if since > longest { 1 } else { since.max(1) };
                    last = Some(now);
                    let (workloads, problems) = measured;
                    Msg::Measured { at: now, span, workloads, problems }
                }
                Err(why) if reached => {
                    let since = *lost.get_or_insert_with(|| self.clock.now());
                    Msg::Prometheus(Link::Lost { since, why })
                }
                Err(why) => Msg::Prometheus(Link::Absent { why }),
            };
            if self.told.send(message).is_err() {
                return;
            }
            // A change of the pace counts at once: a rollout has begun.
            let mut due = asked + pace.step;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => break,
                    changed = self.pace.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        due = due.min(Instant::now().max(asked + self.pace.borrow_and_update().step));
                    }
                }
            }
        }
    }

    /// All numbers of the namespace, or why Prometheus does not answer.
    async fn measure(&self, window: Duration) -> Result<(BTreeMap<Key, Measures>, [Option<String>; 4]), String> {
        let prometheus = self.locator.any().await?;
        let snapshot = prometheus.snapshot(&self.namespace, window).await;
        if snapshot.unanswered()
            && let Err(error) = prometheus.ping().await
        {
            self.locator.forget().await;
            return Err(error.to_string());
        }
        let workloads = snapshot.workloads.iter().map(|(name, found)| {
            let measures = Measures([found.cpu_cores, found.memory_bytes, found.success, found.p99_ms]);
            (Key::new(&self.namespace, name), measures)
        });
        let problem = |metric: Metric| snapshot.problems.get(&metric).cloned();
        let problems = [Metric::Cpu, Metric::Memory, Metric::Success, Metric::P99].map(problem);
        Ok((workloads.collect(), problems))
    }
}

/// Tells what Prometheus remembers of two workloads.
async fn remember(prometheus: &Prometheus, told: &Teller, workloads: [&Key; 2], window: Duration, now: DateTime<Utc>) {
    let step = MEASURE.0;
    let from = now - chrono::Duration::from_std(REMEMBERED).unwrap_or_default();
    let history = prometheus
        .history(&workloads[0].namespace, workloads.map(|key| key.name.as_str()), window, (from, now), step)
        .await;
    for workload in workloads {
        let mut samples: BTreeMap<DateTime<Utc>, Measures> = BTreeMap::new();
        for (at, metric) in [Metric::Cpu, Metric::Memory, Metric::Success, Metric::P99].into_iter().enumerate() {
            let points = history.points.get(&(workload.name.clone(), metric));
            for (time, value) in points.into_iter().flatten() {
                samples.entry(*time).or_default().0[at] = Some(*value);
            }
        }
        let message = Msg::Remembered {
            workload: workload.clone(),
            span: step.as_secs() as i64,
            samples: samples.into_iter().collect(),
        };
        if told.send(message).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn world(lease: Option<serde_json::Value>) -> World {
        let now = DateTime::UNIX_EPOCH;
        let lease = lease.map(|lease| lease::LeaseRecord::of(&lease, None, now));
        let mut world = World { lease, ..World::default() };
        world.health.insert(Source::Lease, Health::Live);
        world
    }

    fn held() -> Option<serde_json::Value> {
        Some(json!({"spec": {"holderIdentity": "alice@bastion (1)", "renewTime": "1970-01-01T00:00:00Z"}}))
    }

    #[test]
    fn who_drives_is_said_from_the_lease_and_the_role() {
        let now = DateTime::UNIX_EPOCH;
        let late = now + chrono::Duration::seconds(60);
        let other = Driver::Other { holder: "alice@bastion (1)".into() };
        let observing = Role::Observing("you may not patch canaries.flagger.app in prod".into());
        let why = match &observing {
            Role::Observing(why) => Some(why.clone()),
            _ => None,
        };
        for (lease, role, at, wanted) in [
            (held(), Some(Role::Driving), now, Driver::Here),
            (held(), Some(Role::Waiting), now, other.clone()),
            (held(), None, now, other),
            (held(), None, late, Driver::Nobody { why: None }),
            (held(), Some(Role::Waiting), late, Driver::Looking),
            (None, None, now, Driver::Nobody { why: None }),
            (None, Some(observing), now, Driver::Nobody { why }),
            (None, Some(Role::Observing("Flagger is at work: x".into())), now, Driver::Flagger),
        ] {
            assert_eq!(driver(&world(lease), role.as_ref(), false, at), wanted, "{role:?}");
        }
        assert_eq!(driver(&world(None), None, true, now), Driver::Flagger);
    }

    #[test]
    fn any_lost_watch_makes_the_screen_old() {
        let mut world = world(None);
        let since = DateTime::UNIX_EPOCH;
        for source in [Source::Canaries, Source::Deployments, Source::ReplicaSets, Source::Events] {
            world.health.insert(source, Health::Live);
        }
        world.health.insert(Source::Events, Health::Lost { since, error: "closed".into() });
        world.health.insert(Source::Deployments, Health::Forbidden { error: "no".into() });
        let Msg::Cluster { cluster, missing, routes } = links(&world) else { panic!() };
        assert_eq!(cluster, Link::Lost { since, why: "closed".into() });
        assert_eq!(missing, ["deployments.apps may not be read: no"]);
        assert_eq!(routes, Link::Connecting);
    }

    #[test]
    fn a_row_is_derived_from_its_records() {
        let canary = json!({
            "metadata": {"name": "app", "namespace": "prod"},
            "spec": {
                "targetRef": {"kind": "Deployment", "name": "app"}, "service": {"port": 80},
                "analysis": {"interval": "1s", "threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"}]},
            },
            "status": {"phase": "Progressing", "canaryWeight": 20, "lastTransitionTime": "2026-11-22T12:00:00Z"},
        });
        let mut world = World::default();
        world.canaries.insert("app".into(), crate::cluster::CanaryRecord::of(&canary));
        let unknown = &rows(&world, Duration::from_secs(10))[0];
        assert!(unknown.problems.is_empty(), "before the workloads are listed nothing is said of what is not there");
        world.listed.insert(Source::Deployments);
        let rows = rows(&world, Duration::from_secs(10));
        let row = &rows[0];
        assert_eq!(row.steps, [10, 20, 30, 40, 50]);
        assert_eq!(row.next_check, Some("2026-11-22T12:00:10Z".parse().unwrap()), "the driver's least interval counts");
        assert_eq!((row.weight(), row.live_weight), (20, None));
        assert_eq!((row.limits.success_min, row.window), (Some(99.0), Some(Duration::from_secs(30))));
        assert_eq!(row.problems, ["its target, the Deployment app, does not exist"]);
    }
}
