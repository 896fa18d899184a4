//! Scenes of what is read about one canary: the answers of a cluster that is not there.

use super::{press, time};
use crate::api::history::{Checked, End, History, Rollout, Said};
use crate::api::routes::{Destination, Live, Rule, Way, Weights};
use crate::api::shapes::differences;
use crate::api::{CheckKind, Strategy};
use crate::cluster::entrances::{Address, Entrance, Gateway};
use crate::cluster::pod_watch::PodRecord;
use crate::rollout::Reading;
use crate::tui::message::{Command, Msg};
use crate::tui::model::Model;
use crate::tui::reading::{Answer, Asked, Causes, Changes, ConfigChange, Served, Staff};
use crate::tui::update::update;
use serde_json::json;
use std::time::Duration;

/// Presses the key of a view and gives it this answer.
pub fn answered(model: &mut Model, key: &str, answer: Result<Answer, String>) {
    let asked = press(model, key).into_iter().find_map(|command| match command {
        Command::Read(ask) => ask,
        _ => None,
    });
    if let Some(ask) = asked {
        update(model, Msg::Answer { ask, answer });
    }
}

fn query(tail: &str) -> Result<(String, String), String> {
    let query = format!(
        "sum( rate( istio_requests_total{{ reporter=\"destination\", destination_workload_namespace=\"jx-production\", \
         destination_workload=~\"jx-production-myapp\"{tail} }}[60s] ) )"
    );
    Ok((query, "istio-system/prometheus:9090".into()))
}

/// A canary whose checks fail, and of whose pods one does not start.
pub fn causes() -> Answer {
    let check = |name: &str, kind, min, max, reading, passes| Asked {
        name: name.into(),
        kind,
        min,
        max,
        question: query(", response_code!~\"5.*\""),
        reading: Some(reading),
        passes,
    };
    let pod = |name: &str, ready, reasons: &[&str]| PodRecord {
        name: format!("jx-production-myapp-{name}"),
        owner: None,
        created: Some(time("12:02:31")),
        ready,
        restarts: 2,
        reasons: reasons.iter().map(|reason| reason.to_string()).collect(),
    };
    let waits = "app waits: ImagePullBackOff: Back-off pulling image \"gcr.io/jx/myapp:1.2.0\"";
    Answer::Why(Box::new(Causes {
        checks: vec![
            check("request-success-rate", CheckKind::SuccessRate, Some(99.0), None, Reading::Value(80.02), false),
            check("request-duration", CheckKind::Duration, None, Some(500.0), Reading::Value(118.0), true),
            check("orders per second", CheckKind::Custom, Some(20.0), Some(400.0), Reading::NoValues, false),
        ],
        deadline: Duration::from_secs(600),
        sides: vec![
            Staff {
                workload: "jx-production-myapp".into(),
                pods: Some(Ok(vec![
                    pod("abc12", false, &[waits]),
                    pod("def34", true, &["app was started again: OOMKilled (exit code 137)"]),
                ])),
                missing: Some((time("12:02:31"), time("12:12:31"))),
            },
            Staff { workload: "jx-production-myapp-primary".into(), pods: Some(Ok(Vec::new())), missing: None },
        ],
        history: Ok(history()),
    }))
}

/// A rollout that was promoted, and one under way whose checks fail.
fn history() -> History {
    let check = |at: &str, name: &str, value, min, max, passed| Checked {
        at: time(at),
        weight: 10,
        name: name.into(),
        value: Some(value),
        min,
        max,
        passed,
    };
    let checks =
        ["12:02:31", "12:03:31", "12:04:31"].into_iter().zip([99.4, 80.57, 79.11]).flat_map(|(at, success)| {
            [
                check(at, "request-success-rate", success, Some(99.0), None, success >= 99.0),
                check(at, "request-duration", 118.0, None, Some(500.0), true),
            ]
        });
    let said = |at: &str, warning, text: &str| Said { at: time(at), warning, text: text.into() };
    let name = "jx-production-myapp.jx-production";
    let promoted = Rollout {
        revision: "7c9d8f6b5a".into(),
        images: [("app".to_string(), "gcr.io/jx/myapp:1.0.0".to_string())].into(),
        began: time("09:00:00"),
        end: Some(End { phase: "Succeeded".into(), at: time("09:07:30") }),
        ..Rollout::default()
    };
    let under_way = Rollout {
        revision: "5d8f7c9b64".into(),
        images: [("app".to_string(), "gcr.io/jx/myapp:1.2.0".to_string())].into(),
        began: time("12:01:30"),
        end: None,
        said: vec![
            said("12:02:31", false, &format!("Advance {name} canary weight 10")),
            said("12:03:31", true, &format!("Halt {name} advancement success rate 80.57% < 99%")),
            said("12:04:31", true, &format!("Halt {name} advancement success rate 79.11% < 99%")),
        ],
        checks: checks.collect(),
    };
    History { rollouts: vec![promoted, under_way] }
}

