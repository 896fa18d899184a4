//! The store's rules, one by one.

use super::*;
use chrono::TimeZone;

fn store() -> Store {
    let clock: Clock = Arc::new(|| Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).single().unwrap_or_default());
    let store = Store::new(clock);
    let namespace = json!({ "metadata": { "name": "test" } });
    store.create("Namespace", None, namespace).unwrap();
    store
}

fn config(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "color": "blue" } })
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
fn a_write_that_changes_nothing_makes_no_resource_version() {
    let store = store();
    let first = store.create("ConfigMap", Some("test"), config("a")).unwrap();
    let before = store.revision();
    let second = store
        .modify("ConfigMap", Some("test"), "a", |o| {
            o["data"]["color"] = json!("blue");
        })
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(store.revision(), before);
}
