//! The table of canaries.

use super::canvas::{Canvas, Piece, piece};
use super::figures;
use crate::api::Phase;
use crate::tui::glyphs::Glyphs;
use crate::tui::history::Metric;
use crate::tui::model::{Driver, Link, Model, Pane, version_text};
use crate::tui::row::{Row, Shut};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use chrono::{DateTime, Utc};
use ratatui::layout::{Position, Rect};
use std::borrow::Cow;

/// Air between two columns.
const GAP: u16 = 2;
/// Least width of the name.
const NAME: u16 = 12;

/// Most width of the namespace.
const NAMESPACE: u16 = 28;
/// Width of who drives.
const DRIVER: u16 = 14;
/// By how much more it may grow.
const LONGER_DRIVER: u16 = 26;

/// Least width in which a gate can be named.
const LEAST_WAIT: u16 = 24;

/// Least width of the bar.
const LEAST_BAR: u16 = 10;

/// Widths of the columns; 0 where a column has given way.
struct Columns {
    /// Over all namespaces.
    namespace: u16,
    name: u16,
    phase: u16,
    bar: u16,
    weight: u16,
    failed: u16,
    version: u16,
    success: u16,
    p99: u16,
    /// Over all namespaces: who drives this one.
    driver: u16,
}

impl Columns {
    /// What fits: the figures give way before the name does.
    fn fit(model: &Model, width: u16) -> Self {
        let widest = &model.index.widest;
        let name = widest.name.clamp(16, 60) as u16;
        let sign = if widest.two { text::width(model.look.glyphs.arrow).max(1) + 2 } else { 0 };
        let version = (widest.versions + sign).clamp(13, 34) as u16;
        let phase = (widest.phase + 2).clamp(13, 18) as u16;
        let namespace = if model.everywhere { widest.namespace.clamp(9, NAMESPACE.into()) as u16 } else { 0 };
        let mut columns =
            Self { namespace, name: 0, phase, bar: 0, weight: 6, failed: 0, version: 0, success: 0, p99: 0, driver: 0 };
        let mut rest = width.saturating_sub(2 + columns.phase + GAP + columns.weight + GAP);
        if namespace > 0 {
            columns.namespace = namespace.min(rest / 3);
            rest = rest.saturating_sub(columns.namespace + GAP);
        }
        let mut take = |wanted: u16, least_name: u16| {
            if rest >= wanted + GAP + least_name {
                rest -= wanted + GAP
            } else {
                return 0;
            }
            wanted
        };
        columns.failed = take(7, name.clamp(NAME, 24));
        columns.version = take(version, name.clamp(NAME, 24));
        columns.success = take(8, name.min(40));
        columns.p99 = take(8, name.min(40));
        if model.everywhere {
            columns.driver = take(DRIVER, name.min(40));
        }
        columns.bar = take(LEAST_BAR, name);
        columns.name = name.min(rest);
        // What is left over makes the bar longer, to a point.
        if columns.bar > 0 {
            let more = (rest - columns.name).min(40 - LEAST_BAR);
            columns.bar += more;
            rest -= more;
        }
        if columns.driver > 0 {
            columns.driver += (rest - columns.name).min(LONGER_DRIVER);
        }
        columns
    }
}

/// Draws the table; answers where the cursor is while the filter is typed.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) -> Option<Position> {
    if area.height < 3 {
        return None;
    }
    let focused = model.pane == Pane::Fleet && model.overlay.is_none();
    let role = if focused { Role::Focus } else { Role::Faint };
    let inner = canvas.frame(area, &title(model), role);
    let cursor = draw_filter(canvas, model, area);
    let shown = model.shown();
    if shown == 0 {
        draw_nothing(canvas, model, inner);
        return cursor;
    }
    let columns = Columns::fit(model, inner.width);
    draw_heading(canvas, &columns, inner);
    let room = usize::from(inner.height.saturating_sub(1));
    let first = first_shown(model.place_of_selected(), room, shown);
    for (y, row) in (inner.y + 1..inner.bottom()).zip(model.visible_from(first).take(room)) {
        draw_row(canvas, model, &columns, row, Rect::new(inner.x, y, inner.width, 1));
    }
    if shown > room {
        let place = format!(" {} to {} of {} ", first + 1, (first + room).min(shown), shown);
        canvas.right(area.right() - 2, area.bottom() - 1, area.width - 4, &place, Role::Dim);
    }
    cursor
}

