//! The queries that a Canary brings along, and the words that stand for its names in them.
//!
//! What Flagger documents is read: `{{ name }}` and the other words below, in any spacing, with Go's trim markers. All
//! else between the braces is refused when the query is read, never left out: half a query would judge something else.
//! What is put in is put in as it is, as Flagger does; the text is its author's.

use super::Spec;
use std::collections::BTreeMap;

/// What an interval is in a query where the metric names none.
const DEFAULT_INTERVAL: &str = "1m";
/// What Go takes for white space inside and around the braces.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// A PromQL query with places for the Canary's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Word(Word),
}

/// What is known only once the Canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Name,
    Namespace,
    /// The target; the ingress and the route too, because neither can be named otherwise here.
    Target,
    Service,
}

impl Query {
    /// Reads a query. `interval` is the metric's, as it is written, empty where there is none; `variables` are its
    /// `templateVariables`.
    ///
    /// # Errors
    /// What cannot be carried out, in words that read on after the field's name.
    pub fn read(text: &str, interval: &str, variables: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut trimmed = false;
        loop {
            let (before, opened) = match rest.split_once("{{") {
                Some((before, opened)) => (before, Some(opened)),
                None => (rest, None),
            };
            let before = if trimmed { before.trim_start_matches(BLANK) } else { before };
            let Some(opened) = opened else {
                pieces.push(Piece::Text(before.to_string()));
                return Ok(Self { pieces });
            };
            let (inside, after) = opened.split_once("}}").ok_or_else(|| "has a {{ without its }}".to_string())?;
            // A marker counts only with white space on its inner side.
            let (trim_before, inside) = match inside.strip_prefix('-').filter(|i| i.starts_with(BLANK)) {
                Some(inside) => (true, inside),
                None => (false, inside),
            };
            let (trim_after, inside) = match inside.strip_suffix('-').filter(|i| i.ends_with(BLANK)) {
                Some(inside) => (true, inside),
                None => (false, inside),
            };
            let before = if trim_before { before.trim_end_matches(BLANK) } else { before };
            pieces.push(Piece::Text(before.to_string()));
            pieces.push(piece(inside.trim_matches(BLANK), interval, variables)?);
            (rest, trimmed) = (after, trim_after);
        }
    }

    /// The query for one Canary.
    pub fn text(&self, spec: &Spec, name: &str, namespace: &str) -> String {
        let put = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Word(Word::Name) => name.to_string(),
            Piece::Word(Word::Namespace) => namespace.to_string(),
            Piece::Word(Word::Target) => spec.target.clone(),
            Piece::Word(Word::Service) => spec.service.apex.clone(),
        };
        self.pieces.iter().map(put).collect()
    }
}

fn piece(word: &str, interval: &str, variables: &BTreeMap<String, String>) -> Result<Piece, String> {
    Ok(match word {
        "name" => Piece::Word(Word::Name),
        "namespace" => Piece::Word(Word::Namespace),
        "target" | "ingress" | "route" => Piece::Word(Word::Target),
        "service" => Piece::Word(Word::Service),
        "interval" if interval.is_empty() => Piece::Text(DEFAULT_INTERVAL.to_string()),
        "interval" => Piece::Text(interval.to_string()),
        other => match other.strip_prefix("variables.").filter(|key| is_key(key)) {
            Some(key) => match variables.get(key) {
                Some(value) => Piece::Text(value.clone()),
                None => return Err(format!("uses {{{{ {other} }}}}, but templateVariables has no {key}")),
            },
            None => {
                return Err(format!(
                    "uses {{{{ {other} }}}}; only name, namespace, target, service, ingress, route, interval and \
                     variables.KEY are supported"
                ));
            }
        },
    })
}

/// Whether Go would take this for one field's name.
fn is_key(key: &str) -> bool {
    // What begins with a digit would be a number.
    key.chars().next().is_some_and(|first| !first.is_ascii_digit())
        && key.chars().all(|c| c == '_' || c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variables(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn rendered(text: &str) -> String {
        let spec = Spec::read(&json!({
            "targetRef": {"kind": "Deployment", "name": "web-v2"},
            "service": {"name": "web", "port": 80},
            "analysis": {"stepWeight": 10},
        }));
        let query = Query::read(text, "2m", &variables(&[("code", "5.."), ("le_2", "0.5")])).expect("a query");
        query.text(&spec.expect("a spec"), "shop", "prod")
    }

    #[test]
    fn every_documented_word_is_put_in() {
        let words = "{{ name }} {{ namespace }} {{ target }} {{ service }} {{ ingress }} {{ route }} {{ interval }}";
        assert_eq!(rendered(words), "shop prod web-v2 web web-v2 web-v2 2m");
        assert_eq!(rendered("{{ variables.code }}{{variables.le_2}}"), "5..0.5");
        assert_eq!(
            rendered(r#"rate(x{ns="{{ namespace }}",code=~"{{ variables.code }}"}[{{interval}}])"#),
            r#"rate(x{ns="prod",code=~"5.."}[2m])"#
        );
    }

    #[test]
    fn white_space_is_as_in_go_templates() {
        for (text, wanted) in [
            ("a{{name}}b", "ashopb"),
            ("a{{\tname\n}}b", "ashopb"),
            ("a \n{{- name }} b", "ashop b"),
            ("a {{ name -}}\n b", "a shopb"),
            ("a {{- name -}} b", "ashopb"),
            ("{{ name -}}  {{- name }}", "shopshop"),
            ("nothing }} of {this} {sort}", "nothing }} of {this} {sort}"),
            ("", ""),
        ] {
            assert_eq!(rendered(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn an_interval_that_is_not_given_is_a_minute() {
        let query = Query::read("[{{ interval }}]", "", &BTreeMap::new()).expect("a query");
        assert_eq!(query.pieces[1], Piece::Text("1m".into()));
    }

    #[test]
    fn what_is_put_in_is_not_read_again() {
        let query = Query::read("{{ variables.x }}", "", &variables(&[("x", "{{ name }}")])).expect("a query");
        assert_eq!(query.pieces[1], Piece::Text("{{ name }}".into()));
    }

    #[test]
    fn all_else_is_refused_and_named() {
        for (text, said) in [
            ("x{{ pod }}", "{{ pod }}"),
            ("x{{ Name }}", "{{ Name }}"),
            ("x{{ .Name }}", "{{ .Name }}"),
            ("x{{ name | printf \"%q\" }}", "printf"),
            ("x{{ if name }}y{{ end }}", "{{ if name }}"),
            ("x{{ variables }}", "{{ variables }}"),
            ("x{{ variables.a.b }}", "{{ variables.a.b }}"),
            ("x{{ variables.a-b }}", "{{ variables.a-b }}"),
            ("x{{ variables .a }}", "{{ variables .a }}"),
            ("x{{ variables.1 }}", "{{ variables.1 }}"),
            ("x{{ variables.missing }}", "templateVariables has no missing"),
            ("x{{ }}", "{{  }}"),
            ("x{{-name-}}", "{{ -name- }}"),
            ("x{{/* why */}}", "/* why */"),
            ("x{{ name }", "without its }}"),
            ("{{", "without its }}"),
        ] {
            let why = Query::read(text, "", &variables(&[("a", "1"), ("1", "a")])).expect_err(text);
            assert!(why.contains(said), "{text}: {why}");
        }
    }
}
