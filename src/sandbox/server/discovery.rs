//! Discovery: which groups, versions and resources there are, in the old form and in the one-document form.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::base64;
use super::super::kinds::{Kind, Kinds};
use super::super::status::ApiError;
use super::path::Discovery;
use super::{Api, Call, accept, bytes_response, json_response, review};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub fn answer(api: &Arc<Api>, call: &Call, about: &Discovery) -> Result<Response, ApiError> {
    let kinds = api.store.kinds();
    let groups = groups(&kinds);
    let aggregated = accept::takes_aggregated_discovery(&call.headers);
    let document = match about {
        Discovery::Core | Discovery::Groups if aggregated => {
            let core = *about == Discovery::Core;
            let items: Vec<Value> = groups
                .iter()
                .filter(|(group, _)| group.is_empty() == core)
                .map(|(group, versions)| aggregated_group(&kinds, group, versions))
                .collect();
            let list = json!({
                "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
            });
            let bytes = serde_json::to_vec(&list).map_err(ApiError::internal)?;
            return Ok(bytes_response(StatusCode::OK, AGGREGATED, bytes.into()));
        }
        Discovery::Core => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        Discovery::Groups => {
            let groups: Vec<Value> = groups
                .iter()
                .filter(|(group, _)| !group.is_empty())
                .map(|(group, versions)| group_document(group, versions))
                .collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        Discovery::Group(group) => {
            let versions = groups.get(group).ok_or_else(ApiError::no_such_page)?;
            let mut document = group_document(group, versions);
            document["kind"] = json!("APIGroup");
            document["apiVersion"] = json!("v1");
            document
        }
        Discovery::Version { group, version } => {
            if !groups.get(group).is_some_and(|versions| versions.contains(version)) {
                let own = kinds.iter().any(|kind| !kind.custom && kind.group == *group);
                return Err(if own { ApiError::no_such_path() } else { ApiError::no_such_page() });
            }
            let resources: Vec<Value> = resources(&kinds, group, version)
                .into_iter()
                .map(|resource| {
                    let mut document = json!({
                        "name": resource.path(),
                        "singularName": resource.singular,
                        "namespaced": resource.namespaced,
                        "kind": resource.kind,
                        "verbs": resource.verbs,
                    });
                    if let Some((group, version)) = resource.of {
                        document["group"] = json!(group);
                        document["version"] = json!(version);
                    }
                    if !resource.short_names.is_empty() {
                        document["shortNames"] = json!(resource.short_names);
                    }
                    if !resource.categories.is_empty() {
                        document["categories"] = json!(resource.categories);
                    }
                    if let Some(storage) = &resource.storage {
                        document["storageVersionHash"] = json!(storage);
                    }
                    document
                })
                .collect();
            let mut list = json!({
                "kind": "APIResourceList",
                "groupVersion": group_version(group, version),
                "resources": resources,
            });
            // The oldest of the lists does not say its own version.
            if !group.is_empty() {
                list["apiVersion"] = json!("v1");
            }
            list
        }
    };
    Ok(json_response(StatusCode::OK, &document))
}

/// `/version`: the Kubernetes whose API this is like.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": "37",
        "emulationMajor": "1",
        "emulationMinor": "37",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "36",
        "gitVersion": super::KUBERNETES,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// One line of discovery: a resource, or a part of one.
struct Resource<'a> {
    plural: &'a str,
    part: &'static str,
    singular: &'a str,
    kind: &'a str,
    namespaced: bool,
    verbs: &'static [&'static str],
    short_names: &'a [String],
    categories: &'a [String],
    /// Which version objects are kept in, as a hash; none for what is not kept.
    storage: Option<String>,
    /// The group and version of the kind, where they are not those of the list.
    of: Option<(&'static str, &'static str)>,
}

impl Resource<'_> {
    fn path(&self) -> String {
        if self.part.is_empty() { self.plural.to_owned() } else { format!("{}/{}", self.plural, self.part) }
    }
}

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CUSTOM_VERBS: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
/// Namespaces go one by one.
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const PART_VERBS: &[&str] = &["get", "patch", "update"];
const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];

