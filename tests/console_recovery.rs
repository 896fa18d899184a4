//! The console goes on by itself when credentials end, the API server is started anew, or Prometheus is moved.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE, start_the_first};
use std::fs;
use std::time::Duration;
use terminal::Terminal;

/// Ends the watches, as an API server does that is started anew.
fn restart(cluster: &Cluster) {
    let _guard = cluster.runtime.enter();
    cluster.sandbox.stop_serving();
    cluster.runtime.block_on(cluster.sandbox.resume_serving()).expect("it serves again");
}

#[test]
fn a_token_that_expired_is_said_and_the_next_one_is_taken_from_the_kubeconfig() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = cluster.console();
    cluster.sandbox.expire_token();
    restart(&cluster);
    console.until_shows("No connection to the cluster since");
    console.until_says("the credentials are not accepted: log in again");
    assert!(console.screen().contains("PRIMARY 1.0.0"), "the last values stay");
    // The keyboard is not locked meanwhile.
    console.type_keys("?");
    console.until_shows("Give all traffic back");
    console.type_keys("\x1b");
    cluster.sandbox.renew_token();
    cluster.log_in_again();
    console.until("it mends", PATIENCE, |screen| !screen.contains("No connection"));
    console.until_shows("driver: this console");
    start_the_first(&mut console);
}

#[test]
fn whoever_asks_with_a_token_that_has_just_expired_is_answered_under_the_new_one() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = cluster.console();
    cluster.sandbox.expire_token();
    cluster.sandbox.renew_token();
    cluster.log_in_again();
    start_the_first(&mut console);
    assert!(!console.screen().contains("No connection"), "nothing was ever lost:\n{}", console.screen());
}

/// A kubeconfig whose user has a plugin: it hands out what stands in the file `token`, and fails where it is not there.
fn with_plugin(cluster: &Cluster) -> String {
    let home = cluster.home.path();
    let (plugin, token) = (home.join("plugin"), home.join("token"));
    let script = format!(
        "#!/bin/sh\nread answer && exit 9\ntest -f {token} || {{ echo 'your session has expired' >&2; exit 255; }}\n\
         echo '{{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1\", \"status\": \
         {{\"token\": \"'$(cat {token})'\"}}}}'\n",
        token = token.display()
    );
    fs::write(&plugin, script).expect("a plugin");
    let executable = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions(&plugin, executable).expect("it can be run");
    let text = cluster.sandbox.kubeconfig();
    let exec = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: {}}}",
        plugin.display()
    );
    let text = text.replace(&format!("token: {}", cluster.sandbox.token()), &exec);
    fs::write(&token, cluster.sandbox.token()).expect("a token");
    let path = home.join("with-plugin");
    fs::write(&path, text).expect("a kubeconfig");
    path.to_str().expect("a plain path").to_string()
}

#[test]
fn a_plugin_is_asked_again_and_what_it_says_when_it_fails_is_on_the_screen() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let kubeconfig = with_plugin(&cluster);
    let arguments = ["--kubeconfig", &kubeconfig, "--no-controller"];
    let mut console = Terminal::start(&arguments, cluster.home.path(), (120, 40), &[]);
    console.until_shows(APP);
    let token = cluster.home.path().join("token");
    fs::remove_file(&token).expect("the session ends");
    cluster.sandbox.expire_token();
    restart(&cluster);
    console.until_shows("your session has expired");
    let (raw, _) = console.written();
    assert!(!String::from_utf8_lossy(&raw).contains("\nyour session"), "it never writes to the screen itself");
    cluster.sandbox.renew_token();
    fs::write(&token, cluster.sandbox.token()).expect("a token");
    console.until("it mends", PATIENCE, |screen| !screen.contains("No connection"));
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
}

#[test]
fn a_prometheus_that_moved_is_found_again() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let console = cluster.console();
    console.until("success rates are shown", PATIENCE, |screen| screen.contains("100.00 %"));
    cluster.sandbox.move_prometheus("monitoring").expect("it moves");
    console.until_shows("Prometheus unreachable since");
    console.until("it is found", PATIENCE, |screen| !screen.contains("Prometheus unreachable"));
    let asked = cluster.sandbox.requests();
    assert!(asked.keys().any(|(_, what)| what == "services/proxy"), "through the API server: {asked:?}");
}
