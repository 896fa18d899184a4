//! A console in a terminal, on a cluster in this process whose faults the test has in its hand.

#![allow(dead_code)] // Each file that uses it uses its own part.

pub mod grants;

use crate::terminal::Terminal;
use canary_tui::sandbox::{Options, Sandbox};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything may take before the test gives up. Nothing is slept through: the screen is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The app that the tests roll out.
pub const APP: &str = "jx-production-myapp";

/// A cluster with three apps at rest.
pub struct Cluster {
    pub sandbox: Sandbox,
    pub runtime: Runtime,
    pub home: TempDir,
}

impl Cluster {
    /// A cluster whose canaries are checked every `interval`.
    pub fn start(interval: Duration) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let options = Options { interval, ready_after: Duration::from_millis(500), ..Options::default() };
        let sandbox = runtime.block_on(Sandbox::start(options)).expect("the sandbox starts");
        let home = tempfile::tempdir().expect("a folder");
        sandbox.write_kubeconfig(&home.path().join("kubeconfig")).expect("a kubeconfig");
        Self { sandbox, runtime, home }
    }

    /// The real program in a terminal of this size, with further arguments and environment.
    pub fn open(&self, size: (u16, u16), arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let kubeconfig = self.home.path().join("kubeconfig");
        let mut all = vec!["--kubeconfig", kubeconfig.to_str().expect("a plain path"), "--min-interval", "1s"];
        all.extend_from_slice(arguments);
        Terminal::start(&all, self.home.path(), size, environment)
    }

    /// An observer under a shell with job control, in its own process group as every shell puts it. When it is
    /// suspended the shell says `now in the shell` and waits for a line, and when it has ended, `at the end`.
    pub fn under_a_shell(&self, size: (u16, u16)) -> Terminal {
        let script = r#""$0" "$@"; echo "now in the shell"; read line; fg >/dev/null; echo "at the end""#;
        let kubeconfig = self.home.path().join("kubeconfig");
        let kubeconfig = kubeconfig.to_str().expect("a plain path");
        let program = env!("CARGO_BIN_EXE_canary-tui");
        let arguments = ["-mc", script, program, "--kubeconfig", kubeconfig, "--no-controller"];
        Terminal::run("/bin/sh", &arguments, self.home.path(), size, &[])
    }

    /// Waits until a canary stands so in the cluster.
    pub fn until(&self, what: &str, looks: impl Fn(&serde_json::Value) -> bool) {
        let mut news = self.sandbox.store().news();
        let canary = || self.sandbox.store().get("Canary", Some("jx-production"), APP).expect("the canary");
        let waited = self.runtime.block_on(async {
            let stands = async {
                while !looks(&canary()) {
                    let _ = news.recv().await;
                }
            };
            tokio::time::timeout(PATIENCE, stands).await
        });
        assert!(waited.is_ok(), "{what}: {:#}", canary());
    }

    /// Who holds the namespace's lease; nobody is the empty text.
    pub fn holder(&self) -> String {
        let lease = self.sandbox.store().get("Lease", Some("jx-production"), "canary-tui");
        lease.and_then(|l| l["spec"]["holderIdentity"].as_str().map(str::to_string)).unwrap_or_default()
    }

    /// Writes the operator's kubeconfig once more: whatever the sandbox says now.
    pub fn log_in_again(&self) {
        self.sandbox.write_kubeconfig(&self.home.path().join("kubeconfig")).expect("a kubeconfig");
    }

    /// A console of another user, who may do what is granted and nothing else. It does not drive.
    pub fn console_of(&self, user: &'static str, grants: grants::Grants) -> Terminal {
        let kubeconfig = self.home.path().join(user);
        std::fs::write(&kubeconfig, self.sandbox.kubeconfig_for(user)).expect("a kubeconfig");
        self.sandbox.deny(Some(std::sync::Arc::new(move |asked| asked.user == user && grants.deny(asked))));
        let arguments = ["--kubeconfig", kubeconfig.to_str().expect("a plain path"), "--no-controller"];
        // Without colours what is dim is dim, and can be seen.
        Terminal::start(&arguments, self.home.path(), (120, 40), &[("NO_COLOR", "1")])
    }

    /// A console that drives, with all apps at rest on its screen.
    pub fn console(&self) -> Terminal {
        let console = self.open((120, 40), &[], &[]);
        console.until_shows("driver: this console");
        console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
        console
    }
}

/// Starts a version of the selected app by typing its tag, and waits until it gets traffic.
pub fn start(console: &mut Terminal, tag: &str) {
    console.type_keys("s");
    console.until_shows("Start which version");
    console.type_keys(tag);
    console.type_keys("\r");
    console.until_shows(&format!("Start {tag} of {APP}?"));
    console.type_keys("y");
    console.until_shows(&format!(" % to {tag}"));
}

/// Starts the version that is offered first, and waits until it gets traffic.
pub fn start_the_first(console: &mut Terminal) {
    console.type_keys("s");
    console.until_shows("Start which version");
    console.type_keys("\r");
    console.until_shows(&format!("Start 1.1.0 of {APP}?"));
    console.type_keys("y");
    console.until_shows(" % to 1.1.0");
}
