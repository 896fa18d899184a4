//! The selected canary's measurements, larger: primary left, canary right, the same axes on both sides.

use super::canvas::{Canvas, piece};
use super::detail::{draw_chart, limit_of, pods, scale_of, title, verdict};
use super::figures;
use crate::tui::history::Metric;
use crate::tui::model::{Link, Model, version_text};
use crate::tui::row::{Row, Side};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Width of the scale's figures.
const AXIS: u16 = 11;

/// Draws the charts over the whole of `area`.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    canvas.clear(area);
    let Some(row) = model.row() else {
        canvas.frame(area, &[piece("The canary is gone", Role::Warn)], Role::Focus);
        return;
    };
    // The countdown would tick here for nothing: it is left to the main screen.
    let name = title(model, row, false);
    let inner = canvas.frame(area, &name, Role::Focus);
    let half = inner.width.saturating_sub(AXIS + 2) / 2;
    let (left, right) = (inner.x + AXIS, inner.x + AXIS + half + 2);
    for (x, name, role, side) in
        [(left, "PRIMARY", Role::Primary, &row.primary), (right, "CANARY", Role::Canary, &row.canary)]
    {
        let (pods, pods_role) = pods(side);
        let heading = [
            piece(name, role),
            piece(" ", Role::Text),
            piece(version_text(&side.version), Role::Strong),
            piece("  ", Role::Text),
            piece(pods, pods_role),
        ];
        canvas.line(x, inner.y, half, &heading);
    }
    // A heading, four blocks of a title and a chart, and the line of the time.
    let rows = inner.height.saturating_sub(2 + 4) / 4;
    let mut y = inner.y + 1;
    for metric in Metric::ALL {
        if rows == 0 {
            break;
        }
        draw_metric(canvas, model, row, metric, [left, right], half, Rect::new(inner.x, y, inner.width, rows + 1));
        y += rows + 1;
    }
    let back = i64::from(half) * model.sample_step;
    let back = format!("-{}:{:02}", back / 60, back % 60);
    for x in [left, right] {
        canvas.put(x, y, half / 2, &back, Role::Dim);
        let newest = model.history.at.map_or_else(|| "no sample yet".to_string(), |at| model.clock(at));
        canvas.right(x + half, y, half / 2, &newest, Role::Dim);
    }
}

fn draw_metric(canvas: &mut Canvas, model: &Model, row: &Row, metric: Metric, halves: [u16; 2], half: u16, area: Rect) {
    let history = |side: &Side| model.history.columns(&side.workload, metric, half.into(), model.sample_step);
    let values = [history(&row.primary), history(&row.canary)];
    let limit = limit_of(row, metric);
    let scale = scale_of(metric, &values[0], &values[1], limit);
    let rows = area.height - 1;
    canvas.put(area.x, area.y, AXIS, metric.label(), Role::Strong);
    canvas.put(area.x, area.y + 1, AXIS - 1, &figures::end(metric, scale.high), Role::Dim);
    if rows > 1 {
        canvas.put(area.x, area.y + rows, AXIS - 1, &figures::end(metric, scale.low), Role::Dim);
    }
    for (at, (side, role)) in [(&row.primary, Role::Primary), (&row.canary, Role::Canary)].into_iter().enumerate() {
        let x = halves[at];
        let latest = model.history.latest(&side.workload, metric).filter(|_| side.runs());
        let mut pieces = match latest {
            Some(value) => {
                let own = if model.prometheus == Link::Live { role } else { Role::Dim };
                vec![piece(figures::value(metric, value), own)]
            }
            None => {
                let reason = format!("{} {}", canvas.glyphs().dash, model.no_value(side, metric));
                vec![piece(reason, Role::Dim)]
            }
        };
        if at == 1 {
            let verdict = verdict(model, row, metric, limit, canvas.glyphs());
            if !verdict.is_empty() {
                pieces.push(piece("   ", Role::Text));
                pieces.extend(verdict);
            }
        }
        canvas.line(x, area.y, half, &pieces);
        draw_chart(canvas, &values[at], &scale, limit, role, Rect::new(x, area.y + 1, half, rows));
    }
}
