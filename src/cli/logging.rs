//! The log: a file in the state directory, a new one each day, a week of them. Never the screen; a driver without a
//! screen logs to stderr as well.

use etcetera::BaseStrategy;
use std::io;
use std::path::PathBuf;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Files that are kept, one a day.
const KEPT: usize = 7;
/// Lines that may wait for a slow disk before further ones are lost; the room for them is taken at once.
const WAITING: usize = 4096;
/// Which messages are logged, in tracing's notation.
const FILTER: &str = "CANARY_TUI_LOG";

/// Keeps the log going; what is still in memory is written when it is dropped.
pub struct Log {
    _writer: Option<WorkerGuard>,
}

/// Where the log is: `$XDG_STATE_HOME/canary-tui`, else `~/.local/state/canary-tui`.
pub fn directory() -> Option<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().ok()?;
    Some(base.state_dir().unwrap_or_else(|| base.data_dir()).join("canary-tui"))
}

/// Begins to log. Where no file can be written there is none, and the program runs on.
pub fn begin(to_stderr: bool) -> Log {
    let filter = || {
        EnvFilter::try_from_env(FILTER)
            .unwrap_or_else(|_| EnvFilter::new("warn,kube_client::client::builder=off,canary_tui=info"))
    };
    let appender = directory().and_then(|directory| {
        std::fs::create_dir_all(&directory).ok()?;
        RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("canary-tui.log")
            .latest_symlink("canary-tui.log")
            .max_log_files(KEPT)
            .build(directory)
            .ok()
    });
    let (file, writer) = match appender {
        None => (None, None),
        Some(appender) => {
            let (sink, guard) = NonBlockingBuilder::default().buffered_lines_limit(WAITING).finish(appender);
            (Some(fmt::layer().with_writer(sink).with_ansi(false).with_filter(filter())), Some(guard))
        }
    };
    let screen = to_stderr.then(|| fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(filter()));
    // A second subscriber in one process, in a test, changes nothing.
    let _ = tracing_subscriber::registry().with(file).with(screen).try_init();
    Log { _writer: writer }
}
