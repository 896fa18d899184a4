//! Parts of Canaries that are the same in many of them, as they are where one chart makes them all, are kept once.
//!
//! What is shared is never changed; who shares it cannot tell.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// So many different ones are looked through for an equal one; those that nobody has any more make room first.
const KNOWN: usize = 32;

/// The values of one type that are shared at present.
pub struct Pool<T: ?Sized>(Mutex<Vec<Weak<T>>>);

impl<T: PartialEq + ?Sized> Pool<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Puts an equal value in place of this one, where there is one.
    pub fn share(&self, value: &mut Arc<T>) {
        // Nothing is done under the lock that could leave the list half changed.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        known.retain(|one| match one.upgrade() {
            Some(one) if found.is_none() && *one == **value => {
                found = Some(one);
                false
            }
            one => one.is_some(),
        });
        match found {
            Some(found) => *value = found,
            None if known.len() >= KNOWN => drop(known.remove(0)),
            None => {}
        }
        // The one that was met last is looked for longest.
        known.push(Arc::downgrade(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one_and_those_that_are_gone_are_forgotten() {
        let texts: Pool<String> = Pool::new();
        let shared = |text: &str| {
            let mut text = Arc::new(text.to_string());
            texts.share(&mut text);
            text
        };
        let (one, other) = (shared("a"), shared("b"));
        assert!(Arc::ptr_eq(&one, &shared("a")) && Arc::ptr_eq(&other, &shared("b")) && *one == "a");
        drop(one);
        let again = shared("a");
        assert!(Arc::ptr_eq(&again, &shared("a")));
        // Of too many the first are not looked for any more; they are as good as ever.
        let many: Vec<_> = (0..KNOWN * 2).map(|nth| shared(&nth.to_string())).collect();
        assert!(!Arc::ptr_eq(&again, &shared("a")) && *again == "a");
        assert!(Arc::ptr_eq(&many[KNOWN * 2 - 1], &shared(&(KNOWN * 2 - 1).to_string())));
        assert!(texts.0.lock().unwrap().len() <= KNOWN);
    }
}
