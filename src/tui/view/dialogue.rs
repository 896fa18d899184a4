//! The two dialogues: which version to start, and the question before anything is done.

use super::canvas::{Canvas, piece};
use super::centred;
use crate::cluster::records::tag;
use crate::rollout::{Fate, Past, Way};
use crate::tui::age::ago;
use crate::tui::model::{Choice, Looked, Model, Versions, version_text};
use crate::tui::question::{self, Focus, Question};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

/// Width of a dialogue where there is room.
const WIDTH: u16 = 72;
/// Lines that tell more about a version that the target had.
const MORE: usize = 3;

/// Draws the list of versions; answers where the cursor is.
pub fn draw_versions(canvas: &mut Canvas, model: &Model, versions: &Versions, within: Rect) -> Option<Position> {
    let glyphs = canvas.glyphs();
    let width = WIDTH.min(within.width.saturating_sub(4));
    let lines = lines(versions);
    let below = below(versions, usize::from(width.saturating_sub(4)), glyphs.unicode);
    let room = within.height.saturating_sub(4 + below.len() as u16).max(1);
    let shown = (lines.len() as u16).min(room);
    let area = centred(within, width, shown + 3 + below.len() as u16 + 1);
    canvas.clear(area);
    let title = [piece("Start which version of ", Role::Strong), piece(versions.canary.name.as_str(), Role::Strong)];
    let inner = canvas.frame(area, &title, Role::Focus);
    let serving = model.named(&versions.canary).map_or("?", |row| version_text(row.primary.version()));
    canvas.line(inner.x, inner.y, inner.width, &[piece("serving now: ", Role::Dim), piece(serving, Role::Text)]);
    let at = lines.iter().position(|line| *line == Line::Choice(versions.at)).unwrap_or(0);
    let first = at.saturating_sub(usize::from(shown.saturating_sub(1)));
    let tags = versions.choices.iter().map(|choice| text::width(name(choice))).max().unwrap_or(0);
    let tags = (tags as u16 + 2).clamp(8, 24);
    let mut cursor = None;
    let mut y = inner.y + 1;
    for line in lines.iter().skip(first).take(shown.into()) {
        match line {
            Line::Says(text) => {
                canvas.put_on(inner.x, y, inner.width, text, Role::Dim, None, Cut::End);
            }
            Line::Choice(at) => {
                let line = Rect::new(inner.x, y, inner.width, 1);
                cursor = draw_choice(canvas, model, versions, *at, tags, line).or(cursor);
            }
        }
        y += 1;
    }
    for (role, line) in below {
        canvas.put(inner.x, y, inner.width, &line, role);
        y += 1;
    }
    cursor
}

/// A line of the list.
#[derive(Debug, PartialEq)]
enum Line {
    /// Something to be read.
    Says(String),
    /// The choice at this place.
    Choice(usize),
}

fn lines(versions: &Versions) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..versions.choices.len()).map(Line::Choice).collect();
    let of = |choice: fn(&Choice) -> bool| versions.choices.iter().position(choice).unwrap_or(lines.len());
    let (first, typed) = (of(|choice| matches!(choice, Choice::Past(_))), of(|choice| *choice == Choice::Typed));
    let (at, text) = match &versions.past {
        Looked::Waiting => (typed, "reading which versions it had before".to_string()),
        Looked::Unknown(_) => (typed, "which versions it had before is not known".into()),
        Looked::Found if first > typed => (typed, "no ReplicaSet tells which versions it had before".into()),
        Looked::Found => (first, "its ReplicaSets:".into()),
    };
    lines.insert(at.min(lines.len()), Line::Says(text));
    lines
}

/// What is said below the list: what is wrong with the choice, else more about it.
fn below(versions: &Versions, columns: usize, unicode: bool) -> Vec<(Role, String)> {
    let wrap = |text: &str, role: Role| {
        let lines = text::wrap(&text::clean(text, unicode), columns);
        lines.into_iter().map(move |line| (role, line)).collect::<Vec<_>>()
    };
    let mark = if unicode { "…" } else { "~" };
    // What is longer loses its end.
    let within = |mut lines: Vec<(Role, String)>, most: usize| {
        if let Some((_, more)) = lines.get(most).cloned() {
            lines.truncate(most);
            if let Some((_, last)) = lines.last_mut() {
                *last = text::cut(&format!("{last} {more}"), columns, Cut::End, mark).into_owned();
            }
        }
        lines
    };
    if let (Looked::Unknown(why), None) = (&versions.past, &versions.error) {
        return within(wrap(why, Role::Warn), MORE);
    }
    if let Some(error) = versions.error.as_deref().filter(|error| !error.is_empty()) {
        return wrap(error, Role::Bad);
    }
    let has_past = versions.choices.iter().any(|choice| matches!(choice, Choice::Past(_)));
    if !has_past {
        return Vec::new();
    }
    let Some(Choice::Past(past)) = versions.choices.get(versions.at) else {
        // Its place is kept: the list must not jump under the eye.
        return vec![(Role::Dim, String::new()); MORE];
    };
    let image = text::clean(&past.image, unicode);
    let image = text::cut(&image, columns, Cut::Middle, mark).into_owned();
    let mut lines = vec![(Role::Dim, image)];
    lines.extend(match &past.way {
        Way::Present => wrap("the target has this version now", Role::Dim),
        Way::Barred(why) => wrap(&format!("a start does not lead there: {why}"), Role::Warn),
        Way::Image { otherwise, .. } if otherwise.is_empty() => wrap("one image brings it back as it was", Role::Dim),
        Way::Image { otherwise, .. } => {
            wrap(&format!("the image alone comes back; it also had otherwise: {}", otherwise.join(", ")), Role::Warn)
        }
    });
    lines = within(lines, MORE);
    lines.resize(MORE, (Role::Dim, String::new()));
    lines
}

