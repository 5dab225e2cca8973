//! Tracks the keys of an object to detect duplicates.

use std::borrow::Cow;
use std::collections::HashSet;

/// Number of keys that are compared one by one. Objects with more keys use a hash set.
const INLINE_KEYS: usize = 32;

/// Keys of one object that are not part of the plan.
#[derive(Debug, Default)]
pub(in crate::decode) struct UnmappedKeys<'p> {
    few: Vec<Cow<'p, [u8]>>,
    many: HashSet<Cow<'p, [u8]>>,
}

impl<'p> UnmappedKeys<'p> {
    /// Inserts a key. Returns false if the object already has it.
    pub(in crate::decode) fn insert(&mut self, name: Cow<'p, [u8]>) -> bool {
        if self.many.is_empty() {
            if self.few.contains(&name) {
                return false;
            }
            if self.few.len() < INLINE_KEYS {
                self.few.push(name);
                return true;
            }
            self.many.extend(self.few.drain(..));
        }
        self.many.insert(name)
    }
}
