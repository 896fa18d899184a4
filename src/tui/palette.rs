//! The palette: everything that the keys can do, found by a few letters of its name, and with a name typed after it.
//!
//! There is one table of what can be done, that of the keys; this adds the words that are typed besides and what may
//! follow them. What a line does is what its key does.

use super::keymap::Bound;
use super::keys::{self, Action, Place};
use super::message::Command;
use super::model::{Model, Notice, Order, Overlay, Tone};
use super::switch;
use super::theme::AUTO;
use super::update::act;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::Input;

/// The palette while it is open.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub input: Input,
    /// The chosen line.
    pub at: usize,
    /// What was open when it was opened, and is again when it is closed.
    pub under: Option<Box<Overlay>>,
}

/// What may follow the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    Theme,
    Order,
    Namespace,
    Context,
}

/// A line of the palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub action: Action,
    /// What follows the word.
    pub argument: Option<String>,
    /// As it would be typed.
    pub text: String,
    /// Its keys on the main screen; empty where it has none.
    pub key: String,
    pub help: String,
    /// Why it does nothing now.
    pub objection: Option<String>,
    /// Places in `text`, in characters, of what was typed.
    pub matched: Vec<u32>,
}

/// Other words for an action.
fn aliases(action: Action) -> &'static [&'static str] {
    match action {
        Action::Hold => &["resume", "hold"],
        Action::Advance => &["advance", "next"],
        Action::Open => &["open", "gate"],
        Action::Order => &["order"],
        Action::Quit => &["q", "exit"],
        Action::Help => &["keys"],
        Action::Namespace => &["ns"],
        Action::Context => &["ctx"],
        _ => &[],
    }
}

/// What may follow the word of an action.
pub fn argument(action: Action) -> Option<Argument> {
    match action {
        Action::Theme => Some(Argument::Theme),
        Action::Order => Some(Argument::Order),
        Action::Namespace => Some(Argument::Namespace),
        Action::Context => Some(Argument::Context),
        _ => None,
    }
}

/// What is known to follow, and what each of them does. Others may be typed where [`open`] says so.
fn completions(argument: Argument, model: &Model) -> Vec<(String, String)> {
    match argument {
        Argument::Theme => {
            let own = model.look.themes.names();
            let names = std::iter::once(AUTO).chain(own.iter().map(|name| &**name));
            names.map(|name| (name.to_string(), format!("Show it in {name}"))).collect()
        }
        Argument::Order => Order::ALL.iter().map(|o| (o.name().into(), format!("Canaries: {}", o.label()))).collect(),
        Argument::Namespace => of(&switch::namespaces(model), "Show the canaries of"),
        Argument::Context => of(&model.contexts, "Go to the context"),
    }
}

fn of(names: &[String], what: &str) -> Vec<(String, String)> {
    let help = |name: &str| match name {
        switch::ALL => format!("{what} all namespaces"),
        name => format!("{what} {name}"),
    };
    names.iter().map(|name| (name.clone(), help(name))).collect()
}

/// Whether a name that is not known may be right: not everybody may list what there is.
fn open(argument: Argument) -> bool {
    matches!(argument, Argument::Namespace | Argument::Context)
}

/// The lines for what is typed, the best first; all where nothing is.
pub fn entries(model: &Model, typed: &str) -> Vec<Entry> {
    let typed = typed.trim_start();
    let wanted = typed.trim_end();
    if wanted.is_empty() {
        return commands(model).collect();
    }
    if let Some((word, rest)) = typed.split_once(' ')
        && let Some(command) = commands(model).find(|entry| is_word(entry.action, word))
        && let Some(argument) = argument(command.action)
    {
        return with_argument(model, &command, argument, rest.trim());
    }
    let all = commands(model).flat_map(|command| {
        let known = argument(command.action).map(|argument| completions(argument, model)).unwrap_or_default();
        let given: Vec<Entry> = known.into_iter().map(|(name, help)| given(&command, name, help)).collect();
        std::iter::once(command).chain(given)
    });
    let mut found = best(all.collect(), wanted, |entry| match &entry.argument {
        None => format!("{} {}", entry.text, aliases(entry.action).join(" ")),
        Some(_) => entry.text.clone(),
    });
    // A whole word is meant as it is.
    found.sort_by_key(|entry| !(entry.argument.is_none() && is_word(entry.action, wanted)));
    found
}

fn is_word(action: Action, word: &str) -> bool {
    action.name() == word || aliases(action).contains(&word)
}

