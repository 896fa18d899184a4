//! What a question says: the act, and what will happen to whom, from the figures that stand on the screen now.

use super::guard::Guard;
use super::keys;
use super::model::{Ask, Driver, Model, Wish, version_text};
use super::row::Row;
use super::switch::Scope;
use crate::api::{Phase, Strategy, Verb, duration};
use tui_input::Input;

/// Differences that are named.
const MOST_NAMED: usize = 4;

/// A question that is asked before anything is done.
#[derive(Clone, Debug)]
pub struct Question {
    pub ask: Ask,
    /// What has the keyboard; it begins on No.
    pub focus: Focus,
    /// Why it is to be done.
    pub reason: Input,
    /// The canary's name, where the context wants it typed.
    pub name: Input,
}

/// An answer or a field of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    #[default]
    No,
    Yes,
    Name,
    Reason,
}

impl Focus {
    /// Whether keys are typed into it.
    pub fn is_field(self) -> bool {
        matches!(self, Focus::Name | Focus::Reason)
    }
}

impl Question {
    /// A question whose focus is on No.
    pub fn new(ask: Ask) -> Self {
        Self { ask, focus: Focus::No, reason: Input::default(), name: Input::default() }
    }

    /// The name that must be typed before Yes does anything.
    pub fn wanted_name(&self, guard: &Guard) -> Option<&str> {
        match &self.ask {
            Ask::Verb(wish) if guard.protected => Some(&wish.canary.name),
            _ => None,
        }
    }

    /// Whether that name is typed, or none is wanted.
    pub fn named(&self, guard: &Guard) -> bool {
        self.wanted_name(guard).is_none_or(|wanted| self.name.value().trim() == wanted)
    }

    /// Whether a reason can be given: whatever ends as a request keeps one.
    pub fn takes_reason(&self) -> bool {
        matches!(self.ask, Ask::Verb(_))
    }

    /// The field that has the keyboard.
    pub fn field(&mut self) -> Option<&mut Input> {
        match self.focus {
            Focus::Name => Some(&mut self.name),
            Focus::Reason => Some(&mut self.reason),
            Focus::No | Focus::Yes => None,
        }
    }

    /// What can have the keyboard, in the order of Tab.
    fn stops(&self, guard: &Guard) -> Vec<Focus> {
        let mut stops = vec![Focus::No, Focus::Yes];
        if self.wanted_name(guard).is_some() {
            stops.push(Focus::Name);
        }
        if self.takes_reason() {
            stops.push(Focus::Reason);
        }
        stops
    }

    /// To the next answer or field, or to the one before.
    pub fn move_on(&mut self, guard: &Guard, forwards: bool) {
        let stops = self.stops(guard);
        let at = stops.iter().position(|stop| *stop == self.focus).unwrap_or(0);
        let step = if forwards { 1 } else { stops.len() - 1 };
        self.focus = stops[(at + step) % stops.len()];
    }

    /// From Yes to No and back.
    pub fn turn(&mut self) {
        self.focus = if self.focus == Focus::Yes { Focus::No } else { Focus::Yes };
    }

    /// Leaves the field: a name that is right makes Yes the next thing to press.
    pub fn leave_field(&mut self, guard: &Guard) {
        let named = self.focus == Focus::Name && self.named(guard);
        match self.focus {
            // A wrong name stays, to be mended.
            Focus::Name if !named => {}
            Focus::Name => self.focus = Focus::Yes,
            _ => self.focus = Focus::No,
        }
    }
}

/// A question in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The act, as a question.
    pub title: String,
    /// What will happen, a sentence a line.
    pub body: Vec<String>,
    /// Why it cannot be confirmed any more.
    pub objection: Option<String>,
}

/// Words for a question as things stand now.
pub fn words(ask: &Ask, model: &Model) -> Words {
    match ask {
        Ask::Quit => left("Quit?", "another driver takes over:", model),
        Ask::Suspend => left("Suspend?", "this console goes on, or another driver takes over:", model),
        Ask::Leave(goal) => {
            let there = match (&goal.scope, &goal.context) {
                (Scope::Namespace(namespace), _) => namespace.as_str(),
                (Scope::Everywhere, Some(context)) if *context == model.context => "all namespaces",
                (_, context) => context.as_deref().unwrap_or("another context"),
            };
            left(&format!("Leave for {there}?"), "another driver takes over:", model)
        }
        Ask::Verb(wish) => {
            let objection = objection(wish, model);
            let (title, body) = match model.named(&wish.canary) {
                Some(row) => asked(wish, row),
                None => (format!("{}?", capital(wish.verb)), Vec::new()),
            };
            Words { title, body, objection }
        }
    }
}

