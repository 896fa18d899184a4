//! Tables: what `kubectl get` prints. Built-in kinds have printers here, custom kinds the columns of their definition.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::kinds::{Column, Kind};
use super::super::shape::{Include, Shape};
use super::render::{self, Labelled};

/// A table of objects. `headed` says whether the columns are described: in a watch only the first table does.
pub fn table<'a>(
    kind: &Kind,
    shape: &Shape,
    include: Include,
    objects: impl Iterator<Item = &'a Value>,
    metadata: Value,
    headed: bool,
    now: DateTime<Utc>,
) -> Value {
    let custom = kind.version(&shape.version).map(|version| version.columns.as_slice()).unwrap_or_default();
    let api_version = kind.api_version(&shape.version);
    let rows: Vec<Value> = objects
        .map(|object| {
            let cells = if kind.custom { custom_cells(custom, object, now) } else { cells(kind, object, now) };
            let mut row = json!({ "cells": cells });
            match include {
                Include::Nothing => row["object"] = Value::Null,
                Include::Metadata => row["object"] = render::partial(object),
                Include::Object => {
                    let labelled = Labelled { object, api_version: Some(&api_version) };
                    row["object"] = serde_json::to_value(labelled).unwrap_or_default();
                }
            }
            row
        })
        .collect();
    let columns = match (headed, kind.custom) {
        (false, _) => Value::Null,
        (true, true) => custom_columns(custom),
        (true, false) => columns(kind),
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

const NAME: &str = "Name";

/// Heading and priority of each column of a built-in kind, after the name.
fn headings(kind: &str) -> &'static [(&'static str, u8)] {
    match kind {
        "Deployment" => &[
            ("Ready", 0),
            ("Up-to-date", 0),
            ("Available", 0),
            ("Age", 0),
            ("Containers", 1),
            ("Images", 1),
            ("Selector", 1),
        ],
        "ReplicaSet" => &[
            ("Desired", 0),
            ("Current", 0),
            ("Ready", 0),
            ("Age", 0),
            ("Containers", 1),
            ("Images", 1),
            ("Selector", 1),
        ],
        "Pod" => &[
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            ("Age", 0),
            ("IP", 1),
            ("Node", 1),
            ("Nominated Node", 1),
            ("Readiness Gates", 1),
        ],
        "Service" => &[("Type", 0), ("Cluster-IP", 0), ("External-IP", 0), ("Port(s)", 0), ("Age", 0), ("Selector", 1)],
        "Namespace" => &[("Status", 0), ("Age", 0)],
        "Node" => &[("Status", 0), ("Roles", 0), ("Age", 0), ("Version", 0)],
        "ConfigMap" => &[("Data", 0), ("Age", 0)],
        "Secret" => &[("Type", 0), ("Data", 0), ("Age", 0)],
        "Lease" => &[("Holder", 0), ("Age", 0)],
        "CustomResourceDefinition" => &[
            ("Scope", 0),
            ("Versions", 0),
            ("Created At", 0),
            ("Group", 1),
            ("Kind", 1),
            ("ShortNames", 1),
            ("Established", 1),
        ],
        "HorizontalPodAutoscaler" => &[("Reference", 0), ("MinPods", 0), ("MaxPods", 0), ("Replicas", 0), ("Age", 0)],
        _ => &[("Age", 0)],
    }
}

/// Events are told by when and what, not by their name.
const EVENT: &[(&str, u8)] = &[
    ("Last Seen", 0),
    ("Type", 0),
    ("Reason", 0),
    ("Object", 0),
    ("Subobject", 1),
    ("Source", 1),
    ("Message", 0),
    ("First Seen", 1),
    ("Count", 1),
    ("Name", 1),
];

