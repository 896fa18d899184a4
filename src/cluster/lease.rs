//! Who drives a namespace: one Lease, held by one process, and the fence that its writes stand behind.
//!
//! The Lease runs by the holder's own clock since boot, which counts through a suspend. Another process takes it over
//! only after it has itself watched it stay unrenewed for the whole of its duration: no wall clock is trusted.

use super::Clock;
use super::connect::{Connection, code, explain};
use super::object::Object;
use chrono::{DateTime, SecondsFormat, Utc};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Name of the Lease in each driven namespace.
pub const NAME: &str = "canary-tui";
/// How long a Lease runs from a renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// Time limit of one write of the driver: it must have ended, one way or the other, before the Lease has.
pub const WRITE_LIMIT: Duration = Duration::from_secs(4);
/// A renewal that is this much late means that the process was not running: the Lease is read again before any write.
const LATENESS: Duration = Duration::from_secs(1);

/// Who this process is, as the console shows it: `user@host (pid)`.
pub fn identity() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host} ({})", std::process::id())
}

/// The Lease as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Empty when released.
    pub holder: String,
    pub term: i64,
    renewed: String,
    duration: Duration,
    /// When this renewal was first seen, by our wall clock.
    seen: DateTime<Utc>,
}

/// Who drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    Nobody,
    /// The holder's identity.
    Somebody(String),
    /// The last holder, which has stopped renewing.
    Expired(String),
}

impl LeaseRecord {
    /// Reduces a Lease. `before` is what was kept of it: a renewal that was seen already keeps its time.
    pub fn of(object: &Value, before: Option<&Self>, now: DateTime<Utc>) -> Self {
        let text =
            |key: &str| object.pointer(&format!("/spec/{key}")).and_then(Value::as_str).unwrap_or("").to_string();
        let number = |key: &str| object.pointer(&format!("/spec/{key}")).and_then(Value::as_i64);
        let duration = number("leaseDurationSeconds").unwrap_or(15).clamp(1, 3600);
        let (holder, renewed) = (text("holderIdentity"), text("renewTime"));
        let seen = match before {
            Some(before) if before.renewed == renewed && before.holder == holder => before.seen,
            Some(_) => now,
            // Never seen before: believe the holder's clock as far as it is not ahead of ours.
            None => DateTime::parse_from_rfc3339(&renewed).map_or(now, |t| t.with_timezone(&Utc).min(now)),
        };
        Self {
            holder,
            term: number("leaseTransitions").unwrap_or(0),
            renewed,
            duration: Duration::from_secs(duration as u64),
            seen,
        }
    }

    /// Who drives, at `now`.
    pub fn driver(&self, now: DateTime<Utc>) -> Driver {
        let age = now.signed_duration_since(self.seen).to_std().unwrap_or_default();
        match &*self.holder {
            "" => Driver::Nobody,
            holder if age > self.duration => Driver::Expired(holder.to_string()),
            holder => Driver::Somebody(holder.to_string()),
        }
    }

    /// When this record stops standing for a living driver.
    pub fn ends(&self) -> DateTime<Utc> {
        self.seen + chrono::Duration::from_std(self.duration).unwrap_or_default()
    }
}

/// Held by whoever writes as the driver; asked before each attempt.
#[derive(Clone)]
pub struct Fence {
    held: Arc<Mutex<Option<Held>>>,
    clock: Clock,
}

#[derive(Clone, Copy)]
struct Held {
    /// Clock since boot when the last successful renewal was sent.
    renewed: Duration,
    term: i64,
}

/// The driver's Lease does not cover a write now.
#[derive(Debug, thiserror::Error)]
#[error("this process does not hold the lease {NAME} now, so it writes nothing")]
pub struct NotHolding;

impl Fence {
    /// A fence that lets nothing through yet.
    pub fn new(clock: Clock) -> Self {
        Self { held: Arc::default(), clock }
    }

