//! Where a field of a tick is found, and the document that it is found in.

use crate::decode::json::plan::{Capture, Plan};
use crate::decode::source::Source;
use crate::decode::verdict::Message;

/// Where a field of a tick is found, resolved.
#[derive(Debug, Clone, Default)]
pub(in crate::decode) enum Origin {
    #[default]
    Absent,
    /// With the JSON pointer that it stands for.
    Slot(usize, Box<str>),
    Constant(Box<str>),
    KafkaKey,
    KafkaTimestamp,
    Header(Box<str>),
}

impl Origin {
    pub(in crate::decode) fn at(plan: &mut Plan, pointer: &str) -> Self {
        Self::Slot(plan.add(pointer), pointer.into())
    }

    pub(in crate::decode) fn new(source: Option<&Source>, plan: &mut Plan) -> Self {
        match source {
            None => Self::Absent,
            Some(Source::Pointer(pointer)) => Self::at(plan, pointer),
            Some(Source::Constant(value)) => Self::Constant(value.as_str().into()),
            Some(Source::KafkaKey) => Self::KafkaKey,
            Some(Source::KafkaTimestamp) => Self::KafkaTimestamp,
            Some(Source::Header(name)) => Self::Header(name.as_str().into()),
        }
    }
}

/// A document that was scanned, and the record that brought it.
#[derive(Clone, Copy)]
pub(in crate::decode) struct Scanned<'s, 'p> {
    pub text: &'p str,
    pub captures: &'s [Capture],
    pub message: &'s Message<'p>,
}
