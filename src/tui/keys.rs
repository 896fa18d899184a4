//! The keys: one table of what they do, when, and how they are called.
//!
//! Dispatch, the footer, the help, the palette and the README's table are all read from it, so that none of them can lie.
//! What the config file makes of it is in `keymap`.

use super::keymap::Bound;
use super::model::{Model, Overlay};
use super::reading::Topic;
use super::row::Key;
use crate::api::Verb;
use crate::rollout;
use crossterm::event::{KeyCode, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Start,
    /// Pause, or resume where it is paused.
    Hold,
    Advance,
    Promote,
    Abort,
    /// Open the gate that holds the rollout.
    Open,
    Charts,
    Events,
    /// What is to be read about the selected canary.
    Read(Topic),
    Filter,
    /// The next line that holds what is looked for, and the one before.
    NextHit,
    PreviousHit,
    Scope,
    Order,
    Theme,
    Mouse,
    Copy,
    /// Write down the selected canary's rollout.
    Report,
    NextPane,
    /// One pane alone, or all of them.
    Zoom,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Back,
    Help,
    Quit,
    Suspend,
    Repaint,
    /// Everything that can be done, to be typed.
    Palette,
    /// Another namespace, another context: typed in the palette.
    Namespace,
    Context,
    Yes,
    Choose,
    Turn,
    /// In a question: to the next answer or field, and to the one before.
    NextField,
    PreviousField,
    /// In a question: give a reason.
    Reason,
    /// In the palette: take over what is chosen, to go on typing.
    Complete,
    Accept,
    /// In the charts: the cursor to an earlier or a later instant.
    Earlier,
    Later,
    /// In the charts: a longer or a shorter time.
    Longer,
    Shorter,
    /// In the charts: one metric large, or all of them small.
    Enlarge,
}

impl Action {
    /// Its name in the config file and in the palette: the variant's in kebab-case, or a better known word.
    pub fn name(self) -> String {
        match self {
            Action::Hold => "pause".into(),
            Action::Advance => "next-step".into(),
            Action::Open => "open-gate".into(),
            Action::Order => "sort".into(),
            Action::Read(topic) => kebab(&format!("{topic:?}")),
            other => kebab(&format!("{other:?}")),
        }
    }

    /// Whether it moves in what is shown.
    pub fn travels(self) -> bool {
        use Action::{Bottom, Down, PageDown, PageUp, Top, Up};
        matches!(self, Up | Down | PageUp | PageDown | Top | Bottom)
    }

    /// Whether it ends in a request that changes the cluster. Where nothing may be changed, these are refused.
    pub fn mutates(self) -> bool {
        matches!(self, Action::Start | Action::Hold | Action::Advance | Action::Promote | Action::Abort | Action::Open)
    }
}

fn kebab(camel: &str) -> String {
    let mut text = String::new();
    for c in camel.chars() {
        match c {
            c if c.is_ascii_uppercase() && !text.is_empty() => text.extend(['-', c.to_ascii_lowercase()]),
            c if c.is_ascii_alphanumeric() => text.push(c.to_ascii_lowercase()),
            _ => {}
        }
    }
    text
}

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Main,
    /// A question with Yes and No.
    Question,
    /// The list of versions.
    Versions,
    /// Help, events, and what is read about one canary.
    Reading,
    /// What is looked for in there is being typed.
    Find,
    /// The list of themes.
    Themes,
    /// The charts.
    Charts,
    /// The filter is being typed.
    Filter,
    /// The list of everything that can be done; letters are typed into it.
    Palette,
    /// A field of a question is being typed.
    Field,
    /// Everywhere.
    Any,
}

