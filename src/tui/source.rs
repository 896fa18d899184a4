//! Where the console's messages come from: the mirror of the cluster, the controller, and Prometheus; and where its
//! commands go. Everything in here waits on the network, so that the console itself never does.

use super::answers::Desk;
use super::counting::Counting;
use super::history::{METRICS, Measures, Problems, Range};
use super::message::{Msg, Outcome, Teller};
use super::model::{Link, Notice, Tone, Wish};
use super::own_checks::Judging;
use super::reading::Inquiry;
use super::recalling::Recalling;
use super::reporting;
use super::row::Key;
use super::switch::Goal;
use super::watching::Watching;
use super::worlds::Worlds;
use crate::cluster::connect::{code, explain};
use crate::cluster::kinds::KindsError;
use crate::cluster::lease;
use crate::cluster::vouching::Names;
use crate::cluster::{
    Clock, Connection, Fleet, For, Health, Kinds, Mirror, Source, Survey, access, histories, requests, vouching,
};
use crate::controller::{self, Controller, Role};
use crate::metrics::{Locator, Metric, QueryError};
use crate::report::Asked;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Between two measurements while a rollout is under way, and while all is at rest.
pub(super) const MEASURE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// How long the outcome of a request is waited for: an advance waits for its checks.
const OUTCOME: Duration = Duration::from_secs(20);

/// How long a namespace that may be read is looked for: whoever wants to leave waits for it.
const READABLE: Duration = Duration::from_secs(3);

/// What is measured, in the order of [`Measures`].
pub(super) const ASKED: [Metric; METRICS] = [Metric::Cpu, Metric::Memory, Metric::Success, Metric::P99, Metric::Rps];

/// What the source needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Look at all namespaces, and only look on.
    pub everywhere: bool,
    /// How to drive; None never drives.
    pub controller: Option<controller::Options>,
    /// Address of Prometheus from the command line.
    pub prometheus: Option<String>,
    /// Namespaces that the config file names, for whoever may not look at all.
    pub namespaces: Vec<String>,
}

/// Tells the console everything and carries its commands out.
pub struct Feed {
    told: Teller,
    commands: mpsc::UnboundedReceiver<Order>,
    connection: Connection,
    clock: Clock,
    options: Options,
    /// What was asked before the cluster was reached.
    unanswered: Option<Inquiry>,
    /// The workloads of the canary that was selected before the cluster was reached.
    selected: Option<[Key; 2]>,
}

/// Why a source has ended.
enum Ended {
    /// The console asks it no more.
    Left,
    /// Not all namespaces may be looked at; in the API server's words.
    Forbidden(String),
}

/// What the console asks of its source.
#[derive(Clone, Debug)]
pub enum Order {
    Send(Wish),
    /// A canary was selected: tell from now on of its pods, and what its own checks read.
    Remember {
        primary: Key,
        canary: Key,
    },
    /// Answer this from now on, and nothing that was asked before.
    Read(Option<Inquiry>),
    /// Tell which versions a canary's target had.
    LookBack {
        asked: u64,
        canary: Key,
    },
    /// Write down what happened in a canary's rollout.
    Report {
        canary: Key,
        /// None: the present folder.
        folder: Option<PathBuf>,
    },
    /// Tell what Prometheus remembers of these workloads.
    Recall {
        primary: Key,
        canary: Key,
        range: Range,
    },
    /// Stop driving, and open another source.
    Go {
        generation: u64,
        goal: Goal,
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
        Self { told, commands, connection, clock, options, unanswered: None, selected: None }
    }

