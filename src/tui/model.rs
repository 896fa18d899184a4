//! All that the console knows and shows. Views are functions of it, `update` alone changes it.
//!
//! Nothing in here reads a clock or waits for anything; the time is a field.

use super::charts::Charts;
use super::chooser::Chooser;
use super::config::{Config, Problem};
use super::guard::Guard;
use super::history::{History, Metric, Problems};
use super::keymap::Keymap;
pub use super::look::Look;
use super::order::{Index, Sieve};
use super::own_checks::Judged;
use super::palette::Palette;
use super::question::Question;
use super::reading::Reading;
use super::row::{Key, Row, Rows, Side};
use super::switch::Goal;
use super::text;
use super::theme::AUTO;
use super::weights::Weights;
use crate::api::{Provider, Verb};
use crate::cluster::vouching::Names;
use crate::cluster::{EventRecord, PodsRecord};
use chrono::{DateTime, Duration, DurationRound, FixedOffset, Utc};
use ratatui::layout::Size;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tui_input::Input;

pub use super::order::Order;
pub use super::versions::{Choice, Looked, Versions};

/// Least columns and rows in which the console can say anything useful.
pub const SMALLEST: Size = Size { width: 60, height: 16 };

/// Milliseconds from which on a countdown counts seconds.
pub const COUNTED: i64 = 120_000;

/// The console's whole state.
#[derive(Clone, Debug)]
pub struct Model {
    /// Counts the places at which the console has looked: what comes from an older one does not concern it any more.
    pub generation: u64,
    /// Whether all namespaces are looked at; then each canary's own stands beside its name.
    pub everywhere: bool,
    /// Name of the kubeconfig's context.
    pub context: String,
    pub namespace: String,
    /// Where its API server is; empty where that is not known yet.
    pub server: String,
    pub now: DateTime<Utc>,
    /// The operator's time zone; all times are shown in it.
    pub offset: FixedOffset,
    pub size: Size,
    pub look: Look,
    pub keymap: Keymap,
    pub config: Config,
    /// What may be asked for on this context.
    pub guard: Guard,
    /// Names of namespaces and of the kubeconfig's contexts, as far as they are known.
    pub namespaces: Vec<String>,
    pub contexts: Vec<String>,
    /// By namespace and name once they are settled; the screen's order is the index's.
    pub rows: Rows,
    /// Which of them are shown, in which order.
    pub index: Index,
    /// Events on canaries, oldest first.
    pub events: Vec<Arc<EventRecord>>,
    pub history: History,
    /// When the canaries' weights were seen to change.
    pub weights: Weights,
    pub charts: Charts,
    pub metric_problems: Problems,
    /// The pods of the selected canary's workloads, by Deployment name; the error says why they may not be read.
    pub pods: BTreeMap<Key, Result<PodsRecord, String>>,
    /// What the queries of the selected canary's own answered last.
    pub judged: Judged,
    /// Seconds between two samples.
    pub sample_step: i64,
    pub cluster: Link,
    pub routes: Link,
    pub prometheus: Link,
    /// Why not all namespaces are looked at, although that was asked for.
    pub narrowed: Option<String>,
    /// Who carries out the rollouts of the namespaces that `drivers` does not name.
    pub driver: Driver,
    /// Over all namespaces: who carries out the rollouts of each.
    pub drivers: BTreeMap<String, Driver>,
    /// What else may not be read, in words.
    pub missing: Vec<String>,
    /// The right that the operator lacks to ask for anything.
    pub lacking: Option<String>,
    /// Over all namespaces: the same of those that were asked about.
    pub lacking_in: BTreeMap<String, Option<String>>,
    /// Whether the names on requests are held to who wrote them, by namespace as far as it was asked.
    pub names: BTreeMap<String, Names>,
    /// The selected canary.
    pub selected: Option<Key>,
    pub order: Order,
    pub filter: Filter,
    pub pane: Pane,
    /// Whether the pane that has the keyboard has the screen for itself.
    pub zoomed: bool,
    /// Whether the events of the selected canary alone are shown.
    pub only_selected: bool,
    /// How many event lines the reader has gone back from the newest.
    pub back: usize,
    /// Whether the mouse is taken from the terminal.
    pub mouse: bool,
    pub overlay: Option<Overlay>,
    /// Questions that were asked of the source so far.
    pub asked: u64,
    pub notice: Option<Notice>,
    /// Requests that were sent so far.
    pub requests: u64,
    /// The request whose outcome was shown last: its canary and its number.
    pub answered: Option<(Key, u64)>,
}

