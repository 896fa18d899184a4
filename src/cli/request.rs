//! `canary-tui start`, `pause`, `resume`, `advance`, `promote`, `abort`, `open` and `release`: a request is written on the
//! Canary, and its outcome waited for. Traffic is never touched from here.

use super::args::Ask;
use super::exit::{Exit, tell};
use super::plain::escaped;
use super::session::{Session, connect, within};
use super::watching;
use crate::api::{Phase, Verb};
use crate::cluster::access::whoami;
use crate::cluster::records::tag;
use crate::cluster::requests::{Outcome, RequestError, Sent, Wish, outcome, send};
use crate::cluster::{CanaryRecord, Clock, Driver, Health, Mirror, Source, World, flagger, remains};
use crate::rollout::{Past, Standing, Way, allowed, choose_container};
use crate::tui::config::Config;
use crate::tui::row::Key;
use crate::tui::watching::rows;
use crate::tui::{model, question};
use anyhow::{Result, anyhow, bail};
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

/// How long the Deployment controller may take to name a revision that was made a moment ago.
const NAMING: Duration = Duration::from_secs(5);
/// How long a request may take that waits for nothing but the driver and its checks.
const PROMPT: Duration = Duration::from_secs(30);

/// Asks, writes, waits.
pub async fn run(mut ask: Ask, config: &Config, clock: Clock, out: &mut dyn Write) -> Result<Exit> {
    let verb = ask.verb;
    let connection = connect(&ask.request.cluster).await?;
    let guard = config.guard(&connection.context);
    if let Err(why) = guard.may_write() {
        writeln!(out, "refused: {verb} of {}: {}", escaped(&ask.request.name), escaped(&why))?;
        return Ok(Exit::Failed);
    }
    let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !ask.request.yes && !asks {
        bail!("{verb} changes the cluster and there is no terminal to ask on: give --yes");
    }
    let session = Session::over(connection).await?;
    let (mirror, by) = futures::join!(watching::begin(&session, clock.clone()), whoami(&session.connection.client));
    let mirror = mirror?;
    let by = by.map_err(|why| anyhow!(why))?;
    revision_named(&mirror, &ask.request.name).await;

    let mut past = None;
    if let Some(number) = ask.to_revision {
        let Session { connection, kinds } = &session;
        let name = &ask.request.name;
        let found = remains::past(&connection.client, kinds, &mirror, session.namespace(), name).await;
        let found = found.map_err(|why| anyhow!("cannot tell which versions the target of {name} had: {why}"))?;
        match back_to(found, number, &target(&mirror.read(), name), session.namespace()) {
            Ok((container, image, otherwise)) => {
                (ask.container, ask.image) = (Some(container), Some(image));
                // Who is not asked is told.
                if ask.request.yes && !otherwise.is_empty() {
                    tell(&question::brought_back(number, &otherwise));
                }
                past = Some((number, otherwise));
            }
            Err(why) => {
                writeln!(out, "refused: {verb} of {}: {}", escaped(name), escaped(&why))?;
                return Ok(Exit::Failed);
            }
        }
    }
    let (wish, question) = {
        let world = mirror.read();
        match prepare(&world, &ask, session.namespace(), past)? {
            Prepared::Refused(why) => {
                drop(world);
                writeln!(out, "refused: {}", escaped(&why))?;
                return Ok(Exit::Failed);
            }
            Prepared::Ready(wish, question) => (*wish, question),
        }
    };
    if let Some(why) = no_driver(&mirror, &session, &clock).await {
        tell(&why);
        return Ok(Exit::NotInTime);
    }
    if !ask.request.yes && !confirmed(question, guard.protected.then(|| wish.canary.clone())).await? {
        tell("nothing was changed");
        return Ok(Exit::Failed);
    }

    let Session { connection, kinds } = &session;
    // Known now: it goes with the canary.
    let (limit, target) = (limit(&mirror.read(), &wish), target(&mirror.read(), &wish.canary));
    let sent = send(connection, kinds, &by, &wish, clock.now()).await?;
    let end = tokio::select! {
        end = outcome(connection, &sent, limit) => end,
        () = driver_gone(&mirror, &clock) => {
            tell("the driver has gone; the request stays on the canary for the next one");
            return Ok(Exit::NotInTime);
        }
    };
    match end {
        Ok(Outcome::CarriedOut(message)) => {
            writeln!(out, "{}", escaped(&message))?;
            if verb != Verb::Release {
                return Ok(Exit::Done);
            }
            let name = &sent.canary;
            let why = tokio::select! {
                () = gone(&mirror, &sent) => {
                    let end = format!("canary {name} is deleted, and its traffic is back on Deployment {target}");
                    writeln!(out, "{}", escaped(&end))?;
                    return Ok(Exit::Done);
                }
                () = driver_gone(&mirror, &clock) => "the driver has gone; the next one goes on".to_string(),
                () = tokio::time::sleep(limit) => format!("that was not so within {} s", limit.as_secs()),
            };
            tell(&format!("canary {name} is deleted once its traffic is back on Deployment {target}: {why}"));
            Ok(Exit::NotInTime)
        }
        Ok(Outcome::Refused(message)) => {
            writeln!(out, "{}", escaped(&message))?;
            Ok(Exit::Failed)
        }
        Err(error @ RequestError::NoOutcome(_)) => {
            tell(&error.to_string());
            Ok(Exit::NotInTime)
        }
        Err(error) => Err(error.into()),
    }
}

