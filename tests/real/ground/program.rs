//! The real program: one that goes on until it is ended, and one that ends by itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A program that runs. Dropped, it is killed.
pub struct Program {
    child: Child,
    said: PathBuf,
}

impl Program {
    /// Starts it, with what it says in a file of `home`.
    pub fn start(arguments: &[&str], kubeconfig: &Path, home: &Path) -> Self {
        let said = home.join(format!("program-{}.log", COUNT.fetch_add(1, Ordering::Relaxed)));
        let file = std::fs::File::create(&said).expect("a file");
        let mut command = command(arguments, kubeconfig, home);
        command.stdout(file.try_clone().expect("a file")).stderr(file).stdin(Stdio::null());
        Self { child: command.spawn().expect("it starts"), said }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with no chance to say goodbye.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a command to its end: its exit code and all that it says.
pub async fn run(arguments: &[&str], kubeconfig: &Path, home: &Path) -> (i32, String) {
    let mut command = tokio::process::Command::from(command(arguments, kubeconfig, home));
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(super::PATIENCE, ended).await.expect("it ends").expect("it starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().unwrap_or(-1), said)
}

/// All that the programs of a test have said.
pub fn logs(home: &Path) -> String {
    let files = std::fs::read_dir(home).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut logs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    logs.sort();
    let read =
        |path: PathBuf| format!("--- {}\n{}", path.display(), std::fs::read_to_string(&path).unwrap_or_default());
    logs.into_iter().map(read).collect()
}

fn command(arguments: &[&str], kubeconfig: &Path, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    command.args(arguments).env_clear().env("KUBECONFIG", kubeconfig).env("HOME", home).env("USER", "alice");
    command
}
