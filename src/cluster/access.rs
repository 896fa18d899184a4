//! Who the caller is and what the caller may do, in the API server's words.

use super::Kinds;
use super::connect::explain;
use super::object::{MetadataText, Object};
use crate::api::Provider;
use crate::api::providers::Kind;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client, Resource};
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// The caller's name (SelfSubjectReview). Old API servers do not know the question: then there is no name.
pub async fn whoami(client: &Client) -> Result<String, String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let ask = SelfSubjectReview::default();
    let answer = tokio::time::timeout(LIMIT, async { api.create(&PostParams::default(), &ask).await })
        .await
        .map_err(|_| "the API server did not say who you are in time".to_string())?
        .map_err(|e| format!("the API server does not say who you are: {}", explain(&e)))?;
    let user = answer.status.and_then(|s| s.user_info).and_then(|u| u.username);
    user.filter(|name| !name.is_empty()).ok_or_else(|| "the API server knows no name for you".into())
}

/// A right: verb, group, resource (with `/status` where it is that), as in an RBAC rule.
pub type Right = (&'static str, &'static str, &'static str);

/// All namespaces, where one is asked for.
pub const EVERYWHERE: &str = "";

/// What it takes to see the canaries.
pub const TO_LOOK: Right = ("list", "flagger.app", "canaries");

/// What a request needs.
pub const TO_REQUEST: [Right; 1] = [("patch", "flagger.app", "canaries")];

/// What driving needs.
pub const TO_DRIVE: [Right; 13] = [
    ("get", "coordination.k8s.io", "leases"),
    ("create", "coordination.k8s.io", "leases"),
    ("patch", "coordination.k8s.io", "leases"),
    ("patch", "flagger.app", "canaries"),
    ("patch", "flagger.app", "canaries/status"),
    ("get", "apps", "deployments"),
    ("create", "apps", "deployments"),
    ("patch", "apps", "deployments"),
    ("create", "", "services"),
    ("patch", "", "services"),
    ("get", "", "events"),
    ("create", "", "events"),
    ("patch", "", "events"),
];

/// What driving needs to know of all namespaces, where it is done in all of them.
pub const TO_WATCH: [Right; 12] = [
    ("list", "flagger.app", "canaries"),
    ("watch", "flagger.app", "canaries"),
    ("list", "apps", "deployments"),
    ("watch", "apps", "deployments"),
    ("list", "apps", "replicasets"),
    ("watch", "apps", "replicasets"),
    ("list", "", "services"),
    ("watch", "", "services"),
    ("list", "", "events"),
    ("watch", "", "events"),
    ("list", "coordination.k8s.io", "leases"),
    ("watch", "coordination.k8s.io", "leases"),
];

/// What driving a Canary of this provider needs beside that.
pub fn to_route(provider: Provider) -> Vec<Right> {
    let kinds = [Some(provider.routes_kind()), provider.rules_kind()];
    let rights = |kind: Kind| ["create", "patch"].map(|verb| (verb, kind.group(), kind.plural()));
    kinds.into_iter().flatten().flat_map(rights).collect()
}

/// Most objects that are read for their namespaces: they are a help for typing, and no more.
const HINTS: u32 = 500;

/// Names of namespaces, those that hold Canaries first, as far as the caller may list them.
pub async fn namespaces(client: &Client, kinds: &Kinds) -> Vec<String> {
    // Hundreds of trees at once would be the most that the process ever needs, and stay with it.
    let of = |kind: &ApiResource| -> Api<Object<MetadataText>> { Api::all_with(client.clone(), kind) };
    let (canaries, namespaces) = (of(&kinds.canary), of(&ApiResource::erase::<Namespace>(&())));
    let hints = ListParams::default().limit(HINTS);
    let asked = async { futures::join!(canaries.list(&hints), namespaces.list(&hints)) };
    let Ok((canaries, namespaces)) = tokio::time::timeout(LIMIT, asked).await else { return Vec::new() };
    let holding: BTreeSet<String> =
        canaries.into_iter().flatten().filter_map(|canary| canary.meta().namespace.clone()).collect();
    let all = namespaces.into_iter().flatten().filter_map(|namespace| namespace.meta().name.clone());
    let others: Vec<String> = all.filter(|name| !holding.contains(name)).collect();
    holding.into_iter().chain(others).collect()
}

/// The first of these rights that the caller lacks in a namespace ([`EVERYWHERE`]: in all of them at once), as
/// `verb resource.group`. Where the API server does
/// not answer, the rights are taken for granted: the writes themselves will say.
pub async fn lacks(client: &Client, namespace: &str, rights: &[Right]) -> Option<String> {
    let asked = rights.iter().map(|right| may(client, namespace, *right));
    let answers = futures::future::join_all(asked).await;
    rights.iter().zip(answers).find(|(_, may)| !may).map(|((verb, group, resource), _)| match *group {
        "" => format!("{verb} {resource}"),
        group => format!("{verb} {resource}.{group}"),
    })
}

async fn may(client: &Client, namespace: &str, (verb, group, resource): Right) -> bool {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_string())),
        None => (resource, None),
    };
    let ask = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_string()),
                verb: Some(verb.to_string()),
                group: Some(group.to_string()),
                resource: Some(resource.to_string()),
                subresource,
                ..Default::default()
            }),
            ..Default::default()
        },
        ..Default::default()
    };
    let answer = tokio::time::timeout(LIMIT, async { api.create(&PostParams::default(), &ask).await }).await;
    !matches!(answer, Ok(Ok(review)) if review.status.as_ref().is_some_and(|s| !s.allowed))
}
