//! A single pass over a JSON text, which checks its syntax, its depth and its number of keys, and captures the values
//! of a plan.
//!
//! Values that are not captured are not materialised, and the recursion depth is limited to [`MAX_DEPTH`].

use std::borrow::Cow;

use crate::decode::json::keys::UnmappedKeys;
use crate::decode::json::number::{InvalidNumber, JsonNumber, is_non_finite_word};
use crate::decode::json::plan::{Capture, CaptureKind, ScanPlan};
use crate::decode::json::text::unescape;
use crate::decode::verdict::{Rejection, RejectionReason};

pub(in crate::decode) const MAX_DEPTH: u32 = 64;
pub(in crate::decode) const MAX_KEYS: u32 = 10_000;

/// An error in a document, and its byte position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct SyntaxFault {
    pub reason: RejectionReason,
    pub at: usize,
}

impl From<InvalidNumber> for SyntaxFault {
    fn from(fault: InvalidNumber) -> Self {
        Self { reason: fault.reason, at: fault.at }
    }
}

impl From<SyntaxFault> for Rejection {
    #[cold]
    fn from(fault: SyntaxFault) -> Self {
        let what = match fault.reason {
            RejectionReason::TooDeep => "nested deeper than 64 levels",
            RejectionReason::TooManyFields => "more than 10000 keys",
            RejectionReason::DuplicateKey => "key occurs twice in one object",
            RejectionReason::TrailingData => "more after the document",
            RejectionReason::NonFinite => "not a finite number",
            RejectionReason::Encoding => "lone surrogate in a key",
            _ => "not valid JSON",
        };
        Rejection { at: Some(fault.at), ..Rejection::new(fault.reason, format!("{what}, at byte {}", fault.at)) }
    }
}

type ScanResult<T> = Result<T, SyntaxFault>;

/// A scanner with its position in the text. The positions in captures refer to the entire text.
pub(in crate::decode) struct Scanner<'p> {
    text: &'p str,
    bytes: &'p [u8],
    pos: usize,
    depth: u32,
    keys: u32,
}

impl<'p> Scanner<'p> {
    pub(in crate::decode) fn new(text: &'p str, pos: usize) -> Self {
        Self { text, bytes: text.as_bytes(), pos, depth: 0, keys: 0 }
    }

    #[cold]
    fn fault<T>(&self, reason: RejectionReason) -> ScanResult<T> {
        Err(SyntaxFault { reason, at: self.pos })
    }

