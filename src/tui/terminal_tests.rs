//! What the operator does with the terminal itself: themes, the mouse, copying, suspending.

use super::message::{Command, Msg};
use super::model::{Ask, Model, Overlay, Pane};
use super::question::Focus;
use super::scene::{self, press};
use super::theme::{AUTO, Library};
use super::update::update;
use super::view;
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

fn worn(model: &Model) -> (&str, &str) {
    (&model.look.theme.name, &model.look.chosen)
}

fn with_own(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let library = Library::load(Some(folder.path()));
    (folder, library)
}

#[test]
fn a_theme_shows_as_soon_as_it_is_pointed_at_and_esc_brings_the_one_before_back() {
    let mut model = scene::progressing(120, 40);
    let before = scene::shot(&model);
    assert_eq!(press(&mut model, "t"), [Command::ReadThemes], "the files may have changed");
    let Some(Overlay::Themes(list)) = &model.overlay else { panic!() };
    assert_eq!(&*list.offers[list.at].name, "dark", "it opens at the one that is worn");
    press(&mut model, "<down>");
    assert_eq!(worn(&model), ("light", "light"));
    let ground = |model: &Model| model.look.theme.style(super::theme::Role::Text).bg;
    assert_eq!(Some(scene::shot(&model)[(0, 0)].bg), ground(&model), "the whole screen is in it");
    press(&mut model, "jt");
    assert_ne!(worn(&model).0, "light");
    press(&mut model, "<esc>");
    assert_eq!(worn(&model), ("dark", "dark"));
    assert_eq!(scene::shot(&model), before);
    press(&mut model, "tG<enter>");
    assert_eq!(worn(&model), ("terminal", "terminal"));
    assert!(model.overlay.is_none());
    assert_eq!(model.notice.as_ref().unwrap().text, "theme terminal");
}

#[test]
fn no_key_leaves_the_list_of_themes_unseen() {
    let mut model = scene::progressing(120, 40);
    press(&mut model, "tg");
    assert_eq!(worn(&model), ("dark", AUTO), "the first line leaves it to the terminal");
    assert_eq!(press(&mut model, "aPnsp"), [], "no key of the screen behind acts");
    press(&mut model, "k<up>");
    assert_eq!(worn(&model), ("dark", AUTO), "the list ends at its ends");
    press(&mut model, "q");
    assert_eq!(worn(&model), ("dark", "dark"));
}

#[test]
fn themes_of_ones_own_are_offered_and_a_wrong_one_says_what_is_wrong() {
    let (_folder, library) =
        with_own(&[("mine.toml", "about = \"mine\"\n"), ("zero.toml", "[roles]\nbad = { fg = \"rad\" }\n")]);
    let mut model = scene::progressing(120, 40);
    press(&mut model, "t<down>");
    update(&mut model, Msg::Themes(library));
    assert_eq!(worn(&model), ("light", "light"), "the files are read while one looks on");
    press(&mut model, "Gk");
    assert_eq!(worn(&model), ("mine", "mine"));
    press(&mut model, "j");
    let screen = scene::text(&scene::shot(&model));
    assert!(screen.contains("cannot be used") && screen.contains("zero.toml:2:14: \"rad\" is no colour"), "{screen}");
    assert_eq!(worn(&model), ("mine", "mine"), "what cannot be worn is not");
    press(&mut model, "<enter>");
    assert!(model.overlay.is_some(), "nor kept");
    press(&mut model, "<esc>");
    assert_eq!(worn(&model), ("dark", "dark"));
    // It is there the next time, before the files are read again.
    press(&mut model, "tGk<enter>");
    assert_eq!(worn(&model), ("mine", "mine"));
}

#[test]
fn the_terminals_ground_is_heeded_whenever_it_answers() {
    let mut model = scene::progressing(120, 40);
    model.look = scene::look(AUTO);
    press(&mut model, "tj");
    update(&mut model, Msg::Ground((250, 250, 250)));
    assert_eq!(worn(&model), ("dark", "dark"), "one is pointed at");
    press(&mut model, "<esc>");
    assert_eq!(worn(&model), ("light", AUTO));
}

