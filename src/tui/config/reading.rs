//! From the file's text to what it says, key by key.

use super::{COLORS, Config, ContextRule, Problem};
use crate::tui::keymap::{self, Keymap, Wanted};
use crate::tui::keys::Press;
use crate::tui::order::Order;
use crate::tui::theme;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys at the top of the file.
pub(super) const TOP: [&str; 9] =
    ["theme", "color", "ascii", "mouse", "read-only", "namespace", "order", "keys", "contexts"];
/// Keys of a context.
pub(super) const OF_CONTEXT: [&str; 5] = ["theme", "read-only", "protected", "prometheus", "namespaces"];

/// Most mistakes of the notation that are gone on from.
const MOST: usize = 50;

type Value<'i> = Spanned<DeValue<'i>>;

/// Reads a text, and says what is wrong in it.
pub fn read(path: &Path, text: &str) -> (Config, Vec<Problem>) {
    let mut reader = Reader { path, text, problems: Vec::new() };
    let mut legible = text.to_string();
    // The parser's own way of going on after a mistake takes what follows for something else. So whatever is no TOML is
    // taken out, and the rest is read as if it had not been there.
    let config = loop {
        let error = match DeTable::parse(&legible) {
            Ok(table) => break reader.top(table.get_ref()),
            Err(error) => error,
        };
        let at = error.span().map_or(0, |span| span.start);
        reader.problem(at..at, error.message().replace('\n', ", "));
        if reader.problems.len() >= MOST || !take_out(&mut legible, at) {
            break Config::default();
        }
    };
    let mut problems = reader.problems;
    problems.sort_by_key(|problem| problem.at);
    (config, problems)
}