impl Place {
    /// Whether the config file leaves its keys alone: letters are typed there, or an answer hangs on them.
    pub fn fixed(self) -> bool {
        // All of them are named, so that whoever adds a place decides.
        match self {
            Place::Main | Place::Reading | Place::Charts => false,
            Place::Question | Place::Versions | Place::Filter | Place::Find => true,
            Place::Themes | Place::Palette | Place::Field | Place::Any => true,
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    pub place: Place,
    /// None: the palette alone has it, until the config file gives it a key.
    pub presses: &'static [Press],
    /// The key as it is written; empty where there is none.
    pub key: &'static str,
    pub action: Action,
    /// One or two words, for the footer; empty keeps it out of there.
    pub label: &'static str,
    /// A sentence, for the help.
    pub help: &'static str,
}

/// A key with its modifiers; Shift is part of the character.
pub type Press = (KeyCode, KeyModifiers);

const fn key(code: KeyCode) -> Press {
    (code, KeyModifiers::NONE)
}

const fn letter(c: char) -> Press {
    key(KeyCode::Char(c))
}

const fn control(c: char) -> Press {
    (KeyCode::Char(c), KeyModifiers::CONTROL)
}

/// The table.
pub const TABLE: &[Binding] = &[
    Binding {
        place: Place::Main,
        presses: &[letter('s')],
        key: "s",
        action: Action::Start,
        label: "start",
        help: "Start a rollout: choose a version, or try a failed one again",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('p')],
        key: "p",
        action: Action::Hold,
        label: "pause",
        help: "Hold the weight where it is, or go on; a failing canary is rolled back all the same",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('a')],
        key: "a",
        action: Action::Abort,
        label: "abort",
        help: "Give all traffic back to the last promoted version, now",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('P')],
        key: "P",
        action: Action::Promote,
        label: "promote",
        help: "Promote now, without the remaining checks",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('n')],
        key: "n",
        action: Action::Advance,
        label: "next step",
        help: "Run the checks now, and take the next step if they pass",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('O')],
        key: "O",
        action: Action::Open,
        label: "open gate",
        help: "Open the gate at which the rollout waits, for this revision",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Charts,
        label: "charts",
        help: "Show the selected canary's measurements over time: h and l read an instant, [ and ] turn the time",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('e')],
        key: "e",
        action: Action::Events,
        label: "events",
        help: "Read the events in full",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('w')],
        key: "w",
        action: Action::Read(Topic::Why),
        label: "why",
        help: "Read why: each check with its query, what the rollout waits for, why it failed",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('r')],
        key: "r",
        action: Action::Read(Topic::Routes),
        label: "",
        help: "Read where it is served: hosts, gateways, addresses, and the weights as the routes have them",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('d')],
        key: "d",
        action: Action::Read(Topic::Describe),
        label: "",
        help: "Read the Canary as it is, with its status, as YAML",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('D')],
        key: "D",
        action: Action::Read(Topic::Diff),
        label: "",
        help: "Read what the new revision changes against the primary",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('/')],
        key: "/",
        action: Action::Filter,
        label: "filter",
        help: "Find canaries by a few letters of their names",
    },
    Binding {
        place: Place::Main,
        presses: &[letter(':')],
        key: ":",
        action: Action::Palette,
        label: "",
        help: "Find and do anything by its name, as in :promote, :theme NAME, :sort ORDER",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('N')],
        key: "N",
        action: Action::Namespace,
        label: "",
        help: "Show the canaries of another namespace, or with * of all of them",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('C')],
        key: "C",
        action: Action::Context,
        label: "",
        help: "Go to another context of the kubeconfig",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('?'), key(KeyCode::F(1))],
        key: "?",
        action: Action::Help,
        label: "help",
        help: "Show this list",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('q')],
        key: "q",
        action: Action::Quit,
        label: "quit",
        help: "Leave; asks first while this console drives a rollout",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('v')],
        key: "v",
        action: Action::Scope,
        label: "",
        help: "Show the events of the selected canary, or of all",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('o')],
        key: "o",
        action: Action::Order,
        label: "",
        help: "Order the canaries by need, age, name, phase, weight, failed checks, success or P99",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('t')],
        key: "t",
        action: Action::Theme,
        label: "",
        help: "Choose a theme; the screen shows each as it is pointed at",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('y')],
        key: "y",
        action: Action::Copy,
        label: "",
        help: "Copy the selected canary's name; among the events, the full text of the selected one",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('m')],
        key: "m",
        action: Action::Mouse,
        label: "",
        help: "Turn the mouse on or off: the wheel scrolls, a click selects; off, the terminal selects text with it",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('R')],
        key: "R",
        action: Action::Report,
        label: "",
        help: "Write down what happened in the selected canary's rollout, with its charts",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::Tab), key(KeyCode::BackTab)],
        key: "tab",
        action: Action::NextPane,
        label: "",
        help: "Move the keyboard between the canaries and the events",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('z')],
        key: "z",
        action: Action::Zoom,
        label: "",
        help: "Give the whole screen to the pane that has the keyboard, or share it again",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::Up), letter('k')],
        key: "↑ k",
        action: Action::Up,
        label: "",
        help: "One line up",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::Down), letter('j')],
        key: "↓ j",
        action: Action::Down,
        label: "",
        help: "One line down",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::PageUp), control('b')],
        key: "pgup",
        action: Action::PageUp,
        label: "",
        help: "One page up",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::PageDown), control('f')],
        key: "pgdn",
        action: Action::PageDown,
        label: "",
        help: "One page down",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('g'), key(KeyCode::Home)],
        key: "g",
        action: Action::Top,
        label: "",
        help: "To the first line",
    },
    Binding {
        place: Place::Main,
        presses: &[letter('G'), key(KeyCode::End)],
        key: "G",
        action: Action::Bottom,
        label: "",
        help: "To the last line",
    },
    Binding {
        place: Place::Main,
        presses: &[key(KeyCode::Esc)],
        key: "esc",
        action: Action::Back,
        label: "",
        help: "Drop the filter; close what is open",
    },
    Binding {
        place: Place::Question,
        presses: &[letter('y'), letter('Y')],
        key: "y",
        action: Action::Yes,
        label: "yes",
        help: "Do it",
    },
    Binding {
        place: Place::Question,
        presses: &[letter('n'), letter('N'), letter('q'), key(KeyCode::Esc)],
        key: "n esc",
        action: Action::Back,
        label: "no",
        help: "Leave everything as it is",
    },
    Binding {
        place: Place::Question,
        presses: &[key(KeyCode::Left), key(KeyCode::Right), letter('h'), letter('l')],
        key: "← →",
        action: Action::Turn,
        label: "move",
        help: "Move between Yes and No",
    },
    Binding {
        place: Place::Question,
        presses: &[key(KeyCode::Tab), key(KeyCode::Down)],
        key: "tab",
        action: Action::NextField,
        label: "",
        help: "To the next answer or field",
    },
    Binding {
        place: Place::Question,
        presses: &[key(KeyCode::BackTab), key(KeyCode::Up)],
        key: "shift-tab",
        action: Action::PreviousField,
        label: "",
        help: "To the answer or field before",
    },
    Binding {
        place: Place::Question,
        presses: &[letter('r')],
        key: "r",
        action: Action::Reason,
        label: "reason",
        help: "Give a reason; it is kept with the request, and its Event tells it",
    },
    Binding {
        place: Place::Question,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Choose,
        label: "choose",
        help: "Take the answer that has the focus: No, unless it was moved",
    },
    Binding {
        place: Place::Versions,
        presses: &[key(KeyCode::Up), key(KeyCode::BackTab)],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "The version above",
    },
    Binding {
        place: Place::Versions,
        presses: &[key(KeyCode::Down), key(KeyCode::Tab)],
        key: "↑ ↓",
        action: Action::Down,
        label: "choose",
        help: "The version below; the last line takes a tag or an image that you type",
    },
    Binding {
        place: Place::Versions,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Accept,
        label: "go on",
        help: "Go on with this version; asks once more before anything is done",
    },
    Binding {
        place: Place::Versions,
        presses: &[key(KeyCode::Esc)],
        key: "esc",
        action: Action::Back,
        label: "leave",
        help: "Leave everything as it is",
    },
    Binding {
        place: Place::Reading,
        presses: &[key(KeyCode::Up), letter('k')],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "One line up",
    },
    Binding {
        place: Place::Reading,
        presses: &[key(KeyCode::Down), letter('j')],
        key: "↑ ↓",
        action: Action::Down,
        label: "scroll",
        help: "One line down",
    },
    Binding {
        place: Place::Reading,
        presses: &[key(KeyCode::PageUp), control('b')],
        key: "pgup",
        action: Action::PageUp,
        label: "",
        help: "One page up",
    },
    Binding {
        place: Place::Reading,
        presses: &[key(KeyCode::PageDown), control('f'), letter(' ')],
        key: "pgdn",
        action: Action::PageDown,
        label: "",
        help: "One page down",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('g'), key(KeyCode::Home)],
        key: "g",
        action: Action::Top,
        label: "",
        help: "To the first line",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('G'), key(KeyCode::End)],
        key: "G",
        action: Action::Bottom,
        label: "",
        help: "To the last line",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('/')],
        key: "/",
        action: Action::Filter,
        label: "find",
        help: "Look for a text in it; of the events only those that hold it are shown",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('n')],
        key: "n",
        action: Action::NextHit,
        label: "",
        help: "To the next line that holds it",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('N')],
        key: "n N",
        action: Action::PreviousHit,
        label: "next",
        help: "To the line before that holds it",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('w')],
        key: "w",
        action: Action::Read(Topic::Why),
        label: "why",
        help: "Read why; a second time closes it",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('r')],
        key: "r",
        action: Action::Read(Topic::Routes),
        label: "routes",
        help: "Read where it is served; a second time closes it",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('d')],
        key: "d",
        action: Action::Read(Topic::Describe),
        label: "YAML",
        help: "Read the Canary; a second time closes it",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('D')],
        key: "D",
        action: Action::Read(Topic::Diff),
        label: "diff",
        help: "Read what the new revision changes; a second time closes it",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('e')],
        key: "e",
        action: Action::Events,
        label: "events",
        help: "Read the events; a second time closes them",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('v')],
        key: "v",
        action: Action::Scope,
        label: "one or all",
        help: "Show the events of the selected canary, or of all",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter('y')],
        key: "y",
        action: Action::Copy,
        label: "copy",
        help: "Copy the full text of the selected event; elsewhere, the canary's name",
    },
    Binding {
        place: Place::Reading,
        presses: &[letter(':')],
        key: ":",
        action: Action::Palette,
        label: "",
        help: "Find and do anything by its name",
    },
    Binding {
        place: Place::Reading,
        presses: &[key(KeyCode::Esc), letter('q'), key(KeyCode::Enter), letter('?')],
        key: "esc",
        action: Action::Back,
        label: "close",
        help: "Close it",
    },
    Binding {
        place: Place::Themes,
        presses: &[key(KeyCode::Up), letter('k'), key(KeyCode::BackTab)],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "The theme above",
    },
    Binding {
        place: Place::Themes,
        presses: &[key(KeyCode::Down), letter('j'), key(KeyCode::Tab), letter('t')],
        key: "↑ ↓",
        action: Action::Down,
        label: "look",
        help: "The theme below",
    },
    Binding {
        place: Place::Themes,
        presses: &[letter('g'), key(KeyCode::Home)],
        key: "g",
        action: Action::Top,
        label: "",
        help: "To the first line",
    },
    Binding {
        place: Place::Themes,
        presses: &[letter('G'), key(KeyCode::End)],
        key: "G",
        action: Action::Bottom,
        label: "",
        help: "To the last line",
    },
    Binding {
        place: Place::Themes,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Accept,
        label: "keep",
        help: "Keep this theme",
    },
    Binding {
        place: Place::Themes,
        presses: &[key(KeyCode::Esc), letter('q')],
        key: "esc",
        action: Action::Back,
        label: "as before",
        help: "Put the theme on again that was there before",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::Left), letter('h')],
        key: "← h",
        action: Action::Earlier,
        label: "",
        help: "Read an earlier instant",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::Right), letter('l')],
        key: "h l",
        action: Action::Later,
        label: "read",
        help: "Read a later instant; past the newest, the latest",
    },
    Binding {
        place: Place::Charts,
        presses: &[letter('['), letter('-')],
        key: "[",
        action: Action::Shorter,
        label: "",
        help: "Look back less far: 5 minutes, 15 minutes, an hour, 6 hours, a day",
    },
    Binding {
        place: Place::Charts,
        presses: &[letter(']'), letter('+'), letter('=')],
        key: "[ ]",
        action: Action::Longer,
        label: "time",
        help: "Look back farther: 5 minutes, 15 minutes, an hour, 6 hours, a day",
    },
    Binding {
        place: Place::Charts,
        presses: &[letter('m')],
        key: "m",
        action: Action::Enlarge,
        label: "one large",
        help: "Give the room to one metric after the other, and to all again",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::Up), letter('k')],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "The charts of the canary above",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::Down), letter('j')],
        key: "↑ ↓",
        action: Action::Down,
        label: "next canary",
        help: "The charts of the canary below",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::PageUp), control('b')],
        key: "pgup",
        action: Action::PageUp,
        label: "",
        help: "A page of canaries up",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::PageDown), control('f'), letter(' ')],
        key: "pgdn",
        action: Action::PageDown,
        label: "",
        help: "A page of canaries down",
    },
    Binding {
        place: Place::Charts,
        presses: &[letter('g'), key(KeyCode::Home)],
        key: "g",
        action: Action::Top,
        label: "",
        help: "The charts of the first canary",
    },
    Binding {
        place: Place::Charts,
        presses: &[letter('G'), key(KeyCode::End)],
        key: "G",
        action: Action::Bottom,
        label: "",
        help: "The charts of the last canary",
    },
    Binding {
        place: Place::Charts,
        presses: &[letter(':')],
        key: ":",
        action: Action::Palette,
        label: "",
        help: "Find and do anything by its name",
    },
    Binding {
        place: Place::Charts,
        presses: &[key(KeyCode::Esc), letter('q'), key(KeyCode::Enter), letter('?')],
        key: "esc",
        action: Action::Back,
        label: "close",
        help: "Close them",
    },
    Binding {
        place: Place::Filter,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Accept,
        label: "keep",
        help: "Keep the filter and go back to the canaries",
    },
    Binding {
        place: Place::Filter,
        presses: &[key(KeyCode::Esc)],
        key: "esc",
        action: Action::Back,
        label: "drop",
        help: "Drop the filter",
    },
    Binding {
        place: Place::Filter,
        presses: &[key(KeyCode::Up)],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "One line up",
    },
    Binding {
        place: Place::Filter,
        presses: &[key(KeyCode::Down)],
        key: "↓",
        action: Action::Down,
        label: "",
        help: "One line down",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Accept,
        label: "do it",
        help: "Do what is chosen",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::Up), control('p')],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "One line up",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::Down), control('n')],
        key: "↑ ↓",
        action: Action::Down,
        label: "choose",
        help: "One line down",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::PageUp)],
        key: "pgup",
        action: Action::PageUp,
        label: "",
        help: "One page up",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::PageDown)],
        key: "pgdn",
        action: Action::PageDown,
        label: "",
        help: "One page down",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::Tab)],
        key: "tab",
        action: Action::Complete,
        label: "complete",
        help: "Take over what is chosen, to go on typing",
    },
    Binding {
        place: Place::Palette,
        presses: &[key(KeyCode::Esc)],
        key: "esc",
        action: Action::Back,
        label: "close",
        help: "Close it",
    },
    Binding {
        place: Place::Field,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Accept,
        label: "done",
        help: "Go back to the answers",
    },
    Binding {
        place: Place::Field,
        presses: &[key(KeyCode::Tab), key(KeyCode::Down)],
        key: "tab",
        action: Action::NextField,
        label: "move",
        help: "To the next answer or field",
    },
    Binding {
        place: Place::Field,
        presses: &[key(KeyCode::BackTab), key(KeyCode::Up)],
        key: "shift-tab",
        action: Action::PreviousField,
        label: "",
        help: "To the answer or field before",
    },
    Binding {
        place: Place::Field,
        presses: &[key(KeyCode::Esc)],
        key: "esc",
        action: Action::Back,
        label: "leave",
        help: "Leave everything as it is",
    },
    Binding {
        place: Place::Find,
        presses: &[key(KeyCode::Enter)],
        key: "enter",
        action: Action::Accept,
        label: "keep",
        help: "Keep what is looked for and go on reading",
    },
    Binding {
        place: Place::Find,
        presses: &[key(KeyCode::Esc)],
        key: "esc",
        action: Action::Back,
        label: "drop",
        help: "Look for nothing",
    },
    Binding {
        place: Place::Find,
        presses: &[key(KeyCode::Up)],
        key: "↑",
        action: Action::Up,
        label: "",
        help: "One line up",
    },
    Binding {
        place: Place::Find,
        presses: &[key(KeyCode::Down)],
        key: "↑ ↓",
        action: Action::Down,
        label: "scroll",
        help: "One line down",
    },
    Binding {
        place: Place::Any,
        presses: &[control('c')],
        key: "ctrl-c",
        action: Action::Quit,
        label: "",
        help: "Leave, from anywhere; asks first while this console drives a rollout",
    },
    Binding {
        place: Place::Any,
        presses: &[control('z')],
        key: "ctrl-z",
        action: Action::Suspend,
        label: "",
        help: "Back to the shell until fg; asks first while this console drives a rollout",
    },
    Binding {
        place: Place::Any,
        presses: &[control('l')],
        key: "ctrl-l",
        action: Action::Repaint,
        label: "",
        help: "Paint the screen anew",
    },
];

