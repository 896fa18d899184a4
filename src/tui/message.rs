//! What the console is told, and what it asks to be done.

use super::history::{Measures, Problems, Range};
use super::model::{Driver, Link, Notice, Wish};
use super::own_checks::Judged;
use super::reading::{Answer, Inquiry};
use super::row::{Key, Rows};
use super::switch::Goal;
use super::theme::{Library, colour::Rgb};
use crate::cluster::vouching::Names;
use crate::cluster::{EventRecord, PodsRecord};
use crate::rollout::Past;
use chrono::{DateTime, FixedOffset, Utc};
use crossterm::event::{KeyEvent, MouseEvent};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a source tells, with the place that it was opened for: the console may look elsewhere by now.
#[derive(Clone, Debug)]
pub struct Told {
    /// As of [`Model::generation`](super::model::Model::generation).
    pub generation: u64,
    pub msg: Msg,
}

/// Tells the console what a source of one generation says.
#[derive(Clone, Debug)]
pub struct Teller {
    generation: u64,
    to: mpsc::UnboundedSender<Told>,
}

/// Nobody listens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deaf;

impl Teller {
    /// Tells for a generation.
    pub fn new(generation: u64, to: mpsc::UnboundedSender<Told>) -> Self {
        Self { generation, to }
    }

    /// Tells it.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub fn send(&self, msg: Msg) -> Result<(), Deaf> {
        self.to.send(Told { generation: self.generation, msg }).map_err(|_| Deaf)
    }
}

/// Something that has happened.
#[derive(Clone, Debug)]
pub enum Msg {
    Key(KeyEvent),
    /// Text that was pasted.
    Paste(String),
    Mouse(MouseEvent),
    Resize(u16, u16),
    /// The colour of the terminal's ground, as the terminal says.
    Ground(Rgb),
    /// The files of the themes were read again.
    Themes(Library),
    Clock(DateTime<Utc>, FixedOffset),
    /// All canaries as they are now.
    Rows(Rows),
    /// Rows that are new or have changed, and canaries that are gone. Of the namespaces of `whole` these are all.
    Changed {
        whole: Vec<String>,
        rows: Rows,
        gone: Vec<Key>,
    },
    /// The context, its namespace and its API server, as the kubeconfig has them.
    Place {
        context: String,
        namespace: String,
        /// Where its API server is.
        server: String,
    },
    /// The contexts of the kubeconfig.
    Contexts(Vec<String>),
    /// The namespaces that may be listed, those that hold canaries first.
    Namespaces(Vec<String>),
    /// Not all namespaces may be looked at, in the API server's words: from now on it is this one.
    Narrowed {
        namespace: String,
        why: String,
    },
    /// All Events on canaries as they are now, in any order.
    Events(Vec<Arc<EventRecord>>),
    /// An Event that is new, or was counted once more.
    Event(Arc<EventRecord>),
    /// How the API server and the routes' watch are doing, and what else may not be read, in words.
    Cluster {
        cluster: Link,
        routes: Link,
        missing: Vec<String>,
    },
    /// What the operator may not do, in words; None: may ask for everything.
    Rights(Option<String>),
    /// The same of one namespace among all.
    RightsIn {
        namespace: String,
        lacking: Option<String>,
    },
    /// Whether the names on requests in a namespace are held to who wrote them.
    Names {
        namespace: String,
        names: Names,
    },
    /// Who drives the one namespace that is looked at.
    Driver(Driver),
    /// Who drives each of all namespaces.
    Drivers(BTreeMap<String, Driver>),
    /// What Prometheus said of all workloads, and why a metric has no values at all.
    /// `span` is the time in seconds for which that stands.
    Measured {
        at: DateTime<Utc>,
        span: i64,
        workloads: BTreeMap<Key, Measures>,
        problems: Problems,
    },
    /// The pods of a workload of the selected canary, or why they may not be read.
    Pods {
        workload: Key,
        pods: Result<PodsRecord, String>,
    },
    /// What the queries of the selected canary's own answered.
    Judged(Judged),
    /// How Prometheus is doing, where it did not answer.
    Prometheus(Link),
    /// What Prometheus remembers of a workload, oldest first, at the step of a range; the error says why it does not tell.
    Remembered {
        workload: Key,
        range: Range,
        samples: Result<Vec<(DateTime<Utc>, Measures)>, String>,
    },
    /// Something to be said.
    Notice(Notice),
    /// What was found for a reader, or why nothing was.
    Answer {
        ask: Inquiry,
        answer: Result<Answer, String>,
    },
    /// The versions that a target had, or why they are not known; answers the question of this number.
    Past {
        asked: u64,
        past: Result<Vec<Past>, String>,
    },
    /// What became of a request.
    Outcome {
        wish: Wish,
        outcome: Outcome,
    },
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The driver did it; in its words.
    CarriedOut(String),
    /// The driver did not do it; why.
    Refused(String),
    /// Nobody is there to do it.
    NoDriver(String),
    /// It could not be written, or no answer came; why.
    Failed(String),
}

/// Something to be done outside of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Write a request on a Canary and tell the outcome.
    Send(Wish),
    /// A canary was selected: tell of its pods and of its own checks.
    Remember {
        primary: Key,
        canary: Key,
    },
    /// Tell which versions a canary's target had, as the answer to the question of this number.
    LookBack {
        asked: u64,
        canary: Key,
    },
    /// Write down what happened in a canary's rollout, and say where.
    Report(Key),
    /// Ask Prometheus what it remembers of these workloads.
    Recall {
        primary: Key,
        canary: Key,
        range: Range,
    },
    /// Answer this from now on, and nothing that was asked before; None: nobody reads any more.
    Read(Option<Inquiry>),
    /// End the present source and open one elsewhere, which tells as of this generation.
    Go {
        generation: u64,
        goal: Goal,
    },
    /// Paint every cell anew.
    Repaint,
    /// Put a text on the terminal's clipboard.
    Copy(String),
    /// Take the mouse from the terminal, or give it back.
    Mouse(bool),
    /// Read the files of the themes again.
    ReadThemes,
    /// Stop this process until the shell lets it go on.
    Suspend,
    Quit,
}

impl Command {
    /// Whether it changes the cluster. Where nothing may be changed, it is not carried out.
    pub fn mutates(&self) -> bool {
        matches!(self, Command::Send(_))
    }
}
