//! What the simulator is told of the world: where requests are routed, and which pods there are.

use chrono::{DateTime, Utc};

/// The whole world at one moment. Each new one replaces the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Where requests come in and how they are divided.
    pub routes: Vec<Route>,
    /// The workloads that may serve them.
    pub workloads: Vec<Workload>,
}

/// One host that users call.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The namespace of the host and of all its destinations.
    pub namespace: String,
    /// The name that users call.
    pub host: String,
    /// How its requests are divided. Requests of a route without any destination are lost.
    pub destinations: Vec<Destination>,
    /// Who gets copies of its requests: the weight is how many of a thousand. Nobody waits for their answers, so none of
    /// them is ever lost.
    pub copies: Vec<Destination>,
}

/// One destination of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The service that the requests are sent to.
    pub service: String,
    /// The workload behind it, in the route's namespace. Empty when the service has none.
    pub workload: String,
    /// Its share, relative to the sum of the route's weights.
    pub weight: u32,
}

/// A workload and its pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Where it lives.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// All its pods, ready or not.
    pub pods: Vec<PodFact>,
}

/// One pod that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PodFact {
    /// Its name, unique in the namespace.
    pub name: String,
    /// The image tag that it runs, which decides how it behaves. During a rolling update a workload has two.
    pub tag: String,
    /// Whether it takes requests.
    pub ready: bool,
    /// When its process started: memory leaks from here.
    pub since: DateTime<Utc>,
}

/// How many requests a second a host gets, on average: 40 to 80, always the same for one name.
pub fn requests_per_second(namespace: &str, host: &str) -> f64 {
    let spread = hash_name(0, &[namespace, host]) % 41;
    40.0 + spread as f64
}

/// A hash that stays the same from build to build and machine to machine (FNV-1a), so that a seed means one run.
pub(super) fn hash_name(seed: u64, parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    // FNV leaves neighbouring names close together in the low bits.
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_stable_and_in_range() {
        assert_eq!(requests_per_second("a", "b"), requests_per_second("a", "b"));
        let rates: Vec<f64> = (0..200).map(|n| requests_per_second("prod", &format!("app-{n}"))).collect();
        assert!(rates.iter().all(|rate| (40.0..=80.0).contains(rate)));
        assert!(rates.iter().any(|rate| *rate < 45.0) && rates.iter().any(|rate| *rate > 75.0));
        assert_ne!(hash_name(0, &["ab", "c"]), hash_name(0, &["a", "bc"]));
    }
}