fn draw_choice(
    canvas: &mut Canvas,
    model: &Model,
    versions: &Versions,
    at: usize,
    tags: u16,
    line: Rect,
) -> Option<Position> {
    let glyphs = canvas.glyphs();
    let choice = versions.choices.get(at)?;
    let chosen = at == versions.at;
    let ground = chosen.then_some(Role::Selected);
    let (x, y) = (line.x + 2, line.y);
    if chosen {
        canvas.ground(Rect::new(line.x - 1, y, line.width + 2, 1), Role::Selected);
        canvas.put_on(line.x, y, 1, glyphs.pointer, Role::Focus, ground, Cut::End);
    }
    let barred = matches!(choice, Choice::Past(past) if !matches!(past.way, Way::Image { .. }));
    let role = match (chosen, barred) {
        (_, true) => Role::Dim,
        (true, false) => Role::Strong,
        (false, false) => Role::Text,
    };
    let note_x = x + tags;
    let note_room = line.right().saturating_sub(note_x);
    canvas.put_on(x, y, tags - 1, name(choice), role, ground, Cut::Middle);
    let mut note = |text: &str, role: Role| {
        canvas.put_on(note_x, y, note_room, text, role, ground, Cut::End);
    };
    match choice {
        Choice::Again { .. } => note("the present template once more", Role::Dim),
        Choice::Offered { note: text, running, .. } => {
            let text = if *running { format!("serves now. {text}") } else { text.clone() };
            note(&text, Role::Dim);
        }
        Choice::Past(past) => {
            let failed = matches!(past.fate, Fate::Failed(_));
            note(&told(past, model), if failed { Role::Warn } else { Role::Dim });
        }
        Choice::Typed => {
            let value = versions.input.value();
            let room = usize::from(note_room.saturating_sub(1));
            if value.is_empty() && !chosen {
                note("type a tag or an image", Role::Dim);
            } else {
                let skipped = versions.input.visual_scroll(room);
                let seen: String = value.chars().skip(skipped).collect();
                note(&seen, Role::Strong);
                let at = versions.input.visual_cursor().saturating_sub(skipped).min(room) as u16;
                return chosen.then_some(Position::new(note_x + at, y));
            }
        }
    }
    None
}

/// What is known of a version that the target had, the shortest first: a narrow line loses its end.
fn told(past: &Past, model: &Model) -> String {
    let mut parts = Vec::new();
    if past.serves {
        parts.push("serves now".to_string());
    }
    match &past.fate {
        Fate::Failed(at) => parts.push(format!("failed {}", ago(*at, model.now)).trim_end().to_string()),
        // What serves was promoted.
        Fate::Promoted if !past.serves => parts.push("was promoted".into()),
        Fate::Promoted | Fate::Unknown => {}
    }
    parts.push(format!("revision {}", past.number));
    match &past.way {
        Way::Present => parts.push("the target's now".into()),
        Way::Barred(_) => parts.push("not by a start".into()),
        Way::Image { .. } => {}
    }
    if past.since.is_some() {
        parts.push(format!("first seen {}", ago(past.since, model.now)));
    }
    parts.join(", ")
}

fn name(choice: &Choice) -> &str {
    match choice {
        Choice::Again { version } => version,
        Choice::Offered { tag, .. } => tag,
        Choice::Past(past) => match &past.way {
            Way::Image { image, .. } => tag(image),
            _ => tag(&past.image),
        },
        Choice::Typed => "another:",
    }
}

