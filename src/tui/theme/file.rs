//! A theme's file: what it may say, how it rests on the themes that it inherits, and what is wrong with it, to the column.

use super::{Depth, Role, Styles, colour};
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    /// Line and column, from 1; None where it is the whole file.
    pub place: Option<(usize, usize)>,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.path, self.what),
            None => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

impl Problem {
    /// What is wrong with a file as a whole.
    pub fn of_file(path: &str, what: &str) -> Self {
        Self { path: path.into(), place: None, what: what.into() }
    }

    /// The same with the name of the file alone, where its folder is known.
    pub fn brief(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        Self { path: name.into(), ..self.clone() }.to_string()
    }
}

/// A file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// A line for the list of themes.
    #[serde(default)]
    about: String,
    /// The theme that says what this one does not.
    inherits: Option<Spanned<String>>,
    /// Names for colours. Roles of the themes that are inherited take theirs from here too.
    #[serde(default)]
    palette: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, Entry>,
}

/// One role as a file writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `#rrggbb`, a name of the palette, or the name of one of the 16 terminal colours.
    fg: Option<Spanned<String>>,
    bg: Option<Spanned<String>>,
    /// The same on a terminal with 16 colours: a terminal colour's name.
    fg16: Option<Spanned<String>>,
    bg16: Option<Spanned<String>>,
    /// Attributes at every depth.
    attributes: Option<Vec<Spanned<String>>>,
    /// Further attributes where there are no colours.
    mono: Option<Vec<Spanned<String>>>,
}

/// One file of a theme: its own, or one that it inherits.
#[derive(Debug)]
pub struct Layer {
    path: String,
    source: String,
    text: Text,
    roles: BTreeMap<Role, Entry>,
}

/// A word of a file, and which.
#[derive(Clone, Copy)]
struct Word<'a> {
    layer: &'a Layer,
    word: &'a Spanned<String>,
}

impl Layer {
    /// Reads a file's text; `path` is how the file is called where something is wrong.
    pub fn parse(path: &str, source: &str) -> Result<Self, Problem> {
        let text = Text { about: String::new(), inherits: None, palette: BTreeMap::new(), roles: BTreeMap::new() };
        let mut layer = Self { path: path.into(), source: source.into(), text, roles: BTreeMap::new() };
        let mut text: Text = toml::from_str(source).map_err(|error| {
            let what = error.message().lines().collect::<Vec<_>>().join(" ");
            layer.problem(error.span().unwrap_or_default(), what)
        })?;
        for (name, entry) in std::mem::take(&mut text.roles) {
            let Some(role) = Role::ALL.into_iter().find(|role| role.name() == name.get_ref()) else {
                let known: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
                let what = format!("there is no role {:?}: {}", name.get_ref(), known.join(", "));
                return Err(layer.problem(name.span(), what));
            };
            layer.roles.insert(role, entry);
        }
        layer.text = text;
        Ok(layer)
    }

    /// What the file says about its theme.
    pub fn about(&self) -> &str {
        &self.text.about
    }

    /// The name of the theme that this one inherits, where the file names one.
    pub fn inherits(&self) -> Option<&str> {
        self.text.inherits.as_ref().map(|name| name.get_ref().as_str())
    }

    /// What is wrong with the theme that is inherited.
    pub fn problem_of_parent(&self, what: &str) -> Problem {
        match &self.text.inherits {
            Some(name) => self.problem(name.span(), what.into()),
            None => Problem::of_file(&self.path, what),
        }
    }

    fn problem(&self, span: Range<usize>, what: String) -> Problem {
        let before = self.source.get(..span.start).unwrap_or(&self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Problem { path: self.path.clone(), place: Some((line, column)), what }
    }
}

impl Word<'_> {
    fn text(&self) -> &str {
        self.word.get_ref()
    }

    fn wrong(&self, what: String) -> Problem {
        self.layer.problem(self.word.span(), what)
    }
}

/// What is said of a role by all layers together.
#[derive(Default)]
struct Said<'a> {
    fg: Option<Word<'a>>,
    bg: Option<Word<'a>>,
    fg16: Option<Word<'a>>,
    bg16: Option<Word<'a>>,
    attributes: Vec<Word<'a>>,
    mono: Vec<Word<'a>>,
}

impl<'a> Said<'a> {
    /// From the innermost layer to the theme itself, each saying what it says anew.
    fn of(layers: &'a [Layer], role: Role) -> Self {
        let mut said = Self::default();
        for layer in layers.iter().rev() {
            let Some(entry) = layer.roles.get(&role) else { continue };
            let word = |word: &'a Spanned<String>| Word { layer, word };
            let words = |words: &'a Vec<Spanned<String>>| words.iter().map(word).collect();
            // A colour of its own is not to be shown as the inherited one on poorer terminals.
            if let Some(fg) = &entry.fg {
                (said.fg, said.fg16) = (Some(word(fg)), None);
            }
            if let Some(bg) = &entry.bg {
                (said.bg, said.bg16) = (Some(word(bg)), None);
            }
            said.fg16 = entry.fg16.as_ref().map(word).or(said.fg16);
            said.bg16 = entry.bg16.as_ref().map(word).or(said.bg16);
            said.attributes = entry.attributes.as_ref().map(words).unwrap_or(said.attributes);
            said.mono = entry.mono.as_ref().map(words).unwrap_or(said.mono);
        }
        said
    }