/// Routes that send 30 % to the canary.
pub fn served() -> Answer {
    let host = |host: &str, weight| Destination { host: host.into(), weight };
    let rule = Rule {
        to: vec![host("jx-production-myapp-primary", 70.0), host("jx-production-myapp-canary", 30.0)],
        ..Rule::default()
    };
    let group = Rule {
        conditions: vec![
            "header x-canary is insider".into(),
            "header cookie matches ^(.*?;)?(canary=always)(;.*)?$".into(),
        ],
        mirrors: vec![("jx-production-myapp-canary".into(), 10.0)],
        to: vec![host("jx-production-myapp-primary", 100.0)],
        ..Rule::default()
    };
    let gateway = Gateway {
        servers: vec!["80 HTTP for *".into(), "443 HTTPS for *.example.com, TLS SIMPLE".into()],
        selector: [("istio".to_string(), "ingressgateway".to_string())].into(),
        services: vec![Address {
            service: "istio-system/istio-ingressgateway".into(),
            kind: "LoadBalancer".into(),
            from_outside: vec!["203.0.113.10".into()],
            ports: vec!["80 (node port 30080)".into(), "443 (node port 30443)".into()],
        }],
        unseen: Vec::new(),
    };
    Answer::Routes(Box::new(Served {
        object: "VirtualService jx-production-myapp".into(),
        way: Ok(Way {
            hosts: vec!["myapp.example.com".into(), "jx-production-myapp".into()],
            gateways: vec!["istio-system/jx-gateway".into(), "mesh".into()],
            rules: vec![group, rule],
        }),
        live: Live { weights: Some(Weights { primary: 70, canary: 30 }), ..Live::default() },
        services: ["jx-production-myapp-primary".into(), "jx-production-myapp-canary".into()],
        strategy: Strategy::Canary,
        affinity: None,
        port: 8080,
        entrances: vec![Entrance { namespace: "istio-system".into(), name: "jx-gateway".into(), gateway: Ok(gateway) }],
    }))
}

/// A Canary as YAML.
pub fn described() -> Answer {
    let canary = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": "jx-production-myapp", "namespace": "jx-production", "generation": 3,
            "labels": {"team": "payments"}},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "jx-production-myapp"},
            "service": {"port": 8080, "hosts": ["myapp.example.com"]},
            "analysis": {"interval": "60s", "threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": [
                {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
                {"name": "orders per second", "interval": "1m", "thresholdRange": {"min": 20, "max": 400},
                    "query": "sum(rate(orders_total{namespace=\"jx-production\", app=\"jx-production-myapp\"}[1m]))"}]}},
        "status": {"phase": "Progressing", "canaryWeight": 30, "failedChecks": 0, "lastAppliedSpec": "5d8f7c9b64"},
    });
    let text = serde_saphyr::to_string(&canary).unwrap_or_default();
    Answer::Describe(text.lines().map(str::to_string).collect())
}

/// A revision with another image, other settings, and another ConfigMap.
pub fn changes() -> Answer {
    let template = |tag: &str, level: &str, memory: &str, path: &str| {
        json!({"metadata": {"labels": {"app": "myapp"}, "annotations": {"prometheus.io/scrape": "true"}},
            "spec": {"containers": [{"name": "app", "image": format!("gcr.io/jx/myapp:{tag}"),
                "env": [{"name": "LOG_LEVEL", "value": level}],
                "resources": {"limits": {"memory": memory}},
                "readinessProbe": {"httpGet": {"path": path, "port": "http"}}}]}})
    };
    let before = template("1.0.0", "info", "1Gi", "/");
    let mut after = template("1.1.0", "debug", "2Gi", "/ready");
    after["spec"]["containers"][0]["env"] =
        json!([{"name": "LOG_LEVEL", "value": "debug"}, {"name": "NEW_CHECKOUT", "value": "on"}]);
    after["spec"]["volumes"] = json!([{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}]);
    Answer::Diff(Box::new(Changes {
        workloads: ["jx-production-myapp-primary".into(), "jx-production-myapp".into()],
        template: differences(&before, &after),
        configs: vec![
            ConfigChange {
                key: "configmap/myapp-settings".into(),
                checksums: [Some("241889ca0604e333".into()), Some("74234e98afe7498f".into())],
                entries: Ok(differences(&json!({"color": "red"}), &json!({"color": "blue"}))),
            },
            ConfigChange {
                key: "secret/myapp-keys".into(),
                checksums: [Some("3930f0692c2295eb".into()), Some("44136fa355b3678a".into())],
                entries: Err("what a Secret holds is not looked at".into()),
            },
        ],
    }))
}