/// Everything that the main screen's keys can do, each once.
fn commands(model: &Model) -> impl Iterator<Item = Entry> {
    let read_only = model.guard.read_only.is_some();
    let meant = |bound: &&Bound| {
        matches!(bound.place, Place::Main | Place::Any) && !matches!(bound.action, Action::Palette | Action::Back)
    };
    let once = |bound: &&Bound| bound.place == Place::Main || matches!(bound.action, Action::Repaint | Action::Suspend);
    model.keymap.iter().filter(meant).filter(once).filter(move |b| !(read_only && b.action.mutates())).map(|bound| {
        Entry {
            action: bound.action,
            argument: None,
            text: bound.action.name(),
            key: bound.key.to_string(),
            help: bound.help.to_string(),
            objection: keys::enabled(bound.action, model).err(),
            matched: Vec::new(),
        }
    })
}

fn given(command: &Entry, name: String, help: String) -> Entry {
    let text = format!("{} {name}", command.text);
    Entry { argument: Some(name), text, key: String::new(), help, ..command.clone() }
}

fn with_argument(model: &Model, command: &Entry, argument: Argument, typed: &str) -> Vec<Entry> {
    let known = completions(argument, model);
    let is_known = known.iter().any(|(name, _)| name == typed);
    let all: Vec<Entry> = known.into_iter().map(|(name, help)| given(command, name, help)).collect();
    let mut found = match typed.is_empty() {
        true => all,
        false => best(all, typed, |entry| entry.argument.clone().unwrap_or_default()),
    };
    let before = command.text.chars().count() as u32 + 1;
    found.iter_mut().flat_map(|entry| &mut entry.matched).for_each(|at| *at += before);
    found.sort_by_key(|entry| entry.argument.as_deref() != Some(typed));
    if !typed.is_empty() && !is_known && open(argument) {
        found.push(given(command, typed.to_string(), format!("{}, as it is typed", command.help)));
    }
    found
}

/// Those that hold what is typed, the best first; of equals, the first first.
fn best(entries: Vec<Entry>, typed: &str, text: impl Fn(&Entry) -> String) -> Vec<Entry> {
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Entry)> = Vec::new();
    for mut entry in entries {
        let text = text(&entry);
        let mut matched = Vec::new();
        if let Some(score) = pattern.indices(Utf32Str::new(&text, &mut buffer), &mut matcher, &mut matched) {
            matched.sort_unstable();
            matched.dedup();
            let length = entry.argument.as_ref().map_or(entry.text.len(), |_| text.len()) as u32;
            entry.matched = matched.into_iter().filter(|at| *at < length).collect();
            scored.push((score, entry));
        }
    }
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, entry)| entry).collect()
}

/// Opens it, with a word typed already where one is given.
pub fn begin(model: &mut Model, word: Option<Action>) {
    let typed = word.map(|action| format!("{} ", action.name())).unwrap_or_default();
    let under = model.overlay.take().map(Box::new);
    model.overlay = Some(Overlay::Palette(Palette { input: Input::new(typed), at: 0, under }));
}

/// Closes it, and what it was opened over is open again.
pub fn close(model: &mut Model) {
    if let Some(Overlay::Palette(palette)) = model.overlay.take() {
        model.overlay = palette.under.map(|under| *under);
    }
}

/// Takes what is chosen over into the line, to go on typing.
pub fn complete(model: &mut Model) {
    let Some(Overlay::Palette(palette)) = &model.overlay else { return };
    let Some(entry) = entries(model, palette.input.value()).into_iter().nth(palette.at) else { return };
    let more = entry.argument.is_none() && argument(entry.action).is_some();
    let typed = if more { format!("{} ", entry.text) } else { entry.text };
    if let Some(Overlay::Palette(palette)) = &mut model.overlay {
        (palette.input, palette.at) = (Input::new(typed), 0);
    }
}

