//! The text of a cell.

pub(super) const NULL: &str = "NULL";
/// Digits behind the point, or behind the zeros that follow it, in a table.
const DECIMALS: usize = 6;
/// From here on a number has no digits behind the point that its type can hold, and below this it would be all zeros.
const LARGEST_PLAIN: f64 = 1e15;
const SMALLEST_PLAIN: f64 = 1e-6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GridStyle {
    Table,
    Markdown,
}

/// Lines of a cell.
pub(super) type CellLines = Vec<String>;

/// Escapes characters that would move the cursor or break the grid: text in a table is untrusted input.
pub(super) fn cell(text: &str, style: GridStyle) -> CellLines {
    let clean = |line: &str| -> String {
        line.chars()
            .flat_map(|c| match c {
                '|' if style == GridStyle::Markdown => vec!['\\', '|'],
                c if c.is_control() || is_bidi_control(c) => c.escape_unicode().collect(),
                c => vec![c],
            })
            .collect()
    };
    match style {
        GridStyle::Table => text.trim_end_matches('\n').split('\n').map(clean).collect(),
        GridStyle::Markdown => {
            vec![text.trim_end_matches('\n').split('\n').map(clean).collect::<Vec<_>>().join("<br>")]
        }
    }
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number as people read it: six digits behind the point, or six significant ones below 1.
pub(super) fn rounded(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || !size.is_finite() || size >= LARGEST_PLAIN {
        return format!("{number:?}");
    }
    if size < SMALLEST_PLAIN {
        return format!("{:e}", format!("{number:.5e}").parse::<f64>().unwrap_or(number));
    }
    let mut decimals = DECIMALS;
    let mut scaled = size;
    while scaled < 0.1 {
        scaled *= 10.0;
        decimals += 1;
    }
    let text = format!("{number:.decimals$}");
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_digits_behind_the_point() {
        for (number, text) in [
            (277.533_333_333_332_96, "277.533333"),
            (277.54, "277.54"),
            (40.0, "40.0"),
            (-0.000_012_345_678_9, "-0.0000123457"),
            (0.1 + 0.2, "0.3"),
            (1.234_567_891e-9, "1.23457e-9"),
            (1e16, "1e16"),
            (123_456_789.123_456_7, "123456789.123457"),
            (0.0, "0.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(rounded(number), text);
        }
    }
}
