//! The views that are asked for, and what is said of those that were made.

use crate::cli::args::ViewArgs;
use crate::cli::commands::print::write_stderr;
use crate::engines::registration::{LeftOut, TABLES, View, Views};
use crate::query::{Catalog, Dialect};

/// The views that are asked for.
pub(super) fn views_of(args: &ViewArgs, dialect: Dialect, schema: &[&str]) -> anyhow::Result<Views> {
    if args.no_views {
        return Ok(Views::default());
    }
    Ok(Views::of(&Catalog::load(args.sql_dir.as_deref())?, &args.view, dialect, schema)?)
}

/// Says on standard error what was made of what.
pub(super) fn summarize(what: &str, schema: &str, views: &Views) {
    for LeftOut { name, reason } in &views.left_out {
        write_stderr(&format!("no view {name}: {reason}\n"));
    }
    write_stderr(&format!("{what}: {}\n", contents(schema, &views.made, &views.left_out)));
}

fn contents(schema: &str, made: &[View], left_out: &[LeftOut]) -> String {
    let tables = TABLES.len();
    let without = match left_out.len() {
        0 => String::new(),
        count => format!(", without {count} that the engine can't say"),
    };
    format!("{tables} tables ({}) and {} views in {schema}{without}", TABLES.join(", "), made.len())
}
