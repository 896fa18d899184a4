//! What is copied, and the bytes that carry it to the clipboard of the terminal at which the operator sits: OSC 52, which
//! goes through ssh as any text does.

use super::event_list::{entries, newer_than};
use super::model::{EventsReader, Model, Overlay};
use super::text;
use crossterm::Command as _;
use crossterm::clipboard::CopyToClipboard;

/// A program between the console and the terminal that passes on only what is wrapped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    None,
    Tmux,
    Screen,
}

/// Longest piece that GNU screen passes on at once, in bytes.
const SCREEN: usize = 512;

impl Wrap {
    /// What stands in between, by the environment.
    pub fn choose(env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        if set("TMUX").is_some() {
            Wrap::Tmux
        } else if set("STY").is_some() || set("TERM").is_some_and(|term| term.starts_with("screen")) {
            Wrap::Screen
        } else {
            Wrap::None
        }
    }

    /// The bytes that put `text` on the clipboard. tmux gets them twice: as they are, for one that keeps a clipboard
    /// (`set-clipboard on`), and wrapped, for one that lets them through (`allow-passthrough on`).
    pub fn copy(self, text: &str) -> String {
        let mut sequence = String::new();
        // Writing to a String does not fail.
        let _ = CopyToClipboard::to_clipboard_from(text).write_ansi(&mut sequence);
        match self {
            Wrap::None => sequence,
            Wrap::Tmux => format!("{sequence}\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
            Wrap::Screen => {
                // ESC and `\` would end screen's own wrapping.
                let inner = sequence.trim_end_matches("\x1b\\").to_string() + "\x07";
                let pieces = inner.as_bytes().chunks(SCREEN);
                pieces.map(|piece| format!("\x1bP{}\x1b\\", String::from_utf8_lossy(piece))).collect()
            }
        }
    }
}

/// What is copied now: in the events the selected one in full, else the selected canary's name. It is made visible,
/// for it will be pasted somewhere.
pub fn subject(model: &Model) -> Option<String> {
    let text = match &model.overlay {
        Some(Overlay::Events(reader)) => event(model, reader)?,
        Some(Overlay::Reading(reading)) => reading.ask.of.name.clone(),
        _ => model.row()?.name.clone(),
    };
    Some(text::clean(&text, true).into_owned())
}

/// The selected event: its time, how often, and all of its text, with the canary's name where the text does not say it.
fn event(model: &Model, reader: &EventsReader) -> Option<String> {
    let wanted = reader.find.input.value();
    let entry = entries(model, wanted).nth(newer_than(model, wanted, reader.at.as_ref()))?;
    let event = entry.latest;
    let time = event.last.map(|at| format!("{} ", at.format("%FT%TZ"))).unwrap_or_default();
    let often = if entry.count > 1 { format!("({} times) ", entry.count) } else { String::new() };
    let name = if event.message.contains(&event.canary) { String::new() } else { format!("{}: ", event.canary) };
    Some(format!("{time}{often}{name}{}", event.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)]) -> Wrap {
        Wrap::choose(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()))
    }

    #[test]
    fn the_environment_says_what_stands_in_between() {
        assert_eq!(chosen(&[("TERM", "xterm-256color")]), Wrap::None);
        assert_eq!(chosen(&[("TERM", "screen-256color"), ("TMUX", "/tmp/x,1,0")]), Wrap::Tmux);
        assert_eq!(chosen(&[("TERM", "screen.xterm-256color")]), Wrap::Screen);
        assert_eq!(chosen(&[("TERM", "xterm"), ("STY", "1.pts"), ("TMUX", "")]), Wrap::Screen);
    }

    #[test]
    fn each_gets_it_in_its_wrapping() {
        let plain = "\x1b]52;c;YWJj\x1b\\";
        assert_eq!(Wrap::None.copy("abc"), plain);
        assert_eq!(Wrap::Tmux.copy("abc"), format!("{plain}\x1bPtmux;\x1b\x1b]52;c;YWJj\x1b\x1b\\\x1b\\"));
        assert_eq!(Wrap::Screen.copy("abc"), "\x1bP\x1b]52;c;YWJj\x07\x1b\\");
        let long = Wrap::Screen.copy(&"x".repeat(2000));
        assert!(long.split("\x1b\\").all(|piece| piece.len() <= SCREEN + 2), "in pieces that screen takes");
        assert_eq!(long.replace("\x1bP", "").replace("\x1b\\", "").matches('\x07').count(), 1);
    }
}
