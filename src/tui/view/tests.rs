//! What the screens look like, in text, and the styles that meaning hangs on.

use super::*;
use crate::tui::message::Msg;
use crate::tui::model::*;
use crate::tui::row::{Held, Pending};
use crate::tui::scene::{self, shot, text, time};
use crate::tui::theme::{Depth, Theme};
use crate::tui::update::update;
use crate::tui::{glyphs, keys};
use crate::api::{Phase, Verb};
use ratatui::style::Modifier;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Compares a scene at all sizes.
fn at_all_sizes(name: &str, scene: impl Fn(u16, u16) -> Model) {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), text(&shot(&scene(width, height))));
    }
}

fn with(mut model: Model, change: impl FnOnce(&mut Model)) -> Model {
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
