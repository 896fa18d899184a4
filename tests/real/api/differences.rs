//! Where two answers differ, and which differences are accepted.

use serde_json::Value;

/// A difference that is accepted.
struct Difference {
    /// Where: `BEHAVIOUR/STEP:POINTER`, with `*` for anything.
    at: &'static str,
    /// Why it may stay.
    why: &'static str,
}

const fn accepted(at: &'static str, why: &'static str) -> Difference {
    Difference { at, why }
}

/// Every difference between the sandbox and a real API server that the suite finds and that is accepted.
const DIFFERENCES: &[Difference] = &[
    accepted("lists/a token of nobody:/body/message", PARSERS_WORDS),
    accepted("selectors/unclosed:/body/message", PARSERS_WORDS),
    accepted("watches/as tables:*/columnDefinitions/*/description", PROSE),
    accepted("tables/*:/body/columnDefinitions/*/description", PROSE),
    accepted("definitions/as a table:/body/columnDefinitions/*/description", PROSE),
    accepted("tables/a table of old:/body*", "tables are made in v1 alone, which every client of the last years takes"),
    accepted("pods/another command:/body/details/causes/0/message", "what differs is not shown after the sentence"),
    accepted("pods/another command:/body/message", "what differs is not shown after the sentence"),
    accepted("patches/merge a list:/body/message", PARSERS_WORDS),
    accepted("patches/merge a wrong type:/body/*message", PARSERS_WORDS),
    accepted("patches/merge a wrong list:/body/*message", PARSERS_WORDS),
    accepted("patches/operations that are no list:/body/message", PARSERS_WORDS),
    accepted("patches/to a wrong type:/body/*message", PARSERS_WORDS),
    accepted("validation/a wrong type:/body/message", PARSERS_WORDS),
    accepted("validation/another kind:/body/message", PARSERS_WORDS),
    accepted("validation/a body of no JSON:/body/message", PARSERS_WORDS),
    accepted("validation/a body of text:/body/message", PARSERS_WORDS),
    accepted("validation/a body of a list:/body/message", PARSERS_WORDS),
    accepted("validation/a body of nothing:/body/message", PARSERS_WORDS),
    accepted("validation/a body of metadata that is text:/body/message", PARSERS_WORDS),
    accepted("applied nonsense/no YAML:/body/message", PARSERS_WORDS),
    accepted("applied nonsense/text:/body/message", PARSERS_WORDS),
    accepted("applied custom/a wrong type:/body/message", PARSERS_WORDS),
    accepted("applied lists/a wrong type:/body/message", PARSERS_WORDS),
    accepted("deletions/options that are no JSON:/body/message", PARSERS_WORDS),
    accepted("owners/two controllers:/body/*message", "a value in a message has its fields in alphabetical order"),
    accepted("discovery/groups:/body/*/versions", "only the newest version of autoscaling is served"),
    accepted("discovery/one document of api:/body/*/resource/subresources", "pods and nodes have no proxy here"),
    accepted("discovery/resources of apis/apiextensions.k8s.io/v1:/body/resources/*/storageVersionHash", "kept as v1"),
    accepted("reviews/who*:/body/status/userInfo/*", "another user, who has a token instead of a certificate"),
    accepted("reviews/may I*:/body/metadata/managedFields", "a review is not kept, so nobody is recorded to own it"),
    accepted("reviews/may I both:/body/*message", "a value in a message has the names that JSON has"),
    accepted(
        "reviews/which rules:/body/status/*Rules",
        "rules by resource: here they come from denials, not from roles",
    ),
    accepted(
        "definitions/undefine:/body*",
        "a definition and all of its objects go at once, so nothing waits to be cleaned up",
    ),
];

/// Sentences of Go's parsers, with its types' names in them; the code, the reason and the cause's field are the same.
const PARSERS_WORDS: &str = "the words of another parser";
/// What Kubernetes' documentation says of each column.
const PROSE: &str = "built-in columns are not described";

/// What the comparison of a behaviour came to.
pub struct Verdict {
    /// Differences that are neither equal nor accepted, and accepted ones that are no more.
    pub complaints: Vec<String>,
    /// How many differences are accepted.
    pub accepted: usize,
}

impl Verdict {
    pub fn of(behaviour: &str, sandbox: &[(String, Value)], real: &[(String, Value)]) -> Self {
        let names = |answers: &[(String, Value)]| answers.iter().map(|(step, _)| step.clone()).collect::<Vec<_>>();
        assert_eq!(names(sandbox), names(real), "both have taken the same steps");
        let mut found = Vec::new();
        for ((step, ours), (_, theirs)) in sandbox.iter().zip(real) {
            let place = format!("{behaviour}/{step}:");
            if ours["status"] == theirs["status"] {
                differ(&place, ours, theirs, &mut found);
            } else {
                // Nothing in the bodies goes together then.
                found.push((place, ours.to_string(), theirs.to_string()));
            }
        }
        let mut used = vec![false; DIFFERENCES.len()];
        let mut complaints = Vec::new();
        for (place, ours, theirs) in &found {
            let mut listed = false;
            for (difference, used) in DIFFERENCES.iter().zip(&mut used) {
                if matches(difference.at, place) {
                    listed = true;
                    *used = true;
                }
            }
            if !listed {
                complaints.push(format!("{place}\n    sandbox: {ours}\n    real:    {theirs}"));
            }
        }
        let accepted = found.len() - complaints.len();
        for (difference, used) in DIFFERENCES.iter().zip(used) {
            if !used && matches(difference.at.split('/').next().unwrap_or_default(), behaviour) {
                complaints.push(format!("{} ({}): found no more", difference.at, difference.why));
            }
        }
        Self { complaints, accepted }
    }
}

/// Where two values differ, and what they are there.
fn differ(place: &str, ours: &Value, theirs: &Value, found: &mut Vec<(String, String, String)>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in ours {
                match theirs.get(name) {
                    Some(other) => differ(&format!("{place}/{name}"), value, other, found),
                    None => found.push((format!("{place}/{name}"), value.to_string(), "nothing".into())),
                }
            }
            for (name, value) in theirs.iter().filter(|(name, _)| !ours.contains_key(*name)) {
                found.push((format!("{place}/{name}"), "nothing".into(), value.to_string()));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (value, other)) in ours.iter().zip(theirs).enumerate() {
                differ(&format!("{place}/{index}"), value, other, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push((place.to_owned(), ours.to_string(), theirs.to_string())),
    }
}

/// Whether a text is as a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
        }),
    }
}

#[test]
fn patterns_match_as_they_read() {
    assert!(matches("a/*:/b/*/c", "a/x y:/b/1/c"));
    assert!(matches("a", "a"));
    assert!(!matches("a/*:/b", "a/x:/c"));
}