    fn modifiers(&self, depth: Depth) -> Result<Modifier, Problem> {
        let mut modifiers = Modifier::empty();
        for (at, word) in self.attributes.iter().chain(&self.mono).enumerate() {
            let one = match word.text() {
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "italic" => Modifier::ITALIC,
                "underlined" => Modifier::UNDERLINED,
                "reversed" => Modifier::REVERSED,
                other => {
                    let known = "bold, dim, italic, underlined, reversed";
                    return Err(word.wrong(format!("there is no attribute {other:?}: {known}")));
                }
            };
            if at < self.attributes.len() || depth == Depth::None {
                modifiers |= one;
            }
        }
        Ok(modifiers)
    }
}

/// A colour by its word: as it is written, or by its name in the palette, where the outermost layer that has it counts.
fn colour_of(word: Word, layers: &[Layer]) -> Result<Color, Problem> {
    let palette = layers.iter().find_map(|layer| Some(Word { layer, word: layer.text.palette.get(word.text())? }));
    let meant = palette.unwrap_or(word);
    colour::parse(meant.text()).ok_or_else(|| {
        let text = meant.text();
        meant.wrong(format!("{text:?} is no colour: write #rrggbb, a name of the palette or a terminal colour"))
    })
}

/// A colour for sixteen colours.
fn colour_of_sixteen(word: Word) -> Result<Color, Problem> {
    match colour::parse(word.text()) {
        Some(Color::Rgb(..)) | None => {
            let names: Vec<&str> = colour::SIXTEEN.iter().map(|(name, _, _)| *name).collect();
            Err(word.wrong(format!("{:?} is none of the 16 colours: default, {}", word.text(), names.join(", "))))
        }
        Some(colour) => Ok(colour),
    }
}

/// How the roles look at a depth, by a theme and what it inherits, the theme itself first. Everything in the files is
/// looked at whatever the depth, so that what is wrong is found at once.
pub fn style(layers: &[Layer], depth: Depth) -> Result<Styles, Problem> {
    let path = layers.first().map(|layer| layer.path.as_str()).unwrap_or_default();
    for layer in layers {
        for word in layer.text.palette.values() {
            let word = Word { layer, word };
            if colour::parse(word.text()).is_none() {
                return Err(word.wrong(format!("{:?} is no colour: write #rrggbb or a terminal colour", word.text())));
            }
        }
    }
    let mut roles = Vec::with_capacity(Role::ALL.len());
    for role in Role::ALL {
        let said = Said::of(layers, role);
        let full = |word: Option<Word>| word.map(|word| colour_of(word, layers)).transpose();
        let poor = |word: Option<Word>| word.map(colour_of_sixteen).transpose();
        let (fg, bg) = (full(said.fg)?, full(said.bg)?);
        let (fg16, bg16) = (poor(said.fg16)?, poor(said.bg16)?);
        if fg.is_none() {
            return Err(Problem::of_file(path, &format!("the role {} is missing", role.name())));
        }
        roles.push((fg, bg, fg16, bg16, said.modifiers(depth)?));
    }
    let text = &roles[Role::Text as usize];
    let (text_fg, text_bg) = (text.0.unwrap_or(Color::Reset), text.1.unwrap_or(Color::Reset));
    let reduced = |bg: Color, named: Option<Color>| match (depth, named) {
        (Depth::Sixteen, Some(named)) => named,
        _ => colour::ground(bg, depth),
    };
    let ground = reduced(text_bg, text.3);
    let mut styles = [Style::new(); Role::ALL.len()];
    for (style, (fg, bg, fg16, bg16, modifiers)) in styles.iter_mut().zip(&roles) {
        *style = style.add_modifier(*modifiers);
        if depth == Depth::None {
            continue;
        }
        // What names no background stands on the text's, so that a cell's style is always whole.
        let meant = bg.unwrap_or(text_bg);
        let fg = fg.unwrap_or(text_fg);
        let mut under = match bg {
            Some(bg) => reduced(*bg, *bg16),
            None => ground,
        };
        let mut over = match (depth, fg16) {
            (Depth::Sixteen, Some(named)) => *named,
            _ => colour::ink(fg, meant, under, depth),
        };
        // A ground of its own must stay one.
        if meant != text_bg && under == ground && ground != Color::Reset && bg16.is_none() {
            under = colour::ink(text_fg, text_bg, ground, depth);
            over = colour::ink(fg, meant, under, depth);
        }
        (style.fg, style.bg) = (Some(over), Some(under));
    }
    Ok(styles)
}
