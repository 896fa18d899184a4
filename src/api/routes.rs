//! Reading Istio's VirtualService: which share of the traffic goes where.

use serde_json::Value;

/// The weights of an apex's two destinations, in percent, as the VirtualService has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    pub primary: u8,
    pub canary: u8,
}

impl Weights {
    /// All traffic to the primary but `canary` percent of it.
    pub fn canary(canary: u8) -> Self {
        let canary = canary.min(100);
        Self { primary: 100 - canary, canary }
    }
}

/// The weights that a VirtualService's `spec` gives to `<apex>-primary` and `<apex>-canary`: of the last HTTP route
/// that knows the canary, as Flagger reads them. None where no route names both, or both weigh nothing.
pub fn weights(spec: &Value, apex: &str) -> Option<Weights> {
    let (primary, canary) = (format!("{apex}-primary"), format!("{apex}-canary"));
    let routes = spec.get("http")?.as_array()?;
    let weight_of = |route: &Value, host: &str| -> Option<u8> {
        let destinations = route.get("route")?.as_array()?;
        let destination =
            destinations.iter().find(|d| d.pointer("/destination/host").and_then(Value::as_str) == Some(host))?;
        Some(destination.get("weight").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 100.0) as u8)
    };
    let route = routes.iter().rev().find(|route| weight_of(route, &canary).is_some())?;
    let (primary, canary) = (u32::from(weight_of(route, &primary)?), u32::from(weight_of(route, &canary)?));
    let sum = primary + canary;
    // Istio takes weights as proportions: 0 and 30 send everything to the second.
    let share = (canary * 100 + sum / 2).checked_div(sum)?;
    Some(Weights::canary(share as u8))
}

/// Whether two VirtualService specs differ in nothing but the destinations' weights.
pub fn same_but_weights(left: &Value, right: &Value) -> bool {
    without_weights(left) == without_weights(right)
}

fn without_weights(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let routes = spec.get_mut("http").and_then(Value::as_array_mut).into_iter().flatten();
    for destination in routes.filter_map(|r| r.get_mut("route").and_then(Value::as_array_mut)).flatten() {
        if let Some(destination) = destination.as_object_mut() {
            destination.remove("weight");
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(primary: u8, canary: u8) -> Value {
        json!({"hosts": ["app"], "http": [{"route": [
            {"destination": {"host": "app-primary"}, "weight": primary},
            {"destination": {"host": "app-canary"}, "weight": canary},
        ]}]})
    }

    #[test]
    fn reads_the_weights_of_the_route_that_knows_the_canary() {
        assert_eq!(weights(&spec(70, 30), "app"), Some(Weights { primary: 70, canary: 30 }));
        assert_eq!(weights(&spec(70, 30), "other"), None);
        assert_eq!(weights(&spec(0, 0), "app"), None);
        assert_eq!(weights(&spec(0, 30), "app"), Some(Weights { primary: 0, canary: 100 }));
        assert_eq!(weights(&json!({"http": "x"}), "app"), None);
    }

    #[test]
    fn the_weights_are_no_difference() {
        assert!(same_but_weights(&spec(100, 0), &spec(50, 50)));
        let mut other = spec(100, 0);
        other["hosts"] = json!(["elsewhere"]);
        assert!(!same_but_weights(&spec(100, 0), &other));
    }
}
