//! Reports of a rollout that is made up, held against what they were.

use super::story::{Check, Limit, Moment, Panel, Query, Reading, Story, Unit};
use super::{Place, chart, file, markdown};
use crate::api::Phase;
use chrono::{DateTime, Duration, Utc};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-22T12:00:00Z").unwrap().to_utc() + Duration::seconds(second)
}

fn moment(second: i64, count: u32, warning: bool, reason: &str, text: &str) -> Moment {
    Moment { first: at(second), last: at(second), count, warning, reason: reason.into(), text: text.into() }
}

fn curve(from: i64, to: i64, value: impl Fn(i64) -> f64) -> Vec<(DateTime<Utc>, f64)> {
    (from..=to).step_by(10).map(|second| (at(second), value(second))).collect()
}

fn story() -> Story {
    let readings = [(60, 10, 99.8, true), (120, 20, 97.25, false), (180, 20, 96.0, false)];
    Story {
        canary: "web".into(),
        namespace: "prod".into(),
        context: "eu-1".into(),
        revision: Some("7d9f8c6b5-a1b2".into()),
        from: "1.0.0".into(),
        to: "1.1.0".into(),
        phase: Phase::Failed,
        why: Some("Rolling back web.prod failed checks threshold reached 2".into()),
        began: Some(at(0)),
        ended: Some(at(190)),
        told: at(600),
        weights: vec![(at(30), 10), (at(90), 20), (at(185), 0)],
        moments: vec![
            moment(0, 1, false, "Synced", "New revision detected! Scaling up web.prod"),
            moment(30, 1, false, "Synced", "Advance web.prod canary weight 10"),
            moment(70, 1, false, "RequestCarriedOut", "Request pause by alice (lunch | <b>) carried out: held"),
            moment(120, 2, true, "Synced", "Halt web.prod advancement success rate 97.25% < 99%\u{1b}[2J"),
            moment(185, 1, true, "Synced", "Rolling back web.prod failed checks threshold reached 2"),
        ],
        checks: vec![
            Check {
                name: "request-success-rate".into(),
                query: Query::Text("sum(rate(istio_requests_total[30s]))".into()),
                min: Some(99.0),
                max: None,
            },
            Check { name: "queue".into(), query: Query::Template("depth.shared".into()), min: None, max: Some(12.5) },
        ],
        readings: readings
            .map(|(second, weight, value, passed)| Reading {
                at: at(second),
                weight,
                check: "request-success-rate".into(),
                value: Some(value),
                min: Some(99.0),
                max: None,
                passed,
            })
            .into(),
        panels: vec![
            Panel {
                name: "Success rate",
                unit: Unit::Percent,
                primary: curve(-30, 220, |_| 99.9),
                canary: curve(40, 180, |second| 99.8 - second as f64 / 60.0),
                limit: Some(Limit::AtLeast(99.0)),
                why_empty: None,
            },
            Panel {
                name: "P99",
                unit: Unit::Milliseconds,
                primary: curve(-30, 220, |second| if (100..150).contains(&second) { f64::NAN } else { 110.0 }),
                canary: vec![(at(60), 140.0)],
                limit: Some(Limit::AtMost(500.0)),
                why_empty: None,
            },
            Panel {
                name: "CPU",
                unit: Unit::Cores,
                primary: Vec::new(),
                canary: Vec::new(),
                limit: None,
                why_empty: Some("Prometheus has no container metrics of prod & <others>".into()),
            },
        ],
        missing: vec!["CPU: Prometheus has no container metrics of prod & <others>".into()],
    }
}

/// Whether every tag of an XML text is closed in its order, every attribute quoted, and nothing else begins with `<` or
/// `&`.
fn is_well_formed(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['<', '&']) {
        rest = &rest[start..];
        if rest.starts_with('&') {
            let known = ["&lt;", "&gt;", "&amp;", "&quot;", "&apos;"].iter().any(|entity| rest.starts_with(entity));
            if !known {
                return Err(format!("an ampersand: {}", &rest[..rest.len().min(20)]));
            }
            rest = &rest[1..];
            continue;
        }
        let end = rest.find('>').ok_or("a tag without an end")?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
            continue;
        }
        if tag.matches('"').count() % 2 == 1 {
            return Err(format!("a quote in <{tag}>"));
        }
        let outside: String = tag.split('"').step_by(2).collect();
        if outside.matches('=').count() != tag.matches('"').count() / 2 {
            return Err(format!("an attribute without quotes in <{tag}>"));
        }
        if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap_or_default());
        }
    }
    if open.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n') {
        Ok(())
    } else {
        Err(format!("left open: {open:?}"))
    }
}

#[test]
fn the_text_is_as_it_was() {
    let text = markdown::text(&story(), Some("web.svg")).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("text", text);
    });
}

#[test]
fn the_charts_are_as_they_were_and_well_formed() {
    let svg = chart::svg(&story()).unwrap();
    is_well_formed(&svg).unwrap();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("charts", svg);
    });
}

#[test]
fn hostile_names_and_no_values_still_make_a_picture() {
    let mut story = story();
    story.canary = "</text><script>\u{1b}\u{0}\"'&".into();
    story.to = "]]>\u{fffe}".into();
    for panel in &mut story.panels {
        (panel.primary, panel.canary) = (vec![(at(5), f64::INFINITY)], Vec::new());
        panel.why_empty = None;
    }
    let svg = chart::svg(&story).unwrap();
    is_well_formed(&svg).unwrap();
    assert!(svg.contains("no values over this time") && !svg.contains("<script>"));
    (story.began, story.ended) = (None, None);
    story.panels.clear();
    assert_eq!(chart::svg(&story), None, "there is no time to draw over");
}

#[test]
fn nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let one = file::write(&story(), &Place::of(folder.path())).unwrap();
    let two = file::write(&story(), &Place::of(folder.path())).unwrap();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!((name(&one), name(&two)), ("web-20261122T121000Z.md".into(), "web-20261122T121000Z-2.md".into()));
    let text = std::fs::read_to_string(&two).unwrap();
    assert!(text.contains("(web-20261122T121000Z-2.svg)") && two.with_extension("svg").exists());
    let named = folder.path().join("incident");
    let path = file::write(&story(), &Place::of(&named)).unwrap();
    assert_eq!(name(&path), "incident.md");
    let why = file::write(&story(), &Place::of(&named)).unwrap_err();
    assert!(why.contains("give another name"), "{why}");
    // Charts of somebody else are as safe as the text, and no half report is left beside them.
    std::fs::write(folder.path().join("other.svg"), "mine").unwrap();
    assert!(file::write(&story(), &Place::of(&folder.path().join("other.md"))).is_err());
    assert!(!folder.path().join("other.md").exists());
}
