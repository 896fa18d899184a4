//! One behaviour on one cluster: the steps that are taken, and what was answered to each, without what may differ
//! between two clusters that behave alike.

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use crate::cluster::{Answer, Ask, Cluster};

/// The content types of patches.
pub const MERGE: &str = "application/merge-patch+json";
pub const JSON: &str = "application/json-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";

/// How long a watch lasts that sees all that is done meanwhile, in seconds.
const WATCH_SECONDS: u64 = 3;

/// What is done, and what was answered.
pub struct Script<'a> {
    cluster: &'a Cluster,
    /// The namespace of this behaviour alone.
    pub namespace: String,
    /// The answers by the step's name.
    pub answers: Vec<(String, Value)>,
    uids: HashMap<String, String>,
    versions: HashMap<String, Vec<String>>,
}

impl<'a> Script<'a> {
    /// Begins in a namespace of its own.
    pub async fn begin(cluster: &'a Cluster, behaviour: &str) -> Self {
        let real = cluster.is_real();
        let random: u32 = rand::random();
        let namespace = format!("api-{}-{random:08x}", behaviour.replace(' ', "-"));
        let script = Self {
            cluster,
            namespace: namespace.clone(),
            answers: Vec::new(),
            uids: HashMap::new(),
            versions: HashMap::new(),
        };
        let body = json!({ "metadata": { "name": namespace } }).to_string();
        let made = script.send("POST", "/api/v1/namespaces", &[], body.into()).await;
        assert_eq!(made.status, 201, "{}", made.body);
        if real {
            // A pod needs its account, which a controller makes.
            cluster.until(&script.at("api/v1", "serviceaccounts/default"), |one| one["kind"] == "ServiceAccount").await;
        }
        script
    }

    /// Leaves nothing behind.
    pub async fn end(&self) {
        self.send("DELETE", &format!("/api/v1/namespaces/{}", self.namespace), &[], Vec::new()).await;
    }

    /// A path in the namespace: `at("apis/apps/v1", "deployments/a")`.
    pub fn at(&self, version: &str, rest: &str) -> String {
        format!("/{version}/namespaces/{}/{rest}", self.namespace)
    }

    /// The path of a ConfigMap, or of all with their query.
    pub fn config(&self, rest: &str) -> String {
        self.at("api/v1", &format!("configmaps{rest}"))
    }

    /// The path of a Deployment, or of all with their query.
    pub fn deployment(&self, rest: &str) -> String {
        self.at("apis/apps/v1", &format!("deployments{rest}"))
    }

    /// The path of a Canary, or of all with their query.
    pub fn canary(&self, rest: &str) -> String {
        self.at("apis/flagger.app/v1beta1", &format!("canaries{rest}"))
    }

    async fn send(&self, method: &'static str, path: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Answer {
        let mut headers: Vec<(&'static str, String)> =
            headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/json".into()));
        }
        self.cluster.ask(Ask { method, path: path.to_owned(), headers, body }).await
    }

    /// Asks, notes the answer, and returns the body as it came.
    pub async fn ask(
        &mut self,
        step: &str,
        method: &'static str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Value {
        let answer = self.send(method, path, headers, body.into()).await;
        self.note(step, &answer);
        answer.body
    }

    pub async fn get(&mut self, step: &str, path: &str) -> Value {
        self.ask(step, "GET", path, &[], "").await
    }

    pub async fn get_as(&mut self, step: &str, path: &str, accept: &str) -> Value {
        self.ask(step, "GET", path, &[("accept", accept)], "").await
    }

    /// Notes only what `part` makes of the body.
    pub async fn get_only(&mut self, step: &str, path: &str, part: impl FnOnce(&mut Value) -> Value) {
        self.get_only_as(step, path, "application/json", part).await;
    }

    pub async fn get_only_as(&mut self, step: &str, path: &str, accept: &str, part: impl FnOnce(&mut Value) -> Value) {
        let mut answer = self.send("GET", path, &[("accept", accept)], Vec::new()).await;
        answer.body = part(&mut answer.body);
        self.note(step, &answer);
    }

    pub async fn post(&mut self, step: &str, path: &str, body: Value) -> Value {
        self.ask(step, "POST", path, &[], body.to_string()).await
    }

