//! What the charts look like, in text.

use super::tests::{at_all_sizes, compare, with};
use crate::tui::history::Range;
use crate::tui::message::Msg;
use crate::tui::model::{Link, Model};
use crate::tui::scene::{self, press, shot, text, time};
use crate::tui::theme::{Depth, Theme};
use crate::tui::update::update;
use crate::tui::{glyphs, history::Past};

/// The charts of a scene, with what Prometheus remembers of the range that they show.
fn open(model: Model, keys: &str) -> Model {
    with(model, |model| {
        press(model, "<enter>");
        press(model, keys);
        let range = model.charts.range;
        scene::remember(model, range);
    })
}

#[test]
fn charts_of_a_rollout() {
    at_all_sizes("charts", |width, height| open(scene::progressing(width, height), ""));
    at_all_sizes("charts_failing", |width, height| open(scene::failing(width, height), ""));
    compare("charts_smallest", &open(scene::progressing(60, 16), ""));
}

#[test]
fn one_metric_has_the_room() {
    at_all_sizes("charts_large", |width, height| open(scene::failing(width, height), "mmmm"));
}

#[test]
fn the_cursor_reads_every_value_at_one_instant_and_the_weight_then() {
    at_all_sizes("charts_cursor", |width, height| open(scene::progressing(width, height), "[hhhhhhhh"));
    let model = with(open(scene::progressing(80, 24), ""), |model| {
        model.charts.cursor = Some(time("12:03:25").timestamp());
    });
    let screen = text(&shot(&model));
    assert!(screen.contains("at 12:03:25: 10 %"), "{screen}");
    let before = with(model, |model| model.charts.cursor = Some(time("12:00:30").timestamp()));
    assert!(text(&shot(&before)).contains("no value then"), "the canary did not run yet");
}

#[test]
fn the_day_is_shown_with_its_gap() {
    at_all_sizes("charts_day", |width, height| open(scene::progressing(width, height), "]]]"));
}

#[test]
fn no_data_loading_and_lost_say_so_in_the_place_of_the_chart() {
    let closed = |change: &dyn Fn(&mut Model)| {
        with(scene::progressing(80, 24), |model| {
            press(model, "<enter>]");
            change(model);
        })
    };
    let forget = |model: &mut Model| {
        let (at, selected) = (model.history.at, model.row().unwrap().clone());
        model.history = Default::default();
        model.history.at = at;
        model.history.follow([&selected.primary.workload, &selected.canary.workload]);
        model.history.ask([&selected.primary.workload, &selected.canary.workload], Range::Hour);
    };
    let loading = closed(&forget);
    assert_eq!(loading.history.past(&loading.row().unwrap().primary.workload, Range::Hour), &Past::Asked);
    compare("charts_loading", &loading);
    let told = |samples: Result<Vec<_>, String>| {
        closed(&|model| {
            forget(model);
            let row = model.row().unwrap().clone();
            for workload in [row.primary.workload, row.canary.workload] {
                update(model, Msg::Remembered { workload, range: Range::Hour, samples: samples.clone() });
            }
        })
    };
    compare("charts_no_data", &told(Ok(Vec::new())));
    compare("charts_failed", &told(Err("prom.mon:9090 answered 422: too many samples\u{1b}[2J".into())));
    let lost = closed(&|model| {
        forget(model);
        update(model, Msg::Prometheus(Link::Lost { since: time("12:04:33"), why: "no answer within 5 s".into() }));
    });
    compare("charts_lost", &lost);
}

#[test]
fn charts_in_ascii_and_with_few_colours() {
    let model = with(open(scene::failing(80, 24), "hh"), |model| model.look.glyphs = &glyphs::ASCII);
    compare("charts_ascii", &model);
    assert!(shot(&model).content().iter().all(|cell| cell.symbol().is_ascii()));
    let model = with(open(scene::failing(80, 24), ""), |model| {
        model.look.theme = Theme::named("terminal", Depth::Sixteen).unwrap();
    });
    let buffer = shot(&model);
    compare("charts_16_colours", &model);
    let fixed = |color| matches!(color, ratatui::style::Color::Rgb(..) | ratatui::style::Color::Indexed(_));
    assert!(buffer.content().iter().all(|cell| !fixed(cell.fg) && !fixed(cell.bg)));
    let dots = |cell: &&ratatui::buffer::Cell| cell.symbol().starts_with(|c| ('\u{2800}'..='\u{28ff}').contains(&c));
    let colours: std::collections::BTreeSet<String> =
        buffer.content().iter().filter(dots).map(|cell| format!("{:?}", cell.fg)).collect();
    assert_eq!(colours.len(), 3, "primary, canary, and what does not keep the limit: {colours:?}");
}

#[test]
fn charts_stand_still_between_two_samples() {
    let model = open(scene::progressing(120, 40), "h");
    let later = with(model.clone(), |model| model.now += chrono::Duration::seconds(3));
    assert_eq!(shot(&model), shot(&later));
}

#[test]
fn no_size_makes_the_charts_panic() {
    for width in [60, 61, 79, 80, 200, 300] {
        for height in [16, 17, 20, 23, 24, 60, 90] {
            for keys in ["", "m", "mmm", "hhh", "]]]]h", "[[h"] {
                shot(&open(scene::failing(width, height), keys));
            }
        }
    }
}
