//! Whether the names on requests are checked: as it is found out over HTTPS, and as the sandbox carries it out.

#[path = "operator/grants.rs"]
#[allow(dead_code)] // Another file's tests take rights away again.
mod grants;

use canary_tui::api::manifests::{self, POLICY, VIEWER};
use canary_tui::api::{Request, Verb, annotation};
use canary_tui::cluster::vouching::{Names, names};
use canary_tui::sandbox::{Options, Sandbox};
use grants::Grants;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Error};
use serde_json::{Value, json};
use std::sync::Arc;

const NAMESPACE: &str = "jx-production";
const APP: &str = "jx-production-myapp";

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn of(client: &Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    let (group, version) = ("admissionregistration.k8s.io", "v1");
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: kind.into(),
        plural: plural.into(),
    };
    Api::all_with(client.clone(), &resource)
}

/// What `canary-tui manifests` prints of a kind.
fn printed(kind: &str, namespaced: Option<&str>) -> DynamicObject {
    let options = manifests::Options { namespaced: namespaced.map(String::from), ..Default::default() };
    let documents = manifests::all(&options);
    let found = documents.into_iter().find(|document| document.object["kind"] == kind).expect("it is printed");
    serde_json::from_value(found.object).unwrap()
}

/// Writes a request in a name, as the program does.
async fn ask(client: &Client, by: &str) -> Result<DynamicObject, Error> {
    let request = Request {
        id: "00ff".into(),
        verb: Verb::Pause,
        revision: "none".into(),
        by: by.into(),
        at: Default::default(),
        reason: String::new(),
        replaces: None,
        image: None,
        container: None,
        gate: None,
    };
    let annotations = |text: Value| json!({"metadata": {"annotations": {annotation::REQUEST: text}}});
    let resource = ApiResource {
        group: "flagger.app".into(),
        version: "v1beta1".into(),
        api_version: "flagger.app/v1beta1".into(),
        kind: "Canary".into(),
        plural: "canaries".into(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    let none = Patch::Merge(annotations(Value::Null));
    api.patch(APP, &PatchParams::default(), &none).await.unwrap();
    let text = serde_json::to_string(&request).unwrap();
    api.patch(APP, &PatchParams::default(), &Patch::Merge(annotations(json!(text)))).await
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: u16) -> String {
    match result {
        Err(Error::Api(status)) if status.code == code => status.message.clone(),
        other => panic!("not refused with {code}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked_where_the_policy_is_and_only_then_said_to_be() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let admin = client(&sandbox.kubeconfig()).await;
    let policies = of(&admin, "ValidatingAdmissionPolicy", "validatingadmissionpolicies");
    let bindings = of(&admin, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings");
    let (make, away) = (PostParams::default(), DeleteParams::default());

    assert_eq!(names(&admin, NAMESPACE).await, Names::Unchecked);
    ask(&admin, "mallory").await.expect("anybody may be named");
    // Neither does anything without the other.
    bindings.create(&make, &printed("ValidatingAdmissionPolicyBinding", None)).await.unwrap();
    assert_eq!(names(&admin, NAMESPACE).await, Names::Unchecked);
    ask(&admin, "mallory").await.expect("nothing holds it");
    policies.create(&make, &printed("ValidatingAdmissionPolicy", None)).await.unwrap();

    assert_eq!(names(&admin, NAMESPACE).await, Names::Checked);
    let said = refused(ask(&admin, "mallory").await, 403);
    assert!(said.contains(POLICY) && said.contains("\"by\" is to be sandbox-operator"), "{said}");
    ask(&admin, "sandbox-operator").await.expect("in its own name");

    // Whoever may not read that is told neither.
    let viewer = client(&sandbox.kubeconfig_for("viewer")).await;
    for (namespace, wanted) in [(None, Names::Checked), (Some(NAMESPACE), Names::Unknown)] {
        let grants = Grants::of(VIEWER, namespace);
        sandbox.deny(Some(Arc::new(move |asked| asked.user == "viewer" && grants.deny(asked))));
        assert_eq!(names(&viewer, NAMESPACE).await, wanted, "{namespace:?}");
    }
    sandbox.deny(None);

    // In one namespace alone.
    bindings.delete(POLICY, &away).await.unwrap();
    assert_eq!(names(&admin, NAMESPACE).await, Names::Unchecked);
    bindings.create(&make, &printed("ValidatingAdmissionPolicyBinding", Some(NAMESPACE))).await.unwrap();
    assert_eq!(names(&admin, NAMESPACE).await, Names::Checked);
    assert_eq!(names(&admin, "default").await, Names::Unchecked);
    refused(ask(&admin, "mallory").await, 403);

    // One that would be kept and do nothing is not taken.
    let mut other = printed("ValidatingAdmissionPolicy", None);
    other.metadata.name = Some("another".into());
    let said = refused(policies.create(&make, &other).await, 400);
    assert!(said.contains(POLICY), "{said}");
}
