//! Rules for valid symbols, and the configured symbol filter.

use std::collections::HashSet;

use crate::decode::input::InputSettings;
use crate::decode::verdict::{Rejection, RejectionReason};

const MAX_BYTES: usize = 64;
/// Hive's name for a NULL partition. Readers would take a symbol with this name for NULL.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Checks a symbol.
///
/// # Errors
/// `BadSymbol` if the symbol can't be displayed or distinguished: it is empty, blank or too long, or has control,
/// invisible or bidirectional characters.
#[inline]
pub(in crate::decode) fn check_symbol(symbol: &str) -> Result<(), Rejection> {
    let problem = if symbol.is_empty() {
        "symbol: empty"
    } else if symbol.len() > MAX_BYTES {
        "symbol: longer than 64 bytes"
    } else if symbol.bytes().all(|byte| byte.is_ascii_graphic()) {
        if symbol != HIVE_NULL {
            return Ok(());
        }
        "symbol: the reserved name of a NULL partition"
    } else if symbol.trim().is_empty() {
        "symbol: blank"
    } else if has_invisible(symbol) {
        "symbol: control, invisible or bidirectional character"
    } else {
        return Ok(());
    };
    Err(Rejection::new(RejectionReason::BadSymbol, problem))
}

/// Whether the symbol has an invisible character. A variation selector after a pictograph is allowed, because it only
/// selects the appearance of the pictograph.
fn has_invisible(symbol: &str) -> bool {
    let mut before = None;
    symbol.chars().any(|character| {
        let chooses_look = matches!(character, '\u{fe00}'..='\u{fe0f}') && before.is_some_and(|c: char| !c.is_ascii());
        before = Some(character).filter(|_| !is_ignorable(character));
        !chooses_look && (character.is_control() || is_ignorable(character))
    })
}

/// Whether the character is a Default_Ignorable_Code_Point of Unicode, or an invisible separator or annotation.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The symbol filter, and the symbols whose prices may be zero or negative.
#[derive(Debug, Clone)]
pub(in crate::decode) struct SymbolRules {
    include: HashSet<Box<str>>,
    exclude: HashSet<Box<str>>,
    negative: HashSet<Box<str>>,
    any_negative: bool,
}

impl SymbolRules {
    pub(in crate::decode) fn new(settings: &InputSettings) -> Self {
        let set = |symbols: &[String]| symbols.iter().map(|symbol| symbol.as_str().into()).collect();
        Self {
            include: set(&settings.include),
            exclude: set(&settings.exclude),
            negative: set(&settings.allow_negative),
            any_negative: settings.allow_negative.iter().any(|symbol| symbol == "*"),
        }
    }

    #[inline]
    pub(in crate::decode) fn lets_in(&self, symbol: &str) -> bool {
        (self.include.is_empty() || self.include.contains(symbol))
            && (self.exclude.is_empty() || !self.exclude.contains(symbol))
    }

    pub(in crate::decode) fn may_be_negative(&self, symbol: &str) -> bool {
        self.any_negative || self.negative.contains(symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_but_visible_symbols_are_data() {
        for symbol in [
            "AAPL",
            "BRK.B",
            "a/b=c%~",
            "../../etc",
            "<script>",
            "'; drop table",
            "BTC USD",
            "株式",
            "❤\u{fe0f}",
            &"x".repeat(64),
        ] {
            assert_eq!(check_symbol(symbol), Ok(()), "{symbol}");
        }
    }

    #[test]
    fn invisible_symbols_are_not() {
        for symbol in [
            "",
            " ",
            "A\0",
            "A\n",
            "A\u{7f}",
            "A\u{85}",
            "\u{202e}LPAA",
            "A\u{2066}",
            "A\u{200f}",
            "\u{ad}",
            "AAPL\u{ad}",
            "\u{fe0f}",
            "AAPL\u{fe0f}",
            "株\u{fe0f}\u{fe0f}",
            "A\u{200b}",
            "\u{3164}",
            "A\u{34f}",
            "A\u{e0041}",
            "A\u{e0100}",
            HIVE_NULL,
            &"x".repeat(65),
        ] {
            assert_eq!(
                check_symbol(symbol).map_err(|rejection| rejection.reason),
                Err(RejectionReason::BadSymbol),
                "{symbol:?}"
            );
        }
    }
}
