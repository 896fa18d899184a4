//! From a buffer to the bytes that a terminal understands: one write for a frame, none for a frame that changes nothing.
//!
//! It writes its own escape sequences. What it writes is counted on over slow lines: only cells that differ, only
//! attributes that change, and the whole frame between the brackets of a synchronized update, so that no terminal that
//! knows them shows half of it.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier};
use std::io::{self, Write};

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// A terminal's screen as it is known to look.
pub struct Screen<W> {
    out: W,
    shown: Buffer,
    next: Buffer,
    bytes: Vec<u8>,
    pen: Pen,
    cursor: Option<Position>,
    /// Nothing is known of what the terminal shows.
    unknown: bool,
}

/// The attributes that the terminal writes with.
#[derive(Clone, Copy, PartialEq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Pen {
    const RESET: Pen = Pen { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

    fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }
    }
}

impl<W: Write> Screen<W> {
    /// A screen of this size, of which nothing is known.
    pub fn new(out: W, width: u16, height: u16) -> Self {
        let area = Rect::new(0, 0, width, height);
        Self {
            out,
            shown: Buffer::empty(area),
            next: Buffer::empty(area),
            bytes: Vec::with_capacity(16 * 1024),
            pen: Pen::RESET,
            cursor: None,
            unknown: true,
        }
    }

    /// Forgets what the terminal shows: the next frame paints every cell. `width` and `height` are its size now.
    pub fn repaint(&mut self, width: u16, height: u16) {
        let area = Rect::new(0, 0, width, height);
        self.next = Buffer::empty(area);
        self.unknown = true;
    }

    /// Paints a frame and writes what has changed, with one write; answers how many bytes that took.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer) -> Option<Position>) -> io::Result<usize> {
        let cursor = paint(&mut self.next);
        self.bytes.clear();
        self.bytes.extend_from_slice(BEGIN);
        if self.unknown {
            self.pen = Pen::RESET;
            self.cursor = None;
            self.bytes.extend_from_slice(b"\x1b[?25l\x1b[0m\x1b[2J");
            self.shown = Buffer::empty(*self.next.area());
        }
        self.cells();
        self.place(cursor);
        if self.bytes.len() == BEGIN.len() {
            return Ok(0);
        }
        self.bytes.extend_from_slice(END);
        // Until the write has gone through, nobody knows what the terminal shows.
        self.unknown = true;
        self.out.write_all(&self.bytes)?;
        self.out.flush()?;
        self.unknown = false;
        std::mem::swap(&mut self.shown, &mut self.next);
        Ok(self.bytes.len())
    }

    /// Writes the cells that differ.
    fn cells(&mut self) {
        let area = *self.next.area();
        let width = usize::from(area.width);
        // Where the terminal's cursor stands, as far as that is certain.
        let mut at: Option<(usize, usize)> = None;
        for (index, (new, old)) in self.next.content().iter().zip(self.shown.content()).enumerate() {
            let symbol = new.symbol();
            if symbol.is_empty() || (Pen::of(new) == Pen::of(old) && symbol == old.symbol()) {
                continue;
            }
            let (x, y) = (index % width, index / width);
            if at != Some((x, y)) {
                jump(&mut self.bytes, at, (x, y));
            }
            let wanted = Pen::of(new);
            if wanted != self.pen {
                turn(&mut self.bytes, self.pen, wanted);
                self.pen = wanted;
            }
            self.bytes.extend_from_slice(symbol.as_bytes());
            // Terminals differ in how wide they take rare characters for: after one, the cursor is placed anew.
            at = (is_certain(symbol) && x + 1 < width).then_some((x + 1, y));
        }
    }

    /// Shows, moves or hides the cursor, where that changes anything.
    fn place(&mut self, cursor: Option<Position>) {
        let wrote = self.bytes.len() > BEGIN.len();
        match (self.cursor, cursor) {
            (None, None) => {}
            (Some(_), None) => self.bytes.extend_from_slice(b"\x1b[?25l"),
            (before, Some(position)) => {
                if wrote || before != cursor {
                    jump(&mut self.bytes, None, (position.x.into(), position.y.into()));
                }
                if before.is_none() {
                    self.bytes.extend_from_slice(b"\x1b[?25h");
                }
            }
        }
        self.cursor = cursor;
    }
}

