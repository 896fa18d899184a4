//! The primary's copy of the HorizontalPodAutoscaler that the Canary names.

use super::effects::{EffectError, Hands};
use super::facts::owner;
use crate::api::{Spec, shapes};
use crate::cluster::records::CanaryRecord;
use crate::cluster::{Source, World};
use crate::rollout::{Part, Scaler};
use serde_json::{Map, Value, json};

/// The autoscaler that the Canary names, and how its copy stands; None where it names none.
pub fn scaler(world: &World, canary: &CanaryRecord, spec: &Spec) -> Option<Scaler> {
    let named = spec.autoscaler.as_ref()?;
    let Some(original) = world.scalers.get(&named.name) else { return Some(Scaler::default()) };
    let desired = shapes::scaler(&owner(canary), spec, named, &original.asked);
    let primary = match world.scalers.get(&named.primary()) {
        None => Part::Missing,
        Some(copy) if copy.owner.as_deref() != Some(&canary.uid) => Part::Foreign,
        Some(copy) if copy.asked["spec"] == desired["spec"] && has_all(&copy.asked, &desired) => Part::AsDesired,
        Some(_) => Part::Differs,
    };
    Some(Scaler { found: true, min_replicas: original.min_replicas(), primary })
}

/// Whether an object has all labels that it should have; more of them are somebody else's matter.
fn has_all(object: &Value, desired: &Value) -> bool {
    let labels = |of: &Value| of.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let (present, desired) = (labels(object), labels(desired));
    desired.iter().all(|(key, value)| present.get(key) == Some(value))
}

impl Hands {
    /// Creates the primary's copy of the autoscaler, or makes it what it should be.
    pub(super) async fn write_scaler(&mut self, canary: &CanaryRecord, spec: &Spec) -> Result<(), EffectError> {
        let Some(named) = &spec.autoscaler else { return Ok(()) };
        let (original, present) = {
            let world = self.mirror.read();
            (world.scalers.get(&named.name).cloned(), world.scalers.get(&named.primary()).cloned())
        };
        let original =
            original.ok_or_else(|| EffectError::Conflict(format!("horizontalpodautoscaler {}", named.name)))?;
        let name = named.primary();
        if present.as_ref().is_some_and(|copy| copy.owner.as_deref() != Some(&canary.uid)) {
            let namespace = &canary.namespace;
            let why = format!("horizontalpodautoscaler {name}.{namespace} belongs to someone else");
            return Err(EffectError::Impossible(why));
        }
        let desired = shapes::scaler(&owner(canary), spec, named, &original.asked);
        let version = self.decided.version(Source::Scalers, &name).map(str::to_string);
        let write = match version.zip(present) {
            None => self.writer.create(&self.kinds.scaler, desired).await,
            Some((version, present)) => {
                let patch = json!({
                    "metadata": { "labels": desired["metadata"]["labels"] },
                    "spec": whole(&present.asked["spec"], &desired["spec"]),
                });
                self.writer.merge(&self.kinds.scaler, &name, &version, patch).await
            }
        };
        self.done(Source::Scalers, &name, write, "writing horizontalpodautoscaler").await
    }
}

/// A merge patch that leaves nothing of `present` that is not in `desired`, however deep.
fn whole(present: &Value, desired: &Value) -> Value {
    let (Some(before), Some(after)) = (present.as_object(), desired.as_object()) else { return desired.clone() };
    let mut patch: Map<String, Value> = before.keys().map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in after {
        patch.insert(key.clone(), whole(before.get(key).unwrap_or(&Value::Null), value));
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ScalerRecord;

    fn canary() -> CanaryRecord {
        CanaryRecord::of(&json!({
            "metadata": {"name": "app", "namespace": "test", "uid": "u"},
            "spec": {
                "targetRef": {"kind": "Deployment", "name": "app"},
                "autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "web"},
                "service": {"port": 80},
                "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
            },
        }))
    }

    fn part(copy: impl FnOnce(&mut Value)) -> Option<Scaler> {
        let canary = canary();
        let spec = canary.spec.clone().unwrap();
        let original = ScalerRecord::of(&json!({"metadata": {"name": "web", "labels": {"team": "a"}},
            "spec": {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"name": "app"}}}));
        let mut world = World::default();
        let named = spec.autoscaler.clone().unwrap();
        let mut object = shapes::scaler(&owner(&canary), &spec, &named, &original.asked);
        copy(&mut object);
        world.scalers.insert("web".into(), original);
        world.scalers.insert("web-primary".into(), ScalerRecord::of(&object));
        scaler(&world, &canary, &spec)
    }

    #[test]
    fn the_copy_is_held_against_the_original_and_its_bounds() {
        let primary = |change: fn(&mut Value)| part(change).unwrap().primary;
        assert_eq!(part(|_| ()), Some(Scaler { found: true, min_replicas: 2, primary: Part::AsDesired }));
        assert_eq!(primary(|copy| copy["spec"]["maxReplicas"] = json!(3)), Part::Differs);
        assert_eq!(primary(|copy| copy["metadata"]["labels"] = json!({})), Part::Differs);
        assert_eq!(primary(|copy| copy["metadata"]["labels"]["more"] = json!("x")), Part::AsDesired);
        assert_eq!(primary(|copy| copy["metadata"]["ownerReferences"] = json!([])), Part::Foreign);
        let spec = canary().spec.unwrap();
        assert_eq!(scaler(&World::default(), &canary(), &spec), Some(Scaler::default()), "there is no original");
    }

    #[test]
    fn a_copy_is_rewritten_whole() {
        let (present, desired) = (
            json!({"behavior": {"scaleUp": {}, "scaleDown": {"a": 1}}, "metrics": []}),
            json!({"behavior": {"scaleDown": {"b": 2}}}),
        );
        let expected = json!({"behavior": {"scaleUp": null, "scaleDown": {"a": null, "b": 2}}, "metrics": null});
        assert_eq!(whole(&present, &desired), expected);
    }
}
