//! The events on canaries, the newest at the bottom, and the selected one in full.

use super::canvas::{Canvas, Piece, piece};
use super::paper::Paper;
use super::reading::find_line;
use crate::tui::event_list::{Entry, entries, newer_than};
use crate::tui::model::{EventsReader, Link, Model, Pane, is_on};
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::{Position, Rect};

/// Draws the pane: one line an event, cut with a mark where it is too long.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    if area.height < 3 {
        return;
    }
    let focused = model.pane == Pane::Events && model.overlay.is_none();
    let mut title = title(model);
    if model.back > 0 {
        title.push(piece(format!(" {} {} newer below", model.look.glyphs.dot, model.back), Role::Warn));
    }
    let inner = canvas.frame(area, &title, if focused { Role::Focus } else { Role::Faint });
    let shown: Vec<Entry> = entries(model, "").skip(model.back).take(inner.height.into()).collect();
    draw_list(canvas, model, &shown, None, inner);
}

/// Draws the list and the selected event in full, over the whole of `area`.
pub fn draw_in_full(canvas: &mut Canvas, model: &Model, reader: &EventsReader, area: Rect) -> Option<Position> {
    canvas.clear(area);
    let glyphs = model.look.glyphs;
    let wanted = reader.find.input.value();
    let newer = newer_than(model, wanted, reader.at.as_ref());
    let selected = entries(model, wanted).nth(newer);
    let full = selected.map(|entry| in_full(model, &entry, area.width)).unwrap_or_default();
    // The list keeps what it takes to know where one is.
    let below = if full.is_empty() { 0 } else { (full.len() as u16 + 2).min(area.height.saturating_sub(6)) };
    let list = Rect { height: area.height - below, ..area };
    let mut title = title(model);
    let dot = |text: String, role| piece(format!(" {} {text}", glyphs.dot), role);
    match reader.at {
        None => title.push(dot("follows the newest".into(), Role::Dim)),
        Some(_) if newer == 0 => title.push(dot("stays here; G follows the newest".into(), Role::Warn)),
        Some(_) => title.push(dot(format!("{newer} newer below; G follows the newest"), Role::Warn)),
    }
    let inner = canvas.frame(list, &title, Role::Focus);
    let room = usize::from(inner.height);
    // The selected one stands at the bottom while it is the newest, and a little above it else.
    let first = newer.saturating_sub(room / 3);
    let shown: Vec<Entry> = entries(model, wanted).skip(first).take(room).collect();
    draw_list(canvas, model, &shown, Some(newer - first), inner);
    let line = Rect::new(list.x + 1, list.bottom().saturating_sub(1), list.width.saturating_sub(3), 1);
    let cursor = find_line(canvas, &reader.find, |_| format!(" {} found ", entries(model, wanted).count()), line);
    if let Some(entry) = selected.filter(|_| below > 2) {
        let area = Rect { y: list.bottom(), height: below, ..area };
        let title =
            [piece(entry.latest.canary.clone(), Role::Strong), dot(entry.latest.reason.to_string(), Role::Text)];
        let inner = canvas.frame(area, &title, Role::Faint);
        let lines: Vec<_> = full;
        for (y, line) in (inner.top()..inner.bottom()).zip(&lines) {
            canvas.line(inner.x, y, inner.width, &line.0);
        }
        let more = lines.len().saturating_sub(inner.height.into());
        if more > 0 {
            let text = format!(" {more} more lines: they need a higher terminal ");
            canvas.right(area.right() - 2, area.bottom() - 1, area.width - 4, &text, Role::Warn);
        }
    }
    cursor
}

/// All that one entry says, wrapped.
fn in_full(model: &Model, entry: &Entry, width: u16) -> Vec<super::paper::Line> {
    let mut paper = Paper::new(model.look.glyphs, width.saturating_sub(4));
    let at = |at: Option<_>| at.map_or_else(|| model.look.glyphs.dash.to_string(), |at| model.clock(at));
    let kind = if entry.latest.warning { "Warning" } else { "Normal" };
    let (since, last) = (at(entry.since()), at(entry.latest.last));
    let times = match entry.count {
        1 => format!("{kind} at {last}"),
        many => format!("{kind}, {many} times from {since} to {last}"),
    };
    let (sign, role) = sign(model, entry);
    paper.say(0, Some((sign, role)), Role::Dim, &times);
    paper.say(0, None, if entry.latest.warning { Role::Warn } else { Role::Text }, &entry.latest.message);
    paper.lines
}

