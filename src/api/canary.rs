//! The Canary's spec, read from any of its versions into what the controller carries out.
//!
//! Reading is by allow-list: a field that we do not carry out, and that asks for something, is a [`Problem`], so that
//! a gate is never silently skipped. Nothing is dropped from the object by reading it: it is patched, never rewritten.

mod analysis;
mod metrics;
mod reader;
mod service;
mod webhooks;

pub use analysis::{Analysis, SessionAffinity, Strategy};
pub use metrics::{Check, CheckKind, Era, TemplateRef, is_name};
pub use service::{Metadata, Routing, Service, Unmanaged};
pub use webhooks::{AlertRef, HookKind, Severity, Webhook};

use super::{Problem, Provider};
use reader::{Reader, asks};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A Canary's spec as far as we carry it out: Deployment targets, and the routes of the [`Provider`]s that there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Who carries out the routing.
    pub provider: Provider,
    /// Name of the Deployment that `targetRef` names, in the Canary's namespace.
    pub target: String,
    /// The autoscaler of the target, where the Canary names one.
    pub autoscaler: Option<Autoscaler>,
    pub service: Service,
    /// Many Canaries may share one.
    pub analysis: Arc<Analysis>,
    /// How long a workload may stay without its ready pods before the rollout fails. Flagger's default is 600 s.
    pub progress_deadline: Duration,
    /// Address of the Prometheus to ask, where the Canary names one.
    pub metrics_server: Option<String>,
    /// Whether a new revision is promoted as soon as it is ready, unchecked.
    pub skip_analysis: bool,
    /// Whether nothing is to be done for this Canary.
    pub suspend: bool,
    /// Whether a deletion gives the traffic back to the target first.
    pub revert_on_deletion: bool,
}

/// `spec.autoscalerRef`: the HorizontalPodAutoscaler of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    pub name: String,
    /// Bounds of the primary's copy where they are not to be the original's.
    pub min_replicas: Option<u32>,
    pub max_replicas: Option<u32>,
}

impl Autoscaler {
    /// Name of the primary's copy.
    pub fn primary(&self) -> String {
        format!("{}-primary", self.name)
    }
}

impl Spec {
    /// Name of the primary workload.
    pub fn primary(&self) -> String {
        format!("{}-primary", self.target)
    }

    /// Reads `spec`. All that is wrong is reported, not only the first.
    pub fn read(spec: &Value) -> Result<Self, Vec<Problem>> {
        match Self::read_partly(spec) {
            (Some(parsed), problems) if problems.is_empty() => Ok(parsed),
            (_, problems) => Err(problems),
        }
    }

    /// Reads what can be read, and what is wrong with the rest: a rollout under way must be brought home even when its
    /// Canary has come to ask for what is not carried out.
    pub fn read_partly(spec: &Value) -> (Option<Self>, Vec<Problem>) {
        let mut problems = Vec::new();
        let parsed = Reader { problems: &mut problems }.spec(spec);
        (parsed, problems)
    }
}

