//! `canary-tui`: the console, on the cluster of the kubeconfig or on an embedded one.

use super::args::{ClusterArgs, DriverArgs, LookArgs};
use super::exit::Exit;
use super::{logging, session};
use crate::cluster::{Clock, Connection};
use crate::metrics::Prometheus;
use crate::sandbox::{self, Sandbox};
use crate::tui;
use crate::tui::config::{Config, Problem};
use anyhow::{Context, Result};

/// Runs the console until the operator leaves.
pub async fn run(
    sandboxed: bool,
    cluster: ClusterArgs,
    driver: DriverArgs,
    look: LookArgs,
    no_controller: bool,
    (config, problems): (Config, Vec<Problem>),
    clock: Clock,
) -> Result<Exit> {
    if let Some(url) = &cluster.prometheus {
        Prometheus::from_flag(url)?;
    }
    let controller = driver.options()?;
    // Held until the console has ended: dropping it ends the cluster.
    let mut embedded = None;
    let connection = if sandboxed {
        let sandbox = Sandbox::start(sandbox::Options::default()).await?;
        let connection = into(&sandbox, cluster.namespace).await?;
        embedded = Some(sandbox);
        connection
    } else {
        session::connect(&cluster).await?
    };
    let context = &connection.context;
    // Whoever may change nothing drives nothing.
    let drives = !no_controller && config.guard(context).may_write().is_ok();
    let options = tui::Options {
        controller: drives.then_some(controller),
        prometheus: cluster.prometheus.or_else(|| config.prometheus(context)),
        look: look.wanted(&config, context),
        reports: logging::directory().map(|directory| directory.join("reports")),
        config,
        problems,
    };
    let ended = tui::run(connection, clock, options).await;
    drop(embedded);
    ended?;
    Ok(Exit::Done)
}

/// Connects to an embedded cluster as to any other: by its kubeconfig, which is not needed any more once it is read.
async fn into(sandbox: &Sandbox, namespace: Option<String>) -> Result<Connection> {
    let directory = logging::directory().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("sandbox-{}.kubeconfig", std::process::id()));
    sandbox.write_kubeconfig(&path)?;
    let connection =
        session::connect(&ClusterArgs { namespace, kubeconfig: Some(path.clone()), ..Default::default() }).await;
    let _ = std::fs::remove_file(&path);
    connection
}
