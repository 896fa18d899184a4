//! Watches: the changes of a collection as they come, from a resourceVersion on. A watch that fell out of what is kept
//! gets 410 in its stream, as every client of Kubernetes expects.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::Instant;

use super::super::kinds::Kind;
use super::super::shape::{Form, Shape};
use super::super::status::{ApiError, FieldError};
use super::super::store::{Change, ChangeEvent};
use super::path::Target;
use super::read::{self, Selection};
use super::render;
use super::{Api, Call, bytes_response, table};

/// How long a watch lasts that asks for no end of its own.
const LONGEST: Duration = Duration::from_secs(1800);
const INITIAL_END: &str = "k8s.io/initial-events-end";

pub fn answer(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>) -> Result<Response, ApiError> {
    let shape = read::shape(call, target)?;
    let selection = Selection::of(call, kind)?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let asked = call.query.get("resourceVersion").unwrap_or_default();
    let lasts = match call.query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST),
        _ => LONGEST,
    };
    let initial = match call.query.get("sendInitialEvents") {
        Some(_) => {
            if call.query.get("resourceVersionMatch") != Some("NotOlderThan") {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                let field = FieldError::forbidden("resourceVersionMatch", why);
                return Err(ApiError::wrong_options("ListOptions", &field));
            }
            Some(call.query.flag("sendInitialEvents"))
        }
        None => None,
    };
    let mut watching = Watching {
        news: api.store.news(),
        api: api.clone(),
        kind: kind.clone(),
        namespace: target.namespace.clone(),
        shape,
        selection,
        revision: 0,
        bookmarks,
        headed: true,
        ends: Instant::now() + lasts,
        initial: Vec::new(),
        over: false,
    };
    let from = if asked.is_empty() { 0 } else { read::revision(asked).map_err(ApiError::plain)? };
    if initial.unwrap_or(from == 0) {
        watching.begin_with_all(initial == Some(true));
    } else if from == 0 {
        watching.revision = api.store.revision();
    } else {
        watching.revision = from;
    }
    let lines = stream::unfold(watching, |mut watching| async move {
        let lines = watching.next().await?;
        Some((Ok::<_, std::convert::Infallible>(lines), watching))
    });
    let mut response = bytes_response(StatusCode::OK, "application/json", Bytes::new());
    *response.body_mut() = Body::from_stream(lines);
    Ok(response)
}

struct Watching {
    api: Arc<Api>,
    news: Receiver<()>,
    kind: Arc<Kind>,
    namespace: Option<String>,
    shape: Shape,
    selection: Selection,
    /// Everything up to here has been told.
    revision: u64,
    bookmarks: bool,
    /// Whether the next table still has to say its columns.
    headed: bool,
    ends: Instant,
    initial: Vec<u8>,
    over: bool,
}

impl Watching {
    /// Starts with everything that is there as additions, and a bookmark after them where one was asked for.
    fn begin_with_all(&mut self, mark: bool) {
        let (objects, revision) = self.api.store.list_of(&self.kind, self.namespace.as_deref());
        self.revision = revision;
        let mut lines = Vec::new();
        for object in objects {
            if !self.selection.matches(&object) {
                continue;
            }
            let bytes = self.render(&object);
            line("ADDED", &bytes, &mut lines);
        }
        if mark && self.bookmarks {
            self.bookmark(true, &mut lines);
        }
        self.initial = lines;
    }

    /// The next lines to send; none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if !self.initial.is_empty() {
            return Some(std::mem::take(&mut self.initial).into());
        }
        let quiet_until = Instant::now() + self.api.bookmark_every;
        loop {
            // Seen first, so that a change while reading wakes the next round.
            while !matches!(self.news.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
            let mut lines = Vec::new();
            match self.api.store.changes_of(&self.kind, self.revision) {
                Ok((changes, revision)) => {
                    for change in changes {
                        self.tell(&change, &mut lines);
                    }
                    self.revision = self.revision.max(revision);
                }
                Err(error) => {
                    self.over = true;
                    line("ERROR", &serde_json::to_vec(&error.status()).unwrap_or_default(), &mut lines);
                }
            }
            if !lines.is_empty() {
                return Some(lines.into());
            }
            let mark = if self.bookmarks { quiet_until } else { self.ends };
            tokio::select! {
                biased;
                // The store lives as long as this watch holds the API.
                _ = self.news.recv() => {}
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep_until(mark) => {
                    self.bookmark(false, &mut lines);
                    return Some(lines.into());
                }
            }
        }
    }

    fn tell(&mut self, change: &Change, lines: &mut Vec<u8>) {
        if self.namespace.is_some() && self.namespace != change.namespace {
            return;
        }
        let matched = change.previous.as_ref().is_some_and(|previous| self.selection.matches(previous));
        let matches = change.event != ChangeEvent::Deleted && self.selection.matches(&change.object);
        let event = match (matched, matches) {
            (false, false) => return,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        if event == "DELETED" && change.event != ChangeEvent::Deleted {
            // It left the selection: the client is shown what it knew, under the resourceVersion of the change.
            let mut last = change.previous.as_deref().cloned().unwrap_or_default();
            last["metadata"]["resourceVersion"] = json!(change.resource_version.to_string());
            let bytes = self.render(&last);
            line(event, &bytes, lines);
            return;
        }
        if self.headed && matches!(self.shape.form, Form::Table(_)) {
            let bytes = self.render(&change.object);
            line(event, &bytes, lines);
            return;
        }
        let bytes = change.rendered(&self.shape, || self.render_again(&change.object, false));
        line(event, &bytes, lines);
    }

    fn render(&mut self, object: &Value) -> Vec<u8> {
        let headed = std::mem::take(&mut self.headed);
        self.render_again(object, headed)
    }

    fn render_again(&self, object: &Value, headed: bool) -> Vec<u8> {
        render::object(&self.kind, &self.shape, object, headed, self.api.store.now())
    }

    fn bookmark(&self, initial: bool, lines: &mut Vec<u8>) {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if initial {
            metadata["annotations"] = json!({ INITIAL_END: "true" });
        }
        let mark = match self.shape.form {
            Form::Whole => json!({
                "kind": self.kind.kind,
                "apiVersion": self.kind.api_version(&self.shape.version),
                "metadata": metadata,
            }),
            Form::Metadata => render::partial(&json!({ "metadata": metadata })),
            // A row of an object that says nothing else.
            Form::Table(include) => {
                let version = json!({ "resourceVersion": self.revision.to_string() });
                let object = json!({ "metadata": metadata });
                let rows = std::iter::once(&object);
                table::table(&self.kind, &self.shape, include, rows, version, false, self.api.store.now())
            }
        };
        line("BOOKMARK", &serde_json::to_vec(&mark).unwrap_or_default(), lines);
    }
}

fn line(event: &str, object: &[u8], lines: &mut Vec<u8>) {
    lines.extend_from_slice(b"{\"type\":\"");
    lines.extend_from_slice(event.as_bytes());
    lines.extend_from_slice(b"\",\"object\":");
    lines.extend_from_slice(object);
    lines.extend_from_slice(b"}\n");
}
