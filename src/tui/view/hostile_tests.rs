//! Nothing of the cluster reaches the terminal as anything but text: hostile names, messages, labels, queries and figures,
//! in every overlay that there is.

use crate::api::history::{Checked, End, History, Rollout, Said};
use crate::api::routes::{Destination, Rule, Way};
use crate::api::shapes::differences;
use crate::api::{CheckKind, Phase, Verb};
use crate::cluster::EventRecord;
use crate::cluster::entrances::{Address, Entrance, Gateway};
use crate::cluster::pod_watch::PodRecord;
use crate::rollout::{self, Past};
use crate::tui::glyphs;
use crate::tui::message::{Command, Msg, Outcome};
use crate::tui::model::{Ask, Choice, Driver, Link, Looked, Model, Overlay, Wish};
use crate::tui::own_checks::{Judged, OwnCheck};
use crate::tui::reading::{Answer, Asked, Causes, Changes, ConfigChange, Served, Staff, Topic};
use crate::tui::row::{Held, Pending, Row, Shut};
use crate::tui::scene::{self, press, shot};
use crate::tui::update::update;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an overlay is called here. Whoever adds one gives it a name, and below the keys that open it.
pub(super) fn name_of(overlay: &Overlay) -> &'static str {
    match overlay {
        Overlay::Help { .. } => "help",
        Overlay::Charts => "charts",
        Overlay::Events(_) => "events",
        Overlay::Reading(reading) => match reading.ask.topic {
            Topic::Why => "why",
            Topic::Routes => "routes",
            Topic::Describe => "describe",
            Topic::Diff => "diff",
        },
        Overlay::Versions(_) => "versions",
        Overlay::Palette(_) => "palette",
        Overlay::Themes(_) => "themes",
        Overlay::Question(question) => match question.ask {
            Ask::Verb(_) => "question",
            Ask::Quit => "quit",
            Ask::Suspend => "suspend",
            Ask::Leave(_) => "leave",
        },
    }
}

/// The keys that open each of them.
pub(super) const OPENED_BY: [(&str, &str); 14] = [
    ("help", "?"),
    ("charts", "<enter>"),
    ("events", "e"),
    ("why", "w"),
    ("routes", "r"),
    ("describe", "d"),
    ("diff", "D"),
    ("versions", "s"),
    ("question", "a"),
    ("quit", "q"),
    ("leave", ":ns *<enter>"),
    ("palette", ":"),
    ("suspend", "<c-z>"),
    ("themes", "t"),
];

/// Names that the match above can answer, read from this very file: a name without keys is found out.
fn named() -> BTreeSet<&'static str> {
    let source = include_str!("hostile_tests.rs");
    let body = source.split("fn name_of").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap_or("");
    body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_overlay_is_among_those_that_are_tried() {
    assert_eq!(named(), OPENED_BY.iter().map(|(name, _)| *name).collect());
    for (name, keys) in OPENED_BY {
        let mut model = hostile("x");
        press(&mut model, keys);
        let opened = model.overlay.as_ref().map(name_of);
        assert_eq!(opened, Some(name), "{keys:?} opens it");
    }
}

/// A console of which every text is this one.
fn hostile(text: &str) -> Model {
    let t = || text.to_string();
    let mut model = scene::failing(80, 24);
    model.context = t();
    let mut rows = model.rows.clone();
    for row in &mut rows {
        dress(row, text);
    }
    // Two that only their place tells apart, and one that is not driven.
    let mut broken = rows[0].clone();
    broken.name = format!("{text}2");
    broken.problems = vec![t(), t()];
    rows.push(broken);
    let selected = rows.iter().find(|row| row.under_way()).map(|row| row.key());
    update(&mut model, Msg::Rows(rows));
    model.selected = selected;
    let (namespace, canary) =
        model.selected.as_ref().map(|key| (key.namespace.clone(), key.name.clone())).unwrap_or_default();
    for (at, warning) in [("12:04:40", true), ("12:04:41", false)] {
        let event = EventRecord {
            namespace: namespace.as_str().into(),
            canary: canary.clone(),
            name: format!("{text}{at}").into(),
            reason: t().into(),
            count: 3,
            ..scene::event(text, at, warning, text)
        };
        update(&mut model, Msg::Event(std::sync::Arc::new(event)));
    }
    let check = OwnCheck { name: t(), min: Some(f64::NAN), max: Some(f64::INFINITY) };
    if let Some(row) = model.row() {
        let (of, reading) = (row.key(), rollout::Reading::Unavailable(t()));
        update(&mut model, Msg::Judged(Judged { canary: of, checks: vec![(check, reading)] }));
    }
    update(&mut model, Msg::Rights(None));
    update(&mut model, Msg::Cluster { cluster: Link::Live, routes: Link::Absent { why: t() }, missing: vec![t()] });
    update(&mut model, Msg::Prometheus(Link::Absent { why: t() }));
    // Else it asks nothing when somebody leaves.
    update(&mut model, Msg::Driver(Driver::Here));
    model.metric_problems = std::array::from_fn(|_| Some(t()));
    model
}

