//! The rules of the source tree: who may name what, and what nobody writes.

mod circles;
mod modules;
mod sizes;
mod typescript;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

struct Source {
    /// Relative to the root of the repository.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
}

fn sources(folder: &str, extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), extension, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no *.{extension} in {folder}");
    let read = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(read).collect()
}

fn rust() -> Vec<Source> {
    let mut all = sources("src", "rs");
    all.extend(sources("tests", "rs"));
    all
}

impl Source {
    /// The room: `kafka` of `src/kafka/raw.rs`, `lib` of `src/lib.rs`.
    fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// A file of tests; those beside the code sit in a module at its end.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap();
        self.path.starts_with("tests/") || self.path.contains("/tests/") || name.ends_with("tests.rs")
    }

    /// Lines of code with their numbers, without comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let number = |(index, line)| (index + 1, line);
        self.text.lines().enumerate().map(number).filter(|(_, line): &(_, &str)| !line.trim_start().starts_with("//"))
    }

    /// Number of the first line of the tests at the end.
    fn tests_begin(&self) -> usize {
        if self.is_test() {
            return 0;
        }
        let mut lines = self.lines().map(|(number, line)| (number, line.trim())).peekable();
        while let Some((number, line)) = lines.next() {
            let module = lines.peek().is_some_and(|(_, next)| next.starts_with("mod ") && next.ends_with('{'));
            if line == "#[cfg(test)]" && module {
                return number;
            }
        }
        usize::MAX
    }

    /// First segments of the paths below `crate::` on this line, groups included.
    fn own_modules(line: &str) -> Vec<&str> {
        let first =
            |text: &'_ str| -> usize { text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len()) };
        let mut found = Vec::new();
        for (at, mark) in line.match_indices("crate::") {
            let rest = &line[at + mark.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group.split([',', '}']).map(str::trim).map(|part| &part[..first(part)])),
                None => found.push(&rest[..first(rest)]),
            }
        }
        found
    }
}

/// A word, not a part of one.
fn names(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn one_module_names_each_big_crate() {
    let owners = [
        ("rdkafka", &["kafka"][..]),
        ("deltalake", &["lake"]),
        ("datafusion", &["query"]),
        ("reqwest", &["engines", "live"]),
        ("axum", &["serve"]),
        // Tables are columns to all who read or write them. Files are the business of those who store or scan them.
        ("arrow", &["lake", "check", "cli", "engines", "ingest", "live", "produce", "query", "serve", "tail"]),
        ("parquet", &["lake", "check", "ingest", "live", "produce", "query"]),
        ("object_store", &["lake", "check", "ingest", "live", "query"]),
        ("backon", &["util", "engines", "live"]),
        ("bytesize", &["util"]),
        ("glob", &["produce"]),
        ("rand_xoshiro", &["produce"]),
        ("unicode_width", &["util"]),
    ];
    let mut problems = Vec::new();
    for source in sources("src", "rs") {
        let tests = source.tests_begin();
        for (number, line) in source.lines().take_while(|(number, _)| *number < tests) {
            for (name, owners) in &owners {
                let code = line.contains(&format!("{name}::")) || line.contains(&format!("use {name}"));
                if code && !owners.contains(&source.module()) && names(line, name) {
                    problems.push(format!("{}:{number}: {name} belongs to src/{}", source.path, owners[0]));
                }
            }
        }
    }
    report(problems);
}

/// What a room may import: all of it is used. Nothing imports `cli`, which stands above all.
const ARROWS: [(&str, &[&str]); 15] = [
    ("util", &[]),
    ("market", &[]),
    ("indicators", &[]),
    ("decode", &["market", "util"]),
    ("kafka", &["market", "util"]),
    ("lake", &["market", "util"]),
    ("ingest", &["decode", "kafka", "lake", "market", "tail", "util"]),
    ("tail", &["decode", "kafka", "lake", "market", "util"]),
    ("query", &["indicators", "lake", "market", "tail", "util"]),
    ("live", &["indicators", "kafka", "lake", "market", "query", "tail", "util"]),
    ("engines", &["lake", "market", "query", "util"]),
    ("check", &["decode", "kafka", "lake", "market"]),
    ("produce", &["decode", "kafka", "market", "util"]),
    ("serve", &["decode", "ingest", "lake", "live", "query", "tail", "util"]),
    (
        "cli",
        &[
            "check", "decode", "engines", "ingest", "kafka", "lake", "live", "market", "produce", "query", "serve",
            "tail", "util",
        ],
    ),
];

#[test]
fn arrows_point_one_way() {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources("src", "rs") {
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == source.module()) else { continue };
        for (number, line) in source.lines() {
            for other in Source::own_modules(line) {
                if other != source.module() && !other.is_empty() && !allowed.contains(&other) {
                    problems.push(format!("{}:{number}: {} imports {other}", source.path, source.module()));
                }
                used.insert((source.module().to_owned(), other.to_owned()));
            }
        }
    }
    for (room, allowed) in ARROWS {
        let unused = allowed.iter().filter(|other| !used.contains(&(room.to_owned(), (**other).to_owned())));
        problems.extend(unused.map(|other| format!("{room} may import {other} and doesn't")));
    }
    report(problems);
}

/// Every folder of the top level is a room that the table of arrows has.
#[test]
fn there_are_no_other_rooms() {
    let rooms: BTreeSet<String> = sources("src", "rs").iter().map(|source| source.module().to_owned()).collect();
    let known = ARROWS.iter().map(|(room, _)| (*room).to_owned()).chain(["lib", "main"].map(str::to_owned));
    assert_eq!(rooms, known.collect());
}

