//! What is kept of ConfigMaps and Secrets: never what they hold, only whether it has changed.

use crate::api::revision::checksum;
use crate::api::shapes::{self, ConfigKind};
use serde_json::{Map, Value, json};

/// Secrets that are not even listed: Helm keeps whole releases in them, up to a megabyte each, and no pod mounts one.
pub const SECRETS_LOOKED_AT: &str = "type!=helm.sh/release.v1";

/// Where the checksum stands in what is left of an object.
const CHECKSUM: &str = "checksum";

/// A ConfigMap or a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    pub name: String,
    pub resource_version: String,
    /// Of the content; see [`checksum`].
    pub checksum: String,
    /// Whether it is copied for the primary, and a revision where it changes.
    pub tracked: bool,
    /// Whether a Canary is among its owners.
    pub copy: bool,
}

impl ConfigRecord {
    /// Reduces an object, or what [`reduced`] left of one.
    pub fn of(kind: ConfigKind, object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_string();
        let known = object.get(CHECKSUM).and_then(Value::as_str).map(str::to_string);
        Self {
            name: text("/metadata/name"),
            resource_version: text("/metadata/resourceVersion"),
            checksum: known.unwrap_or_else(|| checksum(object)),
            tracked: shapes::is_tracked(kind, object),
            copy: shapes::is_copy(object),
        }
    }
}

/// What is left of an object that has just arrived: everything but its content, of which the checksum stays. A list is
/// gathered before it is taken in, and must not hold what a namespace keeps secret meanwhile.
pub fn reduced(mut object: Value) -> Value {
    let sum = checksum(&object);
    let fields: &mut Map<String, Value> = match &mut object {
        Value::Object(fields) => fields,
        _ => return json!({}),
    };
    fields.retain(|key, _| matches!(key.as_str(), "metadata" | "type"));
    fields.insert(CHECKSUM.into(), json!(sum));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_leaves_its_checksum_and_not_its_content() {
        let object = json!({"metadata": {"name": "a", "resourceVersion": "7"}, "type": "Opaque",
            "data": {"apiKey": "dGVzdA=="}});
        let whole = ConfigRecord::of(ConfigKind::Secret, &object);
        assert_eq!(whole.checksum, "3930f0692c2295eb");
        let left = reduced(object);
        assert!(!left.to_string().contains("dGVzdA=="), "{left}");
        assert_eq!(ConfigRecord::of(ConfigKind::Secret, &left), whole);
        assert!(whole.tracked && !whole.copy);
    }

    #[test]
    fn anything_may_come_and_nothing_panics() {
        for object in [json!(null), json!([]), json!({"metadata": 3, "data": [], "binaryData": 7, "type": {}})] {
            ConfigRecord::of(ConfigKind::Secret, &reduced(object.clone()));
            ConfigRecord::of(ConfigKind::ConfigMap, &object);
        }
    }
}
