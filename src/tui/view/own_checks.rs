//! The checks by a Canary's own queries, a line each: the name, what the query answers, and the limits.

use super::canvas::{Canvas, Piece, piece};
use super::figures;
use crate::rollout::Reading;
use crate::tui::glyphs::Glyphs;
use crate::tui::model::Model;
use crate::tui::own_checks::OwnCheck;
use crate::tui::row::Row;
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Lines that these checks may take, so that they never push the rest off the screen.
const MOST: usize = 3;

/// Least width of a value.
const VALUE: u16 = 10;

/// Where a line's parts stand, from left to right.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    pub name: u16,
    pub value: u16,
    pub verdict: u16,
    pub end: u16,
}

/// Lines that a canary's own checks take.
pub fn lines(row: &Row) -> u16 {
    row.rules.own_checks.len().min(MOST) as u16
}

/// Draws the lines from the top of `area`.
pub fn draw(canvas: &mut Canvas, model: &Model, row: &Row, columns: Columns, area: Rect) {
    let count = row.rules.own_checks.len();
    // The last line says what is left out.
    let shown = if count > MOST { MOST - 1 } else { count };
    for (place, check) in row.rules.own_checks.iter().take(shown).enumerate() {
        let y = area.y + place as u16;
        if y >= area.bottom() {
            return;
        }
        draw_one(canvas, model, row, place, check, columns, y);
    }
    let y = area.y + shown as u16;
    if shown < count && y < area.bottom() {
        let more = format!("{} {} more checks", canvas.glyphs().cut, count - shown);
        canvas.put(columns.name, y, columns.end.saturating_sub(columns.name), &more, Role::Dim);
    }
}

fn draw_one(canvas: &mut Canvas, model: &Model, row: &Row, place: usize, check: &OwnCheck, columns: Columns, y: u16) {
    let Columns { name, value, verdict, end } = columns;
    canvas.put(name, y, value.saturating_sub(name + 1), &check.name, Role::Dim);
    let reading = if row.under_way() { model.judged.reading(&row.key(), place, check) } else { None };
    let pieces = limits(check, reading, canvas.glyphs());
    // Two limits need more room than one; the mark at their end must not be what is cut.
    let wanted: usize = pieces.iter().map(|piece| text::width(&piece.text)).sum();
    let verdict = verdict.min(end.saturating_sub(wanted as u16)).max(value + VALUE);
    let dash = canvas.glyphs().dash;
    let (said, role) = match reading {
        Some(Reading::Value(value)) => (figures::number(*value), Role::Text),
        Some(Reading::NoValues) => (format!("{dash} no values"), Role::Dim),
        Some(Reading::Unavailable(why) | Reading::Unasked(why)) => (format!("{dash} {why}"), Role::Dim),
        None if row.under_way() => (format!("{dash} asking Prometheus"), Role::Dim),
        None => (format!("{dash} no rollout"), Role::Dim),
    };
    canvas.put(value, y, verdict.saturating_sub(value + 1), &said, role);
    canvas.line(verdict, y, end.saturating_sub(verdict), &pieces);
}

/// The limits, and whether the value keeps them.
fn limits(check: &OwnCheck, reading: Option<&Reading>, glyphs: &Glyphs) -> Vec<Piece<'static>> {
    let low = check.min.map(|min| format!("{} {}", glyphs.at_least, figures::number(min)));
    let high = check.max.map(|max| format!("{} {}", glyphs.at_most, figures::number(max)));
    let text: Vec<String> = [low, high].into_iter().flatten().collect();
    let mut pieces = vec![piece(text.join(" "), Role::Limit)];
    if let Some(Reading::Value(value)) = reading {
        let (mark, role) = if check.passes(*value) { (glyphs.passed, Role::Good) } else { (glyphs.failed, Role::Bad) };
        pieces.push(piece(format!(" {mark}"), role));
    }
    pieces
}
