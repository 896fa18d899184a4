//! Scenes to look at: models at a fixed time, for screenshots, tests and benches. Nothing in here is real.

pub mod reading;

use super::glyphs;
use super::history::{Measures, Range};
use super::look::{Look, Wanted};
use super::message::{Command, Msg};
use super::model::{Driver, Link, Model, Start};
use super::row::{Course, Key, Limits, Pods, Row, Rows, Rules, Shut, Side};
use super::theme::{Colours, Depth};
use super::update::update;
use super::view;
use crate::api::{Phase, Strategy};
use crate::cluster::vouching::Names;
use crate::cluster::{EventRecord, PodsRecord};
use crate::rollout::{Fate, Past, Standing, Way};
use chrono::{DateTime, Days, Offset, Utc};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Rect, Size};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Seconds between two samples.
pub const STEP: i64 = 5;

/// The namespace of all scenes on one.
pub const NAMESPACE: &str = "jx-production";

/// A time of the one day on which all scenes play.
pub fn time(text: &str) -> DateTime<Utc> {
    // A text that is no time shows itself in every scene: the day then begins in 1970.
    DateTime::parse_from_rfc3339(&format!("2026-11-22T{text}Z")).unwrap_or_default().with_timezone(&Utc)
}

/// A built-in theme in full colours.
pub fn look(theme: &str) -> Look {
    look_at(theme, Depth::True)
}

/// A built-in theme at a depth.
pub fn look_at(theme: &str, depth: Depth) -> Look {
    let wanted = Wanted { theme: Some(theme.into()), colours: Colours::Just(depth), ..Wanted::default() };
    // The built-in themes are tested at every depth; an unknown name is a slip in the scene itself.
    let look = Look::new(&wanted, |_| None).expect("a built-in theme");
    Look { glyphs: &glyphs::UNICODE, ..look }
}

/// The screen of a model.
pub fn shot(model: &Model) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, model.size.width, model.size.height));
    view::draw(model, &mut buffer);
    buffer
}

/// A screen as text, a line for each row, without what is blank at its end.
pub fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area().width).max(1);
    let line = |cells: &[Cell]| cells.iter().map(Cell::symbol).collect::<String>().trim_end().to_string();
    buffer.content().chunks(width).map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// A console that has heard nothing yet.
pub fn unheard(width: u16, height: u16) -> Model {
    let mut model = Model::new(Start {
        context: "prod-eu".into(),
        namespace: NAMESPACE.into(),
        everywhere: false,
        now: time("12:04:48"),
        offset: Utc.fix(),
        size: Size { width, height },
        look: look("dark"),
        sample_step: STEP,
    });
    model.server = "https://203.0.113.8:6443".into();
    model
}

/// A canary of the seed in a phase, with the versions that serve and that are rolled out.
pub fn row(name: &str, phase: Phase, versions: (&str, &str)) -> Row {
    let running = phase.under_way();
    Row {
        provider: Default::default(),
        namespace: NAMESPACE.into(),
        name: name.into(),
        created: None,
        deleting: false,
        phase,
        live_weight: Some(0),
        status_weight: 0,
        failed_checks: 0,
        primary: Side {
            workload: Key::new(NAMESPACE, &format!("{name}-primary")),
            pods: Some(Pods { ready: 3, desired: 3 }),
            image: format!("gcr.io/jx/{name}:{}", versions.0).into(),
        },
        canary: Side {
            workload: Key::new(NAMESPACE, name),
            pods: Some(if running { Pods { ready: 3, desired: 3 } } else { Pods::default() }),
            image: format!("gcr.io/jx/{name}:{}", versions.1).into(),
        },
        course: Course { strategy: Strategy::Canary, checks: 0, done: 0, mirrors: false, mirrored: false },
        next_check: None,
        paused: None,
        gate: None,
        pending: None,
        problems: Vec::new(),
        rules: Arc::new(Rules {
            threshold: Some(5),
            steps: vec![10, 20, 30, 40, 50],
            interval: Some(Duration::from_secs(60)),
            limits: Limits { success_min: Some(99.0), p99_max: Some(500.0) },
            own_checks: Vec::new(),
        }),
        revision: Some("5d8f7c9b64".into()),
        applied: Some("5d8f7c9b64".into()),
        offered: [
            ("1.0.0", "good"),
            ("1.1.0", "good: the new release"),
            ("1.2.0", "answers one request in five with 503"),
            ("1.3.0", "slow: P99 over a second"),
            ("1.4.0", "its pods never become ready"),
            ("1.5.0", "leaks memory"),
        ]
        .map(|(tag, note)| (tag.to_string(), note.to_string()))
        .to_vec(),
        containers: vec![(name.into(), format!("gcr.io/jx/{name}:{}", versions.1))],
        standing: Standing { phase, paused: false, revision_known: true },
    }
}

