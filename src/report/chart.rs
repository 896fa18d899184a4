//! The charts of a report: one SVG, light ground, lines that differ in their dashes, so that it reads in black and white
//! too.

use super::story::{Limit, Panel, Story};
use super::words::xml;
use chrono::{DateTime, Duration, Utc};
use std::fmt::Write;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 884.0;
/// Height of a panel's plot, and from one panel to the next.
const PLOT: f64 = 110.0;
const PITCH: f64 = 160.0;
const TOP: f64 = 78.0;

/// The charts of a story. None where there is no time to draw them over.
pub fn svg(story: &Story) -> Option<String> {
    let (from, to) = span(story)?;
    let x = |at: DateTime<Utc>| {
        let part = (at - from).num_milliseconds() as f64 / (to - from).num_milliseconds().max(1) as f64;
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    };
    let height = TOP + PITCH * story.panels.len() as f64 + 8.0;
    let title =
        format!("{} in {}, revision {}", story.canary, story.namespace, story.revision.as_deref().unwrap_or("?"));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\" font-weight=\"bold\" fill=\"#111111\">{}</text>\n",
        xml(&title),
        xml(&title)
    );
    legend(&mut out, story);
    for (number, panel) in story.panels.iter().enumerate() {
        let top = TOP + PITCH * number as f64;
        draw(&mut out, panel, top, &x);
        for (at, weight) in story.weights.iter().filter(|(at, _)| (from..=to).contains(at)) {
            let x = x(*at);
            let _ = write!(
                out,
                "<path d=\"M{x:.1} {top:.1}v{PLOT}\" stroke=\"#888888\" stroke-width=\"1\" stroke-dasharray=\"1 3\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#555555\">{weight}%</text>\n",
                x + 2.0,
                top + 10.0
            );
        }
        times(&mut out, top + PLOT, from, to, &x);
    }
    out.push_str("</svg>\n");
    Some(out)
}

/// The time that the charts are over.
fn span(story: &Story) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let points = || story.panels.iter().flat_map(|panel| panel.primary.iter().chain(&panel.canary)).map(|(at, _)| *at);
    let from = points().chain(story.began).min()?;
    let to = points().chain(story.ended).max()?;
    Some((from, to.max(from + Duration::seconds(1))))
}

fn legend(out: &mut String, story: &Story) {
    let version = |version: &str| if version.is_empty() { String::new() } else { format!(" {version}") };
    let entries = [
        (16.0, PRIMARY, format!("primary{}", version(&story.from))),
        (236.0, CANARY, format!("canary{}", version(&story.to))),
        (456.0, LIMIT, "limit of a check".to_string()),
    ];
    for (x, style, text) in entries {
        let _ = write!(
            out,
            "<path d=\"M{x} 44h34\" fill=\"none\" {style}/>\n<text x=\"{}\" y=\"48\" fill=\"#111111\">{}</text>\n",
            x + 40.0,
            xml(&text)
        );
    }
    out.push_str(
        "<path d=\"M676 44h34\" stroke=\"#888888\" stroke-width=\"1\" stroke-dasharray=\"1 3\"/>\n\
         <text x=\"716\" y=\"48\" fill=\"#111111\">traffic to the canary</text>\n",
    );
}

const PRIMARY: &str = "stroke=\"#111111\" stroke-width=\"1.6\"";
const CANARY: &str = "stroke=\"#0a58ca\" stroke-width=\"1.8\" stroke-dasharray=\"7 3\"";
const LIMIT: &str = "stroke=\"#b3261e\" stroke-width=\"1.2\" stroke-dasharray=\"2 2\"";

