//! What happens to the model when something happens: the one function that changes it.

use super::charts;
use super::event_list::{entries, in_order, newer_than};
use super::keys::{self, Action, Place};
use super::message::{Command, Msg, Outcome, Told};
use super::model::{
    Ask, Driver, EventsReader, Link, Model, Notice, Overlay, Pane, SMALLEST, Tone, Wish, kept, version_text,
};
use super::question::{self, Focus, Question};
use super::readers;
use super::reading::Inquiry;
use super::row::Key;
use super::{chooser, clipboard, mouse, palette, switch, versions, view};
use crate::api::Verb;
use crate::cluster::EventRecord;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::BTreeMap;
use std::sync::Arc;
use tui_input::{Input, InputRequest};

/// Events that are kept; the API keeps them for an hour.
const EVENTS_KEPT: usize = 2000;

/// Takes in what a source tells. What was meant for a place that the console has left is dropped, however late it comes.
pub fn hear(model: &mut Model, told: Told) -> Vec<Command> {
    if told.generation != model.generation {
        return Vec::new();
    }
    update(model, told.msg)
}

/// Takes a message in and answers what is to be done outside.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Command> {
    let before = asked(model).map(|ask| ask.generation);
    let mut commands = take_in(model, msg);
    // However a view was opened or closed: what nobody reads is asked for no longer.
    let after = asked(model);
    if before != after.map(|ask| ask.generation) {
        commands.push(Command::Read(after.cloned()));
    }
    commands
}

/// What the open view asks.
fn asked(model: &Model) -> Option<&Inquiry> {
    match model.opened() {
        Some(Overlay::Reading(reading)) => Some(&reading.ask),
        _ => None,
    }
}

