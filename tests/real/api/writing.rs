//! Creating, replacing and patching: conflicts, validation, generation, the status, dry runs.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::script::{APPLY, JSON, MERGE, STRATEGIC, Script};

fn config(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "color": "blue" } })
}

/// A Deployment that stands at zero and is paused, so that the controllers leave it alone.
pub fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "replicas": 0, "paused": true,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{
                    "name": "app", "image": "app:1",
                    "ports": [{ "name": "http", "containerPort": 8080 }],
                    "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                }] },
            },
        },
    })
}

pub fn canary(name: &str) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": { "name": name },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "service": { "port": 80 },
            "analysis": {
                "interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
                "metrics": [{ "name": "request-success-rate", "interval": "1m", "thresholdRange": { "min": 99 } }],
            },
        },
    })
}

fn service(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": { "selector": { "app": name }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] },
    })
}

/// Every kind as it is made and read back.
pub fn kinds<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("a config", &s.config(""), config("a")).await;
        let generated = json!({ "metadata": { "generateName": "gen-" } });
        s.post("a generated name", &s.config(""), generated).await;
        s.post("a deployment", &s.deployment(""), deployment("a")).await;
        s.post("a service", &s.at("api/v1", "services"), service("a")).await;
        let headless =
            json!({ "metadata": { "name": "b" }, "spec": { "clusterIP": "None", "selector": { "app": "b" } } });
        s.post("a headless service", &s.at("api/v1", "services"), headless).await;
        let lease = json!({ "metadata": { "name": "a" }, "spec": {
            "holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z",
        } });
        s.post("a lease", &s.at("apis/coordination.k8s.io/v1", "leases"), lease).await;
        let made = s.post("a canary", &s.canary(""), canary("a")).await;
        s.get("a canary of old", &s.at("apis/flagger.app/v1alpha3", "canaries/a")).await;
        s.get("a canary of older", &s.at("apis/flagger.app/v1alpha2", "canaries/a")).await;
        let event = json!({
            "metadata": { "name": "a.1" },
            "involvedObject": {
                "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "a", "namespace": s.namespace,
                "uid": made["metadata"]["uid"],
            },
            "reason": "Synced", "message": "Hello", "type": "Normal", "count": 1,
            "source": { "component": "suite" },
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
        });
        s.post("an event", &s.at("api/v1", "events"), event.clone()).await;
        let mut elsewhere = event;
        elsewhere["metadata"]["name"] = json!("a.2");
        elsewhere["involvedObject"]["namespace"] = json!("elsewhere");
        s.post("an event about elsewhere", &s.at("api/v1", "events"), elsewhere).await;
        let route = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": { "name": "a" },
            "spec": { "hosts": ["a"], "http": [{ "route": [
                { "destination": { "host": "a-primary" }, "weight": 100 },
                { "destination": { "host": "a-canary" }, "weight": 0 },
            ] }] },
        });
        s.post("a route", &s.at("apis/networking.istio.io/v1", "virtualservices"), route).await;
        s.get("a route of old", &s.at("apis/networking.istio.io/v1beta1", "virtualservices/a")).await;
        let weights =
            json!({ "spec": { "http": [{ "route": [{ "destination": { "host": "a-canary" }, "weight": 100 }] }] } });
        s.patch(
            "a route's lists are one value",
            &s.at("apis/networking.istio.io/v1", "virtualservices/a"),
            MERGE,
            weights,
        )
        .await;
        s.get("the namespace", &format!("/api/v1/namespaces/{}", s.namespace)).await;
        s.get("the scale", &s.deployment("/a/scale")).await;
        s.patch("scaled", &s.deployment("/a/scale"), MERGE, json!({ "spec": { "replicas": 2 } })).await;
        s.patch("scaled back", &s.deployment("/a/scale"), MERGE, json!({ "spec": { "replicas": 0 } })).await;
        s.get("who scaled", &s.deployment("/a")).await;
    }
    .boxed()
}

