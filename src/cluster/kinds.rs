//! The kinds that we use, in the version that the cluster serves.

use super::Source;
use crate::api::providers::Kind;
use crate::api::{GROUP, Provider, VERSIONS};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret, Service};
use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use std::collections::BTreeMap;

/// Which version of each kind is read and written.
#[derive(Clone, Debug)]
pub struct Kinds {
    pub canary: ApiResource,
    /// Routes and rules of the providers that the cluster has.
    pub provided: BTreeMap<Source, ApiResource>,
    pub deployment: ApiResource,
    pub replica_set: ApiResource,
    pub service: ApiResource,
    pub config_map: ApiResource,
    pub secret: ApiResource,
    pub scaler: ApiResource,
    pub event: ApiResource,
}

/// Why the kinds could not be found.
#[derive(Debug, thiserror::Error)]
pub enum KindsError {
    #[error(
        "the cluster serves no Canary ({GROUP}). Install the definitions first: canary-tui manifests --crds-only | kubectl apply -f -"
    )]
    NoCanary,
    #[error("{}", unanswered(.0))]
    Api(kube::Error),
}

impl From<kube::Error> for KindsError {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

fn unanswered(error: &kube::Error) -> String {
    let what = match error {
        kube::Error::Api(_) => "does not say which kinds it serves",
        _ => "cannot be reached",
    };
    format!("the API server {what}: {}", super::connect::explain(error))
}

impl Kinds {
    /// Asks the cluster once which versions it serves and takes the newest that we know.
    pub async fn discover(client: &Client) -> Result<Self, KindsError> {
        let groups = client.list_api_groups().await?;
        let served = |group: &str, wanted: &[&'static str]| -> Option<&'static str> {
            let group = groups.groups.iter().find(|g| g.name == group)?;
            wanted.iter().copied().find(|version| group.versions.iter().any(|v| v.version == *version))
        };
        let canary = served(GROUP, &VERSIONS).ok_or(KindsError::NoCanary)?;
        Ok(Self::with_versions(canary, |kind| served(kind.group(), kind.versions)))
    }

    /// The kind that a watch is of; None where the cluster does not serve it.
    pub fn of(&self, source: Source) -> Option<&ApiResource> {
        match source {
            Source::Canaries => Some(&self.canary),
            Source::Deployments => Some(&self.deployment),
            Source::ReplicaSets => Some(&self.replica_set),
            Source::Routes(_) | Source::Rules(_) => self.provided.get(&source),
            Source::Services => Some(&self.service),
            Source::ConfigMaps => Some(&self.config_map),
            Source::Secrets => Some(&self.secret),
            Source::Scalers => Some(&self.scaler),
            Source::Events => Some(&self.event),
            Source::Lease => None,
        }
    }

    /// All kinds in the newest version that we know, for a cluster that is known to serve them.
    pub fn newest() -> Self {
        Self::with_versions(VERSIONS[0], |kind| kind.versions.first().copied())
    }

    /// The kinds with these versions of the Canary and of the providers' objects.
    fn with_versions(canary: &str, served: impl Fn(&Kind) -> Option<&'static str>) -> Self {
        let mut provided = BTreeMap::new();
        for provider in Provider::all() {
            let routes = (Source::Routes(provider), Some(provider.routes_kind()));
            for (source, kind) in [routes, (Source::Rules(provider), provider.rules_kind())] {
                let Some((kind, version)) = kind.and_then(|kind| Some((kind, served(&kind)?))) else { continue };
                let of_kind = GroupVersionKind::gvk(kind.group(), version, kind.kind);
                provided.insert(source, ApiResource::from_gvk_with_plural(&of_kind, kind.plural()));
            }
        }
        Self {
            canary: ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, canary, "Canary"), "canaries"),
            provided,
            deployment: ApiResource::erase::<Deployment>(&()),
            replica_set: ApiResource::erase::<ReplicaSet>(&()),
            service: ApiResource::erase::<Service>(&()),
            config_map: ApiResource::erase::<ConfigMap>(&()),
            secret: ApiResource::erase::<Secret>(&()),
            scaler: ApiResource::erase::<HorizontalPodAutoscaler>(&()),
            event: ApiResource::erase::<Event>(&()),
        }
    }
}
