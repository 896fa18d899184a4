//! What the operator types and pastes, read by a thread of its own.
//!
//! It reads the bytes itself. crossterm's reader learns of input by edges, and loses one that comes together with a change
//! of the size: the key is then not seen until the next one, and the thread never sleeps.

use super::bytes::{Parser, Typed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Deep enough for the parser, which keeps its bytes on the heap.
const STACK: usize = 256 * 1024;

/// What comes from the terminal. The channel closes when the terminal is gone, also where no SIGHUP says so.
///
/// # Errors
/// When no thread can be started.
pub fn listen() -> io::Result<mpsc::UnboundedReceiver<Typed>> {
    let (told, events) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("input".into()).stack_size(STACK).spawn(move || read(&told))?;
    Ok(events)
}

/// Passes on what comes, until the terminal is gone or nobody listens any more.
fn read(told: &mpsc::UnboundedSender<Typed>) {
    let stdin = io::stdin();
    let mut parser = Parser::default();
    let mut buffer = [0; 4096];
    loop {
        let typed = match wait(&stdin, parser.patience()) {
            Found::Nothing => return,
            Found::Silence => parser.silence(),
            Found::Input => match rustix::io::read(&stdin, &mut buffer) {
                Ok(0) => return,
                Ok(count) => parser.take(&buffer[..count]),
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(_) => return,
            },
        };
        for typed in typed {
            if told.send(typed).is_err() {
                return;
            }
        }
    }
}

/// What a wait has found.
enum Found {
    Input,
    Silence,
    /// The terminal is gone.
    Nothing,
}

/// Sleeps until there is something to read, or for so long.
fn wait(stdin: &io::Stdin, patience: Option<Duration>) -> Found {
    let end = patience.map(|patience| Instant::now() + patience);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut watched = [PollFd::new(stdin, PollFlags::IN)];
        match poll(&mut watched, left.as_ref()) {
            Ok(0) => return Found::Silence,
            Ok(_) if watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => {
                return Found::Nothing;
            }
            Ok(_) => return Found::Input,
            Err(Errno::INTR) => {}
            Err(_) => return Found::Nothing,
        }
    }
}
