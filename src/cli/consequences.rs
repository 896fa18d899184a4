//! What a request will do, and to whom, said before it is made.

use crate::api::{Phase, Verb};
use crate::cluster::{CanaryRecord, WorkloadRecord, World};
use crate::rollout::{next_weight, steps};

/// The question to an operator: the verb, and what will happen. `image` is the image that a start sets.
pub fn question(
    verb: Verb,
    world: &World,
    canary: &CanaryRecord,
    target: &WorkloadRecord,
    image: Option<&str>,
) -> String {
    let spec = canary.spec.as_deref().ok();
    let primary = spec.and_then(|spec| world.workloads.get(&spec.primary()));
    let serving = primary.map_or("the primary", |w| w.version());
    let new = target.version();
    let weight = spec
        .and_then(|spec| world.routes.get(&spec.service.apex)?.weights(&spec.service.apex))
        .map_or(canary.status.canary_weight, |weights| weights.canary);
    let pods = target.replicas;
    let what = match verb {
        Verb::Start => {
            let way = spec.map_or(String::new(), |spec| {
                let steps = steps(&spec.analysis).iter().map(|w| format!("{w} %")).collect::<Vec<_>>().join(", ");
                format!(" It gets {steps} of the traffic, then all of it, as long as the checks pass.")
            });
            let before = match canary.status.phase.under_way() {
                true => format!(" {weight} % of traffic leaves {new} first: its rollout ends."),
                false => String::new(),
            };
            match image {
                Some(image) => {
                    format!("{} gets the image {image}.{before}{way} {serving} keeps serving the rest.", target.name)
                }
                None => format!("{new} is tried again.{way} {serving} keeps serving the rest."),
            }
        }
        Verb::Pause => {
            format!("The canary stays at {weight} % of traffic. The checks go on, and a failure still rolls back.")
        }
        Verb::Resume => format!("The rollout goes on from {weight} % of traffic."),
        Verb::Advance => match spec.map(|spec| (next_weight(&spec.analysis, weight), spec.analysis.max_weight)) {
            Some((_, max)) if weight >= max => format!("The checks run now; if they pass, {new} is promoted."),
            Some((next, _)) => {
                format!("The checks run now; if they pass, {new} gets {next} % of traffic (now {weight} %).")
            }
            None => "The checks run now; if they pass, the next step is taken.".into(),
        },
        Verb::Promote => format!("{new} goes to all users now, without the remaining checks. {serving} is replaced."),
        Verb::Abort if matches!(canary.status.phase, Phase::Promoting | Phase::Finalising) => format!(
            "The primary goes back to the version last promoted. Traffic stays on the pods that are ready until it is, \
             then all of it leaves {new}. {pods} canary pods stop."
        ),
        Verb::Abort => {
            format!("{weight} % of traffic leaves {new} now. {serving} keeps serving. {pods} canary pods stop.")
        }
    };
    let name = verb.name();
    let capital = name[..1].to_uppercase() + &name[1..];
    format!("{capital} {}? {what}", canary.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::RouteRecord;
    use serde_json::json;

    fn asked(verb: Verb, phase: &str, image: Option<&str>) -> String {
        let canary = CanaryRecord::of(&json!({
            "metadata": {"name": "web"},
            "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "service": {"port": 80},
                "analysis": {"stepWeight": 10, "maxWeight": 30}},
            "status": {"phase": phase, "canaryWeight": 10},
        }));
        let workload = |name: &str, tag: &str| {
            WorkloadRecord::of(&json!({"metadata": {"name": name}, "status": {"replicas": 3},
                "spec": {"template": {"spec": {"containers": [{"name": "web", "image": format!("web:{tag}")}]}}}}))
        };
        let mut world = World::default();
        world.workloads.insert("web-primary".into(), workload("web-primary", "1.0.0"));
        world.routes.insert("web".into(), RouteRecord::of(&json!({"metadata": {"name": "web"}, "spec": {"http": [{"route": [
            {"destination": {"host": "web-primary"}, "weight": 80}, {"destination": {"host": "web-canary"}, "weight": 20}]}]}})));
        question(verb, &world, &canary, &workload("web", "1.1.0"), image)
    }

    #[test]
    fn says_what_happens_to_whom() {
        assert_eq!(
            asked(Verb::Abort, "Progressing", None),
            "Abort web? 20 % of traffic leaves 1.1.0 now. 1.0.0 keeps serving. 3 canary pods stop."
        );
        assert!(asked(Verb::Abort, "Promoting", None).contains("last promoted"));
        assert!(asked(Verb::Advance, "Progressing", None).contains("1.1.0 gets 30 % of traffic (now 20 %)"));
        let start = asked(Verb::Start, "Succeeded", Some("web:1.2.0"));
        assert!(start.starts_with("Start web? web gets the image web:1.2.0. It gets 10 %, 20 %, 30 %"), "{start}");
        assert!(asked(Verb::Start, "Progressing", Some("x:2")).contains("20 % of traffic leaves 1.1.0 first"));
    }
}