    #[inline]
    pub(in crate::decode) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    #[inline]
    pub(in crate::decode) fn whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
    }

    #[inline]
    pub(in crate::decode) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.pos += usize::from(taken);
        taken
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> ScanResult<()> {
        if self.take(byte) { Ok(()) } else { self.fault(RejectionReason::Syntax) }
    }

    /// Requires that only white space is left.
    pub(in crate::decode) fn end(&mut self) -> ScanResult<()> {
        self.whitespace();
        if self.pos == self.bytes.len() { Ok(()) } else { self.fault(RejectionReason::TrailingData) }
    }

    #[inline]
    fn enter(&mut self) -> ScanResult<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.fault(RejectionReason::TooDeep) } else { Ok(()) }
    }

    /// Enters an array and moves to its first element. Returns false if the array is empty.
    pub(in crate::decode) fn enter_array(&mut self) -> ScanResult<bool> {
        self.expect(b'[')?;
        self.enter()?;
        self.whitespace();
        let empty = self.take(b']');
        self.depth -= u32::from(empty);
        Ok(!empty)
    }

    /// Moves to the next element. Returns false after the last one.
    pub(in crate::decode) fn next_element(&mut self) -> ScanResult<bool> {
        self.whitespace();
        if self.take(b',') {
            self.whitespace();
            return Ok(true);
        }
        self.expect(b']')?;
        self.depth -= 1;
        Ok(false)
    }

    /// Scans an object and stores values in the slots of `plan`, which must be empty.
    #[inline]
    pub(in crate::decode) fn object(
        &mut self,
        plan: &ScanPlan,
        node: usize,
        captures: &mut [Capture],
    ) -> ScanResult<()> {
        self.expect(b'{')?;
        self.enter()?;
        self.whitespace();
        if self.take(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        let node_keys = &plan.nodes[node];
        let mut others = UnmappedKeys::default();
        let mut expected = 0;
        loop {
            self.expect(b'"')?;
            self.count_key()?;
            let found = match node_keys.find(&self.bytes[self.pos..], expected) {
                Some(at) => {
                    self.pos += node_keys.keys[at].name.len() + 1;
                    Some(at)
                }
                None => {
                    let name = self.key_name()?;
                    match node_keys.find_name(&name) {
                        Some(at) => Some(at),
                        None if others.insert(name) => None,
                        None => return self.fault(RejectionReason::DuplicateKey),
                    }
                }
            };
            self.colon()?;
            match found {
                Some(at) => {
                    let key = &node_keys.keys[at];
                    if captures[key.slot].kind != CaptureKind::Missing {
                        return self.fault(RejectionReason::DuplicateKey);
                    }
                    expected = at + 1;
                    let capture = self.value(plan, key.child, captures)?;
                    captures[key.slot] = capture;
                }
                None => self.skip_value()?,
            }
            self.whitespace();
            if self.take(b',') {
                self.whitespace();
                continue;
            }
            self.expect(b'}')?;
            self.depth -= 1;
            return Ok(());
        }
    }

    /// Scans an array on the path of a pointer. The indexes of its elements are used as keys.
    fn array(&mut self, plan: &ScanPlan, node: usize, captures: &mut [Capture]) -> ScanResult<()> {
        let mut index = 0usize;
        let mut more = self.enter_array()?;
        while more {
            match plan.nodes[node].find_name(index.to_string().as_bytes()) {
                Some(at) => {
                    let key = &plan.nodes[node].keys[at];
                    captures[key.slot] = self.value(plan, key.child, captures)?;
                }
                None => self.skip_value()?,
            }
            index += 1;
            more = self.next_element()?;
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, plan: &ScanPlan, child: Option<usize>, captures: &mut [Capture]) -> ScanResult<Capture> {
        let start = self.pos;
        match (self.peek(), child) {
            (Some(b'{'), Some(child)) => {
                self.object(plan, child, captures)?;
                Ok(Capture::new(CaptureKind::Object, start, self.pos))
            }
            (Some(b'['), Some(child)) => {
                self.array(plan, child, captures)?;
                Ok(Capture::new(CaptureKind::Array, start, self.pos))
            }
            (Some(b'{'), None) => {
                self.skip_value()?;
                Ok(Capture::new(CaptureKind::Object, start, self.pos))
            }
            (Some(b'['), None) => {
                self.skip_value()?;
                Ok(Capture::new(CaptureKind::Array, start, self.pos))
            }
            _ => self.scalar(),
        }
    }

    #[inline]
    pub(in crate::decode) fn scalar(&mut self) -> ScanResult<Capture> {
        let start = self.pos;
        match self.peek() {
            Some(b'"') => {
                self.pos += 1;
                let escaped = self.string()?;
                let kind = if escaped { CaptureKind::EscapedString } else { CaptureKind::PlainString };
                Ok(Capture::new(kind, start + 1, self.pos - 1))
            }
            Some(b'-' | b'0'..=b'9') => {
                let (number, end) = JsonNumber::scan(self.bytes, start)?;
                self.pos = end;
                Ok(Capture { number, ..Capture::new(CaptureKind::Number, start, end) })
            }
            Some(b't') => self.word(b"true", CaptureKind::True),
            Some(b'f') => self.word(b"false", CaptureKind::False),
            Some(b'n') if self.bytes[start..].starts_with(b"null") => self.word(b"null", CaptureKind::Null),
            _ if is_non_finite_word(&self.bytes[start..]) => self.fault(RejectionReason::NonFinite),
            _ => self.fault(RejectionReason::Syntax),
        }
    }

    fn word(&mut self, word: &[u8], kind: CaptureKind) -> ScanResult<Capture> {
        let start = self.pos;
        if !self.bytes[start..].starts_with(word) {
            return self.fault(RejectionReason::Syntax);
        }
        self.pos += word.len();
        Ok(Capture::new(kind, start, self.pos))
    }

    /// Checks the syntax of any value, and skips it.
    pub(in crate::decode) fn skip_value(&mut self) -> ScanResult<()> {
        let outside = self.depth;
        // A stack with one bit per level, which is set for objects. It has room for MAX_DEPTH levels.
        let mut objects = 0u64;
        loop {
            let opened = match self.peek() {
                Some(b'{') => Some(true),
                Some(b'[') => Some(false),
                _ => None,
            };
            if let Some(object) = opened {
                self.pos += 1;
                self.enter()?;
                objects = objects << 1 | u64::from(object);
                self.whitespace();
                if self.take(if object { b'}' } else { b']' }) {
                    self.depth -= 1;
                    objects >>= 1;
                } else {
                    if object {
                        self.skip_key()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                self.whitespace();
                let object = objects & 1 == 1;
                if self.take(b',') {
                    self.whitespace();
                    if object {
                        self.skip_key()?;
                    }
                    break;
                }
                self.expect(if object { b'}' } else { b']' })?;
                self.depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn skip_key(&mut self) -> ScanResult<()> {
        self.expect(b'"')?;
        self.count_key()?;
        self.string()?;
        self.colon()
    }

    #[inline]
    fn count_key(&mut self) -> ScanResult<()> {
        self.keys += 1;
        if self.keys > MAX_KEYS { self.fault(RejectionReason::TooManyFields) } else { Ok(()) }
    }

    #[inline]
    fn colon(&mut self) -> ScanResult<()> {
        self.whitespace();
        self.expect(b':')?;
        self.whitespace();
        Ok(())
    }

    fn key_name(&mut self) -> ScanResult<Cow<'p, [u8]>> {
        let start = self.pos;
        let escaped = self.string()?;
        let raw = &self.text[start..self.pos - 1];
        if !escaped {
            return Ok(Cow::Borrowed(raw.as_bytes()));
        }
        match unescape(raw) {
            Some(name) => Ok(Cow::Owned(name.into_bytes())),
            None => self.fault(RejectionReason::Encoding),
        }
    }

    /// Scans a string from after its opening quote to after the closing one. Returns whether it contains escapes.
    #[inline]
    fn string(&mut self) -> ScanResult<bool> {
        let mut escaped = false;
        loop {
            while let Some(word) = self.bytes[self.pos..].first_chunk::<8>() {
                let special = special_bytes(u64::from_le_bytes(*word));
                if special != 0 {
                    self.pos += special.trailing_zeros() as usize / 8;
                    break;
                }
                self.pos += 8;
            }
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1f) | None => return self.fault(RejectionReason::Syntax),
                Some(_) => self.pos += 1,
            }
        }
    }

    fn escape(&mut self) -> ScanResult<()> {
        self.pos += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 1,
            Some(b'u') => {
                let hex = self.bytes.get(self.pos + 1..self.pos + 5);
                if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fault(RejectionReason::Syntax);
                }
                self.pos += 5;
            }
            _ => return self.fault(RejectionReason::Syntax),
        }
        Ok(())
    }
}

/// Returns a word whose lowest set bit is in the first byte that is a quote, a backslash or a control character. Higher
/// bits are undefined.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1)
}
