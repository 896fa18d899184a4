//! The parameters of a request, from its address and, for POST, its form.

use super::ApiError;
use crate::traffic::labels::Labels;
use crate::traffic::promql;
use crate::traffic::shared::Traffic;

/// Names and values in order; a name may come more than once.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The form comes first: Prometheus lets it win over the address.
    pub fn new(query: Option<&str>, form: &[u8]) -> Self {
        let mut pairs = Vec::new();
        for part in [form, query.unwrap_or_default().as_bytes()] {
            for pair in part.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                let value = pair.get(at + 1..).unwrap_or_default();
                pairs.push((decode(&pair[..at]), decode(value)));
            }
        }
        Self(pairs)
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// A moment in milliseconds since 1970, given as seconds or RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        parse_time(text)
            .map(Some)
            .ok_or_else(|| ApiError::invalid(name, format_args!("cannot parse {text:?} to a valid timestamp")))
    }

    /// A moment that must be given.
    pub fn required_time(&self, name: &str) -> Result<i64, ApiError> {
        self.time(name)?.ok_or_else(|| ApiError::invalid(name, "cannot parse \"\" to a valid timestamp"))
    }

    /// A duration in milliseconds, given as seconds or like `1m30s`.
    pub fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        parse_duration(text)
            .map(Some)
            .ok_or_else(|| ApiError::invalid(name, format_args!("cannot parse {text:?} to a valid duration")))
    }

    /// The series that any `match[]` finds between `start` and `end`; all of them when there is none.
    pub fn matching_series(&self, traffic: &Traffic) -> Result<Vec<Labels>, ApiError> {
        let start = self.time("start")?.unwrap_or(i64::MIN);
        let end = self.time("end")?.unwrap_or(i64::MAX);
        let mut selectors = Vec::new();
        for selector in self.all("match[]") {
            selectors.push(promql::matchers(selector).map_err(|error| ApiError::of_query("match[]", &error))?);
        }
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        Ok(traffic.with_history(|history| {
            let scrapes = history.scrapes_between(start, end);
            let mut found: Vec<Labels> = selectors
                .iter()
                .flat_map(|matchers| history.select(matchers))
                .filter(|series| series.has_samples(&scrapes))
                .map(|series| series.labels)
                .collect();
            found.sort();
            found.dedup();
            found
        }))
    }
}

fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return milliseconds(seconds);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp_millis())
}

fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return milliseconds(seconds);
    }
    let duration = promql_parser::util::parse_duration(text).ok()?;
    i64::try_from(duration.as_millis()).ok()
}

/// Seconds as milliseconds, within a few hundred thousand years.
fn milliseconds(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1000.0).round();
    (milliseconds.abs() < 1e16).then_some(milliseconds as i64)
}

fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let parameters = Parameters::new(Some("a=2&match[]=x&match%5B%5D=y"), b"a=1+%2B%c3%A9%&empty=&alone");
        assert_eq!(parameters.get("a"), Some("1 +é%"));
        assert_eq!(parameters.all("a").count(), 2);
        assert_eq!(parameters.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(parameters.get("empty"), Some(""));
        assert_eq!(parameters.get("alone"), Some(""));
        assert_eq!(parameters.get("none"), None);
    }

    #[test]
    fn times_and_durations_in_both_forms() {
        assert_eq!(parse_time("1700000000.1234"), Some(1_700_000_000_123));
        assert_eq!(parse_time("2023-11-14T22:13:20.5Z"), Some(1_700_000_000_500));
        assert_eq!(parse_time("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(parse_time("1e300"), None);
        assert_eq!(parse_time("NaN"), None);
        assert_eq!(parse_duration("0.5"), Some(500));
        assert_eq!(parse_duration("1m30s"), Some(90_000));
        assert_eq!(parse_duration("soon"), None);
    }
}