/// How one of the sources that the console reads is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// No answer yet.
    Connecting,
    Live,
    /// It answered once, and does no longer.
    Lost {
        since: DateTime<Utc>,
        why: String,
    },
    /// It answers, but not to us; the text names the right that is missing.
    Forbidden {
        what: String,
    },
    /// There is no cluster to be asked: no kubeconfig, no such context, or one that cannot be used.
    Nowhere {
        why: String,
    },
    /// It is not there; the text says what was looked for and what can be done.
    Absent {
        why: String,
    },
}

/// Who carries out the rollouts of this namespace.
#[derive(Clone, Debug, PartialEq)]
pub enum Driver {
    /// Not known yet.
    Looking,
    /// This very console.
    Here,
    /// Another process of ours, by its identity.
    Other { holder: String },
    /// Nobody; why this console does not, where it would.
    Nobody { why: Option<String> },
    /// Flagger runs this cluster's canaries: we only watch.
    Flagger,
}

impl Driver {
    /// Why nothing that is asked for now would be carried out.
    pub fn objection(&self) -> Result<(), String> {
        match self {
            Driver::Here | Driver::Other { .. } => Ok(()),
            Driver::Looking => Err("it is not known yet who drives this namespace".into()),
            Driver::Nobody { .. } => Err("nobody drives this namespace: start canary-tui controller there".into()),
            Driver::Flagger => Err("Flagger drives this cluster's canaries; this console only watches".into()),
        }
    }
}

/// A part of names or of a text that is looked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub input: Input,
    /// Whether keys go into it.
    pub typing: bool,
}

/// A pane that takes the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Fleet,
    Events,
}

/// What lies over the panes.
#[derive(Clone, Debug)]
pub enum Overlay {
    Help {
        scroll: usize,
    },
    /// The larger charts of the selected canary.
    Charts,
    /// The events, and the selected one in full.
    Events(EventsReader),
    /// What was asked for about one canary.
    Reading(Box<Reading>),
    Versions(Versions),
    Question(Question),
    Palette(Palette),
    /// The list of themes.
    Themes(Chooser),
}

/// Where a reader of the events stands.
#[derive(Clone, Debug, Default)]
pub struct EventsReader {
    /// The selected one; None: the newest, whichever that is.
    pub at: Option<Key>,
    /// Only those that hold it are shown.
    pub find: Filter,
}

/// What the question is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Verb(Wish),
    Quit,
    /// Stop this process until the shell lets it go on.
    Suspend,
    /// Going elsewhere.
    Leave(Goal),
}

/// A request as the operator means it, on the revision that the operator saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Which one it is of those that this console sends; 0 until then.
    pub number: u64,
    pub verb: Verb,
    pub canary: Key,
    pub revision: String,
    /// For start: the image to set, and on which container.
    pub image: Option<String>,
    pub container: Option<String>,
    /// For start: the version, as it is called on the screen.
    pub version: String,
    /// For start: the number of the target's revision that the image is to bring back, and what it had otherwise.
    pub past: Option<(u64, Vec<String>)>,
    /// For open: the name of the gate.
    pub gate: Option<String>,
    /// Why, in the operator's words; may be empty.
    pub reason: String,
}

/// A line that stays until a key is pressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub tone: Tone,
    pub text: String,
}

/// How a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Still under way: stays even when keys are pressed.
    Wait,
    Good,
    Bad,
    Plain,
}