fn columns(kind: &Kind) -> Value {
    let heading = |(name, priority): (&str, u8)| {
        let format = if name == NAME { "name" } else { "" };
        let kind = match (kind.kind.as_str(), name) {
            ("ReplicaSet", "Desired" | "Current" | "Ready") => "integer",
            (_, "Created At") => "date",
            (_, "Established") => "boolean",
            _ => "string",
        };
        json!({ "name": name, "type": kind, "format": format, "description": "", "priority": priority })
    };
    if kind.kind == "Event" {
        return EVENT.iter().copied().map(heading).collect();
    }
    std::iter::once((NAME, 0)).chain(headings(&kind.kind).iter().copied()).map(heading).collect()
}

fn cells(kind: &Kind, object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let spec = &object["spec"];
    let status = &object["status"];
    let name = json!(text(&object["metadata"]["name"]));
    let age = json!(since(&object["metadata"]["creationTimestamp"], now));
    let count = |value: &Value| json!(value.as_i64().unwrap_or(0));
    let size = |value: &Value| json!(value.as_object().map_or(0, serde_json::Map::len));
    match kind.kind.as_str() {
        "Deployment" => {
            let ready =
                format!("{}/{}", status["readyReplicas"].as_i64().unwrap_or(0), spec["replicas"].as_i64().unwrap_or(0));
            let (names, images) = containers(spec);
            vec![
                name,
                json!(ready),
                count(&status["updatedReplicas"]),
                count(&status["availableReplicas"]),
                age,
                names,
                images,
                selector(&spec["selector"]["matchLabels"]),
            ]
        }
        "ReplicaSet" => {
            let (names, images) = containers(spec);
            vec![
                name,
                count(&spec["replicas"]),
                count(&status["replicas"]),
                count(&status["readyReplicas"]),
                age,
                names,
                images,
                selector(&spec["selector"]["matchLabels"]),
            ]
        }
        "Pod" => pod(object, name, age),
        "Service" => service(object, name, age),
        "Namespace" => vec![name, status["phase"].clone(), age],
        "Node" => {
            let ready = has_condition(status, "Ready");
            let version = status["nodeInfo"]["kubeletVersion"].clone();
            vec![name, json!(if ready { "Ready" } else { "NotReady" }), json!("<none>"), age, version]
        }
        "ConfigMap" => vec![name, size(&object["data"]), age],
        "Secret" => vec![name, object["type"].clone(), size(&object["data"]), age],
        "Lease" => vec![name, json!(spec["holderIdentity"].as_str().unwrap_or_default()), age],
        "CustomResourceDefinition" => definition(object, name),
        "HorizontalPodAutoscaler" => {
            let target = &spec["scaleTargetRef"];
            let reference = format!("{}/{}", text(&target["kind"]), text(&target["name"]));
            vec![
                name,
                json!(reference),
                spec["minReplicas"].clone(),
                spec["maxReplicas"].clone(),
                count(&status["currentReplicas"]),
                age,
            ]
        }
        "Event" => event(object, now),
        _ => vec![name, age],
    }
}

fn definition(object: &Value, name: Value) -> Vec<Value> {
    let (spec, names) = (&object["spec"], &object["spec"]["names"]);
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut versions: Vec<String> = versions
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| {
            format!("{}{}", text(&version["name"]), if version["storage"] == true { "(storage)" } else { "" })
        })
        .collect();
    versions.sort();
    let short: Vec<&str> = names["shortNames"].as_array().into_iter().flatten().map(text).collect();
    vec![
        name,
        spec["scope"].clone(),
        json!(versions.join(",")),
        object["metadata"]["creationTimestamp"].clone(),
        spec["group"].clone(),
        names["kind"].clone(),
        json!(short.join(",")),
        json!(has_condition(&object["status"], "Established")),
    ]
}

