//! The two clusters that one kubectl is run on, a namespace of the same name in both, and what it printed on each,
//! compared line by line. What legitimately varies is put aside first ([`normal`]); what still differs must stand in
//! the list of differences, and what stands there must differ.

use super::differences::DIFFERENCES;
use super::normal::{self, Look};
use canary_tui::sandbox::{Options, Sandbox};
use regex::Regex;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);
/// What names the shared cluster's folder.
const CLUSTER: &str = "CANARY_TUI_CLUSTER";

/// One cluster, as kubectl reaches it.
pub struct Side {
    /// How a report calls it.
    pub name: &'static str,
    /// Whose cache, files and kubeconfig it uses.
    pub home: tempfile::TempDir,
}

/// The embedded cluster and the real one.
pub struct Sides {
    pub sandbox: Side,
    pub cluster: Side,
    /// The namespace in both that is this scenario's own, and the default of both kubeconfigs.
    pub namespace: String,
    scenario: &'static str,
    findings: Vec<Finding>,
    compared: usize,
    server: Sandbox,
    _runtime: tokio::runtime::Runtime,
}

/// What one command printed otherwise on the two.
struct Finding {
    command: String,
    /// Lines that only the real cluster printed, and those that only the embedded one did.
    cluster: Vec<String>,
    sandbox: Vec<String>,
}

/// How the two outputs of a command are held against each other.
#[derive(Clone, Copy, PartialEq)]
enum Compare {
    /// Line by line, in their order.
    Lines,
    /// The same lines in any order.
    Set,
    /// Whatever the embedded cluster says, the real one says too.
    Covered,
}

impl Sides {
    /// An embedded cluster without apps, and a namespace on the real one, with the Canary's definitions in both.
    pub fn open(scenario: &'static str) -> Self {
        let folder = std::env::var_os(CLUSTER).unwrap_or_else(|| {
            panic!("no real cluster is named: start one with tests/cluster/up DIR and set {CLUSTER}=DIR")
        });
        let kubeconfig = Path::new(&folder).join("kubeconfig");
        assert!(kubeconfig.is_file(), "{} is not there: start it with tests/cluster/up DIR", kubeconfig.display());
        let unique = tempfile::Builder::new().prefix("kubectl-").rand_bytes(6).tempdir().expect("a folder");
        let unique = unique.path().file_name().and_then(|name| name.to_str()).expect("its name is text");
        let namespace = unique.to_lowercase();

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = Options {
            canaries: 0,
            ready_after: Duration::from_millis(300),
            namespace: namespace.clone(),
            ..Options::default()
        };
        let server = runtime.block_on(Sandbox::start(options)).unwrap();
        let sandbox = Side::new("sandbox");
        server.write_kubeconfig(&sandbox.kubeconfig()).unwrap();
        let cluster = Side::new("cluster");
        std::fs::copy(kubeconfig, cluster.kubeconfig()).unwrap();

        let manifests =
            Command::new(env!("CARGO_BIN_EXE_canary-tui")).args(["manifests", "--crds-only"]).output().unwrap();
        let file = cluster.home.path().join("manifests.yaml");
        std::fs::write(&file, manifests.stdout).unwrap();
        // Other tests install the same at the same time: who applies the same makes no conflict.
        cluster.must(&["apply", "--server-side", "--force-conflicts", "-f", path(&file)]);
        cluster.must(&["wait", "--for=condition=Established", "crd/canaries.flagger.app", "--timeout=60s"]);
        cluster.must(&["create", "namespace", &namespace]);
        cluster.must(&["config", "set-context", "--current", "--namespace", &namespace]);
        // A pod may come only once its account is there.
        cluster.until(&["get", "serviceaccount", "default"], |output| output.status.success());
        Self { sandbox, cluster, namespace, scenario, findings: Vec::new(), compared: 0, server, _runtime: runtime }
    }

    /// Where the embedded cluster's Prometheus is.
    pub fn prometheus(&self) -> String {
        self.server.prometheus_url()
    }

    fn both(&self) -> [&Side; 2] {
        [&self.cluster, &self.sandbox]
    }

    /// Runs a command on both, for what it does; it must succeed.
    pub fn must(&self, arguments: &[&str]) {
        for side in self.both() {
            side.must(arguments);
        }
    }

    /// Runs a command on both until its output looks so: for what happens by itself after a write.
    pub fn until(&self, arguments: &[&str], looks: impl Fn(&str) -> bool) {
        for side in self.both() {
            side.until(arguments, |output| output.status.success() && looks(&text(&output.stdout)));
        }
    }

    /// Runs a command on both and compares its exit code and every line.
    pub fn same(&mut self, arguments: &[&str]) {
        self.compare(arguments, Compare::Lines);
    }

    /// As [`Self::same`], in whatever order the lines come.
    pub fn same_lines(&mut self, arguments: &[&str]) {
        self.compare(arguments, Compare::Set);
    }

    /// Every line that the embedded cluster prints is printed by the real one, which serves more.
    pub fn covered(&mut self, arguments: &[&str]) {
        self.compare(arguments, Compare::Covered);
    }

    fn compare(&mut self, arguments: &[&str], how: Compare) {
        let [cluster, sandbox] = self.both().map(|side| {
            let output = side.run(arguments);
            self.lines(&output, normal::look_of(arguments))
        });
        self.note(&arguments.join(" "), cluster, sandbox, how);
    }

    fn lines(&self, output: &Output, look: Look) -> Vec<String> {
        let mut lines = normal::lines(&text(&output.stdout), &self.namespace, look);
        lines.extend(normal::lines(&text(&output.stderr), &self.namespace, look).into_iter().map(|l| format!("! {l}")));
        lines.push(format!("exit {}", output.status.code().unwrap_or(-1)));
        lines
    }

