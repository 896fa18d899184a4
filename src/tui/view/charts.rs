//! The selected canary's measurements over time: primary left, canary right, the same axes on both sides; the limit as a
//! line, the steps of the weight as marks on the axis, and a cursor that reads every value at one instant.

use super::canvas::{Canvas, Piece, piece};
use super::detail::{heading, limit_of, pods_in_full, title, verdict, verdict_at};
use super::figures;
use crate::tui::charts;
use crate::tui::glyphs::Glyphs;
use crate::tui::history::{METRICS, Metric, Past, Point};
use crate::tui::model::{Link, Model};
use crate::tui::plot::{self, Cell, Grain, Window};
use crate::tui::row::{Row, Side};
use crate::tui::spark::{Limit, Scale};
use crate::tui::text;
use crate::tui::theme::Role;
use crate::tui::weights::Course;
use ratatui::layout::Rect;

/// Width of the scale's figures.
const AXIS: u16 = 11;
/// Columns between the two halves.
const GAP: u16 = 2;
/// Lines that the charts need below: the marks of the weight and the times.
const FOOT: u16 = 2;
/// Height of the inner area from which on the pods have a line.
const WITH_PODS: u16 = 19;

/// Columns of one chart on a screen of this width.
pub fn width(screen: u16) -> u16 {
    screen.saturating_sub(4 + AXIS + GAP) / 2
}

/// What is drawn of one half.
struct Half<'a> {
    x: u16,
    side: &'a Side,
    role: Role,
    points: [Vec<Point>; METRICS],
}

/// What both halves share.
struct Plan<'a> {
    model: &'a Model,
    row: &'a Row,
    window: Window,
    width: u16,
    /// Second of the cursor and its column.
    cursor: Option<(i64, u16)>,
}

/// Draws the charts over the whole of `area`.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    canvas.clear(area);
    let Some(row) = model.row() else {
        canvas.frame(area, &[piece("The canary is gone", Role::Warn)], Role::Focus);
        return;
    };
    let range = model.charts.range;
    let window = charts::window(model);
    let course = charts::course(model, row);
    let width = width(area.width);
    let column = |time| window.column(time, width.into()).map(|column| column as u16);
    let cursor = model.charts.cursor.and_then(|time| Some((time, column(time)?)));
    // The countdown would tick here for nothing: it is left to the main screen.
    let mut name = title(model, row, false);
    let dot = || piece(format!(" {} ", canvas.glyphs().dot), Role::Faint);
    name.push(dot());
    match cursor {
        None => name.push(piece(format!("last {}", range.label()), Role::Dim)),
        Some((time, _)) => {
            let weight = course.at(time).map_or_else(|| canvas.glyphs().dash.to_string(), |weight| weight.to_string());
            name.push(piece(format!("at {}: {weight} %", clock(model, time)), Role::Strong));
        }
    }
    let inner = canvas.frame(area, &name, Role::Focus);
    let half = |x: u16, side, role| Half {
        x,
        side,
        role,
        points: Metric::ALL.map(|metric| model.history.points(charts::workload(side), metric, range)),
    };
    let halves = [
        half(inner.x + AXIS, &row.primary, Role::Primary),
        half(inner.x + AXIS + width + GAP, &row.canary, Role::Canary),
    ];
    let mut y = inner.y;
    for (half, name) in halves.iter().zip(["PRIMARY", "CANARY"]) {
        heading(canvas, Rect::new(half.x, y, width, 1), (name, half.role), half.side);
        if inner.height >= WITH_PODS {
            canvas.line(half.x, y + 1, width, &pods_in_full(model, half.side, canvas.glyphs()));
        }
    }
    y += 1;
    if inner.height >= WITH_PODS {
        canvas.put(inner.x, y, AXIS, "Pods", Role::Strong);
        y += 1;
    }
    let plan = Plan { model, row, window, width, cursor };
    let foot = inner.bottom().saturating_sub(FOOT);
    let room = foot.saturating_sub(y);
    let large = model.charts.large.or_else(|| (room < 2 * METRICS as u16).then_some(Metric::Success));
    for (place, metric) in (0..).zip(Metric::ALL) {
        let lines = match large {
            // What is left over goes to the first ones.
            None => room / METRICS as u16 + u16::from(place < room % METRICS as u16),
            Some(large) if large == metric => room.saturating_sub(METRICS as u16 - 1),
            Some(_) => 1,
        };
        if lines == 0 || y + lines > foot {
            continue;
        }
        draw_metric(canvas, &plan, metric, &halves, Rect::new(inner.x, y, inner.width, lines));
        y += lines;
    }
    for half in &halves {
        draw_foot(canvas, &plan, &course, half.x, foot.min(y));
    }
}

