//! In which shape a client sees an object: the version, and how much of it.

/// The version and the form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Whole, as a table, or metadata alone.
    pub form: Form,
    /// The version that was asked for.
    pub version: String,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whole objects.
    Whole,
    /// Rows of cells, each with as much of its object as asked for.
    Table(Include),
    /// `PartialObjectMetadata`.
    Metadata,
}

/// What a table's row carries of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing at all.
    Nothing,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}
