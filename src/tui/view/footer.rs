//! The last lines: what has just become of a request, and the keys that can be pressed now.

use super::canvas::Canvas;
use crate::tui::glyphs::Glyphs;
use crate::tui::keymap::Bound;
use crate::tui::keys::{self, Place};
use crate::tui::model::{Model, Tone};
use crate::tui::reading::Topic;
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;
use std::borrow::Cow;

/// Most lines of a notice.
const MOST: usize = 3;

/// The notice, wrapped to `width`.
pub fn notice_lines(model: &Model, width: u16) -> Vec<String> {
    let Some(notice) = &model.notice else { return Vec::new() };
    let glyphs = model.look.glyphs;
    let columns = usize::from(width.saturating_sub(4));
    let cleaned = text::clean(&notice.text, glyphs.unicode);
    let mut lines = text::wrap(&cleaned, columns);
    if lines.len() > MOST {
        lines.truncate(MOST);
        if let Some(last) = lines.last_mut() {
            *last = text::cut(&format!("{last}{}", " ".repeat(columns)), columns, text::Cut::End, glyphs.cut).into();
        }
    }
    lines
}

/// Draws the notice.
pub fn draw_notice(canvas: &mut Canvas, model: &Model, area: Rect) {
    let Some(notice) = &model.notice else { return };
    let glyphs = canvas.glyphs();
    let (mark, role) = match notice.tone {
        Tone::Wait => (glyphs.half, Role::Active),
        Tone::Good => (glyphs.passed, Role::Good),
        Tone::Bad => (glyphs.failed, Role::Bad),
        Tone::Plain => (glyphs.pointer, Role::Warn),
    };
    for (at, y) in (area.top()..area.bottom()).enumerate() {
        if let Some(line) = notice_lines(model, area.width).get(at) {
            if at == 0 {
                canvas.put(area.x + 1, y, 1, mark, role);
            }
            canvas.put(area.x + 3, y, area.width.saturating_sub(4), line, role);
        }
    }
}

/// Draws the keys. Where the line is too short, the keys that only look at things give way.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    let glyphs = canvas.glyphs();
    let place = keys::place(model);
    let mut shown: Vec<&Bound> =
        keys::offered(place, model).filter(|bound| !keys::label(bound, model).is_empty()).collect();
    let width =
        |binding: &Bound| text::width(&key_text(&binding.key, glyphs)) + 1 + text::width(keys::label(binding, model));
    let total = |shown: &[&Bound], gap: usize| {
        shown.iter().map(|b| width(b)).sum::<usize>() + gap * shown.len().saturating_sub(1) + 2
    };
    let room = usize::from(area.width);
    use keys::Action::{Advance, Charts, Events, Filter, Promote, Read};
    for given_way in [Filter, Events, Charts, Read(Topic::Why), Advance, Promote] {
        if total(&shown, 2) > room {
            shown.retain(|binding| binding.action != given_way);
        }
    }
    let gap = if total(&shown, 3) <= room { 3 } else { 2 };
    let mut x = area.x + 1;
    for binding in shown {
        let on = place != Place::Main || keys::enabled(binding.action, model).is_ok();
        let (key_role, text_role) = if on { (Role::Key, Role::Dim) } else { (Role::KeyOff, Role::KeyOff) };
        let rest = |x: u16| area.right().saturating_sub(x);
        x += canvas.put(x, area.y, rest(x), &key_text(&binding.key, glyphs), key_role) + 1;
        x += canvas.put(x, area.y, rest(x), keys::label(binding, model), text_role) + gap;
    }
}

/// A key as it can be written here.
pub fn key_text(key: &str, glyphs: &Glyphs) -> Cow<'static, str> {
    let words = [("↑", "up"), ("↓", "down"), ("←", "left"), ("→", "right")];
    let mut text = key.to_string();
    if !glyphs.unicode {
        for (arrow, word) in words {
            text = text.replace(arrow, word);
        }
    }
    Cow::Owned(text)
}