/// Where the keyboard is.
pub fn place(model: &Model) -> Place {
    match &model.overlay {
        Some(Overlay::Question(question)) if question.focus.is_field() => Place::Field,
        Some(Overlay::Question(_)) => Place::Question,
        Some(Overlay::Palette(_)) => Place::Palette,
        Some(Overlay::Versions(_)) => Place::Versions,
        Some(Overlay::Reading(reading)) if reading.find.typing => Place::Find,
        Some(Overlay::Events(reader)) if reader.find.typing => Place::Find,
        Some(Overlay::Themes(_)) => Place::Themes,
        Some(Overlay::Charts) => Place::Charts,
        Some(_) => Place::Reading,
        None if model.filter.typing => Place::Filter,
        None => Place::Main,
    }
}

/// The keys that are offered at a place: where nothing may be changed, none that would.
pub fn offered(place: Place, model: &Model) -> impl Iterator<Item = &Bound> {
    let read_only = model.guard.read_only.is_some();
    let here = move |bound: &&Bound| bound.place == place && !bound.key.is_empty();
    model.keymap.iter().filter(here).filter(move |bound| !(read_only && bound.action.mutates()))
}

/// Why an action does nothing now; the text reads on after "does nothing now:".
pub fn enabled(action: Action, model: &Model) -> Result<(), String> {
    if action.mutates() {
        model.guard.may_write()?;
    }
    let verb = match action {
        Action::Start => Verb::Start,
        Action::Hold if model.row().is_some_and(|row| row.paused.is_some()) => Verb::Resume,
        Action::Hold => Verb::Pause,
        Action::Advance => Verb::Advance,
        Action::Promote => Verb::Promote,
        Action::Abort => Verb::Abort,
        Action::Open => Verb::Open,
        Action::Charts | Action::Copy | Action::Read(_) => {
            return model.row().map(|_| ()).ok_or_else(|| "no canary is selected".into());
        }
        _ => return Ok(()),
    };
    let Some(row) = model.row() else { return Err("no canary is selected".into()) };
    if verb == Verb::Open {
        match &row.gate {
            None => return Err("no gate is shut".into()),
            Some(gate) if gate.manual => return Err("it waits to be started, and no gate is shut".into()),
            Some(gate) if gate.opened => return Err(format!("the gate {} is open already", gate.name)),
            Some(_) => {}
        }
    }
    allowed(verb, &row.key(), model)
}