/// The question about a wish: the act, and what it does to whom, a sentence a line. The commands ask with the same words.
pub fn asked(wish: &Wish, row: &Row) -> (String, Vec<String>) {
    (title(wish, row), consequences(wish, row))
}

/// Why a wish cannot be sent any more.
pub fn objection(wish: &Wish, model: &Model) -> Option<String> {
    let row = model.named(&wish.canary);
    if row.and_then(|row| row.request_revision(wish.verb)).is_some_and(|now| *now != wish.revision) {
        return Some("its target has changed since this was asked: leave, look again, and ask again".into());
    }
    if wish.verb == Verb::Open && row.is_some_and(|row| row.gate.as_ref().map(|gate| &gate.name) != wish.gate.as_ref())
    {
        return Some("it waits at this gate no more".into());
    }
    keys::allowed(wish.verb, &wish.canary, model).err()
}

fn capital(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "Start",
        Verb::Pause => "Pause",
        Verb::Resume => "Resume",
        Verb::Advance => "Next step",
        Verb::Promote => "Promote",
        Verb::Abort => "Abort",
        Verb::Open => "Open",
        Verb::Release => "Release",
    }
}

fn title(wish: &Wish, row: &Row) -> String {
    match wish.verb {
        Verb::Start => format!("Start {} of {}?", version_text(&wish.version), row.name),
        Verb::Open => format!("Open gate {} of {}?", wish.gate.as_deref().unwrap_or("?"), row.name),
        Verb::Promote => format!("Promote {} of {} now?", version_text(row.canary.version()), row.name),
        verb => format!("{} {}?", capital(verb), row.name),
    }
}

/// Why no start leads to a version that a Deployment had, and what does.
pub fn undone(number: u64, why: &str, target: &str, namespace: &str) -> String {
    format!("{why}: kubectl rollout undo deployment {target} -n {namespace} --to-revision={number}")
}

/// What a wish does to whom.
fn consequences(wish: &Wish, row: &Row) -> Vec<String> {
    let (old, new) = (version_text(row.primary.version()), version_text(row.canary.version()));
    let weight = row.weight();
    let pods = row.canary.pods.map_or(0, |pods| pods.desired.max(pods.ready));
    match wish.verb {
        Verb::Start => start(wish, row, old),
        Verb::Pause => vec![
            format!("{weight} % of the traffic stays on {new} until someone resumes."),
            "The checks go on, and a canary that fails them is rolled back all the same.".into(),
        ],
        Verb::Resume => vec![format!("The rollout of {new} goes on from {weight} % at the next check.")],
        Verb::Advance if row.course.strategy != Strategy::Canary && row.course.done <= row.course.checks => {
            let (done, checks) = (row.course.done, row.course.checks);
            let then = match row.course.strategy {
                _ if done < checks => format!("check {} of {checks} comes next", done + 1),
                Strategy::BlueGreen => format!("all users go to {new} for one more check"),
                _ => format!("{new} is promoted"),
            };
            vec![
                format!("The checks run now. If they pass, {then}."),
                "If one fails, it counts as a failed check.".into(),
            ]
        }
        Verb::Advance => match next_step(row) {
            Some(next) => vec![
                format!(
                    "The checks run now. If they pass, {next} % of the traffic goes to {new} instead of {weight} %."
                ),
                "If one fails, it counts as a failed check.".into(),
            ],
            None => vec![format!("The checks run now. If they pass, {new} is promoted.")],
        },
        Verb::Promote => vec![
            format!("The remaining steps and checks are left out, and {new} replaces {old} for all users."),
            "All traffic follows as soon as its pods are ready.".into(),
        ],
        Verb::Open => open(wish, row, new),
        Verb::Release => vec![
            format!(
                "The Deployment {} serves all users again, with {old}, as before there was a canary.",
                row.canary.workload.name
            ),
            "Then the canary is deleted, and its primary with it.".into(),
        ],
        Verb::Abort if matches!(row.phase, Phase::Promoting | Phase::Finalising) => vec![
            "The promotion has begun. The version promoted before goes back onto the primary.".into(),
            "Traffic stays on the copy that is ready until then; afterwards the canary's pods stop.".into(),
        ],
        Verb::Abort => {
            let mut body = vec![match weight {
                0 => format!("No traffic is on {new} yet."),
                weight => format!("{weight} % of the traffic leaves {new} now."),
            }];
            body.push(format!("{old} keeps serving."));
            body.push(match pods {
                1 => "1 canary pod stops.".into(),
                pods => format!("{pods} canary pods stop."),
            });
            body
        }
    }
}