/// A pod that nobody schedules has what the server gives it.
pub fn pods<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let pod = json!({
            "metadata": { "name": "a" },
            "spec": {
                "schedulerName": "nobody", "automountServiceAccountToken": false,
                "containers": [{ "name": "app", "image": "app:1" }],
            },
        });
        s.post("a pod", &s.at("api/v1", "pods"), pod).await;
        s.until("it runs", &s.at("api/v1", "pods/a"), |pod| pod["status"]["phase"] == "Running").await;
        s.patch(
            "another command",
            &s.at("api/v1", "pods/a"),
            STRATEGIC,
            json!({ "spec": { "containers": [{ "name": "app", "args": ["x"] }] } }),
        )
        .await;
        s.patch(
            "another image",
            &s.at("api/v1", "pods/a"),
            STRATEGIC,
            json!({ "spec": { "containers": [{ "name": "app", "image": "app:2" }] } }),
        )
        .await;
        s.delete("gone", &s.at("api/v1", "pods/a"), None).await;
    }
    .boxed()
}

/// resourceVersions and names that are taken.
pub fn conflicts<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let first = s.post("create", &s.config(""), config("a")).await;
        s.post("create again", &s.config(""), config("a")).await;
        let mut second = first.clone();
        second["data"]["color"] = json!("green");
        s.put("replace", &s.config("/a"), second).await;
        s.put("replace what was", &s.config("/a"), first.clone()).await;
        s.put("replace unconditionally", &s.config("/a"), config("a")).await;
        s.put("replace by the same", &s.config("/a"), config("a")).await;
        s.put("replace another name", &s.config("/a"), config("b")).await;
        s.put("replace nothing", &s.config("/b"), config("b")).await;
        let mut other = config("a");
        other["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        s.put("replace another uid", &s.config("/a"), other).await;
        let mut elsewhere = config("c");
        elsewhere["metadata"]["namespace"] = json!("elsewhere");
        s.post("create elsewhere", &s.config(""), elsewhere.clone()).await;
        s.put("replace elsewhere", &s.config("/a"), {
            elsewhere["metadata"]["name"] = json!("a");
            elsewhere
        })
        .await;
        let mut versioned = config("c");
        versioned["metadata"]["resourceVersion"] = json!("1");
        s.post("create a version", &s.config(""), versioned).await;
        let old =
            json!({ "metadata": { "resourceVersion": first["metadata"]["resourceVersion"] }, "data": { "x": "y" } });
        s.patch("patch what was", &s.config("/a"), MERGE, old).await;
        s.post("create a canary", &s.canary(""), canary("a")).await;
        s.put("replace a canary unconditionally", &s.canary("/a"), canary("a")).await;
        s.post("create in no namespace", "/api/v1/namespaces/no-such-namespace/configmaps", config("a")).await;
        s.post("create by a name in the path", &s.config("/a"), config("a")).await;
    }
    .boxed()
}

