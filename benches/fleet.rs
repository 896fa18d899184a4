//! The controller, as a process of its own, at 1,000 canaries on an embedded cluster: idle, while all of them roll out at
//! once, through an operator's aborts in the middle of that, and through its death.
//!
//! `cargo bench --bench fleet` prints one row a figure. `BENCH_CANARIES` and `BENCH_IDLE_SECONDS` make it smaller while
//! working on this. Cluster and controller share the machine: what the cluster itself takes of it is a row of its own.

#[path = "../tests/fleet/mod.rs"]
mod fleet;

use canary_tui::api::{Phase, Status, Verb};
use canary_tui::cluster::requests::{self, Wish};
use canary_tui::rollout::next_check;
use chrono::{DateTime, Utc};
use fleet::{Fleet, Requests, Seen, What, count};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(10);
const WRITES: [&str; 3] = ["create", "update", "patch"];
const READS: [&str; 3] = ["get", "list", "watch"];
const ABORTS: usize = 10;

fn main() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|s| s.parse().ok()).unwrap_or(default);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime
        .expect("a runtime")
        .block_on(run(number("BENCH_CANARIES", 1000) as usize, number("BENCH_IDLE_SECONDS", 30)));
}

async fn run(canaries: usize, idle_seconds: u64) {
    let mut fleet = Fleet::start(canaries, 50).await;
    println!("| what | to reach | measured |\n| --- | --- | --- |");
    fleet.drive().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    idle(&fleet, idle_seconds).await;

    let names = fleet.names();
    let (first, others) = names.split_first().expect("canaries");
    let from = Utc::now();
    fleet.set_version(first, "1.1.0");
    let ended = fleet.until_ended(&[first.clone()].into(), from, Duration::from_secs(300)).await;
    let alone = (ended.expect("a rollout alone ends") - from).to_std().unwrap_or_default();
    row("a rollout by itself", "", &seconds(alone));
    let told = fleet.messages(first, from);

    storm(&fleet, others, alone, &told).await;
    restart(&mut fleet, &names, alone).await;
}

async fn idle(fleet: &Fleet, seconds: u64) {
    let (before, cpu) = (fleet.sandbox.requests(), usage(fleet.pid()));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (requests, cpu) = (fleet.requests_since(&before), usage(fleet.pid()) - cpu);
    let all: u64 = requests.values().sum();
    row(
        &format!("idle for {seconds} s: API requests but the lease's; CPU of one core"),
        "0; -",
        &format!("{all} {}; {:.2} %", listed(&requests), cpu.as_secs_f64() / seconds as f64 * 100.0),
    );
}

/// All at once.
async fn storm(fleet: &Fleet, names: &[String], alone: Duration, told: &[String]) {
    let me = std::process::id();
    let (before, cpu, own) = (fleet.sandbox.requests(), usage(fleet.pid()), usage(me));
    let from = Utc::now();
    for name in names {
        fleet.set_version(name, "1.1.0");
    }
    row("the images set", "", &seconds((Utc::now() - from).to_std().unwrap_or_default()));
    let set: BTreeSet<String> = names.iter().cloned().collect();
    let (ended, aborted) =
        futures::join!(fleet.until_ended(&set, from, Duration::from_secs(600)), aborts(fleet, names, alone),);
    let Some(ended) = ended else {
        let left = names.iter().filter(|name| !matches!(fleet.phase(name), Phase::Succeeded | Phase::Failed)).count();
        row("rollouts", "", &format!("{left} of {} have not ended", names.len()));
        return;
    };
    let wall = (ended - from).to_std().unwrap_or_default();
    let (requests, cpu, own) = (fleet.requests_since(&before), usage(fleet.pid()) - cpu, usage(me) - own);
    // What is left to be said is said within this.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let many = names.len() as f64;
    row(
        &format!("{} rollouts at once: wall time", names.len()),
        "1.1 of one by itself",
        &format!("{} ({:.2})", seconds(wall), wall.as_secs_f64() / alone.as_secs_f64()),
    );
    row(
        "CPU of the controller for each rollout; of the cluster beside it; busy of the machine's 2 cores",
        "",
        &format!(
            "{:.1} ms; {:.1} ms; {:.0} % and {:.0} % of one core",
            cpu.as_secs_f64() * 1000.0 / many,
            own.as_secs_f64() * 1000.0 / many,
            cpu.as_secs_f64() / wall.as_secs_f64() * 100.0,
            own.as_secs_f64() / wall.as_secs_f64() * 100.0
        ),
    );
    let (resident, peak) = memory(fleet.pid());
    row("RSS of the controller; peak", "150 MiB", &format!("{resident:.0} MiB; {peak:.0} MiB"));
    requests_of(fleet, &requests, names, from, wall);
    let (late, last) =
        fleet.log(|log| (lateness(log, from, Phase::Progressing), lateness(log, from, Phase::Promoting)));
    let all: Vec<Duration> = late.iter().chain(&last).copied().collect();
    let what = "a check's status written after it was due: median, 99th percentile, longest";
    row(what, "99th 500 ms", &percentiles(&all));
    row("of those that raise the weight; of the last ones, written once the primary has its template", "", &{
        format!("{}; {}", percentiles(&late), percentiles(&last))
    });
    events(fleet, names, told, from);
    row(
        "abort in the middle: request to weight 0: median, 99th percentile, longest",
        "at once",
        &percentiles(&aborted),
    );
}

