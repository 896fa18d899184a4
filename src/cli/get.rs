//! `canary-tui get`: the canaries as a table, or as the API has them.

use super::args::{GetArgs, Output};
use super::exit::{Exit, tell};
use super::plain::escaped_json;
use super::session::Session;
use super::table::Table;
use crate::api::{Problem, Provider, duration};
use crate::cluster::lease::{self, LeaseRecord};
use crate::cluster::{CanaryRecord, Driver, RouteRecord, Source, WorkloadRecord};
use crate::rollout::steps;
use crate::tui::age::age;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::ApiResource;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// Prints what is asked for.
pub async fn run(args: GetArgs, out: &mut dyn Write) -> Result<Exit> {
    let session = Session::open(&args.cluster).await?;
    let objects = match &args.name {
        Some(name) => vec![session.canary(name).await?],
        None => session.list(&session.kinds.canary, &ListParams::default()).await?,
    };
    match args.output {
        Some(Output::Json) => {
            let text = serde_json::to_string_pretty(&as_asked(objects, &args.name)).context("printing JSON")?;
            writeln!(out, "{}", escaped_json(&text))?;
        }
        Some(Output::Yaml) => {
            let text = serde_saphyr::to_string(&as_asked(objects, &args.name)).context("printing YAML")?;
            write!(out, "{text}")?;
        }
        wide => {
            if objects.is_empty() {
                tell(&format!("there are no canaries in namespace {}", session.namespace()));
                return Ok(Exit::Done);
            }
            let canaries: Vec<CanaryRecord> = objects.iter().map(CanaryRecord::of).collect();
            let around = Around::of(&session).await;
            table(&canaries, &around, wide.is_some(), Utc::now()).print(out)?;
        }
    }
    Ok(Exit::Done)
}

/// One object by itself, several as a List; each as the API server sent it.
fn as_asked(mut objects: Vec<Value>, name: &Option<String>) -> Value {
    match (name, objects.pop()) {
        (Some(_), Some(object)) => object,
        (_, last) => {
            objects.extend(last);
            json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects})
        }
    }
}

/// What stands around the canaries. What may not be read is missing, and the table says `-`.
#[derive(Default)]
struct Around {
    workloads: BTreeMap<String, WorkloadRecord>,
    /// By provider and name.
    routes: BTreeMap<(Provider, String), RouteRecord>,
    lease: Option<LeaseRecord>,
}

impl Around {
    async fn of(session: &Session) -> Self {
        let all = ListParams::default();
        let routes = async {
            let mut found = BTreeMap::new();
            for provider in Provider::all() {
                let Some(kind) = session.kinds.of(Source::Routes(provider)) else { continue };
                let objects = session.list(kind, &all).await.unwrap_or_default();
                let records = objects.iter().map(RouteRecord::of);
                found.extend(records.map(|record| ((provider, record.name.clone()), record)));
            }
            found
        };
        let leases = ApiResource::erase::<Lease>(&());
        let api = session.api(&leases);
        let (workloads, routes, lease) = futures::join!(
            session.list(&session.kinds.deployment, &all),
            routes,
            super::session::within(api.get_opt(lease::NAME))
        );
        let workloads = workloads.unwrap_or_default();
        Self {
            workloads: workloads.iter().map(WorkloadRecord::of).map(|w| (w.name.clone(), w)).collect(),
            routes,
            lease: match lease {
                Ok(Ok(Some(object))) => Some(LeaseRecord::of(&object.value, None, Utc::now())),
                _ => None,
            },
        }
    }

    fn driver(&self, now: DateTime<Utc>) -> String {
        match self.lease.as_ref().map_or(Driver::Nobody, |lease| lease.driver(now)) {
            Driver::Somebody(holder) => holder,
            Driver::Expired(holder) => format!("nobody (was {holder})"),
            Driver::Nobody => "nobody".into(),
        }
    }
}

fn table(canaries: &[CanaryRecord], around: &Around, wide: bool, now: DateTime<Utc>) -> Table {
    let narrow = ["NAME", "PHASE", "WEIGHT", "FAILED", "PRIMARY", "CANARY", "AGE"];
    let more = ["INTERVAL", "STEPS", "TARGET", "DRIVER", "PROBLEM"];
    let headings = if wide { [&narrow[..], &more].concat() } else { narrow.to_vec() };
    let mut table = Table::new(&headings);
    for canary in canaries {
        let mut cells = row(canary, around, now);
        if wide {
            cells.extend(details(canary, around, now));
        }
        table.row(cells);
    }
    table
}