#[test]
fn nobody_writes_what_the_house_forbids() {
    let mut problems = Vec::new();
    for source in rust().into_iter().filter(|source| source.path != file!()) {
        let tests = source.tests_begin();
        let in_src = source.path.starts_with("src/");
        let commands = source.path.starts_with("src/cli/commands/") || source.module() == "main";
        for (number, line) in source.lines() {
            let in_tests = number >= tests;
            let mut forbid = |what: &str, is_wrong: bool| {
                if is_wrong && line.contains(what) {
                    problems.push(format!("{}:{number}: {what}", source.path));
                }
            };
            forbid("todo!", true);
            forbid("unimplemented!", true);
            forbid("dbg!", true);
            forbid("#[ignore", true);
            forbid("sleep(", in_tests);
            forbid("println!", in_src && !commands && !in_tests);
            forbid("print!", in_src && !commands && !in_tests);
            let reads_environment = source.path.starts_with("src/cli/settings/") || source.path == "src/util/crash.rs";
            forbid("env::var", !reads_environment && !in_tests);
            forbid(".unwrap()", !in_tests);
            let audited = source.path.starts_with("src/kafka/raw")
                || ["src/util/allocator.rs", "src/util/priority.rs"].contains(&source.path.as_str());
            if names(line, "unsafe") && !audited {
                problems.push(format!("{}:{number}: unsafe belongs to src/kafka/raw.rs", source.path));
            }
        }
    }
    report(problems);
}

#[test]
fn the_lock_file_has_one_version_of_what_crosses_crates() {
    let lock = include_str!("../../Cargo.lock");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let value = |key: &str, line: &'static str| line.strip_prefix(key)?.strip_suffix('"');
    let mut name = "";
    for line in lock.lines() {
        name = value("name = \"", line).unwrap_or(name);
        if let Some(version) = value("version = \"", line) {
            versions.entry(name).or_default().push(version);
        }
    }
    for name in [
        "arrow",
        "arrow-array",
        "arrow-schema",
        "parquet",
        "object_store",
        "datafusion",
        "deltalake-core",
        "rdkafka-sys",
    ] {
        assert_eq!(versions[name].len(), 1, "{name}: {:?}", versions[name]);
    }
}

#[test]
fn a_sql_file_is_a_header_and_one_select() {
    for Source { path, text } in sources("sql", "sql") {
        assert!(text.starts_with("-- "), "{path}: no header");
        let body: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let body = body.join("\n").to_uppercase();
        let body = body.trim();
        assert!(body.starts_with("SELECT") || body.starts_with("WITH"), "{path}: does not begin with SELECT or WITH");
        assert!(!body.trim_end_matches(';').contains(';'), "{path}: more than one statement");
        for word in ["INSERT", "UPDATE", "DELETE", "CREATE", "DROP"] {
            assert!(!names(body, word), "{path}: {word}");
        }
    }
}

#[test]
fn the_rules_see_what_they_look_for() {
    assert_eq!(Source::own_modules("use crate::kafka::{Assigned, Command};"), ["kafka"]);
    assert_eq!(Source::own_modules("use crate::{lake::Lake, ingest};"), ["lake", "ingest", ""]);
    assert!(names("unsafe {", "unsafe") && !names("unsafe_code", "unsafe"));
    let text = "//! x\nfn a() {}\n#[cfg(test)]\nmod tests {\n";
    let source = Source { path: "src/lake/a.rs".to_owned(), text: text.to_owned() };
    assert_eq!((source.module(), source.tests_begin(), source.is_test()), ("lake", 3, false));
}

/// Words that this tree once had for what the field has words for: see CONTRIBUTING.md.
const RETIRED: [&str; 20] = [
    "tell",
    "told",
    "tells",
    "look",
    "looks",
    "looked",
    "looker",
    "anew",
    "trouble",
    "mend",
    "mended",
    "bury",
    "buried",
    "strangers",
    "vacant",
    "obey",
    "caretaker",
    "upkeep",
    "patiently",
    "beside",
];

/// The words of `look_back_for` and `LookBack`, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        words.last_mut().expect("there is a first one").extend(c.to_lowercase().filter(|c| *c != '_'));
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

fn retired(name: &str) -> Option<&'static str> {
    let words = words_of(name);
    let is_usual = |at: usize| {
        words[at] == "look" && matches!(words.get(at + 1).map(String::as_str), Some("back" | "ahead" | "up"))
    };
    let at = (0..words.len()).find(|at| RETIRED.contains(&words[*at].as_str()) && !is_usual(*at))?;
    RETIRED.into_iter().find(|word| *word == words[at])
}

#[test]
fn names_are_words_of_the_field() {
    const DECLARE: [&str; 9] = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "union"];
    let mut problems = Vec::new();
    for source in sources("src", "rs").into_iter().filter(|source| !source.is_test()) {
        let tests = source.tests_begin();
        let words = words::words(&source.text);
        for pair in words.windows(2).take_while(|pair| pair[0].line < tests) {
            let [declares, name] = pair else { continue };
            if DECLARE.contains(&declares.text.as_str())
                && let Some(word) = retired(&name.text)
            {
                let (path, line, name) = (&source.path, name.line, &name.text);
                problems.push(format!("{path}:{line}: {name}: '{word}' is a retired word, see CONTRIBUTING.md"));
            }
        }
    }
    report(problems);
    let found = ["tell_rows", "LakeUpkeep", "look_back", "footer"].map(retired);
    assert_eq!(found, [Some("tell"), Some("upkeep"), None, None]);
}
