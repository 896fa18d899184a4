//! What the screens look like, in text, and the styles that meaning hangs on.

use super::*;
use crate::api::{Phase, Verb};
use crate::cluster::PodsRecord;
use crate::cluster::pods::NotReady;
use crate::cluster::vouching::Names;
use crate::rollout::{Past, Reading, Way};
use crate::tui::message::Msg;
use crate::tui::model::{Choice, Driver, Link, Notice, Tone};
use crate::tui::own_checks::{Judged, OwnCheck};
use crate::tui::row::{Held, Pending, Pods};
use crate::tui::scene::{self, press, shot, text, time};
use crate::tui::theme::{Depth, Theme};
use crate::tui::update::update;
use crate::tui::{glyphs, keys};
use ratatui::style::{Color, Modifier, Style};
use std::sync::Arc;

pub(super) const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Compares a scene at all sizes.
pub(super) fn at_all_sizes(name: &str, scene: impl Fn(u16, u16) -> Model) {
    for (width, height) in SIZES {
        compare(&format!("{name}_{width}x{height}"), &scene(width, height));
    }
}

pub(super) fn compare(name: &str, model: &Model) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text(&shot(model)));
    });
}

pub(super) fn with(mut model: Model, change: impl FnOnce(&mut Model)) -> Model {
    change(&mut model);
    model
}

#[test]
fn a_rollout_under_way() {
    at_all_sizes("progressing", scene::progressing);
}

#[test]
fn a_canary_that_fails_its_checks() {
    at_all_sizes("failing", scene::failing);
}

#[test]
fn all_at_rest() {
    at_all_sizes("at_rest", scene::at_rest);
}

#[test]
fn a_rollout_that_waits_at_a_gate() {
    at_all_sizes("at_a_gate", scene::at_a_gate);
    let opened = with(scene::at_a_gate(80, 24), |model| {
        model.rows.iter_mut().filter_map(|row| row.gate.as_mut()).for_each(|gate| gate.opened = true);
    });
    let screen = text(&shot(&opened));
    assert!(screen.contains("Gate approve-release was opened") && !screen.contains("O open gate"), "{screen}");
    let manual = with(scene::at_a_gate(80, 24), |model| {
        for row in model.rows.iter_mut().filter(|row| row.gate.is_some()) {
            row.phase = Phase::Waiting;
            row.gate.as_mut().unwrap().manual = true;
        }
    });
    let screen = text(&shot(&manual));
    assert!(screen.contains("to be started 12:02") && screen.contains("to be started (s)"), "{screen}");
}

fn own_check(name: &str, min: Option<f64>, max: Option<f64>) -> OwnCheck {
    OwnCheck { name: name.into(), min, max }
}

fn judged_by_own_queries(width: u16, height: u16) -> Model {
    with(scene::progressing(width, height), |model| {
        let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
        Arc::make_mut(&mut row.rules).own_checks = vec![
            own_check("404s percentage", None, Some(5.0)),
            own_check("orders per second, as the billing team counts them", Some(20.0), Some(400.0)),
            own_check("queue", None, Some(100.0)),
        ];
        let readings = [Reading::Value(20.756), Reading::Value(212.5), Reading::NoValues];
        let checks = row.rules.own_checks.iter().cloned().zip(readings).collect();
        let judged = Judged { canary: row.key(), checks };
        update(model, Msg::Judged(judged));
    })
}

#[test]
fn a_canary_with_checks_of_its_own() {
    at_all_sizes("own_checks", judged_by_own_queries);
}

#[test]
fn more_checks_than_lines_are_counted_and_hostile_names_stay_in_their_line() {
    let many = |width, height| {
        with(judged_by_own_queries(width, height), |model| {
            let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
            Arc::make_mut(&mut row.rules).own_checks =
                (0..50).map(|_| own_check("a\u{1b}[2J\nb\u{202e}", None, Some(1e300))).collect();
        })
    };
    for (width, height) in SIZES {
        let screen = text(&shot(&many(width, height)));
        let with_name = screen.lines().filter(|line| line.contains("1.00e300")).count();
        assert_eq!(with_name, 2, "{screen}");
        assert!(screen.contains("48 more checks"), "{screen}");
        assert!(!screen.contains('\u{1b}') && !screen.contains('\u{202e}'), "{screen}");
    }
}

