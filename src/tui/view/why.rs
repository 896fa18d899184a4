//! Why a rollout is where it is: what it waits for, what each check asks and reads, and what went wrong.

use super::canvas::piece;
use super::detail;
use super::figures;
use super::paper::Paper;
use crate::api::history::Rollout;
use crate::api::{CheckKind, Phase};
use crate::cluster::pod_watch::PodRecord;
use crate::cluster::records::tag;
use crate::rollout::Reading;
use crate::tui::event_list::entries;
use crate::tui::glyphs::Glyphs;
use crate::tui::model::{Driver, Model, is_on, version_text};
use crate::tui::reading::{Asked, Causes, Staff};
use crate::tui::row::{Key, Row, Shut};
use crate::tui::theme::Role;
use chrono::{DateTime, Utc};

/// Most pods of a workload that are told one by one.
const MOST_PODS: usize = 12;
/// Most warnings that are told of the rollout.
const MOST_WARNINGS: usize = 8;
/// Most of what was read that is told of the rollout.
const MOST_CHECKS: usize = 12;

/// Writes it. Without `causes`, what the console knows by itself.
pub fn write(paper: &mut Paper, model: &Model, canary: &Key, causes: Option<&Causes>) {
    let Some(row) = model.named(canary) else {
        paper.say(0, None, Role::Warn, &format!("There is no canary {} any more.", canary.name));
        return;
    };
    waits(paper, model, row, causes);
    // What has failed is read for what made it fail; what is under way, for what it is held against.
    let failed = row.phase == Phase::Failed;
    // Nothing is kept of a rollout before something of it matters: then what is kept last is of another.
    let last = causes.and_then(|causes| causes.history.as_ref().ok()?.rollouts.last());
    let last = last.filter(|last| last.end.is_none() || !row.under_way());
    if failed {
        warnings(paper, model, row, last);
    }
    if let Some(causes) = causes {
        checks(paper, row, causes);
        for staff in &causes.sides {
            pods(paper, model, row, staff);
        }
    }
    if !failed {
        warnings(paper, model, row, last);
    }
    if let Some(causes) = causes {
        past(paper, model, causes, last);
    }
}

/// What it waits for, and who or what ends that.
fn waits(paper: &mut Paper, model: &Model, row: &Row, causes: Option<&Causes>) {
    let glyphs = paper.glyphs();
    let heading = match row.phase {
        Phase::Failed => "Where it stands",
        _ if row.under_way() => "What it waits for",
        _ => "Where it stands",
    };
    paper.heading(heading);
    let before = paper.lines.len();
    for problem in &row.problems {
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, &format!("It is not driven: {problem}."));
    }
    match model.driver_of(&row.namespace) {
        Driver::Nobody { why } => {
            let why = why.as_ref().map(|why| format!(" This console does not: {why}.")).unwrap_or_default();
            let text = format!("A driver: nobody drives this namespace.{why}");
            paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, &text);
        }
        Driver::Flagger => {
            paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Text, "Flagger drives this cluster's canaries.")
        }
        Driver::Looking | Driver::Here | Driver::Other { .. } => {}
    }
    if let Some(held) = &row.paused {
        let why =
            if held.reason.is_empty() { "no reason was given".into() } else { format!("reason: {}", held.reason) };
        let text = format!(
            "Paused at {} % by {} since {}; {why}. The checks go on, and a failing canary is rolled back. p resumes it.",
            row.weight(),
            model.names_in(&row.namespace).full(&held.by),
            model.clock(held.at)
        );
        paper.say(2, Some((glyphs.paused, Role::Warn)), Role::Text, &text);
    }
    if let Some(gate) = &row.gate {
        let since = model.clock(gate.since);
        let text = match &**gate {
            Shut { manual: true, .. } => format!("To be started, since {since}. s starts it."),
            Shut { opened: true, name, .. } => format!("Gate {name} was opened by hand; the rollout goes on."),
            Shut { name, kind, answer, .. } => {
                let answer = if answer.is_empty() { String::new() } else { format!(" It answers: {answer}.") };
                format!("Gate {name} ({kind}) since {since}.{answer} O opens it for this revision.")
            }
        };
        paper.say(2, Some((glyphs.open, Role::Warn)), Role::Text, &text);
    }
    if let Some(pending) = &row.pending {
        let text = format!(
            "The driver, to answer {} asked for by {} at {}.",
            pending.verb,
            model.names_in(&row.namespace).full(&pending.by),
            model.clock(pending.at)
        );
        paper.say(2, Some((glyphs.half, Role::Active)), Role::Text, &text);
    }
    for staff in causes.iter().flat_map(|causes| &causes.sides) {
        if let Some((since, ends)) = staff.missing {
            let text = format!(
                "Pods of {}: some are missing since {}. The deadline of {} s passes at {}, and then it is rolled back.",
                staff.workload,
                model.clock(since),
                causes.map_or(0, |causes| causes.deadline.as_secs()),
                model.clock(ends)
            );
            paper.say(2, Some((glyphs.half, Role::Warn)), Role::Text, &text);
        }
    }
    if row.weights_differ() {
        let text =
            format!("The routes send {} % to the canary, the status says {} %.", row.weight(), row.status_weight);
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, &text);
    }
    if paper.lines.len() == before {
        paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Text, &standing(model, row));
    }
    if let Some(of) = row.rules.threshold.filter(|_| row.failed_checks > 0) {
        let (failed, role) = (row.failed_checks, if row.failed_checks >= of { Role::Bad } else { Role::Warn });
        let then = if row.phase == Phase::Failed { "" } else { "; the last of them rolls it back" };
        let text = format!("{failed} of {of} failed checks{then}.");
        paper.say(2, Some((glyphs.failed, role)), Role::Text, &text);
    }
}

