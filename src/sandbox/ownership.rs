//! `metadata.managedFields`: which manager last wrote which field, as the tree that Kubernetes calls FieldsV1.
//! Only plain writes (operation Update) are recorded here; server-side apply is refused by the server.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::merge_keys::{ListMerge, list_merge};
use super::store::{Part, Write, timestamp};

type Tree = Map<String, Value>;

/// Records the write of `object`, which replaces `old`: what it changed belongs to its manager now.
pub fn record(kind: &Kind, old: Option<&Value>, object: &mut Value, write: &Write, now: DateTime<Utc>) {
    let nothing = Value::Object(Map::new());
    let before = old.unwrap_or(&nothing);
    let fields = Fields { custom: kind.custom };
    let changed = fields.differing(before, object);
    let gone = fields.missing(before, object);
    let mut entries: Vec<Value> = before["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let subresource = match write.part {
        Part::Main => None,
        Part::Status => Some("status"),
        Part::Scale => Some("scale"),
    };
    let api_version = write.api_version.clone().unwrap_or_else(|| kind.storage_api_version());
    let mut recorded = false;
    for entry in &mut entries {
        let own = entry["manager"] == write.manager
            && entry["operation"] == "Update"
            && entry["apiVersion"] == api_version
            && entry["subresource"].as_str() == subresource;
        let Some(tree) = entry["fieldsV1"].as_object_mut() else {
            continue;
        };
        subtract(tree, &gone);
        if own {
            recorded = true;
            unite(tree, &changed);
            if !changed.is_empty() {
                entry["time"] = json!(timestamp(now));
            }
        } else {
            subtract(tree, &changed);
        }
    }
    if !recorded && !changed.is_empty() {
        let mut entry = json!({
            "manager": write.manager,
            "operation": "Update",
            "apiVersion": api_version,
            "time": timestamp(now),
            "fieldsType": "FieldsV1",
            "fieldsV1": changed,
        });
        if let Some(subresource) = subresource {
            entry["subresource"] = json!(subresource);
        }
        entries.push(entry);
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|tree| !tree.is_empty()));
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".into(), Value::Array(entries));
        }
    }
}

/// What the trees of one kind look like: custom kinds' lists are whole values, built-in kinds' lists have keys.
struct Fields {
    custom: bool,
}

impl Fields {
    /// The tree of what `new` has and `old` has not, or has otherwise.
    fn differing(&self, old: &Value, new: &Value) -> Tree {
        let mut tree = self.object(old, new, &Where::Root);
        tree.remove(".");
        tree
    }

    /// The tree of what `old` has and `new` has not.
    fn missing(&self, old: &Value, new: &Value) -> Tree {
        let mut tree = Tree::new();
        self.collect_missing(old, new, &Where::Root, &mut tree);
        tree
    }

    fn object(&self, old: &Value, new: &Value, place: &Where) -> Tree {
        let mut tree = Tree::new();
        for (field, value) in new.as_object().into_iter().flatten() {
            if place.is_the_servers(field) || old.get(field) == Some(value) {
                continue;
            }
            let before = old.get(field).unwrap_or(&Value::Null);
            tree.insert(format!("f:{field}"), Value::Object(self.value(before, value, field, place)));
        }
        if !old.is_object() && !tree.is_empty() && !place.is_struct() {
            tree.insert(".".into(), json!({}));
        }
        tree
    }

    fn value(&self, old: &Value, new: &Value, field: &str, place: &Where) -> Tree {
        match new {
            Value::Object(_) if !is_atomic(field) => self.object(old, new, &place.child(field, self.custom)),
            Value::Array(items) => match self.merge(field, new, place) {
                ListMerge::Whole => Tree::new(),
                ListMerge::Set => {
                    let olds = old.as_array();
                    items
                        .iter()
                        .filter(|item| !olds.is_some_and(|olds| olds.contains(item)))
                        .map(|item| (format!("v:{item}"), json!({})))
                        .collect()
                }
                ListMerge::By(key) => {
                    let mut tree = Tree::new();
                    for item in items {
                        let before = element(old, key, item);
                        if before == item {
                            continue;
                        }
                        let inner = if field == "ownerReferences" {
                            Tree::new()
                        } else {
                            self.object(before, item, &Where::Element)
                        };
                        tree.insert(identity(field, key, item), Value::Object(inner));
                    }
                    if !old.is_array() {
                        tree.insert(".".into(), json!({}));
                    }
                    tree
                }
            },
            _ => Tree::new(),
        }
    }

