//! The log: to stderr, for people or as JSON.

use tracing_subscriber::EnvFilter;

use crate::cli::{GlobalArgs, LogFormat};

/// These print rows of the log of a table, whose statistics hold values of ticks; to see them, name them in `--log`.
const WITH_VALUES: &str = "buoyant_kernel=info,deltalake_core=info";

/// # Errors
/// The filter can't be read; the text names it.
pub fn start(global: &GlobalArgs, default: &str) -> Result<(), String> {
    let text = global.log.as_deref().unwrap_or(default);
    // A bare level is ours: the libraries' own talk is below what an operator wants.
    let directives = match text.parse::<tracing::Level>() {
        Ok(_) => format!("warn,tickhouse={text}"),
        Err(_) => format!("{WITH_VALUES},{text}"),
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| format!("--log '{text}': {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Human => {
            log.with_target(false).with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init()
        }
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
