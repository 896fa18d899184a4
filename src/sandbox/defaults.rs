//! The defaults of Kubernetes' own kinds, as far as clients see them. Custom kinds carry theirs in their schema.

use serde_json::{Map, Value, json};

use super::base64;
use super::kinds::Kind;
use super::structure::Place;

/// Takes out what says nothing: nulls, lists and maps without elements, and, in a workload's status, zeros. No cluster
/// keeps them.
pub fn clear(kind: &Kind, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (field, value) in fields.iter_mut() {
        if !kind.custom || field == "metadata" {
            clear_value(Place::Own { above: "", field }, value);
        }
    }
    if !kind.custom {
        let root = Place::Own { above: "", field: "" };
        fields.retain(|field, value| !says_nothing(root.child(field), field, value));
        if kind.kind == "Deployment"
            && let Some(status) = fields.get_mut("status").and_then(Value::as_object_mut)
        {
            status.retain(|field, value| field == "terminatingReplicas" || *value != 0);
        }
    }
}

fn clear_value(place: Place, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields.iter_mut() {
                clear_value(place.child(field), value);
            }
            fields.retain(|field, value| !says_nothing(place.child(field), field, value));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clear_value(place.element(), item)),
        _ => {}
    }
}

fn says_nothing(place: Place, field: &str, value: &Value) -> bool {
    match value {
        Value::Null => field != "eventTime",
        // A pod without containers is told so.
        Value::Array(items) => items.is_empty() && field != "containers",
        Value::Object(fields) => fields.is_empty() && !place.has_field(""),
        _ => false,
    }
}

/// Makes empty texts of the nulls in maps of texts, as reading them into such a map does.
pub fn texts(object: &mut Value) {
    for path in ["/data", "/metadata/labels", "/metadata/annotations"] {
        for value in object.pointer_mut(path).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            if value.is_null() {
                *value = json!("");
            }
        }
    }
}

/// Fills in what a client may leave out.
pub fn complete(kind: &Kind, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    match kind.kind.as_str() {
        "Deployment" => deployment(fields),
        "ReplicaSet" => {
            if let Some(spec) = child(fields, "spec") {
                set(spec, "replicas", json!(1));
                pod_template(spec);
            }
            if let Some(status) = child(fields, "status") {
                set(status, "replicas", json!(0));
            }
        }
        "Pod" => {
            if let Some(spec) = child(fields, "spec") {
                pod_spec(spec);
                set(spec, "enableServiceLinks", json!(true));
            }
        }
        "Service" => service(fields),
        "Namespace" => namespace(fields),
        "Secret" => secret(fields),
        "HorizontalPodAutoscaler" => scaler(fields),
        "Event" => event(fields),
        "CustomResourceDefinition" => definition(fields),
        _ => {}
    }
}

/// Fills in what the server decides itself, and no writer owns.
pub fn assign(kind: &Kind, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    match kind.kind.as_str() {
        "Pod" if !kind.custom => {
            if let Some(spec) = child(fields, "spec") {
                set(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
                set(spec, "priority", json!(0));
                set(spec, "serviceAccountName", json!("default"));
                let account = spec["serviceAccountName"].clone();
                set(spec, "serviceAccount", account);
                let tolerated = |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
                let tolerations =
                    ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(tolerated).to_vec();
                set(spec, "tolerations", Value::Array(tolerations));
            }
            let class = quality(&fields["spec"]);
            if let Some(status) = child(fields, "status") {
                set(status, "phase", json!("Pending"));
                set(status, "qosClass", json!(class));
            }
        }
        "Service" if !kind.custom => {
            if let Some(spec) = child(fields, "spec")
                && spec["type"] != "ExternalName"
            {
                set(spec, "ipFamilies", json!(["IPv4"]));
                set(spec, "ipFamilyPolicy", json!("SingleStack"));
            }
        }
        "Namespace" if !kind.custom => {
            if let Some(spec) = child(fields, "spec") {
                set(spec, "finalizers", json!(["kubernetes"]));
            }
            if let Some(status) = child(fields, "status") {
                set(status, "phase", json!("Active"));
            }
        }
        _ => {}
    }
}

/// The class of a pod by what its containers ask for: what they may take is what they need, or less, or not said.
fn quality(spec: &Value) -> &'static str {
    let resources = || spec["containers"].as_array().into_iter().flatten().map(|container| &container["resources"]);
    let says = |amounts: &Value| amounts.as_object().is_some_and(|amounts| !amounts.is_empty());
    let guaranteed = |resources: &Value| {
        let (limits, requests) = (&resources["limits"], &resources["requests"]);
        ["cpu", "memory"].iter().all(|of| limits[of].is_string() && limits[of] == requests[of])
    };
    if resources().all(|resources| !says(&resources["limits"]) && !says(&resources["requests"])) {
        "BestEffort"
    } else if resources().all(guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Writes amounts of CPU and memory that are numbers as the text that Kubernetes makes of them.
pub fn quantities(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let amounts = matches!(field.as_str(), "limits" | "requests" | "capacity" | "allocatable");
                match value {
                    Value::Object(amounts_by_name) if amounts => {
                        for amount in amounts_by_name.values_mut().filter(|amount| amount.is_number()) {
                            *amount = json!(amount.to_string());
                        }
                    }
                    other => quantities(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities),
        _ => {}
    }
}

fn deployment(fields: &mut Map<String, Value>) {
    let Some(spec) = child(fields, "spec") else {
        return;
    };
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    if let Some(strategy) = child(spec, "strategy") {
        set(strategy, "type", json!("RollingUpdate"));
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            set(rolling, "maxSurge", json!("25%"));
            set(rolling, "maxUnavailable", json!("25%"));
        }
    }
    pod_template(spec);
    let _ = child(fields, "status");
}

fn pod_template(spec: &mut Map<String, Value>) {
    if let Some(template) = child(spec, "template") {
        if let Some(metadata) = child(template, "metadata") {
            // Some clients send one, and nobody means it.
            metadata.retain(|field, value| field != "creationTimestamp" || !value.is_null());
        }
        if let Some(spec) = child(template, "spec") {
            pod_spec(spec);
        }
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "securityContext", json!({}));
    set(spec, "schedulerName", json!("default-scheduler"));
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                complete_container(container);
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
                set(source, "defaultMode", json!(420));
            }
        }
    }
}

