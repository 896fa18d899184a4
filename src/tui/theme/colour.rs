//! Colours: how they are written, brought down to what a terminal shows, and told apart by the eye.

use super::Depth;
use ratatui::style::Color;

/// The sixteen colours of a terminal: their names in a theme, and what they are in xterm. Other terminals set them
/// otherwise, most of them calmer.
pub const SIXTEEN: [(&str, Color, Rgb); 16] = [
    ("black", Color::Black, (0, 0, 0)),
    ("red", Color::Red, (205, 0, 0)),
    ("green", Color::Green, (0, 205, 0)),
    ("yellow", Color::Yellow, (205, 205, 0)),
    ("blue", Color::Blue, (0, 0, 238)),
    ("magenta", Color::Magenta, (205, 0, 205)),
    ("cyan", Color::Cyan, (0, 205, 205)),
    ("white", Color::Gray, (229, 229, 229)),
    ("bright-black", Color::DarkGray, (127, 127, 127)),
    ("bright-red", Color::LightRed, (255, 0, 0)),
    ("bright-green", Color::LightGreen, (0, 255, 0)),
    ("bright-yellow", Color::LightYellow, (255, 255, 0)),
    ("bright-blue", Color::LightBlue, (92, 92, 255)),
    ("bright-magenta", Color::LightMagenta, (255, 0, 255)),
    ("bright-cyan", Color::LightCyan, (0, 255, 255)),
    ("bright-white", Color::White, (255, 255, 255)),
];

/// Red, green and blue.
pub type Rgb = (u8, u8, u8);

/// A colour by its text: `#rrggbb`, one of the sixteen, or `default`, the terminal's own.
pub fn parse(text: &str) -> Option<Color> {
    if text == "default" {
        return Some(Color::Reset);
    }
    if let Some((_, colour, _)) = SIXTEEN.iter().find(|(name, _, _)| *name == text) {
        return Some(*colour);
    }
    let hex = text.strip_prefix('#').filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let [_, r, g, b] = u32::from_str_radix(hex, 16).ok()?.to_be_bytes();
    Some(Color::Rgb(r, g, b))
}

/// What a colour is on the screen, the sixteen as xterm has them. None where the terminal alone knows.
pub fn rgb(colour: Color) -> Option<Rgb> {
    match colour {
        Color::Rgb(r, g, b) => Some((r, g, b)),
        Color::Indexed(index @ 16..) => Some(fixed(index)),
        Color::Indexed(index) => Some(SIXTEEN[usize::from(index)].2),
        other => SIXTEEN.iter().find(|(_, colour, _)| *colour == other).map(|(_, _, rgb)| *rgb),
    }
}

/// One of the fixed colours among the 256, from 16 on.
fn fixed(index: u8) -> Rgb {
    match index {
        232.. => {
            let shade = 8 + 10 * (index - 232);
            (shade, shade, shade)
        }
        _ => {
            let place = usize::from(index.saturating_sub(16));
            (CUBE[place / 36], CUBE[place / 6 % 6], CUBE[place % 6])
        }
    }
}

/// The contrast of two colours as WCAG 2 has it, 1 to 21. None where the terminal alone knows one of them.
pub fn contrast(a: Color, b: Color) -> Option<f64> {
    let (a, b) = (luminance(rgb(a)?), luminance(rgb(b)?));
    Some((a.max(b) + 0.05) / (a.min(b) + 0.05))
}

/// The relative luminance as WCAG 2 has it, 0 to 1.
pub fn luminance((r, g, b): Rgb) -> f64 {
    let part = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
}

/// A background brought down to a depth: the nearest there is.
pub fn ground(colour: Color, depth: Depth) -> Color {
    match (colour, depth) {
        (Color::Rgb(r, g, b), Depth::TwoFiftySix) => Color::Indexed(nearest((r, g, b))),
        (Color::Rgb(r, g, b), Depth::Sixteen) => {
            // A ground is told from the text on it by how light it is, not by its hue.
            let light = luminance((r, g, b));
            if light > 0.5 { Color::White } else { Color::Black }
        }
        (colour, _) => colour,
    }
}

/// A foreground brought down to a depth: the nearest that can be read on its ground there about as well as the colour
/// itself on the ground that was meant.
pub fn ink(colour: Color, meant: Color, ground: Color, depth: Depth) -> Color {
    let Color::Rgb(r, g, b) = colour else { return colour };
    let first = match depth {
        Depth::TwoFiftySix => Color::Indexed(nearest((r, g, b))),
        Depth::Sixteen => SIXTEEN[alike((r, g, b), None).unwrap_or(7)].1,
        Depth::None | Depth::True => return colour,
    };
    // No more is asked of it than it had, nor than a text needs.
    let wanted = contrast(colour, meant).unwrap_or(READABLE).min(READABLE);
    let reads = |candidate: Color| contrast(candidate, ground).is_none_or(|there| there >= wanted);
    if reads(first) {
        return first;
    }
    let second = match depth {
        Depth::Sixteen => alike((r, g, b), Some(&reads)).map(|at| SIXTEEN[at].1),
        _ => {
            let readable = (16..=255u8).filter(|index| reads(Color::Indexed(*index)));
            readable.min_by_key(|index| distance((r, g, b), fixed(*index))).map(Color::Indexed)
        }
    };
    second.unwrap_or(first)
}

/// Least contrast of a text (WCAG 2, AA).
pub const READABLE: f64 = 4.5;

