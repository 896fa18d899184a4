//! What the operator types and pastes, read by a thread of its own.
//!
//! The loop of the console never reads the terminal itself: of a terminal that is gone, crossterm reads nothing for ever
//! and does not come back.

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;

/// Deep enough for crossterm's parser, which keeps its bytes on the heap.
const STACK: usize = 256 * 1024;

/// The events of the keyboard. The channel closes when the terminal is gone, also where no SIGHUP says so.
///
/// # Errors
/// When no thread can be started.
pub fn listen() -> io::Result<mpsc::UnboundedReceiver<Event>> {
    let (told, events) = mpsc::unbounded_channel();
    let listening = move || while wait() && read(&told) {};
    std::thread::Builder::new().name("input".into()).stack_size(STACK).spawn(listening)?;
    Ok(events)
}

/// Sleeps until there is something to read. False when the terminal is gone.
fn wait() -> bool {
    let stdin = io::stdin();
    loop {
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) => return !watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Passes on what is there. False when the terminal is gone, or nobody listens any more.
fn read(told: &mpsc::UnboundedSender<Event>) -> bool {
    while let Ok(there) = event::poll(Duration::ZERO) {
        if !there {
            return true;
        }
        let Ok(event) = event::read() else { return false };
        if told.send(event).is_err() {
            return false;
        }
    }
    false
}
