//! The list of themes. It stands at the side, so that the screen beside it shows what is pointed at.

use super::canvas::{Canvas, Piece, piece};
use crate::tui::chooser::Chooser;
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Widest that the list gets.
const WIDEST: u16 = 46;
/// Lines under the list: what the theme says of itself, or what is wrong with it.
const ABOUT: u16 = 4;

/// Where the list stands: at the right edge, from the top.
fn area(chooser: &Chooser, within: Rect) -> Rect {
    let width = WIDEST.min(within.width.saturating_sub(4));
    // Two lines of frame, one of a sample, one of air.
    let height = (chooser.offers.len() as u16).saturating_add(ABOUT + 4).min(within.height);
    Rect::new(within.right().saturating_sub(width + 2), within.y, width, height)
}

/// Lines that the list has for themes.
fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(ABOUT + 4)).max(1)
}

fn first_shown(chooser: &Chooser, room: usize) -> usize {
    (chooser.at + 1).saturating_sub(room).min(chooser.offers.len().saturating_sub(room))
}

/// Which theme stands on a line of the screen.
pub fn at(chooser: &Chooser, within: Rect, x: u16, y: u16) -> Option<usize> {
    let area = area(chooser, within);
    let room = room(area);
    let line = usize::from(y.checked_sub(area.y + 1)?);
    let inside = x > area.x && x < area.right().saturating_sub(1) && line < room;
    let index = first_shown(chooser, room) + line;
    (inside && index < chooser.offers.len()).then_some(index)
}

/// Draws the list.
pub fn draw(canvas: &mut Canvas, chooser: &Chooser, within: Rect) {
    let glyphs = canvas.glyphs();
    let area = area(chooser, within);
    canvas.clear(area);
    let inner = canvas.frame(area, &[piece("Theme", Role::Strong)], Role::Focus);
    let room = room(area);
    let first = first_shown(chooser, room);
    for ((index, offer), y) in chooser.offers.iter().enumerate().skip(first).take(room).zip(inner.y..inner.bottom()) {
        let pointed = index == chooser.at;
        let ground = pointed.then_some(Role::Selected);
        if pointed {
            canvas.ground(Rect::new(inner.x - 1, y, inner.width + 2, 1), Role::Selected);
            canvas.put_on(inner.x, y, 1, glyphs.pointer, Role::Focus, ground, Cut::End);
        }
        let (mark, role) = match (&offer.about, offer.own) {
            (Err(_), _) => ("cannot be used", Role::Bad),
            (Ok(_), true) => ("yours", Role::Dim),
            (Ok(_), false) => ("", Role::Dim),
        };
        let end = inner.right();
        let mark_width = mark.len() as u16;
        let name_room = end.saturating_sub(inner.x + 2 + mark_width + u16::from(mark_width > 0));
        let name_role = if pointed { Role::Strong } else { Role::Text };
        canvas.put_on(inner.x + 2, y, name_room, &offer.name, name_role, ground, Cut::Middle);
        canvas.put_on(end.saturating_sub(mark_width), y, mark_width, mark, role, ground, Cut::End);
    }
    let below = inner.y + room as u16;
    let sample = [
        (glyphs.passed, " good", Role::Good),
        (glyphs.warning, " warn", Role::Warn),
        (glyphs.failed, " bad", Role::Bad),
    ];
    let mut pieces: Vec<Piece> = Vec::new();
    for (sign, word, role) in sample {
        pieces.extend([piece(sign, role), piece(word, role), piece(" ", Role::Text)]);
    }
    pieces.extend([piece(" primary", Role::Primary), piece(" canary", Role::Canary), piece(" limit", Role::Limit)]);
    canvas.line(inner.x, below, inner.width, &pieces);
    let Some(offer) = chooser.offers.get(chooser.at) else { return };
    let (said, role) = match &offer.about {
        Ok(about) => (about.clone(), Role::Dim),
        Err(problem) => (problem.brief(), Role::Bad),
    };
    let cleaned = text::clean(&said, glyphs.unicode);
    let mut lines = text::wrap(&cleaned, inner.width.into());
    if lines.len() > usize::from(ABOUT) {
        lines.truncate(ABOUT.into());
        if let Some(last) = lines.last_mut() {
            let columns = usize::from(inner.width);
            *last = text::cut(&format!("{last}{}", " ".repeat(columns)), columns, Cut::End, glyphs.cut).into();
        }
    }
    for (y, line) in (below + 2..inner.bottom()).zip(lines) {
        canvas.put(inner.x, y, inner.width, &line, role);
    }
}