impl Reader<'_> {
    fn spec(&mut self, value: &Value) -> Option<Spec> {
        let Some(spec) = value.as_object() else {
            self.problem("spec", "is missing");
            return None;
        };
        let known = [
            "targetRef",
            "autoscalerRef",
            "service",
            "analysis",
            "canaryAnalysis",
            "progressDeadlineSeconds",
            "metricsServer",
            "provider",
            "skipAnalysis",
            "suspend",
            "revertOnDeletion",
        ];
        self.only("spec", spec, &known);
        let asked = spec.get("provider").and_then(Value::as_str).unwrap_or_default();
        let provider = Provider::named(asked).unwrap_or_else(|| {
            self.problem("spec.provider", format!("is {asked:?}; only {} supported", Provider::names()));
            Provider::default()
        });
        let target = self.target(spec.get("targetRef").unwrap_or(&Value::Null));
        let service = self.service(spec.get("service").unwrap_or(&Value::Null), target.as_deref(), provider);
        let (path, analysis) = match (spec.get("analysis"), spec.get("canaryAnalysis")) {
            (Some(Value::Object(analysis)), _) => ("spec.analysis", Some(analysis)),
            (_, Some(Value::Object(analysis))) => ("spec.canaryAnalysis", Some(analysis)),
            _ => ("spec.analysis", None),
        };
        let analysis = match analysis {
            Some(analysis) => self.analysis(path, analysis, service.as_ref()),
            None => {
                self.problem(path, "is missing");
                None
            }
        };
        if let Some((service, analysis)) = service.as_ref().zip(analysis.as_ref()) {
            self.problems.extend(provider.objections(service, analysis));
        }
        let deadline =
            self.whole("spec.progressDeadlineSeconds", spec.get("progressDeadlineSeconds"), 600, 1, 31_536_000);
        let autoscaler = self.autoscaler(spec.get("autoscalerRef"));
        let mut switch = |key: &str| self.switch(&format!("spec.{key}"), spec.get(key));
        let (skip_analysis, suspend) = (switch("skipAnalysis"), switch("suspend"));
        let revert_on_deletion = switch("revertOnDeletion");
        Some(Spec {
            provider,
            target: target?,
            autoscaler,
            service: service?,
            analysis: Arc::new(analysis?),
            progress_deadline: Duration::from_secs(deadline?),
            metrics_server: spec
                .get("metricsServer")
                .and_then(Value::as_str)
                .filter(|s| !s.is_empty())
                .map(str::to_string),
            skip_analysis,
            suspend,
            revert_on_deletion,
        })
    }

    fn target(&mut self, target: &Value) -> Option<String> {
        let text = |key: &str| target.get(key).and_then(Value::as_str).unwrap_or("");
        match text("kind") {
            "Deployment" => {}
            "" => self.problem("spec.targetRef.kind", "is missing"),
            kind => self.problem("spec.targetRef.kind", format!("is {kind:?}; only Deployment is supported")),
        }
        match text("name") {
            "" => {
                self.problem("spec.targetRef.name", "is missing");
                None
            }
            name => Some(name.to_string()),
        }
    }

    fn autoscaler(&mut self, value: Option<&Value>) -> Option<Autoscaler> {
        let path = "spec.autoscalerRef";
        // The definitions of 2019 allow a name alone.
        if let Some(Value::String(name)) = value {
            let named = !name.is_empty();
            return named.then(|| Autoscaler { name: name.clone(), min_replicas: None, max_replicas: None });
        }
        let map = self.object(path, value.filter(|value| asks(value)))?;
        self.only(path, map, &["apiVersion", "kind", "name", "primaryScalerReplicas"]);
        match map.get("kind").and_then(Value::as_str) {
            Some("HorizontalPodAutoscaler") => {}
            None => self.problem(format!("{path}.kind"), "is missing"),
            Some(kind) => {
                self.problem(format!("{path}.kind"), format!("is {kind:?}; only HorizontalPodAutoscaler is supported"));
            }
        }
        let replicas = format!("{path}.primaryScalerReplicas");
        let bounds = self.object(&replicas, map.get("primaryScalerReplicas")).cloned().unwrap_or_default();
        self.only(&replicas, &bounds, &["minReplicas", "maxReplicas"]);
        let mut bound = |key: &str| {
            let given = bounds.get(key).filter(|value| asks(value))?;
            self.whole(&format!("{replicas}.{key}"), Some(given), 1, 1, 1_000_000).map(|n| n as u32)
        };
        let (min_replicas, max_replicas) = (bound("minReplicas"), bound("maxReplicas"));
        let Some(name) = self.text(&format!("{path}.name"), map.get("name")) else {
            self.problem(format!("{path}.name"), "is missing");
            return None;
        };
        Some(Autoscaler { name, min_replicas, max_replicas })
    }
}

#[cfg(test)]
mod tests;