    fn note(&mut self, command: &str, cluster: Vec<String>, sandbox: Vec<String>, how: Compare) {
        self.compared += 1;
        let (only_cluster, only_sandbox) = match how {
            Compare::Lines => apart(&cluster, &sandbox),
            Compare::Set | Compare::Covered => {
                let (there, here): (BTreeSet<_>, BTreeSet<_>) =
                    (cluster.into_iter().collect(), sandbox.into_iter().collect());
                let missing = if how == Compare::Set { there.difference(&here).cloned().collect() } else { Vec::new() };
                (missing, here.difference(&there).cloned().collect())
            }
        };
        if !only_cluster.is_empty() || !only_sandbox.is_empty() {
            let command = normal::plain(command, &self.namespace);
            self.findings.push(Finding { command, cluster: only_cluster, sandbox: only_sandbox });
        }
    }

    /// Starts a command that goes on by itself on both, waits until each has printed a first line, lets something
    /// happen on both, and compares the lines up to the one that ends with `last`.
    pub fn watched(&mut self, arguments: &[&str], last: &str, happens: impl Fn(&Side)) {
        let [cluster, sandbox] = self.both().map(|side| {
            let watching = Running::start(side.command(arguments));
            let next = || normal::lines(&watching.line(), &self.namespace, Look::Text);
            let mut lines = next();
            happens(side);
            while !lines.last().is_some_and(|line| line.ends_with(last)) {
                lines.extend(next());
            }
            lines
        });
        self.note(&arguments.join(" "), cluster, sandbox, Compare::Lines);
    }

    /// Writes a file for both; `NS` in it becomes the namespace. Answers its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let file = self.cluster.home.path().join(name);
        std::fs::write(&file, content.replace("NS", &self.namespace)).unwrap();
        path(&file).to_owned()
    }

    /// Holds what differed against the list: nothing unlisted, and nothing listed that does not differ.
    pub fn finish(self) {
        // Whoever comes next uses another name: this one may take its time to go.
        self.cluster.run(&["delete", "namespace", &self.namespace, "--wait=false"]);
        let mut report = String::new();
        let mut used = BTreeSet::new();
        for finding in &self.findings {
            let mut explained = |line: &String, on_cluster: bool| {
                let found = DIFFERENCES.iter().enumerate().find(|(_, one)| {
                    one.scenario == self.scenario
                        && whole(one.command).is_match(&finding.command)
                        && if on_cluster { one.cluster } else { one.sandbox }
                            .iter()
                            .any(|pattern| whole(pattern).is_match(line))
                });
                found.map(|(place, _)| used.insert(place)).is_some()
            };
            let cluster: Vec<_> = finding.cluster.iter().filter(|line| !explained(line, true)).collect();
            let sandbox: Vec<_> = finding.sandbox.iter().filter(|line| !explained(line, false)).collect();
            if !cluster.is_empty() || !sandbox.is_empty() {
                let _ = writeln!(report, "\nkubectl {}", finding.command);
                for (side, lines) in [(&self.cluster, cluster), (&self.sandbox, sandbox)] {
                    for line in lines {
                        let _ = writeln!(report, "  {}| {line}", side.name);
                    }
                }
            }
        }
        for (place, one) in DIFFERENCES.iter().enumerate() {
            if one.scenario == self.scenario && !used.contains(&place) {
                let _ = writeln!(report, "\nno longer differs: kubectl {} ({})", one.command, one.why);
            }
        }
        println!("{}: {} commands compared", self.scenario, self.compared);
        assert!(report.is_empty(), "{}:{report}", self.scenario);
    }
}

impl Side {
    fn new(name: &'static str) -> Self {
        Self { name, home: tempfile::tempdir().unwrap() }
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// kubectl on this cluster, with nothing of the user's own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("KUBECONFIG", self.kubeconfig()).env("LANG", "C.UTF-8");
        // What `kubectl edit` runs in place of an editor.
        command.env("KUBE_EDITOR", "sed -i s/stepWeight:.*/stepWeight:.15/;s/:[.]15/:\\ 15/");
        command
    }

    /// Runs kubectl to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("kubectl runs")
    }

    /// Runs kubectl; it must succeed. Answers what it printed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "kubectl {} fails on the {}: {}",
            arguments.join(" "),
            self.name,
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn until(&self, arguments: &[&str], looks: impl Fn(&Output) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.run(arguments);
            if looks(&output) {
                return;
            }
            let shown = || format!("{}{}", text(&output.stdout), text(&output.stderr));
            assert!(
                Instant::now() < end,
                "kubectl {} does not get there on the {}:\n{}",
                arguments.join(" "),
                self.name,
                shown()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A program that goes on by itself, and its lines as they come. It ends with this.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it starts");
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Its next line.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("no further line came")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that only one of two texts has, by their longest common subsequence.
fn apart(left: &[String], right: &[String]) -> (Vec<String>, Vec<String>) {
    let mut common = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for (i, one) in left.iter().enumerate().rev() {
        for (j, other) in right.iter().enumerate().rev() {
            common[i][j] = if one == other { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut only_left, mut only_right) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            i += 1;
            j += 1;
        } else if j == right.len() || (i < left.len() && common[i + 1][j] >= common[i][j + 1]) {
            only_left.push(left[i].clone());
            i += 1;
        } else {
            only_right.push(right[j].clone());
            j += 1;
        }
    }
    (only_left, only_right)
}

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("a pattern of the list")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(file: &Path) -> &str {
    file.to_str().expect("its path is text")
}