/// Does what is chosen.
pub fn accept(model: &mut Model) -> Vec<Command> {
    let Some(Overlay::Palette(palette)) = model.overlay.take() else { return Vec::new() };
    let typed = palette.input.value();
    let Some(entry) = entries(model, typed).into_iter().nth(palette.at) else {
        let said = match typed.trim().split_once(' ') {
            Some((word, rest)) => format!("there is no {word} {:?}", rest.trim()),
            None => format!("there is nothing to do by the name of {:?}", typed.trim()),
        };
        model.notice = Some(Notice { tone: Tone::Plain, text: said });
        model.overlay = Some(Overlay::Palette(palette));
        return Vec::new();
    };
    // What is shown goes on being shown, unless it is the main screen's rows that are meant.
    let stays = matches!(entry.action, Action::Theme | Action::Copy | Action::Mouse | Action::Report | Action::Repaint)
        || entry.action.travels()
        || matches!(entry.action, Action::Namespace | Action::Context) && entry.argument.is_none()
        || entry.objection.is_some();
    if stays {
        model.overlay = palette.under.map(|under| *under);
    }
    match entry.argument {
        None if matches!(entry.action, Action::Namespace | Action::Context) => {
            begin(model, Some(entry.action));
            Vec::new()
        }
        None => act(model, Place::Main, entry.action),
        Some(argument) => give(model, entry.action, argument),
    }
}

