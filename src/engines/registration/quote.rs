//! Quoting of names and strings in the syntax of each engine.

/// `"name"` in standard SQL, for DuckDB, Trino and queries of Athena.
pub(super) fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `` `name` `` for Spark, ClickHouse and table definitions of Athena.
pub(super) fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal in which only the quote is escaped, for DuckDB and Trino.
pub(super) fn standard_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A string literal in which a backslash is an escape character, for Spark, ClickHouse and table definitions of Athena.
pub(super) fn escaped_string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_name_or_a_string_early() {
        assert_eq!(double_quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(backticked("a`b"), "`a``b`");
        assert_eq!(standard_string(r"it's \'"), r"'it''s \'''");
        assert_eq!(escaped_string(r"it's \'"), r"'it\'s \\\''");
    }
}
