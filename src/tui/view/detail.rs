//! The selected canary: where its rollout stands, and primary and canary side by side on one scale.

use super::canvas::{Canvas, Piece, piece};
use super::figures;
use super::fleet::{minute, phase_mark};
use super::own_checks;
use crate::api::{Phase, Strategy};
use crate::tui::glyphs::Glyphs;
use crate::tui::history::Metric;
use crate::tui::keys::Action;
use crate::tui::model::{COUNTED, Driver, Link, Model, version_text};
use crate::tui::row::{Row, Shut, Side};
use crate::tui::spark::{self, Limit, Mark, Scale};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Width of the metrics' names.
const LABEL: u16 = 9;
/// Width of a measurement.
const VALUE: u16 = 12;
/// Width of the difference or the limit.
const VERDICT: u16 = 11;
/// Least width of a chart; narrower ones give way to the figures.
const LEAST_CHART: u16 = 6;
/// Lines that remarks may take, so that they never push the charts off the screen.
const MOST_REMARKS: usize = 4;

/// Lines of the detail beside its frame and its charts: the steps, the heading, the pods, the remarks and the canary's own checks.
pub fn lines(model: &Model, row: &Row, width: u16) -> u16 {
    3 + remarks(model, row, width.saturating_sub(4)).len() as u16 + own_checks::lines(row)
}

/// Lines from one chart to the next: charts of several lines need air between them.
pub fn pitch(chart_rows: u16) -> u16 {
    if chart_rows > 1 { chart_rows + 1 } else { chart_rows }
}

/// Draws the detail of the selected canary.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect, chart_rows: u16) {
    let Some(row) = model.row() else { return };
    if area.height < 3 {
        return;
    }
    let inner = canvas.frame(area, &title(model, row, true), Role::Faint);
    let mut y = inner.y;
    draw_steps(canvas, row, Rect::new(inner.x, y, inner.width, 1));
    y += 1;
    for (role, line) in remarks(model, row, inner.width) {
        if y < inner.bottom() {
            canvas.put(inner.x, y, inner.width, &line, role);
        }
        y += 1;
    }
    let sides = Sides::divide(inner);
    if y < inner.bottom() {
        draw_heading(canvas, row, &sides, y);
    }
    y += 1;
    if y < inner.bottom() {
        draw_pods(canvas, model, row, &sides, y);
    }
    y += 1;
    let mut end = y;
    for metric in Metric::ALL {
        if y + chart_rows > inner.bottom() {
            return;
        }
        draw_metric(canvas, model, row, metric, &sides, y, chart_rows);
        end = y + chart_rows;
        y += pitch(chart_rows);
    }
    let columns =
        own_checks::Columns { name: sides.label, value: sides.canary, verdict: sides.verdict, end: sides.end };
    own_checks::draw(canvas, model, row, columns, Rect { y: end, height: inner.bottom() - end, ..inner });
}

/// Name, phase, weight, and, where `counting` is asked for, when the next check is due.
pub fn title<'a>(model: &'a Model, row: &'a Row, counting: bool) -> Vec<Piece<'a>> {
    let glyphs = model.look.glyphs;
    let (mark, role) = phase_mark(row, glyphs);
    let dot = || piece(format!(" {} ", glyphs.dot), Role::Faint);
    let phase = format!("{mark} {}", row.phase_name());
    let mut pieces = vec![piece(row.name.as_str(), Role::Strong), dot(), piece(phase, role)];
    if model.everywhere {
        pieces.splice(1..1, [piece(" in ", Role::Dim), piece(row.namespace.as_str(), Role::Text)]);
    }
    if row.weight() > 0 {
        pieces.push(dot());
        pieces.push(piece(format!("{} % to {}", row.weight(), version_text(row.canary.version())), Role::Canary));
    }
    if let Some(text) = countdown(model, row).filter(|_| counting) {
        pieces.push(dot());
        pieces.push(piece(text, Role::Dim));
    }
    pieces
}

