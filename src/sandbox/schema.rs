//! Structural schemas of custom kinds: what is unknown is pruned, what is missing gets its default, what is wrong is
//! named. Rules in CEL (`x-kubernetes-validations`) are not evaluated.

use regex::Regex;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::status::FieldError;
use super::structure::Place;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";

/// Removes what the schema does not know, and returns its paths (`spec.analysis.steps[0].weigth`).
pub fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_value(schema, object, "", true, &mut unknown);
    unknown
}

fn prune_value(schema: &Value, value: &mut Value, path: &str, resource: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let resource = resource || schema[EMBEDDED] == true;
            let preserve = schema[PRESERVE] == true;
            let additional = schema.get("additionalProperties");
            fields.retain(|field, value| {
                if resource && matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let path = child(path, field);
                if let Some(schema) = schema["properties"].get(field) {
                    prune_value(schema, value, &path, false, unknown);
                    return true;
                }
                match additional {
                    Some(Value::Object(schema)) => {
                        prune_value(&Value::Object(schema.clone()), value, &path, false, unknown);
                        true
                    }
                    Some(Value::Bool(true)) => true,
                    _ if preserve => true,
                    _ => {
                        unknown.push(path);
                        false
                    }
                }
            });
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let path = format!("{path}[{index}]");
                prune_value(&schema["items"], item, &path, false, unknown);
            }
        }
        _ => {}
    }
}

/// Fills in the schema's defaults where a field is missing.
pub fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(properties) = schema["properties"].as_object() {
                for (field, schema) in properties {
                    if fields.get(field) == Some(&Value::Null) && schema["nullable"] != true {
                        fields.remove(field);
                    }
                    if !fields.contains_key(field)
                        && let Some(given) = schema.get("default")
                    {
                        fields.insert(field.clone(), given.clone());
                    }
                    if let Some(value) = fields.get_mut(field) {
                        default(schema, value);
                    }
                }
            }
            if let Some(additional @ Value::Object(_)) = schema.get("additionalProperties") {
                for value in fields.values_mut() {
                    default(additional, value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                default(&schema["items"], item);
            }
        }
        _ => {}
    }
}

/// Every way in which the object breaks the schema.
pub fn validate(schema: &Value, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate_value(schema, object, "", &mut errors);
    errors
}

/// Every way in which the status alone breaks its part of the schema.
pub fn validate_status(schema: &Value, status: &Value) -> Vec<FieldError> {
    let errors = match schema["properties"].get("status") {
        Some(schema) if !status.is_null() => validate(schema, status),
        _ => Vec::new(),
    };
    errors.into_iter().map(|error| FieldError { field: child("status", &error.field), ..error }).collect()
}

fn validate_value(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if !has_type(schema, value) {
        let wanted =
            if schema[INT_OR_STRING] == true { "integer,string" } else { schema["type"].as_str().unwrap_or("object") };
        errors.push(FieldError::wrong_type(path, value, wanted));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> =
            allowed.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
        errors.push(FieldError::unsupported(path, value, &allowed));
    }
    match value {
        Value::Object(fields) => validate_object(schema, fields, path, errors),
        Value::Array(items) => {
            count(schema, "minItems", "maxItems", items.len(), "items", value, path, errors);
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    validate_value(schema, item, &format!("{path}[{index}]"), errors);
                }
            }
            duplicates(schema, value, items, path, errors);
        }
        Value::String(text) => validate_text(schema, text, value, path, errors),
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                validate_number(schema, number, value, path, errors);
            }
        }
        _ => {}
    }
    validate_combinations(schema, value, path, errors);
}

