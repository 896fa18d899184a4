//! What is read about one canary, over the whole screen: its text, where the reader is in it, and what is looked for.

use super::canvas::{Canvas, piece};
use super::paper::{self, Line, MARGIN, Paper};
use super::{detail, diff, routes, why};
use crate::tui::model::{Link, Model};
use crate::tui::reading::{Answer, Reading};
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::{Position, Rect};

/// Columns of the frame, of the air within, and of the margin.
const AROUND: u16 = 4 + MARGIN;

/// The lines of a view, at the width of the screen.
pub fn lines(model: &Model, reading: &Reading) -> Vec<Line> {
    let glyphs = model.look.glyphs;
    let mut paper = Paper::new(glyphs, model.size.width.saturating_sub(AROUND));
    if let Some(why) = &reading.problem {
        let old = if reading.answer.is_some() { " Below is what was known before." } else { "" };
        paper.say(0, Some((glyphs.warning, Role::Warn)), Role::Warn, &format!("{why}.{old}"));
        paper.air();
    }
    match &reading.answer {
        Some(Answer::Why(causes)) => why::write(&mut paper, model, &reading.ask.of, Some(causes)),
        Some(Answer::Routes(served)) => routes::write(&mut paper, model, &reading.ask.of, served),
        Some(Answer::Describe(yaml)) => yaml.iter().for_each(|line| paper.code(0, None, Role::Text, line)),
        Some(Answer::Diff(changes)) => diff::write(&mut paper, model, &reading.ask.of, changes),
        None => {
            // What the console knows by itself needs no answer.
            if reading.ask.topic == crate::tui::reading::Topic::Why {
                why::write(&mut paper, model, &reading.ask.of, None);
            }
            if reading.problem.is_none() {
                let text = match &model.cluster {
                    Link::Live => "Asking the cluster ...",
                    _ => "The cluster does not answer yet; it is asked as soon as it does.",
                };
                paper.air();
                paper.say(0, None, Role::Dim, text);
            }
        }
    }
    paper.lines
}

/// Lines of a view that are seen at once.
pub fn room(model: &Model) -> usize {
    usize::from(super::body(model).height.saturating_sub(2)).max(1)
}

/// The lines that hold what is looked for, by their place; none where nothing is.
pub fn hits(lines: &[Line], reading: &Reading) -> Vec<usize> {
    let wanted = reading.find.input.value().to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    (0..lines.len()).filter(|at| lines[*at].holds(&wanted)).collect()
}

/// Draws the view; answers where the cursor is, while something is typed.
pub fn draw(canvas: &mut Canvas, model: &Model, reading: &Reading, area: Rect) -> Option<Position> {
    canvas.clear(area);
    let lines = lines(model, reading);
    let hits = hits(&lines, reading);
    let glyphs = canvas.glyphs();
    let dot = || piece(format!(" {} ", glyphs.dot), Role::Faint);
    let mut title = vec![piece(reading.ask.topic.title(), Role::Strong), dot()];
    match model.named(&reading.ask.of) {
        Some(row) => title.extend(detail::title(model, row, true)),
        None => title.push(piece(reading.ask.of.name.clone(), Role::Strong)),
    }
    let inner = canvas.frame(area, &title, Role::Focus);
    let most = lines.len().saturating_sub(inner.height.into());
    let scroll = reading.scroll.min(most);
    let eye = hits.get(reading.hit.min(hits.len().saturating_sub(1))).copied();
    paper::draw(canvas, &lines, scroll, &hits, eye, inner);
    draw_below(canvas, reading, lines.len().saturating_sub(scroll + usize::from(inner.height)), hits.len(), area)
}

/// The lower edge: what is looked for on the left, what is left to read on the right.
fn draw_below(canvas: &mut Canvas, reading: &Reading, below: usize, hits: usize, area: Rect) -> Option<Position> {
    let y = area.bottom().saturating_sub(1);
    let mut right = area.right().saturating_sub(2);
    if below > 0 {
        let more = format!(" {below} more lines {} ", canvas.glyphs().down);
        right -= canvas.right(right, y, area.width.saturating_sub(4), &more, Role::Dim);
    }
    find_line(
        canvas,
        &reading.find,
        |wanted| match (wanted.is_empty(), hits) {
            (true, _) => String::new(),
            (false, 0) => " not found ".into(),
            (false, hits) => format!(" {} of {hits} ", reading.hit.min(hits - 1) + 1),
        },
        Rect::new(area.x + 1, y, right.saturating_sub(area.x + 2), 1),
    )
}

/// What is looked for, where anything is, as a line; `told` says what came of it. Answers where the cursor is.
pub fn find_line(
    canvas: &mut Canvas,
    find: &crate::tui::model::Filter,
    told: impl Fn(&str) -> String,
    line: Rect,
) -> Option<Position> {
    let wanted = find.input.value();
    if wanted.is_empty() && !find.typing {
        return None;
    }
    let (mut x, y) = (line.x, line.y);
    let role = if find.typing { Role::Focus } else { Role::Dim };
    x += canvas.put(x, y, line.right().saturating_sub(x), " /", role);
    let told = told(wanted);
    // The end of a long text is where it is typed.
    let unicode = canvas.glyphs().unicode;
    let cleaned = text::clean(wanted, unicode);
    let room = line.right().saturating_sub(x).saturating_sub(text::width(&told) as u16 + 1);
    let mut shown = cleaned.as_ref();
    while text::width(shown) > usize::from(room) {
        let next = shown.chars().next().map_or(0, char::len_utf8);
        shown = &shown[next..];
    }
    x += canvas.put(x, y, room, shown, Role::Strong);
    let cursor = find.typing.then_some(Position::new(x, y));
    x += canvas.put(x, y, 1, " ", Role::Text);
    canvas.put(x, y, line.right().saturating_sub(x), &told, Role::Dim);
    cursor
}