    fn collect_missing(&self, old: &Value, new: &Value, place: &Where, tree: &mut Tree) {
        for (field, before) in old.as_object().into_iter().flatten() {
            if place.is_the_servers(field) {
                continue;
            }
            let name = format!("f:{field}");
            let Some(value) = new.get(field) else {
                // The whole branch is gone, whatever it held.
                tree.insert(name, json!(null));
                continue;
            };
            if value == before || is_atomic(field) {
                continue;
            }
            let mut inner = Tree::new();
            match (before, value) {
                (Value::Object(_), Value::Object(_)) => {
                    self.collect_missing(before, value, &place.child(field, self.custom), &mut inner);
                }
                (Value::Array(items), Value::Array(_)) => match self.merge(field, before, place) {
                    ListMerge::By(key) => {
                        for item in items {
                            let found = element(value, key, item);
                            if found.is_null() {
                                inner.insert(identity(field, key, item), json!(null));
                            } else {
                                let mut fields = Tree::new();
                                self.collect_missing(item, found, &Where::Element, &mut fields);
                                if !fields.is_empty() {
                                    inner.insert(identity(field, key, item), Value::Object(fields));
                                }
                            }
                        }
                    }
                    ListMerge::Set => {
                        let kept = value.as_array();
                        for item in items.iter().filter(|item| !kept.is_some_and(|kept| kept.contains(item))) {
                            inner.insert(format!("v:{item}"), json!(null));
                        }
                    }
                    ListMerge::Whole => {}
                },
                _ => {}
            }
            if !inner.is_empty() {
                tree.insert(name, Value::Object(inner));
            }
        }
    }

    fn merge(&self, field: &str, sample: &Value, place: &Where) -> ListMerge {
        if self.custom && *place != Where::Metadata { ListMerge::Whole } else { list_merge(field, sample) }
    }
}

#[derive(PartialEq)]
enum Where {
    Root,
    Metadata,
    /// A part that is always there, and so has no mark of its own.
    Struct,
    Element,
    Deeper,
}

impl Where {
    fn child(&self, field: &str, custom: bool) -> Self {
        match (self, field) {
            (Self::Root, "metadata") => Self::Metadata,
            (Self::Root, "spec" | "status") if !custom => Self::Struct,
            (Self::Struct, "template" | "strategy") => Self::Struct,
            (Self::Struct, "metadata" | "spec") => Self::Struct,
            _ => Self::Deeper,
        }
    }

    fn is_struct(&self) -> bool {
        matches!(self, Self::Root | Self::Metadata | Self::Struct)
    }

    /// Fields that the server keeps, and nobody owns.
    fn is_the_servers(&self, field: &str) -> bool {
        match self {
            Self::Root => matches!(field, "apiVersion" | "kind"),
            Self::Metadata => matches!(
                field,
                "name"
                    | "namespace"
                    | "uid"
                    | "resourceVersion"
                    | "creationTimestamp"
                    | "deletionTimestamp"
                    | "deletionGracePeriodSeconds"
                    | "generation"
                    | "managedFields"
                    | "selfLink"
            ),
            _ => false,
        }
    }
}

/// Objects that are one value to Kubernetes.
fn is_atomic(field: &str) -> bool {
    matches!(
        field,
        "selector"
            | "configMapKeyRef"
            | "secretKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
            | "nodeSelector"
            | "involvedObject"
    )
}

fn element<'a>(list: &'a Value, key: &str, item: &Value) -> &'a Value {
    static NONE: Value = Value::Null;
    list.as_array().and_then(|list| list.iter().find(|one| one.get(key) == item.get(key))).unwrap_or(&NONE)
}

fn identity(field: &str, key: &str, item: &Value) -> String {
    let mut identity = Map::new();
    identity.insert(key.to_owned(), item[key].clone());
    if field == "ports" {
        let protocol = item.get("protocol").cloned().unwrap_or_else(|| json!("TCP"));
        identity.insert("protocol".into(), protocol);
    }
    format!("k:{}", Value::Object(identity))
}

fn unite(tree: &mut Tree, other: &Tree) {
    for (name, branch) in other {
        match (tree.get_mut(name), branch) {
            (Some(Value::Object(own)), Value::Object(branch)) => unite(own, branch),
            _ => {
                tree.insert(name.clone(), branch.clone());
            }
        }
    }
}

/// Takes `other` out of `tree`. A leaf of `other` takes the leaf; null takes the whole branch.
fn subtract(tree: &mut Tree, other: &Tree) {
    for (name, branch) in other {
        let emptied = match (tree.get_mut(name), branch) {
            (None, _) => continue,
            (Some(Value::Object(own)), Value::Object(branch)) if !branch.is_empty() => {
                subtract(own, branch);
                own.is_empty()
            }
            (Some(own), Value::Object(_)) => own.as_object().is_none_or(Map::is_empty),
            (Some(_), _) => true,
        };
        if emptied {
            tree.remove(name);
        }
    }
}
