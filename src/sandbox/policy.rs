//! The one ValidatingAdmissionPolicy that the sandbox carries out: that of `canary-tui manifests`, and of it the rule that
//! a request says who writes it. It reads no CEL: another policy is refused, so that none seems to hold that does not.

use super::kinds::Kind;
use super::status::ApiError;
use super::store::Store;
use crate::api::manifests::{POLICY, binding_name, honest, in_force};
use crate::api::{GROUP, annotation};
use serde_json::Value;

/// Who writes, where, and under which binding.
pub struct Policed {
    user: String,
    binding: String,
}

/// Whether writes of such objects are held to the policy; None where nothing holds them.
pub fn of(store: &Store, kind: &Kind, namespace: Option<&str>, user: &str) -> Option<Policed> {
    if kind.group != GROUP || kind.kind != "Canary" {
        return None;
    }
    let namespace = namespace?;
    store.get("ValidatingAdmissionPolicy", None, POLICY)?;
    let names = [binding_name(None), binding_name(Some(namespace))];
    let binding = names.into_iter().find(|name| {
        let binding = store.get("ValidatingAdmissionPolicyBinding", None, name);
        binding.is_some_and(|binding| in_force(&binding, namespace) == Some(true))
    })?;
    Some(Policed { user: user.to_owned(), binding })
}

impl Policed {
    /// Refuses a request that names another than its writer. `old` is what the object is now.
    ///
    /// # Errors
    /// 403, with what the policy says.
    pub fn check(&self, kind: &Kind, old: &Value, new: &Value) -> Result<(), ApiError> {
        let text = |object: &Value| {
            let text = object.pointer("/metadata/annotations").and_then(|all| all.get(annotation::REQUEST));
            text.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let written = text(new);
        if written.is_empty() || written == text(old) || honest(&written, &self.user) {
            return Ok(());
        }
        let name = new.pointer("/metadata/name").or(old.pointer("/metadata/name")).and_then(Value::as_str);
        let why = format!(
            "ValidatingAdmissionPolicy '{POLICY}' with binding '{}' denied request: the annotation {} must be written as \
             canary-tui writes it and say who you are: \"by\" is to be {}",
            self.binding,
            annotation::REQUEST,
            self.user
        );
        Err(ApiError::refused(kind, name.unwrap_or_default(), why))
    }
}

/// Whether an object is a policy that is carried out, or none at all.
///
/// # Errors
/// 400: it would be kept and do nothing.
pub fn carried_out(kind: &Kind, name: &str) -> Result<(), ApiError> {
    if kind.kind != "ValidatingAdmissionPolicy" || kind.custom || name == POLICY {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("the sandbox carries out one ValidatingAdmissionPolicy alone, {POLICY}")))
}
