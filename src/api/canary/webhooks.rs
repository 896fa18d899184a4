//! `analysis.webhooks` and `analysis.alerts`: whom a rollout asks, and whom it tells.

use super::reader::Reader;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Time limit of one attempt where a webhook names none, as in Flagger.
const TIMEOUT: Duration = Duration::from_secs(10);

/// When a webhook is called, with Flagger's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookKind {
    /// Before a detected revision is scaled up: no holds it in Waiting.
    ConfirmRollout,
    /// Before the first traffic: a failure counts as a failed check.
    PreRollout,
    /// At every check, before the metrics: a failure counts as a failed check.
    Rollout,
    /// Before each step of the weight: no holds it where it is.
    ConfirmTrafficIncrease,
    /// Before the promotion: no holds it in WaitingPromotion.
    ConfirmPromotion,
    /// After the end, whichever it was.
    PostRollout,
    /// While it waits and progresses: yes rolls it back.
    Rollback,
    /// With every Event.
    Event,
}

impl HookKind {
    const NAMED: [(HookKind, &'static str); 8] = [
        (HookKind::ConfirmRollout, "confirm-rollout"),
        (HookKind::PreRollout, "pre-rollout"),
        (HookKind::Rollout, "rollout"),
        (HookKind::ConfirmTrafficIncrease, "confirm-traffic-increase"),
        (HookKind::ConfirmPromotion, "confirm-promotion"),
        (HookKind::PostRollout, "post-rollout"),
        (HookKind::Rollback, "rollback"),
        (HookKind::Event, "event"),
    ];

    /// The name as it stands in `type`.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Whether an operator may open it: a gate that holds a rollout until somebody says yes.
    pub fn is_gate(self) -> bool {
        matches!(self, HookKind::ConfirmRollout | HookKind::ConfirmTrafficIncrease | HookKind::ConfirmPromotion)
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub name: String,
    pub url: String,
    pub kind: HookKind,
    /// Of one attempt.
    pub timeout: Duration,
    /// Attempts after the first one.
    pub retries: u32,
    /// Whether the receiver's certificate goes unchecked.
    pub skip_tls_verify: bool,
    /// Whether no alert says that this gate is shut.
    pub mute_alert: bool,
    pub metadata: BTreeMap<String, String>,
}

/// How grave an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warn,
    Error,
}

impl Severity {
    /// Flagger's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
        }
    }
}

/// One entry of `analysis.alerts`: who is told of what is at least so grave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRef {
    pub name: String,
    pub severity: Severity,
    /// Name of the AlertProvider.
    pub provider: String,
    /// Its namespace; None: the Canary's.
    pub namespace: Option<String>,
}

impl Reader<'_> {
    pub fn webhooks(&mut self, path: &str, value: Option<&Value>) -> Vec<Webhook> {
        let list = self.objects(path, value);
        let mut hooks: Vec<Webhook> = Vec::new();
        for (index, hook) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            let known = ["name", "url", "type", "timeout", "retries", "disableTLS", "muteAlert", "metadata"];
            self.only(&path, hook, &known);
            let mut text = |key: &str| self.text(&format!("{path}.{key}"), hook.get(key));
            let (name, url, kind) = (text("name"), text("url"), text("type"));
            let kind = match kind.as_deref() {
                None => Some(HookKind::Rollout),
                Some(name) => HookKind::NAMED.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind),
            };
            if kind.is_none() {
                let given = hook.get("type").unwrap_or(&Value::Null);
                self.problem(format!("{path}.type"), format!("is {given}, which is no type of webhook"));
            }
            if name.is_none() {
                self.problem(format!("{path}.name"), "is missing");
            }
            match url.as_deref() {
                None => self.problem(format!("{path}.url"), "is missing"),
                Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                    self.problem(format!("{path}.url"), format!("is {url:?}, which is no HTTP address"));
                }
                Some(_) => {}
            }
            let timeout = match hook.get("timeout") {
                None | Some(Value::Null) => Some(TIMEOUT),
                Some(Value::String(text)) if text.is_empty() => Some(TIMEOUT),
                given => self.duration(&format!("{path}.timeout"), given),
            };
            let retries = self.whole(&format!("{path}.retries"), hook.get("retries"), 0, 0, 100);
            let read = (|| {
                Some(Webhook {
                    name: name?,
                    url: url?,
                    kind: kind?,
                    timeout: timeout?,
                    retries: retries? as u32,
                    skip_tls_verify: self.switch(&format!("{path}.disableTLS"), hook.get("disableTLS")),
                    mute_alert: self.switch(&format!("{path}.muteAlert"), hook.get("muteAlert")),
                    metadata: self.texts(&format!("{path}.metadata"), hook.get("metadata")),
                })
            })();
            if let Some(hook) = &read
                && hook.kind.is_gate()
                && hooks.iter().any(|other| other.kind.is_gate() && other.name == hook.name)
            {
                // Gates are opened by their name.
                self.problem(format!("{path}.name"), format!("is {:?}, as that of another gate", hook.name));
            }
            hooks.extend(read);
        }
        hooks
    }

    pub fn alerts(&mut self, path: &str, value: Option<&Value>) -> Vec<AlertRef> {
        let list = self.objects(path, value);
        let mut alerts = Vec::new();
        for (index, alert) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.only(&path, alert, &["name", "severity", "providerRef"]);
            let severity = match self.text(&format!("{path}.severity"), alert.get("severity")).as_deref() {
                // Flagger documents this default and then never sends such an alert.
                None | Some("info") => Severity::Info,
                Some("warn") => Severity::Warn,
                Some("error") => Severity::Error,
                Some(other) => {
                    self.problem(format!("{path}.severity"), format!("is {other:?}; it is info, warn or error"));
                    continue;
                }
            };
            let path = format!("{path}.providerRef");
            let Some(provider) = self.object(&path, alert.get("providerRef")) else {
                self.problem(path, "is missing");
                continue;
            };
            self.only(&path, provider, &["name", "namespace"]);
            let Some(name) = self.text(&format!("{path}.name"), provider.get("name")) else {
                self.problem(format!("{path}.name"), "is missing");
                continue;
            };
            alerts.push(AlertRef {
                name: self.text("", alert.get("name")).unwrap_or_default(),
                severity,
                provider: name,
                namespace: self.text(&format!("{path}.namespace"), provider.get("namespace")),
            });
        }
        alerts
    }
}
