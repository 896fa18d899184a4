//! The states in which each view is looked at.

use super::views::{Ground, View};
use crate::api::{Phase, Verb};
use crate::cluster::PodsRecord;
use crate::cluster::pods::NotReady;
use crate::tui::history::History;
use crate::tui::message::{Command, Msg};
use crate::tui::model::{Driver, Link, Model, Overlay};
use crate::tui::reading::{Answer, Causes, Changes, Served, Staff, Topic};
use crate::tui::row::{Held, Key, Pending, Pods, Row};
use crate::tui::scene::{self, press, reading, time};
use crate::tui::update::update;

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is nothing, or nothing to tell.
    Empty,
    /// Nothing is known yet.
    Loading,
    Normal,
    Failing,
    Paused,
    /// The cluster and Prometheus went away while the view was open.
    Disconnected,
    /// It may not be read, and nothing may be asked for.
    Forbidden,
    /// Every name is as long as it may be.
    Long,
    /// Every name has wide characters.
    Wide,
}

impl State {
    pub fn name(self) -> String {
        format!("{self:?}").to_ascii_lowercase()
    }

    /// What names are in it.
    fn names(self) -> Option<Names> {
        match self {
            State::Long => Some(Names {
                context: "arn:aws:eks:eu-central-1:123456789012:cluster/production-platform-blue",
                namespace: "team-payments-and-billing-platform-production-eu-central-1-blue",
                canary: "checkout-and-payment-orchestration-service-for-european-markets",
                version: "release-2026-11-22-0123456789abcdef0123456789abcdef01234567",
                person: "arn:aws:sts::123456789012:assumed-role/production-operators-of-payments/alice@example.com",
            }),
            State::Wide => Some(Names {
                context: "本番-東京",
                namespace: "決済チームの名前空間",
                canary: "カナリア-決済サービス-本番環境",
                version: "版1.1.0-リリース候補",
                person: "アリス@例え.jp",
            }),
            _ => None,
        }
    }
}

/// Names in the place of those that the scenes have.
struct Names {
    context: &'static str,
    namespace: &'static str,
    canary: &'static str,
    version: &'static str,
    person: &'static str,
}

impl Names {
    fn of(&self, text: &str) -> String {
        text.replace("jx-production-myapp", "\u{1}")
            .replace("jx-production", self.namespace)
            .replace('\u{1}', self.canary)
            .replace("checkout", self.canary)
            .replace("1.1.0", self.version)
            .replace("alice@example.com", self.person)
    }

    fn change(&self, texts: &mut [&mut String]) {
        texts.iter_mut().for_each(|text| **text = self.of(text));
    }
}

const REFUSED: &str = "not permitted: canaries.flagger.app \"jx-production-myapp\" is forbidden: User \"eve\" cannot get \
                       resource \"canaries\" in API group \"flagger.app\" in the namespace \"jx-production\"";

/// A view in a state, after these keys.
pub fn model(view: &View, state: State, (width, height): (u16, u16), keys: &str) -> Model {
    let mut model = ground(view.ground, state, width, height);
    model.guard.protected = view.protected;
    if !matches!(state, State::Empty | State::Loading | State::Forbidden) {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        model.namespaces = names(&["jx-production", "jx-staging", "payments"]);
        model.contexts = names(&["prod-eu", "prod-us", "staging"]);
    }
    if let Some(names) = state.names() {
        rename(&mut model, &names);
    }
    let keys = state.names().map_or(keys.to_string(), |names| names.of(keys));
    let commands = press(&mut model, &keys);
    answer(&mut model, state, commands);
    if state == State::Disconnected {
        let cluster = Link::Lost { since: time("12:04:31"), why: "Connection refused (os error 111)".into() };
        update(&mut model, Msg::Cluster { routes: cluster.clone(), cluster, missing: Vec::new() });
        let prometheus = Link::Lost { since: time("12:04:33"), why: "no answer within 5 s".into() };
        update(&mut model, Msg::Prometheus(prometheus));
    }
    model
}

