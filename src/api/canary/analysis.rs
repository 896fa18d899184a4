//! `spec.analysis`: the strategy, its steps, and what each is judged by.

use super::metrics::{Asked, Check, CheckKind, TemplateRef};
use super::reader::Reader;
use super::service::Service;
use super::webhooks::{AlertRef, HookKind, Webhook};
use crate::api::Query;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// `spec.analysis`, or `spec.canaryAnalysis` of the alpha versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Time between two checks; the controller bounds it from below.
    pub interval: Duration,
    /// Failed checks that end the rollout; at least 1.
    pub threshold: u32,
    /// Checks before the promotion, without steps of the weight; 0: the weight decides.
    pub iterations: u32,
    /// Whom the canary serves, in the shape of Istio's HTTPMatchRequest; empty: everybody.
    pub matches: Vec<Value>,
    /// Whether requests are copied to the canary before it answers any.
    pub mirror: bool,
    /// Percent of the requests that are copied, 1 to 100; 0: all, as Istio does where none is named.
    pub mirror_weight: u8,
    /// How a user stays with the version that answered first.
    pub affinity: Option<SessionAffinity>,
    /// Weight from which the canary is promoted, 1 to 100: the last of `step_weights` where there are any.
    pub max_weight: u8,
    /// Percent of traffic added by a step, 1 to 100; 0 where `step_weights` names the weights.
    pub step_weight: u8,
    /// The weights of the steps, rising, 1 to 100 each; empty where `step_weight` says them.
    pub step_weights: Vec<u8>,
    /// Percent of traffic that goes back to the promoted primary at a time; 0: all at once.
    pub step_weight_promotion: u8,
    /// Percent of its updated pods that the primary needs to be ready, 0 to 100.
    pub primary_ready_threshold: u8,
    /// The same of the canary.
    pub canary_ready_threshold: u8,
    /// In the order in which they are held against what was read: as in Flagger those by templates come last.
    pub checks: Vec<Check>,
    /// The queries of the [`Custom`](super::CheckKind::Custom) checks, by their place in `checks`.
    pub queries: BTreeMap<usize, Query>,
    /// The templates of the [`Template`](super::CheckKind::Template) checks, by their place in `checks`.
    pub templates: BTreeMap<usize, TemplateRef>,
    pub webhooks: Vec<Webhook>,
    pub alerts: Vec<AlertRef>,
}

/// How a rollout goes from its first check to its promotion, with Flagger's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The weight rises step by step.
    Canary,
    /// Checked without users' traffic, then all of it at once.
    BlueGreen,
    /// Those who match are served by the canary, for some checks.
    AbTesting,
}

impl Strategy {
    /// As in the labels of Flagger's series.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Canary => "canary",
            Strategy::BlueGreen => "blue-green",
            Strategy::AbTesting => "ab-testing",
        }
    }
}

impl Analysis {
    /// The strategy that the fields ask for.
    pub fn strategy(&self) -> Strategy {
        match (self.iterations, self.matches.is_empty()) {
            (0, _) => Strategy::Canary,
            (_, true) => Strategy::BlueGreen,
            (_, false) => Strategy::AbTesting,
        }
    }

    /// The webhooks of one kind, in their order.
    pub fn hooks(&self, kind: HookKind) -> impl Iterator<Item = &Webhook> {
        self.webhooks.iter().filter(move |hook| hook.kind == kind)
    }
}

/// `analysis.sessionAffinity`: the cookies that keep a user with one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionAffinity {
    pub cookie: String,
    /// The cookie of those whom the primary answered; empty: they have none.
    pub primary_cookie: String,
    /// Seconds for which the canary's cookie is kept.
    pub max_age: u64,
    pub domain: Option<String>,
    pub http_only: bool,
    pub partitioned: bool,
    pub path: Option<String>,
    pub same_site: Option<String>,
    pub secure: bool,
}

/// Whether a `stepWeights` names none.
fn no_weights(value: &Value) -> bool {
    value.as_array().map_or(value.is_null(), Vec::is_empty)
}

