//! Values against values, by the structure of their kind: what differs, which fields there are, what an applied
//! configuration makes of an object, and an object without some of its fields. Pure; who owns what is decided by
//! [`super::ownership`].

use serde_json::{Map, Value};
use std::collections::HashMap;

use super::fields::{FieldSet, field_step};
use super::structure::{List, Place};

/// How one object differs from another.
#[derive(Debug, Default)]
pub struct Difference {
    /// What is there now and was not, or was otherwise.
    pub changed: FieldSet,
    /// What was there and no longer is.
    pub removed: FieldSet,
}

/// Compares two objects at a place.
pub fn compare(place: Place, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    compare_value(place, Some(old), Some(new), &mut difference.changed, &mut difference.removed);
    difference
}

fn compare_value(
    place: Place,
    old: Option<&Value>,
    new: Option<&Value>,
    changed: &mut FieldSet,
    removed: &mut FieldSet,
) {
    if old == new {
        return;
    }
    if old.is_none() {
        changed.itself = true;
    } else if new.is_none() {
        removed.itself = true;
    }
    let (before, after) = (Parts::of(place, old), Parts::of(place, new));
    if after.is_leaf() && new.is_some_and(|new| before.is_leaf() || !is_empty(new)) {
        changed.itself = true;
    }
    let mut descend = |below: Place, step: String, old: Option<&Value>, new: Option<&Value>| {
        let (mut changed_below, mut removed_below) = (FieldSet::default(), FieldSet::default());
        compare_value(below, old, new, &mut changed_below, &mut removed_below);
        changed.put(step.clone(), changed_below);
        removed.put(step, removed_below);
    };
    if let Parts::Fields(fields) = after {
        for (name, value) in fields {
            let was = before.field(name);
            if was != Some(value) {
                descend(place.child(name), field_step(name), was, Some(value));
            }
        }
    }
    if let Parts::Fields(fields) = before {
        for (name, value) in fields.iter().filter(|(name, _)| after.field(name).is_none()) {
            descend(place.child(name), field_step(name), Some(value), None);
        }
    }
    let (before, after) = (before.elements(place, old), after.elements(place, new));
    for (step, item) in &after {
        descend(place.element(), step.clone(), before.get(step).copied(), Some(*item));
    }
    for (step, item) in before.iter().filter(|(step, _)| !after.contains_key(*step)) {
        descend(place.element(), step.clone(), Some(*item), None);
    }
}

/// What a value is made of, where it is more than one value.
#[derive(Clone, Copy)]
enum Parts<'a> {
    Leaf,
    Fields(&'a Map<String, Value>),
    Elements,
}

impl<'a> Parts<'a> {
    fn of(place: Place, value: Option<&'a Value>) -> Self {
        match value {
            Some(Value::Object(fields)) if !fields.is_empty() && !place.is_whole() => Self::Fields(fields),
            Some(list @ Value::Array(items)) if !items.is_empty() && place.list(list) != List::Whole => Self::Elements,
            _ => Self::Leaf,
        }
    }

    fn is_leaf(self) -> bool {
        matches!(self, Self::Leaf)
    }

