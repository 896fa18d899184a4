//! Virtual time: tokio's paused clock, counted from a fixed moment. Every clock of a run is this one.

use canary_tui::cluster::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The time of day at which every run begins, in seconds since 1970.
const EPOCH: i64 = 1_800_000_000;

/// The time of one run.
#[derive(Clone, Copy)]
pub struct Time {
    began: Instant,
}

impl Time {
    /// Begins now. Only inside the run's own runtime.
    pub fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// Since the run began.
    pub fn elapsed(self) -> Duration {
        self.began.elapsed()
    }

    pub fn now(self) -> DateTime<Utc> {
        let began = DateTime::from_timestamp(EPOCH, 0).unwrap_or_default();
        began + TimeDelta::from_std(self.elapsed()).unwrap_or_default()
    }

    /// The two clocks of a controller.
    pub fn clock(self) -> Clock {
        Clock::new(move || self.now(), move || Duration::from_secs(1000) + self.elapsed())
    }

    /// The one of the embedded cluster.
    pub fn of_cluster(self) -> Arc<dyn Fn() -> DateTime<Utc> + Send + Sync> {
        Arc::new(move || self.now())
    }

    /// Sleeps until so long after the beginning.
    pub async fn until(self, since_began: Duration) {
        tokio::time::sleep_until(self.began + since_began).await;
    }
}
