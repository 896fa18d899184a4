//! What the API server itself holds requests to: whoever writes one says who it is, and who may only operate changes
//! nothing else on a Canary.
//!
//! CEL reads no JSON, so a request's text must begin as this program writes it; the driver's reader refuses a text that
//! says `by` twice, so what follows cannot take it back.

use super::{Document, Options, labels};
use crate::api::{GROUP, annotation};
use regex::Regex;
use serde_json::{Value, json};

/// Name of the policy.
pub const POLICY: &str = "canary-tui-requests";

/// The label that every namespace bears.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A request's text up to its `by`.
const HEAD: &str = r#"^\{"id":"[^"\\]*","verb":"[a-z]+","revision":"[^"\\]*","by":""#;

/// Name of the binding that puts it into force: in one namespace, or in all.
pub fn binding_name(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| POLICY.to_string(), |namespace| format!("{POLICY}-{namespace}"))
}

/// Whether a binding puts the policy into force in a namespace; None where it narrows that in a way that is not ours.
pub fn in_force(binding: &Value, namespace: &str) -> Option<bool> {
    let spec = binding.get("spec")?;
    let denies = spec.get("validationActions").and_then(Value::as_array)?.iter().any(|action| action == "Deny");
    if spec.get("policyName").and_then(Value::as_str) != Some(POLICY) || !denies {
        return Some(false);
    }
    let is_empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    if !is_empty(spec.get("paramRef")) {
        return None;
    }
    let Some(Value::Object(narrowed)) = spec.get("matchResources") else { return Some(true) };
    // The API server says itself how it matches.
    let whole = |key: &str| key == "matchPolicy" || key == "namespaceSelector" || is_empty(narrowed.get(key));
    if !narrowed.keys().all(|key| whole(key)) {
        return None;
    }
    let selector = narrowed.get("namespaceSelector");
    if is_empty(selector) {
        return Some(true);
    }
    let selector = selector?.as_object()?;
    let labels = selector.get("matchLabels").and_then(Value::as_object)?;
    let only = selector.keys().all(|key| key == "matchLabels" || is_empty(selector.get(key))) && labels.len() == 1;
    labels.get(NAMESPACE_NAME).and_then(Value::as_str).filter(|_| only).map(|name| name == namespace)
}

/// What the policy's first rule says of a request's text.
pub fn honest(text: &str, user: &str) -> bool {
    let by = user.replace('\\', "\\\\").replace('"', "\\\"");
    let head = Regex::new(HEAD).ok().and_then(|head| head.find(text)).map_or("", |found| found.as_str());
    !head.is_empty() && text[head.len()..].starts_with(&format!("{by}\",\"at\":\""))
}

/// The policy and its binding.
pub(super) fn all(options: &Options) -> Vec<Document> {
    let mut policy = Document::from(policy());
    policy.comment = vec![
        "Holds requests to who writes them, and operators to requests. Whoever may update Canaries or write their",
        "status (their authors, controllers) may go on changing them. Kubernetes 1.30 or newer; an older one applies",
        "all but this, and the names on requests are then unchecked.",
    ];
    vec![policy, binding(options).into()]
}

fn policy() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": POLICY, "labels": labels()},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [GROUP],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["canaries"],
            }]},
            "variables": variables(),
            "validations": [
                {
                    "expression": "variables.text == '' || variables.text == variables.was || (variables.head != '' && \
                        variables.text.substring(size(variables.head)).startsWith(variables.by + '\",\"at\":\"'))",
                    "messageExpression": format!(
                        "'the annotation {} must be written as canary-tui writes it and say who you are: \"by\" is to \
                         be ' + request.userInfo.username",
                        annotation::REQUEST
                    ),
                    "message": "a request must say who writes it",
                    "reason": "Forbidden",
                },
                {
                    "expression": format!(
                        "request.operation == 'CREATE' || variables.onlyRequest || {} || {}",
                        may("", "update"),
                        may(".subresource('status')", "patch")
                    ),
                    "messageExpression": format!(
                        "request.userInfo.username + ' may operate canary ' + request.name + ', not change it: only \
                         the annotation {} may differ'",
                        annotation::REQUEST
                    ),
                    "message": "who may only operate changes nothing but requests",
                    "reason": "Forbidden",
                },
            ],
        },
    })
}