enum Prepared {
    Ready(Box<Wish>, String),
    /// It would be refused; nothing need be written for that.
    Refused(String),
}

/// By which image, on which container, a start leads back to a revision of a Deployment, and what that had otherwise.
///
/// # Errors
/// A clause that says why it does not.
fn back_to(
    found: Vec<Past>,
    number: u64,
    target: &str,
    namespace: &str,
) -> std::result::Result<(String, String, Vec<String>), String> {
    let numbers: Vec<String> = found.iter().map(|past| past.number.to_string()).collect();
    let past = found.into_iter().find(|past| past.number == number).ok_or_else(|| match &numbers[..] {
        [] => format!("there is no revision {number}: no ReplicaSet of the target is left"),
        _ => format!("there is no revision {number}; its ReplicaSets are of {}", numbers.join(", ")),
    })?;
    match past.way {
        Way::Image { container, image, otherwise } => Ok((container, image, otherwise)),
        Way::Present => Err(format!("the target is at revision {number} now: there is nothing to bring back")),
        Way::Barred(why) => Err(question::undone(number, &why, target, namespace)),
    }
}

/// The request, and the question that goes before it. `past` is the revision that the image is to bring back.
fn prepare(world: &World, ask: &Ask, namespace: &str, past: Option<(u64, Vec<String>)>) -> Result<Prepared> {
    let name = &ask.request.name;
    let (canary, target) = watching::pair(world, name, namespace)?;
    let revision = world.revision_name(canary, target);
    let standing =
        Standing { phase: canary.status.phase, paused: canary.paused.is_some(), revision_known: revision.is_some() };
    if let Err(why) = allowed(ask.verb, standing) {
        return Ok(Prepared::Refused(format!("{} of {name}: {why}", ask.verb)));
    }
    // An abort may name what is being rolled out while the newest template has no revision yet.
    let Some(revision) = revision.or_else(|| canary.status.applied().map(|revision| revision.to_string())) else {
        return Ok(Prepared::Refused(format!("{} of {name}: the target's revision is not known yet", ask.verb)));
    };
    let gate = match ask.verb {
        Verb::Open => match gate(canary, ask.gate.as_deref()) {
            Ok(gate) => Some(gate),
            Err(why) => return Ok(Prepared::Refused(format!("{} of {name}: {why}", ask.verb))),
        },
        _ => None,
    };
    let container = choose_container(&target.containers, ask.container.as_deref(), &target.name);
    let (container, image) = match (&ask.version, container) {
        (Some(version), Ok((container, image))) => (Some(container.to_string()), Some(with_tag(image, version))),
        (Some(_), Err(why)) => bail!("cannot start {name}: {why} (--container)"),
        (None, container) => (container.ok().map(|(container, _)| container.to_string()), ask.image.clone()),
    };
    let asked = model::Wish {
        number: 0,
        verb: ask.verb,
        canary: Key::new(namespace, name),
        revision: String::new(),
        image: image.clone(),
        container,
        version: image.as_deref().map(tag).unwrap_or_default().to_string(),
        past,
        gate: gate.clone(),
        reason: ask.request.reason.clone(),
    };
    let question = question(world, asked);
    let wish = Wish {
        canary: name.clone(),
        verb: ask.verb,
        revision,
        reason: ask.request.reason.clone(),
        image,
        container: ask.container.clone(),
        gate,
    };
    Ok(Prepared::Ready(Box::new(wish), question))
}

