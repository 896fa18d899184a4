//! The surface that views draw on: texts by their role, cleaned and cut to their room.
//!
//! No text reaches a cell but through here, so none can act on the terminal.

use crate::tui::glyphs::Glyphs;
use crate::tui::model::Look;
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// A buffer with the look of the console.
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    look: &'a Look,
    /// Everything drawn now is out of date and steps back.
    pub stale: bool,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece<'a> {
    pub text: Cow<'a, str>,
    pub role: Role,
}

/// A piece of text in a role.
pub fn piece<'a>(text: impl Into<Cow<'a, str>>, role: Role) -> Piece<'a> {
    Piece { text: text.into(), role }
}

impl<'a> Canvas<'a> {
    /// A canvas that is all ground.
    pub fn new(buffer: &'a mut Buffer, look: &'a Look) -> Self {
        let style = look.theme.style(Role::Text);
        let area = *buffer.area();
        buffer.reset();
        buffer.set_style(area, style);
        Self { buffer, look, stale: false }
    }

    pub fn area(&self) -> Rect {
        *self.buffer.area()
    }

    pub fn glyphs(&self) -> &'static Glyphs {
        self.look.glyphs
    }

    /// The style of a role here: on a row that is selected, with that row's ground; dimmed while out of date.
    fn style(&self, role: Role, ground: Option<Role>) -> Style {
        let theme = &self.look.theme;
        let mut style = theme.style(role);
        let mut ink = role;
        if self.stale && role != Role::Faint {
            let dim = theme.style(Role::Dim);
            ink = Role::Dim;
            style.fg = dim.fg;
            style.add_modifier = (style.add_modifier | dim.add_modifier) - Modifier::BOLD;
        }
        if ground == Some(Role::Selected) {
            style.fg = theme.on_selected(ink);
        }
        if let Some(ground) = ground.map(|role| theme.style(role)) {
            style.bg = ground.bg;
            style.add_modifier |= ground.add_modifier;
            // A reversed row is one field: colours in it would make patches.
            if ground.add_modifier.contains(Modifier::REVERSED) {
                style.fg = ground.fg;
            }
        }
        style
    }

    /// Writes `text` from (x, y) in at most `room` columns, and answers how many it took. A text that does not fit is
    /// cut at its end, with a mark.
    pub fn put(&mut self, x: u16, y: u16, room: u16, text: &str, role: Role) -> u16 {
        self.put_on(x, y, room, text, role, None, Cut::End)
    }

    /// As [`put`](Self::put), on the ground of another role, cut where `cut` says.
    #[allow(clippy::too_many_arguments)]
    pub fn put_on(&mut self, x: u16, y: u16, room: u16, text: &str, role: Role, ground: Option<Role>, cut: Cut) -> u16 {
        let area = self.area();
        if y < area.top() || y >= area.bottom() || x >= area.right() {
            return 0;
        }
        let room = room.min(area.right() - x);
        let style = self.style(role, ground);
        let cleaned = text::clean(text, self.look.glyphs.unicode);
        let fitting = text::cut(&cleaned, room.into(), cut, self.look.glyphs.cut);
        let mut at = x;
        // Where the last base character stands, for the marks that follow it.
        let mut last: Option<u16> = None;
        for c in fitting.chars() {
            let columns = c.width().unwrap_or(0) as u16;
            if columns == 0 {
                if let Some(cell) = last.and_then(|last| self.buffer.cell_mut((last, y))) {
                    let symbol = format!("{}{c}", cell.symbol());
                    cell.set_symbol(&symbol);
                }
                continue;
            }
            if at + columns > x + room {
                break;
            }
            if let Some(cell) = self.buffer.cell_mut((at, y)) {
                cell.set_char(c).set_style(style);
            }
            // The second half of a wide character is no cell of its own.
            if columns == 2
                && let Some(cell) = self.buffer.cell_mut((at + 1, y))
            {
                cell.set_symbol("").set_style(style);
            }
            last = Some(at);
            at += columns;
        }
        at - x
    }

    /// Writes pieces one after the other, cut at the end of `room`; answers how many columns they took.
    pub fn line(&mut self, x: u16, y: u16, room: u16, pieces: &[Piece]) -> u16 {
        let mut used = 0;
        for (at, piece) in pieces.iter().enumerate() {
            let rest = room.saturating_sub(used);
            let cleaned = text::clean(&piece.text, self.look.glyphs.unicode);
            let wanted = text::width(&cleaned) as u16;
            // A piece that just fits leaves no room for the mark that says that more would follow.
            let more = pieces[at + 1..].iter().any(|p| !p.text.trim().is_empty());
            if wanted >= rest && more && wanted > 0 {
                let marked = format!("{cleaned}{}", self.look.glyphs.cut);
                used += self.put(x + used, y, rest, &marked, piece.role);
                break;
            }
            used += self.put(x + used, y, rest, &cleaned, piece.role);
        }
        used
    }

    /// Writes `text` so that it ends before column `end`.
    pub fn right(&mut self, end: u16, y: u16, room: u16, text: &str, role: Role) -> u16 {
        let cleaned = text::clean(text, self.look.glyphs.unicode);
        let columns = (text::width(&cleaned) as u16).min(room);
        self.put(end.saturating_sub(columns), y, columns, &cleaned, role);
        columns
    }

    /// Gives a line the ground of a role, whatever stands on it.
    pub fn ground(&mut self, area: Rect, role: Role) {
        let style = self.look.theme.style(role);
        let ground = Style { fg: None, ..style };
        self.buffer.set_style(area.intersection(self.area()), ground);
    }

    /// Clears an area to the ground.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.area());
        let style = self.look.theme.style(Role::Text);
        for y in area.top()..area.bottom() {
            // A wide character that stands half in the area goes as a whole.
            if area.left() > 0
                && let Some(cell) = self.buffer.cell_mut((area.left() - 1, y))
                && text::width(cell.symbol()) == 2
            {
                cell.set_symbol(" ");
            }
            if let Some(cell) = self.buffer.cell_mut((area.right(), y))
                && cell.symbol().is_empty()
            {
                cell.set_symbol(" ");
            }
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    /// Draws a frame with a title, and answers the area within, one column of air on each side.
    pub fn frame(&mut self, area: Rect, title: &[Piece], role: Role) -> Rect {
        if area.width < 4 || area.height < 2 {
            return Rect::new(area.x, area.y, 0, 0);
        }
        let [top_left, top_right, bottom_left, bottom_right, horizontal, vertical] = self.look.glyphs.frame;
        let stale = std::mem::replace(&mut self.stale, false);
        let style = self.style(role, None);
        let (left, right) = (area.left(), area.right() - 1);
        let (top, bottom) = (area.top(), area.bottom() - 1);
        let mut set = |x: u16, y: u16, symbol: &str| {
            if let Some(cell) = self.buffer.cell_mut((x, y)) {
                cell.set_symbol(symbol).set_style(style);
            }
        };
        for x in left + 1..right {
            set(x, top, horizontal);
            set(x, bottom, horizontal);
        }
        for y in top + 1..bottom {
            set(left, y, vertical);
            set(right, y, vertical);
        }
        set(left, top, top_left);
        set(right, top, top_right);
        set(left, bottom, bottom_left);
        set(right, bottom, bottom_right);
        self.stale = stale;
        if !title.is_empty() {
            let mut padded = vec![piece(" ", role)];
            padded.extend_from_slice(title);
            padded.push(piece(" ", role));
            self.line(left + 1, top, area.width - 3, &padded);
        }
        Rect::new(left + 2, top + 1, area.width.saturating_sub(4), area.height - 2)
    }
}
