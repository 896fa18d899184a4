use super::*;
use crate::api::routes::Weights;
use crate::api::status::Cookies;
use crate::api::{Provider, annotation};

fn spec_of(service: Value, analysis: Value) -> Spec {
    let mut spec = json!({
        "targetRef": {"kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {"interval": "30s", "threshold": 1, "stepWeight": 10},
    });
    for (key, more) in [("service", service), ("analysis", analysis)] {
        spec[key].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    Spec::read(&spec).unwrap()
}

fn owner() -> Owner {
    Owner { namespace: "test".into(), name: "app".into(), uid: "u-1".into() }
}

fn written(spec: &Spec, traffic: &Traffic) -> Value {
    Istio.routes(&owner(), spec, traffic)["spec"].clone()
}

fn weighted(canary: u8) -> Traffic {
    Traffic { canary, ..Traffic::default() }
}

fn to(primary: u8, canary: u8) -> Value {
    json!([
        {"destination": {"host": "app-primary"}, "weight": primary},
        {"destination": {"host": "app-canary"}, "weight": canary}])
}

fn only_primary() -> Value {
    json!([{"destination": {"host": "app-primary"}, "weight": 100}])
}

fn cookies(canary: Option<&str>, primary: Option<&str>, previous: Option<&str>) -> Cookies {
    let text = |cookie: Option<&str>| cookie.map(str::to_string);
    Cookies { canary: text(canary), primary: text(primary), previous: text(previous) }
}

#[test]
fn the_object_is_the_one_that_flagger_writes() {
    let spec = spec_of(json!({"hosts": ["app.example.com"], "gateways": ["gw"]}), json!({}));
    let object = Istio.routes(&owner(), &spec, &weighted(0));
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&json!("networking.istio.io/v1beta1"), &json!("VirtualService"))
    );
    assert_eq!(
        object["metadata"],
        json!({
            "name": "app", "namespace": "test",
            "annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled",
                "helm.toolkit.fluxcd.io/driftDetection": "disabled"},
            "ownerReferences": [{"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "app", "uid": "u-1",
                "controller": true, "blockOwnerDeletion": true}],
        })
    );
    assert_eq!(
        object["spec"],
        json!({"hosts": ["app.example.com", "app"], "gateways": ["gw"], "http": [{"route": to(100, 0)}]})
    );
}

#[test]
fn the_apex_is_a_host_unless_it_is_there_or_all_are_and_no_gateway_means_the_mesh() {
    for (hosts, expected) in
        [(json!([]), json!(["app"])), (json!(["app", "x"]), json!(["app", "x"])), (json!(["*"]), json!(["*"]))]
    {
        let spec = written(&spec_of(json!({"hosts": hosts}), json!({})), &weighted(0));
        assert_eq!((&spec["hosts"], &spec["gateways"]), (&expected, &json!(["mesh"])));
    }
}

#[test]
fn a_delegate_has_neither_hosts_nor_gateways() {
    let spec = written(&spec_of(json!({"delegation": true}), json!({})), &weighted(0));
    assert_eq!((&spec["hosts"], &spec["gateways"]), (&json!([]), &json!([])));
    let absent = json!({"http": [{"route": to(100, 0)}]});
    assert!(Istio.same(&absent, &spec), "an API server leaves empty lists out");
}

#[test]
fn every_http_route_bears_what_the_service_asks_for() {
    let service = json!({
        "match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/", "authority": "b", "type": "ReplaceFullPath"},
        "headers": {"request": {"add": {"x": "1"}}}, "retries": {"perTryTimeout": "1s"}, "timeout": "5s",
        "corsPolicy": {"allowOrigin": ["c"]}});
    let matched = json!({"match": [{"headers": {"x": {"exact": "y"}}}]});
    let spec = written(&spec_of(service, matched), &weighted(10));
    for route in spec["http"].as_array().unwrap() {
        assert_eq!(route["rewrite"], json!({"uri": "/", "authority": "b"}));
        assert_eq!(route["headers"], json!({"request": {"add": {"x": "1"}}}));
        assert_eq!(route["retries"], json!({"attempts": 0, "perTryTimeout": "1s"}));
        assert_eq!((&route["timeout"], &route["corsPolicy"]), (&json!("5s"), &json!({"allowOrigin": ["c"]})));
    }
    assert_eq!(spec["http"].as_array().unwrap().len(), 2);
}

