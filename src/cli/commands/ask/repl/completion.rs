//! Completion of the word before the cursor: tables, columns, functions, named queries, flags and dot commands.

use super::input::{DOTS, formats};

/// All names that can be completed.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Tables with their columns.
    pub tables: Vec<(String, Vec<String>)>,
    pub functions: Vec<String>,
    /// Named queries with their parameters.
    pub queries: Vec<(String, Vec<String>)>,
}

const KEYWORDS: [&str; 40] = [
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "DATE",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];
const FLAGS: [&str; 5] = ["--param", "--symbol", "--from", "--to", "--interval"];

/// The position at which the word begins, and its sorted completions.
pub(super) fn complete(before: &str, names: &Names) -> (usize, Vec<String>) {
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    if line.starts_with('.') {
        return dot_words(before, line, names);
    }
    let named = names.queries.iter().find(|(name, _)| line.split_whitespace().next() == Some(name));
    if let Some((name, params)) = named.filter(|_| line.contains(char::is_whitespace)) {
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let previous = line[name.len()..].trim_end_matches(|c: char| !c.is_whitespace());
        let words: Vec<String> = if previous.trim_end().ends_with("--param") {
            params.iter().map(|param| format!("{param}=")).collect()
        } else {
            FLAGS.map(str::to_owned).to_vec()
        };
        return (start, matching(&before[start..], words));
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let start =
        before.rfind(|c: char| !is_part(c)).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    if let Some((table, column)) = word.split_once('.') {
        let columns = names.tables.iter().find(|(name, _)| name.eq_ignore_ascii_case(table));
        let columns = columns.map(|(_, columns)| columns.clone()).unwrap_or_default();
        return (start + table.len() + 1, matching(column, columns));
    }
    (start, matching(word, sql_words(&before[..start], word, names)))
}

fn dot_words(before: &str, line: &str, names: &Names) -> (usize, Vec<String>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let words = match line.split_once(char::is_whitespace).map(|(name, _)| name) {
        None => DOTS.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        Some(".schema") => names.tables.iter().map(|(name, _)| name.clone()).collect(),
        Some(".mode") => formats(),
        Some(".timer" | ".pager") => vec!["on".to_owned(), "off".to_owned()],
        Some(".limit") => vec!["all".to_owned()],
        Some(_) => Vec::new(),
    };
    (start, matching(&before[start..], words))
}

fn sql_words(before: &str, word: &str, names: &Names) -> Vec<String> {
    let tables = names.tables.iter().map(|(name, _)| name.clone());
    let previous = before.split_whitespace().next_back().unwrap_or_default();
    if ["FROM", "JOIN", "TABLE"].iter().any(|keyword| previous.eq_ignore_ascii_case(keyword)) {
        return tables.collect();
    }
    let keyword = |keyword: &&str| match word.starts_with(|c: char| c.is_lowercase()) {
        true => keyword.to_lowercase(),
        false => (*keyword).to_owned(),
    };
    let keywords = KEYWORDS.iter().map(keyword);
    if before.trim().is_empty() {
        return names.queries.iter().map(|(name, _)| name.clone()).chain(keywords).collect();
    }
    let columns = names.tables.iter().flat_map(|(_, columns)| columns.iter().cloned());
    columns.chain(tables).chain(keywords).chain(names.functions.iter().cloned()).collect()
}

fn matching(prefix: &str, words: Vec<String>) -> Vec<String> {
    let begins = |word: &String| word.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let mut found: Vec<String> = words.into_iter().filter(begins).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str) -> (usize, Vec<String>) {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let names = Names {
            tables: vec![
                ("ticks".to_owned(), text(&["symbol", "ts", "close"])),
                ("dead_letters".to_owned(), text(&["reason"])),
            ],
            functions: text(&["count", "concat"]),
            queries: vec![("sma_crossover".to_owned(), text(&["fast", "slow"]))],
        };
        complete(before, &names)
    }

    #[test]
    fn a_word_becomes_what_fits_its_place() {
        for (before, start, words) in [
            ("sm", 0, vec!["sma_crossover"]),
            ("SELECT sym", 7, vec!["symbol"]),
            ("SELECT c", 7, vec!["case", "cast", "close", "concat", "count"]),
            ("SELECT count(clo", 13, vec!["close"]),
            ("SELECT *\nFROM ", 14, vec!["dead_letters", "ticks"]),
            ("SELECT * from ti", 14, vec!["ticks"]),
            ("SELECT ticks.s", 13, vec!["symbol"]),
            ("SELECT WHE", 7, vec!["WHEN", "WHERE"]),
            ("SELECT 'é'||sym", 13, vec!["symbol"]),
            (".t", 0, vec![".tables", ".timer"]),
            (".schema d", 8, vec!["dead_letters"]),
            (".mode n", 6, vec!["ndjson", "null"]),
            ("sma_crossover --p", 14, vec!["--param"]),
            ("sma_crossover --param f", 22, vec!["fast="]),
            ("SELECT xyz", 7, vec![]),
        ] {
            assert_eq!(after(before), (start, words.into_iter().map(str::to_owned).collect()), "{before}");
        }
    }
}