/// How far back the pane can be scrolled.
pub fn most_back(model: &Model) -> usize {
    let room = usize::from(super::layout(model).events.height.saturating_sub(2)).max(1);
    entries(model, "").count().saturating_sub(room)
}

fn title<'a>(model: &'a Model) -> Vec<Piece<'a>> {
    let mut pieces = vec![piece("Events", Role::Strong)];
    if model.only_selected
        && let Some(key) = &model.selected
    {
        pieces.push(piece(format!(" {} ", model.look.glyphs.dot), Role::Faint));
        pieces.push(piece(key.name.as_str(), Role::Text));
    }
    pieces
}

/// Draws entries, the first of them at the bottom; `selected` is the place of the one that has the eye.
fn draw_list(canvas: &mut Canvas, model: &Model, shown: &[Entry], selected: Option<usize>, inner: Rect) {
    if shown.is_empty() {
        draw_nothing(canvas, model, inner);
        return;
    }
    // A list that is shorter than its room begins at the top.
    let bottom = inner.top() + (shown.len() as u16).min(inner.height);
    for (at, (y, entry)) in (inner.top()..bottom).rev().zip(shown).enumerate() {
        draw_entry(canvas, model, entry, Rect::new(inner.x, y, inner.width, 1));
        if selected == Some(at) {
            canvas.put(inner.x.saturating_sub(1), y, 1, canvas.glyphs().pointer, Role::Focus);
            canvas.ground(Rect::new(inner.x, y, inner.width, 1), Role::Selected);
        }
    }
}

fn draw_nothing(canvas: &mut Canvas, model: &Model, inner: Rect) {
    let filtered = matches!(&model.overlay, Some(crate::tui::model::Overlay::Events(reader))
        if !reader.find.input.value().is_empty());
    let text = match model.cluster {
        _ if filtered && !model.events.is_empty() => "No event holds what is looked for.",
        Link::Live => "No event yet; Kubernetes keeps them for about an hour.",
        Link::Connecting => "Reading the events ...",
        _ => "No event is known.",
    };
    canvas.put(inner.x, inner.y, inner.width, text, Role::Dim);
}

/// Time, sign and air before a message.
const INDENT: u16 = 12;

/// The sign of an entry's type.
fn sign(model: &Model, entry: &Entry) -> (&'static str, Role) {
    let glyphs = model.look.glyphs;
    if entry.latest.warning { (glyphs.warning, Role::Warn) } else { (glyphs.dot, Role::Dim) }
}

fn draw_entry(canvas: &mut Canvas, model: &Model, entry: &Entry, area: Rect) {
    let event = entry.latest;
    let other = !model.only_selected && model.selected.as_ref().is_some_and(|key| !is_on(event, key));
    let role = match (event.warning, other) {
        (true, _) => Role::Warn,
        (false, true) => Role::Dim,
        (false, false) => Role::Text,
    };
    let time = event.last.map_or_else(|| canvas.glyphs().dash.to_string(), |at| model.clock(at));
    // A date takes the room of the sign.
    canvas.put(area.x, area.y, INDENT - 1, &time, Role::Dim);
    let (sign, of_sign) = sign(model, entry);
    let x = if text::width(&time) > 8 { area.x + INDENT - 1 } else { area.x + 9 };
    canvas.put(x, area.y, 1, sign, of_sign);
    canvas.put(area.x + INDENT, area.y, area.width.saturating_sub(INDENT), &words(entry), role);
}

/// An entry in words: how often, and what; with the canary's name where the message does not say it.
fn words(entry: &Entry) -> String {
    let event = entry.latest;
    let name = if event.message.contains(&event.canary) { String::new() } else { format!("{}: ", event.canary) };
    let often = if entry.count > 1 { format!("x{} ", entry.count) } else { String::new() };
    format!("{often}{name}{}", event.message)
}