/// A time of day, of seconds since 1970.
fn clock(model: &Model, time: i64) -> String {
    chrono::DateTime::from_timestamp(time, 0).map_or_else(String::new, |at| model.clock(at))
}

fn draw_metric(canvas: &mut Canvas, plan: &Plan, metric: Metric, halves: &[Half; 2], area: Rect) {
    let glyphs = canvas.glyphs();
    let grain = if glyphs.unicode { Grain::Braille } else { Grain::Thirds };
    let dots = usize::from(plan.width) * grain.across();
    let rows = area.height - 1;
    let columns = halves.each_ref().map(|half| plot::columns(&half.points[metric as usize], plan.window, dots));
    let limit = limit_of(plan.row, metric);
    let ends = columns.iter().flatten().flatten().flat_map(|(low, high)| [*low, *high]);
    let scale = match metric {
        Metric::Success => Scale::percentage(ends, limit),
        _ => Scale::from_zero(ends, limit),
    };
    canvas.put(area.x, area.y, AXIS, metric.label(), Role::Strong);
    draw_scale(canvas, metric, &scale, limit, Rect::new(area.x, area.y + 1, AXIS - 1, rows), grain);
    for (half, columns) in halves.iter().zip(&columns) {
        let pieces = figures_of(plan, metric, half, halves, limit, glyphs);
        canvas.line(half.x, area.y, plan.width, &pieces);
        if rows == 0 {
            continue;
        }
        let cells = plot::cells(columns, &scale, limit, rows.into(), grain);
        let at = Rect::new(half.x, area.y + 1, plan.width, rows);
        draw_cells(canvas, &cells, half.role, plan.cursor.map(|(_, column)| column), at);
        if columns.iter().all(Option::is_none) {
            let why = why_empty(plan.model, half.side, metric);
            let why = text::clean(&why, glyphs.unicode);
            let lines = text::wrap(&format!("{} {why}", glyphs.dash), plan.width.into());
            let more = lines.len() > usize::from(rows);
            let first = area.y + 1 + rows.saturating_sub(lines.len() as u16) / 2;
            for (y, line) in (first..area.bottom()).zip(&lines) {
                let marked =
                    if more && y + 1 == area.bottom() { format!("{line} {}", glyphs.cut) } else { line.clone() };
                canvas.clear(Rect::new(half.x, y, plan.width, 1));
                canvas.put(half.x, y, plan.width, &marked, Role::Dim);
            }
        }
    }
}

/// The ends of a scale, and the limit's figure beside its line.
fn draw_scale(canvas: &mut Canvas, metric: Metric, scale: &Scale, limit: Option<Limit>, area: Rect, grain: Grain) {
    let glyphs = canvas.glyphs();
    if area.height == 0 {
        return;
    }
    canvas.put(area.x, area.y, area.width, &figures::end(metric, scale.high), Role::Dim);
    if area.height > 1 {
        canvas.put(area.x, area.bottom() - 1, area.width, &figures::end(metric, scale.low), Role::Dim);
    }
    if let (Some(value), Some(limit)) = (scale.limit, limit) {
        let row = plot::row_of(scale, value, area.height.into(), grain) as u16;
        if row > 0 && row + 1 < area.height {
            let sign = match limit {
                Limit::AtLeast(_) => glyphs.at_least,
                Limit::AtMost(_) => glyphs.at_most,
            };
            let text = format!("{sign} {}", figures::limit(metric, limit));
            canvas.put(area.x, area.y + row, area.width, &text, Role::Limit);
        }
    }
}

/// The figures over a chart: the latest, or those at the cursor.
fn figures_of(
    plan: &Plan,
    metric: Metric,
    half: &Half,
    halves: &[Half; 2],
    limit: Option<Limit>,
    glyphs: &Glyphs,
) -> Vec<Piece<'static>> {
    let model = plan.model;
    let at_cursor = |half: &Half, time| plot::at(&half.points[metric as usize], time);
    let value = match plan.cursor {
        Some((time, _)) => at_cursor(half, time),
        None => model.history.latest(charts::workload(half.side), metric).filter(|_| half.side.runs()),
    };
    let mut pieces = match (value, plan.cursor) {
        (Some(value), cursor) => {
            let own = if model.prometheus == Link::Live || cursor.is_some() { half.role } else { Role::Dim };
            vec![piece(figures::value(metric, value), own)]
        }
        (None, None) => vec![piece(format!("{} {}", glyphs.dash, model.no_value(half.side, metric)), Role::Dim)],
        (None, Some(_)) => vec![piece(format!("{} no value then", glyphs.dash), Role::Dim)],
    };
    if half.role == Role::Canary {
        let verdict = match plan.cursor {
            None => verdict(model, plan.row, metric, limit, glyphs),
            Some((time, _)) => {
                let [primary, canary] = halves.each_ref().map(|half| at_cursor(half, time));
                verdict_at(metric, limit, primary, canary, true, glyphs)
            }
        };
        if !verdict.is_empty() {
            pieces.push(piece("   ", Role::Text));
            pieces.extend(verdict);
        }
    }
    pieces
}

