//! What the watches bring, told to the console: of each change, the rows that it concerns and no others.

use super::message::{Deaf, Msg, Teller};
use super::model::{Driver, Link};
use super::row::{Key, Records, Row, Rows};
use super::source::{MEASURE, Pace};
use super::worlds::Worlds;
use crate::api::Provider;
use crate::cluster::{
    CanaryRecord, Changed, Clock, Connection, EventRecord, Health, Mirror, Source, Survey, World, flagger, lease,
};
use crate::controller::Role;
use crate::controller::concern::Concerns;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Least time between two looks at the mirror: what comes in a burst is taken in together.
const GAP: Duration = Duration::from_millis(15);
/// Most rows of a namespace that are told at once, where it is not all of them: each is there twice until it has taken the
/// place of the one before.
const AT_ONCE: usize = 100;
/// Most Events that are told one by one; more at once are told as a whole.
const SINGLY: usize = 32;
/// Most Events that are told as a whole, the newest of all namespaces.
const EVENTS: usize = 2000;
/// Between two looks for Flagger.
const REVIEW: Duration = Duration::from_secs(60);

/// Turns what the mirrors hold into messages.
pub struct Watching {
    told: Teller,
    worlds: Worlds,
    clock: Clock,
    connection: Connection,
    survey: Survey,
    /// What this console is to the one namespace, where it would drive it.
    role: Option<watch::Receiver<Role>>,
    min_interval: Duration,
    pace: watch::Sender<Pace>,
    followed: BTreeMap<String, Followed>,
    /// Namespaces that have gone since the last look.
    left: Vec<String>,
    /// How the watches stand has changed, or who drives may have.
    links: bool,
    /// When the first of the leases that are known ends, as far as it was looked at.
    lease_ends: Option<DateTime<Utc>>,
    /// Who was said to drive.
    drivers: BTreeMap<String, Driver>,
    followers: JoinSet<()>,
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
}

/// A change in a namespace; None: more than could be kept.
type News = (Arc<str>, Option<Changed>);

/// One namespace.
struct Followed {
    number: u64,
    mirror: Mirror,
    concerns: Concerns,
    dirty: Dirty,
    /// Whether Flagger was seen at work.
    flagger: bool,
    follower: AbortHandle,
}

/// What has changed since the last look.
#[derive(Default)]
struct Dirty {
    rows: BTreeSet<String>,
    all_rows: bool,
    events: BTreeSet<String>,
    all_events: bool,
}

impl Watching {
    /// Watches `worlds` and tells `told`; `role` is what this console is to the one namespace.
    pub fn new(
        told: Teller,
        worlds: Worlds,
        connection: Connection,
        clock: Clock,
        role: Option<watch::Receiver<Role>>,
        min_interval: Duration,
        pace: watch::Sender<Pace>,
    ) -> Self {
        let survey = Survey::new(connection.client.clone(), clock.clone());
        Self {
            told,
            worlds,
            clock,
            connection,
            survey,
            role,
            min_interval,
            pace,
            followed: BTreeMap::new(),
            left: Vec::new(),
            links: true,
            lease_ends: None,
            drivers: BTreeMap::new(),
            followers: JoinSet::new(),
            news: mpsc::unbounded_channel(),
        }
    }

