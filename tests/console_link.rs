//! The real program over a link that hangs: whatever is typed acts all the same, it ends in time, and when the link goes on
//! the newest state is there.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE, start};
use std::time::{Duration, Instant};
use terminal::{Link, Size, Terminal, is_child};

/// Long enough that no check comes by itself while a test goes on.
const NEVER: Duration = Duration::from_secs(3600);
/// Large frames: a few of them are all that the kernel holds.
const SIZE: Size = (200, 60);
/// The most that the kernel holds of what nobody has read, and the frame that waits.
const HELD: usize = 3 * 65_536;
/// How long an end may take while nothing is taken.
const SOON: Duration = Duration::from_secs(2);

/// The link hangs from now on, and a frame is under way: each Ctrl-L paints the whole screen.
fn hang(console: &mut Terminal) {
    console.link(Link::Hangs);
    console.type_keys(&"\x0c".repeat(60));
}

fn observer(cluster: &Cluster) -> Terminal {
    let console = cluster.open(SIZE, &["--no-controller"], &[]);
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    console
}

fn driver(cluster: &Cluster) -> Terminal {
    let console = cluster.open(SIZE, &[], &[]);
    console.until_shows("driver: this console");
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    console
}

/// Ends the program by this while the link hangs.
fn end(console: &mut Terminal, by: &str) {
    let begun = Instant::now();
    match by {
        "TERM" | "HUP" | "INT" => console.signal(by),
        keys => console.type_keys(keys),
    }
    while !console.has_ended() {
        assert!(begun.elapsed() < SOON, "{by:?}: it lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("ended by {by:?} after {:?}", begun.elapsed());
}

#[test]
fn an_abort_is_carried_out_while_the_link_hangs_and_the_newest_state_comes_when_it_goes_on() {
    let cluster = Cluster::start(NEVER);
    let mut console = driver(&cluster);
    start(&mut console, "1.1.0");
    cluster.until("it gets traffic", |canary| canary["status"]["canaryWeight"] == 10);
    let before = console.written().0.len();
    hang(&mut console);
    // The mouse and copies wait with the frames; the last copy counts.
    console.type_keys("mmmyyyyy");
    console.type_keys("ay");
    cluster.until("it is aborted", |canary| canary["status"]["phase"] == "Failed");
    console.type_keys("?");
    console.link(Link::Flows);
    console.until_shows("Give all traffic back");
    console.type_keys("\x1b");
    console.until("what has happened is shown", PATIENCE, |screen| {
        screen.contains("✗ Failed") && screen.contains("q quit") && !screen.contains("Give all traffic back")
    });
    let written = &console.written().0[before..];
    let copies = written.windows(7).filter(|window| window == b"\x1b]52;c;").count();
    assert_eq!(copies, 1);
    let frames = written.windows(4).filter(|window| window == b"\x1b[2J").count();
    assert!(written.len() < HELD && frames < 20, "{} bytes, {frames} of 60 screens", written.len());
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
    assert_eq!(console.taken(), (false, false));
}

#[test]
fn it_ends_in_time_while_the_link_hangs() {
    let cluster = Cluster::start(NEVER);
    for by in ["q", "\x03", "TERM", "HUP", "INT"] {
        let mut console = observer(&cluster);
        hang(&mut console);
        end(&mut console, by);
    }
}

#[test]
fn a_driver_leaves_in_time_while_the_link_hangs_and_gives_its_lease_back() {
    let cluster = Cluster::start(NEVER);
    let mut console = driver(&cluster);
    start(&mut console, "1.1.0");
    hang(&mut console);
    end(&mut console, "qy");
    assert_eq!(cluster.holder(), "");
    // As it was left, the next one finds it.
    let next = cluster.open(SIZE, &[], &[]);
    next.until_shows("driver: this console");
    next.until_shows("10 % to 1.1.0");
}

#[test]
fn it_is_not_suspended_while_nothing_is_taken_and_is_once_it_is_again() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.under_a_shell(SIZE);
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    hang(&mut console);
    console.type_keys("\x1a");
    // It waits for the line to be free, and no longer than a second.
    std::thread::sleep(Duration::from_secs(2));
    console.link(Link::Flows);
    console.until_shows("the terminal takes nothing now: not suspended");
    assert_eq!(console.taken(), (true, true));
    // Over a link that creeps the frame that is under way goes out first, and then the screen is the shell's.
    console.link(Link::Creeps(4096, Duration::from_millis(10)));
    console.type_keys("\x0c\x0c\x0c\x1a");
    console.until_shows("now in the shell");
    assert_eq!(console.taken(), (false, false));
    console.type_keys("\r");
    console.until("it is back, and whole", PATIENCE, |screen| {
        screen.contains("q quit") && screen.contains(&format!("▸ {APP}")) && screen.contains("PRIMARY")
    });
    assert_eq!(console.taken(), (true, true));
    console.type_keys("q");
    console.until_shows("at the end");
    assert!(console.ended(PATIENCE).success());
    assert_eq!(console.taken(), (false, false));
}

/// What the next test runs in a terminal of its own: more is sent than the link takes, and then something panics.
#[test]
fn a_child_that_panics_on_a_busy_line() {
    if is_child() {
        let session = canary_tui::tui::terminal::Session::enter().expect("a terminal");
        let frame = "\x1b[38;2;1;2;3mx".repeat(40_000);
        session.line().send(frame.as_bytes()).expect("it is sent");
        panic!("drill");
    }
}

#[test]
fn a_panic_breaks_off_what_is_under_way_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().expect("a folder");
    let mut console = Terminal::run_test("a_child_that_panics_on_a_busy_line", home.path(), SIZE);
    console.link(Link::Creeps(2048, Duration::from_millis(20)));
    console.ended(PATIENCE);
    console.until_written(b"drill", PATIENCE);
    let (raw, _) = console.written();
    assert!(raw.len() < HELD, "{} bytes: the rest was not broken off", raw.len());
    let raw = String::from_utf8_lossy(&raw);
    let left = raw.rfind("\u{1b}[?1049l").expect("it is given back");
    assert!(raw[..left].contains("\u{18}\u{1b}\\"), "what was broken off is ended");
    assert!(raw[left..].contains("drill") && !raw[left..].contains("38;2;1;2;3"), "only the message comes after it");
    assert_eq!(console.taken(), (false, false));
}
