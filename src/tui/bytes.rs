//! From the bytes that a terminal sends to keys, pastes and the mouse, and to its answer about its ground.
//!
//! A sequence may come in pieces: what is not whole yet waits for its rest. A lone ESC is the key or the beginning of a
//! sequence, which only time tells: where nothing follows, [`Parser::silence`] says that it was the key.
//!
//! What is no key must never become one. The letters of an answer or of a broken sequence would act: an `a` asks for an
//! abort.

use super::theme::colour::Rgb;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use std::time::Duration;

/// Asks the terminal for the colour of its ground.
pub const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";

/// Longest sequence that is waited for, in bytes. What is longer is none, and is dropped.
const LONGEST: usize = 4096;
/// Longest paste that is kept, in bytes; its rest is dropped.
const LONGEST_PASTE: usize = 64 * 1024;

const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";

/// What has come from the terminal.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    Event(Event),
    /// The colour of the terminal's ground.
    Ground(Rgb),
}

/// Takes bytes and tells what they mean.
#[derive(Debug, Default)]
pub struct Parser {
    /// What is not whole yet.
    rest: Vec<u8>,
    /// What is being pasted; None where nothing is.
    paste: Option<Vec<u8>>,
}

/// What the bytes at the front are.
enum Front {
    /// So many of them mean this, or nothing.
    Whole(usize, Option<Typed>),
    /// More must come before it is known.
    Part,
}

impl Parser {
    /// How long to wait for the rest of what is not whole; None where nothing is to be waited for. A paste ends when its
    /// end has come, however long that takes: what comes late must not become keys.
    pub fn patience(&self) -> Option<Duration> {
        let part = !self.rest.is_empty() && self.paste.is_none();
        part.then_some(match self.rest[..] {
            // Whoever presses ESC wants to see it act.
            [0x1b] | [0x1b, 0x1b] => Duration::from_millis(50),
            [0x1b, b']' | b'P', _, ..] => Duration::from_secs(2),
            _ => Duration::from_millis(500),
        })
    }

    /// Takes what has come.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Typed> {
        self.rest.extend_from_slice(bytes);
        let mut told = Vec::new();
        while !self.rest.is_empty() {
            if self.paste.is_some() {
                match self.pasted() {
                    Some(text) => told.push(Typed::Event(Event::Paste(text))),
                    None => break,
                }
                continue;
            }
            if self.rest.starts_with(PASTE) {
                self.rest.drain(..PASTE.len());
                self.paste = Some(Vec::new());
                continue;
            }
            match front(&self.rest) {
                Front::Whole(length, meaning) => {
                    self.rest.drain(..length.max(1));
                    told.extend(meaning);
                }
                Front::Part if self.rest.len() > LONGEST => self.rest.clear(),
                Front::Part => break,
            }
        }
        told
    }

    /// Nothing has come for a while: a lone ESC was the key, and what else waits was never finished.
    pub fn silence(&mut self) -> Vec<Typed> {
        if self.patience().is_none() {
            return Vec::new();
        }
        let rest = std::mem::take(&mut self.rest);
        match rest[..] {
            [0x1b] => vec![press(KeyCode::Esc, KeyModifiers::NONE)],
            [0x1b, 0x1b] => vec![press(KeyCode::Esc, KeyModifiers::NONE), press(KeyCode::Esc, KeyModifiers::NONE)],
            [0x1b, byte @ (b'[' | b'O' | b']' | b'P')] => {
                vec![press(KeyCode::Char(char::from(byte)), with_shift(char::from(byte), KeyModifiers::ALT))]
            }
            // Its letters are no keys.
            _ => Vec::new(),
        }
    }

    /// Moves what is pasted over; the text, once its end has come.
    fn pasted(&mut self) -> Option<String> {
        let paste = self.paste.as_mut()?;
        let end = self.rest.windows(PASTED.len()).position(|window| window == PASTED);
        // The end may have come in part.
        let text = end.unwrap_or_else(|| self.rest.len().saturating_sub(PASTED.len() - 1));
        let room = LONGEST_PASTE.saturating_sub(paste.len());
        paste.extend_from_slice(&self.rest[..text.min(room)]);
        self.rest.drain(..text);
        end?;
        self.rest.drain(..PASTED.len());
        self.paste.take().map(|paste| String::from_utf8_lossy(&paste).into_owned())
    }
}

