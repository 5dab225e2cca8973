//! The tables that the statements of a command read, at their newest versions.

use anyhow::Context;
use chrono_tz::Tz;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{AsOfText, GlobalArgs, PastArgs, QueryArgs};
use crate::cli::commands::ask::live_tables::LiveTables;
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::Settings;
use crate::lake::{AsOf, Lake, SIGNALS};
use crate::query::{DEAD_LETTERS, QueryClock, QueryError, QuerySession, TICKS};

pub(in crate::cli::commands) struct Tables {
    source: Source,
    place: String,
    memory: usize,
    /// Names and paths of files that are registered in addition to the lake.
    files: Vec<(String, String)>,
    /// The session, with the versions of the tables that it reads. For live tables it reads one view.
    session: Option<([Option<u64>; 3], QuerySession)>,
}

enum Source {
    Lake(Box<Stored>),
    Live(Box<LiveTables>),
}

struct Stored {
    lake: Lake,
    /// Whether an older version is read, which never changes.
    is_past: bool,
    /// Whether the lake was just opened, so that it needs no refresh.
    is_fresh: bool,
}

impl Tables {
    /// Opens the tables.
    ///
    /// # Errors
    /// There is no lake, it can't be read, or `stop` is cancelled; with `--live`, Kafka can't be read to its end.
    pub(in crate::cli::commands) async fn open(
        global: &GlobalArgs,
        args: &QueryArgs,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let settings = Settings::resolve(global.config.as_deref(), |layers| args.apply(layers))?.settings;
        let memory = usize::try_from(args.memory_limit).context("use --memory-limit")?;
        let lake = open_lake(&settings, stop).await?;
        let source = if args.live {
            let live = LiveTables::open(lake, &settings, args, memory);
            let live = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(QueryError::Cancelled.into()),
                live = live => live?,
            };
            Source::Live(Box::new(live))
        } else {
            let as_of = version_of(&args.past, args.tz)?;
            let lake = match as_of {
                Some(as_of) => lake.at(as_of).await?,
                None => lake,
            };
            Source::Lake(Box::new(Stored { lake, is_past: as_of.is_some(), is_fresh: true }))
        };
        let place = settings.location()?.to_string();
        Ok(Self { source, place, memory, files: args.register.clone(), session: None })
    }

    /// Opens the newest versions of the tables.
    ///
    /// # Errors
    /// There is no lake, it can't be read, or `stop` is cancelled.
    pub(in crate::cli::commands) async fn of(
        settings: &Settings,
        memory: usize,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let lake = open_lake(settings, stop).await?;
        let source = Source::Lake(Box::new(Stored { lake, is_past: false, is_fresh: true }));
        let place = settings.location()?.to_string();
        Ok(Self { source, place, memory, files: Vec::new(), session: None })
    }

    /// Names and paths of files that are registered in addition to the lake.
    pub(in crate::cli::commands) fn registered(&self) -> &[(String, String)] {
        &self.files
    }

    /// Name of the time zone of trade dates.
    pub(in crate::cli::commands) fn market_zone(&self) -> Option<&str> {
        match &self.source {
            Source::Lake(stored) => stored.lake.market_zone(),
            Source::Live(live) => live.market_zone(),
        }
    }

    /// The location of the lake and its version, for messages.
    pub(in crate::cli::commands) fn place(&self) -> String {
        match &self.source {
            Source::Lake(stored) => format!("{} at version {}", self.place, stored.lake.version()),
            Source::Live(live) => {
                format!("{} at version {} and what Kafka holds beyond it", self.place, live.version())
            }
        }
    }

    /// A session that reads the newest version. If nothing was committed, it is the previous session, which has cached
    /// the Parquet footers.
    ///
    /// # Errors
    /// The lake can't be read.
    pub(in crate::cli::commands) async fn session(&mut self) -> anyhow::Result<&QuerySession> {
        let (versions, session) = match &mut self.source {
            Source::Live(live) => {
                if let Some(trouble) = live.newest() {
                    write_stderr(&format!("not the newest: {trouble}\n"));
                }
                let mut session = live.session()?;
                register_files(&mut session, &self.files).await?;
                ([Some(live.version()), None, None], session)
            }
            Source::Lake(stored) => {
                if !std::mem::take(&mut stored.is_fresh) && !stored.is_past {
                    stored.lake.refresh().await.context("read the lake")?;
                }
                let versions = stored.lake.versions();
                let session = match self.session.take() {
                    // A registered file may have been replaced since then, so the session is reused only if there are
                    // none.
                    Some((known, session)) if known == versions && self.files.is_empty() => session,
                    _ => {
                        let mut session = QuerySession::new(self.memory)?;
                        session.register(TICKS, stored.lake.ticks()?)?;
                        session.register(DEAD_LETTERS, stored.lake.dead_letters()?)?;
                        if let Some(signals) = stored.lake.signals()? {
                            session.register(SIGNALS, signals)?;
                        }
                        register_files(&mut session, &self.files).await?;
                        session
                    }
                };
                (versions, session)
            }
        };
        Ok(&self.session.insert((versions, session)).1)
    }

    /// Registers a file as a table, from the next session on.
    ///
    /// # Errors
    /// The same as for [`QuerySession::register_file`]. Nothing is changed in this case.
    pub(in crate::cli::commands) async fn register(&mut self, name: &str, file: &str) -> anyhow::Result<()> {
        self.files.push((name.to_owned(), file.to_owned()));
        self.session = None;
        match self.session().await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.files.pop();
                Err(error)
            }
        }
    }

    /// Stops reading from Kafka. Queries that are already planned can still run.
    pub(in crate::cli::commands) async fn close(self) {
        if let Source::Live(live) = self.source {
            live.close().await;
        }
    }
}

async fn open_lake(settings: &Settings, stop: &CancellationToken) -> anyhow::Result<Lake> {
    let location = settings.location()?;
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(QueryError::Cancelled.into()),
        lake = Lake::open(&location, &settings.store) => lake.context("open the lake"),
    }
}

async fn register_files(session: &mut QuerySession, files: &[(String, String)]) -> anyhow::Result<()> {
    for (name, file) in files {
        session.register_file(name, file).await?;
    }
    Ok(())
}

/// The version that `--as-of` selects.
///
/// # Errors
/// The local time is skipped or repeated in the zone.
pub(in crate::cli::commands) fn version_of(past: &PastArgs, zone: Tz) -> Result<Option<AsOf>, QueryError> {
    Ok(match past.as_of {
        None => None,
        Some(AsOfText::Version(version)) => Some(AsOf::Version(version)),
        Some(AsOfText::Moment(moment)) => {
            let instant = moment.instant(&QueryClock::system(zone));
            Some(AsOf::Time(instant.map_err(|problem| QueryError::Usage(format!("--as-of: {problem}")))?))
        }
    })
}
