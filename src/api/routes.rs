//! Which way the requests go: what is asked of a provider's routes, and what is read back of them.

use super::status::Cookies;

/// The weights of an apex's two destinations, in percent, as the live routes have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    pub primary: u8,
    pub canary: u8,
}

impl Weights {
    /// All traffic to the primary but `canary` percent of it.
    pub fn canary(canary: u8) -> Self {
        let canary = canary.min(100);
        Self { primary: 100 - canary, canary }
    }

    /// What two relative weights come to. None where both weigh nothing. A share that is not nothing never reads as
    /// nothing: users are there.
    pub fn of(primary: f64, canary: f64) -> Option<Self> {
        let known = |weight: f64| if weight.is_finite() { weight.clamp(0.0, 1e9) } else { 0.0 };
        let (primary, canary) = (known(primary), known(canary));
        if primary + canary <= 0.0 {
            return None;
        }
        let share = (canary * 100.0 / (primary + canary)).round();
        Some(Self::canary(match (primary > 0.0, canary > 0.0) {
            (true, true) => share.clamp(1.0, 99.0) as u8,
            _ => share as u8,
        }))
    }
}

/// Which way the requests are to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Percent to the canary, of those whom it serves.
    pub canary: u8,
    /// Whether requests are copied to the canary.
    pub mirrored: bool,
    /// Whether the canary stands in for a primary without pods: then it serves those too whom the Canary does not name.
    /// It is written on the routes, so that it is never taken for a step.
    pub everyone: bool,
    /// What keeps users with their version.
    pub cookies: Cookies,
}

/// Which way the requests go by the live routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// None where the routes lead to neither the primary nor the canary.
    pub weights: Option<Weights>,
    pub mirrored: bool,
    /// Whether the canary stands in for a primary without pods.
    pub everyone: bool,
    /// The cookies that the routes give or take back.
    pub cookies: Cookies,
}

impl Live {
    /// Percent to the canary, of those whom it serves.
    pub fn canary(&self) -> u8 {
        self.weights.map_or(0, |weights| weights.canary)
    }

    /// The same traffic as it would be asked for.
    pub fn traffic(&self, cookies: Cookies) -> Traffic {
        Traffic { canary: self.canary(), mirrored: self.mirrored, everyone: self.everyone, cookies }
    }
}

/// The live routes as they stand, for a reader: all of them, also those that nobody here wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Way {
    pub hosts: Vec<String>,
    /// Where requests come in: names of gateways as the object has them; `mesh` is inside the mesh.
    pub gateways: Vec<String>,
    /// In the order in which they are tried.
    pub rules: Vec<Rule>,
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// Which requests go by it, each a clause of its own; empty: all that come so far.
    pub conditions: Vec<String>,
    pub to: Vec<Destination>,
    /// Who gets copies of the requests, and of how many of them, in percent.
    pub mirrors: Vec<(String, f64)>,
    /// Cookies that its answers give or take back, as `name=value; attributes`.
    pub cookies: Vec<String>,
}

/// Where a route leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Destination {
    pub host: String,
    /// Percent of the requests of the route.
    pub weight: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares_and_somebody_is_never_nobody() {
        let share = |primary, canary| Weights::of(primary, canary).map(|w| w.canary);
        assert_eq!(share(70.0, 30.0), Some(30));
        assert_eq!(share(0.0, 30.0), Some(100));
        assert_eq!(share(2.0, 1.0), Some(33));
        assert_eq!(share(9999.0, 1.0), Some(1));
        assert_eq!(share(1.0, 9999.0), Some(99));
        assert_eq!(share(0.0, 0.0), None);
        assert_eq!(share(-5.0, f64::NAN), None);
        assert_eq!(share(f64::INFINITY, 1.0), Some(100));
    }
}
