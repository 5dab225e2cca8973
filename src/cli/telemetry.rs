//! Logging to standard error, as text for people or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt};

use crate::cli::args::{GlobalArgs, LogFormat};

/// Libraries whose debug and trace messages contain tick values, because they print the statistics and rows that they
/// read.
const WITH_VALUES: [&str; 6] = ["buoyant_kernel", "delta_kernel", "deltalake", "datafusion", "arrow", "parquet"];

/// Switches off the messages of delta_kernel, whose crate is `buoyant_kernel`: it logs every error that it returns,
/// once per layer and without naming the file.
const RETURNED: &str = "buoyant_kernel=off";

/// Installs the logger.
///
/// # Errors
/// The filter is invalid; the error names it.
pub fn start(global: &GlobalArgs, default: &str) -> Result<(), String> {
    let text = global.log.as_deref().unwrap_or(default);
    let colours = std::io::stderr().is_terminal();
    subscriber(text, global.log_format, colours, std::io::stderr).map(|subscriber| subscriber.init())
}

fn subscriber<W>(
    text: &str,
    format: LogFormat,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(directives(text)).map_err(|error| format!("--log '{text}': {error}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = match format {
        LogFormat::Human => lines.with_target(false).with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(filter).with(filter_fn(shows_no_values)).with(lines))
}

/// Expands the filter. A level without targets applies only to tickhouse, because the info and debug messages of
/// libraries are of no use to operators. Targets that the filter doesn't name log warnings.
fn directives(text: &str) -> String {
    match text.parse::<LevelFilter>() {
        Ok(level) if level > LevelFilter::WARN => format!("warn,{RETURNED},tickhouse={level}"),
        Ok(level) => format!("{level},{RETURNED}"),
        Err(_) => format!("warn,{RETURNED},{text}"),
    }
}

/// Excludes messages that contain tick values, even if `--log` enables them.
fn shows_no_values(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || !WITH_VALUES.iter().any(|library| event.target().starts_with(library))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The last word of each logged line.
    fn logged(text: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(text, LogFormat::Human, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "object_store", "other-warn");
            tracing::info!(target: "object_store", "other-info");
            tracing::debug!(target: "tickhouse::ingest", "ours-debug");
            tracing::info!(target: "tickhouse::ingest", "ours-info");
            tracing::error!(target: "tickhouse::ingest", "ours-error");
            tracing::info!(target: "buoyant_kernel::scan", "kernel-info");
            tracing::error!(target: "buoyant_kernel::scan", "kernel-error");
            tracing::debug!(target: "buoyant_kernel::scan", "values");
            tracing::trace!(target: "deltalake_core::kernel", "values");
            tracing::debug!(target: "datafusion_physical_plan::topk", "values");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().filter_map(|line| line.split_whitespace().last()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_filter_adds_to_the_warnings_and_never_shows_values() {
        assert_eq!(logged("tickhouse=debug"), "other-warn ours-debug ours-info ours-error");
        assert_eq!(logged("info"), "other-warn ours-info ours-error");
        assert_eq!(logged("error"), "ours-error");
        assert_eq!(logged("off"), "");
        assert_eq!(logged("off,tickhouse=info"), "ours-info ours-error");
        assert_eq!(logged("buoyant_kernel=trace"), "other-warn ours-error kernel-info kernel-error");
        assert_eq!(logged("trace"), "other-warn ours-debug ours-info ours-error");
        let all = "other-warn other-info ours-debug ours-info ours-error kernel-info kernel-error";
        assert_eq!(logged("warn,buoyant_kernel=trace,trace,deltalake_core=trace,datafusion=trace"), all);
    }
}
