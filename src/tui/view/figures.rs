//! Figures as they are written on the screen: measurements with their unit, differences, limits.

use crate::tui::history::Metric;
use crate::tui::spark::Limit;

/// A measurement with its unit.
pub fn value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Cpu if value == 0.0 => "0 cores".into(),
        Metric::Cpu if value < 0.0095 => format!("{:.1} mcores", value * 1000.0),
        Metric::Cpu => format!("{value:.2} cores"),
        Metric::Memory => bytes(value),
        Metric::Success => percent(value),
        Metric::P99 => milliseconds(value),
        Metric::Rate => a_second(value),
    }
}

/// How often something happens.
fn a_second(value: f64) -> String {
    match value {
        0.0 => "0 /s".into(),
        v if v < 0.0095 => "<0.01 /s".into(),
        v if v < 0.995 => format!("{v:.2} /s"),
        v if v < 99.5 => format!("{v:.1} /s"),
        v if v < 99_999.5 => format!("{v:.0} /s"),
        v => format!("{:.0}k /s", (v / 1000.0).min(999_999.0)),
    }
}

/// An end of a scale.
pub fn end(metric: Metric, end: f64) -> String {
    match metric {
        Metric::Success if end.fract() == 0.0 => format!("{end:.0} %"),
        _ => value(metric, end),
    }
}

/// A success rate. It is cut, not rounded: what is not 100 % must not read as 100 %.
pub fn percent(value: f64) -> String {
    format!("{:.2} %", (value * 100.0).floor() / 100.0)
}

/// A duration given in milliseconds.
pub fn milliseconds(value: f64) -> String {
    match value {
        0.0 => "0 ms".into(),
        v if v < 9.95 => format!("{v:.1} ms"),
        v if v < 9999.5 => format!("{v:.0} ms"),
        v if v < 99_950.0 => format!("{:.1} s", v / 1000.0),
        v => format!("{:.0} s", (v / 1000.0).min(999_999.0)),
    }
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = value / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 && unit > 1 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{:.0} {}", value.min(999_999.0), UNITS[unit])
    }
}

/// A number of which nobody knows the unit.
pub fn number(value: f64) -> String {
    match value.abs() {
        f64::INFINITY => if value > 0.0 { "+Inf" } else { "-Inf" }.into(),
        0.0 => "0".into(),
        0.01..1e7 => {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => format!("{value:.2e}"),
    }
}

/// How far the canary is from the primary.
pub fn difference(primary: f64, canary: f64) -> Option<String> {
    if primary <= 0.0 {
        return None;
    }
    let percent = (canary / primary - 1.0) * 100.0;
    Some(match percent.round() {
        0.0 => "±0 %".into(),
        p if p > 999.0 => ">+999 %".into(),
        p => format!("{p:+.0} %"),
    })
}

/// A limit's figure, as short as it can be said.
pub fn limit(metric: Metric, limit: Limit) -> String {
    let value = limit.value();
    let figure = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    match metric {
        Metric::Success => format!("{figure} %"),
        Metric::P99 => format!("{figure} ms"),
        _ => figure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_bear_their_unit() {
        for (metric, given, wanted) in [
            (Metric::Cpu, 0.41, "0.41 cores"),
            (Metric::Cpu, 0.0042, "4.2 mcores"),
            (Metric::Memory, 222_298_112.0, "212 MiB"),
            (Metric::Memory, 2_362_232_012.0, "2.2 GiB"),
            (Metric::Memory, 0.0, "0 KiB"),
            (Metric::Success, 99.984, "99.98 %"),
            (Metric::Success, 99.999, "99.99 %"),
            (Metric::Success, 100.0, "100.00 %"),
            (Metric::P99, 112.4, "112 ms"),
            (Metric::P99, 1515.9, "1516 ms"),
            (Metric::P99, 12_345.0, "12.3 s"),
            (Metric::P99, 4.25, "4.2 ms"),
            (Metric::Rate, 0.0, "0 /s"),
            (Metric::Rate, 0.25, "0.25 /s"),
            (Metric::Rate, 41.26, "41.3 /s"),
            (Metric::Rate, 1234.0, "1234 /s"),
            (Metric::Rate, 250_000.0, "250k /s"),
        ] {
            assert_eq!(value(metric, given), wanted);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_short() {
        for (given, wanted) in [
            (0.0, "0"),
            (5.0, "5"),
            (100.0, "100"),
            (20.756, "20.76"),
            (-0.5, "-0.5"),
            (0.000012, "1.20e-5"),
            (12_345_678.0, "1.23e7"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(given), wanted);
        }
    }

    #[test]
    fn differences_are_relative_to_the_primary() {
        assert_eq!(difference(0.41, 0.18).as_deref(), Some("-56 %"));
        assert_eq!(difference(100.0, 100.2).as_deref(), Some("±0 %"));
        assert_eq!(difference(0.0, 1.0), None);
        assert_eq!(difference(1.0, 1e9).as_deref(), Some(">+999 %"));
    }
}