impl Reader<'_> {
    pub fn analysis(
        &mut self,
        path: &str,
        analysis: &Map<String, Value>,
        service: Option<&Service>,
    ) -> Option<Analysis> {
        let known = [
            "interval",
            "threshold",
            "iterations",
            "match",
            "mirror",
            "mirrorWeight",
            "sessionAffinity",
            "maxWeight",
            "stepWeight",
            "stepWeights",
            "stepWeightPromotion",
            "primaryReadyThreshold",
            "canaryReadyThreshold",
            "metrics",
            "webhooks",
            "alerts",
        ];
        self.only(path, analysis, &known);
        let interval = self.duration(&format!("{path}.interval"), analysis.get("interval"));
        let threshold = self.whole(&format!("{path}.threshold"), analysis.get("threshold"), 1, 0, 1_000_000);
        let iterations = self.whole(&format!("{path}.iterations"), analysis.get("iterations"), 0, 0, 1_000_000);
        let max = self.whole(&format!("{path}.maxWeight"), analysis.get("maxWeight"), 100, 0, 100);
        let mut percent =
            |key: &str, default: u64| self.whole(&format!("{path}.{key}"), analysis.get(key), default, 0, 100);
        let (step, back) = (percent("stepWeight", 0), percent("stepWeightPromotion", 0));
        let mirror_weight = percent("mirrorWeight", 0);
        let (primary_ready, canary_ready) =
            (percent("primaryReadyThreshold", 100), percent("canaryReadyThreshold", 100));
        let mirror = self.switch(&format!("{path}.mirror"), analysis.get("mirror"));
        // As in Flagger, where both are given the step size decides.
        let weights = match (step, iterations) {
            (Some(0), Some(0)) => self.weights(&format!("{path}.stepWeights"), analysis.get("stepWeights")),
            _ => Vec::new(),
        };
        if step == Some(0)
            && iterations == Some(0)
            && weights.is_empty()
            && analysis.get("stepWeights").is_none_or(no_weights)
        {
            self.problem(format!("{path}.stepWeight"), "is 0 or missing: no step would ever be taken; give 1 to 100");
        }
        let matches = self.objects(&format!("{path}.match"), analysis.get("match"));
        let matches: Vec<Value> = matches.into_iter().map(|m| Value::Object(m.clone())).collect();
        let affinity = self.affinity(&format!("{path}.sessionAffinity"), analysis.get("sessionAffinity"));
        if service.is_some_and(Service::is_tcp) {
            for (there, key) in
                [(!matches.is_empty(), "match"), (mirror, "mirror"), (affinity.is_some(), "sessionAffinity")]
            {
                if there {
                    self.problem(format!("{path}.{key}"), "needs requests to tell apart, and appProtocol is tcp");
                }
            }
        }
        let mut asked = Vec::new();
        match analysis.get("metrics") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (index, metric) in list.iter().enumerate() {
                    asked.extend(self.checks(&format!("{path}.metrics[{index}]"), metric));
                }
            }
            Some(_) => self.problem(format!("{path}.metrics"), "is no list"),
        }
        asked.sort_by_key(|(check, _)| check.kind == CheckKind::Template);
        let (mut checks, mut queries, mut templates) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (place, (check, asked)) in asked.into_iter().enumerate() {
            checks.push(check);
            match asked {
                None => {}
                Some(Asked::By(query)) => drop(queries.insert(place, query)),
                Some(Asked::Through(template)) => drop(templates.insert(place, template)),
            }
        }
        let webhooks = self.webhooks(&format!("{path}.webhooks"), analysis.get("webhooks"));
        let alerts = self.alerts(&format!("{path}.alerts"), analysis.get("alerts"));
        Some(Analysis {
            interval: interval?,
            threshold: threshold?.max(1) as u32,
            iterations: iterations? as u32,
            matches,
            mirror,
            mirror_weight: mirror_weight? as u8,
            affinity,
            // 0 means that none is set, as in Flagger.
            max_weight: match (weights.last(), max?) {
                (Some(&last), _) => last,
                (None, 0) => 100,
                (None, max) => max as u8,
            },
            step_weight: step? as u8,
            step_weights: weights,
            step_weight_promotion: back? as u8,
            primary_ready_threshold: primary_ready? as u8,
            canary_ready_threshold: canary_ready? as u8,
            checks,
            queries,
            templates,
            webhooks,
            alerts,
        })
    }

    /// The weights of `stepWeights`. Flagger jumps to 100 from a weight that does not rise; here that is a problem.
    fn weights(&mut self, path: &str, value: Option<&Value>) -> Vec<u8> {
        let list = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.problem(path, "is no list");
                return Vec::new();
            }
        };
        let mut weights: Vec<u8> = Vec::new();
        for (index, weight) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(weight) = self.whole(&path, Some(weight), 0, 1, 100) else { continue };
            match weights.last() {
                Some(&last) if weight <= u64::from(last) => {
                    self.problem(path, format!("is {weight} after {last}: the weights must rise"));
                }
                _ => weights.push(weight as u8),
            }
        }
        weights
    }

    fn affinity(&mut self, path: &str, value: Option<&Value>) -> Option<SessionAffinity> {
        let map = self.object(path, value)?;
        let known = [
            "cookieName",
            "primaryCookieName",
            "maxAge",
            "domain",
            "httpOnly",
            "partitioned",
            "path",
            "sameSite",
            "secure",
        ];
        self.only(path, map, &known);
        let mut text = |key: &str| self.text(&format!("{path}.{key}"), map.get(key));
        let (cookie, primary_cookie) = (text("cookieName"), text("primaryCookieName").unwrap_or_default());
        let (domain, at, same_site) = (text("domain"), text("path"), text("sameSite"));
        let Some(cookie) = cookie else {
            self.problem(format!("{path}.cookieName"), "is missing");
            return None;
        };
        if cookie == primary_cookie {
            self.problem(format!("{path}.primaryCookieName"), "is the canary's cookie too: give it another name");
        }
        // 0 means that none is set, as in Flagger: a day.
        let max_age = self.whole(&format!("{path}.maxAge"), map.get("maxAge"), 0, 0, 4_000_000_000)?;
        let mut switch = |key: &str| self.switch(&format!("{path}.{key}"), map.get(key));
        Some(SessionAffinity {
            cookie,
            primary_cookie,
            max_age: if max_age == 0 { 86_400 } else { max_age },
            http_only: switch("httpOnly"),
            partitioned: switch("partitioned"),
            secure: switch("secure"),
            domain,
            path: at,
            same_site,
        })
    }
}
