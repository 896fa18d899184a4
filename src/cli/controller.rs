//! `canary-tui controller`: the driver without a screen. It says what it is to the namespace's rollouts, on stdout, each
//! time that changes; what it does is in the log and in the Canaries' Events.

use super::args::{ClusterArgs, DriverArgs};
use super::exit::Exit;
use super::plain::escaped;
use super::session::{Session, connect};
use super::signals::Ending;
use crate::cluster::{Clock, Fleet, For, Mirror, access};
use crate::controller::{Controller, Endpoint, Everywhere, Options, Role, Says};
use crate::metrics::{Locator, Prometheus};
use crate::tui::config::Config;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

/// Drives one namespace, or `everywhere` all of them, until SIGINT, SIGTERM or SIGHUP, then gives the leases back. With
/// `listen` it serves its metrics and probes there.
pub async fn run(
    cluster: ClusterArgs,
    driver: DriverArgs,
    everywhere: bool,
    listen: Option<SocketAddr>,
    config: &Config,
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
    let connection = connect(&cluster).await?;
    if let Err(why) = config.guard(&connection.context).may_write() {
        bail!("a controller changes the cluster, and {why}");
    }
    let session = Session::over(connection).await?;
    let prometheus = cluster.prometheus.as_deref();
    match everywhere {
        true => drive_everywhere(session, prometheus, options, endpoint, clock, &mut ending, out).await?,
        false => drive_one(session, prometheus, options, endpoint, clock, &mut ending, out).await,
    }
    Ok(Exit::Done)
}

async fn drive_one(
    session: Session,
    prometheus: Option<&str>,
    options: Options,
    endpoint: Option<Endpoint>,
    clock: Clock,
    ending: &mut Ending,
    out: &mut dyn Write,
) {
    let namespace = session.namespace().to_string();
    let Session { connection, kinds } = session;
    let mirror = Mirror::start(&connection.client, &kinds, &namespace, clock.clone(), For::Driver);
    let locator = Locator::new(connection.client.clone(), &namespace, prometheus);
    let controller = Controller::start(connection, kinds, mirror, locator, clock, options);
    serve(endpoint, controller.report(), out);

    let mut role = controller.role();
    let end = loop {
        let text = said(&namespace, &role.borrow_and_update());
        say(&text, out);
        tokio::select! {
            signal = ending.wait() => break signal,
            changed = role.changed() => if changed.is_err() { break "the controller's end" },
        }
    };
    tracing::info!(%namespace, "stopping after {end}");
    controller.stop().await;
}

async fn drive_everywhere(
    session: Session,
    prometheus: Option<&str>,
    options: Options,
    endpoint: Option<Endpoint>,
    clock: Clock,
    ending: &mut Ending,
    out: &mut dyn Write,
) -> Result<()> {
    let Session { connection, kinds } = session;
    if let Some(right) = access::lacks(&connection.client, access::EVERYWHERE, &access::TO_WATCH).await {
        bail!(
            "you may not {right} in all namespaces, which controller -A must: grant it, or drive one namespace with \
             controller -n NAMESPACE, which needs no right outside it"
        );
    }
    let fleet = Fleet::start(&connection.client, &kinds, clock.clone(), For::Driver);
    let locator = Locator::new(connection.client.clone(), access::EVERYWHERE, prometheus);
    let controllers = Everywhere::start(connection, kinds, fleet, locator, clock, options);
    serve(endpoint, controllers.report(), out);
    say("driving the rollouts of all namespaces", out);

    let mut roles = controllers.roles();
    let mut before = BTreeMap::new();
    let end = loop {
        let present = roles.borrow_and_update().clone();
        for (namespace, role) in present.iter().filter(|(namespace, role)| before.get(*namespace) != Some(*role)) {
            say(&said(namespace, role), out);
        }
        for namespace in before.keys().filter(|namespace| !present.contains_key(*namespace)) {
            say(&format!("no canary is left in {namespace}"), out);
        }
        before = present;
        tokio::select! {
            signal = ending.wait() => break signal,
            changed = roles.changed() => if changed.is_err() { break "the controllers' end" },
        }
    };
    tracing::info!("stopping after {end}");
    controllers.stop().await;
    Ok(())
}

/// Serves what is said of itself; it ends with the process: until the leases are given back, it answers.
fn serve(endpoint: Option<Endpoint>, report: impl Says, out: &mut dyn Write) {
    let Some(endpoint) = endpoint else { return };
    say(&format!("serving /metrics, /healthz and /readyz on http://{}", endpoint.address()), out);
    tokio::spawn(endpoint.serve(report));
}

fn said(namespace: &str, role: &Role) -> String {
    match role {
        Role::Waiting => format!("waiting for the lease of {namespace}"),
        Role::Driving => format!("driving the rollouts of {namespace}"),
        Role::Observing(why) => format!("not driving {namespace}: {why}"),
    }
}

fn say(text: &str, out: &mut dyn Write) {
    // Whoever read this may have gone; the rollouts go on.
    let _ = writeln!(out, "{}", escaped(text)).and_then(|()| out.flush());
}

async fn bind(address: SocketAddr) -> Result<Endpoint> {
    let bound = Endpoint::bind(address).await;
    bound
        .with_context(|| format!("cannot listen on {address}: give --listen another address, or port 0 for a free one"))
}
