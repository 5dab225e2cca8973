#!/usr/bin/env python3
"""The same questions to tickhouse, DuckDB, ClickHouse (chdb), Polars and plain DataFusion, on the files of one lake.

    benches/queries.sh                       10 million ticks, compacted and in small files
    benches/queries.sh --ticks 100000000     100 million ticks
    benches/queries.sh --engines tickhouse,duckdb --only sma_crossover --layouts arrival

Makes the lakes once (`cargo bench --bench lake`: seeded, 120 symbols, 5 million ticks a trade date, small files of 10,000
ticks). Every run is a process of its own on the same two CPUs; engines take turns. What is timed is the statement alone:
where a statement is asked several times in a process, the first time is left out (the files' footers are in memory
then, as in a server or at a prompt), so `one_day` and `latest` are warm. Prints medians, the peak memory of the process
and the ratio to the best of the others, and writes every run as JSON. Engines that give other answers end the benchmark.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import built

START = date(2026, 1, 5)
PER_DAY = 5_000_000
SYMBOL = "SYM007"
THREADS = 2
ENGINES = ["tickhouse", "duckdb", "clickhouse", "polars", "datafusion"]
#: How often a process asks; heavy ones once.
TIMES = {"sma_crossover": 1, "daily_summary": 1, "vwap": 1, "latest": 6, "one_day": 6}
REDUCED = {
    "sma_crossover": "SELECT signal, COUNT(*) AS rows FROM ({}) AS s GROUP BY signal ORDER BY signal",
    "vwap": "SELECT COUNT(*) AS rows, AVG(vwap) AS mean FROM ({}) AS s",
}


@dataclass
class Run:
    layout: str
    query: str
    engine: str
    seconds: float
    peak_mib: float


class Failed(Exception):
    pass


def process(command: list[str], given: str) -> tuple[str, str, float]:
    """What a command says on both outputs, and its peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        stdin.write(given)
        stdin.seek(0)
        started = subprocess.Popen(
            command, stdin=stdin, stdout=out, stderr=err, cwd=tempfile.gettempdir(),
            env=os.environ | {"POLARS_MAX_THREADS": str(THREADS), "TZ": "UTC"},
        )
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        said, told = out.read(), err.read()
        if started.returncode != 0:
            raise Failed((told.strip() or f"exit code {started.returncode}").splitlines()[-1][:200])
        return said, told, usage.ru_maxrss / 1024


def one(engine: str, query: str, sql: str, lake: Path, args: argparse.Namespace) -> tuple[float, float, list[dict]]:
    """Seconds, MiB and rows of one process."""
    times = TIMES[query]
    if engine == "tickhouse":
        asked = sql.rstrip().rstrip(";") + ";\n"
        # The others give rows in memory: after the answer that is compared, ours is not made into text either.
        script = f".timer on\n{asked}.mode null\n" + asked * (times - 1)
        command = [str(args.binary), "query", "--table", str(lake), "--format", "csv"]
        said, told, peak = process(command, script)
        seconds = [float(took) for took in re.findall(r"^([0-9.]+) s$", told, re.MULTILINE)]
        if len(seconds) != times:
            raise SystemExit(f"tickhouse told the times {seconds}:\n{told}")
        rows = list(csv.DictReader(io.StringIO(said)))
    else:
        from deltalake import DeltaTable

        files = [uri.removeprefix("file://") for uri in DeltaTable(str(lake / "ticks")).file_uris()]
        task = {
            "engine": engine, "files": sorted(files), "name": query, "sql": sql, "threads": THREADS, "times": times,
            "since": args.since, "day": args.last_day, "symbol": SYMBOL, "memory": args.polars_memory,
        }
        said, _, peak = process([sys.executable, str(Path(__file__).with_name("queries_engine.py"))], json.dumps(task))
        answer = json.loads(said.splitlines()[-1])
        seconds, rows = answer["seconds"], answer["rows"]
    return statistics.median(seconds[1:] or seconds), peak, rows


def summary(rows: list[dict]) -> dict[str, float]:
    """What answers are compared by: the number of rows, and the sum of each column of numbers."""
    sums: dict[str, float] = {"rows": len(rows)}
    for row in rows:
        for name, value in row.items():
            if name in ("ts", "symbol", "trade_date"):
                continue
            try:
                sums[name] = sums.get(name, 0) + float(value if value not in (None, "") else 0)
            except ValueError:
                sums[f"{name} {value}"] = sums.get(f"{name} {value}", 0) + float(row["rows"])
    return sums


