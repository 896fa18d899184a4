//! The series that both evaluators are asked about: made from a seed, written to a real Prometheus and to our history.
//!
//! There are counters with resets, gauges, histograms whole and broken, values that are no numbers, series that end
//! and come back (with the stale markers that a scraper leaves), moments that are not quite regular, and gaps in which
//! nothing was scraped at all.

use super::server::Server;
use super::write::{self, Labels, STALE};
use canary_tui::traffic::Recorder;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::BTreeSet;

/// The first scrape, in milliseconds since 1970.
pub const BEGIN: i64 = 1_700_000_000_000;
/// About the time between two scrapes, in milliseconds.
const STEP: i64 = 15_000;
/// Scrapes that there would be without the gaps.
const SCRAPES: i64 = 130;
/// Scrapes that nobody made: a short gap, and one that is longer than a selector looks back.
const GAPS: [std::ops::Range<i64>; 2] = [30..33, 60..85];
/// Room for all scrapes in the history.
const CAPACITY: usize = 1000;

/// One scrape: its moment, and all that was there.
pub struct Scrape {
    pub at: i64,
    pub samples: Vec<(Labels, f64)>,
}

/// All scrapes of a seed.
pub fn generated(seed: u64) -> Vec<Scrape> {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut sources = sources();
    let mut scrapes = Vec::new();
    for number in (0..SCRAPES).filter(|number| !GAPS.iter().any(|gap| gap.contains(number))) {
        let at = BEGIN + number * STEP + random.random_range(-150..=150);
        let mut samples = Vec::new();
        for source in &mut sources {
            let value = source.next(number, &mut random);
            if source.is_there(number) {
                samples.push((source.labels.clone(), value));
            }
        }
        scrapes.push(Scrape { at, samples });
    }
    scrapes
}

/// Our history of these scrapes.
pub fn recorded(scrapes: &[Scrape]) -> Recorder {
    let mut recorder = Recorder::new(CAPACITY);
    for scrape in scrapes {
        let samples = scrape.samples.iter();
        recorder.scrape(
            scrape.at,
            samples.map(|(labels, value)| (canary_tui::traffic::Labels::new(labels.iter()), *value)),
        );
    }
    recorder
}

/// Writes these scrapes to a real Prometheus, with a stale marker where a series is missing for the first time.
pub async fn write_to(server: &Server, scrapes: &[Scrape]) {
    let mut before: BTreeSet<&Labels> = BTreeSet::new();
    for scrape in scrapes {
        let now: BTreeSet<&Labels> = scrape.samples.iter().map(|(labels, _)| labels).collect();
        let ended = before.difference(&now).map(|labels| ((*labels).clone(), STALE));
        let all: Vec<(Labels, f64)> = scrape.samples.iter().cloned().chain(ended).collect();
        server.write(write::body(scrape.at, &all)).await;
        before = now;
    }
}

/// One series as it goes on.
struct Source {
    labels: Labels,
    life: Life,
    shape: Shape,
    value: f64,
}

/// In which scrapes a series is there.
#[derive(Clone, Copy)]
enum Life {
    Always,
    Between(i64, i64),
    /// So many scrapes there, so many not.
    InTurns(i64),
}

/// How the values of a series go.
#[derive(Clone, Copy)]
enum Shape {
    /// Counts up by whole numbers up to this, and begins again at times.
    Counter(u32),
    /// Counts up by parts of one.
    FineCounter,
    /// This share of a count that is the same for all series and begins anew after forty scrapes.
    Share(f64),
    /// Wanders, by so much at most.
    Wandering(f64),
    /// The same at all times.
    Constant(f64),
    /// One after the other, again and again.
    Cycle(&'static [f64]),
}

impl Source {
    fn next(&mut self, number: i64, random: &mut Pcg64) -> f64 {
        let restarts = random.random_range(0..30) == 0;
        let part: f64 = random.random();
        self.value = match self.shape {
            Shape::Counter(_) | Shape::FineCounter if restarts => 0.0,
            Shape::Counter(most) => self.value + (part * f64::from(most)).floor(),
            Shape::FineCounter => self.value + part,
            Shape::Share(share) => (share * ((number % 41) * 37 + number * 7919 % 13) as f64).floor(),
            Shape::Wandering(most) => self.value + (part - 0.5) * 2.0 * most,
            Shape::Constant(value) => value,
            Shape::Cycle(values) => values[number as usize % values.len()],
        };
        self.value
    }