    pub async fn put(&mut self, step: &str, path: &str, body: Value) -> Value {
        self.ask(step, "PUT", path, &[], body.to_string()).await
    }

    pub async fn patch(&mut self, step: &str, path: &str, kind: &str, body: Value) -> Value {
        self.ask(step, "PATCH", path, &[("content-type", kind)], body.to_string()).await
    }

    /// Applies as a manager. `path` may carry a query of its own.
    pub async fn apply(&mut self, step: &str, path: &str, manager: &str, body: Value) -> Value {
        let joint = if path.contains('?') { '&' } else { '?' };
        self.patch(step, &format!("{path}{joint}fieldManager={manager}"), APPLY, body).await
    }

    pub async fn delete(&mut self, step: &str, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.ask(step, "DELETE", path, &[], body).await
    }

    /// Waits for an answer, then notes it.
    pub async fn until(&mut self, step: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.cluster.until(path, wanted).await;
        self.get(step, path).await
    }

    /// Watches while the steps are taken, and notes what was seen. The watch must have been told everything by its end.
    pub async fn watch<F>(&mut self, step: &str, path: &str, accept: &str, during: F)
    where
        F: for<'s> FnOnce(&'s mut Script<'a>) -> BoxFuture<'s, ()>,
    {
        let joint = if path.contains('?') { '&' } else { '?' };
        let ask = Ask {
            method: "GET",
            path: format!("{path}{joint}watch=true&timeoutSeconds={WATCH_SECONDS}"),
            headers: vec![("accept", accept.to_owned())],
            body: Vec::new(),
        };
        let cluster = self.cluster;
        let (mut answer, ()) = tokio::join!(cluster.ask(ask), during(self).boxed());
        let events = match answer.body.take() {
            Value::Array(events) => events,
            Value::String(text) if text.is_empty() => Vec::new(),
            one => vec![one],
        };
        // A bookmark comes when it comes, but for the one that ends the beginning.
        let kept = events.into_iter().filter(|event| {
            let metadata = &event["object"]["metadata"];
            let row = &event["object"]["rows"][0]["object"]["metadata"];
            event["type"] != "BOOKMARK" || [metadata, row].iter().any(|metadata| metadata["annotations"].is_object())
        });
        answer.body = kept.collect();
        self.note(step, &answer);
    }

