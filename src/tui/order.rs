//! Which canaries are shown and in which order, and what is counted of all of them.
//!
//! It is made anew when the rows, the order or the filter change, and not when a frame is drawn: what a frame costs must
//! not grow with the number of canaries.

use super::history::{History, Metric};
use super::model::Driver;
use super::row::Row;
use super::text;
use crate::api::{Phase, Provider};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

/// In which order the canaries stand. What is equal stands by age, then by namespace and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What needs a human first.
    #[default]
    Need,
    /// The oldest first.
    Age,
    Name,
    Namespace,
    /// What is under way first, then what failed.
    Phase,
    /// The most traffic on the canary first.
    Weight,
    /// The most failed checks first.
    Failed,
    /// The lowest success rate first.
    Success,
    /// The slowest first.
    P99,
}

impl Order {
    /// All of them, in the order in which the key goes through them.
    pub const ALL: [Order; 9] = [
        Order::Need,
        Order::Age,
        Order::Name,
        Order::Namespace,
        Order::Phase,
        Order::Weight,
        Order::Failed,
        Order::Success,
        Order::P99,
    ];

    /// The one after this; `everywhere`: there are several namespaces to be told apart.
    pub fn next(self, everywhere: bool) -> Self {
        let at = Self::ALL.iter().position(|order| *order == self).unwrap_or(0);
        let next = Self::ALL[(at + 1) % Self::ALL.len()];
        if next == Order::Namespace && !everywhere { next.next(everywhere) } else { next }
    }

    /// Its name in the config file and in the palette.
    pub fn name(self) -> &'static str {
        match self {
            Order::Need => "need",
            Order::Age => "age",
            Order::Name => "name",
            Order::Namespace => "namespace",
            Order::Phase => "phase",
            Order::Weight => "weight",
            Order::Failed => "failed",
            Order::Success => "success",
            Order::P99 => "p99",
        }
    }

    /// The words on the screen.
    pub fn label(self) -> &'static str {
        match self {
            Order::Need => "who needs you first",
            Order::Age => "oldest first",
            Order::Name => "by name",
            Order::Namespace => "by namespace",
            Order::Phase => "by phase",
            Order::Weight => "most traffic first",
            Order::Failed => "most failed checks first",
            Order::Success => "lowest success first",
            Order::P99 => "slowest first",
        }
    }

    /// Whether it changes with each measurement.
    pub fn is_measured(self) -> bool {
        matches!(self, Order::Success | Order::P99)
    }

    /// Who stands before whom.
    fn compare(self, a: &Ranked, b: &Ranked) -> Ordering {
        let of = match self {
            Order::Need => a.need.cmp(&b.need),
            Order::Age => Ordering::Equal,
            Order::Name => a.row.name.cmp(&b.row.name),
            Order::Namespace => a.row.namespace.cmp(&b.row.namespace),
            Order::Phase => in_phase(a.row).cmp(&in_phase(b.row)),
            Order::Weight => b.row.weight().cmp(&a.row.weight()),
            Order::Failed => b.row.failed_checks.cmp(&a.row.failed_checks),
            Order::Success => number(a.value, f64::INFINITY).total_cmp(&number(b.value, f64::INFINITY)),
            Order::P99 => number(b.value, -1.0).total_cmp(&number(a.value, -1.0)),
        };
        let by_age = || a.row.created.cmp(&b.row.created);
        let by_name = || a.row.namespace.cmp(&b.row.namespace).then_with(|| a.row.name.cmp(&b.row.name));
        of.then_with(by_age).then_with(by_name)
    }
}

/// A measurement that can be compared; where there is none, the row stands last.
fn number(value: Option<f64>, none: f64) -> f64 {
    value.unwrap_or(none)
}

fn in_phase(row: &Row) -> (bool, bool, Reverse<&'static str>) {
    (!row.under_way(), row.phase != Phase::Failed, Reverse(row.phase.name()))
}

/// A row with what it is compared by.
struct Ranked<'a> {
    row: &'a Row,
    /// How well it is what is looked for.
    score: u32,
    need: Need,
    value: Option<f64>,
    at: u32,
}

/// Why a canary needs a human, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Users get a version that fails its checks.
    ChecksFail,
    Failed,
    /// Somebody has to say yes.
    Gate,
    Paused,
    /// What keeps it from being driven, or that nobody drives its rollout.
    NotDriven,
    /// Nothing is to be done; a rollout is under way.
    UnderWay,
    /// Nothing is to be done.
    Nothing,
}

