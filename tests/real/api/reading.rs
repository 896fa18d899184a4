//! Lists, selectors and watches.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::script::{MERGE, Script};

pub const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

fn config(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "labels": { "app": app, "suite": "api" } },
        "data": { "color": "blue" },
    })
}

fn lease(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "holderIdentity": "somebody" } })
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

/// Pages, versions, and what is refused.
pub fn lists<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let leases = s.at("apis/coordination.k8s.io/v1", "leases");
        s.get("none", &leases).await;
        let mut at = String::new();
        for name in ["a", "b", "c", "d", "e"] {
            at = version(&s.post(&format!("create {name}"), &leases, lease(name)).await);
        }
        s.get("all", &leases).await;
        let page = s.get("first page", &format!("{leases}?limit=2")).await;
        let token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        s.post("create meanwhile", &leases, lease("bb")).await;
        let page = s.get("second page", &format!("{leases}?limit=2&continue={token}")).await;
        let token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        s.get("last page", &format!("{leases}?limit=2&continue={token}")).await;
        s.get("a page of a version", &format!("{leases}?limit=2&continue={token}&resourceVersion={at}")).await;
        s.get("exact", &format!("{leases}?resourceVersion={at}&resourceVersionMatch=Exact")).await;
        s.get("not older", &format!("{leases}?resourceVersion={at}&resourceVersionMatch=NotOlderThan")).await;
        s.get("zero", &format!("{leases}?resourceVersion=0")).await;
        s.get("exact zero", &format!("{leases}?resourceVersion=0&resourceVersionMatch=Exact")).await;
        s.get("a match of nothing", &format!("{leases}?resourceVersionMatch=Exact")).await;
        s.get("an unknown match", &format!("{leases}?resourceVersion={at}&resourceVersionMatch=Nearly")).await;
        s.get("no version", &format!("{leases}?resourceVersion=abc")).await;
        s.get("a future version", &format!("{leases}?resourceVersion=99999999999")).await;
        s.get("a version of one", &format!("{leases}/a?resourceVersion={at}")).await;
        s.get("a token of nobody", &format!("{leases}?limit=2&continue=abc")).await;
        s.get("a limit that is none", &format!("{leases}?limit=abc")).await;
        s.get("everywhere by selector", "/apis/coordination.k8s.io/v1/leases?labelSelector=no=such").await;
        s.ask("the head", "HEAD", &leases, &[], "").await;
    }
    .boxed()
}

/// Labels and fields.
pub fn selectors<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        for (name, app) in [("a", "web"), ("b", "web"), ("c", "db")] {
            s.post(&format!("create {name}"), &s.config(""), config(name, app)).await;
        }
        for (step, selector) in [
            ("equal", "app%3Dweb,suite"),
            ("twice equal", "app%3D%3Dweb,suite"),
            ("unequal", "app!%3Dweb,suite%3Dapi"),
            ("in", "app%20in%20(web,%20db),suite"),
            ("not in", "app%20notin%20(web),suite"),
            ("missing", "!suite,nobody"),
            ("unreadable", "app%20web"),
            ("unclosed", "app%20in%20(web"),
            ("a bad key", "-app%3Dweb"),
            ("a bad value", "app%3D-web"),
        ] {
            s.get(step, &s.config(&format!("?labelSelector={selector}"))).await;
        }
        for (step, selector) in [
            ("by name", "metadata.name%3Da"),
            ("not by name", "metadata.name!%3Da,metadata.name!%3Dkube-root-ca.crt"),
            ("by namespace", "metadata.namespace%3Dnowhere"),
            ("by a field it has not", "spec.color%3Dblue"),
            ("by nonsense", "metadata.name"),
        ] {
            s.get(step, &s.config(&format!("?fieldSelector={selector}"))).await;
        }
        s.get("a custom field", &s.canary("?fieldSelector=spec.suspend%3Dtrue")).await;
        s.get("pods by phase", &s.at("api/v1", "pods?fieldSelector=status.phase%3DRunning")).await;
        s.get("events by kind", &s.at("api/v1", "events?fieldSelector=involvedObject.kind%3DCanary")).await;
    }
    .boxed()
}

/// Watches: from a version, selected, by name, from the beginning.
pub fn watches<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("create a", &s.config(""), config("a", "web")).await;
        let list = s.get("before", &s.config("?labelSelector=suite")).await;
        let from = version(&list);
        let path = s.config(&format!("?resourceVersion={from}&labelSelector=app%3Dweb"));
        s.watch("selected", &path, "application/json", |s| {
            async move {
                s.post("create b", &s.config(""), config("b", "web")).await;
                let leaves = json!({ "metadata": { "labels": { "app": "db" } } });
                s.patch("a leaves", &s.config("/a"), MERGE, leaves).await;
                s.patch("a changes elsewhere", &s.config("/a"), MERGE, json!({ "data": { "x": "y" } })).await;
                let returns = json!({ "metadata": { "labels": { "app": "web" } } });
                s.patch("a returns", &s.config("/a"), MERGE, returns).await;
                s.delete("b goes", &s.config("/b"), None).await;
            }
            .boxed()
        })
        .await;
        s.watch("all that was", &path, "application/json", |_| async {}.boxed()).await;
        let by_name = s.config("?fieldSelector=metadata.name%3Da");
        s.watch("by name, from now", &by_name, "application/json", |_| async {}.boxed()).await;
        let begin = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let path = s.config(&format!("?labelSelector=suite&{begin}"));
        s.watch("from the beginning", &path, "application/json", |_| async {}.boxed()).await;
        s.watch("as tables", &path, TABLE, |_| async {}.boxed()).await;
        s.watch("as metadata", &path, PARTIAL, |_| async {}.boxed()).await;
        let path = s
            .config("?labelSelector=suite&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
        s.watch("without the beginning", &path, "application/json", |_| async {}.boxed()).await;
        s.get("no bookmarks", &s.config("?watch=true&timeoutSeconds=1&sendInitialEvents=true")).await;
        s.get("an old version", &s.config("?watch=true&timeoutSeconds=1&resourceVersion=1")).await;
        s.get("no version", &s.config("?watch=true&timeoutSeconds=1&resourceVersion=abc")).await;
        s.get("one watched", &s.config(&format!("/a?watch=true&timeoutSeconds=1&resourceVersion={from}"))).await;
    }
    .boxed()
}

/// Metadata alone.
pub fn metadata<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("create", &s.config(""), config("a", "web")).await;
        s.get_as("one", &s.config("/a"), PARTIAL).await;
        s.get_as("all", &s.config("?labelSelector=suite"), PARTIAL_LIST).await;
        s.get_as("all, asked as one", &s.config("?labelSelector=suite"), PARTIAL).await;
        s.get_as("one, asked as all", &s.config("/a"), PARTIAL_LIST).await;
        s.get_as("or whole", &s.config("/a"), "application/json;as=Unheard;g=meta.k8s.io;v=v1,application/json").await;
        s.get_as("neither", &s.config("/a"), "text/html").await;
        let label = json!({ "metadata": { "labels": { "x": "y" } } });
        let headers = [("content-type", MERGE), ("accept", PARTIAL)];
        s.ask("patched", "PATCH", &s.config("/a"), &headers, label.to_string()).await;
    }
    .boxed()
}
