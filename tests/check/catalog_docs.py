#!/usr/bin/env python3
"""Writes the part of docs/queries.md below its marker: every named query, what its header says, and what it prints.

    python3 tests/check/catalog_docs.py --table ./demo-lake

The lake is one of `tickhouse demo --table ./demo-lake --duration 75s`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "queries.md"
MARKER = "<!-- below: tests/check/catalog_docs.py -->\n"
ROWS = 3
#: What makes an answer short or not empty on a lake of a minute.
ARGUMENTS = {
    "bars": ["--interval", "30s", "--symbol", "AAPL"],
    "correlation": ["--interval", "1s", "--symbol", "AAPL", "--symbol", "MSFT", "--symbol", "JPM"],
    "gaps": ["--param", "longer_than=300ms"],
    "latest": ["--param", "since=2026-01-01"],
    "movers": ["--param", "since=2026-01-01", "--param", "top=3"],
    "price_alerts": ["--param", "threshold=0.5"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()

    def query(*arguments: str) -> str:
        command = [str(args.tickhouse), "query", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    parts = []
    for line in query("--list").splitlines():
        if not line.startswith(" "):
            parts.append(f"## {line.capitalize()}\n")
            continue
        name = line.split()[0]
        # Some rows in: the first ones of a symbol have no full windows.
        arguments = ARGUMENTS.get(name, ["--symbol", "AAPL"] if "ts timestamp" in header(name) else [])
        lines = query(name, "--table", args.table, "--format", "csv", *arguments).splitlines()
        start = 30 if len(lines) > 60 and name not in ARGUMENTS else 1
        shown = "\n".join([lines[0], *lines[start : start + ROWS]])
        parts.append(f"### {name}\n\n```\n{query(name, '--describe')}```\n")
        parts.append(f"```\n$ tickhouse query --table ./demo-lake {' '.join([name, *arguments])}\n{shown}\n..\n```\n")
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(MARKER)] + MARKER + "\n" + "\n".join(parts))
    return 0


def header(name: str) -> str:
    return (REPOSITORY / "sql" / f"{name}.sql").read_text().split("\nWITH")[0]


if __name__ == "__main__":
    sys.exit(main())
