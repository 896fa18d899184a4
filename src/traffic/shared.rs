//! One simulator, shared between those who feed it and those who ask it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::history::History;
use super::simulator::Simulator;

/// Tells what time it is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A handle on a simulator, cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Traffic {
    simulator: Arc<RwLock<Simulator>>,
    clock: Clock,
}

impl Traffic {
    /// Shares a simulator. The clock says what "now" means to a query that names no time.
    pub fn new(simulator: Simulator, clock: Clock) -> Self {
        Self { simulator: Arc::new(RwLock::new(simulator)), clock }
    }

    /// Replaces the facts; see [`Simulator::observe`].
    pub fn observe(&self, now: DateTime<Utc>, facts: Facts) {
        self.write(|simulator| simulator.observe(now, facts));
    }

    /// Makes the scrapes that are due, and says when the next one is.
    pub fn advance(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.write(|simulator| {
            simulator.advance(now);
            simulator.next_scrape()
        })
    }

    /// How many requests have found no ready pod; see [`Simulator::lost_requests`].
    pub fn lost_requests(&self) -> u64 {
        self.read(Simulator::lost_requests)
    }

    /// What the clock says.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Looks at the samples. No scrape happens meanwhile, so be quick.
    pub fn with_history<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        self.read(|simulator| look(simulator.history()))
    }

    // A panic while the lock was held leaves at worst one scrape half written: better than none from then on.
    fn read<T>(&self, look: impl FnOnce(&Simulator) -> T) -> T {
        look(&self.simulator.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Simulator) -> T) -> T {
        change(&mut self.simulator.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Traffic").finish_non_exhaustive()
    }
}
