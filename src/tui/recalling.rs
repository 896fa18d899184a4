//! The past of the selected canary, as Prometheus remembers it: asked for once for each range, and again when Prometheus
//! was away.

use super::history::{Measures, Range};
use super::message::{Msg, Teller};
use super::row::Key;
use super::source::ASKED;
use crate::metrics::{History, Locator, Metric};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// One question and who is told.
pub struct Recalling {
    pub told: Teller,
    pub locator: Locator,
    /// Primary and target, of one namespace.
    pub workloads: [Key; 2],
    /// That of the rates.
    pub window: Duration,
    pub range: Range,
}

impl Recalling {
    /// Asks for the range that ends at `now`, and tells.
    pub async fn run(self, now: DateTime<Utc>) {
        let history = self.ask(now).await;
        for workload in &self.workloads {
            let samples = history.as_ref().map(|history| samples(history, &workload.name)).map_err(String::clone);
            let told = self.told.send(Msg::Remembered { workload: workload.clone(), range: self.range, samples });
            if told.is_err() {
                return;
            }
        }
    }

    async fn ask(&self, now: DateTime<Utc>) -> Result<History, String> {
        let prometheus = self.locator.any().await?;
        let step = self.range.step();
        // Whole steps: asked for again, the same instants come back.
        let end = now.timestamp().div_euclid(step) * step;
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or("the clock is out of range");
        let between = (time(end - self.range.seconds())?, time(end)?);
        let [primary, canary] = &self.workloads;
        let (names, step) = ([primary.name.as_str(), canary.name.as_str()], Duration::from_secs(step.unsigned_abs()));
        let history = prometheus.history(&primary.namespace, names, self.window, between, step).await;
        // Having no series is no failure; not to be answered at all is one.
        if history.points.is_empty() && history.problems.len() == Metric::ALL.len() {
            prometheus.ping().await.map_err(|error| error.to_string())?;
        }
        Ok(history)
    }
}

/// What was measured of one workload, by time.
fn samples(history: &History, workload: &str) -> Vec<(DateTime<Utc>, Measures)> {
    let mut samples: BTreeMap<DateTime<Utc>, Measures> = BTreeMap::new();
    for (at, metric) in ASKED.into_iter().enumerate() {
        let points = history.points.get(&(workload.to_string(), metric));
        for (time, value) in points.into_iter().flatten() {
            samples.entry(*time).or_default().0[at] = Some(*value);
        }
    }
    samples.into_iter().collect()
}
