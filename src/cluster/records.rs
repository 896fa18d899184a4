//! What is kept of each object: the few fields that are decided on or shown. API objects are reduced to these on
//! arrival, so that a console over many canaries stays small.

use super::json_text::JsonText;
use super::sharing::Pool;
use super::writes::MANAGER;
use crate::api::revision::Configs;
use crate::api::routes::Live;
use crate::api::services::{self, ContainerPort};
use crate::api::{
    Analysis, Gate, Metadata, Opened, Paused, Problem, Request, Revision, Routing, Spec, Status, Unmanaged, annotation,
    borne, shapes,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// A Canary.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryRecord {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub created: Option<DateTime<Utc>>,
    /// Set once deletion was asked for.
    pub deleting: bool,
    /// What the spec asks for, or why this Canary cannot be driven.
    pub spec: Result<Box<Spec>, Vec<Problem>>,
    /// What can be read of a spec that cannot be driven.
    pub partial: Option<Box<Spec>>,
    pub status: Status,
    /// The pending request; an annotation that cannot be read is a [`Problem`].
    pub request: Option<Result<Box<Request>, Problem>>,
    /// The request's annotation as it stands, for the test under which it is removed.
    pub request_text: Option<String>,
    pub paused: Option<Box<Paused>>,
    /// What the driver says that this Canary waits for.
    pub gate: Option<Box<Gate>>,
    pub opened: Option<Box<Opened>>,
    /// Whether a new revision waits for a request to start it.
    pub manual_start: bool,
    pub finalizers: Vec<String>,
    /// Whether the revision last taken into account was written by us.
    pub applied_by_us: bool,
    /// When Flagger's field manager last wrote the status.
    pub flagger_wrote: Option<DateTime<Utc>>,
}

/// A Deployment: the target or the primary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadRecord {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    pub observed_generation: i64,
    /// `spec.replicas`.
    pub desired: u32,
    /// `status.replicas`: pods of all revisions.
    pub replicas: u32,
    pub updated: u32,
    pub ready: u32,
    pub available: u32,
    /// Paused by hand: it gets no ReplicaSet for a new template.
    pub paused: bool,
    /// `deployment.kubernetes.io/revision`.
    pub revision_number: Option<String>,
    /// Reason of the Progressing condition.
    pub progressing: Option<String>,
    /// Since when the Available condition is False with MinimumReplicasUnavailable.
    pub unavailable_since: Option<DateTime<Utc>>,
    /// Name and image of each container, in order.
    pub containers: Vec<(String, String)>,
    /// Label and value that tell its pods; the error says what is missing.
    pub selector: Result<shapes::Selector, String>,
    /// `canary-tui/revision` (primary), as far as the template is still the one that it was written with.
    pub revision: Option<String>,
    /// What the copies held that it mounts, as far as `revision` is known (primary).
    pub promoted_configs: Option<Configs>,
    /// Versions that may be offered for a start: tag and note.
    pub offered: Vec<(String, String)>,
    /// Shared where there is nothing in it: with all observers.
    #[serde(skip, default = "nothing")]
    pub for_driver: Arc<ForDriver>,
}

/// What only a driver looks at of a Deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForDriver {
    /// Ports that the containers name, the mesh's aside.
    pub ports: Vec<ContainerPort>,
    /// ConfigMaps and Secrets that the template mounts, in its order.
    pub configs: Vec<shapes::ConfigRef>,
    /// What the template is like, the names of what it mounts aside; see [`shapes::likeness`].
    pub likeness: u64,
    /// What the template would be like on a primary; None where there is no usable selector.
    pub likeness_as_primary: Option<u64>,
    pub request_id: Option<String>,
    /// On the target: pods that the primary had when the target was scaled to zero.
    pub served_with: Option<u32>,
    /// Revision of the template that is kept beside the present one.
    pub last_promoted: Option<String>,
    /// Uid of the controlling owner.
    pub owner: Option<String>,
    /// The object, to be read when another or a part of this one is written: without its status and who manages which
    /// field, and from a watch without what kubectl keeps on it. It is never written back whole.
    pub whole: Option<JsonText>,
}