/// Versions that the target of the first canary at rest had: one of each sort.
pub fn past() -> Vec<Past> {
    let image = |tag: &str| format!("gcr.io/jx/jx-production-myapp:{tag}");
    let by = |tag: &str, otherwise: &[&str]| Way::Image {
        container: "jx-production-myapp".into(),
        image: image(tag),
        otherwise: otherwise.iter().map(|text| text.to_string()).collect(),
    };
    let of = |number: u64, tag: &str, day: u32, fate: Fate, way: Way| Past {
        number,
        since: time("09:00:00").checked_sub_days(Days::new(day.into())),
        image: image(tag),
        serves: way == Way::Present,
        fate,
        way,
    };
    let otherwise = ["env of jx-production-myapp", "volumes", "annotation a", "annotation b", "annotation c"];
    let barred = Way::Barred("it has other images in app and proxy, and a start sets one".into());
    vec![
        of(6, "1.0.0", 2, Fate::Promoted, Way::Present),
        of(5, "0.9.1", 9, Fate::Failed(Some(time("07:00:00"))), by("0.9.1", &[])),
        of(4, "0.9.0", 20, Fate::Promoted, by("0.9.0", &[])),
        of(3, "0.8.2", 34, Fate::Unknown, by("0.8.2", &otherwise)),
        of(2, "0.8.1", 60, Fate::Unknown, barred),
    ]
}

/// At the list of versions to start.
pub fn choosing(width: u16, height: u16) -> Model {
    let mut model = at_rest(width, height);
    press(&mut model, "s");
    let asked = model.asked;
    update(&mut model, Msg::Past { asked, past: Ok(past()) });
    model
}

