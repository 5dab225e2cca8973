//! The ticks in Kafka that are not yet in the table. They are followed while clients send requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::lake::Lake;
use crate::query::{QueryError, QuerySession, UnionSessions};
use crate::serve::dashboard::source_spec::SourceSpec;
use crate::tail::{TableUnion, UnionError, UnionSettings, UnionView};

/// How long the first request waits for the ticks that are already in Kafka.
const FIRST_READ: Duration = Duration::from_secs(1);
/// Pause after a failed attempt to open the union.
const AGAIN: Duration = Duration::from_secs(10);

pub(in crate::serve::dashboard) struct LiveUnion {
    /// `None` if only the table is shown.
    settings: Option<UnionSettings>,
    open: Option<Open>,
    unavailable_reason: Option<String>,
    again_at: Option<Instant>,
}

struct Open {
    union: TableUnion,
    sessions: UnionSessions,
}

impl LiveUnion {
    pub(in crate::serve::dashboard) fn new(settings: Option<UnionSettings>) -> Self {
        Self { settings, open: None, unavailable_reason: None, again_at: None }
    }

    pub(in crate::serve::dashboard) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Why Kafka can't be followed.
    pub(in crate::serve::dashboard) fn unavailable_reason(&self) -> Option<String> {
        self.unavailable_reason.clone()
    }

    /// The newest view; `None` if the union is not configured or currently unavailable.
    pub(in crate::serve::dashboard) async fn newest(&mut self, spec: &SourceSpec) -> Option<Arc<UnionView>> {
        let settings = self.settings.as_ref()?;
        let is_due = self.again_at.is_none_or(|at| at <= Instant::now());
        if self.open.is_none() && is_due {
            match open(settings.clone(), spec).await {
                Ok(open) => {
                    self.open = Some(open);
                    self.unavailable_reason = None;
                }
                Err(problem) => {
                    if self.unavailable_reason.as_ref() != Some(&problem) {
                        tracing::warn!("the dashboard shows the table alone: {problem}");
                    }
                    self.unavailable_reason = Some(problem);
                    self.again_at = Some(Instant::now() + AGAIN);
                }
            }
        }
        self.open.as_ref().map(|open| open.union.view())
    }

    /// A session that queries the view.
    ///
    /// # Errors
    /// The view is not one of the open union, or its tables can't be read.
    pub(in crate::serve::dashboard) fn session(&self, view: &UnionView) -> Result<Option<QuerySession>, QueryError> {
        self.open.as_ref().map(|open| open.sessions.over(view)).transpose()
    }

    /// Stops reading from Kafka.
    pub(in crate::serve::dashboard) async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.union.stop().await;
        }
        self.again_at = None;
    }
}

async fn open(settings: UnionSettings, spec: &SourceSpec) -> Result<Open, String> {
    let sessions = UnionSessions::new(spec.memory_bytes).map_err(|error| error.to_string())?;
    let lake = Lake::open(&spec.location, &spec.store).await.map_err(|error| error.to_string())?;
    let opened = TableUnion::open(lake, settings).await;
    let mut union = opened.map_err(|error: UnionError| error.to_string())?;
    // If Kafka was not read to its end in time, the view itself reports that.
    drop(tokio::time::timeout(FIRST_READ, union.caught_up()).await);
    Ok(Open { union, sessions })
}
