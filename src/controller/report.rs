//! What a controller says of itself to whoever runs it: its series, whether it lives, whether it can work. It reads and
//! changes nothing.

use super::drive::Role;
use super::telemetry::{Series, Telemetry};
use crate::cluster::lease::{self, LeaseRecord};
use crate::cluster::{Clock, Driver, Health, Mirror, World};
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::sync::watch;

/// How long the API server may be lost before the controller does not count as ready: twice as long as a lease runs, so
/// that by then another one could drive.
const LOST_FOR_LONG: Duration = Duration::from_secs(2 * lease::DURATION.as_secs());

/// Who says of itself what an endpoint serves.
pub trait Says: Send + Sync + 'static {
    /// All series, in Prometheus' text format.
    fn series(&self) -> String;

    /// Whether the loops run without which nothing is ever driven again.
    ///
    /// # Errors
    /// A sentence that says which has ended.
    fn alive(&self) -> Result<(), String>;

    /// Whether the work can be done.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    fn ready(&self) -> Result<(), String>;
}

/// The state of one controller, as it is at each question.
#[derive(Clone)]
pub struct Report {
    pub(super) namespace: String,
    pub(super) mirror: Mirror,
    /// Ends with the controller's own loop.
    pub(super) role: watch::Receiver<Role>,
    pub(super) telemetry: Telemetry,
    pub(super) clock: Clock,
    /// When the controller was started.
    pub(super) began: DateTime<Utc>,
}

impl Report {
    /// Adds the controller's series. There are some only while this process drives: where two wait for one lease, each
    /// series comes from one of them.
    pub(super) fn add_to(&self, series: &mut Series) {
        if !self.ended() && *self.role.borrow() == Role::Driving {
            series.add(&self.telemetry, &self.namespace, &self.mirror.read());
        }
    }

    /// Whether the controller's own loop has ended; its last role stays in the channel.
    fn ended(&self) -> bool {
        self.role.has_changed().is_err()
    }

    /// An API server that takes connections and answers nothing leaves the watches as they are, for minutes. But a lease
    /// that has run out is taken over by whoever waits for it: where nobody does, nobody here can.
    fn deaf(&self, world: &World) -> Option<String> {
        let now = self.clock.now();
        let free = |lease: &&LeaseRecord| !matches!(lease.driver(now), Driver::Somebody(_));
        let lease = world.lease.as_ref().filter(free)?;
        let since = now.signed_duration_since(lease.ends().max(self.began)).to_std().unwrap_or_default();
        let waits = *self.role.borrow() == Role::Waiting;
        let how = if lease.driver(now) == Driver::Nobody { "was given back" } else { "has run out" };
        (waits && since > LOST_FOR_LONG).then(|| {
            format!(
                "the lease of {} {how} and cannot be taken for {} s: does the API server answer?",
                self.namespace,
                since.as_secs()
            )
        })
    }
}

impl Says for Report {
    fn series(&self) -> String {
        let mut series = Series::default();
        self.add_to(&mut series);
        series.text()
    }

    fn alive(&self) -> Result<(), String> {
        if self.ended() {
            return Err(format!("the controller of {} has ended", self.namespace));
        }
        if !self.mirror.is_watching() {
            return Err(format!("a watch of {} has ended", self.namespace));
        }
        Ok(())
    }

