//! The modules of a crate as its files declare them, and the file that a path leads to. Code of tests is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Word, words};

/// A path as it stands in a file.
#[derive(Debug, Clone)]
pub struct Written {
    pub segments: Vec<String>,
    pub line: usize,
}

#[derive(Debug)]
struct Use {
    /// What the file calls it; `*` imports all.
    name: String,
    target: Written,
    is_exported: bool,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths in code, outside of `use`. One of a single segment stands here only where it may be no local variable.
    paths: Vec<Written>,
}

/// What a path leads to.
enum Found {
    Module(String),
    Item { file: String },
}

/// By path: `crate`, `crate::lake`, `crate::lake::log`.
#[derive(Default)]
pub struct Modules(BTreeMap<String, Module>);

/// One file imports from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: String,
    pub to: String,
    pub line: usize,
    pub path: String,
}

impl Modules {
    /// Follows the declarations of modules from `src/lib.rs`; `sources` has texts by path.
    pub fn read(sources: &BTreeMap<String, String>) -> Self {
        let mut modules = Self::default();
        let mut files = vec![("crate".to_owned(), "src/lib.rs".to_owned())];
        while let Some((path, file)) = files.pop() {
            let words = words(&sources[&file]);
            let mut parser = Parser { words: &words, at: 0, file: &file, modules: &mut modules, declared: Vec::new() };
            parser.module(&path);
            for name in parser.declared {
                let (module, inner) = name.rsplit_once("::").expect("a declared module has a parent");
                let folder = folder_of(&file, module.strip_prefix(path.as_str()).unwrap_or_default());
                let places = [format!("{folder}/{inner}.rs"), format!("{folder}/{inner}/mod.rs")];
                let place = places.into_iter().find(|place| sources.contains_key(place));
                let place = place.unwrap_or_else(|| panic!("{file}: no file has the module {name}"));
                files.push((name, place));
            }
        }
        modules
    }

    /// Every import between two files. A file that only hands on what its own folder has does not import it.
    pub fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (path, module) in &self.0 {
            let is_own = |one: &Use| one.is_exported && self.leads_below(path, &one.target);
            let file_of = |written: &Written| match self.resolve(path, &written.segments, &mut BTreeSet::new())? {
                Found::Item { file } => Some(file),
                Found::Module(_) => None,
            };
            let (own, used): (Vec<&Use>, Vec<&Use>) = module.uses.iter().partition(|one| is_own(one));
            let is_known = |name: &String| used.iter().any(|one| one.name == *name && file_of(&one.target).is_some());
            let handed_on = |name: &String| own.iter().any(|one| one.name == *name);
            let code = module.paths.iter().filter(|one| match &one.segments[..] {
                [name] => handed_on(name),
                segments => !is_known(&segments[0]),
            });
            for written in used.iter().map(|one| &one.target).chain(code) {
                if let Some(file) = file_of(written).filter(|file| *file != module.file) {
                    let (from, path) = (module.file.clone(), written.segments.join("::"));
                    imports.insert(Import { from, to: file, line: written.line, path });
                }
            }
        }
        imports
    }

    /// Whether a path begins in a module below this one.
    fn leads_below(&self, module: &str, written: &Written) -> bool {
        let mut segments = written.segments.iter().map(String::as_str).skip_while(|segment| *segment == "self");
        segments.next().is_some_and(|first| self.0[module].children.contains(first))
    }

    fn resolve(&self, module: &str, segments: &[String], seen: &mut BTreeSet<(String, String)>) -> Option<Found> {
        let (first, rest) = segments.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found::Module("crate".to_owned()),
            "self" => Found::Module(module.to_owned()),
            "super" => Found::Module(parent(module)),
            name => self.find(module, name, rest.is_empty(), seen)?,
        };
        for (index, segment) in rest.iter().enumerate() {
            let Found::Module(inner) = &found else { break };
            found = match segment.as_str() {
                "super" => Found::Module(parent(inner)),
                "self" | "*" => return Some(self.whole(inner)),
                // What a macro defines is not found by name: it lives in the module that the path names.
                name => self.find(inner, name, index + 1 == rest.len(), seen).unwrap_or_else(|| self.whole(inner)),
            };
        }
        Some(found)
    }

    fn whole(&self, module: &str) -> Found {
        Found::Item { file: self.0[module].file.clone() }
    }

    fn find(&self, module: &str, name: &str, last: bool, seen: &mut BTreeSet<(String, String)>) -> Option<Found> {
        let inside = &self.0[module];
        let child = inside.children.contains(name).then(|| Found::Module(format!("{module}::{name}")));
        if child.is_some() && !last {
            return child;
        }
        if inside.items.contains(name) {
            return Some(self.whole(module));
        }
        if !seen.insert((module.to_owned(), name.to_owned())) {
            return child;
        }
        let imported = inside.uses.iter().filter(|one| one.name == name);
        for one in imported {
            if let Some(found) = self.resolve(module, &one.target.segments, seen) {
                return Some(found);
            }
        }
        child
    }
}

fn parent(module: &str) -> String {
    module.rsplit_once("::").map_or("crate", |(parent, _)| parent).to_owned()
}

/// Where the files of modules lie that `file` declares, in its inline module `inline` if that is not empty.
fn folder_of(file: &str, inline: &str) -> String {
    let folder = file.strip_suffix("/mod.rs").or_else(|| file.strip_suffix("/lib.rs"));
    let folder = folder.unwrap_or_else(|| file.trim_end_matches(".rs"));
    format!("{folder}{}", inline.replace("::", "/"))
}