#[test]
fn a_match_of_the_analysis_makes_two_routes_and_the_second_leads_to_the_primary() {
    let spec =
        spec_of(json!({}), json!({"match": [{"headers": {"x": {"exact": "y"}}}], "stepWeight": 0, "iterations": 3}));
    let routes = written(&spec, &weighted(100))["http"].clone();
    assert_eq!(routes[0], json!({"match": [{"headers": {"x": {"exact": "y"}}}], "route": to(0, 100)}));
    assert_eq!(routes[1], json!({"route": only_primary()}));
    // Without iterations the weight moves inside the group.
    let spec = spec_of(json!({}), json!({"match": [{"headers": {"x": {"exact": "y"}}}]}));
    let routes = written(&spec, &weighted(30))["http"].clone();
    assert_eq!((&routes[0]["route"], &routes[1]["route"]), (&to(70, 30), &only_primary()));
}

#[test]
fn a_stand_in_serves_everybody() {
    let spec =
        spec_of(json!({}), json!({"match": [{"headers": {"x": {"exact": "y"}}}], "stepWeight": 0, "iterations": 3}));
    let traffic = Traffic { everyone: true, ..weighted(100) };
    let routes = written(&spec, &traffic)["http"].clone();
    assert_eq!((&routes[0]["route"], &routes[1]), (&to(0, 100), &json!({"route": to(0, 100)})));
}

#[test]
fn matches_are_merged_each_with_each_and_query_parameters_are_kept() {
    let service = [
        json!({"uri": {"prefix": "/a"}, "headers": {"old": {"exact": "1"}}, "sourceLabels": {"a": "b"}}),
        json!({"uri": {"prefix": "/b"}, "queryParams": {"q": {"exact": "0"}}}),
    ];
    let analysis = [
        json!({"headers": {"x": {"exact": "y"}}}),
        json!({"queryParams": {"q": {"exact": "1"}}, "sourceLabels": {"c": "d"}}),
    ];
    assert_eq!(
        merged(&analysis, &service),
        [
            json!({"uri": {"prefix": "/a"}, "headers": {"x": {"exact": "y"}}, "sourceLabels": {"a": "b"}}),
            json!({"uri": {"prefix": "/b"}, "headers": {"x": {"exact": "y"}}, "queryParams": {"q": {"exact": "0"}}}),
            json!({"uri": {"prefix": "/a"}, "headers": {"old": {"exact": "1"}}, "queryParams": {"q": {"exact": "1"}},
                "sourceLabels": {"c": "d"}}),
            json!({"uri": {"prefix": "/b"}, "queryParams": {"q": {"exact": "1"}}, "sourceLabels": {"c": "d"}}),
        ]
    );
    assert_eq!(merged(&analysis, &[]), analysis);
    assert_eq!(merged(&[], &service), service);
}

#[test]
fn tcp_has_one_route_that_knows_ports_alone() {
    let service = json!({"appProtocol": "TCP", "match": [{"port": 5432, "uri": {"prefix": "/"}}], "timeout": "5s"});
    let spec = written(&spec_of(service, json!({})), &weighted(20));
    assert_eq!(spec["tcp"], json!([{"match": [{"port": 5432}], "route": to(80, 20)}]));
    assert_eq!(spec.get("http"), None);
    let spec = spec_of(json!({"appProtocol": "tcp"}), json!({}));
    assert_eq!(written(&spec, &weighted(0))["tcp"], json!([{"route": to(100, 0)}]));
    assert_eq!(Istio.live(&written(&spec, &weighted(20)), &spec).canary(), 20);
}