/// When the next check is due, in words; nothing while it is not known to be true.
pub fn countdown(model: &Model, row: &Row) -> Option<String> {
    let due = row.next_check?;
    if model.cluster != Link::Live {
        return None;
    }
    let driver = model.driver_of(&row.namespace);
    if driver.objection().is_err() && *driver != Driver::Flagger {
        return Some("no driver, no checks".into());
    }
    let left = (due - model.now).num_milliseconds();
    Some(match left {
        COUNTED.. => format!("next check in {} min", left / 60_000),
        1.. => format!("next check in {} s", (left + 999) / 1000),
        -2_999..=0 => "checking".into(),
        -60_000..=-3_000 => format!("check overdue by {} s", -left / 1000),
        _ => format!("check overdue by {} min", -left / 60_000),
    })
}

/// What has to be said beside the figures.
fn remarks(model: &Model, row: &Row, width: u16) -> Vec<(Role, String)> {
    let glyphs = model.look.glyphs;
    let mut said: Vec<(Role, String)> = Vec::new();
    for problem in &row.problems {
        said.push((Role::Warn, format!("{} not driven: {problem}", glyphs.warning)));
    }
    if row.deleting {
        said.push((Role::Warn, format!("{} Deletion was asked for; it waits for its finalizers.", glyphs.warning)));
    }
    if let Some(held) = &row.paused {
        let why = if held.reason.is_empty() { String::new() } else { format!(": {}", held.reason) };
        let (at, by) = (model.clock(held.at), model.names_in(&row.namespace).brief(&held.by));
        said.push((
            Role::Warn,
            format!("{} Paused at {} % by {by} at {at}{why}. The checks go on.", glyphs.paused, row.weight()),
        ));
    }
    if let Some(gate) = &row.gate {
        let at = minute(model, gate.since);
        let answer = if gate.answer.is_empty() { String::new() } else { format!(": {}", gate.answer) };
        let text = match &**gate {
            Shut { manual: true, .. } => match model.keymap.key(Action::Start) {
                key if key.is_empty() || model.guard.read_only.is_some() => {
                    format!("Waits since {at} to be started.")
                }
                key => format!("Waits since {at} to be started ({key})."),
            },
            Shut { opened: true, name, .. } => format!("Gate {name} was opened; the rollout goes on."),
            Shut { name, kind, .. } => format!("Waits at gate {name} ({kind}) since {at}{answer}"),
        };
        said.push((Role::Warn, format!("{} {text}", glyphs.open)));
    }
    if let Some(pending) = &row.pending {
        let (at, by) = (model.clock(pending.at), model.names_in(&row.namespace).brief(&pending.by));
        said.push((
            Role::Active,
            format!("{} {} asked for by {by} at {at}, not answered yet.", glyphs.half, pending.verb),
        ));
    }
    if row.weights_differ() {
        said.push((
            Role::Warn,
            format!(
                "{} The {} sends {} % to the canary, the status says {} %.",
                glyphs.warning,
                row.provider.routes_kind().kind,
                row.weight(),
                row.status_weight
            ),
        ));
    }
    let mut lines = Vec::new();
    for (role, text) in said {
        let cleaned = text::clean(&text, glyphs.unicode);
        lines.extend(text::wrap(&cleaned, width.into()).into_iter().map(|line| (role, line)));
    }
    if lines.len() > MOST_REMARKS {
        let more = lines.len() - MOST_REMARKS + 1;
        lines.truncate(MOST_REMARKS - 1);
        lines.push((Role::Warn, format!("{} {more} more lines", glyphs.cut)));
    }
    lines
}

/// One step of the rollout on its line.
struct Step {
    label: String,
    mark: &'static str,
    role: Role,
}

