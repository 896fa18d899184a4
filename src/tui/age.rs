//! How long ago something was, coarse: what changes with every second would be drawn with every second.

use chrono::{DateTime, Utc};

/// The time since `then`, coarse as kubectl's: `45s`, `12m`, `3h`, `5d`; `-` where it is unknown.
pub fn age(then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let Some(then) = then else { return "-".into() };
    let seconds = (now - then).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The same for a screen that stays: `just now`, `12m ago`; empty where it is unknown.
pub fn ago(then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    match then {
        None => String::new(),
        Some(then) if (now - then).num_seconds() < 120 => "just now".into(),
        then => format!("{} ago", age(then, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_coarse() {
        let now = DateTime::UNIX_EPOCH + chrono::Duration::days(30);
        let then = |seconds| Some(now - chrono::Duration::seconds(seconds));
        let ages = [5, 119, 3600, 7200, 200_000, -5].map(|seconds| age(then(seconds), now));
        assert_eq!(ages, ["5s", "119s", "60m", "2h", "2d", "0s"]);
        assert_eq!(age(None, now), "-");
        let told = [then(119), then(120), then(200_000), None].map(|then| ago(then, now));
        assert_eq!(told, ["just now", "2m ago", "2d ago", ""]);
    }
}
