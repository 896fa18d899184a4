//! Whether an object of Kubernetes' own kinds makes sense: names, labels, and the few rules that operators run into.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::status::{ApiError, FieldError};

/// 400 where metadata cannot even be read: clients rely on the types in it.
pub fn metadata_shape(object: &Value) -> Result<(), ApiError> {
    for part in ["spec", "status"] {
        if object.get(part).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return Err(ApiError::bad_request(format!("{part} is no object")));
        }
    }
    let metadata = &object["metadata"];
    let wrong = |field: &str, wanted: &str| Err(ApiError::bad_request(format!("metadata.{field} is no {wanted}")));
    for field in ["name", "generateName", "namespace", "uid", "resourceVersion"] {
        if metadata.get(field).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return wrong(field, "string");
        }
    }
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) if map.values().all(Value::is_string) => {}
            Some(_) => return wrong(field, "map of strings"),
        }
    }
    for field in ["finalizers", "ownerReferences"] {
        match metadata.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                let text = field == "finalizers";
                if !list.iter().all(|one| if text { one.is_string() } else { one.is_object() }) {
                    return wrong(field, if text { "list of strings" } else { "list of objects" });
                }
            }
            Some(_) => return wrong(field, "list"),
        }
    }
    Ok(())
}

/// What is wrong with the name, the labels and the owners.
pub fn metadata(kind: &Kind, old: Option<&Value>, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        let label = matches!(kind.kind.as_str(), "Service" | "Namespace") && !kind.custom;
        for why in bad_name(name, label) {
            errors.push(FieldError::invalid("metadata.name", &json!(name), why));
        }
    }
    for (label, value) in metadata["labels"].as_object().into_iter().flatten() {
        if !is_qualified(label) {
            errors.push(FieldError::invalid("metadata.labels", &json!(label), BAD_LABEL));
        }
        if value.as_str().is_some_and(|value| !is_label_value(value)) {
            errors.push(FieldError::invalid("metadata.labels", value, BAD_LABEL_VALUE));
        }
    }
    for annotation in metadata["annotations"].as_object().into_iter().flatten().map(|(name, _)| name) {
        // As a label's name, but for the case of its letters.
        if !is_qualified(&annotation.to_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", &json!(annotation), BAD_LABEL));
        }
    }
    let size: usize = metadata["annotations"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > 256 * 1024 {
        errors.push(FieldError::too_long("metadata.annotations", 256 * 1024));
    }
    for (index, owner) in metadata["ownerReferences"].as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let field = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::required(field, "must not be empty"));
            }
        }
    }
    one_controller(metadata, &mut errors);
    if let Some(old) = old.filter(|old| old["metadata"].get("deletionTimestamp").is_some()) {
        no_new_finalizers(old, metadata, &mut errors);
    }
    errors
}

fn one_controller(metadata: &Value, errors: &mut Vec<FieldError>) {
    let owners = metadata["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
    let controllers: Vec<&Value> = owners.iter().filter(|owner| owner["controller"] == true).collect();
    if let [first, second, ..] = controllers.as_slice() {
        let named = |owner: &Value| owner["name"].as_str().unwrap_or_default().to_owned();
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
            named(first),
            named(second)
        );
        errors.push(FieldError::invalid("metadata.ownerReferences", &metadata["ownerReferences"], why));
    }
}

