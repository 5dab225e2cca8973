//! Where a statement ends in what is typed, by the tokenizer that reads it later.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer, TokenizerError};

/// Behind the first semicolon that is in no text, name or comment; `None` if the statement isn't complete.
pub fn statement_end(text: &str) -> Option<usize> {
    let mut semicolons = text.match_indices(';').map(|(at, _)| at + 1);
    let mut tokens = Vec::new();
    // Twice as much of the text each time: neither a long script nor a quote that never closes is read too often.
    for round in 0.. {
        let end = semicolons.by_ref().take(1 << round.min(20)).last()?;
        tokens.clear();
        let read = Tokenizer::new(&GenericDialect {}, &text[..end]).tokenize_with_location_into_buf(&mut tokens);
        let semicolons_read = tokens.iter().filter(|token| token.token == Token::SemiColon);
        let mut starts = semicolons_read.map(|token| offset_of(text, token.span.start));
        // What stands in a comment of hints has the location of the comment.
        if let Some(at) = starts.find(|at| text[*at..].starts_with(';')) {
            return Some(at + 1);
        }
        if let Err(error) = read
            && !is_unfinished(&error)
        {
            let from = offset_of(text, error.location);
            return text.get(from..end)?.find(';').map(|at| from + at + 1);
        }
    }
    None
}

/// Of a location in bytes; line and column count from 1.
fn offset_of(text: &str, location: Location) -> usize {
    let before = |count: u64| usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(before(location.line)).map(str::len).sum();
    text[start..].char_indices().nth(before(location.column)).map_or(text.len(), |(at, _)| start + at)
}

/// Nothing but space, comments and semicolons.
pub fn is_blank_sql(text: &str) -> bool {
    let is_blank = |token: &Token| matches!(token, Token::Whitespace(_) | Token::SemiColon);
    tokens(text).is_ok_and(|tokens| tokens.iter().all(is_blank))
}

fn tokens(text: &str) -> Result<Vec<Token>, TokenizerError> {
    Tokenizer::new(&GenericDialect {}, text).tokenize()
}

/// More text can repair it: a quote or a comment is open. Another error is the parser's to report.
fn is_unfinished(error: &TokenizerError) -> bool {
    error.message.starts_with("Unterminated") || error.message.contains("EOF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_at_a_semicolon_of_its_own() {
        for (text, statement) in [
            ("SELECT 1; SELECT 2;", "SELECT 1;"),
            ("SELECT ';' ; x", "SELECT ';' ;"),
            ("SELECT 'it'';s';", "SELECT 'it'';s';"),
            ("SELECT $$;$$, 2; x", "SELECT $$;$$, 2;"),
            ("SELECT $a$;$$;$a$; x", "SELECT $a$;$$;$a$;"),
            ("SELECT E'\\';' ; x", "SELECT E'\\';' ;"),
            ("SELECT \";\" ;", "SELECT \";\" ;"),
            ("SELECT `;` ;", "SELECT `;` ;"),
            ("SELECT 1 -- ;\n;", "SELECT 1 -- ;\n;"),
            ("SELECT 1 /* ; */; x", "SELECT 1 /* ; */;"),
            ("SELECT 1 /* ; /* ; */ ; */ + 1; x", "SELECT 1 /* ; /* ; */ ; */ + 1;"),
            ("SELECT '茅;台', '📈' ; x", "SELECT '茅;台', '📈' ;"),
            ("SELECT '茅;\n台;\r\n;;;;' ; x; y; z;", "SELECT '茅;\n台;\r\n;;;;' ;"),
            ("SELECT 1 /*! ; */; x", "SELECT 1 /*! ; */;"),
            ("SELECT $symbol;", "SELECT $symbol;"),
            // No text makes that right, so that the parser has to say what is wrong.
            ("SELECT U&'\\zzzz'; x", "SELECT U&'\\zzzz';"),
        ] {
            assert_eq!(statement_end(text).map(|end| &text[..end]), Some(statement), "{text}");
        }
    }

    #[test]
    fn what_is_open_waits_for_more() {
        for text in [
            "SELECT 1",
            "SELECT 'a;",
            "SELECT 'it'';s;",
            "SELECT $$;",
            "SELECT $$;$;",
            "SELECT $a$;$$;",
            "SELECT E'\\';",
            "SELECT U&'a;",
            "SELECT \"a;",
            "SELECT `a;",
            "SELECT 1 -- ;",
            "SELECT 1 /* ;",
            "SELECT 1 /* /* */ ;",
            "SELECT X'00;",
            "SELECT N'a;",
        ] {
            assert_eq!(statement_end(text), None, "{text}");
            assert!(!is_blank_sql(text), "{text}");
        }
    }

    /// Reading all of it again for each semicolon would take minutes.
    #[test]
    fn a_long_script_is_read_only_a_few_times() {
        let open = format!("SELECT '{}", "a;".repeat(100_000));
        assert_eq!(statement_end(&open), None);
        let many = "SELECT 1;\n".repeat(20_000);
        let (mut rest, mut count) = (many.as_str(), 0);
        while let Some(end) = statement_end(rest) {
            (rest, count) = (&rest[end..], count + 1);
        }
        assert_eq!((rest, count), ("\n", 20_000));
    }

    #[test]
    fn comments_are_blank() {
        for blank in ["", " \n", ";;\n ;", "-- only words", "-- a\n/* b /* c */ */ ;"] {
            assert!(is_blank_sql(blank), "{blank}");
        }
        for text in ["1", "'", "/* open", "-- a\nx", "/* /* */"] {
            assert!(!is_blank_sql(text), "{text}");
        }
    }
}
