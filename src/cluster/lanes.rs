//! How much a driver does at once. Each request on its way is a connection of its own over HTTP/1.1, and a thousand
//! canaries that step at the same moment must not open thousands; nor must all of them be decided on at that moment, to be
//! carried out seconds later.
//!
//! Nothing that an operator asked for waits here, and no write waits for Events, which have a lane of their own.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Reads and writes of rollouts at once. With an API server that is a tenth of a second away they are 640 a second.
const AT_ONCE: usize = 64;
/// Events at once. A step goes on when its Event is written: fewer than the others, and they would be what it waits for.
const EVENTS_AT_ONCE: usize = 64;

/// Canaries that have their turn at once: each is decided on when it can be carried out, so that those which began at the
/// same moment are soon out of step with each other.
const TURNS_AT_ONCE: usize = 32;

/// The lanes of one driver as one Canary's worker goes by them.
#[derive(Clone)]
pub struct Lanes {
    rollouts: Arc<Semaphore>,
    events: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    urgent: watch::Receiver<bool>,
}

/// Which lane.
#[derive(Clone, Copy)]
pub enum Lane {
    Rollouts,
    Events,
    /// A Canary's turn, from looking at the cluster to the last write.
    Turns,
}

impl Lanes {
    /// Lanes that are free.
    pub fn open() -> Self {
        let lane = |width| Arc::new(Semaphore::new(width));
        Self {
            rollouts: lane(AT_ONCE),
            events: lane(EVENTS_AT_ONCE),
            turns: lane(TURNS_AT_ONCE),
            urgent: watch::channel(false).1,
        }
    }

    /// The same lanes for another worker, which waits in none of them while `urgent` says so.
    pub fn of(&self, urgent: watch::Receiver<bool>) -> Self {
        Self { urgent, ..self.clone() }
    }

    /// Waits until it is urgent; for ever where the caller acts on that already.
    pub async fn becomes_urgent(&self, known: bool) {
        if known || self.urgent.clone().wait_for(|urgent| *urgent).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a place, which is held as long as the answer is. What becomes urgent meanwhile waits no longer.
    pub async fn enter(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        let lane = match lane {
            Lane::Rollouts => &self.rollouts,
            Lane::Events => &self.events,
            Lane::Turns => &self.turns,
        };
        let mut urgent = self.urgent.clone();
        let hurry = async {
            if urgent.wait_for(|urgent| *urgent).await.is_err() {
                // Nobody is there to say so any more.
                std::future::pending::<()>().await;
            }
        };
        either(hurry, lane.clone().acquire_owned()).await.and_then(Result::ok)
    }
}

/// The second's answer; None if the first is done before.
async fn either<T>(first: impl Future<Output = ()>, second: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = first => None,
        answer = second => Some(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn what_is_urgent_waits_for_nobody_and_events_hold_up_no_write() {
        let lanes = Lanes::open();
        let mut events = Vec::new();
        for _ in 0..EVENTS_AT_ONCE {
            events.push(lanes.enter(Lane::Events).await);
        }
        tokio::task::yield_now().await;
        assert!(lanes.enter(Lane::Events).now_or_never().is_none(), "that lane is full");
        let mut writes = Vec::new();
        for _ in 0..AT_ONCE {
            // The runtime lets a task do only so much at once.
            tokio::task::yield_now().await;
            writes.push(lanes.enter(Lane::Rollouts).now_or_never().expect("the other is not"));
        }
        let (urge, urgent) = watch::channel(false);
        let hurried = lanes.of(urgent);
        let mut waits = Box::pin(hurried.enter(Lane::Rollouts));
        assert!((&mut waits).now_or_never().is_none());
        urge.send_replace(true);
        assert!(waits.await.is_none(), "it goes without a place");
        assert!(hurried.enter(Lane::Events).now_or_never().is_some());
        assert!(lanes.enter(Lane::Rollouts).now_or_never().is_none(), "the others still wait");
        writes.pop();
        assert!(lanes.enter(Lane::Rollouts).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn who_does_not_know_yet_that_it_is_urgent_is_told_at_once() {
        let (urge, urgent) = watch::channel(false);
        let lanes = Lanes::open().of(urgent);
        let mut told = Box::pin(lanes.becomes_urgent(false));
        assert!((&mut told).now_or_never().is_none());
        urge.send_replace(true);
        told.await;
        assert!(lanes.becomes_urgent(false).now_or_never().is_some());
        assert!(lanes.becomes_urgent(true).now_or_never().is_none());
    }
}
