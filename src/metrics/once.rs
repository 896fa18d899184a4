//! A question that many ask at the same moment is asked once, and its answer is used again while it is fresh.
//!
//! An answer is as old as its question: it tells of a moment between the two. Nothing is asked that nobody waits for:
//! whoever waits drives the asking, and one who goes away leaves it to the others.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Questions of one sort and their answers. Clones share them.
pub struct Once<K, T, E> {
    fresh: Duration,
    failed: Duration,
    clock: Clock,
    kept: Arc<Mutex<HashMap<K, Kept<T, E>>>>,
}

struct Kept<T, E> {
    asked: Moment,
    answer: Shared<BoxFuture<'static, Result<T, E>>>,
}

impl<K, T, E> Once<K, T, E>
where
    K: Eq + Hash,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Uses an answer for as long as `fresh`, and an error for as long as `failed`.
    pub fn new(fresh: Duration, failed: Duration) -> Self {
        Self::by(Arc::new(Moment::now), fresh, failed)
    }

    fn by(clock: Clock, fresh: Duration, failed: Duration) -> Self {
        Self { fresh, failed, clock, kept: Arc::default() }
    }

    /// The answer to a question; `ask` asks it, where that has not been done just now.
    pub async fn get<F>(&self, question: K, ask: impl FnOnce() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let answer = {
            let now = (self.clock)();
            // Nothing is done under the lock that could leave the map half changed.
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that wait for an old one have it in their hands.
            kept.retain(|_, kept| now.is_within(self.limit(kept), kept.asked));
            let kept = kept.entry(question).or_insert_with(|| Kept { asked: now, answer: ask().boxed().shared() });
            kept.answer.clone()
        };
        answer.await
    }

    fn limit(&self, kept: &Kept<T, E>) -> Duration {
        match kept.answer.peek() {
            Some(Err(_)) => self.failed,
            Some(Ok(_)) => self.fresh,
            // How it ends is not known.
            None => self.failed.min(self.fresh),
        }
    }
}

impl<K, T, E> Clone for Once<K, T, E> {
    fn clone(&self) -> Self {
        Self { fresh: self.fresh, failed: self.failed, clock: self.clock.clone(), kept: self.kept.clone() }
    }
}

type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// When a question is asked. The one clock stands still while the machine sleeps, and the other can be set.
#[derive(Clone, Copy)]
struct Moment {
    instant: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }

    /// Whether so much time at most has passed since then.
    fn is_within(self, limit: Duration, then: Self) -> bool {
        self.instant.saturating_duration_since(then.instant) <= limit
            && self.wall.duration_since(then.wall).is_ok_and(|age| age <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    const SECOND: Duration = Duration::from_secs(1);

    /// A clock that stands until it is put forward, by milliseconds: one hand for time awake, one for all of it.
    #[derive(Clone)]
    struct Hands(Arc<Mutex<Moment>>);

    impl Hands {
        fn new() -> Self {
            Self(Arc::new(Mutex::new(Moment::now())))
        }

        fn pass(&self, ms: u64) {
            self.sleep(ms);
            self.0.lock().unwrap().instant += Duration::from_millis(ms);
        }

        fn sleep(&self, ms: u64) {
            self.0.lock().unwrap().wall += Duration::from_millis(ms);
        }

        fn once(&self, fresh: Duration, failed: Duration) -> Once<&'static str, u32, u32> {
            let hands = self.0.clone();
            Once::by(Arc::new(move || *hands.lock().unwrap()), fresh, failed)
        }
    }

    /// Answers with how many times it was asked, once it may.
    #[derive(Clone, Default)]
    struct Oracle {
        asked: Arc<AtomicU32>,
        may: Arc<Notify>,
    }

    impl Oracle {
        async fn ask(
            &self,
            once: &Once<&'static str, u32, u32>,
            question: &'static str,
            good: bool,
        ) -> Result<u32, u32> {
            let oracle = self.clone();
            once.get(question, || async move {
                let count = oracle.asked.fetch_add(1, Ordering::SeqCst) + 1;
                oracle.may.notified().await;
                if good { Ok(count) } else { Err(count) }
            })
            .await
        }
    }

    #[tokio::test]
    async fn those_who_ask_together_have_one_answer_and_it_ages_from_its_question_on() {
        let (hands, oracle) = (Hands::new(), Oracle::default());
        let once = hands.once(SECOND, SECOND);
        let both = async { futures::join!(oracle.ask(&once, "a", true), oracle.ask(&once, "a", true)) };
        let answering = async {
            hands.pass(600);
            oracle.may.notify_one();
        };
        assert_eq!(futures::join!(both, answering).0, (Ok(1), Ok(1)));
        hands.pass(400);
        assert_eq!(oracle.ask(&once, "a", true).await, Ok(1), "asked 1000 ms ago");
        oracle.may.notify_one();
        assert_eq!(oracle.ask(&once, "b", true).await, Ok(2), "another question");
        hands.pass(1);
        oracle.may.notify_one();
        assert_eq!(oracle.ask(&once, "a", true).await, Ok(3), "asked 1001 ms ago");
    }

    #[tokio::test]
    async fn an_answer_from_before_the_machine_slept_is_old() {
        let (hands, oracle) = (Hands::new(), Oracle::default());
        let once = hands.once(SECOND, SECOND);
        for wanted in [Ok(1), Ok(2)] {
            oracle.may.notify_one();
            assert_eq!(oracle.ask(&once, "a", true).await, wanted);
            hands.sleep(1001);
        }
    }

    #[tokio::test]
    async fn who_asks_late_does_not_wait_for_a_question_of_long_ago() {
        let (hands, oracle) = (Hands::new(), Oracle::default());
        let once = hands.once(SECOND, SECOND);
        let mut first = Box::pin(oracle.ask(&once, "a", true));
        assert!(futures::poll!(&mut first).is_pending());
        hands.pass(1500);
        let mut second = Box::pin(oracle.ask(&once, "a", true));
        assert!(futures::poll!(&mut second).is_pending());
        oracle.may.notify_waiters();
        assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_asking_to_the_others() {
        let oracle = Oracle::default();
        let once = Hands::new().once(SECOND, SECOND);
        let mut first = Box::pin(oracle.ask(&once, "a", true));
        let mut second = Box::pin(oracle.ask(&once, "a", true));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        drop(first);
        oracle.may.notify_waiters();
        assert_eq!(second.await, Ok(1));
    }

    #[tokio::test]
    async fn an_error_is_forgotten_sooner() {
        let (hands, oracle) = (Hands::new(), Oracle::default());
        let once = hands.once(10 * SECOND, SECOND);
        for (good, wait, wanted) in [(false, 0, Err(1)), (true, 900, Err(1)), (true, 200, Ok(2)), (true, 9_000, Ok(2))]
        {
            hands.pass(wait);
            oracle.may.notify_one();
            assert_eq!(oracle.ask(&once, "a", good).await, wanted);
        }
    }
}