/// Whether every terminal moves by one column for it: ASCII, and the shapes that the console itself draws with.
fn is_certain(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return false };
    matches!(c, ' '..='~' | '\u{2190}'..='\u{21ff}' | '\u{2500}'..='\u{25ff}' | '\u{2800}'..='\u{28ff}')
        || matches!(c, '✓' | '✗' | '…' | '–' | '·' | '≥' | '≤' | '±')
}

/// Moves the cursor.
fn jump(bytes: &mut Vec<u8>, from: Option<(usize, usize)>, to: (usize, usize)) {
    let sequence = match from {
        Some((x, y)) if y == to.1 && to.0 > x => format!("\x1b[{}C", to.0 - x),
        _ => format!("\x1b[{};{}H", to.1 + 1, to.0 + 1),
    };
    bytes.extend_from_slice(sequence.as_bytes());
}

/// The attributes and their numbers.
const ATTRIBUTES: [(Modifier, &str); 5] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::ITALIC, "3"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::REVERSED, "7"),
];

/// Changes the attributes from one pen to another.
fn turn(bytes: &mut Vec<u8>, from: Pen, to: Pen) {
    let mut parts: Vec<String> = Vec::with_capacity(4);
    let mut from = from;
    // There is no way to take just one attribute away that all terminals agree on.
    if !(from.modifier - to.modifier).is_empty() {
        parts.push("0".into());
        from = Pen::RESET;
    }
    for (attribute, number) in ATTRIBUTES {
        if (to.modifier - from.modifier).contains(attribute) {
            parts.push(number.into());
        }
    }
    if from.fg != to.fg {
        parts.push(color(to.fg, 30));
    }
    if from.bg != to.bg {
        parts.push(color(to.bg, 40));
    }
    bytes.extend_from_slice(format!("\x1b[{}m", parts.join(";")).as_bytes());
}

