//! Server-side apply, and who owns what.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::time::Duration;

use crate::script::{APPLY, JSON, MERGE, STRATEGIC, Script};
use crate::writing::{canary, deployment};

fn config(data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": data })
}

/// Two managers and a plain map.
pub fn applied_maps<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let path = s.config("/a");
        s.apply("alice creates", &path, "alice", config(json!({ "color": "blue", "size": "1" }))).await;
        s.apply("alice applies the same", &path, "alice", config(json!({ "color": "blue", "size": "1" }))).await;
        s.apply("bob wants another color", &path, "bob", config(json!({ "color": "red" }))).await;
        s.apply("bob wants another of both", &path, "bob", config(json!({ "color": "red", "size": "2" }))).await;
        s.apply("bob agrees", &path, "bob", config(json!({ "color": "blue" }))).await;
        s.apply("alice no longer says the size", &path, "alice", config(json!({ "color": "blue" }))).await;
        s.apply("alice says nothing", &path, "alice", config(json!({}))).await;
        s.apply("carol forces", &format!("{path}?force=true"), "carol", config(json!({ "color": "red" }))).await;
        s.patch("dave just writes", &format!("{path}?fieldManager=dave"), MERGE, json!({ "data": { "color": "green", "extra": "1" } })).await;
        s.apply("carol insists", &path, "carol", config(json!({ "color": "red" }))).await;
        s.apply("carol and bob differ from dave", &path, "bob", config(json!({ "color": "blue", "extra": "2" }))).await;
        s.apply("bob lets go", &path, "bob", json!({ "apiVersion": "v1", "kind": "ConfigMap" })).await;
        let labels = json!({ "metadata": { "labels": { "x": "y" }, "annotations": { "p": "q" }, "finalizers": ["suite/held"] } });
        s.patch("labels are written", &format!("{path}?fieldManager=dave"), MERGE, labels).await;
        let finalizers = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "finalizers": ["suite/other"] } });
        s.apply("a set is joined", &path, "erin", finalizers).await;
        s.apply("a set is left", &path, "erin", json!({ "apiVersion": "v1", "kind": "ConfigMap" })).await;
        s.patch("a label goes", &format!("{path}?fieldManager=dave"), MERGE, json!({ "metadata": { "labels": { "x": null }, "finalizers": null } })).await;
        s.patch("entries are thrown away", &path, JSON, json!([{ "op": "replace", "path": "/metadata/managedFields", "value": [{}] }])).await;
        s.patch("nobody is recorded then", &path, MERGE, json!({ "data": { "new": "1" } })).await;
        s.apply("until somebody applies", &format!("{path}?force=true"), "frank", config(json!({ "new": "2" }))).await;
    }
    .boxed()
}