fn paused(width: u16, height: u16) -> Model {
    with(scene::progressing(width, height), |model| {
        let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
        row.paused = Some(
            Held {
                by: "alice@example.com".into(),
                at: time("12:04:35"),
                reason: "waiting for the support team".into(),
            }
            .into(),
        );
        row.pending = Some(Pending { verb: Verb::Promote, by: "bob@example.com".into(), at: time("12:04:47") }.into());
        row.status_weight = 20;
        row.canary.pods = Some(crate::tui::row::Pods { ready: 2, desired: 3 });
    })
}

fn pods_that_do_not_start(width: u16, height: u16) -> Model {
    with(scene::progressing(width, height), |model| {
        let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
        row.canary.pods = Some(Pods { ready: 1, desired: 3 });
        let (canary, primary) = (row.canary.workload.clone(), row.primary.workload.clone());
        let reason = "CrashLoopBackOff: back-off 5m0s restarting failed container (app)\u{1b}[2J";
        let pods = PodsRecord {
            pods: 3,
            restarts: 7,
            last_end: Some(("OOMKilled".into(), time("12:04:30"))),
            not_ready: 2,
            reasons: vec![NotReady { pod: "jx-production-myapp-5d8f7c9b64-x2x4z".into(), reason: reason.into() }],
            more: false,
        };
        update(model, Msg::Pods { workload: canary, pods: Ok(pods) });
        update(model, Msg::Pods { workload: primary, pods: Err("you may not list pods in jx-production".into()) });
    })
}

#[test]
fn pods_say_how_often_they_started_anew_and_why_they_are_not_ready() {
    at_all_sizes("pods", pods_that_do_not_start);
    let screen = text(&shot(&pods_that_do_not_start(200, 60)));
    assert!(screen.contains("3/3 ready  – restarts: you may not list pods in jx-production"), "{screen}");
    assert!(screen.contains("1/3 ready  7 restarts (OOMKilled)  CrashLoopBackOff: back-off"), "{screen}");
}

#[test]
fn a_paused_rollout_with_a_pending_request_and_weights_that_differ() {
    at_all_sizes("paused", paused);
}

#[test]
fn nothing_there_nothing_known_nothing_permitted() {
    let live = |links: Link| {
        move |width, height| {
            let mut model = scene::unheard(width, height);
            let routes = Link::Connecting;
            update(&mut model, Msg::Cluster { cluster: links.clone(), routes, missing: Vec::new() });
            model
        }
    };
    let (width, height) = (80, 24);
    compare("loading", &scene::unheard(width, height));
    compare("empty", &live(Link::Live)(width, height));
    let what = "canaries.flagger.app is forbidden: User \"eve\" cannot list resource \"canaries\" in API group \
                \"flagger.app\" in the namespace \"jx-production\"";
    compare("forbidden", &live(Link::Forbidden { what: what.into() })(width, height));
    let why = "its API server serves no Canary (flagger.app)";
    compare("no_definitions", &live(Link::Absent { why: why.into() })(width, height));
    let lost = Link::Lost { since: time("12:04:31"), why: "Connection refused (os error 111)".into() };
    compare("never_reached", &live(lost)(width, height));
}

fn disconnected(width: u16, height: u16) -> Model {
    with(scene::progressing(width, height), |model| {
        let lost = Link::Lost { since: time("12:04:31"), why: "Connection refused (os error 111)".into() };
        let routes = lost.clone();
        update(model, Msg::Cluster { cluster: lost, routes, missing: Vec::new() });
        update(model, Msg::Prometheus(Link::Lost { since: time("12:04:33"), why: "no answer within 5 s".into() }));
    })
}

#[test]
fn a_lost_connection_says_since_when_and_keeps_the_last_values_dimmed() {
    at_all_sizes("disconnected", disconnected);
    let model = disconnected(120, 40);
    let buffer = shot(&model);
    let dim = model.look.theme.style(Role::Dim).fg;
    for wanted in ["1.0.0 →", "118 ms", "Advance"] {
        assert_eq!(Some(find(&buffer, wanted).fg), dim, "{wanted} steps back");
    }
    assert!(model.countdown().is_none(), "nothing counts down to what is not known");
}

#[test]
fn a_lost_connection_recovers() {
    let mut model = disconnected(80, 24);
    update(&mut model, Msg::Cluster { cluster: Link::Live, routes: Link::Live, missing: Vec::new() });
    model.prometheus = Link::Live;
    assert_eq!(text(&shot(&model)), text(&shot(&scene::progressing(80, 24))));
}