fn take_in(model: &mut Model, msg: Msg) -> Vec<Command> {
    match msg {
        Msg::Key(event) => key(model, &event),
        Msg::Paste(text) => {
            for c in text.chars().filter(|c| !c.is_control()).take(512) {
                type_in(model, &KeyEvent::from(KeyCode::Char(c)));
            }
            Vec::new()
        }
        Msg::Mouse(event) => mouse::act(model, &event),
        Msg::Ground(ground) => {
            model.look.learn(ground);
            Vec::new()
        }
        Msg::Themes(themes) => {
            chooser::renew(model, themes);
            Vec::new()
        }
        Msg::Resize(width, height) => {
            (model.size.width, model.size.height) = (width, height);
            vec![Command::Repaint]
        }
        Msg::Clock(now, offset) => {
            (model.now, model.offset) = (now, offset);
            Vec::new()
        }
        Msg::Rows(rows) => {
            let before = model.selected.clone();
            let weights = weights(model);
            model.rows = rows;
            model.settle();
            note_weights(model, &weights);
            remember_if_changed(model, before)
        }
        Msg::Changed { whole, rows, gone } => {
            let before = model.selected.clone();
            let weights = weights(model);
            model.take_in(&whole, rows, &gone);
            model.settle();
            note_weights(model, &weights);
            remember_if_changed(model, before)
        }
        Msg::Events(mut events) => {
            events.sort_by(|a, b| in_order(a, b));
            let surplus = events.len().saturating_sub(EVENTS_KEPT);
            events.drain(..surplus);
            events.iter_mut().for_each(bound);
            model.events = events;
            Vec::new()
        }
        Msg::Event(mut event) => {
            bound(&mut event);
            let before = if model.back > 0 { entries(model, "").count() } else { 0 };
            model.events.retain(|known| known.name != event.name || known.namespace != event.namespace);
            let at = model.events.partition_point(|known| in_order(known, &event).is_le());
            model.events.insert(at, event);
            if model.events.len() > EVENTS_KEPT {
                model.events.remove(0);
            }
            // Whoever reads further back goes on reading the same lines.
            if model.back > 0 {
                model.back += entries(model, "").count().saturating_sub(before);
            }
            Vec::new()
        }
        Msg::Cluster { cluster, routes, missing } => {
            (model.cluster, model.routes, model.missing) = (cluster, routes, missing);
            Vec::new()
        }
        Msg::Rights(lacking) => {
            model.lacking = lacking;
            Vec::new()
        }
        Msg::Place { context, namespace, server } => {
            (model.namespace, model.server) = (namespace, kept(&server));
            if model.context != context {
                model.on_context(context);
            }
            Vec::new()
        }
        Msg::Contexts(contexts) => {
            model.contexts = contexts;
            Vec::new()
        }
        Msg::Namespaces(namespaces) => {
            model.namespaces = namespaces;
            Vec::new()
        }
        Msg::Narrowed { namespace, why } => {
            model.everywhere = false;
            model.narrowed = Some(kept(&why));
            model.namespace = namespace;
            Vec::new()
        }
        Msg::RightsIn { namespace, lacking } => {
            model.lacking_in.insert(namespace, lacking);
            Vec::new()
        }
        Msg::Names { namespace, names } => {
            model.names.insert(namespace, names);
            Vec::new()
        }
        Msg::Driver(driver) => {
            model.driver = driver;
            model.settle();
            Vec::new()
        }
        Msg::Drivers(drivers) => {
            model.drivers = drivers;
            model.settle();
            Vec::new()
        }
        Msg::Measured { at, span, workloads, problems } => {
            model.history.record(at, span, workloads);
            model.metric_problems = problems.map(|problem| problem.map(|text| kept(&text)));
            if !matches!(model.prometheus, Link::Live | Link::Connecting) {
                model.history.doubt();
            }
            model.prometheus = Link::Live;
            if model.order.is_measured() {
                model.settle();
            }
            charts::settle(model);
            charts::recall(model)
        }
        Msg::Pods { workload, pods } => {
            // What comes late, of a canary that was selected before, is not kept.
            if model.row().is_some_and(|row| [&row.primary.workload, &row.canary.workload].contains(&&workload)) {
                model.pods.insert(workload, pods.map_err(|why| kept(&why)));
            }
            Vec::new()
        }
        Msg::Judged(judged) => {
            model.judged = judged;
            Vec::new()
        }
        Msg::Prometheus(link) => {
            model.prometheus = link;
            Vec::new()
        }
        Msg::Remembered { workload, range, samples } => {
            let samples = samples.as_deref().map_err(|why| kept(why));
            model.history.fill(&workload, range, samples);
            Vec::new()
        }
        Msg::Notice(notice) => {
            model.notice = Some(Notice { text: kept(&notice.text), ..notice });
            Vec::new()
        }
        Msg::Answer { ask, answer } => {
            if let Some(Overlay::Reading(reading)) = model.opened_mut() {
                reading.take(&ask, answer);
            }
            Vec::new()
        }
        Msg::Past { asked, past } => {
            if let Some(Overlay::Versions(versions)) = &mut model.overlay
                && versions.asked == asked
            {
                versions::take_past(versions, past);
            }
            Vec::new()
        }
        Msg::Outcome { wish, outcome } => {
            let later = |(canary, number): &(Key, u64)| *canary == wish.canary && *number > wish.number;
            if model.answered.as_ref().is_some_and(later) && matches!(outcome, Outcome::CarriedOut(_)) {
                // What was asked after this has its answer on the screen already. The Events tell of both.
                return Vec::new();
            }
            model.answered = Some((wish.canary.clone(), wish.number));
            let what = format!("{} {}", wish.verb, wish.canary.name);
            let (tone, text) = match outcome {
                Outcome::CarriedOut(said) => (Tone::Good, format!("{what}: carried out{}", told(&said, "carried out"))),
                Outcome::Refused(why) => (Tone::Bad, format!("{what}: refused{}", told(&why, "refused"))),
                Outcome::NoDriver(why) => (Tone::Bad, format!("{what}: nobody carried it out: {why}")),
                Outcome::Failed(why) => (Tone::Bad, format!("{what}: {why}")),
            };
            model.notice = Some(Notice { tone, text: kept(text.trim_end()) });
            Vec::new()
        }
    }
}

/// What the driver's words say beyond the outcome itself, which stands before them.
fn told(said: &str, outcome: &str) -> String {
    let beyond = match said.split_once(outcome) {
        Some((_, tail)) => tail.trim_start_matches([':', ' ', '.']),
        None => said,
    };
    if beyond.is_empty() { String::new() } else { format!(": {beyond}") }
}

