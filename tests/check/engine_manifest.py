#!/usr/bin/env python3
"""Reads a local lake by the manifests of `tickhouse catalog manifest`, as readers do that don't know Delta.

    engine_manifest.py --table ./lake

The lake loses a partition on the way, so give a copy. Exit code 0: the manifests name the rows; 1: they don't.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import duckdb
from deltalake import DeltaTable

REPOSITORY = Path(__file__).resolve().parents[2]


def read(table: Path) -> tuple[int, int, int]:
    """Manifests, those of them that are empty, and the rows of the files that they name."""
    manifests = sorted((table / "_symlink_format_manifest").glob("*/manifest"))
    texts = [manifest.read_text() for manifest in manifests]
    files = [line.removeprefix("file://") for text in texts for line in text.splitlines()]
    rows = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [files]).fetchone()[0] if files else 0
    return len(manifests), texts.count(""), rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    write = [args.tickhouse, "catalog", "manifest", "--table", args.table]
    ticks = DeltaTable(str(args.table / "ticks"))
    total, dates = ticks.to_pyarrow_table().num_rows, sorted({part["trade_date"] for part in ticks.partitions()})
    for _ in range(2):
        subprocess.run(write, check=True)
        found = read(args.table / "ticks")
        assert found == (len(dates), 0, total), (found, total)
    ticks.delete(f"trade_date = '{dates[0]}'")
    assert read(args.table / "ticks")[2] == total, "manifests are those of their version"
    subprocess.run(write, check=True)
    left = DeltaTable(str(args.table / "ticks")).to_pyarrow_table().num_rows
    found = read(args.table / "ticks")
    assert left < total and found == (len(dates), 1, left), (found, left)
    print(f"manifest: {total} rows in {len(dates)} partitions; {left} after one of them went")
    return 0


if __name__ == "__main__":
    sys.exit(main())
