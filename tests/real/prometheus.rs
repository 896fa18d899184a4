//! A real Prometheus beside ours: it scrapes the sandbox and answers all that the product asks, and over the same
//! samples our evaluator says what it says. The samples get there by remote write, which alone can write stale markers
//! at chosen moments. And it scrapes the controller.
//!
//! `PROMQL_SEED` takes other samples and other random expressions. What the real one does is what 2.42 does; where later
//! versions differ, the evaluator's modules say so.

#[path = "prometheus/alerting.rs"]
mod alerting;
#[path = "prometheus/answer.rs"]
mod answer;
#[path = "prometheus/batches.rs"]
mod batches;
#[path = "prometheus/judging.rs"]
mod judging;
#[path = "prometheus/queries.rs"]
mod queries;
#[path = "../rehearsal/mod.rs"]
mod rehearsal;
#[path = "prometheus/scraping.rs"]
mod scraping;
#[path = "prometheus/series.rs"]
mod series;
#[path = "prometheus/server.rs"]
mod server;
#[path = "prometheus/write.rs"]
mod write;

use answer::Answer;
use canary_tui::traffic::{History, promql};
use chrono::{DateTime, SecondsFormat};
use server::Server;
use std::collections::BTreeMap;

/// No targets, and the step of subqueries that name none, as both have it where nobody says otherwise.
const NOTHING_TO_SCRAPE: &str = "global:\n  evaluation_interval: 1m\n";

/// How many differences are told.
const SHOWN: usize = 400;

/// How many random expressions there are.
const INVENTED: usize = 600;

/// The moments at which everything is asked, in milliseconds after the first scrape: before all of it, at and around a
/// scrape, in the gaps, when a series has just ended, after the last, and when nothing can be seen any more.
const MOMENTS: [i64; 9] = [-60_000, 47_321, 300_000, 475_000, 720_000, 1_190_001, 1_290_000, 1_950_500, 2_300_000];

/// Start, end and step of what is asked over a time, in milliseconds after the first scrape.
const RANGES: [(i64, i64, i64); 2] = [(-30_000, 2_250_000, 67_000), (295_000, 305_000, 1_000)];

/// Both evaluators, with the same samples.
struct Pair<'a> {
    real: &'a Server,
    ours: &'a History,
    agreed: usize,
    values: usize,
    refused: usize,
    differed: usize,
    /// By query; the first of each.
    differences: BTreeMap<String, String>,
}

impl<'a> Pair<'a> {
    fn new(real: &'a Server, ours: &'a History) -> Self {
        Self { real, ours, agreed: 0, values: 0, refused: 0, differed: 0, differences: BTreeMap::new() }
    }

    async fn compare_at(&mut self, query: &str, at: i64) {
        let real = self.real.ask("/api/v1/query", &[("query", query), ("time", &time(at))]).await;
        let ours = promql::instant(self.ours, query, at, None);
        self.judge(
            query,
            &format!("at {}", at - series::BEGIN),
            Answer::of_prometheus(real),
            Answer::of_instant(ours, at),
        );
    }

    async fn compare_over(&mut self, query: &str, (start, end, step): (i64, i64, i64)) {
        let seconds = format!("{}", step as f64 / 1000.0);
        let form = [("query", query), ("start", &time(start)), ("end", &time(end)), ("step", &seconds)];
        let real = self.real.ask("/api/v1/query_range", &form).await;
        let ours = promql::range(self.ours, query, (start, end, step), None);
        let when = format!("from {} to {}", start - series::BEGIN, end - series::BEGIN);
        self.judge(query, &when, Answer::of_prometheus(real), Answer::of_range(ours));
    }

    async fn compare(&mut self, query: &str) {
        for moment in MOMENTS {
            self.compare_at(query, series::BEGIN + moment).await;
        }
        for (start, end, step) in RANGES {
            self.compare_over(query, (series::BEGIN + start, series::BEGIN + end, step)).await;
        }
    }