/// The gate to open: the one that is named, else the one that holds the rollout.
///
/// # Errors
/// A clause that says which gates there are.
fn gate(canary: &CanaryRecord, named: Option<&str>) -> std::result::Result<String, String> {
    let spec = canary.spec.as_deref().ok().or(canary.partial.as_deref());
    let hooks = spec.map(|spec| spec.analysis.webhooks.as_slice()).unwrap_or_default();
    let gates: Vec<&str> = hooks.iter().filter(|hook| hook.kind.is_gate()).map(|hook| hook.name.as_str()).collect();
    let shut = canary.gate.as_ref();
    let list = match gates.is_empty() {
        true => "it has no gates".to_string(),
        false => format!("its gates are {}", gates.join(", ")),
    };
    match named {
        Some(name) if gates.contains(&name) => Ok(name.to_string()),
        Some(name) => Err(format!("there is no gate {name}; {list}")),
        None => match shut {
            Some(gate) if gates.contains(&gate.name.as_str()) => Ok(gate.name.clone()),
            Some(gate) if gate.is_manual() => Err(format!("it waits to be started: canary-tui start {}", canary.name)),
            _ => Err(format!("no gate is shut: name the one to open with --gate; {list}")),
        },
    }
}

/// What will happen to whom, in the console's words.
fn question(world: &World, mut wish: model::Wish) -> String {
    let Some(row) = rows(world, Duration::ZERO).into_iter().find(|row| row.is(&wish.canary)) else {
        return format!("{} {}?", wish.verb, wish.canary);
    };
    if wish.image.is_none() {
        wish.version = row.canary.version().to_string();
    }
    let (title, body) = question::asked(&wish, &row);
    format!("{title} {}", body.join(" "))
}

/// The image with another tag; a digest falls away with the tag that it belonged to.
fn with_tag(image: &str, tag: &str) -> String {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let bare = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
    format!("{bare}:{tag}")
}

