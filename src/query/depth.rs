//! How deep the expressions of a text become: a chain of operators is a tree as deep as it is long, and those who walk
//! trees would overflow the stack. (Parentheses have the parser's own limit.)

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// 3,000 overflow the 8 MiB of the main thread.
pub(super) const MOST_OPERATORS: usize = 1_000;

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

/// Operators in the longest chain. A text without tokens has none: the parser tells what is wrong with it.
pub(super) fn longest_chain(sql: &str) -> usize {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let mut longest = 0;
    let mut chain = 0;
    // Of the parentheses around.
    let mut outer = Vec::new();
    for token in &tokens {
        match token {
            Token::LParen => outer.push(std::mem::take(&mut chain)),
            Token::RParen => chain = outer.pop().unwrap_or(0),
            Token::Comma | Token::SemiColon => chain = 0,
            Token::Word(word) if ENDS.contains(&word.keyword) => chain = 0,
            token if is_operator(token) => chain += 1,
            _ => {}
        }
        longest = longest.max(chain);
    }
    longest
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(word.keyword, Keyword::AND | Keyword::OR),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
        _ => false,
    }
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
            ("SELECT a || b FROM t WHERE a = 1 OR b = 2 AND c = 3", 2),
            ("SELECT '1 + 2 + 3' -- + 4 + 5", 0),
            ("SELECT 'open + 1", 0),
        ] {
            assert_eq!(longest_chain(sql), operators, "{sql}");
        }
    }
}