/// A sentence for a canary that waits for nothing out of the ordinary.
fn standing(model: &Model, row: &Row) -> String {
    let version = version_text(row.canary.version());
    match row.phase {
        Phase::Progressing => match detail::countdown(model, row) {
            Some(when) => format!("Nothing out of the ordinary: {when}."),
            None => format!("The next check of {version}."),
        },
        Phase::Waiting => format!("{version} waits to begin."),
        Phase::WaitingPromotion => format!("{version} has passed all checks and waits to be promoted."),
        Phase::Promoting => format!("The primary, to get {version} and be ready."),
        Phase::Finalising => "The traffic, to be back on the primary.".into(),
        Phase::Failed => format!("{version} was rolled back; {} serves.", version_text(row.primary.version())),
        Phase::Succeeded => {
            format!("{} was promoted and serves. No rollout is under way.", version_text(row.primary.version()))
        }
        Phase::Initializing => "The primary, to be ready for the first time.".into(),
        _ => format!("{} serves. No rollout is under way.", version_text(row.primary.version())),
    }
}

/// Each check with its query, its value, its limits and the verdict.
fn checks(paper: &mut Paper, row: &Row, causes: &Causes) {
    let glyphs = paper.glyphs();
    paper.heading("Checks, as they read now");
    if causes.checks.is_empty() {
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, "There are none: every step passes.");
    }
    for check in &causes.checks {
        let (sign, role, said) = verdict(check, row, glyphs);
        paper.say(2, Some((sign, role)), Role::Strong, &check.name);
        paper.field(6, "value", Role::Text, &said);
        paper.field(6, "limit", Role::Text, &limits(check.kind, check.min, check.max, glyphs));
        match &check.question {
            Ok((query, of)) => {
                paper.field(6, "query", Role::Text, query);
                paper.field(6, "asked of", Role::Dim, of);
            }
            Err(why) => paper.field(6, "query", Role::Warn, why),
        }
    }
}

fn verdict(check: &Asked, row: &Row, glyphs: &'static Glyphs) -> (&'static str, Role, String) {
    match &check.reading {
        Some(Reading::Value(value)) if check.passes => {
            (glyphs.passed, Role::Good, format!("{}, passes", figure(check.kind, *value)))
        }
        Some(Reading::Value(value)) => (glyphs.failed, Role::Bad, format!("{}, fails", figure(check.kind, *value))),
        Some(Reading::NoValues) => (
            glyphs.failed,
            Role::Bad,
            format!("no values: {} gets no traffic, or there is no such series; fails", row.canary.workload.name),
        ),
        Some(Reading::Unavailable(why) | Reading::Unasked(why)) => (glyphs.failed, Role::Bad, format!("{why}; fails")),
        None => (glyphs.open, Role::Dim, "not asked: no rollout is under way".into()),
    }
}

