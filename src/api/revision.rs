//! A revision: one pod template of the target with the configuration that it mounts.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// Checksums of the ConfigMaps and Secrets that a template mounts, by `configmap/NAME` or `secret/NAME`.
pub type Configs = BTreeMap<String, String>;

/// The `pod-template-hash` of the template, and the checksums of what it mounts. Shown as the hash alone where nothing is
/// mounted, else as `HASH-CHECKSUM`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    pub hash: String,
    pub configs: Configs,
}

impl Revision {
    /// A template that mounts nothing.
    pub fn plain(hash: impl Into<String>) -> Self {
        Self { hash: hash.into(), configs: Configs::new() }
    }

    /// The template's hash in a revision's name.
    pub fn hash_in(name: &str) -> &str {
        // A hash has no dash in it.
        name.split_once('-').map_or(name, |(hash, _)| hash)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.configs.is_empty() {
            return f.pad(&self.hash);
        }
        let digest = Sha256::digest(serde_json::to_string(&self.configs).unwrap_or_default());
        let checksum: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        f.pad(&format!("{}-{checksum}", self.hash))
    }
}

/// The checksum of a ConfigMap or a Secret: Flagger's where it holds text alone. Flagger neither copies nor tracks
/// `binaryData`; here it counts, so that what only it changes is a revision too.
pub fn checksum(object: &Value) -> String {
    let map = |field: &str| object.get(field).and_then(Value::as_object);
    let data = go_json(map("data"));
    match map("binaryData").filter(|binary| !binary.is_empty()) {
        None => short(&data),
        Some(binary) => short(&format!("{data}\0{}", go_json(Some(binary)))),
    }
}

/// The first eight bytes of SHA-256.
fn short(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A map as Go writes it: keys sorted, `<`, `>`, `&`, U+2028 and U+2029 escaped, `null` where there is none.
fn go_json(data: Option<&Map<String, Value>>) -> String {
    // Sorted, whatever order the map keeps.
    let sorted: Option<BTreeMap<&String, &Value>> = data.map(|map| map.iter().collect());
    let text = serde_json::to_string(&sorted).unwrap_or_default();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn checksums_are_flaggers() {
        assert_eq!(checksum(&json!({})), "74234e98afe7498f");
        let of = |data: Value| checksum(&json!({"data": data, "binaryData": {}}));
        assert_eq!(of(json!({})), "44136fa355b3678a");
        assert_eq!(of(json!({"color": "red"})), "241889ca0604e333");
        assert_eq!(of(json!({"apiKey": "dGVzdA=="})), "3930f0692c2295eb");
    }

    #[test]
    fn binary_data_counts_where_there_is_any() {
        let of = |binary: Value| checksum(&json!({"data": {"color": "red"}, "binaryData": binary}));
        assert_eq!(of(Value::Null), "241889ca0604e333");
        assert_ne!(of(json!({"logo": "AA=="})), of(Value::Null));
        assert_ne!(of(json!({"logo": "AA=="})), of(json!({"logo": "AQ=="})));
    }

    #[test]
    fn a_hash_is_found_in_the_name() {
        let mounting = Revision { hash: "6d5c".into(), configs: [("configmap/a".into(), "1".into())].into() };
        assert_eq!(Revision::hash_in(&mounting.to_string()), "6d5c");
        assert_eq!(Revision::hash_in("6d5c"), "6d5c");
    }

    #[test]
    fn what_is_mounted_is_a_part_of_the_name() {
        let plain = Revision::plain("6d5c5cf8db");
        assert_eq!(plain.to_string(), "6d5c5cf8db");
        let with = |sum: &str| Revision { configs: [("configmap/a".into(), sum.into())].into(), ..plain.clone() };
        assert!(with("1").to_string().starts_with("6d5c5cf8db-"));
        assert_ne!(with("1").to_string(), with("2").to_string());
    }
}
