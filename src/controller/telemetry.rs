//! The series that Flagger's dashboards and alert rules read, of the Canaries that this process drives.
//!
//! What stands on the objects is read from the mirror at each scrape, so that it is never older than what is decided on
//! and ends with its Canary; only what no object keeps is tallied here. Nothing is decided by any of it.

use super::exposition::{Family, Kind};
use super::facts::driven_spec;
use crate::api::{Check, CheckKind, Phase, Provider, Spec};
use crate::cluster::World;
use crate::cluster::records::CanaryRecord;
use crate::rollout::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram's buckets, in seconds: those that Flagger's has.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What was counted since the process began, by Canary. Clones share it.
#[derive(Clone, Default)]
pub struct Telemetry {
    tallies: Arc<Mutex<BTreeMap<String, Tally>>>,
}

/// What was counted for one Canary.
#[derive(Default)]
struct Tally {
    /// How many turns of the analysis took at most as long as each bound, and longer than the one before it.
    took: [u64; BOUNDS.len()],
    /// Seconds that all of them took.
    seconds: f64,
    turns: u64,
    /// The last value of each check by its name: percent, or seconds.
    values: BTreeMap<String, f64>,
    ends: BTreeMap<Way, Ends>,
}

/// The way of a rollout to its end: its strategy, and whether it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    strategy: &'static str,
    analysis: &'static str,
}

impl Way {
    fn of(spec: &Spec) -> Self {
        let analysis = if spec.skip_analysis { "skipped" } else { "completed" };
        Self { strategy: spec.analysis.strategy().name(), analysis }
    }
}

#[derive(Clone, Copy, Default)]
struct Ends {
    promoted: u64,
    failed: u64,
}

impl Telemetry {
    /// One turn of a Canary's analysis, from looking at the cluster to the last write.
    pub fn analysed(&self, canary: &str, took: Duration) {
        let seconds = took.as_secs_f64();
        self.tally(canary, |tally| {
            if let Some(place) = BOUNDS.iter().position(|bound| seconds <= *bound) {
                tally.took[place] += 1;
            }
            tally.seconds += seconds;
            tally.turns += 1;
        });
    }

    /// What the checks of a Canary have read. One without a value leaves the value before in its place.
    pub fn read(&self, canary: &str, checks: &[Check], readings: &[Reading]) {
        self.tally(canary, |tally| {
            for (check, reading) in checks.iter().zip(readings) {
                if let Reading::Value(value) = reading {
                    let value = match check.kind {
                        CheckKind::SuccessRate | CheckKind::Custom | CheckKind::Template => *value,
                        CheckKind::Duration => value / 1000.0,
                    };
                    tally.values.insert(check.name.clone(), value);
                }
            }
        });
    }

    /// A Canary was seen to go from one phase to another. A rollout that ends because its target went back to the version
    /// promoted last is neither a success nor a failure.
    pub fn moved(&self, canary: &str, spec: &Spec, before: Phase, now: Phase) {
        let count: fn(&mut Ends) = match (before, now) {
            (Phase::Finalising, Phase::Succeeded) => |ends| ends.promoted += 1,
            (before, Phase::Failed) if before.under_way() => |ends| ends.failed += 1,
            _ => return,
        };
        self.tally(canary, |tally| count(tally.ends.entry(Way::of(spec)).or_default()));
    }

    /// Forgets a Canary that is not there any more.
    pub fn forget(&self, canary: &str) {
        self.lock().remove(canary);
    }

    /// Forgets the Canaries that are not there any more.
    pub fn forget_all_but(&self, canaries: &BTreeMap<String, CanaryRecord>) {
        self.lock().retain(|name, _| canaries.contains_key(name));
    }

