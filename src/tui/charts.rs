//! What the charts of the selected canary show: how far back, which metric large, and where the cursor stands.

use super::history::{Metric, Range};
use super::message::Command;
use super::model::{Model, Overlay};
use super::plot::Window;
use super::row::{Key, Row, Side};
use super::view::charts_width;
use super::weights::Course;

/// How the charts are set; kept while they are closed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Charts {
    pub range: Range,
    /// The instant that is read, in seconds since 1970; None reads the latest.
    pub cursor: Option<i64>,
    /// The metric that has the room; None shares it among all.
    pub large: Option<Metric>,
}

/// The Deployment whose measurements a side shows.
pub fn workload(side: &Side) -> &Key {
    &side.workload
}

/// The newest instant of the charts; None while nothing was measured at all.
pub fn end(model: &Model) -> Option<i64> {
    model.history.at.map(|at| at.timestamp())
}

/// The time that the charts show. It moves only when a sample arrives.
pub fn window(model: &Model) -> Window {
    let range = model.charts.range;
    let end = end(model).unwrap_or_else(|| model.now.timestamp());
    // Whole steps, so that what was measured between two of them moves nothing.
    let step = range.step();
    Window {
        end: end.div_euclid(step) * step + if end.rem_euclid(step) > 0 { step } else { 0 },
        length: range.seconds(),
    }
}

/// The course of the weight of a canary.
pub fn course(model: &Model, row: &Row) -> Course {
    let own = model
        .events
        .iter()
        .map(|event| &**event)
        .filter(|event| event.canary == row.name && *event.namespace == *row.namespace);
    model.weights.course(&row.key(), own, row.weight())
}

/// Seconds by which the cursor moves: about a column, in whole steps of the samples.
fn stride(model: &Model) -> i64 {
    let range = model.charts.range;
    let columns = i64::from(charts_width(model.size.width)).max(1);
    (range.seconds() / columns / range.step()).max(1) * range.step()
}

/// Moves the cursor to an earlier or a later instant. Past the newest it lets go.
pub fn move_cursor(model: &mut Model, earlier: bool) {
    let Window { end, .. } = window(model);
    let stride = stride(model);
    let first = window(model).start();
    let at = model.charts.cursor.unwrap_or(end);
    let to = if earlier { at - stride } else { at + stride };
    model.charts.cursor = (to < end).then_some(to.max(first));
}

/// Keeps the cursor where the charts can show it.
pub fn settle(model: &mut Model) {
    let Window { end, .. } = window(model);
    let first = window(model).start();
    model.charts.cursor = model.charts.cursor.filter(|at| *at < end).map(|at| at.max(first));
}

/// Shows a longer or a shorter time.
pub fn turn_range(model: &mut Model, longer: bool) -> Vec<Command> {
    let range = model.charts.range;
    model.charts.range = if longer { range.longer() } else { range.shorter() };
    settle(model);
    recall(model)
}

/// Gives the room to the next metric, and after the last to all again.
pub fn enlarge(model: &mut Model) {
    model.charts.large = match model.charts.large {
        None => Some(Metric::ALL[0]),
        Some(metric) => Metric::ALL.get(metric as usize + 1).copied(),
    };
}

