//! Going elsewhere, in place: to another namespace, to all of them, or to another context of the kubeconfig.

use super::history::History;
use super::message::Command;
use super::model::{Ask, Link, Model, Notice, Overlay, Pane, Tone};
use super::own_checks::Judged;
use super::question::{self, Question};
use super::weights::Weights;

/// What is typed for all namespaces: no namespace can be called so.
pub const ALL: &str = "*";

/// Where the console is to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// A context of the kubeconfig; None: the present one, or where there is none the one that the kubeconfig says.
    pub context: Option<String>,
    pub scope: Scope,
}

/// Which part of a cluster is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The context's own namespace.
    Own,
    Namespace(String),
    Everywhere,
}

/// Goes to a namespace of this context, or with [`ALL`] to all of them.
pub fn to_namespace(model: &mut Model, typed: &str) -> Vec<Command> {
    let name = typed.trim();
    if name != ALL && !is_label(name) {
        return say(model, "a namespace has 1 to 63 lower-case letters, digits and dashes; * stands for all of them");
    }
    let there = if model.everywhere { ALL } else { model.namespace.as_str() };
    if name == there {
        let what = if name == ALL { "all namespaces are" } else { "this namespace is" };
        return say(model, &format!("{what} shown already"));
    }
    let scope = if name == ALL { Scope::Everywhere } else { Scope::Namespace(name.into()) };
    let context = (!model.context.is_empty()).then(|| model.context.clone());
    begin(model, Goal { context, scope })
}

/// Goes to a context: to its own namespace, or to all where all are looked at now.
pub fn to_context(model: &mut Model, typed: &str) -> Vec<Command> {
    let name = typed.trim();
    // What is typed may be newer than what was read.
    let scope = if model.everywhere { Scope::Everywhere } else { Scope::Own };
    begin(model, Goal { context: Some(name.into()), scope })
}

fn say(model: &mut Model, text: &str) -> Vec<Command> {
    model.notice = Some(Notice { tone: Tone::Plain, text: text.into() });
    Vec::new()
}

/// Asks first where rollouts would be left without their driver.
fn begin(model: &mut Model, goal: Goal) -> Vec<Command> {
    if question::quit_needs_asking(model) {
        model.overlay = Some(Overlay::Question(Question::new(Ask::Leave(goal))));
        return Vec::new();
    }
    set_off(model, goal)
}

/// Leaves: nothing of the old place is shown any more, whatever its source still says.
pub fn set_off(model: &mut Model, goal: Goal) -> Vec<Command> {
    model.generation += 1;
    model.everywhere = goal.scope == Scope::Everywhere;
    match &goal.scope {
        Scope::Namespace(namespace) => model.namespace.clone_from(namespace),
        // The source says it as soon as it has read the kubeconfig.
        Scope::Own => model.namespace.clear(),
        Scope::Everywhere => {}
    }
    (model.rows, model.events, model.history) = (Vec::new(), Vec::new(), History::default());
    model.weights = Weights::default();
    model.server.clear();
    (model.selected, model.overlay, model.notice) = (None, None, None);
    if let Some(context) = &goal.context
        && *context != model.context
    {
        model.namespaces.clear();
        model.on_context(context.clone());
    }
    (model.cluster, model.routes, model.prometheus) = (Link::Connecting, Link::Connecting, Link::Connecting);
    model.forget_driver();
    (model.missing, model.narrowed) = (Vec::new(), None);
    model.metric_problems = Default::default();
    model.judged = Judged::default();
    (model.pane, model.only_selected, model.back) = (Pane::Fleet, false, 0);
    model.filter = Default::default();
    model.settle();
    vec![Command::Go { generation: model.generation, goal }]
}