impl WorkloadRecord {
    /// The image to show: that of the container named like the target, else of the first one; empty where there is none.
    pub fn image(&self) -> &str {
        let base = self.name.strip_suffix("-primary").unwrap_or(&self.name);
        let container = self.containers.iter().find(|(name, _)| name == base).or_else(|| self.containers.first());
        container.map_or("", |(_, image)| image)
    }

    /// The version to show: the tag of that image.
    pub fn version(&self) -> &str {
        tag(self.image())
    }
}

/// The tag (or the short digest) of an image reference; the whole reference where it has neither.
pub fn tag(image: &str) -> &str {
    if let Some((_, digest)) = image.split_once('@') {
        let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
        return hex.get(..12).unwrap_or(hex);
    }
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    image[last..].split_once(':').map_or(image, |(_, tag)| tag)
}

/// The object that carries the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteRecord {
    pub name: String,
    pub resource_version: String,
    pub spec: JsonText,
    /// Labels and annotations that count.
    #[serde(skip)]
    pub bears: Metadata,
    /// Whether it says itself what it was before it was taken over.
    pub keeps_original: bool,
    pub owner: Option<String>,
    pub request_id: Option<String>,
    /// Whether the canary stands in for a primary without pods.
    pub stands_in: bool,
}

impl RouteRecord {
    /// Which way the requests of a Canary go by it.
    pub fn live(&self, spec: &Spec) -> Live {
        self.live_by(&self.spec.value(), spec)
    }

    /// As [`RouteRecord::live`], for whoever has read its spec already.
    pub fn live_by(&self, shape: &Value, spec: &Spec) -> Live {
        let live = spec.provider.live(shape, spec);
        Live { everyone: live.everyone || self.stands_in, ..live }
    }
}

/// A Service, or a rule beside the routes: enough to see whether it is as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct PartRecord {
    pub name: String,
    pub resource_version: String,
    pub owner: Option<String>,
    /// Labels and annotations that count.
    pub bears: Metadata,
    /// Whether it says itself what it was before it was taken over.
    pub keeps_original: bool,
    /// `spec.selector` and the ports of a Service; the whole spec of a rule.
    pub spec: JsonText,
}

/// An Event on a Canary.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// Shared with the others of the namespace.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub uid: String,
    /// `resourceVersion` as a number: of two Events of one second, the one written later has the higher one.
    pub version: u64,
    /// Name of the Canary.
    pub canary: String,
    pub warning: bool,
    /// Shared with others of the same reason.
    pub reason: Arc<str>,
    /// As it came: may hold anything, control characters too.
    pub message: String,
    pub count: u32,
    pub first: Option<DateTime<Utc>>,
    pub last: Option<DateTime<Utc>>,
}

/// Name of `status.phase`-like text in an object.
fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_string)
}

fn time(object: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    let text = object.pointer(pointer).and_then(Value::as_str)?;
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.with_timezone(&Utc))
}

pub(super) fn annotation_of(object: &Value, key: &str) -> Option<String> {
    let value = object.pointer("/metadata/annotations")?.get(key)?.as_str()?;
    Some(value.to_string())
}

/// Uid of the owner that controls an object.
pub fn controller_of(object: &Value) -> Option<String> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let controller = owners.iter().find(|o| o.get("controller").and_then(Value::as_bool) == Some(true))?;
    text(controller, "/uid")
}

pub(super) fn name_of(object: &Value) -> String {
    text(object, "/metadata/name").unwrap_or_default()
}

fn version_of(object: &Value) -> String {
    text(object, "/metadata/resourceVersion").unwrap_or_default()
}

