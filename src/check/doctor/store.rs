//! Whether the store can be reached, keeps the promise that commits stand on, and has the right time.

use std::io;
use std::path::Path;

use chrono::TimeDelta;

use super::check::{Check, Report};
use super::settings::DoctorSettings;
use crate::lake::{Audit, LakeError, Location};

/// Stores refuse requests whose time is further off than this.
const REFUSED: TimeDelta = TimeDelta::minutes(15);
/// A tick whose time is later than that of its Kafka record by five minutes is a dead letter; this is a fifth of it.
const WORTH_TELLING: TimeDelta = TimeDelta::minutes(1);

const RIGHTS: &str =
    "allow reading, writing and listing below the root of the lake; deleting only for `--maintain full`";

/// False where the store can't be listed, so that there is nothing to say of the tables.
///
/// # Errors
/// The location is none of a store.
pub(super) async fn check(audit: &Audit, settings: &DoctorSettings, report: &mut Report) -> Result<bool, LakeError> {
    if let Location::Folder(folder) = &settings.location {
        // Nothing is written where no table is: it may be an empty mount point.
        let ticks = folder.join("ticks");
        if let Some(file) = [folder, &ticks].into_iter().find(|path| path.is_file()) {
            let detail = format!("{} is a file, where a folder is expected", file.display());
            report.checks.push(Check::fail(
                "store",
                detail,
                "correct the path of the lake, or move the file elsewhere",
            ));
            return Ok(false);
        }
        let absent = match (is_folder(folder), is_folder(&ticks)) {
            (Ok(true), Ok(true)) => None,
            (Ok(false), _) => Some(format!("{} is not there yet: ingest makes it", folder.display())),
            (Ok(true), Ok(false)) => {
                Some(format!("{} holds no lake: ingest makes it, if its file system is mounted", folder.display()))
            }
            (Err(error), _) | (_, Err(error)) => {
                let detail = format!("read {}: {error}", folder.display());
                report.checks.push(Check::fail("permissions", detail, RIGHTS));
                return Ok(false);
            }
        };
        if let Some(detail) = absent {
            report.checks.push(Check::ok("store", detail));
            return Ok(true);
        }
    }
    let mut readable = true;
    let mut held = Vec::new();
    for access in audit.try_access(settings.deletes).await? {
        match access.tried {
            Ok(()) => held.push(access.right),
            Err(error) => {
                readable &= access.right != "list";
                report.checks.push(Check::fail("permissions", format!("{}: {error}", access.right), RIGHTS));
            }
        }
    }
    if !held.is_empty() {
        report.checks.push(Check::ok("permissions", format!("{} below {}", held.join(", "), settings.location)));
    }
    let can_write = held.contains(&"write");
    if matches!(settings.location, Location::Folder(_)) || !can_write {
        return Ok(readable);
    }
    report.checks.push(match audit.require_conditional_put().await {
        Ok(()) => Check::ok("conditional-put", "the store refuses a second object under one name"),
        Err(error @ LakeError::StoreIgnoresIfNoneMatch { .. }) => {
            Check::fail("conditional-put", error.to_string(), "use a store with conditional writes")
        }
        Err(error) => Check::fail("conditional-put", error.to_string(), RIGHTS),
    });
    report.checks.push(match audit.clock_ahead().await {
        Ok(ahead) => clock(ahead.unwrap_or_default()),
        Err(error) => Check::fail("clock", error.to_string(), RIGHTS),
    });
    Ok(readable)
}

/// False only where the file system says that nothing is there: after any other error there may be a lake that can't be
/// read.
fn is_folder(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn clock(ahead: TimeDelta) -> Check {
    const SYNCHRONIZE: &str = "synchronize the clock of this machine, as with chrony or systemd-timesyncd";
    if ahead.abs() < WORTH_TELLING {
        return Check::ok("clock", "this machine and the store agree on the time");
    }
    let side = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    let detail = format!("this machine is {} s {side} the store", ahead.num_seconds().abs());
    match ahead.abs() < REFUSED {
        true => Check::warn("clock", detail, SYNCHRONIZE),
        false => Check::fail("clock", detail, SYNCHRONIZE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::doctor::check::Status;
    use crate::check::doctor::settings::Expected;
    use crate::lake::StoreSettings;

    /// As for who lacks the rights; a link to itself is so for root, too.
    #[tokio::test]
    async fn a_lake_that_can_not_be_read_is_no_lake_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let settings = DoctorSettings {
            location: Location::Folder(folder.path().to_owned()),
            store: StoreSettings::default(),
            kafka: None,
            expected: Expected::default(),
            deletes: false,
            fix: false,
        };
        let audit = Audit::new(&settings.location, &settings.store).unwrap();
        let checked = async || {
            let mut report = Report::default();
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
            [("permissions", Status::Fail)]
        );
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let ticks = folder.path().join("ticks");
        std::fs::write(&ticks, "").unwrap();
        for location in [folder.path(), &ticks] {
            let settings = DoctorSettings {
                location: Location::Folder(location.to_owned()),
                store: StoreSettings::default(),
                kafka: None,
                expected: Expected::default(),
                deletes: false,
                fix: false,
            };
            // A folder's: nothing is to be asked of the store.
            let audit = Audit::new(&Location::Folder(folder.path().to_owned()), &settings.store).unwrap();
            let mut report = Report::default();
            assert!(!check(&audit, &settings, &mut report).await.unwrap());
            let [one] = report.checks.as_slice() else { panic!("{:?}", report.checks) };
            assert_eq!((one.check.as_str(), one.status), ("store", Status::Fail));
            assert_eq!(one.detail, format!("{} is a file, where a folder is expected", ticks.display()));
        }
    }

    #[test]
    fn a_clock_is_told_by_how_far_it_is_off() {
        let of = |seconds| clock(TimeDelta::seconds(seconds));
        for (seconds, status) in
            [(0, Status::Ok), (59, Status::Ok), (60, Status::Warn), (899, Status::Warn), (900, Status::Fail)]
        {
            assert_eq!((of(seconds).status, of(-seconds).status), (status, status), "{seconds} s");
        }
        assert_eq!(of(75).detail, "this machine is 75 s ahead of the store");
        assert_eq!(of(-3_600).detail, "this machine is 3600 s behind the store");
        assert!(of(75).fix.contains("chrony"));
    }
}