/// The place, among the canaries that are shown, of the one whose row stands on a line of the screen.
pub fn at(model: &Model, area: Rect, y: u16) -> Option<usize> {
    let room = usize::from(area.height.saturating_sub(3));
    // Below the frame stands the heading.
    let line = usize::from(y.checked_sub(area.y + 2)?);
    let place = first_shown(model.place_of_selected(), room, model.shown()) + line;
    (line < room && place < model.shown()).then_some(place)
}

/// What is counted, the gravest first, and the order; while something is looked for, that stands there.
fn title(model: &Model) -> Vec<Piece<'static>> {
    let mut pieces = vec![piece("Canaries", Role::Strong)];
    if model.filter.typing || !model.filter.input.value().is_empty() || model.rows.is_empty() {
        return pieces;
    }
    let glyphs = model.look.glyphs;
    let dot = || piece(format!(" {} ", glyphs.dot), Role::Faint);
    pieces.push(piece(format!(" {}", model.index.counts.all), Role::Text));
    for (at, (count, word)) in model.index.counts.words().into_iter().enumerate() {
        pieces.push(piece(if at == 0 { ": " } else { ", " }, Role::Dim));
        let role = match word {
            "failed" => Role::Bad,
            "waiting" | "paused" | "not driven" => Role::Warn,
            "progressing" | "promoting" => Role::Active,
            _ => Role::Dim,
        };
        pieces.push(piece(format!("{count} {word}"), role));
    }
    pieces.push(dot());
    pieces.push(piece(model.order.label(), Role::Dim));
    pieces
}

/// The first row shown: pages stay still while the selection moves within them.
fn first_shown(selected: usize, room: usize, all: usize) -> usize {
    if room == 0 || all <= room {
        return 0;
    }
    (selected / room * room).min(all - room)
}

fn draw_filter(canvas: &mut Canvas, model: &Model, area: Rect) -> Option<Position> {
    let value = model.filter.input.value();
    if !model.filter.typing && value.is_empty() {
        return None;
    }
    let x = area.x + 14;
    let room = area.width.saturating_sub(18);
    let mut used = canvas.put(x, area.y, room, " filter: ", Role::Dim);
    let shown_from = used;
    used += canvas.put(x + used, area.y, room.saturating_sub(used + 1), value, Role::Strong);
    canvas.put(x + used, area.y, 1, " ", Role::Text);
    let before: String = value.chars().take(model.filter.input.cursor()).collect();
    let cleaned = text::clean(&before, canvas.glyphs().unicode);
    let at = (shown_from + text::width(&cleaned) as u16).min(used);
    (model.filter.typing && model.overlay.is_none()).then_some(Position::new(x + at, area.y))
}

/// Lines of the table's content: a heading and the rows, or why there are none.
pub fn lines(model: &Model, width: u16) -> u16 {
    match model.shown() {
        0 => nothing(model, width.saturating_sub(4)).len() as u16,
        rows => 1 + rows as u16,
    }
}

/// Why there is no canary to be seen.
fn nothing(model: &Model, width: u16) -> Vec<(Role, String)> {
    let namespace = model.place();
    let said: Vec<(Role, String)> = if !model.rows.is_empty() {
        vec![
            (Role::Text, "No canary's name has the letters that the filter says.".into()),
            (Role::Dim, "esc drops the filter".into()),
        ]
    } else {
        match &model.cluster {
            Link::Connecting => vec![(Role::Dim, format!("Reading the canaries of {namespace} ..."))],
            Link::Forbidden { what } => vec![
                (Role::Warn, format!("The canaries of {namespace} may not be read: {what}")),
                (Role::Dim, "Ask for the right to list and watch canaries.flagger.app, or use another context.".into()),
            ],
            Link::Absent { why } => vec![
                (Role::Warn, format!("This cluster has no canaries: {why}")),
                (Role::Dim, "canary-tui manifests prints what is to be applied first.".into()),
            ],
            Link::Nowhere { why } => vec![
                (Role::Warn, format!("There is no cluster: {why}")),
                (Role::Dim, elsewhere(model)),
                (Role::Dim, "canary-tui --sandbox shows it all on a cluster of its own.".into()),
            ],
            Link::Lost { .. } => vec![(Role::Dim, "No canary was known when the connection was lost.".into())],
            Link::Live => vec![
                (Role::Text, format!("There is no canary in {namespace}.")),
                (Role::Dim, "It appears here as soon as one is applied: kubectl apply -f canary.yaml".into()),
            ],
        }
    };
    let mut lines = Vec::new();
    for (role, text) in said {
        let cleaned = text::clean(&text, model.look.glyphs.unicode);
        lines.extend(text::wrap(&cleaned, width.into()).into_iter().map(|line| (role, line)));
    }
    lines
}