/// A Deployment's lists by their keys.
pub fn applied_lists<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let path = s.deployment("/a");
        s.apply("alice creates", &path, "alice", deployment("a")).await;
        let with = |pod: Value| json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "template": { "spec": pod } } });
        let side = with(json!({ "containers": [{ "name": "side", "image": "side:1" }] }));
        s.apply("bob adds a container", &path, "bob", side.clone()).await;
        let image = with(json!({ "containers": [{ "name": "app", "image": "app:2" }] }));
        s.apply("bob wants another image", &path, "bob", image.clone()).await;
        s.apply("bob forces it", &format!("{path}?force=true"), "bob", image).await;
        s.apply("alice is asked", &path, "alice", deployment("a")).await;
        s.apply("bob lets go", &path, "bob", side).await;
        let mut less = deployment("a");
        less["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
        less["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "B", "value": "2" }, { "name": "C", "value": "3" }, { "name": "A", "value": "1" }]);
        s.apply("alice orders anew", &format!("{path}?force=true"), "alice", less.clone()).await;
        less["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "1" }]);
        less["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 8080, "protocol": "UDP" }]);
        s.apply("alice has less", &format!("{path}?force=true"), "alice", less.clone()).await;
        let scaled = json!({ "spec": { "replicas": 0 } });
        s.patch("carol scales", &s.deployment("/a/scale?fieldManager=carol"), MERGE, json!({ "spec": { "replicas": 1 } })).await;
        s.patch("carol scales back", &s.deployment("/a/scale?fieldManager=carol"), MERGE, scaled).await;
        s.patch("dave sets an image", &format!("{path}?fieldManager=dave"), STRATEGIC, json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "app:3" }] } } } })).await;
        s.apply("alice meets dave", &path, "alice", less.clone()).await;
        less["spec"].as_object_mut().map(|spec| spec.remove("replicas"));
        s.apply("alice leaves the replicas", &format!("{path}?force=true"), "alice", less).await;
        let twice = with(json!({ "containers": [{ "name": "x", "image": "x" }, { "name": "x", "image": "y" }] }));
        s.apply("the same key twice", &path, "bob", twice).await;
        s.apply("no key at all", &path, "bob", with(json!({ "containers": [{ "image": "x" }] }))).await;
        s.apply("an unknown field", &path, "bob", with(json!({ "containers": [{ "name": "app", "imagge": "x" }] }))).await;
        s.apply("a wrong type", &path, "bob", json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "replicas": "three" } })).await;
        s.apply("what is invalid", &format!("{path}?force=true"), "bob", with(json!({ "containers": [{ "name": "app", "image": "" }] }))).await;
        s.get("after all", &path).await;
        let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" }, "spec": {
            "selector": { "app": "a" }, "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
        } });
        let path = s.at("api/v1", "services/a");
        s.apply("a service", &path, "alice", service).await;
        let more = json!({ "apiVersion": "v1", "kind": "Service", "spec": { "ports": [{ "name": "grpc", "port": 90 }] } });
        s.apply("a service's other port", &path, "bob", more).await;
        let selector = json!({ "apiVersion": "v1", "kind": "Service", "spec": { "selector": { "app": "a", "tier": "b" } } });
        s.apply("a selector is one value", &path, "bob", selector).await;
    }
    .boxed()
}

/// A custom kind, whose lists are one value, and its status.
pub fn applied_custom<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let path = s.canary("/a");
        s.apply("alice creates", &path, "alice", canary("a")).await;
        let with = |spec: Value| json!({ "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "spec": spec });
        s.apply("bob suspends", &path, "bob", with(json!({ "suspend": true }))).await;
        s.apply("bob wants other metrics", &path, "bob", with(json!({ "analysis": { "metrics": [{ "name": "x", "interval": "1m", "thresholdRange": { "min": 1 } }] } }))).await;
        s.apply("bob wants another weight", &path, "bob", with(json!({ "analysis": { "maxWeight": 60, "threshold": 5 } }))).await;
        s.apply("bob resumes", &path, "bob", with(json!({}))).await;
        let status = json!({ "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "status": { "phase": "Waiting", "conditions": [
            { "type": "Promoted", "status": "Unknown", "reason": "Waiting" },
        ] } });
        s.apply("the driver applies a status", &s.canary("/a/status"), "driver", status.clone()).await;
        s.patch("somebody patches the status", &s.canary("/a/status?fieldManager=other"), MERGE, json!({ "status": { "phase": "Failed" } })).await;
        s.apply("the driver meets it", &s.canary("/a/status"), "driver", status).await;
        s.apply("an unknown field", &path, "bob", with(json!({ "suspended": true }))).await;
        s.apply("a wrong type", &path, "bob", with(json!({ "suspend": "yes" }))).await;
        s.apply("out of bounds", &format!("{path}?force=true"), "bob", with(json!({ "analysis": { "maxWeight": 101 } }))).await;
        let old = json!({ "apiVersion": "flagger.app/v1alpha3", "kind": "Canary", "spec": { "skipAnalysis": true } });
        s.apply("in an old version", &s.at("apis/flagger.app/v1alpha3", "canaries/a"), "carol", old).await;
        s.patch("by the way of an agent", &path, MERGE, json!({ "spec": { "suspend": false } })).await;
        s.get("after all", &path).await;
        s.apply("the status of nothing", &s.canary("/b/status"), "driver", json!({ "apiVersion": "flagger.app/v1beta1", "kind": "Canary" })).await;
    }
    .boxed()
}

