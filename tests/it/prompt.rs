//! `tickhouse query` without a statement: scripts of standard input.

use crate::commands::filled;
use crate::support::{Finished, Place, Tickhouse};

fn script(place: &Place, text: &str) -> Finished {
    Tickhouse::new(&["query"]).flags(&place.flags()).input(text).run()
}

#[test]
fn a_script_runs_statement_by_statement() {
    let (_topic, place) = filled();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more statements.sql");
    std::fs::write(&file, "SELECT 1 AS one;\nSELECT 2 AS two").unwrap();
    let text = format!(
        "-- Two lines, one statement.\nSELECT ';' AS mark,\n  count(*) AS n FROM ticks; SELECT 'it''s' AS text;\n\
         .mode json\nSELECT count(*) AS n FROM dead_letters;\n.mode csv\n\n\
         sma_crossover --symbol AAPL --param fast=2 --param slow=3\n.read '{}'\n.mode\nSELECT 3 AS last",
        file.display()
    );
    let finished = script(&place, &text);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[..6], ["mark,n", ";,40", "text", "it's", "[{\"n\":1}]", lines[5]], "{finished:?}");
    assert!(lines[5].starts_with("symbol,") && lines[6].starts_with("AAPL,"), "{finished:?}");
    assert_eq!(lines[lines.len() - 7..], ["one", "1", "two", "2", "csv", "last", "3"], "{finished:?}");
    assert_eq!(lines.len(), 6 + 10 + 7, "{finished:?}");
}

#[test]
fn a_script_tells_what_there_is() {
    let (_topic, place) = filled();
    let finished = script(
        &place,
        ".tables\n.schema dead_letters\n.schema symbols\nSHOW TABLES;\n.list\n.help\n.quit\nSELECT 1;\n",
    );
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for line in [
        "dead_letters  1 row in 1 file",
        "  payload          BINARY NOT NULL",
        "  headers          ARRAY<STRUCT<key STRING, value BINARY>>",
        ".schema [NAME]      list the columns of a table or named query, or of all tables",
        "  trade_dates  BIGINT NOT NULL",
        "dead_letters,table",
        "symbols,named query",
    ] {
        assert!(finished.stdout.lines().any(|shown| shown == line), "no '{line}' in:\n{}", finished.stdout);
    }
    assert!(finished.stdout.starts_with("ticks  40 rows in "), "{finished:?}");
    assert!(finished.stdout.contains("\n  sma_crossover "), "{finished:?}");
    assert!(finished.stdout.ends_with("the same as .quit\n"), "what follows .quit did run: {finished:?}");
}

/// As for one statement.
#[test]
fn a_script_names_symbols_that_are_not_there_and_the_zone_of_dates() {
    let (_topic, place) = filled();
    let finished =
        script(&place, "latest --symbol AAPL\nlatest --symbol aapl\nsymbols --symbol AAPL\nSELECT 1 AS one;\n");
    let expected = "ticks has nothing of AAPL within since=7days; look further back with --param since=DATE\n\
                    ticks has no symbol 'aapl'; did you mean 'AAPL'?\ntrade dates are of America/New_York\n";
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), expected), "{finished:?}");
}

#[test]
fn the_first_error_ends_a_script() {
    let (_topic, place) = filled();
    for (wrong, code, told) in [
        ("SELECT nothing FROM ticks;", 1, "       ^^^^^^^"),
        ("sma_crosover", 2, "did you mean 'sma_crossover'?"),
        ("sma_crossover --param fats=3", 2, "fats"),
        ("sma_crossover --parm fast=3", 2, "--parm"),
        ("sma_crossover AAPL;", 2, "sma_crossover --symbol AAPL"),
        (".tabels", 2, "did you mean '.tables'?"),
        (".schema tick", 2, "did you mean 'ticks'?"),
        (".mode parquet", 2, "parquet holds one result"),
        (".read /nowhere/statements.sql", 2, "/nowhere/statements.sql"),
        ("DROP TABLE ticks;", 2, "only statements that read"),
        ("SELECT 'open", 1, "^"),
    ] {
        let finished = script(&place, &format!("SELECT 1 AS a;\n{wrong}\nSELECT 2 AS b;\n"));
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), "a\n1\n"), "{wrong}: {finished:?}");
        assert!(finished.stderr.contains(told), "{wrong}: {finished:?}");
    }
    for flag in [&["--show-sql"][..], &["--explain"], &["-o", "x.csv"], &["--format", "parquet"]] {
        let finished = Tickhouse::new(&[&["query"], flag].concat()).flags(&place.flags()).input("SELECT 1;").run();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{flag:?}: {finished:?}");
    }
}

#[test]
fn a_prompt_completes_remembers_and_outlives_its_statements() {
    let (_topic, place) = filled();
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let command = Tickhouse::new(&["query"]).flags(&place.flags());
        let mut terminal = command.env("XDG_STATE_HOME", state.path().to_str().unwrap()).at_terminal();
        terminal.wait_for("tickhouse> ");
        terminal
    };
    let mut terminal = start();
    terminal.press("SELECT count(*) + 2 AS n\r");
    terminal.wait_for("...> ");
    terminal.press("FROM ti\t;\r");
    let shown = terminal.wait_for(" s\r\n");
    assert!(shown.contains("42") && shown.contains("ticks"), "{shown:?}");
    terminal.wait_for("tickhouse> ");
    terminal.press("SELECT nothing FROM ticks;\r");
    terminal.wait_for("error: there is no column 'nothing'");
    terminal.wait_for("tickhouse> ");
    terminal.press(" SELECT 'not to be remembered' AS x;\r");
    terminal.wait_for(" s\r\n");
    terminal.wait_for("tickhouse> ");
    // It never ends; its progress shows that it runs.
    let endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;\r";
    terminal.press(endless);
    terminal.wait_for("running");
    terminal.signal("INT");
    terminal.wait_for("the query was cancelled");
    terminal.wait_for("tickhouse> ");
    terminal.press("SELECT half a statement\x03");
    terminal.wait_for("tickhouse> ");
    // Twice up: the statement before the endless one.
    terminal.press("\x1b[A\x1b[A\r");
    terminal.wait_for("error: there is no column 'nothing'");
    terminal.wait_for("tickhouse> ");
    terminal.press("\x04");
    assert_eq!(terminal.finish(), (Some(0), true));

    let file = state.path().join("tickhouse/query_history");
    let history = std::fs::read_to_string(&file).unwrap();
    assert!(history.contains("SELECT count(*) + 2 AS n\\nFROM ticks;"), "{history}");
    assert!(!history.contains("remembered"), "{history}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let terminal = start();
    terminal.signal("TERM");
    assert_eq!(terminal.finish(), (Some(0), true), "the terminal is given back");
}