/// What can be done where no cluster is reached.
fn elsewhere(model: &Model) -> String {
    match &model.contexts[..] {
        [] => "It goes on as soon as there is a kubeconfig.".into(),
        [only] => format!("The kubeconfig has one context, {only}: C, or :context, goes there."),
        many => format!("The kubeconfig has {} contexts: C, or :context, goes to another.", many.len()),
    }
}

fn draw_nothing(canvas: &mut Canvas, model: &Model, inner: Rect) {
    for (y, (role, line)) in (inner.top()..inner.bottom()).zip(nothing(model, inner.width)) {
        canvas.put(inner.x, y, inner.width, &line, role);
    }
}

fn draw_heading(canvas: &mut Canvas, columns: &Columns, inner: Rect) {
    let y = inner.y;
    let mut x = inner.x + 2;
    let mut left = |canvas: &mut Canvas, width: u16, text: &str| {
        if width > 0 {
            canvas.put(x, y, width, text, Role::Dim);
            x += width + GAP;
        }
    };
    left(canvas, columns.namespace, "NAMESPACE");
    left(canvas, columns.name, "NAME");
    left(canvas, columns.phase, "PHASE");
    match columns.bar {
        0 => left(canvas, columns.weight, "WEIGHT"),
        bar => left(canvas, bar + GAP + columns.weight, "TRAFFIC TO CANARY"),
    }
    left(canvas, columns.failed, "FAILED");
    left(canvas, columns.version, "VERSION");
    for (width, title) in [(columns.success, "SUCCESS"), (columns.p99, "P99")] {
        if width > 0 {
            canvas.right(x + width, y, width, title, Role::Dim);
            x += width + GAP;
        }
    }
    canvas.put(x, y, columns.driver, "DRIVER", Role::Dim);
}

