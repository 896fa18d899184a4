//! What keys and messages do to the model.

use super::message::{Command, Msg, Outcome, Told};
use super::model::{Ask, Choice, Driver, Link, Looked, Model, Overlay, Pane, Tone, Wish};
use super::question::Focus;
use super::row::{Key, Row, Rows};
use super::scene::{self, press, time};
use super::update::{hear, update};
use crate::api::{Phase, Verb};
use crate::rollout::Standing;
use chrono::Duration;

fn model() -> Model {
    scene::progressing(120, 40)
}

fn sent(commands: &[Command]) -> Vec<&Wish> {
    commands.iter().filter_map(|c| if let Command::Send(wish) = c { Some(wish) } else { None }).collect()
}

fn selected(model: &Model) -> Option<&str> {
    model.selected.as_ref().map(|key| key.name.as_str())
}

fn myapp(model: &mut Model) -> &mut Row {
    model.rows.iter_mut().find(|row| row.name == "jx-production-myapp").unwrap()
}

#[test]
fn a_key_that_changes_the_cluster_asks_once_and_y_confirms() {
    for (keys, verb) in [("p", Verb::Pause), ("n", Verb::Advance), ("P", Verb::Promote), ("a", Verb::Abort)] {
        let mut model = model();
        assert_eq!(press(&mut model, keys), []);
        let commands = press(&mut model, "y");
        let wishes = sent(&commands);
        assert_eq!(wishes.len(), 1);
        assert_eq!((wishes[0].verb, wishes[0].canary.name.as_str()), (verb, "jx-production-myapp"));
        assert_eq!(wishes[0].revision, "5d8f7c9b64", "the revision that the operator saw");
        assert!(model.overlay.is_none());
        assert_eq!(model.notice.as_ref().unwrap().tone, Tone::Wait);
    }
}

#[test]
fn everything_but_yes_leaves_a_question_without_doing_anything() {
    for keys in ["a<esc>", "an", "a<enter>", "a<right><left><enter>", "aq"] {
        let mut model = model();
        assert_eq!(press(&mut model, keys), [], "{keys}");
        assert!(model.overlay.is_none(), "{keys}");
    }
    for keys in ["a<tab><enter>", "a<right><enter>", "a<left>y"] {
        assert_eq!(sent(&press(&mut model(), keys)).len(), 1, "{keys}");
    }
    // A stray key neither confirms nor closes.
    let mut model = model();
    assert_eq!(press(&mut model, "axs "), []);
    assert!(model.overlay.is_some());
}

#[test]
fn a_request_names_the_revision_that_was_seen_when_it_was_asked() {
    let mut model = model();
    press(&mut model, "P");
    myapp(&mut model).revision = Some("newer".into());
    assert_eq!(press(&mut model, "y"), [], "the ground of the question has gone");
    press(&mut model, "<esc>");
    assert_eq!(sent(&press(&mut model, "Py"))[0].revision, "newer");
}

#[test]
fn a_key_that_does_nothing_now_says_why() {
    let mut model = scene::at_rest(120, 40);
    assert_eq!(press(&mut model, "a"), []);
    let said = model.notice.as_ref().unwrap().text.clone();
    assert_eq!(said, "jx-production-myapp: no rollout is under way");
    assert!(model.overlay.is_none());
    for (change, wanted) in [
        (&(|m: &mut Model| m.driver = Driver::Nobody { why: None }) as &dyn Fn(&mut Model), "nobody drives"),
        (&|m| m.driver = Driver::Flagger, "Flagger"),
        (&|m| m.lacking = Some("patch canaries.flagger.app in prod".into()), "you may not patch"),
        (&|m| m.cluster = Link::Lost { since: time("12:00:00"), why: String::new() }, "connection"),
        (&|m| myapp(m).problems = vec!["spec.analysis.webhooks is not supported".into()], "webhooks"),
    ] {
        let mut model = self::model();
        change(&mut model);
        press(&mut model, "n");
        assert!(model.notice.as_ref().unwrap().text.contains(wanted), "{wanted}: {:?}", model.notice);
    }
    // What can be driven no more can still be aborted.
    let mut model = self::model();
    myapp(&mut model).problems = vec!["spec.analysis.webhooks is not supported".into()];
    press(&mut model, "a");
    assert!(model.overlay.is_some());
}

