//! The Deployment controller: one ReplicaSet for each pod template, and the way from the old ones to the new.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::super::status::ApiError;
use super::super::store::{DeleteOptions, Store};
use super::number;
use super::objects::{controlled, is_leaving, owner_reference, set, set_within};
use super::progress::{Looked, Reason, status};
use super::rolling::{Counts, Limits, grow, shrink};
use super::template_hash::template_hash;

const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const HASH_LABEL: &str = "pod-template-hash";

/// Takes one Deployment a step further, and says when its deadline runs out.
pub fn look_at(
    store: &Store,
    namespace: &str,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(deployment) = store.get("Deployment", Some(namespace), name) else {
        return Ok(None);
    };
    let found = Found::of(store, &deployment);
    let mut did = None;
    if !is_leaving(&deployment) {
        if deployment["spec"]["paused"] == true || found.was_rescaled(&deployment) {
            found.rescale(store, &deployment)?;
        } else {
            let (new, reason) = found.new_set(store, &deployment)?;
            did = reason;
            // A new ReplicaSet is a change of its own: the way goes on when it has been seen.
            if let Some(new) = new {
                roll(store, &deployment, &new, &found.old)?;
                clean_up(store, &deployment, &new, &found.old)?;
            }
        }
    }
    // Read again: the templates that hash alike may have been counted.
    let Some(deployment) = store.get("Deployment", Some(namespace), name) else {
        return Ok(None);
    };
    let found = Found::of(store, &deployment);
    let sets = found.all();
    let looked = Looked { deployment: &deployment, sets: &sets, new: found.new.as_deref(), did };
    let (status, deadline) = status(&looked, now);
    if deployment["status"] != status {
        store.modify_status("Deployment", Some(namespace), name, |deployment| set(deployment, "status", status))?;
    }
    Ok(deadline)
}

/// A Deployment's ReplicaSets.
struct Found {
    /// The one with its present template.
    new: Option<Arc<Value>>,
    /// The others, in the order of their revisions.
    old: Vec<Arc<Value>>,
}

impl Found {
    fn of(store: &Store, deployment: &Value) -> Self {
        let mut sets = controlled(store, "ReplicaSet", deployment);
        sets.sort_by_key(|set| revision(set));
        let at = sets.iter().position(|set| has_template(set, &deployment["spec"]["template"]));
        let new = at.map(|at| sets.remove(at));
        Self { new, old: sets }
    }

    fn all(&self) -> Vec<Arc<Value>> {
        self.old.iter().chain(&self.new).cloned().collect()
    }

    /// Whether the number of replicas was changed since the ReplicaSets that have pods were told theirs.
    fn was_rescaled(&self, deployment: &Value) -> bool {
        let wanted = number(deployment, "/spec/replicas").to_string();
        self.all().iter().any(|set| {
            let told = set["metadata"]["annotations"][DESIRED].as_str();
            number(set, "/spec/replicas") > 0 && told.is_some_and(|told| told != wanted)
        })
    }

    /// Scales what runs, without going on with a rolling update.
    fn rescale(&self, store: &Store, deployment: &Value) -> Result<(), ApiError> {
        let wanted = number(deployment, "/spec/replicas");
        let all = self.all();
        let running: Vec<&Arc<Value>> = all.iter().filter(|set| number(set, "/spec/replicas") > 0).collect();
        match running.as_slice() {
            [] => match all.last() {
                Some(latest) => scale(store, deployment, latest, wanted),
                None => Ok(()),
            },
            [only] => scale(store, deployment, only, wanted),
            several => {
                // In the middle of a rolling update the largest takes the difference.
                let total: i64 = several.iter().map(|set| number(set, "/spec/replicas")).sum();
                let most = wanted + if wanted > 0 { Limits::of(deployment, wanted).surge } else { 0 };
                let largest = several.iter().max_by_key(|set| number(set, "/spec/replicas"));
                for set in several {
                    let has = number(set, "/spec/replicas");
                    let is_largest = largest.is_some_and(|largest| Arc::ptr_eq(largest, set));
                    let to = if wanted == 0 {
                        0
                    } else if is_largest {
                        (has + most - total).max(0)
                    } else {
                        has
                    };
                    scale(store, deployment, set, to)?;
                }
                Ok(())
            }
        }
    }

