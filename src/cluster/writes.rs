//! The driver's writes: each attempt waits for its place, then stands behind the fence, has a time limit, carries the version that it was decided
//! on, and is never retried by itself. A conflict means: look again, decide again.

use super::lanes::{Lane, Lanes};
use super::lease::{Fence, NotHolding, WRITE_LIMIT};
use super::object::Object;
use crate::api::annotation;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Field manager of everything that the driver writes.
pub const MANAGER: &str = "canary-tui";

/// Why a write did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    NotHolding(#[from] NotHolding),
    #[error("{}", super::connect::explain(.0))]
    Api(#[from] kube::Error),
    #[error("no answer within {} s: it may or may not have been written", WRITE_LIMIT.as_secs())]
    TimedOut,
}

impl WriteError {
    /// The HTTP status that the API server answered with.
    pub fn code(&self) -> Option<u16> {
        match self {
            WriteError::Api(error) => super::connect::code(error),
            _ => None,
        }
    }

    /// Whether the write may have been carried out all the same: it was sent, and the answer says neither yes nor no.
    pub fn may_be_written(&self) -> bool {
        match self {
            WriteError::NotHolding(_) => false,
            _ => self.code().is_none_or(|code| code >= 500),
        }
    }
}

/// Writes for the driver of one namespace.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    namespace: String,
    fence: Fence,
    lanes: Lanes,
}

impl Writer {
    /// A writer behind `fence`.
    pub fn new(client: Client, namespace: String, fence: Fence) -> Self {
        Self { client, namespace, fence, lanes: Lanes::open() }
    }

    /// The same for one Canary, whose requests wait for no other's while `urgent` says so.
    pub fn of(&self, urgent: watch::Receiver<bool>) -> Self {
        Self { lanes: self.lanes.of(urgent), ..self.clone() }
    }

    /// Waits until an operator asks for something; for ever where what is done is what one has asked, as is `known`.
    pub async fn becomes_urgent(&self, known: bool) {
        self.lanes.becomes_urgent(known).await;
    }

    /// Waits until this Canary may have its turn, which lasts as long as the answer is held. What an operator asked for
    /// does not wait: it has none to hold.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.lanes.enter(Lane::Turns).await
    }

    /// The driver's term, for what a JSON patch writes.
    pub fn term(&self) -> Result<i64, WriteError> {
        Ok(self.fence.check()?)
    }

    fn api(&self, kind: &ApiResource) -> Api<Object> {
        Api::namespaced_with(self.client.clone(), &self.namespace, kind)
    }

    /// Reads one object afresh, whole: parts of it are written back.
    pub async fn get(&self, kind: &ApiResource, name: &str) -> Result<Value, WriteError> {
        let request = kube::core::Request::new(self.api(kind).resource_url()).get(name, &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        let _place = self.lanes.enter(Lane::Rollouts).await;
        let read = tokio::time::timeout(WRITE_LIMIT, self.client.request::<Value>(request));
        Ok(read.await.map_err(|_| WriteError::TimedOut)??)
    }

    /// Creates an object, with the driver's term on it.
    pub async fn create(&self, kind: &ApiResource, mut object: Value) -> Result<Value, WriteError> {
        let _place = self.lanes.enter(Lane::Rollouts).await;
        let term = self.fence.check()?;
        object["metadata"]["annotations"][annotation::TERM] = json!(term.to_string());
        self.plain_create(kind, &object).await
    }

    /// Creates an object that bears no term: an Event.
    pub async fn create_event(&self, kind: &ApiResource, object: &Value) -> Result<Value, WriteError> {
        let _place = self.lanes.enter(Lane::Events).await;
        self.fence.check()?;
        self.plain_create(kind, object).await
    }

    async fn plain_create(&self, kind: &ApiResource, object: &Value) -> Result<Value, WriteError> {
        let params = PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        let api = self.api(kind);
        let write = tokio::time::timeout(WRITE_LIMIT, create(&api, &params, object));
        Ok(write.await.map_err(|_| WriteError::TimedOut)??)
    }

    /// Merges `patch` into an object if that still is of `version`, and leaves the driver's term on it.
    pub async fn merge(
        &self,
        kind: &ApiResource,
        name: &str,
        version: &str,
        mut patch: Value,
    ) -> Result<Value, WriteError> {
        let _place = self.lanes.enter(Lane::Rollouts).await;
        let term = self.fence.check()?;
        patch["metadata"]["annotations"][annotation::TERM] = json!(term.to_string());
        patch["metadata"]["resourceVersion"] = json!(version);
        self.patch(kind, name, Patch::Merge(patch), false).await
    }

    /// Merges `status` into an object's status if the object still is of `version`.
    pub async fn merge_status(
        &self,
        kind: &ApiResource,
        name: &str,
        version: &str,
        status: Value,
    ) -> Result<Value, WriteError> {
        let _place = self.lanes.enter(Lane::Rollouts).await;
        self.fence.check()?;
        let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
        self.patch(kind, name, Patch::Merge(patch), true).await
    }

    /// Applies a JSON patch, whose own tests say on what it was decided.
    pub async fn json_patch(&self, kind: &ApiResource, name: &str, patch: Value) -> Result<Value, WriteError> {
        let _place = self.lanes.enter(Lane::Rollouts).await;
        self.fence.check()?;
        // The operations are ours; kube has no way to send them but as its own type.
        let patch = serde_json::from_value(patch).map_err(|e| WriteError::Api(kube::Error::SerdeError(e)))?;
        self.patch(kind, name, Patch::<Value>::Json(patch), false).await
    }

    /// Deletes an object if that still is this one, of `version`. Answers what is left of it where finalizers hold it;
    /// None where it is gone.
    pub async fn delete(
        &self,
        kind: &ApiResource,
        name: &str,
        uid: &str,
        version: &str,
    ) -> Result<Option<Value>, WriteError> {
        let _place = self.lanes.enter(Lane::Rollouts).await;
        self.fence.check()?;
        let preconditions = Preconditions { uid: Some(uid.into()), resource_version: Some(version.into()) };
        let params = DeleteParams::background().preconditions(preconditions);
        let api = self.api(kind);
        let write = tokio::time::timeout(WRITE_LIMIT, api.delete(name, &params));
        let answer = write.await.map_err(|_| WriteError::TimedOut)??;
        Ok(answer.left().map(|object| object.value))
    }

    async fn patch(
        &self,
        kind: &ApiResource,
        name: &str,
        patch: Patch<Value>,
        status: bool,
    ) -> Result<Value, WriteError> {
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        let api = self.api(kind);
        let write = async {
            match status {
                true => api.patch_status(name, &params, &patch).await,
                false => api.patch(name, &params, &patch).await,
            }
        };
        let answer = tokio::time::timeout(WRITE_LIMIT, write).await.map_err(|_| WriteError::TimedOut)??;
        Ok(answer.value)
    }
}

/// Creates an object from JSON.
pub(super) async fn create(api: &Api<Object>, params: &PostParams, object: &Value) -> kube::Result<Value> {
    let bytes = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request =
        kube::core::Request::new(api.resource_url()).create(params, bytes).map_err(kube::Error::BuildRequest)?;
    api.clone().into_client().request::<Value>(request).await
}