/// Patches of every kind, good and bad.
pub fn patches<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("create", &s.config(""), config("a")).await;
        s.patch("merge", &s.config("/a"), MERGE, json!({ "data": { "x": "y", "color": null } })).await;
        s.patch("merge nothing", &s.config("/a"), MERGE, json!({})).await;
        s.patch("merge a list", &s.config("/a"), MERGE, json!([1])).await;
        s.patch("merge another name", &s.config("/a"), MERGE, json!({ "metadata": { "name": "b" } })).await;
        s.patch("merge a wrong type", &s.config("/a"), MERGE, json!({ "data": { "x": 1 } })).await;
        s.patch("merge a wrong list", &s.config("/a"), MERGE, json!({ "data": [] })).await;
        s.patch("merge into nothing", &s.config("/b"), MERGE, json!({})).await;
        s.ask("merge no JSON", "PATCH", &s.config("/a"), &[("content-type", MERGE)], "{").await;
        s.ask("an unknown kind of patch", "PATCH", &s.config("/a"), &[("content-type", "application/json")], "{}")
            .await;
        s.patch("add", &s.config("/a"), JSON, json!([{ "op": "add", "path": "/data/z", "value": "1" }])).await;
        s.patch(
            "test",
            &s.config("/a"),
            JSON,
            json!([
                { "op": "test", "path": "/data/z", "value": "1" },
                { "op": "replace", "path": "/data/z", "value": "2" },
                { "op": "copy", "from": "/data/z", "path": "/data/w" },
                { "op": "move", "from": "/data/w", "path": "/data/v" },
            ]),
        )
        .await;
        s.patch("test in vain", &s.config("/a"), JSON, json!([{ "op": "test", "path": "/data/z", "value": "1" }]))
            .await;
        s.patch("test nothing", &s.config("/a"), JSON, json!([{ "op": "test", "path": "/data/q", "value": "1" }]))
            .await;
        s.patch("remove nothing", &s.config("/a"), JSON, json!([{ "op": "remove", "path": "/data/q" }])).await;
        s.patch("replace nothing", &s.config("/a"), JSON, json!([{ "op": "replace", "path": "/data/q", "value": "" }]))
            .await;
        s.patch(
            "add below nothing",
            &s.config("/a"),
            JSON,
            json!([{ "op": "add", "path": "/nothing/q", "value": "" }]),
        )
        .await;
        s.patch("an unknown operation", &s.config("/a"), JSON, json!([{ "op": "sing", "path": "/data/q" }])).await;
        s.patch("operations that are no list", &s.config("/a"), JSON, json!({})).await;
        s.patch("to a wrong type", &s.config("/a"), JSON, json!([{ "op": "replace", "path": "/data/z", "value": 2 }]))
            .await;
        s.post("create a deployment", &s.deployment(""), deployment("a")).await;
        let strategic = |container: Value| json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        s.patch(
            "a container by name",
            &s.deployment("/a"),
            STRATEGIC,
            strategic(json!({ "name": "app", "image": "app:2" })),
        )
        .await;
        s.patch(
            "another container",
            &s.deployment("/a"),
            STRATEGIC,
            strategic(json!({ "name": "side", "image": "side:1" })),
        )
        .await;
        s.patch(
            "no more container",
            &s.deployment("/a"),
            STRATEGIC,
            strategic(json!({ "name": "side", "$patch": "delete" })),
        )
        .await;
        s.patch("an unnamed container", &s.deployment("/a"), STRATEGIC, strategic(json!({ "image": "x" }))).await;
        s.patch(
            "an unknown directive",
            &s.deployment("/a"),
            STRATEGIC,
            strategic(json!({ "name": "app", "$patch": "sing" })),
        )
        .await;
        s.patch("an invalid image", &s.deployment("/a"), STRATEGIC, strategic(json!({ "name": "app", "image": "" })))
            .await;
        s.patch(
            "a strategy kept in part",
            &s.deployment("/a"),
            STRATEGIC,
            json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } }),
        )
        .await;
        s.post("create a canary", &s.canary(""), canary("a")).await;
        s.patch("a canary strategically", &s.canary("/a"), STRATEGIC, json!({})).await;
        s.patch(
            "a canary's null",
            &s.canary("/a"),
            MERGE,
            json!({ "spec": { "suspend": null, "skipAnalysis": true } }),
        )
        .await;
        s.patch(
            "a canary out of bounds",
            &s.canary("/a"),
            MERGE,
            json!({ "spec": { "analysis": { "maxWeight": 150 } } }),
        )
        .await;
        s.patch(
            "a canary's test in vain",
            &s.canary("/a"),
            JSON,
            json!([{ "op": "test", "path": "/spec/suspend", "value": true }]),
        )
        .await;
    }
    .boxed()
}

