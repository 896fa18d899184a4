//! How the Canary of a run is set up: the strategies and their numbers.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::time::Duration;

/// What decides how the traffic moves.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// Equal steps up to a weight.
    Steps { step: u8, most: u8 },
    /// Named weights.
    Weights(Vec<u8>),
    /// Checks without traffic, then all of it.
    BlueGreen { iterations: u8 },
}

/// The setup of one run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub strategy: Strategy,
    pub interval: Duration,
    pub threshold: u32,
    /// Percent that goes back to the promoted primary at a time; 0: all.
    pub step_back: u8,
    pub skip_analysis: bool,
    /// New revisions wait for an operator.
    pub manual_start: bool,
    /// The Canary begins without a status.
    pub fresh: bool,
}

impl Setup {
    pub fn drawn(random: &mut Pcg64Mcg) -> Self {
        let strategy = match random.random_range(0..10) {
            0..5 => {
                let (step, most) = [(10, 30), (20, 50), (25, 50), (50, 100), (100, 100)][random.random_range(0..5)];
                Strategy::Steps { step, most }
            }
            5..8 => Strategy::Weights(
                [vec![5, 50], vec![1, 2, 10, 80], vec![30, 60, 100]][random.random_range(0..3)].clone(),
            ),
            _ => Strategy::BlueGreen { iterations: random.random_range(1..4) },
        };
        Self {
            strategy,
            interval: Duration::from_secs([5, 10, 15][random.random_range(0..3)]),
            threshold: random.random_range(1..4),
            step_back: if random.random_bool(0.2) { 50 } else { 0 },
            skip_analysis: random.random_bool(0.05),
            manual_start: random.random_bool(0.15),
            fresh: random.random_bool(0.2),
        }
    }

    /// Writes it into a Canary.
    pub fn write(&self, canary: &mut Value) {
        let analysis = &mut canary["spec"]["analysis"];
        let metric = |name: &str, range: Value| json!({ "name": name, "interval": "10s", "thresholdRange": range });
        *analysis = json!({
            "interval": format!("{}s", self.interval.as_secs()),
            "threshold": self.threshold,
            "metrics": [
                metric("request-success-rate", json!({ "min": 99 })),
                metric("request-duration", json!({ "max": 500 })),
            ],
        });
        match &self.strategy {
            Strategy::Steps { step, most } => {
                analysis["stepWeight"] = json!(step);
                analysis["maxWeight"] = json!(most);
            }
            Strategy::Weights(weights) => analysis["stepWeights"] = json!(weights),
            Strategy::BlueGreen { iterations } => analysis["iterations"] = json!(iterations),
        }
        if self.step_back > 0 && !matches!(self.strategy, Strategy::BlueGreen { .. }) {
            analysis["stepWeightPromotion"] = json!(self.step_back);
        }
        canary["spec"]["skipAnalysis"] = json!(self.skip_analysis);
        canary["spec"]["progressDeadlineSeconds"] = json!(30);
        if self.manual_start {
            canary["metadata"]["annotations"][canary_tui::api::annotation::START] = json!("manual");
        }
    }
}