    /// Runs until nobody listens.
    pub async fn run(mut self) {
        let whole = self.worlds.whole();
        let mut count = whole.count();
        let mut review = Instant::now();
        let mut whole_changed = true;
        loop {
            if whole_changed {
                count.borrow_and_update();
                self.links = true;
                if self.follow() {
                    review = review.min(Instant::now() + GAP);
                }
            }
            // Whatever else keeps it awake.
            self.links |= self.lease_ends.is_some_and(|ends| ends < self.clock.now());
            if self.tell().is_err() {
                return;
            }
            // The first rows are what the operator waits for: until they are told nothing is gathered, and nothing else
            // is asked.
            let listed = !whole.read().awaits_canaries();
            if listed && self.role.is_none() && Instant::now() >= review {
                self.look_for_flagger().await;
                review = Instant::now() + REVIEW;
                if self.tell().is_err() {
                    return;
                }
            }
            let rest = self.followed.values().any(|one| !one.dirty.rows.is_empty());
            if listed || rest {
                tokio::time::sleep(GAP).await;
            }
            let until_lease_ends = self.until_lease_ends();
            whole_changed = false;
            tokio::select! {
                Some(news) = self.news.1.recv() => self.note(news),
                () = role_changed(&mut self.role) => self.links = true,
                changed = count.changed(), if self.worlds.are_all() => match changed {
                    Ok(()) => whole_changed = true,
                    Err(_) => return,
                },
                () = std::future::ready(()), if rest => {}
                () = tokio::time::sleep(until_lease_ends) => self.links = true,
                () = tokio::time::sleep_until(review), if listed && self.role.is_none() => {}
            }
            while let Ok(news) = self.news.1.try_recv() {
                self.note(news);
            }
        }
    }

    /// Follows the namespaces that have come, and those that have gone no more. Whether one has come.
    fn follow(&mut self) -> bool {
        let members = self.worlds.members();
        let stays = |name: &String, one: &Followed| members.get(name).is_some_and(|(number, _)| *number == one.number);
        for (name, one) in self.followed.extract_if(.., |name, one| !stays(name, one)) {
            one.follower.abort();
            self.left.push(name);
        }
        let mut came = false;
        for (namespace, (number, mirror)) in members {
            if self.followed.contains_key(&namespace) {
                continue;
            }
            came = true;
            let name: Arc<str> = namespace.as_str().into();
            let (mut changes, news) = (mirror.changes(), self.news.0.clone());
            let follower = self.followers.spawn(async move {
                loop {
                    let changed = match changes.recv().await {
                        Ok(changed) => Some(changed),
                        Err(broadcast::error::RecvError::Lagged(_)) => None,
                        Err(broadcast::error::RecvError::Closed) => return,
                    };
                    if news.send((name.clone(), changed)).is_err() {
                        return;
                    }
                }
            });
            let mut concerns = Concerns::default();
            concerns.renew(&mirror.read());
            let dirty = Dirty { all_rows: true, all_events: true, ..Dirty::default() };
            self.followed.insert(namespace, Followed { number, mirror, concerns, dirty, flagger: false, follower });
        }
        // Those that have ended.
        while self.followers.try_join_next().is_some() {}
        came
    }

    fn note(&mut self, (namespace, changed): News) {
        // One that has gone has nothing to say any more.
        let Some(one) = self.followed.get_mut(&*namespace) else { return };
        let Some(changed) = changed else {
            one.concerns.renew(&one.mirror.read());
            one.dirty = Dirty { all_rows: true, all_events: true, ..Dirty::default() };
            self.links = true;
            return;
        };
        self.links |= changed.name.is_empty() || changed.source == Source::Lease;
        one.note(changed);
    }

    /// Whoever only watches still says that Flagger drives. Where nobody can tell, what was last known stands.
    async fn look_for_flagger(&mut self) {
        let everywhere = self.worlds.are_all();
        for (namespace, one) in &mut self.followed {
            let sign = match everywhere {
                true => self.survey.flagger_at_work(namespace).await,
                false => flagger::at_work(&self.connection.client, namespace, self.clock.now()).await,
            };
            one.flagger = sign.map_or(one.flagger, |sign| sign.is_some());
        }
        self.links = true;
    }

    /// Time until the lease ends that was to end first when it was last said who drives; far off where there is none.
    fn until_lease_ends(&self) -> Duration {
        let now = self.clock.now();
        let left = self.lease_ends.map(|ends| (ends - now).to_std().unwrap_or_default());
        left.map_or(Duration::from_secs(3600), |left| left + Duration::from_millis(50))
    }

    fn tell(&mut self) -> Result<(), Deaf> {
        let mut messages = Vec::new();
        if std::mem::take(&mut self.links) {
            self.tell_links(&mut messages);
        }
        let rows_changed = self.tell_rows(&mut messages);
        self.tell_events(&mut messages);
        self.left.clear();
        if rows_changed {
            self.set_pace();
        }
        messages.into_iter().try_for_each(|message| self.told.send(message))
    }

