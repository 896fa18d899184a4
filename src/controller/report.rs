//! What a controller says of itself to whoever runs it: its series, whether it lives, whether it can work. It reads and
//! changes nothing.

use super::drive::Role;
use super::telemetry::Telemetry;
use crate::cluster::lease;
use crate::cluster::{Clock, Health, Mirror};
use std::time::Duration;
use tokio::sync::watch;

/// How long the API server may be lost before the controller does not count as ready: twice as long as a lease runs, so
/// that by then another one could drive.
const LOST_FOR_LONG: Duration = Duration::from_secs(2 * lease::DURATION.as_secs());

/// The state of one controller, as it is at each question.
#[derive(Clone)]
pub struct Report {
    pub(super) namespace: String,
    pub(super) mirror: Mirror,
    /// Ends with the controller's own loop.
    pub(super) role: watch::Receiver<Role>,
    pub(super) telemetry: Telemetry,
    pub(super) clock: Clock,
}

impl Report {
    /// All series, in Prometheus' text format. Of Canaries there are some only while this process drives: where two
    /// wait for one lease, each series comes from one of them.
    pub fn series(&self) -> String {
        let driving = !self.ended() && *self.role.borrow() == Role::Driving;
        let world = driving.then(|| self.mirror.read());
        self.telemetry.text(&self.namespace, world.as_deref())
    }

    /// Whether the loops run without which nothing is ever driven again.
    ///
    /// # Errors
    /// A sentence that says which has ended.
    pub fn alive(&self) -> Result<(), String> {
        if self.ended() {
            return Err(format!("the controller of {} has ended", self.namespace));
        }
        if !self.mirror.is_watching() {
            return Err(format!("a watch of {} has ended", self.namespace));
        }
        Ok(())
    }

    /// Whether the controller's own loop has ended; its last role stays in the channel.
    fn ended(&self) -> bool {
        self.role.has_changed().is_err()
    }

    /// Whether the cluster is known: everything was listed, and the API server is not lost for long. A controller that
    /// waits for the lease is ready.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn ready(&self) -> Result<(), String> {
        let now = self.clock.now();
        let world = self.mirror.read();
        let missing = world.health.iter().find_map(|(source, health)| match health {
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
        missing.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Source, World};
    use chrono::{DateTime, Utc};

    fn report(world: World, now: DateTime<Utc>) -> (Report, watch::Sender<Role>) {
        let clock = Clock::new(move || now, || Duration::ZERO);
        let (sender, role) = watch::channel(Role::Waiting);
        let mirror = Mirror::of(world, clock.clone());
        let report = Report { namespace: "prod".into(), mirror, role, telemetry: Telemetry::default(), clock };
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
