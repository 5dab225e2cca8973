//! The resolved source of a field, and the scanned document that it is read from.

use crate::decode::field_source::FieldSource;
use crate::decode::json::plan::{Capture, ScanPlan};
use crate::decode::verdict::RawMessage;

/// The source of a field, with pointers resolved to slots of the plan.
#[derive(Debug, Clone, Default)]
pub(in crate::decode) enum FieldOrigin {
    #[default]
    Absent,
    /// A slot of the plan, and its JSON pointer.
    Slot(usize, Box<str>),
    Constant(Box<str>),
    KafkaKey,
    KafkaTimestamp,
    Header(Box<str>),
}

impl FieldOrigin {
    pub(in crate::decode) fn at(plan: &mut ScanPlan, pointer: &str) -> Self {
        Self::Slot(plan.add(pointer), pointer.into())
    }

    pub(in crate::decode) fn new(source: Option<&FieldSource>, plan: &mut ScanPlan) -> Self {
        match source {
            None => Self::Absent,
            Some(FieldSource::Pointer(pointer)) => Self::at(plan, pointer),
            Some(FieldSource::Constant(value)) => Self::Constant(value.as_str().into()),
            Some(FieldSource::KafkaKey) => Self::KafkaKey,
            Some(FieldSource::KafkaTimestamp) => Self::KafkaTimestamp,
            Some(FieldSource::Header(name)) => Self::Header(name.as_str().into()),
        }
    }
}

/// A scanned document, and the message that contains it.
#[derive(Clone, Copy)]
pub(in crate::decode) struct ScannedDocument<'s, 'p> {
    pub text: &'p str,
    pub captures: &'s [Capture],
    pub message: &'s RawMessage<'p>,
}
