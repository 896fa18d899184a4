//! Draws the console's real views, from scenes at a fixed time, into `screenshots/`: an SVG to look at and a text to
//! compare; and README's table of the keys from the table that the console itself reads. `cargo run --example
//! screenshots` writes them, `-- --check` fails where they are out of date.
//!
//! Lines, blocks and signs are drawn as shapes, so that the pictures look the same whatever fonts a viewer has.

use canary_tui::tui::model::Model;
use canary_tui::tui::scene;
use canary_tui::tui::{glyphs, keys, theme};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Width and height of a cell, and the air around the screen, in units of the picture.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;

/// Stands before README's table of the keys, and after it.
const KEYS: (&str, &str) = ("<!-- keys: made by `cargo run --example screenshots` -->\n", "<!-- keys: end -->");

fn main() -> ExitCode {
    let check = std::env::args().any(|arg| arg == "--check");
    let mut stale = Vec::new();
    for (path, content) in files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::fs::read_to_string(&path).is_ok_and(|present| present == content) {
            continue;
        }
        let folder = path.parent().unwrap_or(&path);
        if check {
            stale.push(path.display().to_string());
        } else if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, content)) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if stale.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("out of date: {}; run cargo run --example screenshots", stale.join(", "));
    ExitCode::FAILURE
}

/// Everything that is made, by its path.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (name, model) in scenes() {
        let buffer = scene::shot(&model);
        let name = format!("screenshots/{name}-{}x{}", model.size.width, model.size.height);
        files.push((format!("{name}.svg"), svg(&buffer, &model)));
        files.push((format!("{name}.txt"), scene::text(&buffer)));
    }
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap_or_default();
    if let Some((before, rest)) = readme.split_once(KEYS.0)
        && let Some((_, after)) = rest.split_once(KEYS.1)
    {
        files.push(("README.md".into(), format!("{before}{}{}{}{after}", KEYS.0, keys::markdown(), KEYS.1)));
    }
    files
}

/// What is shown, by file name.
fn scenes() -> Vec<(&'static str, Model)> {
    let with = |mut model: Model, keys: &str| {
        scene::press(&mut model, keys);
        model
    };
    let worn = |theme: &str, mut model: Model| {
        model.look = scene::look(theme);
        model
    };
    let sixteen = |mut model: Model| {
        model.look.depth = theme::Depth::Sixteen;
        model.look.theme = theme::Theme::named("terminal", model.look.depth).expect("a built-in theme");
        model.look.glyphs = &glyphs::ASCII;
        model
    };
    vec![
        ("progressing", scene::progressing(120, 40)),
        ("failing", scene::failing(120, 40)),
        ("start", scene::choosing(120, 40)),
        ("abort", with(scene::progressing(120, 40), "a")),
        ("charts", with(scene::failing(120, 40), "<enter>")),
        ("fleet", with(scene::many(100, 200, 60), "j")),
        ("progressing", scene::progressing(80, 24)),
        ("light", worn("light", scene::progressing(120, 40))),
        ("ascii", sixteen(scene::failing(80, 24))),
        ("themes", with(scene::failing(120, 40), "tjjjjj")),
        ("high-contrast", worn("high-contrast", scene::failing(80, 24))),
        ("high-contrast-light", worn("high-contrast-light", scene::failing(80, 24))),
        ("colour-blind", worn("colour-blind", scene::failing(80, 24))),
        ("nord", worn("nord", scene::failing(80, 24))),
        ("gruvbox", worn("gruvbox", scene::failing(80, 24))),
    ]
}

/// A screen as a picture.
fn svg(buffer: &Buffer, model: &Model) -> String {
    let area = *buffer.area();
    let (width, height) =
        (f64::from(area.width) * CELL.0 + 2.0 * MARGIN, f64::from(area.height) * CELL.1 + 2.0 * MARGIN);
    let ground = paint(model.look.theme.style(theme::Role::Text).bg.unwrap_or(Color::Reset), false);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace\" font-size=\"14\">"
    );
    let _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{ground}\"/>");
    for y in 0..area.height {
        grounds(&mut svg, buffer, y, &ground);
    }
    for y in 0..area.height {
        line(&mut svg, buffer, y);
    }
    svg.push_str("</svg>\n");
    svg
}

fn left(x: u16) -> f64 {
    MARGIN + f64::from(x) * CELL.0
}

fn top(y: u16) -> f64 {
    MARGIN + f64::from(y) * CELL.1
}

/// Foreground and background as they are seen.
fn colours(cell: &Cell) -> (String, String) {
    let (fg, bg) = (paint(cell.fg, true), paint(cell.bg, false));
    if cell.modifier.contains(Modifier::REVERSED) { (bg, fg) } else { (fg, bg) }
}

