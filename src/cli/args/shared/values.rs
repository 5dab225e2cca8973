//! Values of flags that several commands use.

use chrono_tz::Tz;

pub(in crate::cli::args) fn zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "write a name of the IANA list, such as America/New_York".to_owned())
}

pub(in crate::cli::args) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
