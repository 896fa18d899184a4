//! Durations in Go's notation (`90s`, `1m30s`, `1.5h`), which Canaries, Prometheus and Flagger's messages use.

use std::time::Duration;

/// Longest duration that is accepted: a year. Anything longer in a Canary is a slip of the pen, and the limit keeps
/// arithmetic with it far from overflow.
pub const MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads a duration such as `60s`, `1m30s`, `1.5h` or `250ms`. A sign, an unknown unit, a missing unit and anything
/// over [`MAX`] are errors; the error reads on after the field's name.
pub fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("is {text:?}, which is no duration: write it like 30s, 1m30s or 1h");
    let mut rest = text;
    let mut nanos: f64 = 0.0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(bad()),
        };
        nanos += number * unit;
        rest = &rest[end..];
    }
    if nanos > MAX.as_nanos() as f64 {
        return Err(format!("is {text:?}, which is longer than a year"));
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

/// Prints a duration as Go does: `0s`, `250ms`, `1.515s`, `1m2.5s`, `1h0m0s`.
pub fn go(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    if nanos < 1_000_000_000 {
        let (unit, name) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{name}", decimal(nanos, unit));
    }
    let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
    let seconds = decimal(rest, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, m) => format!("{m}m{seconds}s"),
        (h, m) => format!("{h}h{m}m{seconds}s"),
    }
}

/// `value / unit` without trailing zeros.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, part) = (value / unit, value % unit);
    if part == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let text = format!("{whole}.{part:0width$}");
    text.trim_end_matches('0').to_string()
}

/// Prints a duration in Prometheus' notation, where a range may have no fraction: `30s`, `1500ms`.
pub fn prometheus(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, ms) in [("60s", 60_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("250ms", 250), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "60", "abc", "-5s", "5 s", "1x", "s", "1..2s", "99999999999999999999999h", "١s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_as_go_does() {
        for (ms, text) in [(0, "0s"), (250, "250ms"), (1515, "1.515s"), (62_500, "1m2.5s"), (3_600_000, "1h0m0s")] {
            assert_eq!(go(Duration::from_millis(ms)), text);
        }
    }
}