impl CanaryRecord {
    /// Reduces a Canary.
    pub fn of(object: &Value) -> Self {
        let request_text = annotation_of(object, annotation::REQUEST);
        let request = request_text.as_deref().map(|json| {
            serde_json::from_str(json).map_err(|e| {
                Problem::new(format!("annotation {}", annotation::REQUEST), format!("cannot be read: {e}"))
            })
        });
        let (partial, problems) = Spec::read_partly(object.get("spec").unwrap_or(&Value::Null));
        let partial = partial.map(with_shared_parts);
        let (spec, partial) = match partial {
            Some(spec) if problems.is_empty() => (Ok(Box::new(spec)), None),
            partial => (Err(problems), partial.map(Box::new)),
        };
        Self {
            namespace: text(object, "/metadata/namespace").unwrap_or_default(),
            name: name_of(object),
            uid: text(object, "/metadata/uid").unwrap_or_default(),
            resource_version: version_of(object),
            created: time(object, "/metadata/creationTimestamp"),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some_and(|v| !v.is_null()),
            spec,
            partial,
            status: Status::read(object.get("status").unwrap_or(&Value::Null)),
            request,
            request_text,
            paused: annotation_of(object, annotation::PAUSED).map(|json| {
                // One that cannot be read still holds the rollout.
                serde_json::from_str(&json).unwrap_or_else(|_| {
                    Box::new(Paused {
                        by: "?".into(),
                        at: DateTime::UNIX_EPOCH,
                        reason: "the annotation cannot be read".into(),
                    })
                })
            }),
            gate: annotation_of(object, annotation::GATE).and_then(|json| serde_json::from_str(&json).ok()),
            opened: annotation_of(object, annotation::OPENED).and_then(|json| serde_json::from_str(&json).ok()),
            manual_start: annotation_of(object, annotation::START).as_deref() == Some("manual"),
            finalizers: object
                .pointer("/metadata/finalizers")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_string))
                .collect(),
            applied_by_us: applied_by_us(object),
            flagger_wrote: flagger_wrote(object),
        }
    }

    /// The pending request, where it can be read.
    pub fn pending(&self) -> Option<&Request> {
        self.request.as_ref().and_then(|r| r.as_deref().ok())
    }
}

fn with_shared_parts(mut spec: Spec) -> Spec {
    static ANALYSES: Pool<Analysis> = Pool::new();
    static ROUTINGS: Pool<Routing> = Pool::new();
    static METADATA: Pool<Metadata> = Pool::new();
    static UNMANAGED: Pool<Unmanaged> = Pool::new();
    ANALYSES.share(&mut spec.analysis);
    let service = &mut spec.service;
    ROUTINGS.share(&mut service.routing);
    for metadata in [&mut service.apex_metadata, &mut service.primary_metadata, &mut service.canary_metadata] {
        METADATA.share(metadata);
    }
    UNMANAGED.share(&mut service.unmanaged);
    spec
}

fn flagger_wrote(object: &Value) -> Option<DateTime<Utc>> {
    let fields = object.pointer("/metadata/managedFields")?.as_array()?;
    let written = fields.iter().filter(|field| {
        field.get("manager").and_then(Value::as_str) == Some("flagger")
            && field.get("subresource").and_then(Value::as_str) == Some("status")
    });
    written.filter_map(|field| time(field, "/time")).max()
}

/// Whether `status.lastAppliedSpec` is owned by our field manager.
fn applied_by_us(object: &Value) -> bool {
    let fields = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let mut ours = fields.filter(|field| field.get("manager").and_then(Value::as_str) == Some(MANAGER));
    ours.any(|field| field.pointer("/fieldsV1/f:status/f:lastAppliedSpec").is_some())
}

