//! JSON pointers compiled into a small tree, which determines the keys of a document to capture.
//!
//! Invariant: every key of the tree has its own slot, including keys on the path to a captured one. A slot that is
//! filled twice therefore means a duplicate key.

use crate::decode::json::number::JsonNumber;

/// The content of a slot after a scan. Byte positions refer to the scanned text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) enum CaptureKind {
    Missing,
    Null,
    True,
    False,
    Number,
    /// A string without escapes. The span excludes the quotes.
    PlainString,
    EscapedString,
    Object,
    Array,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::decode) struct Capture {
    pub number: JsonNumber,
    pub start: u32,
    pub end: u32,
    pub kind: CaptureKind,
}

impl Capture {
    pub(in crate::decode) const MISSING: Self =
        Self { number: JsonNumber::ZERO, start: 0, end: 0, kind: CaptureKind::Missing };

    pub(in crate::decode) fn new(kind: CaptureKind, start: usize, end: usize) -> Self {
        Self { number: JsonNumber::ZERO, start: start as u32, end: end as u32, kind }
    }

    /// The captured part of `text`, which must be the scanned text. It is empty if nothing was captured.
    pub(in crate::decode) fn text<'p>(&self, text: &'p str) -> &'p str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

#[derive(Debug, Clone)]
pub(in crate::decode) struct PlanKey {
    pub name: Box<[u8]>,
    /// The name with its closing quote, as it appears in a document; `None` if JSON requires escapes in the name.
    quoted: Option<Box<[u8]>>,
    pub slot: usize,
    pub child: Option<usize>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::decode) struct PlanNode {
    pub keys: Vec<PlanKey>,
}

impl PlanNode {
    /// Finds the key whose name and closing quote are at the beginning of `rest`. The key at `expected` is tried first,
    /// because producers usually keep the order of keys.
    #[inline]
    pub(in crate::decode) fn find(&self, rest: &[u8], expected: usize) -> Option<usize> {
        let matches = |key: &PlanKey| key.quoted.as_deref().is_some_and(|quoted| rest.starts_with(quoted));
        if self.keys.get(expected).is_some_and(matches) {
            return Some(expected);
        }
        self.keys.iter().position(matches)
    }

    pub(in crate::decode) fn find_name(&self, name: &[u8]) -> Option<usize> {
        self.keys.iter().position(|key| *key.name == *name)
    }
}

/// The keys to capture, and the number of slots for their values.
#[derive(Debug, Clone)]
pub(in crate::decode) struct ScanPlan {
    pub nodes: Vec<PlanNode>,
    slots: usize,
}

impl ScanPlan {
    pub(in crate::decode) const ROOT: usize = 0;

    pub(in crate::decode) fn new() -> Self {
        Self { nodes: vec![PlanNode::default()], slots: 0 }
    }

    pub(in crate::decode) fn empty_captures(&self) -> Vec<Capture> {
        vec![Capture::MISSING; self.slots]
    }

    /// Adds a valid JSON pointer (see [`pointer_tokens`]) and returns its slot. Equal pointers share a slot.
    pub(in crate::decode) fn add(&mut self, pointer: &str) -> usize {
        let mut node = Self::ROOT;
        let mut tokens = pointer_tokens(pointer).peekable();
        let mut slot = 0;
        while let Some(token) = tokens.next() {
            let at = self.key(node, token.as_bytes());
            slot = self.nodes[node].keys[at].slot;
            if tokens.peek().is_some() {
                node = match self.nodes[node].keys[at].child {
                    Some(child) => child,
                    None => {
                        let child = self.nodes.len();
                        self.nodes.push(PlanNode::default());
                        self.nodes[node].keys[at].child = Some(child);
                        child
                    }
                };
            }
        }
        slot
    }

    fn key(&mut self, node: usize, name: &[u8]) -> usize {
        if let Some(at) = self.nodes[node].find_name(name) {
            return at;
        }
        let escaped_in_json = name.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let quoted = (!escaped_in_json).then(|| [name, b"\""].concat().into_boxed_slice());
        let key = PlanKey { name: name.into(), quoted, slot: self.slots, child: None };
        self.slots += 1;
        self.nodes[node].keys.push(key);
        self.nodes[node].keys.len() - 1
    }
}

/// The unescaped reference tokens of a JSON pointer (RFC 6901).
pub(in crate::decode) fn pointer_tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pointers_share_a_slot_and_paths_share_their_beginning() {
        let mut plan = ScanPlan::new();
        let price = plan.add("/data/p");
        let symbol = plan.add("/data/s");
        assert_ne!(price, symbol);
        assert_eq!(plan.add("/data/p"), price);
        assert_eq!(plan.nodes.len(), 2);
        assert_eq!(plan.nodes[0].keys.len(), 1);
        assert_eq!(plan.empty_captures().len(), 3);
    }

    #[test]
    fn pointers_unescape_slash_and_tilde() {
        assert_eq!(pointer_tokens("/a~1b/~01").collect::<Vec<_>>(), ["a/b", "~1"]);
    }

    #[test]
    fn a_name_with_a_quote_is_never_matched_raw() {
        let mut plan = ScanPlan::new();
        plan.add("/a\"b");
        assert_eq!(plan.nodes[0].find(b"a\"b\":1", 0), None);
        assert_eq!(plan.nodes[0].find_name(b"a\"b"), Some(0));
    }
}
