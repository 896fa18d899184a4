//! Requests, scrape by scrape: how many come, which pods serve them and how, and what their proxies count.
//!
//! The same seed, facts and moments give the same samples to the last bit. It must never read a clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::f64::consts::TAU;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand_distr::{Distribution, LogNormal, Poisson, StandardNormal};
use rand_pcg::Pcg32;

use super::behaviour::{Behaviour, of_tag};
use super::facts::{Facts, PodFact, Route, hash_name, requests_per_second};
use super::history::{HistogramId, History, TrackId, Unit};
use super::istio::{self, Requests, Row};
use super::labels::Labels;

/// How much history is made up for the workloads that are there at the start, so that rates exist at once.
const BACKFILL: Duration = Duration::from_secs(120);

/// After a longer gap (a suspended laptop) scrapes are left out, as a Prometheus would have missed them.
const CATCH_UP: Duration = Duration::from_secs(300);

/// Memory is counted in pages, in bytes.
const PAGE: f64 = 4096.0;

const MIB: f64 = 1024.0 * 1024.0;

/// Pods, traffic and the samples they leave.
#[derive(Debug)]
pub struct Simulator {
    seed: u64,
    scrape_ms: i64,
    /// The moment of the next scrape, in milliseconds since 1970.
    next: i64,
    /// Up to when requests have been served.
    served_until: i64,
    facts: Facts,
    routes: Vec<RouteState>,
    pods: Vec<PodState>,
    groups: Vec<Group>,
    lost: HashMap<(String, String), Counter>,
    lost_requests: u64,
    history: History,
}

#[derive(Debug)]
struct RouteState {
    namespace: String,
    host: String,
    /// Requests a second on average.
    rate: f64,
    /// Where it stands in its slow wave, so that not all hosts swing together.
    phase: f64,
    random: Pcg32,
    destinations: Vec<DestinationState>,
    copies: Vec<DestinationState>,
}

#[derive(Debug)]
struct DestinationState {
    service: String,
    workload: String,
    weight: u32,
    /// The part of a request that it is still due, so that shares come out exact over time.
    owed: f64,
    /// The ready pods that take its requests, each with the group in which they are counted.
    serving: Vec<(usize, usize)>,
    /// Whose turn it is among them.
    turn: usize,
}

#[derive(Debug)]
struct PodState {
    namespace: String,
    name: String,
    tag: String,
    behaviour: Behaviour,
    since: i64,
    random: Pcg32,
    /// Requests served in the present scrape.
    requests: u32,
    app_cpu: f64,
    proxy_cpu: f64,
    tracks: PodTracks,
}

#[derive(Clone, Copy, Debug)]
struct PodTracks {
    up: TrackId,
    app_cpu: TrackId,
    proxy_cpu: TrackId,
    app_memory: TrackId,
    proxy_memory: TrackId,
}

/// All pods of one workload that run one tag, behind one service.
#[derive(Debug)]
struct Group {
    key: GroupKey,
    behaviour: Behaviour,
    errors_owed: f64,
    codes: Vec<CodeState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct GroupKey {
    namespace: String,
    service: String,
    workload: String,
    tag: String,
}

/// What is counted of one group's answers with one HTTP status.
#[derive(Debug)]
struct CodeState {
    code: u16,
    at_destination: TrackId,
    at_source: TrackId,
    /// How many of them were copies: their caller knows nothing of them.
    copied: u32,
    durations: HistogramId,
    row: Row,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    track: TrackId,
    total: u32,
}

impl Simulator {
    /// A world without facts. `scrape` is the time between two samples (at least 10 ms), `retention` how long samples
    /// are kept.
    pub fn new(seed: u64, start: DateTime<Utc>, scrape: Duration, retention: Duration) -> Self {
        let scrape_ms = (scrape.as_millis() as i64).max(10);
        let capacity = retention.as_millis() as usize / scrape_ms as usize;
        Self {
            seed,
            scrape_ms,
            next: start.timestamp_millis(),
            served_until: start.timestamp_millis() - scrape_ms,
            facts: Facts::default(),
            routes: Vec::new(),
            pods: Vec::new(),
            groups: Vec::new(),
            lost: HashMap::new(),
            lost_requests: 0,
            history: History::new(capacity),
        }
    }

