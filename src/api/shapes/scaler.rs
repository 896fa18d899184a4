//! The primary's copy of the HorizontalPodAutoscaler that scales the target.

use super::Owner;
use crate::api::{Autoscaler, Spec};
use serde_json::{Map, Value, json};

/// The copy: bounds, metrics and behavior are the original's where the Canary names no others, and what it scales is
/// the primary. `original` is the object, or its labels and spec alone.
pub fn scaler(owner: &Owner, spec: &Spec, autoscaler: &Autoscaler, original: &Value) -> Value {
    let mut metadata = owner.metadata(&autoscaler.primary());
    metadata.insert("labels".into(), Value::Object(scaler_labels(original)));
    let mut copied = original.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    copied.insert(
        "scaleTargetRef".into(),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": spec.primary() }),
    );
    for (field, bound) in [("minReplicas", autoscaler.min_replicas), ("maxReplicas", autoscaler.max_replicas)] {
        if let Some(bound) = bound {
            copied.insert(field.into(), json!(bound));
        }
    }
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": copied,
    })
}

/// Labels that the copy takes over: all but what another tool goes by.
fn scaler_labels(original: &Value) -> Map<String, Value> {
    let labels = original.pointer("/metadata/labels").and_then(Value::as_object);
    let kept = labels.into_iter().flatten().filter(|(key, _)| !key.contains("toolkit.fluxcd.io"));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(autoscaler: Value) -> Spec {
        Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "app"},
            "autoscalerRef": autoscaler,
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
        }))
        .unwrap()
    }

    #[test]
    fn the_copy_scales_the_primary_within_the_bounds_that_the_canary_names() {
        let original = json!({
            "metadata": {"name": "web", "labels": {"team": "a", "kustomize.toolkit.fluxcd.io/name": "x"},
                "annotations": {"b": "c"}},
            "spec": {"minReplicas": 2, "maxReplicas": 5, "metrics": [{"type": "Resource"}], "behavior": {"x": 1},
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}},
        });
        let owner = Owner { namespace: "test".into(), name: "app".into(), uid: "u".into() };
        let reference = json!({"kind": "HorizontalPodAutoscaler", "name": "web"});
        let plain = spec(reference.clone());
        let copy = scaler(&owner, &plain, plain.autoscaler.as_ref().unwrap(), &original);
        assert_eq!(copy["metadata"]["name"], "web-primary");
        assert_eq!(copy["metadata"]["labels"], json!({"team": "a"}));
        assert_eq!(copy["metadata"].get("annotations"), None);
        assert_eq!(copy["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(copy["spec"]["scaleTargetRef"]["name"], "app-primary");
        assert_eq!((&copy["spec"]["minReplicas"], &copy["spec"]["maxReplicas"]), (&json!(2), &json!(5)));
        assert_eq!(
            (&copy["spec"]["metrics"], &copy["spec"]["behavior"]),
            (&json!([{"type": "Resource"}]), &json!({"x": 1}))
        );
        let mut reference = reference;
        reference["primaryScalerReplicas"] = json!({"minReplicas": 3, "maxReplicas": 9});
        let bounded = spec(reference);
        let copy = scaler(&owner, &bounded, bounded.autoscaler.as_ref().unwrap(), &original);
        assert_eq!((&copy["spec"]["minReplicas"], &copy["spec"]["maxReplicas"]), (&json!(3), &json!(9)));
    }
}
