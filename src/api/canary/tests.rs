use super::*;
use serde_json::json;

fn good() -> Value {
    json!({
        "provider": "istio",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80, "targetPort": 8080, "hosts": ["app.example.com"]},
        "analysis": {
            "interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
            "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"}]
        }
    })
}

fn fields(spec: &Value) -> Vec<String> {
    Spec::read(spec).expect_err("refused").into_iter().map(|p| p.field).collect()
}

#[test]
fn reads_the_present_version() {
    let spec = Spec::read(&good()).unwrap();
    assert_eq!((spec.target.as_str(), spec.service.apex.as_str()), ("app", "app"));
    assert_eq!(spec.analysis.checks[0].min, Some(99.0));
    assert_eq!(spec.progress_deadline, Duration::from_secs(600));
}

#[test]
fn reads_the_alpha_version_with_its_names() {
    let mut spec = good();
    let mut analysis = spec["analysis"].take();
    spec.as_object_mut().unwrap().remove("analysis");
    analysis["metrics"] = json!([
        {"name": "istio_requests_total", "threshold": 99, "interval": "60s"},
        {"name": "istio_request_duration_seconds_bucket", "threshold": 500}
    ]);
    analysis.as_object_mut().unwrap().remove("interval");
    spec["canaryAnalysis"] = analysis;
    let read = Spec::read(&spec).unwrap().analysis;
    assert_eq!(read.interval, Duration::from_secs(60));
    assert_eq!((read.checks[0].era, read.checks[0].min), (Era::Early, Some(99.0)));
    assert_eq!((read.checks[1].kind, read.checks[1].max), (CheckKind::Duration, Some(500.0)));
}

#[test]
fn named_weights_are_read_where_no_step_size_decides() {
    let mut spec = good();
    spec["analysis"]["stepWeights"] = json!([1, 2, 10, 80]);
    let read = Spec::read(&spec).unwrap().analysis;
    assert_eq!((read.step_weight, read.step_weights.len(), read.max_weight), (10, 0, 50), "the step size decides");
    spec["analysis"].as_object_mut().unwrap().remove("stepWeight");
    spec["analysis"]["stepWeightPromotion"] = json!(25);
    spec["analysis"]["canaryReadyThreshold"] = json!(50);
    let read = Spec::read(&spec).unwrap().analysis;
    assert_eq!((read.step_weights.as_slice(), read.max_weight), (&[1, 2, 10, 80][..], 80));
    assert_eq!((read.step_weight_promotion, read.primary_ready_threshold, read.canary_ready_threshold), (25, 100, 50));
    for (weights, field) in [
        (json!([10, 10]), "spec.analysis.stepWeights[1]"),
        (json!([10, 101]), "spec.analysis.stepWeights[1]"),
        (json!([0, 10]), "spec.analysis.stepWeights[0]"),
        (json!("10,20"), "spec.analysis.stepWeights"),
        (json!([]), "spec.analysis.stepWeight"),
    ] {
        spec["analysis"]["stepWeights"] = weights;
        assert_eq!(fields(&spec), [field]);
    }
}

#[test]
fn names_every_field_that_is_not_carried_out() {
    let mut spec = good();
    spec["autoscalerRef"] = json!({"kind": "ScaledObject", "name": "app"});
    spec["provider"] = json!("linkerd");
    spec["upstreamRef"] = json!({"name": "x"});
    spec["service"]["backends"] = json!(["x"]);
    spec["analysis"]["canaryWeightHeader"] = json!("x");
    let mut fields = fields(&spec);
    fields.sort();
    assert_eq!(
        fields,
        [
            "spec.analysis.canaryWeightHeader",
            "spec.autoscalerRef.kind",
            "spec.provider",
            "spec.service.backends",
            "spec.upstreamRef",
        ]
    );
}

