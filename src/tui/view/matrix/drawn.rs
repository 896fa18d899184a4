//! A screen as it was drawn, and what holds of each of them.

use crate::tui::message::Msg;
use crate::tui::model::{Model, Overlay};
use crate::tui::scene::{self, shot};
use crate::tui::theme::Depth;
use crate::tui::update::update;
use crate::tui::{glyphs, text};
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use std::ops::Range;

/// The lines of a screen.
pub struct Drawn(Vec<String>);

const DEPTHS: [(&str, Depth); 4] =
    [("none", Depth::None), ("16", Depth::Sixteen), ("256", Depth::TwoFiftySix), ("truecolor", Depth::True)];

impl Drawn {
    pub fn of(model: &Model) -> Self {
        Self::from(&shot(model))
    }

    fn from(buffer: &Buffer) -> Self {
        Self(scene::text(buffer).lines().map(str::to_string).collect())
    }

    /// Draws it at each depth, in ASCII and too small, and asserts what holds of all of them.
    pub fn all_ways(model: &Model, what: &str) -> Self {
        let full = shot(model);
        whole(&full, what);
        coloured(&full, Depth::True, what);
        let drawn = Self::from(&full);
        let mut other = model.clone();
        for (name, depth) in &DEPTHS[..3] {
            other.look = scene::look_at("dark", *depth);
            let buffer = shot(&other);
            coloured(&buffer, *depth, &format!("{what} at {name}"));
            same_text(&full, &buffer, &format!("{what} at {name}"));
        }
        other.look = model.look.clone();
        other.look.glyphs = &glyphs::ASCII;
        let ascii = shot(&other);
        whole(&ascii, what);
        let beyond = ascii.content().iter().find(|cell| !cell.symbol().is_ascii());
        assert!(beyond.is_none(), "{what} in ASCII: {beyond:?}\n{}", scene::text(&ascii));
        other.look.glyphs = model.look.glyphs;
        update(&mut other, Msg::Resize(59, 15));
        let small = scene::text(&shot(&other));
        assert!(small.starts_with("This terminal is 59x15.\ncanary-tui needs 60x16."), "{what}: {small}");
        update(&mut other, Msg::Resize(model.size.width, model.size.height));
        assert!(shot(&other) == full, "{what} after a terminal that was too small:\n{}", scene::text(&shot(&other)));
        drawn
    }

    /// Which lines a view has changed of the screen beneath it. All of them where it takes the place of the panes.
    pub fn changed(&self, beneath: &Self, overlay: Option<&Overlay>) -> Range<usize> {
        let instead = matches!(overlay, Some(Overlay::Charts | Overlay::Events(_) | Overlay::Reading(_)));
        let differs = |at: &usize| self.0.get(*at) != beneath.0.get(*at);
        let mut lines = 0..self.0.len();
        let first = lines.clone().find(differs);
        let last = lines.rfind(differs);
        match (first, last) {
            (Some(first), Some(last)) if !instead => first..last + 1,
            _ => 0..self.0.len(),
        }
    }

    /// The screen as the snapshot has it: what it changes of the one beneath, and lines that are there again and again
    /// once.
    pub fn beside(&self, beneath: &Self, overlay: Option<&Overlay>) -> String {
        let lines = self.changed(beneath, overlay);
        let columns = self.0.iter().map(|line| text::width(line)).max().unwrap_or(0);
        let mut out = format!("== {columns}x{}", self.0.len());
        if lines.len() < self.0.len() {
            out.push_str(&format!(", lines {} to {}; the others are as without it", lines.start + 1, lines.end));
        }
        out.push('\n');
        let shown = &self.0[lines];
        let mut at = 0;
        while at < shown.len() {
            let alike = shown[at..].iter().take_while(|line| **line == shown[at]).count();
            out.push_str(&shown[at]);
            out.push('\n');
            if alike > 2 {
                out.push_str(&format!("   -- {} more like it\n", alike - 1));
                at += alike;
            } else {
                at += 1;
            }
        }
        out
    }
}

/// No line is wider than the screen, and no wide character is cut in half.
fn whole(buffer: &Buffer, what: &str) {
    let area = *buffer.area();
    for y in area.top()..area.bottom() {
        let symbol = |x: u16| buffer[(x, y)].symbol();
        let line = || (0..area.width).map(symbol).collect::<String>();
        let mut x = area.left();
        while x < area.right() {
            let columns = text::width(symbol(x)) as u16;
            assert!((1..=2).contains(&columns), "{what}: half a character at {x}, {y}: {}", line());
            assert!(x + columns <= area.right(), "{what}: half a character at the edge of line {y}: {}", line());
            let second = columns < 2 || symbol(x + 1).is_empty();
            assert!(second, "{what}: something stands in the second half of a character at {x}, {y}: {}", line());
            x += columns;
        }
    }
}

/// Only colours that the terminal has.
fn coloured(buffer: &Buffer, depth: Depth, what: &str) {
    let shown = |color: Color| match (depth, color) {
        (Depth::None, color) => color == Color::Reset,
        (Depth::Sixteen, color) => !matches!(color, Color::Rgb(..) | Color::Indexed(_)),
        (Depth::TwoFiftySix, color) => matches!(color, Color::Indexed(_) | Color::Reset),
        (Depth::True, color) => matches!(color, Color::Rgb(..) | Color::Reset),
    };
    let other = buffer.content().iter().find(|cell| !shown(cell.fg) || !shown(cell.bg));
    assert!(other.is_none(), "{what}: {other:?}");
}

/// The text does not hang on the colours.
fn same_text(full: &Buffer, buffer: &Buffer, what: &str) {
    let same = full.content().iter().zip(buffer.content()).all(|(one, other)| one.symbol() == other.symbol());
    assert!(same, "{what}, and in all colours:\n{}\n{}", scene::text(buffer), scene::text(full));
}

/// How some lines look at each depth.
pub fn styles(model: &Model, lines: Range<usize>) -> String {
    let mut text = String::new();
    for (name, depth) in DEPTHS {
        let mut model = model.clone();
        model.look = scene::look_at("dark", depth);
        let (rows, legend) = super::super::tests::styles(&model);
        text.push_str(&format!("== {name}, lines {} to {}\n", lines.start + 1, lines.end));
        for line in rows[lines.clone()].iter().chain(&legend) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