#[test]
fn hostile_and_wide_texts_stay_in_their_cells() {
    let model = with(scene::progressing(80, 24), |model| {
        let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
        row.name = "カナリア-リリース-\u{202e}gnp.exe-とても長い名前のアプリケーション".into();
        row.canary.image = "gcr.io/jx/app:\x1b[31m1.1.0\u{200b}".into();
        model.selected = Some(row.key());
        model.settle();
        let message = "Halt \x1b]0;owned\x07 advancement \u{9b}2J\r\nnew line 日本語 e\u{301}\u{301}\u{301}\u{301}";
        update(model, Msg::Event(std::sync::Arc::new(scene::event("x", "12:04:40", true, message))));
    });
    compare("hostile", &model);
    for cell in shot(&model).content() {
        assert!(!cell.symbol().chars().any(char::is_control));
    }
}

#[test]
fn what_cannot_be_driven_says_why_in_place_of_numbers() {
    let model = with(scene::at_rest(120, 40), |model| {
        model.rows[0].problems = vec!["spec.analysis.webhooks is not supported by this version of canary-tui".into()];
        model.rows[2].problems =
            vec!["spec.analysis.stepWeight is 0 or missing".into(), "spec.skipAnalysis is not supported".into()];
        model.selected = Some(model.rows[2].key());
    });
    compare("not_driven", &model);
}

#[test]
fn in_ascii_nothing_else_is_sent() {
    for (name, scene) in [("ascii_failing", scene::failing as fn(u16, u16) -> Model), ("ascii_paused", paused)] {
        let model = with(scene(80, 24), |model| model.look.glyphs = &glyphs::ASCII);
        compare(name, &model);
        assert!(shot(&model).content().iter().all(|cell| cell.symbol().is_ascii()));
    }
    let help = with(scene::at_rest(80, 24), |model| {
        model.look.glyphs = &glyphs::ASCII;
        press(model, "?");
    });
    assert!(shot(&help).content().iter().all(|cell| cell.symbol().is_ascii()));
}

#[test]
fn without_colours_the_attributes_carry_what_matters() {
    let model = with(scene::failing(80, 24), |model| model.look.theme = Theme::named("dark", Depth::None).unwrap());
    let buffer = shot(&model);
    assert!(buffer.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    assert!(find(&buffer, "jx-production-myapp").modifier.contains(Modifier::REVERSED), "the selected row");
    assert!(find(&buffer, "✗ Failed").modifier.contains(Modifier::BOLD));
    assert!(!find(&buffer, "jx-production-cart").modifier.contains(Modifier::REVERSED));
    let resting = with(scene::at_rest(80, 24), |model| model.look.theme = model.look.theme.clone());
    let resting = with(resting, |model| model.look.theme = Theme::named("dark", Depth::None).unwrap());
    assert!(find(&shot(&resting), "p pause").modifier.contains(Modifier::DIM), "a key that does nothing now");
}

/// The styles of a screen: a letter for each distinct one; and what it is, with the roles that look so.
pub(super) fn styles(model: &Model) -> (Vec<String>, Vec<String>) {
    let buffer = shot(model);
    let mut seen: Vec<Style> = Vec::new();
    let mut rows = Vec::new();
    for cells in buffer.content().chunks(usize::from(buffer.area().width)) {
        let mut row = String::new();
        for cell in cells {
            let style = Style { fg: Some(cell.fg), bg: Some(cell.bg), add_modifier: cell.modifier, ..Style::new() };
            let at = seen.iter().position(|known| *known == style).unwrap_or_else(|| {
                seen.push(style);
                seen.len() - 1
            });
            let letter = ".abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".chars().nth(at).unwrap_or('?');
            row.push(letter);
        }
        rows.push(row);
    }
    let theme = &model.look.theme;
    let shades = |colour: Option<Color>| colour.map_or("-".to_string(), |colour| colour.to_string());
    let legend =
        seen.iter().zip(".abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".chars()).map(|(style, letter)| {
            let looks = |role: &Role| {
                let own = theme.style(*role);
                let same = |own: Option<Color>, shown: Option<Color>| {
                    own.unwrap_or(Color::Reset) == shown.unwrap_or(Color::Reset)
                };
                same(own.fg, style.fg) && same(own.bg, style.bg) && own.add_modifier == style.add_modifier
            };
            let roles: Vec<&str> = Role::ALL.iter().filter(|role| looks(role)).map(|role| role.name()).collect();
            let (fg, bg, attributes) = (shades(style.fg), shades(style.bg), format!("{:?}", style.add_modifier));
            let attributes = attributes.trim_start_matches("NONE").to_lowercase();
            format!("{letter} {fg} on {bg} {attributes}  {}", roles.join(" ")).trim_end().to_string()
        });
    let legend = legend.collect();
    (rows, legend)
}

#[test]
fn what_the_screen_looks_like_in_each_colour_depth() {
    let scenes = [
        ("progressing", scene::progressing as fn(u16, u16) -> Model),
        ("failing", scene::failing),
        ("paused", paused),
        ("disconnected", disconnected),
    ];
    let depths =
        [("none", Depth::None), ("16", Depth::Sixteen), ("256", Depth::TwoFiftySix), ("truecolor", Depth::True)];
    for (scene_name, scene) in scenes {
        for (depth_name, depth) in depths {
            let model = with(scene(80, 24), |model| model.look = scene::look_at("dark", depth));
            insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                let (rows, legend) = styles(&model);
                let text = format!("{}\n{}\n", rows.join("\n"), legend.join("\n"));
                insta::assert_snapshot!(format!("styles_{scene_name}_{depth_name}"), text);
            });
        }
    }
}

