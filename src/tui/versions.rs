//! Choosing the version to start: the one that has failed once more, those that the target offers, those that it had, and
//! what is typed.

use super::message::Command;
use super::model::kept;
use super::model::{Ask, Model, Overlay, Wish};
use super::question::{self, Question};
use super::row::{Key, Row, image_of};
use crate::api::{Phase, Verb};
use crate::cluster::records::tag;
use crate::rollout::{self, Past, Way};
use tui_input::Input;

/// Which version to start.
#[derive(Clone, Debug)]
pub struct Versions {
    pub canary: Key,
    /// The revision that the operator saw when the list was opened.
    pub revision: String,
    pub choices: Vec<Choice>,
    /// Number of the question that was asked for those that it had.
    pub asked: u64,
    pub past: Looked,
    pub at: usize,
    /// What is typed; keys go here while the last line is chosen.
    pub input: Input,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// One line of the list of versions.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// The present revision once more.
    Again {
        version: String,
    },
    Offered {
        tag: String,
        note: String,
        running: bool,
    },
    /// One that the target had.
    Past(Box<Past>),
    /// What is typed.
    Typed,
}

/// Whether it is known which versions a target had.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// It is asked for.
    Waiting,
    /// Those that are known stand among the choices.
    Found,
    /// Why it is not known.
    Unknown(String),
}

/// Opens the list for the selected canary, and has those asked for that its target had.
pub fn open(model: &mut Model) -> Vec<Command> {
    let asked = model.asked + 1;
    let Some(row) = model.row() else { return Vec::new() };
    let choices = choices(row);
    // What waits is meant to go; what failed is meant to be replaced.
    let waiting = row.phase == Phase::Waiting;
    let best = choices.iter().position(|choice| match choice {
        Choice::Again { .. } => waiting || row.offered.is_empty(),
        Choice::Offered { running, .. } => !running,
        // They come later, and what is chosen then stays chosen.
        Choice::Past(_) => false,
        Choice::Typed => true,
    });
    let canary = row.key();
    model.overlay = Some(Overlay::Versions(Versions {
        canary: canary.clone(),
        revision: row.revision.as_deref().unwrap_or_default().to_string(),
        at: best.unwrap_or(0),
        choices,
        asked,
        past: Looked::Waiting,
        input: Input::default(),
        error: None,
    }));
    model.asked = asked;
    vec![Command::LookBack { asked, canary }]
}

/// Puts the versions that the target had before the line that is typed. What is chosen stays chosen.
pub fn take_past(versions: &mut Versions, past: Result<Vec<Past>, String>) {
    let past = match past {
        Ok(past) => past,
        Err(why) => {
            versions.past = Looked::Unknown(kept(&why));
            return;
        }
    };
    versions.past = Looked::Found;
    let typed = versions.choices.iter().position(|choice| *choice == Choice::Typed).unwrap_or(versions.choices.len());
    if versions.at >= typed {
        versions.at += past.len();
    }
    versions.choices.splice(typed..typed, past.into_iter().map(|past| Choice::Past(Box::new(past))));
}

fn choices(row: &Row) -> Vec<Choice> {
    let mut choices = Vec::new();
    if matches!(row.phase, Phase::Failed | Phase::Waiting) && !row.canary.version().is_empty() {
        choices.push(Choice::Again { version: row.canary.version().to_string() });
    }
    choices.extend(row.offered.iter().map(|(tag, note)| Choice::Offered {
        tag: tag.clone(),
        note: note.clone(),
        running: *tag == row.primary.version(),
    }));
    choices.push(Choice::Typed);
    choices
}

/// Asks about what is chosen, or says what is wrong with it.
pub fn accept(model: &mut Model) {
    let Some(Overlay::Versions(versions)) = model.overlay.take() else { return };
    match wish_of(&versions, model) {
        Ok(wish) => model.overlay = Some(Overlay::Question(Question::new(Ask::Verb(wish)))),
        Err(error) => model.overlay = Some(Overlay::Versions(Versions { error: Some(error), ..versions })),
    }
}

fn wish_of(versions: &Versions, model: &Model) -> Result<Wish, String> {
    let row = model.named(&versions.canary).ok_or_else(|| format!("{} is gone", versions.canary.name))?;
    let mut wish = Wish {
        number: 0,
        verb: Verb::Start,
        canary: row.key(),
        revision: versions.revision.clone(),
        image: None,
        container: None,
        version: row.canary.version().to_string(),
        past: None,
        gate: None,
        reason: String::new(),
    };
    let typed = match versions.choices.get(versions.at) {
        Some(Choice::Again { .. }) => return Ok(wish),
        Some(Choice::Past(past)) => match &past.way {
            Way::Present if matches!(row.phase, Phase::Failed | Phase::Waiting) => return Ok(wish),
            Way::Present => return Err("the target has this version now: there is nothing to start".into()),
            Way::Barred(why) => {
                return Err(question::undone(past.number, why, &row.canary.workload.name, &row.namespace));
            }
            Way::Image { container, image, otherwise } => {
                wish.version = tag(image).to_string();
                (wish.image, wish.container) = (Some(image.clone()), Some(container.clone()));
                wish.past = Some((past.number, otherwise.clone()));
                return Ok(wish);
            }
        },
        Some(Choice::Offered { tag, .. }) => tag.as_str(),
        _ => versions.input.value().trim(),
    };
    if typed.is_empty() {
        return Err("type a tag like 1.1.0, or a whole image".into());
    }
    if !rollout::is_image(typed) {
        return Err("a tag or an image holds letters, digits and . _ - / : @ only".into());
    }
    let (container, image) = row.container()?;
    let image = image_of(image, typed);
    wish.version = tag(&image).to_string();
    wish.image = Some(image);
    wish.container = Some(container.clone());
    Ok(wish)
}
