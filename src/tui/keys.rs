//! The keys: one table of what they do, when, and how they are called.
//!
//! Dispatch, the footer, the help and the README's table are all read from it, so that none of them can lie.

use super::model::{Model, Overlay};
use super::row::Key;
use crate::api::Verb;
use crate::rollout;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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
    Filter,
    Scope,
    Order,
    Theme,
    NextPane,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Back,
    Help,
    Quit,
    Repaint,
    Yes,
    Choose,
    Turn,
    Accept,
}

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Main,
    /// A question with Yes and No.
    Question,
    /// The list of versions.
    Versions,
    /// Help, events and charts.
    Reading,
    /// The filter is being typed.
    Filter,
    /// Everywhere.
    Any,
}

/// One line of the table.
pub struct Binding {
    pub place: Place,
    pub presses: &'static [Press],
    /// The key as it is written.
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
        help: "Show the selected canary's measurements larger",
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
        presses: &[letter('/')],
        key: "/",
        action: Action::Filter,
        label: "filter",
        help: "Show only the canaries whose name holds what is typed",
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
        help: "Change the theme: dark, light, the terminal's own colours",
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
        presses: &[
            key(KeyCode::Tab),
            key(KeyCode::BackTab),
            key(KeyCode::Left),
            key(KeyCode::Right),
            letter('h'),
            letter('l'),
        ],
        key: "tab ← →",
        action: Action::Turn,
        label: "move",
        help: "Move between Yes and No",
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
        presses: &[letter('v')],
        key: "v",
        action: Action::Scope,
        label: "one or all",
        help: "Show the events of the selected canary, or of all",
    },
    Binding {
        place: Place::Reading,
        presses: &[key(KeyCode::Esc), letter('q'), key(KeyCode::Enter), letter('e'), letter('?')],
        key: "esc",
        action: Action::Back,
        label: "close",
        help: "Close it",
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
        place: Place::Any,
        presses: &[control('c')],
        key: "ctrl-c",
        action: Action::Quit,
        label: "",
        help: "Leave, from anywhere; asks first while this console drives a rollout",
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
        Some(Overlay::Question(_)) => Place::Question,
        Some(Overlay::Versions(_)) => Place::Versions,
        Some(_) => Place::Reading,
        None if model.filter.typing => Place::Filter,
        None => Place::Main,
    }
}

/// What a key does there.
pub fn action(place: Place, event: &KeyEvent) -> Option<Action> {
    // Shift is already in the character; terminals differ in whether they report it besides.
    let modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
    let press = (event.code, modifiers);
    let found = TABLE.iter().find(|b| (b.place == place || b.place == Place::Any) && b.presses.contains(&press));
    found.map(|binding| binding.action)
}

/// Why an action does nothing now; the text reads on after "does nothing now:".
pub fn enabled(action: Action, model: &Model) -> Result<(), String> {
    let verb = match action {
        Action::Start => Verb::Start,
        Action::Hold if model.row().is_some_and(|row| row.paused.is_some()) => Verb::Resume,
        Action::Hold => Verb::Pause,
        Action::Advance => Verb::Advance,
        Action::Promote => Verb::Promote,
        Action::Abort => Verb::Abort,
        Action::Open => Verb::Open,
        Action::Charts => return model.row().map(|_| ()).ok_or_else(|| "no canary is selected".into()),
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
    let Some(row) = model.named(canary) else { return Err(format!("{} is gone", canary.name)) };
    if model.stale() {
        return Err("the connection to the cluster is lost".into());
    }
    // What can be driven no more goes home, and can still be aborted.
    let aborts = verb == Verb::Abort && row.under_way();
    if let Some(problem) = row.problems.first().filter(|_| !aborts) {
        return Err(format!("it is not driven: {problem}"));
    }
    if let Some(right) = &model.lacking {
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
        Action::Scope if !matches!(model.overlay, Some(Overlay::Events { .. })) => "",
        Action::Down if matches!(model.overlay, Some(Overlay::Charts)) => "next canary",
        // Most canaries wait at none, and the line is short.
        Action::Open if enabled(Action::Open, model).is_err() => "",
        Action::Hold if model.row().is_some_and(|row| row.paused.is_some()) => "resume",
        _ => binding.label,
    }
}

/// The table of the main screen's keys in Markdown, for the README.
pub fn markdown() -> String {
    let mut text = String::from("| key | what it does |\n| --- | --- |\n");
    for binding in TABLE.iter().filter(|b| matches!(b.place, Place::Main | Place::Any)) {
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
            assert!(!binding.key.is_empty() && !binding.help.is_empty() && !binding.presses.is_empty());
        }
        assert!(markdown().contains("| `a` | Give all traffic back"));
    }

    #[test]
    fn shift_is_in_the_character_whether_it_is_reported_or_not() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            let press = KeyEvent::new(KeyCode::Char('P'), modifiers);
            assert_eq!(action(Place::Main, &press), Some(Action::Promote));
        }
        let press = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
        assert_eq!(action(Place::Main, &press), None);
    }
}
