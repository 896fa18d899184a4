//! The versions that a target had before, from the ReplicaSets that it has left: what became of each, and whether a start
//! leads there again.
//!
//! A start sets one image of one container and leaves all else as it is. So a version is offered only where one image
//! makes the difference, and what that version had otherwise is named: a return that is half of one must not look whole.

use crate::api::shapes::{self, Change};
use crate::api::{History, Phase, Revision, Status};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Longest image that is asked for; the API server takes none that is longer.
const LONGEST: usize = 512;

/// What is known of a target's past.
#[derive(Clone, Debug)]
pub struct Remains<'a> {
    /// The target as it is now.
    pub target: &'a Value,
    /// The ReplicaSets that it controls.
    pub sets: &'a [Value],
    pub status: &'a Status,
    pub history: &'a History,
    /// Name and image of the primary's containers.
    pub primary: &'a [(String, String)],
}

/// A template that the target has or had.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Its number in the Deployment's own history, as in `kubectl rollout history`.
    pub number: u64,
    /// When its ReplicaSet was made: it was used from then on.
    pub since: Option<DateTime<Utc>>,
    /// Its image: that of the container named like the target, else the first one's.
    pub image: String,
    /// Whether the primary serves it.
    pub serves: bool,
    pub fate: Fate,
    pub way: Way,
}

/// How its last rollout ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Not known: there was none, or it is forgotten.
    Unknown,
    Promoted,
    Failed(Option<DateTime<Utc>>),
}

/// Whether a start leads there.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// It is the target's template now.
    Present,
    /// By one image.
    Image {
        container: String,
        image: String,
        /// What stays as it is now, although this version had it otherwise.
        otherwise: Vec<String>,
    },
    /// No; a clause that says why.
    Barred(String),
}

/// The target's versions, the newest first.
pub fn past(remains: &Remains) -> Vec<Past> {
    let now = bare(remains.target);
    let name = remains.target.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let mut found: Vec<(Past, String)> = remains.sets.iter().filter_map(|set| one(set, &now, name, remains)).collect();
    found.sort_by_key(|(past, _)| std::cmp::Reverse(past.number));
    // The status names what was promoted; where another tool named it in its own way, the images tell.
    let promoted = remains.status.last_promoted.as_deref().map(Revision::hash_in);
    let by_name = found.iter().position(|(_, hash)| promoted == Some(hash.as_str()));
    let images = |set: &Value| containers(set.pointer("/spec/template"));
    let by_images = || {
        let like = |set: &&Value| !remains.primary.is_empty() && images(set) == remains.primary;
        let number = remains.sets.iter().filter(like).filter_map(number).max()?;
        found.iter().position(|(past, _)| past.number == number)
    };
    if let Some(serving) = by_name.or_else(by_images) {
        found[serving].0.serves = true;
    }
    found.into_iter().map(|(past, _)| past).collect()
}

fn number(set: &Value) -> Option<u64> {
    let annotations = set.pointer("/metadata/annotations")?;
    annotations.get("deployment.kubernetes.io/revision")?.as_str()?.parse().ok()
}

/// One of them, and its template's hash.
fn one(set: &Value, now: &Value, target: &str, remains: &Remains) -> Option<(Past, String)> {
    let number = number(set)?;
    let hash = set.pointer("/metadata/labels").and_then(|labels| labels.get("pod-template-hash"));
    let hash = hash.and_then(Value::as_str).unwrap_or_default().to_string();
    let since = set.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let since = since.and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|at| at.with_timezone(&Utc));
    let images = containers(set.pointer("/spec/template"));
    let shown = images.iter().find(|(name, _)| name == target).or_else(|| images.first());
    let past = Past {
        number,
        since,
        image: shown.map(|(_, image)| image.chars().take(LONGEST).collect()).unwrap_or_default(),
        serves: false,
        fate: fate(&hash, remains),
        way: way(now, &bare(set), &images),
    };
    Some((past, hash))
}

fn fate(hash: &str, remains: &Remains) -> Fate {
    let last = remains.history.rollouts.iter().rev().find(|rollout| Revision::hash_in(&rollout.revision) == hash);
    let ended = last.and_then(|rollout| rollout.end.as_ref());
    let status = remains.status;
    let failed_now =
        status.phase == Phase::Failed && status.last_applied.as_deref().map(Revision::hash_in) == Some(hash);
    match ended.map(|end| (Phase::from_name(&end.phase), end.at)) {
        Some((Phase::Failed, at)) => Fate::Failed(Some(at)),
        _ if failed_now => Fate::Failed(status.last_transition),
        Some((Phase::Succeeded, _)) => Fate::Promoted,
        _ => Fate::Unknown,
    }
}

