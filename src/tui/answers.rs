//! Answers the console's questions about one canary: asks the cluster and Prometheus, and again when something of that
//! canary has changed, until nobody reads any more.

use super::message::{Msg, Teller};
use super::reading::{Answer, Asked, Causes, Changes, ConfigChange, Inquiry, Served, Staff, Topic};
use super::row::Key;
use super::worlds::Worlds;
use crate::api::annotation;
use crate::api::revision::Configs;
use crate::api::shapes::{self, ConfigKind, Selector};
use crate::api::{Provider, Spec};
use crate::cluster::connect::{code, explain};
use crate::cluster::object::Object;
use crate::cluster::pod_watch::{self, PodRecord};
use crate::cluster::{Changed, Connection, Kinds, Mirror, Source, World, entrances, histories, remains};
use crate::metrics::{Locator, reader};
use crate::rollout;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use kube::Api;
use kube::core::ApiResource;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::broadcast;

/// Time limit of one call.
const LIMIT: Duration = Duration::from_secs(5);
/// What changes within this time is told together.
const SETTLE: Duration = Duration::from_millis(250);
/// Most lines of an object that are shown.
const MOST_LINES: usize = 10_000;

/// What it takes to answer.
#[derive(Clone)]
pub struct Desk {
    pub told: Teller,
    pub connection: Connection,
    pub kinds: Kinds,
    pub worlds: Worlds,
    pub locator: Locator,
}

impl Desk {
    /// Answers a question again and again. It ends when it is aborted, or when nobody listens.
    pub async fn answer(self, ask: Inquiry) {
        let Some(mirror) = self.worlds.of(&ask.of.namespace) else {
            let answer = Err(format!("nothing is known of the namespace {}", ask.of.namespace));
            let _ = self.told.send(Msg::Answer { ask, answer });
            return;
        };
        let locator = match self.worlds.are_all() {
            true => self.locator.of(&ask.of.namespace),
            false => self.locator.clone(),
        };
        Inquest { mirror, locator, desk: self }.run(ask).await;
    }

    /// Tells once which versions a canary's target had.
    pub async fn look_back(self, asked: u64, canary: Key) {
        let Desk { connection, kinds, .. } = &self;
        let past = match self.worlds.of(&canary.namespace) {
            Some(mirror) => remains::past(&connection.client, kinds, &mirror, &canary.namespace, &canary.name).await,
            None => Err(format!("nothing is known of the namespace {}", canary.namespace)),
        };
        let _ = self.told.send(Msg::Past { asked, past });
    }
}

/// What it takes to answer about the canaries of one namespace.
struct Inquest {
    desk: Desk,
    mirror: Mirror,
    locator: Locator,
}