/// Everything that is fixed when the console starts.
pub struct Start {
    pub context: String,
    pub namespace: String,
    /// Whether all namespaces are looked at.
    pub everywhere: bool,
    pub now: DateTime<Utc>,
    pub offset: FixedOffset,
    pub size: Size,
    pub look: Look,
    /// Seconds between two samples.
    pub sample_step: i64,
}

impl Model {
    /// A console that has heard nothing yet.
    pub fn new(start: Start) -> Self {
        Self {
            generation: 0,
            everywhere: start.everywhere,
            context: start.context,
            namespace: start.namespace,
            now: start.now,
            offset: start.offset,
            size: start.size,
            look: start.look,
            keymap: Keymap::default(),
            config: Config::default(),
            guard: Guard::default(),
            server: String::new(),
            namespaces: Vec::new(),
            contexts: Vec::new(),
            rows: Vec::new(),
            index: Index { providers: [Provider::default()].into(), ..Index::default() },
            events: Vec::new(),
            history: History::default(),
            weights: Weights::default(),
            charts: Charts::default(),
            metric_problems: Default::default(),
            pods: BTreeMap::new(),
            judged: Judged::default(),
            sample_step: start.sample_step.max(1),
            cluster: Link::Connecting,
            routes: Link::Connecting,
            prometheus: Link::Connecting,
            narrowed: None,
            driver: Driver::Looking,
            drivers: BTreeMap::new(),
            missing: Vec::new(),
            lacking: None,
            lacking_in: BTreeMap::new(),
            names: BTreeMap::new(),
            selected: None,
            order: Order::default(),
            filter: Filter::default(),
            pane: Pane::Fleet,
            zoomed: false,
            only_selected: false,
            back: 0,
            mouse: false,
            overlay: None,
            asked: 0,
            notice: None,
            requests: 0,
            answered: None,
        }
    }

    /// Is on a context: what may be changed there, and its theme, unless another one was chosen meanwhile.
    pub fn on_context(&mut self, context: String) {
        let theme = |context: &str| self.config.theme(context).unwrap_or_else(|| AUTO.into());
        let (before, here) = (theme(&self.context), theme(&context));
        self.guard = self.config.guard(&context);
        self.context = context;
        if *self.look.chosen == *before
            && let Err(why) = self.look.wear(&here)
        {
            self.notice = Some(Notice { tone: Tone::Bad, text: kept(&why) });
        }
    }

    /// Takes the config file in, and says what is wrong in it.
    pub fn configure(&mut self, config: Config, problems: &[Problem]) {
        self.guard = config.guard(&self.context);
        self.keymap = config.keymap.clone();
        self.order = config.order.unwrap_or_default();
        self.mouse = config.mouse.unwrap_or_default();
        self.config = config;
        if let Some(first) = problems.first() {
            let more = match problems.len() - 1 {
                0 => String::new(),
                more => format!(" ({more} more: canary-tui config check)"),
            };
            self.notice = Some(Notice { tone: Tone::Plain, text: kept(&format!("{first}{more}")) });
        }
    }

    /// The canaries that pass the filter, in their order.
    pub fn visible(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.index.shown.iter().filter_map(|at| self.rows.get(*at as usize).map(Box::as_ref))
    }

    /// How many these are.
    pub fn shown(&self) -> usize {
        self.index.shown.len()
    }

    /// Some of them, from the place `first` on.
    pub fn visible_from(&self, first: usize) -> impl Iterator<Item = &Row> {
        let shown = self.index.shown.get(first..).unwrap_or_default();
        shown.iter().filter_map(|at| self.rows.get(*at as usize).map(Box::as_ref))
    }

    /// Where the selected canary stands among them.
    pub fn place_of_selected(&self) -> usize {
        let is_there = |at: usize| {
            let row = self.visible_from(at).next();
            row.zip(self.selected.as_ref()).is_some_and(|(row, selected)| row.is(selected))
        };
        match is_there(self.index.at) {
            true => self.index.at,
            false => (0..self.shown()).find(|at| is_there(*at)).unwrap_or(0),
        }
    }

