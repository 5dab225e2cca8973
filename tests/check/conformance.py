#!/usr/bin/env python3
"""Every portable query on every engine, on one table of real ingest: what conformance.sh runs.

    conformance.sh                                 DuckDB and ClickHouse in this process, Spark, and Trino by TRINO_URL
    conformance.sh --engines duckdb,clickhouse     some of them
    conformance.sh --brokers B                     a running Kafka instead of one that ends with this script
    conformance.sh --docs                          the table into docs/conformance.md, too

Ticks of several hard series go through Kafka and `tickhouse ingest` into a lake. Each query runs there with all the
parameters that catalog_oracle.py asks it with, and each answer is compared, row by row and by its rules, with what the
definition says, computed without SQL of the ticks in the lake, which must be those that were sent.
Prints a table of the rows compared; = is no difference. Exit code 0: all equal; 1: differences; 2: usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from deltalake import DeltaTable

from catalog_engines import ENGINES, folder_of_lakes
from catalog_expected import OURS
from catalog_oracle import REPOSITORY, Found, check_lake, plain, told
from catalog_series import EPOCH, SERIES, Tick, arrived
from catalog_signals import by_symbol
from docs_part import write_part
from landed import OF_ITS_KEY, ingest, send
from servers import Servers, unwind_on_sigterm

#: Prices below zero are dead letters unless an instrument has them.
LANDED = ("walks", "gaps", "nulls", "equal_times", "zero_volume", "flat", "short")
PRICES = ("open", "high", "low", "close", "volume")


def message(tick: Tick) -> dict:
    found = {"symbol": tick.symbol, "ts": (EPOCH + timedelta(microseconds=tick.ts)).isoformat()}
    return found | {name: value for name in PRICES if (value := getattr(tick, name)) is not None}


def landed(lake: Path) -> list[Tick]:
    rows = DeltaTable(str(lake / "ticks")).to_pyarrow_table().to_pylist()
    names = ("symbol", *PRICES)
    return [
        Tick(
            **{name: row[name] for name in names},
            **{name: plain(row[name]) for name in ("ts", "kafka_ts", "ingested_at")},
            partition=row["kafka_partition"],
            offset=row["kafka_offset"],
            index=row["kafka_index"],
            day=row["trade_date"],
        )
        for row in rows
    ]


def values(ticks: list[Tick]) -> Counter:
    return Counter((tick.symbol, tick.ts, *(getattr(tick, name) for name in PRICES)) for tick in ticks)


def markdown(found: Found, engines: list[str]) -> str:
    queries = list(dict.fromkeys(query for query, _, _ in found))
    lines = [f"| query | {' | '.join(engines)} |", "|" + "---|" * (len(engines) + 1)]
    for query in queries:
        cells = []
        for engine in engines:
            if (cell := found.get((query, "landed", engine))) is None:
                cells.append("this engine only" if query in OURS else "-")
            else:
                wrong = len(cell.differences)
                cells.append(f"{cell.rows:,} {f'DIFFERENCES: {wrong}' if wrong else '='}")
        lines.append(f"| {query} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",") if text else []
    parser.add_argument("queries", nargs="*")
    default = ["duckdb", "clickhouse", "spark", *(["trino"] if os.environ.get("TRINO_URL") else [])]
    parser.add_argument("--engines", type=names, default=default)
    parser.add_argument("--brokers")
    parser.add_argument("--topic", default="conformance", help="created by this script")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--docs", action="store_true")
    # Only catalog_oracle.py asks with random parameters.
    parser.set_defaults(seed=0, random=0)
    args = parser.parse_args()
    if unknown := [engine for engine in args.engines if engine not in ENGINES]:
        parser.error(f"there is no engine {unknown[0]}: choose of {', '.join(ENGINES)}")
    if not args.tickhouse.exists():
        parser.error(f"{args.tickhouse} does not exist: cargo build, or --tickhouse PATH")

    unwind_on_sigterm()
    sent = [tick for series in LANDED for tick in arrived(SERIES[series](), seed=11)]
    found: Found = {}
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory(prefix="conformance_", dir=folder_of_lakes(args.engines)) as folder:
        servers, lake = Servers(Path(folder)), Path(folder) / "lake"
        try:
            brokers = args.brokers or servers.start("kafka.sh")["BROKERS"]
            # Several partitions for one symbol where it has ticks at one instant.
            places = [tick.partition if tick.symbol.startswith("E") else OF_ITS_KEY for tick in sent]
            send(brokers, args.topic, map(message, sent), places)
            ingest(args.tickhouse, brokers, args.topic, lake, 1_500)
        finally:
            servers.stop()
        ticks = landed(lake)
        if values(ticks) != values(sent):
            print(f"the lake holds {len(ticks)} ticks, which are not the {len(sent)} that were sent")
            return 1
        check_lake("landed", by_symbol(ticks), lake, args, found, counts)
    dates = len({tick.date for tick in ticks})
    table = f"""\
{len(ticks):,} ticks of {len(by_symbol(ticks))} symbols and {dates} trade dates:

{markdown(found, ["tickhouse", *args.engines])}"""
    print(table)
    if args.docs:
        write_part("conformance.md", "conformance.py", table)
    return told(found, args.engines, counts)


if __name__ == "__main__":
    sys.exit(main())
