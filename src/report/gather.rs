//! A story from what the cluster says now: the Canary and its status, its Events, and Prometheus over the time of the
//! rollout.

use super::story::{Check, Limit, Moment, Panel, Query, Story, Unit};
use crate::api::{CheckKind, Phase, Spec};
use crate::cluster::{CanaryRecord, EventRecord, Health, Mirror, Source, World};
use crate::metrics::{Locator, Metric, checks};
use chrono::{DateTime, Duration as Span, Utc};
use std::collections::BTreeSet;
use std::time::Duration;

/// Which rollout is asked about, and when.
#[derive(Clone, Debug)]
pub struct Asked {
    pub context: String,
    pub namespace: String,
    pub canary: String,
    pub now: DateTime<Utc>,
}

/// What the charts show before the rollout and after it, so that its edges can be seen.
const MARGIN: Span = Span::seconds(30);
/// What they show where its beginning is not known.
const UNKNOWN: Span = Span::minutes(10);
/// Most points of one line.
const POINTS: i64 = 300;

/// The story of a canary's present or last rollout.
///
/// # Errors
/// Where there is no such canary. All else that is not known is told in the story.
pub async fn gather(mirror: &Mirror, locator: &Locator, asked: &Asked) -> Result<Story, String> {
    let (mut story, spec) = {
        let world = mirror.read();
        let canary = world.canaries.get(&asked.canary);
        let canary =
            canary.ok_or_else(|| format!("there is no canary {} in namespace {}", asked.canary, asked.namespace))?;
        let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref()).cloned();
        (told(&world, canary, asked), spec)
    };
    if let Some(spec) = spec {
        measure(&mut story, &spec, locator).await;
    }
    Ok(story)
}

/// All but the measurements.
fn told(world: &World, canary: &CanaryRecord, asked: &Asked) -> Story {
    let status = &canary.status;
    let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref());
    let target = spec.and_then(|spec| world.workloads.get(&spec.target));
    let primary = spec.and_then(|spec| world.workloads.get(&spec.primary()));
    let mut missing = Vec::new();
    if let Err(problems) = &canary.spec {
        missing.extend(problems.iter().map(|problem| format!("The Canary cannot be driven: {problem}")));
    }
    for source in [Source::Events, Source::Deployments] {
        match world.health.get(&source) {
            Some(Health::Forbidden { error }) => missing.push(format!("{source} may not be read: {error}")),
            Some(Health::Lost { since, error }) => {
                missing.push(format!("{source} are as they were at {}: {error}", super::story::time(*since)));
            }
            _ => {}
        }
    }
    let mut moments: Vec<Moment> =
        world.events.values().filter(|event| event.canary == canary.name).filter_map(moment).collect();
    moments.sort_by_key(|moment| (moment.last, moment.first));
    let detected = moments.iter().rfind(|moment| moment.text.starts_with("New revision detected!"));
    let began = detected.map(|moment| moment.first);
    match began {
        Some(began) => moments.retain(|moment| moment.last >= began),
        None => missing.push(
            "When the rollout began: no Event tells of it any more. The API server keeps Events for an hour.".into(),
        ),
    }
    let ended = status.phase.at_rest().then_some(status.last_transition).flatten();
    let promoted = matches!(status.phase, Phase::Succeeded | Phase::Initialized | Phase::Finalising);
    let from = primary.filter(|_| !promoted).map_or(String::new(), |primary| primary.version().to_string());
    if from.is_empty() && promoted {
        missing.push("The version before: the primary runs the new one already, and nothing keeps the old.".into());
    }
    let mut weights: Vec<(DateTime<Utc>, u8)> =
        moments.iter().filter_map(|moment| Some((moment.last, moment.weight()?))).collect();
    weights.dedup_by_key(|(_, weight)| *weight);
    Story {
        canary: canary.name.clone(),
        namespace: asked.namespace.clone(),
        context: asked.context.clone(),
        revision: status.applied().map(|revision| revision.to_string()),
        from,
        to: target.map_or(String::new(), |target| target.version().to_string()),
        phase: status.phase,
        why: why(canary, &moments),
        began,
        ended,
        told: asked.now,
        weights,
        moments,
        checks: spec.map(|spec| checks_of(spec, canary)).unwrap_or_default(),
        readings: Vec::new(),
        panels: Vec::new(),
        missing,
    }
}

fn moment(event: &EventRecord) -> Option<Moment> {
    let last = event.last.or(event.first)?;
    Some(Moment {
        first: event.first.unwrap_or(last),
        last,
        count: event.count.max(1),
        warning: event.warning,
        reason: event.reason.clone(),
        text: event.message.clone(),
    })
}