    /// Selects the canary at a place among them.
    pub fn select(&mut self, at: usize) {
        let key = self.visible_from(at).next().map(Row::key);
        (self.index.at, self.selected) = (at, key.or_else(|| self.selected.take()));
    }

    /// The selected canary, where the filter shows it.
    pub fn row(&self) -> Option<&Row> {
        self.named(self.selected.as_ref()?)
    }

    /// Any canary by its name.
    pub fn named(&self, key: &Key) -> Option<&Row> {
        // They stand by namespace and name, whatever the screen's order.
        let by_key = |row: &Row| (&row.namespace, &row.name).cmp(&(&key.namespace, &key.name));
        self.rows.binary_search_by(|row| by_key(row)).ok().map(|at| &*self.rows[at])
    }

    /// Who carries out the rollouts of a namespace.
    pub fn driver_of(&self, namespace: &str) -> &Driver {
        self.drivers.get(namespace).unwrap_or(&self.driver)
    }

    /// The right that the operator lacks to ask for anything in a namespace.
    pub fn lacking_in(&self, namespace: &str) -> Option<&String> {
        self.lacking_in.get(namespace).unwrap_or(&self.lacking).as_ref()
    }

    /// How far the names on requests in a namespace can be trusted.
    pub fn names_in(&self, namespace: &str) -> Names {
        self.names.get(namespace).copied().unwrap_or_default()
    }

    /// Nothing is known of who drives and of what may be asked for.
    pub fn forget_driver(&mut self) {
        (self.driver, self.lacking) = (Driver::Looking, None);
        self.drivers.clear();
        self.lacking_in.clear();
        self.names.clear();
    }

    /// The place in words: a namespace, or all of them.
    pub fn place(&self) -> &str {
        if self.everywhere { "all namespaces" } else { &self.namespace }
    }

    /// Among all namespaces, those whose rollouts under way nobody drives.
    pub fn undriven(&self) -> impl Iterator<Item = &str> {
        self.index.undriven.iter().map(String::as_str).filter(|_| self.everywhere)
    }