/// Elements of a set, or of a list with keys, that are there already.
fn duplicates(schema: &Value, list: &Value, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let place = Place::Custom(schema);
    let kind = place.list(list);
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(step) = place.step(&kind, item) {
            let identity = step.split_once(':').map(|(_, identity)| identity.to_owned()).unwrap_or_default();
            if !seen.insert(step) {
                errors.push(FieldError::duplicate(format!("{path}[{index}]"), &identity));
            }
        }
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if schema[INT_OR_STRING] == true {
        return value.is_string() || is_integer(value);
    }
    match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => is_integer(value),
        Some(_) => true,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn validate_object(schema: &Value, fields: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    for field in schema["required"].as_array().into_iter().flatten() {
        if let Some(field) = field.as_str()
            && !fields.contains_key(field)
        {
            errors.push(FieldError::required(child(path, field), ""));
        }
    }
    let whole = Value::Null;
    count(schema, "minProperties", "maxProperties", fields.len(), "properties", &whole, path, errors);
    for (field, value) in fields {
        let path = child(path, field);
        if let Some(schema) = schema["properties"].get(field) {
            validate_value(schema, value, &path, errors);
        } else if let Some(schema @ Value::Object(_)) = schema.get("additionalProperties") {
            validate_value(schema, value, &path, errors);
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "one rule under two names, used three times")]
fn count(
    schema: &Value,
    least: &str,
    most: &str,
    found: usize,
    what: &str,
    value: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let found = found as u64;
    if let Some(least) = schema[least].as_u64()
        && found < least
    {
        let why = format!("{path} in body should have at least {least} {what}");
        errors.push(FieldError::invalid(path, value, why));
    }
    if let Some(most) = schema[most].as_u64()
        && found > most
    {
        let why = format!("{path} in body should have at most {most} {what}");
        errors.push(FieldError::invalid(path, value, why));
    }
}

fn validate_text(schema: &Value, text: &str, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(most) = schema["maxLength"].as_u64()
        && text.chars().count() as u64 > most
    {
        errors.push(FieldError::too_long(path, most));
        return;
    }
    let before = errors.len();
    count(schema, "minLength", "", text.chars().count(), "characters", value, path, errors);
    if errors.len() > before {
        return;
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !matches_pattern(pattern, text)
    {
        let why = format!("{path} in body should match '{pattern}'");
        errors.push(FieldError::invalid(path, value, why));
    }
}

/// A pattern that cannot be compiled matches nothing: better refused than let through.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    static COMPILED: OnceLock<Mutex<HashMap<String, Option<Regex>>>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(Mutex::default);
    let mut compiled = compiled.lock().unwrap_or_else(PoisonError::into_inner);
    if !compiled.contains_key(pattern) {
        compiled.insert(pattern.to_owned(), Regex::new(pattern).ok());
    }
    compiled.get(pattern).and_then(Option::as_ref).is_some_and(|pattern| pattern.is_match(text))
}

fn validate_number(schema: &Value, number: f64, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut wrong = |why: String| errors.push(FieldError::invalid(path, value, why));
    if let Some(least) = schema["minimum"].as_f64() {
        if schema["exclusiveMinimum"] == true && number <= least {
            wrong(format!("{path} in body should be greater than {least}"));
        } else if number < least {
            wrong(format!("{path} in body should be greater than or equal to {least}"));
        }
    }
    if let Some(most) = schema["maximum"].as_f64() {
        if schema["exclusiveMaximum"] == true && number >= most {
            wrong(format!("{path} in body should be less than {most}"));
        } else if number > most {
            wrong(format!("{path} in body should be less than or equal to {most}"));
        }
    }
    if let Some(step) = schema["multipleOf"].as_f64()
        && step > 0.0
        && (number / step).fract() != 0.0
    {
        wrong(format!("{path} in body should be a multiple of {step}"));
    }
}

fn validate_combinations(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let wrongs = |schema: &Value| {
        let mut errors = Vec::new();
        validate_value(schema, value, path, &mut errors);
        errors
    };
    let holds = |schema: &Value| wrongs(schema).is_empty();
    // Of alternatives that all fail, what is wrong with the nearest one tells the most.
    let nearest = |schemas: &[Value]| schemas.iter().map(wrongs).min_by_key(Vec::len).unwrap_or_default();
    let empty = Value::String(String::new());
    for schema in schema["allOf"].as_array().into_iter().flatten() {
        validate_value(schema, value, path, errors);
    }
    if let Some(any) = schema["anyOf"].as_array()
        && !any.iter().any(holds)
    {
        let why = format!("{path:?} must validate at least one schema (anyOf)");
        errors.push(FieldError::invalid(path, &empty, why));
        errors.extend(nearest(any));
    }
    if let Some(one) = schema["oneOf"].as_array() {
        let valid = one.iter().filter(|schema| holds(schema)).count();
        if valid != 1 {
            let found = if valid == 0 { "none valid".to_owned() } else { format!("{valid} valid alternatives") };
            let why = format!("{path:?} must validate one and only one schema (oneOf). Found {found}");
            errors.push(FieldError::invalid(path, &empty, why));
            if valid == 0 {
                errors.extend(nearest(one));
            }
        }
    }
    if let Some(not) = schema.get("not")
        && holds(not)
    {
        let why = format!("{path:?} must not validate the schema (not)");
        errors.push(FieldError::invalid(path, &empty, why));
    }
}

fn child(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["spec"],
            "properties": { "spec": {
                "type": "object",
                "required": ["interval"],
                "properties": {
                    "interval": { "type": "string", "pattern": "^[0-9]+(m|s)" },
                    "maxWeight": { "type": "integer", "minimum": 0, "maximum": 100 },
                    "kind": { "type": "string", "enum": ["Deployment", "Service"] },
                    "steps": { "type": "array", "minItems": 1, "items": { "type": "integer" } },
                    "port": { "x-kubernetes-int-or-string": true },
                    "open": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                    "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                    "maybe": { "type": "string", "nullable": true },
                    "size": { "type": "integer", "default": 3 },
                },
                "oneOf": [{ "required": ["maxWeight"] }, { "required": ["steps"] }],
            } },
        })
    }

    fn wrong(spec: Value) -> Vec<String> {
        validate(&schema(), &json!({ "spec": spec }))
            .into_iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect()
    }

    #[test]
    fn what_is_unknown_is_pruned_and_named() {
        let mut object = json!({
            "apiVersion": "a/v1", "kind": "K", "metadata": { "name": "n" }, "extra": 1,
            "spec": { "interval": "1m", "intervall": "2m", "open": { "x": { "y": 1 } }, "labels": { "a": "b" } },
        });
        let unknown = prune(&schema(), &mut object);
        assert_eq!(unknown, ["extra", "spec.intervall"]);
        assert_eq!(object["spec"]["open"]["x"]["y"], 1);
        assert_eq!(object["spec"]["labels"]["a"], "b");
        assert_eq!(object["metadata"]["name"], "n");
    }

    #[test]
    fn defaults_fill_what_is_missing() {
        let mut object = json!({ "spec": {} });
        default(&schema(), &mut object);
        assert_eq!(object["spec"]["size"], 3);
    }

    #[test]
    fn a_valid_object_has_no_errors() {
        let spec = json!({ "interval": "1m", "maxWeight": 50, "port": "http", "maybe": null, "kind": "Service" });
        assert_eq!(wrong(spec), Vec::<String>::new());
    }

    #[test]
    fn each_rule_is_held() {
        let base = |extra: Value| {
            let mut spec = json!({ "interval": "1m", "maxWeight": 50 });
            for (field, value) in extra.as_object().unwrap() {
                spec[field] = value.clone();
            }
            wrong(spec)
        };
        assert_eq!(wrong(json!({ "maxWeight": 1 })), ["spec.interval: Required value"]);
        assert_eq!(
            base(json!({ "interval": "soon" })),
            ["spec.interval: Invalid value: \"soon\": spec.interval in body should match '^[0-9]+(m|s)'"]
        );
        assert_eq!(
            base(json!({ "maxWeight": 150 })),
            ["spec.maxWeight: Invalid value: 150: spec.maxWeight in body should be less than or equal to 100"]
        );
        assert_eq!(
            base(json!({ "kind": "Pod" })),
            ["spec.kind: Unsupported value: \"Pod\": supported values: \"Deployment\", \"Service\""]
        );
        assert_eq!(
            base(json!({ "labels": { "a": 1 } })),
            ["spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\""]
        );
        assert_eq!(base(json!({ "port": true })).len(), 1);
        assert_eq!(
            base(json!({ "steps": [1] })),
            [
                "spec: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
            ]
        );
        assert_eq!(
            wrong(json!({ "interval": "1m" })),
            [
                "spec: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found none valid",
                "spec.maxWeight: Required value",
            ]
        );
    }
}