fn give(model: &mut Model, action: Action, argument: String) -> Vec<Command> {
    match action {
        Action::Theme => {
            if let Err(why) = model.look.wear(&argument) {
                model.notice = Some(Notice { tone: Tone::Bad, text: why });
            }
        }
        Action::Order => {
            if let Some(order) = Order::ALL.into_iter().find(|order| order.name() == argument) {
                model.order = order;
                model.settle();
                model.notice = Some(Notice { tone: Tone::Plain, text: format!("canaries: {}", order.label()) });
            }
        }
        Action::Namespace => return switch::to_namespace(model, &argument),
        Action::Context => return switch::to_context(model, &argument),
        _ => {}
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Verb;
    use crate::tui::message::Msg;
    use crate::tui::model::Ask;
    use crate::tui::scene::{self, press};
    use crate::tui::update::update;

    fn texts(model: &Model, typed: &str) -> Vec<String> {
        entries(model, typed).into_iter().map(|entry| entry.text).collect()
    }

    fn first(model: &Model, typed: &str) -> String {
        texts(model, typed).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn everything_that_the_keys_can_do_is_there_once() {
        let model = scene::progressing(120, 40);
        let all = texts(&model, "");
        let mut once = all.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), all.len(), "{all:?}");
        for binding in keys::TABLE.iter().filter(|b| b.place == Place::Main) {
            let left_out = matches!(binding.action, Action::Palette | Action::Back);
            assert_eq!(all.contains(&binding.action.name()), !left_out, "{:?}", binding.action);
        }
    }

    #[test]
    fn a_few_letters_find_it_and_a_word_is_meant_as_it_is() {
        let mut model = scene::progressing(120, 40);
        model.namespaces = ["payments", "prod-payments", "web"].map(String::from).to_vec();
        model.contexts = vec!["eu".into()];
        for (typed, found) in [
            ("prom", "promote"),
            ("ab", "abort"),
            ("q", "quit"),
            ("quit", "quit"),
            ("resume", "pause"),
            ("ns", "namespace"),
            ("next", "next-step"),
            ("theme", "theme"),
            ("theme li", "theme light"),
            ("sort phase", "sort phase"),
            ("order ph", "sort phase"),
            ("light", "theme light"),
            ("ns payments", "namespace payments"),
            ("ns web", "namespace web"),
            ("ns we", "namespace web"),
            ("ns elsewhere", "namespace elsewhere"),
            ("ctx eu", "context eu"),
            (" theme  dark ", "theme dark"),
        ] {
            assert_eq!(first(&model, typed), found, "{typed}");
        }
        assert_eq!(texts(&model, "xyzzy"), Vec::<String>::new());
        assert_eq!(texts(&model, "theme xyzzy"), Vec::<String>::new(), "a theme that is not there cannot be shown");
        let matched = entries(&model, "theme li")[0].matched.clone();
        assert_eq!(matched, [6, 7]);
    }

    #[test]
    fn a_line_does_what_its_key_does() {
        let asked = |typed: &str| {
            let mut model = scene::progressing(120, 40);
            let commands = press(&mut model, &format!(":{typed}<enter>"));
            (model, commands)
        };
        let (model, commands) = asked("promote");
        assert_eq!(commands, [], "a question comes first");
        let Some(Overlay::Question(question)) = &model.overlay else { panic!("{:?}", model.overlay) };
        assert!(matches!(&question.ask, Ask::Verb(wish) if wish.verb == Verb::Promote));
        let (model, _) = asked("theme light");
        assert_eq!((&*model.look.theme.name, model.overlay.is_none()), ("light", true));
        let (model, _) = asked("sort phase");
        assert_eq!(model.order, Order::Phase);
        for typed in ["ns payments", "ns *", "context eu"] {
            let (model, commands) = asked(typed);
            assert_eq!(commands, [], "this console drives a rollout: {typed}");
            assert!(matches!(&model.overlay, Some(Overlay::Question(q)) if matches!(q.ask, Ask::Leave(_))), "{typed}");
        }
        let (model, commands) = asked("quit");
        assert_eq!(commands, []);
        assert!(matches!(&model.overlay, Some(Overlay::Question(question)) if question.ask == Ask::Quit));
        let (model, _) = asked("xyzzy");
        assert!(matches!(&model.overlay, Some(Overlay::Palette(_))), "it stays, to be mended");
        assert!(model.notice.is_some_and(|notice| notice.text.contains("xyzzy")));
        // A word that needs another one asks for it.
        let (model, commands) = asked("ns");
        assert!(matches!(&model.overlay, Some(Overlay::Palette(palette)) if palette.input.value() == "namespace "));
        assert_eq!(commands, []);
    }

    #[test]
    fn it_opens_over_a_view_which_goes_on_meanwhile_and_is_there_again() {
        let mut model = scene::progressing(120, 40);
        let commands = press(&mut model, "w");
        let Some(Command::Read(Some(ask))) = commands.into_iter().next() else { panic!() };
        assert_eq!(press(&mut model, ":"), [], "it is read on");
        assert!(matches!(model.opened(), Some(Overlay::Reading(_))));
        let screen = scene::text(&scene::shot(&model));
        assert!(screen.contains("Commands") && screen.contains("Why"), "{screen}");
        update(&mut model, Msg::Answer { ask, answer: Err("it is gone".into()) });
        press(&mut model, "theme light<enter>");
        let Some(Overlay::Reading(reading)) = &model.overlay else { panic!("{:?}", model.overlay) };
        assert_eq!((reading.problem.as_deref(), &*model.look.theme.name), (Some("it is gone"), "light"));
        for left in ["<esc>", "<backspace>", "pro<esc>"] {
            assert_eq!(press(&mut model, &format!(":{left}")), [], "{left}: nothing is asked anew");
            assert!(matches!(model.overlay, Some(Overlay::Reading(_))), "{left}");
        }
        // What is said of a request that cannot be made is said where it was asked for.
        press(&mut model, ":open-gate<enter>");
        assert!(matches!(model.overlay, Some(Overlay::Reading(_))) && model.notice.is_some());
        // A word that needs another one asks for it over the same view.
        press(&mut model, ":ns<enter><esc>");
        assert!(matches!(model.overlay, Some(Overlay::Reading(_))), "{:?}", model.overlay);
        // A question, and what is meant for the canaries, take the whole screen.
        press(&mut model, ":abort<enter>");
        assert!(matches!(model.overlay, Some(Overlay::Question(_))));
        press(&mut model, "n<enter>");
        assert!(matches!(model.overlay, Some(Overlay::Charts)));
        press(&mut model, ":filter<enter>");
        assert!(model.overlay.is_none() && model.filter.typing);
    }

    #[test]
    fn what_does_nothing_now_says_why() {
        let mut model = scene::at_rest(120, 40);
        let entry = entries(&model, "abort").remove(0);
        assert_eq!(entry.objection.as_deref(), Some("no rollout is under way"));
        press(&mut model, ":abort<enter>");
        assert!(model.overlay.is_none());
        assert!(model.notice.is_some_and(|notice| notice.text.contains("no rollout is under way")));
    }

    #[test]
    fn it_is_edited_completed_and_left() {
        let mut model = scene::progressing(120, 40);
        press(&mut model, ":the<tab>");
        assert!(matches!(&model.overlay, Some(Overlay::Palette(palette)) if palette.input.value() == "theme "));
        press(&mut model, "<down><down><tab>");
        assert!(matches!(&model.overlay, Some(Overlay::Palette(palette)) if palette.input.value() == "theme light"));
        press(&mut model, "<esc>");
        assert!(model.overlay.is_none());
        press(&mut model, ":x<backspace>");
        assert!(model.overlay.is_some());
        press(&mut model, "<backspace>");
        assert!(model.overlay.is_none(), "nothing was left to delete");
        press(&mut model, ":<up><up><down><pgdn><pgdn><pgdn><pgup>");
        assert!(model.overlay.is_some());
        // No key of the main screen acts while letters are typed.
        assert_eq!(press(&mut model, "apPnsOqy"), []);
        assert!(matches!(&model.overlay, Some(Overlay::Palette(palette)) if palette.input.value() == "apPnsOqy"));
    }
}