/// Why a request for a canary would not be carried out now.
pub fn allowed(verb: Verb, canary: &Key, model: &Model) -> Result<(), String> {
    model.guard.may_write()?;
    let Some(row) = model.named(canary) else { return Err(format!("{} is gone", canary.name)) };
    if model.stale() {
        return Err("the connection to the cluster is lost".into());
    }
    // What can be driven no more goes home, and can still be aborted.
    let aborts = verb == Verb::Abort && row.under_way();
    if let Some(problem) = row.problems.first().filter(|_| !aborts) {
        return Err(format!("it is not driven: {problem}"));
    }
    if let Some(right) = model.lacking_in(&row.namespace) {
        return Err(format!("you may not {right}"));
    }
    model.driver_of(&row.namespace).objection()?;
    rollout::allowed(verb, row.standing)?;
    if row.request_revision(verb).is_none() {
        return Err("the target's revision is not known yet".into());
    }
    if verb == Verb::Start && row.containers.is_empty() {
        return Err("its target has no container".into());
    }
    Ok(())
}

/// The word in the footer: a key that turns something over says what it would do. Empty where it is not worth a word.
pub fn label(binding: &Binding, model: &Model) -> &'static str {
    match binding.action {
        Action::Scope | Action::Copy if !matches!(model.overlay, Some(Overlay::Events(_))) => "",
        Action::Filter if binding.place == Place::Reading => match &model.overlay {
            Some(Overlay::Events(_)) => "filter",
            Some(Overlay::Reading(_)) => "find",
            _ => "",
        },
        Action::PreviousHit => match &model.overlay {
            Some(Overlay::Reading(reading)) if !reading.find.input.value().is_empty() => "next",
            _ => "",
        },
        // What is open needs no word.
        Action::Events if matches!(model.overlay, Some(Overlay::Events(_))) => "",
        Action::Read(topic) if matches!(&model.overlay, Some(Overlay::Reading(r)) if r.ask.topic == topic) => "",
        Action::Events | Action::Read(_) if matches!(model.overlay, Some(Overlay::Help { .. } | Overlay::Charts)) => "",
        Action::Reason if matches!(&model.overlay, Some(Overlay::Question(question)) if !question.takes_reason()) => "",
        // Most canaries wait at none, and the line is short.
        Action::Open if enabled(Action::Open, model).is_err() => "",
        Action::Hold if model.row().is_some_and(|row| row.paused.is_some()) => "resume",
        _ => binding.label,
    }
}