impl Need {
    /// That of a row whose namespace is driven by `driver`.
    pub fn of(row: &Row, driver: &Driver) -> Self {
        let running = row.under_way();
        let shut = row.gate.as_ref().is_some_and(|gate| !gate.opened);
        let waits = matches!(row.phase, Phase::Waiting | Phase::WaitingPromotion);
        match () {
            () if running && row.failed_checks > 0 => Need::ChecksFail,
            () if row.phase == Phase::Failed => Need::Failed,
            () if shut || waits => Need::Gate,
            () if running && row.paused.is_some() => Need::Paused,
            () if !row.problems.is_empty() => Need::NotDriven,
            () if running && matches!(driver, Driver::Nobody { .. }) => Need::NotDriven,
            () if running => Need::UnderWay,
            () => Need::Nothing,
        }
    }
}

/// How many canaries there are, by what has become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub all: usize,
    pub failed: usize,
    /// At a gate, or to be started.
    pub waiting: usize,
    pub paused: usize,
    pub progressing: usize,
    pub promoting: usize,
    pub succeeded: usize,
    /// Initialized and not rolled out yet, or about to be.
    pub new: usize,
    /// Those that cannot be driven.
    pub not_driven: usize,
    /// Those whose rollout is under way, whatever else they are.
    pub under_way: usize,
}

impl Counts {
    fn add(&mut self, row: &Row) {
        self.all += 1;
        self.under_way += usize::from(row.under_way());
        self.not_driven += usize::from(!row.problems.is_empty());
        let of = match row.phase {
            Phase::Failed => &mut self.failed,
            _ if row.under_way() && row.paused.is_some() => &mut self.paused,
            Phase::Waiting | Phase::WaitingPromotion => &mut self.waiting,
            Phase::Progressing => &mut self.progressing,
            Phase::Promoting | Phase::Finalising => &mut self.promoting,
            Phase::Succeeded => &mut self.succeeded,
            _ => &mut self.new,
        };
        *of += 1;
    }

    /// The counts that are not zero, in words, the gravest first.
    pub fn words(&self) -> Vec<(usize, &'static str)> {
        let all = [
            (self.failed, "failed"),
            (self.waiting, "waiting"),
            (self.paused, "paused"),
            (self.not_driven, "not driven"),
            (self.progressing, "progressing"),
            (self.promoting, "promoting"),
            (self.succeeded, "succeeded"),
            (self.new, "at rest"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}

/// Columns of the widest text of all rows that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widest {
    pub name: usize,
    pub namespace: usize,
    /// Of the version that serves and the one that is rolled out, without the sign between them.
    pub versions: usize,
    /// Whether a row shows two versions.
    pub two: bool,
    pub phase: usize,
}

/// What is looked for among the canaries: letters of their names in their order, the words apart from each other.
pub struct Sieve {
    pattern: Option<Pattern>,
    matcher: Matcher,
    /// Whether the namespace is looked through too.
    everywhere: bool,
    text: String,
    buffer: Vec<char>,
}

impl Sieve {
    /// One for what is typed; nothing lets all through.
    pub fn new(typed: &str, everywhere: bool) -> Self {
        let pattern = (!typed.trim().is_empty())
            .then(|| Pattern::parse(typed.trim(), CaseMatching::Ignore, Normalization::Smart));
        let (text, buffer) = (String::new(), Vec::new());
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), everywhere, text, buffer }
    }

    /// How well a row is what is looked for; None where it is not.
    pub fn score(&mut self, row: &Row) -> Option<u32> {
        let Some(pattern) = &self.pattern else { return Some(0) };
        self.text.clear();
        if self.everywhere {
            self.text.push_str(&row.namespace);
            self.text.push('/');
        }
        self.text.push_str(&row.name);
        pattern.score(Utf32Str::new(&self.text, &mut self.buffer), &mut self.matcher)
    }
}

/// What the rows are looked up by.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Places in the rows of those that pass the filter, in the order of the screen.
    pub shown: Vec<u32>,
    /// Where the selected one stands among them.
    pub at: usize,
    pub counts: Counts,
    pub widest: Widest,
    /// Who carries out the routing of the canaries; where there are none, of those that name nobody.
    pub providers: BTreeSet<Provider>,
    /// Namespaces with rollouts under way that nobody drives.
    pub undriven: BTreeSet<String>,
    /// How many rows were looked at to make it: what drawing must not do.
    pub looked_at: u64,
}

