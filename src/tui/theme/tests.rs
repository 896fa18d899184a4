//! What holds of every theme that is built in, and what is said of files that are wrong.

use super::colour::{READABLE, contrast, luminance, rgb};
use super::*;
use ratatui::style::Modifier;
use std::fs;

const DEPTHS: [Depth; 4] = [Depth::None, Depth::Sixteen, Depth::TwoFiftySix, Depth::True];

fn built_in() -> Vec<Arc<str>> {
    Library::built_in().names()
}

/// Every built-in theme that has colours of its own, at every depth that shows some.
fn coloured() -> impl Iterator<Item = (String, Theme)> {
    let names: Vec<Arc<str>> = built_in().into_iter().filter(|name| &**name != "terminal").collect();
    names.into_iter().flat_map(|name| {
        let at = |depth| (format!("{name} at {depth:?}"), Theme::named(&name, depth).unwrap());
        [Depth::Sixteen, Depth::TwoFiftySix, Depth::True].map(at)
    })
}

#[test]
fn every_theme_has_every_role_at_every_depth() {
    for name in built_in() {
        for depth in DEPTHS {
            let theme = Theme::named(&name, depth).unwrap();
            assert_eq!(theme.name, name);
            for role in Role::ALL {
                let style = theme.style(role);
                assert_eq!((style.fg.is_some(), style.bg.is_some()), (depth != Depth::None, depth != Depth::None));
            }
        }
    }
    assert!(Theme::named("pink", Depth::True).unwrap_err().contains("auto, dark, light, high-contrast"));
    let offers = Library::built_in().offers();
    assert!(offers.iter().all(|offer| !offer.own && offer.about.as_ref().is_ok_and(|about| !about.is_empty())));
    for role in Role::ALL {
        assert_eq!(Role::ALL[role as usize], role);
    }
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("themes");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<String> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_string()).collect();
    files.sort();
    let mut names: Vec<String> = built_in().iter().map(|name| name.to_string()).collect();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn without_colours_only_attributes_are_left_and_they_tell_the_roles_apart() {
    for name in built_in() {
        let theme = Theme::named(&name, Depth::None).unwrap();
        for (role, wanted) in [
            (Role::Selected, Modifier::REVERSED),
            (Role::Button, Modifier::REVERSED),
            (Role::Bad, Modifier::BOLD),
            (Role::Warn, Modifier::BOLD),
            (Role::KeyOff, Modifier::DIM),
        ] {
            assert!(theme.style(role).add_modifier.contains(wanted), "{name} {role:?}");
        }
    }
}

/// Least contrast of a role. Frames are no text, columns of charts need 3:1, and what does nothing now may step back.
fn least(role: Role) -> f64 {
    match role {
        Role::Faint => 1.2,
        Role::KeyOff => 2.4,
        Role::PrimaryChart | Role::CanaryChart | Role::BadChart => 3.0,
        _ => READABLE,
    }
}