/// The steps with what has become of each, and the place of the present one.
fn steps(row: &Row, glyphs: &'static Glyphs) -> (Vec<Step>, usize) {
    let past = matches!(row.phase, Phase::Promoting | Phase::Finalising | Phase::WaitingPromotion | Phase::Succeeded);
    let running = row.under_way();
    let (mut list, mut current) = match row.course.strategy {
        Strategy::Canary => by_weight(row, past, glyphs),
        Strategy::BlueGreen | Strategy::AbTesting => by_checks(row, past, glyphs),
    };
    let (label, mark, role) = match row.phase {
        Phase::Promoting | Phase::Finalising => ("promote", glyphs.current, Role::Active),
        Phase::WaitingPromotion => ("promote", glyphs.open, Role::Warn),
        Phase::Succeeded => ("promoted", glyphs.passed, Role::Good),
        Phase::Failed => ("rolled back", glyphs.failed, Role::Bad),
        _ => ("promote", glyphs.open, Role::Dim),
    };
    if past || row.phase == Phase::Failed || !running {
        current = if running || past || row.phase == Phase::Failed { list.len() } else { 0 };
    }
    list.push(Step { label: label.into(), mark, role });
    (list, current)
}

/// What has become of a step: it is behind, it is the present one, or it is still to come.
fn step(label: String, behind: bool, present: bool, glyphs: &'static Glyphs) -> Step {
    let (mark, role) = match (behind, present) {
        (true, _) => (glyphs.passed, Role::Good),
        (false, true) => (glyphs.current, Role::Canary),
        (false, false) => (glyphs.open, Role::Dim),
    };
    Step { label, mark, role }
}

/// The weights, after the copies of requests where there are any.
fn by_weight(row: &Row, past: bool, glyphs: &'static Glyphs) -> (Vec<Step>, usize) {
    let (weight, running) = (row.weight(), row.under_way());
    let mut list: Vec<Step> = Vec::with_capacity(row.rules.steps.len() + 2);
    if row.course.mirrors {
        let behind = past || (running && weight > 0);
        list.push(step("mirror".into(), behind, running && row.course.mirrored, glyphs));
    }
    let mut current = 0;
    for &of in &row.rules.steps {
        if running && of <= weight {
            current = list.len();
        }
        list.push(step(format!("{of}%"), past || (running && of < weight), running && of == weight, glyphs));
    }
    (list, current)
}

/// The checks by number, and the moment at which a blue/green rollout moves all users.
fn by_checks(row: &Row, past: bool, glyphs: &'static Glyphs) -> (Vec<Step>, usize) {
    let (course, running) = (row.course, row.under_way());
    // Nobody reads more numbers than that, and they are drawn at every frame.
    let checks = course.checks.min(1000);
    let mut list: Vec<Step> = Vec::with_capacity(checks as usize + 2);
    for number in 1..=checks {
        let behind = past || (running && number < course.done);
        list.push(step(format!("check {number}"), behind, running && number == course.done, glyphs));
    }
    if course.strategy == Strategy::BlueGreen {
        list.push(step("switch".into(), past, running && course.done > checks, glyphs));
    }
    (list, (course.done.saturating_sub(1) as usize).min(checks as usize))
}

