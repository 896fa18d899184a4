//! Good files and bad ones.

use super::*;
use crate::tui::keys::{Action, Place};

fn read(text: &str) -> (Config, Vec<String>) {
    let (config, problems) = reading::read(Path::new("config.toml"), text);
    (config, problems.iter().map(Problem::to_string).collect())
}

#[test]
fn everything_that_may_be_said_is_taken_in() {
    let (config, problems) = read(
        r#"
theme = "light"
color = "256"
ascii = true
mouse = true
read-only = true
namespace = "payments"
order = "phase"

[keys]
abort = ["a", "ctrl-x"]
promote = "f9"
events = []

[contexts."*"]
read-only = false
[contexts."prod-*"]
theme = "dark"
protected = true
prometheus = "http://prometheus.example.com:9090"
[contexts.prod-audit]
read-only = true
"#,
    );
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((config.theme.as_deref(), config.color.as_deref()), (Some("light"), Some("256")));
    assert_eq!((config.ascii, config.mouse, config.read_only), (Some(true), Some(true), Some((true, 6))));
    assert_eq!((config.namespace.as_deref(), config.order), (Some("payments"), Some(Order::Phase)));
    assert_eq!((config.keymap.key(Action::Promote), config.keymap.key(Action::Events)), ("f9", ""));
    assert_eq!(config.keymap.key(Action::Abort), "a");

    // The later of those that match, key by key.
    assert_eq!(config.guard("prod-eu"), Guard { read_only: None, protected: true });
    let audit = config.guard("prod-audit");
    assert!(audit.protected && audit.read_only.is_some_and(|why| why.contains("(line 22)")));
    assert_eq!(config.guard("dev"), Guard::default());
    assert_eq!((config.theme("prod-eu").as_deref(), config.theme("dev").as_deref()), (Some("dark"), Some("light")));
    assert!(config.prometheus("prod-eu").is_some() && config.prometheus("dev").is_none());
    let given = Config { read_only_given: true, ..config };
    assert_eq!(given.guard("prod-eu").read_only.as_deref(), Some("--read-only was given"), "nothing takes it back");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_costs_its_own_key_alone() {
    for (line, wanted) in [
        ("theme = \"pink\"", "config.toml:2:9: there is no theme \"pink\""),
        ("theme = 7", "config.toml:2:9: this is to be a text in quotes, and it is of the type integer"),
        ("color = \"pink\"", "config.toml:2:9: \"pink\" is none of auto, always, never, 16, 256, truecolor"),
        ("ascii = \"yes\"", "config.toml:2:9: this is to be true or false, and it is of the type string"),
        ("mouse = 1", "config.toml:2:9: this is to be true or false"),
        ("read_only = true", "config.toml:2:1: there is no key \"read_only\" here: did you mean read-only?"),
        ("colour = \"auto\"", "config.toml:2:1: there is no key \"colour\" here: did you mean color?"),
        ("frobnicate = 1", "config.toml:2:1: there is no key \"frobnicate\" here: there are theme, color"),
        ("namespace = \"Prod EU\"", "config.toml:2:13: a namespace has"),
        ("order = \"backwards\"", "config.toml:2:9: \"backwards\" is none of need, age, name"),
        ("keys = 7", "config.toml:2:8: this is to be a table"),
        ("keys.abrot = [\"x\"]", "config.toml:2:6: there is no key \"abrot\" here: did you mean abort?"),
        ("keys.abort = [\"shift-p\"]", "config.toml:2:15: shift is part of the character"),
        ("keys.abort = [\"x\", 7]", "config.toml:2:20: this is to be a text in quotes"),
        ("keys.abort = 7", "config.toml:2:14: this is to be a list of keys"),
        ("keys.abort = [\"P\"]", "config.toml:2:14: P is the key of promote already: abort keeps the keys that it had"),
        ("keys.yes = [\"x\"]", "config.toml:2:6: there is no key \"yes\" here"),
        ("contexts = []", "config.toml:2:12: this is to be a table, and it is of the type array"),
        ("contexts.prod = true", "config.toml:2:17: this is to be a table"),
        ("contexts.prod.protect = true", "config.toml:2:15: there is no key \"protect\" here: did you mean protected?"),
        ("contexts.prod.protected = \"é\"", "config.toml:2:27: this is to be true or false"),
        ("contexts.prod.prometheus = \"nowhere\"", "config.toml:2:28: "),
        ("contexts.prod.namespaces = \"web\"", "config.toml:2:28: this is to be a list of namespaces"),
        ("contexts.prod.namespaces = [\"web\", \"W b\"]", "config.toml:2:36: a namespace has"),
        ("ascii = true\nascii = false", "config.toml:3:1: "),
        ("nonsense", "config.toml:2:"),
        ("theme = \"open", "config.toml:2:"),
        ("[keys", "config.toml:2:"),
    ] {
        let of_order = line.starts_with("order");
        let before = if of_order { "ascii = true" } else { "order = \"phase\"" };
        let (config, problems) = read(&format!("{before}\n{line}\n[contexts.eu]\nprotected = true\n"));
        assert!(problems.first().is_some_and(|first| first.starts_with(wanted)), "{line}: {problems:?}");
        let held = if of_order { config.ascii == Some(true) } else { config.order == Some(Order::Phase) };
        assert!(held, "{line}: what stands before it holds");
        // A table that is something else cannot be gone on with either.
        if line != "contexts = []" {
            assert!(config.guard("eu").protected, "{line}: what stands after it holds: {problems:?}");
            assert_eq!(problems.len(), 1, "{line}: {problems:?}");
        }
        assert_eq!((config.theme, config.mouse, config.read_only), (None, None, None), "{line}");
        assert_eq!(config.keymap.key(Action::Abort), "a", "{line}");
    }
}

#[test]
fn what_is_no_toml_is_left_out_and_the_rest_is_read() {
    let (config, problems) = read(
        "order = \"phase\"\n[contexts.dev]\nread-only = false\n[contexts.prod\nprotected = true\nread-only = true\n\n\
         [contexts.eu]\n  nonsense\nprotected = true\nlist = [1,\n",
    );
    let places: Vec<&str> = problems.iter().map(|problem| problem.split(':').nth(1).unwrap()).collect();
    assert_eq!(places, ["4", "9", "11"], "{problems:?}");
    assert_eq!(
        config.guard("dev"),
        Guard::default(),
        "the keys of a heading that is wrong are not the one's before it"
    );
    assert_eq!((config.order, config.guard("eu").protected), (Some(Order::Phase), true));
    let (_, problems) = read(&"nonsense\n".repeat(1000));
    assert_eq!(problems.len(), 50);
}

#[test]
fn no_text_is_too_strange() {
    proptest::proptest!(|(text in "[a-z\\[\\]\"'=.# \n\u{1b}é{},0-9-]{0,80}")| {
        let (_, problems) = read(&text);
        proptest::prop_assert!(problems.iter().all(|problem| problem.starts_with("config.toml:")));
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    assert_eq!(load_from(&file).1, [], "no file says nothing");
    std::fs::write(&file, b"order = \"phase\"\ntheme = \"\xff\"\n").unwrap();
    let (config, problems) = load_from(&file);
    assert_eq!((config.order, problems.len()), (Some(Order::Phase), 1));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(load_from(&file).1[0].to_string().contains("it cannot be read"));
}

#[test]
fn the_example_names_every_key_and_is_the_default() {
    let text = example();
    let (config, problems) = read(&text);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((config.theme, config.contexts), (None, Vec::new()), "it changes nothing");
    // With its keys taken in, it still changes nothing.
    let keys = |line: &&str| line.contains(" = ") || line.starts_with("# [");
    let taken: Vec<&str> = text.lines().filter(keys).map(|line| line.trim_start_matches("# ")).collect();
    let (config, problems) = read(&taken.join("\n"));
    assert_eq!(problems, Vec::<String>::new(), "{taken:?}");
    let default = Config::default();
    let shown = |keymap: &Keymap| {
        let shown = keymap.iter().filter(|bound| bound.place == Place::Main);
        shown.map(|bound| (bound.action, bound.presses.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&config.keymap), shown(&default.keymap));
    assert_eq!(config.order, Some(Order::default()));
    assert_eq!(config.guard("prod-eu"), Guard::default());
    for key in reading::TOP.iter().chain(&reading::OF_CONTEXT) {
        let there = taken.iter().any(|line| {
            line.starts_with(&format!("{key} ="))
                || line.starts_with(&format!("[{key}]"))
                || line.contains(&format!("[{key}."))
        });
        assert!(there, "{key}");
    }
}

#[test]
fn patterns_match_as_a_shell_would() {
    for (pattern, name, fits) in [
        ("prod", "prod", true),
        ("prod", "prod-eu", false),
        ("prod-*", "prod-eu", true),
        ("prod-*", "prod", false),
        ("*", "", true),
        ("*prod*", "eu-prod-1", true),
        ("*-prod-?", "eu-prod-1", true),
        ("*-prod-?", "eu-prod-12", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXcYb", false),
        ("gke_?_eu", "gke_é_eu", true),
        ("", "", true),
        ("", "x", false),
    ] {
        assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
    }
}
