//! Rolling state per symbol, and the events that come of it, while the ticks arrive.
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
//! - The position of live is the transaction of `signals`: what is below was told.

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
mod told;
mod update;
mod values;
mod warm_up;

pub use engine::{Engine, Origin};
pub use error::LiveError;
pub use event::{Event, EventId, Kind, Severity, TickId};
pub use open::{LiveSpec, open};
pub use rolling::{Point, Rolling, Turn, Windows};
pub use rules::{RuleError, Rules};
pub use settings::{LiveSettings, RuleSettings, WebhookFormat, WebhookSettings};
pub use sinks::encode::EventJson;
pub use task::{EventSender, Live, Summary};
pub use update::{Progress, SecondBar, SymbolState, Update};
pub use values::{VALUE_NAMES, VALUES, Values, at};
pub use warm_up::{Starts, history, warm_up};