/// Why it stands where it stands, in the words of whoever decided it.
fn why(canary: &CanaryRecord, moments: &[Moment]) -> Option<String> {
    let said = |wanted: &dyn Fn(&Moment) -> bool| moments.iter().rfind(|m| wanted(m)).map(|m| m.text.clone());
    match canary.status.phase {
        Phase::Failed => said(&|m| m.text.starts_with("Rolling back "))
            .or_else(|| said(&|m| m.is_request() && m.text.contains("abort")))
            .or_else(|| said(&|m| m.warning)),
        phase if phase.under_way() => match (&canary.paused, &canary.gate) {
            (Some(paused), _) => Some(format!(
                "paused by {} at {}{}",
                paused.by,
                super::story::time(paused.at),
                if paused.reason.is_empty() { String::new() } else { format!(": {}", paused.reason) }
            )),
            (None, Some(gate)) => {
                Some(format!("waits at the gate {} since {}", gate.name, super::story::time(gate.since)))
            }
            (None, None) => None,
        },
        _ => None,
    }
}

fn checks_of(spec: &Spec, canary: &CanaryRecord) -> Vec<Check> {
    let analysis = &spec.analysis;
    let of = |(place, check): (usize, &crate::api::Check)| {
        let query = match (analysis.templates.get(&place), analysis.queries.get(&place)) {
            (Some(template), _) => Query::Template(match &template.namespace {
                Some(namespace) => format!("{}.{namespace}", template.name),
                None => template.name.clone(),
            }),
            (None, Some(query)) => Query::Text(query.text(spec, &canary.name, &canary.namespace)),
            (None, None) => {
                let asked = checks::queries(check, &canary.namespace, checks::Of::One(&spec.target));
                Query::Text(asked.into_iter().next().unwrap_or_default())
            }
        };
        Check { name: check.name.clone(), query, min: check.min, max: check.max }
    };
    analysis.checks.iter().enumerate().map(of).collect()
}

/// Adds what Prometheus remembers of the two workloads.
async fn measure(story: &mut Story, spec: &Spec, locator: &Locator) {
    let to = story.ended.map_or(story.told, |ended| (ended + MARGIN).min(story.told));
    let from = story.began.map_or(to - UNKNOWN, |began| began - MARGIN);
    if story.began.is_none() {
        story.missing.push(format!("The charts show the last {} minutes.", UNKNOWN.num_minutes()));
    }
    let step = Duration::from_secs(((to - from).num_seconds() / POINTS).max(1).unsigned_abs());
    let built_in = || spec.analysis.checks.iter().filter(|check| !check.kind.is_own());
    let window = built_in().map(|check| check.interval).min().unwrap_or(Duration::from_secs(60));
    let limit = |kind| built_in().filter(move |check| check.kind == kind);
    let least = limit(CheckKind::SuccessRate).filter_map(|check| check.min).reduce(f64::max).map(Limit::AtLeast);
    let most = limit(CheckKind::Duration).filter_map(|check| check.max).reduce(f64::min).map(Limit::AtMost);
    let wanted = [
        (Metric::Success, "Success rate", Unit::Percent, least),
        (Metric::P99, "P99", Unit::Milliseconds, most),
        (Metric::Cpu, "CPU", Unit::Cores, None),
        (Metric::Memory, "Memory", Unit::Bytes, None),
    ];
    let (primary, canary) = (spec.primary(), spec.target.clone());
    let history = match locator.named(spec.metrics_server.as_deref()).await {
        Ok(prometheus) => {
            let workloads = [primary.as_str(), canary.as_str()];
            Ok(prometheus.history(&story.namespace, workloads, window, (from, to), step).await)
        }
        Err(why) => Err(why),
    };
    let mut told = BTreeSet::new();
    for (metric, name, unit, limit) in wanted {
        let (points, why_empty) = match &history {
            Ok(history) => {
                let of = |workload: &str| history.points.get(&(workload.to_string(), metric)).cloned();
                let why = history.problems.get(&metric).cloned();
                ([of(&primary).unwrap_or_default(), of(&canary).unwrap_or_default()], why)
            }
            Err(why) => (Default::default(), Some(why.clone())),
        };
        if let Some(why) = why_empty.iter().find(|why| told.insert((*why).clone())) {
            story.missing.push(match &history {
                Ok(_) => format!("{name}: {why}"),
                Err(_) => format!("The measurements: Prometheus could not be reached: {why}"),
            });
        }
        let [primary, canary] = points;
        story.panels.push(Panel { name, unit, primary, canary, limit, why_empty });
    }
}