impl Inquest {
    async fn run(self, ask: Inquiry) {
        let mut changes = self.mirror.changes();
        let mut watched: Option<Watched> = None;
        let mut staff: [Option<Result<Vec<PodRecord>, String>>; 2] = [None, None];
        loop {
            let answer = match ask.topic {
                Topic::Why => {
                    // The target may come later than the question, or anew with other labels.
                    let selector = self.selector(&ask);
                    if let Some(selector) = selector.filter(|new| watched.as_ref().is_none_or(|old| old.by != *new)) {
                        staff = [None, None];
                        watched = Some(self.watch_pods(&ask, selector));
                    }
                    // What is there at once belongs into the first answer.
                    while let Ok(Some((side, found))) = tokio::time::timeout(SETTLE, next(&mut watched)).await {
                        staff[side] = Some(found);
                        if staff.iter().all(Option::is_some) {
                            break;
                        }
                    }
                    self.causes(&ask, &staff).await.map(|causes| Answer::Why(Box::new(causes)))
                }
                Topic::Routes => self.served(&ask).await.map(|served| Answer::Routes(Box::new(served))),
                Topic::Describe => self.described(&ask).await.map(Answer::Describe),
                Topic::Diff => self.changes(&ask).await.map(|changes| Answer::Diff(Box::new(changes))),
            };
            if self.desk.told.send(Msg::Answer { ask: ask.clone(), answer }).is_err() {
                return;
            }
            let named = self.names(&ask);
            tokio::select! {
                ended = concerning(&mut changes, &named) => if ended.is_err() { return },
                Some((side, found)) = next(&mut watched) => staff[side] = Some(found),
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// The spec of the canary, as far as it can be read.
    fn spec(&self, ask: &Inquiry) -> Result<Box<Spec>, String> {
        let world = self.mirror.read();
        let canary =
            world.canary(&ask.of.name).ok_or_else(|| format!("there is no canary {} any more", ask.of.name))?;
        let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref());
        spec.cloned().ok_or_else(|| "its spec cannot be read".to_string())
    }

    /// Names of the objects of which a change counts.
    fn names(&self, ask: &Inquiry) -> BTreeSet<String> {
        let mut names = BTreeSet::from([ask.of.name.clone()]);
        if let Ok(spec) = self.spec(ask) {
            names.extend([spec.target.clone(), spec.primary(), spec.provider.routes_name(&spec)]);
        }
        names
    }

    /// One object; None where it is not there.
    async fn object(&self, kind: &ApiResource, namespace: &str, name: &str) -> Result<Option<Value>, String> {
        let api: Api<Object> = Api::namespaced_with(self.desk.connection.client.clone(), namespace, kind);
        match tokio::time::timeout(LIMIT, api.get_opt(name)).await {
            Err(_) => Err(format!("the API server did not answer within {} s", LIMIT.as_secs())),
            Ok(Err(error)) if code(&error) == Some(403) => Err(format!("not permitted: {}", explain(&error))),
            Ok(Err(error)) => Err(explain(&error)),
            Ok(Ok(object)) => Ok(object.map(|object| object.value)),
        }
    }

    /// The Canary as YAML, without what nobody reads: who manages which field, and the copy that kubectl keeps.
    async fn described(&self, ask: &Inquiry) -> Result<Vec<String>, String> {
        let object = self.object(&self.desk.kinds.canary, ask.of.namespace.as_str(), &ask.of.name).await?;
        let mut object = object.ok_or_else(|| format!("there is no canary {} any more", ask.of.name))?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            // A page of JSON in one line, which the view of the reasons tells in words.
            let kept = metadata.get_mut("annotations").and_then(|all| all.get_mut(annotation::HISTORY));
            if let Some(kept) = kept {
                *kept = Value::from(format!("({} bytes, told by the key w)", kept.as_str().map_or(0, str::len)));
            }
        }
        let text = serde_saphyr::to_string(&object).map_err(|why| format!("it cannot be written as YAML: {why}"))?;
        let mut lines: Vec<String> = text.lines().take(MOST_LINES).map(super::text::bounded).collect();
        let more = text.lines().count().saturating_sub(lines.len());
        if more > 0 {
            lines.push(format!("# {more} more lines"));
        }
        Ok(lines)
    }

    async fn served(&self, ask: &Inquiry) -> Result<Served, String> {
        let (spec, namespace) = (self.spec(ask)?, ask.of.namespace.as_str());
        let provider: Provider = spec.provider;
        let (kind, name) = (provider.routes_kind(), provider.routes_name(&spec));
        let like = self.desk.kinds.of(Source::Routes(provider));
        let object = match like {
            Some(kind) => self.object(kind, namespace, &name).await,
            None => Err(format!("the cluster serves no {}", kind.resource)),
        };
        let routes = object.and_then(|object| object.ok_or_else(|| format!("there is no {} {name}", kind.kind)));
        let routes = routes.map(|object| object.get("spec").cloned().unwrap_or(Value::Null));
        let live = routes.as_ref().map(|routes| provider.live(routes, &spec)).unwrap_or_default();
        let way = routes.map(|routes| provider.way(&routes));
        let named = way.as_ref().map_or_else(|_| spec.service.gateways.clone(), |way| way.gateways.clone());
        let gateways = named.iter().filter_map(|name| provider.gateway(name, namespace)).take(8);
        let entrances = gateways.filter_map(|(namespace, name)| {
            let client = &self.desk.connection.client;
            like.map(|like| async move { entrances::look_at(client, like, &namespace, &name).await })
        });
        Ok(Served {
            object: format!("{} {name}", kind.kind),
            way,
            live,
            services: [shapes::Role::Primary, shapes::Role::Canary].map(|role| role.name(&spec.service.apex)),
            strategy: spec.analysis.strategy(),
            affinity: spec.analysis.affinity.clone(),
            port: spec.service.port,
            entrances: join_all(entrances).await,
        })
    }

    /// What the target's template and what it mounts change against the primary's.
    async fn changes(&self, ask: &Inquiry) -> Result<Changes, String> {
        let (spec, namespace) = (self.spec(ask)?, ask.of.namespace.as_str());
        let workloads = [spec.primary(), spec.target.clone()];
        let kind = &self.desk.kinds.deployment;
        let [primary, target] = &workloads;
        let (served, new) = futures::join!(self.object(kind, namespace, primary), self.object(kind, namespace, target));
        let there = |object: Option<Value>, name: &str| object.ok_or_else(|| format!("there is no Deployment {name}"));
        let (served, new) = (there(served?, primary)?, there(new?, target)?);
        let (tracked, promoted) = {
            let world = self.mirror.read();
            let canary = world.canary(&ask.of.name);
            let tracked = canary.and_then(|canary| canary.status.tracked_configs.clone()).unwrap_or_default();
            let record = world.workload(primary);
            (tracked, record.and_then(|record| record.promoted_configs.clone()))
        };
        let selector = Selector::of(&new)?;
        let copies: BTreeSet<String> = match &promoted {
            Some(promoted) => promoted.keys().cloned().collect(),
            // Who promoted it did not say: what the target mounts is what may have been copied.
            None => shapes::keys(new.pointer("/spec/template").unwrap_or(&Value::Null)),
        };
        let served = shapes::returned_template(&served, &selector, target, &copies);
        let new = shapes::as_authored(&new);
        let configs = match promoted {
            Some(promoted) => self.configs(namespace, &promoted, &tracked).await,
            None => Vec::new(),
        };
        Ok(Changes { template: shapes::differences(&served, &new), configs, workloads })
    }

    async fn configs(&self, namespace: &str, promoted: &Configs, tracked: &Configs) -> Vec<ConfigChange> {
        let keys: BTreeSet<&String> = promoted.keys().chain(tracked.keys()).collect();
        let changed = keys.into_iter().filter(|key| promoted.get(*key) != tracked.get(*key)).take(32);
        let changes = changed.map(|key| async move {
            let checksums = [promoted.get(key).cloned(), tracked.get(key).cloned()];
            let entries = match shapes::of_key(key) {
                Some((ConfigKind::ConfigMap, name)) if checksums.iter().all(Option::is_some) => {
                    self.entries(namespace, name).await
                }
                Some((ConfigKind::Secret, _)) => Err("what a Secret holds is not looked at".to_string()),
                _ => Ok(Vec::new()),
            };
            ConfigChange { key: key.clone(), checksums, entries }
        });
        join_all(changes).await
    }

    /// What a ConfigMap holds that the primary's copy does not.
    async fn entries(&self, namespace: &str, name: &str) -> Result<Vec<shapes::Difference>, String> {
        let (kind, copy) = (&self.desk.kinds.config_map, shapes::copy_name(name));
        let (copy, present) = futures::join!(self.object(kind, namespace, &copy), self.object(kind, namespace, name));
        let data = |object: Option<Value>| object.and_then(|object| object.get("data").cloned()).unwrap_or(Value::Null);
        Ok(shapes::differences(&data(copy?), &data(present?)))
    }

    /// What tells the target's pods from the primary's; None where the target is not known, or not yet.
    fn selector(&self, ask: &Inquiry) -> Option<Selector> {
        let target = self.spec(ask).ok()?.target;
        self.mirror.read().workload(&target)?.selector.clone().ok()
    }

    /// The pods of the target and of the primary, as they change.
    fn watch_pods(&self, ask: &Inquiry, by: Selector) -> Watched {
        let (client, namespace) = (&self.desk.connection.client, ask.of.namespace.as_str());
        let of = |value: &str, side: usize| {
            pod_watch::watch(client, namespace, &by.label, value).map(move |pods| (side, pods))
        };
        let pods = stream::select(of(&by.value, 0), of(&by.primary(), 1)).boxed();
        Watched { by, pods }
    }

    async fn causes(
        &self,
        ask: &Inquiry,
        staff: &[Option<Result<Vec<PodRecord>, String>>; 2],
    ) -> Result<Causes, String> {
        let spec = self.spec(ask)?;
        let (under_way, sides) = {
            let world = self.mirror.read();
            let names = [spec.target.clone(), spec.primary()];
            let sides = names.into_iter().zip(staff).map(|(name, pods)| side(&world, ask, &spec, name, pods));
            let canary = world.canary(&ask.of.name);
            (canary.is_some_and(|canary| canary.status.phase.under_way()), sides.collect())
        };
        let namespace = ask.of.namespace.as_str();
        let (locator, spec) = (&self.locator, &*spec);
        let checks = spec.analysis.checks.iter().enumerate().map(|(place, check)| async move {
            let question = reader::question(locator, spec, &ask.of.name, namespace, place).await;
            let reading = match under_way {
                true => Some(reader::read(locator, spec, &ask.of.name, namespace, place).await),
                false => None,
            };
            let fails = |reading| rollout::failure(check, reading, &ask.of.name, &spec.target, namespace).is_some();
            let passes = reading.as_ref().is_some_and(|reading| !fails(reading));
            let (name, kind) = (super::text::bounded(&check.name), check.kind);
            Asked { name, kind, min: check.min, max: check.max, question, reading, passes }
        });
        let Desk { connection, kinds, .. } = &self.desk;
        let history = histories::read(&connection.client, kinds, &ask.of.namespace, &ask.of.name);
        let (checks, history) = futures::join!(join_all(checks), history);
        Ok(Causes { checks, deadline: spec.progress_deadline, sides, history })
    }
}

/// The pods that are watched, each list with its side: 0 is the target's, 1 the primary's.
struct Watched {
    by: Selector,
    pods: BoxStream<'static, (usize, pod_watch::Pods)>,
}

/// One workload with its pods.
fn side(
    world: &World,
    ask: &Inquiry,
    spec: &Spec,
    workload: String,
    pods: &Option<Result<Vec<PodRecord>, String>>,
) -> Staff {
    let record = world.workload(&workload);
    let record = record.as_deref();
    let began = world.canary(&ask.of.name).and_then(|canary| canary.status.last_transition);
    let missing = record.filter(|record| record.desired > 0).and_then(|record| record.unavailable_since);
    let missing = missing.and_then(|since| {
        let counted = began.map_or(since, |began| began.max(since));
        let ends = counted.checked_add_signed(chrono::Duration::from_std(spec.progress_deadline).ok()?)?;
        Some((since, ends))
    });
    // Another Deployment's pods may bear the same label.
    let sets: Vec<&str> =
        record.iter().flat_map(|record| world.replica_sets.of(&record.uid)).map(|set| &*set.name).collect();
    let ours = |pod: &PodRecord| sets.is_empty() || pod.owner.as_deref().is_some_and(|owner| sets.contains(&owner));
    let kept = |pods: &Vec<PodRecord>| pods.iter().filter(|pod| ours(pod)).cloned().collect();
    let pods = pods.as_ref().map(|pods| pods.as_ref().map(kept).map_err(Clone::clone));
    Staff { workload, pods, missing }
}

/// Which pods are news; never anything where none are watched.
async fn next(watched: &mut Option<Watched>) -> Option<(usize, pod_watch::Pods)> {
    match watched {
        Some(watched) => watched.pods.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for a change of an object of this name, or of everything.
async fn concerning(changes: &mut broadcast::Receiver<Changed>, names: &BTreeSet<String>) -> Result<(), ()> {
    loop {
        match changes.recv().await {
            Ok(changed) => {
                let counts = matches!(changed.source, Source::Canaries | Source::Deployments | Source::Routes(_));
                if counts && (changed.name.is_empty() || names.contains(&changed.name)) {
                    return Ok(());
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => return Ok(()),
            Err(broadcast::error::RecvError::Closed) => return Err(()),
        }
    }
}
