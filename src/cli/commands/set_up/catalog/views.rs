//! The requested views, and the message about the views that were created.

use crate::cli::args::ViewArgs;
use crate::cli::commands::print::write_stderr;
use crate::engines::registration::{EngineView, EngineViews, SkippedView, TABLES};
use crate::query::{Dialect, NamedQueries};

/// The views that were requested.
pub(super) fn views_of(args: &ViewArgs, dialect: Dialect, schema: &[&str]) -> anyhow::Result<EngineViews> {
    if args.no_views {
        return Ok(EngineViews::default());
    }
    Ok(EngineViews::of(&NamedQueries::load(args.sql_dir.as_deref())?, &args.view, dialect, schema)?)
}

/// Prints to standard error which tables and views were created, and which views were left out.
pub(super) fn summarize(what: &str, schema: &str, views: &EngineViews) {
    for SkippedView { name, reason } in &views.left_out {
        write_stderr(&format!("no view {name}: {reason}\n"));
    }
    write_stderr(&format!("{what}: {}\n", contents(schema, &views.made, &views.left_out)));
}

fn contents(schema: &str, made: &[EngineView], left_out: &[SkippedView]) -> String {
    let tables = TABLES.len();
    let without = match left_out.len() {
        0 => String::new(),
        count => format!(", without {count} that the engine can't say"),
    };
    format!("{tables} tables ({}) and {} views in {schema}{without}", TABLES.join(", "), made.len())
}
