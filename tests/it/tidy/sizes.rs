//! Files of up to 500 lines, functions of up to 80, lines of up to 120 columns.

use super::words::{Word, words};
use super::{report, rust, sources};

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 80;
const LONGEST_LINE: usize = 120;

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in rust() {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            problems.push(format!("{}: {lines} lines, {LONGEST_FILE} at most", source.path));
        }
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}: does not open with //!", source.path));
        }
    }
    report(problems);
}

struct Function<'a> {
    name: &'a str,
    /// Line of `fn`.
    line: usize,
    lines: usize,
}

/// Functions that have a body.
fn functions(words: &[Word]) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        if pair[0].text != "fn" || !pair[1].is_name() {
            continue;
        }
        let (name, line) = (pair[1].text.as_str(), pair[0].line);
        let (mut depth, mut brackets) = (0, 0);
        for word in &words[at + 2..] {
            match word.text.as_str() {
                "(" | "[" => brackets += 1,
                ")" | "]" => brackets -= 1,
                // A declaration in a trait ends here; a `;` in brackets is part of the type of an array.
                ";" if depth == 0 && brackets == 0 => break,
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => continue,
            }
            if depth == 0 && word.text == "}" {
                functions.push(Function { name, line, lines: word.line + 1 - line });
                break;
            }
        }
    }
    functions
}

#[test]
fn functions_fit_a_screen() {
    let mut problems = Vec::new();
    for source in sources("src", "rs").into_iter().filter(|source| !source.is_test()) {
        let (words, tests) = (words(&source.text), source.tests_begin());
        for Function { name, line, lines } in functions(&words) {
            if lines > LONGEST_FUNCTION && line < tests {
                problems.push(format!("{}:{line}: {name} has {lines} lines, {LONGEST_FUNCTION} at most", source.path));
            }
        }
    }
    report(problems);
    let text = "trait A { fn none(&self) -> [u8; 2]; }\nfn two() {\n}\nfn four(a: fn(u8)) -> u8\n{\n  \
                if a { 1 } else { 2 }\n}";
    let found: Vec<_> = functions(&words(text)).iter().map(|one| (one.name.to_owned(), one.line, one.lines)).collect();
    assert_eq!(found, [("two".to_owned(), 2, 2), ("four".to_owned(), 4, 4)]);
}

/// Where the first raw string of the line begins, behind its quote, and how it ends.
fn raw_string(line: &str) -> Option<(usize, &'static str)> {
    let opening = |(opening, end): (&'static str, &'static str)| {
        // The end of a word in an ordinary string has a quote behind it too.
        let before = |at: usize| line[..at].strip_suffix('b').unwrap_or(&line[..at]);
        let begins = |at: &usize| !before(*at).ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let at = line.match_indices(opening).map(|(at, _)| at).find(begins)?;
        Some((at + opening.len(), end))
    };
    [("r\"", "\""), ("r#\"", "\"#"), ("r##\"", "\"##")].into_iter().filter_map(opening).min()
}

/// Lines that begin, continue or end a raw string: it can't be broken without changing it.
fn lines_of_raw_strings(text: &str) -> Vec<bool> {
    let mut closing: Option<&str> = None;
    let of_raw_string = |line| {
        let (mut rest, mut is_raw) = (line, closing.is_some());
        loop {
            if let Some(end) = closing {
                let Some((_, after)) = str::split_once(rest, end) else { return true };
                (closing, rest) = (None, after);
            }
            let Some((begin, end)) = raw_string(rest) else { return is_raw };
            (closing, rest, is_raw) = (Some(end), &rest[begin..], true);
        }
    };
    text.lines().map(of_raw_string).collect()
}

#[test]
fn lines_fit_120_columns() {
    let mut problems = Vec::new();
    for source in rust() {
        for (index, (line, is_raw)) in source.text.lines().zip(lines_of_raw_strings(&source.text)).enumerate() {
            let columns = line.chars().count();
            if columns > LONGEST_LINE && !is_raw {
                problems.push(format!("{}:{}: {columns} columns, {LONGEST_LINE} at most", source.path, index + 1));
            }
        }
    }
    report(problems);
    let text = "a\nlet b = r#\"c\nd \" e\nf\"#; g\nr\"h\" i\n\"for\" j\nk";
    assert_eq!(lines_of_raw_strings(text), [false, true, true, true, true, false, false]);
}
