//! What is said and asked beside one Canary's rollout: event webhooks, post-rollout webhooks, alerts. Nothing ever waits
//! for it: each kind has a line of its own, which is worked off in the background, in order, and is bounded. What has to
//! be said about an errand comes back as a letter.

use super::alerts::{self, Message};
use super::facts::driven_spec;
use super::webhooks::{Caller, Subject};
use crate::api::{HookKind, Phase, Webhook};
use crate::cluster::events::Draft;
use crate::cluster::{CanaryRecord, Clock};
use crate::rollout::{Alert, Facts, Note, Occasion};
use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Most Events that wait to be posted.
const EVENTS: usize = 256;
/// Most alerts that wait to be sent.
const ALERTS: usize = 64;
/// Most rollouts whose end waits to be told to their webhooks.
const ENDS: usize = 8;
/// Alerts that are remembered as told.
const REMEMBERED: usize = 32;
/// Time limit of an event webhook that the command line names.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What all Canaries' errands have in common.
#[derive(Clone)]
pub struct Messenger {
    pub caller: Caller,
    pub client: kube::Client,
    /// Where the Events of Canaries go that name no webhook for them.
    pub event_webhook: Option<String>,
}

/// The errands of one Canary.
pub struct Errands {
    pub messenger: Messenger,
    pub letters: Letters,
    clock: Clock,
    events: Line,
    alerts: Line,
    ends: Line,
    told: Told,
    /// What went wrong last with each AlertProvider: it is said once.
    troubles: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Errands {
    /// None to run yet. Letters wake whoever waits for `changed`.
    pub fn new(messenger: Messenger, clock: Clock, changed: Arc<Notify>) -> Self {
        Self {
            messenger,
            letters: Letters { waiting: Arc::default(), changed },
            clock,
            events: Line::new("event to be posted", EVENTS),
            alerts: Line::new("alert", ALERTS),
            ends: Line::new("call of post-rollout webhooks", ENDS),
            told: Told::default(),
            troubles: Arc::default(),
        }
    }

    /// Posts an Event to the Canary's event webhooks; where it has none, to the one of the command line. `phase` is the
    /// Canary's when it happened.
    pub fn post_event(&self, canary: &CanaryRecord, phase: Phase, draft: &Draft) {
        let own = driven_spec(canary, canary.partial.as_deref()).map(|spec| spec.analysis.hooks(HookKind::Event));
        let mut hooks: Vec<Webhook> = own.into_iter().flatten().cloned().collect();
        if hooks.is_empty() {
            hooks.extend(self.messenger.event_webhook.as_ref().map(|url| Webhook {
                name: "events".into(),
                url: url.clone(),
                kind: HookKind::Event,
                timeout: TIMEOUT,
                retries: 0,
                skip_tls_verify: false,
                mute_alert: false,
                metadata: BTreeMap::new(),
            }));
        }
        if hooks.is_empty() {
            return;
        }
        let subject = Subject::new(&canary.name, &canary.namespace, &canary.status, phase);
        let own = [
            ("eventMessage", draft.message.clone()),
            ("eventType", if draft.warning { "Warning" } else { "Normal" }.to_string()),
            ("timestamp", self.clock.now().timestamp_millis().to_string()),
        ];
        let caller = self.messenger.caller.clone();
        self.events.add(async move {
            for hook in &hooks {
                let mut metadata = hook.metadata.clone();
                metadata.extend(own.iter().map(|(key, value)| (key.to_string(), value.clone())));
                if let Err(why) = caller.call(hook, &subject.payload(&metadata)).await {
                    tracing::warn!(canary = %subject.name, webhook = %hook.name, "an event was not posted: {why}");
                }
            }
        });
    }

    /// Calls the post-rollout webhooks, up to the first that fails; each is answered by a letter.
    pub fn call_post_rollout(&self, phase: Phase, facts: &Facts, revision: String) {
        let hooks: Vec<Webhook> = facts.spec.analysis.hooks(HookKind::PostRollout).cloned().collect();
        let subject = Subject::new(&facts.name, &facts.namespace, &facts.status, phase);
        let (caller, letters, stamp) = (self.messenger.caller.clone(), self.letters.clone(), stamp(facts));
        self.ends.add(async move {
            for hook in &hooks {
                let called = caller.call(hook, &subject.payload(&hook.metadata)).await;
                let message = match &called {
                    Ok(()) => format!("Post-rollout check {} passed", hook.name),
                    Err(why) => format!("Post-rollout hook {} failed {why}", hook.name),
                };
                let occasion = Occasion::Step(stamp.clone());
                letters.write(Note { warning: called.is_err(), reason: "Synced", message, occasion }, &revision);
                if called.is_err() {
                    break;
                }
            }
        });
    }

    /// Tells those whom the Canary's alerts name, once for each text and status: a decision may be made many times.
    pub fn tell(&mut self, alert: &Alert, facts: &Facts, revision: String) {
        if !self.told.first(&alert.text, facts.status.last_transition) {
            return;
        }
        let message = Message {
            name: facts.name.clone(),
            namespace: facts.namespace.clone(),
            severity: alert.severity,
            text: alert.text.clone(),
            fields: if alert.with_fields { alerts::fields(&facts.spec, &facts.namespace) } else { Vec::new() },
        };
        let mut sends = Vec::new();
        for to in facts.spec.analysis.alerts.iter().filter(|to| alert.severity >= to.severity) {
            let namespace = to.namespace.clone().unwrap_or_else(|| facts.namespace.clone());
            let (provider, message, messenger) = (to.provider.clone(), message.clone(), self.messenger.clone());
            let (letters, troubles) = (self.letters.clone(), self.troubles.clone());
            let (stamp, revision) = (stamp(facts), revision.clone());
            sends.push(async move {
                let sent = alerts::send(&messenger.client, &messenger.caller, &namespace, &provider, &message).await;
                let full = format!("{provider}.{namespace}");
                let Err(why) = sent else {
                    locked(&troubles).remove(&full);
                    return;
                };
                tracing::warn!(canary = %message.name, "alert {:?} was not sent to {full}: {why}", message.text);
                if locked(&troubles).insert(full.clone(), why.clone()).as_ref() != Some(&why) {
                    let message = format!("Alerts to {full} are not sent: {why}");
                    let occasion = Occasion::Step(stamp);
                    letters.write(Note { warning: true, reason: "AlertNotSent", message, occasion }, &revision);
                }
            });
        }
        // All receivers at once: one that hangs delays none of the others.
        self.alerts.add(join_all(sends).map(drop));
    }
}

/// The alerts told last, with the status that they were decided on.
#[derive(Default)]
struct Told(VecDeque<(String, Option<DateTime<Utc>>)>);

impl Told {
    /// Whether this text is told for the first time on the status of this moment.
    fn first(&mut self, text: &str, status: Option<DateTime<Utc>>) -> bool {
        let told = (text.to_string(), status);
        if self.0.contains(&told) {
            return false;
        }
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(told);
        true
    }
}

/// Which status this was decided on.
fn stamp(facts: &Facts) -> String {
    facts.status.last_transition.map_or_else(String::new, |t| t.to_rfc3339())
}

/// What errands have to say, to be written as Events on the Canary.
#[derive(Clone)]
pub struct Letters {
    waiting: Arc<Mutex<Vec<(Note, String)>>>,
    changed: Arc<Notify>,
}

impl Letters {
    fn write(&self, note: Note, revision: &str) {
        locked(&self.waiting).push((note, revision.to_string()));
        self.changed.notify_one();
    }

