//! What is read about one canary, in text: at every size, while it is asked for, and where it may not be read.

use super::tests::{SIZES, at_all_sizes, compare, with};
use crate::api::Strategy;
use crate::tui::glyphs;
use crate::tui::message::{Command, Msg};
use crate::tui::model::{Link, Model, Overlay};
use crate::tui::reading::{Answer, Reading, Topic};
use crate::tui::row::{Course, Held, Row};
use crate::tui::scene::reading::{answered, causes, changes, described, served};
use crate::tui::scene::{self, press, shot, text, time};
use crate::tui::update::update;
use std::sync::Arc;

/// A view: key, name, and what is answered.
type View = (&'static str, &'static str, fn() -> Answer);

const VIEWS: [View; 4] =
    [("w", "why", causes), ("r", "routes", served), ("d", "describe", described), ("D", "diff", changes)];

fn reading(model: &Model) -> &Reading {
    match &model.overlay {
        Some(Overlay::Reading(reading)) => reading,
        other => panic!("nothing is read: {other:?}"),
    }
}

#[test]
fn each_view_at_each_size() {
    for (key, name, answer) in VIEWS {
        let scene = if name == "why" { scene::failing } else { scene::progressing };
        at_all_sizes(&format!("read_{name}"), |width, height| {
            with(scene(width, height), |model| answered(model, key, Ok(answer())))
        });
    }
}

#[test]
fn each_view_in_ascii() {
    for (key, name, answer) in VIEWS {
        let model = with(scene::failing(80, 24), |model| {
            model.look.glyphs = &glyphs::ASCII;
            answered(model, key, Ok(answer()));
        });
        compare(&format!("read_{name}_ascii"), &model);
        assert!(shot(&model).content().iter().all(|cell| cell.symbol().is_ascii()), "{name}");
    }
}

#[test]
fn each_view_says_that_it_asks_and_why_it_may_not() {
    let refused = "not permitted: canaries.flagger.app \"jx-production-myapp\" is forbidden: User \"eve\" cannot get \
                   resource \"canaries\" in API group \"flagger.app\" in the namespace \"jx-production\"";
    for (key, name, answer) in VIEWS {
        let mut model = scene::progressing(80, 24);
        press(&mut model, key);
        compare(&format!("read_{name}_loading"), &model);
        press(&mut model, "<esc>");
        answered(&mut model, key, Err(refused.into()));
        compare(&format!("read_{name}_forbidden"), &model);
        // What was known before stays below.
        press(&mut model, "<esc>");
        answered(&mut model, key, Ok(answer()));
        let ask = reading(&model).ask.clone();
        update(&mut model, Msg::Answer { ask, answer: Err("no answer within 5 s".into()) });
        let screen = text(&shot(&model));
        assert!(screen.contains("no answer within 5 s. Below is what was known before."), "{screen}");
    }
}

#[test]
fn a_failed_rollout_says_why_and_a_paused_one_who_when_and_why() {
    let mut failed = scene::failing(120, 40);
    failed.rows.iter_mut().filter(|row| row.under_way()).for_each(|row| {
        row.phase = crate::api::Phase::Failed;
        row.failed_checks = 5;
    });
    press(&mut failed, "w");
    compare("read_why_failed", &failed);
    let paused = with(scene::at_a_gate(80, 24), |model| {
        for row in model.rows.iter_mut().filter(|row| row.under_way()) {
            row.paused =
                Some(Held { by: "alice@example.com".into(), at: time("12:04:35"), reason: "lunch".into() }.into());
        }
        press(model, "w");
    });
    let screen = text(&shot(&paused));
    for said in ["Paused at 50 % by alice@example.com since 12:04:35; reason: lunch", "p resumes", "O opens it"] {
        assert!(
            screen.replace("\n", " ").contains(said) || screen.contains(said.split(' ').next().unwrap()),
            "{screen}"
        );
    }
    compare("read_why_paused_at_a_gate", &paused);
}

