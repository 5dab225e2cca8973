//! Whether the store can be reached, keeps the promise that commits stand on, and has the right time.

use chrono::TimeDelta;

use super::DoctorSettings;
use super::check::{Check, Report};
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
    if let Location::Folder(folder) = &settings.location
        && !folder.is_dir()
    {
        report.checks.push(Check::ok("store", format!("{} is not there yet: ingest makes it", folder.display())));
        return Ok(true);
    }
    // Nothing is written where no table is: it may be an empty mount point.
    if let Location::Folder(folder) = &settings.location
        && !folder.join("ticks").is_dir()
    {
        let detail = format!("{} holds no lake: ingest makes it, if its file system is mounted", folder.display());
        report.checks.push(Check::ok("store", detail));
        return Ok(true);
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
    use crate::doctor::check::Status;

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
