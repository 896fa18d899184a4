//! Errors as a Kubernetes API server gives them: every one is a `Status` object with a reason, a code and details.
//! Nothing here knows of HTTP or of the store; the wording is the wire format that clients match on.

use serde_json::{Value, json};
use std::fmt;

use super::kinds::Kind;

/// A refused request: what `kind: Status` says on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status code, also `code` in the object.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`; empty where Kubernetes gives none.
    pub reason: &'static str,
    /// The sentence for a person.
    pub message: String,
    /// `details`, or null where there are none.
    pub details: Value,
    /// Whether it is answered as a plain page instead of a `Status`.
    pub page: bool,
}

/// One field that is wrong: a cause in the details of an `Invalid` status.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// Path as Kubernetes writes it: `spec.template.spec.containers[0].image`.
    pub field: String,
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueNotSupported`, `FieldValueTypeInvalid`, ….
    pub reason: &'static str,
    /// What is wrong, with the offending value where there is one.
    pub message: String,
}

impl FieldError {
    /// The value at `field` breaks a rule.
    pub fn invalid(field: impl Into<String>, value: &Value, why: impl fmt::Display) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: {why}", shown(value)),
        }
    }

    /// The value at `field` has a type that the schema does not allow.
    pub fn wrong_type(field: impl Into<String>, value: &Value, wanted: &str) -> Self {
        let field = field.into();
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let message = format!("Invalid value: \"{found}\": {field} in body must be of type {wanted}: \"{found}\"");
        Self { field, reason: "FieldValueTypeInvalid", message }
    }

    /// The element at `field` is there already, by what it is told by.
    pub fn duplicate(field: impl Into<String>, identity: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueDuplicate", message: format!("Duplicate value: {identity}") }
    }

    /// The text at `field` is longer than it may be, in bytes.
    pub fn too_long(field: impl Into<String>, most: u64) -> Self {
        let message = format!("Too long: may not be more than {most} bytes");
        Self { field: field.into(), reason: "FieldValueTooLong", message }
    }

    /// `field` may not be given here.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {why}") }
    }

    /// The value at `field` is missing.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    /// The value at `field` is none of `supported`.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let supported: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        Self {
            field: field.into(),
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {}: supported values: {}", shown(value), supported.join(", ")),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, page: false }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({ "name": name, "kind": kind.plural });
        if !kind.group.is_empty() {
            self.details["group"] = json!(kind.group);
        }
        self
    }

    /// 404 for an object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.resource());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    /// 404 for a path that leads nowhere at all: Kubernetes answers it with a page, not with a Status.
    pub fn no_such_page() -> Self {
        Self { page: true, ..Self::new(404, "NotFound", "404 page not found\n") }
    }

    /// 404 for a resource type that is not served.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").without_details()
    }

    /// 409: an object of that name is there.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.resource());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    /// 409: a deletion was decided on another uid or resourceVersion.
    pub fn precondition(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        let message = format!("Operation cannot be fulfilled on {}{group} {name:?}: {why}", kind.kind);
        let mut error = Self::new(409, "Conflict", message).about(kind, name);
        error.details["kind"] = json!(kind.kind);
        error
    }

    /// 409: the write was decided on an older resourceVersion.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409 for another cause.
    pub fn conflict(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// 409: others own what an applied configuration would change. Who, and which fields.
    pub fn apply_conflict(conflicts: &[(String, Vec<String>)]) -> Self {
        let all: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
        let message = match conflicts {
            [(manager, paths)] if all == 1 => {
                format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths.concat())
            }
            _ => {
                let mut lines = Vec::new();
                for (manager, paths) in conflicts {
                    lines.push(format!("conflicts with {manager}:"));
                    lines.extend(paths.iter().map(|path| format!("- {path}")));
                }
                format!("Apply failed with {all} conflicts: {}", lines.join("\n"))
            }
        };
        let cause = |manager: &str, path: &str| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {manager}"),
                "field": path,
            })
        };
        let causes = conflicts.iter().flat_map(|(manager, paths)| paths.iter().map(|path| cause(manager, path)));
        let causes: Vec<Value> = causes.collect();
        let mut error = Self::new(409, "Conflict", message);
        error.details = json!({ "causes": causes });
        error
    }

    /// 500, as Kubernetes has it: an applied configuration that does not go with the kind's structure.
    pub fn untyped(kind: &Kind, version: &str, config: &Value, why: impl fmt::Display) -> Self {
        let metadata = &config["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let subject = format!("{}/{}; {}", text("namespace"), text("name"), kind.shown(version));
        Self::plain(format!("failed to create typed patch object ({subject}): {why}"))
    }

    /// 422 for options of a request that do not go together.
    pub fn wrong_options(options: &str, field: &FieldError) -> Self {
        let mut error = Self::new(
            422,
            "Invalid",
            format!("{options}.meta.k8s.io \"\" is invalid: {}: {}", field.field, field.message),
        );
        error.details = json!({
            "group": "meta.k8s.io",
            "kind": options,
            "causes": [{ "reason": field.reason, "message": field.message, "field": field.field }],
        });
        error
    }

    /// 422 with one cause for each wrong field.
    pub fn invalid(kind: &Kind, name: &str, fields: Vec<FieldError>) -> Self {
        let listed: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect();
        let listed = match listed.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let subject = if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
        let mut error = Self::new(422, "Invalid", format!("{subject} {name:?} is invalid: {listed}"));
        let causes: Vec<Value> =
            fields.into_iter().map(|f| json!({ "reason": f.reason, "message": f.message, "field": f.field })).collect();
        error.details = json!({ "kind": kind.kind, "causes": causes });
        if !name.is_empty() {
            error.details["name"] = json!(name);
        }
        if !kind.group.is_empty() {
            error.details["group"] = json!(kind.group);
        }
        error
    }

    /// 422 for what a group was asked that is no object of a name.
    pub fn unnamed_invalid(group: &str, field: FieldError) -> Self {
        let mut error =
            Self::new(422, "Invalid", format!(".{group} \"\" is invalid: {}: {}", field.field, field.message));
        error.details = json!({
            "group": group,
            "causes": [{ "reason": field.reason, "message": field.message, "field": field.field }],
        });
        error
    }

    /// 422 for a patch that does not go with the object. Kubernetes does not say why.
    pub fn unprocessable() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request").without_details()
    }

    /// 422 for a patch that makes no object of its kind. `shown` is the patch, or what it makes.
    pub fn unfit_patch(shown: &str, why: impl fmt::Display) -> Self {
        let field = FieldError::invalid("patch", &json!(shown), why);
        let mut error = Self::new(422, "Invalid", format!(" \"\" is invalid: {}: {}", field.field, field.message));
        error.details = json!({
            "causes": [{ "reason": field.reason, "message": field.message, "field": field.field }],
        });
        error
    }

    /// 500 where Kubernetes gives a plain error, without a reason.
    pub fn plain(message: impl fmt::Display) -> Self {
        Self::new(500, "", message.to_string())
    }

    /// As Kubernetes says it where the error is not about an object: with details that say nothing.
    fn without_details(mut self) -> Self {
        self.details = json!({});
        self
    }

    /// 400.
    pub fn bad_request(message: impl fmt::Display) -> Self {
        Self::new(400, "BadRequest", message.to_string())
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: `user` may not `verb` the resource there.
    pub fn forbidden(
        user: &str,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Self {
        let scope = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let plural = resource.split('/').next().unwrap_or(resource);
        let subject = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let named = match name {
            Some(name) => format!("{subject} {name:?}"),
            None => subject,
        };
        let mut error = Self::new(
            403,
            "Forbidden",
            format!(
                "{named} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}"
            ),
        );
        error.details = json!({ "kind": plural });
        if let Some(name) = name {
            error.details["name"] = json!(name);
        }
        if !group.is_empty() {
            error.details["group"] = json!(group);
        }
        error
    }

    /// 403: a rule of the server itself forbids it.
    pub fn refused(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.resource());
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .without_details()
    }

    /// 405 as custom kinds give it, for a verb.
    pub fn verb_not_supported(kind: &Kind, verb: &str) -> Self {
        let resource = kind.resource();
        let message = format!("{verb} is not supported on resources of kind {resource:?}");
        let mut error = Self::new(405, "MethodNotAllowed", message);
        error.details = json!({ "group": kind.group, "kind": kind.plural });
        error
    }

    /// 406.
    pub fn not_acceptable(offered: &str) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {offered}");
        Self::new(406, "NotAcceptable", message).without_details()
    }

    /// 406: a list was asked for as if it were one object, or the other way round.
    pub fn not_that_form(asked: &str, kind: &Kind, list: bool) -> Self {
        let package = match kind.group.split('.').next().unwrap_or_default() {
            _ if kind.custom => "unstructured",
            "" => "core",
            group => group,
        };
        let name = if kind.custom { "Unstructured" } else { kind.kind.as_str() };
        let (name, is) = if list { (format!("{name}List"), "is") } else { (name.to_owned(), "is not") };
        let message = format!("you requested {asked}, but the requested object {is} a list (*{package}.{name})");
        Self::new(406, "NotAcceptable", message)
    }

    /// 410: what was asked for is older than what is kept.
    pub fn expired(message: impl fmt::Display) -> Self {
        Self::new(410, "Expired", message.to_string())
    }

    /// 504: a resourceVersion that is not reached yet, so of another cluster or another life of this one.
    pub fn ahead(asked: u64, present: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {present}");
        let mut error = Self::new(504, "Timeout", message);
        error.details = json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        });
        error
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("limit is {limit} bytes"))
    }

    /// 415, naming what is understood.
    pub fn unsupported_media_type(message: impl fmt::Display) -> Self {
        Self::new(415, "UnsupportedMediaType", message.to_string())
    }

    /// 415 for a patch of no kind that is known.
    pub fn unsupported_patch() -> Self {
        Self::unsupported_media_type("415: Unsupported Media Type").without_details()
    }

    /// 500: this server's own failure.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(500, "InternalError", message.to_string())
    }

    /// 503.
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(503, "ServiceUnavailable", message.to_string())
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}
