//! The mouse, where it is turned on: the wheel scrolls what lies under it, a click selects. It never answers a question.

use super::keys::Action;
use super::message::Command;
use super::model::{Model, Overlay, Pane};
use super::update::{select, travel};
use super::{chooser, view};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

/// Lines of text that one notch of the wheel moves.
const NOTCH: usize = 3;

/// Takes what the mouse did. A terminal may tell of places outside of the screen, and of a mouse that was turned off.
pub fn act(model: &mut Model, event: &MouseEvent) -> Vec<Command> {
    if !model.mouse || model.too_small() {
        return Vec::new();
    }
    let at = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollUp => wheel(model, at, Action::Up),
        MouseEventKind::ScrollDown => wheel(model, at, Action::Down),
        MouseEventKind::Down(MouseButton::Left) => click(model, at),
        _ => Vec::new(),
    }
}

fn wheel(model: &mut Model, at: Position, way: Action) -> Vec<Command> {
    let whole = Rect::new(0, 0, model.size.width, model.size.height);
    if !whole.contains(at) {
        return Vec::new();
    }
    let (pane, lines) = match &model.overlay {
        Some(Overlay::Question(_)) => return Vec::new(),
        Some(Overlay::Help { .. } | Overlay::Reading(_)) => (model.pane, NOTCH),
        Some(_) => (model.pane, 1),
        None => {
            let layout = view::layout(model);
            if layout.events.contains(at) {
                (Pane::Events, NOTCH)
            } else if layout.fleet.contains(at) {
                (Pane::Fleet, 1)
            } else {
                return Vec::new();
            }
        }
    };
    // What lies under the wheel moves; the keyboard stays where it is.
    let keyboard = std::mem::replace(&mut model.pane, pane);
    let commands = (0..lines).flat_map(|_| travel(model, way)).collect();
    model.pane = keyboard;
    commands
}

fn click(model: &mut Model, at: Position) -> Vec<Command> {
    match &model.overlay {
        Some(Overlay::Themes(list)) => {
            if let Some(place) = view::chooser::at(list, view::body(model), at.x, at.y) {
                chooser::point(model, |_, _| place);
            }
            Vec::new()
        }
        Some(_) => Vec::new(),
        None => {
            let layout = view::layout(model);
            if layout.events.contains(at) {
                model.pane = Pane::Events;
            } else if layout.fleet.contains(at) {
                model.pane = Pane::Fleet;
                if let Some(place) = view::fleet::at(model, layout.fleet, at.y) {
                    return select(model, |_, _| place);
                }
            }
            Vec::new()
        }
    }
}