struct Parser<'a> {
    words: &'a [Word],
    at: usize,
    file: &'a str,
    modules: &'a mut Modules,
    /// Modules in files of their own.
    declared: Vec<String>,
}

impl Parser<'_> {
    fn text(&self, ahead: usize) -> &str {
        self.words.get(self.at + ahead).map_or("", |word| word.text.as_str())
    }

    fn is_name(&self, ahead: usize) -> bool {
        self.words.get(self.at + ahead).is_some_and(Word::is_name)
    }

    fn starts_with(&self, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(ahead, text)| self.text(ahead) == *text)
    }

    /// Up to the end of the file, or to the brace that closes an inline module.
    fn module(&mut self, path: &str) {
        let mut module = Module { file: self.file.to_owned(), ..Module::default() };
        let mut depth = 0;
        let mut is_exported = false;
        while self.at < self.words.len() {
            let was_exported = std::mem::take(&mut is_exported);
            match self.text(0) {
                "#" if self.starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) => self.skip_item_of_tests(),
                "{" => {
                    depth += 1;
                    self.at += 1;
                }
                "}" if depth == 0 => break,
                "}" => {
                    depth -= 1;
                    self.at += 1;
                }
                "pub" => {
                    is_exported = true;
                    self.at += 1;
                    if self.text(0) == "(" && ["crate", "super", "self", "in"].contains(&self.text(1)) {
                        self.skip_to(")");
                    }
                }
                "mod" if self.is_name(1) => {
                    let name = self.text(1).to_owned();
                    let inner = format!("{path}::{name}");
                    let is_inline = self.text(2) == "{";
                    self.at += 3;
                    if is_inline {
                        self.module(&inner);
                        self.at += 1;
                    } else {
                        self.declared.push(inner);
                    }
                    module.children.insert(name);
                }
                "use" if self.is_name(1) => {
                    self.at += 1;
                    self.use_tree(&mut Vec::new(), was_exported, &mut module.uses);
                }
                "macro_rules" => {
                    module.items.insert(self.text(2).to_owned());
                    self.at += 3;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" if self.is_name(1) => {
                    if self.text(1) != "fn" && depth == 0 {
                        module.items.insert(self.text(1).to_owned());
                    }
                    self.at += if self.text(1) == "fn" { 1 } else { 2 };
                }
                _ if self.is_name(0) => module.paths.extend(self.path()),
                _ => self.at += 1,
            }
        }
        self.modules.0.insert(path.to_owned(), module);
    }

    fn skip_to(&mut self, end: &str) {
        while self.at < self.words.len() && self.text(0) != end {
            self.at += 1;
        }
        self.at += 1;
    }

    /// From `#[cfg(test)]` to the end of what it stands on: a module, a function, an import, a field.
    fn skip_item_of_tests(&mut self) {
        self.at += 7;
        let begins = ["pub", "mod", "use", "fn", "impl", "const", "static", "struct", "enum", "async", "type", "trait"];
        let is_item = begins.contains(&self.text(0)) || self.text(0) == "#";
        let mut depth = 0;
        while self.at < self.words.len() {
            match self.text(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth == 0 => return,
                "}" if depth == 1 => {
                    self.at += 1;
                    return;
                }
                ")" | "]" | "}" => depth -= 1,
                ";" if depth == 0 => {
                    self.at += 1;
                    return;
                }
                "," if depth == 0 && !is_item => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// What stands after `use`, up to a mark that ends it.
    fn use_tree(&mut self, prefix: &mut Vec<String>, is_exported: bool, uses: &mut Vec<Use>) {
        let begin = prefix.len();
        let line = self.words[self.at].line;
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.text(0)) {
                        self.use_tree(prefix, is_exported, uses);
                        self.at += usize::from(self.text(0) == ",");
                    }
                    self.at += 1;
                    break;
                }
                "*" => {
                    self.at += 1;
                    let segments = prefix.iter().cloned().chain(["*".to_owned()]).collect();
                    uses.push(Use { name: "*".to_owned(), target: Written { segments, line }, is_exported });
                    break;
                }
                _ if self.is_name(0) => {
                    prefix.push(self.text(0).to_owned());
                    self.at += 1;
                    if self.text(0) == "::" {
                        continue;
                    }
                    let mut segments = prefix.clone();
                    if segments.len() > 1 {
                        segments.pop_if(|last| last == "self");
                    }
                    let mut name = segments.last().cloned().unwrap_or_default();
                    if self.text(0) == "as" {
                        name = self.text(1).to_owned();
                        self.at += 2;
                    }
                    uses.push(Use { name, target: Written { segments, line }, is_exported });
                    break;
                }
                _ => break,
            }
        }
        prefix.truncate(begin);
    }

    /// A path in code. A name alone counts only if it is a type, a constant, a call or a macro, and no method.
    fn path(&mut self) -> Option<Written> {
        let before = self.at.checked_sub(1).map_or("", |before| self.words[before].text.as_str());
        let continues = ["::", "."].contains(&before);
        let line = self.words[self.at].line;
        let mut segments = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && self.is_name(1) {
            segments.push(self.text(1).to_owned());
            self.at += 2;
        }
        let is_big = segments[0].starts_with(char::is_uppercase);
        let alone = segments.len() == 1 && !is_big && !["(", "!"].contains(&self.text(0));
        // `parse::<u8>` has its name alone as well.
        (!continues && !alone).then_some(Written { segments, line })
    }
}
