//! The step after a check that passed: of the weight, of the iterations, or to the promotion.

use super::decide::Plan;
use super::{Effect, Traffic, next_weight};
use crate::api::{Phase, Request, Strategy};

/// What the routes have, held against what the status says.
pub(super) enum Standing {
    /// The rollout is where the status says.
    AsRecorded,
    /// A step was taken and not recorded.
    Unrecorded,
    /// Somebody's hand was on the routes.
    Moved,
    /// The canary stood in for a primary without pods.
    StoodIn,
}

impl Plan<'_> {
    /// The traffic with this weight, which is the rollout's own.
    pub fn traffic(&self, canary: u8) -> Traffic {
        Traffic { canary, mirrored: false, everyone: false, cookies: self.cookies(canary) }
    }

    /// How the routes stand towards the status.
    pub(super) fn routed(&self) -> Standing {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        let (live, before, iterations) = (facts.live_weight(), facts.status.canary_weight, facts.status.iterations);
        let strategy = analysis.strategy();
        if facts.routes.everyone {
            return Standing::StoodIn;
        }
        // Flagger writes no weight where it counts iterations.
        let by_flagger = match strategy {
            Strategy::Canary => false,
            Strategy::BlueGreen => iterations > analysis.iterations,
            Strategy::AbTesting => iterations > 0,
        };
        if by_flagger && live == 100 {
            return Standing::AsRecorded;
        }
        // Where the next step would have led.
        let next = match strategy {
            Strategy::Canary => next_weight(analysis, before),
            Strategy::BlueGreen if iterations < analysis.iterations => 0,
            Strategy::BlueGreen | Strategy::AbTesting => 100,
        };
        if live == before {
            let mirror_unrecorded = facts.routes.mirrored && live == 0 && iterations == 0;
            return if mirror_unrecorded { Standing::Unrecorded } else { Standing::AsRecorded };
        }
        if live == next { Standing::Unrecorded } else { Standing::Moved }
    }

    /// Whether the canary has been given anything to do: traffic, copies of it, or a first check.
    pub fn begun(&self) -> bool {
        let facts = self.facts;
        facts.live_weight() > 0 || facts.routes.mirrored || facts.status.iterations > 0
    }

    /// Whether the weight is what the next step moves, and a gate may hold it.
    pub fn raises_weight(&self) -> bool {
        self.facts.spec.analysis.strategy() == Strategy::Canary && !self.facts.routes.mirrored
    }

    /// The first step: the canary gets its first traffic, or its first check.
    pub fn first_step(&mut self, advance: Option<&Request>) {
        let analysis = &self.facts.spec.analysis;
        match analysis.strategy() {
            Strategy::Canary if analysis.mirror => {
                self.push_routes(Traffic { mirrored: true, ..self.traffic(0) }, advance);
                self.step_taken(0, 1, advance);
            }
            Strategy::Canary => self.raise(0, advance),
            Strategy::BlueGreen | Strategy::AbTesting => self.iterate(advance),
        }
    }

    /// Whether what was just checked was the last before the promotion.
    pub fn is_last_check(&self) -> bool {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        match analysis.strategy() {
            Strategy::Canary => facts.live_weight() >= analysis.max_weight && !facts.routes.mirrored,
            Strategy::BlueGreen | Strategy::AbTesting => facts.status.iterations >= analysis.iterations,
        }
    }

    /// Whether a blue/green rollout's users are yet to be moved: the last checks are made under their traffic.
    pub fn is_to_be_switched(&self) -> bool {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        analysis.strategy() == Strategy::BlueGreen && facts.status.iterations <= analysis.iterations
    }

    /// All users to the canary, for one more check.
    pub fn switch(&mut self, advance: Option<&Request>) {
        self.push_routes(self.traffic(100), advance);
        self.step_taken(100, self.facts.spec.analysis.iterations + 1, advance);
    }

    /// The step after a check that was not the last.
    pub fn next_step(&mut self, advance: Option<&Request>) {
        match self.facts.spec.analysis.strategy() {
            Strategy::Canary => self.raise(self.facts.live_weight(), advance),
            Strategy::BlueGreen | Strategy::AbTesting => self.iterate(advance),
        }
    }

    fn raise(&mut self, weight: u8, advance: Option<&Request>) {
        let next = next_weight(&self.facts.spec.analysis, weight);
        self.push_routes(self.traffic(next), advance);
        self.step_taken(next, 0, advance);
    }

    fn iterate(&mut self, advance: Option<&Request>) {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        let next = facts.status.iterations + 1;
        let weight = match analysis.strategy() {
            Strategy::AbTesting => 100,
            Strategy::BlueGreen | Strategy::Canary => 0,
        };
        let traffic = Traffic { mirrored: analysis.mirror && weight == 0, ..self.traffic(weight) };
        if facts.live_weight() != weight || facts.routes.mirrored != traffic.mirrored || advance.is_some() {
            self.push_routes(traffic, advance);
        }
        self.step_taken(weight, next, advance);
    }

    fn push_routes(&mut self, traffic: Traffic, advance: Option<&Request>) {
        self.route(traffic, advance.map(|a| a.id.as_str()));
    }

    /// Says which step was taken, and records it.
    fn step_taken(&mut self, weight: u8, iterations: u32, advance: Option<&Request>) {
        let said = self.say_step(weight, iterations);
        if let Some(advance) = advance {
            self.carried_out(advance, &said);
        }
        self.through_gate();
        self.status(|status| {
            status.phase = Phase::Progressing;
            status.canary_weight = weight;
            status.iterations = iterations;
        });
        if advance.is_some() {
            self.push(Effect::ClearRequest { marks: Vec::new() });
        }
    }

    /// Flagger's Event for a step; answers what it was.
    fn say_step(&mut self, weight: u8, iterations: u32) -> String {
        let facts = self.facts;
        let analysis = &facts.spec.analysis;
        let advance = format!("Advance {}.{} canary", facts.name, facts.namespace);
        match analysis.strategy() {
            Strategy::Canary if weight == 0 => {
                self.event(false, "Mirroring", format!("Mirroring traffic to {}.{}", facts.name, facts.namespace));
                "traffic is mirrored".into()
            }
            Strategy::Canary => {
                self.synced(format!("{advance} weight {weight}"));
                format!("canary weight {weight}")
            }
            Strategy::BlueGreen if iterations > analysis.iterations => {
                self.synced(match analysis.mirror {
                    true => "Stop traffic mirroring and route all traffic to canary".into(),
                    false => "Routing all traffic to canary".into(),
                });
                "all traffic goes to the canary".into()
            }
            Strategy::BlueGreen | Strategy::AbTesting => {
                self.synced(format!("{advance} iteration {iterations}/{}", analysis.iterations));
                format!("iteration {iterations} of {}", analysis.iterations)
            }
        }
    }

    /// A step was taken and its record was lost: it is recorded now, and the next check is an interval away.
    pub fn record_step(&mut self) {
        let facts = self.facts;
        let live = facts.live_weight();
        let iterations = match facts.spec.analysis.strategy() {
            Strategy::Canary if facts.routes.mirrored => 1,
            Strategy::Canary => 0,
            Strategy::BlueGreen | Strategy::AbTesting => facts.status.iterations + 1,
        };
        self.say_step(live, iterations);
        // The cookies that were written with it.
        let cookies = self.traffic(live).cookies;
        self.status(|status| {
            status.canary_weight = live;
            status.iterations = iterations;
            status.cookies = cookies;
        });
    }
}