fn requests_of(fleet: &Fleet, requests: &Requests, names: &[String], from: DateTime<Utc>, wall: Duration) {
    let steps = fleet.log(|log| {
        let statuses = log.iter().filter(|seen| seen.at >= from && matches!(seen.what, What::Status(_)));
        statuses.count()
    });
    let is_event = |resource: &str| resource.starts_with("events");
    let is_proxy = |resource: &str| resource.starts_with("services/proxy");
    let writes = count(requests, &WRITES, |resource| !is_event(resource) && !is_proxy(resource));
    let reads = count(requests, &READS, |resource| !is_event(resource) && !is_proxy(resource));
    let asked = requests.iter().filter(|((_, resource), _)| is_proxy(resource)).map(|(_, count)| count).sum::<u64>();
    let many = names.len() as f64;
    row(
        "writes a step (a status written is a step), Events aside; reads a rollout; Events a rollout",
        "3; 0",
        &format!(
            "{:.2}; {:.2}; {:.1}: {}",
            writes as f64 / steps as f64,
            reads as f64 / many,
            count(requests, &WRITES, is_event) as f64 / many,
            listed(requests)
        ),
    );
    let intervals = wall.as_secs_f64() / INTERVAL.as_secs_f64();
    row("Prometheus requests an interval, of all canaries", "40", &format!("{:.1}", asked as f64 / intervals));
}

/// From when a check was due to when the cluster had the status that it ended with, which is of this phase.
fn lateness(log: &[Seen], from: DateTime<Utc>, phase: Phase) -> Vec<Duration> {
    let checks = log.iter().filter(|seen| seen.at >= from).filter_map(|seen| match &seen.what {
        What::Status(both) => Some((seen.at, &both.0, &both.1)),
        _ => None,
    });
    let checks = checks.filter(|(_, before, after)| after.phase == phase && is_check(before, after));
    let late = checks.filter_map(|(at, before, _)| {
        let due = next_check(before, INTERVAL)?;
        Some((at - due).to_std().unwrap_or_default())
    });
    late.collect()
}

/// Whether the status after is that of a check that passed: not the first step, which waits for pods, and not an abort.
fn is_check(before: &Status, after: &Status) -> bool {
    before.phase == Phase::Progressing
        && before.canary_weight > 0
        && (after.phase == Phase::Promoting
            || after.phase == Phase::Progressing && after.canary_weight > before.canary_weight)
}

/// Each says what one by itself says, and soon after it was so.
fn events(fleet: &Fleet, names: &[String], told: &[String], from: DateTime<Utc>) {
    let wanted: BTreeSet<&String> = told.iter().collect();
    let mut lost = BTreeMap::new();
    for name in names {
        if fleet.phase(name) == Phase::Succeeded {
            let said: BTreeSet<String> = fleet.messages(name, from).into_iter().collect();
            for missing in wanted.iter().filter(|text| !said.contains(**text)) {
                *lost.entry(missing.as_str()).or_insert(0_u32) += 1;
            }
        }
    }
    // "Advance IT weight N" after the routes had that weight.
    let late: Vec<Duration> = fleet.log(|log| {
        let mut moved: BTreeMap<(&str, u64), DateTime<Utc>> = BTreeMap::new();
        let mut late = Vec::new();
        for seen in log.iter().filter(|seen| seen.at >= from) {
            match &seen.what {
                What::Weight(weight) => drop(moved.insert((&seen.canary, *weight), seen.at)),
                What::Event(text) if text.starts_with("Advance ") => {
                    let weight = text.rsplit(' ').next().and_then(|n| n.parse().ok());
                    let when = weight.and_then(|weight| moved.get(&(seen.canary.as_str(), weight)));
                    late.extend(when.map(|when| (seen.at - *when).to_std().unwrap_or_default()));
                }
                _ => {}
            }
        }
        late
    });
    row(
        "Events lost; Advance written after its traffic moved: median, 99th percentile, longest",
        "0; 5 s",
        &format!("{} {lost:?}; {} of {}", lost.values().sum::<u32>(), percentiles(&late), late.len()),
    );
}

