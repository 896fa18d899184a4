//! The store's rules, one by one.

use super::*;
use chrono::TimeZone;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).single().unwrap()
}

fn store() -> Store {
    let store = Store::new(Arc::new(noon));
    store.create("Namespace", None, json!({ "metadata": { "name": "test" } })).unwrap();
    store
}

fn config(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "color": "blue" } })
}

fn deployment(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
            },
        },
    })
}

fn owned(name: &str, owner: &Value, block: bool) -> Value {
    let mut object = config(name);
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": block,
    }]);
    object
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_definition_that_the_sandbox_brings_is_accepted() {
    let store = store();
    for definition in super::super::definitions::all() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        assert!(store.kinds().by_kind(kind).is_some(), "{kind}");
    }
}

#[test]
fn a_new_object_gets_what_the_server_gives() {
    let store = store();
    let object = store.create("Deployment", Some("test"), deployment("a")).unwrap();
    assert_eq!(object["apiVersion"], "apps/v1");
    assert_eq!(object["metadata"]["creationTimestamp"], "2026-11-22T12:00:00Z");
    assert_eq!(object["metadata"]["generation"], 1);
    assert_eq!(object["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(object["metadata"]["resourceVersion"], store.revision().to_string());
    assert_eq!(object["spec"]["replicas"], 1);
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    let error = store.create("Deployment", Some("test"), deployment("a")).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "AlreadyExists"));
    assert_eq!(error.message, "deployments.apps \"a\" already exists");
    let error = store.create("Deployment", Some("nowhere"), deployment("a")).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (404, "namespaces \"nowhere\" not found"));
}

#[test]
fn names_are_generated_by_the_seed() {
    let made = |seed| {
        let store = Store::bare(Arc::new(noon), seed, 10);
        store.create("Namespace", None, json!({ "metadata": { "name": "test" } })).unwrap();
        let object = json!({ "metadata": { "generateName": "a-" } });
        let object = store.create("ConfigMap", Some("test"), object).unwrap();
        text(&object, "/metadata/name").to_owned()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert!(made(1).starts_with("a-") && made(1).len() == 7);
}

#[test]
fn a_write_that_changes_nothing_makes_no_resource_version() {
    let store = store();
    let first = store.create("ConfigMap", Some("test"), config("a")).unwrap();
    let before = store.revision();
    let second = store.modify("ConfigMap", Some("test"), "a", |o| o["data"]["color"] = json!("blue")).unwrap();
    assert_eq!(first, second);
    assert_eq!(store.revision(), before);
}

#[test]
fn generation_counts_what_is_asked_for_alone() {
    let store = store();
    store.create("Deployment", Some("test"), deployment("a")).unwrap();
    let modify = |change: fn(&mut Value)| {
        let object = store.modify("Deployment", Some("test"), "a", change).unwrap();
        object["metadata"]["generation"].as_i64().unwrap()
    };
    assert_eq!(modify(|o| o["metadata"]["labels"] = json!({ "a": "b" })), 1);
    assert_eq!(modify(|o| o["spec"]["replicas"] = json!(3)), 2);
    let object = store
        .modify_status("Deployment", Some("test"), "a", |o| {
            o["status"]["readyReplicas"] = json!(3);
            o["spec"]["replicas"] = json!(9);
        })
        .unwrap();
    assert_eq!(object["metadata"]["generation"], 2);
    assert_eq!(object["spec"]["replicas"], 3);
    assert_eq!(object["status"]["readyReplicas"], 3);
    assert_eq!(modify(|o| o["metadata"]["annotations"]["a"] = json!("b")), 3, "what a Deployment hands down");
}

#[test]
fn a_write_from_outside_keeps_to_its_part() {
    let store = store();
    let kind = store.kind("Deployment").unwrap();
    let mut object = deployment("a");
    object["status"] = json!({ "replicas": 7 });
    let made = store.create_as(&kind, Some("test"), object, &Write::by("x", Part::Main)).unwrap();
    assert_eq!(made["status"], json!({}));
    let write = |part| {
        store.update_as(&kind, Some("test"), "a", &Write::by("x", part), |current| {
            let mut object = current.clone();
            object["spec"]["replicas"] = json!(5);
            object["status"]["replicas"] = json!(5);
            Ok(object)
        })
    };
    let object = write(Part::Main).unwrap();
    assert_eq!((&object["spec"]["replicas"], object["status"].get("replicas")), (&json!(5), None));
    let object = write(Part::Status).unwrap();
    assert_eq!(object["status"]["replicas"], 5);
}

#[test]
fn an_old_resource_version_is_a_conflict() {
    let store = store();
    let kind = store.kind("ConfigMap").unwrap();
    let first = store.create("ConfigMap", Some("test"), config("a")).unwrap();
    store.modify("ConfigMap", Some("test"), "a", |o| o["data"]["color"] = json!("green")).unwrap();
    let write = Write::by("x", Part::Main);
    let error = store.update_as(&kind, Some("test"), "a", &write, |_| Ok((*first).clone())).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
}

#[test]
fn a_dry_run_leaves_no_trace() {
    let store = store();
    let kind = store.kind("ConfigMap").unwrap();
    let before = store.revision();
    let write = Write { dry_run: true, ..Write::by("x", Part::Main) };
    store.create_as(&kind, Some("test"), config("a"), &write).unwrap();
    assert!(store.get("ConfigMap", Some("test"), "a").is_none());
    assert_eq!(store.revision(), before);
}

#[test]
fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let store = store();
    let mut object = config("a");
    object["metadata"]["finalizers"] = json!(["x/y"]);
    store.create("ConfigMap", Some("test"), object).unwrap();
    let deleted = store.delete("ConfigMap", Some("test"), "a", &DeleteOptions::default()).unwrap();
    assert!(!deleted.gone);
    assert_eq!(deleted.object["metadata"]["deletionTimestamp"], "2026-11-22T12:00:00Z");
    store.modify("ConfigMap", Some("test"), "a", |o| o["metadata"]["finalizers"] = json!([])).unwrap();
    assert!(store.get("ConfigMap", Some("test"), "a").is_none());
}

