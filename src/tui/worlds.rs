//! What is known of the namespaces that the console looks at: of one, or of all that hold Canaries.

use crate::cluster::{Fleet, Mirror};
use std::collections::BTreeMap;

/// The namespaces that are looked at. Clones share what is known.
#[derive(Clone)]
pub enum Worlds {
    One {
        namespace: String,
        mirror: Mirror,
    },
    /// All that hold Canaries, over watches that they share.
    All(Fleet),
}

impl Worlds {
    /// What is known of a namespace; None where nothing of it is kept.
    pub fn of(&self, namespace: &str) -> Option<Mirror> {
        match self {
            Worlds::One { namespace: only, mirror } => (only == namespace).then(|| mirror.clone()),
            Worlds::All(fleet) => fleet.member(namespace).map(|member| member.mirror),
        }
    }

    /// How the watches stand.
    pub fn whole(&self) -> Mirror {
        match self {
            Worlds::One { mirror, .. } => mirror.clone(),
            Worlds::All(fleet) => fleet.whole(),
        }
    }

    /// The namespaces, each with a number that is another one when it has gone and come again.
    pub fn members(&self) -> BTreeMap<String, (u64, Mirror)> {
        match self {
            Worlds::One { namespace, mirror } => [(namespace.clone(), (0, mirror.clone()))].into(),
            Worlds::All(fleet) => {
                let members = fleet.members().into_iter();
                members.map(|(namespace, member)| (namespace, (member.number, member.mirror))).collect()
            }
        }
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        match self {
            Worlds::One { namespace, .. } => vec![namespace.clone()],
            Worlds::All(fleet) => fleet.members().into_keys().collect(),
        }
    }

    /// Whether these are all namespaces.
    pub fn are_all(&self) -> bool {
        matches!(self, Worlds::All(_))
    }
}
