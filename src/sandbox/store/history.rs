//! The last changes, so that a watch can start where a list ended. Bounded: what is older is gone, and said to be.

use axum::body::Bytes;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::ApiError;
use crate::sandbox::kinds::Kind;
use crate::sandbox::shape::Shape;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeEvent {
    /// It was not there before.
    Added,
    /// It was, and differs now.
    Modified,
    /// It is no longer there; the object is what it was last.
    Deleted,
}

/// One change of one object.
#[derive(Debug)]
pub struct Change {
    /// Such as `Deployment`.
    pub kind: Arc<str>,
    /// None for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
    /// What happened.
    pub event: ChangeEvent,
    /// The object after it; for a deletion as it was last, under the deletion's resourceVersion.
    pub object: Arc<Value>,
    /// The change's own resourceVersion.
    pub resource_version: u64,
    /// The object before it; none for an addition.
    pub previous: Option<Arc<Value>>,
    pub(in crate::sandbox) of: Arc<Kind>,
    /// The object as it was written for one watch, for the others that want it in the same shape.
    pub(super) rendered: Mutex<Vec<(Shape, Bytes)>>,
}

impl Change {
    /// The object in a shape: written by `render` the first time, and shared after that.
    pub(in crate::sandbox) fn rendered(&self, shape: &Shape, render: impl FnOnce() -> Vec<u8>) -> Bytes {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = rendered.iter().find(|(known, _)| known == shape) {
            return bytes.clone();
        }
        let bytes = Bytes::from(render());
        rendered.push((shape.clone(), bytes.clone()));
        bytes
    }

    /// Whether it is of that very kind (names alone may be shared by groups).
    pub(in crate::sandbox) fn concerns(&self, kind: &Kind) -> bool {
        self.of.plural == kind.plural && self.of.group == kind.group
    }
}

pub(super) struct History {
    changes: VecDeque<Arc<Change>>,
    limit: usize,
    /// The resourceVersion of the last change that was dropped: nothing before it is known.
    dropped: u64,
}

impl History {
    pub(super) fn new(limit: usize) -> Self {
        Self { changes: VecDeque::new(), limit, dropped: 0 }
    }

    pub(super) fn push(&mut self, change: Arc<Change>) {
        self.changes.push_back(change);
        while self.changes.len() > self.limit {
            if let Some(oldest) = self.changes.pop_front() {
                self.dropped = oldest.resource_version;
            }
        }
    }

    pub(super) fn since(&self, revision: u64, latest: u64) -> Result<Vec<Arc<Change>>, ApiError> {
        if revision < self.dropped {
            return Err(ApiError::expired(format!("too old resource version: {revision} ({})", self.dropped)));
        }
        if revision >= latest {
            return Ok(Vec::new());
        }
        let from = self.changes.partition_point(|change| change.resource_version <= revision);
        Ok(self.changes.range(from..).cloned().collect())
    }
}