/// What is unknown or wrong in a body, and how strictly it is taken.
pub fn validation<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let mut odd = config("a");
        odd["colour"] = json!("blue");
        for (step, query) in [
            ("unspoken", "?dryRun=All"),
            ("warned", "?dryRun=All&fieldValidation=Warn"),
            ("strict", "?dryRun=All&fieldValidation=Strict"),
            ("ignored", "?dryRun=All&fieldValidation=Ignore"),
            ("unheard of", "?dryRun=All&fieldValidation=Loudly"),
        ] {
            s.post(step, &s.config(query), odd.clone()).await;
        }
        let mut odd = deployment("a");
        odd["spec"]["template"]["spec"]["containers"][0]["imagge"] = json!("x");
        odd["spec"]["replicaas"] = json!(1);
        s.post("a deployment, strictly", &s.deployment("?dryRun=All&fieldValidation=Strict"), odd.clone()).await;
        s.post("a deployment, warned", &s.deployment("?dryRun=All"), odd).await;
        let mut odd = canary("a");
        odd["spec"]["analysys"] = json!({});
        odd["spec"]["service"]["prot"] = json!(1);
        s.post("a canary, strictly", &s.canary("?dryRun=All&fieldValidation=Strict"), odd.clone()).await;
        s.post("a canary, warned", &s.canary("?dryRun=All"), odd).await;
        let twice = r#"{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}"#;
        s.ask("twice, strictly", "POST", &s.config("?dryRun=All&fieldValidation=Strict"), &[], twice).await;
        let yaml = "metadata:\n  name: a\ndata:\n  x: why\n";
        s.ask("YAML", "POST", &s.config("?dryRun=All"), &[("content-type", "application/yaml")], yaml).await;
        let wrong = |change: fn(&mut Value)| {
            let mut object = deployment("a");
            change(&mut object);
            object
        };
        for (step, object) in [
            ("a wrong type", wrong(|o| o["spec"]["replicas"] = json!("three"))),
            ("a negative count", wrong(|o| o["spec"]["replicas"] = json!(-1))),
            (
                "no selector",
                wrong(|o| {
                    o["spec"].as_object_mut().map(|spec| spec.remove("selector"));
                }),
            ),
            ("another selector", wrong(|o| o["spec"]["selector"]["matchLabels"]["app"] = json!("b"))),
            ("an empty image", wrong(|o| o["spec"]["template"]["spec"]["containers"][0]["image"] = json!(""))),
            ("no containers", wrong(|o| o["spec"]["template"]["spec"]["containers"] = json!([]))),
            (
                "containers of one name",
                wrong(|o| {
                    let one = o["spec"]["template"]["spec"]["containers"][0].clone();
                    o["spec"]["template"]["spec"]["containers"] = json!([one.clone(), one]);
                }),
            ),
            ("a bad name", wrong(|o| o["metadata"]["name"] = json!("A_b"))),
            ("a long name", wrong(|o| o["metadata"]["name"] = json!("a".repeat(300)))),
            ("no name", wrong(|o| o["metadata"] = json!({}))),
            ("a bad label", wrong(|o| o["metadata"]["labels"] = json!({ "-a": "b c" }))),
            ("another kind", wrong(|o| o["kind"] = json!("ReplicaSet"))),
            ("another version", wrong(|o| o["apiVersion"] = json!("apps/v1beta1"))),
        ] {
            s.post(step, &s.deployment("?dryRun=All"), object).await;
        }
        let wrong = |change: fn(&mut Value)| {
            let mut object = canary("a");
            change(&mut object);
            object
        };
        for (step, object) in [
            (
                "a canary without spec",
                wrong(|o| {
                    o.as_object_mut().map(|o| o.remove("spec"));
                }),
            ),
            (
                "a canary without target",
                wrong(|o| {
                    o["spec"].as_object_mut().map(|o| o.remove("targetRef"));
                }),
            ),
            ("a canary with a wrong type", wrong(|o| o["spec"]["analysis"]["threshold"] = json!("five"))),
            ("a canary out of bounds", wrong(|o| o["spec"]["analysis"]["maxWeight"] = json!(101))),
            ("a canary with a bad interval", wrong(|o| o["spec"]["analysis"]["interval"] = json!("soon"))),
            (
                "a canary with several faults",
                wrong(|o| o["spec"] = json!({ "analysis": { "interval": 1, "stepWeight": -1 } })),
            ),
        ] {
            s.post(step, &s.canary("?dryRun=All"), object).await;
        }
        let ports = json!({ "metadata": { "name": "a" }, "spec": { "ports": [{ "port": 70000 }, { "port": 80 }] } });
        s.post("bad ports", &s.at("api/v1", "services?dryRun=All"), ports).await;
        s.post("a bad namespace", "/api/v1/namespaces?dryRun=All", json!({ "metadata": { "name": "a.b" } })).await;
        for (step, body) in
            [("no JSON", "{"), ("text", "\"a\""), ("a list", "[]"), ("nothing", ""), ("no object", "null")]
        {
            s.ask(
                &format!("a body of {step}"),
                "POST",
                &s.config("?dryRun=All"),
                &[("content-type", "application/json")],
                body,
            )
            .await;
        }
        s.ask("a body of metadata that is text", "POST", &s.config("?dryRun=All"), &[], r#"{"metadata":"a"}"#).await;
        s.ask("an unknown content type", "POST", &s.config("?dryRun=All"), &[("content-type", "text/plain")], "a")
            .await;
    }
    .boxed()
}

