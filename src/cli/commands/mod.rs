//! One file per subcommand: wiring and printing, nothing else.

pub mod ask;
pub mod data_in;
mod operate;
mod print;
mod set_up;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::check::verify::VerifyError;
use crate::cli::args::{Cli, Command};
use crate::cli::settings::{Settings, SettingsError};
use crate::engines::EngineError;
use crate::engines::registration::RootError;
use crate::ingest::IngestError;
use crate::ingest::redrive::ReplayError;
use crate::kafka::TopicError;
use crate::lake::{LakeError, StoreProblem};
use crate::live::{LiveError, RuleError};
use crate::query::QueryError;
use crate::serve::dashboard::DashboardError;
use crate::tail::{FollowError, UnionError};
use print::ReaderGone;
pub use print::tell;

/// Exit codes that scripts rely on.
const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
const DATA_LOSS: u8 = 3;
const FINDINGS: u8 = 4;

/// # Errors
/// What the subcommand could not do; [`exit_code`] says how to leave.
pub async fn run(cli: Cli, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let result = match &cli.command {
        Command::Ingest(args) => data_in::ingest::run(&cli.global, args, stop).await,
        Command::Demo(args) => data_in::demo::run(args, stop).await,
        Command::Produce(args) => data_in::produce::run(&cli.global, args, stop).await,
        Command::Query(args) => ask::query::run(&cli.global, args, stop).await,
        Command::Live(args) => ask::live::run(&cli.global, args, stop).await,
        Command::Alerts(args) => ask::alerts::run(&cli.global, args, stop).await,
        Command::Table(args) => operate::table::run(&cli.global, args, &stop).await,
        Command::Offsets(args) => operate::offsets::run(&cli.global, args, &stop).await,
        Command::DeadLetters(args) => operate::dead_letters::run(&cli.global, args, stop).await,
        Command::Maintain(args) => operate::maintain::run(&cli.global, args, &stop).await,
        Command::Verify(args) => operate::verify::run(&cli.global, args, &stop).await,
        Command::Doctor(args) => operate::doctor::run(&cli.global, args, &stop).await,
        Command::Dashboard(args) => ask::dashboard::run(&cli.global, args, stop).await,
        Command::Catalog(args) => set_up::catalog::run(&cli.global, args, stop).await,
        Command::Probe(args) => operate::probe::run(args).await,
        Command::Config(args) => set_up::config::run(&cli.global, args).await,
        Command::Completions(args) => set_up::config::completions(args),
        Command::ConsumeOnly(args) => {
            let settings = Settings::resolve(cli.global.config.as_deref(), |layers| args.apply(layers))?.settings;
            tokio::task::spawn_blocking(move || data_in::consume_only::run(&settings, &stop)).await?
        }
    };
    match result {
        Err(error) if is_reader_gone(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

/// Ctrl-C ends what the command does at the time, not the command.
pub fn keeps_interrupts(command: &Command) -> bool {
    matches!(command, Command::Query(args) if args.is_open() && ask::repl::is_interactive())
}

fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.is::<ReaderGone>() || matches!(error.downcast_ref(), Some(QueryError::BrokenPipe))
}

/// 1 failed, 2 usage or configuration, 3 data loss, or too many dead letters, need a decision; findings (4) are no error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = error.chain().find_map(|cause| {
        if cause.is::<SettingsError>()
            || cause.is::<RootError>()
            || matches!(cause.downcast_ref(), Some(QueryError::Usage(_)))
            || matches!(cause.downcast_ref(), Some(DashboardError::Refused(_)))
        {
            return Some(USAGE);
        }
        if matches!(cause.downcast_ref(), Some(EngineError::Usage(_) | EngineError::LogIn { .. })) {
            return Some(USAGE);
        }
        if cause.is::<data_in::way_out::DataLossStop>() {
            return Some(DATA_LOSS);
        }
        if let Some(error) = cause.downcast_ref::<IngestError>() {
            return match error {
                IngestError::DataLoss(_) | IngestError::MostlyDead(_) => Some(DATA_LOSS),
                IngestError::Settings(_) | IngestError::Start(_) => Some(USAGE),
                IngestError::Lake(error) => lake_code(error),
                IngestError::Topic(error) => topic_code(error),
                _ => None,
            };
        }
        if let Some(error) = cause.downcast_ref::<VerifyError>() {
            return match error {
                VerifyError::Lake(error) => lake_code(error),
                VerifyError::Topic(error) => topic_code(error),
                VerifyError::Usage(_) => Some(USAGE),
                _ => None,
            };
        }
        if let Some(error) = cause.downcast_ref::<ReplayError>() {
            return match error {
                ReplayError::Lake(error) => lake_code(error),
                ReplayError::Input(_) | ReplayError::Column { .. } => Some(USAGE),
                _ => None,
            };
        }
        if let Some(error) = cause.downcast_ref::<LiveError>() {
            return live_code(error);
        }
        if cause.is::<RuleError>() {
            return Some(USAGE);
        }
        if let Some(error) = cause.downcast_ref::<TopicError>() {
            return topic_code(error);
        }
        if let Some(error) = cause.downcast_ref::<UnionError>() {
            return match error {
                UnionError::OtherTopic(_) => Some(USAGE),
                UnionError::Lake(error) => lake_code(error),
                UnionError::Follow(FollowError::Topic(error)) => topic_code(error),
                _ => None,
            };
        }
        cause.downcast_ref::<LakeError>().and_then(lake_code)
    });
    ExitCode::from(code.unwrap_or(FAILED))
}

fn live_code(error: &LiveError) -> Option<u8> {
    match error {
        LiveError::Settings(_) | LiveError::Rule(_) => Some(USAGE),
        LiveError::Gap { .. } | LiveError::OtherTopic(_) => Some(DATA_LOSS),
        LiveError::Lake(error) => lake_code(error),
        LiveError::Topic(error) => topic_code(error),
        LiveError::Follow(FollowError::Topic(error)) => topic_code(error),
        _ => None,
    }
}

/// What only another user, password, certificate or flag mends.
fn topic_code(error: &TopicError) -> Option<u8> {
    (error.is_refusal() || matches!(error, TopicError::Configuration(_))).then_some(USAGE)
}

fn lake_code(error: &LakeError) -> Option<u8> {
    match error {
        LakeError::OtherTopic(_) => Some(DATA_LOSS),
        LakeError::Differs { .. }
        | LakeError::Occupied { .. }
        | LakeError::NotAFolder { .. }
        | LakeError::PlainHttp { .. }
        | LakeError::Endpoint { .. }
        | LakeError::NoBucketCreation { .. }
        | LakeError::NoVersion { .. }
        | LakeError::TooOld { .. } => Some(USAGE),
        LakeError::Store { problem: StoreProblem::Credentials { .. } | StoreProblem::NoCredentials, .. } => Some(USAGE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_build_can_t_do_is_wrong_use() {
        let error = LakeError::NoBucketCreation { location: "s3://bucket/lake".to_owned() };
        assert_eq!(lake_code(&error), Some(USAGE));
    }
}
