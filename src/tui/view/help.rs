//! The keys and the signs, as the table of keys has them.

use super::canvas::{Canvas, piece};
use super::{centred, footer};
use crate::tui::glyphs::Glyphs;
use crate::tui::keymap::{self, Bound};
use crate::tui::keys::{self, Place};
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Widest that the help gets.
const WIDEST: u16 = 100;
/// Width of the keys.
const KEY: u16 = 9;

/// One line: key, text, and how it is meant.
struct Line {
    key: String,
    text: String,
    on: bool,
}

/// The keys of a line, as many as there is room for. The table's own text has, for the footer, the key of another line
/// beside some.
fn keys_of(bound: &Bound, glyphs: &Glyphs) -> String {
    let mut text = String::new();
    for press in bound.presses.iter() {
        let key = footer::key_text(&keymap::text(press), glyphs).into_owned();
        if text.is_empty() {
            text = key;
        } else if text::width(&text) + 1 + text::width(&key) < KEY.into() {
            text = format!("{text} {key}");
        }
    }
    text
}

/// The lines of one line of the table.
fn lines_of(bound: &Bound, objection: Option<String>, glyphs: &Glyphs, columns: usize) -> Vec<Line> {
    let text = match &objection {
        Some(why) => format!("{} (not now: {why})", bound.help),
        None => bound.help.to_string(),
    };
    let cleaned = text::clean(&text, glyphs.unicode).into_owned();
    let line = |(at, text)| {
        let key = if at == 0 { keys_of(bound, glyphs) } else { String::new() };
        Line { key, text, on: objection.is_none() }
    };
    text::wrap(&cleaned, columns).into_iter().enumerate().map(line).collect()
}

fn lines(model: &Model, width: u16) -> Vec<Line> {
    let glyphs = model.look.glyphs;
    let columns = usize::from(width.saturating_sub(KEY));
    let said = |text: &str| Line { key: String::new(), text: text.into(), on: true };
    let mut lines = Vec::new();
    for bound in keys::offered(Place::Main, model).chain(keys::offered(Place::Any, model)) {
        lines.extend(lines_of(bound, keys::enabled(bound.action, model).err(), glyphs, columns));
    }
    lines.extend([said(""), said("In the charts:")]);
    for bound in keys::offered(Place::Charts, model) {
        lines.extend(lines_of(bound, None, glyphs, columns));
    }
    lines.push(said(""));
    for (sign, text) in [
        (glyphs.passed, "passed, or done"),
        (glyphs.failed, "failed, or lost"),
        (glyphs.current, "here now; a source that answers; a canary at rest"),
        (glyphs.open, "still to come; waits"),
        (glyphs.half, "under way"),
        (glyphs.paused, "paused"),
        (glyphs.warning, "needs a look"),
        (glyphs.limit, "a limit; what does not keep it stands out. Both charts of a metric share one scale"),
    ] {
        for (at, text) in text::wrap(text, columns).into_iter().enumerate() {
            let key = if at == 0 { sign.to_string() } else { String::new() };
            lines.push(Line { key, text, on: true });
        }
    }
    lines
}

fn area(model: &Model, within: Rect) -> Rect {
    let width = within.width.saturating_sub(4).min(WIDEST);
    let height = lines(model, width.saturating_sub(4)).len() as u16 + 2;
    centred(within, width, height)
}

/// How far the help can be scrolled.
pub fn most_scroll(model: &Model) -> usize {
    let layout = super::layout(model);
    let within = Rect::new(0, layout.fleet.y, model.size.width, layout.footer.y.saturating_sub(layout.fleet.y));
    let area = area(model, within);
    lines(model, area.width.saturating_sub(4)).len().saturating_sub(area.height.saturating_sub(2).into())
}

/// Draws the help.
pub fn draw(canvas: &mut Canvas, model: &Model, within: Rect, scroll: usize) {
    let area = area(model, within);
    canvas.clear(area);
    let inner = canvas.frame(area, &[piece("Keys", Role::Strong)], Role::Focus);
    let lines = lines(model, inner.width);
    let scroll = scroll.min(lines.len().saturating_sub(inner.height.into()));
    for (y, line) in (inner.top()..inner.bottom()).zip(lines.iter().skip(scroll)) {
        let (key, text) = if line.on { (Role::Key, Role::Text) } else { (Role::KeyOff, Role::Dim) };
        canvas.put(inner.x, y, KEY - 1, &line.key, key);
        canvas.put(inner.x + KEY, y, inner.width.saturating_sub(KEY), &line.text, text);
    }
    let below = lines.len().saturating_sub(scroll + usize::from(inner.height));
    if below > 0 {
        let more = format!(" {below} more lines {} ", canvas.glyphs().down);
        canvas.right(area.right() - 2, area.bottom() - 1, area.width - 4, &more, Role::Dim);
    }
}
