//! The service proxy: a path behind a Service, answered by the router that stands for it.

use axum::body::Body;
use axum::http::{Request, Uri, request};
use axum::response::Response;
use std::sync::{Arc, PoisonError};
use tower::ServiceExt;

use super::super::status::ApiError;
use super::Api;
use super::path::ProxyTarget;

/// A Service's port that a router stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    namespace: String,
    service: String,
    port: u16,
}

impl Backend {
    pub fn new(namespace: &str, service: &str, port: u16) -> Self {
        Self { namespace: namespace.to_owned(), service: service.to_owned(), port }
    }
}

pub async fn forward(
    api: &Arc<Api>,
    target: &ProxyTarget,
    mut head: request::Parts,
    body: Body,
) -> Result<Response, ApiError> {
    let services = api.store.kind("Service")?;
    let service = api
        .store
        .get_of(&services, Some(&target.namespace), &target.service)
        .ok_or_else(|| ApiError::not_found(&services, &target.service))?;
    let none = || ApiError::unavailable(format!("no endpoints available for service {:?}", target.service));
    let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let wanted = ports.iter().find(|port| {
        target.port.is_empty() && ports.len() == 1
            || port["name"] == *target.port
            || port["port"].as_u64().is_some_and(|number| number.to_string() == target.port)
    });
    let port =
        wanted.and_then(|port| port["port"].as_u64()).and_then(|port| u16::try_from(port).ok()).ok_or_else(|| {
            ApiError::unavailable(format!("no service port {:?} found for service {:?}", target.port, target.service))
        })?;
    let key = Backend::new(&target.namespace, &target.service, port);
    let backend = api.proxies.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let backend = backend.ok_or_else(none)?;
    let path = match head.uri.query() {
        Some(query) => format!("{}?{query}", target.rest),
        None => target.rest.clone(),
    };
    head.uri = path.parse::<Uri>().map_err(ApiError::bad_request)?;
    // The caller's token is for this server alone.
    head.headers.remove(axum::http::header::AUTHORIZATION);
    let answer = backend.oneshot(Request::from_parts(head, body)).await;
    answer.map_err(|never| match never {})
}
