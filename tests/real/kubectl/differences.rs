//! Where kubectl prints something else on the embedded cluster than on a real one, and why that may be. A difference
//! that is gone must be taken off this list.

/// Lines of one command that only one of the two prints.
pub struct Difference {
    /// The scenario that it comes up in.
    pub scenario: &'static str,
    /// Pattern of the command.
    pub command: &'static str,
    /// Patterns of whole lines that only the real cluster prints.
    pub cluster: &'static [&'static str],
    /// Patterns of whole lines that only the embedded cluster prints.
    pub sandbox: &'static [&'static str],
    /// Why it is accepted.
    pub why: &'static str,
}

pub const DIFFERENCES: &[Difference] = &[];
