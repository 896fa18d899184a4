//! Text of a cluster, made harmless for the two languages that a report is written in.

/// Without anything that a reader obeys: one line, no control characters, no marks that reorder or hide.
fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|c| match c {
        '\n' | '\t' | '\r' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}' => {
            '\u{fffd}'
        }
        // No XML can hold these two, and nothing else either.
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    })
}

/// For Markdown, in a table or outside: what would mean something is escaped.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text) {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// For a fenced block: kept as it is, and longer than any fence in it the fence.
pub fn fenced(language: &str, text: &str) -> String {
    let text: String = plain(text).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

/// For XML, in text and in attributes.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text) {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_means_anything() {
        assert_eq!(markdown("a|b\n**c** <d> [e](f)\u{1b}[2J"), "a\\|b \\*\\*c\\*\\* &lt;d> \\[e\\](f)\u{fffd}\\[2J");
        assert_eq!(xml("<a b='c'>&\"\u{0}\u{202e}"), "&lt;a b=&apos;c&apos;&gt;&amp;&quot;\u{fffd}\u{fffd}");
        assert_eq!(fenced("promql", "a ``` b"), "````promql\na ``` b\n````\n");
    }
}
