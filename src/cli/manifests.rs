//! `canary-tui manifests`: what a cluster without Flagger needs.

use super::args::ManifestsArgs;
use super::exit::Exit;
use crate::api::manifests::{Options, all, definitions, yaml};
use crate::metrics::Prometheus;
use anyhow::Result;
use std::io::Write;

/// Prints it for `kubectl apply -f -`.
pub fn run(args: ManifestsArgs, out: &mut dyn Write) -> Result<Exit> {
    if let Some(url) = &args.prometheus {
        Prometheus::from_flag(url)?;
    }
    let documents = match args.crds_only {
        true => definitions(),
        false => all(&Options {
            image: args.image,
            system_namespace: args.system_namespace,
            namespaced: args.namespaced,
            prometheus: args.prometheus,
        }),
    };
    write!(out, "{}", yaml(&documents))?;
    Ok(Exit::Done)
}