    /// The ReplicaSet of the present template, made if there is none, with the newest revision; and what was done.
    fn new_set(&self, store: &Store, deployment: &Value) -> Result<(Option<Arc<Value>>, Option<Reason>), ApiError> {
        let newest = self.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1;
        if let Some(new) = &self.new {
            let own = revision(new);
            let new = if own < newest { renumber(store, deployment, new, newest)? } else { new.clone() };
            let new = hand_down(store, deployment, &new)?;
            mark_revision(store, deployment, revision(&new))?;
            let name = new["metadata"]["name"].as_str().unwrap_or_default();
            let reason = (own < newest && own > 0)
                .then(|| Reason { word: "FoundNewReplicaSet", sentence: format!("Found new replica set \"{name}\"") });
            return Ok((Some(new), reason));
        }
        let namespace = deployment["metadata"]["namespace"].as_str();
        let collisions = number(deployment, "/status/collisionCount");
        let total = self.old.iter().map(|set| number(set, "/spec/replicas")).sum();
        let object = new_replica_set(deployment, collisions, newest, total);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if store.get("ReplicaSet", namespace, &name).is_some() {
            // Another template hashes alike, or another Deployment's set is in the way: hash differently.
            let own_name = deployment["metadata"]["name"].as_str().unwrap_or_default();
            store.modify_status("Deployment", namespace, own_name, |deployment| {
                set_within(deployment, &["status"], "collisionCount", json!(collisions + 1));
            })?;
            return Ok((None, None));
        }
        let new = store.create("ReplicaSet", namespace, object)?;
        mark_revision(store, deployment, newest)?;
        let reason = Reason { word: "NewReplicaSetCreated", sentence: format!("Created new replica set \"{name}\"") };
        Ok((Some(new), Some(reason)))
    }
}

fn revision(set: &Value) -> i64 {
    let text = set["metadata"]["annotations"][REVISION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether a ReplicaSet was made from this template: the hash label is all that it may have beyond it.
fn has_template(set: &Value, template: &Value) -> bool {
    let own = &set["spec"]["template"];
    let fields = |template: &'_ Value| {
        template.as_object().map_or(0, Map::len) - usize::from(template.get("metadata").is_some())
    };
    let same = |key: &String, value: &Value| key == "metadata" || template.get(key) == Some(value);
    fields(own) == fields(template)
        && own.as_object().is_some_and(|own| own.iter().all(|(key, value)| same(key, value)))
        && said(&own["metadata"]).eq(said(&template["metadata"]))
}

/// What a template's metadata says, in order. The API server writes an empty part for some clients and none for others.
fn said(metadata: &Value) -> impl Iterator<Item = (&String, Option<&String>, &Value)> {
    let parts = metadata.as_object().into_iter().flatten();
    parts.flat_map(|(part, value)| {
        let of_map = value.as_object().into_iter().flatten().map(move |(key, value)| (part, Some(key), value));
        let alone = (!value.is_object() && !value.is_null()).then_some((part, None, value));
        of_map.chain(alone).filter(|(_, key, _)| key.is_none_or(|key| key != HASH_LABEL))
    })
}

fn new_replica_set(deployment: &Value, collisions: i64, revision: i64, running: i64) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let hash = template_hash(&template, collisions);
    set_within(&mut template, &["metadata", "labels"], HASH_LABEL, json!(hash));
    let mut selector = deployment["spec"]["selector"].clone();
    set_within(&mut selector, &["matchLabels"], HASH_LABEL, json!(hash));
    let replicas = number(deployment, "/spec/replicas");
    let limits = Limits::of(deployment, replicas);
    let is_recreated = deployment["spec"]["strategy"]["type"] == "Recreate";
    let first = match (is_recreated, running) {
        (true, 1..) => 0,
        _ => grow(replicas, limits, Counts { wanted: 0, available: 0 }, running),
    };
    let mut annotations = inherited(deployment);
    annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
    annotations.insert(DESIRED.to_owned(), json!(replicas.to_string()));
    annotations.insert(MOST.to_owned(), json!(most(replicas, limits).to_string()));
    let mut spec = json!({ "replicas": first, "selector": selector, "template": template });
    if let Some(steady) = deployment["spec"].get("minReadySeconds") {
        spec["minReadySeconds"] = steady.clone();
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", deployment["metadata"]["name"].as_str().unwrap_or_default()),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": spec,
    })
}

fn most(replicas: i64, limits: Limits) -> i64 {
    if replicas == 0 { 0 } else { replicas + limits.surge }
}

/// The Deployment's annotations that its ReplicaSets bear too.
fn inherited(deployment: &Value) -> Map<String, Value> {
    let own = [REVISION, REVISION_HISTORY, DESIRED, MOST, "kubectl.kubernetes.io/last-applied-configuration"];
    let all = deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    all.into_iter().filter(|(name, _)| !own.contains(&name.as_str())).collect()
}

/// Puts the Deployment's annotations on the ReplicaSet of its present template. What it had already stays.
fn hand_down(store: &Store, deployment: &Value, new: &Arc<Value>) -> Result<Arc<Value>, ApiError> {
    let inherited = inherited(deployment);
    if inherited.iter().all(|(name, value)| new["metadata"]["annotations"].get(name) == Some(value)) {
        return Ok(new.clone());
    }
    let (namespace, name) = (deployment["metadata"]["namespace"].as_str(), new["metadata"]["name"].as_str());
    store.modify("ReplicaSet", namespace, name.unwrap_or_default(), |new| {
        for (annotation, value) in inherited {
            set_within(new, &["metadata", "annotations"], &annotation, value);
        }
    })
}