/// Draws a question; answers where the cursor is, while something is typed. The focus begins on No.
pub fn draw_question(canvas: &mut Canvas, model: &Model, question: &Question, within: Rect) -> Option<Position> {
    let glyphs = canvas.glyphs();
    let words = question::words(&question.ask, model);
    let width = WIDTH.min(within.width.saturating_sub(4));
    let columns = usize::from(width.saturating_sub(6));
    let wrap = |text: &str| text::wrap(&text::clean(text, glyphs.unicode), columns);
    let mut lines: Vec<(Role, String)> =
        words.body.iter().flat_map(|line| wrap(line)).map(|line| (Role::Text, line)).collect();
    if let Some(why) = &words.objection {
        let text = format!("{} Not now: {why}", glyphs.warning);
        lines.extend(wrap(&text).into_iter().map(|line| (Role::Warn, line)));
    }
    // What is typed goes below the text.
    let fields = fields(question, model);
    let needed = (lines.len() + fields.len()) as u16 + 2 + 1;
    // Air above and below the text, where there is room for it.
    let air = u16::from(needed + 3 <= within.height);
    let area = centred(within, width, needed + 3 * air);
    canvas.clear(area);
    let frame = if words.objection.is_some() { Role::Warn } else { Role::Focus };
    let inner = canvas.frame(area, &[piece(words.title, Role::Strong)], frame);
    let room = usize::from(inner.height.saturating_sub(1)).saturating_sub(fields.len());
    if lines.len() > room {
        let lost = lines.len() - room + 1;
        lines.truncate(room.saturating_sub(1));
        lines.push((Role::Warn, format!("{} {lost} more lines: make the terminal higher", glyphs.cut)));
    }
    for (y, (role, line)) in (inner.y + air..inner.bottom()).zip(lines) {
        canvas.put(inner.x + 1, y, inner.width.saturating_sub(1), &line, role);
    }
    let y = inner.bottom().saturating_sub(1);
    let mut cursor = None;
    for (y, field) in (y.saturating_sub(fields.len() as u16)..y).zip(fields) {
        cursor = draw_field(canvas, &field, inner, y).or(cursor);
    }
    let dead = words.objection.is_some() || !question.named(&model.guard);
    let button = |on: bool, dead: bool| match (on, dead) {
        (true, _) => Role::Button,
        (false, true) => Role::KeyOff,
        (false, false) => Role::Text,
    };
    // The one with the focus has brackets too: it must be seen without colours.
    let label = |text: &str, on: bool| if on { format!("[ {text} ]") } else { format!("  {text}  ") };
    let no = label("No (n, esc)", question.focus == Focus::No);
    let yes = label("Yes (y)", question.focus == Focus::Yes);
    let yes_width = text::width(&yes) as u16;
    let no_width = text::width(&no) as u16;
    let x = inner.right().saturating_sub(yes_width + no_width + 2);
    canvas.put(x, y, no_width, &no, button(question.focus == Focus::No, false));
    canvas.put(x + no_width + 2, y, yes_width, &yes, button(question.focus == Focus::Yes, dead));
    cursor
}

/// Something to be typed in a question.
struct Field<'a> {
    label: String,
    input: &'a Input,
    /// What stands there while nothing is typed.
    empty: &'static str,
    focus: bool,
    role: Role,
}

fn fields<'a>(question: &'a Question, model: &Model) -> Vec<Field<'a>> {
    let mut fields = Vec::new();
    if let Some(name) = question.wanted_name(&model.guard) {
        let right = question.named(&model.guard);
        fields.push(Field {
            label: format!("Type {name} for Yes:"),
            input: &question.name,
            empty: "",
            focus: question.focus == Focus::Name,
            role: if right { Role::Good } else { Role::Warn },
        });
    }
    if question.takes_reason() {
        let focus = question.focus == Focus::Reason;
        fields.push(Field {
            label: "Reason (r):".into(),
            input: &question.reason,
            empty: "none",
            focus,
            role: if focus { Role::Focus } else { Role::Dim },
        });
    }
    fields
}

/// Draws a field; answers where the cursor is, where it has one. Half of the line is for what is typed.
fn draw_field(canvas: &mut Canvas, field: &Field, inner: Rect, y: u16) -> Option<Position> {
    let x = inner.x + 1;
    let used = canvas.put_on(x, y, inner.width / 2, &field.label, field.role, None, Cut::Middle) + 1;
    let (x, room) = (x + used, inner.width.saturating_sub(used + 2));
    let value = field.input.value();
    if value.is_empty() && !field.focus {
        canvas.put(x, y, room, field.empty, Role::Dim);
        return None;
    }
    let skipped = field.input.visual_scroll(room.into());
    let seen: String = value.chars().skip(skipped).collect();
    canvas.put(x, y, room, &seen, Role::Strong);
    let at = field.input.visual_cursor().saturating_sub(skipped).min(room.into()) as u16;
    field.focus.then_some(Position::new(x + at, y))
}
