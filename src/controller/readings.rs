//! The facts that cost a query: the checks' readings, and whether those answer who are asked for them.

use crate::api::Spec;
use crate::metrics::{Locator, reader};
use crate::rollout::Reading;
use futures::future::join_all;

/// Reads every check of a spec, all at once; `name` and `namespace` are the Canary's.
pub async fn read(locator: &Locator, spec: &Spec, name: &str, namespace: &str) -> Vec<Reading> {
    let places = 0..spec.analysis.checks.len();
    join_all(places.map(|place| reader::read(locator, spec, name, namespace, place))).await
}

/// Whether everybody answers who is asked at the checks of a Canary in this namespace.
pub async fn probe(locator: &Locator, spec: &Spec, namespace: &str) -> Result<(), String> {
    reader::probe(locator, spec, namespace).await
}
