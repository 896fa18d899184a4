//! The commands, one file each, over the rooms below; text, JSON and YAML output.
//!
//! Nothing is decided here about rollouts. Output goes to stdout, every error to stderr as one line that says what can
//! be done, and text that came from a cluster never reaches the terminal as it is.

pub mod args;
pub mod console;
pub mod controller;
pub mod events;
pub mod exit;
pub mod get;
pub mod logging;
pub mod manifests;
pub mod plain;
pub mod request;
pub mod sandbox;
pub mod session;
pub mod signals;
pub mod status;
pub mod table;
pub mod watching;

pub use args::Cli;
pub use exit::Exit;

use crate::cluster::Clock;
use args::Run;

/// Runs what the command line asks for.
pub async fn run(cli: Cli) -> Exit {
    let run = match cli.resolve() {
        Ok(run) => run,
        Err(why) => {
            exit::tell(&why);
            return Exit::Error;
        }
    };
    let _log = logging::begin(matches!(run, Run::Controller { .. }));
    let clock = Clock::system();
    // Locked for no longer than a write: a command that waits must not keep others from it.
    let out = &mut std::io::stdout();
    let result = match run {
        Run::Console { sandbox, cluster, driver, no_controller } => {
            console::run(sandbox, cluster, driver, no_controller, clock).await
        }
        Run::Sandbox(args) => sandbox::run(args, out).await,
        Run::Controller { cluster, driver, everywhere, listen } => {
            controller::run(cluster, driver, everywhere, listen, clock, out).await
        }
        Run::Get(args) => get::run(args, out).await,
        Run::Events(args) => events::run(args, out).await,
        Run::Status(args) => status::run(args, clock, out).await,
        Run::Request(ask) => request::run(ask, clock, out).await,
        Run::Manifests(args) => manifests::run(args, out),
    };
    exit::conclude(result)
}
