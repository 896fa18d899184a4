//! A control plane of a test's own, for what no other test could stand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A control plane that runs. Dropped, it ends.
pub struct ControlPlane {
    folder: tempfile::TempDir,
}

impl ControlPlane {
    /// Starts one; the first on a machine is built before, for minutes.
    pub async fn start() -> Self {
        let plane = Self { folder: tempfile::tempdir().expect("a folder") };
        plane.run("up", &[]).await;
        plane
    }

    /// Its administrator's.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The kubeconfig of a user, who may do what RBAC grants to the name and the groups.
    pub async fn user(&self, name: &str, groups: &[&str]) -> PathBuf {
        super::user_of(self.folder.path(), name, groups).await
    }

    /// `stop`, `kill` or `start`.
    pub async fn api_server(&self, what: &str) {
        self.run("apiserver", &[what]).await;
    }

    /// Makes it forget all that was.
    pub async fn compact(&self) {
        self.run("compact", &[]).await;
    }

    async fn run(&self, name: &str, further: &[&str]) {
        let mut command = tokio::process::Command::from(self.script(name));
        let output = command.args(further).stdin(Stdio::null()).output().await.expect("it starts");
        assert!(output.status.success(), "{name} {further:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster").join(name));
        command.arg(self.folder.path());
        command
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let ended = self.script("down").stdout(Stdio::null()).status();
        assert!(std::thread::panicking() || ended.is_ok_and(|status| status.success()), "the control plane ends");
    }
}