fn bound(event: &mut Arc<EventRecord>) {
    if event.message.len() > super::text::LONGEST {
        let message = kept(&event.message);
        Arc::make_mut(event).message = message;
    }
}

fn key(model: &mut Model, event: &KeyEvent) -> Vec<Command> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let place = keys::place(model);
    let action = model.keymap.action(place, event);
    let noticed = model.notice.as_ref().is_some_and(|notice| notice.tone != Tone::Wait);
    if noticed {
        model.notice = None;
    }
    match action {
        // A notice takes the first Esc for itself.
        Some(Action::Back) if noticed && place == Place::Main => Vec::new(),
        Some(action) => act(model, place, action),
        None => {
            let before = model.selected.clone();
            type_in(model, event);
            remember_if_changed(model, before)
        }
    }
}

/// Longest text that a field takes, in bytes.
const FIELD: usize = 512;

/// Edits a field as a shell would.
fn edit(input: &mut Input, event: &KeyEvent) {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    let request = match event.code {
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Char('u') if control => InputRequest::DeleteLine,
        KeyCode::Char('k') if control => InputRequest::DeleteTillEnd,
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char(c) if !control && !alt && input.value().len() < FIELD => InputRequest::InsertChar(c),
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return,
    };
    input.handle(request);
}

/// A key that is no command goes into the field that is being typed.
fn type_in(model: &mut Model, event: &KeyEvent) {
    if let Some(Overlay::Versions(versions)) = &mut model.overlay {
        // Whoever begins to type wants to type.
        versions.at = versions.choices.len().saturating_sub(1);
        versions.error = None;
        edit(&mut versions.input, event);
    } else if let Some(Overlay::Palette(palette)) = &mut model.overlay {
        palette.at = 0;
        // Nothing is left to delete: it was opened by mistake.
        if event.code == KeyCode::Backspace && palette.input.value().is_empty() {
            return palette::close(model);
        }
        edit(&mut palette.input, event);
    } else if let Some(Overlay::Question(question)) = &mut model.overlay {
        if let Some(field) = question.field() {
            edit(field, event);
        }
    } else if let Some(find) = readers::typing(model) {
        edit(&mut find.input, event);
        readers::looked_for(model);
    } else if model.overlay.is_none() && model.filter.typing {
        edit(&mut model.filter.input, event);
        model.settle();
        // What is looked for is what is meant: a canary that has some of its letters too must not stay selected.
        model.select(0);
    }
}

