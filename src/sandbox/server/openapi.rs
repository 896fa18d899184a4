//! As much OpenAPI as kubectl needs: that patches take `fieldValidation`, and the schemas of custom kinds.

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::super::kinds::{Kind, Kinds};
use super::super::status::ApiError;
use super::{Api, Call, bytes_response, discovery, json_response};

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A document without paths and definitions, in the protobuf that kubectl asks for when it does not find a kind in the
/// newer documents (a List, for one). It validates nothing then, and leaves that to the server.
const EMPTY_DOCUMENT: &[u8] = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.33.0\x42\x00\x4a\x00";

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
            definitions.append(&mut schemas(&kinds, group, version));
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
        "components": { "schemas": schemas(&kinds, group, version) },
    });
    Ok(json_response(StatusCode::OK, &document))
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    Two,
    Three,
}

fn info() -> Value {
    json!({ "title": "Kubernetes", "version": "v1.33.0" })
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

/// The schemas of custom kinds. Kubernetes' own are left out: kubectl has their types compiled in.
fn schemas(kinds: &Kinds, group: &str, version: &str) -> Map<String, Value> {
    let reversed: Vec<&str> = group.split('.').rev().collect();
    served(kinds, group, version)
        .filter_map(|kind| {
            let schema = kind.version(version)?.schema.as_deref()?;
            let mut schema = schema.clone();
            schema["x-kubernetes-group-version-kind"] =
                json!([{ "group": group, "version": version, "kind": kind.kind }]);
            for field in ["apiVersion", "kind"] {
                schema["properties"][field] = json!({ "type": "string" });
            }
            schema["properties"]["metadata"] = json!({ "type": "object" });
            Some((format!("{}.{version}.{}", reversed.join("."), kind.kind), schema))
        })
        .collect()
}