/// Asks for the past of what is shown, where nobody has asked yet.
pub fn recall(model: &mut Model) -> Vec<Command> {
    // The main screen's small charts look a quarter of an hour back.
    let shown = if matches!(model.opened(), Some(Overlay::Charts)) { model.charts.range } else { Range::Quarter };
    let Some(row) = model.row() else { return Vec::new() };
    let (primary, canary) = (row.primary.workload.clone(), row.canary.workload.clone());
    let wanted = model.history.ask([&primary, &canary], shown);
    let range = shown.asked();
    wanted.then_some(Command::Recall { primary, canary, range }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::history::Measures;
    use crate::tui::message::Msg;
    use crate::tui::model::Link;
    use crate::tui::scene::{self, press, time};
    use crate::tui::update::update;
    use chrono::TimeDelta;

    fn opened() -> Model {
        let mut model = scene::progressing(120, 40);
        press(&mut model, "<enter>");
        model
    }

    fn measured(model: &mut Model, seconds: i64) -> Vec<Command> {
        let at = model.history.at.unwrap() + TimeDelta::seconds(seconds);
        let workloads = [(model.row().unwrap().primary.workload.clone(), Measures::default())].into();
        update(model, Msg::Measured { at, span: seconds, workloads, problems: Default::default() })
    }

    fn ranges(commands: &[Command]) -> Vec<Range> {
        let range = |command: &Command| if let Command::Recall { range, .. } = command { Some(*range) } else { None };
        commands.iter().filter_map(range).collect()
    }

    #[test]
    fn the_cursor_stays_at_its_instant_and_lets_go_past_the_newest() {
        let mut model = opened();
        let end = window(&model).end;
        press(&mut model, "hh<left>");
        let at = model.charts.cursor.unwrap();
        assert_eq!((end - at) % Range::Quarter.step(), 0, "it reads samples");
        assert_eq!(end - at, 3 * stride(&model));
        measured(&mut model, 5);
        assert_eq!((model.charts.cursor, window(&model).end), (Some(at), end + 5));
        press(&mut model, "l");
        assert!(model.charts.cursor > Some(at));
        press(&mut model, "lllll<right>");
        assert_eq!(model.charts.cursor, None);
        press(&mut model, &"h".repeat(500));
        assert_eq!(model.charts.cursor, Some(window(&model).start()), "no farther than the charts");
        measured(&mut model, 60);
        assert_eq!(model.charts.cursor, Some(window(&model).start()), "what leaves the charts takes it along");
        press(&mut model, "<esc><enter>");
        assert_eq!(model.charts.cursor, None, "opened anew, the charts show the latest");
    }

    #[test]
    fn a_range_is_asked_for_once_for_each_canary() {
        let mut model = opened();
        let row = model.row().unwrap().clone();
        assert_eq!(ranges(&press(&mut model, "[")), [], "the shortest two come together");
        assert_eq!(ranges(&press(&mut model, "[")), []);
        assert_eq!(model.charts.range, Range::FiveMinutes);
        let asked = press(&mut model, "]]+=]]]");
        assert_eq!(ranges(&asked), [Range::Hour, Range::SixHours, Range::Day]);
        let Command::Recall { primary, canary, .. } = &asked[0] else { panic!() };
        assert_eq!((primary, canary), (&row.primary.workload, &row.canary.workload));
        assert_eq!(ranges(&press(&mut model, "-]-]")), [], "it is there or on its way");
        assert_eq!(ranges(&press(&mut model, "j")), [Range::Day], "the neighbour's");
        assert_eq!(ranges(&press(&mut model, "k")), []);
    }

    #[test]
    fn what_was_missed_while_prometheus_was_away_is_asked_for_again() {
        let mut model = opened();
        assert_eq!(ranges(&measured(&mut model, 5)), []);
        update(&mut model, Msg::Prometheus(Link::Lost { since: time("12:04:50"), why: "gone".into() }));
        assert_eq!(ranges(&measured(&mut model, 60)), [Range::Quarter]);
        let workload = model.row().unwrap().primary.workload.clone();
        update(&mut model, Msg::Remembered { workload, range: Range::Quarter, samples: Err("422".into()) });
        assert_eq!(ranges(&measured(&mut model, 5)), [Range::Quarter], "what failed is asked for again");
    }

    #[test]
    fn one_metric_after_the_other_is_large() {
        let mut model = opened();
        let mut seen = Vec::new();
        for _ in 0..7 {
            press(&mut model, "m");
            seen.push(model.charts.large);
        }
        let mut wanted: Vec<_> = Metric::ALL.map(Some).into();
        wanted.extend([None, Some(Metric::Cpu)]);
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_weight_that_is_seen_to_change_is_a_step_of_the_course() {
        let mut model = opened();
        model.events.clear();
        let now = model.now.timestamp();
        model.now += TimeDelta::seconds(40);
        let mut rows = model.rows.clone();
        rows.iter_mut().find(|row| row.under_way()).unwrap().live_weight = Some(40);
        update(&mut model, Msg::Rows(rows));
        let course = course(&model, model.row().unwrap());
        assert_eq!((course.at(now), course.at(now + 39), course.at(now + 40)), (Some(30), Some(30), Some(40)));
    }

    #[test]
    fn keys_of_the_charts_reach_no_canary() {
        let mut model = opened();
        let commands = press(&mut model, "sapPnOy");
        assert!(!commands.iter().any(|command| matches!(command, Command::Send(_))));
        assert!(matches!(model.overlay, Some(Overlay::Charts)));
    }
}