#[test]
fn the_steps_of_each_strategy_say_what_passed_where_it_is_and_what_comes() {
    let line = |change: &dyn Fn(&mut Row)| {
        let model = with(scene::progressing(120, 40), |model| {
            model.rows.iter_mut().filter(|row| row.under_way()).for_each(|row| change(row));
        });
        let screen = text(&shot(&model));
        screen.lines().find(|line| line.contains("failed checks")).unwrap().trim_matches(['│', ' ']).to_string()
    };
    let course = |strategy, checks, done| Course { strategy, checks, done, mirrors: false, mirrored: false };
    let by_checks = |strategy, done| {
        line(&|row: &mut Row| {
            Arc::make_mut(&mut row.rules).steps.clear();
            row.course = course(strategy, 3, done);
        })
    };
    let ab = by_checks(Strategy::AbTesting, 2);
    assert!(ab.starts_with("check 1 ✓ ─── check 2 ● ─── check 3 ○ ─── promote ○"), "{ab}");
    let first = by_checks(Strategy::BlueGreen, 1);
    assert!(first.starts_with("check 1 ● ─── check 2 ○ ─── check 3 ○ ─── switch ○ ─── promote ○"), "{first}");
    let switched = by_checks(Strategy::BlueGreen, 4);
    assert!(switched.starts_with("check 1 ✓ ─── check 2 ✓ ─── check 3 ✓ ─── switch ● ─── promote ○"), "{switched}");
    let mirror = |mirrored, weight| {
        line(&|row: &mut Row| {
            row.course = Course { mirrors: true, mirrored, ..course(Strategy::Canary, 0, 1) };
            (row.live_weight, row.status_weight) = (Some(weight), weight);
        })
    };
    assert!(mirror(true, 0).starts_with("mirror ● ─── 10% ○"), "{}", mirror(true, 0));
    assert!(mirror(false, 10).starts_with("mirror ✓ ─── 10% ● ─── 20% ○"), "{}", mirror(false, 10));
    let named = line(&|row: &mut Row| Arc::make_mut(&mut row.rules).steps = vec![1, 2, 10, 30, 80]);
    assert!(named.starts_with("1% ✓ ─── 2% ✓ ─── 10% ✓ ─── 30% ● ─── 80% ○ ─── promote ○"), "{named}");
    let many = line(&|row: &mut Row| {
        Arc::make_mut(&mut row.rules).steps.clear();
        row.course = course(Strategy::AbTesting, 1_000_000, 500);
    });
    assert!(many.contains("check 499 ✓") && many.contains("check 500 ●") && many.contains("check 501 ○"), "{many}");
}

#[test]
fn weights_that_differ_bear_a_mark() {
    let Answer::Routes(mut routes) = served() else { panic!() };
    routes.live.weights = Some(crate::api::routes::Weights::canary(80));
    routes.live.mirrored = true;
    routes.way = Err("not permitted: virtualservices.networking.istio.io is forbidden".into());
    routes.entrances[0].gateway = Err("not permitted: gateways.networking.istio.io is forbidden".into());
    let model = with(scene::progressing(80, 24), |model| answered(model, "r", Ok(Answer::Routes(routes))));
    compare("read_routes_that_differ", &model);
}

#[test]
fn long_and_wide_names_are_wrapped_and_lose_nothing() {
    let wide = "カナリア-リリース-とても長い名前のアプリケーション-".repeat(4);
    let yaml = vec![format!("    name: {wide}end"), format!("{}x: {}end", " ".repeat(70), "word ".repeat(40))];
    for (width, height) in SIZES {
        let model =
            with(scene::progressing(width, height), |model| answered(model, "d", Ok(Answer::Describe(yaml.clone()))));
        let screen: String = text(&shot(&model)).chars().filter(|c| !"│ \n".contains(*c)).collect();
        let wide: String = wide.chars().filter(|c| *c != ' ').collect();
        assert!(screen.contains(&format!("{wide}end")) && screen.contains(&"word".repeat(40)), "{screen}");
        if width == 80 {
            compare("read_describe_wide", &model);
        }
    }
}

#[test]
fn what_is_looked_for_is_marked_counted_and_walked_through() {
    let mut model = scene::progressing(80, 24);
    answered(&mut model, "d", Ok(described()));
    press(&mut model, "/NAME");
    compare("read_describe_find", &model);
    let hits = text(&shot(&model)).matches("of 6").count();
    assert_eq!(hits, 1, "{}", text(&shot(&model)));
    press(&mut model, "<enter>nn");
    assert_eq!(reading(&model).hit, 2);
    press(&mut model, "NNN");
    assert_eq!(reading(&model).hit, 5, "from the first to the last");
    let last = reading(&model).scroll;
    assert!(last > 0, "the text goes with the eye");
    press(&mut model, "/<esc>");
    assert!(reading(&model).find.input.value().is_empty());
    press(&mut model, "g");
    assert_eq!(reading(&model).scroll, 0);
    press(&mut model, "G<down><down>");
    assert!(text(&shot(&model)).contains("phase: Progressing"), "{}", text(&shot(&model)));
}

