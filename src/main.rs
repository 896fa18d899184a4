//! Parse, wire, run.

use canary_tui::cli::{self, Cli, Exit};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One TLS provider for every client in the process; nothing has installed another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match tokio::runtime::Builder::new_multi_thread().worker_threads(cli.threads()).enable_all().build() {
        Ok(runtime) => runtime.block_on(cli::run(cli)).into(),
        Err(error) => {
            cli::exit::tell(&format!("cannot start: {error}"));
            Exit::Error.into()
        }
    }
}
