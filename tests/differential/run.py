#!/usr/bin/env python3
"""Random SQL on hard lakes, in tickhouse and in DuckDB over the same Parquet files: the answers must be the same.

    run.py                                          1,000 statements
    run.py --statements 100000 --jobs 4             many
    run.py --seed 7 --first 1250 --statements 1     one of them again

The same seed and number make the same lake and statement everywhere. Every hundred statements have a lake of their own:
ties, late days, odd symbols, NULLs, values from 1e-9 to 1e16. A difference is made smaller, statement and rows, and printed
with both answers and the command that repeats it. Differences that wait for a fix, and statements that tickhouse
refuses, are listed with their reasons in known.py. Exit code 0: no others; 1: others; 2: usage.

Needs target/debug/tickhouse (or --tickhouse) and the packages of tests/check/requirements-catalog.txt.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import lakes
from ask import Asked, Difference, Unfit
from engines import Answer
from known import OPEN, known_as
from queries import Queries
from shrink import shrunk

REPOSITORY = Path(__file__).resolve().parents[2]
PER_LAKE = 100
PROGRESS = 5_000
#: Rows of an answer and of a lake that are printed.
SHOWN = 8


@dataclass
class Found:
    counts: Counter = field(default_factory=Counter)
    reports: list[str] = field(default_factory=list)


def listed(answer: Answer | str) -> str:
    if isinstance(answer, str):
        return f"  {answer}"
    rows = sorted(answer.rows, key=repr)
    more = f"\n  .. {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return "\n".join(f"  {row}" for row in rows[:SHOWN]) + more if rows else "  no rows"


def report(difference: Difference, ticks: list[dict], seed: int, number: int) -> str:
    left = "\n".join("  " + ", ".join(f"{k} {v!r}" for k, v in row.items() if v is not None) for row in ticks[:SHOWN])
    return (
        f"--- {difference.kind}: --seed {seed} --first {number} --statements 1\n{difference.sql}\n"
        + (f"in DuckDB: {difference.duckdb_sql}\n" if difference.duckdb_sql != difference.sql else "")
        + f"tickhouse:\n{listed(difference.tickhouse)}\nDuckDB:\n{listed(difference.duckdb)}\n"
        + (f"{len(ticks)} rows of ticks:\n{left}\n" if len(ticks) <= SHOWN else f"{len(ticks)} rows of ticks\n")
    )


def run_lake(binary: Path, seed: int, first: int, last: int, keep: bool) -> Found:
    """The statements `first` to `last`, which share a lake."""
    name = f"{seed}:{first // PER_LAKE}"
    asked, found = Asked(binary, name), Found()
    profile, ticks = lakes.rows(name)
    with tempfile.TemporaryDirectory() as folder:
        lakes.write(Path(folder), ticks, name)
        with asked.pair(Path(folder)) as pair:
            for number in range(first, last):
                statement = Queries(random.Random(f"{seed}:{number}"), profile, len(ticks)).statement()
                found.counts["statements"] += 1
                try:
                    difference = pair.compared(statement)
                except Unfit as unfit:
                    found.counts["unfit"] += 1
                    found.counts[f"unfit: {str(unfit).splitlines()[0][:90]}"] += 1
                    continue
                if not difference:
                    continue
                known = known_as(difference.sql, difference.error)
                if known:
                    found.counts[f"known: {known.name}"] += 1
                    continue
                found.counts["differences"] += 1
                found.counts[f"different: {difference.kind}"] += 1
                left = ticks
                if not keep:
                    difference, left = shrunk(asked, difference, ticks)
                found.reports.append(report(difference, left, seed, number))
            found.counts["refused by both: overflow"] += pair.overflows
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statements", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first statement")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--most", type=int, default=20, help="differences after which it ends")
    parser.add_argument("--as-found", action="store_true", help="don't make differences smaller")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    if not args.tickhouse.exists():
        parser.error(f"{args.tickhouse} does not exist: cargo build, or --tickhouse PATH")

    begun = time.monotonic()
    total = Found()
    end = args.first + args.statements
    bounds = [args.first, *range((args.first // PER_LAKE + 1) * PER_LAKE, end, PER_LAKE), end]
    with ProcessPoolExecutor(args.jobs) as pool:
        parts = [
            pool.submit(run_lake, args.tickhouse, args.seed, first, last, args.as_found)
            for first, last in zip(bounds, bounds[1:])
        ]
        for part in parts:
            if total.counts["differences"] >= args.most:
                part.cancel()
                continue
            found = part.result()
            total.counts += found.counts
            for text in found.reports:
                print(text, flush=True)
            if total.counts["statements"] % PROGRESS == 0:
                print(f"{total.counts['statements']} statements, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    seconds = time.monotonic() - begun
    for name, count in sorted(total.counts.items()):
        if ":" in name:
            print(f"{count:7} {name}")
    statements = total.counts["statements"]
    known = sum(count for name, count in total.counts.items() if name.startswith("known: "))
    print(
        f"{statements} statements in {seconds:.0f} s ({statements / seconds:.0f}/s), {total.counts['unfit']} unfit, "
        f"{known} known, {len(OPEN)} kinds open; differences: {total.counts['differences']}"
    )
    return 1 if total.counts["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
