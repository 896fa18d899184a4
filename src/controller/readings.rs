//! The facts that cost a query: the checks' readings, and whether the metrics server answers.

use crate::api::Spec;
use crate::metrics::{Locator, checks};
use crate::rollout::Reading;
use futures::future::join_all;

/// Reads every check of a spec, all at once; `name` and `namespace` are the Canary's.
pub async fn read(locator: &Locator, spec: &Spec, name: &str, namespace: &str) -> Vec<Reading> {
    let prometheus = match locator.named(spec.metrics_server.as_deref()).await {
        Ok(prometheus) => prometheus,
        Err(why) => return vec![Reading::Unavailable(why); spec.analysis.checks.len()],
    };
    let one = async |(place, check)| match spec.analysis.queries.get(&place) {
        Some(query) => checks::value(&prometheus, &query.text(spec, name, namespace)).await,
        None => checks::read(&prometheus, check, namespace, &spec.target).await,
    };
    let readings = join_all(spec.analysis.checks.iter().enumerate().map(one)).await;
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