#[test]
fn the_port_is_named_for_those_who_come_from_elsewhere_to_one_of_several() {
    let numbered = |service: Value| {
        let mut fields = json!({"portDiscovery": true});
        fields.as_object_mut().unwrap().extend(service.as_object().unwrap().clone());
        let route = written(&spec_of(fields, json!({})), &weighted(0))["http"][0]["route"][0].clone();
        route["destination"]["port"]["number"].as_u64()
    };
    assert_eq!(numbered(json!({})), None);
    assert_eq!(numbered(json!({"gateways": ["mesh", "gw"]})), None);
    assert_eq!(numbered(json!({"gateways": ["gw", "mesh"]})), Some(80));
    assert_eq!(numbered(json!({"delegation": true})), Some(80));
    let alone = written(&spec_of(json!({"gateways": ["gw"]}), json!({})), &weighted(0));
    assert_eq!(alone["http"][0]["route"], to(100, 0));
}

#[test]
fn requests_are_copied_to_the_canary_all_or_a_share() {
    let mirrored = |analysis: Value| {
        let spec = spec_of(json!({}), analysis);
        let spec_written = written(&spec, &Traffic { mirrored: true, ..weighted(0) });
        assert!(Istio.live(&spec_written, &spec).mirrored);
        spec_written["http"][0].clone()
    };
    let all = mirrored(json!({"mirror": true}));
    assert_eq!(all, json!({"route": to(100, 0), "mirror": {"host": "app-canary"}}));
    let share = mirrored(json!({"mirror": true, "mirrorWeight": 20}));
    assert_eq!(share["mirrorPercentage"], json!({"value": 20}));
}

#[test]
fn the_routes_bear_the_apexs_metadata_without_the_services_label() {
    let spec = spec_of(json!({"apex": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}), json!({}));
    let metadata = Istio.routes(&owner(), &spec, &weighted(0))["metadata"].clone();
    assert_eq!((&metadata["labels"], &metadata["annotations"]["note"]), (&json!({"team": "a"}), &json!("b")));
}

#[test]
fn the_rules_bear_the_traffic_policy_and_nothing_else() {
    let policy = json!({"tls": {"mode": "ISTIO_MUTUAL"}});
    let spec = spec_of(json!({"trafficPolicy": policy, "apex": {"labels": {"team": "a"}}}), json!({}));
    let rule = Istio.rule(&owner(), &spec, Role::Canary).unwrap();
    assert_eq!(rule["spec"], json!({"host": "app-canary", "trafficPolicy": policy}));
    assert_eq!((rule["metadata"].get("labels"), rule["metadata"].get("annotations")), (None, None));
    let bare = Istio.rule(&owner(), &spec_of(json!({}), json!({})), Role::Primary).unwrap();
    assert_eq!(bare["spec"], json!({"host": "app-primary"}));
}

fn sticky(service: Value) -> Spec {
    spec_of(
        service,
        json!({"sessionAffinity": {"cookieName": "c", "primaryCookieName": "p", "maxAge": 60, "domain": "example.com",
            "httpOnly": true, "partitioned": true, "path": "/x", "sameSite": "Strict", "secure": true}}),
    )
}

const ATTRIBUTES: &str = "; Domain=example.com; HttpOnly; Partitioned; Path=/x; SameSite=Strict; Secure";

#[test]
fn with_a_weight_those_who_bear_a_cookie_stay_and_the_weighted_route_gives_it() {
    let traffic = Traffic { cookies: cookies(Some("c=abc"), Some("p=def"), None), ..weighted(30) };
    let routes = written(&sticky(json!({})), &traffic)["http"].clone();
    assert_eq!(routes[0], json!({"match": [{"headers": {"Cookie": {"regex": ".*c.*abc.*"}}}], "route": to(0, 100)}));
    assert_eq!(routes[1], json!({"match": [{"headers": {"Cookie": {"regex": ".*p.*def.*"}}}], "route": to(100, 0)}));
    let given = |at: usize| routes[2]["route"][at]["headers"]["response"]["add"]["Set-Cookie"].clone();
    assert_eq!(given(1), format!("c=abc; Max-Age=60{ATTRIBUTES}"));
    // The primary's is kept for one step only.
    assert_eq!(given(0), format!("p=def; Max-Age=30{ATTRIBUTES}"));
    assert_eq!(routes[2].get("match"), None);
    assert_eq!(routes.as_array().unwrap().len(), 3);
}

