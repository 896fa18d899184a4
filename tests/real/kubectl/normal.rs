//! What two clusters never agree on, put aside: ids, times, addresses, versions of objects, names that are drawn.

use regex::Regex;
use std::sync::LazyLock;

/// What kind of text a command prints.
#[derive(Clone, Copy, PartialEq)]
pub enum Look {
    /// For people: columns, and times as ages.
    Text,
    /// YAML or JSON, where a duration is a setting.
    Data,
    /// A document as the server wrote it: the order of its fields says nothing.
    Raw,
}

/// What a command with these arguments prints.
pub fn look_of(arguments: &[&str]) -> Look {
    let data = ["yaml", "json", "diff", "explain"];
    if arguments.contains(&"--raw") {
        return Look::Raw;
    }
    if arguments.iter().any(|argument| data.contains(argument)) { Look::Data } else { Look::Text }
}

/// The text's lines without what varies, as long as they say anything.
pub fn lines(text: &str, namespace: &str, look: Look) -> Vec<String> {
    let text = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(document) if look == Look::Raw => serde_json::to_string_pretty(&document).expect("it was read from text"),
        _ => text.to_owned(),
    };
    let text = plain(&text, namespace);
    let text = if look == Look::Text { AGE.replace_all(&text, "AGE") } else { text.into() };
    let said = text.lines().filter(|line| !LOGGED.is_match(line));
    said.map(|line| columns(line.trim_end())).filter(|line| !line.is_empty()).collect()
}

/// The text without what varies in any kind of text.
pub fn plain(text: &str, namespace: &str) -> String {
    let mut text = text.replace(namespace, "NS");
    for (pattern, instead) in VARYING.iter() {
        text = pattern.replace_all(&text, *instead).into_owned();
    }
    text
}

/// Columns are as wide as what was put aside: two spaces are enough between them, and a few before the first.
fn columns(line: &str) -> String {
    let indented = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(indented);
    let indent = if indented > DEEPEST { &indent[..DEEPEST] } else { indent };
    format!("{indent}{}", GAP.replace_all(rest, "  "))
}

/// A line that begins further in begins with an empty column.
const DEEPEST: usize = 12;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of ours")
}

/// What kubectl logs of its own connections goes by how long each has lasted.
static LOGGED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\."));
static GAP: LazyLock<Regex> = LazyLock::new(|| pattern("  +"));
static AGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b\d+[smhd](\d+[smh])?\b|<invalid>"));
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    vec![
        (pattern(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UID"),
        (pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
        (pattern(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"), "TIME"),
        (pattern(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4}( \w+)?)?"), "TIME"),
        (pattern(r#"(\\*"?resourceVersion\\*"?|Resource Version):(\s*)\\*"?\d+\\*"?"#), "$1:${2}VERSION"),
        (pattern(r"https?://127\.0\.0\.1:\d+"), "SERVER"),
        (pattern(r"\b(10|127)\.\d+\.\d+\.\d+\b"), "ADDRESS"),
        (
            pattern(r"(-|hash[=:] ?)[bcdfghjklmnpqrstvwxz2456789]{6,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})\b"),
            "${1}HASH-ONE",
        ),
        (pattern(r"(-|hash[=:] ?)[bcdfghjklmnpqrstvwxz2456789]{6,10}\b"), "${1}HASH"),
        (pattern(r"(?i)(last ?(applied|promoted) ?spec: +)[a-z0-9]+"), "${1}HASH"),
        (pattern(r#""revision":"[a-z0-9-]+""#), r#""revision":"HASH""#),
        // `kubectl describe` cuts what is long, and the name before it is not equally long on both.
        (pattern(r#"(?m)("revision":"HASH").*\.\.\.$"#), "$1..."),
        // Temporary files of `kubectl diff` and of these tests.
        (pattern(r"/tmp/[\w./-]+"), "FILE"),
    ]
});
