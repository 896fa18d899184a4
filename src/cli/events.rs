//! `canary-tui events`: the Events of the canaries, as a list or as they come.

use super::args::EventsArgs;
use super::exit::{Exit, tell};
use super::plain::escaped;
use super::session::Session;
use super::table::{Table, line};
use crate::cluster::EventRecord;
use crate::cluster::connect::{code, explain};
use crate::tui::age::age;
use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use std::collections::HashMap;
use std::io::Write;

/// Least widths of the columns while events come one by one: what is still to come is not known.
const WIDTHS: [usize; 4] = [9, 7, 18, 20];

/// Prints what is asked for; with `--watch` until the process is stopped.
pub async fn run(args: EventsArgs, out: &mut dyn Write) -> Result<Exit> {
    let session = Session::open(&args.cluster).await?;
    let mut fields = "involvedObject.kind=Canary".to_string();
    if let Some(name) = &args.name {
        // A name that is no name would end the selector and begin another.
        if name.contains([',', '=', '\\']) {
            bail!("{name:?} is no name of a canary");
        }
        fields.push_str(&format!(",involvedObject.name={name}"));
    }
    if args.watch {
        return watch(&session, &fields, out).await;
    }
    let objects = session.list(&session.kinds.event, &ListParams::default().fields(&fields)).await?;
    let mut events: Vec<EventRecord> = objects.iter().map(EventRecord::of).collect();
    if events.is_empty() {
        let whom = args.name.as_deref().map_or("canaries".to_string(), |name| format!("canary {name}"));
        tell(&format!("there are no events on {whom} in namespace {}", session.namespace()));
        return Ok(Exit::Done);
    }
    in_order(&mut events);
    let now = Utc::now();
    let mut table = Table::new(&HEADINGS);
    events.iter().for_each(|event| table.row(cells(event, now)));
    table.print(out)?;
    Ok(Exit::Done)
}

const HEADINGS: [&str; 5] = ["LAST SEEN", "TYPE", "REASON", "CANARY", "MESSAGE"];

fn in_order(events: &mut [EventRecord]) {
    events.sort_by(|a, b| (a.last, a.first, &a.name).cmp(&(b.last, b.first, &b.name)));
}

fn cells(event: &EventRecord, now: DateTime<Utc>) -> Vec<String> {
    let message = match event.count {
        0 | 1 => event.message.clone(),
        count => format!("{} (x{count})", event.message),
    };
    let kind = if event.warning { "Warning" } else { "Normal" };
    vec![age(event.last, now), kind.into(), event.reason.to_string(), event.canary.clone(), message]
}

/// What was printed of an event: once more is news only if its count or time has changed.
type Seen = HashMap<String, (u32, Option<DateTime<Utc>>)>;

async fn watch(session: &Session, fields: &str, out: &mut dyn Write) -> Result<Exit> {
    let config = watcher::Config::default().fields(fields);
    let stream = watcher::watcher(session.api(&session.kinds.event), config).default_backoff();
    futures::pin_mut!(stream);
    let mut seen = Seen::new();
    let mut listed: Vec<EventRecord> = Vec::new();
    let mut begun = false;
    let mut lost = false;
    let mut widths = WIDTHS;
    while let Some(step) = stream.next().await {
        match step {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => listed.push(EventRecord::of(&object.value)),
            Ok(Event::InitDone) => {
                in_order(&mut listed);
                if !std::mem::replace(&mut begun, true) {
                    for event in &listed {
                        widths[2] = widths[2].max(event.reason.len());
                        widths[3] = widths[3].max(event.canary.len());
                    }
                    line(out, &HEADINGS.map(String::from), &widths)?;
                }
                let before = std::mem::take(&mut seen);
                for event in listed.drain(..) {
                    let mark = (event.count, event.last);
                    if before.get(&event.uid) != Some(&mark) {
                        print(out, &event, &widths)?;
                    }
                    seen.insert(event.uid, mark);
                }
                out.flush()?;
            }
            Ok(Event::Apply(object)) => {
                let event = EventRecord::of(&object.value);
                let mark = (event.count, event.last);
                if seen.insert(event.uid.clone(), mark) != Some(mark) {
                    print(out, &event, &widths)?;
                    out.flush()?;
                }
            }
            Ok(Event::Delete(object)) => drop(seen.remove(&EventRecord::of(&object.value).uid)),
            Err(error) => {
                lost = complain(error, begun, lost)?;
                continue;
            }
        }
        if std::mem::take(&mut lost) {
            tell("connected again");
        }
    }
    Ok(Exit::Done)
}

fn print(out: &mut dyn Write, event: &EventRecord, widths: &[usize]) -> std::io::Result<()> {
    let cells: Vec<String> = cells(event, Utc::now()).iter().map(|cell| escaped(cell)).collect();
    line(out, &cells, widths)
}

/// A watch that cannot begin is an error; one that breaks mends itself, and is told of once.
fn complain(error: watcher::Error, begun: bool, lost: bool) -> Result<bool> {
    let api = match &error {
        watcher::Error::InitialListFailed(e) | watcher::Error::WatchStartFailed(e) | watcher::Error::WatchFailed(e) => {
            Some(e)
        }
        _ => None,
    };
    // Too far behind: the list that follows brings everything.
    if matches!(&error, watcher::Error::WatchError(status) if status.code == 410) {
        return Ok(lost);
    }
    let text = api.map_or_else(|| error.to_string(), explain);
    if !begun || api.and_then(code) == Some(403) {
        bail!("cannot watch the events: {text}");
    }
    if !lost {
        tell(&format!("the watch is broken, trying again: {text}"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hostile_message_stays_one_harmless_line() {
        let event = EventRecord::of(&json!({
            "metadata": {"name": "e"}, "involvedObject": {"name": "web"}, "type": "Warning", "reason": "Synced",
            "message": "a\u{1b}]0;x\u{7}\nb", "count": 3, "lastTimestamp": "2026-11-22T10:00:00Z",
        }));
        let mut out = Vec::new();
        print(&mut out, &event, &WIDTHS).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("a\\u{1b}]0;x\\u{7}\\nb (x3)\n"), "{text:?}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn events_stand_in_the_order_in_which_they_were_seen() {
        let event = |name: &str, at: &str| {
            EventRecord::of(&json!({"metadata": {"name": name}, "lastTimestamp": at, "firstTimestamp": at}))
        };
        let mut events = [
            event("c", "2026-11-22T10:00:02Z"),
            event("b", "2026-11-22T10:00:01Z"),
            event("a", "2026-11-22T10:00:01Z"),
        ];
        in_order(&mut events);
        assert_eq!(events.map(|e| e.name.to_string()), ["a", "b", "c"]);
    }
}
