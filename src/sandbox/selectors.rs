//! Label and field selectors: parsed from a request's query, and asked of objects.

use serde_json::Value;
use std::borrow::Cow;

use super::kinds::Kind;
use super::validity::{BAD_LABEL, BAD_LABEL_VALUE, is_label_value, is_qualified};

/// A parsed `labelSelector`: all requirements must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    label: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl LabelSelector {
    /// Parses `app=web,tier!=db,env in (a, b),!legacy`. The error names what could not be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        split_outside_parentheses(text)
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(requirement)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the object's labels satisfy it.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.label).and_then(Value::as_str);
            match (&requirement.test, value) {
                (Test::In(values), Some(value)) => values.iter().any(|one| one == value),
                (Test::NotIn(values), Some(value)) => values.iter().all(|one| one != value),
                (Test::Exists, found) => found.is_some(),
                (Test::In(_), None) => false,
                (Test::NotIn(_), None) => true,
                (Test::Missing, found) => found.is_none(),
            }
        })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let unexpected =
        |found: &str, expected: &str| format!("unable to parse requirement: found '{found}', expected: {expected}");
    let unreadable = || unexpected(part, "identifier");
    let made = |label: &str, test| {
        let label = label.trim();
        let mut words = label.split_whitespace();
        if let (Some(_), Some(second)) = (words.next(), words.next()) {
            return Err(unexpected(second, "in, notin, =, ==, !=, gt, lt"));
        }
        if let Some(operator) = label.chars().find(|letter| "=!()".contains(*letter)) {
            return Err(unexpected(&operator.to_string(), "identifier"));
        }
        if label.is_empty() {
            return Err(unreadable());
        }
        if !is_qualified(label) {
            return Err(format!("unable to parse requirement: <nil>: Invalid value: {label:?}: {BAD_LABEL}"));
        }
        if let Test::In(values) | Test::NotIn(values) = &test
            && let Some((place, value)) = values.iter().enumerate().find(|(_, value)| !is_label_value(value))
        {
            return Err(format!(
                "unable to parse requirement: values[{place}][{label}]: Invalid value: {value:?}: {BAD_LABEL_VALUE}"
            ));
        }
        Ok(Requirement { label: label.to_owned(), test })
    };
    if let Some(list) = part.strip_suffix(')') {
        let (head, list) = list.split_once('(').ok_or_else(unreadable)?;
        let values: Vec<String> = list.split(',').map(|one| one.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(label), Some("in"), None) => made(label, Test::In(values)),
            (Some(label), Some("notin"), None) => made(label, Test::NotIn(values)),
            _ => Err(unreadable()),
        };
    }
    if let Some((label, value)) = part.split_once("!=") {
        return made(label, Test::NotIn(vec![value.trim().to_owned()]));
    }
    if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return made(label, Test::In(vec![value.trim().to_owned()]));
    }
    match part.strip_prefix('!') {
        Some(label) => made(label, Test::Missing),
        None => made(part, Test::Exists),
    }
}

/// A parsed `fieldSelector`: all terms must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Debug, Clone, PartialEq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Parses `metadata.name=a,type!=Normal` for a kind. The error names a field that cannot be selected by.
    pub fn parse(kind: &Kind, text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (field, value, true)
            } else {
                return Err(format!("invalid selector: '{part}'; can't understand '{part}'"));
            };
            if !selectable(kind, field) {
                return Err(if has_own_fields(kind) {
                    format!("field label not supported: {field}")
                } else {
                    format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                });
            }
            terms.push(Term { field: field.to_owned(), value: value.to_owned(), equal });
        }
        Ok(Self(terms))
    }

    /// Whether the object's fields satisfy it. A field that is missing is the empty text.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|term| (field(object, &term.field) == term.value) == term.equal)
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a kind says itself which fields it is selected by; others share one rule, and its words.
fn has_own_fields(kind: &Kind) -> bool {
    kind.custom
        || matches!(
            kind.kind.as_str(),
            "Event" | "Pod" | "Namespace" | "ReplicaSet" | "Secret" | "Service" | "Node" | "CustomResourceDefinition"
        )
}

fn selectable(kind: &Kind, field: &str) -> bool {
    if field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced) {
        return true;
    }
    match kind.kind.as_str() {
        _ if kind.custom => false,
        "Event" => matches!(
            field,
            "involvedObject.kind"
                | "involvedObject.namespace"
                | "involvedObject.name"
                | "involvedObject.uid"
                | "involvedObject.apiVersion"
                | "involvedObject.resourceVersion"
                | "involvedObject.fieldPath"
                | "reason"
                | "reportingComponent"
                | "source"
                | "type"
        ),
        "Pod" => matches!(
            field,
            "status.phase"
                | "status.podIP"
                | "status.nominatedNodeName"
                | "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
        ),
        "Namespace" => field == "status.phase",
        "ReplicaSet" => field == "status.replicas",
        "Secret" => field == "type",
        "Service" => matches!(field, "spec.clusterIP" | "spec.type"),
        "Node" => field == "spec.unschedulable",
        _ => false,
    }
}

fn field<'a>(object: &'a Value, path: &str) -> Cow<'a, str> {
    let mut found = object;
    // An Event is selected by its component under the plain word.
    let path = if path == "source" { "source.component" } else { path };
    for step in path.split('.') {
        found = &found[step];
    }
    match found {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::kinds::Kinds;
    use serde_json::json;

    fn selects(selector: &str) -> bool {
        let object = json!({ "metadata": { "labels": { "app": "web", "env": "prod" } } });
        LabelSelector::parse(selector).unwrap().matches(&object)
    }

    #[test]
    fn labels_are_compared_in_every_form() {
        for yes in [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "tier!=x",
            "app",
            "!tier",
            "env in (dev, prod)",
            "env notin (dev)",
            "tier notin (a)",
            "app=web,env in (prod),!x",
        ] {
            assert!(selects(yes), "{yes}");
        }
        for no in ["app=db", "app!=web", "tier", "!app", "env in (dev)", "env notin (prod)", "app=web,tier"] {
            assert!(!selects(no), "{no}");
        }
    }

    #[test]
    fn an_unreadable_selector_is_refused() {
        for nonsense in ["a b", "env within (a)", "=x", "!", "a in (b", "(a)"] {
            assert!(LabelSelector::parse(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn fields_are_those_of_the_kind() {
        let kinds = Kinds::built_in();
        let event = kinds.by_kind("Event").unwrap();
        let pod = kinds.by_kind("Pod").unwrap();
        let object =
            json!({ "involvedObject": { "kind": "Canary" }, "type": "Normal", "source": { "component": "x" } });
        let selector = FieldSelector::parse(event, "involvedObject.kind=Canary,type!=Warning,source=x");
        assert!(selector.unwrap().matches(&object));
        let selector = FieldSelector::parse(event, "involvedObject.kind=Pod");
        assert!(!selector.unwrap().matches(&object));
        let error = FieldSelector::parse(pod, "spec.hostname=x").unwrap_err();
        assert_eq!(error, "field label not supported: spec.hostname");
    }
}