#[test]
fn a_query_is_a_check_of_its_own_beside_the_built_in_ones() {
    let mut spec = good();
    spec["analysis"]["metrics"] = json!([
        {"name": "request-success-rate", "thresholdRange": {"min": 99}},
        {"name": "404s percentage", "threshold": 5, "interval": "30s", "query": "errors{ns=\"{{namespace}}\"}[{{ interval }}]"},
        {"name": "request-duration", "threshold": 500, "query": "{{ variables.q }}", "templateVariables": {"q": "up"}},
        {"name": "istio_requests_total", "query": "up", "thresholdRange": {"min": 1, "max": 2}},
    ]);
    let read = Spec::read(&spec).unwrap();
    let checks: Vec<_> = read.analysis.checks.iter().map(|c| (c.name.as_str(), c.kind, c.min, c.max)).collect();
    assert_eq!(
        checks,
        [
            ("request-success-rate", CheckKind::SuccessRate, Some(99.0), None),
            ("404s percentage", CheckKind::Custom, None, Some(5.0)),
            ("request-duration", CheckKind::Duration, None, Some(500.0)),
            ("request-duration", CheckKind::Custom, None, Some(500.0)),
            ("istio_requests_total", CheckKind::Custom, Some(1.0), Some(2.0)),
        ]
    );
    let texts: Vec<_> =
        read.analysis.queries.iter().map(|(place, query)| (*place, query.text(&read, "app", "prod"))).collect();
    let wanted = [(1, r#"errors{ns="prod"}[30s]"#), (3, "up"), (4, "up")];
    assert_eq!(texts, wanted.map(|(place, text)| (place, text.to_string())));
}

#[test]
fn a_template_takes_the_place_of_what_is_built_in_and_comes_last() {
    let mut spec = good();
    spec["analysis"]["metrics"] = json!([
        {"name": "request-duration", "threshold": 7, "templateRef": {"name": "p99", "namespace": "shared"},
         "templateVariables": {"code": "5.."}},
        {"name": "request-success-rate", "thresholdRange": {"min": 99}},
        {"name": "both", "query": "up", "interval": "30s", "thresholdRange": {"min": 1},
         "templateRef": {"name": "share", "apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate"}},
    ]);
    let read = Spec::read(&spec).unwrap();
    let checks: Vec<_> = read.analysis.checks.iter().map(|c| (c.name.as_str(), c.kind, c.min, c.max)).collect();
    assert_eq!(
        checks,
        [
            ("request-success-rate", CheckKind::SuccessRate, Some(99.0), None),
            ("both", CheckKind::Custom, Some(1.0), None),
            ("request-duration", CheckKind::Template, None, Some(7.0)),
            ("both", CheckKind::Template, Some(1.0), None),
        ]
    );
    assert_eq!(read.analysis.queries.keys().collect::<Vec<_>>(), [&1]);
    let templates: Vec<_> = read
        .analysis
        .templates
        .iter()
        .map(|(place, t)| (*place, t.name.as_str(), t.namespace.as_deref(), t.interval.as_str(), t.variables.len()))
        .collect();
    assert_eq!(templates, [(2, "p99", Some("shared"), "", 1), (3, "share", None, "30s", 0)]);
}

#[test]
fn a_query_that_cannot_be_carried_out_is_named() {
    for (change, field, why) in [
        (json!({"query": "up{pod=\"{{ pod }}\"}"}), "query", "uses {{ pod }}"),
        (json!({"query": "{{ variables.x }}", "templateVariables": {"y": "1"}}), "query", "has no x"),
        (json!({"query": "up", "templateVariables": {"x": 1}}), "templateVariables", "no map of strings"),
        (json!({"query": ["up"]}), "query", "is no text"),
        (json!({"query": " \n"}), "query", "is blank"),
        (json!({"query": "", "threshold": 1}), "name", "it has no query"),
        (json!({"templateRef": {"namespace": "x"}}), "templateRef.name", "is missing"),
        (json!({"templateRef": "x"}), "templateRef", "no object"),
        (json!({"templateRef": {"name": "../x"}}), "templateRef.name", "no name of an object"),
        (json!({"templateRef": {"name": "x", "namespace": "A"}}), "templateRef.namespace", "no name of an object"),
        (json!({"templateRef": {"name": "x", "key": "y"}}), "templateRef.key", "not supported"),
        (json!({"templateRef": {"name": "x"}, "name": ""}), "name", "is missing"),
        (json!({"templateRef": {"name": "x"}, "thresholdRange": {}}), "thresholdRange", "neither min nor max"),
        (json!({"query": "up", "thresholdRange": {}}), "thresholdRange", "neither min nor max"),
        (json!({"query": "up", "threshold": "5"}), "threshold", "no number"),
        (json!({"query": "up", "threshold": "5", "name": "request-duration"}), "threshold", "no number"),
        (json!({"query": "up", "interval": "soon"}), "interval", "no duration"),
        (json!({"query": "up", "name": ""}), "name", "is missing"),
    ] {
        let mut metric = json!({"name": "errors"});
        metric.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let mut spec = good();
        spec["analysis"]["metrics"] = json!([metric]);
        let problems = Spec::read(&spec).expect_err("refused");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].field, format!("spec.analysis.metrics[0].{field}"));
        assert!(problems[0].why.contains(why), "{problems:?}");
    }
}

