//! Text that came from a cluster, made harmless for a terminal: one line, nothing that a terminal obeys.

/// `text` with every control character, line break, and mark that reorders or hides text written out (`\u{1b}`).
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || misleads(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// JSON text with the characters that serde leaves in strings and terminals act on written as `\u009b`. They cannot
/// stand outside strings, so the JSON stays the same.
pub fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && (c.is_control() || misleads(c)) {
            out.push_str(&format!("\\u{:04x}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

/// Bidirectional controls, zero-width characters and line separators; all of them below U+10000.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(escaped("a\u{1b}[2J\nb\u{9b}1m\u{202e}c"), "a\\u{1b}[2J\\nb\\u{9b}1m\\u{202e}c");
        assert_eq!(escaped("grün 日本 🎉"), "grün 日本 🎉");
    }

    #[test]
    fn escaped_json_reads_back_the_same() {
        let value = serde_json::json!({"a": "x\u{1b}\u{9b}\u{202e}\u{7f}é"});
        let text = escaped_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
