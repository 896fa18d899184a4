//! Another client of Kubernetes against the embedded cluster: kdash in a real terminal, which lists and polls by its
//! own rules. Where kdash is not installed, this is counted as ignored.

#[path = "../terminal/mod.rs"]
mod terminal;

use canary_tui::sandbox::{Options, Sandbox};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use terminal::Terminal;

const NAMESPACE: &str = "jx-production";
const PATIENCE: Duration = Duration::from_secs(90);

/// Where kdash is.
fn kdash() -> PathBuf {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let found = std::env::split_paths(&path).map(|folder| folder.join("kdash")).find(|file| file.is_file());
    found.expect("kdash was on the PATH when this was built")
}

/// Whether a line of the screen has these words side by side.
fn has_row(screen: &str, words: &[&str]) -> bool {
    screen.lines().any(|line| {
        let shown: Vec<&str> = line.split([' ', '│']).filter(|word| !word.is_empty()).collect();
        shown.windows(words.len()).any(|window| window == words)
    })
}

#[test]
#[cfg_attr(not(kdash), ignore = "kdash is not installed")]
fn pods_deployments_and_the_node_are_shown_and_followed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = Options { canaries: 2, replicas: 2, ready_after: Duration::from_millis(200), ..Options::default() };
    let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("kubeconfig");
    sandbox.write_kubeconfig(&config).unwrap();

    let program = kdash();
    let mut screen = Terminal::run(
        program.to_str().expect("its path is text"),
        &["--namespace", NAMESPACE, "--poll-rate", "1000"],
        home.path(),
        (170, 50),
        &[("KUBECONFIG", config.to_str().expect("its path is text"))],
    );
    // It asks the terminal where the cursor is, and waits for the answer.
    screen.until_written(b"\x1b[6n", PATIENCE);
    screen.type_keys("\x1b[1;1R");
    screen.until("the pods are not listed", PATIENCE, |text| {
        text.contains(&format!("Pods (ns: {NAMESPACE}) [4]"))
            && has_row(text, &["1/1", "Running", "0"])
            && text.contains("jx-production-myapp-primary-")
            && text.contains("jx-production-cart-primary-")
    });
    screen.until("the cluster is not summed up", PATIENCE, |text| {
        has_row(text, &["Nodes:", "1", "Ready"]) && has_row(text, &["Pods:", "4", "running"])
    });

    screen.type_keys("7");
    let primary = "jx-production-myapp-primary";
    screen.until("the deployments are not listed", PATIENCE, |text| {
        text.contains(&format!("Deployments (ns: {NAMESPACE}) [4]"))
            && has_row(text, &[primary, "2/2", "2", "2", "RollingUpdate"])
            && has_row(text, &["jx-production-myapp", "0/0", "0", "0", "RollingUpdate"])
    });
    let scaled = |deployment: &mut serde_json::Value| deployment["spec"]["replicas"] = json!(3);
    sandbox.store().modify("Deployment", Some(NAMESPACE), primary, scaled).unwrap();
    screen.until("a change is not followed", PATIENCE, |text| {
        has_row(text, &[primary, "3/3", "3", "3", "RollingUpdate"])
    });

    screen.type_keys("3");
    screen.until("the node is not listed", PATIENCE, |text| has_row(text, &["sandbox", "Ready"]));
    screen.type_keys("q");
    assert!(screen.ended(PATIENCE).success(), "kdash ends with an error");
}
