//! A Canary that is released on the embedded cluster: it is deleted under its finalizer, so that its traffic can go back
//! before it goes.

mod rehearsal;

use canary_tui::api::{FINALIZER, Phase, Verb, annotation};
use canary_tui::cluster::CanaryRecord;
use canary_tui::cluster::requests::Outcome;
use canary_tui::sandbox::store::Change;
use rehearsal::{APP, Rehearsal, hurried};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

/// Nothing here happens because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);

/// The versions of the app's Canary that came since `changes` began.
fn versions(changes: &mut Receiver<Arc<Change>>) -> Vec<Arc<Value>> {
    let came = std::iter::from_fn(|| changes.try_recv().ok());
    came.filter(|change| &*change.kind == "Canary" && change.name == APP).map(|change| change.object.clone()).collect()
}

fn held(canary: &Value) -> bool {
    canary["metadata"]["finalizers"].as_array().is_some_and(|list| list.contains(&json!(FINALIZER)))
}

fn deleting(canary: &Value) -> bool {
    canary["metadata"].get("deletionTimestamp").is_some()
}

/// Waits until the Canary is on its way out, or out.
async fn until_leaving(rehearsal: &Rehearsal) {
    let leaving = |phase| phase == Phase::Terminating;
    rehearsal.until("it leaves", |w| w.canaries.get(APP).is_none_or(|c| leaving(c.status.phase))).await;
}

fn outcomes(rehearsal: &Rehearsal) -> Vec<String> {
    rehearsal.messages().into_iter().filter(|message| message.starts_with("Request release")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_canary_is_deleted_only_while_its_finalizer_holds_it() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.until_phase(Phase::Initialized).await;
    let mut changes = rehearsal.sandbox.store().subscribe();
    let outcome = rehearsal.ask(Verb::Release).await;
    assert!(matches!(&outcome, Outcome::CarriedOut(m) if m.contains("alice")), "{outcome:?}");
    until_leaving(&rehearsal).await;
    let versions = versions(&mut changes);
    let first = versions.iter().position(|canary| deleting(canary)).expect("it is deleted");
    assert!(held(&versions[first]) && held(&versions[first - 1]), "the finalizer came before the deletion");
    let request = &versions[first]["metadata"]["annotations"][annotation::REQUEST];
    assert!(request.is_string(), "the request is there until the deletion is: {}", versions[first]);
    let left = versions.last().expect("a version");
    assert_eq!(left["metadata"]["annotations"][annotation::REQUEST], Value::Null, "and then taken off");
    assert_eq!(outcomes(&rehearsal).len(), 1, "answered once: {:#?}", outcomes(&rehearsal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_goes_on_wherever_its_driver_died() {
    // After the finalizer, and after the deletion, of which nothing was said yet.
    for deleted in [false, true] {
        let mut rehearsal = Rehearsal::driving(hurried(NEVER)).await;
        rehearsal.until_phase(Phase::Initialized).await;
        rehearsal.controller.take().expect("a controller").stop().await;
        let (store, namespace) = (rehearsal.sandbox.store().clone(), rehearsal.connection.namespace.clone());
        let request = json!({"id": "00ff", "verb": "release", "revision": rehearsal.revision(), "by": "alice",
            "at": "2026-01-01T00:00:00Z"});
        let written = |canary: &mut Value| {
            canary["metadata"]["finalizers"] = json!([FINALIZER]);
            canary["metadata"]["annotations"][annotation::REQUEST] = json!(request.to_string());
        };
        store.modify("Canary", Some(&namespace), APP, written).expect("it is written");
        if deleted {
            store.delete("Canary", Some(&namespace), APP, &Default::default()).expect("it is deleted");
        }
        rehearsal.drive();
        until_leaving(&rehearsal).await;
        let said = outcomes(&rehearsal);
        assert!(said.len() == 1 && said[0].contains("by alice carried out"), "{said:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_may_not_delete_refuses_and_leaves_the_canary_as_it_was() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.until_phase(Phase::Initialized).await;
    rehearsal.sandbox.deny(Some(Arc::new(|asked| asked.resource == "canaries" && asked.verb == "delete")));
    let outcome = rehearsal.ask(Verb::Release).await;
    assert!(matches!(&outcome, Outcome::Refused(m) if m.contains("cannot delete")), "{outcome:?}");
    let as_it_was = |canary: &CanaryRecord| canary.request.is_none() && canary.finalizers.is_empty();
    rehearsal.until("the finalizer goes", |w| as_it_was(&w.canaries[APP])).await;
    assert_eq!(outcomes(&rehearsal).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_under_way_is_not_released() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    rehearsal.set_version("1.1.0").await;
    rehearsal.until_phase(Phase::Progressing).await;
    let outcome = rehearsal.ask(Verb::Release).await;
    assert!(matches!(&outcome, Outcome::Refused(m) if m.contains("a rollout is under way")), "{outcome:?}");
    rehearsal.until("it is taken off", |w| w.canaries[APP].request.is_none()).await;
    assert!(!rehearsal.mirror.read().canaries[APP].deleting);
}
