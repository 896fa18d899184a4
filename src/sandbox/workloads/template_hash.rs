//! The `pod-template-hash`: a short name for a pod template.

use serde_json::Value;

/// The letters that Kubernetes writes a hash with: no vowels and no 0, 1 or 3, so that it spells no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A hash that the same template has on every machine and in every version. `collisions` tells apart templates that
/// hash alike.
pub fn template_hash(template: &Value, collisions: i64) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    write(template, &mut feed);
    if collisions > 0 {
        feed(&collisions.to_le_bytes());
    }
    // One letter for each decimal digit, as Kubernetes' SafeEncodeString does.
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// Feeds a value in one order, whichever order its keys were written in.
fn write(value: &Value, feed: &mut impl FnMut(&[u8])) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            feed(b"{");
            for key in keys {
                feed(key.as_bytes());
                feed(b":");
                write(&fields[key], feed);
                feed(b",");
            }
            feed(b"}");
        }
        Value::Array(items) => {
            feed(b"[");
            for item in items {
                write(item, feed);
                feed(b",");
            }
            feed(b"]");
        }
        other => feed(other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_template_always_hashes_alike() {
        let one = json!({"spec": {"containers": [{"name": "app", "image": "app:1"}]}, "metadata": {}});
        let same = json!({"metadata": {}, "spec": {"containers": [{"image": "app:1", "name": "app"}]}});
        let other = json!({"metadata": {}, "spec": {"containers": [{"image": "app:2", "name": "app"}]}});
        assert_eq!(template_hash(&one, 0), template_hash(&same, 0));
        assert_ne!(template_hash(&one, 0), template_hash(&other, 0));
        assert_ne!(template_hash(&one, 0), template_hash(&one, 1));
        assert!(template_hash(&one, 0).bytes().all(|letter| ALPHABET.contains(&letter)));
    }
}
