//! The text in which Prometheus reads series: `text/plain; version=0.0.4`. It knows the format and no series; names are
//! the program's own and written as they are, label values may be anything.

use std::fmt::Write;

/// Media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The samples of one metric. One without samples leaves no text.
pub struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: String,
}

impl Family {
    /// A family that has no samples yet.
    pub fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, samples: String::new() }
    }

    /// Adds a sample. The same labels must not come twice.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, value);
    }

    /// Adds a histogram: `buckets` are upper bounds, ascending, each with how many observations it alone took; what is
    /// above the last is in `count` only.
    pub fn histogram(&mut self, labels: &[(&str, &str)], buckets: &[(f64, u64)], sum: f64, count: u64) {
        let mut below = 0;
        for (bound, taken) in buckets {
            below += taken;
            let bound = number(*bound);
            self.line("_bucket", &[labels, &[("le", bound.as_str())]].concat(), below as f64);
        }
        self.line("_bucket", &[labels, &[("le", "+Inf")]].concat(), count as f64);
        self.line("_sum", labels, sum);
        self.line("_count", labels, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a String cannot fail.
        let _ = writeln!(self.samples, "{}{suffix}{labels} {}", self.name, number(value));
    }

    /// The family's text, ending with a line feed.
    pub fn text(&self) -> String {
        if self.samples.is_empty() {
            return String::new();
        }
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = self.help.replace('\\', r"\\").replace('\n', r"\n");
        format!("# HELP {0} {help}\n# TYPE {0} {kind}\n{1}", self.name, self.samples)
    }
}

fn label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_help_its_type_and_its_samples() {
        let mut family = Family::new("speed", Kind::Gauge, "How fast.\nIn \\ metres.");
        family.sample(&[], 0.25);
        family.sample(&[("of", "a \"b\" \\ c\nd"), ("on", "é")], f64::INFINITY);
        assert_eq!(
            family.text(),
            "# HELP speed How fast.\\nIn \\\\ metres.\n# TYPE speed gauge\nspeed 0.25\n\
             speed{of=\"a \\\"b\\\" \\\\ c\\nd\",on=\"é\"} +Inf\n"
        );
    }

    #[test]
    fn a_family_without_samples_is_no_text() {
        assert_eq!(Family::new("speed", Kind::Counter, "x").text(), "");
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let mut family = Family::new("wait", Kind::Histogram, "x");
        family.histogram(&[("name", "web")], &[(0.5, 2), (1.0, 0), (10.0, 3)], 99.5, 6);
        let lines = family.text();
        let samples: Vec<&str> = lines.lines().skip(2).collect();
        assert_eq!(
            samples,
            [
                r#"wait_bucket{name="web",le="0.5"} 2"#,
                r#"wait_bucket{name="web",le="1"} 2"#,
                r#"wait_bucket{name="web",le="10"} 5"#,
                r#"wait_bucket{name="web",le="+Inf"} 6"#,
                r#"wait_sum{name="web"} 99.5"#,
                r#"wait_count{name="web"} 6"#,
            ]
        );
    }
}