/// An event on a canary. Later ones of a scene's list were written later.
pub fn event(canary: &str, at: &str, warning: bool, message: &str) -> EventRecord {
    EventRecord {
        version: 0,
        namespace: NAMESPACE.into(),
        name: format!("{canary}.{at}.{}", message.len()).into(),
        uid: String::new(),
        canary: canary.into(),
        warning,
        reason: "Synced".into(),
        message: message.into(),
        count: 1,
        first: Some(time(at)),
        last: Some(time(at)),
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// Measurements that waver a little, the same at every run. `bad` canaries fail and are slow.
fn measures(at: i64, share: f64, bad: bool) -> Measures {
    let waver = |phase: i64, by: f64| by * (((at * 7 + phase * 13) % 11) as f64 / 10.0 - 0.5);
    let success = if bad { 80.0 + waver(1, 4.0) } else { 99.95 + waver(1, 0.06) };
    let p99 = if bad { 1400.0 + waver(2, 300.0) } else { 115.0 + waver(2, 30.0) };
    Measures([
        Some((0.58 * share + waver(3, 0.1 * share)).max(0.0)),
        Some((190.0 + 30.0 * share + waver(4, 6.0)) * MIB),
        Some(success),
        Some(p99),
        Some((42.0 * share + waver(5, 3.0)).max(0.0)),
    ])
}

/// Three minutes of samples; the canary of `running` has half of them.
fn measured(model: &mut Model, running: &str, bad: bool) {
    let now = model.now.timestamp() / STEP * STEP;
    for at in (now - 300..=now).step_by(STEP as usize) {
        let mut workloads = BTreeMap::new();
        for (index, name) in ["jx-production-myapp", "jx-production-cart", "jx-production-search"].iter().enumerate() {
            let on = *name == running && at > now - 90;
            let share = if on { 0.7 } else { 1.0 } - 0.2 * index as f64;
            workloads
                .insert(Key::new(NAMESPACE, &format!("{name}-primary")), measures(at + index as i64, share, false));
            if on {
                workloads.insert(Key::new(NAMESPACE, name), measures(at + 3, 0.3, bad));
            }
        }
        let at = DateTime::from_timestamp(at, 0).unwrap_or_default();
        update(model, Msg::Measured { at, span: STEP, workloads, problems: Default::default() });
    }
}

/// What Prometheus remembers of the selected canary: of the primary all but a while in the middle, of the canary the last
/// two minutes.
pub fn remember(model: &mut Model, range: Range) {
    let Some(row) = model.row() else { return };
    let workloads = [(row.primary.workload.clone(), 1.0), (row.canary.workload.clone(), 0.3)];
    let bad = row.failed_checks > 0;
    let now = model.now.timestamp() / range.step() * range.step();
    let gap = now - range.seconds() * 6 / 10..now - range.seconds() * 5 / 10;
    for (index, (workload, share)) in workloads.into_iter().enumerate() {
        let canary = index == 1;
        let began = if canary { now - 137 } else { now - range.seconds() };
        let times = (now - range.seconds()..=now).step_by(range.step() as usize);
        let times = times.filter(|at| *at >= began && (canary || !gap.contains(at)));
        let sample = |at| (DateTime::from_timestamp(at, 0).unwrap_or_default(), measures(at, share, canary && bad));
        let samples = Ok(times.map(sample).collect());
        update(model, Msg::Remembered { workload, range: range.asked(), samples });
    }
}

/// The fleet at rest or in the middle of a rollout.
fn fleet(width: u16, height: u16, myapp: Row, events: Vec<EventRecord>, bad: bool) -> Model {
    let mut model = unheard(width, height);
    update(&mut model, Msg::Cluster { cluster: Link::Live, routes: Link::Live, missing: Vec::new() });
    update(&mut model, Msg::Driver(Driver::Here));
    update(&mut model, Msg::Names { namespace: NAMESPACE.into(), names: Names::Checked });
    let running = if myapp.under_way() { myapp.name.clone() } else { String::new() };
    let mut search = row("jx-production-search", Phase::Failed, ("0.9.0", "0.9.1"));
    search.failed_checks = 5;
    let cart = row("jx-production-cart", Phase::Succeeded, ("2.3.1", "2.3.1"));
    let mut rows: Rows = [myapp, cart, search].map(Box::new).into();
    for (age, row) in rows.iter_mut().enumerate() {
        row.created = Some(time("08:00:00") + chrono::Duration::minutes(age as i64));
    }
    // The one that the scene is about.
    model.selected = rows.first().map(|row| row.key());
    update(&mut model, Msg::Rows(rows));
    for workload in ["jx-production-myapp", "jx-production-myapp-primary"] {
        let pods = PodsRecord { pods: 3, ..PodsRecord::default() };
        update(&mut model, Msg::Pods { workload: Key::new(NAMESPACE, workload), pods: Ok(pods) });
    }
    let numbered = events.into_iter().zip(1..).map(|(event, version)| EventRecord { version, ..event });
    update(&mut model, Msg::Events(numbered.map(Into::into).collect()));
    measured(&mut model, &running, bad);
    model
}

/// A rollout at 30 %, all well.
pub fn progressing(width: u16, height: u16) -> Model {
    let mut myapp = row("jx-production-myapp", Phase::Progressing, ("1.0.0", "1.1.0"));
    (myapp.live_weight, myapp.status_weight) = (Some(30), 30);
    myapp.next_check = Some(time("12:05:30"));
    let name = "jx-production-myapp.jx-production";
    let events = vec![
        event(
            "jx-production-cart",
            "11:40:02",
            false,
            "Promotion completed! Scaling down jx-production-cart.jx-production",
        ),
        event(
            "jx-production-search",
            "11:52:10",
            true,
            "Rolling back jx-production-search.jx-production failed checks threshold reached 5",
        ),
        event(
            "jx-production-search",
            "11:52:10",
            true,
            "Canary failed! Scaling down jx-production-search.jx-production",
        ),
        event("jx-production-myapp", "12:01:30", false, &format!("New revision detected! Scaling up {name}")),
        event("jx-production-myapp", "12:02:31", false, &format!("Starting canary analysis for {name}")),
        event("jx-production-myapp", "12:02:31", false, &format!("Advance {name} canary weight 10")),
        event("jx-production-myapp", "12:03:31", false, &format!("Advance {name} canary weight 20")),
        event("jx-production-myapp", "12:04:31", false, &format!("Advance {name} canary weight 30")),
    ];
    fleet(width, height, myapp, events, false)
}

/// A rollout whose checks fail.
pub fn failing(width: u16, height: u16) -> Model {
    let mut myapp = row("jx-production-myapp", Phase::Progressing, ("1.0.0", "1.2.0"));
    (myapp.live_weight, myapp.status_weight, myapp.failed_checks) = (Some(10), 10, 3);
    myapp.next_check = Some(time("12:05:02"));
    let name = "jx-production-myapp.jx-production";
    let halt = |at: &str, rate: &str| {
        event("jx-production-myapp", at, true, &format!("Halt {name} advancement success rate {rate}% < 99%"))
    };
    let mut often = halt("12:04:46", "80.02");
    often.count = 3;
    let events = vec![
        event("jx-production-myapp", "12:02:31", false, &format!("Advance {name} canary weight 10")),
        halt("12:03:31", "80.57"),
        halt("12:04:31", "79.11"),
        often,
    ];
    fleet(width, height, myapp, events, true)
}

/// A rollout that has passed all its checks and waits for somebody to approve its promotion.
pub fn at_a_gate(width: u16, height: u16) -> Model {
    let mut myapp = row("jx-production-myapp", Phase::WaitingPromotion, ("1.0.0", "1.1.0"));
    (myapp.live_weight, myapp.status_weight) = (Some(50), 50);
    myapp.next_check = Some(time("12:05:31"));
    myapp.gate = Some(
        Shut {
            name: "approve-release".into(),
            kind: "confirm-promotion".into(),
            manual: false,
            since: time("12:02:31"),
            answer: "Forbidden".into(),
            opened: false,
        }
        .into(),
    );
    let name = "jx-production-myapp.jx-production";
    let halt = format!("Halt {name} advancement waiting for promotion approval approve-release");
    let events = vec![
        event("jx-production-myapp", "12:00:31", false, &format!("Advance {name} canary weight 40")),
        event("jx-production-myapp", "12:01:31", false, &format!("Advance {name} canary weight 50")),
        event("jx-production-myapp", "12:02:31", true, &halt),
    ];
    fleet(width, height, myapp, events, false)
}

/// All at rest.
pub fn at_rest(width: u16, height: u16) -> Model {
    let myapp = row("jx-production-myapp", Phase::Initialized, ("1.0.0", "1.0.0"));
    let done = "Initialization done! jx-production-myapp.jx-production";
    fleet(width, height, myapp, vec![event("jx-production-myapp", "12:00:05", false, done)], false)
}

/// Five minutes of measurements of all that runs.
pub fn measure(model: &mut Model, rows: &Rows) {
    let now = model.now.timestamp();
    for at in (now - 300..=now).step_by(STEP as usize) {
        let sides = rows.iter().flat_map(|row| [(&row.primary, 1.0), (&row.canary, 0.4)]);
        let workloads = sides.filter(|(side, _)| side.runs());
        let workloads = workloads.map(|(side, share)| (side.workload.clone(), measures(at, share, false))).collect();
        let at = DateTime::from_timestamp(at, 0).unwrap_or_default();
        update(model, Msg::Measured { at, span: STEP, workloads, problems: Default::default() });
    }
}

/// Many canaries, a third of them in the middle of a rollout.
pub fn many(count: usize, width: u16, height: u16) -> Model {
    let mut model = unheard(width, height);
    update(&mut model, Msg::Cluster { cluster: Link::Live, routes: Link::Live, missing: Vec::new() });
    update(&mut model, Msg::Driver(Driver::Here));
    let rows = (0..count).map(|index| {
        let phase = [Phase::Succeeded, Phase::Progressing, Phase::Initialized][index % 3];
        let mut row = row(&format!("app-{index:03}"), phase, ("1.0.0", "1.1.0"));
        if phase == Phase::Progressing {
            let weight = [10, 20, 30, 40, 50][index % 5];
            (row.live_weight, row.status_weight) = (Some(weight), weight);
            row.next_check = Some(model.now + chrono::Duration::seconds(index as i64 % 60));
        }
        row
    });
    let rows: Rows = rows.map(Box::new).collect();
    update(&mut model, Msg::Rows(rows.clone()));
    measure(&mut model, &rows);
    let events = rows.iter().zip(1..).map(|(row, version)| {
        let message = format!("Advance {0}.jx-production canary weight {1}", row.name, row.weight());
        EventRecord { version, ..event(&row.name, "12:04:31", false, &message) }
    });
    update(&mut model, Msg::Events(events.map(Into::into).collect()));
    model
}

/// Three namespaces at once, each with a driver of its own or none, and each with a canary of the same name.
pub fn everywhere(width: u16, height: u16) -> Model {
    let mut model = unheard(width, height);
    model.everywhere = true;
    update(&mut model, Msg::Cluster { cluster: Link::Live, routes: Link::Live, missing: Vec::new() });
    let other = |holder: &str| Driver::Other { holder: holder.into() };
    let drivers = [
        ("jx-production", other("canary-tui-7d9c@node-3 (1)")),
        ("jx-staging", Driver::Flagger),
        ("payments", Driver::Nobody { why: None }),
    ];
    let named = drivers.map(|(namespace, driver)| (namespace.to_string(), driver));
    update(&mut model, Msg::Drivers(named.into()));
    let of = |namespace: &str, name: &str, phase, versions, weight: u8| {
        let mut row = row(name, phase, versions);
        row.namespace = namespace.into();
        (row.primary.workload.namespace, row.canary.workload.namespace) = (namespace.into(), namespace.into());
        (row.live_weight, row.status_weight) = (Some(weight), weight);
        row
    };
    let rows = [
        of("jx-production", "checkout", Phase::Progressing, ("1.0.0", "1.1.0"), 30),
        of("jx-production", "cart", Phase::Succeeded, ("2.3.1", "2.3.1"), 0),
        of("jx-staging", "checkout", Phase::Failed, ("1.0.0", "1.2.0"), 0),
        of("payments", "checkout", Phase::Progressing, ("4.1.0", "4.2.0"), 10),
        of("payments", "ledger", Phase::Initialized, ("0.9.0", "0.9.0"), 0),
    ];
    let mut rows: Rows = rows.map(Box::new).into();
    rows[0].next_check = Some(time("12:05:30"));
    rows[2].failed_checks = 5;
    model.selected = rows.first().map(|row| row.key());
    update(&mut model, Msg::Rows(rows.clone()));
    measure(&mut model, &rows);
    let events = [("jx-production", "12:04:31", 30), ("payments", "12:03:10", 10)].map(|(namespace, at, weight)| {
        let message = format!("Advance checkout.{namespace} canary weight {weight}");
        EventRecord { namespace: namespace.into(), ..event("checkout", at, false, &message) }
    });
    update(&mut model, Msg::Events(events.map(Into::into).into()));
    model
}

/// Presses keys: letters stand for themselves, `<enter>`, `<esc>`, `<tab>`, `<up>`, `<pgdn>`, `<c-c>` and the like for
/// the others. Answers the commands of all of them.
pub fn press(model: &mut Model, keys: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|tail| tail.split_once('>'));
        let (code, modifiers) = match named {
            Some((name, tail)) => {
                rest = tail;
                named_key(name)
            }
            None => {
                rest = &rest[first.len_utf8()..];
                (KeyCode::Char(first), KeyModifiers::NONE)
            }
        };
        commands.extend(update(model, Msg::Key(KeyEvent::new(code, modifiers))));
    }
    commands
}

fn named_key(name: &str) -> (KeyCode, KeyModifiers) {
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "backspace" => KeyCode::Backspace,
        other => {
            let control = other.strip_prefix("c-").and_then(|rest| rest.chars().next());
            return match control {
                Some(c) => (KeyCode::Char(c), KeyModifiers::CONTROL),
                None => (KeyCode::Null, KeyModifiers::NONE),
            };
        }
    };
    (code, KeyModifiers::NONE)
}
