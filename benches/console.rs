//! The console beside an embedded cluster in another process, over its HTTPS: 100 canaries, 500 pods, 120x40; then
//! larger fleets. Where kdash and kubectl are installed they are measured on the same cluster in the same run.
//!
//! `cargo bench --bench console` prints one row a figure. `BENCH_IDLE_SECONDS` shortens the idle minutes while working on
//! this.

#[path = "../tests/terminal/mod.rs"]
mod terminal;

use canary_tui::cluster::{Connection, ConnectionOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use terminal::Terminal;

const SIZE: terminal::Size = (120, 40);
const NAMESPACE: &str = "jx-production";
const APP: &str = "jx-production-myapp";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let home = tempfile::tempdir().expect("a folder");
    let kubeconfig = home.path().join("kubeconfig");
    let cluster = Cluster::start(&kubeconfig, 100, 5);
    println!("| what | to reach | measured |\n| --- | --- | --- |");
    start(home.path(), &kubeconfig);
    {
        let mut console = Terminal::start(&arguments(&kubeconfig), home.path(), SIZE, &[]);
        console.until_shows(APP);
        events(&console, home.path(), &kubeconfig);
        idle("an observer", "0.1 %; 2/s; 25 MiB; 0 B/s", &console);
        keys(&mut console, &kubeconfig);
    }
    if let Some(console) = kdash(home.path(), &kubeconfig) {
        idle("kdash", "", &console);
    }
    rollout(home.path(), &kubeconfig);
    drop(cluster);
    growth(home.path(), &kubeconfig);
}

/// An observer of the namespace.
fn arguments(kubeconfig: &Path) -> [&str; 4] {
    ["--no-controller", "--kubeconfig", kubeconfig.to_str().expect("a plain path"), "--namespace=jx-production"]
}

/// A program of others, where it is installed.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// An embedded cluster, as a process that ends with this.
struct Cluster(Child);

impl Cluster {
    fn start(kubeconfig: &Path, canaries: usize, replicas: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_canary-tui"))
            .args(["sandbox", "--canaries", &canaries.to_string(), "--replicas", &replicas.to_string()])
            .args(["--seed", "1", "--kubeconfig"])
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
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The cluster, as a client of its own sees it.
struct Client {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
}

impl Client {
    fn open(kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = ConnectionOptions { kubeconfig: Some(kubeconfig.to_path_buf()), ..Default::default() };
        let connection = runtime.block_on(Connection::open(&options)).expect("a connection");
        Self { runtime, connection }
    }

    fn say(&self, name: &str, text: &str) {
        let api: Api<Event> = Api::namespaced(self.connection.client.clone(), NAMESPACE);
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let event = serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": NAMESPACE },
            "involvedObject": { "kind": "Canary", "namespace": NAMESPACE, "name": APP },
            "type": "Normal", "reason": "Synced", "message": text, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
        }))
        .expect("an event");
        self.runtime.block_on(api.create(&PostParams::default(), &event)).expect("the event is written");
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
        "60 ms",
        &format!("median {}, longest {} of {}", ms(took[took.len() / 2]), ms(took[took.len() - 1]), took.len()),
    );
    let mut took: Vec<Duration> = (0..5)
        .filter_map(|_| {
            let console = kdash(home, kubeconfig)?;
            // It begins with the first by name, which is of no fixed app.
            let shown = console.until("no pod", PATIENCE, |screen| screen.contains("-primary-"));
            Some(shown - console.started)
        })
        .collect();
    took.sort();
    if let (Some(median), Some(longest)) = (took.get(took.len() / 2), took.last()) {
        row(
            "kdash: process start to the first frame with pods on it",
            "",
            &format!("median {}, longest {}", ms(*median), ms(*longest)),
        );
    }
}

/// kdash on the same cluster, where it is installed. It asks the terminal where the cursor is, and waits for the answer.
fn kdash(home: &Path, kubeconfig: &Path) -> Option<Terminal> {
    let program = installed("kdash")?;
    let environment = [("KUBECONFIG", kubeconfig.to_str()?)];
    let mut console = Terminal::run(program.to_str()?, &["--namespace", NAMESPACE], home, SIZE, &environment);
    console.until_written(b"\x1b[6n", PATIENCE);
    console.type_keys("\x1b[1;1R");
    Some(console)
}

/// Each Event is written through the API and looked for on the screen.
fn events(console: &Terminal, home: &Path, kubeconfig: &Path) {
    let client = Client::open(kubeconfig);
    let measure = |console: &Terminal, kind: &str, number: u64| {
        let text = format!("measured {kind} {number:04}");
        // Out of step with whatever ticks in the console.
        std::thread::sleep(Duration::from_millis(7 * number % 41));
        let written = Instant::now();
        client.say(&format!("measured.{kind}.{number}"), &text);
        console.until(&text, PATIENCE, |screen| screen.contains(&text)) - written
    };
    let row_of = |what: &str, reach: &str, mut took: Vec<Duration>| {
        took.sort();
        let figures = format!("{} (median {})", ms(took[took.len() * 99 / 100]), ms(took[took.len() / 2]));
        row(&format!("{what}, 99th percentile of {}", took.len()), reach, &figures);
    };
    let took = (0..500).map(|number| measure(console, "event", number)).collect();
    row_of("event in the API to its line on screen", "60 ms", took);
    if let Some(kubectl) = installed("kubectl") {
        let file = kubeconfig.to_str().expect("a plain path");
        let arguments = ["--kubeconfig", file, "-n", NAMESPACE, "get", "events", "--watch-only"];
        let lines = Terminal::run(kubectl.to_str().expect("a plain path"), &arguments, home, SIZE, &[]);
        // Whatever it is late for at first is not measured: it shows what it finds when it begins.
        std::thread::sleep(Duration::from_secs(3));
        let took = (0..100).map(|number| measure(&lines, "watched", number)).collect();
        row_of("the same by kubectl get events -w", "", took);
    }
}

