//! Sessions over one view of the union after another.
//!
//! A session of its own for each view is cheap while the table stays at its version: what is known of its files, and
//! the footers that were read, are kept. All of them share one memory limit.

use std::sync::{Arc, Mutex, PoisonError};

use super::exec::TailRows;
use crate::lake::{LakeVersion, SIGNALS};
use crate::query::error::QueryError;
use crate::query::session::provider::LakeFiles;
use crate::query::session::query_session::QuerySession;
use crate::query::session::tables::{DEAD_LETTERS, TICKS};
use crate::tail::{UnionView, read_schema};

/// The tables of the version that was asked for last.
struct KnownVersion {
    version: Arc<LakeVersion>,
    tables: Vec<(&'static str, Arc<LakeFiles>)>,
}

pub struct UnionSessions {
    base: QuerySession,
    known: Mutex<Option<KnownVersion>>,
}

impl UnionSessions {
    /// # Errors
    /// See [`QuerySession::new`].
    pub fn new(memory_bytes: usize) -> Result<Self, QueryError> {
        Ok(Self { base: QuerySession::new(memory_bytes)?, known: Mutex::new(None) })
    }

    /// `ticks` as the view has it, and the other tables alongside it. All views are of one lake.
    ///
    /// # Errors
    /// A table has no partition column.
    pub fn over(&self, view: &UnionView) -> Result<QuerySession, QueryError> {
        let mut tail = Some(Arc::new(TailRows::new(read_schema(&view.lake.ticks), view.tail.clone())));
        let mut session = self.base.fork();
        for (name, files) in self.tables(&view.lake)? {
            // Ticks come first.
            session.register_files(name, files, tail.take())?;
        }
        Ok(session)
    }

    fn tables(&self, version: &Arc<LakeVersion>) -> Result<Vec<(&'static str, Arc<LakeFiles>)>, QueryError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.version, version)) {
            return Ok(known.tables.clone());
        }
        let mut tables = Vec::new();
        let views = [
            (TICKS, Some(&version.ticks)),
            (DEAD_LETTERS, Some(&version.dead_letters)),
            (SIGNALS, version.signals.as_ref()),
        ];
        for (name, view) in views {
            if let Some(view) = view {
                let files = LakeFiles::of(view.clone()).map_err(QueryError::Session)?;
                tables.push((name, Arc::new(files)));
            }
        }
        *known = Some(KnownVersion { version: Arc::clone(version), tables: tables.clone() });
        Ok(tables)
    }
}