fn figure(kind: CheckKind, value: f64) -> String {
    match kind {
        CheckKind::SuccessRate => figures::percent(value),
        CheckKind::Duration => figures::milliseconds(value),
        CheckKind::Custom | CheckKind::Template => figures::number(value),
    }
}

fn limits(kind: CheckKind, min: Option<f64>, max: Option<f64>, glyphs: &Glyphs) -> String {
    let unit = match kind {
        CheckKind::SuccessRate => " %",
        CheckKind::Duration => " ms",
        CheckKind::Custom | CheckKind::Template => "",
    };
    let low = min.map(|min| format!("{} {}{unit}", glyphs.at_least, figures::number(min)));
    let high = max.map(|max| format!("{} {}{unit}", glyphs.at_most, figures::number(max)));
    let both: Vec<String> = [low, high].into_iter().flatten().collect();
    if both.is_empty() { "none: any value passes".into() } else { both.join(", ") }
}

/// The pods of a workload, those that are not ready first, with their reasons.
fn pods(paper: &mut Paper, model: &Model, row: &Row, staff: &Staff) {
    let glyphs = paper.glyphs();
    let side = if staff.workload == row.primary.workload.name { &row.primary } else { &row.canary };
    let (counted, role) = detail::pods(side);
    paper.air();
    paper.row(vec![
        piece(format!("Pods of {}", staff.workload), Role::Strong),
        piece(format!("  {}", version_text(side.version())), Role::Text),
        piece(format!("  {counted}"), role),
    ]);
    let pods = match &staff.pods {
        None if !side.runs() => return,
        None => return paper.say(2, None, Role::Dim, "Asking for its pods ..."),
        Some(Err(why)) => {
            return paper.say(
                2,
                Some((glyphs.warning, Role::Warn)),
                Role::Text,
                &format!("They cannot be told: {why}"),
            );
        }
        Some(Ok(pods)) => pods,
    };
    let mut sorted: Vec<&PodRecord> = pods.iter().filter(|pod| !pod.ready || pod.restarts > 0).collect();
    sorted.sort_by_key(|pod| (pod.ready, pod.name.clone()));
    for pod in sorted.iter().take(MOST_PODS) {
        let sign = if pod.ready { (glyphs.passed, Role::Good) } else { (glyphs.half, Role::Warn) };
        let since = pod.created.map(|at| format!(", since {}", model.clock(at))).unwrap_or_default();
        let times = match pod.restarts {
            0 => String::new(),
            1 => ", 1 restart".into(),
            many => format!(", {many} restarts"),
        };
        let ready = if pod.ready { "ready" } else { "not ready" };
        paper.say(2, Some(sign), Role::Text, &format!("{}: {ready}{times}{since}", pod.name));
        pod.reasons.iter().for_each(|reason| paper.say(6, None, Role::Text, reason));
    }
    if sorted.len() > MOST_PODS {
        let more = format!("{} {} more pods", glyphs.cut, sorted.len() - MOST_PODS);
        paper.say(2, None, Role::Dim, &more);
    }
}

/// A warning: when, how often, and what.
struct Warning {
    at: Option<DateTime<Utc>>,
    count: u32,
    text: String,
}

