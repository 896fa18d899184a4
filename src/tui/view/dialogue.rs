//! The two dialogues: which version to start, and the question before anything is done.

use super::canvas::{Canvas, piece};
use super::centred;
use crate::tui::model::{Choice, Model, Versions, version_text};
use crate::tui::question::{self, Focus, Question};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

/// Width of a dialogue where there is room.
const WIDTH: u16 = 72;

/// Draws the list of versions; answers where the cursor is.
pub fn draw_versions(canvas: &mut Canvas, model: &Model, versions: &Versions, within: Rect) -> Option<Position> {
    let glyphs = canvas.glyphs();
    let error = versions.error.as_deref().unwrap_or("");
    let error = text::clean(error, glyphs.unicode).into_owned();
    let width = WIDTH.min(within.width.saturating_sub(4));
    let error = if error.is_empty() { Vec::new() } else { text::wrap(&error, usize::from(width.saturating_sub(4))) };
    let room = within.height.saturating_sub(4 + error.len() as u16).max(1);
    let shown = (versions.choices.len() as u16).min(room);
    let area = centred(within, width, shown + 3 + error.len() as u16 + 1);
    canvas.clear(area);
    let title = [piece("Start which version of ", Role::Strong), piece(versions.canary.name.as_str(), Role::Strong)];
    let inner = canvas.frame(area, &title, Role::Focus);
    let serving = model.named(&versions.canary).map_or("?", |row| version_text(&row.primary.version));
    canvas.line(inner.x, inner.y, inner.width, &[piece("serving now: ", Role::Dim), piece(serving, Role::Text)]);
    let first = versions.at.saturating_sub(usize::from(shown.saturating_sub(1)));
    let tags = versions.choices.iter().map(|choice| text::width(name(choice))).max().unwrap_or(0);
    let tags = (tags as u16 + 2).clamp(8, 24);
    let mut cursor = None;
    let mut y = inner.y + 1;
    for (at, choice) in versions.choices.iter().enumerate().skip(first).take(shown.into()) {
        let chosen = at == versions.at;
        let ground = chosen.then_some(Role::Selected);
        if chosen {
            canvas.ground(Rect::new(inner.x - 1, y, inner.width + 2, 1), Role::Selected);
            canvas.put_on(inner.x, y, 1, glyphs.pointer, Role::Focus, ground, Cut::End);
        }
        let x = inner.x + 2;
        let role = if chosen { Role::Strong } else { Role::Text };
        let note_x = x + tags;
        let note_room = inner.right().saturating_sub(note_x);
        canvas.put_on(x, y, tags - 1, name(choice), role, ground, Cut::Middle);
        match choice {
            Choice::Again { .. } => {
                canvas.put_on(note_x, y, note_room, "the present template once more", Role::Dim, ground, Cut::End);
            }
            Choice::Offered { note, running, .. } => {
                let note = if *running { format!("serves now. {note}") } else { note.clone() };
                canvas.put_on(note_x, y, note_room, &note, Role::Dim, ground, Cut::End);
            }
            Choice::Typed => {
                let value = versions.input.value();
                let room = usize::from(note_room.saturating_sub(1));
                if value.is_empty() && !chosen {
                    canvas.put_on(note_x, y, note_room, "type a tag or an image", Role::Dim, ground, Cut::End);
                } else {
                    let skipped = versions.input.visual_scroll(room);
                    let seen: String = value.chars().skip(skipped).collect();
                    canvas.put_on(note_x, y, note_room, &seen, Role::Strong, ground, Cut::End);
                    let at = versions.input.visual_cursor().saturating_sub(skipped).min(room) as u16;
                    cursor = chosen.then_some(Position::new(note_x + at, y));
                }
            }
        }
        y += 1;
    }
    for line in error {
        canvas.put(inner.x, y, inner.width, &line, Role::Bad);
        y += 1;
    }
    cursor
}

fn name(choice: &Choice) -> &str {
    match choice {
        Choice::Again { version } => version,
        Choice::Offered { tag, .. } => tag,
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
