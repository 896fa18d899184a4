//! The keys: one table of what they do, when, and how they are called.
//!
//! Dispatch, the footer, the help, the palette and the README's table are all read from it, so that none of them can lie.
//! What the config file makes of it is in `keymap`.

mod table;

pub use table::TABLE;

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