#[test]
fn a_key_opens_its_view_another_changes_it_and_the_same_closes_it() {
    let mut model = scene::progressing(80, 24);
    let asked = |commands: Vec<Command>| match &commands[..] {
        [Command::Read(ask)] => ask.as_ref().map(|ask| (ask.generation, ask.topic, ask.of.name.clone())),
        other => panic!("{other:?}"),
    };
    let name = "jx-production-myapp".to_string();
    assert_eq!(asked(press(&mut model, "w")), Some((1, Topic::Why, name.clone())));
    assert_eq!(asked(press(&mut model, "D")), Some((2, Topic::Diff, name.clone())));
    assert_eq!(asked(press(&mut model, "D")), None);
    assert!(model.overlay.is_none());
    // A question closes what is read as well, and with it the asking.
    press(&mut model, "d");
    assert_eq!(asked(press(&mut model, "e")), None);
    assert!(matches!(model.overlay, Some(Overlay::Events(_))));
}

#[test]
fn a_late_answer_of_what_was_closed_shows_nothing() {
    let mut model = scene::progressing(80, 24);
    let Some(Command::Read(Some(late))) = press(&mut model, "d").pop() else { panic!() };
    press(&mut model, "<esc><down>");
    press(&mut model, "d");
    let before = text(&shot(&model));
    update(&mut model, Msg::Answer { ask: late, answer: Ok(described()) });
    assert_eq!(text(&shot(&model)), before);
}

#[test]
fn a_canary_that_goes_while_it_is_read_about_says_so() {
    let mut model = scene::progressing(80, 24);
    answered(&mut model, "w", Ok(causes()));
    update(&mut model, Msg::Rows(Vec::new()));
    let screen = text(&shot(&model));
    assert!(screen.contains("There is no canary jx-production-myapp any more."), "{screen}");
}

fn crowded(width: u16, height: u16) -> Model {
    with(scene::failing(width, height), |model| {
        for minute in 0..40 {
            let at = format!("11:{minute:02}:00");
            let message = format!("Advance jx-production-cart.jx-production canary weight {minute}");
            update(model, Msg::Event(std::sync::Arc::new(scene::event("jx-production-cart", &at, false, &message))));
        }
        let long = format!("Halt advancement {}end of it", "because of something that takes words ".repeat(12));
        update(model, Msg::Event(std::sync::Arc::new(scene::event("jx-production-search", "12:04:47", true, &long))));
        press(model, "e");
    })
}

#[test]
fn the_events_follow_until_somebody_reads_back_and_again_from_the_end() {
    at_all_sizes("events_crowded", crowded);
    let mut model = crowded(80, 24);
    let screen = text(&shot(&model));
    assert!(screen.contains("follows the newest") && screen.contains("end of it"), "{screen}");
    press(&mut model, "<up><up><up>");
    compare("events_read_back", &model);
    let new = scene::event("jx-production-myapp", "12:04:48", false, "something new");
    update(&mut model, Msg::Event(std::sync::Arc::new(new)));
    let screen = text(&shot(&model));
    assert!(screen.contains("4 newer below"), "{screen}");
    press(&mut model, "G");
    let screen = text(&shot(&model));
    assert!(screen.contains("follows the newest") && screen.contains("something new"), "{screen}");
}

#[test]
fn the_events_are_filtered_by_what_is_typed() {
    let mut model = crowded(80, 24);
    press(&mut model, "/halt myapp");
    assert!(text(&shot(&model)).contains("No event holds what is looked for."));
    for _ in 0.." myapp".len() {
        press(&mut model, "<backspace>");
    }
    compare("events_filtered", &model);
    press(&mut model, "<enter>g");
    let screen = text(&shot(&model));
    assert!(screen.contains("80.57") && !screen.contains("Advance"), "{screen}");
    press(&mut model, "/<esc>");
    assert!(text(&shot(&model)).contains("Advance"));
}

#[test]
fn without_events_and_without_a_cluster_it_says_so() {
    let mut model = scene::unheard(80, 24);
    press(&mut model, "e");
    assert!(text(&shot(&model)).contains("Reading the events ..."));
    update(&mut model, Msg::Cluster { cluster: Link::Live, routes: Link::Live, missing: Vec::new() });
    compare("events_empty", &model);
}

#[test]
fn no_size_and_no_key_makes_a_view_panic() {
    for width in [60, 61, 80, 97, 300] {
        for height in [16, 17, 24, 90] {
            for (key, _, answer) in VIEWS {
                let mut model = scene::failing(width, height);
                answered(&mut model, key, Ok(answer()));
                for keys in ["", "G", "<pgup>", "/e", "<enter>nNnN", "g<down>", "/<backspace>zzz<enter>nN", "v"] {
                    press(&mut model, keys);
                    shot(&model);
                }
            }
            let mut model = crowded(width, height);
            for keys in ["", "g", "<pgdn><pgdn>", "G", "/a", "<up><enter>", "v", "<up>"] {
                press(&mut model, keys);
                shot(&model);
            }
        }
    }
}