    /// Runs until told to stop or until nobody listens. A lease that is held is given back.
    pub async fn run(mut self) {
        let Some(kinds) = self.kinds().await else { return };
        if self.options.everywhere {
            let fleet = Fleet::start(&self.connection.client, &kinds, self.clock.clone(), For::Screen);
            match self.serve(&kinds, Worlds::All(fleet), None).await {
                Ended::Left => return,
                Ended::Forbidden(why) => {
                    if let Some(namespace) = self.readable().await {
                        self.connection = self.connection.of(&namespace);
                    }
                    let namespace = self.connection.namespace.clone();
                    tracing::warn!(%namespace, %why, "not all namespaces may be looked at");
                    if self.told.send(Msg::Narrowed { namespace, why }).is_err() {
                        return;
                    }
                }
            }
        }
        // Whoever asked for all namespaces asked to look on.
        let driving = self.options.controller.clone().filter(|_| !self.options.everywhere);
        let Connection { client, namespace, .. } = &self.connection;
        let reader = if driving.is_some() { For::Driver } else { For::Screen };
        let mirror = Mirror::start(client, &kinds, namespace, self.clock.clone(), reader);
        let worlds = Worlds::One { namespace: namespace.clone(), mirror: mirror.clone() };
        let locator = self.locator(namespace);
        let controller = driving.map(|options| {
            let (connection, clock) = (self.connection.clone(), self.clock.clone());
            Controller::start(connection, kinds.clone(), mirror, locator, clock, options)
        });
        let role = controller.as_ref().map(Controller::role);
        self.serve(&kinds, worlds, role).await;
        if let Some(controller) = controller {
            controller.stop().await;
        }
    }

    /// The first namespace whose canaries may be listed: the context's own, then those that the config file names. None
    /// where there is none.
    async fn readable(&self) -> Option<String> {
        let own = std::iter::once(&self.connection.namespace);
        let find = async {
            for namespace in own.chain(&self.options.namespaces) {
                if access::lacks(&self.connection.client, namespace, &[access::TO_LOOK]).await.is_none() {
                    return Some(namespace.clone());
                }
            }
            None
        };
        tokio::time::timeout(READABLE, find).await.unwrap_or_default()
    }

    fn locator(&self, namespace: &str) -> Locator {
        Locator::new(self.connection.client.clone(), namespace, self.options.prometheus.as_deref())
    }

