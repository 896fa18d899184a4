//! The ReplicaSets of a namespace, by name and by the Deployment that controls them: each decision asks for those of one
//! target, and among thousands of others they must not be searched for.

use super::records::ReplicaSetRecord;
use std::collections::{BTreeMap, HashMap};

/// ReplicaSets by name, and their names by their owner.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSets {
    by_name: BTreeMap<String, ReplicaSetRecord>,
    by_owner: HashMap<String, Vec<String>>,
}

impl ReplicaSets {
    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&ReplicaSetRecord> {
        self.by_name.get(name)
    }

    /// Those that the Deployment of this uid controls.
    pub fn of(&self, owner: &str) -> impl Iterator<Item = &ReplicaSetRecord> {
        self.by_owner.get(owner).into_iter().flatten().filter_map(|name| self.by_name.get(name))
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &ReplicaSetRecord> {
        self.by_name.values()
    }

    /// Puts one; answers the one before.
    pub fn insert(&mut self, name: String, record: ReplicaSetRecord) -> Option<ReplicaSetRecord> {
        let before = self.remove(&name);
        let of_owner = self.by_owner.entry(record.owner.clone()).or_default();
        of_owner.insert(of_owner.partition_point(|of| *of < name), name.clone());
        self.by_name.insert(name, record);
        before
    }

    /// Takes one away.
    pub fn remove(&mut self, name: &str) -> Option<ReplicaSetRecord> {
        let gone = self.by_name.remove(name)?;
        if let Some(of_owner) = self.by_owner.get_mut(&gone.owner) {
            of_owner.retain(|of| of != name);
            if of_owner.is_empty() {
                self.by_owner.remove(&gone.owner);
            }
        }
        Some(gone)
    }

    /// These, in as little room as they need: a map that was filled one by one is half empty.
    pub fn packed(self) -> Self {
        let by_owner = self.by_owner.into_iter().map(|(owner, mut names)| {
            names.shrink_to_fit();
            (owner, names)
        });
        Self { by_owner: by_owner.collect(), by_name: self.by_name.into_iter().collect() }
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
        let set = |name: &str, owner: &str| ReplicaSetRecord {
            name: name.into(),
            hash: String::new(),
            revision_number: String::new(),
            owner: owner.into(),
        };
        let mut sets = ReplicaSets::default();
        for (name, owner) in [("a", "x"), ("b", "x"), ("c", "y")] {
            sets.insert(name.into(), set(name, owner));
        }
        let of = |sets: &ReplicaSets, owner: &str| sets.of(owner).map(|set| set.name.clone()).collect::<Vec<_>>();
        assert_eq!((of(&sets, "x"), of(&sets, "y")), (vec!["a".into(), "b".into()], vec!["c".into()]));
        sets.insert("b".into(), set("b", "y"));
        assert_eq!((of(&sets, "x"), of(&sets, "y")), (vec!["a".into()], vec!["b".into(), "c".into()]));
        sets.remove("a");
        assert!(of(&sets, "x").is_empty() && sets.by_owner.len() == 1);
        sets.clear();
        assert_eq!((sets.values().count(), sets.by_owner.len()), (0, 0));
    }
}