#[test]
fn p_pauses_and_resumes() {
    let mut model = model();
    let row = myapp(&mut model);
    row.paused = Some(super::row::Held { by: "alice".into(), at: time("12:00:00"), reason: String::new() }.into());
    row.standing = Standing { paused: true, ..row.standing };
    assert_eq!(sent(&press(&mut model, "py"))[0].verb, Verb::Resume);
}

#[test]
fn start_offers_the_first_version_that_does_not_run() {
    let mut model = scene::at_rest(120, 40);
    press(&mut model, "s");
    let Some(Overlay::Versions(versions)) = &model.overlay else { panic!() };
    assert!(matches!(&versions.choices[versions.at], Choice::Offered { tag, .. } if tag == "1.1.0"));
    let commands = press(&mut model, "<enter>y");
    let wish = sent(&commands)[0];
    assert_eq!(wish.image.as_deref(), Some("gcr.io/jx/jx-production-myapp:1.1.0"));
    assert_eq!(wish.container.as_deref(), Some("jx-production-myapp"));
}

#[test]
fn a_version_can_be_typed_and_nonsense_is_refused() {
    let mut model = scene::at_rest(120, 40);
    let commands = press(&mut model, "s2.0.0<enter>y");
    assert_eq!(sent(&commands)[0].image.as_deref(), Some("gcr.io/jx/jx-production-myapp:2.0.0"));
    let mut model = scene::at_rest(120, 40);
    assert!(sent(&press(&mut model, "sa b<enter>y")).is_empty());
    let Some(Overlay::Versions(versions)) = &model.overlay else { panic!() };
    assert!(versions.error.is_some() || versions.input.value().ends_with('y'));
    let mut model = scene::at_rest(120, 40);
    press(&mut model, "s<up><up><up>");
    update(&mut model, Msg::Paste("quay.io/x/y@sha256:00\n".into()));
    assert_eq!(sent(&press(&mut model, "<enter>y"))[0].image.as_deref(), Some("quay.io/x/y@sha256:00"));
}

#[test]
fn a_failed_revision_can_be_tried_again_as_it_is() {
    let mut model = scene::at_rest(120, 40);
    press(&mut model, "g");
    assert_eq!(model.row().unwrap().phase, Phase::Failed);
    press(&mut model, "s");
    let Some(Overlay::Versions(versions)) = &model.overlay else { panic!() };
    assert!(matches!(&versions.choices[0], Choice::Again { version } if version == "0.9.1"));
    let commands = press(&mut model, "<up><up><up><enter>y");
    assert_eq!(sent(&commands)[0].image, None);
}

