//! Maps errors to exit codes.

use std::process::ExitCode;

use crate::check::verify::VerifyError;
use crate::cli::commands::data_in::recovery_command::DataLossStop;
use crate::cli::commands::print::ReaderGone;
use crate::cli::settings::SettingsError;
use crate::engines::EngineError;
use crate::engines::registration::RootError;
use crate::ingest::IngestError;
use crate::ingest::dead_letter_replay::DeadLetterReplayError;
use crate::kafka::TopicError;
use crate::lake::{LakeError, StoreProblem};
use crate::live::{LiveError, RuleError};
use crate::query::QueryError;
use crate::serve::dashboard::DashboardError;
use crate::tail::{FollowError, UnionError};

/// Exit codes that scripts can rely on.
const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
const DATA_LOSS: u8 = 3;
pub(in crate::cli::commands) const FINDINGS: u8 = 4;

pub(in crate::cli::commands) fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.is::<ReaderGone>() || matches!(error.downcast_ref(), Some(QueryError::BrokenPipe))
}

/// Exit code of an error: 1 for a failure, 2 for wrong usage or configuration, 3 for data loss or too many dead
/// letters, which need a decision. Findings (exit code 4) are not an error.
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
        if cause.is::<DataLossStop>() {
            return Some(DATA_LOSS);
        }
        if let Some(error) = cause.downcast_ref::<IngestError>() {
            return match error {
                IngestError::DataLoss(_) | IngestError::TooManyDeadLetters(_) => Some(DATA_LOSS),
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
        if let Some(error) = cause.downcast_ref::<DeadLetterReplayError>() {
            return match error {
                DeadLetterReplayError::Lake(error) => lake_code(error),
                DeadLetterReplayError::Input(_) | DeadLetterReplayError::Column { .. } => Some(USAGE),
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
                UnionError::TopicMismatch(_) => Some(USAGE),
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
        LiveError::Gap { .. } | LiveError::TopicMismatch(_) => Some(DATA_LOSS),
        LiveError::Lake(error) => lake_code(error),
        LiveError::Topic(error) => topic_code(error),
        LiveError::Follow(FollowError::Topic(error)) => topic_code(error),
        _ => None,
    }
}

/// The exit code of a topic error. Errors that only another user, password, certificate or flag can fix are usage
/// errors.
fn topic_code(error: &TopicError) -> Option<u8> {
    (error.is_refusal() || matches!(error, TopicError::Configuration(_))).then_some(USAGE)
}

fn lake_code(error: &LakeError) -> Option<u8> {
    match error {
        LakeError::TopicMismatch(_) => Some(DATA_LOSS),
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
