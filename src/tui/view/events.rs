//! The events on canaries, the newest at the bottom.

use super::canvas::{Canvas, Piece, piece};
use crate::cluster::EventRecord;
use crate::tui::model::{Link, Model, Pane, is_on};
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// One line on the screen.
struct Line<'a> {
    event: &'a EventRecord,
    /// Continues the line above.
    more: bool,
    text: String,
}

/// Draws the pane: one line an event, cut with a mark where it is too long.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    if area.height < 3 {
        return;
    }
    let focused = model.pane == Pane::Events && model.overlay.is_none();
    let inner = canvas.frame(area, &title(model, model.back), if focused { Role::Focus } else { Role::Faint });
    let room = usize::from(inner.height);
    // Only what is shown is looked at: there may be thousands.
    let shown: Vec<&EventRecord> = model.shown_events().rev().skip(model.back).take(room).collect();
    if shown.is_empty() {
        draw_nothing(canvas, model, inner);
        return;
    }
    for (y, event) in (inner.top()..inner.bottom()).zip(shown.into_iter().rev()) {
        let line = Line { event, more: false, text: words(event) };
        draw_line(canvas, model, &line, Rect::new(inner.x, y, inner.width, 1));
    }
}

/// Draws the events in full: wrapped, over the whole of `area`.
pub fn draw_in_full(canvas: &mut Canvas, model: &Model, area: Rect, back: usize) {
    canvas.clear(area);
    let inner = canvas.frame(area, &title(model, back), Role::Focus);
    let room = usize::from(inner.height);
    let lines = lines_in_full(model, inner.width, back + room);
    if lines.is_empty() {
        draw_nothing(canvas, model, inner);
        return;
    }
    let end = lines.len().saturating_sub(back).max(room.min(lines.len()));
    let start = end.saturating_sub(room);
    for (y, line) in (inner.top()..inner.bottom()).zip(&lines[start..end]) {
        draw_line(canvas, model, line, Rect::new(inner.x, y, inner.width, 1));
    }
}

/// The newest `least` lines or a little more, oldest first, as they stand when every message is wrapped.
fn lines_in_full(model: &Model, width: u16, least: usize) -> Vec<Line<'_>> {
    let columns = usize::from(width).saturating_sub(usize::from(INDENT)).max(10);
    let mut lines = Vec::new();
    for event in model.shown_events().rev() {
        if lines.len() >= least {
            break;
        }
        let words = words(event);
        let cleaned = text::clean(&words, model.look.glyphs.unicode);
        let wrapped = text::wrap(&cleaned, columns);
        let whole = wrapped.into_iter().enumerate().rev();
        lines.extend(whole.map(|(at, text)| Line { event, more: at > 0, text }));
    }
    lines.reverse();
    lines
}

/// How far back the pane can be scrolled.
pub fn most_back(model: &Model) -> usize {
    let room = usize::from(super::layout(model).events.height.saturating_sub(2)).max(1);
    model.shown_events().count().saturating_sub(room)
}

/// How far back the full view can be scrolled.
pub fn most_back_in_full(model: &Model) -> usize {
    let room = usize::from(model.size.height.saturating_sub(4)).max(1);
    lines_in_full(model, model.size.width.saturating_sub(4), usize::MAX).len().saturating_sub(room)
}

fn title<'a>(model: &'a Model, back: usize) -> Vec<Piece<'a>> {
    let mut pieces = vec![piece("Events", Role::Strong)];
    if model.only_selected
        && let Some(key) = &model.selected
    {
        pieces.push(piece(format!(" {} ", model.look.glyphs.dot), Role::Faint));
        pieces.push(piece(key.name.as_str(), Role::Text));
    }
    if back > 0 {
        pieces.push(piece(format!(" {} {back} newer below", model.look.glyphs.dot), Role::Warn));
    }
    pieces
}

fn draw_nothing(canvas: &mut Canvas, model: &Model, inner: Rect) {
    let text = match model.cluster {
        Link::Live => "No event yet; Kubernetes keeps them for about an hour.",
        Link::Connecting => "Reading the events ...",
        _ => "No event is known.",
    };
    canvas.put(inner.x, inner.y, inner.width, text, Role::Dim);
}

/// Time, sign and air before a message.
const INDENT: u16 = 12;

fn draw_line(canvas: &mut Canvas, model: &Model, line: &Line, area: Rect) {
    let glyphs = canvas.glyphs();
    let event = line.event;
    let other = !model.only_selected && model.selected.as_ref().is_some_and(|key| !is_on(event, key));
    let role = match (event.warning, other) {
        (true, _) => Role::Warn,
        (false, true) => Role::Dim,
        (false, false) => Role::Text,
    };
    if !line.more {
        let time = event.last.map_or_else(|| glyphs.dash.to_string(), |at| model.clock(at));
        // A date takes the room of the sign.
        canvas.put(area.x, area.y, INDENT - 1, &time, Role::Dim);
        if event.warning {
            let x = if text::width(&time) > 8 { area.x + INDENT - 1 } else { area.x + 9 };
            canvas.put(x, area.y, 1, glyphs.warning, Role::Warn);
        }
    }
    canvas.put(area.x + INDENT, area.y, area.width.saturating_sub(INDENT), &line.text, role);
}

/// An event in words: how often, and what; with the canary's name where the message does not say it.
fn words(event: &EventRecord) -> String {
    let name = if event.message.contains(&event.canary) { String::new() } else { format!("{}: ", event.canary) };
    let often = if event.count > 1 { format!("({} times) ", event.count) } else { String::new() };
    format!("{often}{name}{}", event.message)
}