#[test]
fn text_can_be_read_on_its_ground_and_on_the_selected_row_at_every_depth() {
    let mut wrong = Vec::new();
    for (name, theme) in coloured() {
        let ground = theme.style(Role::Text).bg.unwrap();
        let selected = theme.style(Role::Selected).bg.unwrap();
        for role in Role::ALL {
            let style = theme.style(role);
            let own = contrast(style.fg.unwrap(), style.bg.unwrap()).unwrap();
            if own < least(role) {
                wrong.push(format!("{name}, {}: {own:.2}", role.name()));
            }
            let there = contrast(theme.on_selected(role).unwrap(), selected).unwrap();
            if least(role) == READABLE && role != Role::Button && there < READABLE {
                wrong.push(format!("{name}, {} on the selected row: {there:.2}", role.name()));
            }
        }
        for role in [Role::Selected, Role::Button] {
            let shows = contrast(theme.style(role).bg.unwrap(), ground).unwrap();
            if shows < 1.1 {
                wrong.push(format!("{name}: {} does not show: {shows:.2}", role.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn in_full_colours_the_selected_row_keeps_the_colours_of_its_texts() {
    for name in built_in().iter().filter(|name| &***name != "terminal") {
        let theme = Theme::named(name, Depth::True).unwrap();
        for role in [Role::Good, Role::Warn, Role::Bad, Role::Active, Role::Dim, Role::Focus] {
            assert_eq!(theme.on_selected(role), theme.style(role).fg, "{name} {role:?}");
        }
    }
}

#[test]
fn the_themes_of_high_contrast_have_it() {
    for name in ["high-contrast", "high-contrast-light"] {
        let theme = Theme::named(name, Depth::True).unwrap();
        for role in Role::ALL.into_iter().filter(|role| least(*role) == READABLE) {
            let style = theme.style(role);
            let own = contrast(style.fg.unwrap(), style.bg.unwrap()).unwrap();
            assert!(own >= 7.0, "{name} {role:?}: {own:.2}");
        }
        let frame = theme.style(Role::Faint);
        assert!(contrast(frame.fg.unwrap(), frame.bg.unwrap()).unwrap() >= 3.0, "{name}: frames");
    }
}

/// How the three kinds of colour blindness see a colour (Machado and others, 2009), in linear light.
const BLIND: [[[f64; 3]; 3]; 3] = [
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
];

/// A colour in CIE L*a*b*, as one kind of colour blindness sees it.
fn seen(colour: Color, kind: &[[f64; 3]; 3]) -> [f64; 3] {
    let (r, g, b) = rgb(colour).unwrap();
    // The luminance of one channel alone, over its weight, is its linear light.
    let linear = [luminance((r, 0, 0)) / 0.2126, luminance((0, g, 0)) / 0.7152, luminance((0, 0, b)) / 0.0722];
    let turned = kind.map(|row| row.iter().zip(&linear).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0));
    let [r, g, b] = turned;
    let xyz = [
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    ];
    let [x, y, z] = xyz.map(|t| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[test]
fn the_theme_for_the_colour_blind_keeps_apart_what_matters() {
    for depth in [Depth::TwoFiftySix, Depth::True] {
        let theme = Theme::named("colour-blind", depth).unwrap();
        for (a, b) in [
            (Role::Good, Role::Bad),
            (Role::Good, Role::Warn),
            (Role::Warn, Role::Bad),
            (Role::Active, Role::Bad),
            (Role::Primary, Role::Canary),
            (Role::PrimaryChart, Role::CanaryChart),
            (Role::PrimaryChart, Role::BadChart),
            (Role::CanaryChart, Role::BadChart),
        ] {
            for kind in &BLIND {
                let one = seen(theme.style(a).fg.unwrap(), kind);
                let other = seen(theme.style(b).fg.unwrap(), kind);
                let apart = one.iter().zip(&other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                assert!(apart > 15.0, "{a:?} and {b:?} at {depth:?}: {apart:.0}");
            }
        }
    }
}

/// A library with these files beside the built-in ones.
fn library(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let library = Library::load(Some(folder.path()));
    (folder, library)
}

fn fg(theme: &Theme, role: Role) -> Option<Color> {
    theme.style(role).fg
}

#[test]
fn a_theme_of_ones_own_says_only_what_it_changes() {
    let (_folder, library) = library(&[
        ("mine.toml", "about = 'mine'\ninherits = \"nord\"\n[roles]\nbad = { fg = \"#ff0000\" }\n"),
        ("plain.toml", "[palette]\ngood = \"#00ff00\"\n"),
        ("again.toml", "inherits = \"mine\"\n[palette]\nink = \"bright-white\"\n"),
        ("notes.txt", "not a theme"),
    ]);
    let names = library.names();
    assert_eq!(names[names.len() - 3..], ["again".into(), "mine".into(), "plain".into()]);
    let mine = library.theme("mine", Depth::True).unwrap();
    let nord = Theme::named("nord", Depth::True).unwrap();
    assert_eq!(fg(&mine, Role::Bad), Some(Color::Rgb(255, 0, 0)));
    assert!(mine.style(Role::Bad).add_modifier.contains(Modifier::BOLD), "attributes are inherited");
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Bad) {
        assert_eq!(mine.style(role), nord.style(role), "{role:?}");
    }
    // A colour of its own is brought down to sixteen by itself, a palette changes the roles that take from it.
    assert_eq!(fg(&library.theme("mine", Depth::Sixteen).unwrap(), Role::Bad), Some(Color::LightRed));
    let plain = library.theme("plain", Depth::True).unwrap();
    assert_eq!(fg(&plain, Role::Good), Some(Color::Rgb(0, 255, 0)));
    assert_eq!(fg(&plain, Role::Text), fg(&Theme::named("dark", Depth::True).unwrap(), Role::Text));
    let again = library.theme("again", Depth::True).unwrap();
    assert_eq!((fg(&again, Role::Text), fg(&again, Role::Bad)), (Some(Color::White), fg(&mine, Role::Bad)));
}

#[test]
fn a_file_that_bears_a_built_in_name_stands_before_it() {
    let (_folder, library) = library(&[
        ("dark.toml", "inherits = \"dark\"\n[palette]\nground = \"#000000\"\n"),
        ("light.toml", "[palette]\nink = \"#ff00ff\"\n"),
    ]);
    let dark = library.theme("dark", Depth::True).unwrap();
    assert_eq!(dark.style(Role::Text).bg, Some(Color::Rgb(0, 0, 0)));
    assert_eq!(fg(&dark, Role::Good), fg(&Theme::named("dark", Depth::True).unwrap(), Role::Good));
    // Those that are built in rest on one another, not on files of the same names.
    assert_eq!(library.theme("nord", Depth::True), Theme::named("nord", Depth::True));
    assert_eq!(library.names().len(), built_in().len());
    assert_eq!(library.theme("light", Depth::True).unwrap().style(Role::Text).bg, Some(Color::Rgb(0, 0, 0)));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place_and_costs_that_theme_alone() {
    let cases = [
        ("[roles]\ntext = { fg = \"#12345\" }\n", ":2:15: ", "\"#12345\" is no colour"),
        ("[roles]\ntext = { fg = \"ink\" }\nbad = { fg = \"pinc\" }\n", ":3:14: ", "\"pinc\" is no colour"),
        ("[palette]\n# ä\n\"ä\" = \"#00\"\n", ":3:7: ", "\"#00\" is no colour"),
        ("[roles]\ntxet = { fg = \"ink\" }\n", ":2:1: ", "there is no role \"txet\": text, dim"),
        ("[roles]\nbad = { fg16 = \"#ff0000\" }\n", ":2:16: ", "none of the 16 colours: default, black"),
        ("[roles]\nbad = { attributes = [\"bold\", \"blink\"] }\n", ":2:31: ", "no attribute \"blink\": bold"),
        ("[roles]\nbad = { mono = [\"loud\"] }\n", ":2:17: ", "no attribute \"loud\""),
        ("[roles]\nbad = { foreground = \"red\" }\n", ":2:9: ", "unknown field `foreground`"),
        ("about = 3\n", ":1:9: ", "invalid type: integer"),
        ("inherits = \"drak\"\n", ":1:12: ", "there is no theme \"drak\" to inherit: dark, light"),
        ("inherits = \"wrong\"\n", ":1:12: ", "there is no theme \"wrong\" to inherit"),
        ("inherits = \"other\"\n", ":1:12: ", "a circle: wrong inherits other inherits wrong"),
        ("[roles\n", ":1:7: ", "unclosed"),
        ("inherits = \"dark\"\ninherits = \"nord\"\n", ":2:1: ", "duplicate key"),
    ];
    for (text, place, what) in cases {
        let (folder, library) = library(&[("wrong.toml", text), ("other.toml", "inherits = \"wrong\"\n")]);
        let said = library.theme("wrong", Depth::None).unwrap_err();
        let named = if said.contains("circle") { "other.toml" } else { "wrong.toml" };
        let path = folder.path().join(named).display().to_string();
        assert!(said.starts_with(&format!("{path}{place}")) && said.contains(what), "{text:?}: {said}");
        let offers = library.offers();
        let wrong: Vec<&Offer> = offers.iter().filter(|offer| offer.about.is_err()).collect();
        assert!(wrong.iter().all(|offer| ["wrong", "other"].contains(&&*offer.name)), "{text:?}");
        assert!(wrong.iter().any(|offer| &*offer.name == "wrong" && offer.own), "{text:?}");
    }
}

#[test]
fn a_file_that_is_none_is_said_to_be() {
    let (folder, _) = library(&[("auto.toml", ""), ("long.toml", &"#".repeat(70_000))]);
    fs::create_dir(folder.path().join("folder.toml")).unwrap();
    fs::write(folder.path().join("bytes.toml"), [0xff, 0xfe]).unwrap();
    let library = Library::load(Some(folder.path()));
    for (name, what) in [
        ("auto", "cannot be a theme's name"),
        ("long", "longer than 64 KiB"),
        ("folder", "is no file"),
        ("bytes", "cannot be read"),
    ] {
        assert!(library.theme(name, Depth::True).unwrap_err().contains(what), "{name}");
    }
    assert_eq!(Library::load(Some(&folder.path().join("nowhere"))), Library::built_in());
    assert_eq!(Library::load(None), Library::built_in());
}

#[test]
fn any_text_is_a_theme_or_is_refused_with_words() {
    use proptest::prelude::*;
    let piece = prop::sample::select(vec![
        "[roles]\n",
        "[palette]\n",
        "text",
        "bad",
        " = ",
        "{",
        "}",
        "fg",
        "\"#ff0000\"",
        "\"ink\"",
        "\n",
        "inherits",
        "\"dark\"",
        ",",
        "mono",
        "[\"bold\"]",
        "\"",
        "ä",
        "#",
        "=",
        "[",
        "]",
        "\0",
        "\r",
        "1",
    ]);
    let texts = prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&texts, |text| {
            let styled = file::Layer::parse("x.toml", &text).and_then(|layer| file::style(&[layer], Depth::Sixteen));
            if let Err(problem) = styled {
                prop_assert!(!problem.what.is_empty() && problem.to_string().starts_with("x.toml"));
            }
            Ok(())
        })
        .unwrap();
}
