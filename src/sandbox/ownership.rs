//! `metadata.managedFields`: who owns which field, and what an owner may do to what others own. A plain write takes
//! what it changes from whoever had it; server-side apply asks first, and what its manager no longer applies goes.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::fields::{FieldSet, field_step};
use super::kinds::Kind;
use super::merging::{compare, fields_of, merge, with_fields_above, without};
use super::store::{Part, Write, timestamp};
use super::structure::Place;

/// How many managers of plain writes are told apart; of more, the oldest are put together.
const MOST_UPDATERS: usize = 10;
const PUT_TOGETHER: &str = "ancient-changes";
/// Who owns what was there before anybody was recorded.
const BEFORE: &str = "before-first-apply";

/// Why an applied configuration was not taken.
#[derive(Debug)]
pub enum Refused {
    /// Others own what it would change: who, and which fields.
    Conflicts(Vec<(String, Vec<String>)>),
    /// It makes no sense in itself.
    Nonsense(String),
}

/// One entry of managedFields.
#[derive(Debug, Clone, PartialEq)]
struct Manager {
    name: String,
    applied: bool,
    api_version: String,
    subresource: Option<String>,
    time: Option<String>,
    fields: FieldSet,
}

impl Manager {
    fn new(name: &str, applied: bool, api_version: &str, subresource: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            applied,
            api_version: api_version.to_owned(),
            subresource: subresource.map(str::to_owned),
            time: None,
            fields: FieldSet::default(),
        }
    }

    fn read(entry: &Value) -> Option<Self> {
        let text = |field: &str| entry[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if entry["fieldsType"] != "FieldsV1" {
            return None;
        }
        let applied = match entry["operation"].as_str()? {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        Some(Self {
            name: text("manager").unwrap_or_default(),
            applied,
            api_version: text("apiVersion")?,
            subresource: text("subresource"),
            time: text("time"),
            fields: FieldSet::read(&entry["fieldsV1"]),
        })
    }

    fn written(&self) -> Value {
        let mut entry = json!({
            "manager": self.name,
            "operation": if self.applied { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.written(),
        });
        if let Some(time) = &self.time {
            entry["time"] = json!(time);
        }
        if let Some(subresource) = &self.subresource {
            entry["subresource"] = json!(subresource);
        }
        entry
    }

    /// Whether both stand for the same manager. One that applies is the same in every version.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.api_version == other.api_version)
    }

    /// By what the entries of an object are put in order.
    fn rank(&self) -> (bool, &Option<String>, &str, &str, &Option<String>) {
        (!self.applied, &self.time, &self.name, &self.api_version, &self.subresource)
    }

    /// How a conflict names it.
    fn shown(&self) -> String {
        let mut shown = format!("{:?}", self.name);
        if let Some(subresource) = &self.subresource {
            shown.push_str(&format!(" with subresource {subresource:?}"));
        }
        if !self.applied {
            shown.push_str(&format!(" using {}", self.api_version));
        }
        shown
    }
}

/// Records the plain write of `object`, which replaces `old`: what it changed belongs to its manager now.
/// Entries that the object itself brings count; an empty list begins anew.
pub fn record(kind: &Kind, old: Option<&Value>, object: &mut Value, write: &Write, now: DateTime<Utc>) {
    let brought = object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("managedFields"));
    let brought = brought.unwrap_or_default();
    let kept = old.map(|old| &old["metadata"]["managedFields"]);
    let mut managers = match &brought {
        Value::Array(entries) if entries.iter().all(|entry| *entry == json!({})) => Vec::new(),
        _ => read(&brought).filter(|managers| !managers.is_empty()).or_else(|| read(kept?)).unwrap_or_default(),
    };
    // An object that nobody was recorded on stays so.
    if old.is_none() || !managers.is_empty() {
        let api_version = api_version(kind, write);
        let nothing = unset(kind);
        let place = place(kind, &api_version);
        let mut difference = compare(place, old.unwrap_or(&nothing), object);
        strip(&mut difference.changed);
        if write.trusted && write.part == Part::Main && kind.has_status {
            // The sandbox's own controllers write all at once what elsewhere is written in two parts.
            let mut status = FieldSet::default();
            let step = field_step("status");
            if let Some(below) = difference.changed.below.remove(&step) {
                status.put(step, below);
            }
            take(&mut managers, &status, &difference.removed);
            let this = Manager::new(&write.manager, false, &api_version, Some("status"));
            give(&mut managers, this, status, now);
        } else {
            filter(kind, write.part, &mut difference.changed);
            filter(kind, write.part, &mut difference.removed);
            if write.part == Part::Scale && object["spec"]["replicas"] == 0 {
                // In a Scale, none at all is not said.
                difference.removed.unite(&std::mem::take(&mut difference.changed));
            }
        }
        take(&mut managers, &difference.changed, &difference.removed);
        let this = Manager::new(&write.manager, false, &api_version, subresource(write.part));
        give(&mut managers, this, difference.changed, now);
        put_together(&mut managers);
    }
    keep(object, managers);
}

