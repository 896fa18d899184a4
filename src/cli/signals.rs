//! When a process without a screen is told to end.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// The signals that end it, listened to from the moment of this call.
pub struct Ending {
    signals: [(tokio::signal::unix::Signal, &'static str); 3],
}

impl Ending {
    /// Begins to listen: from here on these signals end nothing by themselves.
    pub fn listen() -> Result<Self> {
        let on = |kind, name| signal(kind).map(|s| (s, name)).context("cannot listen for signals");
        Ok(Self {
            signals: [
                on(SignalKind::interrupt(), "SIGINT")?,
                on(SignalKind::terminate(), "SIGTERM")?,
                on(SignalKind::hangup(), "SIGHUP")?,
            ],
        })
    }

    /// Waits for the first of them and answers its name.
    pub async fn wait(&mut self) -> &'static str {
        let [(interrupt, a), (terminate, b), (hangup, c)] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => a,
            _ = terminate.recv() => b,
            _ = hangup.recv() => c,
        }
    }
}