/// In the order in which they need each other.
fn variables() -> Value {
    let annotations = |of: &str| format!("has({of}.metadata.annotations) ? {of}.metadata.annotations : {{}}");
    let request = |of: &str| {
        let key = annotation::REQUEST;
        format!("'{key}' in variables.{of} ? variables.{of}['{key}'] : ''")
    };
    let same = |path: &str| {
        let (new, old) = (format!("object.{path}"), format!("oldObject.{path}"));
        format!("has({new}) == has({old}) && (!has({new}) || {new} == {old})")
    };
    let kept = ["spec", "metadata.labels", "metadata.finalizers", "metadata.ownerReferences"].map(same).join(" && ");
    let key = annotation::REQUEST;
    let list = [
        ("before", format!("oldObject == null ? {{}} : ({})", annotations("oldObject"))),
        ("after", annotations("object")),
        ("was", request("before")),
        ("text", request("after")),
        ("head", format!("variables.text.find(r'{HEAD}')")),
        // The name as it stands in JSON.
        ("by", r#"request.userInfo.username.replace('\\', '\\\\').replace('"', '\\"')"#.to_string()),
        (
            "onlyRequest",
            format!(
                "{kept} && variables.after.all(k, k == '{key}' || (k in variables.before && variables.before[k] == \
                 variables.after[k])) && variables.before.all(k, k == '{key}' || k in variables.after)"
            ),
        ),
    ];
    list.into_iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect()
}

/// Whether the caller may do this to the Canary, or to a part of it.
fn may(part: &str, verb: &str) -> String {
    format!(
        "authorizer.group('{GROUP}').resource('canaries'){part}.namespace(request.namespace).name(request.name)\
         .check('{verb}').allowed()"
    )
}

/// Puts it into force.
fn binding(options: &Options) -> Value {
    let mut binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": POLICY, "labels": labels()},
        "spec": {"policyName": POLICY, "validationActions": ["Deny"]},
    });
    if let Some(namespace) = &options.namespaced {
        binding["metadata"]["name"] = json!(binding_name(Some(namespace)));
        let here = json!({"matchLabels": {NAMESPACE_NAME: namespace}});
        binding["spec"]["matchResources"] = json!({"namespaceSelector": here});
    }
    binding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Request, Verb};
    use chrono::DateTime;

    fn request(by: &str) -> Request {
        Request {
            id: "00ff".into(),
            verb: Verb::Promote,
            revision: "5d8c7b-1f".into(),
            by: by.into(),
            at: DateTime::UNIX_EPOCH,
            reason: r#"","by":"root","at":""#.into(),
            replaces: None,
            image: None,
            container: None,
            gate: None,
        }
    }

    #[test]
    fn a_request_is_written_as_the_policy_reads_it() {
        for user in ["alice", "system:serviceaccount:prod:ci", "a@example.com", r#"a"b\c"#, "Ünï"] {
            for verb in Verb::ALL {
                let text = serde_json::to_string(&Request { verb, ..request(user) }).unwrap();
                assert!(honest(&text, user), "{text}");
                assert!(!honest(&text, "mallory") && !honest(&text, "root"), "{text}");
                let start: String = user.chars().take(1).collect();
                assert!(!honest(&text, &start), "{text}: a name that another begins with");
            }
        }
    }

    #[test]
    fn nobody_takes_a_name_back_behind_the_place_where_it_is_looked_for() {
        let told = serde_json::to_string(&request("mallory")).unwrap();
        for key in ["by", r"\u0062y"] {
            let text = told.replace("\"at\"", &format!("\"at\":\"1970-01-01T00:00:00Z\",\"{key}\":\"alice\",\"x\""));
            assert!(honest(&text, "mallory"));
            assert!(serde_json::from_str::<Request>(&text).is_err(), "{text}");
        }
        let before = format!("{{\"by\":\"alice\",{}", &told[1..]);
        let spaced = told.replacen(':', ": ", 1);
        assert!(!honest(&before, "mallory") && !honest(&spaced, "mallory"));
    }

    #[test]
    fn a_binding_holds_where_it_denies_and_nothing_narrows_it_otherwise() {
        let whole = binding(&Options::default());
        let local = binding(&Options { namespaced: Some("prod".into()), ..Options::default() });
        let mut defaulted = whole.clone();
        let defaults = json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}});
        defaulted["spec"]["matchResources"] = defaults;
        let with = |key: &str, value: Value| {
            let mut changed = whole.clone();
            changed["spec"][key] = value;
            changed
        };
        let labels = |labels: Value| with("matchResources", json!({"namespaceSelector": {"matchLabels": labels}}));
        for (binding, namespace, wanted) in [
            (whole.clone(), "prod", Some(true)),
            (defaulted, "prod", Some(true)),
            (local.clone(), "prod", Some(true)),
            (local, "other", Some(false)),
            (with("validationActions", json!(["Warn", "Audit"])), "prod", Some(false)),
            (with("policyName", json!("another")), "prod", Some(false)),
            (with("paramRef", json!({"name": "x"})), "prod", None),
            (with("matchResources", json!({"objectSelector": {"matchLabels": {"a": "b"}}})), "prod", None),
            (with("matchResources", json!({"excludeResourceRules": [{}]})), "prod", None),
            (labels(json!({"team": "a"})), "prod", None),
            (labels(json!({NAMESPACE_NAME: "prod", "team": "a"})), "prod", None),
            (json!({}), "prod", None),
        ] {
            assert_eq!(in_force(&binding, namespace), wanted, "{binding}");
        }
    }
}