fn complete_container(container: &mut Map<String, Value>) {
    set(container, "resources", json!({}));
    set(container, "terminationMessagePath", json!("/dev/termination-log"));
    set(container, "terminationMessagePolicy", json!("File"));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let latest = !last.contains(':') || last.ends_with(":latest");
    let policy = if latest && !image.contains('@') { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", json!(policy));
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            set(port, "protocol", json!("TCP"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            set(probe, "timeoutSeconds", json!(1));
            set(probe, "periodSeconds", json!(10));
            set(probe, "successThreshold", json!(1));
            set(probe, "failureThreshold", json!(3));
            if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
                set(get, "path", json!("/"));
                set(get, "scheme", json!("HTTP"));
            }
        }
    }
    // Limits without requests are requests too.
    let limits = container["resources"].get("limits").cloned();
    if let Some(Value::Object(limits)) = limits
        && let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut)
        && let Some(requests) = child(resources, "requests")
    {
        for (name, amount) in limits {
            set(requests, &name, amount);
        }
    }
}

fn service(fields: &mut Map<String, Value>) {
    if let Some(spec) = child(fields, "spec") {
        set(spec, "type", json!("ClusterIP"));
        set(spec, "sessionAffinity", json!("None"));
        if spec["type"] != "ExternalName" {
            set(spec, "internalTrafficPolicy", json!("Cluster"));
        }
        if spec["type"] == "LoadBalancer" || spec["type"] == "NodePort" {
            set(spec, "externalTrafficPolicy", json!("Cluster"));
        }
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                set(port, "protocol", json!("TCP"));
                let number = port.get("port").cloned().unwrap_or(Value::Null);
                if !number.is_null() {
                    set(port, "targetPort", number);
                }
            }
        }
    }
    if let Some(status) = child(fields, "status") {
        set(status, "loadBalancer", json!({}));
    }
}

fn namespace(fields: &mut Map<String, Value>) {
    if let Some(metadata) = child(fields, "metadata") {
        let name = metadata.get("name").cloned().unwrap_or(Value::Null);
        if let Some(labels) = child(metadata, "labels") {
            labels.insert("kubernetes.io/metadata.name".into(), name);
        }
    }
}

fn scaler(fields: &mut Map<String, Value>) {
    if let Some(spec) = child(fields, "spec") {
        set(spec, "minReplicas", json!(1));
        let target = json!({ "type": "Utilization", "averageUtilization": 80 });
        set(spec, "metrics", json!([{ "type": "Resource", "resource": { "name": "cpu", "target": target } }]));
    }
}

fn secret(fields: &mut Map<String, Value>) {
    set(fields, "type", json!("Opaque"));
    let Some(Value::Object(plain)) = fields.remove("stringData") else {
        return;
    };
    if let Some(data) = child(fields, "data") {
        for (name, value) in plain {
            let encoded = base64::encode(value.as_str().unwrap_or_default().as_bytes());
            data.insert(name, json!(encoded));
        }
    }
}

fn event(fields: &mut Map<String, Value>) {
    set(fields, "eventTime", Value::Null);
    set(fields, "source", json!({}));
    set(fields, "reportingInstance", json!(""));
    set(fields, "reportingComponent", json!(""));
}

fn definition(fields: &mut Map<String, Value>) {
    let Some(spec) = child(fields, "spec") else {
        return;
    };
    set(spec, "conversion", json!({ "strategy": "None" }));
    if let Some(names) = child(spec, "names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        set(names, "listKind", json!(format!("{kind}List")));
        set(names, "singular", json!(kind.to_ascii_lowercase()));
    }
    let names = spec["names"].clone();
    let versions = spec.get("versions").and_then(Value::as_array);
    let stored: Vec<Value> = versions
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let since = fields["metadata"].get("creationTimestamp").cloned().unwrap_or(Value::Null);
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": since,
        })
    };
    let conditions = json!([
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]);
    if let Some(status) = child(fields, "status") {
        status.insert("acceptedNames".into(), names);
        set(status, "conditions", conditions);
        set(status, "storedVersions", Value::Array(stored));
    }
}

/// The object under `field`, made where it is missing; none where something else stands there.
fn child<'a>(fields: &'a mut Map<String, Value>, field: &str) -> Option<&'a mut Map<String, Value>> {
    let value = fields.entry(field).or_insert_with(|| json!({}));
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

fn set(fields: &mut Map<String, Value>, field: &str, value: Value) {
    match fields.get(field) {
        None => {
            fields.insert(field.to_owned(), value);
        }
        Some(Value::Null) => fields[field] = value,
        Some(_) => {}
    }
}