    fn tell_links(&mut self, messages: &mut Vec<Msg>) {
        let mut providers = BTreeSet::new();
        self.followed.values().for_each(|one| providers.extend(one.mirror.read().providers()));
        if providers.is_empty() {
            providers.insert(Provider::default());
        }
        messages.push(links(&self.worlds.whole().read(), &providers));
        let now = self.clock.now();
        let leases = self.followed.values().map(|one| one.mirror.read().lease.as_ref().map(lease::LeaseRecord::ends));
        self.lease_ends = leases.flatten().filter(|ends| *ends >= now).min();
        let role = self.role.as_ref().map(|role| role.borrow().clone());
        let of = |one: &Followed| driver(&one.mirror.read(), role.as_ref(), one.flagger, now);
        if !self.worlds.are_all() {
            messages.extend(self.followed.values().map(|one| Msg::Driver(of(one))));
            return;
        }
        let drivers: BTreeMap<String, Driver> =
            self.followed.iter().map(|(name, one)| (name.clone(), of(one))).collect();
        if drivers != self.drivers {
            self.drivers = drivers.clone();
            messages.push(Msg::Drivers(drivers));
        }
    }

    /// The rows that have changed; whether there are any.
    fn tell_rows(&mut self, messages: &mut Vec<Msg>) -> bool {
        let mut whole = std::mem::take(&mut self.left);
        self.left.clone_from(&whole);
        let (mut rows, mut gone) = (Rows::new(), Vec::new());
        for (namespace, one) in &mut self.followed {
            let world = one.mirror.read();
            if std::mem::take(&mut one.dirty.all_rows) {
                one.dirty.rows.clear();
                whole.push(namespace.clone());
                rows.extend(self::rows(&world, self.min_interval));
                continue;
            }
            for name in first(&mut one.dirty.rows, AT_ONCE) {
                match world.canary(&name) {
                    Some(canary) => rows.push(row(&world, &canary, self.min_interval).into()),
                    None => gone.push(Key::new(namespace, &name)),
                }
            }
        }
        if whole.is_empty() && rows.is_empty() && gone.is_empty() {
            return false;
        }
        messages.push(Msg::Changed { whole, rows, gone });
        true
    }

    fn tell_events(&mut self, messages: &mut Vec<Msg>) {
        let gone = |one: &Followed| {
            let world = one.mirror.read();
            one.dirty.events.iter().any(|name| !world.events.contains_key(name.as_str()))
        };
        let all = !self.left.is_empty()
            || self.followed.values().any(|one| one.dirty.all_events || one.dirty.events.len() > SINGLY || gone(one));
        if all {
            let mut events: Vec<Arc<EventRecord>> = Vec::new();
            for one in self.followed.values_mut() {
                (one.dirty.all_events, one.dirty.events) = (false, BTreeSet::new());
                events.extend(one.mirror.read().events.values().cloned());
            }
            let surplus = events.len().saturating_sub(EVENTS);
            if surplus > 0 {
                events.sort_by(|a, b| a.last.cmp(&b.last).then_with(|| a.version.cmp(&b.version)));
                events.drain(..surplus);
            }
            messages.push(Msg::Events(events));
            return;
        }
        for one in self.followed.values_mut() {
            let world = one.mirror.read();
            let new = std::mem::take(&mut one.dirty.events)
                .into_iter()
                .filter_map(|name| world.events.get(name.as_str()).cloned());
            messages.extend(new.map(Msg::Event));
        }
    }

    fn set_pace(&self) {
        let (mut under_way, mut window) = (false, None::<Duration>);
        for one in self.followed.values() {
            for (_, gist) in one.mirror.read().gists() {
                under_way |= gist.under_way;
                window = [window, gist.window].into_iter().flatten().min();
            }
        }
        let step = if under_way { MEASURE.0 } else { MEASURE.1 };
        // The window of the checks, so that the screen shows the numbers that the verdict is made of.
        let window = window.unwrap_or(Duration::from_secs(60)).max(Duration::from_secs(1));
        let pace = Pace { step, window };
        self.pace.send_if_modified(|present| std::mem::replace(present, pace) != pace);
    }
}

