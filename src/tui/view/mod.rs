//! The screen as a function of the model.
//!
//! Views read the model and draw on a [`Canvas`]; they decide nothing and keep nothing.

mod banner;
pub mod canvas;
mod charts;
pub mod chooser;
mod detail;
mod dialogue;
mod diff;
pub mod events;
mod figures;
pub mod fleet;
mod footer;
mod header;
pub mod help;
mod own_checks;
mod palette;
mod paper;
pub mod reading;
mod routes;
mod why;

use super::history::METRICS;
use super::model::{Model, Overlay, Pane, SMALLEST};
use super::theme::Role;
use canvas::Canvas;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

pub use charts::width as charts_width;

/// Where the parts of the main screen stand. A part of height 0 is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub header: Rect,
    pub banner: Rect,
    pub fleet: Rect,
    pub detail: Rect,
    pub events: Rect,
    pub notice: Rect,
    pub footer: Rect,
    /// Lines of one small chart.
    pub chart_rows: u16,
}

/// Lines that a pane needs beside its content.
const FRAME: u16 = 2;
/// Lines that the events keep while the charts grow.
const EVENTS: u16 = 10;

/// Divides the screen: the detail gets what it needs, the canaries at most a third of what is left to share, the
/// events the rest.
pub fn layout(model: &Model) -> Layout {
    let (width, height) = (model.size.width, model.size.height);
    let banner = banner::lines(model, width, height).len() as u16;
    let notice = footer::notice_lines(model, width).len() as u16;
    let body = height.saturating_sub(2 + banner + notice);
    if model.zoomed {
        let (fleet, events) = if model.pane == Pane::Fleet { (body, 0) } else { (0, body) };
        return stacked(width, height, [1, banner, fleet, 0, events, notice, 1], 1);
    }
    let wanted = FRAME + fleet::lines(model, width);
    let detail_with = |rows: u16| match model.row() {
        Some(row) => FRAME + detail::lines(model, row, width) + (METRICS as u16 - 1) * detail::pitch(rows) + rows,
        None => 0,
    };
    // The charts grow as long as the canaries and the events keep what they need.
    let others = wanted.min(body * 2 / 5) + EVENTS;
    let chart_rows = [4, 3, 2].into_iter().find(|rows| detail_with(*rows) + others <= body).unwrap_or(1);
    // The selected canary itself stays in sight.
    let detail = detail_with(chart_rows).min(body.saturating_sub(4));
    let rest = body.saturating_sub(detail);
    let share = match (detail, rest) {
        (0, _) => rest.saturating_sub(4).max(4),
        // Where there is too little for both, the canaries stay and the events go.
        (_, 0..8) => rest,
        _ => (body * 2 / 5).clamp(4, rest - 4),
    };
    let fleet = if rest < 8 && detail > 0 { rest } else { wanted.min(share) };
    let events = rest.saturating_sub(fleet);
    stacked(width, height, [1, banner, fleet, detail, events, notice, 1], chart_rows)
}

/// The parts one below the other, each with its lines, as far as the screen reaches.
fn stacked(width: u16, height: u16, lines: [u16; 7], chart_rows: u16) -> Layout {
    let mut top = 0;
    let [header, banner, fleet, detail, events, notice, footer] = lines.map(|lines| {
        let area = Rect::new(0, top, width, lines.min(height.saturating_sub(top)));
        top += lines;
        area
    });
    Layout { header, banner, fleet, detail, events, notice, footer, chart_rows }
}

/// What overlays lie over: all between the lines on top and the keys.
pub fn body(model: &Model) -> Rect {
    let layout = layout(model);
    Rect::new(0, layout.fleet.y, model.size.width, layout.footer.y.saturating_sub(layout.fleet.y))
}

/// Draws the console; answers where the cursor is to be seen, where it is to be seen at all.
pub fn draw(model: &Model, buffer: &mut Buffer) -> Option<Position> {
    let mut canvas = Canvas::new(buffer, &model.look);
    let area = canvas.area();
    if model.too_small() {
        too_small(&mut canvas, area);
        return None;
    }
    let layout = layout(model);
    header::draw(&mut canvas, model, layout.header);
    banner::draw(&mut canvas, model, layout.banner);
    let within = body(model);
    let mut cursor = None;
    canvas.stale = model.stale();
    match model.opened() {
        Some(Overlay::Charts) => charts::draw(&mut canvas, model, within),
        Some(Overlay::Events(reader)) => cursor = events::draw_in_full(&mut canvas, model, reader, within),
        Some(Overlay::Reading(reading)) => cursor = reading::draw(&mut canvas, model, reading, within),
        _ => {
            cursor = fleet::draw(&mut canvas, model, layout.fleet);
            detail::draw(&mut canvas, model, layout.detail, layout.chart_rows);
            events::draw(&mut canvas, model, layout.events);
        }
    }
    canvas.stale = false;
    footer::draw_notice(&mut canvas, model, layout.notice);
    if let Some(Overlay::Help { scroll }) = model.opened() {
        help::draw(&mut canvas, model, within, *scroll);
    }
    match &model.overlay {
        Some(Overlay::Versions(versions)) => cursor = dialogue::draw_versions(&mut canvas, model, versions, within),
        Some(Overlay::Question(question)) => cursor = dialogue::draw_question(&mut canvas, model, question, within),
        Some(Overlay::Palette(open)) => cursor = Some(palette::draw(&mut canvas, model, open, within)),
        Some(Overlay::Themes(list)) => chooser::draw(&mut canvas, list, within),
        _ => {}
    }
    footer::draw(&mut canvas, model, layout.footer);
    cursor
}

fn too_small(canvas: &mut Canvas, area: Rect) {
    let (width, height) = (area.width, area.height);
    let lines = [
        format!("This terminal is {width}x{height}."),
        format!("canary-tui needs {}x{}.", SMALLEST.width, SMALLEST.height),
        "q quit".to_string(),
    ];
    for (y, line) in (0..height).zip(&lines) {
        canvas.put(0, y, width, line, if y == 2 { Role::Dim } else { Role::Text });
    }
}

/// The middle of an area.
fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height)
}

#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod reading_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
mod guarded_tests;

#[cfg(test)]
mod charts_tests;