/// The console before anything is pressed.
fn ground(ground: Ground, state: State, width: u16, height: u16) -> Model {
    let everywhere = ground == Ground::Everywhere;
    let whole = everywhere || ground == Ground::Console;
    if whole && matches!(state, State::Empty | State::Loading | State::Forbidden) {
        let mut model = scene::unheard(width, height);
        model.everywhere = everywhere;
        let scope = if everywhere { "at the cluster scope" } else { "in the namespace \"jx-production\"" };
        let what = format!(
            "canaries.flagger.app is forbidden: User \"eve\" cannot list resource \"canaries\" in API group \
             \"flagger.app\" {scope}"
        );
        let cluster = match state {
            State::Empty => Link::Live,
            State::Forbidden => Link::Forbidden { what },
            _ => return model,
        };
        let routes = if cluster == Link::Live { Link::Live } else { Link::Connecting };
        update(&mut model, Msg::Cluster { cluster, routes, missing: Vec::new() });
        return model;
    }
    let mut model = match (ground, state) {
        (Ground::Everywhere, _) => scene::everywhere(width, height),
        (Ground::Gate, State::Empty) | (Ground::Rest | Ground::Rollout, State::Empty) => scene::at_rest(width, height),
        (Ground::Console | Ground::Rollout, State::Failing) => scene::failing(width, height),
        (Ground::Console | Ground::Rollout, _) => scene::progressing(width, height),
        (Ground::Gate, _) => scene::at_a_gate(width, height),
        (Ground::Rest, _) => scene::at_rest(width, height),
    };
    match state {
        State::Empty => nothing_to_tell(&mut model),
        State::Loading => nothing_known(&mut model),
        State::Failing => fail(&mut model, ground),
        State::Paused => pause(&mut model),
        State::Forbidden => forbid(&mut model),
        State::Normal | State::Disconnected | State::Long | State::Wide => {}
    }
    model
}

/// Changes the selected canary, or all of them.
fn change(model: &mut Model, all: bool, mut how: impl FnMut(&mut Row)) {
    let selected = model.selected.clone();
    let mut rows = model.rows.clone();
    let chosen = |row: &Row| all || selected.as_ref().is_some_and(|key| row.is(key));
    rows.iter_mut().filter(|row| chosen(row)).for_each(|row| how(row));
    update(model, Msg::Rows(rows));
}

fn forget(model: &mut Model) {
    let at = model.history.at;
    model.history = History::default();
    model.history.at = at;
    model.events.clear();
    model.pods.clear();
}

fn nothing_to_tell(model: &mut Model) {
    forget(model);
    change(model, false, |row| {
        row.phase = Phase::Initialized;
        row.offered.clear();
        row.primary.pods = Some(Pods { ready: 0, desired: 0 });
    });
}

fn nothing_known(model: &mut Model) {
    forget(model);
    update(model, Msg::Cluster { cluster: Link::Live, routes: Link::Connecting, missing: Vec::new() });
    update(model, Msg::Prometheus(Link::Connecting));
    model.forget_driver();
    change(model, false, |row| row.live_weight = None);
}

fn fail(model: &mut Model, ground: Ground) {
    change(model, ground == Ground::Everywhere, |row| {
        row.failed_checks = 3;
        if ground == Ground::Rest {
            (row.phase, row.failed_checks) = (Phase::Failed, 5);
            row.canary.image = row.canary.image.replace(":1.0.0", ":1.1.0").into();
        }
        if row.phase.under_way() {
            row.canary.pods = Some(Pods { ready: 1, desired: 3 });
        }
        row.standing.phase = row.phase;
    });
    let Some(workload) = model.row().map(|row| row.canary.workload.clone()) else { return };
    let reason = "CrashLoopBackOff: back-off 5m0s restarting failed container (app)";
    let pods = PodsRecord {
        pods: 3,
        restarts: 7,
        last_end: Some(("OOMKilled".into(), time("12:04:30"))),
        not_ready: 2,
        reasons: vec![NotReady { pod: "jx-production-myapp-5d8f7c9b64-x2x4z".into(), reason: reason.into() }],
        more: false,
    };
    update(model, Msg::Pods { workload, pods: Ok(pods) });
}