fn press(code: KeyCode, modifiers: KeyModifiers) -> Typed {
    Typed::Event(Event::Key(KeyEvent::new(code, modifiers)))
}

fn with_shift(c: char, modifiers: KeyModifiers) -> KeyModifiers {
    if c.is_uppercase() { modifiers | KeyModifiers::SHIFT } else { modifiers }
}

/// What stands at the front of `bytes`, which are not empty.
fn front(bytes: &[u8]) -> Front {
    match bytes {
        [0x1b] => Front::Part,
        [0x1b, b'[', rest @ ..] => control(rest),
        [0x1b, b'O', rest @ ..] => match rest {
            [] => Front::Part,
            [byte, ..] => Front::Whole(3, named(*byte).map(|code| press(code, KeyModifiers::NONE))),
        },
        [0x1b, b']', rest @ ..] => string(rest, ground),
        [0x1b, b'P', rest @ ..] => string(rest, |_| None),
        // Two of them: the first is the key, the second may begin something.
        [0x1b, 0x1b, ..] if bytes.len() > 2 => Front::Whole(1, Some(press(KeyCode::Esc, KeyModifiers::NONE))),
        [0x1b, 0x1b] => Front::Part,
        [0x1b, rest @ ..] => match plain(rest) {
            Front::Whole(length, Some(Typed::Event(Event::Key(key)))) => {
                Front::Whole(length + 1, Some(press(key.code, key.modifiers | KeyModifiers::ALT)))
            }
            Front::Whole(length, meaning) => Front::Whole(length + 1, meaning),
            Front::Part => Front::Part,
        },
        _ => plain(bytes),
    }
}

/// A key without ESC before it.
fn plain(bytes: &[u8]) -> Front {
    let key = |code, modifiers| Front::Whole(1, Some(press(code, modifiers)));
    match bytes[0] {
        b'\r' => key(KeyCode::Enter, KeyModifiers::NONE),
        b'\t' => key(KeyCode::Tab, KeyModifiers::NONE),
        0x7f => key(KeyCode::Backspace, KeyModifiers::NONE),
        0 => key(KeyCode::Char(' '), KeyModifiers::CONTROL),
        byte @ 0x01..=0x1a => key(KeyCode::Char(char::from(byte - 1 + b'a')), KeyModifiers::CONTROL),
        byte @ 0x1c..=0x1f => key(KeyCode::Char(char::from(byte - 0x1c + b'4')), KeyModifiers::CONTROL),
        byte => {
            let length = match byte {
                0..0x80 => 1,
                0xc2..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0..0xf5 => 4,
                // No character begins so.
                _ => return Front::Whole(1, None),
            };
            let there = &bytes[..length.min(bytes.len())];
            match std::str::from_utf8(there) {
                Ok(text) => Front::Whole(
                    length,
                    text.chars().next().map(|c| press(KeyCode::Char(c), with_shift(c, KeyModifiers::NONE))),
                ),
                Err(error) if error.error_len().is_none() => Front::Part,
                Err(_) => Front::Whole(1, None),
            }
        }
    }
}