fn draw_steps(canvas: &mut Canvas, row: &Row, line: Rect) {
    let glyphs = canvas.glyphs();
    let counted =
        row.rules.threshold.map(|of| format!("failed checks {} of {of}", row.failed_checks)).unwrap_or_default();
    let counted_role = match row.failed_checks {
        0 => Role::Dim,
        n if Some(n) >= row.rules.threshold => Role::Bad,
        _ => Role::Warn,
    };
    let used = canvas.right(line.right(), line.y, line.width, &counted, counted_role);
    let room = line.width.saturating_sub(used + 2);
    if row.rules.steps.is_empty() && row.course.checks == 0 {
        return;
    }
    let (list, current) = steps(row, glyphs);
    let widths: Vec<u16> = list.iter().map(|step| text::width(&step.label) as u16 + 2).collect();
    let total = |range: &[u16], gap: u16| range.iter().sum::<u16>() + gap * (range.len().saturating_sub(1)) as u16;
    // Long lines between the steps first, short ones next; then only the steps around the present one are shown.
    let gap = [5, 3].into_iter().find(|gap| total(&widths, *gap) <= room);
    let (from, to, gap) = match gap {
        Some(gap) => (0, list.len(), gap),
        None => {
            let (from, to) = window(&widths, current, room.saturating_sub(8));
            (from, to, 3)
        }
    };
    let mut x = line.x;
    if from > 0 {
        x += canvas.put(x, line.y, 4, &format!("{} ", glyphs.cut), Role::Dim);
    }
    let dash: String = glyphs.frame[4].repeat(usize::from(gap - 2));
    for (at, step) in list.iter().enumerate().take(to).skip(from) {
        if at > from {
            x += canvas.put(x, line.y, gap, &format!(" {dash} "), Role::Faint);
        }
        let strong = step.mark == glyphs.current;
        x += canvas.put(x, line.y, 14, &step.label, if strong { Role::Strong } else { Role::Text });
        x += canvas.put(x, line.y, 1, " ", Role::Text);
        x += canvas.put(x, line.y, 1, step.mark, step.role);
    }
    if to < list.len() {
        canvas.put(x, line.y, 4, &format!(" {}", glyphs.cut), Role::Dim);
    }
}

/// The longest run of steps around `current` that fits.
fn window(widths: &[u16], current: usize, room: u16) -> (usize, usize) {
    let (mut from, mut to) = (current, current + 1);
    let mut used = widths.get(current).copied().unwrap_or(0);
    loop {
        // One behind for every two ahead: what comes matters more than what was.
        let ahead = to < widths.len() && (to - current <= 2 * (current - from) + 1 || from == 0);
        let next = if ahead {
            to
        } else if from > 0 {
            from - 1
        } else {
            return (from, to);
        };
        used += widths[next] + 3;
        if used > room {
            return (from, to);
        }
        if ahead { to += 1 } else { from -= 1 }
    }
}

/// Where the two halves and the verdict stand.
struct Sides {
    label: u16,
    primary: u16,
    canary: u16,
    chart: u16,
    verdict: u16,
    end: u16,
}

impl Sides {
    fn divide(inner: Rect) -> Self {
        let half = inner.width.saturating_sub(LABEL + VERDICT) / 2;
        // Two columns of air end each half; a chart that would be too narrow is left out.
        let chart = half.saturating_sub(VALUE + 2);
        let chart = if chart < LEAST_CHART { 0 } else { chart };
        Self {
            label: inner.x,
            primary: inner.x + LABEL,
            canary: inner.x + LABEL + half,
            chart,
            verdict: inner.x + LABEL + 2 * half,
            end: inner.right(),
        }
    }

    fn half(&self) -> u16 {
        self.canary - self.primary
    }
}

fn draw_heading(canvas: &mut Canvas, row: &Row, sides: &Sides, y: u16) {
    for (x, title, role, side) in
        [(sides.primary, "PRIMARY", Role::Primary, &row.primary), (sides.canary, "CANARY", Role::Canary, &row.canary)]
    {
        heading(canvas, Rect::new(x, y, sides.half().saturating_sub(1), 1), (title, role), side);
    }
}

/// Whose side it is, its version and its image.
pub fn heading(canvas: &mut Canvas, line: Rect, (title, role): (&str, Role), side: &Side) {
    let pieces = [piece(title, role), piece(" ", Role::Text), piece(version_text(side.version()), Role::Strong)];
    let used = canvas.line(line.x, line.y, line.width, &pieces) + 2;
    // A few letters of an image say nothing; its tag is the version.
    if used + 10 <= line.width {
        let image = side.image.strip_suffix(side.version()).map_or(&*side.image, |image| image.trim_end_matches(':'));
        canvas.put_on(line.x + used, line.y, line.width - used, image, Role::Dim, None, Cut::Middle);
    }
}

