//! What may be asked for on a context: everything, only after the canary's name was typed, or nothing.

/// The rules of one context, from the command line and the config file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Why nothing may be changed, as a clause; None: everything may be asked for.
    pub read_only: Option<String>,
    /// Whether a question wants the canary's name typed before Yes does anything.
    pub protected: bool,
}

impl Guard {
    /// Whether a request may be written.
    ///
    /// # Errors
    /// Why not.
    pub fn may_write(&self) -> Result<(), String> {
        match &self.read_only {
            None => Ok(()),
            Some(why) => Err(format!("nothing is changed from here: {why}")),
        }
    }
}
