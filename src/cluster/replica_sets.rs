//! The ReplicaSets of a namespace, by name and by the Deployment that controls them: each decision asks for those of one
//! target, and among thousands of others they must not be searched for.

use super::records::{annotation_of, controller_of, name_of};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

/// A ReplicaSet of some Deployment. There are many of them, most of the past, so it is kept small.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSetRecord {
    pub name: Arc<str>,
    hash: Hash,
    /// `deployment.kubernetes.io/revision`, where it is a number.
    pub revision_number: Option<NonZeroU64>,
    /// Which Deployment controls it.
    pub owner: Uid,
}

/// `pod-template-hash`, which is nearly always the end of the name.
#[derive(Clone, Debug, PartialEq)]
enum Hash {
    EndOfName(usize),
    Text(Box<str>),
}

/// What tells an object from all others that there ever were, in less room than its uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uid([u8; 16]);

impl Uid {
    /// That of the object of this uid.
    pub fn of(uid: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(uid).into();
        Self(std::array::from_fn(|at| digest[at]))
    }
}

impl ReplicaSetRecord {
    /// One of this name; `hash` may be empty.
    pub fn new(name: &str, hash: &str, revision_number: Option<NonZeroU64>, owner: Uid) -> Self {
        let hash = match name.strip_suffix(hash) {
            Some(before) => Hash::EndOfName(before.len()),
            None => Hash::Text(hash.into()),
        };
        Self { name: name.into(), hash, revision_number, owner }
    }

    /// Reduces a ReplicaSet, or its metadata alone.
    pub fn of(object: &Value) -> Self {
        let label = object.pointer("/metadata/labels").and_then(|l| l.get("pod-template-hash")).and_then(Value::as_str);
        let number = annotation_of(object, "deployment.kubernetes.io/revision").and_then(|number| number.parse().ok());
        let owner = Uid::of(&controller_of(object).unwrap_or_default());
        Self::new(&name_of(object), label.unwrap_or_default(), number, owner)
    }

    /// `pod-template-hash`; empty where there is none.
    pub fn hash(&self) -> &str {
        match &self.hash {
            Hash::EndOfName(at) => self.name.get(*at..).unwrap_or_default(),
            Hash::Text(hash) => hash,
        }
    }
}

/// ReplicaSets by name, and their names by their owner.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSets {
    by_name: BTreeMap<Arc<str>, ReplicaSetRecord>,
    by_owner: BTreeMap<Uid, Box<[Arc<str>]>>,
}

impl ReplicaSets {
    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&ReplicaSetRecord> {
        self.by_name.get(name)
    }

    /// Those that the Deployment of this uid controls.
    pub fn of(&self, owner: &str) -> impl Iterator<Item = &ReplicaSetRecord> {
        self.by_owner.get(&Uid::of(owner)).into_iter().flatten().filter_map(|name| self.by_name.get(name))
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &ReplicaSetRecord> {
        self.by_name.values()
    }

    /// Puts one; answers the one before.
    pub fn insert(&mut self, record: ReplicaSetRecord) -> Option<ReplicaSetRecord> {
        let before = self.remove(&record.name);
        let of_owner = self.by_owner.entry(record.owner).or_default();
        let mut names = std::mem::take(of_owner).into_vec();
        names.insert(names.partition_point(|of| *of < record.name), record.name.clone());
        *of_owner = names.into();
        self.by_name.insert(record.name.clone(), record);
        before
    }

    /// Takes one away.
    pub fn remove(&mut self, name: &str) -> Option<ReplicaSetRecord> {
        let gone = self.by_name.remove(name)?;
        if let Some(of_owner) = self.by_owner.get_mut(&gone.owner) {
            *of_owner = of_owner.iter().filter(|of| ***of != *name).cloned().collect();
            if of_owner.is_empty() {
                self.by_owner.remove(&gone.owner);
            }
        }
        Some(gone)
    }

    /// These, in as little room as they need: a map that was filled one by one is half empty.
    pub fn packed(self) -> Self {
        Self { by_owner: self.by_owner.into_iter().collect(), by_name: self.by_name.into_iter().collect() }
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.by_name.clear();
        self.by_owner.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_an_owner_follow_every_change() {
        let set = |name: &str, owner: &str| ReplicaSetRecord::new(name, "", None, Uid::of(owner));
        let mut sets = ReplicaSets::default();
        for (name, owner) in [("a", "x"), ("b", "x"), ("c", "y")] {
            sets.insert(set(name, owner));
        }
        let of = |sets: &ReplicaSets, owner: &str| sets.of(owner).map(|set| set.name.to_string()).collect::<Vec<_>>();
        assert_eq!((of(&sets, "x"), of(&sets, "y")), (vec!["a".into(), "b".into()], vec!["c".into()]));
        sets.insert(set("b", "y"));
        assert_eq!((of(&sets, "x"), of(&sets, "y")), (vec!["a".into()], vec!["b".into(), "c".into()]));
        sets.remove("a");
        assert!(of(&sets, "x").is_empty() && sets.by_owner.len() == 1);
        sets.clear();
        assert_eq!((sets.values().count(), sets.by_owner.len()), (0, 0));
    }

    #[test]
    fn a_hash_is_told_whether_it_is_the_end_of_the_name_or_not() {
        let hash = |name, hash| ReplicaSetRecord::new(name, hash, None, Uid::of("x")).hash().to_string();
        assert_eq!((hash("web-5f", "5f"), hash("by-hand", "9d")), ("5f".into(), "9d".into()));
        assert_eq!((hash("web-5f", ""), hash("", ""), hash("", "5f")), ("".into(), "".into(), "5f".into()));
    }
}
