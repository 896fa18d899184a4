//! Lines under the header that say what is wrong with the sources, since when, and what can be done.

use super::canvas::Canvas;
use crate::api::Provider;
use crate::tui::model::{Driver, Link, Model};
use crate::tui::text;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Most lines that one of them takes.
const MOST: usize = 2;

/// The lines, wrapped to `width`, the gravest first. On a low screen they leave room for the rest.
pub fn lines(model: &Model, width: u16, height: u16) -> Vec<(Role, String)> {
    let glyphs = model.look.glyphs;
    let mut said: Vec<(Role, String)> = Vec::new();
    if let Link::Lost { since, why } = &model.cluster {
        said.push((
            Role::Bad,
            format!(
                "{} No connection to the cluster since {}: {}{}{why}. Shown is what was known then; trying again.",
                glyphs.failed,
                model.clock(*since),
                model.server,
                if model.server.is_empty() { "" } else { ": " },
            ),
        ));
    }
    if let Some(why) = &model.narrowed {
        said.push((
            Role::Warn,
            format!(
                "{} Not all namespaces may be looked at ({why}): this is {} alone.",
                glyphs.warning, model.namespace
            ),
        ));
    }
    if let Link::Lost { since, why } = &model.prometheus {
        said.push((
            Role::Warn,
            format!(
                "{} Prometheus unreachable since {}: {why}. Its last values are dimmed; no check passes until it is \
                 back.",
                glyphs.failed,
                model.clock(*since)
            ),
        ));
    }
    let routes: Vec<String> = model.providers().iter().map(routes_of).collect();
    let routes = routes.join(", ");
    for (name, link, consequence) in [
        // Why there is no Prometheus ends with what can be done.
        ("Prometheus", &model.prometheus, ""),
        (routes.as_str(), &model.routes, "; the weights shown are the status', not the routes'"),
    ] {
        let text = match link {
            Link::Forbidden { what } => format!("{} {name}: not permitted: {what}{consequence}", glyphs.warning),
            Link::Absent { why } => format!("{} {name}: {why}{consequence}", glyphs.warning),
            _ => continue,
        };
        said.push((Role::Warn, text));
    }
    said.extend(model.missing.iter().map(|text| (Role::Warn, format!("{} {text}", glyphs.warning))));
    if let Driver::Nobody { why } = &model.driver {
        if let Some(why) = why {
            said.push((Role::Warn, format!("{} This console does not drive: {why}.", glyphs.warning)));
        }
        if model.index.counts.under_way > 0 {
            said.push((
                Role::Warn,
                format!(
                    "{} Nobody drives this namespace: its rollouts stand still until canary-tui controller or a \
                     console drives it.",
                    glyphs.warning
                ),
            ));
        }
    }
    let alone: Vec<&str> = model.undriven().collect();
    if let Some(first) = alone.first() {
        let (others, stand) = match alone.len() {
            1 => (String::new(), "is"),
            n => (format!(" and {} more", n - 1), "are"),
        };
        said.push((
            Role::Warn,
            format!("{} Rollouts stand still: {first}{others} {stand} driven by nobody.", glyphs.warning),
        ));
    }
    let columns = usize::from(width.saturating_sub(2));
    let wrap = |text: &str| {
        let cleaned = text::clean(text, glyphs.unicode);
        let mut lines = text::wrap(&cleaned, columns);
        if lines.len() > MOST {
            lines.truncate(MOST);
            if let Some(last) = lines.last_mut() {
                *last = text::cut(&format!("{last}{}", " ".repeat(columns)), columns, text::Cut::End, glyphs.cut)
                    .into_owned();
            }
        }
        lines
    };
    let mut lines: Vec<(Role, String)> =
        said.iter().flat_map(|(role, text)| wrap(text).into_iter().map(|line| (*role, line))).collect();
    let most = usize::from(height / 6).max(2);
    if lines.len() > most {
        let more = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push((Role::Warn, format!("{} {more} more lines: they need a higher terminal", glyphs.cut)));
    }
    lines
}

/// A provider's routes, as an operator calls them.
fn routes_of(provider: &Provider) -> String {
    format!("{}'s {}s", provider.product(), provider.routes_kind().kind)
}

/// Draws them.
pub fn draw(canvas: &mut Canvas, model: &Model, area: Rect) {
    for (y, (role, line)) in (area.top()..area.bottom()).zip(lines(model, area.width, model.size.height)) {
        canvas.put(area.x + 1, y, area.width.saturating_sub(2), &line, role);
    }
}
