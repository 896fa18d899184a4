//! Small charts: columns of eight heights over one scale for both sides; a gap stays a gap, a limit is a line.

/// What a chart's heights stand for; one for both sides, always.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    /// The limit, where it lies within.
    pub limit: Option<f64>,
}

/// Which values pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Limit {
    /// Its value.
    pub fn value(self) -> f64 {
        match self {
            Limit::AtLeast(value) | Limit::AtMost(value) => value,
        }
    }

    /// Whether a measurement passes.
    pub fn passes(self, value: f64) -> bool {
        match self {
            Limit::AtLeast(limit) => value >= limit,
            Limit::AtMost(limit) => value <= limit,
        }
    }
}

impl Scale {
    /// A scale from zero to a round number over the largest value. The limit takes part where the values come near it;
    /// far above them it would press them flat.
    pub fn from_zero(values: impl Iterator<Item = f64>, limit: Option<Limit>) -> Self {
        let most = values.fold(0.0, f64::max);
        let limit = limit.map(Limit::value).filter(|limit| *limit > 0.0 && (*limit <= most * 6.0 || most == 0.0));
        let high = round_up(most.max(limit.unwrap_or(0.0)) * 1.05);
        Self { low: 0.0, high, limit }
    }

    /// A scale for a percentage that should be high: up to 100, down to where the limit stands well in view, and
    /// further where values fall lower.
    pub fn percentage(values: impl Iterator<Item = f64>, limit: Option<Limit>) -> Self {
        let least = values.fold(100.0, f64::min).clamp(0.0, 100.0);
        let limit = limit.map(Limit::value).filter(|limit| (0.0..100.0).contains(limit));
        let room = limit.map_or(5.0, |limit| (100.0 - limit) * 2.0);
        let depth = round_up((100.0 - least).max(room)).min(100.0);
        Self { low: 100.0 - depth, high: 100.0, limit }
    }

    /// How high a value stands, 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let range = self.high - self.low;
        if range <= 0.0 || !value.is_finite() {
            return 0.0;
        }
        ((value - self.low) / range).clamp(0.0, 1.0)
    }
}

/// The next number of the kind 1, 2, 2.5, 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
    // A hair of tolerance, for what 1.05 times a round number leaves behind.
    let part = value / power - 1e-9;
    steps.into_iter().find(|step| part <= *step).unwrap_or(10.0) * power
}

/// What stands in one cell of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Empty,
    /// A column's part of this height, 1 to 8 eighths.
    Column(u8),
    /// The limit's line, where no column hides it.
    Limit,
}

/// One cell and whether the value of its column passes the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub mark: Mark,
    pub passes: bool,
}

/// A chart of `rows` lines, the top one first: one column for each value.
pub fn chart(values: &[Option<f64>], scale: &Scale, limit: Option<Limit>, rows: usize) -> Vec<Vec<Cell>> {
    // Charts of one line stand close above each other: the topmost eighth is left for air.
    let eighths = if rows == 1 { 7 } else { rows * 8 };
    let limit_row = scale.limit.filter(|_| rows > 1).map(|limit| {
        let height = (scale.share(limit) * eighths as f64).round() as usize;
        rows - 1 - (height.saturating_sub(1) / 8).min(rows - 1)
    });
    let mut lines = vec![Vec::with_capacity(values.len()); rows];
    for value in values {
        // The smallest value is still a value: it is seen.
        let height = value.map_or(0, |v| ((scale.share(v) * eighths as f64).round() as usize).max(1));
        let passes = value.is_none_or(|v| limit.is_none_or(|limit| limit.passes(v)));
        for (row, line) in lines.iter_mut().enumerate() {
            let below = (rows - 1 - row) * 8;
            let mark = match height.saturating_sub(below).min(8) as u8 {
                0 if limit_row == Some(row) => Mark::Limit,
                0 => Mark::Empty,
                part => Mark::Column(part),
            };
            line.push(Cell { mark, passes });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heights(values: &[Option<f64>], scale: &Scale) -> Vec<Mark> {
        chart(values, scale, None, 1)[0].iter().map(|cell| cell.mark).collect()
    }

    #[test]
    fn a_gap_is_a_gap_and_zero_is_a_value() {
        let scale = Scale { low: 0.0, high: 8.0, limit: None };
        assert_eq!(
            heights(&[None, Some(0.0), Some(4.0), Some(8.0)], &scale),
            [Mark::Empty, Mark::Column(1), Mark::Column(4), Mark::Column(7)]
        );
    }

    #[test]
    fn the_scale_begins_at_zero_and_ends_round() {
        let scale = Scale::from_zero([0.31, 0.42].into_iter(), None);
        assert_eq!((scale.low, scale.high), (0.0, 0.5));
        assert_eq!(Scale::from_zero(std::iter::empty(), None).high, 1.0);
    }

    #[test]
    fn the_limit_takes_part_when_the_values_come_near_it() {
        let near = Scale::from_zero([112.0].into_iter(), Some(Limit::AtMost(500.0)));
        assert_eq!((near.limit, near.high), (Some(500.0), 600.0));
        let far = Scale::from_zero([12.0].into_iter(), Some(Limit::AtMost(500.0)));
        assert_eq!((far.limit, far.high), (None, 15.0));
    }

    #[test]
    fn a_success_rate_is_seen_falling() {
        let good = Scale::percentage([99.98, 99.91].into_iter(), Some(Limit::AtLeast(99.0)));
        assert_eq!((good.low, good.high, good.limit), (98.0, 100.0, Some(99.0)));
        let bad = Scale::percentage([99.98, 80.0].into_iter(), Some(Limit::AtLeast(99.0)));
        assert_eq!(bad.low, 80.0);
        assert_eq!(Scale::percentage([0.0].into_iter(), None).low, 0.0);
    }

    #[test]
    fn the_limit_is_a_line_above_low_columns() {
        let scale = Scale { low: 0.0, high: 10.0, limit: Some(8.0) };
        let lines = chart(&[Some(2.0), Some(10.0), None], &scale, Some(Limit::AtMost(8.0)), 2);
        assert_eq!(lines[0].iter().map(|c| c.mark).collect::<Vec<_>>(), [Mark::Limit, Mark::Column(8), Mark::Limit]);
        assert_eq!(
            lines[1].iter().map(|c| c.mark).collect::<Vec<_>>(),
            [Mark::Column(3), Mark::Column(8), Mark::Empty]
        );
        assert_eq!(lines[1].iter().map(|c| c.passes).collect::<Vec<_>>(), [true, false, true]);
    }

    proptest! {
        #[test]
        fn nothing_makes_a_chart_panic(values in proptest::collection::vec(any::<Option<f64>>(), 0..20), rows in 1usize..6) {
            let known = || values.iter().flatten().copied().filter(|v| v.is_finite());
            for scale in [
                Scale::from_zero(known(), Some(Limit::AtMost(500.0))),
                Scale::percentage(known(), Some(Limit::AtLeast(99.0))),
            ] {
                prop_assert!(scale.high > scale.low);
                prop_assert_eq!(chart(&values, &scale, None, rows).len(), rows);
            }
        }

        #[test]
        fn a_larger_value_never_stands_lower(a in 0.0f64..1e9, b in 0.0f64..1e9) {
            let scale = Scale::from_zero([a, b].into_iter(), None);
            prop_assert_eq!(a <= b, scale.share(a) <= scale.share(b));
            prop_assert!(scale.share(a.max(b)) <= 1.0);
        }
    }
}
