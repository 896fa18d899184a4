//! The palette: what is typed, and the lines that it finds, each with its key and what it does.

use super::canvas::{Canvas, Piece, piece};
use super::footer;
use crate::tui::model::Model;
use crate::tui::palette::{self, Entry, Palette};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::{Position, Rect};

/// Widest that it gets.
const WIDEST: u16 = 100;
/// Most lines that are shown at once.
const MOST: u16 = 20;

/// Draws it below the header; answers where the cursor is.
pub fn draw(canvas: &mut Canvas, model: &Model, open: &Palette, within: Rect) -> Position {
    let glyphs = canvas.glyphs();
    let typed = open.input.value();
    let entries = palette::entries(model, typed);
    let width = within.width.saturating_sub(4).min(WIDEST);
    let most = within.height.saturating_sub(3).min(MOST);
    // As high while letters are typed as it was at first: nothing jumps.
    let all = palette::entries(model, "").len() as u16;
    let height = all.max(entries.len() as u16).clamp(1, most) + 3;
    let area = Rect::new(within.x + (within.width - width) / 2, within.y, width, height);
    canvas.clear(area);
    let inner = canvas.frame(area, &[piece("Commands", Role::Strong)], Role::Focus);

    canvas.put(inner.x, inner.y, 1, ":", Role::Key);
    let room = usize::from(inner.width.saturating_sub(3));
    let skipped = open.input.visual_scroll(room);
    let seen: String = typed.chars().skip(skipped).collect();
    canvas.put(inner.x + 2, inner.y, room as u16, &seen, Role::Strong);
    let at = open.input.visual_cursor().saturating_sub(skipped).min(room) as u16;

    let rows = inner.height.saturating_sub(1);
    if entries.is_empty() {
        canvas.put(inner.x + 2, inner.y + 1, inner.width - 2, "nothing by that name", Role::Dim);
    }
    let chosen = open.at.min(entries.len().saturating_sub(1));
    let first = chosen.saturating_sub(usize::from(rows.saturating_sub(1)));
    let widest = entries.iter().map(|entry| text::width(&text::clean(&entry.text, glyphs.unicode))).max().unwrap_or(0);
    let names = (widest as u16 + 2).clamp(12, inner.width / 2);
    let keys = entries.iter().map(|entry| text::width(&footer::key_text(&entry.key, glyphs))).max().unwrap_or(0);
    let keys = if keys > 0 { (keys as u16 + 2).min(inner.width / 4) } else { 0 };
    for (y, (at, entry)) in (inner.y + 1..inner.bottom()).zip(entries.iter().enumerate().skip(first)) {
        let ground = (at == chosen).then_some(Role::Selected);
        if ground.is_some() {
            canvas.ground(Rect::new(inner.x - 1, y, inner.width + 2, 1), Role::Selected);
            canvas.put_on(inner.x, y, 1, glyphs.pointer, Role::Focus, ground, Cut::End);
        }
        draw_name(canvas, entry, (inner.x + 2, y, names - 1), ground);
        let on = entry.objection.is_none();
        let x = inner.x + 2 + names;
        let key = footer::key_text(&entry.key, glyphs);
        canvas.put_on(x, y, keys.saturating_sub(1), &key, if on { Role::Key } else { Role::KeyOff }, ground, Cut::End);
        let (said, role) = said(entry);
        let x = x + keys;
        canvas.put_on(x, y, inner.right().saturating_sub(x), &said, role, ground, Cut::End);
    }
    // What is cut of the chosen line stands in full below the list, where that leaves room for it.
    if let Some(entry) = entries.get(chosen) {
        draw_in_full(canvas, &said(entry).0, inner, entries.len(), inner.width.saturating_sub(2 + names + keys));
    }
    let below = entries.len().saturating_sub(first + usize::from(rows));
    if below > 0 {
        let more = format!(" {below} more {} ", glyphs.down);
        canvas.right(area.right() - 2, area.bottom() - 1, area.width - 4, &more, Role::Dim);
    }
    Position::new(inner.x + 2 + at, inner.y)
}

/// What a line does, or why it does nothing now.
fn said(entry: &Entry) -> (String, Role) {
    match &entry.objection {
        Some(why) => (format!("not now: {why}"), Role::Dim),
        None => (entry.help.clone(), Role::Text),
    }
}

/// A text that is cut in its line, in full at the foot of the palette.
fn draw_in_full(canvas: &mut Canvas, said: &str, inner: Rect, lines: usize, room: u16) {
    let cleaned = text::clean(said, canvas.glyphs().unicode).into_owned();
    if text::width(&cleaned) <= usize::from(room) {
        return;
    }
    let wrapped = text::wrap(&cleaned, inner.width.saturating_sub(2).into());
    let free = usize::from(inner.height).saturating_sub(1 + lines);
    if free <= wrapped.len() {
        return;
    }
    for (y, line) in (inner.bottom() - wrapped.len() as u16..inner.bottom()).zip(&wrapped) {
        canvas.put(inner.x + 2, y, inner.width.saturating_sub(2), line, Role::Dim);
    }
}

/// The name, with what was typed of it marked.
fn draw_name(canvas: &mut Canvas, entry: &Entry, (x, y, room): (u16, u16, u16), ground: Option<Role>) {
    let plain = if entry.objection.is_some() { Role::Dim } else { Role::Strong };
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, c) in entry.text.chars().enumerate() {
        let role = if entry.matched.contains(&(at as u32)) { Role::Key } else { plain };
        match pieces.last_mut() {
            Some(last) if last.role == role => last.text.to_mut().push(c),
            _ => pieces.push(piece(c.to_string(), role)),
        }
    }
    // What is cut or cleaned has its letters elsewhere.
    let cleaned = text::clean(&entry.text, canvas.glyphs().unicode);
    if text::width(&cleaned) > usize::from(room) || cleaned != entry.text {
        canvas.put_on(x, y, room, &entry.text, plain, ground, Cut::Middle);
        return;
    }
    let mut at = x;
    for piece in &pieces {
        at += canvas.put_on(at, y, (x + room).saturating_sub(at), &piece.text, piece.role, ground, Cut::End);
    }
}
