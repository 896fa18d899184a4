//! The two clocks that matter: the wall's, for what is shown and written, and one that counts through a suspend, for
//! what a lease is worth. Both are injected, so that tests own the time.

use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    since_boot: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The machine's own clocks. On Linux the second is CLOCK_BOOTTIME, which goes on while the machine sleeps; Rust's
    /// `Instant` does not.
    pub fn system() -> Self {
        Self { wall: Arc::new(Utc::now), since_boot: Arc::new(since_boot) }
    }

    /// Clocks of a test's own.
    pub fn new(
        wall: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        since_boot: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), since_boot: Arc::new(since_boot) }
    }

    /// The time of day.
    pub fn now(&self) -> DateTime<Utc> {
        (self.wall)()
    }

    /// Time since boot, sleep included.
    pub fn since_boot(&self) -> Duration {
        (self.since_boot)()
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    // Where no clock counts through sleep and cannot be set back, the wall clock at least counts through sleep.
    Utc::now().signed_duration_since(DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
}
