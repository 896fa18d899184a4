//! The sandbox's API beside a real one: the same requests to both, compared answer by answer. Where they differ the
//! sandbox is wrong, or the difference stands in [`DIFFERENCES`] with its reason; a difference that stands there and
//! is found no more fails too.
//!
//! Needs a real control plane: `tests/cluster/up DIR`, then `CANARY_TUI_CLUSTER=DIR cargo test --test real_api`.

#[path = "api/applying.rs"]
mod applying;
#[path = "api/cluster.rs"]
mod cluster;
#[path = "api/describing.rs"]
mod describing;
#[path = "api/differences.rs"]
mod differences;
#[path = "api/lifecycle.rs"]
mod lifecycle;
#[path = "api/reading.rs"]
mod reading;
#[path = "api/script.rs"]
mod script;
#[path = "api/writing.rs"]
mod writing;

use cluster::Cluster;
use differences::Verdict;
use futures::future::BoxFuture;
use script::Script;

/// What is done, on one cluster.
type Behaviour = for<'s, 'c> fn(&'s mut Script<'c>) -> BoxFuture<'s, ()>;

async fn alike(name: &str, behaviour: Behaviour) {
    let (sandbox, real) = (Cluster::sandbox().await, Cluster::real().await);
    let (sandbox, real) = tokio::join!(taken(&sandbox, name, behaviour), taken(&real, name, behaviour));
    let verdict = Verdict::of(name, &sandbox, &real);
    println!("{name}: {} answers compared, {} differences accepted", sandbox.len(), verdict.accepted);
    assert!(verdict.complaints.is_empty(), "{}", verdict.complaints.join("\n"));
}

async fn taken(cluster: &Cluster, name: &str, behaviour: Behaviour) -> Vec<(String, serde_json::Value)> {
    let mut script = Script::begin(cluster, name).await;
    behaviour(&mut script).await;
    script.end().await;
    script.answers
}

macro_rules! behaviours {
    ($($test:ident: $name:literal, $behaviour:path;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        #[cfg_attr(not(go), ignore = "go is not installed")]
        async fn $test() {
            alike($name, $behaviour).await;
        }
    )*};
}

behaviours! {
    lists_come_alike: "lists", reading::lists;
    selectors_select_alike: "selectors", reading::selectors;
    watches_see_alike: "watches", reading::watches;
    metadata_comes_alike: "metadata", reading::metadata;
    kinds_are_completed_alike: "kinds", writing::kinds;
    pods_are_completed_alike: "pods", writing::pods;
    conflicts_are_told_alike: "conflicts", writing::conflicts;
    patches_are_applied_alike: "patches", writing::patches;
    nonsense_is_refused_alike: "validation", writing::validation;
    generations_are_counted_alike: "generation", writing::generation;
    dry_runs_leave_alike: "dry runs", writing::dry_runs;
    maps_are_owned_alike: "applied maps", applying::applied_maps;
    lists_are_owned_alike: "applied lists", applying::applied_lists;
    custom_kinds_are_owned_alike: "applied custom", applying::applied_custom;
    nonsense_is_not_applied_alike: "applied nonsense", applying::applied_nonsense;
    plain_writes_own_alike: "plain owners", applying::plain_owners;
    finalizers_hold_alike: "finalizers", lifecycle::finalizers;
    owners_take_along_alike: "owners", lifecycle::owners;
    deletions_go_alike: "deletions", lifecycle::deletions;
    namespaces_leave_alike: "namespaces", lifecycle::namespaces;
    errors_read_alike: "errors", describing::errors;
    tables_read_alike: "tables", describing::tables;
    discovery_tells_alike: "discovery", describing::discovery;
    reviews_answer_alike: "reviews", describing::reviews;
    definitions_define_alike: "definitions", describing::definitions;
}
