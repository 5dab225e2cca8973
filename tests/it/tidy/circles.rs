//! No two files of `src` import each other, not even by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Import, Modules};

type Next<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn reached<'a>(from: &'a str, next: &Next<'a>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        open.extend(next.get(file).into_iter().flatten().filter(|to| reached.insert(**to)));
    }
    reached
}

/// For each circle of files the imports between them.
pub fn circles(imports: &BTreeSet<Import>) -> Vec<Vec<&Import>> {
    let mut next = Next::new();
    for import in imports {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: Next = next.keys().map(|file| (*file, reached(file, &next))).collect();
    let mut found: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
    for (file, files) in &reached {
        let back = |other: &&str| reached.get(other).is_some_and(|files| files.contains(file));
        let circle: BTreeSet<&str> = files.iter().copied().filter(back).collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    let inside = |circle: BTreeSet<&str>| {
        let is_inside = |import: &&Import| circle.contains(&*import.from) && circle.contains(&*import.to);
        imports.iter().filter(is_inside).collect()
    };
    found.into_iter().map(inside).collect()
}

pub fn show(circle: &[&Import]) -> String {
    let files: BTreeSet<&str> = circle.iter().map(|import| import.from.as_str()).collect();
    let mut shown = format!("{} files import each other:", files.len());
    let mut pair = ("", "");
    for Import { from, to, line, path } in circle {
        if pair != (from, to) {
            pair = (from, to);
            shown += &format!("\n  {from} imports {to}");
        }
        shown += &format!("\n    {line}: {path}");
    }
    shown
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = super::sources("src", "rs");
    let imports = Modules::read(&sources.into_iter().map(|source| (source.path, source.text)).collect()).imports();
    assert!(imports.len() > 1_000, "only {} imports are found", imports.len());
    super::report(circles(&imports).iter().map(|circle| show(circle)).collect());
}

/// Circles of an invented crate, as they are reported.
fn shown(files: &[(&str, &str)]) -> Vec<String> {
    let texts = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    circles(&Modules::read(&texts).imports()).iter().map(|circle| show(circle)).collect()
}

#[test]
fn a_circle_is_shown_with_the_line_of_each_import() {
    let files = [
        ("src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
        ("src/a.rs", "use crate::b::{self, B};\nfn a() { b::b() }"),
        ("src/b.rs", "\n\nfn b() -> super::c::C { todo() }\npub struct B;"),
        ("src/c.rs", "pub struct C; impl C { fn a() { crate::a::a(); } }"),
        ("src/d.rs", "use crate::a;\nfn d() { a::a() }"),
    ];
    let expected = "3 files import each other:\
        \n  src/a.rs imports src/b.rs\
        \n    1: crate::b::B\
        \n    2: b::b\
        \n  src/b.rs imports src/c.rs\
        \n    3: super::c::C\
        \n  src/c.rs imports src/a.rs\
        \n    1: crate::a::a";
    assert_eq!(shown(&files), [expected]);
}

#[test]
fn an_import_by_way_of_a_parent_counts_as_one_of_the_file_that_has_it() {
    let lib = ("src/lib.rs", "pub mod room;");
    let room = ("src/room/mod.rs", "mod deep;\nmod a;\npub use a::A;\npub(crate) use deep::Inner as B;");
    let deep = ("src/room/deep/mod.rs", "mod inner;\npub use self::inner::Inner;");
    let a = ("src/room/a.rs", "use super::B;\npub struct A(B);");
    let inner = ("src/room/deep/inner.rs", "pub struct Inner;\nfn make() { crate::room::A::make(); }");
    let one = shown(&[lib, room, deep, a, inner]);
    let expected = "2 files import each other:\
        \n  src/room/a.rs imports src/room/deep/inner.rs\
        \n    1: super::B\
        \n  src/room/deep/inner.rs imports src/room/a.rs\
        \n    2: crate::room::A::make";
    assert_eq!(one, [expected]);

    let alone = ("src/room/deep/inner.rs", "pub struct Inner;");
    assert_eq!(shown(&[lib, room, deep, a, alone]), [""; 0]);
}

#[test]
fn a_parent_that_uses_its_child_imports_it() {
    let lib = ("src/lib.rs", "mod room;");
    let child = ("src/room/child.rs", "use super::Parent;\npub struct Child; pub fn child() {}");
    for (parent, circles) in [
        ("mod child; struct Parent;", 0),
        ("mod child; pub use child::Child; struct Parent;", 0),
        ("mod child; pub use child::Child; struct Parent; fn f(child: u8) { child + child; self.child(); }", 0),
        ("mod child; use child::Child; struct Parent;", 1),
        ("mod child; pub use child::Child; struct Parent(Child);", 1),
        ("mod child; pub use child::child; struct Parent; fn f() { child() }", 1),
        ("mod child; struct Parent; fn f() { child::child(); }", 1),
        ("mod child { pub struct Child; } struct Parent; fn f() { child::Child; }", 0),
    ] {
        assert_eq!(shown(&[lib, ("src/room/mod.rs", parent), child]).len(), circles, "{parent}");
    }
}

#[test]
fn code_of_tests_comments_and_visibilities_import_nothing() {
    let lib = ("src/lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod tests;");
    let b = ("src/b.rs", "use crate::a::A;\npub struct B;");
    for (a, circles) in [
        ("pub struct A; // crate::b::B\n/* crate::b::B */ #[doc = \"of crate::b::B\"] fn f() {}", 0),
        ("pub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; fn f() { B; } }\nfn f() {}", 0),
        ("#[cfg(test)]\nuse crate::b::B;\npub struct A;", 0),
        ("pub struct A {\n#[cfg(test)]\nb: crate::b::B, c: u8 }", 0),
        ("pub struct A {\n#[cfg(test)]\nc: u8, b: crate::b::B }", 1),
        ("#[cfg(test)]\nmod tests {}\npub struct A(crate::b::B);", 1),
        ("pub(in crate::b) struct A;", 0),
        ("pub struct A { #[serde(with = \"crate::b::with\")] c: u8 }", 1),
        ("pub struct A; fn f() { use crate::{b::{B as C}}; }", 1),
        ("pub use crate::b::B; pub struct A;", 1),
        ("use crate::b::*; pub struct A;", 1),
    ] {
        assert_eq!(shown(&[lib, ("src/a.rs", a), b]).len(), circles, "{a}");
    }
}