    /// Replaces the facts, which hold from now on. The first facts with any workload are taken to have held for two
    /// minutes already.
    pub fn observe(&mut self, now: DateTime<Utc>, facts: Facts) {
        if facts == self.facts {
            return;
        }
        let is_first = self.history.last_scrape().is_none() && self.facts.workloads.is_empty();
        if is_first {
            if !facts.workloads.is_empty() {
                self.next -= BACKFILL.as_millis() as i64 / self.scrape_ms * self.scrape_ms;
                self.served_until = self.next - self.scrape_ms;
            }
        } else {
            // What came before now was served as the facts were then.
            self.advance(now);
            self.serve_until(now.timestamp_millis());
        }
        self.facts = facts;
        self.renew_pods();
        self.end_groups();
        self.renew_routes();
    }

    /// Makes all scrapes that are due by now.
    pub fn advance(&mut self, now: DateTime<Utc>) {
        let now = now.timestamp_millis();
        if self.history.last_scrape().is_some() {
            let missed = (now - self.next - CATCH_UP.as_millis() as i64) / self.scrape_ms;
            self.next += missed.max(0) * self.scrape_ms;
            self.served_until = self.served_until.max(self.next - self.scrape_ms);
        }
        while self.next <= now {
            self.scrape(self.next);
            self.next += self.scrape_ms;
        }
    }

    /// When the next scrape is due.
    pub fn next_scrape(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.next).unwrap_or_default()
    }

    /// How many requests have found no ready pod since the start. A caller that moves traffic well keeps this at zero.
    pub fn lost_requests(&self) -> u64 {
        self.lost_requests
    }

    /// The samples.
    pub fn history(&self) -> &History {
        &self.history
    }

    fn scrape(&mut self, at: i64) {
        self.serve_until(at);
        self.history.begin_scrape(at);
        self.write(at);
    }

    /// Lets the requests come that arrive until a moment, and counts what becomes of them.
    fn serve_until(&mut self, at: i64) {
        let seconds = (at - self.served_until) as f64 / 1000.0;
        if seconds <= 0.0 {
            return;
        }
        self.served_until = at;
        let Self { routes, pods, groups, history, .. } = self;
        let mut lost = Vec::new();
        for route in routes.iter_mut() {
            let mean = route.rate * seconds * wave(at, route.phase);
            let arrived = Poisson::new(mean).map_or(0, |poisson| poisson.sample(&mut route.random) as u64);
            divide(arrived, &mut route.destinations, |destination, share| {
                if destination.serving.is_empty() {
                    lost.push((route.namespace.clone(), destination.service.clone(), share));
                } else {
                    let served = Served { requests: share, copied: false, at };
                    serve(served, destination, pods, groups, history, &mut route.random);
                }
            });
            for copy in &mut route.copies {
                let due = arrived as f64 * f64::from(copy.weight) / 1000.0 + copy.owed;
                let requests = due.floor().max(0.0) as u64;
                copy.owed = due - requests as f64;
                if !copy.serving.is_empty() {
                    let served = Served { requests, copied: true, at };
                    serve(served, copy, pods, groups, history, &mut route.random);
                }
            }
            if route.destinations.iter().all(|destination| destination.weight == 0) {
                lost.push((route.namespace.clone(), route.host.clone(), arrived));
            }
        }
        for (namespace, service, requests) in lost {
            self.lose(namespace, service, requests);
        }
    }