/// Name and image of a template's containers, in its order.
fn containers(template: Option<&Value>) -> Vec<(String, String)> {
    let list = template.and_then(|template| template.pointer("/spec/containers")).and_then(Value::as_array);
    let text =
        |container: &Value, key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    list.into_iter().flatten().map(|container| (text(container, "name"), text(container, "image"))).collect()
}

/// A template as its author wrote it, without the label that only ReplicaSets bear.
fn bare(object: &Value) -> Value {
    let mut template = shapes::as_authored(object);
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

fn way(now: &Value, then: &Value, images: &[(String, String)]) -> Way {
    let mut set: Vec<(&str, &str)> = Vec::new();
    let mut otherwise = Vec::new();
    for difference in shapes::differences(now, then) {
        let at: Vec<&str> = difference.at.iter().map(String::as_str).collect();
        let image = match (&at[..], &difference.change) {
            (["spec", "containers", container, "image"], Change::Changed(_, image)) => images
                .iter()
                .find(|(name, _)| name == container)
                .filter(|(_, there)| Some(there.as_str()) == image.as_str()),
            _ => None,
        };
        match image {
            Some((container, image)) => set.push((container, image)),
            None => otherwise.push(named(&at)),
        }
    }
    match (&set[..], otherwise.is_empty()) {
        ([], true) => Way::Present,
        ([], false) => Way::Barred("its images are the target's already, and a start sets nothing else".into()),
        ([(_, image)], _) if !is_image(image) => Way::Barred("its image is none that can be asked for".into()),
        ([(container, image)], _) => Way::Image { container: (*container).into(), image: (*image).into(), otherwise },
        (many, _) => {
            let names: Vec<&str> = many.iter().map(|(name, _)| *name).collect();
            Way::Barred(format!("it has other images in {}, and a start sets one", names.join(" and ")))
        }
    }
}

/// Where a difference is, as an operator names it.
fn named(at: &[&str]) -> String {
    match at {
        ["spec", "containers", container, rest @ ..] if !rest.is_empty() => {
            format!("{} of {container}", rest.join("."))
        }
        ["spec", "containers", container] => format!("container {container}"),
        ["spec", "initContainers", container, rest @ ..] if !rest.is_empty() => {
            format!("{} of init container {container}", rest.join("."))
        }
        ["metadata", map, rest @ ..] if !rest.is_empty() => format!("{} {}", map.trim_end_matches('s'), rest.join(".")),
        ["metadata", map] => (*map).into(),
        ["spec", rest @ ..] | rest => rest.join("."),
    }
}

/// Whether a text may be an image or a tag: it goes into a request, and onto the target.
pub fn is_image(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::history::{End, Rollout};
    use serde_json::json;

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
    }

    fn target(template: Value) -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"template": template}})
    }

    fn set(number: &str, hash: &str, mut template: Value) -> Value {
        template["metadata"]["labels"]["pod-template-hash"] = json!(hash);
        template["metadata"]["creationTimestamp"] = Value::Null;
        json!({
            "metadata": {"labels": {"pod-template-hash": hash}, "creationTimestamp": "2026-11-20T12:00:00Z",
                "annotations": {"deployment.kubernetes.io/revision": number}},
            "spec": {"template": template},
        })
    }

    fn seen(target: &Value, sets: &[Value]) -> Vec<Past> {
        let (status, history) = (Status::default(), History::default());
        past(&Remains { target, sets, status: &status, history: &history, primary: &[] })
    }

    fn by_image(image: &str, otherwise: &[&str]) -> Way {
        let otherwise = otherwise.iter().map(|text| text.to_string()).collect();
        Way::Image { container: "web".into(), image: image.into(), otherwise }
    }

    #[test]
    fn the_newest_comes_first_by_number_and_what_has_none_is_no_version() {
        let sets = [
            set("9", "a", template("web:1")),
            set("10", "b", template("web:2")),
            set("x", "c", template("web:3")),
            json!({"metadata": "no object"}),
        ];
        let found = seen(&target(template("web:2")), &sets);
        let ways: Vec<_> = found.iter().map(|past| (past.number, past.image.as_str(), past.way.clone())).collect();
        assert_eq!(ways, [(10, "web:2", Way::Present), (9, "web:1", by_image("web:1", &[]))]);
        assert_eq!(found[0].since, Some("2026-11-20T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_one_image_does_not_bring_back_is_named() {
        let mut then = template("web:1");
        then["metadata"]["annotations"] = json!({"team": "a"});
        then["spec"]["containers"][0]["env"] = json!([{"name": "MODE", "value": "old"}]);
        then["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}});
        then["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": "proxy:1"}));
        then["spec"]["terminationGracePeriodSeconds"] = json!(5);
        let found = seen(&target(template("web:2")), &[set("1", "a", then)]);
        let Way::Image { image, otherwise, .. } = &found[0].way else { panic!("{found:?}") };
        let mut otherwise = otherwise.clone();
        otherwise.sort();
        assert_eq!(image, "web:1");
        let wanted =
            ["annotations", "container proxy", "env of web", "resources of web", "terminationGracePeriodSeconds"];
        assert_eq!(otherwise, wanted);
    }

    #[test]
    fn where_one_image_does_not_lead_there_it_is_barred_and_says_why() {
        let mut config = template("web:2");
        config["spec"]["containers"][0]["env"] = json!([{"name": "MODE", "value": "old"}]);
        let two = |web: &str, proxy: &str| {
            let mut both = template(web);
            both["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": proxy}));
            both
        };
        for (now, then, why) in [
            (template("web:2"), config, "its images are the target's already"),
            (two("web:2", "proxy:2"), two("web:1", "proxy:1"), "it has other images in proxy and web"),
            (template("web:2"), template("web:1 && reboot"), "none that can be asked for"),
            (template("web:2"), template(&"a".repeat(513)), "none that can be asked for"),
        ] {
            let found = seen(&target(now), &[set("1", "a", then)]);
            let Way::Barred(said) = &found[0].way else { panic!("{why}: {found:?}") };
            let names_both = said.contains("proxy") && said.contains("web");
            assert!(said.contains(why) || (why.contains("proxy") && names_both), "{said}");
        }
        // One of two is led to by its own container.
        let found = seen(&target(two("web:2", "proxy:2")), &[set("1", "a", two("web:2", "proxy:1"))]);
        let way = Way::Image { container: "proxy".into(), image: "proxy:1".into(), otherwise: Vec::new() };
        assert_eq!(found[0].way, way);
    }

    #[test]
    fn what_serves_is_known_by_the_status_else_by_the_primarys_images() {
        let sets =
            [set("1", "a", template("web:1")), set("2", "b", template("web:2")), set("3", "c", template("web:1"))];
        let target = target(template("web:2"));
        let serving = |promoted: Option<&str>, primary: &[(String, String)]| {
            let status = Status { last_promoted: promoted.map(String::from), ..Status::default() };
            let history = History::default();
            let found = past(&Remains { target: &target, sets: &sets, status: &status, history: &history, primary });
            found.into_iter().filter(|past| past.serves).map(|past| past.number).collect::<Vec<_>>()
        };
        let primary = [("web".to_string(), "web:1".to_string())];
        assert_eq!(serving(Some("a"), &primary), [1]);
        assert_eq!(serving(Some("a-12ab"), &[]), [1]);
        assert_eq!(serving(Some("foreign"), &primary), [3], "the newest of those that are alike");
        assert_eq!(serving(None, &[]), [0_u64; 0]);
    }

    #[test]
    fn what_failed_is_known_from_the_history_and_from_the_status() {
        let at: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let rollout = |revision: &str, phase: &str| Rollout {
            revision: revision.into(),
            end: Some(End { phase: phase.into(), at }),
            ..Rollout::default()
        };
        let sets = [
            set("1", "a", template("web:1")),
            set("2", "b", template("web:2")),
            set("3", "c", template("web:3")),
            set("4", "d", template("web:4")),
        ];
        let history =
            History { rollouts: vec![rollout("b", "Succeeded"), rollout("a", "Succeeded"), rollout("b-77", "Failed")] };
        let status = Status { phase: Phase::Failed, last_applied: Some("c".into()), ..Status::default() };
        let target = target(template("web:4"));
        let found = past(&Remains { target: &target, sets: &sets, status: &status, history: &history, primary: &[] });
        let fates: Vec<Fate> = found.into_iter().map(|past| past.fate).collect();
        assert_eq!(fates, [Fate::Unknown, Fate::Failed(None), Fate::Failed(Some(at)), Fate::Promoted]);
    }

    #[test]
    fn an_image_holds_what_images_hold() {
        for good in ["1.0.0", "gcr.io/a/b:1", "a@sha256:00", "1.0.0+build"] {
            assert!(is_image(good), "{good}");
        }
        for bad in ["", "a b", "a;b", "a\u{1b}", "日本", &"a".repeat(513)] {
            assert!(!is_image(bad), "{bad}");
        }
    }
}