def differ(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() != other.keys() or any(
        not math.isclose(one[name], other[name], rel_tol=1e-9, abs_tol=1e-6) for name in one
    )


def statements(query: str, args: argparse.Namespace) -> dict[str, str]:
    """The SQL of each engine that has any."""
    asked = {
        "latest": ["latest", "--param", f"since={args.since}Z"],
        "one_day": ["price_history", "--symbol", SYMBOL, "--from", args.last_day],
    }.get(query, [query])
    texts = {}
    for engine, dialect in [("tickhouse", "tickhouse"), ("duckdb", "duckdb"), ("clickhouse", "clickhouse"),
                            ("datafusion", "tickhouse")]:
        shown = [str(args.binary), "query", *asked, "--show-sql", "--dialect", dialect]
        text = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip().rstrip(";")
        texts[engine] = REDUCED.get(query, "{}").format(text)
    return texts


def table(runs: list[Run], failures: dict[tuple[str, str, str], str], args: argparse.Namespace) -> str:
    cell = "median seconds (peak MiB)"
    head = " | ".join(args.engines)
    lines = [f"{cell} of {args.runs} runs, {args.ticks:,} ticks", "", f"| layout | query | {head} | best other / tickhouse |"]
    lines.append("|---" * (len(args.engines) + 3) + "|")
    for layout in args.layouts:
        for query in args.queries:
            medians, cells = {}, []
            for engine in args.engines:
                mine = [run for run in runs if (run.layout, run.query, run.engine) == (layout, query, engine)]
                if (layout, query, engine) in failures or not mine:
                    cells.append("failed")
                    continue
                medians[engine] = statistics.median(run.seconds for run in mine)
                peak = statistics.median(run.peak_mib for run in mine)
                cells.append(f"{medians[engine]:.3f} ({peak:,.0f})")
            others = [seconds for engine, seconds in medians.items() if engine != "tickhouse"]
            ours = medians.get("tickhouse")
            ratio = f"{min(others) / ours:.2f}" if others and ours else ""
            lines.append(f"| {layout} | {query} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines + [f"{what}: {why}" for what, why in failures.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="of the lakes, default target/lakes-TICKS; kept")
    parser.add_argument("--binary", type=Path, help="default: a release build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--layouts", default="compacted,arrival")
    parser.add_argument("--only", default=",".join(TIMES), help="queries")
    parser.add_argument("--json", type=Path, default=built.REPOSITORY / "target" / "queries.json")
    parser.add_argument("--polars-memory", type=int, default=12 << 30, help="bytes; beyond them it fails")
    args = parser.parse_args()
    args.engines, args.layouts, args.queries = args.engines.split(","), args.layouts.split(","), args.only.split(",")
    args.folder = (args.folder or built.REPOSITORY / "target" / f"lakes-{args.ticks}").resolve()
    args.binary = built.tickhouse(args.binary)
    last = START + timedelta(days=(args.ticks - 1) // PER_DAY)
    args.last_day, args.since = last.isoformat(), f"{(last - timedelta(days=6)).isoformat()}T00:00:00"
    built.make_lakes(args.folder, args.ticks, "--ticks-per-day", str(PER_DAY))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])

    runs: list[Run] = []
    failures: dict[tuple[str, str, str], str] = {}
    for layout in args.layouts:
        for query in args.queries:
            texts, expected = statements(query, args), None
            for _ in range(args.runs):
                for engine in args.engines:
                    key = (layout, query, engine)
                    if key in failures:
                        continue
                    try:
                        seconds, peak, rows = one(engine, query, texts.get(engine, ""), args.folder / layout, args)
                    except Failed as error:
                        if engine == "tickhouse":
                            raise SystemExit(f"tickhouse failed at {query}: {error}") from error
                        failures[key] = str(error)
                        continue
                    found = summary(rows)
                    if expected is None:
                        expected = found
                    elif differ(found, expected):
                        raise SystemExit(f"{engine} answers {query} with {found}, others with {expected}")
                    runs.append(Run(layout, query, engine, seconds, peak))
                    print(f"{layout} {query} {engine}: {seconds:.3f} s, {peak:,.0f} MiB", file=sys.stderr)
            args.json.write_text(json.dumps([asdict(run) for run in runs], indent=1))
    print(table(runs, failures, args))


if __name__ == "__main__":
    main()
