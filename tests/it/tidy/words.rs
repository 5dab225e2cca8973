//! The words of a Rust file: identifiers, `::` and single marks, without comments, strings and numbers.

#[derive(Debug, PartialEq)]
pub struct Word {
    pub text: String,
    pub line: usize,
}

impl Word {
    pub fn is_name(&self) -> bool {
        self.text.starts_with(is_first_of_name)
    }
}

fn is_first_of_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A string that is a path stays, for serde takes functions so: `#[serde(with = "crate::util::units::size")]`.
fn is_path(string: &str) -> bool {
    let own = ["crate::", "super::", "self::"].iter().any(|first| string.starts_with(first));
    own && string.chars().all(|c| is_of_name(c) || c == ':')
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    words: Vec<Word>,
}

impl Reader<'_> {
    fn skip(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].matches('\n').count();
        self.rest = &self.rest[bytes..];
    }

    fn push(&mut self, bytes: usize) {
        self.words.push(Word { text: self.rest[..bytes].to_owned(), line: self.line });
        self.skip(bytes);
    }

    /// `/* .. */`, which may nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                let Some(c) = self.rest.chars().next() else { return };
                self.skip(c.len_utf8());
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string whose opening quote is at the start; `escapes` is false in a raw one, whose `end` has the hashes.
    fn read_string(&mut self, end: &str, escapes: bool) {
        let mut at = 1;
        while at < self.rest.len() && !self.rest[at..].starts_with(end) {
            let escaped = escapes && self.rest[at..].starts_with('\\');
            at += usize::from(escaped);
            at += self.rest[at..].chars().next().map_or(0, char::len_utf8);
        }
        let (line, inner) = (self.line, &self.rest[1..at]);
        if is_path(inner) {
            let inside = words(inner).into_iter().map(|word| Word { line, ..word });
            self.words.extend(inside);
        }
        self.skip((at + end.len()).min(self.rest.len()));
    }

    /// `'a'` is a character, `'a` a lifetime.
    fn skip_quote(&mut self) {
        let inside: Vec<char> = self.rest.chars().skip(1).take(2).collect();
        match inside[..] {
            ['\\', escaped] => {
                let after = 2 + escaped.len_utf8();
                let end = self.rest[after..].find('\'').map_or(self.rest.len(), |at| after + at + 1);
                self.skip(end);
            }
            [one, '\''] => self.skip(2 + one.len_utf8()),
            _ => {
                let end = self.rest[1..].find(|c| !is_of_name(c)).map_or(self.rest.len(), |at| at + 1);
                self.skip(end);
            }
        }
    }

    fn read_name(&mut self) {
        let end = self.rest.find(|c| !is_of_name(c)).unwrap_or(self.rest.len());
        let after = self.rest[end..].trim_start_matches('#');
        let hashes = self.rest.len() - end - after.len();
        match &self.rest[..end] {
            "r" | "br" | "cr" if after.starts_with('"') => {
                self.skip(end + hashes);
                self.read_string(&format!("\"{}", "#".repeat(hashes)), false);
            }
            "b" | "c" if hashes == 0 && after.starts_with('"') => {
                self.skip(end);
                self.read_string("\"", true);
            }
            "b" if hashes == 0 && after.starts_with('\'') => {
                self.skip(end);
                self.skip_quote();
            }
            // A raw identifier, as `r#type`.
            "r" if hashes == 1 && after.starts_with(is_first_of_name) => self.skip(end + 1),
            _ => self.push(end),
        }
    }
}

pub fn words(text: &str) -> Vec<Word> {
    let mut reader = Reader { rest: text, line: 1, words: Vec::new() };
    while let Some(c) = reader.rest.chars().next() {
        match c {
            '/' if reader.rest.starts_with("//") => {
                let end = reader.rest.find('\n').unwrap_or(reader.rest.len());
                reader.skip(end);
            }
            '/' if reader.rest.starts_with("/*") => reader.skip_block_comment(),
            '"' => reader.read_string("\"", true),
            '\'' => reader.skip_quote(),
            ':' if reader.rest.starts_with("::") => reader.push(2),
            c if is_first_of_name(c) => reader.read_name(),
            c if c.is_ascii_digit() => {
                let end = reader.rest.find(|c| !is_of_name(c)).unwrap_or(reader.rest.len());
                reader.skip(end);
            }
            c if c.is_whitespace() => reader.skip(c.len_utf8()),
            c => reader.push(c.len_utf8()),
        }
    }
    reader.words
}

#[test]
fn comments_strings_and_numbers_are_no_words() {
    let texts = |text| words(text).into_iter().map(|word| word.text).collect::<Vec<_>>();
    assert_eq!(texts("a::b // c\n/* d /* e */ f */ g"), ["a", "::", "b", "g"]);
    assert_eq!(
        texts(r##"x("a \" b", r#"c " d"#, b"e", 'f', '\'', b'g', 12_u8)"##),
        ["x", "(", ",", ",", ",", ",", ",", ",", ")"]
    );
    assert_eq!(texts("&'a str, r#type 'b: 'static"), ["&", "str", ",", "type", ":"]);
    assert_eq!(
        texts(r#"with = "super::units::size", "super::a b""#),
        ["with", "=", "super", "::", "units", "::", "size", ","]
    );
    let lines: Vec<usize> = words("a\n\"x\ny\" b\n/*\n*/ c").into_iter().map(|word| word.line).collect();
    assert_eq!(lines, [1, 3, 5]);
}