/// Does what a key does at a place.
pub(super) fn act(model: &mut Model, place: Place, action: Action) -> Vec<Command> {
    // On a screen that shows no question there is nothing to confirm.
    if model.too_small() && !matches!(action, Action::Quit | Action::Suspend | Action::Repaint | Action::Back) {
        model.notice = Some(Notice {
            tone: Tone::Plain,
            text: format!("the terminal is smaller than {}x{}", SMALLEST.width, SMALLEST.height),
        });
        return Vec::new();
    }
    if place == Place::Main
        && let Err(why) = keys::enabled(action, model)
    {
        let name = model.row().map(|row| format!("{}: ", row.name)).unwrap_or_default();
        model.notice = Some(Notice { tone: Tone::Plain, text: format!("{name}{why}") });
        return Vec::new();
    }
    match action {
        Action::Start => return versions::open(model),
        Action::Hold => match model.row().is_some_and(|row| row.paused.is_some()) {
            true => ask_verb(model, Verb::Resume),
            false => ask_verb(model, Verb::Pause),
        },
        Action::Advance => ask_verb(model, Verb::Advance),
        Action::Promote => ask_verb(model, Verb::Promote),
        Action::Abort => ask_verb(model, Verb::Abort),
        Action::Open => ask_verb(model, Verb::Open),
        Action::Charts if model.pane == Pane::Events => {
            let at = entries(model, "").nth(model.back).filter(|_| model.back > 0);
            let at = at.map(|entry| entry.key());
            model.overlay = Some(Overlay::Events(EventsReader { at, ..Default::default() }));
        }
        Action::Charts => {
            model.overlay = Some(Overlay::Charts);
            model.charts.cursor = None;
            return charts::recall(model);
        }
        Action::Earlier | Action::Later => charts::move_cursor(model, action == Action::Earlier),
        Action::Longer | Action::Shorter => return charts::turn_range(model, action == Action::Longer),
        Action::Enlarge => charts::enlarge(model),
        Action::Events if matches!(model.overlay, Some(Overlay::Events(_))) => model.overlay = None,
        Action::Events => model.overlay = Some(Overlay::Events(EventsReader::default())),
        Action::Read(topic) => readers::open(model, topic),
        Action::NextHit | Action::PreviousHit => readers::next_hit(model, action == Action::NextHit),
        Action::Filter if place == Place::Reading => readers::look_for(model),
        Action::Help => model.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Filter => model.filter.typing = true,
        Action::Scope => {
            model.only_selected = !model.only_selected;
            rewind(model);
        }
        Action::Order => {
            model.order = model.order.next(model.everywhere);
            model.settle();
            model.notice = Some(Notice { tone: Tone::Plain, text: format!("canaries: {}", model.order.label()) });
        }
        Action::Theme => {
            chooser::open(model);
            return vec![Command::ReadThemes];
        }
        Action::Copy => return copy(model),
        Action::Mouse => {
            model.mouse = !model.mouse;
            let text = match model.mouse {
                true => "mouse on: the terminal selects text with shift held down; m turns it off",
                false => "mouse off",
            };
            model.notice = Some(Notice { tone: Tone::Plain, text: text.into() });
            return vec![Command::Mouse(model.mouse)];
        }
        Action::Report => {
            let Some(canary) = model.row().map(|row| row.key()) else {
                model.notice = Some(Notice { tone: Tone::Plain, text: "no canary is selected".into() });
                return Vec::new();
            };
            let text = format!("writing down the rollout of {}", canary.name);
            model.notice = Some(Notice { tone: Tone::Wait, text });
            return vec![Command::Report(canary)];
        }
        Action::NextPane => {
            model.pane = match model.pane {
                Pane::Fleet => Pane::Events,
                Pane::Events => Pane::Fleet,
            }
        }
        Action::Zoom => model.zoomed = !model.zoomed,
        Action::Quit if question::quit_needs_asking(model) => {
            // Asked twice is answered: whoever presses Ctrl-C at the question means it.
            if place == Place::Question
                && matches!(&model.overlay, Some(Overlay::Question(question)) if question.ask == Ask::Quit)
            {
                return vec![Command::Quit];
            }
            model.overlay = Some(Overlay::Question(Question::new(Ask::Quit)));
        }
        Action::Quit => return vec![Command::Quit],
        Action::Suspend if question::quit_needs_asking(model) => {
            if matches!(&model.overlay, Some(Overlay::Question(question)) if question.ask == Ask::Suspend) {
                return confirm(model);
            }
            model.overlay = Some(Overlay::Question(Question::new(Ask::Suspend)));
        }
        Action::Suspend => return vec![Command::Suspend],
        Action::Repaint => return vec![Command::Repaint],
        Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::Top | Action::Bottom => {
            return travel(model, action);
        }
        Action::Back if place == Place::Find => readers::stop_typing(model, true),
        Action::Back => {
            back(model);
            return charts::recall(model);
        }
        Action::Yes => return confirm(model),
        Action::Turn | Action::NextField | Action::PreviousField | Action::Reason => {
            let guard = &model.guard;
            if let Some(Overlay::Question(question)) = &mut model.overlay {
                match action {
                    Action::Turn => question.turn(),
                    Action::Reason if question.takes_reason() => question.focus = Focus::Reason,
                    Action::Reason => {}
                    _ => question.move_on(guard, action == Action::NextField),
                }
            }
        }
        Action::Choose => match &model.overlay {
            Some(Overlay::Question(question)) if question.focus == Focus::Yes => return confirm(model),
            _ => model.overlay = None,
        },
        Action::Palette => palette::begin(model, None),
        Action::Namespace | Action::Context => palette::begin(model, Some(action)),
        Action::Complete => palette::complete(model),
        Action::Accept if place == Place::Find => readers::stop_typing(model, false),
        Action::Accept if place == Place::Filter => model.filter.typing = false,
        Action::Accept if place == Place::Themes => chooser::keep(model),
        Action::Accept if place == Place::Palette => return palette::accept(model),
        Action::Accept if place == Place::Field => {
            let guard = &model.guard;
            if let Some(Overlay::Question(question)) = &mut model.overlay {
                question.leave_field(guard);
            }
        }
        Action::Accept => versions::accept(model),
    }
    Vec::new()
}