/// A colour's numbers; `base` is 30 for the foreground, 40 for the background.
fn color(color: Color, base: u8) -> String {
    let bright = base + 60;
    match color {
        Color::Reset => (base + 9).to_string(),
        Color::Black => base.to_string(),
        Color::Red => (base + 1).to_string(),
        Color::Green => (base + 2).to_string(),
        Color::Yellow => (base + 3).to_string(),
        Color::Blue => (base + 4).to_string(),
        Color::Magenta => (base + 5).to_string(),
        Color::Cyan => (base + 6).to_string(),
        Color::Gray => (base + 7).to_string(),
        Color::DarkGray => bright.to_string(),
        Color::LightRed => (bright + 1).to_string(),
        Color::LightGreen => (bright + 2).to_string(),
        Color::LightYellow => (bright + 3).to_string(),
        Color::LightBlue => (bright + 4).to_string(),
        Color::LightMagenta => (bright + 5).to_string(),
        Color::LightCyan => (bright + 6).to_string(),
        Color::White => (bright + 7).to_string(),
        Color::Indexed(index) => format!("{};5;{index}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::scene;
    use crate::tui::theme::{Depth, Theme};
    use crate::tui::view;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Remembers each write.
    #[derive(Clone, Default)]
    struct Tape(Rc<RefCell<Vec<Vec<u8>>>>);

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn grid(tape: &Tape, width: u16, height: u16) -> String {
        let size = |v: u16| std::num::NonZeroU16::new(v).unwrap();
        let mut parser = vt100::Parser::new(size(height), size(width), 0);
        for write in tape.0.borrow().iter() {
            parser.process(write);
        }
        let text: Vec<String> = parser.screen().rows(0, width).map(|row| row.trim_end().to_string()).collect();
        text.join("\n") + "\n"
    }

    #[test]
    fn a_frame_is_one_write_and_no_write_when_nothing_changed() {
        let tape = Tape::default();
        let mut screen = Screen::new(tape.clone(), 120, 40);
        let model = scene::progressing(120, 40);
        let first = screen.draw(|buffer| view::draw(&model, buffer)).unwrap();
        assert!(first > 4000, "the first frame paints everything: {first}");
        assert_eq!(screen.draw(|buffer| view::draw(&model, buffer)).unwrap(), 0);
        assert_eq!(tape.0.borrow().len(), 1);
        let mut later = model.clone();
        later.now += chrono::Duration::seconds(1);
        let second = screen.draw(|buffer| view::draw(&later, buffer)).unwrap();
        assert!((20..120).contains(&second), "a second costs the countdown alone: {second}");
        assert_eq!(tape.0.borrow().len(), 2);
        let bytes = tape.0.borrow()[1].clone();
        assert!(bytes.starts_with(BEGIN) && bytes.ends_with(END));
    }

    #[test]
    fn what_arrives_at_the_terminal_is_what_was_drawn() {
        let tape = Tape::default();
        let mut screen = Screen::new(tape.clone(), 120, 40);
        let mut model = scene::progressing(120, 40);
        let steps: [&dyn Fn(&mut crate::tui::model::Model); 6] = [
            &|_| {},
            &|m| m.selected = Some(crate::tui::row::Key::new(scene::NAMESPACE, "jx-production-search")),
            &|m| m.overlay = Some(crate::tui::model::Overlay::Help { scroll: 0 }),
            &|m| m.events.push(scene::event("x", "12:04:40", true, "日本語 message → with wide … characters").into()),
            &|m| m.overlay = None,
            &|m| m.look.theme = Theme::named("light", Depth::Sixteen).unwrap(),
        ];
        for step in steps {
            step(&mut model);
            screen.draw(|buffer| view::draw(&model, buffer)).unwrap();
            assert_eq!(grid(&tape, 120, 40), scene::text(&scene::shot(&model)));
        }
        assert_eq!(tape.0.borrow().len(), steps.len());
    }

    #[test]
    fn a_resize_paints_anew() {
        let tape = Tape::default();
        let mut screen = Screen::new(tape.clone(), 120, 40);
        let model = scene::at_rest(80, 24);
        screen.draw(|buffer| view::draw(&scene::at_rest(120, 40), buffer)).unwrap();
        screen.repaint(80, 24);
        screen.draw(|buffer| view::draw(&model, buffer)).unwrap();
        tape.0.borrow_mut().remove(0);
        assert_eq!(grid(&tape, 80, 24), scene::text(&scene::shot(&model)));
    }

    #[test]
    fn without_colours_no_colour_is_written() {
        let tape = Tape::default();
        let mut screen = Screen::new(tape.clone(), 120, 40);
        let mut model = scene::failing(120, 40);
        model.look.theme = Theme::named("dark", Depth::None).unwrap();
        screen.draw(|buffer| view::draw(&model, buffer)).unwrap();
        let text = String::from_utf8(tape.0.borrow().concat()).unwrap();
        for sequence in text.split("\x1b[").filter_map(|part| part.split_once('m')).map(|(numbers, _)| numbers) {
            let colours = sequence.split(';').filter_map(|n| n.parse::<u8>().ok()).any(|n| n >= 30);
            assert!(!colours || sequence.contains(['H', 'C', '?', 'J']), "{sequence:?}");
        }
        assert!(text.contains("\x1b[7m") || text.contains(";7m"), "the selected row is reversed");
    }

    #[test]
    fn a_failed_write_is_told_and_the_next_frame_paints_everything() {
        struct Broken(bool);
        impl Write for Broken {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if std::mem::take(&mut self.0) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let model = scene::at_rest(80, 24);
        let mut screen = Screen::new(Broken(true), 80, 24);
        assert!(screen.draw(|buffer| view::draw(&model, buffer)).is_err());
        assert!(screen.draw(|buffer| view::draw(&model, buffer)).unwrap() > 2000);
    }
}
