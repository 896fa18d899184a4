//! What must outlive the Events' hour: the last rollouts of a Canary, what was said and asked of each, and what their
//! checks read. JSON in the annotation `canary-tui/history` on the Canary, written by the driver, bounded in size.
//!
//! It is a record for people. Nothing is decided by it.

use super::Phase;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rollouts that are kept.
const ROLLOUTS: usize = 8;
/// Texts and checks that are kept of each; of more, the oldest go first.
const LINES: usize = 60;
/// Characters that are kept of a text.
const TEXT: usize = 300;
/// Bytes of the whole annotation at most. All annotations of an object together may have 256 KiB.
pub const MOST: usize = 16 * 1024;

/// The last rollouts, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    #[serde(default)]
    pub rollouts: Vec<Rollout>,
}

/// What happened to one revision from its detection to its end, and what was asked about it after that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    pub revision: String,
    /// The target's images by container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    #[serde(default)]
    pub began: DateTime<Utc>,
    /// Its end, and when; None while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What was said of it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// What its checks read, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// A phase's name: Succeeded or Failed.
    pub phase: String,
    pub at: DateTime<Utc>,
}

/// One Event's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
    pub text: String,
}

/// One check held against its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub at: DateTime<Utc>,
    /// Percent of the traffic on the canary then.
    pub weight: u8,
    pub name: String,
    /// Percent for a success rate, milliseconds for a duration; None where there was none, or one that is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    pub passed: bool,
}

/// Something to be kept, and of which revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub revision: String,
    pub images: BTreeMap<String, String>,
    pub at: DateTime<Utc>,
    pub what: What,
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The rollout begins.
    Began,
    Said {
        warning: bool,
        text: String,
    },
    Checked(Checked),
    Ended(Phase),
}

impl History {
    /// Reads the annotation's text. What cannot be read is none: it was a record, and the next one begins anew.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The annotation's text, of at most [`MOST`] bytes: the oldest goes first, and of a single rollout its oldest lines.
    pub fn text(&self) -> String {
        let mut kept = self.clone();
        loop {
            let text = serde_json::to_string(&kept).unwrap_or_default();
            let last = kept.rollouts.len() == 1;
            match kept.rollouts.first_mut() {
                Some(only) if text.len() > MOST && last => {
                    if only.said.is_empty() && only.checks.is_empty() {
                        return String::new();
                    }
                    let drop_half = |n: usize| n.div_ceil(2);
                    only.said.drain(..drop_half(only.said.len()));
                    only.checks.drain(..drop_half(only.checks.len()));
                }
                Some(_) if text.len() > MOST => drop(kept.rollouts.remove(0)),
                _ => return text,
            }
        }
    }

    /// Whether an entry was taken in before: a write that has no answer may have been carried out, and is made again.
    fn has(&self, entry: &Entry) -> bool {
        let kept = |rollout: &Rollout| match &entry.what {
            What::Began => rollout.end.as_ref().is_some_and(|end| rollout.began <= entry.at && entry.at <= end.at),
            What::Said { warning, text } => rollout.said.contains(&said(entry.at, *warning, text)),
            What::Checked(checked) => rollout.checks.contains(checked),
            What::Ended(phase) => {
                rollout.end.as_ref().is_some_and(|end| end.phase == phase.name() && end.at == entry.at)
            }
        };
        self.rollouts.iter().any(|rollout| rollout.revision == entry.revision && kept(rollout))
    }

    /// Takes an entry in. One of another revision than the last, or a beginning after the end, begins another rollout;
    /// what is said after the end still belongs to it.
    pub fn note(&mut self, entry: &Entry) {
        if self.has(entry) {
            return;
        }
        let begins = |last: &Rollout| {
            last.revision != entry.revision || (last.end.is_some() && matches!(entry.what, What::Began))
        };
        if self.rollouts.last().is_none_or(begins) {
            self.rollouts.push(Rollout {
                revision: entry.revision.clone(),
                images: entry.images.clone(),
                began: entry.at,
                ..Default::default()
            });
            let over = self.rollouts.len().saturating_sub(ROLLOUTS);
            self.rollouts.drain(..over);
        }
        let Some(rollout) = self.rollouts.last_mut() else { return };
        match &entry.what {
            What::Began => {}
            What::Said { warning, text } => {
                rollout.said.push(said(entry.at, *warning, text));
            }
            What::Checked(checked) => rollout.checks.push(checked.clone()),
            What::Ended(phase) => rollout.end = Some(End { phase: phase.name().into(), at: entry.at }),
        }
        let over = |n: usize| n.saturating_sub(LINES);
        rollout.said.drain(..over(rollout.said.len()));
        rollout.checks.drain(..over(rollout.checks.len()));
    }
}

