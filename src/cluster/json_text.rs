//! JSON that is kept for long and looked at seldom: as text it takes a fraction of what the tree of it does. It can always
//! be read again, because it is only ever made of a tree.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSON value as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// Takes the text of what serialises as a tree of values does: it cannot fail.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).unwrap_or_default().into())
    }

    /// The value.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_put_in_comes_out() {
        for value in [json!(null), json!({"b": [1, -2, 0.1, true], "a": {"ü\u{1}\"": "\n"}})] {
            assert_eq!(JsonText::of(&value).value(), value);
        }
    }
}
