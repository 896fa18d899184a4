//! Colours by meaning: what a role looks like in a theme, at the colour depth of the terminal.
//!
//! Views name roles, never colours. The themes are files in `themes/`, built into the binary; a terminal with 16
//! colours gets the colours that a theme names for it, one without colours the attributes.

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Ordinary text; its background is the screen's.
    Text,
    /// Labels, what is beside the point, what is old.
    Dim,
    /// Frames and connecting lines.
    Faint,
    /// Headings and the selected canary's name.
    Strong,
    /// The frame of the pane that has the keyboard, and the pointer.
    Focus,
    /// The selected row; only its background is taken where other text stands on it.
    Selected,
    Good,
    Warn,
    Bad,
    /// Something is under way.
    Active,
    /// Measurements of the primary.
    Primary,
    /// Measurements of the canary.
    Canary,
    /// The columns of their charts, and those that do not keep the limit: areas are calmer than texts.
    PrimaryChart,
    CanaryChart,
    BadChart,
    /// A limit that a measurement is held against.
    Limit,
    /// A key in the footer.
    Key,
    /// A key that does nothing now.
    KeyOff,
    /// The button that has the focus in a dialogue.
    Button,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 19] = [
        Role::Text,
        Role::Dim,
        Role::Faint,
        Role::Strong,
        Role::Focus,
        Role::Selected,
        Role::Good,
        Role::Warn,
        Role::Bad,
        Role::Active,
        Role::Primary,
        Role::Canary,
        Role::PrimaryChart,
        Role::CanaryChart,
        Role::BadChart,
        Role::Limit,
        Role::Key,
        Role::KeyOff,
        Role::Button,
    ];
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    None,
    Sixteen,
    TwoFiftySix,
    True,
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

/// The names of the built-in themes, in the order in which the key cycles through them.
pub const NAMES: [&str; 3] = ["dark", "light", "terminal"];

/// The text of a built-in theme.
fn source(name: &str) -> Option<&'static str> {
    Some(match name {
        "dark" => include_str!("../../themes/dark.toml"),
        "light" => include_str!("../../themes/light.toml"),
        "terminal" => include_str!("../../themes/terminal.toml"),
        _ => return None,
    })
}

/// One role as a theme file writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `#rrggbb`, or the name of one of the 16 terminal colours.
    fg: Option<String>,
    bg: Option<String>,
    /// The same on a terminal with 16 colours: a terminal colour's name.
    fg16: Option<String>,
    bg16: Option<String>,
    /// Attributes at every depth.
    #[serde(default)]
    attributes: Vec<String>,
    /// Further attributes where there are no colours.
    #[serde(default)]
    mono: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    roles: BTreeMap<Role, Entry>,
}

/// A theme at one depth: a style for each role.
#[derive(Clone, PartialEq)]
pub struct Theme {
    pub name: &'static str,
    styles: [Style; Role::ALL.len()],
}

impl fmt::Debug for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Theme").field(&self.name).finish()
    }
}

impl Theme {
    /// A built-in theme; the error names the themes that there are.
    pub fn named(name: &str, depth: Depth) -> Result<Self, String> {
        let Some(known) = NAMES.iter().find(|known| **known == name) else {
            return Err(format!("there is no theme {name:?}: choose one of {}", NAMES.join(", ")));
        };
        let text = source(known).unwrap_or_default();
        Self::parse(known, text, depth)
    }

    /// The theme after this one.
    pub fn next(&self, depth: Depth) -> Self {
        let at = NAMES.iter().position(|name| *name == self.name).unwrap_or(0);
        Self::named(NAMES[(at + 1) % NAMES.len()], depth).unwrap_or_else(|_| self.clone())
    }

    fn parse(name: &'static str, text: &str, depth: Depth) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| format!("theme {name}: {e}"))?;
        let mut styles = [Style::new(); Role::ALL.len()];
        for role in Role::ALL {
            let entry = file.roles.get(&role).ok_or_else(|| format!("theme {name}: role {role:?} is missing"))?;
            styles[role as usize] = entry.style(depth).map_err(|e| format!("theme {name}, role {role:?}: {e}"))?;
        }
        // What names no background stands on the text's, so that a cell's style is always whole.
        let ground = styles[Role::Text as usize];
        for style in &mut styles {
            style.fg = style.fg.or(ground.fg);
            style.bg = style.bg.or(ground.bg);
        }
        Ok(Self { name, styles })
    }

    /// How a role looks: foreground, background and attributes, all set.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }
}

impl Entry {
    fn style(&self, depth: Depth) -> Result<Style, String> {
        let mut style = Style::new();
        let (fg, bg) = match depth {
            Depth::None => (None, None),
            Depth::Sixteen => (self.fg16.as_ref(), self.bg16.as_ref()),
            Depth::TwoFiftySix | Depth::True => (self.fg.as_ref(), self.bg.as_ref()),
        };
        style.fg = fg.map(|text| color(text, depth)).transpose()?;
        style.bg = bg.map(|text| color(text, depth)).transpose()?;
        let mono = if depth == Depth::None { &self.mono[..] } else { &[] };
        for name in self.attributes.iter().chain(mono) {
            style.add_modifier |= match name.as_str() {
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "italic" => Modifier::ITALIC,
                "underlined" => Modifier::UNDERLINED,
                "reversed" => Modifier::REVERSED,
                _ => return Err(format!("there is no attribute {name:?}")),
            };
        }
        Ok(style)
    }
}

