//! The commands, one file each, over the rooms below; text, JSON and YAML output.
//!
//! Nothing is decided here about rollouts. Output goes to stdout, every error to stderr as one line that says what can
//! be done, and text that came from a cluster never reaches the terminal as it is.

pub mod args;
pub mod config;
pub mod console;
pub mod controller;
pub mod events;
pub mod exit;
pub mod get;
pub mod logging;
pub mod manifests;
pub mod plain;
pub mod report;
pub mod request;
pub mod sandbox;
pub mod session;
pub mod shell;
pub mod signals;
pub mod status;
pub mod table;
pub mod watch;
pub mod watching;

pub use args::Cli;
pub use exit::Exit;

use crate::cluster::Clock;
use crate::tui;
use args::Run;
use tui::config::{Config, Problem};

/// Runs what the command line asks for.
pub async fn run(cli: Cli) -> Exit {
    let mut run = match cli.resolve() {
        Ok(run) => run,
        Err(why) => {
            exit::tell(&why);
            return Exit::Error;
        }
    };
    let _log = logging::begin(matches!(run, Run::Controller { .. }));
    let (config, problems) = configure(&mut run);
    let clock = Clock::system();
    // Locked for no longer than a write: a command that waits must not keep others from it.
    let out = &mut std::io::stdout();
    let result = match run {
        Run::Console(args) => console::run(args, (config, problems), clock).await,
        Run::Sandbox(args) => sandbox::run(args, out).await,
        Run::Controller { cluster, driver, everywhere, listen } => {
            controller::run(cluster, driver, everywhere, listen, &config, clock, out).await
        }
        Run::Get(args) => get::run(args, out).await,
        Run::Events(args) => events::run(args, out).await,
        Run::Status(args) => status::run(args, clock, out).await,
        Run::Watch(args) => watch::run(args, clock, out).await,
        Run::Report(args) => report::run(args, clock, out).await,
        Run::Request(ask) => request::run(ask, &config, clock, out).await,
        Run::Manifests(args) => manifests::run(args, out),
        Run::Config(command) => config::run(command, out),
        Run::Completions(shell) => shell::completions(shell, out),
        Run::Man => shell::man(out),
    };
    exit::conclude(result)
}

/// What the config file says, with what the command line says beside it, for a command that is for a cluster. What is wrong
/// in it is told here, but for the console, which has a screen for that.
fn configure(run: &mut Run) -> (Config, Vec<Problem>) {
    let (console, sandboxed, theme) = match run {
        Run::Console(args) => (true, args.sandbox, args.look.theme.clone()),
        _ => (false, false, None),
    };
    let Some(cluster) = run.cluster() else { return Default::default() };
    let (mut config, problems) = tui::config::load();
    config.read_only_given = cluster.read_only;
    config.theme_given = theme;
    // A namespace of one's own means nothing to the embedded cluster.
    if cluster.namespace.is_none() && !sandboxed {
        cluster.namespace.clone_from(&config.namespace);
    }
    for problem in &problems {
        tracing::warn!(%problem, "the config file");
        if !console {
            exit::tell(&problem.to_string());
        }
    }
    (config, problems)
}
