//! Sets of fields, as `metadata.managedFields` has them (FieldsV1). A set knows names alone: what may stand under a
//! field, and what a list's elements are told apart by, is for [`super::structure`] to say.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What marks a member that has members below it.
const ITSELF: &str = ".";

/// A set of fields, as a tree. Each step bears the name that FieldsV1 gives it: `f:image`, `k:{"name":"app"}`,
/// `v:"x/y"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the place itself is a member, besides what is below it.
    pub itself: bool,
    /// What is below it, by step.
    pub below: BTreeMap<String, FieldSet>,
}

/// The step to a field of an object.
pub fn field_step(name: &str) -> String {
    format!("f:{name}")
}

impl FieldSet {
    /// Reads FieldsV1.
    pub fn read(fields: &Value) -> Self {
        Self { itself: false, below: below(fields) }
    }

    /// Writes FieldsV1.
    pub fn written(&self) -> Value {
        Value::Object(self.below.iter().map(|(step, set)| (step.clone(), set.branch())).collect())
    }

    fn branch(&self) -> Value {
        let mut branch: Map<String, Value> =
            self.below.iter().map(|(step, set)| (step.clone(), set.branch())).collect();
        if self.itself && !branch.is_empty() {
            branch.insert(ITSELF.into(), Value::Object(Map::new()));
        }
        Value::Object(branch)
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        !self.itself && self.below.is_empty()
    }

    /// Puts a set below a step; one without members leaves no trace.
    pub fn put(&mut self, step: String, set: FieldSet) {
        if !set.is_empty() {
            self.below.insert(step, set);
        }
    }

    /// Adds the other's members.
    pub fn unite(&mut self, other: &Self) {
        self.itself |= other.itself;
        for (step, set) in &other.below {
            match self.below.get_mut(step) {
                Some(own) => own.unite(set),
                None => {
                    self.below.insert(step.clone(), set.clone());
                }
            }
        }
    }

    /// Takes the other's members out, each alone: what is below a member stays.
    pub fn subtract(&mut self, other: &Self) {
        self.itself &= !other.itself;
        for (step, set) in &other.below {
            if let Some(own) = self.below.get_mut(step) {
                own.subtract(set);
                if own.is_empty() {
                    self.below.remove(step);
                }
            }
        }
    }

    /// Takes a place out with all that is below it.
    pub fn cut(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let step = field_step(first);
        let emptied = match self.below.get_mut(&step) {
            Some(own) if !rest.is_empty() => {
                own.cut(rest);
                own.is_empty()
            }
            found => found.is_some(),
        };
        if emptied {
            self.below.remove(&step);
        }
    }

    /// The members that both have.
    pub fn common(&self, other: &Self) -> Self {
        let mut common = Self { itself: self.itself && other.itself, below: BTreeMap::new() };
        for (step, set) in &self.below {
            if let Some(other) = other.below.get(step) {
                common.put(step.clone(), set.common(other));
            }
        }
        common
    }

    /// The members as people read them: `.spec.template.spec.containers[name="app"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        let children: Vec<(String, &Self)> =
            self.below.iter().map(|(step, set)| (format!("{path}{}", shown(step)), set)).collect();
        paths.extend(children.iter().filter(|(_, set)| set.itself).map(|(path, _)| path.clone()));
        for (path, set) in children {
            set.collect(&path, paths);
        }
    }
}

fn below(fields: &Value) -> BTreeMap<String, FieldSet> {
    let steps = fields.as_object().into_iter().flatten().filter(|(step, _)| *step != ITSELF);
    steps
        .map(|(step, branch)| {
            let itself = branch.as_object().is_none_or(|branch| branch.is_empty() || branch.contains_key(ITSELF));
            (step.clone(), FieldSet { itself, below: below(branch) })
        })
        .collect()
}

/// A step as people read it: `.image`, `[name="app"]`.
pub fn shown(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => step.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> Value {
        json!({
            "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
            "f:spec": { "f:containers": { "k:{\"name\":\"app\"}": { ".": {}, "f:image": {}, "f:name": {} } } },
        })
    }

    #[test]
    fn sets_are_written_as_they_were_read() {
        assert_eq!(FieldSet::read(&fields()).written(), fields());
    }

    #[test]
    fn members_leave_alone_or_with_what_is_below() {
        let mut set = FieldSet::read(&fields());
        set.subtract(&FieldSet::read(&json!({ "f:metadata": { "f:labels": {} } })));
        assert_eq!(set.written()["f:metadata"], json!({ "f:labels": { "f:app": {} } }));
        set.subtract(&FieldSet::read(&json!({ "f:metadata": { "f:labels": { "f:app": {} } } })));
        assert_eq!(set.written().get("f:metadata"), None);
        set.cut(&["spec", "containers"]);
        assert!(set.is_empty());
    }

    #[test]
    fn members_are_shown_as_paths() {
        let set = FieldSet::read(&fields()["f:spec"]);
        assert_eq!(
            set.paths(),
            [".containers[name=\"app\"]", ".containers[name=\"app\"].image", ".containers[name=\"app\"].name"]
        );
    }

    #[test]
    fn what_is_common_is_common_member_by_member() {
        let set = FieldSet::read(&fields());
        let other = FieldSet::read(&json!({ "f:metadata": { "f:labels": {} }, "f:spec": { "f:replicas": {} } }));
        assert_eq!(set.common(&other).written(), json!({ "f:metadata": { "f:labels": {} } }));
    }
}
