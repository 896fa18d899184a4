//! A text to read, in lines as wide as the screen: built by the views of one canary, drawn with its scroll position.

use super::canvas::{Canvas, Piece, piece};
use crate::tui::glyphs::Glyphs;
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Columns on the left that say which lines hold what is looked for.
pub const MARGIN: u16 = 2;
/// Width of what stands before a field's text.
const LABEL: usize = 11;

/// One line: what stands on it, from the left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(pub Vec<Piece<'static>>);

impl Line {
    /// Whether it holds a text, which is in lower case.
    pub fn holds(&self, wanted: &str) -> bool {
        let whole: String = self.0.iter().map(|piece| &*piece.text).collect();
        whole.to_lowercase().contains(wanted)
    }
}

/// Lines that are being written. All text is cleaned and wrapped here, so that nothing is cut.
pub struct Paper {
    glyphs: &'static Glyphs,
    width: usize,
    pub lines: Vec<Line>,
}

impl Paper {
    /// An empty paper of this width.
    pub fn new(glyphs: &'static Glyphs, width: u16) -> Self {
        Self { glyphs, width: usize::from(width).max(20), lines: Vec::new() }
    }

    pub fn glyphs(&self) -> &'static Glyphs {
        self.glyphs
    }

    /// An empty line, where there is none yet.
    pub fn air(&mut self) {
        if self.lines.last().is_some_and(|last| !last.0.is_empty()) {
            self.lines.push(Line::default());
        }
    }

    /// A heading, with air above it.
    pub fn heading(&mut self, text: &str) {
        self.air();
        self.say(0, None, Role::Strong, text);
    }

    /// A text that begins `indent` columns from the left, after a sign where there is one, and goes on below itself.
    pub fn say(&mut self, indent: usize, sign: Option<(&'static str, Role)>, role: Role, text: &str) {
        let hang = indent + sign.map_or(0, |(sign, _)| text::width(sign) + 1);
        let columns = self.width.saturating_sub(hang);
        for (at, line) in self.wrapped(text, columns).into_iter().enumerate() {
            let mut pieces = Vec::new();
            match sign {
                Some((sign, of_sign)) if at == 0 => {
                    pieces.push(piece(" ".repeat(indent), Role::Text));
                    pieces.push(piece(sign, of_sign));
                    pieces.push(piece(" ", Role::Text));
                }
                _ => pieces.push(piece(" ".repeat(hang), Role::Text)),
            }
            pieces.push(piece(line, role));
            self.lines.push(Line(pieces));
        }
    }

    /// A text with its name before it.
    pub fn field(&mut self, indent: usize, name: &str, role: Role, text: &str) {
        let name = self.clean(name);
        let hang = (indent + LABEL).max(indent + text::width(&name) + 1);
        let lines = self.wrapped(text, self.width.saturating_sub(hang));
        for (at, line) in lines.into_iter().enumerate() {
            let before = if at == 0 { name.as_str() } else { "" };
            let gap = hang - indent - text::width(before);
            let named = piece(format!("{}{before}{}", " ".repeat(indent), " ".repeat(gap)), Role::Dim);
            self.lines.push(Line(vec![named, piece(line, role)]));
        }
    }

    /// A line of code: what it is indented by, and a hanging indent where it is too long.
    pub fn code(&mut self, indent: usize, sign: Option<(&'static str, Role)>, role: Role, text: &str) {
        let body = text.trim_start_matches(' ');
        // What is indented beyond the middle would leave no room to read.
        let inner = (text.len() - body.len()).min(self.width / 2);
        self.say_hanging(indent, sign, inner, role, body);
    }

    fn say_hanging(&mut self, indent: usize, sign: Option<(&'static str, Role)>, inner: usize, role: Role, text: &str) {
        let signs = sign.map_or(0, |(sign, _)| text::width(sign) + 1);
        let columns = self.width.saturating_sub(indent + signs + inner + 2);
        for (at, line) in self.wrapped(text, columns).into_iter().enumerate() {
            let mut pieces = vec![piece(" ".repeat(indent), Role::Text)];
            if let Some((sign, of_sign)) = sign {
                pieces.push(piece(sign, of_sign));
                pieces.push(piece(" ", Role::Text));
            }
            pieces.push(piece(" ".repeat(inner + if at > 0 { 2 } else { 0 }), Role::Text));
            pieces.extend(coded(&line, role, at == 0));
            self.lines.push(Line(pieces));
        }
    }

    /// Pieces in one line, cut with a mark where they are too long.
    pub fn row(&mut self, pieces: Vec<Piece<'static>>) {
        self.lines.push(Line(pieces));
    }

    fn clean(&self, text: &str) -> String {
        text::clean(text, self.glyphs.unicode).into_owned()
    }

    fn wrapped(&self, text: &str, columns: usize) -> Vec<String> {
        text::wrap(&self.clean(text), columns.max(8))
    }
}

/// A line of YAML: the key steps back behind what it says.
fn coded(line: &str, role: Role, first: bool) -> Vec<Piece<'static>> {
    let plain = || vec![piece(line.to_string(), role)];
    if !first || role != Role::Text {
        return plain();
    }
    let (key, value) = match line.split_once(": ") {
        Some((key, value)) => (format!("{key}: "), value),
        None if line.ends_with(':') => (line.to_string(), ""),
        None => return plain(),
    };
    if key.contains(['"', '\'', '{']) {
        return plain();
    }
    vec![piece(key, Role::Dim), piece(value.to_string(), role)]
}

/// Draws the lines from `scroll` on. `hits` are the lines that hold what is looked for, and `eye` the one among them that
/// is looked at.
pub fn draw(canvas: &mut Canvas, lines: &[Line], scroll: usize, hits: &[usize], eye: Option<usize>, area: Rect) {
    let glyphs = canvas.glyphs();
    let width = area.width.saturating_sub(MARGIN);
    for (y, (at, line)) in (area.top()..area.bottom()).zip(lines.iter().enumerate().skip(scroll)) {
        canvas.line(area.x + MARGIN, y, width, &line.0);
        if hits.binary_search(&at).is_ok() {
            let (mark, role) = if eye == Some(at) { (glyphs.pointer, Role::Focus) } else { (glyphs.dot, Role::Warn) };
            canvas.put(area.x, y, 1, mark, role);
        }
        if eye == Some(at) {
            canvas.ground(Rect::new(area.x, y, area.width, 1), Role::Selected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs;

    fn texts(paper: &Paper) -> Vec<String> {
        paper.lines.iter().map(|line| line.0.iter().map(|piece| &*piece.text).collect::<String>()).collect()
    }

    #[test]
    fn what_is_too_long_goes_on_below_itself() {
        let mut paper = Paper::new(&glyphs::UNICODE, 24);
        paper.say(2, Some(("▲", Role::Warn)), Role::Text, "one two three four five");
        paper.field(0, "Hosts", Role::Text, "a.example.com, b.example.com");
        paper.code(0, None, Role::Text, "    key: one two three four five");
        let lines = texts(&paper);
        assert_eq!(lines[..2], ["  ▲ one two three four", "    five"]);
        assert_eq!(lines[2..5], ["Hosts      a.example.com", "           ,", "           b.example.com"]);
        assert_eq!(lines[5..], ["    key: one two three", "      four five"]);
        assert!(lines.iter().all(|line| text::width(line) <= 24));
    }

    #[test]
    fn nothing_written_can_act_on_the_terminal() {
        let mut paper = Paper::new(&glyphs::UNICODE, 80);
        paper.heading("a\u{1b}[2J");
        paper.field(0, "\u{202e}x", Role::Text, "\r\n\u{9b}");
        paper.code(2, None, Role::Text, "\u{7f}: \u{1b}]0;");
        assert!(texts(&paper).iter().all(|line| !line.chars().any(|c| c.is_control() || c == '\u{202e}')));
    }
}
