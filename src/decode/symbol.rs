//! What a symbol may be, and which symbols the configuration lets in.

use std::collections::HashSet;

use super::input::InputSettings;
use super::verdict::{Reason, Rejection};

const MAX_BYTES: usize = 64;
/// Hive's name for a NULL partition; readers would take a symbol of this name for NULL.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// # Errors
/// `BadSymbol` for what can't be shown or told apart: empty, blank, long, control, invisible or bidirectional characters.
#[inline]
pub(super) fn check_symbol(symbol: &str) -> Result<(), Rejection> {
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
    } else if symbol.chars().any(is_invisible) {
        "symbol: control or bidirectional character"
    } else {
        return Ok(());
    };
    Err(Rejection::new(Reason::BadSymbol, problem))
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Filters by symbol, and the symbols whose prices may be zero or negative.
#[derive(Debug, Clone)]
pub(super) struct SymbolRules {
    include: HashSet<Box<str>>,
    exclude: HashSet<Box<str>>,
    negative: HashSet<Box<str>>,
    any_negative: bool,
}

impl SymbolRules {
    pub(super) fn new(settings: &InputSettings) -> Self {
        let set = |symbols: &[String]| symbols.iter().map(|symbol| symbol.as_str().into()).collect();
        Self {
            include: set(&settings.include),
            exclude: set(&settings.exclude),
            negative: set(&settings.allow_negative),
            any_negative: settings.allow_negative.iter().any(|symbol| symbol == "*"),
        }
    }

    #[inline]
    pub(super) fn lets_in(&self, symbol: &str) -> bool {
        (self.include.is_empty() || self.include.contains(symbol))
            && (self.exclude.is_empty() || !self.exclude.contains(symbol))
    }

    pub(super) fn may_be_negative(&self, symbol: &str) -> bool {
        self.any_negative || self.negative.contains(symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_but_visible_symbols_are_data() {
        for symbol in
            ["AAPL", "BRK.B", "a/b=c%~", "../../etc", "<script>", "'; drop table", "BTC USD", "株式", &"x".repeat(64)]
        {
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
            HIVE_NULL,
            &"x".repeat(65),
        ] {
            assert_eq!(
                check_symbol(symbol).map_err(|rejection| rejection.reason),
                Err(Reason::BadSymbol),
                "{symbol:?}"
            );
        }
    }
}