fn pause(model: &mut Model) {
    change(model, false, |row| {
        row.standing.paused = true;
        let reason = "waiting for the support team".into();
        row.paused = Some(Held { by: "alice@example.com".into(), at: time("12:04:35"), reason }.into());
        row.pending = Some(Pending { verb: Verb::Promote, by: "bob@example.com".into(), at: time("12:04:47") }.into());
    });
}

fn forbid(model: &mut Model) {
    forget(model);
    let missing = vec!["events in jx-production".to_string(), "secrets in jx-production".to_string()];
    let routes = Link::Forbidden { what: "list virtualservices.networking.istio.io in jx-production".into() };
    update(model, Msg::Cluster { cluster: Link::Live, routes, missing });
    update(model, Msg::Prometheus(Link::Forbidden { what: "get services/proxy in istio-system".into() }));
    update(model, Msg::Rights(Some("patch canaries.flagger.app in jx-production".into())));
    let Some([primary, canary]) = model.row().map(|row| [&row.primary, &row.canary].map(|side| side.workload.clone()))
    else {
        return;
    };
    for workload in [primary, canary] {
        update(model, Msg::Pods { workload, pods: Err("you may not list pods in jx-production".into()) });
    }
}

/// Gives everything that has a name another one.
fn rename(model: &mut Model, names: &Names) {
    model.context = names.context.into();
    names.change(&mut [&mut model.namespace]);
    model.namespaces.iter_mut().for_each(|name| *name = names.of(name));
    model.contexts.push(names.context.into());
    let renamed = |key: &mut Key| names.change(&mut [&mut key.namespace, &mut key.name]);
    let mut rows = model.rows.clone();
    for row in &mut rows {
        names.change(&mut [&mut row.namespace, &mut row.name]);
        for side in [&mut row.primary, &mut row.canary] {
            renamed(&mut side.workload);
            side.image = names.of(&side.image).into();
        }
        row.offered.iter_mut().for_each(|(tag, note)| names.change(&mut [tag, note]));
        row.containers.iter_mut().for_each(|(name, image)| names.change(&mut [name, image]));
        if let Some(gate) = &mut row.gate {
            gate.name = format!("approve-{}", names.canary);
        }
    }
    let mut selected = model.selected.clone();
    selected.iter_mut().for_each(renamed);
    update(model, Msg::Rows(rows.clone()));
    model.selected = selected;
    model.settle();
    let driver = Driver::Other { holder: format!("canary-tui-{}-7d9c@node-3 (1)", names.canary) };
    let here = model.drivers.is_empty();
    model.drivers =
        std::mem::take(&mut model.drivers).into_keys().map(|key| (names.of(&key), driver.clone())).collect();
    if here {
        update(model, Msg::Driver(Driver::Here));
    }
    let events = std::mem::take(&mut model.events).into_iter().map(|event| {
        let mut event = (*event).clone();
        (event.namespace, event.name) = (names.of(&event.namespace).into(), names.of(&event.name).into());
        names.change(&mut [&mut event.canary, &mut event.message]);
        event.into()
    });
    let events = events.collect();
    update(model, Msg::Events(events));
    scene::measure(model, &rows);
}

/// Answers what the view asks.
fn answer(model: &mut Model, state: State, commands: Vec<Command>) {
    if state == State::Loading {
        return;
    }
    if matches!(model.overlay, Some(Overlay::Versions(_))) {
        let past = match state {
            State::Forbidden => Err("not permitted: replicasets.apps is forbidden: User \"eve\" cannot list resource \
                                     \"replicasets\" in API group \"apps\" in the namespace \"jx-production\""
                .into()),
            State::Empty => Ok(Vec::new()),
            _ => Ok(scene::past()),
        };
        let asked = model.asked;
        update(model, Msg::Past { asked, past });
    }
    let range = model.charts.range;
    let sides = model.row().map(|row| [row.primary.workload.clone(), row.canary.workload.clone()]);
    match (&model.overlay, state) {
        (Some(Overlay::Charts), State::Empty | State::Forbidden) => {
            for workload in sides.into_iter().flatten() {
                let samples = match state {
                    State::Empty => Ok(Vec::new()),
                    _ => Err("not permitted: get services/proxy in istio-system".into()),
                };
                update(model, Msg::Remembered { workload, range: range.asked(), samples });
            }
        }
        (Some(Overlay::Charts), _) => scene::remember(model, range),
        _ => {}
    }
    let ask = commands.into_iter().find_map(|command| match command {
        Command::Read(ask) => ask,
        _ => None,
    });
    if let Some(ask) = ask {
        let answer = match state {
            State::Forbidden => Err(REFUSED.to_string()),
            State::Empty => Ok(without_content(ask.topic)),
            _ => Ok(with_content(ask.topic, state)),
        };
        update(model, Msg::Answer { ask, answer });
    }
}

