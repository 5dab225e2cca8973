//! Tracks the keys of an object, to detect duplicates.

use std::borrow::Cow;
use std::collections::HashSet;

/// Number of keys that are compared one by one; beyond it a hash set is used.
const INLINE_KEYS: usize = 32;

/// Keys of one object that no pointer refers to.
#[derive(Debug, Default)]
pub(in crate::decode) struct UnmappedKeys<'p> {
    few: Vec<Cow<'p, [u8]>>,
    many: HashSet<Cow<'p, [u8]>>,
}

impl<'p> UnmappedKeys<'p> {
    /// Returns false if the object had the key already.
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
