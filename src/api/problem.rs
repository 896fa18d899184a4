//! What is wrong with an object, said so that the person who wrote the object can mend it.

use std::fmt;

/// A field that keeps a Canary from being driven, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, as in `spec.analysis.metrics[1].name`.
    pub field: String,
    /// What is wrong with it; reads on after the path.
    pub why: String,
}

impl Problem {
    /// A problem with `field`.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }

    /// A field that asks for something that this program does not carry out.
    pub fn unsupported(field: impl Into<String>) -> Self {
        Self::new(field, "is not supported by this version of canary-tui")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.why)
    }
}