    /// The term under which a write may be sent now. The renewal must be fresh, so that a process that was stopped or
    /// suspended looks at the Lease first, and must outlast the write's own time limit.
    pub fn check(&self) -> Result<i64, NotHolding> {
        let held = (*self.lock()).ok_or(NotHolding)?;
        let age = self.clock.since_boot().saturating_sub(held.renewed);
        let fresh = age <= RENEWAL + LATENESS;
        let outlasts = age + WRITE_LIMIT < DURATION;
        if fresh && outlasts { Ok(held.term) } else { Err(NotHolding) }
    }

    fn set(&self, held: Option<Held>) {
        *self.lock() = held;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Holds, or tries to hold, the Lease of one namespace until dropped or released.
pub struct Tenure {
    fence: Fence,
    holding: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    /// None where there is no place for it: then nothing is ever held.
    task: Option<JoinHandle<()>>,
}

impl Tenure {
    /// Begins to try. Nothing is held yet. It runs where the connection keeps its leases.
    pub fn begin(connection: &Connection, identity: &str, clock: Clock) -> Self {
        let fence = Fence::new(clock.clone());
        let (holding_in, holding) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let kind = ApiResource::erase::<Lease>(&());
        let task = match connection.keeping.place() {
            Ok((client, place)) => {
                let candidate = Candidate {
                    api: Api::namespaced_with(client, &connection.namespace, &kind),
                    namespace: connection.namespace.clone(),
                    identity: identity.to_string(),
                    clock,
                    fence: fence.clone(),
                    holding: holding_in,
                    seen: None,
                    nonce: format!("{:016x}", rand::random::<u64>()),
                    phase: phase(&connection.namespace, identity),
                };
                Some(place.spawn(candidate.run(stopped)))
            }
            Err(error) => {
                tracing::error!(%error, "the lease cannot be tried for");
                None
            }
        };
        Self { fence, holding, stop, task }
    }

    /// What the driver's writes stand behind.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Whether the Lease is held; changes as it does.
    pub fn holding(&self) -> watch::Receiver<bool> {
        self.holding.clone()
    }

    /// Gives the Lease back, if held, so that the next driver need not wait for it to run out.
    pub async fn release(self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task {
            let _ = tokio::time::timeout(WRITE_LIMIT, task).await;
        }
    }
}

/// When a tenure renews within each [`RENEWAL`] since boot: those of one process at different times.
fn phase(namespace: &str, identity: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    (namespace, identity).hash(&mut hasher);
    RENEWAL.mul_f64((hasher.finish() % 1000) as f64 / 1000.0)
}

struct Candidate {
    api: Api<Object>,
    namespace: String,
    identity: String,
    clock: Clock,
    fence: Fence,
    holding: watch::Sender<bool>,
    /// The renewal that was last seen of another holder, and since when by our clock since boot.
    seen: Option<(String, Duration)>,
    /// Tells this tenure from another of the same identity: in containers every first process is `(1)`.
    nonce: String,
    /// When it renews, within each [`RENEWAL`] since boot; another one for each tenure.
    phase: Duration,
}

/// On the Lease: which tenure of its holder it is.
const NONCE: &str = "canary-tui/tenure";

impl Candidate {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut version: Option<String> = None;
        let mut renewed: Option<Duration> = None;
        loop {
            let asked = self.clock.since_boot();
            if renewed.is_some_and(|renewed| asked.saturating_sub(renewed) > RENEWAL + LATENESS) {
                // This process did not run for a while: whoever works under this lease begins anew, on fresh lists.
                self.announce(false);
                renewed = None;
            }
            let turn = tokio::time::timeout(WRITE_LIMIT, self.turn(version.clone())).await;
            let wait = match turn {
                Ok(Ok(Some((object, term)))) => {
                    version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_string);
                    self.fence.set(Some(Held { renewed: asked, term }));
                    renewed = Some(asked);
                    self.announce(true);
                    // Counted from the question, as the lease is: a slow API server must not shut the fence.
                    until_next(asked, self.phase).saturating_sub(self.clock.since_boot().saturating_sub(asked))
                }
                Ok(Ok(None)) => {
                    version = None;
                    self.fence.set(None);
                    self.announce(false);
                    RENEWAL
                }
                Ok(Err(error)) => {
                    tracing::warn!(namespace = %self.namespace, error = %explain(&error), "lease");
                    // What is held runs on by the fence's own clock; it is read again at once.
                    self.announce(self.fence.check().is_ok());
                    if code(&error) == Some(403) { RENEWAL * 6 } else { RENEWAL / 10 }
                }
                Err(_elapsed) => {
                    self.announce(self.fence.check().is_ok());
                    RENEWAL / 10
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                _ = stopped.changed() => break,
            }
        }
        self.fence.set(None);
        self.announce(false);
        if version.is_some() {
            self.give_back(version).await;
        }
    }

    fn announce(&self, holding: bool) {
        self.holding.send_if_modified(|present| std::mem::replace(present, holding) != holding);
    }

    /// Renews with the version that is known, else reads the Lease and takes it if it is free. None: somebody else's.
    async fn turn(&mut self, version: Option<String>) -> kube::Result<Option<(Value, i64)>> {
        if let Some(version) = version {
            match self.write(&version, None).await {
                Ok(object) => return Ok(Some(with_term(object))),
                // Somebody wrote to it: look who.
                Err(error) if matches!(code(&error), Some(404 | 409)) => self.fence.set(None),
                Err(error) => return Err(error),
            }
        }
        let Some(present) = self.api.get_opt(NAME).await? else {
            return match self.create().await {
                Ok(object) => Ok(Some(with_term(object))),
                Err(error) if code(&error) == Some(409) => Ok(None),
                Err(error) => Err(error),
            };
        };
        let text = |pointer: &str| present.value.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_string();
        let (holder, version) = (text("/spec/holderIdentity"), text("/metadata/resourceVersion"));
        let term = present.value.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or(0);
        let nonce = present.value.pointer("/metadata/annotations").and_then(|a| a.get(NONCE)).and_then(Value::as_str);
        let ours = holder == self.identity && nonce == Some(&self.nonce);
        if !ours && !holder.is_empty() && !self.has_run_out(&present.value) {
            return Ok(None);
        }
        let next = if ours { None } else { Some(term + 1) };
        match self.write(&version, next).await {
            Ok(object) => Ok(Some(with_term(object))),
            Err(error) if code(&error) == Some(409) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether another's Lease stayed unrenewed for all of its duration while this process watched.
    fn has_run_out(&mut self, lease: &Value) -> bool {
        let duration = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64).unwrap_or(15).clamp(1, 3600);
        let renewal = format!("{}/{}", lease["spec"]["holderIdentity"], lease["spec"]["renewTime"]);
        let now = self.clock.since_boot();
        match &self.seen {
            Some((seen, since)) if *seen == renewal => now.saturating_sub(*since) > Duration::from_secs(duration),
            _ => {
                self.seen = Some((renewal, now));
                false
            }
        }
    }

    fn micros(&self) -> String {
        self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    async fn create(&self) -> kube::Result<Value> {
        let now = self.micros();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": NAME,
                "namespace": self.namespace,
                "annotations": { NONCE: self.nonce },
            },
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 1,
            },
        });
        super::writes::create(&self.api, &PostParams::default(), &lease).await
    }

    /// Renews; with `term`, takes over.
    async fn write(&self, version: &str, term: Option<i64>) -> kube::Result<Value> {
        let now = self.micros();
        let mut spec = json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION.as_secs(),
            "renewTime": now,
        });
        if let Some(term) = term {
            spec["acquireTime"] = json!(now);
            spec["leaseTransitions"] = json!(term);
        }
        self.patch(version, spec).await
    }

    async fn patch(&self, version: &str, spec: Value) -> kube::Result<Value> {
        let metadata = json!({ "resourceVersion": version, "annotations": { NONCE: self.nonce } });
        let patch = json!({ "metadata": metadata, "spec": spec });
        let answer = self.api.patch(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(answer.value)
    }

    async fn give_back(&self, version: Option<String>) {
        let Some(version) = version else { return };
        let spec = json!({ "holderIdentity": "", "renewTime": self.micros() });
        let release = tokio::time::timeout(WRITE_LIMIT, self.patch(&version, spec)).await;
        if !matches!(release, Ok(Ok(_))) {
            tracing::warn!(namespace = %self.namespace, "the lease could not be released; it runs out by itself");
        }
    }
}

