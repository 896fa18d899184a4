//! The operator's door to the cluster: a request is written on the Canary, and its outcome is read from an Event.

use super::connect::{code, explain};
use super::events::outcome_name;
use super::object::Object;
use super::records::{CanaryRecord, EventRecord};
use super::{Connection, Kinds};
use crate::api::{Request, Verb, annotation};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use std::time::Duration;

/// Time limit of one call: an operator's key must answer.
const LIMIT: Duration = Duration::from_secs(5);
/// How long another's pending request is waited for.
const PENDING: Duration = Duration::from_secs(1);

/// What an operator wants of a Canary.
#[derive(Clone, Debug)]
pub struct Wish {
    pub canary: String,
    pub verb: Verb,
    /// The target's revision that the operator saw.
    pub revision: String,
    pub reason: String,
    pub image: Option<String>,
    pub container: Option<String>,
    /// For open: the name of the gate.
    pub gate: Option<String>,
}

/// A request that was written.
#[derive(Clone, Debug)]
pub struct Sent {
    pub canary: String,
    pub uid: String,
    pub request: Request,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The Event's message.
    CarriedOut(String),
    Refused(String),
}

/// Why a request was not written, or its end not seen.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("there is no canary {0} in namespace {1}")]
    NoCanary(String, String),
    #[error("another request is pending: {verb} by {by}. Only abort overwrites it")]
    Pending { verb: Verb, by: String },
    #[error("cannot write the request: {0}")]
    Api(String),
    #[error("the request was written, and its outcome was not seen within {} s; it may still be carried out", .0.as_secs())]
    NoOutcome(Duration),
    #[error("the request was written; how it ends cannot be seen here, because events may not be read: {0}")]
    Unseen(String),
    #[error("the API server did not answer within {} s", LIMIT.as_secs())]
    TimedOut,
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        RequestError::Api(explain(&error))
    }
}

/// Writes a request. Only one is pending at a time; a new one does not overwrite it, except that abort overwrites
/// everything.
pub async fn send(
    connection: &Connection,
    kinds: &Kinds,
    by: &str,
    wish: &Wish,
    now: DateTime<Utc>,
) -> Result<Sent, RequestError> {
    tokio::time::timeout(LIMIT, write(connection, kinds, by, wish, now)).await.map_err(|_| RequestError::TimedOut)?
}

async fn write(
    connection: &Connection,
    kinds: &Kinds,
    by: &str,
    wish: &Wish,
    now: DateTime<Utc>,
) -> Result<Sent, RequestError> {
    let api: Api<Object> = Api::namespaced_with(connection.client.clone(), &connection.namespace, &kinds.canary);
    let mut request = Request {
        id: format!("{:016x}", rand::random::<u64>()),
        verb: wish.verb,
        revision: wish.revision.clone(),
        by: by.to_string(),
        at: now,
        reason: wish.reason.clone(),
        replaces: None,
        image: wish.image.clone(),
        container: wish.container.clone(),
        gate: wish.gate.clone(),
    };
    let began = tokio::time::Instant::now();
    loop {
        let Some(present) = api.get_opt(&wish.canary).await? else {
            return Err(RequestError::NoCanary(wish.canary.clone(), connection.namespace.clone()));
        };
        let record = CanaryRecord::of(&present.value);
        if wish.verb != Verb::Abort
            && let Some(pending) = record.pending()
        {
            // One that is being carried out is gone in a moment.
            if began.elapsed() < PENDING {
                tokio::time::sleep(PENDING / 20).await;
                continue;
            }
            return Err(RequestError::Pending { verb: pending.verb, by: pending.by.clone() });
        }
        request.replaces = record.pending().map(|pending| match &pending.replaces {
            Some(before) => format!("{} {before}", pending.id),
            None => pending.id.clone(),
        });
        let text = serde_json::to_string(&request).map_err(|e| RequestError::Api(e.to_string()))?;
        let patch = json!({ "metadata": {
            "resourceVersion": record.resource_version,
            "annotations": { annotation::REQUEST: text },
        }});
        match api.patch(&wish.canary, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => return Ok(Sent { canary: wish.canary.clone(), uid: record.uid, request }),
            // The driver wrote its status meanwhile: look again. The time limit bounds this.
            Err(error) if code(&error) == Some(409) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the Event that says how a request ended.
pub async fn outcome(connection: &Connection, sent: &Sent, limit: Duration) -> Result<Outcome, RequestError> {
    let name = outcome_name(&sent.canary, &sent.uid, &sent.request.id);
    let api: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let seen = async {
        let stream = watcher(api, config).default_backoff().applied_objects();
        futures::pin_mut!(stream);
        while let Some(event) = stream.next().await {
            let event = match event {
                Ok(event) => event,
                Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error))
                    if code(&error) == Some(403) =>
                {
                    return Some(Err(RequestError::Unseen(explain(&error))));
                }
                // A broken watch mends itself; the limit bounds the wait.
                Err(_) => continue,
            };
            let record = EventRecord::of(&serde_json::to_value(&event).unwrap_or_default());
            return Some(Ok(match &*record.reason {
                "RequestRefused" => Outcome::Refused(record.message),
                _ => Outcome::CarriedOut(record.message),
            }));
        }
        None
    };
    match tokio::time::timeout(limit, seen).await {
        Ok(Some(outcome)) => outcome,
        _ => Err(RequestError::NoOutcome(limit)),
    }
}
