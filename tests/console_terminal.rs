//! The terminal under the real program: taken, drawn on sparingly, and given back however the program ends.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE};
use std::time::Duration;
use terminal::Terminal;

const SIZE: (u16, u16) = (120, 40);

#[test]
fn the_terminal_is_given_back_on_quit_and_on_signals() {
    let cluster = Cluster::start(Duration::from_secs(10));
    for end in ["q", "\x03", "TERM", "INT"] {
        let mut console = cluster.open(SIZE, &["--no-controller"], &[]);
        console.until_shows(APP);
        assert_eq!(console.taken(), (true, true));
        if end.len() == 1 {
            console.type_keys(end)
        } else {
            console.signal(end)
        }
        assert!(console.ended(PATIENCE).success(), "{end:?}");
        assert_eq!(console.taken(), (false, false), "{end:?}");
    }
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let console = cluster.open(SIZE, &["--no-controller", "--prometheus", "http://127.0.0.1:1"], &[]);
    console.until_shows(APP);
    console.until_shows("driver: nobody");
    console.until_shows("Prometheus");
    // Whatever was on its way has come once two seconds are silent; a silent screen stays silent but for the clock.
    let mut before = console.written().1;
    let mut silent = 0;
    while silent < 4 {
        std::thread::sleep(Duration::from_millis(500));
        let now = console.written().1;
        silent = if now == before { silent + 1 } else { 0 };
        before = now;
    }
    let bytes = console.written().0.len();
    std::thread::sleep(Duration::from_secs(3));
    assert!(console.written().0.len() - bytes < 100, "a silent screen costs nothing but the minute");
}

#[test]
fn any_size_is_drawn_and_none_ends_it() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = cluster.open(SIZE, &["--no-controller"], &[]);
    console.until_shows(APP);
    for size in [(80, 24), (20, 5), (1, 1), (200, 60), (60, 16), (120, 40)] {
        console.resize(size);
    }
    console.until("all of it is drawn anew", PATIENCE, |screen| {
        screen.contains("q quit") && screen.contains("PRIMARY") && screen.contains(APP)
    });
    console.type_keys("?");
    console.until_shows("Give all traffic back");
}

#[test]
fn without_colours_and_without_unicode_it_is_plain() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let plain = [("NO_COLOR", "1"), ("LANG", "C"), ("LC_ALL", "C")];
    let console = cluster.open(SIZE, &["--no-controller"], &plain);
    console.until_shows(APP);
    console.until_shows("Initialized");
    let (bytes, _) = console.written();
    assert!(bytes.is_ascii(), "nothing but ASCII is sent");
    let text = String::from_utf8(bytes).expect("ASCII");
    for numbers in text.split("\x1b[").filter_map(|part| part.split_once('m')).map(|(numbers, _)| numbers) {
        if numbers.chars().all(|c| c.is_ascii_digit() || c == ';') {
            assert!(numbers.split(';').all(|n| n.parse::<u8>().is_ok_and(|n| n < 30)), "a colour: {numbers}");
        }
    }
    assert!(text.contains("\x1b[7") || text.contains(";7"), "the selected row is reversed");
}

#[test]
fn without_a_terminal_it_says_so() {
    let home = tempfile::tempdir().expect("a folder");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_canary-tui"))
        .arg("--sandbox")
        .env("XDG_STATE_HOME", home.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("the console needs a terminal"), "{run:?}");
}

#[test]
fn the_embedded_cluster_is_there_with_the_first_frame() {
    let home = tempfile::tempdir().expect("a folder");
    let mut console = Terminal::start(&["--sandbox"], home.path(), (80, 24), &[]);
    console.until("its three apps are at rest", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    let screen = console.screen();
    assert!(screen.contains(&format!("▸ {APP}")), "the first app is selected:\n{screen}");
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
}
