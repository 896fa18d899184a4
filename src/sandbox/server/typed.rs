//! Whether a body is of its kind at all: unknown fields (`fieldValidation`), and fields of the wrong type.
//! Custom kinds are held to their schema, Kubernetes' own kinds to the types that clients have of them.

use serde_json::Value;

use super::super::kinds::Kind;
use super::super::status::ApiError;
use super::super::structure::Place;
use super::super::{defaults, fields, schema};
use super::types;

/// Checks a body, in which `duplicates` were found, and takes unknown fields out of it. What is returned are the
/// warnings for the client. Error: which field is of the wrong type, or unknown where the client is strict.
pub fn check(
    kind: &Kind,
    version: &str,
    object: &mut Value,
    validation: Option<&str>,
    duplicates: &[String],
) -> Result<Vec<String>, String> {
    let strict = match validation {
        Some("Strict") => Some(true),
        Some("Ignore") => None,
        _ => Some(false),
    };
    let unknown = unknown(kind, version, object)?;
    let duplicates = duplicates.iter().map(|path| format!("duplicate field {path:?}"));
    let named: Vec<String> = duplicates.chain(unknown.iter().map(|path| format!("unknown field {path:?}"))).collect();
    match strict {
        Some(true) if !named.is_empty() => Err(format!("strict decoding error: {}", named.join(", "))),
        Some(false) => Ok(named),
        _ => Ok(Vec::new()),
    }
}

/// What in an applied configuration does not go with the kind's structure.
pub fn mistakes(kind: &Kind, version: &str, config: &Value) -> Vec<String> {
    let mut known = config.clone();
    let unknown = match unknown(kind, version, &mut known) {
        Ok(unknown) => unknown,
        Err(why) => return vec![unfit(kind, version, &why).message],
    };
    let mut mistakes: Vec<String> = unknown
        .iter()
        .map(|path| format!("{}: field not declared in schema", keyed(kind, version, config, path)))
        .collect();
    if let Some(schema) = kind.version(version).and_then(|version| version.schema.as_deref()) {
        let wrong =
            schema::validate(schema, &known).into_iter().filter(|error| error.reason == "FieldValueTypeInvalid");
        mistakes.extend(wrong.map(|error| format!(".{}: {}", error.field, error.message)));
    }
    mistakes
}

/// A path in which elements are named by their keys instead of their place, as far as they have keys.
fn keyed(kind: &Kind, version: &str, config: &Value, path: &str) -> String {
    let (mut place, mut value, mut shown) = (Place::root(kind, version), config, String::new());
    for step in path.split('.') {
        let (name, indices) = step.split_once('[').map_or((step, ""), |(name, rest)| (name, rest));
        place = place.child(name);
        value = &value[name];
        shown.push_str(&format!(".{name}"));
        for index in indices.split(['[', ']']).filter(|index| !index.is_empty()) {
            let list = place.list(value);
            let item = index.parse::<usize>().ok().and_then(|index| value.get(index)).unwrap_or(&Value::Null);
            match place.step(&list, item) {
                Some(step) => shown.push_str(&fields::shown(&step)),
                None => shown.push_str(&format!("[{index}]")),
            }
            place = place.element();
            value = item;
        }
    }
    shown
}

/// 400 for a body that is no object of its kind.
pub fn unfit(kind: &Kind, version: &str, why: &str) -> ApiError {
    ApiError::bad_request(format!("{0} in version {version:?} cannot be handled as a {0}: {why}", kind.kind))
}

/// Takes unknown fields out of an object, and returns their paths. Error: which field is of the wrong type.
pub fn unknown(kind: &Kind, version: &str, object: &mut Value) -> Result<Vec<String>, String> {
    if kind.custom {
        let schema = kind.version(version).and_then(|version| version.schema.as_deref());
        return Ok(schema.map(|schema| schema::prune(schema, object)).unwrap_or_default());
    }
    defaults::quantities(object);
    defaults::texts(object);
    let typed =
        types::of(kind).map(|published| (published.through)(object)).transpose().map_err(|error| error.to_string())?;
    let mut unknown = Vec::new();
    if let Some(typed) = typed {
        take_unknown(object, &typed, "", &mut unknown);
    }
    Ok(unknown)
}

fn take_unknown(object: &mut Value, typed: &Value, path: &str, unknown: &mut Vec<String>) {
    match (object, typed) {
        (Value::Object(fields), Value::Object(known)) => fields.retain(|field, value| {
            let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
            match known.get(field) {
                Some(known) => {
                    take_unknown(value, known, &path, unknown);
                    true
                }
                // A type writes nothing for what is empty, whether it knows the field or not.
                None if is_empty(value) || is_the_servers(&path) => true,
                None => {
                    unknown.push(path);
                    false
                }
            }
        }),
        (Value::Array(items), Value::Array(known)) => {
            for (index, (item, known)) in items.iter_mut().zip(known).enumerate() {
                take_unknown(item, known, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Newer than the types that are compiled in, yet known to every cluster.
fn is_the_servers(path: &str) -> bool {
    path.starts_with("metadata.managedFields")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::kinds::Kinds;
    use serde_json::json;

    fn deployment() -> Value {
        json!({ "metadata": { "name": "a" }, "spec": {
            "selector": { "matchLabels": { "app": "a" } },
            "template": { "spec": { "containers": [{
                "name": "a", "image": "a", "imagge": "b", "resources": { "limits": { "cpu": 1 } },
            }] } },
        } })
    }

    #[test]
    fn unknown_fields_are_taken_out_or_refused() {
        let kinds = Kinds::built_in();
        let kind = kinds.by_kind("Deployment").unwrap();
        let mut object = deployment();
        let warnings = check(kind, "v1", &mut object, None, &[]).unwrap();
        assert_eq!(warnings, ["unknown field \"spec.template.spec.containers[0].imagge\""]);
        assert_eq!(object["spec"]["template"]["spec"]["containers"][0].get("imagge"), None);
        let error = check(kind, "v1", &mut deployment(), Some("Strict"), &["a".into()]).unwrap_err();
        assert_eq!(
            error,
            "strict decoding error: duplicate field \"a\", unknown field \"spec.template.spec.containers[0].imagge\""
        );
        assert!(check(kind, "v1", &mut deployment(), Some("Ignore"), &[]).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_type_is_refused() {
        let kinds = Kinds::built_in();
        let kind = kinds.by_kind("Deployment").unwrap();
        let mut object = deployment();
        object["spec"]["replicas"] = json!("three");
        let why = check(kind, "v1", &mut object, None, &[]).unwrap_err();
        let error = unfit(kind, "v1", &why);
        assert_eq!(error.code, 400);
        assert!(error.message.starts_with("Deployment in version \"v1\" cannot be handled as a Deployment"));
    }
}
