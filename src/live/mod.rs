//! Rolling state per symbol, and the events derived from it, while ticks arrive.
//!
//! ```text
//!  ROOT/ticks below the offsets ──> warm_up ──┐
//!                                             ▼
//!  tail::TailFollower (from these offsets) ──> Engine: Waiting ──> Rolling ──> Values, Events <── Rules
//!                                             │
//!                                             ▼
//!                 task: topic, table signals, webhooks, printer, Updates for the dashboard
//! ```
//!
//! Invariants:
//! - Ticks in order give the values and events that the named queries give for the same rows.
//! - The same ticks give the same events with the same identities, across restarts.
//! - The position of live is the transaction of `signals`: all events of ticks below it are emitted.

mod emitted;
mod engine;
mod error;
mod event;
mod open;
mod reorder;
mod rolling;
mod rules;
mod settings;
mod sinks;
mod task;
#[cfg(test)]
mod tests;
mod update;
mod values;
mod warm_up;

pub use engine::{SignalEngine, TickPosition};
pub use error::LiveError;
pub use event::{Event, EventId, EventKind, Severity, TickId};
pub use open::{LiveSpec, open};
pub use rolling::{CrossoverState, RollingValues, TickValues, WindowLengths};
pub use rules::{RuleError, Rules};
pub use settings::{LiveSettings, RuleSettings, WebhookFormat, WebhookSettings};
pub use sinks::encode::EventJson;
pub use task::{EventSender, LiveSummary, LiveTask};
pub use update::{LiveProgress, LiveUpdate, SecondBar, SymbolState};
pub use values::{LiveValues, VALUE_NAMES, VALUES, at};
pub use warm_up::{StartOffsets, history, warm_up};