fn back(model: &mut Model) {
    if matches!(model.overlay, Some(Overlay::Themes(_))) {
        chooser::leave(model);
    } else if matches!(model.overlay, Some(Overlay::Palette(_))) {
        palette::close(model);
    } else if model.overlay.is_some() {
        model.overlay = None;
    } else if model.zoomed && model.filter.input.value().is_empty() && !model.filter.typing {
        model.zoomed = false;
    } else {
        model.filter.typing = false;
        model.filter.input.reset();
        model.settle();
    }
}

/// Back to the newest event.
fn rewind(model: &mut Model) {
    model.back = 0;
    if let Some(Overlay::Events(reader)) = &mut model.overlay {
        reader.at = None;
    }
}

/// Moves the selection or scrolls, whatever has the keyboard.
pub(super) fn travel(model: &mut Model, action: Action) -> Vec<Command> {
    let page = usize::from(model.size.height / 2).max(1);
    // `back` counts from the newest line, which stands at the bottom.
    let backwards = |back: usize, most: usize| match action {
        Action::Up => (back + 1).min(most),
        Action::Down => back.saturating_sub(1),
        Action::PageUp => (back + page).min(most),
        Action::PageDown => back.saturating_sub(page),
        Action::Top => most,
        _ => 0,
    };
    let forwards = |at: usize, most: usize| match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(most),
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => (at + page).min(most),
        Action::Top => 0,
        _ => most,
    };
    match model.overlay.take() {
        Some(Overlay::Help { scroll }) => {
            let scroll = forwards(scroll, view::help::most_scroll(model));
            model.overlay = Some(Overlay::Help { scroll });
        }
        Some(Overlay::Events(mut reader)) => {
            let wanted = reader.find.input.value();
            let newer = newer_than(model, wanted, reader.at.as_ref());
            let most = entries(model, wanted).count().saturating_sub(1);
            let moved = backwards(newer, most);
            // Whoever goes down from the newest, or to the end, follows what comes.
            let follows = moved == 0 && action != Action::Up && action != Action::PageUp;
            let at = entries(model, wanted).nth(moved).filter(|_| !follows);
            reader.at = at.map(|entry| entry.key());
            model.overlay = Some(Overlay::Events(reader));
        }
        Some(Overlay::Reading(mut reading)) => {
            let lines = view::reading::lines(model, &reading).len();
            let most = lines.saturating_sub(view::reading::room(model));
            reading.scroll = forwards(reading.scroll.min(most), most);
            model.overlay = Some(Overlay::Reading(reading));
        }
        Some(Overlay::Versions(mut versions)) => {
            versions.at = forwards(versions.at, versions.choices.len().saturating_sub(1));
            versions.error = None;
            model.overlay = Some(Overlay::Versions(versions));
        }
        Some(Overlay::Palette(mut palette)) => {
            let most = palette::entries(model, palette.input.value()).len().saturating_sub(1);
            palette.at = forwards(palette.at, most);
            model.overlay = Some(Overlay::Palette(palette));
        }
        Some(Overlay::Themes(list)) => {
            model.overlay = Some(Overlay::Themes(list));
            chooser::point(model, forwards);
        }
        // The charts of the neighbour.
        Some(Overlay::Charts) => {
            model.overlay = Some(Overlay::Charts);
            return select(model, forwards);
        }
        other => {
            model.overlay = other;
            if model.overlay.is_none() && model.pane == Pane::Events {
                model.back = backwards(model.back, view::events::most_back(model));
            } else if model.overlay.is_none() {
                return select(model, forwards);
            }
        }
    }
    Vec::new()
}

