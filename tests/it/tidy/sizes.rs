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
    let text = "trait A { fn none(&self) -> [u8; 2]; }\nfn two() {\n}\nfn four(a: fn(u8)) -> u8\n{\n  if a { 1 } else { 2 }\n}";
    let found: Vec<_> = functions(&words(text)).iter().map(|one| (one.name.to_owned(), one.line, one.lines)).collect();
    assert_eq!(found, [("two".to_owned(), 2, 2), ("four".to_owned(), 4, 4)]);
}

/// A raw string can't be broken without changing it, so its lines are as long as they are: messages, regular
/// expressions, addresses.
fn holds_raw_string(line: &str) -> bool {
    ["r\"", "r#\"", "r##\""].iter().any(|opening| line.contains(opening))
}

#[test]
fn lines_fit_120_columns() {
    let mut problems = Vec::new();
    for source in rust() {
        for (number, line) in source.text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            let columns = line.chars().count();
            if columns > LONGEST_LINE && !holds_raw_string(line) {
                problems.push(format!("{}:{number}: {columns} columns, {LONGEST_LINE} at most", source.path));
            }
        }
    }
    report(problems);
}
