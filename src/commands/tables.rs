//! The tables that the statements of one command read, at their newest versions.

use anyhow::Context;
use chrono_tz::Tz;
use tokio_util::sync::CancellationToken;

use crate::cli::{AsOfText, GlobalArgs, PastArgs, QueryArgs};
use crate::lake::{AsOf, Lake};
use crate::query::{Clock, DEAD_LETTERS, QueryError, QuerySession, TICKS};
use crate::settings::Settings;

pub(super) struct Tables {
    lake: Lake,
    place: String,
    memory: usize,
    /// Names and files beside the lake.
    files: Vec<(String, String)>,
    /// An older version stays what it is.
    is_past: bool,
    /// Nothing was read since the lake was opened.
    is_fresh: bool,
    /// Of these versions of the two tables.
    session: Option<([u64; 2], QuerySession)>,
}

impl Tables {
    /// # Errors
    /// There is no lake, it can't be read, or `stop` is cancelled.
    pub(super) async fn open(global: &GlobalArgs, args: &QueryArgs, stop: &CancellationToken) -> anyhow::Result<Self> {
        let settings = Settings::resolve(global.config.as_deref(), |layers| args.table.apply(layers))?.settings;
        let memory = usize::try_from(args.memory_limit).context("use --memory-limit")?;
        let mut tables = Self::of(&settings, memory, stop).await?;
        tables.files.clone_from(&args.register);
        if let Some(as_of) = version_of(&args.past, args.tz)? {
            tables.lake = tables.lake.at(as_of).await?;
            tables.is_past = true;
        }
        Ok(tables)
    }

    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn of(settings: &Settings, memory: usize, stop: &CancellationToken) -> anyhow::Result<Self> {
        let location = settings.location()?;
        let lake = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(QueryError::Cancelled.into()),
            lake = Lake::open(&location, &settings.store) => lake.context("open the lake")?,
        };
        let place = location.to_string();
        Ok(Self { lake, place, memory, files: Vec::new(), is_past: false, is_fresh: true, session: None })
    }

    /// The lake and its version, for people.
    pub(super) fn place(&self) -> String {
        format!("{} at version {}", self.place, self.lake.version())
    }

    /// A session over the newest version; the one of before, with the footers that it has read, if nothing was committed.
    ///
    /// # Errors
    /// The lake can't be read.
    pub(super) async fn session(&mut self) -> anyhow::Result<&QuerySession> {
        if !std::mem::take(&mut self.is_fresh) && !self.is_past {
            self.lake.refresh().await.context("read the lake")?;
        }
        let versions = self.lake.versions();
        let session = match self.session.take() {
            // A file beside the tables may be another by now.
            Some((known, session)) if known == versions && self.files.is_empty() => session,
            _ => self.new_session().await?,
        };
        Ok(&self.session.insert((versions, session)).1)
    }

    async fn new_session(&self) -> anyhow::Result<QuerySession> {
        let mut session = QuerySession::new(self.memory)?;
        session.register(TICKS, self.lake.ticks()?)?;
        session.register(DEAD_LETTERS, self.lake.dead_letters()?)?;
        for (name, file) in &self.files {
            session.register_file(name, file).await?;
        }
        Ok(session)
    }
}

/// The version that `--as-of` asks for.
///
/// # Errors
/// A local time that the zone skips or repeats.
pub(super) fn version_of(past: &PastArgs, zone: Tz) -> Result<Option<AsOf>, QueryError> {
    Ok(match past.as_of {
        None => None,
        Some(AsOfText::Version(version)) => Some(AsOf::Version(version)),
        Some(AsOfText::Moment(moment)) => {
            let instant = moment.instant(&Clock::system(zone));
            Some(AsOf::Time(instant.map_err(|problem| QueryError::Usage(format!("--as-of: {problem}")))?))
        }
    })
}