    /// Counts requests that nobody could serve: the caller's proxy answers them with 503.
    fn lose(&mut self, namespace: String, service: String, requests: u64) {
        if requests == 0 {
            return;
        }
        self.lost_requests += requests;
        let history = &mut self.history;
        let counter = self.lost.entry((namespace, service)).or_insert_with_key(|(namespace, service)| {
            let lost = Requests { namespace, workload: "unknown", version: "unknown", service, code: 503 };
            Counter { track: history.open(&requests_total(&lost, "source"), Unit::Whole(1.0)), total: 0 }
        });
        counter.total = counter.total.wrapping_add(requests as u32);
    }

    /// Writes one sample of everything.
    fn write(&mut self, at: i64) {
        let seconds = self.scrape_ms as f64 / 1000.0;
        for group in &self.groups {
            for code in &group.codes {
                let total = code.row.counts[istio::COLUMNS - 1];
                self.history.push(code.at_destination, f64::from(total));
                self.history.push(code.at_source, f64::from(total.wrapping_sub(code.copied)));
                self.history.push_histogram(code.durations, code.row);
            }
        }
        for counter in self.lost.values() {
            self.history.push(counter.track, f64::from(counter.total));
        }
        for pod in &mut self.pods {
            let requests = f64::from(std::mem::take(&mut pod.requests));
            let busy = 1.0 + 0.08 * noise(&mut pod.random);
            pod.app_cpu += busy * (0.012 * seconds + requests * pod.behaviour.cpu_per_request);
            pod.proxy_cpu += busy * (0.004 * seconds + requests * 0.0006);
            let age = (at - pod.since) as f64 / 1000.0;
            let memory = pod.behaviour.memory_after(age) * (1.0 + 0.006 * noise(&mut pod.random));
            let proxy_memory = 52.0 * MIB * (1.0 + 0.004 * noise(&mut pod.random));
            self.history.push(pod.tracks.up, 1.0);
            self.history.push(pod.tracks.app_cpu, pod.app_cpu);
            self.history.push(pod.tracks.proxy_cpu, pod.proxy_cpu);
            self.history.push(pod.tracks.app_memory, memory);
            self.history.push(pod.tracks.proxy_memory, proxy_memory);
        }
    }

    fn renew_pods(&mut self) {
        let mut known: BTreeMap<(String, String), PodState> = std::mem::take(&mut self.pods)
            .into_iter()
            .map(|pod| ((pod.namespace.clone(), pod.name.clone()), pod))
            .collect();
        for workload in &self.facts.workloads {
            for fact in &workload.pods {
                let pod = match known.remove(&(workload.namespace.clone(), fact.name.clone())) {
                    Some(pod) if pod.tag == fact.tag && pod.since == fact.since.timestamp_millis() => pod,
                    // The container was started anew: its counters begin at zero in the same series.
                    _ => PodState::new(self.seed, &workload.namespace, fact, &mut self.history),
                };
                self.pods.push(pod);
            }
        }
        for gone in known.into_values() {
            for track in gone.tracks.all() {
                self.history.close(track);
            }
        }
    }

    fn end_groups(&mut self) {
        let workloads = self.facts.workloads.iter();
        let alive: HashSet<(&str, &str, &str)> = workloads
            .flat_map(|workload| {
                let pods = workload.pods.iter();
                pods.map(|pod| (workload.namespace.as_str(), workload.name.as_str(), pod.tag.as_str()))
            })
            .collect();
        let history = &mut self.history;
        self.groups.retain(|group| {
            let GroupKey { namespace, workload, tag, .. } = &group.key;
            let alive = alive.contains(&(namespace.as_str(), workload.as_str(), tag.as_str()));
            if !alive {
                for code in &group.codes {
                    history.close(code.at_destination);
                    history.close(code.at_source);
                    history.close_histogram(code.durations);
                }
            }
            alive
        });
    }