#[test]
fn a_field_that_asks_for_nothing_is_no_problem() {
    let mut spec = good();
    spec["skipAnalysis"] = json!(false);
    spec["suspend"] = json!(false);
    spec["analysis"]["webhooks"] = json!([]);
    spec["analysis"]["iterations"] = json!(0);
    assert!(Spec::read(&spec).is_ok());
}

#[test]
fn what_is_not_said_is_flaggers_default() {
    let mut spec = good();
    let analysis = json!({"threshold": 0, "maxWeight": 0, "stepWeight": 10,
        "metrics": [{"name": "request-success-rate", "threshold": 99}],
        "sessionAffinity": {"cookieName": "a", "maxAge": 0}});
    spec["analysis"] = analysis;
    let read = Spec::read(&spec).unwrap();
    assert_eq!(read.progress_deadline, Duration::from_secs(600));
    assert_eq!((read.skip_analysis, read.revert_on_deletion, read.suspend), (false, false, false));
    let analysis = read.analysis;
    assert_eq!((analysis.interval, analysis.threshold, analysis.max_weight), (Duration::from_secs(60), 1, 100));
    assert_eq!((analysis.primary_ready_threshold, analysis.canary_ready_threshold), (100, 100));
    assert_eq!((analysis.step_weight_promotion, analysis.iterations, analysis.mirror_weight), (0, 0, 0));
    assert_eq!(analysis.affinity.as_ref().unwrap().max_age, 86400);
    let check = &analysis.checks[0];
    assert_eq!((check.interval, check.min, check.max), (Duration::from_secs(60), Some(99.0), None), "the old limit");
    spec["analysis"]["canaryReadyThreshold"] = json!(0);
    assert_eq!(Spec::read(&spec).unwrap().analysis.canary_ready_threshold, 0, "a zero that is said counts");
}

#[test]
fn two_cookies_of_one_name_are_refused() {
    let mut spec = good();
    spec["analysis"]["sessionAffinity"] = json!({"cookieName": "a", "primaryCookieName": "a"});
    assert_eq!(fields(&spec), ["spec.analysis.sessionAffinity.primaryCookieName"]);
}

#[test]
fn nonsense_is_named_field_by_field() {
    for (pointer, value, field) in [
        ("/analysis/interval", json!("soon"), "spec.analysis.interval"),
        ("/analysis/interval", json!(60), "spec.analysis.interval"),
        ("/analysis/threshold", json!(-1), "spec.analysis.threshold"),
        ("/analysis/maxWeight", json!(101), "spec.analysis.maxWeight"),
        ("/analysis/stepWeight", json!(0), "spec.analysis.stepWeight"),
        ("/analysis/stepWeight", json!(1e308), "spec.analysis.stepWeight"),
        ("/analysis/metrics", json!("x"), "spec.analysis.metrics"),
        ("/analysis/metrics/0/name", json!("no-such"), "spec.analysis.metrics[0].name"),
        ("/targetRef/kind", json!("DaemonSet"), "spec.targetRef.kind"),
        ("/service/port", json!(70000), "spec.service.port"),
        ("/provider", json!("linkerd"), "spec.provider"),
        ("/analysis/metrics/0/thresholdRange", json!({}), "spec.analysis.metrics[0].thresholdRange"),
    ] {
        let mut spec = good();
        *spec.pointer_mut(pointer).unwrap() = value;
        assert_eq!(fields(&spec), [field], "{pointer}");
    }
    let mut spec = good();
    spec["analysis"]["metrics"][0] = json!({"name": "request-success-rate", "threshold": "99"});
    assert_eq!(fields(&spec), ["spec.analysis.metrics[0].threshold"], "a limit in quotes is none");
    for spec in [json!(null), json!([]), json!({}), json!({"analysis": 3, "service": "x", "targetRef": []})] {
        assert!(Spec::read(&spec).is_err());
    }
}