fn draw_pods(canvas: &mut Canvas, model: &Model, row: &Row, sides: &Sides, y: u16) {
    canvas.put(sides.label, y, LABEL, "Pods", Role::Dim);
    for (x, side) in [(sides.primary, &row.primary), (sides.canary, &row.canary)] {
        // Nothing stands beside the canary's pods, so that the reasons may run on.
        let end = if x == sides.primary { sides.canary - 1 } else { sides.end };
        canvas.line(x, y, end - x, &pods_in_full(model, side, canvas.glyphs()));
    }
}

/// The pods of a side: how many are ready, how often they were started anew, and why one is not ready.
pub fn pods_in_full(model: &Model, side: &Side, glyphs: &Glyphs) -> Vec<Piece<'static>> {
    let (ready, role) = pods(side);
    let mut pieces = vec![piece(ready, role)];
    if !side.runs() {
        return pieces;
    }
    match model.pods.get(&side.workload) {
        None => {}
        Some(Err(why)) => pieces.push(piece(format!("  {} restarts: {why}", glyphs.dash), Role::Dim)),
        Some(Ok(pods)) => {
            let (mark, s) = (if pods.more { "+" } else { "" }, if pods.restarts == 1 { "" } else { "s" });
            let why = match &pods.last_end {
                Some((reason, _)) if pods.restarts > 0 && !reason.is_empty() => format!(" ({reason})"),
                _ => String::new(),
            };
            let role = if pods.restarts > 0 { Role::Warn } else { Role::Dim };
            pieces.push(piece(format!("  {}{mark} restart{s}{why}", pods.restarts), role));
            if let Some(not_ready) = pods.reasons.first() {
                pieces.push(piece(format!("  {}", not_ready.reason), Role::Warn));
            }
        }
    }
    pieces
}

/// Ready pods of a side, in words.
pub fn pods(side: &Side) -> (String, Role) {
    match side.pods {
        None => ("not there".into(), Role::Warn),
        Some(pods) if pods.desired == 0 && pods.ready == 0 => ("no pods".into(), Role::Dim),
        Some(pods) => {
            let role = if pods.ready >= pods.desired { Role::Dim } else { Role::Warn };
            (format!("{}/{} ready", pods.ready, pods.desired), role)
        }
    }
}

/// The limit of a metric.
pub fn limit_of(row: &Row, metric: Metric) -> Option<Limit> {
    match metric {
        Metric::Success => row.rules.limits.success_min.map(Limit::AtLeast),
        Metric::P99 => row.rules.limits.p99_max.map(Limit::AtMost),
        Metric::Cpu | Metric::Memory | Metric::Rate => None,
    }
}

/// One scale for both sides.
fn scale_of(metric: Metric, primary: &[Option<f64>], canary: &[Option<f64>], limit: Option<Limit>) -> Scale {
    let values = primary.iter().chain(canary).flatten().copied();
    match metric {
        Metric::Success => Scale::percentage(values, limit),
        _ => Scale::from_zero(values, limit),
    }
}

fn draw_metric(canvas: &mut Canvas, model: &Model, row: &Row, metric: Metric, sides: &Sides, y: u16, rows: u16) {
    let columns = usize::from(sides.chart);
    let history = |side: &Side| model.history.columns(&side.workload, metric, columns, model.sample_step);
    let (primary, canary) = (history(&row.primary), history(&row.canary));
    let limit = limit_of(row, metric);
    let scale = scale_of(metric, &primary, &canary, limit);
    // Figures stand beside the foot of their chart.
    let foot = y + rows - 1;
    canvas.put(sides.label, foot, LABEL, metric.label(), Role::Dim);
    for (x, side, values, role) in
        [(sides.primary, &row.primary, &primary, Role::Primary), (sides.canary, &row.canary, &canary, Role::Canary)]
    {
        // What the canary's pods did before they stopped is no present figure.
        let latest = model.history.latest(&side.workload, metric).filter(|_| side.runs());
        match latest {
            Some(value) => {
                let own = if model.prometheus == Link::Live { Role::Text } else { Role::Dim };
                canvas.put(x, foot, VALUE - 1, &figures::value(metric, value), own);
            }
            None => {
                let reason = format!("{} {}", canvas.glyphs().dash, model.no_value(side, metric));
                let empty = values.iter().all(Option::is_none);
                let room = if empty { sides.half().saturating_sub(1) } else { VALUE - 1 };
                let text = if empty { reason } else { canvas.glyphs().dash.to_string() };
                canvas.put(x, foot, room, &text, Role::Dim);
                if empty {
                    continue;
                }
            }
        }
        if sides.chart > 0 {
            draw_chart(canvas, values, &scale, limit, role, Rect::new(x + VALUE, y, sides.chart, rows));
        }
    }
    let room = sides.end.saturating_sub(sides.verdict);
    let verdict = verdict(model, row, metric, limit, canvas.glyphs());
    canvas.line(sides.verdict, foot, room, &verdict);
}

