use super::*;
use crate::cluster::records::PartRecord;
use crate::cluster::{Clock, For, Mirror};
use serde_json::{Value, json};

fn canary() -> Value {
    json!({
        "metadata": {"name": "app", "namespace": "test", "uid": "u-1", "resourceVersion": "1"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "service": {"port": 80, "apex": {"labels": {"team": "a"}}, "unmanagedMetadata": {"annotations": ["neg"]}},
            "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10, "sessionAffinity": {"cookieName": "c"}},
        },
        "status": {"phase": "Progressing", "sessionAffinityCookie": "c=abc"},
    })
}

fn target() -> Value {
    json!({
        "metadata": {"name": "app", "namespace": "test", "uid": "d"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {}},
    })
}

/// The parts of a Canary around which all is as it should be, after a change to one of its objects.
fn parts(source: Source, change: impl FnOnce(&mut Value)) -> (Routes, [Part; 3]) {
    let record = CanaryRecord::of(&canary());
    let spec = record.spec.clone().expect("a spec");
    let owner = owner(&record);
    let selector = WorkloadRecord::of(&target()).selector.expect("a selector");
    let traffic =
        crate::api::routes::Traffic { canary: 30, cookies: record.status.cookies.clone(), ..Default::default() };
    let mut objects = vec![
        (Source::Canaries, canary()),
        (Source::Deployments, target()),
        (Source::Services, services::service(&owner, &spec.service, &selector, &[], Role::Apex)),
        (Source::Rules(spec.provider), spec.provider.rule(&owner, &spec, Role::Canary).expect("a rule")),
        (Source::Routes(spec.provider), spec.provider.routes(&owner, &spec, &traffic)),
    ];
    let changed = objects.iter_mut().find(|(of, _)| *of == source).expect("an object");
    change(&mut changed.1);
    let mirror = Mirror::of(World { kept_for: For::Driver, ..World::default() }, Clock::system());
    for (source, object) in &objects {
        mirror.note_written(*source, object);
    }
    let world = mirror.read();
    let target = world.workloads.get("app");
    let service = service_part(&world, &record, &spec, &owner, target, Role::Apex);
    let (canary_rule, primary_rule) = (rule_part(&world, &record, &spec, &owner, Role::Canary), Part::Missing);
    assert_eq!(rule_part(&world, &record, &spec, &owner, Role::Primary), primary_rule);
    let none: Option<&PartRecord> = world.services.get("app-canary");
    assert!(none.is_none());
    (routes(&world, &record, &spec, &owner), [service, canary_rule, primary_rule])
}

fn routes_part(change: impl FnOnce(&mut Value)) -> Part {
    parts(Source::Routes(Provider::default()), change).0.part
}

fn service_part_of(change: impl FnOnce(&mut Value)) -> Part {
    parts(Source::Services, change).1[0]
}

#[test]
fn what_was_written_is_as_desired_with_its_traffic() {
    let (routes, [service, rule, _]) = parts(Source::Canaries, |_| {});
    assert_eq!((routes.part, service, rule), (Part::AsDesired, Part::AsDesired, Part::AsDesired));
    assert_eq!(routes.weights.map(|weights| weights.canary), Some(30));
}

#[test]
fn weights_are_no_difference_and_all_else_is() {
    let (at, weights) = (|role: usize| format!("/spec/http/1/route/{role}/weight"), [60, 40]);
    let moved = |object: &mut Value| {
        for (role, weight) in weights.into_iter().enumerate() {
            *object.pointer_mut(&at(role)).expect("a weight") = json!(weight);
        }
    };
    assert_eq!(routes_part(moved), Part::AsDesired);
    assert_eq!(routes_part(|object| object["spec"]["hosts"] = json!(["x"])), Part::Differs);
    assert_eq!(routes_part(|object| object["metadata"]["labels"]["team"] = json!("b")), Part::Differs);
    assert_eq!(routes_part(|object| object["spec"]["http"] = json!([])), Part::Differs);
    assert_eq!(
        routes_part(|object| object["metadata"]["annotations"]["canary-tui/term"] = json!("7")),
        Part::AsDesired
    );
}

#[test]
fn what_nobody_controls_is_no_obstacle_and_what_another_controls_is() {
    let nobodys = |object: &mut Value| drop(object["metadata"].as_object_mut().map(|m| m.remove("ownerReferences")));
    let anothers = |object: &mut Value| object["metadata"]["ownerReferences"][0]["uid"] = json!("other");
    assert_eq!((routes_part(nobodys), routes_part(anothers)), (Part::AsDesired, Part::Foreign));
    assert_eq!((service_part_of(nobodys), service_part_of(anothers)), (Part::AsDesired, Part::Foreign));
    let other = |object: &mut Value| {
        nobodys(object);
        object["spec"]["selector"] = json!({"app": "web"});
    };
    assert_eq!(service_part_of(other), Part::Differs);
}

#[test]
fn labels_count_on_our_own_services_and_what_is_unmanaged_does_not() {
    let label = |object: &mut Value| object["metadata"]["labels"]["x"] = json!("y");
    assert_eq!(service_part_of(label), Part::Differs);
    assert_eq!(service_part_of(|object| object["metadata"]["annotations"]["neg"] = json!("z")), Part::AsDesired);
    let theirs = |object: &mut Value| {
        label(object);
        object["metadata"]["ownerReferences"] = json!([]);
    };
    assert_eq!(service_part_of(theirs), Part::AsDesired);
}

#[test]
fn a_step_that_is_not_recorded_yet_keeps_its_cookies() {
    let other = "c=other; Max-Age=86400";
    let given = |object: &mut Value| {
        object["spec"]["http"][1]["route"][1]["headers"]["response"]["add"]["Set-Cookie"] = json!(other);
    };
    let step = |object: &mut Value| {
        given(object);
        object["spec"]["http"][0]["match"][0]["headers"]["Cookie"]["regex"] = json!(".*c.*other.*");
    };
    assert_eq!(routes_part(step), Part::AsDesired);
    assert_eq!(routes_part(given), Part::Differs, "those who bear the cookie do not stay");
}
