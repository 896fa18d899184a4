//! Regular expressions as Prometheus reads them: in Go's dialect, and for the whole text.
//!
//! The dialect here is near to Go's, and where the two part, the pattern is rewritten so that it means what it means
//! there: `\d`, `\w`, `\s` and `\b` are ASCII, a `[` within a class is a character, and so is a `{` that counts nothing.
//! What cannot be rewritten is refused.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// Compiles a pattern that must match the whole text. The error says what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern)?;
    Regex::new(&format!("^(?:{translated})$")).map_err(|_| format!("illegal regex for {pattern}"))
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => escape(&mut chars, false, &mut out)?,
            '[' => class(&mut chars, &mut out)?,
            '(' => group(&mut chars, &mut out)?,
            '{' if !counts(chars.clone()) => out.push_str(r"\{"),
            other => out.push(other),
        }
    }
    Ok(out)
}

fn refused(what: &str) -> String {
    format!("{what} in a regular expression is not supported")
}

/// What follows a backslash.
fn escape(chars: &mut Peekable<Chars<'_>>, in_class: bool, out: &mut String) -> Result<(), String> {
    let Some(char) = chars.next() else {
        return Err("a regular expression ends with a backslash".to_owned());
    };
    let ascii = match char.to_ascii_lowercase() {
        'd' => Some("0-9"),
        'w' => Some("0-9A-Za-z_"),
        's' => Some(r"\t\n\x0C\r "),
        _ => None,
    };
    match (char, ascii) {
        (_, Some(ascii)) if char.is_ascii_uppercase() => out.push_str(&format!("[^{ascii}]")),
        (_, Some(ascii)) => out.push_str(&format!("[{ascii}]")),
        ('b', _) if !in_class => out.push_str(r"(?-u:\b)"),
        ('p' | 'P' | 'x', _) => {
            out.extend(['\\', char]);
            if chars.peek() == Some(&'{') {
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == '}' {
                        break;
                    }
                }
            }
        }
        ('a' | 'f' | 't' | 'n' | 'r' | 'v', _) => out.extend(['\\', char]),
        ('A' | 'z', _) if !in_class => out.extend(['\\', char]),
        // These two mean something else when escaped.
        ('<' | '>', _) => out.push(char),
        (other, _) if other.is_ascii_punctuation() => out.extend(['\\', other]),
        (other, _) => return Err(refused(&format!("\\{other}"))),
    }
    Ok(())
}

/// A class in brackets, after the first.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut is_first = true;
    while let Some(char) = chars.next() {
        match char {
            ']' if !is_first => {
                out.push(']');
                return Ok(());
            }
            '\\' => escape(chars, true, out)?,
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '-' if chars.peek() == Some(&'-') => return Err(refused("-- within a class")),
            ']' | '[' | '&' | '~' => out.extend(['\\', char]),
            other => out.push(other),
        }
        is_first = false;
    }
    Err("a class in a regular expression does not end".to_owned())
}

/// What follows an opening parenthesis: its flags must be such as Go has.
fn group(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('(');
    if chars.next_if_eq(&'?').is_none() {
        return Ok(());
    }
    out.push('?');
    if chars.peek().is_some_and(|char| matches!(char, 'P' | '<')) {
        return Ok(());
    }
    while let Some(flag) = chars.next_if(|char| !matches!(char, ':' | ')')) {
        if !matches!(flag, 'i' | 'm' | 's' | 'U' | '-') {
            return Err(refused(&format!("the flag {flag}")));
        }
        out.push(flag);
    }
    Ok(())
}

/// Whether what follows a brace is `n}`, `n,}` or `n,m}`.
fn counts(mut chars: Peekable<Chars<'_>>) -> bool {
    let mut digits = || std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).count();
    if digits() == 0 {
        return false;
    }
    match chars.next() {
        Some(',') => {
            while chars.next_if(char::is_ascii_digit).is_some() {}
            chars.next() == Some('}')
        }
        end => end == Some('}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
    }

    #[test]
    fn classes_are_ascii_as_in_go() {
        for (pattern, text, matched) in [
            (r"\d+", "10", true),
            (r"\d", "٣", false),
            (r"\D", "٣", true),
            (r"\w+", "unicode_1", true),
            (r"\w+", "ünicode", false),
            (r"[\w-]+", "a-b", true),
            (r"[^\W]", "ü", false),
            (r"[\S]", "\u{a0}", true),
            (r"a\b.*", "aü", true),
            (r"\pL+", "ü", true),
            (r"\p{Greek}", "λ", true),
            (r"\x{e9}", "é", true),
            (r"[[:alpha:]]", "ü", false),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn characters_that_mean_more_here_than_in_go_are_characters() {
        for (pattern, text) in [
            ("[a[b]+", "[ab"),
            ("[]a]+", "]a"),
            ("[a&&b]+", "a&b"),
            ("[a~~b]+", "~"),
            (r"\<\>", "<>"),
            ("a{b}", "a{b}"),
            ("a{,3}", "a{,3}"),
            ("a{2,}", "aaa"),
            ("(?i)A", "a"),
            ("(?P<x>a)|(?:b)", "b"),
            (r"web\.v2", "web.v2"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in [r"\B", r"\Qa\E", r"(?x)a b", "[a--b]", r"\1", "[a", "a\\", r"\u{e9}", "("] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
