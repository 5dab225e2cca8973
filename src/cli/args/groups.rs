//! The help of the program itself, with its commands in groups, which clap doesn't support.

use std::fmt::Write;

use clap::Command;
use clap::builder::StyledStr;

/// Commands in the order of the help. A test compares them with the commands that there are.
pub const GROUPS: [(&str, &[&str]); 4] = [
    ("Data in", &["demo", "produce", "ingest", "dead-letters"]),
    ("Ask", &["query", "table", "dashboard", "live", "alerts"]),
    ("Operate", &["verify", "doctor", "maintain", "offsets", "probe"]),
    ("Set up", &["config", "catalog", "completions"]),
];

/// Width of the column of names.
const NAMES: usize = 14;

const AFTER_HELP: &str = "\
Examples:
  tickhouse demo
  tickhouse ingest --brokers localhost:9092 --topic ticks --table ./lake
  tickhouse query --table ./lake 'SELECT symbol, count(*) FROM ticks GROUP BY symbol'
  tickhouse verify --table ./lake

`tickhouse COMMAND --help` describes a command with all its options.";

pub(in crate::cli::args) fn with_groups(command: Command) -> Command {
    let template = template(&command);
    command.help_template(template).after_help(AFTER_HELP)
}

fn template(command: &Command) -> StyledStr {
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let mut text = StyledStr::new();
    let mut add = |part: std::fmt::Arguments<'_>| text.write_fmt(part).expect("a string takes all text");
    add(format_args!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n"));
    for (title, names) in GROUPS {
        add(format_args!("{header}{title}:{header:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).cloned().unwrap_or_default();
            add(format_args!("  {literal}{name:NAMES$}{literal:#}{about}\n"));
        }
        add(format_args!("\n"));
    }
    add(format_args!("{header}Options:{header:#}\n{{options}}{{after-help}}"));
    text
}