fn open(wish: &Wish, row: &Row, new: &str) -> Vec<String> {
    let gate = wish.gate.as_deref().unwrap_or("the gate");
    let mut body = vec![format!("The rollout of {new} goes on as if {gate} had said yes.")];
    match row.gate.as_ref().filter(|shut| Some(&shut.name) == wish.gate.as_ref()).map(|shut| shut.kind.as_str()) {
        Some("confirm-rollout") => body.push("It begins now.".into()),
        Some("confirm-traffic-increase") => body.push(match next_step(row) {
            Some(next) => format!("The checks run now; if they pass, {next} % of the traffic goes to {new}."),
            None => format!("The checks run now; if they pass, {new} is promoted."),
        }),
        Some("confirm-promotion") => body.push(format!("The checks run now; if they pass, {new} is promoted.")),
        _ => {}
    }
    body.push("It stays open for this revision; the next one is asked about again.".into());
    body
}

fn start(wish: &Wish, row: &Row, old: &str) -> Vec<String> {
    let mut body = Vec::new();
    if row.under_way() && row.phase != Phase::Waiting {
        body.push(format!(
            "The rollout of {} ends: its {} % of the traffic goes back to {old} first.",
            version_text(row.canary.version()),
            row.weight()
        ));
    }
    match (&wish.image, &wish.container) {
        (Some(image), Some(container)) => {
            let target = &row.canary.workload.name;
            let present = row.containers.iter().find(|(name, present)| name == container && present != image);
            let instead = present.map(|(_, present)| format!(" instead of {present}")).unwrap_or_default();
            body.push(format!("Container {container} of the Deployment {target} gets {image}{instead}."));
            body.extend(wish.past.as_ref().map(|(number, otherwise)| brought_back(*number, otherwise)));
        }
        _ => {
            let what = if row.phase == Phase::Waiting { "is rolled out" } else { "is tried again" };
            body.push(format!("The present template of the Deployment {} {what}.", row.canary.workload.name));
        }
    }
    let interval = row.rules.interval.map(duration::go).unwrap_or_else(|| "interval".into());
    let (first, last) = (row.rules.steps.first().copied().unwrap_or(0), row.rules.steps.last().copied().unwrap_or(0));
    let checks = row.course.checks;
    body.push(match (row.course.strategy, row.rules.steps.len()) {
        (Strategy::AbTesting, _) => format!(
            "Once its pods are ready it serves those who meet the conditions, for {checks} checks, one every {interval}."
        ),
        (Strategy::BlueGreen, _) => format!(
            "Once its pods are ready it is checked {checks} times, every {interval}, without users; then it gets all of \
             them for one more check."
        ),
        (Strategy::Canary, 0 | 1) => format!("Once its pods are ready it gets {first} % of the traffic."),
        (Strategy::Canary, 2..) => format!(
            "Once its pods are ready it gets {first} % of the traffic, then more every {interval} up to {last} %."
        ),
    });
    body.push(match row.rules.threshold {
        Some(1) => format!("What passes is promoted; the first failed check brings all traffic back to {old}."),
        Some(n) => format!("What passes is promoted; {n} failed checks bring all traffic back to {old}."),
        None => String::new(),
    });
    body.retain(|line| !line.is_empty());
    body
}

/// How much of a version the image brings back.
pub fn brought_back(number: u64, otherwise: &[String]) -> String {
    if otherwise.is_empty() {
        return format!("That brings its revision {number} back as it was.");
    }
    let shown: Vec<&str> = otherwise.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = match otherwise.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("All else stays as it is now. Revision {number} also had otherwise: {}{more}.", shown.join(", "))
}

/// The weight after the next step; None where the next step is the promotion.
pub fn next_step(row: &Row) -> Option<u8> {
    row.rules.steps.iter().copied().find(|step| *step > row.weight())
}

/// The question before a rollout is left without its driver; `until` ends the sentence about what holds until then.
fn left(title: &str, until: &str, model: &Model) -> Words {
    let here = |row: &&Row| row.under_way() && *model.driver_of(&row.namespace) == Driver::Here;
    let driven: Vec<&Row> = model.rows.iter().map(Box::as_ref).filter(here).collect();
    let mut body = vec![match driven.len() {
        1 => "This console drives a rollout that is under way:".to_string(),
        n => format!("This console drives {n} rollouts that are under way:"),
    }];
    for row in driven.iter().take(3) {
        body.push(format!(
            "{}: {} % of the traffic on {}.",
            row.name,
            row.weight(),
            version_text(row.canary.version())
        ));
    }
    if driven.len() > 3 {
        body.push(format!("and {} more.", driven.len() - 3));
    }
    body.push(format!("The weights stay as they are and nothing is checked until {until}"));
    body.push("another console on this namespace, or canary-tui controller.".into());
    Words { title: title.into(), body, objection: None }
}

