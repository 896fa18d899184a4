//! The line to the terminal: all that goes there passes through it, and nobody who writes ever waits for it.
//!
//! What the terminal takes at once is written at once, with one write. What it does not take is kept, and a thread of the
//! line's own waits for room and writes the rest. Whoever draws looks at [`Way`] first and draws only on a line that is
//! free, so that frames do not pile up: what arrives over a slow line is always the newest state, and every frame that was
//! begun arrives whole. It must never block, but for [`Line::close`], which says for how long.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A thread that copies bytes needs little.
const STACK: usize = 64 * 1024;
/// Ends whatever sequence was broken off: a CSI by CAN, a string that a multiplexer wraps by ST.
const BREAK: &[u8] = b"\x18\x1b\\";
/// Between two looks at a line that somebody else holds; it is held for the time of one write.
const MOMENT: Duration = Duration::from_millis(1);

/// How the line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Everything has gone out; how long the last of it took.
    Free { took: Duration },
    /// Something waits for room.
    Busy,
    /// Nobody takes anything any more.
    Gone,
}

/// A handle on the line. All of them write to the same one.
#[derive(Clone)]
pub struct Line(Arc<Shared>);

struct Shared {
    out: File,
    state: Mutex<State>,
    /// Wakes the thread.
    more: Condvar,
    way: watch::Sender<Way>,
}

struct State {
    /// What has not gone out yet.
    rest: Vec<u8>,
    /// When the first of it came.
    since: Instant,
    /// What comes is taken; else it is dropped, for the terminal is somebody else's.
    open: bool,
    gone: bool,
}

impl State {
    /// How the line stands, where it is not gone.
    fn way(&self) -> Way {
        match self.rest.is_empty() {
            true => Way::Free { took: self.since.elapsed() },
            false => Way::Busy,
        }
    }
}

