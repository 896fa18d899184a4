//! What an operator reads about one canary: what is asked for, what came, and where in it the reader stands.
//!
//! The console asks when a view opens, and the source answers, again each time that something has changed, until the view
//! is closed. Every answer bears the question that it answers: one that was asked for another canary, or before a change
//! of the namespace or the context, is dropped.

use super::model::Filter;
use super::row::Key;
use crate::api::history::History;
use crate::api::routes::{Live, Way};
use crate::api::shapes::Difference;
use crate::api::{CheckKind, SessionAffinity, Strategy};
use crate::cluster::entrances::Entrance;
use crate::cluster::pod_watch::PodRecord;
use crate::rollout;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// What each check asks and reads, why it waits, and why it failed.
    Why,
    /// Where it is served, and by which weights.
    Routes,
    /// The Canary as it is.
    Describe,
    /// What the new revision changes.
    Diff,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 4] = [Topic::Why, Topic::Routes, Topic::Describe, Topic::Diff];

    /// The word over the view.
    pub fn title(self) -> &'static str {
        match self {
            Topic::Why => "Why",
            Topic::Routes => "Routes",
            Topic::Describe => "Canary",
            Topic::Diff => "Diff",
        }
    }
}

/// A question to the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Counts the questions of this console: no two have the same.
    pub generation: u64,
    /// The canary.
    pub of: Key,
    pub topic: Topic,
}

/// What the source found.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Why(Box<Causes>),
    Routes(Box<Served>),
    /// The lines of a text.
    Describe(Vec<String>),
    Diff(Box<Changes>),
}

/// Why a rollout is where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Causes {
    pub checks: Vec<Asked>,
    /// How long a workload may stay without its pods.
    pub deadline: Duration,
    pub sides: Vec<Staff>,
    /// What the driver has kept of the last rollouts, or why that is not known.
    pub history: Result<History, String>,
}

/// A check with what it asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub name: String,
    pub kind: CheckKind,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The query and whom it is asked of, or why nothing can be asked.
    pub question: Result<(String, String), String>,
    /// What it reads now; None where no rollout is under way.
    pub reading: Option<rollout::Reading>,
    /// Whether that passes.
    pub passes: bool,
}

/// The pods of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Staff {
    pub workload: String,
    /// None: not known yet.
    pub pods: Option<Result<Vec<PodRecord>, String>>,
    /// Since when pods are missing, and when that has lasted too long.
    pub missing: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Where a canary is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// Kind and name of the object that carries the weights.
    pub object: String,
    /// What it says, or why that is not known.
    pub way: Result<Way, String>,
    /// The weights as they are read from it.
    pub live: Live,
    /// Names of the Services of the primary and of the canary.
    pub services: [String; 2],
    pub strategy: Strategy,
    pub affinity: Option<SessionAffinity>,
    pub port: u16,
    /// The gateways that it names beside the mesh, in its order.
    pub entrances: Vec<Entrance>,
}

/// What the target's revision changes against what the primary serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Workloads that are held against each other: the primary, the target.
    pub workloads: [String; 2],
    /// Of their pod templates, but for what a promotion rewrites.
    pub template: Vec<Difference>,
    /// Of what they mount.
    pub configs: Vec<ConfigChange>,
}

/// A ConfigMap or a Secret that the two revisions do not mount with the same content.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigChange {
    /// `configmap/NAME` or `secret/NAME`.
    pub key: String,
    /// Checksums of the primary's and of the target's; None where it does not mount it.
    pub checksums: [Option<String>; 2],
    /// Which of its entries differ, or why that is not known. Of a Secret it is never looked at.
    pub entries: Result<Vec<Difference>, String>,
}

/// A view that is open.
#[derive(Clone, Debug)]
pub struct Reading {
    pub ask: Inquiry,
    /// What came last; None: nothing yet.
    pub answer: Option<Answer>,
    /// Why there is nothing newer.
    pub problem: Option<String>,
    /// Lines above the first that is shown.
    pub scroll: usize,
    /// What is looked for in it.
    pub find: Filter,
    /// Which of the lines that hold it has the eye.
    pub hit: usize,
}

impl Reading {
    /// A view that has no answer yet.
    pub fn new(ask: Inquiry) -> Self {
        Self { ask, answer: None, problem: None, scroll: 0, find: Filter::default(), hit: 0 }
    }

    /// Takes an answer in, where it is one to this view's question.
    pub fn take(&mut self, ask: &Inquiry, answer: Result<Answer, String>) {
        if *ask != self.ask {
            return;
        }
        match answer {
            Ok(answer) => (self.answer, self.problem) = (Some(answer), None),
            Err(why) => self.problem = Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_another_question_is_dropped() {
        let ask = Inquiry { generation: 7, of: Key::new("prod", "app"), topic: Topic::Describe };
        let mut reading = Reading::new(ask.clone());
        let text = |line: &str| Ok(Answer::Describe(vec![line.into()]));
        for other in [
            Inquiry { generation: 6, ..ask.clone() },
            Inquiry { of: Key::new("test", "app"), ..ask.clone() },
            Inquiry { of: Key::new("prod", "cart"), ..ask.clone() },
            Inquiry { topic: Topic::Diff, ..ask.clone() },
        ] {
            reading.take(&other, text("late"));
            reading.take(&other, Err("late".into()));
            assert!(reading.answer.is_none() && reading.problem.is_none(), "{other:?}");
        }
        reading.take(&ask, text("kind: Canary"));
        reading.take(&ask, Err("gone".into()));
        assert_eq!((reading.answer, reading.problem.as_deref()), (text("kind: Canary").ok(), Some("gone")));
    }
}