fn pod(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let wanted = spec["containers"].as_array().map_or(0, Vec::len);
    let statuses = status["containerStatuses"].as_array().map_or(&[][..], Vec::as_slice);
    let ready = statuses.iter().filter(|one| one["ready"] == true).count();
    let restarts: i64 = statuses.iter().filter_map(|one| one["restartCount"].as_i64()).sum();
    let mut state = text(&status["reason"]);
    if state.is_empty() {
        state = text(&status["phase"]);
    }
    for one in statuses {
        for part in ["waiting", "terminated"] {
            let reason = text(&one["state"][part]["reason"]);
            if !reason.is_empty() {
                state = reason;
            }
        }
    }
    if object["metadata"].get("deletionTimestamp").is_some() {
        state = "Terminating";
    }
    vec![
        name,
        json!(format!("{ready}/{wanted}")),
        json!(state),
        json!(restarts.to_string()),
        age,
        or_none(&status["podIP"]),
        or_none(&spec["nodeName"]),
        or_none(&status["nominatedNodeName"]),
        json!("<none>"),
    ]
}

fn service(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = &object["spec"];
    let balanced: Vec<&str> = object["status"]["loadBalancer"]["ingress"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["ip"].as_str().unwrap_or(text(&one["hostname"])))
        .collect();
    let external = match text(&spec["type"]) {
        "LoadBalancer" if balanced.is_empty() => "<pending>".to_owned(),
        "LoadBalancer" => balanced.join(","),
        "ExternalName" => text(&spec["externalName"]).to_owned(),
        _ => "<none>".to_owned(),
    };
    let ports: Vec<String> = spec["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match port["nodePort"].as_i64() {
                Some(node) if node > 0 => format!("{}:{node}/{protocol}", port["port"]),
                _ => format!("{}/{protocol}", port["port"]),
            }
        })
        .collect();
    let ports = if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") };
    vec![
        name,
        spec["type"].clone(),
        or_none(&spec["clusterIP"]),
        json!(external),
        json!(ports),
        age,
        selector(&spec["selector"]),
    ]
}

fn event(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let about = &object["involvedObject"];
    let first = [&object["firstTimestamp"], &object["eventTime"], &object["metadata"]["creationTimestamp"]]
        .into_iter()
        .find(|time| time.is_string())
        .unwrap_or(&Value::Null);
    let last = if object["lastTimestamp"].is_string() { &object["lastTimestamp"] } else { first };
    let component = text(&object["source"]["component"]);
    let component = if component.is_empty() { text(&object["reportingComponent"]) } else { component };
    let subject = format!("{}/{}", text(&about["kind"]).to_ascii_lowercase(), text(&about["name"]));
    vec![
        json!(since(last, now)),
        object["type"].clone(),
        object["reason"].clone(),
        json!(subject),
        json!(text(&about["fieldPath"])),
        json!(component),
        json!(text(&object["message"]).trim()),
        json!(since(first, now)),
        json!(object["count"].as_i64().unwrap_or(1)),
        object["metadata"]["name"].clone(),
    ]
}

fn containers(spec: &Value) -> (Value, Value) {
    let all = spec["template"]["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let joined = |field: &str| {
        let texts: Vec<&str> = all.iter().map(|one| text(&one[field])).collect();
        json!(texts.join(","))
    };
    (joined("name"), joined("image"))
}

fn selector(labels: &Value) -> Value {
    let pairs: Vec<String> =
        labels.as_object().into_iter().flatten().map(|(label, value)| format!("{label}={}", text(value))).collect();
    if pairs.is_empty() { json!("<none>") } else { json!(pairs.join(",")) }
}

fn has_condition(status: &Value, kind: &str) -> bool {
    status["conditions"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["type"] == kind && one["status"] == "True"))
}

