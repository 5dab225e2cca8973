#!/usr/bin/env python3
"""Writes the part of docs/queries.md below its marker: every named query, what its header says, and what it prints.

    python3 tests/check/catalog_docs.py --brokers B
    python3 tests/check/catalog_docs.py --brokers B --check    only says whether the page is up to date (exit code 1: not)

The lake is made by the commands of LAKE, which give the same ticks each time. What differs is when they were ingested (the
last column of late_ticks), and the last digits of sums that threads share.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "queries.md"
MARKER = "<!-- below: tests/check/catalog_docs.py -->\n"
ROWS = 3
#: An hour of ticks; then a minute of another source, which is late.
LAKE = """\
tickhouse produce simulate --brokers localhost:9092 --topic docs --partitions 4 --rate 0 --interval 100ms --count 36000 \\
  --anomalies 0.001 --start 2026-11-20T14:30:00Z --event-timestamps
tickhouse produce simulate --brokers localhost:9092 --topic docs --rate 0 --interval 100ms --count 600 --seed 2 \\
  --start 2026-11-20T14:30:05Z --event-timestamps
tickhouse ingest --brokers localhost:9092 --topic docs --table ./lake --until-latest
"""
#: What makes an answer short or not empty on a lake of an hour.
ARGUMENTS = {
    "bars": ["--interval", "15m", "--symbol", "AAPL"],
    "correlation": ["--interval", "1m", "--symbol", "AAPL", "--symbol", "MSFT", "--symbol", "JPM"],
    "gaps": ["--param", "longer_than=90s"],
    "late_ticks": [],
    "latest": ["--param", "since=2026-11-20"],
    "movers": ["--param", "since=2026-11-20", "--param", "top=3"],
}
INGESTED = re.compile(r",[0-9T:.-]+Z$", re.MULTILINE)
DOUBLE = re.compile(r"\d\.\d{9,}")


def make_lake(tickhouse: Path, brokers: str, folder: str) -> Path:
    for line in LAKE.replace("\\\n", " ").splitlines():
        words = line.replace("localhost:9092", brokers).replace("./lake", f"{folder}/lake").split()
        # A new one each time.
        words[words.index("--topic") + 1] = Path(folder).name
        subprocess.run([str(tickhouse), *words[1:]], capture_output=True, check=True)
    return Path(folder) / "lake"


def page(tickhouse: Path, lake: Path) -> str:
    def query(*arguments: str) -> str:
        command = [str(tickhouse), "query", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    parts = [f"The lake of these answers:\n\n```\n{LAKE}```\n"]
    for line in query("--list").splitlines():
        if not line.startswith(" "):
            parts.append(f"## {line.capitalize()}\n")
            continue
        name = line.split()[0]
        # Some rows in: the first ones of a symbol have no full windows.
        arguments = ARGUMENTS.get(name, ["--symbol", "AAPL"] if "ts timestamp" in header(name) else [])
        lines = query(name, "--table", str(lake), "--format", "csv", *arguments).splitlines()
        if len(lines) == 1:
            raise SystemExit(f"{name} has no rows to show")
        start = 40 if len(lines) > 60 and name not in ARGUMENTS else 1
        shown = "\n".join([lines[0], *lines[start : start + ROWS]])
        more = "..\n" if len(lines) > start + ROWS else ""
        parts.append(f"### {name}\n\n```\n{query(name, '--describe')}```\n")
        parts.append(f"```\n$ tickhouse query --table ./lake {' '.join([name, *arguments])}\n{shown}\n{more}```\n")
    return "\n".join(parts)


def header(name: str) -> str:
    return (REPOSITORY / "sql" / f"{name}.sql").read_text().split("\nWITH")[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        written = page(args.tickhouse, make_lake(args.tickhouse, args.brokers, folder))
    text = PAGE.read_text()
    new = text[: text.index(MARKER)] + MARKER + "\n" + written
    if not args.check:
        PAGE.write_text(new)
        return 0
    same = lambda one: DOUBLE.sub(lambda found: f"{float(found[0]):.9f}", INGESTED.sub(",", one))
    old, new = (same(one).splitlines(keepends=True) for one in (text, new))
    changes = list(difflib.unified_diff(old, new, "docs/queries.md", "as it would be written"))
    print("".join(changes[:60]) or f"{PAGE.name} is up to date")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