fn no_new_finalizers(old: &Value, metadata: &Value, errors: &mut Vec<FieldError>) {
    let before = old["metadata"]["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
    let now = metadata["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
    let new: Vec<String> = now.iter().filter(|one| !before.contains(one)).map(Value::to_string).collect();
    if !new.is_empty() {
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            new.join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", &why));
    }
}

/// What is wrong beyond metadata.
pub fn of_kind(kind: &Kind, old: Option<&Value>, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match kind.kind.as_str() {
        "Deployment" => {
            workload(old, object, &mut errors);
            errors.extend(strategy(&object["spec"]["strategy"]));
        }
        "ReplicaSet" => workload(old, object, &mut errors),
        "Pod" => {
            pod_spec(&object["spec"], "spec", &mut errors);
            if let Some(old) = old {
                same_pod(&old["spec"], &object["spec"], &mut errors);
            }
        }
        "Service" => service(object, &mut errors),
        "Event" => {
            let about = object["involvedObject"]["namespace"].as_str().unwrap_or_default();
            let here = object["metadata"]["namespace"].as_str().unwrap_or_default();
            if !about.is_empty() && about != here {
                errors.push(FieldError::invalid(
                    "involvedObject.namespace",
                    &json!(about),
                    "does not match event.namespace",
                ));
            }
        }
        "CustomResourceDefinition" => {
            if let Err(why) = super::definitions::kind_of(object) {
                errors.push(FieldError::required("spec", &why));
            }
            let names = &object["spec"]["names"]["plural"];
            let group = &object["spec"]["group"];
            let wanted = format!("{}.{}", names.as_str().unwrap_or_default(), group.as_str().unwrap_or_default());
            if object["metadata"]["name"] != wanted {
                errors.push(FieldError::invalid(
                    "metadata.name",
                    &object["metadata"]["name"],
                    "must be spec.names.plural+\".\"+spec.group",
                ));
            }
        }
        _ => {}
    }
    errors
}

fn workload(old: Option<&Value>, object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let replicas = &spec["replicas"];
    if replicas.as_i64().is_none_or(|count| count < 0) {
        errors.push(FieldError::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let selector = &spec["selector"];
    let wanted = selector["matchLabels"].as_object();
    if selector.is_null() {
        errors.push(FieldError::required("spec.selector", ""));
    } else if wanted.is_none_or(serde_json::Map::is_empty) && selector.get("matchExpressions").is_none() {
        errors.push(FieldError::invalid("spec.selector", selector, "empty selector is invalid for deployment"));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if selector.is_null() || wanted.into_iter().flatten().any(|(label, value)| labels.get(label) != Some(value)) {
        errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    if let Some(old) = old
        && old["spec"]["selector"] != *selector
    {
        errors.push(FieldError::invalid("spec.selector", selector, "field is immutable"));
    }
    pod_spec(&spec["template"]["spec"], "spec.template.spec", errors);
}

fn strategy(strategy: &Value) -> Option<FieldError> {
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str() {
        Some("RollingUpdate") => None,
        Some("Recreate") => (!rolling.is_null()).then(|| FieldError {
            field: "spec.strategy.rollingUpdate".into(),
            reason: "FieldValueForbidden",
            message: "Forbidden: may not be specified when strategy `type` is 'Recreate'".into(),
        }),
        _ => {
            // Shown as the server has it inside, in its order.
            let limit = |name: &str| if rolling[name].is_null() { json!(0) } else { rolling[name].clone() };
            let inside = match rolling {
                Value::Null => "null".to_owned(),
                _ => format!(r#"{{"MaxUnavailable":{},"MaxSurge":{}}}"#, limit("maxUnavailable"), limit("maxSurge")),
            };
            let shown = format!(r#"{{"Type":{},"RollingUpdate":{inside}}}"#, strategy["type"]);
            Some(FieldError {
                field: "spec.strategy".into(),
                reason: "FieldValueNotSupported",
                message: format!("Unsupported value: {shown}: supported values: \"Recreate\", \"RollingUpdate\""),
            })
        }
    }
}

fn pod_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let containers = spec["containers"].as_array();
    if containers.is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let mut seen = Vec::new();
    for (index, container) in containers.into_iter().flatten().enumerate() {
        let path = format!("{path}.containers[{index}]");
        let name = container["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if seen.contains(&name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &json!(name).to_string()));
        } else {
            for why in bad_name(name, true) {
                errors.push(FieldError::invalid(format!("{path}.name"), &json!(name), why));
            }
        }
        seen.push(name);
        let image = container["image"].as_str().unwrap_or_default();
        if image.is_empty() {
            errors.push(FieldError::required(format!("{path}.image"), ""));
        } else if image.trim() != image {
            errors.push(FieldError::invalid(
                format!("{path}.image"),
                &json!(image),
                "must not have leading or trailing whitespace",
            ));
        }
    }
}

/// A pod keeps what it was made for; little of it can be changed.
fn same_pod(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        if let Some(spec) = spec.as_object_mut() {
            for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "initContainers"] {
                if spec.get(field).is_some_and(|value| field != "initContainers" || value.is_null()) {
                    spec.remove(field);
                }
            }
            // Given by the server, whenever it comes to it.
            for field in ["nodeName", "serviceAccount", "serviceAccountName", "priority", "preemptionPolicy"] {
                spec.remove(field);
            }
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", why));
    }
}

fn service(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let ports = spec["ports"].as_array();
    if spec["type"] != "ExternalName" && spec["clusterIP"] != "None" && ports.is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("spec.ports", ""));
    }
    let several = ports.is_some_and(|ports| ports.len() > 1);
    for (index, port) in ports.into_iter().flatten().enumerate() {
        if several && port["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("spec.ports[{index}].name"), ""));
        }
        let target = &port["targetPort"];
        for (field, number, named) in [("port", &port["port"], false), ("targetPort", target, target.is_string())] {
            if !named && number.as_i64().is_none_or(|number| !(1..=65535).contains(&number)) {
                let why = "must be between 1 and 65535, inclusive";
                errors.push(FieldError::invalid(format!("spec.ports[{index}].{field}"), number, why));
            }
        }
    }
}

/// What Kubernetes says of a label's name that is none.
pub const BAD_LABEL: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
/// What Kubernetes says of a label's value that is none.
pub const BAD_LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Why a name is not allowed. `label` is the stricter rule: one part, at most 63 characters.
fn bad_name(name: &str, label: bool) -> Vec<&'static str> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let mut why = Vec::new();
    if label {
        if name.contains('.') {
            why.push("must not contain dots");
        } else if !part(name) {
            why.push(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            );
        }
        if name.len() > 63 {
            why.push("must be no more than 63 characters");
        }
    } else {
        if name.len() > 253 {
            why.push("must be no more than 253 characters");
        }
        if !name.split('.').all(part) {
            why.push(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            );
        }
    }
    why
}

/// Whether a text can be a label's name.
pub fn is_qualified(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(|prefix| bad_name(prefix, false).is_empty()) && !name.is_empty() && is_label_value(name)
}

/// Whether a text can be a label's value.
pub fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return true;
    };
    bytes.len() <= 63
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}
