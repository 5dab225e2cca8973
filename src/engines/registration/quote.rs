//! Names and strings as the engines read them.

/// `"name"`, as standard SQL has it: DuckDB, Trino, Athena's queries.
pub(super) fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `` `name` ``: Spark, ClickHouse, Athena's table definitions.
pub(super) fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string in which nothing but the quote is special: DuckDB, Trino.
pub(super) fn standard_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A string in which a backslash escapes: Spark, ClickHouse, Athena's table definitions.
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