    fn renew_routes(&mut self) {
        let mut known: HashMap<(String, String), RouteState> = std::mem::take(&mut self.routes)
            .into_iter()
            .map(|route| ((route.namespace.clone(), route.host.clone()), route))
            .collect();
        let pods: HashMap<(&str, &str), usize> =
            self.pods.iter().enumerate().map(|(at, pod)| ((pod.namespace.as_str(), pod.name.as_str()), at)).collect();
        let mut groups: HashMap<GroupKey, usize> =
            self.groups.iter().enumerate().map(|(at, group)| (group.key.clone(), at)).collect();
        let ready: HashMap<(&str, &str), Vec<&PodFact>> = self
            .facts
            .workloads
            .iter()
            .map(|workload| {
                let ready = workload.pods.iter().filter(|pod| pod.ready).collect();
                ((workload.namespace.as_str(), workload.name.as_str()), ready)
            })
            .collect();
        for route in &self.facts.routes {
            let state = known.remove(&(route.namespace.clone(), route.host.clone()));
            let mut state = state.unwrap_or_else(|| RouteState::new(self.seed, route));
            let lists = [(&route.destinations, &mut state.destinations), (&route.copies, &mut state.copies)];
            for (destinations, states) in lists {
                let before = std::mem::take(states);
                for destination in destinations {
                    let same = before.iter().find(|old| {
                        old.service == destination.service
                            && old.workload == destination.workload
                            && old.weight == destination.weight
                    });
                    let mut serving = Vec::new();
                    let namespace = route.namespace.as_str();
                    for pod in ready.get(&(namespace, destination.workload.as_str())).into_iter().flatten() {
                        let Some(at) = pods.get(&(namespace, pod.name.as_str())) else {
                            continue;
                        };
                        let key = GroupKey {
                            namespace: namespace.to_owned(),
                            service: destination.service.clone(),
                            workload: destination.workload.clone(),
                            tag: pod.tag.clone(),
                        };
                        let group = *groups.entry(key).or_insert_with_key(|key| {
                            self.groups.push(Group::new(key.clone()));
                            self.groups.len() - 1
                        });
                        serving.push((*at, group));
                    }
                    states.push(DestinationState {
                        service: destination.service.clone(),
                        workload: destination.workload.clone(),
                        weight: destination.weight,
                        owed: same.map_or(0.0, |old| old.owed),
                        serving,
                        turn: same.map_or(0, |old| old.turn),
                    });
                }
            }
            self.routes.push(state);
        }
    }
}

impl RouteState {
    fn new(seed: u64, route: &Route) -> Self {
        let hash = hash_name(seed, &["route", &route.namespace, &route.host]);
        Self {
            namespace: route.namespace.clone(),
            host: route.host.clone(),
            rate: requests_per_second(&route.namespace, &route.host),
            phase: (hash % 1000) as f64 / 1000.0,
            random: Pcg32::new(hash, seed),
            destinations: Vec::new(),
            copies: Vec::new(),
        }
    }
}

impl PodState {
    fn new(seed: u64, namespace: &str, fact: &PodFact, history: &mut History) -> Self {
        let cpu = "container_cpu_usage_seconds_total";
        let memory = "container_memory_working_set_bytes";
        let mut open = |labels: Labels, unit| history.open(&labels, unit);
        let of = |metric, container| istio::container(metric, namespace, &fact.name, container);
        let tracks = PodTracks {
            up: open(istio::up(namespace, &fact.name), Unit::Whole(1.0)),
            app_cpu: open(of(cpu, "app"), Unit::Float),
            proxy_cpu: open(of(cpu, "istio-proxy"), Unit::Float),
            app_memory: open(of(memory, "app"), Unit::Whole(PAGE)),
            proxy_memory: open(of(memory, "istio-proxy"), Unit::Whole(PAGE)),
        };
        Self {
            namespace: namespace.to_owned(),
            name: fact.name.clone(),
            tag: fact.tag.clone(),
            behaviour: of_tag(&fact.tag),
            since: fact.since.timestamp_millis(),
            random: Pcg32::new(hash_name(seed, &["pod", namespace, &fact.name]), seed),
            requests: 0,
            app_cpu: 0.0,
            proxy_cpu: 0.0,
            tracks,
        }
    }
}