    /// Takes in rows that have changed; they are to be settled after it.
    pub fn take_in(&mut self, whole: &[String], mut rows: Rows, gone: &[Key]) {
        let by_key = |a: &Row, b: &Row| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name));
        rows.sort_by(|a, b| by_key(a, b));
        if !whole.is_empty() || !gone.is_empty() {
            self.rows.retain(|row| !whole.contains(&row.namespace) && !gone.iter().any(|key| row.is(key)));
        }
        let mut new = Rows::new();
        for row in rows {
            match self.rows.binary_search_by(|known| by_key(known, &row)) {
                Ok(at) => self.rows[at] = row,
                Err(_) => new.push(row),
            }
        }
        self.rows.extend(new);
    }

    /// Who carries out the routing of the canaries; where there are none, of those that name nobody.
    pub fn providers(&self) -> &BTreeSet<Provider> {
        &self.index.providers
    }

    /// The events that are shown: all, or the selected canary's.
    pub fn shown_events(&self) -> impl DoubleEndedIterator<Item = &EventRecord> {
        let only = self.only_selected.then_some(self.selected.as_ref());
        self.events
            .iter()
            .map(|event| &**event)
            .filter(move |event| only.is_none_or(|key| key.is_some_and(|key| is_on(event, key))))
    }

    /// Whether what is on the screen may be out of date.
    pub fn stale(&self) -> bool {
        matches!(self.cluster, Link::Lost { .. })
    }

    /// Why a workload shows no value of a metric now. Only asked where there is none.
    pub fn no_value(&self, side: &Side, metric: Metric) -> String {
        if side.pods.is_none() && matches!(self.cluster, Link::Live) {
            return "no such Deployment".into();
        }
        if !side.runs() {
            return "not running".into();
        }
        match &self.prometheus {
            Link::Lost { since, .. } => return format!("Prometheus unreachable since {}", self.clock(*since)),
            Link::Forbidden { .. } => return "Prometheus: not permitted".into(),
            Link::Absent { .. } | Link::Nowhere { .. } => return "no Prometheus found".into(),
            Link::Connecting => return "asking Prometheus".into(),
            Link::Live => {}
        }
        match (&self.metric_problems[metric as usize], metric) {
            (Some(problem), _) => problem.clone(),
            (None, Metric::Success | Metric::P99 | Metric::Rate) => "no traffic yet".into(),
            (None, Metric::Cpu | Metric::Memory) => "no such series".into(),
        }
    }

    /// A time of day in the operator's zone; with the date where it is not today's.
    pub fn clock(&self, at: DateTime<Utc>) -> String {
        let (there, here) = (at.with_timezone(&self.offset), self.now.with_timezone(&self.offset));
        let form = if there.date_naive() == here.date_naive() { "%H:%M:%S" } else { "%m-%d %H:%M" };
        there.format(form).to_string()
    }

    /// What lies over the panes, under the palette where that is open.
    pub fn opened(&self) -> Option<&Overlay> {
        match &self.overlay {
            Some(Overlay::Palette(palette)) => palette.under.as_deref(),
            other => other.as_ref(),
        }
    }

    /// As [`Model::opened`], to be changed.
    pub fn opened_mut(&mut self) -> Option<&mut Overlay> {
        match &mut self.overlay {
            Some(Overlay::Palette(palette)) => palette.under.as_deref_mut(),
            other => other.as_mut(),
        }
    }

    /// Whether the terminal is too small for the console.
    pub fn too_small(&self) -> bool {
        self.size.width < SMALLEST.width || self.size.height < SMALLEST.height
    }

    /// Whether the countdown to the next check stands on the screen, and when it ends.
    pub fn countdown(&self) -> Option<DateTime<Utc>> {
        let covered = matches!(self.opened(), Some(Overlay::Help { .. } | Overlay::Events { .. } | Overlay::Charts));
        if covered || self.zoomed || self.too_small() || !matches!(self.cluster, Link::Live) {
            return None;
        }
        self.row()?.next_check
    }

    /// When the screen next changes by the clock alone: at the next full minute, or with the countdown.
    pub fn next_wake(&self) -> DateTime<Utc> {
        let minute = Duration::minutes(1);
        let next_minute = self.now.duration_trunc(minute).unwrap_or(self.now) + minute;
        let Some(due) = self.countdown() else { return next_minute };
        let left = (due - self.now).num_milliseconds();
        let to_next = match left {
            // Far off, and far overdue, the figure counts minutes, and the minute of the header is near enough.
            ..-60_000 | COUNTED.. => return next_minute,
            // The figure is rounded up, so it changes when a whole second is left.
            left => match left.rem_euclid(1000) {
                0 => 1000,
                part => part,
            },
        };
        next_minute.min(self.now + Duration::milliseconds(to_next))
    }

    /// Brings the selection, the order and what is counted in line with the rows. Whoever is selected stays so, wherever
    /// the canary goes; when it is gone, the one that stands in its place is selected.
    pub fn settle(&mut self) {
        self.rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let mut sieve = Sieve::new(self.filter.input.value(), self.everywhere);
        let score = |row: &Row| sieve.score(row);
        let driver = |namespace: &str| self.drivers.get(namespace).unwrap_or(&self.driver);
        let index = Index::of(&self.rows, self.order, &self.history, driver, score, &self.index);
        let before = std::mem::replace(&mut self.index, index);
        let selected = self.selected.as_ref();
        let place = self.visible().position(|row| selected.is_some_and(|key| row.is(key)));
        match place {
            Some(place) => self.index.at = place,
            None if self.shown() == 0 => self.selected = None,
            None => self.select(before.at.min(self.shown() - 1)),
        }
    }
}

/// Whether an event is on that canary.
pub fn is_on(event: &EventRecord, key: &Key) -> bool {
    event.canary == key.name && *event.namespace == *key.namespace
}

/// The text of a version: never empty.
pub fn version_text(version: &str) -> &str {
    if version.is_empty() { "?" } else { version }
}

/// A message bounded in length, for what is kept in the model.
pub fn kept(text: &str) -> String {
    text::bounded(text)
}