/// From `asked` to the next renewal: [`RENEWAL`] at most. It does not go by when the last one was: who drives many
/// namespaces takes all their leases at once, and whatever holds it up for a moment holds up many renewals, which would go
/// on together from then on.
fn until_next(asked: Duration, phase: Duration) -> Duration {
    let period = RENEWAL.as_nanos();
    let past = (asked.as_nanos() + period - phase.as_nanos() % period) % period;
    RENEWAL.saturating_sub(Duration::from_nanos(past as u64))
}

fn with_term(object: Value) -> (Value, i64) {
    let term = object.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or(0);
    (object, term)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn clock_at(seconds: Arc<AtomicU64>) -> Clock {
        Clock::new(|| DateTime::UNIX_EPOCH, move || Duration::from_secs(seconds.load(Ordering::Relaxed)))
    }

    #[test]
    fn the_fence_shuts_when_a_renewal_is_overdue() {
        let seconds = Arc::new(AtomicU64::new(100));
        let fence = Fence::new(clock_at(seconds.clone()));
        assert!(fence.check().is_err(), "nothing is held yet");
        fence.set(Some(Held { renewed: Duration::from_secs(100), term: 7 }));
        for (now, open) in [(100, true), (106, true), (107, false), (200, false)] {
            seconds.store(now, Ordering::Relaxed);
            assert_eq!(fence.check().is_ok(), open, "at {now}");
        }
        const { assert!(RENEWAL.as_secs() + LATENESS.as_secs() + WRITE_LIMIT.as_secs() < DURATION.as_secs()) };
    }

    #[test]
    fn renewals_that_were_held_up_together_come_apart_again() {
        let next =
            |asked: u64, phase: u64| until_next(Duration::from_millis(asked), Duration::from_millis(phase)).as_millis();
        // In step, and a little late.
        assert_eq!((next(11_000, 1000), next(11_020, 1000)), (5000, 4980));
        // Held up until the same moment, each is back in its own place with the next one.
        for phase in [0, 1, 1000, 3400, 4999] {
            assert_eq!((13_400 + next(13_400, phase)) % 5000, u128::from(phase));
            assert!((1..=5000).contains(&next(13_400, phase)), "{phase}");
        }
    }

    #[test]
    fn a_lease_is_alive_while_it_is_seen_to_be_renewed() {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds);
        let lease =
            |renewed: &str| json!({"spec": {"holderIdentity": "a", "renewTime": renewed, "leaseDurationSeconds": 15}});
        let first = LeaseRecord::of(&lease("1970-01-01T00:00:00Z"), None, at(10));
        assert_eq!(first.driver(at(10)), Driver::Somebody("a".into()));
        assert_eq!(first.driver(at(16)), Driver::Expired("a".into()));
        // The same renewal seen again is no sign of life; another one is, whatever its clock says.
        let again = LeaseRecord::of(&lease("1970-01-01T00:00:00Z"), Some(&first), at(16));
        assert_eq!(again.driver(at(16)), Driver::Expired("a".into()));
        let renewed = LeaseRecord::of(&lease("1969-01-01T00:00:00Z"), Some(&again), at(16));
        assert_eq!(renewed.driver(at(30)), Driver::Somebody("a".into()));
    }
}
