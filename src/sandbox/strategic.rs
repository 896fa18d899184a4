//! Strategic merge patches: a merge patch in which the lists of Kubernetes' own kinds are merged by their keys, and
//! directives (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`) say what a merge cannot.

use serde_json::{Map, Value};

use super::merge_keys::{ListMerge, list_merge};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies `patch` to `object`. The error says what in the patch makes no sense.
pub fn apply(object: &mut Value, patch: &Value) -> Result<(), String> {
    let Some(patch) = patch.as_object() else {
        return Err("the patch is no JSON object".into());
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    if let Some(object) = object.as_object_mut() {
        merge_object(object, patch)?;
    }
    Ok(())
}

fn merge_object(object: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), String> {
    match directive(patch)? {
        Some("replace") => {
            *object = patch
                .iter()
                .filter(|(field, _)| !field.starts_with('$'))
                .map(|(field, value)| (field.clone(), value.clone()))
                .collect();
            return Ok(());
        }
        Some("delete") => {
            object.clear();
            return Ok(());
        }
        _ => {}
    }
    if let Some(retain) = patch.get(RETAIN) {
        let retain = retain.as_array().ok_or_else(|| format!("{RETAIN} is no list"))?;
        object.retain(|field, _| retain.iter().any(|kept| kept == field.as_str()));
    }
    for (field, value) in patch {
        if let Some(field) = field.strip_prefix(DELETE_FROM) {
            let gone = value.as_array().ok_or_else(|| format!("{DELETE_FROM}{field} is no list"))?;
            if let Some(list) = object.get_mut(field).and_then(Value::as_array_mut) {
                list.retain(|one| !gone.contains(one));
            }
        }
    }
    for (field, value) in patch {
        if field.starts_with('$') {
            continue;
        }
        let order = patch.get(&format!("{ORDER}{field}"));
        merge_field(object, field, value, order)?;
    }
    // An order may be given for a list that the patch does not otherwise touch.
    for (field, order) in patch {
        if let Some(field) = field.strip_prefix(ORDER)
            && !patch.contains_key(field)
            && let Some(list) = object.get_mut(field)
        {
            let merge = list_merge(field, list);
            let before = list.clone();
            reorder(list, &before, order, merge);
        }
    }
    Ok(())
}

fn merge_field(
    object: &mut Map<String, Value>,
    field: &str,
    value: &Value,
    order: Option<&Value>,
) -> Result<(), String> {
    match value {
        Value::Null => {
            object.remove(field);
        }
        Value::Object(patch) => {
            if directive(patch)? == Some("delete") {
                object.remove(field);
                return Ok(());
            }
            let target = object.entry(field).or_insert_with(|| Value::Object(Map::new()));
            apply(target, &Value::Object(patch.clone()))?;
        }
        Value::Array(patch) => {
            let current = object.get(field).cloned().unwrap_or(Value::Null);
            let sample = if current.as_array().is_some_and(|list| !list.is_empty()) { &current } else { value };
            let merge = list_merge(field, sample);
            let mut merged = merge_list(&current, patch, merge)?;
            // Without another order, what the patch names comes in the patch's.
            reorder(&mut merged, &current, order.unwrap_or(value), merge);
            object.insert(field.to_owned(), merged);
        }
        plain => {
            object.insert(field.to_owned(), plain.clone());
        }
    }
    Ok(())
}

fn merge_list(current: &Value, patch: &[Value], merge: ListMerge) -> Result<Value, String> {
    let current = current.as_array().cloned().unwrap_or_default();
    match merge {
        ListMerge::Whole => Ok(Value::Array(patch.to_vec())),
        ListMerge::Set => {
            let mut merged = current;
            for one in patch {
                if !merged.contains(one) {
                    merged.push(one.clone());
                }
            }
            Ok(Value::Array(merged))
        }
        ListMerge::By(keys) => {
            let key = keys[0];
            let replaces = patch.iter().any(|one| one.get(PATCH).is_some_and(|directive| directive == "replace"));
            let mut merged = if replaces { Vec::new() } else { current };
            for one in patch {
                let Some(fields) = one.as_object() else {
                    return Err(format!("an element of a list merged by {key:?} is no object"));
                };
                let directive = directive(fields)?;
                if directive == Some("replace") && fields.len() == 1 {
                    continue;
                }
                let Some(identity) = fields.get(key) else {
                    return Err(format!("map: {} does not contain declared merge key: {key}", shown(fields)));
                };
                let place = merged.iter().position(|old| old.get(key) == Some(identity));
                match (directive, place) {
                    (Some("delete"), Some(place)) => {
                        merged.remove(place);
                    }
                    (Some("delete"), None) => {}
                    (_, Some(place)) => apply(&mut merged[place], one)?,
                    (_, None) => {
                        let mut new = Value::Object(Map::new());
                        apply(&mut new, one)?;
                        merged.push(new);
                    }
                }
            }
            Ok(Value::Array(merged))
        }
    }
}

/// Puts the elements that `order` names into that order; those that only the server knows keep their place among them.
fn reorder(list: &mut Value, before: &Value, order: &Value, merge: ListMerge) {
    let (Some(items), Some(order)) = (list.as_array_mut(), order.as_array()) else {
        return;
    };
    let identity = |item: &Value| match merge {
        ListMerge::By(keys) => item.get(keys[0]).cloned(),
        ListMerge::Set => Some(item.clone()),
        ListMerge::Whole => None,
    };
    if merge == ListMerge::Whole {
        return;
    }
    let wanted: Vec<Option<Value>> = order.iter().map(identity).collect();
    let rank = |item: &Value| wanted.iter().position(|one| *one == identity(item));
    let place = |item: &Value| {
        let before = before.as_array()?;
        let identity = identity(item);
        before.iter().position(|one| self::same(one, &identity, merge))
    };
    let (mut ordered, others): (Vec<Value>, Vec<Value>) = items.drain(..).partition(|item| rank(item).is_some());
    ordered.sort_by_key(|item| rank(item));
    let mut others = others.into_iter().peekable();
    for item in ordered {
        while let Some(other) = others.peek() {
            match (place(other), place(&item)) {
                (Some(other), Some(item)) if other < item => {}
                _ => break,
            }
            items.extend(others.next());
        }
        items.push(item);
    }
    items.extend(others);
}

fn same(item: &Value, identity: &Option<Value>, merge: ListMerge) -> bool {
    match merge {
        ListMerge::By(keys) => item.get(keys[0]) == identity.as_ref(),
        ListMerge::Set | ListMerge::Whole => Some(item) == identity.as_ref(),
    }
}

fn directive(patch: &Map<String, Value>) -> Result<Option<&str>, String> {
    match patch.get(PATCH) {
        None => Ok(None),
        Some(Value::String(word)) if ["replace", "delete", "merge"].contains(&word.as_str()) => Ok(Some(word)),
        Some(other) => {
            let word = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            Err(format!("unknown patch type: {word} in map: {}", shown(patch)))
        }
    }
}

/// A map as Kubernetes' messages have it: `map[image:x name:app]`.
pub fn shown(fields: &Map<String, Value>) -> String {
    let pairs: Vec<String> = fields.iter().map(|(field, value)| format!("{field}:{}", shown_value(value))).collect();
    format!("map[{}]", pairs.join(" "))
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown_value).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => shown(fields),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(mut object: Value, patch: Value) -> Value {
        apply(&mut object, &patch).unwrap();
        object
    }

    #[test]
    fn containers_are_merged_by_name() {
        let object = json!({ "containers": [{ "name": "a", "image": "a:1" }, { "name": "b", "image": "b:1" }] });
        let patch = json!({ "containers": [{ "name": "b", "image": "b:2" }, { "name": "c", "image": "c:1" }] });
        assert_eq!(
            patched(object, patch),
            json!({ "containers": [
                { "name": "a", "image": "a:1" },
                { "name": "b", "image": "b:2" },
                { "name": "c", "image": "c:1" },
            ] })
        );
    }

    #[test]
    fn an_element_is_deleted_and_the_rest_put_in_order() {
        let object = json!({ "env": [{ "name": "a", "value": "1" }, { "name": "b", "value": "2" }, { "name": "c", "value": "3" }] });
        let patch = json!({
            "$setElementOrder/env": [{ "name": "c" }, { "name": "a" }],
            "env": [{ "name": "b", "$patch": "delete" }],
        });
        assert_eq!(
            patched(object, patch),
            json!({ "env": [{ "name": "c", "value": "3" }, { "name": "a", "value": "1" }] })
        );
    }

    #[test]
    fn what_only_the_server_knows_keeps_its_place() {
        let object = json!({ "env": [{ "name": "server" }, { "name": "a" }, { "name": "b" }] });
        let patch = json!({ "$setElementOrder/env": [{ "name": "b" }, { "name": "a" }], "env": [] });
        assert_eq!(patched(object, patch)["env"], json!([{ "name": "server" }, { "name": "b" }, { "name": "a" }]));
    }

    #[test]
    fn ports_have_the_key_of_their_owner() {
        let container = json!({ "ports": [{ "containerPort": 80, "name": "http" }] });
        let patch = json!({ "ports": [{ "containerPort": 80, "name": "web" }] });
        assert_eq!(patched(container, patch)["ports"], json!([{ "containerPort": 80, "name": "web" }]));
        let service = json!({ "ports": [{ "port": 80, "targetPort": 1 }] });
        let patch = json!({ "ports": [{ "port": 81, "targetPort": 2 }] });
        assert_eq!(
            patched(service, patch)["ports"],
            json!([{ "port": 81, "targetPort": 2 }, { "port": 80, "targetPort": 1 }]),
            "what the patch names comes first"
        );
    }

    #[test]
    fn directives_replace_retain_and_remove_from_sets() {
        let object = json!({
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } },
            "labels": { "a": "1", "b": "2" },
            "finalizers": ["x", "y"],
            "args": ["1", "2"],
        });
        let patch = json!({
            "strategy": { "$retainKeys": ["type"], "type": "Recreate" },
            "labels": { "$patch": "replace", "c": "3" },
            "$deleteFromPrimitiveList/finalizers": ["x"],
            "finalizers": ["z"],
            "args": ["3"],
        });
        assert_eq!(
            patched(object, patch),
            json!({
                "strategy": { "type": "Recreate" },
                "labels": { "c": "3" },
                "finalizers": ["z", "y"],
                "args": ["3"],
            })
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let mut object = json!({ "containers": [] });
        assert!(apply(&mut object, &json!({ "containers": [{ "image": "x" }] })).is_err());
        assert!(apply(&mut object, &json!({ "spec": { "$patch": "explode" } })).is_err());
        assert!(apply(&mut object, &json!([1])).is_err());
    }
}
