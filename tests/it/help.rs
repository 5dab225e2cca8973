//! The help of every command: golden files, headings, groups and examples.
//!
//! `TICKHOUSE_WRITE_HELP=1 cargo test --test it help::` writes `tests/it/help/*.txt` again from the command line's
//! definition.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use tickhouse::cli::args::{Cli, GROUPS};

const WIDTH: usize = 100;
/// Width of the first page, whose lines clap doesn't wrap.
const LONGEST_SUMMARY: usize = 80;

/// Heading, the commands that have it (a prefix of their names; empty is all of them), and the flags under it.
/// A flag that is not listed stands under no heading.
const HEADINGS: &[(&str, &str, &str)] = &[
    ("Global", "", "config log log-format"),
    ("Kafka", "", "brokers topic tls ca certificate key username mechanism X"),
    ("Kafka", "ingest", "group instance-id"),
    ("Kafka", "config show", "group instance-id"),
    ("Kafka", "produce", "partitions replication event-timestamps"),
    ("Table", "", "s3-endpoint s3-region s3-allow-http"),
    ("Table", "", "table"),
    ("Table", "ingest", "s3-create-bucket must-exist"),
    ("Table", "config show", "s3-create-bucket must-exist"),
    ("Input", "ingest", "input zone ts-format include exclude max-message-bytes accept-input-change"),
    ("Input", "config show", "input zone ts-format include exclude max-message-bytes accept-input-change"),
    ("Input", "dead-letters replay", "input zone ts-format include exclude max-message-bytes"),
    ("Input", "doctor", "input zone ts-format include exclude max-message-bytes"),
    ("Start and stop", "ingest", "start until-latest on-data-loss max-dead-share"),
    ("Start and stop", "config show", "start until-latest on-data-loss max-dead-share"),
    ("Flush and memory", "ingest", "flush-rows flush-bytes flush-interval memory"),
    ("Flush and memory", "config show", "flush-rows flush-bytes flush-interval memory"),
    ("Table layout", "ingest", "market-zone partition-by"),
    ("Table layout", "config show", "market-zone partition-by"),
    ("Maintenance", "ingest", "maintain"),
    ("Maintenance", "config show", "maintain"),
    ("Events", "ingest", "live events-topic print reorder commit-interval"),
    ("Events", "config show", "live events-topic print reorder commit-interval"),
    ("Events", "live", "events-topic print reorder commit-interval"),
    ("Dashboard", "ingest", "dashboard listen token allow-host"),
    ("Dashboard", "config show", "dashboard listen token allow-host"),
    ("Dashboard", "dashboard", "listen token allow-host"),
    ("Metrics", "ingest", "metrics-listen"),
    ("Metrics", "config show", "metrics-listen"),
    ("Dry run", "ingest", "dry-run limit"),
    ("Dry run", "config show", "dry-run limit"),
    ("Files", "produce replay", "file-format time-unit ts-format message-key message-time"),
    ("Columns", "produce replay", "symbol-column ts-column open-column high-column low-column close-column"),
    ("Columns", "produce replay", "volume-column trade-id-column source-column"),
    ("Views", "catalog", "no-views view sql-dir"),
    ("Engines", "", "trino-url trino-user trino-catalog trino-schema athena-database athena-workgroup athena-output"),
];

/// Flags of these commands that only have the name of one that is listed for all commands.
const NAMESAKES: &[(&str, &str)] = &[("demo", "table")];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help")
}

/// The program and its commands that the help shows, by what is typed after `tickhouse`.
fn commands() -> BTreeMap<String, Command> {
    fn collect(name: &str, command: &Command, found: &mut BTreeMap<String, Command>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
            collect(format!("{name} {}", sub.get_name()).trim(), sub, found);
        }
        found.insert(name.to_owned(), command.clone());
    }
    let mut program = Cli::definition().term_width(WIDTH);
    program.build();
    let mut found = BTreeMap::new();
    collect("", &program, &mut found);
    assert!(found.len() > 30, "{:?}", found.keys());
    found
}

fn flag(argument: &Arg) -> Option<String> {
    argument.get_long().map(str::to_owned).or_else(|| Some(argument.get_short()?.to_string()))
}