impl WorkloadRecord {
    /// Reduces a Deployment to what an observer looks at.
    pub fn for_observer(object: &Value) -> Self {
        let count =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).map(|n| n.min(u32::MAX.into()) as u32);
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let condition = |kind: &str| conditions?.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind));
        let unavailable = condition("Available").filter(|c| {
            c.get("status").and_then(Value::as_str) == Some("False")
                && c.get("reason").and_then(Value::as_str) == Some("MinimumReplicasUnavailable")
        });
        let template = object.pointer("/spec/template").unwrap_or(&Value::Null);
        let containers = template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
        let offered = annotation_of(object, annotation::VERSIONS)
            .and_then(|json| serde_json::from_str::<Vec<Value>>(&json).ok())
            .unwrap_or_default();
        // Whoever else puts a template there leaves the annotation, but not the mark inside the template.
        let revision = annotation_of(object, annotation::REVISION).filter(|revision| {
            let mark = template.pointer("/metadata/annotations").and_then(|a| a.get("flagger-id"));
            mark.and_then(Value::as_str) == Some(revision)
        });
        let promoted_configs = revision.as_ref().and_then(|name| match annotation_of(object, annotation::CONFIGS) {
            Some(json) => serde_json::from_str(&json).ok(),
            // A name without a checksum in it is of a template that mounts nothing.
            None => (Revision::hash_in(name) == name).then(Configs::new),
        });
        Self {
            namespace: text(object, "/metadata/namespace").unwrap_or_default(),
            name: name_of(object),
            uid: text(object, "/metadata/uid").unwrap_or_default(),
            resource_version: version_of(object),
            generation: number("/metadata/generation"),
            observed_generation: number("/status/observedGeneration"),
            desired: count("/spec/replicas").unwrap_or(1),
            replicas: count("/status/replicas").unwrap_or(0),
            updated: count("/status/updatedReplicas").unwrap_or(0),
            ready: count("/status/readyReplicas").unwrap_or(0),
            available: count("/status/availableReplicas").unwrap_or(0),
            paused: object.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false),
            revision_number: annotation_of(object, "deployment.kubernetes.io/revision"),
            progressing: condition("Progressing").and_then(|c| text(c, "/reason")),
            unavailable_since: unavailable
                .and_then(|c| time(c, "/lastUpdateTime").or_else(|| time(c, "/lastTransitionTime"))),
            containers: containers
                .map(|c| (text(c, "/name").unwrap_or_default(), text(c, "/image").unwrap_or_default()))
                .collect(),
            selector: shapes::Selector::of(object),
            revision,
            promoted_configs,
            offered: offered
                .iter()
                .filter_map(|v| Some((text(v, "/tag")?, text(v, "/note").unwrap_or_default())))
                .collect(),
            for_driver: nothing(),
        }
    }

    /// Reduces a Deployment.
    pub fn of(object: &Value) -> Self {
        Self { for_driver: Arc::new(ForDriver::of(object)), ..Self::for_observer(object) }
    }

    /// As [`of`](Self::of), and whole.
    pub fn whole(object: &Value) -> Self {
        let for_driver = ForDriver { whole: Some(whole_of(object)), ..ForDriver::of(object) };
        Self { for_driver: Arc::new(for_driver), ..Self::for_observer(object) }
    }
}

impl ForDriver {
    fn of(object: &Value) -> Self {
        let template = object.pointer("/spec/template").unwrap_or(&Value::Null);
        Self {
            ports: ContainerPort::of(template),
            configs: shapes::references(template),
            likeness: shapes::likeness(template),
            likeness_as_primary: shapes::likeness_as_primary(object),
            request_id: annotation_of(object, annotation::REQUEST_ID),
            served_with: annotation_of(object, annotation::REPLICAS).and_then(|count| count.parse().ok()),
            last_promoted: annotation_of(object, annotation::LAST_PROMOTED)
                .and_then(|json| serde_json::from_str::<Value>(&json).ok())
                .and_then(|kept| text(&kept, "/revision")),
            owner: controller_of(object),
            whole: None,
        }
    }
}

/// What an observer keeps of what it does not look at.
fn nothing() -> Arc<ForDriver> {
    static NOTHING: LazyLock<Arc<ForDriver>> = LazyLock::new(Arc::default);
    NOTHING.clone()
}

/// What is kept of a Deployment as [`ForDriver::whole`].
fn whole_of(object: &Value) -> JsonText {
    let metadata = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
    let metadata: BTreeMap<&String, &Value> = metadata.filter(|(key, _)| *key != "managedFields").collect();
    let spec = object.get("spec").unwrap_or(&Value::Null);
    JsonText::of(&Whole { metadata, spec })
}

