//! The config file: what an operator wants of the console, and how careful it is to be on which context.
//!
//! Every key is optional. What is wrong in it costs its own key alone: it is said with file, line and column, and the
//! default stands. Nothing in it ever stops the program.

mod example;
mod reading;

pub use example::example;

use super::guard::Guard;
use super::keymap::Keymap;
use super::order::Order;
use etcetera::BaseStrategy;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Longest file that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// What the config file says. None: it says nothing of it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Name of a theme.
    pub theme: Option<String>,
    /// One of [`COLORS`].
    pub color: Option<String>,
    pub ascii: Option<bool>,
    pub mouse: Option<bool>,
    /// Whether nothing may be changed, and the line that says so.
    pub read_only: Option<(bool, usize)>,
    /// The namespace where none is given on the command line.
    pub namespace: Option<String>,
    pub order: Option<Order>,
    pub keymap: Keymap,
    /// In the order of the file: of two that match, the later holds.
    pub contexts: Vec<ContextRule>,
    /// `--read-only` was given: nothing in the file takes it back.
    pub read_only_given: bool,
    /// The theme of `--theme`: it holds on every context.
    pub theme_given: Option<String>,
}

/// What is said of the contexts that match a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextRule {
    /// A context's name; `*` stands for any characters, `?` for one.
    pub pattern: String,
    pub theme: Option<String>,
    pub read_only: Option<(bool, usize)>,
    pub protected: Option<bool>,
    /// Address of Prometheus.
    pub prometheus: Option<String>,
    /// Namespaces that are offered there, for whoever may not list them.
    pub namespaces: Option<Vec<String>>,
}

/// What may be said about colours.
pub const COLORS: [&str; 6] = ["auto", "always", "never", "16", "256", "truecolor"];

/// Something wrong in the file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    /// Both from 1 on, the column in characters; None: the file as a whole.
    pub at: Option<(usize, usize)>,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.path.display(), self.what),
            None => write!(f, "{}: {}", self.path.display(), self.what),
        }
    }
}

/// Folder of the config file: `$XDG_CONFIG_HOME/canary-tui`, else `~/.config/canary-tui`, on every system.
pub fn directory() -> Option<PathBuf> {
    Some(etcetera::base_strategy::Xdg::new().ok()?.config_dir().join("canary-tui"))
}

/// The config file, whether it is there or not. None: there is no home.
pub fn path() -> Option<PathBuf> {
    Some(directory()?.join("config.toml"))
}

/// Reads the config file, and says what is wrong in it. Without a file it is the default.
pub fn load() -> (Config, Vec<Problem>) {
    match path() {
        Some(path) => load_from(&path),
        None => Default::default(),
    }
}

/// As [`load`], from another place.
pub fn load_from(path: &Path) -> (Config, Vec<Problem>) {
    let whole = |what: String| Problem { path: path.to_owned(), at: None, what };
    let bytes = match std::fs::read(path) {
        Ok(bytes) if bytes.len() > LONGEST => {
            return (Config::default(), vec![whole("it is longer than 1 MiB".into())]);
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
        Err(error) => return (Config::default(), vec![whole(format!("it cannot be read: {error}"))]),
    };
    let text = String::from_utf8_lossy(&bytes);
    reading::read(path, &text)
}

impl Config {
    /// Whether anything may be changed on a context, and how carefully.
    pub fn guard(&self, context: &str) -> Guard {
        let read_only = match self.last(context, |rule| rule.read_only).or(self.read_only) {
            _ if self.read_only_given => Some("--read-only was given".to_string()),
            Some((true, line)) => Some(format!("the config file makes context {context} read-only (line {line})")),
            _ => None,
        };
        Guard { read_only, protected: self.last(context, |rule| rule.protected).unwrap_or(false) }
    }

    /// Name of the theme on a context.
    pub fn theme(&self, context: &str) -> Option<String> {
        if self.theme_given.is_some() {
            return self.theme_given.clone();
        }
        self.last(context, |rule| rule.theme.clone()).or_else(|| self.theme.clone())
    }

    /// Address of Prometheus on a context.
    pub fn prometheus(&self, context: &str) -> Option<String> {
        self.last(context, |rule| rule.prometheus.clone())
    }

    /// The namespaces that are offered on a context, whether or not they may be listed.
    pub fn namespaces(&self, context: &str) -> Vec<String> {
        self.last(context, |rule| rule.namespaces.clone()).unwrap_or_default()
    }

    fn last<T>(&self, context: &str, of: impl Fn(&ContextRule) -> Option<T>) -> Option<T> {
        self.contexts.iter().rev().filter(|rule| matches(&rule.pattern, context)).find_map(of)
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
