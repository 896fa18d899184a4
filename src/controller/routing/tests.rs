use super::*;
use crate::api::Owner;

fn spec() -> Spec {
    Spec::read(&json!({
        "targetRef": {"kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
    }))
    .expect("a spec")
}

fn selector() -> Selector {
    Selector { label: "app".into(), value: "web".into() }
}

fn owned_by_us() -> Owner {
    Owner { namespace: "test".into(), name: "app".into(), uid: "u-1".into() }
}

fn service_change(present: &Value, unmanaged: &Unmanaged) -> Value {
    let desired = services::service(&owned_by_us(), &spec().service, &selector(), &[], Role::Apex);
    service_patch(&PartRecord::of_service(present), &desired, unmanaged, &selector())
}

fn routes_change(present: &Value) -> Value {
    let desired = spec().provider.routes(&owned_by_us(), &spec(), &Traffic::default());
    routes_patch(&RouteRecord::of(present), &desired, &spec())
}

#[test]
fn a_service_that_is_taken_over_keeps_what_it_bears_and_says_what_it_was() {
    let present = json!({
        "metadata": {"name": "app", "labels": {"theirs": "x"}},
        "spec": {"selector": {"app": "web", "tier": "x"}, "ports": [{"name": "http", "port": 8080, "nodePort": 30_001}]},
    });
    let patch = service_change(&present, &Unmanaged::default());
    assert_eq!(patch["spec"]["selector"], json!({"app": "web-primary", "tier": null}));
    assert_eq!(patch["spec"]["ports"][0]["nodePort"], 30_001);
    assert_eq!(patch["metadata"].get("labels"), None);
    assert_eq!(patch["metadata"].get("ownerReferences"), None);
    let kept: Value =
        serde_json::from_str(patch["metadata"]["annotations"][annotation::ORIGINAL].as_str().expect("kept")).unwrap();
    assert_eq!(kept, present["spec"]);
    assert_eq!(patch["metadata"]["annotations"]["helm.toolkit.fluxcd.io/driftDetection"], "disabled");
}

#[test]
fn what_a_service_was_is_kept_once() {
    let mut present = json!({
        "metadata": {"name": "app", "annotations": {annotation::ORIGINAL: "{\"selector\":{\"a\":\"b\"}}"}},
        "spec": {"selector": {"app": "moved"}, "ports": []},
    });
    let kept = |present: &Value| {
        let patch = service_change(present, &Unmanaged::default());
        patch["metadata"]["annotations"].get(annotation::ORIGINAL).is_some()
    };
    assert!(!kept(&present));
    present["metadata"]["annotations"] = json!({annotation::APPLIED: "{\"spec\":{\"selector\":{\"a\":\"b\"}}}"});
    assert!(!kept(&present), "kubectl knows it");
    present["metadata"]["annotations"] = json!({});
    assert!(kept(&present));
    present["spec"]["selector"] = json!({"app": "web-primary"});
    assert!(!kept(&present), "a Canary before wrote it");
}

#[test]
fn our_own_service_gets_its_labels_and_leaves_what_is_unmanaged() {
    let present = json!({
        "metadata": {"name": "app", "labels": {"x": "y"}, "annotations": {"neg": "z"},
            "ownerReferences": [{"uid": "u-1", "controller": true}]},
        "spec": {"selector": {"app": "web"}, "ports": []},
    });
    let unmanaged = Unmanaged { labels: vec![], annotations: vec!["neg".into()] };
    let patch = service_change(&present, &unmanaged);
    assert_eq!(patch["metadata"]["labels"], json!({"x": null, "app": "app"}));
    assert_eq!(patch["metadata"]["annotations"].get("neg"), None);
    assert_eq!(patch["metadata"]["annotations"].get(annotation::ORIGINAL), None);
}

#[test]
fn routes_that_are_taken_over_are_replaced_and_say_what_they_were() {
    let present = json!({
        "metadata": {"name": "app", "labels": {"theirs": "x"}, "annotations": {"note": "y"}},
        "spec": {"hosts": ["x"], "http": [{"route": [{"destination": {"host": "app"}}]}], "exportTo": ["."]},
    });
    let patch = routes_change(&present);
    assert_eq!(patch["spec"]["exportTo"], json!(null));
    assert_eq!(patch["metadata"].get("labels"), None, "what others wrote stays");
    assert_eq!(patch["metadata"]["annotations"].get("note"), None);
    assert_eq!(patch["metadata"].get("ownerReferences"), None);
    let kept = patch["metadata"]["annotations"][annotation::FLAGGER_ORIGINAL].as_str().expect("kept");
    assert_eq!(serde_json::from_str::<Value>(kept).unwrap(), present["spec"]);
}

#[test]
fn what_routes_were_is_kept_once_and_never_one_of_ours() {
    let kept = |annotations: Value, spec: Value, owners: Value| {
        let present =
            json!({"metadata": {"name": "app", "annotations": annotations, "ownerReferences": owners}, "spec": spec});
        let patch = routes_change(&present);
        assert_ne!(patch["metadata"]["annotations"].get(annotation::APPLIED), Some(&Value::Null));
        patch["metadata"]["annotations"].get(annotation::FLAGGER_ORIGINAL).is_some()
    };
    let theirs = json!({"http": [{"route": [{"destination": {"host": "app"}}]}]});
    let ours = json!({"http": [{"route": [{"destination": {"host": "app-primary"}}]}]});
    assert!(kept(json!({}), theirs.clone(), json!([])));
    assert!(!kept(json!({annotation::FLAGGER_ORIGINAL: "{}"}), theirs.clone(), json!([])));
    assert!(!kept(json!({annotation::APPLIED: "{\"spec\":{}}"}), theirs.clone(), json!([])));
    assert!(!kept(json!({}), ours, json!([])));
    assert!(!kept(json!({}), theirs, json!([{"uid": "u-1", "controller": true}])));
}
