//! `canary-tui status`: how the rollout of the target's present revision stands, for scripts. It never speaks of the
//! rollout before it: a Succeeded of yesterday says nothing about the image that was set a second ago.

use super::args::StatusArgs;
use super::exit::{Exit, tell};
use super::session::Session;
use super::watching::{self, UNKNOWN};
use crate::api::{Phase, Revision, Status};
use crate::cluster::{Clock, Driver, World};
use anyhow::{Result, bail};
use std::io::Write;

/// Prints how it stands; with `--wait` when it has ended.
pub async fn run(args: StatusArgs, clock: Clock, out: &mut dyn Write) -> Result<Exit> {
    let session = Session::open(&args.cluster).await?;
    let mirror = watching::begin(&session, clock.clone()).await?;
    let mut changes = mirror.count();
    let wait = async {
        let mut warned = false;
        loop {
            changes.borrow_and_update();
            // The guard must not live across the wait below.
            let (standing, nobody) = {
                let world = mirror.read();
                let standing = stand(&world, &args.name, session.namespace(), args.revision.as_deref());
                (standing, !matches!(world.driver(clock.now()), Driver::Somebody(_)))
            };
            let (exit, text) = standing?;
            if exit != Exit::UnderWay || !args.wait {
                return Ok::<_, anyhow::Error>((exit, text));
            }
            if nobody && !std::mem::replace(&mut warned, true) {
                let namespace = session.namespace();
                tell(&format!("nobody drives {namespace} now; still waiting (canary-tui controller -n {namespace})"));
            }
            if changes.changed().await.is_err() {
                bail!("the watches have ended");
            }
        }
    };
    let ended = match args.timeout {
        None => Some(wait.await),
        Some(limit) => tokio::time::timeout(limit, wait).await.ok(),
    };
    let (exit, text) = match ended {
        Some(ended) => ended?,
        None => {
            let world = mirror.read();
            let (_, text) = stand(&world, &args.name, session.namespace(), args.revision.as_deref())?;
            (Exit::NotInTime, format!("{text}; not ended in time"))
        }
    };
    writeln!(out, "{}", super::plain::escaped(&text))?;
    Ok(exit)
}

/// The verdict of now, in a code and in words.
///
/// # Errors
/// Where there is no such canary or it cannot be driven, and where its target bears another revision than `asked`.
pub fn stand(world: &World, name: &str, namespace: &str, asked: Option<&str>) -> Result<(Exit, String)> {
    let (canary, target) = watching::pair(world, name, namespace)?;
    let revision = world.revision_name(canary, target);
    let revision = revision.as_deref();
    if let (Some(asked), Some(present)) = (asked, revision)
        && asked != present
    {
        bail!("revision {asked} is not what {} bears: that is {present}", target.name);
    }
    let status = &canary.status;
    let (exit, what) = verdict(status, revision);
    let mut text = format!("{name}: {what}, revision {}, version {}", revision.unwrap_or(UNKNOWN), target.version());
    if exit == Exit::UnderWay && status.phase.under_way() {
        let failed = status.failed_checks;
        text.push_str(&format!(", weight {}%, failed checks {failed}", status.canary_weight));
    }
    if canary.paused.is_some() {
        text.push_str(", paused");
    }
    Ok((exit, text))
}

fn verdict(status: &Status, revision: Option<&str>) -> (Exit, String) {
    let Some(revision) = revision else { return (Exit::UnderWay, "waiting for the Deployment controller".into()) };
    let phase = status.phase;
    if status.applied().is_some_and(|applied| applied.to_string() == revision) {
        return match phase {
            Phase::Succeeded | Phase::Initialized => (Exit::Done, phase.to_string()),
            Phase::Failed => (Exit::Failed, phase.to_string()),
            Phase::New => (Exit::UnderWay, "waiting for a driver".into()),
            phase => (Exit::UnderWay, phase.to_string()),
        };
    }
    // The target was set back to what the primary runs.
    if phase.at_rest() && status.last_promoted.as_deref() == Some(Revision::hash_in(revision)) {
        return (Exit::Done, "Succeeded (promoted before)".into());
    }
    let what = match phase {
        phase if phase.under_way() => format!("waiting for the rollout before it to end ({phase})"),
        Phase::New | Phase::Initializing => "waiting to be initialized".into(),
        _ => "waiting for a driver".into(),
    };
    (Exit::UnderWay, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(phase: Phase, applied: &str, promoted: &str) -> Exit {
        let known = |revision: &str| (!revision.is_empty()).then(|| revision.to_string());
        let status =
            Status { phase, last_applied: known(applied), last_promoted: known(promoted), ..Default::default() };
        verdict(&status, Some("now")).0
    }

    #[test]
    fn the_code_speaks_of_the_present_revision_alone() {
        for (phase, applied, promoted, exit) in [
            (Phase::Initialized, "now", "now", Exit::Done),
            (Phase::Succeeded, "now", "now", Exit::Done),
            (Phase::Failed, "now", "old", Exit::Failed),
            (Phase::Progressing, "now", "old", Exit::UnderWay),
            (Phase::Promoting, "now", "old", Exit::UnderWay),
            // The image was set a moment ago: yesterday's end is none of today's.
            (Phase::Succeeded, "old", "old", Exit::UnderWay),
            (Phase::Failed, "bad", "old", Exit::UnderWay),
            (Phase::Progressing, "other", "old", Exit::UnderWay),
            // Set back after a failure.
            (Phase::Failed, "bad", "now", Exit::Done),
            // Set back in the middle: the rollout of the other revision still has to end.
            (Phase::Progressing, "bad", "now", Exit::UnderWay),
            (Phase::New, "", "", Exit::UnderWay),
        ] {
            assert_eq!(of(phase, applied, promoted), exit, "{phase} {applied} {promoted}");
        }
        assert_eq!(verdict(&Status::default(), None).0, Exit::UnderWay);
    }
}