/// Draws one chart; its colour says whose it is, and what does not pass stands out.
fn draw_chart(
    canvas: &mut Canvas,
    values: &[Option<f64>],
    scale: &Scale,
    limit: Option<Limit>,
    role: Role,
    area: Rect,
) {
    let glyphs = canvas.glyphs();
    let own = if role == Role::Primary { Role::PrimaryChart } else { Role::CanaryChart };
    for (y, line) in (area.top()..area.bottom()).zip(spark::chart(values, scale, limit, area.height.into())) {
        for (x, cell) in (area.left()..area.right()).zip(line) {
            let (shape, role) = match cell.mark {
                Mark::Empty => continue,
                Mark::Limit => (glyphs.limit, Role::Limit),
                Mark::Column(eighths) => {
                    let level = usize::from(eighths.clamp(1, 8) - 1);
                    (glyphs.levels[level], if cell.passes { own } else { Role::BadChart })
                }
            };
            canvas.put(x, y, 1, shape, role);
        }
    }
}

/// The limit and whether the canary keeps it; without a limit, how far it is from the primary.
pub fn verdict(model: &Model, row: &Row, metric: Metric, limit: Option<Limit>, glyphs: &Glyphs) -> Vec<Piece<'static>> {
    let latest = |side: &Side| model.history.latest(&side.workload, metric).filter(|_| side.runs());
    verdict_at(metric, limit, latest(&row.primary), latest(&row.canary), model.prometheus == Link::Live, glyphs)
}

/// As [`verdict`], of two values; `known` says whether these are what is.
pub fn verdict_at(
    metric: Metric,
    limit: Option<Limit>,
    primary: Option<f64>,
    canary: Option<f64>,
    known: bool,
    glyphs: &Glyphs,
) -> Vec<Piece<'static>> {
    let Some(limit) = limit else {
        let difference = primary.zip(canary).and_then(|(primary, canary)| figures::difference(primary, canary));
        return difference.map(|text| piece(text, Role::Text)).into_iter().collect();
    };
    let sign = match limit {
        Limit::AtLeast(_) => glyphs.at_least,
        Limit::AtMost(_) => glyphs.at_most,
    };
    let mut pieces = vec![piece(format!("{sign} {}", figures::limit(metric, limit)), Role::Limit)];
    if let Some(value) = canary.filter(|_| known) {
        let (mark, role) = if limit.passes(value) { (glyphs.passed, Role::Good) } else { (glyphs.failed, Role::Bad) };
        pieces.push(piece(format!(" {mark}"), role));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_steps_holds_the_present_one_and_fits() {
        let widths = vec![5; 100];
        for current in [0, 1, 50, 98, 99] {
            let (from, to) = window(&widths, current, 60);
            assert!(from <= current && current < to, "{current}: {from}..{to}");
            assert!((to - from) * 8 - 3 <= 60);
            assert!(to - from >= 7);
        }
        assert_eq!(window(&[30], 0, 10), (0, 1));
    }
}
