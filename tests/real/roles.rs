//! What `canary-tui manifests` prints, on a real API server: it is taken as it is, no field of a Canary is lost, each
//! role can do its work and nothing else, and the policy holds requests to who writes them.
//!
//! Installs on the shared control plane, for all of it.

mod ground;
#[path = "roles/installed.rs"]
mod installed;
#[path = "roles/rights.rs"]
mod rights;

use canary_tui::api::{Request, VERSIONS, Verb, annotation};
use canary_tui::cluster::vouching::{Names, names};
use chrono::Utc;
use ground::plane::ControlPlane;
use ground::program::Program;
use ground::{APP, Ground, NEVER, PATIENCE, SOON};
use installed::{AUTHOR, DRIVER, FLAGGER, OPERATOR, Users, VIEWER, install};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use std::path::Path;

/// The calls for Canaries in the test's namespace, with a user's rights.
async fn canaries(ground: &Ground, kubeconfig: &Path) -> Api<DynamicObject> {
    let client = ground::client(kubeconfig).await;
    Api::namespaced_with(client, &ground.namespace, &ground::watched::resource("flagger.app/v1beta1", "Canary"))
}

async fn change(api: &Api<DynamicObject>, patch: Value) -> Result<DynamicObject, String> {
    let answer = api.patch(APP, &PatchParams::default(), &Patch::Merge(patch)).await;
    answer.map_err(|error| match error {
        kube::Error::Api(status) => format!("{}: {}", status.code, status.message),
        other => panic!("{other}"),
    })
}

/// A request's annotation, as the program writes it.
fn request(by: &str) -> String {
    let request = Request {
        id: "00ff".into(),
        verb: Verb::Pause,
        revision: "5d8c7b".into(),
        by: by.into(),
        at: Utc::now(),
        reason: r#"","by":"root","at":""#.into(),
        replaces: None,
        image: None,
        container: None,
        gate: None,
    };
    serde_json::to_string(&request).expect("a request")
}

fn annotated(key: &str, value: Value) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

