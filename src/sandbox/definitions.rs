//! CustomResourceDefinitions: the ones that the sandbox brings, and how one becomes a served kind.

use serde_json::{Value, json};
use std::sync::Arc;

use super::kinds::{Column, Kind, Version};

/// The definitions that a sandbox serves from the start: Istio's routes, which take any spec, and
/// Flagger's kinds as we define them for a cluster without Flagger.
pub fn all() -> Vec<Value> {
    let istio = &["v1", "v1beta1", "v1alpha3"];
    let mut all = vec![
        open(
            "networking.istio.io",
            istio,
            "VirtualService",
            "virtualservices",
            &["vs"],
            &["istio-io", "networking-istio-io"],
            &[
                ("Gateways", "string", ".spec.gateways"),
                ("Hosts", "string", ".spec.hosts"),
                ("Age", "date", ".metadata.creationTimestamp"),
            ],
        ),
        open(
            "networking.istio.io",
            istio,
            "DestinationRule",
            "destinationrules",
            &["dr"],
            &["istio-io", "networking-istio-io"],
            &[("Host", "string", ".spec.host"), ("Age", "date", ".metadata.creationTimestamp")],
        ),
        open("networking.istio.io", istio, "Gateway", "gateways", &["gw"], &["istio-io", "networking-istio-io"], &[]),
    ];
    all.extend(crate::api::crds::all());
    all
}

/// A definition that takes any spec and status.
fn open(
    group: &str,
    versions: &[&str],
    kind: &str,
    plural: &str,
    short_names: &[&str],
    categories: &[&str],
    columns: &[(&str, &str, &str)],
) -> Value {
    let columns: Vec<Value> =
        columns.iter().map(|(name, kind, path)| json!({ "name": name, "type": kind, "jsonPath": path })).collect();
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
            json!({
                "name": version,
                "served": true,
                "storage": index == 0,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": anything, "status": anything },
                } },
            })
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_ascii_lowercase(),
                "shortNames": short_names,
                "categories": categories,
            },
            "versions": versions,
        },
    })
}

/// The kind that a definition defines. The error says which field is missing.
pub fn kind_of(definition: &Value) -> Result<Kind, String> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let required = |value: &Value, path: &str| {
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| format!("{path} is missing"))
    };
    let strings = |value: &Value| -> Vec<String> {
        let all = value.as_array().map_or(&[][..], Vec::as_slice);
        all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let kind = required(&names["kind"], "spec.names.kind")?;
    let mut versions = Vec::new();
    let mut storage = None;
    let mut has_status = false;
    let mut has_scale = false;
    let all = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    for version in all {
        let name = required(&version["name"], "spec.versions[].name")?;
        if version["storage"] == true {
            storage = Some(name.clone());
        }
        has_status |= version["subresources"].get("status").is_some();
        has_scale |= version["subresources"].get("scale").is_some();
        if version["served"] != true {
            continue;
        }
        let columns = version["additionalPrinterColumns"].as_array().map_or(&[][..], Vec::as_slice);
        versions.push(Version {
            name,
            schema: version["schema"].get("openAPIV3Schema").map(|schema| Arc::new(schema.clone())),
            columns: columns.iter().map(column).collect(),
        });
    }
    versions.sort_by_key(|version| std::cmp::Reverse(priority(&version.name)));
    Ok(Kind {
        group: required(&spec["group"], "spec.group")?,
        storage: storage.ok_or("spec.versions has no storage version")?,
        versions,
        list_kind: names["listKind"].as_str().map_or_else(|| format!("{kind}List"), str::to_owned),
        plural: required(&names["plural"], "spec.names.plural")?,
        singular: names["singular"].as_str().map_or_else(|| kind.to_ascii_lowercase(), str::to_owned),
        kind,
        short_names: strings(&names["shortNames"]),
        categories: strings(&names["categories"]),
        namespaced: spec["scope"] != "Cluster",
        has_status,
        has_scale,
        has_generation: true,
        custom: true,
    })
}

fn column(column: &Value) -> Column {
    let text = |field: &str| column[field].as_str().unwrap_or_default().to_owned();
    Column {
        name: text("name"),
        kind: text("type"),
        format: text("format"),
        description: text("description"),
        priority: column["priority"].as_i64().unwrap_or(0),
        path: text("jsonPath"),
    }
}

/// Kubernetes' order of versions: stable before beta before alpha, higher before lower.
pub(super) fn priority(version: &str) -> (u8, u32, u32) {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    if let Some(major) = number(rest) {
        return (3, major, 0);
    }
    for (rank, word) in [(2, "beta"), (1, "alpha")] {
        if let Some((major, minor)) = rest.split_once(word)
            && let (Some(major), Some(minor)) = (number(major), number(minor))
        {
            return (rank, major, minor);
        }
    }
    (0, 0, 0)
}