    fn is_there(&self, number: i64) -> bool {
        match self.life {
            Life::Always => true,
            Life::Between(from, to) => (from..to).contains(&number),
            Life::InTurns(length) => (number / length) % 2 == 0,
        }
    }
}

fn source(name: &str, labels: &[(&str, &str)], life: Life, shape: Shape) -> Source {
    let labels = labels.iter().copied().chain([("__name__", name)]);
    let labels = labels.filter(|(_, value)| !value.is_empty());
    let labels = labels.map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
    let value = match shape {
        Shape::Wandering(most) => 7.0 * most,
        _ => 0.0,
    };
    Source { labels, life, shape, value }
}

fn sources() -> Vec<Source> {
    use Life::{Always, Between, InTurns};
    let mut all = Vec::new();
    for (pod, zone, life) in
        [("a", "north", Always), ("b", "north", InTurns(7)), ("c", "south", Between(20, 100)), ("d", "south", Always)]
    {
        for (code, most) in [("200", 400), ("404", 20), ("500", 3)] {
            let labels = [("pod", pod), ("zone", zone), ("code", code)];
            all.push(source("requests_total", &labels, life, Shape::Counter(most)));
        }
        all.push(source("memory_bytes", &[("pod", pod), ("zone", zone)], life, Shape::Wandering(1e6)));
        all.push(source("cpu_seconds_total", &[("pod", pod), ("zone", zone)], life, Shape::FineCounter));
        let version = if pod < "c" { "1.0.0" } else { "1.1.0" };
        all.push(source("pod_info", &[("pod", pod), ("version", version), ("node", "n1")], life, Shape::Constant(1.0)));
        histogram("latency_seconds", &[("pod", pod)], life, &mut all);
    }
    for room in ["attic", "cellar", "hall", "kitchen", "study"] {
        all.push(source("temperature", &[("room", room)], Always, Shape::Wandering(3.0)));
    }
    // Two names that differ in nothing else, at one time and at different times.
    all.push(source("twin_total", &[("pod", "a")], Always, Shape::Counter(9)));
    all.push(source("other_twin_total", &[("pod", "a")], Always, Shape::Counter(9)));
    all.push(source("early_total", &[("pod", "a")], Between(0, 40), Shape::Counter(50)));
    all.push(source("late_total", &[("pod", "a")], Between(50, 130), Shape::Counter(50)));
    all.push(source("lonely", &[], Between(20, 21), Shape::Constant(5.0)));
    const INF: f64 = f64::INFINITY;
    let odd: [(&str, &'static [f64]); 9] = [
        ("nan", &[f64::NAN]),
        ("inf", &[INF]),
        ("negative inf", &[-INF]),
        ("mixed", &[1.0, f64::NAN, -2.0, INF, 0.0, -INF, 3.5]),
        ("nan first", &[f64::NAN, 2.0, 3.0]),
        ("zeros", &[0.0, -0.0]),
        ("huge", &[1.5e308, 1.6e308, -1.2e308]),
        ("tiny", &[3e-300, 1e-290, -4e-299]),
        ("steps", &[1.0, 1.0, 2.0, 2.0, 2.0, -1.0]),
    ];
    for (kind, values) in odd {
        all.push(source("odd", &[("kind", kind)], Always, Shape::Cycle(values)));
    }
    broken_histograms(&mut all);
    // Values of labels that matchers and replacements stumble over.
    for (place, text) in ["", "a.b", "a\"b\\c\nd", "ünïcode ٣", "$1", "10"].into_iter().enumerate() {
        let number = place.to_string();
        all.push(source("text", &[("n", &number), ("text", text)], Always, Shape::Wandering(1.0)));
    }
    all
}

/// A histogram that counts as a program does, and is begun anew at times.
fn histogram(name: &str, labels: &[(&str, &str)], life: Life, all: &mut Vec<Source>) {
    const SHARES: [(&str, f64); 6] =
        [("0.1", 0.2), ("0.25", 0.5), ("0.5", 0.8), ("1", 0.9), ("2.5", 0.99), ("+Inf", 1.0)];
    for (bound, share) in SHARES {
        let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
        all.push(source(&format!("{name}_bucket"), &labels, life, Shape::Share(share)));
    }
    all.push(source(&format!("{name}_sum"), labels, life, Shape::Share(0.317)));
    all.push(source(&format!("{name}_count"), labels, life, Shape::Share(1.0)));
}

/// What a quantile must not stumble over.
fn broken_histograms(all: &mut Vec<Source>) {
    let cases: [(&str, &[(&str, f64)]); 12] = [
        ("whole", &[("0.1", 5.0), ("0.5", 8.0), ("1", 9.0), ("+Inf", 10.0)]),
        ("without top", &[("0.1", 5.0), ("0.5", 8.0)]),
        ("top alone", &[("+Inf", 8.0)]),
        ("shrinking", &[("0.1", 5.0), ("0.5", 3.0), ("1", 9.0), ("+Inf", 7.0)]),
        ("bounds twice", &[("1", 3.0), ("1.0", 4.0), ("1e0", 1.0), ("2", 20.0), ("+Inf", 22.0)]),
        ("empty", &[("1", 0.0), ("2", 0.0), ("+Inf", 0.0)]),
        ("below zero", &[("-2", 3.0), ("-1", 5.0), ("0", 6.0), ("2", 9.0), ("+Inf", 9.0)]),
        ("unreadable", &[("1", 3.0), ("one", 5.0), ("", 9.0), ("0x10", 5.0), ("1_0", 6.0), ("+Inf", 9.0)]),
        ("overflowing", &[("1", 3.0), ("1e999", 5.0)]),
        ("no numbers", &[("1", f64::NAN), ("2", 4.0), ("+Inf", 9.0)]),
        ("no number at the top", &[("1", 1.0), ("2", 4.0), ("+Inf", f64::NAN)]),
        ("infinite", &[("1", 1.0), ("2", f64::INFINITY), ("inf", f64::INFINITY)]),
    ];
    for (case, buckets) in cases {
        for (bound, count) in buckets {
            let labels = [("case", case), ("le", *bound)];
            all.push(source("broken_bucket", &labels, Life::Always, Shape::Constant(*count)));
        }
    }
    for (bound, count) in [("0.1", 50.0), ("0.5", 80.0), ("+Inf", 100.0)] {
        let labels = [("case", "whole"), ("le", bound)];
        all.push(source("other_bucket", &labels, Life::Always, Shape::Constant(count)));
    }
}