/// Rectangles behind the text, one for each run of cells.
fn grounds(svg: &mut String, buffer: &Buffer, y: u16, ground: &str) {
    let width = buffer.area().width;
    let mut x = 0;
    while x < width {
        let colour = colours(&buffer[(x, y)]).1;
        let start = x;
        while x < width && colours(&buffer[(x, y)]).1 == colour {
            x += 1;
        }
        if colour != ground {
            let columns = f64::from(x - start) * CELL.0;
            let (left, top) = (left(start), top(y));
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{columns:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                CELL.1
            );
        }
    }
}

/// The signs and texts of one line: a run of equal cells at a time.
fn line(svg: &mut String, buffer: &Buffer, y: u16) {
    let width = buffer.area().width;
    let mut x = 0;
    while x < width {
        let cell = &buffer[(x, y)];
        let (colour, _) = colours(cell);
        let symbol = cell.symbol();
        if symbol.trim().is_empty() {
            x += 1;
            continue;
        }
        let start = x;
        let opacity = if cell.modifier.contains(Modifier::DIM) { " opacity=\"0.65\"" } else { "" };
        if let Some(first) = shape(symbol, left(x), top(y)) {
            let mut shapes = first;
            x += 1;
            while x < width && buffer[(x, y)].symbol() == symbol && colours(&buffer[(x, y)]).0 == colour {
                if !stretches(symbol) {
                    shapes.push_str(&shape(symbol, left(x), top(y)).unwrap_or_default());
                }
                x += 1;
            }
            if stretches(symbol) {
                shapes = stretched(symbol, left(start), top(y), f64::from(x - start) * CELL.0);
            }
            let stroke = if stroked(symbol) {
                format!(" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"")
            } else {
                format!(" fill=\"{colour}\"")
            };
            // Neighbouring areas meet without a seam.
            let edges = if stretches(symbol) && !stroked(symbol) { " shape-rendering=\"crispEdges\"" } else { "" };
            let _ = writeln!(svg, "<path d=\"{}\"{stroke}{opacity}{edges}/>", shapes.trim_end());
            continue;
        }
        let mut text = String::new();
        let mut places = String::new();
        while x < width {
            let next = &buffer[(x, y)];
            let same = colours(next).0 == colour && next.modifier == cell.modifier;
            if !same || shape(next.symbol(), 0.0, 0.0).is_some() {
                break;
            }
            for (at, c) in next.symbol().chars().enumerate() {
                match c {
                    '&' => text.push_str("&amp;"),
                    '<' => text.push_str("&lt;"),
                    '>' => text.push_str("&gt;"),
                    c => text.push(c),
                }
                if at == 0 {
                    let _ = write!(places, "{:.1} ", left(x));
                }
            }
            x += 1;
        }
        let kept = text.trim_end();
        if kept.is_empty() {
            continue;
        }
        let weight = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            svg,
            "<text y=\"{:.1}\" fill=\"{colour}\"{weight}{opacity} xml:space=\"preserve\" x=\"{}\">{text}</text>",
            top(y) + 13.5,
            places.trim_end()
        );
    }
}

/// Whether a run of this sign is one shape.
fn stretches(symbol: &str) -> bool {
    matches!(symbol, "─" | "▁" | "▂" | "▃" | "▄" | "▅" | "▆" | "▇" | "█" | "░")
}

/// Whether a sign is drawn with a line, not filled.
fn stroked(symbol: &str) -> bool {
    matches!(symbol, "─" | "│" | "╭" | "╮" | "╰" | "╯" | "╌" | "✓" | "✗" | "○" | "→" | "↑" | "↓")
}

/// A run of a sign that stretches, `width` wide.
fn stretched(symbol: &str, x: f64, y: f64, width: f64) -> String {
    let (_, h) = CELL;
    let eighths = "▁▂▃▄▅▆▇█".chars().position(|c| symbol.starts_with(c)).map(|at| (at + 1) as f64);
    match (symbol, eighths) {
        ("─", _) => format!("M{x:.1} {:.1}h{width:.1}", y + h / 2.0),
        (_, Some(eighths)) => {
            let high = h * eighths / 8.0;
            format!("M{x:.1} {:.1}h{width:.1}v{high:.1}h-{width:.1}z", y + h - high)
        }
        // The empty part of a bar: a low line in its middle is calmer than a pattern.
        _ => format!("M{x:.1} {:.1}h{width:.1}v3h-{width:.1}z", y + h / 2.0 - 1.5),
    }
}

