//! `canary-tui report`: what happened in a rollout, written to files that are kept.

use super::args::ReportArgs;
use super::exit::{Exit, tell};
use super::plain::escaped;
use super::session::Session;
use super::watching;
use crate::cluster::{Clock, histories, vouching};
use crate::metrics::{Locator, Prometheus};
use crate::report::{self, Asked, Place};
use anyhow::{Result, anyhow};
use std::io::Write;
use std::path::Path;

/// Writes the report, and prints where it is.
pub async fn run(args: ReportArgs, clock: Clock, out: &mut dyn Write) -> Result<Exit> {
    if let Some(url) = &args.cluster.prometheus {
        Prometheus::from_flag(url)?;
    }
    let session = Session::open(&args.cluster).await?;
    let mirror = watching::begin(&session, clock.clone()).await?;
    let client = session.connection.client.clone();
    let locator = Locator::new(client, session.namespace(), args.cluster.prometheus.as_deref());
    let asked = Asked {
        context: session.connection.context.clone(),
        namespace: session.namespace().to_string(),
        canary: args.name,
        now: clock.now(),
        names: vouching::names(&session.connection.client, session.namespace()).await,
    };
    let client = &session.connection.client;
    let kept = histories::read(client, &session.kinds, &asked.namespace, &asked.canary).await;
    let story = report::gather(&mirror, &locator, kept, &asked).await.map_err(|why| anyhow!(why))?;
    let place = args.output.as_deref().map_or_else(|| Place::Folder(".".into()), |path: &Path| Place::of(path));
    let path = report::write(&story, &place).map_err(|why| anyhow!(why))?;
    story.missing.iter().for_each(|what| tell(&format!("not in the report: {what}")));
    writeln!(out, "{}", escaped(&path.display().to_string()))?;
    Ok(Exit::Done)
}
