//! A story from what the cluster says now: the Canary, its status and what is kept on it, its Events, and Prometheus over
//! the time of the rollout.

use super::story::{Check, Limit, Moment, Panel, Query, Reading, Story, Unit};
use crate::api::history::{Rollout, Said};
use crate::api::{CheckKind, History, Phase, Spec};
use crate::cluster::records::tag;
use crate::cluster::vouching::Names;
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
    /// How far the names on requests can be trusted.
    pub names: Names,
}

/// What the charts show before the rollout and after it, so that its edges can be seen.
const MARGIN: Span = Span::seconds(30);
/// What they show where its beginning is not known.
const UNKNOWN: Span = Span::minutes(10);
/// Most points of one line.
const POINTS: i64 = 300;

/// The story of a canary's present or last rollout. `kept` is what the Canary itself bears of it, or why that is not known.
///
/// # Errors
/// Where there is no such canary. All else that is not known is told in the story.
pub async fn gather(
    mirror: &Mirror,
    locator: &Locator,
    kept: Result<History, String>,
    asked: &Asked,
) -> Result<Story, String> {
    let (mut story, spec) = {
        let world = mirror.read();
        let canary = world.canary(&asked.canary);
        let canary =
            canary.ok_or_else(|| format!("there is no canary {} in namespace {}", asked.canary, asked.namespace))?;
        let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref()).cloned();
        (told(&world, &canary, kept, asked), spec)
    };
    if let Some(spec) = spec {
        measure(&mut story, &spec, locator).await;
    }
    Ok(story)
}

/// All but the measurements.
fn told(world: &World, canary: &CanaryRecord, kept: Result<History, String>, asked: &Asked) -> Story {
    let status = &canary.status;
    let spec = canary.spec.as_ref().ok().or(canary.partial.as_ref());
    let target = spec.and_then(|spec| world.workload(&spec.target));
    let primary = spec.and_then(|spec| world.workload(&spec.primary()));
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
        world.events.values().filter(|event| event.canary == canary.name).filter_map(|event| moment(event)).collect();
    let kept = kept.unwrap_or_else(|why| {
        missing.push(format!("What the Canary itself keeps of its rollouts: {why}"));
        History::default()
    });
    let revision = status.applied().map(|revision| revision.to_string());
    let place = kept.rollouts.iter().rposition(|rollout| Some(&rollout.revision) == revision.as_ref());
    let rollout = place.map(|place| &kept.rollouts[place]);
    let unheard = rollout.iter().flat_map(|rollout| &rollout.said).filter(|said| !is_among(said, &moments));
    let unheard: Vec<Moment> = unheard.map(kept_moment).collect();
    moments.extend(unheard);
    moments.sort_by_key(|moment| (moment.last, moment.first));
    let detected = moments.iter().rfind(|moment| moment.text.starts_with("New revision detected!"));
    let began = rollout.map(|rollout| rollout.began).or(detected.map(|moment| moment.first));
    match began {
        // What is kept may be a moment younger than what was said.
        Some(began) => moments.retain(|moment| moment.last >= began - SLACK),
        None => missing.push(
            "When the rollout began: nothing tells of it any more. The API server keeps Events for an hour.".into(),
        ),
    }
    let kept_end = rollout.and_then(|rollout| rollout.end.as_ref()).map(|end| end.at);
    let ended = status.phase.at_rest().then_some(kept_end.or(status.last_transition)).flatten();
    let container = spec.map_or(canary.name.as_str(), |spec| spec.target.as_str());
    let before = place.and_then(|place| {
        kept.rollouts[..place]
            .iter()
            .rfind(|rollout| rollout.end.as_ref().is_some_and(|end| end.phase == Phase::Succeeded.name()))
    });
    let promoted = matches!(status.phase, Phase::Succeeded | Phase::Initialized | Phase::Finalising);
    let present = primary.filter(|_| !promoted).map(|primary| primary.version().to_string());
    let from = present.or_else(|| version(before?, container)).unwrap_or_default();
    if from.is_empty() && promoted {
        missing.push("The version before: the primary runs the new one already, and nothing keeps the old.".into());
    }
    let present = || target.map(|target| target.version().to_string());
    let to = rollout.and_then(|rollout| version(rollout, container)).or_else(present).unwrap_or_default();
    let mut weights: Vec<(DateTime<Utc>, u8)> =
        moments.iter().filter_map(|moment| Some((moment.last, moment.weight()?))).collect();
    weights.dedup_by_key(|(_, weight)| *weight);
    Story {
        canary: canary.name.clone(),
        namespace: asked.namespace.clone(),
        context: asked.context.clone(),
        revision,
        from,
        to,
        phase: status.phase,
        why: why(canary, &moments, asked.names),
        began,
        ended,
        told: asked.now,
        weights,
        moments,
        checks: spec.map(|spec| checks_of(spec, canary)).unwrap_or_default(),
        readings: rollout.map(readings).unwrap_or_default(),
        panels: Vec::new(),
        missing,
    }
}

/// How far the time of an Event and that of its copy may be apart.
const SLACK: Span = Span::seconds(5);

/// Whether an Event says it, of which this is a copy that may be shortened.
fn is_among(said: &Said, moments: &[Moment]) -> bool {
    moments.iter().any(|moment| {
        moment.text.starts_with(&said.text) && moment.first - SLACK <= said.at && said.at <= moment.last + SLACK
    })
}

