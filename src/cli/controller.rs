//! `canary-tui controller`: the driver without a screen. It says what it is to the namespace's rollouts, on stdout, each
//! time that changes; what it does is in the log and in the Canaries' Events.

use super::args::{ClusterArgs, DriverArgs};
use super::exit::Exit;
use super::plain::escaped;
use super::session::Session;
use super::signals::Ending;
use crate::cluster::{Clock, Mirror};
use crate::controller::{Controller, Endpoint, Role};
use crate::metrics::{Locator, Prometheus};
use anyhow::{Context, Result};
use std::io::Write;
use std::net::SocketAddr;

/// Drives until SIGINT, SIGTERM or SIGHUP, then gives the lease back. With `listen` it serves its metrics and probes there.
pub async fn run(
    cluster: ClusterArgs,
    driver: DriverArgs,
    listen: Option<SocketAddr>,
    clock: Clock,
    out: &mut dyn Write,
) -> Result<Exit> {
    let mut ending = Ending::listen()?;
    if let Some(url) = &cluster.prometheus {
        // Said now, not by each check of each Canary.
        Prometheus::from_flag(url)?;
    }
    let options = driver.options()?;
    let endpoint = match listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let session = Session::open(&cluster).await?;
    let namespace = session.namespace().to_string();
    let Session { connection, kinds } = session;
    let mirror = Mirror::start(&connection.client, &kinds, &namespace, clock.clone(), true);
    let locator = Locator::new(connection.client.clone(), &namespace, cluster.prometheus.as_deref());
    let controller = Controller::start(connection, kinds, mirror, locator, clock, options);
    if let Some(endpoint) = endpoint {
        let _ = writeln!(out, "serving /metrics, /healthz and /readyz on http://{}", endpoint.address());
        // Ends with the process: until the lease is given back, it answers.
        tokio::spawn(endpoint.serve(controller.report()));
    }

    let mut role = controller.role();
    let end = loop {
        let text = match &*role.borrow_and_update() {
            Role::Waiting => format!("waiting for the lease of {namespace}"),
            Role::Driving => format!("driving the rollouts of {namespace}"),
            Role::Observing(why) => format!("not driving {namespace}: {why}"),
        };
        // Whoever read this may have gone; the rollouts go on.
        let _ = writeln!(out, "{}", escaped(&text)).and_then(|()| out.flush());
        tokio::select! {
            signal = ending.wait() => break signal,
            changed = role.changed() => if changed.is_err() { break "the controller's end" },
        }
    };
    tracing::info!(%namespace, "stopping after {end}");
    controller.stop().await;
    Ok(Exit::Done)
}

async fn bind(address: SocketAddr) -> Result<Endpoint> {
    let bound = Endpoint::bind(address).await;
    bound
        .with_context(|| format!("cannot listen on {address}: give --listen another address, or port 0 for a free one"))
}