/// Ten operators, one after the other, each with another canary; from the moment before the request is sent.
async fn aborts(fleet: &Fleet, names: &[String], alone: Duration) -> Vec<Duration> {
    let (began, mut took) = (tokio::time::Instant::now(), Vec::new());
    for (number, name) in names.iter().step_by((names.len() / ABORTS).max(1)).take(ABORTS).enumerate() {
        // Over the steps of the rollouts, out of step with them.
        tokio::time::sleep_until(began + alone.mul_f64(0.25) + Duration::from_millis(2130) * number as u32).await;
        if !fleet.phase(name).under_way() {
            continue;
        }
        let wish = Wish {
            canary: name.clone(),
            verb: Verb::Abort,
            revision: fleet.revision(name),
            reason: String::new(),
            image: None,
            container: None,
            gate: None,
        };
        let asked = Utc::now();
        if let Err(error) = requests::send(&fleet.connection, &fleet.kinds, "alice", &wish, asked).await {
            println!("| abort of {name} | | {error} |");
            continue;
        }
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        while tokio::time::Instant::now() < patience {
            let home = fleet.log(|log| {
                let mut since = log.iter().rev().take_while(|seen| seen.at >= asked);
                since.find(|seen| seen.canary == *name && matches!(seen.what, What::Weight(0))).map(|seen| seen.at)
            });
            if let Some(home) = home {
                took.push((home - asked).to_std().unwrap_or_default());
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    took
}

/// All at once again, and the driver dies in the middle: whoever comes after it makes no step early.
async fn restart(fleet: &mut Fleet, names: &[String], alone: Duration) {
    // Those that were aborted are on that version still.
    let names: Vec<String> = names.iter().filter(|name| fleet.phase(name) == Phase::Succeeded).cloned().collect();
    let from = Utc::now();
    for name in &names {
        fleet.set_version(name, "1.0.0");
    }
    tokio::time::sleep(alone.mul_f64(0.4)).await;
    fleet.kill();
    let killed = Utc::now();
    fleet.drive().await;
    let gap = (Utc::now() - killed).to_std().unwrap_or_default();
    let all: BTreeSet<String> = names.iter().cloned().collect();
    let ended = fleet.until_ended(&all, from, Duration::from_secs(600)).await;
    let succeeded = names.iter().filter(|name| fleet.phase(name) == Phase::Succeeded).count();
    let early = fleet.log(|log| early(log, from));
    row(
        "killed in the middle of all: driven again after; steps taken early; succeeded; wall time",
        "-; 0; all",
        &format!(
            "{}; {} of {}; {succeeded} of {}; {}",
            seconds(gap),
            early.0,
            early.1,
            names.len(),
            ended.map_or_else(|| "not all".into(), |end| seconds((end - from).to_std().unwrap_or_default()))
        ),
    );
}

/// Steps that came sooner after the step before than an interval, the tolerance of a slot aside; and all of them.
fn early(log: &[Seen], from: DateTime<Utc>) -> (usize, usize) {
    let least = chrono::Duration::milliseconds(INTERVAL.as_millis() as i64 - 500);
    let mut last: BTreeMap<&str, (u64, DateTime<Utc>)> = BTreeMap::new();
    let (mut early, mut all) = (0, 0);
    for seen in log.iter().filter(|seen| seen.at >= from) {
        let What::Weight(weight) = seen.what else { continue };
        // Routes are also written without a step: a new driver leaves its term on them.
        if last.get(seen.canary.as_str()).is_some_and(|(before, _)| *before == weight) {
            continue;
        }
        let before = last.insert(&seen.canary, (weight, seen.at));
        let Some((from_weight, then)) = before.filter(|(before, _)| weight > *before && *before > 0) else { continue };
        all += 1;
        // A promotion is no step of the analysis.
        early += usize::from(seen.at - then < least && from_weight < 50);
    }
    (early, all)
}

fn usage(pid: u32) -> Duration {
    let mut cpu = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten() {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        cpu += stat.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(cpu)
}

/// Resident memory and its peak, in MiB.
fn memory(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN) / 1024.0
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn listed(requests: &Requests) -> String {
    let list: Vec<String> = requests.iter().map(|((verb, of), count)| format!("{verb} {of} {count}")).collect();
    list.join(", ")
}

fn percentiles(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let Some(longest) = times.last() else { return "none".into() };
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    format!("{}, {}, {}", ms(times[times.len() / 2]), ms(times[times.len() * 99 / 100]), ms(*longest))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn row(what: &str, reach: &str, measured: &str) {
    println!("| {what} | {reach} | {measured} |");
}
