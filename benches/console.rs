//! The console beside an embedded cluster in another process, over its HTTPS: 100 canaries, 500 pods, 120x40.
//!
//! `cargo bench --bench console` prints one row a figure. `BENCH_IDLE_SECONDS` shortens the idle minute while working on
//! this.

#[path = "../tests/terminal/mod.rs"]
mod terminal;

use canary_tui::cluster::{Connection, ConnectionOptions};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use terminal::Terminal;

const SIZE: terminal::Size = (120, 40);
const APP: &str = "jx-production-myapp";
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let home = tempfile::tempdir().expect("a folder");
    let kubeconfig = home.path().join("kubeconfig");
    let mut cluster = Cluster::start(&kubeconfig);
    println!("| what | to reach | measured |\n| --- | --- | --- |");
    start(home.path(), &kubeconfig);
    let console = Terminal::start(&arguments(&kubeconfig), home.path(), SIZE, &[]);
    console.until_shows(APP);
    events(&console, &kubeconfig);
    idle(&console);
    cluster.end();
}

/// An observer of the namespace.
fn arguments(kubeconfig: &Path) -> [&str; 4] {
    ["--no-controller", "--kubeconfig", kubeconfig.to_str().expect("a plain path"), "--namespace=jx-production"]
}

struct Cluster(Child);

impl Cluster {
    fn start(kubeconfig: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_canary-tui"))
            .args(["sandbox", "--canaries", "100", "--replicas", "5", "--seed", "1", "--kubeconfig"])
            .arg(kubeconfig)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("the line that it is ready");
        Self(child)
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(home: &Path, kubeconfig: &Path) {
    let mut took: Vec<Duration> = (0..11)
        .map(|_| {
            let mut console = Terminal::start(&arguments(kubeconfig), home, SIZE, &[]);
            let shown = console.until("no canary", PATIENCE, |screen| screen.contains(APP));
            let took = shown - console.started;
            console.type_keys("q");
            console.ended(PATIENCE);
            took
        })
        .collect();
    took.sort();
    row(
        "process start to the first frame with canary names on it",
        "100 ms",
        &format!("median {}, longest {} of {}", ms(took[took.len() / 2]), ms(took[took.len() - 1]), took.len()),
    );
}

/// Each Event is written through the API and looked for on the screen.
fn events(console: &Terminal, kubeconfig: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ConnectionOptions { kubeconfig: Some(kubeconfig.to_path_buf()), ..Default::default() };
    let connection = runtime.block_on(Connection::open(&options)).expect("a connection");
    let api: kube::Api<k8s_openapi::api::core::v1::Event> =
        kube::Api::namespaced(connection.client.clone(), "jx-production");
    let mut took: Vec<Duration> = (0..500)
        .map(|number| {
            let text = format!("measured event {number:04}");
            let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            let event = serde_json::from_value(json!({
                "metadata": { "name": format!("measured.{number}"), "namespace": "jx-production" },
                "involvedObject": { "kind": "Canary", "namespace": "jx-production", "name": APP },
                "type": "Normal", "reason": "Synced", "message": text, "count": 1,
                "firstTimestamp": now, "lastTimestamp": now,
            }))
            .expect("an event");
            // Out of step with whatever ticks in the console.
            std::thread::sleep(Duration::from_millis(7 * number % 41));
            let written = Instant::now();
            runtime.block_on(api.create(&kube::api::PostParams::default(), &event)).expect("the event is written");
            console.until(&text, PATIENCE, |screen| screen.contains(&text)) - written
        })
        .collect();
    took.sort();
    row(
        "event in the API to its line on screen, 99th percentile of 500",
        "60 ms",
        &format!("{} (median {})", ms(took[took.len() * 99 / 100]), ms(took[took.len() / 2])),
    );
}

/// Sums over all threads of a process.
struct Usage {
    cpu: Duration,
    wakes: u64,
}

fn usage(pid: u32) -> Usage {
    let (mut cpu, mut wakes) = (0, 0);
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        cpu += read("schedstat").split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let status = read("status");
        let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        wakes += line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Usage { cpu: Duration::from_nanos(cpu), wakes }
}

fn idle(console: &Terminal) {
    let seconds = std::env::var("BENCH_IDLE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    std::thread::sleep(Duration::from_secs(5));
    let (before, bytes) = (usage(console.pid()), console.written());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, more) = (usage(console.pid()), console.written());
    let status = std::fs::read_to_string(format!("/proc/{}/status", console.pid())).expect("it runs");
    let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    let resident: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    row(
        &format!("idle for {seconds} s as an observer: CPU of one core; wake-ups; RSS"),
        "0.5 %; 5/s; 25 MiB",
        &format!(
            "{:.2} %; {:.1}/s; {:.1} MiB ({:.0} B/s to the terminal in {:.2} writes/s)",
            (after.cpu - before.cpu).as_secs_f64() / seconds as f64 * 100.0,
            (after.wakes - before.wakes) as f64 / seconds as f64,
            resident / 1024.0,
            (more.0.len() - bytes.0.len()) as f64 / seconds as f64,
            (more.1 - bytes.1) as f64 / seconds as f64,
        ),
    );
}

fn row(what: &str, reach: &str, measured: &str) {
    println!("| {what} | {reach} | {measured} |");
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
