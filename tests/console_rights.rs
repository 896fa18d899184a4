//! An operator without a right sees the key dim and why, and the rest works.

mod operator;
mod terminal;

use canary_tui::api::manifests::{OPERATOR, VIEWER};
use operator::grants::Grants;
use operator::{APP, Cluster, PATIENCE, start_the_first};
use std::time::Duration;
use terminal::Terminal;

const NAMESPACE: &str = "jx-production";

/// The first app's start is asked for, and the driver carries it out.
fn starts(console: &mut Terminal) {
    console.until_shows("driver: alice@");
    start_the_first(console);
}

fn shows_its_measurements(console: &Terminal) {
    console.until("success rates are shown", PATIENCE, |screen| screen.contains("100.00 %"));
}

#[test]
fn whoever_may_only_read_sees_everything_and_the_keys_that_ask_are_dim() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let _driver = cluster.console();
    let mut console = cluster.console_of("reader", Grants::of(VIEWER, None));
    console.until_shows(APP);
    shows_its_measurements(&console);
    console.until_shows("Initialization done!");
    console.type_keys("s");
    console.until_shows("you may not patch canaries.flagger.app in jx-production");
    assert!(console.is_dim("s start") && !console.is_dim("e events"), "{}", console.screen());
    console.type_keys("e");
    console.until_shows("esc close");
}

#[test]
fn a_role_of_one_namespace_is_enough_to_see_it_and_to_ask() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let _driver = cluster.console();
    let mut console = cluster.console_of("local", Grants::of(OPERATOR, Some(NAMESPACE)));
    console.until_shows(APP);
    // Where Prometheus stands nothing may be read: it says what it takes.
    console.until_shows("cannot look for Prometheus: it takes the right to list services");
    console.until_shows("Initialization done!");
    starts(&mut console);
}

#[test]
fn without_the_right_to_reach_prometheus_the_rest_works() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let _driver = cluster.console();
    let mut console = cluster.console_of("unmeasured", Grants::of(OPERATOR, None).but("services/proxy"));
    console.until_shows("Prometheus: not permitted: the API server does not let you through");
    console.until_shows("Initialization done!");
    starts(&mut console);
    console.until_shows("carried out");
}

#[test]
fn without_the_right_to_events_the_rest_works() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let _driver = cluster.console();
    let mut console = cluster.console_of("blind", Grants::of(OPERATOR, None).but("events"));
    console.until_shows("events may not be read");
    shows_its_measurements(&console);
    starts(&mut console);
    console.until_shows("how it ends cannot be seen here");
}

#[test]
fn a_right_that_is_taken_away_and_given_back_is_noticed_without_a_restart() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let _driver = cluster.console();
    let console = cluster.console_of("reader", Grants::of(VIEWER, None).but("deployments"));
    console.until_shows("deployments.apps may not be read");
    cluster.sandbox.deny(None);
    console.until("it is seen", PATIENCE, |screen| !screen.contains("may not be read"));
    console.until_shows("PRIMARY 1.0.0");
}
