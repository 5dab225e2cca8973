"""The notices of third parties: which crates count, which files are texts, and that a crate without either is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

from third_party_notices import Crate, crates, notices, texts  # noqa: E402

MIT = "MIT License\n\nCopyright (c) A"


def crate(folder: Path, name: str, licence: str = "MIT", **files: str) -> Crate:
    for file, text in files.items():
        path = folder / name / file.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Crate(name, "1.0.0", licence, f"https://example.com/{name}", folder / name)


def package(name: str) -> dict:
    return {
        "id": name,
        "name": name,
        "version": "1.0.0",
        "license": "MIT",
        "repository": None,
        "manifest_path": f"/registry/{name}/Cargo.toml",
    }


def test_what_is_built_counts_and_what_only_tests_need_does_not() -> None:
    edges = {"own": {"a": [None], "tested": ["dev"]}, "a": {"b": ["build"], "c": ["dev", None]}, "tested": {"d": [None]}}
    nodes = [
        {"id": id, "deps": [{"pkg": to, "dep_kinds": [{"kind": kind} for kind in kinds]} for to, kinds in deps.items()]}
        for id, deps in {"b": {}, "c": {}, "d": {}, **edges}.items()
    ]
    packages = [package(name) for name in ["own", "tested", "d", "c", "b", "a"]]
    found = crates({"resolve": {"root": "own", "nodes": nodes}, "packages": packages})
    assert [one.name for one in found] == ["a", "b", "c"]
    assert found[0].source == "https://crates.io/crates/a"


def test_texts_are_found_in_every_folder_and_each_once(tmp_path: Path) -> None:
    one = crate(tmp_path, "z", LICENSE=MIT, **{"lib__COPYING": "B \r\nC\n", "LICENSE-MIT": MIT + "  \n"})
    for name in ["license.rs", "licenses.py", "NOTICE.html", "README.md", "lib.rs"]:
        (one.folder / name).write_text("no text")
    (one.folder / "NOTICE").write_text("\n")
    assert texts(one.folder) == [MIT, "B\nC"]


def test_a_text_stands_once_under_all_that_have_it(tmp_path: Path) -> None:
    found = [crate(tmp_path, "a", LICENSE=MIT), crate(tmp_path, "b", LICENCE=MIT), crate(tmp_path, "c", "Apache-2.0")]
    found[2].folder.mkdir()
    text = notices(found, "the page's")
    assert text.count(MIT) == 1 and text == notices(found, "the page's")
    assert "  a 1.0.0\n  b 1.0.0\n====" in text and "  c 1.0.0: Apache-2.0\n" in text
    assert text.endswith("the page's\n")


def test_a_crate_without_text_and_licence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no licence: a 1.0.0"):
        notices([crate(tmp_path, "a", "", src__lib_rs="x")], "")
