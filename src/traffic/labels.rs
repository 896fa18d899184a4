//! The labels of one series. Sorted, compared and hashed by content, cheap to clone.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A label's name and value.
pub type Pair = (Arc<str>, Arc<str>);

/// A label set. The metric's name stands apart from the other labels, because almost every function drops it and
/// then need not copy the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    name: Option<Arc<str>>,
    pairs: Arc<[Pair]>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { name: None, pairs: Arc::from([]) }
    }
}

impl Labels {
    /// Builds a set from names and values in any order. A label with an empty value is the same as no label; of two
    /// with one name the later wins.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut labels = Builder::default();
        for (name, value) in pairs {
            labels.set(name.as_ref(), value.as_ref());
        }
        labels.build()
    }

    /// The value of a label; empty when there is none, as in PromQL.
    pub fn get(&self, name: &str) -> &str {
        if name == METRIC_NAME {
            return self.metric_name();
        }
        self.pairs.binary_search_by(|(candidate, _)| candidate.as_ref().cmp(name)).map_or("", |at| &self.pairs[at].1)
    }

    /// The metric's name; empty when it has been dropped.
    pub fn metric_name(&self) -> &str {
        self.name.as_deref().unwrap_or("")
    }

    /// True when there is neither a name nor a label.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.pairs.is_empty()
    }

    /// All labels in order, the metric's name first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.name
            .iter()
            .map(|name| (METRIC_NAME, name.as_ref()))
            .chain(self.pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())))
    }

    /// The same labels without the metric's name.
    pub fn without_name(&self) -> Self {
        Self { name: None, pairs: Arc::clone(&self.pairs) }
    }

    /// The same labels under another metric name.
    pub fn named(&self, name: &Arc<str>) -> Self {
        Self { name: Some(Arc::clone(name)), pairs: Arc::clone(&self.pairs) }
    }

    /// The same labels with one set; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut labels = self.builder();
        labels.set(name, value);
        labels.build()
    }

    /// Only the labels named. The metric's name stays only if it is named.
    pub fn keep(&self, names: &[String]) -> Self {
        self.filter(|name| names.iter().any(|kept| kept == name))
    }

    /// All labels but those named. The metric's name goes too, as in `without` and `ignoring`.
    pub fn drop(&self, names: &[String]) -> Self {
        self.filter(|name| name != METRIC_NAME && !names.iter().any(|dropped| dropped == name))
    }

    fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self {
            name: self.name.clone().filter(|_| keep(METRIC_NAME)),
            pairs: self.pairs.iter().filter(|(n, _)| keep(n)).cloned().collect(),
        }
    }

    fn builder(&self) -> Builder {
        Builder { name: self.name.clone(), pairs: self.pairs.to_vec() }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// As Prometheus prints a series: `name{a="b", c="d"}`.
impl fmt::Display for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.metric_name())?;
        if self.pairs.is_empty() && self.name.is_some() {
            return Ok(());
        }
        out.write_str("{")?;
        for (at, (name, value)) in self.pairs.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(out, "{comma}{name}={value:?}")?;
        }
        out.write_str("}")
    }
}

#[derive(Default)]
struct Builder {
    name: Option<Arc<str>>,
    pairs: Vec<Pair>,
}

impl Builder {
    fn set(&mut self, name: &str, value: &str) {
        if name == METRIC_NAME {
            self.name = (!value.is_empty()).then(|| Arc::from(value));
            return;
        }
        match self.pairs.binary_search_by(|(candidate, _)| candidate.as_ref().cmp(name)) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => self.pairs[at].1 = Arc::from(value),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (Arc::from(name), Arc::from(value))),
        }
    }

    fn build(self) -> Labels {
        Labels { name: self.name, pairs: self.pairs.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_building_does_not_matter() {
        let one = Labels::new([("b", "2"), ("__name__", "up"), ("a", "1"), ("gone", "")]);
        let other = Labels::new([("a", "1"), ("b", "2"), ("__name__", "up")]);
        assert_eq!(one, other);
        assert_eq!(one.to_string(), r#"up{a="1", b="2"}"#);
    }

    #[test]
    fn keep_and_drop_treat_the_name_as_prometheus_does() {
        let labels = Labels::new([("__name__", "up"), ("a", "1"), ("b", "2")]);
        let a = [String::from("a")];
        assert_eq!(labels.keep(&a).to_string(), r#"{a="1"}"#);
        assert_eq!(labels.drop(&a).to_string(), r#"{b="2"}"#);
        assert_eq!(labels.keep(&[METRIC_NAME.to_owned()]).to_string(), "up");
        assert_eq!(labels.get("nothing"), "");
        assert_eq!(labels.with("a", "").to_string(), r#"up{b="2"}"#);
    }
}