#[test]
fn cookies_are_asked_for_beside_the_services_match_and_by_those_of_the_group() {
    let traffic = Traffic { cookies: cookies(Some("c=abc"), None, None), ..weighted(30) };
    let routes = written(&sticky(json!({"match": [{"uri": {"prefix": "/a"}}]})), &traffic)["http"].clone();
    let cookie = json!({"regex": ".*c.*abc.*"});
    assert_eq!(routes[0]["match"], json!([{"uri": {"prefix": "/a"}, "headers": {"Cookie": cookie}}]));
    assert_eq!(routes[1]["match"], json!([{"uri": {"prefix": "/a"}}]));
    let spec = spec_of(
        json!({}),
        json!({"match": [{"headers": {"x": {"exact": "y"}}}], "sessionAffinity": {"cookieName": "c"}}),
    );
    let routes = written(&spec, &traffic)["http"].clone();
    assert_eq!(routes[0]["match"], json!([{"headers": {"x": {"exact": "y"}, "Cookie": cookie}}]));
    assert_eq!(
        (&routes[1]["match"], &routes[2]["route"]),
        (&json!([{"headers": {"x": {"exact": "y"}}}]), &only_primary())
    );
}

#[test]
fn without_a_weight_the_cookie_before_is_taken_back_and_the_services_headers_stay_their_own() {
    let spec = sticky(json!({"headers": {"response": {"add": {"x": "1"}}}}));
    let traffic = Traffic { cookies: cookies(None, None, Some("c=old")), ..weighted(0) };
    let routes = written(&spec, &traffic)["http"].clone();
    assert_eq!(routes[0]["match"], json!([{"headers": {"Cookie": {"regex": ".*c.*old.*"}}}]));
    assert_eq!(
        routes[0]["headers"]["response"]["add"],
        json!({"x": "1", "Set-Cookie": format!("c=old; Max-Age=-1{ATTRIBUTES}")})
    );
    assert_eq!(routes[0]["route"], to(100, 0));
    assert_eq!(routes[1], json!({"headers": {"response": {"add": {"x": "1"}}}, "route": to(100, 0)}));
}

#[test]
fn without_a_cookie_before_there_is_no_second_route() {
    let routes = written(&sticky(json!({})), &weighted(0))["http"].clone();
    assert_eq!(routes, json!([{"route": to(100, 0)}]));
}

#[test]
fn nobody_is_kept_on_the_primary_where_the_canary_has_everything() {
    let traffic = Traffic { cookies: cookies(Some("c=abc"), Some("p=def"), None), ..weighted(100) };
    let routes = written(&sticky(json!({})), &traffic)["http"].clone();
    assert!(routes.as_array().unwrap().iter().all(|route| route["route"][0]["weight"] == 0), "{routes:#}");
}

#[test]
fn a_cookies_name_is_no_expression() {
    let spec = spec_of(json!({}), json!({"sessionAffinity": {"cookieName": "a.b"}}));
    let traffic = Traffic { cookies: cookies(Some("a.b=abc"), None, None), ..weighted(10) };
    assert_eq!(written(&spec, &traffic)["http"][0]["match"][0]["headers"]["Cookie"]["regex"], r".*a\.b.*abc.*");
}