    /// Tells what there is, and carries out what is asked, until told to stop.
    async fn serve(&mut self, kinds: &Kinds, worlds: Worlds, role: Option<watch::Receiver<Role>>) -> Ended {
        let locator = match &worlds {
            Worlds::One { namespace, .. } => self.locator(namespace),
            Worlds::All(_) => self.locator(access::EVERYWHERE),
        };
        let by = Arc::new(tokio::sync::OnceCell::new());
        let (pace_in, pace) = watch::channel(Pace { step: MEASURE.1, window: Duration::from_secs(60) });
        // Dropping the set ends whatever is still under way.
        let mut tasks = tokio::task::JoinSet::new();
        let survey = Survey::new(self.connection.client.clone(), self.clock.clone());
        // The names of the canaries are what the operator waits for: what else is asked comes after them, because each
        // question beside that one opens a connection of its own.
        let listed = canaries_listed(worlds.whole()).shared();
        if !worlds.are_all() {
            let rights = rights(self.connection.clone(), worlds.whole(), self.told.clone());
            tasks.spawn(listed.clone().then(|()| rights));
        }
        tasks.spawn(listed.clone().then({
            let namespaces = namespaces(self.connection.clone(), kinds.clone(), self.told.clone());
            |()| namespaces
        }));
        let measuring = Measuring {
            told: self.told.clone(),
            locator: locator.clone(),
            worlds: worlds.clone(),
            clock: self.clock.clone(),
            pace: pace.clone(),
        };
        tasks.spawn(listed.clone().then(|()| measuring.run()));
        let (selected_in, selected) = watch::channel(None);
        let judging = Judging {
            told: self.told.clone(),
            locator: locator.clone(),
            worlds: worlds.clone(),
            pace: pace.clone(),
            selected,
        };
        tasks.spawn(listed.then(|()| judging.run()));
        let (shown_in, shown) = watch::channel(None);
        let counting = Counting {
            told: self.told.clone(),
            client: self.connection.client.clone(),
            worlds: worlds.clone(),
            selected: shown,
        };
        tasks.spawn(counting.run());
        let min_interval = self.options.controller.as_ref().map_or(Duration::ZERO, |options| options.min_interval);
        let watching = Watching::new(
            self.told.clone(),
            worlds.clone(),
            self.connection.clone(),
            self.clock.clone(),
            role,
            min_interval,
            pace_in,
        );
        tasks.spawn(watching.run());
        let desk = Desk {
            told: self.told.clone(),
            connection: self.connection.clone(),
            kinds: kinds.clone(),
            worlds: worlds.clone(),
            locator: locator.clone(),
        };
        if let Some([primary, canary]) = self.selected.take() {
            selected_in.send_replace(Some(canary.clone()));
            shown_in.send_replace(Some([primary, canary]));
        }
        let mut answering = self.unanswered.take().map(|ask| tasks.spawn(desk.clone().answer(ask)));
        let mut vouched: BTreeMap<String, Instant> = BTreeMap::new();
        let mut looking: Option<AbortHandle> = None;
        let whole = worlds.whole();
        let mut count = whole.count();
        loop {
            let order = tokio::select! {
                order = self.commands.recv() => order,
                changed = count.changed(), if worlds.are_all() => {
                    let forbidden = match whole.read().health.get(&Source::Canaries) {
                        Some(Health::Forbidden { error }) => Some(error.clone()),
                        _ => None,
                    };
                    match (forbidden, changed) {
                        (Some(why), _) if !whole.read().listed.contains(&Source::Canaries) => {
                            tasks.shutdown().await;
                            return Ended::Forbidden(why);
                        }
                        (_, Ok(())) => continue,
                        (_, Err(_)) => break,
                    }
                }
            };
            match order {
                None | Some(Order::Stop | Order::Go { .. }) => break,
                Some(Order::Read(ask)) => {
                    if let Some(answering) = answering.take() {
                        answering.abort();
                    }
                    answering = ask.map(|ask| tasks.spawn(desk.clone().answer(ask)));
                }
                Some(Order::LookBack { asked, canary }) => {
                    // Nobody waits for the answer to the question before.
                    if let Some(looking) = looking.take() {
                        looking.abort();
                    }
                    looking = Some(tasks.spawn(desk.clone().look_back(asked, canary)));
                }
                Some(Order::Send(wish)) => {
                    let (kinds, clock) = (kinds.clone(), self.clock.clone());
                    let connection = self.connection.of(&wish.canary.namespace);
                    let (told, mirror, by) = (self.told.clone(), worlds.of(&wish.canary.namespace), by.clone());
                    tasks.spawn(async move {
                        // Who could not be told the caller's name asks again the next time.
                        let by = by.get_or_try_init(|| access::whoami(&connection.client)).await.cloned();
                        let by = by.unwrap_or_else(|error| {
                            tracing::warn!(%error, "who am I");
                            lease::identity()
                        });
                        let outcome = send(&connection, &kinds, &by, mirror.as_ref(), &wish, &clock).await;
                        let _ = told.send(Msg::Outcome { wish, outcome });
                    });
                }
                Some(Order::Report { canary, folder }) => {
                    let asked = Asked {
                        context: self.connection.context.clone(),
                        namespace: canary.namespace,
                        canary: canary.name,
                        now: self.clock.now(),
                        names: Names::Unknown,
                    };
                    let (told, locator) = (self.told.clone(), locator.of(&asked.namespace));
                    let mirror = worlds.of(&asked.namespace);
                    let (client, kinds) = (self.connection.client.clone(), kinds.clone());
                    tasks.spawn(async move {
                        let kept = histories::read(&client, &kinds, &asked.namespace, &asked.canary).await;
                        let names = vouching::names(&client, &asked.namespace).await;
                        let asked = Asked { names, ..asked };
                        let notice = reporting::report(mirror.as_ref(), &locator, kept, asked, folder).await;
                        let _ = told.send(Msg::Notice(notice));
                    });
                }
                Some(Order::Remember { primary, canary }) => {
                    selected_in.send_replace(Some(canary.clone()));
                    shown_in.send_replace(Some([primary.clone(), canary.clone()]));
                    if worlds.are_all() {
                        tasks.spawn(rights_in(survey.clone(), canary.namespace.clone(), self.told.clone()));
                        // Whoever goes up and down asks nothing again and again.
                        if vouched.get(&canary.namespace).is_none_or(|asked| asked.elapsed() >= VOUCHED) {
                            vouched.insert(canary.namespace.clone(), Instant::now());
                            let client = self.connection.client.clone();
                            tasks.spawn(names_in(client, canary.namespace, self.told.clone()));
                        }
                    }
                }
                Some(Order::Recall { primary, canary, range }) => {
                    let recalling = Recalling {
                        told: self.told.clone(),
                        locator: locator.clone(),
                        workloads: [primary, canary],
                        window: pace.borrow().window,
                        range,
                    };
                    tasks.spawn(recalling.run(self.clock.now()));
                }
            }
            while tasks.try_join_next().is_some() {}
        }
        tasks.shutdown().await;
        Ended::Left
    }

