//! The terminal itself: raw mode and the alternate screen, and their end, however the console ends.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Alternate screen, cursor hidden, pastes in brackets.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h";
/// The opposite, whatever state a frame was broken off in.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// Whether the terminal is ours now; restoring it happens once.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Holds the terminal until dropped.
pub struct Session {
    panicked: watch::Receiver<bool>,
}

impl Session {
    /// Takes the terminal over. It is given back when the session is dropped, and when anything in this process panics.
    ///
    /// # Errors
    /// When standard input or output is no terminal, or it refuses.
    pub fn enter() -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other(
                "the console needs a terminal: for scripts there are canary-tui get, status and events",
            ));
        }
        let panicked = hook();
        crossterm::terminal::enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        let session = Self { panicked };
        output()?.write_all(ENTER)?;
        Ok(session)
    }

    /// Becomes true when something has panicked and the terminal was given back.
    pub fn panicked(&self) -> watch::Receiver<bool> {
        self.panicked.clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        restore();
    }
}

/// Standard output without the line buffer of the standard library, which would break a frame into many writes.
pub fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Gives the terminal back. May be called at any time and from anywhere; only the first call does anything.
fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // A closed terminal takes nothing back, and that is no error here.
        let _ = output().and_then(|mut out| out.write_all(LEAVE));
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Restores the terminal before a panic's message is printed. The message would else be lost on the alternate screen.
fn hook() -> watch::Receiver<bool> {
    static ONCE: Once = Once::new();
    static TOLD: std::sync::OnceLock<watch::Sender<bool>> = std::sync::OnceLock::new();
    let told = TOLD.get_or_init(|| watch::channel(false).0);
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
            let _ = told.send(true);
        }));
    });
    told.subscribe()
}
