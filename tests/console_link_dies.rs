//! The link dies in the middle of a frame. Alone in its file: a program that another test starts at the same moment may
//! inherit this terminal and hold it open.

mod operator;
mod terminal;

use operator::{APP, Cluster};
use std::time::{Duration, Instant};
use terminal::{Link, Terminal};

/// How long a console without a terminal may live.
const SOON: Duration = Duration::from_secs(2);
/// More than a console has to say at its end, and far less than one that says it again and again.
const LOG: usize = 4096;

/// The terminal dies while frames wait for it.
fn die(mut console: Terminal, cluster: &Cluster) {
    console.link(Link::Hangs);
    console.type_keys(&"\x0c".repeat(60));
    let said = log(cluster).len();
    let mut child = console.hang_up();
    let begun = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        assert!(begun.elapsed() < SOON, "it lives on without a terminal");
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("ended after {:?}", begun.elapsed());
    let log = log(cluster);
    assert!(!log.contains("panicked") && log.len() - said < LOG, "{}", &log[said..]);
}

fn log(cluster: &Cluster) -> String {
    let folder = std::fs::read_dir(cluster.home.path().join("state/canary-tui")).expect("the log's folder");
    folder.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok()).collect()
}

#[test]
fn a_console_whose_terminal_dies_in_the_middle_of_a_frame_ends_in_silence_and_a_driver_gives_its_lease_back() {
    let cluster = Cluster::start(Duration::from_secs(3600));
    let observer = cluster.open((200, 60), &["--no-controller"], &[]);
    observer.until_shows(APP);
    die(observer, &cluster);
    let driver = cluster.open((200, 60), &[], &[]);
    driver.until_shows("driver: this console");
    die(driver, &cluster);
    assert_eq!(cluster.holder(), "");
}