    fn judge(&mut self, query: &str, when: &str, real: Answer, ours: Answer) {
        if real.agrees_with(&ours) {
            self.agreed += 1;
            self.values += real.values();
            self.refused += usize::from(matches!(real, Answer::Refused { .. }));
        } else {
            self.differed += 1;
            let first = || format!("{query}\n  {when}\n    {}", answer::difference(&real, &ours));
            self.differences.entry(query.to_string()).or_insert_with(first);
        }
    }
}

impl Pair<'_> {
    /// Says how many comparisons there were, and fails if any differed.
    fn close(self, queries: usize) {
        let Self { agreed, values, refused, differed, differences, .. } = self;
        println!(
            "{queries} queries, {} comparisons: {agreed} agree ({values} values, {refused} refusals), {differed} differ",
            agreed + differed,
        );
        let shown: Vec<&str> = differences.values().take(SHOWN).map(String::as_str).collect();
        assert!(differences.is_empty(), "{} queries differ:\n{}", differences.len(), shown.join("\n"));
    }
}

/// A moment without the loss of a float.
fn time(at: i64) -> String {
    DateTime::from_timestamp_millis(at).expect("a moment").to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[tokio::test]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn the_evaluator_says_what_prometheus_says() {
    let seed = std::env::var("PROMQL_SEED").map_or(1, |seed| seed.parse().expect("PROMQL_SEED is a number"));
    let server = Server::start(NOTHING_TO_SCRAPE).await;
    let scrapes = series::generated(seed);
    series::write_to(&server, &scrapes).await;
    let recorder = series::recorded(&scrapes);
    let mut pair = Pair::new(&server, recorder.history());
    let queries: Vec<String> = queries::listed().into_iter().chain(queries::invented(seed, INVENTED)).collect();
    for query in &queries {
        pair.compare(query).await;
    }
    print!("seed {seed}: ");
    pair.close(queries.len());
}

#[tokio::test]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn what_is_sorted_comes_in_the_same_order() {
    let server = Server::start(NOTHING_TO_SCRAPE).await;
    let scrapes = series::generated(3);
    series::write_to(&server, &scrapes).await;
    let recorder = series::recorded(&scrapes);
    let at = series::BEGIN + 300_000;
    for query in ["sort(temperature)", "sort_desc(temperature)", "topk(3, temperature)", "bottomk(4, temperature)"] {
        let real = server.ask("/api/v1/query", &[("query", query), ("time", &time(at))]).await.expect("an answer");
        let real: Vec<&str> = real["result"].as_array().expect("a vector").iter().filter_map(room).collect();
        let Ok(promql::Value::Vector(ours)) = promql::instant(recorder.history(), query, at, None) else {
            panic!("{query} has no vector")
        };
        let ours: Vec<&str> = ours.iter().map(|sample| sample.labels.get("room")).collect();
        assert!(real.len() > 2, "{query}: {real:?}");
        assert_eq!(real, ours, "{query}");
    }
}

fn room(sample: &serde_json::Value) -> Option<&str> {
    sample["metric"]["room"].as_str()
}

#[tokio::test]
#[cfg_attr(not(prometheus), ignore = "prometheus is not installed")]
async fn what_the_evaluator_lacks_it_refuses_by_name_and_nonsense_as_prometheus_does() {
    let server = Server::start(NOTHING_TO_SCRAPE).await;
    let scrapes = series::generated(2);
    let recorder = series::recorded(&scrapes);
    let at = series::BEGIN + 300_000;
    for query in queries::REFUSED {
        let name = query.split(['(', ' ']).next().unwrap_or_default();
        let answer = promql::instant(recorder.history(), query, at, None);
        let Err(error) = answer else { panic!("{query} is answered: {answer:?}") };
        assert!(error.to_string().contains(name), "{query}: {error}");
    }
    let mut pair = Pair::new(&server, recorder.history());
    for query in queries::NONSENSE {
        pair.compare_at(query, at).await;
    }
    let refused: usize = pair.refused + pair.differences.len();
    assert_eq!(refused, queries::NONSENSE.len(), "there is nonsense that Prometheus answers");
    pair.close(queries::NONSENSE.len());
}
