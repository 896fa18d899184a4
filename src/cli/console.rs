//! `canary-tui`: the console, on the cluster of the kubeconfig or on an embedded one.

use super::args::{ClusterArgs, ConsoleArgs};
use super::exit::Exit;
use super::{logging, session};
use crate::cluster::{Clock, Connection};
use crate::metrics::Prometheus;
use crate::sandbox::{self, Sandbox};
use crate::tui;
use crate::tui::config::{Config, Problem};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Runs the console until the operator leaves.
pub async fn run(args: ConsoleArgs, (config, problems): (Config, Vec<Problem>), clock: Clock) -> Result<Exit> {
    let ConsoleArgs { sandbox: sandboxed, cluster, driver, look, no_controller, everywhere } = args;
    let prometheus = cluster.prometheus.clone();
    if let Some(url) = &prometheus {
        Prometheus::from_flag(url)?;
    }
    let controller = driver.options()?;
    // Held until the console has ended: dropping them ends the cluster, and takes its kubeconfig away.
    let mut embedded = None;
    let begin = if sandboxed {
        let sandbox = Sandbox::start(sandbox::Options { policy: true, ..Default::default() }).await?;
        let kubeconfig = Written::of(&sandbox)?;
        let cluster = ClusterArgs { kubeconfig: Some(kubeconfig.0.clone()), ..cluster };
        embedded = Some((sandbox, kubeconfig));
        let opened = Ok(session::connect(&cluster).await?);
        tui::Start { way: session::way(&cluster)?, opened, everywhere }
    } else {
        let way = session::way(&cluster)?;
        let opened = Connection::open(&way).await;
        // What was named and is not there is a slip of the line; without any name the console says what it looked for.
        let named = way.kubeconfig.is_some() || way.context.is_some();
        if named && let Err(error) = opened {
            return Err(error.into());
        }
        tui::Start { way, opened, everywhere }
    };
    let context = match &begin.opened {
        Ok(connection) => connection.context.clone(),
        Err(_) => begin.way.context.clone().unwrap_or_default(),
    };
    let options = tui::Options {
        controller: (!no_controller).then_some(controller),
        prometheus,
        look: look.wanted(&config, &context),
        reports: logging::directory().map(|directory| directory.join("reports")),
        config,
        problems,
    };
    let ended = tui::run(begin, clock, options).await;
    drop(embedded);
    ended?;
    Ok(Exit::Done)
}

/// The kubeconfig of an embedded cluster, which is connected to as any other is; gone with it.
struct Written(PathBuf);

impl Written {
    fn of(sandbox: &Sandbox) -> Result<Self> {
        let directory = logging::directory().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let path = directory.join(format!("sandbox-{}.kubeconfig", std::process::id()));
        sandbox.write_kubeconfig(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // It leads nowhere any more.
        let _ = std::fs::remove_file(&self.0);
    }
}