/// Every traffic that is asked for, of every kind of spec.
#[test]
fn what_is_written_is_read_back_and_is_as_desired() {
    let group = json!([{"headers": {"x": {"exact": "y"}}}]);
    let specs = [
        spec_of(json!({}), json!({})),
        spec_of(json!({"match": [{"uri": {"prefix": "/a"}}]}), json!({"mirror": true, "mirrorWeight": 50})),
        spec_of(json!({"match": [{"uri": {"prefix": "/a"}}]}), json!({"match": group})),
        spec_of(json!({}), json!({"match": group, "mirror": true, "sessionAffinity": {"cookieName": "c"}})),
        sticky(json!({})),
    ];
    let cookies =
        [cookies(None, None, None), cookies(Some("c=a"), Some("p=b"), Some("c=o")), cookies(None, None, Some("c=o"))];
    for spec in &specs {
        let grouped = !spec.analysis.matches.is_empty();
        for cookies in &cookies {
            for canary in [0, 1, 33, 100] {
                for (mirrored, everyone) in [(false, false), (canary == 0, false), (false, grouped && canary > 0)] {
                    let traffic = Traffic { canary, mirrored, everyone, cookies: cookies.clone() };
                    let live = written(spec, &traffic);
                    let read = Istio.live(&live, spec);
                    let expected = Live {
                        weights: Some(Weights::canary(canary)),
                        mirrored,
                        everyone,
                        cookies: read.cookies.clone(),
                    };
                    assert_eq!(read, expected, "{live:#}");
                    assert!(Istio.same(&live, &written(spec, &read.traffic(cookies.clone()))));
                    assert!(Istio.same(&live, &written(spec, &read.traffic(read.cookies.clone()))), "{live:#}");
                }
            }
        }
    }
}

#[test]
fn the_weights_are_of_the_route_that_serves() {
    let plain = spec_of(json!({}), json!({}));
    let grouped = spec_of(json!({}), json!({"match": [{"headers": {"x": {"exact": "y"}}}]}));
    let live = |spec: &Spec, http: Value| Istio.live(&json!({ "http": http }), spec);
    let some = |canary: u8| Some(Weights::canary(canary));
    // The group's route of an analysis that names no group any more is not everybody's.
    let two = json!([{"match": [{"uri": {}}], "route": to(0, 100)}, {"route": only_primary()}]);
    assert_eq!(live(&plain, two.clone()).weights, some(0));
    assert_eq!(live(&grouped, two), Live { weights: some(100), ..Live::default() });
    // A route for everybody of an analysis that has come to name a group is everybody's.
    assert_eq!(
        live(&grouped, json!([{"route": to(70, 30)}])),
        Live { weights: some(30), everyone: true, ..Live::default() }
    );
    // What comes behind a route without conditions serves nobody.
    assert_eq!(live(&plain, json!([{"route": to(40, 60)}, {"route": to(100, 0)}])).weights, some(60));
    assert_eq!(live(&plain, json!([{"match": [{}], "route": to(40, 60)}, {"route": to(100, 0)}])).weights, some(60));
    // A destination alone gets everything, whatever its weight.
    let alone = json!([{"route": [{"destination": {"host": "app-canary"}, "weight": 0}]}]);
    assert_eq!(live(&plain, alone).weights, some(100));
    // As Flagger writes an A/B test.
    let theirs = json!([{"match": [{"headers": {"x": {"exact": "y"}}}], "route": to(0, 100)},
        {"route": [{"destination": {"host": "app-primary"}, "weight": 0}]}]);
    assert_eq!(live(&grouped, theirs.clone()).weights, some(100));
    assert!(
        Istio
            .same(&json!({"hosts": ["app"], "gateways": ["mesh"], "http": theirs}), &written(&grouped, &weighted(100)))
    );
}

