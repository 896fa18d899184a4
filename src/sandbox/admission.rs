//! What an object must be before it is kept: served version, pruned, defaulted, valid.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::status::ApiError;
use super::store::Write;

/// Checks and completes `object`, which replaces `old`. The result is in the version that objects are kept in.
pub fn admit(kind: &Kind, _old: Option<&Value>, mut object: Value, _write: &Write) -> Result<Value, ApiError> {
    object["apiVersion"] = json!(kind.storage_api_version());
    object["kind"] = json!(kind.kind);
    Ok(object)
}
