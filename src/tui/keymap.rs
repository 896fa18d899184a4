//! The keys of this console: the table in `keys`, with what the config file says otherwise.

use super::keys::{Action, Binding, Place, Press, TABLE};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::borrow::Cow;
use std::ops::Deref;

/// All keys, in the order of the table.
#[derive(Clone, Debug)]
pub struct Keymap(Vec<Bound>);

/// A line of the table with the keys that it has here, which stand in the place of the table's own.
#[derive(Clone, Debug)]
pub struct Bound {
    binding: &'static Binding,
    pub presses: Cow<'static, [Press]>,
    /// The keys as they are written, with a space between two.
    pub key: Cow<'static, str>,
}

impl Deref for Bound {
    type Target = Binding;

    fn deref(&self) -> &Binding {
        self.binding
    }
}

/// Keys that are wanted for an action. None at all takes its keys away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub action: Action,
    pub presses: Vec<Press>,
}

/// Why an action keeps the keys of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Which of the wishes it was.
    pub at: usize,
    pub why: String,
}

impl Default for Keymap {
    fn default() -> Self {
        let bound = |binding: &'static Binding| Bound {
            binding,
            presses: Cow::Borrowed(binding.presses),
            key: Cow::Borrowed(binding.key),
        };
        Self(TABLE.iter().map(bound).collect())
    }
}

impl Keymap {
    /// The table with these wishes carried out. Where two actions would get one key at one place, the wish is left out,
    /// of two the later, and told.
    pub fn with(wanted: &[Wanted]) -> (Self, Vec<Clash>) {
        let mut carried_out: Vec<bool> = vec![true; wanted.len()];
        let mut clashes: Vec<Clash> = Vec::new();
        loop {
            let map = Self::of(wanted, &carried_out);
            match map.clash(wanted, &carried_out) {
                // Each round takes one wish back, and the table clashes with nothing in itself.
                Some(clash) => {
                    carried_out[clash.at] = false;
                    clashes.push(clash);
                }
                None => {
                    clashes.sort_by_key(|clash| clash.at);
                    return (map, clashes);
                }
            }
        }
    }

    fn of(wanted: &[Wanted], carried_out: &[bool]) -> Self {
        let mut map = Self::default();
        let wishes = wanted.iter().zip(carried_out).filter(|(_, carried_out)| **carried_out);
        for (wish, _) in wishes {
            for bound in map.0.iter_mut().filter(|bound| settable(bound) && bound.action == wish.action) {
                bound.presses = Cow::Owned(wish.presses.clone());
                let texts: Vec<String> = wish.presses.iter().map(text).collect();
                bound.key = Cow::Owned(texts.join(" "));
            }
        }
        map
    }

    fn clash(&self, wanted: &[Wanted], carried_out: &[bool]) -> Option<Clash> {
        let wish = |bound: &Bound| {
            let wished = |at: &usize| carried_out[*at] && wanted[*at].action == bound.action && settable(bound);
            (0..wanted.len()).rev().find(wished)
        };
        for (at, one) in self.0.iter().enumerate() {
            let there = |other: &&Bound| {
                one.action != other.action
                    && (one.place == other.place || one.place == Place::Any || other.place == Place::Any)
            };
            for other in self.0[at + 1..].iter().filter(there) {
                let Some(press) = one.presses.iter().find(|press| other.presses.contains(press)) else { continue };
                let (loser, winner) = if wish(one) > wish(other) { (one, other) } else { (other, one) };
                let Some(at) = wish(loser) else { continue };
                let why = format!("{} is the key of {} already", text(press), winner.action.name());
                return Some(Clash { at, why });
            }
        }
        None
    }

    /// What a key does at a place.
    pub fn action(&self, place: Place, event: &KeyEvent) -> Option<Action> {
        // Shift is already in the character; terminals differ in whether they report it besides.
        let modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
        let press = (event.code, modifiers);
        let found = self.iter().find(|b| (b.place == place || b.place == Place::Any) && b.presses.contains(&press));
        found.map(|bound| bound.action)
    }

    /// All keys, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.0.iter()
    }

    /// How the first key of an action on the main screen is written; empty where it has none.
    pub fn key(&self, action: Action) -> &str {
        let bound = self.iter().find(|bound| bound.place == Place::Main && bound.action == action);
        bound.and_then(|bound| bound.key.split(' ').next()).unwrap_or_default()
    }
}

/// Whether the config file may set it. What closes a pane or leaves a question is the same everywhere, and Ctrl-C is.
fn settable(binding: &Binding) -> bool {
    match binding.place {
        Place::Any => binding.action == Action::Repaint,
        Place::Main => true,
        place => !place.fixed() && binding.action != Action::Back,
    }
}

/// The actions whose keys can be set, each once, in the order of the table.
pub fn settable_actions() -> Vec<Action> {
    let mut actions = Vec::new();
    for binding in TABLE.iter().filter(|binding| settable(binding)) {
        if !actions.contains(&binding.action) {
            actions.push(binding.action);
        }
    }
    actions
}