impl PodTracks {
    fn all(self) -> [TrackId; 5] {
        [self.up, self.app_cpu, self.proxy_cpu, self.app_memory, self.proxy_memory]
    }
}

impl Group {
    fn new(key: GroupKey) -> Self {
        Self { behaviour: of_tag(&key.tag), key, errors_owed: 0.0, codes: Vec::new() }
    }

    /// Counts one answer. A status that has not been seen before gets its series now, as from a real proxy.
    fn answer(&mut self, milliseconds: f64, copied: bool, history: &mut History) {
        self.errors_owed += self.behaviour.error_rate;
        let code = if self.errors_owed >= 1.0 {
            self.errors_owed -= 1.0;
            500
        } else {
            200
        };
        let at = match self.codes.iter().position(|state| state.code == code) {
            Some(at) => at,
            None => {
                let requests = Requests {
                    namespace: &self.key.namespace,
                    workload: &self.key.workload,
                    version: &self.key.tag,
                    service: &self.key.service,
                    code,
                };
                self.codes.push(CodeState {
                    code,
                    at_destination: history.open(&requests_total(&requests, "destination"), Unit::Whole(1.0)),
                    at_source: history.open(&requests_total(&requests, "source"), Unit::Whole(1.0)),
                    copied: 0,
                    durations: history.open_histogram(&requests.labels("destination")),
                    row: Row::default(),
                });
                self.codes.len() - 1
            }
        };
        self.codes[at].row.record(milliseconds);
        self.codes[at].copied = self.codes[at].copied.wrapping_add(copied.into());
    }
}

fn requests_total(requests: &Requests<'_>, reporter: &str) -> Labels {
    requests.labels(reporter).with("__name__", "istio_requests_total")
}

/// Gives each destination its share of the requests, in whole requests and exact over time.
fn divide(requests: u64, destinations: &mut [DestinationState], mut give: impl FnMut(&mut DestinationState, u64)) {
    let total: u64 = destinations.iter().map(|destination| u64::from(destination.weight)).sum();
    if total == 0 {
        return;
    }
    let mut left = requests;
    let mut weight_left = total;
    for destination in destinations.iter_mut().filter(|destination| destination.weight > 0) {
        weight_left -= u64::from(destination.weight);
        let due = requests as f64 * f64::from(destination.weight) / total as f64 + destination.owed;
        let share = if weight_left == 0 { left } else { (due.floor().max(0.0) as u64).min(left) };
        destination.owed = (due - share as f64).clamp(-1.0, 1.0);
        left -= share;
        if share > 0 {
            give(destination, share);
        }
    }
}

/// Requests that arrive together.
struct Served {
    requests: u64,
    /// Whether they are copies.
    copied: bool,
    at: i64,
}

/// Lets the ready pods of a destination serve requests in turn.
fn serve(
    served: Served,
    destination: &mut DestinationState,
    pods: &mut [PodState],
    groups: &mut [Group],
    history: &mut History,
    random: &mut Pcg32,
) {
    let Served { requests, copied, at } = served;
    for _ in 0..requests {
        destination.turn = (destination.turn + 1) % destination.serving.len();
        let (pod, group) = destination.serving[destination.turn];
        let pod = &mut pods[pod];
        pod.requests += 1;
        let age = (at - pod.since) as f64 / 1000.0;
        let median = pod.behaviour.latency_median_ms * pod.behaviour.slowdown_after(age);
        let took =
            LogNormal::new(median.ln(), pod.behaviour.latency_sigma).map_or(median, |latency| latency.sample(random));
        groups[group].answer(took, copied, history);
    }
}

/// A slow swing of the load, a tenth up and down over five minutes.
fn wave(at: i64, phase: f64) -> f64 {
    let turn = (at.rem_euclid(300_000)) as f64 / 300_000.0;
    1.0 + 0.1 * (TAU * (turn + phase)).sin()
}