/// Selects another canary, by its place among those that are shown.
pub(super) fn select(model: &mut Model, moved: impl Fn(usize, usize) -> usize) -> Vec<Command> {
    let before = model.selected.clone();
    let Some(most) = model.shown().checked_sub(1) else { return Vec::new() };
    model.select(moved(model.place_of_selected(), most));
    if model.only_selected {
        rewind(model);
    }
    remember_if_changed(model, before)
}

/// A newly selected canary's past is asked for.
fn remember_if_changed(model: &mut Model, before: Option<Key>) -> Vec<Command> {
    let Some(row) = model.row() else { return Vec::new() };
    let (primary, canary) = (row.primary.workload.clone(), row.canary.workload.clone());
    let changed = !before.as_ref().is_some_and(|before| row.is(before));
    model.history.follow([&primary, &canary]);
    let mut commands = Vec::new();
    if changed {
        model.pods.clear();
        commands.push(Command::Remember { primary, canary });
        commands.extend(charts::recall(model));
    }
    commands
}

/// The weights of the canaries that have any.
fn weights(model: &Model) -> BTreeMap<Key, u8> {
    model.rows.iter().filter(|row| row.under_way() || row.weight() > 0).map(|row| (row.key(), row.weight())).collect()
}

/// Notes which weights have changed since.
fn note_weights(model: &mut Model, before: &BTreeMap<Key, u8>) {
    let now = model.now.timestamp();
    let changed = before.iter().filter_map(|(key, from)| {
        let to = model.named(key)?.weight();
        (to != *from).then(|| (key.clone(), *from, to))
    });
    for (key, from, to) in changed.collect::<Vec<_>>() {
        model.weights.note(&key, now, from, to);
    }
    if before.keys().any(|key| model.named(key).is_none()) {
        let rows = &model.rows;
        model.weights.keep(|key| rows.iter().any(|row| row.is(key)));
    }
}

fn copy(model: &mut Model) -> Vec<Command> {
    let Some(text) = clipboard::subject(model) else { return Vec::new() };
    // No terminal says whether it took it.
    model.notice = Some(Notice { tone: Tone::Plain, text: format!("copied to the terminal's clipboard: {text}") });
    vec![Command::Copy(text)]
}

fn ask_verb(model: &mut Model, verb: Verb) {
    let Some(row) = model.row() else { return };
    let Some(revision) = row.request_revision(verb) else { return };
    let wish = Wish {
        number: 0,
        verb,
        canary: row.key(),
        revision: revision.to_string(),
        image: None,
        container: None,
        version: row.canary.version().to_string(),
        past: None,
        gate: row.gate.as_ref().filter(|_| verb == Verb::Open).map(|gate| gate.name.clone()),
        reason: String::new(),
    };
    model.overlay = Some(Overlay::Question(Question::new(Ask::Verb(wish))));
}

fn confirm(model: &mut Model) -> Vec<Command> {
    let guard = &model.guard;
    let Some(Overlay::Question(question)) = &mut model.overlay else { return Vec::new() };
    if !question.named(guard) {
        question.focus = Focus::Name;
        return Vec::new();
    }
    let reason = question.reason.value().trim().to_string();
    match question.ask.clone() {
        Ask::Quit => vec![Command::Quit],
        Ask::Suspend => {
            model.overlay = None;
            vec![Command::Suspend]
        }
        Ask::Leave(goal) => switch::set_off(model, goal),
        // The question itself says what stands against it, and stays.
        Ask::Verb(wish) if question::objection(&wish, model).is_some() => Vec::new(),
        Ask::Verb(wish) => {
            model.overlay = None;
            let driver = match model.driver_of(&wish.canary.namespace) {
                Driver::Other { holder } => holder.as_str(),
                _ => "the driver",
            };
            let version = match wish.verb {
                Verb::Start => format!(" {}", version_text(&wish.version)),
                _ => String::new(),
            };
            let text = format!("{} {}{version}: asked, waiting for {driver}", wish.verb, wish.canary.name);
            model.notice = Some(Notice { tone: Tone::Wait, text });
            model.requests += 1;
            vec![Command::Send(Wish { number: model.requests, reason, ..wish })]
        }
    }
}
