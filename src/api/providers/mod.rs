//! Who carries out the routing: a provider knows the kinds of its objects, their shapes, and how to read them back.
//!
//! Everything else speaks of routes and rules and knows no provider by name. A further provider is a file of its own
//! and a line in its registry.

pub mod istio;

use super::canary::{Analysis, Service, Spec};
use super::problem::Problem;
use super::routes::{Live, Traffic, Way};
use super::shapes::{Owner, Role};
use super::{annotation, borne};
use serde_json::Value;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::{fmt, ops};

/// The providers that there are; the first is the one of a Canary that names none.
static REGISTRY: [&dyn Routing; 1] = [&istio::Istio];

/// A kind of objects as an API server serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub kind: &'static str,
    /// Plural and group, as in an RBAC rule.
    pub resource: &'static str,
    /// Versions that we read and write; of those that a cluster serves the first is used.
    pub versions: &'static [&'static str],
}

impl Kind {
    /// The name in a path.
    pub fn plural(&self) -> &'static str {
        self.resource.split_once('.').map_or(self.resource, |(plural, _)| plural)
    }

    /// The API group.
    pub fn group(&self) -> &'static str {
        self.resource.split_once('.').map_or("", |(_, group)| group)
    }

    /// The kind in a sentence.
    pub fn singular(&self) -> String {
        self.kind.to_lowercase()
    }

    /// Group and version as our shapes bear them.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group(), self.versions.first().unwrap_or(&"v1"))
    }
}

/// What a provider does.
pub trait Routing: Sync {
    /// Its name, as `spec.provider` has it and the screen shows it.
    fn name(&self) -> &'static str;

    /// What has to be installed for it.
    fn product(&self) -> &'static str;

    /// Kind of the object that carries the weights.
    fn routes_kind(&self) -> Kind;

    /// Kind of the objects beside it, one for the primary and one for the canary; None where it needs none.
    fn rules_kind(&self) -> Option<Kind>;

    /// Further fields of `spec.service` that it carries out; they are kept as they come in
    /// [`Service::others`](super::Service::others).
    fn service_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it cannot carry out of a Canary that is fine otherwise.
    fn objections(&self, _: &Service, _: &Analysis) -> Vec<Problem> {
        Vec::new()
    }

    /// Name of the object that carries the weights.
    fn routes_name(&self, spec: &Spec) -> String {
        spec.service.apex.clone()
    }

    /// That object with this traffic.
    fn routes(&self, owner: &Owner, spec: &Spec, traffic: &Traffic) -> Value;

    /// The object beside it.
    fn rule(&self, owner: &Owner, spec: &Spec, role: Role) -> Option<Value>;

    /// The traffic by the spec of a live object, whatever that holds.
    fn live(&self, routes: &Value, spec: &Spec) -> Live;

    /// The spec of a live object for a reader, whatever that holds.
    fn way(&self, routes: &Value) -> Way;

    /// Kind of the objects by which requests come in from outside; None where it has none.
    fn gateway_kind(&self) -> Option<Kind> {
        None
    }

    /// Namespace and name of a gateway that a route object of `namespace` names so; None where it is none.
    fn gateway(&self, _name: &str, _namespace: &str) -> Option<(String, String)> {
        None
    }

    /// Whether the specs of two of its objects, live and desired, say the same.
    fn same(&self, live: &Value, desired: &Value) -> bool {
        borne::alike(live, desired)
    }

    /// Whether the spec of a live object leads to the primary's or the canary's Service: then it was written for a Canary.
    fn leads_to_copies(&self, routes: &Value, spec: &Spec) -> bool;

    /// The spec by which everything goes to the apex Service.
    fn to_apex(&self, spec: &Spec) -> Value;
}

/// One of the providers.
#[derive(Clone, Copy)]
pub struct Provider(&'static dyn Routing);

impl Provider {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        REGISTRY.iter().copied().map(Self)
    }

    /// The one of this name; of no name, the first.
    pub fn named(name: &str) -> Option<Self> {
        if name.is_empty() {
            return Some(Self::default());
        }
        Self::all().find(|provider| provider.name() == name)
    }

    /// The names of all, as they are offered to a reader.
    pub fn names() -> String {
        let names: Vec<&str> = Self::all().map(|provider| provider.name()).collect();
        match names.as_slice() {
            [one] => format!("{one} is"),
            names => format!("{} are", names.join(", ")),
        }
    }

    /// Whether the spec of live routes is one that no Canary wrote.
    pub fn is_original(self, routes: &Value, spec: &Spec) -> bool {
        routes.is_object() && !self.leads_to_copies(routes, spec)
    }

    /// A merge patch by which live routes lead where they led before the Canary, where that is known, or else to the apex
    /// Service, and outlive the Canary of this uid. None where nothing is left to do.
    pub fn handed_back(self, object: &Value, uid: &str, spec: &Spec) -> Option<Value> {
        borne::handed_back(object, uid, annotation::FLAGGER_ORIGINAL, |present| {
            self.leads_to_copies(present, spec).then(|| {
                let original =
                    borne::original(object, annotation::FLAGGER_ORIGINAL, |routes| self.is_original(routes, spec));
                borne::replacing(present, &original.unwrap_or_else(|| self.to_apex(spec)))
            })
        })
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self(REGISTRY[0])
    }
}

impl ops::Deref for Provider {
    type Target = dyn Routing;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Provider {}

impl Hash for Provider {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialOrd for Provider {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Provider {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_name_and_none_means_the_first() {
        assert_eq!(Provider::named(""), Some(Provider::default()));
        assert_eq!(Provider::named("istio").map(|p| p.name()), Some("istio"));
        assert_eq!(Provider::named("linkerd"), None);
    }

    #[test]
    fn a_kind_is_taken_apart_into_its_names() {
        for provider in Provider::all() {
            for kind in [Some(provider.routes_kind()), provider.rules_kind()].into_iter().flatten() {
                assert!(kind.group().contains('.') && !kind.plural().contains('.'), "{kind:?}");
                assert!(!kind.versions.is_empty(), "{kind:?}");
            }
        }
    }
}