/// What is typed after the words, as far as it is known: of namespaces, those that hold canaries first, and last those that
/// the config file names.
pub fn namespaces(model: &Model) -> Vec<String> {
    let mut names = vec![ALL.to_string()];
    let rows = model.rows.iter().map(|row| &row.namespace);
    let configured = model.config.namespaces(&model.context);
    for name in rows.chain(&model.namespaces).chain(&configured) {
        if names.last() != Some(name) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn is_label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::config::{Config, ContextRule};
    use crate::tui::message::{Msg, Told};
    use crate::tui::model::Driver;
    use crate::tui::scene::{self, press};
    use crate::tui::theme::AUTO;
    use crate::tui::update::{hear, update};

    fn goal(commands: &[Command]) -> Option<(u64, &Goal)> {
        commands.iter().find_map(|command| match command {
            Command::Go { generation, goal } => Some((*generation, goal)),
            _ => None,
        })
    }

    #[test]
    fn nothing_of_the_old_place_is_left_and_nothing_of_it_comes_back() {
        let mut model = scene::at_rest(120, 40);
        let (rows, events) = (model.rows.clone(), model.events.clone());
        press(&mut model, "/cart<enter>e");
        let commands = to_namespace(&mut model, " payments ");
        let wanted = Goal { context: Some("prod-eu".into()), scope: Scope::Namespace("payments".into()) };
        assert_eq!(goal(&commands), Some((1, &wanted)));
        assert_eq!((model.namespace.as_str(), model.shown(), model.events.len()), ("payments", 0, 0));
        assert_eq!((&model.selected, &model.driver), (&None, &Driver::Looking));
        let screen = scene::text(&scene::shot(&model));
        assert!(
            screen.contains("prod-eu ▸ payments") && screen.contains("Reading the canaries of payments"),
            "{screen}"
        );
        assert!(!screen.contains("myapp"), "{screen}");
        for msg in [Msg::Rows(rows.clone()), Msg::Events(events), Msg::Driver(Driver::Here)] {
            assert_eq!(hear(&mut model, Told { generation: 0, msg }), []);
        }
        assert_eq!((model.shown(), model.events.len(), &model.driver), (0, 0, &Driver::Looking));
        hear(&mut model, Told { generation: 1, msg: Msg::Rows(rows) });
        assert_eq!(model.shown(), 3);
    }

    #[test]
    fn whoever_drives_a_rollout_is_asked_first() {
        let mut model = scene::progressing(120, 40);
        assert_eq!(to_context(&mut model, "prod-us"), []);
        assert_eq!((model.generation, model.shown()), (0, 3), "until the answer all stays");
        let screen = scene::text(&scene::shot(&model));
        assert!(screen.contains("Leave for prod-us?") && screen.contains("jx-production-myapp: 30 %"), "{screen}");
        assert_eq!(goal(&press(&mut model, "n")), None);
        to_context(&mut model, "prod-us");
        let commands = press(&mut model, "y");
        let wanted = Goal { context: Some("prod-us".into()), scope: Scope::Own };
        assert_eq!(goal(&commands), Some((1, &wanted)));
        // Whoever only looks on leaves at once.
        let mut model = scene::progressing(120, 40);
        update(&mut model, Msg::Driver(Driver::Other { holder: "alice".into() }));
        assert!(goal(&to_context(&mut model, "prod-us")).is_some());
    }

    #[test]
    fn all_namespaces_stay_all_in_another_context() {
        let mut model = scene::at_rest(120, 40);
        assert!(goal(&to_namespace(&mut model, ALL)).is_some() && model.everywhere);
        assert_eq!(to_namespace(&mut model, ALL), [], "they are shown already");
        let commands = to_context(&mut model, "prod-us");
        assert_eq!(goal(&commands).map(|(_, goal)| &goal.scope), Some(&Scope::Everywhere));
        for nonsense in ["", "A", "a b", "-a", "a/b", "\u{1b}[2J"] {
            assert_eq!(to_namespace(&mut model, nonsense), [], "{nonsense}");
        }
    }

    #[test]
    fn what_the_config_file_says_of_a_context_holds_on_arrival() {
        let rule = ContextRule {
            pattern: "prod-us".into(),
            read_only: Some((true, 3)),
            theme: Some("nord".into()),
            ..ContextRule::default()
        };
        let config = Config { contexts: vec![rule], ..Config::default() };
        let worn = |model: &Model| model.look.chosen.to_string();
        let mut model = scene::at_rest(120, 40);
        model.look.wear(AUTO).unwrap();
        model.configure(config, &[]);
        to_context(&mut model, "prod-us");
        assert_eq!((model.guard.may_write().is_err(), worn(&model).as_str()), (true, "nord"));
        to_context(&mut model, "prod-eu");
        assert_eq!((model.guard.may_write().is_err(), worn(&model).as_str()), (false, AUTO));
        // The kubeconfig's own context is known only once it is read.
        update(
            &mut model,
            Msg::Place {
                context: "prod-us".into(),
                namespace: "default".into(),
                server: "https://203.0.113.8:6443".into(),
            },
        );
        assert_eq!((model.guard.may_write().is_err(), worn(&model).as_str()), (true, "nord"));
        // A theme that was chosen, here or on the command line, stays.
        model.look.wear("light").unwrap();
        to_context(&mut model, "prod-eu");
        assert_eq!(worn(&model), "light");
        model.config.theme_given = Some("light".into());
        to_context(&mut model, "prod-us");
        assert_eq!(worn(&model), "light");
    }

    #[test]
    fn the_palette_offers_those_that_hold_canaries_first() {
        let mut model = scene::at_rest(120, 40);
        model.namespaces = ["default", "jx-production", "payments"].map(String::from).to_vec();
        assert_eq!(namespaces(&model), ["*", "jx-production", "default", "payments"]);
        // Whoever may list none has those of the config file.
        let named = |pattern: &str, names: &[&str]| ContextRule {
            pattern: pattern.into(),
            namespaces: Some(names.iter().map(|name| name.to_string()).collect()),
            ..ContextRule::default()
        };
        model.config.contexts = vec![named("prod-*", &["payments", "web"]), named("test", &["none-of-these"])];
        model.namespaces.clear();
        assert_eq!(namespaces(&model), ["*", "jx-production", "payments", "web"]);
    }
}
