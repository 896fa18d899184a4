//! What the target's revision changes against what the primary serves, change by change: `+` is new, `-` goes, `~` has
//! another value.

use super::paper::Paper;
use crate::api::shapes::{Change, Difference};
use crate::tui::model::{Model, version_text};
use crate::tui::reading::{Changes, ConfigChange};
use crate::tui::row::{Key, Side};
use crate::tui::theme::Role;
use serde_json::Value;

/// Most lines of one value.
const MOST: usize = 60;

/// Writes it.
pub fn write(paper: &mut Paper, model: &Model, canary: &Key, changes: &Changes) {
    let [primary, target] = &changes.workloads;
    let row = model.named(canary);
    let version = |side: Option<&Side>| side.map(|side| format!(" {}", version_text(side.version())));
    let (served, new) = (version(row.map(|row| &row.primary)), version(row.map(|row| &row.canary)));
    paper.say(0, Some(("-", Role::Bad)), Role::Dim, &format!("{primary}{}, which serves", served.unwrap_or_default()));
    paper.say(0, Some(("+", Role::Good)), Role::Dim, &format!("{target}{}, the target", new.unwrap_or_default()));
    if changes.template.is_empty() && changes.configs.is_empty() {
        paper.air();
        let glyphs = paper.glyphs();
        let text = "Nothing: both have the same template, and mount the same content.";
        paper.say(0, Some((glyphs.passed, Role::Good)), Role::Text, text);
        return;
    }
    let mut grouped: Vec<(String, Vec<(String, &Change)>)> = Vec::new();
    for difference in &changes.template {
        let (group, name) = named(difference);
        match grouped.iter_mut().find(|(known, _)| *known == group) {
            Some((_, list)) => list.push((name, &difference.change)),
            None => grouped.push((group, vec![(name, &difference.change)])),
        }
    }
    // What a release is about comes first.
    grouped.sort_by_key(|(group, _)| !group.starts_with("container "));
    for (group, mut list) in grouped {
        paper.heading(&group);
        list.sort_by_key(|(name, _)| name != "image");
        list.iter().for_each(|(name, change)| told(paper, 2, name, change));
    }
    if !changes.configs.is_empty() {
        paper.heading("configuration that it mounts");
        changes.configs.iter().for_each(|config| mounted(paper, config));
    }
}

/// What a difference belongs to, and its name within.
fn named(difference: &Difference) -> (String, String) {
    let at: Vec<&str> = difference.at.iter().map(String::as_str).collect();
    let (group, rest): (String, &[&str]) = match &at[..] {
        ["spec", "containers", name, rest @ ..] => (format!("container {name}"), rest),
        ["spec", "initContainers", name, rest @ ..] => (format!("init container {name}"), rest),
        ["spec", "volumes", name, rest @ ..] => (format!("volume {name}"), rest),
        ["metadata", map, rest @ ..] => (format!("{map} of the pods"), rest),
        ["spec", rest @ ..] => ("pods".into(), rest),
        rest => ("pods".into(), rest),
    };
    let name = match rest {
        [] => "all of it".into(),
        ["env", name, "value"] | ["env", name] => format!("env {name}"),
        ["volumeMounts", path, rest @ ..] => format!("mount {}", [&[*path], rest].concat().join(" ")),
        rest => rest.join("."),
    };
    (group, name)
}

/// One change: its sign and its name, and below it what was and what is.
fn told(paper: &mut Paper, indent: usize, name: &str, change: &Change) {
    match change {
        Change::Added(value) => {
            paper.say(indent, Some(("+", Role::Good)), Role::Strong, name);
            side(paper, indent + 4, "+", Role::Good, value);
        }
        Change::Removed(value) => {
            paper.say(indent, Some(("-", Role::Bad)), Role::Strong, name);
            side(paper, indent + 4, "-", Role::Bad, value);
        }
        Change::Changed(before, after) => {
            paper.say(indent, Some(("~", Role::Warn)), Role::Strong, name);
            side(paper, indent + 4, "-", Role::Bad, before);
            side(paper, indent + 4, "+", Role::Good, after);
        }
    }
}

/// A value, line by line, each with its sign.
fn side(paper: &mut Paper, indent: usize, sign: &'static str, role: Role, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(map) if map.contains_key("name") && map.contains_key("value") && map.len() == 2 => {
            map["value"].as_str().map_or_else(|| map["value"].to_string(), str::to_string)
        }
        Value::Object(_) | Value::Array(_) => serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string()),
        other => other.to_string(),
    };
    if text.is_empty() {
        paper.say(indent, Some((sign, role)), role, "(empty)");
    }
    for line in text.lines().take(MOST) {
        paper.code(indent, Some((sign, role)), role, &crate::tui::text::bounded(line));
    }
    let more = text.lines().count().saturating_sub(MOST);
    if more > 0 {
        paper.say(indent, Some((sign, role)), Role::Dim, &format!("{} {more} more lines", paper.glyphs().cut));
    }
}

fn mounted(paper: &mut Paper, config: &ConfigChange) {
    let sign = match &config.checksums {
        [None, _] => ("+", Role::Good),
        [_, None] => ("-", Role::Bad),
        _ => ("~", Role::Warn),
    };
    paper.say(2, Some(sign), Role::Strong, &config.key);
    let [before, after] = &config.checksums;
    for (checksum, sign, role) in [(before, "-", Role::Bad), (after, "+", Role::Good)] {
        if let Some(checksum) = checksum {
            paper.say(6, Some((sign, role)), role, &format!("checksum {checksum}"));
        }
    }
    match &config.entries {
        Ok(entries) => entries.iter().for_each(|entry| told(paper, 6, &entry.at.join("."), &entry.change)),
        Err(why) => paper.say(6, None, Role::Dim, why),
    }
}