fn dress(row: &mut Row, text: &str) {
    let t = || text.to_string();
    row.name = if row.under_way() { t() } else { format!("{}{text}", row.name) };
    (row.primary.image, row.canary.image) = (t().into(), format!("{text}:{text}").into());
    (row.primary.workload.name, row.canary.workload.name) = (t(), format!("{text}-"));
    let at = scene::time("12:04:00");
    row.paused = Some(Held { by: t(), at, reason: t() }.into());
    row.gate = Some(Shut { name: t(), kind: t(), manual: false, since: at, answer: t(), opened: false }.into());
    row.pending = Some(Pending { verb: Verb::Promote, by: t(), at }.into());
    Arc::make_mut(&mut row.rules).own_checks =
        vec![OwnCheck { name: t(), min: Some(f64::NAN), max: Some(f64::INFINITY) }];
    row.offered = vec![(t(), t())];
    row.containers = vec![(t(), t())];
    row.status_weight = 77;
}

/// The answers to whatever is asked, all of this text.
fn answer(topic: Topic, text: &str) -> Answer {
    let t = || text.to_string();
    match topic {
        Topic::Why => {
            let check = |reading, question| Asked {
                name: t(),
                kind: CheckKind::Custom,
                min: Some(f64::NEG_INFINITY),
                max: Some(1e300),
                question,
                reading: Some(reading),
                passes: false,
            };
            let pod = PodRecord { name: t(), owner: Some(t()), reasons: vec![t(), t()], ..PodRecord::default() };
            let staff = |pods| Staff {
                workload: t(),
                pods: Some(pods),
                missing: Some((scene::time("12:00:00"), scene::time("12:10:00"))),
            };
            Answer::Why(Box::new(Causes {
                checks: vec![
                    check(rollout::Reading::Value(f64::NAN), Ok((t(), t()))),
                    check(rollout::Reading::Unavailable(t()), Err(t())),
                    check(rollout::Reading::Unasked(t()), Err(t())),
                ],
                deadline: std::time::Duration::MAX,
                sides: vec![staff(Ok(vec![pod])), staff(Err(t()))],
                history: Ok(history(text)),
            }))
        }
        Topic::Routes => {
            let rule = Rule {
                conditions: vec![t(), t()],
                to: vec![Destination { host: t(), weight: f64::NAN }],
                mirrors: vec![(t(), f64::INFINITY)],
                cookies: vec![t()],
            };
            let gateway = Gateway {
                servers: vec![t()],
                selector: [(t(), t())].into(),
                services: vec![Address { service: t(), kind: t(), from_outside: vec![t()], ports: vec![t()] }],
                unseen: vec![t()],
            };
            let entrance = |gateway| Entrance { namespace: t(), name: t(), gateway };
            let unseen = Gateway { services: Vec::new(), ..gateway.clone() };
            Answer::Routes(Box::new(Served {
                object: t(),
                way: Ok(Way { hosts: vec![t()], gateways: vec![t()], rules: vec![rule] }),
                live: Default::default(),
                services: [t(), t()],
                strategy: crate::api::Strategy::AbTesting,
                affinity: Some(crate::api::SessionAffinity { cookie: t(), ..Default::default() }),
                port: 1,
                entrances: vec![entrance(Ok(gateway)), entrance(Ok(unseen)), entrance(Err(t()))],
            }))
        }
        Topic::Describe => Answer::Describe(vec![t(), format!("  {text}: {text}"), format!("- {text}")]),
        Topic::Diff => Answer::Diff(Box::new(Changes {
            workloads: [t(), t()],
            template: differences(
                &json!({"spec": {"containers": [{"name": text, "image": text, "args": [text]}]}}),
                &json!({"spec": {"containers": [{"name": text, "image": format!("{text}!"), "args": [text, text],
                    "env": [{"name": text, "value": text}]}]}, "metadata": {"labels": {text: text}}}),
            ),
            configs: vec![
                ConfigChange { key: t(), checksums: [Some(t()), None], entries: Err(t()) },
                ConfigChange {
                    key: t(),
                    checksums: [Some(t()), Some(t())],
                    entries: Ok(differences(&json!({}), &json!({text: text}))),
                },
            ],
        })),
    }
}

