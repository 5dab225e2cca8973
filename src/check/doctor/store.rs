//! Checks that the store is reachable, supports conditional puts, and has the same time as this machine.

use std::io;
use std::path::Path;

use chrono::TimeDelta;

use super::check::{DoctorCheck, DoctorReport};
use super::settings::DoctorSettings;
use crate::lake::{Audit, LakeError, Location};

/// Clock difference from which on S3 rejects requests.
const REJECTED: TimeDelta = TimeDelta::minutes(15);
/// Clock difference from which on `doctor` warns. It is a fifth of the five minutes by which `ts` may be later than the
/// Kafka timestamp; ticks beyond that become dead letters.
const WARNED: TimeDelta = TimeDelta::minutes(1);

const RIGHTS: &str =
    "allow reading, writing and listing below the root of the lake; deleting only for `--maintain full`";

/// Returns false if the store can't be listed, in which case the tables can't be checked.
///
/// # Errors
/// The settings don't describe a store.
pub(super) async fn check(
    audit: &Audit,
    settings: &DoctorSettings,
    report: &mut DoctorReport,
) -> Result<bool, LakeError> {
    if let Location::Folder(folder) = &settings.location {
        // If there is no table yet, nothing is written: the folder may be an empty mount point.
        let ticks = folder.join("ticks");
        if let Some(file) = [folder, &ticks].into_iter().find(|path| path.is_file()) {
            let detail = format!("{} is a file, where a folder is expected", file.display());
            report.checks.push(DoctorCheck::fail(
                "store",
                detail,
                "correct the path of the lake, or move the file elsewhere",
            ));
            return Ok(false);
        }
        let absent = match (is_folder(folder), is_folder(&ticks)) {
            (Ok(true), Ok(true)) => None,
            (Ok(false), _) => Some(format!("{} does not exist yet: ingest creates it", folder.display())),
            (Ok(true), Ok(false)) => {
                Some(format!("{} holds no lake: ingest creates it, if its file system is mounted", folder.display()))
            }
            (Err(error), _) | (_, Err(error)) => {
                let detail = format!("read {}: {error}", folder.display());
                report.checks.push(DoctorCheck::fail("permissions", detail, RIGHTS));
                return Ok(false);
            }
        };
        if let Some(detail) = absent {
            report.checks.push(DoctorCheck::ok("store", detail));
            return Ok(true);
        }
    }
    let mut readable = true;
    let mut held = Vec::new();
    for access in audit.try_access(settings.deletes).await? {
        match access.result {
            Ok(()) => held.push(access.right),
            Err(error) => {
                readable &= access.right != "list";
                report.checks.push(DoctorCheck::fail("permissions", format!("{}: {error}", access.right), RIGHTS));
            }
        }
    }
    if !held.is_empty() {
        report.checks.push(DoctorCheck::ok("permissions", format!("{} below {}", held.join(", "), settings.location)));
    }
    let can_write = held.contains(&"write");
    if matches!(settings.location, Location::Folder(_)) || !can_write {
        return Ok(readable);
    }
    report.checks.push(match audit.require_conditional_put().await {
        Ok(()) => DoctorCheck::ok("conditional-put", "the store refuses a second object under one name"),
        Err(error @ LakeError::StoreIgnoresIfNoneMatch { .. }) => {
            DoctorCheck::fail("conditional-put", error.to_string(), "use a store with conditional writes")
        }
        Err(error) => DoctorCheck::fail("conditional-put", error.to_string(), RIGHTS),
    });
    report.checks.push(match audit.clock_ahead().await {
        Ok(ahead) => clock(ahead.unwrap_or_default()),
        Err(error) => DoctorCheck::fail("clock", error.to_string(), RIGHTS),
    });
    Ok(readable)
}

/// Returns false only if the file system reports that nothing exists; after any other error there may be a lake that
/// can't be read.
fn is_folder(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn clock(ahead: TimeDelta) -> DoctorCheck {
    const SYNCHRONIZE: &str = "synchronize the clock of this machine, as with chrony or systemd-timesyncd";
    if ahead.abs() < WARNED {
        return DoctorCheck::ok("clock", "this machine and the store agree on the time");
    }
    let side = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    let detail = format!("this machine is {} s {side} the store", ahead.num_seconds().abs());
    match ahead.abs() < REJECTED {
        true => DoctorCheck::warn("clock", detail, SYNCHRONIZE),
        false => DoctorCheck::fail("clock", detail, SYNCHRONIZE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::doctor::check::CheckStatus;
    use crate::check::doctor::settings::ExpectedProperties;
    use crate::lake::StoreSettings;

    /// A symbolic link to itself is unreadable even for root, just as a folder without permissions is for other users.
    #[tokio::test]
    async fn an_unreadable_lake_is_not_a_missing_lake() {
        let folder = tempfile::tempdir().unwrap();
        let settings = DoctorSettings {
            location: Location::Folder(folder.path().to_owned()),
            store: StoreSettings::default(),
            kafka: None,
            expected: ExpectedProperties::default(),
            deletes: false,
            fix: false,
        };
        let audit = Audit::new(&settings.location, &settings.store).unwrap();
        let checked = async || {
            let mut report = DoctorReport::default();
            let readable = check(&audit, &settings, &mut report).await.unwrap();
            (readable, report.checks)
        };
        let (readable, checks) = checked().await;
        assert!(readable && checks[0].detail.contains("holds no lake"), "{checks:?}");
        std::os::unix::fs::symlink("ticks", folder.path().join("ticks")).unwrap();
        let (readable, checks) = checked().await;
        assert!(!readable);
        assert_eq!(
            checks.iter().map(|one| (one.check.as_str(), one.status)).collect::<Vec<_>>(),
            [("permissions", CheckStatus::Fail)]
        );
    }

    #[tokio::test]
    async fn a_file_instead_of_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let ticks = folder.path().join("ticks");
        std::fs::write(&ticks, "").unwrap();
        for location in [folder.path(), &ticks] {
            let settings = DoctorSettings {
                location: Location::Folder(location.to_owned()),
                store: StoreSettings::default(),
                kafka: None,
                expected: ExpectedProperties::default(),
                deletes: false,
                fix: false,
            };
            // Opening a folder sends no request, so this audit works although the store of the settings doesn't.
            let audit = Audit::new(&Location::Folder(folder.path().to_owned()), &settings.store).unwrap();
            let mut report = DoctorReport::default();
            assert!(!check(&audit, &settings, &mut report).await.unwrap());
            let [one] = report.checks.as_slice() else { panic!("{:?}", report.checks) };
            assert_eq!((one.check.as_str(), one.status), ("store", CheckStatus::Fail));
            assert_eq!(one.detail, format!("{} is a file, where a folder is expected", ticks.display()));
        }
    }

    #[test]
    fn a_clock_is_judged_by_its_difference() {
        let of = |seconds| clock(TimeDelta::seconds(seconds));
        for (seconds, status) in [
            (0, CheckStatus::Ok),
            (59, CheckStatus::Ok),
            (60, CheckStatus::Warn),
            (899, CheckStatus::Warn),
            (900, CheckStatus::Fail),
        ] {
            assert_eq!((of(seconds).status, of(-seconds).status), (status, status), "{seconds} s");
        }
        assert_eq!(of(75).detail, "this machine is 75 s ahead of the store");
        assert_eq!(of(-3_600).detail, "this machine is 3600 s behind the store");
        assert!(of(75).fix.contains("chrony"));
    }
}