/// Configurations that make no sense.
pub fn applied_nonsense<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let path = s.config("/a");
        s.patch("nobody applies", &path, APPLY, config(json!({}))).await;
        s.patch("force without apply", &s.config("/a?force=true"), MERGE, json!({})).await;
        let headers = [("content-type", APPLY)];
        s.ask("no YAML", "PATCH", &format!("{path}?fieldManager=x"), &headers, "{ a: [").await;
        s.ask("text", "PATCH", &format!("{path}?fieldManager=x"), &headers, "hello").await;
        s.ask("nothing", "PATCH", &format!("{path}?fieldManager=x"), &headers, "").await;
        s.ask("real YAML", "PATCH", &format!("{path}?fieldManager=x"), &headers, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: why\n").await;
        s.apply("no kind", &path, "x", json!({ "apiVersion": "v1" })).await;
        s.apply("another kind", &path, "x", json!({ "apiVersion": "v1", "kind": "Secret" })).await;
        s.apply("another version", &path, "x", json!({ "apiVersion": "v2", "kind": "ConfigMap" })).await;
        s.apply("another name", &path, "x", json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "b" } })).await;
        s.apply("no name for a new one", &s.config("/new"), "x", json!({ "apiVersion": "v1", "kind": "ConfigMap" })).await;
        s.apply("entries of its own", &path, "x", json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "managedFields": [{ "manager": "x" }] } })).await;
        s.apply("an old version of it", &path, "x", json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "resourceVersion": "1" }, "data": { "q": "r" } })).await;
        s.apply("a long manager", &path, &"m".repeat(200), config(json!({}))).await;
        s.apply("an unknown force", &format!("{path}?force=perhaps"), "x", config(json!({}))).await;
        s.apply("a null", &path, "x", config(json!({ "x": "y", "z": null }))).await;
        s.apply("nothing at all in it", &path, "x", json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": {} })).await;
    }
    .boxed()
}

/// Plain writes own fields too.
pub fn plain_owners<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("alice creates", &s.deployment("?fieldManager=alice"), deployment("a")).await;
        // A later second, so that who wrote last is told by the time.
        s.pass(Duration::from_millis(1100)).await;
        let image =
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "app:2" }] } } } });
        s.patch("bob sets an image", &s.deployment("/a?fieldManager=bob"), STRATEGIC, image).await;
        s.patch(
            "bob adds a label",
            &s.deployment("/a?fieldManager=bob"),
            MERGE,
            json!({ "metadata": { "labels": { "x": "y" } } }),
        )
        .await;
        s.patch(
            "carol takes it off",
            &s.deployment("/a?fieldManager=carol"),
            MERGE,
            json!({ "metadata": { "labels": { "x": null } } }),
        )
        .await;
        let mut all = s
            .patch(
                "carol adds another",
                &s.deployment("/a?fieldManager=carol"),
                MERGE,
                json!({ "metadata": { "labels": { "z": "1" } } }),
            )
            .await;
        all["metadata"]["labels"] = json!({});
        all["metadata"].as_object_mut().map(|metadata| metadata.remove("resourceVersion"));
        s.put("dave replaces", &s.deployment("/a?fieldManager=dave"), all).await;
        s.post("a config by an agent", &s.config(""), json!({ "metadata": { "name": "a" }, "data": { "x": "0" } }))
            .await;
        for writer in 0..12 {
            let data = json!({ "data": { format!("k{writer}"): "1" } });
            s.patch(
                &format!("writer {writer}"),
                &s.config(&format!("/a?fieldManager=writer-{writer:02}")),
                MERGE,
                data,
            )
            .await;
        }
        let long = "m".repeat(130);
        s.patch("a long manager", &s.config(&format!("/a?fieldManager={long}")), MERGE, json!({})).await;
        let owner = json!({ "metadata": { "ownerReferences": [
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "00000000-0000-4000-8000-000000000001" },
        ] } });
        s.patch("an owner that is not there", &s.canary("/none"), MERGE, owner).await;
    }
    .boxed()
}