    /// Whether the cluster is known: everything was listed, and the API server is not lost for long. A controller that
    /// waits for the lease is ready.
    fn ready(&self) -> Result<(), String> {
        let now = self.clock.now();
        let world = self.mirror.read();
        let mut counted = world.health.iter().filter(|(source, _)| world.depends_on(**source));
        let missing = counted.find_map(|(source, health)| match health {
            // What a Canary lacks for it is said on that Canary.
            Health::Forbidden { .. } if source.is_for_some() => None,
            Health::Forbidden { error } => Some(format!("{source} of {} cannot be watched: {error}", self.namespace)),
            Health::Lost { error, .. } if !world.listed.contains(source) => {
                Some(format!("{source} of {} are not listed yet: {error}", self.namespace))
            }
            Health::Lost { since, error } => {
                let lost = now.signed_duration_since(*since).to_std().unwrap_or_default();
                let sentence = || format!("{source} of {} are lost for {} s: {error}", self.namespace, lost.as_secs());
                (lost > LOST_FOR_LONG).then(sentence)
            }
            Health::Live | Health::Connecting if world.listed.contains(source) => None,
            Health::Live | Health::Connecting => Some(format!("{source} of {} are not listed yet", self.namespace)),
        });
        missing.or_else(|| self.deaf(&world)).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Source;
    use serde_json::json;

    fn report(world: World, now: DateTime<Utc>) -> (Report, watch::Sender<Role>) {
        let clock = Clock::new(move || now, || Duration::ZERO);
        let (sender, role) = watch::channel(Role::Waiting);
        let mirror = Mirror::of(world, clock.clone());
        let began = DateTime::UNIX_EPOCH;
        let report = Report { namespace: "prod".into(), mirror, role, telemetry: Telemetry::default(), clock, began };
        (report, sender)
    }

    #[test]
    fn ready_is_who_has_listed_everything_and_not_lost_it_for_long() {
        let since = DateTime::UNIX_EPOCH;
        let lost = Health::Lost { since, error: "connection refused".into() };
        let forbidden = Health::Forbidden { error: "you may not".into() };
        let ready = |health: &Health, listed: bool, seconds: i64| {
            let mut world = World::default();
            world.health.insert(Source::Canaries, Health::Live);
            world.health.insert(Source::Services, health.clone());
            world.listed.insert(Source::Canaries);
            if listed {
                world.listed.insert(Source::Services);
            }
            report(world, since + chrono::Duration::seconds(seconds)).0.ready()
        };
        assert_eq!(ready(&Health::Live, true, 0), Ok(()));
        assert_eq!(ready(&Health::Connecting, false, 0), Err("services of prod are not listed yet".into()));
        assert_eq!(ready(&Health::Connecting, true, 0), Ok(()), "listed anew");
        assert_eq!(ready(&lost, false, 0), Err("services of prod are not listed yet: connection refused".into()));
        assert_eq!(ready(&lost, true, 30), Ok(()));
        assert_eq!(ready(&lost, true, 31), Err("services of prod are lost for 31 s: connection refused".into()));
        assert_eq!(ready(&forbidden, true, 0), Err("services of prod cannot be watched: you may not".into()));
    }

    #[test]
    fn a_lease_that_nobody_can_take_is_an_api_server_that_does_not_answer() {
        let lease = |holder: &str, renewed: &str| {
            let spec = json!({"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15});
            LeaseRecord::of(&json!({ "spec": spec }), None, DateTime::UNIX_EPOCH)
        };
        let ready = |lease: LeaseRecord, role: Role, seconds: i64| {
            let world = World { lease: Some(lease), ..World::default() };
            let (report, sender) = report(world, DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds));
            sender.send_replace(role);
            report.ready()
        };
        let fresh = || lease("me@here (1)", "1970-01-01T00:00:00Z");
        assert_eq!(ready(fresh(), Role::Waiting, 45), Ok(()));
        let why = "the lease of prod has run out and cannot be taken for 31 s: does the API server answer?";
        assert_eq!(ready(fresh(), Role::Waiting, 46), Err(why.into()));
        assert_eq!(ready(fresh(), Role::Driving, 46), Ok(()), "the watch is behind the renewals");
        assert_eq!(ready(fresh(), Role::Observing("Flagger is at work".into()), 46), Ok(()), "it does not want it");
        assert_eq!(ready(lease("", "1970-01-01T00:00:00Z"), Role::Waiting, 45), Ok(()), "given back");
        let why = "the lease of prod was given back and cannot be taken for 31 s: does the API server answer?";
        assert_eq!(ready(lease("", "1970-01-01T00:00:00Z"), Role::Waiting, 46), Err(why.into()));
        let old = || lease("me@here (1)", "1969-12-31T00:00:00Z");
        assert_eq!(ready(old(), Role::Waiting, 30), Ok(()), "one that is found so is watched before it is taken");
    }

    #[test]
    fn the_end_of_the_controllers_loop_is_its_death() {
        let (report, sender) = report(World::default(), DateTime::UNIX_EPOCH);
        assert_eq!(report.alive(), Ok(()));
        sender.send_replace(Role::Driving);
        assert_eq!(report.alive(), Ok(()), "a change is none");
        drop(sender);
        assert_eq!(report.alive(), Err("the controller of prod has ended".into()));
    }

    #[test]
    fn the_series_of_canaries_are_the_drivers_alone() {
        let (report, sender) = report(World::default(), DateTime::UNIX_EPOCH);
        for role in [Role::Waiting, Role::Observing("Flagger is at work".into())] {
            sender.send_replace(role);
            assert!(!report.series().contains("flagger_canary"), "{}", report.series());
        }
        sender.send_replace(Role::Driving);
        assert!(report.series().contains("flagger_canary_total{namespace=\"prod\"} 0\n"), "{}", report.series());
    }
}
