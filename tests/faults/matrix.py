#!/usr/bin/env python3
"""Writes the matrix of docs/reliability.md from the results of a run, or of several that ran side by side.

    matrix.py DIR/result.json .. --command "tests/faults/run --seed 1 --faults 1000"
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import date
from pathlib import Path

from docs_part import write_part

PAGE, PART = "reliability.md", "matrix"
SUMMED = ("rounds", "faults_done", "messages", "lost", "duplicated", "findings")


def seconds(values: list[float]) -> str:
    if not values:
        return " | "
    return f"{statistics.median(values):.1f} | {max(values):.1f}"


def table(result: dict, command: str) -> str:
    only = f", `--only {result['only']}`" if result["only"] else ""
    lines = [
        f"`{command}`, {date.today().isoformat()}, development build, two cores: {result['faults_done']:,} faults in "
        f"{result['rounds']} rounds, {result['messages']:,} messages, {result['seconds'] / 60:.0f} minutes{only}. "
        f"Lost: {result['lost']}. Duplicated: {result['duplicated']}. Findings: {result['findings']}. "
        f"Workers that ended and had to be started again (known limits): {sum(result['exits'].values())}.",
        "",
    ]
    lines += [f"Left out: {name} ({reason})." for name, reason in result["left_out"].items()]
    lines += ["| fault | count | lost | duplicated | recovery p50, s | max, s |", "|---|---|---|---|---|---|"]
    for name, one in result["kinds"].items():
        counts = f"{one['count']} | {one['lost']} | {one['duplicated']}"
        lines.append(f"| `{name}` | {counts} | {seconds(one['recovery_s'])} |")
    return "\n".join(lines)


def joined(results: list[dict]) -> dict:
    """Runs side by side as one: their counts are added, and the longest decides how long it took."""
    sums = {name: sum(result[name] for result in results) for name in SUMMED}
    kinds: dict[str, dict] = {}
    exits: dict[str, int] = {}
    left_out: dict[str, str] = {}
    for result in results:
        left_out |= result["left_out"]
        for words, count in result["exits"].items():
            exits[words] = exits.get(words, 0) + count
        for name, one in result["kinds"].items():
            kind = kinds.setdefault(name, {"count": 0, "lost": 0, "duplicated": 0, "recovery_s": []})
            for field in kind:
                kind[field] = kind[field] + one[field]
    seconds = max(result["seconds"] for result in results)
    only = results[0]["only"]
    return sums | {"seconds": seconds, "only": only, "exits": exits, "left_out": left_out, "kinds": dict(sorted(kinds.items()))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--command", required=True, help="the one that made them, for the page")
    args = parser.parse_args()
    write_part(PAGE, PART, table(joined([json.loads(file.read_text()) for file in args.results]), args.command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