    /// Which versions the cluster serves; asks again until it answers. None: the console has ended.
    async fn kinds(&mut self) -> Option<Kinds> {
        let mut since: Option<DateTime<Utc>> = None;
        let mut wait = Duration::from_millis(200);
        loop {
            let client = self.connection.client.clone();
            let discovery = Kinds::discover(&client);
            tokio::pin!(discovery);
            let answer = loop {
                tokio::select! {
                    answer = &mut discovery => break answer,
                    order = self.commands.recv() => if self.ends_unreached(order) {
                        return None;
                    }
                }
            };
            let link = match answer {
                Ok(kinds) => return Some(kinds),
                Err(KindsError::NoCanary) => {
                    Link::Absent { why: "its API server serves no Canary (flagger.app)".into() }
                }
                Err(KindsError::Api(error)) if code(&error) == Some(403) => Link::Forbidden { what: explain(&error) },
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
                    order = self.commands.recv() => if self.ends_unreached(order) {
                        return None;
                    }
                }
            }
        }
    }

    /// Whether an order ends this source that comes before the cluster is reached.
    fn ends_unreached(&mut self, order: Option<Order>) -> bool {
        match order {
            None | Some(Order::Stop | Order::Go { .. }) => return true,
            Some(Order::Send(wish)) => {
                let outcome = Outcome::Failed("the cluster is not reached yet".into());
                let _ = self.told.send(Msg::Outcome { wish, outcome });
            }
            Some(Order::Read(ask)) => self.unanswered = ask,
            Some(Order::LookBack { asked, .. }) => {
                let past = Err("the cluster is not reached yet".into());
                let _ = self.told.send(Msg::Past { asked, past });
            }
            Some(Order::Report { .. }) => {
                let text = "the cluster is not reached yet".to_string();
                let _ = self.told.send(Msg::Notice(Notice { tone: Tone::Bad, text }));
            }
            Some(Order::Remember { primary, canary }) => self.selected = Some([primary, canary]),
            Some(Order::Recall { primary, canary, range }) => {
                for workload in [primary, canary] {
                    let samples = Err("the cluster is not reached yet".into());
                    let _ = self.told.send(Msg::Remembered { workload, range, samples });
                }
            }
        }
        false
    }
}

/// Until the canaries are listed, or it is known why not.
async fn canaries_listed(mirror: Mirror) {
    let mut count = mirror.count();
    while mirror.read().awaits_canaries() {
        if count.changed().await.is_err() {
            return;
        }
    }
}

/// How long a right that is lacking counts as lacking without asking again.
const LACKING: Duration = Duration::from_secs(60);

/// How long it counts, among all namespaces, whether the names on one's requests are checked.
const VOUCHED: Duration = Duration::from_secs(60);

/// Tells whether the operator may ask for anything, and whether the names on requests are checked: at the beginning, when
/// the API server is there again, and from time to time as long as the right is lacking. One that is taken away meanwhile
/// is found out by the request that needs it.
async fn rights(connection: Connection, mirror: Mirror, told: Teller) {
    let mut changed = mirror.count();
    loop {
        let lacking = access::lacks(&connection.client, &connection.namespace, &access::TO_REQUEST).await;
        let lacking = lacking.map(|right| format!("{right} in {}", connection.namespace));
        let again = if lacking.is_some() { LACKING } else { Duration::MAX };
        if told.send(Msg::Rights(lacking)).is_err() {
            return;
        }
        let returned = async {
            let mut lost = false;
            while changed.changed().await.is_ok() {
                match mirror.read().health.get(&Source::Canaries) {
                    Some(Health::Lost { .. } | Health::Forbidden { .. }) => lost = true,
                    Some(Health::Live) if lost => return,
                    _ => {}
                }
            }
            std::future::pending().await
        };
        let names = names_in(connection.client.clone(), connection.namespace.clone(), told.clone());
        let _ = futures::join!(tokio::time::timeout(again, returned), names);
    }
}

