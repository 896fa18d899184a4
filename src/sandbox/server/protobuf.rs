//! Bodies in Kubernetes' protobuf: what kubectl sends for the few kinds that it creates by its own types. A body with
//! a field that is not in these tables is refused as a whole: nothing is ever dropped silently.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// How a field is read.
#[derive(Clone, Copy)]
enum As {
    Text,
    Bytes,
    Number,
    /// A number of which zero means that it was not given.
    Positive,
    Flag,
    Time,
    Message(Fields),
    Texts,
    Messages(Fields),
    TextMap,
    BytesMap,
    /// Written by the server alone.
    Ignored,
}
use As::{Bytes, BytesMap, Flag, Ignored, Message, Messages, Number, Positive, Text, TextMap, Texts, Time};

/// Field number, JSON name, how it is read.
type Fields = &'static [(u64, &'static str, As)];

const TYPE: Fields = &[(1, "apiVersion", Text), (2, "kind", Text)];
const OWNER: Fields = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];
const METADATA: Fields = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Positive),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Positive),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Messages(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Ignored),
];
const META: (u64, &str, As) = (1, "metadata", Message(METADATA));

const PORT: Fields = &[
    (1, "name", Text),
    (2, "hostPort", Positive),
    (3, "containerPort", Number),
    (4, "protocol", Text),
    (5, "hostIP", Text),
];
const CONTAINER: Fields = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (5, "workingDir", Text),
    (6, "ports", Messages(PORT)),
    (7, "env", Messages(&[(1, "name", Text), (2, "value", Text)])),
    (14, "imagePullPolicy", Text),
];
const POD: Fields = &[
    (2, "containers", Messages(CONTAINER)),
    (3, "restartPolicy", Text),
    (6, "dnsPolicy", Text),
    (7, "nodeSelector", TextMap),
    (8, "serviceAccountName", Text),
    (10, "nodeName", Text),
    (19, "schedulerName", Text),
];
const DEPLOYMENT: Fields = &[
    (1, "replicas", Number),
    (2, "selector", Message(&[(1, "matchLabels", TextMap)])),
    (3, "template", Message(&[META, (2, "spec", Message(POD))])),
    (4, "strategy", Message(&[(1, "type", Text)])),
    (5, "minReadySeconds", Positive),
    (6, "revisionHistoryLimit", Number),
    (7, "paused", Flag),
    (9, "progressDeadlineSeconds", Number),
];
const REFERENCE: Fields = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const ASKED: Fields = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];

/// The kinds that are read, by apiVersion and kind.
const KINDS: &[(&str, &str, Fields)] = &[
    ("v1", "Namespace", &[META, (2, "spec", Message(&[(1, "finalizers", Texts)])), (3, "status", Ignored)]),
    ("v1", "ConfigMap", &[META, (2, "data", TextMap), (3, "binaryData", BytesMap), (4, "immutable", Flag)]),
    (
        "v1",
        "Secret",
        &[META, (2, "data", BytesMap), (3, "type", Text), (4, "stringData", TextMap), (5, "immutable", Flag)],
    ),
    ("v1", "ServiceAccount", &[META]),
    ("apps/v1", "Deployment", &[META, (2, "spec", Message(DEPLOYMENT)), (3, "status", Ignored)]),
    (
        "v1",
        "Event",
        &[
            META,
            (2, "involvedObject", Message(REFERENCE)),
            (3, "reason", Text),
            (4, "message", Text),
            (5, "source", Message(&[(1, "component", Text), (2, "host", Text)])),
            (6, "firstTimestamp", Time),
            (7, "lastTimestamp", Time),
            (8, "count", Positive),
            (9, "type", Text),
            (10, "eventTime", Time),
            (12, "action", Text),
            (14, "reportingComponent", Text),
            (15, "reportingInstance", Text),
        ],
    ),
    ("authentication.k8s.io/v1", "SelfSubjectReview", &[META, (2, "status", Ignored)]),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        &[
            META,
            (
                2,
                "spec",
                Message(&[
                    (1, "resourceAttributes", Message(ASKED)),
                    (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
                ]),
            ),
            (3, "status", Ignored),
        ],
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        &[META, (2, "spec", Message(&[(1, "namespace", Text)])), (3, "status", Ignored)],
    ),
];