/// A sequence after ESC and `[`.
fn control(rest: &[u8]) -> Front {
    // The console of Linux: ESC [ [ A is F1.
    if let [b'[', tail @ ..] = rest {
        return match tail {
            [] => Front::Part,
            [byte @ b'A'..=b'E', ..] => Front::Whole(4, Some(press(KeyCode::F(byte - b'A' + 1), KeyModifiers::NONE))),
            _ => Front::Whole(3, None),
        };
    }
    let Some(end) = rest.iter().position(|byte| !(0x20..0x40).contains(byte)) else { return Front::Part };
    let last = rest[end];
    if !(0x40..0x7f).contains(&last) {
        // It was broken off; what broke it off is looked at by itself.
        return Front::Whole(2 + end, None);
    }
    let length = 2 + end + 1;
    if (last, end) == (b'M', 0) {
        // A mouse in its oldest form: three bytes, that may be letters. It was not asked for, and cannot tell all places.
        return if rest.len() < 4 { Front::Part } else { Front::Whole(length + 3, None) };
    }
    let Ok(parameters) = std::str::from_utf8(&rest[..end]) else { return Front::Whole(length, None) };
    if let Some(place) = parameters.strip_prefix('<') {
        return Front::Whole(length, mouse(place, last));
    }
    // Reports of the terminal bear other marks.
    if !parameters.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':') {
        return Front::Whole(length, None);
    }
    let mut numbers = parameters.split(';').map(|part| part.split(':').next().unwrap_or_default().parse::<u32>().ok());
    let first = numbers.next().flatten();
    let modifiers = modifiers(numbers.next().flatten().unwrap_or(1));
    let key = |code| Some(press(code, modifiers));
    let meaning = match (last, first) {
        (b'Z', _) => Some(press(KeyCode::BackTab, KeyModifiers::SHIFT)),
        (b'~', Some(number)) => special(number).and_then(key),
        // Terminals that tell keys apart in full: the number is the character.
        (b'u', Some(number)) => char::from_u32(number).and_then(|c| match c {
            '\u{1b}' => key(KeyCode::Esc),
            '\r' => key(KeyCode::Enter),
            '\t' => key(KeyCode::Tab),
            '\u{7f}' => key(KeyCode::Backspace),
            c if c.is_control() => None,
            c => key(KeyCode::Char(c)),
        }),
        (b'u' | b'~', None) => None,
        (byte, None | Some(1)) if byte != b'M' => named(byte).and_then(key),
        _ => None,
    };
    Front::Whole(length, meaning)
}

/// A key by the letter that ends its sequence.
fn named(byte: u8) -> Option<KeyCode> {
    Some(match byte {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(byte - b'P' + 1),
        _ => return None,
    })
}

/// A key by the number before `~`.
fn special(number: u32) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number as u8 - 10),
        17..=21 => KeyCode::F(number as u8 - 11),
        23..=24 => KeyCode::F(number as u8 - 12),
        _ => return None,
    })
}

/// The modifiers by their number, which is one more than their bits.
fn modifiers(number: u32) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)] {
        if bits & bit != 0 {
            modifiers |= modifier;
        }
    }
    modifiers
}