/// A new template has no revision for a moment: a script's `kubectl set image` may lie just behind.
async fn revision_named(mirror: &Mirror, name: &str) {
    let mut changes = mirror.count();
    let named = async {
        loop {
            changes.borrow_and_update();
            {
                let world = mirror.read();
                match watching::pair(&world, name, "") {
                    Ok((_, target)) if world.revision(target).is_none() => {}
                    _ => return,
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(NAMING, named).await;
}

/// Why nobody would carry a request out; None where somebody would, or where it cannot be known.
async fn no_driver(mirror: &Mirror, session: &Session, clock: &Clock) -> Option<String> {
    if !driverless(mirror, clock) {
        return None;
    }
    let namespace = session.namespace();
    let at_work = within(flagger::at_work(&session.connection.client, namespace, clock.now()))
        .await
        .ok()
        .and_then(Result::ok)
        .flatten();
    Some(match at_work {
        Some(sign) => {
            format!("Flagger drives the canaries here ({sign}), and it knows no requests; nothing was written")
        }
        None => format!(
            "nobody drives the rollouts of {namespace}, so nothing was written: open the console there, or run \
             canary-tui controller -n {namespace}"
        ),
    })
}

fn driverless(mirror: &Mirror, clock: &Clock) -> bool {
    let world = mirror.read();
    let known = world.health.get(&Source::Lease) == Some(&Health::Live);
    known && !matches!(world.driver(clock.now()), Driver::Somebody(_))
}

/// Comes when the driver has given its lease back or has stopped renewing it.
async fn driver_gone(mirror: &Mirror, clock: &Clock) {
    let mut changes = mirror.count();
    loop {
        changes.borrow_and_update();
        if driverless(mirror, clock) {
            return;
        }
        // A lease runs out without a change.
        let look = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        if matches!(look, Ok(Err(_))) {
            return std::future::pending().await;
        }
    }
}

/// Name of the Deployment that a Canary releases.
fn target(world: &World, canary: &str) -> String {
    let spec = world.canaries.get(canary).and_then(|c| c.spec.as_deref().ok().or(c.partial.as_deref()));
    spec.map_or_else(String::new, |spec| spec.target.clone())
}

/// Comes when the Canary is there no more; another of the same name is not it.
async fn gone(mirror: &Mirror, sent: &Sent) {
    let mut changes = mirror.count();
    loop {
        changes.borrow_and_update();
        if mirror.read().canaries.get(&sent.canary).is_none_or(|canary| canary.uid != sent.uid) {
            return;
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// How long the outcome may take: a promotion that was asked for still waits for ready pods, and an abort of one for
/// the primary's; after a release the target's are waited for.
fn limit(world: &World, wish: &Wish) -> Duration {
    let canary = world.canaries.get(&wish.canary);
    let waits = match wish.verb {
        Verb::Promote | Verb::Release => true,
        Verb::Abort => canary.is_some_and(|c| matches!(c.status.phase, Phase::Promoting | Phase::Finalising)),
        _ => false,
    };
    let deadline = canary.and_then(|c| c.spec.as_deref().ok()).map_or(PROMPT, |spec| spec.progress_deadline);
    if waits { PROMPT + deadline } else { PROMPT }
}

/// The operator's answer; anything but yes is no, and on a protected context anything but the canary's name.
async fn confirmed(question: String, name: Option<String>) -> Result<bool> {
    let answer = tokio::task::spawn_blocking(move || {
        let mut err = io::stderr().lock();
        match &name {
            None => write!(err, "{} [y/N] ", escaped(&question))?,
            Some(name) => write!(err, "{} Type {} for yes: ", escaped(&question), escaped(name))?,
        }
        err.flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        io::Result::Ok(is_yes(&line, name.as_deref()))
    })
    .await??;
    Ok(answer)
}

fn is_yes(answer: &str, name: Option<&str>) -> bool {
    match name {
        None => matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
        Some(name) => answer.trim() == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{ClusterArgs, RequestArgs};
    use crate::cluster::{ReplicaSetRecord, Uid, WorkloadRecord};
    use crate::rollout::Fate;
    use serde_json::json;
    use std::num::NonZeroU64;

    fn ask(verb: Verb) -> Ask {
        let request =
            RequestArgs { name: "web".into(), reason: "r".into(), yes: true, cluster: ClusterArgs::default() };
        Ask { verb, request, image: None, version: None, to_revision: None, container: None, gate: None }
    }

    fn world(phase: &str) -> World {
        let mut world = World::default();
        world.canaries.insert(
            "web".into(),
            CanaryRecord::of(&json!({
                "metadata": {"name": "web", "namespace": "prod"},
                "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    "service": {"port": 80}, "analysis": {"stepWeight": 10}},
                "status": {"phase": phase, "lastAppliedSpec": "applied"},
            })),
        );
        world.workloads.insert(
            "web".into(),
            WorkloadRecord::of(&json!({
                "metadata": {"name": "web", "uid": "u", "annotations": {"deployment.kubernetes.io/revision": "2"}},
                "spec": {"template": {"spec": {"containers": [
                    {"name": "side", "image": "side:9"}, {"name": "web", "image": "reg:5000/web:1.0.0"}]}}},
            })),
        );
        world.replica_sets.insert(ReplicaSetRecord::new("web-x", "present", NonZeroU64::new(2), Uid::of("u")));
        world
    }

    #[test]
    fn a_request_names_the_present_revision_and_the_full_image() {
        let start = Ask { version: Some("1.1.0".into()), ..ask(Verb::Start) };
        let Prepared::Ready(wish, question) = prepare(&world("Succeeded"), &start, "prod", None).unwrap() else {
            panic!()
        };
        assert_eq!((wish.revision.as_str(), wish.image.as_deref()), ("present", Some("reg:5000/web:1.1.0")));
        assert!(question.starts_with("Start 1.1.0 of web? "), "{question}");
        let change = "Container web of the Deployment web gets reg:5000/web:1.1.0 instead of reg:5000/web:1.0.0.";
        assert!(question.contains(change), "{question}");
    }

    #[test]
    fn what_the_driver_would_refuse_is_not_written() {
        let Prepared::Refused(why) = prepare(&world("Succeeded"), &ask(Verb::Abort), "prod", None).unwrap() else {
            panic!()
        };
        assert_eq!(why, "abort of web: no rollout is under way");
    }

    #[test]
    fn an_abort_is_not_held_up_by_a_revision_without_a_name() {
        let mut world = world("Progressing");
        world.replica_sets.clear();
        let Prepared::Ready(wish, _) = prepare(&world, &ask(Verb::Abort), "prod", None).unwrap() else { panic!() };
        assert_eq!(wish.revision, "applied");
        assert!(matches!(prepare(&world, &ask(Verb::Promote), "prod", None).unwrap(), Prepared::Refused(_)));
    }

    #[test]
    fn the_gate_that_is_shut_is_the_one_to_open() {
        let with = |annotations: serde_json::Value| {
            let mut world = world("WaitingPromotion");
            let hook = |name: &str, kind: &str| json!({"name": name, "type": kind, "url": "http://gate/"});
            let hooks =
                [hook("first", "confirm-rollout"), hook("second", "confirm-promotion"), hook("check", "rollout")];
            let canary = CanaryRecord::of(&json!({
                "metadata": {"name": "web", "namespace": "prod", "annotations": annotations},
                "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    "service": {"port": 80}, "analysis": {"stepWeight": 10, "webhooks": hooks}},
                "status": {"phase": "WaitingPromotion", "lastAppliedSpec": "applied"},
            }));
            world.canaries.insert("web".into(), canary);
            world
        };
        let mark = |name: &str, kind: &str| {
            let gate = json!({"name": name, "kind": kind, "since": "2026-11-22T12:04:00Z"});
            json!({"canary-tui/gate": gate.to_string()})
        };
        let open = |gate: Option<&str>| Ask { gate: gate.map(str::to_string), ..ask(Verb::Open) };
        let shut = with(mark("second", "confirm-promotion"));
        let Prepared::Ready(wish, question) = prepare(&shut, &open(None), "prod", None).unwrap() else { panic!() };
        assert_eq!(wish.gate.as_deref(), Some("second"));
        assert!(question.starts_with("Open gate second of web? "), "{question}");
        let Prepared::Ready(wish, _) = prepare(&shut, &open(Some("first")), "prod", None).unwrap() else { panic!() };
        assert_eq!(wish.gate.as_deref(), Some("first"));
        for (world, gate, why) in [
            (with(json!({})), None, "no gate is shut"),
            (with(mark("start", "manual")), None, "canary-tui start web"),
            (shut, Some("check"), "there is no gate check; its gates are first, second"),
        ] {
            let Prepared::Refused(said) = prepare(&world, &open(gate), "prod", None).unwrap() else { panic!("{why}") };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_revision_that_it_had_is_named_by_its_number() {
        let past = |number: u64, way: Way| Past {
            number,
            since: None,
            image: "web:1".into(),
            serves: false,
            fate: Fate::Unknown,
            way,
        };
        let by = Way::Image { container: "web".into(), image: "web:1".into(), otherwise: vec!["env of web".into()] };
        let found = || vec![past(3, Way::Present), past(2, Way::Barred("it is barred".into())), past(1, by.clone())];
        let back_to = |found, number| back_to(found, number, "web", "prod");
        assert_eq!(back_to(found(), 1), Ok(("web".into(), "web:1".into(), vec!["env of web".into()])));
        for (found, number, why) in [
            (found(), 9, "its ReplicaSets are of 3, 2, 1"),
            (found(), 3, "is at revision 3 now"),
            (found(), 2, "it is barred: kubectl rollout undo deployment web -n prod --to-revision=2"),
            (Vec::new(), 1, "no ReplicaSet of the target is left"),
        ] {
            assert!(back_to(found, number).unwrap_err().contains(why), "{why}");
        }
        let back = Ask { image: Some("web:1".into()), container: Some("web".into()), ..ask(Verb::Start) };
        let past = Some((1, vec!["env of web".to_string()]));
        let Prepared::Ready(wish, question) = prepare(&world("Succeeded"), &back, "prod", past).unwrap() else {
            panic!()
        };
        assert_eq!((wish.image.as_deref(), wish.container.as_deref()), (Some("web:1"), Some("web")));
        assert!(question.contains("Revision 1 also had otherwise: env of web."), "{question}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = prepare(&World::default(), &ask(Verb::Abort), "prod", None).err().unwrap().to_string();
        assert!(error.contains("no canary web in namespace prod"), "{error}");
        let mut without = world("Progressing");
        without.workloads.clear();
        let error = prepare(&without, &ask(Verb::Abort), "prod", None).err().unwrap().to_string();
        assert!(error.contains("no Deployment web"), "{error}");
    }

    #[test]
    fn a_protected_context_takes_the_name_for_a_yes_and_nothing_else() {
        for (answer, name, yes) in [
            ("y\n", None, true),
            ("YES\n", None, true),
            ("\n", None, false),
            ("web\n", None, false),
            ("web\n", Some("web"), true),
            ("y\n", Some("web"), false),
            ("web-2\n", Some("web"), false),
            ("", Some("web"), false),
        ] {
            assert_eq!(is_yes(answer, name), yes, "{answer:?} {name:?}");
        }
    }

    #[test]
    fn a_tag_is_put_in_the_place_of_the_tag() {
        assert_eq!(with_tag("web", "2"), "web:2");
        assert_eq!(with_tag("reg:5000/a/web", "2"), "reg:5000/a/web:2");
        assert_eq!(with_tag("reg:5000/a/web:1@sha256:00", "2"), "reg:5000/a/web:2");
    }
}
