//! No two files of `ui/src` import each other, not even by way of others.

use std::collections::BTreeSet;

use super::circles::{circles, show};
use super::modules::Import;
use super::{Source, report, sources};

/// `ui/src/panels/../api` without its dots.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The relative paths that a line imports from: `from './bars'`, `import '../style.css'`.
fn imported(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("from ").or_else(|| line.trim_start().split_once("import "))?;
    let path = rest.trim_start().strip_prefix(['\'', '"'])?;
    path.split(['\'', '"']).next().filter(|path| path.starts_with('.'))
}

fn imports(sources: &[Source]) -> BTreeSet<Import> {
    let mut imports = BTreeSet::new();
    let files: BTreeSet<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    for source in sources {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in source.text.lines().enumerate() {
            let Some(path) = imported(line) else { continue };
            let target = plain(&format!("{folder}/{path}"));
            let file = [format!("{target}.ts"), format!("{target}/index.ts"), target.clone()];
            let Some(to) = file.into_iter().find(|file| files.contains(file.as_str())) else { continue };
            imports.insert(Import { from: source.path.clone(), to, line: index + 1, path: path.to_owned() });
        }
    }
    imports
}

#[test]
fn no_files_of_the_page_import_each_other_in_a_circle() {
    let imports = imports(&sources("ui/src", "ts"));
    assert!(imports.len() > 50, "only {} imports are found", imports.len());
    report(circles(&imports).iter().map(|circle| show(circle)).collect());
}

#[test]
fn a_circle_of_typescript_is_found() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let files = [
        source("ui/src/a.ts", "import { b } from './panels/b';"),
        source("ui/src/panels/b.ts", "import '../style.css';\nimport type {\n  C,\n} from '../c';"),
        source("ui/src/c.ts", "export * from \"./a\";"),
        source("ui/src/d.ts", "import { a } from './a';"),
    ];
    let imports = imports(&files);
    let circles = circles(&imports);
    assert_eq!(circles.len(), 1);
    assert!(show(&circles[0]).starts_with("3 files import each other:\n  ui/src/a.ts imports ui/src/panels/b.ts"));
}