/// A colour by its text, brought to the depth.
fn color(text: &str, depth: Depth) -> Result<Color, String> {
    let named = match text {
        "default" => Color::Reset,
        "black" => Color::Black,
        "red" => Color::Red,
        "green" => Color::Green,
        "yellow" => Color::Yellow,
        "blue" => Color::Blue,
        "magenta" => Color::Magenta,
        "cyan" => Color::Cyan,
        "white" => Color::Gray,
        "bright-black" => Color::DarkGray,
        "bright-red" => Color::LightRed,
        "bright-green" => Color::LightGreen,
        "bright-yellow" => Color::LightYellow,
        "bright-blue" => Color::LightBlue,
        "bright-magenta" => Color::LightMagenta,
        "bright-cyan" => Color::LightCyan,
        "bright-white" => Color::White,
        _ => {
            let hex = text.strip_prefix('#').filter(|hex| hex.len() == 6 && hex.is_ascii());
            let value = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
            let value = value.ok_or_else(|| format!("{text:?} is no colour: write #rrggbb or a terminal colour"))?;
            let [_, r, g, b] = value.to_be_bytes();
            return match depth {
                Depth::True => Ok(Color::Rgb(r, g, b)),
                Depth::TwoFiftySix => Ok(Color::Indexed(nearest(r, g, b))),
                _ => Err(format!("{text:?} cannot be shown with 16 colours: name a terminal colour")),
            };
        }
    };
    Ok(named)
}

/// The steps of one channel in the 6x6x6 cube of the 256 colours.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of the 240 fixed colours among the 256.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    let distance = |(x, y, z): (u8, u8, u8)| {
        let part = |a: u8, b: u8, weight: i32| (i32::from(a) - i32::from(b)).pow(2) * weight;
        // The eye sees differences in green best, in blue least.
        part(r, x, 3) + part(g, y, 4) + part(b, z, 2)
    };
    let step = |value: u8| (0..6usize).min_by_key(|i| value.abs_diff(CUBE[*i])).unwrap_or(0);
    let (i, j, k) = (step(r), step(g), step(b));
    let cube = (16 + 36 * i + 6 * j + k) as u8;
    let mean = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let shade = (mean.saturating_sub(3) / 10).min(23) as u8;
    let gray = 8 + 10 * shade;
    if distance((gray, gray, gray)) < distance((CUBE[i], CUBE[j], CUBE[k])) { 232 + shade } else { cube }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTHS: [Depth; 4] = [Depth::None, Depth::Sixteen, Depth::TwoFiftySix, Depth::True];

    fn depth(vars: &[(&str, &str)]) -> Depth {
        Depth::choose(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()))
    }

    #[test]
    fn every_theme_has_every_role_at_every_depth() {
        for name in NAMES {
            for depth in DEPTHS {
                let theme = Theme::named(name, depth).unwrap();
                assert_eq!(theme.name, name);
            }
        }
        assert!(Theme::named("pink", Depth::True).unwrap_err().contains("dark, light, terminal"));
    }

    #[test]
    fn without_colours_only_attributes_are_left_and_they_tell_the_roles_apart() {
        for name in NAMES {
            let theme = Theme::named(name, Depth::None).unwrap();
            for role in Role::ALL {
                let style = theme.style(role);
                assert!(matches!((style.fg, style.bg), (None, None)), "{name} {role:?}");
            }
            for (role, wanted) in [
                (Role::Selected, Modifier::REVERSED),
                (Role::Button, Modifier::REVERSED),
                (Role::Bad, Modifier::BOLD),
                (Role::KeyOff, Modifier::DIM),
            ] {
                assert!(theme.style(role).add_modifier.contains(wanted), "{name} {role:?}");
            }
        }
    }

    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else { panic!("{color:?} is not fixed") };
        let part = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_on_its_ground_and_on_the_selected_row() {
        for name in ["dark", "light"] {
            let theme = Theme::named(name, Depth::True).unwrap();
            let ground = theme.style(Role::Text).bg.unwrap();
            let selected = theme.style(Role::Selected).bg.unwrap();
            for role in Role::ALL {
                let style = theme.style(role);
                // Frames and columns are no text, and a key that does nothing may step back.
                let least = match role {
                    Role::Faint => 1.3,
                    Role::KeyOff | Role::PrimaryChart | Role::CanaryChart | Role::BadChart => 2.4,
                    _ => 4.5,
                };
                let own = contrast(style.fg.unwrap(), style.bg.unwrap());
                assert!(own >= least, "{name} {role:?}: {own:.2}");
                if least == 4.5 && role != Role::Button {
                    let there = contrast(style.fg.unwrap(), selected);
                    assert!(there >= 4.0, "{name} {role:?} on the selected row: {there:.2}");
                }
            }
            assert!(contrast(selected, ground) >= 1.1, "{name}: the selected row shows");
        }
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
            (&[("TERM", "screen")], Depth::Sixteen),
            (&[("TERM", "xterm-kitty")], Depth::True),
            (&[("TERM", "linux")], Depth::Sixteen),
            (&[("TERM", "vt100")], Depth::None),
            (&[("TERM", "dumb")], Depth::None),
            (&[], Depth::None),
        ] {
            assert_eq!(depth(vars), wanted, "{vars:?}");
        }
    }

    #[test]
    fn colours_come_down_to_the_nearest_of_256() {
        assert_eq!(nearest(0, 0, 0), 16);
        assert_eq!(nearest(255, 255, 255), 231);
        assert_eq!(nearest(0x12, 0x12, 0x12), 233);
        assert_eq!(nearest(255, 0, 0), 196);
    }
}
