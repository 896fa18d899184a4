//! Query templates against Go's own text/template: what is taken here is rendered as Go renders it, to the letter.

use canary_tui::api::{Query, Spec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// What templates are strung together from: whatever the syntax turns on, and words both known and unknown.
const FRAGMENTS: [&str; 24] = [
    "{{",
    "{{",
    "{{ ",
    "{{- ",
    "}}",
    "}}",
    " }}",
    " -}}",
    "-",
    " ",
    "\n",
    "\t",
    "{",
    "}",
    "name",
    "namespace",
    "target",
    "service",
    "interval",
    "variables.code",
    "variables.none",
    ".",
    "rate(x[",
    "pod",
];
const GENERATED: usize = 20_000;

/// As the documentation of Flagger and its users write them.
const WRITTEN: [&str; 6] = [
    "{{ name }}/{{ namespace }}/{{ target }}/{{ service }}/{{ ingress }}/{{ route }}/{{ interval }}",
    "{{name}}{{namespace}}{{target}}{{service}}{{ingress}}{{route}}{{interval}}",
    "sum(rate(x{ns=\"{{ namespace }}\",pod=~\"{{ target }}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)\"}[{{ interval }}]))",
    "x{code=~\"{{ variables.code }}\"} > {{variables.limit_2}}",
    "a \n\t{{- name -}} \r\n b {{- interval }} c {{ target -}} d",
    "{{\n  name\n}}",
];

fn variables() -> BTreeMap<String, String> {
    [("code", "5.. {{ name }}"), ("limit_2", "0.5"), ("1", "one")].map(|(k, v)| (k.into(), v.into())).into()
}

/// What each template comes to here; None where it is refused.
fn ours(templates: &[String]) -> Vec<Option<String>> {
    let spec = Spec::read(&json!({
        "targetRef": {"kind": "Deployment", "name": "web-v2"},
        "service": {"name": "web", "port": 80},
        "analysis": {"stepWeight": 10},
    }));
    let spec = spec.expect("a spec");
    let read = |text: &String| Query::read(text, "2m", &variables()).ok();
    templates.iter().map(|text| Some(read(text)?.text(&spec, "shop", "prod"))).collect()
}

/// What each template comes to in Go.
fn theirs(templates: &[String]) -> Vec<Option<String>> {
    let words = json!({
        "name": "shop", "namespace": "prod", "target": "web-v2", "service": "web", "ingress": "web-v2",
        "route": "web-v2", "interval": "2m",
    });
    let asked = json!({"Words": words, "Variables": variables(), "Templates": templates}).to_string();
    let mut go = Command::new("go")
        .args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/templates/main.go")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("go runs");
    let mut input = go.stdin.take().expect("its standard input");
    let writing = std::thread::spawn(move || input.write_all(asked.as_bytes()));
    let output = go.wait_with_output().expect("go ends");
    writing.join().expect("a thread that ends").expect("the program reads all templates");
    assert!(output.status.success(), "{}", output.status);
    let outcomes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = outcomes.as_array().expect("a list");
    list.iter().map(|outcome| outcome["Text"].as_str().map(str::to_string)).collect()
}

#[test]
#[cfg_attr(not(go), ignore = "Go is not installed")]
fn what_is_taken_is_rendered_as_go_renders_it() {
    let fragments = prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 1..12);
    let mut runner = TestRunner::deterministic();
    let mut templates: Vec<String> = WRITTEN.map(str::to_string).to_vec();
    templates.push("{{ variables.1 }}".into());
    for _ in 0..GENERATED {
        let strung = fragments.new_tree(&mut runner).expect("fragments");
        templates.push(strung.current().concat());
    }
    let (ours, theirs) = (ours(&templates), theirs(&templates));
    assert_eq!((ours.len(), theirs.len()), (templates.len(), templates.len()));
    for (template, text) in WRITTEN.iter().zip(&ours) {
        assert!(text.is_some(), "{template:?} is refused");
    }
    let mut with_words = 0;
    for ((template, ours), theirs) in templates.iter().zip(&ours).zip(&theirs) {
        let Some(ours) = ours else { continue };
        assert_eq!(Some(ours), theirs.as_ref(), "{template:?}");
        with_words += usize::from(template.contains("{{"));
    }
    // Enough of them say something.
    assert!(with_words > 100, "only {with_words} templates with words were taken");
    let only_go = templates.iter().zip(&ours).zip(&theirs).filter(|((_, o), t)| o.is_none() && t.is_some());
    println!("{with_words} templates with words are the same; {} are Go's alone", only_go.count());
}