#[test]
fn anything_may_stand_in_a_live_object() {
    let spec = spec_of(json!({}), json!({"match": [{"headers": {"x": {"exact": "y"}}}]}));
    for odd in [
        json!(null),
        json!([]),
        json!({"http": "x", "tcp": 5}),
        json!({"http": [null, 3, "x", [], {}]}),
        json!({"http": [{"route": "x", "match": {}}, {"route": [null, {"destination": 5}]}]}),
        json!({"http": [{"route": to(0, 0)}]}),
        json!({"http": [{"route": [{"destination": {"host": "app-primary"}, "weight": -5},
            {"destination": {"host": "app-canary"}, "weight": "x"}]}]}),
        json!({"http": [{"route": [{"destination": {"host": "other"}}], "mirror": {"host": "app-canary"}}]}),
    ] {
        assert_eq!(Istio.live(&odd, &spec), Live::default(), "{odd}");
        assert!(!Istio.same(&odd, &written(&spec, &weighted(0))), "{odd}");
        Provider::default().handed_back(&json!({"metadata": odd, "spec": odd}), "u-1", &spec);
    }
    let huge = json!({"http": [{"route": [{"destination": {"host": "app-primary"}, "weight": 1e300},
        {"destination": {"host": "app-canary"}, "weight": 1e300}]}]});
    assert_eq!(Istio.live(&huge, &spec).canary(), 50);
}

#[test]
fn everything_but_the_traffic_is_a_difference() {
    let spec = spec_of(json!({"timeout": "5s"}), json!({}));
    let desired = written(&spec, &weighted(30));
    for (path, value) in [
        ("/hosts", json!(["elsewhere"])),
        ("/http/0/timeout", json!("6s")),
        ("/http/0/route/1/destination", json!({"host": "app-canary", "subset": "x"})),
        ("/http/0/route", json!([])),
    ] {
        let mut live = desired.clone();
        *live.pointer_mut(path).unwrap() = value;
        assert!(!Istio.same(&live, &desired), "{path}");
    }
    let mut live = desired.clone();
    live["exportTo"] = json!(["."]);
    assert!(!Istio.same(&live, &desired));
}

fn live_object(annotations: Value) -> Value {
    let spec = spec_of(json!({}), json!({}));
    let mut object = Istio.routes(&owner(), &spec, &weighted(30));
    object["metadata"]["annotations"] = annotations;
    object
}

#[test]
fn the_way_back_leads_to_the_apex_or_to_where_it_led_before() {
    let spec = spec_of(json!({"timeout": "5s"}), json!({}));
    let back = |annotations: Value| Provider::default().handed_back(&live_object(annotations), "u-1", &spec).unwrap();
    let to_apex = json!([{"timeout": "5s", "route": [{"destination": {"host": "app"}}]}]);
    let patch = back(json!({}));
    assert_eq!(patch["spec"], json!({"hosts": ["app"], "gateways": ["mesh"], "http": to_apex}));
    assert_eq!(patch["metadata"], json!({"ownerReferences": []}));
    let original = json!({"hosts": ["x"], "http": [{"route": [{"destination": {"host": "app"}}]}]});
    let patch = back(json!({annotation::FLAGGER_ORIGINAL: original.to_string()}));
    let mut expected = original.clone();
    expected["gateways"] = json!(null);
    assert_eq!(patch["spec"], expected);
    assert_eq!(patch["metadata"]["annotations"], json!({annotation::FLAGGER_ORIGINAL: null}));
    // What led to the copies was never the original: they go with the Canary.
    let ours = live_object(json!({}))["spec"].to_string();
    assert_eq!(back(json!({annotation::FLAGGER_ORIGINAL: ours}))["spec"]["http"], to_apex);
}

#[test]
fn what_was_handed_back_stays_as_it_is() {
    let spec = spec_of(json!({}), json!({}));
    let provider = Provider::default();
    let mut object = live_object(json!({}));
    let patch = provider.handed_back(&object, "u-1", &spec).unwrap();
    object["spec"] = patch["spec"].clone();
    object["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(provider.handed_back(&object, "u-1", &spec), None);
    let mut theirs = live_object(json!({}));
    theirs["metadata"]["ownerReferences"][0]["uid"] = json!("another");
    assert_eq!(provider.handed_back(&theirs, "u-1", &spec), None);
}