#[test]
fn what_is_owned_goes_with_the_last_owner() {
    let store = store();
    let owner = store.create("ConfigMap", Some("test"), config("owner")).unwrap();
    let other = store.create("ConfigMap", Some("test"), config("other")).unwrap();
    let child = store.create("ConfigMap", Some("test"), owned("child", &owner, true)).unwrap();
    store.create("ConfigMap", Some("test"), owned("grandchild", &child, true)).unwrap();
    let mut shared = owned("shared", &owner, true);
    let mut second = owned("x", &other, true)["metadata"]["ownerReferences"][0].clone();
    second["controller"] = json!(false);
    shared["metadata"]["ownerReferences"].as_array_mut().unwrap().push(second);
    store.create("ConfigMap", Some("test"), shared).unwrap();
    assert!(store.delete("ConfigMap", Some("test"), "owner", &DeleteOptions::default()).unwrap().gone);
    let (left, _) = store.list("ConfigMap", Some("test"));
    let names: Vec<&str> = left.iter().map(|o| text(o, "/metadata/name")).collect();
    assert_eq!(names, ["other", "shared"]);
    assert_eq!(left[1]["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
}

#[test]
fn an_owner_deleted_in_the_foreground_goes_last() {
    let store = store();
    let owner = store.create("ConfigMap", Some("test"), config("owner")).unwrap();
    let mut child = owned("child", &owner, true);
    child["metadata"]["finalizers"] = json!(["x/y", "y/z"]);
    store.create("ConfigMap", Some("test"), child).unwrap();
    let options = DeleteOptions { propagation: Propagation::Foreground, ..DeleteOptions::default() };
    assert!(!store.delete("ConfigMap", Some("test"), "owner", &options).unwrap().gone);
    store.modify("ConfigMap", Some("test"), "child", |o| o["metadata"]["finalizers"] = json!(["y/z"])).unwrap();
    assert!(store.get("ConfigMap", Some("test"), "owner").is_some());
    let child = store.get("ConfigMap", Some("test"), "child").unwrap();
    assert!(child["metadata"]["deletionTimestamp"].is_string());
    store.modify("ConfigMap", Some("test"), "child", |o| o["metadata"]["finalizers"] = json!([])).unwrap();
    assert_eq!(store.list("ConfigMap", Some("test")).0.len(), 0);
}

#[test]
fn orphans_stay_and_the_abandoned_go() {
    let store = store();
    let owner = store.create("ConfigMap", Some("test"), config("owner")).unwrap();
    store.create("ConfigMap", Some("test"), owned("child", &owner, true)).unwrap();
    let options = DeleteOptions { propagation: Propagation::Orphan, ..DeleteOptions::default() };
    store.delete("ConfigMap", Some("test"), "owner", &options).unwrap();
    let child = store.get("ConfigMap", Some("test"), "child").unwrap();
    assert!(child["metadata"].get("ownerReferences").is_none());
    store.create("ConfigMap", Some("test"), owned("late", &owner, true)).unwrap();
    assert!(store.get("ConfigMap", Some("test"), "late").is_none(), "its owner is gone already");
}

#[test]
fn a_pod_on_a_node_leaves_when_the_node_is_done() {
    let store = store();
    let pod = json!({
        "metadata": { "name": "p" },
        "spec": { "nodeName": "n", "containers": [{ "name": "app", "image": "app:1" }] },
    });
    store.create("Pod", Some("test"), pod).unwrap();
    let deleted = store.delete("Pod", Some("test"), "p", &DeleteOptions::default()).unwrap();
    assert!(!deleted.gone);
    assert_eq!(deleted.object["metadata"]["deletionTimestamp"], "2026-11-22T12:00:30Z");
    let done = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    assert!(store.delete("Pod", Some("test"), "p", &done).unwrap().gone);
}

#[test]
fn a_pod_on_a_node_is_not_torn_away_by_how_it_is_deleted() {
    let store = store();
    for (name, propagation) in [("a", Propagation::Foreground), ("b", Propagation::Orphan)] {
        let pod = json!({
            "metadata": { "name": name },
            "spec": { "nodeName": "n", "containers": [{ "name": "app", "image": "app:1" }] },
        });
        store.create("Pod", Some("test"), pod).unwrap();
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        assert!(!store.delete("Pod", Some("test"), name, &options).unwrap().gone);
        assert!(store.get("Pod", Some("test"), name).is_some(), "the node is not done with it");
        let done = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        assert!(store.delete("Pod", Some("test"), name, &done).unwrap().gone);
    }
}

#[test]
fn preconditions_guard_a_deletion() {
    let store = store();
    store.create("ConfigMap", Some("test"), config("a")).unwrap();
    let options = DeleteOptions { uid: Some("other".into()), ..DeleteOptions::default() };
    assert_eq!(store.delete("ConfigMap", Some("test"), "a", &options).unwrap_err().code, 409);
    let options = DeleteOptions { resource_version: Some("1".into()), ..DeleteOptions::default() };
    assert_eq!(store.delete("ConfigMap", Some("test"), "a", &options).unwrap_err().code, 409);
}

#[test]
fn a_namespace_goes_however_it_is_deleted() {
    for propagation in [Propagation::Foreground, Propagation::Orphan] {
        let store = store();
        store.create("ConfigMap", Some("test"), config("a")).unwrap();
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        store.delete("Namespace", None, "test", &options).unwrap();
        assert!(store.get("Namespace", None, "test").is_none());
    }
}

#[test]
fn a_namespace_takes_everything_with_it() {
    let store = store();
    let mut held = config("held");
    held["metadata"]["finalizers"] = json!(["x/y"]);
    store.create("ConfigMap", Some("test"), held).unwrap();
    store.create("Deployment", Some("test"), deployment("a")).unwrap();
    assert!(!store.delete("Namespace", None, "test", &DeleteOptions::default()).unwrap().gone);
    assert!(store.get("Deployment", Some("test"), "a").is_none());
    let error = store.create("ConfigMap", Some("test"), config("late")).unwrap_err();
    assert_eq!(error.code, 403);
    store.modify("ConfigMap", Some("test"), "held", |o| o["metadata"]["finalizers"] = json!([])).unwrap();
    assert!(store.get("Namespace", None, "test").is_none());
}

#[test]
fn a_definition_serves_its_kind_and_takes_it_along() {
    let store = Store::bare(Arc::new(noon), 0, 100);
    store.create("Namespace", None, json!({ "metadata": { "name": "test" } })).unwrap();
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "a" });
    let analysis = json!({ "interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10 });
    let spec = json!({ "targetRef": target, "service": { "port": 80 }, "analysis": analysis });
    let canary = json!({ "metadata": { "name": "a" }, "spec": spec });
    assert_eq!(store.create("Canary", Some("test"), canary.clone()).unwrap_err().code, 404);
    let definitions = super::super::definitions::all();
    let definition = definitions.iter().find(|d| d["spec"]["names"]["kind"] == "Canary").unwrap();
    store.create("CustomResourceDefinition", None, definition.clone()).unwrap();
    store.create("Canary", Some("test"), canary).unwrap();
    store.delete("CustomResourceDefinition", None, "canaries.flagger.app", &DeleteOptions::default()).unwrap();
    assert!(store.get("Canary", Some("test"), "a").is_none());
    assert!(store.kinds().by_kind("Canary").is_none());
}

#[test]
fn a_list_can_be_had_as_it_was() {
    let store = store();
    let kind = store.kind("ConfigMap").unwrap();
    for name in ["a", "b"] {
        store.create("ConfigMap", Some("test"), config(name)).unwrap();
    }
    let (before, revision) = store.list("ConfigMap", Some("test"));
    store.create("ConfigMap", Some("test"), config("c")).unwrap();
    store.modify("ConfigMap", Some("test"), "a", |o| o["data"] = json!({})).unwrap();
    store.delete("ConfigMap", Some("test"), "b", &DeleteOptions::default()).unwrap();
    assert_eq!(store.list_at(&kind, Some("test"), revision).unwrap(), before);
}

#[test]
fn what_is_no_longer_kept_is_expired() {
    let store = Store::bare(Arc::new(noon), 0, 2);
    let start = store.revision();
    for name in ["a", "b", "c"] {
        store.create("Namespace", None, json!({ "metadata": { "name": name } })).unwrap();
    }
    let kind = store.kind("Namespace").unwrap();
    let error = store.changes_of(&kind, start).unwrap_err();
    assert_eq!((error.code, error.reason), (410, "Expired"));
    assert_eq!(store.changes_of(&kind, start + 1).unwrap().0.len(), 2);
}

#[test]
fn changes_come_in_order_with_what_was_before() {
    let store = store();
    let mut changes = store.subscribe();
    store.create("ConfigMap", Some("test"), config("a")).unwrap();
    store.modify("ConfigMap", Some("test"), "a", |o| o["data"] = json!({})).unwrap();
    store.delete("ConfigMap", Some("test"), "a", &DeleteOptions::default()).unwrap();
    let mut seen = Vec::new();
    while let Ok(change) = changes.try_recv() {
        assert_eq!(change.object["metadata"]["resourceVersion"], change.resource_version.to_string());
        seen.push((change.event, change.previous.is_some()));
    }
    use ChangeEvent::{Added, Deleted, Modified};
    assert_eq!(seen, [(Added, false), (Modified, true), (Deleted, true)]);
}

#[test]
fn fields_belong_to_who_wrote_them_last() {
    let store = store();
    let kind = store.kind("Deployment").unwrap();
    let write = |manager| Write::by(manager, Part::Main);
    store.create_as(&kind, Some("test"), deployment("a"), &write("alice")).unwrap();
    let object = store
        .update_as(&kind, Some("test"), "a", &write("bob"), |current| {
            let mut object = current.clone();
            object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
            Ok(object)
        })
        .unwrap();
    let image = "/fieldsV1/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"app\"}/f:image";
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let holders: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.pointer(image).is_some())
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!((entries.len(), holders), (2, vec!["bob"]));
    assert_eq!(entries[1]["fieldsV1"]["f:spec"].as_object().unwrap().len(), 1);
}

#[test]
fn what_is_applied_belongs_to_who_applied_it() {
    let store = store();
    let kind = store.kind("ConfigMap").unwrap();
    let apply = |manager: &str, data: Value, force: bool| {
        let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": data });
        store.apply_as(&kind, Some("test"), "a", &config, &Write::by(manager, Part::Main), force)
    };
    let (_, created) = apply("alice", json!({ "color": "blue", "size": "1" }), false).unwrap();
    assert!(created);
    let error = apply("bob", json!({ "color": "red" }), false).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"alice\": .data.color");
    assert_eq!(error.details["causes"][0]["reason"], "FieldManagerConflict");
    // Agreeing is no conflict, and then both own it.
    let before = store.revision();
    apply("bob", json!({ "color": "blue" }), false).unwrap();
    assert_eq!(store.revision(), before + 1);
    let (object, _) = apply("alice", json!({ "size": "1" }), false).unwrap();
    assert_eq!(object["data"], json!({ "color": "blue", "size": "1" }), "bob still says it");
    let (object, _) = apply("bob", json!({}), false).unwrap();
    assert_eq!(object["data"], json!({ "size": "1" }), "nobody says it any more");
    let (object, _) = apply("bob", json!({ "size": "2" }), true).unwrap();
    let owners: Vec<&str> = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry.pointer("/fieldsV1/f:data/f:size").is_some())
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(owners, ["bob"]);
    let before = store.revision();
    apply("bob", json!({ "size": "2" }), false).unwrap();
    assert_eq!(store.revision(), before, "applying the same again is no change");
}