#[test]
fn the_list_of_themes() {
    for (width, height) in SIZES {
        let model = with(scene::progressing(width, height), |model| {
            press(model, "tjjjjj");
        });
        compare(&format!("themes_{width}x{height}"), &model);
    }
    let ascii = with(scene::progressing(80, 24), |model| {
        model.look.glyphs = &glyphs::ASCII;
        press(model, "t");
    });
    compare("themes_ascii", &ascii);
    assert!(shot(&ascii).content().iter().all(|cell| cell.symbol().is_ascii()));
    let folder = tempfile::tempdir().unwrap();
    for index in 0..30 {
        std::fs::write(folder.path().join(format!("theme-{index:02}.toml")), "about = \"one of many\"\n").unwrap();
    }
    std::fs::write(folder.path().join("wrong.toml"), "[roles]\ntxet = { fg = \"ink\" }\n").unwrap();
    let many = with(scene::progressing(60, 16), |model| {
        press(model, "t");
        update(model, Msg::Themes(crate::tui::theme::Library::load(Some(folder.path()))));
        press(model, "G");
    });
    compare("themes_wrong_60x16", &many);
    let poor = with(scene::progressing(80, 24), |model| {
        model.look = scene::look_at("auto", Depth::None);
        press(model, "t");
    });
    assert!(find(&shot(&poor), "auto").modifier.contains(Modifier::REVERSED), "the one that is pointed at");
}

#[test]
fn dialogues() {
    for (name, scene, keys) in [
        ("ask_abort", scene::progressing as fn(u16, u16) -> Model, "a"),
        ("ask_pause", scene::progressing, "p"),
        ("ask_promote", scene::progressing, "P"),
        ("ask_next", scene::progressing, "n"),
        ("ask_open", scene::at_a_gate, "O"),
        ("ask_quit", scene::progressing, "q"),
        ("versions", scene::at_rest, "s"),
        ("versions_typed", scene::at_rest, "s2.0.0-rc.1"),
        ("versions_wrong", scene::at_rest, "sno good<enter>"),
        ("ask_start", scene::at_rest, "s<enter>"),
        ("help", scene::at_rest, "?"),
        ("events_in_full", scene::failing, "e"),
        ("filter", scene::at_rest, "/car"),
        ("filter_none", scene::at_rest, "/nothing"),
    ] {
        let model = with(scene(80, 24), |model| {
            press(model, keys);
        });
        compare(name, &model);
    }
    let large = |keys: &str| {
        with(scene::failing(120, 40), |model| {
            press(model, keys);
        })
    };
    compare("help_120x40", &large("?"));
}

/// The list of versions of myapp, with what it had, and one of those chosen.
fn versions(width: u16, height: u16, place: usize, change: impl Fn(&mut Past)) -> Model {
    let mut model = scene::choosing(width, height);
    if let Some(Overlay::Versions(versions)) = &mut model.overlay {
        let past = versions.choices.iter_mut();
        past.filter_map(|choice| if let Choice::Past(past) = choice { Some(&mut **past) } else { None })
            .for_each(change);
        versions.at = versions.choices.iter().position(|choice| matches!(choice, Choice::Past(_))).unwrap() + place;
    }
    model
}