fn said(at: DateTime<Utc>, warning: bool, text: &str) -> Said {
    Said { at, warning, text: text.chars().take(TEXT).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn entry(revision: &str, second: i64, what: What) -> Entry {
        let images = [("app".to_string(), format!("app:{revision}"))].into();
        Entry { revision: revision.into(), images, at: at(second), what }
    }

    fn said(text: &str) -> What {
        What::Said { warning: true, text: text.into() }
    }

    #[test]
    fn a_rollout_is_one_revision_from_its_beginning_to_its_end_and_what_is_said_after() {
        let mut history = History::default();
        for (revision, second, what) in [
            ("a", 0, What::Began),
            ("a", 1, said("Halt")),
            ("a", 2, What::Ended(Phase::Failed)),
            ("a", 3, said("Request promote refused")),
            ("a", 9, What::Began),
            ("a", 10, What::Ended(Phase::Succeeded)),
            ("b", 20, said("New revision")),
        ] {
            history.note(&entry(revision, second, what));
        }
        let ends: Vec<_> = history.rollouts.iter().map(|r| r.end.as_ref().map(|end| end.phase.as_str())).collect();
        assert_eq!(ends, [Some("Failed"), Some("Succeeded"), None]);
        let texts: Vec<_> = history.rollouts[0].said.iter().map(|said| said.text.as_str()).collect();
        assert_eq!(texts, ["Halt", "Request promote refused"]);
        assert_eq!(history.rollouts[2].images["app"], "app:b");
        assert_eq!(History::read(&history.text()), history);
    }

    #[test]
    fn what_is_taken_in_twice_is_there_once() {
        let check = Checked {
            at: at(3),
            weight: 10,
            name: "request-success-rate".into(),
            value: Some(99.5),
            min: Some(99.0),
            max: None,
            passed: true,
        };
        let batch = [
            ("a", 1, said("New revision")),
            ("a", 2, What::Began),
            ("a", 3, What::Checked(check)),
            ("a", 4, said(&"long ".repeat(TEXT))),
            ("a", 5, What::Ended(Phase::Succeeded)),
            ("b", 6, said("New revision")),
        ];
        let mut history = History::default();
        let mut take_in = || {
            batch.iter().for_each(|(revision, second, what)| history.note(&entry(revision, *second, what.clone())));
            history = History::read(&history.text());
            history.clone()
        };
        let once = take_in();
        assert_eq!((once.rollouts.len(), once.rollouts[0].said.len(), once.rollouts[0].checks.len()), (2, 2, 1));
        assert_eq!(take_in(), once);
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        for text in ["", "x", "[]", r#"{"rollouts":[{"revision":1}]}"#] {
            assert_eq!(History::read(text), History::default(), "{text}");
        }
        // Of a later version of ours.
        assert_eq!(History::read(r#"{"rollouts":[{"revision":"a","more":1}]}"#).rollouts[0].revision, "a");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_is_bounded_whatever_is_said(
            texts in prop::collection::vec((0_u8..4, "\\PC{0,600}"), 1..400),
        ) {
            let mut history = History::default();
            for (second, (revision, text)) in texts.iter().enumerate() {
                history.note(&entry(&revision.to_string(), second as i64, said(text)));
            }
            prop_assert!(history.rollouts.len() <= ROLLOUTS);
            let text = history.text();
            prop_assert!(text.len() <= MOST);
            // The newest is what is kept.
            let read = History::read(&text);
            let newest = read.rollouts.last().and_then(|rollout| rollout.said.last()).map(|said| said.at);
            prop_assert_eq!(newest, Some(at(texts.len() as i64 - 1)));
        }
    }
}