/// Why a side has nothing to draw.
fn why_empty(model: &Model, side: &Side, metric: Metric) -> String {
    let range = model.charts.range;
    match (model.history.past(charts::workload(side), range), &model.prometheus) {
        (_, Link::Lost { since, .. }) => format!("Prometheus unreachable since {}", model.clock(*since)),
        (_, Link::Live | Link::Connecting) if side.pods.is_none() => model.no_value(side, metric),
        (Past::Asked, Link::Live | Link::Connecting) => format!("loading the last {} ...", range.label()),
        (Past::Failed(why), Link::Live | Link::Connecting) => why.clone(),
        (_, Link::Live | Link::Connecting) => format!("no value in the last {}", range.label()),
        _ => model.no_value(side, metric),
    }
}

fn draw_cells(canvas: &mut Canvas, cells: &[Vec<Cell>], role: Role, cursor: Option<u16>, area: Rect) {
    let glyphs = canvas.glyphs();
    let own = if role == Role::Primary { Role::PrimaryChart } else { Role::CanaryChart };
    for (y, line) in (area.top()..area.bottom()).zip(cells) {
        for (x, cell) in (area.left()..area.right()).zip(line) {
            let here = cursor == Some(x - area.x);
            if cell.dots > 0 {
                let shape = match glyphs.unicode {
                    true => char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' '),
                    false => ascii(cell.dots),
                };
                let role = match (here, cell.bad) {
                    (_, true) => Role::BadChart,
                    (true, _) => Role::Strong,
                    _ => own,
                };
                canvas.put(x, y, 1, shape.encode_utf8(&mut [0; 4]), role);
            } else if here {
                canvas.put(x, y, 1, glyphs.frame[5], Role::Strong);
            } else if cell.limit {
                canvas.put(x, y, 1, glyphs.limit, Role::Limit);
            }
        }
    }
}

/// The thirds of a cell, lowest bit first.
fn ascii(thirds: u8) -> char {
    match thirds {
        0b001 => '.',
        0b010 => '*',
        0b100 => '\'',
        0b111 => '#',
        _ => ':',
    }
}

/// The marks of the weight, and the times at the ends and at the cursor.
fn draw_foot(canvas: &mut Canvas, plan: &Plan, course: &Course, x: u16, y: u16) {
    let glyphs = canvas.glyphs();
    let (model, width) = (plan.model, plan.width);
    for column in 0..width {
        canvas.put(x + column, y, 1, glyphs.frame[4], Role::Faint);
    }
    let mut free = 0;
    let mut before = None;
    for change in &course.changes {
        let rises = before.is_none_or(|before| change.weight > before);
        before = Some(change.weight);
        let Some(column) = plan.window.column(change.at, width.into()).map(|column| column as u16) else { continue };
        let text = format!("{}{}%", if rises { glyphs.up } else { glyphs.down }, change.weight);
        let room = width - column;
        // One mark never covers another; where it would, its arrow alone stands there, or it gives way.
        let text = if column >= free && text.chars().count() <= usize::from(room) { &text[..] } else { "" };
        let role = if rises { Role::Canary } else { Role::Warn };
        if !text.is_empty() {
            free = column + canvas.put(x + column, y, room, text, role) + 1;
        } else if column >= free {
            canvas.put(x + column, y, 1, if rises { glyphs.up } else { glyphs.down }, role);
            free = column + 1;
        }
    }
    let [start, end] = [plan.window.start(), plan.window.end].map(|time| clock(model, time));
    let end = if charts::end(model).is_none() { "no sample yet".to_string() } else { end };
    let length = |text: &str| text.chars().count() as u16;
    // The cursor's time goes before those of the ends.
    let (mut free, mut taken) = (width, width);
    if let Some((time, column)) = plan.cursor {
        canvas.put(x + column, y, 1, glyphs.frame[5], Role::Strong);
        let text = clock(model, time);
        let left = column.saturating_sub(length(&text) / 2).min(width.saturating_sub(length(&text)));
        canvas.put(x + left, y + 1, width - left, &text, Role::Strong);
        (free, taken) = (left, left + length(&text));
    }
    if length(&start) < free {
        canvas.put(x, y + 1, width / 2, &start, Role::Dim);
    }
    if plan.cursor.is_none() || taken + length(&end) < width {
        canvas.right(x + width, y + 1, width / 2, &end, Role::Dim);
    }
}
