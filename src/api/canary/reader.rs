//! Reads one field of a spec at a time and collects all that is wrong with it.

use crate::api::{Problem, duration};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Collects the problems while a spec is read.
pub(super) struct Reader<'a> {
    pub problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    pub fn problem(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem::new(field, why));
    }

    /// A duration, 60 s where none is given (Flagger's default, and v1alpha2 has no analysis interval at all).
    pub fn duration(&mut self, path: &str, value: Option<&Value>) -> Option<Duration> {
        match value {
            None | Some(Value::Null) => Some(Duration::from_secs(60)),
            Some(Value::String(text)) if text.is_empty() => Some(Duration::from_secs(60)),
            Some(Value::String(text)) => duration::parse(text).map_err(|why| self.problem(path, why)).ok(),
            Some(other) => {
                self.problem(path, format!("is {other}, which is no duration: write it like 30s"));
                None
            }
        }
    }

    /// A limit, where one is given; what is given and no number is a problem.
    pub fn limit(&mut self, path: &str, value: Option<&Value>) -> Option<f64> {
        let value = value.filter(|v| !v.is_null())?;
        let number = value.as_f64();
        if number.is_none() {
            self.problem(path, format!("is {value}, which is no number"));
        }
        number
    }

    /// A whole number within bounds; CRDs of every era declare `number`, so `10.0` is one too.
    pub fn whole(&mut self, path: &str, value: Option<&Value>, default: u64, min: u64, max: u64) -> Option<u64> {
        let number = match value {
            None | Some(Value::Null) => return Some(default),
            Some(value) => value.as_f64(),
        };
        match number {
            Some(n) if n.fract() == 0.0 && n >= min as f64 && n <= max as f64 => Some(n as u64),
            _ => {
                let given = value.unwrap_or(&Value::Null);
                self.problem(path, format!("is {given}; it must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    pub fn strings(&mut self, path: &str, value: Option<&Value>) -> Vec<String> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).map(str::to_string).collect()
            }
            Some(_) => {
                self.problem(path, "is no list of strings");
                Vec::new()
            }
        }
    }

    /// A text, where one is given that is not empty.
    pub fn text(&mut self, path: &str, value: Option<&Value>) -> Option<String> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => (!text.is_empty()).then(|| text.clone()),
            Some(_) => {
                self.problem(path, "is no text");
                None
            }
        }
    }

    /// A switch, off where it is not given.
    pub fn switch(&mut self, path: &str, value: Option<&Value>) -> bool {
        match value {
            None | Some(Value::Null) => false,
            Some(Value::Bool(on)) => *on,
            Some(_) => {
                self.problem(path, "is neither true nor false");
                false
            }
        }
    }

    /// An object, where one is given.
    pub fn object<'v>(&mut self, path: &str, value: Option<&'v Value>) -> Option<&'v Map<String, Value>> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(_) => {
                self.problem(path, "is no object");
                None
            }
        }
    }

    /// A list of objects; none where it is not given.
    pub fn objects<'v>(&mut self, path: &str, value: Option<&'v Value>) -> Vec<&'v Map<String, Value>> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => {
                list.iter().enumerate().filter_map(|(at, v)| self.object(&format!("{path}[{at}]"), Some(v))).collect()
            }
            Some(_) => {
                self.problem(path, "is no list");
                Vec::new()
            }
        }
    }

    /// A map of texts; empty where it is not given.
    pub fn texts(&mut self, path: &str, value: Option<&Value>) -> BTreeMap<String, String> {
        match value {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(map)) if map.values().all(Value::is_string) => {
                map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
            }
            Some(_) => {
                self.problem(path, "is no map of strings");
                BTreeMap::new()
            }
        }
    }

    /// Reports every key that is not known and asks for something.
    pub fn only(&mut self, path: &str, map: &Map<String, Value>, known: &[&str]) {
        for (key, value) in map {
            if !known.contains(&key.as_str()) && asks(value) {
                self.problems.push(Problem::unsupported(format!("{path}.{key}")));
            }
        }
    }
}

/// Whether a value asks for anything: Flagger's fields are off when absent, empty, zero or false.
pub(super) fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
