//! Deleting: finalizers, owners, preconditions, namespaces.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::script::{MERGE, Script};

fn config(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "color": "blue" } })
}

fn owned(name: &str, owner: &Value) -> Value {
    json!({ "metadata": { "name": name, "ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    }] } })
}

fn is_gone(object: &Value) -> bool {
    object["code"] == 404
}

/// Finalizers hold an object.
pub fn finalizers<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let mut held = config("a");
        held["metadata"]["finalizers"] = json!(["suite.example.com/held", "suite.example.com/again"]);
        s.post("create", &s.config(""), held).await;
        s.delete("delete", &s.config("/a"), None).await;
        s.get("is held", &s.config("/a")).await;
        s.delete("delete again", &s.config("/a"), None).await;
        s.patch("change meanwhile", &s.config("/a"), MERGE, json!({ "data": { "x": "y" } })).await;
        s.patch(
            "one more finalizer",
            &s.config("/a"),
            MERGE,
            json!({ "metadata": { "finalizers": ["suite.example.com/held", "suite.example.com/new"] } }),
        )
        .await;
        s.patch(
            "one finalizer less",
            &s.config("/a"),
            MERGE,
            json!({ "metadata": { "finalizers": ["suite.example.com/held"] } }),
        )
        .await;
        s.patch("let go", &s.config("/a"), MERGE, json!({ "metadata": { "finalizers": null } })).await;
        s.get("is gone", &s.config("/a")).await;
        let mut canary = crate::writing::canary("a");
        canary["metadata"]["finalizers"] = json!(["finalizer.flagger.app"]);
        s.post("a canary", &s.canary(""), canary).await;
        s.delete("a canary deleted", &s.canary("/a"), None).await;
        s.patch("a canary let go", &s.canary("/a"), MERGE, json!({ "metadata": { "finalizers": [] } })).await;
        s.get("a canary gone", &s.canary("/a")).await;
    }
    .boxed()
}

/// What is owned follows its owner, or not.
pub fn owners<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let owner = s.post("an owner", &s.config(""), config("owner")).await;
        s.post("owned", &s.config(""), owned("child", &owner)).await;
        s.delete("in the background", &s.config("/owner"), Some(json!({ "propagationPolicy": "Background" }))).await;
        s.until("the child follows", &s.config("/child"), is_gone).await;

        let owner = s.post("a second owner", &s.config(""), config("second")).await;
        let mut child = owned("held", &owner);
        child["metadata"]["finalizers"] = json!(["suite.example.com/held"]);
        s.post("owned and held", &s.config(""), child).await;
        s.delete("in the foreground", &s.config("/second"), Some(json!({ "propagationPolicy": "Foreground" }))).await;
        s.until("the child goes first", &s.config("/held"), |one| one["metadata"]["deletionTimestamp"].is_string())
            .await;
        s.get("the owner waits", &s.config("/second")).await;
        s.patch("the child is let go", &s.config("/held"), MERGE, json!({ "metadata": { "finalizers": null } })).await;
        s.until("the owner follows", &s.config("/second"), is_gone).await;

        let owner = s.post("a third owner", &s.config(""), config("third")).await;
        s.post("owned by the third", &s.config(""), owned("orphan", &owner)).await;
        s.delete("leaving orphans", &s.config("/third?propagationPolicy=Orphan"), None).await;
        s.until("the third is gone", &s.config("/third"), is_gone).await;
        s.until("the orphan stays", &s.config("/orphan"), |one| one["metadata"].get("ownerReferences").is_none()).await;

        let gone = json!({ "metadata": { "name": "nobody", "uid": "00000000-0000-4000-8000-000000000002" } });
        s.post("owned by nobody", &s.config(""), owned("abandoned", &gone)).await;
        s.until("the abandoned goes", &s.config("/abandoned"), is_gone).await;
        let mut bad = config("bad");
        bad["metadata"]["ownerReferences"] = json!([{ "kind": "ConfigMap", "name": "x" }]);
        s.post("a reference that is none", &s.config(""), bad).await;
        let mut two = owned("two", &gone);
        two["metadata"]["ownerReferences"][0]["controller"] = json!(true);
        let mut other = two["metadata"]["ownerReferences"][0].clone();
        other["uid"] = json!("00000000-0000-4000-8000-000000000003");
        two["metadata"]["ownerReferences"].as_array_mut().expect("a list").push(other);
        s.post("two controllers", &s.config(""), two).await;
    }
    .boxed()
}

/// Preconditions, options, and collections.
pub fn deletions<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let made = s.post("create", &s.config(""), config("a")).await;
        let uid = json!({ "preconditions": { "uid": "00000000-0000-4000-8000-000000000000" } });
        s.delete("another uid", &s.config("/a"), Some(uid)).await;
        let version = json!({ "preconditions": { "resourceVersion": "1" } });
        s.delete("another version", &s.config("/a"), Some(version)).await;
        s.delete("an unknown policy", &s.config("/a"), Some(json!({ "propagationPolicy": "Sideways" }))).await;
        s.delete(
            "two policies",
            &s.config("/a"),
            Some(json!({ "propagationPolicy": "Orphan", "orphanDependents": true })),
        )
        .await;
        s.delete("a negative grace", &s.config("/a"), Some(json!({ "gracePeriodSeconds": -5 }))).await;
        s.ask("options that are no JSON", "DELETE", &s.config("/a"), &[("content-type", "application/json")], "{")
            .await;
        let both = json!({ "preconditions": {
            "uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"],
        } });
        s.delete("the very one", &s.config("/a"), Some(both)).await;
        s.delete("what is gone", &s.config("/a"), None).await;
        for name in ["a", "b", "c"] {
            let mut one = config(name);
            one["metadata"]["labels"] = json!({ "suite": if name == "c" { "kept" } else { "api" } });
            s.post(&format!("create {name}"), &s.config(""), one).await;
        }
        s.delete("all of a label", &s.config("?labelSelector=suite%3Dapi"), None).await;
        s.get("what is left", &s.config("?labelSelector=suite")).await;
        s.delete("a canary that is not there", &s.canary("/a"), None).await;
        s.post("a canary", &s.canary(""), crate::writing::canary("a")).await;
        s.delete("a canary deleted", &s.canary("/a"), None).await;
        s.delete("all canaries", &s.canary(""), None).await;
        s.delete("across namespaces", "/api/v1/configmaps", None).await;
    }
    .boxed()
}

/// A namespace that leaves takes nothing in.
pub fn namespaces<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let name = format!("{}-b", s.namespace);
        let path = format!("/api/v1/namespaces/{name}");
        s.post("create", "/api/v1/namespaces", json!({ "metadata": { "name": name, "labels": { "x": "y" } } })).await;
        s.post("create again", "/api/v1/namespaces", json!({ "metadata": { "name": name } })).await;
        s.patch("label", &path, MERGE, json!({ "metadata": { "labels": { "x": "z" } } })).await;
        let mut held = config("held");
        held["metadata"]["finalizers"] = json!(["suite.example.com/held"]);
        s.post("something held in it", &format!("{path}/configmaps"), held).await;
        s.delete("delete", &path, None).await;
        s.until("its content goes", &format!("{path}/configmaps/held"), |one| {
            one["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
        s.post("too late", &format!("{path}/configmaps"), config("late")).await;
        s.patch("let go", &format!("{path}/configmaps/held"), MERGE, json!({ "metadata": { "finalizers": null } }))
            .await;
        s.until("is gone", &path, is_gone).await;
    }
    .boxed()
}
