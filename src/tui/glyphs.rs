//! The shapes that the console draws with: Unicode, or ASCII where the terminal or the locale has nothing else.

/// One set of shapes. Each takes one column, but for the two comparisons.
#[derive(Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Whether characters beyond ASCII may be sent at all.
    pub unicode: bool,
    /// Corners (top left, top right, bottom left, bottom right), horizontal and vertical line.
    pub frame: [&'static str; 6],
    /// The eight heights of a column, lowest first.
    pub levels: [&'static str; 8],
    /// The limit's line through a chart.
    pub limit: &'static str,
    pub bar_full: &'static str,
    pub bar_empty: &'static str,
    pub passed: &'static str,
    pub failed: &'static str,
    pub current: &'static str,
    pub open: &'static str,
    pub half: &'static str,
    pub paused: &'static str,
    pub warning: &'static str,
    pub pointer: &'static str,
    pub arrow: &'static str,
    /// Stands where a text was cut.
    pub cut: &'static str,
    pub dash: &'static str,
    pub dot: &'static str,
    pub at_least: &'static str,
    pub at_most: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

/// Shapes that every monospaced font of the last twenty years has.
pub static UNICODE: Glyphs = Glyphs {
    unicode: true,
    frame: ["╭", "╮", "╰", "╯", "─", "│"],
    levels: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    limit: "╌",
    bar_full: "█",
    bar_empty: "░",
    passed: "✓",
    failed: "✗",
    current: "●",
    open: "○",
    half: "◐",
    paused: "■",
    warning: "▲",
    pointer: "▸",
    arrow: "→",
    cut: "…",
    dash: "–",
    dot: "·",
    at_least: "≥",
    at_most: "≤",
    up: "↑",
    down: "↓",
};

/// For terminals and locales that know ASCII alone.
pub static ASCII: Glyphs = Glyphs {
    unicode: false,
    frame: ["+", "+", "+", "+", "-", "|"],
    levels: ["_", ".", ":", "-", "=", "+", "*", "#"],
    limit: "-",
    bar_full: "#",
    bar_empty: ".",
    passed: "+",
    failed: "x",
    current: "@",
    open: "o",
    half: "%",
    paused: "=",
    warning: "!",
    pointer: ">",
    arrow: ">",
    cut: "~",
    dash: "-",
    dot: "|",
    at_least: ">=",
    at_most: "<=",
    up: "^",
    down: "v",
};

/// The set for an environment: ASCII where the locale (`LC_ALL`, else `LC_CTYPE`, else `LANG`) is not UTF-8, and on
/// terminals whose font holds little more.
pub fn choose(env: impl Fn(&str) -> Option<String>) -> &'static Glyphs {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if matches!(set("TERM").as_deref(), None | Some("linux" | "dumb")) {
        return &ASCII;
    }
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let codeset = locale.to_ascii_lowercase().replace('-', "");
    if codeset.contains("utf8") { &UNICODE } else { &ASCII }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)]) -> bool {
        choose(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string())).unicode
    }

    #[test]
    fn the_locale_decides_in_the_order_of_posix() {
        assert!(chosen(&[("TERM", "xterm"), ("LANG", "en_US.UTF-8")]));
        assert!(chosen(&[("TERM", "xterm"), ("LANG", "C"), ("LC_CTYPE", "C.utf8")]));
        assert!(!chosen(&[("TERM", "xterm"), ("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]));
        assert!(chosen(&[("TERM", "xterm"), ("LANG", "de_DE.UTF-8"), ("LC_ALL", "")]));
        assert!(!chosen(&[("TERM", "xterm"), ("LANG", "de_DE.ISO-8859-1")]));
        assert!(!chosen(&[("TERM", "xterm")]));
    }

    #[test]
    fn poor_terminals_get_ascii() {
        assert!(!chosen(&[("TERM", "linux"), ("LANG", "en_US.UTF-8")]));
        assert!(!chosen(&[("TERM", "dumb"), ("LANG", "en_US.UTF-8")]));
        assert!(!chosen(&[("LANG", "en_US.UTF-8")]));
    }

    #[test]
    fn every_shape_takes_one_column_and_ascii_is_ascii() {
        for set in [&UNICODE, &ASCII] {
            let single = [
                set.limit,
                set.bar_full,
                set.bar_empty,
                set.passed,
                set.failed,
                set.current,
                set.open,
                set.half,
                set.paused,
                set.warning,
                set.pointer,
                set.arrow,
                set.cut,
                set.dash,
                set.dot,
                set.up,
                set.down,
            ];
            for shape in single.iter().chain(&set.frame).chain(&set.levels) {
                assert_eq!(crate::tui::text::width(shape), 1, "{shape}");
                assert!(set.unicode || shape.is_ascii(), "{shape}");
            }
        }
    }
}
