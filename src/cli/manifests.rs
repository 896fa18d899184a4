//! `canary-tui manifests`: what a cluster without Flagger needs.

use super::exit::Exit;
use crate::api::crds;
use anyhow::Result;
use std::io::Write;

/// Prints the definitions for `kubectl apply -f -`.
pub fn run(out: &mut dyn Write) -> Result<Exit> {
    write!(out, "{}", crds::yaml())?;
    Ok(Exit::Done)
}