/// A template that comes back is the newest revision again.
fn renumber(store: &Store, deployment: &Value, new: &Value, newest: i64) -> Result<Arc<Value>, ApiError> {
    let before = revision(new);
    let (namespace, name) = (deployment["metadata"]["namespace"].as_str(), new["metadata"]["name"].as_str());
    store.modify("ReplicaSet", namespace, name.unwrap_or_default(), |new| {
        let annotations = ["metadata", "annotations"];
        if before > 0 {
            let history = match new["metadata"]["annotations"][REVISION_HISTORY].as_str() {
                Some(history) => format!("{history},{before}"),
                None => before.to_string(),
            };
            set_within(new, &annotations, REVISION_HISTORY, json!(history));
        }
        set_within(new, &annotations, REVISION, json!(newest.to_string()));
    })
}

fn mark_revision(store: &Store, deployment: &Value, revision: i64) -> Result<(), ApiError> {
    if deployment["metadata"]["annotations"][REVISION] == revision.to_string().as_str() {
        return Ok(());
    }
    let (namespace, name) = (deployment["metadata"]["namespace"].as_str(), deployment["metadata"]["name"].as_str());
    // With the status, which takes annotations along and counts no generation.
    store.modify_status("Deployment", namespace, name.unwrap_or_default(), |deployment| {
        set_within(deployment, &["metadata", "annotations"], REVISION, json!(revision.to_string()));
    })?;
    Ok(())
}

/// Tells a ReplicaSet how many pods to have, and for which size of the Deployment.
fn scale(store: &Store, deployment: &Value, set_object: &Value, to: i64) -> Result<(), ApiError> {
    let replicas = number(deployment, "/spec/replicas");
    let most = most(replicas, Limits::of(deployment, replicas));
    let told = &set_object["metadata"]["annotations"];
    if set_object["spec"]["replicas"] == to
        && told[DESIRED] == replicas.to_string().as_str()
        && told[MOST] == most.to_string().as_str()
    {
        return Ok(());
    }
    let (namespace, name) = (deployment["metadata"]["namespace"].as_str(), set_object["metadata"]["name"].as_str());
    store.modify("ReplicaSet", namespace, name.unwrap_or_default(), |object| {
        set_within(object, &["spec"], "replicas", json!(to));
        let annotations = ["metadata", "annotations"];
        set_within(object, &annotations, DESIRED, json!(replicas.to_string()));
        set_within(object, &annotations, MOST, json!(most.to_string()));
    })?;
    Ok(())
}

fn counts(set: &Value) -> Counts {
    Counts { wanted: number(set, "/spec/replicas"), available: number(set, "/status/availableReplicas") }
}

/// Goes from the old ReplicaSets to the new one, as far as it may at once.
fn roll(store: &Store, deployment: &Value, new: &Value, old: &[Arc<Value>]) -> Result<(), ApiError> {
    let replicas = number(deployment, "/spec/replicas");
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        for set in old.iter().filter(|set| number(set, "/spec/replicas") > 0) {
            scale(store, deployment, set, 0)?;
        }
        let still_there = old.iter().any(|set| !controlled(store, "Pod", set).is_empty());
        return if still_there { Ok(()) } else { scale(store, deployment, new, replicas) };
    }
    let limits = Limits::of(deployment, replicas);
    let old_counts: Vec<Counts> = old.iter().map(|set| counts(set)).collect();
    let mut new_counts = counts(new);
    let total = new_counts.wanted + old_counts.iter().map(|counts| counts.wanted).sum::<i64>();
    let to = grow(replicas, limits, new_counts, total);
    scale(store, deployment, new, to)?;
    if to != new_counts.wanted {
        new_counts = Counts { wanted: to, available: new_counts.available.min(to) };
    }
    let wanted = shrink(replicas, limits, new_counts, &old_counts);
    for (set, to) in old.iter().zip(wanted) {
        if number(set, "/spec/replicas") != to {
            scale(store, deployment, set, to)?;
        }
    }
    Ok(())
}

/// Old ReplicaSets are kept for a way back, but not without end.
fn clean_up(store: &Store, deployment: &Value, new: &Value, old: &[Arc<Value>]) -> Result<(), ApiError> {
    let replicas = number(deployment, "/spec/replicas");
    let is_done = number(new, "/status/availableReplicas") == replicas && number(new, "/spec/replicas") == replicas;
    let kept = deployment["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10).max(0) as usize;
    if !is_done || old.len() <= kept {
        return Ok(());
    }
    for set in &old[..old.len() - kept] {
        let is_empty = number(set, "/spec/replicas") == 0 && number(set, "/status/replicas") == 0;
        if is_empty && !is_leaving(set) {
            let (namespace, name) = (set["metadata"]["namespace"].as_str(), set["metadata"]["name"].as_str());
            store.delete("ReplicaSet", namespace, name.unwrap_or_default(), &DeleteOptions::default())?;
        }
    }
    Ok(())
}