fn row(canary: &CanaryRecord, around: &Around, now: DateTime<Utc>) -> Vec<String> {
    let status = &canary.status;
    let spec = canary.spec.as_deref().ok();
    let version = |name: &str| {
        let version = around.workloads.get(name).map(WorkloadRecord::version).unwrap_or("");
        if version.is_empty() { "-".to_string() } else { version.to_string() }
    };
    // The routes have the truth; the status is what was written last.
    let live = spec.and_then(|spec| {
        let routes = around.routes.get(&(spec.provider, spec.provider.routes_name(spec)))?;
        routes.live(spec).weights
    });
    let weight = live.map_or(status.canary_weight, |weights| weights.canary);
    let failed = match spec {
        Some(spec) => format!("{}/{}", status.failed_checks, spec.analysis.threshold),
        None => status.failed_checks.to_string(),
    };
    let phase = match status.phase.name() {
        "" => "-",
        name => name,
    };
    vec![
        canary.name.clone(),
        if canary.paused.is_some() { format!("{phase} (paused)") } else { phase.to_string() },
        format!("{weight}%"),
        failed,
        spec.map_or("-".into(), |spec| version(&spec.primary())),
        spec.map_or("-".into(), |spec| version(&spec.target)),
        age(canary.created, now),
    ]
}

fn details(canary: &CanaryRecord, around: &Around, now: DateTime<Utc>) -> Vec<String> {
    let driver = around.driver(now);
    match &canary.spec {
        Ok(spec) => {
            let missing = !around.workloads.is_empty() && !around.workloads.contains_key(&spec.target);
            vec![
                duration::go(spec.analysis.interval),
                steps(&spec.analysis).iter().map(u8::to_string).collect::<Vec<_>>().join(","),
                format!("Deployment/{}", spec.target),
                driver,
                if missing { format!("there is no Deployment {}", spec.target) } else { String::new() },
            ]
        }
        Err(problems) => {
            let said = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
            vec!["-".into(), "-".into(), "-".into(), driver, format!("not driven: {said}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(name: &str, spec: Value) -> CanaryRecord {
        CanaryRecord::of(&json!({
            "metadata": {"name": name, "namespace": "prod", "creationTimestamp": "2026-11-22T10:00:00Z"},
            "spec": spec,
            "status": {"phase": "Progressing", "canaryWeight": 20, "failedChecks": 1},
        }))
    }

    fn spec() -> Value {
        json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "service": {"port": 80},
            "analysis": {"interval": "1m30s", "threshold": 5, "stepWeight": 20, "maxWeight": 50}})
    }

    fn printed(wide: bool) -> String {
        let deployment = |name: &str, tag: &str| {
            let object = json!({"metadata": {"name": name}, "spec": {"template": {"spec": {"containers":
                [{"name": "web", "image": format!("web:{tag}")}]}}}});
            (name.to_string(), WorkloadRecord::of(&object))
        };
        let route = RouteRecord::of(&json!({"metadata": {"name": "web"}, "spec": {"http": [{"route": [
            {"destination": {"host": "web-primary"}, "weight": 60}, {"destination": {"host": "web-canary"}, "weight": 40}]}]}}));
        let around = Around {
            workloads: [deployment("web", "1.1.0"), deployment("web-primary", "1.0.0")].into(),
            routes: [((Provider::default(), "web".to_string()), route)].into(),
            lease: None,
        };
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:05:00Z").unwrap().with_timezone(&Utc);
        let canaries = [canary("web", spec()), canary("bad\u{1b}[2J", json!({}))];
        let mut out = Vec::new();
        table(&canaries, &around, wide, now).print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_shows_live_weights_and_both_versions() {
        let text = printed(false);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["web", "Progressing", "40%", "1/5", "1.0.0", "1.1.0", "5m"]);
        assert_eq!(lines[2], ["bad\\u{1b}[2J", "Progressing", "20%", "1", "-", "-", "5m"]);
    }

    #[test]
    fn wide_says_what_keeps_a_canary_from_being_driven() {
        let text = printed(true);
        assert!(text.lines().nth(1).unwrap().contains("1m30s      20,40,60   Deployment/web   nobody"), "{text}");
        assert!(text.lines().nth(2).unwrap().contains("not driven: spec.targetRef.kind is missing"), "{text}");
    }

    #[test]
    fn nothing_in_an_object_reaches_the_terminal_as_a_command() {
        let hostile = "x\u{1b}[2J\u{9b}1m\u{7f}\r";
        let text = serde_saphyr::to_string(&json!({ hostile: hostile })).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), json!({ hostile: hostile }));
    }

    #[test]
    fn one_object_stands_alone_and_several_are_a_list() {
        let object = json!({"kind": "Canary"});
        assert_eq!(as_asked(vec![object.clone()], &Some("x".into())), object);
        assert_eq!(as_asked(vec![object.clone()], &None)["items"], json!([object]));
        assert_eq!(as_asked(vec![], &None)["items"], json!([]));
    }
}
