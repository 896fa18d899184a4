//! What must hold, held against every change of every object, in the order in which they were stored.

use super::cluster::NAMESPACE;
use super::strategy::Setup;
use super::time::Time;
use super::trace::Trace;
use super::wire::{LATEST, LONGEST_CUT, MOST_LAG};
use canary_tui::api::routes::Weights;
use canary_tui::api::{Phase, Status, annotation};
use canary_tui::sandbox::store::{Change, ChangeEvent, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How much earlier than an interval after the last step the next one may be: both keep to the same moments of every
/// interval, and the last one may have been late.
const ON_TIME: Duration = Duration::from_millis(500);

/// How old what a driver decides on may be, and its write on the way: two late batches of a watch, and the longest way
/// of a write, over a line that is cut meanwhile.
const BLIND: Duration = Duration::from_secs(2 * MOST_LAG.as_secs() + LATEST.as_secs() + LONGEST_CUT.as_secs());
/// Within what time traffic leaves a workload that lost its pods: where nothing fails, and where anything may.
const REACTION: Duration = Duration::from_secs(2);
const REACTION_IN_TROUBLE: Duration = Duration::from_secs(90);

/// Holds one app to its promises.
pub struct Promises {
    app: String,
    setup: Setup,
    time: Time,
    trace: Trace,
    pub violations: Vec<String>,
    services: BTreeSet<String>,
    /// By name: whose they are, and whether they take requests.
    pods: BTreeMap<String, (String, bool)>,
    /// When the target and the primary last had a pod that takes requests; None: they have one now.
    dark_since: BTreeMap<String, Option<Duration>>,
    pub status: Status,
    pub weight: u8,
    primary_revision: Option<String>,
    /// The images' tags.
    target_version: Option<String>,
    primary_version: Option<String>,
    /// When the weight last rose in this rollout, and the request that stood on the routes then.
    rose: Option<Duration>,
    route_request: Option<String>,
    /// Since when traffic goes where nobody can serve it although somebody else could.
    astray: Option<Duration>,
    pub longest_astray: Duration,
    failed: BTreeSet<String>,
    failed_at: Option<chrono::DateTime<chrono::Utc>>,
    advanced: Option<Duration>,
    calm: Option<Duration>,
    /// When anything but leases, Events and pods was last written.
    pub last_change: Duration,
}

impl Promises {
    pub fn new(app: &str, setup: &Setup, time: Time, trace: Trace, store: &Store) -> Self {
        let mut promises = Self {
            app: app.to_string(),
            setup: setup.clone(),
            time,
            trace,
            violations: Vec::new(),
            services: BTreeSet::new(),
            pods: BTreeMap::new(),
            dark_since: BTreeMap::new(),
            status: Status::default(),
            weight: 0,
            primary_revision: None,
            target_version: None,
            primary_version: None,
            rose: None,
            route_request: None,
            astray: None,
            longest_astray: Duration::ZERO,
            failed: BTreeSet::new(),
            failed_at: None,
            advanced: None,
            calm: None,
            last_change: Duration::ZERO,
        };
        for kind in ["Service", "Pod", "Deployment", "VirtualService", "Canary"] {
            for object in store.list(kind, Some(NAMESPACE)).0 {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                promises.see(kind, name, Some(&object), None);
            }
        }
        promises
    }

    /// From now on nothing fails.
    pub fn calm_down(&mut self) {
        self.calm = Some(self.time.elapsed());
        // What is astray now is to be put right from now on.
        self.astray = self.astray.map(|_| self.time.elapsed());
    }

    /// The target is set to another version, or a revision is asked for: whatever failed may be tried again.
    pub fn asked(&mut self) {
        self.failed.clear();
    }

    fn violated(&mut self, what: String) {
        self.trace.tell("VIOLATION", &what);
        self.violations.push(format!("{:.3} s: {what}", self.time.elapsed().as_secs_f64()));
    }

    /// Takes in one change.
    pub fn take(&mut self, change: &Change) {
        if change.namespace.as_deref() != Some(NAMESPACE) {
            return;
        }
        let gone = change.event == ChangeEvent::Deleted;
        self.tell(change);
        if matters(change) {
            self.last_change = self.time.elapsed();
        }
        self.see(&change.kind, &change.name, (!gone).then_some(&*change.object), change.previous.as_deref());
        self.look_astray(&change.kind);
    }

    fn tell(&self, change: &Change) {
        let object = &*change.object;
        let short = match &*change.kind {
            "VirtualService" => format!("{:?}", weights(object, &change.name)),
            "Canary" => {
                let status = Status::read(&object["status"]);
                let request = object["metadata"]["annotations"][annotation::REQUEST].as_str();
                let verb = request.and_then(|text| serde_json::from_str::<Value>(text).ok());
                format!(
                    "{} weight {} failed {} iterations {} applied {:?} promoted {:?} request {}",
                    status.phase,
                    status.canary_weight,
                    status.failed_checks,
                    status.iterations,
                    status.last_applied,
                    status.last_promoted,
                    verb.map(|v| v["verb"].to_string()).unwrap_or_default(),
                )
            }
            "Deployment" => format!(
                "{} wants {} has {} ready, bears {}",
                object["spec"]["template"]["spec"]["containers"][0]["image"],
                object["spec"]["replicas"],
                object["status"]["readyReplicas"],
                object["metadata"]["annotations"][annotation::REVISION],
            ),
            "Event" => format!("{}: {} ({})", object["reason"], object["message"], object["count"]),
            "Pod" => format!("ready: {}", takes_requests(object)),
            _ => String::new(),
        };
        let name = if &*change.kind == "Event" { "" } else { &change.name };
        self.trace.tell("stored", &format!("{:?} {} {name} {short}", change.event, change.kind));
    }

    fn see(&mut self, kind: &str, name: &str, object: Option<&Value>, before: Option<&Value>) {
        match (kind, object) {
            ("Service", Some(_)) => drop(self.services.insert(name.to_string())),
            ("Service", None) => drop(self.services.remove(name)),
            ("Pod", object) => self.see_pod(name, object),
            ("VirtualService", Some(object)) if name == self.app => self.see_routes(object),
            ("Deployment", Some(object)) if name == self.app => self.see_target(object, before),
            ("Deployment", Some(object)) if name == format!("{}-primary", self.app) => self.see_primary(object),
            ("Canary", Some(object)) if name == self.app => self.see_canary(object),
            _ => {}
        }
    }

    fn see_pod(&mut self, name: &str, object: Option<&Value>) {
        let workload = match object {
            Some(pod) => {
                let workload = pod["metadata"]["labels"]["app"].as_str().unwrap_or_default().to_string();
                self.pods.insert(name.to_string(), (workload.clone(), takes_requests(pod)));
                workload
            }
            None => self.pods.remove(name).map(|(workload, _)| workload).unwrap_or_default(),
        };
        let serves = self.pods.values().any(|(of, serves)| *serves && *of == workload);
        let now = self.time.elapsed();
        let dark = self.dark_since.entry(workload).or_insert(Some(Duration::ZERO));
        *dark = if serves { None } else { Some(dark.unwrap_or(now)) };
    }

    /// Since when a workload has no pod that takes requests; None: it has one.
    fn dark(&self, workload: &str) -> Option<Duration> {
        self.dark_since.get(workload).copied().unwrap_or(Some(Duration::ZERO))
    }

    fn primary(&self) -> String {
        format!("{}-primary", self.app)
    }

    fn see_routes(&mut self, object: &Value) {
        let destinations: Vec<(&str, u64)> = object["spec"]["http"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|route| route["route"].as_array().into_iter().flatten())
            .map(|d| (d["destination"]["host"].as_str().unwrap_or_default(), d["weight"].as_u64().unwrap_or(0)))
            .collect();
        let sums: Vec<u64> = object["spec"]["http"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|route| {
                route["route"].as_array().into_iter().flatten().map(|d| d["weight"].as_u64().unwrap_or(0)).sum()
            })
            .collect();
        if sums.is_empty() || sums.iter().any(|sum| *sum != 100) {
            self.violated(format!("weights add up to {sums:?}"));
        }
        for (host, _) in destinations {
            if !self.services.contains(host) {
                self.violated(format!("the routes lead to {host}, which does not exist"));
            }
        }
        let Some(weights) = weights(object, &self.app) else {
            return self.violated("the routes have no weights".into());
        };
        let request = object["metadata"]["annotations"][annotation::REQUEST_ID].as_str().map(str::to_string);
        let asked = request != self.route_request;
        self.route_request = request;
        let now = self.time.elapsed();
        let primary_dark = self.dark(&self.primary());
        if weights.canary > self.weight {
            // A canary that stands in for a primary without pods takes no step.
            let stands_in = weights.canary == 100 && primary_dark.is_some();
            let early = self.rose.is_some_and(|rose| now - rose + ON_TIME < self.setup.interval);
            if early && !asked && !stands_in && self.weight > 0 {
                let rose = self.rose.unwrap_or_default();
                self.violated(format!(
                    "the weight rose to {} {:?} after it last had, with an interval of {:?}",
                    weights.canary,
                    now - rose,
                    self.setup.interval
                ));
            }
            if !stands_in {
                self.rose = Some(now);
            }
            let long_dark = self.dark(&self.app).is_some_and(|since| now - since > BLIND);
            if long_dark && primary_dark.is_none() {
                self.violated(format!(
                    "{} % are routed to a canary that has had no ready pod for long",
                    weights.canary
                ));
            }
        } else if weights.canary < self.weight {
            self.rose = None;
            let long_dark = primary_dark.is_some_and(|since| now - since > BLIND);
            if long_dark && self.dark(&self.app).is_none() && self.status.phase.under_way() {
                self.violated("traffic is routed to a primary that has had no ready pod for long".into());
            }
        }
        self.weight = weights.canary;
    }

    fn see_target(&mut self, object: &Value, before: Option<&Value>) {
        self.target_version = version(object);
        let replicas = |object: &Value| object["spec"]["replicas"].as_u64().unwrap_or(1);
        let scaled_down = replicas(object) == 0 && before.is_some_and(|before| replicas(before) > 0);
        if scaled_down && self.weight > 0 {
            self.violated(format!("the canary is scaled to zero with {} % of the traffic on it", self.weight));
        }
        let exists = |name: &str| self.dark_since.contains_key(name);
        if scaled_down && self.status.phase <= Phase::Initializing && !exists(&self.primary()) {
            self.violated("the target is scaled to zero before there is a primary".into());
        }
    }

    fn see_primary(&mut self, object: &Value) {
        let revision = object["metadata"]["annotations"][annotation::REVISION].as_str().map(str::to_string);
        self.primary_version = version(object);
        if revision == self.primary_revision {
            return;
        }
        self.primary_revision.clone_from(&revision);
        let Some(revision) = revision else { return };
        if self.failed.contains(&revision) {
            self.violated(format!("revision {revision} has failed, and the primary gets it"));
        }
    }

    fn see_canary(&mut self, object: &Value) {
        let request = object["metadata"]["annotations"][annotation::REQUEST].as_str().unwrap_or_default();
        let now = self.time.elapsed();
        if request.contains("\"advance\"") {
            self.advanced = Some(now);
        }
        let after = Status::read(&object["status"]);
        let before = std::mem::replace(&mut self.status, after.clone());
        if after == before {
            return;
        }
        if after.failed_checks > before.failed_checks {
            self.see_failed_check(&before, &after);
        }
        let Some(applied) = after.last_applied.clone() else { return };
        if after.phase == Phase::Failed && before.phase != Phase::Failed && after.last_promoted != after.last_applied {
            self.failed.insert(applied);
        }
        if after.phase == Phase::Succeeded && before.phase == Phase::Finalising {
            let bears = self.primary_revision.clone();
            if bears != after.last_promoted {
                self.violated(format!(
                    "{:?} is said to be promoted, and the primary bears {bears:?}",
                    after.last_promoted
                ));
            }
        }
    }

    fn see_failed_check(&mut self, before: &Status, after: &Status) {
        if after.failed_checks > before.failed_checks + 1 {
            self.violated(format!("failedChecks went from {} to {}", before.failed_checks, after.failed_checks));
        }
        let stamp = after.last_transition;
        let same_rollout = before.last_applied == after.last_applied && before.failed_checks > 0;
        let since = self.failed_at.zip(stamp).map(|(last, this)| (this - last).to_std().unwrap_or_default());
        let lost_its_pods = before.canary_weight > 0 && after.canary_weight == 0;
        let advanced = self.advanced.is_some_and(|at| self.time.elapsed() - at <= self.setup.interval * 2);
        if let Some(since) = since.filter(|since| *since + ON_TIME < self.setup.interval)
            && same_rollout
            && !lost_its_pods
            && !advanced
        {
            self.violated(format!(
                "a check was counted {since:?} after the last one, with an interval of {:?}",
                self.setup.interval
            ));
        }
        if !lost_its_pods {
            self.failed_at = stamp;
        }
    }

    /// Traffic that goes to a workload without pods while the other one has some.
    fn look_astray(&mut self, kind: &str) {
        if !matches!(kind, "Pod" | "VirtualService" | "Canary") {
            return;
        }
        let (canary, primary) = (self.dark(&self.app), self.dark(&self.primary()));
        let to_canary = self.weight > 0 && canary.is_some() && primary.is_none();
        let under_way = self.status.phase.under_way() && self.status.phase != Phase::Waiting;
        let to_primary = self.weight < 100 && primary.is_some() && canary.is_none() && under_way;
        let now = self.time.elapsed();
        match (self.astray, to_canary || to_primary) {
            (None, true) => self.astray = Some(now),
            (Some(since), false) => {
                self.astray = None;
                self.judge_astray(now - since);
            }
            _ => {}
        }
    }

    fn judge_astray(&mut self, lasted: Duration) {
        self.longest_astray = self.longest_astray.max(lasted);
        let limit = if self.calm.is_some() { REACTION } else { REACTION_IN_TROUBLE };
        if lasted > limit {
            self.violated(format!(
                "for {lasted:?} traffic went where no pod was, although the other workload had some"
            ));
        }
    }

    /// What must hold at the end, when nothing changes any more.
    pub fn conclude(&mut self, store: &Store) {
        if let Some(since) = self.astray {
            self.judge_astray(self.time.elapsed() - since);
            self.violated(format!("since {since:?} traffic goes where no pod is"));
        }
        let get = |kind: &str, name: &str| store.get(kind, Some(NAMESPACE), name);
        let phase = self.status.phase;
        if !phase.at_rest() {
            return;
        }
        if self.weight != 0 {
            self.violated(format!("{phase}, and {} % go to the canary", self.weight));
        }
        if self.dark(&self.primary()).is_some() {
            self.violated(format!("{phase}, and the primary has no ready pod"));
        }
        let promoted = self.status.last_promoted.clone().unwrap_or_default();
        if self.primary_revision.as_deref().is_some_and(|bears| bears != promoted) {
            self.violated(format!(
                "status says {promoted} is promoted, and the primary bears {:?}",
                self.primary_revision
            ));
        }
        let target = get("Deployment", &self.app);
        let replicas = target.map(|target| target["spec"]["replicas"].clone());
        // A target that went back to the promoted revision before its rollout was recorded keeps the pods that it was given.
        let back = self.target_version.is_some() && self.target_version == self.primary_version;
        if replicas.as_ref().is_some_and(|replicas| *replicas != 0) && !back {
            self.violated(format!("{phase}, and the target has {replicas:?} replicas"));
        }
    }

    /// Whether an operator is waited for.
    pub fn waits_for_operator(&self, store: &Store) -> bool {
        let canary = store.get("Canary", Some(NAMESPACE), &self.app);
        let paused = canary.is_some_and(|canary| canary["metadata"]["annotations"][annotation::PAUSED].is_string());
        paused && self.status.phase.under_way() || self.status.phase == Phase::Waiting && self.setup.manual_start
    }
}

/// Whether a change is more than a sign of life: a check that passes while a rollout is held changes but a time.
fn matters(change: &Change) -> bool {
    let timeless = |canary: &Value| {
        let status = Status { last_transition: None, ..Status::read(&canary["status"]) };
        (status, canary["metadata"]["annotations"].clone(), canary["spec"].clone())
    };
    match &*change.kind {
        "Lease" | "Event" | "Pod" => false,
        "Canary" => change.previous.as_ref().is_none_or(|before| timeless(before) != timeless(&change.object)),
        _ => true,
    }
}

/// The tag of a Deployment's image.
fn version(deployment: &Value) -> Option<String> {
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str()?;
    Some(image.rsplit_once(':')?.1.to_string())
}

fn takes_requests(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
    ready && pod["metadata"]["deletionTimestamp"].is_null()
}

/// The weights of the last HTTP route that leads to the canary; None where none does.
fn weights(routes: &Value, apex: &str) -> Option<Weights> {
    let of = |route: &Value, role: &str| {
        let destinations = route["route"].as_array()?;
        let host = format!("{apex}-{role}");
        let named = destinations.iter().find(|d| d["destination"]["host"].as_str() == Some(&host))?;
        named["weight"].as_u64()
    };
    let http = routes["spec"]["http"].as_array()?;
    let route = http.iter().rev().find(|route| of(route, "canary").is_some())?;
    Some(Weights { primary: of(route, "primary")? as u8, canary: of(route, "canary")? as u8 })
}
