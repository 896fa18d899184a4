//! Creating, replacing, patching and deleting, as the store's writes.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::kinds::Kind;
use super::super::policy::{self, Policed};
use super::super::status::{ApiError, FieldError};
use super::super::store::{DeleteOptions, Part, Propagation, Write};
use super::super::strategic;
use super::path::Target;
use super::read::{self, Selection};
use super::{Api, Call, bytes_response, json_response, render, typed};

/// The content type of server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";

pub fn create(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>) -> Result<Response, ApiError> {
    let mut object = call.object()?;
    expect_type(kind, target, &object)?;
    let write = write_of(call, target, kind)?;
    let mut warnings =
        typed::check(kind, &target.version, &mut object, call.query.get("fieldValidation"), &call.duplicates())
            .map_err(|why| typed::unfit(kind, &target.version, &why))?;
    warnings.extend(plain_finalizers(kind, &Value::Null, &object));
    policy::carried_out(kind, object["metadata"]["name"].as_str().unwrap_or_default())?;
    if let Some(policed) = policed(api, call, target, kind) {
        policed.check(kind, &Value::Null, &object)?;
    }
    let made = api.store.create_as(kind, target.namespace.as_deref(), object, &write)?;
    answer(api, call, target, kind, StatusCode::CREATED, &made, &warnings)
}

pub fn update(
    api: &Arc<Api>,
    call: &Call,
    target: &Target,
    kind: &Arc<Kind>,
    name: &str,
) -> Result<Response, ApiError> {
    let mut object = call.object()?;
    let write = write_of(call, target, kind)?;
    let namespace = target.namespace.as_deref();
    if write.part == Part::Scale {
        let made =
            api.store.update_as(kind, namespace, name, &write, |current| scaled(kind, name, current, &object))?;
        return Ok(json_response(StatusCode::OK, &scale_of(&made)));
    }
    expect_type(kind, target, &object)?;
    let mut warnings =
        typed::check(kind, &target.version, &mut object, call.query.get("fieldValidation"), &call.duplicates())
            .map_err(|why| typed::unfit(kind, &target.version, &why))?;
    let policed = policed(api, call, target, kind);
    let made = api.store.update_as(kind, namespace, name, &write, |current| {
        policed.as_ref().map_or(Ok(()), |policed| policed.check(kind, current, &object))?;
        warnings.extend(plain_finalizers(kind, current, &object));
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if kind.custom && version.is_empty() {
            // Kubernetes names the resource here, where it names the kind elsewhere.
            let why = FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            let named = Kind { kind: kind.plural.clone(), ..(**kind).clone() };
            return Err(ApiError::invalid(&named, name, vec![why]));
        }
        Ok(object)
    })?;
    answer(api, call, target, kind, StatusCode::OK, &made, &warnings)
}

pub fn patch(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>, name: &str) -> Result<Response, ApiError> {
    if call.content_type() == APPLY {
        return apply(api, call, target, kind, name);
    }
    let patch = Patch::of(call, kind)?;
    let write = write_of(call, target, kind)?;
    let namespace = target.namespace.as_deref();
    if write.part == Part::Scale {
        let made = api.store.update_as(kind, namespace, name, &write, |current| {
            let mut scale = scale_of(current);
            patch.apply(&mut scale)?;
            scaled(kind, name, current, &scale)
        })?;
        return Ok(json_response(StatusCode::OK, &scale_of(&made)));
    }
    let api_version = kind.api_version(&target.version);
    let validation = call.query.get("fieldValidation");
    let mut warnings = Vec::new();
    let policed = policed(api, call, target, kind);
    let made = api.store.update_as(kind, namespace, name, &write, |current| {
        let mut object = current.clone();
        object["apiVersion"] = json!(api_version);
        patch.apply(&mut object)?;
        expect_type(kind, target, &object)?;
        let patched = object.clone();
        warnings = typed::check(kind, &target.version, &mut object, validation, &[])
            .map_err(|why| ApiError::unfit_patch(&patch.shown(&patched), why))?;
        policed.as_ref().map_or(Ok(()), |policed| policed.check(kind, current, &object))?;
        warnings.extend(plain_finalizers(kind, current, &object));
        // Back to what it is kept in, so that a patch of nothing changes nothing.
        object["apiVersion"] = json!(kind.storage_api_version());
        Ok(object)
    })?;
    answer(api, call, target, kind, StatusCode::OK, &made, &warnings)
}

