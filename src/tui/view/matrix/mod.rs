//! Every view in every state, at every size, in every colour depth and in ASCII.
//!
//! The texts are snapshots: one file for a view in a state, with all sizes. What is no matter of taste is asserted of each
//! screen: see [`drawn`]. Whoever adds a view gives it a line in [`views`], and finds out what it shows when there is
//! nothing, when nothing is known yet, when it may not be known, and when names are long.

mod drawn;
mod states;
mod views;

use super::tests::SIZES;
use drawn::Drawn;
use states::State;
use std::collections::BTreeSet;
use views::{VIEWS, View};

/// Draws all views in a state.
fn all_views(state: State) {
    for view in &VIEWS {
        let mut text = String::new();
        for size in SIZES {
            let model = states::model(view, state, size, view.keys);
            let drawn = Drawn::all_ways(&model, &format!("{} {} {size:?}", view.name, state.name()));
            let beneath = states::model(view, state, size, "");
            text.push_str(&drawn.beside(&Drawn::of(&beneath), model.overlay.as_ref()));
        }
        compare(&format!("{}__{}", view.name, state.name()), &text);
    }
}

fn compare(name: &str, text: &str) {
    insta::with_settings!({
        omit_expression => true,
        prepend_module_to_snapshot => false,
        snapshot_path => "../snapshots/matrix",
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn empty() {
    all_views(State::Empty);
}

#[test]
fn loading() {
    all_views(State::Loading);
}

#[test]
fn normal() {
    all_views(State::Normal);
}

#[test]
fn failing() {
    all_views(State::Failing);
}

#[test]
fn paused() {
    all_views(State::Paused);
}

#[test]
fn disconnected() {
    all_views(State::Disconnected);
}

#[test]
fn forbidden() {
    all_views(State::Forbidden);
}

#[test]
fn very_long_names() {
    all_views(State::Long);
}

#[test]
fn wide_characters() {
    all_views(State::Wide);
}

#[test]
fn styles_in_each_colour_depth() {
    for view in &VIEWS {
        for state in [State::Normal, State::Failing] {
            let [model, beneath] = [view.keys, ""].map(|keys| states::model(view, state, SIZES[0], keys));
            let lines = Drawn::of(&model).changed(&Drawn::of(&beneath), model.overlay.as_ref());
            compare(&format!("styles_{}__{}", view.name, state.name()), &drawn::styles(&model, lines));
        }
    }
}

#[test]
fn every_overlay_is_in_the_matrix() {
    let open = |view: &View| {
        let model = states::model(view, State::Normal, SIZES[0], view.keys);
        model.overlay.as_ref().map(super::hostile_tests::name_of)
    };
    let opened: BTreeSet<&str> = VIEWS.iter().filter_map(open).collect();
    let known: BTreeSet<&str> = super::hostile_tests::OPENED_BY.iter().map(|(name, _)| *name).collect();
    assert_eq!(opened, known);
}
