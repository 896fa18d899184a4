use super::*;
use crate::api::Spec;

fn spec(service: Value) -> Spec {
    Spec::read(&json!({
        "targetRef": {"kind": "Deployment", "name": "app"},
        "service": service,
        "analysis": {"interval": "10s", "threshold": 1, "stepWeight": 10},
    }))
    .unwrap()
}

fn selector() -> Selector {
    Selector { label: "app".into(), value: "web".into() }
}

fn owner() -> Owner {
    Owner { namespace: "test".into(), name: "app".into(), uid: "u-1".into() }
}

fn made(fields: Value, containers: &[ContainerPort], role: Role) -> Value {
    service(&owner(), &spec(fields).service, &selector(), containers, role)
}

fn template() -> Value {
    json!({"spec": {"containers": [
        {"name": "web", "ports": [
            {"name": "http", "containerPort": 8080}, {"containerPort": 9999}, {"name": "grpc", "containerPort": 9000}]},
        {"name": "istio-proxy", "ports": [{"containerPort": 15090}]},
        {"name": "envoy", "ports": [{"containerPort": 9901}]},
        {"name": "odd", "ports": [{"containerPort": 0}, {"containerPort": 99_999}, {"containerPort": "x"}, 5]},
    ]}})
}

fn numbers(service: &Value) -> Vec<(String, u64)> {
    let ports = service["spec"]["ports"].as_array().unwrap();
    ports.iter().map(|p| (p["name"].as_str().unwrap().to_string(), p["port"].as_u64().unwrap())).collect()
}

#[test]
fn the_canarys_service_selects_the_target_and_the_others_the_primary() {
    let selected = |role| made(json!({"port": 80}), &[], role)["spec"]["selector"]["app"].clone();
    assert_eq!(selected(Role::Apex), "web-primary");
    assert_eq!(selected(Role::Primary), "web-primary");
    assert_eq!(selected(Role::Canary), "web");
}

