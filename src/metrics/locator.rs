//! Which Prometheus is asked: the one that a Canary names, else the one of the command line, else the one that is found.
//!
//! What was found is kept until it stops answering, so that connections are kept open and a Prometheus that moves is
//! found again. And what one Canary asks at a moment, the others with the same question need not ask again.

use super::once::Once;
use super::templates::Templates;
use super::{Prometheus, QueryError};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How old an answer may be that is used for another check.
const FRESH: Duration = Duration::from_secs(1);

/// The values of a query's series by one of their labels; by the empty name where they are not told apart.
pub(super) type Values = BTreeMap<String, Vec<f64>>;

/// Who is asked, the query, and the label.
type Question = (Arc<str>, String, Option<&'static str>);

/// Finds Prometheus once and remembers it. Clones share what was found and what was answered.
#[derive(Clone)]
pub struct Locator {
    client: kube::Client,
    namespace: String,
    flag: Option<String>,
    /// Whether what was found is shared with other namespaces.
    shared: bool,
    found: Arc<Mutex<HashMap<Wanted, Prometheus>>>,
    answers: Once<Question, Arc<Values>, QueryError>,
    templates: Templates,
}

/// Which Prometheus is meant.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Wanted {
    /// The one at the address that a Canary names.
    Named(String),
    /// The one of the Canaries of a namespace that name none.
    Of(String),
    /// The one that is found without looking into any Canary's own namespace.
    Usual,
}

impl Locator {
    /// A locator for one namespace; `flag` is the address of the command line.
    pub fn new(client: kube::Client, namespace: &str, flag: Option<&str>) -> Self {
        Self {
            templates: Templates::new(client.clone()),
            client,
            namespace: namespace.to_string(),
            flag: flag.map(str::to_string),
            shared: false,
            found: Arc::default(),
            answers: Once::new(FRESH, FRESH),
        }
    }