impl Index {
    /// Makes it of all rows.
    pub fn of<'a>(
        rows: &'a [Box<Row>],
        order: Order,
        history: &History,
        driver: impl Fn(&'a str) -> &'a Driver,
        mut score: impl FnMut(&Row) -> Option<u32>,
        before: &Index,
    ) -> Self {
        let mut index = Index { looked_at: before.looked_at + rows.len() as u64, ..Index::default() };
        rows.iter().for_each(|row| {
            index.counts.add(row);
            index.providers.insert(row.provider);
            if row.under_way() && matches!(driver(&row.namespace), Driver::Nobody { .. }) {
                index.undriven.insert(row.namespace.clone());
            }
        });
        if index.providers.is_empty() {
            index.providers.insert(Provider::default());
        }
        let metric = if order == Order::P99 { Metric::P99 } else { Metric::Success };
        let ranked = |(at, row, score): (usize, &'a Row, u32)| Ranked {
            row,
            score,
            need: Need::of(row, driver(&row.namespace)),
            value: order.is_measured().then(|| history.latest(&row.judged().workload, metric)).flatten(),
            at: u32::try_from(at).unwrap_or(u32::MAX),
        };
        let shown = rows.iter().enumerate().filter_map(|(at, row)| Some((at, &**row, score(row)?)));
        let mut shown: Vec<Ranked> = shown.map(ranked).collect();
        // Of what is looked for, the best stands first, whatever the order.
        shown.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| order.compare(a, b)));
        shown.iter().for_each(|ranked| index.widest.stretch(ranked.row));
        index.shown = shown.into_iter().map(|ranked| ranked.at).collect();
        index
    }
}

impl Widest {
    fn stretch(&mut self, row: &Row) {
        let version = |version: &str| text::width(version).max(1);
        let two = row.two_versions();
        let versions = version(row.primary.version()) + if two { version(row.canary.version()) } else { 0 };
        self.name = self.name.max(text::width(&row.name));
        self.namespace = self.namespace.max(text::width(&row.namespace));
        self.versions = self.versions.max(versions);
        self.two |= two;
        self.phase = self.phase.max(row.phase_name().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::row::{Held, Shut};
    use crate::tui::scene::{row, time};

    #[test]
    fn what_needs_a_human_is_told_from_what_does_not() {
        let here = Driver::Here;
        let of = |change: &dyn Fn(&mut Row)| {
            let mut row = row("app", Phase::Progressing, ("1", "2"));
            change(&mut row);
            Need::of(&row, &here)
        };
        assert_eq!(of(&|_| {}), Need::UnderWay);
        assert_eq!(of(&|row| row.failed_checks = 1), Need::ChecksFail);
        assert_eq!(of(&|row| row.phase = Phase::Failed), Need::Failed);
        assert_eq!(of(&|row| row.phase = Phase::Waiting), Need::Gate);
        assert_eq!(of(&|row| row.phase = Phase::Succeeded), Need::Nothing);
        assert_eq!(of(&|row| row.problems.push("no target".into())), Need::NotDriven);
        let held = Held { by: "alice".into(), at: time("12:00:00"), reason: String::new() };
        assert_eq!(of(&|row| row.paused = Some(held.clone().into())), Need::Paused);
        let gate = |opened| Shut {
            name: "yes".into(),
            kind: "confirm-promotion".into(),
            manual: false,
            since: time("12:00:00"),
            answer: String::new(),
            opened,
        };
        assert_eq!(of(&|row| row.gate = Some(gate(false).into())), Need::Gate);
        assert_eq!(of(&|row| row.gate = Some(gate(true).into())), Need::UnderWay);
        let alone = Need::of(&row("app", Phase::Progressing, ("1", "2")), &Driver::Nobody { why: None });
        assert_eq!(alone, Need::NotDriven);
    }

    #[test]
    fn a_few_letters_find_a_name() {
        let mut row = row("payments-api", Phase::Succeeded, ("1", "1"));
        row.namespace = "shops".into();
        let passes = |typed: &str, everywhere| Sieve::new(typed, everywhere).score(&row).is_some();
        for typed in ["", " ", "pay", "PAPI", "api pay", "^pay", "!cart"] {
            assert!(passes(typed, false), "{typed}");
        }
        for typed in ["ipa", "shops", "!pay", "payments-api-x"] {
            assert!(!passes(typed, false), "{typed}");
        }
        assert!(passes("shops/pay", true) && passes("sho api", true));
    }

    #[test]
    fn the_key_goes_through_all_orders_and_back() {
        for (everywhere, count) in [(true, Order::ALL.len()), (false, Order::ALL.len() - 1)] {
            let mut seen = vec![Order::default()];
            while seen.len() <= count && seen.last().map(|last| last.next(everywhere)) != Some(Order::default()) {
                seen.push(seen[seen.len() - 1].next(everywhere));
            }
            assert_eq!(seen.len(), count, "{seen:?}");
            assert_eq!(seen.contains(&Order::Namespace), everywhere);
        }
    }
}
