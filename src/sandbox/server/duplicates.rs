//! Fields that a JSON body gives more than once. Reading it as a value keeps the last of them and forgets that there
//! were others, so this looks at the text alone.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The paths of fields that are there twice or more, as `metadata.labels.app`. Nothing for what is no JSON.
pub fn of(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    // What cannot be read is refused when it is read as a value.
    let _ = Look { path: String::new(), found: &mut found }.deserialize(&mut reader);
    found
}

struct Look<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(field) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { field.clone() } else { format!("{}.{field}", self.path) };
            if seen.contains(&field) {
                self.found.push(path);
                map.next_value::<IgnoredAny>()?;
            } else {
                seen.insert(field);
                map.next_value_seed(Look { path, found: &mut *self.found })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(()) =
            items.next_element_seed(Look { path: format!("{}[{index}]", self.path), found: &mut *self.found })?
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_twice_is_named_by_its_path() {
        let body = br#"{ "a": 1, "b": { "c": [{ "d": 1, "d": null }], "c": 2 }, "a": "x", "e": [true, 1.5, -1] }"#;
        assert_eq!(of(body), ["b.c[0].d", "b.c", "a"]);
        assert!(of(br#"{ "a": 1, "b": 2 }"#).is_empty());
        assert!(of(b"{").is_empty());
    }
}
