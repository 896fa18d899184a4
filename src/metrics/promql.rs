//! PromQL as text: how names are put into it, and how it is made short.

/// `text` as the inside of a double-quoted PromQL string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            // Other control characters have no business in a name; PromQL takes them by number.
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// `text` as the inside of a double-quoted PromQL string that is used as a regular expression and is to match nothing
/// but `text` itself.
pub fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    quoted(&pattern)
}

/// Runs of white space outside strings made one space, as Flagger sends its queries.
pub fn collapsed(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let mut quote = None;
    let mut escaped = false;
    let mut gap = false;
    for c in query.trim().chars() {
        if quote.is_none() && c.is_whitespace() {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
        }
        out.push(c);
        quote = match quote {
            None if matches!(c, '"' | '\'' | '`') => Some(c),
            Some(open) if c == open && !escaped => None,
            open => open,
        };
        // A backslash means nothing between backticks.
        escaped = c == '\\' && !escaped && quote.is_some_and(|open| open != '`');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_string() {
        assert_eq!(quoted(r#"a"} or vector(1) #\"#), r#"a\"} or vector(1) #\\"#);
        assert_eq!(quoted("a\nb\u{1b}"), "a\\nb\\u001b");
    }

    #[test]
    fn a_name_in_a_pattern_matches_itself_alone() {
        assert_eq!(literal("web.v2"), r"web\\.v2");
        assert_eq!(literal("a|.*"), r"a\\|\\.\\*");
        assert_eq!(literal("web-primary"), "web-primary");
    }

    #[test]
    fn white_space_is_collapsed_outside_strings_only() {
        assert_eq!(collapsed("  sum(\n    rate(x{a=\"b  c\"}[1m])\n)  "), "sum( rate(x{a=\"b  c\"}[1m]) )");
        assert_eq!(collapsed("x{a=\"\\\"  \"}  y"), "x{a=\"\\\"  \"} y");
    }
}
