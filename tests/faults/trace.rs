//! What happened in a run, line by line, and a digest of it: two runs of one seed must have the same.

use super::time::Time;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all that has something to tell.
#[derive(Clone)]
pub struct Trace {
    time: Time,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    digest: DefaultHasher,
    lines: Vec<String>,
}

impl Trace {
    pub fn new(time: Time) -> Self {
        Self { time, told: Arc::default() }
    }

    pub fn tell(&self, who: &str, what: &str) {
        let line = format!("{:9.3} {who:<9} {}", self.time.elapsed().as_secs_f64(), without_ids(what));
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        line.hash(&mut told.digest);
        told.lines.push(line);
    }

    /// A digest of all lines so far.
    pub fn digest(&self) -> u64 {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).digest.finish()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }
}

/// Requests have random ids, and Events are named by them: nothing depends on which.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
    if !text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_id) {
        return text.to_string();
    }
    let mut result = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match is_id(word) {
            true => result.push_str(&part.replacen(word, "<id>", 1)),
            false => result.push_str(part),
        }
    }
    result
}
