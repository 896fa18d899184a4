//! The first line: where the console looks, how its sources are doing, who drives, and the time.

use super::canvas::{Canvas, Piece, piece};
use crate::tui::model::{Driver, Link, Model};
use crate::tui::text::{self, Cut};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Draws the header.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    let glyphs = canvas.glyphs();
    let clock = model.now.with_timezone(&model.offset).format("%H:%M").to_string();
    let count = match (model.rows.len(), model.visible().len()) {
        (0, _) => String::new(),
        (1, 1) => "1 canary".into(),
        (all, shown) if all == shown => format!("{all} canaries"),
        (all, shown) => format!("{shown} of {all} canaries"),
    };
    let driver = driver(&model.driver);
    let lamps = [("prometheus", &model.prometheus), ("istio", &model.routes)];
    let lamp_width: usize = lamps.iter().map(|(name, _)| name.len() + 4).sum();
    let width = usize::from(area.width);
    let wide = |parts: &[&str]| parts.iter().map(|part| text::width(part) + 2).sum::<usize>();
    let place = wide(&[&model.context, &model.namespace]) + 1;
    // What gives way first: the product's name, then the count.
    let needed = place + lamp_width + wide(&[&driver.0, &clock]);
    let with_count = needed + text::width(&count) + 2 <= width;
    let with_name = needed + text::width(&count) + 2 + 12 <= width;

    let end = area.right().saturating_sub(1);
    let mut right = canvas.right(end, area.y, 5, &clock, Role::Text) + 1;
    if with_count && !count.is_empty() {
        right += canvas.right(end - right - 1, area.y, 30, &count, Role::Dim) + 1;
    }
    let room = area.width.saturating_sub(right + 2);
    let mut x = area.x + 1;
    let stop = area.x + room;
    let rest = |x: u16| stop.saturating_sub(x);
    if with_name {
        x += canvas.put(x, area.y, rest(x), "canary-tui", Role::Strong) + 2;
    }
    // The place is cut in the middle where the line is too short for all: it is what varies in length.
    let others = (lamp_width + text::width(&driver.0)) as u16;
    let places = rest(x).saturating_sub(others + 5).max(12);
    let context = (places / 2).max(places.saturating_sub(text::width(&model.namespace) as u16));
    x += canvas.put_on(x, area.y, context, &model.context, Role::Dim, None, Cut::Middle) + 1;
    x += canvas.put(x, area.y, rest(x), glyphs.pointer, Role::Faint) + 1;
    let namespace = places.saturating_sub(context.min(text::width(&model.context) as u16)).max(6).min(rest(x));
    x += canvas.put_on(x, area.y, namespace, &model.namespace, Role::Strong, None, Cut::Middle) + 2;
    for (name, link) in lamps {
        let (glyph, role) = lamp(link, canvas);
        let pieces: [Piece; 3] = [piece(name, Role::Dim), piece(" ", Role::Dim), piece(glyph, role)];
        x += canvas.line(x, area.y, rest(x), &pieces) + 2;
    }
    canvas.put_on(x, area.y, rest(x), &driver.0, driver.1, None, Cut::Middle);
}

/// The light of a source: by shape first, by colour besides.
fn lamp(link: &Link, canvas: &Canvas) -> (&'static str, Role) {
    let glyphs = canvas.glyphs();
    match link {
        Link::Connecting => (glyphs.half, Role::Dim),
        Link::Live => (glyphs.current, Role::Good),
        Link::Lost { .. } => (glyphs.failed, Role::Bad),
        Link::Forbidden { .. } | Link::Absent { .. } => (glyphs.open, Role::Warn),
    }
}

fn driver(driver: &Driver) -> (String, Role) {
    match driver {
        Driver::Looking => ("driver: looking".into(), Role::Dim),
        Driver::Here => ("driver: this console".into(), Role::Text),
        Driver::Other { holder } => (format!("driver: {holder}"), Role::Text),
        Driver::Nobody { .. } => ("driver: nobody".into(), Role::Warn),
        Driver::Flagger => ("driver: Flagger".into(), Role::Text),
    }
}