fn draw_row(canvas: &mut Canvas, model: &Model, columns: &Columns, row: &Row, line: Rect) {
    let glyphs = canvas.glyphs();
    let selected = model.selected.as_ref().is_some_and(|key| row.is(key));
    let ground = selected.then_some(Role::Selected);
    if selected {
        canvas.ground(Rect::new(line.x - 1, line.y, line.width + 2, 1), Role::Selected);
        canvas.put_on(line.x, line.y, 1, glyphs.pointer, Role::Focus, ground, Cut::End);
    }
    let y = line.y;
    let mut x = line.x + 2;
    if columns.namespace > 0 {
        canvas.put_on(x, y, columns.namespace, &row.namespace, Role::Dim, ground, Cut::Middle);
        x += columns.namespace + GAP;
    }
    let name_role = if selected { Role::Strong } else { Role::Text };
    canvas.put_on(x, y, columns.name, &row.name, name_role, ground, Cut::Middle);
    x += columns.name + GAP;
    let (glyph, role) = phase_mark(row, glyphs);
    canvas.put_on(x, y, 1, glyph, role, ground, Cut::End);
    canvas.put_on(x + 2, y, columns.phase - 2, row.phase_name(), role, ground, Cut::End);
    x += columns.phase + GAP;
    if let Some(problem) = row.problems.first() {
        let text = match row.problems.len() {
            1 => format!("{} not driven: {problem}", glyphs.warning),
            n => format!("{} not driven ({n} problems): {problem}", glyphs.warning),
        };
        canvas.put_on(x, y, line.right().saturating_sub(x), &text, Role::Warn, ground, Cut::End);
        return;
    }
    // What it waits for stands where it takes the least away: on the bar, or where there is little of one, on what failed
    // and the versions.
    let waits = row.gate.as_ref();
    let on_bar = waits.filter(|_| columns.bar >= LEAST_WAIT);
    if let Some(gate) = on_bar {
        draw_wait(canvas, model, gate, x, y, columns.bar, ground);
        x += columns.bar + GAP;
    } else if columns.bar > 0 {
        let filled = (u32::from(columns.bar) * u32::from(row.weight()) + 50) / 100;
        for at in 0..columns.bar {
            let (shape, role) = match u32::from(at) < filled {
                true => (glyphs.bar_full, Role::CanaryChart),
                false => (glyphs.bar_empty, Role::Faint),
            };
            canvas.put_on(x + at, y, 1, shape, role, ground, Cut::End);
        }
        x += columns.bar + GAP;
    }
    let weight_role = if row.weight() > 0 { Role::Canary } else { Role::Dim };
    let weight = format!("{:>3}%", row.weight());
    canvas.put_on(x, y, 4, &weight, weight_role, ground, Cut::End);
    if row.weights_differ() {
        canvas.put_on(x + 5, y, 1, glyphs.warning, Role::Warn, ground, Cut::End);
    }
    x += columns.weight + GAP;
    let wide =
        [columns.failed, columns.version].into_iter().filter(|width| *width > 0).map(|width| width + GAP).sum::<u16>();
    if let Some(gate) = waits.filter(|_| on_bar.is_none() && wide > 0) {
        draw_wait(canvas, model, gate, x, y, wide - GAP, ground);
        x += wide;
        return draw_measures(canvas, model, columns, row, x, y, ground);
    }
    if columns.failed > 0 {
        let text = row.rules.threshold.map_or_else(String::new, |of| format!("{} of {of}", row.failed_checks));
        let role = if row.failed_checks > 0 { Role::Warn } else { Role::Dim };
        canvas.put_on(x, y, columns.failed, &text, role, ground, Cut::End);
        x += columns.failed + GAP;
    }
    if columns.version > 0 {
        draw_version(canvas, row, x, y, columns.version, ground);
        x += columns.version + GAP;
    }
    draw_measures(canvas, model, columns, row, x, y, ground);
}

/// The gate at which a rollout waits, and since when.
fn draw_wait(canvas: &mut Canvas, model: &Model, gate: &Shut, x: u16, y: u16, width: u16, ground: Option<Role>) {
    let at = minute(model, gate.since);
    let what = if gate.manual { "to be started" } else { &gate.name };
    let tail = match (gate.opened, format!(" since {at}")) {
        (true, _) => " opened".to_string(),
        (false, since) if text::width(what) + text::width(&since) > width.into() => format!(" {at}"),
        (false, since) => since,
    };
    let tail_width = text::width(&tail) as u16;
    let used = canvas.put_on(x, y, width.saturating_sub(tail_width), what, Role::Warn, ground, Cut::Middle);
    canvas.put_on(x + used, y, width.saturating_sub(used), &tail, Role::Dim, ground, Cut::End);
}

/// A time of day to the minute: how long something has waited needs no more.
pub fn minute(model: &Model, at: DateTime<Utc>) -> String {
    let text = model.clock(at);
    match text.matches(':').count() {
        2 => text.rsplit_once(':').map_or_else(String::new, |(minute, _)| minute.to_string()),
        _ => text,
    }
}