/// The table of the main screen's keys in Markdown, for the README.
pub fn markdown() -> String {
    let mut text = String::from("| key | what it does |\n| --- | --- |\n");
    for binding in TABLE.iter().filter(|b| matches!(b.place, Place::Main | Place::Any) && !b.key.is_empty()) {
        let keys: Vec<String> = binding.key.split(' ').map(|key| format!("`{key}`")).collect();
        text.push_str(&format!("| {} | {} |\n", keys.join(" "), binding.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_in_one_place() {
        for (at, one) in TABLE.iter().enumerate() {
            for other in &TABLE[at + 1..] {
                if one.place == other.place || one.place == Place::Any || other.place == Place::Any {
                    let twice = one.presses.iter().find(|press| other.presses.contains(press));
                    assert!(twice.is_none(), "{:?} {twice:?}: {:?} and {:?}", one.place, one.action, other.action);
                }
            }
        }
    }

    #[test]
    fn every_key_says_what_it_does() {
        for binding in TABLE {
            assert!(!binding.help.is_empty() && binding.key.is_empty() == binding.presses.is_empty());
        }
        assert!(markdown().contains("| `a` | Give all traffic back"));
    }

    #[test]
    fn an_action_has_one_name() {
        let mut names: Vec<(String, Action)> = TABLE.iter().map(|b| (b.action.name(), b.action)).collect();
        names.dedup();
        for (at, (name, action)) in names.iter().enumerate() {
            assert!(names[at + 1..].iter().all(|(n, a)| (n == name) == (a == action)), "{name}");
        }
        for (action, name) in [
            (Action::Abort, "abort"),
            (Action::Hold, "pause"),
            (Action::NextPane, "next-pane"),
            (Action::Order, "sort"),
        ] {
            assert_eq!(action.name(), name);
        }
    }
}