#[test]
fn the_main_port_bears_name_target_and_protocol() {
    let plain = made(json!({"port": 80}), &[], Role::Apex);
    assert_eq!(plain["spec"]["type"], "ClusterIP");
    assert_eq!(plain["spec"]["ports"], json!([{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]));
    let full = json!({"port": 80, "portName": "web", "targetPort": "named", "appProtocol": "grpc"});
    assert_eq!(
        made(full, &[], Role::Apex)["spec"]["ports"],
        json!([{"name": "web", "port": 80, "targetPort": "named", "protocol": "TCP", "appProtocol": "grpc"}])
    );
}

#[test]
fn a_headless_service_and_its_distribution_are_made_so() {
    let made = made(json!({"port": 80, "headless": true, "trafficDistribution": "PreferClose"}), &[], Role::Canary);
    assert_eq!(made["spec"]["clusterIP"], "None");
    assert_eq!(made["spec"]["trafficDistribution"], "PreferClose");
}

#[test]
fn discovery_adds_the_containers_other_ports_without_the_sidecars() {
    let found = ContainerPort::of(&template());
    assert_eq!(found.len(), 3);
    let of = |fields: Value| numbers(&made(fields, &found, Role::Apex));
    let name = |name: &str, port: u64| (name.to_string(), port);
    let rest = [name("tcp-web-1", 9999), name("grpc", 9000)];
    assert_eq!(of(json!({"port": 8080, "portDiscovery": true})), [&[name("http", 8080)][..], &rest].concat());
    assert_eq!(
        of(json!({"port": 80, "targetPort": 8080, "portDiscovery": true})),
        [&[name("http", 80)][..], &rest].concat()
    );
    let by_name = json!({"port": 80, "targetPort": "http", "portDiscovery": true});
    assert_eq!(of(by_name), [&[name("http", 80)][..], &rest].concat());
    assert_eq!(of(json!({"port": 8080})), [name("http", 8080)]);
    assert!(ContainerPort::of(&json!({"spec": {"containers": "x"}})).is_empty());
}

#[test]
fn discovery_gives_no_number_and_no_name_twice() {
    let port = |container: &str, index, name: Option<&str>, port| ContainerPort {
        container: container.into(),
        index,
        name: name.map(str::to_string),
        port,
    };
    let long = "c".repeat(80);
    let found = [
        port("dns", 0, Some("dns"), 53),
        port("dns", 1, Some("dns-tcp"), 53),
        port("other", 0, Some("http"), 7000),
        port("other", 1, None, 80),
        port(&long, 0, None, 7001),
    ];
    let made = numbers(&made(json!({"port": 80, "targetPort": 8080, "portDiscovery": true}), &found, Role::Apex));
    let long = format!("tcp-{}-0", "c".repeat(57));
    assert_eq!(made, [("http".into(), 80), ("dns".into(), 53), ("tcp-other-0".into(), 7000), (long, 7001)]);
    assert!(made.iter().all(|(name, _)| name.len() <= 63));
}

#[test]
fn each_service_bears_its_own_labels_its_name_and_flux_keeps_away() {
    let fields = json!({"port": 80,
        "apex": {"labels": {"team": "a", "app": "no"}, "annotations": {"note": "b"}},
        "canary": {"labels": {"team": "c"}}});
    let apex = made(fields.clone(), &[], Role::Apex);
    assert_eq!(apex["metadata"]["labels"], json!({"team": "a", "app": "app"}));
    assert_eq!(
        apex["metadata"]["annotations"],
        json!({"note": "b", "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
            "helm.toolkit.fluxcd.io/driftDetection": "disabled"})
    );
    assert_eq!(
        made(fields.clone(), &[], Role::Canary)["metadata"]["labels"],
        json!({"team": "c", "app": "app-canary"})
    );
    assert_eq!(made(fields, &[], Role::Primary)["metadata"]["labels"], json!({"app": "app-primary"}));
}

#[test]
fn ports_are_held_against_each_other_by_number_whatever_their_order() {
    let desired = made(json!({"port": 80, "portDiscovery": true}), &ContainerPort::of(&template()), Role::Apex);
    let mut live = desired["spec"].clone();
    live["ports"].as_array_mut().unwrap().reverse();
    live["ports"][0]["nodePort"] = json!(30_001);
    live["clusterIP"] = json!("10.0.0.1");
    live["type"] = json!("LoadBalancer");
    assert!(same(&live, &desired["spec"]));
    live["ports"][0]["targetPort"] = json!(1);
    assert!(!same(&live, &desired["spec"]));
    let mut live = desired["spec"].clone();
    live["selector"]["app"] = json!("web");
    assert!(!same(&live, &desired["spec"]));
    for odd in [json!(null), json!({"ports": 3}), json!({"ports": [null, "x"], "selector": []})] {
        assert!(!same(&odd, &desired["spec"]));
    }
}

#[test]
fn node_ports_are_carried_over_by_name() {
    let ports = with_node_ports(
        &json!([{"name": "http", "port": 80}, {"name": "grpc", "port": 9000}]),
        &json!([{"name": "http", "port": 8080, "nodePort": 30_001}]),
    );
    assert_eq!(ports, json!([{"name": "http", "port": 80, "nodePort": 30_001}, {"name": "grpc", "port": 9000}]));
}

fn live(annotations: Value) -> Value {
    json!({
        "metadata": {"annotations": annotations, "ownerReferences": [
            {"uid": "other", "kind": "X"}, {"uid": "u-1", "kind": "Canary", "controller": true}]},
        "spec": {"selector": {"app": "web-primary"}, "ports": [{"name": "http", "port": 80, "nodePort": 30_001}]},
    })
}

#[test]
fn the_way_back_selects_the_target_and_outlives_the_canary() {
    let patch = handed_back(&live(json!({})), "u-1", &selector()).unwrap();
    assert_eq!(patch["spec"], json!({"selector": {"app": "web"}}));
    assert_eq!(patch["metadata"]["ownerReferences"], json!([{"uid": "other", "kind": "X"}]));
    let mut after = live(json!({}));
    after["spec"]["selector"] = patch["spec"]["selector"].clone();
    after["metadata"]["ownerReferences"] = patch["metadata"]["ownerReferences"].clone();
    assert_eq!(handed_back(&after, "u-1", &selector()), None, "what was handed back stays as it is");
}

#[test]
fn the_way_back_goes_to_what_was_kept_or_applied() {
    let kept = json!({"selector": {"role": "web"}, "ports": [{"name": "http", "port": 8080}]}).to_string();
    let patch = handed_back(&live(json!({annotation::ORIGINAL: kept})), "u-1", &selector()).unwrap();
    let ports = json!([{"name": "http", "port": 8080, "nodePort": 30_001}]);
    assert_eq!(patch["spec"], json!({"selector": {"app": null, "role": "web"}, "ports": ports}));
    assert_eq!(patch["metadata"]["annotations"], json!({annotation::ORIGINAL: null}));
    let applied = json!({"spec": {"selector": {"app": "web", "tier": "x"}}}).to_string();
    let patch = handed_back(&live(json!({annotation::APPLIED: applied})), "u-1", &selector()).unwrap();
    assert_eq!(patch["spec"], json!({"selector": {"app": "web", "tier": "x"}}));
    // One that led to the primary was never the original: its pods go with the Canary.
    let ours = json!({"spec": {"selector": {"app": "web-primary"}}}).to_string();
    let patch = handed_back(&live(json!({annotation::APPLIED: ours})), "u-1", &selector()).unwrap();
    assert_eq!(patch["spec"], json!({"selector": {"app": "web"}}));
}

#[test]
fn what_another_controls_is_not_handed_back() {
    let mut theirs = live(json!({}));
    theirs["metadata"]["ownerReferences"][0]["controller"] = json!(true);
    assert_eq!(handed_back(&theirs, "u-1", &selector()), None);
    assert_eq!(handed_back(&json!(null), "u-1", &selector()), None);
}