/// The measurements, to the right.
fn draw_measures(
    canvas: &mut Canvas,
    model: &Model,
    columns: &Columns,
    row: &Row,
    mut x: u16,
    y: u16,
    ground: Option<Role>,
) {
    let glyphs = canvas.glyphs();
    // The numbers of whoever is being judged; without traffic there are none.
    let side = row.judged();
    for (width, metric) in [(columns.success, Metric::Success), (columns.p99, Metric::P99)] {
        if width == 0 {
            continue;
        }
        let (text, role) = match model.history.latest(&side.workload, metric) {
            Some(value) if model.prometheus != Link::Live => (figures::value(metric, value), Role::Dim),
            Some(value) => (figures::value(metric, value), verdict(row, metric, value)),
            None => (glyphs.dash.to_string(), Role::Dim),
        };
        let columns_of_text = text::width(&text) as u16;
        let start = x + width.saturating_sub(columns_of_text);
        canvas.put_on(start, y, width, &text, role, ground, Cut::End);
        x += width + GAP;
    }
    if columns.driver > 0 {
        let (text, role) = match model.driver_of(&row.namespace) {
            Driver::Looking => (glyphs.dash, Role::Dim),
            Driver::Here => ("this console", Role::Text),
            Driver::Other { holder } => (holder.as_str(), Role::Dim),
            Driver::Nobody { .. } => ("nobody", Role::Warn),
            Driver::Flagger => ("Flagger", Role::Dim),
        };
        canvas.put_on(x, y, columns.driver, text, role, ground, Cut::End);
    }
}

/// A measurement that is past the canary's limit stands out.
fn verdict(row: &Row, metric: Metric, value: f64) -> Role {
    let bad = match metric {
        Metric::Success => row.rules.limits.success_min.is_some_and(|min| value < min),
        Metric::P99 => row.rules.limits.p99_max.is_some_and(|max| value > max),
        _ => false,
    };
    if bad { Role::Bad } else { Role::Text }
}

fn draw_version(canvas: &mut Canvas, row: &Row, x: u16, y: u16, width: u16, ground: Option<Role>) {
    let pieces = version(row, canvas.glyphs());
    let widths: Vec<u16> = pieces.iter().map(|p| text::width(&p.text) as u16).collect();
    let total: u16 = widths.iter().sum();
    let mut x = x;
    for (piece, own) in pieces.iter().zip(widths) {
        // Where the versions do not fit, each loses of its middle; the sign between them stays.
        let room = if total <= width || own <= 3 { own } else { own.min((width - 3) / 2) };
        x += canvas.put_on(x, y, room, &piece.text, piece.role, ground, Cut::Middle);
    }
}

/// The versions: what serves, and what is being rolled out or was rolled back.
fn version<'a>(row: &'a Row, glyphs: &'static Glyphs) -> Vec<Piece<'a>> {
    let primary = version_text(row.primary.version());
    let canary = version_text(row.canary.version());
    let between = |sign: &str, role: Role, canary_role: Role| {
        vec![
            piece(primary, Role::Text),
            Piece { text: Cow::Owned(format!(" {sign} ")), role },
            piece(canary, canary_role),
        ]
    };
    match row.phase {
        _ if row.two_versions() && row.under_way() => between(glyphs.arrow, Role::Dim, Role::Canary),
        _ if row.two_versions() => between(glyphs.failed, Role::Bad, Role::Dim),
        _ => vec![piece(primary, Role::Text)],
    }
}

/// The sign of a phase, and its role: by shape first, by colour besides.
pub fn phase_mark(row: &Row, glyphs: &Glyphs) -> (&'static str, Role) {
    if row.deleting {
        return (glyphs.down, Role::Warn);
    }
    if row.paused.is_some() && row.under_way() {
        return (glyphs.paused, Role::Warn);
    }
    if row.gate.as_ref().is_some_and(|gate| !gate.opened) {
        return (glyphs.open, Role::Warn);
    }
    match row.phase {
        Phase::New => (glyphs.open, Role::Dim),
        Phase::Initializing => (glyphs.half, Role::Active),
        Phase::Initialized => (glyphs.current, Role::Dim),
        Phase::Waiting | Phase::WaitingPromotion => (glyphs.open, Role::Warn),
        Phase::Progressing => (glyphs.half, Role::Active),
        Phase::Promoting | Phase::Finalising => (glyphs.up, Role::Active),
        Phase::Succeeded => (glyphs.passed, Role::Good),
        Phase::Failed => (glyphs.failed, Role::Bad),
        Phase::Terminating | Phase::Terminated => (glyphs.down, Role::Warn),
        Phase::Unknown => (glyphs.warning, Role::Warn),
    }
}
