//! The facts that cost a query: the checks' readings, and whether the metrics server answers.

use crate::api::Spec;
use crate::metrics::{Locator, checks};
use crate::rollout::Reading;
use futures::future::join_all;

/// Reads every check of a spec, all at once.
pub async fn read(locator: &Locator, spec: &Spec, namespace: &str) -> Vec<Reading> {
    let prometheus = match locator.named(spec.metrics_server.as_deref()).await {
        Ok(prometheus) => prometheus,
        Err(why) => return vec![Reading::Unavailable(why); spec.analysis.checks.len()],
    };
    let readings =
        join_all(spec.analysis.checks.iter().map(|check| checks::read(&prometheus, check, namespace, &spec.target)));
    let readings = readings.await;
    if readings.iter().any(|r| matches!(r, Reading::Unavailable(_))) {
        locator.forget().await;
    }
    readings
}

/// Whether the metrics server answers.
pub async fn probe(locator: &Locator, spec: &Spec) -> Result<(), String> {
    let prometheus = locator.named(spec.metrics_server.as_deref()).await?;
    match prometheus.ping().await {
        Ok(()) => Ok(()),
        Err(why) => {
            locator.forget().await;
            Err(why.to_string())
        }
    }
}
