//! How each image tag behaves under traffic.

/// How one version of a program behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// The image tag. Empty for every tag that is not in [`BEHAVIOURS`].
    pub tag: &'static str,
    /// One short phrase for an operator.
    pub summary: &'static str,
    /// The share of its requests that it answers with 500, from 0 to 1.
    pub error_rate: f64,
    /// Half of its requests take no longer than this, in milliseconds.
    pub latency_median_ms: f64,
    /// The spread of its latency: the standard deviation of the logarithm.
    pub latency_sigma: f64,
    /// CPU seconds that one request costs.
    pub cpu_per_request: f64,
    /// Memory of a pod at its start, in bytes.
    pub memory_base: f64,
    /// Bytes a second by which a pod's memory grows, up to [`MEMORY_LIMIT`].
    pub memory_growth: f64,
    /// Whether its pods ever become ready.
    pub becomes_ready: bool,
}

/// Where memory stops growing, in bytes.
pub const MEMORY_LIMIT: f64 = 1.5 * 1024.0 * MIB;

/// Above this a pod spends its time looking for memory, and its latency grows with what it holds.
pub const MEMORY_PRESSURE: f64 = 640.0 * MIB;

const MIB: f64 = 1024.0 * 1024.0;

const GOOD: Behaviour = Behaviour {
    tag: "",
    summary: "good",
    error_rate: 0.0,
    latency_median_ms: 42.0,
    latency_sigma: 0.42,
    cpu_per_request: 0.008,
    memory_base: 180.0 * MIB,
    memory_growth: 0.0,
    becomes_ready: true,
};

/// What is known of each tag, in order. All other tags are good.
pub const BEHAVIOURS: [Behaviour; 7] = [
    Behaviour { tag: "1.0.0", ..GOOD },
    Behaviour { tag: "1.1.0", latency_median_ms: 38.0, memory_base: 172.0 * MIB, ..GOOD },
    Behaviour { tag: "1.2.0", summary: "5xx on 8 % of requests", error_rate: 0.08, ..GOOD },
    Behaviour {
        tag: "1.3.0",
        summary: "slow: P99 near 2 s",
        latency_median_ms: 450.0,
        latency_sigma: 0.6,
        cpu_per_request: 0.02,
        ..GOOD
    },
    Behaviour { tag: "1.4.0", summary: "never ready", becomes_ready: false, ..GOOD },
    Behaviour { tag: "1.5.0", summary: "leaks memory, 6 MiB a second", memory_growth: 6.0 * MIB, ..GOOD },
    // Not offered: bad however short the window that it is judged by.
    Behaviour { tag: "5xx", summary: "5xx on half of its requests", error_rate: 0.5, ..GOOD },
];

/// The tags that an operator is offered, the good one first.
pub const OFFERED: [&str; 5] = ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"];

/// How a tag behaves. A tag that nobody knows is good.
pub fn of_tag(tag: &str) -> Behaviour {
    BEHAVIOURS.into_iter().find(|behaviour| behaviour.tag == tag).unwrap_or(GOOD)
}

impl Behaviour {
    /// The memory of a pod that has run for so many seconds, in bytes.
    pub fn memory_after(&self, seconds: f64) -> f64 {
        (self.memory_base + self.memory_growth * seconds.max(0.0)).min(MEMORY_LIMIT)
    }

    /// By how much a pod of that age is slower than a fresh one; 1 for the same.
    pub fn slowdown_after(&self, seconds: f64) -> f64 {
        let excess = (self.memory_after(seconds) - MEMORY_PRESSURE).max(0.0);
        1.0 + 12.0 * excess / MEMORY_PRESSURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_tags_are_known_and_the_good_one_is_first() {
        assert_eq!(of_tag(OFFERED[0]).summary, "good");
        assert!(OFFERED[1..].iter().all(|tag| of_tag(tag).summary != "good"));
        assert_eq!(of_tag("unheard-of"), GOOD);
    }

    #[test]
    fn a_leak_shows_within_a_minute_and_slows_later() {
        let leaking = of_tag("1.5.0");
        assert!(leaking.memory_after(60.0) > 2.5 * leaking.memory_after(0.0));
        assert_eq!(leaking.slowdown_after(30.0), 1.0);
        assert!(leaking.slowdown_after(180.0) > 5.0);
        assert_eq!(leaking.memory_after(1e9), MEMORY_LIMIT);
        assert_eq!(of_tag("1.0.0").memory_after(-5.0), GOOD.memory_base);
    }
}
