//! `canary-tui watch`: the console as lines. Each change is one line of its own, from left to right when, of which
//! canary, how it stands, and what has changed; nothing is ever painted over.

use super::args::{Lines, WatchArgs};
use super::exit::{Exit, tell};
use super::plain::{escaped, escaped_json};
use super::session::Session;
use super::{status, watching};
use crate::cluster::vouching::{self, Names};
use crate::cluster::{CanaryRecord, Clock, EventRecord, Health, Mirror, Source, World};
use anyhow::{Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use tokio::sync::oneshot;

/// Prints until it is stopped, nobody reads any more, or the rollout has ended where that was asked for.
pub async fn run(args: WatchArgs, clock: Clock, out: &mut dyn Write) -> Result<Exit> {
    let session = Session::open(&args.cluster).await?;
    let mirror = watching::begin(&session, clock.clone()).await?;
    let namespace = session.namespace().to_string();
    if let Some(name) = &args.name
        && !mirror.read().canaries.contains_key(name)
    {
        return Err(super::session::no_canary(name, &namespace));
    }
    let names = vouching::names(&session.connection.client, &namespace).await;
    let follow = follow(&args, &mirror, &namespace, names, &clock, out);
    let ended = async {
        match args.timeout {
            None => follow.await,
            Some(limit) => tokio::time::timeout(limit, follow).await.unwrap_or(Ok(Exit::NotInTime)),
        }
    };
    tokio::select! {
        ended = ended => ended,
        // Whoever read has left, and it need not come to another line to notice.
        _ = deserted() => Ok(Exit::Done),
    }
}

async fn follow(
    args: &WatchArgs,
    mirror: &Mirror,
    namespace: &str,
    names: Names,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<Exit> {
    let mut changes = mirror.count();
    let mut follower = Follower::new(args.name.clone(), names);
    let mut lost = false;
    loop {
        changes.borrow_and_update();
        // The guard must not live across the wait below.
        let (lines, ended, trouble) = {
            let world = mirror.read();
            let lines = follower.look(&world, clock.now());
            let ended = args.name.as_deref().filter(|_| args.until_end).map(|name| {
                if !world.canaries.contains_key(name) {
                    bail!("the canary {name} was deleted");
                }
                status::stand(&world, name, namespace, None)
            });
            (lines, ended, trouble(&world))
        };
        for line in &lines {
            match args.output {
                None => writeln!(out, "{}", line.text())?,
                Some(Lines::Json) => writeln!(out, "{}", line.json(namespace))?,
            }
        }
        out.flush()?;
        match (&trouble, lost) {
            (Some(why), false) => tell(&format!("the watch is broken, trying again: {why}")),
            (None, true) => tell("connected again"),
            _ => {}
        }
        lost = trouble.is_some();
        if let Some(ended) = ended {
            let (exit, _) = ended?;
            if exit != Exit::UnderWay {
                return Ok(exit);
            }
        }
        if changes.changed().await.is_err() {
            bail!("the watches have ended");
        }
    }
}

/// Why the canaries are not seen as they are now.
fn trouble(world: &World) -> Option<String> {
    match world.health.get(&Source::Canaries) {
        Some(Health::Lost { error, .. } | Health::Forbidden { error }) => Some(error.clone()),
        _ => None,
    }
}

/// Ends when nobody reads standard output any more: the other end of the pipe, or the terminal, is gone.
async fn deserted() {
    let (told, gone) = oneshot::channel();
    // Waits without ever waking; it ends with the process.
    let wait = move || {
        let stdout = std::io::stdout();
        loop {
            let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
            match poll(&mut polled, None) {
                Ok(_) if polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return std::mem::forget(told),
            }
        }
        let _ = told.send(());
    };
    if std::thread::Builder::new().name("reader".into()).spawn(wait).is_err() || gone.await.is_err() {
        std::future::pending().await
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    at: DateTime<Utc>,
    canary: String,
    standing: Standing,
    /// `state`, `phase`, `weight`, `checks`, `pause`, `gate`, `revision`, `request`, `outcome`, `event` or `gone`.
    kind: &'static str,
    what: String,
}

impl Line {
    fn text(&self) -> String {
        let Standing { phase, weight, failed, threshold, .. } = &self.standing;
        let threshold = threshold.map_or("?".to_string(), |threshold| threshold.to_string());
        let phase = if phase.is_empty() { "New" } else { phase };
        escaped(&format!(
            "{} {} {phase} weight {weight}% failed {failed}/{threshold} {}: {}",
            stamp(self.at),
            self.canary,
            self.kind,
            self.what
        ))
    }

    fn json(&self, namespace: &str) -> String {
        let Standing { phase, weight, failed, threshold, .. } = &self.standing;
        let object = json!({
            "time": stamp(self.at), "namespace": namespace, "canary": self.canary, "phase": phase, "weight": weight,
            "failedChecks": failed, "threshold": threshold, "kind": self.kind, "what": self.what,
        });
        escaped_json(&object.to_string())
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What is compared to see that something has changed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Standing {
    phase: String,
    /// Percent of the traffic on the canary as the routes have it; as the status says where there are none.
    weight: u8,
    failed: u32,
    threshold: Option<u32>,
    pause: Option<String>,
    gate: Option<String>,
    revision: Option<String>,
    /// Id of the pending request, and what it says.
    request: Option<(String, String)>,
}

impl Standing {
    fn of(world: &World, canary: &CanaryRecord, names: Names) -> Self {
        let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref());
        let target = spec.and_then(|spec| world.workloads.get(&spec.target));
        let live = spec.and_then(|spec| world.live(spec)).and_then(|live| live.weights);
        let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Self {
            phase: canary.status.phase.name().to_string(),
            weight: live.map_or(canary.status.canary_weight, |weights| weights.canary),
            failed: canary.status.failed_checks,
            threshold: spec.map(|spec| spec.analysis.threshold),
            pause: canary
                .paused
                .as_ref()
                .map(|paused| format!("paused by {}{}", names.brief(&paused.by), because(&paused.reason))),
            gate: canary.gate.as_ref().map(|gate| format!("waits at {}{}", gate.name, because(&gate.answer))),
            revision: target.and_then(|target| {
                Some(format!("revision {}, version {}", world.revision_name(canary, target)?, target.version()))
            }),
            request: canary.pending().map(|request| {
                let what = format!("{} by {}{}", request.verb, names.brief(&request.by), because(&request.reason));
                (request.id.clone(), what)
            }),
        }
    }

    /// What is different since `before`, each by itself.
    fn changes(&self, before: &Self) -> Vec<(&'static str, String)> {
        let mut changes = Vec::new();
        let named = |phase: &str| if phase.is_empty() { "New".to_string() } else { phase.to_string() };
        if self.revision != before.revision
            && let Some(revision) = &self.revision
        {
            changes.push(("revision", revision.clone()));
        }
        if self.request.as_ref().map(|(id, _)| id) != before.request.as_ref().map(|(id, _)| id)
            && let Some((_, what)) = &self.request
        {
            changes.push(("request", what.clone()));
        }
        if self.phase != before.phase {
            changes.push(("phase", format!("{} to {}", named(&before.phase), named(&self.phase))));
        }
        if self.weight != before.weight {
            changes.push(("weight", format!("{}% to {}%", before.weight, self.weight)));
        }
        if self.failed != before.failed {
            changes.push(("checks", format!("failed {} to {}", before.failed, self.failed)));
        }
        if self.pause != before.pause {
            changes.push(("pause", self.pause.clone().unwrap_or_else(|| "resumed".into())));
        }
        if self.gate != before.gate {
            changes.push(("gate", self.gate.clone().unwrap_or_else(|| "goes on".into())));
        }
        changes
    }
}

/// What was printed of an event: once more is news only if its count or time has changed.
type Seen = HashMap<String, (u32, Option<DateTime<Utc>>)>;

/// Remembers how everything stood at the last look.
struct Follower {
    /// None: all.
    name: Option<String>,
    /// How far the names on requests can be trusted.
    names: Names,
    /// None before the first look.
    before: Option<BTreeMap<String, Standing>>,
    seen: Seen,
}

impl Follower {
    fn new(name: Option<String>, names: Names) -> Self {
        Self { name, names, before: None, seen: Seen::new() }
    }

    /// What has changed since the last look; at the first, how each canary stands.
    fn look(&mut self, world: &World, now: DateTime<Utc>) -> Vec<Line> {
        let wanted = |name: &str| self.name.as_deref().is_none_or(|wanted| wanted == name);
        let standing: BTreeMap<String, Standing> = world
            .canaries
            .values()
            .filter(|canary| wanted(&canary.name))
            .map(|canary| (canary.name.clone(), Standing::of(world, canary, self.names)))
            .collect();
        let mut lines = Vec::new();
        let mut line = |at, canary: &str, standing: &Standing, kind, what| {
            let (canary, standing) = (canary.to_string(), standing.clone());
            lines.push(Line { at, canary, standing, kind, what });
        };
        let before = self.before.take();
        for (name, now_is) in &standing {
            match before.as_ref().and_then(|before| before.get(name)) {
                None => {
                    let parts = [&now_is.revision, &now_is.pause, &now_is.gate];
                    let what: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
                    let what = if what.is_empty() { "no revision known".to_string() } else { what.join(", ") };
                    line(now, name, now_is, "state", what);
                }
                Some(was) => {
                    for (kind, what) in now_is.changes(was) {
                        line(now, name, now_is, kind, what);
                    }
                }
            }
        }
        for (name, was) in before.iter().flatten().filter(|(name, _)| !standing.contains_key(*name)) {
            line(now, name, was, "gone", "deleted".into());
        }
        let mark = |event: &EventRecord| (event.count, event.last);
        let mut news: Vec<&EventRecord> = world
            .events
            .values()
            .map(|event| &**event)
            .filter(|event| wanted(&event.canary) && self.seen.get(&event.uid) != Some(&mark(event)))
            .collect();
        news.sort_by_key(|event| (event.last, event.version));
        // What was there before is no change.
        for event in news.into_iter().filter(|_| before.is_some()) {
            let kind = if event.reason.starts_with("Request") { "outcome" } else { "event" };
            let warning = if event.warning { "warning: " } else { "" };
            let times = if event.count > 1 { format!(" (x{})", event.count) } else { String::new() };
            let what = format!("{warning}{}{times}", event.message);
            let unknown = Standing::default();
            line(event.last.unwrap_or(now), &event.canary, standing.get(&event.canary).unwrap_or(&unknown), kind, what);
        }
        self.seen = world.events.values().map(|event| (event.uid.clone(), mark(event))).collect();
        self.before = Some(standing);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn world(phase: &str, weight: u8, failed: u32, annotations: Value) -> World {
        let canary = json!({
            "metadata": {"name": "web", "namespace": "prod", "annotations": annotations},
            "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10}},
            "status": {"phase": phase, "canaryWeight": weight, "failedChecks": failed},
        });
        let mut world = World::default();
        world.canaries.insert("web".into(), CanaryRecord::of(&canary));
        world
    }

    fn event(count: u32, message: &str) -> EventRecord {
        EventRecord::of(&json!({
            "metadata": {"name": "e", "uid": "u"}, "involvedObject": {"name": "web"}, "type": "Warning",
            "reason": "Synced", "message": message, "count": count, "lastTimestamp": "2026-11-22T10:00:00Z",
        }))
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::text).collect()
    }

    #[test]
    fn each_change_is_one_line() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut follower = Follower::new(None, Names::Unchecked);
        let mut first = world("Progressing", 10, 0, json!({}));
        first.events.insert("old".into(), event(1, "of before").into());
        let state = "2026-11-22T12:00:00Z web Progressing weight 10% failed 0/5 state: no revision known";
        assert_eq!(texts(&follower.look(&first, now)), [state]);
        assert!(follower.look(&first, now).is_empty(), "nothing has changed");
        let paused = json!({"canary-tui/paused": r#"{"by":"alice","at":"2026-11-22T11:00:00Z","reason":"lunch"}"#});
        let mut second = world("Progressing", 20, 1, paused);
        second.events.insert("old".into(), event(2, "a\u{1b}[2J\nb").into());
        let stand = "2026-11-22T12:00:00Z web Progressing weight 20% failed 1/5";
        assert_eq!(
            texts(&follower.look(&second, now)),
            [
                format!("{stand} weight: 10% to 20%"),
                format!("{stand} checks: failed 0 to 1"),
                format!("{stand} pause: paused by alice (unchecked): lunch"),
                "2026-11-22T10:00:00Z web Progressing weight 20% failed 1/5 event: warning: a\\u{1b}[2J\\nb (x2)"
                    .into(),
            ]
        );
        let last = follower.look(&world("Failed", 0, 5, json!({})), now);
        let kinds: Vec<&str> = last.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, ["phase", "weight", "checks", "pause"]);
        assert_eq!(last[3].what, "resumed");
        assert_eq!(follower.look(&World::default(), now)[0].kind, "gone");
    }

    #[test]
    fn a_line_is_an_object_where_that_is_asked_for() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        let lines =
            Follower::new(Some("web".into()), Names::Checked).look(&world("Progressing", 10, 2, json!({})), now);
        let object: Value = serde_json::from_str(&lines[0].json("prod")).unwrap();
        assert_eq!(object["time"], "2026-11-22T12:00:00Z");
        assert_eq!((object["failedChecks"].as_u64(), object["threshold"].as_u64()), (Some(2), Some(5)));
        assert!(
            Follower::new(Some("other".into()), Names::Checked).look(&world("Failed", 0, 0, json!({})), now).is_empty()
        );
    }
}
