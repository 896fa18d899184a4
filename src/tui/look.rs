//! How the console looks: the theme that is worn, the colours and shapes that the terminal has, and which themes there are.

use super::glyphs::{self, Glyphs};
use super::theme::{AUTO, Colours, Depth, Library, Theme, colour};
use std::path::PathBuf;
use std::sync::Arc;

/// What the operator says about the look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name of a theme; None is [`AUTO`]: dark or light, as the terminal's ground is, or the terminal's own colours where
    /// it has only sixteen.
    pub theme: Option<String>,
    pub colours: Colours,
    /// Draw with ASCII alone, whatever the locale says.
    pub ascii: bool,
    /// Folder of the operator's own themes.
    pub themes: Option<PathBuf>,
}

/// How the console looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub theme: Theme,
    pub depth: Depth,
    pub glyphs: &'static Glyphs,
    /// The themes that there are.
    pub themes: Arc<Library>,
    /// What was chosen: the name of a theme, or [`AUTO`].
    pub chosen: Arc<str>,
    /// Whether the terminal's own ground is light, where that is known.
    pub light: Option<bool>,
}

impl Look {
    /// The look for an environment.
    ///
    /// # Errors
    /// In words, where the theme that is wanted is unknown or wrong.
    pub fn new(wanted: &Wanted, env: impl Fn(&str) -> Option<String> + Copy) -> Result<Self, String> {
        let themes = Arc::new(Library::load(wanted.themes.as_deref()));
        let depth = wanted.colours.depth(env);
        let glyphs = if wanted.ascii { &glyphs::ASCII } else { glyphs::choose(env) };
        let (chosen, light) = (wanted.theme.as_deref().unwrap_or(AUTO), ground_of_environment(env));
        let theme = tailored(&themes, chosen, depth, light)?;
        Ok(Self { theme, depth, glyphs, themes, chosen: chosen.into(), light })
    }

    /// Puts a theme on, by its name or [`AUTO`]. What was worn before stays where that fails.
    ///
    /// # Errors
    /// In words, where it is unknown or wrong.
    pub fn wear(&mut self, name: &str) -> Result<(), String> {
        self.theme = self.tailored(name)?;
        self.chosen = name.into();
        Ok(())
    }

    /// What the terminal's ground is, as the terminal itself says. Changes the theme where that was left to it.
    pub fn learn(&mut self, ground: colour::Rgb) {
        self.light = Some(is_light(ground));
        if &*self.chosen == AUTO
            && let Ok(theme) = self.tailored(AUTO)
        {
            self.theme = theme;
        }
    }

    /// Whether the terminal's ground decides on the theme.
    pub fn asks_for_ground(&self) -> bool {
        &*self.chosen == AUTO && self.depth > Depth::Sixteen
    }

    /// A theme by its name or [`AUTO`], at the terminal's depth.
    ///
    /// # Errors
    /// In words, where it is unknown or wrong.
    pub fn tailored(&self, name: &str) -> Result<Theme, String> {
        tailored(&self.themes, name, self.depth, self.light)
    }
}

fn tailored(themes: &Library, name: &str, depth: Depth, light: Option<bool>) -> Result<Theme, String> {
    let name = match (name, depth) {
        (AUTO, Depth::Sixteen) => "terminal",
        (AUTO, _) if light == Some(true) => "light",
        (AUTO, _) => "dark",
        (name, _) => name,
    };
    themes.theme(name, depth)
}

/// Whether dark text stands on a ground better than light text.
fn is_light(ground: colour::Rgb) -> bool {
    // Where black and white contrast alike.
    colour::luminance(ground) > 0.179
}

/// What some terminals tell of their ground at once: `COLORFGBG` is `15;0` or `0;default;15`.
fn ground_of_environment(env: impl Fn(&str) -> Option<String>) -> Option<bool> {
    let value = env("COLORFGBG")?;
    let index: usize = value.rsplit(';').next()?.parse().ok()?;
    colour::SIXTEEN.get(index).map(|(_, _, rgb)| is_light(*rgb))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Vars = &'static [(&'static str, &'static str)];

    fn look(theme: Option<&str>, vars: Vars) -> Result<Look, String> {
        let env = move |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
        Look::new(&Wanted { theme: theme.map(Into::into), ..Wanted::default() }, env)
    }

    const RICH: Vars = &[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];

    #[test]
    fn sixteen_colours_are_the_terminals_own() {
        let poor = look(None, &[("TERM", "xterm"), ("LANG", "C.UTF-8")]).unwrap();
        assert_eq!((&*poor.theme.name, poor.depth, poor.glyphs.unicode), ("terminal", Depth::Sixteen, true));
        assert!(!poor.asks_for_ground(), "it is not covered");
        let rich = look(None, &[("TERM", "xterm-256color"), ("LANG", "C")]).unwrap();
        assert_eq!((&*rich.theme.name, rich.glyphs.unicode), ("dark", false));
        assert!(look(Some("pink"), &[]).is_err());
    }

    #[test]
    fn the_terminals_ground_decides_until_a_theme_is_chosen() {
        let mut look = look(None, RICH).unwrap();
        assert!(look.asks_for_ground());
        look.learn((0xfd, 0xf6, 0xe3));
        assert_eq!(&*look.theme.name, "light");
        look.learn((0, 0x2b, 0x36));
        assert_eq!(&*look.theme.name, "dark");
        look.wear("nord").unwrap();
        look.learn((255, 255, 255));
        assert_eq!(&*look.theme.name, "nord");
        look.wear(AUTO).unwrap();
        assert_eq!(&*look.theme.name, "light", "what was learnt is remembered");
        assert!(look.wear("pink").is_err());
        assert_eq!((&*look.theme.name, &*look.chosen), ("light", AUTO));
    }

    #[test]
    fn what_the_environment_says_of_the_ground_holds_until_the_terminal_answers() {
        for (value, wanted) in
            [("0;15", "light"), ("15;0", "dark"), ("0;default;7", "light"), ("x", "dark"), ("1;99", "dark")]
        {
            let vars: Vars = Box::leak(Box::new([("TERM", "xterm-256color"), ("COLORFGBG", value)]));
            assert_eq!(&*look(None, vars).unwrap().theme.name, wanted, "{value}");
        }
        let mut named = look(Some("dark"), &[("TERM", "xterm-256color"), ("COLORFGBG", "0;15")]).unwrap();
        assert!(!named.asks_for_ground());
        named.learn((255, 255, 255));
        assert_eq!(&*named.theme.name, "dark");
    }

    #[test]
    fn ascii_is_had_for_the_asking() {
        let env = |name: &str| (name == "LANG").then(|| "C.UTF-8".to_string()).or(Some("xterm-256color".into()));
        assert!(!Look::new(&Wanted { ascii: true, ..Wanted::default() }, env).unwrap().glyphs.unicode);
    }
}
