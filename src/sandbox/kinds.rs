//! Which kinds the sandbox serves, as data: names, versions, subresources, schemas, printer columns.
//! A kind comes from the built-in table or from a CustomResourceDefinition; nothing else in the sandbox asks which.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One column of a custom kind's table, as its CustomResourceDefinition gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// Formatter hint, often empty.
    pub format: String,
    /// For `kubectl explain`-like clients.
    pub description: String,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: i64,
    /// Simple JSON path, such as `.status.phase`.
    pub path: String,
}

/// One version of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Such as `v1beta1`.
    pub name: String,
    /// The structural schema of a custom kind; none for built-in kinds.
    pub schema: Option<Arc<Value>>,
    /// Printer columns of a custom kind; built-in kinds have printers of their own.
    pub columns: Vec<Column>,
}

/// One served kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// Served versions, the preferred first.
    pub versions: Vec<Version>,
    /// The version that objects are kept in; the others only relabel them.
    pub storage: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Such as `DeploymentList`.
    pub list_kind: String,
    /// Such as `deployments`.
    pub plural: String,
    /// Such as `deployment`.
    pub singular: String,
    /// Such as `deploy`.
    pub short_names: Vec<String>,
    /// Such as `all`.
    pub categories: Vec<String>,
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
    /// Whether `/status` is separate from the rest.
    pub has_status: bool,
    /// Whether `/scale` is served.
    pub has_scale: bool,
    /// Whether `metadata.generation` counts changes of what is asked for.
    pub has_generation: bool,
    /// Whether it comes from a CustomResourceDefinition.
    pub custom: bool,
}

impl Kind {
    /// `deployments.apps`, or `pods` in the core group: how errors name it.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// The kind in one of its versions as Kubernetes' messages name it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`.
    pub fn shown(&self, version: &str) -> String {
        format!("{}/{version}, Kind={}", self.group, self.kind)
    }

    /// The apiVersion that objects are kept in.
    pub fn storage_api_version(&self) -> String {
        self.api_version(&self.storage)
    }

    /// The version of that name, if it is served.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }
}

/// The registry. Cheap to copy on write: it holds the kinds by reference.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    by_resource: BTreeMap<(String, String), Arc<Kind>>,
}

impl Kinds {
    /// The kinds of Kubernetes itself.
    pub fn built_in() -> Self {
        let mut kinds = Self::default();
        for row in BUILT_IN {
            kinds.register(row.kind());
        }
        kinds
    }

    /// Serves `kind` from now on, in place of one of the same group and plural.
    pub fn register(&mut self, kind: Kind) {
        let key = (kind.group.clone(), kind.plural.clone());
        self.by_resource.insert(key, Arc::new(kind));
    }

    /// Stops serving a kind.
    pub fn unregister(&mut self, group: &str, plural: &str) {
        self.by_resource.remove(&(group.to_owned(), plural.to_owned()));
    }

    /// The kind named `kind`; of several groups the built-in one, then the first group by name.
    pub fn by_kind(&self, kind: &str) -> Option<&Arc<Kind>> {
        let mut found = self.by_resource.values().filter(|k| k.kind == kind);
        let first = found.next()?;
        if first.custom { Some(found.find(|k| !k.custom).unwrap_or(first)) } else { Some(first) }
    }

    /// The kind behind a resource name in a path, if that version of it is served.
    pub fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.by_resource.get(&(group.to_owned(), plural.to_owned())).filter(|kind| kind.version(version).is_some())
    }

    /// All kinds, by group and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_resource.values()
    }
}

/// One line of the built-in table.
struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    flags: &'static [Flag],
}

#[derive(PartialEq)]
enum Flag {
    Cluster,
    Status,
    Scale,
    Generation,
}
use Flag::{Cluster, Generation, Scale, Status};

const ALL: &[&str] = &["all"];

const fn row(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    flags: &'static [Flag],
) -> Row {
    Row { group, version, kind, plural, short_names, categories, flags }
}

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    row("", "v1", "Namespace", "namespaces", &["ns"], &[], &[Cluster, Status]),
    row("", "v1", "Node", "nodes", &["no"], &[], &[Cluster, Status]),
    row("", "v1", "Pod", "pods", &["po"], ALL, &[Status, Generation]),
    row("", "v1", "Service", "services", &["svc"], ALL, &[Status]),
    row("", "v1", "ConfigMap", "configmaps", &["cm"], &[], &[]),
    row("", "v1", "Secret", "secrets", &[], &[], &[]),
    row("", "v1", "ServiceAccount", "serviceaccounts", &["sa"], &[], &[]),
    row("", "v1", "Event", "events", &["ev"], &[], &[]),
    row("apps", "v1", "Deployment", "deployments", &["deploy"], ALL, &[Status, Scale, Generation]),
    row("apps", "v1", "ReplicaSet", "replicasets", &["rs"], ALL, &[Status, Scale, Generation]),
    row("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], ALL, &[Status]),
    row("coordination.k8s.io", "v1", "Lease", "leases", &[], &[], &[]),
    row("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies",
        &[], &["api-extensions"], &[Cluster, Status, Generation]),
    row("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings",
        &[], &["api-extensions"], &[Cluster, Generation]),
    row("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
        &["crd", "crds"], &["api-extensions"], &[Cluster, Status, Generation]),
];

impl Row {
    fn kind(&self) -> Kind {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Kind {
            group: self.group.into(),
            versions: vec![Version { name: self.version.into(), schema: None, columns: Vec::new() }],
            storage: self.version.into(),
            kind: self.kind.into(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.into(),
            singular: self.kind.to_ascii_lowercase(),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: !self.flags.contains(&Cluster),
            has_status: self.flags.contains(&Status),
            has_scale: self.flags.contains(&Scale),
            has_generation: self.flags.contains(&Generation),
            custom: false,
        }
    }
}