#[derive(Serialize)]
struct Whole<'a> {
    metadata: BTreeMap<&'a String, &'a Value>,
    spec: &'a Value,
}

impl RouteRecord {
    /// Reduces the object that carries the weights.
    pub fn of(object: &Value) -> Self {
        Self {
            name: name_of(object),
            resource_version: version_of(object),
            spec: JsonText::of(object.get("spec").unwrap_or(&Value::Null)),
            bears: borne::borne(object),
            keeps_original: borne::original(object, annotation::FLAGGER_ORIGINAL, |_| true).is_some(),
            owner: controller_of(object),
            request_id: annotation_of(object, annotation::REQUEST_ID),
            stands_in: annotation_of(object, annotation::STANDS_IN).as_deref() == Some("true"),
        }
    }

    /// As [`of`](Self::of), without what no view shows.
    pub fn for_observer(object: &Value) -> Self {
        Self { bears: Metadata::default(), owner: None, request_id: None, ..Self::of(object) }
    }
}

impl PartRecord {
    /// Reduces a Service.
    pub fn of_service(object: &Value) -> Self {
        let keeps_original = borne::original(object, annotation::ORIGINAL, |_| true).is_some();
        let spec = JsonText::of(&services::kept(object.get("spec").unwrap_or(&Value::Null)));
        Self { spec, keeps_original, ..Self::of(object) }
    }

    /// Reduces a rule.
    pub fn of(object: &Value) -> Self {
        Self {
            name: name_of(object),
            resource_version: version_of(object),
            owner: controller_of(object),
            bears: borne::borne(object),
            keeps_original: false,
            spec: JsonText::of(object.get("spec").unwrap_or(&Value::Null)),
        }
    }
}

impl EventRecord {
    /// Reduces an Event of core/v1.
    pub fn of(object: &Value) -> Self {
        static TEXTS: Pool<str> = Pool::new();
        let shared = |pointer: &str| {
            let mut text: Arc<str> = text(object, pointer).unwrap_or_default().into();
            TEXTS.share(&mut text);
            text
        };
        Self {
            namespace: shared("/metadata/namespace"),
            name: name_of(object).into(),
            uid: text(object, "/metadata/uid").unwrap_or_default(),
            version: version_of(object).parse().unwrap_or(0),
            canary: text(object, "/involvedObject/name").unwrap_or_default(),
            warning: object.get("type").and_then(Value::as_str) == Some("Warning"),
            reason: shared("/reason"),
            message: text(object, "/message").unwrap_or_default(),
            count: object.get("count").and_then(Value::as_u64).unwrap_or(1).clamp(1, u32::MAX.into()) as u32,
            first: time(object, "/firstTimestamp").or_else(|| time(object, "/eventTime")),
            last: time(object, "/lastTimestamp")
                .or_else(|| time(object, "/series/lastObservedTime"))
                .or_else(|| time(object, "/eventTime"))
                .or_else(|| time(object, "/metadata/creationTimestamp")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tag_is_found_behind_ports_and_digests() {
        assert_eq!(tag("gcr.io/jx/app:1.0.0"), "1.0.0");
        assert_eq!(tag("registry:5000/app:2"), "2");
        assert_eq!(tag("registry:5000/app"), "registry:5000/app");
        assert_eq!(tag("app@sha256:0123456789abcdef"), "0123456789ab");
    }

    #[test]
    fn anything_may_come_and_nothing_panics() {
        for object in [json!(null), json!([]), json!({"metadata": 3, "spec": [], "status": {"replicas": -1}})] {
            CanaryRecord::of(&object);
            WorkloadRecord::of(&object);
            crate::cluster::ReplicaSetRecord::of(&object);
            RouteRecord::of(&object);
            PartRecord::of_service(&object);
            EventRecord::of(&object);
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_is_a_problem_of_its_own() {
        let canary = CanaryRecord::of(&json!({"metadata": {"annotations": {"canary-tui/request": "{"}}}));
        assert!(canary.request.unwrap().is_err());
    }
}