/// Takes the line at `at` out, and all of a table whose heading it is: its keys would be taken for the table's before it.
/// Where it stands empty, it is the last line before it that is not. False: there is none.
fn take_out(text: &mut String, at: usize) -> bool {
    let at = at.min(text.len());
    let mut start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let end = |start: usize| text[start..].find('\n').map_or(text.len(), |length| start + length);
    while text[start..end(start)].trim().is_empty() {
        if start == 0 {
            return false;
        }
        start = text[..start - 1].rfind('\n').map_or(0, |end| end + 1);
    }
    let mut stop = end(start);
    if text[start..stop].trim_start().starts_with('[') {
        while stop < text.len() && !text[stop + 1..].trim_start_matches([' ', '\t']).starts_with('[') {
            stop = end(stop + 1);
        }
    }
    let blank: String = text[start..stop].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(start..stop, &blank);
    true
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

/// The entries of a table in the order of the file.
fn entries<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t str, Range<usize>, &'t Value<'i>)> {
    let entry = |(key, value): (&'t Spanned<_>, &'t Value<'i>)| {
        let name: &'t std::borrow::Cow<'i, str> = key.get_ref();
        (name.as_ref(), key.span(), value)
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

impl Reader<'_> {
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    fn problem(&mut self, span: Range<usize>, what: String) {
        let at = Some(self.place(span.start));
        self.problems.push(Problem { path: self.path.to_owned(), at, what });
    }

    fn unknown(&mut self, span: Range<usize>, key: &str, known: &[&str]) {
        let near = known.iter().map(|name| (distance(key, name), name)).min();
        let meant = match near {
            Some((distance, name)) if distance <= 2 => format!("did you mean {name}?"),
            _ => format!("there are {}", known.join(", ")),
        };
        self.problem(span, format!("there is no key {key:?} here: {meant}"));
    }

    fn top(&mut self, table: &DeTable) -> Config {
        let mut config = Config::default();
        for (key, span, value) in entries(table) {
            match key {
                "theme" => config.theme = self.theme(value),
                "color" => config.color = self.one_of(value, &COLORS),
                "ascii" => config.ascii = self.switch(value),
                "mouse" => config.mouse = self.switch(value),
                "read-only" => config.read_only = self.switch(value).map(|on| (on, self.place(span.start).0)),
                "namespace" => config.namespace = self.namespace(value),
                "order" => {
                    let names = Order::ALL.map(Order::name);
                    let named = self.one_of(value, &names);
                    config.order = named.and_then(|name| Order::ALL.into_iter().find(|order| order.name() == name));
                }
                "keys" => config.keymap = self.keys(value),
                "contexts" => config.contexts = self.contexts(value),
                _ => self.unknown(span, key, &TOP),
            }
        }
        config
    }

    fn table<'v, 'i>(&mut self, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, "a table");
        }
        table
    }

    fn wrong_type(&mut self, value: &Value, wanted: &str) {
        let found = value.get_ref().type_str();
        self.problem(value.span(), format!("this is to be {wanted}, and it is of the type {found}"));
    }

    fn switch(&mut self, value: &Value) -> Option<bool> {
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            self.wrong_type(value, "true or false");
        }
        switch
    }

    fn string(&mut self, value: &Value) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_string);
        if text.is_none() {
            self.wrong_type(value, "a text in quotes");
        }
        text
    }

    /// A text that a rule lets pass.
    fn checked(&mut self, value: &Value, rule: impl Fn(&str) -> Result<(), String>) -> Option<String> {
        let text = self.string(value)?;
        match rule(&text) {
            Ok(()) => Some(text),
            Err(why) => {
                self.problem(value.span(), why);
                None
            }
        }
    }

    fn one_of(&mut self, value: &Value, known: &[&str]) -> Option<String> {
        self.checked(value, |text| match known.contains(&text) {
            true => Ok(()),
            false => Err(format!("{text:?} is none of {}", known.join(", "))),
        })
    }

    fn theme(&mut self, value: &Value) -> Option<String> {
        self.checked(value, theme::check)
    }

    fn namespace(&mut self, value: &Value) -> Option<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        self.checked(value, |name| match !name.is_empty() && name.len() <= 63 && name.chars().all(plain) {
            true => Ok(()),
            false => Err("a namespace has 1 to 63 lower-case letters, digits and dashes".into()),
        })
    }

    /// A list of namespaces, without those that cannot be any.
    fn namespaces(&mut self, value: &Value) -> Option<Vec<String>> {
        match value.get_ref() {
            DeValue::Array(list) => Some(list.iter().filter_map(|value| self.namespace(value)).collect()),
            _ => {
                self.wrong_type(value, "a list of namespaces, as in [\"payments\", \"web\"]");
                None
            }
        }
    }

    fn keys(&mut self, value: &Value) -> Keymap {
        let Some(table) = self.table(value) else { return Keymap::default() };
        let known: Vec<(String, _)> = keymap::settable_actions().into_iter().map(|a| (a.name(), a)).collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut places: Vec<Range<usize>> = Vec::new();
        for (key, span, value) in entries(table) {
            let Some((_, action)) = known.iter().find(|(name, _)| name == key) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
                self.unknown(span, key, &names);
                continue;
            };
            if let Some(presses) = self.presses(value) {
                wanted.push(Wanted { action: *action, presses });
                places.push(value.span());
            }
        }
        let (keymap, clashes) = Keymap::with(&wanted);
        for clash in clashes {
            let name = wanted[clash.at].action.name();
            self.problem(places[clash.at].clone(), format!("{}: {name} keeps the keys that it had", clash.why));
        }
        keymap
    }

    /// The keys of one action: a list of them, or one. None where one is wrong.
    fn presses(&mut self, value: &Value) -> Option<Vec<Press>> {
        let one = |reader: &mut Self, value: &Value| {
            let name = reader.string(value)?;
            match keymap::press(&name) {
                Ok(press) => Some(press),
                Err(why) => {
                    reader.problem(value.span(), why);
                    None
                }
            }
        };
        match value.get_ref() {
            DeValue::Array(list) => {
                let presses: Vec<Option<Press>> = list.iter().map(|value| one(self, value)).collect();
                presses.into_iter().collect()
            }
            DeValue::String(_) => one(self, value).map(|press| vec![press]),
            _ => {
                self.wrong_type(value, "a list of keys, as in [\"a\", \"ctrl-x\"]");
                None
            }
        }
    }

    fn contexts(&mut self, value: &Value) -> Vec<ContextRule> {
        let Some(table) = self.table(value) else { return Vec::new() };
        let mut rules = Vec::new();
        for (pattern, _, value) in entries(table) {
            let Some(table) = self.table(value) else { continue };
            let mut rule = ContextRule { pattern: pattern.to_string(), ..Default::default() };
            for (key, span, value) in entries(table) {
                match key {
                    "theme" => rule.theme = self.theme(value),
                    "read-only" => rule.read_only = self.switch(value).map(|on| (on, self.place(span.start).0)),
                    "protected" => rule.protected = self.switch(value),
                    "prometheus" => {
                        rule.prometheus = self.checked(value, address);
                    }
                    "namespaces" => rule.namespaces = self.namespaces(value),
                    _ => self.unknown(span, key, &OF_CONTEXT),
                }
            }
            rules.push(rule);
        }
        rules
    }
}

/// Whether it is the address of a server.
fn address(url: &str) -> Result<(), String> {
    let known = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match known {
        true => Ok(()),
        false => Err("this is no HTTP address: write it like http://prometheus.example.com:9090".into()),
    }
}

/// How many letters differ: put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
