//! What is asked of the API server once for all namespaces: whether Flagger is at work in them, and what the caller may
//! do in them. A driver of hundreds of namespaces that asked for each by itself would ask thousands of questions.

use super::access::{EVERYWHERE, Right};
use super::{Clock, access, flagger};
use kube::Client;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How old an answer may be. Whoever asks again does so after ten seconds or more.
const FRESH: Duration = Duration::from_secs(5);

/// Answers, and when they were given. Clones share them.
#[derive(Clone)]
pub struct Survey {
    client: Client,
    clock: Clock,
    answers: Arc<Mutex<Answers>>,
}

/// When it was asked, by the clock since boot, and the answer.
type Answer<T> = (Duration, T);

#[derive(Default)]
struct Answers {
    flagger: Option<Answer<Result<BTreeMap<String, String>, String>>>,
    /// The first right of these that is lacking.
    lacking: BTreeMap<Vec<Right>, Answer<Option<String>>>,
}

impl Survey {
    /// Nothing is asked yet.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, answers: Arc::default() }
    }

    /// As [`flagger::at_work`].
    ///
    /// # Errors
    /// Where the API server did not answer: then nobody can tell.
    pub async fn flagger_at_work(&self, namespace: &str) -> Result<Option<String>, String> {
        // Held while asking, so that a hundred namespaces ask once.
        let mut answers = self.answers.lock().await;
        let signs = match answers.flagger.take().filter(|(asked, _)| self.is_fresh(*asked)) {
            Some(fresh) => fresh,
            None => (self.clock.since_boot(), flagger::everywhere(&self.client, self.clock.now()).await),
        };
        let (_, signs) = answers.flagger.insert(signs);
        signs.as_ref().map(|signs| flagger::concerning(signs, namespace).cloned()).map_err(Clone::clone)
    }

    /// As [`access::lacks`]: only where a right is not there for all namespaces, this one is asked about.
    pub async fn lacks(&self, namespace: &str, rights: &[Right]) -> Option<String> {
        let anywhere = {
            let mut answers = self.answers.lock().await;
            match answers.lacking.get(rights).filter(|(asked, _)| self.is_fresh(*asked)) {
                Some((_, lacking)) => lacking.clone(),
                None => {
                    let asked = self.clock.since_boot();
                    let lacking = access::lacks(&self.client, EVERYWHERE, rights).await;
                    answers.lacking.insert(rights.to_vec(), (asked, lacking.clone()));
                    lacking
                }
            }
        };
        match anywhere {
            None => None,
            Some(_) => access::lacks(&self.client, namespace, rights).await,
        }
    }

    fn is_fresh(&self, asked: Duration) -> bool {
        self.clock.since_boot().saturating_sub(asked) < FRESH
    }
}