/// What `config`, applied by the write's manager, makes of `live`, with the ownership that comes of it. `force` takes
/// what others own.
pub fn apply(
    kind: &Kind,
    live: Option<&Value>,
    config: &Value,
    write: &Write,
    force: bool,
    now: DateTime<Utc>,
) -> Result<Value, Refused> {
    let api_version = api_version(kind, write);
    let place = place(kind, &api_version);
    let mut managers = live.and_then(|live| read(&live["metadata"]["managedFields"])).unwrap_or_default();
    if let (Some(live), true) = (live, managers.is_empty()) {
        let mut before = Manager::new(BEFORE, false, &api_version, None);
        before.fields = compare(place, &unset(kind), live).changed;
        strip(&mut before.fields);
        filter(kind, write.part, &mut before.fields);
        before.time = Some(timestamp(now));
        managers.push(before);
    }
    let merged = merge(place, live, config).map_err(Refused::Nonsense)?;
    let mut this = Manager::new(&write.manager, true, &api_version, subresource(write.part));
    this.fields = fields_of(place, config);
    filter(kind, write.part, &mut this.fields);
    let last = managers.iter().position(|manager| manager.is(&this)).map(|place| managers.remove(place));
    let mut object = merged;
    if let Some(last) = &last {
        this.time.clone_from(&last.time);
        let others = managers.iter().map(|manager| &manager.fields).chain([&this.fields]);
        object = pruned(place, &object, &last.fields, others);
    }
    let nothing = Value::Object(serde_json::Map::new());
    let mut difference = compare(place, live.unwrap_or(&nothing), &object);
    filter(kind, write.part, &mut difference.changed);
    filter(kind, write.part, &mut difference.removed);
    let mut conflicts = Vec::new();
    for manager in managers.iter().filter(|_| !force) {
        let taken = manager.fields.common(&difference.changed);
        if !taken.is_empty() {
            conflicts.push((manager.shown(), taken.paths()));
        }
    }
    if !conflicts.is_empty() {
        conflicts.sort();
        return Err(Refused::Conflicts(conflicts));
    }
    take(&mut managers, &difference.changed, &difference.removed);
    strip(&mut this.fields);
    if live != Some(&object) {
        this.time = Some(timestamp(now));
    }
    if !this.fields.is_empty() {
        managers.push(this);
    }
    keep(&mut object, managers);
    Ok(object)
}

/// The object without what was applied last and is not any more, where nobody else owns it.
fn pruned<'a>(place: Place, merged: &Value, last: &FieldSet, owned: impl Iterator<Item = &'a FieldSet>) -> Value {
    let present = with_fields_above(place, &fields_of(place, merged));
    let last = with_fields_above(place, last);
    let mut kept = FieldSet::default();
    for fields in owned {
        kept.unite(&with_fields_above(place, fields));
    }
    // What stays when all that was applied last goes stays in any case; so does what somebody owns.
    kept.unite(&with_fields_above(place, &fields_of(place, &without(place, merged, &last))));
    let mut gone = present.clone();
    gone.subtract(&kept);
    let left = with_fields_above(place, &fields_of(place, &without(place, merged, &gone)));
    // And only what was applied last goes, not what nobody applied.
    let mut gone = present;
    gone.subtract(&left);
    without(place, merged, &gone.common(&last))
}

fn place<'a>(kind: &'a Kind, api_version: &str) -> Place<'a> {
    Place::root(kind, api_version.rsplit('/').next().unwrap_or_default())
}

fn api_version(kind: &Kind, write: &Write) -> String {
    write.api_version.clone().unwrap_or_else(|| kind.storage_api_version())
}

fn subresource(part: Part) -> Option<&'static str> {
    match part {
        Part::Main => None,
        Part::Status => Some("status"),
        Part::Scale => Some("scale"),
    }
}

/// All entries of a list; none where one of them is no entry.
fn read(entries: &Value) -> Option<Vec<Manager>> {
    entries.as_array()?.iter().map(Manager::read).collect()
}

fn keep(object: &mut Value, mut managers: Vec<Manager>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    managers.retain(|manager| !manager.fields.is_empty());
    if managers.is_empty() {
        metadata.remove("managedFields");
        return;
    }
    // Those that apply first, then by time.
    managers.sort_by(|one, other| one.rank().cmp(&other.rank()));
    metadata.insert("managedFields".into(), managers.iter().map(Manager::written).collect());
}