fn or_none(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if !text.is_empty() => json!(text),
        _ => json!("<none>"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn custom_columns(columns: &[Column]) -> Value {
    let described = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({ "name": name, "type": kind, "format": format, "description": description, "priority": priority });
    let mut all = vec![described(NAME, "string", "name", "", 0)];
    if columns.is_empty() {
        all.push(described("Age", "date", "", "", 0));
    }
    all.extend(columns.iter().map(|column| {
        let said = match column.description.as_str() {
            "" => format!("Custom resource definition column (in JSONPath format): {}", column.path),
            said => said.to_owned(),
        };
        described(&column.name, &column.kind, &column.format, &said, column.priority)
    }));
    Value::Array(all)
}

fn custom_cells(columns: &[Column], object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let mut cells = vec![object["metadata"]["name"].clone()];
    if columns.is_empty() {
        cells.push(json!(since(&object["metadata"]["creationTimestamp"], now)));
    }
    cells.extend(columns.iter().map(|column| match at_path(object, &column.path) {
        None | Some(Value::Null) => Value::Null,
        Some(value) => cell(column, value, now),
    }));
    cells
}

fn cell(column: &Column, value: &Value, now: DateTime<Utc>) -> Value {
    match (column.kind.as_str(), value) {
        ("date", _) => json!(since(value, now)),
        ("string", Value::String(_)) | ("integer" | "number", Value::Number(_)) | ("boolean", Value::Bool(_)) => {
            value.clone()
        }
        ("string", other) => json!(other.to_string()),
        // A value that is not of the column's type is not shown.
        _ => Value::Null,
    }
}

/// The first value at a simple JSON path: `.a.b`, `.a[0].b`, `.a[*].b`, `.a[?(@.type=="Ready")].b`.
fn at_path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = object;
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let end = tail.find(']')?;
            let (inside, tail) = (&tail[..end], &tail[end + 1..]);
            found = if let Some(filter) = inside.strip_prefix("?(@.").and_then(|f| f.strip_suffix(')')) {
                let (field, wanted) = filter.split_once("==")?;
                let wanted = wanted.trim().trim_matches(['"', '\'']);
                found.as_array()?.iter().find(|one| one[field.trim()] == wanted)?
            } else if inside == "*" {
                found.as_array()?.first()?
            } else if let Ok(index) = inside.parse::<usize>() {
                found.get(index)?
            } else {
                found.get(inside.trim_matches(['"', '\'']))?
            };
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.').unwrap_or(rest);
            if tail.is_empty() {
                break;
            }
            // A dot after a backslash belongs to the name, as in labels and annotations.
            let mut name = String::new();
            let mut letters = tail.char_indices();
            let mut end = tail.len();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
                    '.' | '[' => {
                        end = at;
                        break;
                    }
                    other => name.push(other),
                }
            }
            if end == 0 {
                return None;
            }
            found = found.get(&name)?;
            rest = &tail[end..];
        }
    }
    Some(found)
}

/// How long ago a time was, coarsely: `45s`, `3m20s`, `5h`, `12d`.
fn since(time: &Value, now: DateTime<Utc>) -> String {
    let Some(time) = time.as_str() else {
        return "<unknown>".into();
    };
    let Ok(time) = DateTime::parse_from_rfc3339(time) else {
        return "<invalid>".into();
    };
    let seconds = now.signed_duration_since(time).num_seconds();
    let two = |first: i64, unit: char, second: i64, smaller: char| {
        if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{smaller}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn ages_are_coarse() {
        let then = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().unwrap();
        let text = json!(then.to_rfc3339());
        for (seconds, shown) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (3600, "60m"),
            (10_800, "3h"),
            (12_000, "3h20m"),
            (100_000, "27h"),
            (180_000, "2d2h"),
            (1_000_000, "11d"),
        ] {
            assert_eq!(since(&text, then + chrono::TimeDelta::seconds(seconds)), shown, "{seconds}");
        }
    }

    #[test]
    fn columns_find_their_values() {
        let object = json!({
            "spec": { "hosts": ["a", "b"], "n": { "x.y": 1 } },
            "status": { "conditions": [{ "type": "A", "status": "False" }, { "type": "Ready", "status": "True" }] },
        });
        let at = |path: &str| at_path(&object, path).cloned();
        assert_eq!(at(".spec.hosts[1]"), Some(json!("b")));
        assert_eq!(at(".spec.hosts[*]"), Some(json!("a")));
        assert_eq!(at(".status.conditions[?(@.type==\"Ready\")].status"), Some(json!("True")));
        assert_eq!(at(".spec.n.x\\.y"), Some(json!(1)));
        assert_eq!(at(".spec.missing.deep"), None);
        assert_eq!(at("..spec"), None);
        assert_eq!(at(".spec.hosts["), None);
    }
}