fn asking(text: impl Into<String>) -> Value {
    annotated(annotation::REQUEST, json!(text.into()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn kubectl_applies_all_of_it() {
    let ground = Ground::new("apply").await;
    install(&ground).await;
    installed::kubectl(&["rollout", "status", "-n", "canary-tui-system", "deployment/canary-tui"], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn a_controller_of_one_namespace_drives_it_and_may_do_nothing_elsewhere() {
    let ground = Ground::new("single").await;
    install(&ground).await;
    let namespace = &ground.namespace;
    let printed = installed::manifests(&["--namespaced", namespace]).await;
    let applied = installed::kubectl(&["apply", "-f", "-"], Some(printed)).await;
    assert_eq!(applied.lines().count(), 11, "{applied}");
    installed::kubectl(&["rollout", "status", "-n", namespace, "deployment/canary-tui"], None).await;
    ground.plant(NEVER).await;
    let account = installed::account(&ground, namespace).await;
    let _controller = ground.controller_by(&account);
    ground.until_phase("Initialized").await;
    let client = ground::client(&account).await;
    let here = |verb: &str, resource: &str| resource != "namespaces." && rights::driver(verb, resource);
    assert_eq!(rights::differing(&client, namespace, here).await, [""; 0]);
    assert_eq!(rights::differing(&client, "default", |_, _| false).await, [""; 0]);
}

/// On a control plane of its own: elsewhere it would take the rollouts of the other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn the_deployments_command_line_drives_every_namespace() {
    let plane = ControlPlane::start().await;
    let one = Ground::on(&plane.kubeconfig(), "one").await;
    let other = Ground::on(&plane.kubeconfig(), "other").await;
    let metrics = one.watched.metrics_url();
    let printed = installed::manifests(&["--prometheus", &metrics]).await;
    installed::apply_on(&plane, printed.clone()).await;
    let account = installed::account_on(&plane, &one, "canary-tui-system").await;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&printed).expect("YAML");
    let deployment = documents.last().expect("the Deployment comes last");
    let line = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let mut line: Vec<&str> = line.as_array().expect("a line").iter().filter_map(Value::as_str).collect();
    // A port that is free here, and shorter steps than in earnest.
    let port = line.iter_mut().find(|argument| **argument == "0.0.0.0:8080").expect("a port");
    *port = "127.0.0.1:0";
    line.extend(["--min-interval", "200ms"]);

    one.plant(SOON).await;
    let controller = Program::start(&line, &account, one.home.path());
    one.until_phase("Initialized").await;
    // Its first Canary comes while the controller runs, and it has a Prometheus of its own.
    let mut canary = ground::canary(SOON);
    canary["spec"]["metricsServer"] = json!(other.watched.metrics_url());
    other.create(ground::target()).await;
    other.create(canary).await;
    other.until_phase("Initialized").await;
    for ground in [&one, &other] {
        ground.set_version("1.1.0").await;
    }
    for ground in [&one, &other] {
        ground.until_phase("Succeeded").await;
        let said = format!("driving the rollouts of {}", ground.namespace);
        assert!(controller.said().contains(&said), "{}", controller.said());
        let refused: Vec<_> = ground.watched.messages(APP).into_iter().filter(|m| m.contains("forbidden")).collect();
        assert_eq!(refused, [""; 0]);
    }
    let said = controller.said();
    let address = said.lines().find_map(|line| line.split_once(" on http://")).expect("where it serves").1.to_string();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ready = client.get(format!("http://{address}/readyz")).send().await.expect("an answer");
    assert_eq!(ready.status(), 200, "{:?}", ready.text().await);
    let series = client.get(format!("http://{address}/metrics")).send().await.expect("an answer");
    let series = series.text().await.expect("a text");
    for ground in [&one, &other] {
        let line = format!("flagger_canary_total{{namespace=\"{}\"}} 1\n", ground.namespace);
        assert!(series.contains(&line), "{series}");
    }
    // With less than that it says what is missing.
    let nobody = plane.user("nobody", &[]).await;
    let (code, said) = ground::program::run(&["controller", "-A"], &nobody, one.home.path()).await;
    assert!(code == 2 && said.contains("you may not list canaries.flagger.app in all namespaces"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn no_version_loses_a_field_of_another() {
    let ground = Ground::new("fields").await;
    let sample: Value = serde_saphyr::from_str(include_str!("../data/every-field.yaml")).expect("the sample");
    let of = |version: &str| -> ApiResource { ground::watched::resource(&format!("flagger.app/{version}"), "Canary") };
    let api = |version: &str| -> Api<DynamicObject> {
        Api::namespaced_with(ground.client.clone(), &ground.namespace, &of(version))
    };
    for written in VERSIONS {
        let name = format!("of-{written}");
        let mut object = sample.clone();
        object["apiVersion"] = json!(format!("flagger.app/{written}"));
        object["metadata"]["name"] = json!(name);
        if written != VERSIONS[0] {
            let spec = object["spec"].as_object_mut().expect("a spec");
            let analysis = spec.remove("analysis").expect("an analysis");
            spec.insert("canaryAnalysis".into(), analysis);
        }
        let made: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
        let strict = PostParams { field_manager: None, dry_run: false };
        api(written).create(&strict, &made).await.expect("it is taken");
        let status = Patch::Merge(json!({"status": object["status"]}));
        api(written).patch_status(&name, &PatchParams::default(), &status).await.expect("its status is taken");
        for read in VERSIONS {
            let seen = serde_json::to_value(api(read).get(&name).await.expect("it is read")).expect("JSON");
            for part in ["spec", "status"] {
                assert_eq!(seen[part], object[part], "{part} written as {written}, read as {read}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn each_role_has_its_rights_and_no_other() {
    let ground = Ground::new("rights").await;
    let users = Users::of(&ground).await;
    let mut wrong = Vec::new();
    for (user, expected) in
        [(VIEWER, rights::viewer as fn(&str, &str) -> bool), (OPERATOR, rights::operator), (DRIVER, rights::driver)]
    {
        let client = ground::client(&users[user]).await;
        wrong.extend(rights::differing(&client, &ground.namespace, expected).await.into_iter().map(|w| (user, w)));
        // Elsewhere a person has no rights that were not given there; the controller drives everywhere.
        let elsewhere = if user == DRIVER { expected } else { |_: &str, _: &str| false };
        wrong.extend(rights::differing(&client, "default", elsewhere).await.into_iter().map(|w| (user, w)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn each_role_does_its_work_with_the_program() {
    let ground = Ground::new("work").await;
    let users = Users::of(&ground).await;
    ground.plant(NEVER).await;
    let _controller = ground.controller_by(&users[DRIVER]);
    ground.until_phase("Initialized").await;
    ground.set_version("1.1.0").await;
    ground.until_first_step().await;

    let (viewer, operator) = (&users[VIEWER], &users[OPERATOR]);
    for (verb, exit) in [("get", 0), ("status", 4), ("events", 0)] {
        for user in [viewer, operator] {
            let (code, said) = ground.ask_by(user, verb, &[]).await;
            assert_eq!(code, exit, "{verb}: {said}");
            assert!(said.contains(APP), "{verb}: {said}");
        }
    }
    let (code, said) = ground.ask_by(viewer, "pause", &[]).await;
    let refusal = format!("User \"{VIEWER}\" cannot patch resource \"canaries\"");
    assert!(code == 2 && said.contains("cannot write the request") && said.contains(&refusal), "{code} {said}");

    for verb in ["pause", "resume", "promote"] {
        let (code, said) = ground.ask_by(operator, verb, &["--reason", "drill \"\\"]).await;
        assert_eq!(code, 0, "{verb}: {said}");
        assert!(said.contains(&format!("by {OPERATOR} (drill \"\\) carried out")), "{verb}: {said}");
    }
    // Its last step takes an interval.
    ground.merge("Canary", APP, json!({"spec": {"analysis": {"interval": SOON}}})).await;
    ground.until_phase("Succeeded").await;

    // The rest of a release is not about rights.
    let arguments = ["release", APP, "-n", &ground.namespace, "--yes"];
    let _release = Program::start(&arguments, operator, ground.home.path());
    let leaves = |canary: &Value| canary.is_null() || canary["metadata"]["deletionTimestamp"].is_string();
    ground.until("it is not released", |w| leaves(&w.get("Canary", APP)) && w.said("Request release")).await;
    let said = ground.watched.messages(APP).join("\n");
    assert!(said.contains(&format!("by {OPERATOR} carried out: the traffic goes back to the target")), "{said}");
    let refused: Vec<_> = ground.watched.messages(APP).into_iter().filter(|m| m.contains("forbidden")).collect();
    assert_eq!(refused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn who_may_only_operate_writes_requests_in_its_own_name_and_nothing_else() {
    let ground = Ground::new("policy").await;
    let users = Users::of(&ground).await;
    ground.plant(NEVER).await;
    let operator = canaries(&ground, &users[OPERATOR]).await;
    let both = |text: String| {
        let mut patch = asking(text);
        patch["spec"] = json!({"analysis": {"threshold": 9}});
        patch
    };
    for patch in [
        json!({"spec": {"analysis": {"threshold": 9}}}),
        json!({"spec": {"skipAnalysis": true}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
        json!({"metadata": {"finalizers": ["example.com/mine"]}}),
        annotated(annotation::PAUSED, json!("{}")),
        annotated(annotation::OPENED, json!("{}")),
        annotated("example.com/mine", json!("x")),
        both(request(OPERATOR)),
    ] {
        let refusal = change(&operator, patch.clone()).await.expect_err(&patch.to_string());
        let words = format!("{OPERATOR} may operate canary {APP}, not change it");
        assert!(refusal.starts_with("403") && refusal.contains(&words), "{patch}: {refusal}");
    }
    let honest = request(OPERATOR);
    for text in [
        request("alice"),
        request("admin"),
        request(&OPERATOR[..2]),
        honest.replacen("{", r#"{"by":"alice","#, 1),
        honest.replace(':', ": "),
        "nonsense".into(),
    ] {
        let refusal = change(&operator, asking(&text)).await.expect_err(&text);
        let words = format!("say who you are: \"by\" is to be {OPERATOR}");
        assert!(refusal.starts_with("403") && refusal.contains(&words), "{text}: {refusal}");
    }
    change(&operator, asking(&honest)).await.expect("a request in its own name");
    change(&operator, annotated(annotation::REQUEST, Value::Null)).await.expect("and it is taken back");
    // kubectl shows the policy's words too.
    let patch = r#"{"spec":{"suspend":true}}"#;
    let said = installed::refused_by(&users[OPERATOR], &["patch", "canary", APP, "-n", &ground.namespace], patch).await;
    assert!(said.contains("may operate canary") && said.contains("canary-tui-requests"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(all(go, kubectl)), ignore = "Go or kubectl is not installed")]
async fn the_policy_is_in_nobody_elses_way_but_a_forgers() {
    let ground = Ground::new("others").await;
    let users = Users::of(&ground).await;
    ground.plant(NEVER).await;
    let operator = canaries(&ground, &users[OPERATOR]).await;
    let author = canaries(&ground, &users[AUTHOR]).await;
    let administrator = canaries(&ground, &ground.kubeconfig).await;
    // A role that is bound in one namespace tells nobody what lies in none.
    for (kubeconfig, wanted) in [(&ground.kubeconfig, Names::Checked), (&users[OPERATOR], Names::Unknown)] {
        let client = ground::client(kubeconfig).await;
        assert_eq!(names(&client, &ground.namespace).await, wanted);
    }
    for (who, api) in [("author", &author), ("administrator", &administrator)] {
        let refusal = change(api, asking(request("alice"))).await.expect_err(who);
        assert!(refusal.contains("say who you are"), "{who}: {refusal}");
        change(api, json!({"spec": {"analysis": {"threshold": 7}}, "metadata": {"labels": {"a": who}}}))
            .await
            .expect(who);
    }
    // Others write the object while a request of the operator's is pending.
    change(&operator, asking(request(OPERATOR))).await.expect("a request");
    let flagger = canaries(&ground, &users[FLAGGER]).await;
    let mut whole = flagger.get(APP).await.expect("it is read");
    whole.metadata.finalizers = Some(vec!["finalizer.flagger.app".into()]);
    flagger.replace(APP, &PostParams::default(), &whole).await.expect("Flagger writes the whole object");
    let driver = canaries(&ground, &users[DRIVER]).await;
    let mut marks = annotated(annotation::REQUEST, Value::Null);
    marks["metadata"]["annotations"][annotation::PAUSED] = json!("{}");
    marks["metadata"]["annotations"][annotation::TERM] = json!("1");
    marks["metadata"]["finalizers"] = json!([]);
    change(&driver, marks).await.expect("the driver takes the request off and leaves its marks");
    let status = Patch::Merge(json!({"status": {"phase": "Initialized"}}));
    driver.patch_status(APP, &PatchParams::default(), &status).await.expect("and writes the status");
    let gone = operator.get(APP).await.expect("it is read").metadata.annotations.unwrap_or_default();
    assert!(!gone.contains_key(annotation::REQUEST));
    // Names that JSON writes otherwise.
    for name in [r#"o"s\car"#, "Ünï"] {
        let kubeconfig = installed::operator_named(&ground, name).await;
        let api = canaries(&ground, &kubeconfig).await;
        let end = tokio::time::timeout(PATIENCE, async {
            // RBAC takes a moment to be known.
            while let Err(refusal) = change(&api, asking(request(name))).await {
                assert!(refusal.contains("cannot patch"), "{name}: {refusal}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        end.await.expect("its rights are known");
        change(&operator, annotated(annotation::REQUEST, Value::Null)).await.expect("it is taken off");
    }
}