#[test]
fn elements_are_applied_by_their_keys() {
    let store = store();
    let kind = store.kind("Deployment").unwrap();
    let apply = |manager: &str, containers: Value, force: bool| {
        let mut config = deployment("a");
        config["apiVersion"] = json!("apps/v1");
        config["kind"] = json!("Deployment");
        config["spec"]["template"]["spec"] = json!({ "containers": containers });
        store.apply_as(&kind, Some("test"), "a", &config, &Write::by(manager, Part::Main), force)
    };
    let names = |object: &Value| -> Vec<String> {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        containers.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    apply("alice", json!([{ "name": "app", "image": "app:1" }]), false).unwrap();
    let (object, _) = apply("bob", json!([{ "name": "side", "image": "side:1" }]), false).unwrap();
    assert_eq!(names(&object), ["app", "side"]);
    let both = json!([{ "name": "side" }, { "name": "app", "image": "app:1" }]);
    let (object, _) = apply("alice", both, false).unwrap();
    assert_eq!(names(&object), ["side", "app"], "the order is the last configuration's");
    let error = apply("bob", json!([{ "name": "app", "image": "app:2" }]), false).unwrap_err();
    assert!(error.message.ends_with(".spec.template.spec.containers[name=\"app\"].image"), "{error}");
    let error = apply("bob", json!([{ "name": "x" }, { "name": "x" }]), false).unwrap_err();
    assert!(error.message.ends_with("duplicate entries for key [name=\"x\"]"), "{error}");
}

#[test]
fn nonsense_is_refused_with_its_causes() {
    let store = store();
    let mut object = deployment("a");
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
    object["spec"]["replicas"] = json!(-1);
    let error = store.create("Deployment", Some("test"), object).unwrap_err();
    assert_eq!((error.code, error.reason), (422, "Invalid"));
    let causes = error.details["causes"].as_array().unwrap();
    assert_eq!(causes[0]["field"], "spec.replicas");
    assert_eq!(causes[1]["field"], "spec.template.spec.containers[0].image");
    for nonsense in [
        json!(1),
        json!({ "metadata": 1 }),
        json!({ "metadata": { "name": "A b" } }),
        json!({ "metadata": { "name": "a", "labels": 1 } }),
        json!({ "metadata": { "name": "a" }, "spec": 1 }),
    ] {
        assert!(store.create("Deployment", Some("test"), nonsense.clone()).is_err(), "{nonsense}");
    }
}
