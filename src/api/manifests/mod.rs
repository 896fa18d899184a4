//! All that a cluster without Flagger needs: the definitions, who may do what, and the controller in a pod. What is
//! printed here is applied by others; nothing in this program changes a cluster in this way.

mod deployment;
mod policy;
mod roles;

pub use policy::{POLICY, binding_name, honest, in_force};
pub use roles::{DRIVER, OPERATOR, VIEWER};

use super::crds;
use serde_json::{Value, json};

/// Name of the controller's Deployment and ServiceAccount.
pub const NAME: &str = "canary-tui";
/// Namespace of a controller that drives all others.
pub const SYSTEM: &str = "canary-tui-system";

/// What to print.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The controller's image; None: the name that a build of this version would have.
    pub image: Option<String>,
    /// Namespace of the controller; None: [`SYSTEM`], or the one that it drives.
    pub system_namespace: Option<String>,
    /// The one namespace that it drives; None: all.
    pub namespaced: Option<String>,
    /// Address of Prometheus, as the controller's pod sees it; None: it looks for one.
    pub prometheus: Option<String>,
}

impl Options {
    /// Where the controller lives.
    fn system(&self) -> &str {
        self.system_namespace.as_deref().or(self.namespaced.as_deref()).unwrap_or(SYSTEM)
    }
}

/// One document, and what a reader should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Lines without their `# `.
    comment: Vec<&'static str>,
    pub object: Value,
}

impl From<Value> for Document {
    fn from(object: Value) -> Self {
        Self { comment: Vec::new(), object }
    }
}

/// The definitions alone.
pub fn definitions() -> Vec<Document> {
    crds::all().into_iter().map(Document::from).collect()
}

/// What holds requests to who writes them, in all namespaces.
pub fn policy() -> Vec<Document> {
    policy::all(&Options::default())
}

/// Everything, in the order in which to create it.
pub fn all(options: &Options) -> Vec<Document> {
    let mut documents = definitions();
    documents[0].comment =
        vec!["Whoever deletes these definitions deletes every Canary, and with it the primary that serves its users."];
    // A namespace that is driven was there before and stays: it is not for us to delete.
    if options.namespaced.as_deref() != Some(options.system()) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": options.system(), "labels": labels()}});
        documents.push(namespace.into());
    }
    documents.push(deployment::account(options).into());
    documents.extend(roles::all(options));
    documents.extend(policy::all(options));
    documents.push(deployment::deployment(options));
    documents
}

/// As one text, for `kubectl apply -f -`.
pub fn yaml(documents: &[Document]) -> String {
    let texts = documents.iter().map(|document| {
        let comment: String = document.comment.iter().map(|line| format!("# {line}\n")).collect();
        // JSON of our own making has neither cycles nor keys that are no text: there is nothing to fail on.
        comment + serde_saphyr::to_string(&document.object).unwrap_or_default().trim_end() + "\n"
    });
    texts.collect::<Vec<_>>().join("---\n")
}

/// The labels of everything that is not a definition.
fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &Options) -> Vec<String> {
        let name = |document: &Document| {
            let text = |key: &str| document.object.pointer(key).and_then(Value::as_str).unwrap_or("-").to_string();
            format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
        };
        all(options).iter().map(name).collect()
    }

    #[test]
    fn what_others_need_comes_first() {
        let expected = [
            "CustomResourceDefinition -/canaries.flagger.app",
            "CustomResourceDefinition -/metrictemplates.flagger.app",
            "CustomResourceDefinition -/alertproviders.flagger.app",
            "Namespace -/canary-tui-system",
            "ServiceAccount canary-tui-system/canary-tui",
            "ClusterRole -/canary-tui-viewer",
            "ClusterRole -/canary-tui-operator",
            "ClusterRole -/canary-tui-driver",
            "ClusterRoleBinding -/canary-tui-driver",
            "ValidatingAdmissionPolicy -/canary-tui-requests",
            "ValidatingAdmissionPolicyBinding -/canary-tui-requests",
            "Deployment canary-tui-system/canary-tui",
        ];
        assert_eq!(names(&Options::default()), expected);
    }

    #[test]
    fn in_one_namespace_no_right_reaches_beyond_it() {
        let options = Options { namespaced: Some("prod".into()), ..Options::default() };
        let expected = [
            "ServiceAccount prod/canary-tui",
            "Role prod/canary-tui-viewer",
            "Role prod/canary-tui-operator",
            "Role prod/canary-tui-driver",
            "RoleBinding prod/canary-tui-driver",
            "ValidatingAdmissionPolicy -/canary-tui-requests",
            "ValidatingAdmissionPolicyBinding -/canary-tui-requests-prod",
            "Deployment prod/canary-tui",
        ];
        assert_eq!(names(&options)[3..], expected, "and the namespace itself is not ours to delete");
        let apart = Options { system_namespace: Some("ops".into()), ..options };
        let names = names(&apart);
        assert_eq!(names[3..5], ["Namespace -/ops", "ServiceAccount ops/canary-tui"]);
        assert_eq!(names.last().map(String::as_str), Some("Deployment ops/canary-tui"));
        let binding = all(&apart).into_iter().find(|d| d.object["kind"] == "RoleBinding").unwrap().object;
        let place = (&binding["metadata"]["namespace"], &binding["subjects"][0]["namespace"]);
        assert_eq!(place, (&json!("prod"), &json!("ops")));
    }

    #[test]
    fn the_text_reads_back_as_the_objects() {
        let options = Options { image: Some("reg.example.com/x: y".into()), ..Options::default() };
        for documents in [all(&options), definitions()] {
            let read: Vec<Value> = serde_saphyr::from_multiple(&yaml(&documents)).unwrap();
            let objects: Vec<Value> = documents.into_iter().map(|document| document.object).collect();
            assert_eq!(read, objects);
        }
    }
}
