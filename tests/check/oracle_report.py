#!/usr/bin/env python3
"""The largest error of every indicator on every series, as Markdown: catalog_oracle.py and indicator_oracle.py in one.

    oracle_report.py           named queries against their definitions, window functions against TA-Lib and exact sums
    oracle_report.py --docs    and into docs/conformance.md

Needs target/debug/tickhouse (or --tickhouse) and the packages of requirements-catalog.txt:
    "$(tests/servers/python.sh tests/check/requirements-catalog.txt)" tests/check/oracle_report.py
Exit code 0: all equal; 1: differences.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import talib

import indicator_oracle as indicators
from catalog_oracle import REPOSITORY, Found, check_lake, table, told
from catalog_series import SERIES, arrived, write_lake
from catalog_signals import by_symbol
from docs_part import write_part

#: Its 120 symbols are for crossover_kafka.py.
LEFT_OUT = ("crossover",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    # Only catalog_oracle.py asks with random parameters.
    parser.set_defaults(seed=0, random=0)
    args = parser.parse_args()
    args.queries, args.engines, args.random, args.seed = [], [], 0, 0

    names = [name for name in SERIES if name not in LEFT_OUT]
    found: Found = {}
    counts: Counter = Counter()
    errors: indicators.Errors = {}
    problems: list[str] = []
    values = 0
    for series in names:
        ticks = arrived(SERIES[series](), seed=11)
        with tempfile.TemporaryDirectory() as folder:
            write_lake(Path(folder), ticks)
            check_lake(series, by_symbol(ticks), Path(folder), args, found, counts)
        values += indicators.check_series(series, args.tickhouse, errors, problems)
    text = f"""\
Named queries, {counts['rows']:,} rows:

{table(found, 'tickhouse')}
Window functions, {values:,} values:

{indicators.table_of(errors)}
By TA-Lib {talib.__version__}, pandas {pd.__version__}, numpy {np.__version__} and exact sums. The series:

""" + "".join(f"- `{name}`: {(SERIES[name].__doc__ or MEANT[name]).splitlines()[0]}\n" for name in names)
    print(text)
    if args.docs:
        write_part("conformance.md", "oracle_report.py", text)
    for problem in problems:
        print(problem)
    code = told(found, args.engines, counts)
    return 1 if problems else code


MEANT = {
    "empty": "No ticks.",
    "walks": "Random walks; a tenth of the volumes is unknown, half of the ticks carry open, high and low.",
}

if __name__ == "__main__":
    sys.exit(main())