/// Which of the sixteen looks most like a colour, of those that pass: by hue first, for it is the hue that tells a failure
/// from a success; grey for what is nearly grey.
fn alike(colour: Rgb, passes: Option<&dyn Fn(Color) -> bool>) -> Option<usize> {
    let (hue, vivid) = hue(colour);
    let light = luminance(colour);
    let measure = |at: usize| {
        let own = SIXTEEN[at].2;
        let lightness = ((luminance(own).sqrt() - light.sqrt()).abs() * 100.0) as u32;
        let (its_hue, its_vivid) = self::hue(own);
        let strangeness = match (vivid > 0.2, its_vivid > 0.2) {
            (true, true) => {
                let apart = (hue - its_hue).abs();
                // Within a sixth of the circle a hue has the same name.
                (apart.min(360.0 - apart) / 30.0).round() as u32 * 40
            }
            (false, false) => 0,
            _ => 400,
        };
        strangeness + lightness
    };
    (0..16).filter(|at| passes.is_none_or(|passes| passes(SIXTEEN[*at].1))).min_by_key(|at| measure(*at))
}

/// The hue in degrees, and how far from grey, 0 to 1.
fn hue((r, g, b): Rgb) -> (f64, f64) {
    let (r, g, b) = (f64::from(r), f64::from(g), f64::from(b));
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let span = most - least;
    if span == 0.0 {
        return (0.0, 0.0);
    }
    let sixth = if most == r {
        ((g - b) / span).rem_euclid(6.0)
    } else if most == g {
        (b - r) / span + 2.0
    } else {
        (r - g) / span + 4.0
    };
    (sixth * 60.0, span / most)
}

/// The steps of one channel in the 6x6x6 cube of the 256 colours.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// How far two colours are apart. The eye sees differences in green best, in blue least.
fn distance((r, g, b): Rgb, (x, y, z): Rgb) -> i32 {
    let part = |a: u8, b: u8, weight: i32| (i32::from(a) - i32::from(b)).pow(2) * weight;
    part(r, x, 3) + part(g, y, 4) + part(b, z, 2)
}

/// The nearest of the 240 fixed colours among the 256.
fn nearest((r, g, b): Rgb) -> u8 {
    let step = |value: u8| (0..6usize).min_by_key(|i| value.abs_diff(CUBE[*i])).unwrap_or(0);
    let (i, j, k) = (step(r), step(g), step(b));
    let cube = (16 + 36 * i + 6 * j + k) as u8;
    let mean = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let shade = (mean.saturating_sub(3) / 10).min(23) as u8;
    let gray = 8 + 10 * shade;
    if distance((r, g, b), (gray, gray, gray)) < distance((r, g, b), (CUBE[i], CUBE[j], CUBE[k])) {
        232 + shade
    } else {
        cube
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_down_to_the_nearest_of_256() {
        assert_eq!(nearest((0, 0, 0)), 16);
        assert_eq!(nearest((255, 255, 255)), 231);
        assert_eq!(nearest((0x12, 0x12, 0x12)), 233);
        assert_eq!(nearest((255, 0, 0)), 196);
        for index in 16..=255u8 {
            assert_eq!(fixed(nearest(fixed(index))), fixed(index), "{index} is one of them");
        }
    }

    #[test]
    fn of_sixteen_the_one_with_the_same_hue_is_taken() {
        let near = |rgb: Rgb| SIXTEEN[alike(rgb, None).unwrap()].0.trim_start_matches("bright-");
        for (rgb, wanted) in [
            ((0xbf, 0x61, 0x6a), "red"),
            ((0xa3, 0xbe, 0x8c), "green"),
            ((0xeb, 0xcb, 0x8b), "yellow"),
            ((0x81, 0x96, 0xc1), "blue"),
            ((0xb4, 0x8e, 0xad), "magenta"),
            ((0x88, 0xc0, 0xc0), "cyan"),
            ((0xe5, 0xe9, 0xf0), "white"),
            ((0x80, 0x82, 0x84), "black"),
            ((0, 0, 0), "black"),
            ((255, 255, 255), "white"),
        ] {
            assert_eq!(near(rgb), wanted, "{rgb:?}");
        }
    }

    #[test]
    fn what_could_not_be_read_after_the_reduction_gives_way_to_what_can() {
        let (blue, night) = (Color::Rgb(0x60, 0x80, 0xf0), Color::Rgb(0x10, 0x10, 0x18));
        assert!(contrast(blue, night).unwrap() > READABLE);
        let there = ink(blue, night, Color::Black, Depth::Sixteen);
        assert!(contrast(there, Color::Black).unwrap() >= READABLE, "{there:?}");
        // A frame is not made louder than it was meant.
        let frame = ink(Color::Rgb(0x30, 0x30, 0x38), night, Color::Indexed(233), Depth::TwoFiftySix);
        assert!(contrast(frame, Color::Indexed(233)).unwrap() < 3.0, "{frame:?}");
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        let near = |a: f64, b: f64| (a - b).abs() < 0.01;
        assert!(near(contrast(Color::Black, Color::White).unwrap(), 21.0));
        assert!(near(contrast(Color::Rgb(0x77, 0x77, 0x77), Color::Rgb(255, 255, 255)).unwrap(), 4.48));
        assert_eq!(contrast(Color::Reset, Color::White), None, "the terminal alone knows");
    }

    #[test]
    fn a_colour_is_written_in_three_ways() {
        assert_eq!(parse("#0a5Cb8"), Some(Color::Rgb(0x0a, 0x5c, 0xb8)));
        assert_eq!(parse("bright-white"), Some(Color::White));
        assert_eq!(parse("default"), Some(Color::Reset));
        for wrong in ["", "#12", "#12345g", "#+12345", "0a5cb8", "pink", "#1234567", "#äöü"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
