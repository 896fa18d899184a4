//! How a command ends: its exit code, and the one line that says why.

use super::plain::escaped;
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit codes, the same for all commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; a request was carried out; a rollout has succeeded.
    Done = 0,
    /// A request was refused; a rollout has failed.
    Failed = 1,
    /// Wrong usage, or an error.
    Error = 2,
    /// Nobody drives, or the time has run out.
    NotInTime = 3,
    /// A rollout is under way.
    UnderWay = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// The exit of a command's result; an error is told on stderr in one line.
pub fn conclude(result: anyhow::Result<Exit>) -> Exit {
    match result {
        Ok(exit) => exit,
        // Whoever reads has seen enough: `canary-tui get | head -1`.
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            tell(&format!("{error:#}"));
            Exit::Error
        }
    }
}

/// One line on stderr. That stderr itself is gone is nothing to die of.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "canary-tui: {}", escaped(text));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_leaves_is_no_error() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(conclude(Err(anyhow::Error::new(broken).context("printing"))), Exit::Done);
        assert_eq!(conclude(Err(anyhow::anyhow!("x"))), Exit::Error);
    }
}
