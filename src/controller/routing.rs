//! Writes what leads requests to the workloads: Services, routes, and what stands beside these; and gives them back.
//!
//! What nobody controls is taken over as it is: it gets no owner, and what it was before is kept on it, once.

use super::effects::{EffectError, Hands, mark};
use super::facts::owner;
use crate::api::routes::Traffic;
use crate::api::shapes::{Role, Selector};
use crate::api::{Spec, Unmanaged, annotation, borne, services};
use crate::cluster::Source;
use crate::cluster::records::{CanaryRecord, PartRecord, RouteRecord, WorkloadRecord};
use kube::core::ApiResource;
use serde_json::{Value, json};

impl Hands {
    pub(super) async fn service(&mut self, role: Role, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let target = self.workload(&spec.target)?;
        let selector = selector(&target)?;
        let desired = services::service(&owner(canary), &spec.service, selector, &target.for_driver.ports, role);
        let name = role.name(&spec.service.apex);
        let version = self.decided.version(Source::Services, &name).map(str::to_string);
        let present = self.mirror.read().services.get(&name).cloned();
        let write = match version.zip(present) {
            None => self.writer.create(&self.kinds.service, desired).await,
            Some((version, present)) => {
                let patch = service_patch(&present, &desired, &spec.service.unmanaged, selector);
                self.writer.merge(&self.kinds.service, &name, &version, patch).await
            }
        };
        self.done(Source::Services, &name, write, "writing service").await
    }

    pub(super) async fn rule(&mut self, role: Role, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let Some(desired) = spec.provider.rule(&owner(canary), spec, role) else { return Ok(()) };
        let source = Source::Rules(spec.provider);
        let kind = self.provided(source, spec)?;
        let name = role.name(&spec.service.apex);
        let version = self.decided.version(source, &name).map(str::to_string);
        let present = self.mirror.read().rules.get(&spec.provider).and_then(|rules| rules.get(&name)).cloned();
        let write = match version.zip(present) {
            None => self.writer.create(&kind, versioned(desired, &kind)).await,
            Some((version, present)) => {
                let patch = json!({ "spec": borne::replacing(&present.spec.value(), &desired["spec"]) });
                self.writer.merge(&kind, &name, &version, patch).await
            }
        };
        self.done(source, &name, write, &format!("writing {}", kind.kind.to_lowercase())).await
    }

    pub(super) async fn routes(
        &mut self,
        traffic: &Traffic,
        request: Option<&str>,
        canary: &CanaryRecord,
        spec: &Spec,
    ) -> Result<(), EffectError> {
        let source = Source::Routes(spec.provider);
        let kind = self.provided(source, spec)?;
        let name = spec.provider.routes_name(spec);
        let desired = spec.provider.routes(&owner(canary), spec, traffic);
        let version = self.decided.version(source, &name).map(str::to_string);
        let present = self.mirror.read().routes_of(spec).cloned();
        let write = match version.zip(present) {
            None => {
                let mut created = versioned(desired, &kind);
                stand_in(&mut created, traffic, false);
                self.writer.create(&kind, created).await
            }
            Some((version, present)) => {
                let mut patch = routes_patch(&present, &desired, spec);
                stand_in(&mut patch, traffic, present.stands_in);
                mark(&mut patch, request);
                self.writer.merge(&kind, &name, &version, patch).await
            }
        };
        self.done(source, &name, write, &format!("routing {} % to the canary of", traffic.canary)).await
    }

    /// Lets the apex Service and the routes lead to the target, and outlive the Canary. The Service comes first: routes
    /// that lead to it find the target's pods. Each is one write, so that what a crash left is seen on the object.
    pub(super) async fn hand_back(&mut self, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let target = self.workload(&spec.target)?;
        // Without a selector no Service was ever led to the primary.
        if let Ok(selector) = &target.selector {
            let service = self.kinds.service.clone();
            let change = |object: &Value| services::handed_back(object, &canary.uid, selector);
            self.give_back(Source::Services, &service, &spec.service.apex, change).await?;
        }
        let source = Source::Routes(spec.provider);
        // Where the kind is not served any more there are no routes.
        let Some(kind) = self.kinds.of(source).cloned() else { return Ok(()) };
        let name = spec.provider.routes_name(spec);
        self.give_back(source, &kind, &name, |object| spec.provider.handed_back(object, &canary.uid, spec)).await
    }