fn draw(out: &mut String, panel: &Panel, top: f64, x: &impl Fn(DateTime<Utc>) -> f64) {
    let bottom = top + PLOT;
    let limit = panel.limit.map(|limit| match limit {
        Limit::AtLeast(value) => (value, format!("at least {}", panel.unit.text(value))),
        Limit::AtMost(value) => (value, format!("at most {}", panel.unit.text(value))),
    });
    let heading = match &limit {
        Some((_, text)) => format!("{}, {text}", panel.name),
        None => panel.name.to_string(),
    };
    let _ = write!(
        out,
        "<text x=\"16\" y=\"{:.1}\" font-weight=\"bold\" fill=\"#111111\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{}\" height=\"{PLOT}\" fill=\"none\" stroke=\"#cccccc\"/>\n",
        top - 8.0,
        xml(&heading),
        RIGHT - LEFT
    );
    let values =
        || panel.primary.iter().chain(&panel.canary).map(|(_, value)| *value).filter(|value| value.is_finite());
    if values().next().is_none() {
        let why = panel.why_empty.as_deref().unwrap_or("no values over this time");
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555555\">{}</text>",
            LEFT + 12.0,
            top + PLOT / 2.0,
            xml(why)
        );
        return;
    }
    let (low, high) = bounds(panel, values(), limit.as_ref().map(|(value, _)| *value));
    let y = |value: f64| bottom - ((value - low) / (high - low)).clamp(0.0, 1.0) * PLOT;
    for part in 0..=2 {
        let value = low + (high - low) * f64::from(part) / 2.0;
        let _ = write!(
            out,
            "<path d=\"M{LEFT} {0:.1}H{RIGHT}\" stroke=\"#eeeeee\"/>\n\
             <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\" font-size=\"11\" fill=\"#333333\">{3}</text>\n",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            xml(&panel.unit.text(value))
        );
    }
    if let Some((value, _)) = limit {
        let _ = writeln!(out, "<path d=\"M{LEFT} {:.1}H{RIGHT}\" fill=\"none\" {LIMIT}/>", y(value));
    }
    for (points, style) in [(&panel.primary, PRIMARY), (&panel.canary, CANARY)] {
        for line in unbroken(points) {
            let path: Vec<String> = line.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
            // A point alone would be no line at all.
            let path = if path.len() == 1 { format!("{0} {0}", path[0]) } else { path.join(" ") };
            let _ = writeln!(
                out,
                "<polyline points=\"{path}\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\" {style}/>"
            );
        }
    }
}

/// The least and the highest value of a panel's axis. What is counted from nothing begins at zero; a success rate, of
/// which only the last percent matters, does not.
fn bounds(panel: &Panel, values: impl Iterator<Item = f64>, limit: Option<f64>) -> (f64, f64) {
    let (least, most) = values.chain(limit).fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(value), b.max(value)));
    match panel.unit {
        super::story::Unit::Percent => {
            let room = ((100.0 - least) * 0.1).max(0.1);
            ((least - room).max(0.0), 100.0_f64.max(most))
        }
        _ if most <= 0.0 => (0.0, 1.0),
        _ => (0.0, most * 1.1),
    }
}

/// The stretches without a gap: where values are missing there is no line.
fn unbroken(points: &[(DateTime<Utc>, f64)]) -> Vec<Vec<(DateTime<Utc>, f64)>> {
    let usual = points.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or_default();
    let mut lines: Vec<Vec<(DateTime<Utc>, f64)>> = Vec::new();
    for point in points.iter().filter(|(_, value)| value.is_finite()) {
        match lines.last_mut() {
            Some(line) if line.last().is_some_and(|last| point.0 - last.0 <= usual * 3 / 2) => line.push(*point),
            _ => lines.push(vec![*point]),
        }
    }
    lines
}

/// The time axis.
fn times(out: &mut String, bottom: f64, from: DateTime<Utc>, to: DateTime<Utc>, x: &impl Fn(DateTime<Utc>) -> f64) {
    for part in 0..=4 {
        let at = from + (to - from) * part / 4;
        let anchor = match part {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        let _ = write!(
            out,
            "<path d=\"M{0:.1} {bottom:.1}v4\" stroke=\"#888888\"/>\n\
             <text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"{anchor}\" font-size=\"11\" fill=\"#333333\">{2}</text>\n",
            x(at),
            bottom + 17.0,
            at.format("%H:%M:%S")
        );
    }
}