/// Keys that have a name: as it is written in the config file, and on the screen.
const NAMED: [(&str, &str, KeyCode); 15] = [
    ("enter", "enter", KeyCode::Enter),
    ("esc", "esc", KeyCode::Esc),
    ("tab", "tab", KeyCode::Tab),
    ("shift-tab", "shift-tab", KeyCode::BackTab),
    ("space", "space", KeyCode::Char(' ')),
    ("up", "↑", KeyCode::Up),
    ("down", "↓", KeyCode::Down),
    ("left", "←", KeyCode::Left),
    ("right", "→", KeyCode::Right),
    ("pgup", "pgup", KeyCode::PageUp),
    ("pgdn", "pgdn", KeyCode::PageDown),
    ("home", "home", KeyCode::Home),
    ("end", "end", KeyCode::End),
    ("backspace", "backspace", KeyCode::Backspace),
    ("delete", "delete", KeyCode::Delete),
];

/// A key as the config file writes it: a character, a name, `f1` to `f12`, with `ctrl-` or `alt-` before it.
///
/// # Errors
/// Why it is none that a terminal sends.
pub fn press(written: &str) -> Result<Press, String> {
    let (modifiers, name) = match written.split_once('-') {
        Some(("ctrl", name)) if !name.is_empty() => (KeyModifiers::CONTROL, name),
        Some(("alt", name)) if !name.is_empty() => (KeyModifiers::ALT, name),
        _ => (KeyModifiers::NONE, written),
    };
    let mut chars = name.chars();
    let code = match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_control() || c == ' ' => return Err("write space or the key's name".into()),
        (Some(c), None) if modifiers == KeyModifiers::CONTROL => KeyCode::Char(c.to_ascii_lowercase()),
        (Some(c), None) => KeyCode::Char(c),
        _ => match NAMED.iter().find(|(known, _, _)| *known == name) {
            Some((_, _, code)) => *code,
            None => KeyCode::F(function(name).ok_or_else(|| unknown(name))?),
        },
    };
    match (code, modifiers) {
        (KeyCode::Char('i' | 'm' | 'j' | 'h' | '['), KeyModifiers::CONTROL) => {
            Err(format!("a terminal sends {written} as tab, enter, backspace or esc"))
        }
        press => Ok(press),
    }
}

fn function(name: &str) -> Option<u8> {
    name.strip_prefix('f')?.parse().ok().filter(|number| (1..=12).contains(number))
}

fn unknown(name: &str) -> String {
    if name.starts_with("shift-") {
        return "shift is part of the character: write P for shift-p".into();
    }
    let names: Vec<&str> = NAMED.iter().map(|(name, _, _)| *name).collect();
    format!(
        "there is no key {name:?}: write one character, f1 to f12, or one of {}, with ctrl- or alt- before it",
        names.join(", ")
    )
}

/// A key as the screen has it.
pub fn text((code, modifiers): &Press) -> String {
    let before = match *modifiers {
        KeyModifiers::CONTROL => "ctrl-",
        KeyModifiers::ALT => "alt-",
        _ => "",
    };
    let name = match NAMED.iter().find(|(_, _, named)| named == code) {
        Some((_, shown, _)) => (*shown).to_string(),
        None => match code {
            KeyCode::Char(c) => c.to_string(),
            KeyCode::F(number) => format!("f{number}"),
            // No other can be written in the config file.
            _ => "?".into(),
        },
    };
    format!("{before}{name}")
}

