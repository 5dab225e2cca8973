#!/usr/bin/env python3
"""Prints the licences and copyright notices of all that is built into the program, for a copy that is handed on.

    python3 infra/third_party_notices.py [-o FILE] [--target x86_64-unknown-linux-gnu] [cargo's flags of features]

The same Cargo.lock, target and features give the same bytes. Texts come from the sources that cargo has downloaded: those of a
crate, and those of the C libraries that its folder holds. Crates of a build only count too, as some of them hold such a library.
It fails if a crate has neither a text nor the name of a licence.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"(?i)^(licen[cs]es?|copying|copyright|notice|unlicense|patents)([-_.].*)?$")
# Sources, scripts and pages that have such a name are none.
NO_TEXT = {".c", ".h", ".rs", ".go", ".py", ".pl", ".sh", ".js", ".html", ".toml", ".json", ".in", ".yml", ".yaml"}
RULE = "=" * 100


@dataclass(frozen=True, order=True)
class Crate:
    name: str
    version: str
    licence: str
    source: str
    folder: Path

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


def metadata(target: str, flags: list[str]) -> dict:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target, *flags]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def host() -> str:
    shown = subprocess.run(["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return next(line.removeprefix("host: ") for line in shown.splitlines() if line.startswith("host: "))


def crates(data: dict) -> list[Crate]:
    """What the package of the root depends on, however far away; without what only its tests need."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    reached, waiting = {root}, [root]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            is_built = any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
            if is_built and dependency["pkg"] not in reached:
                reached.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    found = []
    for package in data["packages"]:
        if package["id"] in reached - {root}:
            licence = package["license"] or ""
            source = package["repository"] or f"https://crates.io/crates/{package['name']}"
            folder = Path(package["manifest_path"]).parent
            found.append(Crate(package["name"], package["version"], licence, source, folder))
    return sorted(found)


def texts(folder: Path) -> list[str]:
    """Each text once, in the order of the names of their files."""
    files = (path for path in folder.rglob("*") if NAME.match(path.name) and path.suffix.lower() not in NO_TEXT)
    found: dict[str, None] = {}
    for path in sorted((path for path in files if path.is_file()), key=lambda path: path.relative_to(folder).parts):
        lines = path.read_bytes().decode("utf-8", "replace").replace("\f", "").splitlines()
        text = "\n".join(line.rstrip() for line in lines).strip("\n")
        if text:
            found[text] = None
    return list(found)


def notices(all_crates: list[Crate], page: str) -> str:
    """One section a text, with the crates that have it."""
    having: dict[str, list[Crate]] = {}
    without = []
    for crate in all_crates:
        found = texts(crate.folder)
        for text in found:
            having.setdefault(text, []).append(crate)
        if not found:
            without.append(crate)
    unknown = [crate.title for crate in without if not crate.licence]
    if unknown:
        raise SystemExit(f"no licence: {', '.join(unknown)}")
    parts = [
        "tickhouse is licensed under the Apache License 2.0. It contains the works below, and the standard library of Rust\n"
        "(MIT OR Apache-2.0, https://www.rust-lang.org).\n",
        "".join(f"{crate.title}: {crate.licence or 'see its text'}; {crate.source}\n" for crate in all_crates),
    ]
    if without:
        listed = "".join(f"  {crate.title}: {crate.licence}\n" for crate in without)
        parts.append(f"These have no text of their own; the texts of their licences are among those below:\n{listed}")
    for text, owners in having.items():
        titles = "".join(f"  {crate.title}\n" for crate in owners)
        parts.append(f"{RULE}\n{titles}{RULE}\n\n{text}\n")
    parts.append(f"{RULE}\n  the dashboard's page\n{RULE}\n\n{page.strip()}\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="the file [default: standard output]")
    parser.add_argument("--target", help="the platform of the program [default: this one]")
    arguments, flags = parser.parse_known_args()
    page = (ROOT / "ui/dist/assets/licenses.txt").read_text()
    text = notices(crates(metadata(arguments.target or host(), flags)), page)
    if arguments.output:
        arguments.output.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
