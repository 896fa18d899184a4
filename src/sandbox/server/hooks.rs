//! What a request is about, and what a test may do to it: deny it or hold it back.

use axum::http::Method;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::super::status::ApiError;
use super::path::{Place, Query};

/// What a request is about, in the words that Kubernetes authorises by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Who asks.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name of the resource; empty for other paths.
    pub resource: String,
    /// `status`, `scale`, `proxy`, or empty.
    pub subresource: String,
    /// Where it is, if it is in a namespace.
    pub namespace: Option<String>,
    /// Which object, if one is named.
    pub name: Option<String>,
    /// The path, for what is no resource.
    pub path: String,
}

impl Attributes {
    pub(super) fn of(user: &str, method: &Method, place: &Place, query: &Query, path: &str) -> Self {
        let mut attributes = Self { user: user.to_owned(), path: path.to_owned(), ..Self::default() };
        let named = match place {
            Place::Resource(target) => {
                attributes.group = target.group.clone();
                attributes.resource = target.plural.clone();
                attributes.subresource = target.subresource.clone().unwrap_or_default();
                attributes.namespace = target.namespace.clone();
                attributes.name = target.name.clone();
                // A namespace is in itself, as far as permissions go.
                if target.plural == "namespaces" && target.group.is_empty() {
                    attributes.namespace = target.name.clone();
                }
                target.name.is_some()
            }
            Place::Proxy(target) => {
                attributes.resource = "services".into();
                attributes.subresource = "proxy".into();
                attributes.namespace = Some(target.namespace.clone());
                attributes.name = Some(target.service.clone());
                true
            }
            _ => true,
        };
        let watching = query.flag("watch") && attributes.name.is_none();
        let verb = match *method {
            Method::GET | Method::HEAD if watching => "watch",
            Method::GET | Method::HEAD if named => "get",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if named => "delete",
            Method::DELETE => "deletecollection",
            _ => "",
        };
        attributes.verb = verb.into();
        attributes
    }

    /// `deployments/scale`, as rules name it.
    pub fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    pub(super) fn counted_as(&self) -> String {
        if self.resource.is_empty() {
            self.path.clone()
        } else if self.group.is_empty() {
            self.full_resource()
        } else {
            format!("{}.{}{}", self.resource, self.group, self.full_resource().trim_start_matches(&self.resource))
        }
    }

    pub(super) fn forbidden(&self) -> ApiError {
        if self.resource.is_empty() {
            let mut error = ApiError::forbidden(&self.user, &self.verb, "", "", None, None);
            error.message = format!("forbidden: User {:?} cannot {} path {:?}", self.user, self.verb, self.path);
            return error;
        }
        ApiError::forbidden(
            &self.user,
            &self.verb,
            &self.group,
            &self.full_resource(),
            self.namespace.as_deref(),
            self.name.as_deref(),
        )
    }
}

/// Says of a request whether it is denied.
pub type Denial = Arc<dyn Fn(&Attributes) -> bool + Send + Sync>;
/// Says of a request how long it is held back.
pub type Delay = Arc<dyn Fn(&Attributes) -> Duration + Send + Sync>;

#[derive(Default)]
pub(super) struct Hooks {
    denial: RwLock<Option<Denial>>,
    delay: RwLock<Option<Delay>>,
}

impl Hooks {
    pub(super) fn set_denial(&self, denial: Option<Denial>) {
        *self.denial.write().unwrap_or_else(PoisonError::into_inner) = denial;
    }

    pub(super) fn set_delay(&self, delay: Option<Delay>) {
        *self.delay.write().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    /// Whether there may be something that is denied.
    pub(super) fn denies_anything(&self) -> bool {
        self.denial.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn denies(&self, attributes: &Attributes) -> bool {
        let denial = self.denial.read().unwrap_or_else(PoisonError::into_inner).clone();
        // Every user may ask what they may do.
        !attributes.resource.starts_with("selfsubject") && denial.is_some_and(|denies| denies(attributes))
    }

    pub(super) fn delay(&self, attributes: &Attributes) -> Duration {
        let delay = self.delay.read().unwrap_or_else(PoisonError::into_inner).clone();
        delay.map_or(Duration::ZERO, |delay| delay(attributes))
    }
}