/// A normal deviate, cut off so that nothing turns negative.
fn noise(random: &mut Pcg32) -> f64 {
    let deviate: f64 = StandardNormal.sample(random);
    deviate.clamp(-3.0, 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::facts::{Destination, Workload};
    use crate::traffic::promql;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default()
    }

    fn pod(name: &str, tag: &str, ready: bool) -> PodFact {
        PodFact { name: name.to_owned(), tag: tag.to_owned(), ready, since: start() }
    }

    fn facts(weights: [u32; 2], canary: Vec<PodFact>) -> Facts {
        let to = |workload: &str, weight| Destination {
            service: format!("{workload}-service"),
            workload: workload.to_owned(),
            weight,
        };
        Facts {
            routes: vec![Route {
                namespace: "prod".to_owned(),
                host: "app".to_owned(),
                destinations: vec![to("app-primary", weights[0]), to("app", weights[1])],
                copies: vec![],
            }],
            workloads: vec![
                Workload {
                    namespace: "prod".to_owned(),
                    name: "app-primary".to_owned(),
                    pods: vec![pod("app-primary-1", "1.0.0", true)],
                },
                Workload { namespace: "prod".to_owned(), name: "app".to_owned(), pods: canary },
            ],
        }
    }

    fn simulator() -> Simulator {
        Simulator::new(1, start(), Duration::from_secs(1), Duration::from_secs(1800))
    }

    fn ask(simulator: &Simulator, query: &str, now: DateTime<Utc>) -> Vec<f64> {
        match promql::instant(simulator.history(), query, now.timestamp_millis(), None) {
            Ok(promql::Value::Vector(samples)) => samples.into_iter().map(|sample| sample.value).collect(),
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn rates_exist_at_the_first_frame() {
        let mut simulator = simulator();
        simulator.observe(start(), facts([100, 0], vec![]));
        simulator.advance(start());
        let rate = ask(&simulator, r#"sum(rate(istio_requests_total{reporter="destination"}[1m]))"#, start());
        let expected = requests_per_second("prod", "app");
        assert!((rate[0] / expected - 1.0).abs() < 0.2, "{rate:?} {expected}");
        assert_eq!(ask(&simulator, "rate(container_cpu_usage_seconds_total{pod_name!=''}[1m])", start()).len(), 2);
        assert_eq!(simulator.lost_requests(), 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_samples() {
        let run = |step: u64| {
            let mut simulator = simulator();
            simulator.observe(start(), facts([50, 50], vec![pod("app-1", "1.2.0", true)]));
            for second in (0..=60).step_by(step as usize) {
                simulator.advance(start() + Duration::from_secs(second));
            }
            ask(&simulator, r#"{__name__=~".+"}"#, start() + Duration::from_secs(60))
        };
        let once = run(1);
        assert_eq!(once, run(60));
        assert!(once.len() > 60);
    }

    #[test]
    fn requests_to_nobody_are_lost_and_seen_by_the_caller_alone() {
        let mut simulator = simulator();
        simulator.observe(start(), facts([50, 50], vec![pod("app-1", "1.4.0", false)]));
        let at = start() + Duration::from_secs(60);
        simulator.advance(at);
        let lost = ask(
            &simulator,
            r#"istio_requests_total{response_code="503",reporter="source"}"#,
            start() + Duration::from_secs(60),
        );
        assert_eq!(lost, [simulator.lost_requests() as f64]);
        assert!(lost[0] > 1000.0);
        assert!(
            ask(&simulator, r#"istio_requests_total{response_code="503",reporter="destination"}"#, start()).is_empty()
        );
        assert!(ask(&simulator, r#"istio_requests_total{destination_workload="app"}"#, start()).is_empty());
        simulator.observe(at, facts([100, 0], vec![pod("app-1", "1.4.0", false)]));
        let before = simulator.lost_requests();
        simulator.advance(start() + Duration::from_secs(120));
        assert_eq!(simulator.lost_requests(), before);
    }

    #[test]
    fn a_pod_that_is_gone_is_stale_at_once() {
        let mut simulator = simulator();
        simulator.observe(start(), facts([50, 50], vec![pod("app-1", "1.1.0", true)]));
        simulator.advance(start() + Duration::from_secs(10));
        let at = start() + Duration::from_secs(10);
        assert_eq!(ask(&simulator, r#"up{pod="app-1"}"#, at).len(), 1);
        simulator.observe(at, facts([100, 0], vec![]));
        let at = start() + Duration::from_secs(11);
        simulator.advance(at);
        for query in [
            r#"up{pod="app-1"}"#,
            r#"container_memory_working_set_bytes{pod="app-1"}"#,
            r#"istio_requests_total{destination_workload="app"}"#,
        ] {
            assert!(ask(&simulator, query, at).is_empty(), "{query}");
        }
        // What it served stays visible to a range.
        let rate = r#"rate(istio_requests_total{destination_workload="app",reporter="destination"}[30s])"#;
        assert_eq!(ask(&simulator, rate, at).len(), 1);
    }

    #[test]
    fn a_leak_climbs() {
        let mut simulator = simulator();
        simulator.observe(start(), facts([50, 50], vec![pod("app-1", "1.5.0", true)]));
        let at = start() + Duration::from_secs(60);
        simulator.advance(at);
        let grown =
            ask(&simulator, r#"delta(container_memory_working_set_bytes{pod="app-1",container="app"}[1m])"#, at);
        assert!(grown[0] > 300.0 * MIB, "{grown:?}");
    }

    #[test]
    fn a_long_sleep_is_not_caught_up() {
        let mut simulator = simulator();
        simulator.observe(start(), facts([100, 0], vec![]));
        simulator.advance(start());
        simulator.advance(start() + Duration::from_secs(86_400));
        let at = start() + Duration::from_secs(86_400);
        assert_eq!(simulator.history().last_scrape(), Some(at.timestamp_millis()));
        assert!(ask(&simulator, "count_over_time(up[1d])", at)[0] < 500.0);
    }

    #[test]
    fn a_short_misroute_loses_its_part_of_the_requests() {
        let mut simulator = simulator();
        simulator.observe(start(), facts([100, 0], vec![]));
        let at = |millis| start() + Duration::from_millis(millis);
        simulator.advance(at(10_000));
        simulator.observe(at(10_200), facts([0, 100], vec![]));
        simulator.observe(at(10_700), facts([100, 0], vec![]));
        let expected = 0.5 * requests_per_second("prod", "app");
        assert!((simulator.lost_requests() as f64 / expected - 1.0).abs() < 0.5, "{}", simulator.lost_requests());
    }

    #[test]
    fn a_copy_is_counted_where_it_arrives_and_is_nobodys_request() {
        let mut simulator = simulator();
        let mirrored = |canary: Vec<PodFact>| {
            let mut facts = facts([100, 0], canary);
            let copies = facts.routes[0].destinations[1].clone();
            facts.routes[0].copies = vec![Destination { weight: 500, ..copies }];
            facts
        };
        simulator.observe(start(), mirrored(vec![pod("app-1", "1.2.0", true)]));
        let at = start() + Duration::from_secs(60);
        simulator.advance(at);
        let of = |workload: &str, reporter: &str| {
            let labels = format!(r#"destination_workload="{workload}",reporter="{reporter}""#);
            ask(&simulator, &format!("sum(istio_requests_total{{{labels}}})"), at)
        };
        let (users, copies) = (of("app-primary", "destination")[0], of("app", "destination")[0]);
        assert!((copies / users - 0.5).abs() < 0.02, "{users} {copies}");
        assert_eq!(of("app", "source"), [0.0]);
        // Pods that could not answer a copy lose nobody's request.
        simulator.observe(at, mirrored(vec![pod("app-1", "1.2.0", false)]));
        simulator.advance(at + Duration::from_secs(60));
        assert_eq!(simulator.lost_requests(), 0);
    }
}
