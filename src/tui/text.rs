//! Text that came from outside, made fit for a terminal: cleaned, measured, cut and wrapped.
//!
//! Names and messages of the cluster are data. [`clean`] is the one place where they lose their power over the
//! terminal; everything that is drawn passes through it.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for a character that cannot be seen. Not U+FFFD: some terminals swallow that one.
const UNSEEN: char = '\u{2426}';
/// Marks that may follow one base character; more would be a tower that climbs out of its line.
const MOST_MARKS: usize = 2;
/// Longest text that is kept of anything, in characters.
pub const LONGEST: usize = 2000;

/// Where a text that is too long loses its middle or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    End,
    Middle,
}

/// Makes every character visible and harmless: control characters become their pictures (`␛`), what changes the
/// direction or has no width becomes `␦`. Without `unicode`, all that is not ASCII becomes `?`.
pub fn clean(text: &str, unicode: bool) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut marks = MOST_MARKS;
    let cleaned = text.chars().map(|c| {
        let seen = visible(c, &mut marks);
        match seen {
            '\u{2400}'..='\u{2426}' if !unicode => '?',
            seen if !unicode && !seen.is_ascii() => '?',
            seen => seen,
        }
    });
    Cow::Owned(cleaned.collect())
}

/// The character to show for `c`. `marks` counts the combining marks since the last base character.
fn visible(c: char, marks: &mut usize) -> char {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or(UNSEEN),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => UNSEEN,
        c if format_character(c) => UNSEEN,
        c => match c.width() {
            None => UNSEEN,
            Some(0) if *marks >= MOST_MARKS => UNSEEN,
            Some(0) => {
                *marks += 1;
                c
            }
            Some(_) => {
                *marks = 0;
                c
            }
        },
    }
}

/// Characters that act on their neighbours or on the line and show nothing of themselves.
fn format_character(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns that a cleaned text takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(|c| c.width().unwrap_or(0)).sum() }
}

/// A cleaned text in at most `columns`; where something is lost, `mark` (one column) stands for it.
pub fn cut<'a>(text: &'a str, columns: usize, cut: Cut, mark: &str) -> Cow<'a, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(UnicodeWidthStr::width(mark)) else {
        return Cow::Borrowed("");
    };
    let tail = match cut {
        Cut::End => 0,
        Cut::Middle => room / 2,
    };
    let head = prefix(text, room - tail);
    Cow::Owned(format!("{head}{mark}{}", suffix(text, tail)))
}

/// The longest beginning of `text` that fits into `columns`.
fn prefix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > columns
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// The longest end of `text` that fits into `columns`.
fn suffix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        // A mark that has lost its base character would cling to whatever stands before it.
        if c.width().unwrap_or(0) > 0 {
            start = at;
        }
    }
    &text[start..]
}

/// A cleaned text in lines of at most `columns`, broken between words where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > columns {
            let head = prefix(word, columns);
            lines.push(head.to_string());
            word = &word[head.len()..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// At most [`LONGEST`] characters of a text, with a mark where it goes on: nobody reads more of one message, and a
/// megabyte in a field must not slow every frame down.
pub fn bounded(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_string(),
        Some((end, _)) => format!("{} [{} more bytes]", &text[..end], text.len() - end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_become_visible_marks() {
        assert_eq!(clean("a\x1b[31mb\r\n\t\x07\x7f", true), "a␛[31mb␍␊␉␇␡");
        assert_eq!(clean("\u{9b}31m \u{202e}evil\u{200b}\u{feff}", true), "␦31m ␦evil␦␦");
        assert_eq!(clean("a\x1bé→\u{202e}", false), "a????");
        assert_eq!(clean("plain", true), "plain");
    }

    #[test]
    fn towers_of_marks_are_cut_down() {
        let tower = format!("e{}", "\u{301}".repeat(50));
        assert_eq!(clean(&tower, true).chars().filter(|c| *c == '\u{301}').count(), MOST_MARKS);
    }

    #[test]
    fn what_is_cut_bears_a_mark() {
        assert_eq!(cut("jx-production-myapp", 10, Cut::End, "…"), "jx-produc…");
        assert_eq!(cut("jx-production-myapp", 10, Cut::Middle, "…"), "jx-pr…yapp");
        assert_eq!(cut("short", 10, Cut::End, "…"), "short");
        assert_eq!(cut("日本語テキスト", 6, Cut::End, "…"), "日本…");
        assert_eq!(cut("abc", 0, Cut::End, "…"), "");
    }

    #[test]
    fn wraps_between_words_and_through_long_ones() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn a_very_long_text_says_how_much_is_missing() {
        assert!(bounded(&"x".repeat(5000)).ends_with(" [3000 more bytes]"));
        assert_eq!(bounded("x"), "x");
    }

    proptest! {
        #[test]
        fn nothing_cleaned_can_act_on_the_terminal(text in any::<String>()) {
            for unicode in [true, false] {
                let cleaned = clean(&text, unicode);
                prop_assert!(!cleaned.chars().any(|c| c.is_control() || format_character(c)));
                prop_assert!(unicode || cleaned.is_ascii());
                prop_assert_eq!(clean(&cleaned, unicode), cleaned.as_ref());
            }
        }

        #[test]
        fn nothing_is_wider_than_its_room(text in any::<String>(), columns in 0usize..40) {
            let text = clean(&text, true);
            for how in [Cut::End, Cut::Middle] {
                prop_assert!(width(&cut(&text, columns, how, "…")) <= columns);
            }
            for line in wrap(&text, columns) {
                prop_assert!(width(&line) <= columns.max(2));
            }
        }

        #[test]
        fn wrapping_loses_nothing_but_spaces(text in "[a-z ]{0,60}") {
            let joined: String = wrap(&text, 7).concat();
            prop_assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        }
    }
}