/// Server-side apply: the body is what its manager wants of the object, which comes to be where it is not there.
fn apply(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>, name: &str) -> Result<Response, ApiError> {
    let force = call.query.flag("force");
    let write = write_of(call, target, kind)?;
    let text = std::str::from_utf8(&call.body).map_err(ApiError::bad_request)?;
    let config: Value = serde_saphyr::from_str(text)
        .map_err(|why| ApiError::bad_request(format!("error decoding patch: error converting YAML to JSON: {why}")))?;
    if !config.is_object() && !config.is_null() {
        return Err(ApiError::bad_request("error decoding patch: error unmarshaling JSON: the patch is no object"));
    }
    expect_applied_type(kind, target, &config)?;
    if config["metadata"].get("managedFields").is_some_and(|entries| !entries.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let mistakes = typed::mistakes(kind, &target.version, &config);
    if !mistakes.is_empty() {
        let why = match mistakes.as_slice() {
            [one] => one.clone(),
            several => format!("errors:\n  {}", several.join("\n  ")),
        };
        return Err(ApiError::untyped(kind, &target.version, &config, why));
    }
    let namespace = target.namespace.as_deref();
    policy::carried_out(kind, name)?;
    if let Some(policed) = policed(api, call, target, kind) {
        let present = api.store.get(&kind.kind, namespace, name).unwrap_or_default();
        policed.check(kind, &present, &config)?;
    }
    let (made, created) = api.store.apply_as(kind, namespace, name, &config, &write, force)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    answer(api, call, target, kind, status, &made, &[])
}

pub fn delete(
    api: &Arc<Api>,
    call: &Call,
    target: &Target,
    kind: &Arc<Kind>,
    name: &str,
) -> Result<Response, ApiError> {
    let options = delete_options(call)?;
    let deleted = api.store.delete_of(kind, target.namespace.as_deref(), name, &options)?;
    let whole = !deleted.gone || (kind.kind == "Pod" && !kind.custom);
    if whole {
        return answer(api, call, target, kind, StatusCode::OK, &deleted.object, &[]);
    }
    let mut details = json!({ "name": name, "kind": kind.plural, "uid": deleted.object["metadata"]["uid"] });
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    Ok(json_response(StatusCode::OK, &status))
}

pub fn delete_collection(api: &Arc<Api>, call: &Call, target: &Target, kind: &Arc<Kind>) -> Result<Response, ApiError> {
    if kind.namespaced && target.namespace.is_none() {
        return Err(ApiError::method_not_allowed());
    }
    let options = delete_options(call)?;
    let selection = Selection::of(call, kind)?;
    let (objects, _) = api.store.list_of(kind, target.namespace.as_deref());
    let chosen: Vec<Arc<Value>> = objects.into_iter().filter(|object| selection.matches(object)).collect();
    for object in &chosen {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match api.store.delete_of(kind, target.namespace.as_deref(), name, &options) {
            Ok(_) => {}
            // Something else took it along meanwhile: it is gone, which is what was asked for.
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let mut metadata = json!({ "resourceVersion": api.store.revision().to_string() });
    if kind.custom {
        metadata["continue"] = json!("");
    }
    let shape = read::shape(call, target)?;
    let objects = chosen.iter().map(|object| &**object);
    let bytes = render::list(kind, &shape, objects, metadata, api.store.now());
    Ok(bytes_response(StatusCode::OK, "application/json", bytes.into()))
}

fn answer(
    api: &Arc<Api>,
    call: &Call,
    target: &Target,
    kind: &Kind,
    status: StatusCode,
    object: &Value,
    warnings: &[String],
) -> Result<Response, ApiError> {
    let shape = read::shape(call, target)?;
    let bytes = render::object(kind, &shape, object, true, api.store.now());
    let mut response = bytes_response(status, "application/json", bytes.into());
    for warning in warnings {
        let quoted: String = warning.chars().filter(|c| !c.is_control()).collect::<String>().replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// The policy that this write is held to; a part of an object is held to none.
fn policed(api: &Api, call: &Call, target: &Target, kind: &Kind) -> Option<Policed> {
    let whole = target.subresource.is_none();
    policy::of(&api.store, kind, target.namespace.as_deref(), &call.attributes.user).filter(|_| whole)
}

fn write_of(call: &Call, target: &Target, kind: &Kind) -> Result<Write, ApiError> {
    let part = match target.subresource.as_deref() {
        Some("status") => Part::Status,
        Some("scale") => Part::Scale,
        _ => Part::Main,
    };
    Ok(Write {
        api_version: Some(kind.api_version(&target.version)),
        dry_run: call.query.dry_run(),
        ..Write::by(call.manager()?, part)
    })
}

/// What a custom kind's writer is warned of: new finalizers that could be somebody else's, too.
fn plain_finalizers(kind: &Kind, old: &Value, object: &Value) -> Vec<String> {
    let names = |object: &Value| -> Vec<String> {
        let all = object["metadata"]["finalizers"].as_array();
        all.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let known = names(old);
    let new = names(object).into_iter().filter(|name| kind.custom && !name.contains('/') && !known.contains(name));
    new.map(|name| {
        format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"
        )
    })
    .collect()
}

/// What is applied says which kind it is, and it is that of the path.
fn expect_applied_type(kind: &Kind, target: &Target, config: &Value) -> Result<(), ApiError> {
    let wanted = kind.api_version(&target.version);
    let (version, said) =
        (config["apiVersion"].as_str().unwrap_or_default(), config["kind"].as_str().unwrap_or_default());
    if version != wanted || said != kind.kind {
        let slash = if version.contains('/') { "" } else { "/" };
        return Err(ApiError::bad_request(format!("invalid object type: {slash}{version}, Kind={said}")));
    }
    Ok(())
}

/// The body must be of the kind and version in the path, as far as it says.
fn expect_type(kind: &Kind, target: &Target, object: &Value) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the object provided is no JSON object"));
    }
    let wanted = kind.api_version(&target.version);
    let found = object["apiVersion"].as_str().unwrap_or(&wanted);
    if found != wanted {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({wanted})"
        )));
    }
    let found = object["kind"].as_str().unwrap_or(&kind.kind);
    if found != kind.kind {
        return Err(ApiError::bad_request(format!(
            "the kind in the data ({found}) does not match the expected kind ({})",
            kind.kind
        )));
    }
    Ok(())
}

