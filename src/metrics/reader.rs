//! What a Canary's checks read, at a cost that does not grow with the number of Canaries: the built-in ones of a namespace
//! share one query for each series and window, and the same text is asked once a second at most.

use super::checks::{self, Of, WORKLOAD};
use super::promql::collapsed;
use super::templates::TemplateError;
use super::{Locator, Prometheus};
use crate::api::{CheckKind, Spec};
use crate::rollout::Reading;

/// Reads one check of a spec; `canary` and `namespace` are the Canary's, `place` is the check's among the spec's.
pub async fn read(locator: &Locator, spec: &Spec, canary: &str, namespace: &str, place: usize) -> Reading {
    let Some(check) = spec.analysis.checks.get(place) else {
        return Reading::Unavailable(format!("there is no check {place}"));
    };
    if let Some(named) = spec.analysis.templates.get(&place) {
        let query = async {
            let template = locator.templates().get(named, namespace).await?;
            let query = template.query(named)?;
            Ok::<_, TemplateError>((template.prometheus.clone(), query.text(spec, canary, namespace)))
        };
        return match query.await {
            Ok((prometheus, query)) => only(locator, &prometheus, query).await,
            Err(why) => Reading::Unasked(why.event()),
        };
    }
    let prometheus = match locator.named(spec.metrics_server.as_deref()).await {
        Ok(prometheus) => prometheus,
        Err(why) => return Reading::Unavailable(why),
    };
    if let Some(query) = spec.analysis.queries.get(&place) {
        return only(locator, &prometheus, query.text(spec, canary, namespace)).await;
    }
    let prometheus = &prometheus;
    checks::built_in(check, |series| async move {
        let query = series.query(namespace, Of::Each, check.interval);
        match locator.ask(prometheus, query, Some(WORKLOAD)).await {
            Ok(values) => checks::one(values.get(&spec.target).map_or(&[], Vec::as_slice)),
            Err(why) => Reading::Unavailable(why.to_string()),
        }
    })
    .await
}

/// The query of one check as it is asked for this Canary alone, and whom it is asked of.
///
/// # Errors
/// Why there is nothing to ask, or nobody.
pub async fn question(
    locator: &Locator,
    spec: &Spec,
    canary: &str,
    namespace: &str,
    place: usize,
) -> Result<(String, String), String> {
    let check = spec.analysis.checks.get(place).ok_or_else(|| format!("there is no check {place}"))?;
    if let Some(named) = spec.analysis.templates.get(&place) {
        let template = locator.templates().get(named, namespace).await.map_err(|why| why.event())?;
        let query = template.query(named).map_err(|why| why.event())?;
        return Ok((collapsed(&query.text(spec, canary, namespace)), template.prometheus.describe()));
    }
    let query = match spec.analysis.queries.get(&place) {
        Some(query) => collapsed(&query.text(spec, canary, namespace)),
        // Of two, the second is asked where the first finds nothing.
        None => checks::queries(check, namespace, Of::One(&spec.target)).join(" or else "),
    };
    // The query is worth reading also where nobody is there to be asked.
    let of = locator.named(spec.metrics_server.as_deref()).await;
    Ok((query, of.map_or_else(|why| why, |prometheus| prometheus.describe())))
}

/// A query that answers with one number.
async fn only(locator: &Locator, prometheus: &Prometheus, query: String) -> Reading {
    match locator.ask(prometheus, query, None).await {
        Ok(values) => checks::one(values.get("").map_or(&[], Vec::as_slice)),
        Err(why) => Reading::Unavailable(why.to_string()),
    }
}

