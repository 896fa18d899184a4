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
    /// By the address that a Canary names; None for the one that no Canary names.
    found: Arc<Mutex<HashMap<Option<String>, Prometheus>>>,
    answers: Once<Question, Arc<Values>, QueryError>,
    templates: Templates,
}

impl Locator {
    /// A locator for one namespace; `flag` is the address of the command line.
    pub fn new(client: kube::Client, namespace: &str, flag: Option<&str>) -> Self {
        Self {
            templates: Templates::new(client.clone()),
            client,
            namespace: namespace.to_string(),
            flag: flag.map(str::to_string),
            found: Arc::default(),
            answers: Once::new(FRESH, FRESH),
        }
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
                let name = by.and_then(|label| sample.labels.get(label)).cloned().unwrap_or_default();
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
        let key = named.map(str::to_string);
        if let Some(prometheus) = found.get(&key) {
            return Ok(prometheus.clone());
        }
        let prometheus = match (named, &self.flag) {
            (Some(address), _) => Prometheus::at(self.client.clone(), address).map_err(|e| e.to_string())?,
            (None, Some(url)) => Prometheus::from_flag(url).map_err(|e| e.to_string())?,
            (None, None) => Prometheus::find(self.client.clone(), &self.namespace).await.map_err(|e| e.to_string())?,
        };
        found.insert(key, prometheus.clone());
        Ok(prometheus)
    }

    /// The Prometheus for the screen: of the command line, else the one that is found.
    ///
    /// # Errors
    /// A sentence that says why there is none and what to do.
    pub async fn any(&self) -> Result<Prometheus, String> {
        self.named(None).await
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
}