fn kept_moment(said: &Said) -> Moment {
    Moment {
        first: said.at,
        last: said.at,
        count: 1,
        warning: said.warning,
        reason: String::new(),
        text: said.text.clone(),
    }
}

/// The version of a rollout: the tag of the container named like the target, else of the first.
fn version(rollout: &Rollout, container: &str) -> Option<String> {
    let image = rollout.images.get(container).or_else(|| rollout.images.values().next())?;
    Some(tag(image).to_string())
}

fn readings(rollout: &Rollout) -> Vec<Reading> {
    let of = |checked: &crate::api::history::Checked| Reading {
        at: checked.at,
        weight: checked.weight,
        check: checked.name.clone(),
        value: checked.value,
        min: checked.min,
        max: checked.max,
        passed: checked.passed,
    };
    rollout.checks.iter().map(of).collect()
}

fn moment(event: &EventRecord) -> Option<Moment> {
    let last = event.last.or(event.first)?;
    Some(Moment {
        first: event.first.unwrap_or(last),
        last,
        count: event.count.max(1),
        warning: event.warning,
        reason: event.reason.to_string(),
        text: event.message.clone(),
    })
}

/// Why it stands where it stands, in the words of whoever decided it.
fn why(canary: &CanaryRecord, moments: &[Moment], names: Names) -> Option<String> {
    let said = |wanted: &dyn Fn(&Moment) -> bool| moments.iter().rfind(|m| wanted(m)).map(|m| m.text.clone());
    match canary.status.phase {
        Phase::Failed => said(&|m| m.text.starts_with("Rolling back "))
            .or_else(|| said(&|m| m.is_request() && m.text.contains("abort")))
            .or_else(|| said(&|m| m.warning)),
        phase if phase.under_way() => match (&canary.paused, &canary.gate) {
            (Some(paused), _) => Some(format!(
                "paused by {} at {}{}",
                names.full(&paused.by),
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-11-22T12:00:00Z").unwrap().to_utc() + Span::seconds(second)
    }

    fn world() -> World {
        let mut world = World::default();
        let canary = json!({
            "metadata": {"name": "web", "namespace": "prod"},
            "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"}]}},
            "status": {"phase": "Succeeded", "lastAppliedSpec": "b", "lastTransitionTime": "2026-11-22T12:05:00Z"},
        });
        world.canaries.insert("web".into(), CanaryRecord::of(&canary));
        let event = json!({
            "metadata": {"name": "e", "uid": "u"}, "involvedObject": {"name": "web"}, "type": "Normal",
            "reason": "Synced", "message": "Advance web.prod canary weight 10", "count": 1,
            "firstTimestamp": "2026-11-22T12:01:00Z", "lastTimestamp": "2026-11-22T12:01:00Z",
        });
        world.events.insert("e".into(), EventRecord::of(&event).into());
        world
    }

    fn kept() -> History {
        let said = |second: i64, text: &str| json!({"at": at(second), "text": text});
        History::read(
            &json!({"rollouts": [
                {"revision": "a", "images": {"web": "reg/web:1.0.0"}, "began": at(-900),
                    "end": {"phase": "Succeeded", "at": at(-600)}, "said": [said(-600, "Promotion completed!")]},
                {"revision": "b", "images": {"side": "s:9", "web": "reg/web:1.1.0"}, "began": at(0),
                    "end": {"phase": "Succeeded", "at": at(290)},
                    "said": [said(60, "Advance web.prod canary weight 10"), said(120, "Advance web.prod canary weight 20"),
                        said(130, "Request promote by alice carried out: all the way"),
                        said(280, "Routing all traffic to primary")],
                    "checks": [{"at": at(60), "weight": 0, "name": "request-success-rate", "value": 99.5, "min": 99.0,
                        "passed": true}]},
            ]})
            .to_string(),
        )
    }

    fn story(kept: Result<History, String>) -> Story {
        let asked = Asked {
            context: "eu".into(),
            namespace: "prod".into(),
            canary: "web".into(),
            now: at(3600),
            names: Names::Checked,
        };
        let world = world();
        told(&world, &world.canaries["web"], kept, &asked)
    }

    #[test]
    fn what_the_canary_keeps_stands_in_for_events_that_are_gone() {
        let story = story(Ok(kept()));
        assert_eq!((story.from.as_str(), story.to.as_str()), ("1.0.0", "1.1.0"));
        assert_eq!((story.began, story.ended), (Some(at(0)), Some(at(290))));
        let weights: Vec<u8> = story.weights.iter().map(|(_, weight)| *weight).collect();
        assert_eq!(weights, [10, 20, 0]);
        assert_eq!(story.moments.len(), 4, "the Event and its copy are one: {:?}", story.moments);
        assert_eq!(story.moments.iter().filter(|moment| moment.is_request()).count(), 1);
        assert_eq!((story.readings.len(), story.missing.len()), (1, 0), "{:?}", story.missing);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let story = story(Err("canaries is forbidden".into()));
        assert_eq!((story.began, story.ended), (None, Some(at(300))));
        for part in ["canaries is forbidden", "When the rollout began", "The version before"] {
            assert!(story.missing.iter().any(|what| what.contains(part)), "{part}: {:?}", story.missing);
        }
    }
}