const DELETE_OPTIONS: Fields = &[
    (1, "gracePeriodSeconds", Number),
    (2, "preconditions", Message(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

/// Reads a body. The error says why it cannot be read.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let rest = body.strip_prefix(MAGIC).ok_or("it does not begin as Kubernetes' protobuf does")?;
    let mut named = Value::Null;
    let mut raw: &[u8] = &[];
    for field in Wire(rest) {
        match field? {
            (1, Part::Slice(bytes)) => named = message(TYPE, bytes, "typeMeta")?,
            (2, Part::Slice(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let api_version = named["apiVersion"].as_str().unwrap_or_default().to_owned();
    let kind = named["kind"].as_str().unwrap_or_default().to_owned();
    let fields = if kind == "DeleteOptions" {
        DELETE_OPTIONS
    } else {
        let known = KINDS.iter().find(|(version, name, _)| *version == api_version && *name == kind);
        known.map(|(_, _, fields)| *fields).ok_or_else(|| format!("{api_version} {kind} is not read"))?
    };
    let mut object = message(fields, raw, &kind)?;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    Ok(object)
}

fn message(fields: Fields, bytes: &[u8], path: &str) -> Result<Value, String> {
    let mut object = Map::new();
    for field in Wire(bytes) {
        let (number, part) = field?;
        let Some((_, name, kind)) = fields.iter().find(|(known, _, _)| *known == number) else {
            if part.is_zero() {
                continue;
            }
            return Err(format!("field {number} of {path} is not read"));
        };
        read(&mut object, name, *kind, part, path)?;
    }
    Ok(Value::Object(object))
}

fn read(object: &mut Map<String, Value>, name: &str, kind: As, part: Part<'_>, path: &str) -> Result<(), String> {
    let path = format!("{path}.{name}");
    let mut push = |value: Value| {
        if let Some(list) = object.entry(name).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value);
        }
    };
    match (kind, part) {
        (Ignored, _) => {}
        (Positive, Part::Number(0)) => {}
        (Number | Positive, Part::Number(number)) => {
            // Negative numbers are written as the 64 bits that they are.
            object.insert(name.into(), json!(number.cast_signed()));
        }
        (Flag, Part::Number(number)) => {
            object.insert(name.into(), json!(number != 0));
        }
        (Text, Part::Slice([])) => {}
        (Text, Part::Slice(bytes)) => {
            object.insert(name.into(), json!(text(bytes, &path)?));
        }
        (Bytes, Part::Slice(bytes)) => {
            object.insert(name.into(), json!(super::super::base64::encode(bytes)));
        }
        (Texts, Part::Slice(bytes)) => push(json!(text(bytes, &path)?)),
        (Messages(fields), Part::Slice(bytes)) => push(message(fields, bytes, &path)?),
        (Message(fields), Part::Slice(bytes)) => {
            object.insert(name.into(), message(fields, bytes, &path)?);
        }
        (Time, Part::Slice(bytes)) => {
            let time = message(&[(1, "seconds", Number), (2, "nanos", Positive)], bytes, &path)?;
            if let Some(seconds) = time["seconds"].as_i64() {
                let nanos = time["nanos"].as_u64().and_then(|nanos| u32::try_from(nanos).ok()).unwrap_or(0);
                let time = DateTime::from_timestamp(seconds, nanos).ok_or_else(|| format!("{path} is no time"))?;
                let precision = if nanos == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
                object.insert(name.into(), json!(time.to_rfc3339_opts(precision, true)));
            }
        }
        (TextMap | BytesMap, Part::Slice(bytes)) => {
            let value = if matches!(kind, TextMap) { Text } else { Bytes };
            let pair: [(u64, &'static str, As); 2] = [(1, "key", Text), (2, "value", value)];
            let mut entry = Map::new();
            for field in Wire(bytes) {
                let (number, part) = field?;
                if let Some((_, name, kind)) = pair.iter().find(|(known, _, _)| *known == number) {
                    read(&mut entry, name, *kind, part, &path)?;
                }
            }
            let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = entry.remove("value").unwrap_or_else(|| json!(""));
            if let Some(map) = object.entry(name).or_insert_with(|| json!({})).as_object_mut() {
                map.insert(key, value);
            }
        }
        _ => return Err(format!("{path} has another type")),
    }
    Ok(())
}

fn text<'a>(bytes: &'a [u8], path: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("{path} is no text"))
}

/// One value on the wire.
#[derive(Clone, Copy)]
enum Part<'a> {
    Number(u64),
    Slice(&'a [u8]),
}

impl Part<'_> {
    /// Whether it is what Kubernetes writes for a field that was not given.
    fn is_zero(self) -> bool {
        match self {
            Part::Number(number) => number == 0,
            Part::Slice(bytes) => bytes.is_empty(),
        }
    }
}

/// The fields of a message, as they stand on the wire.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }

    fn field(&mut self) -> Option<(u64, Part<'a>)> {
        let tag = self.number()?;
        let part = match tag & 7 {
            0 => Part::Number(self.number()?),
            1 => Part::Slice(self.slice(8)?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Part::Slice(self.slice(length)?)
            }
            5 => Part::Slice(self.slice(4)?),
            _ => return None,
        };
        Some((tag >> 3, part))
    }
}

impl<'a> Iterator for Wire<'a> {
    type Item = Result<(u64, Part<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "it breaks off".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        field.extend_from_slice(bytes);
        field
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let mut named = field(1, api_version.as_bytes());
        named.extend(field(2, kind.as_bytes()));
        [MAGIC.to_vec(), field(1, &named), field(2, raw)].concat()
    }

    #[test]
    fn a_body_becomes_an_object() {
        let label = field(11, &[field(1, b"app"), field(2, b"x")].concat());
        let metadata = field(1, &[field(1, b"test"), label, field(8, &[])].concat());
        let object = decode(&body("v1", "Namespace", &metadata)).unwrap();
        let metadata = json!({ "name": "test", "labels": { "app": "x" } });
        assert_eq!(object, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(decode(&body("v1", "Node", &[])).is_err());
        let error = decode(&body("v1", "Namespace", &field(9, b"x"))).unwrap_err();
        assert_eq!(error, "field 9 of Namespace is not read");
        assert!(decode(b"{}").is_err());
    }

    #[test]
    fn nonsense_never_panics() {
        let whole = body("v1", "Namespace", &field(1, &field(1, b"test")));
        for end in 0..whole.len() {
            let _ = decode(&whole[..end]);
        }
        for byte in 4..whole.len() {
            let mut broken = whole.clone();
            broken[byte] = 0xff;
            let _ = decode(&broken);
        }
    }
}