#[test]
fn the_versions_that_it_had_are_asked_for_and_come_where_nothing_jumps() {
    let mut model = scene::at_rest(120, 40);
    let commands = press(&mut model, "s");
    let Some(Command::LookBack { asked, canary }) = commands.first() else { panic!("{commands:?}") };
    assert_eq!(canary.name, "jx-production-myapp");
    // Whoever types already goes on typing; what answers an older question is dropped.
    press(&mut model, "2.0");
    update(&mut model, Msg::Past { asked: asked + 1, past: Ok(scene::past()) });
    let of = |model: &Model| match &model.overlay {
        Some(Overlay::Versions(versions)) => versions.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((of(&model).choices.len(), &of(&model).past), (7, &Looked::Waiting));
    update(&mut model, Msg::Past { asked: *asked, past: Ok(scene::past()) });
    let versions = of(&model);
    assert_eq!((versions.choices.len(), &versions.choices[versions.at]), (12, &Choice::Typed));
    assert_eq!(sent(&press(&mut model, ".1<enter>y"))[0].version, "2.0.1");
    // What stands above stays where it is.
    let mut model = scene::at_rest(120, 40);
    press(&mut model, "s");
    let before = of(&model).at;
    update(&mut model, Msg::Past { asked: 1, past: Ok(scene::past()) });
    assert_eq!(of(&model).at, before);
    // Not to be known is no end of it.
    let mut model = scene::at_rest(120, 40);
    press(&mut model, "s");
    update(&mut model, Msg::Past { asked: 1, past: Err("not permitted: no".into()) });
    assert_eq!(of(&model).past, Looked::Unknown("not permitted: no".into()));
    assert_eq!(sent(&press(&mut model, "<enter>y"))[0].version, "1.1.0");
    // Of a dialogue that is closed nothing is kept.
    update(&mut model, Msg::Past { asked: 1, past: Ok(scene::past()) });
    assert!(model.overlay.is_none());
}

/// At the list of versions, with what the target had; goes to one of those by its place among them.
fn among_the_past(place: usize) -> Model {
    let mut model = scene::at_rest(120, 40);
    press(&mut model, "s");
    update(&mut model, Msg::Past { asked: 1, past: Ok(scene::past()) });
    let Some(Overlay::Versions(versions)) = &mut model.overlay else { panic!() };
    versions.at = versions.choices.iter().position(|choice| matches!(choice, Choice::Past(_))).unwrap() + place;
    model
}

#[test]
fn a_version_that_it_had_is_asked_for_by_its_image_and_the_question_says_how_much_of_it_comes_back() {
    let question = |model: &Model| match &model.overlay {
        Some(Overlay::Question(question)) => super::question::words(&question.ask, model).body.join(" "),
        other => panic!("{other:?}"),
    };
    let mut model = among_the_past(2);
    press(&mut model, "<enter>");
    let said = question(&model);
    let change = "gets gcr.io/jx/jx-production-myapp:0.9.0 instead of gcr.io/jx/jx-production-myapp:1.0.0.";
    assert!(said.contains(change) && said.contains("brings its revision 4 back as it was"), "{said}");
    let commands = press(&mut model, "y");
    let wish = sent(&commands)[0];
    assert_eq!(wish.image.as_deref(), Some("gcr.io/jx/jx-production-myapp:0.9.0"));
    assert_eq!((wish.container.as_deref(), wish.version.as_str()), (Some("jx-production-myapp"), "0.9.0"));
    let mut model = among_the_past(3);
    press(&mut model, "<enter>");
    let said = question(&model);
    let rest =
        "Revision 3 also had otherwise: env of jx-production-myapp, volumes, annotation a, annotation b and 1 more.";
    assert!(said.contains("All else stays as it is now") && said.contains(rest), "{said}");
}

#[test]
fn a_version_to_which_no_start_leads_says_what_does() {
    for (place, why) in [
        (0, "there is nothing to start"),
        (4, "kubectl rollout undo deployment jx-production-myapp -n jx-production --to-revision=2"),
    ] {
        let mut model = among_the_past(place);
        assert_eq!(press(&mut model, "<enter>"), []);
        let Some(Overlay::Versions(versions)) = &model.overlay else { panic!() };
        assert!(versions.error.as_ref().unwrap().contains(why), "{:?}", versions.error);
    }
    // What failed, or waits, and is there now is tried again.
    let mut model = among_the_past(0);
    myapp(&mut model).phase = Phase::Failed;
    assert_eq!(sent(&press(&mut model, "<enter>y"))[0].image, None);
}

#[test]
fn several_containers_ask_for_the_command_that_can_name_one() {
    let mut model = scene::at_rest(120, 40);
    myapp(&mut model).containers = vec![("a".into(), "x:1".into()), ("b".into(), "y:1".into())];
    press(&mut model, "s<enter>");
    let Some(Overlay::Versions(versions)) = &model.overlay else { panic!() };
    assert!(versions.error.as_ref().unwrap().contains("(a, b)"));
}

#[test]
fn leaving_is_asked_for_while_this_console_drives() {
    assert_eq!(press(&mut scene::at_rest(120, 40), "q"), [Command::Quit]);
    let mut model = model();
    assert_eq!(press(&mut model, "q"), []);
    assert!(matches!(&model.overlay, Some(Overlay::Question(q)) if q.ask == Ask::Quit));
    assert_eq!(press(&mut model, "y"), [Command::Quit]);
    let mut model = self::model();
    assert_eq!(press(&mut model, "<c-c><c-c>"), [Command::Quit], "asked twice is answered");
    let mut model = self::model();
    model.driver = Driver::Other { holder: "alice".into() };
    assert_eq!(press(&mut model, "q"), [Command::Quit], "somebody else goes on");
}

#[test]
fn outcomes_stay_until_a_key_and_waiting_stays_longer() {
    let mut model = model();
    let commands = press(&mut model, "ay");
    let wish = sent(&commands)[0].clone();
    press(&mut model, "j");
    assert_eq!(model.notice.as_ref().unwrap().tone, Tone::Wait, "still waited for");
    let outcome = Outcome::Refused("it names revision a, and the target now bears b".into());
    update(&mut model, Msg::Outcome { wish, outcome });
    let notice = model.notice.clone().unwrap();
    assert_eq!(notice.tone, Tone::Bad);
    assert!(notice.text.starts_with("abort jx-production-myapp: refused: it names"));
    let (later, offset) = (model.now + Duration::minutes(5), model.offset);
    update(&mut model, Msg::Clock(later, offset));
    assert!(model.notice.is_some(), "it does not go by itself");
    press(&mut model, "k");
    assert!(model.notice.is_none());
}

#[test]
fn a_late_outcome_does_not_hide_that_of_a_later_request() {
    let mut model = model();
    let pause = sent(&press(&mut model, "py"))[0].clone();
    let again = sent(&press(&mut model, "py"))[0].clone();
    let outcome = |said: &str| Outcome::CarriedOut(said.into());
    let shown = |model: &Model| model.notice.as_ref().unwrap().text.clone();
    // In their order both are seen.
    update(&mut model, Msg::Outcome { wish: pause.clone(), outcome: outcome("first") });
    assert!(shown(&model).ends_with("first"), "the later one has no answer yet");
    update(&mut model, Msg::Outcome { wish: again, outcome: outcome("second") });
    update(&mut model, Msg::Outcome { wish: pause.clone(), outcome: outcome("first") });
    assert!(shown(&model).ends_with("second"));
    update(&mut model, Msg::Outcome { wish: pause, outcome: Outcome::Refused("no".into()) });
    assert!(shown(&model).ends_with("no"), "what was not done is said whenever it comes");
}

#[test]
fn the_selection_follows_its_canary_and_asks_for_its_past() {
    let mut model = model();
    assert_eq!(selected(&model), Some("jx-production-myapp"), "the one that the scene is about");
    let commands = press(&mut model, "j");
    assert_eq!(selected(&model), Some("jx-production-cart"));
    let wanted = ["jx-production-cart-primary", "jx-production-cart"].map(|name| Key::new(scene::NAMESPACE, name));
    let [primary, canary] = wanted;
    let range = super::history::Range::Quarter;
    let recall = Command::Recall { primary: primary.clone(), canary: canary.clone(), range };
    assert_eq!(commands, [Command::Remember { primary, canary }, recall]);
    let mut rows = model.rows.clone();
    rows.reverse();
    assert_eq!(update(&mut model, Msg::Rows(rows)), [], "the same canary stays selected");
    assert_eq!(selected(&model), Some("jx-production-cart"));
    let rows: Rows = model.rows.iter().filter(|row| row.name != "jx-production-cart").cloned().collect();
    update(&mut model, Msg::Rows(rows));
    assert_eq!(selected(&model), Some("jx-production-myapp"), "its neighbour is selected when it is gone");
    update(&mut model, Msg::Rows(Vec::new()));
    assert_eq!((model.selected.clone(), press(&mut model, "jkGgpaPsn<enter>")), (None, vec![]));
}

#[test]
fn pods_of_a_canary_that_is_no_longer_selected_are_not_kept() {
    let mut model = model();
    let pods =
        |workload: &str| Msg::Pods { workload: Key::new("jx-production", workload), pods: Ok(Default::default()) };
    assert_eq!(model.pods.len(), 2);
    press(&mut model, "j");
    update(&mut model, pods("jx-production-myapp"));
    update(&mut model, pods("jx-production-cart-primary"));
    assert_eq!(model.pods.keys().collect::<Vec<_>>(), [&Key::new("jx-production", "jx-production-cart-primary")]);
}

#[test]
fn the_order_of_the_canaries_can_be_changed() {
    let mut model = model();
    let names = |model: &Model| {
        model.visible().map(|row| row.name.trim_start_matches("jx-production-").to_string()).collect::<Vec<_>>()
    };
    for wanted in [
        ["search", "myapp", "cart"],
        ["myapp", "cart", "search"],
        ["cart", "myapp", "search"],
        ["myapp", "search", "cart"],
        ["myapp", "cart", "search"],
        ["search", "myapp", "cart"],
    ] {
        assert_eq!(names(&model), wanted, "{}", model.order.label());
        assert_eq!(selected(&model), Some("jx-production-myapp"), "the selection stays where it is");
        press(&mut model, "o");
    }
}

#[test]
fn the_filter_takes_keys_until_enter_and_esc_drops_it() {
    let mut model = model();
    press(&mut model, "/CARTq");
    assert!(model.shown() == 0, "q is a letter here");
    press(&mut model, "<backspace><backspace>");
    assert_eq!(model.shown(), 2, "its letters are in jx-production-search too");
    assert_eq!(model.row().unwrap().name, "jx-production-cart", "and the best is meant");
    press(&mut model, "T");
    assert_eq!(model.row().unwrap().name, "jx-production-cart");
    press(&mut model, "<enter>");
    assert!(!model.filter.typing);
    assert_eq!(model.shown(), 1, "the filter is kept");
    press(&mut model, "<esc>");
    assert_eq!(model.shown(), 3);
}

#[test]
fn events_are_ordered_counted_once_more_and_bounded() {
    let mut model = model();
    let before = model.events.len();
    let mut again = (*model.events[3]).clone();
    (again.count, again.last) = (2, Some(time("12:04:40")));
    update(&mut model, Msg::Event(again.clone().into()));
    assert_eq!((model.events.len(), model.events.last().unwrap().count), (before, 2));
    let many = (0..5000u64).map(|version| crate::cluster::EventRecord {
        version,
        name: format!("e{version}").into(),
        ..again.clone()
    });
    update(&mut model, Msg::Events(many.map(Into::into).collect()));
    assert_eq!(model.events.len(), 2000);
    assert_eq!(&*model.events.last().unwrap().name, "e4999", "within a second, as they were written");
}

#[test]
fn whoever_reads_further_back_keeps_the_lines() {
    let mut model = scene::progressing(80, 24);
    press(&mut model, "<tab>kk");
    assert_eq!((model.pane, model.back), (Pane::Events, 2));
    update(&mut model, Msg::Event(std::sync::Arc::new(scene::event("x", "12:04:50", false, "new"))));
    assert_eq!(model.back, 3);
    press(&mut model, "G");
    assert_eq!(model.back, 0);
    press(&mut model, "g<pgup>");
    assert_eq!(model.back, super::view::events::most_back(&model));
}

#[test]
fn the_clock_wakes_for_the_countdown_only_while_it_is_seen() {
    let mut model = model();
    model.now = time("12:04:48") + Duration::milliseconds(300);
    assert_eq!(model.next_wake(), time("12:04:49"));
    press(&mut model, "?");
    assert_eq!(model.next_wake(), time("12:05:00"), "the help hides the countdown: the next minute is enough");
    press(&mut model, "<esc>");
    update(
        &mut model,
        Msg::Cluster {
            cluster: Link::Lost { since: time("12:04:48"), why: String::new() },
            routes: Link::Live,
            missing: Vec::new(),
        },
    );
    assert_eq!(model.next_wake(), time("12:05:00"));
    assert_eq!(scene::at_rest(120, 40).next_wake(), time("12:05:00"));
}

#[test]
fn a_screen_that_is_too_small_takes_no_orders() {
    let mut model = scene::progressing(40, 10);
    assert_eq!(press(&mut model, "ay"), []);
    assert!(model.overlay.is_none());
    update(&mut model, Msg::Resize(120, 40));
    press(&mut model, "a");
    update(&mut model, Msg::Resize(40, 10));
    assert_eq!(press(&mut model, "y"), [], "nobody confirms what cannot be read");
}

#[test]
fn any_keys_in_any_order_do_nothing_without_a_yes() {
    use proptest::prelude::*;
    let keys = prop::collection::vec(
        prop::sample::select(vec![
            "s",
            "p",
            "a",
            "P",
            "n",
            "<enter>",
            "e",
            "/",
            "?",
            "<esc>",
            "v",
            "o",
            "t",
            "m",
            "<c-z>",
            "<tab>",
            "j",
            "k",
            "g",
            "G",
            "<pgup>",
            "<pgdn>",
            "x",
            "1",
            "<backspace>",
            "<up>",
            "<down>",
        ]),
        0..40,
    );
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&keys, |keys| {
            let mut model = scene::progressing(80, 24);
            for key in keys {
                // Enter on Yes is a yes too.
                if matches!(&model.overlay, Some(Overlay::Question(question)) if question.focus == Focus::Yes) {
                    press(&mut model, "<esc>");
                }
                let commands = press(&mut model, key);
                prop_assert!(sent(&commands).is_empty());
                prop_assert!(!commands.contains(&Command::Quit));
                scene::shot(&model);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_gate_is_opened_by_its_name_and_only_while_it_is_shut() {
    let mut model = scene::at_a_gate(80, 24);
    let commands = press(&mut model, "Oy");
    let wishes = sent(&commands);
    assert_eq!((wishes[0].verb, wishes[0].gate.as_deref()), (Verb::Open, Some("approve-release")));
    let mut elsewhere = scene::progressing(80, 24);
    assert_eq!(press(&mut elsewhere, "O"), []);
    assert!(elsewhere.notice.as_ref().is_some_and(|notice| notice.text.contains("no gate is shut")));
    // It went through while the question stood there.
    let mut late = scene::at_a_gate(80, 24);
    press(&mut late, "O");
    late.rows.iter_mut().for_each(|row| row.gate = None);
    assert_eq!(press(&mut late, "y"), []);
    // What waits to be started is started.
    let mut manual = scene::at_a_gate(80, 24);
    for row in manual.rows.iter_mut().filter(|row| row.gate.is_some()) {
        row.gate.as_mut().unwrap().manual = true;
    }
    assert_eq!(press(&mut manual, "O"), []);
    assert!(manual.notice.as_ref().is_some_and(|notice| notice.text.contains("waits to be started")));
}

#[test]
fn what_an_older_generation_tells_is_dropped() {
    let mut model = model();
    let rows = model.rows.clone();
    model.generation = 2;
    update(&mut model, Msg::Rows(Vec::new()));
    assert_eq!(hear(&mut model, Told { generation: 1, msg: Msg::Rows(rows.clone()) }), []);
    assert!(model.rows.is_empty(), "the canaries of the place that was left");
    hear(&mut model, Told { generation: 2, msg: Msg::Rows(rows) });
    assert_eq!(model.shown(), 3);
}

#[test]
fn canaries_of_one_name_in_two_namespaces_are_two() {
    let mut model = model();
    let mut other = model.named(&Key::new(scene::NAMESPACE, "jx-production-myapp")).unwrap().clone();
    other.namespace = "jx-staging".into();
    let mut rows = model.rows.clone();
    rows.push(other.into());
    update(&mut model, Msg::Rows(rows));
    let mine = Key::new(scene::NAMESPACE, "jx-production-myapp");
    let theirs = Key::new("jx-staging", "jx-production-myapp");
    assert_eq!(model.selected, Some(mine.clone()));
    assert!(model.named(&mine).unwrap().is(&mine) && model.named(&theirs).unwrap().is(&theirs));
    model.selected = Some(theirs.clone());
    assert_eq!(sent(&press(&mut model, "ay"))[0].canary, theirs);
    // An event of one is none of the other's.
    press(&mut model, "v");
    assert_eq!(model.shown_events().count(), 0);
    model.selected = Some(mine);
    assert!(model.shown_events().count() > 0);
}