    fn tally(&self, canary: &str, count: impl FnOnce(&mut Tally)) {
        count(self.lock().entry(canary.to_string()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Tally>> {
        // Numbers that are each whole, whatever happened to the thread that held them.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The series of this process, namespace by namespace: Prometheus wants all samples of a metric in one place.
pub struct Series {
    info: Family,
    total: Family,
    status: Family,
    weight: Family,
    duration: Family,
    values: Family,
    successes: Family,
    failures: Family,
}

impl Default for Series {
    /// What the process says of itself, and nothing of any Canary.
    fn default() -> Self {
        let mut info = Family::new("flagger_info", Kind::Gauge, "Version and mesh of this controller; always 1.");
        info.sample(&[("version", env!("CARGO_PKG_VERSION")), ("mesh_provider", Provider::default().name())], 1.0);
        Self {
            info,
            total: Family::new("flagger_canary_total", Kind::Gauge, "Canaries that are driven in the namespace."),
            status: Family::new(
                "flagger_canary_status",
                Kind::Gauge,
                "How the last rollout stands: 0 in progress, 1 at rest or in any other phase, 2 failed.",
            ),
            weight: Family::new("flagger_canary_weight", Kind::Gauge, "Percent of the traffic on a workload."),
            duration: Family::new(
                "flagger_canary_duration_seconds",
                Kind::Histogram,
                "Seconds that one turn of the analysis took.",
            ),
            values: Family::new(
                "flagger_canary_metric_analysis",
                Kind::Gauge,
                "Last value of a check: percent of requests that succeeded, or seconds.",
            ),
            successes: Family::new(
                "flagger_canary_successes_total",
                Kind::Counter,
                "Rollouts that ended with a promotion.",
            ),
            failures: Family::new(
                "flagger_canary_failures_total",
                Kind::Counter,
                "Rollouts that were rolled back or aborted.",
            ),
        }
    }
}

impl Series {
    /// Adds those of a namespace's Canaries: of the `world` in which they are driven, and of what was counted there.
    pub fn add(&mut self, telemetry: &Telemetry, namespace: &str, world: &World) {
        let driven = driven(world);
        self.total.sample(&[("namespace", namespace)], driven.len() as f64);
        let tallies = telemetry.lock();
        let nothing = Tally::default();
        for (canary, spec) in driven {
            let target = spec.target.as_str();
            let labels = [("name", target), ("namespace", namespace)];
            self.status.sample(&labels, standing(canary.status.phase));
            if let Some(weights) = world.live(spec).and_then(|live| live.weights) {
                let of = |workload: &str, percent: u8, family: &mut Family| {
                    family.sample(&[("workload", workload), ("namespace", namespace)], f64::from(percent));
                };
                of(&spec.primary(), weights.primary, &mut self.weight);
                of(target, weights.canary, &mut self.weight);
            }
            let tally = tallies.get(&canary.name).unwrap_or(&nothing);
            if tally.turns > 0 {
                let buckets: Vec<(f64, u64)> = BOUNDS.into_iter().zip(tally.took).collect();
                self.duration.histogram(&labels, &buckets, tally.seconds, tally.turns);
            }
            let checks: BTreeSet<&str> = spec.analysis.checks.iter().map(|check| check.name.as_str()).collect();
            for check in checks {
                if let Some(value) = tally.values.get(check) {
                    self.values.sample(&[labels[0], labels[1], ("metric", check)], *value);
                }
            }
            // There from the beginning: increase() over a counter that begins at 1 would miss the first.
            let mut ends = tally.ends.clone();
            ends.entry(Way::of(spec)).or_default();
            for (Way { strategy, analysis }, Ends { promoted, failed }) in ends {
                let way = [labels[0], labels[1], ("deployment_strategy", strategy), ("analysis_status", analysis)];
                self.successes.sample(&way, promoted as f64);
                self.failures.sample(&way, failed as f64);
            }
        }
    }

    /// The text in which Prometheus reads them.
    pub fn text(&self) -> String {
        let Self { info, total, status, weight, duration, values, successes, failures } = self;
        [info, total, status, weight, duration, values, successes, failures].map(Family::text).concat()
    }
}

/// The Canaries that are driven, one for each target: Flagger names its series by the target, and Prometheus takes
/// no series twice.
fn driven(world: &World) -> Vec<(&CanaryRecord, &Spec)> {
    let mut targets = BTreeSet::new();
    let canaries = world.canaries.values().filter(|canary| !canary.deleting);
    let driven = canaries.filter_map(|canary| Some((canary, driven_spec(canary, None)?)));
    driven.filter(|(_, spec)| targets.insert(&spec.target)).collect()
}

/// `flagger_canary_status`, as Flagger has it: it knows three values for all phases.
fn standing(phase: Phase) -> f64 {
    match phase {
        Phase::Progressing => 0.0,
        Phase::Failed => 2.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::records::RouteRecord;
    use serde_json::{Value, json};

    fn world(canaries: &[Value]) -> World {
        let mut world = World::default();
        for object in canaries {
            let record = CanaryRecord::of(object);
            world.canaries.insert(record.name.clone(), record);
        }
        world
    }

    fn canary(name: &str, target: &str, phase: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "prod", "uid": "u", "resourceVersion": "1"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
                "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": [
                    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
                    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"}]},
            },
            "status": {"phase": phase},
        })
    }

    /// All series of one namespace.
    fn text(telemetry: &Telemetry, world: &World) -> String {
        let mut series = Series::default();
        series.add(telemetry, "prod", world);
        series.text()
    }

    /// The samples, without what is said about them.
    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_process_that_drives_nothing_only_says_what_it_is() {
        let text = Series::default().text();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(samples(&text), [format!("flagger_info{{version=\"{version}\",mesh_provider=\"istio\"}} 1")]);
        let empty = super::tests::text(&Telemetry::default(), &world(&[]));
        assert_eq!(samples(&empty)[1..], [r#"flagger_canary_total{namespace="prod"} 0"#]);
    }

    #[test]
    fn a_canary_has_flaggers_series_under_its_targets_name() {
        let telemetry = Telemetry::default();
        let mut world = world(&[canary("release", "web", "Progressing")]);
        world.routes.entry(Provider::default()).or_default().insert(
            "web".into(),
            RouteRecord::of(&json!({
                "metadata": {"name": "web", "resourceVersion": "1"},
                "spec": {"http": [{"route": [
                    {"destination": {"host": "web-primary"}, "weight": 70},
                    {"destination": {"host": "web-canary"}, "weight": 30}]}]},
            })),
        );
        let checks = world.canaries["release"].spec.as_ref().unwrap().analysis.checks.clone();
        telemetry.read("release", &checks, &[Reading::Value(99.5), Reading::Value(250.0)]);
        telemetry.read("release", &checks, &[Reading::NoValues, Reading::Unavailable("down".into())]);
        for milliseconds in [5, 20, 60_000] {
            telemetry.analysed("release", Duration::from_millis(milliseconds));
        }
        let text = text(&telemetry, &world);
        let expected = r#"flagger_canary_total{namespace="prod"} 1
flagger_canary_status{name="web",namespace="prod"} 0
flagger_canary_weight{workload="web-primary",namespace="prod"} 70
flagger_canary_weight{workload="web",namespace="prod"} 30
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.005"} 1
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.01"} 1
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.025"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.05"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.1"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.25"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="0.5"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="1"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="2.5"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="5"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="10"} 2
flagger_canary_duration_seconds_bucket{name="web",namespace="prod",le="+Inf"} 3
flagger_canary_duration_seconds_sum{name="web",namespace="prod"} 60.025
flagger_canary_duration_seconds_count{name="web",namespace="prod"} 3
flagger_canary_metric_analysis{name="web",namespace="prod",metric="request-duration"} 0.25
flagger_canary_metric_analysis{name="web",namespace="prod",metric="request-success-rate"} 99.5
flagger_canary_successes_total{name="web",namespace="prod",deployment_strategy="canary",analysis_status="completed"} 0
flagger_canary_failures_total{name="web",namespace="prod",deployment_strategy="canary",analysis_status="completed"} 0"#;
        assert_eq!(samples(&text)[1..].join("\n"), expected);
    }

    #[test]
    fn the_series_of_several_namespaces_stand_together() {
        let mut series = Series::default();
        let (a, b) = (Telemetry::default(), Telemetry::default());
        let failed = world(&[canary("web", "web", "Failed")]);
        let spec = failed.canaries["web"].spec.clone().unwrap();
        a.moved("web", &spec, Phase::Progressing, Phase::Failed);
        series.add(&a, "a", &failed);
        series.add(&b, "b", &world(&[canary("web", "web", "Succeeded"), canary("x", "x", "Progressing")]));
        let text = series.text();
        assert_eq!(text.matches("# TYPE flagger_canary_status gauge").count(), 1);
        for line in [
            r#"flagger_canary_total{namespace="a"} 1"#,
            r#"flagger_canary_total{namespace="b"} 2"#,
            r#"flagger_canary_status{name="web",namespace="a"} 2"#,
            r#"flagger_canary_status{name="web",namespace="b"} 1"#,
        ] {
            assert!(samples(&text).contains(&line), "{line}: {text}");
        }
        let failures = samples(&text).into_iter().filter(|line| line.starts_with("flagger_canary_failures_total"));
        assert_eq!(failures.map(|line| line.rsplit_once(' ').unwrap().1).collect::<Vec<_>>(), ["1", "0", "0"]);
    }

    #[test]
    fn the_status_has_three_values() {
        for (phase, value) in
            [("Progressing", 0), ("Failed", 2), ("Succeeded", 1), ("Waiting", 1), ("Promoting", 1), ("", 1)]
        {
            let text = text(&Telemetry::default(), &world(&[canary("web", "web", phase)]));
            let line = format!("flagger_canary_status{{name=\"web\",namespace=\"prod\"}} {value}");
            assert!(samples(&text).contains(&line.as_str()), "{phase}: {text}");
        }
    }

    #[test]
    fn an_end_is_counted_as_what_it_was() {
        let telemetry = Telemetry::default();
        let world = world(&[canary("web", "web", "Succeeded")]);
        let spec = world.canaries["web"].spec.clone().unwrap();
        let counts = || {
            let text = text(&telemetry, &world);
            let of = |name: &str| {
                let line = samples(&text).into_iter().find(|line| line.starts_with(name)).map(str::to_string);
                line.and_then(|line| line.rsplit_once(' ').map(|(_, value)| value.to_string())).unwrap()
            };
            (of("flagger_canary_successes_total"), of("flagger_canary_failures_total"))
        };
        for (before, now) in [
            (Phase::Progressing, Phase::Succeeded),
            (Phase::New, Phase::Succeeded),
            (Phase::Failed, Phase::Failed),
            (Phase::Progressing, Phase::Promoting),
        ] {
            telemetry.moved("web", &spec, before, now);
            assert_eq!(counts(), ("0".into(), "0".into()), "{before:?} {now:?}");
        }
        telemetry.moved("web", &spec, Phase::Finalising, Phase::Succeeded);
        telemetry.moved("web", &spec, Phase::Progressing, Phase::Failed);
        telemetry.moved("web", &spec, Phase::Promoting, Phase::Failed);
        assert_eq!(counts(), ("1".into(), "2".into()));
        telemetry.forget_all_but(&BTreeMap::new());
        assert_eq!(counts(), ("0".into(), "0".into()), "a canary that is made anew begins anew");
    }

    #[test]
    fn an_end_is_counted_by_its_strategy_and_by_whether_it_was_checked() {
        let mut other = canary("web", "web", "Succeeded");
        other["spec"]["skipAnalysis"] = json!(true);
        other["spec"]["analysis"]["iterations"] = json!(2);
        let world = world(&[other]);
        let telemetry = Telemetry::default();
        let spec = world.canaries["web"].spec.clone().unwrap();
        telemetry.moved("web", &spec, Phase::Finalising, Phase::Succeeded);
        let text = text(&telemetry, &world);
        let labels = r#"{name="web",namespace="prod",deployment_strategy="blue-green",analysis_status="skipped"}"#;
        let wanted = format!("flagger_canary_successes_total{labels} 1");
        assert!(samples(&text).contains(&wanted.as_str()), "{text}");
    }

    #[test]
    fn no_series_comes_twice_and_none_of_what_is_not_driven() {
        let mut other = canary("meshed", "meshed", "Initialized");
        other["spec"]["provider"] = json!("linkerd");
        let mut going = canary("going", "going", "Failed");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let world = world(&[canary("a", "web", "Failed"), canary("b", "web", "Progressing"), other, going]);
        let text = text(&Telemetry::default(), &world);
        let statuses: Vec<&str> =
            samples(&text).into_iter().filter(|line| line.starts_with("flagger_canary_status")).collect();
        assert_eq!(statuses, [r#"flagger_canary_status{name="web",namespace="prod"} 2"#]);
        assert!(text.contains("flagger_canary_total{namespace=\"prod\"} 1\n"), "{text}");
    }
}
