//! Getting one object, and listing many: in pages that all show the same moment.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::kinds::Kind;
use super::super::selectors::{FieldSelector, LabelSelector};
use super::super::shape::{Form, Shape};
use super::super::status::{ApiError, FieldError};
use super::path::Target;
use super::render;
use super::{Api, Call, accept, bytes_response, write};

/// Which objects of a collection are meant.
pub struct Selection {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
}

impl Selection {
    pub fn of(call: &Call, kind: &Kind) -> Result<Self, ApiError> {
        let text = |parameter| call.query.get(parameter).unwrap_or_default();
        Ok(Self {
            labels: LabelSelector::parse(text("labelSelector")).map_err(ApiError::bad_request)?,
            fields: FieldSelector::parse(kind, text("fieldSelector")).map_err(ApiError::bad_request)?,
        })
    }

    pub fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

pub fn shape(call: &Call, target: &Target) -> Result<Shape, ApiError> {
    let form = accept::form(&call.headers, call.query.get("includeObject"))?;
    Ok(Shape { form, version: target.version.clone() })
}

/// As [`shape`], where one object or a list of them is read: metadata alone is asked for as the one or the other.
fn shape_of(call: &Call, target: &Target, kind: &Kind, list: bool) -> Result<Shape, ApiError> {
    let shape = shape(call, target)?;
    if shape.form == Form::Metadata
        && let Some(asked) = accept::mistaken(&call.headers, list)
    {
        return Err(ApiError::not_that_form(asked, kind, list));
    }
    Ok(shape)
}

pub fn get(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>, name: &str) -> Result<Response, ApiError> {
    let shape = shape_of(call, target, kind, false)?;
    let found = api.store.get_of(kind, target.namespace.as_deref(), name);
    let object = found.ok_or_else(|| ApiError::not_found(kind, name))?;
    if target.subresource.as_deref() == Some("scale") {
        return Ok(super::json_response(StatusCode::OK, &write::scale_of(&object)));
    }
    let bytes = render::object(kind, &shape, &object, true, api.store.now());
    Ok(bytes_response(StatusCode::OK, "application/json", bytes.into()))
}

pub fn list(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>) -> Result<Response, ApiError> {
    let shape = shape_of(call, target, kind, true)?;
    let selection = Selection::of(call, kind)?;
    let namespace = target.namespace.as_deref();
    let limit = call.query.number("limit")?.filter(|limit| *limit > 0);
    let asked = call.query.get("resourceVersion").filter(|version| !version.is_empty());
    let matching = call.query.get("resourceVersionMatch").unwrap_or_default();
    let (objects, revision, after) = match call.query.get("continue").filter(|token| !token.is_empty()) {
        Some(token) => {
            if asked.is_some_and(|version| version != "0") {
                return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
            }
            let page = Page::read(token)?;
            let objects = api.store.list_at(kind, namespace, page.revision).map_err(|_| {
                ApiError::expired(
                    "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.",
                )
            })?;
            (objects, page.revision, Some((page.namespace, page.name)))
        }
        None => {
            let (objects, revision) = at(api, kind, namespace, asked, matching)?;
            (objects, revision, None)
        }
    };
    let mut chosen: Vec<Arc<Value>> = objects
        .into_iter()
        .filter(|object| after.as_ref().is_none_or(|after| place_of(object) > (&after.0, &after.1)))
        .filter(|object| selection.matches(object))
        .collect();
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if kind.custom && shape.form == Form::Whole {
        // Lists of custom kinds say it where there is nothing to continue, too.
        metadata["continue"] = json!("");
    }
    if let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok())
        && chosen.len() > limit
    {
        let left = chosen.len() - limit;
        chosen.truncate(limit);
        if let Some(last) = chosen.last() {
            let (namespace, name) = place_of(last);
            let page = Page { revision, namespace: namespace.to_owned(), name: name.to_owned() };
            metadata["continue"] = json!(page.token());
        }
        if selection.is_everything() {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    let objects = chosen.iter().map(|object| &**object);
    let bytes = render::list(kind, &shape, objects, metadata, api.store.now());
    Ok(bytes_response(StatusCode::OK, "application/json", bytes.into()))
}

/// The objects at the resourceVersion that was asked for, and which one that was.
fn at(
    api: &Arc<Api>,
    kind: &Kind,
    namespace: Option<&str>,
    asked: Option<&str>,
    matching: &str,
) -> Result<(Vec<Arc<Value>>, u64), ApiError> {
    let Some(asked) = asked else {
        return match matching {
            "" => Ok(api.store.list_of(kind, namespace)),
            _ => {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                Err(wrong_match(&FieldError::forbidden(MATCH, why)))
            }
        };
    };
    let asked = revision(asked).map_err(|why| ApiError::bad_request(format!("invalid resource version: {why}")))?;
    let present = api.store.revision();
    if asked > present {
        return Err(ApiError::ahead(asked, present));
    }
    match matching {
        "Exact" if asked == 0 => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            Err(wrong_match(&FieldError::forbidden(MATCH, why)))
        }
        "Exact" => Ok((api.store.list_at(kind, namespace, asked)?, asked)),
        "" | "NotOlderThan" => Ok(api.store.list_of(kind, namespace)),
        other => {
            let words = ["Exact", "NotOlderThan", ""].map(str::to_owned);
            Err(wrong_match(&FieldError::unsupported(MATCH, &json!(other), &words)))
        }
    }
}

const MATCH: &str = "resourceVersionMatch";

fn wrong_match(field: &FieldError) -> ApiError {
    ApiError::wrong_options("ListOptions", field)
}

/// The number of a resourceVersion. The error is Kubernetes' sentence.
pub fn revision(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
    })
}

fn place_of(object: &Value) -> (&str, &str) {
    let metadata = &object["metadata"];
    (metadata["namespace"].as_str().unwrap_or_default(), metadata["name"].as_str().unwrap_or_default())
}

/// Where a list goes on: after an object, at a moment.
struct Page {
    revision: u64,
    namespace: String,
    name: String,
}

impl Page {
    fn token(&self) -> String {
        let text = format!("{}/{}/{}", self.revision, self.namespace, self.name);
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(token: &str) -> Result<Self, ApiError> {
        let unreadable = || {
            ApiError::bad_request("invalid continue token: continue key is not valid: it did not come from this server")
        };
        let digits = token.as_bytes();
        let bytes: Option<Vec<u8>> = digits
            .len()
            .is_multiple_of(2)
            .then(|| {
                digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
            })
            .flatten();
        let text = String::from_utf8(bytes.ok_or_else(unreadable)?).map_err(|_| unreadable())?;
        let mut parts = text.splitn(3, '/');
        let (Some(revision), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unreadable());
        };
        Ok(Self {
            revision: revision.parse().map_err(|_| unreadable())?,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}
