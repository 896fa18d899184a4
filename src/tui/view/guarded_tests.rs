//! What the palette looks like, and the console where little or nothing may be changed.

use super::tests::{compare, with};
use crate::tui::glyphs;
use crate::tui::keymap::{Keymap, Wanted, press as key};
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::scene::{self, press, shot, text};

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn pressed(mut model: Model, keys: &str) -> Model {
    press(&mut model, keys);
    model
}

#[test]
fn the_palette() {
    for (width, height) in SIZES {
        compare(&format!("palette_{width}x{height}"), &pressed(scene::at_rest(width, height), ":"));
        compare(&format!("palette_typed_{width}x{height}"), &pressed(scene::progressing(width, height), ":te"));
    }
    let themes = pressed(scene::progressing(80, 24), ":theme <down>");
    compare("palette_argument", &themes);
    compare("palette_in_full", &pressed(scene::progressing(80, 24), ":so"));
    compare("palette_nothing", &pressed(scene::progressing(80, 24), ":xyzzy"));
    let ascii = with(scene::at_rest(80, 24), |model| {
        model.look.glyphs = &glyphs::ASCII;
        press(model, ":a<down>");
    });
    compare("palette_ascii", &ascii);
    assert!(shot(&ascii).content().iter().all(|cell| cell.symbol().is_ascii()));
    shot(&pressed(scene::progressing(60, 16), ":<pgdn><pgdn><pgdn>"));
}

fn read_only(width: u16, height: u16) -> Model {
    with(scene::progressing(width, height), |model| model.guard.read_only = Some("--read-only was given".into()))
}

#[test]
fn where_nothing_may_be_changed_no_key_offers_it() {
    for (width, height) in SIZES {
        compare(&format!("read_only_{width}x{height}"), &read_only(width, height));
    }
    compare("read_only_refused", &pressed(read_only(80, 24), "a"));
    for keys in ["?", ":"] {
        let screen = text(&shot(&pressed(read_only(120, 90), keys)));
        assert!(screen.contains("[RO]"), "{screen}");
        for word in ["Promote now", "Give all traffic", "Start a rollout", "Run the checks", "Hold the weight"] {
            assert!(!screen.contains(word), "{keys} {word}:\n{screen}");
        }
    }
    let tiny = text(&shot(&read_only(60, 16)));
    assert!(tiny.starts_with(" [RO]"), "{tiny}");
}

#[test]
fn a_protected_context_asks_for_the_name() {
    let protected = |keys: &str| {
        let mut model = scene::progressing(80, 24);
        model.guard.protected = true;
        pressed(model, keys)
    };
    compare("ask_protected", &protected("a"));
    compare("ask_protected_typed", &protected("ayjx-production-myapp<tab>too many errors"));
    shot(&pressed(with(scene::progressing(60, 16), |model| model.guard.protected = true), "ayx"));
}

#[test]
fn keys_of_the_config_file_stand_on_the_screen() {
    let wanted = [(Action::Abort, "ctrl-x"), (Action::Help, "f2")];
    let wanted = wanted.map(|(action, name)| Wanted { action, presses: vec![key(name).unwrap()] });
    let model = with(scene::progressing(120, 90), |model| model.keymap = Keymap::with(&wanted).0);
    let screen = text(&shot(&model));
    assert!(screen.contains("ctrl-x abort") && screen.contains("f2 help"), "{screen}");
    let mut help = model.clone();
    update_key(&mut help, "f2");
    let screen = text(&shot(&help));
    assert!(screen.contains("ctrl-x   Give all traffic back"), "{screen}");
}

fn update_key(model: &mut Model, name: &str) {
    let (code, modifiers) = key(name).unwrap();
    let event = crossterm::event::KeyEvent::new(code, modifiers);
    crate::tui::update::update(model, crate::tui::message::Msg::Key(event));
}