fn selected(model: &Model) -> Option<&str> {
    model.selected.as_ref().map(|key| key.name.as_str())
}

fn mouse(model: &mut Model, kind: MouseEventKind, column: u16, row: u16) -> Vec<Command> {
    update(model, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
}

const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

#[test]
fn the_mouse_is_the_terminals_until_it_is_asked_for() {
    let mut model = scene::progressing(120, 40);
    mouse(&mut model, CLICK, 10, 5);
    assert_eq!(selected(&model), Some("jx-production-myapp"));
    assert_eq!(press(&mut model, "m"), [Command::Mouse(true)]);
    assert!(model.notice.as_ref().unwrap().text.contains("shift"));
    assert_eq!(press(&mut model, "m"), [Command::Mouse(false)]);
    assert!(!model.mouse);
}

#[test]
fn a_click_selects_and_the_wheel_scrolls_what_lies_under_it() {
    let mut model = scene::progressing(120, 24);
    press(&mut model, "m<esc>");
    let names: Vec<String> = model.visible().map(|row| row.name.clone()).collect();
    let first = view::layout(&model).fleet.y + 2;
    let away = names.iter().position(|name| Some(name.as_str()) != selected(&model)).unwrap();
    let commands = mouse(&mut model, CLICK, 10, first + away as u16);
    assert_eq!(selected(&model), Some(names[away].as_str()));
    assert!(matches!(&commands[..], [Command::Remember { .. }, Command::Recall { .. }]), "{commands:?}");
    mouse(&mut model, CLICK, 10, first);
    mouse(&mut model, MouseEventKind::ScrollDown, 10, first + 1);
    mouse(&mut model, MouseEventKind::ScrollDown, 10, first);
    assert_eq!(selected(&model), Some(names[2].as_str()));
    let events = view::layout(&model).events;
    assert!(events.height > 2, "{events:?}");
    mouse(&mut model, MouseEventKind::ScrollUp, 10, events.y + 1);
    assert!(model.back > 0, "older events");
    assert_eq!(model.pane, Pane::Fleet, "the keyboard stays where it was");
    mouse(&mut model, MouseEventKind::ScrollDown, 10, events.y + 1);
    assert_eq!(model.back, 0);
    mouse(&mut model, CLICK, 10, events.y + 1);
    assert_eq!(model.pane, Pane::Events);
    // What is drawn on a line is what a click on it selects, also on a later page.
    let mut many = scene::many(100, 120, 40);
    press(&mut many, "m<pgdn><pgdn>");
    let fleet = view::layout(&many).fleet;
    for y in 0..40 {
        let screen = scene::text(&scene::shot(&many));
        let line = screen.lines().nth(y.into()).unwrap().to_string();
        let before = selected(&many).unwrap_or_default().to_string();
        mouse(&mut many, CLICK, 10, y);
        let now = selected(&many).unwrap_or_default();
        let clicked = (fleet.y + 2..fleet.bottom() - 1).contains(&y);
        assert!(if clicked { line.contains(now) } else { before == now }, "{y}: {line}");
    }
}

#[test]
fn the_mouse_chooses_a_theme_and_never_answers_a_question() {
    let mut model = scene::progressing(120, 40);
    press(&mut model, "mt");
    let screen = scene::text(&scene::shot(&model));
    let (y, line) = screen.lines().enumerate().find(|(_, line)| line.contains(" nord ")).unwrap();
    let x = line.chars().collect::<String>().find(" nord ").map(|at| line[..at].chars().count()).unwrap();
    mouse(&mut model, CLICK, x as u16 + 1, y as u16);
    assert_eq!(worn(&model), ("nord", "nord"));
    mouse(&mut model, MouseEventKind::ScrollUp, 60, 20);
    assert_eq!(worn(&model).0, "colour-blind");
    press(&mut model, "<esc>a");
    for y in 0..40 {
        for x in 0..120 {
            assert_eq!(mouse(&mut model, CLICK, x, y), []);
            assert_eq!(mouse(&mut model, MouseEventKind::ScrollDown, x, y), []);
        }
    }
    assert!(matches!(&model.overlay, Some(Overlay::Question(question)) if question.focus == Focus::No));
}

#[test]
fn no_place_and_no_button_of_a_mouse_does_harm() {
    let places = [(0, 0), (59, 15), (119, 39), (120, 40), (500, 3), (3, 500), (u16::MAX, u16::MAX)];
    let kinds = [
        CLICK,
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Middle),
        MouseEventKind::Moved,
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
        MouseEventKind::ScrollLeft,
    ];
    for (width, height) in [(120, 40), (80, 24), (60, 16), (20, 5), (1, 1)] {
        for keys in ["", "?", "e", "t", "a", "s", "<enter>", "/x", "<tab>"] {
            let mut model = scene::progressing(width, height);
            press(&mut model, "m<esc>");
            press(&mut model, keys);
            for (x, y) in places {
                for kind in kinds {
                    let commands = mouse(&mut model, kind, x, y);
                    let reads =
                        |command: &Command| matches!(command, Command::Remember { .. } | Command::Recall { .. });
                    assert!(commands.iter().all(reads), "{commands:?}");
                    scene::shot(&model);
                }
            }
        }
    }
}