    /// Writes what `change` makes of an object as it is now; one that is not there has nothing to give back.
    async fn give_back(
        &mut self,
        source: Source,
        kind: &ApiResource,
        name: &str,
        change: impl FnOnce(&Value) -> Option<Value>,
    ) -> Result<(), EffectError> {
        let object = match self.writer.get(kind, name).await {
            Ok(object) => object,
            Err(error) if error.code() == Some(404) => {
                self.mirror.note_gone(source, name);
                return Ok(());
            }
            Err(error) => return Err(EffectError::Write { doing: format!("reading {name}"), source: error }),
        };
        let Some(patch) = change(&object) else { return Ok(()) };
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
        let write = self.writer.merge(kind, name, version, patch).await;
        self.done(source, name, write, "handing back").await
    }

    /// The kind of a provider's objects as the cluster serves it.
    fn provided(&self, source: Source, spec: &Spec) -> Result<ApiResource, EffectError> {
        let why = || {
            EffectError::Impossible(format!(
                "the cluster serves no {source}: is {} installed?",
                spec.provider.product()
            ))
        };
        self.kinds.of(source).cloned().ok_or_else(why)
    }
}

fn selector(target: &WorkloadRecord) -> Result<&Selector, EffectError> {
    target.selector.as_ref().map_err(|why| EffectError::Impossible(why.clone()))
}

/// The shape in the version that the cluster serves.
fn versioned(mut shape: Value, kind: &ApiResource) -> Value {
    shape["apiVersion"] = json!(kind.api_version);
    shape
}

/// What makes a live Service into the desired one.
fn service_patch(present: &PartRecord, desired: &Value, unmanaged: &Unmanaged, selector: &Selector) -> Value {
    let spec = present.spec.value();
    let mut patch = json!({ "spec": {
        "ports": services::with_node_ports(&desired["spec"]["ports"], &spec["ports"]),
        "selector": borne::replacing(&spec["selector"], &desired["spec"]["selector"]),
    } });
    let bears = borne::borne(desired);
    if present.owner.is_some() {
        if let Some(metadata) = borne::difference(&present.bears, &bears, unmanaged) {
            patch["metadata"] = metadata;
        }
        return patch;
    }
    // What somebody else made keeps what it bears.
    for (key, value) in borne::HANDS_OFF {
        if present.bears.annotations.get(key).map(String::as_str) != Some(value) {
            patch["metadata"]["annotations"][key] = json!(value);
        }
    }
    let is_original = !services::same(&spec, &desired["spec"]) && !services::selects_primary(&spec, selector);
    if is_original && !present.keeps_original {
        patch["metadata"]["annotations"][annotation::ORIGINAL] = json!(spec.to_string());
    }
    patch
}

/// Says on the routes whether the canary stands in for the primary.
fn stand_in(routes: &mut Value, traffic: &Traffic, stood_in: bool) {
    if traffic.everyone || stood_in {
        let said = traffic.everyone.then_some("true");
        routes["metadata"]["annotations"][annotation::STANDS_IN] = json!(said);
    }
}

/// What makes live routes into the desired ones.
fn routes_patch(present: &RouteRecord, desired: &Value, spec: &Spec) -> Value {
    let shape = present.spec.value();
    let mut patch = json!({ "spec": borne::replacing(&shape, &desired["spec"]) });
    if let Some(metadata) = borne::lacking(&present.bears, &borne::borne(desired)) {
        patch["metadata"] = metadata;
    }
    let taken_over = present.owner.is_none() && !present.keeps_original;
    if taken_over && spec.provider.is_original(&shape, spec) {
        patch["metadata"]["annotations"][annotation::FLAGGER_ORIGINAL] = json!(shape.to_string());
    }
    patch
}

#[cfg(test)]
mod tests;
