//! Which Prometheus is asked: the one that a Canary names, else the one of the command line, else the one that is found.
//!
//! What was found is kept until it stops answering, so that a Prometheus that moves is found again.

use super::Prometheus;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Finds Prometheus once and remembers it. Clones share what was found.
#[derive(Clone)]
pub struct Locator {
    client: kube::Client,
    namespace: String,
    flag: Option<String>,
    found: Arc<Mutex<Option<Prometheus>>>,
}

impl Locator {
    /// A locator for one namespace; `flag` is the address of the command line.
    pub fn new(client: kube::Client, namespace: &str, flag: Option<&str>) -> Self {
        Self { client, namespace: namespace.to_string(), flag: flag.map(str::to_string), found: Arc::default() }
    }

    /// The Prometheus that a Canary's checks are read from; `named` is its `spec.metricsServer`.
    ///
    /// # Errors
    /// A sentence that says why there is none and what to do.
    pub async fn named(&self, named: Option<&str>) -> Result<Prometheus, String> {
        match named {
            Some(address) => Prometheus::at(self.client.clone(), address).map_err(|e| e.to_string()),
            None => self.any().await,
        }
    }

    /// The Prometheus for the screen: of the command line, else the one that is found.
    ///
    /// # Errors
    /// A sentence that says why there is none and what to do.
    pub async fn any(&self) -> Result<Prometheus, String> {
        // Held while looking, so that a hundred canaries look once.
        let mut found = self.found.lock().await;
        if let Some(prometheus) = &*found {
            return Ok(prometheus.clone());
        }
        let prometheus = match &self.flag {
            Some(url) => Prometheus::from_flag(url).map_err(|e| e.to_string())?,
            None => Prometheus::find(self.client.clone(), &self.namespace).await.map_err(|e| e.to_string())?,
        };
        *found = Some(prometheus.clone());
        Ok(prometheus)
    }

    /// Forgets what was found: it does not answer any more.
    pub async fn forget(&self) {
        *self.found.lock().await = None;
    }
}