/// A patch, of one of the three kinds that are carried out.
enum Patch {
    Json(Vec<json_patch::PatchOperation>),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    fn of(call: &Call, kind: &Kind) -> Result<Self, ApiError> {
        let value =
            || serde_json::from_slice::<Value>(&call.body).map_err(|_| ApiError::bad_request("invalid JSON patch"));
        match call.content_type() {
            "application/json-patch+json" => match value()? {
                Value::Array(operations) => {
                    let read: Result<Vec<json_patch::PatchOperation>, _> =
                        operations.into_iter().map(serde_json::from_value).collect();
                    read.map(Self::Json).map_err(|_| ApiError::unprocessable())
                }
                _ => Err(ApiError::bad_request("error decoding patch: the patch is no list of operations")),
            },
            "application/merge-patch+json" => match value()? {
                patch @ Value::Object(_) => Ok(Self::Merge(patch)),
                _ => Err(ApiError::bad_request("error decoding patch: the patch is no object")),
            },
            "application/strategic-merge-patch+json" if !kind.custom => value().map(Self::Strategic),
            "application/strategic-merge-patch+json" => Err(ApiError::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(ApiError::unsupported_patch()),
        }
    }

    /// How a refusal shows it: a strategic patch itself, of the others what they make of the object.
    fn shown(&self, patched: &Value) -> String {
        match self {
            Self::Strategic(Value::Object(patch)) => strategic::shown(patch),
            _ => patched.to_string(),
        }
    }

    fn apply(&self, object: &mut Value) -> Result<(), ApiError> {
        match self {
            Self::Json(operations) => {
                for operation in operations {
                    let operation = lenient(object, operation);
                    json_patch::patch(object, std::slice::from_ref(&operation))
                        .map_err(|_| ApiError::unprocessable())?;
                }
            }
            Self::Merge(patch) => json_patch::merge(object, patch),
            Self::Strategic(patch) => strategic::apply(object, patch).map_err(ApiError::plain)?,
        }
        match object["metadata"].is_object() {
            true => Ok(()),
            false => Err(ApiError::bad_request("metadata is no JSON object after the patch")),
        }
    }
}

/// The operation as Kubernetes carries it out: replacing a field that is not there adds it.
fn lenient(object: &Value, operation: &json_patch::PatchOperation) -> json_patch::PatchOperation {
    match operation {
        json_patch::PatchOperation::Replace(replace) if object.pointer(replace.path.as_str()).is_none() => {
            let (path, value) = (replace.path.clone(), replace.value.clone());
            json_patch::PatchOperation::Add(json_patch::AddOperation { path, value })
        }
        other => other.clone(),
    }
}

fn delete_options(call: &Call) -> Result<DeleteOptions, ApiError> {
    let body = if call.body.is_empty() { Value::Null } else { call.value()? };
    let wrong = |field: FieldError| Err(ApiError::wrong_options("DeleteOptions", &field));
    let given = |field: &str| {
        let in_body = body[field].as_str().map(str::to_owned);
        in_body.or_else(|| call.query.get(field).map(str::to_owned)).filter(|text| !text.is_empty())
    };
    let orphans = body["orphanDependents"] == true || call.query.flag("orphanDependents");
    if let Some(policy) = given("propagationPolicy")
        && (body["orphanDependents"].is_boolean() || call.query.get("orphanDependents").is_some())
    {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        return wrong(FieldError::invalid("propagationPolicy", &json!(policy), why));
    }
    let propagation = match given("propagationPolicy").as_deref() {
        None if orphans => Propagation::Orphan,
        None | Some("Background") => Propagation::Background,
        Some("Foreground") => Propagation::Foreground,
        Some("Orphan") => Propagation::Orphan,
        Some(other) => {
            let words = ["Foreground", "Background", "Orphan", "nil"].map(str::to_owned);
            return wrong(FieldError::unsupported("propagationPolicy", &json!(other), &words));
        }
    };
    let grace = match call.query.number("gracePeriodSeconds")? {
        Some(seconds) => Some(i64::try_from(seconds).unwrap_or(i64::MAX)),
        None => body["gracePeriodSeconds"].as_i64(),
    };
    let dry_run = match &body["dryRun"] {
        Value::Array(all) => !all.is_empty(),
        _ => false,
    };
    let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
    Ok(DeleteOptions {
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        propagation,
        grace_period_seconds: grace,
        dry_run: dry_run || call.query.dry_run(),
    })
}

/// The `Scale` of a workload.
pub fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()))
        .collect();
    // In a Scale, none at all is not said.
    let spec = match object["spec"]["replicas"].as_i64() {
        None | Some(0) => json!({}),
        Some(replicas) => json!({ "replicas": replicas }),
    };
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": spec,
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector.join(","),
        },
    })
}

/// The workload with a Scale's replicas.
fn scaled(kind: &Kind, name: &str, current: &Value, scale: &Value) -> Result<Value, ApiError> {
    if scale["kind"] != "Scale" {
        return Err(ApiError::bad_request("the object provided is no Scale"));
    }
    let asked = scale["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !asked.is_empty() && current["metadata"]["resourceVersion"] != asked {
        return Err(ApiError::modified(kind, name));
    }
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => json!(0),
        replicas => replicas.clone(),
    };
    let mut object = current.clone();
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.insert("replicas".into(), replicas);
    }
    Ok(object)
}