impl Followed {
    fn note(&mut self, changed: Changed) {
        let Changed { source, name } = changed;
        match source {
            Source::Events if name.is_empty() => self.dirty.all_events = true,
            Source::Events => drop(self.dirty.events.insert(name)),
            Source::Rules(_)
            | Source::Services
            | Source::ConfigMaps
            | Source::Secrets
            | Source::Scalers
            | Source::Lease => {}
            _ => {
                let world = self.mirror.read();
                match (source, name.is_empty()) {
                    (Source::Canaries, true) => self.concerns.renew(&world),
                    (Source::Canaries, false) => self.concerns.note(&world, &name),
                    _ => {}
                }
                match source {
                    // Some may be gone.
                    Source::Canaries if name.is_empty() => self.dirty.all_rows = true,
                    _ => self.dirty.rows.extend(self.concerns.concerned(&world, source, &name)),
                }
            }
        }
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

/// Takes so many of these, and leaves the others.
fn first(names: &mut BTreeSet<String>, count: usize) -> BTreeSet<String> {
    let rest = names.iter().nth(count).cloned().map(|from| names.split_off(&from));
    std::mem::replace(names, rest.unwrap_or_default())
}

/// One row for each canary.
pub fn rows(world: &World, min_interval: Duration) -> Rows {
    let canaries = world.gists().filter_map(|(name, _)| world.canary(name));
    canaries.map(|canary| row(world, &canary, min_interval).into()).collect()
}

fn row(world: &World, canary: &CanaryRecord, min_interval: Duration) -> Row {
    let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref());
    let target = world.workload(spec.map_or(canary.name.as_str(), |spec| spec.target.as_str()));
    let primary = match spec {
        Some(spec) => world.workload(&spec.primary()),
        None => world.workload(&format!("{}-primary", canary.name)),
    };
    Row::of(&Records {
        canary,
        target: target.as_deref(),
        workloads_listed: world.listed.contains(&Source::Deployments),
        primary: primary.as_deref(),
        live: spec.and_then(|spec| world.live(spec)),
        revision: target.as_deref().and_then(|target| world.revision_name(canary, target)),
        min_interval,
    })
}

/// How the sources are doing.
fn links(world: &World, providers: &BTreeSet<Provider>) -> Msg {
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
    let routes = providers.iter().map(|provider| match link(Source::Routes(*provider)) {
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
        let Msg::Cluster { cluster, missing, routes } = links(&world, &world.providers()) else { panic!() };
        assert_eq!(cluster, Link::Lost { since, why: "closed".into() });
        assert_eq!(missing, ["deployments.apps may not be read: no"]);
        assert_eq!(routes, Link::Connecting);
    }

    #[test]
    fn of_many_names_some_are_taken_at_a_time_and_none_is_lost() {
        let mut names: BTreeSet<String> = (0..5).map(|nth| nth.to_string()).collect();
        let mut taken = Vec::new();
        while !names.is_empty() {
            taken.push(first(&mut names, 2).into_iter().collect::<Vec<_>>().concat());
        }
        assert_eq!(taken, ["01", "23", "4"]);
        assert!(first(&mut names, 2).is_empty());
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
        assert_eq!(row.rules.steps, [10, 20, 30, 40, 50]);
        assert_eq!(row.next_check, Some("2026-11-22T12:00:10Z".parse().unwrap()), "the driver's least interval counts");
        assert_eq!((row.weight(), row.live_weight), (20, None));
        assert_eq!(row.rules.limits.success_min, Some(99.0));
        let gists: Vec<_> = world.gists().map(|(_, gist)| (gist.under_way, gist.window)).collect();
        assert_eq!(gists, [(true, Some(Duration::from_secs(30)))]);
        assert_eq!(row.problems, ["its target, the Deployment app, does not exist"]);
    }
}