/// Whether leaving needs a question: a rollout would be left without its driver.
pub fn quit_needs_asking(model: &Model) -> bool {
    model.rows.iter().any(|row| row.under_way() && *model.driver_of(&row.namespace) == Driver::Here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::message::{Command, Msg};
    use crate::tui::model::Overlay;
    use crate::tui::scene::{self, press};
    use crate::tui::update::update;

    const NAME: &str = "jx-production-myapp";

    fn sent(commands: Vec<Command>) -> Vec<Wish> {
        commands.into_iter().filter_map(|c| if let Command::Send(wish) = c { Some(wish) } else { None }).collect()
    }

    fn focus(model: &Model) -> Option<Focus> {
        match &model.overlay {
            Some(Overlay::Question(question)) => Some(question.focus),
            _ => None,
        }
    }

    #[test]
    fn every_request_can_be_given_a_reason() {
        for keys in ["p", "n", "P", "a"] {
            let mut model = scene::progressing(120, 40);
            assert_eq!(press(&mut model, &format!("{keys}rto y or not<enter>")), []);
            assert_eq!(focus(&model), Some(Focus::No), "Enter leaves the field, and nothing else");
            let wishes = sent(press(&mut model, "y"));
            assert_eq!(wishes[0].reason, "to y or not");
        }
        let mut model = scene::at_rest(120, 40);
        let wishes = sent(press(&mut model, "s<enter><tab><tab>because <enter>y"));
        assert_eq!(wishes[0].reason, "because", "reached by Tab too");
        let mut model = scene::progressing(120, 40);
        press(&mut model, "ar");
        update(&mut model, Msg::Paste("y\n\x1b[31mred".into()));
        let wishes = sent(press(&mut model, "<enter>y"));
        assert_eq!(wishes[0].reason, "y[31mred", "what is pasted is text");
        let mut model = scene::progressing(120, 40);
        assert_eq!(sent(press(&mut model, "arsome<esc>y")), [], "Escape leaves the question");
        let mut model = scene::progressing(120, 40);
        press(&mut model, "qr");
        assert_eq!(focus(&model), Some(Focus::No), "leaving needs none");
    }

    #[test]
    fn a_protected_context_wants_the_name() {
        let protected = || {
            let mut model = scene::progressing(120, 40);
            model.guard.protected = true;
            model
        };
        for keys in ["ay", "a<tab><enter>", "aywrong<enter><enter>", "ay<enter><tab><enter>"] {
            let mut model = protected();
            assert_eq!(press(&mut model, keys), [], "{keys}");
        }
        let mut model = protected();
        press(&mut model, "ay");
        assert_eq!(focus(&model), Some(Focus::Name), "Yes leads to the name");
        assert_eq!(press(&mut model, &format!("{NAME}<enter>")), []);
        assert_eq!(focus(&model), Some(Focus::Yes));
        assert_eq!(sent(press(&mut model, "<enter>")).len(), 1);
        let mut model = protected();
        let commands = press(&mut model, &format!("a<tab><tab>{NAME}<tab>why<enter>y"));
        assert_eq!(sent(commands)[0].reason, "why");
        // Leaving changes nothing, so it needs no name.
        let mut model = protected();
        assert_eq!(press(&mut model, "qy"), [Command::Quit]);
    }

    #[test]
    fn nothing_is_asked_where_nothing_may_be_changed() {
        for keys in ["s", "p", "n", "P", "a", "O"] {
            let mut model = scene::at_a_gate(120, 40);
            model.guard.read_only = Some("--read-only was given".into());
            assert_eq!(press(&mut model, keys), []);
            assert!(model.overlay.is_none(), "{keys}");
            let said = model.notice.as_ref().map(|notice| notice.text.clone()).unwrap_or_default();
            assert!(said.contains("nothing is changed from here: --read-only was given"), "{keys}: {said}");
            // Nor from a question that stood there before.
            let mut model = scene::at_a_gate(120, 40);
            press(&mut model, "a");
            model.guard.read_only = Some("config.toml says so".into());
            assert_eq!(press(&mut model, "y"), []);
        }
    }

    #[test]
    fn every_action_that_asks_for_something_is_marked_as_such() {
        let model = scene::at_a_gate(120, 40);
        for bound in model.keymap.iter().filter(|bound| bound.place == keys::Place::Main) {
            let mut model = model.clone();
            let before = bound.presses.first().copied();
            let Some((code, modifiers)) = before else { continue };
            update(&mut model, Msg::Key(crossterm::event::KeyEvent::new(code, modifiers)));
            let asks = match &model.overlay {
                Some(Overlay::Versions(_)) => true,
                Some(Overlay::Question(question)) => matches!(question.ask, Ask::Verb(_)),
                _ => false,
            };
            assert!(!asks || bound.action.mutates(), "{:?}", bound.action);
        }
    }
}