/// What counts a generation, and what the status takes.
pub fn generation<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        let mut new = canary("a");
        new["status"] = json!({ "phase": "Succeeded" });
        s.post("a status at creation", &s.canary(""), new).await;
        let both = json!({ "spec": { "suspend": true }, "status": { "phase": "Failed" }, "metadata": { "labels": { "a": "b" } } });
        s.patch("the status alone", &s.canary("/a/status"), MERGE, both.clone()).await;
        s.patch("the rest alone", &s.canary("/a"), MERGE, both.clone()).await;
        let object = s.patch("a label", &s.canary("/a"), MERGE, json!({ "metadata": { "labels": { "a": "c" } } })).await;
        let mut replaced = object.clone();
        replaced["status"] = json!({ "phase": "Waiting", "canaryWeight": 10 });
        replaced["spec"]["suspend"] = json!(false);
        s.put("the status replaced", &s.canary("/a/status"), replaced).await;
        s.get("the status read", &s.canary("/a/status")).await;
        s.patch("a bad status", &s.canary("/a/status"), MERGE, json!({ "status": { "canaryWeight": "ten" } })).await;
        s.post("a deployment", &s.deployment(""), deployment("a")).await;
        s.until("it is observed", &s.deployment("/a"), |one| one["status"]["observedGeneration"] == 1).await;
        s.patch("replicas count", &s.deployment("/a"), MERGE, json!({ "spec": { "minReadySeconds": 5 } })).await;
        s.patch("annotations do not", &s.deployment("/a"), MERGE, json!({ "metadata": { "annotations": { "a": "b" } } })).await;
        let both = json!({ "spec": { "minReadySeconds": 9 }, "status": { "replicas": 0 }, "metadata": { "annotations": { "c": "d" } } });
        s.patch("a deployment's status", &s.deployment("/a/status"), MERGE, both).await;
        s.post("a plain object", &s.config(""), config("a")).await;
        s.patch("a plain object's status", &s.config("/a/status"), MERGE, json!({})).await;
    }
    .boxed()
}

/// What is tried, but not done.
pub fn dry_runs<'s>(s: &'s mut Script<'_>) -> BoxFuture<'s, ()> {
    async move {
        s.post("create", &s.config("?dryRun=All"), config("a")).await;
        s.get("was not created", &s.config("/a")).await;
        s.post("create in earnest", &s.config(""), config("a")).await;
        let mut other = config("a");
        other["data"]["color"] = json!("green");
        s.put("replace", &s.config("/a?dryRun=All"), other).await;
        s.patch("patch", &s.config("/a?dryRun=All"), MERGE, json!({ "data": { "x": "y" } })).await;
        s.apply(
            "apply",
            &s.config("/a?dryRun=All&force=true"),
            "suite",
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "z": "1" } }),
        )
        .await;
        s.delete("delete", &s.config("/a?dryRun=All"), None).await;
        s.delete("delete, said in the body", &s.config("/a"), Some(json!({ "dryRun": ["All"] }))).await;
        s.get("nothing changed", &s.config("/a")).await;
        s.post("a wrong word", &s.config("?dryRun=Some"), config("b")).await;
        let headers = [("content-type", APPLY)];
        s.ask("a wrong word for a patch", "PATCH", &s.config("/a?dryRun=Some&fieldManager=x"), &headers, "{}").await;
    }
    .boxed()
}