    fn field(self, name: &str) -> Option<&'a Value> {
        match self {
            Self::Fields(fields) => fields.get(name),
            _ => None,
        }
    }

    fn elements(self, place: Place, value: Option<&'a Value>) -> HashMap<String, &'a Value> {
        let (Self::Elements, Some(list)) = (self, value) else {
            return HashMap::new();
        };
        let kind = place.list(list);
        let items = list.as_array().map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(|item| Some((place.step(&kind, item)?, item))).collect()
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

/// The fields of an object: its plain values, and what stands for itself (keys of maps, elements of lists).
pub fn fields_of(place: Place, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match value {
        Value::Object(_) if place.is_whole() => set.itself = true,
        Value::Object(fields) => {
            for (name, value) in fields {
                let mut below = fields_of(place.child(name), value);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                below.itself |= empty || !place.has_field(name);
                set.put(field_step(name), below);
            }
        }
        Value::Array(items) => match place.list(value) {
            List::Whole => set.itself = true,
            list => {
                for item in items {
                    if let Some(step) = place.step(&list, item) {
                        let below = FieldSet { itself: true, ..fields_of(place.element(), item) };
                        set.put(step, below);
                    }
                }
            }
        },
        _ => set.itself = true,
    }
    set
}

/// The set with every field of a type as a member that has members below it.
pub fn with_fields_above(place: Place, set: &FieldSet) -> FieldSet {
    let mut all = FieldSet { itself: set.itself, ..FieldSet::default() };
    for (step, below) in &set.below {
        let under = match step.strip_prefix("f:") {
            Some(name) => place.child(name),
            None => place.element(),
        };
        let mut below = with_fields_above(under, below);
        below.itself |= step.strip_prefix("f:").is_some_and(|name| place.has_field(name));
        all.below.insert(step.clone(), below);
    }
    all
}

/// `live` with what `config` says in its place. Errors: an element of a list lacks its key, or two have the same.
pub fn merge(place: Place, live: Option<&Value>, config: &Value) -> Result<Value, String> {
    merge_at(place, "", live, config)
}

fn merge_at(place: Place, path: &str, live: Option<&Value>, config: &Value) -> Result<Value, String> {
    let Some(live) = live else {
        // Nothing to merge with, but the keys must make sense all the same.
        return match config {
            Value::Object(_) | Value::Array(_) => merge_at(place, path, Some(&Value::Null), config),
            plain => Ok(plain.clone()),
        };
    };
    match (live, config) {
        (_, Value::Object(fields)) if !place.is_whole() => {
            let mut merged = live.as_object().cloned().unwrap_or_default();
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                let value = merge_at(place.child(name), &path, merged.get(name), value)?;
                merged.insert(name.clone(), value);
            }
            Ok(Value::Object(merged))
        }
        (_, Value::Array(_)) => merge_list(place, path, live, config),
        // Where there are fields or elements, null says nothing.
        (Value::Object(_) | Value::Array(_), Value::Null) if !Parts::of(place, Some(live)).is_leaf() => {
            Ok(live.clone())
        }
        _ => Ok(config.clone()),
    }
}

fn merge_list(place: Place, path: &str, live: &Value, config: &Value) -> Result<Value, String> {
    let (olds, news) = (live.as_array().map_or(&[][..], Vec::as_slice), config.as_array());
    let news = news.map_or(&[][..], Vec::as_slice);
    let list = place.list(if news.is_empty() { live } else { config });
    if list == List::Whole || (olds.is_empty() && news.is_empty()) {
        return Ok(config.clone());
    }
    let mut given: HashMap<String, usize> = HashMap::new();
    let mut steps = Vec::with_capacity(news.len());
    for (index, item) in news.iter().enumerate() {
        let step = place.step(&list, item).ok_or_else(|| format!("{path}: {}", lacking(&list, index)))?;
        if given.insert(step.clone(), index).is_some() {
            let shown =
                FieldSet { below: [(step, FieldSet { itself: true, ..FieldSet::default() })].into(), itself: false };
            return Err(format!("{path}: duplicate entries for key {}", shown.paths().concat()));
        }
        steps.push(step);
    }
    let known: HashMap<String, &Value> =
        olds.iter().filter_map(|item| Some((place.step(&list, item)?, item))).collect();
    // The configuration's order rules. What only the object has keeps its place between what both have.
    let mut shared = steps.iter().filter(|step| known.contains_key(*step));
    let mut next = shared.next();
    let mut merged = Vec::with_capacity(olds.len().max(news.len()));
    let mut taken = 0;
    let mut take_until = |end: usize, merged: &mut Vec<Value>| -> Result<(), String> {
        for index in taken..end {
            let old = known.get(&steps[index]).copied();
            merged.push(merge_at(place.element(), path, old, &news[index])?);
        }
        taken = taken.max(end);
        Ok(())
    };
    for old in olds {
        match place.step(&list, old) {
            Some(step) if given.contains_key(&step) => {
                if next == Some(&step) {
                    take_until(given[&step] + 1, &mut merged)?;
                    next = shared.next();
                }
            }
            _ => merged.push(old.clone()),
        }
    }
    take_until(news.len(), &mut merged)?;
    Ok(Value::Array(merged))
}

fn lacking(list: &List, index: usize) -> String {
    let keys: Vec<String> = match list {
        List::By(keys) => keys.iter().map(|key| format!("{key:?}")).collect(),
        List::Set | List::Whole => Vec::new(),
    };
    format!(
        "element {index}: associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
        keys.join(" ")
    )
}

/// The value without the members of a set; objects and lists that are left empty by it go with them.
pub fn without(place: Place, value: &Value, set: &FieldSet) -> Value {
    if set.below.is_empty() {
        return value.clone();
    }
    match value {
        Value::Object(fields) if !place.is_whole() => {
            let mut kept = Map::new();
            for (name, value) in fields {
                match set.below.get(&field_step(name)) {
                    None => {
                        kept.insert(name.clone(), value.clone());
                    }
                    Some(below) if below.itself => {}
                    Some(below) => {
                        let left = without(place.child(name), value, below);
                        if is_empty(value) || !is_empty(&left) {
                            kept.insert(name.clone(), left);
                        }
                    }
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            let list = place.list(value);
            let kept = items.iter().filter_map(|item| {
                let step = place.step(&list, item)?;
                match set.below.get(&step) {
                    None => Some(item.clone()),
                    Some(below) if below.itself => None,
                    Some(below) => Some(without(place.element(), item, below)),
                }
            });
            if list == List::Whole { value.clone() } else { Value::Array(kept.collect()) }
        }
        plain => plain.clone(),
    }
}