#[test]
fn a_name_that_nobody_checks_is_marked() {
    let with_names = |names: Names| {
        with(scene::progressing(80, 24), |model| {
            let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
            row.paused =
                Some(Held { by: "alice@example.com".into(), at: time("12:04:35"), reason: String::new() }.into());
            row.pending =
                Some(Pending { verb: Verb::Promote, by: "bob@example.com".into(), at: time("12:04:47") }.into());
            update(model, Msg::Names { namespace: scene::NAMESPACE.into(), names });
        })
    };
    compare("unchecked_80x24", &with_names(Names::Unchecked));
    let unknown = text(&shot(&with_names(Names::Unknown)));
    assert!(unknown.contains("by bob@example.com at"), "{unknown}");
    // The view that says all says that too.
    for (names, wanted) in [
        (Names::Checked, "by bob@example.com at"),
        (Names::Unchecked, "by bob@example.com (unchecked) at"),
        (Names::Unknown, "by bob@example.com (not known to be checked) at"),
    ] {
        let mut model = with_names(names);
        model.size = (120, 40).into();
        press(&mut model, "w");
        let screen = text(&shot(&model));
        assert!(screen.contains(wanted), "{screen}");
    }
    // Another place knows nothing of it.
    let mut model = with_names(Names::Unchecked);
    assert_eq!(model.names_in("elsewhere"), Names::Unknown);
    model.forget_driver();
    assert_eq!(model.names_in(scene::NAMESPACE), Names::Unknown);
}

#[test]
fn versions_that_it_had() {
    for (width, height) in [(80, 24), (120, 40)] {
        compare(&format!("versions_past_{width}x{height}"), &versions(width, height, 1, |_| {}));
        let long = |past: &mut Past| {
            past.image =
                format!("registry.eu-west-1.example.com/{}/app:{}", "team/".repeat(40), "0.9.0-rc.1-".repeat(9));
            if let Way::Image { image, .. } = &mut past.way {
                image.clone_from(&past.image);
            }
        };
        compare(&format!("versions_long_{width}x{height}"), &versions(width, height, 3, long));
    }
    let mut least = versions(60, 16, 4, |_| {});
    compare("versions_past_60x16", &least);
    press(&mut least, "<enter>");
    compare("versions_barred_60x16", &least);
    let mut unknown = scene::at_rest(80, 24);
    press(&mut unknown, "s");
    let why = "not permitted: replicasets.apps is forbidden: User \"eve\" cannot list resource \"replicasets\"";
    update(&mut unknown, Msg::Past { asked: 1, past: Err(why.into()) });
    compare("versions_unknown", &unknown);
    let mut part = versions(80, 24, 3, |_| {});
    press(&mut part, "<enter>");
    compare("ask_start_past", &part);
}

#[test]
fn a_question_whose_ground_has_gone_cannot_be_confirmed() {
    let mut model = scene::progressing(80, 24);
    press(&mut model, "a");
    let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
    row.revision = Some("another".into());
    compare("ask_outdated", &model);
    assert_eq!(press(&mut model, "y"), [], "nothing is sent");
    assert!(model.overlay.is_some(), "the question stays and says why");
}

#[test]
fn notices_and_other_drivers() {
    let model = with(scene::progressing(80, 24), |model| {
        model.driver = Driver::Other { holder: "alice@bastion-with-a-long-name.example.com (47110)".into() };
        let text = "promote jx-production-myapp: refused: it names revision 5d8f7c9b64, and the target now bears \
                    6b7c8d9e0f";
        model.notice = Some(Notice { tone: Tone::Bad, text: text.into() });
    });
    compare("refused", &model);
    let model = with(scene::progressing(80, 24), |model| {
        model.driver = Driver::Nobody { why: Some("you may not patch deployments.apps in jx-production".into()) };
        model.prometheus = Link::Absent {
            why: "no Prometheus among the Services of istio-system, monitoring: give its address with --prometheus URL"
                .into(),
        };
    });
    compare("nobody_drives", &model);
}

#[test]
fn no_size_and_no_scene_makes_it_panic() {
    let scenes: [fn(u16, u16) -> Model; 6] =
        [scene::progressing, scene::failing, scene::at_rest, scene::at_a_gate, paused, disconnected];
    for width in [1, 5, 59, 60, 80, 97, 300] {
        for height in [1, 5, 15, 16, 24, 90] {
            for scene in scenes {
                for keys in ["", "a", "s", "O", "?", "e", "<enter>", "/x", "t"] {
                    let mut model = scene(width, height);
                    press(&mut model, keys);
                    shot(&model);
                }
            }
        }
    }
    let mut crowded = scene::progressing(60, 16);
    press(&mut crowded, "q");
    compare("ask_quit_smallest", &crowded);
    compare("too_small", &scene::progressing(40, 10));
    compare("smallest", &scene::progressing(60, 16));
}

