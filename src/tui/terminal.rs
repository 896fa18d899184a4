//! The terminal itself: raw mode and the alternate screen, and their end, however the console ends.

use super::bytes;
use nix::unistd::{getppid, getsid};
use rustix::process::{Signal, kill_current_process_group};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Alternate screen, cursor hidden, pastes in brackets.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h";
/// The opposite, whatever state a frame was broken off in, and the mouse given back.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// Presses of the mouse's buttons and its wheel, with places beyond column 223.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &[u8] = b"\x1b[?1006l\x1b[?1000l";

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

    /// Gives the terminal back for a while, to the shell.
    pub fn lend(&self) {
        restore();
    }

    /// Takes the terminal over again, whatever others have set it to.
    ///
    /// # Errors
    /// When it refuses.
    pub fn take_back(&self, mouse: bool) -> io::Result<()> {
        // As the shell left it is how it is to be given back.
        crossterm::terminal::disable_raw_mode()?;
        crossterm::terminal::enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        output()?.write_all(ENTER)?;
        if mouse { self.mouse(true) } else { Ok(()) }
    }

    /// Takes the mouse from the terminal, or gives it back.
    pub fn mouse(&self, on: bool) -> io::Result<()> {
        output()?.write_all(if on { MOUSE } else { NO_MOUSE })
    }

    /// Writes a sequence that shows nothing, in one piece.
    pub fn send(&self, sequence: &[u8]) -> io::Result<()> {
        output()?.write_all(sequence)
    }

    /// Asks the terminal for the colour of its ground. The answer comes among the keys.
    pub fn ask_for_ground(&self) -> io::Result<()> {
        output()?.write_all(bytes::QUESTION)
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

/// Stops this process, and those that were started with it, until the shell lets them go on with SIGCONT. The stop is
/// SIGSTOP: SIGTSTP, which asks for it, is listened to.
///
/// # Errors
/// In words, where no shell is there to do so.
pub fn stop() -> Result<(), String> {
    // A process whose parent belongs to another session would stand still for ever. In a container the parent, or the
    // session of either, may be one that is not seen from here: 0, which rustix takes for impossible.
    let (parent, session) = (getppid(), getsid(None));
    let watched = parent.as_raw() != 0 && session.is_ok() && getsid(Some(parent)) == session;
    if !watched {
        return Err("there is no shell to come back from: this console was started without one".into());
    }
    kill_current_process_group(Signal::STOP).map_err(|e| format!("cannot be suspended: {e}"))
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
