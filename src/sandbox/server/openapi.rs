//! As much OpenAPI as kubectl needs: that patches take `fieldValidation`, and the schemas that `kubectl explain` reads.

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::super::kinds::{Kind, Kinds};
use super::super::status::ApiError;
use super::{Api, Call, bytes_response, discovery, json_response, types};

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A document without paths and definitions, in the protobuf that kubectl asks for when it does not find a kind in the
/// newer documents (a List, for one). It validates nothing then, and leaves that to the server.
const EMPTY_DOCUMENT: &[u8] = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.37.0\x42\x00\x4a\x00";

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

pub fn answer(api: &Arc<Api>, call: &Call, about: &str) -> Result<Response, ApiError> {
    let kinds = api.store.kinds();
    let groups = discovery::groups(&kinds);
    if about == "v2" {
        let accept = call.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if accept.contains("spec.v2@v1.0+protobuf") {
            return Ok(bytes_response(StatusCode::OK, PROTOBUF, Bytes::from_static(EMPTY_DOCUMENT)));
        }
        let versions = groups.iter().flat_map(|(group, versions)| versions.iter().map(move |version| (group, version)));
        let mut paths = Map::new();
        let mut definitions = Map::new();
        for (group, version) in versions {
            paths.append(&mut patches(&kinds, group, version, Dialect::Two));
            definitions.append(&mut schemas(&kinds, group, version, Dialect::Two));
        }
        let document = json!({
            "swagger": "2.0", "info": info(), "paths": paths, "definitions": definitions,
        });
        return Ok(json_response(StatusCode::OK, &document));
    }
    let Some(about) = about.strip_prefix("v3/").filter(|about| !about.is_empty()) else {
        let mut paths = Map::new();
        for (group, versions) in &groups {
            for version in versions {
                let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
                // The address carries a hash in Kubernetes, so that clients may cache it; here it changes with the kinds.
                let url = format!("/openapi/v3/{path}?hash={:X}", fingerprint(&kinds, group));
                paths.insert(path, json!({ "serverRelativeURL": url }));
            }
        }
        return Ok(json_response(StatusCode::OK, &json!({ "paths": paths })));
    };
    let steps: Vec<&str> = about.split('/').collect();
    let (group, version) = match steps.as_slice() {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return Err(ApiError::no_such_path()),
    };
    if !groups.get(group).is_some_and(|versions| versions.iter().any(|one| one == version)) {
        return Err(ApiError::no_such_path());
    }
    let document = json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": patches(&kinds, group, version, Dialect::Three),
        "components": { "schemas": schemas(&kinds, group, version, Dialect::Three) },
    });
    Ok(json_response(StatusCode::OK, &document))
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    Two,
    Three,
}

fn info() -> Value {
    json!({ "title": "Kubernetes", "version": "v1.37.0" })
}

/// Changes whenever the group's kinds do.
fn fingerprint(kinds: &Kinds, group: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for kind in kinds.iter().filter(|kind| kind.group == group) {
        format!("{kind:?}").hash(&mut hasher);
    }
    hasher.finish()
}

fn served<'a>(kinds: &'a Kinds, group: &'a str, version: &'a str) -> impl Iterator<Item = &'a Arc<Kind>> {
    kinds.iter().filter(move |kind| kind.group == group && kind.version(version).is_some())
}

fn patches(kinds: &Kinds, group: &str, version: &str, dialect: Dialect) -> Map<String, Value> {
    let string = |name: &str| match dialect {
        Dialect::Two => json!({ "name": name, "in": "query", "type": "string", "uniqueItems": true }),
        Dialect::Three => json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } }),
    };
    let parameters = json!([string("dryRun"), string("fieldManager"), string("fieldValidation")]);
    served(kinds, group, version)
        .map(|kind| {
            let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
            let path = format!("{root}{scope}/{}/{{name}}", kind.plural);
            let operation = json!({
                "parameters": parameters,
                "responses": { "200": { "description": "OK" } },
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind.kind },
            });
            (path, json!({ "patch": operation }))
        })
        .collect()
}

/// The schemas of one group's kinds: of built-in kinds as their published types have them, of custom kinds as their
/// definitions do.
fn schemas(kinds: &Kinds, group: &str, version: &str, dialect: Dialect) -> Map<String, Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let metadata = Value::from(generator.subschema_for::<ObjectMeta>());
    let reversed: Vec<&str> = group.split('.').rev().collect();
    let mut roots = Map::new();
    for kind in served(kinds, group, version) {
        let name = match (types::of(kind), dialect) {
            (Some(published), Dialect::Three) => {
                let schema = Value::from((published.describe)(&mut generator));
                let reference = schema["$ref"].as_str().unwrap_or_default();
                reference.rsplit('/').next().unwrap_or_default().to_owned()
            }
            // The older document is not asked for them: kubectl has their types compiled in.
            (Some(_), Dialect::Two) => continue,
            (None, _) => {
                let Some(schema) = kind.version(version).and_then(|version| version.schema.as_deref()) else {
                    continue;
                };
                let name = format!("{}.{version}.{}", reversed.join("."), kind.kind);
                roots.insert(name.clone(), with_identity(schema, &metadata, dialect));
                name
            }
        };
        let schema = roots.entry(name).or_insert_with(|| json!({}));
        schema["x-kubernetes-group-version-kind"] = json!([{ "group": group, "version": version, "kind": kind.kind }]);
    }
    if dialect == Dialect::Two {
        return roots;
    }
    let mut all = generator.take_definitions(true);
    for (name, schema) in &mut all {
        as_served(name, schema);
    }
    for (name, root) in roots {
        match (all.get_mut(&name).and_then(Value::as_object_mut), root) {
            (Some(schema), Value::Object(root)) => schema.extend(root),
            (_, root) => {
                all.insert(name, root);
            }
        }
    }
    all
}

/// A custom kind's schema with the fields that every object has.
fn with_identity(schema: &Value, metadata: &Value, dialect: Dialect) -> Value {
    let mut schema = schema.clone();
    for (field, description) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        schema["properties"][field] = json!({ "type": "string", "description": description });
    }
    schema["properties"]["metadata"] = match dialect {
        Dialect::Two => json!({ "type": "object" }),
        Dialect::Three => json!({ "allOf": [metadata], "description": METADATA }),
    };
    schema
}

/// What the published types say otherwise than an API server: amounts and numbers-or-names are a choice of types there,
/// and neither metadata nor the name in a reference is called required.
fn as_served(name: &str, schema: &mut Value) {
    let refers = schema["properties"]["name"]["description"]
        .as_str()
        .is_some_and(|description| description.contains("effectively required"));
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    let choice = match name.rsplit('.').next() {
        Some("IntOrString") => Some("integer"),
        Some("Quantity") => Some("number"),
        _ => None,
    };
    if let Some(other) = choice {
        fields.remove("x-kubernetes-int-or-string");
        fields.insert("oneOf".into(), json!([{ "type": "string" }, { "type": other }]));
        return;
    }
    if let Some(required) = fields.get_mut("required").and_then(Value::as_array_mut) {
        let event = name.ends_with(".core.v1.Event");
        required.retain(|field| (event || field != "metadata") && !(refers && field == "name"));
        if required.is_empty() {
            fields.remove("required");
        }
    }
}
