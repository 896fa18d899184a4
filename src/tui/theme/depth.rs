//! How many colours a terminal shows, by what it says of itself and what the operator says.

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    None,
    Sixteen,
    TwoFiftySix,
    True,
}

/// What the operator says about colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// As many as the terminal shows; none where NO_COLOR is set.
    #[default]
    Auto,
    /// As many as the terminal shows, whatever NO_COLOR says, sixteen at the least.
    Always,
    /// So many.
    Just(Depth),
}

impl Colours {
    /// The depth for what was said, in an environment.
    pub fn depth(self, env: impl Fn(&str) -> Option<String>) -> Depth {
        match self {
            Colours::Auto => Depth::choose(env),
            Colours::Always => {
                Depth::choose(|name| if name == "NO_COLOR" { None } else { env(name) }).max(Depth::Sixteen)
            }
            Colours::Just(depth) => depth,
        }
    }
}

impl Depth {
    /// The depth for an environment, decided from NO_COLOR, TERM, COLORTERM and the multiplexer in between.
    pub fn choose(env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default().to_ascii_lowercase();
        if set("NO_COLOR").is_some() || matches!(term.as_str(), "" | "dumb") || term.starts_with("vt") {
            return Depth::None;
        }
        let many = term.contains("256color");
        let tmux = set("TMUX").is_some() || term.starts_with("tmux");
        if term.starts_with("screen") && !tmux {
            // GNU screen takes COLORTERM over from outside but garbles 24 bit colours.
            return if many { Depth::TwoFiftySix } else { Depth::Sixteen };
        }
        let colorterm = set("COLORTERM").unwrap_or_default().to_ascii_lowercase();
        let modern = ["kitty", "ghostty", "alacritty", "wezterm", "foot", "contour"];
        if matches!(colorterm.as_str(), "truecolor" | "24bit")
            || term.ends_with("-direct")
            || modern.iter().any(|name| term.contains(name))
        {
            return Depth::True;
        }
        if many { Depth::TwoFiftySix } else { Depth::Sixteen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(colours: Colours, vars: &[(&str, &str)]) -> Depth {
        colours.depth(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()))
    }

    #[test]
    fn the_environment_decides_the_depth() {
        for (vars, wanted) in [
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")][..], Depth::True),
            (&[("TERM", "xterm-256color")], Depth::TwoFiftySix),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Depth::None),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "")], Depth::True),
            (&[("TERM", "screen-256color"), ("COLORTERM", "truecolor")], Depth::TwoFiftySix),
            (&[("TERM", "screen-256color"), ("COLORTERM", "truecolor"), ("TMUX", "/x")], Depth::True),
            (&[("TERM", "tmux-256color")], Depth::TwoFiftySix),
            (&[("TERM", "screen")], Depth::Sixteen),
            (&[("TERM", "xterm-kitty")], Depth::True),
            (&[("TERM", "linux")], Depth::Sixteen),
            (&[("TERM", "vt100")], Depth::None),
            (&[("TERM", "dumb")], Depth::None),
            (&[], Depth::None),
        ] {
            assert_eq!(depth(Colours::Auto, vars), wanted, "{vars:?}");
        }
    }

    #[test]
    fn what_the_operator_says_goes_before_the_environment() {
        let rich = &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")][..];
        assert_eq!(depth(Colours::Always, rich), Depth::True);
        assert_eq!(depth(Colours::Always, &[("TERM", "dumb")]), Depth::Sixteen);
        for just in [Depth::None, Depth::Sixteen, Depth::TwoFiftySix, Depth::True] {
            assert_eq!(depth(Colours::Just(just), rich), just);
        }
    }
}