#[test]
fn many_canaries_page_with_the_selection() {
    let mut model = scene::many(100, 120, 40);
    press(&mut model, "<pgdn><pgdn>");
    compare("many", &model);
    press(&mut model, "G");
    assert_eq!(model.selected.as_ref().map(|key| key.name.as_str()), Some("app-099"));
    assert!(text(&shot(&model)).contains("▸ app-099"));
}

#[test]
fn long_rollouts_show_the_steps_around_the_present_one() {
    let model = with(scene::progressing(80, 24), |model| {
        let row = model.rows.iter_mut().find(|row| row.under_way()).unwrap();
        Arc::make_mut(&mut row.rules).steps = (1..=50).collect();
    });
    let screen = text(&shot(&model));
    let line = screen.lines().find(|line| line.contains("failed checks")).unwrap();
    assert!(line.contains("30% ●") && line.contains("29% ✓") && line.contains("31% ○"), "{line}");
    assert!(line.starts_with("│ … ") && line.contains(" … "), "what is left out bears a mark: {line}");
}

#[test]
fn every_phase_has_its_sign() {
    for phase in [
        Phase::New,
        Phase::Initializing,
        Phase::Waiting,
        Phase::Promoting,
        Phase::Finalising,
        Phase::WaitingPromotion,
        Phase::Terminating,
        Phase::Unknown,
    ] {
        let model = with(scene::at_rest(120, 40), |model| {
            let row = scene::row("jx-production-myapp", phase, ("1.0.0", "1.1.0"));
            update(model, Msg::Rows(vec![row.into()]));
        });
        let screen = text(&shot(&model));
        let name = if phase == Phase::New { "New" } else { phase.name() };
        assert!(screen.contains(&format!(" {name} ")), "{phase:?}");
    }
}

/// The first cell of a text on the screen.
fn find<'a>(buffer: &'a Buffer, wanted: &str) -> &'a ratatui::buffer::Cell {
    let symbols: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    let width = usize::from(buffer.area().width);
    for (at, _) in symbols.iter().enumerate() {
        let end = (at / width + 1) * width;
        if symbols[at..end].concat().starts_with(wanted) {
            return &buffer.content()[at];
        }
    }
    panic!("{wanted:?} is not on the screen:\n{}", text(buffer));
}

#[test]
fn the_footer_and_the_help_name_every_key_of_the_main_screen() {
    let mut model = scene::progressing(120, 90);
    let footer = text(&shot(&model));
    press(&mut model, "?");
    let help = text(&shot(&model));
    for binding in keys::TABLE.iter().filter(|b| b.place == keys::Place::Main && !b.key.is_empty()) {
        assert!(help.contains(binding.help.split([':', ';', ',']).next().unwrap()), "{}", binding.help);
        let last = footer.lines().last().unwrap();
        assert!(binding.label.is_empty() || last.contains(keys::label(binding, &model)), "{}", binding.label);
    }
    for (key, binding) in [("← h", "Read an earlier"), ("→ l", "Read a later"), ("[ -", "Look back less")] {
        assert!(help.contains(&format!("{key}      {binding}")), "{help}");
    }
    for binding in keys::TABLE.iter().filter(|binding| binding.place == keys::Place::Charts) {
        assert!(help.contains(binding.help), "{}", binding.help);
    }
}

#[test]
fn the_pane_that_has_the_keyboard_takes_the_whole_screen() {
    let mut model = scene::progressing(80, 24);
    press(&mut model, "z");
    let fleet = text(&shot(&model));
    assert!(
        fleet.contains("jx-production-myapp") && !fleet.contains("PRIMARY") && !fleet.contains("Events"),
        "{fleet}"
    );
    assert_eq!(
        (layout(&model).fleet.height, model.countdown()),
        (22, None),
        "nothing but the header and the keys beside it"
    );
    press(&mut model, "<tab>");
    let events = text(&shot(&model));
    assert!(events.contains("Events") && !events.contains("PRIMARY"), "{events}");
    assert_eq!(layout(&model).events.height, 22);
    // What is looked for is dropped first, and then the pane is one of all again.
    press(&mut model, "<tab>/my<enter><esc>");
    assert!(model.zoomed);
    press(&mut model, "<esc>");
    assert_eq!(text(&shot(&model)), text(&shot(&scene::progressing(80, 24))));
}