/// What is found of a canary that has just been made.
fn without_content(topic: Topic) -> Answer {
    match topic {
        Topic::Why => Answer::Why(Box::new(Causes {
            checks: Vec::new(),
            deadline: std::time::Duration::from_secs(600),
            sides: vec![Staff { workload: "jx-production-myapp".into(), pods: None, missing: None }],
            history: Ok(Default::default()),
        })),
        Topic::Routes => match reading::served() {
            Answer::Routes(served) => Answer::Routes(Box::new(Served {
                way: Err("it is not there yet".into()),
                live: Default::default(),
                entrances: Vec::new(),
                ..*served
            })),
            other => other,
        },
        Topic::Describe => Answer::Describe(Vec::new()),
        Topic::Diff => Answer::Diff(Box::new(Changes {
            workloads: ["jx-production-myapp-primary".into(), "jx-production-myapp".into()],
            ..Changes::default()
        })),
    }
}

fn with_content(topic: Topic, state: State) -> Answer {
    let answer = match topic {
        Topic::Why => reading::causes(),
        Topic::Routes => reading::served(),
        Topic::Describe => reading::described(),
        Topic::Diff => reading::changes(),
    };
    let Some(names) = state.names() else { return answer };
    let other = |text: &mut String| *text = names.of(text);
    match answer {
        Answer::Why(mut why) => {
            for check in &mut why.checks {
                check.name = format!("{} of {}", check.name, names.canary);
                if let Ok((query, whom)) = &mut check.question {
                    names.change(&mut [query, whom]);
                }
            }
            for side in &mut why.sides {
                other(&mut side.workload);
                for pod in side.pods.iter_mut().flatten().flatten() {
                    other(&mut pod.name);
                    pod.reasons.iter_mut().for_each(other);
                }
            }
            for rollout in why.history.iter_mut().flat_map(|history| &mut history.rollouts) {
                rollout.images.values_mut().for_each(other);
                rollout.said.iter_mut().for_each(|said| other(&mut said.text));
                rollout.checks.iter_mut().for_each(|check| check.name = format!("{} of {}", check.name, names.canary));
            }
            Answer::Why(why)
        }
        Answer::Routes(mut routes) => {
            other(&mut routes.object);
            routes.services.iter_mut().for_each(other);
            if let Ok(way) = &mut routes.way {
                way.hosts.iter_mut().for_each(other);
                for rule in &mut way.rules {
                    rule.to.iter_mut().for_each(|to| other(&mut to.host));
                    rule.mirrors.iter_mut().for_each(|(host, _)| other(host));
                    rule.conditions.push(format!("header x-canary is {}", names.canary));
                }
            }
            for entrance in &mut routes.entrances {
                entrance.name = names.namespace.into();
            }
            Answer::Routes(routes)
        }
        Answer::Describe(lines) => Answer::Describe(lines.iter().map(|line| names.of(line)).collect()),
        Answer::Diff(mut diff) => {
            diff.workloads.iter_mut().for_each(other);
            let settings = |value: &str| serde_json::json!({ names.canary: value, "image": names.of("gcr.io/1.1.0") });
            diff.template.extend(crate::api::shapes::differences(&settings(names.version), &settings(names.person)));
            diff.configs.iter_mut().for_each(|config| config.key = format!("configmap/{}", names.canary));
            Answer::Diff(diff)
        }
    }
}