    /// Lets time pass, so that what is recorded in whole seconds differs.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn note(&mut self, step: &str, answer: &Answer) {
        assert!(!self.answers.iter().any(|(known, _)| known == step), "two steps are named {step:?}");
        let content_type = answer.content_type.clone();
        let warnings: Vec<Value> = answer.warnings.iter().map(|text| json!(self.text(text))).collect();
        let mut body = self.plain(&answer.body);
        sort_causes(&mut body);
        let noted = json!({
            "status": answer.status, "type": content_type, "warnings": warnings, "body": body,
        });
        self.answers.push((step.to_owned(), noted));
    }

    /// A value without what may differ.
    fn plain(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => self.plain_object(fields),
            Value::Array(items) => items.iter().map(|item| self.plain(item)).collect(),
            Value::String(text) => json!(self.text(text)),
            other => other.clone(),
        }
    }

    fn plain_object(&mut self, fields: &Map<String, Value>) -> Value {
        let mut plain = Map::new();
        let controlled = is_controlled(fields);
        let uid = fields.get("uid").and_then(Value::as_str).map(str::to_owned);
        for (name, value) in fields {
            let value = match (name.as_str(), value) {
                ("uid", Value::String(uid)) if !uid.is_empty() => json!(self.uid(uid)),
                ("resourceVersion", Value::String(version)) if version.parse::<u64>().is_ok() => match &uid {
                    Some(uid) => json!(self.version(uid, version)),
                    None => json!("VERSION"),
                },
                ("continue", Value::String(token)) if !token.is_empty() => json!("TOKEN"),
                ("managedFields", Value::Array(entries)) => self.managers(entries),
                ("clusterIP", Value::String(ip)) if ip.contains('.') => json!("IP"),
                ("clusterIPs", Value::Array(_)) => json!(["IP"]),
                ("nodeName", Value::String(_)) => json!("NODE"),
                ("cells", Value::Array(cells)) => cells.iter().map(|cell| age_or(cell, self)).collect(),
                ("name", Value::String(given)) => match fields.get("generateName").and_then(Value::as_str) {
                    Some(prefix) if given.len() == prefix.len() + 5 && given.starts_with(prefix) => {
                        json!(format!("{prefix}RANDOM"))
                    }
                    _ => json!(self.text(given)),
                },
                // The controllers write when they write.
                ("status", Value::Object(_)) if controlled => continue,
                ("deployment.kubernetes.io/revision", _) => continue,
                ("annotations", Value::Object(all))
                    if all.len() == 1 && all.contains_key("deployment.kubernetes.io/revision") =>
                {
                    continue;
                }
                (_, value) => self.plain(value),
            };
            plain.insert(self.text(name), value);
        }
        if controlled && let Some(metadata) = plain.get_mut("metadata") {
            metadata["resourceVersion"] = json!("VERSION");
        }
        Value::Object(plain)
    }

    /// Entries of managedFields in an order that does not depend on the second, without those of the controllers and
    /// of the nodes.
    fn managers(&mut self, entries: &[Value]) -> Value {
        let others = ["kube-controller-manager", "kube-apiserver", "nodes"];
        let is_other = |entry: &&Value| entry["manager"].as_str().is_some_and(|name| others.contains(&name));
        let mut entries: Vec<Value> =
            entries.iter().filter(|entry| !is_other(entry)).map(|entry| self.plain(entry)).collect();
        let rank =
            |entry: &Value| ["operation", "manager", "subresource", "apiVersion"].map(|field| entry[field].to_string());
        entries.sort_by_key(rank);
        Value::Array(entries)
    }

    fn uid(&mut self, uid: &str) -> String {
        let next = format!("UID-{}", self.uids.len() + 1);
        self.uids.entry(uid.to_owned()).or_insert(next).clone()
    }

    /// The how-manieth version of the object this is, as far as it was seen.
    fn version(&mut self, uid: &str, version: &str) -> String {
        let seen = self.versions.entry(uid.to_owned()).or_default();
        let place = seen.iter().position(|one| one == version).unwrap_or_else(|| {
            seen.push(version.to_owned());
            seen.len() - 1
        });
        format!("VERSION-{}", place + 1)
    }

    fn text(&mut self, text: &str) -> String {
        static TIME: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").expect("a pattern"));
        static UID: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").expect("a pattern")
        });
        static VERSION: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?i)((resource ?version|current|meta|precondition): )\d+( \(\d+\))?").expect("a pattern")
        });
        static RECORD: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(the ResourceVersion in (?:the precondition|record) )\(\d+\)").expect("a pattern")
        });
        let text = text.replace(&self.namespace, "NS");
        let text = TIME.replace_all(&text, "TIME");
        let text = UID.replace_all(&text, |found: &Captures| self.uid(&found[0]));
        let text = VERSION.replace_all(&text, "${1}VERSION");
        RECORD.replace_all(&text, "${1}(VERSION)").into_owned()
    }
}

/// Ages in tables depend on when they are asked for.
fn age_or(cell: &Value, script: &mut Script) -> Value {
    let is_age = |text: &str| {
        text.strip_suffix(['s', 'm', 'h', 'd'])
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_alphanumeric()))
            && text.starts_with(|first: char| first.is_ascii_digit())
    };
    match cell.as_str() {
        Some(text) if is_age(text) => json!("AGE"),
        _ => script.plain(cell),
    }
}

/// Several causes come in no order that could be relied on.
fn sort_causes(body: &mut Value) {
    let Some(causes) = body.pointer_mut("/details/causes").and_then(Value::as_array_mut) else {
        return;
    };
    if causes.len() > 1 {
        causes.sort_by_key(Value::to_string);
        let message = body["message"].as_str().unwrap_or_default();
        if let Some((start, _)) = message.split_once("is invalid: [") {
            body["message"] = json!(format!("{start}is invalid: [CAUSES]"));
        }
    }
}

/// Whether controllers write this object too, whenever they get to it.
fn is_controlled(fields: &Map<String, Value>) -> bool {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    matches!(text("kind"), "Deployment" | "Pod" | "CustomResourceDefinition")
}
