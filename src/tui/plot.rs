//! Lines over time: where the points of a series stand in a chart, and which dots of its cells they take.

use super::history::Point;
use super::spark::{Limit, Scale};

/// The time that a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The last second, since 1970.
    pub end: i64,
    /// Its length in seconds.
    pub length: i64,
}

impl Window {
    /// Its first second.
    pub fn start(self) -> i64 {
        self.end - self.length
    }

    /// The column of a time among `columns`; None where it lies outside.
    pub fn column(self, time: i64, columns: usize) -> Option<usize> {
        let past = time - self.start();
        if past < 0 || time > self.end || self.length <= 0 || columns == 0 {
            return None;
        }
        Some(((past as i128 * columns as i128 / self.length as i128) as usize).min(columns - 1))
    }
}

/// The lowest and the highest value in each of `columns` of a window; None where nothing was measured.
pub fn columns(points: &[Point], window: Window, columns: usize) -> Vec<Option<(f64, f64)>> {
    let mut found: Vec<Option<(f64, f64)>> = vec![None; columns];
    let mut put = |column: usize, value: f64| {
        let (low, high) = found[column].unwrap_or((value, value));
        found[column] = Some((low.min(value), high.max(value)));
    };
    for (at, point) in points.iter().enumerate() {
        if let Some(column) = window.column(point.at, columns) {
            put(column, point.value);
        }
        // A line leads to it from the one before, unless there is a gap between the two; then from where it begins.
        let before = at.checked_sub(1).map(|before| points[before]).filter(|before| before.at >= point.begins());
        let from = before.map_or(point.at - point.span, |before| before.at).max(window.start());
        let (Some(first), last) = (window.column(from, columns), window.column(point.at.min(window.end), columns))
        else {
            continue;
        };
        for column in first + 1..last.unwrap_or(first) {
            let middle = window.start() as f64 + (column as f64 + 0.5) * window.length as f64 / columns as f64;
            let value = match before {
                Some(before) => {
                    let share = (middle - before.at as f64) / (point.at - before.at).max(1) as f64;
                    before.value + (point.value - before.value) * share.clamp(0.0, 1.0)
                }
                None => point.value,
            };
            put(column, value);
        }
        if before.is_none() && first < last.unwrap_or(first) {
            put(first, point.value);
        }
    }
    found
}

/// The value that stands at a time.
pub fn at(points: &[Point], time: i64) -> Option<f64> {
    let next = points.get(points.partition_point(|point| point.at < time))?;
    (next.begins() < time).then_some(next.value)
}

/// One cell of a chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The dots, as the low byte of the braille pattern; in ASCII the thirds from the bottom, as bits.
    pub dots: u8,
    /// The limit's line runs through it.
    pub limit: bool,
    /// A value in it does not keep the limit.
    pub bad: bool,
}

/// The dots of one column of a braille pattern, the lowest first.
const DOTS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// Columns and rows of dots in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Two by four.
    Braille,
    /// One by three.
    Thirds,
}

impl Grain {
    /// Columns in a cell.
    pub fn across(self) -> usize {
        match self {
            Grain::Braille => 2,
            Grain::Thirds => 1,
        }
    }

    fn up(self) -> usize {
        match self {
            Grain::Braille => 4,
            Grain::Thirds => 3,
        }
    }

    fn bit(self, across: usize, up: usize) -> u8 {
        match self {
            Grain::Braille => DOTS[across][up],
            Grain::Thirds => 1 << up,
        }
    }
}

/// The row of cells, from the top, in which a value stands.
pub fn row_of(scale: &Scale, value: f64, rows: usize, grain: Grain) -> usize {
    rows - 1 - height(scale, value, rows, grain) / grain.up()
}

fn height(scale: &Scale, value: f64, rows: usize, grain: Grain) -> usize {
    (scale.share(value) * (rows * grain.up() - 1) as f64).round() as usize
}

