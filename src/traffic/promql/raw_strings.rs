//! Strings between backticks, written anew between double quotes: the parser takes a backslash in them for an escape.

use std::borrow::Cow;

/// The same query without strings between backticks.
pub(super) fn requoted(query: &str) -> Cow<'_, str> {
    if !query.contains('`') {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len() + 16);
    let mut chars = query.chars();
    while let Some(char) = chars.next() {
        match char {
            '`' => requote(&mut chars, &mut out),
            '"' | '\'' => {
                out.push(char);
                copy_string(&mut chars, char, &mut out);
            }
            '#' => {
                out.push(char);
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == '\n' {
                        break;
                    }
                }
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

fn requote(chars: &mut std::str::Chars<'_>, out: &mut String) {
    out.push('"');
    for char in chars.by_ref() {
        match char {
            '`' => {
                out.push('"');
                return;
            }
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str(r#"\""#),
            '\n' => out.push_str(r"\n"),
            other => out.push(other),
        }
    }
    // It does not end, and neither does what is written for it.
}

fn copy_string(chars: &mut std::str::Chars<'_>, quote: char, out: &mut String) {
    while let Some(char) = chars.next() {
        out.push(char);
        if char == quote {
            return;
        }
        if char == '\\' {
            out.extend(chars.next());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_changes() {
        for (query, written) in [
            (r"a{b=~`c\.d`}", r#"a{b=~"c\\.d"}"#),
            ("`a\"b\nc`", r#""a\"b\nc""#),
            (r#"a{b="`\"`"} + `c`"#, r#"a{b="`\"`"} + "c""#),
            ("a # `\n + `b`", "a # `\n + \"b\""),
            ("`open", "\"open"),
            ("plain", "plain"),
        ] {
            assert_eq!(requoted(query), written);
        }
    }
}