/// What the mouse did: button, column and row from 1; `M` pressed, `m` released.
fn mouse(place: &str, last: u8) -> Option<Typed> {
    let mut numbers = place.split(';').map(|part| part.parse::<u32>().ok());
    let (button, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let which = match button & 0b11 {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match (button & 64 != 0, button & 32 != 0, last) {
        (true, _, b'M') if button & 0b11 == 0 => MouseEventKind::ScrollUp,
        (true, _, b'M') if button & 0b11 == 1 => MouseEventKind::ScrollDown,
        (false, false, b'M') => MouseEventKind::Down(which),
        (false, false, b'm') => MouseEventKind::Up(which),
        (false, true, b'M') => MouseEventKind::Drag(which),
        _ => return None,
    };
    let from_nought = |n: u32| u16::try_from(n.saturating_sub(1)).unwrap_or(u16::MAX);
    let event = MouseEvent { kind, column: from_nought(column), row: from_nought(row), modifiers: KeyModifiers::NONE };
    Some(Typed::Event(Event::Mouse(event)))
}

/// A string that the terminal sends, after ESC and its letter: it ends with BEL, or ESC and `\`. None of it is a key.
fn string(rest: &[u8], meaning: impl Fn(&[u8]) -> Option<Typed>) -> Front {
    for (at, byte) in rest.iter().enumerate() {
        match (byte, rest.get(at + 1)) {
            (0x07 | 0x9c, _) => return Front::Whole(2 + at + 1, meaning(&rest[..at])),
            (0x1b, Some(b'\\')) => return Front::Whole(2 + at + 2, meaning(&rest[..at])),
            (0x1b, None) => return Front::Part,
            // Another sequence broke it off.
            (0x1b, Some(_)) => return Front::Whole(2 + at, None),
            _ => {}
        }
    }
    Front::Part
}

/// The answer about the ground: `11;rgb:` and one to four digits for red, green and blue.
fn ground(text: &[u8]) -> Option<Typed> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix("11;rgb")?;
    let digits = text.strip_prefix('a').unwrap_or(text).strip_prefix(':')?;
    let mut parts = digits.split('/').map(|part| {
        let most = 16u32.checked_pow(part.len() as u32).filter(|_| (1..=4).contains(&part.len()))? - 1;
        u8::try_from(u32::from_str_radix(part, 16).ok()? * 255 / most).ok()
    });
    Some(Typed::Ground((parts.next()??, parts.next()??, parts.next()??)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(text: &str) -> Vec<Typed> {
        let mut parser = Parser::default();
        let mut told = parser.take(text.as_bytes());
        told.extend(parser.silence());
        told
    }

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Typed {
        press(code, modifiers)
    }

    const NONE: KeyModifiers = KeyModifiers::NONE;
    const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
    const ALT: KeyModifiers = KeyModifiers::ALT;
    const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        for (bytes, code, modifiers) in [
            ("a", KeyCode::Char('a'), NONE),
            ("P", KeyCode::Char('P'), SHIFT),
            ("ä", KeyCode::Char('ä'), NONE),
            ("日", KeyCode::Char('日'), NONE),
            ("\r", KeyCode::Enter, NONE),
            ("\t", KeyCode::Tab, NONE),
            ("\x7f", KeyCode::Backspace, NONE),
            ("\x1b", KeyCode::Esc, NONE),
            ("\x03", KeyCode::Char('c'), CONTROL),
            ("\x1a", KeyCode::Char('z'), CONTROL),
            ("\0", KeyCode::Char(' '), CONTROL),
            ("\x1bx", KeyCode::Char('x'), ALT),
            ("\x1bX", KeyCode::Char('X'), ALT | SHIFT),
            ("\x1b[", KeyCode::Char('['), ALT),
            ("\x1b[A", KeyCode::Up, NONE),
            ("\x1bOB", KeyCode::Down, NONE),
            ("\x1b[H", KeyCode::Home, NONE),
            ("\x1b[1;5C", KeyCode::Right, CONTROL),
            ("\x1b[1;2D", KeyCode::Left, SHIFT),
            ("\x1b[Z", KeyCode::BackTab, SHIFT),
            ("\x1b[5~", KeyCode::PageUp, NONE),
            ("\x1b[6;3~", KeyCode::PageDown, ALT),
            ("\x1b[3~", KeyCode::Delete, NONE),
            ("\x1b[4~", KeyCode::End, NONE),
            ("\x1bOP", KeyCode::F(1), NONE),
            ("\x1b[[A", KeyCode::F(1), NONE),
            ("\x1b[11~", KeyCode::F(1), NONE),
            ("\x1b[24~", KeyCode::F(12), NONE),
            ("\x1b[97;5u", KeyCode::Char('a'), CONTROL),
        ] {
            assert_eq!(told(bytes), [key(code, modifiers)], "{bytes:?}");
        }
        let all: Vec<Typed> = "aP\r".chars().flat_map(|c| told(&c.to_string())).collect();
        assert_eq!(told("aP\r"), all, "several at once");
        assert_eq!(told("\x1b\x1b"), [key(KeyCode::Esc, NONE), key(KeyCode::Esc, NONE)]);
        assert_eq!(told("\x1b\x1b[A"), [key(KeyCode::Esc, NONE), key(KeyCode::Up, NONE)]);
    }

    #[test]
    fn what_is_no_key_presses_none() {
        for bytes in [
            "\x1b[?62;4c",
            "\x1b[12;40R\x1b[I\x1b[O",
            "\x1b[>0;276;0c",
            "\x1bP1$r0m\x1b\\",
            "\x1b]52;c;YWJj\x07",
            "\x1b]11;rgb:\x1b\\",
            "\x1b]11;rgb:ffff/ff",
            "\x1b[12;",
            "\x1b[<0;1",
            "\x1b[<0;1;1Q",
            "\x1b[999999999999999999~",
            "\x1b[M aP",
            "\x1b[32;10;5M",
            "\x1b[?1;2A",
        ] {
            assert_eq!(told(bytes), [], "{bytes:?}");
        }
        let mut parser = Parser::default();
        assert_eq!(
            parser.take(&[0xff, 0xc3, b'a', 0x80, b'b']),
            [key(KeyCode::Char('a'), NONE), key(KeyCode::Char('b'), NONE)]
        );
    }

    #[test]
    fn the_answer_about_the_ground_is_taken_out_in_any_form() {
        for (answer, wanted) in [
            ("\x1b]11;rgb:fdfd/f6f6/e3e3\x07", (0xfd, 0xf6, 0xe3)),
            ("\x1b]11;rgb:1212/1616/1D1D\x1b\\", (0x12, 0x16, 0x1d)),
            ("\x1b]11;rgb:ff/00/80\x1b\\", (0xff, 0, 0x80)),
            ("\x1b]11;rgba:0000/0000/0000/ffff\x07", (0, 0, 0)),
        ] {
            let among = format!("b{answer}a");
            let expected = [key(KeyCode::Char('b'), NONE), Typed::Ground(wanted), key(KeyCode::Char('a'), NONE)];
            assert_eq!(told(&among), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_paste_is_text_whatever_is_in_it() {
        let paste = |text: &str| Typed::Event(Event::Paste(text.into()));
        assert_eq!(told("\x1b[200~a\x1b[Ab\r\nq\x1b[201~x"), [paste("a\x1b[Ab\r\nq"), key(KeyCode::Char('x'), NONE)]);
        let mut parser = Parser::default();
        assert_eq!(parser.take(b"\x1b[200~abc\x1b[20"), []);
        assert_eq!(parser.silence(), [], "its end is waited for");
        assert_eq!(parser.take(b"1~"), [paste("abc")]);
        let long = format!("\x1b[200~{}\x1b[201~q", "x".repeat(100_000));
        let told = told(&long);
        assert_eq!(told.len(), 2);
        assert!(matches!(&told[0], Typed::Event(Event::Paste(text)) if text.len() == LONGEST_PASTE));
    }

    #[test]
    fn the_mouse_tells_what_it_did_and_where() {
        let did = |kind, column, row| {
            Typed::Event(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
        };
        for (bytes, wanted) in [
            ("\x1b[<0;1;1M", did(MouseEventKind::Down(MouseButton::Left), 0, 0)),
            ("\x1b[<0;10;5m", did(MouseEventKind::Up(MouseButton::Left), 9, 4)),
            ("\x1b[<64;300;2M", did(MouseEventKind::ScrollUp, 299, 1)),
            ("\x1b[<65;1;0M", did(MouseEventKind::ScrollDown, 0, 0)),
            ("\x1b[<2;99999;4M", did(MouseEventKind::Down(MouseButton::Right), u16::MAX, 3)),
        ] {
            assert_eq!(told(bytes), [wanted], "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn however_the_line_tears_it_the_meaning_is_the_same(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "a", "P", "日", "\x1b[A", "\x1bOP", "\x1b[1;5C", "\x1b[200~p\x1b[A\x1b[201~", "\x1b[<0;10;5M", "\x1bx",
                "\x1b]11;rgb:ffff/0000/ffff\x1b\\", "\x1b]11;rgb:ffff/0000/ffff\x07", "\x1b[5~", "\x1b[Z", "\r",
            ]), 0..12),
            cuts in prop::collection::vec(1usize..5, 1..40),
        ) {
            let text = pieces.concat();
            let mut parser = Parser::default();
            let mut torn = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                torn.extend(parser.take(head));
                rest = tail;
            }
            torn.extend(parser.silence());
            prop_assert_eq!(torn, told(&text));
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), split in 0usize..200) {
            let mut parser = Parser::default();
            let (head, tail) = bytes.split_at(split.min(bytes.len()));
            parser.take(head);
            parser.take(tail);
            parser.silence();
            prop_assert!(parser.patience().is_none());
        }
    }
}
