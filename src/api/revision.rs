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

/// Flagger's checksum of a ConfigMap's or a Secret's `data`: the first eight bytes of SHA-256 over what Go writes as its
/// JSON (keys sorted, `<`, `>`, `&`, U+2028 and U+2029 escaped, `null` where there is none).
pub fn checksum(data: Option<&Map<String, Value>>) -> String {
    // Sorted, whatever order the map keeps.
    let sorted: Option<BTreeMap<&String, &Value>> = data.map(|map| map.iter().collect());
    let text = serde_json::to_string(&sorted).unwrap_or_default();
    let escaped = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    Sha256::digest(escaped).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn checksums_are_flaggers() {
        assert_eq!(checksum(None), "74234e98afe7498f");
        assert_eq!(checksum(json!({}).as_object()), "44136fa355b3678a");
        assert_eq!(checksum(json!({"color": "red"}).as_object()), "241889ca0604e333");
        assert_eq!(checksum(json!({"apiKey": "dGVzdA=="}).as_object()), "3930f0692c2295eb");
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
