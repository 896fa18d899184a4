//! What is kept of a HorizontalPodAutoscaler: what it asks for, not how it stands.

use serde_json::{Value, json};

/// A HorizontalPodAutoscaler of autoscaling/v2.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalerRecord {
    pub name: String,
    pub resource_version: String,
    /// Uid of the controlling owner.
    pub owner: Option<String>,
    /// `metadata.labels` and `spec`, where they stand in an object.
    pub asked: Value,
}

impl ScalerRecord {
    /// Reduces an object.
    pub fn of(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_string();
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let controller =
            owners.into_iter().flatten().find(|o| o.get("controller").and_then(Value::as_bool) == Some(true));
        Self {
            name: text("/metadata/name"),
            resource_version: text("/metadata/resourceVersion"),
            owner: controller.and_then(|o| o.get("uid")?.as_str()).map(str::to_string),
            asked: json!({
                "metadata": { "labels": object.pointer("/metadata/labels") },
                "spec": object.get("spec"),
            }),
        }
    }

    /// Pods that it asks for at least.
    pub fn min_replicas(&self) -> u32 {
        let asked = self.asked.pointer("/spec/minReplicas").and_then(Value::as_u64);
        asked.map_or(1, |n| n.min(u32::MAX.into()) as u32)
    }

    /// Whether it asks for the same as another one: it writes its own status all the time.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        (&self.name, &self.owner, &self.asked) == (&other.name, &other.owner, &other.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_stands_is_no_news() {
        let at = |version: &str, current: u32, min: u32| {
            ScalerRecord::of(&json!({"metadata": {"name": "a", "resourceVersion": version},
                "spec": {"minReplicas": min}, "status": {"currentReplicas": current}}))
        };
        assert!(at("1", 1, 2).asks_the_same(&at("2", 2, 2)));
        assert!(!at("1", 1, 2).asks_the_same(&at("2", 1, 3)));
        assert_eq!((at("1", 1, 2).min_replicas(), ScalerRecord::of(&Value::Null).min_replicas()), (2, 1));
    }
}