/// A key as the config file would write it.
pub fn written(press: &Press) -> String {
    let name = NAMED.iter().find(|(_, _, named)| *named == press.0).map(|(name, _, _)| *name);
    match (name, press.1) {
        (Some(name), KeyModifiers::NONE) => name.to_string(),
        (Some(name), KeyModifiers::CONTROL) => format!("ctrl-{name}"),
        (Some(name), _) => format!("alt-{name}"),
        (None, _) => text(press),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(action: Action, keys: &[&str]) -> Wanted {
        Wanted { action, presses: keys.iter().map(|key| press(key).unwrap()).collect() }
    }

    fn does(map: &Keymap, place: Place, key: &str) -> Option<Action> {
        let (code, modifiers) = press(key).unwrap();
        map.action(place, &KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        for key in ["a", "A", ":", "-", "ctrl-x", "alt-P", "f12", "pgdn", "shift-tab", "ctrl-up", "space", "é"] {
            assert_eq!(written(&press(key).unwrap()), key);
        }
        assert_eq!(press("ctrl-X"), press("ctrl-x"));
        for (key, why) in [
            ("", "no key"),
            (" ", "space"),
            ("shift-p", "write P"),
            ("ctrl-i", "as tab"),
            ("f13", "no key"),
            ("hyper-x", "no key"),
            ("\u{1b}", "name"),
        ] {
            assert!(press(key).unwrap_err().contains(why), "{key:?}: {}", press(key).unwrap_err());
        }
        for press in TABLE.iter().flat_map(|binding| binding.presses) {
            assert_eq!(super::press(&written(press)).as_ref(), Ok(press), "what the table has can be written");
        }
    }

    #[test]
    fn a_wish_takes_the_place_of_the_tables_keys_wherever_the_action_has_one() {
        let (map, clashes) = Keymap::with(&[wanted(Action::Abort, &["ctrl-x", "x"]), wanted(Action::Down, &["J"])]);
        assert_eq!(clashes, []);
        assert_eq!((does(&map, Place::Main, "x"), does(&map, Place::Main, "a")), (Some(Action::Abort), None));
        assert_eq!(does(&map, Place::Main, "ctrl-x"), Some(Action::Abort));
        assert_eq!(does(&map, Place::Reading, "J"), Some(Action::Down));
        for place in [Place::Versions, Place::Filter, Place::Find, Place::Palette] {
            let there = (does(&map, place, "down"), does(&map, place, "J"));
            assert_eq!(there, (Some(Action::Down), None), "letters are typed at {place:?}");
        }
        assert_eq!(does(&map, Place::Question, "y"), Some(Action::Yes));
        assert_eq!((map.key(Action::Abort), map.key(Action::Promote)), ("ctrl-x", "P"));
        let (none, clashes) = Keymap::with(&[wanted(Action::Abort, &[])]);
        assert_eq!((clashes.len(), does(&none, Place::Main, "a"), none.key(Action::Abort)), (0, None, ""));
    }

    #[test]
    fn clashes_fall_back_to_the_table_and_are_told() {
        for (wishes, told, keys) in [
            // Against the table.
            (
                vec![wanted(Action::Abort, &["P"])],
                vec![(0, "P is the key of promote already")],
                vec![("P", Action::Promote), ("a", Action::Abort)],
            ),
            // Two wishes: the later one.
            (
                vec![wanted(Action::Abort, &["x"]), wanted(Action::Promote, &["x"])],
                vec![(1, "x is the key of abort already")],
                vec![("x", Action::Abort), ("P", Action::Promote)],
            ),
            // Two that change places do not clash.
            (
                vec![wanted(Action::Abort, &["p"]), wanted(Action::Hold, &["a"])],
                vec![],
                vec![("p", Action::Abort), ("a", Action::Hold)],
            ),
            // One that falls back takes its place again.
            (
                vec![wanted(Action::Abort, &["p"]), wanted(Action::Hold, &["P"])],
                vec![(0, "p is the key of pause already"), (1, "P is the key of promote already")],
                vec![("p", Action::Hold), ("a", Action::Abort), ("P", Action::Promote)],
            ),
            // What holds everywhere is nobody's.
            (vec![wanted(Action::Abort, &["ctrl-c"])], vec![(0, "ctrl-c is the key of quit already")], vec![]),
            // A key that closes what is read.
            (
                vec![wanted(Action::Quit, &["Q"]), wanted(Action::Down, &["q"])],
                vec![(1, "q is the key of back already")],
                vec![("Q", Action::Quit), ("j", Action::Down)],
            ),
        ] {
            let (map, clashes) = Keymap::with(&wishes);
            let clashes: Vec<(usize, &str)> = clashes.iter().map(|clash| (clash.at, clash.why.as_str())).collect();
            assert_eq!(clashes, told);
            for (key, action) in keys {
                assert_eq!(does(&map, Place::Main, key), Some(action), "{key}");
            }
        }
    }

    #[test]
    fn whatever_is_wished_no_key_does_two_things() {
        let actions = settable_actions();
        let keys = ["a", "P", "q", "e", "x", "ctrl-c", "esc", "tab", "?"];
        proptest::proptest!(|(wishes in proptest::collection::vec((0..actions.len(), 0..keys.len()), 0..12))| {
            let wishes: Vec<Wanted> = wishes.iter().map(|(a, k)| wanted(actions[*a], &[keys[*k]])).collect();
            let (map, _) = Keymap::with(&wishes);
            for (at, one) in map.0.iter().enumerate() {
                for other in &map.0[at + 1..] {
                    let meet = one.place == other.place || one.place == Place::Any || other.place == Place::Any;
                    let twice = one.presses.iter().any(|press| other.presses.contains(press));
                    proptest::prop_assert!(!(meet && twice && one.action != other.action));
                }
            }
        });
    }

    #[test]
    fn shift_is_in_the_character_whether_it_is_reported_or_not() {
        let map = Keymap::default();
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            let press = KeyEvent::new(KeyCode::Char('P'), modifiers);
            assert_eq!(map.action(Place::Main, &press), Some(Action::Promote));
        }
        let press = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
        assert_eq!(map.action(Place::Main, &press), None);
    }
}