#[test]
fn each_help_is_its_golden_file() {
    let mut expected = BTreeSet::new();
    let write = std::env::var_os("TICKHOUSE_WRITE_HELP").is_some();
    for (name, mut command) in commands() {
        let file = if name.is_empty() { "tickhouse".to_owned() } else { name.replace(' ', "-") } + ".txt";
        let lines: Vec<String> =
            command.render_long_help().to_string().lines().map(|line| line.trim_end().to_owned()).collect();
        let text = lines.join("\n") + "\n";
        let path = folder().join(&file);
        if write {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == text,
            "{} differs from `tickhouse {name} --help`; if the help is right, write the files again with \
             TICKHOUSE_WRITE_HELP=1 cargo test --test it help::\n{text}",
            path.display()
        );
        expected.insert(file);
    }
    let entries = std::fs::read_dir(folder()).unwrap();
    let files: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, expected, "a golden file of no command");
}

#[test]
fn each_flag_stands_under_its_heading() {
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    for (name, command) in commands() {
        let is_namesake = |flag: &str| NAMESAKES.contains(&(name.as_str(), flag));
        for argument in command.get_arguments() {
            let Some(flag) = flag(argument).filter(|flag| flag != "help" && flag != "version") else { continue };
            let lists = |row: &&(&str, &str, &str)| {
                name.starts_with(row.1) && row.2.split(' ').any(|listed| listed == flag) && !is_namesake(&flag)
            };
            let row = HEADINGS.iter().find(lists);
            used.extend(row.map(|(heading, commands, _)| (*heading, *commands)));
            let expected = row.map(|(heading, ..)| *heading);
            // What follows the first word in brackets explains the heading.
            let heading = argument.get_help_heading().map(|heading| heading.split(" (").next().unwrap());
            if heading != expected {
                wrong.push(format!("{name} --{flag}: {heading:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let listed: BTreeSet<_> = HEADINGS.iter().map(|(heading, commands, _)| (*heading, *commands)).collect();
    assert_eq!(used, listed, "a heading of no flag");
}

#[test]
fn the_groups_of_the_first_page_hold_each_command_once() {
    let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let commands = commands();
    let known: BTreeSet<&str> = commands.keys().filter(|name| !name.contains(' ')).map(String::as_str).collect();
    let known: BTreeSet<&str> = known.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(grouped.len(), known.len(), "{grouped:?}");
    let page = commands[""].clone().render_help().to_string();
    for name in grouped {
        let line = page.lines().find(|line| line.starts_with(&format!("  {name} "))).unwrap_or_default();
        assert!(line.split_whitespace().count() > 2 && line.len() <= LONGEST_SUMMARY, "{name}: {line}");
    }
}

/// What a shell makes of a line: its simple commands, without variables and redirections. Quotes are single ones.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![String::new()]];
    let mut is_quoted = false;
    for c in line.chars() {
        let command = commands.last_mut().unwrap();
        match c {
            '\'' => is_quoted = !is_quoted,
            '|' | '&' if !is_quoted => commands.push(vec![String::new()]),
            ' ' if !is_quoted => command.push(String::new()),
            c => command.last_mut().unwrap().push(c),
        }
    }
    assert!(!is_quoted, "{line}");
    for command in &mut commands {
        command.retain(|word| !word.is_empty());
        if let Some(end) = command.iter().position(|word| word == ">") {
            command.truncate(end);
        }
        let variables = command.iter().take_while(|word| word.starts_with("TICKHOUSE_")).count();
        command.drain(..variables);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

#[test]
fn each_command_has_examples_that_parse() {
    for (name, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines() {
            assert!(line.len() <= WIDTH, "longer than a line of the help: {line}");
        }
        let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| !line.is_empty());
        let examples = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let mut own = 0;
        for line in examples.lines() {
            for words in simple_commands(line).iter().filter(|words| words[0] == "tickhouse") {
                let parsed = Cli::parse_arguments(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                own += usize::from(words[1..].join(" ").starts_with(&name));
            }
        }
        assert!(own > 0, "no example of `tickhouse {name}`");
    }
}

#[test]
fn earlier_names_of_flags_still_work() {
    for (old, new) in [
        ("produce simulate --format binance", "produce simulate --message-format binance"),
        ("alerts test x --since 2h --until 1h", "alerts test x --from 2h --to 1h"),
    ] {
        let parsed = |line: &str| Cli::parse_arguments(["tickhouse"].into_iter().chain(line.split(' '))).unwrap();
        assert_eq!(format!("{:?}", parsed(old)), format!("{:?}", parsed(new)));
    }
    let old = Cli::parse_arguments(["tickhouse", "offsets", "show", "--json"]).unwrap();
    let tickhouse::cli::args::Command::Offsets(offsets) = old.command else { panic!("the subcommand is offsets") };
    let tickhouse::cli::args::OffsetsCommand::Show(show) = offsets.command else { panic!("the subcommand is show") };
    assert!(show.is_json());
}