    /// The locator of another namespace, which shares what this one finds: what both have in common is asked once.
    pub fn of(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_string(), shared: true, ..self.clone() }
    }

    /// Runs a query for the present time, or takes the answer of the last second. Its values by the label `by`.
    ///
    /// # Errors
    /// As for [`Prometheus::instant`]; then this Prometheus is looked for anew, unless the query is what is wrong.
    pub(super) async fn ask(
        &self,
        prometheus: &Prometheus,
        query: String,
        by: Option<&'static str>,
    ) -> Result<Arc<Values>, QueryError> {
        let question = (prometheus.identity(), query.clone(), by);
        let asked = prometheus.clone();
        let answer = self.answers.get(question, || async move {
            let mut values = Values::new();
            for sample in asked.instant(&query).await? {
                let name = by.and_then(|label| sample.labels.get(label)).unwrap_or_default().to_string();
                values.entry(name).or_default().push(sample.value);
            }
            Ok(Arc::new(values))
        });
        let answer = answer.await;
        if answer.as_ref().is_err_and(|why| !why.is_of_the_query()) {
            // Not what was found since.
            self.found.lock().await.retain(|_, found| !Arc::ptr_eq(&found.identity(), &prometheus.identity()));
        }
        answer
    }

    /// The MetricTemplates of the cluster.
    pub(super) fn templates(&self) -> &Templates {
        &self.templates
    }

    /// The Prometheus that a Canary's checks are read from; `named` is its `spec.metricsServer`.
    ///
    /// # Errors
    /// A sentence that says why there is none and what to do.
    pub async fn named(&self, named: Option<&str>) -> Result<Prometheus, String> {
        // Held while looking, so that a hundred canaries look once.
        let mut found = self.found.lock().await;
        let wanted = match named {
            Some(address) => Wanted::Named(address.to_string()),
            None => Wanted::Of(self.namespace.clone()),
        };
        if let Some(prometheus) = found.get(&wanted) {
            return Ok(prometheus.clone());
        }
        let prometheus = match named {
            Some(address) => Prometheus::at(self.client.clone(), address).map_err(|e| e.to_string())?,
            None if self.has_the_usual().await => match found.get(&Wanted::Usual) {
                Some(usual) => usual.clone(),
                None => {
                    let usual = self.find("").await?;
                    found.insert(Wanted::Usual, usual.clone());
                    usual
                }
            },
            None => self.find(&self.namespace).await?,
        };
        found.insert(wanted, prometheus.clone());
        Ok(prometheus)
    }

    /// Whether the answer is the one that other namespaces get.
    async fn has_the_usual(&self) -> bool {
        self.shared && (self.flag.is_some() || !Prometheus::is_in(&self.client, &self.namespace).await)
    }

    async fn find(&self, namespace: &str) -> Result<Prometheus, String> {
        match &self.flag {
            Some(url) => Prometheus::from_flag(url).map_err(|e| e.to_string()),
            None => Prometheus::find(self.client.clone(), namespace).await.map_err(|e| e.to_string()),
        }
    }

    /// The Prometheus for the screen: of the command line, else the one that is found.
    ///
    /// # Errors
    /// A sentence that says why there is none and what to do.
    pub async fn any(&self) -> Result<Prometheus, String> {
        self.named(None).await
    }

    /// Forgets this namespace: nothing is left in it to be checked.
    pub async fn leave(&self) {
        self.found.lock().await.remove(&Wanted::Of(self.namespace.clone()));
    }

    /// Forgets what was found: it does not answer any more.
    pub async fn forget(&self) {
        self.found.lock().await.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn what_was_found_is_kept_until_it_is_forgotten() {
        let list = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": [
            {"metadata": {"name": "prometheus", "namespace": "istio-system"}, "spec": {"ports": [{"port": 9090}]}}]});
        let stub = Stub::serving(move |call| match call.path.contains("istio-system") {
            true => (200, list.to_string()),
            false => (200, json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": []}).to_string()),
        });
        let locator = Locator::new(stub.api_server(), "prod", None);
        assert_eq!(locator.any().await.unwrap().describe(), "prometheus.istio-system:9090");
        let looked = stub.seen().len();
        locator.any().await.unwrap();
        assert_eq!(stub.seen().len(), looked);
        locator.forget().await;
        locator.any().await.unwrap();
        assert_eq!(stub.seen().len(), 2 * looked);
    }

    #[tokio::test]
    async fn the_canarys_own_address_comes_first_then_the_command_lines() {
        let stub = Stub::answering(|_| (404, String::new()));
        let locator = Locator::new(stub.api_server(), "prod", Some("http://127.0.0.1:9"));
        assert_eq!(locator.named(Some("prom.mon:9090")).await.unwrap().describe(), "prom.mon:9090");
        assert_eq!(locator.any().await.unwrap().describe(), "http://127.0.0.1:9");
        assert!(stub.seen().is_empty());
    }

    #[tokio::test]
    async fn namespaces_without_a_prometheus_of_their_own_share_the_one_that_is_found() {
        let list = |namespace: &str| {
            json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": [
                {"metadata": {"name": "prometheus", "namespace": namespace}, "spec": {"ports": [{"port": 9090}]}}]})
        };
        let stub = Stub::serving(move |call| {
            let known = json!({"status": "success", "data": {"resultType": "vector",
                "result": [{"metric": {}, "value": [1, "1"]}]}});
            match call.path.as_str() {
                path if path.contains("/own/") && path.contains("/proxy/") => (200, known.to_string()),
                path if path.contains("/proxy/") => (503, String::new()),
                path if path.contains("/istio-system/") => (200, list("istio-system").to_string()),
                path if path.contains("/own/") => (200, list("own").to_string()),
                _ => {
                    let none = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": []});
                    (200, none.to_string())
                }
            }
        });
        let locator = Locator::new(stub.api_server(), "", None);
        let (a, b, own) = (locator.of("a"), locator.of("b"), locator.of("own"));
        assert_eq!(a.any().await.unwrap().describe(), "prometheus.istio-system:9090");
        assert_eq!(stub.seen().len(), 5, "the namespace itself, and the usual ones");
        assert_eq!(b.any().await.unwrap().describe(), "prometheus.istio-system:9090");
        assert_eq!(stub.seen().len(), 6, "the namespace itself");
        assert_eq!(own.any().await.unwrap().describe(), "prometheus.own:9090");
        let looked = stub.seen().len();
        for locator in [&a, &b, &own] {
            locator.any().await.unwrap();
        }
        assert_eq!(stub.seen().len(), looked);
        a.leave().await;
        assert_eq!(a.found.lock().await.len(), 3, "the usual one, and those of the others");
        let flagged = Locator::new(stub.api_server(), "", Some("http://127.0.0.1:9"));
        assert_eq!(flagged.of("a").any().await.unwrap().describe(), "http://127.0.0.1:9");
        assert_eq!(stub.seen().len(), looked);
    }
}
