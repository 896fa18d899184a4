//! The themes that there are: those built in, and the operator's own files beside them.

use super::file::{self, Layer, Problem};
use super::{Depth, Theme};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The built-in themes, in the order in which they are offered.
const BUILT_IN: [(&str, &str); 8] = [
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("high-contrast-light", include_str!("../../../themes/high-contrast-light.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
    ("nord", include_str!("../../../themes/nord.toml")),
    ("gruvbox", include_str!("../../../themes/gruvbox.toml")),
    ("terminal", include_str!("../../../themes/terminal.toml")),
];

/// Stands for dark or light, whichever suits the terminal.
pub const AUTO: &str = "auto";

/// What an operator's theme takes its missing roles from where it does not say.
const USUAL_PARENT: &str = "dark";

/// Most files that are read from the operator's folder, and the longest of them, in bytes.
const MOST_FILES: usize = 200;
const LONGEST: u64 = 64 * 1024;

/// A theme's text, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    name: Arc<str>,
    /// As it stands in front of what is wrong with it.
    path: String,
    /// The text, or why it cannot be had.
    text: Result<Cow<'static, str>, String>,
    own: bool,
}

/// All themes by their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// The built-in ones first. A later one goes before an earlier one of its name.
    sources: Vec<Source>,
}

/// A theme as it is offered: what it says about itself, or what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub name: Arc<str>,
    pub about: Result<String, Problem>,
    /// Whether it is the operator's own.
    pub own: bool,
}

/// The folder of the operator's themes: `$XDG_CONFIG_HOME/canary-tui/themes`, `~/.config` where that is not set, on every
/// system. None where there is no home.
pub fn directory() -> Option<PathBuf> {
    use etcetera::base_strategy::{BaseStrategy, Xdg};
    Xdg::new().ok().map(|dirs| dirs.config_dir().join("canary-tui").join("themes"))
}

/// Whether there is a theme by a name, or it is [`AUTO`].
///
/// # Errors
/// In words: it is unknown, or what is wrong with its file, and where.
pub fn check(name: &str) -> Result<(), String> {
    match name {
        AUTO => Ok(()),
        name => Library::load(directory().as_deref()).theme(name, Depth::True).map(drop),
    }
}

impl Library {
    /// The built-in themes alone.
    pub fn built_in() -> Self {
        let source = |(name, text): (&str, &'static str)| Source {
            name: name.into(),
            path: format!("themes/{name}.toml"),
            text: Ok(Cow::Borrowed(text)),
            own: false,
        };
        Self { sources: BUILT_IN.into_iter().map(source).collect() }
    }

    /// The built-in themes, and the files `*.toml` of a folder. A folder that is not there holds none; a file that cannot be
    /// read, or is wrong, costs that one theme.
    pub fn load(folder: Option<&Path>) -> Self {
        let mut library = Self::built_in();
        let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        let mut paths: Vec<PathBuf> = entries.into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        paths.sort();
        for path in paths.into_iter().take(MOST_FILES) {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let text = if name == AUTO { Err(format!("{AUTO} cannot be a theme's name")) } else { read(&path) };
            let path = path.display().to_string();
            library.sources.push(Source { name: name.into(), path, text: text.map(Cow::Owned), own: true });
        }
        library
    }

    /// The names, in the order in which they are offered.
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for source in &self.sources {
            if !names.contains(&source.name) {
                names.push(source.name.clone());
            }
        }
        names
    }

    /// All themes with what they say about themselves; those that are wrong with what is wrong.
    pub fn offers(&self) -> Vec<Offer> {
        let offer = |name: Arc<str>| {
            let at = self.find(&name, None, true);
            let about = match at.map(|at| self.layers(at)) {
                Some(Ok(layers)) => file::style(&layers, Depth::True)
                    .map(|_| layers.first().map(|layer| layer.about().to_string()).unwrap_or_default()),
                Some(Err(problem)) => Err(problem),
                None => Ok(String::new()),
            };
            Offer { about, own: at.is_some_and(|at| self.sources[at].own), name }
        };
        self.names().into_iter().map(offer).collect()
    }

    /// A theme at a depth.
    ///
    /// # Errors
    /// In words: it is unknown, and which there are; or what is wrong with its file, and where.
    pub fn theme(&self, name: &str, depth: Depth) -> Result<Theme, String> {
        let Some(at) = self.find(name, None, true) else {
            return Err(format!("there is no theme {name:?}: choose one of {AUTO}, {}", self.names().join(", ")));
        };
        let styles = self.layers(at).and_then(|layers| file::style(&layers, depth)).map_err(|e| e.to_string())?;
        Ok(Theme::new(self.sources[at].name.clone(), styles))
    }

    /// The place of a theme by its name; `but` is left out, and the operator's own are where they do not count.
    fn find(&self, name: &str, but: Option<usize>, own: bool) -> Option<usize> {
        (0..self.sources.len()).rev().find(|at| {
            let source = &self.sources[*at];
            &*source.name == name && Some(*at) != but && (own || !source.own)
        })
    }

    /// A theme and what it inherits from, the theme itself first.
    fn layers(&self, at: usize) -> Result<Vec<Layer>, Problem> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut way = Vec::new();
        let mut next = Some(at);
        while let Some(at) = next {
            let source = &self.sources[at];
            way.push(at);
            let text = source.text.as_ref().map_err(|why| Problem::of_file(&source.path, why))?;
            let layer = Layer::parse(&source.path, text)?;
            let usual = if source.own { Some(USUAL_PARENT) } else { None };
            next = match layer.inherits().or(usual) {
                None => None,
                Some(parent) => {
                    // A theme that bears its parent's name stands before it; a built-in one rests on built-in ones.
                    let found = self.find(parent, Some(at), source.own);
                    let Some(found) = found else {
                        let what = format!("there is no theme {parent:?} to inherit: {}", self.names().join(", "));
                        return Err(layer.problem_of_parent(&what));
                    };
                    if way.contains(&found) {
                        let names: Vec<&str> = way.iter().chain([&found]).map(|at| &*self.sources[*at].name).collect();
                        return Err(layer.problem_of_parent(&format!("a circle: {}", names.join(" inherits "))));
                    }
                    Some(found)
                }
            };
            layers.push(layer);
        }
        Ok(layers)
    }
}

/// The text of a file that is one, and not too long.
fn read(path: &Path) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?;
    // A pipe of that name would never end.
    if !about.is_file() {
        return Err("is no file".into());
    }
    if about.len() > LONGEST {
        return Err(format!("is longer than {} KiB", LONGEST / 1024));
    }
    std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))
}
