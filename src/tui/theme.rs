//! Colours by meaning: what a role looks like in a theme, at the colour depth of the terminal.
//!
//! Views name roles, never colours. The themes are files in `themes/`, built into the binary, and the operator's own; a
//! terminal with 16 colours gets the colours that a theme names for it or the nearest, one without colours the attributes.

pub mod colour;
mod depth;
mod file;
mod library;

pub use depth::{Colours, Depth};
pub use file::Problem;
pub use library::{AUTO, Library, Offer, check, directory};

use ratatui::style::{Color, Style};
use std::fmt;
use std::sync::Arc;

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// The word for it in a theme's file.
    pub fn name(self) -> &'static str {
        match self {
            Role::Text => "text",
            Role::Dim => "dim",
            Role::Faint => "faint",
            Role::Strong => "strong",
            Role::Focus => "focus",
            Role::Selected => "selected",
            Role::Good => "good",
            Role::Warn => "warn",
            Role::Bad => "bad",
            Role::Active => "active",
            Role::Primary => "primary",
            Role::Canary => "canary",
            Role::PrimaryChart => "primary-chart",
            Role::CanaryChart => "canary-chart",
            Role::BadChart => "bad-chart",
            Role::Limit => "limit",
            Role::Key => "key",
            Role::KeyOff => "key-off",
            Role::Button => "button",
        }
    }
}

/// A style for each role, in the order of [`Role::ALL`].
type Styles = [Style; Role::ALL.len()];

/// A theme at one depth: a style for each role.
#[derive(Clone, PartialEq)]
pub struct Theme {
    pub name: Arc<str>,
    styles: Styles,
    /// Foregrounds on the selected row: a role's own, or the row's where that could not be read there.
    on_selected: [Option<Color>; Role::ALL.len()],
}

impl fmt::Debug for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Theme").field(&self.name).finish()
    }
}

impl Theme {
    /// A built-in theme; the error names the themes that there are.
    pub fn named(name: &str, depth: Depth) -> Result<Self, String> {
        Library::built_in().theme(name, depth)
    }

    fn new(name: Arc<str>, styles: Styles) -> Self {
        let row = styles[Role::Selected as usize];
        let on_selected = styles.map(|style| {
            let (Some(fg), Some(bg), Some(ground)) = (style.fg, style.bg, row.bg) else { return style.fg };
            let wanted = colour::contrast(fg, bg).unwrap_or(colour::READABLE).min(colour::READABLE);
            let reads = colour::contrast(fg, ground).is_none_or(|there| there >= wanted);
            if reads { Some(fg) } else { row.fg }
        });
        Self { name, styles, on_selected }
    }

    /// How a role looks: foreground, background and attributes, all set where there are colours.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The foreground of a role on the selected row.
    pub fn on_selected(&self, role: Role) -> Option<Color> {
        self.on_selected[role as usize]
    }
}

#[cfg(test)]
mod tests;
