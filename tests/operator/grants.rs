//! What a user may do in the sandbox, by the rules of the roles that `canary-tui manifests` prints.

use canary_tui::api::manifests::{self, Options};
use canary_tui::sandbox::Attributes;
use serde_json::Value;

/// Rules, and where they hold.
#[derive(Clone)]
pub struct Grants {
    /// None: in all namespaces.
    namespace: Option<String>,
    rules: Vec<Value>,
    /// Resources that are taken out again, as `events` or `services/proxy`.
    but: Vec<&'static str>,
}

impl Grants {
    /// A role's rights, in one namespace or in all of them.
    pub fn of(role: &str, namespace: Option<&str>) -> Self {
        let documents = manifests::all(&Options::default());
        let named = |object: &&Value| object["kind"] == "ClusterRole" && object["metadata"]["name"] == role;
        let role = documents.iter().map(|document| &document.object).find(named).expect("the role");
        let rules = role["rules"].as_array().expect("rules").clone();
        Self { namespace: namespace.map(str::to_string), rules, but: Vec::new() }
    }

    /// Without any right to a resource.
    pub fn but(mut self, resource: &'static str) -> Self {
        self.but.push(resource);
        self
    }

    /// Whether a request is none of these rights. What everybody may do, as to see which kinds there are, is not refused.
    pub fn deny(&self, asked: &Attributes) -> bool {
        if asked.resource.is_empty() {
            return false;
        }
        let resource = asked.full_resource();
        let holds = self.namespace.is_none() || self.namespace == asked.namespace;
        let names = |list: &Value, what: &str| list.as_array().is_some_and(|l| l.iter().any(|one| one == what));
        let granted = self.rules.iter().any(|rule| {
            names(&rule["apiGroups"], &asked.group)
                && names(&rule["resources"], &resource)
                && names(&rule["verbs"], &asked.verb)
                && (rule["resourceNames"].is_null()
                    || names(&rule["resourceNames"], asked.name.as_deref().unwrap_or("")))
        });
        !(holds && granted) || self.but.contains(&resource.as_str())
    }
}