/// The shape of a sign in the cell at (x, y); None where it is a letter.
fn shape(symbol: &str, x: f64, y: f64) -> Option<String> {
    let (w, h) = CELL;
    let (cx, cy) = (x + w / 2.0, y + h / 2.0);
    let r = 5.0_f64.min(w / 2.0);
    let disc = |r: f64| {
        format!("M{:.1} {cy:.1}a{r:.1} {r:.1} 0 1 0 {:.1} 0a{r:.1} {r:.1} 0 1 0 -{:.1} 0", cx - r, 2.0 * r, 2.0 * r)
    };
    Some(match symbol {
        symbol if stretches(symbol) => stretched(symbol, x, y, w),
        symbol if dots(symbol).is_some() => raised(dots(symbol)?, x, y),
        "│" => format!("M{cx:.1} {y:.1}v{h:.1}"),
        "╭" => format!("M{cx:.1} {:.1}v-{:.1}q0 -4 4 -4h{:.1}", y + h, h / 2.0 - 4.0, w / 2.0 - 4.0 + 0.2),
        "╮" => format!("M{x:.1} {cy:.1}h{:.1}q4 0 4 4v{:.1}", w / 2.0 - 4.0 + 0.2, h / 2.0 - 4.0),
        "╰" => format!("M{cx:.1} {y:.1}v{:.1}q0 4 4 4h{:.1}", h / 2.0 - 4.0, w / 2.0 - 4.0 + 0.2),
        "╯" => format!("M{x:.1} {cy:.1}h{:.1}q4 0 4 -4v-{:.1}", w / 2.0 - 4.0 + 0.2, h / 2.0 - 4.0),
        "╌" => format!("M{:.1} {cy:.1}h2.4M{:.1} {cy:.1}h2.4", x + 0.9, x + 5.1),
        "●" => disc(r * 0.85) + "z",
        "○" => disc(r * 0.75) + "z",
        "◐" => {
            let r = r * 0.85;
            // A ring, and its left half filled.
            let inner = r - 1.2;
            format!(
                "M{cx:.1} {:.1}a{r:.1} {r:.1} 0 1 0 0 {:.1}a{r:.1} {r:.1} 0 1 0 0 -{:.1}zm0 1.2a{inner:.1} {inner:.1} 0 0 1 0 {:.1}z",
                cy - r,
                2.0 * r,
                2.0 * r,
                2.0 * inner
            )
        }
        "■" => format!("M{:.1} {:.1}h2.6v8h-2.6zm4.2 0h2.6v8h-2.6z", cx - 3.4, cy - 4.0),
        "▲" => format!("M{cx:.1} {:.1}l4.2 7.6h-8.4z", cy - 4.2),
        "▸" => format!("M{:.1} {:.1}l6 4.2l-6 4.2z", cx - 2.8, cy - 4.2),
        "✓" => format!("M{:.1} {:.1}l2.6 3l4.4 -7", cx - 3.5, cy + 0.6),
        "✗" => format!("M{:.1} {:.1}l6.4 7.4m0 -7.4l-6.4 7.4", cx - 3.2, cy - 3.7),
        "→" => format!("M{:.1} {cy:.1}h6.8m-2.8 -3l3 3l-3 3", cx - 3.6),
        "↑" => format!("M{cx:.1} {:.1}v-8.4m-3 3l3 -3l3 3", cy + 4.2),
        "↓" => format!("M{cx:.1} {:.1}v8.4m-3 -3l3 3l3 -3", cy - 4.2),
        _ => return None,
    })
}

/// Which dots of a Braille sign are raised, a bit for each in Unicode's order; None for any other sign, and for none.
fn dots(symbol: &str) -> Option<u32> {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return None };
    u32::from(c).checked_sub(0x2800).filter(|dots| (1..256).contains(dots))
}

/// The dots of a Braille sign in the cell at (x, y): two columns of four.
fn raised(dots: u32, x: f64, y: f64) -> String {
    const PLACES: [(f64, f64); 8] =
        [(0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (0.0, 3.0), (1.0, 3.0)];
    let (w, h) = CELL;
    let up = PLACES.iter().enumerate().filter(|(bit, _)| dots >> bit & 1 == 1);
    let each = up.map(|(_, (column, row))| {
        let (cx, cy) = (x + w * (0.25 + 0.5 * column), y + h * (0.125 + 0.25 * row));
        format!("M{:.1} {:.1}h2.2v2.2h-2.2z", cx - 1.1, cy - 1.1)
    });
    each.collect()
}

/// A colour as SVG has it; the terminal's own are those of a common dark scheme.
fn paint(color: Color, foreground: bool) -> String {
    let fixed = match color {
        Color::Rgb(r, g, b) => return format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Reset if foreground => "#d0d0d0",
        Color::Reset | Color::Black => "#16181d",
        Color::Red => "#d65c5c",
        Color::Green => "#6fb36f",
        Color::Yellow => "#c9a84c",
        Color::Blue => "#5f87d7",
        Color::Magenta => "#b07cc6",
        Color::Cyan => "#5bb5b5",
        Color::Gray => "#c5c8c6",
        Color::DarkGray => "#6b7078",
        Color::LightRed => "#ff7b72",
        Color::LightGreen => "#8ddb8c",
        Color::LightYellow => "#f2cc60",
        Color::LightBlue => "#8ab4f8",
        Color::LightMagenta => "#d2a8ff",
        Color::LightCyan => "#76e3ea",
        Color::White => "#ffffff",
        Color::Indexed(_) => "#808080",
    };
    fixed.to_string()
}
