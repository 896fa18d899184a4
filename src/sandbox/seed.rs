//! What a new sandbox holds beyond the cluster's base: Istio's gateway, and apps with a Canary each, Initialized, on
//! version 1.0.0, as they would stand some while after their first deployment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::serve::PROMETHEUS;
use super::store::{Clock, Store, timestamp};
use super::workloads::{Controllers, Pace};
use crate::api::shapes::{self, Owner, Role, Selector};
use crate::api::{GROUP, Revision, Spec, VERSIONS};
use crate::api::{annotation, services};
use crate::traffic::{OFFERED, of_tag};

/// The version that all apps run at first.
const FIRST_VERSION: &str = "1.0.0";

/// The names of the first apps; further ones are numbered.
const NAMES: [&str; 3] = ["myapp", "cart", "search"];

/// How long ago the youngest app was made. The others are a second older each, in their order.
const AGE: Duration = Duration::from_secs(600);

/// Which apps there are.
#[derive(Clone, Debug)]
pub struct Apps {
    /// How many.
    pub count: usize,
    /// Pods of each primary.
    pub replicas: u32,
    /// The Canaries' analysis interval.
    pub interval: Duration,
    /// Their namespace, which must be there.
    pub namespace: String,
}

impl Default for Apps {
    fn default() -> Self {
        Self { count: 3, replicas: 3, interval: Duration::from_secs(10), namespace: "jx-production".to_owned() }
    }
}

/// A clock that can be set back while the past is being made up.
#[derive(Clone)]
pub struct Past {
    clock: Clock,
    behind_ms: Arc<AtomicI64>,
}

impl Past {
    /// Behind a clock by nothing so far.
    pub fn before(clock: Clock) -> Self {
        Self { clock, behind_ms: Arc::default() }
    }

    /// The clock to give to the store.
    pub fn clock(&self) -> Clock {
        let Self { clock, behind_ms } = self.clone();
        Arc::new(move || clock() - TimeDelta::milliseconds(behind_ms.load(Ordering::Relaxed)))
    }

