//! The terminal goes away under the real program. Alone in its file: a program that another test starts at the same moment
//! may inherit this terminal and hold it open.

mod operator;
mod terminal;

use operator::Cluster;
use std::time::Duration;

#[test]
fn a_closed_terminal_ends_it_at_once_and_the_lease_is_given_back() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut child = cluster.console().hang_up();
    let begun = std::time::Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it lives on without a terminal");
        std::thread::sleep(Duration::from_millis(5));
    }
    let lease = cluster.sandbox.store().get("Lease", Some("jx-production"), "canary-tui").expect("a lease");
    assert_eq!(lease["spec"]["holderIdentity"], "");
}
