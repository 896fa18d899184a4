//! Whether the API server holds the names on requests to who wrote them. That is the policy's work, which `canary-tui
//! manifests` brings; without it anybody may have written any name, and a screen that shows one must say so.
//!
//! It is asked, never assumed: what could not be found out is not taken for checked.

use super::connect::{code, explain};
use super::object::Object;
use crate::api::manifests::{POLICY, binding_name, in_force};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::Value;
use std::time::Duration;

/// Time limit of all questions together.
const LIMIT: Duration = Duration::from_secs(5);

/// How far the names on requests can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// The API server holds them to who writes.
    Checked,
    /// Nothing does.
    Unchecked,
    /// That could not be found out: it may not be read, or there was no answer.
    #[default]
    Unknown,
}

impl Names {
    /// A name for a short line: what is known to be wrong with it, and no more.
    pub fn brief(self, by: &str) -> String {
        match self {
            Names::Unchecked => format!("{by} (unchecked)"),
            Names::Checked | Names::Unknown => by.to_string(),
        }
    }

    /// A name for a text that says all.
    pub fn full(self, by: &str) -> String {
        match self {
            Names::Unknown => format!("{by} (not known to be checked)"),
            Names::Checked | Names::Unchecked => self.brief(by),
        }
    }
}

/// Asks how it is in a namespace.
pub async fn names(client: &Client, namespace: &str) -> Names {
    match tokio::time::timeout(LIMIT, asked(client, namespace)).await {
        Ok(Ok(true)) => Names::Checked,
        Ok(Ok(false)) => Names::Unchecked,
        Ok(Err(why)) => {
            tracing::debug!(%namespace, %why, "whether the names on requests are checked is not known");
            Names::Unknown
        }
        Err(_) => Names::Unknown,
    }
}

async fn asked(client: &Client, namespace: &str) -> Result<bool, String> {
    let bindings: Api<Object> =
        Api::all_with(client.clone(), &ApiResource::erase::<ValidatingAdmissionPolicyBinding>(&()));
    let policies: Api<Object> = Api::all_with(client.clone(), &ApiResource::erase::<ValidatingAdmissionPolicy>(&()));
    let mut doubt = None;
    for name in [binding_name(None), binding_name(Some(namespace))] {
        match found(&bindings, &name).await {
            Ok(None) => {}
            Ok(Some(binding)) => match in_force(&binding, namespace) {
                Some(false) => {}
                // Without its policy a binding does nothing.
                Some(true) => return Ok(found(&policies, POLICY).await?.is_some()),
                None => doubt = Some(format!("the binding {name} is not as canary-tui manifests prints it")),
            },
            Err(why) => doubt = Some(why),
        }
    }
    doubt.map_or(Ok(false), Err)
}

/// An object; None where it is not there, or where the API server is too old to know such objects.
async fn found(api: &Api<Object>, name: &str) -> Result<Option<Value>, String> {
    match api.get_opt(name).await {
        Ok(object) => Ok(object.map(|object| object.value)),
        Err(error) if code(&error) == Some(404) => Ok(None),
        Err(error) => Err(explain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_only_where_nothing_is_known_against_it() {
        let said =
            [Names::Checked, Names::Unchecked, Names::Unknown].map(|names| (names.brief("al"), names.full("al")));
        let plain = || "al".to_string();
        let wanted = [
            (plain(), plain()),
            ("al (unchecked)".into(), "al (unchecked)".into()),
            (plain(), "al (not known to be checked)".into()),
        ];
        assert_eq!(said, wanted);
        assert_eq!(Names::default(), Names::Unknown);
    }
}
