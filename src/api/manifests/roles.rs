//! Who may do what. Each role holds what its work takes and nothing else.

use super::{Document, NAME, Options, POLICY, labels};
use crate::api::{GROUP, Provider};
use serde_json::{Value, json};

/// Reads what the console shows.
pub const VIEWER: &str = "canary-tui-viewer";
/// Asks the driver for things.
pub const OPERATOR: &str = "canary-tui-operator";
/// Executes the rollouts.
pub const DRIVER: &str = "canary-tui-driver";

const READ: &[&str] = &["get", "list", "watch"];
/// What the driver keeps: nothing of it is ever deleted by hand, it goes with its Canary.
const KEEP: &[&str] = &["get", "list", "watch", "create", "patch"];

/// The roles, and the driver's own binding.
pub(super) fn all(options: &Options) -> Vec<Document> {
    let namespace = options.namespaced.as_deref();
    let mut documents: Vec<Document> = vec![
        role(VIEWER, viewer(namespace.is_none()), namespace).into(),
        role(OPERATOR, operator(namespace.is_none()), namespace).into(),
        role(DRIVER, driver(namespace.is_none()), namespace).into(),
        binding(options).into(),
    ];
    documents[0].comment = vec!["To be bound to people: what the console shows, and no Secret."];
    documents[1].comment = vec![
        "To be bound to people: the viewer's rights, and to write requests. RBAC knows no part of an object, so it is",
        "the policy below that keeps them from changing anything else on a Canary.",
    ];
    documents[2].comment = vec![
        "The controller's. It copies the ConfigMaps and Secrets that a target mounts for the primary, and reads the",
        "addresses of alerts from Secrets.",
    ];
    documents
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// `everywhere`: what lies in no namespace can be granted.
fn viewer(everywhere: bool) -> Vec<Value> {
    let mut rules = vec![
        rule(GROUP, &["canaries", "metrictemplates", "alertproviders"], READ),
        rule("apps", &["deployments", "replicasets"], READ),
        rule("autoscaling", &["horizontalpodautoscalers"], READ),
        rule("", &["services", "events"], READ),
        // How often the selected canary's were started anew, and why some are not ready.
        rule("", &["pods"], &["list", "watch"]),
        // Prometheus, behind the API server.
        rule("", &["services/proxy"], &["get"]),
        rule("coordination.k8s.io", &["leases"], READ),
    ];
    rules.extend(routing(READ));
    // By which requests come in.
    rules.extend(
        Provider::all()
            .filter_map(|provider| provider.gateway_kind())
            .map(|kind| rule(kind.group(), &[kind.plural()], &["get"])),
    );
    if everywhere {
        // Whether the names on requests are held to who writes them.
        let kinds = ["validatingadmissionpolicies", "validatingadmissionpolicybindings"];
        let mut policy = rule("admissionregistration.k8s.io", &kinds, &["get"]);
        policy["resourceNames"] = json!([POLICY]);
        rules.push(policy);
    }
    rules
}

/// The objects of every provider.
fn routing(verbs: &'static [&'static str]) -> impl Iterator<Item = Value> {
    Provider::all().map(move |provider| {
        let routes = provider.routes_kind();
        let kinds: Vec<&str> =
            [Some(routes), provider.rules_kind()].into_iter().flatten().map(|k| k.plural()).collect();
        rule(routes.group(), &kinds, verbs)
    })
}

fn operator(everywhere: bool) -> Vec<Value> {
    let mut rules = viewer(everywhere);
    rules.push(rule(GROUP, &["canaries"], &["patch"]));
    rules
}

/// `everywhere`: the namespaces are to be known too.
fn driver(everywhere: bool) -> Vec<Value> {
    let mut rules = vec![
        // Deleted when it is released.
        rule(GROUP, &["canaries"], &["get", "list", "watch", "patch", "delete"]),
        rule(GROUP, &["canaries/status"], &["patch"]),
        // Asked of whoever makes a Canary the owner of an object, where the API server checks that.
        rule(GROUP, &["canaries/finalizers"], &["update"]),
        rule(GROUP, &["metrictemplates", "alertproviders"], READ),
        rule("apps", &["deployments"], KEEP),
        rule("apps", &["replicasets"], READ),
        rule("autoscaling", &["horizontalpodautoscalers"], KEEP),
        rule("", &["services", "configmaps", "secrets", "events"], KEEP),
        rule("", &["services/proxy"], &["get"]),
        rule("coordination.k8s.io", &["leases"], KEEP),
    ];
    rules.extend(routing(KEEP));
    if everywhere {
        rules.push(rule("", &["namespaces"], &["list", "watch"]));
    }
    rules
}

fn role(name: &str, rules: Vec<Value>, namespace: Option<&str>) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": if namespace.is_some() { "Role" } else { "ClusterRole" },
        "metadata": metadata(name, namespace),
        "rules": rules,
    })
}

/// Gives the driver's role to the controller.
fn binding(options: &Options) -> Value {
    let namespace = options.namespaced.as_deref();
    let scope = if namespace.is_some() { "" } else { "Cluster" };
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{scope}RoleBinding"),
        "metadata": metadata(DRIVER, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": format!("{scope}Role"), "name": DRIVER},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": options.system()}],
    })
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "labels": labels()});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every right of these rules, as `verb resource.group`.
    fn rights(rules: &[Value]) -> Vec<String> {
        let texts = |rule: &Value, key: &str| -> Vec<String> {
            rule[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_string()).collect()
        };
        let mut rights = Vec::new();
        for rule in rules {
            for group in texts(rule, "apiGroups") {
                for resource in texts(rule, "resources") {
                    rights.extend(texts(rule, "verbs").iter().map(|verb| format!("{verb} {resource}.{group}")));
                }
            }
        }
        rights
    }

    #[test]
    fn who_looks_on_changes_nothing_and_reads_no_secret() {
        for right in rights(&viewer(true)) {
            let verb = right.split(' ').next().unwrap();
            assert!(READ.contains(&verb), "{right}");
            assert!(!right.contains("secrets") && !right.contains("configmaps"), "{right}");
        }
    }

    #[test]
    fn an_operator_may_write_requests_beside_what_a_viewer_may() {
        let (viewer, mut operator) = (rights(&viewer(true)), rights(&operator(true)));
        operator.retain(|right| !viewer.contains(right));
        assert_eq!(operator, ["patch canaries.flagger.app"]);
    }

    #[test]
    fn nobody_may_do_everything() {
        for rules in [viewer(true), operator(true), driver(true)] {
            assert!(rights(&rules).iter().all(|right| !right.contains('*')));
        }
        assert!(!rights(&driver(false)).iter().any(|right| right.contains("namespaces")));
        let policies = |rules: &[Value]| rights(rules).iter().filter(|right| right.contains("admission")).count();
        assert_eq!((policies(&operator(true)), policies(&operator(false))), (2, 0));
        let by_name = |rule: &Value| {
            rule["apiGroups"][0] != "admissionregistration.k8s.io" || rule["resourceNames"] == json!([POLICY])
        };
        assert!(operator(true).iter().all(by_name));
    }
}