/// What was kept of two rollouts, all of this text.
fn history(text: &str) -> History {
    let at = scene::time("12:01:00");
    let rollout = Rollout {
        revision: text.into(),
        images: [(text.to_string(), text.to_string())].into(),
        began: at,
        end: Some(End { phase: text.into(), at }),
        said: vec![Said { at, warning: true, text: text.into() }],
        checks: vec![Checked {
            at,
            weight: 255,
            name: text.into(),
            value: Some(f64::NAN),
            min: Some(1e300),
            max: None,
            passed: false,
        }],
    };
    History { rollouts: vec![rollout.clone(), Rollout { end: None, ..rollout }] }
}

/// Whether a terminal would do anything with it but show it.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

/// Draws it in both sets of shapes and at several sizes.
fn harmless(model: &mut Model, what: &str) -> Result<(), TestCaseError> {
    for shapes in [&glyphs::UNICODE, &glyphs::ASCII] {
        model.look.glyphs = shapes;
        for (width, height) in [(80, 24), (60, 16), (200, 60)] {
            (model.size.width, model.size.height) = (width, height);
            for cell in shot(model).content() {
                let symbol = cell.symbol();
                prop_assert!(!symbol.chars().any(acts), "{what}: {symbol:?}");
                prop_assert!(shapes.unicode || symbol.is_ascii(), "{what}: {symbol:?}");
            }
        }
    }
    model.look.glyphs = &glyphs::UNICODE;
    Ok(())
}

fn all_of_it(text: &str) -> Result<(), TestCaseError> {
    let mut model = hostile(text);
    harmless(&mut model, "the main screen")?;
    press(&mut model, "/");
    update(&mut model, Msg::Paste(text.into()));
    harmless(&mut model, "the filter")?;
    for (name, keys) in OPENED_BY {
        let mut model = hostile(text);
        let asked = press(&mut model, keys).into_iter().find_map(|command| match command {
            Command::Read(ask) => ask,
            _ => None,
        });
        // What cannot be asked for now need not be shown.
        harmless(&mut model, name)?;
        if let Some(ask) = asked {
            let found = answer(ask.topic, text);
            update(&mut model, Msg::Answer { ask: ask.clone(), answer: Ok(found) });
            harmless(&mut model, name)?;
            update(&mut model, Msg::Answer { ask, answer: Err(text.into()) });
            press(&mut model, "/");
            update(&mut model, Msg::Paste(text.into()));
            harmless(&mut model, name)?;
            press(&mut model, "<enter>G");
            harmless(&mut model, name)?;
        }
        // Where anything can be typed, it is.
        update(&mut model, Msg::Paste(text.into()));
        harmless(&mut model, name)?;
        if let Some(Overlay::Versions(versions)) = &mut model.overlay {
            versions.error = Some(text.into());
            versions.choices.push(Choice::Again { version: text.into() });
            for way in [
                rollout::Way::Barred(text.into()),
                rollout::Way::Image { container: text.into(), image: text.into(), otherwise: vec![text.into(); 3] },
            ] {
                let past = scene::past().remove(0);
                versions.choices.push(Choice::Past(Box::new(Past { image: text.into(), way, ..past })));
            }
            versions.past = Looked::Unknown(text.into());
            versions.at = versions.choices.len() - 1;
            harmless(&mut model, name)?;
        }
    }
    let mut model = hostile(text);
    if let Some(row) = model.row() {
        let wish = Wish {
            number: 0,
            verb: Verb::Open,
            canary: row.key(),
            revision: text.into(),
            image: Some(text.into()),
            container: Some(text.into()),
            version: text.into(),
            past: Some((u64::MAX, vec![text.into(); 9])),
            gate: Some(text.into()),
            reason: text.into(),
        };
        for outcome in [Outcome::CarriedOut(text.into()), Outcome::Refused(text.into()), Outcome::Failed(text.into())] {
            update(&mut model, Msg::Outcome { wish: wish.clone(), outcome });
            harmless(&mut model, "an outcome")?;
        }
    }
    for driver in [Driver::Other { holder: text.into() }, Driver::Nobody { why: Some(text.into()) }] {
        update(&mut model, Msg::Driver(driver));
        press(&mut model, "w");
        harmless(&mut model, "who drives")?;
        press(&mut model, "<esc>");
        harmless(&mut model, "who drives")?;
    }
    model.rows.iter_mut().for_each(|row| row.phase = Phase::Failed);
    harmless(&mut model, "all failed")
}

#[test]
fn what_terminals_obey_is_shown_and_not_obeyed() {
    for text in [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m\u{9d}52;c;aGk=\u{9c}",
        "a\r\nb\tc\u{8}\u{7f}\0",
        "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}",
        "日本語テキスト\u{200d}👩\u{200d}👧 \u{fe0f}",
        "",
    ] {
        all_of_it(text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn no_text_of_any_kind_acts_on_the_terminal(text in any::<String>()) {
        all_of_it(&text)?;
    }
}