/// From a key to the frame that answers it, while 200 Events a second arrive.
fn keys(console: &mut Terminal, kubeconfig: &Path) {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, file) = (stop.clone(), kubeconfig.to_path_buf());
    let storm = std::thread::spawn(move || {
        let client = Client::open(&file);
        let began = Instant::now();
        let mut number = 0_u32;
        while !stopped.load(Ordering::Relaxed) {
            client.say(&format!("storm.{number}"), &format!("storm {number}"));
            number += 1;
            std::thread::sleep((Duration::from_millis(5) * number).saturating_sub(began.elapsed()));
        }
        f64::from(number) / began.elapsed().as_secs_f64()
    });
    console.until_shows("storm 100");
    let title = "Show this list";
    let mut took = Vec::new();
    for number in 0..150 {
        std::thread::sleep(Duration::from_millis(11 * number % 53));
        for (key, shows) in [("?", true), ("\u{1b}[D", true), ("?", false)] {
            // The arrow does nothing there: it only parts the two.
            let pressed = Instant::now();
            console.type_keys(key);
            if key == "?" {
                took.push(console.until(title, PATIENCE, |screen| screen.contains(title) == shows) - pressed);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let rate = storm.join().expect("the storm ends");
    took.sort();
    row(
        &format!("key to its frame while {rate:.0} events a second arrive, 99th percentile of {}", took.len()),
        "15 ms",
        &format!("{} (median {})", ms(took[took.len() * 99 / 100]), ms(took[took.len() / 2])),
    );
}

/// What an observer writes to its terminal while a rollout goes on that a controller elsewhere drives; and what a
/// console costs that drives.
fn rollout(home: &Path, kubeconfig: &Path) {
    let file = kubeconfig.to_str().expect("a plain path");
    let driving = ["--kubeconfig", file, "--namespace=jx-production"];
    let driver = Terminal::start(&driving, home, SIZE, &[]);
    driver.until_shows("this console");
    idle("a driver, at rest", "", &driver);
    let console = Terminal::start(&arguments(kubeconfig), home, SIZE, &[]);
    console.until_shows(APP);
    let client = Client::open(kubeconfig);
    let api: Api<Deployment> = Api::namespaced(client.connection.client.clone(), NAMESPACE);
    let target = client.runtime.block_on(api.get(APP)).expect("the target");
    let container = target.spec.template.spec.and_then(|pod| pod.containers.into_iter().next());
    let container = container.expect("a container");
    let repository = container.image.as_deref().and_then(|image| image.rsplit_once(':')).expect("a tag").0.to_owned();
    let image = json!({"spec": {"template": {"spec": {"containers": [
        {"name": container.name, "image": format!("{repository}:1.1.0")}]}}}});
    client.runtime.block_on(api.patch(APP, &PatchParams::default(), &Patch::Strategic(image))).expect("an image");
    console.until_shows("Progressing");
    let (before, began, cpu) = (console.written(), Instant::now(), usage(driver.pid()));
    std::thread::sleep(Duration::from_secs(seconds()));
    let (after, driven) = (console.written(), usage(driver.pid()));
    let passed = began.elapsed().as_secs_f64();
    row(
        "an observer during a rollout: bytes to the terminal",
        "1 KB/s",
        &format!(
            "{:.0} B/s in {:.1} writes/s",
            (after.0.len() - before.0.len()) as f64 / passed,
            (after.1 - before.1) as f64 / passed
        ),
    );
    row(
        "the driver during it: CPU of one core",
        "",
        &format!("{:.2} %", (driven.cpu - cpu.cpu).as_secs_f64() / passed * 100.0),
    );
}

/// What canaries cost an observer in memory.
fn growth(home: &Path, kubeconfig: &Path) {
    const FLEETS: [usize; 2] = [250, 1000];
    let resident = FLEETS.map(|canaries| {
        let _cluster = Cluster::start(kubeconfig, canaries, 1);
        let console = Terminal::start(&arguments(kubeconfig), home, SIZE, &[]);
        console.until("not all are there", PATIENCE, |screen| screen.contains(&format!("Canaries {canaries}")));
        // Two refreshes of the metrics.
        std::thread::sleep(Duration::from_secs(35));
        resident(console.pid())
    });
    let each = (resident[1] - resident[0]) * 1024.0 / (FLEETS[1] - FLEETS[0]) as f64;
    row("RSS of an observer of 1,000 canaries", "25 MiB", &format!("{:.1} MiB", resident[1]));
    row("of that for each canary from the 250th on", "3 KiB", &format!("{each:.1} KiB"));
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

/// Resident memory, in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    resident.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN) / 1024.0
}

fn seconds() -> u64 {
    std::env::var("BENCH_IDLE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60)
}

fn idle(who: &str, reach: &str, console: &Terminal) {
    let seconds = seconds();
    std::thread::sleep(Duration::from_secs(5));
    let (before, bytes) = (usage(console.pid()), console.written());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, more) = (usage(console.pid()), console.written());
    row(
        &format!("idle for {seconds} s, {who}: CPU of one core; wake-ups; RSS; to the terminal"),
        reach,
        &format!(
            "{:.2} %; {:.1}/s; {:.1} MiB; {:.0} B/s in {:.2} writes/s",
            (after.cpu - before.cpu).as_secs_f64() / seconds as f64 * 100.0,
            (after.wakes - before.wakes) as f64 / seconds as f64,
            resident(console.pid()),
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