    /// Takes those that wait: each with the revision that it is about.
    pub fn take(&self) -> Vec<(Note, String)> {
        std::mem::take(&mut *locked(&self.waiting))
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        locked(&self.waiting).is_empty()
    }
}

/// Errands that are run one after the other.
struct Line {
    what: &'static str,
    bound: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<BoxFuture<'static, ()>>,
    running: bool,
}

impl Line {
    fn new(what: &'static str, bound: usize) -> Self {
        Self { what, bound, state: Arc::default() }
    }

    /// Adds an errand. Where too many wait, the oldest is dropped.
    fn add(&self, errand: impl Future<Output = ()> + Send + 'static) {
        let mut state = locked(&self.state);
        if state.waiting.len() >= self.bound {
            tracing::warn!("too many wait: the oldest {} is dropped", self.what);
            state.waiting.pop_front();
        }
        state.waiting.push_back(errand.boxed());
        if !std::mem::replace(&mut state.running, true) {
            // Not the worker's own: what was decided is told even if this driver has lost its lease by then.
            tokio::spawn(run(self.state.clone()));
        }
    }
}

async fn run(state: Arc<Mutex<State>>) {
    loop {
        let errand = {
            let mut state = locked(&state);
            let Some(errand) = state.waiting.pop_front() else {
                state.running = false;
                return;
            };
            errand
        };
        if AssertUnwindSafe(errand).catch_unwind().await.is_err() {
            tracing::error!("an errand has panicked");
        }
    }
}

/// What is guarded here is whole after every statement.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, oneshot};

    #[test]
    fn an_alert_is_told_once_for_each_status() {
        let mut told = Told::default();
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        assert!(told.first("stalled", at(1)) && !told.first("stalled", at(1)));
        assert!(told.first("failed", at(1)) && told.first("stalled", at(2)) && !told.first("stalled", at(2)));
        for number in 0..1000 {
            told.first(&number.to_string(), None);
        }
        assert_eq!(told.0.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn errands_run_in_order_and_the_oldest_gives_way() {
        let line = Line::new("errand", 2);
        let (open, gate) = oneshot::channel::<()>();
        let (begun, began) = oneshot::channel::<()>();
        let (said, mut heard) = mpsc::unbounded_channel();
        line.add(async move {
            let _ = begun.send(());
            let _ = gate.await;
        });
        began.await.unwrap();
        for number in 1..=4 {
            let said = said.clone();
            line.add(async move { said.send(number).unwrap() });
        }
        drop(said);
        open.send(()).unwrap();
        assert_eq!((heard.recv().await, heard.recv().await, heard.recv().await), (Some(3), Some(4), None));
    }

    #[tokio::test]
    async fn one_that_panics_takes_none_of_the_others_with_it() {
        let line = Line::new("errand", 8);
        let (said, heard) = oneshot::channel();
        line.add(async { panic!("on purpose") });
        line.add(async move { said.send(1).unwrap() });
        assert_eq!(heard.await, Ok(1));
    }
}