#[test]
fn y_copies_the_name_and_among_the_events_the_whole_text_of_the_one_at_the_bottom() {
    let mut model = scene::failing(80, 24);
    let name = selected(&model).unwrap().to_string();
    assert_eq!(press(&mut model, "y"), [Command::Copy(name.clone())]);
    assert_eq!(model.notice.as_ref().unwrap().text, format!("copied to the terminal's clipboard: {name}"));
    let message = "jx-production-myapp.jx-production advancement success rate";
    let newest = format!("2026-11-22T12:04:46Z (3 times) Halt {message} 80.02% < 99%");
    assert_eq!(press(&mut model, "ey"), [Command::Copy(newest)]);
    let long = format!("{} \u{1b}]52;c;eA==\u{7} end", "word ".repeat(100));
    update(&mut model, Msg::Event(std::sync::Arc::new(scene::event("jx-production-myapp", "12:04:47", true, &long))));
    let commands = press(&mut model, "Gy");
    let [Command::Copy(text)] = &commands[..] else { panic!("{commands:?}") };
    assert!(text.starts_with("2026-11-22T12:04:47Z jx-production-myapp: word word"), "{text}");
    assert!(text.ends_with("␛]52;c;eA==␇ end") && !text.contains('\u{1b}'), "in full, and made visible: {text}");
    assert_eq!(press(&mut scene::unheard(80, 24), "y"), [], "nothing is there to be copied");
}

#[test]
fn suspending_asks_while_this_console_drives_a_rollout() {
    assert_eq!(press(&mut scene::at_rest(120, 40), "<c-z>"), [Command::Suspend]);
    assert_eq!(press(&mut scene::at_rest(120, 40), "?<c-z>"), [Command::Suspend], "from anywhere");
    let mut model = scene::progressing(120, 40);
    assert_eq!(press(&mut model, "<c-z>"), []);
    assert!(matches!(&model.overlay, Some(Overlay::Question(question)) if question.ask == Ask::Suspend));
    let screen = scene::text(&scene::shot(&model));
    assert!(screen.contains("Suspend?") && screen.contains("nothing is checked until"), "{screen}");
    assert_eq!(press(&mut model, "<enter>"), [], "No has the focus");
    assert_eq!(press(&mut model, "<c-z>y"), [Command::Suspend]);
    assert!(model.overlay.is_none(), "it is not there any more when the console comes back");
    assert_eq!(press(&mut model, "<c-z><c-z>"), [Command::Suspend], "asked twice is answered");
}
