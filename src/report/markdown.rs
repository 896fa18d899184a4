//! The text of a report.

use super::story::{Moment, Query, Reading, Story, short, time};
use super::words::{fenced, markdown};
use crate::api::Phase;
use chrono::Duration;
use std::fmt::Write;

/// The Markdown of a story; `picture` is the name of the file with its charts.
pub fn text(story: &Story, picture: Option<&str>) -> String {
    let mut out = String::new();
    let version = |version: &str| if version.is_empty() { "?".to_string() } else { markdown(version) };
    let versions = format!("{} → {}", version(&story.from), version(&story.to));
    let outcome = outcome(story);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# Rollout of {}: {versions}, {outcome}\n", markdown(&story.canary));
    out.push_str("| | |\n| --- | --- |\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "| {name} | {value} |");
    };
    row("canary", &markdown(&story.canary));
    row("namespace", &markdown(&story.namespace));
    row("context", &markdown(&story.context));
    row("revision", &story.revision.as_deref().map_or("not known".to_string(), markdown));
    row("versions", &versions);
    row("outcome", &outcome);
    if let Some(why) = &story.why {
        row("why", &markdown(why));
    }
    row("begin", &story.began.map_or("not known".to_string(), time));
    let end = match (story.ended, story.began) {
        (Some(end), Some(began)) => format!("{}, after {}", time(end), lasted(end - began)),
        (Some(end), None) => time(end),
        (None, _) => "under way".to_string(),
    };
    row("end", &end);
    row("this report", &format!("{}, by canary-tui {}", time(story.told), env!("CARGO_PKG_VERSION")));
    if let Some(picture) = picture {
        let _ = writeln!(out, "\n![The measurements over the rollout]({})", picture.replace(' ', "%20"));
    }
    if !story.missing.is_empty() {
        out.push_str("\n## What is not known\n\n");
        for what in &story.missing {
            let _ = writeln!(out, "- {}", markdown(what));
        }
    }
    timeline(&mut out, story);
    checks(&mut out, story);
    requests(&mut out, story);
    events(&mut out, story);
    out
}

/// How it ended, in one word or two.
fn outcome(story: &Story) -> String {
    match story.phase {
        Phase::New => "no status yet".into(),
        phase if story.ended.is_none() && phase.under_way() => format!("under way ({phase})"),
        phase => phase.to_string(),
    }
}

fn lasted(span: Duration) -> String {
    let seconds = span.num_seconds().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

fn timeline(out: &mut String, story: &Story) {
    out.push_str("\n## Steps\n\n");
    if story.weights.is_empty() {
        out.push_str("No step is known.\n");
        return;
    }
    out.push_str("| time | traffic to the canary |\n| --- | ---: |\n");
    for (at, weight) in &story.weights {
        let _ = writeln!(out, "| {} | {weight} % |", time(*at));
    }
}

fn checks(out: &mut String, story: &Story) {
    out.push_str("\n## Checks\n\n");
    if story.checks.is_empty() {
        out.push_str("The analysis has no checks by metrics.\n");
    }
    for check in &story.checks {
        let limit = match (check.min, check.max) {
            (None, None) => "no limit".to_string(),
            (Some(min), None) => format!("at least {}", short(min)),
            (None, Some(max)) => format!("at most {}", short(max)),
            (Some(min), Some(max)) => format!("from {} to {}", short(min), short(max)),
        };
        let _ = writeln!(out, "**{}**: {limit}\n", markdown(&check.name));
        match &check.query {
            Query::Text(query) => out.push_str(&fenced("promql", query)),
            Query::Template(name) => {
                let _ = writeln!(out, "by the MetricTemplate {}", markdown(name));
            }
        }
        out.push('\n');
    }
    if story.readings.is_empty() {
        return;
    }
    out.push_str("| time | weight | check | value | limit | verdict |\n| --- | ---: | --- | ---: | ---: | --- |\n");
    for Reading { at, weight, check, value, min, max, passed } in &story.readings {
        let value = value.map_or("none".to_string(), short);
        let limit = match (min, max) {
            (Some(min), Some(max)) => format!("{} to {}", short(*min), short(*max)),
            (Some(min), None) => format!("≥ {}", short(*min)),
            (None, Some(max)) => format!("≤ {}", short(*max)),
            (None, None) => String::new(),
        };
        let verdict = if *passed { "passed" } else { "**failed**" };
        let _ = writeln!(out, "| {} | {weight} % | {} | {value} | {limit} | {verdict} |", time(*at), markdown(check));
    }
}

fn requests(out: &mut String, story: &Story) {
    out.push_str("\n## Who asked for what\n\n");
    let asked: Vec<&Moment> = story.moments.iter().filter(|moment| moment.is_request()).collect();
    if asked.is_empty() {
        out.push_str("No request of an operator is known.\n");
    }
    for moment in asked {
        let _ = writeln!(out, "- {}: {}", time(moment.last), markdown(&moment.text));
    }
}

fn events(out: &mut String, story: &Story) {
    out.push_str("\n## Events\n\n");
    if story.moments.is_empty() {
        out.push_str("None is known.\n");
        return;
    }
    out.push_str("| last seen | count | type | reason | message |\n| --- | ---: | --- | --- | --- |\n");
    for Moment { last, count, warning, reason, text, .. } in &story.moments {
        let kind = if *warning { "Warning" } else { "Normal" };
        let _ = writeln!(out, "| {} | {count} | {kind} | {} | {} |", time(*last), markdown(reason), markdown(text));
    }
}
