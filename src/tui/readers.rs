//! Opens what is read over the whole screen, and moves in it by what is looked for.

use super::model::{Filter, Model, Overlay};
use super::reading::{Inquiry, Reading, Topic};
use super::row::Row;
use super::view;

/// Opens a topic of the selected canary, or of the one that is being read about; closes it where it is open.
pub fn open(model: &mut Model, topic: Topic) {
    let (open, known) = match &model.overlay {
        Some(Overlay::Reading(reading)) => (Some(reading.ask.topic), Some(reading.ask.of.clone())),
        _ => (None, None),
    };
    if open == Some(topic) {
        model.overlay = None;
        return;
    }
    let Some(of) = known.or_else(|| model.row().map(Row::key)) else { return };
    model.asked += 1;
    let ask = Inquiry { generation: model.asked, of, topic };
    model.overlay = Some(Overlay::Reading(Box::new(Reading::new(ask))));
}

/// What is being typed into a view.
pub fn typing(model: &mut Model) -> Option<&mut Filter> {
    find(model).filter(|find| find.typing)
}

fn find(model: &mut Model) -> Option<&mut Filter> {
    match &mut model.overlay {
        Some(Overlay::Reading(reading)) => Some(&mut reading.find),
        Some(Overlay::Events(reader)) => Some(&mut reader.find),
        _ => None,
    }
}

/// Begins to look for something.
pub fn look_for(model: &mut Model) {
    if let Some(find) = find(model) {
        find.typing = true;
    }
}

/// What was typed stays what is looked for, or is dropped.
pub fn stop_typing(model: &mut Model, drop: bool) {
    if let Some(find) = find(model) {
        find.typing = false;
        if drop {
            find.input.reset();
        }
    }
}

/// Something else is looked for: the eye goes to the first line from here on that holds it.
pub fn looked_for(model: &mut Model) {
    look(model, |hits, reading| hits.iter().position(|line| *line >= reading.scroll).unwrap_or(0));
}

/// The eye goes to the next line that holds it, or to the one before; from the last to the first.
pub fn next_hit(model: &mut Model, forwards: bool) {
    look(model, |hits, reading| {
        let at = reading.hit.min(hits.len() - 1);
        if forwards { (at + 1) % hits.len() } else { (at + hits.len() - 1) % hits.len() }
    });
}

/// Moves the eye to the hit that `which` chooses, of which there is at least one, and the text with it.
fn look(model: &mut Model, which: impl Fn(&[usize], &Reading) -> usize) {
    let Some(Overlay::Reading(reading)) = &model.overlay else { return };
    let lines = view::reading::lines(model, reading);
    let hits = view::reading::hits(&lines, reading);
    if hits.is_empty() {
        return;
    }
    let hit = which(&hits, reading);
    let room = view::reading::room(model);
    let most = lines.len().saturating_sub(room);
    if let Some(Overlay::Reading(reading)) = &mut model.overlay {
        reading.hit = hit;
        let line = hits[hit.min(hits.len() - 1)];
        if line < reading.scroll || line >= reading.scroll + room {
            reading.scroll = line.saturating_sub(room / 3).min(most);
        }
    }
}
