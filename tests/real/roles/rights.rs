//! Who may do what, as the API server answers it, beside what each role is to hold.

use futures::StreamExt;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// As `resource.group`, with `/subresource` where it is that.
const RESOURCES: [&str; 31] = [
    "canaries.flagger.app",
    "canaries/status.flagger.app",
    "canaries/finalizers.flagger.app",
    "metrictemplates.flagger.app",
    "metrictemplates/status.flagger.app",
    "alertproviders.flagger.app",
    "deployments.apps",
    "deployments/scale.apps",
    "deployments/status.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "horizontalpodautoscalers.autoscaling",
    "services.",
    "services/proxy.",
    "services/status.",
    "events.",
    "configmaps.",
    "secrets.",
    "pods.",
    "pods/exec.",
    "pods/log.",
    "serviceaccounts.",
    "serviceaccounts/token.",
    "namespaces.",
    "virtualservices.networking.istio.io",
    "destinationrules.networking.istio.io",
    "gateways.networking.istio.io",
    "leases.coordination.k8s.io",
    // One of each is known by its name, and no other.
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
];
const ROLES: [&str; 2] = ["roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"];

fn reads(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

pub fn viewer(verb: &str, resource: &str) -> bool {
    match resource {
        "services/proxy." => verb == "get",
        "pods." => matches!(verb, "list" | "watch"),
        "gateways.networking.istio.io" => verb == "get",
        "canaries.flagger.app" | "metrictemplates.flagger.app" | "alertproviders.flagger.app" => reads(verb),
        "deployments.apps" | "replicasets.apps" | "horizontalpodautoscalers.autoscaling" => reads(verb),
        "services." | "events." | "leases.coordination.k8s.io" => reads(verb),
        "virtualservices.networking.istio.io" | "destinationrules.networking.istio.io" => reads(verb),
        _ => false,
    }
}

pub fn operator(verb: &str, resource: &str) -> bool {
    viewer(verb, resource) || (verb, resource) == ("patch", "canaries.flagger.app")
}

pub fn driver(verb: &str, resource: &str) -> bool {
    let keeps = reads(verb) || matches!(verb, "create" | "patch");
    match resource {
        "canaries.flagger.app" => reads(verb) || matches!(verb, "patch" | "delete"),
        "canaries/status.flagger.app" => verb == "patch",
        "canaries/finalizers.flagger.app" => verb == "update",
        "metrictemplates.flagger.app" | "alertproviders.flagger.app" | "replicasets.apps" => reads(verb),
        "deployments.apps" | "horizontalpodautoscalers.autoscaling" => keeps,
        "services." | "configmaps." | "secrets." | "events." | "leases.coordination.k8s.io" => keeps,
        "services/proxy." => verb == "get",
        "virtualservices.networking.istio.io" | "destinationrules.networking.istio.io" => keeps,
        "namespaces." => matches!(verb, "list" | "watch"),
        _ => false,
    }
}

/// What the API server grants and should not, or does not grant and should.
pub async fn differing(client: &Client, namespace: &str, expected: fn(&str, &str) -> bool) -> Vec<String> {
    let asked = RESOURCES.iter().chain(&ROLES).flat_map(|resource| VERBS.map(|verb| (verb, *resource)));
    let answers = asked.map(|(verb, resource)| async move {
        let granted = may(client, namespace, verb, resource).await;
        (granted != expected(verb, resource)).then(|| match granted {
            true => format!("may {verb} {resource} in {namespace}"),
            false => format!("may not {verb} {resource} in {namespace}"),
        })
    });
    futures::stream::iter(answers).buffer_unordered(16).filter_map(|wrong| async { wrong }).collect().await
}

async fn may(client: &Client, namespace: &str, verb: &str, resource: &str) -> bool {
    let (resource, group) = resource.split_once('.').expect("a resource and its group");
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        namespace: Some(namespace.into()),
        verb: Some(verb.into()),
        group: Some(group.into()),
        resource: Some(resource.into()),
        subresource,
        ..Default::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let ask = SelfSubjectAccessReview { spec, ..Default::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &ask).await.expect("an answer");
    answer.status.expect("a verdict").allowed
}
