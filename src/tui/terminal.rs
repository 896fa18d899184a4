//! The terminal itself: raw mode and the alternate screen, and their end, however the console ends.

use super::bytes;
use super::line::Line;
use nix::sys::termios::tcgetsid;
use nix::unistd::{getppid, getsid};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::ttyname;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// Alternate screen, cursor hidden, pastes in brackets.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h";
/// The opposite, whatever state a frame was broken off in, and the mouse given back.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// Presses of the mouse's buttons and its wheel, with places beyond column 223.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// How long giving the terminal back may take where it takes nothing.
const PATIENCE: Duration = Duration::from_millis(750);

/// Whether the terminal is ours now; restoring it happens once.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// The line to it, where a panic finds it too.
static LINE: OnceLock<Line> = OnceLock::new();

/// Holds the terminal until dropped.
pub struct Session {
    line: Line,
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
        let line = match LINE.get() {
            Some(line) => line.clone(),
            None => {
                let line = Line::over(output()?)?;
                LINE.get_or_init(|| line).clone()
            }
        };
        let panicked = hook();
        crossterm::terminal::enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        let session = Self { line, panicked };
        session.line.open();
        session.line.send(ENTER)?;
        Ok(session)
    }

    /// The line to the terminal.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Gives the terminal back for a while, to the shell; answers whether the terminal has heard of it.
    pub fn lend(&self) -> bool {
        restore()
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
        self.line.open();
        self.line.send(ENTER)?;
        if mouse { self.mouse(true) } else { Ok(()) }
    }

    /// Takes the mouse from the terminal, or gives it back.
    pub fn mouse(&self, on: bool) -> io::Result<()> {
        self.line.send(if on { MOUSE } else { NO_MOUSE })
    }

    /// Asks the terminal for the colour of its ground. The answer comes among the keys.
    pub fn ask_for_ground(&self) -> io::Result<()> {
        self.line.send(bytes::QUESTION)
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

/// The terminal at standard output, opened anew: that its writes do not block is then no affair of the shell, which has
/// standard output too. Where it cannot be opened it is standard output itself, and a write waits until it is taken.
fn output() -> io::Result<File> {
    let stdout = io::stdout();
    let open = |path: &std::ffi::CStr| {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(File::from).ok().filter(|file| file.is_terminal())
    };
    let named = ttyname(&stdout, Vec::new()).ok().and_then(|path| open(&path));
    // By its name it may not be opened after su; in a container it may have none. /dev/tty is it where it controls us.
    let ours = || tcgetsid(&stdout).ok().and_then(|_| open(c"/dev/tty"));
    match named.or_else(ours) {
        Some(file) => Ok(file),
        None => Ok(File::from(stdout.as_fd().try_clone_to_owned()?)),
    }
}

/// Gives the terminal back. May be called at any time and from anywhere; only the first call does anything. Answers
/// whether the terminal has heard of it: a closed one takes nothing back, and one that has stalled must hold up no end.
fn restore() -> bool {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return true;
    }
    let heard = LINE.get().is_none_or(|line| line.close(LEAVE, PATIENCE));
    let _ = crossterm::terminal::disable_raw_mode();
    heard
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
