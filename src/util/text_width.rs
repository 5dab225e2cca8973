//! Columns that a text takes on a terminal: a Chinese character or an emoji takes two, an accent of its own none.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

pub(crate) fn text_width(text: &str) -> usize {
    text.width()
}

/// At most so many columns. What belongs together stays together: a letter and its accents, the parts of an emoji.
pub(crate) fn cut(text: String, most: usize) -> String {
    let mut width = 0;
    // Where the text ends if the mark follows it.
    let mut end = None;
    for (at, cluster) in text.grapheme_indices(true) {
        width += cluster.width();
        if width >= most {
            end = end.or(Some(at));
        }
        if width > most {
            return format!("{}…", &text[..end.unwrap_or(at)]);
        }
    }
    text
}

/// The text with the blanks that fill so many columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text_width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_a_terminal_shows_it() {
        for (text, width) in [
            ("AAPL", 4),
            ("äöü", 3),
            ("茅台", 4),
            ("ｱﾙﾌｧ", 4),
            ("📈", 2),
            ("👩‍🚀", 2),
            ("e\u{301}", 1),
            ("a\u{200b}b", 2),
            ("…", 1),
            ("", 0),
        ] {
            assert_eq!(text_width(text), width, "{text}");
        }
        assert_eq!(padded("茅台", 6) + "|", "茅台  |");
        assert_eq!(padded("abc", 2), "abc");
    }

    #[test]
    fn long_texts_are_cut_where_a_character_ends() {
        for (text, most, expected) in [
            ("äöüß", 4, "äöüß"),
            ("äöüßé", 4, "äöü…"),
            ("茅台酒", 6, "茅台酒"),
            ("茅台酒", 5, "茅台…"),
            ("茅台酒", 4, "茅…"),
            ("a👩‍🚀b", 4, "a👩‍🚀b"),
            ("a👩‍🚀b", 3, "a…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("ab\u{200b}\u{200b}", 2, "ab\u{200b}\u{200b}"),
        ] {
            let short = cut(text.to_owned(), most);
            assert_eq!(short, expected);
            assert!(text_width(&short) <= most, "{short}");
        }
    }
}