/// The warnings of the last rollout: as the driver has kept them, or else as long as the cluster keeps its Events.
fn warnings(paper: &mut Paper, model: &Model, row: &Row, past: Option<&Rollout>) {
    let kept = past.map(|rollout| {
        let warnings = rollout.said.iter().filter(|said| said.warning);
        warnings.map(|said| Warning { at: Some(said.at), count: 1, text: said.text.clone() }).collect::<Vec<_>>()
    });
    let mut told = kept.filter(|told| !told.is_empty()).unwrap_or_else(|| of_events(model, row));
    if told.is_empty() {
        return;
    }
    let glyphs = paper.glyphs();
    paper.heading(if row.phase == Phase::Failed { "Why it failed" } else { "Warnings of this rollout" });
    let more = told.len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        paper.say(2, None, Role::Dim, &format!("{} {more} earlier ones: e reads the events", glyphs.cut));
    }
    for warning in told.drain(more..) {
        let at = warning.at.map_or_else(|| glyphs.dash.to_string(), |at| model.clock(at));
        let often = if warning.count > 1 { format!("x{} ", warning.count) } else { String::new() };
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, &format!("{at}  {often}{}", warning.text));
    }
}

/// The warnings since the last revision was detected, the oldest first.
fn of_events(model: &Model, row: &Row) -> Vec<Warning> {
    let key = row.key();
    let of_rollout = entries(model, "").filter(|entry| is_on(entry.latest, &key));
    let of_rollout = of_rollout.take_while(|entry| !entry.latest.message.starts_with("New revision detected"));
    let mut told: Vec<Warning> = of_rollout
        .filter(|entry| entry.latest.warning)
        .map(|entry| Warning { at: entry.latest.last, count: entry.count, text: entry.latest.message.clone() })
        .collect();
    told.reverse();
    told
}

/// What the checks of the last rollout read so far, and what became of the rollouts before.
fn past(paper: &mut Paper, model: &Model, causes: &Causes, last: Option<&Rollout>) {
    let glyphs = paper.glyphs();
    let history = match &causes.history {
        Ok(history) => history,
        Err(why) => {
            paper.heading("What was kept of the last rollouts");
            return paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, &format!("It cannot be read: {why}"));
        }
    };
    if let Some(rollout) = last.filter(|rollout| !rollout.checks.is_empty()) {
        paper.heading(&format!("What the checks of {} read, the latest last", version_of(rollout)));
        let more = rollout.checks.len().saturating_sub(MOST_CHECKS);
        if more > 0 {
            paper.say(2, None, Role::Dim, &format!("{} {more} earlier ones", glyphs.cut));
        }
        for check in &rollout.checks[more..] {
            let kind =
                causes.checks.iter().find(|asked| asked.name == check.name).map_or(CheckKind::Custom, |a| a.kind);
            let value = check.value.map_or_else(|| format!("{} no value", glyphs.dash), |value| figure(kind, value));
            let (sign, role) = if check.passed { (glyphs.passed, Role::Good) } else { (glyphs.failed, Role::Bad) };
            let limits = limits(kind, check.min, check.max, glyphs);
            let (at, weight, name) = (model.clock(check.at), check.weight, &check.name);
            let text = format!("{at}  at {weight:>3} %  {name}  {value}  ({limits})");
            paper.say(2, Some((sign, role)), Role::Text, &text);
        }
    }
    let earlier: Vec<&Rollout> =
        history.rollouts.iter().rev().filter(|one| last.is_none_or(|last| !std::ptr::eq(*one, last))).collect();
    if earlier.is_empty() {
        return;
    }
    paper.heading("Rollouts before, the latest first");
    for rollout in earlier {
        let (phase, at) = match &rollout.end {
            Some(end) => (end.phase.as_str(), model.clock(end.at)),
            None => ("not ended", model.clock(rollout.began)),
        };
        let sign = match phase {
            "Succeeded" => (glyphs.passed, Role::Good),
            "Failed" => (glyphs.failed, Role::Bad),
            _ => (glyphs.half, Role::Dim),
        };
        let why = rollout.said.iter().rfind(|said| said.warning && phase == "Failed");
        let why = why.map(|said| format!(": {}", said.text)).unwrap_or_default();
        paper.say(2, Some(sign), Role::Text, &format!("{at}  {}  {phase}{why}", version_of(rollout)));
    }
}

/// The version of a rollout: its images' tags, or else its revision.
fn version_of(rollout: &Rollout) -> String {
    let tags: Vec<&str> = rollout.images.values().map(|image| tag(image)).collect();
    if tags.is_empty() { rollout.revision.clone() } else { tags.join(", ") }
}