/// Whether everybody answers who is asked at the checks of a Canary in this namespace: its Prometheus, and those of the
/// templates that it names.
///
/// # Errors
/// The first who does not, in Flagger's words.
pub async fn probe(locator: &Locator, spec: &Spec, namespace: &str) -> Result<(), String> {
    const SOMETHING: &str = "vector(1)";
    if spec.analysis.checks.iter().any(|check| check.kind != CheckKind::Template) {
        // The slip is Flagger's.
        let unavailable = |why: String| format!("prometheus not avaiable: {why}");
        let prometheus = locator.named(spec.metrics_server.as_deref()).await.map_err(unavailable)?;
        let answer = locator.ask(&prometheus, SOMETHING.into(), None).await;
        answer.map_err(|why| unavailable(why.to_string()))?;
    }
    for named in spec.analysis.templates.values() {
        let template = locator.templates().get(named, namespace).await.map_err(|why| why.to_string())?;
        let answer = locator.ask(&template.prometheus, SOMETHING.into(), None).await;
        answer.map_err(|why| format!("prometheus in metric template {} not avaiable: {why}", template.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Stub, vector};
    use super::*;
    use futures::future::join_all;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn spec(target: &str, metrics: Value) -> Spec {
        let spec = json!({
            "targetRef": {"kind": "Deployment", "name": target},
            "service": {"port": 80},
            "analysis": {"stepWeight": 10, "metrics": metrics},
        });
        Spec::read(&spec).expect("a spec")
    }

    fn both(era: &str) -> Value {
        match era {
            "current" => json!([
                {"name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99}},
                {"name": "request-duration", "interval": "30s", "thresholdRange": {"max": 500}},
            ]),
            _ => json!([
                {"name": "istio_requests_total", "interval": "30s", "threshold": 99},
                {"name": "istio_request_duration_seconds_bucket", "interval": "30s", "threshold": 500},
            ]),
        }
    }

    async fn locator(stub: &Stub) -> Locator {
        let address = stub.prometheus().await.describe();
        Locator::new(stub.api_server(), "prod", Some(&address))
    }

    async fn all(locator: &Locator, specs: &[Spec]) -> Vec<Vec<Reading>> {
        let one = async |spec: &Spec| {
            let places = 0..spec.analysis.checks.len();
            join_all(places.map(|place| read(locator, spec, &spec.target, "prod", place))).await
        };
        join_all(specs.iter().map(one)).await
    }

    fn by_workload(values: &[(&str, &str)]) -> (u16, String) {
        let series: Vec<_> = values.iter().map(|(name, value)| ([(WORKLOAD, *name)], *value)).collect();
        vector(&series.iter().map(|(labels, value)| (&labels[..], *value)).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn hundreds_of_canaries_share_a_query_for_each_series() {
        let stub = Stub::answering(|query| match query.contains("quantile") {
            false => by_workload(&[("app-0", "99.5"), ("app-1", "12.25"), ("app-1-primary", "1"), ("app-2", "NaN")]),
            true => by_workload(&[("app-1", "250.75"), ("app-0", "+Inf"), ("other", "3")]),
        });
        let locator = locator(&stub).await;
        let specs: Vec<Spec> = (0..300).map(|number| spec(&format!("app-{number}"), both("current"))).collect();
        let readings = all(&locator, &specs).await;
        assert_eq!(readings[0], [Reading::Value(99.5), Reading::Value(f64::INFINITY)]);
        assert_eq!(readings[1], [Reading::Value(12.25), Reading::Value(250.0)]);
        assert!(readings[2..].iter().flatten().all(|reading| *reading == Reading::NoValues));
        assert_eq!(stub.seen().len(), 2);
    }

    #[tokio::test]
    async fn the_early_names_share_theirs_and_fall_back_together() {
        let stub = Stub::answering(|query| match query.contains("_seconds_bucket") {
            true => by_workload(&[("app-0", "0.2506"), ("app-1", "NaN")]),
            false => by_workload(&[("app-0", "1"), ("app-1", "70.9"), ("app-2", "80")]),
        });
        let locator = locator(&stub).await;
        let specs: Vec<Spec> = (0..50).map(|number| spec(&format!("app-{number}"), both("early"))).collect();
        let readings = all(&locator, &specs).await;
        let durations: Vec<&Reading> = readings.iter().take(3).map(|readings| &readings[1]).collect();
        assert_eq!(durations, [&Reading::Value(250.0), &Reading::Value(70.0), &Reading::Value(80.0)]);
        assert_eq!(stub.seen().len(), 3);
    }

    #[tokio::test]
    async fn queries_of_their_own_are_shared_where_they_say_the_same() {
        let stub = Stub::answering(|query| vector(&[(&[], if query.contains("app-7") { "7" } else { "1" })]));
        let locator = locator(&stub).await;
        let queries = json!([
            {"name": "same", "query": "up", "threshold": 5},
            {"name": "own", "query": "up{w=\"{{ target }}\"}", "threshold": 5},
        ]);
        let specs: Vec<Spec> = (0..20).map(|number| spec(&format!("app-{number}"), queries.clone())).collect();
        let readings = all(&locator, &specs).await;
        assert_eq!(readings[7], [Reading::Value(1.0), Reading::Value(7.0)]);
        assert_eq!(stub.seen().len(), 21);
    }

    #[tokio::test]
    async fn another_second_another_window_or_another_prometheus_is_another_question() {
        let (stub, other) = (Stub::answering(|_| by_workload(&[("app", "1")])), Stub::answering(|_| by_workload(&[])));
        let locator = locator(&stub).await;
        let metric = |interval: &str| json!([{"name": "request-success-rate", "interval": interval, "threshold": 1}]);
        let (half, whole) = (spec("app", metric("30s")), spec("app", metric("1m")));
        let elsewhere = Spec { metrics_server: Some(other.prometheus().await.describe()), ..half.clone() };
        let readings = all(&locator, &[half.clone(), whole, elsewhere]).await;
        assert_eq!(readings, [[Reading::Value(1.0)], [Reading::Value(1.0)], [Reading::NoValues]]);
        assert_eq!((stub.seen().len(), other.seen().len()), (2, 1));
        // The limit is held against the machine's clocks, and the second is over.
        tokio::time::sleep(Duration::from_millis(1010)).await;
        all(&locator, &[half]).await;
        assert_eq!(stub.seen().len(), 3);
    }

    #[tokio::test]
    async fn what_prometheus_gives_that_is_no_number_fails_the_check_and_says_what_it_was() {
        let matrix = json!({"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"destination_workload": "app"}, "values": [[10, "1"], [20, "2"]]}]}});
        for (answer, said) in [
            ((200, matrix.to_string()), "it is a matrix, not one value for each series"),
            ((200, "{\"status\":\"succ".to_string()), "EOF while parsing a string"),
            ((200, "<html><body>Sign in</body></html>".to_string()), "<html><body>Sign in</body></html>"),
            ((200, String::new()), "EOF while parsing"),
            ((200, json!({"status": "error", "error": "loading"}).to_string()), "loading"),
            ((502, "<html>Bad Gateway</html>".to_string()), "answered 502: <html>Bad Gateway</html>"),
            ((422, json!({"status": "error", "error": "too many samples"}).to_string()), "422: too many samples"),
            (by_workload(&[("app", "one")]), "\"one\" is no number"),
            (by_workload(&[("app", "1"), ("app", "2")]), "the query returned 2 series, not one"),
        ] {
            let stub = Stub::answering(move |_| answer.clone());
            let locator = locator(&stub).await;
            let own = json!([
                {"name": "request-success-rate", "threshold": 1}, {"name": "request-duration", "threshold": 1},
                {"name": "own", "query": "up", "threshold": 1},
            ]);
            for reading in &all(&locator, &[spec("app", own)]).await[0] {
                let Reading::Unavailable(why) = reading else { panic!("{said}: {reading:?}") };
                assert!(why.contains(said), "{said}: {why}");
            }
        }
    }

    #[tokio::test]
    async fn a_prometheus_that_is_down_or_slow_is_said_so_to_all_who_wait() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slow = format!("http://{}", silent.local_addr().unwrap());
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let down = format!("http://{}", gone.local_addr().unwrap());
        drop(gone);
        let specs: Vec<Spec> = (0..3).map(|number| spec(&format!("app-{number}"), both("current"))).collect();
        let began = std::time::Instant::now();
        for (address, said) in [(down, "cannot be reached"), (slow, "cannot be reached")] {
            let api = Stub::answering(|_| (404, String::new())).api_server();
            let locator = Locator::new(api, "prod", Some(&address));
            for reading in all(&locator, &specs).await.iter().flatten() {
                let Reading::Unavailable(why) = reading else { panic!("{reading:?}") };
                assert!(why.contains(said) && why.contains(&address), "{why}");
            }
        }
        let took = began.elapsed();
        let limit = super::super::reach::TIMEOUT;
        assert!(took >= limit && took < 2 * limit, "{took:?}: all of them wait for one answer");
    }

    #[tokio::test]
    async fn a_prometheus_is_looked_for_anew_when_it_fails_and_not_when_a_query_is_wrong() {
        let list = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": [
            {"metadata": {"name": "prometheus", "namespace": "istio-system"}, "spec": {"ports": [{"port": 9090}]}}]});
        let none = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": []});
        for (status, again) in [(400, false), (503, true)] {
            let (list, none) = (list.to_string(), none.to_string());
            let stub = Stub::serving(move |call| match call.path.as_str() {
                path if path.contains("/proxy/") => (status, "no".into()),
                path if path.contains("istio-system") => (200, list.clone()),
                _ => (200, none.clone()),
            });
            let locator = Locator::new(stub.api_server(), "prod", None);
            let own = |query: &str| spec("app", json!([{"name": "own", "query": query, "threshold": 1}]));
            let looked = || stub.seen().iter().filter(|call| !call.path.contains("/proxy/")).count();
            all(&locator, &[own("a")]).await;
            let once = looked();
            all(&locator, &[own("b")]).await;
            assert_eq!(looked() > once, again, "{status}");
        }
    }
}
