//! What one value says that another does not: the changes between two pod templates, named as an operator names them.

use serde_json::{Map, Value};

/// One difference, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The way to it from the top: field by field; an element of a list by its name, else by its place.
    pub at: Vec<String>,
    pub change: Change,
}

/// What has become of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Added(Value),
    Removed(Value),
    /// From the first to the second.
    Changed(Value, Value),
}

/// By which of its fields an element of a list is known, in the order in which they are tried.
const NAMES: [&str; 5] = ["name", "containerPort", "mountPath", "topologyKey", "key"];

/// All differences, in the order of the fields. What is empty counts as not there.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), before, after, &mut found);
    found
}

fn compare(at: &mut Vec<String>, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    let change = match (before, after) {
        (before, after) if before == after => return,
        (before, after) if is_empty(before) && is_empty(after) => return,
        (Value::Object(before), Value::Object(after)) => return fields(at, before, after, found),
        (Value::Array(one), Value::Array(other)) => match (named(one), named(other)) {
            (Some(one), Some(other)) => return fields(at, &one, &other, found),
            _ => Change::Changed(before.clone(), after.clone()),
        },
        (before, after) if is_empty(before) => Change::Added(after.clone()),
        (before, after) if is_empty(after) => Change::Removed(before.clone()),
        (before, after) => Change::Changed(before.clone(), after.clone()),
    };
    found.push(Difference { at: at.clone(), change });
}

fn fields(at: &mut Vec<String>, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<Difference>) {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(new) {
        let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
        at.push(key.clone());
        compare(at, &of(before), &of(after), found);
        at.pop();
    }
}

/// The elements of a list by their names; None where some have none, or two the same.
fn named(list: &[Value]) -> Option<Map<String, Value>> {
    let key = NAMES.iter().find(|key| list.iter().all(|element| name_in(element, key).is_some()))?;
    let map: Map<String, Value> = list.iter().filter_map(|one| Some((name_in(one, key)?, one.clone()))).collect();
    (map.len() == list.len()).then_some(map)
}

fn name_in(element: &Value, key: &str) -> Option<String> {
    match element.get(key)? {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn said(before: Value, after: Value) -> Vec<String> {
        let sign = |change: &Change| match change {
            Change::Added(_) => '+',
            Change::Removed(_) => '-',
            Change::Changed(..) => '~',
        };
        differences(&before, &after).iter().map(|one| format!("{} {}", sign(&one.change), one.at.join("."))).collect()
    }

    #[test]
    fn elements_of_a_list_are_known_by_their_names() {
        let container = |image: &str, env: Value| json!({"containers": [{"name": "app", "image": image, "env": env}]});
        let before = container("app:1", json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]));
        let after = container("app:2", json!([{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]));
        let wanted = ["- containers.app.env.A", "~ containers.app.env.B.value", "+ containers.app.env.C"];
        let found = said(before, after);
        assert!(wanted.iter().all(|one| found.contains(&one.to_string())), "{found:?}");
        assert!(found.contains(&"~ containers.app.image".to_string()) && found.len() == 4, "{found:?}");
    }

    #[test]
    fn a_list_that_changes_its_order_alone_has_not_changed_where_it_has_names() {
        let list = |names: [&str; 2]| json!(names.map(|name| json!({"name": name})));
        assert!(said(list(["a", "b"]), list(["b", "a"])).is_empty());
        assert_eq!(said(json!({"args": ["a", "b"]}), json!({"args": ["b", "a"]})), ["~ args"]);
    }

    #[test]
    fn names_that_stand_twice_name_nothing() {
        let twice = json!([{"name": "a", "x": 1}, {"name": "a", "x": 2}]);
        assert_eq!(said(twice.clone(), json!([{"name": "a", "x": 1}])), ["~ "]);
        assert!(said(twice.clone(), twice).is_empty());
    }

    #[test]
    fn what_is_empty_is_not_there() {
        assert!(said(json!({"a": {}}), json!({"b": [], "c": null})).is_empty());
        assert_eq!(said(json!({"a": {}}), json!({"a": {"b": 1}})), ["+ a.b"]);
        assert_eq!(said(json!({"a": 1}), json!({})), ["- a"]);
    }

    proptest! {
        #[test]
        fn a_value_does_not_differ_from_itself_and_nothing_panics(
            a in "[a-c]{0,3}", b in prop::collection::vec(("[a-b]{0,2}", 0u8..3), 0..4),
        ) {
            let list: Vec<Value> = b.iter().map(|(name, x)| json!({"name": name, "x": x})).collect();
            let (one, other) = (json!({"l": list, "a": a}), json!({"l": [1, {"name": "a"}], "a": null}));
            prop_assert!(differences(&one, &one).is_empty());
            prop_assert!(differences(&one, &other).len() <= 16);
        }
    }
}
