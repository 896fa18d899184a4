//! Who the caller is, and what the caller may do: Kubernetes' reviews of oneself.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::super::status::{ApiError, FieldError};
use super::super::store::timestamp;
use super::hooks::Attributes;
use super::path::Target;
use super::{Api, Call, json_response};

/// One review, as discovery names it.
pub struct Review {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
}

/// The reviews that are answered.
pub const REVIEWS: &[Review] = &[
    Review {
        group: "authentication.k8s.io",
        version: "v1",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
    },
    Review {
        group: "authorization.k8s.io",
        version: "v1",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
    },
    Review {
        group: "authorization.k8s.io",
        version: "v1",
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
    },
];

/// The answer, if the target is a review at all.
pub fn answer(api: &Api, call: &Call, target: &Target) -> Option<Result<Response, ApiError>> {
    let review = REVIEWS
        .iter()
        .find(|one| one.group == target.group && one.version == target.version && one.plural == target.plural)?;
    if target.name.is_some() || target.namespace.is_some() {
        return Some(Err(ApiError::no_such_path()));
    }
    if call.method != Method::POST {
        return Some(Err(ApiError::method_not_allowed()));
    }
    Some(call.value().and_then(|asked| {
        sensible(review, &asked)?;
        let status = match review.kind {
            "SelfSubjectReview" => json!({ "userInfo": {
                "username": call.attributes.user,
                "groups": ["system:authenticated"],
            } }),
            "SelfSubjectAccessReview" => access(api, call, &asked),
            _ => rules(api, call, &asked),
        };
        let mut answer = json!({
            "kind": review.kind,
            "apiVersion": format!("{}/{}", review.group, review.version),
            "metadata": {},
            "status": status,
        });
        match review.kind {
            "SelfSubjectReview" => answer["metadata"]["creationTimestamp"] = json!(timestamp(api.store.now())),
            "SelfSubjectAccessReview" => answer["spec"] = asked["spec"].clone(),
            // Of the rules the question is not repeated.
            _ => answer["spec"] = json!({}),
        }
        Ok(json_response(StatusCode::CREATED, &answer))
    }))
}

/// Whether a review asks about one thing.
fn sensible(review: &Review, asked: &Value) -> Result<(), ApiError> {
    let spec = &asked["spec"];
    match review.kind {
        "SelfSubjectAccessReview"
            if spec["resourceAttributes"].is_null() == spec["nonResourceAttributes"].is_null() =>
        {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let error = FieldError::invalid("spec", &spec["nonResourceAttributes"], why);
            Err(ApiError::unnamed_invalid(review.group, error))
        }
        "SelfSubjectRulesReview" if spec["namespace"].as_str().is_none_or(str::is_empty) => {
            Err(ApiError::bad_request("no namespace on request"))
        }
        _ => Ok(()),
    }
}

fn access(api: &Api, call: &Call, asked: &Value) -> Value {
    let about = &asked["spec"]["resourceAttributes"];
    let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
    let optional = |field: &str| Some(text(field)).filter(|text| !text.is_empty());
    let path = asked["spec"]["nonResourceAttributes"]["path"].as_str().unwrap_or_default();
    let attributes = Attributes {
        user: call.attributes.user.clone(),
        verb: text("verb"),
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: optional("namespace"),
        name: optional("name"),
        path: path.to_owned(),
    };
    if api.hooks.denies(&attributes) {
        json!({ "allowed": false, "reason": "denied by the sandbox" })
    } else {
        json!({ "allowed": true })
    }
}

/// Everything, where nothing is denied; else every verb on every kind that is not denied: rules by resource, since a denial is only known by asking.
fn rules(api: &Api, call: &Call, asked: &Value) -> Value {
    let everything = json!([{ "verbs": ["*"], "nonResourceURLs": ["*"] }]);
    if !api.hooks.denies_anything() {
        return json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": everything,
            "incomplete": false,
        });
    }
    let namespace = asked["spec"]["namespace"].as_str().unwrap_or_default();
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    let mut rules = Vec::new();
    let kinds = api.store.kinds();
    for kind in kinds.iter() {
        let mut parts = vec![""];
        parts.extend(kind.has_status.then_some("status"));
        parts.extend(kind.has_scale.then_some("scale"));
        parts.extend((kind.kind == "Service" && kind.group.is_empty()).then_some("proxy"));
        for part in parts {
            let of = |verb: &str| Attributes {
                user: call.attributes.user.clone(),
                verb: verb.to_owned(),
                group: kind.group.clone(),
                resource: kind.plural.clone(),
                subresource: part.to_owned(),
                namespace: kind.namespaced.then(|| namespace.to_owned()),
                ..Attributes::default()
            };
            let allowed: Vec<&str> = verbs.into_iter().filter(|verb| !api.hooks.denies(&of(verb))).collect();
            if !allowed.is_empty() {
                rules.push(json!({
                    "verbs": allowed, "apiGroups": [kind.group], "resources": [of("").full_resource()],
                }));
            }
        }
    }
    json!({
        "resourceRules": rules,
        "nonResourceRules": [{ "verbs": ["get"], "nonResourceURLs": ["*"] }],
        "incomplete": false,
    })
}