/// The cells of a chart of `rows` lines, the top one first, from the values of its columns of dots.
pub fn cells(
    values: &[Option<(f64, f64)>],
    scale: &Scale,
    limit: Option<Limit>,
    rows: usize,
    grain: Grain,
) -> Vec<Vec<Cell>> {
    let width = values.len().div_ceil(grain.across());
    let mut cells = vec![vec![Cell::default(); width]; rows];
    if rows == 0 {
        return cells;
    }
    let mut before: Option<(usize, usize)> = None;
    for (column, value) in values.iter().enumerate() {
        let Some((low, high)) = value else {
            before = None;
            continue;
        };
        let own = (height(scale, *low, rows, grain), height(scale, *high, rows, grain));
        // Steep lines stay lines: each column begins where the one before ended.
        let (mut from, mut to) = own;
        if let Some((lower, upper)) = before {
            from = from.min(upper + 1);
            to = to.max(lower.saturating_sub(1));
        }
        let bad = limit.is_some_and(|limit| !limit.passes(*low) || !limit.passes(*high));
        for dot in from..=to.min(rows * grain.up() - 1) {
            let cell = &mut cells[rows - 1 - dot / grain.up()][column / grain.across()];
            cell.dots |= grain.bit(column % grain.across(), dot % grain.up());
            cell.bad |= bad;
        }
        before = Some(own);
    }
    if let Some(limit) = scale.limit {
        cells[row_of(scale, limit, rows, grain)].iter_mut().for_each(|cell| cell.limit = true);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(at: i64, span: i64, value: f64) -> Point {
        Point { at, span, value }
    }

    const WINDOW: Window = Window { end: 100, length: 100 };

    #[test]
    fn a_line_leads_from_point_to_point_and_a_gap_stays_a_gap() {
        let points = [point(10, 10, 1.0), point(20, 10, 3.0), point(60, 10, 5.0)];
        let line: Vec<Option<f64>> = columns(&points, WINDOW, 20).iter().map(|c| c.map(|(low, _)| low)).collect();
        assert_eq!(line[0], Some(1.0), "the first stands from where it begins");
        assert_eq!((line[2], line[4]), (Some(1.0), Some(3.0)));
        assert_eq!(line[3], Some(2.5), "between the two");
        assert_eq!(line[5..10], [None; 5]);
        assert_eq!(line[10..13], [Some(5.0); 3]);
        assert_eq!(line[13..], [None; 7]);
    }

    #[test]
    fn a_column_of_many_samples_keeps_its_extremes() {
        let points: Vec<Point> = (0..=100).map(|at| point(at, 1, if at == 55 { 9.0 } else { 1.0 })).collect();
        assert_eq!(columns(&points, WINDOW, 10)[5], Some((1.0, 9.0)));
    }

    #[test]
    fn what_stands_at_an_instant_is_a_sample_and_never_between_two() {
        let points = [point(10, 5, 1.0), point(15, 5, 3.0), point(60, 5, 5.0)];
        assert_eq!((at(&points, 10), at(&points, 12), at(&points, 15)), (Some(1.0), Some(3.0), Some(3.0)));
        assert_eq!((at(&points, 40), at(&points, 56), at(&points, 61)), (None, Some(5.0), None));
    }

    #[test]
    fn dots_stand_as_high_as_their_values() {
        let scale = Scale { low: 0.0, high: 7.0, limit: Some(7.0) };
        let values = [Some((0.0, 0.0)), Some((7.0, 7.0)), None, Some((3.0, 3.0))];
        let drawn = cells(&values, &scale, Some(crate::tui::spark::Limit::AtMost(6.0)), 2, Grain::Braille);
        assert_eq!(drawn[1][0].dots & 0x40, 0x40, "zero is the lowest dot");
        assert_eq!(drawn[0][0].dots, 0x08 | 0x10 | 0x20 | 0x80, "a steep line is a line");
        assert_eq!((drawn[0][0].bad, drawn[1][1].bad), (true, false));
        assert_eq!(drawn[1][1].dots, 0x08, "the gap has no dots");
        assert!(drawn[0].iter().all(|cell| cell.limit) && drawn[1].iter().all(|cell| !cell.limit));
        let ascii = cells(&[Some((0.0, 7.0))], &scale, None, 1, Grain::Thirds);
        assert_eq!(ascii[0][0].dots, 0b111);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            values in proptest::collection::vec((any::<i32>(), 0i64..500, any::<f64>()), 0..30),
            end in any::<i32>(), length in -5i64..100_000, dots in 0usize..50, rows in 0usize..6,
        ) {
            let mut points: Vec<Point> = values.into_iter().map(|(at, span, value)| point(at.into(), span, value)).collect();
            points.sort_by_key(|point| point.at);
            let window = Window { end: end.into(), length };
            let drawn = columns(&points, window, dots);
            let scale = Scale::from_zero(drawn.iter().flatten().map(|(_, high)| *high), Some(Limit::AtMost(500.0)));
            for grain in [Grain::Braille, Grain::Thirds] {
                prop_assert_eq!(cells(&drawn, &scale, Some(Limit::AtMost(5.0)), rows, grain).len(), rows);
            }
        }
    }
}
