//! A terminal for the real program: a pty, the bytes that it writes, and the screen that they make.

#![allow(dead_code)] // Each file that uses it uses its own part.

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A program in a pty.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    input: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shared: Arc<(Mutex<Seen>, Condvar)>,
    pub started: Instant,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    reads: usize,
    closed: bool,
    /// Nobody wants to read any more.
    leaving: bool,
    link: Link,
}

/// How the link carries what the program writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// As it comes.
    Flows,
    /// So many bytes, then a pause, and so on.
    Creeps(usize, Duration),
    /// Nothing.
    Hangs,
}

/// Set for what [`Terminal::run_test`] runs.
const CHILD: &str = "IN_A_TERMINAL_OF_ITS_OWN";

/// Whether this process was started by [`Terminal::run_test`].
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Columns and rows.
pub type Size = (u16, u16);

impl Terminal {
    /// Starts the program with a plain environment, a log folder and a size.
    pub fn start(arguments: &[&str], home: &Path, size: Size, environment: &[(&str, &str)]) -> Self {
        Self::run(env!("CARGO_BIN_EXE_canary-tui"), arguments, home, size, environment)
    }

    /// As [`Self::start`], of another program.
    pub fn run(
        program: &str,
        arguments: &[&str],
        home: &Path,
        (columns, rows): Size,
        environment: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        for (key, value) in
            [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("USER", "alice"), ("PATH", "/usr/bin:/bin")]
        {
            command.env(key, value);
        }
        command.env("HOME", home);
        command.env("XDG_STATE_HOME", home.join("state"));
        for (key, value) in environment {
            command.env(key, value);
        }
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().expect("the pty's output");
        let input = pair.master.take_writer().expect("the pty's input");
        let side = |n| NonZeroU16::new(n).expect("a size");
        let seen = Seen {
            parser: vt100::Parser::new(side(rows), side(columns), 0),
            raw: Vec::new(),
            reads: 0,
            closed: false,
            leaving: false,
            link: Link::Flows,
        };
        let shared = Arc::new((Mutex::new(seen), Condvar::new()));
        let writer = shared.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let link = {
                    let mut seen = writer.0.lock().expect("no panic under the lock");
                    while seen.link == Link::Hangs && !seen.leaving {
                        seen = writer.1.wait(seen).expect("no panic under the lock");
                    }
                    seen.link
                };
                let most = match link {
                    Link::Creeps(most, _) => most,
                    _ => buffer.len(),
                };
                let read = output.read(&mut buffer[..most]).unwrap_or(0);
                if let Link::Creeps(_, pause) = link {
                    std::thread::sleep(pause);
                }
                let mut seen = writer.0.lock().expect("no panic under the lock");
                if read == 0 || seen.leaving {
                    seen.closed = true;
                } else {
                    seen.parser.process(&buffer[..read]);
                    seen.raw.extend_from_slice(&buffer[..read]);
                    seen.reads += 1;
                }
                let closed = seen.closed;
                drop(seen);
                if closed {
                    // The other end of the pty closes with its last reader.
                    drop(output);
                    writer.1.notify_all();
                    return;
                }
                writer.1.notify_all();
            }
        });
        Self { master: pair.master, input, child, shared, started }
    }

    /// As [`Self::start`], of one test of this file in a process of its own, where [`is_child`] holds.
    pub fn run_test(name: &str, home: &Path, size: Size) -> Self {
        let this = std::env::current_exe().expect("this test");
        let this = this.to_str().expect("a plain path");
        Self::run(this, &["--exact", name, "--nocapture"], home, size, &[(CHILD, "1")])
    }

    /// Types.
    pub fn type_keys(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).expect("the pty takes keys");
        self.input.flush().expect("the pty takes keys");
    }

    /// Waits until the screen looks so.
    pub fn until(&self, what: &str, patience: Duration, looks: impl Fn(&str) -> bool) -> Instant {
        let end = Instant::now() + patience;
        let mut seen = self.shared.0.lock().expect("no panic under the lock");
        loop {
            if looks(&seen.parser.screen().contents()) {
                return Instant::now();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !seen.closed, "{what}; the screen is:\n{}", seen.parser.screen().contents());
            seen = self.shared.1.wait_timeout(seen, left).expect("no panic under the lock").0;
        }
    }

    /// Waits until the program has written these bytes.
    pub fn until_written(&self, bytes: &[u8], patience: Duration) {
        let end = Instant::now() + patience;
        let mut seen = self.shared.0.lock().expect("no panic under the lock");
        while !seen.raw.windows(bytes.len()).any(|window| window == bytes) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !seen.closed, "{:?} is not written", String::from_utf8_lossy(bytes));
            seen = self.shared.1.wait_timeout(seen, left).expect("no panic under the lock").0;
        }
    }

    /// Waits until this text is on the screen.
    pub fn until_shows(&self, text: &str) -> Instant {
        self.until(&format!("no {text:?}"), Duration::from_secs(60), |screen| screen.contains(text))
    }

    /// Waits until this sentence is on the screen, however it is wrapped, in a frame or not.
    pub fn until_says(&self, text: &str) -> Instant {
        let flowing =
            |screen: &str| screen.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        self.until(&format!("nothing says {text:?}"), Duration::from_secs(60), |screen| flowing(screen).contains(text))
    }

    /// From now on the link carries so much.
    pub fn link(&self, link: Link) {
        self.shared.0.lock().expect("no panic under the lock").link = link;
        self.shared.1.notify_all();
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.shared.0.lock().expect("no panic under the lock").parser.screen().contents()
    }

    /// Whether a text that is on the screen is dim.
    pub fn is_dim(&self, text: &str) -> bool {
        let seen = self.shared.0.lock().expect("no panic under the lock");
        let screen = seen.parser.screen();
        let (_, columns) = screen.size();
        let mut rows = screen.rows(0, columns.into()).enumerate();
        let place = rows.find_map(|(row, line)| line.find(text).map(|at| (row, line[..at].chars().count())));
        let (row, column) = place.unwrap_or_else(|| panic!("no {text:?} on:\n{}", screen.contents()));
        screen.cell(row as u16, column as u16).is_some_and(|cell| cell.dim())
    }

    /// All bytes so far, and in how many reads they came.
    pub fn written(&self) -> (Vec<u8>, usize) {
        let seen = self.shared.0.lock().expect("no panic under the lock");
        (seen.raw.clone(), seen.reads)
    }

    /// Whether the alternate screen is on, and the cursor hidden.
    pub fn taken(&self) -> (bool, bool) {
        let seen = self.shared.0.lock().expect("no panic under the lock");
        (seen.parser.screen().alternate_screen(), seen.parser.screen().hide_cursor())
    }

    /// Another size.
    pub fn resize(&self, (columns, rows): Size) {
        self.master
            .resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })
            .expect("the pty takes a size");
        let side = |n| NonZeroU16::new(n).expect("a size");
        self.shared.0.lock().expect("no panic under the lock").parser.screen_mut().set_size(side(rows), side(columns));
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_some()
    }

    /// Waits for the end.
    pub fn ended(&mut self, patience: Duration) -> ExitStatus {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                // What it wrote last is still on its way through the pty. The end of that need not come: another test's
                // program may have inherited the other side.
                let end = Instant::now() + Duration::from_secs(1);
                let mut seen = self.shared.0.lock().expect("no panic under the lock");
                while !seen.closed && Instant::now() < end {
                    seen = self.shared.1.wait_timeout(seen, Duration::from_millis(50)).expect("no panic").0;
                }
                return status;
            }
            assert!(Instant::now() < end, "it does not end; the screen is:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Closes the terminal under the program, as a lost connection does; answers the program.
    pub fn hang_up(self) -> Box<dyn Child + Send + Sync> {
        self.shared.0.lock().expect("no panic under the lock").leaving = true;
        self.shared.1.notify_all();
        // Whoever reads holds the terminal open; another size makes the program draw, and the reader look up.
        self.resize((79, 23));
        let mut seen = self.shared.0.lock().expect("no panic under the lock");
        while !seen.closed {
            seen = self.shared.1.wait(seen).expect("no panic under the lock");
        }
        drop(seen);
        let Self { master, input, child, .. } = self;
        drop((input, master));
        child
    }
}