impl Line {
    /// A line over `out`, whose writes should not block: where they do, whoever writes waits for them.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn over(out: File) -> io::Result<Self> {
        let state = State { rest: Vec::new(), since: Instant::now(), open: true, gone: false };
        let way = watch::channel(Way::Free { took: Duration::ZERO }).0;
        let shared = Arc::new(Shared { out, state: Mutex::new(state), more: Condvar::new(), way });
        let carried = shared.clone();
        std::thread::Builder::new().name("line".into()).stack_size(STACK).spawn(move || carried.carry())?;
        Ok(Self(shared))
    }

    /// How it stands, from now on.
    pub fn way(&self) -> watch::Receiver<Way> {
        self.0.way.subscribe()
    }

    /// Sends `bytes` after all that was sent before. They are on their way when this returns, and need not be there.
    ///
    /// # Errors
    /// Where nobody takes anything any more.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let shared = &*self.0;
        let mut state = shared.lock();
        if state.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !state.open || bytes.is_empty() {
            return Ok(());
        }
        // Behind what waits already it is the thread's turn.
        if !state.rest.is_empty() {
            state.rest.extend_from_slice(bytes);
            return Ok(());
        }
        state.since = Instant::now();
        let count = shared.write(&mut state, bytes)?;
        if count < bytes.len() {
            state.rest.extend_from_slice(&bytes[count..]);
            shared.more.notify_one();
        }
        shared.tell(state.way());
        Ok(())
    }

    /// Breaks off what has not gone out, writes `last` in its place, and takes nothing more until [`Self::open`]. Waits for
    /// at most so long, and answers whether `last` has gone out. May be called from anywhere, also while something panics.
    pub fn close(&self, last: &[u8], patience: Duration) -> bool {
        let shared = &*self.0;
        let end = Instant::now() + patience;
        let Some(mut state) = shared.lock_before(end) else { return false };
        state.open = false;
        if !state.rest.is_empty() {
            state.rest.clear();
            state.rest.extend_from_slice(BREAK);
        }
        state.rest.extend_from_slice(last);
        // The line is held meanwhile: nothing may come in between, and nothing after it.
        while !state.gone && shared.push(&mut state).is_ok_and(|all| !all) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !shared.has_room(Some(left)) {
                break;
            }
        }
        let out = state.rest.is_empty() && !state.gone;
        state.rest.clear();
        out
    }

    /// Takes again what is sent. Whoever draws knows nothing of the screen now.
    pub fn open(&self) {
        let mut state = self.0.lock();
        state.open = true;
        if !state.gone && state.rest.is_empty() {
            self.0.tell(Way::Free { took: Duration::ZERO });
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)?;
        Ok(bytes.len())
    }

    /// Whoever waits for the end of what was sent waits for [`Way::Free`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves behind here is as whole as before: bytes, and whether they are wanted.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, where nobody holds it until then: a thread that panics may hold it itself.
    fn lock_before(&self, end: Instant) -> Option<MutexGuard<'_, State>> {
        loop {
            match self.state.try_lock() {
                Ok(state) => return Some(state),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(MOMENT),
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }

    /// Writes as much of `bytes` as the terminal takes now; answers how many those were.
    fn write(&self, state: &mut State, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match rustix::io::write(&self.out, &bytes[written..]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    state.gone = true;
                    state.rest.clear();
                    self.tell(Way::Gone);
                    return Err(error.into());
                }
            }
        }
        Ok(written)
    }

    /// Writes what waits, and tells how the line stands then; answers whether that was all.
    fn push(&self, state: &mut State) -> io::Result<bool> {
        let mut rest = std::mem::take(&mut state.rest);
        let written = self.write(state, &rest)?;
        rest.drain(..written);
        state.rest = rest;
        self.tell(state.way());
        Ok(state.rest.is_empty())
    }

    /// Tells how the line stands. A frame that went out at once wakes nobody.
    fn tell(&self, now: Way) {
        let passing = |way: &Way| matches!(way, Way::Free { .. });
        self.way.send_if_modified(|way| {
            let silent = *way == now || (passing(way) && passing(&now));
            *way = now;
            !silent
        });
    }

    /// Waits until the terminal takes more, or for so long; answers whether it does. A terminal that is gone takes
    /// everything: the next write tells.
    fn has_room(&self, patience: Option<Duration>) -> bool {
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut watched = [PollFd::new(&self.out, PollFlags::OUT)];
        // A signal that comes in between: the next write tells.
        !matches!(poll(&mut watched, patience.as_ref()), Ok(0))
    }

    /// Writes what was left over whenever there is room, for as long as the process lives.
    fn carry(&self) {
        loop {
            let mut state = self.lock();
            while state.rest.is_empty() {
                if state.gone {
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let pushed = self.push(&mut state);
            drop(state);
            match pushed {
                Ok(true) => {}
                Ok(false) => drop(self.has_room(None)),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A line, and its other end, which takes as much as a socket holds.
    fn line() -> (Line, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Line::over(File::from(OwnedFd::from(ours))).unwrap(), theirs)
    }

    fn stands(line: &Line) -> Way {
        *line.way().borrow()
    }

    /// Sends until nothing more is taken; answers what was sent.
    fn stall(line: &Line) -> Vec<u8> {
        let mut sent = Vec::new();
        for round in 0u8.. {
            let frame = [round; 100_000];
            line.send(&frame).unwrap();
            sent.extend(frame);
            if stands(line) == Way::Busy {
                break;
            }
        }
        sent
    }

    async fn until(line: &Line, looks: impl Fn(&Way) -> bool) {
        let mut way = line.way();
        tokio::time::timeout(Duration::from_secs(60), way.wait_for(|way| looks(way))).await.unwrap().unwrap();
    }

    fn take(theirs: &mut UnixStream, count: usize) -> Vec<u8> {
        let mut taken = vec![0; count];
        theirs.read_exact(&mut taken).unwrap();
        taken
    }

    #[test]
    fn what_is_taken_at_once_has_gone_when_it_is_sent_and_wakes_nobody() {
        let (line, mut theirs) = line();
        let way = line.way();
        line.send(b"frame").unwrap();
        assert!(matches!(stands(&line), Way::Free { .. }) && !way.has_changed().unwrap());
        assert_eq!(take(&mut theirs, 5), b"frame");
    }

    #[tokio::test]
    async fn a_line_that_stalls_holds_nobody_up_and_loses_and_swaps_nothing() {
        let (line, mut theirs) = line();
        let mut sent = stall(&line);
        for more in ["mouse", "copy"] {
            line.send(more.as_bytes()).unwrap();
            sent.extend(more.as_bytes());
        }
        assert_eq!(stands(&line), Way::Busy);
        assert!(take(&mut theirs, sent.len()) == sent, "all of it, in its order");
        until(&line, |way| matches!(way, Way::Free { took } if !took.is_zero())).await;
        line.send(b"next").unwrap();
        assert_eq!(take(&mut theirs, 4), b"next");
    }

    #[tokio::test]
    async fn a_line_that_dies_while_something_waits_is_told() {
        let (line, theirs) = line();
        stall(&line);
        drop(theirs);
        until(&line, |way| *way == Way::Gone).await;
        assert!(line.send(b"frame").is_err());
        let begun = Instant::now();
        assert!(!line.close(b"last", Duration::from_secs(60)));
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody is waited for who is gone");
    }

    #[test]
    fn closing_breaks_off_what_waits_and_nothing_comes_after_the_last_until_it_is_open_again() {
        let (line, mut theirs) = line();
        let sent = stall(&line).len();
        let closed = std::thread::scope(|scope| {
            let closing = scope.spawn(|| line.close(b"last", Duration::from_secs(60)));
            // It has broken off before anything is read: it holds the state, and longer than the thread ever does.
            let free = || line.0.state.try_lock().is_ok();
            while free() || {
                std::thread::sleep(MOMENT);
                free()
            } {}
            let mut taken = Vec::new();
            let mut buffer = [0; 4096];
            while !taken.ends_with(b"last") {
                let count = theirs.read(&mut buffer).unwrap();
                taken.extend(&buffer[..count]);
            }
            assert!(taken.len() < sent && taken.ends_with(b"\x18\x1b\\last"));
            closing.join().unwrap()
        });
        assert!(closed);
        line.send(b"frame").unwrap();
        line.open();
        line.send(b"anew").unwrap();
        assert_eq!(take(&mut theirs, 4), b"anew");
    }

    #[test]
    fn closing_a_line_that_takes_nothing_ends_in_time() {
        let (line, _theirs) = line();
        stall(&line);
        let begun = Instant::now();
        assert!(!line.close(b"last", Duration::from_millis(50)));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
