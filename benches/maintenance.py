#!/usr/bin/env python3
"""How fast compaction is, and what it costs the ingest beside it.

    benches/maintenance.sh                  the documented run: 10 M ticks compacted, 40 M ingested, 3 runs each

Compaction: `tickhouse maintain` over the lake `arrival` of `cargo bench --bench lake` (files of 10,000 ticks in the order
in which they came), a fresh copy each run. Ticks that are rewritten twice count twice. Its cost: `ingest --until-latest`
of a filled topic with a commit every 50,000 ticks, which are enough files for a compaction in spite of the backlog, without
maintenance and with it by turns. CPU seconds are those of the process alone. Prints medians; a run that doesn't keep
every tick ends the benchmark.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import built
import pyarrow.parquet as pq
from compare import Run, fill, measure, table_rows, topic_offsets
from servers import Servers, unwind_on_sigterm

MIB = 1 << 20


def arrow_bytes_per_tick(lake: Path) -> float:
    """Of the first file, decoded."""
    decoded = pq.ParquetFile(next((lake / "ticks").glob("trade_date=*/*.parquet"))).read()
    return decoded.nbytes / decoded.num_rows


def compaction(args: argparse.Namespace, folder: Path) -> None:
    lakes = (args.lakes or folder / "lakes").resolve()
    if args.lakes is None:
        built.make_lakes(lakes, args.compacted)
    decoded = arrow_bytes_per_tick(lakes / "arrival")
    rates = []
    for number in range(args.runs):
        copy, log = folder / "copy", folder / f"maintain-{number}.csv"
        shutil.copytree(lakes / "arrival", copy)
        before = table_rows(str(copy), None, "")
        command = [str(args.binary), "maintain", "--table", str(copy), "--settled-after", "0s", "--no-delete"]
        run = measure("maintain", [*command, "--format", "csv"], {}, log)
        if table_rows(str(copy), None, "") != before:
            raise SystemExit(f"compaction changed the number of rows: it was {before}")
        shutil.rmtree(copy)
        # Standard error is in it as well.
        lines = csv.reader(log.read_text().splitlines())
        files, read, into, written = next(map(int, line[2:]) for line in lines if line[:2] == ["ticks", "compacted"])
        rows = next((int(line.split()[1]) for line in log.read_text().splitlines() if line.endswith("/s")), 0)
        if rows == 0:
            raise SystemExit(f"nothing was compacted:\n{log.read_text()}")
        rates.append((rows / run.cpu_seconds, read / run.cpu_seconds, rows * decoded / run.cpu_seconds))
        print(
            f"{number + 1}/{args.runs}  {files} files, {read / MIB:.0f} MiB, into {into}, {written / MIB:.0f} MiB: "
            f"{rows} rows, {run.wall_seconds:.2f} s wall, {run.cpu_seconds:.2f} s CPU, {run.peak_rss_mib:.0f} MiB",
            flush=True,
        )
    rows, read, decoded_rate = (statistics.median(column) for column in zip(*rates))
    print(
        f"compaction, per second of one core: {rows:,.0f} ticks, {read / 1e6:.0f} MB of files, {decoded_rate / 1e6:.0f} MB "
        f"decoded ({decoded:.0f} bytes a tick)",
        flush=True,
    )


def cost(args: argparse.Namespace, folder: Path, servers: Servers) -> None:
    brokers = servers.start("kafka.sh")["BROKERS"]
    topic = fill(args, brokers, folder)
    if (present := topic_offsets(brokers, topic)) != args.ticks:
        raise SystemExit(f"the topic {topic} holds {present} messages, expected {args.ticks}")
    runs: dict[str, list[Run]] = {"off": [], "compact": []}
    for number in range(args.runs + 1):
        for maintain, of in runs.items():
            lake = folder / f"lake-{number}-{maintain}"
            command = [str(args.binary), "ingest", "--brokers", brokers, "--topic", topic, "--until-latest"]
            command += ["--table", str(lake), "--maintain", maintain, "--flush-rows", "50000"]
            run = measure(maintain, command, {}, folder / f"ingest-{number}-{maintain}.log")
            if (rows := table_rows(str(lake), None, "")) != args.ticks:
                raise SystemExit(f"{rows} rows landed of {args.ticks} ticks")
            commits = [path.read_text() for path in (lake / "ticks" / "_delta_log").glob("*.json")]
            compactions = sum('"OPTIMIZE"' in commit for commit in commits)
            if (compactions > 0) != (maintain == "compact"):
                raise SystemExit(f"{compactions} compactions with --maintain {maintain}: more ticks make more files")
            shutil.rmtree(lake)
            # The first round warms the broker's page cache.
            if number:
                of.append(run)
                print(
                    f"{number}/{args.runs}  --maintain {maintain:8} {run.wall_seconds:6.2f} s wall  "
                    f"{run.cpu_seconds:6.2f} s CPU  {run.peak_rss_mib:.0f} MiB  {len(commits)} commits, {compactions} compactions",
                    flush=True,
                )
    off, on = (statistics.median(run.wall_seconds for run in of) for of in runs.values())
    print(f"ingest beside maintenance: {args.ticks / on:,.0f} ticks/s, without {args.ticks / off:,.0f}: {on / off - 1:+.1%} time")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benches/maintenance.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compacted", type=int, default=10_000_000, help="ticks of the lake that is compacted")
    parser.add_argument("--ticks", type=int, default=40_000_000, help="ticks that are ingested")
    parser.add_argument("--symbols", type=int, default=120)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lakes", type=Path, help="what `cargo bench --bench lake` made there already")
    parser.add_argument("--binary", type=Path, help="measure this one; with --lakes nothing is built")
    args = parser.parse_args()
    unwind_on_sigterm()
    args.binary = built.tickhouse(args.binary)
    folder = Path(tempfile.mkdtemp(prefix="tickhouse-maintenance-"))
    servers = Servers(folder)
    try:
        compaction(args, folder)
        cost(args, folder, servers)
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