    fn set_behind(&self, behind: Duration) {
        self.behind_ms.store(i64::try_from(behind.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Puts the gateway and the apps into a store that has its base, as if they had been there for a while. The store
/// must go by this clock.
///
/// # Errors
/// When the store refuses an object; the message says which.
pub fn plant(store: &Store, past: &Past, apps: &Apps) -> anyhow::Result<()> {
    past.set_behind(AGE * 2 + Duration::from_secs(apps.count as u64));
    let planted = gateway(store).and_then(|()| {
        let at_once = Pace { ready_after: Duration::ZERO, gone_after: Duration::ZERO };
        let mut controllers = Controllers::new(store, at_once);
        for place in 0..apps.count {
            past.set_behind(AGE + Duration::from_secs((apps.count - place) as u64));
            app(store, &mut controllers, apps, place)?;
        }
        Ok(())
    });
    past.set_behind(Duration::ZERO);
    planted
}

/// The name of the app at a place, without its namespace.
fn short_name(place: usize) -> String {
    NAMES.get(place).map_or_else(|| format!("app-{:04}", place + 1), |name| (*name).to_owned())
}

fn gateway(store: &Store) -> anyhow::Result<()> {
    let (namespace, ..) = PROMETHEUS;
    let service = json!({
        "metadata": { "name": "istio-ingressgateway", "labels": { "app": "istio-ingressgateway", "istio": "ingressgateway" } },
        "spec": {
            "type": "LoadBalancer",
            "selector": { "app": "istio-ingressgateway", "istio": "ingressgateway" },
            "ports": [{ "name": "http2", "port": 80, "targetPort": 8080 }],
        },
        "status": { "loadBalancer": { "ingress": [{ "ip": "203.0.113.10" }] } },
    });
    create(store, "Service", namespace, service)?;
    let gateway = json!({
        "metadata": { "name": "jx-gateway" },
        "spec": {
            "selector": { "istio": "ingressgateway" },
            "servers": [{ "port": { "number": 80, "name": "http", "protocol": "HTTP" }, "hosts": ["*"] }],
        },
    });
    create(store, "Gateway", namespace, gateway)?;
    Ok(())
}

/// One app, from its first deployment to Initialized.
fn app(store: &Store, controllers: &mut Controllers, apps: &Apps, place: usize) -> anyhow::Result<()> {
    let namespace = apps.namespace.as_str();
    let short = short_name(place);
    let name = format!("{namespace}-{short}");
    let mut run = || controllers.step(store.now());

    create(store, "Deployment", namespace, target(&name))?;
    run();
    let target = store.get("Deployment", Some(namespace), &name).context("the target has just been created")?;
    let revision = revision(store, &target).with_context(|| format!("deployment {name} got no ReplicaSet"))?;
    let canary = create(store, "Canary", namespace, canary(apps, &name, &short))?;
    let owner = Owner {
        namespace: namespace.to_owned(),
        name: name.clone(),
        uid: canary["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
    };
    let spec = Spec::read(&canary["spec"]).map_err(|problems| anyhow!("canary {name}: {problems:?}"))?;
    let selector = Selector::of(&target).map_err(|problem| anyhow!(problem))?;
    let primary = shapes::primary(&owner, &spec, &target, apps.replicas, &Revision::plain(revision.as_str()))
        .map_err(|problem| anyhow!(problem))?;
    create(store, "Deployment", namespace, primary)?;
    let ports = services::ContainerPort::of(&target["spec"]["template"]);
    for role in [Role::Apex, Role::Primary, Role::Canary] {
        create(store, "Service", namespace, services::service(&owner, &spec.service, &selector, &ports, role))?;
    }
    let provider = spec.provider;
    for role in [Role::Primary, Role::Canary] {
        if let Some((kind, rule)) = provider.rules_kind().zip(provider.rule(&owner, &spec, role)) {
            create(store, kind.kind, namespace, rule)?;
        }
    }
    let routes = provider.routes(&owner, &spec, &Default::default());
    create(store, provider.routes_kind().kind, namespace, routes)?;
    run();

    let now = timestamp(store.now());
    store
        .modify_status("Canary", Some(namespace), &name, |canary| canary["status"] = initialized(&revision, &now))
        .map_err(|error| anyhow!("the status of canary {name}: {error}"))?;
    create(store, "Event", namespace, event(&canary, &now))?;
    Ok(())
}

fn create(store: &Store, kind: &str, namespace: &str, object: Value) -> anyhow::Result<Arc<Value>> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    store.create(kind, Some(namespace), object).map_err(|error| anyhow!("{kind} {name} in {namespace}: {error}"))
}

/// The `pod-template-hash` of the ReplicaSet that has the Deployment's present template.
fn revision(store: &Store, deployment: &Value) -> Option<String> {
    let key = "deployment.kubernetes.io/revision";
    let present = &deployment["metadata"]["annotations"][key];
    let sets = store.owned_by("ReplicaSet", deployment["metadata"]["uid"].as_str()?);
    let set = sets.iter().find(|set| set["metadata"]["annotations"][key] == *present)?;
    set["metadata"]["labels"]["pod-template-hash"].as_str().map(str::to_owned)
}

/// The Deployment that the app's owners write. Outside a rollout it stands at zero.
fn target(name: &str) -> Value {
    let versions: Vec<Value> = OFFERED.iter().map(|tag| json!({ "tag": tag, "note": of_tag(tag).summary })).collect();
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "labels": { "app": name },
            "annotations": { annotation::VERSIONS: json!(versions).to_string() },
        },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name }, "annotations": { "prometheus.io/scrape": "true" } },
                "spec": {
                    "containers": [{
                        "name": "app",
                        "image": format!("gcr.io/jx/{name}:{FIRST_VERSION}"),
                        "ports": [{ "name": "http", "containerPort": 8080 }],
                        "readinessProbe": { "httpGet": { "path": "/", "port": "http" } },
                        "resources": {
                            "requests": { "cpu": "100m", "memory": "256Mi" },
                            "limits": { "memory": "2Gi" },
                        },
                    }],
                },
            },
        },
    })
}

fn canary(apps: &Apps, name: &str, short: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{}", VERSIONS[0]),
        "kind": "Canary",
        "metadata": { "name": name },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "progressDeadlineSeconds": 60,
            "service": {
                "port": 8080,
                "gateways": ["jx-gateway.istio-system.svc.cluster.local"],
                "hosts": [format!("{short}.example.com")],
            },
            "analysis": {
                "interval": in_words(apps.interval),
                "threshold": 5,
                "maxWeight": 50,
                "stepWeight": 10,
                "metrics": [
                    { "name": "request-success-rate", "interval": "30s", "thresholdRange": { "min": 99 } },
                    { "name": "request-duration", "interval": "30s", "thresholdRange": { "max": 500 } },
                ],
            },
        },
    })
}