fn resources<'a>(kinds: &'a Kinds, group: &str, version: &str) -> Vec<Resource<'a>> {
    let mut all = Vec::new();
    for kind in kinds.iter().filter(|kind| kind.group == group && kind.version(version).is_some()) {
        let resource = |part: &'static str, verbs| Resource {
            plural: &kind.plural,
            part,
            singular: if part.is_empty() { &kind.singular } else { "" },
            kind: &kind.kind,
            namespaced: kind.namespaced,
            verbs,
            short_names: if part.is_empty() { &kind.short_names } else { &[] },
            categories: if part.is_empty() { &kind.categories } else { &[] },
            storage: part.is_empty().then(|| storage_hash(kind)),
            of: None,
        };
        let verbs = match kind.kind.as_str() {
            _ if kind.custom => CUSTOM_VERBS,
            "Namespace" => NAMESPACE_VERBS,
            _ => VERBS,
        };
        all.push(resource("", verbs));
        if kind.has_status {
            all.push(resource("status", PART_VERBS));
        }
        if kind.has_scale {
            let scale = resource("scale", PART_VERBS);
            all.push(Resource { kind: "Scale", of: Some(("autoscaling", "v1")), ..scale });
        }
        if is_service(kind) {
            let proxy = resource("proxy", PROXY_VERBS);
            all.push(Resource { kind: "ServiceProxyOptions", ..proxy });
        }
    }
    for review in review::REVIEWS.iter().filter(|one| (one.group, one.version) == (group, version)) {
        all.push(Resource {
            plural: review.plural,
            part: "",
            singular: review.singular,
            kind: review.kind,
            namespaced: false,
            verbs: &["create"],
            short_names: &[],
            categories: &[],
            storage: None,
            of: None,
        });
    }
    all
}

/// Kubernetes' hash of the version that objects are kept in.
fn storage_hash(kind: &Kind) -> String {
    let named = format!("{}/{}/{}", kind.group, kind.storage, kind.kind);
    base64::encode(&Sha256::digest(named)[..8])
}

fn is_service(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Service"
}

/// Served versions by group, the preferred first.
pub fn groups(kinds: &Kinds) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let served =
        kinds.iter().flat_map(|kind| kind.versions.iter().map(|version| (kind.group.as_str(), &*version.name)));
    for (group, version) in served.chain(review::REVIEWS.iter().map(|one| (one.group, one.version))) {
        let versions = groups.entry(group.to_owned()).or_default();
        if !versions.iter().any(|one| one == version) {
            versions.push(version.to_owned());
        }
    }
    for versions in groups.values_mut() {
        versions.sort_by_key(|version| std::cmp::Reverse(super::super::definitions::priority(version)));
    }
    groups
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn group_document(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": group_version(group, version), "version": version }))
        .collect();
    json!({ "name": group, "preferredVersion": versions.first(), "versions": versions })
}

fn aggregated_group(kinds: &Kinds, group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let mut documents: Vec<Value> = Vec::new();
            for resource in resources(kinds, group, version) {
                // Those of the list itself are not said again; custom kinds say them.
                let custom = kinds.iter().any(|kind| kind.custom && kind.group == group);
                let (of_group, of_version) = resource.of.unwrap_or(if custom { (group, version) } else { ("", "") });
                let response = json!({ "group": of_group, "version": of_version, "kind": resource.kind });
                if resource.part.is_empty() {
                    let mut document = json!({
                        "resource": resource.plural,
                        "responseKind": response,
                        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
                        "singularResource": resource.singular,
                        "verbs": resource.verbs,
                    });
                    for (name, words) in [("shortNames", resource.short_names), ("categories", resource.categories)] {
                        if !words.is_empty() {
                            document[name] = json!(words);
                        }
                    }
                    documents.push(document);
                } else if let Some(last) = documents.last_mut() {
                    let part = json!({
                        "subresource": resource.part,
                        "responseKind": response,
                        "verbs": resource.verbs,
                    });
                    match last["subresources"].as_array_mut() {
                        Some(parts) => parts.push(part),
                        None => last["subresources"] = json!([part]),
                    }
                }
            }
            json!({ "version": version, "freshness": "Current", "resources": documents })
        })
        .collect();
    json!({ "metadata": { "name": group, "creationTimestamp": null }, "versions": versions })
}
