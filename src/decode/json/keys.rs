//! Which keys an object had so far, to find the second of a pair.

use std::borrow::Cow;
use std::collections::HashSet;

/// Keys that are compared one by one; a hash set takes over beyond.
const INLINE_KEYS: usize = 32;

/// Keys of one object that no pointer wants.
#[derive(Debug, Default)]
pub(in crate::decode) struct OtherKeys<'p> {
    few: Vec<Cow<'p, [u8]>>,
    many: HashSet<Cow<'p, [u8]>>,
}

impl<'p> OtherKeys<'p> {
    /// False if the key was there before.
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