/// A duration as a Canary has it.
fn in_words(duration: Duration) -> String {
    match duration.as_millis() {
        whole if whole % 1000 == 0 => format!("{}s", whole / 1000),
        milliseconds => format!("{milliseconds}ms"),
    }
}

fn initialized(revision: &str, now: &str) -> Value {
    json!({
        "phase": "Initialized",
        "canaryWeight": 0,
        "failedChecks": 0,
        "iterations": 0,
        "lastAppliedSpec": revision,
        "lastPromotedSpec": revision,
        "lastTransitionTime": now,
        "conditions": [{
            "type": "Promoted",
            "status": "True",
            "reason": "Initialized",
            "message": "Deployment initialization completed.",
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }],
    })
}

fn event(canary: &Value, now: &str) -> Value {
    let metadata = &canary["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    let (name, namespace, uid) = (text("name"), text("namespace"), text("uid"));
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": format!("{name}.{}", uid.replace('-', "")) },
        "involvedObject": {
            "apiVersion": canary["apiVersion"],
            "kind": "Canary",
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": "Synced",
        "message": format!("Initialization done! {name}.{namespace}"),
        "type": "Normal",
        "source": { "component": "canary-tui" },
        "reportingComponent": "canary-tui",
        "reportingInstance": "",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "eventTime": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::base::furnish;
    use chrono::{DateTime, Utc};

    fn planted(count: usize) -> (Store, DateTime<Utc>) {
        let noon = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap();
        let past = Past::before(Arc::new(move || noon));
        let store = Store::new(past.clock());
        furnish(&store, "jx-production").unwrap();
        plant(&store, &past, &Apps { count, ..Apps::default() }).unwrap();
        (store, noon)
    }

    #[test]
    fn every_app_is_initialized_and_serves() {
        let (store, noon) = planted(4);
        assert_eq!(store.now(), noon);
        let (mut canaries, _) = store.list("Canary", None);
        canaries.sort_by_key(|canary| canary["metadata"]["creationTimestamp"].as_str().unwrap().to_owned());
        let names: Vec<&str> = canaries.iter().filter_map(|canary| canary["metadata"]["name"].as_str()).collect();
        let wanted = ["jx-production-myapp", "jx-production-cart", "jx-production-search", "jx-production-app-0004"];
        assert_eq!(names, wanted);
        for canary in &canaries {
            let name = canary["metadata"]["name"].as_str().unwrap();
            let get = |kind: &str, name: &str| {
                store.get(kind, Some("jx-production"), name).unwrap_or_else(|| panic!("{kind} {name}"))
            };
            assert_eq!(canary["status"]["phase"], "Initialized");
            let target = get("Deployment", name);
            assert_eq!(target["spec"]["replicas"], 0);
            let hash = revision(&store, &target).unwrap();
            assert_eq!(canary["status"]["lastAppliedSpec"], hash);
            assert_eq!(canary["status"]["lastPromotedSpec"], hash);
            let primary = get("Deployment", &format!("{name}-primary"));
            assert_eq!(primary["status"]["readyReplicas"], 3);
            assert_eq!(primary["status"]["observedGeneration"], primary["metadata"]["generation"]);
            for service in [name.to_owned(), format!("{name}-primary"), format!("{name}-canary")] {
                get("Service", &service);
            }
            get("DestinationRule", &format!("{name}-canary"));
            let route = &get("VirtualService", name)["spec"]["http"][0]["route"];
            assert_eq!((&route[0]["weight"], &route[1]["weight"]), (&json!(100), &json!(0)));
        }
        assert_eq!(store.list("Pod", None).0.len(), 12);
        let (events, _) = store.list("Event", None);
        assert_eq!(events.len(), 4);
        let offered = &store.get("Deployment", Some("jx-production"), "jx-production-myapp").unwrap()["metadata"];
        let offered: Value =
            serde_json::from_str(offered["annotations"][annotation::VERSIONS].as_str().unwrap()).unwrap();
        assert_eq!(offered[0], json!({ "tag": "1.1.0", "note": "good" }));
    }

    #[test]
    fn the_controllers_find_nothing_left_to_do() {
        let (store, noon) = planted(3);
        let before = store.revision();
        let mut controllers = Controllers::new(&store, Pace::default());
        assert_eq!(controllers.step(noon), None);
        assert_eq!(store.revision(), before);
    }

    #[test]
    fn intervals_are_written_as_durations() {
        assert_eq!(in_words(Duration::from_secs(10)), "10s");
        assert_eq!(in_words(Duration::from_millis(1500)), "1500ms");
    }
}