/// Takes from all managers what was changed or is gone.
fn take(managers: &mut Vec<Manager>, changed: &FieldSet, removed: &FieldSet) {
    for manager in managers.iter_mut() {
        manager.fields.subtract(changed);
        manager.fields.subtract(removed);
    }
    managers.retain(|manager| !manager.fields.is_empty());
}

fn give(managers: &mut Vec<Manager>, mut this: Manager, fields: FieldSet, now: DateTime<Utc>) {
    if fields.is_empty() {
        return;
    }
    this.time = Some(timestamp(now));
    match managers.iter_mut().find(|manager| manager.is(&this)) {
        Some(own) => {
            own.fields.unite(&fields);
            own.time = this.time;
        }
        None => managers.push(Manager { fields, ..this }),
    }
}

/// Puts the oldest plain writers of one version together while there are too many.
fn put_together(managers: &mut Vec<Manager>) {
    if managers.iter().filter(|manager| !manager.applied).count() <= MOST_UPDATERS {
        return;
    }
    let (applied, mut updaters): (Vec<Manager>, Vec<Manager>) =
        std::mem::take(managers).into_iter().partition(|manager| manager.applied);
    managers.extend(applied);
    updaters.sort_by(|one, other| (&one.time, &one.name).cmp(&(&other.time, &other.name)));
    let mut surplus = updaters.len().saturating_sub(MOST_UPDATERS);
    let mut place = 0;
    while surplus > 0 && place < updaters.len() {
        let version = updaters[place].api_version.clone();
        let next = updaters.iter().skip(place + 1).position(|other| other.api_version == version);
        let Some(next) = next.map(|offset| place + 1 + offset) else {
            place += 1;
            continue;
        };
        let younger = updaters.remove(next);
        let bucket = &mut updaters[place];
        bucket.name = PUT_TOGETHER.to_owned();
        bucket.subresource = None;
        bucket.fields.unite(&younger.fields);
        bucket.time = younger.time;
        surplus -= 1;
    }
    managers.append(&mut updaters);
}

/// What nobody owns: what tells the object from others, and what the server keeps.
fn strip(fields: &mut FieldSet) {
    for field in ["apiVersion", "kind"] {
        fields.cut(&[field]);
    }
    if let Some(metadata) = fields.below.get_mut(&field_step("metadata")) {
        metadata.itself = false;
        if metadata.is_empty() {
            fields.cut(&["metadata"]);
            return;
        }
    }
    for field in
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"]
    {
        fields.cut(&["metadata", field]);
    }
}

/// What a write of this part has no say in.
fn filter(kind: &Kind, part: Part, fields: &mut FieldSet) {
    match part {
        Part::Main if kind.has_status => fields.cut(&["status"]),
        Part::Main | Part::Scale => {}
        Part::Status => {
            fields.cut(&["spec"]);
            if kind.custom {
                fields.cut(&["metadata"]);
            }
            match kind.kind.as_str() {
                "Deployment" => fields.cut(&["metadata", "labels"]),
                "Pod" => {
                    fields.cut(&["metadata", "deletionTimestamp"]);
                    fields.cut(&["metadata", "ownerReferences"]);
                }
                _ => {}
            }
        }
    }
}

/// What an object of the kind says before anybody has said anything: the parts that are always there.
fn unset(kind: &Kind) -> Value {
    if kind.custom {
        return json!({});
    }
    let pod = json!({ "metadata": {}, "spec": { "containers": null } });
    match kind.kind.as_str() {
        "Deployment" => {
            json!({ "metadata": {}, "spec": { "selector": null, "template": pod, "strategy": {} }, "status": {} })
        }
        "ReplicaSet" => json!({
            "metadata": {}, "spec": { "selector": null, "template": pod }, "status": { "replicas": 0 },
        }),
        "Pod" => json!({ "metadata": {}, "spec": { "containers": null }, "status": {} }),
        "Service" => json!({ "metadata": {}, "spec": {}, "status": { "loadBalancer": {} } }),
        "Event" => json!({
            "metadata": {}, "involvedObject": {}, "source": {}, "firstTimestamp": null, "lastTimestamp": null,
            "eventTime": null, "reportingComponent": "", "reportingInstance": "",
        }),
        "HorizontalPodAutoscaler" => json!({
            "metadata": {},
            "spec": { "scaleTargetRef": { "kind": "", "name": "" }, "maxReplicas": 0 },
            "status": { "desiredReplicas": 0, "currentMetrics": null },
        }),
        "CustomResourceDefinition" => json!({
            "metadata": {},
            "spec": { "group": "", "names": { "plural": "", "kind": "" }, "scope": "", "versions": null },
            "status": {
                "conditions": null, "acceptedNames": { "plural": "", "kind": "" }, "storedVersions": null,
            },
        }),
        "Namespace" | "Node" | "Lease" => json!({ "metadata": {}, "spec": {}, "status": {} }),
        _ => json!({ "metadata": {} }),
    }
}
