//! Choosing a theme: the list of them, and the whole screen as a preview of the one that is pointed at.

use super::look::Look;
use super::model::{Model, Notice, Overlay, Tone};
use super::theme::{AUTO, Depth, Library, Offer};
use std::sync::Arc;

/// The list, open.
#[derive(Clone, Debug)]
pub struct Chooser {
    pub offers: Vec<Offer>,
    pub at: usize,
    /// What was worn when it was opened.
    before: Look,
}

/// Opens the list at the theme that is worn.
pub fn open(model: &mut Model) {
    let offers = offers(&model.look);
    let at = place(&offers, &model.look.chosen);
    model.overlay = Some(Overlay::Themes(Chooser { offers, at, before: model.look.clone() }));
}

/// [`AUTO`], and all themes.
fn offers(look: &Look) -> Vec<Offer> {
    let says = match look.depth {
        Depth::Sixteen => "the terminal's own colours, for it has sixteen",
        Depth::None => "dark; this terminal shows no colours",
        Depth::TwoFiftySix | Depth::True => "dark or light, as the terminal is",
    };
    let mut offers = vec![Offer { name: AUTO.into(), about: Ok(says.into()), own: false }];
    offers.extend(look.themes.offers());
    offers
}

fn place(offers: &[Offer], name: &str) -> usize {
    offers.iter().position(|offer| &*offer.name == name).unwrap_or(0)
}

/// The files have been read again: they may say something else now, or others may be there.
pub fn renew(model: &mut Model, themes: Library) {
    model.look.themes = Arc::new(themes);
    let Some(Overlay::Themes(chooser)) = &mut model.overlay else { return };
    let pointed = chooser.offers.get(chooser.at).map(|offer| offer.name.clone());
    chooser.before.themes = model.look.themes.clone();
    chooser.offers = offers(&model.look);
    chooser.at = place(&chooser.offers, pointed.as_deref().unwrap_or(AUTO));
    preview(model);
}

/// Points at another line, and puts on what it offers.
pub fn point(model: &mut Model, moved: impl Fn(usize, usize) -> usize) {
    if let Some(Overlay::Themes(chooser)) = &mut model.overlay {
        chooser.at = moved(chooser.at, chooser.offers.len().saturating_sub(1));
        preview(model);
    }
}

/// What cannot be worn is not previewed: what was worn last stays, and the list says what is wrong.
fn preview(model: &mut Model) {
    if let Some(Overlay::Themes(chooser)) = &model.overlay
        && let Some(offer) = chooser.offers.get(chooser.at)
    {
        let _ = model.look.wear(&offer.name);
    }
}

/// Keeps what is pointed at, where it can be worn.
pub fn keep(model: &mut Model) {
    let Some(Overlay::Themes(chooser)) = &model.overlay else { return };
    if let Some(Offer { name, about: Ok(_), .. }) = chooser.offers.get(chooser.at) {
        let text = format!("theme {name}");
        model.notice = Some(Notice { tone: Tone::Plain, text });
        model.overlay = None;
    }
}

/// Puts on again what was worn before.
pub fn leave(model: &mut Model) {
    if let Some(Overlay::Themes(chooser)) = model.overlay.take() {
        let light = model.look.light;
        model.look = chooser.before;
        // The terminal may have told its ground in between.
        model.look.light = light;
        if &*model.look.chosen == AUTO {
            let _ = model.look.wear(AUTO);
        }
    }
}
