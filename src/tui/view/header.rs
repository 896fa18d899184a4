//! The first line: where the console looks, how its sources are doing, who drives, and the time.

use super::canvas::{Canvas, Piece, piece};
use crate::tui::model::{Driver, Link, Model};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Stands first where nothing can be changed.
const READ_ONLY: &str = "[RO]";

/// Draws the header. What gives way first where the line is short: the product's name, the count, then the longer
/// forms of the words, the context, and at last the middles of what is left.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    let clock = model.now.with_timezone(&model.offset).format("%H:%M").to_string();
    let count = match (model.rows.len(), model.shown()) {
        (0, _) => String::new(),
        (1, 1) => "1 canary".into(),
        (all, shown) if all == shown => format!("{all} canaries"),
        (all, shown) => format!("{shown} of {all} canaries"),
    };
    let clean = |text: &str| text::clean(text, model.look.glyphs.unicode).into_owned();
    let (context, mut namespace) = (clean(&model.context), clean(model.place()));
    if context.is_empty() && namespace.is_empty() {
        namespace = "no cluster".into();
    }
    let (driver, driver_role) =
        driver(model.selected.as_ref().map_or(&model.driver, |key| model.driver_of(&key.namespace)));
    let driver = clean(&driver);
    let width = |text: &str| text::width(text) as u16;
    let mark = if model.guard.read_only.is_some() { width(READ_ONLY) + 1 } else { 0 };
    let room = area.width.saturating_sub(1 + 2 + width(&clock) + 1 + mark);
    let mesh: Vec<&str> = model.providers().iter().map(|provider| provider.name()).collect();
    let mesh = mesh.join("+");
    let (full_lamps, short_lamps) = (["prometheus", &mesh], ["prom", &mesh]);
    let fixed = |lamps: [&str; 2], driver: u16| lamps.iter().map(|name| width(name) + 4).sum::<u16>() + driver;
    let place = |with_context: bool| width(&namespace) + 2 + if with_context { width(&context) + 3 } else { 0 };
    let full = fixed(full_lamps, width("driver: ") + width(&driver));
    let with_count = !count.is_empty() && place(true) + full + width(&count) + 3 <= room;
    let with_name = place(true) + full + width(&count) + 3 + 12 <= room;
    let (lamps, prefix, with_context) = if place(true) + full <= room {
        (full_lamps, "driver: ", true)
    } else if place(true) + fixed(short_lamps, width("by ") + width(&driver)) <= room {
        (short_lamps, "by ", true)
    } else {
        (short_lamps, "by ", area.width >= 100 || model.everywhere)
    };

    let end = area.right().saturating_sub(1);
    canvas.right(end, area.y, width(&clock), &clock, Role::Text);
    let mut stop = end.saturating_sub(width(&clock) + 2);
    if with_count {
        stop = stop.saturating_sub(canvas.right(stop, area.y, width(&count), &count, Role::Dim) + 2);
    }
    let mut x = area.x + 1;
    if model.guard.read_only.is_some() {
        x += canvas.put(x, area.y, mark, READ_ONLY, Role::Warn) + 1;
    }
    if with_name {
        x += canvas.put(x, area.y, stop - x, "canary-tui", Role::Strong) + 2;
    }
    // A driver's name may take what is left, and at least so much; the place is cut before the lamps are.
    let for_driver = (width(prefix) + width(&driver)).min(24);
    let mut for_place = stop.saturating_sub(x + fixed(lamps, for_driver)).max(8);
    if with_context && !context.is_empty() {
        let least = width(&namespace).min(for_place / 2);
        let room = for_place.saturating_sub(least + 5).min(width(&context)).max(3);
        let used = canvas.put_on(x, area.y, room, &context, Role::Dim, None, Cut::Middle) + 1;
        canvas.put(x + used, area.y, 1, canvas.glyphs().pointer, Role::Faint);
        x += used + 2;
        for_place = for_place.saturating_sub(used + 2);
    }
    let room = for_place.saturating_sub(2).max(6).min(stop.saturating_sub(x));
    x += canvas.put_on(x, area.y, room, &namespace, Role::Strong, None, Cut::Middle) + 2;
    for (name, link) in lamps.into_iter().zip([&model.prometheus, &model.routes]) {
        let (glyph, role) = lamp(link, canvas);
        let pieces: [Piece; 3] = [piece(name, Role::Dim), piece(" ", Role::Dim), piece(glyph, role)];
        x += canvas.line(x, area.y, stop.saturating_sub(x), &pieces) + 2;
    }
    x += canvas.put(x, area.y, stop.saturating_sub(x), prefix, Role::Dim);
    canvas.put_on(x, area.y, stop.saturating_sub(x), &driver, driver_role, None, Cut::Middle);
}

/// The light of a source: by shape first, by colour besides.
fn lamp(link: &Link, canvas: &Canvas) -> (&'static str, Role) {
    let glyphs = canvas.glyphs();
    match link {
        Link::Connecting => (glyphs.half, Role::Dim),
        Link::Live => (glyphs.current, Role::Good),
        Link::Lost { .. } => (glyphs.failed, Role::Bad),
        Link::Forbidden { .. } | Link::Absent { .. } | Link::Nowhere { .. } => (glyphs.open, Role::Warn),
    }
}

fn driver(driver: &Driver) -> (String, Role) {
    match driver {
        Driver::Looking => ("looking".into(), Role::Dim),
        Driver::Here => ("this console".into(), Role::Text),
        Driver::Other { holder } => (holder.clone(), Role::Text),
        Driver::Nobody { .. } => ("nobody".into(), Role::Warn),
        Driver::Flagger => ("Flagger".into(), Role::Text),
    }
}