/// Tells which namespaces there are, as far as they may be listed.
async fn namespaces(connection: Connection, kinds: Kinds, told: Teller) {
    let named = access::namespaces(&connection.client, &kinds).await;
    let _ = told.send(Msg::Namespaces(named));
}

/// Tells whether the names on requests in a namespace are held to who wrote them.
async fn names_in(client: kube::Client, namespace: String, told: Teller) {
    let names = vouching::names(&client, &namespace).await;
    let _ = told.send(Msg::Names { namespace, names });
}

/// As [`rights`], for one namespace among all.
async fn rights_in(survey: Survey, namespace: String, told: Teller) {
    let lacking = survey.lacks(&namespace, &access::TO_REQUEST).await;
    let lacking = lacking.map(|right| format!("{right} in {namespace}"));
    let _ = told.send(Msg::RightsIn { namespace, lacking });
}

/// Writes a request and waits for its end.
async fn send(
    connection: &Connection,
    kinds: &Kinds,
    by: &str,
    mirror: Option<&Mirror>,
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
        Err(error) => match mirror.map_or(lease::Driver::Nobody, |mirror| mirror.read().driver(clock.now())) {
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

/// Why nothing was measured.
enum Unmeasured {
    /// Prometheus is there, and the API server does not let the operator through.
    Forbidden(String),
    Failed(String),
}

/// Asks Prometheus again and again.
struct Measuring {
    told: Teller,
    locator: Locator,
    worlds: Worlds,
    clock: Clock,
    pace: watch::Receiver<Pace>,
}

impl Measuring {
    async fn run(mut self) {
        let mut lost: Option<DateTime<Utc>> = None;
        let mut reached = false;
        let mut last: Option<DateTime<Utc>> = None;
        let mut count = self.worlds.whole().count();
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
                Err(Unmeasured::Forbidden(what)) => Msg::Prometheus(Link::Forbidden { what }),
                Err(Unmeasured::Failed(why)) if reached => {
                    let since = *lost.get_or_insert_with(|| self.clock.now());
                    Msg::Prometheus(Link::Lost { since, why })
                }
                Err(Unmeasured::Failed(why)) => Msg::Prometheus(Link::Absent { why }),
            };
            if self.told.send(message).is_err() {
                return;
            }
            // One that was lost is looked for again soon; a change of the pace counts at once: a rollout has begun.
            let mut due = asked + if lost.is_some() { MEASURE.0 } else { pace.step };
            let nothing = self.worlds.names().is_empty();
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => break,
                    // The first namespace has come.
                    Ok(()) = count.changed(), if nothing => if !self.worlds.names().is_empty() {
                        break;
                    },
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

    /// All numbers of the namespaces, or why Prometheus does not answer.
    async fn measure(&self, window: Duration) -> Result<(BTreeMap<Key, Measures>, Problems), Unmeasured> {
        let prometheus = self.locator.any().await.map_err(Unmeasured::Failed)?;
        let names = self.worlds.names();
        if names.is_empty() {
            return Ok(Default::default());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let overview = prometheus.overview(&names, window).await;
        if overview.unanswered()
            && let Err(error) = prometheus.ping().await
        {
            self.locator.forget().await;
            return Err(match &error {
                QueryError::Forbidden { .. } => Unmeasured::Forbidden(error.to_string()),
                _ => Unmeasured::Failed(error.to_string()),
            });
        }
        let problem = |metric: Metric| overview.problems.get(&metric).cloned();
        let problems = ASKED.map(problem);
        let workloads = overview.workloads.into_iter().map(|((namespace, name), found)| {
            (Key { namespace, name }, Measures(ASKED.map(|metric| found.get(metric))))
        });
        Ok((workloads.collect(), problems))
    }
}
