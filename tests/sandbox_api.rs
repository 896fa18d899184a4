//! The sandbox as a client library sees it: kube over HTTPS. What a controller and a console rely on.

use canary_tui::sandbox::{Options, Sandbox};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client, Config, Error, ResourceExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const NAMESPACE: &str = "jx-production";
/// Nothing here takes as long: it ends a test that would wait for ever.
const LIMIT: Duration = Duration::from_secs(20);

async fn start(options: Options) -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Options { canaries: 0, ..options }).await.unwrap();
    let client = client(&sandbox.kubeconfig()).await;
    (sandbox, client)
}

async fn client(kubeconfig: &str) -> Client {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    // A refusal is what is asked about: asking fifteen times more only takes time.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn config(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name }, "data": { "color": "blue" } })).unwrap()
}

fn canaries(client: &Client, version: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "flagger.app".into(),
        version: version.into(),
        api_version: format!("flagger.app/{version}"),
        kind: "Canary".into(),
        plural: "canaries".into(),
    };
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

fn canary(name: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": { "name": name },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "service": { "port": 80 },
            "analysis": { "interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10 },
        },
        "status": { "phase": "Succeeded" },
    }))
    .unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Api(status)) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("no refusal: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_of_one_moment() {
    let (_sandbox, client) = start(Options::default()).await;
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    for name in ["a", "b", "c", "d", "e"] {
        api.create(&PostParams::default(), &config(name)).await.unwrap();
    }
    let mut names = Vec::new();
    let mut page = api.list(&ListParams::default().limit(2)).await.unwrap();
    let moment = page.metadata.resource_version.clone();
    assert_eq!(page.metadata.remaining_item_count, Some(3));
    // What happens meanwhile is not in the pages that follow.
    api.create(&PostParams::default(), &config("cc")).await.unwrap();
    api.delete("d", &DeleteParams::default()).await.unwrap();
    loop {
        names.extend(page.items.iter().map(ResourceExt::name_any));
        assert_eq!(page.metadata.resource_version, moment);
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        page = api.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_forgotten_moment_is_gone() {
    let (_sandbox, client) = start(Options { history: 4, ..Options::default() }).await;
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config(name)).await.unwrap();
    }
    let page = api.list(&ListParams::default().limit(1)).await.unwrap();
    let token = page.metadata.continue_.unwrap();
    for name in ["c", "d", "e", "f", "g"] {
        api.create(&PostParams::default(), &config(name)).await.unwrap();
    }
    let refused = api.list(&ListParams::default().limit(1).continue_token(&token)).await;
    assert_eq!(refusal(refused).0, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_decided_on_old_facts_is_a_conflict() {
    let (_sandbox, client) = start(Options::default()).await;
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let first = api.create(&PostParams::default(), &config("a")).await.unwrap();
    let mut newer = first.clone();
    newer.data.get_or_insert_default().insert("color".into(), "green".into());
    let newer = api.replace("a", &PostParams::default(), &newer).await.unwrap();
    let refused = api.replace("a", &PostParams::default(), &first).await;
    let (code, reason, _) = refusal(refused);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    // A write of what is there already is no change.
    let same = api.replace("a", &PostParams::default(), &newer).await.unwrap();
    assert_eq!(same.resource_version(), newer.resource_version());
    let refused = api.create(&PostParams::default(), &config("a")).await;
    assert_eq!(refusal(refused).1, "AlreadyExists");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_spec_are_written_apart() {
    let (_sandbox, client) = start(Options::default()).await;
    let api = canaries(&client, "v1beta1");
    let made = api.create(&PostParams::default(), &canary("a")).await.unwrap();
    assert_eq!(made.data.get("status"), None, "a new object has no status");
    let patch = Patch::Merge(json!({ "status": { "phase": "Initialized" }, "spec": { "suspend": true } }));
    let object = api.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(object.data["status"]["phase"], "Initialized");
    assert_eq!(object.data["spec"].get("suspend"), None);
    assert_eq!(object.metadata.generation, Some(1));
    let object = api
        .patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({
                "status": { "phase": "Failed" }, "spec": { "suspend": true },
            })),
        )
        .await
        .unwrap();
    assert_eq!(object.data["status"]["phase"], "Initialized");
    assert_eq!(object.data["spec"]["suspend"], true);
    assert_eq!(object.metadata.generation, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_read_and_written_in_all_versions() {
    let (_sandbox, client) = start(Options::default()).await;
    let made = canaries(&client, "v1beta1").create(&PostParams::default(), &canary("a")).await.unwrap();
    for version in ["v1alpha2", "v1alpha3", "v1beta1"] {
        let read = canaries(&client, version).get("a").await.unwrap();
        assert_eq!(read.types.clone().unwrap().api_version, format!("flagger.app/{version}"));
        assert_eq!(read.data, made.data);
    }
    let patch = Patch::Merge(json!({ "spec": { "skipAnalysis": true } }));
    let old = canaries(&client, "v1alpha3").patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(old.data["spec"]["skipAnalysis"], true);
    assert_eq!(old.data["spec"]["analysis"], made.data["spec"]["analysis"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_test_in_a_json_patch_changes_nothing() {
    let (_sandbox, client) = start(Options::default()).await;
    let api = canaries(&client, "v1beta1");
    api.create(&PostParams::default(), &canary("a")).await.unwrap();
    let patch = |expected: &str| -> Patch<()> {
        Patch::Json(
            serde_json::from_value(json!([
                { "op": "test", "path": "/spec/targetRef/name", "value": expected },
                { "op": "add", "path": "/spec/suspend", "value": true },
            ]))
            .unwrap(),
        )
    };
    let refused = api.patch("a", &PatchParams::default(), &patch("other")).await;
    let (code, reason, _) = refusal(refused);
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    assert_eq!(api.get("a").await.unwrap().data["spec"].get("suspend"), None);
    let object = api.patch("a", &PatchParams::default(), &patch("a")).await.unwrap();
    assert_eq!(object.data["spec"]["suspend"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_through_a_gone_history() {
    let (sandbox, client) = start(Options { history: 8, ..Options::default() }).await;
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    api.create(&PostParams::default(), &config("first")).await.unwrap();
    let mut events = std::pin::pin!(watcher(api.clone(), watcher::Config::default()));
    let mut known = Vec::new();
    let mut lists = 0;
    while lists < 1 {
        match tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap().unwrap() {
            watcher::Event::InitApply(object) => known.push(object.name_any()),
            watcher::Event::InitDone => lists += 1,
            _ => {}
        }
    }
    assert_eq!(known, ["first"]);
    // More happens while nobody listens than is kept.
    sandbox.stop_serving();
    for number in 0..20 {
        let object = json!({ "metadata": { "name": format!("late-{number}") } });
        sandbox.store().create("ConfigMap", Some(NAMESPACE), object).unwrap();
    }
    sandbox.resume_serving().await.unwrap();
    known.clear();
    while lists < 2 {
        match tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap() {
            Ok(watcher::Event::InitApply(object)) => known.push(object.name_any()),
            Ok(watcher::Event::InitDone) => lists += 1,
            // A broken connection and 410 are what this is about.
            Ok(_) | Err(_) => {}
        }
    }
    assert_eq!(known.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_resource_version_is_told_in_the_stream() {
    let (sandbox, client) = start(Options { history: 2, ..Options::default() }).await;
    for name in ["a", "b", "c"] {
        sandbox.store().create("ConfigMap", Some(NAMESPACE), json!({ "metadata": { "name": name } })).unwrap();
    }
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let mut stream = api.watch(&WatchParams::default(), "1").await.unwrap().boxed();
    match tokio::time::timeout(LIMIT, stream.try_next()).await.unwrap().unwrap() {
        Some(WatchEvent::Error(status)) => assert_eq!((status.code, status.reason.as_str()), (410, "Expired")),
        other => panic!("{other:?}"),
    }
    assert!(tokio::time::timeout(LIMIT, stream.try_next()).await.unwrap().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selected_watch_sees_objects_come_and_go() {
    let (sandbox, client) = start(Options::default()).await;
    let store = sandbox.store();
    store.create("ConfigMap", Some(NAMESPACE), json!({ "metadata": { "name": "a" } })).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let from = store.revision().to_string();
    let mut stream = api.watch(&WatchParams::default().labels("on=yes"), &from).await.unwrap().boxed();
    for value in ["yes", "no"] {
        store
            .modify("ConfigMap", Some(NAMESPACE), "a", |object| object["metadata"]["labels"] = json!({ "on": value }))
            .unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        match tokio::time::timeout(LIMIT, stream.try_next()).await.unwrap().unwrap().unwrap() {
            WatchEvent::Added(object) => seen.push(("added", object.labels()["on"].clone())),
            WatchEvent::Deleted(object) => seen.push(("deleted", object.labels()["on"].clone())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [("added", "yes".to_owned()), ("deleted", "yes".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_gets_bookmarks() {
    let options = Options { bookmark_every: Duration::from_millis(20), ..Options::default() };
    let (sandbox, client) = start(options).await;
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let from = sandbox.store().revision().to_string();
    let mut stream = api.watch(&WatchParams::default(), &from).await.unwrap().boxed();
    // A change of another kind moves the bookmark on.
    sandbox.store().create("Namespace", None, json!({ "metadata": { "name": "x" } })).unwrap();
    let now = sandbox.store().revision().to_string();
    loop {
        match tokio::time::timeout(LIMIT, stream.try_next()).await.unwrap().unwrap().unwrap() {
            WatchEvent::Bookmark(mark) if mark.metadata.resource_version == now => break,
            WatchEvent::Bookmark(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_can_be_streamed() {
    let (_sandbox, client) = start(Options::default()).await;
    let api: Api<Namespace> = Api::all(client);
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default().streaming_lists()));
    let mut names = Vec::new();
    loop {
        match tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap().unwrap() {
            watcher::Event::InitApply(object) => names.push(object.name_any()),
            watcher::Event::InitDone => break,
            _ => {}
        }
    }
    assert_eq!(names, ["default", "istio-system", "jx-production", "kube-system"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_known_and_may_be_denied() {
    let (sandbox, client) = start(Options::default()).await;
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    assert_eq!(review.status.unwrap().user_info.unwrap().username.as_deref(), Some("sandbox-operator"));
    let viewer = self::client(&sandbox.kubeconfig_for("viewer")).await;
    sandbox.deny(Some(Arc::new(|asked| asked.user == "viewer" && asked.verb != "get" && asked.verb != "list")));
    let api: Api<Deployment> = Api::namespaced(viewer, NAMESPACE);
    api.list(&ListParams::default()).await.unwrap();
    let (code, reason, message) = refusal(api.delete("a", &DeleteParams::default()).await);
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        message,
        "deployments.apps \"a\" is forbidden: User \"viewer\" cannot delete resource \"deployments\" in API group \"apps\" in the namespace \"jx-production\""
    );
    let api: Api<Deployment> = Api::namespaced(client, NAMESPACE);
    assert_eq!(refusal(api.delete("a", &DeleteParams::default()).await).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_token_nobody_is_let_in() {
    let (sandbox, _client) = start(Options::default()).await;
    let mut lines = sandbox.kubeconfig();
    let token = lines.lines().find(|line| line.contains("token: ")).unwrap().to_owned();
    lines = lines.replace(&token, "    token: wrong");
    let stranger = client(&lines).await;
    let api: Api<Namespace> = Api::all(stranger);
    let (code, reason, _) = refusal(api.list(&ListParams::default()).await);
    assert_eq!((code, reason.as_str()), (401, "Unauthorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_reached_through_its_service_and_can_be_down() {
    let (sandbox, client) = start(Options::default()).await;
    let path = "/api/v1/namespaces/istio-system/services/http:prometheus:9090/proxy/no/such/path";
    let ask = |client: Client| async move {
        let request = http_get(path);
        client.request_text(request).await.map_err(|error| error.to_string())
    };
    // Whatever stands behind it answers, if only that it knows no such path.
    sandbox.set_prometheus_down(true);
    let down = ask(client.clone()).await.unwrap_err();
    assert!(down.contains("no endpoints available for service"), "{down}");
    sandbox.set_prometheus_down(false);
    if let Err(up) = ask(client).await {
        assert!(!up.contains("no endpoints"), "{up}");
    }
}

fn http_get(path: &str) -> axum::http::Request<Vec<u8>> {
    axum::http::Request::get(path).body(Vec::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_and_held_back() {
    let (sandbox, client) = start(Options::default()).await;
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let before = sandbox.requests().get(&("list".into(), "configmaps".into())).copied().unwrap_or(0);
    let wait = Duration::from_millis(60);
    sandbox.delay(Some(Arc::new(move |asked| if asked.verb == "list" { wait } else { Duration::ZERO })));
    let began = std::time::Instant::now();
    api.list(&ListParams::default()).await.unwrap();
    assert!(began.elapsed() >= wait);
    let after = sandbox.requests()[&("list".to_owned(), "configmaps".to_owned())];
    assert_eq!(after - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_object_is_refused() {
    let (_sandbox, client) = start(Options::default()).await;
    let send = |method: &str, path: &str, kind: &str, body: Vec<u8>| {
        let request = axum::http::Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(body).unwrap();
        let client = client.clone();
        async move { refusal(client.request::<Value>(request).await).0 }
    };
    let path = "/api/v1/namespaces/jx-production/configmaps";
    assert_eq!(send("POST", path, "application/json", b"{".to_vec()).await, 400);
    assert_eq!(send("POST", path, "application/json", b"[]".to_vec()).await, 400);
    assert_eq!(send("POST", path, "text/html", b"x".to_vec()).await, 415);
    assert_eq!(send("POST", path, "application/json", vec![b' '; 4 << 20]).await, 413);
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert_eq!(send("POST", path, "application/json", deep).await, 400);
    assert_eq!(send("PUT", path, "application/json", b"{}".to_vec()).await, 405);
    assert_eq!(send("GET", "/apis/none/v1/things", "application/json", Vec::new()).await, 404);
    assert_eq!(send("GET", "/x", "application/json", Vec::new()).await, 404);
    let listed = format!("{path}?labelSelector=a%20b");
    assert_eq!(send("GET", &listed, "application/json", Vec::new()).await, 400);
    let listed = format!("{path}?fieldSelector=data.color%3Dblue");
    assert_eq!(send("GET", &listed, "application/json", Vec::new()).await, 400);
    let listed = format!("{path}?continue=zz");
    assert_eq!(send("GET", &listed, "application/json", Vec::new()).await, 400);
    let ahead = format!("{path}?resourceVersion=99999999&resourceVersionMatch=NotOlderThan");
    assert_eq!(send("GET", &ahead, "application/json", Vec::new()).await, 504);
    let named = format!("{path}/a");
    for patch in ["application/strategic-merge-patch+json", "application/merge-patch+json"] {
        assert_eq!(send("PATCH", &named, patch, b"{}".to_vec()).await, 404);
    }
    let apply = "application/apply-patch+yaml";
    assert_eq!(send("PATCH", &named, apply, b"{}".to_vec()).await, 422, "nobody applies");
    let named = format!("{named}?fieldManager=x");
    for nonsense in [&b"{}"[..], b"hello", b"{ a: [", b"\xff", b""] {
        assert_eq!(send("PATCH", &named, apply, nonsense.to_vec()).await, 400, "{nonsense:?}");
    }
    assert_eq!(send("PATCH", &named, "application/cbor", b"{}".to_vec()).await, 415);
}
