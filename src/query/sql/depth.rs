//! How deep the expressions of a text become: a chain of operators is a tree as deep as it is long, and those who walk
//! trees would overflow the stack. (Parentheses have the parser's own limit.)

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// 3,000 overflow the 8 MiB of the main thread.
pub(in crate::query) const MOST_OPERATORS: usize = 1_000;

/// Words that end an expression.
const ENDS: [Keyword; 8] = [
    Keyword::SELECT,
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::HAVING,
    Keyword::ON,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
];

/// Operators that are words.
const WORDS: [Keyword; 9] = [
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::IS,
    Keyword::IN,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::BETWEEN,
    Keyword::COLLATE,
];

/// What puts queries together, each with all before it.
const SETS: [Keyword; 3] = [Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT];

/// Operators in the longest chain, of an expression or of set operations. A text that can't be tokenized has none: the
/// parser reports what is wrong with it.
pub(in crate::query) fn longest_chain(sql: &str) -> usize {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let mut longest = 0;
    let (mut chain, mut sets) = (0, 0);
    // Of the parentheses around.
    let mut outer = Vec::new();
    let mut before = Keyword::NoKeyword;
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        let keyword = match token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match token {
            Token::LParen => outer.push((std::mem::take(&mut chain), std::mem::take(&mut sets))),
            Token::RParen => (chain, sets) = outer.pop().unwrap_or_default(),
            Token::Comma => chain = 0,
            Token::SemiColon => (chain, sets) = (0, 0),
            Token::Word(_) if SETS.contains(&keyword) => sets += 1,
            // IS DISTINCT FROM is an operator.
            Token::Word(_) if ENDS.contains(&keyword) && before != Keyword::DISTINCT => chain = 0,
            Token::Word(_) if WORDS.contains(&keyword) => chain += 1,
            Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Period => {}
            // A sign that is no operator does no harm here.
            _ => chain += 1,
        }
        before = keyword;
        longest = longest.max(chain).max(sets);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_counted_where_they_are() {
        for (sql, operators) in [
            ("SELECT 1 + 2 + 3", 2),
            ("SELECT 1 + 2, 3 - 4", 1),
            ("SELECT 1 + (2 * 3 * 4 * 5) + f(6, 7) + 8", 3),
            ("SELECT a || b FROM t WHERE a = 1 OR b = 2 AND c = 3", 5),
            ("SELECT 1 = 2 = 3 IS DISTINCT FROM 4", 3),
            ("SELECT 1::INT::INT::INT", 3),
            ("SELECT 1 UNION ALL SELECT 2 + 3 EXCEPT SELECT 4", 2),
            ("SELECT DISTINCT a + b FROM t WHERE a < 1", 1),
            ("SELECT '1 + 2 + 3' -- + 4 + 5", 0),
            ("SELECT 'open + 1", 0),
        ] {
            assert_eq!(longest_chain(sql), operators, "{sql}");
        }
    }
}
